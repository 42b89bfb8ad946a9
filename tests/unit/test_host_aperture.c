// SPDX-License-Identifier: BSD-3-Clause
/* The aperture on a DART that gives the addresses that a test wants, and refuses what it wants. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "quiver/host.h"
#include "test_host_iokit.h"

#define GRANULE		UINT64_C(16384)			/* [D4] */
#define ALIGNMENT	QUIVER_APERTURE_ALIGNMENT
#define SKEWS		(ALIGNMENT / GRANULE)
#define LENGTH		(2 * 8 * ALIGNMENT)
#define FLAGS		(QUIVER_DEXT_DMA_READ | QUIVER_DEXT_DMA_WRITE | QUIVER_DEXT_DMA_STAYS)
#define MAPPED_MAX	64
#define ASKED_MAX	64				/* of one test, far more than it takes */

struct mapping {
	uint64_t iova, address, length;
};

static struct {
	/* Each address is a multiple of the alignment and so much; drift comes on top each time. */
	uint64_t skew, drift;
	uint64_t longest;		/* what is longer is refused with code */
	unsigned int refused;		/* so is the one of that number, counted from 1 */
	uint32_t code;

	unsigned int asked, maps, unmaps;
	struct mapping mapped[MAPPED_MAX];	/* now, in the order of their coming */
	unsigned int count, peak;
	uint64_t next;
} dart;

/* It dies here if the process does not have it. */
static void touch(uint64_t address)
{
	*(volatile unsigned char *)(uintptr_t)address += 1;
}

static bool refused(const struct quiver_dext_dma_entry *entry)
{
	return entry->length > dart.longest || dart.asked == dart.refused;
}

static uint32_t map(const struct quiver_dext_dma_entry *entry, uint64_t *iova)
{
	assert_int_equal(entry->flags, FLAGS);
	assert_int_equal(entry->iova, 0);
	assert_int_equal(entry->address % GRANULE, 0);
	assert_int_equal(entry->length % GRANULE, 0);
	touch(entry->address);
	touch(entry->address + entry->length - 1);
	/* For ever would be too long. */
	assert_in_range(++dart.asked, 1, ASKED_MAX);
	if (refused(entry))
		return dart.code;
	assert_in_range(dart.count, 0, MAPPED_MAX - 1);
	*iova = dart.next + dart.skew % ALIGNMENT;
	dart.mapped[dart.count++] = (struct mapping){ *iova, entry->address, entry->length };
	dart.next = (*iova + entry->length + ALIGNMENT) / ALIGNMENT * ALIGNMENT;
	dart.skew += dart.drift;
	dart.maps++;
	if (dart.peak < dart.count)
		dart.peak = dart.count;
	return QUIVER_DEXT_S_OK;
}

static uint32_t unmap(const struct quiver_dext_dma_entry *entry)
{
	unsigned int i = 0;

	assert_int_equal(entry->flags, 0);
	while (i < dart.count && dart.mapped[i].iova != entry->iova)
		i++;
	assert_in_range(i, 0, dart.count - 1);
	assert_int_equal(dart.mapped[i].length, entry->length);
	memmove(&dart.mapped[i], &dart.mapped[i + 1],
		(--dart.count - i) * sizeof(dart.mapped[0]));
	dart.unmaps++;
	return QUIVER_DEXT_S_OK;
}

static uint32_t answer(const struct quiver_dext_dma_entry *entry, uint64_t *iova)
{
	return entry->op == QUIVER_DEXT_DMA_MAP ? map(entry, iova) : unmap(entry);
}

static void begin(void)
{
	fake_reset();
	fake.dma_answer = answer;
	memset(&dart, 0, sizeof(dart));
	dart.longest = UINT64_MAX;
	dart.code = QUIVER_DEXT_S_IO;
	dart.next = UINT64_C(0x8000000000);
}

/* What a test that failed has left open, which the next would wait for. */
static struct quiver_device *opened[3];
static unsigned int open_count;

static void close_devices(void)
{
	while (open_count)
		quiver_device_close(opened[--open_count]);
}

static int setup(void **state)
{
	begin();
	return 0;
}

static int teardown(void **state)
{
	close_devices();
	return fake.connections || fake.objects;
}

