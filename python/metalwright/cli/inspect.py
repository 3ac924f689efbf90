"""`metalwright inspect`: what is in a .metallib file."""

from __future__ import annotations

import fnmatch
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from metalwright.cli import exits, options
from metalwright.errors import Error, user_error

if TYPE_CHECKING:
    from metalwright.runtime import IntrinsicUse, KernelDescription


@exits.reporting
def inspect_file(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE.metallib", help="A compiled library.", show_default=False),
    ],
    kernel: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help="Only kernels like this, as in 'gemm_*'. Repeatable."),
    ] = None,
    names: Annotated[bool, typer.Option("--names", help="Print the names only.")] = False,
    intrinsics: Annotated[
        bool,
        typer.Option("--intrinsics", help="List the AIR intrinsics that its kernels call instead."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, a kernel a line.")] = False,
    device: options.Device = None,
) -> None:
    """List the kernels of a .metallib file with their arguments and function constants."""
    from metalwright.runtime import load_metallib

    library = load_metallib(file, device=device)
    if intrinsics:
        _print_intrinsics(library.intrinsics(), len(library.kernel_names), as_json)
        return
    chosen = [
        name
        for name in library.kernel_names
        if not kernel or any(fnmatch.fnmatchcase(name, pattern) for pattern in kernel)
    ]
    if kernel and not chosen:
        raise user_error(
            "bad-option",
            option=f"--kernel {' '.join(kernel)}",
            reason=f"none of the {len(library.kernel_names)} kernels of {file} is called that",
        )
    for name in chosen:
        if names:
            print(name)
            continue
        try:
            description = library.describe(name)
        except Error as error:  # one kernel that cannot be read does not hide the others
            print(
                json.dumps({"name": name, "error": str(error)}) if as_json else f"{name}: {error}"
            )
            continue
        if as_json:
            print(json.dumps(_as_dict(description)))
        else:
            _print(description)
    if not as_json and not names:
        print(f"{len(chosen)} of {len(library.kernel_names)} kernels")


def _print_intrinsics(uses: list[IntrinsicUse], kernels: int, as_json: bool) -> None:
    for use in uses:
        if as_json:
            fields = ("name", "kernels", "example", "is_supported")
            print(json.dumps({field: getattr(use, field) for field in fields}))
        else:
            missing = "" if use.is_supported else ", NOT SUPPORTED"
            print(f"{use.name}: {use.kernels} kernels, as {use.example}{missing}")
    if not as_json:
        missing_count = sum(not use.is_supported for use in uses)
        print(f"{len(uses)} intrinsics in {kernels} kernels, {missing_count} not supported")


def _as_dict(description: KernelDescription) -> dict[str, Any]:
    fields = (
        "index", "name", "kind", "address_space", "access", "type_name", "size", "alignment",
        "is_reference", "is_used",
    )  # fmt: skip
    return {
        "name": description.name,
        "max_total_threads_per_threadgroup": description.max_total_threads_per_threadgroup,
        "arguments": [
            {field: getattr(argument, field) for field in fields}
            for argument in description.arguments
        ],
        "function_constants": [
            {"index": c.index, "name": c.name, "type_name": c.type_name, "required": c.required}
            for c in description.function_constants
        ],
    }


def _print(description: KernelDescription) -> None:
    print(
        f"{description.name}: at most {description.max_total_threads_per_threadgroup} threads per "
        "threadgroup"
    )
    for argument in description.arguments:
        reference = "&" if argument.is_reference else "*"
        unused = "" if argument.is_used else ", unused"
        print(
            f"  {argument.kind} {argument.index}: {argument.address_space} "
            f"{argument.type_name}{reference} {argument.name} ({argument.access}{unused})"
        )
    for constant in description.function_constants:
        optional = "" if constant.required else " (optional)"
        name = f" {constant.name}" if constant.name else ""
        print(f"  function constant {constant.index}: {constant.type_name}{name}{optional}")
