"""Strategies over local servers that speak the real wire formats, with a made-up judge."""

import pytest
from tests.providers.scenario import (
    MadeUpEvaluator,
    answer,
    models_file,
    new_run,
    prompt_says,
    search,
)
from tests.providers.server import ModelServer, Reply

from metalwright.errors import Error
from metalwright.runs import RunStore
from metalwright.search.settings import Limits

IMPROVING = {
    1: answer("compile-error"),
    2: answer("wrong-values"),
    3: answer("correct", 0.8),
    4: answer("correct", 1.6),
    5: answer("correct", 1.4),
}


def by_attempt(answers):
    """A server's script: the answer for the attempt that the prompt names."""
    return lambda received: Reply(text=answers[int(prompt_says(received.prompt, "Attempt"))])


def one(value):
    return lambda _: Reply(text=value)


@pytest.mark.parametrize("protocol", ["anthropic", "openai"])
def test_refine_goes_from_failures_to_a_winner(tmp_path, protocol):
    with ModelServer(by_attempt(IMPROVING)) as server:
        file = models_file(tmp_path / "m.toml", server.url, protocol=protocol)
        store = new_run(tmp_path / "runs", models_file=file, attempts=5)
        journal, observer, _ = search(store)
        prompts = [received.prompt for received in server.received]
    attempts = journal.attempts("one")
    assert [a.evaluation.verdict.value for a in attempts] == [
        *("compile-error", "wrong-values", "correct", "correct", "correct")
    ]
    assert journal.state("one") == ("finished", "5 attempts are made", 4)
    assert observer.concluded_["one"][0] == "finished"
    # Each prompt holds what was found out about the attempt before.
    assert "made up: compile-error" in prompts[1]
    assert "made up: wrong-values" in prompts[2]
    assert "times as fast" in prompts[3]
    assert "slower than the best" not in prompts[4]
    assert "# ratio: 1.6" in prompts[4]
    # The run's folder is whole for the report and for people.
    folder = RunStore.open(store.folder)
    assert [a.evaluation.verdict for a in folder.attempts("one")] == [
        a.evaluation.verdict for a in attempts
    ]
    place = folder.attempts("one")[3].folder
    assert "Attempt: 4" in (place / "prompt.md").read_text()
    assert (place / "answer.md").read_text() == IMPROVING[4]
    assert (place / "kernels" / "add.metal").exists()
    spent = journal.spent()
    assert spent.calls == 5
    assert spent.money > 0
    assert spent.tokens > 1000


def test_the_original_wins_when_nothing_beats_it(tmp_path):
    with ModelServer(one(answer("correct", 1.05))) as server:
        file = models_file(tmp_path / "m.toml", server.url)
        store = new_run(tmp_path / "runs", models_file=file, attempts=1)
        journal, _, _ = search(store)
    assert journal.state("one")[0::2] == ("finished", None)


def test_a_time_that_the_device_cannot_reach_wins_nothing(tmp_path):
    too_fast = answer("correct", 90).replace("# ratio:", "# flag: beyond-roofline\n# ratio:")
    with ModelServer(by_attempt({1: answer("correct", 1.5), 2: too_fast, 3: too_fast})) as server:
        file = models_file(tmp_path / "m.toml", server.url)
        runs = tmp_path / "runs"
        store = new_run(runs, models_file=file, attempts=3, target_ratio=2.0)
        journal, _, _ = search(store)
    assert journal.state("one") == ("finished", "3 attempts are made", 1)
    assert [a.ratio for a in journal.attempts("one")] == [1.5, 0.0, 0.0]
    best = RunStore.open(store.folder).best("one")
    assert best is not None
    assert best.number == 1


def test_a_target_ratio_ends_the_search(tmp_path):
    with ModelServer(by_attempt(IMPROVING)) as server:
        file = models_file(tmp_path / "m.toml", server.url)
        store = new_run(tmp_path / "runs", models_file=file, attempts=5, target_ratio=1.5)
        journal, _, _ = search(store)
    assert len(journal.attempts("one")) == 4
    assert "1.6 times as fast" in journal.state("one")[1]


