// SPDX-License-Identifier: BSD-3-Clause
/* The cable is pulled, and put back, whatever a client is doing. */
#define _GNU_SOURCE
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "call.h"
#include "test_dext_load.h"
#include "test_dext_mac.h"

#define DEVICE		"--device endpoint,name=one,relentless=on"

/* The endpoint's registers. */
#define COMMAND		(0x04 / 4)
#define COMMAND_READ	(1u << 3)
#define COMMAND_WRITE	(1u << 4)
#define STATUS		(0x08 / 4)
#define SOURCE		(0x0c / 4)
#define TARGET		(0x14 / 4)
#define SIZE		(0x1c / 4)

static const char *const orders[] = { "together", "driver", "clients", "any" };
#define ORDERS (sizeof(orders) / sizeof(orders[0]))

static int start(void **unused)
{
	mac_start(DEVICE);
	return 0;
}

static int start_two(void **unused)
{
	mac_start(DEVICE " --device nvme,name=two");
	return 0;
}

static void pull_and_put_back(void)
{
	assert_true(mac_does("unplug one"));
	assert_true(mac_does("plug one"));
}

static kern_return_t identify(io_connect_t client)
{
	struct quiver_dext_identity identity;

	return client_identify(client, &identity);
}

/* The device then reads the memory over and over. */
static void make_relentless(io_connect_t client, volatile uint32_t *bar, uint64_t iova,
			    uint32_t length, uint32_t command)
{
	client_master(client, true);
	for (unsigned int reg = SOURCE; reg <= TARGET; reg += TARGET - SOURCE) {
		bar[reg] = (uint32_t)iova;
		bar[reg + 1] = (uint32_t)(iova >> 32);
	}
	bar[SIZE] = length;
	bar[STATUS] = 0;
	__atomic_store_n(&bar[COMMAND], command, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&bar[STATUS], __ATOMIC_ACQUIRE))
		usleep(100);
}

static void it_is_off_the_bus_at_once(void **unused)
{
	io_connect_t client = client_open_claimed();
	size_t size;
	uint8_t *bar = client_map_memory(client, QUIVER_DEXT_MEM_BAR0 + 3, &size);

	assert_int_equal(bar[0], 0);
	assert_true(mac_device("plugged"));
	assert_true(mac_does("unplug one"));
	for (size_t i = 0; i < size; i++)
		assert_int_equal(bar[i], 0xff);
	assert_false(mac_device("plugged"));
	assert_false(mac_device("masters_bus"));
	assert_false(mac_device("pristine"));
	assert_int_equal(mac_device("clients"), 0);
	assert_int_equal(IOServiceClose(client), kIOReturnSuccess);
}

/* As a Mac's: destroyUserReferences() makes its port that of its mappings, if there are any. */
static void a_connection_dies_with_it(void **unused)
{
	io_connect_t bare = client_open(), mapped = client_open_claimed();
	uint64_t granted;

	assert_non_null(client_map_memory(mapped, QUIVER_DEXT_MEM_PENDING, NULL));
	assert_int_equal(identify(bare), kIOReturnSuccess);
	assert_true(mac_does("unplug one"));
	assert_int_equal(identify(bare), MACH_SEND_INVALID_DEST);
	assert_int_equal(identify(mapped), kIOReturnBadArgument);
	assert_int_equal(client_irq(mapped, QUIVER_DEXT_IRQ_MSI, 1, &granted),
			 kIOReturnBadArgument);
	assert_null(client_map_memory(mapped, QUIVER_DEXT_MEM_PENDING, NULL));
	assert_true(mac_does("plug one"));
	/* Not that device's. */
	assert_int_equal(identify(bare), MACH_SEND_INVALID_DEST);
	assert_int_equal(IOServiceClose(bare), kIOReturnSuccess);
	assert_int_equal(IOServiceClose(mapped), kIOReturnSuccess);
}

