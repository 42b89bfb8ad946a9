// SPDX-License-Identifier: BSD-3-Clause
#include "machine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define GRANULE ((uint64_t)SIMMAC_GRANULE)
#define BOUNDARY (UINT64_C(2) << 20)

static const struct simmac_dart_config small = {
	.limit_bytes = 64 * GRANULE,
	.limit_mappings = 16,
	.aperture_base = UINT64_C(1) << 32,
	.aperture_size = 128 * GRANULE,
};

static uint64_t rng = 1;

static uint64_t random_below(uint64_t bound)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng % bound;
}

static uint64_t map(struct simmac_dart *dart, const void *memory, uint64_t length)
{
	uint64_t iova;

	assert_int_equal(simmac_dart_map(dart, getpid(), (uintptr_t)memory, length, &iova), 0);
	return iova;
}

static void configuration_must_make_sense(void **state)
{
	struct simmac_dart_config config = small;

	config.aperture_base = 0;
	assert_null(simmac_dart_new(&config));
	config.aperture_base = 1;
	assert_null(simmac_dart_new(&config));
	config.aperture_base = -GRANULE;
	assert_null(simmac_dart_new(&config));
	config = small;
	config.aperture_size = 0;
	assert_null(simmac_dart_new(&config));
	config = small;
	config.skew = 4096;
	assert_null(simmac_dart_new(&config));
}

static void only_whole_granules_are_mapped(void **state)
{
	struct simmac_dart *dart = simmac_dart_new(&small);
	uint64_t iova = 0;

	assert_int_equal(simmac_dart_map(dart, 1, GRANULE, 0, &iova), -EINVAL);
	assert_int_equal(simmac_dart_map(dart, 1, GRANULE, GRANULE + 4096, &iova), -EINVAL);
	assert_int_equal(simmac_dart_map(dart, 1, 4096, GRANULE, &iova), -EINVAL);
	assert_int_equal(simmac_dart_map(dart, 1, -GRANULE, 2 * GRANULE, &iova), -EINVAL);
	assert_int_equal(iova, 0);
	assert_int_equal(simmac_dart_stats(dart).maps, 0);
	simmac_dart_free(dart);
}

static void unmap_takes_exactly_what_map_made(void **state)
{
	struct simmac_dart *dart = simmac_dart_new(&small);
	uint64_t iova;

	assert_int_equal(simmac_dart_map(dart, 1, 0, 4 * GRANULE, &iova), 0);
	assert_int_equal(simmac_dart_unmap(dart, iova, 2 * GRANULE, false), -ENOENT);
	assert_int_equal(simmac_dart_unmap(dart, iova + GRANULE, 3 * GRANULE, false), -ENOENT);
	assert_int_equal(simmac_dart_unmap(dart, iova + 4 * GRANULE, GRANULE, false), -ENOENT);
	assert_int_equal(simmac_dart_unmap(dart, 0, GRANULE, false), -ENOENT);
	assert_int_equal(simmac_dart_unmap(dart, UINT64_MAX, GRANULE, false), -ENOENT);
	assert_int_equal(simmac_dart_unmap(dart, iova, 4 * GRANULE, false), 0);
	assert_int_equal(simmac_dart_unmap(dart, iova, 4 * GRANULE, false), -ENOENT);
	assert_int_equal(simmac_dart_stats(dart).bytes, 0);
	assert_int_equal(simmac_dart_stats(dart).bytes_peak, 4 * GRANULE);
	simmac_dart_free(dart);
}

/* By default no address helps a driver that wants 2 MiB pages. */
static void addresses_are_misaligned_by_the_skew(void **state)
{
	struct simmac_dart_config config = simmac_dart_defaults;
	struct simmac_dart *dart;
	uint64_t skew, iova;
	unsigned int i;

	assert_int_not_equal(config.skew % BOUNDARY, 0);
	for (skew = 0; skew < BOUNDARY; skew += 31 * GRANULE) {
		config.skew = skew;
		dart = simmac_dart_new(&config);
		for (i = 0; i < 8; i++) {
			assert_int_equal(simmac_dart_map(dart, 1, 0, GRANULE, &iova), 0);
			assert_int_equal(iova % GRANULE, 0);
			if (skew)
				assert_int_not_equal(iova % BOUNDARY, 0);
			assert_int_equal(simmac_dart_map(dart, 1, 0, BOUNDARY + i * GRANULE, &iova),
					 0);
			assert_int_equal(iova % BOUNDARY, skew);
		}
		simmac_dart_free(dart);
	}
}

