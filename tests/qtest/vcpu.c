// SPDX-License-Identifier: BSD-3-Clause
/*
 * All that two vCPUs run, without an operating system: each rings the doorbell of a
 * queue of its own, again and again, maps for two devices and unmaps what it
 * got. test_vcpus.py says when, for which records, and judges the counts.
 */
#include <stdbool.h>

#include "quiver/proto.h"

/* As in test_vcpus.py */
#define SHARED		0x42000000ul
#define BATCHES		0x41000000ul
#define BATCH_STRIDE	(1ul << 18)
#define BUFFERS		0x44000000ul
#define GRANULE		16384ul
#define ENTRIES		96
#define CPUS		2

struct counts {
	uint64_t rounds;
	uint64_t parked;		/* 1: it has stopped, as it was told */
	uint64_t status[2][2][16];	/* of the first device and the second; of maps and unmaps */
};

/* Written by the test: regs, go and record. */
struct shared {
	uint64_t regs;			/* BAR 0 of quiver-dma */
	uint64_t go;			/* 0: stop */
	uint64_t record[2];		/* of the devices */
	struct counts cpu[CPUS];
};

static volatile struct shared *const shared = (void *)SHARED;

static void ring(unsigned int cpu, uint32_t count)
{
	uintptr_t queue = shared->regs + QUIVER_QUEUES_OFFSET + cpu * QUIVER_STRIDE;

	__asm__ volatile("dsb sy" ::: "memory");
	*(volatile uint32_t *)(queue + offsetof(struct quiver_queue_regs, doorbell)) = count;
	__asm__ volatile("dsb sy" ::: "memory");
}

/* Both see the same two records until the batch's unmaps are done. */
static void map(volatile struct quiver_dma_entry *batch, unsigned int cpu, const uint64_t *record)
{
	for (unsigned int i = 0; i < ENTRIES; i++) {
		batch[i].op = QUIVER_OP_MAP;
		batch[i].flags = QUIVER_DMA_WRITE;
		batch[i].device = (uint16_t)record[i % 2];
		batch[i].status = QUIVER_S_PENDING;
		batch[i].gpa = BUFFERS + (cpu * ENTRIES + i) * GRANULE;
		batch[i].length = GRANULE;
		batch[i].iova = 0;
	}
	ring(cpu, ENTRIES);
}

static void count(volatile struct quiver_dma_entry *batch, unsigned int cpu, unsigned int entries,
		  const uint64_t *record, unsigned int kind)
{
	for (unsigned int i = 0; i < entries; i++)
		shared->cpu[cpu].status[batch[i].device == record[1]][kind][batch[i].status % 16]++;
}

static unsigned int unmap(volatile struct quiver_dma_entry *batch, unsigned int cpu)
{
	unsigned int left = 0;

	for (unsigned int i = 0; i < ENTRIES; i++) {
		if (batch[i].status != QUIVER_S_OK)
			continue;
		batch[left].op = QUIVER_OP_UNMAP;
		batch[left].flags = 0;
		batch[left].device = batch[i].device;
		batch[left].status = QUIVER_S_PENDING;
		batch[left].gpa = 0;
		batch[left].length = GRANULE;
		batch[left++].iova = batch[i].iova;
	}
	if (left)
		ring(cpu, left);
	return left;
}

static void work(unsigned int cpu)
{
	volatile struct quiver_dma_entry *batch = (void *)(BATCHES + cpu * BATCH_STRIDE);
	uint64_t record[2] = { shared->record[0], shared->record[1] };

	map(batch, cpu, record);
	count(batch, cpu, ENTRIES, record, 0);
	count(batch, cpu, unmap(batch, cpu), record, 1);
	shared->cpu[cpu].rounds++;
}

__attribute__((noreturn, used)) static void run(unsigned int cpu)
{
	for (;;) {
		shared->cpu[cpu].parked = !shared->go;
		if (shared->go)
			work(cpu);
	}
}

/* The first starts the second, by CPU_ON of PSCI. */
__asm__(".globl _start\n"
	"_start:\n"
	"	ldr x0, =0xc4000003\n"
	"	mov x1, #1\n"
	"	adr x2, second\n"
	"	mov x3, #1\n"
	"	hvc #0\n"
	"	mov x0, #0\n"
	"second:\n"
	"	ldr x1, =0x40800000\n"
	"	sub x1, x1, x0, lsl #16\n"
	"	mov sp, x1\n"
	"	b run\n");
