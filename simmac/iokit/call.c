// SPDX-License-Identifier: BSD-3-Clause
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "call.h"

/* The device's DMA is the daemon's access to our memory. */
static void admit(int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (!getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size))
		prctl(PR_SET_PTRACER, (unsigned long)peer.pid, 0, 0, 0);
}

int simmac_call_connect(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *path = getenv("QUIVER_SIMMAC");
	int fd, error;

	if (!path || !*path)
		return -ENOENT;
	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		error = -errno;
		close(fd);
		return error;
	}
	admit(fd);
	return fd;
}

union control {
	struct cmsghdr header;
	char room[CMSG_SPACE(sizeof(int))];
};

static bool send_request(int fd, const struct simmac_call *call)
{
	struct iovec iov[3] = {
		{ call->request, sizeof(*call->request) },
		{ (void *)(uintptr_t)call->scalars, call->request->scalars * sizeof(uint64_t) },
		{ (void *)(uintptr_t)call->bytes, call->request->struct_size },
	};
	struct msghdr message = { .msg_iov = iov, .msg_iovlen = 3 };
	union control control = { 0 };
	ssize_t sent;

	if (call->pass >= 0) {
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &call->pass, sizeof(int));
	}
	do {
		sent = sendmsg(fd, &message, MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	return sent >= 0;
}

static int passed_file(struct msghdr *message)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(message);
	int fd = -1;

	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

/* Scalars come first and may be fewer than there is room for, so the packet lands here whole. */
struct reply_packet {
	struct simmac_rpc_reply reply;
	uint8_t rest[SIMMAC_RPC_SCALARS_MAX * sizeof(uint64_t) + SIMMAC_RPC_STRUCT_MAX];
};

static bool receive_reply(int fd, struct reply_packet *packet, struct simmac_call *call)
{
	struct iovec iov = { packet, sizeof(*packet) };
	union control control;
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	const struct simmac_rpc_reply *reply = &packet->reply;
	ssize_t size;

	do {
		size = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
	} while (size < 0 && errno == EINTR);
	if (size < (ssize_t)sizeof(*reply) || reply->scalars > call->request->scalars_max ||
	    reply->struct_size > call->request->struct_max)
		return false;
	call->take = passed_file(&message);
	return (size_t)size == sizeof(*reply) + reply->scalars * sizeof(uint64_t) +
			       reply->struct_size;
}

static void unpack(const struct reply_packet *packet, struct simmac_call *call)
{
	size_t scalars = packet->reply.scalars * sizeof(uint64_t);

	call->reply = packet->reply;
	if (scalars)
		memcpy(call->scalars_out, packet->rest, scalars);
	if (packet->reply.struct_size)
		memcpy(call->bytes_out, packet->rest + scalars, packet->reply.struct_size);
}

kern_return_t simmac_call_run(struct simmac_port *port, struct simmac_call *call)
{
	struct reply_packet packet;
	bool answered;

	pthread_mutex_lock(&port->lock);
	answered = send_request(port->fd, call) && receive_reply(port->fd, &packet, call);
	pthread_mutex_unlock(&port->lock);
	if (!answered)
		return MACH_SEND_INVALID_DEST;
	unpack(&packet, call);
	return packet.reply.result;
}

bool simmac_call_fails(const char *name)
{
	struct simmac_rpc_request request = { .op = SIMMAC_RPC_FAILS,
					      .struct_size = (uint32_t)strlen(name) };
	struct simmac_call call = { .request = &request, .bytes = name, .pass = -1, .take = -1 };
	struct simmac_port port = { .fd = simmac_call_connect(),
				    .lock = PTHREAD_MUTEX_INITIALIZER };
	kern_return_t result;

	if (port.fd < 0)
		return false;
	result = simmac_call_run(&port, &call);
	close(port.fd);
	return result == kIOReturnError;
}
