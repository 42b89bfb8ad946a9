// SPDX-License-Identifier: GPL-2.0-only
/*
 * The aperture: memory in a BAR of quiver-dma that devices see as a whole. It
 * becomes memory of a node that has no processors, so that drivers can be given
 * it and nobody else is: docs/aperture.rst. Bringing it online is the user's
 * part, by udev (guest/udev), for no module may.
 */
#include <linux/memory.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "aperture.h"
#include "quiver.h"

/* The kernel shows it by this name, and tells by its beginning that it is memory. */
#define RESOURCE_NAME "System RAM (quiver)"

static void refuse(struct quiver *quiver, const char *why)
{
	quiver->aperture.refused = why;
	dev_warn(&quiver->pdev->dev, "no aperture: %s\n", why);
}

/* One that has no processors, and never had: whoever made this machine meant it for us. */
static int find_node(void)
{
	int node;

	for_each_node(node)
		if (!node_state(node, N_CPU))
			return node;
	return NUMA_NO_NODE;
}

/*
 * A node is only possible if it has some memory when the machine starts. What is
 * left of that would be handed out as if it were the aperture's: it is taken
 * first, to the last page.
 */
static void hold_rest_of_node(struct quiver_aperture_memory *aperture)
{
	gfp_t gfp = __GFP_THISNODE | __GFP_NOWARN | __GFP_MEMALLOC;
	unsigned int order = get_order(SZ_4M);
	struct page *page;

	for (;; order--) {
		while ((page = alloc_pages_node(aperture->node, gfp, order))) {
			set_page_private(page, order);
			list_add(&page->lru, &aperture->held);
		}
		if (!order)
			return;
	}
}

static bool is_ours(const struct quiver_aperture_memory *aperture, unsigned long pfn)
{
	return quiver_range_holds(aperture->range, PFN_PHYS(pfn));
}

static u64 online_bytes(const struct quiver_aperture_memory *aperture)
{
	unsigned long block = memory_block_size_bytes();
	u64 at, bytes = 0;

	for (at = 0; at < aperture->range.length; at += block)
		if (pfn_to_online_page(PHYS_PFN(aperture->range.start + at)))
			bytes += block;
	return bytes;
}

u64 quiver_node_free(int node)
{
	struct zone *zones = NODE_DATA(node)->node_zones;
	u64 pages = 0;
	int i;

	for (i = 0; i < MAX_NR_ZONES; i++)
		pages += zone_page_state(&zones[i], NR_FREE_PAGES);
	return pages << PAGE_SHIFT;
}

static u64 managed_bytes(int node)
{
	struct zone *zones = NODE_DATA(node)->node_zones;
	u64 pages = 0;
	int i;

	for (i = 0; i < MAX_NR_ZONES; i++)
		pages += zone_managed_pages(&zones[i]);
	return pages << PAGE_SHIFT;
}

struct quiver_memory quiver_memory_of(const struct quiver *quiver)
{
	const struct quiver_aperture_memory *aperture = &quiver->aperture;
	struct quiver_memory memory = { .total = (u64)totalram_pages() << PAGE_SHIFT };

	memory.usable = memory.total;
	if (!aperture->added)
		return memory;
	memory.aperture = aperture->range.length;
	memory.online = READ_ONCE(aperture->online);
	memory.shared = READ_ONCE(aperture->shared);
	memory.free = quiver_node_free(aperture->node);
	if (!memory.shared)
		memory.usable -= managed_bytes(aperture->node);
	return memory;
}

/* What no program can tell from what Linux says of its memory. Said once it is all there. */
static void tell_memory(const struct quiver *quiver)
{
	struct quiver_memory memory = quiver_memory_of(quiver);

	if (!memory.aperture || memory.online != memory.aperture)
		return;
	if (memory.shared)
		dev_info(&quiver->pdev->dev, "this VM has %llu MiB of memory, with the %llu MiB of the aperture, which are not kept for drivers\n",
			 memory.usable >> 20, memory.aperture >> 20);
	else
		dev_info(&quiver->pdev->dev, "this VM has %llu MiB of memory, and %llu MiB for drivers only, the aperture; MemTotal, MemAvailable and the default size of tmpfs count both\n",
			 memory.usable >> 20, memory.aperture >> 20);
}

