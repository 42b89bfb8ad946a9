/* SPDX-License-Identifier: BSD-3-Clause */
/* QuiverDriver's state, and core's ops on DriverKit. Shared by the shell's files only. */
#ifndef QUIVER_DEXT_PLATFORM_H
#define QUIVER_DEXT_PLATFORM_H

#include <DriverKit/IOBufferMemoryDescriptor.h>
#include <DriverKit/IODispatchQueue.h>
#include <DriverKit/IOInterruptDispatchSource.h>
#include <DriverKit/IOLib.h>
#include <PCIDriverKit/PCIDriverKit.h>
#include "dext/core/dext.h"

class QuiverDriver;
class QuiverUserClient;

/*
 * User clients at a time. Each is memory and a queue here, and lives as long as its
 * program likes; a few programs look at the device, one uses it.
 */
#define QUIVER_CLIENTS_MAX 32

struct QuiverDriver_IVars {
	QuiverDriver *driver;
	IOPCIDevice *pci;
	bool open;
	IOLock *lock;			/* of dext and of what follows */
	struct quiver_dext *dext;	/* while started */
	QuiverUserClient *clients[QUIVER_CLIENTS_MAX];	/* that have not been stopped; NULL: room */
	QuiverUserClient *claimant;
	IOBufferMemoryDescriptor *page;	/* while claimed */

	/*
	 * Interrupts run on a queue of their own, and what they use changes on
	 * it: then none is in the middle of using it.
	 */
	IODispatchQueue *queue;
	struct quiver_dext *active;		/* NULL: no vector is */
	struct quiver_dext_pending *pending;
	uint32_t generation;			/* of the vectors: older ones are ignored */
	QuiverUserClient *wake_client;
	OSAction *wake;

	/* Under lock. */
	IOInterruptDispatchSource **sources;	/* vectors that are active */
	uint32_t source_count, source_room;
	uint32_t first;			/* macOS' index of vector 0 */

	uint32_t urgent;		/* atomic: sleep or the end wants lock, and clients let it have it */
	uint32_t ending;		/* atomic: what Cancelled() is still to be called for */
	IOService *stopping;		/* Stop()'s provider; read once none is left */
};

extern const struct quiver_dext_ops quiver_platform_ops;

int quiver_platform_create_page(QuiverDriver_IVars *ivars);
void quiver_platform_release_page(QuiverDriver_IVars *ivars);

void quiver_platform_set_wake(QuiverDriver_IVars *ivars, QuiverUserClient *client,
			      OSAction *action);

/* Completes the claimant's asynchronous call, if there is one. */
void quiver_platform_wake(QuiverDriver_IVars *ivars);

/* On the interrupt queue. */
void quiver_platform_interrupt(QuiverDriver_IVars *ivars, OSAction *action);

static inline void quiver_platform_cancelling(QuiverDriver_IVars *ivars)
{
	__atomic_add_fetch(&ivars->ending, 1, __ATOMIC_SEQ_CST);
}

/* interrupts.cpp's share of the ops. */
int quiver_interrupts_start(void *shell, uint32_t type, uint32_t count, uint32_t *granted);
void quiver_interrupts_stop(void *shell);

#endif
