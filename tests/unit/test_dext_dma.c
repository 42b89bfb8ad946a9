// SPDX-License-Identifier: BSD-3-Clause
/* Batches of DMA entries through the dext, down to the DART model. */
#define _GNU_SOURCE
#include <stdlib.h>

#include "test_dext_mac.h"

#define DIRECTIONS (QUIVER_DEXT_DMA_READ | QUIVER_DEXT_DMA_WRITE)

/* dext/core's constants, said once more: 1536 MiB less 1 %, 65,536 less 256. */
#define BYTES_LIMIT	((1536ull << 20) / 100 * 99 / GRANULE * GRANULE)
#define MAPPINGS_LIMIT	65280u

static struct quiver_dext_dma_request request;
static struct quiver_dext_dma_result result;

static int start(void **unused)
{
	mac_start("--device endpoint");
	memset(&request, 0, sizeof(request));
	return 0;
}

static struct quiver_dext_dma_entry map_of(const void *address, uint64_t length)
{
	return (struct quiver_dext_dma_entry){
		.op = QUIVER_DEXT_DMA_MAP, .flags = DIRECTIONS, .address = (uintptr_t)address,
		.length = length,
	};
}

static struct quiver_dext_dma_entry unmap_of(uint64_t iova, uint64_t length)
{
	return (struct quiver_dext_dma_entry){
		.op = QUIVER_DEXT_DMA_UNMAP, .iova = iova, .length = length,
	};
}

static uint32_t run_one(io_connect_t client, struct quiver_dext_dma_entry entry)
{
	request.count = 1;
	request.entry[0] = entry;
	client_dma(client, &request, &result);
	return result.entry[0].status;
}

static int by_value(const void *a, const void *b)
{
	const uint64_t *one = a, *other = b;

	return *one < *other ? -1 : *one > *other;
}

static void a_full_batch_maps_and_unmaps(void **unused)
{
	io_connect_t client = client_open_claimed();
	char *memory = memory_new(QUIVER_DEXT_DMA_MAX * GRANULE);
	uint64_t iova[QUIVER_DEXT_DMA_MAX];

	request.count = QUIVER_DEXT_DMA_MAX;
	for (size_t i = 0; i < QUIVER_DEXT_DMA_MAX; i++)
		request.entry[i] = map_of(memory + i * GRANULE, GRANULE);
	client_dma(client, &request, &result);
	for (size_t i = 0; i < QUIVER_DEXT_DMA_MAX; i++) {
		assert_int_equal(result.entry[i].status, QUIVER_DEXT_S_OK);
		iova[i] = result.entry[i].iova;
		assert_int_not_equal(iova[i], 0);
		assert_int_equal(iova[i] % GRANULE, 0);
		request.entry[i] = unmap_of(iova[i], GRANULE);
	}
	assert_int_equal(mac_device("mappings"), QUIVER_DEXT_DMA_MAX);
	assert_int_equal(mac_device("bytes"), QUIVER_DEXT_DMA_MAX * GRANULE);
	client_dma(client, &request, &result);
	for (size_t i = 0; i < QUIVER_DEXT_DMA_MAX; i++) {
		assert_int_equal(result.entry[i].status, QUIVER_DEXT_S_OK);
		assert_int_equal(result.entry[i].iova, 0);
	}
	assert_int_equal(mac_device("mappings"), 0);
	qsort(iova, QUIVER_DEXT_DMA_MAX, sizeof(iova[0]), by_value);
	for (size_t i = 1; i < QUIVER_DEXT_DMA_MAX; i++)
		assert_true(iova[i] - iova[i - 1] >= GRANULE);
	memory_free(memory, QUIVER_DEXT_DMA_MAX * GRANULE);
	IOServiceClose(client);
}

