"""Grammar and rules that are Metal's own, seen in what kernels compute."""

import pytest

metalwright = pytest.importorskip("metalwright.runtime")
np = pytest.importorskip("numpy")

pytestmark = pytest.mark.native

HEADER = "#include <metal_stdlib>\nusing namespace metal;\n"


def run(
    source: str, count: int, *, kernel: str = "k", threads: int = 1, dtype=np.float32, **options
):
    out = np.zeros(count, dtype=dtype)
    library = metalwright.compile(HEADER + source, **options)
    library.kernel(kernel)(out, threads=threads)
    return out.tolist()


def test_literals_have_metals_types():
    source = """
    kernel void k(device float* out) {
      out[0] = sizeof(1.5); out[1] = sizeof(1.5h); out[2] = sizeof(1.0bf); out[3] = sizeof(1e-5);
      out[4] = 1.5h + 2h; out[5] = is_same_v<decltype(0.5), float>;
      out[6] = is_same_v<decltype(1.5h), half>; out[7] = is_same_v<decltype(1.0bf), bfloat>;
    }"""
    assert run(source, 8) == [4, 2, 2, 4, 3.5, 1, 1, 1]


def test_literals_are_float_in_templates():
    source = """
    template <typename T> T f(T x) { return 0.1 * x; }
    template <typename T> int size(T x) { return sizeof(0.1 * x); }
    kernel void k(device float* out) {
      out[0] = f(3.0f); out[1] = size(3.0f); out[2] = size(3.0h);
    }"""
    assert run(source, 3) == [float(np.float32(0.1) * np.float32(3)), 4, 4]


def test_threadgroup_variables_belong_to_the_group_wherever_they_are_declared():
    source = """
    template <typename T> T sum(T x, uint i) {
      threadgroup T shared[8];
      shared[i] = x;
      threadgroup_barrier(mem_flags::mem_threadgroup);
      T total = 0;
      for (int n = 0; n < 8; ++n) { total += shared[n]; }
      return total;
    }
    kernel void k(device float* out, uint i [[thread_position_in_threadgroup]]) {
      { threadgroup float scoped; scoped = 1; }
      threadgroup int other[8];
      other[i] = int(i);
      threadgroup_barrier(mem_flags::mem_threadgroup);
      threadgroup int* pointer = other;
      out[i] = sum(float(i), i) + pointer[7 - i];
    }"""
    assert run(source, 8, threads=8) == [28 + 7 - n for n in range(8)]


def test_functions_are_overloaded_by_address_space():
    source = """
    int space(device float* p) { return 1; }
    int space(constant float* p) { return 2; }
    int space(threadgroup float* p) { return 3; }
    int space(thread float* p) { return 4; }
    template <typename T> int generic(device T& p) { return 1; }
    template <typename T> int generic(threadgroup T& p) { return 3; }
    constant float table[2] = {1, 2};
    kernel void k(device float* out) {
      threadgroup float group[1]; float own = 0;
      out[0] = space(out); out[1] = space(table); out[2] = space(group); out[3] = space(&own);
      out[4] = generic(out[0]); out[5] = generic(group[0]);
    }"""
    assert run(source, 6) == [1, 2, 3, 4, 1, 3]


def test_members_qualified_by_address_space():
    source = """
    struct complex {
      float re, im;
      complex(float r) thread : re(r), im(0) {}
      complex(float r) threadgroup : re(r), im(0) {}
      float norm() const thread { return re * re + im * im; }
      float norm() const device { return re * re + im * im; }
      float norm() const constant { return re * re + im * im; }
      template <typename T> operator T() const thread { return T(re); }
      template <typename T> operator T() const device { return T(re); }
    };
    kernel void k(device float* out) {
      complex c(3); c.im = 4;
      device complex* d = (device complex*)(out + 2);
      out[2] = 1; out[3] = 2;
      out[0] = c.norm(); out[1] = d->norm() + float(c);
    }"""
    assert run(source, 4)[:2] == [25, 8]


def test_explicit_instantiation_with_host_names():
    source = """
    template <typename T, int N>
    [[kernel]] void fill(device T* out, uint i [[thread_position_in_grid]]) { out[i] = T(N); }
    template [[host_name("fill_five")]] [[kernel]] decltype(fill<float, 5>) fill<float, 5>;
    template [[host_name("fill_six")]] [[kernel]] void fill<float, 6>(device float*, uint);
    """
    assert metalwright.compile(HEADER + source).kernel_names == ("fill_five", "fill_six")
    assert run(source, 2, kernel="fill_five", threads=2) == [5, 5]
    assert run(source, 2, kernel="fill_six", threads=2) == [6, 6]


def test_buffer_indices_are_implied_by_order_around_explicit_ones():
    source = """
    kernel void k(device float* a, device float* b [[buffer(0)]], constant float& c,
                  threadgroup float* t, device float* d [[buffer(7)]]) {}"""
    arguments = metalwright.compile(source).kernel("k").arguments
    assert [(a.name, a.index) for a in arguments if str(a.kind) != "threadgroup_memory"] == [
        ("a", 1),
        ("b", 0),
        ("c", 2),
        ("d", 7),
    ] or {a.name: a.index for a in arguments} == {"a": 1, "b": 0, "c": 2, "t": 0, "d": 7}


