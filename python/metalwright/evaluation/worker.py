"""The worker process: confines itself, loads one service and answers the judge's requests.

Requests and replies are lines of JSON: {"id", "command", ...} and {"id", "ok": {...}} or
{"id", "error": {...}}. Nothing in a reply is a verdict; a reply is a claim that the judge checks.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import IO, Any

from metalwright.evaluation import sandbox


@dataclass(frozen=True)
class WorkerOptions:
    """How a worker starts. `service` names a class, ``module:Class``, made without arguments.

    Its methods that start with ``command_`` take the request's arguments and return plain data.
    """

    service: str
    memory_limit: int
    scratch: str
    network: bool = False
    folder: str = ""
    """The only folder that the worker may write to; empty: it runs the user's own code and may."""
    readable: tuple[str, ...] = ()
    """What it may read in memory file systems besides `folder`."""
    seatbelt: str = ""
    """What has come of the sandbox that it was started in; empty: of none."""

    def to_json(self) -> str:
        """The options as one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> WorkerOptions:
        """Reads what `to_json` wrote."""
        return cls(**json.loads(text))


_CACHES = (
    "XDG_CACHE_HOME",
    "TORCH_EXTENSIONS_DIR",
    "TORCHINDUCTOR_CACHE_DIR",
    "TRITON_CACHE_DIR",
)


class Refusal(Exception):
    """A service's way to answer with an error: plain data that says what went wrong."""

    def __init__(self, **error: Any) -> None:
        super().__init__(error.get("message", ""))
        self.error = error


def run_worker(options: WorkerOptions, requests: int, replies: int) -> None:
    """Serves requests from one file descriptor on another until the former ends."""
    isolation = sandbox.enter(
        options.memory_limit,
        options.network,
        options.folder,
        options.readable,
        (requests, replies),
        options.seatbelt,
    )
    os.chdir(options.scratch)
    # Where Python and compilers put what they need for a while.
    os.environ["TMPDIR"] = options.scratch
    if options.folder:
        # Their usual places cannot be written to: a candidate that compiles C++ with torch
        # (`load_inline`) would fail for that alone.
        for name in _CACHES:
            os.environ[name] = os.path.join(options.scratch, name.lower())
    tempfile.tempdir = None
    with (
        open(requests, "rb", buffering=0) as incoming,
        open(replies, "wb", buffering=0) as outgoing,
    ):
        service = _make(options.service)
        _send(outgoing, {"id": 0, "ok": {"isolation": isolation}})
        # Everything that exists now lives until the end; the collector need not look at it again.
        gc.freeze()
        buffered = b""
        while True:
            line, separator, rest = buffered.partition(b"\n")
            if separator:
                buffered = rest
                _send(outgoing, _answer(service, json.loads(line)))
                continue
            received = incoming.read(1 << 16)
            if not received:
                return
            buffered += received


def main() -> None:
    """Entry point of a worker that is a fresh process: options, then the two descriptors."""
    run_worker(WorkerOptions.from_json(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))


def _make(service: str) -> Any:
    module, _, name = service.partition(":")
    return getattr(importlib.import_module(module), name)()


def _answer(service: Any, request: dict[str, Any]) -> dict[str, Any]:
    number = request.pop("id")
    command: Callable[..., dict[str, Any]] = getattr(service, "command_" + request.pop("command"))
    try:
        result = command(**request)
    except Refusal as refusal:
        return {"id": number, "error": refusal.error}
    finally:
        # What was printed belongs to this step, and a crash in the next must not swallow it.
        for stream in (sys.stdout, sys.stderr):
            if stream is not None and not stream.closed:
                stream.flush()
    return {"id": number, "ok": result}


def _send(outgoing: IO[bytes], reply: dict[str, Any]) -> None:
    data = memoryview(json.dumps(reply).encode() + b"\n")
    while data:
        data = data[outgoing.write(data) :]
