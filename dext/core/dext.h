/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the dext does, free of DriverKit: the shell around it says how. The
 * shell serialises all calls of one struct quiver_dext, but for
 * quiver_dext_interrupt(). All calls return 0 or a negative errno:
 *
 *   -EPERM      this client does not have the claim
 *   -ENODEV     the device is gone: asleep, unplugged, or quarantined
 *   -EINVAL     malformed arguments; nothing was done
 *   -EACCES     a register of config space that no client writes [H9]; nothing was done
 *   -EBUSY      another client has the claim
 *   -EOPNOTSUPP the function is one that is refused [H16]
 *   -ETIMEDOUT  the device does not answer
 *   -ENOMEM     no memory for our own books
 *   -EIO        the platform refused
 */
#ifndef QUIVER_DEXT_CORE_DEXT_H
#define QUIVER_DEXT_CORE_DEXT_H

#include "core/reset.h"
#include "quiver/dext_abi.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * DART's limits as far as they are known, and how far below them we stay [D7].
 * No setting raises them: a Mac that had less would find out by a panic.
 */
#define QUIVER_DART_BYTES	(1536ull << 20)		/* [D1] */
#define QUIVER_DART_MAPPINGS	65536u			/* [D2] */
#define QUIVER_DART_GRANULE	16384u			/* [D4] */
#define QUIVER_MARGIN_PERCENT	1u
#define QUIVER_MARGIN_MAPPINGS	256u

/* How long a device may take to answer config reads after a reset: PCIe says 1 s; twice that. */
#define QUIVER_RESET_DEADLINE_US 2000000u
#define QUIVER_RESET_POLL_US	5000u
/* The same when the driver ends, of one that was silent already: whoever comes next resets it. */
#define QUIVER_RESET_LAST_US	100000u

/* How long requests of a device that was stopped may be under way, and posted writes [L5]. */
#define QUIVER_PENDING_DEADLINE_US 1000000u
#define QUIVER_PENDING_POLL_US	1000u
#define QUIVER_POSTED_US	100000u

struct quiver_dext;

/* GetBARInfo()'s answer. */
struct quiver_dext_bar_info {
	uint64_t size;
	uint8_t memory_index;		/* not the BAR's number [H4] */
	uint8_t type;			/* the low four bits of a BAR register */
};

/* What one PrepareForDMA() gave. memory and command are the shell's own. */
struct quiver_dext_grant {
	void *memory, *command;
	uint32_t segments;
	uint64_t iova, length;		/* of the first segment */
};

/* What may be mapped at once. Whole granules of bytes count, and at most our own limits. */
struct quiver_dext_limits {
	uint64_t bytes, mappings;	/* UINT64_MAX: nobody knows better */
};

struct quiver_dext_ops {
	/* width 1, 2 or 4; offset aligned to it. All ones when the device does not answer. */
	uint32_t (*config_read)(void *shell, unsigned int offset, unsigned int width);
	void (*config_write)(void *shell, unsigned int offset, unsigned int width, uint32_t value);
	/* -ENOENT: no such BAR. */
	int (*bar_info)(void *shell, unsigned int bar, struct quiver_dext_bar_info *info);
	/*
	 * Maps memory of the claiming client, with flags QUIVER_DEXT_DMA_*.
	 * -EFAULT: not its memory. Otherwise an errno, and nothing is mapped.
	 */
	int (*map)(void *shell, uint64_t address, uint64_t length, uint32_t flags,
		   struct quiver_dext_grant *grant);
	/* Unmaps and forgets, even when it returns an error. */
	int (*unmap)(void *shell, const struct quiver_dext_grant *grant);
	int (*reset)(void *shell, enum quiver_reset_method method);
	/* Of a device that is silent: known to be off the bus. false: that is not known. */
	bool (*unplugged)(void *shell);
	/*
	 * Vectors [0, *granted) call quiver_dext_interrupt() from then on. The
	 * pending page is cleared before the first does.
	 */
	int (*interrupts_start)(void *shell, uint32_t type, uint32_t count, uint32_t *granted);
	/* After it returns, none calls. Safe when none were started. */
	void (*interrupts_stop)(void *shell);
	uint64_t (*now_us)(void *shell);
	void (*sleep_us)(void *shell, uint64_t us);
	void *(*allocate)(void *shell, size_t size);	/* zeroed, or NULL */
	void (*release)(void *shell, void *memory, size_t size);
};