def test_function_constants_at_program_scope():
    source = (
        HEADER
        + """
    constant int count [[function_constant(0)]];
    constant bool twice [[function_constant(1)]];
    constant int total = twice ? 2 * count : count;
    constant float table[3] = {1, 2, 3};
    kernel void k(device float* out, constant float* extra [[function_constant(twice)]]) {
      float sum = 0;
      for (int i = 0; i < count; ++i) sum += table[i];
      if (twice) sum += extra[0];
      out[0] = sum; out[1] = total;
    }"""
    )
    library = metalwright.compile(source)
    out = np.zeros(2, dtype=np.float32)
    extra = np.full(1, 100, dtype=np.float32)
    library.kernel("k", constants={"count": 3, "twice": False})(out, threads=1)
    assert out.tolist() == [6, 3]
    library.kernel("k", constants={0: 2, 1: True})(out, extra, threads=1)
    assert out.tolist() == [103, 4]
    with pytest.raises(metalwright.Error) as caught:
        library.kernel("k", constants={"count": 3})
    assert caught.value.code == "missing-function-constant"


@pytest.mark.parametrize(
    ("declaration", "read", "expected"),
    [
        ("constant float t = sin(0.5f);", "t", np.sin(np.float32(0.5))),
        ("constant float4 t = float4(1, 2, 3, 4).wzyx;", "t.y", 3),
        ("constant float2 t = normalize(float2(3, 4));", "t.x", 0.6),
        ("struct S { float v; S(float x) : v(2 * x) {} }; constant S t[2] = {1, 2};", "t[1].v", 4),
        ("constant float2x2 t = transpose(float2x2(1, 2, 3, 4));", "t[0][1]", 3),
        ("constant float3x3 t = float3x3(1, 2, 3, 4, 5, 6, 7, 8, 9) * 2;", "t[1][2]", 12),
    ],
)
def test_constants_at_program_scope_may_be_computed(declaration, read, expected):
    source = f"{declaration} kernel void k(device float* out) {{ out[0] = {read}; }}"
    for check in (False, True):
        assert run(source, 1, check=check) == [pytest.approx(expected, rel=1e-6)]


# The headers that the specification names; each is enough for what it declares.
HEADERS = {
    "metal_atomic": "atomic_fetch_add_explicit((device atomic_int*)a, 1, memory_order_relaxed)",
    "metal_common": "clamp(a[0], 0.0f, 1.0f)",
    "metal_compute": "(threadgroup_barrier(mem_flags::mem_threadgroup), 1)",
    "metal_geometric": "dot(float3(1), float3(2))",
    "metal_graphics": "1",
    "metal_integer": "popcount(7u)",
    "metal_limits": "numeric_limits<half>::max()",
    "metal_logging": "1",
    "metal_math": "exp(a[0])",
    "metal_matrix": "determinant(float2x2(1))",
    "metal_numeric": "numeric_limits<float>::digits",
    "metal_pack": "pack_float_to_unorm4x8(float4(1))",
    "metal_quadgroup": "quad_sum(a[0])",
    "metal_raytracing": "1",
    "metal_relational": "isnan(a[0])",
    "metal_simdgroup": "simd_sum(a[0])",
    "metal_simdgroup_matrix": "simdgroup_float8x8(1).thread_elements()[0]",
    "metal_stdlib": "exp(a[0])",
    "metal_texture": "int(access::read)",
    "metal_array": "array<float, 2>{1, 2}[1]",
    "metal_type_traits": "is_same<int, int>::value",
    "metal_types": "int8_t(1)",
    "metal_uniform": "1",
    "metal_visible_function_table": "1",
    "simd/simd.h": "1",
}


def test_each_header_alone_declares_what_it_is_named_for():
    for header, expression in HEADERS.items():
        source = f"#include <{header}>\nusing namespace metal;\n"
        source += f"kernel void k(device float* a) {{ a[0] = {expression}; }}"
        assert metalwright.compile(source).kernel_names == ("k",), header


def test_function_constants_may_be_vectors_and_called_constexpr():
    source = (
        HEADER
        + """
    static constant constexpr const float scale [[function_constant(4)]];
    constant float4 weights [[function_constant(5)]];
    constant uint3 shape [[function_constant(6)]];
    kernel void k(device float* out) {
      out[0] = scale * dot(weights, float4(1)); out[1] = shape.x + shape.y + shape.z;
    }"""
    )
    out = np.zeros(2, dtype=np.float32)
    constants = {"scale": 0.5, "weights": (1, 2, 3, 4), "shape": (5, 6, 7)}
    metalwright.compile(source).kernel("k", constants=constants)(out, threads=1)
    assert out.tolist() == [5, 18]


