/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What moved between the QEMU releases that this builds with: 10.0 to 11. */
#ifndef HW_QUIVER_COMPAT_H
#define HW_QUIVER_COMPAT_H

#if __has_include("system/memory.h")
#include "system/memory.h"
#include "system/address-spaces.h"
#else
#include "exec/memory.h"
#include "exec/address-spaces.h"
#endif

#if __has_include("hw/core/qdev-properties.h")
#include "hw/core/qdev-properties.h"
#else
#include "hw/qdev-properties.h"
#endif

#include "qemu/accel.h"
#include "qom/object.h"

#ifdef QUIVER_OLD_QOM
#define QUIVER_CLASS_CONST
#else
#define QUIVER_CLASS_CONST const
#endif

/* Whether that is the accelerator; releases differ in how they capitalise its name. */
static inline bool quiver_has_accel(const char *name)
{
    return !g_ascii_strcasecmp(current_accel_name(), name);
}

/*
 * HVF maps all memory executable, and the first touch of a BAR that is mapped
 * so ends the Mac [H1]. Ours, in accel/hvf, does not, and says so.
 */
static inline bool quiver_can_map_bars(void)
{
    return !quiver_has_accel("hvf") ||
           object_property_get_bool(OBJECT(current_accel()),
                                    "ram-device-noexec", NULL);
}

static inline void quiver_enable_lockless_io(MemoryRegion *mr)
{
#ifdef QUIVER_HAVE_LOCKLESS_IO
    memory_region_enable_lockless_io(mr);
#else
    /* The callback lets go of the lock by itself; others may come in then. */
    mr->disable_reentrancy_guard = true;
#endif
}

#endif
