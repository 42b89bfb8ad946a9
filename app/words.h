/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the app decides, and what it says: plain C on no operating system, so that
 * all of it runs in the tests. The Objective-C around it carries out and shows.
 * Texts are constants and never NULL.
 */
#ifndef QUIVER_APP_WORDS_H
#define QUIVER_APP_WORDS_H

#include <stdbool.h>
#include <stddef.h>

/* What Quiver.app's program ends with; documented in docs/mac.rst. */
enum quiver_app_exit {
	QUIVER_APP_DONE		= 0,	/* as asked; --status: active, and of this version */
	QUIVER_APP_FAILED	= 1,	/* macOS refused, and says why */
	QUIVER_APP_USAGE	= 2,
	QUIVER_APP_APPROVAL	= 3,	/* waits for the user to allow it */
	QUIVER_APP_RESTART	= 4,	/* waits for the Mac to be restarted */
	QUIVER_APP_ABSENT	= 5,	/* is not installed */
	QUIVER_APP_OTHER	= 6	/* active, in another version than the app's */
};

/* What is said, and what the user can do about it ("": nothing). */
struct quiver_app_words {
	const char *what;
	const char *cure;
};

/* --- the command line --- */

enum quiver_app_command {
	QUIVER_APP_WINDOW = 0,		/* no argument that is ours */
	QUIVER_APP_ACTIVATE,
	QUIVER_APP_DEACTIVATE,
	QUIVER_APP_STATUS,
	QUIVER_APP_HELP,
	QUIVER_APP_UNKNOWN		/* an argument is wrong: QUIVER_APP_USAGE */
};

struct quiver_app_options {
	enum quiver_app_command command;
	bool json;
	bool force;			/* replace a newer one, too */
	bool anywhere;			/* developer mode: do not ask where the app lies */
	bool wait;			/* do not end while the user is to allow it */
};

/* Arguments that macOS itself passes to apps ("-psn_0_1", "-NSName value") are left out. */
void quiver_app_parse(int argc, char *const argv[], struct quiver_app_options *options);

/* What --help prints. */
const char *quiver_app_help(void);

/* --- versions --- */

/*
 * Compares up to three numbers with dots between them; what is left out is 0,
 * and so is what is no number. Negative: a is older.
 */
int quiver_app_version_compare(const char *a, const char *b);

/* The version of the wire, QUIVER_DEXT_ABI_VERSION: the first number. */
unsigned int quiver_app_version_abi(const char *version);

/*
 * Whether macOS is to put the app's extension in place of the installed one. It
 * asks if the versions differ; in developer mode always, and then the same
 * version is one that was built anew.
 */
bool quiver_app_may_replace(const char *installed, const char *bundled, bool force);

/* --- where the app lies --- */

#define QUIVER_APP_FOLDER	"/Applications"

/*
 * NULL where macOS takes extensions from [H17], QUIVER_APP_FOLDER; or why
 * it would not. path: of the app's bundle, absolute, links resolved.
 */
const struct quiver_app_words *quiver_app_check_place(const char *path);

/* --- what is installed --- */

struct quiver_app_extension {
	char version[32];		/* CFBundleVersion */
	bool enabled;
	bool awaiting_approval;
	bool uninstalling;
};

enum quiver_app_state {
	QUIVER_APP_STATE_ABSENT,
	QUIVER_APP_STATE_APPROVAL,	/* installed, waits for the user */
	QUIVER_APP_STATE_DISABLED,	/* the user has switched it off */
	QUIVER_APP_STATE_ACTIVE,
	QUIVER_APP_STATE_OLDER,		/* active, older than the app's; the same wire */
	QUIVER_APP_STATE_NEWER,		/* the same, newer */
	QUIVER_APP_STATE_OTHER_ABI,	/* active, and speaks another version of the wire */
	QUIVER_APP_STATE_LEAVING	/* goes when the Mac is restarted */
};

/*
 * Of all that macOS has by our identifier. One that is enabled outranks one that
 * waits, that one that is switched off, and that one that leaves; of several of
 * a kind the newest counts. chosen: its index, or count if there is none.
 */
enum quiver_app_state quiver_app_judge(const struct quiver_app_extension *extensions,
				       size_t count, const char *bundled, size_t *chosen);

/* A word for programs, as "active": what --status --json has. */
const char *quiver_app_state_name(enum quiver_app_state state);
struct quiver_app_words quiver_app_state_words(enum quiver_app_state state, unsigned int macos);
enum quiver_app_exit quiver_app_state_exit(enum quiver_app_state state);

/*
 * One line of JSON, newline included; what is no number or dot in a version is
 * left out. installed: NULL if there is none. Returns its length without the
 * NUL, or -ENOSPC.
 */
int quiver_app_status_json(char *text, size_t size, enum quiver_app_state state,
			   const char *installed, const char *bundled);

/* --- what happens to a request --- */

/* The first macOS whose System Settings have a page for extensions; the pages from then on, and before. */
#define QUIVER_APP_EXTENSIONS_PAGE	15
#define QUIVER_APP_PAGE			"System Settings > General > Login Items & Extensions > Driver Extensions"
#define QUIVER_APP_OLD_PAGE		"System Settings > Privacy & Security"

/* What opens that page. */
const char *quiver_app_settings_url(unsigned int macos);

struct quiver_app_words quiver_app_approval_words(unsigned int macos);

/* Of OSSystemExtensionRequestResult: 0 done, 1 after a restart; others are told apart from both. */
struct quiver_app_words quiver_app_result_words(enum quiver_app_command command, long result);
enum quiver_app_exit quiver_app_result_exit(long result);

/*
 * Of OSSystemExtensionErrorCode, in OSSystemExtensionErrorDomain; also for codes
 * that a later macOS may add.
 */
struct quiver_app_words quiver_app_error_words(enum quiver_app_command command, long code);

#endif
