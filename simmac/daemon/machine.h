/* SPDX-License-Identifier: BSD-3-Clause */
/* The simulated Mac as a whole: devices, the services on them, and who uses those. */
#ifndef SIMMAC_DAEMON_MACHINE_H
#define SIMMAC_DAEMON_MACHINE_H

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <DriverKit/IOUserClient.h>
#include <PCIDriverKit/IOPCIDevice.h>
#include "mac.h"
#include "registry.h"
#include "runtime.h"

/* Who is first told to stop when a device goes. All of them are before anybody waits. */
enum stop_order { STOP_ANY, STOP_TOGETHER, STOP_DRIVER, STOP_CLIENTS };

struct options {
	std::string socket, report, state;
	std::vector<std::string> devices, enclosures;
	struct mac mac;
	struct simmac_dart_config dart;
	std::map<std::string, std::string> properties;	/* of each device's nub */
	enum stop_order stop_order = STOP_ANY;
};

/* One IOServiceOpen() that has succeeded. */
struct session {
	IOUserClient *client;
	std::atomic<bool> inactive{false};	/* terminated with its device: it is no port any more */
	bool ending = false;			/* somebody sees to its Stop(); under machine.lock */

	explicit session(IOUserClient *client) : client(client) {}
	~session() { client->release(); }
};

/* A Thunderbolt port of the Mac in the registry, and what is plugged into it. */
struct port {
	struct entry *root_port, *host_router;
	struct entry *tunnel, *cable;	/* where its two branches begin, or NULL */
	struct entry *bridge;
	struct entry *slot;		/* a device's parent: behind the last bridge */
};

/* A place for a device, and what is there. Under machine.lock, but for what never changes. */
struct unit {
	std::string name, spec;			/* that never change, as the next */
	uint16_t address = 0;
	std::shared_ptr<struct simmac_device> device;	/* unplugged: the last one */
	IOPCIDevice *pci = NULL;
	IOService *driver = NULL;		/* started, or NULL */
	const simmac_personality *personality = NULL;	/* NULL: nobody wants it */
	std::set<std::shared_ptr<session>> sessions;	/* whose Stop() has not ended */
	unsigned int opening = 0;		/* that are to become one */
	uint64_t interrupts = 0;		/* that were delivered, up to the last unplug */
	bool plugged = true, asleep = false;
	bool pulled = false;		/* until macOS is through with it */
	int medium = -1;			/* that stays while nothing is plugged in */
	struct port port = {};			/* under the registry's lock */
};

/* What was left when all was over, and what ought not to have been. */
struct leaks {
	uint64_t mappings = 0, objects = 0, open_devices = 0;
	uint64_t mastering_at_sleep = 0;	/* devices that had not stopped when power went */
	bool any() const { return mappings || objects || open_devices || mastering_at_sleep; }
};

/* What keeps the Mac from falling asleep by itself. */
struct assertion {
	pid_t pid;
	std::string type, name;
	uint32_t level;
};

/* Who hears that the Mac sleeps: one IORegisterForSystemPower(). */
struct listener {
	pid_t pid;
	std::function<void(uint32_t message, uint32_t id)> send;
	uint32_t asked = 0;			/* id of what it has not answered */
};

struct machine {
	std::mutex lock;
	/* sessions, opening or pulled of a unit; listeners, and what they were asked */
	std::condition_variable changed;
	/* Held by who plugs, unplugs, or turns power on or off; before the other. */
	std::mutex power_lock;
	std::vector<std::unique_ptr<unit>> units;
	struct mac mac;
	struct simmac_dart_config dart;
	std::map<std::string, std::string> properties;
	enum stop_order stop_order = STOP_ANY;
	std::minstd_rand random;
	class registry registry;
	struct leaks leaks;
	std::map<uint32_t, assertion> assertions;
	uint32_t next_assertion = 1;
	std::map<uint32_t, listener> listeners;
	uint32_t next_listener = 1, questions = 0;
	uint64_t unanswered = 0;
	bool stopped = false;
	/* Under power_lock: power is off; somebody is seeing to that; it is on, and clients sleep on. */
	bool asleep = false, falling_asleep = false, dark = false;
};

/* 0, or -errno with a line on standard error. */
int machine_start(struct machine &machine, const struct options &options);
/* Stops all drivers and counts what they left; units stay for machine_state(). */
void machine_stop(struct machine &machine);
void machine_free(struct machine &machine);

/* unit.cpp */
unit *machine_find(struct machine &machine, const std::string &name);
/* A device where none is, its nub, and the driver that wants it. 0, or -errno. */
int unit_start(struct machine &machine, unit *unit);
/* Waits for the end of a Stop() that has been called. A service that does not stop fails the run. */
void unit_wait_until_stopped(IOService *service);

/* session.cpp: a user client of the service with that id, started. */
kern_return_t machine_open(struct machine &machine, uint64_t id, uint32_t type,
			   std::shared_ptr<simmac_task> task, unit **unit,
			   std::shared_ptr<session> *opened);
/* Its Stop(), and the wait for its end, unless somebody else sees to that. */
void machine_close(struct machine &machine, unit *unit, const std::shared_ptr<session> &session);

/*
 * plug.cpp. The device is off the bus at once; what macOS then does takes until
 * the driver and all user clients have stopped. wait false: returns before that.
 * -ENODEV: there is no such device, or it is not (or is) plugged in. -EBUSY: the
 * Mac is asleep.
 */
int machine_unplug(struct machine &machine, const std::string &name, bool wait);
int machine_plug(struct machine &machine, const std::string &name);
/* Until no unplug of it is under way; whether it is plugged in then. */
bool machine_wait_until_noticed(struct machine &machine, unit *unit);

/*
 * sleep.cpp. -EALREADY: it is. idle: by itself, and -EBUSY if an assertion is
 * against it. Panics if a driver does not let go, or not in time [L2].
 */
int machine_sleep(struct machine &machine, bool idle);
/* dark: drivers wake, clients are not told; the next sleep is not told them either [L9]. */
int machine_wake(struct machine &machine, bool dark);

/* listener.cpp */
uint32_t machine_listen(struct machine &machine, const listener &listener);
void machine_unlisten(struct machine &machine, uint32_t id);
/* The answer to a question. False: nobody waits for it. */
bool machine_allow(struct machine &machine, pid_t pid, uint64_t id);
void machine_tell(struct machine &machine, uint32_t message);
/* Waits for the answers of all who are there, but not for ever. */
void machine_ask(struct machine &machine, uint32_t message);

/* assertion.cpp */
uint32_t machine_assert(struct machine &machine, const assertion &assertion);
void machine_unassert(struct machine &machine, uint32_t id);

/* JSON, with a newline. */
std::string machine_state(struct machine &machine);
/* "any", "together", "driver", "clients". */
bool machine_stop_order(const std::string &word, enum stop_order *order);
/* A line of simmacctl's; answers with text. -EINVAL: none of those known. */
int machine_control(struct machine &machine, const std::string &command, std::string &answer);

/* tree.cpp: what is in the registry of a Mac with such devices. */
int machine_build_registry(struct machine &machine, const struct options &options);
void machine_tree_plug(struct machine &machine, unit *unit);
void machine_tree_unplug(struct machine &machine, unit *unit);

/* server.cpp: serves until SIGTERM or SIGINT. -errno when it cannot. */
int serve(struct machine &machine, const std::string &path);

#endif
