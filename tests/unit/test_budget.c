// SPDX-License-Identifier: BSD-3-Clause
/*
 * The budget against the rules of its header, worked out anew from a plain list
 * of what was granted, in 128 bits.
 */
#include "model.h"

#include <errno.h>

#include "core/budget.h"

#define ACCOUNTS_MAX	64u
#define GRANTS_MAX	4096u

typedef unsigned __int128 wide;

enum resource { BYTES, MAPPINGS };

struct grant {
	unsigned int account;
	uint64_t length;
};

struct model {
	struct quiver_budget budget;
	struct quiver_account accounts[ACCOUNTS_MAX];
	unsigned int count;
	struct quiver_amount limit, reserve;
	bool attached[ACCOUNTS_MAX];
	struct grant grants[GRANTS_MAX];
	unsigned int grant_count;
	uint64_t borrowed[ACCOUNTS_MAX][2];	/* by resource */
	uint64_t refused[ACCOUNTS_MAX][QUIVER_REFUSALS];
	struct quiver_amount peak[ACCOUNTS_MAX], peak_all;
	struct model_random random;
};

/* --- the rules, the slow way ------------------------------------------------------------------ */

static wide limit_of(const struct model *model, enum resource r)
{
	return r == BYTES ? model->limit.bytes : model->limit.mappings;
}

static wide reserve_of(const struct model *model, enum resource r)
{
	return r == BYTES ? model->reserve.bytes : model->reserve.mappings;
}

/* By one account, or all of them: account == ACCOUNTS_MAX. */
static wide used_by(const struct model *model, unsigned int account, enum resource r)
{
	wide sum = 0;

	for (unsigned int i = 0; i < model->grant_count; i++)
		if (account == ACCOUNTS_MAX || model->grants[i].account == account)
			sum += r == BYTES ? model->grants[i].length : 1;
	return sum;
}

static wide borrowed_by(const struct model *model, unsigned int account, enum resource r)
{
	wide sum = 0;

	for (unsigned int i = 0; i < model->count; i++)
		if (account == ACCOUNTS_MAX || account == i)
			sum += model->borrowed[i][r];
	return sum;
}

/* What is not borrowed. */
static wide ordinary_of(const struct model *model, unsigned int account, enum resource r)
{
	return used_by(model, account, r) - borrowed_by(model, account, r);
}

static wide guarantee_of(const struct model *model, enum resource r)
{
	unsigned int attached = 0;

	for (unsigned int i = 0; i < model->count; i++)
		attached += model->attached[i];
	return limit_of(model, r) / (attached <= 4 ? 16 : 4 * attached);
}

static wide lacking_to_others(const struct model *model, unsigned int account, enum resource r)
{
	wide guarantee = guarantee_of(model, r), sum = 0;

	for (unsigned int i = 0; i < model->count; i++) {
		wide used = ordinary_of(model, i, r);

		if (i != account && model->attached[i] && used < guarantee)
			sum += guarantee - used;
	}
	return sum;
}

/* What the third rule protects: max(ordinary use, guarantee) of all that are attached. */
static wide claimed(const struct model *model, enum resource r)
{
	wide guarantee = guarantee_of(model, r), sum = 0;

	for (unsigned int i = 0; i < model->count; i++) {
		wide used = ordinary_of(model, i, r);

		if (model->attached[i])
			sum += used > guarantee ? used : guarantee;
	}
	return sum;
}

static bool fits_ordinary(const struct model *model, unsigned int account, wide amount,
			  enum resource r)
{
	wide most = limit_of(model, r) - reserve_of(model, r);
	wide all = ordinary_of(model, ACCOUNTS_MAX, r) + amount;

	if (used_by(model, ACCOUNTS_MAX, r) + amount > limit_of(model, r) || all > most)
		return false;
	return ordinary_of(model, account, r) + amount <= guarantee_of(model, r) ||
	       all + lacking_to_others(model, account, r) <= most;
}

static bool fits_reserve(const struct model *model, wide amount, enum resource r)
{
	return used_by(model, ACCOUNTS_MAX, r) + amount <= limit_of(model, r) &&
	       borrowed_by(model, ACCOUNTS_MAX, r) + amount <= reserve_of(model, r);
}