def test_a_roofline_share_ends_the_search(tmp_path):
    # 32 bytes at 1e9 bytes per second are 32 ns; the made-up device time is 0.5 ms.
    with ModelServer(by_attempt(IMPROVING)) as server:
        file = models_file(tmp_path / "m.toml", server.url)
        runs = tmp_path / "runs"
        store = new_run(runs, models_file=file, attempts=5, target_roofline=6e-5)
        journal, _, _ = search(store)
        assert "of the roofline" in journal.state("one")[1]
        assert len(journal.attempts("one")) == 3


def test_an_answer_without_code_is_sent_back_for_repair(tmp_path):
    def script(received):
        repairs = prompt_says(received.prompt, "Repair")
        if repairs is None:
            return Reply(text="I would write a kernel, but here is none.")
        if repairs == "1":
            return Reply(text="```python\nclass ModelNew(nn.Module:\n```")
        return Reply(text=answer("correct", 2.0))

    with ModelServer(script) as server:
        file = models_file(tmp_path / "m.toml", server.url)
        store = new_run(tmp_path / "runs", models_file=file, attempts=1)
        journal, _, _ = search(store)
        texts = [received.prompt for received in server.received]
    assert len(texts) == 3
    assert "no code block" in texts[1]
    assert "not valid Python" in texts[2]
    assert journal.state("one")[2] == 1


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(text="no", stop="refusal"), "refused"),
        (Reply(text="```python\nclass ModelNew", stop="max_tokens"), "cut off"),
        (Reply(text="```python\nimport os\nclass ModelNew(nn.Module): pass\n```"), "imports os"),
    ],
)
def test_an_attempt_without_a_candidate_says_why(tmp_path, reply, reason):
    with ModelServer(lambda _: reply) as server:
        file = models_file(tmp_path / "m.toml", server.url)
        store = new_run(tmp_path / "runs", models_file=file, attempts=1, repairs=1)
        journal, _, evaluator = search(store)
    attempt = journal.attempts("one")[0]
    assert attempt.candidate is None
    assert attempt.evaluation.verdict.value == "generator-error"
    assert reason in attempt.evaluation.summary
    assert evaluator.evaluated == []


def test_best_of_draws_samples_side_by_side_and_refines_the_best(tmp_path):
    count = iter(range(100))

    def script(received):
        if prompt_says(received.prompt, "Attempt") == "1":
            number = next(count)
            return Reply(text=answer("correct", 1.0 + number / 10, f"sample {number}"), delay=0.2)
        assert "# ratio: 1.2" in received.prompt
        return Reply(text=answer("correct", 3.0))

    with ModelServer(script) as server:
        file = models_file(tmp_path / "m.toml", server.url)
        store = new_run(
            tmp_path / "runs", models_file=file, strategy="best-of", samples=3, attempts=4
        )
        journal, _, _ = search(store)
        assert server.most_at_once == 3
    assert sorted(a.ratio for a in journal.attempts("one")) == [1.0, 1.1, 1.2, 3.0]


def test_a_swarm_shares_the_best_and_the_reasons_of_the_others(tmp_path):
    def script(received):
        model, number = received.body["model"], int(prompt_says(received.prompt, "Attempt"))
        if number == 1:
            fast = answer("correct", 1.5, "from a")
            return Reply(text=fast if model == "a" else answer("wrong-values"))
        assert "from a" in received.prompt
        assert "made up: wrong-values" in received.prompt
        return Reply(text=answer("correct", 2.0 if model == "b" else 1.2, f"second of {model}"))

    with ModelServer(script) as server:
        file = models_file(tmp_path / "m.toml", server.url, ("a", "b"))
        store = new_run(
            tmp_path / "runs",
            models_file=file,
            models=("test:a", "test:b"),
            strategy="swarm",
            attempts=2,
        )
        journal, _, _ = search(store)
    attempts = journal.attempts("one")
    assert len(attempts) == 4
    best = max(attempts, key=lambda attempt: attempt.ratio)
    assert (best.model, best.ratio, len(best.parents)) == ("test:b", 2.0, 2)


