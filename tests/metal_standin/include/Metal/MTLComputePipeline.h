// Compute pipelines and their reflection.
#pragma once
#import <Metal/MTLLibrary.h>
#import <Metal/MTLPipeline.h>

NS_ASSUME_NONNULL_BEGIN

@protocol MTLBinaryArchive;

@interface MTLComputePipelineReflection : NSObject {
  NSArray<id<MTLBinding>>* _bindings;
}
@property(readonly) NSArray<id<MTLBinding>>* bindings API_AVAILABLE(macos(13.0), ios(16.0));
@end

@interface MTLComputePipelineDescriptor : NSObject <NSCopying> {
  NSString* _label;
  id<MTLFunction> _computeFunction;
  BOOL _threadGroupSizeIsMultipleOfThreadExecutionWidth;
  NSUInteger _maxTotalThreadsPerThreadgroup;
  BOOL _supportIndirectCommandBuffers;
  NSArray<id<MTLBinaryArchive>>* _binaryArchives;
  MTLPipelineBufferDescriptorArray* _buffers;
  MTLShaderValidation _shaderValidation;
}
@property(nullable, copy, nonatomic) NSString* label;
@property(nullable, readwrite, nonatomic, retain) id<MTLFunction> computeFunction;
@property(readwrite, nonatomic) BOOL threadGroupSizeIsMultipleOfThreadExecutionWidth;
// 0: the pipeline's own maximum.
@property(readwrite, nonatomic) NSUInteger maxTotalThreadsPerThreadgroup;
@property(readwrite, nonatomic) BOOL supportIndirectCommandBuffers;
@property(readwrite, nullable, nonatomic, copy) NSArray<id<MTLBinaryArchive>>* binaryArchives;
@property(readonly) MTLPipelineBufferDescriptorArray* buffers;
@property(readwrite, nonatomic)
    MTLShaderValidation shaderValidation API_AVAILABLE(macos(15.0), ios(18.0));
- (void)reset;
@end

@protocol MTLComputePipelineState <NSObject>
@property(nullable, readonly) NSString* label;
@property(readonly) id<MTLDevice> device;
@property(readonly) NSUInteger maxTotalThreadsPerThreadgroup;
@property(readonly) NSUInteger threadExecutionWidth;
@property(readonly) NSUInteger staticThreadgroupMemoryLength;
@property(readonly) BOOL supportIndirectCommandBuffers;
@property(readonly) MTLShaderValidation shaderValidation API_AVAILABLE(macos(15.0), ios(18.0));
@end

NS_ASSUME_NONNULL_END
