// SPDX-License-Identifier: BSD-3-Clause
/*
 * The one path by which a device goes out of use: RESET, a client that closes
 * or dies, the end of the driver. Its order is what keeps the Mac alive [D8].
 */
#include "core/reset.h"
#include "dext/core/internal.h"

/* FLR if the device has it and lives through it [H8], else a hot reset. */
static enum quiver_dext_reset_method reset_method(const struct quiver_dext *dext)
{
	if (quiver_reset_flr_is_fatal(dext->id & 0xffff, dext->id >> 16))
		return QUIVER_RESET_HOT;
	return dext->has_flr ? QUIVER_RESET_FUNCTION : QUIVER_RESET_HOT;
}

/* Reset() reports success after a fixed delay, come what may [H8]: only config space tells. */
static int wait_for_answer(struct quiver_dext *dext)
{
	const struct quiver_dext_ops *ops = dext->ops;
	uint64_t start = ops->now_us(dext->shell);

	while (!quiver_config_answers(dext)) {
		if (ops->now_us(dext->shell) - start >= QUIVER_RESET_DEADLINE_US)
			return -ETIMEDOUT;
		ops->sleep_us(dext->shell, QUIVER_RESET_POLL_US);
	}
	return 0;
}

static int reset(struct quiver_dext *dext)
{
	enum quiver_dext_reset_method method = reset_method(dext);
	int err = 0;

	if (method != QUIVER_RESET_NONE)
		err = dext->ops->reset(dext->shell, method);
	if (err && method == QUIVER_RESET_FUNCTION)
		err = dext->ops->reset(dext->shell, QUIVER_RESET_HOT);
	if (wait_for_answer(dext))
		return -ETIMEDOUT;
	/* A reset that did not happen leaves a device that runs on with what it was told. */
	return err ? -ETIMEDOUT : 0;
}

int quiver_dext_quiesce(struct quiver_dext *dext, bool keep, uint64_t *dropped)
{
	bool stopped;
	int err;

	*dropped = 0;
	if (dext->state == QUIVER_DEXT_GONE)
		return -ENODEV;
	dext->state = QUIVER_DEXT_QUIESCING;
	stopped = !quiver_config_stop_mastering(dext);
	err = reset(dext);

	/*
	 * macOS restores the command register after a reset, a failed one too. A
	 * device that was seen to stop and then died in its reset masters
	 * nothing any more.
	 */
	if (!err || quiver_config_answers(dext))
		stopped = !quiver_config_stop_mastering(dext);
	if (stopped && (!keep || err))
		*dropped = quiver_dma_drop(dext);
	dext->ops->interrupts_stop(dext->shell);

	if (err || !stopped) {
		dext->state = QUIVER_DEXT_GONE;
		return -ETIMEDOUT;
	}
	dext->state = QUIVER_DEXT_CLAIMED;
	return 0;
}

int quiver_dext_reset(struct quiver_dext *dext, const void *client, uint64_t flags,
		      uint64_t *dropped)
{
	int err = quiver_dext_check(dext, client);

	*dropped = 0;
	if (err)
		return err;
	if (flags & ~(uint64_t)QUIVER_DEXT_RESET_KEEP)
		return -EINVAL;
	return quiver_dext_quiesce(dext, flags & QUIVER_DEXT_RESET_KEEP, dropped);
}
