"""What only csrc/metal does: how memory is bound, the archive on disk, what Metal's errors become.

Runs on the stand-in for Apple's framework. What every device does is tested in tests/device.
"""

from __future__ import annotations

import mmap
import os

import pytest

from device.conftest import playing

metalwright = pytest.importorskip("metalwright.runtime")
np = pytest.importorskip("numpy")
_native = pytest.importorskip("metalwright._native")

pytestmark = pytest.mark.native

DOUBLE = "kernel void k(device float* x, uint i [[thread_position_in_grid]]) { x[i] *= 2; }"
COPY = """kernel void k(device float* out, device const float* x,
                        uint i [[thread_position_in_grid]]) { out[i] = x[i] + 1; }"""
PAGE = 16384


@pytest.fixture(autouse=True)
def mac():
    import sys

    with playing("metal"):
        package = sys.modules.get("metalwright_standin")
        if package is None:
            pytest.skip("a real Metal device cannot be told what to do")
        yield package


@pytest.fixture
def facilities(mac):
    return _native.MetalFacilities("metal")


def refused(code: str, call) -> str:
    with pytest.raises(metalwright.Error) as caught:
        call()
    assert caught.value.code == code, str(caught.value)
    return str(caught.value)


# ------------------------------------------------------------------------------ memory


def pages(count: int) -> np.ndarray:
    """Memory that begins and ends with a page of Apple silicon."""
    room = mmap.mmap(-1, (count + 1) * PAGE)
    whole = np.frombuffer(room, np.uint8)
    start = -whole.ctypes.data % PAGE
    return whole[start : start + count * PAGE].view(np.float32)


def test_whole_pages_of_the_host_are_bound_as_they_are():
    x = pages(2)
    x[:] = 1
    kernel = metalwright.compile(DOUBLE).k
    timing = kernel.time(x, repeats=1, warmup=0)
    assert timing.copied_bytes == 0
    assert x[0] >= 2
    assert (x == x[0]).all()


def test_other_memory_of_the_host_is_copied_both_ways_and_the_copy_is_seen():
    x = np.ones(1000, np.float32)
    out = np.zeros(1000, np.float32)
    timing = metalwright.compile(COPY).k.time(out, x, repeats=1, warmup=0)
    assert (out == 2).all()
    # In: both. Back: what is written.
    assert timing.copied_bytes % 12000 == 0
    assert timing.copied_bytes > 0
    assert timing.copy_seconds > 0


def test_memory_of_the_device_is_never_copied():
    x = metalwright.zeros(1000, device="metal")
    kernel = metalwright.compile(DOUBLE).k
    assert kernel.time(x, repeats=1, warmup=0).copied_bytes == 0
    view = x.numpy()[10:20]
    assert kernel.time(view, repeats=1, warmup=0).copied_bytes == 0


def test_what_is_only_read_is_not_written_back():
    x = np.ones(2000, np.float32)
    x.flags.writeable = False
    out = np.zeros(2000, np.float32)
    metalwright.compile(COPY).k(out, x)
    assert (out == 2).all()


@pytest.mark.filterwarnings("ignore::metalwright.runtime.errors.AliasingWarning")
def test_ranges_of_the_host_that_overlap_stay_one_memory():
    memory = np.arange(64, dtype=np.float32)
    source = """kernel void k(device float* low, device float* high, uint i
                  [[thread_position_in_grid]]) { if (i == 0) { low[8] = 100; high[1] = 200; } }"""
    metalwright.compile(source).k(memory[:32], memory[8:40], threads=1)
    assert memory[8] == 100
    assert memory[9] == 200
    assert memory[10] == 10


def test_constants_at_an_address_that_the_gpu_cannot_read_are_moved():
    source = """kernel void k(device half* out, constant half* x,
                              uint i [[thread_position_in_grid]]) { out[i] = x[i]; }"""
    kernel = metalwright.compile(source).k
    memory = metalwright.empty(4096, dtype="float16", device="metal").numpy()
    memory[:] = np.arange(4096)
    out = metalwright.zeros(4000, dtype="float16", device="metal")
    kernel(out, memory[1:4001])
    assert (out.numpy() == memory[1:4001]).all()
    kernel(out, np.arange(4096, dtype=np.float16)[3:4003])
    assert (out.numpy() == np.arange(3, 4003).astype(np.float16)).all()


# ------------------------------------------------------------------------------ compiling


