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
	quiver_dext_release(dext, &client_a);
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
	quiver_dext_release(dext, &client_a);
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
	quiver_dext_release(dext, &client_a);
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
