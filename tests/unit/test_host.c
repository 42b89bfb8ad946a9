// SPDX-License-Identifier: BSD-3-Clause
/* libquiver on an IOKit that answers what the test wants. */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "quiver/host.h"
#include "test_host_iokit.h"

static int setup(void **state)
{
	fake_reset();
	return 0;
}

/* Whatever happened, nothing of IOKit's may be left over. */
static int teardown(void **state)
{
	return fake.connections || fake.objects;
}

static struct quiver_device *open_device(void)
{
	struct quiver_device *device;

	assert_int_equal(quiver_device_open(0x100, &device), 0);
	return device;
}

static void list_without_a_dext_is_ENOENT(void **state)
{
	struct quiver_device_info info;

	fake.services = 0;
	assert_int_equal(quiver_devices_list(&info, 1), -ENOENT);
}

static void list_counts_beyond_what_it_writes(void **state)
{
	struct quiver_device_info info[3];

	memset(info, 0xee, sizeof(info));
	fake.services = 3;
	fake.identity.vendor = 0x10de;
	assert_int_equal(quiver_devices_list(info, 2), 3);
	assert_int_equal(info[0].id, 0x100);
	assert_int_equal(info[1].id, 0x101);
	assert_int_equal(info[1].identity.vendor, 0x10de);
	assert_int_equal(info[2].id, 0xeeeeeeeeeeeeeeeeull);
	assert_int_equal(quiver_devices_list(NULL, 0), 3);
}

static void list_of_another_ABI_is_EPROTO(void **state)
{
	struct quiver_device_info info;

	fake.identity.abi_version++;
	assert_int_equal(quiver_devices_list(&info, 1), -EPROTO);
	/* A later dext may answer with less or more, its version comes first. */
	fake.identity_size = sizeof(uint32_t);
	assert_int_equal(quiver_devices_list(&info, 1), -EPROTO);
}

static void a_registry_that_changes_is_walked_again(void **state)
{
	struct quiver_device_info info[3];
	struct quiver_device *device;

	fake.services = 3;
	fake.restless = 3;
	assert_int_equal(quiver_devices_list(info, 3), 3);
	assert_int_equal(info[2].id, 0x102);
	fake.restless = 1;
	assert_int_equal(quiver_device_open(0x102, &device), 0);
	quiver_device_close(device);
	/* For ever is too long. */
	fake.restless = UINT_MAX;
	assert_int_equal(quiver_devices_list(info, 3), -EIO);
	assert_int_equal(fake.objects, 0);
}

static void each_device_is_asked_for_itself(void **state)
{
	struct quiver_dext_identity identity;
	struct quiver_device_info info[2];

	fake.services = 2;
	fake.identity.vendor = 0x10de;
	fake.open_status_of_last = kIOReturnNotPermitted;
	/* The list has who answers, */
	assert_int_equal(quiver_devices_list(info, 2), 1);
	/* and who does not is asked for the reason. */
	assert_int_equal(quiver_device_identify(0x100, &identity), 0);
	assert_int_equal(identity.vendor, 0x10de);
	assert_int_equal(quiver_device_identify(0x101, &identity), -EPERM);
	assert_int_equal(quiver_device_identify(0x102, &identity), -ENOENT);
	fake.open_status_of_last = 0;
	fake.identity.abi_version++;
	assert_int_equal(quiver_device_identify(0x101, &identity), -EPROTO);
	assert_int_equal(fake.connections, 0);
	assert_int_equal(fake.objects, 0);
}

static void open_converts_each_failure(void **state)
{
	static const struct {
		kern_return_t status;
		int error;
	} table[] = {
		{ kIOReturnExclusiveAccess, -EBUSY }, { kIOReturnUnsupported, -EPERM },
		{ kIOReturnNotResponding, -ENODEV },  { kIOReturnNoDevice, -ENODEV },
		{ MACH_SEND_INVALID_DEST, -ENODEV },  { kIOReturnNoMemory, -ENOMEM },
		{ kIOReturnNotWritable, -EACCES },    { kIOReturnError, -EIO },
		{ 0x12345, -EIO },
	};
	struct quiver_device *device;
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		fake.status[QUIVER_DEXT_CLAIM] = table[i].status;
		assert_int_equal(quiver_device_open(0x100, &device), table[i].error);
		assert_int_equal(fake.connections, 0);
	}
}

static void open_waits_for_a_client_that_is_on_its_way_out(void **state)
{
	fake.claims_refused = 3;
	quiver_device_close(open_device());
	assert_int_equal(fake.calls[QUIVER_DEXT_CLAIM], 4);
}

static void open_refuses_ids_that_are_not_the_dexts(void **state)
{
	struct quiver_device *device;

	assert_int_equal(quiver_device_open(0x999, &device), -ENOENT);
	assert_int_equal(fake.calls[QUIVER_DEXT_CLAIM], 0);
}

