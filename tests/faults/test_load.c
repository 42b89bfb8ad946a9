// SPDX-License-Identifier: BSD-3-Clause
/*
 * Everything at once, for the sake of what watches it: ThreadSanitizer in the
 * client and in the simulated Mac with the extension. One device is used by
 * many threads while others ask for it in vain, one by clients that are killed,
 * one is pulled out and plugged in again.
 */
#define _GNU_SOURCE
#include "test_dext_mac.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "model.h"
#include "quiver/host.h"

#define ROUNDS		3u
#define TURNS		300u		/* of each thread, in each round */
#define KILLS		12u
#define KILL_MAX_US	15000u
#define PULLS		3u
#define GRANULES	32u
#define BATCH		8u
#define PATIENCE_S	10
#define NAME(n)		((const char *const[]){ "endpoint0", "killed", "pulled" }[n])

#define COMMAND		0x04
#define COMMAND_BOTH	0x6		/* memory and bus master */

/* The first of them; a thread cannot fail a test. */
static _Atomic(const char *) complaint;

static void expect(bool condition, const char *text)
{
	const char *none = NULL;

	if (!condition)
		atomic_compare_exchange_strong(&complaint, &none, text);
}

/* In the order in which they were given to the simulated Mac. */
static uint64_t id_of(unsigned int n)
{
	struct quiver_device_info info[4];
	int count = quiver_devices_list(info, 4);

	for (int i = 0; i < count; i++) {
		/* Bus numbers are counted. */
		if ((info[i].identity.address >> 8) % 16 == n)
			return info[i].id;
	}
	return 0;
}

/* --- many threads on one device --------------------------------------------------------------- */

struct load {
	struct quiver_device *device;
	pthread_rwlock_t in_use;	/* by the device itself: a reset waits for it */
	pthread_rwlock_t mapped;	/* what a reset that drops it waits for: addresses come again */
	atomic_uint interrupts;
};

static struct quiver_dma map_entry(uint8_t *memory, unsigned int i)
{
	return (struct quiver_dma){ .op = QUIVER_MAP, .flags = QUIVER_DEXT_DMA_WRITE,
				    .address = memory + i * GRANULE, .length = GRANULE };
}

static void map_and_unmap(struct load *load, uint8_t *memory, unsigned int count)
{
	struct quiver_dma dma[BATCH];

	for (unsigned int i = 0; i < count; i++)
		dma[i] = map_entry(memory, i);
	expect(!quiver_dma_batch(load->device, dma, count), "a batch of maps failed");
	for (unsigned int i = 0; i < count; i++) {
		expect(!dma[i].result, "a map failed");
		dma[i].op = QUIVER_UNMAP;
	}
	expect(!quiver_dma_batch(load->device, dma, count), "a batch of unmaps failed");
	for (unsigned int i = 0; i < count; i++)
		expect(!dma[i].result, "an unmap failed");
}

static void *maps(void *argument)
{
	uint8_t *memory = memory_new(GRANULES * GRANULE);
	struct load *load = argument;

	for (unsigned int turn = 0; turn < TURNS; turn++) {
		pthread_rwlock_rdlock(&load->mapped);
		map_and_unmap(load, memory, 1 + turn % BATCH);
		pthread_rwlock_unlock(&load->mapped);
	}
	memory_free(memory, GRANULES * GRANULE);
	return NULL;
}

/* Registers of the endpoint. */
static void start_copy(volatile uint32_t *registers, uint64_t iova)
{
	registers[0x0c / 4] = (uint32_t)iova;
	registers[0x10 / 4] = (uint32_t)(iova >> 32);
	registers[0x14 / 4] = (uint32_t)(iova + GRANULE / 2);
	registers[0x18 / 4] = (uint32_t)((iova + GRANULE / 2) >> 32);
	registers[0x1c / 4] = GRANULE / 2;
	registers[0x24 / 4] = 2;
	registers[0x28 / 4] = 1;
	registers[0x08 / 4] = 0;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	registers[0x04 / 4] = 1u << 5;
}

static void copy(struct load *load, volatile uint32_t *registers, uint8_t *memory)
{
	const struct timespec pause = { .tv_nsec = 20000 };
	struct quiver_dma dma = map_entry(memory, 0);

	dma.flags |= QUIVER_DEXT_DMA_READ;
	expect(!quiver_dma_batch(load->device, &dma, 1) && !dma.result, "no map for a copy");
	expect(!quiver_config_write(load->device, COMMAND, 2, COMMAND_BOTH), "no bus mastering");
	memset(memory, (int)(dma.iova >> 14), GRANULE / 2);
	start_copy(registers, dma.iova);
	for (int i = 0; i < PATIENCE_S * 50000 && !registers[0x08 / 4]; i++)
		nanosleep(&pause, NULL);
	expect(registers[0x08 / 4] & 1u << 4, "the device did not copy");
	expect(!memcmp(memory, memory + GRANULE / 2, GRANULE / 2), "a copy is another");
	dma.op = QUIVER_UNMAP;
	expect(!quiver_dma_batch(load->device, &dma, 1) && !dma.result, "no unmap after a copy");
}

