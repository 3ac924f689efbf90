// The functions that generated code may call, by name.
#include "cpu/checker.h"
#include "cpu/collectives.h"
#include "cpu/lane_scheduler.h"
#include "cpu/loaded_object.h"
#include "cpu/runtime_log.h"
#include "cpu/simdgroup_scheduler.h"
#include "cpu/texture.h"
#include "simt/checked.h"
#include "simt/vector_builder.h"

#include <cmath>
#include <cstring>
#include <string_view>

namespace metalwright::cpu {

template <class Function> static void* address(Function* function) {
  return reinterpret_cast<void*>(function);
}

void* runtime_symbol(const std::string& name) {
  static constexpr std::string_view kPrefix = simt::kCombinePrefix;
  if (name.starts_with(kPrefix)) {
    simt::Combine* combine = find_combine(std::string_view(name).substr(kPrefix.size()));
    return combine ? address(combine) : nullptr;
  }
  if (name == simt::kBarrierFunction)
    return address(&metalwright_barrier);
  if (name == simt::kMeetFunction)
    return address(&metalwright_meet);
  if (name == simt::kCollectiveFunction)
    return address(&metalwright_collective);
  if (name == simt::kSimdgroupBarrierFunction)
    return address(&metalwright_simdgroup_barrier);
  if (name == simt::kSimdgroupDivergedFunction)
    return address(&metalwright_simdgroup_diverged);
  if (name == "metalwright_os_log")
    return address(&metalwright_os_log);
  if (name == "metalwright_texture_read")
    return address(&metalwright_texture_read);
  if (name == "metalwright_texture_write")
    return address(&metalwright_texture_write);
  if (name == "metalwright_texture_sample")
    return address(&metalwright_texture_sample);
  if (name == "metalwright_texture_gather")
    return address(&metalwright_texture_gather);
  if (name == "metalwright_texture_sampler_state")
    return address(&metalwright_texture_sampler_state);
  if (name == "metalwright_texture_size")
    return address(&metalwright_texture_size);
  if (void* hook = checker_symbol(name))
    return hook;
  if (name == "memcpy")
    return address(&std::memcpy);
  if (name == "memmove")
    return address(&std::memmove);
  if (name == "memset")
    return address(&std::memset);
  if (name == "fmodf")
    return address(static_cast<float (*)(float, float)>(&std::fmod));
  if (name == "fmod")
    return address(static_cast<double (*)(double, double)>(&std::fmod));
  if (name == "fmaf")
    return address(static_cast<float (*)(float, float, float)>(&std::fma));
  if (name == "ldexpf")
    return address(static_cast<float (*)(float, int)>(&std::ldexp));
  return nullptr;
}

} // namespace metalwright::cpu
