"""Simdgroup functions see exactly the active threads, whatever the control flow."""

import numpy as np
import pytest

metalwright = pytest.importorskip("metalwright.runtime")

pytestmark = pytest.mark.native

HEADER = "#include <metal_stdlib>\nusing namespace metal;\n"
LANES = 32


def run(body: str, inputs: np.ndarray, threads: int = 64) -> list[int]:
    source = f"""{HEADER}
    kernel void k(device const int* n, device int* o, uint i [[thread_position_in_grid]]) {{
      int total = 0;
      {body}
      o[i] = total;
    }}"""
    out = np.zeros(threads, np.int32)
    metalwright.compile(source, device="cpu").kernel("k")(
        inputs, out, threads=threads, group_size=threads
    )
    return out.tolist()


def simdgroups(threads: int = 64) -> list[range]:
    return [range(first, min(first + LANES, threads)) for first in range(0, threads, LANES)]


@pytest.fixture
def trips() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 20, 64).astype(np.int32)


def test_both_arms_of_a_divergent_if(trips: np.ndarray) -> None:
    out = run("if (i % 3 == 0) total = simd_sum(n[i]); else total = simd_sum(2 * n[i]);", trips)
    expected = [0] * 64
    for lanes in simdgroups():
        for arm, factor in ((True, 1), (False, 2)):
            active = [i for i in lanes if (i % 3 == 0) == arm]
            for i in active:
                expected[i] = factor * sum(int(trips[j]) for j in active)
    assert out == expected


def test_a_loop_with_continue_and_break(trips: np.ndarray) -> None:
    out = run(
        """for (int k = 0; k < n[i]; ++k) {
             if (k % 2 == int(i % 2)) continue;
             total += simd_sum(1);
             if (total > 200) break;
             total += simd_sum(k);
           }
           total += 1000 * simd_sum(1);""",
        trips,
    )
    expected = [0] * 64
    for lanes in simdgroups():
        totals = dict.fromkeys(lanes, 0)
        looping, k = set(lanes), 0
        while looping := {i for i in looping if k < trips[i]}:
            body = {i for i in looping if k % 2 != i % 2}
            for i in body:
                totals[i] += len(body)
            left = {i for i in body if totals[i] > 200}
            body -= left
            for i in body:
                totals[i] += k * len(body)
            looping -= left
            k += 1
        for i in lanes:
            expected[i] = totals[i] + 1000 * len(lanes)
    assert out == expected


def test_nested_loops_and_early_exits(trips: np.ndarray) -> None:
    out = run(
        """for (int k = 0; k < n[i]; ++k)
             for (int j = 0; j < int(i % 4); ++j) {
               if ((j + k + int(i)) % 5 == 0) break;
               total += simd_sum(1);
             }
           if (i % 7 == 0) { o[i] = total; return; }
           total = total * 64 + simd_sum(1);""",
        trips,
    )
    expected = [0] * 64
    for lanes in simdgroups():
        totals = dict.fromkeys(lanes, 0)
        outer, k = set(lanes), 0
        while outer := {i for i in outer if k < trips[i]}:
            inner, j = set(outer), 0
            while inner := {i for i in inner if j < i % 4 and (j + k + i) % 5 != 0}:
                for i in inner:
                    totals[i] += len(inner)
                j += 1
            k += 1
        rest = [i for i in lanes if i % 7]
        for i in lanes:
            expected[i] = totals[i] if i % 7 == 0 else totals[i] * 64 + len(rest)
    assert out == expected


def test_lanes_that_left_a_loop_wait_behind_it(trips: np.ndarray) -> None:
    out = run(
        """for (int k = 0; k < n[i]; ++k) { if (n[i] % 2) total += simd_sum(1); }
           total = total * 100 + simd_sum(1);""",
        trips,
    )
    expected = [0] * 64
    for lanes in simdgroups():
        for i in lanes:
            odd = trips[i] % 2
            meets = sum(
                sum(1 for j in lanes if trips[j] % 2 and trips[j] > k) for k in range(trips[i])
            )
            expected[i] = (meets if odd else 0) * 100 + len(lanes)
    assert out == expected


def test_a_partial_simdgroup_counts_its_own_threads() -> None:
    assert run("total = simd_sum(1);", np.zeros(64, np.int32), threads=40) == [32] * 32 + [8] * 8
