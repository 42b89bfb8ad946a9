// SPDX-License-Identifier: BSD-3-Clause
/* How a device is lost to its claimant, what it is told, and how the device comes back. */
#include <stdlib.h>

#include "test_dext_fake.h"

static struct quiver_dext_pending page;

static int set_up(void **state)
{
	memset(&page, 0, sizeof(page));
	return fake_set_up(state);
}

/* Live, with two mappings, and a log that is empty. */
static struct quiver_dext *new_live(void)
{
	struct quiver_dext *dext = fake_new_claimed();

	assert_int_equal(fake_map(dext, 1, NULL), 0);
	assert_int_equal(fake_map(dext, 3, NULL), 0);
	fake_make_live(dext);
	memset(fake.log, 0, sizeof(fake.log));
	return dext;
}

static void expect_told(struct quiver_dext *dext, enum quiver_dext_cause cause)
{
	assert_true(quiver_dext_lost(dext, &page));
	assert_int_equal(page.lost, cause);
	assert_false(quiver_dext_lost(dext, &page));
}

static void expect_claim_of_b(struct quiver_dext *dext)
{
	assert_int_equal(quiver_dext_claim(dext, &client_b), 0);
	fake_expect(dext, QUIVER_DEXT_CLAIMED, QUIVER_DEXT_CAUSE_NONE, 0);
	assert_false(quiver_dext_lost(dext, &page));
}

/* --- sleep ------------------------------------------------------------------------------------ */

static void sleep_stops_the_device_and_takes_it_from_its_client(void **unused)
{
	struct quiver_dext *dext = new_live();
	uint64_t dropped;

	quiver_dext_sleep(dext);
	fake_expect_log("mfcci");
	fake_expect(dext, QUIVER_DEXT_GONE, QUIVER_DEXT_CAUSE_SLEEP, 0);
	expect_told(dext, QUIVER_DEXT_CAUSE_SLEEP);
	assert_int_equal(quiver_dext_reset(dext, &client_a, 0, &dropped), -ENODEV);
	assert_int_equal(quiver_dext_config_write(dext, &client_a, 4, 2, 6), -ENODEV);
	fake_expect_log("");
	fake_delete(dext);
}

static void after_sleep_it_is_free_once_its_client_has_closed(void **unused)
{
	struct quiver_dext *dext = new_live();

	quiver_dext_sleep(dext);
	quiver_dext_wake(dext);
	fake_expect(dext, QUIVER_DEXT_GONE, QUIVER_DEXT_CAUSE_SLEEP, 0);
	assert_int_equal(quiver_dext_claim(dext, &client_b), -EBUSY);
	assert_int_equal(quiver_dext_claim(dext, &client_a), -ENODEV);
	fake_release(dext, &client_a);
	fake_expect(dext, QUIVER_DEXT_UNCLAIMED, QUIVER_DEXT_CAUSE_NONE, 0);
	expect_claim_of_b(dext);
	fake_delete(dext);
}

static void a_client_may_close_while_the_mac_sleeps(void **unused)
{
	struct quiver_dext *dext = new_live();

	quiver_dext_sleep(dext);
	fake_release(dext, &client_a);
	fake_expect(dext, QUIVER_DEXT_GONE, QUIVER_DEXT_CAUSE_SLEEP, 0);
	assert_int_equal(quiver_dext_claim(dext, &client_b), -ENODEV);
	quiver_dext_wake(dext);
	expect_claim_of_b(dext);
	fake_delete(dext);
}

static void nobody_claims_while_the_mac_sleeps(void **unused)
{
	struct quiver_dext *dext = fake_new();

	quiver_dext_sleep(dext);
	fake_expect(dext, QUIVER_DEXT_GONE, QUIVER_DEXT_CAUSE_SLEEP, 0);
	assert_int_equal(quiver_dext_claim(dext, &client_b), -ENODEV);
	/* A device that nobody has is left as it is, and so is one that sleeps already. */
	quiver_dext_sleep(dext);
	fake_expect_log("");
	assert_false(quiver_dext_lost(dext, &page));
	quiver_dext_wake(dext);
	quiver_dext_wake(dext);
	fake_expect(dext, QUIVER_DEXT_UNCLAIMED, QUIVER_DEXT_CAUSE_NONE, 0);
	expect_claim_of_b(dext);
	fake_delete(dext);
}

