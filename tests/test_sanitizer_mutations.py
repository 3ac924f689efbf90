"""A sample of the mutation suite: nothing on the correct kernels, all that is reachable found.

METALWRIGHT_MUTATIONS sets how many of the correct kernels are mutated; ``all`` for every one
(minutes). The measured table of docs/sanitizer.md is printed by ``python -m mutations.measure``.
"""

import os

import pytest

pytest.importorskip("metalwright.runtime", reason="needs the compiled extension")

from mutations import mutate
from mutations.measure import measure
from mutations.originals import conformance, own

pytestmark = pytest.mark.native

WANTED = os.environ.get("METALWRIGHT_MUTATIONS", "36")


@pytest.fixture(scope="module")
def originals():
    return [*conformance(), *own()]


def test_there_are_enough_correct_kernels(originals):
    assert len({(original.source, original.kernel) for original in originals}) >= 200


def test_what_is_reachable_is_found_and_correct_kernels_are_left_alone(originals):
    count = len(originals) if WANTED == "all" else int(WANTED)
    # Evenly spread: both halves of the list take part.
    sample = [originals[i * len(originals) // count] for i in range(count)]
    outcome = measure(iter(sample), 1)
    assert not outcome.alarms
    missed = [text for tally in outcome.tallies.values() for text in tally.missed]
    assert not missed
    for kind in mutate.CLASSES:
        assert outcome.tallies[kind].reachable > 0, kind
