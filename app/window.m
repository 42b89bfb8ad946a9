// SPDX-License-Identifier: BSD-3-Clause
#import "window.h"
#import "manager.h"

#define WIDTH 460

@interface QuiverWindow ()
@property (nonatomic, strong) QuiverManager *manager;
@property (nonatomic, strong) NSWindow *window;
@property (nonatomic, strong) NSTextField *what;
@property (nonatomic, strong) NSTextField *cure;
@property (nonatomic, strong) NSButton *activateButton;
@property (nonatomic, strong) NSButton *removeButton;
@end

@implementation QuiverWindow

static NSTextField *label(CGFloat size)
{
	NSTextField *label = [NSTextField wrappingLabelWithString:@""];

	label.font = [NSFont systemFontOfSize:size];
	label.preferredMaxLayoutWidth = WIDTH;
	return label;
}

- (NSButton *)button:(NSString *)title action:(SEL)action
{
	return [NSButton buttonWithTitle:title target:self action:action];
}

- (NSView *)content
{
	NSStackView *buttons, *column;

	self.what = label(15);
	self.cure = label(13);
	self.activateButton = [self button:@"Activate" action:@selector(activate:)];
	self.removeButton = [self button:@"Remove" action:@selector(deactivate:)];
	buttons = [NSStackView stackViewWithViews:@[
		self.activateButton, self.removeButton,
		[self button:@"System Settings..." action:@selector(settings:)],
		[self button:@"Ask again" action:@selector(refresh:)]
	]];
	column = [NSStackView stackViewWithViews:@[ self.what, self.cure, buttons ]];
	column.orientation = NSUserInterfaceLayoutOrientationVertical;
	column.alignment = NSLayoutAttributeLeading;
	column.spacing = 16;
	column.edgeInsets = NSEdgeInsetsMake(20, 20, 20, 20);
	return column;
}

/* Command-Q; without a menu there is none. */
static NSMenu *main_menu(void)
{
	NSMenu *bar = [[NSMenu alloc] initWithTitle:@""];
	NSMenu *app = [[NSMenu alloc] initWithTitle:@"Quiver"];
	NSMenuItem *item = [[NSMenuItem alloc] initWithTitle:@"Quiver" action:NULL
					       keyEquivalent:@""];

	[app addItemWithTitle:@"Quit Quiver" action:@selector(terminate:) keyEquivalent:@"q"];
	item.submenu = app;
	[bar addItem:item];
	return bar;
}

- (void)applicationDidFinishLaunching:(NSNotification *)notification
{
	self.manager = [[QuiverManager alloc] init];
	self.window = [[NSWindow alloc]
		initWithContentRect:NSMakeRect(0, 0, WIDTH + 40, 200)
			  styleMask:NSWindowStyleMaskTitled | NSWindowStyleMaskClosable
			    backing:NSBackingStoreBuffered
			      defer:NO];
	self.window.releasedWhenClosed = NO;
	self.window.title = @"Quiver";
	self.window.contentView = [self content];
	[self.window center];
	[self.window makeKeyAndOrderFront:nil];
	[NSApp activateIgnoringOtherApps:YES];
	[self refresh:nil];
}

- (BOOL)applicationShouldTerminateAfterLastWindowClosed:(NSApplication *)sender
{
	return YES;
}

- (void)show:(QuiverAnswer *)answer
{
	struct quiver_app_words words = answer.words;

	self.what.stringValue = [NSString stringWithUTF8String:words.what];
	self.cure.stringValue = answer.detail ?
		[NSString stringWithFormat:@"%s\n\n%@", words.cure, answer.detail] :
		[NSString stringWithUTF8String:words.cure];
	self.activateButton.enabled = answer.final;
	self.removeButton.enabled = answer.final;
}

- (void)perform:(enum quiver_app_command)command
{
	struct quiver_app_options options = { .command = command };

	self.activateButton.enabled = NO;
	self.removeButton.enabled = NO;
	[self.manager perform:&options
		      handler:^(QuiverAnswer *answer) {
			[self show:answer];
		      }];
}

- (void)activate:(id)sender
{
	[self perform:QUIVER_APP_ACTIVATE];
}

- (void)deactivate:(id)sender
{
	[self perform:QUIVER_APP_DEACTIVATE];
}

- (void)refresh:(id)sender
{
	[self perform:QUIVER_APP_STATUS];
}

- (void)settings:(id)sender
{
	const char *text = quiver_app_settings_url(self.manager.macos);
	NSURL *url = [NSURL URLWithString:[NSString stringWithUTF8String:text]];

	[[NSWorkspace sharedWorkspace] openURL:url];
}

+ (void)run
{
	static QuiverWindow *delegate;	/* the application does not keep it */
	NSApplication *app = [NSApplication sharedApplication];

	delegate = [[QuiverWindow alloc] init];
	app.delegate = delegate;
	app.mainMenu = main_menu();
	[app setActivationPolicy:NSApplicationActivationPolicyRegular];
	[app run];
}

@end
