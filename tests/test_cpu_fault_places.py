"""A trap or an access to memory that is not there names the line of the kernel's source."""

import numpy as np
import pytest

metalwright = pytest.importorskip("metalwright.runtime")

pytestmark = pytest.mark.native

HEADER = "#include <metal_stdlib>\nusing namespace metal;\n"
BARRIER = "  threadgroup_barrier(mem_flags::mem_device);\n"
FAR = "100000000ul"

# Where the fault is, is marked with a comment: `/*>*/` before its column.
ENGINES = {"vector-loop": "", "simdgroup": BARRIER, "checked": BARRIER}


@pytest.fixture(params=ENGINES)
def engine(request, monkeypatch):
    if request.param == "checked":
        monkeypatch.setenv("METALWRIGHT_CPU_ENGINE", "checked")
    return request.param


def fault(source: str, kernel: str = "k", /, arrays=(), threads=64, **options):
    """The DispatchError of a kernel that is given zeros."""
    library = metalwright.compile(HEADER + source, device="cpu", **options)
    arrays = arrays or [np.zeros(64, np.int32)]
    with pytest.raises(metalwright.DispatchError) as caught:
        library.kernel(kernel)(*arrays, threads=threads, group_size=64)
    return caught.value, library


def marked_line(source: str) -> int:
    (line,) = [i for i, text in enumerate((HEADER + source).split("\n"), 1) if "/*>*/" in text]
    return line


def body(engine: str, statements: str) -> str:
    return (
        "kernel void k(device int* f, uint i [[thread_position_in_grid]]) {\n"
        f"{ENGINES[engine]}{statements}\n}}\n"
        f"// for {engine}: libraries are cached by their source\n"
    )


