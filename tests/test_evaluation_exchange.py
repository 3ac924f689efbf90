"""Tensors through exchange files, and layouts that nobody vouches for."""

import contextlib
import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from metalwright.evaluation.exchange import (
    DTYPES,
    ExchangeError,
    check_layout,
    load_copied,
    load_mapped,
    store,
)


@pytest.mark.parametrize("name", sorted(DTYPES))
def test_every_dtype_goes_through(tmp_path, name):
    dtype = DTYPES[name]
    value = torch.randint(0, 2, (3, 5)).to(dtype)
    layout = check_layout(store(value, tmp_path / "x"), 1 << 20)
    back = load_copied(tmp_path / "x", layout)
    assert back.dtype == dtype
    assert torch.equal(back, value)


def test_structure_numbers_and_odd_tensors_go_through(tmp_path):
    dense = torch.randn(2, 3, 4)
    value = [
        (dense.permute(2, 0, 1), None, True, 3, -(2**70), "text"),
        {"a": dense[:, ::2], 1: [torch.empty(0, 3), torch.tensor(7)]},
        [float("nan"), float("-inf"), 1 + 2j, torch.bfloat16],
        torch.ones(1).expand(4, 4),
        torch.randn(3, dtype=torch.complex64).conj(),
    ]
    layout = check_layout(store(value, tmp_path / "x"), 1 << 20)
    back = load_copied(tmp_path / "x", layout)
    (permuted, *rest), mapping, numbers, expanded, conjugate = back
    assert torch.equal(permuted, value[0][0])
    assert permuted.stride() == value[0][0].stride()
    assert rest == list(value[0][1:])
    assert torch.equal(mapping["a"], value[1]["a"])
    assert mapping[1][0].shape == (0, 3)
    assert mapping[1][1].item() == 7
    assert repr(numbers) == repr(value[2])
    assert torch.equal(expanded, value[3])
    assert torch.equal(conjugate, value[4].resolve_conj())


def test_writes_to_a_mapped_tensor_are_in_the_file(tmp_path):
    layout = store([torch.zeros(5), torch.zeros(3)], tmp_path / "x")
    load_mapped(tmp_path / "x", layout)[1].add_(1)
    first, second = load_copied(tmp_path / "x", layout)
    assert first.sum() == 0
    assert torch.equal(second, torch.ones(3))


def test_a_file_that_was_cut_short_is_refused(tmp_path):
    layout = store(torch.zeros(5000), tmp_path / "x")
    with open(tmp_path / "x", "r+b") as file:
        file.truncate(100)
    with pytest.raises(ExchangeError, match="ends at byte 100"):
        load_copied(tmp_path / "x", layout)


def test_a_link_in_place_of_the_file_is_refused(tmp_path):
    (tmp_path / "secret").write_bytes(b"x" * 4096)
    (tmp_path / "x").symlink_to(tmp_path / "secret")
    layout = {"tree": {"none": None}, "tensors": [], "size": 4096}
    with pytest.raises(ExchangeError, match="cannot be opened"):
        load_copied(tmp_path / "x", layout)


class Wrapped(torch.Tensor):
    pass


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (object(), "no plain data"),
        (torch.zeros(2).as_subclass(Wrapped), "tensor subclass"),
        (torch.zeros(2).to_sparse(), "layout"),
        (torch.zeros(2, device="meta"), "meta"),
        ({(1, 2): 3}, "dictionary key"),
    ],
)
def test_what_is_neither_tensor_nor_plain_data_is_refused(tmp_path, value, reason):
    with pytest.raises(ExchangeError, match=reason):
        store(value, tmp_path / "x")


GOOD = {
    "tree": {"list": [{"tensor": 0}, {"int": 3}]},
    "tensors": [{"dtype": "float32", "shape": [2, 3], "strides": [3, 1], "offset": 0}],
    "size": 4096,
}


def _with(path, value):
    layout = copy.deepcopy(GOOD)
    target = layout
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    return layout


@pytest.mark.parametrize(
    "layout",
    [
        None,
        [],
        {},
        _with(["size"], 2**40),
        _with(["size"], -1),
        _with(["size"], True),
        _with(["tensors", 0, "dtype"], "object"),
        _with(["tensors", 0, "dtype"], ["float32"]),
        _with(["tensors", 0, "shape"], [2, 3000]),
        _with(["tensors", 0, "shape"], [2, -3]),
        _with(["tensors", 0, "shape"], [2]),
        _with(["tensors", 0, "strides"], [0, 1]),
        _with(["tensors", 0, "strides"], [300, 1]),
        _with(["tensors", 0, "offset"], 4096),
        _with(["tensors", 0, "offset"], 4),
        _with(["tensors"], [GOOD["tensors"][0]] * 5000),
        _with(["tree"], {"tensor": 1}),
        _with(["tree"], {"tensor": -1}),
        _with(["tree"], {"float": "1e5" * 30}),
        _with(["tree"], {"float": 1.0}),
        _with(["tree"], {"dtype": []}),
        _with(["tree"], {"dict": [[["a"], {"none": None}]]}),
        _with(["tree"], {"eval": "1"}),
        _with(["tree"], {"list": [{"none": None}], "none": None}),
    ],
)
def test_a_layout_that_makes_no_sense_is_refused(layout):
    check_layout(GOOD, 4096)
    with pytest.raises(ExchangeError):
        check_layout(layout, 1 << 20)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["tensor", "list", "dict", "float", "x"]), inner, max_size=3
        )
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(tree=json_values, tensors=json_values, size=json_values)
def test_no_layout_gets_past_the_check_by_an_unexpected_exception(tree, tensors, size):
    with contextlib.suppress(ExchangeError):
        check_layout({"tree": tree, "tensors": tensors, "size": size}, 1 << 20)


def test_a_deeply_nested_tree_is_refused():
    tree = {"none": None}
    for _ in range(10_000):
        tree = {"list": [tree]}
    with pytest.raises(ExchangeError):
        check_layout({"tree": tree, "tensors": [], "size": 0}, 10)
