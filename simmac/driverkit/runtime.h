/* SPDX-License-Identifier: BSD-3-Clause */
/* What the parts of the DriverKit runtime, and the daemon around it, have of each other. */
#ifndef SIMMAC_DRIVERKIT_RUNTIME_H
#define SIMMAC_DRIVERKIT_RUNTIME_H

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <sys/types.h>
#include <vector>

#include <DriverKit/IODispatchQueue.h>
#include <DriverKit/IOUserClient.h>
#include <PCIDriverKit/IOPCIDevice.h>
#include "simmac/device.h"

/* A client process, or what is left of it. */
struct simmac_task {
	pid_t pid;
	std::atomic<bool> alive;	/* its connection is open: somebody vouches for the device */

	explicit simmac_task(pid_t pid) : pid(pid), alive(true) {}
	/* Whether all of [address, address + length) is memory of the task. */
	bool holds(uint64_t address, uint64_t length) const;
};

/* An open door for tests: calls of the platform are counted, delayed and made to fail by name. */
namespace simmac_calls
{
/* Counts one use of a call, waits as told. Whether this one is to fail. */
bool fails(const char *call);
/*
 * The nth use from now, besides those that are to fail already; 0: none of them.
 * Of "any" each call is a use. False: nobody knows such a call.
 */
bool fail(const std::string &call, uint64_t nth);
bool delay(const std::string &call, uint64_t us);
/* Of all there are: the platform's, which an extension uses, or those of its clients. */
std::map<std::string, uint64_t> counts(bool client);
/* Those that were made to fail, the first one first. */
std::vector<std::string> failed();
}

struct simmac_knobs {
	std::atomic<uint32_t> segments{1};	/* that PrepareForDMA() cuts a mapping into */
	std::atomic<uint64_t> reset_us{100000};	/* Reset() takes so long, whatever happens [H8] */
	std::atomic<uint32_t> cancel_ms{0};	/* from Cancel() to its handler [H7] */
	/*
	 * IOPCIFamily as published never changes the layout of a function's
	 * vectors once it has one; its authors mean to.
	 */
	std::atomic<bool> sticky_interrupts{false};
	std::atomic<uint32_t> power_ms{20000};	/* for SetPowerState() and its super call [L2] */
	std::atomic<uint32_t> answer_ms{30000};	/* for IOAllowPowerChange() [L9] */
};
extern simmac_knobs simmac_knobs;

/* A personality of the extension's Info.plist: generated from it at build time. */
struct simmac_property_class {
	const char *key, *user_class;
};
struct simmac_personality {
	const char *user_class;
	const uint32_t (*classes)[2];		/* value and mask of config dword 8 */
	size_t class_count;
	const simmac_property_class *clients;	/* dictionaries for IOService::Create() */
	size_t client_count;
};
extern const simmac_personality simmac_personalities[];
extern const size_t simmac_personality_count;

struct IOService_IVars {
	std::mutex lock;
	std::condition_variable changed;
	std::map<std::string, IODispatchQueue *> queues;
	IODispatchQueue *queue = NULL;		/* the default one, which never changes */
	IOService *provider = NULL;
	const simmac_personality *personality = NULL;
	uint64_t id = 0;
	std::string name;
	std::map<std::string, std::string> properties;	/* text that reads as a number is one */
	bool registered = false, stopping = false, stopped = false;
	bool joined = false;		/* it is in the power tree */
	bool will_power = false;	/* a call of super's SetPowerState() is waited for */
};

/*
 * Calls the extension's SetPowerState(), and waits for what it has to do. False:
 * it took too long; then there is no way on, for the call is still under way.
 */
bool simmac_set_power(IOService *service, uint32_t powerFlags);

/* An id that no other entry of the registry has. */
uint64_t simmac_entry_id();

/*
 * Calls that cross into the extension's process run on the object's default
 * queue, at once where the caller is on it.
 */
void simmac_enter(IODispatchQueue *queue, const std::function<void()> &work);

/* Where an AsyncCompletion() of an action goes. */
struct simmac_completion {
	std::function<void(IOReturn status, const uint64_t *data, uint32_t count)> send;
};
OSAction *simmac_completion_action(IOUserClient *client, simmac_completion completion);

/* The nub of a device; address: bus << 8 | devfn. */
IOPCIDevice *simmac_pci_device(std::shared_ptr<struct simmac_device> device, uint16_t address);

/*
 * The device has gone: who has it open is closed by force, as
 * IOUserServer::serviceDidStop() does, and nobody opens it any more.
 */
void simmac_pci_terminate(IOPCIDevice *pci);

struct IOPCIDevice_IVars {
	struct simmac_device *device = NULL;
	std::shared_ptr<struct simmac_device> keeper;	/* of it: mappings and vectors may end late */
	uint16_t address = 0;
	std::mutex lock;
	IOService *client = NULL;		/* has it open */
	bool terminated = false;
	IOMemoryDescriptor *memory[1 + SIMMAC_BARS] = {};
	unsigned int memory_of_bar[SIMMAC_BARS] = {};	/* 0: none */
	enum simmac_irq_mode mode = SIMMAC_IRQ_NONE;	/* that vectors are laid out for */
	std::vector<class IOInterruptDispatchSource *> vectors;
	size_t registered = 0;			/* of them */
	std::atomic<uint64_t> delivered{0};
};

bool simmac_pci_is_open(IOPCIDevice *pci);
/* An index that has been resolved and that nobody else has. */
kern_return_t simmac_pci_register(IOPCIDevice *pci, uint32_t index,
				  IOInterruptDispatchSource *source);
void simmac_pci_unregister(IOPCIDevice *pci, uint32_t index);

#endif
