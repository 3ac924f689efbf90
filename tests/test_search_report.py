"""What a run with models amounts to: by attempt, by model, and for all of them together."""

import json

from tests.providers.scenario import (
    answer,
    candidate_text,
    made_up_evaluation,
    models_file,
    new_run,
    prompt_says,
    search,
)
from tests.providers.server import ModelServer, Reply

from metalwright.evaluation.model import Flag, Verdict
from metalwright.generation.candidate import Candidate
from metalwright.generation.client import Try
from metalwright.generation.messages import Answer, Request, Text, Usage, user_message
from metalwright.reports import render_page
from metalwright.reports.attempts import UNION, search_report
from metalwright.runs.journal import Journal
from metalwright.scoring.collect import collect_run
from metalwright.scoring.table import score_table


def add(journal, problem, number, model, verdict, ratio=1.0, cost=0.1, flags=()):
    """A call of a model and the attempt that it led to."""
    request = Request(model=model, system="", messages=(user_message("x"),), max_tokens=9)
    call = journal.begin_call(problem, f"{number}/call", "attempt", request, "", 1.0, 100)
    journal.add_try(call, Try(1, 0.1, usage=Usage(input=100, output=50)), cost)
    journal.finish_call(call, Answer(parts=(Text(text="y"),), stop="end", usage=Usage()))
    evaluation = made_up_evaluation(problem, Verdict(verdict), ratio)
    evaluation = evaluation.model_copy(update={"flags": flags})
    candidate = Candidate(candidate_text(verdict, ratio, f"{problem} {number}"))
    return journal.add_attempt(
        problem, str(number), candidate, evaluation, model=model, kind="proposal", call_id=call
    )


def test_figures_by_model_and_for_all_together(tmp_path):
    journal = Journal.open(new_run(tmp_path / "runs", ("p", "q")).folder)
    add(journal, "p", 1, "a", "wrong-values")
    add(journal, "p", 2, "a", "correct", 2.0)
    add(journal, "p", 3, "b", "correct", 1.02)
    add(journal, "q", 1, "a", "crash")
    add(journal, "q", 2, "b", "correct", 8.0, flags=(Flag.NOISY_TIMING,))
    a, b, union = search_report(journal, ["p", "q"]).rows
    assert (a.model, a.attempts, a.solved, a.faster) == ("a", 3, 1, 1)
    assert a.correct_by_attempt == (0.0, 0.5)
    assert a.ratio_by_attempt[0] == 1.0
    assert abs(a.ratio_by_attempt[1] - 2**0.5) < 1e-9
    assert (b.solved, b.faster) == (2, 0), "a noisy 8.0 is not faster"
    assert (union.model, union.solved, union.attempts) == (UNION, 2, 5)
    assert union.correct_by_attempt == (0.0, 1.0, 1.0)
    assert abs(a.spent.money - 0.3) < 1e-9
    assert abs(a.money_per_solved - 0.3) < 1e-9
    assert abs(union.spent.money - 0.5) < 1e-9
    assert union.tokens_per_solved == 5 * 150 / 2


def test_a_time_that_is_not_believed_counts_as_in_the_scores(tmp_path):
    """Beyond the roofline: correct, but without a ratio, on the page as in the site."""
    store = new_run(tmp_path / "runs", ("p", "q"))
    journal = Journal.open(store.folder)
    add(journal, "p", 1, "test:m", "correct", 90.0, flags=(Flag.BEYOND_ROOFLINE,))
    add(journal, "q", 1, "test:m", "wrong-values")
    add(journal, "p", 2, "test:m", "correct", 3.0)
    (row,) = search_report(journal, ["p", "q"]).rows
    (group,) = score_table(collect_run(store.folder))
    assert (row.solved, row.faster) == (group.solved, group.faster) == (1, 1)
    assert row.correct_by_attempt == tuple(e.value for e in group.correct_by_attempt) == (0.5, 0.5)
    assert row.ratio_by_attempt == tuple(e.value for e in group.ratio_by_attempt)
    assert abs(row.ratio_by_attempt[0] - 1.0) < 1e-9
    assert abs(row.ratio_by_attempt[1] - 3**0.5) < 1e-9


def test_a_steady_timing_is_better_than_any_noisy_one(tmp_path):
    journal = Journal.open(new_run(tmp_path / "runs").folder)
    noisy = add(journal, "one", 1, "a", "correct", 50.0, flags=(Flag.NOISY_TIMING,))
    steady = add(journal, "one", 2, "a", "correct", 1.5)
    wrong = add(journal, "one", 3, "a", "wrong-values")
    assert max([noisy, steady, wrong], key=lambda attempt: attempt.rank) is steady


def test_the_page_shows_plots_tables_and_all_attempts(tmp_path):
    def script(received):
        number = int(prompt_says(received.prompt, "Attempt"))
        return Reply(text=answer("correct" if number > 1 else "wrong-values", 1 + number / 10))

    with ModelServer(script) as server:
        file = models_file(tmp_path / "m.toml", server.url, ("a", "b<i>"))
        store = new_run(
            tmp_path / "runs",
            ("one", "two"),
            models_file=file,
            models=("test:a", "test:b<i>"),
            strategy="swarm",
            attempts=2,
        )
        journal, _, _ = search(store)
    page = render_page(store, journal)
    assert page.count("<polyline") == 6, "two plots with a line per model and one for all"
    for words in ("Attempts and what they cost", "test:b&lt;i&gt;", "All 4 attempts", UNION, "$0."):
        assert words in page
    assert "b<i>" not in page
    # A folder that was given away without its store has a page as well.
    assert "Attempts and what they cost" not in render_page(store)
    run = json.loads((store.folder / "run.json").read_text())
    assert run["search"]["strategy"] == "swarm"
