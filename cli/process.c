// SPDX-License-Identifier: BSD-3-Clause
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "platform.h"

static const int taken[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGCHLD, SIGALRM };

#define TAKEN (sizeof(taken) / sizeof(taken[0]))

static sigset_t before, ours;
static bool blocked;

static void ignore(int signal)
{
}

/* Who started us wants us to go on: nohup(1), or a shell that has us in the background. */
static bool is_unwanted(int signal)
{
	struct sigaction action;

	if (signal != SIGINT && signal != SIGTERM && signal != SIGHUP && signal != SIGQUIT)
		return false;
	return !sigaction(signal, NULL, &action) && action.sa_handler == SIG_IGN;
}

void quiver_signals_block(void)
{
	struct sigaction action = { .sa_handler = ignore };

	if (blocked)
		return;
	sigemptyset(&ours);
	for (size_t i = 0; i < TAKEN; i++) {
		if (is_unwanted(taken[i]))
			continue;
		/* A blocked signal whose action is to be ignored may be lost. */
		sigaction(taken[i], &action, NULL);
		sigaddset(&ours, taken[i]);
	}
	sigprocmask(SIG_BLOCK, &ours, &before);
	blocked = true;
}

int quiver_signals_wait(unsigned int seconds)
{
	int signal;

	alarm(seconds);
	while (sigwait(&ours, &signal))
		;
	alarm(0);
	return signal;
}

/* Between fork and exec. What cannot be done is told over the pipe. */
static void become(char *const argv[], const struct quiver_child_setup *setup, pid_t parent,
		   int report)
{
	pid_t self = getpid();
	int error;

	if (!setup->keeper)
		quiver_platform_die_with_parent(SIGKILL);
	else if (write(setup->keeper, &self, sizeof(self)) != sizeof(self))
		_exit(127);
	/* The parent may have died before this was asked for, or told. */
	if (getppid() != parent)
		_exit(127);
	if (setup->own_group)
		setpgid(0, 0);
	if (setup->in > 0)
		dup2(setup->in, STDIN_FILENO);
	if (setup->out >= 0)
		dup2(setup->out, STDOUT_FILENO);
	if (setup->err >= 0)
		dup2(setup->err, STDERR_FILENO);
	if (setup->deaf) {
		sigaddset(&before, SIGINT);
		sigaddset(&before, SIGHUP);
		sigaddset(&before, SIGQUIT);
	}
	if (setup->deaf_to_end)
		sigaddset(&before, SIGTERM);
	sigprocmask(SIG_SETMASK, &before, NULL);
	execvp(argv[0], argv);
	error = errno;
	if (write(report, &error, sizeof(error)) < 0)
		_exit(126);
	_exit(127);
}

static int pipe_cloexec(int ends[2])
{
	if (pipe(ends))
		return -errno;
	fcntl(ends[0], F_SETFD, FD_CLOEXEC);
	fcntl(ends[1], F_SETFD, FD_CLOEXEC);
	return 0;
}

int quiver_child_start(struct quiver_child *child, char *const argv[],
		       const struct quiver_child_setup *setup)
{
	pid_t parent = getpid();
	int ends[2], error;

	*child = (struct quiver_child){ 0 };
	error = pipe_cloexec(ends);
	if (error)
		return error;
	child->pid = fork();
	if (!child->pid)
		become(argv, setup, parent, ends[1]);
	error = errno;
	close(ends[1]);
	if (child->pid < 0) {
		close(ends[0]);
		*child = (struct quiver_child){ 0 };
		return -error;
	}
	child->running = true;
	/* The pipe closes with nothing in it when exec succeeds. */
	if (read(ends[0], &error, sizeof(error)) != sizeof(error))
		error = 0;
	close(ends[0]);
	if (error)
		quiver_child_finish(child, 0);
	return -error;
}

bool quiver_child_poll(struct quiver_child *child)
{
	if (child->running && waitpid(child->pid, &child->status, WNOHANG) == child->pid)
		child->running = false;
	return child->running;
}

void quiver_child_signal(const struct quiver_child *child, int signal)
{
	if (child->running)
		kill(child->pid, signal);
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

void quiver_child_finish(struct quiver_child *child, unsigned int seconds)
{
	const struct timespec moment = { .tv_nsec = 5000000 };
	double end = now() + seconds;

	while (quiver_child_poll(child)) {
		if (now() >= end)
			quiver_child_signal(child, SIGKILL);
		nanosleep(&moment, NULL);
	}
}

const char *quiver_child_describe(const struct quiver_child *child)
{
	static char text[64];

	if (WIFSIGNALED(child->status))
		snprintf(text, sizeof(text), "was killed by signal %d", WTERMSIG(child->status));
	else
		snprintf(text, sizeof(text), "exited with status %d", WEXITSTATUS(child->status));
	return text;
}
