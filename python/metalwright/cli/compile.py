"""`metalwright compile`: diagnostics, reflection and code of a Metal file."""

from __future__ import annotations

import enum
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from metalwright.cli import exits, options
from metalwright.errors import user_error

if TYPE_CHECKING:
    from metalwright.runtime import Diagnostic, Kernel, Library


class MathMode(str, enum.Enum):
    """How strictly floating-point rules are kept."""

    safe = "safe"
    relaxed = "relaxed"
    fast = "fast"


class Stage(str, enum.Enum):
    """What code to print."""

    air = "air"
    llvm = "llvm"
    asm = "asm"


@exits.reporting
def compile_file(
    file: Annotated[
        Path, typer.Argument(metavar="FILE.metal", help="Metal source.", show_default=False)
    ],
    defines: Annotated[
        list[str] | None,
        typer.Option("-D", metavar="NAME[=VALUE]", help="Define a preprocessor macro."),
    ] = None,
    include: Annotated[
        list[Path] | None, typer.Option("-I", metavar="FOLDER", help="Search it for #include.")
    ] = None,
    math_mode: Annotated[MathMode, typer.Option(help="Floating-point rules.")] = MathMode.safe,
    std: Annotated[
        str | None,
        typer.Option(
            "--std",
            metavar="VERSION",
            help="Metal language version, as in 3.1. If missing 3.2, or the device's newest.",
            show_default=False,
        ),
    ] = None,
    kernel: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only this kernel. Can be repeated."),
    ] = None,
    constant: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Set a function constant, by name or index."),
    ] = None,
    emit: Annotated[
        Stage | None, typer.Option(help="Print this code of the kernels to stdout.")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Print how each kernel is going to execute, and why.")
    ] = False,
    device: options.Device = None,
) -> None:
    """Compile a Metal file; print its diagnostics, and its kernels with their arguments."""
    from metalwright.problems.problem import read_text
    from metalwright.runtime import CompileError
    from metalwright.runtime import compile as compile_source

    source = read_text(file)
    try:
        library = compile_source(
            source,
            device=device,
            math_mode=math_mode.value,
            language_version=std.removeprefix("metal") if std else None,
            macros=_macros(defines),
            include_paths=include or (),
            constants=_constants(constant),
            file_name=str(file),
        )
    except CompileError as error:
        sys.stderr.write(str(error).rstrip() + "\n")
        count = sum(d.severity == "error" for d in error.diagnostics)
        sys.stderr.write(f"{count} error{'s' * (count != 1)} generated.\n")
        raise typer.Exit(exits.COMPILE_ERROR) from None
    _print_diagnostics(library.warnings)
    # Asked for first: a name that is not there must not come after pages of code.
    kernels = [library.kernel(name) for name in kernel or library.kernel_names]
    for item in kernels:
        if emit is not None:
            print(item.code(emit.value).rstrip())
        else:
            _print_kernel(item)
        if explain:
            sys.stdout.write(item.explain())
    if emit is None:
        _print_constants(library)


def _print_diagnostics(diagnostics: Sequence[Diagnostic]) -> None:
    for item in diagnostics:
        place = f"{item.file}:{item.line}:{item.column}"
        sys.stderr.write(f"{place}: {item.severity}: {item.message}\n")
        if item.source_line:
            sys.stderr.write(f"{item.source_line}\n{item.caret}\n")


def _print_kernel(kernel: Kernel) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    print(
        f"{kernel.name}: at most {kernel.max_threads_per_threadgroup} threads per threadgroup, "
        f"simdgroups of {kernel.thread_execution_width}, "
        f"{kernel.static_threadgroup_memory} bytes of threadgroup memory"
    )
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("index", "name", "kind", "address space", "access", "type", "size", "alignment"):
        numeric = name in ("index", "size", "alignment")
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for item in kernel.arguments:
        table.add_row(
            str(item.index),
            item.name + ("" if item.is_used else " (unused)"),
            item.kind,
            item.address_space,
            item.access,
            item.type_name + (" &" if item.is_reference else " *"),
            str(item.size),
            str(item.alignment),
        )
    if kernel.arguments:
        console.print(table, markup=False)


def _print_constants(library: Library) -> None:
    for constant in library.function_constants:
        needed = "" if constant.required else " (optional)"
        print(f"function constant {constant.index}: {constant.type_name} {constant.name}{needed}")


def _macros(texts: list[str] | None) -> dict[str, str]:
    macros = {}
    for text in texts or ():
        name, separator, value = text.partition("=")
        if not name.isidentifier():
            raise user_error("bad-option", option=f"-D {text}", reason="no name of a macro")
        # As in C compilers: -D NAME means 1.
        macros[name] = value if separator else "1"
    return macros


def _constants(texts: list[str] | None) -> dict[int | str, Any]:
    import ast

    constants: dict[int | str, Any] = {}
    for text in texts or ():
        name, separator, value = text.partition("=")
        words = {"true": True, "false": False}
        try:
            parsed = words[value] if value in words else ast.literal_eval(value)
        except (ValueError, SyntaxError):
            parsed = None
        numbers = parsed if isinstance(parsed, (tuple, list)) else [parsed]
        if not separator or not all(isinstance(n, (bool, int, float)) for n in numbers):
            raise user_error(
                "bad-option",
                option=f"--constant {text}",
                reason="write NAME=VALUE, VALUE a number, true, false or a tuple of numbers",
            )
        constants[int(name) if name.isdigit() else name] = parsed
    return constants