static void open_does_not_claim_another_ABI(void **state)
{
	struct quiver_device *device;

	fake.identity.abi_version = 99;
	assert_int_equal(quiver_device_open(0x100, &device), -EPROTO);
	assert_int_equal(fake.calls[QUIVER_DEXT_CLAIM], 0);
}

static void closing_nothing_is_fine(void **state)
{
	quiver_device_close(NULL);
}

static void config_accesses_are_checked_first(void **state)
{
	struct quiver_device *device = open_device();
	uint32_t value = 0;

	assert_int_equal(quiver_config_read(device, 0, 3, &value), -EINVAL);
	assert_int_equal(quiver_config_read(device, 2, 4, &value), -EINVAL);
	assert_int_equal(quiver_config_read(device, 4096, 1, &value), -EINVAL);
	assert_int_equal(quiver_config_write(device, 1, 2, 0), -EINVAL);
	assert_int_equal(fake.calls[QUIVER_DEXT_CONFIG_READ], 0);
	assert_int_equal(quiver_config_write(device, 4, 2, 0x0006), 0);
	assert_int_equal(quiver_config_read(device, 4, 1, &value), 0);
	assert_int_equal(value, 0x06);
	quiver_device_close(device);
}

static void bars_are_mapped_once(void **state)
{
	static unsigned char memory[64];
	struct quiver_device *device = open_device();
	void *first, *second;
	uint64_t length;

	fake.bar_memory = memory;
	fake.bar[2] = (struct quiver_dext_bar){ .length = 64, .memory_type = 2 };
	assert_int_equal(quiver_bar_map(device, 6, &first, &length), -EINVAL);
	assert_int_equal(quiver_bar_map(device, 1, &first, &length), -ENOENT);
	assert_int_equal(quiver_bar_map(device, 2, &first, &length), 0);
	assert_int_equal(quiver_bar_map(device, 2, &second, &length), 0);
	assert_ptr_equal(first, memory);
	assert_ptr_equal(second, memory);
	assert_int_equal(length, 64);
	assert_int_equal(fake.maps, 1);
	quiver_device_close(device);
	assert_int_equal(fake.unmaps, 1);
}

static void fill_maps(struct quiver_dma *dma, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		dma[i] = (struct quiver_dma){ .op = QUIVER_MAP, .flags = QUIVER_DEXT_DMA_READ,
					      .address = (void *)(0x4000 * (i + 1)),
					      .length = 0x4000, .result = 42 };
}

static void batches_are_split_and_keep_their_order(void **state)
{
	struct quiver_device *device = open_device();
	struct quiver_dma dma[300];
	size_t i;

	fill_maps(dma, 300);
	assert_int_equal(quiver_dma_batch(device, dma, 300), 0);
	assert_int_equal(fake.calls[QUIVER_DEXT_DMA], 3);
	assert_int_equal(fake.call_count[0], 127);
	assert_int_equal(fake.call_count[1], 127);
	assert_int_equal(fake.call_count[2], 46);
	for (i = 0; i < 300; i++) {
		assert_int_equal(dma[i].result, 0);
		assert_int_equal(dma[i].iova, 0x4000 * (i + 1) + 1);
	}
	quiver_device_close(device);
}

static void malformed_entries_do_not_reach_the_dext(void **state)
{
	struct quiver_device *device = open_device();
	struct quiver_dma dma[6];

	fill_maps(dma, 6);
	dma[0].op = 7;
	dma[1].flags = 0;
	dma[2].flags = 4;
	dma[3].length = 0;
	dma[4].address = NULL;
	assert_int_equal(quiver_dma_batch(device, dma, 6), 0);
	assert_int_equal(fake.entries, 1);
	for (int i = 0; i < 5; i++)
		assert_int_equal(dma[i].result, -EINVAL);
	assert_int_equal(dma[5].result, 0);
	assert_int_equal(dma[5].iova, 0x4000 * 6 + 1);
	assert_int_equal(quiver_dma_batch(device, dma, 5), 0);
	assert_int_equal(quiver_dma_batch(device, NULL, 0), 0);
	assert_int_equal(fake.calls[QUIVER_DEXT_DMA], 1);
	quiver_device_close(device);
}

static void each_code_has_its_errno(void **state)
{
	static const int expected[] = { 0, -EINVAL, -ENOENT, -E2BIG, -ENOSPC, -EFAULT, -EIO, -EIO,
					-EIO };
	struct quiver_device *device = open_device();
	struct quiver_dma dma[9];

	fill_maps(dma, 9);
	fake.codes = 9;
	for (uint32_t i = 0; i < 9; i++)
		fake.code[i] = i;	/* the last is one that we do not know */
	assert_int_equal(quiver_dma_batch(device, dma, 9), 0);
	for (int i = 0; i < 9; i++) {
		assert_int_equal(dma[i].result, expected[i]);
		assert_int_equal(dma[i].iova, expected[i] ? 0 : 0x4000 * (i + 1) + 1);
	}
	quiver_device_close(device);
}

