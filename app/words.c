// SPDX-License-Identifier: BSD-3-Clause
#include "words.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBERS 3

static void read_version(const char *text, unsigned int number[NUMBERS])
{
	size_t i;

	for (i = 0; i < NUMBERS; i++)
		number[i] = 0;
	for (i = 0; i < NUMBERS && isdigit((unsigned char)*text); i++) {
		char *end;
		unsigned long value = strtoul(text, &end, 10);

		number[i] = value < UINT_MAX ? (unsigned int)value : UINT_MAX;
		if (*end != '.')
			break;
		text = end + 1;
	}
}

int quiver_app_version_compare(const char *a, const char *b)
{
	unsigned int left[NUMBERS], right[NUMBERS];
	size_t i;

	read_version(a, left);
	read_version(b, right);
	for (i = 0; i < NUMBERS; i++) {
		if (left[i] != right[i])
			return left[i] < right[i] ? -1 : 1;
	}
	return 0;
}

unsigned int quiver_app_version_abi(const char *version)
{
	unsigned int number[NUMBERS];

	read_version(version, number);
	return number[0];
}

bool quiver_app_may_replace(const char *installed, const char *bundled, bool force)
{
	return force || quiver_app_version_compare(installed, bundled) <= 0;
}

static bool starts_with(const char *text, const char *start)
{
	return !strncmp(text, start, strlen(start));
}

const struct quiver_app_words *quiver_app_check_place(const char *path)
{
	static const struct quiver_app_words translocated = {
		"macOS runs a copy of this app from a hidden folder, because it was opened where "
		"it was downloaded.",
		"Move Quiver.app to the Applications folder with the Finder and open it there."
	};
	static const struct quiver_app_words image = {
		"This app runs from a disk image or another volume; macOS takes extensions only "
		"from apps in the Applications folder.",
		"Copy Quiver.app to " QUIVER_APP_FOLDER " and open it there."
	};
	static const struct quiver_app_words elsewhere = {
		"This app is not in the Applications folder; macOS takes extensions only from apps there.",
		"Move Quiver.app to " QUIVER_APP_FOLDER " and open it there. In developer mode "
		"(systemextensionsctl developer on) --anywhere leaves this check out."
	};

	if (starts_with(path, QUIVER_APP_FOLDER "/"))
		return NULL;
	if (strstr(path, "/AppTranslocation/"))
		return &translocated;
	if (starts_with(path, "/Volumes/"))
		return &image;
	return &elsewhere;
}

/* How much one counts among several. */
static int rank(const struct quiver_app_extension *extension)
{
	if (extension->uninstalling)
		return 0;
	if (extension->enabled)
		return 3;
	return extension->awaiting_approval ? 2 : 1;
}

static bool outranks(const struct quiver_app_extension *a, const struct quiver_app_extension *b)
{
	if (rank(a) != rank(b))
		return rank(a) > rank(b);
	return quiver_app_version_compare(a->version, b->version) > 0;
}

static enum quiver_app_state judge_enabled(const char *installed, const char *bundled)
{
	int order = quiver_app_version_compare(installed, bundled);

	if (quiver_app_version_abi(installed) != quiver_app_version_abi(bundled))
		return QUIVER_APP_STATE_OTHER_ABI;
	if (!order)
		return QUIVER_APP_STATE_ACTIVE;
	return order < 0 ? QUIVER_APP_STATE_OLDER : QUIVER_APP_STATE_NEWER;
}

enum quiver_app_state quiver_app_judge(const struct quiver_app_extension *extensions,
				       size_t count, const char *bundled, size_t *chosen)
{
	size_t best = count, i;

	for (i = 0; i < count; i++) {
		if (best == count || outranks(&extensions[i], &extensions[best]))
			best = i;
	}
	*chosen = best;
	if (best == count)
		return QUIVER_APP_STATE_ABSENT;
	switch (rank(&extensions[best])) {
	case 3:
		return judge_enabled(extensions[best].version, bundled);
	case 2:
		return QUIVER_APP_STATE_APPROVAL;
	case 1:
		return QUIVER_APP_STATE_DISABLED;
	default:
		return QUIVER_APP_STATE_LEAVING;
	}
}

