/* SPDX-License-Identifier: BSD-3-Clause */
/* What every command of quiver(1) shares. */
#ifndef QUIVER_CLI_H
#define QUIVER_CLI_H

#include <stdbool.h>
#include <stddef.h>

/* Documented in quiver(1). A VM that a signal ended: 128 + its number. */
enum quiver_exit {
	QUIVER_EXIT_OK		= 0,
	QUIVER_EXIT_VM		= 1,	/* the VM failed */
	QUIVER_EXIT_USAGE	= 2,
	QUIVER_EXIT_DEVICE	= 3,	/* no device, not that one, or not for us */
	QUIVER_EXIT_SIMULATION	= 4,	/* the simulated Mac panicked, or something was left on it */
	QUIVER_EXIT_SETUP	= 5,	/* what is needed is not there, a program or a file */
	QUIVER_EXIT_TRACE	= 6,	/* a trace is wrong, or was not recorded whole */
	QUIVER_EXIT_CHECK	= 7	/* a stage of probe failed, or doctor found what keeps a VM from running */
};

int quiver_list_main(int argc, char **argv);
int quiver_doctor_main(int argc, char **argv);
int quiver_run_main(int argc, char **argv);
int quiver_stat_main(int argc, char **argv);
int quiver_probe_main(int argc, char **argv);
int quiver_bench_main(int argc, char **argv);
int quiver_quirks_main(int argc, char **argv);
int quiver_trace_main(int argc, char **argv);
int quiver_image_main(int argc, char **argv);

/* "quiver: text" on standard error. */
void quiver_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* quiver_error(), and a pointer to --help. Returns QUIVER_EXIT_USAGE. */
int quiver_usage_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Formatted text of its own; ends the program when memory is out. */
char *quiver_text(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A list of strings that it owns, NULL at its end: fit for execvp(). */
struct quiver_words {
	char **word;
	size_t count;
};

void quiver_words_add(struct quiver_words *words, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void quiver_words_free(struct quiver_words *words);

/* The words as a line that a shell reads back as they are. The caller frees it. */
char *quiver_words_quote(const struct quiver_words *words);

#endif
