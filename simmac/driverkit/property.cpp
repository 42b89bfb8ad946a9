// SPDX-License-Identifier: BSD-3-Clause
/* The registry's properties, as far as extensions read them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <DriverKit/IOService.h>
#include <DriverKit/OSNumber.h>
#include <DriverKit/OSString.h>
#include "runtime.h"

OSNumber *OSNumber::withNumber(uint64_t value, size_t numberOfBits)
{
	OSNumber *number;

	if (simmac_calls::fails("OSNumber::withNumber"))
		return NULL;
	number = new OSNumber;
	number->value = numberOfBits < 64 ? value & ((UINT64_C(1) << numberOfBits) - 1) : value;
	return number;
}

OSString *OSString::withCString(const char *text)
{
	OSString *string;

	if (simmac_calls::fails("OSString::withCString"))
		return NULL;
	string = new OSString;
	string->text = strdup(text);
	return string;
}

void OSString::free()
{
	::free(text);
	OSObject::free();
}

/* A number where the text is one. */
static OSContainer *value_of(const std::string &text)
{
	unsigned long long number;
	char *end;

	errno = 0;
	number = strtoull(text.c_str(), &end, 0);
	if (end == text.c_str() || *end || errno || text[0] == '-')
		return OSString::withCString(text.c_str());
	return OSNumber::withNumber(number, 64);
}

static bool find(IOService_IVars *state, const char *name, std::string *text)
{
	std::lock_guard<std::mutex> guard(state->lock);
	auto found = state->properties.find(name);

	if (found == state->properties.end())
		return false;
	*text = found->second;
	return true;
}

kern_return_t IOService::SearchProperty(const IOPropertyName name, const IORegistryPlaneName plane,
					uint64_t options, OSContainer **property, OSDispatchMethod)
{
	bool parents = options & kIOServiceSearchPropertyParents;
	IOService *at = this;
	std::string text;

	*property = NULL;
	if (simmac_calls::fails("IOService::SearchProperty"))
		return kIOReturnError;
	if (parents && (!plane || strcmp(plane, "IOService")))
		return kIOReturnBadArgument;
	while (at && !find(at->service, name, &text))
		at = parents ? at->service->provider : NULL;
	if (!at)
		return kIOReturnNotFound;
	*property = value_of(text);
	return *property ? kIOReturnSuccess : kIOReturnNoMemory;
}