static unsigned int entries_of(const char *class_name)
{
	unsigned int count = 0;
	io_iterator_t iterator;
	io_object_t entry;

	assert_int_equal(IOServiceGetMatchingServices(kIOMainPortDefault,
						      IOServiceMatching(class_name), &iterator),
			 kIOReturnSuccess);
	for (; (entry = IOIteratorNext(iterator)) != IO_OBJECT_NULL; count++)
		IOObjectRelease(entry);
	IOObjectRelease(iterator);
	return count;
}

static void its_registry_entries_go_and_others_come(void **unused)
{
	unsigned int all = entries_of("IOService"), nubs = entries_of("IOPCIDevice"),
		     routers = entries_of("IOThunderboltSwitch");
	io_service_t service = mac_service(), again;
	uint64_t id, new_id;
	io_connect_t client;
	io_name_t name;

	assert_int_equal(entries_of("IOUserService"), 2);
	assert_int_equal(IORegistryEntryGetRegistryEntryID(service, &id), kIOReturnSuccess);
	assert_true(mac_does("unplug one"));
	assert_int_equal(entries_of("IOUserService"), 1);
	/* The function, and three bridges on the way to it. */
	assert_int_equal(entries_of("IOPCIDevice"), nubs - 3);
	assert_int_equal(entries_of("IOThunderboltSwitch"), routers - 1);
	assert_int_equal(IORegistryEntryGetName(service, name), MACH_SEND_INVALID_DEST);
	assert_int_equal(IOServiceOpen(service, mach_task_self(), 0, &client),
			 MACH_SEND_INVALID_DEST);
	assert_true(mac_does("plug one"));
	assert_int_equal(entries_of("IOService"), all);
	assert_int_equal(IOServiceOpen(service, mach_task_self(), 0, &client),
			 MACH_SEND_INVALID_DEST);
	for (int i = 0; i < 2; i++) {
		again = mac_service();
		IORegistryEntryGetRegistryEntryID(again, &new_id);
		assert_int_not_equal(new_id, id);
		IOObjectRelease(again);
		/* The other one first, then both. */
		assert_true(mac_does(i ? "plug two" : "unplug two"));
	}
	IOObjectRelease(service);
}

static void it_comes_back_as_new(void **unused)
{
	io_connect_t client = client_open_claimed();
	void *memory = memory_new(GRANULE);
	uint64_t iova;
	uint32_t *bar;

	assert_int_equal(client_dma_map(client, memory, GRANULE, &iova), 0);
	bar = client_map_memory(client, QUIVER_DEXT_MEM_BAR0 + 2, NULL);
	bar[0] = 0x12345678;
	client_master(client, true);
	pull_and_put_back();
	assert_true(mac_device("pristine"));
	assert_int_equal(mac_device("mappings"), 0);
	IOServiceClose(client);

	client = client_open_claimed();
	assert_int_equal(client_config_read(client, 0, 4), 0x00281912);
	bar = client_map_memory(client, QUIVER_DEXT_MEM_BAR0 + 2, NULL);
	assert_int_equal(bar[0], 0);
	assert_int_equal(client_dma_map(client, memory, GRANULE, &iova), 0);
	IOServiceClose(client);
	mac_wait_device("clients", 0);
	memory_free(memory, GRANULE);
}

static void what_was_mapped_of_the_old_one_is_not_the_new_one(void **unused)
{
	io_connect_t old = client_open_claimed(), client;
	uint32_t *bar = client_map_memory(old, QUIVER_DEXT_MEM_BAR0 + 2, NULL), *new_bar;

	pull_and_put_back();
	assert_int_equal(bar[1], 0xffffffff);
	bar[1] = 0x12345678;
	client = client_open_claimed();
	new_bar = client_map_memory(client, QUIVER_DEXT_MEM_BAR0 + 2, NULL);
	assert_int_equal(new_bar[1], 0);
	new_bar[2] = 1;
	assert_int_equal(bar[2], 0xffffffff);
	IOServiceClose(client);
	IOServiceClose(old);
}

