// The part of Apple's Foundation that csrc/metal and the Metal stand-in's headers name, declared
// for compiling (not linking) on machines without Apple's SDK. Written from the public
// documentation.
#pragma once

#include <objc/NSObject.h>
#include <objc/objc.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef NS_ENUM
#define NS_ENUM(type, name)                                                                        \
  enum name : type name;                                                                           \
  enum name : type
#endif
#ifndef NS_OPTIONS
#define NS_OPTIONS(type, name) NS_ENUM(type, name)
#endif
#define NS_ASSUME_NONNULL_BEGIN _Pragma("clang assume_nonnull begin")
#define NS_ASSUME_NONNULL_END _Pragma("clang assume_nonnull end")
#define NS_RETURNS_RETAINED __attribute__((ns_returns_retained))
#define NS_RETURNS_INNER_POINTER __attribute__((objc_returns_inner_pointer))

typedef struct {
  unsigned long state;
  id __unsafe_unretained _Nullable* _Nullable itemsPtr;
  unsigned long* _Nullable mutationsPtr;
  unsigned long extra[5];
} NSFastEnumerationState;

typedef struct _NSRange {
  NSUInteger location;
  NSUInteger length;
} NSRange;

static inline NSRange NSMakeRange(NSUInteger location, NSUInteger length) {
  NSRange range = {location, length};
  return range;
}

NS_ASSUME_NONNULL_BEGIN

@class NSString, NSDictionary<Key, Value>;

typedef NSString* NSErrorDomain;
typedef NSString* NSExceptionName;
typedef NSString* NSErrorUserInfoKey;

@protocol NSCopying
- (id)copyWithZone:(nullable void*)zone;
@end

@protocol NSFastEnumeration
- (NSUInteger)countByEnumeratingWithState:(NSFastEnumerationState*)state
                                  objects:(id __unsafe_unretained _Nullable[_Nonnull])buffer
                                    count:(NSUInteger)length;
@end

typedef NSUInteger NSStringEncoding;
enum { NSUTF8StringEncoding = 4 };

@interface NSString : NSObject <NSCopying>
- (nullable instancetype)initWithBytes:(const void*)bytes
                                length:(NSUInteger)length
                              encoding:(NSStringEncoding)encoding;
@property(nullable, readonly) const char* UTF8String NS_RETURNS_INNER_POINTER;
- (BOOL)isEqualToString:(NSString*)string;
@end

@interface NSArray<__covariant Object> : NSObject <NSCopying, NSFastEnumeration>
@property(readonly) NSUInteger count;
- (Object)objectAtIndex:(NSUInteger)index;
+ (instancetype)arrayWithObjects:(const Object _Nonnull[_Nullable])objects count:(NSUInteger)count;
@end

@interface NSMutableArray<Object> : NSArray <Object>
@end

@interface NSDictionary<__covariant Key, __covariant Value>
    : NSObject <NSCopying, NSFastEnumeration>
- (nullable Value)objectForKey:(Key)key;
@end

@interface NSMutableDictionary<Key, Value> : NSDictionary <Key, Value>
+ (instancetype)dictionaryWithCapacity:(NSUInteger)capacity;
- (void)setObject:(Value)object forKey:(Key)key;
@end

@interface NSData : NSObject <NSCopying>
@property(readonly) NSUInteger length;
@property(readonly) const void* bytes NS_RETURNS_INNER_POINTER;
@end

@interface NSURL : NSObject <NSCopying>
+ (NSURL*)fileURLWithPath:(NSString*)path;
@end

@interface NSError : NSObject <NSCopying>
@property(readonly, copy) NSErrorDomain domain;
@property(readonly) NSInteger code;
@property(readonly, copy) NSString* localizedDescription;
@property(readonly, copy) NSDictionary<NSErrorUserInfoKey, id>* userInfo;
@end

@interface NSException : NSObject <NSCopying>
@property(readonly, copy) NSExceptionName name;
@property(nullable, readonly, copy) NSString* reason;
@end

@interface NSProcessInfo : NSObject
+ (NSProcessInfo*)processInfo;
@property(readonly, copy) NSString* operatingSystemVersionString;
@end

@interface NSNumber : NSObject <NSCopying>
+ (NSNumber*)numberWithBool:(BOOL)value;
@property(readonly) BOOL boolValue;
@end

NS_ASSUME_NONNULL_END
