// SPDX-License-Identifier: BSD-3-Clause
#include "run/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "run/values.h"

/* Codes of getopt_long() for the table, clear of those of --sim. */
#define CODE 0x400

enum kind {
	TEXT,
	PATH,				/* a text; in a config file it is relative to that file */
	WORDS,				/* a list */
	PATHS,
	SWITCH,				/* on or off */
	ORDER				/* for this one time: not in a config file */
};

struct option_row {
	const char *name, *value;	/* value: what help calls it; NULL: there is none */
	enum kind kind;
	size_t offset;			/* in struct quiver_run_options */
	const char *help;
	bool (*valid)(const char *value);
	const char *wants;		/* what valid() takes, in words */
	const char *implied;		/* what the bare option means; else it wants a value */
};

#define AT(member) offsetof(struct quiver_run_options, member)

static const struct option_row rows[] = {
	{ "device", "SPEC[,thunderbolt=3|4|5]", WORDS, AT(devices),
	  .help = "an id of 'quiver list', or VVVV:DDDD, and what its enclosure is\n"
	  "connected by, where the Mac does not say; may be repeated\n"
	  "(default: every device that is free)", .valid = quiver_value_is_spec,
	  .wants = "ID or VVVV:DDDD, and perhaps ,thunderbolt=3, 4 or 5" },
	{ "image", "NAME", TEXT, AT(image), .help = "boot an image of 'quiver image list'",
	  .valid = quiver_value_is_image, .wants = "an image's name" },
	{ "kernel", "FILE", PATH, AT(kernel), .help = "boot this Linux kernel",
	  .valid = quiver_value_is_path, .wants = "a file" },
	{ "initrd", "FILE", PATH, AT(initrd), .help = "its initial RAM disk",
	  .valid = quiver_value_is_path, .wants = "a file" },
	{ "append", "TEXT", TEXT, AT(append),
	  .help = "its command line; with --image, what follows the image's own" },
	{ "firmware", "FILE", PATH, AT(firmware),
	  .help = "boot a disk by this UEFI firmware (default: the one that came\n"
	  "with QEMU, for a disk without a kernel)",
	  .valid = quiver_value_is_path, .wants = "a file" },
	{ "disk", "FILE[,ro]", PATHS, AT(disks), .help = "a virtio disk; may be repeated",
	  .valid = quiver_value_is_path, .wants = "a file" },
	{ "share", "FOLDER[,ro]", PATHS, AT(shares),
	  .help = "a folder for the guest to mount, by 9p as share0, share1, ...",
	  .valid = quiver_value_is_path, .wants = "a folder" },
	{ "memory", "SIZE", TEXT, AT(memory), .help = "as 8G (default: half of the machine's)",
	  .valid = quiver_value_is_size, .wants = "a size, as 512M or 8G" },
	{ "aperture", "SIZE|auto|none", TEXT, AT(aperture),
	  .help = "memory for the drivers of GPUs, mapped for them once; a multiple of\n"
	  "128M, beside the VM's own (default: auto, 1G if there is a GPU)",
	  .valid = quiver_value_is_aperture, .wants = "a multiple of 128M, auto or none" },
	{ "cpus", "N", TEXT, AT(cpus), .help = "default: the machine's performance cores",
	  .valid = quiver_value_is_count, .wants = "a number from 1 to 512" },
	{ "tso", "auto|on|off", TEXT, AT(tso),
	  .help = "the guest's processors order memory as x86 does; auto: where the\n"
	  "machine can (default: off; without a value: on)", .valid = quiver_value_is_tso,
	  .wants = "auto, on or off", .implied = "on" },
	{ "net", "user|none", TEXT, AT(net),
	  .help = "the guest's network: behind this machine (default), or none",
	  .valid = quiver_value_is_net, .wants = "user or none" },
	{ "ssh-port", "PORT|auto|none", TEXT, AT(ssh_port),
	  .help = "what reaches the guest's ssh, on this machine only (default:\n"
	  "auto, the first that is free from 2222 on)", .valid = quiver_value_is_ssh_port,
	  .wants = "a port, auto or none" },
	{ "forward", "PORT:PORT", WORDS, AT(forwards),
	  .help = "this machine's port, for itself only, to the guest's; may be repeated",
	  .valid = quiver_value_is_forward, .wants = "two ports, as 8080:80" },
	{ "display", "none|window", TEXT, AT(display),
	  .help = "a window with a simple display, keyboard and mouse (default: none)",
	  .valid = quiver_value_is_display, .wants = "none or window" },
	{ "serial", "FILE|stdio", PATH, AT(serial),
	  .help = "the guest's serial console (default: stdio)",
	  .valid = quiver_value_is_path, .wants = "a file" },
	{ "console", NULL, SWITCH, AT(console),
	  .help = "the same on this terminal, keys included; Ctrl-A x ends the VM",
	  .valid = quiver_value_is_switch, .wants = "on or off", .implied = "on" },
	{ "grace", "SECONDS", TEXT, AT(grace),
	  .help = "what a guest has to shut down in when the VM is to stop\n"
	  "(default: 30; 0: it is not asked)", .valid = quiver_value_is_grace,
	  .wants = "a number of seconds, at most 3600" },
	{ "trap", NULL, SWITCH, AT(trap),
	  .help = "QEMU sees every access to a BAR: slow, for tracing", .valid = quiver_value_is_switch,
	  .wants = "on or off", .implied = "on" },
	{ "qemu", "PATH", PATH, AT(qemu), .help = "default: $QUIVER_QEMU, or Quiver's own",
	  .valid = quiver_value_is_path, .wants = "a file" },
	{ "qemu-arg", "ARG", WORDS, AT(qemu_args), .help = "one argument of QEMU; may be repeated" },
	{ "config", "FILE", ORDER, AT(config),
	  .help = "take the options that are not given here from this file\n"
	  "(default: ~/.config/quiver/config, if it is there)" },
	{ "no-config", NULL, ORDER, AT(no_config), .help = "take none from a file" },
	{ "dry-run", NULL, ORDER, AT(dry_run), .help = "print QEMU's command, and do not start it" },
	{ "json", NULL, ORDER, AT(json),
	  .help = "one object on standard output when the VM has ended" },
	{ "help", NULL, ORDER, AT(help), .help = "this" },
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

_Static_assert(ROWS <= QUIVER_RUN_OPTIONS_MAX, "said[] has room for each");

static void *place_of(struct quiver_run_options *options, const struct option_row *row)
{
	return (char *)options + row->offset;
}

/* where: how a message names the option. */
static int set(struct quiver_run_options *options, const struct option_row *row, const char *where,
	       const char *value)
{
	void *place = place_of(options, row);

	if (row->valid && !row->valid(value))
		return quiver_usage_error("%s wants %s, not '%s'", where, row->wants, value);
	if (row->kind == WORDS || row->kind == PATHS) {
		quiver_words_add(place, "%s", value);
	} else if (row->kind == SWITCH) {
		*(bool *)place = !strcmp(value, "on");
	} else if (row->kind == ORDER && !row->value) {
		*(bool *)place = true;
	} else {
		free(*(char **)place);
		*(char **)place = quiver_text("%s", value);
	}
	return QUIVER_EXIT_OK;
}

static int set_from_line(struct quiver_run_options *options, const struct option_row *row,
			 const char *value)
{
	char *where = quiver_text("run: --%s", row->name);
	int status = set(options, row, where, value ? value : row->implied);

	free(where);
	options->said[row - rows] = true;
	return status;
}

static void fill_known(struct option *known)
{
	static const struct option sim[] = { QUIVER_SIM_OPTIONS };
	size_t i;

	for (i = 0; i < ROWS; i++) {
		bool bare = !rows[i].value && rows[i].kind != SWITCH;

		known[i] = (struct option){ rows[i].name,
					    bare ? no_argument :
						   rows[i].implied ? optional_argument :
								     required_argument,
					    NULL, CODE + (int)i };
	}
	memcpy(&known[i], sim, sizeof(sim));
	known[i + sizeof(sim) / sizeof(sim[0])] = (struct option){ 0 };
}

static int parse_line(struct quiver_run_options *options, int argc, char **argv)
{
	struct option known[QUIVER_RUN_OPTIONS_MAX + 8];
	int code, status = QUIVER_EXIT_OK;

	fill_known(known);
	opterr = 0;
	while (!status && (code = getopt_long(argc, argv, "+:h", known, NULL)) != -1) {
		if (code == 'h')
			options->help = true;
		else if (code >= CODE)
			status = set_from_line(options, &rows[code - CODE], optarg);
		else if (!quiver_sim_option(&options->sim, code, optarg))
			status = quiver_usage_error(code == ':' ? "run: '%s' wants a value" :
								  "run: what is '%s'?",
						    argv[optind - 1]);
	}
	if (!status && optind < argc)
		status = quiver_usage_error("run: what is '%s'?", argv[optind]);
	return status;
}

/* --- the config file --- */

struct reading {
	struct quiver_run_options *options;
	unsigned int line[ROWS];	/* where it was said; 0: nowhere */
};

static const struct option_row *find_row(const char *name)
{
	for (size_t i = 0; i < ROWS; i++)
		if (!strcmp(rows[i].name, name))
			return &rows[i];
	return NULL;
}

static int set_from_config(struct reading *reading, const struct option_row *row,
			   const struct quiver_config_entry *entry)
{
	bool is_path = row->kind == PATH || row->kind == PATHS;
	char *where = quiver_text("%s:%u: %s", entry->file, entry->line, row->name);
	char *value = is_path && !quiver_value_is_no_path(row->name, entry->value) ?
			      quiver_config_path(entry) : quiver_text("%s", entry->value);
	int status;

	/* What is said on the command line is checked here as well: a file is right or wrong. */
	if (row->valid && !row->valid(entry->value))
		status = quiver_usage_error("%s wants %s, not '%s'", where, row->wants,
					    entry->value);
	else
		status = reading->options->said[row - rows] ?
				 QUIVER_EXIT_OK : set(reading->options, row, where, value);
	free(value);
	free(where);
	return status;
}

static int take_entry(void *context, const struct quiver_config_entry *entry)
{
	struct reading *reading = context;
	const struct option_row *row = find_row(entry->name);
	unsigned int *before;

	if (!row)
		return quiver_usage_error("%s:%u: there is no option '%s' (quiver-config(5) has them all)",
					  entry->file, entry->line, entry->name);
	if (row->kind == ORDER)
		return quiver_usage_error("%s:%u: '%s' is for the command line only", entry->file,
					  entry->line, entry->name);
	if (row->kind != WORDS && row->kind != PATHS) {
		before = &reading->line[row - rows];
		if (*before)
			return quiver_usage_error("%s:%u: '%s' was said in line %u already",
						  entry->file, entry->line, entry->name, *before);
		*before = entry->line;
	}
	return set_from_config(reading, row, entry);
}

static int read_config(struct quiver_run_options *options)
{
	struct reading reading = { .options = options };
	char *file;
	int status;

	if (options->no_config)
		return QUIVER_EXIT_OK;
	if (options->config)
		return quiver_config_load(options->config, true, take_entry, &reading);
	file = quiver_config_default();
	status = file ? quiver_config_load(file, false, take_entry, &reading) : QUIVER_EXIT_OK;
	free(file);
	return status;
}

/* --- what excludes what --- */

static bool was_said(const struct quiver_run_options *options, const char *name)
{
	return options->said[find_row(name) - rows];
}

/* Unless the command line says it. */
static void drop(struct quiver_run_options *options, const char *name)
{
	const struct option_row *row = find_row(name);
	void *place = place_of(options, row);

	if (was_said(options, name))
		return;
	if (row->kind == WORDS || row->kind == PATHS) {
		quiver_words_free(place);
	} else if (row->kind == SWITCH) {
		*(bool *)place = false;
	} else {
		free(*(char **)place);
		*(char **)place = NULL;
	}
}

static bool has_network(const struct quiver_run_options *options)
{
	return !options->net || strcmp(options->net, "none");
}

/* What the command line says drops what it excludes in the file, as it does the file's own word for it. */
static void prefer_the_line(struct quiver_run_options *options)
{
	static const char *const kernels[] = { "kernel", "initrd", "image", "append" };

	if (was_said(options, "serial") || options->json)
		drop(options, "console");
	if (was_said(options, "console") && options->console)
		drop(options, "serial");
	if (was_said(options, "kernel") || was_said(options, "image"))
		drop(options, "firmware");
	for (size_t i = 0; was_said(options, "firmware") && i < sizeof(kernels) / sizeof(kernels[0]); i++)
		drop(options, kernels[i]);
	if (was_said(options, "forward") ||
	    (was_said(options, "ssh-port") && quiver_value_is_port(options->ssh_port)))
		drop(options, "net");
	if (was_said(options, "net") && !has_network(options)) {
		drop(options, "forward");
		drop(options, "ssh-port");
	}
}

static int check_ports(const struct quiver_run_options *options)
{
	uint16_t ssh = 0, from, to, other;

	if (quiver_value_is_port(options->ssh_port))
		ssh = (uint16_t)strtoul(options->ssh_port, NULL, 10);
	if (!has_network(options) && (options->forwards.count || ssh))
		return quiver_usage_error("run: --ssh-port and --forward need a network");
	for (size_t i = 0; i < options->forwards.count; i++) {
		quiver_value_forward(options->forwards.word[i], &from, &to);
		other = ssh;
		for (size_t n = 0; other != from && n < i; n++)
			quiver_value_forward(options->forwards.word[n], &other, &to);
		if (other == from)
			return quiver_usage_error("run: --forward %s: port %u leads elsewhere already",
						  options->forwards.word[i], from);
	}
	return QUIVER_EXIT_OK;
}

static int check(const struct quiver_run_options *options)
{
	int status;

	if (options->console && options->serial)
		return quiver_usage_error("run: --console and --serial exclude each other");
	if (options->console && options->json)
		return quiver_usage_error("run: --console and --json exclude each other");
	if (options->initrd && !options->kernel)
		return quiver_usage_error("run: --initrd needs --kernel");
	if (options->append && !options->kernel && !options->image)
		return quiver_usage_error("run: --append needs --kernel or --image");
	if (options->firmware && (options->kernel || options->image))
		return quiver_usage_error("run: --firmware boots a disk: no --kernel, no --image");
	status = check_ports(options);
	return status ? status : quiver_sim_options_check(&options->sim);
}

int quiver_run_options_parse(struct quiver_run_options *options, int argc, char **argv)
{
	int status;

	*options = (struct quiver_run_options){ 0 };
	status = parse_line(options, argc, argv);
	if (status || options->help)
		return status;
	if (options->no_config && options->config)
		return quiver_usage_error("run: --config and --no-config exclude each other");
	status = read_config(options);
	if (status)
		return status;
	prefer_the_line(options);
	return check(options);
}

void quiver_run_options_free(struct quiver_run_options *options)
{
	for (size_t i = 0; i < ROWS; i++) {
		void *place = place_of(options, &rows[i]);

		if (rows[i].kind == WORDS || rows[i].kind == PATHS)
			quiver_words_free(place);
		else if (rows[i].value)
			free(*(char **)place);
	}
	quiver_sim_options_free(&options->sim);
}

/* --- help --- */

#define COLUMN 22

static char *heading(const struct option_row *row)
{
	if (row->value && row->implied)
		return quiver_text("  --%s[=%s]", row->name, row->value);
	return quiver_text("  --%s%s%s", row->name, row->value ? " " : "", row->value ? row->value : "");
}

static void print_row(const struct option_row *row)
{
	char *head = heading(row);
	const char *line = row->help;

	if (strlen(head) + 1 < COLUMN)
		printf("%-*s", COLUMN, head);
	else
		printf("%s\n%*s", head, COLUMN, "");
	for (const char *end; (end = strchr(line, '\n')); line = end + 1)
		printf("%.*s\n%*s", (int)(end - line), line, COLUMN, "");
	puts(line);
	free(head);
}

void quiver_run_help(void)
{
	puts("Usage: quiver run [OPTION]...\n"
	     "Start a VM with devices passed through, and wait for its end. Ctrl-C shuts it down.\n");
	for (size_t i = 0; i < ROWS; i++)
		print_row(&rows[i]);
	puts(QUIVER_SIM_HELP);
}
