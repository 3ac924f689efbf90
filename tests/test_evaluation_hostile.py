"""What candidates do to the machine does not reach it."""

import pytest
from tests.hostile import NotConfined, run

pytestmark = pytest.mark.native


def test_hostile_candidates_leave_nothing_behind():
    # Two dozen here; `python -m tests.hostile --count 1000` draws a thousand.
    try:
        verdicts = run(24, seed=1)
    except NotConfined as reason:
        pytest.skip(f"not confined: {reason}")
    assert sum(verdicts.values()) == 24
    assert {verdict for _, verdict in verdicts} >= {"crash", "timeout"}
