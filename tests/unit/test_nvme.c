// SPDX-License-Identifier: BSD-3-Clause
#include "nvme_driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DISK "nvme,size=8M"
#define DISK_BLOCKS 16384u
#define MIB (1u << 20)

static uint8_t *data(struct driver *driver)
{
	return driver->machine.memory + DATA;
}

/* Pages of a transfer in this order: the last first, as no two neighbours lie. */
static uint64_t page_place(unsigned int pages, unsigned int i)
{
	return DATA + (uint64_t)(pages - 1 - i) * PAGE;
}

/* A transfer to or from whole pages at page_place(). */
static struct sqe transfer(struct driver *driver, uint8_t opcode, uint64_t lba, unsigned int pages)
{
	uint64_t *list = (void *)(driver->machine.memory + PRP_LIST);
	unsigned int i, at = 300;	/* so that a long one goes on in the next page */
	struct sqe sqe = { .opcode = opcode, .nsid = 1, .cdw10 = (uint32_t)lba,
			   .cdw11 = (uint32_t)(lba >> 32), .cdw12 = pages * (PAGE / 512) - 1,
			   .prp1 = bus(driver, page_place(pages, 0)) };

	if (pages == 2)
		sqe.prp2 = bus(driver, page_place(pages, 1));
	if (pages <= 2)
		return sqe;
	sqe.prp2 = bus(driver, PRP_LIST) + at * 8;
	for (i = 1; i < pages; i++) {
		if (at == 511 && i < pages - 1)
			list[at++] = bus(driver, PRP_LIST + PAGE);
		list[at++] = bus(driver, page_place(pages, i));
	}
	return sqe;
}

static void unknown_commands_are_refused(void **state)
{
	struct driver driver;
	unsigned int opcode;

	driver_start(&driver, DISK, WITH_IO);
	for (opcode = 0x0d; opcode < 256; opcode++)
		assert_int_equal(queue_run(&driver.admin, (struct sqe){ .opcode = (uint8_t)opcode },
					   NULL), 1);
	for (opcode = 0x0a; opcode < 256; opcode++)
		assert_int_equal(queue_run(&driver.io, (struct sqe){ .opcode = (uint8_t)opcode,
								     .nsid = 1 }, NULL), 1);
	assert_int_equal(queue_run(&driver.io, (struct sqe){ .opcode = IO_READ, .nsid = 2 }, NULL),
			 0x0b);
	assert_int_equal(queue_run(&driver.io, (struct sqe){ .opcode = IO_READ, .nsid = 1,
							     .flags = 0x40 }, NULL), 2);
	assert_int_equal(queue_run(&driver.admin, (struct sqe){ .opcode = ADMIN_IDENTIFY,
								.flags = 1 }, NULL), 2);
	driver_stop(&driver);
}

static void what_is_written_is_read_back(void **state)
{
	static const unsigned int sizes[] = { 1, 2, 3, 16, 255, 256 };
	struct driver driver;
	uint8_t *copy = malloc(MIB);
	unsigned int i, j, lba;

	driver_start(&driver, DISK, WITH_IO);
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t length = (size_t)sizes[i] * PAGE;

		lba = (unsigned int)rand() % (DISK_BLOCKS - sizes[i] * 8 + 1);
		for (j = 0; j < length; j++)
			copy[j] = data(&driver)[j] = (uint8_t)rand();
		assert_int_equal(queue_run(&driver.io, transfer(&driver, IO_WRITE, lba, sizes[i]),
					   NULL), 0);
		memset(data(&driver), 0, length);
		assert_int_equal(queue_run(&driver.io, transfer(&driver, IO_READ, lba, sizes[i]),
					   NULL), 0);
		assert_memory_equal(data(&driver), copy, length);
	}
	/* Page by page the order on the disk is the list's, not that of memory. */
	assert_int_equal(queue_run(&driver.io, transfer(&driver, IO_READ, lba, 1), NULL), 0);
	assert_memory_equal(data(&driver), copy + 255 * PAGE, PAGE);
	driver_stop(&driver);
	free(copy);
}

