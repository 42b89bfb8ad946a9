// SPDX-License-Identifier: BSD-3-Clause
#include <stddef.h>
#include <DriverKit/IOLib.h>
#include <DriverKit/IOUserClient.h>
#include <DriverKit/OSData.h>

#include "QuiverDriver.h"
#include "QuiverUserClient.h"
#include "dext/core/dext.h"
#include "dext/errors.h"

struct QuiverUserClient_IVars {
	QuiverDriver *driver;
};

bool QuiverUserClient::init()
{
	if (!super::init())
		return false;
	ivars = IONewZero(QuiverUserClient_IVars, 1);
	return ivars != NULL;
}

void QuiverUserClient::free()
{
	if (ivars)
		OSSafeReleaseNULL(ivars->driver);
	IOSafeDeleteNULL(ivars, QuiverUserClient_IVars, 1);
	super::free();
}

kern_return_t IMPL(QuiverUserClient, Start)
{
	kern_return_t result = Start(provider, SUPERDISPATCH);
	QuiverDriver *driver;

	if (result != kIOReturnSuccess)
		return result;
	driver = OSDynamicCast(QuiverDriver, provider);
	result = driver ? driver->Admit(this) : kIOReturnBadArgument;
	if (result != kIOReturnSuccess) {
		Stop(provider, SUPERDISPATCH);
		return result;
	}
	driver->retain();
	ivars->driver = driver;
	return kIOReturnSuccess;
}

/*
 * Also how a client that died ends: the device is made safe before anything of it goes
 * [D8]. Of a device that is unplugged this and the driver's Stop() come in any order, or
 * at once [L1]: whoever is first does the work.
 */
kern_return_t IMPL(QuiverUserClient, Stop)
{
	if (ivars->driver)
		ivars->driver->Release(this);
	return Stop(provider, SUPERDISPATCH);
}

static int answer(IOUserClientMethodArguments *arguments, const void *bytes, size_t size)
{
	arguments->structureOutput = OSData::withBytes(bytes, size);
	return arguments->structureOutput ? 0 : -ENOMEM;
}

static int identify(struct quiver_dext *dext, QuiverUserClient *,
		    IOUserClientMethodArguments *arguments)
{
	struct quiver_dext_identity identity;

	quiver_dext_identify(dext, &identity);
	return answer(arguments, &identity, sizeof(identity));
}

static int bar_info(struct quiver_dext *dext, QuiverUserClient *client,
		    IOUserClientMethodArguments *arguments)
{
	struct quiver_dext_bar bar;
	int error = quiver_dext_bar(dext, client, arguments->scalarInput[0], &bar);

	return error ? error : answer(arguments, &bar, sizeof(bar));
}

static int config_read(struct quiver_dext *dext, QuiverUserClient *client,
		       IOUserClientMethodArguments *arguments)
{
	return quiver_dext_config_read(dext, client, arguments->scalarInput[0],
				       arguments->scalarInput[1], &arguments->scalarOutput[0]);
}

static int config_write(struct quiver_dext *dext, QuiverUserClient *client,
			IOUserClientMethodArguments *arguments)
{
	return quiver_dext_config_write(dext, client, arguments->scalarInput[0],
					arguments->scalarInput[1], arguments->scalarInput[2]);
}

/*
 * The answer must fit before anything runs: an entry whose result is lost would
 * leave a mapping that nobody can undo.
 */
static int dma(struct quiver_dext *dext, QuiverUserClient *client,
	       IOUserClientMethodArguments *arguments)
{
	const OSData *input = arguments->structureInput;
	struct quiver_dext_dma_request request;
	struct quiver_dext_dma_result result;
	size_t room = arguments->structureOutputMaximumSize;
	int error;

	if (!input || input->getLength() > sizeof(request) || room > sizeof(result))
		return -EINVAL;
	memcpy(&request, input->getBytesNoCopy(), input->getLength());
	memset(&result, 0, sizeof(result));
	arguments->structureOutput = OSData::withCapacity(sizeof(result));
	if (!arguments->structureOutput)
		return -ENOMEM;
	error = quiver_dext_dma(dext, client, &request, input->getLength(), &result, room);
	if (error) {
		OSSafeReleaseNULL(arguments->structureOutput);
		return error;
	}
	arguments->structureOutput->appendBytes(&result,
		offsetof(struct quiver_dext_dma_result, entry) +
		result.count * sizeof(result.entry[0]));
	return 0;
}

