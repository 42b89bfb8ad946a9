// SPDX-License-Identifier: BSD-3-Clause
/* dext/core: claims, mappings, config space and interrupts, without a Mac under it. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "test_dext_fake.h"

#define MAPPINGS_MAX	512

static void audio_is_refused(void **unused)
{
	struct quiver_dext_identity identity;
	struct quiver_dext *dext;

	fake_put32(0x08, 0x04030000);
	dext = fake_new();
	quiver_dext_identify(dext, &identity);
	assert_int_equal(identity.refused, 1);
	assert_int_equal(quiver_dext_claim(dext, &client_a), -EOPNOTSUPP);
	assert_int_equal(fake.writes, 0);
	fake_delete(dext);
}

static void a_silent_device_is_not_claimed(void **unused)
{
	struct quiver_dext *dext = fake_new();

	fake.silent = true;
	assert_int_equal(quiver_dext_claim(dext, &client_a), -ETIMEDOUT);
	fake.silent = false;
	assert_int_equal(quiver_dext_claim(dext, &client_a), 0);
	fake_delete(dext);
	fake.silent = true;
	assert_int_equal(quiver_dext_new(&fake_ops, NULL, 0, fake_limits, &dext), -ETIMEDOUT);
	assert_int_equal(fake.allocated, 0);
}

static void a_device_found_running_is_stopped_first(void **unused)
{
	struct quiver_dext *dext;

	fake.config[4] |= MASTER;
	dext = fake_new_claimed();
	assert_int_equal(fake.config[4] & MASTER, 0);
	assert_int_equal(fake_state(dext), QUIVER_DEXT_CLAIMED);
	fake_delete(dext);
}

static void odd_grants_are_given_back(void **unused)
{
	const struct quiver_dext_grant odd[] = {
		{ .segments = 2, .iova = 0x100000, .length = 2 * GRANULE },
		{ .segments = 32, .iova = 0x100000, .length = GRANULE },
		{ .segments = 1, .iova = 0, .length = 2 * GRANULE },
		{ .segments = 1, .iova = 0x100000, .length = GRANULE },
		{ .segments = 1, .iova = 0x100000, .length = 3 * GRANULE },
		{ .segments = 1, .iova = 0x100001, .length = 2 * GRANULE },
		{ .segments = 1, .iova = -(uint64_t)GRANULE, .length = 2 * GRANULE },
	};
	struct quiver_dext *dext = fake_new_claimed();
	struct quiver_dext_stats stats;
	uint64_t iova = 1;

	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		fake.next = odd[i];
		assert_int_equal(fake_map(dext, 2, &iova), QUIVER_DEXT_S_IO);
		assert_int_equal(iova, 0);
		assert_int_equal(fake.mapped, 0);
	}
	/* The same address twice: a platform that has lost count. */
	fake.next = (struct quiver_dext_grant){ .segments = 1, .iova = 0x100000,
						.length = 2 * GRANULE };
	assert_int_equal(fake_map(dext, 2, &iova), QUIVER_DEXT_S_OK);
	assert_int_equal(fake_map(dext, 2, &iova), QUIVER_DEXT_S_IO);
	assert_int_equal(fake.mapped, 1);
	assert_int_equal(quiver_dext_stats(dext, &client_a, &stats), 0);
	assert_int_equal(stats.mappings, 1);
	assert_int_equal(stats.bytes, 2 * GRANULE);
	assert_int_equal(stats.failed, 8);
	fake_delete(dext);
}

static void failures_of_a_map_unwind(void **unused)
{
	struct quiver_dext *dext = fake_new_claimed();
	struct quiver_dext_stats stats;

	fake.map_result = -EFAULT;
	assert_int_equal(fake_map(dext, 1, NULL), QUIVER_DEXT_S_NOMEM);
	fake.map_result = -EIO;
	assert_int_equal(fake_map(dext, 1, NULL), QUIVER_DEXT_S_IO);
	fake.map_result = 0;
	fake_expect_log("pp");
	fake.fail_allocation = 1;
	assert_int_equal(fake_map(dext, 1, NULL), QUIVER_DEXT_S_IO);
	fake_expect_log("");
	assert_int_equal(quiver_dext_stats(dext, &client_a, &stats), 0);
	assert_int_equal(stats.mappings, 0);
	assert_int_equal(stats.bytes, 0);
	assert_int_equal(stats.maps, 0);
	assert_int_equal(stats.failed, 3);
	assert_int_equal(fake.allocated, 1);
	fake_delete(dext);
}

