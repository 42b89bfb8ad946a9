// SPDX-License-Identifier: BSD-3-Clause
/* How `quiver doctor` has other programs answer. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "cli/cli.h"
#include "cli/doctor/ask.h"

void quiver_error(const char *format, ...)
{
}

static char *shell(const char *script, const char *input, unsigned int seconds)
{
	char *const argv[] = { (char *)"/bin/sh", (char *)"-c", (char *)script, NULL };

	return quiver_ask(argv, input, seconds);
}

static void expect(const char *script, const char *input, const char *output)
{
	char *text = shell(script, input, 10);

	assert_non_null(text);
	assert_string_equal(text, output);
	free(text);
}

static void answers_come_whole(void **unused)
{
	char *text = shell("i=0; while [ $i -lt 20000 ]; do echo 0123456789; i=$((i+1)); done", NULL, 10);

	assert_non_null(text);
	assert_int_equal(strlen(text), 20000 * 11);
	free(text);
	expect("cat", "a question\n", "a question\n");
	expect("echo yes; exit 3", NULL, "yes\n");
	expect("echo complaint >&2", NULL, "");
}

static void who_is_not_there_does_not_answer(void **unused)
{
	char *const argv[] = { (char *)"/nonexistent/program", NULL };

	assert_null(quiver_ask(argv, NULL, 10));
	assert_null(quiver_ask_macos("nonexistent-program", NULL));
}

static void who_says_too_much_is_stopped(void **unused)
{
	assert_null(shell("while :; do echo 0123456789012345678901234567890123456789; done", NULL, 10));
}

static void who_hangs_is_given_up_and_leaves_no_child(void **unused)
{
	struct timespec begin, end;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	assert_null(shell("echo part; exec sleep 1000", NULL, 1));
	clock_gettime(CLOCK_MONOTONIC, &end);
	assert_true(end.tv_sec - begin.tv_sec < 5);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static unsigned int open_files(void)
{
	DIR *folder = opendir("/proc/self/fd");
	unsigned int count = 0;

	assert_non_null(folder);
	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

static void no_file_is_left_open(void **unused)
{
	char *const missing[] = { (char *)"/nonexistent/program", NULL };
	unsigned int before = open_files();

	free(shell("echo yes", NULL, 10));
	assert_null(quiver_ask(missing, "question", 10));
	assert_null(shell("exec sleep 1000", NULL, 0));
	assert_int_equal(open_files(), before);
}

static void programs_of_macos_are_found_in_whole_paths_only(void **unused)
{
	char folder[] = "/tmp/test_ask.XXXXXX", program[64], path[128];
	char *text, *before = strdup(getenv("PATH"));
	FILE *file;

	assert_non_null(mkdtemp(folder));
	snprintf(program, sizeof(program), "%s/csrutil", folder);
	file = fopen(program, "w");
	assert_non_null(file);
	fputs("#!/bin/sh\necho \"$1\" and \"$2\"\n", file);
	fclose(file);
	chmod(program, 0755);
	snprintf(path, sizeof(path), "/nonexistent::%s:/usr/bin:/bin", folder);
	setenv("PATH", path, 1);
	text = quiver_ask_macos("csrutil", "a word", "another", NULL);
	assert_non_null(text);
	assert_string_equal(text, "a word and another\n");
	free(text);
	/* The folder where somebody happens to be is no place for programs. */
	assert_return_code(chdir(folder), 0);
	setenv("PATH", ".::", 1);
	assert_null(quiver_ask_macos("csrutil", "status", NULL));
	assert_return_code(chdir("/"), 0);
	setenv("PATH", before, 1);
	free(before);
	unlink(program);
	rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_come_whole),
		cmocka_unit_test(who_is_not_there_does_not_answer),
		cmocka_unit_test(who_says_too_much_is_stopped),
		cmocka_unit_test(who_hangs_is_given_up_and_leaves_no_child),
		cmocka_unit_test(no_file_is_left_open),
		cmocka_unit_test(programs_of_macos_are_found_in_whole_paths_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
