"""Every class of program that Apple's compiler rejects and a C++ compiler would not.

One table: what is wrong, the message, the program, and a near miss that must compile. `KERNEL`
stands for a kernel's beginning, up to its body.
"""

from typing import NamedTuple

import pytest

metalwright = pytest.importorskip("metalwright.runtime")

pytestmark = pytest.mark.native

HEADER = "#include <metal_stdlib>\nusing namespace metal;\n"
KERNEL = "kernel void f(device float* a, constant float* c, uint i [[thread_position_in_grid]]) "


class Rejection(NamedTuple):
    """A class of wrong programs."""

    name: str
    message: str  # contained in the first error
    wrong: str
    right: str


POINTER = "pointer type must have explicit address space qualifier"
REFERENCE = "reference type must have explicit address space qualifier"
SPACES = "address spaces do not mix"
GLOBAL = "program scope variable must reside in constant address space"
UNSUPPORTED = "is not supported in Metal"

REJECTIONS = [
    # ---- pointers and references without an address space
    Rejection(
        "pointer argument of a kernel",
        POINTER,
        "kernel void f(float* a) { a[0] = 1; }",
        "kernel void f(device float* a) { a[0] = 1; }",
    ),
    Rejection(
        "reference argument of a kernel",
        REFERENCE,
        "struct P { int n; }; kernel void f(device float* a, const P& p) { a[0] = p.n; }",
        "struct P { int n; }; kernel void f(device float* a, constant P& p) { a[0] = p.n; }",
    ),
    Rejection(
        "pointer argument of a function",
        POINTER,
        f"void g(float* p) {{ *p = 1; }} {KERNEL} {{ float x; g(&x); a[i] = x; }}",
        f"void g(thread float* p) {{ *p = 1; }} {KERNEL} {{ float x; g(&x); a[i] = x; }}",
    ),
    Rejection(
        "reference argument of a function",
        REFERENCE,
        f"float g(const float& x) {{ return x; }} {KERNEL} {{ a[i] = g(2.0f); }}",
        f"float g(const thread float& x) {{ return x; }} {KERNEL} {{ a[i] = g(2.0f); }}",
    ),
    Rejection(
        "pointer argument of a function template",
        POINTER,
        f"template <typename T> void g(T* p) {{ *p = 1; }} {KERNEL} {{ g(a); }}",
        f"template <typename T> void g(device T* p) {{ *p = 1; }} {KERNEL} {{ g(a); }}",
    ),
    Rejection(
        "local pointer",
        POINTER,
        KERNEL + "{ float x[4] = {}; float* p = x; a[i] = p[1]; }",
        KERNEL + "{ float x[4] = {}; thread float *p = x, *q = p; auto r = q; a[i] = r[1]; }",
    ),
    Rejection(
        "local reference",
        REFERENCE,
        KERNEL + "{ float x = 1; float& y = x; a[i] = y; }",
        KERNEL + "{ float x = 1; thread float& y = x; auto& z = y; a[i] = z; }",
    ),
    Rejection(
        "member of a structure",
        POINTER,
        f"struct S {{ float* p; }}; {KERNEL} {{ S s; a[i] = *s.p; }}",
        f"struct S {{ device float* p; }}; {KERNEL} {{ S s; s.p = a; a[i] = *s.p; }}",
    ),
    Rejection(
        "result of a function",
        POINTER,
        f"float* g(thread float* p) {{ return p; }} {KERNEL} {{ float x; a[i] = *g(&x); }}",
        f"thread float* g(thread float* p) {{ return p; }} {KERNEL} {{ float x; a[i] = *g(&x); }}",
    ),
    Rejection(
        "pointer to a pointer",
        POINTER,
        KERNEL + "{ device float** p; }",
        KERNEL + "{ device float* thread* p = &a; a[i] = **p; }",
    ),
    Rejection(
        "reference to an array",
        REFERENCE,
        f"float g(float (&x)[4]) {{ return x[0]; }} {KERNEL} {{ float x[4] = {{}}; a[i] = g(x); }}",
        "float g(thread float (&x)[4]) { return x[0]; } "
        + KERNEL
        + "{ float x[4] = {}; a[i] = g(x); }",
    ),
    # ---- conversions between address spaces
    Rejection(
        "initialisation from another address space",
        "cannot initialize a variable of type 'constant float *'",
        KERNEL + "{ constant float* p = a; }",
        KERNEL + "{ constant float* p = c; const device float* q = a; a[i] = *p + *q; }",
    ),
    Rejection(
        "a thread pointer from device memory",
        SPACES,
        KERNEL + "{ thread float* p = a; p[0] = 1; }",
        KERNEL + "{ float x = a[i]; thread float* p = &x; p[0] = 1; a[i] = x; }",
    ),
    Rejection(
        "a thread reference to device memory",
        SPACES,
        f"void g(thread float& x) {{ x = 1; }} {KERNEL} {{ g(a[i]); }}",
        f"void g(device float& x) {{ x = 1; }} {KERNEL} {{ g(a[i]); }}",
    ),
    Rejection(
        "a thread reference to a structure in constant memory",
        SPACES,
        "struct P { int n; }; int g(const thread P& p) { return p.n; }"
        "kernel void f(device int* a, constant P& p) { a[0] = g(p); }",
        "struct P { int n; int get() const { return n; } }; int g(P p) { return p.get(); }"
        "kernel void f(device int* a, constant P& p) { a[0] = g(p) + p.get(); }",
    ),
    Rejection(
        "an argument in another address space",
        "no matching function for call to 'g'",
        f"void g(threadgroup float* p) {{}} {KERNEL} {{ g(a); }}",
        "void g(threadgroup float* p) {} void g(device float* p) {}" + KERNEL + "{ g(a); }",
    ),
    Rejection(
        "assignment from another address space",
        "assigning 'constant float *' to 'device float *' changes address space of pointer",
        KERNEL + "{ a = c; }",
        KERNEL + "{ a = a + 1; c = c + 1; }",
    ),
    Rejection(
        "assignment to a member from another address space",
        "assigning 'constant float *' to 'device float *' changes address space of pointer",
        f"struct S {{ device float* p; }}; {KERNEL} {{ S s; s.p = c; }}",
        f"struct S {{ constant float* p; }}; {KERNEL} {{ S s; s.p = c; }}",
    ),
    Rejection(
        "result in another address space",
        "cannot initialize return object of type 'constant float *'",
        f"constant float* g(device float* p) {{ return p; }} {KERNEL} {{ }}",
        f"device float* g(device float* p) {{ return p; }} {KERNEL} {{ g(a); }}",
    ),
    Rejection(
        "C-style cast to another address space",
        "converts between mismatching address spaces",
        KERNEL + "{ threadgroup float* p = (threadgroup float*)a; }",
        KERNEL + "{ device int* p = (device int*)a; *p = 1; }",
    ),
    Rejection(
        "cast of a local variable's address to device memory",
        SPACES,
        KERNEL + "{ float x; device float* p = (device float*)&x; }",
        KERNEL + "{ float x; thread int* p = (thread int*)&x; *p = 1; a[i] = x; }",
    ),
    Rejection(
        "reinterpret_cast to another address space",
        "reinterpret_cast from 'device float *' to 'threadgroup float *' is not allowed",
        KERNEL + "{ auto p = reinterpret_cast<threadgroup float*>(a); }",
        KERNEL + "{ auto p = reinterpret_cast<device uint*>(a); p[0] = 1; }",
    ),
    Rejection(
        "member of device objects on a local one",
        "cannot initialize object parameter of type 'const device S'",
        "struct S { float v; float get() const device { return v; } };"
        + KERNEL
        + "{ S s; s.v = 1; a[i] = s.get(); }",
        "struct S { float v; float get() const device { return v; } };"
        "kernel void f(device float* a, device S* s) { a[0] = s->get(); }",
    ),
    Rejection(
        "member of local objects on one in device memory",
        "method 'get' expects object in address space 'thread'",
        "struct S { float v; float get() const thread { return v; } };"
        "kernel void f(device float* a, device S* s) { a[0] = s->get(); }",
        "struct S { float v; float get() const thread { return v; } };"
        "kernel void f(device float* a, device S* s) { S own = *s; a[0] = own.get(); }",
    ),
    Rejection(
        "operator of local objects on one in constant memory",
        "method 'operator float' expects object in address space 'thread'",
        "struct S { float v; operator float() const thread { return v; } };"
        "kernel void f(device float* a, constant S& s) { a[0] = s; }",
        "struct S { float v; operator float() const { return v; } };"
        "kernel void f(device float* a, constant S& s) { a[0] = s; }",
    ),
    Rejection(
        "member of device objects on one in constant memory",
        "no matching member function for call to 'get'",
        "struct S { float v; float get() const device { return v; }"
        " float get() const threadgroup { return v; } };"
        "kernel void f(device float* a, constant S& s) { a[0] = s.get(); }",
        "struct S { float v; float get() const device { return v; }"
        " float get() const { return v; } };"
        "kernel void f(device float* a, constant S& s) { a[0] = s.get(); }",
    ),
    Rejection(
        "constructor of device objects for a local one",
        "no matching constructor for initialization of 'S'",
        "struct S { float v; S(float x) device : v(x) {} };" + KERNEL + "{ S s(1); a[i] = s.v; }",
        "struct S { float v; S(float x) device : v(x) {} S(float x) thread : v(x) {} };"
        + KERNEL
        + "{ S s(1); a[i] = s.v; }",
    ),
    # ---- where variables live
    Rejection(
        "member in threadgroup memory",
        "field may not be qualified with an address space",
        "struct S { threadgroup float x; };" + KERNEL + "{ threadgroup S s; a[i] = s.x; }",
        "struct S { float x; threadgroup float* p; };"
        + KERNEL
        + "{ threadgroup S s[2]; s[i & 1].x = 1; a[i] = s[0].x; }",
    ),
    Rejection(
        "variable at program scope",
        GLOBAL,
        f"float k = 1; {KERNEL} {{ a[i] = k; }}",
        f"constant float k = 1; {KERNEL} {{ a[i] = k; }}",
    ),
    Rejection(
        "const variable at program scope",
        GLOBAL,
        f"const float k = 1; {KERNEL} {{ a[i] = k; }}",
        f"constexpr constant float k = 1; {KERNEL} {{ a[i] = k; }}",
    ),
    Rejection(
        "static variable at program scope",
        GLOBAL,
        f"static int k; {KERNEL} {{ k = 1; }}",
        f"static constant int k = 3; {KERNEL} {{ a[i] = k; }}",
    ),
    Rejection(
        "threadgroup variable at program scope",
        GLOBAL,
        f"threadgroup float k[4]; {KERNEL} {{ }}",
        KERNEL + "{ threadgroup float k[4]; k[i & 3] = 1; }",
    ),
    Rejection(
        "constant without initialiser",
        "default initialization of an object of const type",
        f"constant float k; {KERNEL} {{ a[i] = k; }}",
        f"constant float k [[function_constant(0)]]; {KERNEL} {{ a[i] = k; }}",
    ),
    Rejection(
        "constant declared and not defined",
        "undefined symbol 'k'",
        f"extern constant float k; {KERNEL} {{ a[i] = k; }}",
        f"extern constant float unused; constant float k = 2; {KERNEL} {{ a[i] = k; }}",
    ),
    Rejection(
        "constant variable of a function with a computed value",
        "must be initialized with a compile-time constant",
        KERNEL + "{ constant float k = c[0]; a[i] = k; }",
        KERNEL
        + "{ constant float k[2] = {1, 2 * M_PI_F}; const float x = c[0]; a[i] = k[0] * x; }",
    ),
    Rejection(
        "static variable in a function",
        "must reside in constant address space",
        KERNEL + "{ static int n = 0; a[i] = n++; }",
        KERNEL + "{ static constant int n = 2; a[i] = n; }",
    ),
    Rejection(
        "local variable in device memory",
        "qualified with an address space",
        KERNEL + "{ device float x; }",
        KERNEL + "{ thread float x = 1; a[i] = x; }",
    ),
    Rejection(
        "initialised threadgroup array",
        "cannot have an initializer",
        KERNEL + "{ threadgroup float t[2] = {1, 2}; a[i] = t[0]; }",
        KERNEL + "{ threadgroup float t[2]; t[i & 1] = 1; a[i] = t[0]; }",
    ),
    Rejection(
        "initialised threadgroup variable",
        "cannot have an initializer",
        KERNEL + "{ threadgroup float t = 0; a[i] = t; }",
        "struct Pair { float x = 0, y = 0; };"
        + KERNEL
        + "{ threadgroup Pair t[2]; t[i & 1].x = 1; a[i] = t[0].x; }",
    ),
    # ---- constant memory
    Rejection(
        "writing through a constant pointer",
        "read-only variable is not assignable",
        KERNEL + "{ c[i] = 1; }",
        KERNEL + "{ a[i] = c[i]; }",
    ),
    Rejection(
        "writing to a constant table",
        "cannot assign to variable 't'",
        f"constant float t[2] = {{1, 2}}; {KERNEL} {{ t[0] = 1; }}",
        f"constant float t[2] = {{1, 2}}; {KERNEL} {{ a[i] = t[0]; }}",
    ),
    # ---- kernels and their arguments
    Rejection(
        "kernel with a result",
        "kernel must have void return type",
        "kernel int f(device float* a) { return 1; }",
        "kernel void f(device float* a) { return; }",
    ),
    Rejection(
        "kernels of one name",
        "duplicate kernel name 'f'",
        "kernel void f(device float* a) {} kernel void f(device int* a) {}",
        "kernel void f(device float* a) {} void f(device int* a) {}",
    ),
    Rejection(
        "templates of one host name",
        "duplicate kernel name 'x'",
        "template <typename T> kernel void f(device T* a) {}"
        'template [[host_name("x")]] kernel void f<float>(device float*);'
        'template [[host_name("x")]] kernel void f<int>(device int*);',
        "template <typename T> kernel void f(device T* a) {}"
        'template [[host_name("x")]] kernel void f<float>(device float*);'
        'template [[host_name("y")]] kernel void f<int>(device int*);',
    ),
    Rejection(
        "unknown attribute",
        "unknown attribute 'bufer'; did you mean 'buffer'?",
        "kernel void f(device float* a [[bufer(0)]]) {}",
        "kernel void f(device float* a [[buffer(0)]]) {}",
    ),
    Rejection(
        "built-in attribute on a buffer",
        "is not valid for attribute",
        "kernel void f(device float* a [[thread_position_in_grid]]) {}",
        "kernel void f(device float* a, uint a2 [[thread_position_in_grid]]) {}",
    ),
    Rejection(
        "buffer attribute on a number",
        "invalid type 'uint'",
        "kernel void f(uint n [[buffer(0)]]) {}",
        "kernel void f(constant uint& n [[buffer(0)]]) {}",
    ),
    Rejection(
        "number without attribute",
        "invalid type 'uint'",
        "kernel void f(device float* a, uint i) {}",
        "kernel void f(device float* a, uint i [[thread_index_in_threadgroup]]) {}",
    ),
    Rejection(
        "structure by value",
        "invalid type 'P'",
        "struct P { int n; }; kernel void f(device float* a, P p) {}",
        "struct P { int n; }; kernel void f(device float* a, constant P& p) {}",
    ),
    Rejection(
        "buffer index twice",
        "buffer index 0 is used more than once",
        "kernel void f(device float* a [[buffer(0)]], device float* b [[buffer(0)]]) {}",
        "kernel void f(device float* a [[buffer(1)]], device float* b [[buffer(0)]]) {}",
    ),
    Rejection(
        "buffer index over 30",
        "out of bounds: must be between 0 and 30",
        "kernel void f(device float* a [[buffer(31)]]) {}",
        "kernel void f(device float* a [[buffer(30)]]) {}",
    ),
    Rejection(
        "threadgroup index over 30",
        "out of bounds: must be between 0 and 30",
        "kernel void f(threadgroup float* a [[threadgroup(31)]]) {}",
        "kernel void f(threadgroup float* a [[threadgroup(30)]]) {}",
    ),
    Rejection(
        "built-in of a floating type",
        "type 'float' is not valid for attribute",
        "kernel void f(device float* a, float i [[thread_position_in_grid]]) {}",
        "kernel void f(device float* a, ushort i [[thread_position_in_grid]]) {}",
    ),
    Rejection(
        "built-in of a signed type",
        "type 'int' is not valid for attribute",
        "kernel void f(device float* a, int i [[thread_position_in_grid]]) {}",
        "kernel void f(device float* a, uint3 i [[thread_position_in_grid]]) {}",
    ),
    Rejection(
        "positions of different dimension",
        "must have the same number of components",
        "kernel void f(device float* a, uint2 i [[thread_position_in_grid]],"
        " uint3 j [[thread_position_in_threadgroup]]) {}",
        "kernel void f(device float* a, uint2 i [[thread_position_in_grid]],"
        " uint2 j [[thread_position_in_threadgroup]]) {}",
    ),
    Rejection(
        "threadgroup of no threads",
        "requires a positive integer constant",
        "[[max_total_threads_per_threadgroup(0)]] kernel void f(device float* a) {}",
        "[[max_total_threads_per_threadgroup(64)]] kernel void f(device float* a) {}",
    ),
    Rejection(
        "function constant of a structure type",
        "it must be a scalar or a vector",
        "struct S { int a; }; constant S k [[function_constant(0)]];" + KERNEL + "{}",
        "constant float4 k [[function_constant(0)]]; constant bool unused "
        "[[function_constant(1)]];" + KERNEL + "{ a[i] = k.x; }",
    ),
    Rejection(
        "function constant index twice",
        "function constant index 0 is already used by 'k'",
        "constant int k [[function_constant(0)]]; constant int l [[function_constant(0)]];"
        + KERNEL
        + "{}",
        "constant int k [[function_constant(0)]]; constant int l [[function_constant(1)]];"
        + KERNEL
        + "{ a[i] = k + l; }",
    ),
    Rejection(
        "function constant index too large",
        "requires an index between 0 and 65535",
        f"constant int k [[function_constant(65536)]]; {KERNEL} {{}}",
        f"constant int k [[function_constant(65535)]]; {KERNEL} {{ a[i] = k; }}",
    ),
    # ---- what Metal leaves out of C++
    Rejection(
        "integer of 128 bits",
        "'__int128' is not supported in Metal",
        KERNEL + "{ __int128 x = 1; a[i] = x; }",
        KERNEL + "{ long x = 1; a[i] = x; }",
    ),
    Rejection(
        "complex number",
        "'_Complex' is not supported in Metal",
        KERNEL + "{ _Complex float x; }",
        KERNEL + "{ float2 x(1); a[i] = x.x; }",
    ),
    Rejection(
        "double",
        f"'double' {UNSUPPORTED}",
        KERNEL + "{ double d = 1; a[i] = d; }",
        KERNEL + "{ a[i] = 1.0; }",
    ),
    Rejection(
        "long double",
        f"'double' {UNSUPPORTED}",
        KERNEL + "{ long double d = 1; }",
        KERNEL + "{ long d = 1; a[i] = d; }",
    ),
    Rejection(
        "virtual functions",
        f"'virtual' {UNSUPPORTED}",
        f"struct S {{ virtual void g() {{}} }}; {KERNEL} {{ S s; }}",
        f"struct S {{ void g() {{}} }}; {KERNEL} {{ S s; s.g(); }}",
    ),
    Rejection(
        "throw",
        "cannot use 'throw' with exceptions disabled",
        KERNEL + "{ throw 1; }",
        KERNEL + "{ return; }",
    ),
    Rejection(
        "try",
        "cannot use 'try' with exceptions disabled",
        KERNEL + "{ try { } catch (...) { } }",
        KERNEL + "{ { } }",
    ),
    Rejection(
        "typeid",
        f"'typeid' {UNSUPPORTED}",
        KERNEL + "{ typeid(a); }",
        KERNEL + "{ a[i] = is_same_v<float, int>; }",
    ),
    Rejection(
        "dynamic_cast",
        f"'dynamic_cast' {UNSUPPORTED}",
        f"struct S {{}}; {KERNEL} {{ thread S* s; dynamic_cast<thread S*>(s); }}",
        f"struct S {{}}; {KERNEL} {{ S o; thread S* s = &o; static_cast<thread S*>(s); }}",
    ),
    Rejection(
        "new",
        f"'new' {UNSUPPORTED}",
        KERNEL + "{ thread float* p = new float; }",
        KERNEL + "{ float x; thread float* p = &x; *p = 1; a[i] = x; }",
    ),
    Rejection(
        "delete",
        f"'delete' {UNSUPPORTED}",
        KERNEL + "{ thread float* p = nullptr; delete p; }",
        f"struct S {{ S(int) {{}} S() = delete; }}; {KERNEL} {{ S s(1); }}",
    ),
    Rejection(
        "thread_local",
        f"'thread_local' {UNSUPPORTED}",
        f"thread_local int n; {KERNEL} {{}}",
        KERNEL + "{ thread int n = 1; a[i] = n; }",
    ),
    Rejection(
        "array of variable length",
        "variable length arrays are not supported",
        KERNEL + "{ float t[i]; a[i] = t[0]; }",
        KERNEL + "{ constexpr int n = 3; float t[n] = {}; a[i] = t[i % n]; }",
    ),
    Rejection(
        "variadic function",
        "variadic functions are not supported",
        f"void g(int n, ...) {{}} {KERNEL} {{}}",
        "template <typename... T> int g(T... x) { return sizeof...(x); }"
        + KERNEL
        + "{ a[i] = g(1, 2); }",
    ),
    Rejection(
        "inline assembly",
        "inline assembly is not supported",
        KERNEL + '{ asm("nop"); }',
        KERNEL + "{ }",
    ),
    Rejection(
        "assembly at program scope",
        "inline assembly is not supported",
        f'asm("nop"); {KERNEL} {{}}',
        KERNEL + "{ }",
    ),
    # ---- other languages' libraries
    Rejection(
        "std",
        "use of undeclared identifier 'std'",
        KERNEL + "{ a[i] = std::sqrt(2.0f); }",
        KERNEL + "{ a[i] = metal::sqrt(2.0f); }",
    ),
    Rejection(
        "a header of C++",
        "'vector' file not found",
        f"#include <vector>\n{KERNEL} {{}}",
        f"#include <metal_math>\n{KERNEL} {{}}",
    ),
    Rejection(
        "printf",
        "use of undeclared identifier 'printf'",
        KERNEL + '{ printf("x"); }',
        KERNEL + "{ }",
    ),
    Rejection(
        "__syncthreads",
        "use of undeclared identifier '__syncthreads'",
        KERNEL + "{ __syncthreads(); }",
        KERNEL + "{ threadgroup_barrier(mem_flags::mem_threadgroup); }",
    ),
    Rejection(
        "threadIdx",
        "use of undeclared identifier 'threadIdx'",
        KERNEL + "{ a[threadIdx.x] = 1; }",
        KERNEL + "{ a[i] = 1; }",
    ),
    Rejection(
        "get_global_id",
        "use of undeclared identifier 'get_global_id'",
        KERNEL + "{ a[get_global_id(0)] = 1; }",
        KERNEL + "{ a[i] = 1; }",
    ),
    # ---- conversions of vectors
    Rejection(
        "vector of another size",
        "no viable conversion",
        "kernel void f(device float4* a) { float3 b = a[0]; }",
        "kernel void f(device float4* a) { float3 b = a[0].xyz; a[0].x = b.x; }",
    ),
    Rejection(
        "vector of another type",
        "no viable conversion",
        "kernel void f(device float4* a) { int4 b = a[0]; }",
        "kernel void f(device float4* a) { int4 b = int4(a[0]); a[0] = float4(b); }",
    ),
    Rejection(
        "vector of another signedness",
        "no viable conversion",
        "kernel void f(device uint4* a) { int4 b = a[0]; }",
        "kernel void f(device uint4* a) { int4 b = int4(a[0]); a[0].x = b.x; }",
    ),
    Rejection(
        "vector as a condition",
        "not contextually convertible to 'bool'",
        "kernel void f(device float4* a) { if (a[0] > 0) a[0] = 1; }",
        "kernel void f(device float4* a) { if (all(a[0] > 0)) a[0] = 1; }",
    ),
    Rejection(
        "half from bfloat",
        "from incompatible type 'device bfloat'",
        "kernel void f(device half* a, device bfloat* b) { a[0] = b[0]; }",
        "kernel void f(device half* a, device bfloat* b)"
        " { a[0] = half(b[0]) + (half)b[1] + static_cast<half>(b[2]); }",
    ),
    # ---- textures
    Rejection(
        "writing to a texture that is read",
        "this texture's access does not allow write()",
        "kernel void f(texture2d<float, access::read> t) { t.write(float4(0), uint2(0)); }",
        "kernel void f(texture2d<float, access::write> t) { t.write(float4(0), uint2(0)); }",
    ),
    Rejection(
        "reading a texture that is written",
        "this texture's access does not allow read()",
        "kernel void f(texture2d<float, access::write> t, device float4* a) "
        "{ a[0] = t.read(uint2(0)); }",
        "kernel void f(texture2d<float, access::read_write> t, device float4* a) "
        "{ a[0] = t.read(uint2(0)); }",
    ),
    Rejection(
        "sampling a texture that is read",
        "this texture's access does not allow sample() and gather()",
        "kernel void f(texture2d<float, access::read> t, sampler s, device float4* a) "
        "{ a[0] = t.sample(s, float2(0)); }",
        "kernel void f(texture2d<float, access::sample> t, sampler s, device float4* a) "
        "{ a[0] = t.sample(s, float2(0)) + t.read(uint2(0)); }",
    ),
    Rejection(
        "texture with components of no pixel format",
        "a texture's components are half, float, short, ushort, int or uint",
        "kernel void f(texture2d<bool> t, device uint* a) { a[0] = t.read(uint2(0)).x; }",
        "kernel void f(texture2d<ushort> t, device uint* a) { a[0] = t.read(uint2(0)).x; }",
    ),
    Rejection(
        "texture index out of bounds",
        "'texture' attribute parameter is out of bounds: must be between 0 and 127",
        "kernel void f(texture2d<float> t [[texture(128)]]) {}",
        "kernel void f(texture2d<float> t [[texture(127)]]) {}",
    ),
    Rejection(
        "sampler index out of bounds",
        "'sampler' attribute parameter is out of bounds: must be between 0 and 15",
        "kernel void f(sampler s [[sampler(16)]]) {}",
        "kernel void f(sampler s [[sampler(15)]]) {}",
    ),
    Rejection(
        "texture index used twice",
        "texture index 1 is used more than once",
        "kernel void f(texture2d<float> t [[texture(1)]], texture2d<float> u [[texture(1)]]) {}",
        "kernel void f(texture2d<float> t [[texture(1)]], sampler u [[sampler(1)]]) {}",
    ),
    Rejection(
        "texture at a buffer index",
        "'buffer' attribute does not fit a texture",
        "kernel void f(texture2d<float> t [[buffer(1)]]) {}",
        "kernel void f(texture2d<float> t [[texture(1)]]) {}",
    ),
    # ---- argument buffers
    Rejection(
        "argument buffer index used twice",
        "argument buffer index 1 is used more than once",
        "struct A { device float* x [[id(1)]]; device float* y [[id(1)]]; };"
        "kernel void f(constant A& a) { a.x[0] = 1; }",
        "struct A { device float* x [[id(1)]]; device float* y; };"
        "kernel void f(constant A& a) { a.x[0] = 1; }",
    ),
    # ---- atomics
    Rejection(
        "atomic function on a plain pointer",
        "no matching function",
        "kernel void f(device uint* a) { atomic_fetch_add_explicit(a, 1u, memory_order_relaxed); }",
        "kernel void f(device atomic_uint* a)"
        " { atomic_fetch_add_explicit(a, 1u, memory_order_relaxed); }",
    ),
    Rejection(
        "atomic store that acquires",
        "order it with atomic_thread_fence",
        "kernel void f(device atomic_int* a)"
        " { atomic_store_explicit(a, 1, memory_order_acquire); }",
        "kernel void f(device atomic_int* a) { atomic_store_explicit(a, 1, memory_order_relaxed);"
        " atomic_thread_fence(mem_flags::mem_device, memory_order_acquire); }",
    ),
    Rejection(
        "compare and swap that releases",
        "order it with atomic_thread_fence",
        "kernel void f(threadgroup atomic_int* a) { int e = 0;"
        " atomic_compare_exchange_weak_explicit(a, &e, 1, memory_order_acq_rel,"
        " memory_order_relaxed); }",
        "kernel void f(threadgroup atomic_int* a) { int e = 0;"
        " atomic_compare_exchange_weak_explicit(a, &e, 1, memory_order_relaxed,"
        " memory_order_relaxed); }",
    ),
]