@pytest.mark.parametrize(
    ("macos", "newest", "newer"), [((14, 0), "3.1", "3.2"), ((15, 0), "3.2", "4.0")]
)
def test_the_language_is_the_systems_own(mac, macos, newest, newer):
    mac.configure(macos=macos)
    mac.install()
    info = next(info for info in metalwright.devices() if info.kind == "metal")
    assert info.details["msl-version"] == newest
    metalwright.compile(DOUBLE, language_version=newest)
    message = refused(
        "unsupported-language-version", lambda: metalwright.compile(DOUBLE, language_version=newer)
    )
    assert newest in message


@pytest.mark.parametrize("mode", ["safe", "relaxed", "fast"])
@pytest.mark.parametrize("functions", ["precise", "fast"])
@pytest.mark.parametrize("macos", [(14, 0), (15, 0)])
def test_math_that_the_system_cannot_express_is_said_to_be_safe(mac, macos, mode, functions):
    mac.configure(macos=macos)
    mac.install()
    library = metalwright.compile(
        DOUBLE, math_mode=mode, math_functions=functions, language_version="3.1"
    )
    exact = (mode, functions) in {("safe", "precise"), ("fast", "fast")}
    assert bool(library.warnings) == (macos == (14, 0) and not exact)


def test_files_that_are_included_are_named_in_messages(tmp_path):
    (tmp_path / "mine.h").write_text("inline float twice(float x) {\n  return y;\n}\n")
    source = '#include "mine.h"\n' + DOUBLE
    with pytest.raises(metalwright.CompileError) as caught:
        metalwright.compile(source, include_paths=[tmp_path])
    first = caught.value.diagnostics[0]
    assert (first.file, first.line) == (str(tmp_path / "mine.h"), 2)
    (tmp_path / "mine.h").write_text("inline float twice(float x) { return 2 * x; }\n")
    x = np.ones(4, np.float32)
    source = source.replace("x[i] *= 2", "x[i] = twice(x[i])")
    kernel = metalwright.compile(source, include_paths=[tmp_path]).k
    kernel(x)
    assert (x == 2).all()
    assert "inline float twice" in kernel.code("msl")


def test_a_kernel_shows_its_source_and_its_pipeline():
    kernel = metalwright.compile(DOUBLE).k
    assert kernel.code("msl") == DOUBLE
    refused("no-such-stage", lambda: kernel.code("air"))
    explained = kernel.explain()
    assert "safe math with precise functions" in explained
    assert "compiled in this process" in explained


def test_the_reflection_of_real_kernels_is_that_of_the_cpu_device():
    source = """#include <metal_stdlib>
using namespace metal;
struct Params { float a; uint n; };
template <typename T>
kernel void generic(device T* out, constant T& bias, device const packed_float3* p,
                    uint i [[thread_position_in_grid]]) { out[i] = bias + T(p[i].x); }
template [[host_name("generic_float")]] [[kernel]] decltype(generic<float>) generic<float>;
template [[host_name("generic_half")]] [[kernel]] decltype(generic<half>) generic<half>;
kernel void plain(device atomic_uint* count, constant Params& params, const device half4* x,
                  threadgroup float4* memory [[threadgroup(0)]], device bfloat* b [[buffer(7)]],
                  constant float4x4& m, uint i [[thread_position_in_threadgroup]]) {
  memory[i] = float4(x[i]) * m * params.a;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  if (memory[0].x > 0) atomic_fetch_add_explicit(count, params.n, memory_order_relaxed);
  b[i] = bfloat(memory[i].x);
}"""
    libraries = [metalwright.compile(source, device=device) for device in ("metal", "cpu")]
    for name in ("generic_float", "generic_half", "plain"):
        metal, cpu = (
            {
                (argument.kind, argument.index): (
                    argument.name,
                    argument.address_space,
                    argument.size,
                    argument.alignment,
                    argument.is_reference,
                )
                for argument in library.kernel(name).arguments
            }
            for library in libraries
        )
        assert metal == cpu


# ------------------------------------------------------------------------------ the archive


