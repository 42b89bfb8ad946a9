/* SPDX-License-Identifier: BSD-3-Clause */
/* From what a user asks to a VM in which nothing is left open. */
#ifndef QUIVER_CLI_RUN_PLAN_H
#define QUIVER_CLI_RUN_PLAN_H

#include "devices.h"
#include "image/image.h"
#include "run/options.h"
#include "vm.h"

struct quiver_plan {
	struct quiver_vm vm;
	struct quiver_image image;
	bool has_image;
	unsigned int grace;		/* seconds */
	char *qemu, *memory, *append, *firmware;	/* of vm */
};

/*
 * What was not said is chosen for this machine and these devices. The options outlive the plan.
 * Says what is wrong and returns an enum quiver_exit; then there is nothing to
 * free.
 */
int quiver_plan_make(struct quiver_plan *plan, const struct quiver_run_options *options,
		     const struct quiver_devices *devices);

/* Nobody else boots the image from now on. The same. */
int quiver_plan_lock(struct quiver_plan *plan);

void quiver_plan_free(struct quiver_plan *plan);

#endif
