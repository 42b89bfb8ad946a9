// SPDX-License-Identifier: BSD-3-Clause
/* The controller as a driver finds it, sets it up, and asks it. */
#include "nvme_driver.h"

#include <string.h>

#define DISK "nvme,size=8M"

static uint8_t *data(struct driver *driver)
{
	return driver->machine.memory + DATA;
}

static struct sqe identify(struct driver *driver, uint32_t cns, uint32_t nsid)
{
	return (struct sqe){ .opcode = ADMIN_IDENTIFY, .nsid = nsid, .cdw10 = cns,
			     .prp1 = bus(driver, DATA) };
}

static void the_registers_say_what_drivers_look_for(void **state)
{
	struct driver driver;
	uint64_t cap;

	driver_start(&driver, DISK, DISABLED);
	cap = machine_reg(&driver.machine, 0) | (uint64_t)machine_reg(&driver.machine, 4) << 32;
	assert_int_equal(cap & 0xffff, 1023);		/* entries of a queue, less one */
	assert_int_equal(cap >> 32 & 15, 0);		/* doorbell stride */
	assert_int_equal(cap >> 37 & 1, 1);		/* the NVM command set */
	assert_int_equal(cap >> 48 & 0xff, 0);		/* 4 KiB pages only */
	assert_int_equal(machine_reg(&driver.machine, 8), 0x10400);
	assert_int_equal(machine_reg(&driver.machine, CSTS), 0);
	driver_stop(&driver);
}

static void it_can_be_enabled_again_and_again(void **state)
{
	struct driver driver;
	unsigned int i;

	driver_start(&driver, DISK, WITH_IO);
	for (i = 0; i < 20; i++) {
		driver_disable(&driver);
		driver_enable(&driver);
		driver_create_io(&driver);
		assert_int_equal(queue_run(&driver.io, (struct sqe){ .opcode = IO_FLUSH,
								    .nsid = 1 }, NULL), 0);
	}
	driver_stop(&driver);
}

static void bad_settings_are_a_fatal_status(void **state)
{
	static const uint32_t bad[] = { 1 << 7 | 1, 1 << 4 | 1, 1 << 11 | 1 };
	struct driver driver;
	unsigned int i;

	driver_start(&driver, DISK, DISABLED);
	machine_set_reg(&driver.machine, AQA, 0x000f000f);
	for (i = 0; i < 3; i++) {
		machine_set_reg(&driver.machine, CC, SETTINGS | bad[i]);
		machine_await_reg(&driver.machine, CSTS, 3, 2);
		machine_set_reg(&driver.machine, CC, 0);
		machine_await_reg(&driver.machine, CSTS, 3, 0);
	}
	machine_set_reg(&driver.machine, ASQ, 512);
	machine_set_reg(&driver.machine, CC, SETTINGS | 1);
	machine_await_reg(&driver.machine, CSTS, 3, 2);
	driver_stop(&driver);
}

static void identify_describes_controller_and_namespace(void **state)
{
	struct driver driver;
	uint8_t *id;
	uint64_t blocks;

	driver_start(&driver, "nvme,size=8M,block=4096,serial=S123", ENABLED);
	id = data(&driver);
	assert_int_equal(queue_run(&driver.admin, identify(&driver, 1, 0), NULL), 0);
	assert_memory_equal(id + 4, "S123                ", 20);
	assert_int_equal(id[77], 8);
	assert_int_equal(id[512], 0x66);
	assert_int_equal(id[516], 1);
	assert_memory_equal(id + 768, "nqn.2014-08.org.nvmexpress:", 27);
	assert_int_equal(queue_run(&driver.admin, identify(&driver, 0, 1), NULL), 0);
	memcpy(&blocks, id, 8);
	assert_int_equal(blocks, 2048);
	assert_int_equal(id[130], 12);
	assert_int_equal(queue_run(&driver.admin, identify(&driver, 2, 0), NULL), 0);
	assert_memory_equal(id, "\1\0\0\0\0\0\0\0", 8);
	assert_int_equal(queue_run(&driver.admin, identify(&driver, 2, 1), NULL), 0);
	assert_memory_equal(id, "\0\0\0\0", 4);
	assert_int_equal(queue_run(&driver.admin, identify(&driver, 3, 1), NULL), 0);
	assert_memory_equal(id, "\1\10\0\0", 4);
	assert_int_equal(queue_run(&driver.admin, identify(&driver, 0, 2), NULL), 0x0b);
	assert_int_equal(queue_run(&driver.admin, identify(&driver, 6, 0), NULL), 0x02);
	driver_stop(&driver);
}

