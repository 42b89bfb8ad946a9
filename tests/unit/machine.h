/* SPDX-License-Identifier: BSD-3-Clause */
/* For tests of the simulated machine. */
#ifndef TEST_MACHINE_H
#define TEST_MACHINE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>
#include <cmocka.h>

#include "simmac/device.h"

/* Memory of this process, in whole granules, zeroed. */
void *memory_new(size_t size);
void memory_free(void *memory, size_t size);

/*
 * Runs what(argument) in a child, which must panic, and with that first line:
 * the line must contain both texts. A device must be the child's own: the
 * thread of one made before does not come along, but the locks it holds do.
 */
void assert_panic(void (*what)(void *argument), void *argument, const char *fact,
		  const char *text);

/* A device, its memory mapped for DMA, and the interrupts it raised. */
#define MACHINE_VECTORS 64
#define MACHINE_MEMORY (UINT64_C(4) << 20)

struct machine {
	struct simmac_device *device;
	uint8_t *memory;
	uint64_t iova;
	atomic_uint interrupts[MACHINE_VECTORS];
};

/* Bus mastering on, all vectors of that kind granted. */
void machine_start(struct machine *machine, const char *spec, enum simmac_irq_mode mode);
/* Bus mastering off, unmapped, freed. */
void machine_stop(struct machine *machine);
void machine_master(struct machine *machine, bool on);
/* Waits until that many interrupts came on a vector; fails after five seconds. */
void machine_await_interrupts(struct machine *machine, unsigned int vector, unsigned int count);

uint32_t machine_reg(struct machine *machine, unsigned int offset);
void machine_set_reg(struct machine *machine, unsigned int offset, uint32_t value);
/* Waits until (register & mask) == value; fails after five seconds. */
void machine_await_reg(struct machine *machine, unsigned int offset, uint32_t mask,
		       uint32_t value);

/* Polls condition() for up to five seconds. */
bool await(bool (*condition)(void *argument), void *argument);

#endif
