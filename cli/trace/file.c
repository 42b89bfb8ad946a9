// SPDX-License-Identifier: BSD-3-Clause
/* Reading a trace: one pass over the text, and a table of what is mapped at that point of it. */
#include "trace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "core/range.h"

/* Out of memory is an error to report, not a reason to exit: see live_add(). */
#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(element) ((void)(element), failed = true)
#include <uthash.h>

/* As many digits as never overflow 64 bits. */
#define DECIMAL_DIGITS	19
#define HEX_DIGITS	16

#define BLOCK		(1u << 16)	/* bytes that are inflated at once */
#define END		(-1)

struct reader {
	gzFile file;
	unsigned char block[BLOCK];
	size_t at, end;
	size_t line;		/* the current one, from 1 */
	int error;
};

/* The latest map of a range or scatterlist; those before it hang on their mate. */
struct live {
	struct live_key {
		uint64_t address;
		uint64_t length;	/* 0: a scatterlist */
	} key;
	size_t latest;
	UT_hash_handle hh;
};

struct loader {
	struct reader reader;
	struct quiver_trace *trace;
	size_t op_room, segment_room;
	struct live *live;
};

/* --- bytes and words ------------------------------------------------------------------------ */

static int reader_error(gzFile file)
{
	int code;

	gzerror(file, &code);
	switch (code) {
	case Z_OK:
		return 0;
	case Z_ERRNO:
		return errno ? -errno : -EIO;
	case Z_MEM_ERROR:
		return -ENOMEM;
	default:
		return -EIO;	/* damaged, or it ends too early */
	}
}

/* zlib gives what it could inflate before it says that the rest is missing. */
static bool refill(struct reader *reader)
{
	int got;

	if (reader->error)
		return false;
	errno = 0;
	got = gzread(reader->file, reader->block, BLOCK);
	reader->at = 0;
	reader->end = got > 0 ? (size_t)got : 0;
	if (got < (int)BLOCK)
		reader->error = reader_error(reader->file);
	return got > 0;
}

static int peek(struct reader *reader)
{
	if (reader->at == reader->end && !refill(reader))
		return END;
	return reader->block[reader->at];
}

static bool accept(struct reader *reader, char byte)
{
	if (peek(reader) != byte)
		return false;
	reader->at++;
	return true;
}

static int digit(int byte)
{
	if (byte >= '0' && byte <= '9')
		return byte - '0';
	if (byte >= 'a' && byte <= 'f')
		return byte - 'a' + 10;
	if (byte >= 'A' && byte <= 'F')
		return byte - 'A' + 10;
	return 16;
}

static bool number(struct reader *reader, int base, unsigned int digits_max, uint64_t *value)
{
	unsigned int digits = 0;
	int next;

	*value = 0;
	for (; (next = digit(peek(reader))) < base; reader->at++) {
		if (++digits > digits_max)
			return false;
		*value = *value * (uint64_t)base + (uint64_t)next;
	}
	return digits;
}

static bool hex(struct reader *reader, uint64_t *value)
{
	return number(reader, 16, HEX_DIGITS, value);
}

static bool end_of_line(struct reader *reader)
{
	return peek(reader) == END || accept(reader, '\n');
}

static void skip_comment(struct reader *reader)
{
	while (!end_of_line(reader))
		reader->at++;
}

/* --- what is found -------------------------------------------------------------------------- */

static bool grow(void **array, size_t *room, size_t count, size_t size)
{
	size_t wanted = *room ? *room * 2 : 1024;
	void *grown;

	if (count < *room)
		return true;
	grown = wanted > SIZE_MAX / size ? NULL : realloc(*array, wanted * size);
	if (!grown)
		return false;
	*array = grown;
	*room = wanted;
	return true;
}

static int add_segment(struct loader *loader, uint64_t address, uint64_t length)
{
	struct quiver_trace *trace = loader->trace;

	if (!quiver_range_valid(address, length))
		return -EINVAL;
	if (!grow((void **)&trace->segments, &loader->segment_room, trace->segment_count,
		  sizeof(*trace->segments)))
		return -ENOMEM;
	trace->segments[trace->segment_count++] = (struct quiver_trace_segment){ address, length };
	return 0;
}

static int add_op(struct loader *loader, const struct quiver_trace_op *op)
{
	struct quiver_trace *trace = loader->trace;

	if (!grow((void **)&trace->ops, &loader->op_room, trace->op_count, sizeof(*trace->ops)))
		return -ENOMEM;
	trace->ops[trace->op_count++] = *op;
	return 0;
}

static struct live *live_find(struct loader *loader, const struct live_key *key)
{
	struct live *live;

	HASH_FIND(hh, loader->live, key, sizeof(*key), live);
	return live;
}

static int live_add(struct loader *loader, const struct live_key *key, size_t op)
{
	struct live *live = live_find(loader, key);
	bool failed = false;

	loader->trace->ops[op].mate = live ? live->latest : SIZE_MAX;
	if (live) {
		live->latest = op;
		return 0;
	}
	live = calloc(1, sizeof(*live));
	if (!live)
		return -ENOMEM;
	live->key = *key;
	live->latest = op;
	HASH_ADD(hh, loader->live, key, sizeof(live->key), live);
	if (failed)
		free(live);
	return failed ? -ENOMEM : 0;
}

/* The op that is unmapped, or SIZE_MAX. */
static size_t live_remove(struct loader *loader, const struct live_key *key)
{
	struct live *live = live_find(loader, key);
	size_t op;

	if (!live)
		return SIZE_MAX;
	op = live->latest;
	live->latest = loader->trace->ops[op].mate;
	if (live->latest == SIZE_MAX) {
		HASH_DEL(loader->live, live);
		free(live);
	}
	return op;
}

