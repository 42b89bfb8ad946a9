// SPDX-License-Identifier: BSD-3-Clause
/* The way out of use, and what no simulated device does on it. */
#include "test_dext_fake.h"

static void the_way_out_has_one_order(void **unused)
{
	struct quiver_dext *dext = fake_new_claimed();
	uint64_t dropped;

	assert_int_equal(fake_map(dext, 1, NULL), 0);
	assert_int_equal(fake_map(dext, 1, NULL), 0);
	fake_make_live(dext);
	fake_expect_log("ppM");
	assert_int_equal(quiver_dext_reset(dext, &client_a, 0, &dropped), 0);
	assert_int_equal(dropped, 2);
	fake_expect_log("mfcci");
	fake_make_live(dext);
	assert_int_equal(fake_map(dext, 1, NULL), 0);
	fake_expect_log("Mp");
	fake_release(dext, &client_a);
	fake_expect_log("mfci");
	assert_int_equal(fake_state(dext), QUIVER_DEXT_UNCLAIMED);
	assert_int_equal(quiver_dext_claim(dext, &client_b), 0);
	fake_delete(dext);
}

static void ending_takes_the_same_way(void **unused)
{
	struct quiver_dext *dext = fake_new_claimed();

	assert_int_equal(fake_map(dext, 1, NULL), 0);
	fake_make_live(dext);
	fake_expect_log("pM");
	fake_delete(dext);
	assert_true(!strncmp(fake.log, "mfci", 4));
}

/* macOS restores the command register after a reset, mastering included. */
static void mastering_that_a_reset_restores_is_cleared(void **unused)
{
	struct quiver_dext *dext = fake_new_claimed();
	uint64_t dropped;

	fake.restores_mastering = true;
	assert_int_equal(fake_map(dext, 1, NULL), 0);
	fake_make_live(dext);
	fake_expect_log("pM");
	assert_int_equal(quiver_dext_reset(dext, &client_a, 0, &dropped), 0);
	fake_expect_log("mfmci");
	fake_delete(dext);
}

static void gb202_never_gets_an_flr(void **unused)
{
	const uint32_t ids[] = { 0x2b8510de, 0x2b8710de, 0x2b8c10de };
	struct quiver_dext *dext;
	uint64_t dropped;

	for (size_t i = 0; i < 3; i++) {
		fake_put32(0, ids[i]);
		dext = fake_new_claimed();
		fake_make_live(dext);
		memset(fake.log, 0, sizeof(fake.log));
		assert_int_equal(quiver_dext_reset(dext, &client_a, 0, &dropped), 0);
		fake_expect_log("mhi");
		fake_delete(dext);
		memset(fake.log, 0, sizeof(fake.log));
	}
}

static void without_flr_it_is_a_hot_reset(void **unused)
{
	struct quiver_dext *dext;
	uint64_t dropped;

	fake_put32(0x44, 0);
	dext = fake_new_claimed();
	assert_int_equal(quiver_dext_reset(dext, &client_a, 0, &dropped), 0);
	fake_expect_log("hi");
	fake_delete(dext);
}

static void an_flr_that_fails_becomes_a_hot_reset(void **unused)
{
	struct quiver_dext *dext = fake_new_claimed();
	uint64_t dropped;

	fake.reset_result[QUIVER_RESET_FUNCTION] = -EIO;
	assert_int_equal(quiver_dext_reset(dext, &client_a, 0, &dropped), 0);
	fake_expect_log("fhi");
	fake.reset_result[QUIVER_RESET_HOT] = -EIO;
	assert_int_equal(quiver_dext_reset(dext, &client_a, 0, &dropped), -ETIMEDOUT);
	assert_int_equal(fake_state(dext), QUIVER_DEXT_GONE);
	fake_delete(dext);
}

