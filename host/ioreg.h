/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading IOKit's registry without an eye for what it might have under a name. */
#ifndef QUIVER_HOST_IOREG_H
#define QUIVER_HOST_IOREG_H

#include <CoreFoundation/CoreFoundation.h>
#include <IOKit/IOKitLib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "entries.h"

/*
 * Properties of one entry. False: it has none of that name, or one of another
 * type; then *value stays as it was.
 */
bool quiver_ioreg_number(io_registry_entry_t entry, CFStringRef key, uint64_t *value);
/* Text that does not fit is cut at a character. */
bool quiver_ioreg_text(io_registry_entry_t entry, CFStringRef key, char *text, size_t size);
/* A device tree's number: up to four bytes, little-endian. */
bool quiver_ioreg_cell(io_registry_entry_t entry, CFStringRef key, uint32_t *value);
/* How many bytes it has, of which at most size are copied; 0: none. */
size_t quiver_ioreg_data(io_registry_entry_t entry, CFStringRef key, void *bytes, size_t size);

/* Whether it, or one above it, has a property that is true. */
bool quiver_ioreg_inherits(io_registry_entry_t entry, CFStringRef key);

/* 0: there is none. */
uint64_t quiver_ioreg_id(io_registry_entry_t entry);

/* Moves up: releases *entry and puts its parent there. False, and 0: it has none. */
bool quiver_ioreg_ascend(io_registry_entry_t *entry);

/* All services of a class and those derived from it. As quiver_entries_take(). */
int quiver_ioreg_services(const char *class, struct quiver_entries *services);

/* The children of an entry, the same. -EIO, too: it is gone. */
int quiver_ioreg_children(io_registry_entry_t entry, struct quiver_entries *children);

#endif
