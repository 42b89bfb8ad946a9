/* SPDX-License-Identifier: BSD-3-Clause */
/* What panics a Mac ends the simulated one. */
#ifndef SIMMAC_PANIC_H
#define SIMMAC_PANIC_H

#ifdef __cplusplus
extern "C" {
#endif

/* Exit status of a simulated Mac that panicked. */
#define SIMMAC_PANIC_STATUS 86

/*
 * Ends the simulated Mac: writes one report (standard error, and the file given
 * to simmac_panic_set_report()), runs the hook that takes the clients down with
 * it, as a panic does, and _exit()s with SIMMAC_PANIC_STATUS. Any thread. The
 * first panic wins; later ones never return either.
 *
 * fact: the row of the platform's list of facts that was broken, "D6".
 * The report's first line is "simmac: PANIC [D6] text".
 */
void simmac_panic(const char *fact, const char *format, ...)
	__attribute__((noreturn, format(printf, 2, 3)));

void simmac_panic_set_report(const char *path);
void simmac_panic_set_hook(void (*hook)(void));

#ifdef __cplusplus
}
#endif
#endif
