"""A problem: a reference module and its inputs, as data that any process can load."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metalwright.errors import user_error
from metalwright.problems.source import override_constants, parse_problem

if TYPE_CHECKING:
    import torch

    from metalwright.problems.loading import LoadedProblem

_DESCRIPTION = "problem.json"
_SOURCE = "problem.py"
_ARCHIVE = "module.pt"


@dataclass(frozen=True)
class Problem:
    """What is to be optimised. Making one runs none of the user's code; `load` does.

    ``source`` is a KernelBench-format file with the overrides already applied, or empty for a
    problem made from a module, whose pickled form is then in ``archive``.
    """

    name: str
    source: str
    path: str | None = None
    level: int | None = None
    constants: Mapping[str, str] = field(default_factory=dict)
    overrides: Mapping[str, str] = field(default_factory=dict)
    archive: bytes | None = field(default=None, repr=False)
    import_paths: tuple[str, ...] = ()
    main_path: str | None = None

    @property
    def where(self) -> str:
        """The file, or the name of a problem that has none; for messages."""
        return self.path or self.name

    @classmethod
    def from_file(cls, path: Path | str, overrides: Mapping[str, str] | None = None) -> Problem:
        """Reads a KernelBench-format file: Model, get_inputs, get_init_inputs, constants.

        `overrides` maps names of module-level constants to Python source text.

        Raises:
            Error: ``no-such-path``, ``unreadable-file``, ``problem-syntax``,
                ``problem-without-model``, ``problem-without-inputs``, ``unknown-constant``.
        """
        path = Path(path)
        text = read_text(path)
        if overrides:
            text = override_constants(text, overrides, str(path))
        return cls(
            name=path.stem,
            source=text,
            path=str(path),
            level=_level(path),
            constants=parse_problem(text, str(path)).constants,
            overrides=dict(overrides or {}),
            import_paths=(str(path.resolve().parent),),
        )

    @classmethod
    def from_module(
        cls,
        module: torch.nn.Module,
        inputs: torch.Tensor | tuple[Any, ...] | list[Any] | Callable[[], Any],
        name: str | None = None,
    ) -> Problem:
        """Makes a problem of a module, in the mode and with the weights it has now.

        `inputs` are the positional arguments of one call, or a function that draws them. From
        given arguments fresh ones are drawn by shape and dtype: floating-point tensors normally
        distributed with the example's mean and deviation, integers uniformly between the example's
        least and greatest value; everything that is not a tensor stays as it is.

        Raises:
            Error: ``module-not-picklable``.
        """
        from metalwright.problems.archive import pack_module

        return pack_module(module, inputs, name or type(module).__name__)

    def load(self) -> LoadedProblem:
        """Runs the problem's code and returns what can build models and draw inputs.

        Only for worker processes: the code is the user's and may do anything.

        Raises:
            Error: ``problem-raised`` and the other ``problem-*`` codes.
        """
        from metalwright.problems.loading import load_problem

        return load_problem(self)

    def write(self, folder: Path) -> None:
        """Writes the problem into `folder` (made if missing), from where `read` makes it again."""
        folder.mkdir(parents=True, exist_ok=True)
        description = asdict(self)
        del description["source"], description["archive"]
        (folder / _DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n", "utf-8")
        if self.archive is None:
            (folder / _SOURCE).write_text(self.source, "utf-8")
        else:
            (folder / _ARCHIVE).write_bytes(self.archive)

    @classmethod
    def read(cls, folder: Path) -> Problem:
        """Reads what `write` wrote.

        Raises:
            OSError, ValueError: the folder was not written by `write`.
        """
        description = json.loads((folder / _DESCRIPTION).read_text("utf-8"))
        description["import_paths"] = tuple(description["import_paths"])
        archive = folder / _ARCHIVE
        if archive.exists():
            return cls(source="", archive=archive.read_bytes(), **description)
        return cls(source=(folder / _SOURCE).read_text("utf-8"), **description)


def read_text(path: Path) -> str:
    """Reads a user's source file.

    Raises:
        Error: ``no-such-path``, ``unreadable-file``.
    """
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        raise user_error("no-such-path", path=path) from None
    except OSError as error:
        raise user_error("unreadable-file", path=path, reason=error.strerror) from None
    except UnicodeDecodeError as error:
        raise user_error("unreadable-file", path=path, reason=f"is not UTF-8: {error}") from None


def _level(path: Path) -> int | None:
    for part in reversed(path.resolve().parent.parts):
        match = re.fullmatch(r"level[ _-]?(\d+)", part, re.IGNORECASE)
        if match:
            return int(match.group(1))
    return None
