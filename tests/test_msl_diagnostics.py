"""What the Metal compiler refuses, and how it says so."""

import pytest

metalwright = pytest.importorskip("metalwright.runtime")

pytestmark = pytest.mark.native

HEADER = "#include <metal_stdlib>\nusing namespace metal;\n"
GRID = "uint i [[thread_position_in_grid]]"


def errors_of(source: str, **options):
    with pytest.raises(metalwright.CompileError) as caught:
        metalwright.compile(source, **options)
    return [d for d in caught.value.diagnostics if str(d.severity) == "error"]


def test_a_diagnostic_has_all_its_parts_and_prints_as_apples_do():
    source = HEADER + f"kernel void f(device float* x, {GRID}) {{\n\tx[i] = foo(x[i]);\n}}\n"
    with pytest.raises(metalwright.CompileError) as caught:
        metalwright.compile(source)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.file == "program_source"
    assert (diagnostic.line, diagnostic.column) == (4, 9)
    assert diagnostic.message == "use of undeclared identifier 'foo'"
    assert diagnostic.source_line == "\tx[i] = foo(x[i]);"
    assert diagnostic.caret == "\t       ^"
    assert str(caught.value).startswith(
        "program_source:4:9: error: use of undeclared identifier 'foo'\n"
        "\tx[i] = foo(x[i]);\n\t       ^"
    )
    assert isinstance(caught.value, SyntaxError)
    assert caught.value.code == "compile-error"


def test_places_survive_the_rewriting_of_tokens():
    # Everything before the mistake on its line is rewritten to longer C++.
    line = (
        f"kernel void f(device float* x [[buffer(0)]], {GRID}) {{ half h = 1.5h; x[i] = wrong; }}"
    )
    (error,) = errors_of(HEADER + line)
    assert (error.line, error.column) == (3, line.index("wrong") + 1)


def test_macros_report_the_place_where_they_are_used():
    source = (
        HEADER
        + "#define BAD(x) (x + nothing)\n"
        + (f"kernel void f(device float* x, {GRID}) {{ x[i] = BAD(x[i]); }}")
    )
    (error,) = errors_of(source)
    assert error.line == 4
    assert "nothing" in error.message


REJECTED = {
    "pointer-without-space": (
        f"kernel void f(float* x, {GRID}) {{ x[i] = 1; }}",
        "pointer type must have explicit address space qualifier",
    ),
    "reference-without-space": (
        f"kernel void f(const float& x, device float* y, {GRID}) {{ y[i] = x; }}",
        "reference type must have explicit address space qualifier",
    ),
    "misspelt-attribute": (
        "kernel void f(device float* x, uint i [[thread_position_in_gird]]) { x[i] = 1; }",
        "unknown attribute 'thread_position_in_gird'; did you mean 'thread_position_in_grid'?",
    ),
    "unknown-attribute": (
        "kernel void f(device float* x [[qwertz]], uint i [[thread_position_in_grid]]) {}",
        "unknown attribute 'qwertz'",
    ),
    "duplicate-buffer": (
        "kernel void f(device float* x [[buffer(1)]], device float* y [[buffer(1)]]) {}",
        "buffer index 1 is used more than once",
    ),
    "buffer-index-too-large": (
        "kernel void f(device float* x [[buffer(31)]]) {}",
        "'buffer' attribute parameter is out of bounds: must be between 0 and 30",
    ),
    "too-many-buffers": (
        f"kernel void f({', '.join(f'device float* b{n}' for n in range(32))}) {{}}",
        "kernel has more than 31 buffer arguments",
    ),
    "kernel-returns-a-value": (
        "kernel int f(device float* x) { return 0; }",
        "kernel must have void return type",
    ),
    "built-in-of-wrong-type": (
        "kernel void f(device float* x, float i [[thread_position_in_grid]]) {}",
        "type 'float' is not valid for attribute 'thread_position_in_grid'",
    ),
    "built-ins-of-different-dimension": (
        "kernel void f(device float* x, uint i [[thread_position_in_grid]], "
        "uint2 t [[thread_position_in_threadgroup]]) {}",
        "they must have the same number of components",
    ),
    "argument-without-attribute": (
        "kernel void f(device float* x, uint i) {}",
        "invalid type 'uint'",
    ),
    "variable-outside-constant": (
        "int counter = 3;\nkernel void f(device int* x) { x[0] = counter; }",
        "program scope variable must reside in constant address space",
    ),
    "write-to-constant": (
        "kernel void f(constant float* x) { x[0] = 1; }",
        "read-only variable is not assignable",
    ),
    "device-for-threadgroup": (
        "void g(threadgroup float* p) { p[0] = 1; }\nkernel void f(device float* x) { g(x); }",
        "no matching function for call to 'g'",
    ),
    "device-to-threadgroup": (
        "kernel void f(device float* x) { threadgroup float* p = x; p[0] = 1; }",
        "cannot initialize a variable of type 'threadgroup float *'",
    ),
    "double": (
        "kernel void f(device float* x) { double d = 0; x[0] = d; }",
        "'double' is not supported in Metal",
    ),
    "vectors-of-different-type": (
        "kernel void f(device float4* x) { int4 v = x[0]; x[1].x = v.x; }",
        "no viable conversion",
    ),
    "standard-library-of-c++": (
        "kernel void f(device float* x) { x[0] = std::exp(x[1]); }",
        "use of undeclared identifier 'std'",
    ),
    "cuda": (
        "kernel void f(device float* x) { __syncthreads(); }",
        "use of undeclared identifier '__syncthreads'",
    ),
    "exceptions": ("kernel void f(device float* x) { throw 1; }", "exceptions disabled"),
    "a-file-of-the-system": ('#include "/etc/passwd"\n', "'/etc/passwd' file not found"),
    "out-of-the-include-folder": ("#include <../../../etc/passwd>\n", "file not found"),
    "recursion-around-a-barrier": (
        "void g(int n) { threadgroup_barrier(mem_flags::mem_none); if (n > 0) g(n - 1); }\n"
        "kernel void f(device int* x) { g(x[0]); }",
        "calls itself",
    ),
}


