// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who has a node's memory, to the page: MemFree leaves out what lies on the lists of
 * processors, which comes and goes by megabytes.
 */
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/sched.h>

#include "aperture.h"

/* What is free has no reference, wherever it lies. Of newer kernels, neither has slab. */
static bool is_used(struct page *page)
{
	return !PageTail(page) && (page_ref_count(page) || PageSlab(page));
}

static long used_of_section(unsigned long pfn)
{
	unsigned long end = pfn + PAGES_PER_SECTION;
	long used = 0;

	for (; pfn < end; pfn++)
		if (is_used(pfn_to_page(pfn)))
			used += compound_nr(pfn_to_page(pfn));
	return used;
}

long count_used(int node)
{
	unsigned long pfn = round_down(node_start_pfn(node), PAGES_PER_SECTION);
	long used = 0;

	for (; pfn < node_end_pfn(node); pfn += PAGES_PER_SECTION) {
		struct page *page = pfn_to_online_page(pfn);

		if (page && page_to_nid(page) == node)
			used += used_of_section(pfn);
		cond_resched();
	}
	return used;
}