static int stats(struct quiver_dext *dext, QuiverUserClient *client,
		 IOUserClientMethodArguments *arguments)
{
	struct quiver_dext_stats stats;
	int error = quiver_dext_stats(dext, client, &stats);

	return error ? error : answer(arguments, &stats, sizeof(stats));
}

static int irq_configure(struct quiver_dext *dext, QuiverUserClient *client,
			 IOUserClientMethodArguments *arguments)
{
	return quiver_dext_irq_configure(dext, client, arguments->scalarInput[0],
					 arguments->scalarInput[1], &arguments->scalarOutput[0]);
}

static int reset(struct quiver_dext *dext, QuiverUserClient *client,
		 IOUserClientMethodArguments *arguments)
{
	return quiver_dext_reset(dext, client, arguments->scalarInput[0],
				 &arguments->scalarOutput[0]);
}

/* For the selectors that are core/'s alone: reference is a QuiverMethod. */
static kern_return_t perform(OSObject *target, void *reference,
			     IOUserClientMethodArguments *arguments)
{
	QuiverUserClient *client = OSDynamicCast(QuiverUserClient, target);

	return client->ivars->driver->Perform(client, reinterpret_cast<QuiverMethod>(reference),
					      arguments);
}

static kern_return_t claim(OSObject *target, void *, IOUserClientMethodArguments *)
{
	QuiverUserClient *client = OSDynamicCast(QuiverUserClient, target);

	return client->ivars->driver->Claim(client);
}

static kern_return_t irq_wait(OSObject *target, void *, IOUserClientMethodArguments *arguments)
{
	QuiverUserClient *client = OSDynamicCast(QuiverUserClient, target);

	return client->ivars->driver->SetWake(client, arguments->completion);
}

#define ANY kIOUserClientVariableStructureSize

/*
 * By selector: function; completion, scalars in, struct in, scalars out, struct
 * out. A DMA request is as long as its entries, and core/ checks it.
 */
static const IOUserClientMethodDispatch dispatch_table[QUIVER_DEXT_SELECTORS] = {
	/* QUIVER_DEXT_IDENTIFY */
	{ perform, 0, 0, 0, 0, sizeof(struct quiver_dext_identity) },
	/* QUIVER_DEXT_CLAIM */
	{ claim, 0, 0, 0, 0, 0 },
	/* QUIVER_DEXT_BAR_INFO */
	{ perform, 0, 1, 0, 0, sizeof(struct quiver_dext_bar) },
	/* QUIVER_DEXT_CONFIG_READ */
	{ perform, 0, 2, 0, 1, 0 },
	/* QUIVER_DEXT_CONFIG_WRITE */
	{ perform, 0, 3, 0, 0, 0 },
	/* QUIVER_DEXT_DMA */
	{ perform, 0, 0, ANY, 0, ANY },
	/* QUIVER_DEXT_STATS */
	{ perform, 0, 0, 0, 0, sizeof(struct quiver_dext_stats) },
	/* QUIVER_DEXT_IRQ_CONFIGURE */
	{ perform, 0, 2, 0, 1, 0 },
	/* QUIVER_DEXT_IRQ_WAIT */
	{ irq_wait, 1, 0, 0, 0, 0 },
	/* QUIVER_DEXT_RESET */
	{ perform, 0, 1, 0, 1, 0 },
};

/* NULL: not core/'s alone. */
static const QuiverMethod methods[QUIVER_DEXT_SELECTORS] = {
	identify, NULL, bar_info, config_read, config_write, dma, stats, irq_configure, NULL, reset,
};

kern_return_t QuiverUserClient::ExternalMethod(uint64_t selector,
					       IOUserClientMethodArguments *arguments,
					       const IOUserClientMethodDispatch *,
					       OSObject *, void *)
{
	if (selector >= QUIVER_DEXT_SELECTORS)
		return kIOReturnBadArgument;
	return super::ExternalMethod(selector, arguments, &dispatch_table[selector], this,
				     reinterpret_cast<void *>(methods[selector]));
}

kern_return_t IMPL(QuiverUserClient, CopyClientMemoryForType)
{
	*options = 0;
	*memory = NULL;
	return ivars->driver->CopyMemory(this, type, memory);
}
