"""The sanitiser: what it finds, where it says it is, and that the rest of the program is safe."""

import json
import threading

import numpy as np
import pytest

import metalwright
from metalwright import Error

runtime = pytest.importorskip("metalwright.runtime", reason="needs the compiled extension")

pytestmark = pytest.mark.native

HEADER = "#include <metal_stdlib>\nusing namespace metal;\n"


def check(body: str, *args, **call):
    call.setdefault("deadline", 20)
    return metalwright.check(HEADER + body, *args, **call)


def only(report):
    assert len(report.findings) == 1, str(report)
    return report.findings[0]


def line_of(finding, body: str) -> str:
    return (HEADER + body).splitlines()[finding.line - 1].strip()


# ---------------------------------------------------------------- buffers

SHIFT = """
kernel void k(device const float* x, device float* out, uint i [[thread_position_in_grid]]) {
  out[i] = x[i + 1];
}
"""


def test_a_read_behind_a_buffer_has_its_line_thread_and_index():
    x, out = np.ones(100, np.float32), np.zeros(100, np.float32)
    found = only(check(SHIFT, x, out, threads=100, group_size=32))
    assert (found.code, found.severity, found.kernel) == ("out-of-bounds", "error", "k")
    assert line_of(found, SHIFT) == "out[i] = x[i + 1];"
    assert found.source_line.index("x[") == found.caret.index("^")
    assert found.thread_position_in_grid == (99, 0, 0)
    assert found.threadgroup_position_in_grid == (3, 0, 0)
    assert found.thread_position_in_threadgroup == (3, 0, 0)
    assert (found.buffer, found.index, found.byte_offset, found.size) == ("x", 100, 400, 4)
    assert found.count == 1
    assert list(out) == [1.0] * 99 + [0.0]


def test_a_write_behind_a_buffer_does_not_happen():
    memory = np.full(64, 7, np.int32)
    body = """
    kernel void k(device int* out, uint i [[thread_position_in_grid]]) { out[i] = 1; }
    """
    report = check(body, memory[:32], threads=64)
    assert only(report).count == 32
    assert list(memory) == [1] * 32 + [7] * 32


@pytest.mark.parametrize("index", ["int(i) - 5", "int(i) + 100000000", "int(i) * 1000"])
def test_an_access_far_outside_is_ascribed_to_the_buffer_that_was_meant(index):
    body = f"""
    kernel void k(device const int* a, device int* b, device int* c,
                  uint i [[thread_position_in_grid]]) {{ c[i] = b[{index}] + a[i]; }}
    """
    arrays = [np.zeros(4, np.int32) for _ in range(3)]
    assert only(check(body, *arrays, threads=4)).buffer == "b"


def test_a_pointer_keeps_its_buffer_through_memory_selects_and_loops():
    body = """
    struct Pair { device int* first; device int* second; };
    kernel void k(device int* a, device int* b, uint i [[thread_position_in_grid]]) {
      Pair pair = {a, b};
      device int* p = i > 1 ? pair.first : pair.second;
      for (uint j = 0; j < 5; ++j) { *p = 1; ++p; }
    }
    """
    a, b = np.zeros(8, np.int32), np.zeros(4, np.int32)
    report = check(body, a, b, threads=1)
    assert only(report).buffer == "b"
    assert list(b) == [1, 1, 1, 1]


def test_a_vector_across_the_end_and_one_that_is_misaligned():
    body = """
    kernel void k(device float* x, device float4* out, uint i [[thread_position_in_grid]]) {
      out[i] = *(device float4*)(x + 1);
    }
    """
    report = check(body, np.ones(9, np.float32), np.zeros(4, np.float32), threads=1)
    assert only(report).code == "misaligned-access"
    body = body.replace("(x + 1)", "x")
    report = check(body, np.ones(3, np.float32), np.zeros(4, np.float32), threads=1)
    assert only(report).code == "out-of-bounds"
    assert "across its end" in report.findings[0].message


