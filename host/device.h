/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An open device, and what the files of libquiver share.
 *
 * Locks: dma.lock, bars.lock, irq.lock and watch.lock are leaves, never held
 * together. No handler runs under any of them, nor under irq.configure_lock.
 */
#ifndef QUIVER_HOST_DEVICE_H
#define QUIVER_HOST_DEVICE_H

#include <IOKit/IOKitLib.h>
#include <mach/mach.h>
#include <pthread.h>
#include <stdatomic.h>

#include "quiver/host.h"

struct quiver_dma_channel {
	pthread_mutex_t lock;
	struct quiver_dext_dma_request request;
	struct quiver_dext_dma_result result;
	struct quiver_dma *sent[QUIVER_DEXT_DMA_MAX];
};

struct quiver_bar_maps {
	pthread_mutex_t lock;
	struct {
		mach_vm_address_t address;	/* 0: not mapped */
		mach_vm_size_t length;
	} bar[QUIVER_DEXT_BARS];
};

struct quiver_irq_pump {
	pthread_mutex_t configure_lock;	/* who starts the thread, or changes what it does */
	pthread_mutex_t lock;		/* of what follows, to running */
	pthread_cond_t idle;		/* running became false */
	bool enabled;			/* bits may be taken and delivered */
	quiver_irq_handler handler;
	void *context;
	unsigned int count;
	uint64_t generation;		/* of all of these */
	bool running;			/* the handler is being called */

	bool started;			/* the thread runs */
	pthread_t thread;
	IONotificationPortRef port;	/* NULL, as pending: the device was lost before the start */
	struct quiver_dext_pending *pending;
	atomic_bool stopping;
};

struct quiver_watch {
	bool taken;			/* under irq.configure_lock */
	pthread_mutex_t lock;		/* of the rest */
	quiver_lost_handler handler;	/* NULL: nobody is to be told, or not any more */
	void *context;
};

struct quiver_device {
	struct quiver_device_info info;
	io_connect_t connect;
	struct quiver_dma_channel dma;
	struct quiver_bar_maps bars;
	struct quiver_irq_pump irq;
	struct quiver_watch watch;
};

/* kern_return_t to negative errno: the only place. */
int quiver_host_error(kern_return_t status);
/* The same for a call on the device's connection. */
int quiver_host_call_error(struct quiver_device *device, kern_return_t status);

void quiver_host_bars_init(struct quiver_device *device);
void quiver_host_bars_destroy(struct quiver_device *device);

void quiver_host_irq_init(struct quiver_device *device);
/* Waits for the thread. */
void quiver_host_irq_destroy(struct quiver_device *device);
/* The dext has turned interrupts off on its own. */
void quiver_host_irq_forget(struct quiver_device *device);
/*
 * Under irq.configure_lock. The thread runs when it returns, and has a look at
 * the page. -ENODEV: the device is lost, so there is no page.
 */
int quiver_host_irq_start(struct quiver_device *device);
/* The same, for a device that is lost: run() is all that the thread does. */
int quiver_host_irq_start_lost(struct quiver_device *device, void *(*run)(void *device));

void quiver_host_watch_init(struct quiver_device *device);
void quiver_host_watch_destroy(struct quiver_device *device);
/* On the pump's thread. idle: nothing has come for a while, which may mean anything. */
void quiver_host_watch_look(struct quiver_device *device, bool idle);

#endif