def test_a_model_that_fails_for_good_does_not_stop_the_others(tmp_path):
    def script(received):
        if received.body["model"] == "b":
            return Reply(status=404, error_type="not_found_error")
        return Reply(text=answer("correct", 1.3))

    with ModelServer(script) as server:
        file = models_file(tmp_path / "m.toml", server.url, ("a", "b"))
        store = new_run(
            tmp_path / "runs",
            models_file=file,
            models=("test:a", "test:b"),
            strategy="swarm",
            attempts=1,
        )
        journal, _, _ = search(store)
    assert journal.state("one")[0] == "finished"
    assert [a.model for a in journal.attempts("one")] == ["test:a"]
    assert "not-found" in journal.decision("one", "swarm/1/test:b/failed")


def test_a_single_model_that_fails_pauses_the_problem(tmp_path):
    broken = True

    def script(received):
        if broken:
            return Reply(status=500)
        return Reply(text=answer("correct", 1.3))

    with ModelServer(script) as server:
        file = models_file(tmp_path / "m.toml", server.url)
        store = new_run(tmp_path / "runs", models_file=file, attempts=1)
        journal, _, _ = search(store)
        state, reason, _ = journal.state("one")
        assert state == "paused"
        assert "server" in reason
        broken = False
        journal, _, _ = search(store)
    assert journal.state("one")[0] == "finished"


def test_evolve_keeps_islands_apart_and_crosses_candidates(tmp_path):
    count = iter(range(1, 100))

    def script(received):
        number = next(count)
        return Reply(text=answer("correct", 1 + number / 10, f"number {number}"))

    with ModelServer(script) as server:
        file = models_file(tmp_path / "m.toml", server.url)
        store = new_run(
            tmp_path / "runs", models_file=file, strategy="evolve", attempts=4, islands=2
        )
        journal, _, _ = search(store)
    attempts = journal.attempts("one")
    assert len(attempts) == 8
    assert {attempt.slot.split("/")[2] for attempt in attempts} == {"0", "1"}
    later = [attempt for attempt in attempts if attempt.slot.startswith("evolve/4")]
    assert all(attempt.parents for attempt in later)


def test_a_broken_problem_is_its_own_outcome(tmp_path):
    class Broken(MadeUpEvaluator):
        async def facts(self, problem):
            if problem.name == "two":
                raise Error("problem-raised", "two: it is broken")
            return await super().facts(problem)

    with ModelServer(one(answer("correct", 1.5))) as server:
        file = models_file(tmp_path / "m.toml", server.url)
        store = new_run(tmp_path / "runs", ("one", "two"), models_file=file, attempts=1)
        journal, _, _ = search(store, Broken())
    assert journal.state("one")[0] == "finished"
    assert [a.evaluation.verdict.value for a in journal.attempts("two")] == ["problem-error"]


def test_the_same_text_is_not_judged_twice(tmp_path):
    with ModelServer(one(answer("correct", 1.1))) as server:
        file = models_file(tmp_path / "m.toml", server.url)
        store = new_run(tmp_path / "runs", models_file=file, attempts=3)
        journal, _, evaluator = search(store)
    assert len(journal.attempts("one")) == 3
    assert len(evaluator.evaluated) == 1


# ---------------------------------------------------------------------------------- budgets


def test_a_budget_in_money_is_never_overshot_and_can_be_raised(tmp_path):
    with ModelServer(lambda _: Reply(text=answer("wrong-values"), delay=0.02)) as server:
        file = models_file(tmp_path / "m.toml", server.url)
        names = [f"p{number}" for number in range(8)]
        store = new_run(
            tmp_path / "runs", names, models_file=file, attempts=2, limits=Limits(money=0.052)
        )
        journal, observer, _ = search(store)
        made = len(server.received)
        spent = journal.spent()
        assert spent.money <= 0.052
        assert 2 <= made < 16, (spent, made)
        states = [journal.state(name)[0] for name in names]
        assert "paused" in states
        assert "budget of $0.05" in next(
            reason for state, reason in observer.concluded_.values() if state == "paused"
        )
        search(store, limits=Limits(money=10))
        assert len(server.received) == 16
    assert [journal.state(name)[0] for name in names] == ["finished"] * 8


