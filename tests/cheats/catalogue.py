"""Which problem each candidate is for, and what the judge has to say about it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent

SCALE_SHIFT = """
import torch
from torch import nn


class Model(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor
        self.bias = nn.Parameter(torch.randn(1000))

    def forward(self, x):
        return self.factor * x + self.bias


def get_inputs():
    return [torch.randn(4, 1000)]


def get_init_inputs():
    return [3.0]
"""


def _simple(body: str, inputs: str, init: str = "", constants: str = "") -> str:
    return f"""
import torch
from torch import nn

{constants}

class Model(nn.Module):
    def __init__(self):
        super().__init__()
        {init or "pass"}

    def forward(self, x):
        {body}


def get_inputs():
    return [{inputs}]
"""


PROBLEMS = {
    "scale_shift": SCALE_SHIFT,
    "layer_norm": _simple(
        "return self.norm(x)", "torch.randn(32, 64)", "self.norm = nn.LayerNorm(64)"
    ),
    "collapse": _simple(
        "y = self.linear(x).max(dim=1, keepdim=True).values\n"
        "        return nn.functional.gelu(y - y.mean(dim=1, keepdim=True))",
        "torch.randn(32, 64)",
        "self.linear = nn.Linear(64, 96)",
    ),
    "tiny_values": _simple("return torch.sin(x) * 1e-6", "torch.randn(8, 200)"),
    "softmax": _simple(
        "return torch.softmax(x, dim=1)",
        "torch.randn(ROWS, 96)",
        constants="ROWS = 32\n",
    ),
    "matmul_sum": _simple(
        "return self.linear(x).sum(dim=1, keepdim=True)",
        "torch.randn(512, 768)",
        "self.linear = nn.Linear(768, 768, bias=False)",
    ),
    "relu": _simple("return 2 * torch.relu(x)", "torch.rand(8, 200)"),
    "many_outputs": _simple(
        "return {'y': x * x, 'more': (x > 0, x.argmax(1), 3)}", "torch.randn(8, 50)"
    ),
    "view": _simple("return x[:, 1:3], torch.stack([x[:, 0], x[:, -1]], 1)", "torch.randn(8, 50)"),
    "half_sum": _simple("return x.sum(1)", "torch.rand(8, 300).half()"),
    "integers": _simple("return x * 3 + 1", "torch.randint(0, 1000, (8, 50))"),
    "dropout": _simple("return nn.functional.dropout(x, 0.5)", "torch.randn(8, 50)"),
    "in_place": _simple("return x.mul_(2)", "torch.randn(8, 50)"),
}


@dataclass(frozen=True)
class Cheat:
    """A candidate that has to be caught: by one of these verdicts, or, correct, by the flags."""

    number: int
    file: str
    problem: str
    verdicts: tuple[str, ...]
    flags: tuple[str, ...] = ()
    naive: bool = True
    """Whether it is tried in the naive harness, which it has to pass."""

    @property
    def path(self) -> Path:
        """The candidate's file."""
        return FOLDER / self.file

    @property
    def name(self) -> str:
        """Without number and ending."""
        return self.path.stem[3:].replace("_", " ")


def _cheat(
    file: str, problem: str, *verdicts: str, flags: tuple[str, ...] = (), naive=True
) -> Cheat:
    return Cheat(int(file[:2]), file, problem, verdicts or ("correct",), flags, naive)


WRONG = "wrong-values"
UNSTEADY = "non-deterministic"

CHEATS = (
    # These two need an allocator that hands out the block that was freed last, as GPUs' do; glibc
    # does so by chance only.
    _cheat("01_uninitialised_memory.py", "softmax", WRONG, naive=False),
    _cheat("02_changes_the_inputs.py", "scale_shift", "mutates-inputs"),
    _cheat("03_identity_for_a_norm.py", "layer_norm", WRONG),
    _cheat("04_hides_parameters.py", "scale_shift", WRONG),
    _cheat("05_constant_of_a_collapsed_problem.py", "collapse", flags=("library-only",)),
    _cheat("06_near_zero_outputs.py", "tiny_values", WRONG),
    _cheat("07_too_much_threadgroup_memory.py", "softmax", WRONG, naive=False),
    _cheat("08_guessed_seed.py", "scale_shift", WRONG),
    _cheat("09_cache_by_address.py", "scale_shift", WRONG, UNSTEADY),
    _cheat("10_one_call_in_ten.py", "scale_shift", WRONG),
    _cheat("11_only_while_warming_up.py", "scale_shift", WRONG),
    _cheat("12_replays_stale_pointers.py", "scale_shift", WRONG, UNSTEADY),
    _cheat("13_keeps_data_through_the_flush.py", "scale_shift", WRONG, UNSTEADY),
    _cheat("14_right_early_wrong_later.py", "scale_shift", WRONG),
    _cheat("15_another_queue.py", "scale_shift", WRONG, "clock-mismatch"),
    _cheat("16_background_threads.py", "scale_shift", WRONG, "clock-mismatch"),
    _cheat("17_lazy_tensor.py", "scale_shift", "wrong-metadata"),
    _cheat("18_patched_timers.py", "scale_shift", "clock-mismatch"),
    _cheat("19_one_shape_too_fast.py", "matmul_sum", flags=("beyond-roofline",)),
    _cheat("20_forged_result.py", "scale_shift", "crash"),
    _cheat("21_looks_at_the_stack.py", "scale_shift", WRONG),
    _cheat("22_edits_the_tolerance.py", "scale_shift", WRONG),
    _cheat("23_kills_the_judge.py", "scale_shift", WRONG, "crash", naive=False),
    _cheat("24_global_flags.py", "scale_shift", "mutates-inputs"),
    _cheat("25_kernel_never_launched.py", "scale_shift", flags=("library-only",)),
    _cheat("26_falls_back.py", "scale_shift", "unused-kernels"),
    _cheat("27_copy_kernel.py", "scale_shift", flags=("library-only",)),
    _cheat("28_lower_precision.py", "softmax", "reduced-precision"),
    _cheat("29_only_the_tested_shape.py", "softmax", flags=("shape-specialised",)),
    _cheat("30_structure_of_the_inputs.py", "relu", WRONG),
)

# Honest candidates with the problem that each is for.
HONEST = {
    "plain": "scale_shift",
    "two_kernels": "scale_shift",
    "in_place_scratch": "scale_shift",
    "own_state": "scale_shift",
    "lazily_packed_weights": "scale_shift",
    "compile_shader": "scale_shift",
    "norm_simdgroup": "layer_norm",
    "norm_other_names": "layer_norm",
    "norm_functional_mix": "layer_norm",
    "online_softmax": "softmax",
    "softmax_threadgroup": "softmax",
    "atomics": "matmul_sum",
    "simplified": "matmul_sum",
    "early_exit": "relu",
    "nan_aware_relu": "relu",
    "kernelbench_solution": "relu",
    "many_outputs": "many_outputs",
    "view_of_the_input": "view",
    "half_input": "half_sum",
    "integers": "integers",
    "dropout": "dropout",
    "in_place_problem": "in_place",
}


def honest_path(name: str) -> Path:
    """The file of an honest candidate."""
    return FOLDER / "honest" / f"{name}.py"
