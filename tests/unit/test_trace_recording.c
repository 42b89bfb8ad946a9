// SPDX-License-Identifier: BSD-3-Clause
/* What quiver_trace.ko streams becomes a trace in which every map has its unmap. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/trace/recording.h"
#include "cli/trace/trace.h"
#include "quiver/trace_stream.h"

#define WORDS	4096
#define DEVICE	0x100

static char path[] = "/tmp/quiver-recording-XXXXXX";

struct stream {
	uint64_t words[WORDS];
	size_t count;
	uint64_t ns;
};

static void add_record(struct stream *stream, enum quiver_trace_kind kind, uint64_t dma_address,
		       uint64_t size, size_t segments)
{
	struct quiver_trace_record record = {
		.head = quiver_trace_head(kind, QUIVER_TRACE_RECORD_WORDS + 2 * segments),
		.ns = stream->ns += 1000, .device = DEVICE,
		.dma_address = dma_address, .size = size,
	};

	memcpy(stream->words + stream->count, &record, sizeof(record));
	stream->count += QUIVER_TRACE_RECORD_WORDS;
}

static void add_segment(struct stream *stream, uint64_t address, uint64_t length)
{
	stream->words[stream->count++] = address;
	stream->words[stream->count++] = length;
}

static void map(struct stream *stream, uint64_t dma_address, uint64_t address, uint64_t length)
{
	add_record(stream, QUIVER_TRACE_MAP, dma_address, length, 1);
	add_segment(stream, address, length);
}

static void unmap(struct stream *stream, uint64_t dma_address, uint64_t length)
{
	add_record(stream, QUIVER_TRACE_UNMAP, dma_address, length, 0);
}

/* As many segments of 0x1000 as there are addresses, the last of which is 0. */
static void map_list(struct stream *stream, uint64_t dma_address, const uint64_t *addresses)
{
	size_t count = 0;

	while (addresses[count])
		count++;
	add_record(stream, QUIVER_TRACE_MAP_SG, dma_address, count, count);
	for (size_t i = 0; i < count; i++)
		add_segment(stream, addresses[i], 0x1000);
}

static void unmap_list(struct stream *stream, uint64_t dma_address, size_t count)
{
	add_record(stream, QUIVER_TRACE_UNMAP_SG, dma_address, count, 0);
}

/* Feeds pieces of so many words. */
static int feed(struct quiver_recording *recording, const struct stream *stream, size_t piece)
{
	int error = 0;

	for (size_t at = 0; at < stream->count && !error; at += piece) {
		size_t left = stream->count - at;

		error = quiver_recording_feed(recording, stream->words + at,
					      left < piece ? left : piece);
	}
	return error;
}

static struct quiver_recording_counters record(const struct stream *stream, size_t piece)
{
	struct quiver_recording recording;

	assert_int_equal(quiver_recording_open(&recording, path), 0);
	assert_int_equal(feed(&recording, stream, piece), 0);
	assert_int_equal(quiver_recording_finish(&recording), 0);
	return recording.counters;
}

static void wrote(const char *wanted)
{
	char text[8192];
	FILE *file = fopen(path, "r");
	size_t size;

	assert_non_null(file);
	size = fread(text, 1, sizeof(text) - 1, file);
	text[size] = '\0';
	fclose(file);
	assert_string_equal(text, wanted);
}

static void test_the_four_kinds(void **state)
{
	static const uint64_t list[] = { 0x5000, 0x9000, 0x7000, 0 };
	struct stream stream = { .ns = 77777000 };
	struct quiver_recording_counters counters;

	map(&stream, 0xa0000000, 0x1000, 0x800);
	map_list(&stream, 0xb0000000, list);
	unmap(&stream, 0xa0000000, 0x800);
	unmap_list(&stream, 0xb0000000, 3);
	for (size_t piece = 1; piece <= stream.count; piece++) {
		counters = record(&stream, piece);
		wrote("0 m 1000 800\n1 M 5000+1000 9000+1000 7000+1000\n2 u 1000 800\n3 U 5000\n");
		assert_int_equal(counters.maps, 2);
		assert_int_equal(counters.segments, 4);
		assert_int_equal(counters.unmaps, 2);
		assert_int_equal(counters.unmaps_unknown, 0);
		assert_int_equal(counters.unmaps_at_end, 0);
	}
}