static void a_reset_that_fails_may_restore_mastering_too(void **unused)
{
	struct quiver_dext *dext = fake_new_claimed();
	uint64_t dropped;

	fake.restores_mastering = true;
	fake.reset_result[QUIVER_RESET_FUNCTION] = -EIO;
	fake.reset_result[QUIVER_RESET_HOT] = -EIO;
	assert_int_equal(fake_map(dext, 1, NULL), 0);
	fake_make_live(dext);
	fake_expect_log("pM");
	assert_int_equal(quiver_dext_reset(dext, &client_a, 0, &dropped), -ETIMEDOUT);
	fake_expect_log("mfhmci");
	assert_int_equal(dropped, 1);
	fake_delete(dext);
}

static void a_slow_device_is_waited_for(void **unused)
{
	struct quiver_dext *dext = fake_new_claimed();
	uint64_t dropped;

	fake.answers_after = 100;
	assert_int_equal(quiver_dext_reset(dext, &client_a, 0, &dropped), 0);
	assert_int_equal(fake_state(dext), QUIVER_DEXT_CLAIMED);
	fake_delete(dext);
}

static void the_wait_is_bounded(void **unused)
{
	struct quiver_dext *dext = fake_new_claimed();
	uint64_t dropped;

	fake_make_live(dext);
	fake.dies_of_reset = true;
	assert_int_equal(quiver_dext_reset(dext, &client_a, 0, &dropped), -ETIMEDOUT);
	assert_true(fake.clock >= QUIVER_RESET_DEADLINE_US);
	assert_true(fake.clock < 2 * QUIVER_RESET_DEADLINE_US);
	fake_delete(dext);
}

/* It was seen to stop: what it had may go, and it does not come back. */
static void stopped_then_dead_drops_and_quarantines(void **unused)
{
	struct quiver_dext *dext = fake_new_claimed();
	uint64_t dropped;

	assert_int_equal(fake_map(dext, 1, NULL), 0);
	fake_make_live(dext);
	fake.dies_of_reset = true;
	assert_int_equal(quiver_dext_reset(dext, &client_a, 0, &dropped), -ETIMEDOUT);
	assert_int_equal(dropped, 1);
	assert_int_equal(fake.mapped, 0);
	assert_int_equal(fake_state(dext), QUIVER_DEXT_GONE);
	fake_release(dext, &client_a);
	assert_int_equal(fake_state(dext), QUIVER_DEXT_GONE);
	assert_int_equal(quiver_dext_claim(dext, &client_b), -ENODEV);
	fake_delete(dext);
}

static void expect_quarantine_with_mappings(struct quiver_dext *dext)
{
	struct quiver_dext_stats stats;
	uint64_t dropped;

	assert_int_equal(quiver_dext_reset(dext, &client_a, 0, &dropped), -ETIMEDOUT);
	assert_int_equal(dropped, 0);
	assert_int_equal(fake.mapped, 2);
	assert_int_equal(fake_state(dext), QUIVER_DEXT_GONE);
	assert_int_equal(quiver_dext_reset(dext, &client_a, 0, &dropped), -ENODEV);
	assert_int_equal(quiver_dext_stats(dext, &client_a, &stats), 0);
	assert_int_equal(stats.mappings, 2);
	fake_release(dext, &client_a);
	assert_int_equal(fake.mapped, 2);
	assert_int_equal(quiver_dext_claim(dext, &client_b), -ENODEV);
	/* The end of the process is the end of them, like it or not. */
	fake_delete(dext);
}

static void never_seen_to_stop_keeps_its_mappings(void **unused)
{
	struct quiver_dext *dext = fake_new_claimed();

	assert_int_equal(fake_map(dext, 1, NULL), 0);
	assert_int_equal(fake_map(dext, 3, NULL), 0);
	fake_make_live(dext);
	fake.silent = true;
	expect_quarantine_with_mappings(dext);
}

