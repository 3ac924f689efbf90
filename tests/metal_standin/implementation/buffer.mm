// Buffers.
#import "objects.h"

#include <Block.h>

using namespace metal_standin;

@implementation StandinBuffer
@synthesize label = _label;

- (id)initWithDevice:(StandinDevice*)device
              memory:(std::shared_ptr<BufferMemory>)memory
             options:(MTLResourceOptions)options
         deallocator:(void (^)(void*, NSUInteger))deallocator {
  if ((self = [super init])) {
    _device = [device retain];
    _memory = new std::shared_ptr<BufferMemory>(std::move(memory));
    _options = options;
    if (deallocator)
      _deallocator = Block_copy(deallocator);
  }
  return self;
}

- (void)dealloc {
  const std::shared_ptr<BufferMemory>& memory = *_memory;
  if (memory->unretained_uses > 0)
    note("released-in-flight",
         @"a buffer of %llu bytes was released while a command buffer that does not retain it is "
         @"not completed",
         (unsigned long long)memory->length);
  if (_deallocator) {
    _deallocator(memory->data, memory->length);
    Block_release(_deallocator);
  }
  delete _memory;
  [_label release];
  [_device release];
  [super dealloc];
}

- (const std::shared_ptr<BufferMemory>&)memory {
  return *_memory;
}
- (id<MTLDevice>)device {
  return _device;
}
- (NSUInteger)length {
  return (*_memory)->length;
}
- (NSUInteger)allocatedSize {
  return ((*_memory)->length + 16383) / 16384 * 16384;
}
- (uint64_t)gpuAddress {
  return reinterpret_cast<uint64_t>((*_memory)->data);
}
- (MTLResourceOptions)resourceOptions {
  return _options;
}
- (MTLCPUCacheMode)cpuCacheMode {
  return MTLCPUCacheMode(_options & 15);
}
- (MTLStorageMode)storageMode {
  return MTLStorageMode(_options >> MTLResourceStorageModeShift & 15);
}
- (MTLHazardTrackingMode)hazardTrackingMode {
  const auto mode = MTLHazardTrackingMode(_options >> MTLResourceHazardTrackingModeShift & 3);
  return mode == MTLHazardTrackingModeDefault ? MTLHazardTrackingModeTracked : mode;
}

- (void*)contents {
  if ([self storageMode] == MTLStorageModePrivate)
    stop("contents-of-private-buffer",
         @"resourceOptions (0x%lx) specify MTLResourceStorageModePrivate, which is not CPU "
         @"accessible.",
         (unsigned long)_options);
  return (*_memory)->data;
}

- (void)didModifyRange:(NSRange)range {
  if ([self storageMode] != MTLStorageModeManaged)
    stop("did-modify-range", @"didModifyRange: is for managed storage only");
  if (range.location + range.length > [self length])
    stop("did-modify-range", @"the range goes beyond the buffer");
}
@end
