// SPDX-License-Identifier: BSD-3-Clause
/* Traces are read as they are, and what is not a trace is refused with the line that is wrong. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#include "cli/trace/trace.h"

static char folder[] = "/tmp/quiver-trace-XXXXXX";
static char path[64];

static void write_bytes(const void *bytes, size_t size)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
}

static int load_text(const char *text, struct quiver_trace *trace, size_t *line)
{
	write_bytes(text, strlen(text));
	return quiver_trace_load(path, trace, line);
}

static void check_empty(const struct quiver_trace *trace)
{
	assert_null(trace->name);
	assert_null(trace->ops);
	assert_null(trace->segments);
	assert_int_equal(trace->op_count, 0);
	assert_int_equal(trace->segment_count, 0);
}

static void refused(const char *text, size_t wrong)
{
	struct quiver_trace trace;
	size_t line = 77;
	int error = load_text(text, &trace, &line);

	if (error != -EINVAL || line != wrong)
		fail_msg("error %d in line %zu of: %s", error, line, text);
	check_empty(&trace);
}

static void accepted(const char *text, size_t ops, size_t segments)
{
	struct quiver_trace trace;
	size_t line = 77;
	int error = load_text(text, &trace, &line);

	if (error || line)
		fail_msg("error %d in line %zu of: %s", error, line, text);
	assert_int_equal(trace.op_count, ops);
	assert_int_equal(trace.segment_count, segments);
	quiver_trace_free(&trace);
	check_empty(&trace);
}

static void check_op(const struct quiver_trace_op *op, const struct quiver_trace_op *wanted)
{
	assert_int_equal(op->us, wanted->us);
	assert_int_equal(op->map, wanted->map);
	assert_int_equal(op->list, wanted->list);
	assert_int_equal(op->first, wanted->first);
	assert_int_equal(op->count, wanted->count);
	assert_int_equal(op->mate, wanted->mate);
}

static void test_all_four_kinds(void **state)
{
	static const struct quiver_trace_op wanted[] = {
		{ 0, true, false, 0, 1, 3 },
		{ 7, true, true, 1, 2, 2 },
		{ 7, false, true, 1, 2, 1 },
		{ 18446744073709551, false, false, 0, 1, 0 },
	};
	struct quiver_trace trace;
	size_t line;

	assert_int_equal(load_text("# made up\n\n"
				   "0 m 1a915c000 1000\n"
				   "7 M 1a915c000+1000 FFFFFFFFFFFFF000+fff\n"
				   "7 U 1a915c000\n"
				   "18446744073709551 u 1a915c000 1000\n", &trace, &line), 0);
	assert_string_equal(trace.name, "some");
	assert_int_equal(trace.op_count, 4);
	assert_int_equal(trace.segment_count, 3);
	for (size_t i = 0; i < 4; i++)
		check_op(&trace.ops[i], &wanted[i]);
	assert_int_equal(trace.segments[0].address, 0x1a915c000);
	assert_int_equal(trace.segments[0].length, 0x1000);
	assert_int_equal(trace.segments[2].address, 0xfffffffffffff000);
	assert_int_equal(trace.segments[2].length, 0xfff);
	quiver_trace_free(&trace);
}

static void test_an_unmap_ends_the_latest(void **state)
{
	static const size_t mates[] = { 7, 6, SIZE_MAX, 4, 3, SIZE_MAX, 1, 0 };
	struct quiver_trace trace;
	size_t line;

	/* A range and a list of the same address are different things, as are two lengths. */
	assert_int_equal(load_text("0 m 1000 1000\n1 m 1000 1000\n2 m 1000 2000\n"
				   "3 M 1000+1000 9000+1000\n4 U 1000\n5 M 1000+1000\n"
				   "6 u 1000 1000\n7 u 1000 1000\n", &trace, &line), 0);
	assert_int_equal(trace.op_count, 8);
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(trace.ops[i].mate, mates[i]);
	quiver_trace_free(&trace);
}

