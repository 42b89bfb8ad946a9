/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device model in the simulated enclosure, and what the platform may do to
 * it. A model sees its BARs as plain memory that the guest writes behind its
 * back, so it polls; it does DMA through its DART only.
 */
#ifndef SIMMAC_DEVICE_H
#define SIMMAC_DEVICE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "simmac/dart.h"

#define SIMMAC_BARS		6
#define SIMMAC_CONFIG_SIZE	4096
#define SIMMAC_VECTORS_MAX	2048

struct simmac_device;

struct simmac_option {
	char *key, *value;
	bool used;		/* someone asked for it */
};

struct simmac_bar {
	uint64_t size;			/* 0: none; a power of two */
	bool is_64, prefetchable;
	int fd;				/* memfd, of whole 16 KiB pages */
	uint8_t *memory;		/* the model's own mapping of it */
	bool shared;			/* the platform's clients may have it mapped, too */
};

enum simmac_reset { SIMMAC_RESET_FLR, SIMMAC_RESET_HOT };

/*
 * Written by a model. All but run() are called with the device quiet: run() is
 * not executing. config is the device's own truth; what a Mac's config reads
 * of BAR registers return instead is the platform's business [H4].
 */
struct simmac_model {
	const char *name;
	/* Fills config[] and adds BARs and capabilities. -errno on bad options. */
	int (*init)(struct simmac_device *device);
	void (*destroy)(struct simmac_device *device);
	/* Back to power-on; BAR memory is already cleared, config restored. */
	void (*reset)(struct simmac_device *device, enum simmac_reset kind);
	/*
	 * One turn of the polling thread, with the device's run lock held.
	 * Returns whether there was work. DMA only while
	 * simmac_device_masters_bus().
	 */
	bool (*run)(struct simmac_device *device);
	/* Whether [iova, iova + length) is in use: a live queue, a transfer under way [D8]. */
	bool (*dma_live)(struct simmac_device *device, uint64_t iova, uint64_t length);
	/*
	 * A file that stays what it is when the device is unplugged and another
	 * one comes with option "file". NULL: there is no such thing.
	 */
	int (*medium)(struct simmac_device *device);
};

enum simmac_irq_mode { SIMMAC_IRQ_NONE, SIMMAC_IRQ_MSI, SIMMAC_IRQ_MSIX };

struct simmac_device {
	const struct simmac_model *model;
	char *name;			/* "nvme0" */
	char *options;			/* "file=disk.img,size=64M" */
	uint8_t config[SIMMAC_CONFIG_SIZE];
	struct simmac_bar bar[SIMMAC_BARS];
	struct simmac_dart *dart;
	void *state;			/* the model's */
	bool dies_of_flr;		/* the model's word, if no option says [H8] */

	/*
	 * Set by the platform while irq_count is 0; models only call
	 * simmac_device_raise(). Called on the polling thread, outside the run
	 * lock. It must not wait for a lock that its owner holds around
	 * simmac_device_config_write(), _set_irq(), _reset() or _free(): those
	 * wait for it. Nor may it call back into the device.
	 */
	void (*interrupt)(void *context, unsigned int vector);
	void *interrupt_context;

	/* The framework's. */
	pthread_t thread;
	pthread_mutex_t run_lock;	/* before irq_lock, config_lock and the DART's */
	pthread_mutex_t irq_lock;	/* held while interrupt() runs */
	pthread_mutex_t config_lock;
	atomic_uint waiters;		/* for the run lock */
	atomic_bool stopping, present, mastering, pending;
	atomic_uint stops;		/* how often mastering has ended */
	bool dead;			/* by an FLR [H8]; under config_lock, as the next ones */
	bool off, unplugged;		/* without power, or for good */
	uint64_t ready_at;		/* ns, monotonic: until then the device still resets */
	uint8_t writable[SIMMAC_CONFIG_SIZE], power_on[SIMMAC_CONFIG_SIZE];
	uint8_t saved[SIMMAC_CONFIG_SIZE];	/* as it was when power went */
	uint64_t reset_sum;		/* of the BARs, as the last reset left them */
	unsigned int capability_end;	/* next free byte of config space */
	unsigned int capability_link;	/* the byte that ends the list */
	unsigned int pcie_offset;
	_Atomic(enum simmac_irq_mode) irq_mode;
	atomic_uint irq_count;
	atomic_bool raised_any;
	_Atomic(uint64_t) raised[SIMMAC_VECTORS_MAX / 64];
	unsigned int msix_vectors, msi_vectors;	/* offered by the capabilities */
	struct simmac_option *option;
	unsigned int option_count;
	char *option_text;
};

