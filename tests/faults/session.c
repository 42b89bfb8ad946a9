// SPDX-License-Identifier: BSD-3-Clause
#define _GNU_SOURCE
#include "session.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "iokit.h"
#include "quiver/mac.h"
#include "test_dext_mac.h"

#define PATIENCE_S	10

#define COMMAND		0x04
#define COMMAND_MEMORY	0x2
#define COMMAND_MASTER	0x4

/* Registers of the endpoint's BAR 0. */
#define REG_COMMAND	0x04
#define COMMAND_COPY	(1u << 5)
#define REG_STATUS	0x08
#define STATUS_COPY_OK	(1u << 4)
#define REG_SOURCE	0x0c
#define REG_TARGET	0x14
#define REG_SIZE	0x1c

/* Memory for DMA: what is copied from and to, and more that is only mapped. */
#define GRANULES	40u
#define SIZE		(GRANULES * GRANULE)

struct session {
	const char *name;
	bool many;			/* faults */
	struct session_result result;
	struct quiver_device *device;
	volatile uint32_t *registers;
	uint8_t *memory;
	uint64_t source, target;	/* bus addresses; 0: not mapped */
	unsigned int vectors;		/* that are on */

	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint64_t interrupts;		/* a bit a vector */
	unsigned int losses;
	enum quiver_dext_cause cause;
};

__attribute__((format(printf, 2, 3), noreturn))
static void wrong(const struct session *session, const char *format, ...)
{
	char text[256];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	fail_msg("%s: %s", session->name, text);
	abort();
}

/* --- what a call may say ---------------------------------------------------------------------- */

/* What a caller hears of a status of IOKit's. */
static int errno_of(kern_return_t status)
{
	switch (status) {
	case kIOReturnNoResources:
		return -ENOMEM;
	case MACH_SEND_INVALID_DEST:
		return -ENODEV;
	default:
		return -EIO;
	}
}

/* host.h's, besides those that any call may return. */
static const struct {
	const char *call;
	int error;
} documented[] = {
	{ "quiver_devices_list", -ENOENT },
	{ "quiver_device_identify", -ENOENT },
	{ "quiver_device_open", -ENOENT },
	{ "quiver_bar_map", -ENOENT },
	{ "an entry", -EFAULT },
};

static bool is_documented(const char *call, int error)
{
	if (error == -ENODEV || error == -EIO || error == -ENOMEM)
		return true;
	for (size_t i = 0; i < sizeof(documented) / sizeof(documented[0]); i++) {
		if (documented[i].error == error && !strcmp(documented[i].call, call))
			return true;
	}
	return false;
}

static bool is_lookup(const char *call)
{
	return !strcmp(call, "quiver_device_identify") || !strcmp(call, "quiver_device_open");
}

/* What the caller of a call of libquiver's hears of a fault in it, or 0. */
static int expected(const char *call, const struct iokit_fault *fault)
{
	int error = errno_of(fault->status);

	switch (iokit_meaning(fault->call)) {
	case IOKIT_TELLS:
		/* Who cannot be asked for his number is none that is looked for. */
		if (fault->call == IOKIT_IORegistryEntryGetRegistryEntryID && is_lookup(call))
			return -ENOENT;
		/* The only one there was, gone since. */
		if (error == -ENODEV && !strcmp(call, "quiver_devices_list"))
			return -ENOENT;
		/* Who watches a device that is lost is told at once. */
		return error == -ENODEV && !strcmp(call, "quiver_device_watch") ? 0 : error;
	case IOKIT_IO:
		return -EIO;
	case IOKIT_MEMORY:
		return -ENOMEM;
	case IOKIT_ABSENT:
		return -ENOENT;
	default:
		return 0;
	}
}

static bool is_expected(const char *call, const struct iokit_fault *fault, int error)
{
	/* There may have been no more of them. */
	if (error >= 0 && iokit_meaning(fault->call) == IOKIT_ABSENT)
		return true;
	return (error < 0 ? error : 0) == expected(call, fault);
}

