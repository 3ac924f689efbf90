/*
out = zeros("f32", 4)
run("k", out, threads=1)
same(out, f32(3, 5, 7, 9))
*/
#include <metal_stdlib>
using namespace metal;

constant constexpr float4 a(1, 2, 3, 4);
constant float4 b = a + a;
static_assert(a.y == 2, "components of a constant are constants");
static_assert((a + a).z == 6, "");
constexpr float4 plus_one(float4 x) { return x + 1; }
constant float4 c = plus_one(b);
kernel void k(device float4& out) { out = c; }