static void *copies(void *argument)
{
	struct load *load = argument;
	uint8_t *memory = memory_new(GRANULE);
	uint64_t length;
	void *registers;

	expect(!quiver_bar_map(load->device, 0, &registers, &length), "no BAR");
	for (unsigned int turn = 0; turn < TURNS / 3 && !atomic_load(&complaint); turn++) {
		pthread_rwlock_rdlock(&load->in_use);
		copy(load, registers, memory);
		pthread_rwlock_unlock(&load->in_use);
	}
	memory_free(memory, GRANULE);
	return NULL;
}

static void *reads_and_asks(void *argument)
{
	struct load *load = argument;
	struct quiver_dext_stats stats;
	struct quiver_dext_bar bar;
	uint64_t length;
	uint32_t value;
	void *address;

	for (unsigned int turn = 0; turn < TURNS; turn++) {
		expect(!quiver_config_read(load->device, 4 * (turn % 64), 4, &value), "no config read");
		expect(!quiver_device_stats(load->device, &stats), "no statistics");
		expect(!quiver_bar_info(load->device, turn % QUIVER_DEXT_BARS, &bar), "no BAR");
		expect(!quiver_bar_map(load->device, turn % QUIVER_DEXT_BARS, &address, &length),
		       "no map of a BAR");
		expect(quiver_config_write(load->device, 0x10, 4, 0) == -EACCES, "a BAR was written");
	}
	return NULL;
}

static void on_interrupt(void *context, unsigned int vector)
{
	struct load *load = context;

	expect(vector < 8, "a vector that nobody has");
	atomic_fetch_add(&load->interrupts, 1);
}

static void *configures(void *argument)
{
	static const uint32_t types[] = { QUIVER_DEXT_IRQ_MSIX, QUIVER_DEXT_IRQ_MSI,
					  QUIVER_DEXT_IRQ_NONE };
	struct load *load = argument;
	unsigned int granted;

	for (unsigned int turn = 0; turn < TURNS / 3; turn++) {
		uint32_t type = types[turn % 3];

		expect(!quiver_irq_configure(load->device, type, 1 + turn % 8,
					     type ? on_interrupt : NULL, load, &granted),
		       "no interrupts");
	}
	return NULL;
}

static void *raises(void *unused)
{
	for (unsigned int turn = 0; turn < TURNS; turn++)
		free(mac_control("raise %s %u %u", NAME(0), turn % 8, 1 + turn % 3));
	return NULL;
}

static void drop(struct load *load)
{
	uint64_t dropped;

	pthread_rwlock_wrlock(&load->mapped);
	expect(!quiver_device_reset(load->device, 0, &dropped), "no reset");
	expect(!dropped, "somebody's mappings were dropped");
	pthread_rwlock_unlock(&load->mapped);
}

static void *resets(void *argument)
{
	struct load *load = argument;

	for (unsigned int turn = 0; turn < TURNS / 10; turn++) {
		pthread_rwlock_wrlock(&load->in_use);
		expect(!quiver_device_reset(load->device, QUIVER_DEXT_RESET_KEEP, NULL), "no reset");
		if (turn % 2)
			drop(load);
		pthread_rwlock_unlock(&load->in_use);
	}
	return NULL;
}

/* Without the claim there is nothing to be had. */
static void *intrudes(void *argument)
{
	struct load *load = argument;
	const uint64_t where[] = { 0, 4 };
	struct quiver_dext_identity identity;
	io_service_t service = mac_service();
	uint32_t one = 1;
	uint64_t value;

	for (unsigned int turn = 0; turn < TURNS / 3; turn++) {
		io_connect_t client;

		expect(!IOServiceOpen(service, mach_task_self(), 0, &client), "no user client");
		expect(client_claim(client) == kIOReturnExclusiveAccess, "a second claim");
		expect(IOConnectCallScalarMethod(client, QUIVER_DEXT_CONFIG_READ, where, 2, &value,
						 &one) == kIOReturnNotPermitted,
		       "config space without a claim");
		expect(!client_map_memory(client, QUIVER_DEXT_MEM_BAR0, NULL), "a BAR without a claim");
		IOServiceClose(client);
		expect(!quiver_device_identify(quiver_device_info(load->device)->id, &identity),
		       "a device that does not say who it is");
	}
	IOObjectRelease(service);
	return NULL;
}

static void on_no_loss(void *context, enum quiver_dext_cause cause)
{
	expect(false, "a loss");
}

static void use_from_many_threads(void)
{
	static void *(*const loads[])(void *) = {
		maps, maps, copies, reads_and_asks, configures, raises, resets, intrudes,
	};
	const size_t count = sizeof(loads) / sizeof(loads[0]);
	struct load load = { .in_use = PTHREAD_RWLOCK_INITIALIZER,
			     .mapped = PTHREAD_RWLOCK_INITIALIZER };
	pthread_t threads[sizeof(loads) / sizeof(loads[0])];

	assert_int_equal(quiver_device_open(id_of(0), &load.device), 0);
	assert_int_equal(quiver_device_watch(load.device, on_no_loss, NULL), 0);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, loads[i], &load), 0);
	for (size_t i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	quiver_device_close(load.device);
	pthread_rwlock_destroy(&load.in_use);
	pthread_rwlock_destroy(&load.mapped);
}

