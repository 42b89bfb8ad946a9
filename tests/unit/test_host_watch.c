// SPDX-License-Identifier: BSD-3-Clause
/* Whoever watches a device is told once that it is lost, however it is lost. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>
#include <IOKit/IOMessage.h>

#include "quiver/host.h"
#include "test_host_iokit.h"

#define PATIENCE_SECONDS 60	/* then something is stuck */

static struct quiver_device *device;

static struct told {
	atomic_uint times;
	enum quiver_dext_cause cause;
	int error;			/* of a call that the handler makes */
} told;

static int setup(void **state)
{
	alarm(PATIENCE_SECONDS);
	fake_reset();
	told = (struct told){ .error = 1 };
	return quiver_device_open(0x100, &device);
}

static void close_device(void)
{
	quiver_device_close(device);
	device = NULL;
}

static atomic_bool gate_is_shut;

/* After a test that failed, too: nobody waits at the gate, and the Mac is awake. */
static int teardown(void **state)
{
	atomic_store(&gate_is_shut, false);
	fake_notice(kIOMessageSystemHasPoweredOn, 0);
	close_device();
	alarm(0);
	return fake.connections || fake.objects;
}

static void note(void *context, enum quiver_dext_cause cause)
{
	struct told *to = context;

	to->cause = cause;
	atomic_fetch_add(&to->times, 1);
}

static void watch(void)
{
	assert_int_equal(quiver_device_watch(device, note, &told), 0);
}

static void wait_until_told(void)
{
	while (!atomic_load(&told.times))
		sched_yield();
}

/* The thread has looked at everything that came before, and waits again. */
static void settle(void)
{
	unsigned int before = atomic_load(&fake.receives);

	fake_lose(fake.pending->lost);
	while (atomic_load(&fake.receives) == before)
		sched_yield();
	before = atomic_load(&fake.receives);
	fake_lose(fake.pending->lost);
	while (atomic_load(&fake.receives) == before)
		sched_yield();
}

static void pass_time(void)
{
	fake_silence();
	while (atomic_load(&fake.silent))
		sched_yield();
	settle();
}

static void count_hit(void *context, unsigned int vector)
{
	atomic_fetch_add((atomic_uint *)context, 1);
}

static void interrupts_on(atomic_uint *hits)
{
	assert_int_equal(quiver_irq_configure(device, QUIVER_DEXT_IRQ_MSIX, 4, count_hit, hits, NULL),
			 0);
}

static void a_loss_is_told_once_and_why(void **state)
{
	watch();
	settle();
	assert_int_equal(told.times, 0);
	fake_lose(QUIVER_DEXT_CAUSE_SLEEP);
	wait_until_told();
	assert_int_equal(told.cause, QUIVER_DEXT_CAUSE_SLEEP);
	fake_lose(QUIVER_DEXT_CAUSE_UNPLUGGED);
	settle();
	fake.disconnected = true;
	pass_time();
	assert_int_equal(told.times, 1);
	assert_int_equal(told.cause, QUIVER_DEXT_CAUSE_SLEEP);
}

static void interrupts_and_the_watch_share_a_thread(void **state)
{
	atomic_uint hits = 0;

	for (int i = 0; i < 2; i++) {
		if (i)
			interrupts_on(&hits);
		else
			watch();
	}
	assert_int_equal(fake.calls[QUIVER_DEXT_IRQ_WAIT], 1);
	fake_raise(2);
	while (!hits)
		sched_yield();
	fake_lose(QUIVER_DEXT_CAUSE_UNPLUGGED);
	wait_until_told();
	assert_int_equal(told.cause, QUIVER_DEXT_CAUSE_UNPLUGGED);
}

static void who_watches_too_late_is_told_at_once(void **state)
{
	atomic_uint hits = 0;

	interrupts_on(&hits);
	fake_lose(QUIVER_DEXT_CAUSE_SILENT);
	settle();
	watch();
	wait_until_told();
	assert_int_equal(told.cause, QUIVER_DEXT_CAUSE_SILENT);
}

