// SPDX-License-Identifier: BSD-3-Clause
/* What one client asks, and the answers. */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <DriverKit/OSData.h>
#include <IOKit/OSMessageNotification.h>
#include "connection.h"
#include "quiver/dext_abi.h"
#include "rpc.h"
#include "simmac/panic.h"

namespace
{
/* A file descriptor with owners. */
struct file {
	int fd;

	explicit file(int fd) : fd(fd) {}
	~file()
	{
		if (fd >= 0)
			close(fd);
	}
};

struct packet {
	struct simmac_rpc_request request;
	uint64_t scalars[SIMMAC_RPC_SCALARS_MAX];
	uint8_t bytes[SIMMAC_RPC_STRUCT_MAX];
	std::shared_ptr<file> port;
};

struct answer {
	struct simmac_rpc_reply reply = {};
	uint64_t scalars[SIMMAC_RPC_SCALARS_MAX] = {};
	const void *bytes = NULL;
	int fd = -1;
};

class Connection
{
public:
	Connection(struct machine &machine, int fd, pid_t pid)
		: machine(machine), fd(fd), task(std::make_shared<simmac_task>(pid)) {}
	void run();
private:
	bool receive(struct packet &packet);
	void send(const struct answer &answer);
	void serve_one(const struct packet &packet);
	void send_bytes(const struct packet &packet, const void *bytes, size_t size,
			uint32_t options);
	void send_value(const struct packet &packet, const value &value);
	void dead();
	uint32_t changed();
	void match(const struct packet &packet);
	void relatives(const struct packet &packet);
	void describe(const struct packet &packet);
	void property(const struct packet &packet);
	void sysctl(const struct packet &packet);
	void open(const struct packet &packet);
	void method(const struct packet &packet);
	void map(const struct packet &packet);
	void unmap(const struct packet &packet);
	void control(const struct packet &packet);
	void hypervisor(const struct packet &packet);
	void asks_to_fail(const struct packet &packet);
	void assert_power(const struct packet &packet);
	void unassert();
	void listen(const struct packet &packet);
	void allow(const struct packet &packet);
	bool serve_anybody(const struct packet &packet);
	bool is_to_fail(const struct packet &packet);
	void serve_client(const struct packet &packet);
	void fail(kern_return_t result);
	OSAction *completion(const struct packet &packet);
	kern_return_t call(IOUserClientMethodArguments *arguments);

	struct machine &machine;
	int fd;
	std::shared_ptr<simmac_task> task;
	struct unit *unit = NULL;
	std::shared_ptr<session> session;
	std::map<uint32_t, IOMemoryDescriptor *> mapped;
	std::set<uint32_t> assertions;
	std::set<uint32_t> listeners;
};
}

static int take_fd(struct msghdr *message)
{
	int fd = -1;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && fd < 0)
			memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	}
	return fd;
}

/* One packet is head, scalars, struct; apart from what they say, nothing is in it. */
static bool unpack(struct packet &packet, const uint8_t *bytes, size_t size)
{
	struct simmac_rpc_request *request = &packet.request;
	size_t scalars;

	if (size < sizeof(*request))
		return false;
	memcpy(request, bytes, sizeof(*request));
	if (request->scalars > SIMMAC_RPC_SCALARS_MAX ||
	    request->struct_size > SIMMAC_RPC_STRUCT_MAX ||
	    request->scalars_max > SIMMAC_RPC_SCALARS_MAX ||
	    request->struct_max > SIMMAC_RPC_STRUCT_MAX)
		return false;
	scalars = request->scalars * sizeof(uint64_t);
	if (size != sizeof(*request) + scalars + request->struct_size)
		return false;
	memcpy(packet.scalars, bytes + sizeof(*request), scalars);
	memcpy(packet.bytes, bytes + sizeof(*request) + scalars, request->struct_size);
	return true;
}

bool Connection::receive(struct packet &packet)
{
	uint8_t bytes[SIMMAC_RPC_PACKET_MAX];
	alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { bytes, sizeof(bytes) };
	struct msghdr message = {};
	ssize_t size;

	message.msg_iov = &iov;
	message.msg_iovlen = 1;
	message.msg_control = control;
	message.msg_controllen = sizeof(control);
	do {
		size = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
	} while (size < 0 && errno == EINTR);
	if (size <= 0)
		return false;
	packet.port = std::make_shared<file>(take_fd(&message));
	return !(message.msg_flags & MSG_TRUNC) &&
	       unpack(packet, bytes, static_cast<size_t>(size));
}

