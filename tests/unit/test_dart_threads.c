// SPDX-License-Identifier: BSD-3-Clause
/* Several devices' worth of DMA at once, while mappings come and go. */
#define _GNU_SOURCE
#include "machine.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN true
#endif
#elif defined(__SANITIZE_THREAD__)
#define UNDER_TSAN true
#endif
#ifndef UNDER_TSAN
#define UNDER_TSAN false
#endif

#define GRANULE ((uint64_t)SIMMAC_GRANULE)
#define THREADS 4
#define ROUNDS 2000

struct worker {
	pthread_t thread;
	struct simmac_dart *dart;
	unsigned int id, wrong;
};

static uint32_t next(uint32_t *seed)
{
	return *seed = *seed * 1664525 + 1013904223;
}

/* Maps, moves data through the mapping, looks at the memory, unmaps. */
static void *work(void *argument)
{
	struct worker *w = argument;
	size_t size = 4 * GRANULE;
	uint8_t *memory = memory_new(size), pattern[3000], got[3000];
	uint32_t seed = w->id;
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		uint64_t iova, length = (1 + next(&seed) % 4) * GRANULE;
		uint64_t at = next(&seed) % (length - sizeof(got));

		memset(pattern, (int)(i + w->id), sizeof(pattern));
		if (simmac_dart_map(w->dart, getpid(), (uintptr_t)memory, length, &iova)) {
			w->wrong++;
			continue;
		}
		simmac_dart_write(w->dart, iova + at, pattern, sizeof(pattern));
		simmac_dart_read(w->dart, iova + at, got, sizeof(got));
		w->wrong += memcmp(got, pattern, sizeof(got)) != 0;
		w->wrong += memcmp(memory + at, pattern, sizeof(got)) != 0;
		w->wrong += simmac_dart_unmap(w->dart, iova, length, false) != 0;
	}
	memory_free(memory, size);
	return NULL;
}

static void threads_do_not_disturb_each_other(void **state)
{
	struct simmac_dart *dart = simmac_dart_new(NULL);
	struct worker worker[THREADS];
	unsigned int i;

	for (i = 0; i < THREADS; i++) {
		worker[i] = (struct worker){ .dart = dart, .id = i };
		assert_int_equal(pthread_create(&worker[i].thread, NULL, work, &worker[i]), 0);
	}
	for (i = 0; i < THREADS; i++) {
		pthread_join(worker[i].thread, NULL);
		assert_int_equal(worker[i].wrong, 0);
	}
	assert_int_equal(simmac_dart_stats(dart).mappings, 0);
	assert_int_equal(simmac_dart_stats(dart).maps, THREADS * ROUNDS);
	simmac_dart_free(dart);
}

/* A page that stops whoever writes to it until it is let go. */
static uint8_t *stop_page;
static atomic_bool stopped, let_go;

static void stop_writer(int signal, siginfo_t *info, void *context)
{
	uint8_t *at = info->si_addr;

	if (at < stop_page || at >= stop_page + SIMMAC_GRANULE)
		_exit(1);
	atomic_store(&stopped, true);
	while (!atomic_load(&let_go))
		usleep(1000);
	mprotect(stop_page, SIMMAC_GRANULE, PROT_READ | PROT_WRITE);
}

struct request {
	struct simmac_dart *dart;
	uint64_t iova;
	atomic_bool done;
};

static void *write_two_granules(void *argument)
{
	struct request *request = argument;
	uint8_t *from = malloc(2 * GRANULE);

	memset(from, 0xa5, 2 * GRANULE);
	simmac_dart_write(request->dart, request->iova, from, 2 * GRANULE);
	free(from);
	return NULL;
}

static void *unmap_two_granules(void *argument)
{
	struct request *request = argument;

	simmac_dart_unmap(request->dart, request->iova, 2 * GRANULE, false);
	atomic_store(&request->done, true);
	return NULL;
}

static bool is_set(void *argument)
{
	return atomic_load((atomic_bool *)argument);
}

/* Memory that was unmapped is never written again. */
static void unmap_waits_for_dma_under_way(void **state)
{
	struct sigaction action = { .sa_sigaction = stop_writer, .sa_flags = SA_SIGINFO }, old;
	struct request request = { .dart = simmac_dart_new(NULL) };
	uint8_t *memory = memory_new(2 * GRANULE);
	pthread_t writer, unmapper;

	/* Its stores hold locks of its own, and must not be stopped. */
	if (UNDER_TSAN) {
		print_message("# not tried under the thread sanitizer\n");
		return;
	}
	stop_page = memory + GRANULE;
	sigaction(SIGSEGV, &action, &old);
	mprotect(stop_page, SIMMAC_GRANULE, PROT_NONE);
	assert_int_equal(simmac_dart_map(request.dart, getpid(), (uintptr_t)memory, 2 * GRANULE,
					 &request.iova), 0);
	pthread_create(&writer, NULL, write_two_granules, &request);
	assert_true(await(is_set, &stopped));
	pthread_create(&unmapper, NULL, unmap_two_granules, &request);
	usleep(100000);
	assert_false(atomic_load(&request.done));

	atomic_store(&let_go, true);
	pthread_join(unmapper, NULL);
	assert_int_equal(__atomic_load_n(memory + 2 * GRANULE - 1, __ATOMIC_ACQUIRE), 0xa5);
	pthread_join(writer, NULL);
	sigaction(SIGSEGV, &old, NULL);
	simmac_dart_free(request.dart);
	memory_free(memory, 2 * GRANULE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_do_not_disturb_each_other),
		cmocka_unit_test(unmap_waits_for_dma_under_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
