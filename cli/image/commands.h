/* SPDX-License-Identifier: BSD-3-Clause */
/* The commands of `quiver image`. */
#ifndef QUIVER_CLI_IMAGE_COMMANDS_H
#define QUIVER_CLI_IMAGE_COMMANDS_H

int quiver_image_build_main(int argc, char **argv);
int quiver_image_list_main(int argc, char **argv);
int quiver_image_rm_main(int argc, char **argv);

#endif
