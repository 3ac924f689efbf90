"""A profile in words for a model: where the time goes, how it is launched, what limits it."""

from __future__ import annotations

import math
from collections.abc import Iterator

from metalwright.generation.prompts import seconds_text
from metalwright.runtime.recording import count_threadgroups, trimmed
from metalwright.search.evaluator import GpuSummary, KernelTime, Profile
from metalwright.search.facts import DeviceFacts, ProblemFacts, floor_seconds


def profile_lines(profile: Profile, device: DeviceFacts, facts: ProblemFacts | None) -> list[str]:
    """Kernels, longest first, the whole against the roofline, and what the GPU's trace shows."""
    total = sum(time.seconds for time in profile.kernels)
    lines: list[str] = []
    for time in profile.kernels:
        share = f" ({time.seconds / total:.0%} of the kernels' time)" if total else ""
        lines.append(
            f"kernel {time.name}: {seconds_text(time.seconds)} per call{share} in "
            f"{time.dispatches:g} dispatches; {launch_text(time, device)}"
        )
        lines += occupancy_remarks(time, device)
    floor = floor_seconds(facts, device) if facts else None
    if total and floor:
        lines.append(
            f"all kernels: {seconds_text(total)}, {floor / total:.0%} of what the measured peaks "
            f"allow ({seconds_text(floor)})"
        )
    if profile.gpu is not None:
        lines += _gpu_lines(profile.gpu)
    return lines


def launch_text(time: KernelTime, device: DeviceFacts) -> str:
    """The launch of a kernel's longest dispatch: grid, threadgroups, simdgroups, memory."""
    threads = math.prod(time.group_size)
    groups = count_threadgroups(time.grid, time.group_size)
    memory = f", {time.threadgroup_memory} bytes of threadgroup memory each" * bool(
        time.threadgroup_memory
    )
    return (
        f"grid {_size(time.grid)} threads in {groups} threadgroup{'s' * (groups != 1)} of "
        f"{_size(time.group_size)} ({-(-threads // device.width)} simdgroups each){memory}"
    )


def occupancy_remarks(time: KernelTime, device: DeviceFacts) -> Iterator[str]:
    """What in the launch leaves compute units or lanes idle, by the device's documented limits.

    How many threadgroups a core of an Apple GPU holds at a time is not public; nothing is said of
    it beyond what the limits of one threadgroup show.
    """
    threads, groups = math.prod(time.group_size), count_threadgroups(time.grid, time.group_size)
    if 0 < groups < device.compute_units:
        yield (
            f"  {time.name}: {groups} of {device.compute_units} compute units have work; more, "
            "smaller threadgroups would use the others"
        )
    idle = -threads % device.width
    if idle:
        yield (
            f"  {time.name}: {threads} threads are no multiple of {device.width}: {idle} lanes of "
            "the last simdgroup of every threadgroup are idle"
        )
    if time.max_threads < device.max_threads:
        yield (
            f"  {time.name}: the compiled kernel can have {time.max_threads} threads per "
            f"threadgroup, not {device.max_threads}: its registers limit how many run at a time"
        )
    if 2 * time.threadgroup_memory > device.threadgroup_memory:
        share = time.threadgroup_memory / device.threadgroup_memory
        yield (
            f"  {time.name}: a threadgroup takes {share:.0%} of the {device.threadgroup_memory} "
            "bytes of threadgroup memory that there are: two do not fit side by side in that much"
        )


def _gpu_lines(gpu: GpuSummary) -> Iterator[str]:
    if gpu.reason:
        yield f"no trace of the GPU: {gpu.reason}"
        return
    yield (
        f"GPU trace: {gpu.intervals:g} encoders per call, busy {seconds_text(gpu.busy)} of the "
        f"{seconds_text(gpu.span)} from the first to the last"
    )
    for name, seconds in sorted(gpu.medians.items(), key=lambda item: -item[1]):
        yield f"  {name}: {seconds_text(seconds)} on the GPU, median"


def _size(size: tuple[int, int, int]) -> str:
    """256x1x1 as 256, 16x16x1 as 16x16."""
    return "x".join(map(str, trimmed(size)))