/* What is left has no mate, though others of its kind may hang on it. */
static void live_end(struct loader *loader)
{
	struct quiver_trace_op *ops = loader->trace->ops;
	struct live *live, *next;

	HASH_ITER(hh, loader->live, live, next) {
		for (size_t op = live->latest, before; op != SIZE_MAX; op = before) {
			before = ops[op].mate;
			ops[op].mate = SIZE_MAX;
		}
		HASH_DEL(loader->live, live);
		free(live);
	}
}

/* --- lines ---------------------------------------------------------------------------------- */

static int add_map(struct loader *loader, struct quiver_trace_op *op)
{
	const struct quiver_trace *trace = loader->trace;
	const struct quiver_trace_segment *first = &trace->segments[op->first];
	struct live_key key = { first->address, op->list ? 0 : first->length };
	int error;

	op->map = true;
	op->count = trace->segment_count - op->first;
	error = add_op(loader, op);
	return error ? error : live_add(loader, &key, trace->op_count - 1);
}

static int add_unmap(struct loader *loader, struct quiver_trace_op *op, const struct live_key *key)
{
	struct quiver_trace *trace = loader->trace;
	int error;

	op->mate = live_remove(loader, key);
	if (op->mate == SIZE_MAX)
		return -EINVAL;
	op->first = trace->ops[op->mate].first;
	op->count = trace->ops[op->mate].count;
	trace->ops[op->mate].mate = trace->op_count;
	error = add_op(loader, op);
	/* Without its unmap it has no mate. */
	if (error)
		trace->ops[op->mate].mate = SIZE_MAX;
	return error;
}

static int read_map(struct loader *loader, struct quiver_trace_op *op)
{
	struct reader *reader = &loader->reader;
	uint64_t address, length;
	int error;

	op->first = loader->trace->segment_count;
	do {
		if (!hex(reader, &address) || !accept(reader, op->list ? '+' : ' ') ||
		    !hex(reader, &length))
			return -EINVAL;
		error = add_segment(loader, address, length);
		if (error)
			return error;
	} while (op->list && accept(reader, ' '));
	return end_of_line(reader) ? add_map(loader, op) : -EINVAL;
}

static int read_unmap(struct loader *loader, struct quiver_trace_op *op)
{
	struct reader *reader = &loader->reader;
	struct live_key key = { 0 };

	if (!hex(reader, &key.address))
		return -EINVAL;
	/* A length of 0 would name a scatterlist. */
	if (!op->list && (!accept(reader, ' ') || !hex(reader, &key.length) || !key.length))
		return -EINVAL;
	return end_of_line(reader) ? add_unmap(loader, op, &key) : -EINVAL;
}

static int read_op(struct loader *loader)
{
	struct reader *reader = &loader->reader;
	struct quiver_trace_op op = { 0 };
	int kind;

	if (!number(reader, 10, DECIMAL_DIGITS, &op.us) || !accept(reader, ' '))
		return -EINVAL;
	kind = peek(reader);
	if (kind == END)
		return -EINVAL;
	reader->at++;
	op.list = kind == 'M' || kind == 'U';
	if (!accept(reader, ' '))
		return -EINVAL;
	if (kind == 'm' || kind == 'M')
		return read_map(loader, &op);
	return kind == 'u' || kind == 'U' ? read_unmap(loader, &op) : -EINVAL;
}

static int read_lines(struct loader *loader)
{
	struct reader *reader = &loader->reader;
	int error = 0, next;

	for (reader->line = 1; !error && (next = peek(reader)) != END; reader->line++) {
		if (next == '#')
			skip_comment(reader);
		else if (next != '\n')
			error = read_op(loader);
		else
			reader->at++;
	}
	/* A line that is wrong because the file ends in it is not what is wrong. */
	if (reader->error)
		return reader->error;
	if (error)
		reader->line--;
	return error;
}

/* --- files ---------------------------------------------------------------------------------- */

static void cut_suffix(char *name, const char *suffix)
{
	size_t length = strlen(name), cut = strlen(suffix);

	if (length > cut && !strcmp(name + length - cut, suffix))
		name[length - cut] = '\0';
}

static char *trace_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *name = strdup(slash ? slash + 1 : path);

	if (name) {
		cut_suffix(name, ".gz");
		cut_suffix(name, ".trace");
	}
	return name;
}

static int load(struct loader *loader, const char *path)
{
	int error;

	errno = 0;
	loader->reader.file = gzopen(path, "rbe");
	if (!loader->reader.file)
		return errno ? -errno : -ENOMEM;
	loader->trace->name = trace_name(path);
	error = loader->trace->name ? read_lines(loader) : -ENOMEM;
	live_end(loader);
	gzclose_r(loader->reader.file);
	return error;
}

int quiver_trace_load(const char *path, struct quiver_trace *trace, size_t *line)
{
	struct loader *loader = calloc(1, sizeof(*loader));
	int error = -ENOMEM;

	*trace = (struct quiver_trace){ 0 };
	*line = 0;
	if (!loader)
		return error;
	loader->trace = trace;
	error = load(loader, path);
	if (error == -EINVAL)
		*line = loader->reader.line;
	if (error)
		quiver_trace_free(trace);
	free(loader);
	return error;
}

void quiver_trace_free(struct quiver_trace *trace)
{
	free(trace->name);
	free(trace->ops);
	free(trace->segments);
	*trace = (struct quiver_trace){ 0 };
}
