/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Of Foundation, what app/ uses and nothing else, so that a compiler without
 * Apple's SDK can check that it is used as Apple documents it.
 */
#ifndef QUIVER_DARWIN_FOUNDATION_H
#define QUIVER_DARWIN_FOUNDATION_H

#include <dispatch/dispatch.h>
#include <objc/NSObject.h>

typedef double CGFloat;
typedef NSString *NSErrorDomain;

typedef struct CGPoint {
	CGFloat x, y;
} CGPoint;

typedef struct CGSize {
	CGFloat width, height;
} CGSize;

typedef struct CGRect {
	CGPoint origin;
	CGSize size;
} CGRect;

typedef CGRect NSRect;

static inline NSRect NSMakeRect(CGFloat x, CGFloat y, CGFloat width, CGFloat height)
{
	return (NSRect){ { x, y }, { width, height } };
}

typedef struct {
	unsigned long state;
	id __unsafe_unretained *itemsPtr;
	unsigned long *mutationsPtr;
	unsigned long extra[5];
} NSFastEnumerationState;

@protocol NSFastEnumeration
- (NSUInteger)countByEnumeratingWithState:(NSFastEnumerationState *)state
				  objects:(id __unsafe_unretained [])buffer
				    count:(NSUInteger)count;
@end

@interface NSString : NSObject
+ (instancetype)stringWithFormat:(NSString *)format, ... __attribute__((format(__NSString__, 1, 2)));
+ (instancetype)stringWithUTF8String:(const char *)string;
@property (readonly) const char *UTF8String;
- (BOOL)isEqualToString:(NSString *)string;
- (NSString *)stringByAppendingString:(NSString *)string;
@end

/* What the compiler makes of @"": its layout is the runtime's. */
@interface NSSimpleCString : NSString {
	char *bytes;
	int length;
}
@end

@interface NSConstantString : NSSimpleCString
@end

@interface NSArray<ObjectType> : NSObject <NSFastEnumeration>
+ (instancetype)arrayWithObjects:(const ObjectType[])objects count:(NSUInteger)count;
@property (readonly) NSUInteger count;
@end

@interface NSDictionary<KeyType, ObjectType> : NSObject
+ (NSDictionary<NSString *, ObjectType> *)dictionaryWithContentsOfFile:(NSString *)path;
- (ObjectType)objectForKey:(KeyType)key;
@end

@interface NSURL : NSObject
+ (instancetype)URLWithString:(NSString *)string;
@property (readonly, copy) NSString *path;
@property (readonly, copy) NSURL *URLByResolvingSymlinksInPath;
@end

@interface NSBundle : NSObject
@property (class, readonly, strong) NSBundle *mainBundle;
@property (readonly, copy) NSURL *bundleURL;
@property (readonly, copy) NSString *bundlePath;
@property (readonly, copy) NSString *bundleIdentifier;
@end

@interface NSError : NSObject
@property (readonly, copy) NSErrorDomain domain;
@property (readonly) NSInteger code;
@property (readonly, copy) NSString *localizedDescription;
@end

typedef struct {
	NSInteger majorVersion, minorVersion, patchVersion;
} NSOperatingSystemVersion;

@interface NSProcessInfo : NSObject
@property (class, readonly, strong) NSProcessInfo *processInfo;
@property (readonly) NSOperatingSystemVersion operatingSystemVersion;
@end

@interface NSNotification : NSObject
@end

#endif
