"""64 problems with 16 requests in flight against a slow local server: does anything starve?

    pytest bench/test_search_throughput.py -s

What the server allows is its number of places divided by the seconds of an answer. The judge is
made up and takes 50 ms on its one thread's turn, as the real one does not run several at a time.
"""

import asyncio
import os
import time
from pathlib import Path

from tests.providers.scenario import MadeUpEvaluator, answer, models_file, new_run, search
from tests.providers.server import ModelServer, Reply

import metalwright.generation.anthropic_provider  # noqa: F401  (seconds, and not what is measured)

PROBLEMS, ATTEMPTS, PLACES, SECONDS, JUDGE = 64, 2, 16, 5.0, 0.05


class OneAtATime(MadeUpEvaluator):
    """Evaluations in turn, as with the real judge."""

    def __init__(self):
        super().__init__(JUDGE)
        self.turn = None
        self.waited = []

    async def evaluate(self, problem, source):
        self.turn = self.turn or asyncio.Lock()
        start = time.monotonic()
        async with self.turn:
            self.waited.append(time.monotonic() - start)
            return await super().evaluate(problem, source)


def resident():
    """Bytes of this process in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_requests_and_evaluations_do_not_starve_each_other(tmp_path):
    number = iter(range(10**6))
    sizes = []

    def script(received):
        sizes.append(resident())
        verdict = answer("correct", 1.1, f"number {next(number)}")
        return Reply(text=verdict, delay=SECONDS)

    with ModelServer(script, capacity=PLACES) as server:
        file = models_file(tmp_path / "m.toml", server.url, concurrency=PLACES)
        names = [f"p{n:02d}" for n in range(PROBLEMS)]
        store = new_run(
            tmp_path / "runs", names, models_file=file, attempts=ATTEMPTS, problems_at_once=PROBLEMS
        )
        evaluator = OneAtATime()
        start = time.monotonic()
        search(store, evaluator)
        seconds = time.monotonic() - start
    calls = len(server.answered)
    ideal = calls * SECONDS / PLACES
    tenth = len(sizes) // 10
    print(
        f"\n{calls} calls, {server.most_at_once} at once at most: {seconds:.2f} s, "
        f"the server allows {ideal:.2f} s: {ideal / seconds:.1%} of its throughput; "
        f"evaluations waited {max(evaluator.waited):.2f} s at most; memory "
        f"{sizes[tenth] / 2**20:.0f} MiB after a tenth, {sizes[-1] / 2**20:.0f} MiB at the end"
    )
    assert calls == PROBLEMS * ATTEMPTS
    assert server.most_at_once == PLACES
