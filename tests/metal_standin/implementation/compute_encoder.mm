// Compute encoders.
#import "encoder_state.h"

#include <cstring>

using namespace metal_standin;

@implementation StandinComputeEncoder
@synthesize label = _label;

- (id)initWithCommandBuffer:(StandinCommandBuffer*)commandBuffer
               dispatchType:(MTLDispatchType)dispatchType
                       pass:(MTLComputePassDescriptor*)pass {
  if ((self = [super init])) {
    _commandBuffer = [commandBuffer retain];
    _state = new StandinEncoderState;
    _state->dispatch_type = dispatchType;
    for (NSUInteger i = 0; pass && i < 4; ++i) {
      MTLComputePassSampleBufferAttachmentDescriptor* attachment =
          [pass.sampleBufferAttachments objectAtIndexedSubscript:i];
      if (!attachment.sampleBuffer)
        continue;
      auto* buffer = static_cast<StandinCounterSampleBuffer*>(attachment.sampleBuffer);
      Pass::Samples samples{[buffer retain],
                            attachment.startOfEncoderSampleIndex,
                            attachment.endOfEncoderSampleIndex};
      _state->pass.samples.push_back(samples);
      for (NSUInteger index : {samples.start, samples.end})
        if (index != MTLCounterDontSample && index >= [buffer sampleCount])
          stop("sample-index", @"sample index %lu is not within %lu samples", (unsigned long)index,
               (unsigned long)[buffer sampleCount]);
    }
  }
  return self;
}

- (void)dealloc {
  if (!_state->has_ended) {
    note("released-without-end", @"Command encoder released without endEncoding");
    [_commandBuffer encoderEnded:self pass:Pass()];
  }
  for (Pass::Samples& samples : _state->pass.samples)
    [samples.buffer release];
  [_state->pipeline release];
  delete _state;
  [_label release];
  [_commandBuffer release];
  [super dealloc];
}

- (id<MTLDevice>)device {
  return [_commandBuffer device];
}
- (MTLDispatchType)dispatchType {
  return _state->dispatch_type;
}

- (void)mustBeOpen {
  if (_state->has_ended)
    stop("encoder-has-ended", @"the encoder has ended; nothing can be encoded with it");
}
- (void)mustBeOfThisDevice:(id<MTLDevice>)device what:(const char*)what {
  if (device != [self device])
    stop("another-device", @"%s is of another device than the command buffer", what);
}

- (void)endEncoding {
  if (std::exchange(_state->has_ended, true))
    stop("ended-twice", @"endEncoding has already been called");
  _state->pass.label = utf8(_label);
  Pass pass = std::move(_state->pass);
  _state->pass = Pass();
  _state->slots = {};
  [_commandBuffer encoderEnded:self pass:std::move(pass)];
}

- (void)insertDebugSignpost:(NSString*)string {
  [self mustBeOpen];
}
- (void)pushDebugGroup:(NSString*)string {
  [self mustBeOpen];
}
- (void)popDebugGroup {
  [self mustBeOpen];
}

// ------------------------------------------------------------------ arguments

- (void)setComputePipelineState:(id<MTLComputePipelineState>)state {
  [self mustBeOpen];
  if (![(id)state isKindOfClass:[StandinComputePipeline class]])
    stop("no-pipeline", @"the compute pipeline state must not be nil");
  [self mustBeOfThisDevice:[state device] what:"the compute pipeline state"];
  auto* pipeline = static_cast<StandinComputePipeline*>(state);
  [pipeline retain];
  [_state->pipeline release];
  _state->pipeline = pipeline;
  [_commandBuffer retainResource:pipeline];
}

- (StandinEncoderState::Slot&)slot:(NSUInteger)index {
  [self mustBeOpen];
  if (index >= StandinEncoderState::kBuffers)
    stop("buffer-index", @"index(%lu) must be < 31 buffer bind slots.", (unsigned long)index);
  return _state->slots[index];
}

