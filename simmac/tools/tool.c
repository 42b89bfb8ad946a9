// SPDX-License-Identifier: BSD-3-Clause
/*
 * A program of macOS, as the simulated Mac at $QUIVER_SIMMAC would have it: which
 * one is its name, and what it prints comes from there.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "call.h"

/* "program NAME ARGUMENT..." */
static size_t join(char *line, size_t size, int argc, char **argv)
{
	size_t used = (size_t)snprintf(line, size, "program %s", basename(argv[0]));

	for (int i = 1; i < argc && used < size; i++)
		used += (size_t)snprintf(line + used, size - used, " %s", argv[i]);
	return used < size ? used : 0;
}

static int print(int file)
{
	char bytes[4096];
	ssize_t size;
	off_t at = 0;

	while ((size = pread(file, bytes, sizeof(bytes), at)) > 0) {
		at += size;
		fwrite(bytes, 1, (size_t)size, stdout);
	}
	return size || fflush(stdout) ? 1 : 0;
}

int main(int argc, char **argv)
{
	char line[SIMMAC_RPC_STRUCT_MAX];
	struct simmac_rpc_request request = { .op = SIMMAC_RPC_CONTROL };
	struct simmac_call call = { .request = &request, .bytes = line, .pass = -1, .take = -1 };
	struct simmac_port port = { .lock = PTHREAD_MUTEX_INITIALIZER };

	request.struct_size = (uint32_t)join(line, sizeof(line), argc, argv);
	port.fd = simmac_call_connect();
	if (port.fd < 0 || !request.struct_size) {
		fprintf(stderr, "%s: there is no simulated Mac\n", argv[0]);
		return 70;
	}
	if (simmac_call_run(&port, &call) != kIOReturnSuccess || call.take < 0) {
		fprintf(stderr, "%s: not known to the simulated Mac: %s\n", argv[0], line);
		return 64;
	}
	return print(call.take);
}
