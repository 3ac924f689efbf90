"""The simdgroup engine computes, bit for bit, what the checked engine computes."""

from __future__ import annotations

import os

import numpy as np
import pytest

from engine.programs import OUTPUTS, ROWS, Program, Writer

metalwright = pytest.importorskip("metalwright.runtime", reason="needs the compiled extension")

pytestmark = pytest.mark.native

# More with METALWRIGHT_PROGRAMS; another sequence with METALWRIGHT_SEED.
PROGRAMS = int(os.environ.get("METALWRIGHT_PROGRAMS", "200"))
SEED = int(os.environ.get("METALWRIGHT_SEED", "20261122"))
BATCH = 20
DEADLINE = 20.0
SHAPES = ((128, 64), (96, 32), (100, 40), (75, 75), (256, 256))


def run(source: str, engine: str, threads: int, size: int) -> np.ndarray:
    os.environ["METALWRIGHT_CPU_ENGINE"] = engine
    try:
        # A library keeps its kernels: each engine gets a library of its own.
        kernel = metalwright.compile(source, device="cpu", file_name=engine).kernel("k")
        inputs = np.random.default_rng(5).integers(-1000, 1000, 1024).astype(np.int32)
        out = np.zeros(OUTPUTS, np.int32)
        kernel(inputs, out, threads=threads, group_size=size, deadline=DEADLINE)
        assert f"engine: {engine}" in kernel.explain(), kernel.explain()
        return out
    finally:
        del os.environ["METALWRIGHT_CPU_ENGINE"]


def differs(program: Program, shape: tuple[int, int]) -> bool:
    source = program.source()
    fast, checked = run(source, "simdgroup", *shape), run(source, "checked", *shape)
    same = fast == checked
    # Any NaN is as good as any other.
    both = (fast & 0x7FFFFFFF > 0x7F800000) & (checked & 0x7FFFFFFF > 0x7F800000)
    real = (np.arange(fast.size) % 4 >= 2) & (np.arange(fast.size) < ROWS)
    return not bool(np.all(same | (both & real)))


def shrink(program: Program, shape: tuple[int, int]) -> Program:
    """Leaves out statements as long as the difference stays."""
    again = True
    while again:
        again = False
        for i in range(len(program.statements)):
            smaller = Program(program.seed, program.statements[:i] + program.statements[i + 1 :])
            if differs(smaller, shape):
                program, again = smaller, True
                break
    return program


@pytest.mark.parametrize("batch", range(max(1, PROGRAMS // BATCH)))
def test_random_programs(batch: int) -> None:
    for number in range(batch * BATCH, (batch + 1) * BATCH):
        seed = SEED + number
        shape = SHAPES[seed % len(SHAPES)]
        program = Writer(seed).program()
        if differs(program, shape):
            smallest = shrink(program, shape)
            pytest.fail(f"seed {seed}, threads and size {shape}:\n{smallest.source()}")