static void mastering_on_to_the_end_keeps_its_mappings(void **unused)
{
	struct quiver_dext *dext = fake_new_claimed();

	assert_int_equal(fake_map(dext, 1, NULL), 0);
	assert_int_equal(fake_map(dext, 3, NULL), 0);
	fake_make_live(dext);
	fake.keeps_mastering = true;
	expect_quarantine_with_mappings(dext);
}

static void an_id_that_asks_to_retry_is_no_answer(void **unused)
{
	struct quiver_dext *dext = fake_new_claimed();
	uint64_t dropped;

	fake.retries = true;
	assert_int_equal(quiver_dext_reset(dext, &client_a, 0, &dropped), -ETIMEDOUT);
	fake_delete(dext);
}

/* A reset may revive a device that was silent before it. */
static void revived_by_the_reset_is_well(void **unused)
{
	struct quiver_dext *dext = fake_new_claimed();
	uint64_t dropped;

	assert_int_equal(fake_map(dext, 1, NULL), 0);
	fake.silent = true;
	fake.answers_after = 4;
	assert_int_equal(quiver_dext_reset(dext, &client_a, 0, &dropped), 0);
	assert_int_equal(dropped, 1);
	fake_delete(dext);
}

/* --- Transactions that are pending ------------------------------------------------------------ */

/* Live, with a mapping that must not go too early. */
static struct quiver_dext *new_strict(void)
{
	struct quiver_dext *dext = fake_new_claimed();

	fake.strict = true;
	assert_int_equal(fake_map(dext, 1, NULL), 0);
	fake_make_live(dext);
	return dext;
}

static void what_is_pending_ends_before_a_reset(void **unused)
{
	struct quiver_dext *dext = new_strict();
	uint64_t dropped;

	fake.pending_until = QUIVER_PENDING_DEADLINE_US / 2;
	fake.stays_pending = true;
	assert_int_equal(quiver_dext_reset(dext, &client_a, 0, &dropped), 0);
	assert_int_equal(dropped, 1);
	assert_in_range(fake.clock, QUIVER_PENDING_DEADLINE_US / 2,
			QUIVER_PENDING_DEADLINE_US / 2 + QUIVER_PENDING_POLL_US);
	fake_expect(dext, QUIVER_DEXT_CLAIMED, QUIVER_DEXT_CAUSE_NONE, 0);
	fake_delete(dext);
}

static void what_stays_pending_a_reset_ends(void **unused)
{
	struct quiver_dext *dext = new_strict();
	uint64_t dropped;

	fake.pending_until = UINT64_MAX;
	assert_int_equal(quiver_dext_reset(dext, &client_a, 0, &dropped), 0);
	assert_int_equal(dropped, 1);
	assert_in_range(fake.clock, QUIVER_PENDING_DEADLINE_US, 2 * QUIVER_PENDING_DEADLINE_US);
	fake_delete(dext);
}

static void what_a_reset_does_not_end_keeps_its_mappings(void **unused)
{
	struct quiver_dext *dext = new_strict();
	uint64_t dropped;

	fake.pending_until = UINT64_MAX;
	fake.stays_pending = true;
	assert_int_equal(quiver_dext_reset(dext, &client_a, 0, &dropped), -ETIMEDOUT);
	assert_int_equal(dropped, 0);
	assert_in_range(fake.clock, 2 * QUIVER_PENDING_DEADLINE_US,
			2 * QUIVER_PENDING_DEADLINE_US + QUIVER_RESET_DEADLINE_US);
	fake_expect(dext, QUIVER_DEXT_GONE, QUIVER_DEXT_CAUSE_MASTERING, 1);
	fake_release(dext, &client_a);
	assert_int_equal(quiver_dext_claim(dext, &client_b), -ENODEV);
	/* Each claim tries once more. */
	fake.pending_until = 0;
	assert_int_equal(quiver_dext_claim(dext, &client_b), 0);
	fake_expect(dext, QUIVER_DEXT_CLAIMED, QUIVER_DEXT_CAUSE_NONE, 0);
	fake_delete(dext);
}

