/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests to macOS about the extension in this app. All calls and answers on the main thread. */
#import <Foundation/Foundation.h>
#import <SystemExtensions/SystemExtensions.h>

#include "words.h"

/* What became of a request so far. */
@interface QuiverAnswer : NSObject
@property (nonatomic) struct quiver_app_words words;
@property (nonatomic, copy) NSString *detail;	/* macOS' own words and number, or nil */
@property (nonatomic) int status;		/* enum quiver_app_exit; with final only */
@property (nonatomic) BOOL final;		/* no more is to come */

/* Of --status only */
@property (nonatomic) enum quiver_app_state state;
@property (nonatomic, copy) NSString *installed;	/* its version, or nil */
@end

typedef void (^QuiverHandler)(QuiverAnswer *answer);

@interface QuiverManager : NSObject <OSSystemExtensionRequestDelegate>

/* Version of the extension in this app; nil: it is not there. */
@property (nonatomic, readonly, copy) NSString *bundled;
@property (nonatomic, readonly) unsigned int macos;

/*
 * One request at a time. handler is called once or more, the last time with
 * final, unless macOS never answers.
 */
- (void)perform:(const struct quiver_app_options *)options handler:(QuiverHandler)handler;

@end
