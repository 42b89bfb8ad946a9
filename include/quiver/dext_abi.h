/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The wire between libquiver and QuiverDriver.dext: the only copy.
 *
 * One user client is one IOServiceOpen(). Everything here is native-endian:
 * both ends run on one machine. Struct methods stay within the 4096 bytes that
 * IOKit passes inband. Errors are kern_return_t; which one means what is said
 * at each selector. A client without the claim can identify and nothing else.
 */
#ifndef QUIVER_DEXT_ABI_H
#define QUIVER_DEXT_ABI_H

#ifndef __cplusplus
#include <assert.h>
#endif
#include "quiver/types.h"

#define QUIVER_DEXT_ABI_VERSION	4
#define QUIVER_DEXT_SERVICE	"QuiverDriver"	/* registry name, for IOServiceNameMatching() */
#define QUIVER_DEXT_BARS	6
#define QUIVER_DEXT_VECTORS_MAX	2048		/* MSI-X' own limit */

/*
 * Numbers in the registry that a Mac with less than [D1 D2] is told by: of the
 * driver itself (its personality in Info.plist) or of anything above it. They
 * are what the dext maps at most, without a margin. Higher ones than its own
 * have no effect; one that is 0, or no number, keeps it from starting.
 */
#define QUIVER_DEXT_KEY_BYTES	"QuiverLimitBytes"
#define QUIVER_DEXT_KEY_MAPPINGS "QuiverLimitMappings"

/*
 * Selectors, with what IOKit's dispatch table checks of each: scalars in,
 * struct in, scalars out, struct out.
 */
enum quiver_dext_selector {
	/*
	 * -, -, -, quiver_dext_identity. Any client.
	 */
	QUIVER_DEXT_IDENTIFY = 0,
	/*
	 * -, -, -, -. Takes the device for this client until it closes.
	 * kIOReturnExclusiveAccess: another has it. kIOReturnUnsupported: the
	 * function is one that is refused [H16]. kIOReturnNotResponding: the
	 * device does not answer config reads. A device that is gone, and that
	 * no client has, goes the way of RESET first: kIOReturnNoDevice if that
	 * does not bring it back, or if the Mac is asleep.
	 */
	QUIVER_DEXT_CLAIM,
	/*
	 * The rest want the claim: kIOReturnNotPermitted without it,
	 * kIOReturnNoDevice once the device is gone.
	 *
	 * (bar), -, -, quiver_dext_bar. kIOReturnBadArgument: bar > 5.
	 * An absent or unassigned BAR [H10] has length 0.
	 */
	QUIVER_DEXT_BAR_INFO,
	/*
	 * (offset, width), -, (value), -. width 1, 2 or 4, naturally aligned,
	 * below 4096; else kIOReturnBadArgument. BAR registers are synthesised
	 * from BAR_INFO [H4].
	 */
	QUIVER_DEXT_CONFIG_READ,
	/*
	 * (offset, width, value), -, -, -. Accesses as above; three registers
	 * can be written, as a whole (width 2), and of each some bits:
	 *   0x04		command: 0x0002 memory decoding, which must be
	 *			set, 0x0004 bus mastering; the others stay as
	 *			macOS has them
	 *   0x06		status: 0xf900, errors, which clear
	 *   PCIe + 0x0a	Device Status of the PCI Express capability that
	 *			is first in the list: 0x000f, errors, which clear
	 * kIOReturnNotWritable: any other register or width, or a value that
	 * has other bits set; then nothing was written [H9 H11].
	 */
	QUIVER_DEXT_CONFIG_WRITE,
	/*
	 * -, quiver_dext_dma_request, -, quiver_dext_dma_result. Entries run in
	 * order, each with its own status. Both structs may be cut after count
	 * entries. kIOReturnBadArgument: count or sizes do not match; then
	 * nothing ran.
	 */
	QUIVER_DEXT_DMA,
	/*
	 * -, -, -, quiver_dext_stats.
	 */
	QUIVER_DEXT_STATS,
	/*
	 * (type, count), -, (granted), -. Type QUIVER_DEXT_IRQ_*; NONE, with
	 * count 0, releases. A second call replaces the first. The pending page
	 * is cleared.
	 */
	QUIVER_DEXT_IRQ_CONFIGURE,
	/*
	 * Async; -, -, -, -. Registers the wake-up port. Completes once for each
	 * time that the pending page goes from armed to not armed, and once when
	 * the device is lost to the client, until the client closes; a second
	 * call replaces the first.
	 */
	QUIVER_DEXT_IRQ_WAIT,
	/*
	 * (flags), -, (mappings dropped), -. Bus mastering off and read back,
	 * reset by the method of this device [H8], config space polled, then all
	 * mappings but those that stay and interrupts released; with
	 * QUIVER_DEXT_RESET_KEEP all mappings stay, for a driver that resets its
	 * own device and goes on.
	 * kIOReturnBadArgument: other flags. kIOReturnNotResponding: the device
	 * did not come back; then it is quarantined, and every later call but
	 * IDENTIFY and STATS fails with kIOReturnNoDevice. Its mappings are kept
	 * unless bus mastering was seen to be off before.
	 */
	QUIVER_DEXT_RESET,
	QUIVER_DEXT_SELECTORS
};

