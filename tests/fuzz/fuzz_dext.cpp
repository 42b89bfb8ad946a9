// SPDX-License-Identifier: BSD-3-Clause
/*
 * The dext, shell and core, on simmac's DriverKit, in one process: clients that
 * come and go, call any selector with any sizes, and map memory, while the device
 * moves data, interrupts, falls off the bus, is unplugged or sleeps, and calls of
 * the platform fail.
 *
 * A panic of the simulated Mac is a crash. When all clients have gone the device
 * is free or gone, and has no mapping; when the Mac has ended, nothing is left.
 * Time is made up: who sleeps has slept at once.
 */
#include <atomic>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <vector>

#include <DriverKit/OSData.h>
#include "fuzz.h"
#include "machine.h"
#include "quiver/dext_abi.h"
#include "simmac/panic.h"

#define NAME		"fuzzed"
#define CLIENTS_MAX	4
#define INBAND_MAX	4096u
#define DELIVERY_US	100
#define TRANSFER_TRIES	2000
#define MEMORY		(64ull * SIMMAC_GRANULE)

#define PCI_COMMAND	0x04
#define PCI_BAR0	0x10

/* The endpoint's registers in its BAR 0. */
#define REG_COMMAND	0x04
#define REG_STATUS	0x08
#define REG_SOURCE	0x0c
#define REG_TARGET	0x14
#define REG_SIZE	0x1c
#define COMMAND_READ	(1u << 3)
#define COMMAND_WRITE	(1u << 4)
#define COMMAND_COPY	(1u << 5)

/* --- time ----------------------------------------------------------------------------------------- */

static std::atomic<uint64_t> slept_ns;

extern "C" {
int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
void __wrap_IOSleep(uint64_t milliseconds);
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
	int result = __real_clock_gettime(clock, now);
	uint64_t ns = static_cast<uint64_t>(now->tv_nsec) + slept_ns;

	now->tv_sec += static_cast<time_t>(ns / 1000000000);
	now->tv_nsec = static_cast<long>(ns % 1000000000);
	return result;
}

void __wrap_IOSleep(uint64_t milliseconds)
{
	slept_ns += milliseconds * 1000000;
}

/* --- the world ------------------------------------------------------------------------------------ */

namespace
{
struct granted {
	uint64_t iova, length;
};

struct user {
	std::shared_ptr<session> session;
	unit *of;
	std::shared_ptr<simmac_task> task;
	std::map<uint64_t, IOMemoryDescriptor *> mapped;
	std::vector<granted> grants;
};

struct world {
	struct machine machine;
	struct fuzz_bytes *bytes;
	std::vector<user> users;
	bool moving;			/* the device may be in the middle of a transfer */
};
}

static uint8_t *memory;			/* of all clients */

/* What fails as allocations and preparations do; the accesses that make a device safe do not. */
static const char *const faults[] = {
	"IOMallocZero", "IOLockAlloc", "OSData::withCapacity", "OSAction::Create",
	"IODispatchQueue::Create", "IOService::Start", "IOService::Create",
	"IOService::RegisterService", "IOBufferMemoryDescriptor::Create",
	"IOBufferMemoryDescriptor::GetAddressRange", "IOPCIDevice::Open",
	"IOPCIDevice::GetBARInfo", "IOPCIDevice::GetBusDeviceFunction",
	"IOPCIDevice::_CopyDeviceMemoryWithIndex", "IOPCIDevice::ConfigureInterrupts",
	"IOPCIDevice::ConfigurationRead", "IOPCIDevice::Reset",
	"IOUserClient::CreateMemoryDescriptorFromClient", "IODMACommand::Create",
	"IODMACommand::PrepareForDMA", "IODMACommand::CompleteDMA",
	"IOInterruptDispatchSource::Create", "IOInterruptDispatchSource::GetInterruptType",
	"IOInterruptDispatchSource::SetHandler", "IOInterruptDispatchSource::SetEnable",
	"IOInterruptDispatchSource::Cancel",
};

