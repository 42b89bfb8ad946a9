/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An open device, and what the files of libquiver share.
 *
 * Locks: dma.lock, bars.lock, irq.lock and watch.lock are leaves, never held
 * together; that of power.c is taken after irq.configure_lock and before those.
 * No handler runs under any of them.
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
	bool telling;			/* it is being called */
};

struct quiver_device {
	struct quiver_device_info info;
	io_connect_t connect;
	struct quiver_dma_channel dma;
	struct quiver_bar_maps bars;
	struct quiver_irq_pump irq;
	struct quiver_watch watch;
	struct quiver_device *next_watched;	/* under power.c's lock, as the next */
	bool has_thread;			/* that tells */
};

/* What a thread waits for at the most before it has a look for itself. */
#define QUIVER_HOST_IDLE_MS (QUIVER_LOST_SECONDS * 1000 / 2)

union quiver_host_message {
	mach_msg_header_t header;
	char room[1024];	/* what IOKit sends is far smaller */
};

enum quiver_host_heard {
	QUIVER_HOST_MESSAGE,
	QUIVER_HOST_IDLE,	/* nothing came in that time */
	QUIVER_HOST_NOTHING,	/* what came was lost, or it was only woken */
	QUIVER_HOST_ENDED,	/* the port is gone, and with it every reason to go on */
};

enum quiver_host_heard quiver_host_port_wait(IONotificationPortRef port, unsigned int milliseconds,
					     union quiver_host_message *message);
/* Whoever waits is to have a look. Never blocks. */
void quiver_host_port_wake(IONotificationPortRef port);

/* kern_return_t to negative errno: the only place. */
int quiver_host_error(kern_return_t status);
/* The same for a call on the device's connection. */
int quiver_host_call_error(struct quiver_device *device, kern_return_t status);

void quiver_host_bars_init(struct quiver_device *device);
void quiver_host_bars_destroy(struct quiver_device *device);

void quiver_host_irq_init(struct quiver_device *device);
/* Waits for the thread. It can still be woken, in vain, until it is destroyed. */
void quiver_host_irq_stop(struct quiver_device *device);
void quiver_host_irq_destroy(struct quiver_device *device);
/* The dext has turned interrupts off on its own. */
void quiver_host_irq_forget(struct quiver_device *device);
/*
 * Under irq.configure_lock. The thread runs when it returns, and has a look at
 * the page. -ENODEV: the device is lost, so there is no page.
 */
int quiver_host_irq_start(struct quiver_device *device);
/* The thread, if there is one, is to have another look. */
void quiver_host_irq_look(struct quiver_device *device);
/* The same as the start, for a device that is lost: run() is all that the thread does. */
int quiver_host_irq_start_lost(struct quiver_device *device, void *(*run)(void *device));

void quiver_host_watch_init(struct quiver_device *device);
void quiver_host_watch_destroy(struct quiver_device *device);
/* On the pump's thread. idle: nothing has come for a while, which may mean anything. */
void quiver_host_watch_look(struct quiver_device *device, bool idle);
/* Somebody is to be told, or is being told. */
bool quiver_host_watch_waits(struct quiver_device *device);

/*
 * From here to the release libquiver hears of the Mac's sleep. -EAGAIN: it is
 * about to sleep, or not awake again. -EIO: macOS does not tell us. -ENOMEM.
 */
int quiver_host_power_hold(void);
void quiver_host_power_release(void);
/* Sleep waits for this device's watcher, from here to the forget. */
void quiver_host_power_watch(struct quiver_device *device);
/* The thread that tells the watcher has been started, and can be woken. */
void quiver_host_power_has_thread(struct quiver_device *device);
void quiver_host_power_forget(struct quiver_device *device);
/* A watcher has been told of something. */
void quiver_host_power_told(void);
/* From the notice of sleep until the Mac is awake. */
bool quiver_host_power_sleeps(void);

#endif
