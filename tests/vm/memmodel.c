// SPDX-License-Identifier: BSD-3-Clause
/*
 * memmodel WHAT [SECONDS]: asks the kernel for its memory model, as emulators of
 * x86 do, by two prctls that are not in its headers.
 *
 *   fex       in FEX' order: GET, and if that is the default, SET; prints yes or no
 *   answers   every answer, and that no other arguments are taken
 *   unknown   that all of that is EINVAL
 *   compat    SET by a 32-bit program: exit status 0, or 22 for EINVAL
 *   others    what dozens of other calls return, a line each
 *   hammer    for so long: the answer is one of the two, each at times, and no other call changes
 *   cost      nanoseconds of calls, a line each: the least of many rounds
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define GET		0x6d4d444c
#define SET		0x4d4d444c
#define DEFAULT		0
#define TSO		1

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof(*(a)))

struct question {
	long args[5];
	long answer;
};

static const struct question questions[] = {
	{ { GET, 0, 0, 0, 0 }, DEFAULT },
	{ { SET, TSO, 0, 0, 0 }, 0 },
	{ { GET, 0, 0, 0, 0 }, DEFAULT },
	{ { SET, DEFAULT, 0, 0, 0 }, 0 },
	{ { SET, 2, 0, 0, 0 }, -EINVAL },
	{ { SET, -1, 0, 0, 0 }, -EINVAL },
	{ { SET, 1l << 32, 0, 0, 0 }, -EINVAL },
	{ { SET, TSO, 1, 0, 0 }, -EINVAL },
	{ { SET, TSO, 0, 1, 0 }, -EINVAL },
	{ { SET, TSO, 0, 0, 1 }, -EINVAL },
	{ { GET, 1, 0, 0, 0 }, -EINVAL },
	{ { GET, 0, 1, 0, 0 }, -EINVAL },
	{ { GET, 0, 0, 1, 0 }, -EINVAL },
	{ { GET, 0, 0, 0, 1 }, -EINVAL },
	/* The option is an int: what is above is not looked at. */
	{ { GET | 1l << 32, 0, 0, 0, 0 }, DEFAULT },
	{ { SET | 1l << 40, TSO, 0, 0, 0 }, 0 },
};

static long ask(const long *args)
{
	long ret = syscall(SYS_prctl, args[0], args[1], args[2], args[3], args[4]);

	return ret == -1 ? -errno : ret;
}

static long simple(long option, long value)
{
	const long args[5] = { option, value };

	return ask(args);
}

static bool emulator_gets_tso(void)
{
	int model = prctl(GET, 0, 0, 0, 0);

	if (model == -1 || model != DEFAULT)
		return false;
	return prctl(SET, TSO, 0, 0, 0) == 0;
}

static int check(bool known)
{
	size_t n;

	for (n = 0; n < ARRAY_SIZE(questions); n++) {
		const struct question *q = &questions[n];
		long wanted = known ? q->answer : -EINVAL, found = ask(q->args);

		if (found == wanted)
			continue;
		printf("prctl(%#lx, %ld, %ld, %ld, %ld) is %ld, and not %ld\n", q->args[0], q->args[1],
		       q->args[2], q->args[3], q->args[4], found, wanted);
		return 1;
	}
	return 0;
}

/* prctl(SET, TSO, 0, 0, 0), and its answer is the program's, as an ELF file for ARM. */
static int run_compat(char **env)
{
	static const uint32_t program[] = {
		0x464c457f, 0x00010101, 0, 0,		/* 32 bits, little-endian */
		0x00280002, 1, 0x10054, 52,		/* a program for ARM; entry, program header */
		0, 0x05000000, 0x00200034, 1, 0,	/* EABI 5; sizes of headers, one of them */
		1, 0, 0x10000, 0x10000, 128, 128, 5, 4096,
		0xe3a070ac, 0xe59f001c,			/* mov r7, #172; ldr r0, option */
		0xe3a01001, 0xe3a02000, 0xe3a03000, 0xe3a04000,
		0xef000000, 0xe2600000,			/* svc 0; rsb r0, r0, #0 */
		0xe3a07001, 0xef000000,			/* mov r7, #1; svc 0 */
		SET,
	};
	char *const argv[] = { "compat", NULL };
	int file = memfd_create("compat", 0);

	if (file < 0 || write(file, program, sizeof(program)) != sizeof(program))
		return 1;
	fexecve(file, argv, env);
	perror("compat");
	return 1;
}