#ifdef __cplusplus
extern "C" {
#endif

extern const struct simmac_model simmac_nvme, simmac_endpoint, simmac_gpu;

/*
 * spec: "MODEL[,name=NAME][,option=value...]"; ",," is a comma in a value.
 * -ENOENT: no such model; -EINVAL: bad options, or ones that nobody knows. The
 * thread starts running. Options of every model:
 *   flr=dead	the device never comes back from an FLR [H8]; flr=ok: it does
 *   reset_ms=N	a reset takes N ms, while config reads give 0xffff0001
 *   bars=unassigned[:MASK]	macOS gave these BARs no address (all without a mask) [H10]
 *   thunderbolt=3|4|5	generation of its enclosure, for the registry
 *   driver=CLASS	somebody else's driver has it
 *   config=O:B[+O:B...]	bytes B at offset O of config space, in hexadecimal,
 *		whatever the model has there
 */
int simmac_device_new(const char *spec, const struct simmac_dart_config *dart,
		      struct simmac_device **device);
void simmac_device_free(struct simmac_device *device);

/* The BARs, a bit each, that macOS gave no address. */
uint32_t simmac_device_unassigned(struct simmac_device *device);

/* For models. */
uint64_t simmac_device_now(void);	/* ns, monotonic */
int simmac_device_add_bar(struct simmac_device *device, unsigned int n, uint64_t size, bool is_64,
			  bool prefetchable);
/* Value of option key, or fallback; valid until the device is freed. */
const char *simmac_device_option(struct simmac_device *device, const char *key,
				 const char *fallback);
/* As above, a number of bytes with K, M or G behind it. -EINVAL if it is none. */
int simmac_device_option_size(struct simmac_device *device, const char *key, uint64_t fallback,
			      uint64_t *value);
/* Where the next capability is to lie, behind all others; -EINVAL if it cannot. */
int simmac_device_place_capability(struct simmac_device *device, unsigned int offset);
/* Appends a capability of size bytes (header included); returns its offset, 0 if full. */
unsigned int simmac_device_add_capability(struct simmac_device *device, uint8_t id,
					  unsigned int size);
int simmac_device_add_msi(struct simmac_device *device, unsigned int vectors);
int simmac_device_add_msix(struct simmac_device *device, unsigned int vectors, unsigned int bar,
			   uint32_t table_offset, uint32_t pba_offset);
int simmac_device_add_pcie(struct simmac_device *device, bool flr);
int simmac_device_add_pm(struct simmac_device *device);	/* a state that nothing follows */
/* Takes a capability out of the list; it stays where it is, and works [H11]. */
void simmac_device_hide_capability(struct simmac_device *device, unsigned int offset);
/* An edge on a vector; dropped unless bus mastering is on and vector < irq_count. */
void simmac_device_raise(struct simmac_device *device, unsigned int vector);
bool simmac_device_masters_bus(struct simmac_device *device);
/*
 * Requests that it has sent are not answered yet, as its Device Status tells: they may reach
 * the DART although bus mastering has ended since. A reset ends them.
 */
void simmac_device_set_pending(struct simmac_device *device, bool pending);

/*
 * Keeps the device quiet between the two: run() is not executing. For the DART
 * and the platform; not from the polling thread.
 */
void simmac_device_pause(struct simmac_device *device);
void simmac_device_resume(struct simmac_device *device);

/* For the platform (IOPCIDevice). Config reads here are the device's truth. */
uint32_t simmac_device_config_read(struct simmac_device *device, unsigned int offset,
				   unsigned int width);
/*
 * As on the bus: a write to BAR registers, or to Device Control's MPS or MRRS,
 * takes the device off the bus [H9]: it then reads all ones until a hot reset.
 */
void simmac_device_config_write(struct simmac_device *device, unsigned int offset,
				unsigned int width, uint32_t value);
/*
 * Waits until run() is out, so that no DMA and no call of interrupt() is under
 * way when it returns; edges not yet delivered are lost.
 */
void simmac_device_set_irq(struct simmac_device *device, enum simmac_irq_mode mode,
			   unsigned int count);
void simmac_device_reset(struct simmac_device *device, enum simmac_reset kind);
/* The BAR's file is given to somebody: what happens to the device is to be seen there. */
void simmac_device_share_bar(struct simmac_device *device, unsigned int n);

/*
 * The cable is pulled: when it returns, there is no DMA and no interrupt, nor
 * will there be. Config space and BARs read as ones for good, BARs wherever
 * they are mapped; what is written to them nobody looks at.
 */
void simmac_device_unplug(struct simmac_device *device);

/*
 * Power goes, or comes back. Without it the device is as an unplugged one. With
 * it comes its power-on state, and then what macOS saved before: the header and
 * the PCI Express capability, bus mastering included (IOPCIBridge.cpp,
 * restoreDeviceState()). One that an FLR killed stays dead [H8].
 */
void simmac_device_power(struct simmac_device *device, bool on);

/*
 * Whether it is as its last reset left it: config space, but for memory
 * decoding, and what is in the BARs. Not if it does not answer.
 */
bool simmac_device_pristine(struct simmac_device *device);

#ifdef __cplusplus
}
#endif
#endif
