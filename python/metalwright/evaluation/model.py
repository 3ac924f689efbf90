"""What the judge says about a candidate: the verdict, the evidence, the figures. Plain data."""

from __future__ import annotations

import enum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

# Only a ratio whose whole interval lies beyond this factor is called faster or slower: a few
# percent are of no use to anybody, and a drift of the machine may look like that.
SAME_SPEED = 1.05


class _Data(BaseModel):
    # NaN and infinities occur as values; JSON has no numbers for them.
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")


class Verdict(str, enum.Enum):
    """How an evaluation ended. `docs/design/judge.md` says when each is given."""

    CORRECT = "correct"
    WRONG_VALUES = "wrong-values"
    WRONG_METADATA = "wrong-metadata"
    MUTATES_INPUTS = "mutates-inputs"
    """Inputs, parameters or torch's global state are not as the reference leaves them."""
    NON_DETERMINISTIC = "non-deterministic"
    """The same inputs gave a right output once and a wrong one later."""
    UNUSED_KERNELS = "unused-kernels"
    """The outputs are as right when the candidate's kernels do nothing."""
    REDUCED_PRECISION = "reduced-precision"
    """Near the right values, but with larger errors than the problem's precision explains."""
    CLOCK_MISMATCH = "clock-mismatch"
    """The candidate's clocks and the judge's disagree, or it works after it has answered."""
    COMPILE_ERROR = "compile-error"
    LAUNCH_ERROR = "launch-error"
    CRASH = "crash"
    TIMEOUT = "timeout"
    MEMORY_LIMIT = "memory-limit"
    PROBLEM_ERROR = "problem-error"
    """The reference cannot be run: nothing is said about the candidate."""
    GENERATOR_ERROR = "generator-error"
    """There is no candidate: the generator gave none."""


class Flag(str, enum.Enum):
    """What a reader of the verdict has to know besides."""

    NOISY_TIMING = "noisy-timing"
    """The interval of the ratio is too wide for the ratio to mean much."""
    LIBRARY_ONLY = "library-only"
    """No Metal kernel of the candidate ran, or torch had the result without them."""
    SHAPE_SPECIALISED = "shape-specialised"
    """Right for the problem's own sizes, not for neighbouring ones."""
    CONTIGUOUS_ONLY = "contiguous-only"
    """Wrong for inputs that are not contiguous."""
    BEYOND_ROOFLINE = "beyond-roofline"
    """Faster than the device can do the problem's work: not to be ranked before a person has
    looked. A legitimate simplification can do this."""


class Settings(_Data):
    """How strictly and for how long to judge."""

    device: str = "cpu"
    """cpu, metal or cuda: where the tensors are and the kernels run."""
    seeds: int = Field(default=5, ge=1, le=1000)
    """How many draws of the inputs are compared."""
    deadline: float = Field(default=60.0, gt=0)
    """Seconds that one step (loading, constructing, one call) may take."""
    memory_limit: int = Field(default=8 << 30, ge=64 << 20)
    """Bytes of memory of a worker process."""
    timing: bool = True
    timing_seconds: float = Field(default=2.0, gt=0)
    """Seconds to spend on timing, warm-up excluded; a started pair is finished."""
    interval: float = Field(default=0.01, gt=0, lt=1)
    """Timing ends early when half the ratio's 95 % interval is below this share of the ratio."""
    worker_pairs: int = Field(default=5, ge=1, le=100)
    """Over how many pairs of fresh workers the timing is spread, a pair for 0.4 seconds of it: what
    differs from process to process is then part of the interval."""
    adversarial: bool = True
    """Whether extreme inputs and re-drawn weights are tried as well."""
    held_out: bool = True
    """Whether sizes are tried that the problem does not show."""
    baselines: tuple[Literal["eager", "compile"], ...] = ("eager",)
    """What the candidate is compared with; eager always is."""


class Diagnostic(_Data):
    """One message of the Metal compiler; lines and columns count from 1."""

    severity: str
    file: str
    line: int
    column: int
    message: str
    source_line: str = ""
    caret: str = ""


class Raised(_Data):
    """An exception that the candidate raised."""

    type: str
    message: str
    code: str = ""
    traceback: tuple[str, ...] = ()
    """``file:line in function: text``, the candidate's own frames, outermost first."""


