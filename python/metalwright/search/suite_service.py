"""The worker that looks at the problems of a suite: can they run, and how large are they?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from metalwright.evaluation.reference_service import UserErrors
from metalwright.problems.problem import Problem
from metalwright.problems.shrinking import Work, as_data, shrink
from metalwright.search.facts_service import FactsService


class SuiteService(FactsService):
    """Methods are requests; see `metalwright.evaluation.worker`."""

    def command_shrink(self, folder: str, bytes: int, flops: int, seconds: float) -> dict[str, Any]:
        """Finds smaller constants for a problem: see `metalwright.problems.shrinking`."""
        with UserErrors():
            return as_data(shrink(Problem.read(Path(folder)), Work(bytes, flops), seconds))
