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
#include "rpc.h"

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
	void match(const struct packet &packet);
	void open(const struct packet &packet);
	void method(const struct packet &packet);
	void map(const struct packet &packet);
	void unmap(const struct packet &packet);
	void control(const struct packet &packet);
	void fail(kern_return_t result);
	OSAction *completion(const struct packet &packet);
	kern_return_t call(IOUserClientMethodArguments *arguments);

	struct machine &machine;
	int fd;
	std::shared_ptr<simmac_task> task;
	struct unit *unit = NULL;
	IOUserClient *client = NULL;
	std::map<uint32_t, IOMemoryDescriptor *> mapped;
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

void Connection::match(const struct packet &packet)
{
	std::string name(reinterpret_cast<const char *>(packet.bytes), packet.request.struct_size);
	std::vector<uint64_t> ids = machine_match(machine, name);
	struct answer answer;

	if (ids.size() > packet.request.struct_max / sizeof(ids[0]))
		ids.resize(packet.request.struct_max / sizeof(ids[0]));
	answer.bytes = ids.data();
	answer.reply.struct_size = static_cast<uint32_t>(ids.size() * sizeof(ids[0]));
	send(answer);
}

void Connection::open(const struct packet &packet)
{
	if (client) {
		fail(kIOReturnBusy);
		return;
	}
	fail(machine_open(machine, packet.request.argument, packet.request.selector, task, &unit,
			  &client));
}

static void send_completion(const file &port, const uint64_t *reference, IOReturn status,
			    const uint64_t *data, uint32_t count)
{
	struct {
		mach_msg_header_t header;
		struct OSNotificationHeader64 notification;
		IOReturn result;
		uint32_t reserved;
		uint64_t args[kIOUserClientAsyncArgumentsCountMax];
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
	return simmac_completion_action(client, completion);
}

kern_return_t Connection::call(IOUserClientMethodArguments *arguments)
{
	kern_return_t result = kIOReturnError;

	simmac_enter(client->ServiceState()->queue, [&] {
		result = client->ExternalMethod(arguments->selector, arguments, NULL, NULL, NULL);
	});
	return result;
}

void Connection::method(const struct packet &packet)
{
	const struct simmac_rpc_request *request = &packet.request;
	IOUserClientMethodArguments arguments = {};
	struct answer answer;

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

	answer.reply.result = client->CopyClientMemoryForType(type, &options, &memory);
	if (answer.reply.result == kIOReturnSuccess) {
		OSSafeReleaseNULL(mapped[type]);
		mapped[type] = memory;
		answer.fd = memory->fd;
		answer.reply.argument = memory->length;
		answer.reply.options = options & kIOUserClientMemoryReadOnly ? kIOMapReadOnly : 0;
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
	std::string command(reinterpret_cast<const char *>(packet.bytes),
			    packet.request.struct_size);
	std::string text;
	struct answer answer;
	int error = machine_control(machine, command, text);
	file memory(memfd_create("answer", MFD_CLOEXEC));

	if (error || memory.fd < 0 ||
	    write(memory.fd, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
		answer.reply.result = kIOReturnBadArgument;
	else
		answer.fd = memory.fd;
	answer.reply.argument = text.size();
	send(answer);
}

void Connection::serve_one(const struct packet &packet)
{
	switch (packet.request.op) {
	case SIMMAC_RPC_MATCH:
		match(packet);
		return;
	case SIMMAC_RPC_OPEN:
		open(packet);
		return;
	case SIMMAC_RPC_CONTROL:
		control(packet);
		return;
	}
	if (!client) {
		fail(kIOReturnNotOpen);
		return;
	}
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

/* Ends when the client closes, dies, or sends what is no request. */
void Connection::run()
{
	struct packet packet;

	while (receive(packet))
		serve_one(packet);
	packet.port.reset();
	task->alive = false;
	if (client)
		machine_close(machine, unit, client);
	for (auto &entry : mapped)
		entry.second->release();
}

void run_connection(struct machine &machine, int fd, pid_t pid)
{
	Connection(machine, fd, pid).run();
}
