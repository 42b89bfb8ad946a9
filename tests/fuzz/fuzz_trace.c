// SPDX-License-Identifier: BSD-3-Clause
/*
 * Trace files, plain and gzip: read, judged, replayed and drawn. An input is a
 * file; one that begins with the byte 1 makes a stream of quiver_trace.ko, and what
 * is recorded of it must be a trace.
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "cli.h"
#include "cli/trace/plot.h"
#include "cli/trace/recording.h"
#include "cli/trace/replay.h"
#include "cli/trace/stats.h"
#include "fuzz.h"
#include "process.h"
#include "quiver/trace_stream.h"

/* Enough for some windows to be refused, and for each input to be short. */
#define LIMIT_BYTES	(4ull << 20)
#define LIMIT_MAPPINGS	40
#define RECORD_WORDS	64

struct file {
	int fd;
	char path[64];
};

static struct file file_new(const void *bytes, size_t size)
{
	struct file file = { .fd = memfd_create("trace", MFD_CLOEXEC) };

	fuzz_require(file.fd >= 0 && write(file.fd, bytes, size) == (ssize_t)size);
	snprintf(file.path, sizeof(file.path), "/proc/self/fd/%d", file.fd);
	return file;
}

static void file_end(struct file *file)
{
	close(file->fd);
}

/* Nothing here fails. */
void quiver_error(const char *format, ...)
{
	fprintf(stderr, "%s\n", format);
	abort();
}

/* --- drawing, with what stands in for gnuplot --------------------------------------------------- */

static void check_line(const char *line)
{
	bool quoted = false;

	for (; *line; line++) {
		quoted ^= *line == '\'';
		fuzz_require((unsigned char)*line >= ' ' || *line == '\n');
	}
	/* A text that ends too early would be commands. */
	fuzz_require(!quoted);
}

int quiver_child_start(struct quiver_child *child, char *const argv[],
		       const struct quiver_child_setup *setup)
{
	FILE *script = fdopen(dup(setup->in), "r");
	char *line = NULL;
	size_t room = 0;

	fuzz_require(script);
	while (getline(&line, &room, script) >= 0)
		check_line(line);
	free(line);
	fclose(script);
	*child = (struct quiver_child){ 0 };
	return write(setup->out, "", 1) == 1 ? 0 : -EIO;
}

void quiver_child_finish(struct quiver_child *child, unsigned int seconds)
{
}

const char *quiver_child_describe(const struct quiver_child *child)
{
	return "";
}

static void draw(const struct quiver_trace *trace, const struct quiver_replay_result *result)
{
	const struct quiver_plot_series series[] = {
		{ trace->name, result->samples, result->sample_count },
		{ "", result->samples, result->sample_count },
	};
	const struct quiver_plot plot = { trace->name, LIMIT_BYTES, LIMIT_MAPPINGS, series, 2 };
	char path[] = "/tmp/quiver-fuzz-XXXXXX";
	int fd = mkstemp(path);

	fuzz_require(fd >= 0);
	close(fd);
	fuzz_require(quiver_plot_svg(path, &plot) == QUIVER_EXIT_OK);
	unlink(path);
}

/* --- what is made of a trace -------------------------------------------------------------------- */

static void check_op(const struct quiver_trace *trace, size_t i)
{
	const struct quiver_trace_op *op = &trace->ops[i], *mate;

	fuzz_require(op->count && op->first < trace->segment_count &&
		     op->count <= trace->segment_count - op->first);
	fuzz_require(op->list || op->count == 1);
	if (op->mate == SIZE_MAX) {
		fuzz_require(op->map);
		return;
	}
	fuzz_require(op->mate < trace->op_count);
	mate = &trace->ops[op->mate];
	fuzz_require(mate->mate == i && mate->map != op->map && mate->list == op->list);
	fuzz_require(mate->first == op->first && mate->count == op->count);
	fuzz_require(op->map == (i < op->mate));
}

