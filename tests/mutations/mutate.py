"""Ways to make a kernel wrong, by rewriting its source.

A mutation carries the variants that decide, without the sanitiser, whether its effect is reachable
on the tested input.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass

CLASSES = (
    "bound off by one",
    "barrier removed",
    "barrier in a branch",
    "index swapped",
    "uninitialised read",
)

BARRIER = re.compile(r"threadgroup_barrier\s*\([^()]*\)\s*;")
# A name with one or more subscripts without brackets inside.
ACCESS = re.compile(r"(?<![\w.>&])([A-Za-z_]\w*)((?:\[[^\[\]]+\])+)")
SUBSCRIPT = re.compile(r"\[([^\[\]]+)\]")
BOUND = re.compile(r"(?<![<\w])([A-Za-z_][\w.]*)\s*<\s*([A-Za-z_]\w*|\d+)(?=\s*[;)&])")
DECLARED = re.compile(
    r"(?m)^(?P<indent>[ \t]*)(?P<space>thread\s+)?"
    r"(?P<type>float|half|int|uint|T|bool|float[234]|int[234]|uint[234])\s+"
    r"(?P<name>[A-Za-z_]\w*)(?P<extent>(?:\[\w+\])*)\s*=\s*(?P<value>[^;{}]+|\{[^;{}]*\})\s*;"
)
ARRAY = re.compile(
    r"(?:float|half|int|uint|T|uchar|short|ushort|bool|char)[234]?\s+([A-Za-z_]\w*)"
    r"((?:\[[\w +*]+\])+)"
)
THREAD = re.compile(
    r"(u(?:int|short)[23]?)\s+(\w+)\s*\[\[\s*thread_(?:position|index)_in_threadgroup\s*\]\]"
)
PROBE_BUFFER = 27


@dataclass(frozen=True)
class Mutation:
    """`source` is wrong.

    `probe`: a correct program that tells by a flag whether an index leaves its array. `pair`: two
    programs whose outputs differ if what was changed matters.
    """

    kind: str
    line: int
    what: str
    source: str
    probe: str | None = None
    pair: tuple[str, str] | None = None


def line_of(source: str, at: int) -> int:
    return source.count("\n", 0, at) + 1


def replaced(source: str, start: int, end: int, text: str) -> str:
    return source[:start] + text + source[end:]


def body_of(source: str, kernel: str) -> tuple[int, int] | None:
    """Where the kernel's body begins and ends."""
    found = re.search(rf"kernel\b[^{{;]*?\bvoid\s+{re.escape(kernel)}\s*\(", source)
    if not found:
        return None
    start = source.find("{", found.end())
    depth, at = 0, start
    while 0 <= at < len(source):
        depth += {"{": 1, "}": -1}.get(source[at], 0)
        if depth == 0:
            return start, at
        at += 1
    return None


def extents(source: str, lengths: dict[str, str]) -> dict[str, list[str]]:
    """For each array its sizes: declared ones, and the arguments'."""
    known = {name: [length] for name, length in lengths.items()}
    for name, sizes in ARRAY.findall(source):
        known[name] = SUBSCRIPT.findall(sizes)
    return known


def probing(
    source: str, kernel: str, start: int, end: int, name: str, indices: list[str], sizes: list[str]
) -> str | None:
    """The program with the access at [start, end) clamped, and a flag for when that was needed."""
    body = body_of(source, kernel)
    if body is None or len(sizes) != len(indices):
        return None
    text = name + "".join(
        f"[__probe(long({i}), long({size}), __flag)]"
        for i, size in zip(indices, sizes, strict=True)
    )
    changed = replaced(source, start, end, text)
    opened = body[0]
    close = source.rfind(")", 0, opened)
    changed = replaced(changed, close, close, f", device uint* __flag [[buffer({PROBE_BUFFER})]]")
    function = (
        "inline uint __probe(long i, long n, device uint* flag) {\n"
        "  if (i >= 0 && i < n) return uint(i);\n  flag[0] = 1;\n  return 0;\n}\n"
    )
    head = re.search(r"using namespace metal;", changed)
    at = head.end() if head else None
    if at is None:
        return None
    return replaced(changed, at, at, "\n" + function)