/* The device is in the middle of its memory when it goes, and somebody just listens. */
static void stop_comes_in_any_order(void **unused)
{
	void *memory = memory_new(4 * GRANULE);

	for (unsigned int i = 0; i < 3 * ORDERS; i++) {
		io_connect_t client = client_open_claimed(), other = client_open();
		uint64_t iova, granted;

		free(mac_control("stop-order %s", orders[i % ORDERS]));
		assert_int_equal(client_dma_map(client, memory, 4 * GRANULE, &iova), 0);
		assert_int_equal(client_irq(client, QUIVER_DEXT_IRQ_MSIX, 8, &granted), 0);
		make_relentless(client, client_map_memory(client, QUIVER_DEXT_MEM_BAR0, NULL), iova,
				4 * GRANULE, COMMAND_READ);
		pull_and_put_back();
		assert_int_equal(mac_device("mappings"), 0);
		IOServiceClose(client);
		IOServiceClose(other);
	}
	memory_free(memory, 4 * GRANULE);
}

static void a_client_may_never_close(void **unused)
{
	io_connect_t client;

	for (unsigned int i = 0; i < 5; i++) {
		client = client_open_claimed();
		assert_non_null(client_map_memory(client, QUIVER_DEXT_MEM_BAR0, NULL));
		pull_and_put_back();
	}
	assert_int_equal(mac_device("clients"), 0);
}

/* Its Stop() is under way when the device goes. */
static void a_client_that_is_closing_is_waited_for(void **unused)
{
	void *memory = memory_new(GRANULE);
	io_connect_t client;
	uint64_t iova;

	assert_true(mac_does("delay IODMACommand::CompleteDMA 50000"));
	for (unsigned int i = 0; i < 4; i++) {
		client = client_open_claimed();
		assert_int_equal(client_dma_map(client, memory, GRANULE, &iova), 0);
		IOServiceClose(client);
		assert_true(mac_does("unplug one"));
		assert_int_equal(mac_device("clients"), 0);
		assert_int_equal(mac_device("mappings"), 0);
		assert_true(mac_does("plug one"));
	}
	memory_free(memory, GRANULE);
}

static void *open_slowly(void *service)
{
	io_connect_t client;
	kern_return_t result = IOServiceOpen(*(io_service_t *)service, mach_task_self(), 0, &client);

	return (void *)(uintptr_t)(uint32_t)result;
}

static void a_client_that_is_opening_is_waited_for(void **unused)
{
	io_service_t service;
	uint64_t starts;
	pthread_t opener;
	void *result;

	assert_true(mac_does("delay IOService::Start 100000"));
	for (unsigned int i = 0; i < 3; i++) {
		service = mac_service();
		starts = mac_calls("IOService::Start");
		pthread_create(&opener, NULL, open_slowly, &service);
		while (mac_calls("IOService::Start") == starts)
			usleep(1000);
		assert_true(mac_does("unplug one"));
		assert_int_equal(mac_device("clients"), 0);
		pthread_join(opener, &result);
		assert_int_equal((uint32_t)(uintptr_t)result, (uint32_t)kIOReturnNoDevice);
		IOObjectRelease(service);
		assert_true(mac_does("plug one"));
	}
}

static void who_does_not_wait_need_not(void **unused)
{
	void *memory = memory_new(GRANULE);
	io_connect_t client = client_open_claimed();
	uint64_t iova;

	assert_int_equal(client_dma_map(client, memory, GRANULE, &iova), 0);
	assert_true(mac_does("delay IODMACommand::CompleteDMA 300000"));
	assert_true(mac_does("unplug one nowait"));
	assert_int_equal(mac_device("mappings"), 1);
	assert_false(mac_device("masters_bus"));
	/* It waits for what is under way. */
	assert_true(mac_does("plug one"));
	assert_int_equal(mac_device("clients"), 0);
	IOServiceClose(client);
	memory_free(memory, GRANULE);
}

