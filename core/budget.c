// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
#include "core/budget.h"

static uint64_t minus(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t percent_up(uint64_t value, unsigned int percent)
{
	return value / 100 * percent + (value % 100 * percent + 99) / 100;
}

/* Of a guarantee. */
static uint64_t lack(const struct quiver_meter *meter, const struct quiver_usage *usage)
{
	return minus(meter->guarantee, usage->used - usage->borrowed);
}

/* Rule 1 of the header. */
static uint64_t left_in_all(const struct quiver_meter *meter)
{
	return meter->limit - meter->used;
}

/* Rules 1 and 2. After a limit was lowered, neither follows from the other. */
static uint64_t left_beside_reserve(const struct quiver_meter *meter)
{
	return smaller(left_in_all(meter), minus(meter->limit - meter->reserve,
						 meter->used - meter->borrowed));
}

static uint64_t left_in_reserve(const struct quiver_meter *meter)
{
	return smaller(left_in_all(meter), minus(meter->reserve, meter->borrowed));
}

/* All three: what is within the guarantee, or else what others do not lack of theirs. */
static uint64_t left_to_ordinary(const struct quiver_meter *meter,
				 const struct quiver_usage *usage)
{
	uint64_t left = left_beside_reserve(meter);
	uint64_t own = lack(meter, usage);

	return larger(smaller(own, left), minus(left, meter->lacking - own));
}

static bool fits(const struct quiver_meter *meter, const struct quiver_usage *usage,
		 uint64_t amount, bool vital)
{
	return amount <= left_to_ordinary(meter, usage) ||
	       (vital && amount <= left_in_reserve(meter));
}

/* Of an amount that does not fit. */
static enum quiver_refusal cause(const struct quiver_meter *meter, uint64_t amount,
				 enum quiver_refusal limit)
{
	if (amount > left_in_all(meter))
		return limit;
	return amount > left_beside_reserve(meter) ? QUIVER_REFUSAL_RESERVE : QUIVER_REFUSAL_SHARE;
}

static bool believed(bool vital, uint64_t length)
{
	return vital && length <= QUIVER_DMA_VITAL_MAX;
}

static int judge(const struct quiver_budget *budget, unsigned int index, uint64_t length,
		 bool vital, enum quiver_refusal *refusal)
{
	const struct quiver_account *account = &budget->accounts[index];

	vital = believed(vital, length);
	if (!fits(&budget->bytes, &account->bytes, length, vital)) {
		*refusal = cause(&budget->bytes, length, QUIVER_REFUSAL_BYTES);
		return -E2BIG;
	}
	if (!fits(&budget->mappings, &account->mappings, 1, vital)) {
		*refusal = cause(&budget->mappings, 1, QUIVER_REFUSAL_MAPPINGS);
		return -ENOSPC;
	}
	return 0;
}

static void take(struct quiver_meter *meter, struct quiver_usage *usage, uint64_t amount)
{
	uint64_t lacked = lack(meter, usage);

	if (amount > left_to_ordinary(meter, usage)) {
		usage->borrowed += amount;
		meter->borrowed += amount;
	}
	usage->used += amount;
	meter->used += amount;
	meter->lacking -= lacked - lack(meter, usage);
	usage->peak = larger(usage->peak, usage->used);
	meter->peak = larger(meter->peak, meter->used);
}

static void give(struct quiver_meter *meter, struct quiver_usage *usage, uint64_t amount)
{
	uint64_t paid = smaller(amount, usage->borrowed);
	uint64_t lacked = lack(meter, usage);

	usage->borrowed -= paid;
	meter->borrowed -= paid;
	usage->used -= amount;
	meter->used -= amount;
	meter->lacking += lack(meter, usage) - lacked;
}

void quiver_budget_init(struct quiver_budget *budget, struct quiver_account *accounts,
			unsigned int count)
{
	memset(budget, 0, sizeof(*budget));
	memset(accounts, 0, count * sizeof(*accounts));
	budget->accounts = accounts;
	budget->count = count;
}

struct quiver_amount quiver_budget_reserve_of(struct quiver_amount limit)
{
	return (struct quiver_amount){
		.bytes = percent_up(limit.bytes, QUIVER_RESERVE_PERCENT),
		.mappings = percent_up(limit.mappings, QUIVER_RESERVE_PERCENT),
	};
}

static void share_meter(struct quiver_meter *meter, unsigned int attached)
{
	uint64_t divisor = larger(QUIVER_GUARANTEE_DIVISOR,
				  (uint64_t)QUIVER_GUARANTEES_DIVISOR * attached);

	meter->guarantee = meter->limit / divisor;
	meter->lacking = 0;
}

/* After limits or accounts have changed. */
static void share_out(struct quiver_budget *budget)
{
	unsigned int i;

	share_meter(&budget->bytes, budget->attached);
	share_meter(&budget->mappings, budget->attached);
	for (i = 0; i < budget->count; i++) {
		const struct quiver_account *account = &budget->accounts[i];

		if (!account->attached)
			continue;
		budget->bytes.lacking += lack(&budget->bytes, &account->bytes);
		budget->mappings.lacking += lack(&budget->mappings, &account->mappings);
	}
}

int quiver_budget_set_limit(struct quiver_budget *budget, struct quiver_amount limit,
			    struct quiver_amount reserve)
{
	if (budget->bytes.used > limit.bytes || budget->mappings.used > limit.mappings)
		return -EBUSY;
	budget->bytes.limit = limit.bytes;
	budget->bytes.reserve = reserve.bytes;
	budget->mappings.limit = limit.mappings;
	budget->mappings.reserve = reserve.mappings;
	share_out(budget);
	return 0;
}

void quiver_budget_attach(struct quiver_budget *budget, unsigned int index)
{
	budget->accounts[index] = (struct quiver_account){ .attached = true };
	budget->attached++;
	share_out(budget);
}

void quiver_budget_detach(struct quiver_budget *budget, unsigned int index)
{
	struct quiver_account *account = &budget->accounts[index];

	if (!account->attached)
		return;
	give(&budget->bytes, &account->bytes, account->bytes.used);
	give(&budget->mappings, &account->mappings, account->mappings.used);
	account->attached = false;
	budget->attached--;
	if (budget->last == index)
		budget->last_length = 0;
	share_out(budget);
}

int quiver_budget_check(const struct quiver_budget *budget, unsigned int index, uint64_t length,
			bool vital)
{
	enum quiver_refusal refusal;

	return judge(budget, index, length, vital, &refusal);
}

int quiver_budget_take(struct quiver_budget *budget, unsigned int index, uint64_t length,
		       bool vital)
{
	struct quiver_account *account = &budget->accounts[index];
	enum quiver_refusal refusal;
	int error = judge(budget, index, length, vital, &refusal);

	if (error) {
		account->refused[refusal]++;
		if (!believed(vital, length)) {
			budget->last = index;
			budget->last_length = length;
		}
		return error;
	}
	take(&budget->bytes, &account->bytes, length);
	take(&budget->mappings, &account->mappings, 1);
	return 0;
}

void quiver_budget_release(struct quiver_budget *budget, unsigned int index, uint64_t length)
{
	struct quiver_account *account = &budget->accounts[index];

	give(&budget->bytes, &account->bytes, length);
	give(&budget->mappings, &account->mappings, 1);
}

struct quiver_amount quiver_budget_room(const struct quiver_budget *budget, unsigned int index)
{
	const struct quiver_account *account = &budget->accounts[index];

	return (struct quiver_amount){
		.bytes = left_to_ordinary(&budget->bytes, &account->bytes),
		.mappings = left_to_ordinary(&budget->mappings, &account->mappings),
	};
}

static enum quiver_pressure level(const struct quiver_meter *meter)
{
	if (meter->borrowed)
		return QUIVER_PRESSURE_CRITICAL;
	if (meter->used < percent_up(meter->limit, 75) || !meter->limit)
		return QUIVER_PRESSURE_NONE;
	return meter->used < percent_up(meter->limit, 90) ? QUIVER_PRESSURE_LOW :
							   QUIVER_PRESSURE_MEDIUM;
}

static bool still_refused(const struct quiver_budget *budget)
{
	return budget->last_length &&
	       quiver_budget_check(budget, budget->last, budget->last_length, false);
}

static bool any_without_room(const struct quiver_budget *budget)
{
	unsigned int i;

	for (i = 0; i < budget->count; i++)
		if (budget->accounts[i].attached &&
		    quiver_budget_check(budget, i, QUIVER_DMA_VITAL_MAX, false))
			return true;
	return false;
}

enum quiver_pressure quiver_budget_pressure(const struct quiver_budget *budget)
{
	enum quiver_pressure bytes = level(&budget->bytes), mappings = level(&budget->mappings);
	enum quiver_pressure fuller = bytes > mappings ? bytes : mappings;

	if (fuller != QUIVER_PRESSURE_NONE && (still_refused(budget) || any_without_room(budget)))
		return QUIVER_PRESSURE_CRITICAL;
	return fuller;
}
