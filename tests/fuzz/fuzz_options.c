// SPDX-License-Identifier: BSD-3-Clause
/*
 * What people and programs tell quiver in text: its command line, its config file,
 * names of images and their image.json, and what macOS' programs and QEMU print.
 *
 * An input has parts, each begun by a line "%NAME": args (one a line), config,
 * json, those of commands[], args of theirs, and those of parts[] below. Nothing is started, no port is taken, and the only file
 * that is read is an image.json.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"
#include "doctor/checks.h"
#include "doctor/parse.h"
#include "fuzz.h"
#include "image/image.h"
#include "run/options.h"
#include "run/plan.h"
#include "run/values.h"
#include "sim.h"
#include "spec.h"
#include "vm.h"

#define ARGS_MAX	64

static char folder[] = "/tmp/quiver-fuzz-XXXXXX";

/* --- the world ------------------------------------------------------------------------------------ */

/* Of the input; every file that is opened has it. */
static const char *config_text;

FILE *__wrap_fopen64(const char *path, const char *mode);
int __wrap_bind(int fd, const struct sockaddr *address, socklen_t length);

/* As it is called where files may be large. */
FILE *__wrap_fopen64(const char *path, const char *mode)
{
	if (!config_text || strstr(path, "missing")) {
		errno = ENOENT;
		return NULL;
	}
	/* A buffer of no bytes is an error to fmemopen(). */
	return *config_text ? fmemopen((char *)config_text, strlen(config_text), "r") :
			      fdopen(open("/dev/null", O_RDONLY | O_CLOEXEC), "r");
}

/* Odd ones are taken. */
int __wrap_bind(int fd, const struct sockaddr *address, socklen_t length)
{
	uint16_t port;

	memcpy(&port, address->sa_data, sizeof(port));
	errno = EADDRINUSE;
	return port & 0x100 ? -1 : 0;
}

/* A message is made, and nobody reads it. */
static void say(const char *format, va_list args)
{
	char *text;

	fuzz_require(vasprintf(&text, format, args) > 0);
	free(text);
}

void quiver_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args);
	va_end(args);
}

int quiver_usage_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args);
	va_end(args);
	return QUIVER_EXIT_USAGE;
}

/* What they say goes to standard output, which nobody reads. */
static bool accepted;
/* --sim is said at all, and where it can be no other option's value. */
static bool sim_said, sim_meant;

/* Here a command begins that has understood its options; and here it ends. */
int quiver_sim_start(struct quiver_sim *sim, const struct quiver_sim_options *options)
{
	fuzz_require(options->enabled || !(options->devices.count || options->args.count));
	fuzz_require(options->enabled ? sim_said : !sim_meant);
	accepted = true;
	memset(sim, 0, sizeof(*sim));
	return QUIVER_EXIT_SIMULATION;
}

bool quiver_sim_present(void)
{
	return false;
}

bool quiver_sim_running(struct quiver_sim *sim)
{
	return false;
}

int quiver_sim_end(struct quiver_sim *sim, int status)
{
	fuzz_require(status == QUIVER_EXIT_SIMULATION);
	return status;
}

json_t *quiver_sim_json(const struct quiver_sim *sim)
{
	return json_null();
}

void quiver_sim_free(struct quiver_sim *sim)
{
}

static void make_image_folder(void)
{
	static const char *const names[] = { "/quiver", "/images", "/image" };
	char path[256];

	fuzz_require(mkdtemp(folder));
	setenv("XDG_DATA_HOME", folder, 1);
	snprintf(path, sizeof(path), "%s", folder);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		strcat(path, names[i]);
		fuzz_require(!mkdir(path, 0700));
	}
	fuzz_require(!chdir(path));
	for (int i = 0; i < 3; i++)
		close(open((const char *const[]){ "disk.raw", "vmlinuz", "initrd" }[i],
			   O_WRONLY | O_CREAT, 0600));
}

static void remove_image_folder(void)
{
	char command[sizeof(folder) + 16];

	snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	if (system(command))
		perror("rm");
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	make_image_folder();
	atexit(remove_image_folder);
	setenv("HOME", "/home/somebody", 1);
	setenv("XDG_CONFIG_HOME", "/home/somebody/.config", 1);
	setenv("QUIVER_QEMU", "/qemu", 1);
	return 0;
}

/* --- the command line ------------------------------------------------------------------------------ */

/* A word that a shell reads back: what begins in a quote ends in one. */
static void check_quoted(const struct quiver_words *command)
{
	char *line = quiver_words_quote(command);
	size_t longest = 0;

	fuzz_require(line);
	for (size_t i = 0; i < command->count; i++)
		longest = strlen(command->word[i]) > longest ? strlen(command->word[i]) : longest;
	fuzz_require(strlen(line) >= longest);
	free(line);
}

