/* SPDX-License-Identifier: BSD-3-Clause */
/* quiver probe: the stages, and what they share. */
#ifndef QUIVER_CLI_PROBE_H
#define QUIVER_CLI_PROBE_H

#include <jansson.h>

#include "capabilities.h"
#include "kind.h"
#include "quiver/host.h"
#include "record.h"
#include "samples.h"

struct quiver_probe_bar {
	unsigned int number;
	volatile uint8_t *at;
	uint64_t length;
	uint32_t first;			/* what the register that is always read was */
};

struct quiver_probe {
	struct quiver_device_info info;
	struct quiver_device *device;	/* claimed */
	const struct quiver_probe_kind *kind;
};

/* What a stage came to. */
struct quiver_probe_outcome {
	enum quiver_probe_result result;
	char *reason, *cure;		/* of a failure; the reason of a skip */
	json_t *figures;		/* an object */
};

typedef void quiver_probe_run(struct quiver_probe *probe, struct quiver_probe_outcome *outcome);

struct quiver_probe_stage {
	const char *name;
	const char *summary;
	quiver_probe_run *run;
};

extern const struct quiver_probe_stage quiver_probe_stages[QUIVER_PROBE_STAGES];

void quiver_probe_outcome_init(struct quiver_probe_outcome *outcome);
void quiver_probe_outcome_free(struct quiver_probe_outcome *outcome);

/* The first failure is kept. The format is of the reason. */
void quiver_probe_fail(struct quiver_probe_outcome *outcome, const char *cure,
		       const char *format, ...) __attribute__((format(printf, 3, 4)));
void quiver_probe_skip(struct quiver_probe_outcome *outcome, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Or it was interrupted. */
bool quiver_probe_failed(const struct quiver_probe_outcome *outcome);

/*
 * From now on SIGINT, SIGTERM and SIGHUP are noted, and a second one of a kind
 * ends the program, as it did before.
 */
void quiver_probe_catch_signals(void);
/* The one that came; 0: none did. */
int quiver_probe_signal(void);
/* quiver_probe_failed(), which the outcome is from now on if a signal or sleep came. For loops. */
bool quiver_probe_over(struct quiver_probe_outcome *outcome);

/* A call of libquiver that failed: what it means, and what helps. */
void quiver_probe_fail_call(struct quiver_probe_outcome *outcome, const char *what, int error);

void quiver_probe_figure(struct quiver_probe_outcome *outcome, const char *key, json_t *value);
/* "0x" and its digits. */
void quiver_probe_figure_hex(struct quiver_probe_outcome *outcome, const char *key, uint64_t value);

/* What more than one stage does. False: it failed, and the outcome says why. */

/*
 * Says in the probe that the device is ours. From here to the rest that each
 * step ends with the Mac does not take its power, QUIVER_SLEEP_SECONDS at most.
 */
bool quiver_probe_claim(struct quiver_probe *probe, struct quiver_probe_outcome *outcome);
/* All of config space that a client sees. */
bool quiver_probe_read_config(struct quiver_probe *probe, uint8_t config[QUIVER_PROBE_CONFIG_SIZE],
			      struct quiver_probe_outcome *outcome);
/*
 * The BAR with the registers, mapped here. Its device decodes memory, and the
 * register that is always read says of no trouble. bar->at stays as it was
 * where nothing could be read.
 */
bool quiver_probe_map_registers(struct quiver_probe *probe, struct quiver_probe_bar *bar,
				struct quiver_probe_outcome *outcome);
uint32_t quiver_probe_load(const struct quiver_probe_bar *bar, uint32_t offset);
void quiver_probe_store(const struct quiver_probe_bar *bar, uint32_t offset, uint32_t value);
/* Neither mastering nor mapped: what a stage that maps or resets begins and ends with [D8]. */
bool quiver_probe_check_quiet(struct quiver_probe *probe, struct quiver_probe_outcome *outcome);

quiver_probe_run quiver_probe_stage_extension, quiver_probe_stage_identity, quiver_probe_stage_bars,
	quiver_probe_stage_touch, quiver_probe_stage_speed, quiver_probe_stage_dart,
	quiver_probe_stage_interrupts, quiver_probe_stage_reset;

/* output.c: a stage or the release, its figures, and what is wrong with it. */
void quiver_probe_print(const json_t *entry);

/* claim.c */

/* The device has been lost since it was claimed, and the outcome says so. */
bool quiver_probe_lost(struct quiver_probe_outcome *outcome);
/* No BAR is touched until the next quiver_probe_claim(). */
void quiver_probe_rest(void);
/* That, and the claim is given back. */
void quiver_probe_put_down(struct quiver_probe *probe);

/* release.c */

#define QUIVER_PROBE_RELEASE_NAME	"release"
#define QUIVER_PROBE_RELEASE_SUMMARY	"the device is given back, and reset for that"

/* Gives the claim back, and waits until the extension has let go of the device. */
void quiver_probe_release(struct quiver_probe *probe, struct quiver_probe_outcome *outcome);

#endif
