// Counter sets and sample buffers.
#import "objects.h"

#include <vector>

using namespace metal_standin;

NSErrorDomain const MTLCounterErrorDomain = @"MTLCounterErrorDomain";
MTLCommonCounter const MTLCommonCounterTimestamp = @"GPUTimestamp";
MTLCommonCounterSet const MTLCommonCounterSetTimestamp = @"timestamp";

@interface StandinCounter : NSObject <MTLCounter>
@end
@implementation StandinCounter
- (NSString*)name {
  return MTLCommonCounterTimestamp;
}
@end

@interface StandinCounterSet : NSObject <MTLCounterSet> {
  NSArray* _counters;
}
@end
@implementation StandinCounterSet
- (id)init {
  if ((self = [super init]))
    _counters = [[NSArray alloc] initWithObjects:[[[StandinCounter alloc] init] autorelease], nil];
  return self;
}
- (void)dealloc {
  [_counters release];
  [super dealloc];
}
- (NSString*)name {
  return MTLCommonCounterSetTimestamp;
}
- (NSArray*)counters {
  return _counters;
}
@end

NSArray* standin_counter_sets() {
  static NSArray* const sets =
      [[NSArray alloc] initWithObjects:[[[StandinCounterSet alloc] init] autorelease], nil];
  return sets;
}

@implementation MTLCounterSampleBufferDescriptor
METAL_STANDIN_COUNTED
@synthesize counterSet = _counterSet;
@synthesize label = _label;
@synthesize storageMode = _storageMode;
@synthesize sampleCount = _sampleCount;
- (id)init {
  if ((self = [super init])) {
    _label = @"";
    _storageMode = MTLStorageModeShared;
  }
  return self;
}
- (void)dealloc {
  METAL_STANDIN_UNCOUNT;
  [_counterSet release];
  [_label release];
  [super dealloc];
}
- (id)copyWithZone:(NSZone*)zone {
  MTLCounterSampleBufferDescriptor* copy =
      [[MTLCounterSampleBufferDescriptor allocWithZone:zone] init];
  copy.counterSet = _counterSet;
  copy.label = _label;
  copy.storageMode = _storageMode;
  copy.sampleCount = _sampleCount;
  return copy;
}
@end

@implementation StandinCounterSampleBuffer
- (id)initWithDevice:(StandinDevice*)device
          descriptor:(MTLCounterSampleBufferDescriptor*)descriptor {
  if ((self = [super init])) {
    _device = [device retain];
    _label = [descriptor.label copy];
    _sampleCount = descriptor.sampleCount;
    _storageMode = descriptor.storageMode;
    _samples = new std::uint64_t[_sampleCount]();
  }
  return self;
}
- (void)dealloc {
  delete[] _samples;
  [_label release];
  [_device release];
  [super dealloc];
}
- (id<MTLDevice>)device {
  return _device;
}
- (NSString*)label {
  return _label;
}
- (NSUInteger)sampleCount {
  return _sampleCount;
}
- (void)storeSample:(std::uint64_t)value atIndex:(NSUInteger)index {
  @synchronized(self) {
    _samples[index] = value;
  }
}
- (NSData*)resolveCounterRange:(NSRange)range {
  if (range.location + range.length > _sampleCount)
    stop("counter-range", @"the range is not within %lu samples", (unsigned long)_sampleCount);
  if (_storageMode == MTLStorageModePrivate)
    return nil;
  @synchronized(self) {
    return [NSData dataWithBytes:_samples + range.location
                          length:range.length * sizeof(MTLCounterResultTimestamp)];
  }
}
@end
