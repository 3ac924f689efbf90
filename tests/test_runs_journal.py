"""The store: what it keeps, what it writes out, and finding things in it again."""

import json
import sqlite3

import pytest
from tests.providers.scenario import answer, models_file, new_run, search
from tests.providers.server import ModelServer, Reply

from metalwright.errors import Error
from metalwright.runs.journal import Journal
from metalwright.runs.listing import (
    export_rows,
    list_runs,
    write_json_lines,
    write_parquet,
)
from metalwright.runs.tables import STORE_FILE
from metalwright.search.facts import ProblemFacts
from metalwright.search.neighbours import find_neighbours


@pytest.fixture
def two_runs(tmp_path):
    """A run with a ratio of 1.5 and one of 2.0 in one store."""
    journals = []
    for ratio in (1.5, 2.0):
        reply = Reply(text=answer("correct", ratio), thinking="hm")
        with ModelServer(lambda _, reply=reply: reply) as server:
            file = models_file(tmp_path / "m.toml", server.url)
            store = new_run(tmp_path / "runs", models_file=file, attempts=1)
            journals.append(search(store)[0])
    return journals


def test_runs_are_listed_with_what_they_found_and_cost(two_runs, tmp_path):
    first, second = list_runs(tmp_path / "runs")
    assert (first.problems, first.finished, first.attempts, first.correct) == (1, 1, 1, 1)
    assert first.money > 0
    assert first.tokens > 100
    assert first.folder != second.folder


def test_an_export_holds_everything_and_can_be_replayed(two_runs, tmp_path):
    path = tmp_path / "run.jsonl"
    count = write_json_lines(two_runs[1], path)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(rows) == count
    tables = {row["table"] for row in rows}
    assert {"calls", "attempts", "problems", "sessions"} <= tables
    (call,) = (row for row in rows if row["table"] == "calls")
    assert "Problem: one" in call["request"]["messages"][0]["parts"][0]["text"]
    assert call["answer"]["thinking"] == "hm"
    # The same request to a replay of the file gets the same answer, without a server.
    import asyncio

    from metalwright.generation.messages import Request
    from metalwright.generation.replay_provider import ReplayProvider

    request = Request.model_validate(call["request"])
    assert request.hash == call["request_hash"]
    replayed = asyncio.run(ReplayProvider(path).complete(request))
    assert replayed.model_dump(mode="json") == call["answer"]


def test_an_export_to_parquet_is_read_back(two_runs, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    files = write_parquet(two_runs[0], tmp_path / "out")
    assert {file.stem for file in files} >= {"calls", "attempts", "problems"}
    calls = parquet.read_table(tmp_path / "out" / "calls.parquet").to_pylist()
    assert len(calls) == 1
    assert calls[0]["cost"] > 0
    assert json.loads(calls[0]["answer"])["stop"] == "end"


def test_the_closest_verified_kernels_of_earlier_runs_are_found(two_runs, tmp_path):
    journal = Journal.open(new_run(tmp_path / "runs").folder)
    facts = ProblemFacts(
        inputs=(), outputs=(), operators=(), signature={"add": 2, "mul": 1}, bytes=1, flops=0
    )
    (found,) = find_neighbours(journal, facts, 3, "cpu")
    assert (found.problem, found.ratio) == ("one", 2.0)
    assert "class ModelNew" in found.block()["text"]
    other = facts.model_copy(update={"signature": {"convolution": 1}})
    assert find_neighbours(journal, other, 3, "cpu") == []
    assert find_neighbours(journal, facts, 3, "metal") == []


def test_neighbours_are_shown_to_the_model_and_recorded(two_runs, tmp_path):
    with ModelServer(lambda _: Reply(text=answer("correct", 1.1))) as server:
        file = models_file(tmp_path / "m.toml", server.url)
        store = new_run(tmp_path / "runs", models_file=file, attempts=1, neighbours=2)
        journal, _, _ = search(store)
        prompt = server.received[0].prompt
    assert "A verified kernel for a similar problem (one), 2 times as fast" in prompt
    assert journal.decision("one", "neighbours")[0]["title"] in prompt


def test_what_the_user_gives_is_shown_to_the_model(tmp_path):
    context = {"*": {"For all": "be careful"}, "one": {"CUDA": "__global__"}, "two": {"No": "no"}}
    with ModelServer(lambda _: Reply(text=answer("correct", 1.1))) as server:
        file = models_file(tmp_path / "m.toml", server.url)
        search(new_run(tmp_path / "runs", models_file=file, attempts=1, context=context))
        prompt = server.received[0].prompt
    assert "be careful" in prompt
    assert "__global__" in prompt
    assert "# No\n" not in prompt


def test_a_text_is_stored_once(two_runs, tmp_path):
    connection = sqlite3.connect(tmp_path / "runs" / STORE_FILE)
    systems = [
        json.loads(row[0])["system"] for row in connection.execute("select request from calls")
    ]
    connection.close()
    assert len(systems) == 2
    assert len(set(systems)) == 1


def test_decisions_stay_as_they_were_first(tmp_path):
    journal = Journal.open(new_run(tmp_path / "runs").folder)
    assert journal.decide("one", "a", "test", {"x": [1, 2]}) == {"x": [1, 2]}
    assert journal.decide("one", "a", "test", "other") == {"x": [1, 2]}
    assert journal.decision("one", "b", "none") == "none"


def test_answers_of_any_characters_are_kept(tmp_path):
    text = "\x00 \ud800 \U0001f600 \u2028" + answer("correct", 1.2)
    with ModelServer(lambda _: Reply(text=text)) as server:
        file = models_file(tmp_path / "m.toml", server.url)
        journal, _, _ = search(new_run(tmp_path / "runs", models_file=file, attempts=1))
    assert journal.attempts("one")[0].evaluation.correct
    assert list(export_rows(journal))


def test_a_folder_without_a_store_and_a_store_of_another_version_are_refused(tmp_path):
    (tmp_path / "x").mkdir()
    with pytest.raises(Error) as caught:
        Journal.open(tmp_path / "x")
    assert caught.value.code == "no-run-store"
    store = new_run(tmp_path / "runs")
    connection = sqlite3.connect(tmp_path / "runs" / STORE_FILE)
    connection.execute("pragma user_version = 99")
    connection.close()
    with pytest.raises(Error, match="version 99"):
        Journal.open(store.folder)
    (tmp_path / "runs" / STORE_FILE).write_text("this is no database, whatever its name says")
    with pytest.raises(Error) as caught:
        Journal.open(store.folder)
    assert caught.value.code == "no-run-store"
