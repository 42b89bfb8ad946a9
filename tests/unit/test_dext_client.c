// SPDX-License-Identifier: BSD-3-Clause
/* The dext through its user client: calls, claims, config space, death of clients. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test_dext_mac.h"

#define CAP_MSI		0x05
#define CAP_EXP		0x10
#define CAP_MSIX	0x11
#define COMMAND		0x04

static int start_endpoint(void **unused)
{
	mac_start("--device endpoint");
	return 0;
}

static int start_nvme(void **unused)
{
	mac_start("--device nvme");
	return 0;
}

/* By selector, as dext_abi.h has them. */
static const struct counts {
	uint32_t scalars, structure, scalars_out, structure_out;
	bool async, variable;
} right[QUIVER_DEXT_SELECTORS] = {
	[QUIVER_DEXT_IDENTIFY] = { 0, 0, 0, sizeof(struct quiver_dext_identity), 0, 0 },
	[QUIVER_DEXT_CLAIM] = { 0, 0, 0, 0, 0, 0 },
	[QUIVER_DEXT_BAR_INFO] = { 1, 0, 0, sizeof(struct quiver_dext_bar), 0, 0 },
	[QUIVER_DEXT_CONFIG_READ] = { 2, 0, 1, 0, 0, 0 },
	[QUIVER_DEXT_CONFIG_WRITE] = { 3, 0, 0, 0, 0, 0 },
	[QUIVER_DEXT_DMA] = { 0, 64, 0, 32, 0, 1 },
	[QUIVER_DEXT_STATS] = { 0, 0, 0, sizeof(struct quiver_dext_stats), 0, 0 },
	[QUIVER_DEXT_IRQ_CONFIGURE] = { 2, 0, 1, 0, 0, 0 },
	[QUIVER_DEXT_IRQ_WAIT] = { 0, 0, 0, 0, 1, 0 },
	[QUIVER_DEXT_RESET] = { 1, 0, 1, 0, 0, 0 },
};

static kern_return_t call_with(io_connect_t client, uint32_t selector, struct counts counts,
			       mach_port_t port)
{
	uint64_t input[16] = { 0 }, output[16], reference[8] = { 0 };
	char in[4096] = { 0 }, out[4096];
	uint32_t outputs = counts.scalars_out;
	size_t size = counts.structure_out;

	if (counts.async)
		return IOConnectCallAsyncMethod(client, selector, port, reference, 3, input,
						counts.scalars, in, counts.structure, output,
						&outputs, out, &size);
	return IOConnectCallMethod(client, selector, input, counts.scalars, in, counts.structure,
				   output, &outputs, out, &size);
}

static void vary(io_connect_t client, uint32_t selector, mach_port_t port)
{
	const uint32_t sizes[] = { 1, 15, 17, 63, 65, 127, 129, 2048, 4096 };
	struct counts wrong;

	for (uint32_t n = 0; n <= 16; n++) {
		wrong = right[selector];
		wrong.scalars = n;
		if (n != right[selector].scalars)
			assert_int_equal(call_with(client, selector, wrong, port),
					 kIOReturnBadArgument);
		wrong = right[selector];
		wrong.scalars_out = n;
		if (n != right[selector].scalars_out)
			assert_int_equal(call_with(client, selector, wrong, port),
					 kIOReturnBadArgument);
	}
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]) && !right[selector].variable; i++) {
		wrong = right[selector];
		wrong.structure = sizes[i];
		assert_int_equal(call_with(client, selector, wrong, port), kIOReturnBadArgument);
		wrong = right[selector];
		wrong.structure_out += sizes[i];
		assert_int_equal(call_with(client, selector, wrong, port), kIOReturnBadArgument);
	}
	wrong = right[selector];
	wrong.async = !wrong.async;
	assert_int_equal(call_with(client, selector, wrong, port), kIOReturnBadArgument);
}

