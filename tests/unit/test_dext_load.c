// SPDX-License-Identifier: BSD-3-Clause
#include "test_dext_load.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "test_dext_mac.h"

#define THREADS		4
#define CALLS		50	/* before something happens to them, and of one client */

static atomic_bool over;
static atomic_uint claims, calls;

/* 0: there is no device, or it goes right now. */
static io_connect_t try_to_open(void)
{
	io_service_t service = mac_service();
	io_connect_t client = 0;

	if (service && IOServiceOpen(service, mach_task_self(), 0, &client))
		client = 0;
	if (service)
		IOObjectRelease(service);
	return client;
}

static void claim_and_start(io_connect_t client)
{
	uint64_t granted;

	if (client_claim(client))
		return;
	atomic_fetch_add(&claims, 1);
	client_irq(client, QUIVER_DEXT_IRQ_MSIX, 4, &granted);
	client_config_write(client, 4, 2, 6);
	client_map_memory(client, QUIVER_DEXT_MEM_BAR0, NULL);
}

static void *use_until_over(void *argument)
{
	void *memory = memory_new(GRANULE);
	unsigned int turn = (unsigned int)(uintptr_t)argument;
	struct quiver_dext_identity identity;
	uint64_t iova, dropped;

	while (!atomic_load(&over)) {
		io_connect_t client = try_to_open();

		if (!client)
			continue;
		claim_and_start(client);
		for (int i = 0; i < CALLS && !client_identify(client, &identity); i++) {
			atomic_fetch_add(&calls, 1);
			if (!client_dma_map(client, memory, GRANULE, &iova))
				client_dma_unmap(client, iova, GRANULE);
			if (++turn % 16 == 0)
				client_reset(client, &dropped);
		}
		IOServiceClose(client);
	}
	memory_free(memory, GRANULE);
	return NULL;
}

void load_disturb(unsigned int times, void (*disturb)(void))
{
	pthread_t threads[THREADS];

	atomic_store(&over, false);
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, use_until_over, (void *)i), 0);
	while (times--) {
		unsigned int before = atomic_load(&calls);

		while (atomic_load(&calls) < before + CALLS)
			usleep(200);
		disturb();
	}
	atomic_store(&over, true);
	for (unsigned int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_true(atomic_load(&claims) > 0);
	mac_wait_device("clients", 0);
	assert_int_equal(mac_device("mappings"), 0);
	assert_false(mac_device("masters_bus"));
}
