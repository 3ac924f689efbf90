// <metal_cooperative_tensor>: tensors whose elements are spread over the threads that work on them.
#pragma once

#include "metal_tensor.h"

#if __METAL_VERSION__ >= 400
namespace metal {

// Layout: `capacity` elements for each thread; `coordinate(i)` is where element i of this thread lies (the
// innermost dimension first), and `is_valid(i)` whether there is one.
template <typename ElementType, typename Extents, typename Layout>
struct cooperative_tensor {
  using element_type = ElementType;
  using value_type = ElementType;
  using extents_type = Extents;
  using index_type = typename Extents::index_type;
  using size_type = typename Extents::size_type;
  using rank_type = typename Extents::rank_type;
  using thread_index_type = ushort;
  using thread_size_type = ushort;
  using data_handle_type = thread ElementType*;
  using reference = thread ElementType&;
  using const_reference = const thread ElementType&;
  using layout = Layout;
  using coordinate_type = array<index_type, Extents::rank()>;

  template <typename Tensor>
  struct __iterator {
    METAL_FUNC auto& operator*() const { return (*__tensor)[__index]; }
    METAL_FUNC thread __iterator& operator++() {
      ++__index;
      return *this;
    }
    METAL_FUNC __iterator operator++(int) {
      __iterator before = *this;
      ++__index;
      return before;
    }
    METAL_FUNC thread __iterator& operator--() {
      --__index;
      return *this;
    }
    METAL_FUNC thread __iterator& operator+=(int n) {
      __index += n;
      return *this;
    }
    METAL_FUNC __iterator operator+(int n) const {
      return {__tensor, thread_index_type(__index + n)};
    }
    METAL_FUNC int operator-(__iterator other) const { return int(__index) - int(other.__index); }
    METAL_FUNC bool operator==(__iterator other) const { return __index == other.__index; }
    METAL_FUNC bool operator!=(__iterator other) const { return __index != other.__index; }
    METAL_FUNC bool operator<(__iterator other) const { return __index < other.__index; }
    METAL_FUNC coordinate_type get_multidimensional_index() const {
      return __tensor->get_multidimensional_index(__index);
    }
    METAL_FUNC bool is_valid_element() const { return __tensor->is_valid_element(__index); }

    thread Tensor* __tensor;
    thread_index_type __index;
  };
  using iterator = __iterator<cooperative_tensor>;
  using const_iterator = __iterator<const cooperative_tensor>;

  static constexpr rank_type get_rank() { return Extents::rank(); }
  static constexpr size_t get_static_extent(rank_type r) { return Extents::static_extent(r); }
  METAL_FUNC thread_size_type get_capacity() const { return Layout::capacity; }

  METAL_FUNC reference operator[](thread_index_type i) { return __elements[i]; }
  METAL_FUNC const_reference operator[](thread_index_type i) const { return __elements[i]; }
  METAL_FUNC value_type get(thread_index_type i) const { return __elements[i]; }
  METAL_FUNC value_type get(const_iterator it) const { return __elements[it.__index]; }
  METAL_FUNC value_type get(iterator it) const { return __elements[it.__index]; }
  METAL_FUNC void set(thread_index_type i, value_type value) { __elements[i] = value; }
  METAL_FUNC void set(iterator it, value_type value) { __elements[it.__index] = value; }

  METAL_FUNC coordinate_type get_multidimensional_index(thread_index_type i) const {
    const auto at = Layout::coordinate(i);
    coordinate_type index;
    for (size_t r = 0; r < get_rank(); ++r)
      index[r] = index_type(at[r]);
    return index;
  }
  METAL_FUNC coordinate_type get_multidimensional_index(const_iterator it) const {
    return get_multidimensional_index(it.__index);
  }
  METAL_FUNC coordinate_type get_multidimensional_index(iterator it) const {
    return get_multidimensional_index(it.__index);
  }
  METAL_FUNC bool is_valid_element(thread_index_type i) const { return Layout::is_valid(i); }
  METAL_FUNC bool is_valid_element(const_iterator it) const { return Layout::is_valid(it.__index); }
  METAL_FUNC bool is_valid_element(iterator it) const { return Layout::is_valid(it.__index); }
  // The name that the first release had for it.
  METAL_FUNC bool get_mask(thread_index_type i) const { return Layout::is_valid(i); }

  METAL_FUNC iterator begin() { return {this, 0}; }
  METAL_FUNC iterator end() { return {this, Layout::capacity}; }
  METAL_FUNC const_iterator begin() const { return {this, 0}; }
  METAL_FUNC const_iterator end() const { return {this, Layout::capacity}; }
  METAL_FUNC iterator get_iterator(thread_index_type i) { return {this, i}; }
  METAL_FUNC const_iterator get_iterator(thread_index_type i) const { return {this, i}; }
  // The element of this tensor at the place of another one's; only between equal layouts.
  template <typename OtherElement>
  METAL_FUNC iterator
  map_iterator(typename cooperative_tensor<OtherElement, Extents, Layout>::iterator it) {
    return {this, it.__index};
  }

  // A dimension of one is broadcast; what the tensor does not have is 0.
  template <typename __E, typename __X, typename __D, typename... Tags>
  METAL_FUNC void load(tensor<__E, __X, __D, Tags...> from) {
    static_assert(__X::rank() == Extents::rank(), "load: the tensor has another rank");
    for (ushort i = 0; i < Layout::capacity; ++i)
      if (Layout::is_valid(i))
        __elements[i] = ElementType(from.get(Layout::coordinate(i)));
  }
  // What the tensor does not have is dropped.
  template <typename __E, typename __X, typename __D, typename... Tags>
  METAL_FUNC void store(tensor<__E, __X, __D, Tags...> to) const {
    static_assert(__X::rank() == Extents::rank(), "store: the tensor has another rank");
    for (ushort i = 0; i < Layout::capacity; ++i)
      if (Layout::is_valid(i))
        to.set(__msl::value_of<__E>(__elements[i]), Layout::coordinate(i));
  }

  ElementType __elements[Layout::capacity];
};

// ---------------------------------------------------------------- who takes part in an operation
template <size_t Size>
struct execution_threads {
  static_assert(Size == 1, "only execution_threads<1> is supported");
  static constexpr constant size_t static_size = Size;
  constexpr uint size() const { return Size; }
};
template <size_t Size>
struct execution_simdgroups {
  static_assert(Size != 0, "execution_simdgroups<0> is not supported");
  static constexpr constant size_t static_size = Size;
  constexpr uint size() const { return Size; }
};
using execution_thread = execution_threads<1>;
using execution_simdgroup = execution_simdgroups<1>;
} // namespace metal
#endif