static uint32_t status_of(struct quiver_dext *dext, struct quiver_dext_dma_entry entry)
{
	struct quiver_dext_dma_request request = { .count = 1 };
	struct quiver_dext_dma_result result;

	request.entry[0] = entry;
	assert_int_equal(quiver_dext_dma(dext, &client_a, &request, sizeof(request), &result,
					 sizeof(result)), 0);
	return result.entry[0].status;
}

/* A direction, and whether it stays; and of an unmap nothing. */
static void every_other_flag_is_malformed(void **unused)
{
	struct quiver_dext *dext = fake_new_claimed();
	struct quiver_dext_dma_entry map, unmap;
	uint64_t iova;

	assert_int_equal(fake_map_staying(dext, 1, &iova), QUIVER_DEXT_S_OK);
	map = (struct quiver_dext_dma_entry){
		.op = QUIVER_DEXT_DMA_MAP, .address = GRANULE, .length = GRANULE };
	unmap = (struct quiver_dext_dma_entry){
		.op = QUIVER_DEXT_DMA_UNMAP, .iova = iova, .length = GRANULE };
	for (uint32_t flags = 0; flags < 64; flags++) {
		map.flags = unmap.flags = flags;
		assert_int_equal(status_of(dext, map), flags & 3 && flags < 8 ?
				 QUIVER_DEXT_S_OK : QUIVER_DEXT_S_INVAL);
		if (flags)
			assert_int_equal(status_of(dext, unmap), QUIVER_DEXT_S_INVAL);
	}
	assert_int_equal(fake.mapped, 1 + 6);
	unmap.flags = 0;
	assert_int_equal(status_of(dext, unmap), QUIVER_DEXT_S_OK);
	fake_delete(dext);
}

/* In whichever read of the start: without its survey it would have no vectors, and be reset wrongly. */
static void a_read_that_fails_at_the_start_loses_nothing(void **unused)
{
	struct quiver_dext_identity identity;
	struct quiver_dext *dext;
	unsigned int started = 0;

	for (unsigned int nth = 1; nth < 100; nth++) {
		fake.fail_read = nth;
		if (quiver_dext_new(&fake_ops, NULL, 0, fake_limits, &dext)) {
			assert_int_equal(fake.allocated, 0);
			continue;
		}
		started++;
		fake.fail_read = 0;
		quiver_dext_identify(dext, &identity);
		assert_int_equal(identity.class_revision, 0x030000a1);
		assert_int_equal(quiver_dext_vectors(dext, QUIVER_DEXT_IRQ_MSI), 16);
		assert_int_equal(quiver_dext_claim(dext, &client_a), 0);
		assert_int_equal(quiver_dext_config_write(dext, &client_a, DEVSTA, 2, 0xf), 0);
		memset(fake.log, 0, sizeof(fake.log));
		fake_release(dext, &client_a);
		fake_expect_log("fi");
		fake_delete(dext);
	}
	/* All but those of the id, of which the device is known. */
	assert_in_range(started, 97, 98);
}

/* From some read of the start on it says nothing. */
static void a_device_that_falls_silent_at_the_start_is_none(void **unused)
{
	struct quiver_dext *dext;
	unsigned int reads = 0;

	assert_int_equal(quiver_dext_new(&fake_ops, NULL, 0, fake_limits, &dext), 0);
	reads = fake.reads;
	fake_delete(dext);
	for (unsigned int nth = 1; nth <= reads; nth++) {
		fake.silent = false;
		fake.silent_after = nth;
		assert_int_equal(quiver_dext_new(&fake_ops, NULL, 0, fake_limits, &dext),
				 -ETIMEDOUT);
		assert_int_equal(fake.allocated, 0);
	}
}