/* --- clients that are killed ------------------------------------------------------------------ */

/* In a process of its own, until it is killed. */
__attribute__((noreturn)) static void live_until_killed(uint64_t id)
{
	struct load load = { 0 };
	uint8_t *memory = memory_new(GRANULES * GRANULE);
	unsigned int granted;

	if (quiver_device_open(id, &load.device) ||
	    quiver_irq_configure(load.device, QUIVER_DEXT_IRQ_MSIX, 8, on_interrupt, &load,
				 &granted) ||
	    quiver_config_write(load.device, COMMAND, 2, COMMAND_BOTH))
		_exit(1);
	for (;;)
		map_and_unmap(&load, memory, BATCH);
}

static bool kill_one(uint64_t id, unsigned int us)
{
	const struct timespec life = { .tv_nsec = us * 1000L };
	pid_t pid = fork();
	int status;

	if (!pid)
		live_until_killed(id);
	nanosleep(&life, NULL);
	kill(pid, SIGKILL);
	return waitpid(pid, &status, 0) == pid && WIFSIGNALED(status);
}

/* Forked before there are threads, for it forks itself. 0: all could open the device. */
static pid_t start_killing(struct model_random *random)
{
	uint64_t id = id_of(1);
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid)
		return pid;
	for (unsigned int i = 0; i < KILLS; i++) {
		if (!kill_one(id, (unsigned int)model_random_below(random, KILL_MAX_US)))
			_exit(1);
	}
	_exit(0);
}

/* --- one that is pulled out ------------------------------------------------------------------- */

struct loss {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool told;
	enum quiver_dext_cause cause;
};

static void on_loss(void *context, enum quiver_dext_cause cause)
{
	struct loss *loss = context;

	pthread_mutex_lock(&loss->lock);
	loss->told = true;
	loss->cause = cause;
	pthread_cond_signal(&loss->changed);
	pthread_mutex_unlock(&loss->lock);
}

static bool wait_for_loss(struct loss *loss)
{
	struct timespec end;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += PATIENCE_S;
	pthread_mutex_lock(&loss->lock);
	while (!loss->told && !pthread_cond_timedwait(&loss->changed, &loss->lock, &end))
		;
	pthread_mutex_unlock(&loss->lock);
	return loss->told;
}

static uint64_t wait_for_service(void)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	uint64_t id = 0;

	for (int i = 0; i < PATIENCE_S * 1000 && !(id = id_of(2)); i++)
		nanosleep(&pause, NULL);
	return id;
}

static void pull_once(uint8_t *memory)
{
	struct loss loss = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER,
			     false, QUIVER_DEXT_CAUSE_NONE };
	struct quiver_dma dma[BATCH];
	struct quiver_device *device;
	uint64_t id = wait_for_service();

	expect(id, "no service after the plug");
	if (!id || quiver_device_open(id, &device)) {
		expect(false, "no device after the plug");
		return;
	}
	for (unsigned int i = 0; i < BATCH; i++)
		dma[i] = map_entry(memory, i);
	expect(!quiver_device_watch(device, on_loss, &loss), "no watch");
	expect(!quiver_dma_batch(device, dma, BATCH), "no map on the device that is pulled");
	expect(!quiver_config_write(device, COMMAND, 2, COMMAND_BOTH), "no bus mastering");
	free(mac_control("unplug %s", NAME(2)));
	expect(wait_for_loss(&loss), "a device was pulled unheard");
	/* Whose user client was stopped before the driver was cannot be told why. */
	expect(loss.cause == QUIVER_DEXT_CAUSE_UNPLUGGED || loss.cause == QUIVER_DEXT_CAUSE_NONE,
	       "a device was pulled for another cause");
	expect(quiver_dma_batch(device, dma, BATCH) == -ENODEV, "DMA with what is not there");
	quiver_device_close(device);
	free(mac_control("plug %s", NAME(2)));
}

static void *pulls(void *unused)
{
	uint8_t *memory = memory_new(GRANULES * GRANULE);

	for (unsigned int i = 0; i < PULLS && !atomic_load(&complaint); i++)
		pull_once(memory);
	memory_free(memory, GRANULES * GRANULE);
	return NULL;
}

/* ---------------------------------------------------------------------------------------------- */

static void everything_at_once(void **unused)
{
	struct model_random random;
	pthread_t puller;
	pid_t killer;
	int status;

	mac_start("--device endpoint --device endpoint,name=killed --device endpoint,name=pulled");
	model_random_init(&random, "load");
	killer = start_killing(&random);
	assert_int_equal(pthread_create(&puller, NULL, pulls, NULL), 0);
	for (unsigned int i = 0; i < ROUNDS; i++)
		use_from_many_threads();
	pthread_join(puller, NULL);
	assert_int_equal(waitpid(killer, &status, 0), killer);
	if (atomic_load(&complaint))
		fail_msg("%s", atomic_load(&complaint));
	assert_int_equal(status, 0);
	mac_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
