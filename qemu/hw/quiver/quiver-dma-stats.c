/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * quiver-dma: the property "stats", for whoever asks QEMU: docs/protocol.rst. What
 * the host counts is the status page's; what the guest counts is the guest's word.
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/visitor.h"
#include "quiver-dma.h"
#include "quiver-pci.h"

/* --- the guest's counters --- */

static const struct quiver_guest_page *map_guest_page(QuiverDma *s,
                                                      MemoryRegionCache *cache)
{
    uint64_t address = (uint64_t)s->guest_stats[1] << 32 | s->guest_stats[0];
    int64_t length = sizeof(struct quiver_guest_page), mapped;

    if (!address || address % QUIVER_GUEST_PAGE_ALIGN ||
        !quiver_range_valid(address, length)) {
        return NULL;
    }
    mapped = address_space_cache_init(cache, &address_space_memory, address,
                                      length, false);
    if (mapped == length && cache->ptr) {
        return (const void *)cache->ptr;
    }
    address_space_cache_destroy(cache);
    return NULL;
}

/* No number of JSON's is larger for many of its readers, and no true one is. */
static void copy_numbers(__le64 *to, const __le64 *from, size_t count)
{
    while (count--) {
        *to++ = cpu_to_le64(MIN(le64_to_cpu(qatomic_read(from)), INT64_MAX));
        from++;
    }
}

/*
 * A copy, for the guest writes meanwhile; NULL: it says nothing, or nothing that
 * could be read. Only of RAM: a read of registers could do anything.
 */
static struct quiver_guest_page *copy_guest_page(QuiverDma *s)
{
    struct quiver_guest_page *copy = NULL;
    const struct quiver_guest_page *page;
    MemoryRegionCache cache;

    RCU_READ_LOCK_GUARD();
    page = map_guest_page(s, &cache);
    if (!page) {
        return NULL;
    }
    if (qatomic_read(&page->memory.updates)) {
        copy = g_new(struct quiver_guest_page, 1);
        copy_numbers((__le64 *)copy, (const __le64 *)page,
                     sizeof(*copy) / sizeof(__le64));
    }
    address_space_cache_destroy(&cache);
    return copy;
}

/* --- as JSON --- */

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

static bool visit_pages(Visitor *v, const __le64 *pages, Error **errp)
{
    const struct number numbers[] = {
        { "steered", &pages[QUIVER_STEERED] },
        { "offline", &pages[QUIVER_MISSED_OFFLINE] },
        { "full", &pages[QUIVER_MISSED_FULL] },
        { "cpuset", &pages[QUIVER_MISSED_CPUSET] },
        { "unseen", &pages[QUIVER_MISSED_UNSEEN] }, { }
    };

    return visit_object(v, "pages", numbers, errp);
}

static bool visit_guest_device(Visitor *v, const struct quiver_guest_device *d,
                               Error **errp)
{
    const struct number numbers[] = {
        { "aperture_segments", &d->aperture_segments },
        { "aperture_bytes", &d->aperture_bytes },
        { "window_segments", &d->window_segments },
        { "window_bytes", &d->window_bytes }, { "exits", &d->exits },
        { "windows", &d->windows }, { "windows_bytes", &d->windows_bytes },
        { "used_bytes", &d->used_bytes }, { }
    };
    bool done;

    if (!visit_start_struct(v, "guest", NULL, 0, errp)) {
        return false;
    }
    done = visit_numbers(v, numbers, errp) && visit_pages(v, d->pages, errp) &&
           visit_check_struct(v, errp);
    visit_end_struct(v, NULL);
    return done;
}

static bool visit_guest_memory(Visitor *v, const struct quiver_guest_memory *m,
                               Error **errp)
{
    const struct number numbers[] = {
        { "updates", &m->updates }, { "page_size", &m->page_size },
        { "total", &m->total }, { "usable", &m->usable },
        { "aperture", &m->aperture },
        { "aperture_online", &m->aperture_online },
        { "aperture_free", &m->aperture_free },
        { "aperture_shared", &m->aperture_shared }, { }
    };
    bool done;

    if (!visit_start_struct(v, "guest", NULL, 0, errp)) {
        return false;
    }
    done = visit_numbers(v, numbers, errp) && visit_pages(v, m->pages, errp) &&
           visit_check_struct(v, errp);
    visit_end_struct(v, NULL);
    return done;
}

/* guest: NULL, or what the guest says of it. */
static bool visit_device(Visitor *v, QuiverDma *s, unsigned int index,
                         const struct quiver_guest_device *guest, Error **errp)
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
    uint32_t pieces = record->aperture.count;
    bool done;

    if (!visit_start_struct(v, NULL, NULL, 0, errp)) {
        return false;
    }
    done = visit_type_str(v, "id", &id, errp) &&
           visit_type_str(v, "host", &host, errp) &&
           visit_type_uint32(v, "record", &index, errp) &&
           visit_type_bool(v, "attached", &attached, errp) &&
           visit_type_uint32(v, "generation", &generation, errp) &&
           visit_type_uint32(v, "aperture_pieces", &pieces, errp) &&
           visit_device_amounts(v, c, errp) &&
           visit_numbers(v, counters, errp) &&
           (!guest || visit_guest_device(v, guest, errp)) &&
           visit_check_struct(v, errp);
    visit_end_struct(v, NULL);
    return done;
}

/* A device that the guest does not know, or no longer, has nothing of the guest's. */
static bool visit_devices(Visitor *v, QuiverDma *s,
                          const struct quiver_guest_page *page, Error **errp)
{
    unsigned int i;
    bool done = true;

    if (!visit_start_list(v, "devices", NULL, 0, errp)) {
        return false;
    }
    for (i = 0; i < QUIVER_MAX_DEVICES && done; i++) {
        bool known = page && page->device[i].attached &&
                     quiver_dma_device_attached(s, i);

        done = !s->records[i].pci ||
               visit_device(v, s, i, known ? &page->device[i] : NULL, errp);
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
    g_autofree struct quiver_guest_page *page = copy_guest_page(s);

    if (!visit_start_struct(v, name, NULL, 0, errp)) {
        return;
    }
    if (visit_totals(v, s->page, errp) &&
        visit_type_uint64(v, "aperture", &s->aperture_length, errp) &&
        (!page || visit_guest_memory(v, &page->memory, errp)) &&
        visit_devices(v, s, page, errp)) {
        visit_check_struct(v, errp);
    }
    visit_end_struct(v, NULL);
}

void quiver_dma_stats_init(QuiverDma *s)
{
    object_property_add(OBJECT(s), "stats", "QuiverStats", stats_get, NULL,
                        NULL, NULL);
}