@pytest.mark.parametrize("name", REJECTED)
def test_rejected(name):
    source, message = REJECTED[name]
    found = errors_of(HEADER + source)
    assert any(message in error.message for error in found), [e.message for e in found]


def test_address_spaces_have_their_metal_names():
    source = "void g(threadgroup float* p) {}\nkernel void f(device float* x) { g(x); }"
    with pytest.raises(metalwright.CompileError) as caught:
        metalwright.compile(source)
    text = str(caught.value)
    assert "'device'" in text
    assert "'threadgroup'" in text
    assert "__global" not in text


def test_a_warning_does_not_stop_the_compiler():
    source = (
        HEADER
        + "#warning look here\n"
        + (f"kernel void f(device float* x, {GRID}) {{ x[i] = 1; }}")
    )
    (warning,) = metalwright.compile(source).warnings
    assert str(warning.severity) == "warning"
    assert (warning.line, warning.message) == (3, "look here")


def test_the_number_of_errors_is_bounded():
    source = "kernel void f() {\n" + "".join(f"  a{n} = 1;\n" for n in range(500)) + "}\n"
    found = errors_of(source)
    assert len(found) == 21
    assert found[-1].message == "too many errors emitted, stopping now"


@pytest.mark.parametrize(
    "expression",
    ["+".join(["1"] * 50_000), "(" * 5_000 + "1" + ")" * 5_000, "~" * 20_000 + "1"],
    ids=["sum", "parentheses", "signs"],
)
def test_deep_nesting_does_not_end_the_process(expression):
    source = f"kernel void f(device int* x) {{ x[0] = {expression}; }}"
    try:
        metalwright.compile(source)
    except metalwright.CompileError as error:
        assert "bracket nesting level" in str(error)  # noqa: PT017 - either outcome is right


@pytest.mark.parametrize(
    "source",
    [
        "kernel void f(device int* x, uint i [[\n#pragma METAL fp contract(off)\n]]) {}",
        "kernel void f(device int* x [[buffer(\n#pragma METAL fp contract(off)\n0)]]) {}",
        "struct S { int f(\n#pragma METAL fp contract(off)\n) const device { return 1; } };",
        "struct S { int f() const\n#pragma clang loop unroll(full)\n device { return 1; } };",
    ],
    ids=["name", "argument", "signature", "qualifier"],
)
def test_a_pragma_in_an_odd_place_is_an_error_and_nothing_worse(source):
    assert errors_of(source)


@pytest.mark.parametrize("names", [1, 60, 3_000])
@pytest.mark.parametrize("name", ["unknown", "is_same_v", "metal::enable_if_t"])
def test_template_arguments_that_take_for_ever_to_parse_are_refused(name, names):
    # Clang looks ahead from each name more than once: 60 of them would take for ever.
    source = "void helper() {}\nvoid f() { " + f"{name}<" * names + "1; }"
    found = errors_of(source)
    if names == 1:
        assert "nested too deeply" not in found[0].message
    else:
        assert [(error.line, error.message) for error in found] == [
            (2, "template argument lists are nested too deeply")
        ]
        assert source.splitlines()[1][: found[0].column - 1].count("<") == 16


def test_usual_chains_of_templates_add_up_to_no_limit():
    chains = "".join(f"box<box<box<box<int>>>> x{n};\n" for n in range(2_000))
    metalwright.compile(f"template <typename T> struct box {{ T t; }};\nvoid f() {{\n{chains}}}")


@pytest.mark.parametrize("version", ["2.3", "3.9", "5.0", "17"])
def test_unknown_language_versions_are_refused(version):
    with pytest.raises(metalwright.Error, match="no Metal language version") as caught:
        metalwright.compile("kernel void f() {}", language_version=version)
    assert caught.value.code == "unknown-language-version"


def test_a_macro_cannot_smuggle_in_lines():
    with pytest.raises(metalwright.Error) as caught:
        metalwright.compile("kernel void f() {}", macros={"A": "1\n#include </etc/passwd>"})
    assert caught.value.code == "bad-macro"


@pytest.mark.parametrize(
    "comment", ["//< half", "//!< x", "/**< y */", "///< z", "/*! @param q */"]
)
def test_comments_that_look_like_documentation(comment):
    metalwright.compile(f"{HEADER}kernel void f(device float* x) {{ {comment}\n x[0] = 1; }}")
