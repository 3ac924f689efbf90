"""The sanitiser's findings, and running kernels under it.

`metalwright.compile(..., check=True)` compiles for it; `check` does all of it at once; `checking`
makes a program do it that compiles and calls its kernels itself.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from metalwright import _native
from metalwright.errors import Error

if TYPE_CHECKING:
    from metalwright.runtime.library import Library

Position = tuple[int, int, int]


@dataclass(frozen=True)
class CheckAccess:
    """The access of another thread that a race is with, or where other threads wait.

    ``kind`` is "read", "write" or "atomic"; at a barrier what the others are at, or "returned".
    """

    kind: str
    file: str
    line: int
    column: int
    thread_position_in_threadgroup: Position
    threadgroup_position_in_grid: Position
    thread_position_in_grid: Position


@dataclass(frozen=True)
class CheckFinding:
    """One thing that is wrong with a kernel, at one line.

    ``code`` is stable (docs/sanitizer.md lists them), ``severity`` is "error" or "warning". Lines
    and columns count from 1 and are 0 where the place is not known. The thread is the first one
    that it was found for; ``count`` says how often. ``buffer`` is the argument or variable,
    ``byte_offset`` where in it the access of ``size`` bytes begins, ``index`` the same in elements.
    What a finding is not about is None or empty.
    """

    code: str
    severity: str
    message: str
    kernel: str
    file: str
    line: int
    column: int
    source_line: str
    caret: str
    thread_position_in_threadgroup: Position | None
    threadgroup_position_in_grid: Position | None
    thread_position_in_grid: Position | None
    buffer: str
    index: int | None
    byte_offset: int | None
    size: int
    other: CheckAccess | None
    count: int

    def __str__(self) -> str:
        """As a compiler's diagnostic: place, message, the line and a caret, then notes."""
        place = f"{self.file}:{self.line}:{self.column}" if self.line else f"kernel {self.kernel}"
        lines = [f"{place}: {self.severity}: {self.message} [{self.code}]"]
        if self.source_line:
            lines += [self.source_line, self.caret]
        if self.thread_position_in_threadgroup is not None:
            times = f", {self.count} times" if self.count > 1 else ""
            lines.append(
                f"{place}: note: by thread {self.thread_position_in_threadgroup} of threadgroup "
                f"{self.threadgroup_position_in_grid}, {self.thread_position_in_grid} in the grid, "
                f"of kernel '{self.kernel}'{times}"
            )
        if self.other is not None and self.other.line:
            lines.append(
                f"{self.other.file}:{self.other.line}:{self.other.column}: note: {self.other.kind} "
                f"by thread {self.other.thread_position_in_threadgroup} of threadgroup "
                f"{self.other.threadgroup_position_in_grid}"
            )
        return "\n".join(lines)


class CheckError(Error):
    """A kernel compiled with ``check=True`` did something wrong; ``findings`` says what.

    Warnings are among the findings, but never the reason.
    """

    def __init__(self, findings: tuple[CheckFinding, ...]) -> None:
        super().__init__("check-failed", "\n".join(str(finding) for finding in findings))
        self.findings = findings


class CheckReport:
    """What the sanitiser found in one or many dispatches.

    Findings with one kernel, code and line are one, of the dispatch that had it first.
    """

    def __init__(self) -> None:
        self._findings: dict[tuple[str, str, str, int], CheckFinding] = {}
        self._kernels: dict[str, int] = {}

    @property
    def findings(self) -> tuple[CheckFinding, ...]:
        """All of them, errors first."""
        return tuple(sorted(self._findings.values(), key=lambda finding: finding.severity))

    @property
    def errors(self) -> tuple[CheckFinding, ...]:
        """Those of severity "error"."""
        return tuple(f for f in self.findings if f.severity == "error")

    @property
    def warnings(self) -> tuple[CheckFinding, ...]:
        """Those of severity "warning"."""
        return tuple(f for f in self.findings if f.severity == "warning")

    @property
    def kernels(self) -> tuple[str, ...]:
        """The names of the kernels that ran."""
        return tuple(self._kernels)

    @property
    def dispatches(self) -> int:
        """How many dispatches were checked."""
        return sum(self._kernels.values())

    @property
    def is_clean(self) -> bool:
        """Whether at least one kernel ran and nothing was found."""
        return bool(self._kernels) and not self._findings

    def add(self, kernel: str, findings: tuple[CheckFinding, ...]) -> None:
        """Notes a dispatch of `kernel`."""
        self._kernels[kernel] = self._kernels.get(kernel, 0) + 1
        for finding in findings:
            key = (kernel, finding.code, finding.file, finding.line)
            known = self._findings.get(key)
            self._findings[key] = (
                finding
                if known is None
                else dataclasses.replace(known, count=known.count + finding.count)
            )

    def to_json(self, indent: int | None = None) -> str:
        """The report as a JSON object: version, kernels, findings."""
        return json.dumps(
            {
                "version": 1,
                "kernels": list(self.kernels),
                "findings": [dataclasses.asdict(finding) for finding in self.findings],
            },
            indent=indent,
        )

    def __str__(self) -> str:
        texts = [str(finding) for finding in self.findings]
        texts.append(
            f"{len(self.errors)} errors, {len(self.warnings)} warnings in "
            f"{self.dispatches} dispatches of {len(self._kernels)} kernels"
        )
        return "\n".join(texts)

    def __repr__(self) -> str:
        return f"<metalwright.CheckReport: {str(self).splitlines()[-1]}>"


