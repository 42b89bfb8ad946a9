// SPDX-License-Identifier: BSD-3-Clause
/*
 * Every call of libquiver's into IOKit and every call of the extension's into
 * DriverKit fails, in turn, at each of its uses, and then two at a time at
 * random. What the client hears of it the session judges; afterwards nothing is
 * left, and the next session finds a device that works.
 *
 * $QUIVER_FAULT_PAIRS: how many pairs; $QUIVER_SEED: of them.
 */
#define _GNU_SOURCE
#include "test_dext_mac.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "account.h"
#include "iokit.h"
#include "model.h"
#include "session.h"

/* ThreadSanitizer looks at threads, which are the same every time. */
#if __has_feature(thread_sanitizer)
#define STRIDE		7u
#else
#define STRIDE		1u
#endif

#define PAIRS_DEFAULT	(100u / STRIDE)
#define NAME_MAX_LENGTH	256

static unsigned int injected;

/* --- one fault after the other ---------------------------------------------------------------- */

/* A memory descriptor and a command. */
#define OBJECTS_OF_A_MAPPING 2

/* What the session left: nothing, but for the mappings of a device that is quarantined. */
static void expect_nothing_left(const struct account *before, const char *name)
{
	struct quiver_dext_identity identity;
	struct account expected = *before;

	identity = account_device(name);
	if (identity.state == QUIVER_DEXT_GONE)
		expected.objects += OBJECTS_OF_A_MAPPING * (uint64_t)identity.mappings;
	account_expect(&expected, name);
	if (identity.state == QUIVER_DEXT_UNCLAIMED)
		account_expect_free(name);
}

typedef struct session_result (*session_function)(const char *name);

static void run_without_fault(session_function session, const char *name)
{
	struct session_result result = session(name);

	if (result.errors)
		fail_msg("%s: %s says %d", name, result.call, result.error);
}

/* It works, and of a device that was quarantined the claim has brought it back. */
static void expect_working(const struct account *before, session_function session,
			   const char *name)
{
	char again[NAME_MAX_LENGTH];

	snprintf(again, sizeof(again), "after %s", name);
	run_without_fault(session, again);
	account_expect(before, again);
	account_expect_free(again);
}

static struct account begin(const char *options)
{
	struct account account;

	mac_start(options);
	run_without_fault(session_run, "nothing");
	/* What the first one leaves is there for good: libraries, and names of ports. */
	mac_wait_device("clients", 0);
	account = account_settled();
	account_expect_free("nothing");
	return account;
}

static void say_injected(const char *what, unsigned int since)
{
	print_message("# %u faults injected %s\n", injected - since, what);
}

/* --- libquiver and IOKit ---------------------------------------------------------------------- */

