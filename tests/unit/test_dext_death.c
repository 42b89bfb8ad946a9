// SPDX-License-Identifier: BSD-3-Clause
/*
 * Clients that end at any moment, that are too many, and that come two at a time;
 * and what is left of it: nothing, and a device for the next one.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test_dext_mac.h"

#define VECTORS	8u

static int start(void **unused)
{
	mac_start("--device endpoint");
	return 0;
}

/* --- a session, to be cut off ----------------------------------------------------------------- */

struct session {
	io_connect_t client;
	mach_port_t port;
	char *memory;
	uint64_t iova;
};

static void step_identify(struct session *session)
{
	struct quiver_dext_identity identity;

	assert_int_equal(client_identify(session->client, &identity), kIOReturnSuccess);
}

static void step_claim(struct session *session)
{
	assert_int_equal(client_claim(session->client), kIOReturnSuccess);
}

static void step_bar(struct session *session)
{
	assert_non_null(client_map_memory(session->client, QUIVER_DEXT_MEM_BAR0, NULL));
}

static void step_pending(struct session *session)
{
	assert_non_null(client_map_memory(session->client, QUIVER_DEXT_MEM_PENDING, NULL));
}

static void step_config(struct session *session)
{
	assert_int_equal(client_config_read(session->client, 0, 2), 0x1912);
}

static void step_map(struct session *session)
{
	assert_int_equal(client_dma_map(session->client, session->memory, GRANULE, &session->iova), 0);
}

static void step_unmap(struct session *session)
{
	assert_int_equal(client_dma_unmap(session->client, session->iova, GRANULE), 0);
}

static void step_wait(struct session *session)
{
	uint64_t reference[8] = { 0 };

	assert_int_equal(IOConnectCallAsyncScalarMethod(session->client, QUIVER_DEXT_IRQ_WAIT,
							session->port, reference, 3, NULL, 0, NULL,
							NULL), kIOReturnSuccess);
}

static void step_vectors(struct session *session)
{
	uint64_t granted;

	assert_int_equal(client_irq(session->client, QUIVER_DEXT_IRQ_MSIX, VECTORS, &granted),
			 kIOReturnSuccess);
}

static void step_master(struct session *session)
{
	client_master(session->client, true);
}

static void step_interrupts(struct session *session)
{
	free(mac_control("raise endpoint0 0 %u", VECTORS));
}

static void step_stats(struct session *session)
{
	struct quiver_dext_stats stats;

	assert_int_equal(client_stats(session->client, &stats), kIOReturnSuccess);
}

static void reset_with(struct session *session, uint64_t flags)
{
	uint64_t dropped;
	uint32_t count = 1;

	assert_int_equal(IOConnectCallScalarMethod(session->client, QUIVER_DEXT_RESET, &flags, 1,
						   &dropped, &count), kIOReturnSuccess);
}

static void step_reset(struct session *session)
{
	reset_with(session, 0);
}

static void step_reset_keeping(struct session *session)
{
	reset_with(session, QUIVER_DEXT_RESET_KEEP);
}

/* Each selector, and each after the others that it can come after in a life that is well. */
static void (*const steps[])(struct session *session) = {
	step_identify, step_claim, step_bar, step_pending, step_config, step_map, step_wait,
	step_vectors, step_master, step_interrupts, step_stats, step_map, step_unmap, step_vectors,
	step_reset_keeping, step_vectors, step_map, step_master, step_interrupts,
	step_reset, step_map, step_master, step_wait,
};

#define STEPS (sizeof(steps) / sizeof(steps[0]))

static struct session session_run(size_t count)
{
	struct session session = { .client = client_open(), .memory = memory_new(GRANULE) };

	assert_int_equal(mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE,
					    &session.port), 0);
	for (size_t i = 0; i < count; i++)
		steps[i](&session);
	return session;
}

static void session_end(struct session *session)
{
	IOServiceClose(session->client);
	mach_port_deallocate(mach_task_self(), session->port);
	memory_free(session->memory, GRANULE);
}

/* Nothing is left, and the next one finds a device that works. */
static void expect_free(size_t after)
{
	struct quiver_dext_identity identity;
	io_connect_t client;

	mac_wait_device("clients", 0);
	client = client_open();
	assert_int_equal(client_identify(client, &identity), kIOReturnSuccess);
	if (identity.state != QUIVER_DEXT_UNCLAIMED || identity.mappings ||
	    mac_device("mappings") || mac_device("masters_bus"))
		fail_msg("after %zu: state %u, cause %u, %u mappings, %u of them DART's", after,
			 identity.state, identity.cause, identity.mappings,
			 (unsigned int)mac_device("mappings"));
	assert_int_equal(client_claim(client), kIOReturnSuccess);
	IOServiceClose(client);
	mac_wait_device("clients", 0);
}

static void a_client_may_close_after_any_selector(void **unused)
{
	struct session session;

	for (size_t count = 0; count <= STEPS; count++) {
		session = session_run(count);
		session_end(&session);
		expect_free(count);
	}
	session = session_run(STEPS);
	session_end(&session);
}

