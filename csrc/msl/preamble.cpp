// The #include lines that a program begins with, compiled once for all programs that begin alike.
#include "msl/preamble.h"

#include "msl/entry_points.h"

#include <clang/Basic/SourceManager.h>
#include <llvm/Support/FileSystem.h>

#include <deque>
#include <mutex>

namespace metalwright::msl {
namespace {

constexpr size_t kMostKept = 16; // preambles of a few megabytes each

// What a file was when it was read.
struct Dependency {
  std::string path;
  uint64_t size;
  llvm::sys::TimePoint<> changed;

  bool holds() const {
    llvm::sys::fs::file_status status;
    return !llvm::sys::fs::status(path, status) && status.getSize() == size &&
           status.getLastModificationTime() == changed;
  }
};

struct Entry {
  std::string text;
  CompileOptions options;
  std::vector<Dependency> dependencies;
  std::shared_ptr<const Preamble> preamble; // null: not to be used
};

std::mutex mutex;
std::deque<Entry> entries; // the most recently made first

// The length of the leading lines that are blank, comments or #include.
size_t preamble_length(llvm::StringRef source) {
  size_t length = 0;
  bool includes = false;
  for (size_t begin = 0; begin < source.size();) {
    size_t end = source.find('\n', begin);
    end = end == llvm::StringRef::npos ? source.size() : end + 1;
    llvm::StringRef line = source.slice(begin, end).trim();
    if (line.ends_with("\\"))
      break;
    const bool comment = line.starts_with("//");
    const bool is_include =
        line.consume_front("#") && line.ltrim().starts_with("include") && !line.contains("/*");
    if (is_include) {
      includes = true;
      length = end;
    } else if (!line.empty() && !comment) {
      break;
    }
    begin = end;
  }
  return includes ? length : 0;
}

std::vector<Dependency> files_read(clang::SourceManager& sources, bool& complete) {
  std::vector<Dependency> files;
  for (auto file = sources.fileinfo_begin(); file != sources.fileinfo_end(); ++file) {
    const std::string path = file->first.getName().str();
    if (llvm::StringRef(path).starts_with(kLibraryFolder))
      continue;
    llvm::sys::fs::file_status status;
    if (llvm::sys::fs::status(path, status))
      complete = false;
    else
      files.push_back({path, status.getSize(), status.getLastModificationTime()});
  }
  return files;
}

Entry make(const std::string& text, const CompileOptions& options) {
  static unsigned count = 0;
  Session session(Session::Kind::preamble, options, {precompiled_library()});
  const std::string path = (kLibraryFolder + "preamble-" + std::to_string(count++) + ".pch").str();
  std::string content = session.precompile(text, path);
  bool complete = true;
  Entry entry{text, options, files_read(session.compiler().getSourceManager(), complete), nullptr};
  if (content.empty() || !complete)
    return entry;
  // A program finds its kernels in its own text. An #include that brings some, or variables that
  // break a rule, is compiled with it.
  clang::CompilerInstance& compiler = session.compiler();
  const EntryPoints found = find_entry_points(compiler.getSema(), {});
  if (found.kernels.empty() && found.constants.empty() && !found.has_explicit_instantiations &&
      !compiler.getDiagnostics().hasErrorOccurred())
    entry.preamble = std::make_shared<Preamble>(path, std::move(content), text.size());
  return entry;
}

} // namespace

std::string Preamble::without(const std::string& source) const {
  std::string text = source;
  for (size_t i = 0; i < length_; ++i)
    if (text[i] != '\n')
      text[i] = ' ';
  return text;
}

std::shared_ptr<const Preamble> find_preamble(const std::string& source,
                                              const CompileOptions& options) {
  const std::string text = source.substr(0, preamble_length(source));
  // Most of what can be included without folders are the standard library's
  // names, which are empty files.
  const bool reads_headers = !options.include_paths.empty() ||
                             text.find("tensor") != std::string::npos ||
                             text.find("MetalPerformancePrimitives") != std::string::npos;
  if (!reads_headers)
    return nullptr;
  if (text.empty())
    return nullptr;
  // Held while compiling, too: of many threads that need the same preamble one makes it.
  const std::lock_guard lock(mutex);
  for (auto entry = entries.begin(); entry != entries.end(); ++entry) {
    if (entry->text != text || !(entry->options == options))
      continue;
    if (llvm::all_of(entry->dependencies, [](const Dependency& file) { return file.holds(); }))
      return entry->preamble;
    entries.erase(entry);
    break;
  }
  entries.push_front(make(text, options));
  if (entries.size() > kMostKept)
    entries.pop_back();
  return entries.front().preamble;
}

} // namespace metalwright::msl