static pid_t mac_pid(void)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);
	int fd = simmac_call_connect();

	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size), 0);
	close(fd);
	return peer.pid;
}

/* The one memory that is a disk in the Mac's process; more than one fail the test. */
static ino_t medium_of(pid_t pid)
{
	char folder[64], path[128], target[128];
	struct dirent *entry;
	struct stat info;
	ino_t found = 0;
	DIR *dir;

	snprintf(folder, sizeof(folder), "/proc/%d/fd", pid);
	dir = opendir(folder);
	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		snprintf(path, sizeof(path), "%s/%.16s", folder, entry->d_name);
		memset(target, 0, sizeof(target));
		if (readlink(path, target, sizeof(target) - 1) < 0 ||
		    !strstr(target, "memfd:nvme disk") || stat(path, &info))
			continue;
		assert_true(!found || found == info.st_ino);
		found = info.st_ino;
	}
	closedir(dir);
	return found;
}

static void a_disk_that_is_memory_keeps_its_medium(void **unused)
{
	ino_t medium;

	mac_start("--device nvme,name=one");
	medium = medium_of(mac_pid());
	assert_true(medium);
	for (unsigned int i = 0; i < 3; i++) {
		pull_and_put_back();
		assert_int_equal(medium_of(mac_pid()), medium);
	}
	mac_stop();
}

static void what_makes_no_sense_is_refused(void **unused)
{
	assert_false(mac_does("unplug three"));
	assert_false(mac_does("plug three"));
	assert_false(mac_does("plug one"));
	assert_false(mac_does("unplug one slowly"));
	assert_true(mac_does("unplug one"));
	assert_false(mac_does("unplug one"));
	assert_true(mac_does("plug one"));
	assert_false(mac_does("stop-order none"));
}

#define PULLS	40

static void it_may_go_under_load(void **unused)
{
	load_disturb(PULLS, pull_and_put_back);
}

/* Told of a buffer, stopped, and released: what a client is to do. */
static void a_relentless_device_is_stopped_by_the_right_order(void **unused)
{
	io_connect_t client = client_open_claimed();
	void *memory = memory_new(GRANULE);
	uint32_t *bar = client_map_memory(client, QUIVER_DEXT_MEM_BAR0, NULL);
	uint64_t iova;

	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(client_dma_map(client, memory, GRANULE, &iova), 0);
		make_relentless(client, bar, iova, GRANULE, i % 2 ? COMMAND_READ : COMMAND_WRITE);
		client_master(client, false);
		assert_int_equal(client_dma_unmap(client, iova, GRANULE), 0);
		client_master(client, true);
	}
	IOServiceClose(client);
	mac_wait_device("clients", 0);
	assert_int_equal(mac_device("mappings"), 0);
	memory_free(memory, GRANULE);
}

static void a_relentless_device_panics_who_only_unmaps(void **unused)
{
	io_connect_t client;
	void *memory = memory_new(GRANULE);
	uint64_t iova;

	mac_start(DEVICE);
	client = client_open_claimed();
	assert_int_equal(client_dma_map(client, memory, GRANULE, &iova), 0);
	make_relentless(client, client_map_memory(client, QUIVER_DEXT_MEM_BAR0, NULL), iova, GRANULE,
			COMMAND_READ);
	client_dma_unmap(client, iova, GRANULE);
	assert_non_null(strstr(mac_panic(), "PANIC [D8]"));
	IOServiceClose(client);
	memory_free(memory, GRANULE);
}