static void wrong_counts_are_refused(void **unused)
{
	io_connect_t client = client_open_claimed();
	mach_port_t port;

	assert_int_equal(mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &port), 0);
	for (uint32_t selector = 0; selector < QUIVER_DEXT_SELECTORS; selector++)
		vary(client, selector, port);
	for (uint32_t selector = QUIVER_DEXT_SELECTORS; selector < 300; selector += 7)
		assert_int_equal(call_with(client, selector, (struct counts){ 0 }, port),
				 kIOReturnBadArgument);
	assert_int_equal(client_state(client), QUIVER_DEXT_CLAIMED);
	mach_port_deallocate(mach_task_self(), port);
	IOServiceClose(client);
}

static void structs_beyond_inband_are_refused(void **unused)
{
	io_connect_t client = client_open_claimed();
	char out[16], *in = calloc(1, 4097);
	size_t size = sizeof(out), large = 4097;

	assert_int_equal(IOConnectCallStructMethod(client, QUIVER_DEXT_DMA, in, 4097, out, &size),
			 kIOReturnBadArgument);
	assert_int_equal(IOConnectCallStructMethod(client, QUIVER_DEXT_DMA, in, 64, in, &large),
			 kIOReturnBadArgument);
	free(in);
	IOServiceClose(client);
}

static void without_the_claim_nothing_works(void **unused)
{
	io_connect_t client = client_open();
	mach_port_t port;

	assert_int_equal(mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &port), 0);
	for (uint32_t selector = QUIVER_DEXT_BAR_INFO; selector < QUIVER_DEXT_SELECTORS; selector++)
		assert_int_equal(call_with(client, selector, right[selector], port),
				 kIOReturnNotPermitted);
	assert_null(client_map_memory(client, QUIVER_DEXT_MEM_BAR0, NULL));
	assert_null(client_map_memory(client, QUIVER_DEXT_MEM_PENDING, NULL));
	assert_int_equal(client_state(client), QUIVER_DEXT_UNCLAIMED);
	assert_int_equal(mac_calls("IOPCIDevice::Reset"), 0);
	assert_int_equal(mac_calls("IOPCIDevice::ConfigurationWrite"), 0);
	mach_port_deallocate(mach_task_self(), port);
	IOServiceClose(client);
}

static void one_client_at_a_time_has_the_claim(void **unused)
{
	io_connect_t first = client_open_claimed(), second = client_open(), third;

	assert_int_equal(client_claim(second), kIOReturnExclusiveAccess);
	assert_int_equal(client_claim(first), kIOReturnSuccess);
	assert_int_equal(client_state(second), QUIVER_DEXT_CLAIMED);
	/* One that does not have it takes nothing with it. */
	IOServiceClose(second);
	mac_wait_device("clients", 1);
	assert_int_equal(client_state(first), QUIVER_DEXT_CLAIMED);
	IOServiceClose(first);
	third = client_open_claimed();
	IOServiceClose(third);
}

static void identity_is_the_devices(void **unused)
{
	io_connect_t client = client_open();
	struct quiver_dext_identity identity;

	assert_int_equal(client_identify(client, &identity), kIOReturnSuccess);
	assert_int_equal(identity.abi_version, QUIVER_DEXT_ABI_VERSION);
	assert_int_equal(identity.state, QUIVER_DEXT_UNCLAIMED);
	assert_int_equal(identity.vendor, 0x1912);
	assert_int_equal(identity.device, 0x0028);
	assert_int_equal(identity.class_revision >> 24, 0xff);
	assert_int_equal(identity.address, 0x3000);
	assert_int_equal(identity.refused, 0);
	IOServiceClose(client);
}

static kern_return_t bar_info(io_connect_t client, uint64_t bar, struct quiver_dext_bar *info)
{
	size_t size = sizeof(*info);
	uint32_t none = 0;

	return IOConnectCallMethod(client, QUIVER_DEXT_BAR_INFO, &bar, 1, NULL, 0, NULL, &none,
				   info, &size);
}

/* Six 32-bit BARs. A Mac's own reads of them have other type bits [H4]. */
static void bars_are_told_as_they_are(void **unused)
{
	const uint64_t sizes[] = { 65536, 4096, 16384, 65536, 131072, 1048576 };
	io_connect_t client = client_open_claimed();
	struct quiver_dext_bar info;

	for (unsigned int i = 0; i < QUIVER_DEXT_BARS; i++) {
		assert_int_equal(bar_info(client, i, &info), kIOReturnSuccess);
		assert_int_equal(info.length, sizes[i]);
		assert_int_equal(info.memory_type, QUIVER_DEXT_MEM_BAR0 + i);
		assert_int_equal(info.flags, 0);
		assert_int_equal(client_config_read(client, 0x10 + 4 * i, 4), 0);
	}
	assert_int_equal(bar_info(client, 6, &info), kIOReturnBadArgument);
	assert_int_equal(bar_info(client, UINT64_MAX, &info), kIOReturnBadArgument);
	assert_int_equal(client_config_read(client, 0x30, 4), 0);
	IOServiceClose(client);
}