static void one_mapping_may_be_as_large_as_the_limit(void **state)
{
	struct simmac_dart *dart = simmac_dart_new(NULL);
	uint64_t iova, length = simmac_dart_defaults.limit_bytes;

	assert_int_equal(simmac_dart_map(dart, 1, 0, length, &iova), 0);
	assert_true(iova >= simmac_dart_defaults.aperture_base);
	assert_int_equal(simmac_dart_unmap(dart, iova, length, false), 0);
	simmac_dart_free(dart);
}

static void holes_too_small_are_no_panic(void **state)
{
	struct simmac_dart_config config = small;
	struct simmac_dart *dart;
	uint64_t iova[16], bare;
	unsigned int i;

	config.aperture_size = 16 * GRANULE;
	dart = simmac_dart_new(&config);
	for (i = 0; i < 16; i++)
		assert_int_equal(simmac_dart_map(dart, 1, 0, GRANULE, &iova[i]), 0);
	for (i = 0; i < 16; i += 2)
		assert_int_equal(simmac_dart_unmap(dart, iova[i], GRANULE, false), 0);
	assert_int_equal(simmac_dart_map(dart, 1, 0, 2 * GRANULE, &bare), -ENOSPC);
	assert_int_equal(simmac_dart_unmap(dart, iova[5], GRANULE, false), 0);
	assert_int_equal(simmac_dart_map(dart, 1, 0, 3 * GRANULE, &bare), 0);
	assert_int_equal(bare, iova[4]);
	simmac_dart_free(dart);
}

static void as_many_mappings_as_the_limit(void **state)
{
	struct simmac_dart *dart = simmac_dart_new(NULL);
	uint64_t count = simmac_dart_defaults.limit_mappings, i, j;
	uint64_t *iova = calloc(count, sizeof(*iova));

	for (i = 0; i < count; i++)
		assert_int_equal(simmac_dart_map(dart, 1, i * GRANULE, GRANULE, &iova[i]), 0);
	assert_int_equal(simmac_dart_stats(dart).mappings, count);
	/* In an order that leaves holes everywhere: 40503 is coprime to 65536. */
	for (i = j = 0; i < count; i++, j = (j + 40503) % count)
		assert_int_equal(simmac_dart_unmap(dart, iova[j], GRANULE, false), 0);
	assert_int_equal(simmac_dart_stats(dart).mappings, 0);
	assert_int_equal(simmac_dart_stats(dart).bytes, 0);
	assert_int_equal(simmac_dart_map(dart, 1, 0, 4096 * GRANULE, &iova[0]), 0);
	simmac_dart_free(dart);
	free(iova);
}

static void dma_reaches_the_memory_that_was_mapped(void **state)
{
	struct simmac_dart *dart = simmac_dart_new(&small);
	uint8_t *memory = memory_new(4 * GRANULE), got[3 * SIMMAC_GRANULE];
	uint64_t first, second;
	unsigned int i;

	for (i = 0; i < 4 * GRANULE; i++)
		memory[i] = (uint8_t)random_below(256);
	/* Neighbours on the bus that are none in memory. */
	first = map(dart, memory + 2 * GRANULE, 2 * GRANULE);
	second = map(dart, memory, 2 * GRANULE);
	assert_int_equal(second, first + 2 * GRANULE);

	simmac_dart_read(dart, first + GRANULE + 5, got, 2 * GRANULE);
	assert_memory_equal(got, memory + 3 * GRANULE + 5, GRANULE - 5);
	assert_memory_equal(got + GRANULE - 5, memory, GRANULE + 5);
	simmac_dart_write(dart, second - 3, "abcdef", 6);
	assert_memory_equal(memory + 4 * GRANULE - 3, "abc", 3);
	assert_memory_equal(memory, "def", 3);
	assert_int_equal(simmac_dart_stats(dart).read_bytes, 2 * GRANULE);
	assert_int_equal(simmac_dart_stats(dart).written_bytes, 6);
	simmac_dart_free(dart);
	memory_free(memory, 4 * GRANULE);
}

