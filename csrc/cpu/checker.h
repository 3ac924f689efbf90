// The sanitiser's run time: regions, what is defined in them, who accessed them, and the findings.
#pragma once

#include "cpu/guarded_section.h"
#include "cpu/lane_observer.h"
#include "cpu/race_shadow.h"
#include "device.h"
#include "simt/check_sites.h"
#include "simt/kernel_code.h"

#include <map>
#include <memory>
#include <tuple>
#include <vector>

namespace metalwright::cpu {

// What a checker needs to know of the code that it watches.
struct CheckedCode {
  const std::string& kernel;
  const simt::CheckTables& tables;
  const std::vector<simt::Site>& sites;
};

// Watches one run of a kernel over its grid, on one thread. Hooks of instrumented code come to the
// checker that is `current`.
class Checker final : public LaneObserver {
 public:
  Checker(const CheckedCode& code, const simt::LaunchContext& launch, ThreadState& thread);
  ~Checker() override;
  Checker(const Checker&) = delete;
  Checker& operator=(const Checker&) = delete;

  // A buffer, with the slot of launch.h; returns what to pass for it.
  void* bind_buffer(unsigned slot, const Argument& argument, std::byte* memory,
                    std::uint64_t length);
  // Threadgroup memory that the dispatch gives, `offset` in the threadgroup's block.
  void* bind_threadgroup_memory(unsigned slot, const Argument& argument, std::uint64_t offset,
                                std::uint64_t length);
  // Runs without looking for races and undefined values from now on, and finds nothing.
  void only_run() { only_running_ = true; }
  // Simdgroups take turns in the reverse order.
  void reverse_simdgroups() { is_reversed_ = true; }
  void add(Finding finding);
  // A fault of the code, at the access that was asked for last.
  void add_fault(const char* code, const std::string& what);
  std::vector<Finding> take_findings();
  bool has_errors() const;

  // LaneObserver
  bool reverses_simdgroups() const override { return is_reversed_; }
  void on_threadgroup(const simt::ThreadgroupContext& threadgroup) override;
  void on_start(simt::Lane& lane) override;
  void on_resume(simt::Lane& lane) override { lane_ = &lane; }
  void on_meet(simt::Lane* lanes, std::uint32_t there, std::uint32_t site, simt::Combine* combine,
               std::uint32_t count) override;
  void on_barrier(std::uint32_t site) override;
  void on_divergence(std::span<const Party> parties) override;

  // The hooks (check_sites.h).
  void* access(std::uint64_t pointer, std::uint32_t site);
  void copy(std::uint64_t to, std::uint64_t from, std::uint64_t bytes, std::uint32_t site);
  void fill(std::uint64_t to, std::uint8_t value, std::uint64_t bytes, std::uint32_t site);
  int compare(std::uint64_t a, std::uint64_t b, std::uint64_t bytes, std::uint32_t site);
  void condition(std::uint32_t site);
  void undefined(std::uint32_t origin, std::uint32_t site);
  void update(std::uint64_t pointer, std::uint32_t site);
  void scope(std::uint32_t region);
  void constant(std::uint32_t region, std::byte* address) {
    regions_[simt::kFirstVariable + region].memory = address;
  }
  void fence() { clock_.fence(); }
  void flags(std::uint32_t flags) { barrier_flags_ |= flags; }
  // Where MemorySanitizer's code finds what is defined in memory, and from where it is undefined.
  struct Metadata {
    void* shadow;
    std::uint32_t* origin;
  };
  Metadata metadata(std::uint64_t pointer, std::uint64_t size, bool for_store);

  static Checker* current;

 private:
  enum class Kind : std::uint8_t { none, buffer, constant, threadgroup, local };
  struct Region {
    Kind kind = Kind::none;
    std::byte* memory = nullptr; // local: in the first thread's frame
    std::uint64_t size = 0;
    std::uint64_t offset = 0; // of threadgroup and local memory in what holds it
    std::string name;
    std::uint64_t element = 0; // bytes; 0: not known
    const Argument* argument = nullptr;
    bool is_read_only = false;
    std::unique_ptr<RaceShadow> races;
  };
  // Whether it is followed what is defined in the region.
  static bool has_shadow(const Region& region) {
    return region.kind == Kind::threadgroup || region.kind == Kind::local;
  }
  // A pointer taken apart.
  struct Target {
    Region* region = nullptr; // null: the pointer is an address as it is
    std::uint64_t number = 0;
    std::int64_t offset = 0;
  };
  // A write that generated code does after the hook.
  struct Pending {
    RaceShadow* races = nullptr; // null: there is none
    std::byte* memory = nullptr;
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
    AccessRecord record;
    std::uint32_t site = 0;
    std::uint64_t region = 0;
    bool has_conflict = false;
    bool other_read = false;
    AccessRecord other;
    std::byte before[64];
    std::byte* misaligned_to = nullptr; // where the scratch memory's content has to go
  };

