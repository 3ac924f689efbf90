// Links one object with RuntimeDyld: no symbol tables, sessions or threads, which ORC would add per
// kernel.
#include "cpu/loaded_object.h"

#include "device.h"
#include "errors.h"

#include <llvm/ExecutionEngine/RTDyldMemoryManager.h>
#include <llvm/ExecutionEngine/RuntimeDyld.h>
#include <llvm/Object/ELFObjectFile.h>
#include <llvm/Support/LEB128.h>
#include <llvm/Support/MathExtras.h>
#include <llvm/Support/Memory.h>
#include <llvm/Support/xxhash.h>

#include <sys/mman.h>
#include <unistd.h>

#include <new>

namespace metalwright::cpu {

// One mapping for all sections, so that they are near each other: code first, then data.
class LoadedObject::Memory : public llvm::RTDyldMemoryManager {
 public:
  ~Memory() override {
    if (base_)
      munmap(base_, size_);
  }

  bool needsToReserveAllocationSpace() override { return true; }

  void reserveAllocationSpace(std::uintptr_t code, llvm::Align code_align, std::uintptr_t read_only,
                              llvm::Align read_only_align, std::uintptr_t read_write,
                              llvm::Align read_write_align) override {
    const std::size_t page = static_cast<std::size_t>(getpagesize());
    code_size_ = llvm::alignTo(code + code_align.value(), page);
    size_ = code_size_ +
            llvm::alignTo(
                read_only + read_only_align.value() + read_write + read_write_align.value(), page);
    void* memory = mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    base_ = memory == MAP_FAILED ? nullptr : static_cast<std::uint8_t*>(memory);
    code_next_ = base_;
    data_next_ = base_ ? base_ + code_size_ : nullptr;
  }

  std::uint8_t* allocateCodeSection(std::uintptr_t size, unsigned alignment, unsigned,
                                    llvm::StringRef) override {
    return take(code_next_, size, alignment);
  }
  std::uint8_t* allocateDataSection(std::uintptr_t size, unsigned alignment, unsigned,
                                    llvm::StringRef, bool) override {
    return take(data_next_, size, alignment);
  }

  // Kernels do not throw.
  void registerEHFrames(std::uint8_t*, std::uint64_t, std::size_t) override {}
  void deregisterEHFrames() override {}

  bool finalizeMemory(std::string* message) override {
    if (base_ && mprotect(base_, code_size_, PROT_READ | PROT_EXEC) != 0) {
      if (message)
        *message = "the system does not allow executable memory";
      return true;
    }
    llvm::sys::Memory::InvalidateInstructionCache(base_, code_size_);
    return false;
  }

  std::uint64_t getSymbolAddress(const std::string& name) override {
    void* address = runtime_symbol(name);
    if (!address)
      missing_ += (missing_.empty() ? "" : ", ") + name;
    return reinterpret_cast<std::uint64_t>(address);
  }

  const std::string& missing() const { return missing_; }
  bool mapped() const { return base_ != nullptr; }

 private:
  static std::uint8_t* take(std::uint8_t*& next, std::uintptr_t size, unsigned alignment) {
    if (!next)
      return nullptr;
    auto* start = reinterpret_cast<std::uint8_t*>(
        llvm::alignTo(reinterpret_cast<std::uintptr_t>(next), std::max(alignment, 16u)));
    next = start + size;
    return start;
  }

  std::uint8_t* base_ = nullptr;
  std::uint8_t* code_next_ = nullptr;
  std::uint8_t* data_next_ = nullptr;
  std::size_t size_ = 0;
  std::size_t code_size_ = 0;
  std::string missing_;
};

// `.stack_sizes` holds per function a relocated address and the frame's size as ULEB128. The sum
// over all functions bounds every chain of calls.
static std::size_t read_stack_sizes(const llvm::object::ObjectFile& object) {
  std::size_t sum = 0;
  for (const llvm::object::SectionRef& section : object.sections()) {
    llvm::Expected<llvm::StringRef> name = section.getName();
    if (!name) {
      llvm::consumeError(name.takeError());
      continue;
    }
    if (*name != ".stack_sizes")
      continue;
    llvm::Expected<llvm::StringRef> contents = section.getContents();
    if (!contents) {
      llvm::consumeError(contents.takeError());
      continue;
    }
    const auto* next = contents->bytes_begin();
    const auto* end = contents->bytes_end();
    while (end - next > 8) {
      unsigned length = 0;
      sum += llvm::decodeULEB128(next + 8, &length, end);
      next += 8 + length;
    }
  }
  return sum;
}

std::optional<CodeSection> find_code(const llvm::object::ObjectFile& object,
                                     llvm::StringRef function) {
  for (const llvm::object::SymbolRef& symbol : object.symbols()) {
    auto name = symbol.getName();
    auto section = symbol.getSection();
    if (!name || !section || *name != function || *section == object.section_end()) {
      llvm::consumeError(name.takeError());
      llvm::consumeError(section.takeError());
      continue;
    }
    auto contents = (*section)->getContents();
    if (contents)
      return CodeSection{**section, contents->size(),
                         llvm::xxh3_64bits(llvm::arrayRefFromStringRef(*contents))};
    llvm::consumeError(contents.takeError());
  }
  return std::nullopt;
}

LoadedObject::LoadedObject(llvm::ArrayRef<char> bytes, const char* symbol)
    : memory_(std::make_unique<Memory>()) {
  auto fail = [](const std::string& what) { throw Error(errors::code_generation, what); };
  const llvm::MemoryBufferRef buffer(llvm::StringRef(bytes.data(), bytes.size()), "kernel");
  auto object = llvm::object::ObjectFile::createELFObjectFile(buffer);
  if (!object)
    fail("the object file cannot be read: " + llvm::toString(object.takeError()));
  stack_size_ = read_stack_sizes(**object);
  llvm::RuntimeDyld linker(*memory_, *memory_);
  auto loaded = linker.loadObject(**object);
  if (!memory_->mapped())
    throw Error(errors::out_of_memory, "there is no memory for a kernel's code");
  if (linker.hasError())
    fail("the object file cannot be linked: " + linker.getErrorString().str());
  linker.resolveRelocations();
  if (!memory_->missing().empty())
    fail("the kernel's code needs a function that is not there: " + memory_->missing());
  if (linker.hasError())
    fail("the object file cannot be linked: " + linker.getErrorString().str());
  entry_ = linker.getSymbolLocalAddress(symbol);
  if (!entry_)
    fail("the object file does not define its entry");
  if (const std::optional<CodeSection> code = find_code(**object, symbol)) {
    code_ = loaded->getSectionLoadAddress(code->section);
    code_size_ = code->size;
    code_hash_ = code->hash;
  }
  std::string message;
  if (memory_->finalizeMemory(&message))
    fail(message);
}

LoadedObject::~LoadedObject() = default;

} // namespace metalwright::cpu
