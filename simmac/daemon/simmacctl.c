// SPDX-License-Identifier: BSD-3-Clause
/* Asks a running simulated Mac, or turns its knobs. */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "rpc.h"

static const char usage[] =
	"usage: simmacctl [--socket PATH] COMMAND\n"
	"  state                      what it is and has done, as JSON\n"
	"  calls                      those that can be made to fail or be slow\n"
	"  fail CALL N                make the Nth use of a call from now on fail, besides\n"
	"                             those that are to fail already; 0: none. CALL any: of all\n"
	"  delay CALL USEC            make a call take longer\n"
	"  unplug DEVICE [nowait]     at once; returns when macOS has terminated it, or before\n"
	"  plug DEVICE                again, as new\n"
	"  stop-order ORDER           of driver and clients when a device goes: any, together,\n"
	"                             driver, clients (first)\n"
	"  sleep [idle]               the whole Mac, as when its lid is closed, or by itself\n"
	"  wake [dark]                dark: clients are not told, nor of the sleep that follows\n"
	"  segments N                 that a DMA preparation comes back as\n"
	"  raise DEVICE VECTOR [N]    interrupt, N vectors from this one\n"
	"The socket defaults to $QUIVER_SIMMAC.\n";

static int open_socket(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0 || !connect(fd, (struct sockaddr *)&address, sizeof(address)))
		return fd;
	close(fd);
	return -1;
}

static int send_command(int fd, char *command)
{
	struct simmac_rpc_request request = { .op = SIMMAC_RPC_CONTROL };
	struct iovec iov[2] = { { &request, sizeof(request) }, { command, strlen(command) } };
	struct msghdr message = { .msg_iov = iov, .msg_iovlen = 2 };

	request.struct_size = (uint32_t)strlen(command);
	return sendmsg(fd, &message, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

/* The file with the answer, or -1. */
static int receive_answer(int fd)
{
	char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
	struct simmac_rpc_reply reply;
	struct iovec iov = { &reply, sizeof(reply) };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
				  .msg_controllen = sizeof(control) };
	struct cmsghdr *c;
	int file;

	if (recvmsg(fd, &message, MSG_CMSG_CLOEXEC) != sizeof(reply) || reply.result)
		return -1;
	c = CMSG_FIRSTHDR(&message);
	if (!c || c->cmsg_type != SCM_RIGHTS)
		return -1;
	memcpy(&file, CMSG_DATA(c), sizeof(file));
	return file;
}

static int print(int file)
{
	char buffer[4096];
	off_t at = 0;
	ssize_t n;

	while ((n = pread(file, buffer, sizeof(buffer), at)) > 0) {
		if (fwrite(buffer, 1, (size_t)n, stdout) != (size_t)n)
			return -1;
		at += n;
	}
	return n < 0 || fflush(stdout) ? -1 : 0;
}

static int join(char *out, size_t size, char **words, int count)
{
	size_t used = 0;

	out[0] = '\0';
	for (int i = 0; i < count; i++) {
		int n = snprintf(out + used, size - used, "%s%s", i ? " " : "", words[i]);

		if (n < 0 || (size_t)n >= size - used)
			return -1;
		used += (size_t)n;
	}
	return used ? 0 : -1;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "socket", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 }
	};
	const char *path = getenv("QUIVER_SIMMAC");
	char command[SIMMAC_RPC_STRUCT_MAX];
	int option, fd, file;

	while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		if (option == 's') {
			path = optarg;
		} else {
			fputs(usage, option == 'h' ? stdout : stderr);
			return option == 'h' ? 0 : 2;
		}
	}
	if (!path || join(command, sizeof(command), argv + optind, argc - optind)) {
		fputs(usage, stderr);
		return 2;
	}
	fd = open_socket(path);
	if (fd < 0) {
		fprintf(stderr, "simmacctl: %s: %s\n", path, strerror(errno));
		return 1;
	}
	if (send_command(fd, command) || (file = receive_answer(fd)) < 0) {
		fprintf(stderr, "simmacctl: refused: %s\n", command);
		return 1;
	}
	return print(file) ? 1 : 0;
}