class Mismatch(_Data):
    """One element of an output that is not what it should be."""

    index: tuple[int, ...]
    expected: str
    actual: str
    error: float


class Evidence(_Data):
    """Why the verdict is what it is: one check that failed, and where."""

    check: str
    """Which check: load, construct, call, structure, shape, dtype, values, inputs, timing, ..."""
    message: str
    seed_index: int | None = None
    """Which draw of the inputs, from 0. The seed itself stays secret."""
    output: str | None = None
    """Which tensor: ``output``, ``output[0]``, ``output['mean']``, ``input[1]``."""
    first: Mismatch | None = None
    worst: Mismatch | None = None
    mismatches: int | None = None
    elements: int | None = None
    pattern: tuple[str, ...] = ()
    """Which elements are wrong and how: places, shares, factors."""
    inputs: str = ""
    """What is special about these inputs: ``large``, ``negated``, ``re-drawn weights``, ..."""
    raised: Raised | None = None
    diagnostics: tuple[Diagnostic, ...] = ()
    exit_status: int | None = None
    signal: str | None = None


class OutputErrors(_Data):
    """How far one output tensor was off, over all draws of the inputs."""

    output: str
    dtype: str
    shape: tuple[int, ...]
    tolerance: float
    """KernelBench's, absolute and relative at once; 0 for integers and booleans."""
    max_absolute: float
    """Largest difference from the reference."""
    tolerance_share: float
    """Largest difference as a share of KernelBench's tolerance."""
    gimlet_share: float = 0.0
    """Largest difference as a share of Gimlet's tolerance, 1e-2."""
    derived_share: float = 0.0
    """Largest difference as a share of the derived tolerance, which decides: at most 1 passes."""
    unjudged: int = 0
    """Elements at which the reference itself proves nothing: it overflows or is far off."""
    reference_oracle: float | None = None
    """Largest difference of the reference from the float64 oracle."""
    candidate_oracle: float | None = None
    """Largest difference of the candidate from the float64 oracle."""


class Weights(_Data):
    """How the candidate's parameters and buffers were made equal to the reference's."""

    copied: int
    """Copied by name. (All parameters are also drawn under the same seed.)"""
    missing: tuple[str, ...] = ()
    """In the reference, not in the candidate (or of another shape or dtype)."""
    extra: tuple[str, ...] = ()
    """In the candidate only."""
    renamed: dict[str, str] = {}
    """The candidate's names by the reference's, found by their values; these are not missing in
    effect."""


class Check(_Data):
    """One thing that was looked at."""

    name: str
    outcome: Literal["passed", "failed", "skipped", "noted"]
    note: str = ""


class KernelUse(_Data):
    """One kernel in one call of the candidate."""

    name: str
    dispatches: int
    seconds: float | None = None
    """On the device clock, all its dispatches together."""
    threads: tuple[int, ...] = ()
    group_size: tuple[int, ...] = ()
    """Of its first dispatch, as `threads` and the rest."""
    max_threads_per_threadgroup: int = 0
    threadgroup_memory: int = 0


class Coverage(_Data):
    """What one call of the candidate consists of, by its worker's own account."""

    kernels: tuple[KernelUse, ...] = ()
    operators: dict[str, int] = {}
    """torch's operators by how often they were called; those that only make views excepted."""
    library_flops: int = 0
    """Floating-point operations of matmuls and convolutions that were left to torch."""
    kernel_share: float | None = None
    """Share of the call's time that its kernels ran."""
    answered_by: str = ""
    """A torch operator whose result was the output already, without any kernel."""
    ghost: str = ""
    """How the run with kernels that do nothing went."""


class Roofline(_Data):
    """The least time that the problem's work takes on this device."""

    bytes: int
    """Inputs, outputs and weights, each once."""
    flops: int
    """Of matmuls, convolutions and attention, as torch's FlopCounterMode counts."""
    bandwidth: float
    """Bytes per second, measured."""
    flop_rate: float
    """Operations per second, measured."""
    floor_seconds: float
    achieved_bandwidth: float | None = None
    achieved_flop_rate: float | None = None


class Interval(_Data):
    """A median with its bootstrap 95 % interval."""

    median: float
    low: float
    high: float


