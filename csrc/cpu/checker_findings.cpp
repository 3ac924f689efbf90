// What the checker says: texts, places, threads, and one finding per code and line.
#include "cpu/checker.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace metalwright::cpu {

using simt::CheckKind;
using simt::kSimdgroupSize;
using simt::Lane;

// While a finding is made the thread must not be taken out of it.
namespace {
class Busy {
 public:
  explicit Busy(ThreadState& thread) : thread_(thread) { thread_.busy = true; }
  Busy(const Busy&) = delete;
  Busy& operator=(const Busy&) = delete;
  ~Busy() { thread_.busy = false; }

 private:
  ThreadState& thread_;
};

std::string bytes_text(std::uint64_t count) {
  return std::to_string(count) + (count == 1 ? " byte" : " bytes");
}
std::string threads_text(std::uint64_t count) {
  return std::to_string(count) + (count == 1 ? " thread" : " threads");
}
} // namespace

ThreadPosition Checker::position_of(std::uint32_t group, std::uint32_t thread) const {
  ThreadPosition position;
  const std::uint32_t* groups = launch_.threadgroups_per_grid;
  position.threadgroup = {group % groups[0], group / groups[0] % groups[1],
                          group / groups[0] / groups[1]};
  std::uint32_t threads[3];
  for (unsigned axis = 0; axis < 3; ++axis) {
    const std::uint32_t nominal = launch_.dispatch_threads_per_threadgroup[axis];
    const std::uint64_t origin = std::uint64_t{position.threadgroup[axis]} * nominal;
    threads[axis] = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(nominal, launch_.threads_per_grid[axis] - origin));
  }
  position.in_threadgroup = {thread % threads[0], thread / threads[0] % threads[1],
                             thread / threads[0] / threads[1]};
  for (unsigned axis = 0; axis < 3; ++axis)
    position.in_grid[axis] =
        position.threadgroup[axis] * launch_.dispatch_threads_per_threadgroup[axis] +
        position.in_threadgroup[axis];
  return position;
}

SourcePlace Checker::place_of_site(std::uint32_t site) const {
  if (site >= code_.sites.size())
    return {};
  return {code_.sites[site].file, code_.sites[site].line, code_.sites[site].column};
}

std::string Checker::describe(const Region& region) const {
  const std::string quoted = region.name.empty() ? "a temporary value" : "'" + region.name + "'";
  switch (region.kind) {
  case Kind::buffer:
    return quoted + " (buffer " + std::to_string(region.argument->index) + ", " +
           bytes_text(region.size) + ")";
  case Kind::constant:
    return quoted + " (a constant, " + bytes_text(region.size) + ")";
  case Kind::threadgroup:
    return quoted + " (threadgroup memory, " + bytes_text(region.size) + ")";
  default:
    return quoted + (region.name.empty() ? " (" : " (a local variable, ") +
           bytes_text(region.size) + ")";
  }
}

std::string Checker::describe_meeting(std::uint32_t site) const {
  if (site >= code_.sites.size())
    return "the end of the kernel";
  const simt::Site& found = code_.sites[site];
  return found.what +
         (found.line == 0 ? "" : " (" + found.file + ":" + std::to_string(found.line) + ")");
}

// The finding with this code at this place. A fresh one is to be filled in; thread and count are.
Finding& Checker::find(const char* code, bool is_error, const SourcePlace& place, bool& fresh) {
  const Busy busy(thread_);
  const auto [entry, inserted] =
      known_.try_emplace(Key(code, place.file, place.line), findings_.size());
  fresh = inserted;
  if (inserted) {
    Finding finding;
    finding.code = code;
    finding.is_error = is_error;
    finding.place = place;
    if (lane_)
      finding.thread = position_of(group_, lane_->index_in_threadgroup);
    findings_.push_back(std::move(finding));
  } else {
    ++findings_[entry->second].count;
  }
  return findings_[entry->second];
}

void Checker::add(Finding finding) {
  const Busy busy(thread_);
  findings_.push_back(std::move(finding));
}

