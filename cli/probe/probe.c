// SPDX-License-Identifier: BSD-3-Clause
/* What the stages share. */
#include "probe.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../cli.h"
#include "pci.h"

#define CYCLE_AND_RESTART \
	"switch the enclosure off and on, and restart the Mac with it attached"

const struct quiver_probe_stage quiver_probe_stages[QUIVER_PROBE_STAGES] = {
	{ "extension", "the driver extension is reached and gives the device to us",
	  quiver_probe_stage_extension },
	{ "identity", "identity, capabilities and link, from config space",
	  quiver_probe_stage_identity },
	{ "bars", "BARs are assigned, map, and answer", quiver_probe_stage_bars },
	{ "touch", "a BAR is touched from inside a tiny VM", quiver_probe_stage_touch },
	{ "speed", "loads from a BAR, direct and trapped", quiver_probe_stage_speed },
	{ "dart", "mapping for DMA: addresses, time, capacity", quiver_probe_stage_dart },
	{ "interrupts", "from the device's write to the handler", quiver_probe_stage_interrupts },
	{ "reset", "a reset that the device survives, and use after it", quiver_probe_stage_reset },
};

void quiver_probe_outcome_init(struct quiver_probe_outcome *outcome)
{
	*outcome = (struct quiver_probe_outcome){ .result = QUIVER_PROBE_PASSED,
						  .figures = json_object() };
}

void quiver_probe_outcome_free(struct quiver_probe_outcome *outcome)
{
	json_decref(outcome->figures);
	free(outcome->reason);
	free(outcome->cure);
}

static char *format_text(const char *format, va_list args)
{
	char text[512];

	vsnprintf(text, sizeof(text), format, args);
	return quiver_text("%s", text);
}

void quiver_probe_fail(struct quiver_probe_outcome *outcome, const char *cure, const char *format,
		       ...)
{
	va_list args;

	if (quiver_probe_failed(outcome))
		return;
	free(outcome->reason);
	va_start(args, format);
	outcome->reason = format_text(format, args);
	va_end(args);
	outcome->cure = quiver_text("%s", cure);
	outcome->result = QUIVER_PROBE_FAILED;
}

void quiver_probe_skip(struct quiver_probe_outcome *outcome, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	outcome->reason = format_text(format, args);
	va_end(args);
	outcome->result = QUIVER_PROBE_SKIPPED;
}

bool quiver_probe_failed(const struct quiver_probe_outcome *outcome)
{
	return outcome->result == QUIVER_PROBE_FAILED ||
	       outcome->result == QUIVER_PROBE_INTERRUPTED;
}

static volatile sig_atomic_t caught;

static void on_signal(int number)
{
	caught = number;
}

void quiver_probe_catch_signals(void)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART | SA_RESETHAND };
	struct sigaction now;

	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		/* nohup means it. */
		if (!sigaction(numbers[i], NULL, &now) && now.sa_handler != SIG_IGN)
			sigaction(numbers[i], &action, NULL);
	/* Whoever reads what is printed may go away; the stage goes on. */
	signal(SIGPIPE, SIG_IGN);
}

int quiver_probe_signal(void)
{
	return caught;
}

bool quiver_probe_over(struct quiver_probe_outcome *outcome)
{
	if (quiver_probe_failed(outcome) || quiver_probe_lost(outcome))
		return true;
	if (!caught)
		return false;
	quiver_probe_fail(outcome, "run it again", "interrupted by signal %d", (int)caught);
	outcome->result = QUIVER_PROBE_INTERRUPTED;
	return true;
}

void quiver_probe_fail_call(struct quiver_probe_outcome *outcome, const char *what, int error)
{
	if (error == -ENODEV)
		quiver_probe_fail(
			outcome,
			"check cable and power of the enclosure, switch it off and on, and"
			" begin at stage 0",
			"%s: the device is gone, or did not survive a reset [H8]", what);
	else if (error == -EAGAIN)
		quiver_probe_fail(outcome,
				  "wake the Mac, keep it awake with its lid open, and run it again",
				  "%s: the Mac is about to sleep, or not awake yet", what);
	else
		quiver_probe_fail(outcome, "run 'quiver doctor', and send the record in", "%s: %s",
				  what, strerror(-error));
}

void quiver_probe_figure(struct quiver_probe_outcome *outcome, const char *key, json_t *value)
{
	json_object_set_new(outcome->figures, key, value);
}

void quiver_probe_figure_hex(struct quiver_probe_outcome *outcome, const char *key, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%" PRIx64, value);
	quiver_probe_figure(outcome, key, json_string(text));
}

bool quiver_probe_read_config(struct quiver_probe *probe, uint8_t config[QUIVER_PROBE_CONFIG_SIZE],
			      struct quiver_probe_outcome *outcome)
{
	uint32_t value;
	int error;

	for (unsigned int at = 0; at < QUIVER_PROBE_CONFIG_SIZE; at += sizeof(value)) {
		error = quiver_config_read(probe->device, at, sizeof(value), &value);
		if (error) {
			quiver_probe_fail_call(outcome, "reading config space", error);
			return false;
		}
		for (unsigned int i = 0; i < sizeof(value); i++)
			config[at + i] = (uint8_t)(value >> 8 * i);
	}
	return true;
}

