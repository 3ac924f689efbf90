// Metal takes no include paths for source text: the user's files are put into it.
#include "metal/includes.h"

#include "../device.h" // not the one in this folder
#include "errors.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <utility>

namespace metalwright::metal {

namespace {

constexpr unsigned kDepth = 200;                       // as clang's own limit
constexpr std::size_t kLength = std::size_t{64} << 20; // of the result; includes can multiply

std::string_view trim(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos)
    return {};
  return text.substr(begin, text.find_last_not_of(" \t\r") + 1 - begin);
}

// What follows `#word`, if the line is that directive.
std::optional<std::string_view> directive(std::string_view line, std::string_view word) {
  line = trim(line);
  if (line.empty() || line.front() != '#')
    return std::nullopt;
  line = trim(line.substr(1));
  if (!line.starts_with(word))
    return std::nullopt;
  line.remove_prefix(word.size());
  if (!line.empty() && line.front() != ' ' && line.front() != '\t' && line.front() != '<' &&
      line.front() != '"')
    return std::nullopt; // #include_next
  return trim(line);
}

bool is_pragma_once(std::string_view line) {
  const auto what = directive(line, "pragma");
  return what && what->starts_with("once");
}

class Inliner {
 public:
  explicit Inliner(const std::vector<std::string>& paths) : paths_(paths) {}

  // Appends `text`, a file that diagnostics call `name`, lying in `folder` (empty: nowhere).
  void append(std::string_view text, const std::string& name, const std::filesystem::path& folder,
              unsigned depth) {
    if (depth > kDepth || result.size() > kLength)
      throw Error(errors::include_depth,
                  name + ": files include each other without end, or too much of each other");
    bool in_comment = false;
    unsigned number = 0;
    while (!text.empty()) {
      ++number;
      const std::size_t end = text.find('\n');
      const std::string_view line = text.substr(0, end);
      text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
      const bool starts_in_comment = in_comment;
      in_comment = ends_in_comment(line, in_comment);
      if (!starts_in_comment && include(line, name, folder, number, depth))
        continue;
      // In the middle of a larger text the pragma would speak of that text.
      if (!starts_in_comment && depth > 0 && is_pragma_once(line))
        result += "\n";
      else
        result.append(line).append("\n");
    }
  }

  std::string result;

 private:
  bool include(std::string_view line, const std::string& name, const std::filesystem::path& folder,
               unsigned number, unsigned depth) {
    auto wanted = directive(line, "include");
    if (!wanted)
      wanted = directive(line, "import");
    if (!wanted || wanted->size() < 3)
      return false;
    const bool quoted = wanted->front() == '"';
    const std::size_t close = wanted->find(quoted ? '"' : '>', 1);
    if ((!quoted && wanted->front() != '<') || close == std::string_view::npos)
      return false; // made by a macro
    const auto found = find(wanted->substr(1, close - 1), quoted, folder);
    if (!found)
      return false;
    const std::string path = found->string();
    std::ifstream file(path, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const bool once = directive(line, "import").has_value() || has_pragma_once(text);
    if (!once || !open_[path]) {
      const std::string guard =
          "METALWRIGHT_ONCE_" +
          std::to_string(guards_.try_emplace(path, guards_.size()).first->second);
      if (once)
        result += "#ifndef " + guard + "\n#define " + guard + "\n";
      const bool before = std::exchange(open_[path], true);
      place(1, path);
      append(text, path, found->parent_path(), depth + 1);
      open_[path] = before;
      if (once)
        result += "#endif\n";
    }
    place(number + 1, name);
    return true;
  }

  void place(unsigned number, const std::string& name) {
    result += "#line " + std::to_string(number) + " \"";
    for (char c : name) {
      if (c == '"' || c == '\\')
        result += '\\';
      result += c;
    }
    result += "\"\n";
  }

  std::optional<std::filesystem::path> find(std::string_view name, bool quoted,
                                            const std::filesystem::path& folder) const {
    // The standard library's own names come first, and they are Metal's: <metal_stdlib>,
    // <metal_math>, <simd/simd.h>.
    if (!quoted && (name.starts_with("simd/") ||
                    (name.starts_with("metal_") && name.find('.') == std::string_view::npos)))
      return std::nullopt;
    std::error_code ignored;
    if (quoted && !folder.empty())
      if (const auto path = folder / name; std::filesystem::is_regular_file(path, ignored))
        return std::filesystem::weakly_canonical(path, ignored);
    for (const std::string& place : paths_)
      if (const auto path = std::filesystem::path(place) / name;
          std::filesystem::is_regular_file(path, ignored))
        return std::filesystem::weakly_canonical(path, ignored);
    return std::nullopt;
  }

  static bool ends_in_comment(std::string_view line, bool in_comment) {
    for (std::size_t i = 0; i < line.size(); ++i) {
      if (in_comment) {
        if (line.substr(i, 2) == "*/") {
          in_comment = false;
          ++i;
        }
      } else if (line.substr(i, 2) == "//") {
        return false;
      } else if (line.substr(i, 2) == "/*") {
        in_comment = true;
        ++i;
      } else if (line[i] == '"') {
        for (++i; i < line.size() && line[i] != '"'; ++i)
          if (line[i] == '\\')
            ++i;
      }
    }
    return in_comment;
  }

  static bool has_pragma_once(std::string_view text) {
    for (std::size_t at = text.find("#pragma"); at != std::string_view::npos;
         at = text.find("#pragma", at + 1))
      if (is_pragma_once(text.substr(at, text.find('\n', at) - at)))
        return true;
    return false;
  }

  const std::vector<std::string>& paths_;
  std::map<std::string, std::size_t> guards_;
  // Files being put in: one that is included once must not go into itself.
  std::map<std::string, bool> open_;
};

} // namespace

std::string inline_includes(std::string_view source, const std::vector<std::string>& paths) {
  if (paths.empty())
    return std::string(source);
  Inliner inliner(paths);
  inliner.append(source, "program_source", {}, 0);
  return std::move(inliner.result);
}

} // namespace metalwright::metal