/* Nobody but the dext is left to stop it, whoever dies in the middle. */
static void a_relentless_device_outlives_no_client(void **unused)
{
	pid_t child = fork();

	if (!child) {
		io_connect_t client = client_open_claimed();
		void *memory = memory_new(8 * GRANULE);
		uint64_t iova;

		client_dma_map(client, memory, 8 * GRANULE, &iova);
		make_relentless(client, client_map_memory(client, QUIVER_DEXT_MEM_BAR0, NULL), iova,
				8 * GRANULE, COMMAND_WRITE);
		raise(SIGKILL);
	}
	assert_int_equal(waitpid(child, NULL, 0), child);
	mac_wait_device("clients", 0);
	assert_int_equal(mac_device("mappings"), 0);
	assert_true(mac_device("pristine"));
}

/* One that no reset is known to suit, whose requests are under way for so long after its end. */
#define WITHOUT_RESET	"--device endpoint,name=one,config=0:de104023+47:00,relentless="

static int start_slow(void **unused)
{
	mac_start(WITHOUT_RESET "300");
	return 0;
}

static int start_endless(void **unused)
{
	mac_start(WITHOUT_RESET "forever");
	return 0;
}

/* A client goes in the middle of it. */
static void leave_under_way(void *memory)
{
	io_connect_t client = client_open_claimed();
	uint64_t iova;

	assert_int_equal(client_dma_map(client, memory, GRANULE, &iova), 0);
	make_relentless(client, client_map_memory(client, QUIVER_DEXT_MEM_BAR0, NULL), iova,
			GRANULE, COMMAND_WRITE);
	IOServiceClose(client);
}

static void what_is_under_way_ends_before_its_mappings_go(void **unused)
{
	void *memory = memory_new(GRANULE);
	io_connect_t client;

	leave_under_way(memory);
	client = client_open_claimed();
	assert_int_equal(mac_calls("IOPCIDevice::Reset"), 0);
	assert_int_equal(mac_device("mappings"), 0);
	IOServiceClose(client);
	memory_free(memory, GRANULE);
}

static void what_never_ends_keeps_its_mappings(void **unused)
{
	void *memory = memory_new(GRANULE);
	struct quiver_dext_identity identity;
	io_connect_t client;

	leave_under_way(memory);
	client = client_open();
	do {
		assert_int_equal(client_identify(client, &identity), kIOReturnSuccess);
	} while (identity.state == QUIVER_DEXT_LIVE);
	assert_int_equal(identity.state, QUIVER_DEXT_GONE);
	assert_int_equal(identity.cause, QUIVER_DEXT_CAUSE_MASTERING);
	assert_int_equal(identity.mappings, 1);
	assert_int_equal(mac_device("mappings"), 1);
	assert_int_equal(client_claim(client), kIOReturnNoDevice);
	IOServiceClose(client);
	mac_wait_device("clients", 0);
	pull_and_put_back();
	assert_int_equal(mac_device("mappings"), 0);
	IOServiceClose(client_open_claimed());
	memory_free(memory, GRANULE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, mac_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_is_off_the_bus_at_once),
		TEST(a_connection_dies_with_it),
		cmocka_unit_test_setup_teardown(its_registry_entries_go_and_others_come, start_two,
						mac_teardown),
		TEST(it_comes_back_as_new),
		TEST(what_was_mapped_of_the_old_one_is_not_the_new_one),
		TEST(stop_comes_in_any_order),
		TEST(a_client_may_never_close),
		TEST(a_client_that_is_closing_is_waited_for),
		TEST(a_client_that_is_opening_is_waited_for),
		TEST(who_does_not_wait_need_not),
		cmocka_unit_test(a_disk_that_is_memory_keeps_its_medium),
		TEST(what_makes_no_sense_is_refused),
		TEST(it_may_go_under_load),
		TEST(a_relentless_device_is_stopped_by_the_right_order),
		cmocka_unit_test(a_relentless_device_panics_who_only_unmaps),
		TEST(a_relentless_device_outlives_no_client),
		cmocka_unit_test_setup_teardown(what_is_under_way_ends_before_its_mappings_go,
						start_slow, mac_teardown),
		cmocka_unit_test_setup_teardown(what_never_ends_keeps_its_mappings, start_endless,
						mac_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
