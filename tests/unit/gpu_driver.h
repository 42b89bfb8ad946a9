/* SPDX-License-Identifier: BSD-3-Clause */
/* A driver for the simulated GPU as small as can be, over the memory of one machine. */
#ifndef TEST_GPU_DRIVER_H
#define TEST_GPU_DRIVER_H

#include "machine.h"
#include "simmac/gpu.h"

#define KIB UINT64_C(1024)
#define MIB (KIB * KIB)

/* Places in the machine's memory; tables are taken from GPU_TABLES up. */
#define GPU_RING_AT 0u
#define GPU_ENTRIES 16u
#define GPU_ROOT_AT (16 * KIB)
#define GPU_TABLES_AT (20 * KIB)

/*
 * Memory for data: of another mapping, which does not start on a 2 MiB boundary
 * [D3]. Large enough for two 2 MiB pages that do, and one beside these.
 */
#define GPU_DATA (12 * MIB)

struct gpu_driver {
	struct machine machine;
	uint64_t root;			/* bus address */
	uint64_t tables;		/* next free place */
	uint8_t *data;
	uint64_t data_bus;
	uint64_t aligned;		/* the first bus address in it that is 2 MiB-aligned */
	uint32_t put;
};

enum gpu_page_size { SMALL = GPU_SMALL_SHIFT, BIG = GPU_BIG_SHIFT, LARGE = GPU_DIRECTORY_SHIFT };

struct gpu_command {
	uint64_t source, target, payload;
	uint32_t length, flags;
};

/* Started, with an empty page table, on a machine with MSI-X. */
void gpu_driver_start(struct gpu_driver *driver, const char *spec);
void gpu_driver_stop(struct gpu_driver *driver);

/* Sets the registers and starts the engine; waits until it has started. */
void gpu_engine_start(struct gpu_driver *driver);
void gpu_engine_stop(struct gpu_driver *driver);

/* Where the CPU sees a bus address of the data. */
uint8_t *gpu_at(struct gpu_driver *driver, uint64_t bus);

/*
 * Maps length bytes, whole pages of that size, from va on. The address goes into
 * the entries as it is, aligned or not; flags may be GPU_PTE_VIDEO.
 */
void gpu_map(struct gpu_driver *driver, uint64_t va, uint64_t address, uint64_t length,
	     enum gpu_page_size size, uint64_t flags);
/* The entry for va in the table of a level, 0 the root; the tables above it must be there. */
uint64_t *gpu_pte(struct gpu_driver *driver, uint64_t va, unsigned int level);

/* Writes an entry of the ring; gpu_ring() tells the device. */
void gpu_push(struct gpu_driver *driver, struct gpu_command command);
void gpu_ring(struct gpu_driver *driver);
/* Waits until all is done; fails after five seconds, or at a fault. */
void gpu_wait(struct gpu_driver *driver);
/* All three. */
void gpu_do(struct gpu_driver *driver, struct gpu_command command);
void gpu_copy(struct gpu_driver *driver, uint64_t target, uint64_t source, uint32_t length);
/* Pushes, rings, and waits for that fault; checks its address, and that GET stays. */
void gpu_expect_fault(struct gpu_driver *driver, struct gpu_command command, uint32_t fault,
		      uint64_t address);

uint64_t gpu_reg64(struct gpu_driver *driver, unsigned int offset);
void gpu_set_reg64(struct gpu_driver *driver, unsigned int offset, uint64_t value);

/* Started, with 8 MiB of data from the first 2 MiB boundary on in pages of that size. */
#define GPU_VA (UINT64_C(3) << GPU_ROOT_SHIFT)
void gpu_driver_start_mapped(struct gpu_driver *driver, const char *spec);
/* 100 bytes from GPU_VA on. */
extern const struct gpu_command gpu_fill;
/* Starts the engine anew, whatever happened before, and sees it fill. */
void gpu_check_it_works(struct gpu_driver *driver);

/* Bytes that tell their places apart; the same ones for the same seed. */
void gpu_pattern(uint8_t *memory, size_t length, uint32_t seed);

#endif
