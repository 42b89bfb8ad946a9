/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the Mac says of itself and of what is plugged in, for who must explain
 * why something does not work, and what keeps it awake: all without the dext.
 * Every call returns 0 or a negative errno, may block, and keeps nothing open.
 *
 * Nothing here decides about a device's safety: that is the dext's.
 */
#ifndef QUIVER_MAC_H
#define QUIVER_MAC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct quiver_mac_system {
	unsigned int major, minor, patch;	/* of macOS */
	char model[32];			/* "Mac16,12" */
	uint64_t memory;		/* bytes of RAM */
	unsigned int cpus;		/* that do the hard work: performance cores */
	bool apple_silicon;
};

/* -EIO: the system does not say. */
int quiver_mac_system(struct quiver_mac_system *system);

/*
 * Keeps the Mac from falling asleep because nobody uses it, until it may again or
 * this process ends. Who closes the lid, or says so, puts it to sleep all the
 * same. -EIO: macOS refuses.
 */
int quiver_mac_stay_awake(uint32_t *assertion);
void quiver_mac_may_sleep(uint32_t assertion);

/* A PCI function as IOKit's registry has it, claimed by us or not. */
struct quiver_mac_pci {
	uint64_t id;			/* registry entry id of the IOPCIDevice */
	uint64_t service;		/* of our dext's service on it: quiver_device_info.id; 0: none */
	uint64_t enclosure;		/* quiver_mac_enclosure.id; 0: not known */
	uint16_t vendor, device;
	uint32_t class_code;		/* 0x030000 */
	char driver[64];		/* class of who is attached to it, "" if nobody is */
	unsigned int thunderbolt;	/* generation of the link: 3, 4 (and USB4), 5; 0: not known */
	uint32_t bars;			/* bit n: BAR n exists */
	uint32_t bars_assigned;		/* bit n: and has an address [H10] */
	unsigned int link_speed;	/* PCI Express, inside the enclosure: 3 is 8 GT/s; 0: not known */
	unsigned int link_width;	/* lanes; 0: not known */
};

/*
 * Functions behind a Thunderbolt port, in the registry's order, bridges left
 * out. Writes at most max entries and returns how many there are. 0 is fine.
 * -EIO: no IOKit, or its registry does not come to rest.
 */
int quiver_mac_pci_list(struct quiver_mac_pci *pci, size_t max);

/* Something with a Thunderbolt port of its own: an enclosure, a dock, a display. */
struct quiver_mac_enclosure {
	uint64_t id;			/* registry entry id of its router */
	char vendor[64], model[64];	/* as it says itself */
	unsigned int generation;	/* that it is made for: 3, 4 (and USB4), 5 */
	unsigned int thunderbolt;	/* of the link to it; 0: not known */
	bool pcie;			/* PCI Express is tunnelled to it */
};

/* As quiver_mac_pci_list(). */
int quiver_mac_enclosures_list(struct quiver_mac_enclosure *enclosures, size_t max);

#ifdef __cplusplus
}
#endif
#endif
