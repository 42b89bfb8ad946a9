// SPDX-License-Identifier: BSD-3-Clause
/* A device that is lost to its client: what it is told, in which order, and who gets it next. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>

#include "test_dext_mac.h"

static int start(void **unused)
{
	mac_start("--device endpoint,name=one");
	return 0;
}

static int start_dead(void **unused)
{
	mac_start("--device endpoint,name=one,flr=dead");
	return 0;
}

struct holder {
	io_connect_t client;
	mach_port_t port;
	volatile struct quiver_dext_pending *page;
	void *memory;
	pthread_t listener;
	uint32_t seen;			/* in the page, at the moment of the wake-up */
};

static bool woken(struct holder *holder, unsigned int ms)
{
	union {
		mach_msg_header_t header;
		char room[1024];
	} message;

	return mach_msg(&message.header, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof(message),
			holder->port, ms, MACH_PORT_NULL) == MACH_MSG_SUCCESS;
}

/* For whoever takes the device away does not return before all is over. */
static void *listen(void *argument)
{
	struct holder *holder = argument;

	holder->seen = woken(holder, 20000) ? holder->page->lost : UINT32_MAX;
	return NULL;
}

/* Live, with a mapping and interrupts, and waiting to be woken. */
static struct holder hold(void)
{
	struct holder holder = { .client = client_open_claimed(), .memory = memory_new(GRANULE) };
	uint64_t reference[8] = { 0 }, iova, granted;

	holder.page = client_map_memory(holder.client, QUIVER_DEXT_MEM_PENDING, NULL);
	assert_non_null(holder.page);
	assert_int_equal(mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE,
					    &holder.port), 0);
	assert_int_equal(IOConnectCallAsyncScalarMethod(holder.client, QUIVER_DEXT_IRQ_WAIT,
							holder.port, reference, 3, NULL, 0, NULL,
							NULL), kIOReturnSuccess);
	assert_int_equal(client_irq(holder.client, QUIVER_DEXT_IRQ_MSIX, 4, &granted), 0);
	assert_int_equal(client_dma_map(holder.client, holder.memory, GRANULE, &iova), 0);
	client_master(holder.client, true);
	return holder;
}

static void let_go(struct holder *holder)
{
	IOServiceClose(holder->client);
	mach_port_deallocate(mach_task_self(), holder->port);
	memory_free(holder->memory, GRANULE);
}

static void start_listening(struct holder *holder)
{
	assert_int_equal(pthread_create(&holder->listener, NULL, listen, holder), 0);
}

/* The page was written before the wake-up was sent, and there is one of it. */
static void expect_told(struct holder *holder, enum quiver_dext_cause cause)
{
	pthread_join(holder->listener, NULL);
	assert_int_equal(holder->seen, cause);
	assert_int_equal(holder->page->lost, cause);
	assert_false(woken(holder, 20));
}

static void expect_identity(io_connect_t client, uint32_t state, uint32_t cause)
{
	struct quiver_dext_identity identity;

	assert_int_equal(client_identify(client, &identity), kIOReturnSuccess);
	assert_int_equal(identity.state, state);
	assert_int_equal(identity.cause, cause);
	assert_int_equal(identity.mappings, mac_device("mappings"));
}

static void sleep_takes_it_and_waking_gives_it_back(void **unused)
{
	struct holder holder = hold();
	io_connect_t other = client_open();
	uint64_t dropped;

	expect_identity(other, QUIVER_DEXT_LIVE, QUIVER_DEXT_CAUSE_NONE);
	assert_int_equal(holder.page->lost, 0);
	start_listening(&holder);
	assert_true(mac_does("sleep"));
	expect_told(&holder, QUIVER_DEXT_CAUSE_SLEEP);
	expect_identity(other, QUIVER_DEXT_GONE, QUIVER_DEXT_CAUSE_SLEEP);
	assert_int_equal(mac_device("mappings"), 0);
	assert_int_equal(client_claim(other), kIOReturnNoDevice);
	assert_int_equal(client_reset(holder.client, &dropped), kIOReturnNoDevice);
	assert_true(mac_does("wake"));
	assert_int_equal(client_claim(other), kIOReturnExclusiveAccess);
	let_go(&holder);
	mac_wait_device("clients", 1);
	expect_identity(other, QUIVER_DEXT_UNCLAIMED, QUIVER_DEXT_CAUSE_NONE);
	assert_int_equal(client_claim(other), kIOReturnSuccess);
	assert_int_equal(client_config_read(other, 0, 2), 0x1912);
	IOServiceClose(other);
}

static void a_free_device_cannot_be_claimed_in_its_sleep(void **unused)
{
	io_connect_t client = client_open();

	assert_true(mac_does("sleep"));
	assert_int_equal(client_claim(client), kIOReturnNoDevice);
	assert_true(mac_does("wake"));
	assert_int_equal(client_claim(client), kIOReturnSuccess);
	/* macOS waits for its own, which ours ends in. */
	assert_int_equal(mac_calls("IOService::SetPowerState"), 2);
	IOServiceClose(client);
}

