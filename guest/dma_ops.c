// SPDX-License-Identifier: GPL-2.0-only
/*
 * Streaming DMA. Callbacks come from any context and from all CPUs at once
 * [G2]. A mapping is shared by whatever lies in the same window, so directions
 * and attributes are not kept. Memory is coherent for the devices: the sync
 * callbacks are left out, which tells the DMA API that nothing is to be synced.
 */
#include <linux/scatterlist.h>
#include <linux/sizes.h>

#include "quiver.h"

/* What the device can reach; boundary is a mask that no segment may cross. */
struct reach {
	u64 mask;
	u64 boundary;
};

static u64 streaming_mask(struct device *dev)
{
	return min_not_zero(dma_get_mask(dev), dev->bus_dma_limit);
}

/* Address 0 is "not mapped" to some drivers [G4]. */
static bool reachable(u64 iova, size_t size, struct reach reach)
{
	u64 last = iova + (size - 1);

	return iova && last >= iova && last <= reach.mask && (iova | reach.boundary) >= last;
}

static int resolve(const struct quiver_window *window, phys_addr_t phys, size_t size,
		   struct reach reach, u64 *iova)
{
	int error = quiver_window_resolve(window, phys, iova);

	if (error)
		return error;
	return reachable(*iova, size, reach) ? 0 : -ERANGE;
}

/*
 * A window that is beyond the device's reach would be found again by the next try, and must not:
 * at another bus address it may do.
 */
static void drop(struct quiver_device *qdev, struct quiver_window *window, phys_addr_t phys,
		 size_t size, int error)
{
	struct quiver_op op;

	quiver_op_begin(&op, &qdev->space);
	op.discard = error == -ERANGE;
	quiver_op_drop(&op, window, phys, size);
	quiver_op_submit(&op);
}

static bool ended(const struct quiver_device *qdev)
{
	return READ_ONCE(qdev->dead) || READ_ONCE(qdev->quiver->failed);
}

/*
 * Whether it lies in the aperture, where the device can reach it: then there is
 * nothing to do, and nothing to undo.
 */
static __always_inline bool place(const struct quiver_device *qdev, phys_addr_t phys, size_t size,
				  struct reach reach, u64 *iova)
{
	return quiver_aperture_to_iova(&qdev->view, phys, size, iova) &&
	       reachable(*iova, size, reach) && !ended(qdev);
}

static __always_inline bool is_placed(const struct quiver_device *qdev, dma_addr_t iova)
{
	return quiver_aperture_has_iova(&qdev->view, iova);
}

static __always_inline void count_placed(struct quiver_device *qdev, u64 segments, u64 bytes)
{
	this_cpu_add(qdev->counts->segments, segments);
	this_cpu_add(qdev->counts->bytes, bytes);
}

/* How one map, or one scatterlist, was tried. */
struct attempt {
	bool exact, vital;	/* in */
	bool generous;		/* out */
};

static int map_once(struct quiver_device *qdev, phys_addr_t phys, size_t size,
		    struct reach reach, struct attempt *attempt, u64 *iova)
{
	struct quiver_window *window;
	struct quiver_op op;
	int error;

	quiver_op_begin(&op, &qdev->space);
	op.exact = attempt->exact;
	op.vital = attempt->vital;
	quiver_op_expect(&op, phys, size);
	quiver_op_add(&op, phys, size, &window);
	error = quiver_op_submit(&op);
	attempt->generous = op.generous;
	if (error)
		return error;
	error = resolve(window, phys, size, reach, iova);
	if (error)
		drop(qdev, window, phys, size, error);
	return error;
}

/* Apart, so that what is placed does not pay for the room that this takes. */
static noinline int map_window(struct quiver_device *qdev, phys_addr_t phys, size_t size,
			       struct reach reach, bool vital, u64 *iova)
{
	struct attempt attempt = { .vital = vital && size <= QUIVER_DMA_VITAL_MAX };
	int error = -ENODEV;

	if (!ended(qdev))
		error = map_once(qdev, phys, size, reach, &attempt, iova);
	attempt.exact = quiver_exact_may_do(attempt.generous, error);
	if (attempt.exact)
		error = map_once(qdev, phys, size, reach, &attempt, iova);
	if (error)
		quiver_report_failure(qdev, error, size);
	return error;
}