static void entries_stand_alone_and_run_in_order(void **unused)
{
	io_connect_t client = client_open_claimed();
	char *memory = memory_new(4 * GRANULE);
	uint64_t iova;

	assert_int_equal(run_one(client, map_of(memory, GRANULE)), QUIVER_DEXT_S_OK);
	iova = result.entry[0].iova;
	request.count = 4;
	request.entry[0] = unmap_of(iova, GRANULE);
	request.entry[1] = map_of(memory + 1, GRANULE);
	request.entry[2] = unmap_of(iova, GRANULE);
	request.entry[3] = map_of(memory + GRANULE, 3 * GRANULE);
	client_dma(client, &request, &result);
	assert_int_equal(result.entry[0].status, QUIVER_DEXT_S_OK);
	assert_int_equal(result.entry[1].status, QUIVER_DEXT_S_INVAL);
	assert_int_equal(result.entry[2].status, QUIVER_DEXT_S_NOENT);
	assert_int_equal(result.entry[3].status, QUIVER_DEXT_S_OK);
	assert_int_equal(mac_device("bytes"), 3 * GRANULE);
	memory_free(memory, 4 * GRANULE);
	IOServiceClose(client);
}

static void malformed_entries_do_nothing(void **unused)
{
	io_connect_t client = client_open_claimed();
	char *memory = memory_new(GRANULE);
	const uint64_t at = (uintptr_t)memory;
	const struct quiver_dext_dma_entry bad[] = {
		{ .op = 0, .flags = DIRECTIONS, .address = at, .length = GRANULE },
		{ .op = 3, .flags = DIRECTIONS, .address = at, .length = GRANULE },
		{ .op = QUIVER_DEXT_DMA_MAP, .flags = 0, .address = at, .length = GRANULE },
		{ .op = QUIVER_DEXT_DMA_MAP, .flags = QUIVER_DEXT_DMA_STAYS, .address = at,
		  .length = GRANULE },
		{ .op = QUIVER_DEXT_DMA_MAP, .flags = 8, .address = at, .length = GRANULE },
		{ .op = QUIVER_DEXT_DMA_MAP, .flags = 15, .address = at, .length = GRANULE },
		{ .op = QUIVER_DEXT_DMA_MAP, .flags = DIRECTIONS | 1u << 31, .address = at,
		  .length = GRANULE },
		{ .op = QUIVER_DEXT_DMA_MAP, .flags = 1, .address = at + 1, .length = GRANULE },
		{ .op = QUIVER_DEXT_DMA_MAP, .flags = 1, .address = at + 4096, .length = GRANULE },
		{ .op = QUIVER_DEXT_DMA_MAP, .flags = 1, .address = at, .length = 0 },
		{ .op = QUIVER_DEXT_DMA_MAP, .flags = 1, .address = at, .length = 4096 },
		{ .op = QUIVER_DEXT_DMA_MAP, .flags = 1, .address = at, .length = GRANULE,
		  .iova = GRANULE },
		{ .op = QUIVER_DEXT_DMA_MAP, .flags = 1, .address = at,
		  .length = -(uint64_t)GRANULE },
		{ .op = QUIVER_DEXT_DMA_MAP, .flags = 1, .address = -(uint64_t)GRANULE,
		  .length = 2 * GRANULE },
		{ .op = QUIVER_DEXT_DMA_UNMAP, .flags = 1, .length = GRANULE, .iova = GRANULE },
		{ .op = QUIVER_DEXT_DMA_UNMAP, .flags = QUIVER_DEXT_DMA_STAYS, .length = GRANULE,
		  .iova = GRANULE },
		{ .op = QUIVER_DEXT_DMA_UNMAP, .address = at, .length = GRANULE, .iova = GRANULE },
		{ .op = QUIVER_DEXT_DMA_UNMAP, .length = 0, .iova = GRANULE },
		{ .op = QUIVER_DEXT_DMA_UNMAP, .length = GRANULE, .iova = GRANULE + 1 },
		{ .op = QUIVER_DEXT_DMA_UNMAP, .length = GRANULE + 1, .iova = GRANULE },
		{ .op = QUIVER_DEXT_DMA_UNMAP, .length = -(uint64_t)GRANULE,
		  .iova = 2 * GRANULE },
	};
	const size_t count = sizeof(bad) / sizeof(bad[0]);
	struct quiver_dext_stats stats;

	for (size_t i = 0; i < count; i++)
		assert_int_equal(run_one(client, bad[i]), QUIVER_DEXT_S_INVAL);
	assert_int_equal(client_stats(client, &stats), kIOReturnSuccess);
	assert_int_equal(stats.failed, count);
	assert_int_equal(stats.bytes_peak, 0);
	assert_int_equal(mac_calls("IODMACommand::Create"), 0);
	assert_int_equal(mac_calls("IOUserClient::CreateMemoryDescriptorFromClient"), 0);
	memory_free(memory, GRANULE);
	IOServiceClose(client);
}

