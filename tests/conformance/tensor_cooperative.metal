/*
rng = np.random.default_rng(1)
four = {"language_version": "4.0"}
a, b = rng.standard_normal((64, 40)).astype(np.float32), rng.standard_normal((40, 32)).astype(np.float32)
bias = rng.standard_normal(32).astype(np.float32)
expected = np.maximum(a.astype(np.float64) @ b + bias, 0)
for kernel, groups, threads in (("epilogue", 1, 128), ("epilogue_of_one", 4, 32)):
    c = zeros("f16", 64, 32)
    run(kernel, a, b, bias, c, threadgroups=groups, group_size=threads, options=four)
    close(c, expected, rtol=2e-3, atol=2e-3)
x, y = a[:16, :16], b[:16, :16]
for kernel, left, right in (("nn", x, y), ("nt", x, y.T), ("tn", x.T, y), ("tt", x.T, y.T)):
    c = zeros("f32", 16, 16)
    run(kernel, left.copy(), right.copy(), c, threadgroups=1, group_size=32, options=four)
    close(c, 2 * (x.astype(np.float64) @ y), rtol=1e-5, atol=1e-5)
owners = zeros("i32", 20, 24)
run("cover", owners, threadgroups=1, group_size=96, options=four)
same(owners, np.ones((20, 24)))
*/
// Cooperative tensors: an epilogue on elements and their coordinates, operands in registers, and every
// element of a matrix belonging to one thread.
#include <metal_stdlib>
#include <metal_tensor>
#include <MetalPerformancePrimitives/MetalPerformancePrimitives.h>
using namespace metal;
using namespace mpp::tensor_ops;

template <int M, typename Scope>
void multiply_and_add(tensor<device float, dextents<int, 2>> a, tensor<device float, dextents<int, 2>> b,
                      device const float* bias, tensor<device half, dextents<int, 2>> c, uint group) {
  constexpr auto descriptor = matmul2d_descriptor(M, 32, 8, false, false, false,
                                                  matmul2d_descriptor::mode::multiply_accumulate);
  matmul2d<descriptor, Scope> op;
  auto sum = op.template get_destination_cooperative_tensor<decltype(a), decltype(b), float>();
  for (ushort i = 0; i < sum.get_capacity(); ++i)
    sum[i] = 0;
  for (int k = 0; k < a.get_extent(0); k += 8) {
    auto left = a.slice<8, M>(k, group * M);
    auto right = b.slice<32, 8>(0, k);
    op.run(left, right, sum);
  }
  auto result = op.template get_destination_cooperative_tensor<decltype(a), decltype(b), half>();
  ushort i = 0;
  for (auto it = sum.begin(); it != sum.end(); ++it, ++i)
    if (sum.is_valid_element(i)) {
      auto at = it.get_multidimensional_index();
      result[i] = half(max(*it + bias[at[0]], 0.0f));
    }
  result.store(c.slice(0, group * M));
}
kernel void epilogue(tensor<device float, dextents<int, 2>> a, tensor<device float, dextents<int, 2>> b,
                     device const float* bias, tensor<device half, dextents<int, 2>> c,
                     uint group [[threadgroup_position_in_grid]]) {
  multiply_and_add<64, execution_simdgroups<4>>(a, b, bias, c, group);
}
kernel void epilogue_of_one(tensor<device float, dextents<int, 2>> a,
                            tensor<device float, dextents<int, 2>> b, device const float* bias,
                            tensor<device half, dextents<int, 2>> c,
                            uint group [[threadgroup_position_in_grid]]) {
  multiply_and_add<16, execution_simdgroup>(a, b, bias, c, group);
}
template <bool L, bool R>
void in_registers(tensor<device float, dextents<int, 2>> a, tensor<device float, dextents<int, 2>> b,
                  tensor<device float, dextents<int, 2>> c) {
  constexpr auto descriptor = matmul2d_descriptor(16, 16, 16, L, R, true,
                                                  matmul2d_descriptor::mode::multiply_accumulate);
  matmul2d<descriptor, execution_simdgroup> op;
  auto left = op.template get_left_input_cooperative_tensor<float, float, float>();
  auto right = op.template get_right_input_cooperative_tensor<float, float, float>();
  auto sum = op.template get_destination_cooperative_tensor<decltype(left), decltype(right), float>();
  left.load(a);
  for (ushort i = 0; i < right.get_capacity(); ++i) {
    auto at = right.get_multidimensional_index(i);
    right[i] = b[at[0], at[1]];
  }
  for (ushort i = 0; i < sum.get_capacity(); ++i)
    sum[i] = 0;
  op.run(left, right, sum);
  op.run(left, right, sum);
  sum.store(c);
}
#define REGISTERS(name, l, r)                                                                        \
  kernel void name(tensor<device float, dextents<int, 2>> a, tensor<device float, dextents<int, 2>> b, \
                   tensor<device float, dextents<int, 2>> c) {                                        \
    in_registers<l, r>(a, b, c);                                                                      \
  }
REGISTERS(nn, false, false)
REGISTERS(nt, false, true)
REGISTERS(tn, true, false)
REGISTERS(tt, true, true)
kernel void cover(tensor<device int, dextents<int, 2>> owners) {
  constexpr auto descriptor = matmul2d_descriptor(20, 24, 4);
  matmul2d<descriptor, execution_simdgroups<3>> op;
  using operand = tensor<device char, dextents<int, 2>>;
  auto c = op.get_destination_cooperative_tensor<operand, operand, int>();
  for (ushort i = 0; i < c.get_capacity(); ++i)
    if (c.is_valid_element(i)) {
      auto at = c.get_multidimensional_index(i);
      owners[at[0], at[1]] += 1;
    }
}