/* Types for IOConnectMapMemory64(). BARs are QUIVER_DEXT_MEM_BAR0 + n. */
enum quiver_dext_memory {
	QUIVER_DEXT_MEM_BAR0	= 0,
	QUIVER_DEXT_MEM_PENDING	= 16	/* struct quiver_dext_pending */
};

#define QUIVER_DEXT_RESET_KEEP	(1u << 0)

enum quiver_dext_state {
	QUIVER_DEXT_UNCLAIMED,
	QUIVER_DEXT_CLAIMED,	/* bus mastering never on since the claim or the last reset */
	QUIVER_DEXT_LIVE,	/* it may do DMA */
	QUIVER_DEXT_QUIESCING,
	QUIVER_DEXT_GONE	/* see enum quiver_dext_cause */
};

/* Why a device is gone. Only the first two end without the cable or the power switch. */
enum quiver_dext_cause {
	QUIVER_DEXT_CAUSE_NONE,		/* it is not */
	QUIVER_DEXT_CAUSE_SLEEP,	/* the Mac slept: once it is awake, whoever claims it gets it */
	QUIVER_DEXT_CAUSE_UNPLUGGED,	/* macOS takes the device away */
	QUIVER_DEXT_CAUSE_SILENT,	/* config space was not answered, before a reset or after it */
	/* It answers, but bus mastering cannot be turned off, or its transactions stay pending. */
	QUIVER_DEXT_CAUSE_MASTERING,
	QUIVER_DEXT_CAUSE_RESET		/* macOS refused the reset */
};

struct quiver_dext_identity {
	__u32 abi_version;		/* first, for good */
	__u32 state;			/* enum quiver_dext_state */
	__u16 vendor, device, subsystem_vendor, subsystem;
	__u32 class_revision;		/* config dword 0x08 */
	__u32 address;			/* host bus << 8 | devfn; for the user's eyes */
	__u32 refused;			/* 1: a function that cannot be claimed [H16] */
	__u32 cause;			/* enum quiver_dext_cause */
	__u32 mappings;			/* in DART now; of a device that is gone: those that it keeps */
	__u32 reserved[7];
};

struct quiver_dext_bar {
	__u64 length;			/* bytes; 0: no such BAR */
	__u32 memory_type;		/* for IOConnectMapMemory64() */
	__u32 flags;			/* QUIVER_DEXT_BAR_* */
};

#define QUIVER_DEXT_BAR_64	(1u << 0)
#define QUIVER_DEXT_BAR_PREFETCH (1u << 1)
#define QUIVER_DEXT_BAR_IO	(1u << 2)

struct quiver_dext_dma_entry {
	__u32 op;			/* QUIVER_DEXT_DMA_* */
	__u32 flags;			/* of a map: QUIVER_DEXT_DMA_READ | WRITE | STAYS */
	__u64 address;			/* map: in the client's task, granule-aligned; unmap: 0 */
	__u64 length;			/* whole granules; of both */
	__u64 iova;			/* unmap: as granted; map: 0 */
};

