"""Apple's container: reading it, running what is in it, refusing what is broken."""

import json
import random
import shutil
import struct
import subprocess

import numpy as np
import pytest
from typer.testing import CliRunner

metalwright = pytest.importorskip("metalwright.runtime")

pytestmark = pytest.mark.native

SOURCE = """
#include <metal_stdlib>
using namespace metal;
kernel void twice(device const float* x [[buffer(0)]], device float* y [[buffer(1)]],
                  uint i [[thread_position_in_grid]]) { y[i] = 2 * x[i]; }
kernel void scaled(device const float* x, device float* y, constant float& offset,
                   uint i [[thread_position_in_grid]]) { y[i] = 3 * x[i] + offset; }
"""


def field(tag: bytes, value: bytes) -> bytes:
    return tag + struct.pack("<H", len(value)) + value


def container(functions: list[tuple[str, int, bytes]]) -> bytes:
    """A .metallib of (name, type, bitcode)."""
    entries, code = b"", b""
    for name, kind, bitcode in functions:
        body = (
            field(b"NAME", name.encode() + b"\0")
            + field(b"TYPE", bytes([kind]))
            + field(b"HASH", bytes(32))
            + field(b"OFFT", struct.pack("<3Q", 0, 0, len(code)))
            + field(b"VERS", struct.pack("<4H", 2, 6, 3, 1))
            + field(b"MDSZ", struct.pack("<Q", len(bitcode)))
            + field(b"NEWS", b"a field of a later version")
            + b"ENDT"
        )
        entries += struct.pack("<I", len(body) + 4) + body
        code += bitcode
    start = 16 + 9 * 8
    size = start + 4 + len(entries) + len(code)
    offsets = [size, start, len(entries), start + 4 + len(entries), 0, start + 4 + len(entries), 0]
    header = b"MTLB" + bytes(12) + struct.pack("<9Q", *offsets, size - len(code), len(code))
    return header + struct.pack("<I", len(functions)) + entries + code


def assemble(air: str) -> bytes:
    assembler = shutil.which("llvm-as-19") or shutil.which("llvm-as")
    if assembler is None:
        pytest.skip("no llvm-as to make bitcode with")
    return subprocess.run(
        [assembler, "-o", "-", "-"], input=air.encode(), capture_output=True, check=True, timeout=60
    ).stdout


@pytest.fixture(scope="module")
def bitcode() -> bytes:
    return assemble(metalwright.compile(SOURCE, device="cpu").twice.code("air"))


@pytest.fixture(scope="module")
def with_constant() -> bytes:
    """`scaled` with its factor from a function constant of index 3."""
    air = metalwright.compile(SOURCE, device="cpu").scaled.code("air")
    assert air.count("float 3.000000e+00") == 1
    load = "entry:\n  %factor = load float, ptr addrspace(2) @scale, align 4"
    return assemble(
        air.replace("float 3.000000e+00", "float %factor").replace("entry:", load)
        + "@scale = external addrspace(2) global float, align 4\n"
        + "!air.function_constants = !{!90}\n"
        + '!90 = !{ptr addrspace(2) @scale, i32 3, !"scale", !"float", i1 true}\n'
    )


@pytest.fixture
def path(tmp_path, bitcode, with_constant):
    file = tmp_path / "two.metallib"
    functions = [("twice", 2, bitcode), ("a_vertex", 0, b"?"), ("scaled", 2, with_constant)]
    file.write_bytes(container(functions))
    return file


def test_the_kernels_of_a_library_run(path):
    library = metalwright.load_metallib(path, device="cpu")
    assert library.kernel_names == ("twice", "scaled")  # and no vertex function
    x, y = np.arange(5, dtype=np.float32), np.zeros(5, np.float32)
    library.twice(x, y, threads=5)
    assert np.array_equal(y, 2 * x)
    library.kernel("scaled", {3: 10.0})(x, y, 0.5, threads=5)
    assert np.array_equal(y, 10 * x + 0.5)
    assert [a.name for a in library.twice.arguments] == ["x", "y"]


def test_a_kernel_is_described_without_its_function_constants(path):
    library = metalwright.load_metallib(path, device="cpu")
    description = library.describe("scaled")
    assert [(a.name, a.access, a.type_name) for a in description.arguments] == [
        ("x", "read", "float"),
        ("y", "read_write", "float"),
        ("offset", "read", "float"),
    ]
    assert [(c.index, c.type_name) for c in description.function_constants] == [(3, "float")]
    with pytest.raises(metalwright.Error) as caught:
        library.kernel("scaled")
    assert caught.value.code == "missing-function-constant"