int quiver_dma_map(struct quiver_device *qdev, phys_addr_t phys, size_t size, u64 mask,
		   bool vital, dma_addr_t *iova)
{
	struct reach reach = { mask, U64_MAX };
	u64 address;
	int error = 0;

	if (place(qdev, phys, size, reach, &address))
		count_placed(qdev, 1, size);
	else
		error = map_window(qdev, phys, size, reach, vital, &address);
	if (!error)
		*iova = address;
	return error;
}

static noinline void unmap_window(struct quiver_device *qdev, dma_addr_t iova, size_t size)
{
	struct quiver_op op;
	bool known;

	quiver_op_begin(&op, &qdev->space);
	known = quiver_op_remove(&op, iova, size);
	quiver_op_submit(&op);
	if (!known)
		quiver_report_bad_unmap(qdev, iova);
}

void quiver_dma_unmap(struct quiver_device *qdev, dma_addr_t iova, size_t size)
{
	if (is_placed(qdev, iova))
		this_cpu_inc(qdev->counts->removed);
	else
		unmap_window(qdev, iova, size);
}

/*
 * A driver's own work, by which it may recover, is done in interrupts and kernel threads. What
 * programs ask for, however small, must leave it the reserve.
 */
static bool is_own_work(void)
{
	return !in_task() || current->flags & PF_KTHREAD;
}

static dma_addr_t map_phys(struct device *dev, phys_addr_t phys, size_t size,
			   enum dma_data_direction dir, unsigned long attrs)
{
	struct quiver_device *qdev = quiver_device_of(dev);
	struct reach reach = { streaming_mask(dev), U64_MAX };
	u64 iova;

	if (place(qdev, phys, size, reach, &iova))
		count_placed(qdev, 1, size);
	else if (map_window(qdev, phys, size, reach, is_own_work(), &iova))
		return DMA_MAPPING_ERROR;
	return iova;
}

static void unmap_phys(struct device *dev, dma_addr_t iova, size_t size,
		       enum dma_data_direction dir, unsigned long attrs)
{
	quiver_dma_unmap(quiver_device_of(dev), iova, size);
}

#ifndef QUIVER_HAVE_MAP_PHYS
static dma_addr_t map_page(struct device *dev, struct page *page, unsigned long offset,
			   size_t size, enum dma_data_direction dir, unsigned long attrs)
{
	return map_phys(dev, page_to_phys(page) + offset, size, dir, attrs);
}
#endif

/*
 * Until the addresses are known, an entry's DMA address holds its window, unless
 * it is placed: then it has a length. That saves an array that would have to be
 * allocated in atomic context.
 */
static bool sg_is_placed(struct scatterlist *sg)
{
	return sg_dma_len(sg);
}

static void sg_set_window(struct scatterlist *sg, struct quiver_window *window)
{
	sg_dma_address(sg) = (uintptr_t)window;
	sg_dma_len(sg) = 0;
}

static struct quiver_window *sg_window(struct scatterlist *sg)
{
	return (struct quiver_window *)(uintptr_t)sg_dma_address(sg);
}

/* How many entries are not in the aperture. */
static int sg_place_all(struct quiver_device *qdev, struct scatterlist *sgl, int nents,
			struct reach reach)
{
	struct scatterlist *sg;
	u64 iova, bytes = 0;
	int i, left = 0;

	for_each_sg(sgl, sg, nents, i) {
		if (place(qdev, sg_phys(sg), sg->length, reach, &iova)) {
			sg_dma_address(sg) = iova;
			sg_dma_len(sg) = sg->length;
			bytes += sg->length;
		} else {
			sg_set_window(sg, NULL);
			left++;
		}
	}
	count_placed(qdev, nents - left, bytes);
	return left;
}

/*
 * Announces and adds up to count entries, but for those that are placed. Those
 * after an error have no window.
 */
static struct scatterlist *sg_add(struct quiver_device *qdev, struct scatterlist *sgl, int count,
				  struct attempt *attempt, int *error)
{
	struct quiver_window *window;
	struct scatterlist *sg;
	struct quiver_op op;
	int i;

