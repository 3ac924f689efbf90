"""Checks of a device that a person runs where no test can: on the machine that has it."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from metalwright import _native
from metalwright.errors import Error
from metalwright.runtime.buffer import from_array, zeros
from metalwright.runtime.compiling import compile
from metalwright.runtime.conditions import Conditions, Observer
from metalwright.runtime.device import device_info
from metalwright.runtime.errors import CompileError
from metalwright.runtime.gpu_intervals import record_gpu_intervals
from metalwright.runtime.metal import counter_samples, in_stream
from metalwright.runtime.metal import self_test as device_self_test
from metalwright.runtime.stream import stream_order
from metalwright.runtime.validation import validate

Status = Literal["passed", "failed", "skipped"]

SOURCE = """
#include <metal_stdlib>
using namespace metal;
constant float shift [[function_constant(0)]];
kernel void add(device const float* x, device const float* y, device float* out,
                uint i [[thread_position_in_grid]]) { out[i] = x[i] + y[i] + shift; }
kernel void work(device float* x, constant uint& rounds, uint i [[thread_position_in_grid]]) {
  float v = x[i];
  for (uint r = 0; r < rounds; ++r) v = fma(v, 0.5f, 1.0f);
  x[i] = v;
}
kernel void reverse(device const int* x, device int* out, threadgroup int* t [[threadgroup(0)]],
                    uint i [[thread_position_in_grid]], uint l [[thread_position_in_threadgroup]],
                    uint n [[threads_per_threadgroup]]) {
  t[l] = x[i];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  out[i] = t[n - 1 - l];
}
kernel void scale(device float* x, uint i [[thread_position_in_grid]]) { x[i] *= 3; }
"""
BEYOND = """
kernel void beyond(device float* x, uint i [[thread_position_in_grid]]) { x[i + 4] = 1; }
"""
CAPTURE = """
import sys, numpy, metalwright
with metalwright.capture(sys.argv[1], device=sys.argv[2]):
    metalwright.compile("kernel void k(device float* x) { x[0] = 1; }", device=sys.argv[2]).k(
        metalwright.zeros(1, device=sys.argv[2]), threads=1)
