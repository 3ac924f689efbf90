// The checked run, and the runs in other orders.
#include "cpu/checked_dispatch.h"

#include "cpu/thread_pool.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <numeric>
#include <random>

namespace metalwright::cpu {

namespace {

// A buffer that the kernel may write, and copies of its content.
struct Written {
  const Argument* argument;
  std::byte* memory;
  std::vector<std::byte> before;
  std::vector<std::byte> result;
  explicit Written(const Argument& argument_, std::byte* memory_, std::uint64_t length)
      : argument(&argument_), memory(memory_), before(memory_, memory_ + length) {}
  void restore(const std::vector<std::byte>& content) {
    std::memcpy(memory, content.data(), content.size());
  }
};

class CheckedRun {
 public:
  CheckedRun(const Executable& executable, const CheckedCode& code,
             const std::vector<Argument>& arguments, const Dispatch& dispatch,
             const simt::LaunchContext& launch, Supervision& supervision)
      : executable_(executable), code_(code), arguments_(arguments), dispatch_(dispatch),
        launch_(launch), supervision_(supervision) {}

  std::vector<Finding> run() {
    const std::uint32_t* groups = launch_.threadgroups_per_grid;
    const std::uint64_t count = std::uint64_t{groups[0]} * groups[1] * groups[2];
    const std::uint32_t* threads = launch_.dispatch_threads_per_threadgroup;
    const bool has_orders =
        count > 1 || std::uint64_t{threads[0]} * threads[1] * threads[2] > simt::kSimdgroupSize;
    if (has_orders)
      keep_written();
    std::vector<Finding> findings = run_once({}, false, false);
    const bool has_errors = std::ranges::any_of(findings, &Finding::is_error);
    if (!has_orders || has_errors || supervision_.failure.any() || written_.empty())
      return findings;
    for (Written& buffer : written_)
      buffer.result.assign(buffer.memory, buffer.memory + buffer.before.size());
    std::vector<std::uint64_t> order(count);
    std::iota(order.rbegin(), order.rend(), 0);
    if (!replay(order, true, "threadgroups and simdgroups run in the reverse order", findings) &&
        count > 1) {
      std::mt19937_64 random(0x6d657461u);
      std::shuffle(order.begin(), order.end(), random);
      replay(order, false, "the threadgroups run in a random order", findings);
    }
    for (Written& buffer : written_)
      buffer.restore(buffer.result);
    return findings;
  }

 private:
  void keep_written() {
    for (const Argument& argument : arguments_)
      if (argument.kind == ArgumentKind::buffer && argument.is_active &&
          argument.access != Access::read && argument.address_space == AddressSpace::device)
        for (const Binding& binding : dispatch_.bindings)
          if (binding.kind == argument.kind && binding.index == argument.index && binding.pointer)
            written_.emplace_back(argument,
                                  static_cast<std::byte*>(binding.pointer) + binding.offset,
                                  binding.length);
  }

  const Binding* binding_of(const Argument& argument) const {
    for (const Binding& binding : dispatch_.bindings)
      if (binding.kind == argument.kind && binding.index == argument.index)
        return &binding;
    return nullptr;
  }

  std::vector<Finding> run_once(std::span<const std::uint64_t> order, bool only_run, bool reverse) {
    simt::LaunchContext launch = launch_;
    Checker checker(code_, launch, ThreadState::current());
    if (only_run)
      checker.only_run();
    if (reverse)
      checker.reverse_simdgroups();
    unsigned slot = 0;
    for (const Argument& argument : arguments_) {
      if (!argument.is_active)
        continue;
      const Binding* binding = binding_of(argument);
      if (binding && argument.kind == ArgumentKind::buffer)
        launch.arguments[slot] = checker.bind_buffer(
            slot, argument, static_cast<std::byte*>(launch.arguments[slot]), binding->length);
      else if (binding && argument.kind == ArgumentKind::threadgroup_memory)
        launch.arguments[slot] = checker.bind_threadgroup_memory(
            slot, argument, reinterpret_cast<std::uintptr_t>(launch.arguments[slot]),
            binding->length);
      ++slot;
    }
    Checker::current = &checker;
    GridJob job(executable_, executable_, launch, supervision_, 1);
    job.observe(checker, order);
    ThreadPool::instance().run(job, 0);
    Checker::current = nullptr;
    switch (supervision_.failure.kind.load()) {
    case Failure::Kind::memory_access:
      checker.add_fault("invalid-memory-access", "access to memory that is not there");
      break;
    case Failure::Kind::trap:
      checker.add_fault("kernel-trap", "a trap or an illegal instruction");
      break;
    default:
      break;
    }
    return checker.take_findings();
  }

  // True: the result depends on the order, and there is a finding that says so.
  bool replay(std::span<const std::uint64_t> order, bool reverse, const char* when,
              std::vector<Finding>& findings) {
    for (Written& buffer : written_)
      buffer.restore(buffer.before);
    run_once(order, true, reverse);
    if (supervision_.failure.any())
      return true;
    for (const Written& buffer : written_) {
      const auto [found, expected] =
          std::mismatch(buffer.result.begin(), buffer.result.end(), buffer.memory);
      if (found == buffer.result.end())
        continue;
      const auto at = static_cast<std::uint64_t>(found - buffer.result.begin());
      Finding finding;
      const bool rounding = code_.tables.has_float_atomics;
      finding.code = rounding ? "order-dependent-rounding" : "order-dependent";
      finding.buffer = buffer.argument->name;
      finding.size = std::max<std::uint64_t>(1, buffer.argument->size);
      finding.index = static_cast<std::int64_t>(at / finding.size);
      finding.byte_offset = static_cast<std::int64_t>(at / finding.size * finding.size);
      finding.message = "index " + std::to_string(*finding.index) + " of '" + finding.buffer +
                        "' is another value when " + when +
                        (rounding ? "; the kernel has floating-point atomics, whose sums depend "
                                    "on the order"
                                  : "");
      findings.push_back(std::move(finding));
      return true;
    }
    return false;
  }

  const Executable& executable_;
  const CheckedCode& code_;
  const std::vector<Argument>& arguments_;
  const Dispatch& dispatch_;
  const simt::LaunchContext& launch_;
  Supervision& supervision_;
  std::vector<Written> written_;
};

} // namespace

std::vector<Finding> run_checked(const Executable& executable, const CheckedCode& code,
                                 const std::vector<Argument>& arguments, const Dispatch& dispatch,
                                 const simt::LaunchContext& launch, Supervision& supervision) {
  static std::mutex one_at_a_time; // Checker::current
  const std::lock_guard lock(one_at_a_time);
  return CheckedRun(executable, code, arguments, dispatch, launch, supervision).run();
}

} // namespace metalwright::cpu