static const struct {
	kern_return_t status;
	bool forever;
} kinds[] = {
	{ kIOReturnError, false },
	{ kIOReturnNoResources, false },
	/* Nobody is there any more: of a connection, the extension has died. */
	{ MACH_SEND_INVALID_DEST, false },
	{ MACH_SEND_INVALID_DEST, true },
	{ MACH_SEND_NO_BUFFER, false },
	{ MACH_RCV_INTERRUPTED, false },
	{ MACH_RCV_TOO_LARGE, false },
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static bool fits(enum iokit_call call, size_t kind)
{
	if (call == IOKIT_mach_msg_send)
		return kinds[kind].status == MACH_SEND_NO_BUFFER;
	if (call == IOKIT_mach_msg_receive)
		return kinds[kind].status == MACH_RCV_INTERRUPTED ||
		       kinds[kind].status == MACH_RCV_TOO_LARGE;
	if (iokit_meaning(call) != IOKIT_TELLS)
		return kinds[kind].status == kIOReturnError;
	if (kinds[kind].status == MACH_SEND_INVALID_DEST)
		return kinds[kind].forever == iokit_has_connection(call);
	return kinds[kind].status == kIOReturnError || kinds[kind].status == kIOReturnNoResources;
}

static void describe(const struct iokit_fault *fault, char *name)
{
	snprintf(name, NAME_MAX_LENGTH, "%s, use %llu, 0x%x%s", iokit_name(fault->call),
		 (unsigned long long)fault->nth, (unsigned int)fault->status,
		 fault->forever ? " for ever" : "");
}

static void try_iokit(const struct account *before, session_function session, enum iokit_call call,
		      uint64_t nth, size_t kind)
{
	const struct iokit_fault fault = { .call = call, .nth = nth, .status = kinds[kind].status,
					   .forever = kinds[kind].forever };
	char name[NAME_MAX_LENGTH];
	unsigned int struck;

	describe(&fault, name);
	iokit_begin(&fault, 1);
	session(name);
	struck = iokit_struck();
	iokit_end();
	/* How often a thread of libquiver's own receives is up to the clock. */
	if (!struck && call != IOKIT_mach_msg_receive)
		fail_msg("%s: it was not used so often", name);
	injected += struck;
	expect_nothing_left(before, name);
	expect_working(before, session, name);
}

static void sweep_iokit(session_function session, const char *what)
{
	struct account before = begin("--device endpoint");
	uint64_t uses[IOKIT_CALLS];
	unsigned int since = injected;

	iokit_begin(NULL, 0);
	run_without_fault(session, "nothing");
	for (unsigned int i = 0; i < IOKIT_CALLS; i++)
		uses[i] = iokit_used(i);
	iokit_end();
	account_expect(&before, "nothing");
	for (unsigned int call = 0; call < IOKIT_CALLS; call++) {
		for (uint64_t nth = 1; nth <= uses[call]; nth += STRIDE) {
			for (size_t kind = 0; kind < KINDS; kind++)
				if (fits(call, kind))
					try_iokit(&before, session, call, nth, kind);
		}
	}
	say_injected(what, since);
	mac_stop();
}

static void each_call_into_iokit_may_fail(void **unused)
{
	sweep_iokit(session_run, "between libquiver and IOKit");
}

static void each_question_to_the_mac_may_fail(void **unused)
{
	sweep_iokit(session_ask_mac, "between libquiver and the registry");
}

/* The Mac then waits for as long as it does, and what it is to be told it is told. */
static void the_answer_to_sleep_may_fail(void **unused)
{
	struct account before = begin("--device endpoint --answer-ms 200");
	unsigned int since = injected;

	for (size_t kind = 0; kind < KINDS; kind++)
		if (fits(IOKIT_IOAllowPowerChange, kind))
			try_iokit(&before, session_sleep, IOKIT_IOAllowPowerChange, 1, kind);
	say_injected("as the Mac sleeps", since);
	assert_true(injected > since);
	mac_stop();
}

/* Every name that libquiver is linked with, less those that cannot fail. */
static void no_call_into_iokit_is_missing(void **unused)
{
	static const char *const harmless[] = {
		"CFBooleanGetTypeID", "CFBooleanGetValue", "CFDataGetBytePtr", "CFDataGetLength",
		"CFDataGetTypeID", "CFGetTypeID", "CFNumberGetTypeID", "CFStringGetTypeID",
		"IODispatchCalloutFromMessage", "IONotificationPortGetMachPort", "mach_task_self",
	};
	FILE *names = popen("nm --undefined-only --format=just-symbols " FAULTS_HOST_LIBRARY, "r");
	unsigned int ours = 0;
	char line[128];

	assert_non_null(names);
	while (fgets(line, sizeof(line), names)) {
		bool known = false;

		line[strcspn(line, "\n")] = '\0';
		ours += !strncmp(line, "faults_", strlen("faults_"));
		for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++)
			known |= !strcmp(line, harmless[i]);
		if (!known && (!strncmp(line, "IO", 2) || !strncmp(line, "CF", 2) ||
			       !strncmp(line, "mach_", 5)))
			fail_msg("%s can fail, and never does here", line);
	}
	assert_int_equal(pclose(names), 0);
	assert_true(ours >= IOKIT_CALLS);
}

/* --- the extension and DriverKit -------------------------------------------------------------- */

enum heard { ALWAYS, SOMETIMES, MAYBE, NEVER, BEFORE };

