// SPDX-License-Identifier: BSD-3-Clause
/*
 * Each call of the platform that can fail on a Mac is made to fail, in turn and
 * at each of its first uses, while a client does all that there is to do. It
 * must hear of it, nothing may be left behind, and the next must find a device
 * that works.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>

#include "test_dext_mac.h"

#define USES 3u

/* Where the scenario first got an error. */
enum step {
	STEP_NONE, STEP_MATCH, STEP_OPEN, STEP_IDENTIFY, STEP_CLAIM, STEP_BAR, STEP_PENDING,
	STEP_CONFIG, STEP_MAP, STEP_WAIT, STEP_IRQ, STEP_UNMAP, STEP_RESET, STEP_STATS,
	STEP_AWAY	/* of no client's call: when the device goes */
};

static enum step first_error;

static bool failed(enum step step, bool error)
{
	if (error && !first_error)
		first_error = step;
	return error;
}

static bool maps_and_unmaps(io_connect_t client, void *memory)
{
	uint64_t iova = 0;

	if (failed(STEP_MAP, client_dma_map(client, memory, GRANULE, &iova)))
		return true;
	return failed(STEP_UNMAP, client_dma_unmap(client, iova, GRANULE));
}

static void use_claimed(io_connect_t client, mach_port_t port, void *memory)
{
	uint64_t reference[8] = { 0 }, granted, dropped, value, iova;
	const uint64_t where[] = { 4, 2, 6 };
	struct quiver_dext_stats stats;
	uint32_t one = 1;

	failed(STEP_BAR, !client_map_memory(client, QUIVER_DEXT_MEM_BAR0, NULL));
	failed(STEP_PENDING, !client_map_memory(client, QUIVER_DEXT_MEM_PENDING, NULL));
	failed(STEP_CONFIG, IOConnectCallScalarMethod(client, QUIVER_DEXT_CONFIG_READ, where, 2,
						      &value, &one) != kIOReturnSuccess);
	maps_and_unmaps(client, memory);
	failed(STEP_MAP, client_dma_map(client, memory, GRANULE, &iova) != 0);
	failed(STEP_WAIT, IOConnectCallAsyncScalarMethod(client, QUIVER_DEXT_IRQ_WAIT, port,
							 reference, 3, NULL, 0, NULL, NULL));
	failed(STEP_IRQ, client_irq(client, QUIVER_DEXT_IRQ_MSIX, 3, &granted));
	failed(STEP_CONFIG, client_config_write(client, 4, 2, 6));
	free(mac_control("raise endpoint0 0 3"));
	failed(STEP_IRQ, client_irq(client, QUIVER_DEXT_IRQ_MSIX, 2, &granted));
	failed(STEP_RESET, client_reset(client, &dropped));
	failed(STEP_STATS, client_stats(client, &stats));
}

/* The client goes with the device live, unless it had to go before. */
static void use(mach_port_t port, void *memory)
{
	struct quiver_dext_identity identity;
	io_service_t service = mac_service();
	io_connect_t client;
	uint64_t iova;

	if (failed(STEP_MATCH, !service))
		return;
	if (!failed(STEP_OPEN, IOServiceOpen(service, mach_task_self(), 0, &client))) {
		failed(STEP_IDENTIFY, client_identify(client, &identity));
		if (!failed(STEP_CLAIM, client_claim(client))) {
			use_claimed(client, port, memory);
			client_dma_map(client, memory, GRANULE, &iova);
			client_config_write(client, 4, 2, 6);
		}
		IOServiceClose(client);
	}
	IOObjectRelease(service);
}

/* The Mac sleeps and wakes, and then the cable is pulled and put back, under a client each. */
static void go_away(void)
{
	for (unsigned int i = 0; i < 2; i++) {
		io_connect_t client = client_open_claimed();

		client_master(client, true);
		assert_true(mac_does(i ? "unplug endpoint0" : "sleep"));
		assert_true(mac_does(i ? "plug endpoint0" : "wake"));
		IOServiceClose(client);
		mac_wait_device("clients", 0);
	}
}

static enum step use_with(const char *options, bool away)
{
	void *memory = memory_new(GRANULE);
	mach_port_t port;

	first_error = STEP_NONE;
	mac_start(options);
	assert_int_equal(mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &port), 0);
	if (away)
		go_away();
	else
		use(port, memory);
	mac_wait_device("clients", 0);
	mach_port_deallocate(mach_task_self(), port);
	memory_free(memory, GRANULE);
	return first_error;
}

#define ANYWHERE STEP_NONE

