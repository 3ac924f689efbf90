"""A made-up world for searches: problems, a judge that reads the verdict off the candidate, runs.

The judge here is a stand-in for tests of the search's own logic (slots, budgets, resuming). What
the real judge does with real candidates is tested with real problems.
"""

import asyncio
import re

from metalwright.errors import Error
from metalwright.evaluation.model import (
    DeviceReport,
    Evaluation,
    Evidence,
    Flag,
    Interval,
    Settings,
    Timing,
    Verdict,
)
from metalwright.generation.client import RetryPolicy
from metalwright.problems import Problem
from metalwright.runs import RunConfig, RunStore
from metalwright.runs.journal import Journal
from metalwright.search.drive import Search
from metalwright.search.evaluator import KernelTime, Profile
from metalwright.search.facts import DeviceFacts, ProblemFacts
from metalwright.search.settings import SearchSettings

DEVICE = DeviceReport(kind="cpu", name="a made-up device")
FAST_RETRIES = RetryPolicy(first_wait=0.01, longest_wait=0.05)

PROBLEM = """
import torch
from torch import nn


class Model(nn.Module):
    def forward(self, x):
        return x + 1


def get_inputs():
    return [torch.randn(4)]
"""


def candidate_text(verdict="correct", ratio=1.0, mark=""):
    """A candidate that says what the made-up judge is to find."""
    return f'''import metalwright
from torch import nn

# verdict: {verdict}
# ratio: {ratio}
# mark: {mark}
SOURCE = """
kernel void add(device float* x, uint i [[thread_position_in_grid]]) {{ x[i] += 1; }}
"""


class ModelNew(nn.Module):
    def forward(self, x):
        y = x.clone()
        metalwright.compile(SOURCE).add(y)
        return y
'''


def answer(verdict="correct", ratio=1.0, mark=""):
    """The same as an answer of a model's."""
    return f"I changed a thing.\n\n```python\n{candidate_text(verdict, ratio, mark)}```\n"


def prompt_says(prompt, name):
    """A line such as ``Attempt: 3`` of a prompt; the last one counts."""
    found = re.findall(rf"^{name}: (\S+)$", prompt, re.M)
    return found[-1] if found else None


class MadeUpEvaluator:
    """Reads verdict and ratio off the candidate."""

    def __init__(self, seconds=0.0):
        self.seconds = seconds
        self.evaluated = []
        self.at_once = self.most_at_once = 0

    async def evaluate(self, problem, source):
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(self.seconds)
        self.at_once -= 1
        self.evaluated.append((problem.name, source))
        if "# verdict: problem-error" in source:
            raise Error("problem-raised", "the problem is broken")
        verdict = Verdict(re.search(r"# verdict: (\S+)", source)[1])
        ratio = float(re.search(r"# ratio: (\S+)", source)[1])
        flags = tuple(Flag(word) for word in re.findall(r"# flag: (\S+)", source))
        return made_up_evaluation(problem.name, verdict, ratio).model_copy(update={"flags": flags})

    async def practise(self, problem, source, *, timed):
        return await self.evaluate(problem, source)

    async def profile(self, problem, source):
        return Profile((KernelTime("add", 1, 1e-3),))

    async def facts(self, problem):
        return ProblemFacts(
            inputs=("input[0] f32[4]",),
            outputs=("output f32[4]",),
            operators=("add(f32[4], 1) -> f32[4]",),
            signature={"add": 1},
            bytes=32,
            flops=0,
        )

    async def device(self):
        return DeviceFacts(kind="cpu", name="a made-up device", copy_bandwidth=1e9)


def made_up_evaluation(problem, verdict, ratio):
    timing = None
    if verdict is Verdict.CORRECT:
        second = Interval(median=1e-3, low=1e-3, high=1e-3)
        timing = Timing(
            baseline="eager",
            baseline_seconds=second,
            candidate_seconds=Interval(median=1e-3 / ratio, low=1e-3 / ratio, high=1e-3 / ratio),
            ratio=Interval(median=ratio, low=0.99 * ratio, high=1.01 * ratio),
            device_seconds=5e-4,
            dispatches=2,
            worker_seconds=1e-3,
            overhead_seconds=1e-4,
            pairs=9,
            baseline_calls=3,
            candidate_calls=4,
        )
    evidence = () if timing else (Evidence(check="values", message=f"made up: {verdict.value}"),)
    return Evaluation(
        problem=problem,
        verdict=verdict,
        summary=f"made up: {verdict.value}",
        evidence=evidence,
        device=DEVICE,
        settings=Settings(),
        timing=timing,
    )


class Quiet:
    """An observer that remembers."""

    def __init__(self):
        self.attempts, self.concluded_, self.stages = [], {}, []

    def stage(self, problem, text):
        self.stages.append((problem, text))

    def attempted(self, attempt):
        self.attempts.append(attempt)

    def called(self, problem, model, budget):
        pass

    def concluded(self, problem, state, reason, best, spent):
        self.concluded_[problem] = (state, reason)


class NoGenerator:
    """An offline generator that cannot do anything."""

    name = "inductor"

    def generate(self, problem):
        raise Error("not-traceable", f"{problem.name} cannot be traced")

    def cancel(self):
        pass


def new_run(root, names=("one",), **settings):
    """A run folder with its record. The settings are `SearchSettings`'."""
    settings = {"models": ("test:m",), "tune": False, "profile": False} | settings
    config = RunConfig(
        name="a test",
        created="2026-01-01T00:00:00+00:00",
        generator="models",
        settings=Settings(),
        problems=tuple(names),
        device=DEVICE,
        machine={},
        versions={},
        search=SearchSettings(**settings).model_dump(mode="json"),
    )
    problems = [Problem(name=name, source=PROBLEM) for name in names]
    store = RunStore.create(root, config, problems)
    Journal.create(store.folder, config.name, config.created, config.model_dump_json(), list(names))
    return store


def models_file(path, url, models=("m",), protocol="anthropic", **endpoint):
    """A models file whose endpoint ``test`` is a local server with prices."""
    base = url if protocol == "anthropic" else f"{url}/v1"
    more = "".join(f"{key} = {value}\n" for key, value in endpoint.items())
    text = f'[endpoints.test]\nprotocol = "{protocol}"\nbase_url = "{base}"\nkey = []\n{more}'
    for model in models:
        text += (
            f'[models."test:{model}"]\nmax_output = 4000\nthinking = "none"\n'
            "price = { input = 1.0, output = 10.0, cache_read = 0.1, cache_write = 1.25 }\n"
        )
    path.write_text(text)
    return str(path)


def search(store, evaluator=None, observer=None, **more):
    """Works on a run once; returns the journal, the observer and the evaluator."""
    evaluator, observer = evaluator or MadeUpEvaluator(), observer or Quiet()
    journal = Journal.open(store.folder)
    Search(
        RunStore.open(store.folder),
        journal,
        evaluator,
        NoGenerator(),
        observer,
        policy=FAST_RETRIES,
        **more,
    ).run()
    return journal, observer, evaluator