/* What went wrong on the way is what the owner has to know. */
static void a_device_that_does_not_stop_is_quarantined_over_sleep(void **unused)
{
	struct quiver_dext *dext = new_live();

	fake.silent = true;
	quiver_dext_sleep(dext);
	fake_expect(dext, QUIVER_DEXT_GONE, QUIVER_DEXT_CAUSE_SILENT, 2);
	expect_told(dext, QUIVER_DEXT_CAUSE_SILENT);
	fake_release(dext, &client_a);
	assert_int_equal(quiver_dext_claim(dext, &client_b), -ENODEV);
	quiver_dext_wake(dext);
	fake_expect(dext, QUIVER_DEXT_GONE, QUIVER_DEXT_CAUSE_SILENT, 2);
	fake.silent = false;
	fake.strict = true;
	expect_claim_of_b(dext);
	fake_delete(dext);
}

/* Its bridge as well: that looks like a cable that was pulled, and is not. */
static struct quiver_dext *new_without_power(void)
{
	struct quiver_dext *dext = new_live();

	fake.silent = fake.unplugged = true;
	quiver_dext_sleep(dext);
	assert_null(strpbrk(fake.log, "fh"));
	assert_int_equal(fake.clock, 0);
	fake_expect(dext, QUIVER_DEXT_GONE, QUIVER_DEXT_CAUSE_SLEEP, 2);
	expect_told(dext, QUIVER_DEXT_CAUSE_SLEEP);
	memset(fake.log, 0, sizeof(fake.log));
	return dext;
}

/* Then it goes on where it was, and what it uses must be there. */
static void a_device_without_power_keeps_its_mappings_until_it_has_it_again(void **unused)
{
	struct quiver_dext *dext = new_without_power();

	fake_release(dext, &client_a);
	fake_expect(dext, QUIVER_DEXT_GONE, QUIVER_DEXT_CAUSE_SLEEP, 2);
	fake.silent = fake.unplugged = false;
	fake.strict = true;
	quiver_dext_wake(dext);
	fake_expect_log("mfcci");
	expect_claim_of_b(dext);
	fake_delete(dext);

	fake_set_up(NULL);
	dext = new_without_power();
	fake.silent = fake.unplugged = false;
	fake.strict = true;
	quiver_dext_wake(dext);
	fake_expect(dext, QUIVER_DEXT_GONE, QUIVER_DEXT_CAUSE_SLEEP, 0);
	fake_release(dext, &client_a);
	expect_claim_of_b(dext);
	fake_delete(dext);
}

static void one_that_gets_no_power_at_wake_is_not_free(void **unused)
{
	struct quiver_dext *dext = new_without_power();

	fake_release(dext, &client_a);
	quiver_dext_wake(dext);
	fake_expect(dext, QUIVER_DEXT_GONE, QUIVER_DEXT_CAUSE_SLEEP, 2);
	fake.silent = fake.unplugged = false;
	fake.strict = true;
	expect_claim_of_b(dext);
	fake_delete(dext);
}

/* --- unplugged, and the end of the driver ----------------------------------------------------- */

/* No reset, no wait, and nothing that is off the bus does DMA. */
static void an_unplugged_device_costs_no_time(void **unused)
{
	struct quiver_dext *dext = new_live();

	fake.silent = fake.unplugged = true;
	quiver_dext_end(dext);
	expect_told(dext, QUIVER_DEXT_CAUSE_UNPLUGGED);
	assert_null(strpbrk(fake.log, "fh"));
	assert_int_equal(fake.clock, 0);
	fake_expect(dext, QUIVER_DEXT_GONE, QUIVER_DEXT_CAUSE_UNPLUGGED, 0);
	assert_int_equal(quiver_dext_claim(dext, &client_b), -ENODEV);
	fake_delete(dext);
}

/* Its client may be stopped before the driver is. */
static void a_client_that_closes_first_costs_no_time_either(void **unused)
{
	struct quiver_dext *dext = new_live();

	fake.silent = fake.unplugged = true;
	fake_release(dext, &client_a);
	assert_null(strpbrk(fake.log, "fh"));
	assert_int_equal(fake.clock, 0);
	fake_expect(dext, QUIVER_DEXT_GONE, QUIVER_DEXT_CAUSE_UNPLUGGED, 0);
	quiver_dext_end(dext);
	assert_int_equal(fake.clock, 0);
	fake_delete(dext);
}