std::vector<Finding> Checker::take_findings() {
  settle();
  // Errors first, each in the order of the source.
  std::stable_sort(findings_.begin(), findings_.end(), [](const Finding& a, const Finding& b) {
    if (a.is_error != b.is_error)
      return a.is_error;
    return std::tie(a.place.file, a.place.line, a.place.column) <
           std::tie(b.place.file, b.place.line, b.place.column);
  });
  // The same race with and without a difference is one that makes a difference.
  std::erase_if(findings_, [&](const Finding& finding) {
    return finding.code == "benign-race" &&
           known_.contains(Key("data-race", finding.place.file, finding.place.line));
  });
  known_.clear();
  return std::move(findings_);
}

bool Checker::has_errors() const {
  return std::ranges::any_of(findings_, &Finding::is_error);
}

void Checker::fill_memory(Finding& finding, const Region& region, std::int64_t offset,
                          std::uint64_t size) const {
  finding.buffer = region.name;
  finding.byte_offset = offset;
  finding.size = size;
  const std::uint64_t element = region.element != 0 ? region.element : size;
  if (element != 0) {
    const auto wide = static_cast<std::int64_t>(element);
    finding.index = offset >= 0 ? offset / wide : -((-offset + wide - 1) / wide);
  }
}

void Checker::out_of_bounds(const Target& target, std::uint64_t size, std::uint32_t site,
                            const char* doing) {
  if (only_running_)
    return;
  bool fresh = false;
  const SourcePlace& place = code_.tables.sites[site].place;
  if (!target.region) {
    Finding& finding = find("invalid-pointer", true, place, fresh);
    const Busy busy(thread_);
    if (fresh) {
      finding.size = size;
      finding.message =
          std::string(doing) + " of " + bytes_text(size) + " through a pointer to nothing";
    }
    return;
  }
  const Region& region = *target.region;
  Finding& finding = find("out-of-bounds", true, place, fresh);
  const Busy busy(thread_);
  if (!fresh)
    return;
  fill_memory(finding, region, target.offset, size);
  std::string where;
  const auto end = static_cast<std::int64_t>(region.size);
  if (target.offset < 0)
    where = bytes_text(static_cast<std::uint64_t>(-target.offset)) + " before its beginning";
  else if (target.offset >= end)
    where = bytes_text(static_cast<std::uint64_t>(target.offset - end)) + " past its end";
  else
    where = "across its end";
  finding.message = std::string(doing) + " of " + bytes_text(size) + " at index " +
                    std::to_string(finding.index.value_or(0)) + " of " + describe(region) + ", " +
                    where;
}

void Checker::misaligned(const Region& region, std::int64_t offset, std::uint64_t size,
                         std::uint32_t alignment, const SourcePlace& place, const char* doing) {
  if (only_running_)
    return;
  bool fresh = false;
  Finding& finding = find("misaligned-access", true, place, fresh);
  const Busy busy(thread_);
  if (!fresh)
    return;
  fill_memory(finding, region, offset, size);
  finding.message = std::string(doing) + " of " + bytes_text(size) + " of " + describe(region) +
                    " at an address that is not a multiple of " + std::to_string(alignment);
}

void Checker::condition(std::uint32_t site) {
  if (only_running_)
    return;
  const simt::CheckSite& where = code_.tables.sites[site];
  bool fresh = false;
  Finding& finding = find(where.what.c_str(), false, where.place, fresh);
  const Busy busy(thread_);
  if (!fresh)
    return;
  if (where.what == "division-by-zero")
    finding.message = "integer division by zero";
  else if (where.what == "index-overflow")
    finding.message = "signed integer overflow in the computation of an address";
  else
    finding.message = "a floating-point value is converted to an integer that cannot hold it";
}

void Checker::report_undefined(const std::string& use, const SourcePlace& place,
                               std::uint32_t origin) {
  if (only_running_)
    return;
  bool fresh = false;
  Finding& finding = find("uninitialised-read", true, place, fresh);
  const Busy busy(thread_);
  if (!fresh)
    return;
  if (origin != 0 && origin < regions_.size() && regions_[origin].kind != Kind::none &&
      !regions_[origin].name.empty()) {
    finding.buffer = regions_[origin].name;
    finding.message =
        "a value of " + describe(regions_[origin]) + " that was never written is " + use;
  } else {
    finding.message = "a value that was never written is " + use;
  }
}

