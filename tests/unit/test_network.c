// SPDX-License-Identifier: BSD-3-Clause
/* Ports of this machine, whose bind() may be another system's. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "run/network.h"

int __real_bind(int fd, const struct sockaddr *address, socklen_t length);
int __wrap_bind(int fd, const struct sockaddr *address, socklen_t length);

static enum { LINUX, MACOS, REFUSES } kind;

/* macOS lets one have an address of a port that another has at all of them. */
int __wrap_bind(int fd, const struct sockaddr *address, socklen_t length)
{
	if (kind == LINUX)
		return __real_bind(fd, address, length);
	if (kind == MACOS)
		return 0;
	errno = EACCES;
	return -1;
}

static uint16_t listen_somewhere(int *fd)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(address);

	*fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_return_code(__real_bind(*fd, (struct sockaddr *)&address, size), errno);
	assert_return_code(listen(*fd, 0), errno);
	assert_return_code(getsockname(*fd, (struct sockaddr *)&address, &size), errno);
	return ntohs(address.sin_port);
}

static void a_port_that_is_taken_is_told_from_one_that_is_free(void **state)
{
	for (kind = LINUX; kind <= MACOS; kind++) {
		int fd;
		uint16_t port = listen_somewhere(&fd);

		assert_int_equal(quiver_port_check(port), -EADDRINUSE);
		close(fd);
		assert_int_equal(quiver_port_check(port), 0);
	}
}

static void another_reason_is_told_as_it_is(void **state)
{
	kind = REFUSES;
	assert_int_equal(quiver_port_check(22), -EACCES);
}

/* A backlog that is full takes nobody and refuses nobody: connect() would wait for minutes. */
static void who_does_not_answer_costs_no_more_than_a_second(void **state)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct timespec begin, end;
	int fd, others[4];

	kind = MACOS;
	address.sin_port = htons(listen_somewhere(&fd));
	for (int i = 0; i < 4; i++) {
		others[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		connect(others[i], (struct sockaddr *)&address, sizeof(address));
	}
	/* Else this test is hung, and says so by its time. */
	clock_gettime(CLOCK_MONOTONIC, &begin);
	assert_int_equal(quiver_port_check(ntohs(address.sin_port)), -EADDRINUSE);
	clock_gettime(CLOCK_MONOTONIC, &end);
	assert_in_range((end.tv_sec - begin.tv_sec) * 1000 + (end.tv_nsec - begin.tv_nsec) / 1000000, 400, 5000);
	for (int i = 0; i < 4; i++)
		close(others[i]);
	close(fd);
}

static bool is_even(uint16_t port, const void *context)
{
	return !(port % 2);
}

static bool always(uint16_t port, const void *context)
{
	return true;
}

static void a_port_that_is_to_be_passed_over_is_not_found(void **state)
{
	kind = LINUX;
	assert_int_equal(quiver_port_find(20000, is_even, NULL) % 2, 1);
	assert_int_equal(quiver_port_find(65535, always, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_port_that_is_taken_is_told_from_one_that_is_free),
		cmocka_unit_test(another_reason_is_told_as_it_is),
		cmocka_unit_test(who_does_not_answer_costs_no_more_than_a_second),
		cmocka_unit_test(a_port_that_is_to_be_passed_over_is_not_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
