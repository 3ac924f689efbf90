"""The whole loop with the real judge: recorded answers behind local servers, verified kernels out.

The answers in tests/providers/recorded are wrong first, each in another way, and then repaired.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.providers.scenario import models_file
from tests.providers.server import ModelServer, Reply

from metalwright.generation.messages import Request, user_message
from metalwright.generation.replay_provider import answer_name
from metalwright.runs import RunStore
from metalwright.runs.journal import Journal

pytestmark = [pytest.mark.native, pytest.mark.slow]

ROOT = Path(__file__).resolve().parent.parent
RECORDED = Path(__file__).parent / "providers" / "recorded"
KEY = "sk-a-key-that-must-not-be-seen-anywhere"

FIRST_VERDICTS = {
    "gelu": "compile-error",
    "softmax": "wrong-values",
    "rms_norm": "wrong-metadata",
    "variance": "correct",  # and slow, after an answer without code was sent back
    "masked_cumsum": "launch-error",
    "add_layer_norm": "crash",
    "focal_loss": "timeout",
    "linear_scale_pool": "memory-limit",
    "swiglu": "mutates-inputs",
    "gelu_mlp": "launch-error",  # after an answer that was no Python was sent back
}

# The judge's work grows with the sizes, and what these tests show does not depend on them. Variance
# stays as it is: there a kernel of one thread must be seen to be slow.
SMALLER = {
    "gelu": {"ROWS": 64},
    "softmax": {"ROWS": 64},
    "rms_norm": {"TOKENS": 64},
    "masked_cumsum": {"ROWS": 64},
    "add_layer_norm": {"TOKENS": 64},
    "focal_loss": {"SAMPLES": 512},
    "linear_scale_pool": {"BATCH": 16, "FEATURES": 64, "HIDDEN": 128},
    "swiglu": {"TOKENS": 64},
    "gelu_mlp": {"TOKENS": 32, "WIDTH": 64, "HIDDEN": 128},
}


def problem_file(folder, name):
    """A copy of an example problem in a folder, at the sizes of these tests."""
    text = next((ROOT / "examples/problems").glob(f"*/{name}.py")).read_text()
    for constant, value in SMALLER.get(name, {}).items():
        text, changed = re.subn(rf"^{constant} = .*$", f"{constant} = {value}", text, flags=re.M)
        assert changed == 1
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(text)
    return folder / f"{name}.py"


def recorded(received):
    """The recorded answer that a prompt asks for."""
    request = Request(model="x", system="", messages=(user_message(received.prompt),), max_tokens=1)
    return Reply(text=(RECORDED / f"{answer_name(request)}.md").read_text())


def optimize(tmp_path, url, protocol, names, *options):
    file = Path(models_file(tmp_path / "models.toml", url, ("a", "b"), protocol))
    file.write_text(file.read_text().replace("key = []", 'key = ["SOME_API_KEY"]'))
    problems = [problem_file(tmp_path / "problems", name) for name in names]
    return subprocess.run(
        [
            *(sys.executable, "-m", "metalwright", "optimize", *problems),
            *("--model", "test:a", "--models", file, "--seeds", "2", "--timing-seconds", "0.2"),
            *("--deadline", "8", "--output", tmp_path / "runs", *options),
        ],
        cwd=ROOT,
        env={**os.environ, "SOME_API_KEY": KEY},
        capture_output=True,
        text=True,
        timeout=550,
    )


def run_of(tmp_path):
    (folder,) = (entry for entry in (tmp_path / "runs").iterdir() if entry.is_dir())
    return RunStore.open(folder), Journal.open(folder)


def proposed(journal, name):
    """The verdicts of what was proposed; what tuning adds depends on what the clock shows."""
    return [a.evaluation.verdict.value for a in journal.attempts(name) if a.kind != "tuning"]


def test_ten_problems_go_from_wrong_answers_to_verified_kernels(tmp_path):
    with ModelServer(recorded) as server:
        result = optimize(
            tmp_path, server.url, "anthropic", FIRST_VERDICTS, "--attempts", "2", "--budget", "5"
        )
        keys = {value for r in server.received for value in r.headers.values() if KEY in value}
    assert keys, "the server was given the key"
    assert result.returncode == 0, result.stdout + result.stderr
    assert "10 of 10 correct" in result.stdout
    assert "test:a: 20 attempts, 10 of 10 solved" in result.stdout
    store, journal = run_of(tmp_path)
    verdicts = {name: proposed(journal, name) for name in FIRST_VERDICTS}
    assert verdicts == {name: [first, "correct"] for name, first in FIRST_VERDICTS.items()}
    page = (store.folder / "report.html").read_text()
    for words in ("Attempts and what they cost", "test:a", "Problems with a right candidate"):
        assert words in page
    assert "fast_tanh" in (store.folder / "problems/gelu/attempts/002/prompt.md").read_text()
    check_no_key(tmp_path, result)
    check_slow_kernel_was_mended(journal.attempts("variance"), store.folder)


def check_slow_kernel_was_mended(attempts, folder):
    """Right from the first, but one thread did all the work: the prompt says so."""
    slow, fast = (a.evaluation.timing for a in attempts if a.kind != "tuning")
    assert slow.device_seconds > 4 * fast.device_seconds
    prompt = (folder / "problems/variance/attempts/002/prompt.md").read_text()
    assert "grid 1 threads in 1 threadgroup of 1 (1 simdgroups each)" in prompt
    assert "31 lanes of the last simdgroup of every threadgroup are idle" in prompt
    assert f"{slow.ratio.median:.3g} times as fast" in " ".join(prompt.split())


def check_no_key(tmp_path, result):
    """The key is in nothing that was written, and no worker had it."""
    assert KEY not in result.stdout + result.stderr
    for path in (tmp_path / "runs").rglob("*"):
        if path.is_file():
            assert KEY.encode() not in path.read_bytes(), path


def test_workers_and_the_offline_generator_have_no_key(tmp_path):
    problem = (ROOT / "examples/problems/level1/gelu.py").read_text()
    part = KEY[5:25]  # the whole key would then be in the run's folder
    guard = f"import os\nif any({part!r} in v for v in os.environ.values()):\n    raise Exception\n"
    (tmp_path / "gelu.py").write_text(f"{guard}{problem}")
    with ModelServer(recorded) as server:
        file = Path(models_file(tmp_path / "models.toml", server.url, ("a",)))
        file.write_text(file.read_text().replace("key = []", 'key = ["SOME_API_KEY"]'))
        result = subprocess.run(
            [
                *(sys.executable, "-m", "metalwright", "optimize", tmp_path / "gelu.py"),
                *("--model", "test:a", "--models", file, "--seeds", "1", "--timing-seconds", "0"),
                *("--attempts", "2", "--start-from-inductor", "--output", tmp_path / "runs"),
                *("--set", "ROWS=64"),
            ],
            env={**os.environ, "SOME_API_KEY": KEY},
            capture_output=True,
            text=True,
            timeout=300,
        )
    assert result.returncode == 0, result.stdout + result.stderr
    _, journal = run_of(tmp_path)
    assert proposed(journal, "gelu") == ["correct", "compile-error", "correct"]
    check_no_key(tmp_path, result)


@pytest.mark.parametrize(
    ("strategy", "protocol", "options"),
    [
        ("best-of", "openai", ["--samples", "2", "--attempts", "3"]),
        ("swarm", "anthropic", ["--model", "test:b", "--attempts", "2"]),
        ("evolve", "openai", ["--attempts", "2"]),
    ],
)
def test_other_strategies_end_with_a_verified_kernel(tmp_path, strategy, protocol, options):
    with ModelServer(recorded) as server:
        result = optimize(
            tmp_path, server.url, protocol, ["swiglu"], "--strategy", strategy, *options
        )
    assert result.returncode == 0, result.stdout + result.stderr
    _, journal = run_of(tmp_path)
    attempts = journal.attempts("swiglu")
    assert attempts[0].evaluation.verdict.value == "mutates-inputs"
    assert attempts[-1].evaluation.correct


def test_an_agent_ends_with_a_verified_kernel(tmp_path):
    answers = [(RECORDED / "swiglu" / "1.md").read_text()]
    wrong = answers[0].split("```python\n")[1].split("```")[0]
    right = wrong.replace("out = residual\n", "out = torch.empty_like(gate)\n")

    def script(received):
        turn = sum(message["role"] == "assistant" for message in received.body["messages"])
        plan = [
            ("compile", {"source": "kernel void f(device float* x) { y = 1; }"}),
            ("run", {"candidate": wrong}),
            ("evaluate", {"candidate": right}),
            ("profile", {"candidate": right}),
            ("submit", {"candidate": right}),
        ]
        if turn >= len(plan):
            return Reply(text="done")
        return Reply(text="", tool_calls=((f"t{turn}", *plan[turn]),))

    with ModelServer(script) as server:
        result = optimize(
            tmp_path, server.url, "openai", ["swiglu"], "--strategy", "agent", "--attempts", "2"
        )
        last = json.dumps(server.received[-1].body["messages"])
    assert result.returncode == 0, result.stdout + result.stderr
    for words in ("use of undeclared identifier", "mutates-inputs", "swiglu: ", "Attempt 1."):
        assert words in last
    _, journal = run_of(tmp_path)
    assert proposed(journal, "swiglu") == ["correct"]


def test_tuning_finds_launch_parameters_without_a_model(tmp_path):
    """Without a key it says so, and the offline generator and the tuning do the work."""
    problem = problem_file(tmp_path / "problems", "gelu")
    environment = {k: v for k, v in os.environ.items() if k != "ANTHROPIC_API_KEY"}
    result = subprocess.run(
        [
            *(sys.executable, "-m", "metalwright", "optimize", problem),
            *("--model", "claude-opus-5-5", "--seeds", "1", "--timing-seconds", "0.2"),
            *("--tune-trials", "3", "--output", tmp_path / "runs"),
        ],
        env={**environment, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "ANTHROPIC_API_KEY is not set" in result.stderr
    assert "the offline generator works alone" in result.stderr
    _, journal = run_of(tmp_path)
    assert journal.attempts("gelu")[0].model == "inductor"
