// SPDX-License-Identifier: BSD-3-Clause
/* The Mac sleeps and wakes: who is told, when power goes, and what ends it. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <IOKit/IOMessage.h>
#include <IOKit/pwr_mgt/IOPMLib.h>

#include "test_dext_load.h"
#include "test_dext_mac.h"

static int start(void **unused)
{
	mac_start("--device endpoint,name=one");
	return 0;
}

static int start_two(void **unused)
{
	mac_start("--device endpoint,name=one --device nvme,name=two");
	return 0;
}

static void sleep_and_wake(void)
{
	assert_true(mac_does("sleep"));
	assert_true(mac_does("wake"));
}

static void power_goes_and_comes(void **unused)
{
	assert_false(mac_device("asleep"));
	assert_true(mac_does("sleep"));
	assert_true(mac_device("asleep"));
	assert_false(mac_device("pristine"));
	assert_true(mac_device("plugged"));
	assert_true(mac_does("wake"));
	assert_false(mac_device("asleep"));
	assert_true(mac_device("pristine"));
}

static void each_driver_is_told_each_time(void **unused)
{
	assert_int_equal(mac_calls("IOService::SetPowerState"), 0);
	assert_true(mac_does("sleep"));
	assert_int_equal(mac_calls("IOService::SetPowerState"), 2);
	assert_true(mac_does("wake"));
	assert_int_equal(mac_calls("IOService::SetPowerState"), 4);
}

static void what_makes_no_sense_is_refused(void **unused)
{
	assert_false(mac_does("wake"));
	assert_true(mac_does("unplug two"));
	assert_true(mac_does("sleep"));
	assert_false(mac_does("sleep"));
	assert_false(mac_does("plug two"));
	assert_true(mac_does("wake"));
	assert_false(mac_does("wake"));
	assert_true(mac_does("plug two"));
}

static void a_device_may_go_while_the_mac_sleeps(void **unused)
{
	io_connect_t client;

	assert_true(mac_does("sleep"));
	assert_true(mac_does("unplug one"));
	assert_true(mac_does("wake"));
	assert_false(mac_device("asleep"));
	assert_true(mac_does("plug one"));
	client = client_open_claimed();
	assert_int_equal(client_config_read(client, 0, 4), 0x00281912);
	IOServiceClose(client);
}

/* Whatever becomes of the client, the device is whole for the next one. */
static void a_device_in_use_sleeps_and_wakes(void **unused)
{
	void *memory = memory_new(GRANULE);

	for (unsigned int i = 0; i < 5; i++) {
		io_connect_t client = client_open_claimed();
		uint64_t iova, granted;

		assert_int_equal(client_dma_map(client, memory, GRANULE, &iova), 0);
		assert_int_equal(client_irq(client, QUIVER_DEXT_IRQ_MSI, 4, &granted), 0);
		assert_non_null(client_map_memory(client, QUIVER_DEXT_MEM_BAR0, NULL));
		client_master(client, true);
		sleep_and_wake();
		assert_false(mac_device("masters_bus"));
		IOServiceClose(client);
		mac_wait_device("clients", 0);
		assert_int_equal(mac_device("mappings"), 0);
	}
	memory_free(memory, GRANULE);
}

static atomic_bool has_fallen_asleep;

static void *fall_asleep(void *unused)
{
	assert_true(mac_does("sleep"));
	atomic_store(&has_fallen_asleep, true);
	return NULL;
}

/* The cable is pulled while the driver is being told: it is off at once, and nobody is confused. */
static void a_device_may_go_while_its_driver_is_told(void **unused)
{
	io_connect_t client = client_open_claimed();
	volatile uint8_t *bar = client_map_memory(client, QUIVER_DEXT_MEM_BAR0, NULL);
	pthread_t sleeper;

	atomic_store(&has_fallen_asleep, false);
	assert_true(mac_does("delay IOService::SetPowerState 300000"));
	pthread_create(&sleeper, NULL, fall_asleep, NULL);
	while (!mac_calls("IOService::SetPowerState"))
		usleep(1000);
	assert_true(mac_does("unplug one nowait"));
	assert_int_equal(bar[0x1000], 0xff);
	assert_false(atomic_load(&has_fallen_asleep));
	assert_false(mac_device("plugged"));
	pthread_join(sleeper, NULL);
	assert_true(mac_does("wake"));
	assert_true(mac_does("plug one"));
	assert_true(mac_device("pristine"));
	IOServiceClose(client);
}

#define NIGHTS	20

static void the_mac_may_sleep_under_load(void **unused)
{
	load_disturb(NIGHTS, sleep_and_wake);
}

static void a_driver_that_takes_too_long_is_a_panic(void **unused)
{
	const char *report;

	mac_start("--device endpoint --power-ms 50 --delay IOService::SetPowerState:10000000");
	assert_false(mac_does("sleep"));
	report = mac_panic();
	assert_non_null(strstr(report, "PANIC [L2]"));
	assert_non_null(strstr(report, "endpoint0"));
}

