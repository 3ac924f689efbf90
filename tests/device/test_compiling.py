"""Compiling: diagnostics, reflection, macros, function constants, includes, on every device."""

import pytest

metalwright = pytest.importorskip("metalwright.runtime")
np = pytest.importorskip("numpy")

pytestmark = pytest.mark.native

HEADER = "#include <metal_stdlib>\nusing namespace metal;\n"


def value_of(kernel, **keywords) -> float:
    """What a kernel `void k(device float* out)` writes."""
    out = np.zeros(1, dtype=np.float32)
    kernel(out, threads=1, **keywords)
    return float(out[0])


def test_a_kernel_has_reflection():
    source = (
        HEADER
        + """
struct Params { uint n; float4 scale; };
[[max_total_threads_per_threadgroup(256)]]
kernel void k(device const half* x [[buffer(3)]], constant Params& p, device atomic_int* count,
              threadgroup float* scratch [[threadgroup(1)]]) {
  threadgroup float local[16];
  local[p.n % 16] = x[0];
  scratch[0] = local[0];
  atomic_fetch_add_explicit(count, int(scratch[0]), memory_order_relaxed);
}"""
    )
    kernel = metalwright.compile(source).k
    assert kernel.name == "k"
    assert kernel.thread_execution_width == 32
    assert kernel.max_threads_per_threadgroup == 256
    assert kernel.static_threadgroup_memory >= 64
    arguments = {a.name: a for a in kernel.arguments}
    x, p, scratch = arguments["x"], arguments["p"], arguments["scratch"]
    assert (x.index, x.type_name, x.size, x.alignment) == (3, "half", 2, 2)
    assert (x.kind, x.address_space, x.access) == ("buffer", "device", "read")
    assert (p.address_space, p.is_reference, p.size, p.alignment) == ("constant", True, 32, 16)
    assert (scratch.kind, scratch.index) == ("threadgroup_memory", 1)
    assert arguments["count"].access == "read_write"
    assert "device const half* x [[buffer(3)]]" in repr(kernel)


def test_a_compile_error_carries_its_diagnostics():
    with pytest.raises(SyntaxError) as caught:
        metalwright.compile("kernel void k(device float* x) {\n  x[0] = undeclared;\n}\n")
    error = caught.value
    assert isinstance(error, metalwright.CompileError)
    assert error.code == "compile-error"
    (diagnostic,) = [d for d in error.diagnostics if d.severity == "error"]
    assert (diagnostic.line, diagnostic.column) == (2, 10)
    assert "undeclared" in diagnostic.message
    assert diagnostic.source_line == "  x[0] = undeclared;"
    assert diagnostic.caret.index("^") == 9
    assert str(error).startswith("program_source:2:10: error: ")


def test_the_file_name_appears_in_diagnostics():
    with pytest.raises(metalwright.CompileError, match=r"^mine\.metal:1:"):
        metalwright.compile("nonsense", file_name="mine.metal")


def test_macros_are_defined():
    source = "kernel void k(device float* x) { x[0] = VALUE; \n#ifndef EMPTY\n#error\n#endif\n}"
    library = metalwright.compile(source, macros={"VALUE": 7, "EMPTY": None})
    assert value_of(library.k) == 7
    assert value_of(metalwright.compile(source, macros={"VALUE": True, "EMPTY": ""}).k) == 1


CONSTANTS = (
    HEADER
    + """
constant int n [[function_constant(0)]];
constant bool negative [[function_constant(1)]];
kernel void k(device float* x) { x[0] = negative ? -n : n; }
"""
)


def test_function_constants_specialise_by_index_and_by_name():
    library = metalwright.compile(CONSTANTS)
    assert [(c.index, c.name, c.type_name) for c in library.function_constants] == [
        (0, "n", "int"),
        (1, "negative", "bool"),
    ]
    assert value_of(library.kernel("k", {0: 5, 1: False})) == 5
    assert value_of(library.kernel("k", {"n": 6, "negative": True})) == -6
    preset = metalwright.compile(CONSTANTS, constants={"n": 7, "negative": False})
    assert value_of(preset.k) == 7
    assert value_of(preset.kernel("k", {"negative": True})) == -7
    assert preset.kernel("k", {"n": 9}) is preset.kernel("k", {"n": 9})


def test_a_missing_function_constant_is_an_error():
    with pytest.raises(metalwright.Error) as caught:
        metalwright.compile(CONSTANTS).kernel("k", {"n": 1})
    assert caught.value.code == "missing-function-constant"


def test_an_argument_that_a_function_constant_switches_off_can_be_left_out():
    source = (
        HEADER
        + """
constant bool biased [[function_constant(0)]];
kernel void k(device const float* x, device const float* bias [[function_constant(biased)]],
              device float* out, uint i [[thread_position_in_grid]]) {
  out[i] = biased ? x[i] + bias[i] : x[i];
}"""
    )
    library = metalwright.compile(source)
    x, out = np.ones(4, np.float32), np.zeros(4, np.float32)
    library.kernel("k", {0: True})(x, x, out)
    assert out.tolist() == [2.0] * 4
    plain = library.kernel("k", {0: False})
    for arguments in ((x, out), (x, None, out)):
        out[:] = 0
        plain(*arguments)
        assert out.tolist() == [1.0] * 4


def test_headers_are_found_in_include_paths(tmp_path):
    (tmp_path / "value.h").write_text("#pragma once\nconstant float value = 3;\n")
    source = '#include "value.h"\nkernel void k(device float* x) { x[0] = value; }'
    assert value_of(metalwright.compile(source, include_paths=[tmp_path]).k) == 3


def test_a_missing_header_is_a_diagnostic():
    with pytest.raises(metalwright.CompileError, match=r"'nowhere\.h' file not found"):
        metalwright.compile('#include "nowhere.h"\n')


@pytest.mark.torch
def test_torch_headers_are_found_without_naming_them():
    pytest.importorskip("torch")
    source = (
        "#include <c10/metal/utils.h>\n"
        "kernel void k(device float* x) { x[0] = c10::metal::max(x[0], 4.0f); }"
    )
    assert value_of(metalwright.compile(source).k) == 4