- (void)setBytes:(const void*)bytes length:(NSUInteger)length atIndex:(NSUInteger)index {
  StandinEncoderState::Slot& slot = [self slot:index];
  if (!bytes || length == 0)
    stop("bytes-length", @"setBytes: needs bytes and a length");
  if (length > StandinEncoderState::kMaxBytes)
    stop("bytes-length", @"length(%lu) must be <= 4096.", (unsigned long)length);
  const auto* first = static_cast<const std::byte*>(bytes);
  slot = {nullptr, std::make_shared<std::vector<std::byte>>(first, first + length), 0};
}

- (void)setBuffer:(id<MTLBuffer>)buffer offset:(NSUInteger)offset atIndex:(NSUInteger)index {
  StandinEncoderState::Slot& slot = [self slot:index];
  if (!buffer) {
    slot = {};
    return;
  }
  if (![(id)buffer isKindOfClass:[StandinBuffer class]])
    stop("not-a-buffer", @"what is bound at index %lu is not a buffer", (unsigned long)index);
  [self mustBeOfThisDevice:[buffer device] what:"the buffer"];
  if (offset > [buffer length])
    stop("offset-outside", @"offset(%lu) must be <= the buffer's length(%lu).",
         (unsigned long)offset, (unsigned long)[buffer length]);
  slot = {[static_cast<StandinBuffer*>(buffer) memory], nullptr, offset};
  [_commandBuffer retainResource:buffer];
}

- (void)setBufferOffset:(NSUInteger)offset atIndex:(NSUInteger)index {
  StandinEncoderState::Slot& slot = [self slot:index];
  if (!slot.memory)
    stop("offset-outside", @"there is no buffer at index %lu whose offset could be set",
         (unsigned long)index);
  if (offset > slot.length())
    stop("offset-outside", @"offset(%lu) must be <= the buffer's length(%lu).",
         (unsigned long)offset, (unsigned long)slot.length());
  slot.offset = offset;
}

- (void)setBuffers:(const id<MTLBuffer> _Nullable __unsafe_unretained[])buffers
           offsets:(const NSUInteger[])offsets
         withRange:(NSRange)range {
  for (NSUInteger i = 0; i < range.length; ++i)
    [self setBuffer:buffers[i] offset:offsets[i] atIndex:range.location + i];
}

- (void)setThreadgroupMemoryLength:(NSUInteger)length atIndex:(NSUInteger)index {
  [self mustBeOpen];
  if (index >= StandinEncoderState::kThreadgroupSlots)
    stop("threadgroup-memory-index", @"index(%lu) must be < 31 threadgroup memory slots.",
         (unsigned long)index);
  if (length % 16 != 0)
    stop("threadgroup-memory-length", @"length(%lu) must be a multiple of 16 bytes.",
         (unsigned long)length);
  if (length > 32768)
    stop("too-much-threadgroup-memory", @"length(%lu) must be <= 32768.", (unsigned long)length);
  _state->threadgroup_lengths[index] = length;
}

// ------------------------------------------------------------------ dispatches and barriers

- (void)dispatch:(MTLSize)grid group:(MTLSize)group isThreads:(bool)isThreads {
  [self mustBeOpen];
  check_sizes(*_state, grid, group);
  check_arguments(*_state);
  Command command = make_command(*_state, isThreads, grid, group);
  if (![_commandBuffer retainedReferences]) {
    command.unretained = true;
    for (const auto& memory : command.memory)
      ++memory->unretained_uses;
  }
  _state->pass.commands.push_back(std::move(command));
}
- (void)dispatchThreadgroups:(MTLSize)threadgroupsPerGrid
       threadsPerThreadgroup:(MTLSize)threadsPerThreadgroup {
  [self dispatch:threadgroupsPerGrid group:threadsPerThreadgroup isThreads:false];
}
- (void)dispatchThreads:(MTLSize)threadsPerGrid
    threadsPerThreadgroup:(MTLSize)threadsPerThreadgroup {
  [self dispatch:threadsPerGrid group:threadsPerThreadgroup isThreads:true];
}