static void a_client_may_be_killed_after_any_selector(void **unused)
{
	for (size_t count = 0; count <= STEPS; count++) {
		pid_t pid = fork();
		int status;

		if (!pid) {
			session_run(count);
			kill(getpid(), SIGKILL);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		expect_free(count);
	}
}

/* --- too many --------------------------------------------------------------------------------- */

#define CLIENTS_MAX 32	/* dext/platform.h, said once more */

static kern_return_t try_open(io_connect_t *client)
{
	io_service_t service = mac_service();
	kern_return_t result = IOServiceOpen(service, mach_task_self(), 0, client);

	IOObjectRelease(service);
	return result;
}

static void there_are_no_more_clients_than_there_is_room_for(void **unused)
{
	io_connect_t clients[CLIENTS_MAX], other;

	for (unsigned int round = 0; round < 2; round++) {
		for (size_t i = 0; i < CLIENTS_MAX; i++)
			assert_int_equal(try_open(&clients[i]), kIOReturnSuccess);
		for (size_t i = 0; i < 3; i++)
			assert_int_equal(try_open(&other), kIOReturnNoResources);
		/* Who is in can work, and who goes leaves room. */
		assert_int_equal(client_claim(clients[7]), kIOReturnSuccess);
		IOServiceClose(clients[5]);
		mac_wait_device("clients", CLIENTS_MAX - 1);
		assert_int_equal(try_open(&clients[5]), kIOReturnSuccess);
		for (size_t i = 0; i < CLIENTS_MAX; i++)
			IOServiceClose(clients[i]);
		mac_wait_device("clients", 0);
	}
}

/* --- two at a time ---------------------------------------------------------------------------- */

#define CALLS 2000u

/* Any selector, with any numbers and sizes. What comes of it is the dext's business. */
static kern_return_t call_anything(io_connect_t client, uint32_t *selector, unsigned int *seed)
{
	uint64_t input[16], output[16];
	uint32_t inputs = (uint32_t)rand_r(seed) % 4, outputs = (uint32_t)rand_r(seed) % 3;
	char in[256], out[4096];
	size_t size = (size_t)rand_r(seed) % 2 ? 0 : (size_t)rand_r(seed) % 4096;
	size_t length = (size_t)rand_r(seed) % 2 ? 0 : (size_t)rand_r(seed) % sizeof(in);

	for (size_t i = 0; i < 16; i++)
		input[i] = (uint64_t)rand_r(seed) >> (rand_r(seed) % 32);
	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (char)(rand_r(seed) % 4);
	*selector = (uint32_t)rand_r(seed) % (QUIVER_DEXT_SELECTORS + 1);
	/* Half of them as they should be. */
	if (rand_r(seed) & 1) {
		static const uint8_t right[QUIVER_DEXT_SELECTORS + 1][2] = {
			[QUIVER_DEXT_BAR_INFO] = { 1, 0 }, [QUIVER_DEXT_CONFIG_READ] = { 2, 1 },
			[QUIVER_DEXT_CONFIG_WRITE] = { 3, 0 }, [QUIVER_DEXT_IRQ_CONFIGURE] = { 2, 1 },
			[QUIVER_DEXT_RESET] = { 1, 1 },
		};

		inputs = right[*selector][0];
		outputs = right[*selector][1];
		length = *selector == QUIVER_DEXT_DMA ? 64 : 0;
		size = *selector == QUIVER_DEXT_IDENTIFY ? sizeof(struct quiver_dext_identity) :
		       *selector == QUIVER_DEXT_BAR_INFO ? sizeof(struct quiver_dext_bar) :
		       *selector == QUIVER_DEXT_STATS ? sizeof(struct quiver_dext_stats) :
		       *selector == QUIVER_DEXT_DMA ? 48 : 0;
	}
	return IOConnectCallMethod(client, *selector, input, inputs, in, length, output, &outputs,
				   out, &size);
}

/* The one that has no claim: it never gets anything but an identity. */
static void *second_client(void *argument)
{
	io_connect_t client = client_open();
	unsigned int seed = 2;
	uintptr_t wrong = 0;

	for (unsigned int i = 0; i < CALLS; i++) {
		uint32_t selector;
		kern_return_t result = call_anything(client, &selector, &seed);

		if (result == kIOReturnSuccess && selector != QUIVER_DEXT_IDENTIFY)
			wrong++;
	}
	IOServiceClose(client);
	return (void *)wrong;
}

static void of_two_clients_the_one_without_the_claim_gets_nothing(void **unused)
{
	io_connect_t client = client_open_claimed();
	unsigned int seed = 1, worked = 0;
	pthread_t thread;
	void *wrong;

	pthread_create(&thread, NULL, second_client, NULL);
	for (unsigned int i = 0; i < CALLS; i++) {
		uint32_t selector;

		worked += call_anything(client, &selector, &seed) == kIOReturnSuccess;
	}
	pthread_join(thread, &wrong);
	assert_null(wrong);
	assert_true(worked > CALLS / 20);
	assert_true(mac_alive());
	IOServiceClose(client);
	expect_free(CALLS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, mac_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_client_may_close_after_any_selector),
		TEST(a_client_may_be_killed_after_any_selector),
		TEST(there_are_no_more_clients_than_there_is_room_for),
		TEST(of_two_clients_the_one_without_the_claim_gets_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
