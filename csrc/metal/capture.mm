// GPU traces.
#include "metal/capture.h"

#include "metal/failures.h"

#include <filesystem>

namespace metalwright::metal {

void start_capture(Context& context, const std::string& path) {
  MTLCaptureManager* const manager = [MTLCaptureManager sharedCaptureManager];
  if (![manager supportsDestination:MTLCaptureDestinationGPUTraceDocument])
    throw Error(errors::capture_not_enabled,
                "GPU traces have to be allowed before the process starts: run it again with "
                "MTL_CAPTURE_ENABLED=1 in its environment");
  if (!path.ends_with(".gputrace"))
    throw Error(errors::capture_path, path + ": the name of a GPU trace ends in .gputrace");
  std::error_code ignored;
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  if (std::filesystem::exists(path, ignored))
    throw Error(errors::capture_path,
                path + " exists already, and Metal does not replace it: remove it, or choose "
                       "another name");
  if (!folder.empty() && !std::filesystem::is_directory(folder, ignored))
    throw Error(errors::capture_path, folder.string() + ": there is no such folder");
  if ([manager isCapturing])
    throw Error(errors::capture_active,
                "a GPU trace is being captured already, perhaps by Xcode: one at a time");
  auto descriptor = Owned<MTLCaptureDescriptor*>::adopt([[MTLCaptureDescriptor alloc] init]);
  // The whole device: torch's queue is not ours.
  descriptor.get().captureObject = context.device.get();
  descriptor.get().destination = MTLCaptureDestinationGPUTraceDocument;
  descriptor.get().outputURL = [NSURL fileURLWithPath:to_objc(path).get()];
  NSError* error = nil;
  if (![manager startCaptureWithDescriptor:descriptor.get() error:&error])
    throw Error(errors::capture_failed,
                "Metal did not begin the GPU trace " + path + ": " + describe_error(error));
}

void stop_capture() {
  MTLCaptureManager* const manager = [MTLCaptureManager sharedCaptureManager];
  if (![manager isCapturing])
    throw Error(errors::no_capture, "no GPU trace is being captured");
  [manager stopCapture];
}

} // namespace metalwright::metal
