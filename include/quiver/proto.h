/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The wire between quiver.ko and the quiver-dma PCI function: the only copy.
 * Prose and rules: docs/protocol.rst. All fields are little-endian; reserved
 * fields are written as zero and refused otherwise.
 */
#ifndef QUIVER_PROTO_H
#define QUIVER_PROTO_H

#ifdef __KERNEL__
#include <linux/build_bug.h>
#include <linux/stddef.h>
#include <linux/types.h>
#else
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include "quiver/types.h"
#endif

/* quiver-dma's PCI identity; 0x1234 is the vendor that QEMU's own test devices use. */
#define QUIVER_PCI_VENDOR	0x1234
#define QUIVER_PCI_DEVICE	0x5156

/*
 * BAR 0: registers, trapped.
 *
 * Each is read and written with one access of its own width, naturally
 * aligned. Any other access reads as zero, is ignored as a write, and counts
 * as a guest error. The blocks below repeat every QUIVER_STRIDE bytes.
 */
#define QUIVER_BAR_REGS		0
#define QUIVER_REGS_SIZE	0x4000
#define QUIVER_QUEUES_OFFSET	0x1000
#define QUIVER_DEVICES_OFFSET	0x2000
#define QUIVER_STRIDE		64
#define QUIVER_MAX_QUEUES	64
#define QUIVER_MAX_DEVICES	64

#define QUIVER_MAGIC		0x52565551	/* "QUVR" */

struct quiver_regs {
	__le32 magic;
	__le32 queue_count;		/* queues that may be enabled */
	__le32 device_count;		/* device records, present or not */
	__le32 granule_shift;		/* of host pages: 14 on Apple silicon [D4] */
	__le32 device_features[2];	/* offered */
	__le32 driver_features[2];	/* accepted: written before DRIVER_OK */
	__le32 status;			/* QUIVER_STATUS_* */
	__le32 queue_entries_max;	/* largest quiver_queue_regs.entries */
	__le32 aperture_blocks;		/* its length, in QUIVER_APERTURE_BLOCK; 0: there is none */
	/*
	 * Where the guest keeps struct quiver_guest_page, guest physical; 0: nowhere.
	 * Written while DRIVER_OK, the low half last; wants QUIVER_F_GUEST_STATS.
	 */
	__le32 guest_stats_lo;
	__le32 guest_stats_hi;
	__le32 reserved[3];
};

/* Feature bits. A driver that accepts a bit that is not offered gets FAILED. */
#define QUIVER_F_STATUS_PAGE	0	/* BAR 2 holds struct quiver_status_page */
#define QUIVER_F_BUDGET		1	/* entries may have QUIVER_DMA_VITAL */
#define QUIVER_F_TSO		2	/* all vCPUs run with TSO, always [H15] */
#define QUIVER_F_APERTURE	3	/* BAR 4 holds memory that devices see as a whole */
#define QUIVER_F_GUEST_STATS	4	/* the guest's own counters: struct quiver_guest_page */
#define QUIVER_FEATURES_ALL	(1ull << QUIVER_F_STATUS_PAGE | 1ull << QUIVER_F_BUDGET | \
				 1ull << QUIVER_F_TSO | 1ull << QUIVER_F_APERTURE | \
				 1ull << QUIVER_F_GUEST_STATS)

/* quiver_regs.status. Writing 0 resets: queues disabled, devices detached. */
#define QUIVER_STATUS_DRIVER_OK	(1u << 0)	/* written by the driver */
#define QUIVER_STATUS_FAILED	(1u << 1)	/* set by the device, until reset */

struct quiver_queue_regs {
	__le32 base_lo;			/* guest physical, QUIVER_BATCH_ALIGN */
	__le32 base_hi;
	__le32 entries;			/* room for so many, 1..queue_entries_max */
	__le32 enable;			/* 1 or 0; reads back 0 if it was refused */
	__le32 doorbell;		/* write n: run entries [0, n) of the batch */
	__le32 reserved[11];
};

#define QUIVER_BATCH_ALIGN	64

/*
 * BAR 4: the aperture, RAM from its start; what is beyond aperture_blocks is
 * nothing. The blocks are those in which Linux on arm64 takes memory in.
 */
#define QUIVER_BAR_APERTURE	4
#define QUIVER_APERTURE_BLOCK	(128u << 20)	/* bytes */
#define QUIVER_APERTURE_PIECES_MAX 8

/*
 * A device record. Bus numbers are the guest's to give, so address is computed
 * at each read.
 */
