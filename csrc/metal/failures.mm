// What became of a command buffer that did not complete.
#include "metal/failures.h"

#include "metal/objects.h"

namespace metalwright::metal {

namespace {

const char* code_of(NSError* error, const std::string& text) {
  // The reason that the driver gives is in the text only; its code in the error is the general one.
  if (text.find("ImpactingInteractivity") != std::string::npos ||
      text.find("Impacting Interactivity") != std::string::npos)
    return errors::impacting_interactivity;
  switch (static_cast<MTLCommandBufferError>([error code])) {
  case MTLCommandBufferErrorTimeout:
    return errors::gpu_timeout;
  case MTLCommandBufferErrorPageFault:
    return errors::gpu_page_fault;
  case MTLCommandBufferErrorAccessRevoked:
    return errors::gpu_access_revoked;
  case MTLCommandBufferErrorOutOfMemory:
    return errors::gpu_out_of_memory;
  case MTLCommandBufferErrorDeviceRemoved:
    return errors::device_lost;
  case MTLCommandBufferErrorStackOverflow:
    return errors::gpu_stack_overflow;
  default:
    return errors::gpu_error;
  }
}

const char* state_name(MTLCommandEncoderErrorState state) {
  switch (state) {
  case MTLCommandEncoderErrorStateCompleted:
    return "completed";
  case MTLCommandEncoderErrorStateAffected:
    return "affected by another's fault";
  case MTLCommandEncoderErrorStatePending:
    return "not begun";
  case MTLCommandEncoderErrorStateFaulted:
    return "faulted";
  default:
    return "in an unknown state";
  }
}

} // namespace

std::string describe_error(NSError* error) {
  std::string text = from_objc([error localizedDescription]);
  return text.empty() ? "no reason given" : text;
}

CommandFailure describe_failure(id<MTLCommandBuffer> commands) {
  NSError* const error = [commands error];
  std::string text = describe_error(error);
  const char* const code = code_of(error, text);
  text += " (" + from_objc([error domain]) + " " + std::to_string([error code]) + ")";
  NSArray<id<MTLCommandBufferEncoderInfo>>* const encoders =
      [[error userInfo] objectForKey:MTLCommandBufferEncoderInfoErrorKey];
  for (id<MTLCommandBufferEncoderInfo> encoder in encoders)
    text += "; its encoder " + std::string(state_name([encoder errorState]));
  return {code, std::move(text)};
}

} // namespace metalwright::metal
