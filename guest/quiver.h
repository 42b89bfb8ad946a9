/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * quiver.ko: a PCI device that the host passes through runs under its own
 * driver, and each DMA address that this driver gets comes from the host's
 * IOMMU. One struct quiver is one quiver-dma function, one struct quiver_device
 * is one passed-through function that it serves.
 *
 * Locks, outermost first: a passed-through function's device_lock(),
 * quiver.lock, quiver_space.lock or quiver_queue.lock (both, in this order, only in
 * fault.c). A device that is refused a map releases the idle windows of its
 * peers: it holds no lock then, takes the space's lock of one peer at a time,
 * and finds them under RCU.
 */
#ifndef QUIVER_GUEST_H
#define QUIVER_GUEST_H

#include <linux/dma-map-ops.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/pci.h>
#include <linux/ratelimit.h>
#include <linux/rculist.h>
#include <linux/workqueue.h>

#include "compat.h"
#include "core/aperture.h"
#include "core/window.h"
#include "quiver/proto.h"
#include "windows.h"
#include "zonelist.h"

struct dentry;
struct quiver_faults;

/* A batch in guest memory. Whoever holds the lock has interrupts off. */
struct quiver_queue {
	spinlock_t lock;		/* of all below */
	struct quiver_dma_entry *batch;
	struct quiver_queue_regs __iomem *regs;
	u32 entries;
	u64 doorbells;
} ____cacheline_aligned_in_smp;

/* aperture.c: the memory, of all devices. */
struct quiver_aperture_memory {
	bool added;			/* the kernel has it */
	bool shared;			/* and gives it to anybody: it cannot be kept for drivers */
	u64 online;			/* bytes */
	struct quiver_range range;
	int node;
	struct quiver_kept_node kept;	/* under the kernel's lock of memory hotplug */
	struct notifier_block notifier;
	struct list_head held;		/* other memory of the node */
	const char *refused;		/* why there is none though the host offers it */
};

/* Of one device, on one CPU; all only grow. */
struct quiver_aperture_counts {
	u64 segments, bytes;		/* mapped by arithmetic */
	u64 removed;			/* segments, unmapped */
	u64 pages[QUIVER_STEERINGS];	/* of coherent memory: from there, or why from elsewhere */
};

/* In bytes. */
struct quiver_memory {
	u64 total;			/* MemTotal of Linux, which counts the aperture */
	u64 usable;			/* of these: what not only drivers can have */
	u64 aperture;			/* that was taken in; 0: none */
	u64 online, free;		/* of it */
	bool shared;			/* others than drivers are not kept off it */
};

struct quiver {
	struct pci_dev *pdev;
	struct quiver_regs __iomem *regs;
	struct quiver_status_page __iomem *status;	/* NULL without has_status */
	bool has_status;
	bool has_budget;		/* the host takes QUIVER_DMA_VITAL */
	u32 features;			/* that both sides know */
	unsigned int granule_shift;
	unsigned int device_count;
	struct quiver_queue *queues;
	unsigned int queue_count;
	bool failed;			/* stopped answering, or shut down; does not recover */
	struct notifier_block bus_notifier;
	struct mutex lock;		/* devices[] */
	struct quiver_device *devices[QUIVER_MAX_DEVICES];
	/*
	 * Those whose idle windows others may release: read under RCU, changed
	 * under lock. A device is out of it, and a grace period has passed,
	 * before its space is emptied or freed.
	 */
	struct hlist_head peers;
	struct quiver_aperture_memory aperture;
	struct quiver_guest_page *guest_page;	/* stats.c; NULL: the host does not ask for it */
	struct delayed_work guest_page_work;
	struct dentry *debugfs;
};

/* Why maps failed; the names are in quiver_failure_names. */
enum quiver_failure {
	QUIVER_FAILURE_BYTES,		/* the host's byte limit [D1] */
	QUIVER_FAILURE_MAPPINGS,	/* the host's mapping limit [D2] */
	QUIVER_FAILURE_MEMORY,		/* no guest memory for bookkeeping or buffers */
	QUIVER_FAILURE_MASK,		/* beyond the device's DMA mask or boundary [G9] */
	QUIVER_FAILURE_ADDRESS,		/* not guest RAM: a BAR, for instance */
	QUIVER_FAILURE_GONE,		/* unplugged, reset, or quiver-dma itself failed */
	QUIVER_FAILURE_INVALID,		/* not a range */
	QUIVER_FAILURE_HOST,		/* anything else that the host says */
	QUIVER_FAILURES
};

extern const char *const quiver_failure_names[QUIVER_FAILURES];

