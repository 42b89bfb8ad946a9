// SPDX-License-Identifier: BSD-3-Clause
/*
 * The interrupt pump: one thread a device, from the first time that interrupts
 * are on, or that somebody watches, until close. The dext sets bits in the
 * pending page and wakes us once for each time that we armed it; what the
 * message says does not matter. It wakes us as well when the device is lost, if
 * it still can: watch.c.
 *
 * The thread takes bits only under irq.lock and only while a handler is
 * installed, so bits always belong to the configuration that they are delivered
 * to. It calls the handler without any lock.
 *
 * quiver_irq_configure() waits for a call of the handler that it replaces. It
 * does not wait when handler and context stay as they are, since a client that
 * hands them in again is not about to free them: this is for a client that
 * holds a lock which the handler takes, as QEMU does. Such a handler may still
 * finish one call that began before, and checks under its own lock whether it
 * is welcome. It may pass the handler with QUIVER_DEXT_IRQ_NONE too.
 */
#include <errno.h>
#include <string.h>

#include "device.h"

#define WORD_BITS 64u

void quiver_host_irq_init(struct quiver_device *device)
{
	struct quiver_irq_pump *irq = &device->irq;

	pthread_mutex_init(&irq->configure_lock, NULL);
	pthread_mutex_init(&irq->lock, NULL);
	pthread_cond_init(&irq->idle, NULL);
}

static void pump_wake(struct quiver_irq_pump *irq)
{
	if (irq->port)
		quiver_host_port_wake(irq->port);
}

/* Calls the handler for one vector. False when it was replaced in the meantime. */
static bool pump_call(struct quiver_irq_pump *irq, uint64_t generation, unsigned int vector)
{
	quiver_irq_handler handler;
	void *context;

	pthread_mutex_lock(&irq->lock);
	if (irq->generation != generation) {
		pthread_mutex_unlock(&irq->lock);
		return false;
	}
	handler = irq->handler;
	context = irq->context;
	irq->running = true;
	pthread_mutex_unlock(&irq->lock);

	handler(context, vector);

	pthread_mutex_lock(&irq->lock);
	irq->running = false;
	pthread_cond_broadcast(&irq->idle);
	pthread_mutex_unlock(&irq->lock);
	return true;
}

static uint64_t pump_take(struct quiver_irq_pump *irq, unsigned int word, uint64_t *generation)
{
	uint64_t bits = 0;

	pthread_mutex_lock(&irq->lock);
	*generation = irq->generation;
	if (irq->enabled && word * WORD_BITS < irq->count)
		bits = __atomic_exchange_n(&irq->pending->bits[word], 0, __ATOMIC_SEQ_CST);
	/* The dext sets no others. */
	if (word == irq->count / WORD_BITS)
		bits &= (1ull << irq->count % WORD_BITS) - 1;
	pthread_mutex_unlock(&irq->lock);
	return bits;
}

static void pump_drain(struct quiver_irq_pump *irq)
{
	const unsigned int words = QUIVER_DEXT_VECTORS_MAX / WORD_BITS;
	uint64_t bits, generation;
	unsigned int word, bit;

	for (word = 0; word < words; word++) {
		for (bits = pump_take(irq, word, &generation); bits; bits &= bits - 1) {
			bit = (unsigned int)__builtin_ctzll(bits);
			if (!pump_call(irq, generation, word * WORD_BITS + bit))
				return;
		}
	}
}

static void *pump_run(void *argument)
{
	struct quiver_device *device = argument;
	struct quiver_irq_pump *irq = &device->irq;
	enum quiver_host_heard heard = QUIVER_HOST_NOTHING;
	union quiver_host_message message;

	do {
		/* Unarmed, so that a burst costs no wake-ups. */
		pump_drain(irq);
		/* What comes from here on wakes us, what came before is in the page. */
		__atomic_store_n(&irq->pending->armed, 1, __ATOMIC_SEQ_CST);
		pump_drain(irq);
		quiver_host_watch_look(device, heard == QUIVER_HOST_IDLE);
		if (!atomic_load(&irq->stopping))
			heard = quiver_host_port_wait(irq->port, QUIVER_HOST_IDLE_MS, &message);
	} while (heard != QUIVER_HOST_ENDED && !atomic_load(&irq->stopping));
	return NULL;
}

static int pending_map(struct quiver_device *device)
{
	mach_vm_address_t address = 0;
	mach_vm_size_t length = 0;
	int error;

	error = quiver_host_call_error(
		device, IOConnectMapMemory64(device->connect, QUIVER_DEXT_MEM_PENDING,
					     mach_task_self(), &address, &length, kIOMapAnywhere));
	if (error)
		return error;
	device->irq.pending = (struct quiver_dext_pending *)(uintptr_t)address;
	return length >= sizeof(struct quiver_dext_pending) ? 0 : -EIO;
}

static void pending_unmap(struct quiver_device *device)
{
	if (device->irq.pending)
		IOConnectUnmapMemory64(device->connect, QUIVER_DEXT_MEM_PENDING, mach_task_self(),
				       (mach_vm_address_t)(uintptr_t)device->irq.pending);
	device->irq.pending = NULL;
}

static int wait_register(struct quiver_device *device)
{
	uint64_t reference[kOSAsyncRef64Count] = { 0 };

	return quiver_host_call_error(
		device,
		IOConnectCallAsyncScalarMethod(device->connect, QUIVER_DEXT_IRQ_WAIT,
					       IONotificationPortGetMachPort(device->irq.port),
					       reference, kIOAsyncCalloutCount, NULL, 0, NULL,
					       NULL));
}