/* An NVIDIA T4 with no FLR: nothing but the wait lies between the end of mastering and release. */
static struct quiver_dext *new_without_reset(void)
{
	fake_put32(0, 0x1eb810de);
	fake_put32(0x44, 0);
	return new_strict();
}

static void without_a_reset_what_is_pending_is_waited_for(void **unused)
{
	struct quiver_dext *dext = new_without_reset();

	fake.pending_until = QUIVER_PENDING_DEADLINE_US / 2;
	fake_release(dext, &client_a);
	fake_expect(dext, QUIVER_DEXT_UNCLAIMED, QUIVER_DEXT_CAUSE_NONE, 0);
	assert_in_range(fake.clock, QUIVER_PENDING_DEADLINE_US / 2 + QUIVER_POSTED_US,
			QUIVER_PENDING_DEADLINE_US);
	fake_delete(dext);

	fake_set_up(NULL);
	dext = new_without_reset();
	fake.pending_until = UINT64_MAX;
	fake_release(dext, &client_a);
	fake_expect(dext, QUIVER_DEXT_GONE, QUIVER_DEXT_CAUSE_MASTERING, 1);
	fake.strict = false;
	fake_delete(dext);
}

/* What a device wrote last may be on its way, whatever its status says. */
static void without_a_reset_posted_writes_get_their_time(void **unused)
{
	struct quiver_dext *dext = new_without_reset();

	fake_release(dext, &client_a);
	assert_int_equal(fake.clock, QUIVER_POSTED_US);
	fake_delete(dext);

	fake_set_up(NULL);
	dext = new_strict();
	fake.reset_result[0] = fake.reset_result[1] = -EIO;
	fake_release(dext, &client_a);
	fake_expect(dext, QUIVER_DEXT_GONE, QUIVER_DEXT_CAUSE_RESET, 0);
	assert_int_equal(fake.clock, QUIVER_POSTED_US);
	fake_delete(dext);
}

static void one_that_is_pulled_is_not_waited_for(void **unused)
{
	struct quiver_dext *dext = new_strict();

	fake.pending_until = UINT64_MAX;
	fake.pulled_at = 5 * QUIVER_PENDING_POLL_US;
	fake_release(dext, &client_a);
	fake_expect(dext, QUIVER_DEXT_GONE, QUIVER_DEXT_CAUSE_UNPLUGGED, 0);
	assert_int_equal(fake.clock, 5 * QUIVER_PENDING_POLL_US);
	fake_delete(dext);
}

static void nobody_gets_a_device_with_transactions_pending(void **unused)
{
	struct quiver_dext *dext = fake_new();

	fake.pending_until = UINT64_MAX;
	assert_int_equal(quiver_dext_claim(dext, &client_a), -ETIMEDOUT);
	fake_expect(dext, QUIVER_DEXT_UNCLAIMED, QUIVER_DEXT_CAUSE_NONE, 0);
	fake.pending_until = 0;
	assert_int_equal(quiver_dext_claim(dext, &client_a), 0);
	fake_delete(dext);
}

/* --- QUIVER_DEXT_RESET_KEEP ------------------------------------------------------------------- */

static int reset_keeping(struct quiver_dext *dext, uint64_t *dropped)
{
	memset(fake.log, 0, sizeof(fake.log));
	return quiver_dext_reset(dext, &client_a, QUIVER_DEXT_RESET_KEEP, dropped);
}

/* Live, with mappings of one granule and of three. */
static struct quiver_dext *new_with_mappings(uint64_t *iova)
{
	struct quiver_dext *dext = fake_new_claimed();

	assert_int_equal(fake_map(dext, 1, NULL), 0);
	assert_int_equal(fake_map(dext, 3, iova), 0);
	fake_make_live(dext);
	return dext;
}

