// SPDX-License-Identifier: BSD-3-Clause
#include "recording.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "quiver/trace_stream.h"

/* Out of memory is an error to report, not a reason to exit: see find_or_add(). */
#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(element) ((void)(element), failed = true)
#include <uthash.h>

/* What a map was written as. */
struct mapping {
	STAILQ_ENTRY(mapping) entry;
	uint64_t address;
	uint64_t length;		/* 0: it was not written */
};

/*
 * The maps that have one DMA address. Of those that cannot be told apart the
 * oldest is unmapped first: an unmap is recorded when it is done, by when its
 * address may have been given to another map.
 */
struct quiver_recording_live {
	struct live_key {
		uint64_t device, dma_address, size, list;
	} key;
	STAILQ_HEAD(, mapping) mappings;
	UT_hash_handle hh;
};

/* --- writing -------------------------------------------------------------------------------- */

static int write_error(gzFile file)
{
	int code;

	gzerror(file, &code);
	if (code == Z_ERRNO && errno)
		return -errno;
	return code == Z_MEM_ERROR ? -ENOMEM : -EIO;
}

static int put(struct quiver_recording *recording, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static int put(struct quiver_recording *recording, const char *format, ...)
{
	va_list args;
	int written;

	errno = 0;
	va_start(args, format);
	written = gzvprintf(recording->file, format, args);
	va_end(args);
	return written > 0 ? 0 : write_error(recording->file);
}

static int put_list(struct quiver_recording *recording, const uint64_t *segments, size_t count)
{
	int error = put(recording, "%" PRIu64 " M", recording->us);

	for (size_t i = 0; i < count && !error; i++)
		if (segments[2 * i + 1])
			error = put(recording, " %" PRIx64 "+%" PRIx64, segments[2 * i],
				    segments[2 * i + 1]);
	return error ? error : put(recording, "\n");
}

static int put_unmap(struct quiver_recording *recording, const struct mapping *mapping, bool list)
{
	recording->counters.unmaps++;
	if (list)
		return put(recording, "%" PRIu64 " U %" PRIx64 "\n", recording->us,
			   mapping->address);
	return put(recording, "%" PRIu64 " u %" PRIx64 " %" PRIx64 "\n", recording->us,
		   mapping->address, mapping->length);
}

/* --- what is mapped ------------------------------------------------------------------------- */

static struct live_key key_of(const struct quiver_trace_record *record, bool list)
{
	return (struct live_key){ record->device, record->dma_address, record->size, list };
}

static struct quiver_recording_live *find(struct quiver_recording *recording,
					  const struct live_key *key)
{
	struct quiver_recording_live *live;

	HASH_FIND(hh, recording->live, key, sizeof(*key), live);
	return live;
}

static struct quiver_recording_live *find_or_add(struct quiver_recording *recording,
						 const struct live_key *key)
{
	struct quiver_recording_live *live = find(recording, key);
	bool failed = false;

	if (live)
		return live;
	live = calloc(1, sizeof(*live));
	if (!live)
		return NULL;
	live->key = *key;
	STAILQ_INIT(&live->mappings);
	HASH_ADD(hh, recording->live, key, sizeof(live->key), live);
	if (!failed)
		return live;
	free(live);
	return NULL;
}

static void remove_live(struct quiver_recording *recording, struct quiver_recording_live *live)
{
	HASH_DEL(recording->live, live);
	free(live);
}

static int remember(struct quiver_recording *recording, const struct live_key *key,
		    uint64_t address, uint64_t length)
{
	struct quiver_recording_live *live = find_or_add(recording, key);
	struct mapping *mapping = calloc(1, sizeof(*mapping));

	/* An entry without mappings is of no harm. */
	if (!live || !mapping) {
		free(mapping);
		return -ENOMEM;
	}
	mapping->address = address;
	mapping->length = length;
	STAILQ_INSERT_TAIL(&live->mappings, mapping, entry);
	return 0;
}

/* --- records -------------------------------------------------------------------------------- */

/* Clocks of several processors may differ a little; the order of the records is right. */
static void set_time(struct quiver_recording *recording, uint64_t ns)
{
	uint64_t us;

	if (!recording->first_ns)
		recording->first_ns = ns;
	us = ns > recording->first_ns ? (ns - recording->first_ns) / 1000 : 0;
	recording->us = us > recording->us ? us : recording->us;
}

static int take_map(struct quiver_recording *recording, const struct quiver_trace_record *record,
		    bool list, const uint64_t *segments, size_t count)
{
	struct live_key key = key_of(record, list);
	size_t first = 0, used = 0;
	int error;

	for (size_t i = count; i--;) {
		used += segments[2 * i + 1] != 0;
		first = segments[2 * i + 1] ? i : first;
	}
	recording->counters.maps += used > 0;
	recording->counters.segments += used;
	recording->counters.empty += !used;
	error = remember(recording, &key, segments[2 * first], segments[2 * first + 1]);
	if (error || !used)
		return error;
	if (list)
		return put_list(recording, segments, count);
	return put(recording, "%" PRIu64 " m %" PRIx64 " %" PRIx64 "\n", recording->us,
		   segments[0], segments[1]);
}

static int take_unmap(struct quiver_recording *recording, const struct quiver_trace_record *record,
		      bool list)
{
	struct live_key key = key_of(record, list);
	struct quiver_recording_live *live = find(recording, &key);
	struct mapping *mapping = live ? STAILQ_FIRST(&live->mappings) : NULL;
	int error = 0;

	if (!mapping) {
		recording->counters.unmaps_unknown++;
		return 0;
	}
	STAILQ_REMOVE_HEAD(&live->mappings, entry);
	if (mapping->length)
		error = put_unmap(recording, mapping, list);
	free(mapping);
	if (STAILQ_EMPTY(&live->mappings))
		remove_live(recording, live);
	return error;
}

/* A map of no segment, or of one that wraps, is none that a kernel made. */
static bool segments_valid(const uint64_t *segments, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (segments[2 * i] > UINT64_MAX - segments[2 * i + 1])
			return false;
	return count;
}

/* A record that is there whole. */
static int take(struct quiver_recording *recording, const uint64_t *words, size_t count)
{
	struct quiver_trace_record record;
	const uint64_t *segments = words + QUIVER_TRACE_RECORD_WORDS;
	size_t segment_count = (count - QUIVER_TRACE_RECORD_WORDS) / 2;
	enum quiver_trace_kind kind = quiver_trace_kind(words[0]);

	memcpy(&record, words, sizeof(record));
	set_time(recording, record.ns);
	if (kind == QUIVER_TRACE_UNMAP || kind == QUIVER_TRACE_UNMAP_SG)
		return take_unmap(recording, &record, kind == QUIVER_TRACE_UNMAP_SG);
	if ((kind != QUIVER_TRACE_MAP && kind != QUIVER_TRACE_MAP_SG) ||
	    !segments_valid(segments, segment_count))
		return -EPROTO;
	return take_map(recording, &record, kind == QUIVER_TRACE_MAP_SG, segments, segment_count);
}

static bool head_valid(uint64_t head)
{
	uint64_t words = quiver_trace_words(head), segments;

	if (words < QUIVER_TRACE_RECORD_WORDS || words > QUIVER_TRACE_RING_MAX)
		return false;
	segments = words - QUIVER_TRACE_RECORD_WORDS;
	switch (quiver_trace_kind(head)) {
	case QUIVER_TRACE_MAP:
		return segments == 2;
	case QUIVER_TRACE_MAP_SG:
		return segments && segments % 2 == 0;
	default:
		return !segments;
	}
}

/* Takes all whole records of count words; *taken is the words of these. */
static int take_all(struct quiver_recording *recording, const uint64_t *words, size_t count,
		    size_t *taken)
{
	int error = 0;

	*taken = 0;
	while (!error && *taken < count) {
		uint64_t head = words[*taken], size = quiver_trace_words(head);

		if (!head_valid(head))
			return -EPROTO;
		if (size > count - *taken)
			break;
		error = take(recording, words + *taken, size);
		*taken += size;
	}
	return error;
}

static int append(struct quiver_recording *recording, const uint64_t *words, size_t count)
{
	size_t needed = recording->word_count + count;

	if (needed > recording->word_room) {
		uint64_t *grown = realloc(recording->words, 2 * needed * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		recording->words = grown;
		recording->word_room = 2 * needed;
	}
	memcpy(recording->words + recording->word_count, words, count * sizeof(*words));
	recording->word_count = needed;
	return 0;
}

/* --- the whole ------------------------------------------------------------------------------ */

static bool is_gzip(const char *path)
{
	size_t length = strlen(path);

	return length > 3 && !strcmp(path + length - 3, ".gz");
}

int quiver_recording_open(struct quiver_recording *recording, const char *path)
{
	*recording = (struct quiver_recording){ 0 };
	errno = 0;
	recording->file = gzopen(path, is_gzip(path) ? "wbe" : "wbTe");
	if (!recording->file)
		return errno ? -errno : -ENOMEM;
	return 0;
}

int quiver_recording_feed(struct quiver_recording *recording, const uint64_t *words, size_t count)
{
	size_t taken;
	int error;

	/* There may be no memory for words yet. */
	if (!count)
		return 0;
	error = append(recording, words, count);
	if (error)
		return error;
	error = take_all(recording, recording->words, recording->word_count, &taken);
	if (error)
		return error;
	recording->word_count -= taken;
	memmove(recording->words, recording->words + taken,
		recording->word_count * sizeof(*recording->words));
	return 0;
}

static int end_mappings(struct quiver_recording *recording, struct quiver_recording_live *live)
{
	struct mapping *mapping;
	int error = 0;

	while ((mapping = STAILQ_FIRST(&live->mappings))) {
		STAILQ_REMOVE_HEAD(&live->mappings, entry);
		if (mapping->length && !error) {
			error = put_unmap(recording, mapping, live->key.list);
			recording->counters.unmaps_at_end++;
		}
		free(mapping);
	}
	return error;
}

int quiver_recording_finish(struct quiver_recording *recording)
{
	struct quiver_recording_live *live, *next;
	int error = recording->word_count ? -EPROTO : 0, write_failed = 0;

	HASH_ITER(hh, recording->live, live, next) {
		int failed = end_mappings(recording, live);

		write_failed = write_failed ? write_failed : failed;
		remove_live(recording, live);
	}
	error = error ? error : write_failed;
	errno = 0;
	if (gzclose_w(recording->file) != Z_OK && !error)
		error = errno ? -errno : -EIO;
	free(recording->words);
	recording->words = NULL;
	recording->word_count = 0;
	return error;
}
