// SPDX-License-Identifier: BSD-3-Clause
/* Interrupt sources, one a vector, and the wake-ups that come of them [H7]. */
#include <DriverKit/IOUserClient.h>

#include "QuiverDriver.h"
#include "QuiverUserClient.h"
#include "core/error.h"
#include "dext/platform.h"

/*
 * Sources that were cancelled and have not ended yet. A client that asks for vectors
 * again and again waits for those first, or there would be more and more of them.
 */
#define ENDING_MAX (2 * QUIVER_DEXT_VECTORS_MAX)

/* What an action of a source carries. */
struct vector_reference {
	uint32_t vector, generation;
};

static kern_return_t get_type(QuiverDriver_IVars *ivars, uint32_t index, bool *messaged)
{
	uint64_t type = 0;
	kern_return_t result = IOInterruptDispatchSource::GetInterruptType(ivars->pci, index, &type);

	*messaged = type & (kIOInterruptTypePCIMessaged | kIOInterruptTypePCIMessagedX);
	return result;
}

/*
 * The vectors that macOS has laid out; an INTx that the function has as well comes first. One
 * that cannot be asked for its type is none: all vectors would be taken for their neighbours.
 */
static uint32_t laid_out(QuiverDriver_IVars *ivars)
{
	uint32_t count = 0;
	bool messaged;

	if (get_type(ivars, 0, &messaged) != kIOReturnSuccess)
		return 0;
	ivars->first = messaged ? 0 : 1;
	while (count < QUIVER_DEXT_VECTORS_MAX &&
	       get_type(ivars, ivars->first + count, &messaged) == kIOReturnSuccess && messaged)
		count++;
	return count;
}

/*
 * macOS lays out a function's vectors when it is first asked, and may keep to
 * that for as long as the function is plugged in. So ask for all that there
 * are, of the guest's kind; and where the kind of an earlier guest stays, use
 * that, for most devices number their messages alike in both.
 */
static uint32_t resolve(QuiverDriver_IVars *ivars, uint32_t type)
{
	uint32_t all = quiver_dext_vectors(ivars->dext, type);

	if (!all)
		return 0;
	if (ivars->pci->ConfigureInterrupts(type == QUIVER_DEXT_IRQ_MSIX ?
					    kIOInterruptTypePCIMessagedX :
					    kIOInterruptTypePCIMessaged, 1, all, 0))
		IOLog("QuiverDriver: interrupts stay as they were\n");
	return laid_out(ivars);
}

static kern_return_t set_handler(QuiverDriver_IVars *ivars, IOInterruptDispatchSource *source,
				 uint32_t vector)
{
	struct vector_reference *reference;
	OSAction *action = NULL;
	kern_return_t result;

	result = ivars->driver->CreateActionInterruptOccurred(sizeof(*reference), &action);
	if (result != kIOReturnSuccess)
		return result;
	reference = static_cast<struct vector_reference *>(action->GetReference());
	reference->vector = vector;
	reference->generation = ivars->generation;
	result = source->SetHandler(action);
	action->release();
	return result;
}

static int start_vector(QuiverDriver_IVars *ivars, uint32_t vector)
{
	IOInterruptDispatchSource *source = NULL;

	if (IOInterruptDispatchSource::Create(ivars->pci, ivars->first + vector, ivars->queue,
					      &source))
		return -ENOSPC;
	/* From here on quiver_interrupts_stop() sees to it. */
	ivars->sources[ivars->source_count++] = source;
	if (set_handler(ivars, source, vector) || source->SetEnable(true))
		return -ENOSPC;
	return 0;
}

static void activate(QuiverDriver_IVars *ivars)
{
	ivars->queue->DispatchSync(^{
		quiver_dext_pending_clear(ivars->pending);
		ivars->generation++;
		ivars->active = ivars->dext;
	});
}

int quiver_interrupts_start(void *shell, uint32_t type, uint32_t count, uint32_t *granted)
{
	QuiverDriver_IVars *ivars = static_cast<QuiverDriver_IVars *>(shell);
	uint32_t resolved;
	int error = 0;

	if (__atomic_load_n(&ivars->ending, __ATOMIC_SEQ_CST) > ENDING_MAX)
		return -ENOSPC;
	resolved = resolve(ivars, type);
	if (!resolved)
		return -ENOSPC;
	if (count > resolved)
		count = resolved;
	ivars->sources = IONewZero(IOInterruptDispatchSource *, count);
	if (!ivars->sources)
		return -ENOMEM;
	ivars->source_room = count;
	activate(ivars);
	for (uint32_t vector = 0; vector < count && !error; vector++)
		error = start_vector(ivars, vector);
	if (error)
		quiver_interrupts_stop(ivars);
	else
		*granted = count;
	return error;
}

/*
 * Cancel() only begins the end of a source, and one that will not hear of it is
 * simply let go. The driver stays until each has told that it is over.
 */
static void cancel(QuiverDriver_IVars *ivars, IOInterruptDispatchSource *source)
{
	QuiverDriver *driver = ivars->driver;
	kern_return_t result;

	driver->retain();
	quiver_platform_cancelling(ivars);
	result = source->Cancel(^{
		source->release();
		driver->Cancelled();
		driver->release();
	});
	if (result == kIOReturnSuccess)
		return;
	source->release();
	driver->Cancelled();
	driver->release();
}

void quiver_interrupts_stop(void *shell)
{
	QuiverDriver_IVars *ivars = static_cast<QuiverDriver_IVars *>(shell);

	if (!ivars->sources)
		return;
	/* What comes from now on is of an older generation, so the page may go. */
	ivars->queue->DispatchSync(^{
		ivars->generation++;
		ivars->active = NULL;
	});
	for (uint32_t i = 0; i < ivars->source_count; i++)
		cancel(ivars, ivars->sources[i]);
	IOSafeDeleteNULL(ivars->sources, IOInterruptDispatchSource *, ivars->source_room);
	ivars->source_count = 0;
}

void quiver_platform_set_wake(QuiverDriver_IVars *ivars, QuiverUserClient *client,
			      OSAction *action)
{
	__block OSAction *old = NULL;

	if (action)
		action->retain();
	ivars->queue->DispatchSync(^{
		old = ivars->wake;
		ivars->wake = action;
		ivars->wake_client = client;
	});
	OSSafeReleaseNULL(old);
}

/*
 * On the queue. One asynchronous call completes as often as there is something
 * to tell, as Apple's samples do.
 */
static void complete(QuiverDriver_IVars *ivars)
{
	const IOUserClientAsyncArgumentsArray nothing = {};

	if (ivars->wake)
		ivars->wake_client->AsyncCompletion(ivars->wake, kIOReturnSuccess, nothing, 0);
}

void quiver_platform_wake(QuiverDriver_IVars *ivars)
{
	ivars->queue->DispatchSync(^{
		complete(ivars);
	});
}

void quiver_platform_interrupt(QuiverDriver_IVars *ivars, OSAction *action)
{
	const struct vector_reference *reference =
		static_cast<const struct vector_reference *>(action->GetReference());

	if (!ivars->active || reference->generation != ivars->generation)
		return;
	if (quiver_dext_interrupt(ivars->active, ivars->pending, reference->vector))
		complete(ivars);
}
