// What of the disk a program may see.
#pragma once

#include <llvm/Support/VirtualFileSystem.h>

#include <string>
#include <vector>

namespace metalwright::msl {

// The folders that the caller named, and nothing else. Sources come from strangers, and a message
// quotes the line that it is about.
class IncludeFolders final : public llvm::vfs::ProxyFileSystem {
 public:
  explicit IncludeFolders(const std::vector<std::string>& folders);
  llvm::ErrorOr<llvm::vfs::Status> status(const llvm::Twine& path) override;
  bool exists(const llvm::Twine& path) override;
  llvm::ErrorOr<std::unique_ptr<llvm::vfs::File>> openFileForRead(const llvm::Twine& path) override;

 private:
  std::string canonical(const llvm::Twine& path);
  bool visible(const llvm::Twine& path);

  std::vector<std::string> folders_;
};

} // namespace metalwright::msl
