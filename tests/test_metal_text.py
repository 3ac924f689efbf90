"""What the Metal device does with text: compiler messages, includes, parameter lists."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

PROGRAM = os.environ.get("METALWRIGHT_METAL_TEXT", "")
pytestmark = pytest.mark.skipif(
    not os.path.exists(PROGRAM), reason="METALWRIGHT_METAL_TEXT names no program (make test does)"
)


def run(*words: str, text: str) -> str:
    return subprocess.run(
        [PROGRAM, *words], input=text, capture_output=True, text=True, check=True, timeout=20
    ).stdout


def diagnostics(text: str) -> list[list[str]]:
    return [line.split("|") for line in run("diagnostics", "mine.metal", text=text).splitlines()]


def test_messages_keep_their_place_their_line_and_their_caret():
    text = (
        "Compilation failed: \n\n"
        "program_source:33:5: error: use of undeclared identifier 'foo'\n"
        "    foo = 1;\n"
        "    ^\n"
        "program_source:2:9: note: did you mean 'fob'?\n"
        "float fob;\n"
        "      ^~~\n"
        "1 error generated.\n"
    )
    assert diagnostics(text) == [
        [
            "2",
            "mine.metal",
            "33",
            "5",
            "use of undeclared identifier 'foo'",
            "    foo = 1;",
            "    ^",
        ],
        ["0", "mine.metal", "2", "9", "did you mean 'fob'?", "float fob;", "      ^~~"],
    ]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "program_source:1:10: fatal error: 'x.h' file not found",
            ["2", "mine.metal", "1", "10", "'x.h' file not found", "", ""],
        ),
        (
            "/inc/a.h:7:3: warning: unused variable 'a' [-Wunused]",
            ["1", "/inc/a.h", "7", "3", "unused variable 'a' [-Wunused]", "", ""],
        ),
        ("error: no such option", ["2", "", "0", "0", "no such option", "", ""]),
        (
            "program_source:4:1: error: static assertion failed: error: bad",
            ["2", "mine.metal", "4", "1", "static assertion failed: error: bad", "", ""],
        ),
        (
            "program_source:4:1: warning: text with error: in it",
            ["1", "mine.metal", "4", "1", "text with error: in it", "", ""],
        ),
    ],
)
def test_every_kind_of_message_is_read(line, expected):
    assert diagnostics(line + "\n") == [expected]
    assert diagnostics(line + "\r\n") == [expected]


@pytest.mark.parametrize(
    "text",
    ["", "\n\n", "Compilation succeeded with:\n", "2 warnings generated.", 'x = "an error: no";'],
)
def test_what_is_no_message_is_left_out(text):
    assert diagnostics(text) == []


# ------------------------------------------------------------------------------ includes


def preprocess(text: str) -> list[str]:
    """The lines that are left after the directives, by the C preprocessor."""
    done = subprocess.run(
        ["cc", "-E", "-P", "-xc", "-"],
        input=text,
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    )
    return done.stdout.split("\n")[:-1]


def test_files_are_put_in_where_they_are_included(tmp_path: Path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.h").write_text('#pragma once\n#include "sub/b.h"\nint a;\n')
    (tmp_path / "sub" / "b.h").write_text('#include "c.h"\nint b;\n')
    (tmp_path / "sub" / "c.h").write_text("int c;\n")
    text = "#include <metal_stdlib>\n#include <a.h>\n#include <a.h>\nint end;\n"
    result = run("includes", str(tmp_path), text=text)
    assert result.startswith("#include <metal_stdlib>\n")
    assert preprocess(result.split("\n", 1)[1]) == ["int c;", "int b;", "int a;", "int end;"]
    assert "#pragma once" not in result


def test_lines_keep_the_number_and_the_file_they_are_written_in(tmp_path: Path):
    (tmp_path / "a.h").write_text("\nint __LINE__of_a;\n".replace("__LINE__of_a", "a = __LINE__"))
    result = run("includes", str(tmp_path), text='int x;\n#include "a.h"\nint y = __LINE__;\n')
    assert preprocess(result) == ["int x;", "int a = 2;", "int y = 3;"]
    assert f'#line 1 "{tmp_path}/a.h"' in result
    assert '#line 3 "program_source"' in result


def test_guards_of_every_kind_hold_and_cycles_end(tmp_path: Path):
    (tmp_path / "once.h").write_text('#pragma once // really\n#include "once.h"\nint once;\n')
    (tmp_path / "guard.h").write_text("#ifndef G\n#define G\nint guard;\n#endif\n")
    text = '#include "once.h"\n#include "guard.h"\n#import "guard.h"\n#include "once.h"\n'
    result = run("includes", str(tmp_path), text=text)
    assert preprocess(result) == ["int once;", "int guard;"]
    (tmp_path / "endless.h").write_text('#include "endless.h"\n')
    done = subprocess.run(
        [PROGRAM, "includes", str(tmp_path)],
        input='#include "endless.h"\n',
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("include-depth: ")


def test_includes_in_comments_and_of_other_names_stay(tmp_path: Path):
    (tmp_path / "a.h").write_text("int a;\n")
    text = '// #include "a.h"\n/*\n#include "a.h"\n*/\n#include "other.h"\n#include NAME\n'
    assert run("includes", str(tmp_path), text=text) == text


# ------------------------------------------------------------------------------ parameters

SOURCE = """
struct Params { float a; };
// kernel void fake(device int* x) {}
#define MAKE(T) kernel void made(device T* m) {}
kernel void first(device float* out [[buffer(0)]], const device half4* x,
                  constant Params& params [[buffer(2)]], threadgroup float* t [[threadgroup(0)]],
                  uint i [[thread_position_in_grid]]) { out[i] = x[i].x; }
[[kernel]] void second(constant const metal::array<int, 4>& x, device atomic_uint *count) {}
template <typename T> [[kernel, max_total_threads_per_threadgroup(64)]] void third(
    device T* out, constant T& bias) {}
template [[host_name("third_float")]] [[kernel]] decltype(third<float>) third<float>;
"""


@pytest.mark.parametrize(
    ("kernel", "name", "expected"),
    [
        ("first", "out", "1|0|float"),
        ("first", "x", "1|0|half4"),
        ("first", "params", "2|1|Params"),
        ("first", "t", "3|0|float"),
        ("first", "i", ""),
        ("second", "x", "2|1|array<int, 4>"),
        ("second", "count", "1|0|atomic_uint"),
        ("third_float", "bias", "2|1|T"),
        ("somewhere::first", "x", "1|0|half4"),
        ("unknown", "count", "1|0|atomic_uint"),  # only one function has such a parameter
        ("unknown", "x", ""),  # two differ
        ("made", "m", ""),  # a macro's
    ],
)
def test_parameters_are_found_in_the_source(kernel, name, expected):
    assert run("parameter", kernel, name, text=SOURCE).strip() == expected
