// SPDX-License-Identifier: BSD-3-Clause
#include <DriverKit/IOUserClient.h>
#include "runtime.h"

static bool matches(uint32_t wanted, uint64_t value)
{
	return wanted == kIOUserClientVariableStructureSize || wanted == value;
}

static bool completion_matches(uint32_t wanted, const OSAction *completion)
{
	return wanted == ~0u || (wanted != 0) == (completion != NULL);
}

static bool arguments_match(const IOUserClientMethodDispatch *dispatch,
			    const IOUserClientMethodArguments *arguments)
{
	size_t input = arguments->structureInput ? arguments->structureInput->getLength() : 0;

	return completion_matches(dispatch->checkCompletionExists, arguments->completion) &&
	       matches(dispatch->checkScalarInputCount, arguments->scalarInputCount) &&
	       matches(dispatch->checkStructureInputSize, input) &&
	       matches(dispatch->checkScalarOutputCount, arguments->scalarOutputCount) &&
	       matches(dispatch->checkStructureOutputSize,
		       arguments->structureOutputMaximumSize);
}

kern_return_t IOUserClient::ExternalMethod(uint64_t, IOUserClientMethodArguments *arguments,
					   const IOUserClientMethodDispatch *dispatch,
					   OSObject *target, void *reference)
{
	if (!dispatch)
		return kIOReturnUnsupported;
	if (!arguments_match(dispatch, arguments))
		return kIOReturnBadArgument;
	if (!dispatch->function)
		return kIOReturnNoCompletion;
	return dispatch->function(target ? target : this, reference, arguments);
}

kern_return_t IOUserClient::CopyClientMemoryForType(uint64_t type, uint64_t *options,
						    IOMemoryDescriptor **memory, OSDispatchMethod)
{
	kern_return_t result = kIOReturnError;

	simmac_enter(ServiceState()->queue, [&] {
		result = CopyClientMemoryForType_Impl(type, options, memory);
	});
	return result;
}

kern_return_t IOUserClient::CreateMemoryDescriptorFromClient(uint64_t options,
							     uint32_t segmentsCount,
							     const IOAddressSegment segments[32],
							     IOMemoryDescriptor **memory,
							     OSDispatchMethod)
{
	if (!task)
		return kIOReturnNotReady;
	if (simmac_calls::fails("IOUserClient::CreateMemoryDescriptorFromClient"))
		return kIOReturnNoMemory;
	/* Nobody here passes more than one range. */
	if (segmentsCount != 1)
		return kIOReturnUnsupported;
	if (!task->holds(segments[0].address, segments[0].length))
		return kIOReturnNoMemory;
	*memory = IOMemoryDescriptor::WithTask(task, segments[0].address, segments[0].length,
					       options & kIOMemoryDirectionInOut);
	return kIOReturnSuccess;
}

/* An action's reference holds a pointer to this. */
static void no_method(OSObject *, OSAction *, uint64_t, uint64_t)
{
}

class CompletionTarget : public OSObject
{
public:
	simmac_completion completion;
};

OSAction *simmac_completion_action(IOUserClient *, simmac_completion completion)
{
	CompletionTarget *target = new CompletionTarget;
	OSAction *action = NULL;

	target->completion = completion;
	if (!OSAction::Create(target, no_method, sizeof(target), &action))
		memcpy(action->GetReference(), &target, sizeof(target));
	target->release();
	return action;
}

void IOUserClient::AsyncCompletion(OSAction *action, IOReturn status,
				   const IOUserClientAsyncArgumentsArray asyncData,
				   uint32_t asyncDataCount, OSDispatchMethod)
{
	CompletionTarget *target;

	simmac_calls::fails("IOUserClient::AsyncCompletion");
	memcpy(&target, action->GetReference(), sizeof(target));
	target->completion.send(status, asyncData, asyncDataCount);
}
