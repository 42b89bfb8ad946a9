/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SIMMAC_DRIVERKIT_IODISPATCHQUEUE_H
#define SIMMAC_DRIVERKIT_IODISPATCHQUEUE_H

#include <memory>
#include <DriverKit/OSObject.h>

typedef void (^IODispatchBlock)(void);
typedef void (*IODispatchFunction)(void *context);
typedef void (^IODispatchQueueCancelHandler)(void);

struct IODispatchQueue_IVars;

/*
 * Serial. Synchronous work runs on the calling thread with the queue held, the
 * rest on a thread of its own. Waiting for a queue on itself is a deadlock on a
 * Mac, and ends the simulated one.
 */
class IODispatchQueue : public OSObject
{
public:
	static kern_return_t Create(const IODispatchQueueName name, uint64_t options,
				    uint64_t priority, IODispatchQueue **queue);
	void free() override;
	bool OnQueue();
	void DispatchAsync(IODispatchBlock block);
	void DispatchAsync_f(void *context, IODispatchFunction function);
	void DispatchSync(IODispatchBlock block);
	void DispatchSync_f(void *context, IODispatchFunction function);
private:
	std::shared_ptr<IODispatchQueue_IVars> ivars;
};

#endif
