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

/* Of the first quiver-dma that has one. */
static int steered_node = NUMA_NO_NODE;
static bool steered_online;

/* Of what quirks took, in pages. */
static atomic64_t taken[QUIVER_STEERINGS];

void quiver_steer_to(int node)
{
	if (steered_node == NUMA_NO_NODE)
		WRITE_ONCE(steered_node, node);
}

void quiver_steer_away(int node)
{
	if (steered_node == node)
		WRITE_ONCE(steered_node, NUMA_NO_NODE);
}

void quiver_steer_online(int node, bool online)
{
	if (steered_node == node)
		WRITE_ONCE(steered_online, online);
}

int quiver_aperture_node(void)
{
	return READ_ONCE(steered_node);
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
static struct page *take(gfp_t gfp, unsigned int order, enum quiver_steering *outcome)
{
	int node = quiver_aperture_node();
	struct page *page = NULL;

	if (node != NUMA_NO_NODE)
		page = alloc_pages_node(node, (gfp & ~(__GFP_DIRECT_RECLAIM | __GFP_NOFAIL)) |
					__GFP_THISNODE | __GFP_NOWARN, order);
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
