// How a command buffer fails. The descriptions are those that users of Apple silicon report;
// "device removed" has none there, and its text is ours.
#import "execution_error.h"

@interface StandinEncoderInfo : NSObject <MTLCommandBufferEncoderInfo> {
  NSString* _label;
  MTLCommandEncoderErrorState _errorState;
}
@end
@implementation StandinEncoderInfo
- (id)initWithLabel:(NSString*)label state:(MTLCommandEncoderErrorState)state {
  if ((self = [super init])) {
    _label = [label copy];
    _errorState = state;
  }
  return self;
}
- (void)dealloc {
  [_label release];
  [super dealloc];
}
- (NSString*)label {
  return _label;
}
- (NSArray*)debugSignposts {
  return [NSArray array];
}
- (MTLCommandEncoderErrorState)errorState {
  return _errorState;
}
@end

namespace metal_standin {

namespace {

constexpr ExecutionFault kFaults[] = {
    {"timeout", MTLCommandBufferErrorTimeout, 2,
     "Caused GPU Timeout Error (00000002:kIOGPUCommandBufferCallbackErrorTimeout)"},
    {"impacting-interactivity", MTLCommandBufferErrorInternal, 14,
     "Impacting Interactivity "
     "(0000000e:kIOGPUCommandBufferCallbackErrorImpactingInteractivity)"},
    {"page-fault", MTLCommandBufferErrorPageFault, 11,
     "Caused GPU Address Fault Error (0000000b:kIOGPUCommandBufferCallbackErrorPageFault)"},
    {"out-of-memory", MTLCommandBufferErrorOutOfMemory, 8,
     "Insufficient Memory (00000008:kIOGPUCommandBufferCallbackErrorOutOfMemory)"},
    {"device-lost", MTLCommandBufferErrorDeviceRemoved, 0, "The device was removed"},
    {"internal", MTLCommandBufferErrorInternal, 14, "Internal Error (0000000e:Internal Error)"},
    {"never-completes", MTLCommandBufferErrorInternal, 5,
     "Discarded (victim of GPU error/recovery) "
     "(00000005:kIOGPUCommandBufferCallbackErrorInnocentVictim)",
     true},
};
constexpr ExecutionFault kIgnored{"", MTLCommandBufferErrorAccessRevoked, 4,
                                  "Ignored (for causing prior/excessive GPU errors) "
                                  "(00000004:kIOGPUCommandBufferCallbackErrorSubmissionsIgnored)"};

const ExecutionFault& named(const char* name) {
  for (const ExecutionFault& fault : kFaults)
    if (std::string(fault.name) == name)
      return fault;
  __builtin_trap();
}

} // namespace

const ExecutionFault* fault_to_come(const std::string& queue_label) {
  if (device_is_lost())
    return &kIgnored;
  for (const ExecutionFault& fault : kFaults)
    if (take_fault(fault.name, queue_label))
      return &fault;
  return nullptr;
}

const ExecutionFault& fault_of_device_error(const std::string& code) {
  if (code == "deadline-exceeded")
    return named("timeout");
  if (code == "invalid-memory-access")
    return named("page-fault");
  return named("internal");
}

NSError* execution_error(const ExecutionFault& fault, const std::string& message,
                         bool with_encoders, const std::vector<std::string>& labels,
                         std::size_t faulted) {
  NSMutableDictionary* info = [NSMutableDictionary dictionary];
  [info setObject:[NSString stringWithUTF8String:fault.description]
           forKey:NSLocalizedDescriptionKey];
  [info setObject:[NSError errorWithDomain:@"IOGPUCommandQueueErrorDomain"
                                      code:fault.driver_code
                                  userInfo:nil]
           forKey:NSUnderlyingErrorKey];
  if (!message.empty()) // for whoever debugs a test; Apple has no such key
    [info setObject:ns(message) forKey:@"MetalStandinReason"];
  if (with_encoders) {
    NSMutableArray* encoders = [NSMutableArray array];
    for (std::size_t i = 0; i < labels.size(); ++i) {
      const MTLCommandEncoderErrorState state = i < faulted ? MTLCommandEncoderErrorStateCompleted
                                                : i == faulted ? MTLCommandEncoderErrorStateFaulted
                                                               : MTLCommandEncoderErrorStatePending;
      [encoders addObject:[[[StandinEncoderInfo alloc] initWithLabel:ns(labels[i])
                                                               state:state] autorelease]];
    }
    [info setObject:encoders forKey:MTLCommandBufferEncoderInfoErrorKey];
  }
  return [NSError errorWithDomain:MTLCommandBufferErrorDomain code:fault.code userInfo:info];
}

} // namespace metal_standin