static kern_return_t raw(io_connect_t client, size_t in, size_t out)
{
	return IOConnectCallStructMethod(client, QUIVER_DEXT_DMA, &request, in, &result, &out);
}

static void sizes_that_do_not_match_run_nothing(void **unused)
{
	io_connect_t client = client_open_claimed();
	char *memory = memory_new(2 * GRANULE);

	request.count = 2;
	request.entry[0] = map_of(memory, GRANULE);
	request.entry[1] = map_of(memory + GRANULE, GRANULE);
	assert_int_equal(raw(client, 0, 48), kIOReturnBadArgument);
	assert_int_equal(raw(client, 31, 48), kIOReturnBadArgument);
	assert_int_equal(raw(client, 95, 48), kIOReturnBadArgument);
	assert_int_equal(raw(client, 96, 0), kIOReturnBadArgument);
	assert_int_equal(raw(client, 96, 47), kIOReturnBadArgument);
	assert_int_equal(raw(client, 96, 4096), kIOReturnBadArgument);
	request.count = 0;
	assert_int_equal(raw(client, 96, 48), kIOReturnBadArgument);
	request.count = QUIVER_DEXT_DMA_MAX + 1;
	assert_int_equal(raw(client, 4096, 2048), kIOReturnBadArgument);
	request.count = UINT32_MAX;
	assert_int_equal(raw(client, 4096, 2048), kIOReturnBadArgument);
	request.count = 2;
	request.reserved[6] = 1;
	assert_int_equal(raw(client, 96, 48), kIOReturnBadArgument);
	request.reserved[6] = 0;
	assert_int_equal(mac_calls("IODMACommand::Create"), 0);
	/* Larger than needed is fine: the whole structs are. */
	assert_int_equal(raw(client, 4096, 2048), kIOReturnSuccess);
	assert_int_equal(mac_device("mappings"), 2);
	memory_free(memory, 2 * GRANULE);
	IOServiceClose(client);
}

static void unmap_wants_the_very_range(void **unused)
{
	io_connect_t client = client_open_claimed();
	char *memory = memory_new(4 * GRANULE);
	uint64_t iova;

	assert_int_equal(run_one(client, map_of(memory, 4 * GRANULE)), QUIVER_DEXT_S_OK);
	iova = result.entry[0].iova;
	assert_int_equal(run_one(client, unmap_of(iova, GRANULE)), QUIVER_DEXT_S_NOENT);
	assert_int_equal(run_one(client, unmap_of(iova, 5 * GRANULE)), QUIVER_DEXT_S_NOENT);
	assert_int_equal(run_one(client, unmap_of(iova + GRANULE, 3 * GRANULE)),
			 QUIVER_DEXT_S_NOENT);
	assert_int_equal(run_one(client, unmap_of(iova - GRANULE, 4 * GRANULE)),
			 QUIVER_DEXT_S_NOENT);
	assert_int_equal(run_one(client, unmap_of(iova, 4 * GRANULE)), QUIVER_DEXT_S_OK);
	assert_int_equal(run_one(client, unmap_of(iova, 4 * GRANULE)), QUIVER_DEXT_S_NOENT);
	memory_free(memory, 4 * GRANULE);
	IOServiceClose(client);
}

static void memory_that_is_not_the_clients_is_refused(void **unused)
{
	io_connect_t client = client_open_claimed();
	char *memory = memory_new(1024 * GRANULE);
	struct quiver_dext_stats stats;

	memory_free(memory + GRANULE, GRANULE);
	memory_free(memory + 1000 * GRANULE, GRANULE);
	assert_int_equal(run_one(client, map_of(memory + GRANULE, GRANULE)), QUIVER_DEXT_S_NOMEM);
	assert_int_equal(run_one(client, map_of(memory, 2 * GRANULE)), QUIVER_DEXT_S_NOMEM);
	/* So large that its pages are not asked for one by one. */
	assert_int_equal(run_one(client, map_of(memory + 2 * GRANULE, 1022 * GRANULE)),
			 QUIVER_DEXT_S_NOMEM);
	assert_int_equal(run_one(client, map_of((void *)(uintptr_t)(1ull << 62), GRANULE)),
			 QUIVER_DEXT_S_NOMEM);
	assert_int_equal(run_one(client, map_of(memory + 2 * GRANULE, 998 * GRANULE)),
			 QUIVER_DEXT_S_OK);
	assert_int_equal(client_stats(client, &stats), kIOReturnSuccess);
	assert_int_equal(stats.mappings, 1);
	assert_int_equal(stats.bytes, 998 * GRANULE);
	assert_int_equal(stats.failed, 4);
	memory_free(memory, 1024 * GRANULE);
	IOServiceClose(client);
}

