// SPDX-License-Identifier: BSD-3-Clause
/* The simulated Mac's IOKit and Mach, as a client sees them. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "test_dext_mac.h"

static int start(void **unused)
{
	mac_start("--device endpoint,name=one --device nvme,name=two");
	return 0;
}

static void without_a_mac_nothing_is_found(void **unused)
{
	io_iterator_t iterator = 1;

	setenv("QUIVER_SIMMAC", "/nonexistent/socket", 1);
	assert_int_equal(IOServiceGetMatchingServices(kIOMainPortDefault,
						      IOServiceNameMatching(QUIVER_DEXT_SERVICE),
						      &iterator), MACH_SEND_INVALID_DEST);
	assert_int_equal(iterator, IO_OBJECT_NULL);
	unsetenv("QUIVER_SIMMAC");
	assert_int_equal(IOServiceGetMatchingServices(kIOMainPortDefault,
						      IOServiceNameMatching(QUIVER_DEXT_SERVICE),
						      &iterator), MACH_SEND_INVALID_DEST);
}

static void services_are_found_by_name(void **unused)
{
	io_service_t one, two;
	io_iterator_t iterator;
	uint64_t ids[2];

	assert_int_equal(IOServiceGetMatchingServices(kIOMainPortDefault,
						      IOServiceNameMatching("AppleNothing"),
						      &iterator), kIOReturnSuccess);
	assert_int_equal(IOIteratorNext(iterator), IO_OBJECT_NULL);
	IOObjectRelease(iterator);
	assert_int_equal(IOServiceGetMatchingServices(kIOMainPortDefault,
						      IOServiceNameMatching(QUIVER_DEXT_SERVICE),
						      &iterator), kIOReturnSuccess);
	one = IOIteratorNext(iterator);
	two = IOIteratorNext(iterator);
	assert_int_not_equal(one, IO_OBJECT_NULL);
	assert_int_not_equal(two, IO_OBJECT_NULL);
	assert_int_equal(IOIteratorNext(iterator), IO_OBJECT_NULL);
	assert_int_equal(IORegistryEntryGetRegistryEntryID(one, &ids[0]), kIOReturnSuccess);
	assert_int_equal(IORegistryEntryGetRegistryEntryID(two, &ids[1]), kIOReturnSuccess);
	assert_int_not_equal(ids[0], ids[1]);
	assert_int_equal(IOObjectRelease(one), kIOReturnSuccess);
	assert_int_equal(IOObjectRelease(one), kIOReturnBadArgument);
	IOObjectRelease(two);
	IOObjectRelease(iterator);
}

static void names_that_are_not_are_refused(void **unused)
{
	io_service_t service = mac_service();
	mach_vm_address_t address = 0;
	mach_vm_size_t size = 0;
	io_connect_t connect;
	uint64_t id;

	assert_int_equal(IOServiceOpen(0x7703, mach_task_self(), 0, &connect),
			 kIOReturnBadArgument);
	assert_int_equal(IOServiceOpen(service, service, 0, &connect), kIOReturnNotPermitted);
	assert_int_equal(IOServiceClose(service), kIOReturnBadArgument);
	assert_int_equal(client_claim(service), MACH_SEND_INVALID_DEST);
	assert_int_equal(IORegistryEntryGetRegistryEntryID(0, &id), kIOReturnBadArgument);
	assert_int_equal(IOConnectMapMemory64(service, 0, mach_task_self(), &address, &size,
					      kIOMapAnywhere), kIOReturnBadArgument);
	assert_int_equal(mach_port_deallocate(mach_task_self(), service), KERN_INVALID_NAME);
	IOObjectRelease(service);
}

static void calls_to_a_mac_that_is_gone_fail(void **unused)
{
	io_connect_t client;

	mac_start("--device endpoint");
	client = client_open_claimed();
	mac_stop();
	assert_int_equal(client_claim(client), MACH_SEND_INVALID_DEST);
	assert_int_equal(IOServiceClose(client), kIOReturnSuccess);
}

static mach_port_t new_port(void)
{
	mach_port_t port;

	assert_int_equal(mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &port), 0);
	return port;
}

static mach_msg_return_t send_to(mach_port_t port, mach_msg_id_t id)
{
	mach_msg_header_t header = {
		.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_MAKE_SEND, 0),
		.msgh_size = sizeof(header), .msgh_remote_port = port, .msgh_id = id,
	};

	return mach_msg(&header, MACH_SEND_MSG | MACH_SEND_TIMEOUT, sizeof(header), 0,
			MACH_PORT_NULL, 0, MACH_PORT_NULL);
}

struct room {
	mach_msg_header_t header;
	mach_msg_trailer_t trailer;
};

static void a_message_comes_through(void **unused)
{
	mach_port_t port = new_port();
	struct room room;

	assert_int_equal(mach_msg(&room.header, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof(room),
				  port, 5, MACH_PORT_NULL), MACH_RCV_TIMED_OUT);
	assert_int_equal(send_to(port, 1), MACH_MSG_SUCCESS);
	assert_int_equal(send_to(port, 2), MACH_MSG_SUCCESS);
	assert_int_equal(mach_msg(&room.header, MACH_RCV_MSG, 0, sizeof(room), port, 0,
				  MACH_PORT_NULL), MACH_MSG_SUCCESS);
	assert_int_equal(room.header.msgh_id, 1);
	assert_int_equal(room.header.msgh_local_port, port);
	/* The trailer needs room as well. */
	assert_int_equal(mach_msg(&room.header, MACH_RCV_MSG, 0, sizeof(room.header), port, 0,
				  MACH_PORT_NULL), MACH_RCV_TOO_LARGE);
	assert_int_equal(mach_port_deallocate(mach_task_self(), port), KERN_SUCCESS);
	assert_int_equal(send_to(port, 3), MACH_SEND_INVALID_DEST);
}