/* A child whose memory holds 0x5a, and which ends when the pipe is closed. */
static pid_t start_task(void *memory, size_t size, int *hold)
{
	int pipes[2], ready[2];
	pid_t child;
	char c;

	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (!child) {
		close(pipes[1]);
		memset(memory, 0x5a, size);
		munmap((uint8_t *)memory + 4096, 4096);
		if (write(ready[1], "", 1) == 1 && read(pipes[0], &c, 1) <= 0)
			_exit(((uint8_t *)memory)[1]);
		_exit(99);
	}
	close(pipes[0]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	close(ready[1]);
	*hold = pipes[1];
	return child;
}

static void dma_reaches_another_task_dead_or_alive(void **state)
{
	struct simmac_dart *dart = simmac_dart_new(&small);
	uint8_t *memory = memory_new(GRANULE), got[3 * 4096];
	int hold, status;
	pid_t task = start_task(memory, GRANULE, &hold);
	uint64_t iova;

	assert_int_equal(simmac_dart_map(dart, task, (uintptr_t)memory, GRANULE, &iova), 0);
	memset(got, 0xff, sizeof(got));
	assert_true(simmac_dart_read(dart, iova, got, sizeof(got)));
	assert_int_equal(got[0], 0x5a);
	assert_int_equal(got[4095], 0x5a);
	assert_int_equal(got[4096], 0);		/* the page that the task let go */
	assert_int_equal(got[8191], 0);
	assert_int_equal(got[8192], 0x5a);
	simmac_dart_write(dart, iova + 1, "!", 1);
	assert_int_equal(memory[1], 0);

	close(hold);
	assert_int_equal(waitpid(task, &status, 0), task);
	assert_int_equal(WEXITSTATUS(status), '!');
	simmac_dart_write(dart, iova, "lost", 4);
	memset(got, 0xff, sizeof(got));
	assert_false(simmac_dart_read(dart, iova, got, sizeof(got)));
	assert_int_equal(got[0], 0);
	assert_int_equal(got[sizeof(got) - 1], 0);
	simmac_dart_free(dart);
	memory_free(memory, GRANULE);
}

struct attempt {
	struct simmac_dart *dart;
	uint64_t iova, length;
};

static void read_there(void *argument)
{
	struct attempt *a = argument;
	uint8_t *to = malloc(a->length);

	simmac_dart_read(a->dart, a->iova, to, a->length);
	free(to);
}

static void write_there(void *argument)
{
	struct attempt *a = argument;
	uint8_t *from = calloc(1, a->length);

	simmac_dart_write(a->dart, a->iova, from, a->length);
	free(from);
}

static void dma_to_what_is_not_mapped_panics(void **state)
{
	struct simmac_dart *dart = simmac_dart_new(&small);
	uint8_t *memory = memory_new(2 * GRANULE);
	struct attempt a = { dart, small.aperture_base, 1 };
	char at[64];
	uint64_t iova;

	assert_panic(read_there, &a, "D6", "DMA read of 1 bytes at 0x100000000");
	iova = map(dart, memory, 2 * GRANULE);
	a = (struct attempt){ dart, iova + 2 * GRANULE - 1, 2 };
	snprintf(at, sizeof(at), "0x%llx is not mapped",
		 (unsigned long long)(iova + 2 * GRANULE));
	assert_panic(write_there, &a, "D6", at);
	a = (struct attempt){ dart, 0, 8 };
	assert_panic(read_there, &a, "D6", "0x0 is not mapped");
	a = (struct attempt){ dart, UINT64_MAX - 3, 8 };
	assert_panic(write_there, &a, "D6", "DMA write of 8 bytes at 0xfffffffffffffffc");
	assert_int_equal(simmac_dart_unmap(dart, iova, 2 * GRANULE, false), 0);
	a = (struct attempt){ dart, iova, 1 };
	assert_panic(read_there, &a, "D6", "is not mapped");
	simmac_dart_free(dart);
	memory_free(memory, 2 * GRANULE);
}

static void map_there(void *argument)
{
	struct attempt *a = argument;
	uint64_t iova;

	simmac_dart_map(a->dart, 1, 0, a->length, &iova);
}

static void maps_beyond_the_limits_panic(void **state)
{
	struct simmac_dart *dart = simmac_dart_new(&small);
	struct attempt a = { dart, 0, GRANULE };
	uint64_t iova;
	unsigned int i;

	assert_int_equal(simmac_dart_map(dart, 1, 0, 63 * GRANULE, &iova), 0);
	a.length = 2 * GRANULE;
	assert_panic(map_there, &a, "D7", "[D1]");
	a.length = -GRANULE;
	assert_panic(map_there, &a, "D7", "[D1]");
	assert_int_equal(simmac_dart_unmap(dart, iova, 63 * GRANULE, false), 0);
	for (i = 0; i < 16; i++)
		assert_int_equal(simmac_dart_map(dart, 1, 0, GRANULE, &iova), 0);
	a.length = GRANULE;
	assert_panic(map_there, &a, "D7", "[D2]");
	simmac_dart_free(dart);
}

/* The model: who is mapped at each granule of the aperture, and from which byte of memory. */
#define MODEL_GRANULES 128
#define MODEL_MAPPINGS 16

struct model {
	struct simmac_dart *dart;
	uint8_t *memory;	/* MODEL_GRANULES long */
	uint8_t *mirror;	/* what it should contain */
	struct { uint64_t iova, length, offset; } mapping[MODEL_MAPPINGS];
	unsigned int live;
	uint64_t bytes;
};

static bool model_overlaps(const struct model *model, uint64_t iova, uint64_t length)
{
	unsigned int i;

	for (i = 0; i < model->live; i++)
		if (iova < model->mapping[i].iova + model->mapping[i].length &&
		    model->mapping[i].iova < iova + length)
			return true;
	return false;
}

/* Whether some place would have done: the DART must not say no then. */
static bool model_has_hole(const struct model *model, uint64_t length)
{
	uint64_t at, end = small.aperture_base + small.aperture_size;

	for (at = small.aperture_base; at + length <= end; at += GRANULE)
		if (!model_overlaps(model, at, length))
			return true;
	return false;
}

static void model_map(struct model *model)
{
	uint64_t length = (1 + random_below(12)) * GRANULE, iova;
	uint64_t offset = random_below(MODEL_GRANULES - 12) * GRANULE;
	int ret;

	if (model->live == small.limit_mappings || model->bytes + length > small.limit_bytes)
		return;
	ret = simmac_dart_map(model->dart, getpid(), (uintptr_t)model->memory + offset, length,
			      &iova);
	if (ret) {
		assert_int_equal(ret, -ENOSPC);
		assert_false(model_has_hole(model, length));
		return;
	}
	assert_true(iova >= small.aperture_base &&
		    iova + length <= small.aperture_base + small.aperture_size);
	assert_false(model_overlaps(model, iova, length));
	model->mapping[model->live].iova = iova;
	model->mapping[model->live].length = length;
	model->mapping[model->live++].offset = offset;
	model->bytes += length;
}

static void model_unmap(struct model *model)
{
	unsigned int i;

	if (!model->live)
		return;
	i = (unsigned int)random_below(model->live);
	assert_int_equal(simmac_dart_unmap(model->dart, model->mapping[i].iova,
					   model->mapping[i].length, false), 0);
	model->bytes -= model->mapping[i].length;
	model->mapping[i] = model->mapping[--model->live];
}

static void model_dma(struct model *model)
{
	uint8_t buffer[256];
	uint64_t at, length, offset;
	unsigned int i;

	if (!model->live)
		return;
	i = (unsigned int)random_below(model->live);
	length = 1 + random_below(sizeof(buffer));
	at = random_below(model->mapping[i].length - length);
	offset = model->mapping[i].offset + at;
	if (random_below(2)) {
		memset(buffer, (int)random_below(256), length);
		simmac_dart_write(model->dart, model->mapping[i].iova + at, buffer, length);
		memcpy(model->mirror + offset, buffer, length);
	}
	simmac_dart_read(model->dart, model->mapping[i].iova + at, buffer, length);
	assert_memory_equal(buffer, model->mirror + offset, length);
}

static void random_operations_agree_with_the_model(uint64_t seed)
{
	struct simmac_dart_config config = small;
	struct model model = { .memory = memory_new(MODEL_GRANULES * GRANULE),
			       .mirror = calloc(MODEL_GRANULES, GRANULE) };
	unsigned int i;

	config.seed = seed;
	model.dart = simmac_dart_new(&config);
	for (i = 0; i < 100000; i++) {
		switch (random_below(4)) {
		case 0:
			model_map(&model);
			break;
		case 1:
			model_unmap(&model);
			break;
		default:
			model_dma(&model);
		}
		assert_int_equal(simmac_dart_stats(model.dart).mappings, model.live);
		assert_int_equal(simmac_dart_stats(model.dart).bytes, model.bytes);
	}
	assert_memory_equal(model.memory, model.mirror, MODEL_GRANULES * GRANULE);
	simmac_dart_free(model.dart);
	memory_free(model.memory, MODEL_GRANULES * GRANULE);
	free(model.mirror);
}

static void first_fit_agrees_with_the_model(void **state)
{
	random_operations_agree_with_the_model(0);
}

static void random_fit_agrees_with_the_model(void **state)
{
	random_operations_agree_with_the_model(7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(configuration_must_make_sense),
		cmocka_unit_test(only_whole_granules_are_mapped),
		cmocka_unit_test(unmap_takes_exactly_what_map_made),
		cmocka_unit_test(addresses_are_misaligned_by_the_skew),
		cmocka_unit_test(one_mapping_may_be_as_large_as_the_limit),
		cmocka_unit_test(holes_too_small_are_no_panic),
		cmocka_unit_test(as_many_mappings_as_the_limit),
		cmocka_unit_test(dma_reaches_the_memory_that_was_mapped),
		cmocka_unit_test(dma_reaches_another_task_dead_or_alive),
		cmocka_unit_test(dma_to_what_is_not_mapped_panics),
		cmocka_unit_test(maps_beyond_the_limits_panic),
		cmocka_unit_test(first_fit_agrees_with_the_model),
		cmocka_unit_test(random_fit_agrees_with_the_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