static void test_what_stays_is_unmapped_at_the_end(void **state)
{
	static const uint64_t list[] = { 0x5000, 0x9000, 0 };
	struct stream stream = { 0 };
	struct quiver_recording_counters counters;

	map_list(&stream, 0xb0000000, list);
	counters = record(&stream, 1000);
	wrote("0 M 5000+1000 9000+1000\n0 U 5000\n");
	assert_int_equal(counters.unmaps, 1);
	assert_int_equal(counters.unmaps_at_end, 1);
}

static void test_unmaps_from_before_are_counted(void **state)
{
	static const uint64_t list[] = { 0x5000, 0x9000, 0 };
	struct stream stream = { 0 };
	struct quiver_recording_counters counters;

	unmap(&stream, 0xa0000000, 0x800);
	map(&stream, 0xa0000000, 0x1000, 0x800);
	unmap(&stream, 0xa0000000, 0x900);		/* another length */
	unmap_list(&stream, 0xa0000000, 1);		/* another kind */
	unmap(&stream, 0xa0000000, 0x800);
	unmap(&stream, 0xa0000000, 0x800);		/* once too often */
	map_list(&stream, 0xb0000000, list);
	unmap_list(&stream, 0xb0000000, 3);		/* another list */
	unmap_list(&stream, 0xb0000000, 2);
	counters = record(&stream, 1000);
	wrote("1 m 1000 800\n4 u 1000 800\n6 M 5000+1000 9000+1000\n8 U 5000\n");
	assert_int_equal(counters.unmaps_unknown, 5);
	assert_int_equal(counters.unmaps_at_end, 0);
}

/* A unmap is recorded late: the address was given to another map by then. */
static void test_the_oldest_of_an_address_goes_first(void **state)
{
	struct stream stream = { 0 };

	map(&stream, 0xa0000000, 0x1000, 0x800);
	map(&stream, 0xa0000000, 0x9000, 0x800);
	unmap(&stream, 0xa0000000, 0x800);
	unmap(&stream, 0xa0000000, 0x800);
	record(&stream, 1000);
	wrote("0 m 1000 800\n1 m 9000 800\n2 u 1000 800\n3 u 9000 800\n");
}

static void test_devices_have_their_own_addresses(void **state)
{
	struct stream stream = { 0 };
	struct quiver_recording_counters counters;

	map(&stream, 0xa0000000, 0x1000, 0x800);
	unmap(&stream, 0xa0000000, 0x800);
	/* The device of the second record */
	stream.words[QUIVER_TRACE_RECORD_WORDS + 2 + 2]++;
	counters = record(&stream, 1000);
	assert_int_equal(counters.unmaps_unknown, 1);
	assert_int_equal(counters.unmaps_at_end, 1);
}

static void test_time_does_not_go_back(void **state)
{
	struct stream stream = { .ns = 5000000 };

	map(&stream, 0xa0000000, 0x1000, 0x800);
	stream.ns += 9000;
	map(&stream, 0xb0000000, 0x2000, 0x800);
	stream.ns -= 50000;
	map(&stream, 0xc0000000, 0x3000, 0x800);
	unmap(&stream, 0xa0000000, 0x800);
	unmap(&stream, 0xb0000000, 0x800);
	unmap(&stream, 0xc0000000, 0x800);
	record(&stream, 1000);
	wrote("0 m 1000 800\n10 m 2000 800\n10 m 3000 800\n"
	      "10 u 1000 800\n10 u 2000 800\n10 u 3000 800\n");
}