static void more_than_the_bytes_is_refused_before_dart(void **unused)
{
	const uint64_t most = BYTES_LIMIT - 10 * GRANULE;
	io_connect_t client = client_open_claimed();
	char *memory = memory_new(BYTES_LIMIT);
	struct quiver_dext_stats stats;

	assert_int_equal(run_one(client, map_of(memory, most)), QUIVER_DEXT_S_OK);
	assert_int_equal(run_one(client, map_of(memory, 11 * GRANULE)), QUIVER_DEXT_S_BYTES);
	assert_int_equal(run_one(client, map_of(memory, 1ull << 46)), QUIVER_DEXT_S_BYTES);
	assert_int_equal(mac_device("maps"), 1);
	assert_int_equal(mac_calls("IODMACommand::PrepareForDMA"), 1);
	assert_int_equal(mac_calls("IOUserClient::CreateMemoryDescriptorFromClient"), 1);
	assert_int_equal(run_one(client, map_of(memory, 10 * GRANULE)), QUIVER_DEXT_S_OK);
	assert_int_equal(run_one(client, map_of(memory, GRANULE)), QUIVER_DEXT_S_BYTES);
	assert_int_equal(client_stats(client, &stats), kIOReturnSuccess);
	assert_int_equal(stats.bytes_limit, BYTES_LIMIT);
	assert_int_equal(stats.bytes, BYTES_LIMIT);
	assert_int_equal(stats.bytes_peak, BYTES_LIMIT);
	assert_int_equal(stats.refused_bytes, 3);
	assert_int_equal(stats.failed, 0);
	assert_int_equal(stats.granule, GRANULE);
	memory_free(memory, BYTES_LIMIT);
	IOServiceClose(client);
}

static void more_than_the_mappings_is_refused_before_dart(void **unused)
{
	io_connect_t client = client_open_claimed();
	char *memory = memory_new(GRANULE);
	struct quiver_dext_stats stats;
	uint32_t left = MAPPINGS_LIMIT;

	for (size_t i = 0; i < QUIVER_DEXT_DMA_MAX; i++)
		request.entry[i] = map_of(memory, GRANULE);
	while (left) {
		request.count = left < QUIVER_DEXT_DMA_MAX ? left : QUIVER_DEXT_DMA_MAX;
		client_dma(client, &request, &result);
		for (size_t i = 0; i < request.count; i++)
			assert_int_equal(result.entry[i].status, QUIVER_DEXT_S_OK);
		left -= request.count;
	}
	request.count = 2;
	client_dma(client, &request, &result);
	assert_int_equal(result.entry[0].status, QUIVER_DEXT_S_MAPPINGS);
	assert_int_equal(result.entry[1].status, QUIVER_DEXT_S_MAPPINGS);
	assert_int_equal(mac_device("maps"), MAPPINGS_LIMIT);
	assert_int_equal(mac_calls("IODMACommand::PrepareForDMA"), MAPPINGS_LIMIT);
	assert_int_equal(client_stats(client, &stats), kIOReturnSuccess);
	assert_int_equal(stats.mappings_limit, MAPPINGS_LIMIT);
	assert_int_equal(stats.mappings, MAPPINGS_LIMIT);
	assert_int_equal(stats.refused_mappings, 2);
	memory_free(memory, GRANULE);
	/* All of them end with the client: stop() looks. */
	IOServiceClose(client);
}

