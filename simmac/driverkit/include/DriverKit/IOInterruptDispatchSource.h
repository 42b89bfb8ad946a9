/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SIMMAC_DRIVERKIT_IOINTERRUPTDISPATCHSOURCE_H
#define SIMMAC_DRIVERKIT_IOINTERRUPTDISPATCHSOURCE_H

#include <memory>

#include <DriverKit/IODispatchQueue.h>
#include <DriverKit/IODispatchSource.h>
#include <DriverKit/IOService.h>
#include <DriverKit/OSAction.h>

class IOPCIDevice;
struct IOInterruptDispatchSource_IVars;

class IOInterruptDispatchSource : public IODispatchSource
{
public:
	static kern_return_t Create(IOService *provider, uint32_t index, IODispatchQueue *queue,
				    IOInterruptDispatchSource **source);
	static kern_return_t GetInterruptType(IOService *provider, uint32_t index,
					      uint64_t *interruptType);
	void free() override;
	kern_return_t SetHandler(OSAction *action);
	kern_return_t SetEnableWithCompletion(bool enable,
					      IODispatchSourceCancelHandler handler) override;
	/* Returns at once; handler runs later, on the source's queue [H7]. */
	kern_return_t Cancel(IODispatchSourceCancelHandler handler) override;

	/* The platform's: an edge on the vector. Any thread. */
	void Deliver();
private:
	static void Run(void *context);
	std::shared_ptr<IOInterruptDispatchSource_IVars> ivars;
};

#define IOInterruptDispatchSource_InterruptOccurred_Args \
	OSAction *action, uint64_t count, uint64_t time

#endif
