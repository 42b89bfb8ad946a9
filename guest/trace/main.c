// SPDX-License-Identifier: GPL-2.0-only
/* The device that a recording is read from. It shows physical addresses: for root alone. */
#include <linux/fs.h>
#include <linux/log2.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "trace.h"

/* An open file. */
struct reader {
	struct mutex lock;		/* of all below */
	struct quiver_trace_recording *recording;	/* NULL: not started yet */
	bool recording_now;
};

static atomic_t opened = ATOMIC_INIT(0);

static int open(struct inode *inode, struct file *file)
{
	struct reader *reader;

	if (atomic_cmpxchg(&opened, 0, 1))
		return -EBUSY;
	reader = kzalloc(sizeof(*reader), GFP_KERNEL);
	if (!reader) {
		atomic_set(&opened, 0);
		return -ENOMEM;
	}
	mutex_init(&reader->lock);
	file->private_data = reader;
	return stream_open(inode, file);
}

static void free_recording(struct quiver_trace_recording *recording)
{
	if (recording)
		quiver_trace_ring_fini(&recording->ring);
	kfree(recording);
}

static struct quiver_trace_recording *make_recording(const struct quiver_trace_start *start)
{
	struct quiver_trace_recording *recording = kzalloc(sizeof(*recording), GFP_KERNEL);

	if (!recording)
		return NULL;
	recording->device = start->device;
	if (quiver_trace_ring_init(&recording->ring, start->ring_words)) {
		kfree(recording);
		return NULL;
	}
	return recording;
}

static int start_locked(struct reader *reader, const struct quiver_trace_start *start)
{
	int error;

	if (reader->recording)
		return -EBUSY;
	if (!is_power_of_2(start->ring_words) || start->ring_words < QUIVER_TRACE_RING_MIN ||
	    start->ring_words > QUIVER_TRACE_RING_MAX)
		return -EINVAL;
	reader->recording = make_recording(start);
	if (!reader->recording)
		return -ENOMEM;
	error = quiver_trace_probes_start(reader->recording);
	if (error) {
		free_recording(reader->recording);
		reader->recording = NULL;
		return error;
	}
	reader->recording_now = true;
	return 0;
}

static void stop_locked(struct reader *reader)
{
	if (reader->recording_now)
		quiver_trace_probes_stop(reader->recording);
	reader->recording_now = false;
}

static struct quiver_trace_counters count_locked(const struct reader *reader)
{
	const struct quiver_trace_recording *recording = reader->recording;

	if (!recording)
		return (struct quiver_trace_counters){ 0 };
	return (struct quiver_trace_counters){
		.maps = atomic64_read(&recording->maps),
		.unmaps = atomic64_read(&recording->unmaps),
		.segments = atomic64_read(&recording->segments),
		.lost_maps = atomic64_read(&recording->lost_maps),
		.lost_unmaps = atomic64_read(&recording->lost_unmaps),
		.lost_segments = atomic64_read(&recording->lost_segments),
		.failed = atomic64_read(&recording->failed),
		.coherent = atomic64_read(&recording->coherent),
		.mmio = atomic64_read(&recording->mmio),
	};
}

static long ioctl_locked(struct reader *reader, unsigned int command, void __user *argument)
{
	struct quiver_trace_counters counters;
	struct quiver_trace_start start;

	switch (command) {
	case QUIVER_TRACE_START:
		if (copy_from_user(&start, argument, sizeof(start)))
			return -EFAULT;
		return start_locked(reader, &start);
	case QUIVER_TRACE_STOP:
		stop_locked(reader);
		return 0;
	case QUIVER_TRACE_COUNT:
		counters = count_locked(reader);
		return copy_to_user(argument, &counters, sizeof(counters)) ? -EFAULT : 0;
	default:
		return -ENOTTY;
	}
}

static long ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	struct reader *reader = file->private_data;
	long result;

	mutex_lock(&reader->lock);
	result = ioctl_locked(reader, command, (void __user *)argument);
	mutex_unlock(&reader->lock);
	return result;
}

/* In whole words: the rest of a buffer that is no multiple of them stays as it is. */
static ssize_t read_locked(struct reader *reader, char __user *to, size_t size)
{
	ssize_t words;

	if (!reader->recording)
		return -EAGAIN;
	if (size < sizeof(u64))
		return -EINVAL;
	words = quiver_trace_ring_read(&reader->recording->ring, (u64 __user *)to,
				       size / sizeof(u64));
	if (words)
		return words < 0 ? words : words * sizeof(u64);
	return reader->recording_now ? -EAGAIN : 0;
}

static ssize_t read(struct file *file, char __user *to, size_t size, loff_t *unused)
{
	struct reader *reader = file->private_data;
	ssize_t result;

	mutex_lock(&reader->lock);
	result = read_locked(reader, to, min_t(size_t, size, MAX_RW_COUNT));
	mutex_unlock(&reader->lock);
	return result;
}

static int release(struct inode *inode, struct file *file)
{
	struct reader *reader = file->private_data;

	stop_locked(reader);
	free_recording(reader->recording);
	kfree(reader);
	atomic_set(&opened, 0);
	return 0;
}

static const struct file_operations file_operations = {
	.owner = THIS_MODULE,
	.open = open,
	.release = release,
	.read = read,
	.unlocked_ioctl = ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static struct miscdevice device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = QUIVER_TRACE_DEVICE,
	.fops = &file_operations,
	.mode = 0600,
};

module_misc_device(device);

MODULE_DESCRIPTION("Records what drivers map for DMA");
MODULE_LICENSE("GPL");
