"""Smaller sizes for problems: constants shrink together, the module still runs."""

import pytest

from metalwright.errors import Error
from metalwright.problems import Problem
from metalwright.problems.benchmark import replace_constants
from metalwright.problems.shrinking import (
    Work,
    measure,
    number_constants,
    run_once,
    shrink,
)
from metalwright.problems.source import parse_problem

HEAD = "import torch\nfrom torch import nn\n\n"
MOST = Work(1 << 20, 10_000_000)


def problem(text, name="p"):
    source = HEAD + text
    return Problem(name=name, source=source, constants=parse_problem(source, name).constants)


MATMUL = """
N = 2048 * 2

class Model(nn.Module):
    def forward(self, a, b):
        return a @ b

def get_inputs():
    return [torch.rand(N, N), torch.rand(N, N)]
"""

CONVOLUTION = """
batch_size = 128
in_channels = 64
out_channels = 128
height, width = 256, 256
kernel_size = 3
groups = 16
bias_shape = (128, 1, 1)
HALF = out_channels // 2

class Model(nn.Module):
    def __init__(self, i, o, k, g, shape):
        super().__init__()
        self.conv = nn.Conv2d(i, o, k)
        self.norm = nn.GroupNorm(g, o)
        self.bias = nn.Parameter(torch.randn(shape))

    def forward(self, x):
        return self.norm(self.conv(x)) + self.bias

def get_inputs():
    return [torch.rand(batch_size, in_channels, height, width)]

def get_init_inputs():
    return [in_channels, out_channels, kernel_size, groups, bias_shape]
"""


def test_a_matrix_product():
    before = measure(problem(MATMUL))
    n = 4096
    assert before == Work(3 * n * n * 4, 2 * n**3)
    found = shrink(problem(MATMUL), MOST)
    assert (found.before, found.reason) == (before, "")
    (size,) = (int(text) for text in found.overrides.values())
    assert found.after == Work(3 * size**2 * 4, 2 * size**3)
    assert found.after.within(MOST)
    # Not smaller than it has to be: twice the size would be too much.
    assert not Work(3 * (2 * size) ** 2 * 4, 2 * (2 * size) ** 3).within(MOST)


def test_equal_constants_shrink_together_and_small_ones_stay():
    found = shrink(problem(CONVOLUTION), MOST)
    small = replace_constants(problem(CONVOLUTION), found.overrides)
    constants = number_constants(small.constants)
    assert found.reason == ""
    assert constants["kernel_size"] == 3
    assert constants["bias_shape"] == (constants["out_channels"], 1, 1)
    assert constants["out_channels"] % constants["groups"] == 0
    assert constants["height"] == constants["width"] < 256
    run_once(small)
    assert measure(small) == found.after
    # Derived constants follow by themselves.
    assert "HALF = out_channels // 2" in small.source


def test_what_is_small_enough_stays():
    text = MATMUL.replace("2048 * 2", "64")
    found = shrink(problem(text), MOST)
    assert (dict(found.overrides), found.reason, found.before) == ({}, "", found.after)


def test_sizes_that_are_no_constants_are_said():
    text = MATMUL.replace("(N, N)", "(1024, 1024)").replace("N = 2048 * 2", "EPS = 1e-5")
    found = shrink(problem(text), MOST)
    assert dict(found.overrides) == {}
    assert found.reason == "it has no constant that is a size"
    partly = MATMUL.replace("torch.rand(N, N), torch", "torch.rand(2048, N), torch").replace(
        "a @ b", "a * 2, b"
    )
    found = shrink(problem(partly), MOST)
    assert found.overrides
    mostly = shrink(
        problem(MATMUL.replace("(N, N), t", "(N, 4096), t").replace("a @ b", "a + 1")), MOST
    )
    assert mostly.after.bytes < mostly.before.bytes


def test_a_module_that_does_not_run_smaller_stays_as_it_is():
    text = """
N = 4096

class Model(nn.Module):
    def forward(self, x):
        if x.shape[0] != 4096:
            raise ValueError("not this size")
        return x + 1

def get_inputs():
    return [torch.rand(N, 1024)]
"""
    found = shrink(problem(text), MOST)
    assert dict(found.overrides) == {}
    assert found.reason == "the module does not run with smaller constants"


def test_values_that_decide_sizes_cannot_be_told():
    text = """
N = 4096

class Model(nn.Module):
    def forward(self, x):
        return x[x > 0.5]

def get_inputs():
    return [torch.rand(N, 1024)]
"""
    found = shrink(problem(text), MOST)
    assert found.reason.startswith("its sizes depend on values")
    assert found.after is None


def test_a_broken_problem_is_an_error():
    text = MATMUL.replace("a @ b", "a @ b @ undefined")
    with pytest.raises(Error) as caught:
        shrink(problem(text), MOST)
    assert caught.value.code == "problem-raised"
    assert "undefined" in caught.value.message


def test_number_constants():
    found = number_constants(
        {
            "A": "2 ** 10",
            "B": "(3, 64 * 2)",
            "C": "[8]",
            "D": "1.5",
            "E": "True",
            "F": "A // 2",
            "G": '"x"',
            "H": "torch.float32",
            "I": "1 // 0",
            "J": "()",
            "K": "-4",
        }
    )
    assert found == {"A": 1024, "B": (3, 128), "C": [8], "K": -4}
