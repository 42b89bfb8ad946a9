/* SPDX-License-Identifier: GPL-2.0-or-later */
/* HVF: guest memory, decided. See hvf-map.h. */
#include <stdlib.h>
#include <string.h>
#include "hvf-map.h"

#define RETRIES         16
#define RETRY_TIME      10000000    /* ns */

HVFSectionKind hvf_section_kind(bool ram, bool ram_device, bool romd)
{
    if (ram_device) {
        return HVF_SECTION_DEVICE;
    }
    return ram || romd ? HVF_SECTION_RAM : HVF_SECTION_TRAPPED;
}

uint32_t hvf_section_access(const HVFSection *section)
{
    uint32_t access = HVF_MAP_READ;

    if (section->kind == HVF_SECTION_TRAPPED) {
        return 0;
    }
    if (!section->readonly) {
        access |= HVF_MAP_WRITE;
    }
    if (section->kind == HVF_SECTION_RAM) {
        access |= HVF_MAP_EXEC;
    }
    return access;
}

bool hvf_section_part(const HVFSection *section, uint64_t page,
                      uint64_t *start, uint64_t *size)
{
    uint64_t mask = page - 1, end = section->start + section->size;
    uint64_t head = -section->start & mask;

    /* Addresses of 64 bits do not occur: the last page may be left out. */
    if (end < section->start || head >= section->size ||
        (section->start & mask) != (section->host & mask) ||
        section->host + section->size < section->host) {
        return false;
    }
    *start = section->start + head;
    *size = (end & ~mask) - *start;
    return (end & ~mask) > *start;
}

/* Sizes are of slots, or are checked: nothing wraps but a range from outside. */
static bool overlaps(const hvf_slot *slot, uint64_t start, uint64_t size)
{
    if (!slot->size || !size) {
        return false;
    }
    return start < slot->start ? slot->start - start < size
                               : start - slot->start < slot->size;
}

hvf_slot *hvf_map_find(const HVFMap *map, uint64_t start, uint64_t size)
{
    unsigned int i;

    for (i = 0; i < map->count; i++) {
        if (overlaps(&map->slots[i], start, size)) {
            return &map->slots[i];
        }
    }
    return NULL;
}

static hvf_slot *free_slot(HVFMap *map)
{
    unsigned int i, count = map->count ? 2 * map->count : 32;
    hvf_slot *slots;

    for (i = 0; i < map->count; i++) {
        if (!map->slots[i].size) {
            return &map->slots[i];
        }
    }
    slots = realloc(map->slots, count * sizeof(*slots));
    if (!slots) {
        return NULL;
    }
    memset(slots + map->count, 0, (count - map->count) * sizeof(*slots));
    map->slots = slots;
    map->count = count;
    return &slots[i];
}

static uint32_t access_now(const hvf_slot *slot)
{
    return slot->flags & HVF_SLOT_LOG ? slot->access & ~HVF_MAP_WRITE
                                      : slot->access;
}

int hvf_map_add(HVFMap *map, const HVFSection *section)
{
    hvf_slot *slot, new = {
        .access = hvf_section_access(section),
        .flags = section->logged ? HVF_SLOT_LOG : 0,
        .region = section->region,
    };
    int error;

    hvf_map_remove(map, section->start, section->size);
    if (!new.access ||
        !hvf_section_part(section, map->page, &new.start, &new.size)) {
        return 0;
    }
    new.mem = (uint8_t *)(section->host + (new.start - section->start));
    slot = free_slot(map);
    if (!slot) {
        return HVF_MAP_NO_MEMORY;
    }
    error = map->ops->map(&new, access_now(&new));
    if (!error) {
        *slot = new;
    }
    return error;
}

void hvf_map_remove(HVFMap *map, uint64_t start, uint64_t size)
{
    hvf_slot *slot;

    while ((slot = hvf_map_find(map, start, size))) {
        map->ops->unmap(slot->start, slot->size);
        slot->size = 0;
    }
}

void hvf_map_log(HVFMap *map, uint64_t start, uint64_t size, bool on)
{
    unsigned int i;

    for (i = 0; i < map->count; i++) {
        hvf_slot *slot = &map->slots[i];

        if (overlaps(slot, start, size)) {
            slot->flags = on ? slot->flags | HVF_SLOT_LOG
                             : slot->flags & ~HVF_SLOT_LOG;
            map->ops->protect(slot, slot->start, slot->size,
                               access_now(slot));
        }
    }
}

bool hvf_map_allows(HVFMap *map, uint64_t address, uint32_t access,
                    hvf_slot **logged)
{
    hvf_slot *slot = hvf_map_find(map, address, 1);

    *logged = NULL;
    if (!slot || (slot->access & access) != access) {
        return false;
    }
    if (access & HVF_MAP_WRITE && slot->flags & HVF_SLOT_LOG) {
        map->ops->protect(slot, address & -map->page, map->page, slot->access);
        *logged = slot;
    }
    return true;
}

bool hvf_map_retry(HVFRetry *retry, uint64_t address, int64_t now,
                   bool allowed)
{
    if (!allowed || retry->address != address || now - retry->at > RETRY_TIME) {
        retry->count = 0;
    }
    retry->address = address;
    retry->at = now;
    return allowed && retry->count++ < RETRIES;
}