void Connection::send(const struct answer &answer)
{
	struct iovec iov[3] = {
		{ const_cast<struct simmac_rpc_reply *>(&answer.reply), sizeof(answer.reply) },
		{ const_cast<uint64_t *>(answer.scalars), answer.reply.scalars * sizeof(uint64_t) },
		{ const_cast<void *>(answer.bytes), answer.reply.struct_size },
	};
	alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
	struct msghdr message = {};
	struct cmsghdr *c;

	message.msg_iov = iov;
	message.msg_iovlen = 3;
	if (answer.fd >= 0) {
		message.msg_control = control;
		message.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&message);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &answer.fd, sizeof(int));
	}
	/* A client that is gone is noticed by the next receive. */
	sendmsg(fd, &message, MSG_NOSIGNAL);
}

void Connection::fail(kern_return_t result)
{
	struct answer answer;

	answer.reply.result = result;
	send(answer);
}

static std::string text_of(const struct packet &packet)
{
	return std::string(reinterpret_cast<const char *>(packet.bytes), packet.request.struct_size);
}

/* As much of it as there is room for. */
void Connection::send_bytes(const struct packet &packet, const void *bytes, size_t size,
			    uint32_t options)
{
	struct answer answer;

	answer.bytes = bytes;
	answer.reply.options = options;
	answer.reply.struct_size = static_cast<uint32_t>(
		size < packet.request.struct_max ? size : packet.request.struct_max);
	send(answer);
}

/* Whether somebody plugs something in while it is walked. */
uint32_t Connection::changed()
{
	std::lock_guard<std::mutex> guard(machine.lock);

	return machine.mac.restless && machine.mac.restless-- ? SIMMAC_RPC_CHANGED : 0;
}

void Connection::match(const struct packet &packet)
{
	std::vector<uint64_t> ids = machine.registry.match(
		static_cast<enum simmac_rpc_match>(packet.request.selector), text_of(packet));

	send_bytes(packet, ids.data(), ids.size() * sizeof(ids[0]), changed());
}

/* The port of an entry that is terminated is none. */
void Connection::dead()
{
	fail(MACH_SEND_INVALID_DEST);
}

void Connection::relatives(const struct packet &packet)
{
	std::vector<uint64_t> ids;
	uint64_t parent;

	if (!machine.registry.relatives(packet.request.argument, &parent, &ids)) {
		dead();
		return;
	}
	if (packet.request.op == SIMMAC_RPC_CHILDREN) {
		send_bytes(packet, ids.data(), ids.size() * sizeof(ids[0]), changed());
		return;
	}
	/* Nobody walks over a parent. */
	send_bytes(packet, &parent, parent ? sizeof(parent) : 0, 0);
}

void Connection::describe(const struct packet &packet)
{
	std::string name, class_name;

	if (!machine.registry.describe(packet.request.argument, &name, &class_name)) {
		dead();
		return;
	}
	const std::string &text = packet.request.op == SIMMAC_RPC_NAME ? name : class_name;

	send_bytes(packet, text.data(), text.size(), 0);
}

void Connection::send_value(const struct packet &packet, const value &value)
{
	send_bytes(packet, value.bytes.data(), value.bytes.size(), value.type);
}

void Connection::property(const struct packet &packet)
{
	value value;

	if (machine.registry.search(packet.request.argument, text_of(packet),
				    packet.request.selector, &value))
		send_value(packet, value);
	else
		fail(kIOReturnNotFound);
}

void Connection::sysctl(const struct packet &packet)
{
	value room;
	const value *value = mac_sysctl(machine.mac, text_of(packet), &room);

	if (value)
		send_value(packet, *value);
	else
		fail(kIOReturnNotFound);
}

void Connection::open(const struct packet &packet)
{
	if (session) {
		fail(kIOReturnBusy);
		return;
	}
	if (!machine.registry.has(packet.request.argument)) {
		dead();
		return;
	}
	/* As IOServiceDEXTEntitlements has it. */
	if (!machine.mac.quiver_signed) {
		fail(kIOReturnNotPermitted);
		return;
	}
	fail(machine_open(machine, packet.request.argument, packet.request.selector, task, &unit,
			  &session));
}

