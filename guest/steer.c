// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who is given memory of the aperture: coherent memory of a device that sees it, and
 * what quirks take for drivers of which they do not know the device. What is not to
 * be had there is counted by its reason, and comes from anywhere.
 */
#include <linux/atomic.h>
#include <linux/cpuset.h>
#include <linux/sched.h>
#include <linux/sizes.h>

#include "aperture.h"
#include "quiver.h"

/* More than processors were seen to have on their lists. */
#define STRAYS_AT_ONCE 1024

static int steered_node = NUMA_NO_NODE;
static struct quiver_range steered_range;
static bool steered_online;

/*
 * Memory of that node which is not the aperture's, and was in use, or on the lists of a
 * processor, when what was free of it was taken: it is met here, and kept.
 */
static LIST_HEAD(strays);
static DEFINE_SPINLOCK(strays_lock);

/* Of what quirks took, in pages. */
static atomic64_t taken[QUIVER_STEERINGS];

static void keep_stray(struct page *page, unsigned int order)
{
	unsigned long flags;

	set_page_private(page, order);
	spin_lock_irqsave(&strays_lock, flags);
	list_add(&page->lru, &strays);
	spin_unlock_irqrestore(&strays_lock, flags);
}

void quiver_pages_free(struct list_head *pages)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, pages, lru) {
		unsigned int order = page_private(page);

		list_del(&page->lru);
		set_page_private(page, 0);
		__free_pages(page, order);
	}
}

void quiver_steer_to(int node, struct quiver_range range)
{
	steered_range = range;
	/* With quiver_aperture_node(): whoever sees the node sees the range. */
	smp_store_release(&steered_node, node);
}

/* Whoever is still at it has the aperture's memory in use, or gets none. */
void quiver_steer_away(void)
{
	unsigned long flags;
	LIST_HEAD(list);

	WRITE_ONCE(steered_node, NUMA_NO_NODE);
	spin_lock_irqsave(&strays_lock, flags);
	list_splice_init(&strays, &list);
	spin_unlock_irqrestore(&strays_lock, flags);
	quiver_pages_free(&list);
}

void quiver_steer_online(bool online)
{
	WRITE_ONCE(steered_online, online);
}

int quiver_aperture_node(void)
{
	/* With quiver_steer_to(). */
	return smp_load_acquire(&steered_node);
}

/* A cpuset is no wall for the kernel's own memory, but for what is asked for as a user's. */
static bool is_walled_off(gfp_t gfp, int node)
{
	return gfp & __GFP_HARDWALL && in_task() && !node_isset(node, cpuset_current_mems_allowed);
}

static enum quiver_steering why_missed(gfp_t gfp, int node)
{
	if (node == NUMA_NO_NODE || !READ_ONCE(steered_online))
		return QUIVER_MISSED_OFFLINE;
	if (!is_walled_off(gfp, node))
		return QUIVER_MISSED_FULL;
	pr_warn_once("quiver: %s[%d] is in a cpuset without node %d: memory that its driver asks for as a user's is not taken from the aperture; to be mended in cpuset.mems\n",
		     current->comm, task_pid_nr(current), node);
	return QUIVER_MISSED_CPUSET;
}

/* With THISNODE it comes from there, in most cpusets of other nodes as well, or from nowhere. */
static struct page *take_there(int node, gfp_t gfp, unsigned int order)
{
	unsigned int i;

	gfp = (gfp & ~(__GFP_DIRECT_RECLAIM | __GFP_NOFAIL)) | __GFP_THISNODE | __GFP_NOWARN;
	for (i = 0; i < STRAYS_AT_ONCE; i++) {
		struct page *page = alloc_pages_node(node, gfp, order);

		if (!page || quiver_range_holds(steered_range, page_to_phys(page)))
			return page;
		keep_stray(page, order);
	}
	return NULL;
}

static struct page *take(gfp_t gfp, unsigned int order, enum quiver_steering *outcome)
{
	int node = quiver_aperture_node();
	struct page *page = NULL;

	if (node != NUMA_NO_NODE)
		page = take_there(node, gfp, order);
	*outcome = page ? QUIVER_STEERED : why_missed(gfp, node);
	return page;
}

struct page *quiver_aperture_pages(gfp_t gfp, unsigned int order)
{
	enum quiver_steering outcome;
	struct page *page = take(gfp, order, &outcome);

	atomic64_add(1l << order, &taken[outcome]);
	return page;
}

struct page *quiver_aperture_alloc(struct quiver_device *qdev, gfp_t gfp, unsigned int order)
{
	enum quiver_steering outcome = QUIVER_MISSED_UNSEEN;
	struct page *page = NULL;

	if (!qdev->quiver->aperture.added)
		return NULL;
	if (qdev->view.pieces)
		page = take(gfp, order, &outcome);
	this_cpu_add(qdev->counts->pages[outcome], 1ul << order);
	return page;
}

bool quiver_aperture_takes_large(u16 vendor, u64 bytes)
{
	int node = quiver_aperture_node();

	return node != NUMA_NO_NODE && quiver_node_free(node) / 2 >= bytes &&
	       quiver_displays_see_aperture(vendor, SZ_2M);
}

u64 quiver_steer_taken(enum quiver_steering outcome)
{
	return atomic64_read(&taken[outcome]);
}

struct quiver_aperture_counts quiver_aperture_counts(const struct quiver_device *qdev)
{
	struct quiver_aperture_counts sum = { 0 };
	unsigned int i;
	int cpu;

	for_each_possible_cpu(cpu) {
		const struct quiver_aperture_counts *counts = per_cpu_ptr(qdev->counts, cpu);

		sum.segments += READ_ONCE(counts->segments);
		sum.bytes += READ_ONCE(counts->bytes);
		sum.removed += READ_ONCE(counts->removed);
		for (i = 0; i < QUIVER_STEERINGS; i++)
			sum.pages[i] += READ_ONCE(counts->pages[i]);
	}
	return sum;
}