void Checker::note_conflict(std::uint64_t number, std::int64_t offset, std::uint64_t size,
                            std::uint32_t site, const AccessRecord& other, bool other_read,
                            bool benign) {
  if (only_running_)
    return;
  const simt::CheckSite& where = code_.tables.sites[site];
  bool fresh = false;
  Finding& finding = find(benign ? "benign-race" : "data-race", !benign, where.place, fresh);
  const Busy busy(thread_);
  if (!fresh)
    return;
  const Region& region = regions_[number];
  fill_memory(finding, region, offset, size);
  const simt::CheckSite& first = code_.tables.sites[other.site];
  auto kind = [](const simt::CheckSite& access, bool reads) {
    return access.is_atomic ? "atomic" : reads ? "read" : "write";
  };
  const bool reads = where.kind == CheckKind::read;
  OtherAccess access;
  access.place = first.place;
  access.kind = kind(first, other_read);
  access.thread = position_of(other.group, other.thread);
  const bool same_group = other.group == group_;
  finding.message = std::string(where.is_atomic ? "atomic access to "
                                : reads         ? "read of "
                                                : "write of ") +
                    "index " + std::to_string(finding.index.value_or(0)) + " of " +
                    describe(region) + " races with a" +
                    (access.kind == "atomic" ? "n atomic access" : " " + access.kind) +
                    " by another thread" + (same_group ? "" : " of another threadgroup") +
                    (first.place.line == 0 ? "" : " in line " + std::to_string(first.place.line)) +
                    (benign ? "; the value is the same" : "") +
                    (same_group ? ": no barrier for this memory is between them"
                                : ": nothing orders threadgroups");
  finding.other = std::move(access);
}

void Checker::on_divergence(std::span<const Party> parties) {
  const Busy busy(thread_);
  const Party* waiting = nullptr;
  for (const Party& party : parties)
    if (party.at_barrier && (!waiting || party.count > waiting->count))
      waiting = &party;
  if (!waiting)
    waiting = &parties.front();
  Finding finding;
  finding.code = "divergent-barrier";
  finding.is_error = true;
  finding.place = place_of_site(waiting->site);
  finding.thread = position_of(group_, waiting->first);
  std::string text;
  for (const Party& party : parties) {
    text += text.empty() ? "" : ", ";
    text += threads_text(party.count);
    if (party.site == kReturned)
      text += party.count == 1 ? " has returned" : " have returned";
    else
      text += (party.count == 1 ? " waits at " : " wait at ") + describe_meeting(party.site);
    if (&party == waiting || finding.other)
      continue;
    OtherAccess other;
    other.place = place_of_site(party.site);
    other.kind = party.site == kReturned ? "returned" : code_.sites[party.site].what;
    other.thread = position_of(group_, party.first);
    finding.other = std::move(other);
  }
  finding.message = "not every thread of the threadgroup reaches the barrier: " + text;
  findings_.push_back(std::move(finding));
}

void Checker::add_fault(const char* code, const std::string& what) {
  Finding finding;
  finding.code = code;
  finding.is_error = true;
  if (last_site_ < code_.tables.sites.size())
    finding.place = code_.tables.sites[last_site_].place;
  if (lane_)
    finding.thread = position_of(group_, lane_->index_in_threadgroup);
  finding.message = what;
  findings_.push_back(std::move(finding));
}

// ------------------------------------------------------------------------------ cross-lane

// Bytes of an operand by the type at the end of the name: "simd_sum.f32", "simd_shuffle.b4".
static unsigned operand_bytes(std::string_view combine) {
  const std::size_t dot = combine.rfind('.');
  if (dot == std::string_view::npos)
    return 4; // votes
  const std::string_view type = combine.substr(dot + 1);
  if (type.starts_with('b') && !type.starts_with("bf"))
    return static_cast<unsigned>(type[1] - '0');
  return type.ends_with("64") ? 8 : type.ends_with("32") ? 4 : type.ends_with("16") ? 2 : 1;
}

