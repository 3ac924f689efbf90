"""Two runs compared: differences, noise, what is refused."""

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metalwright.errors import Error
from metalwright.scoring.compare import compare, differences, environment_changes, sign_test
from metalwright.scoring.data import AttemptScore, ProblemScores, RunScores

ENVIRONMENT = {
    "device": {"kind": "cpu", "name": "a CPU", "architecture": "x", "llvm": "19.1"},
    "machine": {"processor": "p", "cores": "2", "architecture": "x86_64"},
    "versions": {"metalwright": "0.1", "torch": "2.13", "python": "3.11"},
    "git": {"commit": "1"},
}


def solved(ratio, spread=0.01, **more):
    return AttemptScore(
        *(1, "m", "proposal", "correct"),
        ratio=ratio,
        low=ratio * (1 - spread),
        high=ratio * (1 + spread),
        **more,
    )


def run(label, attempts, **more):
    problems = tuple(
        ProblemScores(name, () if a is None else (a,), source_hash="same")
        for name, a in attempts.items()
    )
    return RunScores(
        label, label, "", "cpu", "a CPU", problems, **{"environment": ENVIRONMENT, **more}
    )


FAILED = AttemptScore(1, "m", "proposal", "wrong-values")
LEFT = {
    "a": solved(1.0),
    "b": solved(2.0),
    "c": solved(1.0),
    "d": FAILED,
    "e": None,
    "f": solved(1),
}
RIGHT = {
    "a": solved(2.0),  # faster
    "b": solved(2.02),  # noise: the intervals overlap
    "c": solved(0.5),  # slower
    "d": solved(3.0),  # gained
    "e": FAILED,  # both fail
    "f": None,  # lost
}


def test_each_problem_has_a_verdict():
    found = compare(run("old", LEFT), run("new", RIGHT))
    assert {p.name: p.verdict for p in found.problems} == {
        "a": "faster",
        "b": "noise",
        "c": "slower",
        "d": "gained",
        "e": "both fail",
        "f": "lost",
    }
    assert (found.only_left, found.only_right, found.faster, found.slower) == (1, 1, 1, 1)
    # 2 * 1.01 * 0.5 * 3 * 1 * 1, what is not solved counting as 1
    assert found.change.value == pytest.approx((2 * 1.01 * 0.5 * 3) ** (1 / 6))
    change = found.problems[0].change
    assert (change.low, change.high) == pytest.approx((1.98 / 1.01, 2.02 / 0.99))


def test_noise_is_called_noise():
    wide = {f"p{i}": solved(1.0, 0.3) for i in range(10)}
    found = compare(run("old", wide), run("new", {name: solved(1.2, 0.3) for name in wide}))
    assert {p.verdict for p in found.problems} == {"noise"}
    same = compare(run("old", wide), run("new", wide))
    assert same.change.value == 1.0
    assert all("no" in text for text in same.verdicts)
    assert "no difference beyond noise" in same.verdicts[1]


def test_a_difference_is_called_one():
    names = [f"p{i}" for i in range(12)]
    left = run("old", {name: solved(1.0) if i % 2 else FAILED for i, name in enumerate(names)})
    found = compare(left, run("new", {name: solved(2.0) for name in names}))
    assert found.solved_p == pytest.approx(2 / 64)
    assert "a difference" in found.verdicts[0]
    assert "new is faster, beyond noise" in found.verdicts[1]
    assert found.speed_p == pytest.approx(2 / 64)
    back = compare(run("new", {name: solved(2.0) for name in names}), left)
    assert back.change.value == pytest.approx(1 / found.change.value)
    assert "old is slower, beyond noise" in back.verdicts[1]


def test_one_problem_says_nothing_about_others():
    found = compare(run("old", {"a": solved(1.0)}), run("new", {"a": solved(2.0)}))
    assert math.isnan(found.change.low)
    assert "says nothing" in found.verdicts[1]


def with_environment(section, **values):
    environment = {**ENVIRONMENT, section: {**ENVIRONMENT[section], **values}}
    return run("new", RIGHT, environment=environment)


@pytest.mark.parametrize(
    ("right", "aspect", "words"),
    [
        (with_environment("device", kind="metal", name="M4"), "device", "kind: cpu and metal"),
        (with_environment("machine", cores="8"), "machine", "cores: 2 and 8"),
        (with_environment("versions", torch="2.14"), "versions", "torch: 2.13 and 2.14"),
        (with_environment("device", llvm="20.1"), "versions", "llvm: 19.1 and 20.1"),
        (run("new", RIGHT, settings={"seeds": "9"}), "settings", "seeds: 5 and 9"),
        (run("new", RIGHT, scale="cpu"), "sizes", "--scale: as given and cpu"),
    ],
)
def test_unlike_runs_are_refused_unless_asked_for(right, aspect, words):
    left = run("old", LEFT, settings={"seeds": "5"} if right.settings else {})
    with pytest.raises(Error) as caught:
        compare(left, right)
    assert caught.value.code == "not-comparable"
    assert words in caught.value.message
    assert f"--despite {aspect}" in caught.value.hint
    found = compare(left, right, [aspect])
    assert {d.aspect for d in found.differences} == {aspect}
    other = "sizes" if aspect != "sizes" else "device"
    with pytest.raises(Error):
        compare(left, right, [other])


def test_the_rest_of_the_environment_is_told_and_not_refused():
    right = with_environment("git", commit="2")
    assert differences(run("old", LEFT), right) == ()
    assert environment_changes(run("old", LEFT), right) == ["git: commit: was 1, is 2"]


def test_other_sizes_and_missing_problems_are_not_paired():
    left = run("old", {"a": solved(1.0), "b": solved(1.0), "c": solved(1.0), "z": solved(1.0)})
    right = run("new", {"a": solved(9.0), "b": solved(1.0), "c": solved(9.0), "y": solved(1.0)})
    changed = dataclasses.replace(right.problems[0], source_hash="larger")
    broken = dataclasses.replace(right.problems[2], state="not-runnable", reason="too large")
    right = dataclasses.replace(
        right, problems=(changed, right.problems[1], broken, right.problems[3])
    )
    found = compare(left, right)
    assert [p.name for p in found.paired] == ["b"]
    assert found.change.value == 1.0
    reasons = {p.name: p.reason for p in found.problems if p.verdict == "not comparable"}
    assert "sizes" in reasons["a"]
    assert "too large" in reasons["c"]
    assert reasons["y"] == "old has it not"
    assert reasons["z"] == "new has it not"


def test_ratios_against_other_baselines_are_not_divided():
    right = run("new", {"a": solved(2.0, baseline="compile")})
    found = compare(run("old", {"a": solved(1.0)}), right)
    assert found.problems[0].verdict == "not timed"
    assert found.change is None


def test_the_sign_test():
    assert sign_test(0, 0) == 1.0
    assert sign_test(3, 3) == 1.0
    assert sign_test(0, 6) == pytest.approx(2 / 64)
    assert sign_test(1, 7) == pytest.approx(2 * 9 / 256)


@given(a=st.integers(0, 40), b=st.integers(0, 40))
def test_the_sign_test_is_a_symmetric_probability(a, b):
    assert 0 < sign_test(a, b) <= 1
    assert sign_test(a, b) == sign_test(b, a)
    if a < b:
        assert sign_test(a, b + 1) <= sign_test(a, b) + 1e-12