/* QUIVER_REFUSALS: granted. */
static enum quiver_refusal rule(const struct model *model, unsigned int account, wide amount,
				bool vital, enum resource r)
{
	if (fits_ordinary(model, account, amount, r) ||
	    (vital && fits_reserve(model, amount, r)))
		return QUIVER_REFUSALS;
	if (used_by(model, ACCOUNTS_MAX, r) + amount > limit_of(model, r))
		return r == BYTES ? QUIVER_REFUSAL_BYTES : QUIVER_REFUSAL_MAPPINGS;
	if (ordinary_of(model, ACCOUNTS_MAX, r) + amount >
	    limit_of(model, r) - reserve_of(model, r))
		return QUIVER_REFUSAL_RESERVE;
	return QUIVER_REFUSAL_SHARE;
}

static int rules(const struct model *model, unsigned int account, uint64_t length, bool vital,
		 enum quiver_refusal *refusal)
{
	vital = vital && length <= 65536;
	*refusal = rule(model, account, length, vital, BYTES);
	if (*refusal != QUIVER_REFUSALS)
		return -E2BIG;
	*refusal = rule(model, account, 1, vital, MAPPINGS);
	return *refusal == QUIVER_REFUSALS ? 0 : -ENOSPC;
}

/* --- what must hold after every step ---------------------------------------------------------- */

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static void check_account(struct model *model, unsigned int i)
{
	const struct quiver_account *account = &model->accounts[i];

	assert_int_equal(account->attached, model->attached[i]);
	assert_true(account->bytes.used == used_by(model, i, BYTES));
	assert_true(account->mappings.used == used_by(model, i, MAPPINGS));
	assert_int_equal(account->bytes.borrowed, model->borrowed[i][BYTES]);
	assert_int_equal(account->mappings.borrowed, model->borrowed[i][MAPPINGS]);
	model->peak[i].bytes = larger(model->peak[i].bytes, account->bytes.used);
	model->peak[i].mappings = larger(model->peak[i].mappings, account->mappings.used);
	assert_int_equal(account->bytes.peak, model->peak[i].bytes);
	assert_int_equal(account->mappings.peak, model->peak[i].mappings);
	assert_memory_equal(account->refused, model->refused[i], sizeof(account->refused));
}

static void check_sums(struct model *model)
{
	const struct quiver_budget *budget = &model->budget;
	wide bytes = 0, mappings = 0;

	for (unsigned int i = 0; i < model->count; i++) {
		check_account(model, i);
		bytes += model->accounts[i].bytes.used;
		mappings += model->accounts[i].mappings.used;
	}
	assert_true(bytes == budget->bytes.used && bytes <= budget->bytes.limit);
	assert_true(mappings == budget->mappings.used && mappings <= budget->mappings.limit);
	assert_true(borrowed_by(model, ACCOUNTS_MAX, BYTES) == budget->bytes.borrowed);
	assert_true(borrowed_by(model, ACCOUNTS_MAX, MAPPINGS) == budget->mappings.borrowed);
	assert_true(budget->bytes.guarantee == guarantee_of(model, BYTES));
	assert_true(budget->bytes.lacking == lacking_to_others(model, ACCOUNTS_MAX, BYTES));
	assert_true(budget->mappings.guarantee == guarantee_of(model, MAPPINGS));
	assert_true(budget->mappings.lacking == lacking_to_others(model, ACCOUNTS_MAX, MAPPINGS));
	model->peak_all.bytes = larger(model->peak_all.bytes, budget->bytes.used);
	model->peak_all.mappings = larger(model->peak_all.mappings, budget->mappings.used);
	assert_int_equal(budget->bytes.peak, model->peak_all.bytes);
	assert_int_equal(budget->mappings.peak, model->peak_all.mappings);
}