/*
 * The device must be open and is read here; address: bus << 8 | devfn, for the
 * user. -ETIMEDOUT: it does not answer. -EINVAL: limits that leave nothing to
 * map. -ENOMEM.
 * quiver_dext_delete() ends it first if nobody has.
 */
int quiver_dext_new(const struct quiver_dext_ops *ops, void *shell, uint32_t address,
		    struct quiver_dext_limits limits, struct quiver_dext **out);
void quiver_dext_delete(struct quiver_dext *dext);

void quiver_dext_identify(const struct quiver_dext *dext, struct quiver_dext_identity *identity);

/*
 * Repeating a claim that one has is harmless. A device that is gone, and that
 * nobody has, goes the way out again, once: it may have come back.
 */
int quiver_dext_claim(struct quiver_dext *dext, const void *client);

/*
 * The claim ends: RESET's path, whatever the client did or however it died.
 * Without the claim it does nothing. Of a device that is unplugged the client may be
 * stopped before the driver, and look at its page still: what is returned, and
 * what the page says then, is as of quiver_dext_lost().
 */
bool quiver_dext_release(struct quiver_dext *dext, const void *client,
			 struct quiver_dext_pending *page);

/*
 * The Mac goes to sleep, or is awake again. In between nobody can claim the
 * device; whoever had it has lost it. Repeating either is harmless.
 */
void quiver_dext_sleep(struct quiver_dext *dext);
void quiver_dext_wake(struct quiver_dext *dext);

/*
 * macOS takes the device away: unplugged, or the driver ends. The way out, and
 * then all mappings go: the kernel would release them with nobody left to look
 * after the device.
 */
void quiver_dext_end(struct quiver_dext *dext);

/*
 * To be called after whatever may have lost the device to its claimant: RESET,
 * sleep, the end. True, once a claim: the page says why, and a wake-up is owed,
 * whatever the page's armed is.
 */
bool quiver_dext_lost(struct quiver_dext *dext, struct quiver_dext_pending *page);

/* How many vectors of a kind, QUIVER_DEXT_IRQ_*, the device has. */
uint32_t quiver_dext_vectors(const struct quiver_dext *dext, uint32_t type);

/* What every call wants that is not for all: 0, -EPERM or -ENODEV. */
int quiver_dext_check(const struct quiver_dext *dext, const void *client);
bool quiver_dext_owned_by(const struct quiver_dext *dext, const void *client);

int quiver_dext_bar(struct quiver_dext *dext, const void *client, uint64_t bar,
		    struct quiver_dext_bar *out);

/* For IOConnectMapMemory64() of a BAR. -EINVAL: no such BAR. */
int quiver_dext_bar_memory(struct quiver_dext *dext, const void *client, uint64_t type,
			   uint8_t *memory_index);

int quiver_dext_config_read(struct quiver_dext *dext, const void *client, uint64_t offset,
			    uint64_t width, uint64_t *value);
int quiver_dext_config_write(struct quiver_dext *dext, const void *client, uint64_t offset,
			     uint64_t width, uint64_t value);

/*
 * request_size and result_size are what the client passed: at least the head
 * and count entries, at most the structs. Entries past count stay as they are.
 */
int quiver_dext_dma(struct quiver_dext *dext, const void *client,
		    const struct quiver_dext_dma_request *request, size_t request_size,
		    struct quiver_dext_dma_result *result, size_t result_size);

/* Also of a device that is gone. */
int quiver_dext_stats(struct quiver_dext *dext, const void *client,
		      struct quiver_dext_stats *stats);

int quiver_dext_irq_configure(struct quiver_dext *dext, const void *client, uint64_t type,
			      uint64_t count, uint64_t *granted);

/* flags: QUIVER_DEXT_RESET_*. *dropped: mappings that were released. Also set on failure. */
int quiver_dext_reset(struct quiver_dext *dext, const void *client, uint64_t flags,
		      uint64_t *dropped);

/*
 * One interrupt of a vector; callable at any time between interrupts_start()
 * and the return of interrupts_stop(), concurrently with all of the above.
 * Whether the host is owed a wake-up.
 */
bool quiver_dext_interrupt(struct quiver_dext *dext, struct quiver_dext_pending *page,
			   uint32_t vector);

/* Clears the page. No vector may be active. */
void quiver_dext_pending_clear(struct quiver_dext_pending *page);

#ifdef __cplusplus
}
#endif
#endif