static void features_are_kept(void **state)
{
	struct driver driver;
	struct sqe get = { .opcode = ADMIN_GET_FEATURES }, set = { .opcode = ADMIN_SET_FEATURES };
	uint32_t result;

	driver_start(&driver, DISK, ENABLED);
	set.cdw10 = 7;
	set.cdw11 = 0x003f003f;
	assert_int_equal(queue_run(&driver.admin, set, &result), 0);
	assert_int_equal(result, 0x00070007);
	set.cdw11 = 0xffff;
	assert_int_equal(queue_run(&driver.admin, set, &result), 2);
	get.cdw10 = 6;
	assert_int_equal(queue_run(&driver.admin, get, &result), 0);
	assert_int_equal(result, 1);
	set.cdw10 = 6;
	set.cdw11 = 0;
	assert_int_equal(queue_run(&driver.admin, set, NULL), 0);
	assert_int_equal(queue_run(&driver.admin, get, &result), 0);
	assert_int_equal(result, 0);
	get.cdw10 = 6 | 1 << 8;
	assert_int_equal(queue_run(&driver.admin, get, &result), 0);
	assert_int_equal(result, 1);
	set.cdw10 = 6 | 1u << 31;
	assert_int_equal(queue_run(&driver.admin, set, NULL), 0x10d);
	get.cdw10 = 0x0c;
	assert_int_equal(queue_run(&driver.admin, get, NULL), 2);
	get.cdw10 = 0xff;
	assert_int_equal(queue_run(&driver.admin, get, NULL), 2);
	driver_stop(&driver);
}

static void log_pages_are_read_in_any_part(void **state)
{
	struct driver driver;
	struct sqe log = { .opcode = ADMIN_GET_LOG, .nsid = ~0u, .cdw10 = 127 << 16 | 2 };
	uint8_t *page;

	driver_start(&driver, DISK, ENABLED);
	page = data(&driver);
	log.prp1 = bus(&driver, DATA);
	memset(page, 0xff, PAGE);
	assert_int_equal(queue_run(&driver.admin, log, NULL), 0);
	assert_int_equal(page[1] | page[2] << 8, 300);
	assert_int_equal(page[3], 100);
	assert_int_equal(page[512], 0xff);
	log.cdw10 = 1 << 16 | 2;
	log.cdw12 = 508;	/* and four bytes beyond its end */
	assert_int_equal(queue_run(&driver.admin, log, NULL), 0);
	assert_int_equal(page[4], 0);
	log.cdw12 = 516;
	assert_int_equal(queue_run(&driver.admin, log, NULL), 2);
	log.cdw12 = 1;
	assert_int_equal(queue_run(&driver.admin, log, NULL), 2);
	log.cdw12 = 0;
	log.cdw10 = 0xffff0002;
	log.cdw11 = 0xffff;
	assert_int_equal(queue_run(&driver.admin, log, NULL), 2);
	log.cdw11 = 0;
	log.cdw10 = 0x77;
	assert_int_equal(queue_run(&driver.admin, log, NULL), 0x109);
	driver_stop(&driver);
}

