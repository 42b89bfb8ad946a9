/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * All that the checks of `quiver doctor` look at. It is gathered first and then
 * judged, so that a test can make up a Mac.
 */
#ifndef QUIVER_CLI_DOCTOR_FACTS_H
#define QUIVER_CLI_DOCTOR_FACTS_H

#include <sys/types.h>

#include "cli.h"
#include "quiver/host.h"
#include "quiver/mac.h"

#define QUIVER_GIB	(1ull << 30)

/* What could not be found out is not the same as no. */
enum quiver_answer { QUIVER_UNKNOWN, QUIVER_NO, QUIVER_YES };

enum quiver_sip { QUIVER_SIP_UNKNOWN, QUIVER_SIP_ON, QUIVER_SIP_OFF, QUIVER_SIP_PARTLY };

enum quiver_extension_state {
	QUIVER_EXTENSION_UNKNOWN,	/* macOS did not say anything */
	QUIVER_EXTENSION_MISSING,
	QUIVER_EXTENSION_ENABLED,
	QUIVER_EXTENSION_WAITING,	/* for the user to allow it */
	QUIVER_EXTENSION_DISABLED,	/* by the user */
	QUIVER_EXTENSION_LEAVING,	/* gone when the Mac has been restarted */
	QUIVER_EXTENSION_OTHER		/* a state that we have not heard of */
};

struct quiver_extension {
	enum quiver_extension_state state;
	char words[64];			/* the state as macOS calls it */
	char identifier[128];		/* "dev.quiver.Quiver.driver" */
	char version[32];		/* "0.1.0" */
	unsigned int abi;		/* of the wire that it speaks; 0: not known */
	bool leftover;			/* another copy is there until the Mac is restarted */
	bool replaced;			/* and that one is what still runs */
};

struct quiver_facts_device {
	struct quiver_mac_pci pci;
	bool served;			/* by our extension; what it says: */
	struct quiver_dext_identity identity;
	int error;			/* pci.service, and it did not say: of quiver_device_identify() */
	pid_t holder;			/* the `quiver run` that has it; 0: none known */
	char name[128];
};

struct quiver_facts_qemu {
	char *program;			/* as it would be started */
	bool found;
	bool answered;			/* what it is asked; the rest is what it said */
	unsigned int major, minor;
	bool quiver_pci, quiver_dma;	/* it has our devices */
	bool hvf;			/* it can use Hypervisor.framework at all */
	bool hvf_noexec, hvf_tso;	/* with our patches [H1 H15] */
	enum quiver_answer entitled;	/* to use Hypervisor.framework */
};

struct quiver_facts {
	bool mac;			/* there is IOKit: a Mac, or a simulated one */
	bool simulated;
	bool has_system;
	struct quiver_mac_system system;
	unsigned int address_bits;	/* of a guest's physical addresses; 0: not known */
	const char *address_problem;	/* what a VM lacks with these, or NULL */
	enum quiver_sip sip;
	bool apps_known;		/* macOS has said where copies of the app are */
	struct quiver_words apps;	/* paths; the one in the folder Applications is first */
	struct quiver_extension extension;

	struct quiver_mac_enclosure *enclosures;
	size_t enclosure_count;
	struct quiver_facts_device *devices;
	size_t device_count;
	int registry_error;		/* what is plugged in could not be read, or not all of it */
	enum quiver_answer entitled;	/* this program, to be let in by the extension */

	uint64_t vm_memory;		/* that a VM is to have */
	char *images;			/* the folder of images, or NULL */
	uint64_t disk_free;		/* bytes, there */
	bool disk_known;
	struct quiver_facts_qemu qemu;
};

/* What the user said about the VM. */
struct quiver_doctor_options {
	bool json, help;
	uint64_t memory;		/* bytes; 0: nothing said */
	const char *qemu;
};

/*
 * The facts are for people to show to others: of a path in the home folder they
 * have ~ and what follows. home: no slash at its end. The caller frees it.
 */
char *quiver_path_brief(const char *path, const char *home);

/* Starts programs and waits for them, some seconds at the most. Never fails: what is not known stays unknown. */
void quiver_facts_gather(struct quiver_facts *facts, const struct quiver_doctor_options *options);
void quiver_facts_free(struct quiver_facts *facts);

#endif
