"""The dry run of a suite: what cannot run is kept with its reason; it may be interrupted."""

import pytest
from tests.providers.scenario import PROBLEM, MadeUpEvaluator, new_run, search

from metalwright.errors import Error
from metalwright.problems import BrokenProblem, Problem
from metalwright.runs import RunStore
from metalwright.runs.journal import Journal
from metalwright.scoring.collect import collect_run
from metalwright.search.dry_run import Looker, dry_run, scale_problems
from metalwright.search.facts import ProblemFacts

FACTS = ProblemFacts(inputs=(), outputs=(), operators=(), signature={"add": 1}, bytes=32, flops=0)


class MadeUpLooker:
    def __init__(self, broken=(), interrupted=()):
        self.broken, self.interrupted, self.looked = broken, interrupted, []

    def facts(self, problem):
        self.looked.append(problem.name)
        if problem.name in self.interrupted:
            raise KeyboardInterrupt
        if problem.name in self.broken:
            raise Error("problem-memory", f"{problem.name}: over the memory limit")
        return FACTS

    def shrink(self, problem, scale):
        if problem.name == "fails":
            raise Error("problem-raised", "it cannot be looked at")
        from metalwright.problems.benchmark import replace_constants

        return replace_constants(problem, {"N": "8"}), "" if problem.name == "small" else "large"


def look(store, looker):
    return dry_run(looker, store, Journal.open(store.folder), lambda *_: None)


def test_what_cannot_run_is_in_no_score_and_said(tmp_path):
    store = new_run(tmp_path, ("a", "b", "c"), models=())
    failed = look(store, MadeUpLooker(broken=("b",)))
    assert failed == {"b": "b: over the memory limit"}
    run = collect_run(store.folder)
    assert [p.name for p in run.scored] == ["a", "c"]
    assert [(item.name, item.reason) for item in run.not_runnable] == [
        ("b", "b: over the memory limit")
    ]
    assert "2 problems are scored of 3: 1 cannot run on cpu" in run.denominator
    assert "(2 of them not finished)" in run.denominator


def test_an_interrupted_dry_run_goes_on_with_the_search(tmp_path):
    store = new_run(tmp_path, ("a", "b", "c"), models=())
    with pytest.raises(KeyboardInterrupt):
        look(store, MadeUpLooker(broken=("a",), interrupted=("b",)))
    again = MadeUpLooker(broken=("a",))
    assert look(store, again) == {}
    # What was looked at, or found not to run, is not looked at again.
    assert again.looked == ["b", "c"]

    class Watching(MadeUpEvaluator):
        async def facts(self, problem):
            raise AssertionError("the facts are there")

    journal, _, _ = search(store, Watching())
    assert [journal.state(name)[0] for name in ("a", "b", "c")] == ["finished"] * 3
    assert [a.kind for a in journal.attempts("a")] == ["problem"]
    assert RunStore.open(store.folder).attempts("a")[0].evaluation.verdict.value == "problem-error"


def test_a_scale_keeps_what_was_replaced():
    problems = [
        Problem(name=name, source=f"N = 64\n{PROBLEM}", constants={"N": "64"})
        for name in ("small", "large", "fails")
    ]
    broken = BrokenProblem("broken", "x.py", Error("problem-syntax", "x"))
    scaled = scale_problems(MadeUpLooker(), [*problems, broken], "cpu", lambda *_: None)
    assert [getattr(p, "constants", None) for p in scaled.problems] == [
        *({"N": "8"}, {"N": "8"}, {"N": "64"}, None)
    ]
    assert scaled.original == {"small": {"N": "64"}, "large": {"N": "64"}}
    assert scaled.not_shrunk == {"large": "large", "fails": "it cannot be looked at"}


@pytest.mark.native
def test_a_worker_looks_at_many_problems_and_outlives_none_that_dies(tmp_path):
    from metalwright.evaluation import Settings

    good = (
        "import torch\nN = 4\nclass Model(torch.nn.Module):\n    def forward(self, x):\n"
        "        return x + {}\n\n\ndef get_inputs():\n    return [torch.ones(N)]\n"
    )
    texts = {
        "good": good.format("1"),
        "dies": good.format("__import__('os')._exit(3)"),
        "large": good.format("torch.ones(1 << 36)"),
        "last": good.format("undefined"),
    }
    answers = {}
    with Looker(Settings(device="cpu", memory_limit=2 << 30)) as looker:
        for name, text in texts.items():
            try:
                answers[name] = looker.facts(Problem(name=name, source=text)).flops
            except Error as error:
                answers[name] = error.code
    assert answers == {
        "good": 0,
        "dies": "problem-crashed",
        "large": "problem-memory",
        "last": "problem-raised",
    }