/* Whether the client hears of it. BEFORE: it is used when there is no client yet. */
static const struct {
	const char *call;
	enum heard heard;
} platform[] = {
	{ "IODispatchQueue::Create", ALWAYS },
	{ "IOService::Create", ALWAYS },
	{ "IOService::Start", ALWAYS },
	{ "IOBufferMemoryDescriptor::Create", ALWAYS },
	{ "IOBufferMemoryDescriptor::GetAddressRange", ALWAYS },
	{ "IOPCIDevice::_CopyDeviceMemoryWithIndex", ALWAYS },
	{ "IOUserClient::CreateMemoryDescriptorFromClient", ALWAYS },
	{ "IODMACommand::Create", ALWAYS },
	{ "IODMACommand::PrepareForDMA", ALWAYS },
	{ "IOMallocZero", ALWAYS },
	{ "OSAction::Create", ALWAYS },
	{ "IOInterruptDispatchSource::Create", ALWAYS },
	{ "IOInterruptDispatchSource::SetHandler", ALWAYS },
	{ "IOInterruptDispatchSource::SetEnable", ALWAYS },
	/* An answer to libquiver's own thread, which asks again. */
	{ "OSData::withCapacity", SOMETIMES },
	/* A client that ends hears of nothing. */
	{ "IODMACommand::CompleteDMA", SOMETIMES },
	/* Vectors that are there already will do. */
	{ "IOPCIDevice::ConfigureInterrupts", MAYBE },
	{ "IOInterruptDispatchSource::GetInterruptType", SOMETIMES },
	/* A register that reads as ones; a write that gets lost, on which depends what is read back. */
	{ "IOPCIDevice::ConfigurationRead", SOMETIMES },
	{ "IOPCIDevice::ConfigurationWrite", MAYBE },
	/* A source that cannot be cancelled is let go. */
	{ "IOInterruptDispatchSource::Cancel", NEVER },
	/* An FLR that fails is followed by a hot reset. */
	{ "IOPCIDevice::Reset", NEVER },
	{ "IOUserClient::AsyncCompletion", NEVER },
	{ "IOLockAlloc", BEFORE },
	{ "IOPCIDevice::Open", BEFORE },
	{ "IOPCIDevice::GetBusDeviceFunction", BEFORE },
	{ "IOPCIDevice::GetBARInfo", BEFORE },
	{ "IOService::SearchProperty", BEFORE },
	{ "IOService::RegisterService", BEFORE },
};

static enum heard heard_of(const char *call)
{
	for (size_t i = 0; i < sizeof(platform) / sizeof(platform[0]); i++) {
		if (!strcmp(platform[i].call, call))
			return platform[i].heard;
	}
	fail_msg("%s: whether a client hears of it, nobody has said", call);
	return NEVER;
}

static void set_fault(const char *call, uint64_t nth)
{
	char *answer = mac_control("fail %s %llu", call, (unsigned long long)nth);

	assert_non_null(answer);
	free(answer);
}

/* Uses of each call in one session. */
static size_t count_uses(const struct account *before, struct account_call *calls)
{
	struct account_call earlier[ACCOUNT_CALLS_MAX];
	size_t known = account_calls(earlier), count;

	run_without_fault(session_run, "nothing");
	account_expect(before, "nothing");
	count = account_calls(calls);
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < known; j++)
			if (!strcmp(calls[i].name, earlier[j].name))
				calls[i].uses -= earlier[j].uses;
	}
	return count;
}

/* Whether the client heard of it. */
static bool try_platform(const struct account *before, const char *call, uint64_t nth)
{
	struct session_result result;
	char name[NAME_MAX_LENGTH];
	uint64_t used = mac_calls(call);

	snprintf(name, sizeof(name), "%s, use %llu", call, (unsigned long long)nth);
	set_fault(call, nth);
	result = session_run(name);
	expect_nothing_left(before, name);
	injected += mac_calls(call) >= used + nth;
	set_fault(call, 0);
	if (heard_of(call) == ALWAYS && !result.errors)
		fail_msg("%s: nobody heard of it", name);
	if (heard_of(call) == NEVER && result.errors)
		fail_msg("%s: %s says %d", name, result.call, result.error);
	expect_working(before, session_run, name);
	return result.errors;
}

