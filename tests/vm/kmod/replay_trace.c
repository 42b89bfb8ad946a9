// SPDX-License-Identifier: GPL-2.0-only
/*
 * The file, all little-endian: a header, then for each operation its head and
 * that many segments. It comes from this tree's own build, and is still checked:
 * a truncated one must not pass for a short trace.
 */
#include <linux/kernel_read_file.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "replay.h"

#define MAGIC		0x3165636172547651ull	/* "QvTrace1" */
#define FILE_MAX	SZ_64M

struct file_header {
	__le64 magic;
	__le64 ram;
	__le64 segments;
	__le32 ops;
	__le32 maps;
};

struct file_op {
	__le32 kind;
	__le32 map;
	__le32 count;
	__le32 reserved;
};

struct trace {
	u8 *data, *at, *end;
	u32 ops_left;
	struct quiver_range segment[];
};

/* NULL: there is not as much. */
static const void *take(struct trace *trace, size_t size)
{
	const void *at = trace->at;

	if (trace->end - trace->at < size)
		return NULL;
	trace->at += size;
	return at;
}

static void take_segments(struct trace *trace, struct quiver_sequence_op *op)
{
	const __le64 *word;
	u32 i;

	for (i = 0; i < op->count; i++) {
		word = take(trace, 2 * sizeof(*word));
		if (!word) {
			op->count = 0;
			return;
		}
		trace->segment[i].start = le64_to_cpu(word[0]);
		trace->segment[i].length = le64_to_cpu(word[1]);
	}
	op->segment = trace->segment;
}

/* An op that makes no sense is refused by replay_run(), and that ends it. */
static bool trace_next(void *context, struct quiver_sequence_op *op)
{
	struct trace *trace = context;
	const struct file_op *head;

	*op = (struct quiver_sequence_op){ .map = U32_MAX };
	if (!trace->ops_left)
		return false;
	trace->ops_left--;
	head = take(trace, sizeof(*head));
	if (!head)
		return true;
	op->kind = le32_to_cpu(head->kind);
	op->map = le32_to_cpu(head->map);
	op->count = le32_to_cpu(head->count);
	if (op->kind > QUIVER_SEQUENCE_UNMAP || op->count > QUIVER_SEQUENCE_SEGMENTS)
		op->map = U32_MAX;
	else
		take_segments(trace, op);
	return true;
}

static int read_header(struct trace *trace, struct replay_source *source)
{
	const struct file_header *header = take(trace, sizeof(*header));

	if (!header || le64_to_cpu(header->magic) != MAGIC || !header->ops || !header->maps ||
	    !header->segments)
		return -EINVAL;
	trace->ops_left = le32_to_cpu(header->ops);
	source->context = trace;
	source->next = trace_next;
	source->ram = le64_to_cpu(header->ram);
	source->maps = le32_to_cpu(header->maps);
	source->segments = le64_to_cpu(header->segments);
	return 0;
}

int replay_trace_open(struct replay_source *source, const char *path)
{
	struct trace *trace = kvzalloc(struct_size(trace, segment, QUIVER_SEQUENCE_SEGMENTS),
				       GFP_KERNEL);
	void *data = NULL;
	ssize_t size;
	int error;

	if (!trace)
		return -ENOMEM;
	/* Of the kinds that there are, the one that is data from outside. */
	size = kernel_read_file_from_path(path, 0, &data, FILE_MAX, NULL,
					  READING_FIRMWARE);
	if (size < 0) {
		error = size;
		goto free;
	}
	trace->data = data;
	trace->at = data;
	trace->end = trace->data + size;
	error = read_header(trace, source);
	if (!error)
		return 0;
	vfree(data);
free:
	kvfree(trace);
	return error;
}

void replay_trace_close(struct replay_source *source)
{
	struct trace *trace = source->context;

	vfree(trace->data);
	kvfree(trace);
}
