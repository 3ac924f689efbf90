"""The judge on the device `metal`, which the stand-in for Apple's framework plays.

Everything goes through csrc/metal and the judge as on a Mac; what is not there is torch's mps, so
tensors are on the CPU, and Apple's compiler. All thirty cheats and all honest candidates are judged
there by `python -m tests.cheats --device metal`; here are some of each kind.
"""

import tempfile
from pathlib import Path

import pytest
from tests.cheats.__main__ import is_caught, judge_all, settings_for
from tests.cheats.catalogue import CHEATS, HONEST, PROBLEMS, honest_path
from tests.device.conftest import has_metal, playing
from tests.device.judged import MacLauncher

from metalwright.evaluation import Judge
from metalwright.problems import Problem

pytestmark = [pytest.mark.native, pytest.mark.torch]

# By how they are found out: values, other weights, inputs, process, state, ghost run, precision.
CAUGHT = (
    *("02_changes_the_inputs.py", "04_hides_parameters.py", "15_another_queue.py"),
    *("20_forged_result.py", "24_global_flags.py", "26_falls_back.py", "28_lower_precision.py"),
)
TIMED = ("09_cache_by_address.py", "18_patched_timers.py")
RIGHT = ("plain", "atomics", "many_outputs", "softmax_threadgroup")


@pytest.fixture(scope="module")
def found():
    if has_metal():
        pytest.skip("a real Metal device needs no stand-in")
    by_name = {cheat.file: cheat for cheat in CHEATS}
    untimed = settings_for("metal").model_copy(update={"timing": False})
    jobs = [(name, by_name[name].problem, by_name[name].path) for name in CAUGHT]
    jobs += [(name, HONEST[name], honest_path(name)) for name in RIGHT]
    timed = [(name, by_name[name].problem, by_name[name].path) for name in TIMED]
    with playing("metal"):
        launcher = MacLauncher()
        try:
            evaluations = dict(judge_all(jobs, untimed, launcher))
            evaluations |= judge_all(timed, settings_for("metal"), launcher)
        finally:
            launcher.close()
    return evaluations


@pytest.mark.parametrize("name", [*CAUGHT, *TIMED])
def test_a_cheat_is_caught_on_metal(found, name):
    cheat = {cheat.file: cheat for cheat in CHEATS}[name]
    evaluation = found[name]
    assert evaluation.device.kind == "metal"
    assert is_caught(cheat, evaluation), (evaluation.summary, evaluation.flags)


@pytest.mark.parametrize("name", RIGHT)
def test_an_honest_candidate_is_correct_on_metal(found, name):
    evaluation = found[name]
    assert evaluation.correct, (evaluation.summary, evaluation.evidence)
    assert evaluation.coverage.kernels
    assert evaluation.coverage.ghost == "wrong without the kernels"
    # Kernels ran under the judge's confinement.
    assert evaluation.isolation["memory"] == "enforced"


def test_a_metal_error_is_a_verdict_with_line_and_column():
    source = honest_path("plain").read_text("utf-8").replace("metal::fma(", "metal::no_such(")
    with tempfile.TemporaryDirectory() as folder, playing("metal"):
        path = Path(folder) / "scale_shift.py"
        path.write_text(PROBLEMS["scale_shift"], "utf-8")
        settings = settings_for("metal").model_copy(update={"timing": False, "seeds": 1})
        launcher = MacLauncher()
        try:
            with Judge(settings, launcher) as judge, judge.open(Problem.from_file(path)) as session:
                evaluation = judge.evaluate(session, source)
        finally:
            launcher.close()
    assert evaluation.verdict.value == "compile-error"
    assert evaluation.evidence[0].diagnostics[0].line > 0
    assert "no_such" in evaluation.evidence[0].diagnostics[0].message