static void a_64_bit_bar_takes_two_registers(void **unused)
{
	io_connect_t client = client_open_claimed();
	struct quiver_dext_bar info;

	assert_int_equal(bar_info(client, 0, &info), kIOReturnSuccess);
	assert_true(info.length);
	assert_int_equal(info.flags, QUIVER_DEXT_BAR_64);
	assert_int_equal(client_config_read(client, 0x10, 4), 4);
	assert_int_equal(client_config_read(client, 0x10, 1), 4);
	assert_int_equal(client_config_read(client, 0x12, 2), 0);
	assert_int_equal(bar_info(client, 1, &info), kIOReturnSuccess);
	assert_int_equal(info.length, 0);
	assert_int_equal(client_config_read(client, 0x14, 4), 0);
	IOServiceClose(client);
}

static void bar_memory_is_the_devices(void **unused)
{
	io_connect_t client = client_open_claimed();
	volatile uint32_t *one, *two, *other;
	size_t size;

	/* memoryIndex is not the BAR's number [H4]: a mix-up shows in the sizes. */
	other = client_map_memory(client, QUIVER_DEXT_MEM_BAR0 + 5, &size);
	assert_non_null(other);
	assert_int_equal(size, 1048576);
	one = client_map_memory(client, QUIVER_DEXT_MEM_BAR0 + 4, &size);
	two = client_map_memory(client, QUIVER_DEXT_MEM_BAR0 + 4, NULL);
	assert_non_null(one);
	assert_ptr_not_equal(one, two);
	assert_int_equal(size, 131072);
	one[0x1000] = 0x12345678;
	assert_int_equal(two[0x1000], 0x12345678);
	assert_int_equal(other[0x1000], 0);
	assert_int_equal(IOConnectUnmapMemory64(client, QUIVER_DEXT_MEM_BAR0 + 4, mach_task_self(),
						(uintptr_t)two), kIOReturnSuccess);
	assert_int_equal(IOConnectUnmapMemory64(client, QUIVER_DEXT_MEM_BAR0 + 4, mach_task_self(),
						(uintptr_t)two), kIOReturnBadArgument);
	assert_int_equal(one[0x1000], 0x12345678);
	assert_null(client_map_memory(client, QUIVER_DEXT_MEM_BAR0 + 6, NULL));
	assert_null(client_map_memory(client, QUIVER_DEXT_MEM_PENDING + 1, NULL));
	IOServiceClose(client);
}

static void config_accesses_are_checked(void **unused)
{
	io_connect_t client = client_open_claimed();
	const struct { uint64_t offset, width; } bad[] = {
		{ 0, 0 }, { 0, 3 }, { 0, 8 }, { 1, 2 }, { 2, 4 }, { 4096, 1 }, { 4096, 4 },
		{ 4094, 4 }, { UINT64_MAX, 1 }, { 1ull << 32, 4 }, { 0, 1ull << 32 | 4 },
	};
	uint64_t value;
	uint32_t count = 1;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const uint64_t input[] = { bad[i].offset, bad[i].width, 0 };

		assert_int_equal(IOConnectCallScalarMethod(client, QUIVER_DEXT_CONFIG_READ, input,
							   2, &value, &count),
				 kIOReturnBadArgument);
		assert_int_equal(IOConnectCallScalarMethod(client, QUIVER_DEXT_CONFIG_WRITE, input,
							   3, NULL, NULL), kIOReturnBadArgument);
	}
	/* A value that the width does not hold. */
	assert_int_equal(client_config_write(client, COMMAND, 1, 0x100), kIOReturnBadArgument);
	assert_int_equal(client_config_read(client, 0, 4), 0x00281912);
	assert_int_equal(client_config_read(client, 0, 2), 0x1912);
	assert_int_equal(client_config_read(client, 3, 1), 0x00);
	assert_int_equal(client_config_read(client, 2, 1), 0x28);
	IOServiceClose(client);
}