struct quiver_device_regs {
	__le32 flags;			/* QUIVER_DEVICE_* */
	__le32 address;			/* segment << 16 | bus << 8 | devfn */
	__le32 control;			/* QUIVER_CONTROL_*; reads the current state */
	__le32 generation;		/* changes each time that all mappings are dropped */
	/*
	 * How the device sees the aperture, for as long as it is present: in so
	 * many pieces of the same length, a power of two, and where each begins
	 * on the bus, in granules. 0: it does not.
	 */
	__le32 aperture_pieces;
	__le32 aperture[QUIVER_APERTURE_PIECES_MAX];
	__le32 reserved[3];
};

/* Drivers ignore the bits that they do not know. */
#define QUIVER_DEVICE_PRESENT	(1u << 0)
#define QUIVER_DEVICE_LINK_TB5	(1u << 1)	/* it is behind a Thunderbolt 5 link [H13] */

/*
 * Until a device is attached, its bus mastering stays off whatever the guest
 * writes to the command register: a driver that runs ahead of quiver.ko would
 * make it use addresses that are not mapped, which panics a Mac [D6].
 * Detaching stops the device, resets it and drops its mappings, in this order
 * [D8].
 */
#define QUIVER_CONTROL_DETACHED	0
#define QUIVER_CONTROL_ATTACHED	1

/* One request. The device fills in status, and iova of a map. */
struct quiver_dma_entry {
	__u8 op;			/* QUIVER_OP_* */
	__u8 flags;			/* QUIVER_DMA_*; zero for an unmap */
	__le16 device;			/* index of the device record */
	__le32 status;			/* QUIVER_S_*; written last */
	__le64 gpa;			/* map: granule-aligned; unmap: zero */
	__le64 length;			/* bytes, whole granules; of both */
	__le64 iova;			/* map: result; unmap: as map returned it */
};

#define QUIVER_OP_MAP		1
#define QUIVER_OP_UNMAP		2

#define QUIVER_DMA_READ		(1u << 0)	/* the device reads memory */
#define QUIVER_DMA_WRITE	(1u << 1)	/* the device writes memory */
#define QUIVER_DMA_VITAL	(1u << 2)	/* may borrow; wants QUIVER_F_BUDGET */
#define QUIVER_DMA_FLAGS	(QUIVER_DMA_READ | QUIVER_DMA_WRITE | QUIVER_DMA_VITAL)

/*
 * A vital map is one that the driver cannot recover without: a ring, a fence, a
 * command buffer. Larger ones count as ordinary, whatever their flag, so that a
 * guest which calls everything vital gains next to nothing by it.
 */
#define QUIVER_DMA_VITAL_MAX	(64u << 10)	/* bytes */

/*
 * Entries of a batch run in order and each stands alone: one that fails does
 * not stop the next. Every status is final when the doorbell write returns.
 */
enum quiver_wire_status {
	QUIVER_S_OK		= 0,
	QUIVER_S_PENDING	= 1,	/* never left behind by the device */
	QUIVER_S_INVAL		= 2,	/* malformed entry */
	QUIVER_S_NODEV		= 3,	/* no such device, or not attached */
	QUIVER_S_FAULT		= 4,	/* gpa range is not guest RAM */
	QUIVER_S_NOENT		= 5,	/* unmap of what is not mapped */
	QUIVER_S_BYTES		= 6,	/* refused: too few bytes left [D1] */
	QUIVER_S_MAPPINGS	= 7,	/* refused: too few mappings left [D2] */
	QUIVER_S_IO		= 8,	/* the host could not, and nothing is mapped */
	QUIVER_S_GONE		= 9,	/* the device was unplugged or is being reset */
};

/*
 * BAR 2: a page of RAM that the host writes and the guest only reads, without
 * an exit. Fields are updated one by one, each in a single store; a reader gets
 * recent values, not a snapshot.
 */
#define QUIVER_BAR_STATUS	2
#define QUIVER_STATUS_SIZE	0x4000

/* How full it is: of bytes or mappings, whichever is fuller. */
enum quiver_pressure {
	QUIVER_PRESSURE_NONE		= 0,
	QUIVER_PRESSURE_LOW		= 1,	/* 75 % of a limit are used */
	QUIVER_PRESSURE_MEDIUM		= 2,	/* 90 % */
	QUIVER_PRESSURE_CRITICAL	= 3,	/* maps are refused, or the reserve is drawn upon */
};

struct quiver_budget_page {
	__le64 bytes_limit;
	__le64 bytes_reserve;		/* of the limit; only vital maps may borrow from it */
	__le64 bytes_borrowed;		/* of the reserve */
	__le64 bytes_guarantee;		/* to each attached device */
	__le64 bytes_used;		/* borrowed ones too */
	__le64 bytes_peak;
	__le64 mappings_limit;
	__le64 mappings_reserve;
	__le64 mappings_borrowed;
	__le64 mappings_guarantee;
	__le64 mappings_used;
	__le64 mappings_peak;
	__le64 pressure;		/* enum quiver_pressure */
	__le64 reserved[3];
};