static void expect_books(struct quiver_dext *dext, uint64_t mappings, uint64_t granules)
{
	struct quiver_dext_stats stats;

	assert_int_equal(quiver_dext_stats(dext, &client_a, &stats), 0);
	assert_int_equal(stats.mappings, mappings);
	assert_int_equal(stats.bytes, granules * GRANULE);
	assert_int_equal(fake.mapped, mappings);
}

/* Interrupts go: the device's own half of them is gone with the reset. */
static void keeping_keeps_mappings_and_nothing_else(void **unused)
{
	uint64_t dropped = 1, granted, iova;
	struct quiver_dext *dext = new_with_mappings(&iova);

	assert_int_equal(quiver_dext_irq_configure(dext, &client_a, QUIVER_DEXT_IRQ_MSI, 1,
						   &granted), 0);
	assert_int_equal(reset_keeping(dext, &dropped), 0);
	assert_int_equal(dropped, 0);
	fake_expect_log("mfi");
	fake_expect(dext, QUIVER_DEXT_CLAIMED, QUIVER_DEXT_CAUSE_NONE, 2);
	expect_books(dext, 2, 4);
	/* They are mappings like any others from here on. */
	fake_make_live(dext);
	assert_int_equal(fake_unmap(dext, 3, iova), QUIVER_DEXT_S_OK);
	expect_books(dext, 1, 1);
	assert_int_equal(quiver_dext_irq_configure(dext, &client_a, QUIVER_DEXT_IRQ_MSI, 1,
						   &granted), 0);
	memset(fake.log, 0, sizeof(fake.log));
	fake_release(dext, &client_a);
	fake_expect_log("mfci");
	fake_delete(dext);
}

static void what_is_kept_counts_against_the_limits(void **unused)
{
	const struct quiver_dext_limits two = { UINT64_MAX, 2 };
	struct quiver_dext *dext;
	uint64_t dropped;

	assert_int_equal(quiver_dext_new(&fake_ops, NULL, 0, two, &dext), 0);
	assert_int_equal(quiver_dext_claim(dext, &client_a), 0);
	for (unsigned int round = 0; round < 3; round++) {
		assert_int_equal(fake_map(dext, 1, NULL), round ? QUIVER_DEXT_S_MAPPINGS : 0);
		if (!round)
			assert_int_equal(fake_map(dext, 1, NULL), 0);
		assert_int_equal(reset_keeping(dext, &dropped), 0);
		expect_books(dext, 2, 2);
	}
	assert_int_equal(quiver_dext_reset(dext, &client_a, 0, &dropped), 0);
	assert_int_equal(dropped, 2);
	assert_int_equal(fake_map(dext, 1, NULL), 0);
	fake_delete(dext);
}

/* There is no driver left to go on, so what is known to be safe to release is released. */
static void a_failed_reset_keeps_only_what_must_be_kept(void **unused)
{
	struct quiver_dext *dext;
	uint64_t dropped, iova;

	dext = new_with_mappings(&iova);
	fake.dies_of_reset = true;
	assert_int_equal(reset_keeping(dext, &dropped), -ETIMEDOUT);
	assert_int_equal(dropped, 2);
	fake_expect(dext, QUIVER_DEXT_GONE, QUIVER_DEXT_CAUSE_SILENT, 0);
	fake_delete(dext);

	fake_set_up(NULL);
	dext = new_with_mappings(&iova);
	fake.reset_result[0] = fake.reset_result[1] = -EIO;
	assert_int_equal(reset_keeping(dext, &dropped), -ETIMEDOUT);
	assert_int_equal(dropped, 2);
	fake_expect(dext, QUIVER_DEXT_GONE, QUIVER_DEXT_CAUSE_RESET, 0);
	fake_delete(dext);

	fake_set_up(NULL);
	dext = new_with_mappings(&iova);
	fake.keeps_mastering = true;
	assert_int_equal(reset_keeping(dext, &dropped), -ETIMEDOUT);
	assert_int_equal(dropped, 0);
	fake_expect(dext, QUIVER_DEXT_GONE, QUIVER_DEXT_CAUSE_MASTERING, 2);
	expect_books(dext, 2, 4);
	fake_delete(dext);
}

