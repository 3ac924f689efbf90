"""What an evaluation costs besides the time that the device is used: goal under 1 s."""

import pytest
from tests.cheats.catalogue import PROBLEMS, honest_path

from metalwright.evaluation import Judge, Settings
from metalwright.problems import Problem


@pytest.mark.parametrize("special", [False, True], ids=["plain", "all-checks"])
def test_fixed_cost_of_an_evaluation(benchmark, tmp_path, special):
    path = tmp_path / "scale_shift.py"
    path.write_text(PROBLEMS["scale_shift"], "utf-8")
    source = honest_path("plain").read_text("utf-8")
    settings = Settings(device="cpu", timing=False, adversarial=special, held_out=special)
    with Judge(settings) as judge, judge.open(Problem.from_file(path)) as session:
        assert judge.evaluate(session, source).correct  # the second reference is started here
        benchmark.pedantic(judge.evaluate, (session, source), rounds=5, warmup_rounds=1)