static void queues_must_make_sense(void **state)
{
	struct driver driver;
	struct sqe cq = { .opcode = ADMIN_CREATE_CQ, .cdw10 = 15 << 16 | 2, .cdw11 = 2 << 16 | 3 };
	struct sqe sq = { .opcode = ADMIN_CREATE_SQ, .cdw10 = 15 << 16 | 2, .cdw11 = 2 << 16 | 1 };
	struct sqe bad;

	driver_start(&driver, DISK, WITH_IO);
	cq.prp1 = bus(&driver, DATA);
	sq.prp1 = bus(&driver, DATA + PAGE);
	assert_int_equal(queue_run(&driver.admin, sq, NULL), 0x100);
	bad = cq;
	bad.cdw10 = 15 << 16;
	assert_int_equal(queue_run(&driver.admin, bad, NULL), 0x101);
	bad.cdw10 = 15 << 16 | 9;
	assert_int_equal(queue_run(&driver.admin, bad, NULL), 0x101);
	bad.cdw10 = 15 << 16 | 1;
	assert_int_equal(queue_run(&driver.admin, bad, NULL), 0x101);
	bad.cdw10 = 2;
	assert_int_equal(queue_run(&driver.admin, bad, NULL), 0x102);
	bad.cdw10 = 1024 << 16 | 2;
	assert_int_equal(queue_run(&driver.admin, bad, NULL), 0x102);
	bad = cq;
	bad.cdw11 = 9 << 16 | 3;
	assert_int_equal(queue_run(&driver.admin, bad, NULL), 0x108);
	bad.cdw11 = 2 << 16 | 2;
	assert_int_equal(queue_run(&driver.admin, bad, NULL), 0x02);
	bad = cq;
	bad.prp1 += 512;
	assert_int_equal(queue_run(&driver.admin, bad, NULL), 0x13);
	assert_int_equal(queue_run(&driver.admin, cq, NULL), 0);
	assert_int_equal(queue_run(&driver.admin, sq, NULL), 0);
	bad = (struct sqe){ .opcode = ADMIN_DELETE_CQ, .cdw10 = 2 };
	assert_int_equal(queue_run(&driver.admin, bad, NULL), 0x10c);
	bad.opcode = ADMIN_DELETE_SQ;
	assert_int_equal(queue_run(&driver.admin, bad, NULL), 0);
	assert_int_equal(queue_run(&driver.admin, bad, NULL), 0x101);
	bad.opcode = ADMIN_DELETE_CQ;
	assert_int_equal(queue_run(&driver.admin, bad, NULL), 0);
	bad.cdw10 = 0;
	assert_int_equal(queue_run(&driver.admin, bad, NULL), 0x101);
	driver_stop(&driver);
}

static void event_requests_are_held_up_to_a_limit(void **state)
{
	struct driver driver;
	unsigned int i;

	driver_start(&driver, DISK, ENABLED);
	for (i = 0; i < 4; i++)
		queue_put(&driver.admin, (struct sqe){ .opcode = ADMIN_ASYNC_EVENT });
	queue_ring(&driver.admin);
	assert_int_equal(queue_run(&driver.admin, (struct sqe){ .opcode = ADMIN_ASYNC_EVENT },
				   NULL), 0x105);
	/* A doorbell beyond its queue is an event, and no more than that. */
	machine_set_reg(&driver.machine, 0x1000, 16);
	assert_int_equal(queue_take(&driver.admin).result, 0x00010100);
	queue_ring(&driver.admin);
	assert_int_equal(queue_run(&driver.admin, identify(&driver, 1, 0), NULL), 0);
	driver_stop(&driver);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_registers_say_what_drivers_look_for),
		cmocka_unit_test(it_can_be_enabled_again_and_again),
		cmocka_unit_test(bad_settings_are_a_fatal_status),
		cmocka_unit_test(identify_describes_controller_and_namespace),
		cmocka_unit_test(features_are_kept),
		cmocka_unit_test(log_pages_are_read_in_any_part),
		cmocka_unit_test(queues_must_make_sense),
		cmocka_unit_test(event_requests_are_held_up_to_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