static void each_call_into_driverkit_may_fail(void **unused)
{
	struct account before = begin("--device endpoint");
	struct account_call calls[ACCOUNT_CALLS_MAX];
	size_t count = count_uses(&before, calls);
	unsigned int since = injected;

	for (size_t i = 0; i < count; i++) {
		unsigned int heard = 0;

		for (uint64_t nth = 1; nth <= calls[i].uses; nth += STRIDE)
			heard += try_platform(&before, calls[i].name, nth);
		if (heard_of(calls[i].name) == SOMETIMES && !heard && STRIDE == 1)
			fail_msg("%s: nobody ever heard of it", calls[i].name);
	}
	say_injected("between the extension and DriverKit", since);
	mac_stop();
}

/* While the driver starts: there is no service, or one that does without. */
static void try_start(const char *call, uint64_t nth)
{
	struct quiver_device_info info;
	char name[NAME_MAX_LENGTH], options[NAME_MAX_LENGTH];
	int count;

	snprintf(name, sizeof(name), "%s, use %llu, as the driver starts", call,
		 (unsigned long long)nth);
	snprintf(options, sizeof(options), "--device endpoint --fail %s:%llu", call,
		 (unsigned long long)nth);
	mac_start(options);
	count = quiver_devices_list(&info, 1);
	if (count != 1 && count != -ENOENT)
		fail_msg("%s: %d devices", name, count);
	if (count == 1)
		session_run(name);
	if (mac_end())
		fail_msg("%s: something was left", name);
	injected++;
}

static void each_call_may_fail_while_the_driver_starts(void **unused)
{
	struct account_call calls[ACCOUNT_CALLS_MAX];
	unsigned int since = injected;
	size_t count;

	mac_start("--device endpoint");
	count = account_calls(calls);
	mac_stop();
	for (size_t i = 0; i < count; i++) {
		for (uint64_t nth = 1; nth <= calls[i].uses; nth += STRIDE)
			try_start(calls[i].name, nth);
	}
	say_injected("as the driver starts", since);
}

static void try_loss(const struct account *before, const char *call, uint64_t nth,
		     const char *away, const char *back)
{
	char name[NAME_MAX_LENGTH];

	snprintf(name, sizeof(name), "%s, use %llu, from %s to %s", call, (unsigned long long)nth,
		 away, back);
	set_fault(call, nth);
	session_lose(name, away, back);
	set_fault(call, 0);
	injected++;
	/* A driver that did not start, or that read something wrong as it did. */
	if (!strncmp(back, "plug", strlen("plug"))) {
		free(mac_control("%s", away));
		free(mac_control("%s", back));
	}
	expect_nothing_left(before, name);
	expect_working(before, session_run, name);
}

static void sweep_loss(const char *away, const char *back)
{
	struct account before = begin("--device endpoint");
	struct account_call earlier[ACCOUNT_CALLS_MAX], calls[ACCOUNT_CALLS_MAX];
	size_t known, count;

	session_lose("nothing", away, back);
	account_expect(&before, "nothing");
	known = account_calls(earlier);
	session_lose("nothing", away, back);
	account_expect(&before, "nothing");
	count = account_calls(calls);
	assert_int_equal(known, count);
	for (size_t i = 0; i < count; i++) {
		for (uint64_t nth = 1; nth <= calls[i].uses - earlier[i].uses; nth += STRIDE)
			try_loss(&before, calls[i].name, nth, away, back);
	}
	mac_stop();
}

static void each_call_may_fail_while_the_device_goes_and_comes(void **unused)
{
	unsigned int since = injected;

	sweep_loss("sleep", "wake");
	sweep_loss("unplug endpoint0", "plug endpoint0");
	say_injected("as the device goes and comes back", since);
}

/* --- two at a time ---------------------------------------------------------------------------- */

struct population {
	struct account_call calls[ACCOUNT_CALLS_MAX];
	size_t count;
	uint64_t iokit[IOKIT_CALLS];
};

struct pair {
	struct iokit_fault iokit[2];
	const char *call[2];		/* of the platform */
	uint64_t nth[2];
	unsigned int of_iokit, of_platform;
};

