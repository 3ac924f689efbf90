"""metalwright: turns PyTorch modules into fast Apple GPU kernels, and runs Metal kernels anywhere.

The names below live in ``metalwright.runtime``. They are loaded when first used, so that commands
which only read files do not pay for loading a compiler.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from metalwright.errors import Error

if TYPE_CHECKING:
    from metalwright.runtime import (
        AliasingWarning,
        Argument,
        ArgumentBuffer,
        BenchmarkResult,
        Buffer,
        CheckAccess,
        CheckError,
        CheckFinding,
        CheckReport,
        CompileError,
        Conditions,
        DeviceInfo,
        Diagnostic,
        DispatchError,
        FunctionConstant,
        Kernel,
        Library,
        Sampler,
        Texture,
        Timing,
        argument_buffer,
        benchmark,
        capture,
        check,
        checking,
        compile,
        compile_shader,
        devices,
        empty,
        from_array,
        load_metallib,
        record_gpu_intervals,
        set_deadline,
        stream_order,
        validate,
        zeros,
    )

__version__ = "0.1.0"

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
    "Conditions",
    "DeviceInfo",
    "Diagnostic",
    "DispatchError",
    "Error",
    "FunctionConstant",
    "Kernel",
    "Library",
    "Sampler",
    "Texture",
    "Timing",
    "argument_buffer",
    "benchmark",
    "capture",
    "check",
    "checking",
    "compile",
    "compile_shader",
    "devices",
    "empty",
    "from_array",
    "load_metallib",
    "record_gpu_intervals",
    "set_deadline",
    "stream_order",
    "validate",
    "zeros",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        value = getattr(import_module("metalwright.runtime"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'metalwright' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
