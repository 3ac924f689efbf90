/*
a = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
out = zeros("f32", 3, 4)
info = zeros("i32", 16)
four = {"language_version": "4.0"}
run("k", a, out, info, threads=(4, 3), options=four)
same(out, a[1] + 100)
same(info, i32(3, 4, 3, 2, 1, 4, 12, 2, 4, 3, 1, 4, 1, 23, 0, 0))
wide = np.zeros((3, 9), np.float32)
run("k", a, wide[:, 2:6], info, threads=(4, 3), options=four)
same(wide[:, 2:6], a[1] + 100)
same(wide[:, :2], 0)
same(info[11], 9)
run("k", a.transpose(0, 2, 1)[:, ::2].transpose(0, 2, 1), out[:, :2], info, threads=(2, 3), options=four)
same(out[:, :2], a[1, :, ::2] + 100)
same(info[:7], i32(3, 2, 3, 2, 2, 4, 12))
*/
// Tensors that the host binds: extents and strides come along, the innermost dimension is the first.
#include <metal_stdlib>
#include <metal_tensor>
using namespace metal;

kernel void k(tensor<const device float, dextents<int, 3>> a [[buffer(0)]],
              tensor<device float, dextents<int, 2>, tensor_handle> out [[buffer(1)]],
              device int* info [[buffer(2)]], uint2 at [[thread_position_in_grid]]) {
  out[at.x, at.y] = a[at.x, at.y, 1] + 100;
  if (at.x == 0 && at.y == 0) {
    info[0] = a.get_rank();
    for (int r = 0; r < 3; ++r) {
      info[1 + r] = a.get_extent(r);
      info[4 + r] = a.get_stride(r);
    }
    info[7] = out.get_rank();
    for (int r = 0; r < 2; ++r) {
      info[8 + r] = out.get_extent(r);
      info[10 + r] = out.get_stride(r);
    }
    info[12] = is_same_v<decltype(a)::value_type, float> && is_tensor_handle_v<decltype(a)>;
    array<int, 3> last = {3, 2, 1};
    info[13] = a.get_extent(0) == 4 ? int(a[last]) : 23;
    info[14] = a.has_static_extent(0);
  }
}
