// The personality routine of Objective-C++ code: lets C++ and Objective-C exceptions meet.
//
// Clang gives every function of a .mm file the personality `__gnu_objc_personality_v0`, and the one
// in GCC's run time lets C++ exceptions pass every handler: a `catch (const Error&)` in a .mm file
// would never be entered. On Apple's run time both kinds are caught by their own handlers. This
// definition is linked, hidden, into what contains our .mm files and does the same: `@catch` for
// Objective-C objects, `catch` for C++ objects, clean-ups for both, `catch (...)` and `@catch
// (...)` for either.
#include <cstdint>
#include <cstring>
#include <dlfcn.h>
#include <typeinfo>
#include <unwind.h>

extern "C" {
struct objc_class;
struct objc_object {
  objc_class* class_pointer;
};
objc_class* objc_lookUpClass(const char* name);
objc_class* class_getSuperclass(objc_class* cls);
}

namespace {

constexpr std::uint64_t exception_class(const char (&name)[9]) {
  std::uint64_t value = 0;
  for (int i = 0; i < 8; ++i)
    value = value << 8 | static_cast<unsigned char>(name[i]);
  return value;
}
constexpr std::uint64_t kObjectiveC = exception_class("GNUCOBJC");
constexpr std::uint64_t kCxx = exception_class("GNUCC++\0");
constexpr std::uint64_t kCxxDependent = exception_class("GNUCC++\1");

// What the run time of Objective-C throws.
struct ObjectiveCException {
  _Unwind_Exception header;
  objc_object* value;
};

// What the Itanium C++ ABI puts before the header, on 64-bit machines.
struct CxxException {
  std::type_info* type; // of a dependent exception: a pointer to the primary's object
  void (*destructor)(void*);
  void (*unexpected_handler)();
  void (*terminate_handler)();
  CxxException* next;
  int handler_count;
  int handler_switch_value;
  const unsigned char* action_record;
  const unsigned char* language_specific_data;
  _Unwind_Ptr catch_temp;
  void* adjusted_pointer;
  _Unwind_Exception header;
};

CxxException* cxx_exception(_Unwind_Exception* header) {
  return reinterpret_cast<CxxException*>(header + 1) - 1;
}

// An Objective-C object handed to a handler that takes anything. A C++ `catch (...)` then calls
// __cxa_begin_catch with it, which wants the header instead.
thread_local objc_object* handed_object = nullptr;
thread_local _Unwind_Exception* handed_header = nullptr;

// ------------------------------------------------------------------ reading the tables

std::uint64_t read_uleb(const unsigned char*& p) {
  std::uint64_t value = 0;
  for (unsigned shift = 0;; shift += 7) {
    const unsigned char byte = *p++;
    value |= std::uint64_t(byte & 0x7f) << shift;
    if (!(byte & 0x80))
      return value;
  }
}

std::int64_t read_sleb(const unsigned char*& p) {
  std::uint64_t value = 0;
  unsigned shift = 0;
  unsigned char byte;
  do {
    byte = *p++;
    value |= std::uint64_t(byte & 0x7f) << shift;
    shift += 7;
  } while (byte & 0x80);
  if (shift < 64 && (byte & 0x40))
    value |= ~std::uint64_t(0) << shift;
  return static_cast<std::int64_t>(value);
}

template <typename T> T read_raw(const unsigned char*& p) {
  T value;
  std::memcpy(&value, p, sizeof value);
  p += sizeof value;
  return value;
}

constexpr unsigned char kOmitted = 0xff;

_Unwind_Ptr read_encoded(const unsigned char*& p, unsigned char encoding) {
  const auto place = reinterpret_cast<_Unwind_Ptr>(p);
  _Unwind_Ptr value = 0;
  switch (encoding & 0x0f) {
  case 0x00: // pointer
    value = read_raw<_Unwind_Ptr>(p);
    break;
  case 0x01:
    value = read_uleb(p);
    break;
  case 0x02:
    value = read_raw<std::uint16_t>(p);
    break;
  case 0x03:
    value = read_raw<std::uint32_t>(p);
    break;
  case 0x04:
    value = read_raw<std::uint64_t>(p);
    break;
  case 0x09:
    value = static_cast<_Unwind_Ptr>(read_sleb(p));
    break;
  case 0x0a:
    value = static_cast<_Unwind_Ptr>(std::int64_t{read_raw<std::int16_t>(p)});
    break;
  case 0x0b:
    value = static_cast<_Unwind_Ptr>(std::int64_t{read_raw<std::int32_t>(p)});
    break;
  case 0x0c:
    value = static_cast<_Unwind_Ptr>(read_raw<std::int64_t>(p));
    break;
  default:
    __builtin_trap();
  }
  if (value == 0)
    return 0;
  if ((encoding & 0x70) == 0x10) // relative to the place it was read from
    value += place;
  if (encoding & 0x80)
    value = *reinterpret_cast<_Unwind_Ptr*>(value);
  return value;
}

std::size_t encoded_size(unsigned char encoding) {
  switch (encoding & 0x07) {
  case 0x02:
    return 2;
  case 0x03:
    return 4;
  default:
    return 8;
  }
}

struct Tables {
  _Unwind_Ptr function_start;
  _Unwind_Ptr landing_pad_base;
  const unsigned char* types = nullptr; // one past the last entry; they count downwards from 1
  unsigned char type_encoding = kOmitted;
  unsigned char call_site_encoding = 0;
  const unsigned char* call_sites = nullptr;
  const unsigned char* actions = nullptr;

