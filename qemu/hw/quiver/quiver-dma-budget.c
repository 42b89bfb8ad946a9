/* SPDX-License-Identifier: GPL-2.0-or-later */
/* quiver-dma: the budget, as guest and user see it. Locking: quiver-dma.h. */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/visitor.h"
#include "quiver-dma.h"
#include "quiver-pci.h"

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

/* The property "stats": docs/protocol.rst. Its numbers are the status page's. */

struct number {
    const char *name;
    const __le64 *value;
};

static bool visit_numbers(Visitor *v, const struct number *numbers,
                          Error **errp)
{
    for (; numbers->name; numbers++) {
        uint64_t value = le64_to_cpu(qatomic_read(numbers->value));

        if (!visit_type_uint64(v, numbers->name, &value, errp)) {
            return false;
        }
    }
    return true;
}

/* Whoever began a struct or list ends it, whether or not it went well. */
static bool visit_object(Visitor *v, const char *name,
                         const struct number *numbers, Error **errp)
{
    bool done;

    if (!visit_start_struct(v, name, NULL, 0, errp)) {
        return false;
    }
    done = visit_numbers(v, numbers, errp) && visit_check_struct(v, errp);
    visit_end_struct(v, NULL);
    return done;
}

static bool visit_device_amounts(Visitor *v,
                                 const struct quiver_device_counters *c,
                                 Error **errp)
{
    const struct number bytes[] = {
        { "used", &c->bytes }, { "peak", &c->bytes_peak },
        { "room", &c->bytes_room }, { }
    };
    const struct number mappings[] = {
        { "used", &c->mappings }, { "peak", &c->mappings_peak },
        { "room", &c->mappings_room }, { }
    };
    const struct number refused[] = {
        { "bytes", &c->refused_bytes }, { "mappings", &c->refused_mappings },
        { "reserve", &c->refused_reserve }, { "share", &c->refused_share }, { }
    };

    return visit_object(v, "bytes", bytes, errp) &&
           visit_object(v, "mappings", mappings, errp) &&
           visit_object(v, "refused", refused, errp);
}

static bool visit_device(Visitor *v, QuiverDma *s, unsigned int index,
                         Error **errp)
{
    QuiverRecord *record = &s->records[index];
    const struct quiver_device_counters *c = record->counters;
    const struct number counters[] = {
        { "maps", &c->maps }, { "unmaps", &c->unmaps },
        { "failed", &c->failed }, { "interrupts", &c->interrupts }, { }
    };
    const char *qdev = DEVICE(record->pci)->id;
    char *id = (char *)(qdev ? qdev : ""), *host = record->pci->id;
    bool attached = quiver_dma_device_attached(s, index);
    uint32_t generation = record->generation;
    bool done;

    if (!visit_start_struct(v, NULL, NULL, 0, errp)) {
        return false;
    }
    done = visit_type_str(v, "id", &id, errp) &&
           visit_type_str(v, "host", &host, errp) &&
           visit_type_uint32(v, "record", &index, errp) &&
           visit_type_bool(v, "attached", &attached, errp) &&
           visit_type_uint32(v, "generation", &generation, errp) &&
           visit_device_amounts(v, c, errp) &&
           visit_numbers(v, counters, errp) && visit_check_struct(v, errp);
    visit_end_struct(v, NULL);
    return done;
}

static bool visit_devices(Visitor *v, QuiverDma *s, Error **errp)
{
    unsigned int i;
    bool done = true;

    if (!visit_start_list(v, "devices", NULL, 0, errp)) {
        return false;
    }
    for (i = 0; i < QUIVER_MAX_DEVICES && done; i++) {
        done = !s->records[i].pci || visit_device(v, s, i, errp);
    }
    done = done && visit_check_list(v, errp);
    visit_end_list(v, NULL);
    return done;
}

static bool visit_totals(Visitor *v, const struct quiver_status_page *page,
                         Error **errp)
{
    const struct quiver_budget_page *b = &page->budget;
    const struct number bytes[] = {
        { "limit", &b->bytes_limit }, { "reserve", &b->bytes_reserve },
        { "borrowed", &b->bytes_borrowed },
        { "guarantee", &b->bytes_guarantee },
        { "used", &b->bytes_used }, { "peak", &b->bytes_peak }, { }
    };
    const struct number mappings[] = {
        { "limit", &b->mappings_limit }, { "reserve", &b->mappings_reserve },
        { "borrowed", &b->mappings_borrowed },
        { "guarantee", &b->mappings_guarantee },
        { "used", &b->mappings_used }, { "peak", &b->mappings_peak }, { }
    };
    const struct number counters[] = {
        { "doorbells", &page->doorbells }, { "entries", &page->entries },
        { "guest_errors", &page->guest_errors }, { }
    };
    char *pressure = (char *)quiver_wire_pressure_name(
        le64_to_cpu(qatomic_read(&b->pressure)));

    return visit_object(v, "bytes", bytes, errp) &&
           visit_object(v, "mappings", mappings, errp) &&
           visit_type_str(v, "pressure", &pressure, errp) &&
           visit_numbers(v, counters, errp);
}

/* Under the BQL, as records change under it. */
static void stats_get(Object *obj, Visitor *v, const char *name, void *opaque,
                      Error **errp)
{
    QuiverDma *s = QUIVER_DMA(obj);

    if (!visit_start_struct(v, name, NULL, 0, errp)) {
        return;
    }
    if (visit_totals(v, s->page, errp) && visit_devices(v, s, errp)) {
        visit_check_struct(v, errp);
    }
    visit_end_struct(v, NULL);
}

void quiver_dma_budget_init(QuiverDma *s)
{
    qemu_mutex_init(&s->budget_lock);
    quiver_budget_init(&s->budget, s->accounts, QUIVER_MAX_DEVICES);
    object_property_add(OBJECT(s), "stats", "QuiverStats", stats_get, NULL,
                        NULL, NULL);
}
