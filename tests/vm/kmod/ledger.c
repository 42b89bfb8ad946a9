// SPDX-License-Identifier: GPL-2.0-only
#include <linux/hash.h>
#include <linux/slab.h>

#include "stress.h"

#define BUCKET_BITS	12

struct granule {
	struct hlist_node node;
	u64 iova;		/* both in granules */
	u64 phys;
	u32 users;
};

static struct bucket {
	spinlock_t lock;		/* of the list and its granules */
	struct hlist_head head;
} *buckets;

static struct kmem_cache *cache;
static unsigned int shift;
static bool complained;

int ledger_init(unsigned int granule_shift)
{
	unsigned int i;

	shift = granule_shift;
	cache = KMEM_CACHE(granule, 0);
	if (!cache)
		return -ENOMEM;
	buckets = kvcalloc(1 << BUCKET_BITS, sizeof(*buckets), GFP_KERNEL);
	if (!buckets) {
		kmem_cache_destroy(cache);
		return -ENOMEM;
	}
	for (i = 0; i < 1 << BUCKET_BITS; i++)
		spin_lock_init(&buckets[i].lock);
	return 0;
}

/* kmem_cache_destroy() complains when a granule was not removed. */
void ledger_exit(void)
{
	kvfree(buckets);
	kmem_cache_destroy(cache);
}

static struct bucket *bucket_of(u64 iova)
{
	return &buckets[hash_64(iova, BUCKET_BITS)];
}

static struct granule *find(struct bucket *bucket, u64 iova)
{
	struct granule *granule;

	hlist_for_each_entry(granule, &bucket->head, node)
		if (granule->iova == iova)
			return granule;
	return NULL;
}

static int add_granule_locked(struct bucket *bucket, u64 iova, u64 phys)
{
	struct granule *granule = find(bucket, iova);

	if (granule) {
		if (granule->phys != phys)
			return -EILSEQ;
		granule->users++;
		return 0;
	}
	granule = kmem_cache_alloc(cache, GFP_ATOMIC | __GFP_NOWARN);
	if (!granule)
		return -ENOMEM;
	granule->iova = iova;
	granule->phys = phys;
	granule->users = 1;
	hlist_add_head(&granule->node, &bucket->head);
	return 0;
}

static int add_granule(u64 iova, u64 phys)
{
	struct bucket *bucket = bucket_of(iova);
	unsigned long flags;
	int error;

	spin_lock_irqsave(&bucket->lock, flags);
	error = add_granule_locked(bucket, iova, phys);
	spin_unlock_irqrestore(&bucket->lock, flags);
	return error;
}

static void remove_granule(u64 iova)
{
	struct bucket *bucket = bucket_of(iova);
	struct granule *granule;
	unsigned long flags;

	spin_lock_irqsave(&bucket->lock, flags);
	granule = find(bucket, iova);
	if (!WARN_ON_ONCE(!granule) && !--granule->users) {
		hlist_del(&granule->node);
		kmem_cache_free(cache, granule);
	}
	spin_unlock_irqrestore(&bucket->lock, flags);
}

static u64 granules(const struct ledger_record *record)
{
	return ((record->phys + record->size - 1) >> shift) - (record->phys >> shift) + 1;
}

static void remove_first(const struct ledger_record *record, u64 count)
{
	u64 i;

	for (i = 0; i < count; i++)
		remove_granule((record->iova >> shift) + i);
}

static int complain(const struct ledger_record *record, const char *what)
{
	if (!xchg(&complained, true))
		pr_err("quiver_stress: %s: phys %pap size %zu iova %pad\n", what, &record->phys,
		       record->size, &record->iova);
	return -EILSEQ;
}

int ledger_add(const struct ledger_record *record)
{
	u64 offset_mask = (1ull << shift) - 1;
	u64 i, count = granules(record);
	int error;

	if (!record->iova)
		return complain(record, "bus address 0");
	if ((record->iova ^ record->phys) & offset_mask)
		return complain(record, "the offset in the granule is not kept");
	for (i = 0; i < count; i++) {
		error = add_granule((record->iova >> shift) + i, (record->phys >> shift) + i);
		if (error) {
			remove_first(record, i);
			return error == -EILSEQ ?
			       complain(record, "the address is another's too") : error;
		}
	}
	return 0;
}

void ledger_remove(const struct ledger_record *record)
{
	remove_first(record, granules(record));
}
