/* SPDX-License-Identifier: BSD-3-Clause */
/* All of SystemExtensions that macOS 14 has for requests, as Apple documents it. */
#ifndef QUIVER_DARWIN_SYSTEM_EXTENSIONS_H
#define QUIVER_DARWIN_SYSTEM_EXTENSIONS_H

#import <Foundation/Foundation.h>

@protocol OSSystemExtensionRequestDelegate;

OBJC_EXPORT NSErrorDomain const OSSystemExtensionErrorDomain;

typedef enum OSSystemExtensionReplacementAction : NSInteger {
	OSSystemExtensionReplacementActionCancel,
	OSSystemExtensionReplacementActionReplace
} OSSystemExtensionReplacementAction;

typedef enum OSSystemExtensionRequestResult : NSInteger {
	OSSystemExtensionRequestCompleted,
	OSSystemExtensionRequestWillCompleteAfterReboot
} OSSystemExtensionRequestResult;

@interface OSSystemExtensionRequest : NSObject
+ (instancetype)activationRequestForExtension:(NSString *)identifier queue:(dispatch_queue_t)queue;
+ (instancetype)deactivationRequestForExtension:(NSString *)identifier queue:(dispatch_queue_t)queue;
+ (instancetype)propertiesRequestForExtension:(NSString *)identifier queue:(dispatch_queue_t)queue;
@property (weak, nonatomic) id<OSSystemExtensionRequestDelegate> delegate;
@property (readonly, nonatomic) NSString *identifier;
@end

@interface OSSystemExtensionProperties : NSObject
@property (strong, readonly) NSString *bundleIdentifier;
@property (strong, readonly) NSString *bundleVersion;
@property (strong, readonly) NSString *bundleShortVersion;
@property (readonly) BOOL isEnabled;
@property (readonly) BOOL isAwaitingUserApproval;
@property (readonly) BOOL isUninstalling;
@end

@protocol OSSystemExtensionRequestDelegate <NSObject>
@required
- (OSSystemExtensionReplacementAction)request:(OSSystemExtensionRequest *)request
		  actionForReplacingExtension:(OSSystemExtensionProperties *)existing
				withExtension:(OSSystemExtensionProperties *)ext;
- (void)requestNeedsUserApproval:(OSSystemExtensionRequest *)request;
- (void)request:(OSSystemExtensionRequest *)request
	didFinishWithResult:(OSSystemExtensionRequestResult)result;
- (void)request:(OSSystemExtensionRequest *)request didFailWithError:(NSError *)error;
@optional
- (void)request:(OSSystemExtensionRequest *)request
	foundProperties:(NSArray<OSSystemExtensionProperties *> *)properties;
@end

@interface OSSystemExtensionManager : NSObject
@property (class, readonly) OSSystemExtensionManager *sharedManager;
- (instancetype)init __attribute__((unavailable));
- (void)submitRequest:(OSSystemExtensionRequest *)request;
@end

#endif