static void send_completion(const file &port, const uint64_t *reference, IOReturn status,
			    const uint64_t *data, uint32_t count)
{
	struct {
		mach_msg_header_t header;
		struct OSNotificationHeader64 notification;
		IOReturn result;
		uint64_t args[kIOUserClientAsyncArgumentsCountMax] __attribute__((packed));
	} message = {};
	size_t size = offsetof(typeof(message), args) + count * sizeof(uint64_t);

	message.header.msgh_size = static_cast<mach_msg_size_t>(size);
	message.header.msgh_id = kOSNotificationMessageID;
	message.notification.size = static_cast<mach_msg_size_t>(
		size - offsetof(typeof(message), result));
	message.notification.type = kIOAsyncCompletionNotificationType;
	memcpy(message.notification.reference, reference, sizeof(OSAsyncReference64));
	message.result = status;
	if (count)
		memcpy(message.args, data, count * sizeof(uint64_t));
	/* As with a Mach port whose queue is full: the extension is not made to wait. */
	::send(port.fd, &message, size, MSG_DONTWAIT | MSG_NOSIGNAL);
}

OSAction *Connection::completion(const struct packet &packet)
{
	std::shared_ptr<file> port = packet.port;
	simmac_rpc_request request = packet.request;
	simmac_completion completion;

	completion.send = [port, request](IOReturn status, const uint64_t *data, uint32_t count) {
		send_completion(*port, request.reference, status, data, count);
	};
	return simmac_completion_action(session->client, completion);
}

kern_return_t Connection::call(IOUserClientMethodArguments *arguments)
{
	IOUserClient *client = session->client;
	kern_return_t result = kIOReturnError;

	simmac_enter(client->ServiceState()->queue, [&] {
		result = client->ExternalMethod(arguments->selector, arguments, NULL, NULL, NULL);
	});
	return result;
}

/* An identity begins with the version of the wire, for good. */
static const void *of_other_version(const struct answer &answer, uint32_t version,
				    std::string *identity)
{
	identity->assign(static_cast<const char *>(answer.bytes), answer.reply.struct_size);
	if (identity->size() >= sizeof(version))
		memcpy(&(*identity)[0], &version, sizeof(version));
	return identity->data();
}

void Connection::method(const struct packet &packet)
{
	const struct simmac_rpc_request *request = &packet.request;
	IOUserClientMethodArguments arguments = {};
	struct answer answer;
	std::string identity;

	arguments.version = kIOUserClientMethodArgumentsCurrentVersion;
	arguments.selector = request->selector;
	arguments.scalarInput = packet.scalars;
	arguments.scalarInputCount = request->scalars;
	arguments.scalarOutput = answer.scalars;
	arguments.scalarOutputCount = request->scalars_max;
	arguments.structureOutputMaximumSize = request->struct_max;
	if (request->op == SIMMAC_RPC_ASYNC_METHOD)
		arguments.completion = completion(packet);
	if (request->struct_size)
		arguments.structureInput = OSData::withBytes(packet.bytes, request->struct_size);
	if ((request->struct_size && !arguments.structureInput) ||
	    (request->op == SIMMAC_RPC_ASYNC_METHOD && !arguments.completion))
		answer.reply.result = kIOReturnNoMemory;
	else
		answer.reply.result = call(&arguments);
	if (answer.reply.result == kIOReturnSuccess) {
		answer.reply.scalars = arguments.scalarOutputCount;
		if (arguments.structureOutput) {
			answer.bytes = arguments.structureOutput->getBytesNoCopy();
			answer.reply.struct_size = static_cast<uint32_t>(
				arguments.structureOutput->getLength());
		}
	}
	if (machine.mac.abi && request->selector == QUIVER_DEXT_IDENTIFY)
		answer.bytes = of_other_version(answer, machine.mac.abi, &identity);
	if (answer.reply.struct_size > request->struct_max) {
		answer.reply.result = kIOReturnBadArgument;
		answer.reply.scalars = answer.reply.struct_size = 0;
	}
	send(answer);
	OSSafeReleaseNULL(arguments.structureOutput);
	OSSafeReleaseNULL(arguments.structureInput);
	OSSafeReleaseNULL(arguments.completion);
}

