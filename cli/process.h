/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Children, and the signals that a program which has some must not miss. All of
 * them are blocked and taken one by one, so that nothing runs in a handler.
 */
#ifndef QUIVER_CLI_PROCESS_H
#define QUIVER_CLI_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

struct quiver_child {
	pid_t pid;			/* 0: there is none */
	bool running;
	int status;			/* of waitpid(), once not running */
};

/* How a child differs from its parent. */
struct quiver_child_setup {
	int in;				/* its standard input; 0: ours */
	int out, err;			/* its standard output and error; -1: ours */
	bool own_group;			/* the terminal's signals are not for it */
	bool deaf;			/* nor are these, though it has the terminal: SIGINT, SIGHUP, SIGQUIT */
	bool deaf_to_end;		/* SIGTERM neither: it is ended in another way */
	int keeper;			/* gets its pid before it is anything, and sees to its end; 0: nobody does */
};

/*
 * Blocks SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGCHLD and SIGALRM, for
 * good; of the first four those that were not to be heard at our start, as
 * nohup(1) leaves SIGHUP, stay so. To be called before a child starts.
 */
void quiver_signals_block(void);

/* The next of them. SIGALRM when so many seconds have gone (0: never). */
int quiver_signals_wait(unsigned int seconds);

/* Negative errno if it could not be started, execvp()'s included. */
int quiver_child_start(struct quiver_child *child, char *const argv[],
		       const struct quiver_child_setup *setup);

/* Whether it still runs; takes its status if not. */
bool quiver_child_poll(struct quiver_child *child);

void quiver_child_signal(const struct quiver_child *child, int signal);

/* Waits; after so many seconds (0: at once) kills it. Other signals are put off. */
void quiver_child_finish(struct quiver_child *child, unsigned int seconds);

/* "exited with status 1", "was killed by signal 9". Static text. */
const char *quiver_child_describe(const struct quiver_child *child);

#endif