	quiver_op_begin(&op, &qdev->space);
	op.exact = attempt->exact;
	for_each_sg(sgl, sg, count, i)
		if (!sg_is_placed(sg))
			quiver_op_expect(&op, sg_phys(sg), sg->length);
	for_each_sg(sgl, sg, count, i) {
		if (sg_is_placed(sg))
			continue;
		window = NULL;
		if (!op.error && !*error)
			quiver_op_add(&op, sg_phys(sg), sg->length, &window);
		sg_set_window(sg, window);
	}
	*error = quiver_op_submit(&op) ?: *error;
	attempt->generous |= op.generous;
	return sg;
}

static int sg_add_all(struct quiver_device *qdev, struct scatterlist *sgl, int nents,
		      struct attempt *attempt)
{
	int count, error = 0;

	for (; nents; nents -= count) {
		count = min_t(int, nents, QUIVER_OP_SEGMENTS);
		sgl = sg_add(qdev, sgl, count, attempt, &error);
	}
	return error;
}

/* Goes on after an error: nothing may be dropped before it is resolved. */
static int sg_resolve_all(struct scatterlist *sgl, int nents, struct reach reach)
{
	struct scatterlist *sg;
	int result = 0, error, i;
	u64 iova;

	for_each_sg(sgl, sg, nents, i) {
		if (sg_is_placed(sg) || !sg_window(sg))
			continue;
		error = resolve(sg_window(sg), sg_phys(sg), sg->length, reach, &iova);
		if (!result)
			result = error;
	}
	return result;
}

static struct scatterlist *sg_drop(struct quiver_device *qdev, struct scatterlist *sgl, int count,
				   int error)
{
	struct scatterlist *sg;
	struct quiver_op op;
	int i, placed = 0;

	quiver_op_begin(&op, &qdev->space);
	op.discard = error == -ERANGE;
	for_each_sg(sgl, sg, count, i) {
		if (sg_is_placed(sg))
			placed++;
		else
			quiver_op_drop(&op, sg_window(sg), sg_phys(sg), sg->length);
		sg_dma_len(sg) = 0;
		sg_dma_address(sg) = DMA_MAPPING_ERROR;
	}
	quiver_op_submit(&op);
	this_cpu_add(qdev->counts->removed, placed);
	return sg;
}

static void sg_drop_all(struct quiver_device *qdev, struct scatterlist *sgl, int nents, int error)
{
	int count;

	for (; nents; nents -= count) {
		count = min_t(int, nents, QUIVER_OP_SEGMENTS);
		sgl = sg_drop(qdev, sgl, count, error);
	}
}

static int sg_map_once(struct quiver_device *qdev, struct scatterlist *sgl, int nents,
		       struct reach reach, struct attempt *attempt)
{
	int error, unresolved;

	if (!sg_place_all(qdev, sgl, nents, reach))
		return 0;
	error = sg_add_all(qdev, sgl, nents, attempt);
	unresolved = sg_resolve_all(sgl, nents, reach);
	error = error ?: unresolved;
	if (error)
		sg_drop_all(qdev, sgl, nents, error);
	return error;
}

static void sg_publish_all(struct scatterlist *sgl, int nents)
{
	struct scatterlist *sg;
	u64 iova;
	int i;

	for_each_sg(sgl, sg, nents, i) {
		if (sg_is_placed(sg))
			continue;
		quiver_window_resolve(sg_window(sg), sg_phys(sg), &iova);
		sg_dma_address(sg) = iova;
		sg_dma_len(sg) = sg->length;
	}
}

static size_t sg_bytes(struct scatterlist *sgl, int nents)
{
	struct scatterlist *sg;
	size_t bytes = 0;
	int i;

	for_each_sg(sgl, sg, nents, i)
		bytes += sg->length;
	return bytes;
}

/* What dma_map_sgtable() may return. */
static int sg_error(int error)
{
	switch (error) {
	case -E2BIG:
	case -ENOSPC:
	case -ENOMEM:
		return -ENOMEM;
	case -EINVAL:
		return -EINVAL;
	default:
		return -EIO;
	}
}

/* Entries are never merged: each comes back contiguous and in its place [G4]. */
static int map_sg(struct device *dev, struct scatterlist *sgl, int nents,
		  enum dma_data_direction dir, unsigned long attrs)
{
	struct quiver_device *qdev = quiver_device_of(dev);
	struct reach reach = { streaming_mask(dev), dma_get_seg_boundary(dev) };
	struct attempt attempt = { .exact = false };
	int error = -ENODEV;