/* Nobody waits to be told, or has the page. */
static void a_client_that_does_not_listen_loses_it_as_well(void **unused)
{
	io_connect_t client = client_open_claimed();

	client_master(client, true);
	assert_true(mac_does("sleep"));
	expect_identity(client, QUIVER_DEXT_GONE, QUIVER_DEXT_CAUSE_SLEEP);
	assert_true(mac_does("wake"));
	IOServiceClose(client);
	client = client_open_claimed();
	IOServiceClose(client);
}

static void a_hostile_page_does_not_keep_it_from_being_told(void **unused)
{
	struct holder holder = hold();

	memset((void *)holder.page, 0xff, QUIVER_DEXT_PENDING_SIZE);
	holder.page->armed = 0;
	start_listening(&holder);
	assert_true(mac_does("sleep"));
	expect_told(&holder, QUIVER_DEXT_CAUSE_SLEEP);
	assert_true(mac_does("wake"));
	let_go(&holder);
}

/* Whoever of them is first tells. */
static void an_unplugged_device_is_neither_reset_nor_waited_for(void **unused)
{
	static const char *const orders[] = { "driver", "clients", "together" };

	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		struct holder holder = hold();
		uint64_t resets = mac_calls("IOPCIDevice::Reset");

		start_listening(&holder);
		free(mac_control("stop-order %s", orders[i]));
		assert_true(mac_does("unplug one"));
		assert_int_equal(mac_calls("IOPCIDevice::Reset"), resets);
		assert_int_equal(mac_device("mappings"), 0);
		expect_told(&holder, QUIVER_DEXT_CAUSE_UNPLUGGED);
		let_go(&holder);
		assert_true(mac_does("plug one"));
	}
}

/* A bridge that cannot be asked may be there: then the device may be, too, and is reset. */
static void if_it_is_not_known_whether_it_is_unplugged_it_is_reset(void **unused)
{
	struct holder holder = hold();
	uint64_t asked = mac_calls("IOPCIDevice::GetLinkSpeed");

	assert_true(mac_does("stop-order driver"));
	assert_true(mac_does("fail IOPCIDevice::GetLinkSpeed 1"));
	start_listening(&holder);
	assert_true(mac_does("unplug one"));
	assert_true(mac_calls("IOPCIDevice::GetLinkSpeed") > asked);
	assert_true(mac_calls("IOPCIDevice::Reset") > 0);
	expect_told(&holder, QUIVER_DEXT_CAUSE_UNPLUGGED);
	assert_int_equal(mac_device("mappings"), 0);
	let_go(&holder);
	assert_true(mac_does("plug one"));
}

static void a_reset_that_it_does_not_survive_is_told(void **unused)
{
	struct holder holder = hold();
	io_connect_t other = client_open();
	uint64_t dropped;

	start_listening(&holder);
	assert_int_equal(client_reset(holder.client, &dropped), kIOReturnNotResponding);
	expect_told(&holder, QUIVER_DEXT_CAUSE_SILENT);
	expect_identity(other, QUIVER_DEXT_GONE, QUIVER_DEXT_CAUSE_SILENT);
	assert_int_equal(client_claim(other), kIOReturnNoDevice);
	let_go(&holder);
	mac_wait_device("clients", 1);
	/* It is tried once more, in vain. */
	assert_int_equal(client_claim(other), kIOReturnNoDevice);
	expect_identity(other, QUIVER_DEXT_GONE, QUIVER_DEXT_CAUSE_SILENT);
	IOServiceClose(other);
}

/* Sleep has its time: it does not queue behind them. */
static void *pester(void *argument)
{
	const int *over = argument;
	io_connect_t client = client_open();

	while (!__atomic_load_n(over, __ATOMIC_SEQ_CST)) {
		struct quiver_dext_identity identity;

		client_claim(client);
		client_identify(client, &identity);
	}
	IOServiceClose(client);
	return NULL;
}

static void clients_that_pester_keep_nobody_from_sleep(void **unused)
{
	pthread_t threads[4];
	int over = 0;

	for (size_t i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, pester, &over);
	for (unsigned int i = 0; i < 20; i++) {
		assert_true(mac_does("sleep"));
		assert_false(mac_device("masters_bus"));
		assert_true(mac_does("wake"));
	}
	__atomic_store_n(&over, 1, __ATOMIC_SEQ_CST);
	for (size_t i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, mac_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(sleep_takes_it_and_waking_gives_it_back),
		TEST(a_free_device_cannot_be_claimed_in_its_sleep),
		TEST(a_client_that_does_not_listen_loses_it_as_well),
		TEST(a_hostile_page_does_not_keep_it_from_being_told),
		TEST(an_unplugged_device_is_neither_reset_nor_waited_for),
		TEST(if_it_is_not_known_whether_it_is_unplugged_it_is_reset),
		cmocka_unit_test_setup_teardown(a_reset_that_it_does_not_survive_is_told, start_dead,
						mac_teardown),
		TEST(clients_that_pester_keep_nobody_from_sleep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
