// SPDX-License-Identifier: BSD-3-Clause
/* quiver list */
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#include "cli.h"
#include "devices.h"
#include "names.h"
#include "sim.h"
#include "table.h"

struct list_options {
	bool json, help;
	struct quiver_sim_options sim;
};

static int parse(int argc, char **argv, struct list_options *options)
{
	static const struct option known[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		QUIVER_SIM_OPTIONS,
		{ 0 },
	};
	int code;

	opterr = 0;
	while ((code = getopt_long(argc, argv, "+:h", known, NULL)) != -1) {
		if (code == 'j')
			options->json = true;
		else if (code == 'h')
			options->help = true;
		else if (!quiver_sim_option(&options->sim, code, optarg))
			return quiver_usage_error(code == ':' ? "list: '%s' wants a value" :
							"list: what is '%s'?", argv[optind - 1]);
	}
	if (optind < argc)
		return quiver_usage_error("list: what is '%s'?", argv[optind]);
	return quiver_sim_options_check(&options->sim);
}

static void help(void)
{
	puts("Usage: quiver list [OPTION]...\n"
	     "Show the devices that the driver extension serves.\n\n"
	     "  --json              one JSON array\n" QUIVER_SIM_HELP);
}

static void print_table(const struct quiver_devices *devices, struct quiver_names *names)
{
	struct quiver_table table = { .columns = 6 };
	char class[128], name[256], address[16];

	quiver_table_row(&table, "ID", "ADDRESS", "DEVICE", "STATE", "CLASS", "NAME");
	for (size_t i = 0; i < devices->count; i++) {
		const struct quiver_device_info *info = &devices->info[i];
		const struct quiver_dext_identity *identity = &info->identity;
		char id[24], numbers[12];

		snprintf(id, sizeof(id), "0x%" PRIx64, info->id);
		snprintf(numbers, sizeof(numbers), "%04x:%04x", identity->vendor, identity->device);
		quiver_table_row(&table, id, quiver_device_address(info, address, sizeof(address)),
				 numbers, identity->refused ? "refused" : quiver_device_state(info),
				 quiver_name_class(names, identity, class, sizeof(class)),
				 quiver_name_device(names, identity, name, sizeof(name)));
	}
	quiver_table_print(&table, stdout);
	quiver_table_free(&table);
	for (size_t i = 0; i < devices->count; i++) {
		const char *obstacle = quiver_device_obstacle(&devices->info[i]);

		if (obstacle)
			printf("0x%" PRIx64 " cannot be used: %s\n", devices->info[i].id, obstacle);
	}
}

static json_t *device_json(const struct quiver_device_info *info, struct quiver_names *names)
{
	const struct quiver_dext_identity *identity = &info->identity;
	char class[128], name[256], address[16];
	const char *obstacle = quiver_device_obstacle(info);
	char *id = quiver_text("0x%" PRIx64, info->id);
	json_t *json;

	json = json_pack("{s:s s:s s:i s:i s:i s:i s:i s:i s:s s:s s:s s:b s:b s:s?}",
			 "id", id,
			 "address", quiver_device_address(info, address, sizeof(address)),
			 "vendor", identity->vendor, "device", identity->device,
			 "subsystem_vendor", identity->subsystem_vendor,
			 "subsystem", identity->subsystem,
			 "class", (int)(identity->class_revision >> 8),
			 "revision", (int)(identity->class_revision & 0xff),
			 "class_name", quiver_name_class(names, identity, class, sizeof(class)),
			 "name", quiver_name_device(names, identity, name, sizeof(name)),
			 "state", quiver_device_state(info), "refused", (int)identity->refused,
			 "claimable", !obstacle, "obstacle", obstacle);
	free(id);
	return json;
}

static void print_json(const struct quiver_devices *devices, struct quiver_names *names)
{
	json_t *array = json_array();

	for (size_t i = 0; i < devices->count; i++)
		json_array_append_new(array, device_json(&devices->info[i], names));
	json_dumpf(array, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(array);
}

static int list(const struct list_options *options)
{
	struct quiver_devices devices;
	struct quiver_names names;
	int status = quiver_devices_load(&devices);

	if (status && !options->json)
		return status;
	quiver_names_open(&names);
	if (options->json)
		print_json(&devices, &names);
	else
		print_table(&devices, &names);
	quiver_names_close(&names);
	quiver_devices_free(&devices);
	return status;
}

int quiver_list_main(int argc, char **argv)
{
	struct list_options options = { 0 };
	struct quiver_sim sim;
	int status = parse(argc, argv, &options);

	if (status || options.help) {
		if (!status)
			help();
		goto out;
	}
	status = quiver_sim_start(&sim, &options.sim);
	if (!status)
		status = list(&options);
	status = quiver_sim_end(&sim, status);
	quiver_sim_free(&sim);
out:
	quiver_sim_options_free(&options.sim);
	return status;
}
