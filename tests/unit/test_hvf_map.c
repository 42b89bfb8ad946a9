// SPDX-License-Identifier: BSD-3-Clause
/*
 * QEMU's memory under Hypervisor.framework, without either: sections come and
 * go over a fake hypervisor of a few pages, which refuses what the real one
 * refuses, and are checked against a list of what is to be mapped.
 */
#include "model.h"

#include <string.h>

#include "hvf-map.h"

#define PAGE		0x4000ull
#define PAGES		64u
#define SECTIONS	12u

typedef unsigned __int128 wide;

static struct page {
	uint64_t host;		/* 0: not mapped */
	uint32_t access;
} pages[PAGES];
static unsigned int calls;	/* of map() */
static unsigned int map_fails;	/* the next such many */
static uint64_t device_first, device_last;	/* host addresses of devices */

static HVFMap map;

/* The linker puts it in the place of realloc(): --wrap. */
static bool realloc_fails;
void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);

void *__wrap_realloc(void *old, size_t size)
{
	return realloc_fails ? NULL : __real_realloc(old, size);
}

static void check_access(uint64_t host, uint32_t access)
{
	assert_true(access & HVF_MAP_READ);
	assert_int_equal(access & ~7u, 0);
	if (host >= device_first && host < device_last)
		assert_false(access & HVF_MAP_EXEC);
}

static struct page *page_at(uint64_t start, uint64_t size)
{
	assert_int_equal(start % PAGE, 0);
	assert_int_equal(size % PAGE, 0);
	assert_true(size && start + size <= PAGES * PAGE);
	return &pages[start / PAGE];
}

static int fake_map(const hvf_slot *slot, uint32_t access)
{
	struct page *page = page_at(slot->start, slot->size);
	uint64_t host = (uintptr_t)slot->mem, size = slot->size;

	calls++;
	assert_int_equal(host % PAGE, 0);
	if (map_fails) {
		map_fails--;
		return 5;
	}
	for (uint64_t i = 0; i < size / PAGE; i++) {
		assert_int_equal(page[i].host, 0);
		check_access(host + i * PAGE, access);
		page[i] = (struct page){ host + i * PAGE, access };
	}
	return 0;
}

static void fake_unmap(uint64_t start, uint64_t size)
{
	struct page *page = page_at(start, size);

	for (uint64_t i = 0; i < size / PAGE; i++) {
		assert_int_not_equal(page[i].host, 0);
		page[i] = (struct page){ 0 };
	}
}

static void fake_protect(const hvf_slot *slot, uint64_t start, uint64_t size, uint32_t access)
{
	struct page *page = page_at(start, size);

	assert_true(start >= slot->start && start + size <= slot->start + slot->size);
	for (uint64_t i = 0; i < size / PAGE; i++) {
		assert_int_not_equal(page[i].host, 0);
		check_access(page[i].host, access);
		page[i].access = access;
	}
}

static const HVFMapOps fake = { fake_map, fake_unmap, fake_protect };

static int begin(void **state)
{
	memset(pages, 0, sizeof(pages));
	calls = map_fails = 0;
	realloc_fails = false;
	device_first = 0x200000000;
	device_last = 0x300000000;
	map = (HVFMap){ .ops = &fake, .page = PAGE };
	return 0;
}

static int end(void **state)
{
	free(map.slots);
	return 0;
}

static HVFSection section(HVFSectionKind kind, uint64_t start, uint64_t size)
{
	return (HVFSection){
		.kind = kind, .start = start, .size = size,
		.host = (kind == HVF_SECTION_DEVICE ? 0x200000000 : 0x100000000) + start,
	};
}

static unsigned int mapped_pages(void)
{
	unsigned int i, count = 0;

	for (i = 0; i < PAGES; i++)
		count += pages[i].host != 0;
	return count;
}

/* --- one section ------------------------------------------------------------------------------ */