static void transfers_need_not_start_a_page(void **state)
{
	struct driver driver;
	struct sqe sqe = { .opcode = IO_WRITE, .nsid = 1, .cdw12 = 8 };	/* 4608 bytes */
	unsigned int i;

	driver_start(&driver, DISK, WITH_IO);
	for (i = 0; i < 3 * PAGE; i++)
		data(&driver)[i] = (uint8_t)rand();
	sqe.prp1 = bus(&driver, DATA + 3584);
	sqe.prp2 = bus(&driver, DATA + 2 * PAGE);
	assert_int_equal(queue_run(&driver.io, sqe, NULL), 0);
	sqe.opcode = IO_READ;
	sqe.prp1 = bus(&driver, DATA + 8 * PAGE);
	sqe.prp2 = bus(&driver, DATA + 9 * PAGE);
	assert_int_equal(queue_run(&driver.io, sqe, NULL), 0);
	assert_memory_equal(data(&driver) + 8 * PAGE, data(&driver) + 3584, 512);
	assert_memory_equal(data(&driver) + 8 * PAGE + 512, data(&driver) + 2 * PAGE, 4096);
	assert_int_equal(data(&driver)[9 * PAGE + 512], 0);
	driver_stop(&driver);
}

static void bad_transfers_are_refused(void **state)
{
	struct driver driver;
	struct sqe sqe;

	driver_start(&driver, DISK, WITH_IO);
	sqe = transfer(&driver, IO_READ, DISK_BLOCKS - 7, 1);
	assert_int_equal(queue_run(&driver.io, sqe, NULL), 0x80);
	sqe = transfer(&driver, IO_READ, UINT64_MAX - 3, 1);
	assert_int_equal(queue_run(&driver.io, sqe, NULL), 0x80);
	sqe = transfer(&driver, IO_WRITE, 0, 256);
	sqe.cdw12 = 2048;	/* a block more than 1 MiB */
	assert_int_equal(queue_run(&driver.io, sqe, NULL), 2);
	sqe.cdw12 = 65535;
	assert_int_equal(queue_run(&driver.io, sqe, NULL), 2);
	sqe = transfer(&driver, IO_WRITE, 0, 1);
	sqe.prp1 += 2;
	assert_int_equal(queue_run(&driver.io, sqe, NULL), 0x13);
	sqe = transfer(&driver, IO_WRITE, 0, 2);
	sqe.prp2 += 512;
	assert_int_equal(queue_run(&driver.io, sqe, NULL), 0x13);
	sqe = transfer(&driver, IO_WRITE, 0, 3);
	sqe.prp2 += 4;
	assert_int_equal(queue_run(&driver.io, sqe, NULL), 0x13);
	sqe = transfer(&driver, IO_WRITE, 0, 3);
	((uint64_t *)(void *)(driver.machine.memory + PRP_LIST))[301] += 512;
	assert_int_equal(queue_run(&driver.io, sqe, NULL), 0x13);
	driver_stop(&driver);
}

/* A list whose last entry leads to itself must not keep the device busy for ever. */
static void a_list_that_bites_its_tail_ends(void **state)
{
	struct driver driver;
	uint64_t *list;
	struct sqe sqe;

	driver_start(&driver, DISK, WITH_IO);
	list = (void *)(driver.machine.memory + PRP_LIST);
	sqe = transfer(&driver, IO_READ, 0, 256);
	list[511] = bus(&driver, PRP_LIST) + 511 * 8;
	sqe.prp2 = bus(&driver, PRP_LIST) + 511 * 8;
	assert_int_equal(queue_run(&driver.io, sqe, NULL), 0x13);
	list[511] = bus(&driver, PRP_LIST);
	memset(list, 0, 8);
	list[0] = list[511];
	assert_int_equal(queue_run(&driver.io, (struct sqe){ .opcode = IO_FLUSH, .nsid = 1 }, NULL),
			 0);
	driver_stop(&driver);
}

