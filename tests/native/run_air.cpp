// Runs a kernel of an AIR module (text or bitcode) on the CPU device, for tests that bring their
// own AIR.
//
//   run_air MODULE KERNEL [--grid X,Y,Z] [--group X,Y,Z] [--threadgroups] [--deadline SECONDS]
//           [--buffer INDEX=FILE]... [--memory INDEX=BYTES]... [--constant NAME=INTEGER]...
//           [--code STAGE] [--explain] [--repeats N]
//
// Buffers are read from their files and written back. Without --grid the kernel is only compiled. A
// failure prints its code and message and ends with status 1.
#include "cpu/device.h"

#include <llvm/IRReader/IRReader.h>
#include <llvm/Support/SourceMgr.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>

using namespace metalwright;

namespace {

struct FileBuffer {
  unsigned index = 0;
  std::string path;
  char* data = nullptr; // aligned, of exactly the file's size
  std::size_t size = 0;
};

Size3 parse_size(const char* text) {
  unsigned long long x = 1;
  unsigned long long y = 1;
  unsigned long long z = 1;
  std::sscanf(text, "%llu,%llu,%llu", &x, &y, &z);
  return {x, y, z};
}

// "NAME=VALUE"
std::pair<std::string, std::string> parse_pair(const std::string& text) {
  const std::size_t equals = text.find('=');
  return {text.substr(0, equals), equals == std::string::npos ? "" : text.substr(equals + 1)};
}

FileBuffer read_buffer(const std::string& text) {
  const auto [index, path] = parse_pair(text);
  FileBuffer buffer{static_cast<unsigned>(std::stoul(index)), path};
  std::ifstream file(path, std::ios::binary);
  const std::string bytes(std::istreambuf_iterator<char>(file), {});
  buffer.size = bytes.size();
  buffer.data = static_cast<char*>(std::aligned_alloc(64, (bytes.size() + 63) / 64 * 64));
  std::memcpy(buffer.data, bytes.data(), bytes.size());
  return buffer;
}

int run(int count, char** arguments) {
  if (count < 3) {
    std::fprintf(stderr, "usage: run_air MODULE KERNEL [options]\n");
    return 2;
  }
  msl::CompiledModule module;
  module.context = std::make_unique<llvm::LLVMContext>();
  llvm::SMDiagnostic diagnostic;
  module.module = llvm::parseIRFile(arguments[1], diagnostic, *module.context);
  if (!module.module)
    throw Error("unreadable-module", diagnostic.getMessage().str());
  Dispatch dispatch;
  ConstantValues constants;
  std::vector<FileBuffer> buffers;
  std::string stage;
  bool dispatches = false;
  bool explains = false;
  for (int i = 3; i < count; ++i) {
    const std::string option = arguments[i];
    auto next = [&] { return i + 1 < count ? arguments[++i] : throw Error("usage", option); };
    if (option == "--grid") {
      dispatch.grid = parse_size(next());
      dispatches = true;
    } else if (option == "--group") {
      dispatch.threads_per_threadgroup = parse_size(next());
    } else if (option == "--threadgroups") {
      dispatch.grid_is_threads = false;
    } else if (option == "--deadline") {
      dispatch.deadline = std::atof(next());
    } else if (option == "--repeats") {
      dispatch.repeats = static_cast<unsigned>(std::atoi(next()));
    } else if (option == "--buffer") {
      buffers.push_back(read_buffer(next()));
    } else if (option == "--memory") {
      const auto [index, bytes] = parse_pair(next());
      dispatch.bindings.push_back({ArgumentKind::threadgroup_memory,
                                   static_cast<unsigned>(std::stoul(index)), nullptr,
                                   std::stoull(bytes)});
    } else if (option == "--constant") {
      const auto [name, value] = parse_pair(next());
      constants[name].elements.push_back(std::int64_t{std::atoll(value.c_str())});
    } else if (option == "--code") {
      stage = next();
    } else if (option == "--explain") {
      explains = true;
    } else {
      throw Error("usage", "unknown option " + option);
    }
  }
  for (const FileBuffer& buffer : buffers)
    dispatch.bindings.push_back({ArgumentKind::buffer, buffer.index, buffer.data, buffer.size});
  const std::shared_ptr<Kernel> kernel =
      cpu::cpu_library_from_module(std::move(module))->kernel(arguments[2], constants);
  if (!stage.empty())
    std::fputs(kernel->code(stage).c_str(), stdout);
  if (explains)
    std::fputs(kernel->explain().c_str(), stdout);
  if (dispatches) {
    const Timing timing = kernel->dispatch(dispatch);
    for (double seconds : timing.runs)
      std::printf("%.9f\n", seconds);
  }
  for (const FileBuffer& buffer : buffers) {
    std::ofstream(buffer.path, std::ios::binary).write(buffer.data, std::streamsize(buffer.size));
    std::free(buffer.data);
  }
  return 0;
}

} // namespace

int main(int count, char** arguments) {
  try {
    return run(count, arguments);
  } catch (const Error& error) {
    std::printf("%s: %s\n", error.code().c_str(), error.what());
    return 1;
  }
}
