// SPDX-License-Identifier: GPL-2.0-only
#include <linux/kthread.h>
#include <linux/slab.h>

#include "stress.h"

static u32 below(struct rnd_state *random, u32 limit)
{
	return prandom_u32_state(random) % limit;
}

/* A piece of a chunk that other workers use as well, up to three pages long. */
static struct page *pick(struct stress *stress, struct rnd_state *random, u32 *offset, u32 *size)
{
	struct page *chunk = stress->chunks[below(random, stress->chunk_count)];
	u32 at = below(random, STRESS_CHUNK_SIZE);

	*size = 1 + below(random, min_t(u32, STRESS_CHUNK_SIZE - at, 3 * PAGE_SIZE));
	*offset = offset_in_page(at);
	return chunk + (at >> PAGE_SHIFT);
}

static void note(struct stress_worker *worker, int error)
{
	if (error == -EILSEQ)
		worker->counts.broken++;
	else if (error)
		worker->counts.refused++;
}

static void unmap_one(struct stress_worker *worker, struct ledger_record *record)
{
	if (!record->size)
		return;
	ledger_remove(record);
	dma_unmap_page(&worker->stress->pdev->dev, record->iova, record->size, DMA_TO_DEVICE);
	record->size = 0;
}

static void map_one(struct stress_worker *worker, struct rnd_state *random,
		    struct ledger_record *record)
{
	struct device *dev = &worker->stress->pdev->dev;
	u32 offset, size;
	struct page *page = pick(worker->stress, random, &offset, &size);
	int error;

	record->iova = dma_map_page(dev, page, offset, size, DMA_TO_DEVICE);
	if (dma_mapping_error(dev, record->iova)) {
		note(worker, -ENOSPC);
		return;
	}
	dma_sync_single_for_cpu(dev, record->iova, size, DMA_TO_DEVICE);
	dma_sync_single_for_device(dev, record->iova, size, DMA_TO_DEVICE);
	record->phys = page_to_phys(page) + offset;
	record->size = size;
	error = ledger_add(record);
	if (error) {
		dma_unmap_page(dev, record->iova, size, DMA_TO_DEVICE);
		record->size = 0;
		note(worker, error);
	}
}

/* The oldest of a few goes, a new one comes. */
static void cycle(struct stress_worker *worker, struct stress_atomic *atomic)
{
	struct ledger_record *record = &atomic->held[atomic->next++ % ARRAY_SIZE(atomic->held)];

	unmap_one(worker, record);
	map_one(worker, &atomic->random, record);
}

static void on_timer(struct timer_list *timer)
{
	struct stress_worker *worker = container_of(timer, struct stress_worker, timer);
	int i;

	for (i = 0; i < 4; i++)
		cycle(worker, &worker->softirq);
	worker->counts.softirq += i;
	/* Not at once: a slow CPU would do nothing else. */
	if (!READ_ONCE(worker->stress->stopping))
		mod_timer(timer, jiffies + HZ / 20 + 1);
}

static void on_irq_work(struct irq_work *work)
{
	struct stress_worker *worker = container_of(work, struct stress_worker, irq_work);

	cycle(worker, &worker->hardirq);
	worker->counts.hardirq++;
}

static void step_irqs_off(struct stress_worker *worker)
{
	unsigned long flags;

	local_irq_save(flags);
	cycle(worker, &worker->irqs_off);
	local_irq_restore(flags);
	worker->counts.irqs_off++;
}

static void step_single(struct stress_worker *worker)
{
	struct ledger_record *record = &worker->held[below(&worker->random, STRESS_HELD)];

	if (record->size) {
		unmap_one(worker, record);
	} else {
		map_one(worker, &worker->random, record);
		worker->counts.maps++;
	}
}

static struct ledger_record record_of(struct scatterlist *sg)
{
	return (struct ledger_record){ sg_phys(sg), sg_dma_address(sg), sg->length };
}

static void fill_list(struct stress_worker *worker, int nents)
{
	struct scatterlist *sg;
	u32 offset, size;
	int i;

	for_each_sg(worker->table.sgl, sg, nents, i) {
		struct page *page = pick(worker->stress, &worker->random, &offset, &size);

		sg_set_page(sg, page, size, offset);
	}
}

/* Entries that were recorded; less than nents after an error. */
static int record_list(struct stress_worker *worker, int nents)
{
	struct scatterlist *sg;
	int i, error;

	for_each_sg(worker->table.sgl, sg, nents, i) {
		struct ledger_record record = record_of(sg);

		error = sg_dma_len(sg) == sg->length ? ledger_add(&record) : -EILSEQ;
		if (error) {
			note(worker, error);
			return i;
		}
	}
	return nents;
}

