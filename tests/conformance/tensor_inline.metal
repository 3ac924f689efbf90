/*
out = zeros("i32", 24)
run("k", np.arange(60, dtype=np.int32), out, threads=1, options={"language_version": "4.0"})
same(out, i32(5, 4, 3, 1, 5, 20, 33, 33, 27, 2, 0, 20, 0, 7, 1, 16, 34, 9, 1, 1, 12, 59, 3, 0))
*/
// Tensors made of a pointer: packed or with strides, deduced types, slices, get and set.
#include <metal_stdlib>
#include <metal_tensor>
using namespace metal;

kernel void k(device int* a, device int* out) {
  tensor<device int, dextents<int, 3>, tensor_inline> t(a, dextents<int, 3>(5, 4, 3));
  for (int r = 0; r < 3; ++r) {
    out[r] = t.get_extent(r);
    out[3 + r] = t.get_stride(r);
  }
  out[6] = t[3, 2, 1];
  auto deduced = tensor(a, dextents<int, 3>(5, 4, 3));
  out[7] = deduced[array<int, 3>{3, 2, 1}];
  auto slice = t.slice(2, 1, 1);
  out[8] = slice[0, 0, 0];
  out[9] = slice.get_extent(2);
  out[10] = slice.has_all_static_extents();
  out[11] = slice.get_stride(2);
  auto fixed = t.slice<2, 2, 1>(1, 1, 0);
  static_assert(fixed.get_static_extent(0) == 2 && fixed.has_all_static_extents(), "");
  out[12] = fixed.get(5, 0, 0);
  out[13] = fixed.get(1, 0, 0);
  tensor<device int, extents<int, 4, 2>, tensor_inline> strided(a, extents<int, 4, 2>(),
                                                               array<int, 2>{1, 16});
  out[14] = strided.get_stride(0);
  out[15] = strided.get_stride(1);
  threadgroup int shared[6];
  auto in_group = tensor(shared, extents<int, 3, 2>());
  in_group[2, 1] = 34;
  out[16] = shared[5];
  int own[4] = {6, 7, 8, 9};
  auto of_thread = tensor(&own[0], dextents<int, 1>(4));
  out[17] = of_thread[3];
  tensor<device int, dextents<short, 2>, tensor_inline> converted = strided;
  out[18] = converted.get_extent(0) == 4 && converted.get_extent(1) == 2;
  tensor<const device int, dextents<int, 3>, tensor_inline> constant_elements = t;
  out[19] = constant_elements[1, 0, 0];
  out[20] = t.slice(2, 2, 0)[0, 0, 0];
  out[21] = t[4, 3, 2];
  out[22] = extents<int, 3, dynamic_extent>(8).static_extent(0);
  t.set(77, 9, 0, 0);
  out[23] = a[9] == 77;
}
