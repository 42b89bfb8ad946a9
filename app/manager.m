// SPDX-License-Identifier: BSD-3-Clause
#import "manager.h"

#include <dispatch/dispatch.h>
#include <stdlib.h>
#include <string.h>

#define FOLDER "Contents/Library/SystemExtensions"

@implementation QuiverAnswer
@end

@interface QuiverManager ()
@property (nonatomic, copy) NSString *identifier;
@property (nonatomic, copy) NSString *bundled;
@property (nonatomic) struct quiver_app_options options;
@property (nonatomic, copy) QuiverHandler handler;
@property (nonatomic, strong) OSSystemExtensionRequest *request;
@end

@implementation QuiverManager

/* project.yml names the extension by the app. */
- (instancetype)init
{
	self = [super init];
	if (self) {
		NSBundle *app = [NSBundle mainBundle];
		NSProcessInfo *process = [NSProcessInfo processInfo];
		NSString *path;

		_identifier = [[app bundleIdentifier] stringByAppendingString:@".driver"];
		path = [NSString stringWithFormat:@"%@/" FOLDER "/%@.dext/Info.plist",
						  [app bundlePath], _identifier];
		_bundled = [[NSDictionary dictionaryWithContentsOfFile:path]
			objectForKey:@"CFBundleVersion"];
		_macos = (unsigned int)process.operatingSystemVersion.majorVersion;
	}
	return self;
}

/* nil: nothing keeps the request from being made. */
- (QuiverAnswer *)obstacle
{
	const struct quiver_app_words *place;
	QuiverAnswer *answer = [[QuiverAnswer alloc] init];
	NSURL *url = [[[NSBundle mainBundle] bundleURL] URLByResolvingSymlinksInPath];

	answer.final = YES;
	answer.status = QUIVER_APP_FAILED;
	if (!self.bundled) {
		answer.words = quiver_app_error_words(QUIVER_APP_ACTIVATE, 4);
		return answer;
	}
	if (self.options.command != QUIVER_APP_ACTIVATE || self.options.anywhere)
		return nil;
	place = quiver_app_check_place([[url path] UTF8String]);
	if (!place)
		return nil;
	answer.words = *place;
	return answer;
}

- (OSSystemExtensionRequest *)makeRequest
{
	dispatch_queue_t queue = dispatch_get_main_queue();
	NSString *name = self.identifier;

	switch (self.options.command) {
	case QUIVER_APP_ACTIVATE:
		return [OSSystemExtensionRequest activationRequestForExtension:name queue:queue];
	case QUIVER_APP_DEACTIVATE:
		return [OSSystemExtensionRequest deactivationRequestForExtension:name queue:queue];
	default:
		return [OSSystemExtensionRequest propertiesRequestForExtension:name queue:queue];
	}
}

- (void)perform:(const struct quiver_app_options *)options handler:(QuiverHandler)handler
{
	QuiverAnswer *obstacle;

	self.options = *options;
	self.handler = handler;
	obstacle = [self obstacle];
	if (obstacle) {
		handler(obstacle);
		return;
	}
	self.request = [self makeRequest];
	self.request.delegate = self;
	[[OSSystemExtensionManager sharedManager] submitRequest:self.request];
}

/* Answers to a request that another took the place of are nobody's. */
- (void)answer:(QuiverAnswer *)answer to:(OSSystemExtensionRequest *)request
{
	if (request != self.request)
		return;
	if (answer.final)
		self.request = nil;
	self.handler(answer);
}

- (OSSystemExtensionReplacementAction)request:(OSSystemExtensionRequest *)request
		  actionForReplacingExtension:(OSSystemExtensionProperties *)existing
				withExtension:(OSSystemExtensionProperties *)ext
{
	bool replace = quiver_app_may_replace([existing.bundleVersion UTF8String],
					      [ext.bundleVersion UTF8String], self.options.force);

	return replace ? OSSystemExtensionReplacementActionReplace :
			 OSSystemExtensionReplacementActionCancel;
}

- (void)requestNeedsUserApproval:(OSSystemExtensionRequest *)request
{
	QuiverAnswer *answer = [[QuiverAnswer alloc] init];

	answer.words = quiver_app_approval_words(self.macos);
	answer.status = QUIVER_APP_APPROVAL;
	[self answer:answer to:request];
}

/*
 * A question ends with what was found. Should macOS end it like other requests,
 * and have found nothing, that is the answer; in which order it tells is nowhere said.
 */
- (void)expectPropertiesOf:(OSSystemExtensionRequest *)request
{
	dispatch_after(dispatch_time(DISPATCH_TIME_NOW, NSEC_PER_SEC), dispatch_get_main_queue(), ^{
		[self request:request foundProperties:@[]];
	});
}

- (void)request:(OSSystemExtensionRequest *)request
	didFinishWithResult:(OSSystemExtensionRequestResult)result
{
	QuiverAnswer *answer = [[QuiverAnswer alloc] init];

	if (self.options.command == QUIVER_APP_STATUS) {
		[self expectPropertiesOf:request];
		return;
	}
	answer.words = quiver_app_result_words(self.options.command, result);
	answer.status = quiver_app_result_exit(result);
	answer.final = YES;
	[self answer:answer to:request];
}

- (void)request:(OSSystemExtensionRequest *)request didFailWithError:(NSError *)error
{
	QuiverAnswer *answer = [[QuiverAnswer alloc] init];
	/* A code means what it means in its own domain only. */
	bool known = [[error domain] isEqualToString:OSSystemExtensionErrorDomain];
	long code = known ? [error code] : 0;

	if (code == 4 && self.options.command == QUIVER_APP_STATUS) {
		[self request:request foundProperties:@[]];
		return;
	}
	answer.words = quiver_app_error_words(self.options.command, code);
	answer.detail = [NSString stringWithFormat:@"%@ %ld: %@", [error domain], (long)[error code],
						   [error localizedDescription]];
	answer.status = QUIVER_APP_FAILED;
	if (code == 4 && self.options.command == QUIVER_APP_DEACTIVATE)
		answer.status = QUIVER_APP_DONE;
	answer.final = YES;
	[self answer:answer to:request];
}

static void take_properties(struct quiver_app_extension *to, OSSystemExtensionProperties *from)
{
	strlcpy(to->version, [from.bundleVersion UTF8String], sizeof(to->version));
	to->enabled = from.isEnabled;
	to->awaiting_approval = from.isAwaitingUserApproval;
	to->uninstalling = from.isUninstalling;
}

- (void)request:(OSSystemExtensionRequest *)request
	foundProperties:(NSArray<OSSystemExtensionProperties *> *)properties
{
	QuiverAnswer *answer = [[QuiverAnswer alloc] init];
	size_t count = [properties count], chosen, i = 0;
	/* One more, for calloc() may answer NULL to none. */
	struct quiver_app_extension *list = calloc(count + 1, sizeof(*list));

	if (!list)
		abort();
	for (OSSystemExtensionProperties *one in properties)
		take_properties(&list[i++], one);
	answer.state = quiver_app_judge(list, count, [self.bundled UTF8String], &chosen);
	if (chosen < count)
		answer.installed = [NSString stringWithUTF8String:list[chosen].version];
	free(list);
	answer.words = quiver_app_state_words(answer.state, self.macos);
	answer.status = quiver_app_state_exit(answer.state);
	answer.final = YES;
	[self answer:answer to:request];
}

@end