static void test_maps_that_stay_have_no_mate(void **state)
{
	struct quiver_trace trace;
	size_t line;

	assert_int_equal(load_text("0 m 1000 1000\n0 m 1000 1000\n0 m 1000 1000\n0 u 1000 1000\n",
				   &trace, &line), 0);
	assert_int_equal(trace.ops[0].mate, SIZE_MAX);
	assert_int_equal(trace.ops[1].mate, SIZE_MAX);
	assert_int_equal(trace.ops[2].mate, 3);
	quiver_trace_free(&trace);
}

static void test_what_is_accepted(void **state)
{
	accepted("", 0, 0);
	accepted("#", 0, 0);
	accepted("\n\n# 0 m 1 1\n\n", 0, 0);
	accepted("0 m 1 1", 1, 1);
	accepted("5 m 1 1\n3 u 1 1\n", 2, 1);
	accepted("9999999999999999999 M ffffffffffffffff+1 0+ffffffffffffffff\n", 1, 2);
	accepted("00 m 0000000000001000 0000000000001000\n1 u 1000 1000", 2, 1);
}

static void test_words_that_are_wrong(void **state)
{
	refused("x", 1);
	refused("0\n", 1);
	refused("0 \n", 1);
	refused("0 m", 1);
	refused("0 m \n", 1);
	refused("0 m 1000\n", 1);
	refused("0 m 1000 \n", 1);
	refused("0 m 1000+1000\n", 1);
	refused("0 m 1000 1000 \n", 1);
	refused("0 m 1000 1000 2000 1000\n", 1);
	refused("0 m 0x1000 1000\n", 1);
	refused("0 m -1000 1000\n", 1);
	refused(" 0 m 1000 1000\n", 1);
	refused("0  m 1000 1000\n", 1);
	refused("0 m 1000 1000\r\n", 1);
	refused("a m 1000 1000\n", 1);
	refused("0 n 1000 1000\n", 1);
	refused("0 M\n", 1);
	refused("0 M 1000\n", 1);
	refused("0 M 1000 1000\n", 1);
	refused("0 M 1000+1000 \n", 1);
	refused("0 M 1000+1000  2000+1000\n", 1);
	refused("0 M 1000+1000 2000\n", 1);
	refused("0 m 1000 1000\n\n# here:\n0 U 1000+1000\n", 4);
	refused("0 m 1000 1000\n0 m 2000 1000\n# here:\ngarbage", 4);
}

static void test_numbers_that_are_wrong(void **state)
{
	refused("0 m 1000 0\n", 1);
	refused("0 M 1000+1000 2000+0\n", 1);
	refused("0 m ffffffffffffffff 2\n", 1);
	refused("0 M 1000+1000 fffffffffffff000+1001\n", 1);
	refused("0 m 10000000000000000 1000\n", 1);
	refused("0 m 1000 10000000000001000\n", 1);
	refused("99999999999999999999 m 1000 1000\n", 1);
	refused("00000000000000000000 m 1000 1000\n", 1);
}

static void test_unmaps_of_nothing(void **state)
{
	refused("0 u 1000 1000\n", 1);
	refused("0 U 1000\n", 1);
	refused("0 m 1000 1000\n0 u 1000 2000\n", 2);
	refused("0 m 1000 1000\n0 U 1000\n", 2);
	refused("0 M 1000+1000\n0 u 1000 1000\n", 2);
	refused("0 M 1000+1000\n0 u 1000 0\n", 2);
	refused("0 M 1000+1000 2000+1000\n0 U 2000\n", 2);
	refused("0 m 1000 1000\n0 u 1000 1000\n0 u 1000 1000\n", 3);
}

static void test_bytes_that_are_no_text(void **state)
{
	static const char bytes[] = "0 m 1000\0 1000\n";
	struct quiver_trace trace;
	size_t line;

	write_bytes(bytes, sizeof(bytes) - 1);
	assert_int_equal(quiver_trace_load(path, &trace, &line), -EINVAL);
	assert_int_equal(line, 1);
	check_empty(&trace);
}

/* --- gzip, and files as such ---------------------------------------------------------------- */

#define MAPS 20000u

