// SPDX-License-Identifier: GPL-2.0-only
/* Failures are counted each, and logged once until a map succeeds again. */
#include "quiver.h"

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

static const char *const explanations[QUIVER_FAILURES] = {
	[QUIVER_FAILURE_BYTES] = "the host can map no more memory",
	[QUIVER_FAILURE_MAPPINGS] = "the host has no more mappings",
	[QUIVER_FAILURE_MEMORY] = "out of memory",
	[QUIVER_FAILURE_MASK] = "the host's address is beyond the device's reach",
	[QUIVER_FAILURE_ADDRESS] = "not system memory, and peer-to-peer DMA is not available",
	[QUIVER_FAILURE_GONE] = "the device is gone",
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

void quiver_report_failure(struct quiver_device *qdev, int error, size_t size)
{
	enum quiver_failure failure = failure_of(error);

	atomic64_inc(&qdev->failures[failure]);
	if (!xchg(&qdev->failing, true) && __ratelimit(&qdev->ratelimit))
		pci_warn(qdev->pdev, "quiver: cannot map %zu bytes for DMA: %s\n", size,
			 explanations[failure]);
}

void quiver_report_bad_unmap(struct quiver_device *qdev, dma_addr_t iova)
{
	if (__ratelimit(&qdev->ratelimit))
		pci_warn(qdev->pdev, "quiver: the driver unmaps %pad, which is not mapped\n",
			 &iova);
}
