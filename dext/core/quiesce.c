// SPDX-License-Identifier: BSD-3-Clause
/*
 * The one path by which a device goes out of use: RESET, a client that closes
 * or dies, sleep, the end of the driver; and by which one that is quarantined
 * may come back. Its order is what keeps the Mac alive [D8].
 */
#include "core/reset.h"
#include "dext/core/internal.h"

static uint16_t vendor_of(const struct quiver_dext *dext)
{
	return dext->id & 0xffff;
}

static uint16_t device_of(const struct quiver_dext *dext)
{
	return dext->id >> 16;
}

/* An FLR is a write to config space, which a device that is silent does not hear. */
static enum quiver_reset_method choose(const struct quiver_dext *dext, bool silent)
{
	if (silent && quiver_reset_hot_is_survived(vendor_of(dext), device_of(dext)))
		return QUIVER_RESET_HOT;
	return quiver_reset_choose(vendor_of(dext), device_of(dext), dext->has_flr);
}

/* Of a device that survives none: 0, for there is nothing to fail. */
static int reset(struct quiver_dext *dext, bool silent)
{
	enum quiver_reset_method method = choose(dext, silent);
	int err = 0;

	if (method != QUIVER_RESET_NONE)
		err = dext->ops->reset(dext->shell, method);
	if (err && method == QUIVER_RESET_FUNCTION &&
	    quiver_reset_hot_is_survived(vendor_of(dext), device_of(dext)))
		err = dext->ops->reset(dext->shell, QUIVER_RESET_HOT);
	/* A reset takes longer than posted writes do; where there was none, they get macOS' time. */
	if (err || method == QUIVER_RESET_NONE)
		dext->ops->sleep_us(dext->shell, QUIVER_POSTED_US);
	return err;
}

/*
 * Reset() reports success after a fixed delay, come what may [H8]: only config
 * space tells. One that is pulled out meanwhile is not waited for.
 */
static void wait_for_answer(struct quiver_dext *dext, uint64_t deadline_us)
{
	const struct quiver_dext_ops *ops = dext->ops;
	uint64_t start = ops->now_us(dext->shell);

	while (!quiver_config_answers(dext) && !ops->unplugged(dext->shell) &&
	       ops->now_us(dext->shell) - start < deadline_us)
		ops->sleep_us(dext->shell, QUIVER_RESET_POLL_US);
}

/* refused: macOS did not reset it, so it runs on with what it was told. */
static enum quiver_dext_cause diagnose(struct quiver_dext *dext, bool refused, bool stopped)
{
	if (!quiver_config_answers(dext))
		return dext->ops->unplugged(dext->shell) ? QUIVER_DEXT_CAUSE_UNPLUGGED :
							   QUIVER_DEXT_CAUSE_SILENT;
	if (!stopped)
		return QUIVER_DEXT_CAUSE_MASTERING;
	return refused ? QUIVER_DEXT_CAUSE_RESET : QUIVER_DEXT_CAUSE_NONE;
}

/*
 * Stops the device and resets it. *stopped: it is known that it does no DMA, be
 * it that it was seen to stop and then died in its reset, be it that it is not
 * there.
 */
static enum quiver_dext_cause make_safe(struct quiver_dext *dext, bool last, bool *stopped)
{
	enum quiver_dext_cause cause;
	bool silent, refused = false;

	*stopped = !quiver_config_stop(dext);
	silent = !quiver_config_answers(dext);
	if (!silent || !dext->ops->unplugged(dext->shell)) {
		refused = reset(dext, silent);
		wait_for_answer(dext, silent && last ? QUIVER_RESET_LAST_US :
						       QUIVER_RESET_DEADLINE_US);
	}
	/* macOS restores the command register after a reset, a failed one too. */
	if (quiver_config_answers(dext))
		*stopped = !quiver_config_stop(dext);
	cause = diagnose(dext, refused, *stopped);
	if (cause == QUIVER_DEXT_CAUSE_UNPLUGGED)
		*stopped = true;
	return cause;
}

static int conclude(struct quiver_dext *dext, const struct quiver_way *way,
		    enum quiver_dext_cause cause)
{
	if (cause == QUIVER_DEXT_CAUSE_NONE) {
		dext->cause = way->cause;
		return quiver_dext_advance(dext, way->then);
	}
	dext->cause = cause;
	quiver_dext_advance(dext, QUIVER_LIFE_LOSE);
	return -ETIMEDOUT;
}

int quiver_dext_quiesce(struct quiver_dext *dext, const struct quiver_way *way, uint64_t *dropped)
{
	enum quiver_dext_cause cause;
	bool stopped, goes_on;
	int err;

	*dropped = 0;
	err = quiver_dext_advance(dext, QUIVER_LIFE_QUIESCE);
	if (err)
		return err;
	cause = make_safe(dext, way->last, &stopped);
	/*
	 * Without power the bridge above is as silent as one that went with its
	 * device; but the device may go on where it was once there is power again.
	 */
	if (cause == QUIVER_DEXT_CAUSE_UNPLUGGED && way->cause == QUIVER_DEXT_CAUSE_SLEEP) {
		cause = QUIVER_DEXT_CAUSE_NONE;
		stopped = false;
	}
	goes_on = cause == QUIVER_DEXT_CAUSE_NONE && way->then == QUIVER_LIFE_SAFE;
	if (stopped && !(goes_on && way->keep))
		*dropped = quiver_dma_drop(dext, goes_on);
	dext->ops->interrupts_stop(dext->shell);
	return conclude(dext, way, cause);
}

int quiver_dext_reset(struct quiver_dext *dext, const void *client, uint64_t flags,
		      uint64_t *dropped)
{
	struct quiver_way way = { .then = QUIVER_LIFE_SAFE };
	int err = quiver_dext_check(dext, client);

	*dropped = 0;
	if (err)
		return err;
	if (flags & ~(uint64_t)QUIVER_DEXT_RESET_KEEP)
		return -EINVAL;
	way.keep = flags & QUIVER_DEXT_RESET_KEEP;
	return quiver_dext_quiesce(dext, &way, dropped);
}