/* Capability lists that loop, or lead nowhere. */
static void config_space_is_hostile(void **unused)
{
	struct quiver_dext *dext;
	uint32_t seed = 1;

	for (unsigned int round = 0; round < 200; round++) {
		for (unsigned int i = 0x34; i < sizeof(fake.config); i++) {
			seed = seed * 1664525 + 1013904223;
			fake.config[i] = seed >> 24;
		}
		dext = fake_new_claimed();
		fake_delete(dext);
	}
	memset(fake.config + 0x34, 0, sizeof(fake.config) - 0x34);
	fake_put32(0x34, 0x40);
	fake_put32(0x40, 0x00004010);	/* itself */
	fake_put32(0x100, 0x10010015);	/* likewise */
	dext = fake_new_claimed();
	fake_delete(dext);
}

#define NOWHERE	0x1000u

/* What a client may set to 1 there; 0: it may write nothing. */
static uint32_t free_bits(unsigned int offset, unsigned int width, unsigned int device_status)
{
	if (width != 2)
		return 0;
	return offset == 0x04 ? 0x0006 : offset == 0x06 ? 0xf900 :
	       offset == device_status ? 0x000f : 0;
}

static void expect_write(struct quiver_dext *dext, unsigned int offset, unsigned int width,
			 uint32_t value, uint32_t free)
{
	const struct fake before = fake;
	bool passes = free && !(value & ~free) && (offset != 4 || value & 2);
	int result = quiver_dext_config_write(dext, &client_a, offset, width, value);
	uint16_t kept = 0;

	if (result != (passes ? 0 : -EACCES))
		fail_msg("0x%x to config 0x%x, width %u: %d", value, offset, width, result);
	assert_int_equal(fake.writes, before.writes + passes);
	if (passes) {
		memcpy(&kept, before.config + offset, 2);
		value |= offset == 4 ? kept & ~free : 0;
		assert_memory_equal(fake.config + offset, &value, 2);
		memcpy(fake.config + offset, &kept, 2);
	}
	assert_memory_equal(fake.config, before.config, sizeof(fake.config));
	memset(fake.log, 0, sizeof(fake.log));
}

static void expect_filter(unsigned int device_status)
{
	struct quiver_dext *dext = fake_new_claimed();

	for (unsigned int width = 1; width <= 4; width *= 2) {
		uint32_t mask = width == 4 ? ~0u : (1u << 8 * width) - 1;

		for (unsigned int at = 0; at < sizeof(fake.config); at += width) {
			uint32_t free = free_bits(at, width, device_status);

			for (unsigned int bit = 0; bit < 8 * width; bit++)
				expect_write(dext, at, width, 1u << bit, free);
			expect_write(dext, at, width, 0, free);
			expect_write(dext, at, width, mask, free);
			expect_write(dext, at, width, free & mask, free);
		}
	}
	fake_delete(dext);
}

static void three_registers_can_be_written_and_nothing_else(void **unused)
{
	uint32_t seed = 7;

	for (unsigned int i = 0xb0; i < sizeof(fake.config); i++) {
		seed = seed * 1664525 + 1013904223;
		fake.config[i] = seed >> 24;
	}
	fake.config[5] = 0x05;
	expect_filter(0x4a);
}

/* As if it were not there: a client's word for it is not enough [H11]. */
static void a_hidden_capability_cannot_be_written(void **unused)
{
	fake_put32(0x34, 0x80);
	fake_put32(0x64, 0x00020010);
	expect_filter(NOWHERE);
	/* No list, though the bytes of one are there. */
	fake_put32(0x34, 0x40);
	fake_put32(0x04, 0x00000002);
	expect_filter(NOWHERE);
}

/* One that leads to a second of a kind does not open that, nor does one that has no room. */
static void lists_that_lie_open_nothing(void **unused)
{
	fake_put32(0x40, 0x0002c010);
	fake_put32(0xc0, 0x00028010);
	expect_filter(0x4a);
	fake_put32(0x34, 0xf8);
	fake_put32(0xf8, 0x00020010);
	expect_filter(NOWHERE);
	fake_put32(0x34, 0xf4);
	fake_put32(0xf4, 0x00020010);
	expect_filter(0xfe);
	/* Into the header. */
	fake_put32(0x34, 0x3c);
	fake_put32(0x3c, 0x00020010);
	expect_filter(NOWHERE);
}

