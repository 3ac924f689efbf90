"""Writes the site: shared files, a page per problem, the overview last."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from metalwright.errors import user_error
from metalwright.reports import summary as texts
from metalwright.reports.site.charts import factor_text, share_text
from metalwright.reports.site.content import SiteRun, page_name
from metalwright.reports.site.overview import overview_context
from metalwright.reports.site.overview_charts import Scored
from metalwright.reports.site.problem_page import problem_context
from metalwright.reports.site.text import code_styles, visible
from metalwright.runs.files import write_whole
from metalwright.scoring.table import score_table

INDEX = "index.html"
SITE_FOLDER = "report"
_PROMPTS = "prompts.html"
_PROBLEMS = "problems"
# Lists the files of a site: what is not in it was not written by us and is never removed.
_MANIFEST = "site.json"


def write_site(folders: Sequence[Path], output: Path | None = None) -> Path:
    """Writes the site about some runs and returns its first page.

    Without `output` it goes into the folder of a single run, or beside several. A site that is
    there already is replaced.

    Raises:
        Error: ``not-a-run``; ``not-a-report``: the folder holds something else;
            ``unwritable-run``.
    """
    runs = [SiteRun.open(folder) for folder in folders]
    if output is None:
        output = (folders[0] if len(folders) == 1 else folders[0].resolve().parent) / SITE_FOLDER
    try:
        return _Writer(output).write(runs)
    except OSError as error:
        raise user_error(
            "unwritable-run", path=output, reason=error.strerror or str(error)
        ) from None


class _Writer:
    def __init__(self, output: Path) -> None:
        self._output = output
        self._written: list[str] = []
        self._systems: dict[str, str] = {}

    def write(self, runs: Sequence[SiteRun]) -> Path:
        earlier = self._earlier_files()
        self._write_assets()
        scored = [Scored(run.scores, score_table(run.scores), len(runs) > 1) for run in runs]
        pages = _page_names(runs)
        for index, run in enumerate(runs):
            own = [pages[index, problem.name] for problem in run.scores.problems]
            for number, problem in enumerate(run.scores.problems):
                page = own[number]
                context = problem_context(run, problem, self._system)
                context["before"] = own[number - 1] if number else ""
                context["after"] = own[number + 1] if number + 1 < len(own) else ""
                context["same"] = [
                    (other.scores.label, pages[place, problem.name])
                    for place, other in enumerate(runs)
                    if place != index and (place, problem.name) in pages
                ]
                self._render("problem.html.j2", f"{_PROBLEMS}/{page}", "../", **context)
        self._render("prompts.html.j2", _PROMPTS, "", systems=self._systems)
        # Last: a first page that is there links to pages that are there.
        self._render("overview.html.j2", INDEX, "", **overview_context(runs, scored, pages))
        self._write(_MANIFEST, json.dumps({"files": self._written}, indent=1) + "\n")
        for name in earlier - set(self._written):
            (self._output / name).unlink(missing_ok=True)
        return self._output / INDEX

    def _earlier_files(self) -> set[str]:
        if not self._output.exists():
            return set()
        if not self._output.is_dir():
            raise user_error("not-a-report", path=self._output)
        if not any(self._output.iterdir()):
            return set()
        try:
            listed = json.loads((self._output / _MANIFEST).read_text("utf-8"))["files"]
        except (OSError, ValueError, KeyError, TypeError):
            raise user_error("not-a-report", path=self._output) from None
        # The list is a file like any other: no name in it may lead out of the folder.
        return {
            name
            for name in listed
            if isinstance(name, str) and ".." not in name and not name.startswith("/")
        }

    def _system(self, text: str) -> str:
        """The place of a system prompt: every run has few, and every attempt has one."""
        if not text:
            return ""
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
        self._systems[digest] = text
        return f"{_PROMPTS}#system-{digest}"

    def _write_assets(self) -> None:
        from plotly.offline import get_plotlyjs  # type: ignore[import-untyped]

        light, dark = code_styles()
        own = files("metalwright.reports.site") / "assets"
        sheet = (own / "site.css").read_text("utf-8")
        sheet = f"{sheet}\n{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}\n"
        self._write("assets/site.css", sheet)
        self._write("assets/site.js", (own / "site.js").read_text("utf-8"))
        self._write("assets/plotly.min.js", get_plotlyjs())

    def _render(self, template: str, name: str, root: str, **context: Any) -> None:
        text = _environment().get_template(template).render(root=root, **context)
        self._write(name, text)

    def _write(self, name: str, text: str) -> None:
        path = self._output / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text, errors="replace")
        self._written.append(name)


def _page_names(runs: Sequence[SiteRun]) -> dict[tuple[int, str], str]:
    return {
        (index, problem.name): page_name(index, len(runs), number, problem.name)
        for index, run in enumerate(runs)
        for number, problem in enumerate(run.scores.problems)
    }


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("metalwright.reports.site", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["visible"] = visible
    environment.globals.update(text=texts, share_text=share_text, factor_text=factor_text)
    return environment
