"""metalwright.compile_shader is called as torch.mps.compile_shader is, on every device."""

import pytest

metalwright = pytest.importorskip("metalwright.runtime")
torch = pytest.importorskip("torch")

pytestmark = [pytest.mark.native, pytest.mark.torch]

HEADER = "#include <metal_stdlib>\nusing namespace metal;\n"

FULL = (
    "kernel void full(device float* out, constant float& val, uint idx [[thread_position_in_grid]])"
    " { out[idx] = val; }"
)


def test_the_example_of_torchs_documentation_runs():
    library = metalwright.compile_shader(FULL)
    x = torch.zeros(16)
    library.full(x, 3.14)
    assert torch.equal(x, torch.full((16,), 3.14))
    assert "full" in dir(library)


def test_ints_are_int64_and_floats_float32_unless_cast():
    library = metalwright.compile_shader(
        HEADER
        + """
kernel void plain(device long* o, constant long& i, constant long* v) { o[0] = i; o[1] = v[1]; }
kernel void narrow(device float* o, constant half& h, constant int* v, constant char& c)
{ o[0] = h; o[1] = v[1]; o[2] = c; }
"""
    )
    integers = torch.zeros(2, dtype=torch.int64)
    library.plain(integers, 2**40, [1, -(2**41)], threads=1)
    assert integers.tolist() == [2**40, -(2**41)]
    floats = torch.zeros(3)
    library.narrow(floats, 1.5, (1, 7), -3, threads=1, arg_casts={1: "fp16", 2: "int32", 3: "int8"})
    assert floats.tolist() == [1.5, 7.0, -3.0]


def test_threads_and_group_size_mean_what_they_mean_to_torch():
    library = metalwright.compile_shader(
        HEADER
        + """
kernel void one(device uint* o, uint i [[thread_position_in_grid]],
                uint n [[threads_per_threadgroup]]) { o[i] = n; }
kernel void two(device uint* o, uint2 i [[thread_position_in_grid]],
                uint2 n [[threads_per_threadgroup]]) { o[i.y * 4 + i.x] = n.x * 10 + n.y; }
"""
    )
    out = torch.zeros(8, dtype=torch.uint32)
    library.one(out)
    assert out.tolist() == [8] * 8
    library.one(out, threads=8, group_size=4)
    assert out.tolist() == [4] * 8
    library.two(out, threads=[4, 2])
    assert out.tolist() == [11] * 8  # torch's default for more than one dimension
    library.two(out, threads=(4, 2), group_size=(2, 2))
    assert out.tolist() == [22] * 8
    with pytest.raises(metalwright.Error):
        library.two(out, threads=(4, 2), group_size=2)


def test_positions_are_buffer_indices():
    library = metalwright.compile_shader(
        "kernel void k(device float* a [[buffer(2)]], constant float& v [[buffer(0)]]){ a[0] = v; }"
    )
    out = torch.zeros(1)
    library.k(2.5, torch.zeros(1), out, threads=1)
    assert out.item() == 2.5


def test_torch_names_of_kernel_properties():
    kernel = metalwright.compile_shader(FULL).full
    assert kernel.thread_execution_width == 32
    assert kernel.max_threads_per_threadgroup == 1024
    assert kernel.static_thread_group_memory_length == 0


def test_a_failing_shader_is_a_syntax_error():
    with pytest.raises(SyntaxError, match="program_source:1:"):
        metalwright.compile_shader("kernel void k(")


def test_errors_that_a_kernel_reports_are_raised():
    library = metalwright.compile_shader(
        """#include <c10/metal/error.h>
kernel void k(device long* x, device c10::metal::ErrorMessages* errors,
              uint i [[thread_position_in_grid]]) {
  if (x[i] < 0) TORCH_REPORT_ERROR(errors, "index ", x[i], " is negative");
}"""
    )
    library.k(torch.arange(4), error_buf_idx=1)
    with pytest.raises(metalwright.DispatchError, match="index -7 is negative") as caught:
        library.k(torch.tensor([1, -7]), error_buf_idx=1)
    assert caught.value.code == "reported-by-kernel"
