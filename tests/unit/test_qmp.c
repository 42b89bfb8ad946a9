// SPDX-License-Identifier: BSD-3-Clause
/* QMP: whatever comes, in whatever pieces, the button is pressed when QEMU said so, or not at all. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/run/qmp.h"
#include "model.h"

static char folder[] = "/tmp/quiver-qmp-XXXXXX";
static struct sockaddr_un address = { .sun_family = AF_UNIX };
static int server, peer;
static struct quiver_qmp qmp;
static struct model_random dice;

/* What QEMU says, and which of it answers an order. */
static const struct {
	const char *text;
	const char *order;		/* that follows from it */
} dialogue[] = {
	{ "{\"QMP\": {\"version\": {}, \"capabilities\": [\"oob\"]}}\r\n", "qmp_capabilities" },
	{ "{\"event\": \"RESUME\", \"data\": {}}\r\n", NULL },
	{ "{\"return\": {}}\r\n", "system_powerdown" },
	{ "{\"event\": \"POWERDOWN\"}\n", NULL },
	{ "{\"return\": {}}\r\n", NULL },
};

#define LINES (sizeof(dialogue) / sizeof(dialogue[0]))

static void meet(void)
{
	assert_int_equal(quiver_qmp_open(&qmp, address.sun_path), 0);
	peer = accept(server, NULL, NULL);
	assert_true(peer >= 0);
	fcntl(peer, F_SETFL, O_NONBLOCK);
}

static void part(void)
{
	close(peer);
	quiver_qmp_close(&qmp);
}

static void say(const char *text, size_t length)
{
	assert_int_equal(send(peer, text, length, MSG_NOSIGNAL), length);
}

/* All that was ordered since the last time. */
static const char *heard(void)
{
	static char text[256];
	ssize_t got = recv(peer, text, sizeof(text) - 1, 0);

	text[got > 0 ? got : 0] = '\0';
	return text;
}

static void whatever_the_pieces_each_order_follows_its_answer(void **state)
{
	for (int round = 0; round < 300; round++) {
		meet();
		for (size_t line = 0; line < LINES; line++) {
			const char *text = dialogue[line].text;
			size_t rest = strlen(text);
			int result = 0;

			while (rest) {
				size_t piece = 1 + model_random_below(&dice, rest);

				say(text, piece);
				text += piece;
				rest -= piece;
				assert_int_equal(result, 0);
				result = quiver_qmp_powerdown(&qmp, 100);
				if (rest)
					assert_string_equal(heard(), "");
			}
			assert_int_equal(result, line == LINES - 1);
			if (dialogue[line].order)
				assert_non_null(strstr(heard(), dialogue[line].order));
			else
				assert_string_equal(heard(), "");
		}
		part();
	}
}

static void many_lines_at_once_are_as_good(void **state)
{
	char all[512] = "";

	meet();
	for (size_t line = 0; line < LINES; line++)
		strcat(all, dialogue[line].text);
	say(all, strlen(all));
	assert_int_equal(quiver_qmp_powerdown(&qmp, 100), 1);
	part();
}

/* Bytes of the dialogue changed, lost and doubled, and its end cut off. */
static size_t spoil(char *text, size_t length)
{
	for (uint64_t times = 1 + model_random_below(&dice, 4); times && length > 1; times--) {
		size_t at = model_random_below(&dice, length - 1);

		switch (model_random_below(&dice, 4)) {
		case 0:
			text[at] = (char)model_random_next(&dice);
			break;
		case 1:
			memmove(text + at, text + at + 1, length - at - 1);
			length--;
			break;
		case 2:
			length = at + 1;
			break;
		default:
			memmove(text + at + 1, text + at, length - at);
			length++;
		}
	}
	return length;
}

static void nonsense_ends_in_an_error_or_in_patience(void **state)
{
	unsigned int ends[3] = { 0 };

	for (int round = 0; round < 3000; round++) {
		char all[512] = "";
		int result = 0;

		meet();
		for (size_t line = 0; line < LINES; line++)
			strcat(all, dialogue[line].text);
		say(all, spoil(all, strlen(all)));
		while (!result && recv(qmp.fd, all, 1, MSG_PEEK | MSG_DONTWAIT) > 0)
			result = quiver_qmp_powerdown(&qmp, 0);
		assert_true(result == 0 || result == 1 || result == -EBADMSG || result == -EPROTO);
		ends[result < 0 ? 2 : result]++;
		part();
	}
	/* Else it was no test. */
	for (int i = 0; i < 3; i++)
		assert_true(ends[i]);
}

