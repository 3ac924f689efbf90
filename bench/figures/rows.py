"""The rows of the table: what is asked of the fast engine, and how each is measured."""

from __future__ import annotations

import math
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from bench.figures.work import ADD, SOFTMAX, WORK, N, Work, elementwise
from bench.figures.workers import Unavailable, Worker

import metalwright
from paired import Ratio, ratio_of_seconds, seconds_of

SECONDS = 6.0  # what the pairs of one figure may take
DISPATCHES = 100_000
# The modules of the demo: a dozen, so that the whole table takes minutes.
MODULES = (
    *("level1/gelu", "level1/masked_cumsum", "level1/rms_norm", "level1/softmax"),
    *("level1/variance", "level2/add_layer_norm", "level2/focal_loss", "level2/linear_scale_pool"),
    *("level2/swiglu", "level3/attention", "level3/gelu_mlp", "level3/small_conv_net"),
)
ALL_MODULES = "all"


@dataclass(frozen=True)
class Figure:
    """One line of the table. `is_met` is None where nothing was asked, or nothing measured."""

    work: str
    goal: str
    measured: str
    is_met: bool | None

    def markdown(self) -> str:
        """The line, with a goal that is not met named as such."""
        verdict = {True: "met", False: "**not met**", None: ""}[self.is_met]
        return f"| {self.work} | {self.goal} | {self.measured} | {verdict} |"


def in_pairs(first: Callable[[], float], second: Callable[[], float]) -> Ratio:
    """The ratio of two functions that return seconds, over as many pairs as the time allows."""
    once = first() + second()
    return ratio_of_seconds(first, second, min(41, max(9, int(SECONDS / once) - 5)))


def text(ratio: Ratio) -> str:
    """A ratio as the tables write it."""
    return f"{ratio.median:.2f} [{ratio.lower:.2f}, {ratio.upper:.2f}]"


def all_cores() -> list[int]:
    """Those that this process may use."""
    return sorted(os.sched_getaffinity(0))


def against_torch(work: Work) -> Ratio:
    """Time over that of torch's operator; what both wrote is compared before and after."""
    work.ours()
    work.theirs()
    work.check()
    ratio = in_pairs(lambda: seconds_of(work.ours), lambda: seconds_of(work.theirs))
    work.check()
    return ratio


def torch_row(what: str, name: str, goal: float, goal_text: str = "") -> Iterator[Figure]:
    """A row whose goal is a ratio to torch's time."""
    ratio = against_torch(WORK[name]())
    goal_text = goal_text or f"at most {goal:.2f} of torch's time"
    yield Figure(what, goal_text, text(ratio), ratio.median <= goal)


def sum_of_rows(size: str) -> Iterator[Figure]:
    """With the size of threadgroups that suits this device, and with the other kernels' size."""
    yield from torch_row(f"sum of each row, {size}, threadgroups of 64", "sum_of_rows", 1.0)
    ratio = against_torch(WORK["sum_of_rows_256"]())
    what = f"sum of each row, {size}, threadgroups of 256"
    yield Figure(what, "", f"{text(ratio)} of torch's time", None)


def pocl_row(what: str, name: str, goal: float) -> Iterator[Figure]:
    """A row whose goal is a ratio to PoCL's time."""
    goal_text = f"at most {goal:.2f} of PoCL's time"
    try:
        with (
            Worker("pocl_peer:run", name, all_cores()) as pocl,
            Worker("work:ours", name, all_cores()) as ours,
        ):
            ratio = in_pairs(ours.seconds, pocl.seconds)
    except Unavailable as reason:
        yield Figure(what, goal_text, f"not measured: {reason}", None)
        return
    yield Figure(what, goal_text, text(ratio), ratio.median <= goal)


def gelu() -> Iterator[Figure]:
    """Against torch, as it is called and with memory at hand for its result, and against PoCL."""
    what = "GELU (tanh form), 16M"
    yield from torch_row(what, "gelu", 1 / 3)
    ratio = against_torch(elementwise("gelu", in_place=True))
    yield Figure(f"{what}, torch's result in memory that is there", "", text(ratio), None)
    yield from pocl_row(f"{what}, against OpenCL", "gelu", 1 / 2)


def tiled_product() -> Iterator[Figure]:
    """The rate, and against PoCL."""
    what = "tiled GEMM 1024, 16 x 16 tiles in threadgroup memory"
    work = WORK["tiled"]()
    ratio = against_torch(work)
    rate = work.operations / ratio.numerator / 1e9
    measured = f"{rate:.0f} GFLOP/s; {text(ratio)} of torch's time"
    yield Figure(what, "120 GFLOP/s on 2 cores", measured, rate >= 120)
    yield from pocl_row(f"{what}, against OpenCL", "tiled", 1 / 10)


def scaling() -> Iterator[Figure]:
    """From one core to two, each side a process of its own that may use no others."""
    goal = "at least 1.8"
    for name in ("gelu", "tiled", "matrices", "attention"):
        what = f"{name}: speed on 2 cores over that on 1"
        cores = all_cores()
        if len(cores) < 2:
            yield Figure(what, goal, "not measured: one core here", None)
            continue
        with (
            Worker("work:ours", name, cores[:1]) as one,
            Worker("work:ours", name, cores[:2]) as two,
        ):
            ratio = in_pairs(one.seconds, two.seconds)
        yield Figure(what, goal, text(ratio), ratio.median >= 1.8)