static struct quiver_aperture *new_aperture(void)
{
	struct quiver_aperture *aperture = NULL;

	assert_int_equal(quiver_aperture_new(LENGTH, &aperture), 0);
	return aperture;
}

static struct quiver_device *open_device(void)
{
	struct quiver_device *device;

	assert_int_equal(quiver_device_open(0x100, &device), 0);
	opened[open_count++] = device;
	return device;
}

static int map_aperture(struct quiver_aperture *aperture, struct quiver_device *device,
			struct quiver_aperture_place *place)
{
	memset(place, 0xee, sizeof(*place));
	return quiver_aperture_map(aperture, device, place);
}

/* Of the mappings in DART from the given one on, that of the address. */
static const struct mapping *mapping_of(uint64_t iova, unsigned int from)
{
	while (from < dart.count && (iova < dart.mapped[from].iova ||
				     iova - dart.mapped[from].iova >= dart.mapped[from].length))
		from++;
	assert_in_range(from, 0, dart.count - 1);
	return &dart.mapped[from];
}

/*
 * What it says of a device, whose mappings are those from the given one on, is
 * where DART has the memory, every byte of it; and nothing else is mapped.
 */
static void expect_place(struct quiver_aperture *aperture, unsigned int from,
			 const struct quiver_aperture_place *place, unsigned int pieces,
			 bool aligned)
{
	uint64_t memory = (uintptr_t)quiver_aperture_memory(aperture);
	uint64_t piece = LENGTH / pieces, mapped = 0;
	bool all = true;

	assert_int_equal(place->count, pieces);
	assert_int_equal(place->aligned, aligned);
	for (unsigned int i = 0; i < pieces; i++) {
		const struct mapping *mapping = mapping_of(place->iova[i], from);
		uint64_t lead = place->iova[i] - mapping->iova;

		assert_int_equal(mapping->address + lead, memory + i * piece);
		assert_true(mapping->length >= lead + piece);
		all = all && place->iova[i] % ALIGNMENT == 0;
		mapped += mapping->length;
	}
	assert_int_equal(all, aligned);
	assert_int_equal(place->mapped, mapped);
	assert_int_equal(dart.count - from, pieces);
	assert_int_equal(dart.maps - dart.unmaps, dart.count);
}

/* --- its memory ------------------------------------------------------------------------------- */

static void lengths_are_multiples_of_eight_large_pages(void **state)
{
	static const uint64_t bad[] = {
		0, 1, GRANULE, ALIGNMENT, 4 * ALIGNMENT, 7 * ALIGNMENT, 8 * ALIGNMENT - 1,
		8 * ALIGNMENT + 1, 8 * ALIGNMENT + GRANULE, 9 * ALIGNMENT, 12 * ALIGNMENT,
		-7 * ALIGNMENT, UINT64_MAX,
	};
	struct quiver_aperture *aperture = NULL;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(quiver_aperture_new(bad[i], &aperture), -EINVAL);
	assert_null(aperture);
	assert_int_equal(quiver_aperture_new(UINT64_C(1) << 62, &aperture), -ENOMEM);
	assert_int_equal(quiver_aperture_new(-8 * ALIGNMENT, &aperture), -ENOMEM);
	assert_null(aperture);
	assert_int_equal(quiver_aperture_new(8 * ALIGNMENT, &aperture), 0);
	quiver_aperture_free(aperture);
	quiver_aperture_free(NULL);
}

static void memory_stays_where_it_is_once_it_is_asked_for(void **state)
{
	struct quiver_aperture *aperture = new_aperture();
	unsigned char *memory = quiver_aperture_memory(aperture);
	struct quiver_device *device = open_device();
	struct quiver_aperture_place place;

	memory[0] = 1;
	memory[LENGTH - 1] = 2;
	dart.skew = 5 * GRANULE;
	assert_int_equal(map_aperture(aperture, device, &place), 0);
	assert_ptr_equal(quiver_aperture_memory(aperture), memory);
	expect_place(aperture, 0, &place, 1, true);
	/* Its first try could not be right. */
	assert_int_equal(dart.maps, 2);
	assert_true(dart.mapped[0].address < (uintptr_t)memory);
	close_devices();
	quiver_aperture_free(aperture);
}

