/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Images: guests that `quiver image build` made, and that `quiver run --image NAME` boots. Each is a folder
 * $XDG_DATA_HOME/quiver/images/NAME (default ~/.local/share/quiver/images/NAME):
 *
 *   image.json    what it is; below
 *   disk.raw      its disk, raw and sparse; the guest writes to it
 *   vmlinuz       the kernel and
 *   initrd        the initial RAM disk that it is booted with
 *   lock          held with flock() by who uses it; made when first needed
 *
 * image.json is an object of "format" 1 with the strings "name", "suite", "arch", "kernel" (its release),
 * "append" (the kernel's command line), "user" (who may log in, by ssh key), "built" (RFC 3339, UTC) and
 * "quiver" (its version); the array of strings "with" (options that it was built with); the integer "disk_bytes"
 * (the disk's size for the guest when it was made) and "packed_bytes" (what of it was written then; the rest is
 * a hole); and the object "sha256" with the sums of "vmlinuz", "initrd" and "disk.raw" (of its packed bytes, before
 * its first boot). Unknown members are to be passed over, another
 * format refused.
 *
 * A folder is there whole or not at all: what is being made or removed has a name that begins with a dot.
 */
#ifndef QUIVER_CLI_IMAGE_H
#define QUIVER_CLI_IMAGE_H

#include <jansson.h>
#include <stdbool.h>

/* What a name may be: letters, digits, dot, hyphen and underscore, the first a letter or digit, at most 64. */
#define QUIVER_IMAGE_NAME_MAX 64

struct quiver_image {
	char *name, *folder;
	char *disk, *kernel, *initrd;	/* files */
	json_t *json;			/* image.json, checked */
	const char *append;		/* of json */
	const char *user;		/* of json */
	int lock;			/* a file descriptor, or -1 */
};

bool quiver_image_name_valid(const char *name);

/* The folder of all images. The caller frees it. NULL without a home; the reason has been printed. */
char *quiver_images_folder(void);

/*
 * Reads an image; nothing is locked. A symbolic link is no image. On failure nothing is to be freed. Returns 0 or
 *   -EINVAL: not a name that an image can have
 *   -ENOENT: there is no such image
 *   -EBADMSG: its folder lacks a file, or image.json is not in the format
 *   or what open(2) says.
 */
int quiver_image_open(const char *name, struct quiver_image *image);

/* The same for one that may be damaged: json is NULL, and no file need be there. */
int quiver_image_find(const char *name, struct quiver_image *image);

/* Whether somebody has it, at this moment. */
bool quiver_image_in_use(const struct quiver_image *image);

/*
 * Makes it ours: nobody else boots or removes it until every process that inherited the descriptor has closed
 * it. It is therefore left open across execvp(): QEMU keeps the image when quiver is killed. -EBUSY: somebody
 * else has it. -ENOENT: it was removed since it was opened.
 */
int quiver_image_lock(struct quiver_image *image);

/* Gives up our part of the lock as well. */
void quiver_image_close(struct quiver_image *image);

/* Why an image cannot be had, for a user: "there is no image 'x'". The caller frees it. */
char *quiver_image_problem(const char *name, int error);

#endif