static void other_flags_are_refused_and_do_nothing(void **unused)
{
	uint64_t dropped, iova;
	struct quiver_dext *dext = new_with_mappings(&iova);

	for (unsigned int bit = 1; bit < 64; bit++) {
		memset(fake.log, 0, sizeof(fake.log));
		assert_int_equal(quiver_dext_reset(dext, &client_a, 1ull << bit, &dropped),
				 -EINVAL);
		assert_int_equal(quiver_dext_reset(dext, &client_a, 1ull << bit | 1, &dropped),
				 -EINVAL);
		fake_expect_log("");
	}
	assert_int_equal(fake_state(dext), QUIVER_DEXT_LIVE);
	fake_delete(dext);
}

/* --- QUIVER_DEXT_DMA_STAYS -------------------------------------------------------------------- */

/* Live, with mappings of one granule and of three, and one of five between them that stays. */
static struct quiver_dext *new_with_one_that_stays(uint64_t *iova)
{
	struct quiver_dext *dext = fake_new_claimed();

	assert_int_equal(fake_map(dext, 1, NULL), 0);
	assert_int_equal(fake_map_staying(dext, 5, iova), 0);
	assert_int_equal(fake_map(dext, 3, NULL), 0);
	fake_make_live(dext);
	memset(fake.log, 0, sizeof(fake.log));
	return dext;
}

static void what_stays_survives_resets_and_is_not_counted(void **unused)
{
	uint64_t dropped, iova;
	struct quiver_dext *dext = new_with_one_that_stays(&iova);

	fake.strict = true;
	assert_int_equal(quiver_dext_reset(dext, &client_a, 0, &dropped), 0);
	assert_int_equal(dropped, 2);
	fake_expect_log("mfcci");
	fake_expect(dext, QUIVER_DEXT_CLAIMED, QUIVER_DEXT_CAUSE_NONE, 1);
	expect_books(dext, 1, 5);
	for (unsigned int round = 0; round < 3; round++) {
		fake_make_live(dext);
		assert_int_equal(fake_map(dext, 2, NULL), 0);
		assert_int_equal(quiver_dext_reset(dext, &client_a, 0, &dropped), 0);
		assert_int_equal(dropped, 1);
		expect_books(dext, 1, 5);
	}
	assert_int_equal(quiver_dext_reset(dext, &client_a, 0, &dropped), 0);
	assert_int_equal(dropped, 0);
	/* It has a name like any other, and goes by it. */
	assert_int_equal(fake_unmap(dext, 4, iova), QUIVER_DEXT_S_NOENT);
	assert_int_equal(fake_unmap(dext, 5, iova), QUIVER_DEXT_S_OK);
	assert_int_equal(fake_unmap(dext, 5, iova), QUIVER_DEXT_S_NOENT);
	expect_books(dext, 0, 0);
	fake_delete(dext);
}

/* What a reset with QUIVER_DEXT_RESET_KEEP keeps does not stay for that. */
static void keeping_makes_nothing_stay_that_did_not(void **unused)
{
	uint64_t dropped, iova;
	struct quiver_dext *dext = new_with_one_that_stays(&iova);

	assert_int_equal(reset_keeping(dext, &dropped), 0);
	assert_int_equal(dropped, 0);
	fake_expect_log("mfi");
	expect_books(dext, 3, 9);
	assert_int_equal(quiver_dext_reset(dext, &client_a, 0, &dropped), 0);
	assert_int_equal(dropped, 2);
	expect_books(dext, 1, 5);
	assert_int_equal(reset_keeping(dext, &dropped), 0);
	assert_int_equal(dropped, 0);
	expect_books(dext, 1, 5);
	fake_delete(dext);
}

