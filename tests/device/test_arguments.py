"""What can be bound to an argument, and how a call that cannot work is refused."""

import itertools
import struct
import warnings

import numpy as np
import pytest

metalwright = pytest.importorskip("metalwright.runtime")
torch = pytest.importorskip("torch")

pytestmark = [pytest.mark.native, pytest.mark.torch]

Error = metalwright.Error


def library(body: str, name: str = "k") -> "metalwright.Kernel":
    source = "#include <metal_stdlib>\nusing namespace metal;\n" + body
    return getattr(metalwright.compile(source), name)


def refusal(code: str, call) -> str:
    """The message of the error with which `call` is refused."""
    with pytest.raises(Error) as caught:
        call()
    assert caught.value.code == code, str(caught.value)
    return str(caught.value)


@pytest.fixture(scope="module")
def add(device):
    return library(
        "kernel void k(device const float* x, device const float* y, device float* out,"
        " uint i [[thread_position_in_grid]]) { out[i] = x[i] + y[i]; }"
    )


@pytest.fixture
def xyz():
    return torch.randn(64), torch.randn(64), torch.zeros(64)


# ------------------------------------------------------------------------------ tensors and arrays


def test_tensors_are_bound_without_a_copy(add, xyz):
    x, y, out = xyz
    add(x, y, out)
    assert torch.equal(out, x + y)


def test_arguments_can_be_given_by_name(add, xyz):
    x, y, out = xyz
    add(out=out, y=y, x=x, threads=64)
    assert torch.equal(out, x + y)
    out.zero_()
    add(x, out=out, y=y)
    assert torch.equal(out, x + y)


def test_a_view_starts_at_its_first_element_and_reaches_to_the_end_of_its_storage(add):
    base = torch.arange(32.0)
    out = torch.zeros(8)
    add(base[8:10], base[16:], out, threads=8)
    assert torch.equal(out, base[8:16] + base[16:24])


def test_parameters_and_tensors_that_require_grad_are_bound(add, xyz):
    x, y, out = xyz
    add(torch.nn.Parameter(x), y.clone().requires_grad_(), out)
    assert torch.equal(out, x + y)


def test_numpy_arrays_are_bound_without_a_copy(add):
    x = np.random.default_rng(0).random(64, dtype=np.float32)
    out = np.zeros(64, dtype=np.float32)
    add(x, x, out)
    np.testing.assert_array_equal(out, x + x)


def test_a_read_only_array_is_taken_for_reading_and_refused_for_writing(add):
    x = np.ones(8, dtype=np.float32)
    frozen = np.ones(8, dtype=np.float32)
    frozen.flags.writeable = False
    add(frozen, frozen, x)
    assert x.tolist() == [2.0] * 8
    assert "'out'" in refusal("read-only", lambda: add(x, x, frozen))


def test_an_array_that_runs_backwards_is_refused(add):
    x = np.ones(8, dtype=np.float32)
    refusal("negative-stride", lambda: add(x[::-1], x, x.copy()))


@pytest.mark.parametrize(
    ("code", "make"),
    [
        ("wrong-dtype", lambda: torch.zeros(64, dtype=torch.float64)),
        ("wrong-dtype", lambda: np.zeros(64)),
        ("wrong-device", lambda: torch.zeros(64, device="meta")),
        ("empty-tensor", lambda: torch.zeros(0)),
        ("tensor-without-data", lambda: torch.zeros(64).to_sparse()),
        ("lazy-tensor", lambda: torch.zeros(64, dtype=torch.complex64).conj().imag),
        ("not-bindable", lambda: "text"),
        ("number-for-pointer", lambda: 1.0),
        ("number-for-pointer", lambda: [1.0, 2.0]),
    ],
)
def test_what_cannot_be_bound_is_refused_by_argument_name(add, xyz, code, make):
    _, y, out = xyz
    message = refusal(code, lambda: add(make(), y, out, threads=1))
    assert "kernel 'k', argument 'x' (buffer 0, device const float*)" in message


def test_a_dtype_mismatch_names_what_was_expected_and_what_came(add, xyz):
    x, y, out = xyz
    message = refusal("wrong-dtype", lambda: add(x, y.half(), out))
    assert "'y'" in message
    assert "expected float32, got torch.float16" in message


def test_check_false_binds_any_dtype(add, xyz):
    x, y, out = xyz
    add(x.view(torch.int32), y, out, check=False)
    assert torch.equal(out, x + y)