static bool is_there(uint64_t address)
{
	unsigned char resident;
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	return !mincore((void *)(uintptr_t)(address / page * page), page, &resident);
}

/* What is there before and not after belonged to it. */
static void expect_own(uint64_t skew, bool settled)
{
	struct quiver_aperture *aperture = new_aperture();
	struct quiver_device *device = open_device();
	struct quiver_aperture_place place;
	struct mapping mapping;

	if (settled)
		quiver_aperture_memory(aperture);
	dart.skew = skew;
	assert_int_equal(map_aperture(aperture, device, &place), 0);
	assert_int_equal(dart.count, 1);
	mapping = dart.mapped[0];
	close_devices();
	assert_true(is_there(mapping.address));
	assert_true(is_there(mapping.address + mapping.length - 1));
	quiver_aperture_free(aperture);
	assert_false(is_there(mapping.address));
	assert_false(is_there(mapping.address + mapping.length - 1));
}

static void what_is_mapped_is_the_apertures_own(void **state)
{
	static const uint64_t skews[] = { 0, GRANULE, ALIGNMENT / 2, ALIGNMENT - GRANULE };

	for (size_t i = 0; i < sizeof(skews) / sizeof(skews[0]); i++) {
		for (int settled = 0; settled < 2; settled++) {
			begin();
			expect_own(skews[i], settled);
		}
	}
}

/* --- alignment -------------------------------------------------------------------------------- */

static void the_first_device_is_aligned_whatever_comes_back(void **state)
{
	for (unsigned int i = 0; i < SKEWS; i++) {
		struct quiver_aperture *aperture = new_aperture();
		struct quiver_aperture_place place;
		struct quiver_device *device;

		begin();
		device = open_device();
		dart.skew = i * GRANULE;
		assert_int_equal(map_aperture(aperture, device, &place), 0);
		expect_place(aperture, 0, &place, 1, true);
		/* At once: its memory is where the address wants it. */
		assert_int_equal(dart.asked, 1);
		close_devices();
		quiver_aperture_free(aperture);
	}
}

static void memory_that_is_settled_is_aligned_by_lead(void **state)
{
	for (unsigned int i = 0; i < SKEWS; i++) {
		struct quiver_aperture *aperture = new_aperture();
		uint64_t memory = (uintptr_t)quiver_aperture_memory(aperture);
		struct quiver_aperture_place place;
		struct quiver_device *device;
		uint64_t lead = (SKEWS - i) % SKEWS * GRANULE;

		begin();
		device = open_device();
		dart.skew = i * GRANULE;
		assert_int_equal(map_aperture(aperture, device, &place), 0);
		expect_place(aperture, 0, &place, 1, true);
		assert_int_equal(dart.mapped[0].address, memory - lead);
		assert_int_equal(dart.mapped[0].length, LENGTH + lead);
		assert_int_equal(dart.maps, i ? 2 : 1);
		close_devices();
		quiver_aperture_free(aperture);
	}
}

static void another_device_has_a_lead_of_its_own(void **state)
{
	struct quiver_aperture *aperture = new_aperture();
	struct quiver_device *device[3] = { open_device(), open_device(), open_device() };
	struct quiver_aperture_place place[3];
	uint64_t memory;

	dart.skew = 3 * GRANULE;
	assert_int_equal(map_aperture(aperture, device[0], &place[0]), 0);
	memory = (uintptr_t)quiver_aperture_memory(aperture);
	dart.skew = 100 * GRANULE;
	assert_int_equal(map_aperture(aperture, device[1], &place[1]), 0);
	assert_ptr_equal(quiver_aperture_memory(aperture), memory);
	expect_place(aperture, 1, &place[1], 1, true);
	assert_int_equal(dart.mapped[1].address, memory - 28 * GRANULE);
	assert_int_equal(dart.maps, 3);
	/* What the first try had made is gone before the second begins. */
	assert_int_equal(dart.unmaps, 1);
	assert_int_equal(dart.peak, 2);
	/* What was right is tried first. */
	assert_int_equal(map_aperture(aperture, device[2], &place[2]), 0);
	expect_place(aperture, 2, &place[2], 1, true);
	assert_int_equal(dart.maps, 4);
	close_devices();
	quiver_aperture_free(aperture);
}