static void one_that_is_pulled_during_its_reset_is_not_waited_for(void **unused)
{
	struct quiver_dext *dext = new_live();

	fake.dies_of_reset = true;
	fake.pulled_at = 100000;
	fake_release(dext, &client_a);
	assert_true(fake.clock >= 100000 && fake.clock < 200000);
	fake_expect(dext, QUIVER_DEXT_GONE, QUIVER_DEXT_CAUSE_UNPLUGGED, 0);
	fake_delete(dext);
}

static void the_end_of_the_driver_does_not_wait_long_for_one_that_hangs(void **unused)
{
	struct quiver_dext *dext = new_live();

	fake.silent = true;
	quiver_dext_end(dext);
	expect_told(dext, QUIVER_DEXT_CAUSE_UNPLUGGED);
	assert_non_null(strchr(fake.log, 'h'));
	assert_true(fake.clock < 2 * QUIVER_RESET_LAST_US);
	fake_expect(dext, QUIVER_DEXT_GONE, QUIVER_DEXT_CAUSE_UNPLUGGED, 0);
	fake_delete(dext);
}

/* For its mappings must not go before it is known to have stopped. */
static void the_end_of_the_driver_waits_for_one_that_answered(void **unused)
{
	struct quiver_dext *dext = new_live();

	fake.answers_after = 100;
	fake.strict = true;
	quiver_dext_end(dext);
	assert_true(fake.clock > 2 * QUIVER_RESET_LAST_US);
	fake_expect(dext, QUIVER_DEXT_GONE, QUIVER_DEXT_CAUSE_UNPLUGGED, 0);
	fake_delete(dext);
}

static void the_end_tries_once_more_to_stop_what_is_quarantined(void **unused)
{
	struct quiver_dext *dext = new_live();

	fake.keeps_mastering = true;
	fake_release(dext, &client_a);
	fake_expect(dext, QUIVER_DEXT_GONE, QUIVER_DEXT_CAUSE_MASTERING, 2);
	memset(fake.log, 0, sizeof(fake.log));
	fake.keeps_mastering = false;
	fake.strict = true;
	quiver_dext_end(dext);
	assert_true(!strncmp(fake.log, "mfcci", 5));
	fake_delete(dext);
}

/* --- what is told ----------------------------------------------------------------------------- */

static void a_reset_that_failed_is_told_once(void **unused)
{
	struct quiver_dext *dext = new_live();
	uint64_t dropped;

	fake.dies_of_reset = true;
	assert_int_equal(quiver_dext_reset(dext, &client_a, 0, &dropped), -ETIMEDOUT);
	expect_told(dext, QUIVER_DEXT_CAUSE_SILENT);
	quiver_dext_sleep(dext);
	quiver_dext_end(dext);
	assert_false(quiver_dext_lost(dext, &page));
	fake_delete(dext);
}

/* Whatever it writes there before, it is told once, and told what is so. */
static void a_hostile_page_changes_nothing(void **unused)
{
	struct quiver_dext *dext = new_live();

	memset(&page, 0xff, sizeof(page));
	assert_false(quiver_dext_lost(dext, &page));
	quiver_dext_sleep(dext);
	assert_true(quiver_dext_lost(dext, &page));
	assert_int_equal(page.lost, QUIVER_DEXT_CAUSE_SLEEP);
	memset(&page, 0, sizeof(page));
	assert_false(quiver_dext_lost(dext, &page));
	assert_int_equal(page.lost, 0);
	fake_delete(dext);
}

static void a_loss_is_nothing_to_the_next_claimant(void **unused)
{
	struct quiver_dext *dext = new_live();

	quiver_dext_sleep(dext);
	expect_told(dext, QUIVER_DEXT_CAUSE_SLEEP);
	fake_release(dext, &client_a);
	assert_false(quiver_dext_lost(dext, &page));
	quiver_dext_wake(dext);
	expect_claim_of_b(dext);
	quiver_dext_sleep(dext);
	expect_told(dext, QUIVER_DEXT_CAUSE_SLEEP);
	fake_delete(dext);
}

/* --- quarantine ------------------------------------------------------------------------------- */

