// The source line of an instruction that faulted, found when it is needed.
//
// Code is compiled without line tables: every compilation would pay for the few kernels that fault.
// After a fault the same program is compiled once more with them. Line tables do not change the
// code (LLVM promises it, and a hash of the instructions confirms it), so an offset in the one is
// the same offset in the other.
#pragma once

#include "cpu/guarded_section.h"
#include "cpu/loaded_object.h"
#include "device.h"
#include "located_error.h"

#include <optional>
#include <string>

namespace metalwright::cpu {

// What a library was compiled from.
struct ProgramSource {
  std::string text;
  CompileOptions options;
};

// Where in `object` the kernel was when the fault happened: at an instruction of its own, or in the
// call of what faulted outside of it (memcpy, the run time). Nothing if it was not in `object`.
std::optional<std::uint64_t> faulting_offset(const Failure& failure, const LoadedObject& object);

// The place of the instruction at `offset` in the code of `object`, given `with_lines`, an object
// file of the same program with line tables. Of inlined code it is the innermost call outside the
// standard library. Nothing if the codes differ or nothing is known of that instruction.
std::optional<SourcePlace> find_place(llvm::ArrayRef<char> with_lines, const LoadedObject& object,
                                      std::uint64_t offset, const ProgramSource& source);

// The error as a compiler would print it, with the source line and a caret.
Diagnostic diagnostic_at(const SourcePlace& place, std::string message,
                         const ProgramSource& source);

} // namespace metalwright::cpu
