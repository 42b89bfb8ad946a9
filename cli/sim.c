// SPDX-License-Identifier: BSD-3-Clause
#include "sim.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "platform.h"

#define DISK_SIZE	(1ll << 30)
#define START_SECONDS	10
#define END_SECONDS	20

#define STATUS_PANIC	86

/* $QUIVER_SIMMACD, or simmacd near this program: installed, then as it was built. */
static char *find_daemon(void)
{
	static const char *const places[] = {
		"simmacd", "../libexec/quiver/simmacd", "../simmac/simmacd",
		"../simmac/daemon/simmacd",
	};
	const char *chosen = getenv("QUIVER_SIMMACD");

	if (chosen)
		return quiver_text("%s", chosen);
	return quiver_platform_near(places, sizeof(places) / sizeof(places[0]));
}

/* Programs of macOS, which are looked for in $PATH where there is none. Whoever has put others there means it. */
static void add_tools(void)
{
	char *folder = quiver_platform_folder();
	const char *others = getenv("PATH");
	char *path;

	if (!folder)
		return;
	path = quiver_text("%s:%s/../libexec/quiver/simmac:%s/../simmac/tools",
			   others ? others : "", folder, folder);
	setenv("PATH", path, 1);
	free(path);
	free(folder);
}

static int make_folder(struct quiver_sim *sim)
{
	const char *parent = getenv("TMPDIR");

	sim->folder = quiver_text("%s/quiver-XXXXXX", parent && *parent ? parent : "/tmp");
	if (!mkdtemp(sim->folder)) {
		quiver_error("cannot make %s: %s", sim->folder, strerror(errno));
		free(sim->folder);
		sim->folder = NULL;
		return QUIVER_EXIT_SETUP;
	}
	sim->socket = quiver_text("%s/socket", sim->folder);
	sim->report = quiver_text("%s/report", sim->folder);
	sim->state = quiver_text("%s/state.json", sim->folder);
	sim->log = quiver_text("%s/log", sim->folder);
	if (strlen(sim->socket) < sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return QUIVER_EXIT_OK;
	quiver_error("$TMPDIR is too long for a socket's name: %s", sim->folder);
	return QUIVER_EXIT_SETUP;
}

/* Sparse: it takes the room that the guest fills. */
static int make_disk(struct quiver_sim *sim)
{
	int fd, error = 0;

	sim->disk = quiver_text("%s/disk", sim->folder);
	fd = open(sim->disk, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, DISK_SIZE))
		error = errno;
	if (fd >= 0)
		close(fd);
	if (!error)
		return QUIVER_EXIT_OK;
	quiver_error("cannot make %s: %s", sim->disk, strerror(error));
	return QUIVER_EXIT_SETUP;
}

/* A comma ends an option's value, two are one. */
static void add_disk_device(struct quiver_words *command, const char *file)
{
	char *spec = quiver_text("nvme,file=%s%s", file, file);
	char *end = spec + strlen("nvme,file=");

	for (; *file; file++) {
		*end++ = *file;
		if (*file == ',')
			*end++ = ',';
	}
	*end = '\0';
	quiver_words_add(command, "--device");
	quiver_words_add(command, "%s", spec);
	free(spec);
}

static int add_devices(struct quiver_sim *sim, const struct quiver_sim_options *options,
		       struct quiver_words *command)
{
	int status;

	for (size_t i = 0; i < options->devices.count; i++) {
		if (!strcmp(options->devices.word[i], "none"))
			continue;
		quiver_words_add(command, "--device");
		quiver_words_add(command, "%s", options->devices.word[i]);
	}
	if (options->devices.count)
		return QUIVER_EXIT_OK;
	status = make_disk(sim);
	if (status)
		return status;
	add_disk_device(command, sim->disk);
	quiver_words_add(command, "--device");
	quiver_words_add(command, "endpoint");
	return QUIVER_EXIT_OK;
}

static int make_command(struct quiver_sim *sim, const struct quiver_sim_options *options,
			struct quiver_words *command)
{
	char *daemon = find_daemon();
	const char *const pairs[] = {
		"--socket", sim->socket, "--report", sim->report, "--state", sim->state,
	};
	int status;

	if (!daemon) {
		quiver_error("simmacd, the simulated Mac, is not where it should be; set $QUIVER_SIMMACD");
		return QUIVER_EXIT_SETUP;
	}
	quiver_words_add(command, "%s", daemon);
	free(daemon);
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		quiver_words_add(command, "%s", pairs[i]);
	status = add_devices(sim, options, command);
	for (size_t i = 0; i < options->args.count; i++)
		quiver_words_add(command, "%s", options->args.word[i]);
	return status;
}

static bool takes_clients(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	bool connected;

	if (fd < 0)
		return false;
	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	connected = !connect(fd, (const struct sockaddr *)&address, sizeof(address));
	close(fd);
	return connected;
}

static int wait_until_ready(struct quiver_sim *sim)
{
	const struct timespec moment = { .tv_nsec = 10000000 };

	for (int i = 0; i < START_SECONDS * 100; i++) {
		if (takes_clients(sim->socket))
			return QUIVER_EXIT_OK;
		if (!quiver_sim_running(sim))
			break;
		nanosleep(&moment, NULL);
	}
	quiver_error("the simulated Mac did not start%s", quiver_sim_running(sim) ? " in time" : "");
	return QUIVER_EXIT_SETUP;
}

