"""Runs the mutations and counts: ``python -m mutations.measure [--seeds N] [--tinygrad FILE] ...``.

Run it in ``tests/``. It prints the table of docs/sanitizer.md.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import metalwright
from mutations import mutate, originals
from mutations.originals import Original

GUARD = 4096  # bytes around each buffer
DEADLINE = 10.0


@contextlib.contextmanager
def engine(name: str) -> Iterator[None]:
    before = os.environ.get("METALWRIGHT_CPU_ENGINE")
    os.environ["METALWRIGHT_CPU_ENGINE"] = name
    try:
        yield
    finally:
        if before is None:
            del os.environ["METALWRIGHT_CPU_ENGINE"]
        else:
            os.environ["METALWRIGHT_CPU_ENGINE"] = before


def guarded(value: Any, fill: int) -> Any:
    """A copy with memory around it that an access may reach."""
    if not isinstance(value, np.ndarray):
        return copy.deepcopy(value)
    memory = np.full(value.nbytes + 2 * GUARD, fill, np.uint8)
    inner = memory[GUARD : GUARD + value.nbytes].view(value.dtype).reshape(value.shape)
    inner[...] = value
    return inner


def run(
    original: Original,
    source: str,
    *,
    fill: int = 0,
    engine_name: str = "",
    extra: np.ndarray | None = None,
) -> bytes | str:
    """What the arguments and the memory around them hold afterwards, or the code of the error."""
    arguments = [guarded(value, fill) for value in original.arguments]
    call = {"deadline": DEADLINE, **original.call}
    if extra is not None:
        call["__flag"] = extra
    try:
        with engine(engine_name):
            library = metalwright.compile(source, device="cpu", **original.options)
            library.kernel(original.kernel)(*arguments, **call)
    except metalwright.CompileError:
        raise
    except metalwright.Error as error:
        return error.code
    arrays = [a for a in arguments if isinstance(a, np.ndarray)]
    return b"".join(a.tobytes() for a in arrays)


def writes_outside(original: Original, source: str) -> bool:
    """Whether memory around the buffers changes, or decides what is in them."""
    results = []
    for fill in (0x11, 0x3C):
        arguments = [guarded(value, fill) for value in original.arguments]
        try:
            library = metalwright.compile(source, device="cpu", **original.options)
            library.kernel(original.kernel)(*arguments, deadline=DEADLINE, **original.call)
        except metalwright.CompileError:
            raise
        except metalwright.Error:
            return True
        for value in arguments:
            if isinstance(value, np.ndarray):
                base = value
                while base.base is not None:
                    base = base.base
                around = np.concatenate([base[:GUARD], base[-GUARD:]])
                if np.any(around != fill):
                    return True
        results.append(b"".join(a.tobytes() for a in arguments if isinstance(a, np.ndarray)))
    return results[0] != results[1]


def is_reachable(original: Original, mutation: mutate.Mutation) -> bool:
    """Whether the mutation's effect occurs on this input, decided without the sanitiser."""
    if mutation.kind in ("bound off by one", "index swapped"):
        if mutation.probe is None:
            return writes_outside(original, mutation.source)
        flag = np.zeros(1, np.uint32)
        run(original, mutation.probe, extra=flag)
        return bool(flag[0])
    if mutation.kind == "barrier in a branch":
        return run(original, mutation.source, engine_name="checked") == "divergent-barrier"
    if mutation.kind == "uninitialised read":
        assert mutation.pair is not None
        first, second = (run(original, source) for source in mutation.pair)
        return first != second
    # A barrier removed: some engine computes something else.
    right = run(original, original.source)
    return any(
        run(original, mutation.source, engine_name=name) != right for name in ("checked", "")
    )


def report_of(original: Original, source: str) -> metalwright.CheckReport:
    arguments = copy.deepcopy(original.arguments)
    return metalwright.check(
        source, *arguments, kernel=original.kernel, options=original.options, deadline=60,
        **original.call,
    )  # fmt: skip


