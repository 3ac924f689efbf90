// An object file that code generation made, in executable memory.
#pragma once

#include <llvm/ADT/ArrayRef.h>

#include <cstddef>
#include <memory>
#include <string>

namespace metalwright::cpu {

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

 private:
  class Memory;
  std::unique_ptr<Memory> memory_;
  void* entry_ = nullptr;
  std::size_t stack_size_ = 0;
};

// What generated code may call: the run time's functions and the few of the C library that LLVM's
// code generator falls back on. Null for any other name.
void* runtime_symbol(const std::string& name);

} // namespace metalwright::cpu