static void look_online(struct quiver_aperture_memory *aperture)
{
	WRITE_ONCE(aperture->online, online_bytes(aperture));
	quiver_steer_online(aperture->online);
}

/* Memory that came or went, ours or not: the kernel may have built its lists of zones anew. */
static int follow_memory(struct notifier_block *block, unsigned long action, void *data)
{
	struct quiver_aperture_memory *aperture = container_of(block, struct quiver_aperture_memory,
							       notifier);
	const struct memory_notify *change = data;
	int error;

	if (action != MEM_ONLINE && action != MEM_OFFLINE && action != MEM_CANCEL_OFFLINE)
		return NOTIFY_OK;
	error = quiver_node_keep(&aperture->kept, aperture->node);
	if (error && !xchg(&aperture->shared, true))
		pr_warn("quiver: memory of node %d cannot be kept for drivers: this kernel's lists of zones are not as expected\n",
			aperture->node);
	if (action == MEM_ONLINE && is_ours(aperture, change->start_pfn) &&
	    page_zonenum(pfn_to_page(change->start_pfn)) == ZONE_MOVABLE)
		pr_warn("quiver: memory%lu of the aperture is online for what can be moved, which drivers cannot use: it is to be online_kernel\n",
			change->start_pfn / PHYS_PFN(memory_block_size_bytes()));
	if (is_ours(aperture, change->start_pfn)) {
		look_online(aperture);
		if (action == MEM_ONLINE)
			tell_memory(container_of(aperture, struct quiver, aperture));
	}
	return NOTIFY_OK;
}

/* What a kernel or a machine lacks; NULL: nothing. */
static const char *lacking(const struct quiver_aperture_memory *aperture)
{
	unsigned long block = memory_block_size_bytes();

	if ((aperture->range.start | aperture->range.length) % block)
		return "this kernel takes memory in larger blocks";
	if (quiver_aperture_node() != NUMA_NO_NODE)
		return "another quiver-dma has one";
	if (aperture->node == NUMA_NO_NODE)
		return "the machine has no node without processors for it";
	return NULL;
}

/* -EEXIST: a quiver.ko before this one could not take it away again. */
static int add(struct quiver *quiver)
{
	struct quiver_aperture_memory *aperture = &quiver->aperture;
	int error;

	error = add_memory_driver_managed(aperture->node, aperture->range.start,
					  aperture->range.length, RESOURCE_NAME, MHP_NONE);
	if (error == -EEXIST)
		return quiver_node_keep(&aperture->kept, aperture->node);
	return error;
}

static void take_in(struct quiver *quiver)
{
	struct quiver_aperture_memory *aperture = &quiver->aperture;
	int error;

	/* Else what is free of the node may be the aperture itself. */
	if (!pfn_to_online_page(PHYS_PFN(aperture->range.start)))
		hold_rest_of_node(aperture);
	aperture->notifier.notifier_call = follow_memory;
	error = register_memory_notifier(&aperture->notifier);
	if (!error) {
		error = add(quiver);
		if (error)
			unregister_memory_notifier(&aperture->notifier);
	}
	if (error) {
		quiver_pages_free(&aperture->held);
		refuse(quiver, "the kernel does not take the memory in");
		return;
	}
	aperture->added = true;
	quiver_steer_to(aperture->node, aperture->range);
	look_online(aperture);
	dev_info(&quiver->pdev->dev, "aperture of %llu MiB on node %d\n",
		 aperture->range.length >> 20, aperture->node);
	tell_memory(quiver);
}