"""


@dataclass(frozen=True)
class CheckResult:
    """One check: "passed", "failed" or "skipped", one line that says why, and its figures."""

    name: str
    status: Status
    detail: str
    figures: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SelfTest:
    """All checks of a device, with where they ran."""

    device: str
    machine: dict[str, str]
    conditions: Conditions
    results: tuple[CheckResult, ...]

    @property
    def has_failed(self) -> bool:
        """Whether a check failed; what was skipped has not."""
        return any(result.status == "failed" for result in self.results)

    def as_dict(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        return {**asdict(self), "has_failed": self.has_failed}


class Skipped(Exception):
    """A check cannot be made here; the text says why."""


@dataclass
class Outcome:
    """What a check found: its line, and its figures."""

    detail: str
    figures: dict[str, Any] = field(default_factory=dict)


class Failed(AssertionError):
    """A check found something wrong; the text says what, the figures show it."""

    def __init__(self, what: str, figures: dict[str, Any]) -> None:
        super().__init__(what)
        self.figures = figures


def _expect(condition: object, what: str, figures: dict[str, Any] | None = None) -> None:
    if not condition:
        raise Failed(what, figures or {})


def _needs_metal(device: str) -> None:
    if device_info(device).kind != "metal":
        raise Skipped("only a Metal device has this")


def check_compile(device: str) -> Outcome:
    """Compiles source with and without an error, and reads the diagnostic."""
    begin = time.perf_counter()
    library = compile(SOURCE + f"// {time.time_ns()}", device=device, constants={0: 0.0})
    kernel = library.add
    first = time.perf_counter() - begin
    try:
        compile("kernel void k(device float* x) {\n  x[0] = undeclared;\n}\n", device=device)
    except CompileError as error:
        found = [(d.line, d.column) for d in error.diagnostics if d.severity == "error"]
    else:
        raise Failed("source with an undeclared name compiled", {})
    _expect(found == [(2, 10)], f"the error lies at 2:10, the diagnostics say {found}")
    return Outcome(
        f"source to runnable kernel in {first * 1e3:.1f} ms, an error is placed at 2:10",
        {"seconds": first, "max_threads": kernel.max_threads_per_threadgroup},
    )


def check_reflection(device: str) -> Outcome:
    """Compares the reflected arguments with the declared ones."""
    library = compile(SOURCE, device=device, constants={0: 0.0})
    add = [(a.index, a.name, a.type_name, a.access) for a in library.add.arguments]
    _expect(
        add
        == [(0, "x", "float", "read"), (1, "y", "float", "read"), (2, "out", "float", add[2][3])]
        and add[2][3] in ("write", "read_write"),
        f"the arguments of add are reflected as {add}",
    )
    rounds = library.work.arguments[1]
    _expect(
        (rounds.address_space, rounds.size, rounds.is_reference) == ("constant", 4, True),
        f"constant uint& is reflected as {rounds!r}",
    )
    kinds = [argument.kind for argument in library.reverse.arguments]
    _expect(kinds.count("threadgroup_memory") == 1, f"reverse has arguments of kinds {kinds}")
    constants = [(c.index, c.name, c.type_name) for c in library.function_constants]
    _expect(constants == [(0, "shift", "float")], f"function constants: {constants}")
    return Outcome("names, indices, access, address spaces, sizes and function constants agree")


def check_dispatch(device: str) -> Outcome:
    """Runs kernels on every kind of host memory, with ragged grids and threadgroup memory."""
    library = compile(SOURCE, device=device)
    add = library.kernel("add", {"shift": 0.5})
    x, y = np.arange(1000, dtype=np.float32), np.full(1000, 2, np.float32)
    out = zeros(1000, device=device)
    add(from_array(x, device=device), y, out, threads=777, group_size=64)
    expected = np.where(np.arange(1000) < 777, x + 2.5, 0)
    _expect(np.array_equal(out.numpy(), expected), "a ragged grid of 777 threads gave wrong sums")
    values = np.arange(64, dtype=np.int32)
    turned = np.zeros(64, np.int32)
    library.kernel("reverse", {"shift": 0.0})(
        values, turned, threadgroups=4, group_size=16, threadgroup_memory={0: 64}
    )
    _expect(
        np.array_equal(turned, values.reshape(4, 16)[:, ::-1].ravel()),
        "threadgroup memory and a barrier gave wrong values",
    )
    view = zeros(64, device=device)
    library.kernel("scale", {"shift": 0.0})(view.numpy()[16:], threads=8)
    return Outcome("sums, ragged grids, threadgroup memory and views are right")


def check_zero_copy(device: str) -> Outcome:
    """Memory of `metalwright.empty` is bound where it lies, also through its views."""
    kernel = compile(SOURCE, device=device, constants={0: 0.0}).scale
    own = zeros(4096, device=device)
    copied = {
        "own buffer": kernel.run(1, own).copied_bytes,
        "NumPy view of it": kernel.run(1, own.numpy()[64:]).copied_bytes,
        "other NumPy array": kernel.run(1, np.zeros(4096, np.float32)).copied_bytes,
    }
    _expect(
        copied["own buffer"] == 0 and copied["NumPy view of it"] == 0, f"copied bytes: {copied}"
    )
    return Outcome(
        f"no copies of own memory; {copied['other NumPy array']} bytes for a foreign array", copied
    )


def check_times(device: str) -> Outcome:
    """Device seconds of N and 2N runs against the wall: the slopes have to agree."""
    kernel = compile(SOURCE, device=device, constants={0: 0.0}).work
    x = zeros(1 << 14, device=device)
    rounds = 500
    timing = kernel.time(x, rounds, repeats=20, warmup=0.5)
    count = max(4, min(20_000, int(0.1 / timing.median)))
    samples: dict[int, list[tuple[float, float]]] = {count: [], 2 * count: []}
    for _ in range(5):
        for number, pairs in samples.items():
            begin = time.perf_counter()
            done = kernel.run(number, x, rounds)
            pairs.append((time.perf_counter() - begin, sum(done.runs) * done.repeats_per_run))
    wall, on_device = (
        min(pair[side] for pair in samples[2 * count]) - min(pair[side] for pair in samples[count])
        for side in (0, 1)
    )
    longer = kernel.time(x, 4 * rounds, repeats=20, warmup=0.1).median / timing.median
    figures = {
        "median_seconds": timing.median,
        "spread_seconds": timing.spread,
        "repeats_per_run": timing.repeats_per_run,
        "empty_dispatch_seconds": timing.overhead,
        "runs": count,
        "wall_slope_seconds": wall / count,
        "device_slope_seconds": on_device / count,
        "ratio": wall / on_device if on_device > 0 else None,
        "time_for_four_times_the_work": longer,
    }
    _expect(on_device > 0, "twice the runs took no longer on the device clock", figures)
    ratio = wall / on_device
    line = (
        f"one run {timing.median * 1e6:.2f} us, empty {timing.overhead * 1e6:.2f} us; wall over "
        f"device slope {ratio:.3f}; four times the work takes {longer:.2f} times as long"
    )
    _expect(0.9 <= ratio <= 1.3, f"the clocks disagree: {line}", figures)
    _expect(2 <= longer <= 6, f"the time does not follow the work: {line}", figures)
    return Outcome(line, figures)


def check_device_self_test(device: str) -> Outcome:
    """The native half's own small test."""
    _needs_metal(device)
    test = device_self_test(device)
    _expect(test.usable, test.reason)
    return Outcome("a small kernel gave its known output")


