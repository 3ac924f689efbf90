// What of the disk a program may see.
#include "msl/include_folders.h"

#include <llvm/ADT/STLExtras.h>
#include <llvm/Support/Path.h>

namespace metalwright::msl {

IncludeFolders::IncludeFolders(const std::vector<std::string>& folders)
    : ProxyFileSystem(llvm::vfs::createPhysicalFileSystem()) {
  for (const std::string& folder : folders)
    folders_.push_back(canonical(folder));
}

llvm::ErrorOr<llvm::vfs::Status> IncludeFolders::status(const llvm::Twine& path) {
  if (!visible(path))
    return std::make_error_code(std::errc::no_such_file_or_directory);
  return ProxyFileSystem::status(path);
}

bool IncludeFolders::exists(const llvm::Twine& path) {
  return visible(path) && ProxyFileSystem::exists(path);
}

llvm::ErrorOr<std::unique_ptr<llvm::vfs::File>>
IncludeFolders::openFileForRead(const llvm::Twine& path) {
  if (!visible(path))
    return std::make_error_code(std::errc::no_such_file_or_directory);
  return ProxyFileSystem::openFileForRead(path);
}

std::string IncludeFolders::canonical(const llvm::Twine& path) {
  llvm::SmallString<128> text;
  path.toVector(text);
  makeAbsolute(text);
  llvm::sys::path::remove_dots(text, /*remove_dot_dot=*/true);
  return std::string(text);
}

bool IncludeFolders::visible(const llvm::Twine& path) {
  const std::string text = canonical(path);
  return llvm::any_of(folders_, [&](llvm::StringRef folder) {
    return text == folder ||
           (llvm::StringRef(text).starts_with(folder) && text[folder.size()] == '/');
  });
}

} // namespace metalwright::msl