static void forget_list(struct stress_worker *worker, int recorded)
{
	struct scatterlist *sg;
	int i;

	for_each_sg(worker->table.sgl, sg, recorded, i) {
		struct ledger_record record = record_of(sg);

		ledger_remove(&record);
	}
}

static void step_list(struct stress_worker *worker)
{
	struct device *dev = &worker->stress->pdev->dev;
	int nents = 1 + below(&worker->random, STRESS_SEGMENTS);
	struct scatterlist *sgl = worker->table.sgl;
	int mapped, recorded;

	fill_list(worker, nents);
	mapped = dma_map_sg(dev, sgl, nents, DMA_TO_DEVICE);
	if (!mapped) {
		note(worker, -ENOSPC);
		return;
	}
	worker->counts.scatterlists++;
	worker->counts.segments += nents;
	if (mapped == nents) {
		dma_sync_sg_for_device(dev, sgl, nents, DMA_TO_DEVICE);
		recorded = record_list(worker, nents);
		cond_resched();
		forget_list(worker, recorded);
	} else {
		note(worker, -EILSEQ);
	}
	dma_unmap_sg(dev, sgl, nents, DMA_TO_DEVICE);
}

/* Zeroed when it comes, ours alone until it goes. */
static int check_coherent(struct stress_worker *worker, u8 *memory, size_t size)
{
	u8 mark = 1 + below(&worker->random, 255);

	if (memchr_inv(memory, 0, size))
		return -EILSEQ;
	memset(memory, mark, size);
	cond_resched();
	return memchr_inv(memory, mark, size) ? -EILSEQ : 0;
}

static void step_coherent(struct stress_worker *worker)
{
	struct device *dev = &worker->stress->pdev->dev;
	struct ledger_record record = { .size = 1 + below(&worker->random, SZ_64K) };
	void *memory = dma_alloc_coherent(dev, record.size, &record.iova, GFP_KERNEL);
	int error;

	if (!memory) {
		note(worker, -ENOMEM);
		return;
	}
	record.phys = virt_to_phys(memory);
	error = ledger_add(&record);
	if (!error) {
		error = check_coherent(worker, memory, record.size);
		ledger_remove(&record);
	}
	note(worker, error);
	dma_free_coherent(dev, record.size, memory, record.iova);
	worker->counts.coherent++;
}

static void step(struct stress_worker *worker)
{
	u32 dice = below(&worker->random, 100);

	if (dice < 70)
		step_single(worker);
	else if (dice < 80)
		step_irqs_off(worker);
	else if (dice < 90)
		irq_work_queue(&worker->irq_work);
	else if (dice < 97)
		step_coherent(worker);
	else
		step_list(worker);
}

int worker_thread(void *data)
{
	struct stress_worker *worker = data;

	mod_timer(&worker->timer, jiffies + 1);
	while (!kthread_should_stop()) {
		if (time_before(jiffies, worker->stress->deadline))
			step(worker);
		else
			schedule_timeout_interruptible(1);
		cond_resched();
	}
	return 0;
}

int worker_init(struct stress_worker *worker, struct stress *stress, u64 seed)
{
	worker->stress = stress;
	prandom_seed_state(&worker->random, seed);
	prandom_seed_state(&worker->softirq.random, seed + 1);
	prandom_seed_state(&worker->hardirq.random, seed + 2);
	prandom_seed_state(&worker->irqs_off.random, seed + 3);
	timer_setup(&worker->timer, on_timer, 0);
	init_irq_work(&worker->irq_work, on_irq_work);
	return sg_alloc_table(&worker->table, STRESS_SEGMENTS, GFP_KERNEL);
}

static void unmap_all(struct stress_worker *worker, struct ledger_record *records, size_t count)
{
	while (count--)
		unmap_one(worker, &records[count]);
}

void worker_exit(struct stress_worker *worker)
{
	timer_delete_sync(&worker->timer);
	irq_work_sync(&worker->irq_work);
	unmap_all(worker, worker->held, ARRAY_SIZE(worker->held));
	unmap_all(worker, worker->softirq.held, ARRAY_SIZE(worker->softirq.held));
	unmap_all(worker, worker->hardirq.held, ARRAY_SIZE(worker->hardirq.held));
	unmap_all(worker, worker->irqs_off.held, ARRAY_SIZE(worker->irqs_off.held));
	sg_free_table(&worker->table);
}
