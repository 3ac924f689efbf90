"""What runs: grids, views and offsets, threadgroup memory, repeats and their times."""

import pytest

metalwright = pytest.importorskip("metalwright.runtime")
np = pytest.importorskip("numpy")

pytestmark = pytest.mark.native

HEADER = "#include <metal_stdlib>\nusing namespace metal;\n"


def library(body: str, **options):
    return metalwright.compile(HEADER + body, **options)


def tensor_on(device: str, values):
    """A torch tensor where the device has its own: mps on a Mac or the stand-in, else the host."""
    torch = pytest.importorskip("torch")
    host = torch.as_tensor(values)
    if device == "cpu":
        return host.clone()
    if torch.backends.mps.is_available():
        return host.to("mps")
    from metalwright_standin import mps

    return mps.from_cpu(host)


def as_array(values, device):
    return np.array(values)


def as_buffer(values, device):
    return metalwright.from_array(np.array(values), device=device)


def as_tensor(values, device):
    return tensor_on(device, np.array(values))


MEMORY = [
    pytest.param(as_array, id="array"),
    pytest.param(as_buffer, id="buffer"),
    pytest.param(as_tensor, id="tensor"),
]


def read(memory):
    """A NumPy copy of what is in an array, a buffer or a tensor."""
    if isinstance(memory, metalwright.Buffer):
        return memory.numpy().copy()
    return np.array(memory.cpu().numpy() if hasattr(memory, "cpu") else memory)


POSITIONS = """
kernel void positions(device uint* out, uint3 p [[thread_position_in_grid]],
                      uint3 n [[threads_per_grid]], uint3 g [[threads_per_threadgroup]])
{ out[(p.z * n.y + p.y) * n.x + p.x] += 1 + 10 * g.x; }
kernel void add(device const float* x, device const float* y, device float* out,
                uint i [[thread_position_in_grid]]) { out[i] = x[i] + y[i]; }
kernel void increment(device float* x, uint i [[thread_position_in_grid]]) { x[i] += 1; }
"""


# ------------------------------------------------------------------------------ memory


@pytest.mark.parametrize("make", MEMORY)
def test_every_kind_of_memory_is_read_and_written(device, make):
    x, y = make(np.arange(100, dtype=np.float32), device), make(np.full(100, 0.5, "f"), device)
    out = make(np.zeros(100, np.float32), device)
    library(POSITIONS).add(x, y, out)
    np.testing.assert_array_equal(read(out), np.arange(100, dtype=np.float32) + 0.5)
    np.testing.assert_array_equal(read(x), np.arange(100, dtype=np.float32))


@pytest.mark.parametrize("make", MEMORY)
@pytest.mark.parametrize("offset", [1, 3, 64, 250])
def test_a_view_starts_at_its_offset(device, make, offset):
    base = make(np.zeros(256, np.float32), device)
    whole = base.numpy() if isinstance(base, metalwright.Buffer) else base
    library(POSITIONS).increment(whole[offset:], threads=4)
    expected = np.zeros(256, np.float32)
    expected[offset : offset + 4] = 1
    np.testing.assert_array_equal(read(base), expected)


def test_views_of_one_tensor_are_bound_side_by_side(device):
    base = tensor_on(device, np.arange(96, dtype=np.float32))
    library(POSITIONS).add(base[:32], base[32:64], base[64:], threads=32)
    values = read(base)
    np.testing.assert_array_equal(values[64:], np.arange(32) * 2 + 32)
    np.testing.assert_array_equal(values[:64], np.arange(64))


def test_a_transposed_tensor_is_bound_as_its_memory_lies(device):
    base = tensor_on(device, np.arange(6, dtype=np.float32).reshape(2, 3))
    library(POSITIONS).increment(base.t(), threads=6)
    np.testing.assert_array_equal(read(base), np.arange(6).reshape(2, 3) + 1)


def test_an_offset_that_splits_a_vector_is_refused(device):
    kernel = library("kernel void k(device float4* x) { x[0] = x[0] + 1; }").k
    base = tensor_on(device, np.zeros(16, np.float32))
    kernel(base[4:], threads=1)
    with pytest.raises(metalwright.Error) as caught:
        kernel(base[1:], threads=1, check=False)
    assert caught.value.code == "misaligned-pointer"
    assert read(base).tolist() == [0.0] * 4 + [1.0] * 4 + [0.0] * 8


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_halves_at_an_odd_offset_are_bound_to_device_memory(device, dtype):
    torch = pytest.importorskip("torch")
    name = {"float16": "half", "bfloat16": "bfloat"}[dtype]
    kernel = library(f"kernel void k(device {name}* x) {{ x[0] = x[0] + ({name})1; }}").k
    base = tensor_on(device, torch.zeros(8, dtype=getattr(torch, dtype)))
    kernel(base[1:], threads=1)
    assert base.cpu().float().tolist() == [0.0, 1.0] + [0.0] * 6


def test_numbers_structs_and_tensors_meet_in_one_call(device):
    kernel = library(
        """
struct P { uint n; float scale; };
kernel void k(device const half* x, constant P& p, constant float2& shift, device float* out,
              threadgroup float* t [[threadgroup(0)]], uint i [[thread_position_in_grid]],
              uint l [[thread_position_in_threadgroup]]) {
  t[l] = float(x[i]);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  if (i < p.n) out[i] = t[l] * p.scale + shift.x + shift.y;
}"""
    ).k
    x = tensor_on(device, np.arange(8, dtype=np.float16))
    out = metalwright.zeros(8, device=device)
    p = np.array([(6, 2.0)], dtype=[("n", "u4"), ("scale", "f4")])
    kernel(x, p, (0.5, 1), out, threads=8, group_size=8, threadgroup_memory={0: 32})
    assert out.numpy().tolist() == [1.5, 3.5, 5.5, 7.5, 9.5, 11.5, 0.0, 0.0]


