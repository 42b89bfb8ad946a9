// SPDX-License-Identifier: BSD-3-Clause
/* The simulated Mac, as a process. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <sstream>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"
#include "quiver/dext_abi.h"
#include "simmac/panic.h"

static const char usage[] =
	"usage: simmacd --socket PATH [--device SPEC]... [OPTION...]\n"
	"  --socket PATH            where clients find it: $QUIVER_SIMMAC\n"
	"  --device SPEC            MODEL[,name=NAME][,option=value...]\n"
	"  --limit-bytes N          DART: bytes that can be mapped for a device; the\n"
	"                           registry says so\n"
	"  --limit-mappings N       DART: mappings that can be live; the same\n"
	"  --mac KEY=VALUE[,...]    which Mac it is, and what its programs say of it\n"
	"  --enclosure [KEY=VALUE]  one with no device in it: thunderbolt=3|4|5, pcie=off, model=TEXT\n"
	"  --property NAME=VALUE    of each device in the registry; NAME= takes it away\n"
	"  --base N                 DART: the lowest address of the bus that it gives\n"
	"  --skew N                 DART: bytes by which addresses miss 2 MiB\n"
	"  --seed N                 of DART's choices, and of who stops first\n"
	"  --stop-order ORDER       who stops first when a device goes: any, together, driver, clients\n"
	"  --power-ms N             how long a driver may take to sleep or wake\n"
	"  --answer-ms N            how long clients may take to answer that they will sleep\n"
	"  --segments N             that a DMA preparation comes back as\n"
	"  --reset-us N             how long a reset takes\n"
	"  --cancel-ms N            how long an interrupt source takes to end\n"
	"  --sticky-interrupts      a function keeps the kind and number it first had\n"
	"  --fail CALL:N[,...]      make the Nth use of a call fail\n"
	"  --delay CALL:USEC[,...]  make a call take longer\n"
	"  --report FILE            where a panic is reported, besides standard error\n"
	"  --state FILE             JSON, written when it ends\n"
	"Ends with SIGTERM. Exits 0; 1 if mappings or objects were left, or\n"
	"a device mastered the bus when power went; 2 on bad usage; 86 when the simulated Mac panicked.\n";

enum option_value {
	OPTION_SOCKET = 1, OPTION_DEVICE, OPTION_BYTES, OPTION_MAPPINGS, OPTION_BASE, OPTION_SKEW,
	OPTION_SEED, OPTION_SEGMENTS, OPTION_RESET, OPTION_FAIL, OPTION_DELAY, OPTION_REPORT, OPTION_STATE,
	OPTION_STOP_ORDER, OPTION_POWER, OPTION_ANSWER, OPTION_STICKY, OPTION_PROPERTY, OPTION_MAC,
	OPTION_ENCLOSURE, OPTION_CANCEL, OPTION_HELP
};

static const struct option long_options[] = {
	{ "socket", required_argument, NULL, OPTION_SOCKET },
	{ "device", required_argument, NULL, OPTION_DEVICE },
	{ "limit-bytes", required_argument, NULL, OPTION_BYTES },
	{ "limit-mappings", required_argument, NULL, OPTION_MAPPINGS },
	{ "property", required_argument, NULL, OPTION_PROPERTY },
	{ "mac", required_argument, NULL, OPTION_MAC },
	{ "enclosure", required_argument, NULL, OPTION_ENCLOSURE },
	{ "base", required_argument, NULL, OPTION_BASE },
	{ "skew", required_argument, NULL, OPTION_SKEW },
	{ "seed", required_argument, NULL, OPTION_SEED },
	{ "segments", required_argument, NULL, OPTION_SEGMENTS },
	{ "stop-order", required_argument, NULL, OPTION_STOP_ORDER },
	{ "power-ms", required_argument, NULL, OPTION_POWER },
	{ "answer-ms", required_argument, NULL, OPTION_ANSWER },
	{ "reset-us", required_argument, NULL, OPTION_RESET },
	{ "cancel-ms", required_argument, NULL, OPTION_CANCEL },
	{ "fail", required_argument, NULL, OPTION_FAIL },
	{ "delay", required_argument, NULL, OPTION_DELAY },
	{ "report", required_argument, NULL, OPTION_REPORT },
	{ "state", required_argument, NULL, OPTION_STATE },
	{ "sticky-interrupts", no_argument, NULL, OPTION_STICKY },
	{ "help", no_argument, NULL, OPTION_HELP },
	{ NULL, 0, NULL, 0 }
};

static bool number(const std::string &text, uint64_t *value)
{
	char *end;

	errno = 0;
	*value = strtoull(text.c_str(), &end, 0);
	return !errno && !text.empty() && !*end && text[0] != '-';
}

/* CALL:N[,...]; names of calls have colons in them. */
static bool calls(const char *text, bool (*set)(const std::string &call, uint64_t value))
{
	std::istringstream items(text);
	std::string item;
	uint64_t value;

	while (std::getline(items, item, ',')) {
		size_t colon = item.rfind(':');

		if (colon == std::string::npos || !number(item.substr(colon + 1), &value) ||
		    !set(item.substr(0, colon), value))
			return false;
	}
	return true;
}

