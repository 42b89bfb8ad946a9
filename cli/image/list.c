// SPDX-License-Identifier: BSD-3-Clause
/* quiver image list */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"
#include "commands.h"
#include "image.h"
#include "table.h"

/* What the files of an image occupy; a sparse disk is smaller than its size. */
static int64_t occupied(const struct quiver_image *image)
{
	const char *const files[] = { image->disk, image->kernel, image->initrd };
	struct stat about;
	int64_t bytes = 0;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (!lstat(files[i], &about))
			bytes += (int64_t)about.st_blocks * 512;
	return bytes;
}

static int64_t disk_size(const struct quiver_image *image)
{
	struct stat about;

	return lstat(image->disk, &about) ? 0 : about.st_size;
}

static const char *damage(int error)
{
	switch (error) {
	case 0:
		return NULL;
	case -EBADMSG:
		return "a file is missing, or image.json is not in the format";
	default:
		return strerror(-error);
	}
}

static json_t *describe(struct quiver_image *image)
{
	json_t *json = json_deep_copy(image->json);

	json_object_set_new(json, "name", json_string(image->name));
	json_object_set_new(json, "folder", json_string(image->folder));
	json_object_set_new(json, "disk_bytes", json_integer(disk_size(image)));
	json_object_set_new(json, "bytes", json_integer(occupied(image)));
	json_object_set_new(json, "in_use", json_boolean(quiver_image_in_use(image)));
	json_object_set_new(json, "damage", json_null());
	return json;
}

/* Nothing if it is not there any more. */
static void add(json_t *images, const char *name)
{
	struct quiver_image image;
	int error = quiver_image_open(name, &image);

	if (!error) {
		json_array_append_new(images, describe(&image));
		quiver_image_close(&image);
	} else if (error != -ENOENT) {
		json_array_append_new(images, json_pack("{s:s s:s}", "name", name, "damage",
							damage(error)));
	}
}

static int is_image(const struct dirent *entry)
{
	return quiver_image_name_valid(entry->d_name);
}

static int collect(const char *folder, json_t *images)
{
	struct dirent **entries;
	int count = scandir(folder, &entries, is_image, alphasort);

	if (count < 0 && errno != ENOENT) {
		quiver_error("cannot read %s: %s", folder, strerror(errno));
		return QUIVER_EXIT_SETUP;
	}
	for (int i = 0; i < count; i++) {
		add(images, entries[i]->d_name);
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	return QUIVER_EXIT_OK;
}

static char *join(const json_t *words)
{
	char *text = quiver_text("%s", "");
	const json_t *word;
	size_t i;

	json_array_foreach(words, i, word) {
		char *more = quiver_text("%s%s%s", text, i ? "," : "", json_string_value(word));

		free(text);
		text = more;
	}
	if (*text)
		return text;
	free(text);
	return quiver_text("-");
}

static const char *member(const json_t *image, const char *name)
{
	return json_string_value(json_object_get(image, name));
}

static double gibibytes(const json_t *image, const char *name)
{
	return (double)json_integer_value(json_object_get(image, name)) / (1 << 30);
}

static void add_row(struct quiver_table *table, const json_t *image)
{
	char *size, *with;

	if (member(image, "damage")) {
		quiver_table_row(table, member(image, "name"), "-", "-", "-", "-", "-", "damaged");
		return;
	}
	size = quiver_text("%.1f of %.1f GiB", gibibytes(image, "bytes"), gibibytes(image, "disk_bytes"));
	with = join(json_object_get(image, "with"));
	quiver_table_row(table, member(image, "name"), member(image, "suite"), member(image, "kernel"),
			 with, member(image, "built"), size,
			 json_is_true(json_object_get(image, "in_use")) ? "in use" : "free");
	free(size);
	free(with);
}

static void print_table(const json_t *images)
{
	struct quiver_table table = { .columns = 7 };
	const json_t *image;
	size_t i;

	quiver_table_row(&table, "NAME", "SUITE", "KERNEL", "WITH", "BUILT", "SIZE", "STATE");
	json_array_foreach(images, i, image)
		add_row(&table, image);
	quiver_table_print(&table, stdout);
	quiver_table_free(&table);
	json_array_foreach(images, i, image)
		if (member(image, "damage"))
			printf("%s cannot be used: %s\n", member(image, "name"), member(image, "damage"));
}

static void help(void)
{
	puts("Usage: quiver image list [OPTION]...\n"
	     "Show the images that 'quiver run --image' can start.\n\n"
	     "  --json              one JSON array");
}

static int list(bool json)
{
	char *folder = quiver_images_folder();
	json_t *images;
	int status;

	if (!folder)
		return QUIVER_EXIT_SETUP;
	images = json_array();
	status = collect(folder, images);
	if (json) {
		json_dumpf(images, stdout, JSON_INDENT(2));
		putchar('\n');
	} else if (!status) {
		print_table(images);
	}
	json_decref(images);
	free(folder);
	return status;
}

int quiver_image_list_main(int argc, char **argv)
{
	static const struct option known[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	bool json = false;
	int code;

	opterr = 0;
	while ((code = getopt_long(argc, argv, "+:h", known, NULL)) != -1) {
		if (code == 'h') {
			help();
			return QUIVER_EXIT_OK;
		}
		if (code != 'j')
			return quiver_usage_error("image list: what is '%s'?", argv[optind - 1]);
		json = true;
	}
	if (optind < argc)
		return quiver_usage_error("image list: what is '%s'?", argv[optind]);
	return list(json);
}
