// SPDX-License-Identifier: BSD-3-Clause
#include "test_host_iokit.h"

#include <IOKit/IOMessage.h>
#include <IOKit/pwr_mgt/IOPMLib.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define QUEUE_LIMIT 5		/* as of a port of Mach's */
#define ITERATOR 1
#define SERVICE 10
#define CONNECT 100
#define PORT 77			/* of interrupts */
#define POWER_PORT 78		/* of sleep; and more of them, while one ends and the next begins */
#define POWER_PORTS 16
#define POWER_CONNECT 200
#define POWER_NOTIFIER 300

struct IONotificationPort {
	pthread_mutex_t lock;
	pthread_cond_t posted;
	unsigned int messages;
	mach_port_t name;

	/* Of sleep: what the messages are, but for wake-ups, and who hears of them. */
	struct {
		uint32_t message;
		intptr_t id;
	} notice[QUEUE_LIMIT];
	unsigned int notices;
	IOServiceInterestCallback callback;
	void *context;
};

struct fake_iokit fake;
const mach_port_t kIOMainPortDefault = 0;

mach_port_t mach_task_self(void)
{
	return 1;
}

static struct IONotificationPort *port;
static pthread_mutex_t power_lock = PTHREAD_MUTEX_INITIALIZER;
static struct IONotificationPort *power[POWER_PORTS], *newest_power;
static unsigned int next_service;
static bool stale;
static _Alignas(64) unsigned char pending_memory[QUIVER_DEXT_PENDING_SIZE];

void fake_reset(void)
{
	while (atomic_load(&fake.registrations))
		sched_yield();
	memset(&fake, 0, sizeof(fake));
	memset(pending_memory, 0, sizeof(pending_memory));
	fake.services = 1;
	fake.identity.abi_version = QUIVER_DEXT_ABI_VERSION;
	fake.identity_size = sizeof(fake.identity);
	fake.codes = 1;
	fake.granted = UINT64_MAX;
	fake.pending = (struct quiver_dext_pending *)pending_memory;
}

static bool post(struct IONotificationPort *to)
{
	bool room;

	pthread_mutex_lock(&to->lock);
	room = to->messages < QUEUE_LIMIT;
	to->messages += room;
	pthread_cond_signal(&to->posted);
	pthread_mutex_unlock(&to->lock);
	return room;
}

void fake_raise(unsigned int vector)
{
	__atomic_fetch_or(&fake.pending->bits[vector / 64], 1ull << vector % 64, __ATOMIC_SEQ_CST);
	if (__atomic_exchange_n(&fake.pending->armed, 0, __ATOMIC_SEQ_CST)) {
		fake.wakeups++;
		post(port);
	}
}

void fake_lose(enum quiver_dext_cause cause)
{
	__atomic_store_n(&fake.pending->lost, cause, __ATOMIC_SEQ_CST);
	if (port)
		post(port);
}

void fake_silence(void)
{
	pthread_mutex_lock(&port->lock);
	atomic_store(&fake.silent, true);
	pthread_cond_signal(&port->posted);
	pthread_mutex_unlock(&port->lock);
}

static struct IONotificationPort *port_new(mach_port_t name)
{
	struct IONotificationPort *made = calloc(1, sizeof(*made));

	made->name = name;
	pthread_mutex_init(&made->lock, NULL);
	pthread_cond_init(&made->posted, NULL);
	return made;
}

static void port_free(struct IONotificationPort *gone)
{
	pthread_mutex_destroy(&gone->lock);
	pthread_cond_destroy(&gone->posted);
	free(gone);
}

IONotificationPortRef IONotificationPortCreate(mach_port_t main_port)
{
	port = port_new(PORT);
	fake.objects++;
	return port;
}

static void power_free(struct IONotificationPort *gone)
{
	pthread_mutex_lock(&power_lock);
	power[gone->name - POWER_PORT] = NULL;
	if (newest_power == gone)
		newest_power = NULL;
	pthread_mutex_unlock(&power_lock);
	port_free(gone);
	atomic_fetch_sub(&fake.registrations, 1);
}

void IONotificationPortDestroy(IONotificationPortRef notify)
{
	if (notify->name != PORT) {
		power_free(notify);
		return;
	}
	port_free(notify);
	port = NULL;
	fake.objects--;
}