struct quiver_device_counters {
	__le64 bytes;			/* mapped now */
	__le64 bytes_peak;		/* since attach, as all that follow */
	__le64 bytes_room;		/* what ordinary maps could still get, now */
	__le64 mappings;
	__le64 mappings_peak;
	__le64 mappings_room;
	__le64 maps;			/* granted */
	__le64 unmaps;
	__le64 refused_bytes;		/* the limit of bytes would be exceeded [D1] */
	__le64 refused_mappings;	/* the limit of mappings would be [D2] */
	__le64 refused_reserve;		/* only the reserve had room for it */
	__le64 refused_share;		/* other devices' guarantees want it */
	__le64 failed;			/* malformed, fault, noent, io */
	__le64 interrupts;		/* delivered to the guest */
	__le64 reserved[2];
};

struct quiver_status_page {
	struct quiver_budget_page budget;	/* of all devices together */
	__le64 doorbells;
	__le64 entries;
	__le64 guest_errors;		/* accesses and entries that no driver should make */
	__le64 reserved[45];
	struct quiver_device_counters device[QUIVER_MAX_DEVICES];
};

/*
 * What the guest counts, in RAM of its own that it writes anew every second or so
 * and the host reads when somebody asks: neither costs an exit. Nothing is decided
 * by it, since a guest may write what it likes. A reader gets recent values, not a
 * snapshot.
 */

/* What became of pages that a driver was to have of the aperture. */
enum quiver_steering {
	QUIVER_STEERED		= 0,
	QUIVER_MISSED_OFFLINE	= 1,	/* none of it is online */
	QUIVER_MISSED_FULL	= 2,	/* none is free in one piece of that size */
	QUIVER_MISSED_CPUSET	= 3,	/* the task's cpuset is without its node */
	QUIVER_MISSED_UNSEEN	= 4,	/* the device does not see it */
	QUIVER_STEERINGS
};

struct quiver_guest_memory {
	__le64 updates;			/* times that the page was written; 0: not yet */
	__le64 page_size;		/* bytes; of all that is counted in pages */
	__le64 total;			/* bytes: MemTotal, which counts the aperture */
	__le64 usable;			/* of these: what not only drivers can have */
	__le64 aperture;		/* bytes that the kernel has taken in; 0: none */
	__le64 aperture_online;		/* of these */
	__le64 aperture_free;
	__le64 aperture_shared;		/* 1: others than drivers are not kept off it */
	__le64 pages[QUIVER_STEERINGS];	/* of drivers' own allocations, of no device known */
	__le64 reserved[3];
};

struct quiver_guest_device {
	__le64 attached;		/* 1; 0: all below is 0 */
	__le64 aperture_segments;	/* mapped by adding, without an exit */
	__le64 aperture_bytes;
	__le64 window_segments;		/* mapped by windows */
	__le64 window_bytes;
	__le64 exits;
	__le64 windows;			/* now */
	__le64 windows_bytes;		/* now, of windows: more than what drivers have mapped */
	__le64 used_bytes;		/* of windows that have a user */
	__le64 pages[QUIVER_STEERINGS];	/* of its coherent memory */
	__le64 reserved[2];
};

struct quiver_guest_page {
	struct quiver_guest_memory memory;
	__le64 reserved[48];
	struct quiver_guest_device device[QUIVER_MAX_DEVICES];
};

#define QUIVER_GUEST_PAGE_ALIGN	64

static_assert(sizeof(struct quiver_regs) == 64, "wire size");
static_assert(sizeof(struct quiver_queue_regs) == QUIVER_STRIDE, "wire size");
static_assert(sizeof(struct quiver_device_regs) == QUIVER_STRIDE, "wire size");
static_assert(sizeof(struct quiver_dma_entry) == 32, "wire size");
static_assert(sizeof(struct quiver_budget_page) == 128, "wire size");
static_assert(sizeof(struct quiver_device_counters) == 128, "wire size");
static_assert(offsetof(struct quiver_status_page, device) == 512, "wire offset");
static_assert(sizeof(struct quiver_status_page) <= QUIVER_STATUS_SIZE, "wire size");
static_assert(sizeof(struct quiver_guest_memory) == 128, "wire size");
static_assert(sizeof(struct quiver_guest_device) == 128, "wire size");
static_assert(offsetof(struct quiver_guest_page, device) == 512, "wire offset");
static_assert(sizeof(struct quiver_guest_page) <= QUIVER_STATUS_SIZE, "wire size");
static_assert(QUIVER_QUEUES_OFFSET + QUIVER_MAX_QUEUES * QUIVER_STRIDE <= QUIVER_DEVICES_OFFSET,
	      "blocks overlap");

#endif