def test_an_atomic_outside_is_found_too():
    body = """
    kernel void k(device atomic_uint* n, uint i [[thread_position_in_grid]]) {
      atomic_fetch_add_explicit(&n[i], 1u, memory_order_relaxed);
    }
    """
    n = np.zeros(2, np.uint32)
    assert only(check(body, n, threads=3)).code == "out-of-bounds"
    assert list(n) == [1, 1]


def test_local_and_threadgroup_arrays_have_their_own_bounds():
    body = """
    kernel void k(device int* out, uint i [[thread_position_in_grid]],
                  uint t [[thread_position_in_threadgroup]]) {
      threadgroup int first[8]; threadgroup int second[8];
      int local[4] = {1, 2, 3, 4};
      first[t + 1] = 1;
      second[t] = local[t];
      out[i] = second[t];
    }
    """
    report = check(body, np.zeros(8, np.int32), threads=8)
    assert {(f.code, f.buffer) for f in report.errors} == {
        ("out-of-bounds", "first"),
        ("out-of-bounds", "local"),
    }


def test_threadgroup_arguments_have_the_length_of_the_dispatch():
    body = """
    kernel void k(device int* out, threadgroup int* shared [[threadgroup(0)]],
                  uint t [[thread_position_in_threadgroup]]) {
      shared[t] = t;
      out[t] = shared[t];
    }
    """
    out = np.zeros(8, np.int32)
    report = check(body, out, threads=8, threadgroup_memory={0: 16})
    assert {(f.code, f.buffer) for f in report.findings} == {("out-of-bounds", "shared")}
    assert check(body, out, threads=8, threadgroup_memory={0: 32}).is_clean


def test_a_null_pointer_is_named():
    body = """
    kernel void k(device int* out, uint i [[thread_position_in_grid]]) {
      device int* p = nullptr;
      *p = 1;
    }
    """
    found = only(check(body, np.zeros(1, np.int32), threads=1))
    assert (found.code, found.line != 0) == ("invalid-pointer", True)


# ---------------------------------------------------------------- undefined values


@pytest.mark.parametrize(
    "statements",
    [
        "float x; out[i] = x;",
        "float x; if (i > 1) x = 2; out[i] = x;",
        "float x[4]; x[0] = 1; out[i] = x[i];",
        "threadgroup float x[4]; out[i] = x[i];",
        "uint x; if (x > 3) out[i] = 1;",
        "uint x; out[x & 1] = 1;",
        "float4 x; x.x = 1; out[i] = x.y;",
        "float x; out[i] = simd_sum(x);",
        "threadgroup atomic_uint n; atomic_fetch_add_explicit(&n, 1u, memory_order_relaxed);",
    ],
)
def test_a_value_that_was_never_written_is_found_where_it_is_used(statements):
    body = f"""
    kernel void k(device float* out, uint i [[thread_position_in_grid]]) {{ {statements} }}
    """
    report = check(body, np.zeros(4, np.float32), threads=4)
    assert {f.code for f in report.errors} == {"uninitialised-read"}
    assert "'x'" in report.errors[0].message or "'n'" in report.errors[0].message


@pytest.mark.parametrize(
    "statements",
    [
        "float4 v; v.x = 1; v.y = 2; v.z = 3; v.w = 4; out[i] = v.z;",
        "S s; s.a = 1; S other = s; out[i] = other.a;",
        "S s[2]; s[0].a = 1; s[1] = s[0]; out[i] = s[1].a;",
        "float x[4]; for (int j = 0; j < 4; ++j) x[j] = j; out[i] = x[i];",
        "float3 v = float3(1, 2, 3); ((device float3*)out)[0] = v;",
        "S s; s.a = 1; *(device S*)out = s;",
        "threadgroup float x[4]; x[i] = i; out[i] = x[i];",
    ],
)
def test_copies_and_padding_are_no_use(statements):
    body = f"""
    struct S {{ float a; char b; float c; }};
    kernel void k(device float* out, uint i [[thread_position_in_grid]]) {{ {statements} }}
    """
    assert not check(body, np.zeros(4, np.float32), threads=1).findings