@pytest.mark.parametrize(
    ("type_name", "dtype"),
    [
        ("float", torch.float32),
        ("half", torch.float16),
        ("bfloat", torch.bfloat16),
        ("char", torch.int8),
        ("short", torch.int16),
        ("int", torch.int32),
        ("long", torch.int64),
        ("uchar", torch.uint8),
        ("ushort", torch.uint16),
        ("uint", torch.uint32),
        ("ulong", torch.uint64),
        ("bool", torch.bool),
        ("float4", torch.float32),
        ("half2", torch.float16),
        ("packed_float3", torch.float32),
        ("float2", torch.complex64),
        ("uchar", torch.bool),
        ("uchar", torch.float32),
        ("atomic_int", torch.int32),
        ("atomic_uint", torch.uint32),
    ],
)
def test_each_type_takes_its_dtype(type_name, dtype):
    kernel = library(f"kernel void k(device {type_name}* x, device uint* n) {{ n[0] = 1; }}")
    done = torch.zeros(1, dtype=torch.uint32)
    kernel(torch.zeros(48, dtype=dtype), done, threads=1)
    assert done.item() == 1


@pytest.mark.parametrize(
    ("type_name", "dtype"),
    [
        ("half", torch.bfloat16),
        ("int", torch.int64),
        ("int", torch.uint32),
        ("uint", torch.int32),
        ("long", torch.int32),
        ("bool", torch.uint8),
        ("float4", torch.float16),
        ("char", torch.uint8),
    ],
)
def test_each_type_refuses_other_dtypes(type_name, dtype):
    kernel = library(f"kernel void k(device {type_name}* x) {{ x[0] = x[1]; }}")
    refusal("wrong-dtype", lambda: kernel(torch.zeros(16, dtype=dtype), threads=1))


def test_vectors_need_whole_elements():
    kernel = library("kernel void k(device float4* x) { x[0] = x[0] + 1; }")
    x = torch.zeros(8)
    kernel(x, threads=1)
    assert x.tolist() == [1.0] * 4 + [0.0] * 4
    refusal("not-whole-elements", lambda: kernel(torch.zeros(6), threads=1))


def test_a_misaligned_pointer_is_refused():
    kernel = library("kernel void k(device float4* x) { x[0] = x[0] + 1; }")
    assert "alignment of float4" in refusal(
        "misaligned-pointer", lambda: kernel(torch.zeros(9)[1:], threads=1)
    )


# ------------------------------------------------------------------------------ numbers


@pytest.mark.parametrize(
    ("type_name", "value", "dtype"),
    [
        ("float", 1.5, torch.float32),
        ("float", 3, torch.float32),
        ("half", 0.1, torch.float16),
        ("bfloat", 0.1, torch.bfloat16),
        ("half", 65520.0, torch.float16),
        ("half", 6e-8, torch.float16),
        ("half", float("nan"), torch.float16),
        ("char", -128, torch.int8),
        ("short", -300, torch.int16),
        ("int", -70000, torch.int32),
        ("long", -(2**62), torch.int64),
        ("uchar", 255, torch.uint8),
        ("ushort", 65535, torch.uint16),
        ("uint", 2**32 - 1, torch.uint32),
        ("bool", True, torch.bool),
        ("float", np.float64(2.5), torch.float32),
        ("float", np.float32(2.5), torch.float32),
        ("int", np.int16(7), torch.int32),
    ],
)
def test_numbers_become_the_type_of_the_argument(type_name, value, dtype):
    kernel = library(
        f"kernel void k(device {type_name}* out, constant {type_name}& value) {{ out[0] = value; }}"
    )
    out = torch.zeros(1, dtype=dtype)
    kernel(out, value, threads=1)
    expected = torch.tensor([value], dtype=dtype)
    assert torch.equal(out.view(torch.uint8), expected.view(torch.uint8))


def test_the_whole_range_of_ulong_is_taken():
    kernel = library("kernel void k(device ulong* out, constant ulong& v) { out[0] = v; }")
    out = np.zeros(1, dtype=np.uint64)
    kernel(out, 2**64 - 1, threads=1)
    assert int(out[0]) == 2**64 - 1


