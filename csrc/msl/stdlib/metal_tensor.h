// <metal_tensor>: extents, and tensors over memory. Read by programs that include it, not part of the
// precompiled library: macros of the program are in force, so that template parameters have reserved names.
#pragma once

#if __METAL_VERSION__ >= 400
namespace metal {

template <typename IndexType, size_t... Extents>
struct extents {
  using index_type = IndexType;
  using size_type = make_unsigned_t<IndexType>;
  using rank_type = size_t;

  static constexpr rank_type rank() { return sizeof...(Extents); }
  static constexpr rank_type rank_dynamic() {
    return (size_t(0) + ... + size_t(Extents == dynamic_extent));
  }
  static constexpr size_t static_extent(rank_type r) {
    const size_t all[sizeof...(Extents) + 1] = {Extents..., 0};
    return all[r];
  }
  constexpr index_type extent(rank_type r) const {
    return static_extent(r) == dynamic_extent ? __values[r] : index_type(static_extent(r));
  }

  constexpr extents() : __values{index_type(Extents == dynamic_extent ? 0 : Extents)..., 0} {}
  // One number per dimension, or one per dynamic dimension.
  template <typename... __T,
            typename = enable_if_t<(sizeof...(__T) != 0) && (sizeof...(__T) == sizeof...(Extents) ||
                                    sizeof...(__T) == rank_dynamic())>>
  constexpr extents(__T... values) : extents() {
    const index_type given[] = {index_type(values)...};
    size_t next = 0;
    for (size_t r = 0; r < rank(); ++r)
      if (static_extent(r) == dynamic_extent || sizeof...(__T) == rank()) {
        if (static_extent(r) == dynamic_extent)
          __values[r] = given[next];
        ++next;
      }
  }
  template <typename Other, size_t... OtherExtents,
            typename = enable_if_t<sizeof...(OtherExtents) == sizeof...(Extents)>>
  constexpr extents(extents<Other, OtherExtents...> other) : extents() {
    for (size_t r = 0; r < rank(); ++r)
      if (static_extent(r) == dynamic_extent)
        __values[r] = index_type(other.extent(r));
  }

