// SPDX-License-Identifier: BSD-3-Clause
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "machine.h"

/*
 * After its last work a device polls without a pause, then sleeps for a share of
 * the time it has been idle: its answer is late by that share, and an idle
 * device costs next to nothing.
 */
#define SPIN_NS		UINT64_C(20000)
#define SHORT_SHARE	8
#define SHORT_MAX_NS	UINT64_C(1000000)
#define LONG_IDLE_NS	UINT64_C(1000000000)
#define LONG_SHARE	250
#define LONG_MAX_NS	UINT64_C(10000000)

static const struct simmac_model *const models[] = { &simmac_nvme, &simmac_endpoint,
						    &simmac_gpu };

uint64_t simmac_device_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void simmac_device_pause(struct simmac_device *device)
{
	atomic_fetch_add(&device->waiters, 1);
	pthread_mutex_lock(&device->run_lock);
	atomic_fetch_sub(&device->waiters, 1);
}

void simmac_device_resume(struct simmac_device *device)
{
	pthread_mutex_unlock(&device->run_lock);
}

bool simmac_device_masters_bus(struct simmac_device *device)
{
	return atomic_load(&device->mastering) && atomic_load(&device->present);
}

void simmac_device_set_mastering(struct simmac_device *device, bool on)
{
	if (atomic_exchange(&device->mastering, on) && !on)
		atomic_fetch_add(&device->stops, 1);
}

void simmac_device_set_pending(struct simmac_device *device, bool pending)
{
	uint8_t *status = &device->config[device->pcie_offset + PCI_EXP_DEVSTA];

	pthread_mutex_lock(&device->config_lock);
	*status = (uint8_t)((*status & ~PCI_EXP_DEVSTA_TRPND) |
			    (pending ? PCI_EXP_DEVSTA_TRPND : 0));
	atomic_store(&device->pending, pending);
	pthread_mutex_unlock(&device->config_lock);
}

void simmac_device_raise(struct simmac_device *device, unsigned int vector)
{
	if (!simmac_device_masters_bus(device) || vector >= atomic_load(&device->irq_count))
		return;
	atomic_fetch_or(&device->raised[vector / 64], UINT64_C(1) << vector % 64);
	atomic_store(&device->raised_any, true);
}

static void deliver_word_locked(struct simmac_device *device, unsigned int word)
{
	uint64_t bits = atomic_exchange(&device->raised[word], 0);

	for (; bits; bits &= bits - 1) {
		unsigned int vector = word * 64 + (unsigned int)__builtin_ctzll(bits);

		if (device->interrupt && vector < atomic_load(&device->irq_count))
			device->interrupt(device->interrupt_context, vector);
	}
}

/* Not under the run lock: what the platform does takes its time. */
static void deliver(struct simmac_device *device)
{
	unsigned int word;

	if (!atomic_load(&device->raised_any))
		return;
	pthread_mutex_lock(&device->irq_lock);
	if (atomic_exchange(&device->raised_any, false))
		for (word = 0; word < SIMMAC_VECTORS_MAX / 64; word++)
			deliver_word_locked(device, word);
	pthread_mutex_unlock(&device->irq_lock);
}

static void drop_interrupts_locked(struct simmac_device *device)
{
	unsigned int word;

	for (word = 0; word < SIMMAC_VECTORS_MAX / 64; word++)
		atomic_store(&device->raised[word], 0);
	atomic_store(&device->raised_any, false);
}

void simmac_device_drop_interrupts(struct simmac_device *device)
{
	pthread_mutex_lock(&device->irq_lock);
	drop_interrupts_locked(device);
	pthread_mutex_unlock(&device->irq_lock);
}

void simmac_device_set_irq(struct simmac_device *device, enum simmac_irq_mode mode,
			   unsigned int count)
{
	unsigned int offered = mode == SIMMAC_IRQ_MSIX ? device->msix_vectors :
			       mode == SIMMAC_IRQ_MSI ? device->msi_vectors : 0;

	simmac_device_pause(device);
	pthread_mutex_lock(&device->irq_lock);
	atomic_store(&device->irq_mode, mode);
	atomic_store(&device->irq_count, count < offered ? count : offered);
	drop_interrupts_locked(device);
	pthread_mutex_unlock(&device->irq_lock);
	simmac_device_resume(device);
}

/* Whoever waits for the run lock gets it: a mutex alone would let us win always. */
static void let_others_in(struct simmac_device *device)
{
	unsigned int i;

	for (i = 0; i < 1000 && atomic_load(&device->waiters); i++)
		sched_yield();
}

static bool is_ready_locked(struct simmac_device *device)
{
	if (!device->ready_at)
		return true;
	if (simmac_device_now() < device->ready_at)
		return false;
	device->ready_at = 0;
	return true;
}