/* Takes down what a call returned; whether it failed. */
static bool failed(struct session *session, const char *call, int error)
{
	const struct iokit_fault *fault = iokit_struck_here();

	if (fault && !session->many && !is_expected(call, fault, error))
		wrong(session, "%s says %d, and not %d, of %s", call, error, expected(call, fault),
		      iokit_name(fault->call));
	if (error >= 0)
		return false;
	if (!is_documented(call, error))
		wrong(session, "%s says %d", call, error);
	if (!session->result.errors++) {
		session->result.call = call;
		session->result.error = error;
	}
	return true;
}

/* For those that have nothing to say. */
static void passed(void)
{
	iokit_struck_here();
}

/* --- interrupts and losses -------------------------------------------------------------------- */

static void on_interrupt(void *context, unsigned int vector)
{
	struct session *session = context;

	pthread_mutex_lock(&session->lock);
	session->interrupts |= 1ull << vector;
	pthread_cond_broadcast(&session->changed);
	pthread_mutex_unlock(&session->lock);
}

static void on_loss(void *context, enum quiver_dext_cause cause)
{
	struct session *session = context;

	pthread_mutex_lock(&session->lock);
	session->losses++;
	session->cause = cause;
	pthread_cond_broadcast(&session->changed);
	pthread_mutex_unlock(&session->lock);
}

static bool has_interrupt(const struct session *session, unsigned int vector)
{
	return session->interrupts & 1ull << vector;
}

static bool has_loss(const struct session *session, unsigned int unused)
{
	return session->losses;
}

static bool wait_for(struct session *session,
		     bool (*condition)(const struct session *session, unsigned int argument),
		     unsigned int argument)
{
	struct timespec end;
	bool met;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += PATIENCE_S;
	pthread_mutex_lock(&session->lock);
	while (!condition(session, argument) &&
	       !pthread_cond_timedwait(&session->changed, &session->lock, &end))
		;
	met = condition(session, argument);
	pthread_mutex_unlock(&session->lock);
	return met;
}

/* --- BARs, config space, interrupts ----------------------------------------------------------- */

static void read_bars(struct session *session)
{
	struct quiver_dext_bar bar;
	void *address, *again;
	uint64_t length;

	for (unsigned int i = 0; i < QUIVER_DEXT_BARS; i++)
		failed(session, "quiver_bar_info", quiver_bar_info(session->device, i, &bar));
	if (failed(session, "quiver_bar_map",
		   quiver_bar_map(session->device, 0, &address, &length)))
		return;
	if (quiver_bar_map(session->device, 0, &again, &length) || again != address)
		wrong(session, "a BAR is mapped twice");
	session->registers = address;
	failed(session, "quiver_bar_map", quiver_bar_map(session->device, 1, &address, &length));
}

static void use_config(struct session *session)
{
	uint32_t value = 0;

	failed(session, "quiver_config_read",
	       quiver_config_read(session->device, 0, 4, &value));
	failed(session, "quiver_config_read",
	       quiver_config_read(session->device, 0x34, 1, &value));
	failed(session, "quiver_config_write",
	       quiver_config_write(session->device, 0x06, 2, 0xf900));
	if (quiver_config_read(session->device, 1, 2, &value) != -EINVAL)
		wrong(session, "a read that is not aligned");
}

/* Whether the device is known to do DMA now. A write that is lost on the way tells nobody. */
static bool master(struct session *session)
{
	uint32_t value = 0;

	if (failed(session, "quiver_config_write",
		   quiver_config_write(session->device, COMMAND, 2,
				       COMMAND_MEMORY | COMMAND_MASTER)) ||
	    failed(session, "quiver_config_read",
		   quiver_config_read(session->device, COMMAND, 2, &value)))
		return false;
	return value != 0xffff && value & COMMAND_MASTER;
}

static void set_interrupts(struct session *session, uint32_t type, unsigned int count)
{
	unsigned int granted = 0;
	bool none = type == QUIVER_DEXT_IRQ_NONE;

	session->vectors = 0;
	if (failed(session, "quiver_irq_configure",
		   quiver_irq_configure(session->device, type, count, none ? NULL : on_interrupt,
					session, &granted)))
		return;
	if (granted > count || (!none && !granted))
		wrong(session, "%u vectors of %u", granted, count);
	pthread_mutex_lock(&session->lock);
	session->interrupts = 0;
	pthread_mutex_unlock(&session->lock);
	session->vectors = granted;
}

/* --- DMA -------------------------------------------------------------------------------------- */

