// SPDX-License-Identifier: BSD-3-Clause
/* Calls of the simulated Mac that are made to fail: all can, one by one or several at once. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <sys/sysctl.h>
#include <CoreFoundation/CoreFoundation.h>
#include <IOKit/IOMessage.h>
#include <IOKit/pwr_mgt/IOPMLib.h>

#include "test_dext_mac.h"

static int start(void **unused)
{
	mac_start("--device endpoint");
	return 0;
}

static io_registry_entry_t entry;
static io_connect_t client;

static bool gets_services(void)
{
	io_iterator_t iterator;

	if (IOServiceGetMatchingServices(kIOMainPortDefault, IOServiceMatching("IOService"),
					 &iterator))
		return false;
	IOObjectRelease(iterator);
	return true;
}

static bool gets_name(void)
{
	io_name_t name;

	return !IORegistryEntryGetName(entry, name);
}

static bool gets_class(void)
{
	io_name_t name;

	return !IOObjectGetClass(entry, name);
}

static bool gets_parent(void)
{
	io_registry_entry_t parent;

	if (IORegistryEntryGetParentEntry(entry, kIOServicePlane, &parent))
		return false;
	IOObjectRelease(parent);
	return true;
}

static bool gets_children(void)
{
	io_iterator_t iterator;

	if (IORegistryEntryGetChildIterator(entry, kIOServicePlane, &iterator))
		return false;
	IOObjectRelease(iterator);
	return true;
}

static bool gets_property(void)
{
	CFTypeRef property = IORegistryEntrySearchCFProperty(entry, kIOServicePlane,
							     CFSTR("IOUserClass"),
							     kCFAllocatorDefault, 0);

	if (!property)
		return false;
	CFRelease(property);
	return true;
}

static bool opens(void)
{
	io_connect_t other;

	if (IOServiceOpen(entry, mach_task_self(), 0, &other))
		return false;
	IOServiceClose(other);
	return true;
}

static bool calls_method(void)
{
	struct quiver_dext_identity identity;

	return !client_identify(client, &identity);
}

static bool calls_later(void)
{
	uint64_t reference[kIOAsyncCalloutCount] = { 0 };
	mach_port_t port;
	kern_return_t result;

	assert_int_equal(mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &port), 0);
	result = IOConnectCallAsyncScalarMethod(client, QUIVER_DEXT_IRQ_WAIT, port, reference,
						kIOAsyncCalloutCount, NULL, 0, NULL, NULL);
	mach_port_deallocate(mach_task_self(), port);
	return !result;
}

static bool maps_memory(void)
{
	return client_map_memory(client, QUIVER_DEXT_MEM_PENDING, NULL);
}

static bool unmaps_memory(void)
{
	void *page = client_map_memory(client, QUIVER_DEXT_MEM_BAR0 + 1, NULL);

	return !IOConnectUnmapMemory64(client, QUIVER_DEXT_MEM_BAR0 + 1, mach_task_self(),
				       (uintptr_t)page);
}

static bool allocates_port(void)
{
	mach_port_t port;

	if (mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &port))
		return false;
	mach_port_deallocate(mach_task_self(), port);
	return true;
}

static bool creates_notification_port(void)
{
	IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);

	if (port)
		IONotificationPortDestroy(port);
	return port;
}

static bool reads_sysctl(void)
{
	char text[64];
	size_t size = sizeof(text);

	return !sysctlbyname("hw.model", text, &size, NULL, 0);
}

static bool asserts_power(void)
{
	IOPMAssertionID id;

	if (IOPMAssertionCreateWithName(kIOPMAssertPreventUserIdleSystemSleep,
					kIOPMAssertionLevelOn, CFSTR("x"), &id))
		return false;
	IOPMAssertionRelease(id);
	return true;
}

static void ignore(void *context, io_service_t service, uint32_t message, void *argument)
{
}

static bool hears_of_sleep(void)
{
	IONotificationPortRef port;
	io_object_t notifier;
	io_connect_t connect = IORegisterForSystemPower(NULL, &port, ignore, &notifier);

	if (!connect)
		return false;
	IODeregisterForSystemPower(&notifier);
	IOServiceClose(connect);
	IONotificationPortDestroy(port);
	return true;
}

static intptr_t notice;

static void note(void *context, io_service_t service, uint32_t message, void *argument)
{
	if (message == kIOMessageSystemWillSleep)
		notice = (intptr_t)argument;
}

static void *fall_asleep(void *unused)
{
	assert_true(mac_does("sleep"));
	return NULL;
}

/* If the answer fails, the Mac sleeps when nobody listens any more. */
static bool lets_sleep(void)
{
	IONotificationPortRef port;
	io_object_t notifier;
	io_connect_t connect = IORegisterForSystemPower(NULL, &port, note, &notifier);
	union {
		mach_msg_header_t header;
		char room[1024];
	} message;
	pthread_t sleeper;
	bool works;

	pthread_create(&sleeper, NULL, fall_asleep, NULL);
	assert_int_equal(mach_msg(&message.header, MACH_RCV_MSG, 0, sizeof(message),
				  IONotificationPortGetMachPort(port), MACH_MSG_TIMEOUT_NONE,
				  MACH_PORT_NULL), MACH_MSG_SUCCESS);
	IODispatchCalloutFromMessage(NULL, &message.header, port);
	works = !IOAllowPowerChange(connect, notice);
	IODeregisterForSystemPower(&notifier);
	pthread_join(sleeper, NULL);
	assert_true(mac_does("wake"));
	IOServiceClose(connect);
	IONotificationPortDestroy(port);
	return works;
}