class _Checking:
    """A `checking` context that is active; of all threads, since a program may have many."""

    def __init__(self, report: CheckReport, raise_errors: bool) -> None:
        self.report = report
        self.raise_errors = raise_errors


_active: list[_Checking] = []


def is_checking() -> bool:
    """Whether what is compiled now is compiled for the sanitiser though nobody asked for it."""
    return bool(_active)


@contextmanager
def checking(*, raise_errors: bool = False) -> Iterator[CheckReport]:
    """Within it every `metalwright.compile` and `compile_shader` compiles with ``check=True``.

    What is found in the kernels that run within it is in the report. Kernels that were compiled
    before are not checked.

    Args:
        raise_errors: Whether a dispatch with an error raises `CheckError`.
    """
    entry = _Checking(CheckReport(), raise_errors)
    _active.append(entry)
    try:
        yield entry.report
    finally:
        _active.remove(entry)


def note_dispatch(kernel: str, findings: tuple[CheckFinding, ...]) -> None:
    """Takes the findings of a dispatch to the reports that are open.

    Raises:
        CheckError: there is an error among them, and nobody who collects wants it not to.
    """
    for entry in _active:
        entry.report.add(kernel, findings)
    if any(f.severity == "error" for f in findings) and all(e.raise_errors for e in _active):
        raise CheckError(findings)


def make_finding(
    finding: _native.Finding, kernel: str, source: str, file_name: str
) -> CheckFinding:
    """The native finding with the text of its line, where that is in `source`."""
    file, line, column = finding.place
    source_line = caret = ""
    if line and file == file_name:
        lines = source.splitlines()
        if line <= len(lines):
            source_line = lines[line - 1]
            # Tabs stay tabs, so that the caret stands below what it means.
            before = source_line[: max(column - 1, 0)]
            caret = "".join("\t" if c == "\t" else " " for c in before) + "^"
    thread: tuple[Position | None, Position | None, Position | None] = finding.thread or (
        None,
        None,
        None,
    )
    other = None
    if finding.other is not None:
        kind, (other_file, other_line, other_column), position = finding.other
        other = CheckAccess(kind, other_file, other_line, other_column, *position)
    return CheckFinding(
        code=finding.code,
        severity="error" if finding.is_error else "warning",
        message=finding.message,
        kernel=kernel,
        file=file,
        line=line,
        column=column,
        source_line=source_line,
        caret=caret,
        thread_position_in_threadgroup=thread[0],
        threadgroup_position_in_grid=thread[1],
        thread_position_in_grid=thread[2],
        buffer=finding.buffer,
        index=finding.index,
        byte_offset=finding.byte_offset,
        size=finding.size,
        other=other,
        count=finding.count,
    )


def check(
    target: str | Library,
    *args: Any,
    kernel: str | None = None,
    options: Mapping[str, Any] | None = None,
    deadline: float | None = None,
    **call: Any,
) -> CheckReport:
    """Runs a kernel once under the sanitiser and says what is wrong with it.

    The kernel really runs: what it writes into its arguments is there afterwards, but for what it
    would have written outside of them.

    Args:
        target: Metal source, or a library that was compiled with ``check=True``.
        args: The kernel's arguments, as for a call on the cpu device.
        kernel: Its name; may be missing if there is only one.
        options: For source: further keywords of `metalwright.compile`.
        deadline: Seconds after which the run is stopped.
        call: The keywords of the call: ``threads=``, ``group_size=``, arguments by name, ...

    Raises:
        CompileError: the source does not compile.
        Error: ``kernel-not-named``, ``not-checked``, and what a call raises.
        DispatchError: the deadline passed.
    """
    from metalwright.runtime.compiling import compile

    library = compile(target, check=True, **(options or {})) if isinstance(target, str) else target
    if not library.is_checked:
        raise Error("not-checked", "the library was not compiled with check=True")
    if kernel is None:
        if len(library.kernel_names) != 1:
            raise Error(
                "kernel-not-named",
                f"there are {len(library.kernel_names)} kernels: name one with kernel=",
                f"Its kernels: {', '.join(library.kernel_names[:10])}",
            )
        kernel = library.kernel_names[0]
    if deadline is not None:
        call["deadline"] = deadline
    with checking() as report:
        library.kernel(kernel)(*args, **call)
    return report