static struct quiver_dma map(const struct session *session, unsigned int granule,
			     unsigned int count)
{
	return (struct quiver_dma){
		.op = QUIVER_MAP, .flags = QUIVER_DEXT_DMA_READ | QUIVER_DEXT_DMA_WRITE,
		.address = session->memory + granule * GRANULE, .length = count * GRANULE,
	};
}

static struct quiver_dma unmap(uint64_t iova, unsigned int count)
{
	return (struct quiver_dma){ .op = QUIVER_UNMAP, .length = count * GRANULE, .iova = iova };
}

/* Entries are what they are to be, or say why not. */
static void run(struct session *session, struct quiver_dma *dma, const int *results, size_t count)
{
	int error = quiver_dma_batch(session->device, dma, count);

	failed(session, "quiver_dma_batch", error);
	for (size_t i = 0; i < count; i++) {
		if (error && !dma[i].result)
			wrong(session, "entry %zu of a batch that failed is said to have been done", i);
		if (!error && results && dma[i].result != results[i])
			failed(session, "an entry", dma[i].result ? dma[i].result : -EINVAL);
		else if (!error && !results)
			failed(session, "an entry", dma[i].result);
	}
}

static void run_one(struct session *session, struct quiver_dma *dma)
{
	run(session, dma, NULL, 1);
}

#define MANY (QUIVER_DEXT_DMA_MAX + 3)

/* Two calls' worth: real ones at the seams, what is in vain in between. */
static void run_many(struct session *session)
{
	static const unsigned int real[] = { 0, QUIVER_DEXT_DMA_MAX - 1, QUIVER_DEXT_DMA_MAX,
					     MANY - 1 };
	struct quiver_dma dma[MANY];
	int results[MANY];

	for (unsigned int i = 0; i < MANY; i++) {
		dma[i] = i % 2 ? unmap(GRANULE, 1) : map(session, 0, 0);
		results[i] = i % 2 ? -ENOENT : -EINVAL;
	}
	for (unsigned int i = 0; i < 4; i++) {
		dma[real[i]] = map(session, 8 + 4 * i, i + 1);
		results[real[i]] = 0;
	}
	run(session, dma, results, MANY);
	for (unsigned int i = 0; i < 4; i++) {
		struct quiver_dma undo = unmap(dma[real[i]].iova, i + 1);

		if (!dma[real[i]].result)
			run_one(session, &undo);
	}
}

static void map_buffers(struct session *session)
{
	struct quiver_dma dma[] = { map(session, 0, 4), map(session, 4, 4) };

	run(session, dma, NULL, 2);
	session->source = dma[0].result ? 0 : dma[0].iova;
	session->target = dma[1].result ? 0 : dma[1].iova;
}

static void start_copy(const struct session *session, uint32_t size)
{
	volatile uint32_t *registers = session->registers;

	registers[REG_SOURCE / 4] = (uint32_t)session->source;
	registers[REG_SOURCE / 4 + 1] = (uint32_t)(session->source >> 32);
	registers[REG_TARGET / 4] = (uint32_t)session->target;
	registers[REG_TARGET / 4 + 1] = (uint32_t)(session->target >> 32);
	registers[REG_SIZE / 4] = size;
	registers[REG_STATUS / 4] = 0;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	registers[REG_COMMAND / 4] = COMMAND_COPY;
}

static bool copied(const struct session *session)
{
	const struct timespec pause = { .tv_nsec = 20000 };

	for (int i = 0; i < PATIENCE_S * 50000; i++) {
		if (session->registers[REG_STATUS / 4] & STATUS_COPY_OK)
			return true;
		nanosleep(&pause, NULL);
	}
	return false;
}

/*
 * The device moves bytes, and tells by the last of its vectors, of whichever
 * kind macOS lets it have.
 */
static void copy(struct session *session)
{
	static uint8_t pattern;

	if (!master(session) || !session->registers || !session->source || !session->target)
		return;
	memset(session->memory, ++pattern, GRANULE);
	start_copy(session, GRANULE);
	if (!copied(session))
		wrong(session, "the device did not copy");
	if (memcmp(session->memory, session->memory + 4 * GRANULE, GRANULE))
		wrong(session, "the device copied something else");
	if (!session->vectors)
		return;
	free(mac_control("raise endpoint0 %u", session->vectors - 1));
	if (!wait_for(session, has_interrupt, session->vectors - 1))
		wrong(session, "no interrupt came");
}