def test_a_variable_of_a_loop_is_new_in_each_iteration():
    body = """
    kernel void k(device int* out, uint i [[thread_position_in_grid]]) {
      for (int j = 0; j < 3; ++j) {
        int x;
        if (j == 0) x = 1;
        out[j] = x;
      }
    }
    """
    found = only(check(body, np.zeros(3, np.int32), threads=1))
    assert (found.code, found.count) == ("uninitialised-read", 2)


# ---------------------------------------------------------------- races

REDUCTION = """
kernel void k(device const float* x, device float* out, uint i [[thread_position_in_grid]],
              uint t [[thread_position_in_threadgroup]], uint size [[threads_per_threadgroup]],
              uint g [[threadgroup_position_in_grid]]) {
  threadgroup float shared[256];
  shared[t] = x[i];
  for (uint stride = size / 2; stride > 0; stride /= 2) {
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (t < stride)
      shared[t] += shared[t + stride];
  }
  if (t == 0)
    out[g] = shared[0];
}
"""


def reduce(body):
    x = np.arange(512, dtype=np.float32)
    out = np.zeros(2, np.float32)
    report = check(body, x, out, threads=512, group_size=256)
    return report, out, x.reshape(2, 256).sum(1)


def test_a_correct_reduction_has_no_finding():
    report, out, expected = reduce(REDUCTION)
    assert report.is_clean
    assert list(out) == list(expected)


def test_a_missing_barrier_is_a_race_with_both_sides():
    body = REDUCTION.replace("threadgroup_barrier(mem_flags::mem_threadgroup);", "")
    report, _, _ = reduce(body)
    race = next(f for f in report.errors if f.code == "data-race")
    assert race.buffer == "shared"
    assert line_of(race, body).startswith("shared[t]")
    assert race.other.kind in ("read", "write")
    assert race.other.line > 0
    assert race.other.thread_position_in_threadgroup != race.thread_position_in_threadgroup
    assert race.other.threadgroup_position_in_grid == race.threadgroup_position_in_grid


def test_a_barrier_for_other_memory_orders_nothing():
    report, _, _ = reduce(REDUCTION.replace("mem_threadgroup)", "mem_device)"))
    assert "data-race" in {f.code for f in report.errors}


def test_a_simdgroup_needs_no_barrier_of_the_threadgroup():
    body = """
    kernel void k(device int* out, uint t [[thread_position_in_threadgroup]]) {
      threadgroup int shared[32];
      shared[t] = t;
      simdgroup_barrier(mem_flags::mem_threadgroup);
      out[t] = shared[31 - t];
    }
    """
    out = np.zeros(32, np.int32)
    assert check(body, out, threads=32).is_clean
    racing = check(body.replace("simdgroup_barrier", "//"), out, threads=32)
    assert {f.code for f in racing.errors} >= {"data-race"}


def test_threadgroups_race_in_device_memory():
    body = """
    kernel void k(device int* out, uint g [[threadgroup_position_in_grid]]) { out[0] = g; }
    """
    found = only(check(body, np.zeros(1, np.int32), threads=8, group_size=1))
    assert found.code == "data-race"
    assert found.other.threadgroup_position_in_grid != found.threadgroup_position_in_grid


def test_writes_of_one_value_are_a_class_of_their_own():
    body = """
    kernel void k(device int* out) { out[0] = 5; }
    """
    found = only(check(body, np.zeros(1, np.int32), threads=8))
    assert (found.code, found.severity) == ("benign-race", "warning")


def test_neighbouring_bytes_do_not_race():
    body = """
    kernel void k(device uchar* out, uint i [[thread_position_in_grid]]) { out[i] = i; }
    """
    assert check(body, np.zeros(64, np.uint8), threads=64, group_size=16).is_clean


def test_atomics_do_not_race_with_each_other_but_with_plain_accesses():
    body = """
    kernel void k(device atomic_uint* n, uint i [[thread_position_in_grid]]) {
      atomic_fetch_add_explicit(n, 1u, memory_order_relaxed);
    }
    """
    n = np.zeros(1, np.uint32)
    assert check(body, n, threads=64, group_size=8).is_clean
    mixed = body.replace("relaxed);", "relaxed); *((device uint*)n) = 3;")
    assert {f.code for f in check(mixed, n, threads=64, group_size=8).errors} == {"data-race"}


