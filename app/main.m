// SPDX-License-Identifier: BSD-3-Clause
/* A window, or one command for scripts: see words.h for what it says and ends with. */
#import "manager.h"
#import "window.h"

#include <dispatch/dispatch.h>
#include <stdio.h>
#include <stdlib.h>

static void print_words(QuiverAnswer *answer)
{
	FILE *out = answer.status == QUIVER_APP_FAILED ? stderr : stdout;
	struct quiver_app_words words = answer.words;

	fprintf(out, "%s\n", words.what);
	if (words.cure[0])
		fprintf(out, "%s\n", words.cure);
	if (answer.detail)
		fprintf(out, "(%s)\n", [answer.detail UTF8String]);
	fflush(out);
}

static void print_json(QuiverManager *manager, QuiverAnswer *answer)
{
	char text[256];

	if (quiver_app_status_json(text, sizeof(text), answer.state, [answer.installed UTF8String],
				   [manager.bundled UTF8String]) > 0)
		fputs(text, stdout);
	fflush(stdout);
}

/* Callbacks end it. */
__attribute__((noreturn)) static void run_command(const struct quiver_app_options *options)
{
	QuiverManager *manager = [[QuiverManager alloc] init];
	bool json = options->json, wait = options->wait;

	[manager perform:options
		 handler:^(QuiverAnswer *answer) {
			if (json && answer.status != QUIVER_APP_FAILED)
				print_json(manager, answer);
			else
				print_words(answer);
			if (answer.final || !wait)
				exit(answer.status);
		 }];
	dispatch_main();
}

int main(int argc, char **argv)
{
	struct quiver_app_options options;

	quiver_app_parse(argc, argv, &options);
	@autoreleasepool {
		switch (options.command) {
		case QUIVER_APP_WINDOW:
			[QuiverWindow run];
			break;
		case QUIVER_APP_HELP:
			fputs(quiver_app_help(), stdout);
			break;
		case QUIVER_APP_UNKNOWN:
			fputs(quiver_app_help(), stderr);
			return QUIVER_APP_USAGE;
		default:
			run_command(&options);
		}
	}
	return QUIVER_APP_DONE;
}
