// GPU traces: what may start when, and a document that says what ran meanwhile.
#import "capture.h"
#import "objects.h"

#include <atomic>

using namespace metal_standin;

NSErrorDomain const MTLCaptureErrorDomain = @"MTLCaptureErrorDomain";

static std::atomic<std::uint64_t> captured_command_buffers{0};

namespace metal_standin {
void capture_command_buffer() {
  ++captured_command_buffers;
}
} // namespace metal_standin

@implementation MTLCaptureDescriptor
METAL_STANDIN_COUNTED
@synthesize captureObject = _captureObject;
@synthesize destination = _destination;
@synthesize outputURL = _outputURL;
- (id)init {
  if ((self = [super init]))
    _destination = MTLCaptureDestinationDeveloperTools;
  return self;
}
- (void)dealloc {
  METAL_STANDIN_UNCOUNT;
  [_captureObject release];
  [_outputURL release];
  [super dealloc];
}
- (id)copyWithZone:(NSZone*)zone {
  MTLCaptureDescriptor* copy = [[MTLCaptureDescriptor allocWithZone:zone] init];
  copy.captureObject = _captureObject;
  copy.destination = _destination;
  copy.outputURL = _outputURL;
  return copy;
}
@end

@interface StandinCaptureScope : StandinObject <MTLCaptureScope> {
  NSString* _label;
  id<MTLDevice> _device;
  id<MTLCommandQueue> _commandQueue;
}
@end
@implementation StandinCaptureScope
@synthesize label = _label;
@synthesize device = _device;
@synthesize commandQueue = _commandQueue;
- (id)initWithDevice:(id<MTLDevice>)device queue:(id<MTLCommandQueue>)queue {
  if ((self = [super init])) {
    _device = [device retain];
    _commandQueue = [queue retain];
  }
  return self;
}
- (void)dealloc {
  [_label release];
  [_device release];
  [_commandQueue release];
  [super dealloc];
}
- (void)beginScope {
}
- (void)endScope {
}
@end

@implementation MTLCaptureManager
@synthesize defaultCaptureScope = _defaultCaptureScope;

+ (MTLCaptureManager*)sharedCaptureManager {
  static MTLCaptureManager* const manager = [[MTLCaptureManager alloc] initShared];
  return manager;
}
- (id)initShared {
  return [super init];
}
- (instancetype)init {
  stop("capture-manager", @"there is one capture manager: +sharedCaptureManager");
}
- (id<MTLCaptureScope>)newCaptureScopeWithDevice:(id<MTLDevice>)device {
  return [[StandinCaptureScope alloc] initWithDevice:device queue:nil];
}
- (id<MTLCaptureScope>)newCaptureScopeWithCommandQueue:(id<MTLCommandQueue>)commandQueue {
  return [[StandinCaptureScope alloc] initWithDevice:[commandQueue device] queue:commandQueue];
}
- (BOOL)supportsDestination:(MTLCaptureDestination)destination {
  return destination == MTLCaptureDestinationGPUTraceDocument && settings().capture_enabled;
}
- (BOOL)isCapturing {
  @synchronized(self) {
    return _captureObject != nil;
  }
}

- (BOOL)startCaptureWithDescriptor:(MTLCaptureDescriptor*)descriptor error:(NSError**)error {
  @synchronized(self) {
    NSString* path = [descriptor.outputURL path];
    NSInteger code = 0;
    NSString* reason = nil;
    if (![self supportsDestination:descriptor.destination]) {
      code = MTLCaptureErrorNotSupported;
      reason = @"Capturing is not supported. MTL_CAPTURE_ENABLED must be set to 1.";
    } else if (_captureObject) {
      code = MTLCaptureErrorAlreadyCapturing;
      reason = @"Capture Manager is already capturing.";
    } else if (!descriptor.captureObject || !path) {
      code = MTLCaptureErrorInvalidDescriptor;
      reason = @"The descriptor has no capture object or no output URL.";
    } else if ([[NSFileManager defaultManager] fileExistsAtPath:path]) {
      code = MTLCaptureErrorInvalidDescriptor;
      reason = @"The output URL exists already.";
    } else if (![[NSFileManager defaultManager]
                   fileExistsAtPath:[path stringByDeletingLastPathComponent]]) {
      code = MTLCaptureErrorInvalidDescriptor;
      reason = @"The folder of the output URL does not exist.";
    }
    if (reason) {
      set_error(error, MTLCaptureErrorDomain, code, reason);
      return NO;
    }
    _captureObject = [descriptor.captureObject retain];
    _outputURL = [descriptor.outputURL copy];
    captured_command_buffers = 0;
    return YES;
  }
}

// Apple's document is a folder too.
- (void)stopCapture {
  @synchronized(self) {
    if (!_captureObject)
      return;
    NSString* folder = [_outputURL path];
    [[NSFileManager defaultManager] createDirectoryAtPath:folder
                              withIntermediateDirectories:NO
                                               attributes:nil
                                                    error:NULL];
    NSString* text = [NSString stringWithFormat:@"metal stand-in\ncommand buffers: %llu\n",
                                                (unsigned long long)captured_command_buffers];
    [[text dataUsingEncoding:NSUTF8StringEncoding]
        writeToFile:[folder stringByAppendingPathComponent:@"index"]
         atomically:NO];
    [_captureObject release];
    [_outputURL release];
    _captureObject = nil;
    _outputURL = nil;
  }
}
@end
