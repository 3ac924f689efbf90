/*
rng = np.random.default_rng(0)
four = {"language_version": "4.0"}
M, N, K = 100, 72, 40
a, b = rng.standard_normal((M, K)).astype(np.float16), rng.standard_normal((K, N)).astype(np.float16)
expected = a.astype(np.float64) @ b.astype(np.float64)
for kernel, groups, simdgroups in (("whole", (3, 2), 4), ("one", (5, 7), 1)):
    c = zeros("f32", M, N)
    run(kernel, a, b, c, threadgroups=groups, group_size=32 * simdgroups, options=four)
    close(c, expected, rtol=1e-5, atol=1e-5)
for kernel, left, right in (("nt", a, b.T.copy()), ("tn", a.T.copy(), b), ("tt", a.T.copy(), b.T.copy())):
    c = zeros("f32", M, N)
    run(kernel, left, right, c, threadgroups=(3, 2), group_size=128, options=four)
    close(c, expected, rtol=1e-5, atol=1e-5)
c = np.ones((M, N), np.float32)
run("steps", a, b, c, threadgroups=(3, 2), group_size=128, options=four)
close(c, expected + 1, rtol=1e-5, atol=1e-4)
x, y = rng.integers(-100, 100, (16, 32)).astype(np.int8), rng.integers(-100, 100, (32, 16)).astype(np.int8)
z = zeros("i32", 16, 16)
run("bytes", x, y, z, threadgroups=1, group_size=32, options=four)
same(z, x.astype(np.int32) @ y.astype(np.int32))
p, q, r = (rng.standard_normal((5, 4, 4)).astype(np.float32) for _ in range(3))
run("of_a_thread", p, q, r, threads=5, options=four)
close(r, p.astype(np.float64) @ q, rtol=1e-5, atol=1e-6)
*/
// matmul2d between tensors in memory: tiles that reach over the edge, transposed operands, accumulation in
// steps of K, integers, and the scope of a single thread.
#include <metal_stdlib>
#include <metal_tensor>
#include <MetalPerformancePrimitives/MetalPerformancePrimitives.h>
using namespace metal;
using namespace mpp::tensor_ops;

using half_matrix = tensor<device half, dextents<int, 2>>;
using float_matrix = tensor<device float, dextents<int, 2>>;
constant constexpr int kOpen = static_cast<int>(dynamic_extent);

kernel void whole(half_matrix a, half_matrix b, float_matrix c,
                  uint2 group [[threadgroup_position_in_grid]]) {
  constexpr auto descriptor = matmul2d_descriptor(64, 32, kOpen, false, false, false);
  matmul2d<descriptor, execution_simdgroups<4>> multiply;
  auto left = a.slice(0, group.y * 64);
  auto right = b.slice(group.x * 32, 0);
  auto product = c.slice(group.x * 32, group.y * 64);
  multiply.run(left, right, product);
}
kernel void one(half_matrix a, half_matrix b, float_matrix c,
                uint2 group [[threadgroup_position_in_grid]]) {
  constexpr auto descriptor = matmul2d_descriptor(16, 16);
  matmul2d<descriptor, execution_simdgroup> multiply;
  auto left = a.slice(0, group.y * 16);
  auto right = b.slice(group.x * 16, 0);
  auto product = c.slice(group.x * 16, group.y * 16);
  multiply.run(left, right, product);
}
template <bool L, bool R>
void transposed(half_matrix a, half_matrix b, float_matrix c, uint2 group) {
  constexpr auto descriptor = matmul2d_descriptor(64, 32, kOpen, L, R);
  matmul2d<descriptor, execution_simdgroups<4>> multiply;
  const int m = group.y * 64, n = group.x * 32;
  auto left = L ? a.slice(m, 0) : a.slice(0, m);
  auto right = R ? b.slice(0, n) : b.slice(n, 0);
  auto product = c.slice(n, m);
  multiply.run(left, right, product);
}
kernel void nt(half_matrix a, half_matrix b, float_matrix c, uint2 g [[threadgroup_position_in_grid]]) {
  transposed<false, true>(a, b, c, g);
}
kernel void tn(half_matrix a, half_matrix b, float_matrix c, uint2 g [[threadgroup_position_in_grid]]) {
  transposed<true, false>(a, b, c, g);
}
kernel void tt(half_matrix a, half_matrix b, float_matrix c, uint2 g [[threadgroup_position_in_grid]]) {
  transposed<true, true>(a, b, c, g);
}
kernel void steps(half_matrix a, half_matrix b, float_matrix c,
                  uint2 group [[threadgroup_position_in_grid]]) {
  constexpr auto descriptor = matmul2d_descriptor(64, 32, 16, false, false, false,
                                                  matmul2d_descriptor::mode::multiply_accumulate);
  matmul2d<descriptor, execution_simdgroups<4>> multiply;
  auto product = c.slice(group.x * 32, group.y * 64);
  for (int k = 0; k < a.get_extent(0); k += 16) {
    auto left = a.slice(k, group.y * 64);
    auto right = b.slice(group.x * 32, k);
    multiply.run(left, right, product);
    threadgroup_barrier(mem_flags::mem_device);
  }
}
kernel void bytes(tensor<device char, dextents<int, 2>> a, tensor<device char, dextents<int, 2>> b,
                  tensor<device int, dextents<int, 2>> c) {
  constexpr auto descriptor = matmul2d_descriptor(16, 16, 32);
  matmul2d<descriptor, execution_simdgroup>().run(a, b, c);
}
kernel void of_a_thread(device float* a, device float* b, device float* c,
                        uint i [[thread_position_in_grid]]) {
  constexpr auto descriptor = matmul2d_descriptor(4, 4, 4);
  matmul2d<descriptor, execution_thread> multiply;
  auto left = tensor(a + i * 16, extents<int, 4, 4>());
  auto right = tensor(b + i * 16, extents<int, 4, 4>());
  auto product = tensor(c + i * 16, extents<int, 4, 4>());
  multiply.run(left, right, product);
}
