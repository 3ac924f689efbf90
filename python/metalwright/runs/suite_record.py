"""What a run keeps of the suite that its problems came from."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SuiteExclusion(_Data):
    """A problem that the suite leaves out."""

    name: str
    level: int | None = None
    reason: str


class SuiteProblem(_Data):
    """A problem that was taken on."""

    name: str
    level: int | None = None
    number: int | None = None
    tags: tuple[str, ...] = ()
    original: dict[str, str] = {}
    """The values that the scale preset replaced, by constant. Empty: sizes as given."""


class SuiteRecord(_Data):
    """Where the problems of a run come from, and which were left out."""

    source: str
    """As it was given: a folder, a suite file, a data set's name."""
    kind: str
    """``folder``, ``kernelbench``, ``dataset`` or ``file``."""
    total: int
    """Problems of the suite before anything was selected or excluded."""
    selection: str = ""
    """The filters that chose some of them; empty: all."""
    problems: tuple[SuiteProblem, ...]
    excluded: tuple[SuiteExclusion, ...] = ()
    scale: str = ""
    """The preset that shrank problems; empty: none."""
    not_shrunk: dict[str, str] = {}
    """Problems that the preset left as they are, with the reason."""
    repeats: str = ""
    """The run that this one repeats."""

    def is_shrunk(self, name: str) -> bool:
        """Whether the scale preset has made a problem smaller."""
        return any(problem.name == name and problem.original for problem in self.problems)