/* It is of use all the same: whatever address a try gets, what was lacking before is wrong. */
static void addresses_that_are_never_right_are_not_tried_for_ever(void **state)
{
	struct quiver_aperture *aperture = new_aperture();
	struct quiver_device *device = open_device();
	struct quiver_aperture_place place;

	quiver_aperture_memory(aperture);
	dart.skew = dart.drift = GRANULE;
	assert_int_equal(map_aperture(aperture, device, &place), 0);
	expect_place(aperture, 0, &place, 1, false);
	assert_in_range(dart.maps, 2, 8);
	assert_int_equal(dart.peak, 1);
	/* The next one, whose addresses hold, is none the worse for it. */
	dart.drift = 0;
	assert_int_equal(map_aperture(aperture, device, &place), 0);
	expect_place(aperture, 1, &place, 1, true);
	close_devices();
	quiver_aperture_free(aperture);
}

/* --- pieces ----------------------------------------------------------------------------------- */

static void expect_pieces(unsigned int pieces, uint64_t skew, bool settled)
{
	struct quiver_aperture *aperture = new_aperture();
	struct quiver_device *device = open_device();
	struct quiver_aperture_place place;
	unsigned int wholes = 0;

	for (unsigned int i = 1; i < pieces; i *= 2)
		wholes++;
	if (settled)
		quiver_aperture_memory(aperture);
	dart.skew = skew;
	dart.longest = LENGTH / pieces + ALIGNMENT;
	assert_int_equal(map_aperture(aperture, device, &place), 0);
	expect_place(aperture, 0, &place, pieces, true);
	/* Larger ones were tried once each. */
	assert_int_equal(dart.asked - dart.maps, wholes);
	close_devices();
	quiver_aperture_free(aperture);
}

static void it_comes_in_the_fewest_pieces_that_are_granted(void **state)
{
	static const uint64_t skews[] = { 0, GRANULE, ALIGNMENT / 2, ALIGNMENT - GRANULE };

	for (unsigned int pieces = 1; pieces <= QUIVER_APERTURE_PIECES; pieces *= 2) {
		for (size_t i = 0; i < sizeof(skews) / sizeof(skews[0]); i++) {
			begin();
			expect_pieces(pieces, skews[i], false);
			begin();
			expect_pieces(pieces, skews[i], true);
		}
	}
}

static void pieces_that_are_not_aligned_are_told(void **state)
{
	struct quiver_aperture *aperture = new_aperture();
	struct quiver_device *device = open_device();
	struct quiver_aperture_place place;

	dart.drift = GRANULE;
	dart.longest = LENGTH / 4 + ALIGNMENT;
	assert_int_equal(map_aperture(aperture, device, &place), 0);
	expect_place(aperture, 0, &place, 4, false);
	assert_int_equal(place.iova[0] % ALIGNMENT, 0);
	close_devices();
	quiver_aperture_free(aperture);
}

/* Whichever it is, what there was before it is not left behind. */
static void a_piece_that_is_refused_takes_the_others_with_it(void **state)
{
	for (unsigned int piece = 1; piece <= 3; piece++) {
		struct quiver_aperture *aperture = new_aperture();
		struct quiver_aperture_place place;
		struct quiver_device *device;

		begin();
		device = open_device();
		dart.longest = LENGTH / 4 + ALIGNMENT;
		dart.refused = 3 + piece;
		assert_int_equal(map_aperture(aperture, device, &place), 0);
		expect_place(aperture, 0, &place, 8, true);
		assert_int_equal(dart.unmaps, piece);
		close_devices();
		quiver_aperture_free(aperture);
	}
}

/* --- refusals --------------------------------------------------------------------------------- */

static void what_is_refused_in_pieces_as_well_is_EIO(void **state)
{
	struct quiver_aperture *aperture = new_aperture();
	struct quiver_device *device = open_device();
	struct quiver_aperture_place place;

	dart.longest = 0;
	assert_int_equal(map_aperture(aperture, device, &place), -EIO);
	assert_int_equal(dart.asked, 4);
	close_devices();
	quiver_aperture_free(aperture);
}

