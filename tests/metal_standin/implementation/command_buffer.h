// Command buffers.
#pragma once
#import "command_queue.h"
#import "objects.h"

#include <vector>

@class StandinComputeEncoder;

namespace metal_standin {

// What one encoder encoded.
struct Pass {
  std::string label;
  std::vector<Command> commands;
  struct Samples {
    StandinCounterSampleBuffer* buffer; // retained
    NSUInteger start = MTLCounterDontSample;
    NSUInteger end = MTLCounterDontSample;
  };
  std::vector<Samples> samples;
};

struct CommandBufferState;

} // namespace metal_standin

@interface StandinCommandBuffer : StandinObject <MTLCommandBuffer> {
  StandinCommandQueue* _queue;
  NSString* _label;
  NSMutableArray* _retained;       // resources and pipelines; nil if they are not retained
  StandinComputeEncoder* _encoder; // the open one, not retained
  metal_standin::CommandBufferState* _state;
}
- (id)initWithQueue:(StandinCommandQueue*)queue
            retains:(BOOL)retains
       errorOptions:(MTLCommandBufferErrorOption)options;
- (BOOL)isCommitted;
- (void)execute;                     // on the queue's GPU thread
- (void)retainResource:(id)resource; // for the encoder
- (void)encoderEnded:(StandinComputeEncoder*)encoder pass:(metal_standin::Pass&&)pass;
@end

@interface StandinComputeEncoder : StandinObject <MTLComputeCommandEncoder> {
  StandinCommandBuffer* _commandBuffer;
  NSString* _label;
  struct StandinEncoderState* _state;
}
- (id)initWithCommandBuffer:(StandinCommandBuffer*)commandBuffer
               dispatchType:(MTLDispatchType)dispatchType
                       pass:(MTLComputePassDescriptor*)pass;
@end