def test_a_budget_in_tokens_or_seconds_pauses(tmp_path):
    with ModelServer(lambda _: Reply(text=answer("wrong-values"), delay=0.1)) as server:
        file = models_file(tmp_path / "m.toml", server.url)
        for limits in (Limits(tokens=6500), Limits(seconds=1.0)):
            store = new_run(tmp_path / "runs", models_file=file, attempts=50, limits=limits)
            journal, _, _ = search(store)
            assert journal.state("one")[0] == "paused"
            # A second is at most ten answers of this server.
            assert len(journal.attempts("one")) <= 11
            if limits.tokens:
                assert 1 <= len(journal.attempts("one")) < 8
                assert journal.spent().tokens <= limits.tokens


def test_a_budget_in_money_needs_prices(tmp_path):
    file = models_file(tmp_path / "m.toml", "http://localhost:1")
    store = new_run(
        tmp_path / "runs", models_file=file, models=("test:other",), limits=Limits(money=1)
    )
    with pytest.raises(Error) as caught:
        search(store)
    assert caught.value.code == "unknown-price"


def test_failed_tries_are_paid_for(tmp_path):
    replies = [Reply(text="x" * 2000, break_after=6), Reply(text=answer("correct", 1.2))]
    with ModelServer(lambda _: replies.pop(0)) as server:
        file = models_file(tmp_path / "m.toml", server.url)
        store = new_run(tmp_path / "runs", models_file=file, attempts=1)
        journal, _, _ = search(store)
    with journal.engine.connect() as connection:
        import json

        from sqlalchemy import select

        from metalwright.runs import tables

        row = connection.execute(select(tables.calls)).one()
        tries = json.loads(row.tries)
    assert [t["error"] for t in tries] == ["connection", None]
    assert tries[0]["usage"]["input"] > 0
    assert row.input_tokens == tries[0]["usage"]["input"] + tries[1]["usage"]["input"]
    assert journal.spent().money == pytest.approx(row.cost)


# ---------------------------------------------------------------------------------- reuse


def test_identical_requests_are_served_from_the_store(tmp_path):
    number = iter(range(100))

    def script(received):
        return Reply(text=answer("correct", 1.1, f"sample {next(number)}"))

    with ModelServer(script) as server:
        file = models_file(tmp_path / "m.toml", server.url)
        options = {
            "models_file": file,
            "strategy": "best-of",
            "samples": 3,
            "attempts": 3,
            "reuse": True,
        }
        first, _, _ = search(new_run(tmp_path / "runs", **options))
        assert len(server.received) == 3
        second, _, _ = search(new_run(tmp_path / "runs", **options))
        assert len(server.received) == 3
    sources = [sorted(a.candidate.source for a in j.attempts("one")) for j in (first, second)]
    assert sources[0] == sources[1]
    assert len(set(sources[0])) == 3, "independent samples stay different"
    assert second.spent().money == 0


# ---------------------------------------------------------------------------------- agent


def test_an_agent_uses_tools_and_submits(tmp_path):
    good = answer("correct", 1.7).split("```python\n")[1].split("```")[0]
    bad = good.replace("verdict: correct", "verdict: wrong-values")

    def script(received):
        turn = sum(message["role"] == "assistant" for message in received.body["messages"]) + 1
        calls = {
            1: [("read_notes", {"topic": "device"}), ("nonsense", {})],
            2: [("run", {"candidate": bad})],
            3: [("evaluate", {"candidate": good}), ("profile", {"candidate": good})],
            4: [("submit", {"candidate": bad}), ("submit", {"candidate": good})],
        }.get(turn)
        if calls is None:
            return Reply(text="I am done.")
        return Reply(
            text="let me see",
            tool_calls=tuple((f"t{turn}-{i}", name, args) for i, (name, args) in enumerate(calls)),
        )

    for protocol in ("anthropic", "openai"):
        with ModelServer(script) as server:
            file = models_file(tmp_path / f"{protocol}.toml", server.url, protocol=protocol)
            store = new_run(
                tmp_path / "runs", models_file=file, strategy="agent", attempts=3, turns=9
            )
            journal, _, _ = search(store)
            last = str(server.received[-1].body["messages"])
        assert [a.evaluation.verdict.value for a in journal.attempts("one")] == [
            *("wrong-values", "correct")
        ]
        assert journal.state("one")[2] == 2
        assert journal.state("one")[1] == "test:m has stopped after 5 turns"
        for words in ("There is no tool", "a made-up device", "made up: wrong-values", "1.7"):
            assert words in last
