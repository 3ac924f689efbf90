// The device behind the stand-in, as results instead of exceptions: the callers are Objective-C.
#pragma once

#include "device.h"

#include <atomic>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace metal_standin {

struct CompiledSource {
  std::shared_ptr<metalwright::Library> library; // null: `messages` says why
  std::string messages;                          // errors, or warnings
};
CompiledSource compile(const std::string& source, const metalwright::CompileOptions& options);

struct MadeKernel {
  std::shared_ptr<metalwright::Kernel> kernel; // null: `code` and `message` say why
  std::string code;
  std::string message;
};
MadeKernel make_kernel(metalwright::Library& library, const std::string& name,
                       const metalwright::ConstantValues& constants);

// Whether the kernel uses what Apple6 and later have (bfloat) or Apple7 and later (simdgroup
// matrices). Throws nothing; a kernel whose code cannot be printed counts as using neither.
bool uses_bfloat(metalwright::Kernel& kernel);
bool uses_simdgroup_matrices(metalwright::Kernel& kernel);

// Memory of a buffer; alive as long as a command that uses it.
struct BufferMemory {
  void* data = nullptr;
  std::uint64_t length = 0;
  bool owned = true;
  // Encoded in command buffers that do not retain it and have not completed.
  std::atomic<int> unretained_uses{0};

  BufferMemory() = default;
  BufferMemory(const BufferMemory&) = delete;
  ~BufferMemory();
};
// Null if there is no such memory.
std::shared_ptr<BufferMemory> allocate_memory(std::uint64_t length);
std::uint64_t allocated_bytes(); // of all buffers alive

struct Command {
  std::shared_ptr<metalwright::Kernel> kernel;
  metalwright::Dispatch dispatch;
  std::vector<std::shared_ptr<BufferMemory>> memory;
  std::vector<std::shared_ptr<std::vector<std::byte>>> bytes; // of setBytes
  bool unretained = false;
};

struct RunResult {
  bool good = true;
  std::string code; // a code of csrc/errors.h
  std::string message;
};
RunResult run(Command& command, double watchdog_seconds);

} // namespace metal_standin