#define FAULTS (sizeof(faults) / sizeof(faults[0]))

int LLVMFuzzerInitialize(int *, char ***)
{
	void *mapping = mmap(NULL, MEMORY + SIMMAC_GRANULE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uintptr_t address = reinterpret_cast<uintptr_t>(mapping);

	fuzz_require(mapping != MAP_FAILED);
	memory = reinterpret_cast<uint8_t *>((address + SIMMAC_GRANULE - 1) &
					     ~static_cast<uintptr_t>(SIMMAC_GRANULE - 1));
	simmac_panic_set_hook(abort);
	simmac_knobs.reset_us = 0;
	return 0;
}

/* Capabilities of any kind that lead anywhere, laid over the endpoint's own. */
static std::string strange_config(struct fuzz_bytes *bytes)
{
	static const unsigned int places[] = { 0x06, 0x08, 0x34, 0x40, 0x44, 0x60, 0x80, 0xf8, 0xfc };
	unsigned int count = fuzz_below(bytes, 6);
	std::string config;
	char text[32];

	for (unsigned int i = 0; i < count; i++) {
		unsigned int place = places[fuzz_below(bytes, 9)];

		snprintf(text, sizeof(text), "%s%x:%08x", config.empty() ? ",config=" : "+", place,
			 static_cast<unsigned int>(fuzz_bits(bytes, 4)));
		config += text;
	}
	return config;
}

static struct options some_options(struct fuzz_bytes *bytes)
{
	struct options options;
	unsigned int shape = static_cast<unsigned int>(fuzz_bits(bytes, 1));
	std::string spec = "endpoint,name=" NAME;

	if (shape & 1)
		spec += ",flr=dead";
	if (shape & 2)
		spec += ",reset_ms=1500";
	if (shape & 4)
		spec += ",bars=unassigned:" + std::to_string(fuzz_bits(bytes, 1));
	if (shape & 8)
		spec += strange_config(bytes);
	options.devices.push_back(spec);
	options.dart = simmac_dart_defaults;
	if (shape & 16) {
		options.properties[QUIVER_DEXT_KEY_MAPPINGS] = std::to_string(fuzz_below(bytes, 8));
		options.properties[QUIVER_DEXT_KEY_BYTES] = std::to_string(fuzz_number(bytes));
	}
	simmac_knobs.segments = shape & 32 ? 2 : 1;
	simmac_knobs.sticky_interrupts = shape & 64;
	return options;
}

static struct simmac_device *device_of(struct world &world)
{
	return world.machine.units.empty() ? NULL : world.machine.units.front()->device.get();
}

static volatile uint32_t *reg(struct world &world, unsigned int offset)
{
	return reinterpret_cast<uint32_t *>(device_of(world)->bar[0].memory + offset);
}

/* --- clients -------------------------------------------------------------------------------------- */

static void open_client(struct world &world)
{
	user added = {};
	IOService *driver = world.machine.units.front()->driver;

	if (!driver || world.users.size() == CLIENTS_MAX)
		return;
	added.task = std::make_shared<simmac_task>(getpid());
	if (machine_open(world.machine, driver->ServiceState()->id,
			 static_cast<uint32_t>(fuzz_number(world.bytes)), added.task, &added.of,
			 &added.session) == kIOReturnSuccess)
		world.users.push_back(added);
}

static void forget_memory(user &user)
{
	for (auto &entry : user.mapped)
		entry.second->release();
	user.mapped.clear();
}

/* As the daemon does it for a connection that ends. */
static void close_client(struct world &world, size_t index)
{
	user user = world.users[index];

	world.users.erase(world.users.begin() + static_cast<ptrdiff_t>(index));
	user.task->alive = false;
	machine_close(world.machine, user.of, user.session);
	forget_memory(user);
}

static user *some_client(struct world &world)
{
	if (world.users.empty())
		open_client(world);
	return world.users.empty() ? NULL :
	       &world.users[fuzz_below(world.bytes, static_cast<unsigned int>(world.users.size()))];
}

/* --- calls ---------------------------------------------------------------------------------------- */

namespace
{
/* What a client passes; memory of exactly these sizes, so that not a byte more can be read. */
struct call {
	uint64_t selector = 0;
	std::vector<uint64_t> scalars;
	std::vector<uint8_t> structure;
	uint32_t scalars_out = 0;
	uint64_t structure_out = 0;
	bool async = false;

	std::vector<uint64_t> output;
	std::vector<uint8_t> result;
};
}

static void end_call(IOUserClientMethodArguments *arguments)
{
	OSSafeReleaseNULL(arguments->structureOutput);
	OSSafeReleaseNULL(arguments->structureInput);
	OSSafeReleaseNULL(arguments->completion);
}

static void take_result(struct call &call, const IOUserClientMethodArguments *arguments)
{
	const OSData *data = arguments->structureOutput;

	fuzz_require(arguments->scalarOutputCount <= call.scalars_out);
	if (!data)
		return;
	fuzz_require(data->getLength() <= call.structure_out);
	call.result.assign(static_cast<const uint8_t *>(data->getBytesNoCopy()),
			   static_cast<const uint8_t *>(data->getBytesNoCopy()) + data->getLength());
}

static kern_return_t perform(user *user, struct call &call)
{
	IOUserClientMethodArguments arguments = {};
	kern_return_t result = kIOReturnNoMemory;
	IOUserClient *client = user->session->client;

	/* Its port has died with the device. */
	if (user->session->inactive)
		return kIOReturnNoDevice;
	call.output.assign(call.scalars_out, 0);
	arguments.version = kIOUserClientMethodArgumentsCurrentVersion;
	arguments.selector = call.selector;
	arguments.scalarInput = call.scalars.data();
	arguments.scalarInputCount = static_cast<uint32_t>(call.scalars.size());
	arguments.scalarOutput = call.output.data();
	arguments.scalarOutputCount = call.scalars_out;
	arguments.structureOutputMaximumSize = call.structure_out;
	if (call.async)
		arguments.completion = simmac_completion_action(client, {
			[](IOReturn, const uint64_t *, uint32_t) {}
		});
	if (!call.structure.empty())
		arguments.structureInput = OSData::withBytes(call.structure.data(),
							     call.structure.size());
	if ((!call.async || arguments.completion) &&
	    (call.structure.empty() || arguments.structureInput))
		simmac_enter(client->ServiceState()->queue, [&] {
			result = client->ExternalMethod(call.selector, &arguments, NULL, NULL, NULL);
		});
	if (result == kIOReturnSuccess)
		take_result(call, &arguments);
	end_call(&arguments);
	/* What a reset has left is not told. */
	if (call.selector == QUIVER_DEXT_RESET)
		user->grants.clear();
	return result;
}

/* By selector, as dext_abi.h has them: scalars in, scalars out, struct out. */
static const struct counts {
	unsigned int scalars, scalars_out;
	size_t structure_out;
	bool async;
} right[QUIVER_DEXT_SELECTORS] = {
	{ 0, 0, sizeof(struct quiver_dext_identity), false },
	{ 0, 0, 0, false },
	{ 1, 0, sizeof(struct quiver_dext_bar), false },
	{ 2, 1, 0, false },
	{ 3, 0, 0, false },
	{ 0, 0, sizeof(struct quiver_dext_dma_result), false },
	{ 0, 0, sizeof(struct quiver_dext_stats), false },
	{ 2, 1, 0, false },
	{ 0, 0, 0, true },
	{ 1, 1, 0, false },
};

static struct call typed_call(unsigned int selector)
{
	struct call call;

	call.selector = selector;
	call.scalars.assign(right[selector].scalars, 0);
	call.scalars_out = right[selector].scalars_out;
	call.structure_out = right[selector].structure_out;
	call.async = right[selector].async;
	return call;
}

/* The one that is right, with any values; one byte in four says what is not. */
static struct call some_call(struct fuzz_bytes *bytes)
{
	struct call call = typed_call(fuzz_below(bytes, QUIVER_DEXT_SELECTORS));
	unsigned int wrong = fuzz_below(bytes, 32);

	/* Most of them are numbers of a kind or a BAR, or a width. */
	for (uint64_t &scalar : call.scalars)
		scalar = fuzz_below(bytes, 2) ? fuzz_below(bytes, 8) : fuzz_number(bytes);
	if (wrong == 1)
		call.selector = fuzz_number(bytes);
	if (wrong == 2)
		call.scalars.resize(fuzz_below(bytes, 17));
	if (wrong == 3)
		call.scalars_out = fuzz_below(bytes, 17);
	if (wrong == 4)
		call.structure_out = fuzz_number(bytes) % (INBAND_MAX + 1);
	if (wrong == 5)
		call.structure.resize(fuzz_number(bytes) % (INBAND_MAX + 1));
	if (wrong == 6)
		call.async = !call.async;
	return call;
}

static void call_anything(struct world &world)
{
	struct call call = some_call(world.bytes);
	user *user = some_client(world);

	if (user)
		perform(user, call);
}

static void call_config(struct world &world)
{
	static const uint16_t values[] = { 0x0006, 0x0002, 0x0006, 0x0004, 0xffff, 0xf900 };
	struct call call = typed_call(QUIVER_DEXT_CONFIG_WRITE);
	user *user = some_client(world);
	unsigned int what = fuzz_below(world.bytes, 8);

	call.scalars = { PCI_COMMAND, 2, values[what % 6] };
	if (what > 5)
		call.scalars = { fuzz_number(world.bytes), 1u << fuzz_below(world.bytes, 4),
				 fuzz_number(world.bytes) };
	if (user)
		perform(user, call);
}

static void call_interrupts(struct world &world)
{
	struct call call = typed_call(QUIVER_DEXT_IRQ_CONFIGURE);
	user *user = some_client(world);

	call.scalars = { fuzz_below(world.bytes, 4), fuzz_below(world.bytes, 70) };
	if (user)
		perform(user, call);
}

static void perform_with(user *user, unsigned int selector, const std::vector<uint64_t> &scalars)
{
	struct call call = typed_call(selector);

	call.scalars = scalars;
	perform(user, call);
}

/* The client's until it closes; NULL: it was refused. */
static IOMemoryDescriptor *map_one(user *user, uint64_t type)
{
	IOMemoryDescriptor *descriptor = NULL;
	uint64_t options = 0;

	if (user->session->inactive ||
	    user->session->client->CopyClientMemoryForType(type, &options, &descriptor))
		return NULL;
	fuzz_require(descriptor);
	OSSafeReleaseNULL(user->mapped[type]);
	user->mapped[type] = descriptor;
	return descriptor;
}

static struct quiver_dext_pending *page_of(IOMemoryDescriptor *descriptor)
{
	return reinterpret_cast<struct quiver_dext_pending *>(descriptor->address);
}

static void arm(IOMemoryDescriptor *descriptor)
{
	if (descriptor)
		__atomic_store_n(&page_of(descriptor)->armed, 1, __ATOMIC_SEQ_CST);
}

/* Takes the device and has it work, up to where a client has it; what most inputs begin with. */
static void claim(struct world &world)
{
	struct call call = typed_call(QUIVER_DEXT_CLAIM);
	unsigned int how = fuzz_below(world.bytes, 16);
	user *user = some_client(world);

	if (!user || perform(user, call) != kIOReturnSuccess)
		return;
	if (!(how & 4))
		perform_with(user, QUIVER_DEXT_IRQ_WAIT, {});
	if (how & 8)
		arm(map_one(user, QUIVER_DEXT_MEM_PENDING));
	if (how & 1)
		perform_with(user, QUIVER_DEXT_CONFIG_WRITE, { PCI_COMMAND, 2, 6 });
	if (how & 2)
		perform_with(user, QUIVER_DEXT_IRQ_CONFIGURE, { QUIVER_DEXT_IRQ_MSIX, 4 });
}

/* --- DMA ------------------------------------------------------------------------------------------ */

static bool idle(struct world &world)
{
	return *reg(world, REG_STATUS) || !simmac_device_masters_bus(device_of(world));
}

/* Whoever unmaps what a device uses gets what a Mac does then [D6]: a client's own fault. */
static void wait_for_transfer(struct world &world)
{
	if (!world.moving)
		return;
	/* One that still resets begins when its time has come, one that is dead never. */
	for (int i = 0; i < TRANSFER_TRIES && !idle(world); i++) {
		slept_ns += 1000000;
		usleep(10);
	}
	/* Its polling thread may be in the last turn. */
	simmac_device_pause(device_of(world));
	*reg(world, REG_COMMAND) = 0;
	simmac_device_resume(device_of(world));
	world.moving = false;
}

static struct quiver_dext_dma_entry some_map(struct fuzz_bytes *bytes)
{
	struct quiver_dext_dma_entry entry = {};
	unsigned int at = fuzz_below(bytes, 72), length = 1 + fuzz_below(bytes, 8);

	entry.op = QUIVER_DEXT_DMA_MAP;
	entry.flags = QUIVER_DEXT_DMA_READ | QUIVER_DEXT_DMA_WRITE;
	entry.address = reinterpret_cast<uintptr_t>(memory) + at * SIMMAC_GRANULE;
	entry.length = length * SIMMAC_GRANULE;
	return entry;
}

static struct quiver_dext_dma_entry some_unmap(user *user, struct fuzz_bytes *bytes)
{
	struct quiver_dext_dma_entry entry = {};

	entry.op = QUIVER_DEXT_DMA_UNMAP;
	if (user->grants.empty())
		return entry;
	const granted &grant = user->grants[fuzz_bits(bytes, 1) % user->grants.size()];

	entry.length = grant.length;
	entry.iova = grant.iova;
	return entry;
}

static struct quiver_dext_dma_entry some_entry(user *user, struct fuzz_bytes *bytes)
{
	unsigned int kind = fuzz_below(bytes, 16);
	struct quiver_dext_dma_entry entry = kind < 8 ? some_map(bytes) : some_unmap(user, bytes);

	if (kind == 12)
		entry.address = fuzz_number(bytes);
	if (kind == 13)
		entry.length = fuzz_number(bytes);
	if (kind == 14)
		entry.iova = fuzz_number(bytes);
	if (kind == 15)
		fuzz_copy(bytes, &entry, sizeof(entry));
	return entry;
}

static void forget_grant(user *user, uint64_t iova)
{
	for (size_t i = 0; i < user->grants.size(); i++) {
		if (user->grants[i].iova == iova) {
			user->grants.erase(user->grants.begin() + static_cast<ptrdiff_t>(i));
			return;
		}
	}
}

/* Of memory of ours only: the device is to write nowhere else. */
static bool is_ours(const struct quiver_dext_dma_entry *entry)
{
	uint64_t start = reinterpret_cast<uintptr_t>(memory);

	return entry->address >= start && entry->address < start + MEMORY &&
	       entry->length <= start + MEMORY - entry->address;
}

static void take_grants(user *user, const struct quiver_dext_dma_request *request,
			const struct call &call)
{
	struct quiver_dext_dma_result result = {};

	fuzz_require(call.result.size() <= sizeof(result));
	memcpy(&result, call.result.data(), call.result.size());
	fuzz_require(result.count == request->count);
	for (uint32_t i = 0; i < result.count; i++) {
		const struct quiver_dext_dma_entry *entry = &request->entry[i];

		if (entry->op == QUIVER_DEXT_DMA_UNMAP)
			forget_grant(user, entry->iova);
		if (entry->op != QUIVER_DEXT_DMA_MAP || result.entry[i].status)
			continue;
		fuzz_require(result.entry[i].iova);
		if (is_ours(entry))
			user->grants.push_back({ result.entry[i].iova, entry->length });
	}
}

static void call_dma(struct world &world)
{
	struct fuzz_bytes *bytes = world.bytes;
	struct call call = typed_call(QUIVER_DEXT_DMA);
	struct quiver_dext_dma_request request = {};
	user *user = some_client(world);
	unsigned int wrong = fuzz_below(bytes, 16);
	size_t size;

	if (!user)
		return;
	request.count = 1 + fuzz_below(bytes, 4);
	for (uint32_t i = 0; i < request.count; i++)
		request.entry[i] = some_entry(user, bytes);
	size = offsetof(struct quiver_dext_dma_request, entry) +
	       request.count * sizeof(request.entry[0]);
	if (wrong == 1)
		request.count = static_cast<uint32_t>(fuzz_number(bytes));
	if (wrong == 2)
		size = fuzz_number(bytes) % (INBAND_MAX + 1);
	if (wrong == 3)
		call.structure_out = fuzz_number(bytes) % (INBAND_MAX + 1);
	if (wrong == 4)
		request.reserved[fuzz_below(bytes, 7)] = 1;
	call.structure.assign(reinterpret_cast<uint8_t *>(&request),
			      reinterpret_cast<uint8_t *>(&request) + size);
	wait_for_transfer(world);
	if (perform(user, call) == kIOReturnSuccess)
		take_grants(user, &request, call);
}

/* The device moves data, as long as a client lets it; nobody waits for the end. */
static void move_data(struct world &world)
{
	static const uint32_t commands[] = { COMMAND_READ, COMMAND_WRITE, COMMAND_COPY };
	user *user = some_client(world);
	uint32_t command = commands[fuzz_below(world.bytes, 3)];

	if (!user || user->grants.empty() || !simmac_device_masters_bus(device_of(world)))
		return;
	granted grant = user->grants[fuzz_bits(world.bytes, 1) % user->grants.size()];

	wait_for_transfer(world);
	for (unsigned int offset : { REG_SOURCE, REG_TARGET }) {
		*reg(world, offset) = static_cast<uint32_t>(grant.iova);
		*reg(world, offset + 4) = static_cast<uint32_t>(grant.iova >> 32);
	}
	*reg(world, REG_SIZE) = static_cast<uint32_t>(grant.length);
	*reg(world, REG_STATUS) = 0;
	__atomic_store_n(const_cast<uint32_t *>(reg(world, REG_COMMAND)), command, __ATOMIC_RELEASE);
	world.moving = true;
}

/* --- the rest ------------------------------------------------------------------------------------- */

static void map_memory(struct world &world)
{
	static const uint64_t types[] = { QUIVER_DEXT_MEM_BAR0, QUIVER_DEXT_MEM_PENDING,
					  QUIVER_DEXT_MEM_BAR0 + 5, 7 };
	unsigned int which = fuzz_below(world.bytes, 5);
	uint64_t type = which < 4 ? types[which] : fuzz_number(world.bytes);
	user *user = some_client(world);

	if (user)
		map_one(user, type);
}

/* Whoever has the page may write anything into it. */
static void write_page(struct world &world)
{
	user *user = some_client(world);
	struct quiver_dext_pending *page;

	if (!user || !user->mapped.count(QUIVER_DEXT_MEM_PENDING))
		return;
	page = page_of(user->mapped[QUIVER_DEXT_MEM_PENDING]);
	__atomic_store_n(&page->armed, fuzz_bits(world.bytes, 1), __ATOMIC_SEQ_CST);
	__atomic_store_n(&page->lost, fuzz_bits(world.bytes, 1), __ATOMIC_SEQ_CST);
	__atomic_store_n(&page->bits[fuzz_below(world.bytes, 32)], fuzz_bits(world.bytes, 1),
			 __ATOMIC_SEQ_CST);
}

static void raise_interrupts(struct world &world)
{
	unsigned int first = static_cast<unsigned int>(fuzz_number(world.bytes)) % SIMMAC_VECTORS_MAX;

	for (unsigned int i = fuzz_below(world.bytes, 8); i < 8; i++)
		simmac_device_raise(device_of(world), (first + i) % SIMMAC_VECTORS_MAX);
	/* Threads of the Mac's bring them; what comes next may be sooner, or later. */
	if (fuzz_below(world.bytes, 4))
		usleep(DELIVERY_US);
}

static void fail_a_call(struct world &world)
{
	simmac_calls::fail(faults[fuzz_bits(world.bytes, 1) % FAULTS], fuzz_below(world.bytes, 8));
}

/* Those that this Mac knows. */
static void control(struct world &world)
{
	static const char *const commands[] = { "unplug " NAME, "plug " NAME, "sleep", "wake" };
	std::string answer;

	machine_control(world.machine, commands[fuzz_below(world.bytes, 4)], answer);
	for (user &user : world.users)
		user.grants.clear();
}

/* A write that a Mac's device does not survive [H9]: it answers nothing until a hot reset. */
static void fall_off(struct world &world)
{
	simmac_device_config_write(device_of(world), PCI_BAR0, 4, 0);
}

static void step(struct world &world)
{
	unsigned int what = fuzz_below(world.bytes, 32);

	if (what < 1)
		open_client(world);
	else if (what < 2 && !world.users.empty())
		close_client(world, fuzz_below(world.bytes, static_cast<unsigned int>(world.users.size())));
	else if (what < 4)
		claim(world);
	else if (what < 10)
		call_anything(world);
	else if (what < 13)
		call_config(world);
	else if (what < 19)
		call_dma(world);
	else if (what < 22)
		move_data(world);
	else if (what < 24)
		call_interrupts(world);
	else if (what < 26)
		map_memory(world);
	else if (what < 27)
		write_page(world);
	else if (what < 29)
		raise_interrupts(world);
	else if (what < 30)
		fail_a_call(world);
	else if (what < 31)
		control(world);
	else
		fall_off(world);
}

/* --- the end -------------------------------------------------------------------------------------- */

static void check_free(struct world &world)
{
	struct call call = typed_call(QUIVER_DEXT_IDENTIFY);
	struct quiver_dext_identity identity = {};

	open_client(world);
	if (world.users.empty() || perform(&world.users.front(), call) != kIOReturnSuccess)
		return;
	fuzz_require(call.result.size() == sizeof(identity));
	memcpy(&identity, call.result.data(), sizeof(identity));
	fuzz_require(identity.state == QUIVER_DEXT_UNCLAIMED || identity.state == QUIVER_DEXT_GONE);
	if (identity.state == QUIVER_DEXT_UNCLAIMED) {
		fuzz_require(!simmac_dart_stats(device_of(world)->dart).mappings);
		fuzz_require(!simmac_device_masters_bus(device_of(world)));
	}
	close_client(world, 0);
}

static void end(struct world &world)
{
	for (const char *name : faults)
		simmac_calls::fail(name, 0);
	machine_wake(world.machine, false);
	while (!world.users.empty())
		close_client(world, 0);
	check_free(world);
	machine_stop(world.machine);
	fuzz_require(!world.machine.leaks.any());
	machine_free(world.machine);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_bytes bytes = { data, size };
	struct world world = {};

	world.bytes = &bytes;
	if (machine_start(world.machine, some_options(&bytes)) == 0 && fuzz_below(&bytes, 8))
		claim(world);
	while (bytes.left && device_of(world))
		step(world);
	end(world);
	return 0;
}
