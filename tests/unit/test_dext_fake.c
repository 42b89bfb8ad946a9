// SPDX-License-Identifier: BSD-3-Clause
#include <stdlib.h>

#include "test_dext_fake.h"

struct fake fake;
const int client_a, client_b;

static void note(char c)
{
	size_t length = strlen(fake.log);

	if (length < sizeof(fake.log) - 1)
		fake.log[length] = c;
}

static uint32_t config_read(void *shell, unsigned int offset, unsigned int width)
{
	uint32_t value = 0;

	assert_true(offset % width == 0 && offset + width <= sizeof(fake.config));
	fake.reads++;
	if (fake.silent_after && !--fake.silent_after)
		fake.silent = true;
	if (fake.answers_after && offset == 0 && !--fake.answers_after)
		fake.silent = false;
	if (fake.silent || (fake.fail_read && !--fake.fail_read))
		return width == 4 ? ~0u : (1u << 8 * width) - 1;
	if (fake.retries && offset == 0 && width == 4)
		return 0xffff0001;
	if (offset <= DEVSTA && offset + width > DEVSTA && fake.clock < fake.pending_until)
		fake.config[DEVSTA] |= PENDING;
	else
		fake.config[DEVSTA] &= (uint8_t)~PENDING;
	memcpy(&value, fake.config + offset, width);
	return value;
}

static void config_write(void *shell, unsigned int offset, unsigned int width, uint32_t value)
{
	assert_true(offset % width == 0 && offset + width <= sizeof(fake.config));
	fake.writes++;
	if (offset == 4)
		note(value & MASTER ? 'M' : 'm');
	if (fake.silent)
		return;
	if (offset == 4 && fake.keeps_mastering)
		value |= MASTER;
	memcpy(fake.config + offset, &value, width);
}

static int bar_info(void *shell, unsigned int bar, struct quiver_dext_bar_info *info)
{
	static const struct quiver_dext_bar_info bars[6] = {
		{ 1 << 24, 3, 0x0 }, { 1ull << 28, 2, 0xc }, { 0, 0, 0 }, { 1 << 25, 1, 0x4 },
		{ 0, 0, 0 }, { 128, 0, 0x1 },
	};

	if (!bars[bar].size)
		return -ENOENT;
	*info = bars[bar];
	return 0;
}

static int map(void *shell, uint64_t address, uint64_t length, uint32_t flags,
	       struct quiver_dext_grant *grant)
{
	note('p');
	if (fake.map_result)
		return fake.map_result;
	fake.mapped++;
	*grant = (struct quiver_dext_grant){
		.segments = 1, .iova = fake.next_iova, .length = length,
	};
	fake.next_iova += length;
	if (fake.next.segments)
		*grant = fake.next;
	return 0;
}

static int unmap(void *shell, const struct quiver_dext_grant *grant)
{
	note('c');
	/* What it does to a device that masters the bus, no log need tell [D8]. */
	if (fake.strict && !fake.unplugged && fake.config[4] & MASTER)
		fail_msg("a mapping is released under a device that masters the bus");
	if (fake.strict && !fake.unplugged && fake.clock < fake.pending_until)
		fail_msg("a mapping is released with transactions pending");
	fake.mapped--;
	return fake.unmap_result;
}

static int reset(void *shell, enum quiver_reset_method method)
{
	note(method == QUIVER_RESET_FUNCTION ? 'f' : 'h');
	/* One that is silent hears of no reset, but for the one that brings it back. */
	if (!fake.reset_result[method] && !fake.keeps_mastering &&
	    (!fake.silent || fake.answers_after))
		fake.config[4] &= (uint8_t)~MASTER;
	if (fake.restores_mastering)
		fake.config[4] |= MASTER;
	if (fake.reset_result[method])
		return fake.reset_result[method];
	fake.silent = fake.silent || fake.dies_of_reset || fake.answers_after;
	if (!fake.stays_pending)
		fake.pending_until = 0;
	return 0;
}

static bool unplugged(void *shell)
{
	/* Only of one that is silent: else it must not be asked. */
	assert_true(fake.silent || fake.retries || fake.config[0] == 0xff);
	return fake.unplugged;
}

static int interrupts_start(void *shell, uint32_t type, uint32_t count, uint32_t *granted)
{
	note('I');
	*granted = count;
	return 0;
}

static void interrupts_stop(void *shell)
{
	note('i');
}

static uint64_t now_us(void *shell)
{
	return fake.clock;
}

static void sleep_us(void *shell, uint64_t us)
{
	assert_true(us > 0);
	fake.clock += us;
	if (fake.pulled_at && fake.clock >= fake.pulled_at)
		fake.silent = fake.unplugged = true;
}

