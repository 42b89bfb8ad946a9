// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysctl.h>
#include <unistd.h>

#include "call.h"

/* Numbers are as wide as macOS has them: these are CTLTYPE_INT, all others 64 bits. */
static bool is_int(const char *name)
{
	return strcmp(name, "hw.memsize") != 0;
}

static kern_return_t ask(const char *name, uint8_t *bytes, size_t room, size_t *size, bool *text)
{
	struct simmac_rpc_request request = { .op = SIMMAC_RPC_SYSCTL,
					      .struct_size = (uint32_t)strlen(name),
					      .struct_max = (uint32_t)room };
	struct simmac_call call = { .request = &request, .bytes = name, .bytes_out = bytes,
				    .pass = -1, .take = -1 };
	struct simmac_port port = { .fd = simmac_call_connect(),
				    .lock = PTHREAD_MUTEX_INITIALIZER };
	kern_return_t result;

	if (port.fd < 0)
		return MACH_SEND_INVALID_DEST;
	result = simmac_call_run(&port, &call);
	close(port.fd);
	*size = call.reply.struct_size;
	*text = call.reply.options == SIMMAC_RPC_STRING;
	return result;
}

static int fail(int error)
{
	errno = error;
	return -1;
}

int sysctlbyname(const char *name, void *oldp, size_t *oldlenp, void *newp, size_t newlen)
{
	uint8_t bytes[256] = { 0 };
	size_t size;
	bool text;

	if (newp || newlen)
		return fail(EPERM);
	if (strlen(name) > SIMMAC_RPC_STRUCT_MAX || ask(name, bytes, sizeof(bytes) - 1, &size, &text))
		return fail(ENOENT);
	if (text)
		size++;		/* the zero at its end counts */
	else
		size = is_int(name) ? sizeof(int32_t) : sizeof(int64_t);
	if (oldp && *oldlenp < size)
		return fail(ENOMEM);
	if (oldp)
		memcpy(oldp, bytes, size);
	if (oldlenp)
		*oldlenp = size;
	return 0;
}