static struct quiver_dext *new_quarantined(void)
{
	struct quiver_dext *dext = new_live();

	fake.silent = true;
	fake_release(dext, &client_a);
	fake_expect(dext, QUIVER_DEXT_GONE, QUIVER_DEXT_CAUSE_SILENT, 2);
	memset(fake.log, 0, sizeof(fake.log));
	return dext;
}

static void a_claim_brings_back_what_answers_again(void **unused)
{
	struct quiver_dext *dext = new_quarantined();

	fake.silent = false;
	fake.strict = true;
	expect_claim_of_b(dext);
	assert_true(!strncmp(fake.log, "mfcci", 5));
	fake_delete(dext);
}

/* Silent still, and brought back by the reset itself. */
static void a_claim_resets_what_is_silent(void **unused)
{
	struct quiver_dext *dext = new_quarantined();

	fake.answers_after = 40;
	fake.strict = true;
	expect_claim_of_b(dext);
	assert_non_null(strchr(fake.log, 'h'));
	fake_delete(dext);
}

static void a_claim_in_vain_tries_once_and_changes_nothing(void **unused)
{
	struct quiver_dext *dext = new_quarantined();
	uint64_t before = fake.clock;

	assert_int_equal(quiver_dext_claim(dext, &client_b), -ENODEV);
	fake_expect_log("mhi");
	assert_true(fake.clock - before < 2 * QUIVER_RESET_DEADLINE_US);
	fake_expect(dext, QUIVER_DEXT_GONE, QUIVER_DEXT_CAUSE_SILENT, 2);
	assert_int_equal(quiver_dext_check(dext, &client_b), -EPERM);
	fake_delete(dext);
}

static void the_cause_is_that_of_the_last_try(void **unused)
{
	struct quiver_dext *dext = new_quarantined();

	fake.silent = false;
	fake.keeps_mastering = true;
	assert_int_equal(quiver_dext_claim(dext, &client_b), -ENODEV);
	fake_expect(dext, QUIVER_DEXT_GONE, QUIVER_DEXT_CAUSE_MASTERING, 2);
	fake.keeps_mastering = false;
	fake.reset_result[0] = fake.reset_result[1] = -EIO;
	fake.strict = true;
	assert_int_equal(quiver_dext_claim(dext, &client_b), -ENODEV);
	fake_expect(dext, QUIVER_DEXT_GONE, QUIVER_DEXT_CAUSE_RESET, 0);
	fake.silent = fake.unplugged = true;
	assert_int_equal(quiver_dext_claim(dext, &client_b), -ENODEV);
	fake_expect(dext, QUIVER_DEXT_GONE, QUIVER_DEXT_CAUSE_UNPLUGGED, 0);
	/* Not so after all: nobody has told the driver to end. */
	fake.silent = fake.unplugged = false;
	fake.reset_result[0] = 0;
	expect_claim_of_b(dext);
	fake_delete(dext);
}

/* --- whatever happens ------------------------------------------------------------------------- */

static void change_the_device(unsigned int seed)
{
	switch (seed % 8) {
	case 0:
		fake.silent = seed & 64;
		fake.unplugged = fake.silent && seed & 128;
		break;
	case 1:
		fake.keeps_mastering = seed & 64;
		break;
	case 2:
		fake.restores_mastering = seed & 64;
		break;
	case 3:
		fake.reset_result[seed / 64 & 1] = seed & 128 ? -EIO : 0;
		break;
	case 4:
		fake.retries = seed & 64;
		break;
	case 5:
		fake.answers_after = seed / 64 % 8;
		break;
	default:	/* it recovers */
		fake.silent = fake.unplugged = false;
		fake.keeps_mastering = fake.restores_mastering = fake.retries = false;
		fake.reset_result[0] = fake.reset_result[1] = 0;
		fake.answers_after = 0;
	}
}