/* Such memory is RAM for QEMU, and must not be for us. */
static void memory_of_a_device_is_that_whatever_else_it_is(void **state)
{
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(hvf_section_kind(i & 1, true, i & 2), HVF_SECTION_DEVICE);
	assert_int_equal(hvf_section_kind(true, false, false), HVF_SECTION_RAM);
	assert_int_equal(hvf_section_kind(false, false, true), HVF_SECTION_RAM);
	assert_int_equal(hvf_section_kind(false, false, false), HVF_SECTION_TRAPPED);
}

static void access_is_what_the_memory_is_for(void **state)
{
	HVFSection s = section(HVF_SECTION_RAM, 0, PAGE);

	assert_int_equal(hvf_section_access(&s), HVF_MAP_READ | HVF_MAP_WRITE | HVF_MAP_EXEC);
	s.readonly = true;
	assert_int_equal(hvf_section_access(&s), HVF_MAP_READ | HVF_MAP_EXEC);
	s.kind = HVF_SECTION_DEVICE;
	assert_int_equal(hvf_section_access(&s), HVF_MAP_READ);
	s.readonly = false;
	assert_int_equal(hvf_section_access(&s), HVF_MAP_READ | HVF_MAP_WRITE);
	s.kind = HVF_SECTION_TRAPPED;
	assert_int_equal(hvf_section_access(&s), 0);
}

/* The first and the last whole page, the slow way. */
static bool slow_part(const HVFSection *s, uint64_t page, uint64_t *start, uint64_t *size)
{
	wide first = ((wide)s->start + page - 1) / page * page;
	wide last = ((wide)s->start + s->size) / page * page;
	wide top = (wide)1 << 64;

	if ((wide)s->start + s->size >= top || (wide)s->host + s->size >= top)
		return false;
	if (s->start % page != s->host % page || first >= last)
		return false;
	*start = (uint64_t)first;
	*size = (uint64_t)(last - first);
	return true;
}

static void check_part(const HVFSection *s, uint64_t page)
{
	uint64_t start = 0, size = 0, slow_start = 0, slow_size = 0;
	bool is = hvf_section_part(s, page, &start, &size);

	assert_int_equal(is, slow_part(s, page, &slow_start, &slow_size));
	if (!is)
		return;
	assert_int_equal(start, slow_start);
	assert_int_equal(size, slow_size);
	assert_true(start >= s->start && size <= s->size && start - s->start <= s->size - size);
	assert_int_equal(start % page, 0);
	assert_int_equal(size % page, 0);
	assert_int_equal((s->host + (start - s->start)) % page, 0);
}

static uint64_t any_value(struct model_random *random)
{
	static const uint64_t edges[] = { 0, PAGE, 1ull << 63, -PAGE, 0x100000000 };

	switch (model_random_below(random, 3)) {
	case 0:
		return edges[model_random_below(random, 5)] + model_random_below(random, 5) - 2;
	case 1:
		return model_random_next(random) >> model_random_below(random, 64);
	default:
		return PAGE * model_random_below(random, 8);
	}
}

static void what_is_mapped_is_whole_pages_within_the_section(void **state)
{
	struct model_random random;
	unsigned int i;

	model_random_init(&random, "hvf_map");
	for (i = 0; i < 300000; i++) {
		HVFSection s = { .start = any_value(&random), .size = any_value(&random) };

		s.host = any_value(&random);
		if (model_random_below(&random, 2))
			s.host = (s.host & -PAGE) + s.start % PAGE;
		check_part(&s, model_random_below(&random, 4) ? PAGE : 4096);
	}
}

static void what_is_around_whole_pages_traps(void **state)
{
	HVFSection s = section(HVF_SECTION_DEVICE, PAGE + 0x1000, 3 * PAGE);

	assert_int_equal(hvf_map_add(&map, &s), 0);
	assert_int_equal(mapped_pages(), 2);
	assert_int_equal(pages[2].host, 0x200000000 + 2 * PAGE);
	assert_int_equal(pages[3].host, 0x200000000 + 3 * PAGE);
}