void Checker::check_operands(Lane* lanes, std::uint32_t there, std::uint32_t number,
                             simt::Combine* combine, std::uint32_t count) {
  const simt::Site& site = code_.sites[number];
  auto shadow_of = [&](unsigned lane) {
    return reinterpret_cast<Lane*>(lane_shadows_ + lanes[lane].index_in_threadgroup * sizeof(Lane));
  };
  auto is_there = [&](unsigned lane) { return (there >> lane & 1) != 0; };
  auto select = [&](unsigned lane) { lane_ = &lanes[lane]; };
  const bool moves =
      site.combine.find(".b") != std::string::npos && site.combine.find(".bf") == std::string::npos;
  if (site.combine == "matrix_multiply") {
    // An element is undefined if one of the row, the column or the addend that it is made of is.
    bool rows[8] = {};
    bool columns[8] = {};
    auto row = [](unsigned lane) { return (lane / 4 & 4) + lane / 2 % 4; };
    auto column = [](unsigned lane) { return (lane / 4 & 2) * 2 + lane % 2 * 2; };
    auto width = [&](unsigned shift) { return (count >> shift & 3) == 0 ? 4u : 2u; };
    auto is_undefined = [&](unsigned lane, unsigned which, unsigned element) {
      const unsigned bytes = width(2 * (which + 1));
      const std::byte* at = shadow_of(lane)->operands[which] + element * bytes;
      return std::any_of(at, at + bytes, [](std::byte b) { return b != std::byte{0}; });
    };
    for (unsigned lane = 0; lane < kSimdgroupSize; ++lane)
      for (unsigned element = 0; is_there(lane) && element < 2; ++element) {
        rows[row(lane)] |= is_undefined(lane, 0, element);
        columns[column(lane) + element] |= is_undefined(lane, 1, element);
      }
    for (unsigned lane = 0; lane < kSimdgroupSize; ++lane)
      for (unsigned element = 0; is_there(lane) && element < 2; ++element) {
        const bool undefined = rows[row(lane)] || columns[column(lane) + element] ||
                               ((count & 0x100) != 0 && is_undefined(lane, 2, element));
        std::memset(shadow_of(lane)->result + element * width(0), undefined ? 0xff : 0, width(0));
      }
    return;
  }
  if (!moves) {
    const unsigned bytes = std::min<unsigned>(operand_bytes(site.combine) * count, 32);
    for (unsigned lane = 0; lane < kSimdgroupSize; ++lane) {
      if (!is_there(lane))
        continue;
      Lane* shadow = shadow_of(lane);
      if (std::any_of(shadow->operands[0], shadow->operands[0] + bytes,
                      [](std::byte b) { return b != std::byte{0}; })) {
        select(lane);
        report_undefined("used in " + site.what, place_of_site(number),
                         lane_origins_[lanes[lane].index_in_threadgroup * sizeof(Lane) / 4]);
      }
      std::memset(shadow->result, 0, sizeof(Lane::result));
    }
    return;
  }
  // Movements: definedness moves as the values do.
  for (unsigned lane = 0; lane < kSimdgroupSize; ++lane) {
    if (!is_there(lane))
      continue;
    const Lane* shadow = shadow_of(lane);
    Lane& moved = shadow_lanes_[lane];
    std::memcpy(moved.operands[0], shadow->operands[0], sizeof moved.operands[0]);
    std::memcpy(moved.operands[1], shadow->operands[1], sizeof moved.operands[1]);
    std::memcpy(moved.operands[2], lanes[lane].operands[2], sizeof moved.operands[2]);
  }
  combine(shadow_lanes_.data(), there, count);
  const bool quad = site.combine.starts_with("quad");
  const unsigned width = quad ? 4 : kSimdgroupSize;
  // Up and down leave the lanes at the ends as they are; the others name a lane.
  const bool by_number = site.what.ends_with("_shuffle") || site.what.ends_with("_broadcast");
  const bool by_mask = site.what.ends_with("_xor");
  for (unsigned lane = 0; lane < kSimdgroupSize; ++lane) {
    if (!is_there(lane))
      continue;
    std::memcpy(shadow_of(lane)->result, shadow_lanes_[lane].result, sizeof(Lane::result));
    if (!by_number && !by_mask)
      continue;
    std::uint32_t operand = 0;
    std::memcpy(&operand, lanes[lane].operands[2], sizeof operand);
    const unsigned base = lane / width * width;
    const std::uint32_t from = by_mask ? (lane - base) ^ operand : operand;
    if (from < width && is_there(base + from))
      continue;
    select(lane);
    bool fresh = false;
    const bool outside = from >= width;
    Finding& finding = find(outside ? "shuffle-out-of-range" : "shuffle-inactive-lane", outside,
                            place_of_site(number), fresh);
    const Busy busy(thread_);
    if (fresh)
      finding.message = site.what + (outside ? " reads lane " : " reads from lane ") +
                        std::to_string(from) +
                        (outside ? " of " + std::to_string(width)
                                 : ", which does not take part: its value is undefined");
  }
}

} // namespace metalwright::cpu
