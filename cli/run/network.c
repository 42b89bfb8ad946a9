// SPDX-License-Identifier: BSD-3-Clause
#include "run/network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

/* A listener on this machine answers at once; one whose backlog is full may not at all. */
#define ANSWER_MS 500

/* How often any free port may be one to be passed over. */
#define TRIES 100

static struct sockaddr_in address_of(uint16_t port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static int bind_socket(int fd, struct sockaddr_in *address)
{
	socklen_t length = sizeof(*address);
	int yes = 1;

	/* As QEMU will: what an earlier connection left in TIME_WAIT does not count. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) ||
	    bind(fd, (const struct sockaddr *)address, sizeof(*address)) ||
	    getsockname(fd, (struct sockaddr *)address, &length))
		return -errno;
	return 0;
}

/* 0 is any; *bound is what it came to. */
static int try_bind(uint16_t port, uint16_t *bound)
{
	struct sockaddr_in address = address_of(port);
	int fd = socket(AF_INET, SOCK_STREAM, 0), error;

	if (fd < 0)
		return -errno;
	error = bind_socket(fd, &address);
	*bound = ntohs(address.sin_port);
	close(fd);
	return error;
}

/* Who takes so long is there: nobody is known at once. */
static bool is_answered(int fd, uint16_t port)
{
	struct sockaddr_in address = address_of(port);
	struct pollfd ready = { .fd = fd, .events = POLLOUT };
	socklen_t length = sizeof(int);
	int error = 0;

	if (fcntl(fd, F_SETFL, O_NONBLOCK))
		return false;
	if (!connect(fd, (const struct sockaddr *)&address, sizeof(address)))
		return true;
	if (errno != EINPROGRESS)
		return false;
	if (poll(&ready, 1, ANSWER_MS) <= 0)
		return true;
	return !getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) && !error;
}

/* macOS lets one bind to an address of a port that another listens at on all of them. */
static bool answers(uint16_t port)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	bool answered;

	if (fd < 0)
		return false;
	answered = is_answered(fd, port);
	close(fd);
	return answered;
}

int quiver_port_check(uint16_t port)
{
	uint16_t bound;
	int error = try_bind(port, &bound);

	return error ? error : answers(port) ? -EADDRINUSE : 0;
}

uint16_t quiver_port_find(uint16_t first, bool (*pass)(uint16_t port, const void *context),
			  const void *context)
{
	uint16_t any;

	for (unsigned int port = first; port < first + 100u && port <= UINT16_MAX; port++)
		if (!pass((uint16_t)port, context) && !quiver_port_check((uint16_t)port))
			return (uint16_t)port;
	for (int i = 0; i < TRIES && !try_bind(0, &any); i++)
		if (!pass(any, context))
			return any;
	return 0;
}