static unsigned int find_capability(io_connect_t client, unsigned int id)
{
	unsigned int at = client_config_read(client, 0x34, 1);

	while (at && client_config_read(client, at, 1) != id)
		at = client_config_read(client, at + 1, 1);
	return at;
}

/* Each of these takes the simulated device off the bus if it gets there [H9]. */
static void writes_that_would_lose_the_device_are_refused(void **unused)
{
	io_connect_t client = client_open_claimed();
	unsigned int pcie = find_capability(client, CAP_EXP);
	uint32_t control;

	assert_int_not_equal(pcie, 0);
	control = client_config_read(client, pcie + 8, 2);
	for (unsigned int at = 0x10; at < 0x28; at++)
		assert_int_equal(client_config_write(client, at, 1, 0xff), kIOReturnNotWritable);
	for (unsigned int at = 0x10; at < 0x34; at += 4)
		assert_int_equal(client_config_write(client, at, 4, ~0u), kIOReturnNotWritable);
	/* Max payload, max read request, function-level reset. */
	assert_int_equal(client_config_write(client, pcie + 8, 2, control ^ 0xf0e0),
			 kIOReturnNotWritable);
	assert_int_equal(client_config_write(client, pcie + 8, 4, control ^ 0xf0e0),
			 kIOReturnNotWritable);
	assert_int_equal(client_config_write(client, pcie + 9, 1, 0xff), kIOReturnNotWritable);
	assert_int_equal(client_config_read(client, 0, 4), 0x00281912);
	assert_int_equal(client_config_read(client, pcie + 8, 2), control);
	IOServiceClose(client);
}

static void interrupt_registers_stay_macos(void **unused)
{
	io_connect_t client = client_open_claimed();
	unsigned int msi = find_capability(client, CAP_MSI);
	unsigned int msix = find_capability(client, CAP_MSIX);
	uint32_t before;

	assert_int_not_equal(msi, 0);
	assert_int_not_equal(msix, 0);
	for (unsigned int at = msi; at < msi + 0x0c; at += 4) {
		before = client_config_read(client, at, 4);
		assert_int_equal(client_config_write(client, at, 4, ~before),
				 kIOReturnNotWritable);
		assert_int_equal(client_config_read(client, at, 4), before);
	}
	before = client_config_read(client, msix, 4);
	assert_int_equal(client_config_write(client, msix + 2, 2, 0xc000), kIOReturnNotWritable);
	assert_int_equal(client_config_read(client, msix, 4), before);
	IOServiceClose(client);
}

static void errors_can_be_cleared(void **unused)
{
	io_connect_t client = client_open_claimed();
	unsigned int pcie = find_capability(client, CAP_EXP);

	assert_int_equal(client_config_write(client, 0x06, 2, 0xf900), kIOReturnSuccess);
	assert_int_equal(client_config_write(client, pcie + 10, 2, 0x000f), kIOReturnSuccess);
	assert_int_equal(client_config_write(client, pcie + 10, 2, 0x0010), kIOReturnNotWritable);
	assert_int_equal(client_config_write(client, 0x0c, 1, 0x40), kIOReturnNotWritable);
	assert_int_equal(client_config_read(client, 0, 4), 0x00281912);
	IOServiceClose(client);
}

static void mastering_the_bus_makes_it_live(void **unused)
{
	io_connect_t client = client_open_claimed();
	uint64_t dropped = 1;

	assert_int_equal(client_config_write(client, COMMAND, 2, 0x0406), kIOReturnNotWritable);
	assert_int_equal(client_config_write(client, COMMAND, 2, 0x0002), kIOReturnSuccess);
	assert_int_equal(client_config_read(client, COMMAND, 2), 0x0002);
	assert_int_equal(client_state(client), QUIVER_DEXT_CLAIMED);
	assert_int_equal(client_config_write(client, COMMAND, 2, 0x0006), kIOReturnSuccess);
	assert_int_equal(client_state(client), QUIVER_DEXT_LIVE);
	assert_int_equal(mac_device("masters_bus"), 1);
	/* It may have transfers under way still: live until a reset. */
	client_master(client, false);
	assert_int_equal(client_state(client), QUIVER_DEXT_LIVE);
	client_master(client, true);
	assert_int_equal(client_reset(client, &dropped), kIOReturnSuccess);
	assert_int_equal(dropped, 0);
	assert_int_equal(client_state(client), QUIVER_DEXT_CLAIMED);
	assert_int_equal(mac_device("masters_bus"), 0);
	IOServiceClose(client);
}

