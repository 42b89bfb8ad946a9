// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is counted here, for the host to show: a page of our RAM that the host knows
 * the address of and reads when somebody asks it. So neither its writer nor its
 * reader makes an exit, and a machine that sleeps is not woken for it.
 */
#include <linux/gfp.h>

#include "quiver.h"

static void put(__le64 *to, u64 value)
{
	WRITE_ONCE(*to, cpu_to_le64(value));
}

static void put_memory(struct quiver_guest_memory *to, const struct quiver *quiver)
{
	struct quiver_memory memory = quiver_memory_of(quiver);
	unsigned int i;

	put(&to->page_size, PAGE_SIZE);
	put(&to->total, memory.total);
	put(&to->usable, memory.usable);
	put(&to->aperture, memory.aperture);
	put(&to->aperture_online, memory.online);
	put(&to->aperture_free, memory.free);
	put(&to->aperture_shared, memory.shared);
	for (i = 0; i < QUIVER_STEERINGS; i++)
		put(&to->pages[i], quiver_steer_taken(i));
}

static void put_counts(struct quiver_guest_device *to, struct quiver_device *qdev)
{
	struct quiver_aperture_counts counts = quiver_aperture_counts(qdev);
	struct quiver_space_stats stats = quiver_space_stats(&qdev->space);
	unsigned int i;

	put(&to->attached, 1);
	put(&to->aperture_segments, counts.segments);
	put(&to->aperture_bytes, counts.bytes);
	put(&to->window_segments, stats.segments);
	put(&to->window_bytes, stats.segment_bytes);
	put(&to->exits, stats.exits);
	put(&to->windows, stats.windows);
	put(&to->windows_bytes, stats.bytes);
	put(&to->used_bytes, stats.used_bytes);
	for (i = 0; i < QUIVER_STEERINGS; i++)
		put(&to->pages[i], counts.pages[i]);
}

static void put_devices(struct quiver_guest_page *page, struct quiver *quiver)
{
	DECLARE_BITMAP(seen, QUIVER_MAX_DEVICES);
	struct quiver_device *qdev;
	unsigned int i;

	bitmap_zero(seen, QUIVER_MAX_DEVICES);
	rcu_read_lock();
	hlist_for_each_entry_rcu(qdev, &quiver->peers, peer) {
		put_counts(&page->device[qdev->index], qdev);
		__set_bit(qdev->index, seen);
	}
	rcu_read_unlock();
	for_each_clear_bit(i, seen, QUIVER_MAX_DEVICES)
		memset(&page->device[i], 0, sizeof(page->device[i]));
}

static void update(struct quiver *quiver)
{
	struct quiver_guest_page *page = quiver->guest_page;

	put_memory(&page->memory, quiver);
	put_devices(page, quiver);
	put(&page->memory.updates, le64_to_cpu(page->memory.updates) + 1);
}

static void tick(struct work_struct *work)
{
	struct quiver *quiver = container_of(work, struct quiver, guest_page_work.work);

	update(quiver);
	schedule_delayed_work(&quiver->guest_page_work, HZ);
}

void quiver_stats_start(struct quiver *quiver)
{
	u64 address;

	if (!(quiver->features & BIT(QUIVER_F_GUEST_STATS)))
		return;
	quiver->guest_page = (void *)__get_free_pages(GFP_KERNEL | __GFP_ZERO,
						      get_order(sizeof(*quiver->guest_page)));
	if (!quiver->guest_page)
		return;
	INIT_DEFERRABLE_WORK(&quiver->guest_page_work, tick);
	tick(&quiver->guest_page_work.work);
	address = virt_to_phys(quiver->guest_page);
	writel(upper_32_bits(address), &quiver->regs->guest_stats_hi);
	writel(lower_32_bits(address), &quiver->regs->guest_stats_lo);
}

void quiver_stats_stop(struct quiver *quiver)
{
	if (!quiver->guest_page)
		return;
	writel(0, &quiver->regs->guest_stats_lo);
	writel(0, &quiver->regs->guest_stats_hi);
	cancel_delayed_work_sync(&quiver->guest_page_work);
	free_pages((unsigned long)quiver->guest_page, get_order(sizeof(*quiver->guest_page)));
}