# ------------------------------------------------------------------------------ grids


@pytest.mark.parametrize(
    ("threads", "group"),
    [
        ((1,), (1,)),
        ((33,), (32,)),
        ((1000,), (256,)),
        ((7, 5), (4, 4)),
        ((5, 3, 3), (2, 2, 2)),
        ((1, 1, 9), (1, 1, 4)),
    ],
)
def test_ragged_grids_run_every_thread_once(device, threads, group):
    out = metalwright.zeros(int(np.prod(threads)), dtype="uint32", device=device)
    library(POSITIONS).positions(out, threads=threads, group_size=group)
    values = out.numpy() % 10
    assert values.tolist() == [1] * values.size
    # The last threadgroups are cut: they know how many threads they have.
    assert {int(v) // 10 for v in out.numpy()} == {
        min(group[0], threads[0] - begin) for begin in range(0, threads[0], group[0])
    }


def test_threadgroups_are_counted_whole(device):
    out = metalwright.zeros((4, 12), dtype="uint32", device=device)
    library(POSITIONS).positions(out, threadgroups=(3, 2), group_size=(4, 2))
    assert (out.numpy() == 41).all()


def test_limits_are_refused_before_anything_runs(device):
    info = metalwright.device_info(device)
    x = metalwright.zeros(4, device=device)
    kernel = library(POSITIONS).increment
    too_many = info.max_threads_per_threadgroup * 2
    for code, keywords in (
        ("too-many-threads", {"threads": too_many, "group_size": too_many}),
        ("grid-too-large", {"threads": 1 << 33, "group_size": 32}),
    ):
        with pytest.raises(metalwright.Error) as caught:
            kernel(x, **keywords)
        assert caught.value.code == code
    assert not x.numpy().any()


def test_threadgroup_memory_is_limited_and_comes_in_sixteens(device):
    kernel = library(
        "kernel void k(device float* o, threadgroup float* t [[threadgroup(0)]],"
        " uint i [[thread_position_in_threadgroup]]) {"
        " t[i] = i; threadgroup_barrier(mem_flags::mem_threadgroup); o[i] = t[3 - i]; }"
    ).k
    out = metalwright.zeros(4, device=device)
    limit = metalwright.device_info(device).max_threadgroup_memory
    for length, code in ((12, "threadgroup-memory-length"), (limit + 16, None)):
        with pytest.raises(metalwright.Error) as caught:
            kernel(out, threads=4, group_size=4, threadgroup_memory={0: length})
        assert caught.value.code == (code or "too-much-threadgroup-memory")
    kernel(out, threads=4, group_size=4, threadgroup_memory={0: limit})
    assert out.numpy().tolist() == [3.0, 2.0, 1.0, 0.0]


# ------------------------------------------------------------------------------ times


def test_repeats_see_what_the_run_before_left(device):
    kernel = library(POSITIONS).increment
    x = metalwright.zeros(64, device=device)
    timing = kernel.run(1000, x)
    assert (x.numpy() == 1000).all()
    assert len(timing.runs) * timing.repeats_per_run == 1000
    assert all(seconds > 0 for seconds in timing.runs)
    assert timing.end > timing.start
    total = sum(timing.runs) * timing.repeats_per_run
    assert total <= (timing.end - timing.start) * 1.001
    assert timing.copied_bytes == 0


def test_a_kernel_is_timed_with_its_conditions(device):
    kernel = library(POSITIONS, math_mode="relaxed").increment
    x = metalwright.zeros(1 << 14, device=device)
    timing = kernel.time(x, repeats=7, warmup=0.02)
    assert len(timing.runs) == 7
    assert min(timing.runs) <= timing.median <= max(timing.runs)
    assert 0 < timing.median < 0.1
    assert 0 < timing.overhead < 0.1
    assert timing.conditions.kind == device
    assert timing.conditions.math_mode == "relaxed"
    assert timing.clock == metalwright.device_info(device).clock != ""
    if device == "metal":
        assert timing.repeats_per_run > 1  # one figure per command buffer
        assert timing.conditions.thermal_state == "nominal"
        assert timing.conditions.low_power_mode is False
        assert {"os", "msl-version", "families"} <= timing.conditions.details.keys()


def test_more_work_takes_more_device_time(device):
    kernel = library(
        "kernel void k(device float* x, constant uint& n, uint i [[thread_position_in_grid]])"
        "{ float v = x[i]; for (uint j = 0; j < n; ++j) v = v * 0.5f + 1; x[i] = v; }"
    ).k
    x = metalwright.zeros(1 << 10, device=device)
    few, many = (kernel.time(x, n, repeats=5, warmup=0.01).median for n in (100, 10_000))
    assert many > 5 * few


def test_memory_of_the_device_is_not_copied_and_other_memory_says_so(device):
    kernel = library(POSITIONS).increment
    own = metalwright.zeros(1000, device=device)
    assert kernel.run(3, own).copied_bytes == 0
    assert kernel.run(3, own.numpy()[8:]).copied_bytes == 0
    assert kernel.run(3, tensor_on(device, np.zeros(1000, np.float32))).copied_bytes == 0
    odd = np.zeros(1001, np.float32)[1:]
    timing = kernel.run(3, odd)
    assert (odd == 3).all()
    if device == "metal":
        assert timing.copied_bytes == 2 * odd.nbytes  # in, and back
        assert timing.copy_seconds > 0
        timed = kernel.time(odd, repeats=3, warmup=0)
        assert timed.copied_bytes == 2 * odd.nbytes
        assert "bytes copied" in str(timed)
    else:
        assert timing.copied_bytes == 0
