// What csrc/metal does with text, for tests: reads standard input, prints one result per line.
//
//   metalwright_metal_text diagnostics FILE_NAME
//   metalwright_metal_text includes FOLDER...
//   metalwright_metal_text parameter KERNEL NAME
#include "metal/diagnostics.h"
#include "metal/includes.h"
#include "metal/signature.h"

#include <iostream>
#include <iterator>

using namespace metalwright;

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  const std::string text{std::istreambuf_iterator<char>(std::cin), {}};
  if (words.size() == 2 && words[0] == "diagnostics") {
    for (const Diagnostic& diagnostic : metal::parse_diagnostics(text, words[1]))
      std::cout << static_cast<int>(diagnostic.severity) << '|' << diagnostic.file << '|'
                << diagnostic.line << '|' << diagnostic.column << '|' << diagnostic.message << '|'
                << diagnostic.source_line << '|' << diagnostic.caret << '\n';
  } else if (!words.empty() && words[0] == "includes") {
    try {
      std::cout << metal::inline_includes(text, {words.begin() + 1, words.end()});
    } catch (const Error& error) {
      std::cerr << error.code() << ": " << error.what() << '\n';
      return 1;
    }
  } else if (words.size() == 3 && words[0] == "parameter") {
    const auto parameter = metal::Signatures(text).find(words[1], words[2]);
    if (parameter)
      std::cout << static_cast<int>(parameter->address_space) << '|' << parameter->is_reference
                << '|' << parameter->type_name << '\n';
  } else {
    std::cerr << "not a command\n";
    return 2;
  }
  return 0;
}