  Tables(_Unwind_Context* context, const unsigned char* p)
      : function_start(_Unwind_GetRegionStart(context)), landing_pad_base(function_start) {
    const unsigned char base_encoding = *p++;
    if (base_encoding != kOmitted)
      landing_pad_base = read_encoded(p, base_encoding);
    type_encoding = *p++;
    if (type_encoding != kOmitted) {
      const std::uint64_t distance = read_uleb(p);
      types = p + distance;
    }
    call_site_encoding = *p++;
    const std::uint64_t length = read_uleb(p);
    call_sites = p;
    actions = p + length;
  }

  // The handler type number `filter`: a class name, a std::type_info or null.
  const void* type(std::int64_t filter) const {
    const unsigned char* entry =
        types - static_cast<std::size_t>(filter) * encoded_size(type_encoding);
    return reinterpret_cast<const void*>(read_encoded(entry, type_encoding));
  }
};

// `@catch (NSException*)` leaves the class's name in the table, `catch (const Error&)` a
// std::type_info, which begins with a pointer: its upper two bytes are 0 on every 64-bit machine
// that this runs on, where a name has letters.
bool is_class_name(const void* type) {
  const auto* text = static_cast<const unsigned char*>(type);
  for (int i = 0; i < 7; ++i) {
    if (text[i] == 0)
      return i > 0 && objc_lookUpClass(static_cast<const char*>(type)) != nullptr;
    if (text[i] <= 0x20 || text[i] > 0x7e)
      return false;
  }
  return true;
}

bool catches_object(const void* type, const objc_object* value) {
  if (!is_class_name(type))
    return false;
  objc_class* wanted = objc_lookUpClass(static_cast<const char*>(type));
  if (!wanted || !value)
    return false;
  for (objc_class* cls = value->class_pointer; cls; cls = class_getSuperclass(cls))
    if (cls == wanted)
      return true;
  return false;
}

bool catches_cxx(const void* type, std::type_info* thrown_type, void*& object) {
  if (is_class_name(type))
    return false;
  return static_cast<const std::type_info*>(type)->__do_catch(thrown_type, &object, 1);
}

struct Found {
  enum { nothing, cleanup, handler } what = nothing;
  _Unwind_Ptr landing_pad = 0;
  std::int64_t filter = 0;
  bool takes_anything = false;
  void* adjusted_pointer = nullptr; // of a C++ object
};

Found search(_Unwind_Context* context, const unsigned char* data, std::uint64_t kind,
             _Unwind_Exception* header, bool forced) {
  const Tables tables(context, data);
  int before_instruction = 0;
  _Unwind_Ptr address = _Unwind_GetIPInfo(context, &before_instruction);
  if (!before_instruction)
    --address;

  const unsigned char* p = tables.call_sites;
  std::uint64_t action = 0;
  Found found;
  while (p < tables.actions) {
    const _Unwind_Ptr start = read_encoded(p, tables.call_site_encoding);
    const _Unwind_Ptr length = read_encoded(p, tables.call_site_encoding);
    const _Unwind_Ptr pad = read_encoded(p, tables.call_site_encoding);
    const std::uint64_t this_action = read_uleb(p);
    if (address < tables.function_start + start)
      break;
    if (address < tables.function_start + start + length) {
      if (pad) {
        found.landing_pad = tables.landing_pad_base + pad;
        action = this_action;
      }
      break;
    }
  }
  if (!found.landing_pad)
    return found;
  if (action == 0) {
    found.what = Found::cleanup;
    return found;
  }

  std::type_info* thrown_type = nullptr;
  void* thrown_object = nullptr;
  if (kind == kCxx || kind == kCxxDependent) {
    CxxException* exception = cxx_exception(header);
    thrown_object = header + 1;
    if (kind == kCxxDependent) { // std::rethrow_exception: the object and its type are elsewhere
      thrown_object = exception->type;
      exception = cxx_exception(static_cast<_Unwind_Exception*>(thrown_object) - 1);
    }
    thrown_type = exception->type;
    if (thrown_type->__is_pointer_p())
      thrown_object = *static_cast<void**>(thrown_object);
  }

  const unsigned char* record = tables.actions + action - 1;
  for (;;) {
    const std::int64_t filter = read_sleb(record);
    const unsigned char* displacement_place = record;
    const std::int64_t displacement = read_sleb(record);
    if (filter == 0) {
      found.what = Found::cleanup;
    } else if (filter > 0 && !forced) {
      const void* type = tables.type(filter);
      void* object = thrown_object;
      bool match = type == nullptr;
      if (!match && kind == kObjectiveC)
        match = catches_object(type, reinterpret_cast<ObjectiveCException*>(header)->value);
      else if (!match && thrown_type)
        match = catches_cxx(type, thrown_type, object);
      if (match) {
        found.what = Found::handler;
        found.filter = filter;
        found.takes_anything = type == nullptr;
        found.adjusted_pointer = object;
        return found;
      }
    }
    if (displacement == 0)
      return found;
    record = displacement_place + displacement;
  }
}

} // namespace

