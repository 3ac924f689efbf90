// Ownership of Objective-C objects that reads the same with ARC (Apple) and without it (GNUstep),
// and strings between the two worlds. The only file that knows which of the two it is.
#pragma once

#import <Foundation/Foundation.h>

#include "../device.h" // not the one in this folder
#include "errors.h"

#include <string>
#include <string_view>
#include <utility>

#if defined(__MAC_OS_X_VERSION_MAX_ALLOWED) && __MAC_OS_X_VERSION_MAX_ALLOWED < 150000
#error "metalwright needs the macOS 15 SDK or newer: update Xcode or its command-line tools to 16"
#endif

namespace metalwright::metal {

// A strong reference. T is `id<MTLBuffer>`, `NSString*`, ...
template <class T> class Owned {
 public:
  Owned() = default;

  // Takes over what a method of the families new, alloc, copy, or a function that creates or
  // copies, returned: the caller already owns it once. Call it on the result at once.
  static Owned adopt(T object) {
    Owned owned;
    owned.object_ = object; // ARC: retains here, releases its own reference by itself
    return owned;
  }
  // Keeps alive what somebody else owns.
  static Owned share(T object) {
#if !__has_feature(objc_arc)
    [object retain];
#endif
    return adopt(object);
  }

#if !__has_feature(objc_arc)
  Owned(const Owned& other) : object_(other.object_) { [object_ retain]; }
  Owned(Owned&& other) noexcept : object_(std::exchange(other.object_, nil)) {}
  Owned& operator=(Owned other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Owned() { [object_ release]; }
#endif

  // Of a temporary: good until the end of the full expression only.
  T get() const { return object_; }
  explicit operator bool() const { return object_ != nil; }

 private:
  T object_ = nil;
};

inline Owned<NSString*> to_objc(std::string_view text) {
  auto string = Owned<NSString*>::adopt([[NSString alloc] initWithBytes:text.data()
                                                                 length:text.size()
                                                               encoding:NSUTF8StringEncoding]);
  if (!string)
    throw Error(errors::bad_text,
                "a text for Metal is not UTF-8: " + std::string(text.substr(0, 60)));
  return string;
}

inline std::string from_objc(NSString* string) {
  const char* const text = [string UTF8String];
  return text ? text : "";
}

} // namespace metalwright::metal
