"""The parts of the offline generator that need neither a compiler nor Inductor."""

import ast
import types

import pytest

torch = pytest.importorskip("torch")

from metalwright.errors import Error  # noqa: E402
from metalwright.generation import Candidate, Generator, InductorGenerator  # noqa: E402
from metalwright.generation.candidate_source import write_candidate  # noqa: E402
from metalwright.generation.host_code import HostCode  # noqa: E402
from metalwright.generation.lowered import GraphInput, LoweredModule, MetalKernel  # noqa: E402
from metalwright.generation.reference import module_definitions  # noqa: E402

pytestmark = pytest.mark.torch


def test_the_inductor_generator_is_a_generator():
    assert isinstance(InductorGenerator(), Generator)
    assert Candidate("x = 1") == Candidate("x = 1", {}, "", ())


# ------------------------------------------------------------------------------ host code


def translate(host, names=None, kernels=("fused_add_0",)):
    return HostCode(host, names or {"arg0_1": "x", "arg1_1": "weight"}, set(kernels), "here")


def test_a_launch_becomes_a_call_of_the_kernel_object():
    code = translate(
        "fused_add_0(buf0, arg0_1, threads=[8, 64], group_size=[1, 64])\nreturn (buf0,)"
    )
    assert code.lines == ["FUSED_ADD_0(buf0, x, threads=[8, 64], group_size=[1, 64])"]
    assert code.results == ["buf0"]
    assert code.used == {"arg0_1"}


def test_contiguous_buffers_are_written_plainly_and_others_with_strides():
    code = translate(
        "buf0 = empty_strided((2, 1, 3), (3, 99, 1), device='mps', dtype=torch.float32)\n"
        "buf1 = empty_strided((2, 3), (1, 2), device='mps', dtype=torch.bool)"
    )
    assert code.lines == [
        "buf0 = torch.empty((2, 1, 3), device=device, dtype=torch.float32)",
        "buf1 = torch.empty_strided((2, 3), (1, 2), device=device, dtype=torch.bool)",
    ]


def test_library_calls_become_public_functions_and_are_recorded():
    code = translate(
        "extern_kernels.mm(arg0_1, reinterpret_tensor(arg1_1, (4, 2), (1, 4), 0), out=buf0)\n"
        "buf1 = torch.ops.aten.cumsum.default(buf0, dim=1)\n"
        "assert_size_stride(buf1, (2, 2), (2, 1), 'torch.ops.aten.cumsum.default')"
    )
    assert code.lines == [
        "torch.mm(x, view(weight, (4, 2), (1, 4), 0), out=buf0)",
        "buf1 = torch.ops.aten.cumsum.default(buf0, dim=1)",
        "buf1 = with_strides(buf1, (2, 2), (2, 1))",
    ]
    assert code.library_calls == ["torch.mm", "torch.ops.aten.cumsum.default"]


def test_inputs_are_not_deleted_and_buffers_are():
    assert translate("del arg0_1, buf3\ndel arg1_1").lines == ["del buf3"]


def test_a_kernel_that_checks_indices_gets_the_error_buffer_last():
    code = translate("fused_add_0(buf0, arg0_1, threads=[4], error_buf_idx=2)")
    assert code.lines == ["FUSED_ADD_0(buf0, x, errors, threads=[4])"]
    assert code.checks_indices


@pytest.mark.parametrize(
    "host",
    [
        "buf0 = inductor_ops.secret(arg0_1)",
        "import os",
        "for i in range(3): pass",
        "buf0 = unknown(arg0_1)",
        "buf0 = [x for x in arg0_1]",
    ],
)
def test_host_code_of_an_unknown_form_is_refused(host):
    with pytest.raises(Error) as caught:
        translate(host)
    assert caught.value.code == "unsupported-operator"
    assert "here" in str(caught.value)


# ------------------------------------------------------------------------------ the reference

SOURCE = '''
import math
import torch
from torch import nn
import os

WIDTH = 4
UNUSED = 5

def helper(n):
    return nn.Linear(n, n)

def computation(x):
    return x * 2

class Block(nn.Module):
    """Doubles."""

    def __init__(self, n):
        super().__init__()
        self.layer = helper(n)

    def forward(self, x):
        return computation(self.layer(x))

class Model(nn.Module):
    def __init__(self, n=WIDTH):
        super(Model, self).__init__()
        self.block = self._make(n)

    def _make(self, n):
        return Block(n)

    def _attend(self, x):
        return x

    def forward(self, x):
        return self._attend(self.block(x))

def get_inputs():
    return [torch.randn(2, WIDTH)]

def get_init_inputs():
    return []
'''


def test_the_constructor_is_taken_over_without_the_computation():
    before, model = module_definitions(SOURCE, frozenset())
    text = before + "\n" + model
    names = {n.name for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef)}
    assert names == {"helper", "__init__", "_make"}
    for absent in ("UNUSED", "computation", "import os", "Doubles", "get_inputs"):
        assert absent not in text
    namespace = {}
    exec(text, namespace)
    assert list(namespace["ModelNew"]().state_dict()) == ["block.layer.weight", "block.layer.bias"]


def test_a_name_that_the_candidate_needs_itself_is_not_taken_over():
    assert module_definitions(SOURCE, frozenset({"helper"})) is None
    assert module_definitions(SOURCE, frozenset({"UNUSED"})) is not None


