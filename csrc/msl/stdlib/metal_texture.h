// Textures and samplers, for compute.
//
// A texture is a handle. Its functions are AIR's, one set per component type; the numbers behind the
// coordinates say whether a lod was given and which access the texture has.
#pragma once

#include "metal_vec.h"

namespace metal {
enum class access { sample = 0, read = 1, write = 2, read_write = 3 };
enum memory_coherence { memory_coherence_threadgroup, memory_coherence_device };

// ------------------------------------------------------------------------------ samplers
enum class coord { normalized, pixel };
enum class address { clamp_to_zero, clamp_to_edge, repeat, mirrored_repeat, clamp_to_border };
enum class s_address { clamp_to_zero, clamp_to_edge, repeat, mirrored_repeat, clamp_to_border };
enum class t_address { clamp_to_zero, clamp_to_edge, repeat, mirrored_repeat, clamp_to_border };
enum class r_address { clamp_to_zero, clamp_to_edge, repeat, mirrored_repeat, clamp_to_border };
enum class border_color { transparent_black, opaque_black, opaque_white };
enum class filter { nearest, linear, bicubic };
enum class mag_filter { nearest, linear, bicubic };
enum class min_filter { nearest, linear, bicubic };
enum class mip_filter { none, nearest, linear };
enum class compare_func {
  never, less, less_equal, greater, greater_equal, equal, not_equal, always
};
struct max_anisotropy {
  int value;
  constexpr explicit max_anisotropy(int v) : value(v) {}
};
struct lod_clamp {
  float least, most;
  constexpr lod_clamp(float a, float b) : least(a), most(b) {}
};

struct sampler {
  ulong __state;
  constexpr sampler() : __state(0x007bff0000080049ul) {}
  template <typename First, typename... Rest,
            typename = enable_if_t<!__is_same(remove_cv_t<First>, sampler)>>
  constexpr sampler(First first, Rest... rest) : __state(0x007bff0000080049ul) {
    __take(first);
    (__take(rest), ...);
  }

