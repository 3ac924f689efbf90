// The device behind the stand-in, as results instead of exceptions.
#include "backend.h"

#include "controls.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <unistd.h>

namespace metal_standin {

using namespace metalwright;

CompiledSource compile(const std::string& source, const CompileOptions& options) {
  try {
    CompiledSource result{backend()->compile(source, options), {}};
    result.messages = to_string(result.library->warnings());
    return result;
  } catch (const std::exception& error) {
    return {nullptr, error.what()};
  }
}

MadeKernel make_kernel(Library& library, const std::string& name, const ConstantValues& constants) {
  try {
    return {library.kernel(name, constants), {}, {}};
  } catch (const Error& error) {
    return {nullptr, error.code(), error.what()};
  } catch (const std::exception& error) {
    return {nullptr, "internal", error.what()};
  }
}

static bool code_contains(Kernel& kernel, const char* text) {
  try {
    return kernel.code("air").find(text) != std::string::npos;
  } catch (const std::exception&) {
    return false;
  }
}

bool uses_bfloat(Kernel& kernel) {
  return code_contains(kernel, "bfloat");
}
bool uses_simdgroup_matrices(Kernel& kernel) {
  return code_contains(kernel, "simdgroup_matrix");
}

static std::atomic<std::uint64_t> allocated{0};

std::uint64_t allocated_bytes() {
  return allocated;
}

BufferMemory::~BufferMemory() {
  if (!owned)
    return;
  allocated -= length;
  std::free(data);
}

std::shared_ptr<BufferMemory> allocate_memory(std::uint64_t length) {
  const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  auto memory = std::make_shared<BufferMemory>();
  memory->data = std::aligned_alloc(page, (length + page - 1) / page * page);
  if (!memory->data)
    return nullptr;
  memory->length = length;
  allocated += length;
  // Nothing promises zeros in a new buffer.
  std::memset(memory->data, 0xdb, std::min<std::uint64_t>(length, 1 << 16));
  return memory;
}

RunResult run(Command& command, double watchdog_seconds) {
  count("dispatches");
  command.dispatch.deadline = watchdog_seconds;
  try {
    command.kernel->dispatch(command.dispatch);
    return {};
  } catch (const DispatchError& error) {
    return {false, error.code(), error.what()};
  } catch (const Error& error) {
    // Metal would have run it, or the checks at encoding would have refused it.
    record_misuse("refused-by-the-device",
                  "the device behind the stand-in refused a dispatch that its checks let pass: " +
                      std::string(error.what()));
    return {false, error.code(), error.what()};
  } catch (const std::exception& error) {
    return {false, "internal", error.what()};
  }
}

} // namespace metal_standin
