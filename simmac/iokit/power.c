// SPDX-License-Identifier: BSD-3-Clause
/* Power assertions. Each holds a connection, so that it ends with the process however that dies. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <IOKit/pwr_mgt/IOPMLib.h>

#include "call.h"
#include "foundation.h"

struct assertion {
	struct assertion *next;
	IOPMAssertionID id;
	struct simmac_port port;
};

static pthread_mutex_t assertions_lock = PTHREAD_MUTEX_INITIALIZER;
static struct assertion *assertions;

/* Type and name with a zero between them; their length, or 0 if there is no room. */
static uint32_t describe(char *text, size_t room, CFStringRef type, CFStringRef name)
{
	size_t first = strlen(simmac_string_get(type)) + 1;
	size_t second = strlen(simmac_string_get(name));

	if (first + second > room)
		return 0;
	memcpy(text, simmac_string_get(type), first);
	memcpy(text + first, simmac_string_get(name), second);
	return (uint32_t)(first + second);
}

static void assertion_free(struct assertion *assertion)
{
	if (assertion->port.fd >= 0)
		close(assertion->port.fd);
	pthread_mutex_destroy(&assertion->port.lock);
	free(assertion);
}

static struct assertion *assertion_new(void)
{
	struct assertion *assertion = calloc(1, sizeof(*assertion));

	if (!assertion)
		return NULL;
	pthread_mutex_init(&assertion->port.lock, NULL);
	assertion->port.fd = simmac_call_connect();
	return assertion;
}

static kern_return_t run(struct assertion *assertion, IOPMAssertionLevel level, const char *text,
			 uint32_t size)
{
	struct simmac_rpc_request request = { .op = SIMMAC_RPC_ASSERT, .selector = level,
					      .struct_size = size };
	struct simmac_call call = { .request = &request, .bytes = text, .pass = -1, .take = -1 };
	kern_return_t result;

	if (assertion->port.fd < 0)
		return MACH_SEND_INVALID_DEST;
	result = simmac_call_run(&assertion->port, &call);
	assertion->id = (IOPMAssertionID)call.reply.argument;
	return result;
}

IOReturn IOPMAssertionCreateWithName(CFStringRef AssertionType, IOPMAssertionLevel AssertionLevel,
				     CFStringRef AssertionName, IOPMAssertionID *AssertionID)
{
	char text[SIMMAC_RPC_STRUCT_MAX];
	struct assertion *assertion;
	kern_return_t result;
	uint32_t size;

	if (!AssertionType || !AssertionName || !AssertionID)
		return kIOReturnBadArgument;
	size = describe(text, sizeof(text), AssertionType, AssertionName);
	if (!size)
		return kIOReturnBadArgument;
	assertion = assertion_new();
	if (!assertion)
		return kIOReturnNoMemory;
	result = run(assertion, AssertionLevel, text, size);
	if (result != kIOReturnSuccess) {
		assertion_free(assertion);
		return result;
	}
	*AssertionID = assertion->id;
	pthread_mutex_lock(&assertions_lock);
	assertion->next = assertions;
	assertions = assertion;
	pthread_mutex_unlock(&assertions_lock);
	return kIOReturnSuccess;
}

static struct assertion *take(IOPMAssertionID id)
{
	struct assertion *assertion, **link;

	pthread_mutex_lock(&assertions_lock);
	for (link = &assertions; *link && (*link)->id != id;)
		link = &(*link)->next;
	assertion = *link;
	if (assertion)
		*link = assertion->next;
	pthread_mutex_unlock(&assertions_lock);
	return assertion;
}

IOReturn IOPMAssertionRelease(IOPMAssertionID AssertionID)
{
	struct simmac_rpc_request request = { .op = SIMMAC_RPC_UNASSERT };
	struct simmac_call call = { .request = &request, .pass = -1, .take = -1 };
	struct assertion *assertion = take(AssertionID);

	if (!assertion)
		return kIOReturnBadArgument;
	/* So that it is over when we return; if there is no Mac any more, it is anyway. */
	simmac_call_run(&assertion->port, &call);
	assertion_free(assertion);
	return kIOReturnSuccess;
}
