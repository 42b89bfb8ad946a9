// SPDX-License-Identifier: BSD-3-Clause
#include "dext/core/internal.h"

/*
 * The page is shared with a host that may write anything at any time. So we
 * only ever OR bits and swap armed, and decide by what the swap returned.
 */
bool quiver_dext_interrupt(struct quiver_dext *dext, struct quiver_dext_pending *page,
			   uint32_t vector)
{
	bool armed;

	if (vector >= QUIVER_DEXT_VECTORS_MAX)
		return false;
	__atomic_fetch_or(&page->bits[vector / 64], 1ull << vector % 64, __ATOMIC_SEQ_CST);
	armed = __atomic_exchange_n(&page->armed, 0, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&dext->interrupts, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&dext->wakeups, armed, __ATOMIC_RELAXED);
	return armed;
}

void quiver_dext_pending_clear(struct quiver_dext_pending *page)
{
	__atomic_store_n(&page->armed, 0, __ATOMIC_SEQ_CST);
	for (size_t i = 0; i < QUIVER_DEXT_VECTORS_MAX / 64; i++)
		__atomic_store_n(&page->bits[i], 0, __ATOMIC_SEQ_CST);
}

uint32_t quiver_dext_vectors(const struct quiver_dext *dext, uint32_t type)
{
	switch (type) {
	case QUIVER_DEXT_IRQ_MSI:
		return dext->msi_vectors;
	case QUIVER_DEXT_IRQ_MSIX:
		return dext->msix_vectors;
	default:
		return 0;
	}
}

static bool arguments_valid(uint64_t type, uint64_t count)
{
	switch (type) {
	case QUIVER_DEXT_IRQ_NONE:
		return count == 0;
	case QUIVER_DEXT_IRQ_MSI:
		return count >= 1 && count <= 32;
	case QUIVER_DEXT_IRQ_MSIX:
		return count >= 1 && count <= QUIVER_DEXT_VECTORS_MAX;
	default:
		return false;
	}
}

int quiver_dext_irq_configure(struct quiver_dext *dext, const void *client, uint64_t type,
			      uint64_t count, uint64_t *granted)
{
	uint32_t started = 0;
	int err = quiver_dext_check(dext, client);

	if (err)
		return err;
	if (!arguments_valid(type, count))
		return -EINVAL;

	dext->ops->interrupts_stop(dext->shell);
	if (type != QUIVER_DEXT_IRQ_NONE)
		err = dext->ops->interrupts_start(dext->shell, (uint32_t)type, (uint32_t)count,
						  &started);
	*granted = err ? 0 : started;
	return err;
}