/* What is to fail, and where its first use is heard of. */
static const struct fault {
	const char *call;
	enum step step;
} faults[] = {
	{ "IODispatchQueue::Create", STEP_MATCH },
	{ "IOLockAlloc", STEP_MATCH },
	{ "IOMallocZero", STEP_MATCH },
	{ "IOService::Start", STEP_MATCH },
	{ "IOPCIDevice::Open", STEP_MATCH },
	{ "IOPCIDevice::GetBusDeviceFunction", STEP_MATCH },
	{ "IOService::SearchProperty", STEP_MATCH },
	{ "IOService::RegisterService", STEP_MATCH },
	{ "IOService::Create", STEP_OPEN },
	{ "OSData::withCapacity", STEP_IDENTIFY },
	{ "IOBufferMemoryDescriptor::Create", STEP_CLAIM },
	{ "IOBufferMemoryDescriptor::GetAddressRange", STEP_CLAIM },
	{ "IOPCIDevice::_CopyDeviceMemoryWithIndex", STEP_BAR },
	{ "IOUserClient::CreateMemoryDescriptorFromClient", STEP_MAP },
	{ "IODMACommand::Create", STEP_MAP },
	{ "IODMACommand::PrepareForDMA", STEP_MAP },
	{ "IODMACommand::CompleteDMA", STEP_UNMAP },
	/* Of the wake-up's own action; the next are the vectors'. */
	{ "OSAction::Create", STEP_WAIT },
	{ "IOPCIDevice::ConfigureInterrupts", STEP_IRQ },
	{ "IOInterruptDispatchSource::Create", STEP_IRQ },
	{ "IOInterruptDispatchSource::SetHandler", STEP_IRQ },
	{ "IOInterruptDispatchSource::SetEnable", STEP_IRQ },
	/* One that INTx might have been: the vectors are counted from the next. */
	{ "IOInterruptDispatchSource::GetInterruptType", ANYWHERE },
	/* Its vectors are in use still when the next are asked for. */
	{ "IOInterruptDispatchSource::Cancel", ANYWHERE },
	/* An FLR that fails is followed by a hot reset. */
	{ "IOPCIDevice::Reset", ANYWHERE },
	/* One BAR less, or one register that reads as ones. */
	{ "IOPCIDevice::GetBARInfo", ANYWHERE },
	{ "IOPCIDevice::ConfigurationRead", ANYWHERE },
	{ "IOPCIDevice::ConfigurationWrite", ANYWHERE },
	/* Whether it is unplugged is then not known. */
	{ "IOPCIDevice::GetLinkSpeed", STEP_AWAY },
	/* Of super: the driver passes its error on. */
	{ "IOService::SetPowerState", STEP_AWAY },
};

#define FAULTS (sizeof(faults) / sizeof(faults[0]))

static void try_fault(const struct fault *fault, uint64_t nth)
{
	char options[256];
	bool away = fault->step == STEP_AWAY;
	enum step step;

	snprintf(options, sizeof(options), "--device endpoint --fail %s:%u", fault->call,
		 (unsigned int)nth);
	step = use_with(options, away);
	if (mac_calls(fault->call) < nth)
		fail_msg("%s: never used %u times", fault->call, (unsigned int)nth);
	if (nth == 1 && fault->step && !away && step != fault->step)
		fail_msg("%s: heard of at step %d", fault->call, step);
	if (mac_end())
		fail_msg("%s, use %u: something was left", fault->call, (unsigned int)nth);
}

static void a_failed_call_is_heard_of_and_leaves_nothing(void **unused)
{
	uint64_t uses[FAULTS];

	for (unsigned int away = 0; away < 2; away++) {
		assert_int_equal(use_with("--device endpoint", away), STEP_NONE);
		for (size_t i = 0; i < FAULTS; i++)
			if ((faults[i].step == STEP_AWAY) == away)
				uses[i] = mac_calls(faults[i].call);
		mac_stop();
	}
	for (size_t i = 0; i < FAULTS; i++) {
		for (uint64_t nth = 1; nth <= uses[i] && nth <= USES; nth++)
			try_fault(&faults[i], nth);
	}
}

/* No call of the platform is missing above, but for those that cannot fail. */
static void all_calls_are_tried(void **unused)
{
	uint64_t known = 0, all;

	assert_int_equal(use_with("--device endpoint", false), STEP_NONE);
	go_away();
	for (size_t i = 0; i < FAULTS; i++) {
		assert_true(mac_calls(faults[i].call) >= 1);
		known++;
	}
	known += mac_calls("IOUserClient::AsyncCompletion") > 0;
	all = mac_call_names();
	assert_int_equal(all, known);
	mac_stop();
}

/* The device is as good as new for the next client, whatever failed before. */
static void the_next_client_finds_a_working_device(void **unused)
{
	void *memory = memory_new(GRANULE);
	io_connect_t client;
	mach_port_t port;

	mac_start("--device endpoint");
	assert_int_equal(mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &port), 0);
	for (size_t i = 0; i < FAULTS; i++) {
		if (faults[i].step == STEP_MATCH)
			continue;
		free(mac_control("fail %s 1", faults[i].call));
		if (faults[i].step == STEP_AWAY)
			go_away();
		else
			use(port, memory);
		mac_wait_device("clients", 0);
		free(mac_control("fail %s 0", faults[i].call));
		client = client_open_claimed();
		first_error = STEP_NONE;
		use_claimed(client, port, memory);
		if (first_error)
			fail_msg("after %s: step %d", faults[i].call, first_error);
		IOServiceClose(client);
		mac_wait_device("clients", 0);
	}
	mach_port_deallocate(mach_task_self(), port);
	memory_free(memory, GRANULE);
	mac_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_failed_call_is_heard_of_and_leaves_nothing),
		cmocka_unit_test(all_calls_are_tried),
		cmocka_unit_test(the_next_client_finds_a_working_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
