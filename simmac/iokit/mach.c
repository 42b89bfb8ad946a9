// SPDX-License-Identifier: BSD-3-Clause
/* Mach ports as queues of messages, and what IOKit puts into them. */
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <IOKit/IOKitLib.h>

#include "call.h"

/* No name of the table has these low bits. */
#define TASK_SELF ((mach_port_t)0x107)

mach_port_t mach_task_self(void)
{
	return TASK_SELF;
}

kern_return_t mach_port_allocate(ipc_space_t task, mach_port_right_t right,
				 mach_port_name_t *name)
{
	struct simmac_port *port;
	int ends[2];

	if (task != TASK_SELF || right != MACH_PORT_RIGHT_RECEIVE)
		return KERN_INVALID_VALUE;
	if (simmac_call_fails("mach_port_allocate"))
		return KERN_RESOURCE_SHORTAGE;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return KERN_RESOURCE_SHORTAGE;
	port = simmac_port_new(SIMMAC_PORT_QUEUE, ends[0], ends[1], NULL, 0);
	if (!port)
		return KERN_RESOURCE_SHORTAGE;
	*name = port->name;
	return KERN_SUCCESS;
}

kern_return_t mach_port_insert_right(ipc_space_t task, mach_port_name_t name, mach_port_t poly,
				     mach_msg_type_name_t polyPoly)
{
	return KERN_SUCCESS;
}

kern_return_t mach_port_deallocate(ipc_space_t task, mach_port_name_t name)
{
	return simmac_port_drop(name, SIMMAC_PORT_QUEUE) ? KERN_SUCCESS : KERN_INVALID_NAME;
}

kern_return_t mach_port_destroy(ipc_space_t task, mach_port_name_t name)
{
	return mach_port_deallocate(task, name);
}

kern_return_t mach_port_mod_refs(ipc_space_t task, mach_port_name_t name, mach_port_right_t right,
				 mach_port_delta_t delta)
{
	return delta < 0 ? mach_port_deallocate(task, name) : KERN_SUCCESS;
}

static mach_msg_return_t send_message(mach_msg_header_t *message, mach_msg_option_t option,
				      mach_msg_size_t size)
{
	struct simmac_port *port = simmac_port_get(message->msgh_remote_port, SIMMAC_PORT_QUEUE);
	int flags = MSG_NOSIGNAL | (option & MACH_SEND_TIMEOUT ? MSG_DONTWAIT : 0);
	ssize_t sent;

	if (!port)
		return MACH_SEND_INVALID_DEST;
	do {
		sent = send(port->peer, message, size, flags);
	} while (sent < 0 && errno == EINTR);
	simmac_port_put(port);
	if (sent >= 0)
		return MACH_MSG_SUCCESS;
	return errno == EAGAIN ? MACH_SEND_TIMED_OUT : MACH_SEND_INVALID_DEST;
}

static mach_msg_return_t wait_for_message(const struct simmac_port *port,
					  mach_msg_option_t option, mach_msg_timeout_t timeout)
{
	struct pollfd fd = { .fd = port->fd, .events = POLLIN };

	switch (poll(&fd, 1, option & MACH_RCV_TIMEOUT ? (int)timeout : -1)) {
	case -1:
		return errno == EINTR ? MACH_RCV_INTERRUPTED : MACH_RCV_INVALID_NAME;
	case 0:
		return MACH_RCV_TIMED_OUT;
	default:
		return MACH_MSG_SUCCESS;
	}
}

/* A message that does not fit, trailer included, is lost, as it is on a Mac. */
static mach_msg_return_t take_message(struct simmac_port *port, mach_msg_header_t *message,
				      mach_msg_size_t room)
{
	mach_msg_trailer_t trailer = { .msgh_trailer_size = sizeof(trailer) };
	ssize_t size = recv(port->fd, message, room, MSG_TRUNC | MSG_DONTWAIT);

	if (size < 0)
		return errno == EAGAIN || errno == EINTR ? MACH_RCV_INTERRUPTED :
							    MACH_RCV_PORT_DIED;
	if (size == 0)
		return MACH_RCV_PORT_DIED;
	if ((size_t)size + sizeof(trailer) > room)
		return MACH_RCV_TOO_LARGE;
	message->msgh_size = (mach_msg_size_t)size;
	message->msgh_remote_port = MACH_PORT_NULL;
	message->msgh_local_port = port->name;
	memcpy((char *)message + size, &trailer, sizeof(trailer));
	return MACH_MSG_SUCCESS;
}

static mach_msg_return_t receive_message(mach_msg_header_t *message, mach_msg_option_t option,
					 mach_msg_size_t room, mach_port_name_t name,
					 mach_msg_timeout_t timeout)
{
	struct simmac_port *port = simmac_port_get(name, SIMMAC_PORT_QUEUE);
	mach_msg_return_t result;

	if (!port)
		return MACH_RCV_INVALID_NAME;
	result = wait_for_message(port, option, timeout);
	if (result == MACH_MSG_SUCCESS)
		result = take_message(port, message, room);
	simmac_port_put(port);
	return result;
}