static void a_call_that_fails_stops_the_batch(void **state)
{
	struct quiver_device *device = open_device();
	struct quiver_dma dma[300];

	fill_maps(dma, 300);
	fake.status[QUIVER_DEXT_DMA] = kIOReturnNoDevice;
	fake.fail_call = 2;
	assert_int_equal(quiver_dma_batch(device, dma, 300), -ENODEV);
	assert_int_equal(fake.calls[QUIVER_DEXT_DMA], 2);
	assert_int_equal(dma[126].result, 0);
	assert_int_equal(dma[127].result, -ENODEV);
	assert_int_equal(dma[299].result, -ENODEV);
	quiver_device_close(device);
}

static void an_answer_of_the_wrong_size_is_EIO(void **state)
{
	struct quiver_device *device = open_device();
	struct quiver_dma dma[2];

	fill_maps(dma, 2);
	fake.result_count_skew = 1;
	assert_int_equal(quiver_dma_batch(device, dma, 2), -EIO);
	assert_int_equal(dma[0].result, -EIO);
	assert_int_equal(dma[1].result, -EIO);
	quiver_device_close(device);
}

static void reset_reports_what_it_dropped(void **state)
{
	struct quiver_device *device = open_device();
	uint64_t dropped = 0;

	fake.dropped = 17;
	assert_int_equal(quiver_device_reset(device, 0, &dropped), 0);
	assert_int_equal(dropped, 17);
	assert_int_equal(quiver_device_reset(device, 0, NULL), 0);
	fake.status[QUIVER_DEXT_RESET] = kIOReturnNotResponding;
	assert_int_equal(quiver_device_reset(device, 0, NULL), -ENODEV);
	quiver_device_close(device);
}

/* What macOS answers on a connection that went with its device. */
static void a_connection_that_has_ended_is_ENODEV(void **state)
{
	struct quiver_device *device = open_device();
	struct quiver_dext_stats stats;
	struct quiver_dext_bar bar;
	struct quiver_dma dma[2];
	uint32_t value = 0;
	uint64_t length;
	void *address;

	fill_maps(dma, 2);
	fake.bar[2] = (struct quiver_dext_bar){ .length = 64, .memory_type = 2 };
	fake.disconnected = true;
	assert_int_equal(quiver_config_read(device, 0, 4, &value), -ENODEV);
	assert_int_equal(quiver_config_write(device, 4, 2, 6), -ENODEV);
	assert_int_equal(quiver_bar_info(device, 0, &bar), -ENODEV);
	assert_int_equal(quiver_bar_map(device, 2, &address, &length), -ENODEV);
	assert_int_equal(quiver_dma_batch(device, dma, 2), -ENODEV);
	assert_int_equal(dma[1].result, -ENODEV);
	assert_int_equal(quiver_irq_configure(device, QUIVER_DEXT_IRQ_NONE, 0, NULL, NULL, NULL),
			 -ENODEV);
	assert_int_equal(quiver_device_reset(device, 0, NULL), -ENODEV);
	assert_int_equal(quiver_device_stats(device, &stats), -ENODEV);
	quiver_device_close(device);
}

static void a_bad_argument_of_one_that_lives_is_EINVAL(void **state)
{
	struct quiver_device *device = open_device();

	fake.status[QUIVER_DEXT_RESET] = kIOReturnBadArgument;
	assert_int_equal(quiver_device_reset(device, 0x80, NULL), -EINVAL);
	quiver_device_close(device);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(list_without_a_dext_is_ENOENT),
		TEST(list_counts_beyond_what_it_writes),
		TEST(list_of_another_ABI_is_EPROTO),
		TEST(a_registry_that_changes_is_walked_again),
		TEST(each_device_is_asked_for_itself),
		TEST(open_converts_each_failure),
		TEST(open_waits_for_a_client_that_is_on_its_way_out),
		TEST(open_refuses_ids_that_are_not_the_dexts),
		TEST(open_does_not_claim_another_ABI),
		TEST(closing_nothing_is_fine),
		TEST(config_accesses_are_checked_first),
		TEST(bars_are_mapped_once),
		TEST(batches_are_split_and_keep_their_order),
		TEST(malformed_entries_do_not_reach_the_dext),
		TEST(each_code_has_its_errno),
		TEST(a_call_that_fails_stops_the_batch),
		TEST(an_answer_of_the_wrong_size_is_EIO),
		TEST(reset_reports_what_it_dropped),
		TEST(a_connection_that_has_ended_is_ENODEV),
		TEST(a_bad_argument_of_one_that_lives_is_EINVAL),
	};

	return cmocka_run_group_tests_name("host", tests, NULL, NULL);
}
