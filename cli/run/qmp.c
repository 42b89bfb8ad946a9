// SPDX-License-Identifier: BSD-3-Clause
#include "run/qmp.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Longer than any line that QEMU sends: all counters of as many devices as there can be. */
#define LINE_MAX_BYTES 262144

static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd, error = 0;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (fd < 0)
		return -errno;
	/* A backlog that is full is no reason to wait either. */
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) || fcntl(fd, F_SETFL, O_NONBLOCK) ||
	    connect(fd, (const struct sockaddr *)&address, sizeof(address)))
		error = errno;
	if (!error)
		return fd;
	close(fd);
	return -error;
}

int quiver_qmp_open(struct quiver_qmp *qmp, const char *path)
{
	*qmp = (struct quiver_qmp){ .fd = -1, .line = malloc(LINE_MAX_BYTES) };
	if (!qmp->line)
		return -ENOMEM;
	qmp->fd = connect_to(path);
	if (qmp->fd >= 0)
		return 0;
	free(qmp->line);
	qmp->line = NULL;
	return qmp->fd;
}

void quiver_qmp_close(struct quiver_qmp *qmp)
{
	if (!qmp->line)
		return;
	if (qmp->fd >= 0)
		close(qmp->fd);
	free(qmp->line);
	*qmp = (struct quiver_qmp){ .fd = -1 };
}

/* A socket that does not take so little at once is not read at the other end. */
static int send_text(int fd, const char *text)
{
	ssize_t sent = write(fd, text, strlen(text));

	if (sent < 0)
		return errno == EPIPE || errno == ECONNRESET ? -EPIPE : -errno;
	return sent == (ssize_t)strlen(text) ? 0 : -EIO;
}

static int refused(struct quiver_qmp *qmp, const json_t *error)
{
	const char *text = json_string_value(json_object_get(error, "desc"));

	snprintf(qmp->problem, sizeof(qmp->problem), "%s", text ? text : "");
	return -EPROTO;
}

static int take_object(struct quiver_qmp *qmp, const json_t *object, const char *order,
		       json_t **answer)
{
	const json_t *error = json_object_get(object, "error");
	json_t *result = json_object_get(object, "return");
	int status;

	if (json_object_get(object, "event"))
		return 0;
	if (error)
		return refused(qmp, error);
	if (qmp->state == QUIVER_QMP_GREETING ? !json_object_get(object, "QMP") : !result)
		return -EBADMSG;
	if (qmp->state == QUIVER_QMP_ORDERED) {
		if (answer)
			*answer = json_incref(result);
		return 1;
	}
	status = send_text(qmp->fd, qmp->state == QUIVER_QMP_GREETING ?
					    "{\"execute\":\"qmp_capabilities\"}\n" : order);
	qmp->state++;
	return status;
}

static int take_line(struct quiver_qmp *qmp, size_t length, const char *order, json_t **answer)
{
	json_t *object = json_loadb(qmp->line, length, 0, NULL);
	int status = json_is_object(object) ? take_object(qmp, object, order, answer) : -EBADMSG;

	json_decref(object);
	return status;
}

/* All lines that are whole. */
static int take_lines(struct quiver_qmp *qmp, const char *order, json_t **answer)
{
	char *end;
	int status = 0;

	while (!status && (end = memchr(qmp->line, '\n', qmp->length))) {
		size_t length = (size_t)(end - qmp->line) + 1;

		status = take_line(qmp, length, order, answer);
		qmp->length -= length;
		memmove(qmp->line, qmp->line + length, qmp->length);
	}
	return !status && qmp->length == LINE_MAX_BYTES ? -EBADMSG : status;
}

int quiver_qmp_order(struct quiver_qmp *qmp, const char *text, json_t **answer, int milliseconds)
{
	struct pollfd ready = { .fd = qmp->fd, .events = POLLIN };
	ssize_t got;

	if (poll(&ready, 1, milliseconds) < 0)
		return errno == EINTR ? 0 : -errno;
	if (!ready.revents)
		return 0;
	got = read(qmp->fd, qmp->line + qmp->length, LINE_MAX_BYTES - qmp->length);
	if (got < 0)
		return errno == EAGAIN || errno == EINTR ? 0 :
		       errno == ECONNRESET ? -EPIPE : -errno;
	if (!got)
		return -EPIPE;
	qmp->length += (size_t)got;
	return take_lines(qmp, text, answer);
}

int quiver_qmp_powerdown(struct quiver_qmp *qmp, int milliseconds)
{
	return quiver_qmp_order(qmp, "{\"execute\":\"system_powerdown\"}\n", NULL, milliseconds);
}

const char *quiver_qmp_describe(const struct quiver_qmp *qmp, int error)
{
	switch (error) {
	case -EBADMSG:
		return "what QEMU answers makes no sense";
	case -EPROTO:
		return *qmp->problem ? qmp->problem : "QEMU refuses";
	case -EPIPE:
		return "QEMU has hung up";
	case -ETIMEDOUT:
		return "QEMU does not answer";
	case -ENOENT:
	case -ECONNREFUSED:
		return "QEMU has not come so far";
	default:
		return strerror(-error);
	}
}

int quiver_qmp_quit(const char *path)
{
	int fd = connect_to(path);
	int error;

	if (fd < 0)
		return fd;
	error = send_text(fd, "{\"execute\":\"qmp_capabilities\"}\n{\"execute\":\"quit\"}\n");
	if (!error)
		return fd;
	close(fd);
	return error;
}