static void act(struct quiver_dext *dext, const void *client, unsigned int seed)
{
	struct quiver_dext_dma_request request = { .count = 1 };
	struct quiver_dext_dma_result result;
	uint64_t value;

	request.entry[0] = (struct quiver_dext_dma_entry){
		.op = QUIVER_DEXT_DMA_MAP, .address = GRANULE, .length = GRANULE,
		.flags = QUIVER_DEXT_DMA_READ | (seed / 16 & 1 ? QUIVER_DEXT_DMA_STAYS : 0),
	};
	switch (seed % 10) {
	case 0:
		quiver_dext_claim(dext, client);
		break;
	case 1:
		fake_release(dext, client);
		break;
	case 2:
		quiver_dext_reset(dext, client, seed / 16 & 1, &value);
		break;
	case 3:
		quiver_dext_sleep(dext);
		break;
	case 4:
		quiver_dext_wake(dext);
		break;
	case 5:
		quiver_dext_lost(dext, &page);
		break;
	case 6:
		quiver_dext_irq_configure(dext, client, seed / 16 & 1, seed / 16 & 1, &value);
		break;
	case 7:
		quiver_dext_config_write(dext, client, 4, 2, 6);
		break;
	default:
		quiver_dext_dma(dext, client, &request, sizeof(request), &result, sizeof(result));
	}
}

static void check(const struct quiver_dext *dext)
{
	struct quiver_dext_identity identity;
	bool gone;

	quiver_dext_identify(dext, &identity);
	gone = identity.state == QUIVER_DEXT_GONE;
	assert_int_equal(identity.mappings, fake.mapped);
	assert_int_equal(gone, identity.cause != QUIVER_DEXT_CAUSE_NONE);
	assert_int_not_equal(identity.state, QUIVER_DEXT_QUIESCING);
	if (identity.state == QUIVER_DEXT_UNCLAIMED)
		assert_int_equal(identity.mappings, 0);
	/* Who answers, is free, and masters the bus nevertheless would be a way out that was not taken. */
	if (identity.state == QUIVER_DEXT_UNCLAIMED && !fake.keeps_mastering)
		assert_int_equal(fake.config[4] & MASTER, 0);
}

/*
 * Two clients, a device that fails as it likes, and sleep: no mapping is ever
 * released under a device that masters the bus, until its driver ends.
 */
static void random_lives_break_no_rule(void **unused)
{
	unsigned int seed = 6, lost = 0, free_again = 0;

	for (unsigned int life = 0; life < 300; life++) {
		struct quiver_dext *dext;

		fake_set_up(NULL);
		dext = fake_new();
		fake.strict = true;
		for (unsigned int step = 0; step < 100; step++) {
			uint32_t before = fake_state(dext);

			if (rand_r(&seed) % 4 == 0)
				change_the_device((unsigned int)rand_r(&seed));
			act(dext, rand_r(&seed) & 1 ? &client_a : &client_b,
			    (unsigned int)rand_r(&seed));
			check(dext);
			lost += fake_state(dext) == QUIVER_DEXT_GONE &&
				before != QUIVER_DEXT_GONE;
			free_again += fake_state(dext) != QUIVER_DEXT_GONE &&
				      before == QUIVER_DEXT_GONE;
		}
		fake.strict = false;
		fake_delete(dext);
	}
	/* It does go there. */
	assert_true(lost > 300 && free_again > 300);
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(sleep_stops_the_device_and_takes_it_from_its_client),
		TEST(after_sleep_it_is_free_once_its_client_has_closed),
		TEST(a_client_may_close_while_the_mac_sleeps),
		TEST(nobody_claims_while_the_mac_sleeps),
		TEST(a_device_that_does_not_stop_is_quarantined_over_sleep),
		TEST(a_device_without_power_keeps_its_mappings_until_it_has_it_again),
		TEST(one_that_gets_no_power_at_wake_is_not_free),
		TEST(an_unplugged_device_costs_no_time),
		TEST(a_client_that_closes_first_costs_no_time_either),
		TEST(one_that_is_pulled_during_its_reset_is_not_waited_for),
		TEST(the_end_of_the_driver_does_not_wait_long_for_one_that_hangs),
		TEST(the_end_of_the_driver_waits_for_one_that_answered),
		TEST(the_end_tries_once_more_to_stop_what_is_quarantined),
		TEST(a_reset_that_failed_is_told_once),
		TEST(a_hostile_page_changes_nothing),
		TEST(a_loss_is_nothing_to_the_next_claimant),
		TEST(a_claim_brings_back_what_answers_again),
		TEST(a_claim_resets_what_is_silent),
		TEST(a_claim_in_vain_tries_once_and_changes_nothing),
		TEST(the_cause_is_that_of_the_last_try),
		TEST(random_lives_break_no_rule),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