def check_counters(device: str) -> Outcome:
    """Counter samples at the boundaries of a compute pass."""
    _needs_metal(device)
    test = counter_samples(device)
    if not test.usable:
        return Outcome(f"not usable here, and so not used: {test.reason}", {"usable": False})
    return Outcome("usable as a second clock", {"usable": True})


def check_archive(device: str) -> Outcome:
    """Pipelines are written to an archive on disk."""
    _needs_metal(device)
    facilities = _native.MetalFacilities(device)
    with tempfile.TemporaryDirectory(prefix="metalwright-archive-") as folder:
        facilities.use_archive(folder)
        try:
            _ = compile(SOURCE + f"// {time.time_ns()}", device=device, constants={0: 0.0}).add
            found = facilities.archive()
            files = sum(1 for path in Path(folder).rglob("*") if path.is_file())
        finally:
            facilities.use_archive("")
    _expect(found.failures == 0, f"could not be written: {found.last_failure}")
    _expect(found.misses >= 1 and files >= 1, f"{found.misses} misses, {files} files")
    return Outcome(f"{found.misses} pipeline in {files} file", {"files": files})


def check_torch(device: str) -> Outcome:
    """Tensors of torch: mps tensors on Metal, CPU tensors elsewhere."""
    try:
        import torch
    except ImportError:
        raise Skipped("torch is not installed") from None
    kernel = compile(SOURCE, device=device, constants={0: 0.0}).scale
    if device_info(device).kind != "metal":
        x = torch.ones(64)
        kernel(x[16:], threads=8)
        _expect(x.sum().item() == 64 + 16, "a view of a CPU tensor was not scaled")
        return Outcome(f"CPU tensors of torch {torch.__version__} are bound without a copy")
    if not torch.backends.mps.is_available():
        raise Skipped(f"torch {torch.__version__} has no mps device here")
    x = torch.ones(64, device="mps")
    kernel(x[16:], threads=8)
    _expect(x.sum().item() == 64 + 16, "a view of an mps tensor was not scaled")
    x = torch.ones(1 << 20, device="mps")
    for _ in range(3):
        x = x * 2
        kernel(x)
    _expect(bool((x == 216).all().item()), "isolated dispatches did not wait for torch's work")
    return Outcome(f"mps tensors of torch {torch.__version__} are bound without a copy, in order")


def check_in_stream(device: str) -> Outcome:
    """Kernels in torch's stream, between its own."""
    _needs_metal(device)
    try:
        import torch
    except ImportError:
        raise Skipped("torch is not installed") from None
    if not torch.backends.mps.is_available():
        raise Skipped(f"torch {torch.__version__} has no mps device here")
    test = in_stream(device)
    if not test.usable:
        raise Skipped(test.reason)
    kernel = compile(SOURCE, device=device, constants={0: 0.0}).scale
    x = torch.ones(1 << 20, device="mps")
    with stream_order("in-stream"):
        for _ in range(20):
            x = x * 0.5 + 1
            kernel(x)
    expected = torch.ones(1)
    for _ in range(20):
        expected = (expected * 0.5 + 1) * 3
    got = x.cpu()
    _expect(
        bool((got == got[0]).all()) and torch.allclose(got[:1], expected, rtol=1e-4),
        f"expected {expected.item()}, got {got.min().item()} to {got.max().item()}",
    )
    return Outcome("20 kernels between 40 operations of torch kept their order")


def check_capture(device: str) -> Outcome:
    """A GPU trace, from a process that was started for it."""
    _needs_metal(device)
    with tempfile.TemporaryDirectory(prefix="metalwright-capture-") as folder:
        trace = Path(folder) / "selftest.gputrace"
        done = subprocess.run(
            [sys.executable, "-c", CAPTURE, str(trace), device],
            env={**os.environ, "MTL_CAPTURE_ENABLED": "1"},
            capture_output=True,
            text=True,
            timeout=120,
        )
        _expect(done.returncode == 0, f"the process failed: {done.stderr.strip()[-500:]}")
        _expect(trace.exists(), "the process left no trace")
        size = sum(path.stat().st_size for path in [trace, *trace.rglob("*")] if path.is_file())
    return Outcome(f"a trace of {size} bytes", {"bytes": size})