def mutations(source: str, kernel: str, lengths: dict[str, str], seed: int) -> Iterator[Mutation]:
    """At most one mutation of each class. `lengths`: elements of each buffer, by argument name."""
    generator = random.Random(f"{seed}:{kernel}:{source}")
    body = body_of(source, kernel)
    if body is None:
        return
    known = extents(source, lengths)
    inside = lambda pattern: [  # noqa: E731
        m for m in pattern.finditer(source) if body[0] < m.start() < body[1]
    ]
    declarations = [m.start(1) for m in ARRAY.finditer(source)]
    accesses = [m for m in inside(ACCESS) if m.start(1) not in declarations and m[1] in known]

    for kind in ("bound off by one", "index swapped"):
        chosen = list(accesses)
        generator.shuffle(chosen)
        for access in chosen:
            indices = SUBSCRIPT.findall(access[2])
            if len(indices) != len(known[access[1]]):
                continue
            if kind == "bound off by one":
                at = generator.randrange(len(indices))
                sign = generator.choice("+-")
                changed = [f"({t}) {sign} 1" if n == at else t for n, t in enumerate(indices)]
            elif len(indices) > 1:
                changed = indices[::-1]
            else:
                names = list(
                    dict.fromkeys(re.findall(r"(?<![\w.])[A-Za-z_]\w*(?:\.[xyz])?", indices[0]))
                )
                if len(names) < 2:
                    continue
                one, two = generator.sample(names, 2)
                swap = {one: two, two: one}
                changed = [
                    re.sub(
                        r"(?<![\w.])[A-Za-z_]\w*(?:\.[xyz])?",
                        lambda m, swap=swap: swap.get(m[0], m[0]),
                        indices[0],
                    )
                ]
            if changed == indices:
                continue
            text = access[1] + "".join(f"[{index}]" for index in changed)
            yield Mutation(
                kind,
                line_of(source, access.start()),
                f"{access[0]} -> {text}",
                replaced(source, access.start(), access.end(), text),
                probe=probing(
                    source, kernel, access.start(), access.end(), access[1], changed,
                    known[access[1]],
                ),
            )  # fmt: skip
            break

    barriers = inside(BARRIER)
    if barriers:
        barrier = generator.choice(barriers)
        line = line_of(source, barrier.start())
        yield Mutation(
            "barrier removed", line, "", replaced(source, barrier.start(), barrier.end(), "")
        )
        thread = THREAD.search(source)
        if thread:
            component = ".x" if thread[1][-1] in "23" else ""
            branch = f"if ({thread[2]}{component} < 1) {barrier[0]}"
            yield Mutation(
                "barrier in a branch", line, branch,
                replaced(source, barrier.start(), barrier.end(), branch),
            )  # fmt: skip

    variables = inside(DECLARED)
    generator.shuffle(variables)
    for variable in variables:
        if "const" in source[max(0, variable.start() - 12) : variable.start("type")]:
            continue
        declared = f"{variable['indent']}{variable['type']} {variable['name']}{variable['extent']}"
        name = variable["name"]
        fill = lambda number, variable=variable, name=name: (  # noqa: E731
            f" = {variable['type']}({number});"
            if not variable["extent"]
            else f"; for (uint q_ = 0; q_ < sizeof({name}) / sizeof(uint8_t); ++q_) "
            f"((thread uint8_t*){name})[q_] = {60 + 4 * number};"
        )
        variant = lambda end, variable=variable, declared=declared: replaced(  # noqa: E731
            source, variable.start(), variable.end(), declared + end
        )
        yield Mutation(
            "uninitialised read",
            line_of(source, variable.start("name")),
            f"{name} without {variable['value']}",
            variant(";"),
            pair=(variant(fill(0)), variant(fill(1))),
        )
        break
