// SPDX-License-Identifier: BSD-3-Clause
/* The medium: a file, or memory that is one. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nvme.h"

#define DEFAULT_SIZE (UINT64_C(1) << 30)

/*
 * A disk's cache takes its time to drain, and the device must not stand still
 * meanwhile: nor may a driver that waits for it to be quiet.
 */
struct nvme_flusher {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	int fd;
	bool stopping;
	uint64_t asked, done;
	int error;		/* of the last flush */
};

static void *flush_thread(void *argument)
{
	struct nvme_flusher *f = argument;

	pthread_mutex_lock(&f->lock);
	for (;;) {
		uint64_t ticket = f->asked;
		int error;

		if (f->done == ticket) {
			if (f->stopping)
				break;
			pthread_cond_wait(&f->wake, &f->lock);
			continue;
		}
		pthread_mutex_unlock(&f->lock);
		error = fdatasync(f->fd) ? -errno : 0;
		pthread_mutex_lock(&f->lock);
		f->done = ticket;
		f->error = error;
	}
	pthread_mutex_unlock(&f->lock);
	return NULL;
}

static int flusher_start(struct nvme_disk *disk)
{
	struct nvme_flusher *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	f->fd = disk->fd;
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->wake, NULL);
	if (pthread_create(&f->thread, NULL, flush_thread, f)) {
		free(f);
		return -EAGAIN;
	}
	disk->flusher = f;
	return 0;
}

static void flusher_stop(struct nvme_flusher *f)
{
	pthread_mutex_lock(&f->lock);
	f->stopping = true;
	pthread_cond_signal(&f->wake);
	pthread_mutex_unlock(&f->lock);
	pthread_join(f->thread, NULL);
	pthread_cond_destroy(&f->wake);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

uint64_t nvme_disk_flush(struct nvme_disk *disk)
{
	struct nvme_flusher *f = disk->flusher;
	uint64_t ticket;

	pthread_mutex_lock(&f->lock);
	ticket = ++f->asked;
	pthread_cond_signal(&f->wake);
	pthread_mutex_unlock(&f->lock);
	return ticket;
}

bool nvme_disk_flushed(struct nvme_disk *disk, uint64_t ticket, int *error)
{
	struct nvme_flusher *f = disk->flusher;
	bool done;

	pthread_mutex_lock(&f->lock);
	done = f->done >= ticket;
	*error = f->error;
	pthread_mutex_unlock(&f->lock);
	return done;
}

static int open_medium(const char *path)
{
	int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644) :
			memfd_create("nvme disk", MFD_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* size 0: as long as the file is; a file is made longer, never shorter. */
static int set_size(struct nvme_disk *disk, uint64_t size)
{
	struct stat st;

	if (fstat(disk->fd, &st))
		return -errno;
	if (!size)
		size = st.st_size ? (uint64_t)st.st_size : DEFAULT_SIZE;
	disk->blocks = size >> disk->block_shift;
	if (!disk->blocks || size > INT64_MAX)
		return -EINVAL;
	if ((uint64_t)st.st_size < size && ftruncate(disk->fd, (off_t)size))
		return -errno;
	return 0;
}

static int read_options(struct nvme_disk *disk, struct simmac_device *device, uint64_t *size)
{
	const char *cache = simmac_device_option(device, "cache", "writeback");
	uint64_t block;

	if (simmac_device_option_size(device, "size", 0, size) ||
	    simmac_device_option_size(device, "block", 512, &block) ||
	    (block != 512 && block != 4096) ||
	    (strcmp(cache, "writeback") && strcmp(cache, "unsafe")))
		return -EINVAL;
	disk->block_shift = block == 512 ? 9 : 12;
	disk->flushes = !strcmp(cache, "writeback");
	return 0;
}

int nvme_disk_open(struct nvme_disk *disk, struct simmac_device *device)
{
	const char *path = simmac_device_option(device, "file", NULL);
	uint64_t size;
	int ret = read_options(disk, device, &size);

	if (ret)
		return ret;
	disk->fd = open_medium(path);
	if (disk->fd < 0) {
		fprintf(stderr, "simmac: %s: %s: %s\n", device->name, path ? path : "memory",
			strerror(-disk->fd));
		return disk->fd;
	}
	ret = set_size(disk, size);
	if (!ret)
		ret = flusher_start(disk);
	if (ret)
		close(disk->fd);
	return ret;
}

void nvme_disk_close(struct nvme_disk *disk)
{
	flusher_stop(disk->flusher);
	close(disk->fd);
}

int nvme_disk_read(struct nvme_disk *disk, uint64_t lba, void *to, uint32_t length)
{
	off_t at = (off_t)(lba << disk->block_shift);
	uint8_t *byte = to;

	while (length) {
		ssize_t n = pread(disk->fd, byte, length, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		byte += n;
		at += n;
		length -= (uint32_t)n;
	}
	return 0;
}

int nvme_disk_write(struct nvme_disk *disk, uint64_t lba, const void *from, uint32_t length)
{
	off_t at = (off_t)(lba << disk->block_shift);
	const uint8_t *byte = from;

	while (length) {
		ssize_t n = pwrite(disk->fd, byte, length, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -ENOSPC;
		byte += n;
		at += n;
		length -= (uint32_t)n;
	}
	return 0;
}

static bool punch(struct nvme_disk *disk, uint64_t lba, uint64_t blocks)
{
	return !fallocate(disk->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			  (off_t)(lba << disk->block_shift), (off_t)(blocks << disk->block_shift));
}

int nvme_disk_zero(struct nvme_disk *disk, uint64_t lba, uint64_t blocks)
{
	static const uint8_t zeros[65536];
	uint64_t step = sizeof(zeros) >> disk->block_shift;
	int ret = 0;

	if (punch(disk, lba, blocks))
		return 0;
	for (; blocks && !ret; blocks -= step, lba += step) {
		step = step < blocks ? step : blocks;
		ret = nvme_disk_write(disk, lba, zeros, (uint32_t)(step << disk->block_shift));
	}
	return ret;
}

/* Advice: a medium that cannot forget blocks keeps them. */
void nvme_disk_discard(struct nvme_disk *disk, uint64_t lba, uint64_t blocks)
{
	if (blocks)
		punch(disk, lba, blocks);
}

int nvme_disk_sync(struct nvme_disk *disk)
{
	return disk->flushes && fdatasync(disk->fd) ? -errno : 0;
}