static int thread_start(struct quiver_device *device, void *(*run)(void *device))
{
	/* There is one way for it to fail, and EAGAIN is what it calls that. */
	device->irq.started = !pthread_create(&device->irq.thread, NULL, run, device);
	return device->irq.started ? 0 : -ENOMEM;
}

static int pump_start(struct quiver_device *device)
{
	struct quiver_irq_pump *irq = &device->irq;
	int error;

	irq->port = IONotificationPortCreate(kIOMainPortDefault);
	if (!irq->port)
		return -ENOMEM;
	error = pending_map(device);
	if (!error)
		error = wait_register(device);
	if (!error)
		error = thread_start(device, pump_run);
	if (error) {
		pending_unmap(device);
		IONotificationPortDestroy(irq->port);
		irq->port = NULL;
	}
	return error;
}

int quiver_host_irq_start(struct quiver_device *device)
{
	if (!device->irq.started)
		return pump_start(device);
	pump_wake(&device->irq);
	return 0;
}

void quiver_host_irq_look(struct quiver_device *device)
{
	pump_wake(&device->irq);
}

int quiver_host_irq_start_lost(struct quiver_device *device, void *(*run)(void *device))
{
	return thread_start(device, run);
}

static bool on_pump_thread(const struct quiver_irq_pump *irq)
{
	return irq->started && pthread_equal(pthread_self(), irq->thread);
}

/*
 * From here on no call of the handler begins, and bits stay in the page. Waits
 * for a call that has begun, unless the next handler is the same one.
 */
static void handler_remove(struct quiver_irq_pump *irq, quiver_irq_handler next, void *context)
{
	bool same;

	pthread_mutex_lock(&irq->lock);
	same = irq->handler == next && irq->context == context;
	irq->enabled = false;
	irq->generation++;
	while (irq->running && !same && !on_pump_thread(irq))
		pthread_cond_wait(&irq->idle, &irq->lock);
	pthread_mutex_unlock(&irq->lock);
}

static void handler_install(struct quiver_irq_pump *irq, quiver_irq_handler handler, void *context,
			    unsigned int count)
{
	pthread_mutex_lock(&irq->lock);
	irq->handler = handler;
	irq->context = context;
	irq->count = count;
	irq->enabled = true;
	irq->generation++;
	pthread_mutex_unlock(&irq->lock);
	/* The dext has cleared the page, armed with it. */
	pump_wake(irq);
}

static int dext_configure(struct quiver_device *device, uint32_t type, unsigned int count,
			  unsigned int *granted)
{
	const uint64_t input[] = { type, count };
	uint64_t output = 0;
	uint32_t outputs = 1;
	int error;

	error = quiver_host_call_error(
		device, IOConnectCallScalarMethod(device->connect, QUIVER_DEXT_IRQ_CONFIGURE, input,
						  2, &output, &outputs));
	if (error)
		return error;
	if (type != QUIVER_DEXT_IRQ_NONE && (!output || output > count))
		return -EIO;
	*granted = (unsigned int)output;
	return 0;
}

static int configure_locked(struct quiver_device *device, uint32_t type, unsigned int count,
			    quiver_irq_handler handler, void *context, unsigned int *granted)
{
	int error = 0;

	if (!device->irq.started && type != QUIVER_DEXT_IRQ_NONE)
		error = pump_start(device);
	if (error)
		return error;
	handler_remove(&device->irq, handler, context);
	error = dext_configure(device, type, count, granted);
	if (!error && type != QUIVER_DEXT_IRQ_NONE)
		handler_install(&device->irq, handler, context, *granted);
	return error;
}

int quiver_irq_configure(struct quiver_device *device, uint32_t type, unsigned int count,
			 quiver_irq_handler handler, void *context, unsigned int *granted)
{
	unsigned int given = 0;
	int error;

	if (type > QUIVER_DEXT_IRQ_MSIX)
		return -EINVAL;
	if (type == QUIVER_DEXT_IRQ_NONE)
		count = 0;
	else if (!handler || !count || count > QUIVER_DEXT_VECTORS_MAX)
		return -EINVAL;
	pthread_mutex_lock(&device->irq.configure_lock);
	error = configure_locked(device, type, count, handler, context, &given);
	pthread_mutex_unlock(&device->irq.configure_lock);
	if (granted)
		*granted = given;
	return error;
}

void quiver_host_irq_forget(struct quiver_device *device)
{
	struct quiver_irq_pump *irq = &device->irq;

	pthread_mutex_lock(&irq->lock);
	irq->enabled = false;
	irq->generation++;
	pthread_mutex_unlock(&irq->lock);
}

void quiver_host_irq_stop(struct quiver_device *device)
{
	struct quiver_irq_pump *irq = &device->irq;

	quiver_host_irq_forget(device);
	if (irq->started) {
		atomic_store(&irq->stopping, true);
		pump_wake(irq);
		pthread_join(irq->thread, NULL);
	}
}

void quiver_host_irq_destroy(struct quiver_device *device)
{
	struct quiver_irq_pump *irq = &device->irq;

	pending_unmap(device);
	if (irq->port)
		IONotificationPortDestroy(irq->port);
	pthread_cond_destroy(&irq->idle);
	pthread_mutex_destroy(&irq->lock);
	pthread_mutex_destroy(&irq->configure_lock);
}
