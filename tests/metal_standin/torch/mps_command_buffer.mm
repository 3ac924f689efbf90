// MPSCommandBuffer: everything goes to the root command buffer of the moment.
#import <MetalPerformanceShaders/MetalPerformanceShaders.h>

@implementation MPSCommandBuffer

+ (instancetype)commandBufferFromCommandQueue:(id<MTLCommandQueue>)commandQueue {
  MPSCommandBuffer* made = [[[MPSCommandBuffer alloc] init] autorelease];
  made->_root = [[commandQueue commandBuffer] retain];
  return made;
}
- (void)dealloc {
  [_root release];
  [super dealloc];
}
- (id<MTLCommandBuffer>)rootCommandBuffer {
  return [[_root retain] autorelease];
}
- (void)commitAndContinue {
  id<MTLCommandQueue> queue = [_root commandQueue];
  [_root commit];
  [_root autorelease];
  _root = [[queue commandBuffer] retain];
}

- (NSString*)label {
  return _root.label;
}
- (void)setLabel:(NSString*)label {
  _root.label = label;
}
- (id<MTLDevice>)device {
  return _root.device;
}
- (id<MTLCommandQueue>)commandQueue {
  return _root.commandQueue;
}
- (BOOL)retainedReferences {
  return _root.retainedReferences;
}
- (MTLCommandBufferErrorOption)errorOptions {
  return _root.errorOptions;
}
- (MTLCommandBufferStatus)status {
  return _root.status;
}
- (NSError*)error {
  return _root.error;
}
- (CFTimeInterval)kernelStartTime {
  return _root.kernelStartTime;
}
- (CFTimeInterval)kernelEndTime {
  return _root.kernelEndTime;
}
- (CFTimeInterval)GPUStartTime {
  return _root.GPUStartTime;
}
- (CFTimeInterval)GPUEndTime {
  return _root.GPUEndTime;
}
- (void)enqueue {
  [_root enqueue];
}
- (void)commit {
  [_root commit];
}
- (void)addScheduledHandler:(MTLCommandBufferHandler)block {
  [_root addScheduledHandler:block];
}
- (void)addCompletedHandler:(MTLCommandBufferHandler)block {
  [_root addCompletedHandler:block];
}
- (void)waitUntilScheduled {
  [_root waitUntilScheduled];
}
- (void)waitUntilCompleted {
  [_root waitUntilCompleted];
}
- (id<MTLComputeCommandEncoder>)computeCommandEncoder {
  return [_root computeCommandEncoder];
}
- (id<MTLComputeCommandEncoder>)computeCommandEncoderWithDispatchType:(MTLDispatchType)type {
  return [_root computeCommandEncoderWithDispatchType:type];
}
- (id<MTLComputeCommandEncoder>)computeCommandEncoderWithDescriptor:
    (MTLComputePassDescriptor*)descriptor {
  return [_root computeCommandEncoderWithDescriptor:descriptor];
}
- (void)pushDebugGroup:(NSString*)string {
  [_root pushDebugGroup:string];
}
- (void)popDebugGroup {
  [_root popDebugGroup];
}
@end