static void draw_iokit(const struct population *all, struct model_random *random, struct pair *pair)
{
	struct iokit_fault *fault = &pair->iokit[pair->of_iokit++];
	size_t kind;

	do
		fault->call = (enum iokit_call)model_random_below(random, IOKIT_CALLS);
	while (!all->iokit[fault->call]);
	do
		kind = model_random_below(random, KINDS);
	while (!fits(fault->call, kind));
	fault->status = kinds[kind].status;
	fault->forever = kinds[kind].forever;
	fault->nth = 1 + model_random_below(random, all->iokit[fault->call]);
}

static void draw_platform(const struct population *all, struct model_random *random,
			  struct pair *pair)
{
	const struct account_call *call;

	do
		call = &all->calls[model_random_below(random, all->count)];
	while (!call->uses || (pair->of_platform && !strcmp(pair->call[0], call->name)));
	pair->call[pair->of_platform] = call->name;
	pair->nth[pair->of_platform++] = 1 + model_random_below(random, call->uses);
}

static void describe_pair(const struct pair *pair, uint64_t seed, char *name)
{
	char part[NAME_MAX_LENGTH];
	size_t used = (size_t)snprintf(name, NAME_MAX_LENGTH, "QUIVER_SEED=%llu",
				       (unsigned long long)seed);

	for (unsigned int i = 0; i < pair->of_iokit; i++) {
		describe(&pair->iokit[i], part);
		used += (size_t)snprintf(name + used, NAME_MAX_LENGTH - used, "; %.90s", part);
	}
	for (unsigned int i = 0; i < pair->of_platform; i++)
		used += (size_t)snprintf(name + used, NAME_MAX_LENGTH - used, "; %.70s, use %llu",
					 pair->call[i], (unsigned long long)pair->nth[i]);
}

static void try_pair(const struct account *before, const struct pair *pair, uint64_t seed)
{
	char name[NAME_MAX_LENGTH];

	describe_pair(pair, seed, name);
	for (unsigned int i = 0; i < pair->of_platform; i++)
		set_fault(pair->call[i], pair->nth[i]);
	iokit_begin(pair->iokit, pair->of_iokit);
	session_run_with_many(name);
	iokit_end();
	for (unsigned int i = 0; i < pair->of_platform; i++)
		set_fault(pair->call[i], 0);
	expect_nothing_left(before, name);
	expect_working(before, session_run, name);
}

static struct population populate(const struct account *before)
{
	struct population all;

	all.count = count_uses(before, all.calls);
	iokit_begin(NULL, 0);
	run_without_fault(session_run, "nothing");
	for (unsigned int i = 0; i < IOKIT_CALLS; i++)
		all.iokit[i] = iokit_used(i);
	iokit_end();
	account_expect(before, "nothing");
	return all;
}

/* Each pair has a seed of its own, so that one alone can be tried again. */
static void two_may_fail(void **unused)
{
	const char *text = getenv("QUIVER_FAULT_PAIRS");
	unsigned long pairs = text ? strtoul(text, NULL, 0) : PAIRS_DEFAULT;
	struct account before = begin("--device endpoint");
	struct population all = populate(&before);
	struct model_random seeds;

	model_random_init(&seeds, "pairs");
	for (unsigned long i = 0; i < pairs; i++) {
		struct model_random random = { .state = seeds.state + i };
		struct pair pair = { 0 };

		for (unsigned int j = 0; j < 2; j++) {
			if (model_random_below(&random, 2))
				draw_iokit(&all, &random, &pair);
			else
				draw_platform(&all, &random, &pair);
		}
		try_pair(&before, &pair, seeds.state + i);
	}
	print_message("# %lu pairs of faults tried\n", pairs);
	mac_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_call_into_iokit_is_missing),
		cmocka_unit_test(each_call_into_iokit_may_fail),
		cmocka_unit_test(each_question_to_the_mac_may_fail),
		cmocka_unit_test(the_answer_to_sleep_may_fail),
		cmocka_unit_test(each_call_into_driverkit_may_fail),
		cmocka_unit_test(each_call_may_fail_while_the_driver_starts),
		cmocka_unit_test(each_call_may_fail_while_the_device_goes_and_comes),
		cmocka_unit_test(two_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