static void memory_that_lies_elsewhere_in_its_page_traps(void **state)
{
	HVFSection s = section(HVF_SECTION_RAM, 0, 4 * PAGE);

	s.host += 0x1000;
	assert_int_equal(hvf_map_add(&map, &s), 0);
	assert_int_equal(calls, 0);
}

static void hostile_sections_are_not_mapped(void **state)
{
	const uint64_t hostile[][2] = {
		{ 0, 0 }, { PAGE, 0 }, { -PAGE, PAGE }, { -PAGE, 2 * PAGE }, { PAGE, -PAGE },
		{ 1ull << 63, 1ull << 63 }, { 0, PAGE - 1 }, { 1, PAGE }, { UINT64_MAX, 1 },
		{ UINT64_MAX, UINT64_MAX },
	};
	HVFSection s;

	for (unsigned int i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
		s = section(HVF_SECTION_RAM, hostile[i][0], hostile[i][1]);
		s.host = hostile[i][0];
		assert_int_equal(hvf_map_add(&map, &s), 0);
		hvf_map_log(&map, s.start, s.size, true);
		hvf_map_remove(&map, s.start, s.size);
	}
	assert_int_equal(calls, 0);
}

/* --- many sections ---------------------------------------------------------------------------- */

static void there_is_room_for_more_than_32(void **state)
{
	HVFSection s;
	unsigned int i;

	for (i = 0; i < PAGES; i++) {
		s = section(HVF_SECTION_DEVICE, i * PAGE, PAGE);
		assert_int_equal(hvf_map_add(&map, &s), 0);
	}
	assert_int_equal(mapped_pages(), PAGES);
	hvf_map_remove(&map, 0, PAGES * PAGE);
	assert_int_equal(mapped_pages(), 0);
}

static void a_BAR_that_moves_is_gone_from_where_it_was(void **state)
{
	HVFSection s = section(HVF_SECTION_DEVICE, 0, 4 * PAGE);
	unsigned int i;

	for (i = 0; i < 1000; i++) {
		s.start = i % 8 * 5 * PAGE;
		s.size = (1 + i % 4) * PAGE;
		assert_int_equal(hvf_map_add(&map, &s), 0);
		assert_int_equal(mapped_pages(), 1 + i % 4);
		assert_int_equal(pages[s.start / PAGE].host, s.host);
		hvf_map_remove(&map, s.start, s.size);
		assert_int_equal(mapped_pages(), 0);
	}
	assert_true(map.count <= 32);
}

static void a_map_that_fails_leaves_nothing(void **state)
{
	HVFSection s = section(HVF_SECTION_DEVICE, 0, 4 * PAGE);

	map_fails = 1;
	assert_int_equal(hvf_map_add(&map, &s), 5);
	assert_null(hvf_map_find(&map, 0, PAGES * PAGE));
	hvf_map_remove(&map, 0, 4 * PAGE);
	assert_int_equal(hvf_map_add(&map, &s), 0);
	assert_int_equal(mapped_pages(), 4);
}

static void without_memory_for_the_books_nothing_is_mapped(void **state)
{
	HVFSection s = section(HVF_SECTION_DEVICE, 0, 4 * PAGE);

	realloc_fails = true;
	assert_int_equal(hvf_map_add(&map, &s), HVF_MAP_NO_MEMORY);
	assert_int_equal(calls, 0);
	assert_null(hvf_map_find(&map, 0, PAGES * PAGE));
	realloc_fails = false;
	for (uint64_t i = 0; i < 33; i++) {
		realloc_fails = i == 32;
		s = section(HVF_SECTION_DEVICE, i * PAGE, PAGE);
		assert_int_equal(hvf_map_add(&map, &s), i < 32 ? 0 : HVF_MAP_NO_MEMORY);
	}
	assert_int_equal(mapped_pages(), 32);
}

