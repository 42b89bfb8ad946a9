/* SPDX-License-Identifier: BSD-3-Clause */
/* What a user is told while a VM runs. */
#ifndef QUIVER_CLI_RUN_NOTE_H
#define QUIVER_CLI_RUN_NOTE_H

/* "quiver: text" on standard error, as quiver_error(), for what is no error. */
void quiver_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
