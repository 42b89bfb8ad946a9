/* SPDX-License-Identifier: GPL-2.0-or-later */
/* quiver-dma: what tso=on promises to the guest. */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "system/tcg.h"
#include "quiver-dma.h"

#ifdef CONFIG_TCG
#include "tcg/tcg-mo.h"
#include "tcg-target-mo.h"
#endif

/*
 * TCG makes one plain access of the host's of a plain access of the guest's,
 * keeps them in program order (its optimizer moves and drops none that touches
 * guest memory), and adds nothing for an Arm guest, whose TCG_GUEST_DEFAULT_MO
 * is 0. So loads and stores are ordered as the host orders them.
 */
static bool tcg_has_tso(void)
{
#ifdef CONFIG_TCG
    const int tso = TCG_MO_LD_LD | TCG_MO_LD_ST | TCG_MO_ST_ST;

    return (TCG_TARGET_DEFAULT_MO & tso) == tso;
#else
    return false;
#endif
}

bool quiver_dma_tso_valid(Error **errp)
{
    if (tcg_enabled() && tcg_has_tso()) {
        return true;
    }
    if (tcg_enabled()) {
        error_setg(errp, "tso=on: this host's processor does not order memory so,"
                   " and QEMU's translator does not make up for it");
    } else if (quiver_has_accel("hvf")) {
        error_setg(errp, "tso=on: nothing sets ACTLR_EL1 of the vCPUs before they"
                   " boot yet [H15]");
    } else {
        error_setg(errp, "tso=on: nothing is known of TSO with %s",
                   current_accel_name());
    }
    return false;
}