/* Of two that share a page neither has all of it. */
static void a_page_of_two_sections_traps(void **state)
{
	HVFSection a = section(HVF_SECTION_RAM, 0, 2 * PAGE + 0x1000);
	HVFSection b = section(HVF_SECTION_DEVICE, 2 * PAGE + 0x1000, 2 * PAGE - 0x1000);

	assert_int_equal(hvf_map_add(&map, &a), 0);
	assert_int_equal(hvf_map_add(&map, &b), 0);
	assert_int_equal(pages[1].host, 0x100000000 + PAGE);
	assert_int_equal(pages[2].host, 0);
	assert_int_equal(pages[3].host, 0x200000000 + 3 * PAGE);
}

/* --- the dirty log ---------------------------------------------------------------------------- */

static void writes_trap_once_a_page_while_logged(void **state)
{
	HVFSection s = section(HVF_SECTION_RAM, 0, 4 * PAGE);
	hvf_slot *logged;

	assert_int_equal(hvf_map_add(&map, &s), 0);
	hvf_map_log(&map, 0, 4 * PAGE, true);
	assert_int_equal(pages[1].access, HVF_MAP_READ | HVF_MAP_EXEC);
	assert_true(hvf_map_allows(&map, PAGE + 8, HVF_MAP_READ, &logged));
	assert_null(logged);
	assert_true(hvf_map_allows(&map, PAGE + 8, HVF_MAP_WRITE, &logged));
	assert_non_null(logged);
	assert_int_equal(pages[1].access, HVF_MAP_READ | HVF_MAP_WRITE | HVF_MAP_EXEC);
	assert_int_equal(pages[2].access, HVF_MAP_READ | HVF_MAP_EXEC);
	hvf_map_log(&map, 0, 4 * PAGE, true);
	assert_int_equal(pages[1].access, HVF_MAP_READ | HVF_MAP_EXEC);
	hvf_map_log(&map, 0, 4 * PAGE, false);
	assert_int_equal(pages[1].access, HVF_MAP_READ | HVF_MAP_WRITE | HVF_MAP_EXEC);
	assert_true(hvf_map_allows(&map, PAGE + 8, HVF_MAP_WRITE, &logged));
	assert_null(logged);
}

static void what_is_logged_when_it_comes_traps_at_once(void **state)
{
	HVFSection s = section(HVF_SECTION_RAM, 0, PAGE);

	s.logged = true;
	assert_int_equal(hvf_map_add(&map, &s), 0);
	assert_int_equal(pages[0].access, HVF_MAP_READ | HVF_MAP_EXEC);
}

static void the_end_of_the_log_makes_nothing_writable_or_executable(void **state)
{
	HVFSection rom = section(HVF_SECTION_RAM, 0, PAGE);
	HVFSection device = section(HVF_SECTION_DEVICE, PAGE, PAGE);
	hvf_slot *logged;

	rom.readonly = true;
	assert_int_equal(hvf_map_add(&map, &rom), 0);
	assert_int_equal(hvf_map_add(&map, &device), 0);
	for (unsigned int i = 0; i < 2; i++) {
		hvf_map_log(&map, 0, 2 * PAGE, !i);
		assert_false(hvf_map_allows(&map, 0, HVF_MAP_WRITE, &logged));
		assert_true(hvf_map_allows(&map, PAGE, HVF_MAP_WRITE, &logged));
		assert_false(hvf_map_allows(&map, PAGE, HVF_MAP_EXEC, &logged));
		assert_int_equal(pages[0].access, HVF_MAP_READ | HVF_MAP_EXEC);
		assert_int_equal(pages[1].access, HVF_MAP_READ | HVF_MAP_WRITE);
	}
}

