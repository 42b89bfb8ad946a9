// SPDX-License-Identifier: BSD-3-Clause
/* words.h: the command line, and what macOS answers to a request. */
#include "words.h"

#include <string.h>

const char *quiver_app_help(void)
{
	return "Usage: Quiver [--activate | --deactivate | --status] [OPTION...]\n"
	       "Installs, updates and removes Quiver's driver extension. Without a command: a window.\n"
	       "\n"
	       "  --activate      install the extension, or update it\n"
	       "  --deactivate    remove it; macOS asks for an administrator's password\n"
	       "  --status        say what is installed, and what it waits for\n"
	       "  --json          --status as one line of JSON\n"
	       "  --wait          with --activate: do not end before the user has allowed it\n"
	       "  --force         with --activate: replace a newer version, too\n"
	       "  --anywhere      macOS is in developer mode: the app need not be in " QUIVER_APP_FOLDER "\n"
	       "  --help          this\n"
	       "\n"
	       "Exit status: 0 done, or active; 1 refused; 2 usage; 3 waits for the user to allow it;\n"
	       "4 waits for a restart; 5 not installed; 6 active, in another version than this app's.\n";
}

/* Launch Services and Foundation have arguments of their own; the latter's have a value. */
static int system_argument(const char *argument)
{
	if (!strncmp(argument, "-psn_", 5))
		return 1;
	return !strncmp(argument, "-NS", 3) || !strncmp(argument, "-Apple", 6) ? 2 : 0;
}

static bool parse_command(const char *argument, enum quiver_app_command *command)
{
	static const struct {
		const char *name;
		enum quiver_app_command command;
	} commands[] = {
		{ "--activate", QUIVER_APP_ACTIVATE },
		{ "--deactivate", QUIVER_APP_DEACTIVATE },
		{ "--status", QUIVER_APP_STATUS },
		{ "--help", QUIVER_APP_HELP },
		{ "-h", QUIVER_APP_HELP },
	};
	size_t i;

	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(argument, commands[i].name))
			continue;
		/* Two commands are one too many. */
		if (*command != QUIVER_APP_WINDOW && *command != commands[i].command)
			*command = QUIVER_APP_UNKNOWN;
		else
			*command = commands[i].command;
		return true;
	}
	return false;
}

static bool parse_option(const char *argument, struct quiver_app_options *options)
{
	if (!strcmp(argument, "--json"))
		options->json = true;
	else if (!strcmp(argument, "--force"))
		options->force = true;
	else if (!strcmp(argument, "--anywhere"))
		options->anywhere = true;
	else if (!strcmp(argument, "--wait"))
		options->wait = true;
	else
		return false;
	return true;
}

void quiver_app_parse(int argc, char *const argv[], struct quiver_app_options *options)
{
	int i;

	memset(options, 0, sizeof(*options));
	for (i = 1; i < argc && options->command != QUIVER_APP_UNKNOWN; i++) {
		int skip = system_argument(argv[i]);

		if (skip)
			i += skip - 1;
		else if (!parse_command(argv[i], &options->command) &&
			 !parse_option(argv[i], options))
			options->command = QUIVER_APP_UNKNOWN;
	}
	if (options->json && options->command != QUIVER_APP_STATUS)
		options->command = QUIVER_APP_UNKNOWN;
	if ((options->force || options->wait) && options->command != QUIVER_APP_ACTIVATE)
		options->command = QUIVER_APP_UNKNOWN;
}

const char *quiver_app_settings_url(unsigned int macos)
{
	return macos >= QUIVER_APP_EXTENSIONS_PAGE ?
		"x-apple.systempreferences:com.apple.LoginItems-Settings.extension" :
		"x-apple.systempreferences:com.apple.settings.PrivacySecurity.extension";
}

struct quiver_app_words quiver_app_approval_words(unsigned int macos)
{
	if (macos >= QUIVER_APP_EXTENSIONS_PAGE)
		return (struct quiver_app_words){
			"macOS waits for you to allow the extension.",
			"Open " QUIVER_APP_PAGE " and switch Quiver on. macOS asks for an administrator's "
			"password." };
	return (struct quiver_app_words){
		"macOS waits for you to allow the extension.",
		"Open " QUIVER_APP_OLD_PAGE ", scroll down to Security and choose Allow. "
		"macOS asks for an administrator's password." };
}