#define HIDDEN extern "C" __attribute__((visibility("hidden")))

HIDDEN void* __cxa_begin_catch(void* exception) {
  static const auto real =
      reinterpret_cast<void* (*)(void*)>(dlsym(RTLD_NEXT, "__cxa_begin_catch"));
  if (handed_object && exception == handed_object) {
    exception = handed_header;
    handed_object = nullptr;
  }
  return real(exception);
}

HIDDEN _Unwind_Reason_Code __gnu_objc_personality_v0(int version, _Unwind_Action actions,
                                                     std::uint64_t kind, _Unwind_Exception* header,
                                                     _Unwind_Context* context) {
  if (version != 1)
    return _URC_FATAL_PHASE1_ERROR;
  const auto* data =
      reinterpret_cast<const unsigned char*>(_Unwind_GetLanguageSpecificData(context));
  if (!data)
    return _URC_CONTINUE_UNWIND;

  const Found found = search(context, data, kind, header, (actions & _UA_FORCE_UNWIND) != 0);
  const bool is_cxx = kind == kCxx || kind == kCxxDependent;
  if (actions & _UA_SEARCH_PHASE) {
    if (found.what != Found::handler)
      return _URC_CONTINUE_UNWIND;
    if (is_cxx) // __cxa_begin_catch reads it
      cxx_exception(header)->adjusted_pointer = found.adjusted_pointer;
    return _URC_HANDLER_FOUND;
  }
  if (found.what == Found::nothing)
    return _URC_CONTINUE_UNWIND;

  const bool enters = found.what == Found::handler && (actions & _UA_HANDLER_FRAME);
  auto* value = reinterpret_cast<objc_object*>(header);
  handed_object = nullptr;
  if (enters && kind == kObjectiveC) {
    value = reinterpret_cast<ObjectiveCException*>(header)->value;
    if (found.takes_anything) {
      handed_object = value;
      handed_header = header;
    }
  }
  _Unwind_SetGR(context, __builtin_eh_return_data_regno(0), reinterpret_cast<_Unwind_Word>(value));
  _Unwind_SetGR(context, __builtin_eh_return_data_regno(1),
                static_cast<_Unwind_Word>(enters ? found.filter : 0));
  _Unwind_SetIP(context, found.landing_pad);
  return _URC_INSTALL_CONTEXT;
}
