// SPDX-License-Identifier: BSD-3-Clause
/* quiver image build: images/build of the source tree does it. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"
#include "commands.h"
#include "image.h"
#include "platform.h"
#include "process.h"

#define DEFAULT_NAME "debian"

struct build {
	const char *name;
	char *folder;			/* of the new image */
	char *script;
	struct quiver_words options;	/* for the script */
	struct quiver_child child;
	int ended_by;			/* a signal that we got, or 0 */
	bool json, help;
};

/* As the script knows them, which checks their values. */
static const struct option known[] = {
	{ "suite", required_argument, NULL, 's' },
	{ "with", required_argument, NULL, 's' },
	{ "container-toolkit-repo", required_argument, NULL, 's' },
	{ "container-toolkit-key", required_argument, NULL, 's' },
	{ "ssh-key", required_argument, NULL, 's' },
	{ "hostname", required_argument, NULL, 's' },
	{ "disk-size", required_argument, NULL, 's' },
	{ "json", no_argument, NULL, 'j' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static void help(void)
{
	puts("Usage: quiver image build [OPTION]... [NAME]\n"
	     "Make an image: Debian for arm64 with quiver.ko, that 'quiver run --image NAME' starts.\n"
	     "NAME is " DEFAULT_NAME " by default. It wants a Debian machine, or a container on a Mac: docs/image.rst.\n\n"
	     "  --with WHAT         nvidia: NVIDIA's open driver; cuda: that and CUDA's toolkit;\n"
	     "                      container-toolkit: podman, and with --container-toolkit-repo\n"
	     "                      NVIDIA's toolkit for it; may be repeated\n"
	     "  --container-toolkit-repo URL, --container-toolkit-key FILE\n"
	     "                      an APT repository that has nvidia-container-toolkit, which Debian\n"
	     "                      has not, and the key that signs it\n"
	     "  --ssh-key FILE      a public key that may log in; may be repeated\n"
	     "                      (default: each ~/.ssh/id_*.pub)\n"
	     "  --hostname NAME     default: the image's name\n"
	     "  --disk-size SIZE    what the disk grows to, in GiB as 64G (default: 32G)\n"
	     "  --suite NAME        of Debian: trixie, which is the only one yet\n"
	     "  --json              one object on standard output when it is made");
}

static int parse(struct build *build, int argc, char **argv)
{
	int code, index = 0;

	opterr = 0;
	while ((code = getopt_long(argc, argv, ":h", known, &index)) != -1) {
		if (code == 's')
			quiver_words_add(&build->options, "--%s=%s", known[index].name, optarg);
		else if (code == 'j')
			build->json = true;
		else if (code == 'h')
			build->help = true;
		else
			return quiver_usage_error(code == ':' ? "image build: '%s' wants a value" :
							"image build: what is '%s'?", argv[optind - 1]);
	}
	build->name = optind < argc ? argv[optind++] : DEFAULT_NAME;
	if (optind < argc)
		return quiver_usage_error("image build: what is '%s'?", argv[optind]);
	return QUIVER_EXIT_OK;
}

/* $QUIVER_IMAGE_BUILD, or that of the tree which this program was built in. */
static char *find_script(void)
{
	static const char *const places[] = { "../../../images/build", "../share/quiver/images/build" };
	const char *chosen = getenv("QUIVER_IMAGE_BUILD");

	if (chosen)
		return quiver_text("%s", chosen);
	return quiver_platform_near(places, sizeof(places) / sizeof(places[0]));
}

/* Debian's tools are not for macOS; a container has them. */
static int refuse_mac(const struct build *build)
{
	quiver_error("images are built on Debian. Here, in a container, for example:\n"
		     "  docker run --rm --privileged -v QUIVER:/quiver -v ~/.ssh:/ssh:ro \\\n"
		     "    -v ~/.local/share/quiver/images:/images debian:12 \\\n"
		     "    /quiver/images/build --setup --ssh-key=/ssh/id_ed25519.pub /images/%s\n"
		     "where QUIVER is the folder of Quiver's sources. docs/image.rst says more.", build->name);
	return QUIVER_EXIT_SETUP;
}

/* mkdir -p */
static int make_folders(const char *path)
{
	char *copy = quiver_text("%s/", path);
	int error = 0;

	for (char *slash = strchr(copy + 1, '/'); slash && !error; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(copy, 0777) && errno != EEXIST)
			error = -errno;
		*slash = '/';
	}
	free(copy);
	return error;
}

static int prepare(struct build *build)
{
	struct quiver_image image;
	char *images;
	int error = quiver_image_find(build->name, &image);

	quiver_image_close(&image);
	if (error == -EINVAL) {
		char *problem = quiver_image_problem(build->name, error);

		quiver_error("%s", problem);
		free(problem);
		return QUIVER_EXIT_USAGE;
	}
	if (error != -ENOENT) {
		quiver_error("there is an image '%s' already; 'quiver image rm' removes it", build->name);
		return QUIVER_EXIT_SETUP;
	}
	images = quiver_images_folder();
	error = images ? make_folders(images) : 0;
	if (error)
		quiver_error("cannot make %s: %s", images, strerror(-error));
	else if (images)
		build->folder = quiver_text("%s/%s", images, build->name);
	free(images);
	return build->folder ? QUIVER_EXIT_OK : QUIVER_EXIT_SETUP;
}

/* It cleans up after itself, so it is asked and waited for. A terminal has told it already. */
static void wait_for_script(struct build *build)
{
	while (quiver_child_poll(&build->child)) {
		int signal = quiver_signals_wait(0);

		if (signal == SIGCHLD || signal == SIGPIPE)
			continue;
		build->ended_by = signal;
		quiver_child_signal(&build->child, SIGTERM);
	}
}

static int run_script(struct build *build)
{
	const struct quiver_child_setup setup = { .out = STDERR_FILENO, .err = -1 };
	struct quiver_words command = { 0 };
	int error;

	quiver_words_add(&command, "%s", build->script);
	for (size_t i = 0; i < build->options.count; i++)
		quiver_words_add(&command, "%s", build->options.word[i]);
	quiver_words_add(&command, "%s", build->folder);
	quiver_signals_block();
	error = quiver_child_start(&build->child, command.word, &setup);
	quiver_words_free(&command);
	if (error) {
		quiver_error("cannot start %s: %s", build->script, strerror(-error));
		return QUIVER_EXIT_SETUP;
	}
	wait_for_script(build);
	if (build->ended_by)
		return 128 + build->ended_by;
	/* Why, it has said. */
	if (!WIFEXITED(build->child.status))
		return QUIVER_EXIT_SETUP;
	return WEXITSTATUS(build->child.status) == QUIVER_EXIT_USAGE ? QUIVER_EXIT_USAGE :
	       WEXITSTATUS(build->child.status) ? QUIVER_EXIT_SETUP : QUIVER_EXIT_OK;
}

static int show(const struct build *build)
{
	struct quiver_image image;
	int error = quiver_image_open(build->name, &image);

	if (error) {
		char *problem = quiver_image_problem(build->name, error);

		quiver_error("%s", problem);
		free(problem);
		return QUIVER_EXIT_SETUP;
	}
	if (build->json) {
		json_dumpf(image.json, stdout, JSON_INDENT(2));
		putchar('\n');
	} else {
		printf("The image '%s' is in %s.\nStart it with: quiver run --image %s\n", image.name,
		       image.folder, image.name);
	}
	quiver_image_close(&image);
	return QUIVER_EXIT_OK;
}

static int run(struct build *build)
{
	int status = prepare(build);

	if (status)
		return status;
	build->script = find_script();
	if (!build->script) {
		quiver_error("images/build is not there; it is in Quiver's sources, and is run from them");
		return QUIVER_EXIT_SETUP;
	}
	status = run_script(build);
	return status ? status : show(build);
}

int quiver_image_build_main(int argc, char **argv)
{
	struct build build = { 0 };
	int status = parse(&build, argc, argv);

	if (!status && build.help)
		help();
	else if (!status && quiver_platform_has_iokit() && !getenv("QUIVER_IMAGE_BUILD"))
		status = refuse_mac(&build);
	else if (!status)
		status = run(&build);
	free(build.folder);
	free(build.script);
	quiver_words_free(&build.options);
	return status;
}