static void what_is_not_mapped_allows_nothing(void **state)
{
	hvf_slot *logged;

	assert_false(hvf_map_allows(&map, 0, HVF_MAP_READ, &logged));
	assert_false(hvf_map_allows(&map, UINT64_MAX, HVF_MAP_WRITE, &logged));
}

/* --- another try ------------------------------------------------------------------------------ */

#define MS	1000000ll

static void a_guest_tries_16_times_at_one_address(void **state)
{
	HVFRetry retry = { 0 };
	int64_t now = 1000 * MS;

	for (unsigned int i = 0; i < 16; i++)
		assert_true(hvf_map_retry(&retry, PAGE, now += MS, true));
	assert_false(hvf_map_retry(&retry, PAGE, now += MS, true));
	assert_false(hvf_map_retry(&retry, PAGE, now += 10 * MS, true));
	assert_true(hvf_map_retry(&retry, PAGE, now + 11 * MS, true));
}

static void another_address_is_another_16_tries(void **state)
{
	HVFRetry retry = { 0 };

	for (unsigned int i = 0; i < 16; i++)
		assert_true(hvf_map_retry(&retry, PAGE, MS, true));
	assert_true(hvf_map_retry(&retry, 2 * PAGE, MS, true));
	assert_true(hvf_map_retry(&retry, PAGE, MS, true));
}

static void what_is_refused_is_not_a_try(void **state)
{
	HVFRetry retry = { 0 };

	for (unsigned int round = 0; round < 3; round++) {
		for (unsigned int i = 0; i < 100; i++)
			assert_false(hvf_map_retry(&retry, PAGE, MS, false));
		for (unsigned int i = 0; i < 16; i++)
			assert_true(hvf_map_retry(&retry, PAGE, MS, true));
		assert_false(hvf_map_retry(&retry, PAGE, MS, true));
	}
}

/* --- at random -------------------------------------------------------------------------------- */

static HVFSection live[SECTIONS];	/* size 0: none */
static uint64_t written;		/* since its log began, by page */

static_assert(PAGES == 64, "a bit of written a page");

static HVFSection random_section(struct model_random *random)
{
	uint64_t start = model_random_below(random, PAGES * 4 - 1) * 0x1000;
	uint64_t room = PAGES * PAGE - start, size = (1 + model_random_below(random, 40)) * 0x1000;
	HVFSection s = section(model_random_below(random, 3), start, size < room ? size : room);

	s.readonly = !model_random_below(random, 4);
	s.logged = !model_random_below(random, 4);
	if (!model_random_below(random, 8))
		s.host += 0x1000;
	return s;
}

static bool touch(const HVFSection *a, uint64_t start, uint64_t size)
{
	uint64_t part_start, part_size;

	return a->size && slow_part(a, PAGE, &part_start, &part_size) && hvf_section_access(a) &&
	       part_start < start + size && start < part_start + part_size;
}

/* The live section that has all of a page, or NULL. */
static const HVFSection *owner_of(uint64_t page)
{
	uint64_t start = page * PAGE;

	for (unsigned int i = 0; i < SECTIONS; i++) {
		const HVFSection *s = &live[i];

		if (s->start <= start && s->start + s->size >= start + PAGE && touch(s, start, PAGE))
			return s;
	}
	return NULL;
}

static uint64_t pages_of(const HVFSection *s)
{
	uint64_t bits = 0;

	for (uint64_t p = 0; p < PAGES; p++)
		bits |= (uint64_t)touch(s, p * PAGE, PAGE) << p;
	return bits;
}

/* A page is mapped if a live section has all of it, and then as that says. */
static void check_pages(void)
{
	for (unsigned int p = 0; p < PAGES; p++) {
		const HVFSection *s = owner_of(p);
		uint64_t host = 0;
		uint32_t access = 0;

		if (s) {
			host = s->host + (p * PAGE - s->start);
			access = hvf_section_access(s) & ~(s->logged && !(written & 1ull << p) ? HVF_MAP_WRITE : 0);
		}
		assert_int_equal(pages[p].host, host);
		assert_int_equal(pages[p].access, access);
	}
}

