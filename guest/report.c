// SPDX-License-Identifier: GPL-2.0-only
/* Failures are counted each, and logged in episodes: a line when one begins, one at its end. */
#include <linux/jiffies.h>

#include "quiver.h"

/* An episode is over when there was no failure for so long. */
#define QUIET (10 * HZ)

const char *const quiver_failure_names[QUIVER_FAILURES] = {
	[QUIVER_FAILURE_BYTES] = "bytes",
	[QUIVER_FAILURE_MAPPINGS] = "mappings",
	[QUIVER_FAILURE_MEMORY] = "memory",
	[QUIVER_FAILURE_MASK] = "mask",
	[QUIVER_FAILURE_ADDRESS] = "address",
	[QUIVER_FAILURE_GONE] = "gone",
	[QUIVER_FAILURE_INVALID] = "invalid",
	[QUIVER_FAILURE_HOST] = "host",
};

/* But for GONE, which opens no episode. */
static const char *const explanations[QUIVER_FAILURES] = {
	[QUIVER_FAILURE_BYTES] = "the host can map no more memory",
	[QUIVER_FAILURE_MAPPINGS] = "the host has no more mappings",
	[QUIVER_FAILURE_MEMORY] = "out of memory",
	[QUIVER_FAILURE_MASK] = "the host's address is beyond the device's reach",
	[QUIVER_FAILURE_ADDRESS] = "not system memory, and peer-to-peer DMA is not available",
	[QUIVER_FAILURE_INVALID] = "not a range of memory",
	[QUIVER_FAILURE_HOST] = "the host could not map it",
};

static enum quiver_failure failure_of(int error)
{
	switch (error) {
	case -E2BIG:
		return QUIVER_FAILURE_BYTES;
	case -ENOSPC:
		return QUIVER_FAILURE_MAPPINGS;
	case -ENOMEM:
		return QUIVER_FAILURE_MEMORY;
	case -ERANGE:
		return QUIVER_FAILURE_MASK;
	case -EFAULT:
		return QUIVER_FAILURE_ADDRESS;
	case -ENODEV:
		return QUIVER_FAILURE_GONE;
	case -EINVAL:
		return QUIVER_FAILURE_INVALID;
	default:
		return QUIVER_FAILURE_HOST;
	}
}

/* What has failed since the last closing line, as "2 bytes, 1 mask"; how many. */
static u64 sum_up(struct quiver_device *qdev, char *text, size_t size)
{
	struct quiver_episode *episode = &qdev->episode;
	u64 total = 0;
	size_t at = 0;
	int i;

	for (i = 0; i < QUIVER_FAILURES; i++) {
		u64 count = atomic64_read(&qdev->failures[i]) - episode->told[i];

		if (!count)
			continue;
		at += scnprintf(text + at, size - at, "%s%llu %s", total ? ", " : "", count,
				quiver_failure_names[i]);
		episode->told[i] += count;
		total += count;
	}
	return total;
}

/* One that fails from here on begins the next; it may have been counted in this one. */
static void end_episode(struct quiver_device *qdev)
{
	struct quiver_episode *episode = &qdev->episode;
	unsigned long took = READ_ONCE(episode->last) - episode->began;
	char causes[160] = "";
	u64 total;

	if (!xchg(&episode->open, false))
		return;
	total = sum_up(qdev, causes, sizeof(causes));
	if (total > 1)
		pci_warn(qdev->pdev, "quiver: %llu maps have failed in %u ms: %s\n", total,
			 jiffies_to_msecs(took), causes);
}

static void look_for_end(struct work_struct *work)
{
	struct quiver_episode *episode = container_of(to_delayed_work(work),
						      struct quiver_episode, end);
	struct quiver_device *qdev = container_of(episode, struct quiver_device, episode);
	unsigned long end = READ_ONCE(episode->last) + QUIET;

	if (time_before(jiffies, end))
		schedule_delayed_work(&episode->end, end - jiffies);
	else
		end_episode(qdev);
}

void quiver_report_init(struct quiver_device *qdev)
{
	INIT_DELAYED_WORK(&qdev->episode.end, look_for_end);
}

void quiver_report_exit(struct quiver_device *qdev)
{
	cancel_delayed_work_sync(&qdev->episode.end);
	end_episode(qdev);
}

void quiver_report_failure(struct quiver_device *qdev, int error, size_t size)
{
	enum quiver_failure failure = failure_of(error);
	struct quiver_episode *episode = &qdev->episode;

	atomic64_inc(&qdev->failures[failure]);
	/* Its end has been logged, and each map fails from then on. */
	if (failure == QUIVER_FAILURE_GONE)
		return;
	WRITE_ONCE(episode->last, jiffies);
	if (READ_ONCE(episode->open) || xchg(&episode->open, true))
		return;
	episode->began = jiffies;
	pci_warn(qdev->pdev, "quiver: cannot map %zu bytes for DMA: %s\n", size,
		 explanations[failure]);
	schedule_delayed_work(&episode->end, QUIET);
}

void quiver_report_bad_unmap(struct quiver_device *qdev, dma_addr_t iova)
{
	if (__ratelimit(&qdev->ratelimit))
		pci_warn(qdev->pdev, "quiver: the driver unmaps %pad, which is not mapped\n",
			 &iova);
}
