/*
rng = np.random.default_rng(2)
a, b = rng.standard_normal((16, 16)).astype(np.float32), rng.standard_normal((32, 16)).astype(np.float32)
c = zeros("f32", 16, 32)
run("k", a, b, c, threads=32, options={"language_version": "4.0"})
rounded = lambda x: (bfloat_bits(x).astype(np.uint32) << 16).view(np.float32).astype(np.float64)
close(c, rounded(a) @ rounded(b).T, rtol=1e-5, atol=1e-5)
*/
// Programs that know where the elements of a simdgroup's 16 x 16 pieces lie, as MLX's do.
#include <metal_stdlib>
#include <MetalPerformancePrimitives/MetalPerformancePrimitives.h>
using namespace metal;

kernel void k(device const float* a, device const float* b, device float* c,
              ushort lane [[thread_index_in_simdgroup]]) {
  constexpr auto descriptor = mpp::tensor_ops::matmul2d_descriptor(
      16, 32, 16, false, true, true, mpp::tensor_ops::matmul2d_descriptor::mode::multiply_accumulate);
  mpp::tensor_ops::matmul2d<descriptor, metal::execution_simdgroup> op;
  auto left = op.template get_left_input_cooperative_tensor<bfloat, bfloat, float>();
  auto right = op.template get_right_input_cooperative_tensor<bfloat, bfloat, float>();
  auto sum = op.template get_destination_cooperative_tensor<decltype(left), decltype(right), float>();
  const short quad = lane >> 2;
  const short row = (quad & 4) | ((lane >> 1) & 3);
  const short column = ((quad & 2) | (lane & 1)) * 4;
  for (short i = 0; i < 8; ++i) {
    const short r = row + i / 4 * 8, at = column + i % 4;
    left[i] = bfloat(a[r * 16 + at]);
    right[i] = bfloat(b[r * 16 + at]);
    right[8 + i] = bfloat(b[(16 + r) * 16 + at]);
    sum[i] = 0;
    sum[8 + i] = 0;
  }
  op.run(left, right, sum);
  for (short i = 0; i < 8; ++i) {
    const short r = row + i / 4 * 8, at = column + i % 4;
    c[r * 32 + at] = sum[i];
    c[r * 32 + 16 + at] = sum[8 + i];
  }
}