def test_a_model_that_is_not_a_class_in_the_file_is_not_taken_over():
    assert module_definitions("from torch.nn import Linear as Model", frozenset()) is None


# ------------------------------------------------------------------------------ the file


def lowered(**changes):
    values = {
        "kernels": (MetalKernel("fused_add_0", "kernel void fused_add_0() {}\n", ("add",)),),
        "host": (
            "buf0 = empty_strided((2, 3), (3, 1), device='mps', dtype=torch.float32)\n"
            "fused_add_0(buf0, arg0_1, arg1_1, threads=[6])\n"
            "return (buf0, )"
        ),
        "inputs": (
            GraphInput("arg0_1", "user", "x", (2, 3), (3, 1), "torch.float32"),
            GraphInput("arg1_1", "parameter", "weight", (3,), (1,), "torch.float32"),
        ),
        "fixed": (),
        "outputs": "{0}",
        "parameters": ("x",),
        "embedded": {},
        "mutated": (),
        "uses_random": False,
        "training": None,
    }
    return LoweredModule(**{**values, **changes})


class Weighted(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(3))


@pytest.fixture
def run(monkeypatch):
    """Runs a candidate whose one kernel adds its second and third argument into its first."""
    calls = []

    def add(out, x, y, *rest, **grid):
        calls.append(grid)
        torch.add(x, y, out=out)

    class Library:
        def kernel(self, name):
            assert name == "fused_add_0"
            return add

    compiled = []

    def compile_(source, **options):
        compiled.append((source, options["device"]))
        return Library()

    monkeypatch.setitem(
        __import__("sys").modules, "metalwright", types.SimpleNamespace(compile=compile_)
    )

    def construct(description):
        text = write_candidate(description, Weighted(), None, "here", "Made by a test.")
        namespace = {"__name__": "candidate"}
        exec(compile(text, "candidate.py", "exec"), namespace)
        model = namespace["ModelNew"]()
        model.load_state_dict(Weighted().state_dict())
        return model

    construct.compiled = compiled
    construct.calls = calls
    return construct


def test_a_candidate_runs_its_kernels_and_compiles_them_once(run):
    model = run(lowered())
    assert torch.equal(model(torch.zeros(2, 3)), torch.ones(2, 3))
    assert torch.equal(model(torch.ones(2, 3)), torch.full((2, 3), 2.0))
    assert run.compiled == [("kernel void fused_add_0() {}\n", "cpu")]
    assert run.calls == [{"threads": [6]}] * 2


def test_an_input_of_another_layout_is_copied_and_of_another_shape_refused(run):
    model = run(lowered())
    assert torch.equal(
        model(torch.arange(6.0).reshape(3, 2).t()), torch.tensor([[1.0, 3.0, 5.0], [2.0, 4.0, 6.0]])
    )
    with pytest.raises(ValueError, match=r"x is torch\.float32 of shape \(3, 3\)"):
        model(torch.zeros(3, 3))
    with pytest.raises(ValueError, match=r"x is torch\.float64"):
        model(torch.zeros(2, 3, dtype=torch.float64))


def test_a_mutated_buffer_is_copied_back(run):
    description = lowered(
        host=lowered().host.replace("return (buf0, )", "return (buf0, buf0, )"),
        mutated=("arg0_1",),
    )
    x = torch.zeros(2, 3)
    run(description)(x)
    assert torch.equal(x, torch.ones(2, 3))


def test_the_mode_and_fixed_arguments_are_checked(run):
    from metalwright.generation.lowered import FixedInput

    model = run(lowered(training=True, fixed=(FixedInput("k", 3),), parameters=("x", "k")))
    model(torch.zeros(2, 3), 3)
    with pytest.raises(ValueError, match="k is 4"):
        model(torch.zeros(2, 3), 4)
    with pytest.raises(RuntimeError, match="training mode"):
        model.eval()(torch.zeros(2, 3), 3)


@pytest.mark.parametrize("numel", [3, 300])
def test_embedded_constants_keep_their_values(run, numel):
    value = torch.randn(numel)
    value[0] = float("inf")
    description = lowered(
        host=f"buf0 = empty_strided(({numel},), (1,), device='mps', dtype=torch.float32)\n"
        "fused_add_0(buf0, arg1_1, arg1_1, threads=[3])\nreturn (buf0, )",
        inputs=(GraphInput("arg1_1", "embedded", "table", (numel,), (1,), "torch.float32"),),
        embedded={"table": value},
        parameters=(),
    )
    assert torch.equal(run(description)(), value + value)


def test_a_constant_too_large_for_a_file_is_refused():
    value = torch.rand(1 << 19)
    description = lowered(
        inputs=(*lowered().inputs, GraphInput("arg2_1", "embedded", "big", value.shape, (1,), "x")),
        embedded={"big": value},
        host=lowered().host.replace("arg1_1", "arg2_1"),
    )
    with pytest.raises(Error) as caught:
        write_candidate(description, Weighted(), None, "here", "")
    assert caught.value.code == "constant-too-large"


def test_a_kernel_s_text_is_kept_exactly():
    text = 'kernel void fused_add_0() { char c[] = "a\\n\\"\\"\\""; } // \\\\ """\n'
    description = lowered(kernels=(MetalKernel("fused_add_0", text, ()),))
    source = write_candidate(description, Weighted(), None, "here", "")
    constant = next(
        node.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and "kernel void" in str(node.value)
    )
    assert constant == text
