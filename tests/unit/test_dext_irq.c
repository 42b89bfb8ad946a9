// SPDX-License-Identifier: BSD-3-Clause
/* Interrupts: from the device to the pending page and the wake-up. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "test_dext_mac.h"

#define VECTORS 64u

struct client {
	io_connect_t connect;
	struct quiver_dext_pending *page;
	mach_port_t port;
};

static int start(void **unused)
{
	mac_start("--device endpoint");
	return 0;
}

static int start_sticky(void **unused)
{
	mac_start("--device endpoint --sticky-interrupts");
	return 0;
}

static void wait_on(struct client *client, mach_port_t port)
{
	uint64_t reference[8] = { 0 };

	assert_int_equal(IOConnectCallAsyncScalarMethod(client->connect, QUIVER_DEXT_IRQ_WAIT,
							port, reference, 3, NULL, 0, NULL, NULL),
			 kIOReturnSuccess);
}

static struct client set_up(uint64_t type, uint64_t count)
{
	struct client client = { .connect = client_open_claimed() };
	uint64_t granted = 0;

	client.page = client_map_memory(client.connect, QUIVER_DEXT_MEM_PENDING, NULL);
	assert_non_null(client.page);
	assert_int_equal(mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE,
					    &client.port), 0);
	wait_on(&client, client.port);
	assert_int_equal(client_irq(client.connect, type, count, &granted), kIOReturnSuccess);
	assert_int_equal(granted, count);
	client_master(client.connect, true);
	return client;
}

static void tear_down(struct client *client)
{
	IOServiceClose(client->connect);
	mach_port_deallocate(mach_task_self(), client->port);
}

/* Whether a wake-up came within so many milliseconds. */
static bool woken_on(mach_port_t port, unsigned int ms)
{
	union {
		mach_msg_header_t header;
		char room[1024];
	} message;

	return mach_msg(&message.header, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof(message), port,
			ms, MACH_PORT_NULL) == MACH_MSG_SUCCESS;
}

static void arm(struct client *client)
{
	__atomic_store_n(&client->page->armed, 1, __ATOMIC_SEQ_CST);
}

static uint64_t take(struct client *client, unsigned int word)
{
	return __atomic_exchange_n(&client->page->bits[word], 0, __ATOMIC_SEQ_CST);
}

static void raise_vectors(unsigned int first, unsigned int count)
{
	char *answer = mac_control("raise endpoint0 %u %u", first, count);

	assert_non_null(answer);
	free(answer);
}

static void an_interrupt_sets_its_bit_and_wakes_once(void **unused)
{
	struct client client = set_up(QUIVER_DEXT_IRQ_MSIX, VECTORS);
	struct quiver_dext_stats stats;

	arm(&client);
	raise_vectors(37, 1);
	assert_true(woken_on(client.port, 2000));
	assert_int_equal(take(&client, 0), 1ull << 37);
	assert_int_equal(client.page->armed, 0);
	assert_false(woken_on(client.port, 20));
	/* Not armed: the bit comes, no wake-up does. */
	raise_vectors(3, 1);
	assert_false(woken_on(client.port, 50));
	assert_int_equal(take(&client, 0), 1ull << 3);
	assert_int_equal(client_stats(client.connect, &stats), kIOReturnSuccess);
	assert_int_equal(stats.interrupts, 2);
	assert_int_equal(stats.wakeups, 1);
	tear_down(&client);
}

/* By the device's own hand: a register of the endpoint raises a vector. */
static void the_device_raises_it(void **unused)
{
	struct client client = set_up(QUIVER_DEXT_IRQ_MSI, 32);
	volatile uint32_t *regs = client_map_memory(client.connect, QUIVER_DEXT_MEM_BAR0, NULL);

	for (unsigned int number = 1; number <= 32; number++) {
		arm(&client);
		regs[0x24 / 4] = 1;
		regs[0x28 / 4] = number;
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		regs[0x04 / 4] = 1 << 1;
		assert_true(woken_on(client.port, 2000));
		assert_int_equal(take(&client, 0), 1ull << (number - 1));
	}
	tear_down(&client);
}

