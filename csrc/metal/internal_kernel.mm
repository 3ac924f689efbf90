// The device's own little kernels.
#include "metal/internal_kernel.h"

#include "metal/compile_options.h"
#include "metal/failures.h"
#include "metal/pipeline.h"

namespace metalwright::metal {

Owned<id<MTLComputePipelineState>> internal_kernel(Context& context, const std::string& source,
                                                   const std::string& name) {
  CompileOptions options;
  options.language_version = newest_language_version(context.os);
  std::vector<Diagnostic> warnings;
  const auto made = make_compile_options(options, context.os, warnings);
  NSError* error = nil;
  const auto library =
      Owned<id<MTLLibrary>>::adopt([context.device.get() newLibraryWithSource:to_objc(source).get()
                                                                      options:made.get()
                                                                        error:&error]);
  if (!library)
    throw Error(errors::code_generation,
                "kernel '" + name + "' did not compile: " + describe_error(error));
  const auto function =
      Owned<id<MTLFunction>>::adopt([library.get() newFunctionWithName:to_objc(name).get()]);
  if (!function)
    throw Error(errors::code_generation, "kernel '" + name + "' is not in its library");
  return make_pipeline(context, function.get(), name, nullptr, "").state;
}

} // namespace metalwright::metal