const char *quiver_app_state_name(enum quiver_app_state state)
{
	switch (state) {
	case QUIVER_APP_STATE_APPROVAL:
		return "waits-for-approval";
	case QUIVER_APP_STATE_DISABLED:
		return "disabled";
	case QUIVER_APP_STATE_ACTIVE:
		return "active";
	case QUIVER_APP_STATE_OLDER:
		return "active-older";
	case QUIVER_APP_STATE_NEWER:
		return "active-newer";
	case QUIVER_APP_STATE_OTHER_ABI:
		return "active-incompatible";
	case QUIVER_APP_STATE_LEAVING:
		return "waits-for-restart";
	default:
		return "absent";
	}
}

enum quiver_app_exit quiver_app_state_exit(enum quiver_app_state state)
{
	switch (state) {
	case QUIVER_APP_STATE_ACTIVE:
		return QUIVER_APP_DONE;
	case QUIVER_APP_STATE_APPROVAL:
	case QUIVER_APP_STATE_DISABLED:
		return QUIVER_APP_APPROVAL;
	case QUIVER_APP_STATE_LEAVING:
		return QUIVER_APP_RESTART;
	case QUIVER_APP_STATE_ABSENT:
		return QUIVER_APP_ABSENT;
	default:
		return QUIVER_APP_OTHER;
	}
}

struct quiver_app_words quiver_app_state_words(enum quiver_app_state state, unsigned int macos)
{
	switch (state) {
	case QUIVER_APP_STATE_APPROVAL:
		return quiver_app_approval_words(macos);
	case QUIVER_APP_STATE_DISABLED:
		return (struct quiver_app_words){
			"The extension is installed and switched off.",
			macos >= QUIVER_APP_EXTENSIONS_PAGE ?
				"Switch it on in " QUIVER_APP_PAGE "." :
				"Choose Activate, and allow it in " QUIVER_APP_OLD_PAGE "." };
	case QUIVER_APP_STATE_ACTIVE:
		return (struct quiver_app_words){
			"The extension is active.",
			"Plug the enclosure in; 'quiver list' shows the device." };
	case QUIVER_APP_STATE_OLDER:
		return (struct quiver_app_words){
			"An older version of the extension is active.",
			"End all VMs and choose Activate: this app's version replaces it." };
	case QUIVER_APP_STATE_NEWER:
		return (struct quiver_app_words){
			"A newer version of the extension is active; it works with this app.",
			"Install the app that it came with; to go back to this one: --activate --force." };
	case QUIVER_APP_STATE_OTHER_ABI:
		return (struct quiver_app_words){
			"The active extension does not understand this version of Quiver.",
			"End all VMs and choose Activate. If the active one is newer, install the app "
			"that it came with, or go back with --activate --force." };
	case QUIVER_APP_STATE_LEAVING:
		return (struct quiver_app_words){
			"The extension is being removed, and is gone after a restart.",
			"Restart the Mac before you activate it again." };
	default:
		return (struct quiver_app_words){
			"The extension is not installed.",
			"Choose Activate." };
	}
}

/* Versions are what somebody wrote into a file. */
static void copy_version(char *to, size_t size, const char *from)
{
	size_t length = 0;

	for (; *from && length + 1 < size; from++) {
		if (isdigit((unsigned char)*from) || *from == '.')
			to[length++] = *from;
	}
	to[length] = '\0';
}

int quiver_app_status_json(char *text, size_t size, enum quiver_app_state state,
			   const char *installed, const char *bundled)
{
	char there[32], ours[32], value[sizeof(there) + 2] = "null";
	int length;

	copy_version(ours, sizeof(ours), bundled);
	if (installed) {
		copy_version(there, sizeof(there), installed);
		snprintf(value, sizeof(value), "\"%s\"", there);
	}
	length = snprintf(text, size, "{\"state\": \"%s\", \"installed\": %s, \"bundled\": \"%s\", "
			  "\"exit\": %d}\n", quiver_app_state_name(state), value, ours,
			  quiver_app_state_exit(state));
	return length < 0 || (size_t)length >= size ? -ENOSPC : length;
}