/* All of its bits are on: what is macOS' is not known, so it is left off. */
static void a_silent_device_gets_no_bits_but_the_clients(void **unused)
{
	struct quiver_dext *dext = fake_new_claimed();

	fake.config[4] = fake.config[5] = 0xff;
	assert_int_equal(quiver_dext_config_write(dext, &client_a, 4, 2, 2), 0);
	assert_int_equal(fake.config[4], 2);
	assert_int_equal(fake.config[5], 0);
	fake_delete(dext);
}

static void bars_have_the_right_bits(void **unused)
{
	const uint32_t expected[] = { 0x0, 0xc, 0x0, 0x4, 0x0, 0x1 };
	const uint32_t flags[] = { 0, QUIVER_DEXT_BAR_64 | QUIVER_DEXT_BAR_PREFETCH, 0,
				   QUIVER_DEXT_BAR_64, 0, QUIVER_DEXT_BAR_IO };
	struct quiver_dext *dext;
	struct quiver_dext_bar bar;
	uint64_t value;
	uint8_t index;

	for (unsigned int i = 0; i < 6; i++)
		fake_put32(0x10 + 4 * i, 0xdead0006);
	dext = fake_new_claimed();
	for (unsigned int i = 0; i < 6; i++) {
		assert_int_equal(quiver_dext_config_read(dext, &client_a, 0x10 + 4 * i, 4, &value),
				 0);
		assert_int_equal(value, expected[i]);
		assert_int_equal(quiver_dext_bar(dext, &client_a, i, &bar), 0);
		assert_int_equal(bar.flags, flags[i]);
	}
	assert_int_equal(quiver_dext_bar_memory(dext, &client_a, 1, &index), 0);
	assert_int_equal(index, 2);
	assert_int_equal(quiver_dext_bar_memory(dext, &client_a, 2, &index), -EINVAL);
	assert_int_equal(quiver_dext_bar_memory(dext, &client_a, 5, &index), -EINVAL);
	assert_int_equal(quiver_dext_bar_memory(dext, &client_a, 6, &index), -EINVAL);
	fake_delete(dext);
}

static struct quiver_dext_pending *split_page;
static void *bits_page;
static int armed_when_bits_were_touched;

static void on_touch(int signal)
{
	armed_when_bits_were_touched = (int)split_page->armed;
	mprotect(bits_page, 4096, PROT_READ | PROT_WRITE);
}

/*
 * Else a host that arms and looks between the two sleeps over the bit. The
 * bits begin a page that cannot be touched, so the first touch shows the order.
 */
static void the_bit_comes_before_armed_goes(void **unused)
{
	const size_t head = offsetof(struct quiver_dext_pending, bits);
	const struct sigaction action = { .sa_handler = on_touch };
	struct quiver_dext *dext = fake_new_claimed();
	struct sigaction before;
	char *memory = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			    0);

	assert_ptr_not_equal(memory, MAP_FAILED);
	bits_page = memory + 4096;
	split_page = (struct quiver_dext_pending *)(void *)(memory + 4096 - head);
	split_page->armed = 1;
	armed_when_bits_were_touched = -1;
	mprotect(bits_page, 4096, PROT_NONE);
	sigaction(SIGSEGV, &action, &before);
	assert_true(quiver_dext_interrupt(dext, split_page, 5));
	sigaction(SIGSEGV, &before, NULL);
	assert_int_equal(armed_when_bits_were_touched, 1);
	assert_int_equal(split_page->armed, 0);
	assert_int_equal(split_page->bits[0], 1 << 5);
	munmap(memory, 8192);
	fake_delete(dext);
}

#define PRODUCERS	3
#define INTERRUPTS	10000

/* The host's side, and what its wake-up is here: a flag. */
static struct quiver_dext_pending page;
static atomic_uint wakes, taken[PRODUCERS], finished;
static atomic_bool lost;
static struct quiver_dext *raising;

static bool waited_for(atomic_uint *counter, unsigned int value)
{
	struct timespec begin, now;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	do {
		for (unsigned int i = 0; i < 1000; i++) {
			if (atomic_load(counter) >= value)
				return true;
			sched_yield();
		}
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec - begin.tv_sec < 4 && !atomic_load(&lost));
	return false;
}