  index_type __values[sizeof...(Extents) + 1];
};

namespace __msl {
template <typename IndexType, typename Sequence>
struct dynamic_extents;
template <typename IndexType, size_t... __I>
struct dynamic_extents<IndexType, index_sequence<__I...>> {
  using type = extents<IndexType, (__I, dynamic_extent)...>;
};
} // namespace __msl
template <typename IndexType, size_t Rank>
using dextents = typename __msl::dynamic_extents<IndexType, make_index_sequence<Rank>>::type;

struct tensor_handle {};
struct tensor_inline {};
struct tensor_offset {};

template <typename ElementType, typename Extents, typename Descriptor = tensor_handle, typename... Tags>
struct tensor;

namespace __msl {
template <typename __T>
struct is_tensor : false_type {};
template <typename __E, typename __X, typename __D, typename... Tags>
struct is_tensor<tensor<__E, __X, __D, Tags...>> : true_type {};

// What `slice<Sizes...>(origin...)` is: each size, or what remains behind the origin.
template <typename IndexType, size_t Rank, typename Sequence, size_t... Sizes>
struct sliced;
template <typename IndexType, size_t Rank, size_t... __I, size_t... Sizes>
struct sliced<IndexType, Rank, index_sequence<__I...>, Sizes...> {
  static constexpr size_t size(size_t r) {
    const size_t all[] = {Sizes..., dynamic_extent};
    return r < sizeof...(Sizes) ? all[r] : dynamic_extent;
  }
  using type = extents<IndexType, size(__I)...>;
};
template <typename __E, typename __X, typename Descriptor>
struct slice_of {
  using type = tensor<__E, __X, tensor_inline>;
};
template <typename __E, typename __X>
struct slice_of<__E, __X, tensor_handle> {
  using type = tensor<__E, __X, tensor_handle, tensor_offset>;
};

// An element without qualifiers and address space.
template <typename __T>
struct value {
  using type = remove_cv_t<__T>;
};
template <typename __T>
struct value<device __T> : value<__T> {};
template <typename __T>
struct value<constant __T> : value<__T> {};
template <typename __T>
struct value<threadgroup __T> : value<__T> {};
template <typename __T>
struct value<const device __T> : value<__T> {};
template <typename __T>
struct value<const threadgroup __T> : value<__T> {};
template <typename __T>
using value_of = typename value<__T>::type;

// The indices of an access, however they are given.
template <size_t __N>
METAL_FUNC array<long, __N> as_indices(index_list<__N> index) {
  array<long, __N> all;
  for (size_t r = 0; r < __N; ++r)
    all[r] = index.at[r];
  return all;
}
template <typename... __T, typename = enable_if_t<(is_integral_v<__T> && ...)>>
METAL_FUNC array<long, sizeof...(__T)> as_indices(__T... index) {
  return {long(index)...};
}
template <typename __T, size_t __N>
METAL_FUNC array<long, __N> as_indices(array<__T, __N> index) {
  array<long, __N> all;
  for (size_t r = 0; r < __N; ++r)
    all[r] = long(index[r]);
  return all;
}
} // namespace __msl

template <typename __T>
constexpr constant bool is_tensor_handle_v = false;
template <typename __E, typename __X, typename... Tags>
constexpr constant bool is_tensor_handle_v<tensor<__E, __X, tensor_handle, Tags...>> = true;
template <typename __T>
constexpr constant bool is_tensor_inline_v = false;
template <typename __E, typename __X>
constexpr constant bool is_tensor_inline_v<tensor<__E, __X, tensor_inline>> = true;
template <typename __T>
constexpr constant bool has_tensor_offset_v = false;
template <typename __E, typename __X>
constexpr constant bool has_tensor_offset_v<tensor<__E, __X, tensor_handle, tensor_offset>> = true;

// Memory with an extent and a stride for each dimension, the innermost first. What a kernel is bound to,
// what is made of a pointer in a shader and what is sliced off one of these have one representation: the
// address of the first element, the extents, the strides.
template <typename ElementType, typename Extents, typename Descriptor, typename... Tags>
struct tensor {
  using element_type = ElementType;
  using value_type = __msl::value_of<ElementType>;
  using extents_type = Extents;
  using index_type = typename Extents::index_type;
  using size_type = typename Extents::size_type;
  using rank_type = typename Extents::rank_type;
  using data_handle_type = ElementType*;
  using reference = ElementType&;

  static_assert(is_same_v<Descriptor, tensor_handle> || is_same_v<Descriptor, tensor_inline>,
                "tensor: the third template argument must be tensor_handle or tensor_inline");
  static_assert(sizeof...(Tags) == 0 || (is_same_v<Descriptor, tensor_handle> && (is_same_v<Tags, tensor_offset> && ...)),
                "tensor: the only tag is tensor_offset, and only of a tensor_handle");

  static constexpr size_t get_rank() { return Extents::rank(); }
  static constexpr size_t get_static_extent(rank_type r) { return Extents::static_extent(r); }
  static constexpr bool has_static_extent(rank_type r) {
    return Extents::static_extent(r) != dynamic_extent;
  }
  static constexpr bool has_all_static_extents() { return Extents::rank_dynamic() == 0; }

  tensor() = default;
  template <typename OtherExtents, typename __D = Descriptor,
            typename = enable_if_t<is_same_v<__D, tensor_inline> && OtherExtents::rank() == Extents::rank()>>
  METAL_FUNC tensor(ElementType* pointer, OtherExtents sizes)
      : __data(pointer), __extents(sizes) {
    index_type packed = 1;
    for (size_t r = 0; r < get_rank(); ++r) {
      __strides[r] = packed;
      packed *= __extents.extent(r);
    }
  }
  template <typename OtherExtents, typename Stride, typename __D = Descriptor,
            typename = enable_if_t<is_same_v<__D, tensor_inline> && OtherExtents::rank() == Extents::rank()>>
  METAL_FUNC tensor(ElementType* pointer, OtherExtents sizes, array<Stride, Extents::rank()> strides)
      : __data(pointer), __extents(sizes) {
    for (size_t r = 0; r < get_rank(); ++r)
      __strides[r] = index_type(strides[r]);
  }
  // Between static and dynamic extents, to an element that is const, and to the tensor_offset form.
  template <typename OtherElement, typename OtherExtents, typename... OtherTags,
            typename = enable_if_t<OtherExtents::rank() == Extents::rank() &&
                                   is_convertible_v<OtherElement*, ElementType*>>>
  METAL_FUNC tensor(tensor<OtherElement, OtherExtents, Descriptor, OtherTags...> other)
      : __data(other.__data), __extents(other.__extents) {
    static_assert(sizeof...(OtherTags) <= sizeof...(Tags), "tensor: its origin is shifted");
    for (size_t r = 0; r < get_rank(); ++r)
      __strides[r] = index_type(other.__strides[r]);
  }

