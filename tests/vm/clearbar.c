// SPDX-License-Identifier: BSD-3-Clause
/*
 * clearbar HOW RESOURCE [SECONDS]: clears a BAR with DC ZVA, as memset() of a
 * program does. RESOURCE is the file in sysfs that maps it.
 *
 *   once      all of it, and sees that this was done, no more and no less
 *   first     nothing was written there before
 *   readonly  the mapping may not be written
 *   again     for so long, and until it is killed by the kernel
 *   remap     the same, while another thread maps it anew all the time
 *   stepped   once, with a debugger that lets it go one instruction at a time
 *
 * Exit status: 0; 1 with a reason; 3 if the kernel sent SIGBUS for it.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FILL	0xa5a5a5a5a5a5a5a5ull
#define BUS	3

struct bar {
	int file;
	volatile uint64_t *words;
	size_t size;
};

static void die(const char *why)
{
	printf("clearbar: %s\n", why);
	exit(1);
}

static void on_bus(int signal)
{
	(void)signal;
	_exit(BUS);
}

static size_t block_size(void)
{
	uint64_t id;

	__asm__("mrs %0, dczid_el0" : "=r"(id));
	if (id & 16)
		die("DC ZVA is prohibited");
	return (size_t)4 << (id & 15);
}

static void clear_block(volatile void *block)
{
	__asm__ volatile("dc zva, %0" : : "r"(block) : "memory");
}

static void map(struct bar *bar, const char *path, bool writable)
{
	struct stat stat;

	bar->file = open(path, writable ? O_RDWR : O_RDONLY);
	if (bar->file < 0 || fstat(bar->file, &stat))
		die("cannot open the BAR");
	bar->size = (size_t)stat.st_size;
	bar->words = mmap(NULL, bar->size, writable ? PROT_READ | PROT_WRITE : PROT_READ,
			  MAP_SHARED, bar->file, 0);
	if (bar->words == MAP_FAILED)
		die("cannot map the BAR");
}

static void clear(const struct bar *bar, size_t from, size_t to)
{
	size_t block = block_size(), offset;

	/* Any address in a block will do. */
	for (offset = from; offset < to; offset += block)
		clear_block((volatile char *)bar->words + offset + offset / block % block);
}

/* All but the first and the last block */
static int once(const struct bar *bar)
{
	size_t block = block_size(), n;

	for (n = 0; n < bar->size / 8; n++)
		bar->words[n] = FILL;
	clear(bar, block, bar->size - block);
	for (n = 0; n < bar->size / 8; n++) {
		bool margin = n * 8 < block || n * 8 >= bar->size - block;

		if (bar->words[n] != (margin ? FILL : 0))
			die("wrong content");
	}
	return 0;
}

/* No write has made the page dirty before: that fault is the kernel's to resolve. */
static int first_touch(const struct bar *bar)
{
	clear(bar, 0, bar->size);
	return 0;
}

static int again(const struct bar *bar, int seconds)
{
	time_t end = time(NULL) + seconds;

	while (time(NULL) < end)
		clear(bar, 0, 4096);
	return 0;
}

static void *map_anew(void *context)
{
	const struct bar *bar = context;

	for (;;)
		if (mmap((void *)(uintptr_t)bar->words, bar->size, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED, bar->file, 0) == MAP_FAILED)
			die("cannot map the BAR anew");
	return NULL;
}

static int remap(struct bar *bar, int seconds)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, map_anew, bar))
		die("no second thread");
	return again(bar, seconds);
}

static _Noreturn void traced(const struct bar *bar)
{
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	raise(SIGSTOP);
	/* What a step must not pass over comes right behind. */
	__asm__ volatile("mov x9, #0\n\tdc zva, %0\n\tadd x9, x9, #1\n\tadd x9, x9, #1\n\t"
			 "mov x0, x9\n\tmov x8, #93\n\tsvc #0"
			 : : "r"(bar->words) : "x0", "x8", "x9", "memory");
	_exit(99);
}

/* Each instruction is a step: the five from "dc zva" to "svc" are seen one by one. */
static int stepped(const struct bar *bar)
{
	uint64_t pc = 0, last = 0;
	int status, skipped = 0;
	pid_t child;

	bar->words[1] = FILL;
	child = fork();
	if (!child)
		traced(bar);
	waitpid(child, &status, 0);
	while (WIFSTOPPED(status)) {
		struct { uint64_t regs[31], sp, pc, pstate; } regs;
		struct { void *base; size_t length; } vector = { &regs, sizeof(regs) };

		ptrace(PTRACE_GETREGSET, child, (void *)1, &vector);
		last = pc;
		pc = regs.pc;
		if (last && ptrace(PTRACE_PEEKTEXT, child, (void *)last, NULL) != -1 &&
		    ((uint32_t)ptrace(PTRACE_PEEKTEXT, child, (void *)last, NULL) & ~31u) == 0xd50b7420 &&
		    pc != last + 4)
			skipped++;
		ptrace(PTRACE_SINGLESTEP, child, NULL, NULL);
		waitpid(child, &status, 0);
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 2)
		return WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS ? BUS : 1;
	if (bar->words[1])
		die("not cleared");
	if (skipped)
		die("a step went over two instructions");
	return 0;
}

int main(int argc, char **argv)
{
	/* A second thread may look at it until the process is gone. */
	static struct bar bar;
	int seconds = argc > 3 ? atoi(argv[3]) : 3;

	if (argc < 3)
		die("HOW RESOURCE [SECONDS]");
	signal(SIGBUS, on_bus);
	map(&bar, argv[2], strcmp(argv[1], "readonly"));
	if (!strcmp(argv[1], "once"))
		return once(&bar);
	if (!strcmp(argv[1], "readonly") || !strcmp(argv[1], "first"))
		return first_touch(&bar);
	if (!strcmp(argv[1], "again"))
		return again(&bar, seconds);
	if (!strcmp(argv[1], "remap"))
		return remap(&bar, seconds);
	if (!strcmp(argv[1], "stepped"))
		return stepped(&bar);
	die("how?");
}