# ---------------------------------------------------------------- meeting


def test_a_barrier_in_a_branch_names_both_parties():
    body = """
    kernel void k(device int* out, uint t [[thread_position_in_threadgroup]]) {
      if (t < 20)
        threadgroup_barrier(mem_flags::mem_threadgroup);
      else
        threadgroup_barrier(mem_flags::mem_device);
      out[t] = t;
    }
    """
    found = only(check(body, np.zeros(64, np.int32), threads=64))
    assert found.code == "divergent-barrier"
    assert "20 threads" in found.message
    lines = (HEADER + body).splitlines()
    at = {line for line in range(1, len(lines) + 1) if "barrier" in lines[line - 1]}
    assert {found.line, found.other.line} == at


def test_threads_that_returned_are_counted():
    body = """
    kernel void k(device int* out, uint t [[thread_position_in_threadgroup]]) {
      if (t >= 40) return;
      threadgroup_barrier(mem_flags::mem_threadgroup);
      out[t] = t;
    }
    """
    found = only(check(body, np.zeros(64, np.int32), threads=64))
    assert "24 threads have returned" in found.message


def test_shuffles_from_lanes_that_are_not_there():
    body = """
    kernel void k(device int* out, uint t [[thread_position_in_threadgroup]]) {
      out[t] = simd_shuffle(int(t), 40);
    }
    """
    assert only(check(body, np.zeros(32, np.int32), threads=32)).code == "shuffle-out-of-range"
    body = body.replace(
        "out[t] = simd_shuffle(int(t), 40)", "if (t > 3) out[t] = simd_shuffle(t, 1)"
    )
    found = only(check(body, np.zeros(32, np.int32), threads=32))
    assert (found.code, found.severity) == ("shuffle-inactive-lane", "warning")


# ---------------------------------------------------------------- values


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("out[i] = 7 / n[0];", "division-by-zero"),
        ("out[i] = 7u % uint(n[0]);", "division-by-zero"),
        ("int j = n[1] * 2147483647; j += n[1]; out[i] = out[j];", "index-overflow"),
        ("out[i] = int(3e9f * n[1]);", "conversion-overflow"),
        ("out[i] = uint(-1.0f * n[1]);", "conversion-overflow"),
        ("out[i] = int(-0.5f * n[1]) + 7 / n[1] + uint(-0.5f * n[1]);", None),
    ],
)
def test_arithmetic_that_hardly_anyone_means_is_a_warning(statement, code):
    body = f"""
    kernel void k(device int* out, device const int* n, uint i [[thread_position_in_grid]]) {{
      {statement}
    }}
    """
    report = check(body, np.zeros(4, np.int32), np.array([0, 1], np.int32), threads=1)
    assert [f.code for f in report.warnings] == ([] if code is None else [code])
    assert bool(report.errors) == (code == "index-overflow")  # it is outside of the buffer as well


# ---------------------------------------------------------------- order


def test_a_result_that_depends_on_the_order_of_threadgroups():
    body = """
    kernel void k(device atomic_uint* n, device uint* out, uint i [[thread_position_in_grid]]) {
      out[atomic_fetch_add_explicit(n, 1u, memory_order_relaxed)] = i;
    }
    """
    n, out = np.zeros(1, np.uint32), np.zeros(16, np.uint32)
    found = only(check(body, n, out, threads=16, group_size=2))
    assert (found.code, found.severity) == ("order-dependent", "warning")
    assert n[0] == 16  # the replays left nothing behind
    assert list(out) == list(range(16))


def test_sums_of_floats_in_another_order_are_told_apart():
    body = """
    kernel void k(device atomic_float* sum, device const float* x,
                  uint i [[thread_position_in_grid]]) {
      atomic_fetch_add_explicit(sum, x[i], memory_order_relaxed);
    }
    """
    x = np.random.default_rng(0).standard_normal(256).astype(np.float32) * 1e3
    found = only(check(body, np.zeros(1, np.float32), x, threads=256, group_size=32))
    assert (found.code, found.severity) == ("order-dependent-rounding", "warning")