static bool may_run(struct simmac_device *device)
{
	bool ready;

	pthread_mutex_lock(&device->config_lock);
	ready = !device->dead && is_ready_locked(device);
	pthread_mutex_unlock(&device->config_lock);
	return ready && atomic_load(&device->present);
}

static bool turn(struct simmac_device *device)
{
	bool worked;

	let_others_in(device);
	pthread_mutex_lock(&device->run_lock);
	worked = may_run(device) && device->model->run(device);
	pthread_mutex_unlock(&device->run_lock);
	deliver(device);
	return worked;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void rest(uint64_t idle)
{
	struct timespec sleep = { 0 };

	if (idle < SPIN_NS) {
		sched_yield();
		return;
	}
	sleep.tv_nsec = (long)(idle < LONG_IDLE_NS ? least(idle / SHORT_SHARE, SHORT_MAX_NS) :
						     least(idle / LONG_SHARE, LONG_MAX_NS));
	clock_nanosleep(CLOCK_MONOTONIC, 0, &sleep, NULL);
}

static void *poll_thread(void *argument)
{
	struct simmac_device *device = argument;
	uint64_t now, worked_at = simmac_device_now();

	prctl(PR_SET_TIMERSLACK, 1UL, 0, 0, 0);
	pthread_setname_np(pthread_self(), device->name);
	while (!atomic_load(&device->stopping)) {
		bool worked = turn(device);

		now = simmac_device_now();
		if (worked)
			worked_at = now;
		else
			rest(now - worked_at);
	}
	return NULL;
}

uint64_t simmac_device_whole_pages(uint64_t size)
{
	return (size + SIMMAC_GRANULE - 1) & ~(uint64_t)(SIMMAC_GRANULE - 1);
}

int simmac_device_add_bar(struct simmac_device *device, unsigned int n, uint64_t size, bool is_64,
			  bool prefetchable)
{
	uint64_t length = simmac_device_whole_pages(size);
	struct simmac_bar *bar;
	void *memory;

	if (n >= SIMMAC_BARS || (is_64 && n == SIMMAC_BARS - 1) || size < 16 || size & (size - 1))
		return -EINVAL;
	bar = &device->bar[n];
	bar->fd = memfd_create(device->name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (bar->fd < 0)
		return -errno;
	/* Sealed: a client that has it must not be able to cut it under us. */
	if (ftruncate(bar->fd, (off_t)length) ||
	    fcntl(bar->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		goto fail;
	memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, bar->fd, 0);
	if (memory == MAP_FAILED)
		goto fail;
	bar->memory = memory;
	bar->size = size;
	bar->is_64 = is_64;
	bar->prefetchable = prefetchable;
	simmac_config_set_bar(device, n);
	return 0;

fail:
	close(bar->fd);
	return -ENOMEM;
}

static void bar_free(struct simmac_bar *bar)
{
	if (!bar->size)
		return;
	munmap(bar->memory, simmac_device_whole_pages(bar->size));
	close(bar->fd);
}

/* Most of a large one was never touched: it stays as sparse as it was. */
static void clear_bar(const struct simmac_bar *bar)
{
	if (fallocate(bar->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
		      (off_t)simmac_device_whole_pages(bar->size)))
		memset(bar->memory, 0, bar->size);
}

void simmac_device_clear_bars(struct simmac_device *device)
{
	unsigned int n;

	for (n = 0; n < SIMMAC_BARS; n++)
		if (device->bar[n].size)
			clear_bar(&device->bar[n]);
}

static uint64_t option_number(struct simmac_device *device, const char *key)
{
	return strtoull(simmac_device_option(device, key, "0"), NULL, 0);
}

void simmac_device_do_reset(struct simmac_device *device, enum simmac_reset kind)
{
	bool dies = kind == SIMMAC_RESET_FLR &&
		    !strcmp(simmac_device_option(device, "flr",
						 device->dies_of_flr ? "dead" : "ok"), "dead");
	uint64_t wait = option_number(device, "reset_ms") * 1000000;

	pthread_mutex_lock(&device->config_lock);
	/* A function that is off the bus hears of no FLR. */
	if (kind == SIMMAC_RESET_HOT)
		atomic_store(&device->present, true);
	device->dead = device->dead || dies;
	device->ready_at = wait ? simmac_device_now() + wait : 0;
	memcpy(device->config, device->power_on, sizeof(device->config));
	simmac_device_set_mastering(device, false);
	atomic_store(&device->pending, false);
	pthread_mutex_unlock(&device->config_lock);

	simmac_device_drop_interrupts(device);
	simmac_device_clear_bars(device);
	device->model->reset(device, kind);
	device->reset_sum = simmac_device_sum_bars(device);
}

static bool hears_of_reset(struct simmac_device *device, enum simmac_reset kind)
{
	bool off;

	pthread_mutex_lock(&device->config_lock);
	off = device->off;
	pthread_mutex_unlock(&device->config_lock);
	return !off && (kind == SIMMAC_RESET_HOT || atomic_load(&device->present));
}

void simmac_device_reset(struct simmac_device *device, enum simmac_reset kind)
{
	simmac_device_pause(device);
	if (hears_of_reset(device, kind))
		simmac_device_do_reset(device, kind);
	simmac_device_resume(device);
}

static const struct simmac_model *model_find(const char *spec, size_t length)
{
	size_t i;

	for (i = 0; i < sizeof(models) / sizeof(models[0]); i++)
		if (strlen(models[i]->name) == length && !strncmp(models[i]->name, spec, length))
			return models[i];
	return NULL;
}

static int name_device(struct simmac_device *device)
{
	static atomic_uint count[sizeof(models) / sizeof(models[0])];
	const char *name = simmac_device_option(device, "name", NULL);
	size_t i;

	if (name) {
		device->name = strdup(name);
		return device->name ? 0 : -ENOMEM;
	}
	for (i = 0; models[i] != device->model;)
		i++;
	if (asprintf(&device->name, "%s%u", device->model->name,
		     atomic_fetch_add(&count[i], 1)) < 0) {
		device->name = NULL;
		return -ENOMEM;
	}
	return 0;
}

uint32_t simmac_device_unassigned(struct simmac_device *device)
{
	const char *bars = simmac_device_option(device, "bars", ""), *mask = strchr(bars, ':');

	if (!*bars)
		return 0;
	return mask ? (uint32_t)strtoul(mask + 1, NULL, 0) : (1u << SIMMAC_BARS) - 1;
}

/* Those that only the platform looks at. */
static bool platform_options_sound(struct simmac_device *device)
{
	const char *bars = simmac_device_option(device, "bars", "unassigned");
	const char *thunderbolt = simmac_device_option(device, "thunderbolt", "4");

	simmac_device_option(device, "driver", NULL);
	return !strncmp(bars, "unassigned", strlen("unassigned")) && *thunderbolt >= '3' &&
	       *thunderbolt <= '5' && !thunderbolt[1];
}

static int check_options(struct simmac_device *device)
{
	const char *flr = simmac_device_option(device, "flr", "ok"), *unknown;
	bool sound = platform_options_sound(device);

	option_number(device, "reset_ms");
	unknown = simmac_options_unknown(device);
	if (unknown)
		fprintf(stderr, "simmac: %s: no option \"%s\"\n", device->name, unknown);
	return unknown || !sound || (strcmp(flr, "ok") && strcmp(flr, "dead")) ? -EINVAL : 0;
}

static void device_free(struct simmac_device *device)
{
	unsigned int n;

	for (n = 0; n < SIMMAC_BARS; n++)
		bar_free(&device->bar[n]);
	simmac_dart_free(device->dart);
	pthread_mutex_destroy(&device->run_lock);
	pthread_mutex_destroy(&device->irq_lock);
	pthread_mutex_destroy(&device->config_lock);
	free(device->name);
	simmac_options_free(device);
	free(device);
}

static int device_build(struct simmac_device *device, const char *options,
			const struct simmac_dart_config *dart)
{
	int ret = simmac_options_parse(device, options);

	if (!ret)
		ret = name_device(device);
	if (ret)
		return ret;
	device->dart = simmac_dart_new(dart);
	if (!device->dart)
		return -ENOMEM;
	simmac_dart_set_owner(device->dart, device);
	simmac_config_init(device);
	atomic_store(&device->present, true);
	ret = device->model->init(device);
	if (ret)
		return ret;
	ret = simmac_config_lay_over(device);
	simmac_config_seal(device);
	device->reset_sum = simmac_device_sum_bars(device);
	if (!ret)
		ret = check_options(device);
	if (!ret)
		ret = -pthread_create(&device->thread, NULL, poll_thread, device);
	if (ret)
		device->model->destroy(device);
	return ret;
}

int simmac_device_new(const char *spec, const struct simmac_dart_config *dart,
		      struct simmac_device **device)
{
	size_t length = strcspn(spec, ",");
	const struct simmac_model *model = model_find(spec, length);
	struct simmac_device *new;
	int ret;

	if (!model)
		return -ENOENT;
	new = calloc(1, sizeof(*new));
	if (!new)
		return -ENOMEM;
	new->model = model;
	pthread_mutex_init(&new->run_lock, NULL);
	pthread_mutex_init(&new->irq_lock, NULL);
	pthread_mutex_init(&new->config_lock, NULL);
	ret = device_build(new, spec[length] ? spec + length + 1 : "", dart);
	if (ret) {
		device_free(new);
		return ret;
	}
	*device = new;
	return 0;
}

void simmac_device_free(struct simmac_device *device)
{
	if (!device)
		return;
	atomic_store(&device->stopping, true);
	pthread_join(device->thread, NULL);
	device->model->destroy(device);
	device_free(device);
}