static size_t write_gzip(void)
{
	gzFile file = gzopen(path, "w");
	struct stat stat_of;

	assert_non_null(file);
	for (unsigned int i = 0; i < MAPS; i++)
		gzprintf(file, "%u m %x 1000\n", i, (i * 2654435761u) & ~0xfffu);
	assert_int_equal(gzclose(file), Z_OK);
	assert_int_equal(stat(path, &stat_of), 0);
	return (size_t)stat_of.st_size;
}

static void test_gzip(void **state)
{
	struct quiver_trace trace;
	size_t line;

	write_gzip();
	assert_int_equal(quiver_trace_load(path, &trace, &line), 0);
	assert_int_equal(trace.op_count, MAPS);
	for (unsigned int i = 0; i < MAPS; i++)
		assert_int_equal(trace.segments[i].address, (i * 2654435761u) & ~0xfffu);
	quiver_trace_free(&trace);
}

static void test_gzip_cut_short(void **state)
{
	size_t size = write_gzip(), line;
	struct quiver_trace trace;

	/* In its checksum, in its data, in its header. */
	for (size_t keep = size - 1; keep > 1; keep = keep > 100 ? keep / 3 : keep - 1) {
		assert_int_equal(truncate(path, (off_t)keep), 0);
		assert_int_equal(quiver_trace_load(path, &trace, &line), -EIO);
		assert_int_equal(line, 0);
		check_empty(&trace);
	}
}

static void test_gzip_damaged(void **state)
{
	size_t size = write_gzip(), line;
	struct quiver_trace trace;
	FILE *file = fopen(path, "r+");
	int byte;

	/* The checksum's first byte */
	assert_non_null(file);
	assert_int_equal(fseek(file, (long)size - 8, SEEK_SET), 0);
	byte = fgetc(file);
	assert_int_equal(fseek(file, (long)size - 8, SEEK_SET), 0);
	fputc(byte ^ 1, file);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(quiver_trace_load(path, &trace, &line), -EIO);
	check_empty(&trace);
}

static void test_files_that_are_none(void **state)
{
	struct quiver_trace trace;
	size_t line = 77;

	assert_int_equal(quiver_trace_load("/nonexistent/x.trace.gz", &trace, &line), -ENOENT);
	assert_int_equal(line, 0);
	check_empty(&trace);
	assert_int_equal(quiver_trace_load(folder, &trace, &line), -EISDIR);
	check_empty(&trace);
}

static void check_name(const char *file, const char *wanted)
{
	char full[128];
	struct quiver_trace trace;
	size_t line;

	snprintf(full, sizeof(full), "%s/%s", folder, file);
	assert_int_equal(rename(path, full), 0);
	assert_int_equal(quiver_trace_load(full, &trace, &line), 0);
	assert_string_equal(trace.name, wanted);
	quiver_trace_free(&trace);
	assert_int_equal(rename(full, path), 0);
}

static void test_names(void **state)
{
	write_bytes("0 m 1 1\n", 8);
	check_name("llm.trace.gz", "llm");
	check_name("llm.trace", "llm");
	check_name("llm.gz", "llm");
	check_name("llm", "llm");
	check_name("llm.trace.1", "llm.trace.1");
	check_name(".gz", ".gz");
}

static int make_folder(void **state)
{
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/some.trace.gz", folder);
	return 0;
}

static int remove_folder(void **state)
{
	unlink(path);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_four_kinds),
		cmocka_unit_test(test_an_unmap_ends_the_latest),
		cmocka_unit_test(test_maps_that_stay_have_no_mate),
		cmocka_unit_test(test_what_is_accepted),
		cmocka_unit_test(test_words_that_are_wrong),
		cmocka_unit_test(test_numbers_that_are_wrong),
		cmocka_unit_test(test_unmaps_of_nothing),
		cmocka_unit_test(test_bytes_that_are_no_text),
		cmocka_unit_test(test_gzip),
		cmocka_unit_test(test_gzip_cut_short),
		cmocka_unit_test(test_gzip_damaged),
		cmocka_unit_test(test_files_that_are_none),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
