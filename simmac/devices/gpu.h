/* SPDX-License-Identifier: BSD-3-Clause */
/* The GPU model, shared by its parts. All of it runs under the run lock. */
#ifndef SIMMAC_DEVICES_GPU_H
#define SIMMAC_DEVICES_GPU_H

#include <stdbool.h>
#include <stdint.h>

#include "simmac/device.h"
#include "simmac/gpu.h"

/* gpu_card.c: what is on the market, and what a user makes of it. */

struct gpu_bar {
	uint64_t size;			/* 0: none */
	bool is_64, prefetchable;
};

/* Offsets are of config space; 0: there is no such capability. */
struct gpu_card {
	const char *name;
	uint16_t vendor, device, subsystem_vendor, subsystem_device;
	uint16_t class;
	uint8_t revision;
	bool flr;
	bool hides_pcie;		/* its capability is not in the list [H11] */
	bool has_engine;		/* in registers of BAR 0, with BOOT_0 and BOOT_42 */
	uint32_t boot_0, boot_42;
	uint8_t pm, msi, pcie, msix, vendor_specific;
	unsigned int msi_vectors, msix_vectors;
	unsigned int registers;		/* the BAR */
	struct gpu_bar bar[SIMMAC_BARS];
};

/* A register that has a value after each reset. */
struct gpu_poke {
	uint32_t offset, value;
};

struct gpu_pokes {
	struct gpu_poke *poke;
	unsigned int count;
};

/* The card that the options name, with what they change. -EINVAL: none, or not so. */
int gpu_card_read(struct simmac_device *device, struct gpu_card *card);
/* "OFFSET:VALUE[+OFFSET:VALUE...]" for registers of size bytes. -EINVAL, -ENOMEM. */
int gpu_pokes_read(struct gpu_pokes *pokes, const char *text, uint64_t size);

/* gpu_table.c: from GPU virtual addresses to those of the bus. */

#define GPU_TABLE_ENTRIES	512u
#define GPU_TABLE_SIZE		(GPU_TABLE_ENTRIES * sizeof(uint64_t))
#define GPU_LEVELS		3	/* root, directory, table */

/* What tables were read, so that each of a long walk is read once. */
struct gpu_table_cache {
	struct {
		bool valid;
		uint64_t at;
		uint64_t entry[GPU_TABLE_ENTRIES];
	} level[GPU_LEVELS];
};

struct gpu_page {
	uint64_t address;		/* of the byte asked for: on the bus, or in video memory */
	uint64_t left;			/* bytes from there to the end of the page */
	bool video;
	unsigned int levels;		/* how many tables were read, those: */
	uint64_t table[GPU_LEVELS];
};

/*
 * Where a GPU virtual address lies. Reads the tables from memory, or once into a
 * cache (NULL: none). Not looked at are the address bits below the page's size.
 * On a fault, page tells only the tables.
 */
enum gpu_fault gpu_translate(struct simmac_device *device, uint64_t root, uint64_t va,
			     struct gpu_table_cache *cache, struct gpu_page *page);

/* gpu_interrupt.c: the CPU's interrupt tree. */

struct gpu_mask {
	uint32_t bits, shown;		/* shown: what its register last read as */
};

struct gpu_interrupt {
	uint32_t pending[GPU_LEAVES_MAX];
	struct gpu_mask leaf[GPU_LEAVES_MAX], top;
	bool line;			/* something is told, and not cleared */
};

/* gpu_engine.c: the copy engine. */

/* Moved in one turn: what stops the device waits for no more than this. */
#define GPU_CHUNK		65536u

struct gpu_entry {
	uint64_t source, target;	/* of what is left */
	uint64_t payload;
	uint32_t left, flags;
};

struct gpu {
	struct simmac_device *device;
	struct gpu_card card;
	struct gpu_pokes pokes;
	struct gpu_interrupt interrupt;

	bool enabled;			/* and this is what with: */
	uint64_t ring, root;
	uint32_t entries, get;
	bool busy;			/* with this one: */
	struct gpu_entry entry;
	uint8_t buffer[GPU_CHUNK];
};

/* gpu.c */
uint32_t gpu_reg_read(const struct gpu *gpu, unsigned int offset);
void gpu_reg_write(const struct gpu *gpu, unsigned int offset, uint32_t value);
/* Whether it still was the old value. */
bool gpu_reg_replace(const struct gpu *gpu, unsigned int offset, uint32_t old, uint32_t value);

unsigned int gpu_interrupt_leaves(const struct gpu_card *card);
void gpu_interrupt_reset(struct gpu *gpu);
bool gpu_interrupt_run(struct gpu *gpu);

void gpu_engine_reset(struct gpu *gpu);
bool gpu_engine_run(struct gpu *gpu);
bool gpu_engine_dma_live(const struct gpu *gpu, uint64_t iova, uint64_t length);

#endif
