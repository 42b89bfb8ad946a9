// SPDX-License-Identifier: BSD-3-Clause
/*
 * Both ends of the wire, each against a peer that lies. The first byte says
 * which: entries of a hostile guest, or a host that answers the windows of
 * quiver.ko with whatever the bytes say.
 */
#include "model.h"

#include <errno.h>

#include "core/wire.h"
#include "fuzz.h"

/* A failed assertion is to be a crash. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	return setenv("CMOCKA_TEST_ABORT", "1", 1);
}

/* --- entries of a guest ------------------------------------------------------------------------- */

static bool granules(uint64_t start, uint64_t length, unsigned int shift)
{
	uint64_t below = (1ull << shift) - 1;

	return length && (unsigned __int128)start + length <= (unsigned __int128)1 << 64 &&
	       !(start & below) && !(length & below);
}

static bool flags_sound(uint8_t flags, uint64_t features)
{
	return (flags & 3) && flags <= (features >> QUIVER_F_BUDGET & 1 ? 7 : 3);
}

/* The rules of proto.h once more. */
static enum quiver_wire_status expected(const struct quiver_dma_entry *entry, unsigned int shift,
					unsigned int devices, uint64_t features)
{
	bool map = entry->op == QUIVER_OP_MAP && flags_sound(entry->flags, features) &&
		   granules(entry->gpa, entry->length, shift);
	bool unmap = entry->op == QUIVER_OP_UNMAP && !entry->flags && !entry->gpa &&
		     granules(entry->iova, entry->length, shift);

	if (!map && !unmap)
		return QUIVER_S_INVAL;
	return entry->device < devices ? QUIVER_S_OK : QUIVER_S_NODEV;
}

static void check_request(const struct quiver_dma_entry *entry,
			  const struct quiver_wire_request *request)
{
	fuzz_require(request->op == entry->op && request->flags == entry->flags);
	fuzz_require(request->device == entry->device);
	if (request->op == QUIVER_OP_MAP)
		fuzz_require(request->gpa.start == entry->gpa &&
			     request->gpa.length == entry->length);
	else
		fuzz_require(request->iova.start == entry->iova &&
			     request->iova.length == entry->length);
}

static struct quiver_dma_entry some_entry(struct fuzz_bytes *bytes)
{
	struct quiver_dma_entry entry = { .status = QUIVER_S_PENDING };

	entry.op = (uint8_t)fuzz_bits(bytes, 1);
	entry.flags = (uint8_t)fuzz_bits(bytes, 1);
	entry.device = (uint16_t)fuzz_number(bytes);
	entry.gpa = fuzz_number(bytes);
	entry.length = fuzz_number(bytes);
	entry.iova = fuzz_number(bytes);
	return entry;
}

static void hostile_guest(struct fuzz_bytes *bytes)
{
	unsigned int shift = 12 + fuzz_below(bytes, 8), devices = fuzz_below(bytes, 65);
	uint64_t features = fuzz_bits(bytes, 1);

	while (bytes->left) {
		struct quiver_dma_entry entry = some_entry(bytes), before = entry;
		struct quiver_wire_request request, untouched;
		enum quiver_wire_status status;

		memset(&request, 0xa5, sizeof(request));
		untouched = request;
		status = quiver_wire_decode(&entry, shift, devices, features, &request);
		fuzz_require(status == expected(&entry, shift, devices, features));
		fuzz_require(!memcmp(&entry, &before, sizeof(entry)));
		if (status == QUIVER_S_OK)
			check_request(&entry, &request);
		else
			fuzz_require(!memcmp(&request, &untouched, sizeof(request)));
	}
}

/* --- answers of a host -------------------------------------------------------------------------- */

#define BATCH		32
#define MAPS		16
#define SEGMENTS	8
#define RAM_BASE	0x40000000ull
#define RAM_SIZE	(1ull << 22)
/* Nobody has 2^46 windows of a page: what is longer is for the policies that take it as one. */
#define LENGTH_MAX	(1ull << 24)