static const struct {
	const char *call;
	bool (*works)(void);
} client_calls[] = {
	{ "IOServiceGetMatchingServices", gets_services },
	{ "IORegistryEntryGetName", gets_name },
	{ "IOObjectGetClass", gets_class },
	{ "IORegistryEntryGetParentEntry", gets_parent },
	{ "IORegistryEntryGetChildIterator", gets_children },
	{ "IORegistryEntrySearchCFProperty", gets_property },
	{ "IOServiceOpen", opens },
	{ "IOConnectCallMethod", calls_method },
	{ "IOConnectCallAsyncMethod", calls_later },
	{ "IOConnectMapMemory64", maps_memory },
	{ "IOConnectUnmapMemory64", unmaps_memory },
	{ "mach_port_allocate", allocates_port },
	{ "IONotificationPortCreate", creates_notification_port },
	{ "sysctlbyname", reads_sysctl },
	{ "IOPMAssertionCreateWithName", asserts_power },
	{ "IORegisterForSystemPower", hears_of_sleep },
	{ "IOAllowPowerChange", lets_sleep },
};

#define CLIENT_CALLS (sizeof(client_calls) / sizeof(client_calls[0]))

static void each_call_of_a_client_fails_when_told(void **unused)
{
	entry = mac_service();
	client = client_open_claimed();
	for (size_t i = 0; i < CLIENT_CALLS; i++) {
		free(mac_control("fail %s 2", client_calls[i].call));
		if (!client_calls[i].works() || client_calls[i].works() ||
		    !client_calls[i].works())
			fail_msg("%s: not the second of three", client_calls[i].call);
	}
	IOServiceClose(client);
	IOObjectRelease(entry);
}

static unsigned int words_of(const char *command, bool client_call)
{
	char *answer = mac_control("%s", command), *line, *rest = NULL;
	unsigned int count = 0;

	for (line = strtok_r(answer, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		bool of_client = !strstr(line, "::") && strncmp(line, "hv_", 3) &&
				 strncmp(line, "IOLockAlloc", 11) && strncmp(line, "IOMallocZero", 12);

		count += of_client == client_call;
	}
	free(answer);
	return count;
}

/* A new one wants a line above, or in test_dext_faults.c. */
static void all_that_can_fail_are_listed(void **unused)
{
	assert_int_equal(words_of("calls", true), CLIENT_CALLS);
	assert_true(words_of("calls", false) > 30);
	for (size_t i = 0; i < CLIENT_CALLS; i++)
		assert_true(mac_answers("calls", client_calls[i].call));
	assert_false(mac_does("fail IODMACommand::Destroy 1"));
	assert_false(mac_does("delay nothing 1"));
	assert_true(mac_does("fail IOService::SetPowerState 1"));
	assert_true(mac_does("fail IOService::SetPowerState 0"));
}

static void several_fail_at_once(void **unused)
{
	void *memory = memory_new(GRANULE);
	uint64_t iova, ignored;
	uint32_t status[5];

	client = client_open_claimed();
	assert_true(mac_does("fail IODMACommand::PrepareForDMA 1"));
	assert_true(mac_does("fail IODMACommand::PrepareForDMA 3"));
	assert_true(mac_does("fail IODMACommand::Create 4"));
	for (unsigned int i = 0; i < 5; i++)
		status[i] = client_dma_map(client, memory, GRANULE, i == 1 ? &iova : &ignored);
	assert_int_equal(status[0], QUIVER_DEXT_S_IO);
	assert_int_equal(status[1], QUIVER_DEXT_S_OK);
	assert_int_equal(status[2], QUIVER_DEXT_S_IO);
	assert_int_equal(status[3], QUIVER_DEXT_S_IO);
	assert_int_equal(status[4], QUIVER_DEXT_S_OK);
	/* In their order, and nothing else. */
	assert_true(mac_answers("state", "\"failed_calls\": [\n"
			       "    \"IODMACommand::PrepareForDMA\",\n"
			       "    \"IODMACommand::PrepareForDMA\",\n"
			       "    \"IODMACommand::Create\"\n  ]"));
	IOServiceClose(client);
	memory_free(memory, GRANULE);
}

/* Whatever it is: the call that a client makes, then what the extension needs for it. */
static void any_call_counts(void **unused)
{
	client = client_open();
	assert_true(mac_does("fail any 1"));
	assert_true(mac_does("fail any 3"));
	assert_false(calls_method());
	assert_true(mac_answers("state", "\"IOConnectCallMethod\"\n  ]"));
	assert_false(calls_method());
	assert_true(mac_answers("state", "\"OSData::withCapacity\"\n  ]"));
	assert_true(calls_method());
	assert_true(mac_does("fail any 1"));
	assert_true(mac_does("fail any 0"));
	assert_true(calls_method());
	IOServiceClose(client);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, mac_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_call_of_a_client_fails_when_told),
		TEST(all_that_can_fail_are_listed),
		TEST(several_fail_at_once),
		TEST(any_call_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