STATEMENTS = {
    "a store": f"  int v = i;\n  f[i * {FAR}] /*>*/= v;\n  f[i] += 1;",
    "a load": f"  f[i] = 1;\n  int v = f[i * {FAR}]; /*>*/\n  f[i] += v;",
    "an update": f"  f[i] += 2;\n  f[(i + 1) * {FAR}]/*>*/++;",
    "an atomic": f"""  f[i] = 2;
  atomic_fetch_add_explicit((device atomic_int*)&f[(i + 1) * {FAR}], 1, /*>*/memory_order_relaxed);
""",
    "in a branch": f"  if (f[i] == 0) {{\n    f[i * {FAR}] = 4; /*>*/\n  }} else {{\n"
    "    f[i] = 3;\n  }",
    "in a loop": f"  for (int j = 0; j < 100 + f[i]; ++j)\n    f[j * i * {FAR}] += j; /*>*/",
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_the_line_of_an_access(engine: str, name: str) -> None:
    source = body(engine, STATEMENTS[name])
    error, library = fault(source)
    assert f"engine: {engine}" in library.k.explain() or name == "in a loop"
    assert error.code == "invalid-memory-access"
    place = error.diagnostic
    assert place is not None, error
    assert (place.file, place.line) == ("program_source", marked_line(source))
    assert place.source_line == (HEADER + source).split("\n")[place.line - 1]
    assert place.caret == " " * (place.column - 1) + "^"
    text = str(error)
    assert text.startswith(f"program_source:{place.line}:{place.column}: error: kernel 'k' acc")
    assert text.endswith(f"{place.source_line}\n{place.caret}")


def test_the_line_of_a_trap(engine: str) -> None:
    source = body(engine, "  if (f[i] == 0)\n    __builtin_trap(); /*>*/\n  f[i] = 1;")
    error, _ = fault(source)
    assert error.code == "kernel-trap"
    assert error.diagnostic.line == marked_line(source)


def test_the_line_in_a_function_that_was_inlined(engine: str) -> None:
    source = (
        "template <typename T> void put(device T* f, ulong i, T v) {\n"
        "  f[i] = v; /*>*/\n}\n"
        "void twice(device int* f, ulong i) { put(f, i, 2); }\n"
    ) + body(engine, f"  twice(f, i);\n  twice(f, i * {FAR});")
    error, _ = fault(source)
    assert error.diagnostic.line == marked_line(source)


def test_the_line_in_a_header_of_the_users(engine: str, tmp_path) -> None:
    header = "inline void put(device int* f, ulong i) {\n  f[i] = 1;\n}\n"
    (tmp_path / "put.h").write_text(header)
    source = '#include "put.h"\n' + body(engine, f"  put(f, i * {FAR});")
    error, _ = fault(source, include_paths=[str(tmp_path)])
    place = error.diagnostic
    assert (place.file, place.line) == (str(tmp_path / "put.h"), 2)
    assert place.source_line == "  f[i] = 1;"


def test_a_line_directive_shows_no_file_of_the_users(engine: str, tmp_path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("one\nkey = 1234\nthree\n")
    source = body(engine, f'#line 2 "{secret}"\n  f[i * {FAR}] = 1;')
    error, _ = fault(source)
    assert (error.diagnostic.file, error.diagnostic.line) == (str(secret), 2)
    assert error.diagnostic.source_line == ""
    assert "1234" not in str(error)


def test_the_line_of_a_copy_that_the_c_library_makes(engine: str) -> None:
    source = "struct Large { int v[500]; };\n" + body(
        engine, f"  device Large* p = (device Large*)f;\n  p[(i + 1) * {FAR}] = p[0]; /*>*/"
    )
    error, _ = fault(source, arrays=[np.zeros(500, np.int32)], threads=1)
    if engine == "vector-loop" and error.diagnostic is None:
        return  # optimising the loop over threads may leave the copy without a place
    assert error.diagnostic.line == marked_line(source)


def test_the_line_with_function_constants_and_a_host_name(engine: str) -> None:
    source = "constant bool deep [[function_constant(0)]];\n" + body(
        engine, f"  if (deep)\n    f[i * {FAR}] = 1; /*>*/\n  else\n    f[i] = 2;"
    )
    source = source.replace(
        "kernel void k(device int*", "template <typename T> kernel void t(device T*"
    )
    source += 'template [[host_name("k")]] kernel void t<int>(device int*, uint);\n'
    library = metalwright.compile(HEADER + source, device="cpu", constants={0: True})
    with pytest.raises(metalwright.DispatchError) as caught:
        library.k(np.zeros(64, np.int32), threads=64, group_size=64)
    assert caught.value.diagnostic.line == marked_line(source)


def test_the_line_of_recursion_without_end() -> None:
    source = (
        "int deep(device int* f, int n) {\n  return n == -1 ? 0 : deep(f, n + 1) + f[n & 63];\n}\n"
        "kernel void k(device int* f, uint i [[thread_position_in_grid]]) { f[i] = deep(f, i); }\n"
    )
    error, _ = fault(source, threads=1)
    assert error.diagnostic.line in (3, 4)


def test_the_lines_of_barriers_that_not_all_threads_reach(monkeypatch) -> None:
    statements = f"  if (i < 32)\n  {BARRIER}  else\n    f[i] = 1;\n  f[i] += 1;"
    for engine in ("", "checked"):
        monkeypatch.setenv("METALWRIGHT_CPU_ENGINE", engine)
        error, _ = fault(body("vector-loop", statements) + f"// {engine}")
        assert error.code == "divergent-barrier"
        assert error.diagnostic.line == 5
        assert "threadgroup_barrier at program_source:5" in str(error)


def test_other_failures_have_no_place() -> None:
    library = metalwright.compile(
        HEADER + "kernel void k(device int* f) { while (((volatile device int*)f)[0] == 0) {} }",
        device="cpu",
    )
    with pytest.raises(metalwright.DispatchError) as caught:
        library.k(np.zeros(1, np.int32), threads=1, deadline=0.05)
    assert caught.value.code == "deadline-exceeded"
    assert caught.value.diagnostic is None
