// SPDX-License-Identifier: BSD-3-Clause
/* The decoder against the rules of proto.h, spelt out once more in 128 bits. */
#include "model.h"

#include <errno.h>
#include <string.h>

#include "core/wire.h"

#define DEVICES 5u

static bool whole_granules(uint64_t start, uint64_t length)
{
	return length && (unsigned __int128)start + length <= (unsigned __int128)1 << 64 &&
	       start % MODEL_GRANULE == 0 && length % MODEL_GRANULE == 0;
}

#define BUDGET (1ull << QUIVER_F_BUDGET)

/* Read, write, both; and with the feature, each of them vital. */
static bool map_flags(uint8_t flags, uint64_t features)
{
	return (flags >= 1 && flags <= 3) || (features & BUDGET && flags >= 5 && flags <= 7);
}

static enum quiver_wire_status expected(const struct quiver_dma_entry *e, uint64_t features)
{
	bool map = e->op == 1 && map_flags(e->flags, features) && whole_granules(e->gpa, e->length);
	bool unmap = e->op == 2 && e->flags == 0 && e->gpa == 0 && whole_granules(e->iova, e->length);

	if (!map && !unmap)
		return QUIVER_S_INVAL;
	return e->device < DEVICES ? QUIVER_S_OK : QUIVER_S_NODEV;
}

static void check_with(const struct quiver_dma_entry *entry, uint64_t features)
{
	struct quiver_wire_request request, untouched;
	const struct quiver_dma_entry before = *entry;
	enum quiver_wire_status status;

	memset(&request, 0xa5, sizeof(request));
	memset(&untouched, 0xa5, sizeof(untouched));
	status = quiver_wire_decode(entry, MODEL_SHIFT, DEVICES, features, &request);
	assert_int_equal(status, expected(entry, features));
	assert_memory_equal(entry, &before, sizeof(before));
	if (status) {
		assert_memory_equal(&request, &untouched, sizeof(request));
		return;
	}
	assert_int_equal(request.op, entry->op);
	assert_int_equal(request.flags, entry->flags);
	assert_int_equal(request.device, entry->device);
	if (entry->op == QUIVER_OP_MAP) {
		assert_int_equal(request.gpa.start, entry->gpa);
		assert_int_equal(request.gpa.length, entry->length);
	} else {
		assert_int_equal(request.iova.start, entry->iova);
		assert_int_equal(request.iova.length, entry->length);
	}
}

static void check(const struct quiver_dma_entry *entry)
{
	check_with(entry, 0);
	check_with(entry, BUDGET);
	check_with(entry, ~BUDGET);
	check_with(entry, QUIVER_FEATURES_ALL);
}

static void valid_entries(struct quiver_dma_entry entry[3])
{
	quiver_wire_encode_map(&entry[0], 2, (struct quiver_range){ 0x40000000, 0x40000 },
			       QUIVER_DMA_READ | QUIVER_DMA_WRITE);
	quiver_wire_encode_map(&entry[1], 0, (struct quiver_range){ 0, MODEL_GRANULE },
			       QUIVER_DMA_WRITE);
	quiver_wire_encode_unmap(&entry[2], 4,
				 (struct quiver_range){ 0 - MODEL_GRANULE, MODEL_GRANULE });
}

static void what_is_encoded_is_decoded(void **state)
{
	struct quiver_dma_entry entry[3];

	valid_entries(entry);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(expected(&entry[i], 0), QUIVER_S_OK);
		assert_int_equal(entry[i].status, QUIVER_S_PENDING);
		check(&entry[i]);
	}
	assert_int_equal(entry[0].op, QUIVER_OP_MAP);
	assert_int_equal(entry[0].device, 2);
	assert_int_equal(entry[0].gpa, 0x40000000);
	assert_int_equal(entry[0].length, 0x40000);
	assert_int_equal(entry[0].iova, 0);
	assert_int_equal(entry[2].op, QUIVER_OP_UNMAP);
	assert_int_equal(entry[2].iova, 0 - MODEL_GRANULE);
	assert_int_equal(entry[2].gpa, 0);
}

/* A driver that has not accepted the feature cannot call anything vital. */
static void vital_wants_its_feature(void **state)
{
	struct quiver_wire_request request;
	struct quiver_dma_entry entry;

	quiver_wire_encode_map(&entry, 0, (struct quiver_range){ 0, MODEL_GRANULE },
			       QUIVER_DMA_READ | QUIVER_DMA_VITAL);
	assert_int_equal(entry.flags, 5);
	assert_int_equal(quiver_wire_decode(&entry, MODEL_SHIFT, 1, 2, &request), QUIVER_S_OK);
	assert_int_equal(request.flags, 5);
	assert_int_equal(quiver_wire_decode(&entry, MODEL_SHIFT, 1, 1, &request), QUIVER_S_INVAL);
	/* Vital is no direction. */
	entry.flags = QUIVER_DMA_VITAL;
	assert_int_equal(quiver_wire_decode(&entry, MODEL_SHIFT, 1, 2, &request), QUIVER_S_INVAL);
}

