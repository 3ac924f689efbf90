"""The part of the extension that a Mac builds, compiled for arm64-apple-macos14 on this machine.

The compiler and Apple's C and C++ headers come with the package ziglang. Apple's frameworks do not:
Metal is declared by the headers of tests/metal_standin, Foundation by those of tests/apple_target,
both written from the public documentation. So what is shown here is that the source is C++20 and
clean under ARC, that nothing newer than macOS 14 is used without a guard, that nothing of Linux has
slipped in, and that every symbol of ours is defined. Nothing is run.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("ziglang") is None, reason="the package ziglang is not installed"
    ),
]

ROOT = Path(__file__).resolve().parent.parent
CSRC = ROOT / "csrc"
SOURCES = sorted(
    path.relative_to(ROOT)
    for path in (
        *CSRC.glob("*.cpp"),
        *(CSRC / "metal").glob("*.cpp"),
        *(CSRC / "metal").glob("*.mm"),
        *(CSRC / "python").glob("*.cpp"),
    )
)
WARNINGS = [
    "-Wall",
    "-Wextra",
    "-Wpedantic",
    "-Wno-unused-parameter",
    "-Wunguarded-availability",
    "-Werror",
]


def flags(source: Path) -> list[str]:
    """As csrc/CMakeLists.txt has them on a Mac: no LLVM, the Metal device."""
    result = ["-std=c++20", *WARNINGS, f"-I{CSRC}"]
    result += ["-DMETALWRIGHT_CPU=0", "-DMETALWRIGHT_METAL=1"]
    if source.suffix == ".mm":
        result += ["-x", "objective-c++", "-fobjc-arc", "-fobjc-runtime=macosx-14.0", "-fblocks"]
        for folder in ("metal_standin", "apple_target"):
            result += ["-isystem", str(ROOT / "tests" / folder / "include")]
    if "python" in source.parts:
        import pybind11

        result += ["-isystem", sysconfig.get_paths()["include"]]
        result += ["-isystem", pybind11.get_include()]
    return result


def compile_for_mac(source: Path, target: Path, *, like: Path, macos: str = "14.0") -> str:
    """What the compiler says of `source`, compiled with the flags of `like`; empty if nothing."""
    command = [sys.executable, "-m", "ziglang", "c++", "-target", f"aarch64-macos.{macos}"]
    done = subprocess.run(
        [*command, *flags(like), "-c", str(source), "-o", str(target)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return done.stdout + done.stderr if done.returncode or not target.exists() else ""


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, tuple[Path, str]]:
    """Every source's object file and what the compiler said."""
    folder = tmp_path_factory.mktemp("apple")

    def build(source: Path) -> tuple[Path, tuple[Path, str]]:
        target = folder / ("_".join(source.parts) + ".o")
        return source, (target, compile_for_mac(source, target, like=source))

    with ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        return dict(pool.map(build, SOURCES))


@pytest.mark.parametrize("source", SOURCES, ids=str)
def test_it_compiles_for_a_mac(objects, source):
    target, output = objects[source]
    assert output == ""
    assert target.read_bytes()[:8] == b"\xcf\xfa\xed\xfe\x0c\x00\x00\x01"  # Mach-O, arm64


def symbols(path: Path, nm: str) -> tuple[set[str], set[str]]:
    """The symbols of ours that an object defines, and those that it needs."""
    text = subprocess.run(
        [nm, "--extern-only", "--format=just-symbols", "--defined-only", str(path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    needed = subprocess.run(
        [nm, "--format=just-symbols", "--undefined-only", str(path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    return (
        {name for name in text.split() if "11metalwright" in name},
        {name for name in needed.split() if "11metalwright" in name},
    )


def test_every_symbol_of_ours_is_defined(objects):
    nm = shutil.which("llvm-nm-19") or shutil.which("llvm-nm")
    if nm is None:
        pytest.skip("llvm-nm is not installed")
    defined: set[str] = set()
    needed: set[str] = set()
    for target, _ in objects.values():
        of_file = symbols(target, nm)
        defined |= of_file[0]
        needed |= of_file[1]
    assert len(defined) > 100
    assert needed - defined == set()


def test_a_build_for_a_newer_system_only_has_no_warnings_either(tmp_path):
    """As `pip install .` builds on such a Mac: what was deprecated since is not warned of."""
    source = CSRC / "metal" / "compile_options.mm"
    assert compile_for_mac(source, tmp_path / "x.o", like=source, macos="26.0") == ""


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        # A property of macOS 15 without its guard.
        ("compile_options.mm", "@available(macOS 15.0, *)", "true", "-Wunguarded-availability"),
        # A cast that ARC does not allow.
        (
            "arguments.mm",
            "(__bridge id<MTLBuffer>)bound.foreign",
            "(id<MTLBuffer>)bound.foreign",
            "bridged cast",
        ),
        # A message that only manual reference counting has.
        ("archive.mm", "[archive.get() serial", "[[archive.get() retain] serial", "ARC forbids"),
        # A header of Linux.
        ("os_version.mm", "#include", "#include <sys/sysinfo.h>\n#include", "file not found"),
    ],
)
def test_what_must_not_slip_in_is_noticed(tmp_path, file, old, new, message):
    source = CSRC / "metal" / file
    text = source.read_text("utf-8")
    assert old in text
    changed = tmp_path / file
    changed.write_text(text.replace(old, new, 1))
    output = compile_for_mac(changed, tmp_path / "x.o", like=source)
    assert message in output