@pytest.mark.parametrize("rejection", REJECTIONS, ids=[r.name for r in REJECTIONS])
def test_what_apple_rejects_is_an_error_and_its_near_miss_is_not(rejection):
    with pytest.raises(metalwright.CompileError) as caught:
        metalwright.compile(HEADER + rejection.wrong)
    first = next(d for d in caught.value.diagnostics if str(d.severity) == "error")
    assert rejection.message in first.message
    assert first.line >= 3
    assert first.column >= 1
    library = metalwright.compile(HEADER + rejection.right)
    assert not library.warnings
    assert library.kernel_names


def test_more_than_32_kilobytes_of_threadgroup_memory_fail_when_the_kernel_is_made():
    source = HEADER + KERNEL + "{ threadgroup float t[8193]; t[i] = a[i]; a[i] = t[0]; }"
    library = metalwright.compile(source)
    with pytest.raises(metalwright.Error, match="of threadgroup memory, but there are 32768") as e:
        library.kernel("f")
    assert e.value.code == "too-much-threadgroup-memory"
    metalwright.compile(source.replace("8193", "8192")).kernel("f")


def test_each_mistake_of_a_template_is_reported_once():
    source = (
        "template <typename T> void g(thread T& x) { x = 1; }"
        "template <typename T> void h(device T* p) { g(p[0]); }"
        "kernel void f(device float* a, device int* b) { h(a); h(b); }"
    )
    with pytest.raises(metalwright.CompileError) as caught:
        metalwright.compile(HEADER + source)
    assert len(caught.value.diagnostics) == 1


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (KERNEL + "{ if (i > 3) goto end; a[i] = 1; end: return; }", "'goto'"),
        ("kernel void g(device float* a) {}" + KERNEL + "{ g(a); }", "a kernel is called"),
    ],
)
def test_what_only_some_versions_of_metal_take_is_a_warning(source, message):
    (warning,) = metalwright.compile(HEADER + source).warnings
    assert message in warning.message
    assert (str(warning.severity), warning.line) == ("warning", 3)