static void zeroes_and_deallocated_blocks_read_as_zeros(void **state)
{
	struct driver driver;
	struct sqe zero = { .opcode = IO_ZEROES, .nsid = 1, .cdw10 = 8, .cdw12 = 7 };
	struct sqe dataset = { .opcode = IO_DATASET, .nsid = 1, .cdw10 = 1, .cdw11 = 4 };
	struct { uint32_t attributes, blocks; uint64_t lba; } *range;
	unsigned int i;

	driver_start(&driver, DISK, WITH_IO);
	memset(data(&driver), 0x11, 4 * PAGE);
	assert_int_equal(queue_run(&driver.io, transfer(&driver, IO_WRITE, 0, 4), NULL), 0);
	assert_int_equal(queue_run(&driver.io, zero, NULL), 0);
	dataset.prp1 = bus(&driver, DATA);
	range = (void *)data(&driver);
	memset(range, 0, 32);
	range[0].lba = 16;
	range[0].blocks = 8;
	range[1].lba = DISK_BLOCKS;
	assert_int_equal(queue_run(&driver.io, dataset, NULL), 0);
	range[1].blocks = 1;
	assert_int_equal(queue_run(&driver.io, dataset, NULL), 0x80);
	range[1].lba = UINT64_MAX;
	assert_int_equal(queue_run(&driver.io, dataset, NULL), 0x80);
	assert_int_equal(queue_run(&driver.io, transfer(&driver, IO_READ, 0, 4), NULL), 0);
	for (i = 0; i < 4; i++)
		assert_int_equal(driver.machine.memory[page_place(4, i) + 7],
				 i == 1 || i == 2 ? 0 : 0x11);
	zero.cdw10 = DISK_BLOCKS - 7;
	assert_int_equal(queue_run(&driver.io, zero, NULL), 0x80);
	driver_stop(&driver);
}

/* More than both queues hold, so that both wrap, with several under way at a time. */
static void many_commands_complete_once_each(void **state)
{
	struct driver driver;
	unsigned int round, i, seen;

	driver_start(&driver, DISK, WITH_IO);
	for (round = 0; round < 500; round++) {
		unsigned int batch = 1 + (unsigned int)rand() % (ENTRIES - 1);
		uint16_t first = driver.io.next_cid;

		for (i = 0; i < batch; i++)
			queue_put(&driver.io, i % 3 ? transfer(&driver, IO_READ, i, 1) :
				  (struct sqe){ .opcode = IO_FLUSH, .nsid = 1 });
		queue_ring(&driver.io);
		for (i = seen = 0; i < batch; i++) {
			struct cqe cqe = queue_take(&driver.io);

			assert_int_equal(cqe.status >> 1, 0);
			seen |= 1u << (uint16_t)(cqe.cid - first);
		}
		assert_int_equal(seen, (1u << batch) - 1);
	}
	assert_true(atomic_load(&driver.machine.interrupts[1]) > 0);
	driver_stop(&driver);
}

static struct queue second_sq(struct driver *driver)
{
	struct sqe sq = { .opcode = ADMIN_CREATE_SQ, .prp1 = bus(driver, DATA + 8 * PAGE),
			  .cdw10 = (ENTRIES - 1) << 16 | 2, .cdw11 = 1 << 16 | 1 };

	assert_int_equal(queue_run(&driver->admin, sq, NULL), 0);
	return (struct queue){ .machine = &driver->machine, .id = 2, .sq_at = DATA + 8 * PAGE };
}

/*
 * Two submission queues that complete into one, which holds half of what they
 * can: the rest waits until there is room, and no entry is overwritten.
 */
