// Catching C++ exceptions away from Objective-C frames.
#include <exception>
#include <string>

namespace metalwright::metal {

std::exception_ptr catch_exception(void (*body)(void*), void* context) noexcept {
  try {
    body(context);
  } catch (...) {
    return std::current_exception();
  }
  return nullptr;
}

std::string describe(const std::exception_ptr& exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
    return "an exception of unknown type";
  }
}

} // namespace metalwright::metal
