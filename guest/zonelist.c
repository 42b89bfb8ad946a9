// SPDX-License-Identifier: GPL-2.0-only
/*
 * Keeps a node's memory for those who ask for that very node: takes its zones
 * out of the lists in which the other nodes look for memory when their own is
 * used up. No kernel offers this; what it rests on are the structures of
 * linux/mmzone.h. A list that does not have the shape that is expected stays as
 * it is, and that is said. docs/aperture.rst has the reasons.
 *
 * Readers take no lock, nor does the kernel stop them when it builds the lists
 * anew, which it does whenever memory comes or goes: under its own lock of
 * memory hotplug, as our notifier is called. Here only the tail of a list goes
 * and comes back, so that whoever is just reading it sees the one or the other.
 */
#include <linux/mmzone.h>
#include <linux/slab.h>

#include "zonelist.h"

static struct zoneref *list_of(int node)
{
	return NODE_DATA(node)->node_zonelists[ZONELIST_FALLBACK]._zonerefs;
}

/* Where the zones of the kept node begin in a list, and how many they are; all at its end. */
static int find_tail(struct zoneref *list, int kept, unsigned int *at, unsigned int *count)
{
	unsigned int i;

	*count = 0;
	for (i = 0; i < MAX_ZONES_PER_ZONELIST && list[i].zone; i++) {
		if (list[i].zone_idx != zone_idx(list[i].zone))
			return -EUCLEAN;
		if (zone_to_nid(list[i].zone) == kept)
			(*count)++;
		else if (*count)
			return -EUCLEAN;
	}
	if (i == MAX_ZONES_PER_ZONELIST || *count > MAX_NR_ZONES || (*count && *count == i))
		return -EUCLEAN;
	*at = i - *count;
	return 0;
}

/* From its first entry on: that ends the list, whatever else there is. */
static void cut(struct zoneref *entry, unsigned int count)
{
	for (; count; count--, entry++) {
		/* An entry is skipped by its index: with this one it never is. */
		WRITE_ONCE(entry->zone_idx, 0);
		/* Whoever sees the end has seen the index before, or does not look at it. */
		smp_wmb();
		WRITE_ONCE(entry->zone, NULL);
	}
}

/* The first entry last. */
static void mend(struct zoneref *entry, const struct zoneref *tail, unsigned int count)
{
	while (count--) {
		WRITE_ONCE(entry[count].zone_idx, tail[count].zone_idx);
		/* A zone is not seen before its index. */
		smp_wmb();
		WRITE_ONCE(entry[count].zone, tail[count].zone);
	}
}

static int keep_from(struct quiver_kept_node *kept, int node)
{
	struct zoneref *list = list_of(node);
	struct quiver_kept_tail *tail = &kept->tails[node];
	unsigned int at, count;
	int error = find_tail(list, kept->node, &at, &count);

	if (error || !count)
		return error;
	tail->at = at;
	tail->count = count;
	memcpy(tail->entry, &list[at], count * sizeof(*list));
	cut(&list[at], count);
	return 0;
}

int quiver_node_keep(struct quiver_kept_node *kept, int node)
{
	int other, error = 0;

	if (!kept->tails)
		kept->tails = kcalloc(nr_node_ids, sizeof(*kept->tails), GFP_KERNEL);
	if (!kept->tails)
		return -ENOMEM;
	kept->node = node;
	for_each_online_node(other)
		if (other != node)
			error = keep_from(kept, other) ?: error;
	return error;
}

/* A list that the kernel has built since, and that nobody has cut, ends elsewhere. */
void quiver_node_release(struct quiver_kept_node *kept)
{
	int other;

	if (!kept->tails)
		return;
	for_each_online_node(other) {
		struct quiver_kept_tail *tail = &kept->tails[other];

		if (tail->count && !list_of(other)[tail->at].zone)
			mend(&list_of(other)[tail->at], tail->entry, tail->count);
	}
	kfree(kept->tails);
	kept->tails = NULL;
}