#define QUIVER_DEXT_DMA_MAP	1
#define QUIVER_DEXT_DMA_UNMAP	2
#define QUIVER_DEXT_DMA_READ	(1u << 0)
#define QUIVER_DEXT_DMA_WRITE	(1u << 1)
/*
 * A RESET that goes well leaves it as it is, for it says nothing of what one
 * guest or another did: it is unmapped by name, or goes with the claim.
 */
#define QUIVER_DEXT_DMA_STAYS	(1u << 2)

#define QUIVER_DEXT_DMA_MAX	127	/* entries a call: fits 4096 bytes */

struct quiver_dext_dma_request {
	__u32 count;
	__u32 reserved[7];
	struct quiver_dext_dma_entry entry[QUIVER_DEXT_DMA_MAX];
};

struct quiver_dext_dma_status {
	__u64 iova;
	__u32 status;			/* enum quiver_dext_dma_code */
	__u32 reserved;
};

enum quiver_dext_dma_code {
	QUIVER_DEXT_S_OK,
	QUIVER_DEXT_S_INVAL,		/* malformed, or overlaps the end of the address space */
	QUIVER_DEXT_S_NOENT,		/* unmap of what is not mapped */
	QUIVER_DEXT_S_BYTES,		/* refused by our own count [D1 D7] */
	QUIVER_DEXT_S_MAPPINGS,		/* refused by our own count [D2 D7] */
	QUIVER_DEXT_S_NOMEM,		/* memory descriptor refused: not the client's memory */
	QUIVER_DEXT_S_IO,		/* PrepareForDMA failed, or gave more than one segment [D5] */
	QUIVER_DEXT_S_RELEASE		/* unmapped, but CompleteDMA reported an error */
};

struct quiver_dext_dma_result {
	__u32 count;
	__u32 reserved[3];
	struct quiver_dext_dma_status entry[QUIVER_DEXT_DMA_MAX];
};

/*
 * Limits are those that the dext enforces: below DART's own by a margin
 * [D1 D2 D7], or lower if the registry says so.
 */
struct quiver_dext_stats {
	__u64 bytes_limit, bytes, bytes_peak;
	__u64 mappings_limit, mappings, mappings_peak;
	__u64 granule;			/* bytes [D4] */
	__u64 maps, unmaps;		/* granted */
	__u64 refused_bytes, refused_mappings, failed;
	__u64 interrupts, wakeups;
	__u64 calls;			/* QUIVER_DEXT_DMA calls */
	__u64 reserved[1];
};

#define QUIVER_DEXT_IRQ_NONE	0
#define QUIVER_DEXT_IRQ_MSI	1
#define QUIVER_DEXT_IRQ_MSIX	2

/*
 * Shared by dext and host. The dext sets a bit, then clears armed; whoever
 * moves armed from 1 to 0 owes one wake-up. The host arms first, then takes
 * the bits with an exchange, so that none is lost: both sides sequentially
 * consistent. The host's writes are hostile to the dext, which only ever ORs
 * bits and swaps armed.
 */
struct quiver_dext_pending {
	__u32 armed;
	/*
	 * enum quiver_dext_cause: set once, before the wake-up, when the device
	 * is lost to the claimant, which then closes. Other than after a RESET
	 * that failed, nobody has asked for it.
	 */
	__u32 lost;
	__u32 reserved[14];
	__u64 bits[QUIVER_DEXT_VECTORS_MAX / 64];
};

#define QUIVER_DEXT_PENDING_SIZE 16384	/* a whole host page */

static_assert(sizeof(struct quiver_dext_identity) == 64, "abi size");
static_assert(sizeof(struct quiver_dext_bar) == 16, "abi size");
static_assert(sizeof(struct quiver_dext_dma_entry) == 32, "abi size");
static_assert(sizeof(struct quiver_dext_dma_request) == 4096, "fits inband");
static_assert(sizeof(struct quiver_dext_dma_result) == 2048, "abi size");
static_assert(sizeof(struct quiver_dext_stats) == 128, "abi size");
static_assert(sizeof(struct quiver_dext_pending) <= QUIVER_DEXT_PENDING_SIZE, "fits its page");

#endif
