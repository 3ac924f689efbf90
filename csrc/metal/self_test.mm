// Whether the device computes.
#include "metal/self_test.h"

#include "metal/commands.h"
#include "metal/guarded.h"
#include "metal/internal_kernel.h"

namespace metalwright::metal {

namespace {

constexpr const char* kSource = R"(
#include <metal_stdlib>
kernel void metalwright_self_test(device uint* out, uint i [[thread_position_in_grid]]) {
  out[i] = i * 2654435761u + 12345u;
})";
constexpr unsigned kThreads = 1000; // not a multiple of the threadgroup: the edge is run as well

// Empty if it computed the right numbers.
std::string try_kernel(Context& context, double seconds) {
  const auto pipeline = internal_kernel(context, kSource, "metalwright_self_test");
  const auto buffer = make_buffer(context.device.get(), kThreads * sizeof(std::uint32_t));
  auto* const numbers = static_cast<std::uint32_t*>([buffer.get() contents]);
  for (unsigned i = 0; i < kThreads; ++i)
    numbers[i] = 0;
  WaitLimits limits;
  limits.deadline = seconds;
  const auto outcome = run_commands(
      context, "the self-test",
      [&](id<MTLComputeCommandEncoder> encoder) {
        [encoder setComputePipelineState:pipeline.get()];
        [encoder setBuffer:buffer.get() offset:0 atIndex:0];
        [encoder dispatchThreads:MTLSizeMake(kThreads, 1, 1)
            threadsPerThreadgroup:MTLSizeMake(64, 1, 1)];
      },
      limits);
  if (const auto* failure = std::get_if<CommandFailure>(&outcome))
    return failure->text;
  for (std::uint32_t i = 0; i < kThreads; ++i)
    if (numbers[i] != i * 2654435761u + 12345u)
      return "element " + std::to_string(i) + " is " + std::to_string(numbers[i]) + " instead of " +
             std::to_string(i * 2654435761u + 12345u);
  return {};
}

} // namespace

FacilityTest run_self_test(Context& context, double seconds) {
  std::string problem;
  auto body = [&] { in_pool([&] { problem = try_kernel(context, seconds); }); };
  if (const std::exception_ptr thrown =
          catch_exception([](void* pointer) { (*static_cast<decltype(body)*>(pointer))(); }, &body))
    problem = describe(thrown);
  context.health.set_lost(problem);
  return {problem.empty(), problem};
}

} // namespace metalwright::metal