/* One device was chosen: no other text may become one, whatever is in it. */
static void check_command(const struct quiver_vm *vm)
{
	struct quiver_device_info info = { .id = 0x100000400 };
	unsigned int thunderbolt = 5;
	const struct quiver_devices devices = { .info = &info, .count = 1, .thunderbolt = &thunderbolt };
	struct quiver_words command;
	size_t passed = 0;

	quiver_vm_command(vm, &devices, &command);
	fuzz_require(command.count > vm->extra->count);
	for (size_t i = 1; i < command.count - vm->extra->count; i++)
		passed += !strcmp(command.word[i - 1], "-device") &&
			  !strncmp(command.word[i], "quiver-pci,", strlen("quiver-pci,"));
	fuzz_require(passed == 1);
	fuzz_require(!command.word[command.count]);
	check_quoted(&command);
	quiver_words_free(&command);
}

static void check_plan(const struct quiver_run_options *options)
{
	struct quiver_plan plan;
	struct quiver_devices devices = { 0 };
	int status = quiver_plan_make(&plan, options, &devices);

	fuzz_require(status == QUIVER_EXIT_OK || status == QUIVER_EXIT_SETUP);
	if (status)
		return;
	fuzz_require(plan.vm.cpus && plan.vm.memory && plan.grace <= 3600);
	check_command(&plan.vm);
	quiver_plan_free(&plan);
}

static void check_options(const struct quiver_run_options *options)
{
	uint16_t from, to;

	for (size_t i = 0; i < options->devices.count; i++)
		fuzz_require(quiver_value_is_spec(options->devices.word[i]));
	for (size_t i = 0; i < options->forwards.count; i++)
		fuzz_require(quiver_value_forward(options->forwards.word[i], &from, &to) && from && to);
	fuzz_require(!options->image || quiver_image_name_valid(options->image));
	fuzz_require(!(options->console && options->serial));
	fuzz_require(!options->initrd || options->kernel);
	fuzz_require(!(options->firmware && (options->kernel || options->image)));
}

/* A line a word, behind the first. */
static int split_args(char *text, char **argv)
{
	int argc = 1;
	char *line;

	while (argc <= ARGS_MAX && (line = strsep(&text, "\n")))
		if (*line || text)
			argv[argc++] = line;
	optind = 0;
	return argc;
}

static void parse_args(char *text)
{
	char *argv[ARGS_MAX + 2] = { "run" };
	struct quiver_run_options options;
	int argc = split_args(text, argv), status;

	status = quiver_run_options_parse(&options, argc, argv);
	fuzz_require(status == QUIVER_EXIT_OK || status == QUIVER_EXIT_USAGE ||
		     status == QUIVER_EXIT_SETUP);
	if (!status && !options.help) {
		check_options(&options);
		check_plan(&options);
	}
	quiver_run_options_free(&options);
}

static const struct command {
	const char *name;
	int (*main)(int argc, char **argv);
	const char *options;		/* that it has, a space behind each */
} commands[] = {
	{ "list", quiver_list_main, "--json " },
	{ "doctor", quiver_doctor_main, "--json --memory --qemu " },
	{ "probe", quiver_probe_main, "--json --device --stage --upto --record --force " },
};

/* Whether it is an option, be it cut short; getopt_long() wants no more of a name than makes it clear. */
static bool is_known(const struct command *command, const char *word)
{
	static const char common[] = "--help --sim --sim-device --sim-arg ";
	size_t length = strcspn(word, "=");
	char option[64];

	if (length > sizeof(option) - 1)
		return false;
	snprintf(option, sizeof(option), "%.*s", (int)length, word);
	return !strcmp(option, "--") || strstr(common, option) || strstr(command->options, option);
}

/* It begins with nothing that it does not know, and ends as it should where it does not begin. */
static void run_command(const struct command *command, char *text)
{
	char *argv[ARGS_MAX + 2] = { (char *)command->name };
	int argc = split_args(text, argv), status;

	sim_said = false;
	for (int i = 1; i < argc; i++)
		sim_said = sim_said || !strcmp(argv[i], "--sim");
	sim_meant = argc > 1 && !strcmp(argv[1], "--sim");
	accepted = false;
	status = command->main(argc, argv);
	if (status != QUIVER_EXIT_SIMULATION) {
		fuzz_require(!accepted && (status == QUIVER_EXIT_OK || status == QUIVER_EXIT_USAGE));
		return;
	}
	fuzz_require(accepted);
	fuzz_require(argc == 1 || (*argv[1] == '-' && is_known(command, argv[1])));
}

/* --- what programs print --------------------------------------------------------------------------- */

