/* SPDX-License-Identifier: GPL-2.0-or-later */
/* quiver-dma: the budget, as the guest sees it. Locking: quiver-dma.h. */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "quiver-dma.h"

static void publish_totals(QuiverDma *s)
{
    const struct quiver_meter *bytes = &s->budget.bytes;
    const struct quiver_meter *mappings = &s->budget.mappings;
    struct quiver_budget_page *page = &s->page->budget;

    qatomic_set(&page->bytes_limit, bytes->limit);
    qatomic_set(&page->bytes_reserve, bytes->reserve);
    qatomic_set(&page->bytes_borrowed, bytes->borrowed);
    qatomic_set(&page->bytes_guarantee, bytes->guarantee);
    qatomic_set(&page->bytes_used, bytes->used);
    qatomic_set(&page->bytes_peak, bytes->peak);
    qatomic_set(&page->mappings_limit, mappings->limit);
    qatomic_set(&page->mappings_reserve, mappings->reserve);
    qatomic_set(&page->mappings_borrowed, mappings->borrowed);
    qatomic_set(&page->mappings_guarantee, mappings->guarantee);
    qatomic_set(&page->mappings_used, mappings->used);
    qatomic_set(&page->mappings_peak, mappings->peak);
    qatomic_set(&page->pressure, quiver_budget_pressure(&s->budget));
}

static void publish_account(QuiverDma *s, unsigned int index)
{
    const struct quiver_account *account = &s->accounts[index];
    struct quiver_device_counters *counters = s->records[index].counters;
    struct quiver_amount room = { 0, 0 };

    if (account->attached) {
        room = quiver_budget_room(&s->budget, index);
    }
    qatomic_set(&counters->bytes, account->bytes.used);
    qatomic_set(&counters->bytes_peak, account->bytes.peak);
    qatomic_set(&counters->bytes_room, room.bytes);
    qatomic_set(&counters->mappings, account->mappings.used);
    qatomic_set(&counters->mappings_peak, account->mappings.peak);
    qatomic_set(&counters->mappings_room, room.mappings);
    qatomic_set(&counters->refused_bytes,
                account->refused[QUIVER_REFUSAL_BYTES]);
    qatomic_set(&counters->refused_mappings,
                account->refused[QUIVER_REFUSAL_MAPPINGS]);
    qatomic_set(&counters->refused_reserve,
                account->refused[QUIVER_REFUSAL_RESERVE]);
    qatomic_set(&counters->refused_share,
                account->refused[QUIVER_REFUSAL_SHARE]);
}

/* One device's maps change the room of all. */
static void publish_locked(QuiverDma *s)
{
    unsigned int i;

    publish_totals(s);
    for (i = 0; i < QUIVER_MAX_DEVICES; i++) {
        if (s->accounts[i].attached) {
            publish_account(s, i);
        }
    }
}

void quiver_dma_budget_publish(QuiverDma *s)
{
    QEMU_LOCK_GUARD(&s->budget_lock);
    publish_locked(s);
}

bool quiver_dma_budget_limit(QuiverDma *s, uint64_t bytes, uint64_t mappings,
                             Error **errp)
{
    struct quiver_amount limit = { bytes, mappings };
    const struct quiver_budget *budget = &s->budget;

    QEMU_LOCK_GUARD(&s->budget_lock);
    if (budget->bytes.limit) {
        limit.bytes = MIN(bytes, budget->bytes.limit);
        limit.mappings = MIN(mappings, budget->mappings.limit);
    }
    if (quiver_budget_set_limit(&s->budget, limit,
                                quiver_budget_reserve_of(limit))) {
        error_setg(errp, "more memory is mapped for DMA than the new device"
                   " allows; plug it before the guest uses the others");
        return false;
    }
    publish_locked(s);
    return true;
}

static unsigned int index_of(QuiverDma *s, const QuiverRecord *record)
{
    return record - s->records;
}

void quiver_dma_budget_attach(QuiverDma *s, QuiverRecord *record)
{
    QEMU_LOCK_GUARD(&s->budget_lock);
    quiver_budget_attach(&s->budget, index_of(s, record));
    publish_locked(s);
}

void quiver_dma_budget_detach(QuiverDma *s, QuiverRecord *record)
{
    QEMU_LOCK_GUARD(&s->budget_lock);
    quiver_budget_detach(&s->budget, index_of(s, record));
    publish_locked(s);
    publish_account(s, index_of(s, record));
}

int quiver_dma_budget_take(QuiverDma *s, QuiverRecord *record, uint64_t length,
                           bool vital)
{
    QEMU_LOCK_GUARD(&s->budget_lock);
    return quiver_budget_take(&s->budget, index_of(s, record), length, vital);
}

bool quiver_dma_budget_fits(QuiverDma *s, QuiverRecord *record, uint64_t length,
                            bool vital)
{
    QEMU_LOCK_GUARD(&s->budget_lock);
    return !quiver_budget_check(&s->budget, index_of(s, record), length, vital);
}

void quiver_dma_budget_release(QuiverDma *s, QuiverRecord *record,
                               uint64_t length)
{
    QEMU_LOCK_GUARD(&s->budget_lock);
    quiver_budget_release(&s->budget, index_of(s, record), length);
}

void quiver_dma_budget_init(QuiverDma *s)
{
    qemu_mutex_init(&s->budget_lock);
    quiver_budget_init(&s->budget, s->accounts, QUIVER_MAX_DEVICES);
}
