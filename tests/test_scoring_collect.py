"""Runs as data for scoring: from the store, from a folder alone; groups of scores."""

import json
import math
import shutil

import pytest
from tests.providers.scenario import answer, models_file, new_run, search
from tests.providers.server import ModelServer, Reply

from metalwright.errors import Error
from metalwright.problems.selection import problem_number
from metalwright.runs import RunStore
from metalwright.runs.rows import StoredAttempt
from metalwright.scoring.calls import Call, usage_by_attempt
from metalwright.scoring.collect import collect_run
from metalwright.scoring.data import AttemptScore, ProblemScores, RunScores, Usage
from metalwright.scoring.table import UNION, combine, score_group, score_table


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Two problems, two attempts each: wrong then 2x; 0.5x then wrong."""
    root = tmp_path_factory.mktemp("scores")
    texts = {
        ("one", "1"): answer("crash"),
        ("one", "2"): answer("correct", 2.0),
        ("two", "1"): answer("correct", 0.5),
        ("two", "2"): answer("wrong-values"),
    }

    def script(request):
        from tests.providers.scenario import prompt_says

        prompt = request.prompt
        return Reply(text=texts[prompt_says(prompt, "Problem"), prompt_says(prompt, "Attempt")])

    with ModelServer(script) as server:
        file = models_file(root / "m.toml", server.url)
        store = new_run(root / "runs", ("one", "two"), models_file=file, attempts=2)
        search(store)
    return store.folder


def test_a_run_is_read_from_the_store(run):
    found = collect_run(run)
    assert found.models == ("test:m",)
    assert (found.device, found.strategy, found.suite_total) == ("cpu", "refine", 2)
    one, two = found.problems
    assert [a.verdict for a in one.attempts] == ["crash", "correct"]
    assert one.best().number == 2
    assert one.best().ratio == 2.0
    assert (one.winner, two.winner) == (2, None)
    assert one.usage["test:m"].calls == 2
    assert one.usage["test:m"].money > 0
    assert found.usage.money == pytest.approx(one.usage["test:m"].money + two.usage["test:m"].money)
    assert found.denominator == "2 problems are scored"
    assert one.source_hash == two.source_hash != ""


def test_each_attempt_has_what_it_cost(run):
    found = collect_run(run)
    for problem in found.problems:
        assert [a.asked.calls for a in problem.attempts] == [1, 1]
        whole = problem.usage["test:m"]
        assert sum(a.asked.tokens for a in problem.attempts) == whole.tokens > 0
        assert sum(a.asked.money for a in problem.attempts) == pytest.approx(whole.money)


def attempt_at(slot, number, call, model="m"):
    return StoredAttempt("p", slot, number, model, "proposal", (), None, None, call)


def test_repairs_and_an_agents_turns_belong_to_their_attempt():
    calls = [
        Call(1, "swarm/1/m/call", "m", Usage(1, 10, 0.1, 1.0)),
        Call(2, "swarm/1/other/call", "other", Usage(1, 20, None, 1.0)),
        Call(3, "swarm/1/m/repair-1", "m", Usage(1, 5, 0.1, 2.0)),
        Call(4, "swarm/2/m/call", "m", Usage(1, 99, 9.0, 9.0)),
    ]
    attempts = [attempt_at("swarm/1/m", 1, 3), attempt_at("swarm/1/other", 2, 2, "other")]
    tuned = attempt_at("tune/1", 3, None)
    used = usage_by_attempt(calls, [*attempts, tuned])
    assert used == {1: Usage(2, 15, 0.2, 3.0), 2: Usage(1, 20, None, 1.0)}
    turns = [Call(n, f"agent/m/{n}/call", "m", Usage(1, n, 0.0, 0.0)) for n in range(1, 6)]
    submitted = [attempt_at("agent/m/2/tool-0", 1, 2), attempt_at("agent/m/4/tool-1", 2, 4)]
    # The fifth turn led to nothing.
    assert {n: u.tokens for n, u in usage_by_attempt(turns, submitted).items()} == {1: 3, 2: 7}


def test_a_folder_without_its_store_is_read_too(run, tmp_path):
    folder = tmp_path / "given-away"
    shutil.copytree(run, folder)
    found = collect_run(folder)
    assert [a.ratio for p in found.problems for a in p.attempts] == [None, 2.0, 0.5, None]
    assert all(a.asked is None for p in found.problems for a in p.attempts)
    assert found.usage.money is None
    assert found.problems[0].winner == 2


def test_groups(run):
    found = collect_run(run)
    (group,) = score_table(found)
    assert (group.model, group.problems, group.attempts, group.solved) == ("test:m", 2, 4, 2)
    assert group.faster == 1
    assert group.correct.value == 1.0
    assert dict(group.fast_p)[1.0].value == 0.5
    assert group.mean_of_all.value == pytest.approx(1.0)
    assert group.mean_kept.value == pytest.approx(math.sqrt(2))
    assert [e.value for e in group.correct_by_attempt] == [0.5, 1.0]
    assert [e.value for e in group.ratio_by_attempt] == pytest.approx([1.0, math.sqrt(2)])
    # Refined attempts build on each other: pass@k would mean nothing.
    assert group.pass_at_k == ()
    assert group.money_per_solved == pytest.approx(found.usage.money / 2)


def test_a_newer_run_is_refused_with_what_to_do(run, tmp_path):
    folder = tmp_path / "newer"
    shutil.copytree(run, folder)
    config = json.loads((folder / "run.json").read_text())
    config |= {"schema_version": 7, "unheard_of": 1, "versions": {"metalwright": "9.0"}}
    (folder / "run.json").write_text(json.dumps(config))
    with pytest.raises(Error) as caught:
        RunStore.open(folder)
    assert caught.value.code == "newer-run"
    assert "version 7, made by metalwright 9.0" in caught.value.message
    for broken in ("{", "[1]", '{"schema_version": "x"}'):
        (folder / "run.json").write_text(broken)
        with pytest.raises(Error) as caught:
            collect_run(folder)
        assert caught.value.code == "not-a-run"


def attempt(number, model, ratio=None, **more):
    verdict = "wrong-values" if ratio is None else "correct"
    return AttemptScore(number, model, more.pop("kind", "proposal"), verdict, ratio=ratio, **more)


def made_up(problems, **more):
    return RunScores("r", "r", "", "cpu", "a device", tuple(problems), **more)


def test_levels_models_and_their_union():
    problems = [
        ProblemScores("a", (attempt(1, "x", 2.0), attempt(2, "y")), level=1),
        ProblemScores("b", (attempt(1, "x"), attempt(2, "y", 4.0)), level=2),
        ProblemScores("c", (), level=2, state="not-runnable", reason="no such operator"),
    ]
    run = made_up(problems, models=("x", "y"))
    rows = {(g.model, g.level): g for g in score_table(run)}
    assert set(rows) == {(m, lv) for m in ("x", "y", UNION) for lv in ("all", "1", "2")}
    assert [rows[m, "all"].solved for m in ("x", "y", UNION)] == [1, 1, 2]
    assert rows[UNION, "all"].problems == 2
    assert rows["y", "1"].solved == 0
    assert rows["y", "1"].money_per_solved is None
    assert rows[UNION, "all"].mean_of_all.value == pytest.approx(math.sqrt(8))
    assert run.denominator == "2 problems are scored of 3: 1 cannot run on cpu"


def test_tuning_is_no_models_own():
    own = (attempt(1, "x", 2.0), attempt(2, "x", 3.0, kind="tuning"))
    run = made_up([ProblemScores("a", own)], models=("x",))
    alone, union = score_table(run)
    assert alone.mean_of_all.value == pytest.approx(2.0)
    assert union.mean_of_all.value == pytest.approx(3.0)


def test_independent_samples_have_pass_at_k():
    own = tuple(attempt(i, "x", r, independent=True) for i, r in enumerate((None, 2.0, None), 1))
    later = attempt(4, "x", 8.0)
    group = score_group([ProblemScores("a", (*own, later))], "x")
    assert [e.value for e in group.pass_at_k] == pytest.approx([1 / 3, 2 / 3, 1.0])
    assert [e.value for e in group.best_ratio_at_k] == pytest.approx(
        [2 ** (1 / 3), 2 ** (2 / 3), 2.0]
    )


def test_an_unknown_price_is_not_nothing():
    known = ProblemScores("a", (attempt(1, "x", 2.0),), usage={"x": Usage(1, 10, 0.5, 1.0)})
    unknown = ProblemScores("b", (attempt(1, "x"),), usage={"x": Usage(1, 10, None, 1.0)})
    assert score_group([known], "x").money_per_solved == 0.5
    group = score_group([known, unknown], "x")
    assert (group.money_per_solved, group.tokens_per_solved) == (None, 20)


def test_runs_are_combined_problem_by_problem():
    used = {"x": Usage(1, 10, 0.5, 1.0)}
    left = made_up(
        [
            ProblemScores("a", (attempt(1, "x", 2.0),), source_hash="1", usage=used),
            ProblemScores("b", (), source_hash="2"),
        ],
        models=("x",),
        usage=Usage(1, 10, 0.5, 9.0),
    )
    right = made_up(
        [
            ProblemScores("a", (attempt(1, "y", 3.0, faster=True),), source_hash="1"),
            ProblemScores("b", (), source_hash="other size"),
        ],
        models=("y",),
        usage=Usage(2, 20, 0.5, 1.0),
    )
    both = combine([left, right])
    assert (both.models, both.label, both.usage) == (("x", "y"), "r + r", Usage(3, 30, 1.0, 10.0))
    (problem,) = both.problems
    assert [(a.number, a.model) for a in problem.attempts] == [(1, "x"), (2, "y")]
    assert problem.winner == 2
    assert [item.name for item in both.excluded] == ["b"]
    rows = {group.model: group for group in score_table(both)}
    assert [rows[m].mean_of_all.value for m in ("x", "y", UNION)] == pytest.approx([2, 3, 3])


@pytest.mark.parametrize(
    ("name", "number"), [("23_Softmax", 23), ("level1-7_Matmul_", 7), ("softmax", None)]
)
def test_the_number_of_a_kernelbench_problem(name, number):
    assert problem_number(name) == number


def test_the_environment_of_a_run_is_recorded(tmp_path):
    from tests.providers.scenario import PROBLEM

    from metalwright.cli.new_run import make_run
    from metalwright.evaluation import Settings
    from metalwright.problems import Problem
    from metalwright.search.settings import SearchSettings

    search = SearchSettings(models=("test:m",), prompts="abc", seed=7, temperature=0.5)
    problems = [Problem(name="1_Add", source=PROBLEM)]
    store = make_run("x", problems, Settings(device="cpu"), search, tmp_path)
    environment = collect_run(store.folder).environment
    assert environment["device"]["kind"] == "cpu"
    assert environment["device"]["llvm"].split(".")[0].isdigit()
    assert environment["device"]["thermal state"]
    assert set(environment["versions"]) >= {"python", "metalwright", "torch"}
    assert environment["prompts"]["sha256"] == "abc"
    assert environment["models"] == {"test:m": "temperature = 0.5, max_tokens = 32000"}
    assert environment["seeds"]["search seed"] == "7"
    assert "fresh secret seeds" in environment["seeds"]["policy"]
    assert environment["system"]["os"]


def test_the_state_of_a_repository_is_recorded(tmp_path):
    import subprocess

    from metalwright.runs.environment import describe_git

    def git(*arguments):
        subprocess.run(
            ["git", "-c", "user.name=x", "-c", "user.email=x@y", *arguments],
            cwd=tmp_path,
            check=True,
            capture_output=True,
        )

    git("init", "-q")
    (tmp_path / "a").write_text("1")
    git("add", "a")
    git("commit", "-qm", "a")
    found = describe_git(tmp_path)
    assert len(found["commit"]) == 40
    assert found["state"] == "clean"
    (tmp_path / "a").write_text("2")
    assert describe_git(tmp_path)["state"] == "1 files changed"
    assert describe_git(tmp_path / "missing") == {}