void quiver_aperture_start(struct quiver *quiver)
{
	struct quiver_aperture_memory *aperture = &quiver->aperture;
	u64 length = (u64)readl(&quiver->regs->aperture_blocks) * QUIVER_APERTURE_BLOCK;
	const char *why;

	INIT_LIST_HEAD(&aperture->held);
	if (!(quiver->features & BIT(QUIVER_F_APERTURE)))
		return;
	if (!pci_resource_len(quiver->pdev, QUIVER_BAR_APERTURE)) {
		refuse(quiver, "the machine has no addresses for its BAR");
		return;
	}
	if (!length || length > pci_resource_len(quiver->pdev, QUIVER_BAR_APERTURE)) {
		refuse(quiver, "the host's word on its length makes no sense");
		return;
	}
	aperture->range.start = pci_resource_start(quiver->pdev, QUIVER_BAR_APERTURE);
	aperture->range.length = length;
	aperture->node = find_node();
	why = lacking(aperture);
	if (why)
		refuse(quiver, why);
	else
		take_in(quiver);
}

/*
 * What drivers have of it, they keep, and the BAR stays where it is: then the
 * memory stays too, and those who do not ask for it are kept off it still.
 */
void quiver_aperture_stop(struct quiver *quiver)
{
	struct quiver_aperture_memory *aperture = &quiver->aperture;

	if (!aperture->added)
		return;
	quiver_steer_away();
	if (offline_and_remove_memory(aperture->range.start, aperture->range.length)) {
		dev_warn(&quiver->pdev->dev, "some of the aperture is in use: it stays until the machine is started again\n");
		unregister_memory_notifier(&aperture->notifier);
		kfree(aperture->kept.tails);
		return;
	}
	unregister_memory_notifier(&aperture->notifier);
	quiver_node_release(&aperture->kept);
	quiver_pages_free(&aperture->held);
}

/* In granules, as the wire has it. */
static u64 piece_at(struct quiver_device *qdev, unsigned int i)
{
	return (u64)readl(&qdev->regs->aperture[i]) << qdev->quiver->granule_shift;
}

void quiver_aperture_look(struct quiver_device *qdev)
{
	const struct quiver_aperture_memory *aperture = &qdev->quiver->aperture;
	struct quiver_aperture_view view = { .gpa = aperture->range };
	unsigned int i;

	memset(&qdev->view, 0, sizeof(qdev->view));
	if (!aperture->added)
		return;
	view.pieces = readl(&qdev->regs->aperture_pieces);
	if (!view.pieces)
		return;
	view.piece = view.gpa.length / view.pieces;
	for (i = 0; i < min_t(unsigned int, view.pieces, QUIVER_APERTURE_PIECES_MAX); i++)
		view.iova[i] = piece_at(qdev, i);
	if (quiver_aperture_view_valid(&view))
		qdev->view = view;
	else
		pci_warn(qdev->pdev, "quiver: the host's word on the aperture makes no sense\n");
}

/* --- what udev reads --- */

static struct quiver_aperture_memory *memory_of(struct device *dev)
{
	return &((struct quiver *)dev_get_drvdata(dev))->aperture;
}

static ssize_t first_block_show(struct device *dev, struct device_attribute *attribute, char *text)
{
	return sysfs_emit(text, "%llu\n", memory_of(dev)->range.start / memory_block_size_bytes());
}
static DEVICE_ATTR_RO(first_block);

static ssize_t blocks_show(struct device *dev, struct device_attribute *attribute, char *text)
{
	return sysfs_emit(text, "%llu\n", memory_of(dev)->range.length / memory_block_size_bytes());
}
static DEVICE_ATTR_RO(blocks);

static ssize_t node_show(struct device *dev, struct device_attribute *attribute, char *text)
{
	return sysfs_emit(text, "%d\n", memory_of(dev)->node);
}
static DEVICE_ATTR_RO(node);

static umode_t is_visible(struct kobject *kobj, struct attribute *attribute, int n)
{
	return memory_of(kobj_to_dev(kobj))->added ? attribute->mode : 0;
}

static struct attribute *attributes[] = {
	&dev_attr_first_block.attr,
	&dev_attr_blocks.attr,
	&dev_attr_node.attr,
	NULL
};

static const struct attribute_group group = {
	.name = "aperture",
	.attrs = attributes,
	.is_visible = is_visible,
};

const struct attribute_group *quiver_aperture_groups[] = { &group, NULL };
