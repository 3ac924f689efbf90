// How a function is taken from a library.
#pragma once
#import <Metal/MTLFunctionConstantValues.h>

NS_ASSUME_NONNULL_BEGIN

@protocol MTLBinaryArchive;

typedef NS_OPTIONS(NSUInteger, MTLFunctionOptions) {
  MTLFunctionOptionNone = 0,
  MTLFunctionOptionCompileToBinary = 1 << 0,
  MTLFunctionOptionFailOnBinaryArchiveMiss = 1 << 2,
};

@interface MTLFunctionDescriptor : NSObject <NSCopying> {
  NSString* _name;
  NSString* _specializedName;
  MTLFunctionConstantValues* _constantValues;
  MTLFunctionOptions _options;
}
+ (MTLFunctionDescriptor*)functionDescriptor;
@property(nullable, copy, nonatomic) NSString* name;
@property(nullable, copy, nonatomic) NSString* specializedName;
@property(nullable, copy, nonatomic) MTLFunctionConstantValues* constantValues;
@property(nonatomic) MTLFunctionOptions options;
@end

NS_ASSUME_NONNULL_END
