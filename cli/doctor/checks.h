/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The checks of `quiver doctor`: a table of ids and functions, each of which
 * looks at the facts and nothing else. quiver-doctor(1) has all ids; a test
 * holds it and the table against each other.
 */
#ifndef QUIVER_CLI_DOCTOR_CHECKS_H
#define QUIVER_CLI_DOCTOR_CHECKS_H

#include "doctor/facts.h"

enum quiver_severity {
	QUIVER_OK,			/* as it should be */
	QUIVER_NOTE,			/* good to know, nothing to do */
	QUIVER_WARNING,			/* a VM starts, and something will be worse than it could be */
	QUIVER_ERROR			/* keeps a VM from running, or endangers the Mac */
};

struct quiver_finding {
	const char *id;			/* of the check */
	enum quiver_severity severity;
	uint64_t device, pci;		/* registry entry ids of the service and the function; 0: none */
	char *text;			/* one line */
	char *cure;			/* NULL: nothing to be done */
};

struct quiver_findings {
	struct quiver_finding *finding;
	size_t count;
	const char *id;			/* of the check that runs */
};

struct quiver_check {
	const char *id;
	void (*run)(const struct quiver_facts *facts, struct quiver_findings *findings);
};

/* In the order in which a user should mend things. */
extern const struct quiver_check quiver_checks[];
extern const size_t quiver_check_count;

/* Runs all; a check that has nothing to judge by says nothing. */
void quiver_checks_run(const struct quiver_facts *facts, struct quiver_findings *findings);
void quiver_findings_free(struct quiver_findings *findings);

/* The worst there is; QUIVER_OK of none. */
enum quiver_severity quiver_findings_worst(const struct quiver_findings *findings);
const char *quiver_severity_name(enum quiver_severity severity);

/* For checks. The text of what was just added is completed by quiver_finding_cure(). */
void quiver_finding_add(struct quiver_findings *findings, enum quiver_severity severity,
			const char *format, ...) __attribute__((format(printf, 3, 4)));
void quiver_finding_cure(struct quiver_findings *findings, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Says which device the last one is about. */
void quiver_finding_device(struct quiver_findings *findings,
			   const struct quiver_facts_device *device);

/* Of checks_mac.c */
void quiver_check_mac(const struct quiver_facts *facts, struct quiver_findings *findings);
void quiver_check_silicon(const struct quiver_facts *facts, struct quiver_findings *findings);
void quiver_check_macos(const struct quiver_facts *facts, struct quiver_findings *findings);
void quiver_check_tso(const struct quiver_facts *facts, struct quiver_findings *findings);
void quiver_check_addresses(const struct quiver_facts *facts, struct quiver_findings *findings);
void quiver_check_sip(const struct quiver_facts *facts, struct quiver_findings *findings);
void quiver_check_app_missing(const struct quiver_facts *facts, struct quiver_findings *findings);
void quiver_check_app_place(const struct quiver_facts *facts, struct quiver_findings *findings);

/* Of checks_extension.c */
void quiver_check_missing(const struct quiver_facts *facts, struct quiver_findings *findings);
void quiver_check_waiting(const struct quiver_facts *facts, struct quiver_findings *findings);
void quiver_check_disabled(const struct quiver_facts *facts, struct quiver_findings *findings);
void quiver_check_leaving(const struct quiver_facts *facts, struct quiver_findings *findings);
void quiver_check_state(const struct quiver_facts *facts, struct quiver_findings *findings);
void quiver_check_replaced(const struct quiver_facts *facts, struct quiver_findings *findings);
void quiver_check_abi(const struct quiver_facts *facts, struct quiver_findings *findings);
void quiver_check_signed(const struct quiver_facts *facts, struct quiver_findings *findings);
void quiver_check_refused(const struct quiver_facts *facts, struct quiver_findings *findings);

/* Of checks_device.c: for each device */
void quiver_check_enclosure(const struct quiver_facts *facts, struct quiver_findings *findings);
void quiver_check_device(const struct quiver_facts *facts, struct quiver_findings *findings);
void quiver_check_bars(const struct quiver_facts *facts, struct quiver_findings *findings);
void quiver_check_other_driver(const struct quiver_facts *facts, struct quiver_findings *findings);
void quiver_check_no_driver(const struct quiver_facts *facts, struct quiver_findings *findings);
void quiver_check_audio(const struct quiver_facts *facts, struct quiver_findings *findings);
void quiver_check_thunderbolt(const struct quiver_facts *facts, struct quiver_findings *findings);
void quiver_check_nvidia(const struct quiver_facts *facts, struct quiver_findings *findings);
void quiver_check_link(const struct quiver_facts *facts, struct quiver_findings *findings);

/* Of checks_state.c: for each device that the extension serves */
void quiver_check_gone(const struct quiver_facts *facts, struct quiver_findings *findings);
void quiver_check_in_use(const struct quiver_facts *facts, struct quiver_findings *findings);
void quiver_check_mappings(const struct quiver_facts *facts, struct quiver_findings *findings);
void quiver_check_reset(const struct quiver_facts *facts, struct quiver_findings *findings);

/* Of checks_vm.c */
void quiver_check_memory(const struct quiver_facts *facts, struct quiver_findings *findings);
void quiver_check_disk(const struct quiver_facts *facts, struct quiver_findings *findings);
void quiver_check_qemu_missing(const struct quiver_facts *facts, struct quiver_findings *findings);
void quiver_check_qemu_silent(const struct quiver_facts *facts, struct quiver_findings *findings);
void quiver_check_qemu_devices(const struct quiver_facts *facts, struct quiver_findings *findings);
void quiver_check_qemu_hvf(const struct quiver_facts *facts, struct quiver_findings *findings);
void quiver_check_qemu_noexec(const struct quiver_facts *facts, struct quiver_findings *findings);
void quiver_check_qemu_signed(const struct quiver_facts *facts, struct quiver_findings *findings);

#endif