static void run_checks(const struct quiver_facts *facts)
{
	struct quiver_findings findings = { 0 };

	quiver_checks_run(facts, &findings);
	for (size_t i = 0; i < findings.count; i++)
		fuzz_require(findings.finding[i].id && findings.finding[i].text);
	quiver_findings_free(&findings);
}

static void use_sip(char *text, struct quiver_facts *facts)
{
	facts->sip = quiver_parse_sip(text);
}

static void use_extensions(char *text, struct quiver_facts *facts)
{
	quiver_parse_extensions(text, &facts->extension);
	fuzz_require(strlen(facts->extension.words) < sizeof(facts->extension.words));
}

static void use_apps(char *text, struct quiver_facts *facts)
{
	quiver_parse_apps(text, &facts->apps);
	facts->apps_known = true;
	for (size_t i = 0; i < facts->apps.count; i++)
		fuzz_require(*facts->apps.word[i] == '/');
}

static void use_identifier(char *text, struct quiver_facts *facts)
{
	fuzz_require(!quiver_parse_identifier(text) || !strpbrk(text, " /'"));
}

static void use_entitlements(char *text, struct quiver_facts *facts)
{
	facts->entitled = quiver_parse_entitlements(text);
}

static void use_qemu(char *text, struct quiver_facts *facts)
{
	quiver_parse_qemu(text, &facts->qemu);
	facts->qemu.found = true;
}

static void use_name(char *text, struct quiver_facts *facts)
{
	struct quiver_image image;
	char *problem;
	int error = quiver_image_open(text, &image);

	problem = quiver_image_problem(text, error);
	free(problem);
	if (quiver_image_name_valid(text))
		fuzz_require(*text && *text != '.' && !strpbrk(text, "/ \n'\""));
	else
		fuzz_require(error == -EINVAL);
	if (!error)
		quiver_image_close(&image);
}

static void use_json(char *text, struct quiver_facts *facts)
{
	struct quiver_image image;
	int fd = open("image.json", O_WRONLY | O_CREAT | O_TRUNC, 0600), error;

	fuzz_require(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
	error = quiver_image_open("image", &image);
	fuzz_require(!error || error == -EBADMSG);
	if (error)
		return;
	fuzz_require(image.append && image.user && strlen(image.append) <= strlen(text));
	quiver_image_close(&image);
}

static void use_spec(char *text, struct quiver_facts *facts)
{
	struct quiver_spec spec;

	if (!quiver_spec_parse(text, &spec))
		return;
	fuzz_require(!strchr(spec.name, ','));
	fuzz_require(!spec.thunderbolt || (spec.thunderbolt >= 3 && spec.thunderbolt <= 5));
	free(spec.name);
}

static void use_path(char *text, struct quiver_facts *facts)
{
	free(quiver_path_brief(text, "/home/somebody"));
}

static const struct part {
	const char *name;
	void (*use)(char *text, struct quiver_facts *facts);
} parts[] = {
	{ "sip", use_sip }, { "extensions", use_extensions }, { "apps", use_apps },
	{ "identifier", use_identifier }, { "entitlements", use_entitlements },
	{ "qemu", use_qemu }, { "name", use_name }, { "json", use_json }, { "spec", use_spec },
	{ "path", use_path },
};

/* --- an input -------------------------------------------------------------------------------------- */

struct input {
	char *args, *config;
	struct quiver_facts facts;
};

static void take_part(struct input *input, const char *name, char *text)
{
	if (!strcmp(name, "args"))
		input->args = text;
	if (!strcmp(name, "config"))
		input->config = text;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(name, commands[i].name))
			run_command(&commands[i], text);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (!strcmp(name, parts[i].name))
			parts[i].use(text, &input->facts);
}

/* From "%NAME\n" on; the next part, or NULL. */
static char *split(struct input *input, char *part)
{
	char *text = strchr(part, '\n'), *next;

	if (!text)
		return NULL;
	*text++ = '\0';
	next = *text == '%' ? text : strstr(text, "\n%");
	if (next && next != text)
		*next++ = '\0';
	if (next == text)
		take_part(input, part + 1, strchr(part, '\0'));
	else
		take_part(input, part + 1, text);
	return next;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char qemu[] = "/qemu";
	struct input input = { .facts = { .mac = true, .qemu.program = qemu } };
	char *copy = strndup((const char *)data, size), *part = copy;

	fuzz_require(copy);
	while (part && *part == '%')
		part = split(&input, part);
	config_text = input.config;
	if (input.args)
		parse_args(input.args);
	config_text = NULL;
	run_checks(&input.facts);
	quiver_words_free(&input.facts.apps);
	free(copy);
	return 0;
}