def test_macros_and_versions():
    source = """
    kernel void k(device float* out) {
      out[0] = __METAL_VERSION__; out[1] = VALUE; out[2] = __METAL__;
    }"""
    for version, number in {"2.4": 240, "3.0": 300, "3.2": 320, "4.0": 400}.items():
        assert run(source, 3, language_version=version, macros={"VALUE": 7}) == [number, 7, 1]


def test_kernels_and_templates_of_included_headers(tmp_path):
    (tmp_path / "kernels.h").write_text("""
    constant int step [[function_constant(3)]];
    kernel void own(device float* out) { out[0] = step; }""")
    (tmp_path / "templates.h").write_text("""
    namespace inner {
    template <typename T> kernel void fill(device T* out, uint i [[thread_position_in_grid]]) {
      out[i] = T(3);
    }
    template <typename T> T twice(T x) { return 2 * x; }
    }""")
    instances = """
    template [[host_name("fill_float")]] kernel void ::inner::fill<float>(device float*, uint);
    template [[host_name("fill_half")]] kernel void inner::fill<half>(device half*, uint);
    template float inner::twice(float);
    """
    folders = {"include_paths": [tmp_path]}
    of_templates = metalwright.compile('#include "templates.h"\n' + instances, **folders)
    assert of_templates.kernel_names == ("fill_float", "fill_half")
    out = np.zeros(3, np.float32)
    of_templates.fill_float(out, threads=3)
    assert out.tolist() == [3, 3, 3]
    both = '#include "kernels.h"\n#include "templates.h"\n' + instances
    library = metalwright.compile(both, **folders)
    assert library.kernel_names == ("own", "fill_float", "fill_half")
    library.kernel("own", {"step": 5})(out, threads=1)
    assert out.tolist() == [5, 3, 3]
    # What a header may not declare is found in it, whatever else is in the program.
    (tmp_path / "wrong.h").write_text("int counter;\n")
    with pytest.raises(metalwright.CompileError, match=r"wrong\.h:1:5: error: program scope"):
        metalwright.compile('#include "wrong.h"\nkernel void k() {}', **folders)


def test_recursion():
    source = """
    int fib(int n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
    kernel void k(device float* out, uint i [[thread_position_in_grid]]) {
      out[i] = fib(int(i));
    }"""
    assert run(source, 11, threads=11) == [0, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55]


def test_strings_lie_in_constant_memory():
    source = """
    int length(constant const char* text) { int n = 0; while (text[n] != 0) ++n; return n; }
    kernel void k(device float* out) {
      out[0] = length("four" "teen chars"); out[1] = length(__func__);
    }"""
    assert run(source, 2) == [14, 1]


def test_out_of_range_conversions_saturate():
    source = """
    kernel void k(device int* out) {
      volatile float big = 1e20f, nan = NAN, low = -5.0f;
      out[0] = int(big); out[1] = int(-big); out[2] = int(nan); out[3] = int(uint(low));
      out[4] = uchar(300.0f * (low + 6.0f)); }"""
    assert run(source, 5, dtype=np.int32) == [2**31 - 1, -(2**31), 0, 0, 255]


def test_math_mode_chooses_the_functions():
    source = (
        HEADER
        + """
    kernel void k(device float* x) { x[0] = exp(x[0]) + precise::exp(x[1]) + fast::exp(x[2]); }"""
    )
    safe = metalwright.compile(source).kernel("k").code("air")
    assert safe.count("call float @air.exp.f32") == 2
    assert safe.count("call float @air.fast_exp.f32") == 1
    fast = metalwright.compile(source, math_mode="fast").kernel("k").code("air")
    assert fast.count("@air.exp.f32(") >= 1
    assert fast.count("@air.fast_exp.f32(") > safe.count("@air.fast_exp.f32(")
    mixed = metalwright.compile(source, math_mode="safe", math_functions="fast")
    assert mixed.kernel("k").code("air").count("call float @air.exp.f32") == 1


def test_contraction_can_be_switched_off():
    source = "kernel void k(device float* x) {{ {pragma} x[0] = x[1] * x[2] + x[3]; }}"
    on = metalwright.compile(source.format(pragma="")).kernel("k").code("air")
    assert "llvm.fmuladd" in on
    off = metalwright.compile(source.format(pragma="\n#pragma METAL fp contract(off)\n"))
    assert "llvm.fmuladd" not in off.kernel("k").code("air")


def test_kernels_in_namespaces_have_qualified_names():
    source = "namespace a { namespace b { kernel void k(device float* x) { x[0] = 1; } } }"
    assert metalwright.compile(source).kernel_names == ("a::b::k",)


def test_a_kernel_may_have_any_name():
    for name in ("memcpy", "exp", "k1", "air"):
        out = np.zeros(1, dtype=np.float32)
        library = metalwright.compile(f"kernel void {name}(device float* x) {{ x[0] = 3; }}")
        library.kernel(name)(out, threads=1)
        assert out[0] == 3