/*
 * Failures that belong together in the log: from the first one until there has
 * been none for a while. Maps that succeed in between do not end it, or a driver
 * that asks for large and small pieces by turns would fill the log.
 */
struct quiver_episode {
	bool open;
	unsigned long began, last;	/* jiffies */
	u64 told[QUIVER_FAILURES];	/* of failures[]: what closing lines have said */
	struct delayed_work end;
};

/*
 * Attached from quiver_device_attach() to quiver_device_detach(). The ops are
 * this device's own copy, so that a struct device leads back here.
 */
struct quiver_device {
	struct quiver *quiver;
	struct pci_dev *pdev;		/* a reference */
	struct quiver_device_regs __iomem *regs;
	u16 index;
	u32 generation;
	bool link_tb5;			/* says the host */
	bool bound;			/* holds a reference on this module */
	bool dead;			/* has no mappings at the host, and gets none */
	const struct dma_map_ops ops;
	const struct dma_map_ops *saved_ops;
	struct quiver_space space;
	struct quiver_aperture_view view;
	struct quiver_aperture_counts __percpu *counts;
	struct hlist_node peer;		/* in quiver.peers */
	struct hlist_node attached;	/* among all devices of all quivers */
	atomic64_t failures[QUIVER_FAILURES];
	struct quiver_episode episode;
	struct ratelimit_state ratelimit;
	struct dentry *debugfs;
	struct quiver_faults *faults;
	struct delayed_work idle;	/* idle.c */
	u64 idle_operations;		/* of the space, at its last tick */
};

/* main.c: the module's parameters, checked at load. */
const struct quiver_policy *quiver_param_policy(void);
bool quiver_param_strict(void);

/*
 * queue.c. setup: -ENOMEM, or -EIO when the device refuses a queue. teardown
 * wants every device detached.
 */
int quiver_queues_setup(struct quiver *quiver);
void quiver_queues_teardown(struct quiver *quiver);

/* What the host would map at most for one device. There must be a status page. */
u64 quiver_queue_bytes_most(const struct quiver *quiver);

/* Its context is a struct quiver_device. */
const struct quiver_transport *quiver_queue_transport(const struct quiver *quiver);

/*
 * bus.c. start: attaches what is on the bus without a driver, watches what
 * comes, and lets drivers probe. stop: releases drivers, detaches all.
 */
int quiver_bus_start(struct quiver *quiver);
void quiver_bus_stop(struct quiver *quiver);

/*
 * device.c. All may sleep and want quiver->lock; with the exception of find,
 * also that no driver binds or unbinds meanwhile.
 */

/* The record of a function that is on the bus, or -ENODEV. */
int quiver_device_record(struct quiver *quiver, struct pci_dev *pdev);
/* The attached device, or NULL. */
struct quiver_device *quiver_device_find(struct quiver *quiver, struct pci_dev *pdev);
/* -EOPNOTSUPP: this kernel or this device cannot be served; logged. -ENOMEM, -EIO. */
int quiver_device_attach(struct quiver *quiver, struct pci_dev *pdev, unsigned int index);
/* Stops and resets the device [D8]; its mappings are gone. Frees qdev. */
void quiver_device_detach(struct quiver_device *qdev);
/* Stops and resets the device and attaches it again. If that fails, or it was lost: detached. */
int quiver_device_renew(struct quiver_device *qdev);
/* Whether our ops can take effect; says why not. */
bool quiver_device_suitable(struct pci_dev *pdev);
/* Drivers' set-up and tear-down put other ops in place. */
void quiver_device_claim_ops(struct quiver_device *qdev);
/* Whether the host still has what it granted. */
bool quiver_device_current(struct quiver_device *qdev);
/* Releases all windows without a user. Any context; the device stays attached meanwhile. */
void quiver_device_flush(struct quiver_device *qdev);
/*
 * The same for other devices of the same quiver, as far as it can help this one,
 * and for a bounded number of windows. Any context. False: they had none.
 */
bool quiver_device_relieve(struct quiver_device *qdev);

/*
 * Whether all attached display controllers of this vendor see the aperture, with guest and
 * bus addresses that agree modulo align. Any context.
 */
bool quiver_displays_see_aperture(u16 vendor, u64 align);

/*
 * aperture.c. start: never fails; without the aperture all goes on, and why is
 * logged. stop: every device is detached. May sleep.
 */
void quiver_aperture_start(struct quiver *quiver);
void quiver_aperture_stop(struct quiver *quiver);
extern const struct attribute_group *quiver_aperture_groups[];
/* How the host says that the device sees it; of one that is attached. */
void quiver_aperture_look(struct quiver_device *qdev);
/* What there is now. Any context. */
struct quiver_memory quiver_memory_of(const struct quiver *quiver);
/* Bytes of a node. */
u64 quiver_node_free(int node);