/* One mapping of length bytes is granted exactly if both are in the room. */
static void check_room(const struct model *model, unsigned int i)
{
	struct quiver_amount room = quiver_budget_room(&model->budget, i);
	enum quiver_refusal refusal;
	uint64_t lengths[] = { 1, room.bytes, room.bytes + 1, UINT64_MAX };

	for (size_t n = 0; n < sizeof(lengths) / sizeof(lengths[0]); n++) {
		int error = rules(model, i, lengths[n], false, &refusal);

		if (!lengths[n])
			continue;
		assert_int_equal(!error, lengths[n] <= room.bytes && room.mappings);
		assert_int_equal(quiver_budget_check(&model->budget, i, lengths[n], false), error);
	}
}

/* --- steps ------------------------------------------------------------------------------------ */

static bool kept(const struct model *model, enum resource r)
{
	return claimed(model, r) <= limit_of(model, r) - reserve_of(model, r);
}

static bool within_guarantee(const struct model *model, unsigned int account, wide amount,
			     enum resource r)
{
	return ordinary_of(model, account, r) + amount <= guarantee_of(model, r);
}

static void borrow(struct model *model, unsigned int account, uint64_t amount, enum resource r)
{
	if (!fits_ordinary(model, account, amount, r))
		model->borrowed[account][r] += amount;
}

static void take(struct model *model, unsigned int account, uint64_t length, bool vital)
{
	bool bytes_kept = kept(model, BYTES), mappings_kept = kept(model, MAPPINGS);
	enum quiver_refusal refusal;
	int error = rules(model, account, length, vital, &refusal);

	/* The guarantee is one, whatever the others hold, and however vital it is. */
	if (bytes_kept && mappings_kept && within_guarantee(model, account, length, BYTES) &&
	    within_guarantee(model, account, 1, MAPPINGS))
		assert_int_equal(error, 0);
	assert_int_equal(quiver_budget_check(&model->budget, account, length, vital), error);
	assert_int_equal(quiver_budget_take(&model->budget, account, length, vital), error);
	if (error) {
		model->refused[account][refusal]++;
		return;
	}
	borrow(model, account, length, BYTES);
	borrow(model, account, 1, MAPPINGS);
	model->grants[model->grant_count++] = (struct grant){ account, length };
	/* No map takes from another what is guaranteed to it. */
	assert_true(!bytes_kept || kept(model, BYTES));
	assert_true(!mappings_kept || kept(model, MAPPINGS));
}

static void pay_back(struct model *model, unsigned int account, uint64_t amount, enum resource r)
{
	uint64_t *borrowed = &model->borrowed[account][r];

	*borrowed -= amount < *borrowed ? amount : *borrowed;
}

static void release_any(struct model *model)
{
	struct grant *victim;

	if (!model->grant_count)
		return;
	victim = &model->grants[model_random_below(&model->random, model->grant_count)];
	quiver_budget_release(&model->budget, victim->account, victim->length);
	pay_back(model, victim->account, victim->length, BYTES);
	pay_back(model, victim->account, 1, MAPPINGS);
	*victim = model->grants[--model->grant_count];
}

static void attach(struct model *model, unsigned int account)
{
	model->attached[account] = true;
	memset(model->refused[account], 0, sizeof(model->refused[account]));
	model->peak[account] = (struct quiver_amount){ 0, 0 };
	quiver_budget_attach(&model->budget, account);
}

static void detach(struct model *model, unsigned int account)
{
	unsigned int left = 0;

	for (unsigned int i = 0; i < model->grant_count; i++)
		if (model->grants[i].account != account)
			model->grants[left++] = model->grants[i];
	model->grant_count = left;
	model->borrowed[account][BYTES] = model->borrowed[account][MAPPINGS] = 0;
	model->attached[account] = false;
	quiver_budget_detach(&model->budget, account);
}

static void set_limit(struct model *model, struct quiver_amount limit)
{
	struct quiver_amount reserve = quiver_budget_reserve_of(limit);
	bool fits = used_by(model, ACCOUNTS_MAX, BYTES) <= limit.bytes &&
		    used_by(model, ACCOUNTS_MAX, MAPPINGS) <= limit.mappings;

	assert_int_equal(quiver_budget_set_limit(&model->budget, limit, reserve),
			 fits ? 0 : -EBUSY);
	if (fits) {
		model->limit = limit;
		model->reserve = reserve;
	}
}

