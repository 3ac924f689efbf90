// Which macOS this is and what follows from it.
#include "metal/os_version.h"

#include "metal/objects.h"

namespace metalwright::metal {

OsVersion os_version() {
  NSProcessInfo* const process = [NSProcessInfo processInfo];
  const NSOperatingSystemVersion version = process.operatingSystemVersion;
  OsVersion os;
  os.major = static_cast<unsigned>(version.majorVersion);
  os.minor = static_cast<unsigned>(version.minorVersion);
  os.patch = static_cast<unsigned>(version.patchVersion);
  os.text = from_objc([process operatingSystemVersionString]);
  return os;
}

std::uint32_t newest_language_version(const OsVersion& os) {
  // Version 4.0 came with macOS 26, which followed 15.
  if (os.major >= 26)
    return 4u << 16;
  return (3u << 16) + (os.major >= 15 ? 2 : os.major == 14 ? 1 : 0);
}

std::string language_version_text(std::uint32_t version) {
  return std::to_string(version >> 16) + "." + std::to_string(version & 0xffff);
}

} // namespace metalwright::metal
