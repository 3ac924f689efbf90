// Attributes that the token rewriter writes and that act on the syntax tree while it is built.
#pragma once

namespace metalwright::msl {

// `__attribute__((msl_object_space(n)))` on a member function: its object lies in AIR's address
// space n, as `f() const device` says. It is part of the function's type, so overload resolution
// and the type of `this` follow.
inline constexpr const char* kObjectSpaceAttribute = "msl_object_space";

// On an alias at the end of a class that has such members: makes those without a qualifier
// comparable to them, as what is chosen for the spaces that none of the others is for.
inline constexpr const char* kObjectSpacesEndAttribute = "msl_object_spaces_end";

// On any declaration: from it on, template parameters of class type are
// accepted (argument 1) or not (0). C++17 has none; the descriptors of Metal
// Performance Primitives are some.
inline constexpr const char* kClassArgumentsAttribute = "msl_class_arguments";

// The annotation of members that are for objects of a thread's own and no
// others: in the syntax tree such an object is in no address space, and
// everything converts to that.
inline constexpr const char* kThreadObject = "msl.thread_object";

// Makes both known to Clang. Call it before the first compilation; calls after that do nothing.
void register_clang_attributes();

} // namespace metalwright::msl