#define RAISERS 4u
#define ROUNDS 200u

static atomic_uint raised[VECTORS], raisers_done;

static void *raiser(void *argument)
{
	unsigned int seed = (unsigned int)(uintptr_t)argument;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		unsigned int first = (unsigned int)rand_r(&seed) % VECTORS;
		unsigned int count = 1 + (unsigned int)rand_r(&seed) % (VECTORS - first);

		raise_vectors(first, count);
		for (unsigned int vector = first; vector < first + count; vector++)
			atomic_fetch_add(&raised[vector], 1);
	}
	atomic_fetch_add(&raisers_done, 1);
	return NULL;
}

/* As the host's pump does it: arms, takes, and sleeps until it is woken. */
static uint64_t pump(struct client *client)
{
	uint64_t seen = 0, taken;

	for (;;) {
		arm(client);
		taken = take(client, 0);
		seen |= taken;
		if (taken || woken_on(client->port, 200))
			continue;
		/* Bits that nobody wakes us for are what must not be. */
		if (client->page->bits[0] && !woken_on(client->port, 2000))
			fail_msg("a lost wake-up: armed %u, bits 0x%llx", client->page->armed,
				 (unsigned long long)client->page->bits[0]);
		if (atomic_load(&raisers_done) == RAISERS && !client->page->bits[0])
			return seen;
	}
}

static void no_wake_up_is_lost(void **unused)
{
	struct client client = set_up(QUIVER_DEXT_IRQ_MSIX, VECTORS);
	pthread_t threads[RAISERS];
	uint64_t seen;

	atomic_store(&raisers_done, 0);
	for (unsigned int i = 0; i < RAISERS; i++)
		pthread_create(&threads[i], NULL, raiser, (void *)(uintptr_t)(i + 1));
	seen = pump(&client);
	for (unsigned int i = 0; i < RAISERS; i++)
		pthread_join(threads[i], NULL);
	for (unsigned int vector = 0; vector < VECTORS; vector++)
		assert_int_equal(seen >> vector & 1, atomic_load(&raised[vector]) != 0);
	/* Quiet at last, and armed: one more must still get through. */
	for (unsigned int vector = 0; vector < VECTORS; vector++) {
		raise_vectors(vector, 1);
		assert_true(woken_on(client.port, 2000));
		assert_int_equal(take(&client, 0), 1ull << vector);
		arm(&client);
	}
	tear_down(&client);
}

static void a_hostile_page_does_no_harm(void **unused)
{
	struct client client = set_up(QUIVER_DEXT_IRQ_MSIX, VECTORS);

	for (unsigned int i = 0; i < 64; i++) {
		memset(client.page, (int)(0xff - i), QUIVER_DEXT_PENDING_SIZE);
		raise_vectors(i, 1);
		assert_true(woken_on(client.port, 2000));
		assert_int_equal(client.page->armed, 0);
	}
	memset(client.page, 0, QUIVER_DEXT_PENDING_SIZE);
	assert_int_equal(client_state(client.connect), QUIVER_DEXT_LIVE);
	tear_down(&client);
}

static void configuring_anew_replaces(void **unused)
{
	struct client client = set_up(QUIVER_DEXT_IRQ_MSIX, VECTORS);
	uint64_t granted;

	raise_vectors(5, 1);
	for (int i = 0; i < 2000 && !client.page->bits[0]; i++)
		assert_false(woken_on(client.port, 1));
	assert_int_equal(client_irq(client.connect, QUIVER_DEXT_IRQ_MSIX, 4, &granted),
			 kIOReturnSuccess);
	assert_int_equal(granted, 4);
	assert_int_equal(client.page->bits[0], 0);
	assert_int_equal(client.page->armed, 0);
	arm(&client);
	raise_vectors(5, 1);
	assert_false(woken_on(client.port, 50));
	raise_vectors(2, 1);
	assert_true(woken_on(client.port, 2000));
	assert_int_equal(take(&client, 0), 1u << 2);
	assert_int_equal(client_irq(client.connect, QUIVER_DEXT_IRQ_NONE, 0, &granted),
			 kIOReturnSuccess);
	assert_int_equal(granted, 0);
	arm(&client);
	raise_vectors(2, 1);
	assert_false(woken_on(client.port, 50));
	tear_down(&client);
}

