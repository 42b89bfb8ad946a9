/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libquiver: passed-through devices for a VMM. Talks to IOKit and nothing else.
 *
 * Every call returns 0 or a negative errno. Besides what each names:
 * -ENODEV: the device is gone (unplugged, or quarantined after a reset that it
 * did not survive). -EIO: a failure of IOKit's that has no better name. -ENOMEM.
 * Calls on one device are thread-safe but for quiver_device_close().
 */
#ifndef QUIVER_HOST_H
#define QUIVER_HOST_H

#include "quiver/dext_abi.h"

#ifdef __cplusplus
extern "C" {
#endif

struct quiver_device;

struct quiver_device_info {
	uint64_t id;			/* IOKit's registry entry id; stable until unplugged */
	struct quiver_dext_identity identity;
};

/*
 * Lists the devices that the dext serves, in IOKit's order. Writes at most max
 * entries and returns how many there are, which may be more. -ENOENT: no dext
 * is loaded or no device is attached (IOKit cannot tell them apart). One that
 * does not answer is left out; if all of them are, the error is the last one's,
 * as quiver_device_identify() has it.
 */
int quiver_devices_list(struct quiver_device_info *info, size_t max);

/*
 * What the dext says of one device, without a claim. -ENOENT: it serves none of
 * that id. -EPERM: this program is not signed with an entitlement that the dext
 * lets in. -EPROTO: a dext of another ABI version.
 */
int quiver_device_identify(uint64_t id, struct quiver_dext_identity *identity);

/*
 * Opens and claims. *device is closed by quiver_device_close(). -ENOENT: no
 * such id. -EBUSY: another client has it, and still had after 2 s, in which one
 * that is on its way out would have let go. -EPERM: a function that is refused
 * [H16]. -EPROTO: ABI version. -EAGAIN: the Mac is about to sleep, or not awake
 * yet. -EIO also: macOS would not tell us of its sleep. -ENOMEM.
 */
int quiver_device_open(uint64_t id, struct quiver_device **device);

/*
 * The dext stops the device, resets it and drops its mappings on its own, here
 * as when the process dies. BAR mappings become invalid; waits for the
 * interrupt thread, so not to be called from a handler. NULL is fine.
 */
void quiver_device_close(struct quiver_device *device);

/* As it was when the device was opened; no call to the dext. */
const struct quiver_device_info *quiver_device_info(const struct quiver_device *device);

/*
 * width: 1, 2 or 4 bytes, naturally aligned, below 4096; else -EINVAL. Written are
 * parts of command, status and Device Status only: QUIVER_DEXT_CONFIG_WRITE has
 * the list. -EACCES: anything else, and nothing was written [H9].
 */
int quiver_config_read(struct quiver_device *device, uint32_t offset, uint32_t width,
		       uint32_t *value);
int quiver_config_write(struct quiver_device *device, uint32_t offset, uint32_t width,
			uint32_t value);

/* bar: 0..5, else -EINVAL. length 0: absent or unassigned [H10]. */
int quiver_bar_info(struct quiver_device *device, unsigned int bar, struct quiver_dext_bar *info);

/*
 * Maps a BAR into this process, once; later calls return the same address. It
 * lives until close. Never to be mapped executable into a guest [H1].
 * -ENOENT: an absent BAR.
 */
int quiver_bar_map(struct quiver_device *device, unsigned int bar, void **address,
		   uint64_t *length);

enum quiver_dma_op { QUIVER_MAP = 1, QUIVER_UNMAP };

struct quiver_dma {
	enum quiver_dma_op op;
	uint32_t flags;			/* of a map: QUIVER_DEXT_DMA_* */
	void *address;			/* map: granule-aligned; stays valid until unmapped */
	uint64_t length;		/* whole granules */
	uint64_t iova;			/* map: out; unmap: in */
	int result;			/* out: 0; -EINVAL malformed; -ENOENT no such mapping; */
					/* -E2BIG byte limit [D1]; -ENOSPC mapping limit [D2]; */
					/* -EFAULT not our memory; -EIO; -ENODEV */
};

/*
 * Runs a batch in order with as few calls to the dext as its size allows. Each
 * entry has its own result, all of them are set on return. The return value is
 * 0, or the error that stopped the batch (its entries then have that result).
 * Serialised per device. Takes ~10 us a call to the dext [H12].
 */
int quiver_dma_batch(struct quiver_device *device, struct quiver_dma *dma, size_t count);

/*
 * An aperture: memory that devices see as a whole for as long as they are open,
 * so that where a byte of it lies on the bus is arithmetic [D10]. Nobody can
 * choose bus addresses [D3], but which page of the host's is its first can be
 * chosen, once: so that the bus address of that is a multiple of
 * QUIVER_APERTURE_ALIGNMENT, as large pages of GPUs want it [G5 G7]. Calls on one
 * aperture are the caller's to serialise.
 */
struct quiver_aperture;

#define QUIVER_APERTURE_ALIGNMENT (UINT64_C(2) << 20)	/* bytes */
#define QUIVER_APERTURE_PIECES	8			/* at most, for one device */

struct quiver_aperture_place {
	unsigned int count;		/* of pieces of the same length: 1, 2, 4 or 8 */
	uint64_t iova[QUIVER_APERTURE_PIECES];	/* where each begins */
	bool aligned;			/* all of them are multiples of the alignment */
	uint64_t mapped;		/* bytes: of the aperture, and what made it aligned */
};

/*
 * length: bytes, a multiple of 8 QUIVER_APERTURE_ALIGNMENT, else -EINVAL. Takes
 * no memory before that is used or mapped. -ENOMEM.
 */
int quiver_aperture_new(uint64_t length, struct quiver_aperture **aperture);

/* No device that has it is open any more. NULL is fine. */
void quiver_aperture_free(struct quiver_aperture *aperture);

/*
 * Its first byte. Settled by the first device that it is mapped for, or by this;
 * from then on one that is mapped later may be not aligned, if macOS never gives
 * it an address that does.
 */
void *quiver_aperture_memory(struct quiver_aperture *aperture);

/*
 * Maps it for a device, as one mapping, or as the fewest that macOS grants; they
 * stay until the device is closed, whatever is reset. Once a device. -E2BIG,
 * -ENOSPC: beyond the limits [D1 D2]. -EIO: refused in pieces as well. Nothing is
 * mapped then.
 */
int quiver_aperture_map(struct quiver_aperture *aperture, struct quiver_device *device,
			struct quiver_aperture_place *place);

/*
 * Called on the device's interrupt thread, once for each pending vector; edges
 * that come while one is pending merge, as they do on the bus.
 */
typedef void (*quiver_irq_handler)(void *context, unsigned int vector);

/*
 * Routes type QUIVER_DEXT_IRQ_MSI or _MSIX, vectors [0, count), to handler;
 * _NONE turns interrupts off. *granted (may be NULL) is how many the host gave,
 * at least 1 and at most count. When it returns, the previous handler is not
 * running and never will; only if handler and context stay the same, _NONE
 * included, it does not wait, and a call that had begun may still finish: for a
 * client that holds a lock which the handler takes. -EINVAL: count is 0 or
 * beyond QUIVER_DEXT_VECTORS_MAX.
 */
int quiver_irq_configure(struct quiver_device *device, uint32_t type, unsigned int count,
			 quiver_irq_handler handler, void *context, unsigned int *granted);

/*
 * Called once, on the device's interrupt thread, when the device is lost: it was
 * unplugged, the Mac slept, the extension ended, or it did not survive a reset.
 * QUIVER_DEXT_CAUSE_NONE: nobody is left to say why. Every call from then on is
 * -ENODEV; what is left to do is quiver_device_close(), on another thread.
 *
 * QUIVER_DEXT_CAUSE_SLEEP comes before the Mac takes the device's power, which
 * waits until the handler has returned, QUIVER_SLEEP_SECONDS at the most: then
 * nobody may be able to reach a BAR, for an access without power can end the
 * Mac. Until then calls may succeed, and the device still does DMA until it is
 * reset. It comes as well for a sleep that is then called off.
 */
typedef void (*quiver_lost_handler)(void *context, enum quiver_dext_cause cause);

/*
 * From now on handler is called when the device is lost, at once if it is. Tells
 * within QUIVER_LOST_SECONDS even if the extension died and tells nobody. Once a
 * device; the same rules for locks as for quiver_irq_configure()'s handler.
 * -EALREADY. -ENOMEM.
 */
int quiver_device_watch(struct quiver_device *device, quiver_lost_handler handler, void *context);

#define QUIVER_LOST_SECONDS 2
#define QUIVER_SLEEP_SECONDS 15

/*
 * Bus mastering off, reset, mappings dropped but those that stay, interrupts
 * off, in the order that does not panic [D8]. *dropped (may be NULL): how many
 * mappings. Without it the
 * device would go on with DMA of a guest that is gone. flags: 0, or
 * QUIVER_DEXT_RESET_KEEP for mappings that stay; other ones: -EINVAL.
 */
int quiver_device_reset(struct quiver_device *device, uint32_t flags, uint64_t *dropped);

int quiver_device_stats(struct quiver_device *device, struct quiver_dext_stats *stats);

#ifdef __cplusplus
}
#endif
#endif
