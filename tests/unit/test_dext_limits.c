// SPDX-License-Identifier: BSD-3-Clause
/* A Mac whose DART has less than most: the registry says so, and the dext refuses before DART. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>

#include "test_dext_mac.h"

/* What the dext maps at most where nobody knows better. */
#define BYTES_MAX	((1536ull << 20) / 100 * 99 / GRANULE * GRANULE)
#define MAPPINGS_MAX	65280u

static struct quiver_dext_stats stats_of(io_connect_t client)
{
	struct quiver_dext_stats stats;

	assert_int_equal(client_stats(client, &stats), kIOReturnSuccess);
	return stats;
}

static void expect_limits(const char *options, uint64_t bytes, uint64_t mappings)
{
	struct quiver_dext_stats stats;
	io_connect_t client;

	mac_start(options);
	client = client_open_claimed();
	stats = stats_of(client);
	assert_int_equal(stats.bytes_limit, bytes);
	assert_int_equal(stats.mappings_limit, mappings);
	IOServiceClose(client);
	mac_stop();
}

static void the_registry_can_lower_the_limits(void **unused)
{
	expect_limits("--device endpoint", BYTES_MAX, MAPPINGS_MAX);
	expect_limits("--device endpoint --limit-bytes 1000000", 61 * GRANULE, MAPPINGS_MAX);
	expect_limits("--device endpoint --limit-mappings 1", BYTES_MAX, 1);
	expect_limits("--device endpoint --limit-bytes 16384 --limit-mappings 7", GRANULE, 7);
}

static void the_registry_cannot_raise_them(void **unused)
{
	expect_limits("--device endpoint --property QuiverLimitBytes=0xffffffffffffffff"
		      " --property QuiverLimitMappings=65281", BYTES_MAX, MAPPINGS_MAX);
	expect_limits("--device endpoint --limit-bytes 0x80000000 --limit-mappings 100000",
		      BYTES_MAX, MAPPINGS_MAX);
}

/* It might be lower than what the dext knows: no service is better than a panic. */
static void a_limit_that_cannot_be_read_keeps_the_dext_from_starting(void **unused)
{
	static const char *const options[] = {
		"--property QuiverLimitBytes=0",
		"--property QuiverLimitBytes=16383",
		"--property QuiverLimitMappings=0",
		"--property QuiverLimitMappings=many",
		"--property QuiverLimitBytes=-1",
		"--property QuiverLimitBytes=1G",
		"--limit-mappings 8 --fail OSNumber::withNumber:1",
		"--limit-mappings 8 --fail IOService::SearchProperty:2",
	};
	char text[256];

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		snprintf(text, sizeof(text), "--device endpoint %s", options[i]);
		mac_start(text);
		if (mac_service())
			fail_msg("%s: it started", options[i]);
		mac_stop();
	}
}

/* What cannot be had costs DART no call: its counts are exact. */
static void a_small_dart_refuses_and_does_not_panic(void **unused)
{
	char *memory = memory_new(8 * GRANULE);
	uint64_t iova[4], other;
	io_connect_t client;
	struct quiver_dext_stats stats;

	mac_start("--device endpoint --limit-bytes 131072 --limit-mappings 4");
	client = client_open_claimed();
	assert_int_equal(client_dma_map(client, memory, 8 * GRANULE, &other), QUIVER_DEXT_S_OK);
	for (int i = 0; i < 10; i++)
		assert_int_equal(client_dma_map(client, memory, GRANULE, &iova[0]),
				 QUIVER_DEXT_S_BYTES);
	assert_int_equal(mac_calls("IODMACommand::PrepareForDMA"), 1);
	assert_int_equal(client_dma_unmap(client, other, 8 * GRANULE), QUIVER_DEXT_S_OK);
	for (int i = 0; i < 4; i++)
		assert_int_equal(client_dma_map(client, memory, GRANULE, &iova[i]),
				 QUIVER_DEXT_S_OK);
	for (int i = 0; i < 10; i++)
		assert_int_equal(client_dma_map(client, memory, GRANULE, &other),
				 QUIVER_DEXT_S_MAPPINGS);
	assert_int_equal(mac_calls("IODMACommand::PrepareForDMA"), 5);
	assert_int_equal(mac_calls("IODMACommand::Create"), 5);
	assert_int_equal(mac_calls("IOUserClient::CreateMemoryDescriptorFromClient"), 5);
	assert_int_equal(mac_device("maps"), 5);
	stats = stats_of(client);
	assert_int_equal(stats.refused_bytes, 10);
	assert_int_equal(stats.refused_mappings, 10);
	assert_int_equal(client_dma_unmap(client, iova[2], GRANULE), QUIVER_DEXT_S_OK);
	assert_int_equal(client_dma_map(client, memory, GRANULE, &other), QUIVER_DEXT_S_OK);
	IOServiceClose(client);
	memory_free(memory, 8 * GRANULE);
	mac_stop();
}

/* The simulated DART is as strict as ever to a dext that was not told. */
static void a_dext_that_does_not_know_panics_the_mac(void **unused)
{
	char *memory = memory_new(2 * GRANULE);
	io_connect_t client;
	uint64_t iova;

	mac_start("--device endpoint --limit-bytes 16384 --property QuiverLimitBytes=");
	client = client_open_claimed();
	assert_int_equal(client_dma_map(client, memory, 2 * GRANULE, &iova), UINT32_MAX);
	assert_non_null(strstr(mac_panic(), "[D7]"));
	IOServiceClose(client);
	memory_free(memory, 2 * GRANULE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_registry_can_lower_the_limits),
		cmocka_unit_test(the_registry_cannot_raise_them),
		cmocka_unit_test(a_limit_that_cannot_be_read_keeps_the_dext_from_starting),
		cmocka_unit_test(a_small_dart_refuses_and_does_not_panic),
		cmocka_unit_test(a_dext_that_does_not_know_panics_the_mac),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