 private:
  constexpr void __put(int shift, int bits, ulong value) {
    __state = (__state & ~(((1ul << bits) - 1) << shift)) | (value << shift);
  }
  // A border is the mode of clamping to zero with another colour.
  static constexpr ulong __mode(int value) { return value == 4 ? 0 : ulong(value); }
  constexpr void __take(coord v) { __put(15, 1, ulong(v)); }
  constexpr void __take(s_address v) { __put(0, 3, __mode(int(v))); }
  constexpr void __take(t_address v) { __put(3, 3, __mode(int(v))); }
  constexpr void __take(r_address v) { __put(6, 3, __mode(int(v))); }
  constexpr void __take(address v) {
    __put(0, 3, __mode(int(v)));
    __put(3, 3, __mode(int(v)));
    __put(6, 3, __mode(int(v)));
  }
  constexpr void __take(mag_filter v) { __put(9, 2, ulong(v)); }
  constexpr void __take(min_filter v) { __put(11, 2, ulong(v)); }
  constexpr void __take(filter v) {
    __put(9, 2, ulong(v));
    __put(11, 2, ulong(v));
  }
  constexpr void __take(mip_filter v) { __put(13, 2, ulong(v)); }
  constexpr void __take(compare_func v) {
    __put(16, 4, v == compare_func::never ? 8 : ulong(v));
  }
  constexpr void __take(max_anisotropy v) { __put(20, 4, ulong(v.value - 1)); }
  constexpr void __take(lod_clamp) {} // there is one mip level
  constexpr void __take(border_color v) { __put(56, 2, ulong(v)); }
};

// ------------------------------------------------------------------------------ what sample() takes
struct bias {
  float value;
  constexpr explicit bias(float v) : value(v) {}
};
struct level {
  float value;
  constexpr explicit level(float v) : value(v) {}
};
struct min_lod_clamp {
  float value;
  constexpr explicit min_lod_clamp(float v) : value(v) {}
};
struct gradient2d {
  float2 x, y;
  gradient2d(float2 dx, float2 dy) : x(dx), y(dy) {}
};
struct gradient3d {
  float3 x, y;
  gradient3d(float3 dx, float3 dy) : x(dx), y(dy) {}
};
enum class component { x, y, z, w };

namespace __msl {
struct texture; // what a handle points to: the device's own matter
using handle = device texture*;

template <typename T>
struct texture_calls {
  static_assert(sizeof(T) == 0,
                "a texture's components are half, float, short, ushort, int or uint");
};
#define _MSL_TEXTURE_PLACE(s, k, I, ...)                                                    \
  METAL_PURE static texel read_##k(handle, I __VA_ARGS__, uint, uint)                       \
      METAL_AIR("read_texture_" #k "." s);                                                  \
  static void write_##k(handle, I __VA_ARGS__, texel, uint, uint)                           \
      METAL_AIR("write_texture_" #k "." s);
#define _MSL_TEXTURE_SAMPLE(s, k, F, O, ...)                                                \
  METAL_PURE static texel sample_##k(handle, ulong, F __VA_ARGS__, bool, O, bool, float, float, uint) \
      METAL_AIR("sample_texture_" #k "." s);
#define _MSL_TEXTURE_CALLS(T, s)                                                            \
  template <>                                                                               \
  struct texture_calls<T> {                                                                 \
    using texel = raw<T, 4>;                                                                \
    METAL_PURE static texel read_buffer_1d(handle, uint, uint)                              \
        METAL_AIR("read_texture_buffer_1d." s);                                             \
    static void write_buffer_1d(handle, uint, texel, uint)                                  \
        METAL_AIR("write_texture_buffer_1d." s);                                            \
    _MSL_TEXTURE_PLACE(s, 1d, uint)                                                         \
    using uint2_ = raw<uint, 2>;                                                            \
    using uint3_ = raw<uint, 3>;                                                            \
    using int2_ = raw<int, 2>;                                                              \
    using int3_ = raw<int, 3>;                                                              \
    using float2_ = raw<float, 2>;                                                          \
    using float3_ = raw<float, 3>;                                                          \
    _MSL_TEXTURE_PLACE(s, 1d_array, uint, , uint)                                           \
    _MSL_TEXTURE_PLACE(s, 2d, uint2_)                                                       \
    _MSL_TEXTURE_PLACE(s, 2d_array, uint2_, , uint)                                         \
    _MSL_TEXTURE_PLACE(s, 3d, uint3_)                                                       \
    _MSL_TEXTURE_SAMPLE(s, 1d, float, int)                                                  \
    _MSL_TEXTURE_SAMPLE(s, 1d_array, float, int, , uint)                                    \
    _MSL_TEXTURE_SAMPLE(s, 2d, float2_, int2_)                                              \
    _MSL_TEXTURE_SAMPLE(s, 2d_array, float2_, int2_, , uint)                                \
    _MSL_TEXTURE_SAMPLE(s, 3d, float3_, int3_)                                              \
    METAL_PURE static texel gather_2d(handle, ulong, float2_, bool, int2_, int, uint)       \
        METAL_AIR("gather_texture_2d." s);                                                  \
    METAL_PURE static texel gather_2d_array(handle, ulong, float2_, uint, bool, int2_, int, uint) \
        METAL_AIR("gather_texture_2d_array." s);                                            \
  };
_MSL_TEXTURE_CALLS(float, "v4f32")
_MSL_TEXTURE_CALLS(half, "v4f16")
_MSL_TEXTURE_CALLS(int, "s.v4i32")
_MSL_TEXTURE_CALLS(uint, "u.v4i32")
_MSL_TEXTURE_CALLS(short, "s.v4i16")
_MSL_TEXTURE_CALLS(ushort, "u.v4i16")
#undef _MSL_TEXTURE_CALLS
#undef _MSL_TEXTURE_SAMPLE
#undef _MSL_TEXTURE_PLACE

// Queries and fences do not depend on the component type.
#define _MSL_TEXTURE_QUERY(f, k) METAL_CONST uint f##_##k(handle, uint) METAL_AIR(#f "_texture_" #k);
#define _MSL_TEXTURE_QUERIES(k)       \
  _MSL_TEXTURE_QUERY(get_width, k)    \
  _MSL_TEXTURE_QUERY(get_height, k)   \
  _MSL_TEXTURE_QUERY(get_depth, k)    \
  _MSL_TEXTURE_QUERY(get_array_size, k) \
  _MSL_TEXTURE_QUERY(get_num_mip_levels, k) \
  void fence_##k(handle) METAL_AIR("fence_texture_" #k);
_MSL_TEXTURE_QUERIES(buffer_1d)
_MSL_TEXTURE_QUERIES(1d)
_MSL_TEXTURE_QUERIES(1d_array)
_MSL_TEXTURE_QUERIES(2d)
_MSL_TEXTURE_QUERIES(2d_array)
_MSL_TEXTURE_QUERIES(3d)
#undef _MSL_TEXTURE_QUERIES
#undef _MSL_TEXTURE_QUERY

template <typename T>
using texel = vec<T, 4>;
// The coordinates of a vector type of their own, as AIR takes them.
template <int N>
METAL_FUNC raw<uint, N> place(vec<uint, N> c) {
  return c.v;
}
template <int N>
METAL_FUNC raw<uint, N> place(vec<ushort, N> c) {
  return __builtin_convertvector(c.v, raw<uint, N>);
}
METAL_FUNC uint place(uint c) { return c; }
} // namespace __msl

#define _MSL_HAS(allowed, what) \
  static_assert(allowed, "this texture's access does not allow " what)
#define _MSL_READS _MSL_HAS(a != access::write, "read()")
#define _MSL_WRITES _MSL_HAS(a == access::write || a == access::read_write, "write()")
#define _MSL_SAMPLES _MSL_HAS(a == access::sample, "sample() and gather()")

#define _MSL_TEXTURE_COMMON(k, kind)                                                        \
  using __calls = __msl::texture_calls<T>;                                                  \
  __msl::handle __handle;                                                                   \
  METAL_FUNC uint get_width(uint lod = 0) const { return __msl::get_width_##k(__handle, lod); } \
  METAL_FUNC void fence() const {                                                           \
    _MSL_HAS(a == access::read_write, "fence()");                                           \
    __msl::fence_##k(__handle);                                                             \
  }

// Places of one integer or a vector of them, without and with an array's index.
#define _MSL_TEXTURE_READ(k, I, L)                                                          \
  METAL_FUNC __msl::texel<T> read(I c, L lod = 0) const {                                   \
    _MSL_READS;                                                                             \
    return __msl::texel<T>(__calls::read_##k(__handle, __msl::place(c), lod, uint(a)),      \
                           __msl::raw_tag{});                                               \
  }                                                                                         \
  METAL_FUNC void write(__msl::texel<T> color, I c, L lod = 0) const {                      \
    _MSL_WRITES;                                                                            \
    __calls::write_##k(__handle, __msl::place(c), color.v, lod, uint(a));                   \
  }
#define _MSL_TEXTURE_READ_ARRAY(k, I, L)                                                    \
  METAL_FUNC __msl::texel<T> read(I c, L array, L lod = 0) const {                          \
    _MSL_READS;                                                                             \
    return __msl::texel<T>(__calls::read_##k(__handle, __msl::place(c), array, lod, uint(a)), \
                           __msl::raw_tag{});                                               \
  }                                                                                         \
  METAL_FUNC void write(__msl::texel<T> color, I c, L array, L lod = 0) const {             \
    _MSL_WRITES;                                                                            \
    __calls::write_##k(__handle, __msl::place(c), array, color.v, lod, uint(a));            \
  }

// The five forms of sample(): plain, bias, level, least lod, gradients.
#define _MSL_TEXTURE_SAMPLED(k, parameters, arguments, O, zero, raw_of)                     \
  METAL_FUNC __msl::texel<T> sample(sampler s, _MSL_ALL parameters, O offset = zero) const { \
    return __sample(s, _MSL_ALL arguments, offset, false, 0);                               \
  }                                                                                         \
  METAL_FUNC __msl::texel<T> sample(sampler s, _MSL_ALL parameters, bias b, O offset = zero) const { \
    return __sample(s, _MSL_ALL arguments, offset, false, b.value);                         \
  }                                                                                         \
  METAL_FUNC __msl::texel<T> sample(sampler s, _MSL_ALL parameters, level l, O offset = zero) const { \
    return __sample(s, _MSL_ALL arguments, offset, true, l.value);                          \
  }                                                                                         \
  METAL_FUNC __msl::texel<T> sample(sampler s, _MSL_ALL parameters, min_lod_clamp l,        \
                                    O offset = zero) const {                                \
    return __sample(s, _MSL_ALL arguments, offset, false, l.value);                         \
  }                                                                                         \
 private:                                                                                   \
  METAL_FUNC __msl::texel<T> __sample(sampler s, _MSL_ALL parameters, O offset, bool has_lod, \
                                      float lod) const {                                    \
    _MSL_SAMPLES;                                                                           \
    return __msl::texel<T>(                                                                 \
        __calls::sample_##k(__handle, s.__state, _MSL_ALL raw_of, true, _MSL_OFFSET(offset), \
                            has_lod, lod, 0, 0),                                            \
        __msl::raw_tag{});                                                                  \
  }                                                                                         \
                                                                                            \
 public:
#define _MSL_ALL(...) __VA_ARGS__

template <typename T, access a = access::read>
struct texture_buffer {
  _MSL_TEXTURE_COMMON(buffer_1d, "buffer")
  METAL_FUNC __msl::texel<T> read(uint c) const {
    _MSL_READS;
    return __msl::texel<T>(__calls::read_buffer_1d(__handle, c, uint(a)), __msl::raw_tag{});
  }
  METAL_FUNC void write(__msl::texel<T> color, uint c) const {
    _MSL_WRITES;
    __calls::write_buffer_1d(__handle, c, color.v, uint(a));
  }
};

template <typename T, access a = access::sample, memory_coherence = memory_coherence_threadgroup>
struct texture1d {
  _MSL_TEXTURE_COMMON(1d, "1d")
  _MSL_TEXTURE_READ(1d, uint, uint)
  METAL_FUNC uint get_num_mip_levels() const { return __msl::get_num_mip_levels_1d(__handle, 0); }
  METAL_FUNC __msl::texel<T> sample(sampler s, float c) const {
    _MSL_SAMPLES;
    return __msl::texel<T>(__calls::sample_1d(__handle, s.__state, c, true, 0, false, 0, 0, 0),
                           __msl::raw_tag{});
  }
};

template <typename T, access a = access::sample, memory_coherence = memory_coherence_threadgroup>
struct texture1d_array {
  _MSL_TEXTURE_COMMON(1d_array, "1d_array")
  _MSL_TEXTURE_READ_ARRAY(1d_array, uint, uint)
  METAL_FUNC uint get_array_size() const { return __msl::get_array_size_1d_array(__handle, 0); }
  METAL_FUNC uint get_num_mip_levels() const {
    return __msl::get_num_mip_levels_1d_array(__handle, 0);
  }
  METAL_FUNC __msl::texel<T> sample(sampler s, float c, uint array) const {
    _MSL_SAMPLES;
    return __msl::texel<T>(
        __calls::sample_1d_array(__handle, s.__state, c, array, true, 0, false, 0, 0, 0),
        __msl::raw_tag{});
  }
};

#define _MSL_OFFSET(o) o.v
#define _MSL_TEXTURE_2D_SIZES(k)                                                             \
  METAL_FUNC uint get_height(uint lod = 0) const { return __msl::get_height_##k(__handle, lod); } \
  METAL_FUNC uint get_num_mip_levels() const { return __msl::get_num_mip_levels_##k(__handle, 0); }

template <typename T, access a = access::sample, memory_coherence = memory_coherence_threadgroup>
struct texture2d {
  _MSL_TEXTURE_COMMON(2d, "2d")
  _MSL_TEXTURE_2D_SIZES(2d)
  _MSL_TEXTURE_READ(2d, uint2, uint)
  _MSL_TEXTURE_READ(2d, ushort2, ushort)
  _MSL_TEXTURE_SAMPLED(2d, (float2 c), (c), int2, int2(0), (c.v))
  METAL_FUNC __msl::texel<T> sample(sampler s, float2 c, gradient2d, int2 offset = int2(0)) const {
    return __sample(s, c, offset, false, 0);
  }
  METAL_FUNC __msl::texel<T> gather(sampler s, float2 c, int2 offset = int2(0),
                                    component which = component::x) const {
    _MSL_SAMPLES;
    return __msl::texel<T>(
        __calls::gather_2d(__handle, s.__state, c.v, true, offset.v, int(which), 0),
        __msl::raw_tag{});
  }
};

template <typename T, access a = access::sample, memory_coherence = memory_coherence_threadgroup>
struct texture2d_array {
  _MSL_TEXTURE_COMMON(2d_array, "2d_array")
  _MSL_TEXTURE_2D_SIZES(2d_array)
  METAL_FUNC uint get_array_size() const { return __msl::get_array_size_2d_array(__handle, 0); }
  _MSL_TEXTURE_READ_ARRAY(2d_array, uint2, uint)
  _MSL_TEXTURE_READ_ARRAY(2d_array, ushort2, ushort)
  _MSL_TEXTURE_SAMPLED(2d_array, (float2 c, uint array), (c, array), int2, int2(0), (c.v, array))
  METAL_FUNC __msl::texel<T> sample(sampler s, float2 c, uint array, gradient2d,
                                    int2 offset = int2(0)) const {
    return __sample(s, c, array, offset, false, 0);
  }
  METAL_FUNC __msl::texel<T> gather(sampler s, float2 c, uint array, int2 offset = int2(0),
                                    component which = component::x) const {
    _MSL_SAMPLES;
    return __msl::texel<T>(
        __calls::gather_2d_array(__handle, s.__state, c.v, array, true, offset.v, int(which), 0),
        __msl::raw_tag{});
  }
};

template <typename T, access a = access::sample, memory_coherence = memory_coherence_threadgroup>
struct texture3d {
  _MSL_TEXTURE_COMMON(3d, "3d")
  _MSL_TEXTURE_2D_SIZES(3d)
  METAL_FUNC uint get_depth(uint lod = 0) const { return __msl::get_depth_3d(__handle, lod); }
  _MSL_TEXTURE_READ(3d, uint3, uint)
  _MSL_TEXTURE_READ(3d, ushort3, ushort)
  _MSL_TEXTURE_SAMPLED(3d, (float3 c), (c), int3, int3(0), (c.v))
  METAL_FUNC __msl::texel<T> sample(sampler s, float3 c, gradient3d, int3 offset = int3(0)) const {
    return __sample(s, c, offset, false, 0);
  }
};
#undef _MSL_TEXTURE_2D_SIZES
#undef _MSL_OFFSET
#undef _MSL_ALL
#undef _MSL_TEXTURE_SAMPLED
#undef _MSL_TEXTURE_READ_ARRAY
#undef _MSL_TEXTURE_READ
#undef _MSL_TEXTURE_COMMON
#undef _MSL_SAMPLES
#undef _MSL_WRITES
#undef _MSL_READS
#undef _MSL_HAS

template <typename T>
METAL_FUNC bool is_null_texture(T t) {
  return t.__handle == nullptr;
}
} // namespace metal
