// SPDX-License-Identifier: BSD-3-Clause
/* The interrupt pump under threads: none lost, none after it was told to stop. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "quiver/host.h"
#include "test_host_iokit.h"

#define PATIENCE_SECONDS 60	/* then something is stuck */
#define RAISERS 4
#define ROUNDS 20000

static struct quiver_device *device;
static atomic_uint hits[QUIVER_DEXT_VECTORS_MAX];

static int setup(void **state)
{
	alarm(PATIENCE_SECONDS);
	fake_reset();
	memset(hits, 0, sizeof(hits));
	return quiver_device_open(0x100, &device);
}

static int teardown(void **state)
{
	quiver_device_close(device);
	alarm(0);
	return fake.connections || fake.objects;
}

static void count_hit(void *context, unsigned int vector)
{
	atomic_fetch_add((atomic_uint *)context + vector, 1);
}

static void turn_on(unsigned int count)
{
	assert_int_equal(quiver_irq_configure(device, QUIVER_DEXT_IRQ_MSIX, count, count_hit, hits,
					      NULL), 0);
}

static void turn_off(void)
{
	assert_int_equal(quiver_irq_configure(device, QUIVER_DEXT_IRQ_NONE, 0, NULL, NULL, NULL), 0);
}

static void wait_for_hit(unsigned int vector, unsigned int count)
{
	while (atomic_load(&hits[vector]) < count)
		sched_yield();
}

static void arguments_are_checked(void **state)
{
	unsigned int granted = 9;

	assert_int_equal(quiver_irq_configure(device, 3, 1, count_hit, hits, NULL), -EINVAL);
	assert_int_equal(quiver_irq_configure(device, QUIVER_DEXT_IRQ_MSI, 0, count_hit, hits,
					      NULL), -EINVAL);
	assert_int_equal(quiver_irq_configure(device, QUIVER_DEXT_IRQ_MSIX, 2049, count_hit, hits,
					      NULL), -EINVAL);
	assert_int_equal(quiver_irq_configure(device, QUIVER_DEXT_IRQ_MSI, 1, NULL, NULL, NULL),
			 -EINVAL);
	assert_int_equal(fake.calls[QUIVER_DEXT_IRQ_CONFIGURE], 0);
	fake.granted = 3;
	assert_int_equal(quiver_irq_configure(device, QUIVER_DEXT_IRQ_MSIX, 8, count_hit, hits,
					      &granted), 0);
	assert_int_equal(granted, 3);
}

static void a_pump_that_cannot_start_is_cleaned_up(void **state)
{
	fake.map_status = kIOReturnNoMemory;
	assert_int_equal(quiver_irq_configure(device, QUIVER_DEXT_IRQ_MSI, 1, count_hit, hits,
					      NULL), -ENOMEM);
	fake.map_status = 0;
	fake.status[QUIVER_DEXT_IRQ_WAIT] = kIOReturnNoResources;
	assert_int_equal(quiver_irq_configure(device, QUIVER_DEXT_IRQ_MSI, 1, count_hit, hits,
					      NULL), -ENOMEM);
	assert_int_equal(fake.objects, 0);
	fake.status[QUIVER_DEXT_IRQ_WAIT] = 0;
	turn_on(1);
	fake_raise(0);
	wait_for_hit(0, 1);
}

static void every_vector_reaches_its_handler(void **state)
{
	static const unsigned int vectors[] = { 0, 1, 63, 64, 65, 127, 1000, 2047 };
	size_t i;

	turn_on(2048);
	for (i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		fake_raise(vectors[i]);
		wait_for_hit(vectors[i], 1);
	}
}

static void vectors_beyond_the_count_are_dropped(void **state)
{
	turn_on(65);
	fake_raise(66);
	fake_raise(128);
	fake_raise(64);
	wait_for_hit(64, 1);
	/* The same pass over the page came by the other two. */
	fake_raise(0);
	wait_for_hit(0, 1);
	assert_int_equal(hits[66], 0);
	assert_int_equal(hits[128], 0);
}

static void bursts_cost_one_wakeup(void **state)
{
	unsigned int before;

	turn_on(64);
	fake_raise(0);
	wait_for_hit(0, 1);
	while (!__atomic_load_n(&fake.pending->armed, __ATOMIC_SEQ_CST))
		sched_yield();
	before = fake.wakeups;
	__atomic_store_n(&fake.pending->armed, 0, __ATOMIC_SEQ_CST);
	for (unsigned int i = 1; i < 32; i++)
		fake_raise(i);
	assert_int_equal(fake.wakeups, before);
	__atomic_store_n(&fake.pending->armed, 1, __ATOMIC_SEQ_CST);
	fake_raise(33);
	wait_for_hit(33, 1);
	for (unsigned int i = 1; i < 32; i++)
		wait_for_hit(i, 1);
}

