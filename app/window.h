/* SPDX-License-Identifier: BSD-3-Clause */
/* The app's only window: what is the matter, and buttons for what can be done. */
#import <AppKit/AppKit.h>

@interface QuiverWindow : NSObject <NSApplicationDelegate>

/* Runs the app until it is closed. */
+ (void)run;

@end
