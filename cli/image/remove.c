// SPDX-License-Identifier: BSD-3-Clause
/* quiver image rm */
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "commands.h"
#include "image.h"

#define REMOVED		".removed-"
#define FOLDERS_OPEN	16

static int remove_entry(const char *path, const struct stat *about, int type, struct FTW *walk)
{
	(void)about;
	(void)type;
	(void)walk;
	/* Two may be at what a third left behind. */
	return remove(path) && errno != ENOENT;
}

/* Links in it are removed, not followed, and other file systems left alone. */
static int remove_tree(const char *folder)
{
	return nftw(folder, remove_entry, FOLDERS_OPEN, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) ? -errno : 0;
}

/*
 * First it is no image any more, then its files go: who is interrupted leaves nothing that looks like one. The
 * lock is held all the while.
 */
static int remove_image(const struct quiver_image *image)
{
	char *images = quiver_images_folder();
	char *gone = images ? quiver_text("%s/" REMOVED "XXXXXX", images) : NULL;
	char *inside = NULL;
	int error = 0;

	if (!gone || !mkdtemp(gone)) {
		error = gone ? -errno : -ENOENT;
		goto out;
	}
	inside = quiver_text("%s/%s", gone, image->name);
	if (rename(image->folder, inside))
		error = -errno;
	if (!error)
		error = remove_tree(gone);
	else
		rmdir(gone);
out:
	free(inside);
	free(gone);
	free(images);
	return error;
}

static int is_removed(const struct dirent *entry)
{
	return !strncmp(entry->d_name, REMOVED, strlen(REMOVED));
}

/* What an interrupted one left. */
static void sweep(void)
{
	char *images = quiver_images_folder();
	struct dirent **entries;
	int count = images ? scandir(images, &entries, is_removed, NULL) : -1;

	for (int i = 0; i < count; i++) {
		char *folder = quiver_text("%s/%s", images, entries[i]->d_name);

		remove_tree(folder);
		free(folder);
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	free(images);
}

static bool confirm(const struct quiver_image *image)
{
	char line[16];

	printf("Remove the image '%s' and all that its guest wrote? [y/N] ", image->name);
	fflush(stdout);
	return fgets(line, sizeof(line), stdin) && (*line == 'y' || *line == 'Y');
}

static int remove_one(const char *name, bool force)
{
	struct quiver_image image;
	int error = quiver_image_find(name, &image);

	if (!error)
		error = quiver_image_lock(&image);
	if (!error && !force && !confirm(&image)) {
		quiver_image_close(&image);
		return QUIVER_EXIT_OK;
	}
	if (!error)
		error = remove_image(&image);
	quiver_image_close(&image);
	if (error) {
		char *problem = quiver_image_problem(name, error);

		quiver_error("%s", problem);
		free(problem);
	}
	return !error ? QUIVER_EXIT_OK : error == -EINVAL ? QUIVER_EXIT_USAGE : QUIVER_EXIT_SETUP;
}

static void help(void)
{
	puts("Usage: quiver image rm [OPTION]... NAME...\n"
	     "Remove images, with all that their guests wrote.\n\n"
	     "  --force             do not ask");
}

int quiver_image_rm_main(int argc, char **argv)
{
	static const struct option known[] = {
		{ "force", no_argument, NULL, 'f' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	bool force = false;
	int code, status = QUIVER_EXIT_OK;

	opterr = 0;
	while ((code = getopt_long(argc, argv, "+:hf", known, NULL)) != -1) {
		if (code == 'h') {
			help();
			return QUIVER_EXIT_OK;
		}
		if (code != 'f')
			return quiver_usage_error("image rm: what is '%s'?", argv[optind - 1]);
		force = true;
	}
	if (optind == argc)
		return quiver_usage_error("image rm: which image?");
	if (!force && !isatty(STDIN_FILENO))
		return quiver_usage_error("image rm: there is no terminal to ask on; --force does not ask");
	sweep();
	/* The first that cannot be removed says how it ends; the others go. */
	for (; optind < argc; optind++) {
		int one = remove_one(argv[optind], force);

		status = status ? status : one;
	}
	return status;
}
