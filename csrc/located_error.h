// An error of a dispatch with the place in the source where it happened.
#pragma once

#include "device.h"

namespace metalwright {

// what() is the diagnostic's printed form.
class LocatedDispatchError : public DispatchError {
 public:
  LocatedDispatchError(std::string code, Diagnostic diagnostic)
      : DispatchError(std::move(code), to_string(diagnostic)), diagnostic_(std::move(diagnostic)) {}
  const Diagnostic& diagnostic() const noexcept { return diagnostic_; }

 private:
  Diagnostic diagnostic_;
};

} // namespace metalwright