def test_a_kernel_that_is_not_there_is_named_with_the_nearest(path):
    library = metalwright.load_metallib(path, device="cpu")
    for ask in (library.kernel, library.describe):
        with pytest.raises(metalwright.UnknownKernelError, match="Did you mean twice"):
            ask("twise")


def test_code_that_is_no_bitcode_fails_when_its_kernel_is_used(tmp_path, bitcode):
    file = tmp_path / "broken.metallib"
    file.write_bytes(container([("bad", 2, b"not bitcode at all"), ("twice", 2, bitcode)]))
    library = metalwright.load_metallib(file, device="cpu")
    for ask in (library.kernel, library.describe):
        with pytest.raises(metalwright.Error, match="kernel 'bad'") as caught:
            ask("bad")
        assert caught.value.code == "invalid-air"
    assert library.twice.name == "twice"


def test_missing_files_and_folders_are_named(tmp_path):
    for name in (tmp_path / "none.metallib", tmp_path):
        with pytest.raises(metalwright.Error, match=str(name)) as caught:
            metalwright.load_metallib(name, device="cpu")
        assert caught.value.code == "no-such-file"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: b"", "does not begin with MTLB"),
        (lambda d: b"ELF" + d[3:], "does not begin with MTLB"),
        (lambda d: d[:20], "the header ends"),
        (lambda d: d[:-1], "it says that it has"),
        (lambda d: d[:24] + struct.pack("<Q", 1 << 63) + d[32:], "function list"),
        (lambda d: d[:72] + struct.pack("<2Q", 8, 1 << 62) + d[88:], "bitcode"),
        (lambda d: d[:88] + struct.pack("<I", 0xFFFFFFFF) + d[92:], "the function list ends"),
        (lambda d: d[:92] + struct.pack("<I", 3) + d[96:], "function 0 is 3 bytes long"),
        (lambda d: d[:92] + struct.pack("<I", 5000) + d[96:], "the function list ends"),
        (lambda d: d.replace(b"ENDT", b"ENDX", 1), "function 0"),
        (lambda d: d.replace(b"NAME", b"NAMF", 1), "function 0 has no NAME field"),
        (lambda d: d.replace(b"MDSZ\x08\0", b"MDSZ\x04\0", 1), "function 0"),
        (lambda d: d.replace(b"TYPE\x01\0\x02", b"TYPE\x01\0\x77", 1), "a kind that is not known"),
    ],
)
def test_a_broken_container_is_refused_with_the_place(path, change, message):
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(metalwright.Error, match=message) as caught:
        metalwright.load_metallib(path, device="cpu")
    assert caught.value.code == "invalid-metallib"


def code_of_loading(path) -> str:
    try:
        metalwright.load_metallib(path, device="cpu")
    except metalwright.Error as error:
        return error.code
    return "fine"


def test_no_container_takes_the_process_down(path):
    data, seed = path.read_bytes(), random.randrange(1 << 32)
    numbers = random.Random(seed)
    codes = set()
    end = data.index(b"BC\xc0\xde")  # what follows is LLVM's business
    for _ in range(3000):
        changed = bytearray(data)
        for _ in range(numbers.choice((1, 1, 2, 8))):
            changed[numbers.randrange(end)] = numbers.choice((0, 1, 127, 128, 255, 78))
        if numbers.random() < 0.2:
            del changed[numbers.randrange(len(changed)) :]
        path.write_bytes(changed)
        codes.add(code_of_loading(path))
    assert codes == {"fine", "invalid-metallib"}, f"seed {seed}"


def run(*arguments: str):
    from metalwright.cli.app import app

    return CliRunner().invoke(app, ["inspect", *map(str, arguments)])


def test_inspect_lists_kernels_arguments_and_constants(path):
    result = run(path)
    assert result.exit_code == 0, result.output
    assert "buffer 0: device float* x (read)" in result.output
    assert "buffer 2: constant float& offset (read)" in result.output
    assert "function constant 3: float" in result.output
    assert "2 of 2 kernels" in result.output
    assert run(path, "--names").output.split() == ["twice", "scaled"]
    (line,) = run(path, "--json", "--kernel", "t*").output.splitlines()
    assert json.loads(line)["arguments"][1]["access"] == "read_write"


def test_inspect_says_what_is_wrong(path, tmp_path):
    result = run(path, "--kernel", "nothing*")
    assert result.exit_code == 2
    assert "none of the 2 kernels" in result.output
    missing = run(tmp_path / "none.metallib")
    assert missing.exit_code == 2
    assert "none.metallib" in missing.output
