// torch's stream on the GPU, without linking torch.
#include "metal/torch_stream.h"

#include "metal/guarded.h"

#include <dlfcn.h>

// MPSCommandBuffer of the framework MetalPerformanceShaders, which is not linked for one method.
@protocol MetalwrightRootedCommandBuffer <MTLCommandBuffer>
@property(readonly) id<MTLCommandBuffer> rootCommandBuffer;
@end

namespace metalwright::metal {

namespace {

// The public functions of torch/mps.h. Their mangled names are the same from torch 2.6 on, and
// asking for them by name works with every torch without building against its headers.
constexpr const char* kSynchronize = "_ZN5torch3mps11synchronizeEv";
constexpr const char* kCommit = "_ZN5torch3mps6commitEv";
constexpr const char* kGetCommandBuffer = "_ZN5torch3mps18get_command_bufferEv";
constexpr const char* kGetDispatchQueue = "_ZN5torch3mps18get_dispatch_queueEv";

template <class Function> void find(Function*& function, const char* name, void* library) {
  void* found = dlsym(RTLD_DEFAULT, name);
  if (!found && library)
    found = dlsym(library, name);
  function = reinterpret_cast<Function*>(found);
}

// Calls a function of torch's. Throws DispatchError("torch-error") for what that throws.
template <class Body> void call_torch(const char* name, Body body) {
  if (const std::exception_ptr thrown =
          catch_exception([](void* context) { (*static_cast<Body*>(context))(); }, &body))
    throw DispatchError(errors::torch_error,
                        "torch::mps::" + std::string(name) + " failed: " + describe(thrown));
}

} // namespace

void TorchStream::use(const TorchInProcess& torch) {
  // Only a library that is loaded already; never loads one.
  void* const library =
      torch.library.empty() ? nullptr : dlopen(torch.library.c_str(), RTLD_LAZY | RTLD_NOLOAD);
  Functions found;
  find(found.synchronize, kSynchronize, library);
  find(found.commit, kCommit, library);
  find(found.get_command_buffer, kGetCommandBuffer, library);
  find(found.get_dispatch_queue, kGetDispatchQueue, library);
  if (library)
    dlclose(library); // torch itself keeps it
  if (!found.synchronize || !found.commit || !found.get_command_buffer || !found.get_dispatch_queue)
    throw Error(errors::no_torch_stream,
                "torch " + std::to_string(torch.major) + "." + std::to_string(torch.minor) +
                    " in this process has no functions torch::mps::..., so its stream cannot be "
                    "reached");
  const std::lock_guard lock(mutex_);
  functions_ = found;
  major_ = torch.major;
  minor_ = torch.minor;
}

TorchStream::Functions TorchStream::functions() const {
  const std::lock_guard lock(mutex_);
  return functions_;
}

bool TorchStream::is_used() const {
  return functions().synchronize != nullptr;
}

void TorchStream::synchronize() const {
  if (const auto function = functions().synchronize)
    call_torch("synchronize", function);
}

FacilityTest TorchStream::in_stream() const {
  const std::lock_guard lock(mutex_);
  if (!functions_.synchronize)
    return {false, "torch has not been imported, or its mps is not available"};
  // Up to 2.8 torch leaves its own encoder open on the command buffer it hands out, and a second
  // one aborts the process.
  if (major_ < 2 || (major_ == 2 && minor_ < 9))
    return {false, "torch " + std::to_string(major_) + "." + std::to_string(minor_) +
                       " keeps an encoder of its own open on its stream; torch 2.9 is the first "
                       "that lets others in"};
  return {true, ""};
}

Owned<id<MTLCommandBuffer>> TorchStream::encode_and_commit(const Functions& torch,
                                                           const Encode& encode) {
  id<MTLCommandBuffer> commands = nil;
  call_torch("get_command_buffer", [&] { commands = torch.get_command_buffer(); });
  if (!commands)
    throw DispatchError(errors::torch_error, "torch::mps::get_command_buffer gave none");
  // torch's is a wrapper that commit() gives a new command buffer: the one that will hold this
  // dispatch is the root of now.
  id<MTLCommandBuffer> root = commands;
  if ([commands respondsToSelector:@selector(rootCommandBuffer)])
    root = [(id<MetalwrightRootedCommandBuffer>)commands rootCommandBuffer];
  auto kept = Owned<id<MTLCommandBuffer>>::share(root);
  {
    id<MTLComputeCommandEncoder> const encoder =
        [commands computeCommandEncoderWithDispatchType:MTLDispatchTypeSerial];
    if (!encoder)
      throw DispatchError(errors::torch_error, "torch's command buffer gave no encoder");
    const Encoding ends(encoder); // torch must find its stream without an open encoder
    encode(encoder);
  }
  call_torch("commit", torch.commit);
  return kept;
}

Owned<id<MTLCommandBuffer>> TorchStream::encode(const Encode& encode) const {
  if (const FacilityTest test = in_stream(); !test.usable)
    throw Error(errors::no_torch_stream, "no dispatch in torch's stream: " + test.reason);
  struct Work {
    Functions torch;
    const Encode& encode;
    Owned<id<MTLCommandBuffer>> root;
    std::exception_ptr thrown;
  } work{functions(), encode, {}, nullptr};
  // On torch's queue, where no exception may leave.
  const auto on_queue = [](void* context) {
    static_cast<Work*>(context)->thrown = catch_exception(
        [](void* inner) {
          Work& work = *static_cast<Work*>(inner);
          in_pool([&] { work.root = encode_and_commit(work.torch, work.encode); });
        },
        context);
  };
  // From torch 2.15 on, get_command_buffer() and commit() stop the process off torch's queue;
  // synchronize() on it deadlocks, so nothing there waits.
  dispatch_queue_t queue = nullptr;
  call_torch("get_dispatch_queue", [&] { queue = work.torch.get_dispatch_queue(); });
  dispatch_sync_f(queue, &work, on_queue);
  if (work.thrown)
    std::rethrow_exception(work.thrown);
  return std::move(work.root);
}

} // namespace metalwright::metal