static void *allocate(void *shell, size_t size)
{
	if (fake.fail_allocation && !--fake.fail_allocation)
		return NULL;
	fake.allocated++;
	return calloc(1, size);
}

static void release(void *shell, void *memory, size_t size)
{
	fake.allocated--;
	free(memory);
}

const struct quiver_dext_ops fake_ops = {
	config_read, config_write, bar_info, map, unmap, reset, unplugged, interrupts_start,
	interrupts_stop, now_us, sleep_us, allocate, release,
};

void fake_put32(unsigned int offset, uint32_t value)
{
	memcpy(fake.config + offset, &value, 4);
}

/* A GPU with PCIe capability and FLR. */
int fake_set_up(void **state)
{
	memset(&fake, 0, sizeof(fake));
	fake.next_iova = 0x80000000;
	fake_put32(0x00, 0x123410de);
	fake_put32(0x04, 0x00100002);
	fake_put32(0x08, 0x030000a1);
	fake_put32(0x34, 0x40);
	fake_put32(0x40, 0x00028010);
	fake_put32(0x44, 1u << 28);
	fake_put32(0x48, 0x00002810);
	fake_put32(0x80, 0x00880005);	/* 16 MSI */
	return 0;
}

const struct quiver_dext_limits fake_limits = { UINT64_MAX, UINT64_MAX };

struct quiver_dext *fake_new(void)
{
	struct quiver_dext *dext = NULL;

	assert_int_equal(quiver_dext_new(&fake_ops, NULL, 0x3000, fake_limits, &dext), 0);
	return dext;
}

struct quiver_dext *fake_new_claimed(void)
{
	struct quiver_dext *dext = fake_new();

	assert_int_equal(quiver_dext_claim(dext, &client_a), 0);
	return dext;
}

void fake_release(struct quiver_dext *dext, const void *client)
{
	struct quiver_dext_pending page;

	quiver_dext_release(dext, client, &page);
}

void fake_delete(struct quiver_dext *dext)
{
	quiver_dext_delete(dext);
	assert_int_equal(fake.mapped, 0);
	assert_int_equal(fake.allocated, 0);
}

uint32_t fake_state(const struct quiver_dext *dext)
{
	struct quiver_dext_identity identity;

	quiver_dext_identify(dext, &identity);
	return identity.state;
}

void fake_expect(const struct quiver_dext *dext, enum quiver_dext_state state,
		 enum quiver_dext_cause cause, uint32_t mappings)
{
	struct quiver_dext_identity identity;

	quiver_dext_identify(dext, &identity);
	assert_int_equal(identity.state, state);
	assert_int_equal(identity.cause, cause);
	assert_int_equal(identity.mappings, mappings);
	assert_int_equal(fake.mapped, mappings);
}

static uint32_t fake_run(struct quiver_dext *dext, struct quiver_dext_dma_entry entry,
			 uint64_t *iova)
{
	struct quiver_dext_dma_request request = { .count = 1 };
	struct quiver_dext_dma_result result;

	request.entry[0] = entry;
	assert_int_equal(quiver_dext_dma(dext, &client_a, &request, sizeof(request), &result,
					 sizeof(result)), 0);
	if (iova)
		*iova = result.entry[0].iova;
	return result.entry[0].status;
}

static uint32_t map_with(struct quiver_dext *dext, uint32_t flags, uint64_t granules,
			 uint64_t *iova)
{
	return fake_run(dext, (struct quiver_dext_dma_entry){
		.op = QUIVER_DEXT_DMA_MAP, .flags = flags, .address = GRANULE,
		.length = granules * GRANULE }, iova);
}

uint32_t fake_map(struct quiver_dext *dext, uint64_t granules, uint64_t *iova)
{
	return map_with(dext, QUIVER_DEXT_DMA_READ, granules, iova);
}

uint32_t fake_map_staying(struct quiver_dext *dext, uint64_t granules, uint64_t *iova)
{
	return map_with(dext, QUIVER_DEXT_DMA_READ | QUIVER_DEXT_DMA_STAYS, granules, iova);
}

uint32_t fake_unmap(struct quiver_dext *dext, uint64_t granules, uint64_t iova)
{
	return fake_run(dext, (struct quiver_dext_dma_entry){
		.op = QUIVER_DEXT_DMA_UNMAP, .iova = iova, .length = granules * GRANULE }, NULL);
}

void fake_make_live(struct quiver_dext *dext)
{
	assert_int_equal(quiver_dext_config_write(dext, &client_a, 4, 2, 6), 0);
	assert_int_equal(fake_state(dext), QUIVER_DEXT_LIVE);
}

void fake_expect_log(const char *log)
{
	assert_string_equal(fake.log, log);
	memset(fake.log, 0, sizeof(fake.log));
}