static void the_last_of_eight_pieces_may_be_the_one_that_is_refused(void **state)
{
	struct quiver_aperture *aperture = new_aperture();
	struct quiver_device *device = open_device();
	struct quiver_aperture_place place;

	dart.longest = LENGTH / 8 + ALIGNMENT;
	dart.refused = 3 + 8;
	assert_int_equal(map_aperture(aperture, device, &place), -EIO);
	assert_int_equal(dart.maps, 7);
	assert_int_equal(dart.count, 0);
	/* It may be had later. */
	dart.longest = UINT64_MAX;
	assert_int_equal(map_aperture(aperture, device, &place), 0);
	expect_place(aperture, 0, &place, 1, true);
	close_devices();
	quiver_aperture_free(aperture);
}

static void what_pieces_do_not_help_against_is_told_at_once(void **state)
{
	static const struct {
		uint32_t code;
		int error;
	} table[] = {
		{ QUIVER_DEXT_S_BYTES, -E2BIG }, { QUIVER_DEXT_S_MAPPINGS, -ENOSPC },
		{ QUIVER_DEXT_S_NOMEM, -EFAULT }, { QUIVER_DEXT_S_INVAL, -EINVAL },
	};
	struct quiver_aperture *aperture = new_aperture();
	struct quiver_device *device = open_device();
	struct quiver_aperture_place place;

	dart.longest = 0;
	for (unsigned int i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		dart.code = table[i].code;
		assert_int_equal(map_aperture(aperture, device, &place), table[i].error);
		assert_int_equal(dart.asked, i + 1);
	}
	assert_int_equal(dart.count, 0);
	close_devices();
	quiver_aperture_free(aperture);
}

/* Of pieces, and of a try for a better address. */
static void a_limit_that_is_met_on_the_way_leaves_nothing(void **state)
{
	struct quiver_aperture *aperture = new_aperture();
	struct quiver_device *device = open_device();
	struct quiver_aperture_place place;

	quiver_aperture_memory(aperture);
	dart.skew = GRANULE;
	dart.code = QUIVER_DEXT_S_BYTES;
	dart.longest = LENGTH;
	assert_int_equal(map_aperture(aperture, device, &place), -E2BIG);
	assert_int_equal(dart.asked, 2);
	assert_int_equal(dart.maps, 1);
	assert_int_equal(dart.unmaps, 1);
	assert_int_equal(dart.count, 0);
	close_devices();
	quiver_aperture_free(aperture);
}

static void a_device_that_is_gone_is_ENODEV(void **state)
{
	struct quiver_aperture *aperture = new_aperture();
	struct quiver_device *device = open_device();
	struct quiver_aperture_place place;

	fake.status[QUIVER_DEXT_DMA] = kIOReturnNoDevice;
	assert_int_equal(map_aperture(aperture, device, &place), -ENODEV);
	assert_int_equal(fake.calls[QUIVER_DEXT_DMA], 1);
	/* Between the first try, which is unmapped by then, and the second. */
	quiver_aperture_memory(aperture);
	fake.fail_call = 4;
	dart.skew = GRANULE;
	assert_int_equal(map_aperture(aperture, device, &place), -ENODEV);
	assert_int_equal(fake.calls[QUIVER_DEXT_DMA], 4);
	assert_int_equal(dart.count, 0);
	close_devices();
	quiver_aperture_free(aperture);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(lengths_are_multiples_of_eight_large_pages),
		TEST(memory_stays_where_it_is_once_it_is_asked_for),
		TEST(what_is_mapped_is_the_apertures_own),
		TEST(the_first_device_is_aligned_whatever_comes_back),
		TEST(memory_that_is_settled_is_aligned_by_lead),
		TEST(another_device_has_a_lead_of_its_own),
		TEST(addresses_that_are_never_right_are_not_tried_for_ever),
		TEST(it_comes_in_the_fewest_pieces_that_are_granted),
		TEST(pieces_that_are_not_aligned_are_told),
		TEST(a_piece_that_is_refused_takes_the_others_with_it),
		TEST(what_is_refused_in_pieces_as_well_is_EIO),
		TEST(the_last_of_eight_pieces_may_be_the_one_that_is_refused),
		TEST(what_pieces_do_not_help_against_is_told_at_once),
		TEST(a_limit_that_is_met_on_the_way_leaves_nothing),
		TEST(a_device_that_is_gone_is_ENODEV),
	};

	return cmocka_run_group_tests_name("host_aperture", tests, NULL, NULL);
}
