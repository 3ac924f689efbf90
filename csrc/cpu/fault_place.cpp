// From the address of a fault to a place in the source.
#include "cpu/fault_place.h"

#include "msl/include_folders.h"
#include "simt/launch.h"

#include <llvm/DebugInfo/DIContext.h>
#include <llvm/DebugInfo/DWARF/DWARFContext.h>
#include <llvm/Support/MemoryBuffer.h>

#include <sys/uio.h>
#include <unistd.h>

#include <array>

namespace metalwright::cpu {

// As csrc/msl/session.h has it; the folder exists in the compiler only.
static constexpr llvm::StringRef kLibraryFolder = "/<metal>/";

namespace {

// Whether a call ends just before `address`, which lies in code.
bool follows_call(const std::uint8_t* address) {
#if defined(__x86_64__)
  return address[-5] == 0xe8 ||                                 // call rel32
         (address[-6] == 0xff && address[-5] == 0x15) ||        // call [rip + rel32]
         (address[-2] == 0xff && (address[-1] & 0xf8) == 0xd0); // call register
#else
  const std::uint32_t before = reinterpret_cast<const std::uint32_t*>(address)[-1];
  return (before & 0xfc000000) == 0x94000000 || (before & 0xfffffc1f) == 0xd63f0000; // bl, blr
#endif
}

// The text of one line; empty if there is none.
std::string line_of(llvm::StringRef text, unsigned number) {
  for (unsigned i = 1; i < number && !text.empty(); ++i)
    text = text.split('\n').second;
  return text.split('\n').first.rtrim('\r').str();
}

} // namespace

std::optional<std::uint64_t> faulting_offset(const Failure& failure, const LoadedObject& object) {
  if (const auto offset = object.code_offset(failure.instruction))
    return offset;
  // What faulted was called. Its callers' addresses are on the stack, the kernel's among them; how
  // large the frames are nobody knows, so it is looked for. The system reads the stack for us,
  // since it may end before what we ask for does.
  std::array<std::uintptr_t, 2048> stack{};
  stack[0] = failure.return_address;
  iovec to{stack.data() + 1, sizeof stack - sizeof stack[0]};
  iovec from{reinterpret_cast<void*>(failure.stack_pointer), to.iov_len};
  const ssize_t bytes = process_vm_readv(getpid(), &to, 1, &from, 1, 0);
  const std::size_t words = 1 + (bytes > 0 ? static_cast<std::size_t>(bytes) / sizeof stack[0] : 0);
  for (std::size_t i = 0; i < words; ++i)
    if (const auto offset = object.code_offset(stack[i]);
        offset && *offset >= 8 && follows_call(reinterpret_cast<const std::uint8_t*>(stack[i])))
      return *offset - 1; // inside the call
  return std::nullopt;
}

std::optional<SourcePlace> find_place(llvm::ArrayRef<char> with_lines, const LoadedObject& object,
                                      std::uint64_t offset, const ProgramSource& source) {
  auto file = llvm::object::ObjectFile::createELFObjectFile(
      llvm::MemoryBufferRef(llvm::StringRef(with_lines.data(), with_lines.size()), "kernel"));
  if (!file) {
    llvm::consumeError(file.takeError());
    return std::nullopt;
  }
  const std::optional<CodeSection> code = find_code(**file, simt::kEntryName);
  if (!code || code->hash != object.code_hash())
    return std::nullopt;
  const std::unique_ptr<llvm::DWARFContext> debug = llvm::DWARFContext::create(**file);
  const llvm::DIInliningInfo frames = debug->getInliningInfoForAddress(
      {offset, code->section.getIndex()},
      {llvm::DILineInfoSpecifier::FileLineInfoKind::AbsoluteFilePath,
       llvm::DILineInfoSpecifier::FunctionNameKind::None});
  for (std::uint32_t i = 0; i < frames.getNumberOfFrames(); ++i) {
    const llvm::DILineInfo frame = frames.getFrame(i);
    if (frame.Line == 0 || llvm::StringRef(frame.FileName).starts_with(kLibraryFolder))
      continue;
    SourcePlace place{frame.FileName, frame.Line, frame.Column};
    if (place.file == "/" + source.options.file_name) // the compilation's folder is the root
      place.file = source.options.file_name;
    return place;
  }
  return std::nullopt;
}

Diagnostic diagnostic_at(const SourcePlace& place, std::string message,
                         const ProgramSource& source) {
  Diagnostic diagnostic{Severity::error,    place.file, place.line, place.column,
                        std::move(message), {},         {}};
  if (place.file == source.options.file_name)
    diagnostic.source_line = line_of(source.text, place.line);
  else if (const auto file = // a #line directive can name any file
           msl::IncludeFolders(source.options.include_paths).getBufferForFile(place.file))
    diagnostic.source_line = line_of((*file)->getBuffer(), place.line);
  if (diagnostic.source_line.empty() || place.column == 0)
    return diagnostic;
  // Tabs are kept, so that the two lines stay aligned however wide a tab is shown.
  for (unsigned i = 0; i + 1 < place.column; ++i)
    diagnostic.caret +=
        i < diagnostic.source_line.size() && diagnostic.source_line[i] == '\t' ? '\t' : ' ';
  diagnostic.caret += '^';
  return diagnostic;
}

} // namespace metalwright::cpu