class Baseline(_Data):
    """Another way to run the reference, compared with eager."""

    name: str
    correct: bool
    reason: str = ""
    """Why it does not count."""
    seconds: Interval | None = None
    ratio: Interval | None = None
    """Eager over this one."""
    cached: bool = False
    """Measured in an earlier evaluation of the same problem on this machine."""


class Timing(_Data):
    """Candidate against eager. Seconds per call."""

    baseline: str
    baseline_seconds: Interval
    """Wall time on the judge's clock."""
    candidate_seconds: Interval
    ratio: Interval
    """Baseline over candidate; above 1: the candidate wins. For each pair of workers the median of
    neighbouring blocks' ratios; of these the geometric mean, with Student's 95 % interval."""
    pair_ratios: tuple[float, ...] = ()
    """The ratios of neighbouring blocks, worker pair by worker pair, to four digits."""
    device_seconds: float | None = None
    """Median per call on the device clock, summed over the candidate's dispatches."""
    dispatches: float
    """Dispatches of Metal kernels per call."""
    worker_seconds: float
    """Median per call on the worker's own clock; it has no say in the verdict."""
    overhead_seconds: float
    """Round trip of an empty block between judge and worker, subtracted from each block."""
    other_load: float | None = None
    """Share of the machine's cores that other programs used meanwhile, 0 to 1. Above 0.05 the ratio
    is noise. None where the system does not say."""
    pairs: int
    """Of blocks, over all workers."""
    worker_ratios: tuple[float, ...] = ()
    """The median ratio of each pair of workers that counts."""
    disturbed_workers: int = 0
    """Pairs of workers that do not count, because other programs used the machine."""
    baseline_calls: int
    """Calls per block."""
    candidate_calls: int
    cold_ratio: Interval | None = None
    """As `ratio`, for single calls whose inputs and weights are in no cache."""
    cold_seconds: Interval | None = None
    """Seconds of such a call of the candidate."""
    slope_seconds: float | None = None
    """Seconds per call from blocks of N and 2N calls, on the judge's clock."""
    baselines: tuple[Baseline, ...] = ()
    """Further baselines."""
    best_baseline: str = "eager"
    """The fastest correct one."""
    speedup: Interval | None = None
    """Against the fastest correct baseline: the headline."""


class CapturedOutput(_Data):
    """What the candidate printed: the beginning and the end of it."""

    text: str
    total_bytes: int


class DeviceReport(_Data):
    """What the figures were measured on."""

    kind: str
    name: str
    architecture: str = ""
    compute_units: int = 0


class Evaluation(_Data):
    """The judge's answer for one candidate on one problem."""

    schema_version: Literal[1] = 1
    problem: str
    level: int | None = None
    overrides: dict[str, str] = {}
    verdict: Verdict
    flags: tuple[Flag, ...] = ()
    summary: str
    """The verdict in one sentence, with what and where."""
    evidence: tuple[Evidence, ...] = ()
    remarks: tuple[Evidence, ...] = ()
    """What a flag rests on: a candidate that fails for other sizes, say. Not against it."""
    outputs: tuple[OutputErrors, ...] = ()
    oracle: str = ""
    """``float64``, or why there was none."""
    checks: tuple[Check, ...] = ()
    """All that was looked at, in order."""
    coverage: Coverage | None = None
    roofline: Roofline | None = None
    sanitizer: tuple[str, ...] = ()
    """What the sanitiser found in a wrong kernel on small inputs, or why it was not run."""
    weights: Weights | None = None
    timing: Timing | None = None
    printed: CapturedOutput | None = None
    peak_memory: int | None = None
    """Bytes of the worker, as far as the judge saw."""
    isolation: dict[str, str] = {}
    """What the platform enforced on the worker, and what it could not."""
    device: DeviceReport
    settings: Settings
    versions: dict[str, str] = {}
    seconds: float = 0.0
    """Wall time of the whole evaluation."""
    created: str = ""

    @property
    def correct(self) -> bool:
        """Whether the candidate passed every check."""
        return self.verdict is Verdict.CORRECT

    @property
    def rankable(self) -> bool:
        """Whether it may be the best: correct, and no time that a person has to look at first."""
        return self.correct and Flag.BEYOND_ROOFLINE not in self.flags

    @property
    def max_error(self) -> float | None:
        """Largest absolute difference over all outputs and draws."""
        return max((output.max_absolute for output in self.outputs), default=None)