// Dispatches run one after the other here, so barriers have nothing to order.
- (void)memoryBarrierWithScope:(MTLBarrierScope)scope {
  [self mustBeOpen];
}
- (void)memoryBarrierWithResources:(const id<MTLResource> _Nonnull __unsafe_unretained[])resources
                             count:(NSUInteger)count {
  [self mustBeOpen];
}
- (void)useResource:(id<MTLResource>)resource usage:(MTLResourceUsage)usage {
  [self mustBeOpen];
  [self mustBeOfThisDevice:[resource device] what:"the resource"];
  [_commandBuffer retainResource:resource];
}
- (void)sampleCountersInBuffer:(id<MTLCounterSampleBuffer>)sampleBuffer
                 atSampleIndex:(NSUInteger)sampleIndex
                   withBarrier:(BOOL)barrier {
  stop("counter-sampling-point",
       @"the device does not sample counters within an encoder (MTLCounterSamplingPoint"
       @"AtDispatchBoundary)");
}
@end

// ------------------------------------------------------------------ compute passes

@implementation MTLComputePassSampleBufferAttachmentDescriptor
METAL_STANDIN_COUNTED
@synthesize sampleBuffer = _sampleBuffer;
@synthesize startOfEncoderSampleIndex = _startOfEncoderSampleIndex;
@synthesize endOfEncoderSampleIndex = _endOfEncoderSampleIndex;
- (id)init {
  if ((self = [super init])) {
    _startOfEncoderSampleIndex = 0;
    _endOfEncoderSampleIndex = MTLCounterDontSample;
  }
  return self;
}
- (void)dealloc {
  METAL_STANDIN_UNCOUNT;
  [_sampleBuffer release];
  [super dealloc];
}
- (id)copyWithZone:(NSZone*)zone {
  MTLComputePassSampleBufferAttachmentDescriptor* copy =
      [[MTLComputePassSampleBufferAttachmentDescriptor allocWithZone:zone] init];
  copy.sampleBuffer = _sampleBuffer;
  copy.startOfEncoderSampleIndex = _startOfEncoderSampleIndex;
  copy.endOfEncoderSampleIndex = _endOfEncoderSampleIndex;
  return copy;
}
@end

@implementation MTLComputePassSampleBufferAttachmentDescriptorArray
METAL_STANDIN_COUNTED
- (id)init {
  if ((self = [super init])) {
    _attachments = [[NSMutableArray alloc] init];
    for (int i = 0; i < 4; ++i)
      [_attachments
          addObject:[[[MTLComputePassSampleBufferAttachmentDescriptor alloc] init] autorelease]];
  }
  return self;
}
- (void)dealloc {
  METAL_STANDIN_UNCOUNT;
  [_attachments release];
  [super dealloc];
}
- (MTLComputePassSampleBufferAttachmentDescriptor*)objectAtIndexedSubscript:(NSUInteger)index {
  if (index >= [_attachments count])
    stop("attachment-index", @"there are 4 sample buffer attachments");
  return [_attachments objectAtIndex:index];
}
- (void)setObject:(MTLComputePassSampleBufferAttachmentDescriptor*)attachment
    atIndexedSubscript:(NSUInteger)index {
  if (index >= [_attachments count])
    stop("attachment-index", @"there are 4 sample buffer attachments");
  id stored = attachment
                  ? [[attachment copy] autorelease]
                  : [[[MTLComputePassSampleBufferAttachmentDescriptor alloc] init] autorelease];
  [_attachments replaceObjectAtIndex:index withObject:stored];
}
@end

@implementation MTLComputePassDescriptor
METAL_STANDIN_COUNTED
@synthesize dispatchType = _dispatchType;
@synthesize sampleBufferAttachments = _sampleBufferAttachments;
+ (MTLComputePassDescriptor*)computePassDescriptor {
  return [[[MTLComputePassDescriptor alloc] init] autorelease];
}
- (id)init {
  if ((self = [super init]))
    _sampleBufferAttachments = [[MTLComputePassSampleBufferAttachmentDescriptorArray alloc] init];
  return self;
}
- (void)dealloc {
  METAL_STANDIN_UNCOUNT;
  [_sampleBufferAttachments release];
  [super dealloc];
}
- (id)copyWithZone:(NSZone*)zone {
  MTLComputePassDescriptor* copy = [[MTLComputePassDescriptor allocWithZone:zone] init];
  copy.dispatchType = _dispatchType;
  for (NSUInteger i = 0; i < 4; ++i)
    [copy.sampleBufferAttachments setObject:[_sampleBufferAttachments objectAtIndexedSubscript:i]
                         atIndexedSubscript:i];
  return copy;
}
@end
