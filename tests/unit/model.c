// SPDX-License-Identifier: BSD-3-Clause
#include "model.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/wire.h"

void model_random_init(struct model_random *random, const char *test)
{
	const char *text = getenv("QUIVER_SEED");
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	random->state = text ? strtoull(text, NULL, 0) :
			       (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	printf("# %s: QUIVER_SEED=%llu\n", test, (unsigned long long)random->state);
	fflush(stdout);
}

/* splitmix64 */
uint64_t model_random_next(struct model_random *random)
{
	uint64_t x = random->state += 0x9e3779b97f4a7c15u;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

uint64_t model_random_below(struct model_random *random, uint64_t limit)
{
	return model_random_next(random) % limit;
}

static atomic_ullong windows_live, windows_asked, windows_fail_at;

struct quiver_window *quiver_window_alloc(void)
{
	if (atomic_fetch_add(&windows_asked, 1) + 1 == atomic_load(&windows_fail_at))
		return NULL;
	atomic_fetch_add(&windows_live, 1);
	return calloc(1, sizeof(struct quiver_window));
}

void quiver_window_free(struct quiver_window *window)
{
	atomic_fetch_sub(&windows_live, 1);
	free(window);
}

void model_windows_fail_at(uint64_t fail_at)
{
	atomic_store(&windows_asked, 0);
	atomic_store(&windows_fail_at, fail_at);
}

uint64_t model_windows_live(void)
{
	return atomic_load(&windows_live);
}

static bool slots_free(const struct model_host *host, uint32_t first, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		if (first + i >= MODEL_SLOTS || host->slot[first + i])
			return false;
	return true;
}

/* Anywhere, as macOS does: at random first, and then wherever there is room. */
static bool slots_find(struct model_host *host, uint64_t count, uint32_t *first)
{
	for (int i = 0; i < 8; i++) {
		*first = (uint32_t)model_random_below(&host->random, MODEL_SLOTS);
		if (slots_free(host, *first, count))
			return true;
	}
	for (*first = 0; *first < MODEL_SLOTS; (*first)++)
		if (slots_free(host, *first, count))
			return true;
	return false;
}

static struct model_mapping *mapping_new(struct model_host *host)
{
	if (host->mapping_count == host->mapping_room) {
		host->mapping_room = host->mapping_room ? 2 * host->mapping_room : 1024;
		host->mapping = realloc(host->mapping,
					host->mapping_room * sizeof(*host->mapping));
	}
	return &host->mapping[host->mapping_count++];
}

static enum quiver_wire_status host_map(struct model_host *host, struct quiver_range gpa,
					uint64_t *iova)
{
	struct model_mapping *mapping;
	uint32_t first;

	if (gpa.length > host->limit_bytes - host->bytes)
		return QUIVER_S_BYTES;
	if (host->mappings == host->limit_mappings)
		return QUIVER_S_MAPPINGS;
	if (!slots_find(host, gpa.length >> MODEL_SHIFT, &first))
		return QUIVER_S_IO;

	mapping = mapping_new(host);
	*mapping = (struct model_mapping){
		.gpa = gpa, .iova = MODEL_BASE + ((uint64_t)first << MODEL_SHIFT), .live = true,
	};
	for (uint64_t i = 0; i < gpa.length >> MODEL_SHIFT; i++)
		host->slot[first + i] = (uint32_t)host->mapping_count;
	host->bytes += gpa.length;
	host->mappings++;
	*iova = mapping->iova;
	return QUIVER_S_OK;
}

static struct model_mapping *mapping_at(const struct model_host *host, uint64_t iova)
{
	uint64_t slot = (iova - MODEL_BASE) >> MODEL_SHIFT;

	if (iova < MODEL_BASE || slot >= MODEL_SLOTS || !host->slot[slot])
		return NULL;
	return &host->mapping[host->slot[slot] - 1];
}

static enum quiver_wire_status host_unmap(struct model_host *host, struct quiver_range iova)
{
	struct model_mapping *mapping = mapping_at(host, iova.start);
	uint64_t slot = (iova.start - MODEL_BASE) >> MODEL_SHIFT;

	if (!mapping || mapping->iova != iova.start || mapping->gpa.length != iova.length)
		return QUIVER_S_NOENT;
	for (uint64_t i = 0; i < iova.length >> MODEL_SHIFT; i++)
		host->slot[slot + i] = 0;
	mapping->live = false;
	host->bytes -= iova.length;
	host->mappings--;
	return QUIVER_S_OK;
}

static enum model_fate fate(struct model_host *host, unsigned int refusals)
{
	uint64_t roll = model_random_below(&host->random, 100);

	if (roll < refusals)
		return MODEL_REFUSE;
	return roll < refusals + host->ignored ? MODEL_IGNORE : MODEL_HONOUR;
}

/* A refusal by the budget, or any of the others that a map can meet. */
static enum quiver_wire_status refusal(struct model_host *host)
{
	static const enum quiver_wire_status statuses[] = {
		QUIVER_S_BYTES, QUIVER_S_MAPPINGS, QUIVER_S_IO, QUIVER_S_FAULT, QUIVER_S_GONE,
		QUIVER_S_INVAL, QUIVER_S_NODEV, (enum quiver_wire_status)1234,
	};

	return statuses[model_random_below(&host->random, sizeof(statuses) / sizeof(statuses[0]))];
}

static void run_map(struct model_host *host, struct quiver_dma_entry *entry,
		    struct quiver_range gpa)
{
	enum model_fate chosen = fate(host, host->map_refusals);
	enum quiver_wire_status status = QUIVER_S_PENDING;
	uint64_t iova = 0xdeadbeefdead0000u;

	host->maps++;
	if (chosen == MODEL_HONOUR)
		status = host_map(host, gpa, &iova);
	else if (chosen == MODEL_REFUSE)
		status = refusal(host);
	host->refused_bytes += status == QUIVER_S_BYTES;
	host->refused_mappings += status == QUIVER_S_MAPPINGS;
	host->failed += status != QUIVER_S_OK && status != QUIVER_S_BYTES &&
			status != QUIVER_S_MAPPINGS;
	entry->iova = iova;
	entry->status = status;
}

/* A refused or ignored unmap leaves a mapping that the guest knows no more of. */
static void run_unmap(struct model_host *host, struct quiver_dma_entry *entry,
		      struct quiver_range iova)
{
	enum model_fate chosen = fate(host, host->unmap_refusals);
	struct model_mapping *mapping = mapping_at(host, iova.start);
	enum quiver_wire_status status = QUIVER_S_PENDING;

	host->unmaps++;
	if (chosen == MODEL_HONOUR) {
		status = host_unmap(host, iova);
	} else {
		status = chosen == MODEL_REFUSE ? QUIVER_S_NOENT : QUIVER_S_PENDING;
		if (mapping) {
			mapping->orphan = true;
			host->orphans++;
			host->orphan_bytes += mapping->gpa.length;
		}
	}
	host->unmap_errors += status != QUIVER_S_OK;
	entry->status = status;
}

static void run_entry(struct model_host *host, struct quiver_dma_entry *entry)
{
	struct quiver_wire_request request;

	if (entry->status != QUIVER_S_PENDING ||
	    quiver_wire_decode(entry, MODEL_SHIFT, MODEL_DEVICE + 1, &request) ||
	    request.device != MODEL_DEVICE) {
		host->malformed++;
		return;
	}
	if (request.op == QUIVER_OP_MAP)
		run_map(host, entry, request.gpa);
	else
		run_unmap(host, entry, request.iova);
}

/* One batch a thread, as the guest has one a CPU. */
#define BATCH_MAX 512
static _Thread_local struct quiver_dma_entry batch[BATCH_MAX];
static _Thread_local bool batch_open;

static struct quiver_dma_entry *host_open(void *context, size_t *capacity)
{
	struct model_host *host = context;

	assert_false(batch_open);
	batch_open = true;
	memset(batch, 0xa5, sizeof(batch));
	*capacity = host->capacity;
	return batch;
}

static void host_ring(void *context, size_t count)
{
	struct model_host *host = context;

	assert_true(batch_open && count && count <= host->capacity);
	if (host->on_ring)
		host->on_ring(host);
	pthread_mutex_lock(&host->lock);
	host->rings++;
	for (size_t i = 0; i < count; i++)
		run_entry(host, &batch[i]);
	pthread_mutex_unlock(&host->lock);
}

static void host_close(void *context)
{
	assert_true(batch_open);
	batch_open = false;
}

void model_host_init(struct model_host *host, size_t capacity)
{
	assert_true(capacity <= BATCH_MAX);
	memset(host, 0, sizeof(*host));
	host->transport = (struct quiver_transport){
		.open = host_open, .ring = host_ring, .close = host_close,
	};
	pthread_mutex_init(&host->lock, NULL);
	host->capacity = capacity;
	host->limit_bytes = UINT64_MAX;
	host->limit_mappings = UINT64_MAX;
	host->slot = calloc(MODEL_SLOTS, sizeof(*host->slot));
	assert_non_null(host->slot);
}

void model_host_fini(struct model_host *host)
{
	assert_int_equal(host->malformed, 0);
	pthread_mutex_destroy(&host->lock);
	free(host->slot);
	free(host->mapping);
}

bool model_host_reaches(struct model_host *host, uint64_t iova, uint64_t gpa, uint64_t length)
{
	bool reaches = true;

	pthread_mutex_lock(&host->lock);
	for (uint64_t done = 0; done < length && reaches;) {
		const struct model_mapping *m = mapping_at(host, iova + done);
		uint64_t step = MODEL_GRANULE - ((iova + done) & (MODEL_GRANULE - 1));

		reaches = m && m->live && !m->orphan &&
			  m->gpa.start + (iova + done - m->iova) == gpa + done;
		done += step;
	}
	pthread_mutex_unlock(&host->lock);
	return reaches;
}

void model_space_init(struct quiver_space *space, struct model_host *host,
		      const struct quiver_policy *policy, size_t release_batch)
{
	struct quiver_space_config config = {
		.policy = policy,
		.transport = &host->transport,
		.context = host,
		.device = MODEL_DEVICE,
		.granule_shift = MODEL_SHIFT,
		.release_batch = release_batch,
	};

	quiver_space_init(space, &config);
}

static void model_drop(struct quiver_space *space, struct model_segment *segments, size_t count)
{
	struct quiver_op op;

	quiver_op_begin(&op, space);
	for (size_t i = 0; i < count; i++)
		quiver_op_drop(&op, segments[i].window);
	assert_int_equal(quiver_op_submit(&op), 0);
}

int model_map(struct quiver_space *space, struct model_segment *segments, size_t count)
{
	struct quiver_op op;
	int error;

	quiver_op_begin(&op, space);
	for (size_t i = 0; i < count; i++)
		quiver_op_expect(&op, segments[i].gpa, segments[i].length);
	for (size_t i = 0; i < count; i++)
		quiver_op_add(&op, segments[i].gpa, segments[i].length, &segments[i].window);
	error = quiver_op_submit(&op);
	for (size_t i = 0; i < count; i++) {
		int failure = 0;

		if (segments[i].window)
			failure = quiver_window_resolve(segments[i].window, segments[i].gpa,
							&segments[i].iova);
		error = error ? error : failure;
	}
	if (error)
		model_drop(space, segments, count);
	return error;
}

size_t model_unmap(struct quiver_space *space, const struct model_segment *segments,
		   size_t count)
{
	struct quiver_op op;
	size_t found = 0;

	quiver_op_begin(&op, space);
	for (size_t i = 0; i < count; i++)
		found += quiver_op_remove(&op, segments[i].iova);
	assert_int_equal(quiver_op_submit(&op), 0);
	return found;
}