static void an_order_has_its_own_answer(void **state)
{
	static const char order[] = "{\"execute\":\"this\"}\n";
	json_t *answer = NULL;

	meet();
	say(dialogue[0].text, strlen(dialogue[0].text));
	assert_int_equal(quiver_qmp_order(&qmp, order, &answer, 100), 0);
	heard();
	say(dialogue[2].text, strlen(dialogue[2].text));
	assert_int_equal(quiver_qmp_order(&qmp, order, &answer, 100), 0);
	assert_string_equal(heard(), order);
	assert_null(answer);
	say("{\"return\": {\"a\": 7}}\n", 21);
	assert_int_equal(quiver_qmp_order(&qmp, order, &answer, 100), 1);
	assert_int_equal(json_integer_value(json_object_get(answer, "a")), 7);
	json_decref(answer);
	part();
}

static void a_refusal_is_told_in_qemus_words(void **state)
{
	static const char refusal[] = "{\"error\": {\"class\": \"X\", \"desc\": \"not now\"}}\n";

	meet();
	say(dialogue[0].text, strlen(dialogue[0].text));
	assert_int_equal(quiver_qmp_powerdown(&qmp, 100), 0);
	say(refusal, strlen(refusal));
	assert_int_equal(quiver_qmp_powerdown(&qmp, 100), -EPROTO);
	assert_string_equal(qmp.problem, "not now");
	part();
}

static void a_line_without_end_is_no_line(void **state)
{
	static char much[4096];
	int result = 0, pieces = 0;

	memset(much, ' ', sizeof(much));
	meet();
	for (; !result && pieces < 100; pieces++) {
		say(much, sizeof(much));
		result = quiver_qmp_powerdown(&qmp, 100);
	}
	assert_int_equal(result, -EBADMSG);
	assert_int_equal(pieces, 262144 / sizeof(much));
	part();
}

static void a_silent_one_costs_no_more_time_than_was_given(void **state)
{
	meet();
	assert_int_equal(quiver_qmp_powerdown(&qmp, 0), 0);
	close(peer);
	assert_int_equal(quiver_qmp_powerdown(&qmp, 100), -EPIPE);
	quiver_qmp_close(&qmp);
	/* Closed twice is closed. */
	quiver_qmp_close(&qmp);
}

static void who_is_not_there_is_told_apart(void **state)
{
	char name[256];

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(quiver_qmp_open(&qmp, "/nowhere/socket"), -ENOENT);
	assert_int_equal(quiver_qmp_open(&qmp, name), -ENAMETOOLONG);
	close(server);
	assert_int_equal(quiver_qmp_open(&qmp, address.sun_path), -ECONNREFUSED);
}

static void quit_is_said_in_full_before_anything_is_heard(void **state)
{
	static const char wanted[] = "{\"execute\":\"qmp_capabilities\"}\n{\"execute\":\"quit\"}\n";
	char text[256] = "";
	int fd = quiver_qmp_quit(address.sun_path);

	assert_return_code(fd, -fd);
	peer = accept(server, NULL, NULL);
	assert_int_equal(recv(peer, text, sizeof(text) - 1, MSG_DONTWAIT), sizeof(wanted) - 1);
	assert_string_equal(text, wanted);
	close(peer);
	close(fd);
	assert_int_equal(quiver_qmp_quit("/nowhere/socket"), -ENOENT);
}

static int set_up(void **state)
{
	model_random_init(&dice, "qmp");
	if (!mkdtemp(folder))
		return -1;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", folder);
	server = socket(AF_UNIX, SOCK_STREAM, 0);
	return bind(server, (const struct sockaddr *)&address, sizeof(address)) || listen(server, 1);
}

static int tear_down(void **state)
{
	unlink(address.sun_path);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whatever_the_pieces_each_order_follows_its_answer),
		cmocka_unit_test(many_lines_at_once_are_as_good),
		cmocka_unit_test(nonsense_ends_in_an_error_or_in_patience),
		cmocka_unit_test(an_order_has_its_own_answer),
		cmocka_unit_test(a_refusal_is_told_in_qemus_words),
		cmocka_unit_test(a_line_without_end_is_no_line),
		cmocka_unit_test(a_silent_one_costs_no_more_time_than_was_given),
		cmocka_unit_test(quit_is_said_in_full_before_anything_is_heard),
		cmocka_unit_test(who_is_not_there_is_told_apart),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