/*
 * steer.c, any context. to, away, online: of the one aperture that there is. free: what
 * is linked by its lru, and has its order in private.
 * alloc: NULL: it has none in one piece, or the device does not see it. taken: pages,
 * by those that know no device.
 */
void quiver_steer_to(int node, struct quiver_range range);
void quiver_steer_away(void);
void quiver_steer_online(bool online);
void quiver_pages_free(struct list_head *pages);
u64 quiver_steer_taken(enum quiver_steering outcome);
struct page *quiver_aperture_alloc(struct quiver_device *qdev, gfp_t gfp, unsigned int order);
struct quiver_aperture_counts quiver_aperture_counts(const struct quiver_device *qdev);

/*
 * stats.c: what the host shows of our counters, if it wants to. start: the aperture has
 * begun; never fails. stop: no device is attached. Both may sleep.
 */
void quiver_stats_start(struct quiver *quiver);
void quiver_stats_stop(struct quiver *quiver);

/* idle.c: while attached. stop waits for a flush. */
void quiver_idle_start(struct quiver_device *qdev);
void quiver_idle_stop(struct quiver_device *qdev);

/* dma_ops.c, any context. Every device has a copy of the ops. */
extern const struct dma_map_ops quiver_dma_ops;

/*
 * Maps [phys, phys + size) within mask; a failure is reported. vital: if it is
 * small, it may take of the host's reserve.
 */
int quiver_dma_map(struct quiver_device *qdev, phys_addr_t phys, size_t size, u64 mask,
		   bool vital, dma_addr_t *iova);
void quiver_dma_unmap(struct quiver_device *qdev, dma_addr_t iova, size_t size);

/* coherent.c: callbacks of quiver_dma_ops. */
void *quiver_coherent_alloc(struct device *dev, size_t size, dma_addr_t *iova, gfp_t gfp,
			    unsigned long attrs);
void quiver_coherent_free(struct device *dev, size_t size, void *address, dma_addr_t iova,
			  unsigned long attrs);
struct page *quiver_coherent_alloc_pages(struct device *dev, size_t size, dma_addr_t *iova,
					 enum dma_data_direction dir, gfp_t gfp);
void quiver_coherent_free_pages(struct device *dev, size_t size, struct page *page,
				dma_addr_t iova, enum dma_data_direction dir);
int quiver_coherent_mmap(struct device *dev, struct vm_area_struct *vma, void *address,
			 dma_addr_t iova, size_t size, unsigned long attrs);
int quiver_coherent_get_sgtable(struct device *dev, struct sg_table *table, void *address,
				dma_addr_t iova, size_t size, unsigned long attrs);

/* report.c; failure and bad_unmap in any context. exit: after the last failure; may sleep. */
void quiver_report_init(struct quiver_device *qdev);
void quiver_report_exit(struct quiver_device *qdev);
void quiver_report_failure(struct quiver_device *qdev, int error, size_t size);
void quiver_report_bad_unmap(struct quiver_device *qdev, dma_addr_t iova);

static inline struct quiver_device *quiver_device_of(struct device *dev)
{
	return container_of(get_dma_ops(dev), struct quiver_device, ops);
}

/* debugfs.c: best effort, nothing depends on it. */
void quiver_debugfs_init(void);
void quiver_debugfs_exit(void);
void quiver_debugfs_add(struct quiver *quiver);
void quiver_debugfs_remove(struct quiver *quiver);
void quiver_debugfs_add_device(struct quiver_device *qdev);
void quiver_debugfs_remove_device(struct quiver_device *qdev);

/*
 * fault.c, only in test builds: lies to the driver on purpose. The ring is
 * quiver_queue_send() with an entry left out when one is armed.
 */
void quiver_queue_send(struct quiver_queue *queue, size_t count);
#ifdef QUIVER_FAULTS
int quiver_faults_add(struct quiver_device *qdev);
void quiver_faults_remove(struct quiver_device *qdev);
void quiver_faults_ring(struct quiver_device *qdev, struct quiver_queue *queue, size_t count);
#else
static inline int quiver_faults_add(struct quiver_device *qdev)
{
	return 0;
}

static inline void quiver_faults_remove(struct quiver_device *qdev)
{
}

static inline void quiver_faults_ring(struct quiver_device *qdev, struct quiver_queue *queue,
				      size_t count)
{
	quiver_queue_send(queue, count);
}
#endif

#endif