static void a_full_queue_times_out(void **unused)
{
	mach_port_t port = new_port();
	mach_msg_return_t result = MACH_MSG_SUCCESS;

	for (int i = 0; i < 100000 && result == MACH_MSG_SUCCESS; i++)
		result = send_to(port, i);
	assert_int_equal(result, MACH_SEND_TIMED_OUT);
	mach_port_deallocate(mach_task_self(), port);
}

static atomic_int receiver;

static void *receive_one(void *argument)
{
	mach_port_t port = *(mach_port_t *)argument;
	struct room room;

	atomic_store(&receiver, gettid());
	return (void *)(uintptr_t)(uint32_t)mach_msg(&room.header, MACH_RCV_MSG, 0, sizeof(room),
						     port, 0, MACH_PORT_NULL);
}

/* One that has begun to receive, and waits. */
static bool receiver_sleeps(void)
{
	char path[64], state = 0;
	FILE *stat;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", atomic_load(&receiver));
	stat = fopen(path, "r");
	if (!stat)
		return false;
	if (fscanf(stat, "%*d (%*[^)]) %c", &state) != 1)
		state = 0;
	fclose(stat);
	return state == 'S';
}

static void the_end_of_a_port_wakes_its_receiver(void **unused)
{
	mach_port_t port = new_port();
	pthread_t thread;
	void *result;

	atomic_store(&receiver, 0);
	pthread_create(&thread, NULL, receive_one, &port);
	while (!receiver_sleeps())
		usleep(1000);
	mach_port_deallocate(mach_task_self(), port);
	pthread_join(thread, &result);
	assert_int_equal((uint32_t)(uintptr_t)result, MACH_RCV_PORT_DIED);
}

static void *called_with;

static void called_out(void *refcon, IOReturn result)
{
	assert_int_equal(result, kIOReturnSuccess);
	called_with = refcon;
}

static void a_callout_gets_its_refcon(void **unused)
{
	IONotificationPortRef notify = IONotificationPortCreate(kIOMainPortDefault);
	mach_port_t port = IONotificationPortGetMachPort(notify);
	io_connect_t client = client_open_claimed();
	struct quiver_dext_pending *page = client_map_memory(client, QUIVER_DEXT_MEM_PENDING, NULL);
	uint64_t reference[kIOAsyncCalloutCount] = { 0 }, granted;
	union {
		mach_msg_header_t header;
		char room[512];
	} message;

	reference[kIOAsyncCalloutFuncIndex] = (uintptr_t)called_out;
	reference[kIOAsyncCalloutRefconIndex] = (uintptr_t)&message;
	assert_int_equal(IOConnectCallAsyncScalarMethod(client, QUIVER_DEXT_IRQ_WAIT, port,
							reference, kIOAsyncCalloutCount, NULL, 0,
							NULL, NULL), kIOReturnSuccess);
	assert_int_equal(client_irq(client, QUIVER_DEXT_IRQ_MSIX, 1, &granted), 0);
	client_master(client, true);
	__atomic_store_n(&page->armed, 1, __ATOMIC_SEQ_CST);
	free(mac_control("raise one 0 1"));
	assert_int_equal(mach_msg(&message.header, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0,
				  sizeof(message), port, 2000, MACH_PORT_NULL), MACH_MSG_SUCCESS);
	IODispatchCalloutFromMessage(NULL, &message.header, notify);
	assert_ptr_equal(called_with, &message);
	IOServiceClose(client);
	IONotificationPortDestroy(notify);
}

