// SPDX-License-Identifier: BSD-3-Clause
#include "run/stop.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "run/note.h"

/* Seconds that QEMU has to answer in, and to end in. */
#define ANSWER_SECONDS	5
#define END_SECONDS	10

/* Who signals both a process and its group, as timeout(1) does, means it once. */
#define ONE_SIGNAL_SECONDS 1

/* How long a signal may lie while QMP is waited for. */
#define SLICE_MS 50

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void enter(struct quiver_stop *stop, enum quiver_stop_step step)
{
	stop->step = step;
	stop->since = now();
}

static void kill_qemu(struct quiver_stop *stop, const struct quiver_child *qemu)
{
	quiver_note("killing QEMU; the driver extension stops and resets the devices by itself");
	enter(stop, QUIVER_STOP_KILLED);
	quiver_child_signal(qemu, SIGKILL);
}

static void tell_to_quit(struct quiver_stop *stop)
{
	if (stop->socket && stop->quit < 0)
		stop->quit = quiver_qmp_quit(stop->socket);
}

static void end_qemu(struct quiver_stop *stop, const struct quiver_child *qemu)
{
	quiver_qmp_close(&stop->qmp);
	quiver_note("ending QEMU; the devices are stopped and reset, then let go");
	enter(stop, QUIVER_STOP_ENDING);
	tell_to_quit(stop);
	quiver_child_signal(qemu, SIGTERM);
}

static void ask_guest(struct quiver_stop *stop, const struct quiver_child *qemu)
{
	int error = stop->socket && stop->grace ? quiver_qmp_open(&stop->qmp, stop->socket) : 0;

	if (error)
		quiver_note("the guest cannot be asked to shut down: %s",
			    quiver_qmp_describe(&stop->qmp, error));
	if (error || !stop->qmp.line)
		end_qemu(stop, qemu);
	else
		enter(stop, QUIVER_STOP_ASKING);
}

static void go_on_asking(struct quiver_stop *stop, const struct quiver_child *qemu)
{
	int result = quiver_qmp_powerdown(&stop->qmp, SLICE_MS);

	if (!result && now() - stop->since >= ANSWER_SECONDS)
		result = -ETIMEDOUT;
	if (result < 0) {
		quiver_note("the guest cannot be asked to shut down: %s",
			    quiver_qmp_describe(&stop->qmp, result));
		end_qemu(stop, qemu);
	} else if (result) {
		quiver_qmp_close(&stop->qmp);
		quiver_note("the guest was asked to shut down, and has %u s; the same signal again,"
			    " or Ctrl-C, ends the VM at once", stop->grace);
		enter(stop, QUIVER_STOP_ASKED);
	}
}

static void take_signal(struct quiver_stop *stop, const struct quiver_child *qemu, int signal)
{
	if (!stop->signal)
		stop->signal = signal;
	else if (now() - stop->signalled < ONE_SIGNAL_SECONDS)
		return;
	stop->signalled = now();
	if (stop->step == QUIVER_STOP_NOT)
		ask_guest(stop, qemu);
	else if (stop->step < QUIVER_STOP_ENDING)
		end_qemu(stop, qemu);
	else
		kill_qemu(stop, qemu);
}

/* Seconds that are left of the step: below 0 if there is no end to it. */
static double left(const struct quiver_stop *stop)
{
	double limit = stop->step == QUIVER_STOP_ASKED ? stop->grace :
		       stop->step == QUIVER_STOP_ENDING ? END_SECONDS : -1;
	double rest = limit - (now() - stop->since);

	return limit < 0 ? -1 : rest > 0 ? rest : 0;
}

static void next_step(struct quiver_stop *stop, const struct quiver_child *qemu)
{
	if (stop->step == QUIVER_STOP_ASKED) {
		quiver_note("the guest has not shut down in %u s", stop->grace);
		end_qemu(stop, qemu);
	} else {
		quiver_note("QEMU has not ended in %u s", END_SECONDS);
		kill_qemu(stop, qemu);
	}
}

static bool signal_pending(void)
{
	static const int wanted[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGCHLD };
	sigset_t pending;

	sigpending(&pending);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		if (sigismember(&pending, wanted[i]))
			return true;
	return false;
}

/* QMP is to be looked at again: QEMU answers bit by bit, or does not listen yet. */
static bool is_busy(const struct quiver_stop *stop)
{
	return stop->step == QUIVER_STOP_ASKING ||
	       (stop->step == QUIVER_STOP_ENDING && stop->socket && stop->quit < 0);
}

/* The next signal, or 0 when there is something else to do. */
static int wait_for_signal(const struct quiver_stop *stop)
{
	double seconds = left(stop);

	if (is_busy(stop) && !signal_pending())
		return 0;
	if (seconds == 0)
		return 0;
	/* A whole number, and not less: 0 is for ever. */
	return quiver_signals_wait(seconds < 0 ? 0 : (unsigned int)seconds + 1);
}

/* Nothing was said: what there is to do meanwhile, or at the end of patience. */
static void go_on(struct quiver_stop *stop, const struct quiver_child *qemu)
{
	const struct timespec slice = { .tv_nsec = SLICE_MS * 1000000l };

	if (stop->step == QUIVER_STOP_ASKING) {
		go_on_asking(stop, qemu);
	} else if (left(stop) == 0) {
		next_step(stop, qemu);
	} else {
		tell_to_quit(stop);
		if (stop->quit < 0)
			nanosleep(&slice, NULL);
	}
}

void quiver_stop_wait(struct quiver_stop *stop, struct quiver_child *qemu, struct quiver_sim *sim)
{
	stop->quit = -1;
	while (quiver_child_poll(qemu)) {
		int signal = wait_for_signal(stop);

		/* Without its Mac QEMU has nothing left to do, and no Mac ends it in order. */
		if (!quiver_sim_running(sim))
			quiver_child_signal(qemu, SIGKILL);
		else if (!signal)
			go_on(stop, qemu);
		/* One from outside can come for SIGALRM, SIGPIPE tells that QMP is gone: no orders. */
		else if (signal != SIGCHLD && signal != SIGALRM && signal != SIGPIPE)
			take_signal(stop, qemu, signal);
	}
	quiver_qmp_close(&stop->qmp);
	if (stop->quit >= 0)
		close(stop->quit);
}

const char *quiver_stop_name(const struct quiver_stop *stop)
{
	static const char *const names[] = {
		[QUIVER_STOP_ASKING] = "guest", [QUIVER_STOP_ASKED] = "guest",
		[QUIVER_STOP_ENDING] = "qemu", [QUIVER_STOP_KILLED] = "kill",
	};

	return names[stop->step];
}