mach_port_t IONotificationPortGetMachPort(IONotificationPortRef notify)
{
	return notify->name;
}

io_connect_t IORegisterForSystemPower(void *refcon, IONotificationPortRef *to,
				      IOServiceInterestCallback callback, io_object_t *notifier)
{
	mach_port_t i = 0;

	if (fake.deaf)
		return MACH_PORT_NULL;
	pthread_mutex_lock(&power_lock);
	while (power[i])
		i++;
	*to = newest_power = power[i] = port_new(POWER_PORT + i);
	newest_power->callback = callback;
	newest_power->context = refcon;
	pthread_mutex_unlock(&power_lock);
	atomic_fetch_add(&fake.registrations, 1);
	*notifier = POWER_NOTIFIER;
	return POWER_CONNECT;
}

IOReturn IODeregisterForSystemPower(io_object_t *notifier)
{
	if (fake.last_question)
		fake_notice(kIOMessageSystemWillSleep, fake.last_question);
	*notifier = IO_OBJECT_NULL;
	return kIOReturnSuccess;
}

IOReturn IOAllowPowerChange(io_connect_t connect, intptr_t id)
{
	if (connect != POWER_CONNECT)
		return kIOReturnError;
	atomic_store(&fake.answered, id);
	atomic_fetch_add(&fake.answers, 1);
	return kIOReturnSuccess;
}

void fake_notice(uint32_t message, intptr_t id)
{
	struct IONotificationPort *to;

	pthread_mutex_lock(&power_lock);
	to = newest_power;
	if (to) {
		pthread_mutex_lock(&to->lock);
		to->notice[to->notices].message = message;
		to->notice[to->notices++].id = id;
		pthread_mutex_unlock(&to->lock);
		post(to);
	}
	pthread_mutex_unlock(&power_lock);
}

void fake_patience(void)
{
	pthread_mutex_lock(&newest_power->lock);
	atomic_store(&fake.patient, true);
	pthread_cond_signal(&newest_power->posted);
	pthread_mutex_unlock(&newest_power->lock);
	while (atomic_load(&fake.patient))
		sched_yield();
}

void IODispatchCalloutFromMessage(void *unused, mach_msg_header_t *message, void *reference)
{
	struct IONotificationPort *from = reference;
	unsigned int left;

	for (unsigned int i = 0;; i++) {
		pthread_mutex_lock(&from->lock);
		left = from->notices - i;
		if (!left)
			from->notices = 0;
		pthread_mutex_unlock(&from->lock);
		if (!left)
			return;
		from->callback(from->context, 0, from->notice[i].message,
			       (void *)from->notice[i].id);
	}
}

/* False: nothing has come. Nobody who waits for ever is told that. */
static bool take(struct IONotificationPort *from, bool waits)
{
	atomic_bool *silent = from->name == PORT ? &fake.silent : &fake.patient;
	bool got;

	pthread_mutex_lock(&from->lock);
	while (waits && !from->messages && !(fake.patience && atomic_exchange(silent, false)))
		pthread_cond_wait(&from->posted, &from->lock);
	got = from->messages;
	from->messages -= got;
	pthread_mutex_unlock(&from->lock);
	return got;
}

static struct IONotificationPort *named(mach_port_t name)
{
	struct IONotificationPort *found = NULL;

	if (name == PORT)
		return port;
	pthread_mutex_lock(&power_lock);
	if (name >= POWER_PORT && name < POWER_PORT + POWER_PORTS)
		found = power[name - POWER_PORT];
	pthread_mutex_unlock(&power_lock);
	return found;
}

mach_msg_return_t mach_msg(mach_msg_header_t *msg, mach_msg_option_t option,
			   mach_msg_size_t send_size, mach_msg_size_t rcv_size,
			   mach_port_name_t rcv_name, mach_msg_timeout_t timeout,
			   mach_port_name_t notify)
{
	struct IONotificationPort *of = named(option & MACH_SEND_MSG ? msg->msgh_remote_port :
									rcv_name);
	bool polls;

	if (option & MACH_SEND_MSG)
		return post(of) ? MACH_MSG_SUCCESS : MACH_SEND_TIMED_OUT;
	if (!of)
		return MACH_RCV_INVALID_NAME;
	polls = option & MACH_RCV_TIMEOUT && !timeout;
	if (!polls)
		fake.patience = option & MACH_RCV_TIMEOUT ? timeout : 0;
	if (!take(of, !polls))
		return MACH_RCV_TIMED_OUT;
	fake.receives += of->name == PORT;
	memset(msg, 0, sizeof(*msg));
	return MACH_MSG_SUCCESS;
}