/* A dext that has let go gives no page, and takes no port. */
static void even_if_the_dext_gives_nothing_any_more(void **state)
{
	fake.identity.state = QUIVER_DEXT_GONE;
	fake.identity.cause = QUIVER_DEXT_CAUSE_RESET;
	fake.status[QUIVER_DEXT_IRQ_WAIT] = kIOReturnNoDevice;
	watch();
	wait_until_told();
	assert_int_equal(told.cause, QUIVER_DEXT_CAUSE_RESET);
	assert_int_equal(fake.unmaps, 1);
	assert_int_equal(quiver_device_watch(device, note, &told), -EALREADY);
	fake.status[QUIVER_DEXT_IRQ_CONFIGURE] = kIOReturnNoDevice;
	assert_int_equal(quiver_irq_configure(device, QUIVER_DEXT_IRQ_MSI, 1, count_hit, &told, NULL),
			 -ENODEV);
	assert_int_equal(told.times, 1);
}

static void even_if_nobody_is_left_to_say_why(void **state)
{
	fake.disconnected = true;
	watch();
	wait_until_told();
	assert_int_equal(told.cause, QUIVER_DEXT_CAUSE_NONE);
}

static void a_dext_that_died_is_missed(void **state)
{
	watch();
	pass_time();
	assert_int_equal(told.times, 0);
	assert_in_range(fake.patience, 1, QUIVER_LOST_SECONDS * 1000 / 2);
	fake.disconnected = true;
	pass_time();
	assert_int_equal(told.times, 1);
	assert_int_equal(told.cause, QUIVER_DEXT_CAUSE_NONE);
}

static void one_that_cannot_be_reached_is_missed_too(void **state)
{
	watch();
	fake.status[QUIVER_DEXT_IDENTIFY] = MACH_SEND_INVALID_DEST;
	pass_time();
	assert_int_equal(told.times, 1);
}

static void other_failures_are_no_loss(void **state)
{
	static const kern_return_t status[] = { kIOReturnError, kIOReturnNoMemory,
						kIOReturnNotPermitted };

	watch();
	for (size_t i = 0; i < sizeof(status) / sizeof(status[0]); i++) {
		fake.status[QUIVER_DEXT_IDENTIFY] = status[i];
		pass_time();
	}
	assert_int_equal(told.times, 0);
}

static void nobody_is_asked_for_nothing(void **state)
{
	atomic_uint hits = 0;
	unsigned int before = fake.calls[QUIVER_DEXT_IDENTIFY];

	interrupts_on(&hits);
	pass_time();		/* nobody watches */
	watch();
	settle();		/* messages come */
	assert_int_equal(fake.calls[QUIVER_DEXT_IDENTIFY], before);
	pass_time();
	assert_int_equal(fake.calls[QUIVER_DEXT_IDENTIFY], before + 1);
	fake_lose(QUIVER_DEXT_CAUSE_SLEEP);
	wait_until_told();
	pass_time();		/* it is known */
	assert_int_equal(fake.calls[QUIVER_DEXT_IDENTIFY], before + 1);
}

static void a_device_is_watched_once(void **state)
{
	watch();
	assert_int_equal(quiver_device_watch(device, note, NULL), -EALREADY);
	fake_lose(QUIVER_DEXT_CAUSE_SLEEP);
	wait_until_told();
	assert_int_equal(quiver_device_watch(device, note, &told), -EALREADY);
	settle();
	assert_int_equal(told.times, 1);
}

static void a_watch_that_cannot_begin_is_none(void **state)
{
	fake.map_status = kIOReturnNoMemory;
	assert_int_equal(quiver_device_watch(device, note, &told), -ENOMEM);
	fake.map_status = 0;
	fake.status[QUIVER_DEXT_IRQ_WAIT] = kIOReturnNoResources;
	assert_int_equal(quiver_device_watch(device, note, &told), -ENOMEM);
	assert_int_equal(fake.objects, 0);
	fake.status[QUIVER_DEXT_IRQ_WAIT] = 0;
	watch();
	fake_lose(QUIVER_DEXT_CAUSE_UNPLUGGED);
	wait_until_told();
	assert_int_equal(told.times, 1);
}

static void call_all(void *context, enum quiver_dext_cause cause)
{
	struct quiver_dma dma = { .op = QUIVER_UNMAP, .length = 0x4000, .iova = 0x4000 };
	uint32_t value;

	told.error = quiver_irq_configure(device, QUIVER_DEXT_IRQ_NONE, 0, NULL, NULL, NULL) ||
		     quiver_device_reset(device, 0, NULL) || quiver_dma_batch(device, &dma, 1) ||
		     quiver_config_read(device, 0, 4, &value);
	note(context, cause);
}

static void the_handler_may_call_what_it_likes(void **state)
{
	atomic_uint hits = 0;

	interrupts_on(&hits);
	assert_int_equal(quiver_device_watch(device, call_all, &told), 0);
	fake_lose(QUIVER_DEXT_CAUSE_UNPLUGGED);
	wait_until_told();
	assert_int_equal(told.error, 0);
}

