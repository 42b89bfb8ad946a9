// SPDX-License-Identifier: BSD-3-Clause
#define _GNU_SOURCE
#include "machine.h"

#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "simmac/panic.h"

/* mmap() aligns to 4 KiB: what is too much before and behind goes back. */
void *memory_new(size_t size)
{
	size_t span = size + SIMMAC_GRANULE;
	uint8_t *all = mmap(NULL, span, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t before = -(uintptr_t)all % SIMMAC_GRANULE;

	assert_true(all != MAP_FAILED);
	if (before)
		munmap(all, before);
	if (span - before - size)
		munmap(all + before + size, span - before - size);
	return all + before;
}

void memory_free(void *memory, size_t size)
{
	munmap(memory, size);
}

static void read_first_line(int fd, char *line, size_t size)
{
	size_t length = 0;
	ssize_t n;

	while (length < size - 1 && (n = read(fd, line + length, size - 1 - length)) > 0)
		length += (size_t)n;
	line[length] = '\0';
	line[strcspn(line, "\n")] = '\0';
}

void assert_panic(void (*what)(void *argument), void *argument, const char *fact,
		  const char *text)
{
	char line[4096], start[64];
	int pipes[2], status;
	pid_t child;

	assert_int_equal(pipe(pipes), 0);
	fflush(stdout);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		dup2(pipes[1], STDERR_FILENO);
		what(argument);
		_exit(0);
	}
	close(pipes[1]);
	read_first_line(pipes[0], line, sizeof(line));
	close(pipes[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	snprintf(start, sizeof(start), "simmac: PANIC [%s] ", fact);
	if (WEXITSTATUS(status) != SIMMAC_PANIC_STATUS || strncmp(line, start, strlen(start)) ||
	    !strstr(line, text))
		fail_msg("status %d, report \"%s\", expected [%s] and \"%s\"",
			 WEXITSTATUS(status), line, fact, text);
}

bool await(bool (*condition)(void *argument), void *argument)
{
	const struct timespec step = { .tv_nsec = 20000 };
	struct timespec start, now;

	clock_gettime(CLOCK_MONOTONIC, &start);
	while (!condition(argument)) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec - start.tv_sec > 5)
			return false;
		nanosleep(&step, NULL);
	}
	return true;
}

static void count_interrupt(void *context, unsigned int vector)
{
	struct machine *machine = context;

	atomic_fetch_add(&machine->interrupts[vector], 1);
}

void machine_master(struct machine *machine, bool on)
{
	simmac_device_config_write(machine->device, PCI_COMMAND, 2,
				   on ? PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER :
					PCI_COMMAND_MEMORY);
}

void machine_start(struct machine *machine, const char *spec, enum simmac_irq_mode mode)
{
	memset(machine, 0, sizeof(*machine));
	assert_int_equal(simmac_device_new(spec, NULL, &machine->device), 0);
	machine->memory = memory_new(MACHINE_MEMORY);
	assert_int_equal(simmac_dart_map(machine->device->dart, getpid(),
					 (uintptr_t)machine->memory, MACHINE_MEMORY,
					 &machine->iova), 0);
	machine->device->interrupt = count_interrupt;
	machine->device->interrupt_context = machine;
	simmac_device_set_irq(machine->device, mode, MACHINE_VECTORS);
	machine_master(machine, true);
}

void machine_stop(struct machine *machine)
{
	machine_master(machine, false);
	assert_int_equal(simmac_dart_unmap(machine->device->dart, machine->iova, MACHINE_MEMORY,
					   true), 0);
	assert_int_equal(simmac_dart_stats(machine->device->dart).mappings, 0);
	simmac_device_free(machine->device);
	memory_free(machine->memory, MACHINE_MEMORY);
}

struct counter {
	atomic_uint *value;
	unsigned int count;
};

static bool is_reached(void *argument)
{
	struct counter *counter = argument;

	return atomic_load(counter->value) >= counter->count;
}

void machine_await_interrupts(struct machine *machine, unsigned int vector, unsigned int count)
{
	struct counter counter = { &machine->interrupts[vector], count };

	if (!await(is_reached, &counter))
		fail_msg("vector %u: %u interrupts, expected %u", vector,
			 atomic_load(counter.value), count);
}

static uint32_t *reg(struct machine *machine, unsigned int offset)
{
	return (uint32_t *)(void *)(machine->device->bar[0].memory + offset);
}

uint32_t machine_reg(struct machine *machine, unsigned int offset)
{
	return __atomic_load_n(reg(machine, offset), __ATOMIC_ACQUIRE);
}

void machine_set_reg(struct machine *machine, unsigned int offset, uint32_t value)
{
	__atomic_store_n(reg(machine, offset), value, __ATOMIC_RELEASE);
}

struct awaited {
	struct machine *machine;
	unsigned int offset;
	uint32_t mask, value;
};

static bool reg_matches(void *argument)
{
	struct awaited *a = argument;

	return (machine_reg(a->machine, a->offset) & a->mask) == a->value;
}

void machine_await_reg(struct machine *machine, unsigned int offset, uint32_t mask, uint32_t value)
{
	struct awaited awaited = { machine, offset, mask, value };

	if (!await(reg_matches, &awaited))
		fail_msg("register 0x%x is 0x%x, expected 0x%x in 0x%x", offset,
			 machine_reg(machine, offset), value, mask);
}