/* Nothing that it writes to config space comes through, so nobody stops the device. */
static void a_device_that_masters_the_bus_when_power_goes_fails_the_run(void **unused)
{
	io_connect_t client;

	mac_start("--device endpoint");
	client = client_open_claimed();
	client_master(client, true);
	for (unsigned int i = 1; i < 100; i++)
		free(mac_control("fail IOPCIDevice::ConfigurationWrite %u", i));
	assert_true(mac_does("sleep"));
	assert_true(mac_answers("state", "\"mastering_at_sleep\": 1"));
	assert_true(mac_does("fail IOPCIDevice::ConfigurationWrite 0"));
	assert_true(mac_does("wake"));
	IOServiceClose(client);
	assert_int_equal(mac_end(), 1);
}

static IOPMAssertionID stay_awake(void)
{
	IOPMAssertionID id;

	assert_int_equal(IOPMAssertionCreateWithName(kIOPMAssertPreventUserIdleSystemSleep,
						     kIOPMAssertionLevelOn, CFSTR("a test"), &id),
			 kIOReturnSuccess);
	return id;
}

static void an_assertion_is_there_until_it_is_released(void **unused)
{
	IOPMAssertionID id = stay_awake(), other = stay_awake();
	char pid[32];

	assert_int_not_equal(id, other);
	snprintf(pid, sizeof(pid), "\"pid\": %d", (int)getpid());
	assert_true(mac_answers("state", pid));
	assert_true(mac_answers("state", "\"type\": \"PreventUserIdleSystemSleep\""));
	assert_true(mac_answers("state", "\"name\": \"a test\""));
	assert_int_equal(IOPMAssertionRelease(id), kIOReturnSuccess);
	assert_true(mac_answers("state", pid));
	assert_int_equal(IOPMAssertionRelease(other), kIOReturnSuccess);
	assert_false(mac_answers("state", pid));
	assert_int_equal(IOPMAssertionRelease(other), kIOReturnBadArgument);
	assert_int_equal(IOPMAssertionCreateWithName(NULL, kIOPMAssertionLevelOn, CFSTR("x"), &id),
			 kIOReturnBadArgument);
}

