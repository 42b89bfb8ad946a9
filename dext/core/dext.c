// SPDX-License-Identifier: BSD-3-Clause
#include "dext/core/internal.h"

/* Multimedia functions: binding one brought DART and INTx assertions [H16]. */
#define CLASS_MULTIMEDIA	0x04u

static int look_at(struct quiver_dext *dext)
{
	const struct quiver_dext_ops *ops = dext->ops;
	int err;

	dext->id = ops->config_read(dext->shell, PCI_ID, 4);
	dext->subsystem = ops->config_read(dext->shell, PCI_SUBSYSTEM, 4);
	if (!quiver_config_answers(dext))
		return -ETIMEDOUT;
	err = quiver_config_survey(dext);
	dext->refused = dext->class_revision >> 24 == CLASS_MULTIMEDIA;
	quiver_config_bars(dext);
	return err;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static struct quiver_amount own_limits(struct quiver_dext_limits asked)
{
	uint64_t bytes = smaller(asked.bytes,
				 QUIVER_DART_BYTES / 100 * (100 - QUIVER_MARGIN_PERCENT));

	return (struct quiver_amount){
		.bytes = bytes - bytes % QUIVER_DART_GRANULE,
		.mappings = smaller(asked.mappings, QUIVER_DART_MAPPINGS - QUIVER_MARGIN_MAPPINGS),
	};
}

/* All of it may be used: what is kept for whom is the host's business. */
static void open_budget(struct quiver_dext *dext, struct quiver_amount limit)
{
	const struct quiver_amount no_reserve = { 0, 0 };

	quiver_budget_init(&dext->budget, &dext->account, 1);
	quiver_budget_set_limit(&dext->budget, limit, no_reserve);
	quiver_budget_attach(&dext->budget, 0);
}

int quiver_dext_new(const struct quiver_dext_ops *ops, void *shell, uint32_t address,
		    struct quiver_dext_limits limits, struct quiver_dext **out)
{
	struct quiver_amount limit = own_limits(limits);
	struct quiver_dext *dext;
	int err;

	if (!limit.bytes || !limit.mappings)
		return -EINVAL;
	dext = ops->allocate(shell, sizeof(*dext));
	if (!dext)
		return -ENOMEM;
	dext->ops = ops;
	dext->shell = shell;
	dext->address = address;
	open_budget(dext, limit);
	quiver_registry_init(&dext->registry);

	err = look_at(dext);
	if (err)
		ops->release(shell, dext, sizeof(*dext));
	else
		*out = dext;
	return err;
}

int quiver_dext_advance(struct quiver_dext *dext, enum quiver_life_event event)
{
	return quiver_life_next(&dext->state, event) ? 0 : -ENODEV;
}

static bool in_use(const struct quiver_dext *dext)
{
	return dext->state == QUIVER_DEXT_CLAIMED || dext->state == QUIVER_DEXT_LIVE;
}

/* To one that nobody has, nothing is done: it is quiet. */
static void take_away(struct quiver_dext *dext, const struct quiver_way *way)
{
	uint64_t dropped;

	if (!in_use(dext) && !quiver_dext_mappings(dext)) {
		if (!quiver_dext_advance(dext, QUIVER_LIFE_LOSE))
			dext->cause = way->cause;
		return;
	}
	quiver_dext_quiesce(dext, way, &dropped);
}

void quiver_dext_end(struct quiver_dext *dext)
{
	const struct quiver_way way = {
		.then = QUIVER_LIFE_LOSE, .cause = QUIVER_DEXT_CAUSE_UNPLUGGED, .last = true,
	};

	if (dext->ended)
		return;
	dext->ended = true;
	take_away(dext, &way);
	dext->cause = QUIVER_DEXT_CAUSE_UNPLUGGED;
	quiver_config_stop_mastering(dext);
	quiver_dma_drop(dext, false);
	dext->ops->interrupts_stop(dext->shell);
}

void quiver_dext_delete(struct quiver_dext *dext)
{
	quiver_dext_end(dext);
	dext->ops->release(dext->shell, dext, sizeof(*dext));
}

void quiver_dext_identify(const struct quiver_dext *dext, struct quiver_dext_identity *identity)
{
	memset(identity, 0, sizeof(*identity));
	identity->abi_version = QUIVER_DEXT_ABI_VERSION;
	identity->state = dext->state;
	identity->vendor = dext->id & 0xffff;
	identity->device = dext->id >> 16;
	identity->subsystem_vendor = dext->subsystem & 0xffff;
	identity->subsystem = dext->subsystem >> 16;
	identity->class_revision = dext->class_revision;
	identity->address = dext->address;
	identity->refused = dext->refused;
	identity->cause = dext->cause;
	identity->mappings = (uint32_t)quiver_dext_mappings(dext);
}

/* Quarantined: a reset may help now that did not then, and its old mappings go with it. */
static int bring_back(struct quiver_dext *dext)
{
	const struct quiver_way way = { .then = QUIVER_LIFE_CLOSE };
	uint64_t dropped;

	return quiver_dext_quiesce(dext, &way, &dropped) ? -ENODEV : 0;
}

static int check_free(const struct quiver_dext *dext)
{
	if (dext->refused)
		return -EOPNOTSUPP;
	if (dext->asleep || dext->ended)
		return -ENODEV;
	if (!dext->client)
		return 0;
	/* Of one that slept, the client is on its way out, and it is worth to wait for that. */
	return dext->state == QUIVER_DEXT_GONE && dext->cause != QUIVER_DEXT_CAUSE_SLEEP ?
		-ENODEV : -EBUSY;
}

int quiver_dext_claim(struct quiver_dext *dext, const void *client)
{
	int err = check_free(dext);

	if (err == -EBUSY && dext->client == client)
		return dext->state == QUIVER_DEXT_GONE ? -ENODEV : 0;
	if (!err && dext->state == QUIVER_DEXT_GONE)
		err = bring_back(dext);
	if (err)
		return err;
	/* Whoever had the device before us may have left it running. */
	if (!quiver_config_answers(dext) || quiver_config_stop(dext))
		return -ETIMEDOUT;

	err = quiver_dext_advance(dext, QUIVER_LIFE_CLAIM);
	if (err)
		return err;
	dext->client = client;
	dext->told = false;
	return 0;
}

/* One that was well when the Mac went to sleep is free once both that and its claim are over. */
static void come_back(struct quiver_dext *dext)
{
	if (dext->client || dext->asleep || dext->cause != QUIVER_DEXT_CAUSE_SLEEP ||
	    quiver_dext_mappings(dext))
		return;
	if (!quiver_dext_advance(dext, QUIVER_LIFE_RETURN))
		dext->cause = QUIVER_DEXT_CAUSE_NONE;
}

bool quiver_dext_release(struct quiver_dext *dext, const void *client,
			 struct quiver_dext_pending *page)
{
	const struct quiver_way way = { .then = QUIVER_LIFE_CLOSE };
	uint64_t dropped;
	bool lost;

	if (!quiver_dext_owned_by(dext, client))
		return false;
	if (in_use(dext))
		quiver_dext_quiesce(dext, &way, &dropped);
	lost = quiver_dext_lost(dext, page);
	dext->client = NULL;
	come_back(dext);
	return lost;
}

static const struct quiver_way to_sleep = {
	.then = QUIVER_LIFE_LOSE, .cause = QUIVER_DEXT_CAUSE_SLEEP,
};

/* What is quarantined stays as it is: to have slept is no cure. */
void quiver_dext_sleep(struct quiver_dext *dext)
{
	if (dext->asleep)
		return;
	dext->asleep = true;
	if (dext->state != QUIVER_DEXT_GONE)
		take_away(dext, &to_sleep);
}

void quiver_dext_wake(struct quiver_dext *dext)
{
	uint64_t dropped;

	dext->asleep = false;
	/* It had no power already when it was to be stopped: now it has. */
	if (dext->cause == QUIVER_DEXT_CAUSE_SLEEP && quiver_dext_mappings(dext))
		quiver_dext_quiesce(dext, &to_sleep, &dropped);
	come_back(dext);
}

bool quiver_dext_lost(struct quiver_dext *dext, struct quiver_dext_pending *page)
{
	if (!dext->client || dext->told || dext->state != QUIVER_DEXT_GONE)
		return false;
	/* The host may write there as well: whether it has been told is ours to know. */
	dext->told = true;
	__atomic_store_n(&page->lost, dext->cause, __ATOMIC_SEQ_CST);
	return true;
}

uint64_t quiver_dext_mappings(const struct quiver_dext *dext)
{
	return dext->budget.mappings.used;
}

bool quiver_dext_owned_by(const struct quiver_dext *dext, const void *client)
{
	return client && dext->client == client;
}

int quiver_dext_check(const struct quiver_dext *dext, const void *client)
{
	if (!quiver_dext_owned_by(dext, client))
		return -EPERM;
	return dext->state == QUIVER_DEXT_GONE ? -ENODEV : 0;
}

int quiver_dext_stats(struct quiver_dext *dext, const void *client,
		      struct quiver_dext_stats *stats)
{
	const struct quiver_budget *budget = &dext->budget;

	if (!quiver_dext_owned_by(dext, client))
		return -EPERM;
	memset(stats, 0, sizeof(*stats));
	stats->bytes_limit = budget->bytes.limit;
	stats->bytes = budget->bytes.used;
	stats->bytes_peak = budget->bytes.peak;
	stats->mappings_limit = budget->mappings.limit;
	stats->mappings = budget->mappings.used;
	stats->mappings_peak = budget->mappings.peak;
	stats->granule = QUIVER_DART_GRANULE;
	stats->maps = dext->maps;
	stats->unmaps = dext->unmaps;
	stats->refused_bytes = dext->account.refused[QUIVER_REFUSAL_BYTES];
	stats->refused_mappings = dext->account.refused[QUIVER_REFUSAL_MAPPINGS];
	stats->failed = dext->failed;
	stats->interrupts = __atomic_load_n(&dext->interrupts, __ATOMIC_RELAXED);
	stats->wakeups = __atomic_load_n(&dext->wakeups, __ATOMIC_RELAXED);
	stats->calls = dext->calls;
	return 0;
}