/* NAME=VALUE; without a value there is no such property. */
static bool property(struct options &options, const std::string &text)
{
	size_t equals = text.find('=');

	if (equals == std::string::npos || !equals)
		return false;
	if (equals + 1 == text.size())
		options.properties.erase(text.substr(0, equals));
	else
		options.properties[text.substr(0, equals)] = text.substr(equals + 1);
	return true;
}

static bool apply_number(struct options &options, int option, uint64_t value)
{
	switch (option) {
	case OPTION_BYTES:
		options.dart.limit_bytes = value;
		options.properties[QUIVER_DEXT_KEY_BYTES] = std::to_string(value);
		return true;
	case OPTION_MAPPINGS:
		options.dart.limit_mappings = value;
		options.properties[QUIVER_DEXT_KEY_MAPPINGS] = std::to_string(value);
		return true;
	case OPTION_BASE:
		options.dart.aperture_base = value;
		return true;
	case OPTION_SKEW:
		options.dart.skew = value;
		return true;
	case OPTION_SEED:
		options.dart.seed = value;
		return true;
	case OPTION_SEGMENTS:
		simmac_knobs.segments = static_cast<uint32_t>(value);
		return value >= 1 && value <= 32;
	case OPTION_RESET:
		simmac_knobs.reset_us = value;
		return true;
	case OPTION_CANCEL:
		simmac_knobs.cancel_ms = static_cast<uint32_t>(value);
		return value <= UINT32_MAX;
	case OPTION_POWER:
		simmac_knobs.power_ms = static_cast<uint32_t>(value);
		return value && value <= UINT32_MAX;
	case OPTION_ANSWER:
		simmac_knobs.answer_ms = static_cast<uint32_t>(value);
		return value && value <= UINT32_MAX;
	default:
		return false;
	}
}

static bool apply(struct options &options, int option, const char *argument)
{
	uint64_t value;

	switch (option) {
	case OPTION_SOCKET:
		options.socket = argument;
		return true;
	case OPTION_DEVICE:
		options.devices.push_back(argument);
		return true;
	case OPTION_REPORT:
		options.report = argument;
		return true;
	case OPTION_STATE:
		options.state = argument;
		return true;
	case OPTION_STICKY:
		simmac_knobs.sticky_interrupts = true;
		return true;
	case OPTION_STOP_ORDER:
		return machine_stop_order(argument, &options.stop_order);
	case OPTION_PROPERTY:
		return property(options, argument);
	case OPTION_MAC:
		return mac_option(options.mac, argument);
	case OPTION_ENCLOSURE:
		options.enclosures.push_back(argument);
		return true;
	case OPTION_FAIL:
		return calls(argument, simmac_calls::fail);
	case OPTION_DELAY:
		return calls(argument, simmac_calls::delay);
	default:
		return argument && number(argument, &value) &&
		       apply_number(options, option, value);
	}
}

static bool parse(int argc, char **argv, struct options &options)
{
	int option;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (option == OPTION_HELP) {
			fputs(usage, stdout);
			exit(0);
		}
		if (!apply(options, option, optarg)) {
			if (option != '?')
				fprintf(stderr, "simmacd: bad value: %s\n", optarg);
			return false;
		}
	}
	return optind == argc && !options.socket.empty();
}

static bool write_state(const std::string &path, const std::string &state)
{
	FILE *file;

	if (path.empty())
		return true;
	file = fopen(path.c_str(), "we");
	if (!file) {
		fprintf(stderr, "simmacd: %s: %s\n", path.c_str(), strerror(errno));
		return false;
	}
	fputs(state.c_str(), file);
	return !fclose(file);
}

static int run(struct machine &machine, const struct options &options)
{
	std::string state;
	int error = machine_start(machine, options);

	if (!error)
		error = serve(machine, options.socket);
	if (error)
		fprintf(stderr, "simmacd: %s: %s\n", options.socket.c_str(), strerror(-error));
	machine_stop(machine);
	state = machine_state(machine);
	if (machine.leaks.any())
		fprintf(stderr, "simmac: leaks:\n%s", state.c_str());
	if (!write_state(options.state, state))
		error = -EIO;
	return error || machine.leaks.any() ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct options options = {};
	struct machine machine;
	sigset_t signals;
	int status;

	options.dart = simmac_dart_defaults;
	if (!parse(argc, argv, options)) {
		fputs(usage, stderr);
		return 2;
	}
	/* Before any thread begins, so that all inherit it. */
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	if (!options.report.empty())
		simmac_panic_set_report(options.report.c_str());

	status = run(machine, options);
	machine_free(machine);
	return status;
}