static void model_start(struct model *model, unsigned int count, struct quiver_amount limit)
{
	model->count = count;
	model->grant_count = 0;
	memset(model->attached, 0, sizeof(model->attached));
	memset(model->borrowed, 0, sizeof(model->borrowed));
	memset(model->refused, 0, sizeof(model->refused));
	memset(model->peak, 0, sizeof(model->peak));
	model->peak_all = (struct quiver_amount){ 0, 0 };
	model->limit = model->reserve = (struct quiver_amount){ 0, 0 };
	quiver_budget_init(&model->budget, model->accounts, count);
	set_limit(model, limit);
}

/* --- tests ------------------------------------------------------------------------------------ */

static uint64_t length_for(struct model *model)
{
	uint64_t limit = model->limit.bytes;

	switch (model_random_below(&model->random, 8)) {
	case 0:
		return UINT64_MAX - model_random_below(&model->random, 3);
	case 1:
		return 65535 + model_random_below(&model->random, 3);
	case 2:
		return 1 + model_random_below(&model->random, limit ? limit : 1);
	default:
		return 1 + model_random_below(&model->random, limit / 64 + 1);
	}
}

static void step(struct model *model)
{
	unsigned int account = (unsigned int)model_random_below(&model->random, model->count);
	uint64_t choice = model_random_below(&model->random, 100);

	if (choice < 3) {
		if (model->attached[account])
			detach(model, account);
		else
			attach(model, account);
	} else if (choice == 3) {
		set_limit(model, (struct quiver_amount){
			model->limit.bytes - model_random_below(&model->random,
								model->limit.bytes / 8 + 1),
			model->limit.mappings - model_random_below(&model->random, 4) });
	} else if (choice < 35 || model->grant_count == GRANTS_MAX) {
		release_any(model);
	} else if (model->attached[account]) {
		take(model, account, length_for(model), model_random_below(&model->random, 4) == 0);
	}
}

static void any_sequence_keeps_the_rules(void **state)
{
	static struct model model;

	model_random_init(&model.random, "budget");
	for (int round = 0; round < 300; round++) {
		struct quiver_amount limit = {
			1 + model_random_next(&model.random) %
			    (round % 3 ? 1ull << (8 + round % 40) : UINT64_MAX),
			16 + model_random_below(&model.random, 200),
		};

		model_start(&model, 1 + (unsigned int)model_random_below(&model.random, 9), limit);
		for (int i = 0; i < 400; i++) {
			step(&model);
			check_sums(&model);
			for (unsigned int a = 0; a < model.count; a++)
				if (model.attached[a])
					check_room(&model, a);
		}
	}
}

/* Of a small budget every state: three accounts, each with 0 to 5 maps of 1 or 3 bytes. */
static void every_small_state_keeps_the_rules(void **state)
{
	static struct model model;
	const unsigned int maps = 6, kinds = 6 * 6 * 6;

	for (uint64_t bytes = 0; bytes <= 34; bytes++) {
		for (unsigned int kind = 0; kind < kinds; kind++) {
			model_start(&model, 3, (struct quiver_amount){ bytes, 16 });
			for (unsigned int a = 0, k = kind; a < 3; a++, k /= maps) {
				attach(&model, a);
				for (unsigned int n = 0; n < k % maps; n++)
					take(&model, a, 1 + 2 * (n & 1), false);
			}
			for (unsigned int a = 0; a < 3; a++) {
				check_room(&model, a);
				for (uint64_t length = 1; length <= bytes + 2; length++) {
					enum quiver_refusal refusal;

					assert_int_equal(
						quiver_budget_check(&model.budget, a, length, true),
						rules(&model, a, length, true, &refusal));
					assert_int_equal(
						quiver_budget_check(&model.budget, a, length, false),
						rules(&model, a, length, false, &refusal));
				}
			}
			check_sums(&model);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_sequence_keeps_the_rules),
		cmocka_unit_test(every_small_state_keeps_the_rules),
	};

	return cmocka_run_group_tests_name("budget", tests, NULL, NULL);
}