def resident() -> int:
    """Bytes of memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def memory() -> Iterator[Figure]:
    """What 100,000 dispatches leave behind: with and without barriers."""
    goal = "flat: under 1 byte per dispatch"
    x, y, z = torch.ones(256), torch.ones(256), torch.empty(256)
    add = metalwright.compile(ADD, device="cpu").add
    softmax = metalwright.compile(SOFTMAX, device="cpu").softmax
    kinds: dict[str, Callable[[], object]] = {
        "add of 256": lambda: add(x, y, z, threads=256, group_size=256),
        "softmax of 256, with barriers": lambda: softmax(
            x, z, 256, threadgroups=1, group_size=256, arg_casts="int32"
        ),
    }
    for name, dispatch in kinds.items():
        for _ in range(2000):
            dispatch()
        before = resident()
        for _ in range(DISPATCHES):
            dispatch()
        grown = resident() - before
        yield Figure(
            f"memory over {DISPATCHES:,} dispatches, {name}",
            goal,
            f"{grown / 1024:+.0f} KiB, {grown / DISPATCHES:.2f} bytes per dispatch",
            grown < DISPATCHES,
        )


def compile_latency() -> Iterator[Figure]:
    """From source to a kernel that can run, over Inductor's kernels of the tests' corpus."""
    from test_compile_latency import SMALL, inductor_kernels, source_to_kernel

    kernels = inductor_kernels().values()
    source_to_kernel(SMALL)
    seconds: list[float] = []
    for _ in range(3):
        seconds.clear()  # the first passes warm up
        for source in kernels:
            begin = time.perf_counter()
            source_to_kernel(source)
            seconds.append(time.perf_counter() - begin)
    median = statistics.median(seconds) * 1e3
    tail = statistics.quantiles(seconds, n=10)[8] * 1e3
    yield Figure(
        f"compile latency, median of TorchInductor's {len(kernels)} kernels",
        "15 ms",
        f"{median:.1f} ms (90 %: {tail:.1f} ms, slowest {max(seconds) * 1e3:.1f} ms)",
        median <= 15,
    )


def inductor(which: str) -> Iterator[Figure]:
    """Inductor's Metal kernels against its own C++ back end, module by module."""
    from test_inductor_back_ends import PROBLEMS, compare, has_compiler

    goal = "at most 1.43 of the C++ back end's time"
    if not has_compiler():
        yield Figure("Inductor's modules", goal, "not measured: needs g++", None)
        return
    speeds = []
    for path in PROBLEMS:
        if which != ALL_MODULES and f"{path.parent.name}/{path.stem}" not in MODULES:
            continue
        with tempfile.TemporaryDirectory() as folder:
            ratio = compare(path, Path(folder))
        speeds.append(1 / ratio.median)
        yield Figure(
            f"Inductor's {path.stem.replace('_', ' ')}", goal, text(ratio), ratio.median <= 1 / 0.7
        )
    mean = math.exp(sum(map(math.log, speeds)) / len(speeds))
    yield Figure(
        f"Inductor's modules, geometric mean of {len(speeds)} speeds",
        "at least 1.0",
        f"{mean:.2f}",
        mean >= 1,
    )


def apple_rows() -> Iterator[Figure]:
    """Kernels that Apple's compiler built, against torch's operators; figures without a goal."""
    from bench.figures.apple import APPLE, library

    try:
        loaded = library()
    except Unavailable as reason:
        yield Figure("MLX's kernels", "", f"not measured: {reason}", None)
        return
    for name, make in APPLE.items():
        work = make(loaded)
        ratio = against_torch(work)
        rate = work.operations / ratio.numerator / 1e9
        measured = f"{text(ratio)} of torch's time"
        measured += f", {rate:.0f} GFLOP/s" if work.operations else ""
        yield Figure(name, "", measured, None)


def groups(which: str) -> dict[str, Callable[[], Iterator[Figure]]]:
    """Every group of rows by its short name, in the table's order."""
    size = f"{N} x {N}"
    return {
        "add": lambda: torch_row("elementwise add, 16M floats", "add", 1.0),
        "gelu": gelu,
        "softmax": lambda: torch_row(f"softmax {size}, threadgroups of 256", "softmax", 1.0),
        "layer_norm": lambda: torch_row(f"layer norm {size}", "layer_norm", 1.0),
        "rms_norm": lambda: torch_row(f"RMS norm {size}", "rms_norm", 1.0),
        "sum_of_rows": lambda: sum_of_rows(size),
        "sum_of_columns": lambda: torch_row(f"sum of each column, {size}", "sum_of_columns", 1.0),
        "tiled": tiled_product,
        "matrices": lambda: torch_row("GEMM 1024 with simdgroup matrices", "matrices", 1.5),
        "attention": lambda: torch_row(
            "attention forward, 8 heads, 1024 tokens, head 64", "attention", 1.0
        ),
        "scaling": scaling,
        "memory": memory,
        "mlx": apple_rows,
        "compile": compile_latency,
        "inductor": lambda: inductor(which),
    }