static atomic_bool in_handler;

static void wait_at_gate(void *context, enum quiver_dext_cause cause)
{
	atomic_store(&in_handler, true);
	while (atomic_load(&gate_is_shut))
		sched_yield();
	note(context, cause);
}

/* Who watches is told, and does not return before the gate is open. */
static void watch_and_wait(void)
{
	atomic_store(&in_handler, false);
	atomic_store(&gate_is_shut, true);
	assert_int_equal(quiver_device_watch(device, wait_at_gate, &told), 0);
}

static void open_gate(void)
{
	atomic_store(&gate_is_shut, false);
}

/* As QEMU does it: the caller holds what the handler waits for. */
static void calls_do_not_wait_for_the_handler(void **state)
{
	atomic_uint hits = 0;

	interrupts_on(&hits);
	watch_and_wait();
	fake_lose(QUIVER_DEXT_CAUSE_SLEEP);
	while (!atomic_load(&in_handler))
		sched_yield();
	interrupts_on(&hits);
	assert_int_equal(quiver_irq_configure(device, QUIVER_DEXT_IRQ_NONE, 0, NULL, NULL, NULL), 0);
	assert_int_equal(quiver_device_reset(device, 0, NULL), 0);
	assert_int_equal(told.times, 0);
	open_gate();
	wait_until_told();
}

static void *close_it(void *unused)
{
	close_device();
	return NULL;
}

static void closing_waits_for_the_handler(void **state)
{
	pthread_t closer;

	unsigned int early;

	watch_and_wait();
	fake_lose(QUIVER_DEXT_CAUSE_SLEEP);
	while (!atomic_load(&in_handler))
		sched_yield();
	pthread_create(&closer, NULL, close_it, NULL);
	for (int i = 0; i < 1000; i++)
		sched_yield();
	early = 1 - fake.connections;
	open_gate();
	pthread_join(closer, NULL);
	assert_int_equal(early, 0);
	assert_int_equal(told.times, 1);
}

static void closing_at_the_moment_of_the_loss(void **state)
{
	for (int i = 0; i < 500; i++) {
		atomic_store(&told.times, 0);
		watch();
		if (i % 3)
			fake_lose(QUIVER_DEXT_CAUSE_UNPLUGGED);
		if (i % 3 == 2)
			fake_silence();
		close_device();
		assert_in_range(told.times, 0, 1);
		fake.pending->lost = 0;
		assert_int_equal(quiver_device_open(0x100, &device), 0);
	}
}

/* --- the notice of sleep ---------------------------------------------------------------------- */

static void wait_until_answered(intptr_t id)
{
	while (atomic_load(&fake.answered) != id)
		sched_yield();
}

static void wake_up(void)
{
	struct quiver_device *other;
	int error;

	fake_notice(kIOMessageSystemHasPoweredOn, 0);
	do {
		error = quiver_device_open(0x100, &other);
	} while (error == -EAGAIN);
	assert_int_equal(error, 0);
	quiver_device_close(other);
}

static void hang(void)
{
	watch_and_wait();
	fake_notice(kIOMessageSystemWillSleep, 7);
	while (!atomic_load(&in_handler))
		sched_yield();
}

static void sleep_waits_for_the_watcher(void **state)
{
	unsigned int early;

	hang();
	fake_patience();
	early = fake.answers;
	open_gate();
	assert_int_equal(early, 0);
	wait_until_answered(7);
	assert_int_equal(told.times, 1);
	assert_int_equal(told.cause, QUIVER_DEXT_CAUSE_SLEEP);
	wake_up();
}

static void but_not_for_ever(void **state)
{
	unsigned int early, later;

	hang();
	for (int i = 1; i < QUIVER_SLEEP_SECONDS * 1000 / (int)atomic_load(&fake.patience); i++)
		fake_patience();
	early = fake.answers;
	fake_patience();
	/* The one after it has been waited for, so the answer to that one is out. */
	fake_patience();
	later = fake.answers;
	open_gate();
	assert_int_equal(early, 0);
	assert_int_equal(later, 1);
	wait_until_told();
	wake_up();
	assert_int_equal(fake.answers, 1);
}

static void of_sleep_it_is_told_once(void **state)
{
	watch();
	fake_notice(kIOMessageSystemWillSleep, 7);
	wait_until_answered(7);
	fake_lose(QUIVER_DEXT_CAUSE_SLEEP);
	settle();
	wake_up();
	assert_int_equal(told.times, 1);
	assert_int_equal(told.cause, QUIVER_DEXT_CAUSE_SLEEP);
	assert_int_equal(fake.answers, 1);
}