def test_pipelines_are_kept_on_disk_and_found_again(mac, facilities, tmp_path):
    folder = tmp_path / "made" / "pipelines"
    facilities.use_archive(str(folder))

    def compile_anew():
        metalwright.clear_cache()
        return metalwright.compile(DOUBLE).k

    assert "compiled in this process" in compile_anew().explain()
    [file] = folder.iterdir()
    kernel = compile_anew()
    assert "from the archive" in kernel.explain()
    assert [argument.name for argument in kernel.arguments] == ["x"]
    x = np.ones(4, np.float32)
    kernel(x)
    assert (x == 2).all()

    file.write_bytes(b"not an archive")
    assert "compiled in this process" in compile_anew().explain()
    assert "from the archive" in compile_anew().explain()
    statistics = facilities.archive()
    counts = (statistics.hits, statistics.misses, statistics.replaced, statistics.failures)
    assert counts == (2, 2, 1, 0)

    # What decides about the code decides about the file.
    metalwright.compile(DOUBLE, math_mode="fast").kernel("k")
    metalwright.compile(DOUBLE, macros={"A": 1}).kernel("k")
    assert len(list(folder.iterdir())) == 3

    mac.inject("archive-serialise")
    metalwright.compile(COPY).kernel("k")
    assert facilities.archive().failures == 1
    assert facilities.archive().last_failure
    assert len(list(folder.iterdir())) == 3  # and no half of a file
    facilities.use_archive("")
    assert facilities.archive().folder == ""


def test_a_folder_that_cannot_be_made_is_refused(facilities, tmp_path):
    (tmp_path / "file").write_text("")
    refused("archive-folder", lambda: facilities.use_archive(str(tmp_path / "file" / "x")))


# ------------------------------------------------------------------------------ failures


def test_the_device_is_tested_after_a_failure_and_refused_once_it_fails(mac, facilities):
    kernel = metalwright.compile(DOUBLE).k
    x = metalwright.zeros(4, device="metal")
    mac.inject("page-fault")
    assert "still works" in refused("gpu-page-fault", lambda: kernel(x))
    mac.inject("internal", count=2)  # the dispatch, and the self-test after it
    assert "failed its self-test" in refused("gpu-error", lambda: kernel(x))
    refused("device-lost", lambda: kernel(x))
    assert facilities.self_test(5).usable  # it is back
    kernel(x)


@pytest.mark.torch
def test_an_in_stream_dispatch_that_failed_is_reported_by_the_next(mac, facilities, monkeypatch):
    torch = pytest.importorskip("torch")
    from metalwright_standin import mps

    mac.install()
    with mps.pretend_torch(2, 13):
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
        monkeypatch.setattr(torch, "__version__", "2.13.0")
        kernel = metalwright.compile(DOUBLE).k
        x = mps.from_cpu(torch.ones(4))
        mac.inject("page-fault")
        with metalwright.stream_order("in-stream"):
            kernel(x)
        assert mac.wait_until_idle(20)
        message = refused("gpu-page-fault", lambda: kernel(x))
        assert "earlier in-stream dispatch" in message
        kernel(x)  # said once
        assert x.retain_count == 1


@pytest.mark.parametrize("fault", ["command-buffer", "command-queue"])
def test_objects_that_metal_does_not_make_are_reported(mac, fault):
    kernel = metalwright.compile(DOUBLE).k
    mac.inject(fault)
    if fault == "command-queue":
        with pytest.raises(metalwright.Error, match="gave no queue"):
            mac.install()
        mac.clear_faults()
        mac.install()
    else:
        refused("gpu-error", lambda: kernel(metalwright.zeros(4, device="metal")))


def test_a_pipeline_without_threads_is_no_kernel(mac):
    mac.configure(max_total_threads=0)
    library = metalwright.compile(DOUBLE)
    assert "no threads" in refused("code-generation-failed", lambda: library.kernel("k"))


def test_captures_are_refused_with_what_to_do(mac, facilities, tmp_path):
    path = str(tmp_path / "a.gputrace")
    assert "MTL_CAPTURE_ENABLED=1" in refused(
        "capture-not-enabled", lambda: facilities.start_capture(path)
    )
    mac.configure(capture_enabled=True)
    refused("capture-path", lambda: facilities.start_capture(str(tmp_path / "a.trace")))
    refused("capture-path", lambda: facilities.start_capture(str(tmp_path / "no" / "a.gputrace")))
    refused("no-capture", facilities.stop_capture)
    facilities.start_capture(path)
    refused("capture-active", lambda: facilities.start_capture(str(tmp_path / "b.gputrace")))
    facilities.stop_capture()
    assert os.path.exists(path)
    refused("capture-path", lambda: facilities.start_capture(path))


def test_no_device_and_a_device_that_is_not_the_default(mac):
    mac.configure(has_default_device=False, device_count=1)
    assert mac.install() == 1
    mac.configure(has_default_device=True, device_count=2)
    assert mac.install() == 2
    mac.configure(has_default_device=False, device_count=0)
    assert mac.install() == 0
    mac.configure(has_default_device=True, device_count=1)
    assert mac.install() == 1