static void an_assertion_ends_with_its_process(void **unused)
{
	pid_t child;
	int ready[2];
	char byte;

	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (!child) {
		stay_awake();
		if (write(ready[1], "", 1) == 1)
			pause();
		_exit(1);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_true(mac_answers("state", "a test"));
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	for (int i = 0; i < 1000 && mac_answers("state", "a test"); i++)
		usleep(1000);
	assert_false(mac_answers("state", "a test"));
	close(ready[0]);
	close(ready[1]);
}

/* --- who is told ------------------------------------------------------------------------------ */

static struct listener {
	io_connect_t connect;
	io_object_t notifier;
	IONotificationPortRef port;
	uint32_t heard[8];		/* messages, in their order */
	intptr_t id[8];
	unsigned int count;
} listener;

static void hear(void *context, io_service_t service, uint32_t message, void *argument)
{
	struct listener *l = context;

	assert_true(l->count < 8);
	l->id[l->count] = (intptr_t)argument;
	l->heard[l->count++] = message;
}

static void listen_begin(void)
{
	listener = (struct listener){ 0 };
	listener.connect = IORegisterForSystemPower(&listener, &listener.port, hear,
						    &listener.notifier);
	assert_int_not_equal(listener.connect, MACH_PORT_NULL);
}

static void listen_end(void)
{
	assert_int_equal(IODeregisterForSystemPower(&listener.notifier), kIOReturnSuccess);
	assert_int_equal(listener.notifier, IO_OBJECT_NULL);
	assert_int_equal(IOServiceClose(listener.connect), kIOReturnSuccess);
	IONotificationPortDestroy(listener.port);
}

/* False: nothing has come for so long. */
static bool receive(mach_msg_timeout_t ms)
{
	union {
		mach_msg_header_t header;
		char room[1024];
	} message;

	if (mach_msg(&message.header, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof(message),
		     IONotificationPortGetMachPort(listener.port), ms, MACH_PORT_NULL))
		return false;
	IODispatchCalloutFromMessage(NULL, &message.header, listener.port);
	return true;
}

#define LONG_MS		5000
#define SHORT_MS	50

static void next_is(uint32_t message)
{
	assert_true(receive(LONG_MS));
	assert_int_equal(listener.heard[listener.count - 1], message);
}

static IOReturn allow(void)
{
	return IOAllowPowerChange(listener.connect, listener.id[listener.count - 1]);
}

static void *fall_asleep_by_itself(void *unused)
{
	assert_true(mac_does("sleep idle"));
	return NULL;
}

static void clients_are_told_first_and_waited_for(void **unused)
{
	pthread_t sleeper;

	listen_begin();
	for (int i = 0; i < 2; i++) {
		uint64_t before = mac_calls("IOService::SetPowerState");

		pthread_create(&sleeper, NULL, i ? fall_asleep_by_itself : fall_asleep, NULL);
		if (i) {
			next_is(kIOMessageCanSystemSleep);
			assert_int_equal(allow(), kIOReturnSuccess);
		}
		next_is(kIOMessageSystemWillSleep);
		assert_false(receive(SHORT_MS));
		assert_int_equal(mac_calls("IOService::SetPowerState"), before);
		assert_false(mac_device("asleep"));
		assert_int_equal(allow(), kIOReturnSuccess);
		assert_int_equal(allow(), kIOReturnError);
		pthread_join(sleeper, NULL);
		assert_true(mac_device("asleep"));
		assert_true(mac_does("wake"));
		next_is(kIOMessageSystemWillPowerOn);
		next_is(kIOMessageSystemHasPoweredOn);
		assert_int_equal(allow(), kIOReturnError);
	}
	listen_end();
	assert_true(mac_answers("state", "\"unanswered\": 0"));
}

static void of_a_dark_wake_they_are_not(void **unused)
{
	pthread_t sleeper;

	listen_begin();
	pthread_create(&sleeper, NULL, fall_asleep, NULL);
	next_is(kIOMessageSystemWillSleep);
	allow();
	pthread_join(sleeper, NULL);
	assert_true(mac_does("wake dark"));
	assert_false(mac_device("asleep"));
	assert_false(mac_does("wake dark"));
	assert_true(mac_does("sleep"));
	assert_true(mac_device("asleep"));
	assert_true(mac_does("wake dark"));
	assert_false(receive(SHORT_MS));
	assert_true(mac_does("wake"));
	next_is(kIOMessageSystemWillPowerOn);
	next_is(kIOMessageSystemHasPoweredOn);
	assert_false(mac_does("wake"));
	listen_end();
}

/* simmacd is told how long that is. */
static void who_does_not_answer_is_waited_for_so_long(void **unused)
{
	mac_start("--device endpoint --answer-ms 100");
	listen_begin();
	assert_true(mac_does("sleep"));
	assert_true(mac_device("asleep"));
	assert_true(mac_answers("state", "\"unanswered\": 1"));
	next_is(kIOMessageSystemWillSleep);
	assert_int_equal(allow(), kIOReturnError);
	assert_true(mac_does("wake"));
	listen_end();
	mac_stop();
}

static void a_cable_may_be_pulled_while_they_are_waited_for(void **unused)
{
	pthread_t sleeper;

	listen_begin();
	pthread_create(&sleeper, NULL, fall_asleep, NULL);
	next_is(kIOMessageSystemWillSleep);
	assert_false(mac_does("sleep"));
	assert_false(mac_does("wake"));
	assert_true(mac_does("unplug one"));
	assert_true(mac_does("plug one"));
	allow();
	pthread_join(sleeper, NULL);
	assert_true(mac_device("asleep"));
	assert_true(mac_does("wake"));
	listen_end();
}

static void who_dies_meanwhile_has_answered(void **unused)
{
	pthread_t sleeper;
	int ready[2];
	pid_t child;
	char byte;

	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (!child) {
		listen_begin();
		if (write(ready[1], "", 1) == 1 && receive(LONG_MS) && write(ready[1], "", 1) == 1)
			pause();
		_exit(1);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	pthread_create(&sleeper, NULL, fall_asleep, NULL);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_false(mac_device("asleep"));
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	pthread_join(sleeper, NULL);
	assert_true(mac_answers("state", "\"unanswered\": 0"));
	assert_true(mac_does("wake"));
	close(ready[0]);
	close(ready[1]);
}

static void by_itself_it_sleeps_unless_an_assertion_is_against_it(void **unused)
{
	IOPMAssertionID id = stay_awake();

	assert_false(mac_does("sleep idle"));
	assert_false(mac_device("asleep"));
	assert_true(mac_does("sleep"));
	assert_true(mac_does("wake"));
	assert_int_equal(IOPMAssertionRelease(id), kIOReturnSuccess);
	assert_true(mac_does("sleep idle"));
	assert_true(mac_does("wake"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, mac_teardown)
#define TEST_TWO(name) cmocka_unit_test_setup_teardown(name, start_two, mac_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(power_goes_and_comes),
		TEST_TWO(each_driver_is_told_each_time),
		TEST_TWO(what_makes_no_sense_is_refused),
		TEST(a_device_may_go_while_the_mac_sleeps),
		TEST(a_device_in_use_sleeps_and_wakes),
		TEST(a_device_may_go_while_its_driver_is_told),
		TEST(the_mac_may_sleep_under_load),
		cmocka_unit_test(a_driver_that_takes_too_long_is_a_panic),
		cmocka_unit_test(a_device_that_masters_the_bus_when_power_goes_fails_the_run),
		TEST(an_assertion_is_there_until_it_is_released),
		TEST(an_assertion_ends_with_its_process),
		TEST(clients_are_told_first_and_waited_for),
		TEST(of_a_dark_wake_they_are_not),
		cmocka_unit_test(who_does_not_answer_is_waited_for_so_long),
		TEST(a_cable_may_be_pulled_while_they_are_waited_for),
		TEST(who_dies_meanwhile_has_answered),
		TEST(by_itself_it_sleeps_unless_an_assertion_is_against_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
