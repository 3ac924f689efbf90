"""Launch parameters sought without a model: what may vary, and that each trial is judged."""

import re

import pytest
from tests.providers.scenario import (
    MadeUpEvaluator,
    answer,
    made_up_evaluation,
    models_file,
    new_run,
    search,
)
from tests.providers.server import ModelServer, Reply

from metalwright.generation.prompts import load_prompts
from metalwright.search.tuning import find_knobs, with_values

TUNABLE = 'GROUP = 64\nTUNABLE = {"GROUP": [64, 128, 256], "MISSING": [1], "BAD": 3}\n'


def test_knobs_are_what_is_listed_and_literal_group_sizes():
    source = load_prompts().example("reduction")
    (knob,) = find_knobs(source)
    assert (knob.name, knob.values) == ("GROUP", ("64", "128", "512"))
    assert "GROUP = 512\n" in with_values(source, [knob], {"GROUP": "512"})
    calls = "k(x, threads=9, group_size=256)\nk(x, group_size=[64, 1, 1])\nk(x, group_size=(8, 8))"
    first, second = find_knobs(calls)
    assert "1024" in first.values
    assert "256" not in first.values
    changed = with_values(calls, [first, second], {first.name: "32", second.name: "512"})
    assert changed.splitlines()[:2] == [
        "k(x, threads=9, group_size=32)",
        "k(x, group_size=[512, 1, 1])",
    ]


@pytest.mark.parametrize("source", ["", "TUNABLE = f()", "TUNABLE = 3", 'TUNABLE = {"A": [1]}'])
def test_a_list_that_makes_no_sense_gives_no_knobs(source):
    assert find_knobs(source) == []


class ByGroup(MadeUpEvaluator):
    """The best value is 128; 256 is wrong."""

    async def evaluate(self, problem, source):
        evaluation = await super().evaluate(problem, source)
        group = int(re.search(r"^GROUP = (\d+)", source, re.M)[1])
        if group == 256:
            return made_up_evaluation(problem.name, evaluation.verdict.WRONG_VALUES, 1)
        ratio = {64: 1.3, 128: 1.8}[group]
        return made_up_evaluation(problem.name, evaluation.verdict, ratio)


def tuned_run(tmp_path, server, **more):
    file = models_file(tmp_path / "m.toml", server.url)
    return new_run(tmp_path / "runs", models_file=file, attempts=1, tune=True, **more)


def test_the_best_value_that_is_right_wins_and_is_judged_in_full(tmp_path):
    text = answer("correct", 1.3).replace("import metalwright\n", f"import metalwright\n{TUNABLE}")
    with ModelServer(lambda _: Reply(text=text)) as server:
        store = tuned_run(tmp_path, server)
        evaluator = ByGroup()
        journal, _, _ = search(store, evaluator)
        assert len(server.received) == 1
        trials = len(evaluator.evaluated)
        journal.set_state("one", "open")
        search(store, evaluator)
        assert len(evaluator.evaluated) == trials, "trials are kept: none is made again"
    first, tuned = journal.attempts("one")
    assert (first.ratio, tuned.ratio) == (1.3, 1.8)
    assert (tuned.kind, tuned.parents) == ("tuning", (1,))
    assert "GROUP = 128" in tuned.candidate.source
    assert tuned.candidate.notes == ("tuned: GROUP = 128",)
    assert journal.state("one")[2] == 2


def test_nothing_is_added_when_the_present_values_are_best(tmp_path):
    text = answer("correct", 1.3).replace(
        "import metalwright\n", f"import metalwright\n{TUNABLE.replace('= 64', '= 128', 1)}"
    )
    with ModelServer(lambda _: Reply(text=text)) as server:
        journal, _, _ = search(tuned_run(tmp_path, server), ByGroup())
    assert len(journal.attempts("one")) == 1
