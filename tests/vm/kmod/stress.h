/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * quiver_stress.ko: many threads map and unmap at once, in process, softirq and
 * hardirq context and with interrupts off, and every address that comes back is
 * checked against all others that are live.
 */
#ifndef QUIVER_STRESS_H
#define QUIVER_STRESS_H

#include <linux/dma-mapping.h>
#include <linux/irq_work.h>
#include <linux/pci.h>
#include <linux/prandom.h>
#include <linux/scatterlist.h>
#include <linux/timer.h>

#define STRESS_CHUNK_ORDER	4
#define STRESS_CHUNK_SIZE	(PAGE_SIZE << STRESS_CHUNK_ORDER)
#define STRESS_HELD		64
#define STRESS_SEGMENTS		2000

/* ledger.c: which physical granule each live bus granule shows. Any context. */
struct ledger_record {
	phys_addr_t phys;
	dma_addr_t iova;
	size_t size;
};

int ledger_init(unsigned int granule_shift);
void ledger_exit(void);
/*
 * -EILSEQ: the address breaks a promise of quiver; printed once. -ENOMEM: not
 * checked, not recorded.
 */
int ledger_add(const struct ledger_record *record);
/* Before the unmap: the address may be handed out again right after it. */
void ledger_remove(const struct ledger_record *record);

struct stress_counts {
	u64 maps, scatterlists, segments, coherent, softirq, hardirq, irqs_off;
	u64 refused;			/* maps that failed */
	u64 broken;			/* promises broken */
};

/* What timer, irq_work and interrupts-off sections of a worker do: one map at a time. */
struct stress_atomic {
	struct rnd_state random;
	struct ledger_record held[8];
	unsigned int next;
};

struct stress {
	struct pci_dev *pdev;
	struct page **chunks;
	unsigned int chunk_count;
	unsigned long deadline;
	bool stopping;
};

struct stress_worker {
	struct stress *stress;
	struct task_struct *task;
	struct rnd_state random;
	struct stress_counts counts;
	struct ledger_record held[STRESS_HELD];
	struct sg_table table;
	struct timer_list timer;
	struct irq_work irq_work;
	struct stress_atomic softirq, hardirq, irqs_off;
};

/* worker.c */
int worker_init(struct stress_worker *worker, struct stress *stress, u64 seed);
/* Unmaps all. The thread has ended. */
void worker_exit(struct stress_worker *worker);
int worker_thread(void *worker);

/*
 * fill.c: maps runs of up to span_max granules of the chunks until the host
 * refuses. -ENODATA: it did not, there are too few chunks. -EBUSY: a refusal left
 * something behind. -EEXIST: half a scatterlist was mapped. -ENOSPC: what was given
 * back made no room.
 */
int stress_fill(struct stress *stress, unsigned int span_max, unsigned int granule_shift);

#endif
