// What pipelines of every kind share.
#pragma once
#import <Metal/MTLDefines.h>

NS_ASSUME_NONNULL_BEGIN

typedef NS_ENUM(NSUInteger, MTLMutability) {
  MTLMutabilityDefault = 0,
  MTLMutabilityMutable = 1,
  MTLMutabilityImmutable = 2,
};

typedef NS_ENUM(NSInteger, MTLShaderValidation) {
  MTLShaderValidationDefault = 0,
  MTLShaderValidationEnabled = 1,
  MTLShaderValidationDisabled = 2,
} API_AVAILABLE(macos(15.0), ios(18.0));

@interface MTLPipelineBufferDescriptor : NSObject <NSCopying> {
  MTLMutability _mutability;
}
@property(nonatomic) MTLMutability mutability;
@end

@interface MTLPipelineBufferDescriptorArray : NSObject {
  NSMutableArray* _descriptors;
}
- (MTLPipelineBufferDescriptor*)objectAtIndexedSubscript:(NSUInteger)index;
- (void)setObject:(nullable MTLPipelineBufferDescriptor*)buffer
    atIndexedSubscript:(NSUInteger)index;
@end

NS_ASSUME_NONNULL_END