static void reset_drops_mappings(void **unused)
{
	io_connect_t client = client_open_claimed();
	void *memory = memory_new(4 * GRANULE);
	struct quiver_dext_stats stats;
	uint64_t iova, dropped;

	for (int i = 0; i < 3; i++)
		assert_int_equal(client_dma_map(client, memory, 2 * GRANULE, &iova), 0);
	client_master(client, true);
	assert_int_equal(client_reset(client, &dropped), kIOReturnSuccess);
	assert_int_equal(dropped, 3);
	assert_int_equal(mac_device("mappings"), 0);
	assert_int_equal(client_dma_unmap(client, iova, 2 * GRANULE), QUIVER_DEXT_S_NOENT);
	assert_int_equal(client_stats(client, &stats), kIOReturnSuccess);
	assert_int_equal(stats.mappings, 0);
	assert_int_equal(stats.bytes, 0);
	assert_int_equal(stats.mappings_peak, 3);
	assert_int_equal(stats.unmaps, 3);
	/* And it is of use again. */
	assert_int_equal(client_dma_map(client, memory, GRANULE, &iova), QUIVER_DEXT_S_OK);
	memory_free(memory, 4 * GRANULE);
	IOServiceClose(client);
}

/* In a child: claims, maps, turns on mastering, says so, and waits for its end. */
static void hold_device(int fd)
{
	io_connect_t client = client_open_claimed();
	void *memory = memory_new(64 * GRANULE);
	uint64_t iova;

	for (int i = 0; i < 8; i++)
		assert_int_equal(client_dma_map(client, memory, 8 * GRANULE, &iova), 0);
	client_master(client, true);
	assert_int_equal(write(fd, "x", 1), 1);
	for (;;)
		pause();
}

static pid_t child_that_holds_device(void)
{
	int ends[2];
	pid_t pid;
	char byte;

	assert_return_code(pipe(ends), errno);
	pid = fork();
	if (!pid)
		hold_device(ends[1]);
	assert_int_equal(read(ends[0], &byte, 1), 1);
	close(ends[0]);
	close(ends[1]);
	return pid;
}

