"""Comparing outputs: tolerances, NaN and infinity, exact types, structure."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from metalwright.evaluation import compare
from metalwright.evaluation.compare import Wanted, compare_metadata, compare_values
from metalwright.evaluation.stress import moved
from metalwright.evaluation.tolerance import Expectation, constant_roundings

floats = st.floats(width=32)


def compare_tensor(name, expected, actual, oracle, index, **more):
    """The errors, and the evidence if there is any."""
    wanted = Expectation(expected, oracle, **more)
    errors, finding = compare.compare_tensor(name, wanted, actual, index)
    return errors, finding and finding.evidence


def judge(expected, actual, dtype=torch.float32):
    return compare_tensor(
        "output", torch.tensor(expected, dtype=dtype), torch.tensor(actual, dtype=dtype), None, 0
    )


@settings(deadline=None)
@given(st.lists(st.tuples(floats, floats), min_size=1, max_size=8))
def test_without_an_oracle_the_rule_is_torch_allclose_at_kernelbenchs_tolerance(pairs):
    expected, actual = (torch.tensor(values) for values in zip(*pairs, strict=True))
    _, evidence = compare_tensor("output", expected, actual, None, 0)
    # In float64, as the judge computes: in float32 the difference itself would be rounded.
    close = torch.allclose(actual.double(), expected.double(), rtol=1e-4, atol=1e-4, equal_nan=True)
    assert (evidence is None) == close


@pytest.mark.parametrize(
    ("dtype", "error", "passes"),
    [
        (torch.float32, 1.9e-4, True),
        (torch.float32, 2.1e-4, False),
        (torch.float16, 1.5e-2, True),
        (torch.float16, 4e-2, False),
        (torch.bfloat16, 1.5e-2, True),
        (torch.bfloat16, 4e-2, False),
        (torch.float64, 2.1e-4, False),
    ],
)
def test_without_an_oracle_the_tolerance_goes_with_the_dtype(dtype, error, passes):
    _, evidence = judge([1.0], [1.0 + error], dtype)
    assert (evidence is None) == passes


@pytest.mark.parametrize(
    ("expected", "actual", "passes"),
    [
        (math.nan, math.nan, True),
        (math.inf, math.inf, True),
        (-math.inf, math.inf, False),
        (math.inf, 3e38, False),
        (3e38, math.inf, False),
        (1.0, math.nan, False),
        (math.nan, 1.0, False),
        (0.0, -0.0, True),
    ],
)
def test_what_is_not_finite_must_be_the_same(expected, actual, passes):
    _, evidence = judge([0.0, expected], [0.0, actual])
    assert (evidence is None) == passes
    if evidence is not None:
        assert evidence.first.index == (1,)
        assert evidence.mismatches == 1


@pytest.mark.parametrize("dtype", [torch.int64, torch.int8, torch.bool, torch.uint8])
def test_integers_and_booleans_are_exact(dtype):
    assert judge([0, 1], [0, 1], dtype)[1] is None
    assert judge([0, 1], [0, 0], dtype)[1].mismatches == 1


def test_large_integers_that_differ_by_one_differ():
    assert judge([2**60], [2**60 + 1], torch.int64)[1] is not None
    assert judge([2**63], [2**63 + 1], torch.uint64)[1] is not None


def test_complex_numbers_are_compared_by_distance():
    assert judge([1 + 1j], [1 + 1.0001j], torch.complex64)[1] is None
    assert judge([1 + 1j], [1 + 1.01j], torch.complex64)[1] is not None


def test_the_evidence_names_first_and_worst_element_with_both_values():
    expected = torch.zeros(3, 4)
    actual = expected.clone()
    actual[1, 2], actual[2, 3] = 0.5, -2.0
    errors, evidence = compare_tensor("output[0]", expected, actual, None, 3)
    assert (evidence.first.index, evidence.first.actual) == ((1, 2), "0.5")
    assert (evidence.worst.index, evidence.worst.actual) == ((2, 3), "-2")
    assert (evidence.mismatches, evidence.elements, evidence.seed_index) == (2, 12, 3)
    assert errors.max_absolute == 2.0


def test_nan_is_the_worst_element_and_is_counted_in_the_message():
    _, evidence = judge([1.0, 1.0, 1.0], [5.0, math.nan, 1.0])
    assert evidence.worst.index == (1,)
    assert "1 are NaN where the reference is not" in evidence.message


def test_errors_against_the_oracle_are_reported_for_both():
    oracle = torch.tensor([1.0], dtype=torch.float64)
    errors, _ = compare_tensor(
        "output", torch.tensor([1.0 + 2**-20]), torch.tensor([1.0 - 2**-18]), oracle, 0
    )
    assert errors.reference_oracle == pytest.approx(2**-20)
    assert errors.candidate_oracle == pytest.approx(2**-18)


def test_empty_outputs_are_equal():
    assert compare_tensor("output", torch.empty(0, 3), torch.empty(0, 3), None, 0)[1] is None


T = torch.zeros(2, 3)


@pytest.mark.parametrize(
    ("expected", "actual", "check", "where"),
    [
        (T, torch.zeros(3, 2), "shape", "output"),
        (T, T.double(), "dtype", "output"),
        (T, (T,), "structure", "output"),
        ((T, T), (T,), "structure", "output"),
        ((T, T), [T, T], "structure", "output"),
        ((T, {"a": T}), (T, {"a": T[:1]}), "shape", "output[1]['a']"),
        ({"a": T}, {"b": T}, "structure", "output"),
        ((T, 3), (T, 4), "structure", "output[1]"),
        ((T, None), (T, T), "structure", "output[1]"),
        ((T, 1.0), (T, 1.5), "structure", "output[1]"),
        ((T, True), (T, 1), "structure", "output[1]"),
    ],
)
def test_metadata_that_differs_is_named(expected, actual, check, where):
    finding = compare_metadata(expected, actual, 0)
    assert finding.verdict.value == "wrong-metadata"
    assert (finding.evidence.check, finding.evidence.output) == (check, where)


def test_equal_structures_pass_and_each_tensor_is_measured():
    expected = (T, {"a": T.clone(), "n": 3}, [T.int()])
    assert compare_metadata(expected, expected, 0) is None
    measured, finding = compare_values(Wanted(expected), expected, 0)
    assert finding is None
    assert [errors.output for errors in measured] == ["output[0]", "output[1]['a']", "output[2][0]"]


# ---------------------------------------------------------------------------------- derived


def derived(reference, actual, oracle, **more):
    wanted = Expectation(reference, oracle, **more)
    return compare.compare_tensor("output", wanted, actual, 0)


def rows(count=64, width=128, seed=0, dtype=torch.float32):
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed)).to(dtype)


def test_errors_like_the_references_own_pass_and_half_precision_inside_does_not():
    x = rows()
    oracle, reference = x.double().softmax(-1), x.softmax(-1)
    other = x.exp() / x.exp().sum(-1, keepdim=True)
    errors, finding = derived(reference, other, oracle)
    assert finding is None
    assert errors.derived_share < 1
    halved = x.half().float().softmax(-1)
    errors, finding = derived(reference, halved, oracle)
    # KernelBench's own tolerance lets it pass.
    assert errors.tolerance_share < 1
    assert finding.verdict.value == "reduced-precision"
    assert finding.evidence.check == "precision"


def test_outputs_near_zero_are_not_right_because_everything_there_is_small():
    oracle = rows().double() * 1e-6
    _, finding = derived(oracle.float(), torch.zeros(64, 128), oracle)
    assert finding.verdict.value == "wrong-values"


def test_where_a_rounding_of_the_inputs_decides_a_rounding_may_be_wrong():
    x = torch.full((4, 128), 3.0)
    oracle = torch.zeros(4, 128, dtype=torch.float64)
    moved = oracle + 1e-4
    actual = torch.full((4, 128), 2e-4)
    assert derived(x * 0, actual, oracle)[1] is not None
    assert derived(x * 0, actual, oracle, moved=moved)[1] is None


def test_integers_are_free_only_where_a_rounding_decides():
    reference = torch.tensor([1, 2, 3, 4])
    oracle, moved = torch.tensor([1, 2, 3, 4]), torch.tensor([1, 2, 7, 4])
    assert derived(reference, torch.tensor([1, 2, 5, 4]), oracle, moved=moved)[1] is None
    found = derived(reference, torch.tensor([1, 9, 5, 4]), oracle, moved=moved)[1]
    assert found.evidence.mismatches == 1


def test_nothing_is_held_against_anyone_where_the_reference_overflows():
    oracle = torch.tensor([1.0, 1e39, 2.0], dtype=torch.float64)
    reference = torch.tensor([1.0, math.inf, 2.0])
    errors, finding = derived(reference, torch.tensor([1.0, 5.0, 2.0]), oracle)
    assert finding is None
    assert errors.unjudged == 1


def test_long_sums_may_be_off_by_more():
    oracle = rows(1, 128).double()
    actual = (oracle + 3e-5).float()
    assert derived(oracle.float(), actual, oracle)[1] is not None
    assert derived(oracle.float(), actual, oracle, reduction=1e5)[1] is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda y: y[3].zero_(), "only where index 0 is 3 (of 64)"),
        (lambda y: y[:, 120:].zero_(), "only where index 1 is 120 to 127 (of 128)"),
        (lambda y: y[5:9].fill_(math.nan), "100 % of the wrong ones are NaN"),
        (lambda y: y.mul_(0.5), "off by a constant factor of 0.5"),
        (lambda y: y.add_(2.0), "off by a constant summand"),
        (lambda y: y.view(-1)[3::32].zero_(), "modulo 32 is 3"),
        (lambda y: y[:16].view(torch.uint8).fill_(0x7F), "were never written"),
    ],
)
def test_the_pattern_of_what_is_wrong_is_described(change, words):
    oracle = rows().double()
    actual = oracle.float()
    change(actual)
    evidence = derived(oracle.float(), actual, oracle)[1].evidence
    assert any(words in line for line in evidence.pattern), evidence.pattern


def test_a_transposed_output_is_called_that():
    oracle = rows(64, 64).double()
    evidence = derived(oracle.float(), oracle.float().T.contiguous(), oracle)[1].evidence
    assert "it is the transpose of what it should be" in evidence.pattern


def layout(*tensors):
    return {"tensors": [{"dtype": dtype, "shape": shape} for dtype, shape in tensors]}


@pytest.mark.parametrize(
    ("tensors", "roundings"),
    [
        ([("float32", [64, 768]), ("float32", [768])], 192),
        ([("float32", [2, 2])], 1),
        ([], 1),
        ([("float32", [1 << 20])], 1024),
        ([("float16", [64, 768])], 1),
        ([("float32", [64, 768]), ("bfloat16", [8])], 1),
    ],
)
def test_how_far_constant_inputs_are_moved(tensors, roundings):
    assert constant_roundings(layout(*tensors)) == roundings


def layer_norm(x, mean):
    centred = x - mean
    return centred * torch.rsqrt(centred.square().mean(-1, keepdim=True) + 1e-5)


@pytest.mark.parametrize("number", [0.1, -1.3, 2.7, 0.0123, 13.37])
def test_a_sum_in_order_passes_for_constant_inputs_and_half_precision_does_not(number):
    x = torch.full((4, 768), number)
    oracle = layer_norm(x.double(), x.double().mean(-1, keepdim=True))
    roundings = constant_roundings(layout(("float32", [4, 768])))
    nudged = moved(x, 1, roundings).double()
    wanted = Wanted(
        torch.nn.functional.layer_norm(x, (768,)),
        oracle,
        layer_norm(nudged, nudged.mean(-1, keepdim=True)),
    )
    total = torch.zeros(4, 1)
    for column in x.split(1, dim=-1):
        total = total + column
    _, finding = compare_values(wanted, layer_norm(x, total / 768), 0)
    assert finding is None
    halved = x.bfloat16().float().mean(-1, keepdim=True)
    _, finding = compare_values(wanted, layer_norm(x, halved), 0)
    assert finding is not None


def test_a_variance_of_constant_inputs_may_have_what_the_mean_is_off_by():
    x = torch.full((1000, 1), 0.7)
    total = torch.zeros(1)
    for row in x:
        total = total + row
    candidate = (x - total / 1000).square().mean(0)
    assert candidate > 0
    nudged = moved(x, 1, constant_roundings(layout(("float32", [1000, 1])))).double()
    oracle = x.double().var(0, correction=0)
    wanted = Wanted(torch.zeros(1), oracle, nudged.var(0, correction=0))
    assert compare_values(wanted, candidate, 0)[1] is None
    assert compare_values(wanted, torch.full((1,), 1e-6), 0)[1] is not None
