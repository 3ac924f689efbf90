"""Random well-defined kernels: divergent loops, early exits, simdgroup functions, barriers.

A third of them keep all threads together: conditions only choose values and loops have the same
bounds for all, as in most kernels with tiles. Loops along rows, by one thread or by the threadgroup
in strides, and sums that every thread makes of all threadgroup memory are drawn everywhere, since
the engine has forms of its own for them.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

THREADS = 1024  # the most that a grid has
ROWS = 4 * THREADS  # where the rows begin
WALKS = ROWS + 16 * THREADS  # where rows begin that a threadgroup strides over
OUTPUTS = WALKS + 16 * THREADS


@dataclass
class Program:
    """Statements of a kernel, each a block of lines that can be left out without the others."""

    seed: int
    statements: list[str] = field(default_factory=list)

    def source(self) -> str:
        """The kernel ``k(device int* in, device int* out)``: 1024 in; out, four per thread, then
        rows of sixteen per thread from ``ROWS`` and of 1024 per threadgroup from ``WALKS`` on.
        """
        body = "\n".join(self.statements)
        return f"""#include <metal_stdlib>
using namespace metal;
kernel void k(device const int* in, device int* out,
              uint gid [[thread_position_in_grid]], uint tid [[thread_position_in_threadgroup]],
              uint lane [[thread_index_in_simdgroup]],
              uint group [[simdgroup_index_in_threadgroup]],
              uint size [[threads_per_threadgroup]]) {{
  threadgroup int shared[1024];
  int a = in[gid], b = in[(gid * 7 + 3) & 1023], c = int(lane), d = int(tid) - 5;
  float x = float(a) * 0.25f, y = float(b & 63) - 20.0f;
{body}
  out[gid * 4] = a ^ c;
  out[gid * 4 + 1] = int(uint(b) + uint(d)); // a sum of int must not wrap
  out[gid * 4 + 2] = as_type<int>(x);
  out[gid * 4 + 3] = as_type<int>(y);
}}
"""


class Writer:
    """Draws statements; every choice comes from the seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.seed = seed
        self.loops = 0
        self.stays_together = self.random.random() < 0.33

    def program(self) -> Program:
        count = self.random.randint(2, 7)
        return Program(self.seed, [self.statement(0, True) for _ in range(count)])

    def integer(self, depth: int = 0) -> str:
        pick = self.random.randrange(12 if depth < 3 else 5)
        if pick < 4:
            return self.random.choice("abcd")
        if pick == 4:
            return str(self.random.choice([0, 1, 2, 3, 5, 8, 31, 255, 1000003, -1, -7]))
        left, right = self.integer(depth + 1), self.integer(depth + 1)
        if pick == 5:
            return f"int(uint({left}) {self.random.choice('+-*')} uint({right}))"
        if pick == 6:
            return f"({left} {self.random.choice('&|^')} {right})"
        if pick == 7:
            return f"int(uint({left}) {self.random.choice(['<<', '>>'])} (uint({right}) & 31))"
        if pick == 8:
            return f"(({left}) {self.random.choice('/%')} (({right} & 15) + 1))"
        if pick == 9:
            return f"({self.condition(depth + 1)} ? {left} : {right})"
        if pick == 10:
            return f"{self.random.choice(['min', 'max'])}({left}, {right})"
        narrow = self.random.choice(["short", "uchar", "ushort", "char"])
        return f"int({narrow}({left}))"

    def real(self, depth: int = 0) -> str:
        pick = self.random.randrange(7 if depth < 2 else 3)
        if pick < 2:
            return self.random.choice("xy")
        if pick == 2:
            return f"float({self.integer(2)} & 1023)"
        left, right = self.real(depth + 1), self.real(depth + 1)
        if pick == 3:
            return f"({left} {self.random.choice('+-*')} {right})"
        if pick == 4:
            return f"fma({left}, 0.5f, {right})"
        if pick == 5:
            return f"({self.condition(2)} ? {left} : {right})"
        return f"{self.random.choice(['exp', 'sin', 'floor', 'sqrt', 'fabs'])}({left} * 0.01f)"

    def condition(self, depth: int = 0) -> str:
        left, right = self.integer(depth + 2), self.integer(depth + 2)
        if self.random.random() < 0.2:
            return f"({self.real(2)} < {self.real(2)})"
        return f"(({left} & 7) {self.random.choice(['<', '>', '==', '!='])} ({right} & 7))"

    def across(self) -> str:
        """An operation among the threads that run."""
        function = self.random.choice(
            [
                "sum",
                "min",
                "max",
                "and",
                "or",
                "xor",
                "prefix_inclusive_sum",
                "prefix_exclusive_sum",
            ]
        )
        group = self.random.choice(["simd", "simd", "quad"])
        pick = self.random.randrange(6)
        if pick == 0:
            return f"b = {group}_{function}({self.integer(1)});"
        if pick == 1:
            # Reading a lane that takes no part is undefined in Metal, zero here: both agree.
            return f"a = simd_shuffle_xor({self.integer(1)}, {self.random.choice([1, 2, 8, 16])});"
        if pick == 2:
            return f"c = simd_shuffle({self.integer(1)}, ushort({self.integer(1)} & 31));"
        if pick == 3:
            return (
                f"d += int(simd_any({self.condition()})) + 2 * int(simd_all({self.condition()}));"
            )
        if pick == 4:
            return f"x = simd_sum({self.real(1)});"
        return f"a = simd_shuffle_down({self.integer(1)}, {self.random.choice([1, 3, 16])});"

    def row_walk(self) -> str:
        """Each thread goes along a row of its own, reading or writing."""
        self.loops += 1
        index, length = f"r{self.loops}", self.random.choice([3, 8, 16])
        row = f"out[{ROWS} + gid * 16 + {index}]"
        body = self.random.choice(
            [
                f"a += in[(gid & 63) * 16 + {index}];",
                f"x = fma(float(in[(gid & 63) * 16 + {index}]), 0.5f, x);",
                f"b = max(b, in[(gid & 63) * 16 + {index}] ^ c);",
                f"{row} = c += in[(gid & 63) * 16 + {index}];",
                f"{row} = {self.integer(2)};",
            ]
        )
        return f"  for (uint {index} = 0; {index} < {length}; ++{index}) {body}"

    def stride_walk(self) -> str:
        """A threadgroup strides over a row, each thread one element or two at a time."""
        self.loops += 1
        index = f"w{self.loops}"
        is_wide = self.random.random() < 0.3
        start, step = ("2 * tid", "2 * size") if is_wide else ("tid", "size")
        bound = self.random.choice(
            ["4 * size", "1000u", "300u", "uint(in[5] & 511)", "uint(in[5] & 511) / 3"]
            + ([] if self.stays_together else ["uint(a & 255)"])
        )
        element = f"in[({index} + {self.random.choice([0, 1, 31])}) & 1023]"
        bodies = [
            f"a = int(uint(a) + uint({element}));",
            f"x = fma(float({element}), 0.5f, x);",
            f"b = max(b, {element} ^ c);",
            f"c = int(uint(c) * 3u + uint({element}));",
            f"if {self.condition()} d ^= {element}; else a = int(uint(a) - uint({element}));",
        ]
        if is_wide:
            bodies.append(f"a = int(uint(a) * 5u + uint({element} * in[({index} + 1) & 1023]));")
        else:  # of a place that the same thread has in each such loop
            bodies.append(f"out[{WALKS} + gid / size * 1024 + {index}] = {self.integer(1)};")
        head = f"for (uint {index} = {start}; {index} < {bound}; {index} += {step})"
        return f"  {head} {self.random.choice(bodies)}"

    def shared_sum(self) -> str:
        """Every thread computes the same of what all have written."""
        self.loops += 1
        index = f"s{self.loops}"
        body = self.random.choice(
            [
                f"a += shared[{index}];",
                f"x += float(shared[{index}] & 1023);",
                f"d = max(d, shared[{index}]);",
                f"c = c * 31 + shared[{index}];",
            ]
        )
        return (
            f"  shared[tid] = {self.integer(2)}; threadgroup_barrier(mem_flags::mem_threadgroup);\n"
            f"  for (uint {index} = 0; {index} < size; ++{index}) {body}\n"
            "  threadgroup_barrier(mem_flags::mem_threadgroup);"
        )

    def statement(self, depth: int, together: bool) -> str:
        """`together`: every thread of the threadgroup comes here, so a barrier may stand here."""
        if self.random.random() < 0.18:
            if together and self.random.random() < 0.33:
                return self.shared_sum()
            return self.row_walk() if self.random.random() < 0.5 else self.stride_walk()
        pick = self.random.randrange(10)
        if depth >= 3 or pick < 3:
            name = self.random.choice("abcdxy")
            value = self.real() if name in "xy" else self.integer()
            return f"  {name} = {value};"
        if pick < 5:
            return "  " + self.across()
        if pick == 5 and together:
            return (
                "  shared[tid] = a; threadgroup_barrier(mem_flags::mem_threadgroup);\n"
                f"  b ^= shared[(tid + {self.random.randrange(1, 40)}) % size];\n"
                "  threadgroup_barrier(mem_flags::mem_threadgroup);"
            )
        if self.stays_together and pick < 8:
            name = self.random.choice("abcd")
            return f"  if {self.condition()} {name} = {self.integer(1)};"
        if pick < 8:
            inner = "\n".join(self.statement(depth + 1, False) for _ in range(2))
            other = self.statement(depth + 1, False)
            return f"  if {self.condition()} {{\n{inner}\n  }} else {{\n{other}\n  }}"
        self.loops += 1
        index = f"i{self.loops}"
        uniform = self.stays_together or self.random.random() < 0.4
        bound = str(self.random.randint(1, 5)) if uniform else f"({self.integer(2)} & 7)"
        inner = "\n".join(
            self.statement(depth + 1, together and uniform)
            for _ in range(self.random.randint(1, 2))
        )
        leave = ""
        if not uniform and self.random.random() < 0.6:
            leave = f"\n  if {self.condition()} {self.random.choice(['break', 'continue'])};"
        end = f"e{self.loops}"
        head = f"for (int {index} = 0, {end} = {bound}; {index} < {end}; ++{index})"
        return f"  {head} {{\n  a += {index};{leave}\n{inner}\n  }}"