static void another_port_takes_over(void **unused)
{
	struct client client = set_up(QUIVER_DEXT_IRQ_MSIX, VECTORS);
	mach_port_t other;

	assert_int_equal(mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &other), 0);
	wait_on(&client, other);
	arm(&client);
	raise_vectors(1, 1);
	assert_true(woken_on(other, 2000));
	assert_false(woken_on(client.port, 20));
	mach_port_deallocate(mach_task_self(), other);
	/* Nobody listens any more: the dext does not mind. */
	arm(&client);
	raise_vectors(2, 1);
	for (int i = 0; i < 2000 && client.page->armed; i++)
		assert_false(woken_on(client.port, 1));
	assert_int_equal(client.page->armed, 0);
	tear_down(&client);
}

static void arguments_are_checked(void **unused)
{
	struct client client = set_up(QUIVER_DEXT_IRQ_MSIX, 1);
	const struct { uint64_t type, count; } bad[] = {
		{ 0, 1 }, { 1, 0 }, { 1, 33 }, { 2, 0 }, { 2, 2049 }, { 3, 1 },
		{ UINT64_MAX, 1 }, { 1ull << 32 | 1, 1 }, { 1, 1ull << 32 | 1 },
	};
	uint64_t granted;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(client_irq(client.connect, bad[i].type, bad[i].count, &granted),
				 kIOReturnBadArgument);
	/* What was is left alone by what was refused. */
	arm(&client);
	raise_vectors(0, 1);
	assert_true(woken_on(client.port, 2000));
	assert_int_equal(client_irq(client.connect, QUIVER_DEXT_IRQ_MSIX, 2048, &granted),
			 kIOReturnSuccess);
	assert_int_equal(granted, VECTORS);
	tear_down(&client);
}

static void reset_ends_interrupts(void **unused)
{
	struct client client = set_up(QUIVER_DEXT_IRQ_MSIX, VECTORS);
	uint64_t dropped, granted;

	assert_int_equal(client_reset(client.connect, &dropped), kIOReturnSuccess);
	client_master(client.connect, true);
	arm(&client);
	raise_vectors(0, VECTORS);
	assert_false(woken_on(client.port, 50));
	assert_int_equal(client.page->bits[0], 0);
	/* The port stays, until the client closes. */
	assert_int_equal(client_irq(client.connect, QUIVER_DEXT_IRQ_MSIX, VECTORS, &granted),
			 kIOReturnSuccess);
	arm(&client);
	raise_vectors(9, 1);
	assert_true(woken_on(client.port, 2000));
	tear_down(&client);
}

static void the_kind_can_change(void **unused)
{
	struct client client = set_up(QUIVER_DEXT_IRQ_MSI, 8);
	uint64_t granted;

	assert_int_equal(client_irq(client.connect, QUIVER_DEXT_IRQ_MSIX, VECTORS, &granted),
			 kIOReturnSuccess);
	assert_int_equal(granted, VECTORS);
	arm(&client);
	raise_vectors(VECTORS - 1, 1);
	assert_true(woken_on(client.port, 2000));
	tear_down(&client);
}

/* A function that keeps the kind it first had is used as it is. */
static void a_kind_that_stays_is_made_do_with(void **unused)
{
	struct client client = set_up(QUIVER_DEXT_IRQ_MSI, 1);
	uint64_t granted;

	assert_int_equal(client_irq(client.connect, QUIVER_DEXT_IRQ_MSIX, VECTORS, &granted),
			 kIOReturnSuccess);
	assert_int_equal(granted, 32);
	arm(&client);
	raise_vectors(31, 1);
	assert_true(woken_on(client.port, 2000));
	assert_int_equal(take(&client, 0), 1ull << 31);
	tear_down(&client);
}

