/* SPDX-License-Identifier: BSD-3-Clause */
/* The simulated Mac as a whole: devices, the services on them, and who uses those. */
#ifndef SIMMAC_DAEMON_MACHINE_H
#define SIMMAC_DAEMON_MACHINE_H

#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include <DriverKit/IOUserClient.h>
#include <PCIDriverKit/IOPCIDevice.h>
#include "mac.h"
#include "registry.h"
#include "runtime.h"

struct options {
	std::string socket, report, state;
	std::vector<std::string> devices, enclosures;
	struct mac mac;
	struct simmac_dart_config dart;
	std::map<std::string, std::string> properties;	/* of each device's nub */
};

struct unit {
	struct simmac_device *device = NULL;
	IOPCIDevice *pci = NULL;
	IOService *driver = NULL;		/* started, or NULL */
	const simmac_personality *personality = NULL;	/* NULL: nobody wants it */
	std::set<IOUserClient *> clients;	/* under machine.lock */
	uint64_t interrupts = 0;		/* that were delivered, once it is stopped */
};

/* Objects and mappings that were left when all was over. */
struct leaks {
	uint64_t mappings = 0, objects = 0, open_devices = 0;
	bool any() const { return mappings || objects || open_devices; }
};

struct machine {
	std::mutex lock;
	std::vector<std::unique_ptr<unit>> units;
	struct mac mac;
	class registry registry;
	struct leaks leaks;
	bool stopped = false;
};

/* 0, or -errno with a line on standard error. */
int machine_start(struct machine &machine, const struct options &options);
/* Stops all drivers and counts what they left; units stay for machine_state(). */
void machine_stop(struct machine &machine);
void machine_free(struct machine &machine);

/* A user client of the service with that id, started. */
kern_return_t machine_open(struct machine &machine, uint64_t id, uint32_t type,
			   std::shared_ptr<simmac_task> task, unit **unit,
			   IOUserClient **client);
/* Its Stop(), and the wait for its end. */
void machine_close(struct machine &machine, unit *unit, IOUserClient *client);

/* JSON, with a newline. */
std::string machine_state(struct machine &machine);
/* A line of simmacctl's; answers with text. -EINVAL: none of those known. */
int machine_control(struct machine &machine, const std::string &command, std::string &answer);

/* tree.cpp: what is in the registry of a Mac with such devices. */
int machine_build_registry(struct machine &machine, const struct options &options);

/* server.cpp: serves until SIGTERM or SIGINT. -errno when it cannot. */
int serve(struct machine &machine, const std::string &path);

#endif
