/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef QUIVER_CLI_DOCTOR_ASK_H
#define QUIVER_CLI_DOCTOR_ASK_H

/* Enough for a program that macOS has to look at for the first time. */
#define QUIVER_ASK_SECONDS 10

/*
 * Starts a program, gives it input (a few KiB; NULL: none) and returns what it
 * printed on its standard output; the caller frees it. NULL: it could not be
 * started, or had not ended its output within so many seconds, or printed more
 * than 1 MiB; then it has been killed. How it exits tells nothing: QEMU and
 * macOS' programs print before they fail.
 */
char *quiver_ask(char *const argv[], const char *input, unsigned int seconds);

/* A program of macOS' own by its name. NULL, too, if it is not there. */
char *quiver_ask_macos(const char *name, ...) __attribute__((sentinel));

#endif
