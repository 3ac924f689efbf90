"""What a profile says of a candidate's kernels, and that a worker's claims are read with care."""

import math
from pathlib import Path

import pytest

from metalwright.evaluation import Settings
from metalwright.search.evaluator import (
    GpuSummary,
    KernelTime,
    Profile,
    _gpu_summary,
    _kernel_times,
)
from metalwright.search.facts import DeviceFacts, ProblemFacts
from metalwright.search.profile_text import profile_lines

DEVICE = DeviceFacts(kind="metal", name="M", compute_units=10, copy_bandwidth=1e11, fma_rate=1e12)
FACTS = ProblemFacts(inputs=(), outputs=(), operators=(), signature={}, bytes=100_000_000, flops=0)


def lines(*kernels, device=DEVICE, facts=None, gpu=None):
    return profile_lines(Profile(kernels, gpu), device, facts)


def test_a_well_launched_kernel_has_its_time_share_and_launch_and_no_remark():
    text = lines(
        KernelTime("add", 1, 3e-3, (4096, 64, 1), (64, 4, 1)),
        KernelTime("sum", 2, 1e-3, (25600, 1, 1), (256, 1, 1), 4096),
        facts=FACTS,
    )
    assert text == [
        "kernel add: 3 ms per call (75% of the kernels' time) in 1 dispatches; grid 4096x64 "
        "threads in 1024 threadgroups of 64x4 (8 simdgroups each)",
        "kernel sum: 1 ms per call (25% of the kernels' time) in 2 dispatches; grid 25600 "
        "threads in 100 threadgroups of 256 (8 simdgroups each), 4096 bytes of threadgroup memory "
        "each",
        "all kernels: 4 ms, 25% of what the measured peaks allow (1 ms)",
    ]


@pytest.mark.parametrize(
    ("kernel", "words"),
    [
        (KernelTime("k", 1, 1e-3, (512, 1, 1), (256, 1, 1)), "2 of 10 compute units have work"),
        (KernelTime("k", 1, 1e-3, (10_000, 1, 1), (100, 1, 1)), "28 lanes of the last simdgroup"),
        (
            KernelTime("k", 1, 1e-3, (65536, 1, 1), (256, 1, 1), 0, 576),
            "576 threads per threadgroup, not 1024",
        ),
        (
            KernelTime("k", 1, 1e-3, (65536, 1, 1), (256, 1, 1), 24576),
            "75% of the 32768 bytes of threadgroup memory",
        ),
    ],
)
def test_what_leaves_the_device_idle_is_named(kernel, words):
    first, remark = lines(kernel)
    assert first.startswith("kernel k: 1 ms")
    assert words in remark


def test_a_ragged_grid_counts_the_threadgroups_at_its_edge():
    assert (
        "in 4 threadgroups of 16x16" in lines(KernelTime("k", 1, 1.0, (17, 17, 1), (16, 16, 1)))[0]
    )


def test_the_trace_of_the_gpu_or_why_there_is_none():
    kernel = KernelTime("k", 2, 1e-3, (65536, 1, 1), (256, 1, 1))
    trace = GpuSummary(2, 8e-4, 1.5e-3, {"k": 4e-4})
    assert lines(kernel, gpu=trace)[-2:] == [
        "GPU trace: 2 encoders per call, busy 800 us of the 1.5 ms from the first to the last",
        "  k: 400 us on the GPU, median",
    ]
    missing = lines(kernel, gpu=GpuSummary(reason="xctrace is not there"))
    assert missing[-1] == "no trace of the GPU: xctrace is not there"


@pytest.mark.parametrize(
    "said",
    [
        None,
        [],
        {"kernels": 3},
        {"kernels": [["k", 1, 2]]},
        {"kernels": [["k", 1, 2, [1, 1], [1, 1, 1], 0, 1024]]},
        {"kernels": [["k", 1, 2, [1, 1, 0], [1, 1, 1], 0, 1024]]},
        {"kernels": [["k", 1, 2, [1, 1, 1], [0, 1, 1], 0, 1024]]},
        {"kernels": [[7, 1, 2, [1, 1, 1], [1, 1, 1], 0, 1024]]},
        {"gpu": {"intervals": "many"}},
    ],
)
def test_claims_of_another_form_are_left_out(said):
    assert list(_kernel_times(said)) == []
    assert _gpu_summary(said) is None


def test_a_claim_is_cut_to_a_size_that_a_prompt_can_take():
    row = ["k" * 1000, 1, 2, [1, 1, 1], [1, 1, 1], 0, 1024]
    found = list(_kernel_times({"kernels": [row] * 1000}))
    assert len(found) == 20
    assert all(len(time.name) == 100 for time in found)
    gpu = _gpu_summary({"gpu": {"reason": "x" * 1000}})
    assert gpu is not None
    assert len(gpu.reason) == 300


@pytest.mark.native
@pytest.mark.torch
def test_a_candidates_kernels_are_profiled_with_their_launch():
    import asyncio

    from metalwright.problems import load_suite
    from metalwright.search.evaluator import JudgeEvaluator

    examples = Path(__file__).parents[1] / "examples/problems/level1/gelu.py"
    (problem,) = load_suite([examples])
    source = """
import torch
import metalwright

kernels = metalwright.compile('''
kernel void gelu(device const float* x, device float* y, threadgroup float* t [[threadgroup(0)]],
                 uint i [[thread_position_in_grid]]) {
  float v = x[i];
  y[i] = 0.5f * v * (1 + metal::precise::tanh(0.7978845608f * (v + 0.044715f * v * v * v)));
}
''')

class ModelNew(torch.nn.Module):
    def forward(self, x):
        y = torch.empty_like(x)
        kernels.gelu(x, y, threadgroup_memory={0: 64}, threads=x.numel(), group_size=128)
        return y
"""

    async def go():
        with JudgeEvaluator(Settings(seeds=1, timing_seconds=0.1)) as evaluator:
            return await evaluator.profile(problem, source), await evaluator.facts(problem)

    profile, facts = asyncio.run(go())
    (kernel,) = profile.kernels
    elements = math.prod(int(n) for n in facts.inputs[0].split("[")[2].rstrip("]").split(","))
    assert (kernel.name, kernel.dispatches, kernel.group_size) == ("gelu", 1, (128, 1, 1))
    assert kernel.grid == (elements, 1, 1)
    assert kernel.threadgroup_memory >= 64
    assert kernel.seconds > 0
    assert profile.gpu is None
