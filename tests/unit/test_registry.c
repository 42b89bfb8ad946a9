// SPDX-License-Identifier: BSD-3-Clause
/* The registry against a flat map of owners, one an address. */
#include "model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/registry.h"

#define FLAT 300

/* owner[i] is that of address base + i. */
struct flat {
	uint64_t base;
	struct quiver_mapping *owner[FLAT];
	size_t mappings;
};

static bool flat_is_free(const struct flat *flat, struct quiver_range r)
{
	for (uint64_t i = 0; i < r.length; i++)
		if (flat->owner[r.start - flat->base + i])
			return false;
	return true;
}

static void flat_set(struct flat *flat, struct quiver_range r, struct quiver_mapping *owner)
{
	for (uint64_t i = 0; i < r.length; i++)
		flat->owner[r.start - flat->base + i] = owner;
}

static struct quiver_range some_range(struct model_random *random, const struct flat *flat)
{
	uint64_t first = model_random_below(random, FLAT);
	uint64_t room = FLAT - first;

	return (struct quiver_range){ flat->base + first,
				      1 + model_random_below(random, room < 24 ? room : 24) };
}

static void try_add(struct quiver_registry *registry, struct flat *flat,
		    struct quiver_range range)
{
	struct quiver_mapping *mapping = malloc(sizeof(*mapping));
	bool fits = flat_is_free(flat, range);

	memset(mapping, 0xa5, sizeof(*mapping));
	mapping->iova = range;
	assert_int_equal(quiver_registry_add(registry, mapping), fits ? 0 : -EEXIST);
	if (!fits) {
		free(mapping);
		return;
	}
	flat_set(flat, range, mapping);
	flat->mappings++;
}

static void drop(struct quiver_registry *registry, struct flat *flat,
		 struct quiver_mapping *mapping)
{
	quiver_registry_remove(registry, mapping);
	flat_set(flat, mapping->iova, NULL);
	flat->mappings--;
	free(mapping);
}

static void check(const struct quiver_registry *registry, const struct flat *flat,
		  struct quiver_range probe)
{
	struct quiver_mapping *owner = flat->owner[probe.start - flat->base];
	bool exact = owner && owner->iova.start == probe.start &&
		     owner->iova.length == probe.length;

	assert_ptr_equal(quiver_registry_at(registry, probe.start), owner);
	assert_ptr_equal(quiver_registry_find(registry, probe), exact ? owner : NULL);
	assert_int_equal(quiver_registry_count(registry), flat->mappings);
	assert_int_equal(!quiver_registry_above(registry, 0), !flat->mappings);
}

static void exercise(struct model_random *random, uint64_t base)
{
	struct flat flat = { .base = base };
	struct quiver_registry registry;
	struct quiver_mapping *mapping;

	quiver_registry_init(&registry);
	for (int i = 0; i < 30000; i++) {
		struct quiver_range range = some_range(random, &flat);
		struct quiver_mapping *owner = flat.owner[range.start - base];

		if (model_random_below(random, 2))
			try_add(&registry, &flat, range);
		else if (owner)
			drop(&registry, &flat, owner);
		check(&registry, &flat, some_range(random, &flat));
		if (owner && flat.owner[range.start - base] == owner)
			check(&registry, &flat, owner->iova);
	}
	assert_true(flat.mappings);
	while ((mapping = quiver_registry_above(&registry, 0)))
		drop(&registry, &flat, mapping);
	assert_int_equal(flat.mappings, 0);
	check(&registry, &flat, some_range(random, &flat));
}

static void registry_is_a_flat_map(void **state)
{
	struct model_random random;

	model_random_init(&random, "registry");
	exercise(&random, 0);
	exercise(&random, 0x10000000000);
	exercise(&random, UINT64_MAX - (FLAT - 1));	/* up to the very last address */
}

static void registry_holds_the_whole_address_space(void **state)
{
	struct quiver_mapping low = { .iova = { 0, 1ull << 63 } };
	struct quiver_mapping high = { .iova = { 1ull << 63, 1ull << 63 } };
	struct quiver_mapping all = { .iova = { 0, UINT64_MAX } };
	struct quiver_registry registry;

	quiver_registry_init(&registry);
	assert_int_equal(quiver_registry_add(&registry, &high), 0);
	assert_int_equal(quiver_registry_add(&registry, &all), -EEXIST);
	assert_int_equal(quiver_registry_add(&registry, &low), 0);
	assert_ptr_equal(quiver_registry_at(&registry, UINT64_MAX), &high);
	assert_ptr_equal(quiver_registry_at(&registry, (1ull << 63) - 1), &low);
	assert_null(quiver_registry_find(&registry, all.iova));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(registry_is_a_flat_map),
		cmocka_unit_test(registry_holds_the_whole_address_space),
	};

	return cmocka_run_group_tests_name("registry", tests, NULL, NULL);
}
