// SPDX-License-Identifier: BSD-3-Clause
/* Where a record lies, and how it gets there: a Mac that goes down in the next moment has it. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../cli.h"
#include "record.h"

char *quiver_probe_record_path(const struct quiver_device_info *info)
{
	const char *home = getenv("HOME");

	if (!home || !*home)
		return NULL;
	return quiver_text("%s/.local/state/quiver/probe-%04x-%04x.json", home,
			   info->identity.vendor, info->identity.device);
}

/* Of macOS, fsync() leaves it in the disk's cache. */
static int flush(int fd)
{
#ifdef F_FULLFSYNC
	if (!fcntl(fd, F_FULLFSYNC))
		return 0;
#endif
	return fsync(fd) ? -errno : 0;
}

static int make_folders(const char *path)
{
	char *copy = quiver_text("%s", path);
	int error = 0;

	for (char *slash = copy + 1; !error && (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		if (mkdir(copy, 0700) && errno != EEXIST)
			error = -errno;
		*slash = '/';
	}
	free(copy);
	return error;
}

/* It is never removed: whoever waits for one that is gone has another than who makes it anew. */
int quiver_probe_record_lock(struct quiver_probe_record *record)
{
	char *path;
	int error;

	record->lock = -1;
	if (!record->path)
		return 0;
	error = make_folders(record->path);
	if (error)
		return error;
	path = quiver_text("%s.lock", record->path);
	record->lock = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (record->lock < 0 || flock(record->lock, LOCK_EX | LOCK_NB))
		error = errno == EWOULDBLOCK ? -EBUSY : -errno;
	free(path);
	return error;
}

void quiver_probe_record_free(struct quiver_probe_record *record)
{
	if (record->lock >= 0)
		close(record->lock);
	json_decref(record->json);
	free(record->path);
}

static int flush_folder(const char *path)
{
	char *copy = quiver_text("%s", path);
	int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC), error;

	free(copy);
	if (fd < 0)
		return -errno;
	error = flush(fd);
	close(fd);
	/* Not all file systems can do that to a folder. */
	return error == -EINVAL ? 0 : error;
}

static int write_new(const char *path, const json_t *json)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600), error;

	if (fd < 0)
		return -errno;
	errno = EIO;
	if (json_dumpfd(json, fd, JSON_INDENT(2)) || write(fd, "\n", 1) != 1)
		error = -errno;
	else
		error = flush(fd);
	if (close(fd) && !error)
		error = -errno;
	return error;
}

int quiver_probe_record_save(const struct quiver_probe_record *record)
{
	char *new;
	int error;

	if (!record->path)
		return 0;
	error = make_folders(record->path);
	if (error)
		return error;
	new = quiver_text("%s.new", record->path);
	error = write_new(new, record->json);
	if (!error && rename(new, record->path))
		error = -errno;
	if (!error)
		error = flush_folder(record->path);
	else
		unlink(new);
	free(new);
	return error;
}
