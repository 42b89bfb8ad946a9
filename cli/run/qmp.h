/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * As much of QEMU's machine protocol (QMP) as it takes to order one thing, as to press
 * a guest's power button, and to end QEMU. Never blocks for longer than it is told to: who is at the other end
 * may hang, or be anything.
 */
#ifndef QUIVER_CLI_RUN_QMP_H
#define QUIVER_CLI_RUN_QMP_H

#include <jansson.h>
#include <stddef.h>

enum quiver_qmp_state { QUIVER_QMP_GREETING, QUIVER_QMP_NEGOTIATING, QUIVER_QMP_ORDERED };

struct quiver_qmp {
	int fd;				/* -1: closed */
	enum quiver_qmp_state state;
	char *line;			/* what has come of the next one */
	size_t length;
	char problem[160];		/* what QEMU said against it, or "" */
};

/*
 * -ENOENT, -ECONNREFUSED: nobody listens there, or not yet. -ENAMETOOLONG: no
 * name for a socket. On failure there is nothing to close.
 */
int quiver_qmp_open(struct quiver_qmp *qmp, const char *path);

/*
 * Orders what the text says, the same each time, and goes on where it was, for at most
 * so many milliseconds. 1: it is done, and *answer, if that is wanted, a new reference;
 * 0: not yet. -EBADMSG: what came is not QMP. -EPROTO: QEMU refuses,
 * and problem says why. -EPIPE: it hung up. Other errors are the socket's.
 */
int quiver_qmp_order(struct quiver_qmp *qmp, const char *text, json_t **answer, int milliseconds);

/* The power button is pressed. */
int quiver_qmp_powerdown(struct quiver_qmp *qmp, int milliseconds);

/* What an error of the above means, for people. */
const char *quiver_qmp_describe(const struct quiver_qmp *qmp, int error);

void quiver_qmp_close(struct quiver_qmp *qmp);

/*
 * Tells QEMU to quit, without a word of its own being read: a connection that is
 * to be left open until it has. Errors as of quiver_qmp_open(), and -EPIPE. May
 * be called between fork and exec: it takes no memory.
 */
int quiver_qmp_quit(const char *path);

#endif
