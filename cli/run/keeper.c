// SPDX-License-Identifier: BSD-3-Clause
#include "run/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

#include "run/qmp.h"

/* File descriptors that we could have: more than this program ever opens. */
#define DESCRIPTORS 256

static void close_both(int ends[2])
{
	for (int i = 0; i < 2; i++) {
		if (ends[i] >= 0)
			close(ends[i]);
		ends[i] = -1;
	}
}

static int open_pipes(struct quiver_keeper *keeper)
{
	*keeper = (struct quiver_keeper){ .ours = { -1, -1 }, .qemus = { -1, -1 } };
	if (pipe(keeper->ours) || pipe(keeper->qemus)) {
		int error = errno;

		close_both(keeper->ours);
		return -error;
	}
	/* Of all these QEMU keeps one end, by which it is known to live. */
	fcntl(keeper->ours[0], F_SETFD, FD_CLOEXEC);
	fcntl(keeper->ours[1], F_SETFD, FD_CLOEXEC);
	fcntl(keeper->qemus[0], F_SETFD, FD_CLOEXEC);
	return 0;
}

/* --- in the keeper: nothing but what a process with threads may do after fork() --- */

/* Whether the other end was closed, or something was written, within that time. */
static bool heard(int fd, int milliseconds)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };

	return poll(&ready, 1, milliseconds) > 0;
}

static void detach(const struct quiver_keeper *keeper)
{
	int null = open("/dev/null", O_RDWR);
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	setsid();
	/* Pipes that others wait on, locks, the device's own connection: none of it is ours to keep. */
	for (int fd = 0; fd < DESCRIPTORS; fd++) {
		if (fd < 3 && null >= 0)
			dup2(null, fd);
		else if (fd != keeper->ours[0] && fd != keeper->qemus[0])
			close(fd);
	}
}

static ssize_t next(int fd, void *buffer, size_t size)
{
	ssize_t got;

	do {
		got = read(fd, buffer, size);
	} while (got < 0 && errno == EINTR);
	return got;
}

/* Until it has. It may not have come so far that it listens: then it is told again. */
static void end(const struct quiver_keeper *keeper, pid_t qemu, unsigned int seconds,
		const struct quiver_folder *folder)
{
	int told = -1;

	for (unsigned int tenths = 10 * seconds; tenths; tenths--) {
		if (told < 0)
			told = quiver_qmp_quit(folder->socket);
		if (heard(keeper->qemus[0], 100))
			return;
	}
	kill(qemu, SIGKILL);
	heard(keeper->qemus[0], 1000);
}

static void keep(const struct quiver_keeper *keeper, unsigned int seconds,
		 const struct quiver_folder *folder)
{
	char all_is_well;
	pid_t qemu = 0;
	ssize_t got;

	detach(keeper);
	/* QEMU's pid, and then a byte, or that alone where it was not started. */
	got = next(keeper->ours[0], &qemu, sizeof(qemu));
	if (got == 1 || (got == sizeof(qemu) && next(keeper->ours[0], &all_is_well, 1) > 0))
		_exit(0);
	if (got == sizeof(qemu) && !heard(keeper->qemus[0], 0)) {
		kill(qemu, SIGTERM);
		end(keeper, qemu, seconds, folder);
	}
	quiver_folder_unlink(folder);
	_exit(0);
}

/* --- in quiver --- */

int quiver_keeper_start(struct quiver_keeper *keeper, unsigned int seconds,
			const struct quiver_folder *folder)
{
	int error = open_pipes(keeper);
	pid_t pid;

	if (error)
		return error;
	pid = fork();
	if (!pid)
		keep(keeper, seconds, folder);
	if (pid < 0) {
		error = errno;
		close_both(keeper->ours);
		close_both(keeper->qemus);
		return -error;
	}
	keeper->pid = pid;
	close(keeper->ours[0]);
	close(keeper->qemus[0]);
	keeper->ours[0] = keeper->qemus[0] = -1;
	return 0;
}

void quiver_keeper_close(struct quiver_keeper *keeper)
{
	if (keeper->pid) {
		if (write(keeper->ours[1], "", 1) < 0)
			kill(keeper->pid, SIGKILL);
		while (waitpid(keeper->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	close_both(keeper->ours);
	close_both(keeper->qemus);
	keeper->pid = 0;
}