static void a_full_completion_queue_waits(void **state)
{
	struct driver driver;
	struct queue second;
	struct sqe read = { .opcode = IO_READ, .nsid = 1 };
	unsigned int i, next[3] = { 0 };

	driver_start(&driver, DISK, WITH_IO);
	second = second_sq(&driver);
	read.prp1 = bus(&driver, DATA);
	for (i = 0; i < ENTRIES - 1; i++) {
		queue_put(&driver.io, read);
		queue_put(&second, read);
	}
	queue_ring(&driver.io);
	queue_ring(&second);
	usleep(20000);
	for (i = 0; i < 2 * (ENTRIES - 1); i++) {
		struct cqe cqe = queue_take(&driver.io);

		assert_in_range(cqe.sq_id, 1, 2);
		assert_int_equal(cqe.cid, next[cqe.sq_id]++);
	}
	assert_int_equal(next[1], ENTRIES - 1);
	driver_stop(&driver);
}

static void what_is_flushed_is_in_the_file(void **state)
{
	char path[] = "/tmp/quiver-nvme-XXXXXX", spec[128];
	struct driver driver;
	int fd = mkstemp(path);
	uint8_t byte = 0;
	struct stat st;

	snprintf(spec, sizeof(spec), "nvme,file=%s,size=2M", path);
	driver_start(&driver, spec, WITH_IO);
	memset(data(&driver), 0x33, PAGE);
	assert_int_equal(queue_run(&driver.io, transfer(&driver, IO_WRITE, 8, 1), NULL), 0);
	assert_int_equal(queue_run(&driver.io, (struct sqe){ .opcode = IO_FLUSH, .nsid = ~0u },
				   NULL), 0);
	assert_int_equal(pread(fd, &byte, 1, 4096), 1);
	assert_int_equal(byte, 0x33);
	driver_stop(&driver);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 2 * MIB);

	/* Another device finds it there, and the size by itself. */
	snprintf(spec, sizeof(spec), "nvme,file=%s", path);
	driver_start(&driver, spec, WITH_IO);
	assert_int_equal(queue_run(&driver.io, transfer(&driver, IO_READ, 8, 1), NULL), 0);
	assert_int_equal(data(&driver)[4095], 0x33);
	assert_int_equal(queue_run(&driver.io, transfer(&driver, IO_READ, 4089, 1), NULL), 0x80);
	/* A medium that fails is a status. */
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(queue_run(&driver.io, transfer(&driver, IO_READ, 8, 1), NULL), 0x281);
	driver_stop(&driver);
	close(fd);
	unlink(path);
}

static void after_a_shutdown_no_queue_is_used(void **state)
{
	struct driver driver;

	driver_start(&driver, DISK, WITH_IO);
	machine_set_reg(&driver.machine, CC, SETTINGS | 1 << 14 | 1);
	machine_await_reg(&driver.machine, CSTS, 0xc, 8);
	/* So that its memory may go, although the device still masters the bus. */
	assert_int_equal(simmac_dart_unmap(driver.machine.device->dart, driver.machine.iova,
					   MACHINE_MEMORY, false), 0);
	assert_int_equal(simmac_dart_map(driver.machine.device->dart, getpid(),
					 (uintptr_t)driver.machine.memory, MACHINE_MEMORY,
					 &driver.machine.iova), 0);
	driver_disable(&driver);
	machine_await_reg(&driver.machine, CSTS, 0xf, 0);
	driver_enable(&driver);
	driver_create_io(&driver);
	assert_int_equal(queue_run(&driver.io, transfer(&driver, IO_READ, 8, 1), NULL), 0);
	driver_stop(&driver);
}

static void unmap_queues(void *argument)
{
	struct driver driver;

	driver_start(&driver, DISK, ENABLED);
	simmac_dart_unmap(driver.machine.device->dart, driver.machine.iova, MACHINE_MEMORY, false);
}

static void unmapping_a_queue_panics(void **state)
{
	assert_panic(unmap_queues, NULL, "D8", "that the device is using");
}

