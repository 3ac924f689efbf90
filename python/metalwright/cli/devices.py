"""`metalwright devices`: what is there to compile for and run on."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table

from metalwright.cli.exits import reporting


@reporting
def list_devices() -> None:
    """List the devices that kernels can be compiled for and run on here."""
    from metalwright.runtime import default_device, devices

    found = devices()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("device", "name", "architecture"):
        table.add_column(name, overflow="fold")
    for name in ("units", "threads per group", "threadgroup memory"):
        table.add_column(name, justify="right")
    default = default_device() if found else ""
    for info in found:
        table.add_row(
            info.kind + (" (default)" if info.kind == default else ""),
            info.name,
            info.architecture,
            str(info.compute_units),
            str(info.max_threads_per_threadgroup),
            f"{info.max_threadgroup_memory // 1024} KiB",
        )
    console = Console()
    if found:
        console.print(table)
        for info in found:
            console.print(f"{info.kind}: times are read from {info.clock}")
            for name, value in info.details.items():
                console.print(f"  {name}: {value}", highlight=False)
    else:
        console.print("No device: this build has no compiler and this machine no Metal.")
