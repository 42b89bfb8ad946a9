// SPDX-License-Identifier: BSD-3-Clause
#include "record.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"

#define DEVICE		"/dev/" QUIVER_TRACE_DEVICE

/* How long a command may take to end when time is up, in seconds. */
#define PATIENCE	10

/* How often the kernel's buffer is looked into while it is empty. */
#define MOMENT_NS	5000000

/* --- the kernel's side ---------------------------------------------------------------------- */

static int open_error(int error)
{
	if (error == ENOENT || error == ENXIO || error == ENODEV)
		quiver_error("there is no " DEVICE
			     ": load quiver_trace.ko (modprobe quiver_trace)");
	else if (error == EBUSY)
		quiver_error("another recording is going on");
	else
		quiver_error("cannot open " DEVICE ": %s", strerror(error));
	return QUIVER_EXIT_SETUP;
}

static int start_error(int error)
{
	struct utsname name = { 0 };

	uname(&name);
	if (error == EOPNOTSUPP)
		quiver_error("this kernel, %s, has no dma tracepoints to record from; "
			     "Linux has them since 6.12", name.release);
	else
		quiver_error("cannot record: %s", strerror(error));
	return QUIVER_EXIT_SETUP;
}

static int write_error(const struct quiver_record *record, int error)
{
	if (error == -EPROTO) {
		quiver_error("what quiver_trace.ko says makes no sense: is it of another version?");
		return QUIVER_EXIT_TRACE;
	}
	quiver_error("cannot write %s: %s", record->output, strerror(-error));
	return QUIVER_EXIT_SETUP;
}

/* What there is now. *more: there may be more; else it was empty, or is over. */
static int drain(struct quiver_record *record, bool *more)
{
	static uint64_t words[1 << 15];
	ssize_t got = read(record->device, words, sizeof(words));
	int error;

	*more = got > 0;
	if (got < 0 && errno != EAGAIN && errno != EINTR) {
		quiver_error("cannot read " DEVICE ": %s", strerror(errno));
		return QUIVER_EXIT_SETUP;
	}
	if (got <= 0)
		return QUIVER_EXIT_OK;
	error = quiver_recording_feed(&record->recording, words, (size_t)got / sizeof(*words));
	return error ? write_error(record, error) : QUIVER_EXIT_OK;
}

static int drain_rest(struct quiver_record *record)
{
	bool more = true;
	int status = QUIVER_EXIT_OK;

	while (more && !status)
		status = drain(record, &more);
	return status;
}

/* --- while it lasts ------------------------------------------------------------------------- */

static double elapsed(const struct quiver_record *record)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - record->begin.tv_sec) +
	       (double)(now.tv_nsec - record->begin.tv_nsec) / 1e9;
}

/* Waits a moment, or not at all. Whether someone wants us to end. */
static bool signalled(bool wait)
{
	const struct timespec moment = { .tv_nsec = wait ? MOMENT_NS : 0 };
	sigset_t set;
	int signal;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	signal = sigtimedwait(&set, NULL, &moment);
	return signal > 0 && signal != SIGCHLD;
}

static int record_until_end(struct quiver_record *record)
{
	bool more, over = false;
	int status = QUIVER_EXIT_OK;

	while (!over && !status) {
		status = drain(record, &more);
		over = signalled(!more) ||
		       (record->seconds && elapsed(record) >= record->seconds) ||
		       (record->command && !quiver_child_poll(&record->child));
	}
	return status;
}

static int start_command(struct quiver_record *record)
{
	const struct quiver_child_setup setup = {
		.out = record->quiet ? STDERR_FILENO : -1, .err = -1,
	};
	int error;

	if (!record->command)
		return QUIVER_EXIT_OK;
	error = quiver_child_start(&record->child, record->command, &setup);
	if (!error)
		return QUIVER_EXIT_OK;
	quiver_error("cannot start %s: %s", record->command[0], strerror(-error));
	return QUIVER_EXIT_SETUP;
}

/* Recording is over by now; the command may still be there. */
static int end_command(struct quiver_record *record)
{
	if (!record->command)
		return QUIVER_EXIT_OK;
	if (quiver_child_poll(&record->child)) {
		quiver_child_signal(&record->child, SIGTERM);
		quiver_child_finish(&record->child, PATIENCE);
		return QUIVER_EXIT_OK;
	}
	if (WIFEXITED(record->child.status) && !WEXITSTATUS(record->child.status))
		return QUIVER_EXIT_OK;
	quiver_error("%s %s", record->command[0], quiver_child_describe(&record->child));
	return QUIVER_EXIT_VM;
}

static int record_started(struct quiver_record *record)
{
	int status, command_status;

	clock_gettime(CLOCK_MONOTONIC, &record->begin);
	status = start_command(record);
	if (status) {
		ioctl(record->device, QUIVER_TRACE_STOP);
		return status;
	}
	status = record_until_end(record);
	ioctl(record->device, QUIVER_TRACE_STOP);
	record->took = elapsed(record);
	if (!status)
		status = drain_rest(record);
	ioctl(record->device, QUIVER_TRACE_COUNT, &record->counters);
	command_status = end_command(record);
	return status ? status : command_status;
}

/* The trace is there, but not whole. */
static int check_lost(const struct quiver_record *record)
{
	const struct quiver_trace_counters *counted = &record->counters;

	if (!counted->lost_maps && !counted->lost_unmaps)
		return QUIVER_EXIT_OK;
	quiver_error("lost %" PRIu64 " maps of %" PRIu64 " segments and %" PRIu64
		     " unmaps for want of room: use a larger --buffer",
		     (uint64_t)counted->lost_maps, (uint64_t)counted->lost_segments,
		     (uint64_t)counted->lost_unmaps);
	return QUIVER_EXIT_TRACE;
}

static int finish(struct quiver_record *record, int status)
{
	int error = quiver_recording_finish(&record->recording), lost;

	if (error && !status)
		status = write_error(record, error);
	if (status && status != QUIVER_EXIT_VM)
		return status;
	lost = check_lost(record);
	return lost ? lost : status;
}

static int record_opened(struct quiver_record *record, bool *begun)
{
	int error;

	if (ioctl(record->device, QUIVER_TRACE_START, &record->start))
		return start_error(errno);
	error = quiver_recording_open(&record->recording, record->output);
	if (error)
		return write_error(record, error);
	*begun = true;
	return finish(record, record_started(record));
}

int quiver_record(struct quiver_record *record, bool *begun)
{
	int status;

	*begun = false;
	quiver_signals_block();
	record->device = open(DEVICE, O_RDONLY | O_CLOEXEC);
	if (record->device < 0)
		return open_error(errno);
	status = record_opened(record, begun);
	close(record->device);
	return status;
}
