// SPDX-License-Identifier: GPL-2.0-only
/*
 * insmod quiver_replay.ko memory=LABEL trace=FILE
 * insmod quiver_replay.ko memory=LABEL seed=N [operations=N] [ram=MIB] [live=MIB]
 *                         [refusals=1]
 *
 * LABEL names memory that the kernel's reserve_mem= set aside, aligned to 32 MiB
 * or more. Returns when all is done; the verdict is in dmesg and in the
 * parameter result: 0, or replay_run()'s negative errno. Takes the first
 * endpoint that quiver serves and nobody drives.
 */
#define dev_fmt(fmt) "replay: " fmt

#include <linux/dma-mapping.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "replay.h"
#include "windows.h"

static char *memory;
module_param(memory, charp, 0444);

static char *trace;
module_param(trace, charp, 0444);

static ulong seed;
module_param(seed, ulong, 0444);

static ulong operations = 1000;
module_param(operations, ulong, 0444);
MODULE_PARM_DESC(operations, "of a sequence, before it unmaps the rest");

static ulong ram = 256;
module_param(ram, ulong, 0444);
MODULE_PARM_DESC(ram, "MiB that a sequence uses");

static ulong live = 48;
module_param(live, ulong, 0444);
MODULE_PARM_DESC(live, "MiB that a sequence maps at once, at most");

static bool refusals;
module_param(refusals, bool, 0444);
MODULE_PARM_DESC(refusals, "The host may refuse maps of a sequence; what it refuses leaves nothing");

static uint writes = 32;
module_param(writes, uint, 0444);
MODULE_PARM_DESC(writes, "The device writes to so many in 256 segments; it reads all");

static uint spots = 2;
module_param(spots, uint, 0444);
MODULE_PARM_DESC(spots, "Live segments, at random, read again after each operation");

static uint sweep = 300;
module_param(sweep, uint, 0444);
MODULE_PARM_DESC(sweep, "Operations between two readings of all that is live");

static int result = -ENODEV;
module_param(result, int, 0444);

/* Where pci_endpoint_test finds its registers, by the same identity. */
#define BAR_REGS	0

struct sequence_source {
	struct quiver_sequence_random random;
	struct quiver_sequence sequence;
};

static bool sequence_next(void *context, struct quiver_sequence_op *op)
{
	struct sequence_source *source = context;

	return quiver_sequence_next(&source->sequence, op);
}

static void sequence_refused(void *context, u32 map)
{
	struct sequence_source *source = context;

	quiver_sequence_refused(&source->sequence, map);
}

static int sequence_open(struct replay_source *source)
{
	struct sequence_source *context = kvzalloc(sizeof(*context), GFP_KERNEL);
	const struct quiver_sequence_source bits = {
		.bits = quiver_sequence_random_bits,
		.context = &context->random,
	};
	const struct quiver_sequence_config config = {
		.ram = (u64)ram << 20,
		.live = (u64)live << 20,
		.operations = operations,
	};

	if (!context)
		return -ENOMEM;
	context->random.state = seed;
	if (!operations || !quiver_sequence_init(&context->sequence, &config, &bits)) {
		kvfree(context);
		return -EINVAL;
	}
	source->context = context;
	source->next = sequence_next;
	source->refused = refusals ? sequence_refused : NULL;
	source->ram = config.ram;
	source->maps = QUIVER_SEQUENCE_MAPS;
	return 0;
}

static int source_open(struct replay_source *source)
{
	return trace ? replay_trace_open(source, trace) : sequence_open(source);
}

static void source_close(struct replay_source *source)
{
	if (trace)
		replay_trace_close(source);
	else
		kvfree(source->context);
}

static void report(struct replay *replay)
{
	const struct replay_counts *c = &replay->counts;

	pci_info(replay->pdev, "result=%d ops=%llu maps=%llu lists=%llu segments=%llu bytes=%llu peak_segments=%llu peak_bytes=%llu verified_segments=%llu verified_bytes=%llu reads=%llu read_bytes=%llu writes=%llu write_bytes=%llu sweeps=%llu refused=%llu peak_page_bytes=%llu least_refused=%llu\n",
		 result, c->ops, c->maps, c->lists, c->segments, c->bytes, c->peak_segments,
		 c->peak_bytes, c->seen_segments, c->seen_bytes, c->reads, c->read_bytes,
		 c->writes, c->write_bytes, c->sweeps, c->refused, c->peak_page_bytes,
		 c->least_refused);
}

static int run(struct replay *replay, struct replay_source *source)
{
	if (source->ram > replay->size) {
		pci_err(replay->pdev, "%llu bytes of memory are reserved, %llu are needed\n",
			replay->size, source->ram);
		return -EINVAL;
	}
	replay->source = source;
	return replay_run(replay);
}

static int run_source(struct replay *replay)
{
	struct replay_source source = { };
	int error = source_open(&source);

	if (error)
		return error;
	error = run(replay, &source);
	source_close(&source);
	return error;
}

static int find_memory(struct replay *replay)
{
	phys_addr_t base, size;

	if (!memory || !reserve_mem_find_by_name(memory, &base, &size) ||
	    !IS_ALIGNED(base, SZ_32M)) {
		pci_err(replay->pdev, "memory=%s: none was reserved, or it is not aligned to 32 MiB\n",
			memory ? memory : "");
		return -EINVAL;
	}
	replay->base = base;
	replay->size = size;
	return 0;
}

static int open_device(struct replay *replay)
{
	struct pci_dev *pdev = replay->pdev;
	int error;

	if (quiver_device_windows(pdev) < 0)
		return -ENODEV;
	error = pcim_enable_device(pdev);
	if (error)
		return error;
	replay->regs = pcim_iomap(pdev, BAR_REGS, 0);
	if (!replay->regs)
		return -ENOMEM;
	/* All that can be asked for: no segment is refused for what it is. */
	dma_set_max_seg_size(&pdev->dev, UINT_MAX);
	return dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(64));
}

static int probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct replay replay = {
		.pdev = pdev,
		.checks = { .writes = writes, .spots = spots, .sweep = sweep },
	};
	int error;

	if (result != -ENODEV)
		return -EBUSY;
	error = find_memory(&replay);
	if (!error)
		error = open_device(&replay);
	if (error)
		return error;
	prandom_seed_state(&replay.random, seed + 1);
	pci_set_master(pdev);
	result = run_source(&replay);
	pci_clear_master(pdev);
	report(&replay);
	return 0;
}

static const struct pci_device_id ids[] = {
	{ PCI_DEVICE(PCI_VENDOR_ID_RENESAS, 0x0028) },
	{ }
};

static struct pci_driver replay_driver = {
	.name = KBUILD_MODNAME,
	.id_table = ids,
	.probe = probe,
};

module_pci_driver(replay_driver);
MODULE_DESCRIPTION("Maps as a trace says, and has the device look at the memory");
MODULE_LICENSE("GPL");
