"""Killed at a hundred random points and resumed: nothing lost, nothing doubled, nothing paid twice.

Twenty kills for each of the five strategies, at random moments after the process has begun to work.
"""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.providers.scenario import (
    answer,
    candidate_text,
    models_file,
    new_run,
    prompt_says,
    search,
)
from tests.providers.server import ModelServer, Reply

from metalwright.errors import Error
from metalwright.runs import RunStore, tables
from metalwright.runs.journal import Journal

KILLS = 20
ROOT = Path(__file__).resolve().parent.parent


def script(received):
    """Answers that depend on the prompt alone, with a repair now and then."""
    turns = sum(message["role"] == "assistant" for message in received.body["messages"])
    problem = prompt_says(received.prompt, "Problem")
    number = int(prompt_says(received.prompt, "Attempt"))
    chance = random.Random(f"{problem}/{number}/{turns}/{received.body['model']}")
    verdict = chance.choice(["correct", "correct", "wrong-values", "compile-error"])
    mark = f"{problem} {number} {turns} {received.body['model']} {chance.random()}"
    ratio = round(chance.uniform(0.5, 1.9), 3)
    delay = chance.uniform(0.005, 0.03)
    if "tools" in received.body:
        if turns >= 8:
            return Reply(text="enough", delay=delay)
        name = "submit" if turns % 2 else "run"
        calls = ((f"t{turns}", name, {"candidate": candidate_text(verdict, ratio, mark)}),)
        return Reply(text="", tool_calls=calls, delay=delay)
    if chance.random() < 0.2:
        return Reply(text="no code today", delay=delay)
    return Reply(text=answer(verdict, ratio, mark), delay=delay)


class Worker:
    """The forking process of a test."""

    def __init__(self, folder):
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.providers.forking", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.kill()
        self._process.wait()

    def start(self):
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def wait(self):
        return int(self._process.stdout.readline())


def is_alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


OPTIONS = {
    "refine": {"attempts": 8},
    "best-of": {"attempts": 8, "samples": 5},
    "swarm": {"attempts": 4, "models": ("test:a", "test:b")},
    "evolve": {"attempts": 4, "islands": 2},
    "agent": {"attempts": 9, "turns": 9},
}


@pytest.mark.slow
@pytest.mark.parametrize("strategy", OPTIONS)
def test_a_killed_run_goes_on_where_it_was(tmp_path, strategy):
    names = ("p1", "p2", "p3", "p4")
    chance = random.Random(strategy)
    with ModelServer(script) as server:
        file = models_file(tmp_path / "m.toml", server.url, ("m", "a", "b"))
        store = new_run(
            tmp_path / "runs",
            names,
            strategy=strategy,
            models_file=file,
            repairs=1,
            **OPTIONS[strategy],
        )
        killed = at_work = 0
        with Worker(store.folder) as worker:
            while killed < KILLS:
                before = len(server.received)
                child = worker.start()
                # From when it has begun to ask: before that there is nothing to lose.
                end = time.monotonic() + 20
                while len(server.received) == before and is_alive(child) and time.monotonic() < end:
                    time.sleep(0.001)
                # Short against the whole run, or it is done before it has been killed often enough.
                time.sleep(chance.uniform(0, 0.03))
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
                killed += 1
                at_work += worker.wait() == signal.SIGKILL
            # What is in the store now was all written by processes that were killed.
            assert at_work >= KILLS * 0.6
            worker.start()
            assert worker.wait() == 0
        journal = Journal.open(store.folder)
        check_whole(store, journal, names)
        check_paid_once(server, journal, killed)
        # Another session finds nothing to do.
        asked = len(server.received)
        search(store)
        assert len(server.received) == asked


def check_whole(store, journal, names):
    """Every slot has one attempt, in the store and in the folder alike."""
    for name in names:
        assert journal.state(name)[0] == "finished"
        attempts = journal.attempts(name)
        assert [a.number for a in attempts] == list(range(1, len(attempts) + 1))
        assert len({a.slot for a in attempts}) == len(attempts)
        folder = store.attempts(name)
        assert [a.number for a in folder] == [a.number for a in attempts]
        assert [a.evaluation for a in folder] == [a.evaluation for a in attempts]
        if not any(a.slot.startswith("agent") for a in attempts):
            assert len(attempts) == 8