struct host {
	struct fuzz_bytes *bytes;
	struct quiver_transport transport;
	struct quiver_dma_entry *batch;	/* of just so many: not one more may be read */
	size_t capacity;
	uint64_t next;			/* an address that was not granted yet */
	bool open;
};

struct guest {
	struct quiver_space space;
	struct host host;
	struct model_segment segment[MAPS][SEGMENTS];
	size_t count[MAPS];
};

static struct quiver_dma_entry *host_open(void *context, size_t *capacity)
{
	struct host *host = context;

	fuzz_require(!host->open);
	host->open = true;
	*capacity = host->capacity;
	return host->batch;
}

/* What a guest sends is in order, whatever it was told. */
static void check_entry(const struct quiver_dma_entry *entry)
{
	struct quiver_wire_request request;

	fuzz_require(entry->status == QUIVER_S_PENDING && !entry->device);
	/* What the host has granted it is asked to take back, sound or not. */
	if (entry->op == QUIVER_OP_MAP)
		fuzz_require(!quiver_wire_decode(entry, MODEL_SHIFT, 1, QUIVER_FEATURES_ALL,
						 &request));
	else
		fuzz_require(entry->op == QUIVER_OP_UNMAP && !entry->flags && !entry->gpa);
}

static void answer(struct host *host, struct quiver_dma_entry *entry)
{
	switch (fuzz_below(host->bytes, 8)) {
	case 0:				/* honest; and what a host does when the bytes are out */
	case 1:
	case 2:
		entry->status = QUIVER_S_OK;
		if (entry->op == QUIVER_OP_MAP) {
			entry->iova = host->next;
			host->next += entry->length;
		}
		break;
	case 3:				/* any status, and an address all the same */
		entry->iova = fuzz_number(host->bytes);
		entry->status = (uint32_t)fuzz_number(host->bytes);
		break;
	case 4:				/* any address */
		entry->iova = fuzz_number(host->bytes);
		entry->status = QUIVER_S_OK;
		break;
	case 5:				/* one that somebody has */
		entry->iova = host->next - MODEL_GRANULE * fuzz_bits(host->bytes, 1);
		entry->status = QUIVER_S_OK;
		break;
	case 6:
		fuzz_copy(host->bytes, entry, sizeof(*entry));
		break;
	default:			/* nothing at all */
		break;
	}
}

static void host_ring(void *context, size_t count)
{
	struct host *host = context;

	fuzz_require(host->open && count && count <= host->capacity);
	for (size_t i = 0; i < count; i++)
		check_entry(&host->batch[i]);
	for (size_t i = 0; i < count; i++)
		answer(host, &host->batch[i]);
	/* Those that nobody has asked about as well. */
	if (host->bytes->left && fuzz_below(host->bytes, 16) == 15)
		memset(host->batch, (int)fuzz_bits(host->bytes, 1),
		       host->capacity * sizeof(*host->batch));
}

static void host_close(void *context)
{
	struct host *host = context;

	fuzz_require(host->open);
	host->open = false;
}

static void host_room(void *context, struct quiver_room *room, struct quiver_room *most)
{
	struct host *host = context;

	room->bytes = fuzz_number(host->bytes);
	room->mappings = fuzz_number(host->bytes);
	most->bytes = fuzz_number(host->bytes);
	most->mappings = fuzz_number(host->bytes);
}

static bool host_relieve(void *context)
{
	struct host *host = context;

	return fuzz_below(host->bytes, 2);
}

/* Before the end of the address space, which is the caller's promise. */
static struct model_segment some_segment(struct fuzz_bytes *bytes)
{
	uint64_t gpa = RAM_BASE + fuzz_bits(bytes, 3) % RAM_SIZE;
	uint64_t length = fuzz_number(bytes);

	if (fuzz_below(bytes, 8) == 7)
		gpa = fuzz_number(bytes);
	return model_segment(gpa, length % LENGTH_MAX);
}