  Target resolve(std::uint64_t pointer);
  std::byte* address(const Region& region, std::int64_t offset) const;
  bool inside(const Region& region, std::int64_t offset, std::uint64_t size) const {
    return offset >= 0 && static_cast<std::uint64_t>(offset) <= region.size &&
           size <= region.size - static_cast<std::uint64_t>(offset);
  }
  void settle();
  void watch(Region& region, std::uint64_t number, std::int64_t offset, std::uint64_t size,
             std::uint32_t site, bool writes);
  void note_conflict(std::uint64_t region, std::int64_t offset, std::uint64_t size,
                     std::uint32_t site, const AccessRecord& other, bool other_read, bool benign);
  void check_operands(simt::Lane* lanes, std::uint32_t there, std::uint32_t site,
                      simt::Combine* combine, std::uint32_t count);
  void poison(const Region& region, std::uint64_t number);
  unsigned thread_index() const { return lane_ ? lane_->index_in_threadgroup : 0; }
  std::byte* defined_of(const Region& region, std::int64_t offset);
  std::uint32_t* origin_of(const Region& region, std::int64_t offset);

  // Texts (checker_findings.cpp).
  Finding& find(const char* code, bool is_error, const SourcePlace& place, bool& fresh);
  ThreadPosition position_of(std::uint32_t group, std::uint32_t thread) const;
  SourcePlace place_of_site(std::uint32_t site) const;
  std::string describe(const Region& region) const;
  std::string describe_meeting(std::uint32_t site) const;
  void out_of_bounds(const Target& target, std::uint64_t size, std::uint32_t site,
                     const char* doing);
  void misaligned(const Region& region, std::int64_t offset, std::uint64_t size,
                  std::uint32_t alignment, const SourcePlace& place, const char* doing);
  void fill_memory(Finding& finding, const Region& region, std::int64_t offset,
                   std::uint64_t size) const;
  void report_undefined(const std::string& use, const SourcePlace& place, std::uint32_t origin);

  const CheckedCode code_;
  const simt::LaunchContext& launch_;
  ThreadState& thread_;
  std::vector<Region> regions_; // by number
  std::byte* block_ = nullptr;  // threadgroup memory
  std::byte* frames_ = nullptr;
  std::vector<std::unique_ptr<std::byte[]>> memory_;
  std::uint64_t block_size_ = 0;
  std::uint64_t frame_size_ = 0;
  // Definedness (a set bit is an undefined one) and origins, parallel to the memory.
  std::byte* block_shadow_ = nullptr;
  std::byte* frame_shadows_ = nullptr;
  std::byte* lane_shadows_ = nullptr; // of what lies in a Lane
  std::uint32_t* block_origins_ = nullptr;
  std::uint32_t* frame_origins_ = nullptr;
  std::uint32_t* lane_origins_ = nullptr;
  std::vector<std::uint32_t> frame_origin_template_;
  // Memory for accesses that must not happen: reads as 0, takes writes.
  alignas(256) std::byte zeros_[4096] = {};
  alignas(256) std::byte sink_[4096] = {};
  // The definedness of what is about to be stored to a buffer.
  alignas(256) std::byte staged_[4096] = {};
  std::uint32_t staged_origin_[1024] = {};
  std::vector<simt::Lane> shadow_lanes_;

  simt::Lane* lane_ = nullptr;
  std::uint32_t group_ = 0;
  std::uint32_t group_threads_[3] = {1, 1, 1};
  std::uint32_t barrier_flags_ = 0;
  std::uint32_t last_site_ = ~0u;
  RaceClock clock_;
  Pending pending_;
  bool only_running_ = false;
  bool is_reversed_ = false;

  using Key = std::tuple<std::string, std::string, unsigned>;
  std::map<Key, std::size_t> known_;
  std::vector<Finding> findings_;
};

// By the names of check_sites.h, and what MemorySanitizer's code calls. Null: none of them.
void* checker_symbol(const std::string& name);

} // namespace metalwright::cpu
