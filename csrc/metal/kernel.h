// A kernel with its pipeline.
#pragma once

#include "dispatch_checks.h"
#include "metal/context.h"
#include "metal/pipeline.h"

namespace metalwright::metal {

class MetalKernel final : public Kernel {
 public:
  // `source` is what code("msl") gives, `options` one line for explain().
  MetalKernel(std::shared_ptr<Context> context, Pipeline pipeline, std::string name,
              std::shared_ptr<const std::string> source, std::string options);
  ~MetalKernel() override;

  const std::string& name() const override { return name_; }
  const std::vector<Argument>& arguments() const override { return pipeline_.arguments; }
  std::uint64_t max_threads_per_threadgroup() const override { return max_threads_; }
  std::uint64_t thread_execution_width() const override { return execution_width_; }
  std::uint64_t static_threadgroup_memory() const override { return static_memory_; }
  Timing dispatch(const Dispatch& dispatch) override;
  std::string code(std::string_view stage) override;
  std::string explain() override;

 private:
  Timing run(const Dispatch& dispatch, const CheckedDispatch& checked);

  std::shared_ptr<Context> context_;
  Pipeline pipeline_;
  std::string name_;
  std::shared_ptr<const std::string> source_;
  std::string options_;
  std::uint64_t max_threads_ = 0;
  std::uint64_t execution_width_ = 0;
  std::uint64_t static_memory_ = 0;
};

} // namespace metalwright::metal