static int wait_for(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void a_killed_client_leaves_nothing_mapped(void **unused)
{
	pid_t pid = child_that_holds_device();
	io_connect_t client;

	assert_int_equal(mac_device("mappings"), 8);
	assert_int_equal(mac_device("masters_bus"), 1);
	kill(pid, SIGKILL);
	wait_for(pid);
	mac_wait_device("mappings", 0);
	assert_int_equal(mac_device("masters_bus"), 0);
	assert_true(mac_alive());
	client = client_open_claimed();
	assert_int_equal(client_state(client), QUIVER_DEXT_CLAIMED);
	IOServiceClose(client);
}

/* The Mac shuts down under a client that holds the device. */
static void shutting_down_stops_the_device_first(void **unused)
{
	pid_t pid = child_that_holds_device();

	mac_stop();
	kill(pid, SIGKILL);
	wait_for(pid);
}

static int start_dead(void **unused)
{
	mac_start("--device endpoint,flr=dead");
	return 0;
}

/* It was seen to stop before its reset killed it, so what it had mapped may go [H8]. */
static void a_device_that_a_reset_kills_is_quarantined(void **unused)
{
	io_connect_t client = client_open_claimed(), other;
	void *memory = memory_new(GRANULE);
	struct quiver_dext_stats stats;
	uint64_t iova, dropped;

	assert_int_equal(client_dma_map(client, memory, GRANULE, &iova), QUIVER_DEXT_S_OK);
	client_master(client, true);
	assert_int_equal(client_reset(client, &dropped), kIOReturnNotResponding);
	assert_int_equal(client_state(client), QUIVER_DEXT_GONE);
	assert_int_equal(client_stats(client, &stats), kIOReturnSuccess);
	assert_int_equal(stats.mappings, 0);
	assert_int_equal(client_reset(client, &dropped), kIOReturnNoDevice);
	assert_int_equal(client_config_write(client, COMMAND, 2, 6), kIOReturnNoDevice);
	assert_null(client_map_memory(client, QUIVER_DEXT_MEM_BAR0, NULL));
	other = client_open();
	assert_int_equal(client_claim(other), kIOReturnNoDevice);
	IOServiceClose(client);
	mac_wait_device("clients", 1);
	assert_int_equal(client_claim(other), kIOReturnNoDevice);
	memory_free(memory, GRANULE);
	IOServiceClose(other);
}

/* In a child, for it goes down with the Mac: DMA to an address that is not mapped. */
static void write_nowhere(void)
{
	io_connect_t client = client_open_claimed();
	volatile uint32_t *regs = client_map_memory(client, QUIVER_DEXT_MEM_BAR0, NULL);

	client_master(client, true);
	regs[0x14 / 4] = 0x40000000;
	regs[0x18 / 4] = 0;
	regs[0x1c / 4] = 64;
	regs[0x04 / 4] = 1 << 4;
	for (;;)
		pause();
}

static void a_panic_takes_the_clients_along(void **unused)
{
	pid_t pid = fork();
	int status;

	if (!pid)
		write_nowhere();
	status = wait_for(pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
	assert_non_null(strstr(mac_panic(), "PANIC [D6]"));
}

static void device_writes_reach_the_client(void **unused)
{
	io_connect_t client = client_open_claimed();
	volatile uint32_t *regs = client_map_memory(client, QUIVER_DEXT_MEM_BAR0, NULL);
	char *memory = memory_new(GRANULE), zeros[64] = { 0 };
	uint64_t iova;

	assert_int_equal(client_dma_map(client, memory, GRANULE, &iova), QUIVER_DEXT_S_OK);
	client_master(client, true);
	regs[0x14 / 4] = (uint32_t)iova;
	regs[0x18 / 4] = (uint32_t)(iova >> 32);
	regs[0x1c / 4] = 64;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	regs[0x04 / 4] = 1 << 4;	/* "write": random bytes to the target */
	mac_wait_device("dma_written_bytes", 64);
	assert_memory_not_equal(memory, zeros, 64);
	assert_memory_equal(memory + 64, zeros, 64);
	client_master(client, false);
	memory_free(memory, GRANULE);
	IOServiceClose(client);
}

#define TEST(name, start) cmocka_unit_test_setup_teardown(name, start, mac_teardown)
#define TEST_ENDS_ITSELF(name, start) cmocka_unit_test_setup(name, start)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(wrong_counts_are_refused, start_endpoint),
		TEST(structs_beyond_inband_are_refused, start_endpoint),
		TEST(without_the_claim_nothing_works, start_endpoint),
		TEST(one_client_at_a_time_has_the_claim, start_endpoint),
		TEST(identity_is_the_devices, start_endpoint),
		TEST(bars_are_told_as_they_are, start_endpoint),
		TEST(a_64_bit_bar_takes_two_registers, start_nvme),
		TEST(bar_memory_is_the_devices, start_endpoint),
		TEST(config_accesses_are_checked, start_endpoint),
		TEST(writes_that_would_lose_the_device_are_refused, start_endpoint),
		TEST(interrupt_registers_stay_macos, start_endpoint),
		TEST(errors_can_be_cleared, start_endpoint),
		TEST(mastering_the_bus_makes_it_live, start_endpoint),
		TEST(reset_drops_mappings, start_endpoint),
		TEST(a_killed_client_leaves_nothing_mapped, start_endpoint),
		TEST_ENDS_ITSELF(shutting_down_stops_the_device_first, start_endpoint),
		TEST(a_device_that_a_reset_kills_is_quarantined, start_dead),
		TEST_ENDS_ITSELF(a_panic_takes_the_clients_along, start_endpoint),
		TEST(device_writes_reach_the_client, start_endpoint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
