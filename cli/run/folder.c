// SPDX-License-Identifier: BSD-3-Clause
#include "run/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"

#define PREFIX "quiver-"
#define RECORD "vm.json"
#define SOCKET "qmp"

/* Bytes of a socket's name with its end: macOS has the least, Linux 108. */
#define SOCKET_NAME_MAX 104

static const char *temporary_folder(void)
{
	const char *folder = getenv("TMPDIR");

	return folder && *folder ? folder : "/tmp";
}

static bool fits(const char *parent)
{
	return strlen(parent) + strlen("/" PREFIX "XXXXXX/" SOCKET) < SOCKET_NAME_MAX;
}

int quiver_folder_make(struct quiver_folder *folder)
{
	const char *parent = temporary_folder();

	*folder = (struct quiver_folder){ .lock = -1 };
	/* mkdtemp() makes one that nobody else can enter, so any parent will do. */
	folder->path = quiver_text("%s/" PREFIX "XXXXXX", fits(parent) ? parent : "/tmp");
	if (!mkdtemp(folder->path)) {
		quiver_error("cannot make %s: %s", folder->path, strerror(errno));
		free(folder->path);
		folder->path = NULL;
		return QUIVER_EXIT_SETUP;
	}
	folder->socket = quiver_text("%s/" SOCKET, folder->path);
	folder->record = quiver_text("%s/" RECORD, folder->path);
	return QUIVER_EXIT_OK;
}

/* Readers take what is not locked for the trace of one that is dead. */
static int write_record(struct quiver_folder *folder, const json_t *record)
{
	int fd = open(folder->record, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) || json_dumpfd(record, fd, JSON_COMPACT)) {
		int error = errno ? errno : EIO;

		close(fd);
		return -error;
	}
	folder->lock = fd;
	return 0;
}

int quiver_folder_record(struct quiver_folder *folder, const json_t *record)
{
	int error = write_record(folder, record);

	if (!error)
		return QUIVER_EXIT_OK;
	quiver_error("cannot write %s: %s", folder->record, strerror(-error));
	return QUIVER_EXIT_SETUP;
}

void quiver_folder_unlink(const struct quiver_folder *folder)
{
	unlink(folder->socket);
	unlink(folder->record);
	rmdir(folder->path);
}

void quiver_folder_remove(struct quiver_folder *folder)
{
	if (!folder->path)
		return;
	quiver_folder_unlink(folder);
	if (folder->lock >= 0)
		close(folder->lock);
	free(folder->path);
	free(folder->socket);
	free(folder->record);
	*folder = (struct quiver_folder){ .lock = -1 };
}

/* The record of a VM of ours that runs, or NULL. Others may write into $TMPDIR too. */
static json_t *read_record(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat status;
	json_t *record = NULL;

	if (fd < 0)
		return NULL;
	if (!fstat(fd, &status) && S_ISREG(status.st_mode) && status.st_uid == geteuid() &&
	    flock(fd, LOCK_SH | LOCK_NB) && errno == EWOULDBLOCK)
		record = json_loadfd(fd, 0, NULL);
	close(fd);
	return record;
}

static bool has_device(const json_t *record, uint64_t device)
{
	const json_t *id;
	size_t i;

	json_array_foreach(json_object_get(record, "devices"), i, id)
		if (json_is_string(id) && strtoull(json_string_value(id), NULL, 0) == device)
			return true;
	return false;
}

/* What to ask QEMU by is beside the record, whatever the record says. */
static void add_record(json_t *records, const char *parent, const char *name)
{
	char *path = quiver_text("%s/%s/" RECORD, parent, name);
	char *socket = quiver_text("%s/%s/" SOCKET, parent, name);
	json_t *record = read_record(path);

	if (json_is_integer(json_object_get(record, "pid"))) {
		json_object_set_new(record, "socket", json_string(socket));
		json_array_append(records, record);
	}
	json_decref(record);
	free(path);
	free(socket);
}

json_t *quiver_folder_records(void)
{
	const char *parent = fits(temporary_folder()) ? temporary_folder() : "/tmp";
	DIR *folder = opendir(parent);
	json_t *records = json_array();
	struct dirent *entry;

	while (folder && (entry = readdir(folder)))
		if (!strncmp(entry->d_name, PREFIX, strlen(PREFIX)))
			add_record(records, parent, entry->d_name);
	if (folder)
		closedir(folder);
	return records;
}

json_t *quiver_folder_holder(uint64_t device)
{
	json_t *records = quiver_folder_records();
	json_t *record, *holder = NULL;
	size_t i;

	json_array_foreach(records, i, record)
		if (!holder && has_device(record, device))
			holder = json_incref(record);
	json_decref(records);
	return holder;
}
