/* SPDX-License-Identifier: BSD-3-Clause */
/* What is known of a device's registers: which are safe to touch. */
#ifndef QUIVER_CLI_PROBE_KIND_H
#define QUIVER_CLI_PROBE_KIND_H

#include <stdbool.h>
#include <stdint.h>

#include "quiver/dext_abi.h"

enum quiver_probe_kind_id {
	QUIVER_PROBE_OTHER, QUIVER_PROBE_NVIDIA, QUIVER_PROBE_NVME, QUIVER_PROBE_ENDPOINT
};

struct quiver_probe_kind {
	enum quiver_probe_kind_id id;
	const char *name;
	int bar;			/* with the registers; -1: the first that looks like it */
	uint32_t read[2];		/* two registers of 32 bits to read */
	uint32_t write;			/* one that may be written; 0: none is known */
	uint32_t unless;		/* but not while this register's bit 0 is set; 0: always */
	bool write_back;		/* only with what is in it */
	const char *note;		/* what is said of writing */
};

const struct quiver_probe_kind *quiver_probe_kind(const struct quiver_dext_identity *identity);

/* NVIDIA's BOOT_0 [G12]: NV_PMC_BOOT_0 of its open kernel modules. */
struct quiver_probe_boot_0 {
	unsigned int architecture, implementation, major, minor;
	const char *family;		/* NULL: none that is known */
};

struct quiver_probe_boot_0 quiver_probe_boot_0_decode(uint32_t value);

/* What BOOT_0 of that card is but for the stepping; 0: not known. */
uint32_t quiver_probe_boot_0_expected(uint16_t device);

/* Whether a guest can have a BAR that lies there: only whole pages are mapped [H2]. */
bool quiver_probe_fits_guest(uintptr_t address, uint64_t length);

/* What a read register says of a device that is in trouble, and its cure; NULL: nothing. */
struct quiver_probe_trouble {
	const char *reason, *cure;
};

struct quiver_probe_trouble quiver_probe_trouble(const struct quiver_probe_kind *kind,
						 uint32_t value);

#endif