static void check_trace(const struct quiver_trace *trace)
{
	for (size_t i = 0; i < trace->op_count; i++)
		check_op(trace, i);
	for (size_t i = 0; i < trace->segment_count; i++)
		fuzz_require(trace->segments[i].length &&
			     trace->segments[i].length - 1 <= UINT64_MAX - trace->segments[i].address);
}

static void check_curve(const struct quiver_stats *stats, size_t limit)
{
	size_t count;
	struct quiver_stats_point *curve = quiver_stats_curve(stats, limit, &count);

	fuzz_require(!curve || (count && count <= limit));
	free(curve);
}

static void judge(const struct quiver_trace *trace)
{
	struct quiver_stats stats;
	int error = quiver_stats_compute(trace, &stats);

	fuzz_require(!error || error == -ERANGE);
	if (error)
		return;
	fuzz_require(stats.maps + stats.unmaps == trace->op_count);
	fuzz_require(stats.point_count == trace->op_count);
	fuzz_require(stats.segments == trace->segment_count);
	fuzz_require(stats.peak.bytes <= stats.bytes);
	for (size_t i = 0; i < QUIVER_STATS_BLOCKS; i++) {
		double density = quiver_stats_density(&stats, i);

		fuzz_require(stats.blocks[i].shared_peak <= stats.blocks[i].blocks_peak);
		fuzz_require(stats.blocks[i].shared_uses <= stats.blocks[i].uses);
		fuzz_require(density >= 0);
	}
	check_curve(&stats, 1);
	check_curve(&stats, 7);
	quiver_stats_free(&stats);
}

/* Drawing takes files, so only some traces are drawn. */
static void replay(const struct quiver_trace *trace, const struct quiver_policy *policy, bool strict,
		   bool drawn)
{
	const struct quiver_replay_config config = { policy, LIMIT_BYTES, LIMIT_MAPPINGS, strict };
	struct quiver_replay *replay = quiver_replay_new(&config, drawn);
	struct quiver_replay_result result;

	fuzz_require(replay);
	quiver_replay_run(replay, trace);
	result = quiver_replay_result(replay);
	fuzz_require(result.peak_bytes <= LIMIT_BYTES && result.peak_mappings <= LIMIT_MAPPINGS);
	fuzz_require(result.unmap_calls <= result.map_calls);
	fuzz_require(result.failed_segments <= result.segments);
	fuzz_require(result.peak_live_bytes <= result.peak_bytes);
	if (drawn && result.sample_count)
		draw(trace, &result);
	quiver_replay_free(replay);
}

static void use(const struct quiver_trace *trace)
{
	static const struct quiver_policy *const policies[] = {
		&quiver_policy_planner, &quiver_policy_fixed256k, &quiver_policy_pages,
	};
	size_t choice = trace->op_count + trace->segment_count;

	check_trace(trace);
	judge(trace);
	/* A space has large tables: one of them for each input. */
	if (trace->op_count)
		replay(trace, policies[choice % 3], choice & 1, choice % 8 == 1);
}

static int load(const char *path, struct quiver_trace *trace)
{
	size_t line;
	int error = quiver_trace_load(path, trace, &line);

	fuzz_require(!error || error == -EINVAL || error == -EIO);
	fuzz_require((error == -EINVAL) == (line != 0));
	return error;
}

/* --- files ---------------------------------------------------------------------------------------- */

static struct file file_compress(const uint8_t *data, size_t size)
{
	struct file file = file_new("", 0);
	gzFile gz = gzopen(file.path, "wb1");

	fuzz_require(gz && gzwrite(gz, data, (unsigned int)size) == (int)size);
	fuzz_require(gzclose(gz) == Z_OK);
	return file;
}

static bool is_gzip(const uint8_t *data, size_t size)
{
	return size >= 2 && data[0] == 0x1f && data[1] == 0x8b;
}