/* The first that holds no data, else the first: -1 when there is none. */
static int registers_bar(struct quiver_probe *probe, struct quiver_probe_outcome *outcome)
{
	struct quiver_dext_bar info;
	int found = -1, error;

	if (probe->kind->bar >= 0)
		return probe->kind->bar;
	for (unsigned int n = 0; n < QUIVER_DEXT_BARS; n++) {
		error = quiver_bar_info(probe->device, n, &info);
		if (error) {
			quiver_probe_fail_call(outcome, "asking for a BAR", error);
			return -1;
		}
		if (!info.length || info.flags & QUIVER_DEXT_BAR_IO)
			continue;
		if (!(info.flags & QUIVER_DEXT_BAR_PREFETCH))
			return (int)n;
		if (found < 0)
			found = (int)n;
	}
	return found;
}

/*
 * A load that nobody answers may take the Mac down, so decoding is switched on,
 * as a driver would, and seen to be on.
 */
static bool decodes_memory(struct quiver_probe *probe, struct quiver_probe_outcome *outcome)
{
	uint32_t command;
	int error = quiver_config_read(probe->device, PCI_COMMAND, 2, &command);

	if (!error && command != 0xffff && !(command & PCI_COMMAND_MEMORY)) {
		error = quiver_config_write(probe->device, PCI_COMMAND, 2,
					    PCI_COMMAND_MEMORY | (command & PCI_COMMAND_MASTER));
		if (!error)
			error = quiver_config_read(probe->device, PCI_COMMAND, 2, &command);
	}
	if (error)
		quiver_probe_fail_call(outcome, "the command register", error);
	else if (command == 0xffff || !(command & PCI_COMMAND_MEMORY))
		quiver_probe_fail(outcome, CYCLE_AND_RESTART,
				  "the device does not decode memory (command register 0x%04x):"
				  " BARs are not touched",
				  command);
	return !quiver_probe_failed(outcome);
}

/* A device may drop off at any time: no stage measures one that is not there. */
static bool read_first(const struct quiver_probe *probe, struct quiver_probe_bar *bar,
		       void *address, struct quiver_probe_outcome *outcome)
{
	uint32_t offset = probe->kind->read[0];
	struct quiver_probe_trouble trouble;

	if (bar->length < offset + sizeof(bar->first)) {
		quiver_probe_fail(outcome, "send the record in",
				  "BAR %u ends before the register at 0x%x", bar->number, offset);
		return false;
	}
	bar->at = address;
	bar->first = quiver_probe_load(bar, offset);
	trouble = quiver_probe_trouble(probe->kind, bar->first);
	if (trouble.reason)
		quiver_probe_fail(outcome, trouble.cure, "BAR %u at 0x%x: %s", bar->number, offset,
				  trouble.reason);
	return !trouble.reason;
}

bool quiver_probe_map_registers(struct quiver_probe *probe, struct quiver_probe_bar *bar,
				struct quiver_probe_outcome *outcome)
{
	int number = registers_bar(probe, outcome), error;
	void *address;

	if (quiver_probe_failed(outcome) || !decodes_memory(probe, outcome))
		return false;
	error = number < 0 ? -ENOENT
			   : quiver_bar_map(probe->device, (unsigned int)number, &address,
					    &bar->length);
	if (error == -ENOENT) {
		quiver_probe_fail(outcome,
				  "restart the Mac with the enclosure attached and switched on",
				  "the BAR with the registers is absent or unassigned [H10]");
		return false;
	}
	if (error) {
		quiver_probe_fail_call(outcome, "mapping the BAR with the registers", error);
		return false;
	}
	bar->number = (unsigned int)number;
	return read_first(probe, bar, address, outcome);
}

uint32_t quiver_probe_load(const struct quiver_probe_bar *bar, uint32_t offset)
{
	return *(volatile uint32_t *)(bar->at + offset);
}

void quiver_probe_store(const struct quiver_probe_bar *bar, uint32_t offset, uint32_t value)
{
	*(volatile uint32_t *)(bar->at + offset) = value;
}

bool quiver_probe_check_quiet(struct quiver_probe *probe, struct quiver_probe_outcome *outcome)
{
	struct quiver_dext_stats stats;
	uint32_t command;
	int error = quiver_config_read(probe->device, PCI_COMMAND, 2, &command);

	if (!error)
		error = quiver_device_stats(probe->device, &stats);
	if (error)
		quiver_probe_fail_call(outcome, "asking how things stand", error);
	else if (command & PCI_COMMAND_MASTER)
		quiver_probe_fail(
			outcome, "switch the enclosure off and on, and begin at stage 0",
			"the device masters the bus, and nobody here told it to");
	else if (stats.mappings)
		quiver_probe_fail(
			outcome,
			"send the record in: the extension keeps mappings of a client that ended",
			"%llu mappings are there that nobody here made",
			(unsigned long long)stats.mappings);
	return !quiver_probe_failed(outcome);
}
