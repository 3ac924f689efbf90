"""The run time: compile Metal source, bind tensors, dispatch, time.

The only room that imports the native extension.
"""

from metalwright._native import (
    Argument,
    DeviceInfo,
    DeviceState,
    Diagnostic,
    FunctionConstant,
    KernelDescription,
)
from metalwright.errors import Error
from metalwright.runtime import torch_stream as _torch_stream  # noqa: F401  (hands its function over)
from metalwright.runtime.argument_buffers import ArgumentBuffer, argument_buffer
from metalwright.runtime.buffer import Buffer, empty, from_array, zeros
from metalwright.runtime.clock import DeviceClock
from metalwright.runtime.compiling import cache_info, clear_cache, compile, compile_shader
from metalwright.runtime.conditions import CompileOptions, Conditions
from metalwright.runtime.deadline import set_deadline
from metalwright.runtime.device import default_device, device_info, devices
from metalwright.runtime.errors import (
    AliasingWarning,
    CompileError,
    DispatchError,
    UnknownKernelError,
)
from metalwright.runtime.gpu_intervals import (
    GpuInterval,
    GpuIntervals,
    read_gpu_intervals,
    record_gpu_intervals,
)
from metalwright.runtime.kernel import Kernel
from metalwright.runtime.library import Library
from metalwright.runtime.metal import capture, counter_samples, in_stream, self_test
from metalwright.runtime.metallib import IntrinsicUse, Metallib, load_metallib
from metalwright.runtime.recording import DispatchRecord, Recording, record, skip_kernels
from metalwright.runtime.sanitizer import (
    CheckAccess,
    CheckError,
    CheckFinding,
    CheckReport,
    check,
    checking,
)
from metalwright.runtime.stream import stream_order
from metalwright.runtime.texture import Sampler, Texture
from metalwright.runtime.timing import BenchmarkResult, Timing, benchmark
from metalwright.runtime.validation import ValidationReport, validate
from metalwright.runtime.validation_findings import Finding

__all__ = [
    "AliasingWarning",
    "Argument",
    "ArgumentBuffer",
    "BenchmarkResult",
    "Buffer",
    "CheckAccess",
    "CheckError",
    "CheckFinding",
    "CheckReport",
    "CompileError",
    "CompileOptions",
    "Conditions",
    "DeviceClock",
    "DeviceInfo",
    "DeviceState",
    "Diagnostic",
    "DispatchError",
    "DispatchRecord",
    "Error",
    "Finding",
    "FunctionConstant",
    "GpuInterval",
    "GpuIntervals",
    "IntrinsicUse",
    "Kernel",
    "KernelDescription",
    "Library",
    "Metallib",
    "Recording",
    "Sampler",
    "Texture",
    "Timing",
    "UnknownKernelError",
    "ValidationReport",
    "argument_buffer",
    "benchmark",
    "cache_info",
    "capture",
    "check",
    "checking",
    "clear_cache",
    "compile",
    "compile_shader",
    "counter_samples",
    "default_device",
    "device_info",
    "devices",
    "empty",
    "from_array",
    "in_stream",
    "load_metallib",
    "read_gpu_intervals",
    "record",
    "record_gpu_intervals",
    "self_test",
    "set_deadline",
    "skip_kernels",
    "stream_order",
    "validate",
    "zeros",
]
