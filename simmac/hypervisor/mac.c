// SPDX-License-Identifier: BSD-3-Clause
/* The hypervisor is part of the simulated Mac's kernel: what happens there is told to simmacd. */
#include <string.h>
#include <unistd.h>
#include <IOKit/IOReturn.h>

#include "call.h"
#include "internal.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct simmac_port mac = { .fd = -1, .lock = PTHREAD_MUTEX_INITIALIZER };

static bool connect_locked(void)
{
	if (mac.fd < 0)
		mac.fd = simmac_call_connect();
	return mac.fd >= 0;
}

static void disconnect_locked(void)
{
	if (mac.fd >= 0)
		close(mac.fd);
	mac.fd = -1;
}

static kern_return_t tell_locked(uint32_t op, uint64_t argument, const char *text)
{
	struct simmac_rpc_request request = {
		.op = op, .argument = argument, .struct_size = (uint32_t)strlen(text),
	};
	struct simmac_call call = { .request = &request, .bytes = text, .pass = -1, .take = -1 };
	kern_return_t result;

	if (!connect_locked())
		return MACH_SEND_INVALID_DEST;
	result = simmac_call_run(&mac, &call);
	if (result == MACH_SEND_INVALID_DEST)
		disconnect_locked();
	return result;
}

/* The Mac may be another one than the last time. */
static kern_return_t tell(uint32_t op, uint64_t argument, const char *text)
{
	kern_return_t result;
	bool stale;

	pthread_mutex_lock(&lock);
	stale = mac.fd >= 0;
	result = tell_locked(op, argument, text);
	if (result == MACH_SEND_INVALID_DEST && stale)
		result = tell_locked(op, argument, text);
	pthread_mutex_unlock(&lock);
	return result;
}

hv_return_t simmac_hypervisor_call(const char *name, hv_return_t failure)
{
	switch (tell(SIMMAC_RPC_HYPERVISOR, 0, name)) {
	case kIOReturnSuccess:
		return HV_SUCCESS;
	case MACH_SEND_INVALID_DEST:
		return HV_NO_DEVICE;
	default:
		return failure;
	}
}

void simmac_hypervisor_touched(hv_ipa_t ipa, bool fetch)
{
	tell(SIMMAC_RPC_TOUCHED, ipa, fetch ? "fetch" : "access");
}