/* The same text as gzip is the same trace. */
static void compare_compressed(const uint8_t *data, size_t size, int error,
			       const struct quiver_trace *trace)
{
	struct file file = file_compress(data, size);
	struct quiver_trace again;

	fuzz_require(load(file.path, &again) == error);
	fuzz_require(again.op_count == trace->op_count);
	fuzz_require(again.segment_count == trace->segment_count);
	if (trace->segment_count)
		fuzz_require(!memcmp(again.segments, trace->segments,
				     trace->segment_count * sizeof(*trace->segments)));
	quiver_trace_free(&again);
	file_end(&file);
}

static void read_file(const uint8_t *data, size_t size)
{
	struct file file = file_new(data, size);
	struct quiver_trace trace;
	int error = load(file.path, &trace);

	if (!error)
		use(&trace);
	if (size % 4 == 1 && !is_gzip(data, size))
		compare_compressed(data, size, error, &trace);
	quiver_trace_free(&trace);
	file_end(&file);
}

/* --- recordings ----------------------------------------------------------------------------------- */

/* Mostly a record of the module's; the last bytes of an input are one cut short. */
static size_t some_record(struct fuzz_bytes *bytes, uint64_t *word)
{
	unsigned int kind = 1 + fuzz_below(bytes, 5), segments = 0;

	if (kind == QUIVER_TRACE_MAP)
		segments = 1;
	else if (kind == QUIVER_TRACE_MAP_SG)
		segments = fuzz_below(bytes, 6);
	else if (kind > QUIVER_TRACE_UNMAP_SG)
		return fuzz_copy(bytes, word, 8) ? 1 : 0;
	word[0] = quiver_trace_head(kind, QUIVER_TRACE_RECORD_WORDS + 2 * segments);
	word[1] = fuzz_bits(bytes, 2) << 12;
	word[2] = fuzz_below(bytes, 2);
	word[3] = fuzz_below(bytes, 4) << 12;
	word[4] = fuzz_below(bytes, 4);
	for (unsigned int i = 0; i < segments; i++) {
		word[QUIVER_TRACE_RECORD_WORDS + 2 * i] = fuzz_number(bytes);
		word[QUIVER_TRACE_RECORD_WORDS + 2 * i + 1] = fuzz_number(bytes);
	}
	return QUIVER_TRACE_RECORD_WORDS + 2 * segments;
}

/* In two halves, as a read may end anywhere. */
static int feed(struct quiver_recording *recording, const uint64_t *word, size_t count, size_t cut)
{
	int error = quiver_recording_feed(recording, word, cut);

	return error ? error : quiver_recording_feed(recording, word + cut, count - cut);
}

static void record(struct fuzz_bytes *bytes)
{
	struct file file = file_new("", 0);
	struct quiver_recording recording;
	struct quiver_trace trace;
	int error = 0, end;

	fuzz_require(!quiver_recording_open(&recording, file.path));
	while (bytes->left && !error) {
		uint64_t word[RECORD_WORDS] = { 0 };
		size_t cut = fuzz_below(bytes, 4), count = some_record(bytes, word);

		error = feed(&recording, word, count, cut < count ? cut : count);
		fuzz_require(!error || error == -EPROTO);
	}
	end = quiver_recording_finish(&recording);
	fuzz_require(!end || end == -EPROTO);
	/* Whatever came, what was taken is a trace whose maps are all undone. */
	fuzz_require(!load(file.path, &trace));
	fuzz_require(recording.counters.maps == recording.counters.unmaps);
	fuzz_require(trace.op_count == recording.counters.maps + recording.counters.unmaps);
	use(&trace);
	quiver_trace_free(&trace);
	file_end(&file);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_bytes bytes = { data, size };

	if (size && *data == 1) {
		fuzz_bits(&bytes, 1);
		record(&bytes);
	} else {
		read_file(data, size);
	}
	return 0;
}
