/* SPDX-License-Identifier: BSD-3-Clause */
/* Of AppKit, what app/window.m uses. */
#ifndef QUIVER_DARWIN_APPKIT_H
#define QUIVER_DARWIN_APPKIT_H

#import <Foundation/Foundation.h>

typedef enum NSWindowStyleMask : NSUInteger {
	NSWindowStyleMaskTitled = 1 << 0,
	NSWindowStyleMaskClosable = 1 << 1
} NSWindowStyleMask;

typedef enum NSBackingStoreType : NSUInteger {
	NSBackingStoreBuffered = 2
} NSBackingStoreType;

typedef enum NSApplicationActivationPolicy : NSInteger {
	NSApplicationActivationPolicyRegular
} NSApplicationActivationPolicy;

typedef enum NSUserInterfaceLayoutOrientation : NSInteger {
	NSUserInterfaceLayoutOrientationHorizontal,
	NSUserInterfaceLayoutOrientationVertical
} NSUserInterfaceLayoutOrientation;

typedef enum NSLayoutAttribute : NSInteger {
	NSLayoutAttributeLeading = 5
} NSLayoutAttribute;

typedef struct NSEdgeInsets {
	CGFloat top, left, bottom, right;
} NSEdgeInsets;

static inline NSEdgeInsets NSEdgeInsetsMake(CGFloat top, CGFloat left, CGFloat bottom, CGFloat right)
{
	return (NSEdgeInsets){ top, left, bottom, right };
}

@class NSApplication, NSMenu;

@interface NSResponder : NSObject
@end

@interface NSMenuItem : NSObject
- (instancetype)initWithTitle:(NSString *)title action:(SEL)action keyEquivalent:(NSString *)key;
@property (strong) NSMenu *submenu;
@end

@interface NSMenu : NSObject
- (instancetype)initWithTitle:(NSString *)title;
- (void)addItem:(NSMenuItem *)item;
- (NSMenuItem *)addItemWithTitle:(NSString *)title action:(SEL)action keyEquivalent:(NSString *)key;
@end

@interface NSFont : NSObject
+ (NSFont *)systemFontOfSize:(CGFloat)size;
@end

@interface NSView : NSResponder
@end

@interface NSControl : NSView
@property (getter=isEnabled) BOOL enabled;
@property (copy) NSString *stringValue;
@property (strong) NSFont *font;
@end

@interface NSTextField : NSControl
+ (instancetype)wrappingLabelWithString:(NSString *)string;
@property CGFloat preferredMaxLayoutWidth;
@end

@interface NSButton : NSControl
+ (instancetype)buttonWithTitle:(NSString *)title target:(id)target action:(SEL)action;
@end

@interface NSStackView : NSView
+ (instancetype)stackViewWithViews:(NSArray<NSView *> *)views;
@property NSUserInterfaceLayoutOrientation orientation;
@property NSLayoutAttribute alignment;
@property NSEdgeInsets edgeInsets;
@property CGFloat spacing;
@end

@interface NSWindow : NSResponder
- (instancetype)initWithContentRect:(NSRect)rect
			  styleMask:(NSWindowStyleMask)style
			    backing:(NSBackingStoreType)backing
			      defer:(BOOL)flag;
@property (copy) NSString *title;
@property (strong) NSView *contentView;
@property (getter=isReleasedWhenClosed) BOOL releasedWhenClosed;
- (void)center;
- (void)makeKeyAndOrderFront:(id)sender;
@end

@protocol NSApplicationDelegate <NSObject>
@optional
- (void)applicationDidFinishLaunching:(NSNotification *)notification;
- (BOOL)applicationShouldTerminateAfterLastWindowClosed:(NSApplication *)sender;
@end

@interface NSApplication : NSResponder
@property (class, readonly, strong) NSApplication *sharedApplication;
@property (weak) id<NSApplicationDelegate> delegate;
@property (strong) NSMenu *mainMenu;
- (BOOL)setActivationPolicy:(NSApplicationActivationPolicy)policy;
- (void)activateIgnoringOtherApps:(BOOL)flag;
- (void)run;
- (void)terminate:(id)sender;
@end

OBJC_EXPORT NSApplication *NSApp;

@interface NSWorkspace : NSObject
@property (class, readonly, strong) NSWorkspace *sharedWorkspace;
- (BOOL)openURL:(NSURL *)url;
@end

#endif