static void unmap_buffers(struct session *session)
{
	struct quiver_dma dma[] = { unmap(session->source, 4), unmap(session->target, 4) };

	if (session->source)
		run_one(session, &dma[0]);
	if (session->target)
		run_one(session, &dma[1]);
	session->source = session->target = 0;
}

/* --- the whole of it -------------------------------------------------------------------------- */

static void reset(struct session *session, uint32_t flags, uint64_t expected_drops)
{
	uint64_t dropped = UINT64_MAX;
	int error = quiver_device_reset(session->device, flags, &dropped);

	session->vectors = 0;
	if (failed(session, "quiver_device_reset", error))
		return;
	if (!(flags & QUIVER_DEXT_RESET_KEEP))
		session->source = session->target = 0;
	/* What could not be unmapped goes with the rest. */
	if (dropped != expected_drops && !session->result.errors)
		wrong(session, "%llu mappings were dropped, and not %llu",
		      (unsigned long long)dropped, (unsigned long long)expected_drops);
}

static uint64_t mapped(const struct session *session)
{
	return (session->source != 0) + (session->target != 0);
}

static void use_device(struct session *session)
{
	struct quiver_dext_stats stats;

	read_bars(session);
	use_config(session);
	failed(session, "quiver_device_stats", quiver_device_stats(session->device, &stats));
	set_interrupts(session, QUIVER_DEXT_IRQ_MSIX, 3);
	map_buffers(session);
	copy(session);
	run_many(session);
	set_interrupts(session, QUIVER_DEXT_IRQ_MSI, 2);
	copy(session);
	set_interrupts(session, QUIVER_DEXT_IRQ_NONE, 0);
	reset(session, QUIVER_DEXT_RESET_KEEP, 0);
	set_interrupts(session, QUIVER_DEXT_IRQ_MSIX, 1);
	copy(session);
	unmap_buffers(session);
	map_buffers(session);
	reset(session, 0, mapped(session));
	/* It is left as a VMM that dies leaves it: in the middle of a copy. */
	set_interrupts(session, QUIVER_DEXT_IRQ_MSIX, 2);
	map_buffers(session);
	if (master(session) && session->registers && session->source && session->target)
		start_copy(session, 4 * GRANULE);
}

/* More often than a fault can make it seem so. */
static bool is_gone(struct session *session)
{
	unsigned int answers = 0;
	uint32_t value;

	for (unsigned int i = 0; i <= IOKIT_FAULTS_MAX; i++)
		answers += !failed(session, "quiver_config_read",
				   quiver_config_read(session->device, 0, 4, &value));
	return !answers;
}

/* Nobody loses a device unheard, and who was told has lost it. */
static void judge_losses(struct session *session, bool watched)
{
	bool gone = is_gone(session), told;

	/* Of an extension that died, libquiver learns in its own time. */
	if (gone && watched && !iokit_dead() && !wait_for(session, has_loss, 0))
		wrong(session, "the device is gone, and nobody was told");
	pthread_mutex_lock(&session->lock);
	told = session->losses;
	if (session->losses > 1)
		wrong(session, "it was told %u times", session->losses);
	if (told && session->cause == QUIVER_DEXT_CAUSE_NONE && !iokit_dead())
		wrong(session, "a device is lost for no cause");
	pthread_mutex_unlock(&session->lock);
	if (told && !gone)
		wrong(session, "it was told of a loss, and there is none");
}

static void use_all(struct session *session)
{
	struct quiver_device_info info[2];
	struct quiver_dext_identity identity;
	struct quiver_dext_stats stats;
	bool watched;
	int count = quiver_devices_list(info, 2);

	if (failed(session, "quiver_devices_list", count))
		return;
	assert_int_equal(count, 1);
	failed(session, "quiver_device_identify", quiver_device_identify(info[0].id, &identity));
	if (failed(session, "quiver_device_open",
		   quiver_device_open(info[0].id, &session->device)))
		return;
	assert_int_equal(quiver_device_info(session->device)->id, info[0].id);
	watched = !failed(session, "quiver_device_watch",
			  quiver_device_watch(session->device, on_loss, session));
	use_device(session);
	judge_losses(session, watched);
	failed(session, "quiver_device_stats", quiver_device_stats(session->device, &stats));
	quiver_device_close(session->device);
	passed();
}

