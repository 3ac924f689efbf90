"""Mutated programs for the front end: ``python -m tests.fuzz --seconds 3600 --seed 1``.

Each program is compiled in a child process, many per child, with a limit on time and memory. What
may happen is a diagnostic or a `metalwright.Error`; a signal, an abort, a hang or any other
exception is a finding, and its source is kept in ``--keep``.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(__file__).parent
MEMORY = 4 << 30
SECONDS_PER_PROGRAM = 60.0
STARTUP = 120.0
TOKEN = re.compile(r"\s+|[A-Za-z_]\w*|\d[\w.]*|//[^\n]*|/\*.*?\*/|\"[^\"\n]*\"|.", re.DOTALL)
ODD = [
    "0", "-1", "4294967296", "1e39",
    "0xffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "11111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111",
    "1.5h", "1h", "2bf", "'", '"', "\\", "[[", "]]", "[[buffer(99)]]", '[[host_name("x")]]',
    "[[function_constant(0)]]", "[[texture(0)]]", "template", "template <typename T>",
    "template <int N>", "device", "constant", "threadgroup", "thread", "kernel", "operator",
    "half", "bfloat", "float4", "struct", "union", "enum", "using", "namespace", "typename",
    "decltype(", "auto", "static", "constexpr", "inline", "const", "volatile", "::", "->", "...",
    "<<<", ">>", "&&", "[]", "()", "{", "}", "(", ")", "<", ">", ";", ",", "=", "~",
    "#define X X X", "\n#if 1\n", "\n#endif\n", "\n#include <metal_stdlib>\n", '\n#include "x"\n',
    "\n#pragma METAL fp contract(off)\n", "\n#pragma clang loop unroll(full)\n",
    "__attribute__((", "simdgroup_matrix<float, 8, 8>", "texture2d<float>", "sampler",
    "atomic_uint", "os_log_default", "__builtin_trap()", 'asm("")', "goto x;", "switch",
    "case 1:", "return", "sizeof", "alignas(64)", "\x00", "\xff", "\u2028", "\xe9", "\U0001d7d9",
    "\ufeff", "/*", "//", "??/", '_Pragma("x")', "this", "new", "static_cast<half>(", "(bfloat)",
    "as_type<uint>(", "vec<float, 4>", "metal::", "is_same_v<",
]  # fmt: skip


def corpus() -> list[str]:
    """The conformance programs; they use every part of the language."""
    return [path.read_text("utf-8") for path in sorted((FOLDER / "conformance").glob("*.metal"))]


class Mutator:
    """Programs made of others, the same for the same seed."""

    def __init__(self, seed: int, programs: list[str]) -> None:
        self.random = random.Random(seed)
        self.programs = programs
        self.tokens = [TOKEN.findall(program) for program in programs]

    def __iter__(self) -> Iterator[str]:
        while True:
            yield self.program()

    def program(self) -> str:
        if self.random.random() < 0.05:
            return self.deep()
        tokens = list(self.random.choice(self.tokens))
        changes = (
            self.swap, self.delete, self.repeat, self.insert, self.replace, self.splice, self.move,
            self.cut, self.rename,
        )  # fmt: skip
        for _ in range(self.random.choice((1, 1, 2, 3, 8))):
            if len(tokens) > 4:
                tokens = self.random.choice(changes)(tokens)
        return "".join(tokens)

    def span(self, tokens: list[str]) -> tuple[int, int]:
        begin = self.random.randrange(len(tokens))
        return begin, min(len(tokens), begin + self.random.choice((1, 1, 2, 5, 20)))

    def swap(self, tokens: list[str]) -> list[str]:
        i, j = self.random.randrange(len(tokens)), self.random.randrange(len(tokens))
        tokens[i], tokens[j] = tokens[j], tokens[i]
        return tokens

    def delete(self, tokens: list[str]) -> list[str]:
        begin, end = self.span(tokens)
        return tokens[:begin] + tokens[end:]

    def repeat(self, tokens: list[str]) -> list[str]:
        begin, end = self.span(tokens)
        return tokens[:end] + tokens[begin:end] * self.random.choice((1, 1, 3, 200)) + tokens[end:]

    def insert(self, tokens: list[str]) -> list[str]:
        place = self.random.randrange(len(tokens))
        return [*tokens[:place], " ", self.random.choice(ODD), " ", *tokens[place:]]

    def replace(self, tokens: list[str]) -> list[str]:
        tokens[self.random.randrange(len(tokens))] = self.random.choice(ODD)
        return tokens

    def splice(self, tokens: list[str]) -> list[str]:
        other = self.random.choice(self.tokens)
        return (
            tokens[: self.random.randrange(len(tokens))]
            + other[self.random.randrange(len(other)) :]
        )

    def move(self, tokens: list[str]) -> list[str]:
        begin, end = self.span(tokens)
        part, rest = tokens[begin:end], tokens[:begin] + tokens[end:]
        place = self.random.randrange(len(rest) + 1)
        return rest[:place] + part + rest[place:]

    def cut(self, tokens: list[str]) -> list[str]:
        return tokens[: self.random.randrange(1, len(tokens))]

    def rename(self, tokens: list[str]) -> list[str]:
        names = [token for token in tokens if re.match(r"[A-Za-z_]", token)] or ["x"]
        old, new = self.random.choice(names), self.random.choice([*names, *ODD])
        return [new if token == old else token for token in tokens]

    def deep(self) -> str:
        """One construct, nested or long beyond reason."""
        n = self.random.choice((50, 300, 1000, 3000))
        body = self.random.choice(
            (
                "a[0] = " + "(" * n + "1" + ")" * n + ";",
                "a[0] = " + "1 + " * n + "1;",
                "{" * n + "}" * n,
                "if (i) " * n + "a[0] = 1;",
                "a[0] = " + "-" * n + "1;",
                "a[0] = " + "~" * n + "1;",
                "int x" + "[2]" * n + ";",
                "thread " + "*thread " * n + "* p;",
                "a[0] = " + "i ? 1 : " * n + "2;",
                "a[0] = " + "f(" * n + "1" + ")" * n + ";",
                "x" * n + ";",
                "a[0] = " + "1" * n + ";",
                "a" + "[0" * n + "]" * n + ";",
            )
        )
        outside = self.random.choice(
            (
                "",
                "template <int N> struct T { static constexpr int v = T<N - 1>::v; };"
                "constant int big = T<5>::v;",
                "namespace a { " * n + "}" * n,
                "struct S { " * n + "};" * n,
                "typedef int I" + "[2]" * min(n, 300) + ";",
                "template <typename T> void g(T x) { g(&x); }",
            )
        )
        signature = "kernel void f(device int* a, uint i [[thread_position_in_grid]])"
        head = "#include <metal_stdlib>\nusing namespace metal;\n"
        return f"{head}{outside}\n{signature} {{ {body} }}\n"


def compile_all(folder: Path) -> None:
    """The child: compiles ``<n>.metal`` of a folder one after the other, naming each before it."""
    from metalwright import runtime

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for path in sorted(folder.glob("*.metal"), key=lambda path: int(path.stem)):
        source = path.read_bytes().decode("utf-8", "surrogateescape")
        print(path.stem, flush=True)
        try:
            library = runtime.compile(source.encode("utf-8", "replace").decode("utf-8"))
            for name in library.kernel_names[:2]:
                library.kernel(name).code("llvm")
        except runtime.Error:
            pass
    print("done", flush=True)


def run_batch(programs: list[str], deadline: float = SECONDS_PER_PROGRAM) -> list[tuple[str, str]]:
    """Compiles programs in a child; what it did wrong, each with the source."""
    findings = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, program in enumerate(programs):
            text = program.encode("utf-8", "surrogatepass")
            (folder / f"{number}.metal").write_bytes(text)
        while any(folder.glob("*.metal")):
            last, reason = watch(folder, deadline)
            if last is None:
                break
            if last < 0:
                raise RuntimeError(f"the child did not start: {reason}")
            findings.append((reason, programs[last]))
            for number in range(last + 1):
                (folder / f"{number}.metal").unlink(missing_ok=True)
    return findings


def watch(folder: Path, deadline: float) -> tuple[int | None, str]:
    """Runs one child; the program that it ended in and why, or None if it got through."""
    with tempfile.TemporaryFile() as errors:
        with subprocess.Popen(
            [sys.executable, str(Path(__file__)), "--compile", str(folder)],
            stdout=subprocess.PIPE,
            stderr=errors,
        ) as child:
            last, done, timed_out = follow(child, deadline)
        if timed_out:
            return last, f"no end within {deadline:g} s"
        if child.returncode == 0 and done:
            return None, ""
        errors.seek(0)
        tail = errors.read()[-2000:].decode("utf-8", "replace")
        return last, f"exit status {child.returncode}: {tail}"


def follow(child: subprocess.Popen[bytes], deadline: float) -> tuple[int, bool, bool]:
    """Reads what a child says: the last program it began, whether it got through, or hung."""
    assert child.stdout
    os.set_blocking(child.stdout.fileno(), False)
    last, since, text = -1, time.monotonic(), b""
    while True:
        ended = child.poll() is not None
        chunk = child.stdout.read()
        if chunk:
            text += chunk
            since = time.monotonic()
        words = text[: text.rfind(b"\n") + 1].split()
        last = max((int(word) for word in words if word.isdigit()), default=-1)
        if ended:
            return last, b"done" in words, False
        if time.monotonic() - since > (deadline if last >= 0 else STARTUP):
            child.kill()
            return last, False, True
        time.sleep(0.02)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--batch", type=int, default=100, help="programs per child process")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-findings"))
    parser.add_argument("--compile", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.compile:
        compile_all(arguments.compile)
        return 0
    programs = iter(Mutator(arguments.seed, corpus()))
    end = time.monotonic() + arguments.seconds
    count = found = 0
    while time.monotonic() < end:
        batch = [next(programs) for _ in range(arguments.batch)]
        for reason, source in run_batch(batch):
            arguments.keep.mkdir(exist_ok=True)
            path = arguments.keep / f"{arguments.seed}-{found}.metal"
            path.write_text(source, "utf-8", errors="surrogatepass")
            print(f"{path}: {reason.strip().splitlines()[-1]}", flush=True)
            found += 1
        count += len(batch)
    print(f"{count} programs, {found} findings, seed {arguments.seed}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
