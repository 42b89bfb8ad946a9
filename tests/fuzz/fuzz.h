/* SPDX-License-Identifier: BSD-3-Clause */
/* What the fuzzers share: numbers from an input, and a way to say that a promise is broken. */
#ifndef QUIVER_TESTS_FUZZ_H
#define QUIVER_TESTS_FUZZ_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#ifdef __cplusplus
}
#endif

/* A crash, with the place in its trace. */
#define fuzz_require(condition)							\
	do {									\
		if (!(condition)) {						\
			fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #condition); \
			abort();						\
		}								\
	} while (0)

struct fuzz_bytes {
	const uint8_t *data;
	size_t left;
};

/* The next count bytes (1 to 8), little-endian; those past the end are zeros. */
static inline uint64_t fuzz_bits(struct fuzz_bytes *bytes, unsigned int count)
{
	uint64_t value = 0;

	for (unsigned int i = 0; i < count && bytes->left; i++, bytes->left--)
		value |= (uint64_t)*bytes->data++ << 8 * i;
	return value;
}

/* 0 to limit - 1, of one byte. */
static inline unsigned int fuzz_below(struct fuzz_bytes *bytes, unsigned int limit)
{
	return (unsigned int)fuzz_bits(bytes, 1) % limit;
}

/* Any number, and more often one that somebody may have forgotten: its first byte says which. */
static inline uint64_t fuzz_number(struct fuzz_bytes *bytes)
{
	uint64_t kind = fuzz_bits(bytes, 1);

	if (kind < 64)			/* small */
		return kind;
	if (kind < 128)			/* a power of two */
		return 1ull << (kind - 64);
	if (kind < 192)			/* the number before one */
		return (1ull << (kind - 128)) - 1;
	if (kind < 224)			/* the last ones */
		return 0 - (kind - 191);
	if (kind < 232)			/* whole granules */
		return fuzz_bits(bytes, 1) << 14;
	if (kind < 240)
		return fuzz_bits(bytes, 2);
	if (kind < 248)
		return fuzz_bits(bytes, 4);
	return fuzz_bits(bytes, 8);
}

/* Up to room bytes of the input as they are; how many. */
static inline size_t fuzz_copy(struct fuzz_bytes *bytes, void *to, size_t room)
{
	size_t size = bytes->left < room ? bytes->left : room;

	if (size)
		memcpy(to, bytes->data, size);
	bytes->data += size;
	bytes->left -= size;
	return size;
}

#endif