def check_validation(device: str) -> Outcome:
    """Shader validation finds a store behind the end of a buffer, and nothing in a right kernel."""
    _needs_metal(device)
    x = np.zeros(8, np.float32)
    right = validate(SOURCE, "scale", x, constants={0: 0.0}, device=device, threads=8)
    _expect(right.is_clean, f"a right kernel was objected to: {right.findings or right.error}")
    wrong = validate(BEYOND, "beyond", x, device=device, threads=8)
    stores = [finding for finding in wrong.findings if finding.access == "store"]
    _expect(
        stores,
        "a store behind the end of a buffer was not found; stderr:\n"
        + wrong.stderr.strip()[-1500:],
    )
    return Outcome(
        f"found: {stores[0].text}",
        {"findings": [asdict(finding) for finding in wrong.findings]},
    )


def check_gpu_intervals(device: str) -> Outcome:
    """Instruments' intervals against the command buffers' own times."""
    _needs_metal(device)
    kernel = compile(SOURCE, device=device, constants={0: 0.0}).work
    x = zeros(1 << 14, device=device)
    kernel.time(x, 20_000, repeats=5)
    own: list[float] = []

    def run() -> None:
        for _ in range(20):
            done = kernel.run(1, x, 20_000)
            own.extend(done.runs)

    try:
        found = record_gpu_intervals(run)
    except Error as error:
        if error.code in ("xctrace-missing", "no-gpu-intervals"):
            raise Skipped(error.message) from None
        raise
    figures = {
        "dispatches": found.dispatches,
        "intervals": len(found.intervals),
        "instruments_seconds": sum(each.seconds for each in found.intervals),
        "command_buffer_seconds": sum(own),
    }
    _expect(
        found.is_matched,
        f"{len(found.intervals)} intervals for {found.dispatches} dispatches",
        figures,
    )
    ratio = figures["instruments_seconds"] / figures["command_buffer_seconds"]
    return Outcome(f"20 dispatches; Instruments over command buffers {ratio:.3f}", figures)


CHECKS: tuple[tuple[str, Callable[[str], Outcome]], ...] = (
    ("compile", check_compile),
    ("reflection", check_reflection),
    ("dispatch", check_dispatch),
    ("zero copy", check_zero_copy),
    ("times", check_times),
    ("device self-test", check_device_self_test),
    ("counter samples", check_counters),
    ("pipeline archive", check_archive),
    ("torch tensors", check_torch),
    ("torch in-stream", check_in_stream),
    ("capture", check_capture),
    ("shader validation", check_validation),
)


def _machine() -> dict[str, str]:
    from metalwright import __version__

    def version_of(name: str) -> str:
        module = sys.modules.get(name)
        return "not imported" if module is None else str(getattr(module, "__version__", "?"))

    return {
        "metalwright": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": version_of("torch"),
        "system": platform.platform(),
        "macOS": platform.mac_ver()[0] or "no",
        "machine": platform.machine(),
    }


def run_checks(device: str, *, with_xctrace: bool = False) -> Iterator[CheckResult]:
    """The results of the checks, one by one. A check that fails does not keep the others back."""
    checks = [*CHECKS, *([("GPU intervals", check_gpu_intervals)] if with_xctrace else [])]
    for name, check in checks:
        try:
            outcome = check(device)
        except Skipped as skipped:
            yield CheckResult(name, "skipped", str(skipped))
        except Failed as error:
            yield CheckResult(name, "failed", str(error), error.figures)
        except Error as error:
            yield CheckResult(name, "failed", f"{error.code}: {error}")
        except (subprocess.TimeoutExpired, RuntimeError, OSError) as error:
            yield CheckResult(name, "failed", f"{type(error).__name__}: {error}")
        else:
            yield CheckResult(name, "passed", outcome.detail, outcome.figures)
    if not with_xctrace:
        yield CheckResult("GPU intervals", "skipped", "asked for with --xctrace; needs Xcode")


def self_test_device(
    device: str,
    *,
    with_xctrace: bool = False,
    progress: Callable[[CheckResult], None] = lambda result: None,
) -> SelfTest:
    """Runs all checks of a device; `progress` is told each result as it comes.

    Raises:
        Error: ``no-such-device``.
    """
    observer = Observer(device)
    results: list[CheckResult] = []
    for result in run_checks(device, with_xctrace=with_xctrace):
        results.append(result)
        progress(result)
    return SelfTest(device, _machine(), observer.conditions(), tuple(results))