static int start_slow(void **unused)
{
	mac_start("--device endpoint --cancel-ms 1500");
	return 0;
}

#define ENDING_MAX (2 * QUIVER_DEXT_VECTORS_MAX)

/* A client that sets them up over and over waits in the end for those that are on their way out. */
static void those_that_are_ending_are_bounded(void **unused)
{
	struct client client = set_up(QUIVER_DEXT_IRQ_MSIX, VECTORS);
	unsigned int rounds = 1;
	kern_return_t result;
	uint64_t granted;

	do {
		result = client_irq(client.connect, QUIVER_DEXT_IRQ_MSIX, VECTORS, &granted);
		rounds += !result;
	} while (!result && rounds <= 2 * ENDING_MAX / VECTORS);
	assert_int_equal(result, kIOReturnNoResources);
	assert_int_equal(rounds, ENDING_MAX / VECTORS);
	/* They end, and then there is room again. */
	for (unsigned int i = 0; result && i < 1000; i++) {
		usleep(10000);
		result = client_irq(client.connect, QUIVER_DEXT_IRQ_MSIX, VECTORS, &granted);
	}
	assert_int_equal(result, kIOReturnSuccess);
	arm(&client);
	raise_vectors(VECTORS - 1, 1);
	assert_true(woken_on(client.port, 2000));
	tear_down(&client);
}

/* Sources end while they deliver: nothing is touched that is gone. */
static void closing_under_fire(void **unused)
{
	pthread_t threads[RAISERS];
	struct client client;

	for (unsigned int i = 0; i < RAISERS; i++)
		pthread_create(&threads[i], NULL, raiser, (void *)(uintptr_t)(i + 1));
	for (unsigned int i = 0; i < 20; i++) {
		client = set_up(QUIVER_DEXT_IRQ_MSIX, VECTORS);
		arm(&client);
		woken_on(client.port, 2);
		tear_down(&client);
	}
	for (unsigned int i = 0; i < RAISERS; i++)
		pthread_join(threads[i], NULL);
}

static atomic_bool ceased;

static void *raise_first(void *unused)
{
	while (!atomic_load(&ceased))
		raise_vectors(0, 1);
	return NULL;
}

/* One that is simply let go, for it cannot be cancelled, may deliver at that moment. */
static void a_source_that_cannot_be_cancelled_goes_under_fire(void **unused)
{
	struct client client = set_up(QUIVER_DEXT_IRQ_MSIX, 1);
	pthread_t thread;
	uint64_t granted;

	assert_int_equal(pthread_create(&thread, NULL, raise_first, NULL), 0);
	for (unsigned int i = 0; i < 200; i++) {
		arm(&client);
		assert_true(woken_on(client.port, 2000));
		assert_true(mac_does("fail IOInterruptDispatchSource::Cancel 1"));
		assert_int_equal(client_irq(client.connect, QUIVER_DEXT_IRQ_MSIX, 1, &granted),
				 kIOReturnSuccess);
	}
	atomic_store(&ceased, true);
	pthread_join(thread, NULL);
	tear_down(&client);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, mac_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_interrupt_sets_its_bit_and_wakes_once),
		TEST(the_device_raises_it),
		TEST(no_wake_up_is_lost),
		TEST(a_hostile_page_does_no_harm),
		TEST(configuring_anew_replaces),
		TEST(another_port_takes_over),
		TEST(arguments_are_checked),
		TEST(reset_ends_interrupts),
		TEST(the_kind_can_change),
		cmocka_unit_test_setup_teardown(a_kind_that_stays_is_made_do_with, start_sticky,
						mac_teardown),
		cmocka_unit_test_setup_teardown(those_that_are_ending_are_bounded, start_slow,
						mac_teardown),
		TEST(closing_under_fire),
		TEST(a_source_that_cannot_be_cancelled_goes_under_fire),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
