// The stand-in for torch's stream, as each release behaves.
#include "scenario.h"

#include "torch_stream.h"
#import <MetalPerformanceShaders/MetalPerformanceShaders.h>
#include <dispatch/dispatch.h>

#include <dlfcn.h>

using namespace scenario;

namespace {

// As a program finds them that does not link torch.
template <typename Function> Function* find(const char* name) {
  void* found = dlsym(RTLD_DEFAULT, name);
  check(found != nullptr, std::string(name) + " is visible");
  return reinterpret_cast<Function*>(found);
}
id<MTLCommandBuffer> get_command_buffer() {
  return (id<MTLCommandBuffer>)find<void*()>("_ZN5torch3mps18get_command_bufferEv")();
}
dispatch_queue_t get_dispatch_queue() {
  return find<dispatch_queue_t()>("_ZN5torch3mps18get_dispatch_queueEv")();
}
void commit() {
  find<void()>("_ZN5torch3mps6commitEv")();
}
void synchronize() {
  find<void()>("_ZN5torch3mps11synchronizeEv")();
}

// Four floats of torch's, all 1.
struct Tensor {
  std::uint64_t buffer = torch_standin::new_buffer(16, false, 256, 0);
  Tensor() {
    for (int i = 0; i < 4; ++i)
      at(i) = 1;
  }
  Tensor(const Tensor&) = delete;
  ~Tensor() { torch_standin::release_buffer(buffer); }
  float& at(int i) const { return static_cast<float*>(torch_standin::buffer_memory(buffer))[i]; }
};

// Ours, in torch's stream, after torch 2.9 in the one order that is right.
void copy_in_stream(const Bench& bench, id<MTLBuffer> in, id<MTLBuffer> out) {
  id<MTLCommandBuffer> commands = get_command_buffer();
  id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
  [encoder setComputePipelineState:bench.pipeline("copy")];
  [encoder setBuffer:out offset:0 atIndex:0];
  [encoder setBuffer:in offset:0 atIndex:1];
  [encoder dispatchThreads:MTLSizeMake(4, 1, 1) threadsPerThreadgroup:MTLSizeMake(4, 1, 1)];
  [encoder endEncoding];
  commit();
}

} // namespace

SCENARIO(torch_buffers_are_rounded_up) {
  const Bench bench;
  const Tensor tensor;
  CHECK(torch_standin::buffer_length(tensor.buffer) == 256);
  CHECK(torch_standin::buffer_retain_count(tensor.buffer) == 1);
  const std::uint64_t hidden = torch_standin::new_buffer(16, true, 256, 0);
  CHECK([(id<MTLBuffer>)hidden storageMode] == MTLStorageModePrivate);
  torch_standin::release_buffer(hidden);
}

SCENARIO(torch_work_runs_at_synchronize) {
  const Bench bench;
  const Tensor tensor;
  torch_standin::enqueue_multiply_add(tensor.buffer, 4, 3, 2, 5);
  CHECK(tensor.at(1) == 1); // encoded only
  synchronize();
  CHECK(tensor.at(0) == 1);
  CHECK(tensor.at(1) == 7 && tensor.at(3) == 7);
  torch_standin::reset();
}

SCENARIO(torch_28_leaves_its_encoder_open) {
  torch_standin::set_version(2, 8);
  const Bench bench;
  const Tensor tensor;
  torch_standin::enqueue_multiply_add(tensor.buffer, 0, 4, 2, 0);
  expect_misuse("second-encoder", ^{
    [get_command_buffer() computeCommandEncoder];
  });
  synchronize();
  CHECK(tensor.at(0) == 2);
  torch_standin::reset();
}

SCENARIO(torch_29_lets_others_in) {
  torch_standin::set_version(2, 9);
  const Bench bench;
  const Tensor tensor;
  id<MTLBuffer> out = bench.buffer(16);
  torch_standin::enqueue_multiply_add(tensor.buffer, 0, 4, 2, 0);
  copy_in_stream(bench, (id<MTLBuffer>)tensor.buffer, out);
  torch_standin::enqueue_multiply_add(tensor.buffer, 0, 4, 10, 0);
  synchronize();
  CHECK(static_cast<float*>([out contents])[0] == 2); // between torch's two
  CHECK(tensor.at(0) == 20);
  torch_standin::reset();
}

SCENARIO(torch_commit_swaps_the_root) {
  torch_standin::set_version(2, 13);
  const Bench bench;
  const Tensor tensor;
  auto in = (id<MTLBuffer>)tensor.buffer;
  dispatch_sync(get_dispatch_queue(), ^{
    auto* commands = (MPSCommandBuffer*)get_command_buffer();
    CHECK([commands respondsToSelector:@selector(rootCommandBuffer)]);
    id<MTLCommandBuffer> root = [commands rootCommandBuffer];
    copy_in_stream(bench, in, bench.buffer(16));
    CHECK([commands rootCommandBuffer] != root);
    CHECK([commands status] == MTLCommandBufferStatusNotEnqueued);
    [root waitUntilCompleted];
    CHECK([root status] == MTLCommandBufferStatusCompleted);
    CHECK([root GPUEndTime] > [root GPUStartTime]);
  });
  torch_standin::reset();
}

SCENARIO(torch_commit_with_our_encoder_open) {
  torch_standin::set_version(2, 13);
  const Bench bench;
  id<MTLComputeCommandEncoder> encoder = [get_command_buffer() computeCommandEncoder];
  expect_misuse("commit-with-open-encoder", ^{
    commit();
  });
  [encoder endEncoding];
  torch_standin::reset();
}

SCENARIO(torch_215_traps_off_its_queue) {
  torch_standin::set_version(2, 15);
  const Bench bench;
  const Tensor tensor;
  auto in = (id<MTLBuffer>)tensor.buffer;
  expect_misuse("torch-off-queue", ^{
    get_command_buffer();
  });
  expect_misuse("torch-off-queue", ^{
    commit();
  });
  id<MTLBuffer> out = bench.buffer(16);
  dispatch_sync(get_dispatch_queue(), ^{
    copy_in_stream(bench, in, out);
  });
  synchronize();
  CHECK(static_cast<float*>([out contents])[3] == 1);
  torch_standin::reset();
}

SCENARIO(torch_215_deadlocks_on_its_queue) {
  torch_standin::set_version(2, 15);
  const Bench bench;
  bool stopped = false;
  try {
    torch_standin::synchronize_on_queue();
  } catch (const std::runtime_error&) {
    stopped = true;
  }
  CHECK(stopped);
  CHECK(metal_standin::misuses().at(0).code == "dispatch-sync-deadlock");
  metal_standin::clear_misuses();
  torch_standin::set_version(2, 13); // earlier ones can
  torch_standin::synchronize_on_queue();
}