static void forget(uint64_t start, uint64_t size)
{
	for (unsigned int i = 0; i < SECTIONS; i++) {
		if (touch(&live[i], start, size)) {
			written &= ~pages_of(&live[i]);
			live[i].size = 0;
		}
	}
}

static void random_add(struct model_random *random, HVFSection *place)
{
	HVFSection s = random_section(random);
	bool fails = !model_random_below(random, 10);

	map_fails = fails;
	forget(s.start, s.size);
	if (!hvf_map_add(&map, &s))
		*place = s;
	map_fails = 0;
}

static void random_log(struct model_random *random)
{
	HVFSection s = random_section(random);
	bool on = model_random_below(random, 2);

	for (unsigned int i = 0; i < SECTIONS; i++) {
		if (touch(&live[i], s.start, s.size)) {
			live[i].logged = on;
			written &= ~pages_of(&live[i]);
		}
	}
	hvf_map_log(&map, s.start, s.size, on);
}

/* The guest touches a page. */
static void random_access(struct model_random *random)
{
	uint64_t page = model_random_below(random, PAGES), address = page * PAGE + model_random_below(random, PAGE);
	uint32_t access = 1u << model_random_below(random, 3);
	const HVFSection *owner = owner_of(page);
	bool allowed = owner && hvf_section_access(owner) & access;
	hvf_slot *logged;

	assert_int_equal(hvf_map_allows(&map, address, access, &logged), allowed);
	if (allowed && access == HVF_MAP_WRITE && owner->logged) {
		assert_non_null(logged);
		assert_true(logged->start <= address && address < logged->start + logged->size);
		written |= 1ull << page;
	} else {
		assert_null(logged);
	}
}

static void sections_at_random_map_what_the_list_says(void **state)
{
	struct model_random random;

	model_random_init(&random, "hvf_map");
	memset(live, 0, sizeof(live));
	written = 0;
	for (unsigned int i = 0; i < 50000; i++) {
		HVFSection *place = &live[model_random_below(&random, SECTIONS)];

		if (!model_random_below(&random, 4)) {
			random_log(&random);
		} else if (model_random_below(&random, 2)) {
			random_access(&random);
		} else if (place->size) {
			hvf_map_remove(&map, place->start, place->size);
			forget(place->start, place->size);
			place->size = 0;
		} else {
			random_add(&random, place);
		}
		check_pages();
	}
	hvf_map_remove(&map, 0, PAGES * PAGE);
	assert_int_equal(mapped_pages(), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(memory_of_a_device_is_that_whatever_else_it_is),
		TEST(access_is_what_the_memory_is_for),
		TEST(what_is_mapped_is_whole_pages_within_the_section),
		TEST(what_is_around_whole_pages_traps),
		TEST(memory_that_lies_elsewhere_in_its_page_traps),
		TEST(hostile_sections_are_not_mapped),
		TEST(there_is_room_for_more_than_32),
		TEST(a_BAR_that_moves_is_gone_from_where_it_was),
		TEST(a_map_that_fails_leaves_nothing),
		TEST(without_memory_for_the_books_nothing_is_mapped),
		TEST(a_page_of_two_sections_traps),
		TEST(writes_trap_once_a_page_while_logged),
		TEST(what_is_logged_when_it_comes_traps_at_once),
		TEST(the_end_of_the_log_makes_nothing_writable_or_executable),
		TEST(what_is_not_mapped_allows_nothing),
		TEST(a_guest_tries_16_times_at_one_address),
		TEST(another_address_is_another_16_tries),
		TEST(what_is_refused_is_not_a_try),
		TEST(sections_at_random_map_what_the_list_says),
	};

	return cmocka_run_group_tests_name("hvf_map", tests, NULL, NULL);
}