static int spawn(struct quiver_sim *sim, char *const argv[])
{
	int log = open(sim->log, O_CREAT | O_EXCL | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
	/* Ctrl-C is for QEMU: the Mac has to outlive it. */
	const struct quiver_child_setup setup = { .out = log, .err = log, .own_group = true };
	int error = log < 0 ? -errno : quiver_child_start(&sim->daemon, argv, &setup);

	if (log >= 0)
		close(log);
	if (!error)
		return QUIVER_EXIT_OK;
	quiver_error("cannot start %s: %s", argv[0], strerror(-error));
	return QUIVER_EXIT_SETUP;
}

static int start_daemon(struct quiver_sim *sim, const struct quiver_sim_options *options)
{
	struct quiver_words command = { 0 };
	int status = make_command(sim, options, &command);

	if (!status)
		status = spawn(sim, command.word);
	quiver_words_free(&command);
	return status;
}

int quiver_sim_start(struct quiver_sim *sim, const struct quiver_sim_options *options)
{
	int status;

	*sim = (struct quiver_sim){ .enabled = options->enabled };
	if (!sim->enabled)
		return QUIVER_EXIT_OK;
	/* From here on there is something to be cleared away. */
	quiver_signals_block();
	status = make_folder(sim);
	if (!status)
		status = start_daemon(sim, options);
	if (!status)
		status = wait_until_ready(sim);
	if (status)
		return status;
	/* The daemon has it open. Gone by name, it is gone whatever becomes of us. */
	if (sim->disk)
		unlink(sim->disk);
	setenv("QUIVER_SIMMAC", sim->socket, 1);
	add_tools();
	sim->ready = true;
	return QUIVER_EXIT_OK;
}

bool quiver_sim_present(void)
{
	return getenv("QUIVER_SIMMAC");
}

bool quiver_sim_running(struct quiver_sim *sim)
{
	return !sim->enabled || quiver_child_poll(&sim->daemon);
}

static char *read_file(const char *path)
{
	FILE *file = fopen(path, "re");
	size_t size = 0, length = 0;
	char *text = NULL;

	if (!file)
		return NULL;
	do {
		char *grown = realloc(text, size += 4096);

		if (!grown)
			break;
		text = grown;
		length += fread(text + length, 1, size - length - 1, file);
		text[length] = '\0';
	} while (length == size - 1);
	fclose(file);
	return text;
}

static void remove_folder(const struct quiver_sim *sim)
{
	DIR *folder = opendir(sim->folder);
	struct dirent *entry;

	while (folder && (entry = readdir(folder)))
		unlinkat(dirfd(folder), entry->d_name, 0);
	if (folder)
		closedir(folder);
	rmdir(sim->folder);
}

static bool has_leaks(const json_t *state)
{
	const char *kind;
	json_t *count, *leaks = json_object_get(state, "leaks");

	json_object_foreach(leaks, kind, count)
		if (json_integer_value(count))
			return true;
	return false;
}

/* What there is to say of a daemon that has ended. */
static const char *verdict(const struct quiver_sim *sim, const json_t *state)
{
	int status = sim->daemon.status;

	if (WIFEXITED(status) && WEXITSTATUS(status) == STATUS_PANIC)
		return "panic";
	if (has_leaks(state))
		return "leak";
	return WIFEXITED(status) && !WEXITSTATUS(status) ? "ok" : "failed";
}

static void complain(const struct quiver_sim *sim, const char *verdict)
{
	char *log = read_file(sim->log);

	if (!strcmp(verdict, "panic"))
		quiver_error("the simulated Mac panicked");
	else if (!strcmp(verdict, "leak"))
		quiver_error("something was left on the simulated Mac");
	else
		quiver_error("the simulated Mac failed: simmacd %s",
			     quiver_child_describe(&sim->daemon));
	if (log)
		fputs(log, stderr);
	free(log);
}

/* One that never took clients has said why: then status tells it. */
static int judge(struct quiver_sim *sim, int status)
{
	char *report = read_file(sim->report);
	json_t *state = json_load_file(sim->state, 0, NULL);
	const char *found = verdict(sim, state);

	sim->json = json_pack("{s:s s:s? s:o}", "verdict", found, "report", report, "state",
			      state ? state : json_null());
	free(report);
	if (!strcmp(found, "ok"))
		return status;
	complain(sim, found);
	return sim->ready ? QUIVER_EXIT_SIMULATION : status;
}

int quiver_sim_end(struct quiver_sim *sim, int status)
{
	if (!sim->folder)
		return status;
	if (sim->daemon.pid) {
		quiver_child_signal(&sim->daemon, SIGTERM);
		quiver_child_finish(&sim->daemon, END_SECONDS);
		status = judge(sim, status);
	}
	remove_folder(sim);
	return status;
}

json_t *quiver_sim_json(const struct quiver_sim *sim)
{
	return sim->json ? json_incref(sim->json) : json_null();
}

void quiver_sim_free(struct quiver_sim *sim)
{
	json_decref(sim->json);
	free(sim->folder);
	free(sim->socket);
	free(sim->report);
	free(sim->state);
	free(sim->log);
	free(sim->disk);
	*sim = (struct quiver_sim){ 0 };
}