static void *producer(void *argument)
{
	unsigned int vector = (unsigned int)(uintptr_t)argument;

	for (unsigned int i = 1; i <= INTERRUPTS && !atomic_load(&lost); i++) {
		if (quiver_dext_interrupt(raising, &page, vector * 600))
			atomic_fetch_add(&wakes, 1);
		if (!waited_for(&taken[vector], i))
			atomic_store(&lost, true);
	}
	atomic_fetch_add(&finished, 1);
	return NULL;
}

static bool take_all(void)
{
	bool any = false;

	for (unsigned int vector = 0; vector < PRODUCERS; vector++) {
		if (__atomic_exchange_n(&page.bits[vector * 600 / 64], 0, __ATOMIC_SEQ_CST)) {
			atomic_fetch_add(&taken[vector], 1);
			any = true;
		}
	}
	return any;
}

/* Each raises its vector again only when the host has taken it: one lost bit stops it. */
static void racing_interrupts_lose_nothing(void **unused)
{
	pthread_t threads[PRODUCERS];
	unsigned int seen = 0;

	raising = fake_new_claimed();
	for (uintptr_t i = 0; i < PRODUCERS; i++)
		pthread_create(&threads[i], NULL, producer, (void *)i);
	while (atomic_load(&finished) < PRODUCERS) {
		__atomic_store_n(&page.armed, 1, __ATOMIC_SEQ_CST);
		if (take_all())
			continue;
		while (atomic_load(&wakes) == seen && atomic_load(&finished) < PRODUCERS)
			sched_yield();
		seen = atomic_load(&wakes);
	}
	for (unsigned int i = 0; i < PRODUCERS; i++)
		pthread_join(threads[i], NULL);
	assert_false(atomic_load(&lost));
	fake_delete(raising);
}

/* Against a plain array: what is mapped, what the books say, what is left. */
static void random_batches_agree_with_a_list(void **unused)
{
	static struct { uint64_t iova, granules; } list[MAPPINGS_MAX];
	struct quiver_dext *dext = fake_new_claimed();
	struct quiver_dext_stats stats;
	uint64_t granules, bytes = 0;
	unsigned int count = 0, at, seed = 42;

	for (unsigned int round = 0; round < 20000; round++) {
		at = (unsigned int)rand_r(&seed);
		if (count < MAPPINGS_MAX && (at & 1 || !count)) {
			granules = 1 + at / 2 % 64;
			assert_int_equal(fake_map(dext, granules, &list[count].iova),
					 QUIVER_DEXT_S_OK);
			list[count++].granules = granules;
			bytes += granules * GRANULE;
			continue;
		}
		at = at / 2 % count;
		assert_int_equal(fake_unmap(dext, list[at].granules + 1, list[at].iova),
				 QUIVER_DEXT_S_NOENT);
		assert_int_equal(fake_unmap(dext, list[at].granules, list[at].iova),
				 QUIVER_DEXT_S_OK);
		bytes -= list[at].granules * GRANULE;
		list[at] = list[--count];
		assert_int_equal(fake.mapped, count);
	}
	assert_int_equal(quiver_dext_stats(dext, &client_a, &stats), 0);
	assert_int_equal(stats.mappings, count);
	assert_int_equal(stats.bytes, bytes);
	assert_int_equal(stats.maps - stats.unmaps, count);
	fake_delete(dext);
}

#define TEST(name) cmocka_unit_test_setup(name, fake_set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(audio_is_refused),
		TEST(a_silent_device_is_not_claimed),
		TEST(a_device_found_running_is_stopped_first),
		TEST(odd_grants_are_given_back),
		TEST(failures_of_a_map_unwind),
		TEST(every_other_flag_is_malformed),
		TEST(a_read_that_fails_at_the_start_loses_nothing),
		TEST(a_device_that_falls_silent_at_the_start_is_none),
		TEST(config_space_is_hostile),
		TEST(three_registers_can_be_written_and_nothing_else),
		TEST(a_hidden_capability_cannot_be_written),
		TEST(lists_that_lie_open_nothing),
		TEST(a_silent_device_gets_no_bits_but_the_clients),
		TEST(bars_have_the_right_bits),
		TEST(random_batches_agree_with_a_list),
		TEST(the_bit_comes_before_armed_goes),
		TEST(racing_interrupts_lose_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
