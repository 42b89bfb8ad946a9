/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared by the files of dext/core/ only. */
#ifndef QUIVER_DEXT_CORE_INTERNAL_H
#define QUIVER_DEXT_CORE_INTERNAL_H

#include "core/budget.h"
#include "core/registry.h"
#include "dext/core/dext.h"
#include "dext/core/life.h"

#define QUIVER_CONFIG_SIZE	4096u

/* PCI registers that we look at; all little-endian. */
#define PCI_ID			0x00
#define PCI_COMMAND		0x04
#define PCI_COMMAND_MEMORY	0x0002u
#define PCI_COMMAND_MASTER	0x0004u
#define PCI_STATUS		0x06
#define PCI_STATUS_CAPABILITIES	0x0010u
#define PCI_STATUS_ERRORS	0xf900u	/* clear when written */
#define PCI_CLASS_REVISION	0x08
#define PCI_BAR0		0x10
#define PCI_SUBSYSTEM		0x2c
#define PCI_ROM			0x30
#define PCI_CAPABILITIES	0x34

#define PCI_CAP_MSI		0x05
#define PCI_CAP_EXP		0x10
#define PCI_CAP_MSIX		0x11
#define PCI_EXP_DEVCAP		0x04
#define PCI_EXP_DEVCAP_FLR	(1u << 28)
#define PCI_EXP_DEVSTA		0x0a
#define PCI_EXP_DEVSTA_ERRORS	0x000fu	/* clear when written */
#define PCI_EXP_DEVSTA_PENDING	(1u << 5)	/* requests of its own are not answered yet */
#define PCI_EXP_LINK		0x0c	/* what comes next */

struct quiver_dext_mapping {
	struct quiver_mapping node;
	struct quiver_dext_grant grant;
	bool stays;
};

struct quiver_dext {
	const struct quiver_dext_ops *ops;
	void *shell;
	enum quiver_dext_state state;	/* quiver_dext_advance() changes it, nobody else */
	enum quiver_dext_cause cause;	/* of QUIVER_DEXT_GONE; NONE otherwise */
	const void *client;		/* has the claim, or NULL */
	bool told;			/* it has been told that the device is lost */
	bool asleep, ended;

	uint32_t id, class_revision, subsystem, address;
	uint32_t msi_vectors, msix_vectors;	/* that the device has; 0: none */
	bool refused, has_flr;
	struct quiver_dext_bar_info bar[QUIVER_DEXT_BARS];
	bool bar_present[QUIVER_DEXT_BARS];
	uint16_t pcie;			/* where the list has the PCI Express capability; 0: nowhere */

	struct quiver_budget budget;	/* of this device alone: one account, no reserve */
	struct quiver_account account;
	struct quiver_registry registry;
	uint64_t maps, unmaps, failed, calls;
	uint64_t interrupts, wakeups;	/* atomic: see quiver_dext_interrupt() */
};

/*
 * Reads the device's class and its list of capabilities: fills pcie, has_flr and the vectors.
 * -ETIMEDOUT: it does not answer.
 */
int quiver_config_survey(struct quiver_dext *dext);
void quiver_config_bars(struct quiver_dext *dext);

/* Whether config reads are answered by the device that we found at first. */
bool quiver_config_answers(struct quiver_dext *dext);

/* Clears bus mastering and reads back. -EIO: it is on still, or cannot be read. */
int quiver_config_stop_mastering(struct quiver_dext *dext);

/* The same, and what was under way has ended [L5]. -EIO: it may do DMA still. Waits. */
int quiver_config_stop(struct quiver_dext *dext);

/* In DART now. */
uint64_t quiver_dext_mappings(const struct quiver_dext *dext);

/*
 * Releases all mappings, or, if the claim goes on, those that do not stay; how
 * many. The device must not master the bus [D8].
 */
uint64_t quiver_dma_drop(struct quiver_dext *dext, bool goes_on);

/* -ENODEV: life.h has no such way from here, and nothing has changed. */
int quiver_dext_advance(struct quiver_dext *dext, enum quiver_life_event event);

struct quiver_way {
	enum quiver_life_event then;	/* SAFE, CLOSE or LOSE, if all goes well */
	enum quiver_dext_cause cause;	/* of LOSE */
	bool keep;			/* all mappings are kept if all goes well */
	bool last;			/* who is silent gets a short time only: nobody is left to use it */
};

/*
 * The one way out of use [D8], which takes some 6 s at the most, most of it macOS'
 * [L8]. -ETIMEDOUT: the device is quarantined, or unplugged.
 */
int quiver_dext_quiesce(struct quiver_dext *dext, const struct quiver_way *way, uint64_t *dropped);

#endif
