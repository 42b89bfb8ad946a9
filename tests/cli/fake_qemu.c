// SPDX-License-Identifier: BSD-3-Clause
/*
 * A VMM that does what $FAKE_QEMU says, word by word, with the devices that
 * its command line names in "-device quiver-pci,...,host=ID", and the socket of
 * "-chardev socket,id=qmp,path=PATH,...".
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
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
static sigset_t blocked_before;
static int server = -1, client = -1;

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

/* Those that end QEMU, unless it was started deaf for them. */
static void fill_ends(sigset_t *set)
{
	static const int ends[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT };

	sigemptyset(set);
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (!sigismember(&blocked_before, ends[i]))
			sigaddset(set, ends[i]);
}

static void wait_for_signal(void)
{
	sigset_t set;
	int signal;

	fill_ends(&set);
	sigwait(&set, &signal);
	dprintf(STDERR_FILENO, "fake-qemu: signal %d\n", signal);
}

/* What would have ended QEMU before now. */
static void tell_signals(void)
{
	sigset_t set, pending;

	fill_ends(&set);
	sigpending(&pending);
	for (int signal = 1; signal < NSIG; signal++)
		if (sigismember(&set, signal) == 1 && sigismember(&pending, signal))
			dprintf(STDERR_FILENO, "fake-qemu: signal %d\n", signal);
}

/* --- QMP --- */

static void listen_for_qmp(int argc, char **argv)
{
	static const char start[] = "socket,id=qmp,path=";
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *path = NULL;

	for (int i = 1; i < argc; i++)
		if (!strncmp(argv[i], start, strlen(start)))
			path = argv[i] + strlen(start);
	if (!path)
		check(-ENOENT, "no socket for QMP");
	memcpy(address.sun_path, path, strcspn(path, ","));
	server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(server, (const struct sockaddr *)&address, sizeof(address)) || listen(server, 1))
		check(-errno, "listen");
}

static void tell(const char *text)
{
	send(client, text, strlen(text), MSG_NOSIGNAL);
}

static void take_client(void)
{
	client = accept(server, NULL, NULL);
	check(client, "accept");
}

/* In pieces, as they may come. */
static void greet(void)
{
	take_client();
	tell("{\"QMP\": {\"version\": {\"qemu\": {\"major\": 10,");
	usleep(20000);
	tell(" \"minor\": 0, \"micro\": 13}}, \"capabilities\": [\"oob\"]}}\r\n{\"event\": \"RESUME\"}\r\n");
}

/* The next line must order that, and nothing else. */
static void expect_order(const char *name)
{
	char line[256], order[64];
	size_t length = 0;

	while (length < sizeof(line) - 1 && recv(client, line + length, 1, 0) == 1 &&
	       line[length] != '\n')
		length++;
	line[length] = '\0';
	snprintf(order, sizeof(order), "\"execute\":\"%s\"", name);
	if (!strstr(line, order)) {
		fprintf(stderr, "fake-qemu: '%s' instead of %s\n", line, name);
		exit(99);
	}
}

static void take_powerdown(const char *answer)
{
	greet();
	expect_order("qmp_capabilities");
	tell("{\"return\": {}}\r\n");
	expect_order("system_powerdown");
	tell("{\"event\": \"POWERDOWN\"}\r\n");
	tell(answer);
}

/* Whoever orders it need not wait for a greeting. */
static void take_quit(void)
{
	greet();
	expect_order("qmp_capabilities");
	tell("{\"return\": {}}\r\n");
	expect_order("quit");
	dprintf(STDERR_FILENO, "fake-qemu: quit\n");
}

/* What a file has for an answer, not at once and in pieces; then that client leaves. */
static void take_question(const char *path)
{
	static char text[1 << 18];
	FILE *file = fopen(path, "r");
	char byte;

	if (!file)
		check(-errno, path);
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	greet();
	expect_order("qmp_capabilities");
	tell("{\"return\": {}}\r\n");
	expect_order("qom-get");
	dprintf(STDERR_FILENO, "fake-qemu: asked\n");
	tell("{\"return\": ");
	usleep(500000);
	tell(text);
	tell("}\r\n");
	while (recv(client, &byte, 1, 0) > 0)
		;
	close(client);
}

/* More than anybody should keep. */
static void flood(void)
{
	static char much[1 << 16];

	take_client();
	memset(much, 'x', sizeof(much) - 1);
	for (int i = 0; i < 16; i++)
		tell(much);
}

static void answer(const char *text)
{
	take_client();
	tell(text);
	tell("\n");
}

/* And not a word. */
static void stay_silent(void)
{
	take_client();
	dprintf(STDERR_FILENO, "fake-qemu: client\n");
}

static void hang_up(void)
{
	take_client();
	close(client);
}

static bool obey_qmp(const char *word, int argc, char **argv)
{
	if (!strcmp(word, "qmp"))
		listen_for_qmp(argc, argv);
	else if (!strcmp(word, "powerdown"))
		take_powerdown("{\"return\": {}}\r\n");
	else if (!strcmp(word, "refuse"))
		take_powerdown("{\"error\": {\"class\": \"GenericError\", \"desc\": \"not today\"}}\r\n");
	else if (!strcmp(word, "greet"))
		greet();
	else if (!strncmp(word, "stats=", 6))
		take_question(word + 6);
	else if (!strcmp(word, "quit"))
		take_quit();
	else if (!strcmp(word, "silence"))
		stay_silent();
	else if (!strcmp(word, "hangup"))
		hang_up();
	else if (!strcmp(word, "flood"))
		flood();
	else if (!strncmp(word, "answer=", 7))
		answer(word + 7);
	else
		return false;
	return true;
}

/* As QEMU has the terminal that it reads from. */
static void make_raw(void)
{
	struct termios terminal;

	if (tcgetattr(STDIN_FILENO, &terminal))
		check(-errno, "tcgetattr");
	terminal.c_lflag &= ~(tcflag_t)(ECHO | ICANON);
	terminal.c_oflag &= ~(tcflag_t)OPOST;
	if (tcsetattr(STDIN_FILENO, TCSANOW, &terminal) ||
	    fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) | O_NONBLOCK))
		check(-errno, "raw");
}

/* Whether the Mac still stands when we are told to go. */
static void look(void)
{
	struct quiver_device_info info[8];

	check(quiver_devices_list(info, 8), "the Mac went first");
}

static void obey(const char *word, int argc, char **argv)
{
	if (obey_qmp(word, argc, argv))
		return;
	if (!strcmp(word, "claim"))
		claim(argc, argv);
	else if (!strcmp(word, "stray"))
		stray();
	else if (!strcmp(word, "wait"))
		wait_for_signal();
	else if (!strcmp(word, "signals"))
		tell_signals();
	else if (!strcmp(word, "nap"))
		usleep(500000);
	else if (!strcmp(word, "raw"))
		make_raw();
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
	sigaddset(&set, SIGQUIT);
	sigprocmask(SIG_BLOCK, &set, &blocked_before);
	for (char *word = strtok(script, " "); word; word = strtok(NULL, " "))
		obey(word, argc, argv);
	return 0;
}