static struct session_result run_session(const char *name, bool many)
{
	struct session session = { .name = name, .many = many };

	pthread_mutex_init(&session.lock, NULL);
	pthread_cond_init(&session.changed, NULL);
	session.memory = memory_new(SIZE);
	use_all(&session);
	memory_free(session.memory, SIZE);
	pthread_cond_destroy(&session.changed);
	pthread_mutex_destroy(&session.lock);
	return session.result;
}

struct session_result session_run(const char *name)
{
	return run_session(name, false);
}

struct session_result session_run_with_many(const char *name)
{
	return run_session(name, true);
}

static void lose(struct session *session, const char *away)
{
	struct quiver_device_info info;
	int count = quiver_devices_list(&info, 1);

	if (failed(session, "quiver_devices_list", count) ||
	    failed(session, "quiver_device_open", quiver_device_open(info.id, &session->device)))
		return;
	read_bars(session);
	set_interrupts(session, QUIVER_DEXT_IRQ_MSIX, 2);
	map_buffers(session);
	if (master(session) && session->registers && session->source && session->target)
		start_copy(session, 4 * GRANULE);
	free(mac_control("%s", away));
	quiver_device_close(session->device);
}

struct session_result session_lose(const char *name, const char *away, const char *back)
{
	struct session session = { .name = name, .many = true, .memory = memory_new(SIZE) };

	pthread_mutex_init(&session.lock, NULL);
	pthread_cond_init(&session.changed, NULL);
	lose(&session, away);
	free(mac_control("%s", back));
	pthread_cond_destroy(&session.changed);
	pthread_mutex_destroy(&session.lock);
	memory_free(session.memory, SIZE);
	return session.result;
}

static void sleep_and_wake(struct session *session)
{
	struct quiver_device_info info;
	int count = quiver_devices_list(&info, 1);

	if (failed(session, "quiver_devices_list", count) ||
	    failed(session, "quiver_device_open", quiver_device_open(info.id, &session->device)))
		return;
	if (!failed(session, "quiver_device_watch",
		    quiver_device_watch(session->device, on_loss, session))) {
		free(mac_control("sleep"));
		if (!wait_for(session, has_loss, 0) || session->cause != QUIVER_DEXT_CAUSE_SLEEP)
			wrong(session, "the Mac sleeps, and nobody was told");
		free(mac_control("wake"));
	}
	quiver_device_close(session->device);
}

struct session_result session_sleep(const char *name)
{
	struct session session = { .name = name };

	pthread_mutex_init(&session.lock, NULL);
	pthread_cond_init(&session.changed, NULL);
	sleep_and_wake(&session);
	pthread_cond_destroy(&session.changed);
	pthread_mutex_destroy(&session.lock);
	return session.result;
}

/* What it does not find is not there; of that it could not look it says so. */
static void asked(struct session *session, const char *call, int error)
{
	const struct iokit_fault *fault = iokit_struck_here();

	if (error < 0 && error != -EIO)
		wrong(session, "%s says %d", call, error);
	if (fault && iokit_meaning(fault->call) == IOKIT_IO && error != -EIO)
		wrong(session, "%s knows nothing of %s", call, iokit_name(fault->call));
	session->result.errors += error < 0;
}

struct session_result session_ask_mac(const char *name)
{
	struct session session = { .name = name };
	struct quiver_mac_enclosure enclosure[2];
	struct quiver_mac_system system;
	struct quiver_mac_pci pci[2];
	uint32_t assertion;
	int error;

	asked(&session, "quiver_mac_system", quiver_mac_system(&system));
	asked(&session, "quiver_mac_pci_list", quiver_mac_pci_list(pci, 2));
	asked(&session, "quiver_mac_enclosures_list", quiver_mac_enclosures_list(enclosure, 2));
	error = quiver_mac_stay_awake(&assertion);
	asked(&session, "quiver_mac_stay_awake", error);
	if (!error)
		quiver_mac_may_sleep(assertion);
	return session.result;
}
