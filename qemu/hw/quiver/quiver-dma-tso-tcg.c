/* SPDX-License-Identifier: GPL-2.0-or-later */
/* quiver-dma: the order of memory under QEMU's translator. */
#include "qemu/osdep.h"
#include "tcg/tcg-mo.h"
#include "tcg-target-mo.h"
#include "quiver-dma.h"

/*
 * TCG makes one plain access of the host's of a plain access of the guest's,
 * keeps them in program order (its optimizer moves and drops none that touches
 * guest memory), and adds nothing for an Arm guest, whose TCG_GUEST_DEFAULT_MO
 * is 0. So loads and stores are ordered as the host orders them.
 */
bool quiver_dma_tso_of_tcg(void)
{
    const int tso = TCG_MO_LD_LD | TCG_MO_LD_ST | TCG_MO_ST_ST;

    return (TCG_TARGET_DEFAULT_MO & tso) == tso;
}
