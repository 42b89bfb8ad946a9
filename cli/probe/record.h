/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What stages of a device came to, on disk: for who runs the next stage, and to
 * be sent in. No serial number, no name of a user, no path is in it.
 */
#ifndef QUIVER_CLI_PROBE_RECORD_H
#define QUIVER_CLI_PROBE_RECORD_H

#include <jansson.h>
#include <stdbool.h>

#include "quiver/host.h"

#define QUIVER_PROBE_STAGES	8u
/* What every run ends with: the claim is put down, for which the extension resets the device. */
#define QUIVER_PROBE_RELEASE	QUIVER_PROBE_STAGES
#define QUIVER_PROBE_STEPS	(QUIVER_PROBE_STAGES + 1)
#define QUIVER_PROBE_FORMAT	1

enum quiver_probe_result {
	QUIVER_PROBE_NOT_RUN, QUIVER_PROBE_STARTED, QUIVER_PROBE_PASSED, QUIVER_PROBE_SKIPPED,
	QUIVER_PROBE_FAILED, QUIVER_PROBE_INTERRUPTED, QUIVER_PROBE_WENT_DOWN
};

const char *quiver_probe_result_name(enum quiver_probe_result result);

/* How an old record is to be taken. */
struct quiver_probe_past {
	bool same_device;		/* this very one, and it was never unplugged */
	bool same_boot;			/* the Mac has not started anew since */
	bool same_software;		/* macOS, extension and this program */
	enum quiver_probe_result result[QUIVER_PROBE_STEPS];
	bool down[QUIVER_PROBE_STEPS];	/* the Mac went down during it; in: as far as is known */
};

/*
 * What counts of it: of another device (two cards of one model have one record),
 * another boot or other software only that the Mac went down, which is what a
 * step means that started, and after which the Mac started anew. What passed
 * since, here and now, counts as passed. Pure, as the next.
 */
void quiver_probe_past_settle(struct quiver_probe_past *past);

enum quiver_probe_decision {
	QUIVER_PROBE_MAY_RUN,
	QUIVER_PROBE_NEEDS_ANOTHER,		/* *which has not passed */
	QUIVER_PROBE_NEEDS_FORCE		/* the Mac went down during *which */
};

/* Whether a stage may run, by all that is known: of this run, and settled of the past. */
enum quiver_probe_decision
quiver_probe_decide(const enum quiver_probe_result result[QUIVER_PROBE_STEPS], unsigned int stage,
		    bool force, unsigned int *which);

struct quiver_probe_record {
	char *path;			/* NULL: it is not kept */
	json_t *json;			/* "stages" is an array of QUIVER_PROBE_STAGES; "release" */
	bool alone;			/* no other device of the model is here */
	int lock;			/* what keeps others from it; -1: none */
};

/* What macOS, extension and device are now, and no stage has run. A new reference. */
json_t *quiver_probe_record_new(const struct quiver_device_info *info);

/* $HOME/.local/state/quiver/probe-VVVV-DDDD.json; NULL without $HOME. The caller frees it. */
char *quiver_probe_record_path(const struct quiver_device_info *info);

/*
 * Keeps other processes from the record, until quiver_probe_record_free(): by a
 * file beside it, which stays. -EBUSY: one has it. Else what keeps that file from
 * being made.
 */
int quiver_probe_record_lock(struct quiver_probe_record *record);
void quiver_probe_record_free(struct quiver_probe_record *record);

/*
 * Takes over what counts of a record at record->path, for record->json. In each
 * case of failure nothing is taken. -ENOENT: there is none. -EINVAL: the file is
 * no record. -EXDEV: it is of a device of another model. Else what keeps it from
 * being read.
 */
int quiver_probe_record_load(struct quiver_probe_record *record);

enum quiver_probe_result quiver_probe_record_result(const struct quiver_probe_record *record,
						    unsigned int step);
/*
 * That the Mac went down during a step is remembered beside the result, until
 * the step passes and no other device can be meant.
 */
void quiver_probe_record_set(struct quiver_probe_record *record, unsigned int step,
			     const char *name, enum quiver_probe_result result, json_t *more);

/* On stable storage when it returns. Negative errno. */
int quiver_probe_record_save(const struct quiver_probe_record *record);

#endif
