"""Runs a candidate on its problem's inputs under the sanitiser, in a process of its own.

``python -m metalwright.cli.check_worker PROBLEM CANDIDATE SEED text|json [NAME=VALUE...]``
"""

from __future__ import annotations

import sys
from pathlib import Path

from metalwright.cli import exits, options
from metalwright.cli.check import print_report
from metalwright.errors import Error


def run(arguments: list[str]) -> int:
    """Returns the exit code."""
    problem_path, candidate_path, seed_text, form, *overrides = arguments
    import torch

    from metalwright.problems import Problem
    from metalwright.problems.loading import set_seed
    from metalwright.problems.problem import read_text
    from metalwright.runtime import checking

    seed = int(seed_text)
    loaded = Problem.from_file(problem_path, options.read_overrides(overrides)).load()
    initial = loaded.init_inputs(seed)
    reference = loaded.build(initial, seed)
    inputs = loaded.inputs(seed)
    with checking() as report, torch.no_grad():
        names: dict[str, object] = {"__name__": "candidate", "__file__": candidate_path}
        exec(compile(read_text(Path(candidate_path)), candidate_path, "exec"), names)
        model = names.get("ModelNew")
        if not isinstance(model, type):
            raise Error("no-model", f"{candidate_path}: defines no class ModelNew")
        set_seed(seed)
        module = model(*initial)
        module.load_state_dict(reference.state_dict(), strict=False)
        module(*inputs)
    if not report.dispatches:
        raise Error("nothing-checked", f"{candidate_path}: no kernel of its own ran")
    print_report(report, form == "json")
    return exits.NOT_CORRECT if report.errors else exits.OK


def main() -> None:
    """The process."""
    try:
        sys.exit(run(sys.argv[1:]))
    except Error as error:
        exits.print_error(error)
        sys.exit(exits.USAGE)


if __name__ == "__main__":
    main()