static void show(const char *what, long found)
{
	printf("%s %ld\n", what, found);
}

/* Neighbours of ours, in number and by their bits */
static void show_numbers(void)
{
	static const int near[] = { GET, SET };
	long args[5] = { 0 };
	char what[40];
	size_t n;
	int bit;

	for (n = 0; n < ARRAY_SIZE(near); n++)
		for (bit = 0; bit < 32; bit++) {
			args[0] = near[n] ^ (int)(1u << bit);
			if (args[0] == GET || args[0] == SET)
				continue;
			snprintf(what, sizeof(what), "%#lx", args[0]);
			show(what, ask(args));
		}
	/* None of these does anything by zeros: PR_SET_* that would are left out. */
	for (args[0] = -3; args[0] <= 90; args[0]++) {
		if (args[0] == PR_SET_DUMPABLE || args[0] == PR_SET_SECCOMP || args[0] == PR_SET_MM)
			continue;
		/* Some give a random number, or one that differs from run to run. */
		if (args[0] == PR_GET_TIMERSLACK || args[0] == PR_GET_TAGGED_ADDR_CTRL)
			continue;
		snprintf(what, sizeof(what), "%ld", args[0]);
		show(what, ask(args));
	}
}

static void show_names(void)
{
	char name[16] = "", *area;

	show("set name", prctl(PR_SET_NAME, "model", 0, 0, 0));
	show("get name", prctl(PR_GET_NAME, name, 0, 0, 0));
	show(name, prctl(PR_GET_NAME, 8, 0, 0, 0));
	show("dumpable", prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
	show("not dumpable", prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
	show("dumpable", prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
	show("dumpable", prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
	show("slack", prctl(PR_SET_TIMERSLACK, 12345, 0, 0, 0));
	show("slack", prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0));
	area = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	show("vma", prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, area, 4096, "model"));
	show("vma", prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, area, 4096, "[]"));
	show("vma", prctl(PR_SET_VMA, 7, area, 4096, NULL));
	show("no new privileges", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	show("no new privileges", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
}

static int hammer(int seconds)
{
	time_t end = time(NULL) + seconds;
	unsigned long calls = 0, granted = 0, unknown = 0;

	while (time(NULL) < end) {
		long set = simple(SET, TSO), get = simple(GET, 0);

		if ((set && set != -EINVAL) || (get && get != -EINVAL) ||
		    simple(PR_GET_DUMPABLE, 0) != 1 || simple(-1, 0) != -EINVAL)
			return 1;
		calls += 4;
		granted += !set;
		unknown += set != 0;
	}
	printf("%lu calls, %lu granted, %lu unknown\n", calls, granted, unknown);
	return granted && unknown ? 0 : 1;
}

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* Each in turn, so that what else the machine does falls on all. */
static int cost(int rounds)
{
	static const char *const names[] = { "getppid", "dumpable", "invalid" };
	double least[3] = { 1e9, 1e9, 1e9 };
	int round, what, n;

	for (round = 0; round < rounds; round++)
		for (what = 0; what < 3; what++) {
			const int calls = 2000;
			uint64_t since = now();
			double each;

			for (n = 0; n < calls; n++) {
				if (what == 0)
					syscall(SYS_getppid);
				else
					syscall(SYS_prctl, what == 1 ? PR_GET_DUMPABLE : 1000, 0, 0, 0, 0);
			}
			each = (double)(now() - since) / calls;
			if (each < least[what])
				least[what] = each;
		}
	for (what = 0; what < 3; what++)
		printf("%s=%.1f ", names[what], least[what]);
	printf("\n");
	return 0;
}

int main(int argc, char **argv, char **env)
{
	const char *what = argc > 1 ? argv[1] : "";
	int number = argc > 2 ? atoi(argv[2]) : 3;

	if (!strcmp(what, "fex"))
		return puts(emulator_gets_tso() ? "yes" : "no") < 0;
	if (!strcmp(what, "answers") || !strcmp(what, "unknown"))
		return check(*what == 'a');
	if (!strcmp(what, "compat"))
		return run_compat(env);
	if (!strcmp(what, "hammer"))
		return hammer(number);
	if (!strcmp(what, "cost"))
		return cost(number);
	if (!strcmp(what, "others")) {
		show_numbers();
		show_names();
		return 0;
	}
	puts("memmodel WHAT [SECONDS]");
	return 2;
}
