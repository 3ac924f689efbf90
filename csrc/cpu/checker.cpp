// Regions, definedness and order, as instrumented code goes along.
#include "cpu/checker.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>

namespace metalwright::cpu {

using simt::CheckKind;
using simt::CheckSite;
using simt::kSimdgroupSize;
using simt::Lane;

Checker* Checker::current = nullptr;

static std::uint64_t threads_of(const simt::LaunchContext& launch) {
  return std::uint64_t{launch.dispatch_threads_per_threadgroup[0]} *
         launch.dispatch_threads_per_threadgroup[1] * launch.dispatch_threads_per_threadgroup[2];
}

Checker::Checker(const CheckedCode& code, const simt::LaunchContext& launch, ThreadState& thread)
    : code_(code), launch_(launch), thread_(thread),
      regions_(simt::kFirstVariable + code.tables.regions.size()), shadow_lanes_(kSimdgroupSize) {
  const std::uint64_t threads = (threads_of(launch) + 31) / 32 * 32;
  auto allocate = [&](std::uint64_t size) {
    memory_.push_back(std::make_unique<std::byte[]>(size + 512));
    auto at = reinterpret_cast<std::uintptr_t>(memory_.back().get());
    return reinterpret_cast<std::byte*>((at + 255) / 256 * 256);
  };
  frame_size_ = (code.tables.frame_size + 255) / 256 * 256;
  block_size_ = simt::kMaxThreadgroupMemory;
  block_ = allocate(block_size_ + 256);
  block_shadow_ = allocate(block_size_ + 256);
  block_origins_ = reinterpret_cast<std::uint32_t*>(allocate(block_size_ + 256));
  frames_ = allocate(threads * frame_size_ + 256);
  frame_shadows_ = allocate(threads * frame_size_ + 256);
  frame_origins_ = reinterpret_cast<std::uint32_t*>(allocate(threads * frame_size_ + 256));
  lane_shadows_ = allocate(threads * sizeof(Lane) + 256);
  lane_origins_ = reinterpret_cast<std::uint32_t*>(allocate(threads * sizeof(Lane) + 256));
  frame_origin_template_.resize(frame_size_ / 4);
  for (std::size_t i = 0; i < code.tables.regions.size(); ++i) {
    const simt::CheckRegion& from = code.tables.regions[i];
    Region& region = regions_[simt::kFirstVariable + i];
    region.offset = from.offset;
    region.size = from.size;
    region.name = from.name;
    switch (from.kind) {
    case simt::CheckRegion::Kind::constant:
      region.kind = Kind::constant;
      continue;
    case simt::CheckRegion::Kind::threadgroup:
      region.kind = Kind::threadgroup;
      region.memory = block_ + from.offset;
      region.races = std::make_unique<RaceShadow>(from.size, true);
      continue;
    case simt::CheckRegion::Kind::local:
      break;
    }
    region.kind = Kind::local;
    region.memory = frames_ + from.offset;
    std::fill_n(frame_origin_template_.begin() + static_cast<std::ptrdiff_t>(from.offset / 4),
                (from.size + 3) / 4, static_cast<std::uint32_t>(simt::kFirstVariable + i));
  }
}

Checker::~Checker() {
  if (current == this)
    current = nullptr;
}

void* Checker::bind_buffer(unsigned slot, const Argument& argument, std::byte* memory,
                           std::uint64_t length) {
  Region& region = regions_[slot + 1];
  region.kind = Kind::buffer;
  region.memory = memory;
  region.size = length;
  region.name = argument.name;
  region.element = argument.size;
  region.argument = &argument;
  region.is_read_only =
      argument.access == Access::read || argument.address_space == AddressSpace::constant;
  if (!region.is_read_only && !only_running_)
    region.races = std::make_unique<RaceShadow>(length, false);
  return reinterpret_cast<void*>(std::uint64_t{slot + 1} << simt::kRegionShift | simt::kRegionBias);
}

void* Checker::bind_threadgroup_memory(unsigned slot, const Argument& argument,
                                       std::uint64_t offset, std::uint64_t length) {
  Region& region = regions_[slot + 1];
  region.kind = Kind::threadgroup;
  region.memory = block_ + offset;
  region.offset = offset;
  region.size = length;
  region.name = argument.name;
  region.element = argument.size;
  region.argument = &argument;
  region.races = std::make_unique<RaceShadow>(length, true);
  return reinterpret_cast<void*>(std::uint64_t{slot + 1} << simt::kRegionShift | simt::kRegionBias);
}

// ------------------------------------------------------------------------------ pointers

Checker::Target Checker::resolve(std::uint64_t pointer) {
  // An offset that is far below zero borrows from the number.
  const std::uint64_t number = pointer >> simt::kRegionShift;
  if (number == 0 || number >= regions_.size() || regions_[number].kind == Kind::none)
    return {};
  return {&regions_[number], number,
          static_cast<std::int64_t>((pointer & ((std::uint64_t{1} << simt::kRegionShift) - 1)) -
                                    simt::kRegionBias)};
}

std::byte* Checker::address(const Region& region, std::int64_t offset) const {
  std::byte* base = region.memory;
  if (region.kind == Kind::local)
    base += thread_index() * frame_size_;
  return base + offset;
}

std::byte* Checker::defined_of(const Region& region, std::int64_t offset) {
  if (region.kind == Kind::threadgroup)
    return block_shadow_ + region.offset + offset;
  return frame_shadows_ + thread_index() * frame_size_ + region.offset + offset;
}

std::uint32_t* Checker::origin_of(const Region& region, std::int64_t offset) {
  const std::uint64_t at = (region.offset + static_cast<std::uint64_t>(offset)) / 4;
  if (region.kind == Kind::threadgroup)
    return block_origins_ + at;
  return frame_origins_ + thread_index() * frame_size_ / 4 + at;
}

// ------------------------------------------------------------------------------ accesses

// What generated code has written since the last hook.
void Checker::settle() {
  Pending& pending = pending_;
  if (pending.misaligned_to) {
    std::memcpy(pending.misaligned_to, sink_, pending.size);
    pending.misaligned_to = nullptr;
  }
  if (!pending.races)
    return;
  const std::uint64_t compared = std::min<std::uint64_t>(pending.size, sizeof pending.before);
  pending.record.changed = std::memcmp(pending.before, pending.memory, compared) != 0;
  if (pending.has_conflict)
    note_conflict(pending.region, static_cast<std::int64_t>(pending.offset), pending.size,
                  pending.site, pending.other, pending.other_read, !pending.record.changed);
  pending.races->write(pending.offset, pending.size, pending.record, clock_);
  pending.races = nullptr;
}

void Checker::watch(Region& region, std::uint64_t number, std::int64_t offset, std::uint64_t size,
                    std::uint32_t site, bool writes) {
  if (!region.races || only_running_ || size == 0)
    return;
  const auto at = static_cast<std::uint64_t>(offset);
  if (region.races->must_refine(at, size)) {
    thread_.busy = true;
    region.races->refine();
    thread_.busy = false;
  }
  AccessRecord record;
  record.time = clock_.now();
  record.group = group_;
  record.site = site;
  record.thread = static_cast<std::uint16_t>(thread_index());
  record.is_atomic = code_.tables.sites[site].is_atomic;
  if (!writes) {
    if (const auto other = region.races->read(at, size, record, clock_))
      note_conflict(number, offset, size, site, *other, false, !other->changed);
    return;
  }
  pending_.has_conflict = false;
  if (const auto other = region.races->conflict(at, size, record, clock_, pending_.other_read)) {
    pending_.has_conflict = true;
    pending_.other = *other;
  }
  pending_.races = region.races.get();
  pending_.memory = address(region, offset);
  pending_.offset = at;
  pending_.size = size;
  pending_.record = record;
  pending_.site = site;
  pending_.region = number;
  std::memcpy(pending_.before, pending_.memory,
              std::min<std::uint64_t>(size, sizeof pending_.before));
}

void* Checker::access(std::uint64_t pointer, std::uint32_t site_number) {
  settle();
  last_site_ = site_number;
  const CheckSite& site = code_.tables.sites[site_number];
  const Target target = resolve(pointer);
  const bool reads_only = site.kind == CheckKind::read;
  if (!target.region) {
    if (pointer >> simt::kRegionShift != 0 || pointer < 4096) {
      out_of_bounds(target, site.size, site_number, reads_only ? "read" : "write");
      return site.kind == CheckKind::write ? sink_ : zeros_;
    }
    return reinterpret_cast<void*>(pointer);
  }
  Region& region = *target.region;
  if (!inside(region, target.offset, site.size)) {
    out_of_bounds(target, site.size, site_number, reads_only ? "read" : "write");
    if (site.kind == CheckKind::write)
      return sink_;
    // Generated code may have changed it in an atomic operation.
    std::memset(zeros_, 0, std::min<std::size_t>(site.size, sizeof zeros_));
    return zeros_;
  }
  std::byte* memory = address(region, target.offset);
  if (region.kind == Kind::buffer && site.kind == CheckKind::write && !only_running_) {
    const std::size_t stored = std::min<std::size_t>(site.size, sizeof staged_);
    const std::size_t meant = std::min<std::size_t>(stored, site.ignored_from);
    if (std::any_of(staged_, staged_ + meant, [](std::byte b) { return b != std::byte{0}; }))
      report_undefined("stored to " + describe(region), site.place, staged_origin_[0]);
    std::memset(staged_, 0, stored);
  }
  watch(region, target.number, target.offset, site.size, site_number, !reads_only);
  if (reinterpret_cast<std::uintptr_t>(memory) % site.alignment != 0) {
    misaligned(region, target.offset, site.size, site.alignment, site.place,
               reads_only ? "read" : "write");
    pending_.races = nullptr;
    if (reads_only || site.kind == CheckKind::write) {
      std::memcpy(sink_, memory, std::min<std::size_t>(site.size, sizeof sink_));
      if (!reads_only) {
        pending_.misaligned_to = memory;
        pending_.size = site.size;
      }
    }
    return sink_;
  }
  return memory;
}

void Checker::copy(std::uint64_t to, std::uint64_t from, std::uint64_t bytes,
                   std::uint32_t site_number) {
  settle();
  last_site_ = site_number;
  const Target target = resolve(to);
  const Target source = resolve(from);
  auto is_wrong = [&](const Target& which, std::uint64_t pointer, const char* doing) {
    const bool wrong = which.region ? !inside(*which.region, which.offset, bytes)
                                    : pointer >> simt::kRegionShift != 0 || pointer < 4096;
    if (wrong && bytes != 0)
      out_of_bounds(which, bytes, site_number, doing);
    return wrong;
  };
  const bool bad_source = is_wrong(source, from, "read");
  const bool bad_target = is_wrong(target, to, "write");
  if (bad_target || bytes == 0)
    return;
  const CheckSite& site = code_.tables.sites[site_number];
  auto check_alignment = [&](const Target& which, std::uint32_t alignment, const char* doing) {
    if (which.region &&
        reinterpret_cast<std::uintptr_t>(address(*which.region, which.offset)) % alignment != 0)
      misaligned(*which.region, which.offset, bytes, alignment, site.place, doing);
  };
  if (!bad_source)
    check_alignment(source, site.source_alignment, "read");
  check_alignment(target, site.alignment, "write");
  std::byte* into =
      target.region ? address(*target.region, target.offset) : reinterpret_cast<std::byte*>(to);
  if (source.region && !bad_source)
    watch(*source.region, source.number, source.offset, bytes, site_number, false);
  if (target.region)
    watch(*target.region, target.number, target.offset, bytes, site_number, true);
  if (bad_source)
    std::memset(into, 0, bytes);
  else
    std::memmove(into,
                 source.region ? address(*source.region, source.offset)
                               : reinterpret_cast<std::byte*>(from),
                 bytes);
  if (!target.region)
    return;
  // Definedness goes along; what comes from buffers and constants is defined.
  const bool has_shadow = source.region && !bad_source && this->has_shadow(*source.region);
  if (this->has_shadow(*target.region)) {
    std::byte* shadow = defined_of(*target.region, target.offset);
    if (has_shadow) {
      std::memmove(shadow, defined_of(*source.region, source.offset), bytes);
      std::memmove(origin_of(*target.region, target.offset),
                   origin_of(*source.region, source.offset), (bytes + 3) / 4 * 4);
    } else {
      std::memset(shadow, 0, bytes);
    }
  } else if (has_shadow && !only_running_) {
    // Padding and members without a value are copied along by everybody.
    const std::byte* shadow = defined_of(*source.region, source.offset);
    if (std::all_of(shadow, shadow + bytes, [](std::byte b) { return b != std::byte{0}; }))
      report_undefined("stored to " + describe(*target.region), site.place,
                       *origin_of(*source.region, source.offset));
  }
}

void Checker::fill(std::uint64_t to, std::uint8_t value, std::uint64_t bytes,
                   std::uint32_t site_number) {
  settle();
  last_site_ = site_number;
  const Target target = resolve(to);
  if (bytes == 0)
    return;
  if (target.region ? !inside(*target.region, target.offset, bytes)
                    : to >> simt::kRegionShift != 0 || to < 4096)
    return out_of_bounds(target, bytes, site_number, "write");
  if (!target.region) {
    std::memset(reinterpret_cast<void*>(to), value, bytes);
    return;
  }
  watch(*target.region, target.number, target.offset, bytes, site_number, true);
  std::memset(address(*target.region, target.offset), value, bytes);
  if (has_shadow(*target.region))
    std::memset(defined_of(*target.region, target.offset), 0, bytes);
}

int Checker::compare(std::uint64_t a, std::uint64_t b, std::uint64_t bytes,
                     std::uint32_t site_number) {
  settle();
  last_site_ = site_number;
  const std::byte* memory[2] = {};
  const std::uint64_t pointers[2] = {a, b};
  for (unsigned i = 0; i < 2; ++i) {
    const Target target = resolve(pointers[i]);
    if (target.region ? !inside(*target.region, target.offset, bytes)
                      : pointers[i] >> simt::kRegionShift != 0 || pointers[i] < 4096) {
      out_of_bounds(target, bytes, site_number, "read");
      return 0;
    }
    if (target.region)
      watch(*target.region, target.number, target.offset, bytes, site_number, false);
    memory[i] = target.region ? address(*target.region, target.offset)
                              : reinterpret_cast<const std::byte*>(pointers[i]);
  }
  return std::memcmp(memory[0], memory[1], bytes);
}

// ------------------------------------------------------------------------------ definedness

void Checker::poison(const Region& region, std::uint64_t number) {
  std::memset(defined_of(region, 0), 0xff, region.size);
  std::fill_n(origin_of(region, 0), (region.size + 3) / 4, static_cast<std::uint32_t>(number));
}

void Checker::scope(std::uint32_t index) {
  settle();
  const std::uint64_t number = simt::kFirstVariable + index;
  poison(regions_[number], number);
}

Checker::Metadata Checker::metadata(std::uint64_t pointer, std::uint64_t size, bool for_store) {
  const Target target = resolve(pointer);
  if (!target.region) {
    const auto lane = reinterpret_cast<std::uintptr_t>(lane_);
    if (pointer >= lane && pointer + size <= lane + sizeof(Lane)) {
      const std::uint64_t at = thread_index() * sizeof(Lane) + (pointer - lane);
      return {lane_shadows_ + at, lane_origins_ + at / 4};
    }
  } else if (inside(*target.region, target.offset, size) && has_shadow(*target.region)) {
    return {defined_of(*target.region, target.offset), origin_of(*target.region, target.offset)};
  }
  if (for_store) {
    std::memset(staged_, 0, std::min<std::size_t>(size, sizeof staged_));
    return {staged_, staged_origin_};
  }
  static std::byte clean[4096];
  static std::uint32_t no_origin[1024];
  return {clean, no_origin};
}

void Checker::undefined(std::uint32_t origin, std::uint32_t site) {
  const CheckSite& where = code_.tables.sites[site];
  report_undefined("used for " + where.what, where.place, origin);
}

void Checker::update(std::uint64_t pointer, std::uint32_t site) {
  const CheckSite& where = code_.tables.sites[site];
  const Target target = resolve(pointer);
  if (!target.region || !has_shadow(*target.region) || only_running_ ||
      !inside(*target.region, target.offset, where.size))
    return;
  const std::byte* shadow = defined_of(*target.region, target.offset);
  if (std::any_of(shadow, shadow + where.size, [](std::byte b) { return b != std::byte{0}; }))
    report_undefined("used for " + where.what, where.place,
                     *origin_of(*target.region, target.offset));
}

// ------------------------------------------------------------------------------ threads

void Checker::on_threadgroup(const simt::ThreadgroupContext& threadgroup) {
  settle();
  group_ =
      threadgroup.position[0] +
      launch_.threadgroups_per_grid[0] *
          (threadgroup.position[1] + launch_.threadgroups_per_grid[1] * threadgroup.position[2]);
  std::copy_n(threadgroup.threads, 3, group_threads_);
  clock_.start_threadgroup(group_, static_cast<unsigned>(threads_of(launch_)));
  barrier_flags_ = 0;
  for (std::size_t i = 0; i < regions_.size(); ++i)
    if (regions_[i].kind == Kind::threadgroup)
      poison(regions_[i], i);
}

// What MemorySanitizer's code passes beside arguments and results.
alignas(16) static std::byte context_state[8192];

void Checker::on_start(Lane& lane) {
  settle();
  lane_ = &lane;
  const unsigned index = lane.index_in_threadgroup;
  std::memset(frame_shadows_ + index * frame_size_, 0xff, frame_size_);
  std::memcpy(frame_origins_ + index * frame_size_ / 4, frame_origin_template_.data(), frame_size_);
  std::memset(lane_shadows_ + index * sizeof(Lane), 0, sizeof(Lane));
  std::memset(context_state, 0, 1600); // parameters and results
}

void Checker::on_meet(Lane* lanes, std::uint32_t there, std::uint32_t site, simt::Combine* combine,
                      std::uint32_t count) {
  settle();
  const unsigned first = static_cast<unsigned>(std::countr_zero(there));
  if (combine && !only_running_)
    check_operands(lanes, there, site, combine, count);
  // The end of an iteration is where lanes meet for our purposes, not for the program's.
  if (combine || code_.sites[site].what == "simdgroup_barrier")
    clock_.meet(lanes[first].simdgroup_index, there);
}

void Checker::on_barrier(std::uint32_t) {
  settle();
  clock_.barrier(barrier_flags_ & 2, barrier_flags_ & 1);
  barrier_flags_ = 0;
}

// ------------------------------------------------------------------------------ the hooks

namespace {

template <unsigned Size, bool Store> Checker::Metadata metadata_of(std::uint64_t pointer) {
  return Checker::current->metadata(pointer, Size, Store);
}
template <bool Store> Checker::Metadata metadata_n(std::uint64_t pointer, std::uint64_t size) {
  return Checker::current->metadata(pointer, size, Store);
}
void* hook_access(std::uint64_t pointer, std::uint32_t site) {
  return Checker::current->access(pointer, site);
}
void hook_copy(std::uint64_t to, std::uint64_t from, std::uint64_t bytes, std::uint32_t site) {
  Checker::current->copy(to, from, bytes, site);
}
void hook_fill(std::uint64_t to, std::uint8_t value, std::uint64_t bytes, std::uint32_t site) {
  Checker::current->fill(to, value, bytes, site);
}
int hook_compare(std::uint64_t a, std::uint64_t b, std::uint64_t bytes, std::uint32_t site) {
  return Checker::current->compare(a, b, bytes, site);
}
void hook_condition(std::uint32_t holds, std::uint32_t site) {
  if (holds != 0)
    Checker::current->condition(site);
}
void hook_undefined(std::uint32_t origin, std::uint32_t site) {
  Checker::current->undefined(origin, site);
}
void hook_update(std::uint64_t pointer, std::uint32_t site) {
  Checker::current->update(pointer, site);
}
void hook_scope(std::uint32_t region) {
  Checker::current->scope(region);
}
void hook_constant(std::uint32_t region, std::byte* address) {
  Checker::current->constant(region, address);
}
void hook_fence() {
  Checker::current->fence();
}
void hook_flags(std::uint32_t flags) {
  Checker::current->flags(flags);
}
void* context() {
  return context_state;
}
std::uint32_t same_origin(std::uint32_t origin) {
  return origin;
}
// Variables of functions that call themselves are not followed.
void ignore_variable(void*, std::uint64_t, void*) {}
void ignore_end(void*, std::uint64_t) {}

} // namespace

void* checker_symbol(const std::string& name) {
  auto address = [](auto* function) { return reinterpret_cast<void*>(function); };
  const std::pair<const char*, void*> symbols[] = {
      {simt::kAccessHook, address(&hook_access)},
      {simt::kCopyHook, address(&hook_copy)},
      {simt::kFillHook, address(&hook_fill)},
      {simt::kCompareHook, address(&hook_compare)},
      {simt::kConditionHook, address(&hook_condition)},
      {simt::kUndefinedHook, address(&hook_undefined)},
      {simt::kUpdateHook, address(&hook_update)},
      {simt::kScopeHook, address(&hook_scope)},
      {simt::kConstantHook, address(&hook_constant)},
      {simt::kFenceHook, address(&hook_fence)},
      {simt::kFlagsHook, address(&hook_flags)},
      {"__msan_get_context_state", address(&context)},
      {"__msan_metadata_ptr_for_load_1", address(&metadata_of<1, false>)},
      {"__msan_metadata_ptr_for_load_2", address(&metadata_of<2, false>)},
      {"__msan_metadata_ptr_for_load_4", address(&metadata_of<4, false>)},
      {"__msan_metadata_ptr_for_load_8", address(&metadata_of<8, false>)},
      {"__msan_metadata_ptr_for_load_n", address(&metadata_n<false>)},
      {"__msan_metadata_ptr_for_store_1", address(&metadata_of<1, true>)},
      {"__msan_metadata_ptr_for_store_2", address(&metadata_of<2, true>)},
      {"__msan_metadata_ptr_for_store_4", address(&metadata_of<4, true>)},
      {"__msan_metadata_ptr_for_store_8", address(&metadata_of<8, true>)},
      {"__msan_metadata_ptr_for_store_n", address(&metadata_n<true>)},
      {"__msan_chain_origin", address(&same_origin)},
      {"__msan_poison_alloca", address(&ignore_variable)},
      {"__msan_unpoison_alloca", address(&ignore_end)},
  };
  for (const auto& [known, function] : symbols)
    if (name == known)
      return function;
  return nullptr;
}

} // namespace metalwright::cpu