# What each class has to be found as.
EXPECTED = {
    "bound off by one": {"out-of-bounds"},
    "index swapped": {"out-of-bounds"},
    "barrier removed": {"data-race", "uninitialised-read", "benign-race", "order-dependent"},
    "barrier in a branch": {"divergent-barrier"},
    "uninitialised read": {"uninitialised-read"},
}


@dataclass
class Tally:
    made: int = 0
    reachable: int = 0
    found: int = 0
    found_unreachable: int = 0  # of those that were not shown to matter
    missed: list[str] = field(default_factory=list)


@dataclass
class Outcome:
    kernels: int = 0
    alarms: list[str] = field(default_factory=list)
    same_value: int = 0  # originals in which threads write one value to one place
    tallies: dict[str, Tally] = field(default_factory=lambda: {k: Tally() for k in mutate.CLASSES})


def lengths_of(original: Original) -> dict[str, str]:
    """Elements of each buffer in units of the kernel's own type."""
    kernel = metalwright.compile(original.source, device="cpu", **original.options).kernel(
        original.kernel, original.call.get("constants")
    )
    buffers = [a for a in kernel.arguments if a.kind == "buffer"]
    lengths = {}
    for argument, value in zip(buffers, original.arguments, strict=False):
        if isinstance(value, np.ndarray) and argument.size:
            lengths[argument.name] = str(value.nbytes // argument.size)
    return lengths


def measure(kernels: Iterator[Original], seeds: int) -> Outcome:
    outcome = Outcome()
    for original in kernels:
        report = report_of(original, original.source)
        outcome.kernels += 1
        codes = {finding.code for finding in report.findings}
        outcome.same_value += "benign-race" in codes
        # Some programs of the conformance suite are about what a warning is about.
        if report.errors or codes - WARNED.get(original.name.partition(".")[0], set()) - {
            "benign-race"
        }:
            outcome.alarms.append(f"{original.name}: {sorted(codes)}")
        done = set()
        lengths = lengths_of(original)
        for seed in range(seeds):
            for mutation in mutate.mutations(original.source, original.kernel, lengths, seed):
                if mutation.source in done:
                    continue
                done.add(mutation.source)
                try:
                    reachable = is_reachable(original, mutation)
                    found = report_of(original, mutation.source)
                except metalwright.CompileError:
                    continue  # not a program any more
                tally = outcome.tallies[mutation.kind]
                tally.made += 1
                hit = bool({f.code for f in found.findings} & EXPECTED[mutation.kind])
                if reachable:
                    tally.reachable += 1
                    tally.found += hit
                    if not hit:
                        tally.missed.append(
                            f"{original.name}:{mutation.line}: {mutation.what} "
                            f"{sorted({f.code for f in found.findings})}"
                        )
                else:
                    tally.found_unreachable += hit
    return outcome


WARNED = {
    "conversion_float_to_integer": {"conversion-overflow"},
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tinygrad", type=Path)
    parser.add_argument("--inductor", type=Path)
    parser.add_argument("--missed", action="store_true")
    options = parser.parse_args()
    kernels: list[Original] = [*originals.conformance(), *originals.own()]
    if options.tinygrad:
        kernels += originals.tinygrad(options.tinygrad)
    if options.inductor:
        kernels += originals.inductor(options.inductor)
    outcome = measure(iter(kernels), options.seeds)
    print(f"{outcome.kernels} correct kernels: {len(outcome.alarms)} with an alarm, "
          f"{outcome.same_value} with writes of one value by several threads")  # fmt: skip
    for alarm in outcome.alarms:
        print("  alarm:", alarm)
    print("| class | mutants | reachable | found | share | found of the others |")
    print("|---|---|---|---|---|---|")
    for kind, t in outcome.tallies.items():
        share = f"{100 * t.found / t.reachable:.1f} %" if t.reachable else "-"
        print(f"| {kind} | {t.made} | {t.reachable} | {t.found} | {share} | "
              f"{t.found_unreachable} of {t.made - t.reachable} |")  # fmt: skip
    if options.missed:
        for kind, t in outcome.tallies.items():
            for text in t.missed:
                print("missed:", kind, text)


if __name__ == "__main__":
    main()
