"""The process in which the offline generator runs: it executes the problem's code and changes
global torch state.

``python -m metalwright.generation.inductor_worker FOLDER`` reads the problem that
`metalwright.problems.Problem.write` put into FOLDER and writes ``result.json`` there: a candidate,
or the code, message and hint of an error.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from metalwright.errors import Error, user_error
from metalwright.generation.candidate import Candidate
from metalwright.generation.candidate_source import kernel_sources, write_candidate
from metalwright.generation.inductor import check_version, lower_module

RESULT = "result.json"
SEED = 0


def generate(
    module: nn.Module,
    arguments: Sequence[Any],
    where: str,
    source: str | None = None,
    init_arguments: Sequence[Any] = (),
) -> Candidate:
    """Makes a candidate for ``module(*arguments)`` in this process.

    With `source`, the KernelBench-format file that the module came from, the candidate repeats its
    constructor; without, or if that does not give the same parameters, parameters and buffers are
    registered by name and shape.

    Raises:
        Error: see `metalwright.generation.inductor.lower_module`.
    """
    lowered = lower_module(module, arguments, where)
    made_with = f"Kernels by TorchInductor's Metal back end, torch {torch.__version__}."
    text = write_candidate(lowered, module, source, where, made_with)
    mistake = _state_mistake(text, init_arguments, module)
    if source is not None and mistake:
        # The repeated constructor depends on more than was taken over.
        text = write_candidate(lowered, module, None, where, made_with)
        mistake = _state_mistake(text, init_arguments, module)
    if mistake:
        raise user_error("generator-failed", where=where, generator="inductor", reason=mistake)
    notes = []
    if lowered.uses_random:
        notes.append("The result is random; its values are other than eager torch draws.")
    if not lowered.kernels:
        notes.append("Nothing is left for Metal kernels: the module is library calls alone.")
    return Candidate(
        source=text,
        kernels=kernel_sources(lowered),
        origin=f"inductor (torch {torch.__version__})",
        notes=tuple(notes),
    )


def _state_mistake(text: str, init_arguments: Sequence[Any], module: nn.Module) -> str:
    """What is wrong with the candidate's parameters and buffers; empty if nothing is."""
    namespace: dict[str, Any] = {"__name__": "metalwright_candidate"}
    try:
        exec(compile(text, "candidate.py", "exec"), namespace)
        made = namespace["ModelNew"](*init_arguments)
    except Exception as error:
        # Whatever the user's constructor raises here, the answer is the same.
        return f"the candidate cannot be constructed: {type(error).__name__}: {error}"
    expected, found = _description(module), _description(made)
    wrong = [name for name in {**expected, **found} if expected.get(name) != found.get(name)]
    return f"the candidate's {wrong[0]} is not the module's" if wrong else ""


def _description(module: nn.Module) -> dict[str, tuple[Any, ...]]:
    return {
        name: (tuple(value.shape), value.dtype)
        for name, value in module.state_dict().items()
        if isinstance(value, torch.Tensor)
    }


def _run(folder: Path) -> dict[str, Any]:
    from metalwright.problems import Problem

    try:
        check_version()
        problem = Problem.read(folder)
        loaded = problem.load()
        init_arguments = loaded.init_inputs(SEED)
        module = loaded.build(init_arguments, SEED)
        arguments = loaded.inputs(SEED)
        # Runs once in torch: what the reference itself raises is the problem's error, not ours.
        loaded.call(module, loaded.inputs(SEED), SEED)
        module = loaded.build(init_arguments, SEED)
        candidate = generate(
            module, arguments, problem.where, problem.source or None, init_arguments
        )
    except Error as error:
        return {"error": {"code": error.code, "message": error.message, "hint": error.hint}}
    return {
        "candidate": {
            "source": candidate.source,
            "kernels": dict(candidate.kernels),
            "origin": candidate.origin,
            "notes": list(candidate.notes),
        }
    }


def main() -> None:
    """The process's entry point."""
    folder = Path(sys.argv[1])
    (folder / RESULT).write_text(json.dumps(_run(folder)), "utf-8")


if __name__ == "__main__":
    main()
