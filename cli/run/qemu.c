// SPDX-License-Identifier: BSD-3-Clause
#include "run/qemu.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "platform.h"

#define NAME "qemu-system-aarch64"

/* NULL unless it is there. */
static char *if_there(char *path, int mode)
{
	if (!access(path, mode))
		return path;
	free(path);
	return NULL;
}

char *quiver_qemu_program(const char *chosen)
{
	static const char *const places[] = { NAME, "../libexec/quiver/" NAME };
	char *path;

	if (!chosen)
		chosen = getenv("QUIVER_QEMU");
	if (chosen)
		return quiver_text("%s", chosen);
	path = quiver_platform_near(places, sizeof(places) / sizeof(places[0]));
	return path ? path : quiver_text("%s", NAME);
}

/* As QEMU installs it, beside its bin/ or libexec/quiver/. */
static char *beside(const char *program)
{
	static const char *const places[] = {
		"../share/qemu", "../../share/qemu", "../share/quiver/qemu", "../../share/quiver/qemu",
	};
	const char *slash = strrchr(program, '/');
	char *path = NULL;

	for (size_t i = 0; slash && !path && i < sizeof(places) / sizeof(places[0]); i++)
		path = if_there(quiver_text("%.*s/%s/edk2-aarch64-code.fd", (int)(slash - program),
					    program, places[i]), R_OK);
	return path;
}

char *quiver_qemu_firmware(const char *program)
{
	static const char *const places[] = {
		/* Homebrew's QEMU, built from source, Debian's package qemu-efi-aarch64 */
		"/opt/homebrew/share/qemu/edk2-aarch64-code.fd",
		"/usr/local/share/qemu/edk2-aarch64-code.fd",
		"/usr/share/qemu-efi-aarch64/QEMU_EFI.fd",
		"/usr/share/AAVMF/AAVMF_CODE.fd",
	};
	char *path = beside(program);

	for (size_t i = 0; !path && i < sizeof(places) / sizeof(places[0]); i++)
		path = if_there(quiver_text("%s", places[i]), R_OK);
	return path;
}
