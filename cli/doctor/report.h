/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef QUIVER_CLI_DOCTOR_REPORT_H
#define QUIVER_CLI_DOCTOR_REPORT_H

#include <jansson.h>

#include "doctor/checks.h"

/* For people: a line a finding, cures below, and a count. */
void quiver_report_print(const struct quiver_findings *findings);

/* For programs: quiver-doctor(1) has its form. simulation is taken over. */
void quiver_report_json(const struct quiver_facts *facts, const struct quiver_findings *findings,
			int status, json_t *simulation);

#endif
