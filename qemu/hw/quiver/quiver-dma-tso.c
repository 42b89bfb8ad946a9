/* SPDX-License-Identifier: GPL-2.0-or-later */
/* quiver-dma: what tso=on promises to the guest. */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "system/tcg.h"
#include "quiver-dma.h"

static bool tcg_enable(Error **errp)
{
    if (quiver_dma_tso_of_tcg()) {
        return true;
    }
    error_setg(errp, "tso=on: this host's processor does not order memory so,"
               " and QEMU's translator does not make up for it");
    return false;
}

/* ACTLR_EL1 of all vCPUs, by the accelerator: only it knows when they are reset [H15]. */
static bool accel_enable(Object *accel, Error **errp)
{
    if (object_property_set_bool(accel, "tso", true, errp)) {
        return true;
    }
    error_prepend(errp, "tso=on: ");
    return false;
}

bool quiver_dma_tso_enable(Error **errp)
{
    Object *accel = OBJECT(current_accel());

    if (tcg_enabled()) {
        return tcg_enable(errp);
    }
    if (object_property_find(accel, "tso")) {
        return accel_enable(accel, errp);
    }
    if (quiver_has_accel("hvf")) {
        error_setg(errp, "tso=on: this QEMU lacks Quiver's patches for HVF");
    } else {
        error_setg(errp, "tso=on: nothing is known of TSO with %s",
                   current_accel_name());
    }
    return false;
}