mach_msg_return_t mach_msg(mach_msg_header_t *msg, mach_msg_option_t option,
			   mach_msg_size_t send_size, mach_msg_size_t rcv_size,
			   mach_port_name_t rcv_name, mach_msg_timeout_t timeout,
			   mach_port_name_t notify)
{
	mach_msg_return_t result = MACH_MSG_SUCCESS;

	if (option & MACH_SEND_MSG) {
		if (send_size < sizeof(*msg))
			return MACH_SEND_INVALID_DATA;
		result = send_message(msg, option, send_size);
	}
	if (result == MACH_MSG_SUCCESS && option & MACH_RCV_MSG)
		result = receive_message(msg, option, rcv_size, rcv_name, timeout);
	return result;
}

struct IONotificationPort {
	mach_port_t port;
};

IONotificationPortRef IONotificationPortCreate(mach_port_t mainPort)
{
	struct IONotificationPort *notify;

	if (simmac_call_fails("IONotificationPortCreate"))
		return NULL;
	notify = calloc(1, sizeof(*notify));
	if (notify && mach_port_allocate(TASK_SELF, MACH_PORT_RIGHT_RECEIVE, &notify->port)) {
		free(notify);
		return NULL;
	}
	return notify;
}

void IONotificationPortDestroy(IONotificationPortRef notify)
{
	mach_port_deallocate(TASK_SELF, notify->port);
	free(notify);
}

mach_port_t IONotificationPortGetMachPort(IONotificationPortRef notify)
{
	return notify->port;
}

struct completion {
	mach_msg_header_t header;
	struct OSNotificationHeader64 notification;
	struct IOAsyncCompletionContent content;
};

/* The callbacks differ by how many arguments the driver sent. */
static void call_out(const struct completion *message, uint32_t count)
{
	const uint64_t *reference = message->notification.reference;
	void *function = (void *)(uintptr_t)reference[kIOAsyncCalloutFuncIndex];
	void *refcon = (void *)(uintptr_t)reference[kIOAsyncCalloutRefconIndex];
	IOReturn result = message->content.result;
	void *args[16];

	for (uint32_t i = 0; i < count; i++)
		args[i] = message->content.args[i];
	switch (count) {
	case 0:
		((IOAsyncCallback0)function)(refcon, result);
		break;
	case 1:
		((IOAsyncCallback1)function)(refcon, result, args[0]);
		break;
	case 2:
		((IOAsyncCallback2)function)(refcon, result, args[0], args[1]);
		break;
	default:
		((IOAsyncCallback)function)(refcon, result, args, count);
	}
}

struct notice {
	mach_msg_header_t header;
	struct OSNotificationHeader64 notification;
	struct IOServiceInterestContent content;
};

static void call_interested(const struct notice *message)
{
	const uint64_t *reference = message->notification.reference;
	IOServiceInterestCallback callback =
		(IOServiceInterestCallback)(uintptr_t)reference[kIOInterestCalloutFuncIndex];

	callback((void *)(uintptr_t)reference[kIOInterestCalloutRefconIndex], IO_OBJECT_NULL,
		 message->content.messageType, message->content.messageArgument[0]);
}

void IODispatchCalloutFromMessage(void *unused, mach_msg_header_t *msg, void *reference)
{
	const struct completion *message = (const struct completion *)msg;
	size_t count;

	if (msg->msgh_id != kOSNotificationMessageID ||
	    msg->msgh_size < offsetof(struct completion, content.args) ||
	    !message->notification.reference[kIOAsyncCalloutFuncIndex])
		return;
	count = (msg->msgh_size - offsetof(struct completion, content.args)) / sizeof(uint64_t);
	if (message->notification.type == kIOServiceMessageNotificationType && count == 1)
		call_interested((const struct notice *)msg);
	else if (message->notification.type == kIOAsyncCompletionNotificationType && count <= 16)
		call_out(message, (uint32_t)count);
}

static const struct {
	kern_return_t code;
	const char *text;
} texts[] = {
	{ kIOReturnSuccess, "(os/kern) successful" },
	{ kIOReturnError, "(iokit/common) general error" },
	{ kIOReturnNoMemory, "(iokit/common) memory allocation error" },
	{ kIOReturnNoResources, "(iokit/common) resource shortage" },
	{ kIOReturnIPCError, "(iokit/common) Mach IPC failure" },
	{ kIOReturnNoDevice, "(iokit/common) no such device" },
	{ kIOReturnBadArgument, "(iokit/common) invalid argument" },
	{ kIOReturnExclusiveAccess, "(iokit/common) exclusive access and device already open" },
	{ kIOReturnUnsupported, "(iokit/common) unsupported function" },
	{ kIOReturnVMError, "(iokit/common) virtual memory error" },
	{ kIOReturnIOError, "(iokit/common) general I/O error" },
	{ kIOReturnNotOpen, "(iokit/common) device not open" },
	{ kIOReturnBusy, "(iokit/common) device busy" },
	{ kIOReturnNotReady, "(iokit/common) device not ready" },
	{ kIOReturnNotPermitted, "(iokit/common) not permitted" },
	{ kIOReturnNotResponding, "(iokit/common) device not responding" },
	{ kIOReturnNotFound, "(iokit/common) data was not found" },
	{ MACH_SEND_INVALID_DEST, "(ipc/send) invalid destination port" },
	{ MACH_RCV_TIMED_OUT, "(ipc/rcv) timed out" },
	{ MACH_RCV_PORT_DIED, "(ipc/rcv) port died" },
};

char *mach_error_string(kern_return_t error)
{
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (texts[i].code == error)
			return (char *)(uintptr_t)texts[i].text;
	}
	return (char *)(uintptr_t)"(unknown) unknown error code";
}