def check_paid_once(server, journal, killed):
    """An answer that was sent is in the store, or was on its way when the process was killed."""
    with journal.engine.connect() as connection:
        calls = connection.execute(select(tables.calls)).all()
    done = Counter((c.problem, c.slot) for c in calls if c.state == "done")
    lost = Counter((c.problem, c.slot) for c in calls if c.state == "lost")
    assert set(done.values()) == {1}
    assert {c.state for c in calls} <= {"done", "lost"}
    assert len(server.answered) <= sum(done.values()) + sum(lost.values())
    # At most what was under way is lost: the limit of calls at a time is the endpoint's.
    assert sum(lost.values()) <= 4 * killed
    # The same words are only ever sent again for a call that was lost.
    sent = Counter((r.body["model"], r.prompt, len(r.body["messages"])) for r in server.received)
    repeated = sum(count - 1 for count in sent.values())
    # Independent samples and their repairs are sent with the same words, five times.
    samples = 4 * 4 * 2 if any("best-of" in slot for _, slot in done) else 0
    assert repeated <= sum(lost.values()) + samples


def test_lost_calls_count_with_the_most_that_they_can_cost(tmp_path):
    with ModelServer(script) as server:
        file = models_file(tmp_path / "m.toml", server.url)
        store = new_run(tmp_path / "runs", models_file=file, attempts=1)
        journal = Journal.open(store.folder)
        from metalwright.generation.messages import Request, user_message

        request = Request(model="test:m", system="", messages=(user_message("x"),), max_tokens=100)
        with journal.session():
            journal.begin_call("one", "refine/1/call", "attempt", request, "", 0.5, 1000)
        journal, _, _ = search(store)
        spent = journal.spent()
    assert spent.lost_money == 0.5
    assert spent.money > 0.5
    assert journal.state("one")[0] == "finished"


def test_two_processes_cannot_work_on_one_run(tmp_path):
    store = new_run(tmp_path / "runs")
    first, second = Journal.open(store.folder), Journal.open(store.folder)
    with first.session(), pytest.raises(Error) as caught, second.session():
        pass
    assert caught.value.code == "run-in-use"
    with second.session():
        pass


def test_a_folder_that_was_not_written_is_written_on_resume(tmp_path):
    import shutil

    with ModelServer(script) as server:
        file = models_file(tmp_path / "m.toml", server.url)
        store = new_run(tmp_path / "runs", models_file=file, attempts=3)
        search(store)
        shutil.rmtree(store.folder / "problems" / "one" / "attempts" / "002")
        search(store)
    assert [a.number for a in RunStore.open(store.folder).attempts("one")] == [1, 2, 3]


def test_an_interrupt_ends_at_once_and_keeps_what_is_done(tmp_path):
    def slow(received):
        reply = script(received)
        # The later attempts take longer than anybody waits for.
        reply.delay = 0.01 if prompt_says(received.prompt, "Attempt") in ("1", "2") else 600
        return reply

    with ModelServer(slow) as server:
        file = models_file(tmp_path / "m.toml", server.url)
        store = new_run(tmp_path / "runs", ("p1", "p2"), models_file=file, attempts=3)
        with Worker(store.folder) as worker:
            child = worker.start()
            journal = Journal.open(store.folder)
            end = time.monotonic() + 60
            while [prompt_says(r.prompt, "Attempt") for r in list(server.received)].count("3") < 2:
                assert time.monotonic() < end
                time.sleep(0.01)
            start = time.monotonic()
            os.kill(child, signal.SIGINT)
            assert worker.wait() != 0
            assert time.monotonic() - start < 30, "it does not wait for the answers"
        assert [len(journal.attempts(name)) for name in ("p1", "p2")] == [2, 2]
        assert {journal.state(name)[0] for name in ("p1", "p2")} == {"open"}
        with journal.engine.connect() as connection:
            states = connection.execute(select(tables.calls.c.state)).scalars().all()
        assert states.count("started") == 2
