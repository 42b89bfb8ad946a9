// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/kernel/debug/quiver/: for quiver-dma, by its PCI address, budget and
 * queues; for each attached device stats, and flush, which releases windows that
 * nobody uses. One "name value" a line. And quirks, a line each: name, state,
 * switch, how often it was reached and made a difference, and a detail in words.
 */
#include <linux/debugfs.h>
#include <linux/seq_file.h>

#include "core/wire.h"
#include "quirks/quirk.h"
#include "quiver.h"

static struct dentry *root;

static void show(struct seq_file *file, const char *name, u64 value)
{
	seq_printf(file, "%s %llu\n", name, value);
}

static void show_space(struct seq_file *file, const struct quiver_space_stats *stats)
{
	show(file, "windows", stats->windows);
	show(file, "windows_peak", stats->windows_peak);
	show(file, "bytes", stats->bytes);
	show(file, "bytes_peak", stats->bytes_peak);
	show(file, "used_bytes", stats->used_bytes);
	show(file, "used_bytes_peak", stats->used_bytes_peak);
	show(file, "idle_windows", stats->idle_windows);
	show(file, "idle_bytes", stats->idle_bytes);
	show(file, "segments", stats->segments);
	show(file, "segments_removed", stats->segments_removed);
	show(file, "segment_bytes", stats->segment_bytes);
	show(file, "exits", stats->exits);
	show(file, "maps", stats->maps);
	show(file, "unmaps", stats->unmaps);
	show(file, "refused_bytes", stats->refused_bytes);
	show(file, "refused_mappings", stats->refused_mappings);
	show(file, "failed_memory", stats->failed_memory);
	show(file, "failed_host", stats->failed_host);
	show(file, "unmap_errors", stats->unmap_errors);
	show(file, "bad_unmaps", stats->bad_unmaps);
}

static void show_host(struct seq_file *file, const struct quiver_device *qdev)
{
	struct quiver_device_counters __iomem *counters;

	if (!qdev->quiver->status)
		return;
	counters = &qdev->quiver->status->device[qdev->index];
	show(file, "host_bytes", readq(&counters->bytes));
	show(file, "host_bytes_peak", readq(&counters->bytes_peak));
	show(file, "host_bytes_room", readq(&counters->bytes_room));
	show(file, "host_mappings", readq(&counters->mappings));
	show(file, "host_mappings_peak", readq(&counters->mappings_peak));
	show(file, "host_mappings_room", readq(&counters->mappings_room));
	show(file, "host_maps", readq(&counters->maps));
	show(file, "host_unmaps", readq(&counters->unmaps));
	show(file, "host_refused_bytes", readq(&counters->refused_bytes));
	show(file, "host_refused_mappings", readq(&counters->refused_mappings));
	show(file, "host_refused_reserve", readq(&counters->refused_reserve));
	show(file, "host_refused_share", readq(&counters->refused_share));
	show(file, "host_failed", readq(&counters->failed));
	show(file, "host_interrupts", readq(&counters->interrupts));
}

static void show_aperture(struct seq_file *file, const struct quiver_device *qdev)
{
	struct quiver_aperture_counts counts = quiver_aperture_counts(qdev);
	const u64 *pages = counts.pages;

	show(file, "aperture_bytes", qdev->view.gpa.length);
	show(file, "aperture_pieces", qdev->view.pieces);
	show(file, "aperture_segments_mapped", counts.segments);
	show(file, "aperture_bytes_mapped", counts.bytes);
	show(file, "aperture_segments_removed", counts.removed);
	show(file, "aperture_pages", pages[QUIVER_STEERED]);
	show(file, "aperture_missed_offline", pages[QUIVER_MISSED_OFFLINE]);
	show(file, "aperture_missed_full", pages[QUIVER_MISSED_FULL]);
	show(file, "aperture_missed_cpuset", pages[QUIVER_MISSED_CPUSET]);
	show(file, "aperture_missed_unseen", pages[QUIVER_MISSED_UNSEEN]);
}