# ---------------------------------------------------------------- the interface


def test_a_checked_kernel_raises_and_keeps_its_findings():
    library = metalwright.compile(HEADER + SHIFT, check=True)
    x, out = np.ones(100, np.float32), np.zeros(100, np.float32)
    with pytest.raises(metalwright.CheckError) as caught:
        library.k(x, out, threads=100)
    assert caught.value.code == "check-failed"
    assert caught.value.findings == library.k.findings
    assert "error: read of 4 bytes at index 100 of 'x'" in str(caught.value)
    library.k(x, out, threads=99)
    assert library.k.findings == ()


def test_a_warning_does_not_raise():
    library = metalwright.compile(HEADER + "kernel void k(device int* o) { o[0] = 5; }", check=True)
    library.k(np.zeros(1, np.int32), threads=2)
    assert [f.severity for f in library.k.findings] == ["warning"]


def test_a_program_is_checked_that_knows_nothing_of_it():
    with metalwright.checking() as report:
        library = metalwright.compile(HEADER + SHIFT)
        library.k(np.ones(4, np.float32), np.zeros(4, np.float32), threads=4)
        metalwright.compile_shader(HEADER + REDUCTION)
    assert report.kernels == ("k",)
    assert report.errors[0].code == "out-of-bounds"
    with metalwright.checking(raise_errors=True):
        library = metalwright.compile(HEADER + SHIFT)
        with pytest.raises(metalwright.CheckError):
            library.k(np.ones(4, np.float32), np.zeros(4, np.float32), threads=4)
    plain = metalwright.compile(HEADER + REDUCTION)
    assert not plain.is_checked


def test_the_report_as_json():
    report = check(SHIFT, np.ones(4, np.float32), np.zeros(4, np.float32), threads=4)
    data = json.loads(report.to_json())
    assert data["version"] == 1
    finding = data["findings"][0]
    assert finding["code"] == "out-of-bounds"
    assert finding["thread_position_in_grid"] == [3, 0, 0]
    assert finding["other"] is None


def test_a_finding_in_a_helper_and_in_the_library_is_at_the_programs_line():
    body = """
    float take(device const float* p, uint j) {
      return p[j];
    }
    kernel void k(device const float* x, device float4* v, device float* out) {
      out[0] = take(x, 4);
      out[1] = v[1].y;
    }
    """
    report = check(body, *(np.ones(4, np.float32) for _ in range(3)), threads=1)
    assert [line_of(f, body) for f in report.errors] == ["return p[j];", "out[1] = v[1].y;"]


def test_what_cannot_be_checked_is_refused():
    with pytest.raises(Error) as caught:
        metalwright.compile("kernel void k() {}", check=True, device="metal")
    assert caught.value.code in ("check-needs-cpu", "no-such-device")
    with pytest.raises(Error) as caught:
        metalwright.check(metalwright.compile("kernel void k() {}"), threads=1)
    assert caught.value.code == "not-checked"
    with pytest.raises(Error) as caught:
        metalwright.check("kernel void a() {} kernel void b() {}", threads=1)
    assert caught.value.code == "kernel-not-named"


def test_an_endless_kernel_ends_at_its_deadline():
    body = """
    kernel void k(device volatile int* out) { while (out[0] == 0) out[1] = out[0]; }
    """
    with pytest.raises(metalwright.DispatchError) as caught:
        check(body, np.zeros(2, np.int32), threads=1, deadline=0.3)
    assert caught.value.code == "deadline-exceeded"


def test_threads_of_the_host_take_turns():
    library = metalwright.compile(HEADER + REDUCTION, check=True)
    failed = []

    def work(seed):
        x = np.full(256, seed, np.float32)
        out = np.zeros(1, np.float32)
        for _ in range(3):
            library.k(x, out, threads=256, group_size=256)
            if out[0] != 256 * seed:
                failed.append((seed, out[0]))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failed