/* Each raiser waits for its own interrupt, so that a lost one is a hang. */
static void *raise_and_wait(void *argument)
{
	unsigned int vector = (unsigned int)(uintptr_t)argument, i;

	for (i = 1; i <= ROUNDS; i++) {
		fake_raise(vector);
		while (atomic_load(&hits[vector]) < i)
			sched_yield();
	}
	return NULL;
}

static void none_is_lost(void **state)
{
	pthread_t thread[RAISERS];

	turn_on(512);
	for (uintptr_t i = 0; i < RAISERS; i++)
		pthread_create(&thread[i], NULL, raise_and_wait, (void *)(i * 100));
	for (unsigned int i = 0; i < RAISERS; i++)
		pthread_join(thread[i], NULL);
	for (unsigned int i = 0; i < RAISERS; i++)
		assert_int_equal(hits[i * 100], ROUNDS);
}

static atomic_bool storm_over;

static void *storm(void *argument)
{
	while (!atomic_load(&storm_over))
		fake_raise(rand() % 128);
	return NULL;
}

struct life {
	atomic_bool ended;
	atomic_uint late, calls;
};

static void live_hit(void *context, unsigned int vector)
{
	struct life *life = context;

	atomic_fetch_add(&life->calls, 1);
	for (int i = 0; i < 100; i++)
		sched_yield();
	if (atomic_load(&life->ended))
		atomic_fetch_add(&life->late, 1);
}

static void a_replaced_handler_never_runs_again(void **state)
{
	struct life lives[50] = { 0 };
	pthread_t thread;

	atomic_store(&storm_over, false);
	assert_int_equal(quiver_irq_configure(device, QUIVER_DEXT_IRQ_MSIX, 128, live_hit, &lives[0],
					      NULL), 0);
	pthread_create(&thread, NULL, storm, NULL);
	for (int i = 1; i < 50; i++) {
		while (!atomic_load(&lives[i - 1].calls))
			sched_yield();
		assert_int_equal(quiver_irq_configure(device, QUIVER_DEXT_IRQ_MSIX, 128, live_hit,
						      &lives[i], NULL), 0);
		atomic_store(&lives[i - 1].ended, true);
	}
	turn_off();
	atomic_store(&lives[49].ended, true);
	usleep(10000);
	atomic_store(&storm_over, true);
	pthread_join(thread, NULL);
	for (int i = 0; i < 50; i++)
		assert_int_equal(lives[i].late, 0);
}

static pthread_mutex_t big_lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool in_handler;

static void lock_hit(void *context, unsigned int vector)
{
	atomic_store(&in_handler, true);
	pthread_mutex_lock(&big_lock);
	atomic_fetch_add(&hits[vector], 1);
	pthread_mutex_unlock(&big_lock);
	atomic_store(&in_handler, false);
}

/* As QEMU does it: the caller holds what the handler waits for. */
static void the_same_handler_is_not_waited_for(void **state)
{
	for (unsigned int i = 0; i < 200; i++) {
		assert_int_equal(quiver_irq_configure(device, QUIVER_DEXT_IRQ_MSIX, 4, lock_hit,
						      NULL, NULL), 0);
		pthread_mutex_lock(&big_lock);
		fake_raise(1);
		while (!atomic_load(&in_handler))
			sched_yield();
		assert_int_equal(quiver_irq_configure(device, QUIVER_DEXT_IRQ_NONE, 0, lock_hit,
						      NULL, NULL), 0);
		if (i % 2)
			assert_int_equal(quiver_device_reset(device, 0, NULL), 0);
		pthread_mutex_unlock(&big_lock);
	}
}

static void reset_turns_interrupts_off(void **state)
{
	turn_on(4);
	fake_raise(0);
	wait_for_hit(0, 1);
	assert_int_equal(quiver_device_reset(device, 0, NULL), 0);
	fake_raise(1);
	usleep(10000);
	assert_int_equal(hits[1], 0);
	turn_on(4);
	fake_raise(2);
	wait_for_hit(2, 1);
	assert_int_equal(hits[1], 0);
}

static void close_during_a_storm(void **state)
{
	pthread_t thread;

	for (int i = 0; i < 50; i++) {
		atomic_store(&storm_over, false);
		turn_on(128);
		pthread_create(&thread, NULL, storm, NULL);
		usleep(100);
		/* The dext has stopped its sources when IOServiceClose() returns, not before. */
		turn_off();
		atomic_store(&storm_over, true);
		pthread_join(thread, NULL);
		quiver_device_close(device);
		assert_int_equal(quiver_device_open(0x100, &device), 0);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(arguments_are_checked),
		TEST(a_pump_that_cannot_start_is_cleaned_up),
		TEST(every_vector_reaches_its_handler),
		TEST(vectors_beyond_the_count_are_dropped),
		TEST(bursts_cost_one_wakeup),
		TEST(none_is_lost),
		TEST(a_replaced_handler_never_runs_again),
		TEST(the_same_handler_is_not_waited_for),
		TEST(reset_turns_interrupts_off),
		TEST(close_during_a_storm),
	};

	return cmocka_run_group_tests_name("host-irq", tests, NULL, NULL);
}