static void every_pressure_has_its_name(void **state)
{
	assert_string_equal(quiver_wire_pressure_name(0), "none");
	assert_string_equal(quiver_wire_pressure_name(1), "low");
	assert_string_equal(quiver_wire_pressure_name(2), "medium");
	assert_string_equal(quiver_wire_pressure_name(3), "critical");
	assert_string_equal(quiver_wire_pressure_name(4), "unknown");
	assert_string_equal(quiver_wire_pressure_name(UINT64_MAX), "unknown");
}

static void every_bit_flipped(void **state)
{
	struct quiver_dma_entry entry[3];

	valid_entries(entry);
	for (int i = 0; i < 3; i++) {
		for (size_t bit = 0; bit < 8 * sizeof(entry[i]); bit++) {
			struct quiver_dma_entry e = entry[i];

			((uint8_t *)&e)[bit / 8] ^= (uint8_t)(1u << bit % 8);
			check(&e);
		}
	}
}

static const uint64_t values[] = {
	0, 1, 2, 3, 4, 5, 255, 0x3fff, 0x4000, 0x4001, 0x8000, 0x40000000, 1ull << 63,
	UINT64_MAX - 0x7fff, UINT64_MAX - 0x3fff, UINT64_MAX - 0x3ffe, UINT64_MAX,
};

#define VALUES (sizeof(values) / sizeof(values[0]))

static void set_field(struct quiver_dma_entry *entry, int field, uint64_t value)
{
	switch (field) {
	case 0:
		entry->op = (uint8_t)value;
		break;
	case 1:
		entry->flags = (uint8_t)value;
		break;
	case 2:
		entry->device = (uint16_t)value;
		break;
	case 3:
		entry->gpa = value;
		break;
	case 4:
		entry->length = value;
		break;
	case 5:
		entry->iova = value;
		break;
	default:
		entry->status = (uint32_t)value;
	}
}

#define FIELDS 7

/* Every pair of fields takes every pair of edge values. */
static void every_pair_of_fields_mutated(void **state)
{
	struct quiver_dma_entry entry[3];

	valid_entries(entry);
	for (int i = 0; i < 3 * FIELDS * FIELDS; i++) {
		for (size_t v = 0; v < VALUES * VALUES; v++) {
			struct quiver_dma_entry e = entry[i % 3];

			set_field(&e, i / 3 % FIELDS, values[v % VALUES]);
			set_field(&e, i / 3 / FIELDS, values[v / VALUES]);
			check(&e);
		}
	}
}

static void entries_at_random(void **state)
{
	struct model_random random;

	model_random_init(&random, "wire");
	for (int i = 0; i < 200000; i++) {
		struct quiver_dma_entry e = { .op = 1 + i % 2, .flags = i % 2 ? 0 : 3 };

		for (int field = 0; field < FIELDS; field++) {
			uint64_t value = values[model_random_below(&random, VALUES)];

			if (model_random_below(&random, 3) == 0)
				value = model_random_next(&random);
			if (field > 1 || model_random_below(&random, 8) == 0)
				set_field(&e, field, value);
		}
		if (i % 2 && model_random_below(&random, 4))
			e.gpa = 0;
		check(&e);
	}
}

/* The granule is the host's, not a constant. */
static void other_granules_are_checked(void **state)
{
	struct quiver_wire_request request;
	struct quiver_dma_entry entry;

	quiver_wire_encode_map(&entry, 0, (struct quiver_range){ 0x1000, 0x3000 }, 1);
	assert_int_equal(quiver_wire_decode(&entry, 12, 1, 0, &request), QUIVER_S_OK);
	assert_int_equal(quiver_wire_decode(&entry, 13, 1, 0, &request), QUIVER_S_INVAL);
	assert_int_equal(quiver_wire_decode(&entry, 12, 0, 0, &request), QUIVER_S_NODEV);
}

static void every_status_has_its_errno(void **state)
{
	static const struct {
		uint32_t status;
		int error;
		uint32_t back;
	} rows[] = {
		{ 0, 0, 0 },
		{ 1, -EIO, QUIVER_S_IO },	/* PENDING: nobody took it */
		{ 2, -EINVAL, 2 },
		{ 3, -ENODEV, 3 },
		{ 4, -EFAULT, 4 },
		{ 5, -ENOENT, 5 },
		{ 6, -E2BIG, 6 },
		{ 7, -ENOSPC, 7 },
		{ 8, -EIO, 8 },
		{ 9, -ENODEV, QUIVER_S_NODEV },	/* GONE shares its errno */
		{ 10, -EIO, QUIVER_S_IO },
		{ UINT32_MAX, -EIO, QUIVER_S_IO },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(quiver_wire_error(rows[i].status), rows[i].error);
		assert_int_equal(quiver_wire_status(rows[i].error), rows[i].back);
	}
	assert_int_equal(quiver_wire_status(-EPERM), QUIVER_S_IO);
	assert_int_equal(quiver_wire_status(EINVAL), QUIVER_S_IO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_encoded_is_decoded),
		cmocka_unit_test(vital_wants_its_feature),
		cmocka_unit_test(every_pressure_has_its_name),
		cmocka_unit_test(every_bit_flipped),
		cmocka_unit_test(every_pair_of_fields_mutated),
		cmocka_unit_test(entries_at_random),
		cmocka_unit_test(other_granules_are_checked),
		cmocka_unit_test(every_status_has_its_errno),
	};

	return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