static int stats_show(struct seq_file *file, void *unused)
{
	struct quiver_device *qdev = file->private;
	struct quiver_space_stats stats = quiver_space_stats(&qdev->space);
	unsigned int i;

	seq_printf(file, "policy %s\n", qdev->space.config.policy->name);
	show(file, "index", qdev->index);
	show(file, "generation", qdev->generation);
	show(file, "bound", qdev->bound);
	show(file, "dead", qdev->dead);
	show(file, "strict", qdev->space.config.strict);
	show_space(file, &stats);
	show_aperture(file, qdev);
	for (i = 0; i < QUIVER_FAILURES; i++)
		seq_printf(file, "failed_%s_calls %lld\n", quiver_failure_names[i],
			   (long long)atomic64_read(&qdev->failures[i]));
	show_host(file, qdev);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(stats);

static int flush_set(void *data, u64 value)
{
	struct quiver_device *qdev = data;
	struct mutex *lock = &qdev->quiver->lock;

	/* Whoever holds it may be waiting for this file to be closed. */
	if (!mutex_trylock(lock))
		return -EAGAIN;
	quiver_device_flush(qdev);
	mutex_unlock(lock);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(flush_fops, NULL, flush_set, "%llu\n");

static int budget_show(struct seq_file *file, void *unused)
{
	struct quiver *quiver = file->private;
	struct quiver_status_page __iomem *page = quiver->status;

	show(file, "bytes_limit", readq(&page->budget.bytes_limit));
	show(file, "bytes_reserve", readq(&page->budget.bytes_reserve));
	show(file, "bytes_borrowed", readq(&page->budget.bytes_borrowed));
	show(file, "bytes_guarantee", readq(&page->budget.bytes_guarantee));
	show(file, "bytes_used", readq(&page->budget.bytes_used));
	show(file, "bytes_peak", readq(&page->budget.bytes_peak));
	show(file, "mappings_limit", readq(&page->budget.mappings_limit));
	show(file, "mappings_reserve", readq(&page->budget.mappings_reserve));
	show(file, "mappings_borrowed", readq(&page->budget.mappings_borrowed));
	show(file, "mappings_guarantee", readq(&page->budget.mappings_guarantee));
	show(file, "mappings_used", readq(&page->budget.mappings_used));
	show(file, "mappings_peak", readq(&page->budget.mappings_peak));
	seq_printf(file, "pressure %s\n",
		   quiver_wire_pressure_name(readq(&page->budget.pressure)));
	show(file, "doorbells", readq(&page->doorbells));
	show(file, "entries", readq(&page->entries));
	show(file, "guest_errors", readq(&page->guest_errors));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(budget);

static int queues_show(struct seq_file *file, void *unused)
{
	struct quiver *quiver = file->private;
	unsigned int i;

	show(file, "failed", quiver->failed);
	for (i = 0; i < quiver->queue_count; i++)
		seq_printf(file, "queue%u entries %u doorbells %llu\n", i,
			   quiver->queues[i].entries, READ_ONCE(quiver->queues[i].doorbells));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(queues);

static int quirks_show(struct seq_file *file, void *unused)
{
	quiver_quirks_show(file);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(quirks);

void quiver_debugfs_init(void)
{
	root = debugfs_create_dir(KBUILD_MODNAME, NULL);
	debugfs_create_file("quirks", 0444, root, NULL, &quirks_fops);
}

void quiver_debugfs_exit(void)
{
	debugfs_remove_recursive(root);
}

void quiver_debugfs_add(struct quiver *quiver)
{
	quiver->debugfs = debugfs_create_dir(pci_name(quiver->pdev), root);
	if (quiver->status)
		debugfs_create_file("budget", 0444, quiver->debugfs, quiver, &budget_fops);
	debugfs_create_file("queues", 0444, quiver->debugfs, quiver, &queues_fops);
}

void quiver_debugfs_remove(struct quiver *quiver)
{
	debugfs_remove_recursive(quiver->debugfs);
}

void quiver_debugfs_add_device(struct quiver_device *qdev)
{
	qdev->debugfs = debugfs_create_dir(pci_name(qdev->pdev), root);
	debugfs_create_file("stats", 0444, qdev->debugfs, qdev, &stats_fops);
	debugfs_create_file("flush", 0200, qdev->debugfs, qdev, &flush_fops);
}

void quiver_debugfs_remove_device(struct quiver_device *qdev)
{
	debugfs_remove_recursive(qdev->debugfs);
}