/* Whether it stays is the mapping's own: one that comes after it, where it was, does not. */
static void what_comes_where_something_stayed_does_not_stay(void **unused)
{
	uint64_t dropped, iova, again;
	struct quiver_dext *dext = new_with_one_that_stays(&iova);

	assert_int_equal(fake_unmap(dext, 5, iova), QUIVER_DEXT_S_OK);
	fake.next_iova = iova;
	assert_int_equal(fake_map(dext, 5, &again), QUIVER_DEXT_S_OK);
	assert_int_equal(again, iova);
	assert_int_equal(quiver_dext_reset(dext, &client_a, 0, &dropped), 0);
	assert_int_equal(dropped, 3);
	expect_books(dext, 0, 0);
	fake_delete(dext);
}

static void what_stays_goes_with_the_claim(void **unused)
{
	uint64_t dropped, iova;
	struct quiver_dext *dext = new_with_one_that_stays(&iova);

	fake.strict = true;
	fake_release(dext, &client_a);
	fake_expect_log("mfccci");
	fake_expect(dext, QUIVER_DEXT_UNCLAIMED, QUIVER_DEXT_CAUSE_NONE, 0);
	assert_int_equal(quiver_dext_claim(dext, &client_b), 0);
	fake_expect(dext, QUIVER_DEXT_CLAIMED, QUIVER_DEXT_CAUSE_NONE, 0);
	fake_delete(dext);

	/* After a reset as well, which it had survived. */
	fake_set_up(NULL);
	dext = new_with_one_that_stays(&iova);
	fake.strict = true;
	assert_int_equal(quiver_dext_reset(dext, &client_a, 0, &dropped), 0);
	fake_make_live(dext);
	fake_release(dext, &client_a);
	fake_expect(dext, QUIVER_DEXT_UNCLAIMED, QUIVER_DEXT_CAUSE_NONE, 0);
	fake_delete(dext);
}

static void what_stays_goes_with_sleep_and_with_the_end(void **unused)
{
	uint64_t iova;
	struct quiver_dext *dext = new_with_one_that_stays(&iova);

	fake.strict = true;
	quiver_dext_sleep(dext);
	fake_expect_log("mfccci");
	fake_expect(dext, QUIVER_DEXT_GONE, QUIVER_DEXT_CAUSE_SLEEP, 0);
	fake_delete(dext);

	fake_set_up(NULL);
	dext = new_with_one_that_stays(&iova);
	fake.strict = true;
	quiver_dext_end(dext);
	fake_expect(dext, QUIVER_DEXT_GONE, QUIVER_DEXT_CAUSE_UNPLUGGED, 0);
	fake_delete(dext);

	/* And where the way out had to leave it. */
	fake_set_up(NULL);
	dext = new_with_one_that_stays(&iova);
	fake.keeps_mastering = true;
	quiver_dext_end(dext);
	fake_expect(dext, QUIVER_DEXT_GONE, QUIVER_DEXT_CAUSE_UNPLUGGED, 0);
	fake_delete(dext);
}

