"""Problems made of live modules: packing them so that another process can load them."""

from __future__ import annotations

import io
import runpy
import sys
import types
from typing import TYPE_CHECKING, Any

import torch

from metalwright.errors import user_error

if TYPE_CHECKING:
    from metalwright.problems.problem import Problem

# The name under which a worker imports the user's script; `if __name__ == "__main__"` stays off.
_MAIN_ALIAS = "__mp_main__"


def pack_module(module: torch.nn.Module, inputs: Any, name: str) -> Problem:
    """See `Problem.from_module`."""
    from metalwright.problems.problem import Problem

    if isinstance(inputs, torch.Tensor):
        inputs = (inputs,)
    elif not callable(inputs):
        inputs = tuple(inputs)
    main_path = _main_path(module, inputs, name)
    buffer = io.BytesIO()
    try:
        torch.save({"module": module, "inputs": inputs}, buffer)
    except Exception as error:
        # Whatever a user's __reduce__ raises, the meaning is the same.
        raise user_error("module-not-picklable", name=name, reason=error) from None
    return Problem(
        name=name,
        source="",
        archive=buffer.getvalue(),
        import_paths=tuple(sys.path),
        main_path=main_path,
    )


def unpack_module(problem: Problem) -> tuple[torch.nn.Module, Any]:
    """Returns the module and its inputs (arguments, or the function that draws them)."""
    assert problem.archive is not None
    if problem.main_path is not None:
        # As multiprocessing does it: classes of the user's script live in its `__main__`.
        main = types.ModuleType(_MAIN_ALIAS)
        main.__dict__.update(runpy.run_path(problem.main_path, run_name=_MAIN_ALIAS))
        sys.modules["__main__"] = sys.modules[_MAIN_ALIAS] = main
    # The archive is the user's own module, packed by the user's own process: not foreign data.
    archive = torch.load(io.BytesIO(problem.archive), weights_only=False, map_location="cpu")
    return archive["module"], archive["inputs"]


def draw_like(value: Any) -> Any:
    """Draws a fresh argument of the same shape and dtype from torch's global generator."""
    if isinstance(value, torch.Tensor):
        return _draw_tensor(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(draw_like(item) for item in value))
    if isinstance(value, (tuple, list)):
        return type(value)(draw_like(item) for item in value)
    if isinstance(value, dict):
        return {key: draw_like(item) for key, item in value.items()}
    return value


def _draw_tensor(example: torch.Tensor) -> torch.Tensor:
    fresh = torch.empty_like(example)
    if example.numel() == 0:
        return fresh
    if example.dtype == torch.bool:
        return fresh.random_(0, 2)
    if example.is_floating_point() or example.is_complex():
        wide = example.to(torch.complex128 if example.is_complex() else torch.float64)
        deviation = wide.std(correction=0).item()
        drawn = torch.randn(example.shape, dtype=wide.dtype) * deviation + wide.mean()
        return fresh.copy_(drawn)
    return fresh.random_(int(example.min()), int(example.max()) + 1)


def _main_path(module: torch.nn.Module, inputs: Any, name: str) -> str | None:
    owners = {type(part).__module__ for part in module.modules()}
    owners.add(getattr(inputs, "__module__", ""))
    if "__main__" not in owners:
        return None
    path = getattr(sys.modules["__main__"], "__file__", None)
    if path is None:
        raise user_error(
            "module-not-picklable", name=name, reason="its class is defined in no file"
        )
    return str(path)