  METAL_FUNC index_type get_extent(rank_type r) const { return __extents.extent(r); }
  METAL_FUNC index_type get_stride(rank_type r) const { return __strides[r]; }
  METAL_FUNC Extents get_extents() const { return __extents; }
  METAL_FUNC data_handle_type get_data_pointer() const { return __data; }

  // `t[i, j]` arrives as one argument (the token rewriter collects the indices), `t[i]` as a number.
  template <typename __T>
  METAL_FUNC reference operator[](const __T& index) const {
    return __data[__offset(__msl::as_indices(index))];
  }
  // Reading outside gives 0. An extent of one is broadcast.
  template <typename... __T>
  METAL_FUNC value_type get(__T... index) const {
    auto at = __msl::as_indices(index...);
    bool inside = true;
    for (size_t r = 0; r < get_rank(); ++r) {
      if (at[r] > 0 && get_extent(r) == 1)
        at[r] = 0;
      inside = inside && at[r] >= 0 && at[r] < get_extent(r);
    }
    return inside ? value_type(__data[__offset(at)]) : value_type(0);
  }
  template <typename... __T>
  METAL_FUNC void set(value_type value, __T... index) const {
    const auto at = __msl::as_indices(index...);
    bool inside = true;
    for (size_t r = 0; r < get_rank(); ++r)
      inside = inside && at[r] >= 0 && at[r] < get_extent(r);
    if (inside)
      __data[__offset(at)] = value;
  }

  // What is behind an origin: `Sizes` of it, or all that remains.
  template <size_t... Sizes, typename... __T>
  METAL_FUNC auto slice(__T... origin) const {
    static_assert(sizeof...(__T) == Extents::rank(), "slice: one index for each dimension");
    static_assert(sizeof...(Sizes) == 0 || sizeof...(Sizes) == Extents::rank(),
                  "slice: one extent for each dimension");
    using result_extents =
        typename __msl::sliced<index_type, Extents::rank(), make_index_sequence<Extents::rank()>, Sizes...>::type;
    typename __msl::slice_of<ElementType, result_extents, Descriptor>::type result;
    const index_type from[] = {index_type(origin)...};
    ElementType* first = __data;
    for (size_t r = 0; r < get_rank(); ++r) {
      first += long(from[r]) * long(__strides[r]);
      result.__extents.__values[r] = result_extents::static_extent(r) == dynamic_extent
                                         ? index_type(get_extent(r) - from[r])
                                         : index_type(result_extents::static_extent(r));
      result.__strides[r] = __strides[r];
    }
    result.__data = first;
    return result;
  }
  template <size_t... Sizes, typename... __T>
  METAL_FUNC auto static_slice(__T... origin) const {
    return this->template slice<Sizes...>(origin...);
  }

  template <typename __A>
  METAL_FUNC long __offset(const __A& at) const {
    static_assert(__A::size() == Extents::rank(), "tensor: one index for each dimension");
    long offset = 0;
    for (size_t r = 0; r < get_rank(); ++r)
      offset += long(at[r]) * long(__strides[r]);
    return offset;
  }

  ElementType* __data;
  Extents __extents;
  index_type __strides[Extents::rank() + 1];
};

template <typename __E, typename __X>
tensor(__E*, __X) -> tensor<__E, __X, tensor_inline>;
template <typename __E, typename __X, typename Stride, size_t __N>
tensor(__E*, __X, array<Stride, __N>) -> tensor<__E, __X, tensor_inline>;
} // namespace metal
#endif
