// Which macOS this is and what follows from it.
#pragma once

#include <cstdint>
#include <string>

namespace metalwright::metal {

struct OsVersion {
  unsigned major = 0, minor = 0, patch = 0;
  std::string text; // as the system prints it, with the build: "Version 15.3 (Build 24D60)"
};

OsVersion os_version();

// The newest MSL that it compiles, as (major << 16) + minor.
std::uint32_t newest_language_version(const OsVersion& os);

// "3.2"
std::string language_version_text(std::uint32_t version);

} // namespace metalwright::metal
