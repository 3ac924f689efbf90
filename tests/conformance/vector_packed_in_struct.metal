/*
# position is at byte 0, weight at 12, count at 16: no padding between.
raw = np.zeros(40, np.uint8)
raw[0:16] = f32(1, 2, 3, 4).view(np.uint8)
raw[16:20] = i32(5).view(np.uint8)
raw[20:36] = f32(6, 7, 8, 9).view(np.uint8)
raw[36:40] = i32(10).view(np.uint8)
out = zeros("f32", 2)
run("k", raw, out, threads=2)
same(out, f32(1 * 4 + 2 + 3 + 5, 6 * 9 + 7 + 8 + 10))
*/
#include <metal_stdlib>
using namespace metal;

struct Item {
  packed_float3 position;
  float weight;
  int count;
};
static_assert(sizeof(Item) == 20, "");
kernel void k(device const Item* items, device float* out, uint i [[thread_position_in_grid]]) {
  Item item = items[i];
  out[i] = item.position.x * item.weight + item.position.y + items[i].position[2] + item.count;
}
