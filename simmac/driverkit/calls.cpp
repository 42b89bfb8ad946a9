// SPDX-License-Identifier: BSD-3-Clause
/* Calls that a test can make slow, or fail. All there are, so that none is forgotten. */
#include <set>
#include <stdio.h>
#include <unistd.h>

#include "runtime.h"

struct simmac_knobs simmac_knobs;

namespace
{
struct call {
	bool client = false;		/* it is made in a client's process */
	uint64_t count = 0, delay_us = 0;
	std::set<uint64_t> fail_at;	/* counts */
};

/* Never destroyed: device threads may outlast main(). */
struct table {
	std::mutex lock;
	std::map<std::string, call, std::less<>> calls;
	uint64_t count = 0;		/* of all of them */
	std::set<uint64_t> fail_at;
	std::vector<std::string> failed;

	table();
} &table = *new struct table;

/* Of the extension; those without a class are of Hypervisor.framework. */
const char *const platform_calls[] = {
	"IOBufferMemoryDescriptor::Create",
	"IOBufferMemoryDescriptor::GetAddressRange",
	"IODMACommand::CompleteDMA",
	"IODMACommand::Create",
	"IODMACommand::PrepareForDMA",
	"IODispatchQueue::Create",
	"IOInterruptDispatchSource::Cancel",
	"IOInterruptDispatchSource::Create",
	"IOInterruptDispatchSource::GetInterruptType",
	"IOInterruptDispatchSource::SetEnable",
	"IOInterruptDispatchSource::SetHandler",
	"IOLockAlloc",
	"IOMallocZero",
	"IOPCIDevice::ConfigurationRead",
	"IOPCIDevice::ConfigurationWrite",
	"IOPCIDevice::ConfigureInterrupts",
	"IOPCIDevice::GetBARInfo",
	"IOPCIDevice::GetBusDeviceFunction",
	"IOPCIDevice::GetLinkSpeed",
	"IOPCIDevice::Open",
	"IOPCIDevice::Reset",
	"IOPCIDevice::_CopyDeviceMemoryWithIndex",
	"IOService::CopyDispatchQueue",
	"IOService::Create",
	"IOService::JoinPMTree",
	"IOService::RegisterService",
	"IOService::SearchProperty",
	"IOService::SetDispatchQueue",
	"IOService::SetName",
	"IOService::SetPowerState",
	"IOService::Start",
	"IOUserClient::AsyncCompletion",
	"IOUserClient::CreateMemoryDescriptorFromClient",
	"OSAction::Create",
	"OSData::withCapacity",
	"OSNumber::withNumber",
	"OSString::withCString",
	"hv_vcpu_create",
	"hv_vcpu_run",
	"hv_vm_create",
	"hv_vm_map",
};

const char *const client_calls[] = {
	"IOAllowPowerChange",
	"IOConnectCallAsyncMethod",
	"IOConnectCallMethod",
	"IOConnectMapMemory64",
	"IOConnectUnmapMemory64",
	"IONotificationPortCreate",
	"IOObjectGetClass",
	"IOPMAssertionCreateWithName",
	"IORegisterForSystemPower",
	"IORegistryEntryGetChildIterator",
	"IORegistryEntryGetName",
	"IORegistryEntryGetParentEntry",
	"IORegistryEntrySearchCFProperty",
	"IOServiceGetMatchingServices",
	"IOServiceOpen",
	"mach_port_allocate",
	"sysctlbyname",
};

table::table()
{
	for (const char *name : platform_calls)
		calls[name];
	for (const char *name : client_calls)
		calls[name].client = true;
}
}

static bool take(std::set<uint64_t> &fail_at, uint64_t count)
{
	return !fail_at.empty() && fail_at.erase(count);
}

bool simmac_calls::fails(const char *name)
{
	uint64_t delay_us;
	bool fails, any;

	{
		std::lock_guard<std::mutex> guard(table.lock);
		auto found = table.calls.find(name);	/* without making a string of it */

		if (found == table.calls.end()) {
			fprintf(stderr, "simmac: %s: nobody knows that call\n", name);
			return false;
		}
		call &call = found->second;

		any = take(table.fail_at, ++table.count);
		fails = take(call.fail_at, ++call.count) || any;
		delay_us = call.delay_us;
		if (fails)
			table.failed.push_back(name);
	}
	if (delay_us)
		usleep(static_cast<useconds_t>(delay_us));
	return fails;
}

static void set_fault(std::set<uint64_t> &fail_at, uint64_t count, uint64_t nth)
{
	if (nth)
		fail_at.insert(count + nth);
	else
		fail_at.clear();
}

bool simmac_calls::fail(const std::string &name, uint64_t nth)
{
	std::lock_guard<std::mutex> guard(table.lock);
	auto found = table.calls.find(name);

	if (name == "any")
		set_fault(table.fail_at, table.count, nth);
	else if (found != table.calls.end())
		set_fault(found->second.fail_at, found->second.count, nth);
	else
		return false;
	return true;
}

bool simmac_calls::delay(const std::string &name, uint64_t us)
{
	std::lock_guard<std::mutex> guard(table.lock);
	auto found = table.calls.find(name);

	if (found == table.calls.end())
		return false;
	found->second.delay_us = us;
	return true;
}

std::map<std::string, uint64_t> simmac_calls::counts(bool client)
{
	std::lock_guard<std::mutex> guard(table.lock);
	std::map<std::string, uint64_t> counts;

	for (const auto &entry : table.calls)
		if (entry.second.client == client)
			counts[entry.first] = entry.second.count;
	return counts;
}

std::vector<std::string> simmac_calls::failed()
{
	std::lock_guard<std::mutex> guard(table.lock);

	return table.failed;
}