static void *arguments[3];

static void called_out_with(void *refcon, IOReturn result, void **args, uint32_t count)
{
	assert_int_equal(result, kIOReturnNoDevice);
	assert_int_equal(count, 3);
	memcpy(arguments, args, sizeof(arguments));
}

/* As the kernel packs it: the result takes four bytes, and the arguments follow. */
static void the_arguments_of_a_completion_are_packed(void **unused)
{
	const uint64_t sent[] = { 0x1111111122222222, 0x3333333344444444, 0x5555555566666666 };
	struct {
		mach_msg_header_t header;
		uint32_t size, type;
		uint64_t reference[8];
		uint32_t result, args[6];
	} message = {
		.header = { .msgh_size = 124, .msgh_id = 53 },
		.size = 28, .type = 150,
		.reference = { 0, (uintptr_t)called_out_with },
		.result = (uint32_t)kIOReturnNoDevice,
	};

	memcpy(message.args, sent, sizeof(sent));
	IODispatchCalloutFromMessage(NULL, &message.header, NULL);
	assert_memory_equal(arguments, sent, sizeof(sent));
}

#define THREADS	4
#define CALLS	2000

static io_connect_t shared;

static void *read_config(void *argument)
{
	const unsigned int offset = (unsigned int)(uintptr_t)argument * 2;
	const uint64_t input[] = { offset, 2 };
	uint64_t first = 0, value, wrong = 0;
	uint32_t one;

	for (unsigned int i = 0; i < CALLS; i++) {
		one = 1;
		if (IOConnectCallScalarMethod(shared, QUIVER_DEXT_CONFIG_READ, input, 2, &value,
					      &one))
			wrong++;
		if (!i)
			first = value;
		wrong += value != first;
	}
	return (void *)(uintptr_t)wrong;
}

static void threads_get_their_own_answers(void **unused)
{
	pthread_t threads[THREADS];
	void *wrong;

	shared = client_open_claimed();
	for (uintptr_t i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, read_config, (void *)i);
	for (unsigned int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &wrong);
		assert_null(wrong);
	}
	IOServiceClose(shared);
}

static void *call_until_closed(void *argument)
{
	struct quiver_dext_identity identity;
	uintptr_t calls = 0;

	while (client_identify(shared, &identity) == kIOReturnSuccess)
		calls++;
	return (void *)calls;
}

static void closing_ends_calls_of_other_threads(void **unused)
{
	pthread_t thread;
	void *calls;

	shared = client_open();
	pthread_create(&thread, NULL, call_until_closed, NULL);
	usleep(20000);
	assert_int_equal(IOServiceClose(shared), kIOReturnSuccess);
	pthread_join(thread, &calls);
	assert_non_null(calls);
}

static double microseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* For the record; a busy machine is no failure. */
static void a_round_trip_is_timed(void **unused)
{
	io_connect_t client = client_open_claimed();
	void *memory = memory_new(GRANULE);
	double begin = microseconds(), best = 1e9, one;
	struct quiver_dext_identity identity;
	uint64_t iova;

	for (unsigned int i = 0; i < 2000; i++) {
		one = microseconds();
		assert_int_equal(client_identify(client, &identity), kIOReturnSuccess);
		one = microseconds() - one;
		best = one < best ? one : best;
	}
	print_message("# a call: %.1f us, at best %.1f\n", (microseconds() - begin) / 2000, best);
	begin = microseconds();
	for (unsigned int i = 0; i < 2000; i++) {
		assert_int_equal(client_dma_map(client, memory, GRANULE, &iova), 0);
		assert_int_equal(client_dma_unmap(client, iova, GRANULE), 0);
	}
	print_message("# map and unmap, two calls: %.1f us\n", (microseconds() - begin) / 2000);
	memory_free(memory, GRANULE);
	IOServiceClose(client);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, mac_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_mac_nothing_is_found),
		TEST(services_are_found_by_name),
		TEST(names_that_are_not_are_refused),
		cmocka_unit_test(calls_to_a_mac_that_is_gone_fail),
		cmocka_unit_test(a_message_comes_through),
		cmocka_unit_test(a_full_queue_times_out),
		cmocka_unit_test(the_end_of_a_port_wakes_its_receiver),
		TEST(a_callout_gets_its_refcon),
		cmocka_unit_test(the_arguments_of_a_completion_are_packed),
		TEST(threads_get_their_own_answers),
		TEST(closing_ends_calls_of_other_threads),
		TEST(a_round_trip_is_timed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