@pytest.mark.parametrize(
    ("type_name", "value", "code"),
    [
        ("int", 2**31, "out-of-range"),
        ("uint", -1, "out-of-range"),
        ("uchar", 256, "out-of-range"),
        ("ulong", 2**64, "out-of-range"),
        ("int", 1.5, "wrong-number-type"),
        ("bool", 2, "out-of-range"),
        ("float2", 1.0, "wrong-count"),
        ("float2", (1.0, 2.0, 3.0), "wrong-count"),
        ("float", "1", "not-bindable"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(type_name, value, code):
    kernel = library(
        f"kernel void k(device int* out, constant {type_name}& value)"
        "{ out[0] = *(constant uchar*)&value; }"
    )
    message = refusal(code, lambda: kernel(torch.zeros(1, dtype=torch.int32), value, threads=1))
    assert "'value'" in message


def test_tuples_become_vectors_matrices_and_arrays():
    kernel = library(
        """
        kernel void k(device float* out, constant float3& v, constant packed_float3& p,
                      constant float3x3& m, constant int* a) {
          out[0] = v.x + 10 * v.y + 100 * v.z;
          out[1] = p[0] + 10 * p[1] + 100 * p[2];
          out[2] = m[1][2];
          out[3] = a[0] + 10 * a[1] + 100 * a[2];
        }"""
    )
    out = torch.zeros(4)
    columns = [(1, 2, 3), (4, 5, 6), (7, 8, 9)]
    kernel(out, (1, 2, 3), [1.0, 2.0, 3.0], columns, (1, 2, 3), threads=1)
    assert out.tolist() == [321.0, 321.0, 6.0, 321.0]


def test_bytes_fill_structs_and_their_size_is_checked():
    kernel = library(
        "struct P { int n; float f; };"
        "kernel void k(device float* out, constant P& p) { out[0] = p.n * p.f; }"
    )
    out = torch.zeros(1)
    packed = struct.pack("if", 3, 1.5)
    for form in (packed, bytearray(packed), memoryview(packed), np.frombuffer(packed, np.uint8)):
        out.zero_()
        kernel(out, form, threads=1)
        assert out.item() == 4.5
    assert "8 bytes" in refusal("buffer-too-short", lambda: kernel(out, packed[:5], threads=1))
    refusal("number-for-struct", lambda: kernel(out, 3, threads=1))


def test_a_tensor_can_be_bound_to_a_constant_argument():
    kernel = library("kernel void k(device float* o, constant float& f) { o[0] = f; }")
    out = torch.zeros(1)
    kernel(out, torch.tensor(2.5), threads=1)
    assert out.item() == 2.5


def test_values_given_by_number_are_limited_to_what_set_bytes_takes():
    kernel = library("kernel void k(device int* o, constant int* v) { o[0] = v[1000]; }")
    out = torch.zeros(1, dtype=torch.int32)
    kernel(out, list(range(1024)), threads=1)
    assert out.item() == 1000
    refusal("inline-data-too-long", lambda: kernel(out, list(range(1025)), threads=1))


# ------------------------------------------------------------------------------ overlapping memory


def warnings_of(call) -> list[str]:
    """The texts of the aliasing warnings that `call` gives."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    assert all(issubclass(each.category, metalwright.AliasingWarning) for each in caught)
    return [str(each.message) for each in caught]


fresh = itertools.count()  # another source, so another kernel
OVERLAP = (
    "kernel void k(device const float* x, device const float* y, device float* out,"
    " uint i [[thread_position_in_grid]]) { out[i] = x[i] + y[i] + %d; }"
)


def test_one_tensor_for_an_input_and_the_output_is_warned_of_once_per_kernel():
    kernel = library(OVERLAP % next(fresh))
    x, y = torch.zeros(8), torch.zeros(8)
    (message,) = warnings_of(lambda: kernel(y, x, x))
    assert "'y' (buffer 1) and 'out' (buffer 2)" in message
    assert warnings_of(lambda: kernel(y, x, x)) == []
    assert len(warnings_of(lambda: library(OVERLAP % next(fresh))(x, y, x))) == 1


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        (lambda a: (a[:8], a[:8], a[8:16]), 0),  # two readers, and another part of the storage
        (lambda a: (a[4:12], a[:8], a[8:16]), 1),
        (lambda a: (a[::2], a[:1], a[1::2]), 0),  # interleaved: no common element
        (lambda a: (a.numpy(), a.numpy(), a.numpy()[4:]), 1),
        (lambda a: (a.numpy()[:8], a[:8], a[8:]), 0),
    ],
)
def test_what_counts_as_overlap(arguments, count):
    kernel = library(OVERLAP % next(fresh))
    given = arguments(torch.zeros(32))
    assert len(warnings_of(lambda: kernel(*given, threads=4))) == count


# ------------------------------------------------------------------------------ the call


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("too-many-arguments", lambda x: ((x, x, x, x), {})),
        ("missing-argument", lambda x: ((x, x), {})),
        ("no-such-argument", lambda x: ((x, x, x.clone()), {"z": x})),
        ("bound-twice", lambda x: ((x, x, x.clone()), {"x": x})),
        ("bad-size", lambda x: ((x, x, x.clone()), {"threads": 0})),
        ("bad-size", lambda x: ((x, x, x.clone()), {"threads": (1, 2, 3, 4)})),
        ("bad-size", lambda x: ((x, x, x.clone()), {"threads": "many"})),
        ("bad-size", lambda x: ((x, x, x.clone()), {"threads": (8, 8), "group_size": 8})),
        (
            "threads-and-threadgroups",
            lambda x: ((x, x, x.clone()), {"threads": 8, "threadgroups": 1}),
        ),
        ("missing-group-size", lambda x: ((x, x, x.clone()), {"threadgroups": 1})),
        ("bad-deadline", lambda x: ((x, x, x.clone()), {"deadline": -1})),
        ("no-such-argument", lambda x: ((x, x, x.clone()), {"threadgroup_memory": {0: 64}})),
        ("too-many-threads", lambda x: ((x, x, x.clone()), {"threads": 4096, "group_size": 2048})),
    ],
)
def test_a_wrong_call_is_refused(add, code, change):
    arguments, keywords = change(torch.zeros(8))
    refusal(code, lambda: add(*arguments, **keywords))


def test_threads_default_to_the_elements_of_the_first_tensor(add):
    out = torch.zeros(8)
    add(torch.ones(6), torch.ones(8), out)
    assert out.tolist() == [2.0] * 6 + [0.0] * 2


def test_without_tensors_the_number_of_threads_must_be_given():
    refusal("no-threads", library("kernel void k() {}"))


def test_threads_are_total_and_threadgroups_are_exact():
    kernel = library(
        "kernel void k(device uint* o, uint i [[thread_position_in_grid]],"
        " uint n [[threads_per_threadgroup]]) { o[i] = n; }"
    )
    out = torch.zeros(16, dtype=torch.uint32)
    kernel(out, threads=10, group_size=4)
    assert out.tolist() == [4] * 8 + [2] * 2 + [0] * 6
    out.zero_()
    kernel(out, threadgroups=3, group_size=(4,))
    assert out.tolist() == [4] * 12 + [0] * 4


def test_a_grid_has_up_to_three_dimensions():
    kernel = library(
        "kernel void k(device uint* o, uint3 p [[thread_position_in_grid]],"
        " uint3 n [[threads_per_grid]])"
        "{ o[(p.z * n.y + p.y) * n.x + p.x] = p.x + 10 * p.y + 100 * p.z; }"
    )
    out = torch.zeros(24, dtype=torch.uint32)
    kernel(out, threads=(4, 3, 2))
    expected = [x + 10 * y + 100 * z for z in range(2) for y in range(3) for x in range(4)]
    assert out.tolist() == expected


def test_dynamic_threadgroup_memory_has_the_size_that_is_given():
    kernel = library(
        "kernel void k(device float* o, threadgroup float* t [[threadgroup(0)]],"
        " uint i [[thread_index_in_threadgroup]]) {"
        " t[i] = i; threadgroup_barrier(mem_flags::mem_threadgroup); o[i] = t[31 - i]; }"
    )
    out = torch.zeros(32)
    assert "threadgroup_memory={0: bytes}" in refusal(
        "missing-threadgroup-memory", lambda: kernel(out)
    )
    kernel(out, threadgroup_memory={0: 128})
    assert out.tolist() == [float(31 - i) for i in range(32)]


def test_arg_casts_override_the_type_of_numbers():
    kernel = library("kernel void k(device half* o, constant half& v) { o[0] = v; }")
    out = torch.zeros(1, dtype=torch.float16)
    kernel(out, 1.5, threads=1, arg_casts={1: "fp16"})
    assert out.item() == 1.5
    refusal("unknown-cast", lambda: kernel(out, 1.5, threads=1, arg_casts="fp17"))