static void map_some(struct guest *guest)
{
	struct fuzz_bytes *bytes = guest->host.bytes;
	unsigned int map = fuzz_below(bytes, MAPS);
	struct model_ask ask = { .vital = fuzz_below(bytes, 4) == 3 };
	size_t count = 1 + fuzz_below(bytes, SEGMENTS);
	int error;

	if (guest->count[map])
		return;
	for (size_t i = 0; i < count; i++)
		guest->segment[map][i] = some_segment(bytes);
	error = model_attempt(&guest->space, guest->segment[map], count, ask, &ask.exact);
	if (ask.exact)
		error = model_ask(&guest->space, guest->segment[map], count, ask);
	fuzz_require(error <= 0);
	guest->count[map] = error ? 0 : count;
}

/* A host that gave one address twice gets it back twice: what is found is not ours to count. */
static void unmap_some(struct guest *guest, unsigned int map)
{
	size_t found = model_unmap(&guest->space, guest->segment[map], guest->count[map]);

	fuzz_require(found <= guest->count[map]);
	guest->count[map] = 0;
}

static void unmap_anything(struct guest *guest)
{
	struct fuzz_bytes *bytes = guest->host.bytes;
	struct model_segment segment = { 0 };

	segment.iova = fuzz_number(bytes);
	segment.length = fuzz_number(bytes);
	model_unmap(&guest->space, &segment, 1);
}

static void step(struct guest *guest)
{
	struct fuzz_bytes *bytes = guest->host.bytes;

	switch (fuzz_below(bytes, 8)) {
	case 0:
	case 1:
	case 2:
		map_some(guest);
		break;
	case 3:
	case 4:
		unmap_some(guest, fuzz_below(bytes, MAPS));
		break;
	case 5:
		unmap_anything(guest);
		break;
	case 6:
		model_windows_fail_at(fuzz_below(bytes, 32));
		break;
	default:
		quiver_space_flush(&guest->space);
	}
}

static void check_space(struct guest *guest)
{
	struct quiver_space_stats stats = quiver_space_stats(&guest->space);

	fuzz_require(stats.windows <= model_windows_live());
	fuzz_require(stats.idle_windows <= stats.windows);
	fuzz_require(stats.idle_bytes <= stats.bytes);
	fuzz_require(stats.used_bytes <= stats.bytes);
}

static void hostile_host(struct fuzz_bytes *bytes)
{
	static const struct quiver_policy *const policies[] = {
		&quiver_policy_planner, &quiver_policy_fixed256k, &quiver_policy_pages,
	};
	static struct guest guest;
	unsigned int shape = (unsigned int)fuzz_bits(bytes, 1);
	struct quiver_space_config config = {
		.policy = policies[shape % 3],
		.transport = &guest.host.transport,
		.context = &guest.host,
		.granule_shift = MODEL_SHIFT,
		.vital_flags = QUIVER_DMA_VITAL,
		.strict = shape & 64,
	};

	memset(&guest, 0, sizeof(guest));
	guest.host = (struct host){
		.bytes = bytes, .next = MODEL_BASE, .capacity = 1 + shape / 3 % BATCH,
		.transport = { host_open, host_ring, host_close, shape & 128 ? host_room : NULL,
			       host_relieve },
	};
	guest.host.batch = calloc(guest.host.capacity, sizeof(*guest.host.batch));
	fuzz_require(guest.host.batch && !quiver_space_init(&guest.space, &config));
	while (bytes->left) {
		step(&guest);
		check_space(&guest);
	}
	model_windows_fail_at(0);
	for (unsigned int map = 0; map < MAPS; map++)
		unmap_some(&guest, map);
	model_flush(&guest.space);
	quiver_space_fini(&guest.space);
	free(guest.host.batch);
	fuzz_require(!model_windows_live() && !model_memory_live());
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_bytes bytes = { data, size };

	if (fuzz_below(&bytes, 2))
		hostile_host(&bytes);
	else
		hostile_guest(&bytes);
	return 0;
}