/* Nobody goes on with a device that is gone, so nothing stays for them. */
static void what_stays_goes_with_a_reset_that_fails(void **unused)
{
	uint64_t dropped, iova;
	struct quiver_dext *dext;

	for (uint64_t flags = 0; flags <= QUIVER_DEXT_RESET_KEEP; flags++) {
		fake_set_up(NULL);
		dext = new_with_one_that_stays(&iova);
		fake.dies_of_reset = true;
		assert_int_equal(quiver_dext_reset(dext, &client_a, flags, &dropped), -ETIMEDOUT);
		assert_int_equal(dropped, 3);
		fake_expect(dext, QUIVER_DEXT_GONE, QUIVER_DEXT_CAUSE_SILENT, 0);
		fake_delete(dext);

		fake_set_up(NULL);
		dext = new_with_one_that_stays(&iova);
		fake.reset_result[0] = fake.reset_result[1] = -EIO;
		assert_int_equal(quiver_dext_reset(dext, &client_a, flags, &dropped), -ETIMEDOUT);
		assert_int_equal(dropped, 3);
		fake_expect(dext, QUIVER_DEXT_GONE, QUIVER_DEXT_CAUSE_RESET, 0);
		fake_delete(dext);

		fake_set_up(NULL);
		dext = new_with_one_that_stays(&iova);
		fake.silent = fake.unplugged = true;
		assert_int_equal(quiver_dext_reset(dext, &client_a, flags, &dropped), -ETIMEDOUT);
		assert_int_equal(dropped, 3);
		fake_expect(dext, QUIVER_DEXT_GONE, QUIVER_DEXT_CAUSE_UNPLUGGED, 0);
		fake_delete(dext);
	}
}

/* A device that was not seen to stop keeps everything; who claims it next gets none of it. */
static void what_stays_goes_when_a_claim_brings_the_device_back(void **unused)
{
	uint64_t dropped, iova;
	struct quiver_dext *dext = new_with_one_that_stays(&iova);

	fake.keeps_mastering = true;
	assert_int_equal(quiver_dext_reset(dext, &client_a, 0, &dropped), -ETIMEDOUT);
	assert_int_equal(dropped, 0);
	fake_release(dext, &client_a);
	fake_expect(dext, QUIVER_DEXT_GONE, QUIVER_DEXT_CAUSE_MASTERING, 3);
	fake.keeps_mastering = false;
	fake.strict = true;
	assert_int_equal(quiver_dext_claim(dext, &client_b), 0);
	fake_expect(dext, QUIVER_DEXT_CLAIMED, QUIVER_DEXT_CAUSE_NONE, 0);
	fake_delete(dext);
}

#define TEST(name) cmocka_unit_test_setup(name, fake_set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_way_out_has_one_order),
		TEST(ending_takes_the_same_way),
		TEST(mastering_that_a_reset_restores_is_cleared),
		TEST(gb202_never_gets_an_flr),
		TEST(without_flr_it_is_a_hot_reset),
		TEST(an_flr_that_fails_becomes_a_hot_reset),
		TEST(a_reset_that_fails_may_restore_mastering_too),
		TEST(a_slow_device_is_waited_for),
		TEST(the_wait_is_bounded),
		TEST(stopped_then_dead_drops_and_quarantines),
		TEST(never_seen_to_stop_keeps_its_mappings),
		TEST(mastering_on_to_the_end_keeps_its_mappings),
		TEST(an_id_that_asks_to_retry_is_no_answer),
		TEST(revived_by_the_reset_is_well),
		TEST(what_is_pending_ends_before_a_reset),
		TEST(what_stays_pending_a_reset_ends),
		TEST(what_a_reset_does_not_end_keeps_its_mappings),
		TEST(without_a_reset_what_is_pending_is_waited_for),
		TEST(without_a_reset_posted_writes_get_their_time),
		TEST(one_that_is_pulled_is_not_waited_for),
		TEST(nobody_gets_a_device_with_transactions_pending),
		TEST(keeping_keeps_mappings_and_nothing_else),
		TEST(what_is_kept_counts_against_the_limits),
		TEST(a_failed_reset_keeps_only_what_must_be_kept),
		TEST(other_flags_are_refused_and_do_nothing),
		TEST(what_stays_survives_resets_and_is_not_counted),
		TEST(keeping_makes_nothing_stay_that_did_not),
		TEST(what_comes_where_something_stayed_does_not_stay),
		TEST(what_stays_goes_with_the_claim),
		TEST(what_stays_goes_with_sleep_and_with_the_end),
		TEST(what_stays_goes_with_a_reset_that_fails),
		TEST(what_stays_goes_when_a_claim_brings_the_device_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
