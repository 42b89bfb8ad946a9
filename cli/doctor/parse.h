/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What programs print, read. Their forms are those of public listings, not of a
 * Mac of ours. Text may be anything; NULL is as good as none.
 */
#ifndef QUIVER_CLI_DOCTOR_PARSE_H
#define QUIVER_CLI_DOCTOR_PARSE_H

#include "doctor/facts.h"

/* `csrutil status` */
enum quiver_sip quiver_parse_sip(const char *text);

/*
 * `systemextensionsctl list`. Of several copies the one that is nearest to
 * working is taken.
 */
void quiver_parse_extensions(const char *text, struct quiver_extension *extension);

/* `mdfind`: a path a line. One that is there already is not added again. */
void quiver_parse_apps(const char *text, struct quiver_words *apps);

/*
 * `plutil -extract CFBundleIdentifier raw`: whether it found one. What it says of
 * a file that is not there is no identifier.
 */
bool quiver_parse_identifier(const char *text);

/* `codesign -d --entitlements - --xml` */
enum quiver_answer quiver_parse_entitlements(const char *text);

/* What QEMU answers to quiver_qemu_questions. */
extern const char quiver_qemu_questions[];
void quiver_parse_qemu(const char *text, struct quiver_facts_qemu *qemu);

#endif
