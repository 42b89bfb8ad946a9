// SPDX-License-Identifier: BSD-3-Clause
#include "image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"

#define FORMAT		1
#define LOCK_TRIES	10

bool quiver_image_name_valid(const char *name)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	size_t length = strlen(name);

	return length && length <= QUIVER_IMAGE_NAME_MAX && length == strspn(name, plain) &&
	       !strchr("._-", *name);
}

char *quiver_images_folder(void)
{
	const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");

	/* The XDG specification wants a relative one passed over. */
	if (data && *data == '/')
		return quiver_text("%s/quiver/images", data);
	if (home && *home == '/')
		return quiver_text("%s/.local/share/quiver/images", home);
	quiver_error("there is no folder for images: set $HOME or $XDG_DATA_HOME");
	return NULL;
}

static int open_regular(const char *path)
{
	struct stat about;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return errno == ENOENT || errno == ELOOP ? -EBADMSG : -errno;
	if (!fstat(fd, &about) && S_ISREG(about.st_mode))
		return fd;
	close(fd);
	return -EBADMSG;
}

static int check_file(const char *path)
{
	struct stat about;

	if (lstat(path, &about))
		return errno == ENOENT ? -EBADMSG : -errno;
	return S_ISREG(about.st_mode) ? 0 : -EBADMSG;
}

static bool all_strings(const json_t *array)
{
	const json_t *item;
	size_t i;

	json_array_foreach(array, i, item)
		if (!json_is_string(item))
			return false;
	return true;
}

static int check_json(struct quiver_image *image)
{
	const char *name, *suite, *arch, *kernel, *built, *quiver;
	json_int_t format, bytes;
	json_t *with, *sums;

	if (json_unpack(image->json, "{s:I s:s s:s s:s s:s s:s s:s s:s s:s s:o s:I s:o}", "format", &format,
			"name", &name, "suite", &suite, "arch", &arch, "kernel", &kernel, "append",
			&image->append, "user", &image->user, "built", &built, "quiver", &quiver, "with", &with,
			"disk_bytes", &bytes, "sha256", &sums))
		return -EBADMSG;
	return format == FORMAT && bytes > 0 && json_is_array(with) && all_strings(with) &&
	       json_is_object(sums) ? 0 : -EBADMSG;
}

static int read_json(struct quiver_image *image)
{
	char *path = quiver_text("%s/image.json", image->folder);
	int fd = open_regular(path);

	free(path);
	if (fd < 0)
		return fd;
	image->json = json_loadfd(fd, JSON_REJECT_DUPLICATES, NULL);
	close(fd);
	return image->json ? check_json(image) : -EBADMSG;
}

/* The folder itself, not what a link leads to. */
static int check_folder(const char *folder)
{
	struct stat about;

	if (lstat(folder, &about))
		return -errno;
	return S_ISDIR(about.st_mode) ? 0 : -EBADMSG;
}

int quiver_image_find(const char *name, struct quiver_image *image)
{
	char *images;
	int error;

	*image = (struct quiver_image){ .lock = -1 };
	if (!quiver_image_name_valid(name))
		return -EINVAL;
	images = quiver_images_folder();
	if (!images)
		return -ENOENT;
	image->name = quiver_text("%s", name);
	image->folder = quiver_text("%s/%s", images, name);
	image->disk = quiver_text("%s/disk.raw", image->folder);
	image->kernel = quiver_text("%s/vmlinuz", image->folder);
	image->initrd = quiver_text("%s/initrd", image->folder);
	free(images);
	error = check_folder(image->folder);
	if (error)
		quiver_image_close(image);
	return error;
}

int quiver_image_open(const char *name, struct quiver_image *image)
{
	int error = quiver_image_find(name, image);

	if (error)
		return error;
	error = read_json(image);
	if (!error)
		error = check_file(image->disk);
	if (!error)
		error = check_file(image->kernel);
	if (!error)
		error = check_file(image->initrd);
	if (error)
		quiver_image_close(image);
	return error;
}

/* Who only looks whether it is locked has the lock for a moment: that is no reason to give up. */
static int wait_for_lock(int fd)
{
	const struct timespec pause = { .tv_nsec = 20000000 };

	for (int i = 0; flock(fd, LOCK_EX | LOCK_NB); i++) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		if (i == LOCK_TRIES)
			return -EBUSY;
		nanosleep(&pause, NULL);
	}
	return 0;
}

/* A lock on a file that has been removed, or renamed with its folder, keeps nobody out. */
static int check_lock(int fd, const char *path)
{
	struct stat ours, there;

	if (fstat(fd, &ours) || stat(path, &there))
		return -errno;
	return ours.st_ino == there.st_ino && ours.st_dev == there.st_dev ? 0 : -ENOENT;
}

int quiver_image_lock(struct quiver_image *image)
{
	char *path = quiver_text("%s/lock", image->folder);
	int error;

	/* Not O_CLOEXEC: who is started with the image keeps it. */
	image->lock = open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
	error = image->lock < 0 ? -errno : wait_for_lock(image->lock);
	if (!error)
		error = check_lock(image->lock, path);
	if (error && image->lock >= 0) {
		close(image->lock);
		image->lock = -1;
	}
	free(path);
	return error;
}

bool quiver_image_in_use(const struct quiver_image *image)
{
	char *path = quiver_text("%s/lock", image->folder);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	bool used = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) && errno == EWOULDBLOCK;

	if (fd >= 0)
		close(fd);
	free(path);
	return used;
}

void quiver_image_close(struct quiver_image *image)
{
	if (image->lock >= 0)
		close(image->lock);
	json_decref(image->json);
	free(image->name);
	free(image->folder);
	free(image->disk);
	free(image->kernel);
	free(image->initrd);
	*image = (struct quiver_image){ .lock = -1 };
}

char *quiver_image_problem(const char *name, int error)
{
	switch (error) {
	case -EINVAL:
		return quiver_text("'%s' is no name for an image: letters, digits and ._- after a letter or "
				   "digit, at most %d", name, QUIVER_IMAGE_NAME_MAX);
	case -ENOENT:
		return quiver_text("there is no image '%s'; 'quiver image list' shows those that are there",
				   name);
	case -EBADMSG:
		return quiver_text("the image '%s' is damaged, or of another version of quiver", name);
	case -EBUSY:
		return quiver_text("the image '%s' is in use", name);
	default:
		return quiver_text("the image '%s' cannot be used: %s", name, strerror(-error));
	}
}
