"""What went wrong by the user's hand: the exception types and the one table of their texts.

A user error has a stable code, says what is wrong and where, and what to do about it. Broken
invariants of the program itself are ordinary Python exceptions and keep their traceback.
"""

from __future__ import annotations

from dataclasses import dataclass


class Error(Exception):
    """A mistake of the user (or in the user's files), never of this program.

    ``code`` is stable and part of the interface; ``hint`` says what to do, and may be empty.
    """

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


@dataclass(frozen=True)
class ErrorText:
    """One row of the table: what happened, and what to do. Both are `str.format` templates."""

    what: str
    hint: str = ""


TABLE: dict[str, ErrorText] = {
    # ---------------------------------------------------------------- finding problems
    "no-such-path": ErrorText("{path}: no such file or folder"),
    "not-a-problem-path": ErrorText(
        "{path}: is neither a Python file nor a folder", "Problems are .py files."
    ),
    "no-problems": ErrorText(
        "{path}: no problem files in it",
        "A problem file is a .py file that defines Model and get_inputs.",
    ),
    "no-problem-selected": ErrorText(
        "none of the {count} problems is selected by {filters}", "Problems: {names}"
    ),
    "not-a-suite": ErrorText(
        "{path}: is no suite",
        "A suite is a folder of problem files, a KernelBench checkout, a data set (hf:NAME) or a "
        ".toml file; see docs/suites.md.",
    ),
    "bad-suite-file": ErrorText("{where}: {reason}", "See docs/suites.md for the keys."),
    "bad-dataset": ErrorText(
        "{where}: {reason}", "A suite's data set has the columns code, level, name, problem_id."
    ),
    "duplicate-problem": ErrorText(
        "two problems are called {name}: {first} and {second}",
        "Rename one, or leave one of the sources out.",
    ),
    "unreadable-file": ErrorText("{path}: cannot be read: {reason}"),
    # ---------------------------------------------------------------- problem files
    "problem-syntax": ErrorText("{path}:{line}:{column}: {message}"),
    "problem-without-model": ErrorText(
        "{path}: defines no Model",
        "A problem file has a class Model(torch.nn.Module), a function get_inputs() and, if Model "
        "takes arguments, get_init_inputs().",
    ),
    "problem-without-inputs": ErrorText(
        "{path}: defines no get_inputs",
        "get_inputs() returns the list of arguments of Model.forward.",
    ),
    "problem-raised": ErrorText("{where}: {exception} while {doing}"),
    "problem-output": ErrorText(
        "{where}: {reason}",
        "The output is a tensor, or a tuple, list or dictionary in which a tensor occurs.",
    ),
    "problem-value": ErrorText(
        "{where}: {reason}",
        "Values are tensors, numbers, strings, None, and lists, tuples and dictionaries of them.",
    ),
    "problem-timeout": ErrorText(
        "{where}: {doing} took longer than the deadline of {seconds:g} s",
        "Raise --deadline or make the problem smaller with --set.",
    ),
    "problem-crashed": ErrorText("{where}: the process died while {doing}: {reason}"),
    "problem-memory": ErrorText(
        "{where}: over the memory limit of {limit} while {doing}",
        "Raise --memory-limit or make the problem smaller with --set.",
    ),
    "module-not-picklable": ErrorText(
        "{name}: the module cannot be sent to another process: {reason}",
        "Define its classes at the top level of an importable file, or give a problem file.",
    ),
    # ---------------------------------------------------------------- --set
    "bad-override": ErrorText(
        "--set {text}: {reason}", "Write --set NAME=VALUE, VALUE a Python literal."
    ),
    "unknown-constant": ErrorText(
        "{where}: has no module-level constant {name}", "Its constants: {constants}"
    ),
    # ---------------------------------------------------------------- candidates, runs, options
    "no-such-device": ErrorText("device {name} is not there: {reason}", "Devices here: {names}"),
    "generator-failed": ErrorText("{where}: the generator {generator} failed: {reason}"),
    # ---------------------------------------------------------------- the offline generator
    "unsupported-torch": ErrorText(
        "the inductor generator is written for torch {supported}; this is torch {version}",
        "Install one of these versions, or choose another generator.",
    ),
    "not-traceable": ErrorText(
        "{where}: torch.export cannot turn Model.forward into a graph: {reason}",
        "Its Python control flow must not depend on tensor values.",
    ),
    "unsupported-operator": ErrorText("{where}: cannot be lowered to Metal: {reason}"),
    "unsupported-dtype": ErrorText(
        "{where} is {dtype}, which Metal does not have", "Use float32, float16 or bfloat16."
    ),
    "unsupported-result": ErrorText(
        "{where}: {reason}", "Results are tensors in tuples, lists and dictionaries."
    ),
    "constant-too-large": ErrorText(
        "{where}: the constant tensor {name} of {bytes} bytes is too large to be part of a file",
        "Register it as a persistent buffer, so that it comes with the state dict.",
    ),
    # ---------------------------------------------------------------- models
    "no-such-provider": ErrorText(
        "no provider is called {name}",
        "Providers: {names}. A model is written provider:model, such as anthropic:claude-opus-5-5.",
    ),
    "no-key": ErrorText(
        "there is no key for {provider}: {names} is not set",
        "Set it in the environment, or put it into the system's keyring under the service "
        "metalwright.",
    ),
    "bad-key-name": ErrorText(
        "the key in {name} would be seen by the processes that run candidates",
        "Keep it in a variable with KEY, TOKEN, SECRET, PASSWORD or CREDENTIAL in its name.",
    ),
    "missing-package": ErrorText(
        "{what} need the Python package {package}", "pip install {package}"
    ),
    "bad-models-file": ErrorText(
        "{path}: {reason}", "It is laid over metalwright's own models.toml; see docs/models.md."
    ),
    "unknown-price": ErrorText(
        "--budget is in money, and the price of {model} is not known",
        "Give its price in a models file (see docs/models.md), or limit --budget-tokens instead.",
    ),
    "no-candidate": ErrorText("{model} gave no candidate: {reason}"),
    "model-failed": ErrorText("{model} failed: {reason} ({kind})", "{advice}"),
    "bad-prompt": ErrorText("{path}: {reason}", "See docs/models.md for what a template is given."),
    "run-in-use": ErrorText(
        "{path}: another process works on this run", "Wait for it to end, or end it."
    ),
    "no-run-store": ErrorText(
        "{path}: the run is not in a store: {reason}",
        "A run's record is store.sqlite in the folder that holds the run folders.",
    ),
    # ---------------------------------------------------------------- options and runs
    "bad-option": ErrorText("{option}: {reason}"),
    "not-a-run": ErrorText(
        "{path}: is not a run folder: {reason}", "A run folder holds run.json; see runs/."
    ),
    "newer-run": ErrorText(
        "{path}: the run is of version {version}, made by metalwright {made_by}; this version "
        "reads up to {known}",
        "Use the metalwright that made it, or a newer one.",
    ),
    "bad-results": ErrorText(
        "{where}: {reason}",
        "KernelBench's result files are described in docs/suites.md.",
    ),
    "not-comparable": ErrorText(
        "{left} and {right} are not alike: {differences}",
        "Their results would be mixed. {options} compares them all the same, and says so.",
    ),
    "not-a-report": ErrorText(
        "{path}: is there and holds something else than a report",
        "Choose another --output, or an empty folder.",
    ),
    "unwritable-run": ErrorText(
        "{path}: the run cannot be written there: {reason}", "Choose another --output."
    ),
}


def user_error(code: str, **values: object) -> Error:
    """Makes the error of the table's row `code`, with `values` filled in."""
    text = TABLE[code]
    return Error(code, text.what.format(**values), text.hint.format(**values))
