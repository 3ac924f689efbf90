"""What the built-ins are, on whole and ragged grids, on both engines."""

import numpy as np
import pytest

metalwright = pytest.importorskip("metalwright.runtime")

pytestmark = pytest.mark.native

SOURCE = """#include <metal_stdlib>
using namespace metal;
kernel void k(device uint* out,
              uint3 position [[thread_position_in_grid]], uint3 grid [[threads_per_grid]],
              uint3 local [[thread_position_in_threadgroup]],
              uint3 group [[threadgroup_position_in_grid]], uint3 size [[threads_per_threadgroup]],
              uint3 groups [[threadgroups_per_grid]],
              uint3 asked [[dispatch_threads_per_threadgroup]],
              uint index [[thread_index_in_threadgroup]], ushort lane [[thread_index_in_simdgroup]],
              uint simdgroup [[simdgroup_index_in_threadgroup]],
              uint simdgroups [[simdgroups_per_threadgroup]],
              uint width [[threads_per_simdgroup]]) {
  BARRIER
  uint at = (position.z * grid.y + position.y) * grid.x + position.x;
  device uint* o = out + at * 24;
  for (uint a = 0; a < 3; ++a) {
    o[a] = position[a]; o[3 + a] = grid[a]; o[6 + a] = local[a]; o[9 + a] = group[a];
    o[12 + a] = size[a]; o[15 + a] = groups[a]; o[18 + a] = asked[a];
  }
  o[21] = index; o[22] = lane * 100 + simdgroup; o[23] = simdgroups * 100 + width;
}
"""


@pytest.mark.parametrize("barrier", ["", "threadgroup_barrier(mem_flags::mem_none);"])
@pytest.mark.parametrize(
    ("grid", "group"),
    [
        ((13, 5, 3), (4, 2, 2)),
        ((8, 4, 2), (4, 2, 2)),
        ((100, 1, 1), (64, 1, 1)),
        ((3, 70, 1), (1, 33, 1)),
    ],
)
def test_built_ins(barrier: str, grid: tuple[int, ...], group: tuple[int, ...]) -> None:
    k = metalwright.compile(SOURCE.replace("BARRIER", barrier), device="cpu").kernel("k")
    assert ("engine: simdgroup" in k.explain()) == bool(barrier)
    out = np.zeros((grid[2], grid[1], grid[0], 24), np.uint32)
    k(out, threads=grid, group_size=group)
    groups = [-(-g // s) for g, s in zip(grid, group, strict=True)]
    for z, y, x in np.ndindex(grid[2], grid[1], grid[0]):
        position = (x, y, z)
        tg = [p // s for p, s in zip(position, group, strict=True)]
        local = [p % s for p, s in zip(position, group, strict=True)]
        size = [min(s, g - t * s) for s, g, t in zip(group, grid, tg, strict=True)]
        index = (local[2] * size[1] + local[1]) * size[0] + local[0]
        simdgroups = -(-size[0] * size[1] * size[2] // 32)
        expected = [*position, *grid, *local, *tg, *size, *groups, *group]
        expected += [index, index % 32 * 100 + index // 32, simdgroups * 100 + 32]
        assert out[z, y, x].tolist() == expected


def test_early_returns_and_ragged_rows_leave_the_rest_alone() -> None:
    source = """#include <metal_stdlib>
    kernel void k(device const float* a, device float* o, constant uint& n,
                  uint i [[thread_position_in_grid]]) { if (i >= n) return; o[i] = a[i] + 1; }"""
    k = metalwright.compile(source, device="cpu").kernel("k")
    for n in (0, 1, 15, 16, 17, 63, 64, 65, 1000):
        a = np.random.default_rng(n).random(1024).astype(np.float32)
        o = np.zeros(1024, np.float32)
        k(a, o, n, threads=1024, group_size=256)
        assert (o[:n] == a[:n] + np.float32(1)).all()
        assert (o[n:] == 0).all()
