"""Compiling Metal source that is not trusted, in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

from metalwright.errors import Error
from metalwright.evaluation.launcher import worker_environment

_SECONDS = 60.0
_MAX_DIAGNOSTICS = 12


async def check_metal(source: str, device: str) -> tuple[str, bool]:
    """What the compiler says of a source, and whether it refused it."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "metalwright.search.compile_check", device),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
        env=worker_environment(),
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(source.encode()), _SECONDS)
    except asyncio.TimeoutError:
        return f"The compiler took longer than {_SECONDS:g} s.", True
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    try:
        text, refused = json.loads(output)
    except ValueError:
        return f"The compiler ended with status {process.returncode}.", True
    return str(text), bool(refused)


def main() -> None:
    """Reads Metal source, writes one JSON list: the text for the model, and whether it failed."""
    from metalwright.runtime import CompileError
    from metalwright.runtime import compile as compile_metal

    try:
        library = compile_metal(sys.stdin.read(), device=sys.argv[1])
    except CompileError as error:
        print(json.dumps(["\n".join(_lines(error.diagnostics)), True]))
    except Error as error:
        print(json.dumps([str(error), True]))
    else:
        lines = ["It compiles.", *_lines(library.warnings)]
        for name in library.kernel_names:
            arguments = library.kernel(name).arguments if not library.function_constants else []
            shown = ", ".join(f"{a.name}: {a.type_name}" for a in arguments)
            lines.append(f"kernel {name}({shown})")
        print(json.dumps(["\n".join(lines), False]))


def _lines(diagnostics: Any) -> Iterator[str]:
    for item in list(diagnostics)[:_MAX_DIAGNOSTICS]:
        yield f"{item.file}:{item.line}:{item.column}: {item.severity}: {item.message}"
        if item.source_line:
            yield f"    {item.source_line}"
            yield f"    {item.caret}"


if __name__ == "__main__":
    main()
