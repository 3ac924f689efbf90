// Compute pipelines and the descriptors they are made from.
#import "objects.h"

using namespace metal_standin;

@implementation MTLPipelineBufferDescriptor
METAL_STANDIN_COUNTED
@synthesize mutability = _mutability;
- (void)dealloc {
  METAL_STANDIN_UNCOUNT;
  [super dealloc];
}
- (id)copyWithZone:(NSZone*)zone {
  MTLPipelineBufferDescriptor* copy = [[MTLPipelineBufferDescriptor allocWithZone:zone] init];
  copy.mutability = _mutability;
  return copy;
}
@end

@implementation MTLPipelineBufferDescriptorArray
METAL_STANDIN_COUNTED
- (id)init {
  if ((self = [super init])) {
    _descriptors = [[NSMutableArray alloc] init];
    for (int i = 0; i < 31; ++i)
      [_descriptors addObject:[[[MTLPipelineBufferDescriptor alloc] init] autorelease]];
  }
  return self;
}
- (void)dealloc {
  METAL_STANDIN_UNCOUNT;
  [_descriptors release];
  [super dealloc];
}
- (MTLPipelineBufferDescriptor*)objectAtIndexedSubscript:(NSUInteger)index {
  if (index >= [_descriptors count])
    stop("buffer-index", @"buffer index %lu is not below 31", (unsigned long)index);
  return [_descriptors objectAtIndex:index];
}
- (void)setObject:(MTLPipelineBufferDescriptor*)buffer atIndexedSubscript:(NSUInteger)index {
  if (index >= [_descriptors count])
    stop("buffer-index", @"buffer index %lu is not below 31", (unsigned long)index);
  [_descriptors
      replaceObjectAtIndex:index
                withObject:buffer ? [[buffer copy] autorelease]
                                  : [[[MTLPipelineBufferDescriptor alloc] init] autorelease]];
}
@end

@implementation MTLComputePipelineDescriptor
METAL_STANDIN_COUNTED
@synthesize label = _label;
@synthesize computeFunction = _computeFunction;
@synthesize threadGroupSizeIsMultipleOfThreadExecutionWidth =
    _threadGroupSizeIsMultipleOfThreadExecutionWidth;
@synthesize maxTotalThreadsPerThreadgroup = _maxTotalThreadsPerThreadgroup;
@synthesize supportIndirectCommandBuffers = _supportIndirectCommandBuffers;
@synthesize binaryArchives = _binaryArchives;
@synthesize buffers = _buffers;
@synthesize shaderValidation = _shaderValidation;

- (id)init {
  if ((self = [super init]))
    _buffers = [[MTLPipelineBufferDescriptorArray alloc] init];
  return self;
}
- (void)dealloc {
  METAL_STANDIN_UNCOUNT;
  [_label release];
  [_computeFunction release];
  [_binaryArchives release];
  [_buffers release];
  [super dealloc];
}
- (id)copyWithZone:(NSZone*)zone {
  MTLComputePipelineDescriptor* copy = [[MTLComputePipelineDescriptor allocWithZone:zone] init];
  copy.label = _label;
  copy.computeFunction = _computeFunction;
  copy.threadGroupSizeIsMultipleOfThreadExecutionWidth =
      _threadGroupSizeIsMultipleOfThreadExecutionWidth;
  copy.maxTotalThreadsPerThreadgroup = _maxTotalThreadsPerThreadgroup;
  copy.supportIndirectCommandBuffers = _supportIndirectCommandBuffers;
  copy.binaryArchives = _binaryArchives;
  copy.shaderValidation = _shaderValidation;
  for (NSUInteger i = 0; i < 31; ++i)
    [copy.buffers setObject:[_buffers objectAtIndexedSubscript:i] atIndexedSubscript:i];
  return copy;
}
- (void)reset {
  self.label = nil;
  self.computeFunction = nil;
  self.binaryArchives = nil;
  _threadGroupSizeIsMultipleOfThreadExecutionWidth = NO;
  _maxTotalThreadsPerThreadgroup = 0;
  _supportIndirectCommandBuffers = NO;
  _shaderValidation = MTLShaderValidationDefault;
  for (NSUInteger i = 0; i < 31; ++i)
    [_buffers setObject:nil atIndexedSubscript:i];
}
@end

@implementation StandinComputePipeline
- (id)initWithDevice:(StandinDevice*)device
              kernel:(std::shared_ptr<metalwright::Kernel>)kernel
          descriptor:(MTLComputePipelineDescriptor*)descriptor {
  if ((self = [super init])) {
    _device = [device retain];
    _label = [descriptor.label copy];
    _kernel = new std::shared_ptr<metalwright::Kernel>(std::move(kernel));
    _maxThreads = settings().max_total_threads.value_or((*_kernel)->max_threads_per_threadgroup());
    const NSUInteger wanted = descriptor.maxTotalThreadsPerThreadgroup;
    if (wanted != 0 && wanted < _maxThreads)
      _maxThreads = wanted;
    _multipleOfExecutionWidth = descriptor.threadGroupSizeIsMultipleOfThreadExecutionWidth;
  }
  return self;
}
- (void)dealloc {
  delete _kernel;
  [_label release];
  [_device release];
  [super dealloc];
}
- (const std::shared_ptr<metalwright::Kernel>&)kernel {
  return *_kernel;
}
- (BOOL)needsMultipleOfExecutionWidth {
  return _multipleOfExecutionWidth;
}
- (NSString*)label {
  return _label;
}
- (id<MTLDevice>)device {
  return _device;
}
- (NSUInteger)maxTotalThreadsPerThreadgroup {
  return _maxThreads;
}
- (NSUInteger)threadExecutionWidth {
  return (*_kernel)->thread_execution_width();
}
- (NSUInteger)staticThreadgroupMemoryLength {
  return (*_kernel)->static_threadgroup_memory();
}
- (BOOL)supportIndirectCommandBuffers {
  return NO;
}
- (MTLShaderValidation)shaderValidation {
  return MTLShaderValidationDisabled;
}
@end
