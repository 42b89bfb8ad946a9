// SPDX-License-Identifier: BSD-3-Clause
/*
 * A VMM that does what $FAKE_QEMU says, word by word, with the devices that
 * its command line names in "-device quiver-pci,...,host=ID".
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "quiver/host.h"

#define PAGE 16384u

#define COMMAND		0x04
#define COMMAND_MEMORY	0x2
#define COMMAND_MASTER	0x4

/* Registers of the endpoint's BAR 0. */
#define ENDPOINT_COMMAND 0x04
#define ENDPOINT_READ	(1u << 3)
#define ENDPOINT_SOURCE	0x0c
#define ENDPOINT_SIZE	0x1c

static struct quiver_device *device;

static void check(int error, const char *what)
{
	if (error >= 0)
		return;
	fprintf(stderr, "fake-qemu: %s: %s\n", what, strerror(-error));
	exit(99);
}

static uint64_t host_id(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *host = strstr(argv[i], ",host=");

		if (host && !strncmp(argv[i], "quiver-pci,", strlen("quiver-pci,")))
			return strtoull(host + strlen(",host="), NULL, 0);
	}
	check(-ENODEV, "no quiver-pci");
	return 0;
}

/* As a guest leaves it that is in the middle of its work. */
static void claim(int argc, char **argv)
{
	struct quiver_dma dma = { .op = QUIVER_MAP, .flags = QUIVER_DEXT_DMA_WRITE,
				  .length = PAGE };

	check(quiver_device_open(host_id(argc, argv), &device), "open");
	dma.address = aligned_alloc(PAGE, PAGE);
	check(quiver_dma_batch(device, &dma, 1), "batch");
	check(dma.result, "map");
	check(quiver_config_write(device, COMMAND, 2, COMMAND_MEMORY | COMMAND_MASTER), "command");
}

/* Where nothing is mapped: this ends a Mac [D6]. */
static void stray(void)
{
	volatile uint32_t *bar;
	uint64_t length;
	void *address;

	check(quiver_bar_map(device, 0, &address, &length), "BAR");
	bar = address;
	bar[ENDPOINT_SOURCE / 4] = 0x1000;
	bar[ENDPOINT_SOURCE / 4 + 1] = 0;
	bar[ENDPOINT_SIZE / 4] = 64;
	bar[ENDPOINT_COMMAND / 4] = ENDPOINT_READ;
}

static void write_pid(const char *path)
{
	char *name = NULL;
	FILE *file;

	if (asprintf(&name, "%s.new", path) < 0)
		exit(99);
	file = fopen(name, "w");
	if (!file || fprintf(file, "%d\n", (int)getpid()) < 0 || fclose(file) ||
	    rename(name, path))
		check(-errno, path);
	free(name);
}

static void wait_for_signal(void)
{
	sigset_t set;
	int signal;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigwait(&set, &signal);
}

/* Whether the Mac still stands when we are told to go. */
static void look(void)
{
	struct quiver_device_info info[8];

	check(quiver_devices_list(info, 8), "the Mac went first");
}

static void obey(const char *word, int argc, char **argv)
{
	if (!strcmp(word, "claim"))
		claim(argc, argv);
	else if (!strcmp(word, "stray"))
		stray();
	else if (!strcmp(word, "wait"))
		wait_for_signal();
	else if (!strcmp(word, "nap"))
		usleep(500000);
	else if (!strcmp(word, "look"))
		look();
	else if (!strcmp(word, "hang"))
		for (;;)
			pause();
	else if (!strncmp(word, "pid=", 4))
		write_pid(word + 4);
	else if (!strncmp(word, "say=", 4))
		dprintf(STDOUT_FILENO, "%s\n", word + 4);
	else if (!strncmp(word, "exit=", 5))
		_exit(atoi(word + 5));
	else if (!strncmp(word, "kill=", 5))
		kill(getpid(), atoi(word + 5));
	else
		check(-EINVAL, word);
}

int main(int argc, char **argv)
{
	char *script = getenv("FAKE_QEMU");
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (char *word = strtok(script, " "); word; word = strtok(NULL, " "))
		obey(word, argc, argv);
	return 0;
}
