// An object file that code generation made, in executable memory.
#pragma once

#include <llvm/ADT/ArrayRef.h>
#include <llvm/Object/ObjectFile.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace metalwright::cpu {

// The section of an object file that has a function in it.
struct CodeSection {
  llvm::object::SectionRef section;
  std::uint64_t size = 0;
  std::uint64_t hash = 0; // of its bytes, before anything is relocated
};
std::optional<CodeSection> find_code(const llvm::object::ObjectFile& object,
                                     llvm::StringRef function);

class LoadedObject {
 public:
  // `symbol` is the function that is wanted. Symbols that the object needs come from
  // runtime_symbol(). Throws Error("code-generation-failed"), naming a symbol that is not there.
  LoadedObject(llvm::ArrayRef<char> object, const char* symbol);
  ~LoadedObject();
  LoadedObject(const LoadedObject&) = delete;
  LoadedObject& operator=(const LoadedObject&) = delete;

  void* entry() const { return entry_; }
  // No call chain in the object needs more stack than this (functions that do not call themselves).
  std::size_t stack_size() const { return stack_size_; }
  // Where an address is in the section of the entry; nothing if it is not in there.
  std::optional<std::uint64_t> code_offset(std::uintptr_t address) const {
    return address - code_ < code_size_ ? std::optional<std::uint64_t>(address - code_)
                                        : std::nullopt;
  }
  std::uint64_t code_hash() const { return code_hash_; }

 private:
  class Memory;
  std::unique_ptr<Memory> memory_;
  void* entry_ = nullptr;
  std::size_t stack_size_ = 0;
  std::uintptr_t code_ = 0;
  std::uint64_t code_size_ = 0;
  std::uint64_t code_hash_ = 0;
};

// What generated code may call: the run time's functions and the few of the C library that LLVM's
// code generator falls back on. Null for any other name.
void* runtime_symbol(const std::string& name);

} // namespace metalwright::cpu