void Connection::map(const struct packet &packet)
{
	uint32_t type = packet.request.selector;
	IOMemoryDescriptor *memory = NULL;
	uint64_t options = 0;
	struct answer answer;

	answer.reply.result = session->client->CopyClientMemoryForType(type, &options, &memory);
	if (answer.reply.result == kIOReturnSuccess) {
		OSSafeReleaseNULL(mapped[type]);
		mapped[type] = memory;
		answer.fd = memory->fd;
		answer.reply.argument = memory->length;
		answer.reply.options = options & kIOUserClientMemoryReadOnly ? kIOMapReadOnly : 0;
		answer.reply.options |= memory->device ? SIMMAC_RPC_MAP_DEVICE : 0;
	}
	send(answer);
}

void Connection::unmap(const struct packet &packet)
{
	auto found = mapped.find(packet.request.selector);

	if (found == mapped.end()) {
		fail(kIOReturnNotFound);
		return;
	}
	found->second->release();
	mapped.erase(found);
	fail(kIOReturnSuccess);
}

void Connection::control(const struct packet &packet)
{
	std::string text;
	struct answer answer;
	int error = machine_control(machine, text_of(packet), text);
	file memory(memfd_create("answer", MFD_CLOEXEC));

	if (error || memory.fd < 0 ||
	    write(memory.fd, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
		answer.reply.result = kIOReturnBadArgument;
	else
		answer.fd = memory.fd;
	answer.reply.argument = text.size();
	send(answer);
}

/* What the fake Hypervisor.framework in a client tells: that part of the kernel is there. */
void Connection::hypervisor(const struct packet &packet)
{
	std::string text = text_of(packet);

	if (packet.request.op == SIMMAC_RPC_TOUCHED)
		simmac_panic("H1", "the guest touched a BAR that is mapped to be executed, at 0x%llx (%s)",
			     static_cast<unsigned long long>(packet.request.argument), text.c_str());
	fail(simmac_calls::fails(text.c_str()) ? kIOReturnError : kIOReturnSuccess);
}

/* A call that needs nobody but the client's own process asks whether it is to fail. */
void Connection::asks_to_fail(const struct packet &packet)
{
	fail(simmac_calls::fails(text_of(packet).c_str()) ? kIOReturnError : kIOReturnSuccess);
}

/* What a power assertion holds on to is its connection: it ends with the process. */
void Connection::assert_power(const struct packet &packet)
{
	std::string text = text_of(packet);
	size_t end = text.find('\0');
	struct answer answer;
	uint32_t id;

	if (end == std::string::npos) {
		fail(kIOReturnBadArgument);
		return;
	}
	id = machine_assert(machine, { task->pid, text.substr(0, end), text.substr(end + 1),
				       packet.request.selector });
	assertions.insert(id);
	answer.reply.argument = id;
	send(answer);
}

void Connection::unassert()
{
	for (uint32_t assertion : assertions)
		machine_unassert(machine, assertion);
	assertions.clear();
}

static void send_notice(const file &port, const uint64_t *reference, uint32_t type, uint64_t id)
{
	struct {
		mach_msg_header_t header;
		struct OSNotificationHeader64 notification;
		natural_t type;
		uint64_t argument __attribute__((packed));
	} message = {};

	message.header.msgh_size = sizeof(message);
	message.header.msgh_id = kOSNotificationMessageID;
	message.notification.size = sizeof(message.type) + sizeof(message.argument);
	message.notification.type = kIOServiceMessageNotificationType;
	memcpy(message.notification.reference, reference, sizeof(OSAsyncReference64));
	message.type = type;
	message.argument = id;
	::send(port.fd, &message, sizeof(message), MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* The notices end with the connection, as a power assertion does. */
void Connection::listen(const struct packet &packet)
{
	std::shared_ptr<file> port = packet.port;
	simmac_rpc_request request = packet.request;
	listener listener = {};

	listener.pid = task->pid;
	listener.send = [port, request](uint32_t type, uint32_t id) {
		send_notice(*port, request.reference, type, id);
	};
	listeners.insert(machine_listen(machine, listener));
	fail(kIOReturnSuccess);
}

void Connection::allow(const struct packet &packet)
{
	fail(machine_allow(machine, task->pid, packet.request.argument) ? kIOReturnSuccess :
									 kIOReturnBadArgument);
}

static const char *call_of(uint32_t op)
{
	switch (op) {
	case SIMMAC_RPC_MATCH:
		return "IOServiceGetMatchingServices";
	case SIMMAC_RPC_PARENT:
		return "IORegistryEntryGetParentEntry";
	case SIMMAC_RPC_CHILDREN:
		return "IORegistryEntryGetChildIterator";
	case SIMMAC_RPC_NAME:
		return "IORegistryEntryGetName";
	case SIMMAC_RPC_CLASS:
		return "IOObjectGetClass";
	case SIMMAC_RPC_PROPERTY:
		return "IORegistryEntrySearchCFProperty";
	case SIMMAC_RPC_SYSCTL:
		return "sysctlbyname";
	case SIMMAC_RPC_OPEN:
		return "IOServiceOpen";
	case SIMMAC_RPC_METHOD:
		return "IOConnectCallMethod";
	case SIMMAC_RPC_ASYNC_METHOD:
		return "IOConnectCallAsyncMethod";
	case SIMMAC_RPC_MAP:
		return "IOConnectMapMemory64";
	case SIMMAC_RPC_ASSERT:
		return "IOPMAssertionCreateWithName";
	case SIMMAC_RPC_LISTEN:
		return "IORegisterForSystemPower";
	case SIMMAC_RPC_ALLOW:
		return "IOAllowPowerChange";
	default:
		return NULL;
	}
}

/* Before it has had any effect; the answer is what a kernel without memory gives. */
bool Connection::is_to_fail(const struct packet &packet)
{
	const char *call = call_of(packet.request.op);

	if (!call || !simmac_calls::fails(call))
		return false;
	fail(kIOReturnNoMemory);
	return true;
}

/* Calls that want no user client. */
bool Connection::serve_anybody(const struct packet &packet)
{
	switch (packet.request.op) {
	case SIMMAC_RPC_MATCH:
		match(packet);
		return true;
	case SIMMAC_RPC_PARENT:
	case SIMMAC_RPC_CHILDREN:
		relatives(packet);
		return true;
	case SIMMAC_RPC_NAME:
	case SIMMAC_RPC_CLASS:
		describe(packet);
		return true;
	case SIMMAC_RPC_PROPERTY:
		property(packet);
		return true;
	case SIMMAC_RPC_SYSCTL:
		sysctl(packet);
		return true;
	case SIMMAC_RPC_OPEN:
		open(packet);
		return true;
	case SIMMAC_RPC_CONTROL:
		control(packet);
		return true;
	case SIMMAC_RPC_HYPERVISOR:
	case SIMMAC_RPC_TOUCHED:
		hypervisor(packet);
		return true;
	case SIMMAC_RPC_FAILS:
		asks_to_fail(packet);
		return true;
	case SIMMAC_RPC_ASSERT:
		assert_power(packet);
		return true;
	case SIMMAC_RPC_UNASSERT:
		unassert();
		fail(kIOReturnSuccess);
		return true;
	case SIMMAC_RPC_LISTEN:
		listen(packet);
		return true;
	case SIMMAC_RPC_ALLOW:
		allow(packet);
		return true;
	default:
		return false;
	}
}

void Connection::serve_client(const struct packet &packet)
{
	switch (packet.request.op) {
	case SIMMAC_RPC_METHOD:
	case SIMMAC_RPC_ASYNC_METHOD:
		method(packet);
		break;
	case SIMMAC_RPC_MAP:
		map(packet);
		break;
	case SIMMAC_RPC_UNMAP:
		unmap(packet);
		break;
	default:
		fail(kIOReturnUnsupported);
	}
}

/*
 * A user client that was terminated with its device has no port any more; but if
 * memory is mapped the port is now that of the mappings, and they are no user
 * client (IOUserClient::destroyUserReferences(), CHECK()).
 */
void Connection::serve_one(const struct packet &packet)
{
	if (is_to_fail(packet) || serve_anybody(packet))
		return;
	if (!session)
		fail(kIOReturnNotOpen);
	else if (session->inactive)
		fail(mapped.empty() ? MACH_SEND_INVALID_DEST : kIOReturnBadArgument);
	else
		serve_client(packet);
}

/* Ends when the client closes, dies, or sends what is no request. */
void Connection::run()
{
	struct packet packet;

	while (receive(packet))
		serve_one(packet);
	packet.port.reset();
	task->alive = false;
	for (uint32_t listener : listeners)
		machine_unlisten(machine, listener);
	if (session)
		machine_close(machine, unit, session);
	for (auto &entry : mapped)
		entry.second->release();
	unassert();
}

void run_connection(struct machine &machine, int fd, pid_t pid)
{
	Connection(machine, fd, pid).run();
}
