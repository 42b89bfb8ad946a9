// SPDX-License-Identifier: BSD-3-Clause
/* Which reset a device gets: core/reset.h's table, and what quiesce.c makes of it. */
#include "test_dext_fake.h"

#define FLR	1u << 28

/* Each of them with FLR and without: f, h or -, as they are reset. */
static const struct {
	uint32_t id;
	char with_flr, without_flr;
} known[] = {
	{ 0x123410de, 'f', 'h' },
	{ 0x2b8510de, 'h', 'h' }, { 0x2b8710de, 'h', 'h' }, { 0x2b8c10de, 'h', 'h' },
	{ 0x2b8610de, 'f', 'h' }, { 0x2b851022, 'f', 'h' },
	{ 0x149c1022, 'h', 'h' }, { 0x15028086, 'h', 'h' }, { 0x061614c3, 'h', 'h' },
	{ 0x1eb810de, 'f', '-' }, { 0xb005104c, 'f', '-' }, { 0x0033168c, 'f', '-' },
	{ 0x234010de, 'f', '-' }, { 0x234210de, 'f', '-' }, { 0x237f10de, 'f', '-' },
	{ 0x233f10de, 'f', 'h' }, { 0x238010de, 'f', 'h' }, { 0x0031168c, 'f', 'h' },
};

#define KNOWN (sizeof(known) / sizeof(known[0]))

static struct quiver_dext *new_of(uint32_t id, uint32_t capabilities)
{
	struct quiver_dext *dext;

	fake_put32(0, id);
	fake_put32(0x44, capabilities);
	dext = fake_new_claimed();
	fake_make_live(dext);
	assert_int_equal(fake_map(dext, 1, NULL), 0);
	memset(fake.log, 0, sizeof(fake.log));
	return dext;
}

static void expect_reset(uint32_t id, uint32_t capabilities, char method)
{
	struct quiver_dext *dext = new_of(id, capabilities);
	char log[8] = "m";
	uint64_t dropped;

	if (method != '-')
		strcat(log, (char[]){ method, '\0' });
	strcat(log, "ci");
	assert_int_equal(quiver_dext_reset(dext, &client_a, 0, &dropped), 0);
	assert_int_equal(dropped, 1);
	fake_expect_log(log);
	fake_expect(dext, QUIVER_DEXT_CLAIMED, QUIVER_DEXT_CAUSE_NONE, 0);
	fake_delete(dext);
	memset(fake.log, 0, sizeof(fake.log));
}

static void each_device_gets_the_reset_that_it_survives(void **unused)
{
	for (size_t i = 0; i < KNOWN; i++) {
		expect_reset(known[i].id, FLR, known[i].with_flr);
		expect_reset(known[i].id, 0, known[i].without_flr);
	}
}

static void a_refused_flr_is_followed_by_a_hot_reset_only_where_that_is_survived(void **unused)
{
	struct quiver_dext *dext = new_of(0x123410de, FLR);
	uint64_t dropped;

	fake.reset_result[QUIVER_RESET_FUNCTION] = -EIO;
	assert_int_equal(quiver_dext_reset(dext, &client_a, 0, &dropped), 0);
	fake_expect_log("mfhci");
	fake_delete(dext);
	dext = new_of(0x234210de, FLR);
	assert_int_equal(quiver_dext_reset(dext, &client_a, 0, &dropped), -ETIMEDOUT);
	fake_expect_log("mfci");
	fake_expect(dext, QUIVER_DEXT_GONE, QUIVER_DEXT_CAUSE_RESET, 0);
	fake_delete(dext);
}

/* An FLR is a write that it would not hear. */
static void a_silent_device_gets_a_hot_reset_if_it_survives_one(void **unused)
{
	for (size_t i = 0; i < KNOWN; i++) {
		struct quiver_dext *dext = new_of(known[i].id, FLR);
		bool hot = known[i].without_flr == 'h';
		uint64_t dropped;

		fake.silent = true;
		assert_int_equal(quiver_dext_reset(dext, &client_a, 0, &dropped), -ETIMEDOUT);
		assert_int_equal(strchr(fake.log, 'h') != NULL, hot);
		assert_int_equal(strchr(fake.log, 'f') != NULL, !hot);
		fake.silent = false;
		fake_delete(dext);
	}
}

/* It is stopped, and nothing is left of the VM but what the device itself remembers. */
static void without_a_reset_it_is_stopped_all_the_same(void **unused)
{
	struct quiver_dext *dext = new_of(0x234210de, 0);

	fake_release(dext, &client_a);
	fake_expect_log("mci");
	assert_int_equal(fake.config[4] & MASTER, 0);
	fake_expect(dext, QUIVER_DEXT_UNCLAIMED, QUIVER_DEXT_CAUSE_NONE, 0);
	assert_int_equal(quiver_dext_claim(dext, &client_b), 0);
	fake_delete(dext);
}

#define TEST(name) cmocka_unit_test_setup(name, fake_set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_device_gets_the_reset_that_it_survives),
		TEST(a_refused_flr_is_followed_by_a_hot_reset_only_where_that_is_survived),
		TEST(a_silent_device_gets_a_hot_reset_if_it_survives_one),
		TEST(without_a_reset_it_is_stopped_all_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