static void a_mapping_in_pieces_is_given_back(void **unused)
{
	io_connect_t client = client_open_claimed();
	char *memory = memory_new(4 * GRANULE);
	struct quiver_dext_stats stats;

	free(mac_control("segments 2"));
	assert_int_equal(run_one(client, map_of(memory, 4 * GRANULE)), QUIVER_DEXT_S_IO);
	assert_int_equal(result.entry[0].iova, 0);
	assert_int_equal(mac_device("maps"), 2);
	assert_int_equal(mac_device("mappings"), 0);
	free(mac_control("segments 32"));
	assert_int_equal(run_one(client, map_of(memory, 4 * GRANULE)), QUIVER_DEXT_S_OK);
	free(mac_control("segments 1"));
	assert_int_equal(client_stats(client, &stats), kIOReturnSuccess);
	assert_int_equal(stats.mappings, 1);
	assert_int_equal(stats.maps, 1);
	assert_int_equal(stats.failed, 1);
	memory_free(memory, 4 * GRANULE);
	IOServiceClose(client);
}

static void a_failed_release_is_told_and_is_one(void **unused)
{
	io_connect_t client = client_open_claimed();
	char *memory = memory_new(GRANULE);
	uint64_t iova;

	assert_int_equal(run_one(client, map_of(memory, GRANULE)), QUIVER_DEXT_S_OK);
	iova = result.entry[0].iova;
	free(mac_control("fail IODMACommand::CompleteDMA 1"));
	assert_int_equal(run_one(client, unmap_of(iova, GRANULE)), QUIVER_DEXT_S_RELEASE);
	assert_int_equal(mac_device("mappings"), 0);
	assert_int_equal(run_one(client, unmap_of(iova, GRANULE)), QUIVER_DEXT_S_NOENT);
	memory_free(memory, GRANULE);
	IOServiceClose(client);
}

static struct quiver_dext_dma_entry staying(struct quiver_dext_dma_entry entry)
{
	entry.flags |= QUIVER_DEXT_DMA_STAYS;
	return entry;
}

static void what_stays_is_in_dart_until_its_client_ends(void **unused)
{
	io_connect_t client = client_open_claimed();
	char *memory = memory_new(8 * GRANULE);
	uint64_t dropped, first, iova;

	assert_int_equal(run_one(client, staying(map_of(memory, 4 * GRANULE))), QUIVER_DEXT_S_OK);
	first = result.entry[0].iova;
	assert_int_equal(run_one(client, map_of(memory, GRANULE)), QUIVER_DEXT_S_OK);
	assert_int_equal(run_one(client, staying(map_of(memory + 4 * GRANULE, 2 * GRANULE))),
			 QUIVER_DEXT_S_OK);
	iova = result.entry[0].iova;
	client_master(client, true);
	assert_int_equal(client_reset(client, &dropped), kIOReturnSuccess);
	assert_int_equal(dropped, 1);
	assert_int_equal(mac_device("mappings"), 2);
	assert_int_equal(mac_device("bytes"), 6 * GRANULE);
	/* By its name, but with no word of its staying. */
	assert_int_equal(run_one(client, staying(unmap_of(iova, 2 * GRANULE))),
			 QUIVER_DEXT_S_INVAL);
	assert_int_equal(run_one(client, unmap_of(iova, 2 * GRANULE)), QUIVER_DEXT_S_OK);
	assert_int_equal(mac_device("mappings"), 1);
	IOServiceClose(client);
	client = client_open_claimed();
	assert_int_equal(mac_device("mappings"), 0);
	assert_int_equal(run_one(client, unmap_of(first, 4 * GRANULE)), QUIVER_DEXT_S_NOENT);
	memory_free(memory, 8 * GRANULE);
	IOServiceClose(client);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, mac_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_full_batch_maps_and_unmaps),
		TEST(entries_stand_alone_and_run_in_order),
		TEST(malformed_entries_do_nothing),
		TEST(sizes_that_do_not_match_run_nothing),
		TEST(unmap_wants_the_very_range),
		TEST(memory_that_is_not_the_clients_is_refused),
		TEST(more_than_the_bytes_is_refused_before_dart),
		TEST(more_than_the_mappings_is_refused_before_dart),
		TEST(a_mapping_in_pieces_is_given_back),
		TEST(a_failed_release_is_told_and_is_one),
		TEST(what_stays_is_in_dart_until_its_client_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
