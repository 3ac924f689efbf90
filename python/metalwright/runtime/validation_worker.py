"""The process in which `validate` runs a kernel: reads a job, writes how it ended.

    python -m metalwright.runtime.validation_worker JOB RESULT

Both files belong to the process that started this one, which is the same user's and trusted.
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

from metalwright.errors import Error
from metalwright.runtime.buffer import Buffer
from metalwright.runtime.compiling import compile
from metalwright.runtime.validation import Packed


def _unpacked(value: Any, device: str) -> Any:
    if not isinstance(value, Packed):
        return value
    buffer = Buffer(device, (value.elements,), value.dtype)
    buffer.set_bytes(value.data)
    return buffer


def main(job_path: str, result_path: str) -> None:
    """Runs the job."""
    job: dict[str, Any] = pickle.loads(Path(job_path).read_bytes())
    device = job["device"]
    try:
        library = compile(job["source"], device=device, **job["options"])
        kernel = library.kernel(job["kernel"], job["constants"])
        args = [_unpacked(value, device) for value in job["args"]]
        call: dict[str, Any] = {
            name: _unpacked(value, device) for name, value in job["call"].items()
        }
        kernel(*args, **call)
        text = ""
    except Error as error:
        text = f"{error.code}: {error}"
    Path(result_path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