static void where_nobody_watches_nothing_is_waited_for(void **state)
{
	fake_notice(kIOMessageSystemWillSleep, 8);
	wait_until_answered(8);
	/* What is watched from now on is lost already. */
	watch();
	wait_until_told();
	assert_int_equal(told.cause, QUIVER_DEXT_CAUSE_SLEEP);
	wake_up();
}

static void the_question_is_no_sleep_yet(void **state)
{
	watch();
	fake_notice(kIOMessageCanSystemSleep, 3);
	wait_until_answered(3);
	fake_notice(kIOMessageSystemWillNotSleep, 0);
	fake_notice(kIOMessageSystemWillSleep, 4);
	wait_until_answered(4);
	assert_int_equal(fake.answers, 2);
	assert_int_equal(told.times, 1);
	wake_up();
}

static void nothing_is_opened_until_the_mac_is_awake(void **state)
{
	struct quiver_device *other;

	watch();
	fake_notice(kIOMessageSystemWillSleep, 9);
	wait_until_answered(9);
	close_device();
	assert_int_equal(fake.registrations, 1);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(quiver_device_open(0x100, &other), -EAGAIN);
		fake_notice(kIOMessageSystemWillPowerOn, 0);
		fake_patience();
	}
	assert_int_equal(fake.connections, 0);
	wake_up();
	assert_int_equal(quiver_device_open(0x100, &device), 0);
}

/* The handler may still see to it that nobody reaches a BAR. */
static void closing_does_not_hasten_the_answer(void **state)
{
	unsigned int early;
	pthread_t closer;

	hang();
	pthread_create(&closer, NULL, close_it, NULL);
	for (int i = 0; i < 5; i++) {
		usleep(10000);
		fake_patience();
	}
	early = fake.answers;
	open_gate();
	pthread_join(closer, NULL);
	assert_int_equal(early, 0);
	wait_until_answered(7);
	assert_int_equal(told.times, 1);
	wake_up();
}

static void the_last_question_is_answered_too(void **state)
{
	fake.last_question = 12;
	close_device();
	while (atomic_load(&fake.registrations))
		sched_yield();
	fake.last_question = 0;
	assert_int_equal(fake.answered, 12);
	assert_int_equal(fake.answers, 1);
	/* What nobody has is not kept from anybody. */
	assert_int_equal(quiver_device_open(0x100, &device), 0);
}

static void who_cannot_hear_of_sleep_opens_nothing(void **state)
{
	struct quiver_device *other;

	close_device();
	while (atomic_load(&fake.registrations))
		sched_yield();
	fake.deaf = true;
	assert_int_equal(quiver_device_open(0x100, &other), -EIO);
	assert_int_equal(fake.connections, 0);
	fake.deaf = false;
	assert_int_equal(quiver_device_open(0x100, &device), 0);
	assert_int_equal(fake.registrations, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_loss_is_told_once_and_why),
		TEST(interrupts_and_the_watch_share_a_thread),
		TEST(who_watches_too_late_is_told_at_once),
		TEST(even_if_the_dext_gives_nothing_any_more),
		TEST(even_if_nobody_is_left_to_say_why),
		TEST(a_dext_that_died_is_missed),
		TEST(one_that_cannot_be_reached_is_missed_too),
		TEST(other_failures_are_no_loss),
		TEST(nobody_is_asked_for_nothing),
		TEST(a_device_is_watched_once),
		TEST(a_watch_that_cannot_begin_is_none),
		TEST(the_handler_may_call_what_it_likes),
		TEST(calls_do_not_wait_for_the_handler),
		TEST(closing_waits_for_the_handler),
		TEST(closing_at_the_moment_of_the_loss),
		TEST(sleep_waits_for_the_watcher),
		TEST(but_not_for_ever),
		TEST(of_sleep_it_is_told_once),
		TEST(where_nobody_watches_nothing_is_waited_for),
		TEST(the_question_is_no_sleep_yet),
		TEST(nothing_is_opened_until_the_mac_is_awake),
		TEST(closing_does_not_hasten_the_answer),
		TEST(the_last_question_is_answered_too),
		TEST(who_cannot_hear_of_sleep_opens_nothing),
	};

	return cmocka_run_group_tests_name("host-watch", tests, NULL, NULL);
}