	if (!ended(qdev))
		error = sg_map_once(qdev, sgl, nents, reach, &attempt);
	attempt.exact = quiver_exact_may_do(attempt.generous, error);
	if (attempt.exact)
		error = sg_map_once(qdev, sgl, nents, reach, &attempt);
	if (error) {
		quiver_report_failure(qdev, error, sg_bytes(sgl, nents));
		return sg_error(error);
	}
	sg_publish_all(sgl, nents);
	return nents;
}

/* The first entry that was not placed, and how many there are from there on. */
static struct scatterlist *sg_skip_placed(struct quiver_device *qdev, struct scatterlist *sgl,
					  int *nents)
{
	int all = *nents;

	for (; *nents && is_placed(qdev, sg_dma_address(sgl)); (*nents)--)
		sgl = sg_next(sgl);
	this_cpu_add(qdev->counts->removed, all - *nents);
	return sgl;
}

static struct scatterlist *sg_remove(struct quiver_device *qdev, struct scatterlist *sgl,
				     int count, dma_addr_t *unknown)
{
	struct scatterlist *sg;
	struct quiver_op op;
	int i, placed = 0;

	quiver_op_begin(&op, &qdev->space);
	for_each_sg(sgl, sg, count, i) {
		if (is_placed(qdev, sg_dma_address(sg)))
			placed++;
		else if (!quiver_op_remove(&op, sg_dma_address(sg), sg->length))
			*unknown = sg_dma_address(sg);
	}
	quiver_op_submit(&op);
	this_cpu_add(qdev->counts->removed, placed);
	return sg;
}

static void unmap_sg(struct device *dev, struct scatterlist *sgl, int nents,
		     enum dma_data_direction dir, unsigned long attrs)
{
	struct quiver_device *qdev = quiver_device_of(dev);
	dma_addr_t unknown = DMA_MAPPING_ERROR;
	int count;

	sgl = sg_skip_placed(qdev, sgl, &nents);
	for (; nents; nents -= count) {
		count = min_t(int, nents, QUIVER_OP_SEGMENTS);
		sgl = sg_remove(qdev, sgl, count, &unknown);
	}
	if (unknown != DMA_MAPPING_ERROR)
		quiver_report_bad_unmap(qdev, unknown);
}

/* The host alone knows how high its addresses go; what is out of reach fails by itself [G9]. */
static int dma_mask_supported(struct device *dev, u64 mask)
{
	return 1;
}

/*
 * More than 32 bits, so that drivers choose the wider of two masks; no more
 * than that, or one with 36 bits or 47 [G9] counts as limited in addressing.
 */
static u64 get_required_mask(struct device *dev)
{
	return DMA_BIT_MASK(33);
}

/* Never 0, by which drivers divide. */
static size_t max_mapping_size(struct device *dev)
{
	struct quiver *quiver = quiver_device_of(dev)->quiver;

	if (!quiver->status || READ_ONCE(quiver->failed))
		return SIZE_MAX;
	return max_t(u64, quiver_queue_bytes_most(quiver), PAGE_SIZE);
}

/* A full batch in the worst case, a window for each 4 KiB: more takes another exit. */
static size_t opt_mapping_size(void)
{
	return SZ_16M;
}

/*
 * A BAR is not system memory and the host will say so; without map_resource a
 * raw BAR address would be taken for the device's [G4].
 */
const struct dma_map_ops quiver_dma_ops = {
	.alloc = quiver_coherent_alloc,
	.free = quiver_coherent_free,
	.quiver_ops_alloc_pages = quiver_coherent_alloc_pages,
	.free_pages = quiver_coherent_free_pages,
	.mmap = quiver_coherent_mmap,
	.get_sgtable = quiver_coherent_get_sgtable,
#ifdef QUIVER_HAVE_MAP_PHYS
	.map_phys = map_phys,
	.unmap_phys = unmap_phys,
#else
	.map_page = map_page,
	.unmap_page = unmap_phys,
	.map_resource = map_phys,
	.unmap_resource = unmap_phys,
#endif
	.map_sg = map_sg,
	.unmap_sg = unmap_sg,
	.dma_supported = dma_mask_supported,
	.get_required_mask = get_required_mask,
	.max_mapping_size = max_mapping_size,
	.opt_mapping_size = opt_mapping_size,
};
