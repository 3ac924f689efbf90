// Compile-time facts about types. Names that Apple's library lacks (void_t, is_empty) stay out:
// programs define them in namespace metal themselves.
//
// Traits see through const and volatile but keep address spaces:
// `device int` and `int` are different types to is_same, and remove_cv leaves the space in place.
#pragma once

#include "metal_types.h"

namespace metal {
template <typename T, int N>
struct vec;

template <typename T, T V>
struct integral_constant {
  static constexpr T value = V;
  using value_type = T;
  using type = integral_constant;
  constexpr operator T() const { return V; }
  constexpr T operator()() const { return V; }
};
template <bool B>
using bool_constant = integral_constant<bool, B>;
using true_type = bool_constant<true>;
using false_type = bool_constant<false>;

template <bool B, typename T = void>
struct enable_if {};
template <typename T>
struct enable_if<true, T> {
  using type = T;
};
template <bool B, typename T = void>
using enable_if_t = typename enable_if<B, T>::type;

template <bool B, typename T, typename F>
struct conditional {
  using type = T;
};
template <typename T, typename F>
struct conditional<false, T, F> {
  using type = F;
};
template <bool B, typename T, typename F>
using conditional_t = typename conditional<B, T, F>::type;

template <typename T>
struct type_identity {
  using type = T;
};
template <typename T>
using type_identity_t = typename type_identity<T>::type;

#define _MSL_TRANSFORM(name, builtin)  \
  template <typename T>                \
  struct name {                        \
    using type = builtin(T);           \
  };                                   \
  template <typename T>                \
  using name##_t = builtin(T);
_MSL_TRANSFORM(remove_cv, __remove_cv)
_MSL_TRANSFORM(remove_const, __remove_const)
_MSL_TRANSFORM(remove_volatile, __remove_volatile)
_MSL_TRANSFORM(remove_reference, __remove_reference_t)
_MSL_TRANSFORM(remove_pointer, __remove_pointer)
_MSL_TRANSFORM(remove_extent, __remove_extent)
_MSL_TRANSFORM(remove_all_extents, __remove_all_extents)
_MSL_TRANSFORM(add_pointer, __add_pointer)
_MSL_TRANSFORM(add_lvalue_reference, __add_lvalue_reference)
_MSL_TRANSFORM(add_rvalue_reference, __add_rvalue_reference)
_MSL_TRANSFORM(underlying_type, __underlying_type)
_MSL_TRANSFORM(decay, __decay)
_MSL_TRANSFORM(remove_cvref, __remove_cvref)
#undef _MSL_TRANSFORM

// T without its address space (and without const and volatile: Clang strips qualifiers together).
template <typename T>
struct remove_addrspace {
  using type = T;
};
#define _MSL_SPACE(space)                        \
  template <typename T>                          \
  struct remove_addrspace<space T> {             \
    using type = T;                              \
  };
_MSL_SPACE(device)
_MSL_SPACE(threadgroup)
_MSL_SPACE(constant)
#undef _MSL_SPACE
template <typename T>
using remove_addrspace_t = typename remove_addrspace<T>::type;

template <typename T>
struct add_const {
  using type = const T;
};
template <typename T>
struct add_volatile {
  using type = volatile T;
};
template <typename T>
struct add_cv {
  using type = const volatile T;
};
template <typename T>
using add_const_t = const T;
template <typename T>
using add_volatile_t = volatile T;
template <typename T>
using add_cv_t = const volatile T;

template <typename T>
__add_rvalue_reference(T) declval() noexcept;

#define _MSL_PREDICATE(name, ...)                   \
  template <typename T>                             \
  inline constexpr bool name##_v = __VA_ARGS__;     \
  template <typename T>                             \
  struct name : bool_constant<__VA_ARGS__> {};
#define _MSL_PREDICATE2(name, ...)                  \
  template <typename T, typename U>                 \
  inline constexpr bool name##_v = __VA_ARGS__;     \
  template <typename T, typename U>                 \
  struct name : bool_constant<__VA_ARGS__> {};

namespace __msl {
// The element type of a vector, any other type unchanged.
template <typename T>
struct element {
  using type = T;
};
template <typename T, int N>
struct element<vec<T, N>> {
  using type = T;
};
template <typename T>
using element_t = typename element<__remove_cv(T)>::type;
template <typename T>
inline constexpr bool is_vec = false;
template <typename T, int N>
inline constexpr bool is_vec<vec<T, N>> = true;
// Defined only for an arithmetic scalar type; the cheapest form of a constraint.
template <typename T, bool = __is_arithmetic(T)>
struct if_scalar {};
template <typename T>
struct if_scalar<T, true> {
  using type = T;
};
template <typename T>
using if_scalar_t = typename if_scalar<T>::type;
} // namespace __msl

_MSL_PREDICATE2(is_same, __is_same(T, U))
_MSL_PREDICATE2(is_convertible, __is_convertible_to(T, U))
_MSL_PREDICATE2(is_base_of, __is_base_of(T, U))
_MSL_PREDICATE2(is_assignable, __is_assignable(T, U))

_MSL_PREDICATE(is_void, __is_void(T))
// A vector counts as what its elements are, so that is_scalar tells the two apart.
_MSL_PREDICATE(is_integral, __is_integral(__msl::element_t<T>))
_MSL_PREDICATE(is_floating_point, __is_floating_point(__msl::element_t<T>))
_MSL_PREDICATE(is_arithmetic, __is_arithmetic(__msl::element_t<T>))
_MSL_PREDICATE(is_fundamental, __is_fundamental(T))
_MSL_PREDICATE(is_compound, !__is_fundamental(T))
_MSL_PREDICATE(is_scalar, __is_scalar(T))
_MSL_PREDICATE(is_vector, __msl::is_vec<__remove_cv(T)>)
_MSL_PREDICATE(is_signed, __is_signed(__msl::element_t<T>))
_MSL_PREDICATE(is_unsigned, __is_unsigned(__msl::element_t<T>))
_MSL_PREDICATE(is_const, __is_const(T))
_MSL_PREDICATE(is_volatile, __is_volatile(T))
_MSL_PREDICATE(is_pointer, __is_pointer(T))
_MSL_PREDICATE(is_reference, __is_reference(T))
_MSL_PREDICATE(is_lvalue_reference, __is_lvalue_reference(T))
_MSL_PREDICATE(is_rvalue_reference, __is_rvalue_reference(T))
_MSL_PREDICATE(is_array, __is_array(T))
_MSL_PREDICATE(is_enum, __is_enum(T))
_MSL_PREDICATE(is_class, __is_class(T))
_MSL_PREDICATE(is_union, __is_union(T))
_MSL_PREDICATE(is_function, __is_function(T))
_MSL_PREDICATE(is_object, __is_object(T))
_MSL_PREDICATE(is_pod, __is_pod(T))
_MSL_PREDICATE(is_trivial, __is_trivial(T))
_MSL_PREDICATE(is_trivially_copyable, __is_trivially_copyable(T))
_MSL_PREDICATE(is_standard_layout, __is_standard_layout(T))
_MSL_PREDICATE(is_default_constructible, __is_constructible(T))
_MSL_PREDICATE(is_copy_constructible, __is_constructible(T, __add_lvalue_reference(const T)))
_MSL_PREDICATE(alignment_of, alignof(T))
#undef _MSL_PREDICATE
#undef _MSL_PREDICATE2

template <typename T, typename... Args>
inline constexpr bool is_constructible_v = __is_constructible(T, Args...);
template <typename T, typename... Args>
struct is_constructible : bool_constant<__is_constructible(T, Args...)> {};

template <typename T>
inline constexpr size_t rank_v = __array_rank(T);
template <typename T>
struct rank : integral_constant<size_t, __array_rank(T)> {};
template <typename T, unsigned I = 0>
inline constexpr size_t extent_v = __array_extent(T, I);
template <typename T, unsigned I = 0>
struct extent : integral_constant<size_t, __array_extent(T, I)> {};

template <typename... B>
inline constexpr bool conjunction_v = (bool(B::value) && ...);
template <typename... B>
inline constexpr bool disjunction_v = (bool(B::value) || ...);
template <typename B>
inline constexpr bool negation_v = !bool(B::value);
template <typename... B>
struct conjunction : bool_constant<conjunction_v<B...>> {};
template <typename... B>
struct disjunction : bool_constant<disjunction_v<B...>> {};
template <typename B>
struct negation : bool_constant<negation_v<B>> {};
// Apple's internal names, used by real code.
template <typename... B>
using _conjunction = conjunction<B...>;
template <typename... B>
using _disjunction = disjunction<B...>;

namespace __msl {
template <typename T>
struct make_signed {
  using type = __make_signed(T);
};
template <typename T>
struct make_unsigned {
  using type = __make_unsigned(T);
};
template <> struct make_signed<uchar> { using type = char; };
template <> struct make_signed<char> { using type = char; };
template <typename T, int N>
struct make_signed<vec<T, N>> {
  using type = vec<typename make_signed<T>::type, N>;
};
template <typename T, int N>
struct make_unsigned<vec<T, N>> {
  using type = vec<typename make_unsigned<T>::type, N>;
};
template <typename... T>
struct common;
template <typename T>
struct common<T> {
  using type = __decay(T);
};
template <typename T, typename U, typename... R>
struct common<T, U, R...> : common<decltype(false ? declval<T>() : declval<U>()), R...> {};
} // namespace __msl
template <typename T>
struct make_signed : __msl::make_signed<T> {};
template <typename T>
struct make_unsigned : __msl::make_unsigned<T> {};
template <typename T>
using make_signed_t = typename make_signed<T>::type;
template <typename T>
using make_unsigned_t = typename make_unsigned<T>::type;
template <typename... T>
struct common_type : __msl::common<T...> {};
template <typename... T>
using common_type_t = typename common_type<T...>::type;

// Scalar <-> vector of the same element type.
template <typename T>
struct make_scalar {
  using type = __msl::element_t<T>;
};
template <typename T>
using make_scalar_t = __msl::element_t<T>;
template <typename T, int N>
struct make_vector {
  using type = vec<__msl::element_t<T>, N>;
};
template <typename T, int N>
using make_vector_t = vec<__msl::element_t<T>, N>;
template <typename T>
inline constexpr int vector_size_v = 1;
template <typename T, int N>
inline constexpr int vector_size_v<vec<T, N>> = N;
template <typename T>
struct vector_size : integral_constant<int, vector_size_v<T>> {};

template <typename F, typename... Args>
struct invoke_result {
  using type = decltype(declval<F>()(declval<Args>()...));
};
template <typename F, typename... Args>
using invoke_result_t = typename invoke_result<F, Args...>::type;
template <typename F, typename... Args>
using result_of_t = typename invoke_result<F, Args...>::type;
} // namespace metal