CFMutableDictionaryRef IOServiceNameMatching(const char *name)
{
	return strcmp(name, QUIVER_DEXT_SERVICE) ? NULL : (CFMutableDictionaryRef)&fake;
}

kern_return_t IOServiceGetMatchingServices(mach_port_t main_port, CFDictionaryRef matching,
					   io_iterator_t *existing)
{
	if (!matching)
		return kIOReturnBadArgument;
	next_service = 0;
	stale = fake.restless && fake.restless--;
	fake.objects++;
	*existing = ITERATOR;
	return kIOReturnSuccess;
}

io_object_t IOIteratorNext(io_iterator_t iterator)
{
	if (next_service == (stale ? fake.services / 2 : fake.services))
		return 0;
	fake.objects++;
	return SERVICE + next_service++;
}

boolean_t IOIteratorIsValid(io_iterator_t iterator)
{
	return !stale;
}

kern_return_t IOObjectRelease(io_object_t object)
{
	fake.objects--;
	return kIOReturnSuccess;
}

kern_return_t IORegistryEntryGetRegistryEntryID(io_registry_entry_t entry, uint64_t *id)
{
	*id = 0x100 + entry - SERVICE;
	return kIOReturnSuccess;
}

kern_return_t IOServiceOpen(io_service_t service, task_port_t task, uint32_t type,
			    io_connect_t *connect)
{
	if (fake.open_status)
		return fake.open_status;
	if (fake.open_status_of_last && service == SERVICE + fake.services - 1)
		return fake.open_status_of_last;
	fake.connections++;
	*connect = CONNECT;
	return kIOReturnSuccess;
}

kern_return_t IOServiceClose(io_connect_t connect)
{
	if (connect != POWER_CONNECT)
		fake.connections--;
	return kIOReturnSuccess;
}

static kern_return_t identify(void *output, size_t *size)
{
	memcpy(output, &fake.identity, fake.identity_size);
	*size = fake.identity_size;
	return kIOReturnSuccess;
}

static void dma_entry(const struct quiver_dext_dma_entry *entry,
		      struct quiver_dext_dma_status *status)
{
	uint64_t iova = entry->address + 1;

	status->status = fake.code[fake.entries++ % fake.codes];
	if (fake.dma_answer)
		status->status = fake.dma_answer(entry, &iova);
	status->iova = iova;
}

static kern_return_t dma(const struct quiver_dext_dma_request *request, size_t size,
			 struct quiver_dext_dma_result *result, size_t *result_size)
{
	unsigned int call = fake.calls[QUIVER_DEXT_DMA];
	uint32_t i;

	if (size != offsetof(struct quiver_dext_dma_request, entry[request->count]) ||
	    *result_size != offsetof(struct quiver_dext_dma_result, entry[request->count]))
		return kIOReturnBadArgument;
	fake.call_count[(call - 1) % 16] = request->count;
	result->count = request->count + fake.result_count_skew;
	for (i = 0; i < request->count; i++)
		dma_entry(&request->entry[i], &result->entry[i]);
	return kIOReturnSuccess;
}

static void clear_pending(void)
{
	size_t i;

	__atomic_store_n(&fake.pending->armed, 0, __ATOMIC_SEQ_CST);
	for (i = 0; i < QUIVER_DEXT_VECTORS_MAX / 64; i++)
		__atomic_store_n(&fake.pending->bits[i], 0, __ATOMIC_SEQ_CST);
}

static kern_return_t irq_configure(const uint64_t *input, uint64_t *output)
{
	clear_pending();
	*output = input[1] < fake.granted ? input[1] : fake.granted;
	return kIOReturnSuccess;
}

static kern_return_t stats(struct quiver_dext_stats *out, size_t *size)
{
	if (*size < sizeof(*out))
		return kIOReturnBadArgument;
	memset(out, 0, sizeof(*out));
	out->granule = 16384;
	*size = sizeof(*out);
	return kIOReturnSuccess;
}

