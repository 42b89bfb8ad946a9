// SPDX-License-Identifier: BSD-3-Clause
/* One thread a connection, which runs the extension's methods itself. */
#include <atomic>
#include <condition_variable>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>

#include "connection.h"
#include "simmac/panic.h"

#define CLIENTS_MAX 256

/* Killed with us when we panic. Atomic slots: a panic may hold any lock. */
static std::atomic<pid_t> client_pids[CLIENTS_MAX];

static void kill_clients()
{
	for (std::atomic<pid_t> &slot : client_pids) {
		pid_t pid = slot.load();

		if (pid > 1 && pid != getpid() && pid != getppid())
			kill(pid, SIGKILL);
	}
}

static std::atomic<pid_t> *remember_client(pid_t pid)
{
	for (std::atomic<pid_t> &slot : client_pids) {
		pid_t none = 0;

		if (slot.compare_exchange_strong(none, pid))
			return &slot;
	}
	return NULL;
}

namespace
{
struct connections {
	std::mutex lock;
	std::condition_variable changed;
	std::set<int> fds;
};
}

static pid_t peer_of(int fd)
{
	struct ucred peer = {};
	socklen_t size = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) ? 0 : peer.pid;
}

static void serve_connection(struct machine &machine, struct connections &all, int fd)
{
	pid_t pid = peer_of(fd);
	std::atomic<pid_t> *slot = remember_client(pid);

	run_connection(machine, fd, pid);
	if (slot)
		slot->store(0);
	std::lock_guard<std::mutex> guard(all.lock);

	all.fds.erase(fd);
	close(fd);
	all.changed.notify_all();
}

static void accept_one(struct machine &machine, struct connections &all, int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	{
		std::lock_guard<std::mutex> guard(all.lock);

		all.fds.insert(fd);
	}
	std::thread([&machine, &all, fd] { serve_connection(machine, all, fd); }).detach();
}

/* As when the Mac shuts down: processes go, then their user clients. */
static void disconnect_all(struct connections &all)
{
	std::unique_lock<std::mutex> guard(all.lock);

	for (int fd : all.fds)
		shutdown(fd, SHUT_RDWR);
	all.changed.wait(guard, [&all] { return all.fds.empty(); });
}

static int address_of(const std::string &path, struct sockaddr_un *address)
{
	*address = {};
	address->sun_family = AF_UNIX;
	if (path.size() >= sizeof(address->sun_path))
		return -ENAMETOOLONG;
	memcpy(address->sun_path, path.data(), path.size());
	return 0;
}

/* The name appears when we listen, and not before. */
static int listen_at(const std::string &path)
{
	std::string early = path + ".new";
	struct sockaddr_un address;
	int fd, error = address_of(early, &address);

	if (error)
		return error;
	unlink(early.c_str());
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (bind(fd, reinterpret_cast<struct sockaddr *>(&address), sizeof(address)) ||
	    listen(fd, 64) || rename(early.c_str(), path.c_str())) {
		error = -errno;
		close(fd);
		return error;
	}
	return fd;
}

int serve(struct machine &machine, const std::string &path)
{
	static struct connections all;
	struct pollfd fds[2] = {};
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	simmac_panic_set_hook(kill_clients);
	fds[0].fd = listen_at(path);
	fds[0].events = POLLIN;
	if (fds[0].fd < 0)
		return fds[0].fd;
	fds[1].fd = signalfd(-1, &signals, SFD_CLOEXEC);
	fds[1].events = POLLIN;
	while (!(fds[1].revents & POLLIN)) {
		if (fds[0].revents & POLLIN)
			accept_one(machine, all, fds[0].fd);
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			break;
	}
	unlink(path.c_str());
	close(fds[0].fd);
	close(fds[1].fd);
	disconnect_all(all);
	return 0;
}