static void test_maps_of_nothing_are_left_out(void **state)
{
	struct stream stream = { 0 };
	struct quiver_recording_counters counters;

	map(&stream, 0xa0000000, 0x1000, 0);
	unmap(&stream, 0xa0000000, 0);
	add_record(&stream, QUIVER_TRACE_MAP_SG, 0xb0000000, 3, 3);
	add_segment(&stream, 0x5000, 0);
	add_segment(&stream, 0x6000, 0x1000);
	add_segment(&stream, 0x7000, 0);
	unmap_list(&stream, 0xb0000000, 3);
	counters = record(&stream, 1000);
	wrote("2 M 6000+1000\n3 U 6000\n");
	assert_int_equal(counters.empty, 1);
	assert_int_equal(counters.maps, 1);
	assert_int_equal(counters.segments, 1);
	assert_int_equal(counters.unmaps_unknown, 0);
}

static void refused(const struct stream *stream)
{
	struct quiver_recording recording;

	assert_int_equal(quiver_recording_open(&recording, path), 0);
	assert_int_equal(feed(&recording, stream, 1000), -EPROTO);
	quiver_recording_finish(&recording);
}

static void test_streams_that_make_no_sense(void **state)
{
	struct stream stream = { 0 };

	add_record(&stream, QUIVER_TRACE_UNMAP_SG + 1, 0, 0, 0);
	refused(&stream);
	stream.words[0] = 0;
	refused(&stream);
	stream.words[0] = quiver_trace_head(QUIVER_TRACE_UNMAP, QUIVER_TRACE_RECORD_WORDS - 1);
	refused(&stream);
	stream.words[0] = quiver_trace_head(QUIVER_TRACE_MAP, QUIVER_TRACE_RECORD_WORDS);
	refused(&stream);
	stream.words[0] = quiver_trace_head(QUIVER_TRACE_MAP_SG, QUIVER_TRACE_RECORD_WORDS + 1);
	refused(&stream);
	stream.words[0] = quiver_trace_head(QUIVER_TRACE_MAP_SG, QUIVER_TRACE_RING_MAX + 1);
	refused(&stream);

	stream = (struct stream){ 0 };
	map(&stream, 0xa0000000, UINT64_MAX, 2);
	refused(&stream);
}

static void test_a_stream_that_ends_in_a_record(void **state)
{
	struct stream stream = { 0 };
	struct quiver_recording recording;

	map(&stream, 0xa0000000, 0x1000, 0x800);
	map(&stream, 0xb0000000, 0x2000, 0x800);
	stream.count--;
	assert_int_equal(quiver_recording_open(&recording, path), 0);
	assert_int_equal(feed(&recording, &stream, 1000), 0);
	assert_int_equal(quiver_recording_finish(&recording), -EPROTO);
	wrote("0 m 1000 800\n0 u 1000 800\n");
}

static void test_files_that_cannot_be_written(void **state)
{
	struct stream stream = { 0 };
	struct quiver_recording recording;

	assert_int_equal(quiver_recording_open(&recording, "/nonexistent/x.gz"), -ENOENT);
	map(&stream, 0xa0000000, 0x1000, 0x800);
	assert_int_equal(quiver_recording_open(&recording, "/dev/full"), 0);
	assert_int_equal(feed(&recording, &stream, 1000), 0);
	assert_int_equal(quiver_recording_finish(&recording), -ENOSPC);
}

static int make_file(void **state)
{
	int file = mkstemp(path);

	return file < 0 || close(file);
}

static int remove_file(void **state)
{
	return unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_four_kinds),
		cmocka_unit_test(test_what_stays_is_unmapped_at_the_end),
		cmocka_unit_test(test_unmaps_from_before_are_counted),
		cmocka_unit_test(test_the_oldest_of_an_address_goes_first),
		cmocka_unit_test(test_devices_have_their_own_addresses),
		cmocka_unit_test(test_time_does_not_go_back),
		cmocka_unit_test(test_maps_of_nothing_are_left_out),
		cmocka_unit_test(test_streams_that_make_no_sense),
		cmocka_unit_test(test_a_stream_that_ends_in_a_record),
		cmocka_unit_test(test_files_that_cannot_be_written),
	};

	return cmocka_run_group_tests(tests, make_file, remove_file);
}
