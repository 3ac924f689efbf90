"""What `metalwright bench` does between its options and the search."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from metalwright.cli import exits
from metalwright.cli.new_run import make_run
from metalwright.cli.results import make_console
from metalwright.errors import Error
from metalwright.evaluation import Settings
from metalwright.generation.prompts import bytes_text
from metalwright.problems import BrokenProblem, Problem
from metalwright.problems.benchmark import Suite
from metalwright.runs import RunStore
from metalwright.runs.journal import Journal
from metalwright.runs.suite_record import SuiteExclusion, SuiteProblem, SuiteRecord
from metalwright.scoring.collect import collect_run
from metalwright.scoring.compare import environment_changes
from metalwright.search.dry_run import Looker, Progress, Scaled, dry_run, scale_problems
from metalwright.search.settings import SearchSettings


def new_bench(
    suite: Suite, settings: Settings, search: SearchSettings, scale: str | None, output: Path
) -> RunStore:
    """Makes the run of a suite and looks at all its problems once.

    Raises:
        Error: ``no-such-device``, ``unwritable-run``, ...
    """
    console = make_console()
    with Looker(settings) as looker:
        scaled = _scaled(console, looker, suite, scale)
        store = make_run(
            suite.name,
            scaled.problems,
            settings,
            search,
            output,
            suite=_record(suite, scaled, scale),
        )
        _look(console, looker, store)
    return store


def repeat_bench(run: Path, output: Path) -> RunStore:
    """Makes a new run of the problems, models and settings of another one.

    Raises:
        Error: ``not-a-run``, ``newer-run``, ``no-such-device``, ...
    """
    console = make_console()
    old = RunStore.open(run)
    search = SearchSettings.model_validate(old.config.search)
    problems = [old.problem(name) for name in old.config.problems]
    label = run.resolve().name
    suite = old.config.suite or SuiteRecord(
        source=label,
        kind="folder",
        total=len(problems),
        problems=tuple(SuiteProblem(name=p.name, level=p.level) for p in problems),
    )
    with Looker(old.config.settings) as looker:
        store = make_run(
            old.config.name,
            problems,
            old.config.settings,
            search,
            output,
            overrides=old.config.overrides,
            suite=suite.model_copy(update={"repeats": label}),
        )
        for line in environment_changes(collect_run(run), collect_run(store.folder)):
            console.print(f"Not as in {label}: {line}", markup=False, soft_wrap=True)
        _look(console, looker, store)
    return store


def look_only(suite: Suite, settings: Settings, scale: str | None) -> int:
    """Prints which problems can run on the device; the exit code says whether all can."""
    console = make_console()
    table = Table(box=None, pad_edge=False)
    for title in ("problem", "level", "inputs and outputs", "can it run?"):
        table.add_column(title, overflow="fold")
    failed = 0
    with Looker(settings) as looker:
        scaled = _scaled(console, looker, suite, scale)
        for problem in scaled.problems:
            size, answer = "-", "yes"
            try:
                if isinstance(problem, BrokenProblem):
                    raise problem.error
                size = bytes_text(looker.facts(problem).bytes)
            except Error as error:
                failed += 1
                answer = f"no: {error.message.splitlines()[0]}"
            level = problem.level if isinstance(problem, Problem) else None
            table.add_row(problem.name, "-" if level is None else str(level), size, answer)
    console.print(table, markup=False)
    _print_left_out(console, suite, scaled, scale)
    total = len(scaled.problems)
    console.print(
        f"{total - failed} of {total} problems can run on {settings.device}; the suite has "
        f"{suite.total}, {len(suite.excluded)} of them excluded by it.",
        markup=False,
        soft_wrap=True,
    )
    return exits.NOT_CORRECT if failed else exits.OK


def _scaled(console: Console, looker: Looker, suite: Suite, scale: str | None) -> Scaled:
    problems = [entry.problem for entry in suite.entries]
    if scale is None:
        return Scaled(problems)
    with console.status("") as status:
        return scale_problems(
            looker, problems, scale, lambda name, text: status.update(f"{name}: {text}")
        )


def _look(console: Console, looker: Looker, store: RunStore) -> None:
    journal = Journal.open(store.folder)
    with console.status("") as status:

        def progress(name: str, text: str) -> None:
            status.update(f"{name}: {text}")

        told: Progress = progress
        failed = dry_run(looker, store, journal, told)
    if failed:
        console.print(
            f"{len(failed)} of {len(store.config.problems)} problems cannot run on "
            f"{store.config.device.kind}:",
            markup=False,
        )
        for name, reason in failed.items():
            console.print(f"  {name}: {reason.splitlines()[0]}", markup=False, soft_wrap=True)


def _print_left_out(console: Console, suite: Suite, scaled: Scaled, scale: str | None) -> None:
    for one in suite.excluded:
        console.print(f"excluded by the suite: {one.name}: {one.reason}", markup=False)
    for name, changed in scaled.original.items():
        console.print(f"shrunk: {name}: was {constants_text(changed)}", markup=False)
    for name, reason in scaled.not_shrunk.items():
        console.print(f"not small enough for --scale {scale}: {name}: {reason}", markup=False)


def constants_text(constants: Mapping[str, str]) -> str:
    """``N = 4, M = 7``."""
    return ", ".join(f"{name} = {value}" for name, value in constants.items())


def _record(suite: Suite, scaled: Scaled, scale: str | None) -> SuiteRecord:
    return SuiteRecord(
        source=suite.source,
        kind=suite.kind,
        total=suite.total,
        selection=suite.selection,
        problems=tuple(
            SuiteProblem(
                name=entry.name,
                level=entry.level,
                number=entry.number,
                tags=entry.tags,
                original=scaled.original.get(entry.name, {}),
            )
            for entry in suite.entries
        ),
        excluded=tuple(
            SuiteExclusion(name=one.name, level=one.level, reason=one.reason)
            for one in suite.excluded
        ),
        scale=scale or "",
        not_shrunk=scaled.not_shrunk,
    )