static kern_return_t bar_info(const uint64_t *input, struct quiver_dext_bar *out)
{
	*out = fake.bar[input[0]];
	return kIOReturnSuccess;
}

static kern_return_t config(uint32_t selector, const uint64_t *input, uint64_t *output)
{
	unsigned int shift = input[0] % 4 * 8;
	uint32_t mask = input[1] == 4 ? ~0u : (1u << input[1] * 8) - 1;
	uint32_t *word = &fake.config[input[0] / 4];

	if (selector == QUIVER_DEXT_CONFIG_READ)
		*output = *word >> shift & mask;
	else
		*word = (*word & ~(mask << shift)) | (uint32_t)input[2] << shift;
	return kIOReturnSuccess;
}

kern_return_t IOConnectCallMethod(mach_port_t connection, uint32_t selector, const uint64_t *input,
				  uint32_t input_count, const void *in, size_t in_size,
				  uint64_t *output, uint32_t *output_count, void *out,
				  size_t *out_size)
{
	unsigned int call = ++fake.calls[selector];

	if (fake.disconnected)
		return kIOReturnBadArgument;
	if (selector == QUIVER_DEXT_CLAIM && call <= fake.claims_refused)
		return kIOReturnExclusiveAccess;
	if (fake.status[selector] && (!fake.fail_call || fake.fail_call == call))
		return fake.status[selector];
	switch (selector) {
	case QUIVER_DEXT_IDENTIFY:
		return identify(out, out_size);
	case QUIVER_DEXT_BAR_INFO:
		return bar_info(input, out);
	case QUIVER_DEXT_CONFIG_READ:
	case QUIVER_DEXT_CONFIG_WRITE:
		return config(selector, input, output);
	case QUIVER_DEXT_DMA:
		return dma(in, in_size, out, out_size);
	case QUIVER_DEXT_STATS:
		return stats(out, out_size);
	case QUIVER_DEXT_IRQ_CONFIGURE:
		return irq_configure(input, output);
	case QUIVER_DEXT_RESET:
		*output = fake.dropped;
		return kIOReturnSuccess;
	default:
		return kIOReturnSuccess;
	}
}

kern_return_t IOConnectCallScalarMethod(mach_port_t connection, uint32_t selector,
					const uint64_t *input, uint32_t input_count,
					uint64_t *output, uint32_t *output_count)
{
	return IOConnectCallMethod(connection, selector, input, input_count, NULL, 0, output,
				   output_count, NULL, NULL);
}

kern_return_t IOConnectCallStructMethod(mach_port_t connection, uint32_t selector, const void *in,
					size_t in_size, void *out, size_t *out_size)
{
	return IOConnectCallMethod(connection, selector, NULL, 0, in, in_size, NULL, NULL, out,
				   out_size);
}

kern_return_t IOConnectCallAsyncScalarMethod(mach_port_t connection, uint32_t selector,
					     mach_port_t wake_port, uint64_t *reference,
					     uint32_t reference_count, const uint64_t *input,
					     uint32_t input_count, uint64_t *output,
					     uint32_t *output_count)
{
	return wake_port == PORT ? IOConnectCallMethod(connection, selector, input, input_count, NULL,
						     0, output, output_count, NULL, NULL)
			       : kIOReturnBadArgument;
}

kern_return_t IOConnectMapMemory64(io_connect_t connect, uint32_t type, task_port_t task,
				   mach_vm_address_t *address, mach_vm_size_t *size,
				   IOOptionBits options)
{
	if (fake.disconnected)
		return kIOReturnBadArgument;
	if (fake.map_status)
		return fake.map_status;
	fake.maps++;
	if (type == QUIVER_DEXT_MEM_PENDING) {
		*address = (uintptr_t)fake.pending;
		*size = QUIVER_DEXT_PENDING_SIZE;
	} else {
		*address = (uintptr_t)fake.bar_memory;
		*size = fake.bar[type - QUIVER_DEXT_MEM_BAR0].length;
	}
	return kIOReturnSuccess;
}

kern_return_t IOConnectUnmapMemory64(io_connect_t connect, uint32_t type, task_port_t task,
				     mach_vm_address_t address)
{
	fake.unmaps++;
	return kIOReturnSuccess;
}
