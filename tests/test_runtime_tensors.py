"""Tensor arguments (MSL 4): what is bound for them, what reflection says, what is refused."""

import numpy as np
import pytest
import torch

metalwright = pytest.importorskip("metalwright.runtime")

pytestmark = pytest.mark.native

SOURCE = """
#include <metal_stdlib>
#include <metal_tensor>
using namespace metal;
kernel void twice(tensor<const device T, dextents<int, 2>> x, tensor<device T, dextents<int, 2>> y,
                  constant float& factor, uint2 at [[thread_position_in_grid]]) {
  y[at.x, at.y] = T(float(x[at.x, at.y]) * factor);
}
"""


def kernel(element: str = "float", **options: object):
    library = metalwright.compile(SOURCE, language_version="4.0", macros={"T": element}, **options)
    return library.twice


def test_a_tensor_brings_its_shape_and_strides():
    x = torch.arange(12.0, dtype=torch.bfloat16).reshape(3, 4)
    y = torch.zeros(4, 6, dtype=torch.bfloat16)[:, ::2]
    kernel("bfloat")(x.t(), y, 3.0, threads=(3, 4))
    assert torch.equal(y, 3 * x.t())


def test_reflection_names_the_arguments_that_were_written():
    twice = kernel("half")
    assert [(a.name, a.index, a.type_name, a.access) for a in twice.arguments] == [
        ("x", 0, "tensor<half, 2>", "read"),
        ("y", 1, "tensor<half, 2>", "read_write"),
        ("factor", 2, "float", "read"),
    ]


def test_an_access_outside_is_found():
    x, y = np.zeros((2, 3), np.float32), np.zeros((2, 3), np.float32)
    checked = kernel(check=True)
    checked(x, y, 1.0, threads=(3, 2))
    with pytest.raises(metalwright.Error) as caught:
        checked(x, y, 1.0, threads=(3, 3))
    assert "out-of-bounds" in str(caught.value) or "outside" in str(caught.value)


@pytest.mark.parametrize(
    ("x", "code"),
    [
        (np.zeros(6, np.float32), "wrong-rank"),
        (np.zeros((2, 3), np.float64), "wrong-dtype"),
        (torch.zeros(1, 2, 3), "wrong-rank"),
        (1.0, "not-bindable"),
        ([1.0, 2.0], "not-bindable"),
    ],
)
def test_what_is_no_such_tensor_is_refused(x, code):
    y = np.zeros((2, 3), np.float32)
    with pytest.raises(metalwright.Error) as caught:
        kernel()(x, y, 1.0, threads=(3, 2))
    assert caught.value.code == code


def test_tensors_need_language_version_4():
    with pytest.raises(metalwright.CompileError, match=r"requires Metal language version 4\.0"):
        metalwright.compile(SOURCE, language_version="3.2", macros={"T": "float"})