struct quiver_app_words quiver_app_result_words(enum quiver_app_command command, long result)
{
	bool removed = command == QUIVER_APP_DEACTIVATE;

	if (result == 0 && removed)
		return (struct quiver_app_words){ "The extension is removed.", "" };
	if (result == 0)
		return (struct quiver_app_words){
			"The extension is active.",
			"Plug the enclosure in; 'quiver list' shows the device." };
	if (result == 1 && removed)
		return (struct quiver_app_words){
			"The extension is removed when the Mac is restarted.",
			"Until then it may still own the device. Restart the Mac." };
	if (result == 1)
		return (struct quiver_app_words){
			"The extension becomes active when the Mac is restarted.",
			"End all VMs and restart the Mac." };
	return (struct quiver_app_words){
		"macOS has answered something that this app does not know.",
		"Ask with --status what is installed; if it is not what you want, restart the Mac." };
}

enum quiver_app_exit quiver_app_result_exit(long result)
{
	if (result == 0)
		return QUIVER_APP_DONE;
	return result == 1 ? QUIVER_APP_RESTART : QUIVER_APP_FAILED;
}

/* By OSSystemExtensionErrorCode; 0 is none of them. */
static const struct quiver_app_words errors[] = {
	[1] = { "macOS failed to handle the extension, and does not say why.",
		"Restart the Mac and try again. macOS' own account of it: "
		"log show --last 10m --predicate 'process == \"sysextd\"'" },
	[2] = { "The app or the extension lacks an entitlement that macOS wants to see.",
		"With SIP on, both must be signed with a team's profiles: build with QUIVER_TEAM set. A "
		"build without an account works only with SIP off. 'codesign -d --entitlements - "
		"Quiver.app' shows what is there." },
	[3] = { "macOS takes extensions only from apps in the Applications folder.",
		"Move Quiver.app to " QUIVER_APP_FOLDER " and open it there." },
	[4] = { "macOS does not find the extension.",
		"To remove: it is not installed. To install: this app is incomplete; build it again "
		"with 'make mac', and copy it whole (ditto, or the Finder)." },
	[5] = { "The extension has no bundle identifier.",
		"The app was not built as it should be: build it again with 'make mac'." },
	[6] = { "Another app has an extension of the same identifier.",
		"Remove the other copy of Quiver.app, or build yours with another QUIVER_BUNDLE_ID." },
	[7] = { "macOS does not recognize what kind of extension this is.",
		"The app was not built as it should be, or this macOS is older than 14: build it "
		"again with 'make mac'." },
	[8] = { "The signature of the extension is not valid.",
		"The app was changed after it was signed, or was signed without an account and SIP is on. "
		"'codesign --verify --deep --strict --verbose=2 Quiver.app' says what is wrong." },
	[9] = { "macOS has looked at the extension and does not accept it.",
		"Mostly a profile that does not fit: it must name this Mac, and the extension's "
		"entitlements word for word. A build for development on another Mac must be notarized, "
		"or SIP be off there." },
	[10] = { "A policy of this Mac forbids the extension.",
		 "The Mac is managed, or runs in a reduced mode: its administrator must allow "
		 "Quiver's team and extension." },
	[11] = { "The request was cancelled: a newer version is installed.",
		 "Install the app that the newer version came with, or replace it with this one: "
		 "--activate --force." },
	[12] = { "Another request for the same extension took the place of this one.",
		 "Wait for the other one; only one Quiver at a time." },
	[13] = { "macOS asked for an administrator's password, and did not get it.",
		 "Try again and give it. Over ssh macOS cannot ask: use the Mac's own screen." },
};

struct quiver_app_words quiver_app_error_words(enum quiver_app_command command, long code)
{
	if (command == QUIVER_APP_DEACTIVATE && code == 4)
		return (struct quiver_app_words){ "The extension is not installed.", "" };
	if (code >= 1 && code < (long)(sizeof(errors) / sizeof(errors[0])))
		return errors[code];
	return (struct quiver_app_words){
		"macOS refused with an error that this app does not know.",
		"macOS' own account of it: log show --last 10m --predicate 'process == \"sysextd\"'" };
}