@pytest.mark.parametrize(
    ("wrong", "message", "right"),
    [
        ("{ float x = a[i]; }", "unused variable 'x'", "{ float x = a[i]; a[0] = x; }"),
        (
            "{ int n = 3; if (n < i) a[i] = 1; }",
            "comparison of integers of different signs: 'int' and 'uint'",
            "{ uint n = 3; if (n < i && 2 < i) a[i] = 1; }",
        ),
        (
            "{ float x; if (i > 0) x = 1; a[i] = x; }",
            "variable 'x' is used uninitialized whenever 'if' condition is false",
            "{ float x; if (i > 0) x = 1; else x = 2; a[i] = x; }",
        ),
        (
            "{ a[i] = 1; } static float g() { return 1; }",
            "unused function 'g'",
            "{ a[i] = 1; } float g() { return 1; }",
        ),
        (
            "{ a[i] = 1; } constant int table[2] = {1, 2};",
            "unused variable 'table'",
            "{ a[i] = 1; } constant int unused [[function_constant(0)]];",
        ),
    ],
)
def test_what_apple_warns_of_by_default_is_a_warning(wrong, message, right):
    warnings = metalwright.compile(HEADER + KERNEL + wrong).warnings
    assert [w for w in warnings if message in w.message and w.line == 3]
    assert not metalwright.compile(HEADER + KERNEL + right).warnings