/* The three places of a command that a guest may forget to map. */
static void read_unmapped(void *argument)
{
	struct driver driver;
	struct sqe sqe;

	driver_start(&driver, DISK, WITH_IO);
	sqe = transfer(&driver, IO_READ, 0, 3);
	switch (*(int *)argument) {
	case 0:
		sqe.prp1 = bus(&driver, MACHINE_MEMORY);
		break;
	case 1:
		sqe.prp2 = bus(&driver, MACHINE_MEMORY);
		break;
	default:
		((uint64_t *)(void *)(driver.machine.memory + PRP_LIST))[301] = PAGE;
	}
	queue_run(&driver.io, sqe, NULL);
}

static void dma_to_unmapped_memory_panics(void **state)
{
	int i;

	i = 0;
	assert_panic(read_unmapped, &i, "D6", "DMA write of");
	i = 1;
	assert_panic(read_unmapped, &i, "D6", "DMA read of 16 bytes");
	i = 2;
	assert_panic(read_unmapped, &i, "D6", "0x1000 is not mapped");
}

/* Anything at all in the queues and registers: whatever it does, it goes on. */
static void rubbish_is_survived(void **state)
{
	struct driver driver;
	unsigned int round, i;
	struct sqe sqe;

	driver_start(&driver, DISK, WITH_IO);
	for (round = 0; round < 3000; round++) {
		struct queue *queue = rand() % 2 ? &driver.io : &driver.admin;

		for (i = 0; i < sizeof(sqe); i++)
			((uint8_t *)&sqe)[i] = (uint8_t)(rand() % 3 ? 0 : rand());
		sqe.opcode = (uint8_t)(rand() % 16);
		sqe.flags = rand() % 8 ? 0 : sqe.flags;
		sqe.nsid = rand() % 8 ? 1 : sqe.nsid;
		/* Mapped: else it is the platform that ends. */
		sqe.prp1 = bus(&driver, DATA) + (uint64_t)rand() % (2 * MIB) / 4 * 4;
		sqe.prp2 = bus(&driver, DATA) + (uint64_t)rand() % (2 * MIB) / PAGE * PAGE;
		sqe.cdw12 &= 7;
		if (queue == &driver.admin && sqe.opcode < 6 && (sqe.opcode != ADMIN_GET_LOG ||
								 sqe.cdw11 || sqe.cdw10 >> 26))
			continue;	/* leave the I/O queue, and lists of PRP lists, alone */
		if (sqe.opcode == ADMIN_ASYNC_EVENT && queue == &driver.admin)
			continue;
		queue_run(queue, sqe, NULL);
	}
	for (i = 0; i < 64; i++)
		machine_set_reg(&driver.machine, 0x1010 + 4 * i, (uint32_t)rand());
	machine_set_reg(&driver.machine, 0x1008, 0xffffffff);
	machine_set_reg(&driver.machine, 0x100c, 0xffffffff);
	usleep(5000);
	queue_ring(&driver.io);
	machine_set_reg(&driver.machine, 0x100c, driver.io.cq_head);
	assert_int_equal(queue_run(&driver.io, transfer(&driver, IO_READ, 8, 1), NULL), 0);
	driver_stop(&driver);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unknown_commands_are_refused),
		cmocka_unit_test(what_is_written_is_read_back),
		cmocka_unit_test(transfers_need_not_start_a_page),
		cmocka_unit_test(bad_transfers_are_refused),
		cmocka_unit_test(a_list_that_bites_its_tail_ends),
		cmocka_unit_test(zeroes_and_deallocated_blocks_read_as_zeros),
		cmocka_unit_test(many_commands_complete_once_each),
		cmocka_unit_test(a_full_completion_queue_waits),
		cmocka_unit_test(what_is_flushed_is_in_the_file),
		cmocka_unit_test(after_a_shutdown_no_queue_is_used),
		cmocka_unit_test(unmapping_a_queue_panics),
		cmocka_unit_test(dma_to_unmapped_memory_panics),
		cmocka_unit_test(rubbish_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
