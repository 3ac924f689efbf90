"""A kernel: what a library's entry point is in Python."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from metalwright import _native
from metalwright._native import Argument, FunctionConstant
from metalwright.runtime import errors as _errors  # noqa: F401  (hands the error types over)

if TYPE_CHECKING:
    from metalwright.runtime.conditions import CompileOptions
    from metalwright.runtime.timing import Timing


class Kernel(_native.Kernel):
    """A compiled kernel. Calling it binds the arguments, runs it and waits.

    ``kernel(*args, threads=, group_size=, threadgroups=, threadgroup_memory=, deadline=, check=,
    arg_casts=, **by_name)``

    Arguments go to the buffers in the order of their indices, or by the name they have in the
    source. What is bound:

    * a tensor of torch: its memory from its first element to the end of its storage. The cpu device
      takes CPU tensors. The metal device takes mps tensors, without a copy, and CPU tensors;
    * memory of `metalwright.empty`, never copied on the device that it was made for;
    * a NumPy array or any other object with a buffer: its memory (read-only ones only for `const`);
    * an int, float or bool for a ``constant`` scalar: converted to the argument's own type, refused
      if it does not fit; a tuple or list of numbers for a vector, matrix or array;
    * ``bytes``, ``bytearray`` or ``memoryview`` for a struct;
    * a `metalwright.Texture` or `metalwright.Sampler`: given by position, they go to the kernel's
      textures and samplers in the order of their indices, wherever they stand among the others.

    Host memory that the metal device cannot map where it lies is copied in and, if the kernel
    writes it, back; ``Timing.copied_bytes`` and ``copy_seconds`` of `time` say how much. Buffers
    are compiled as if they did not overlap: if the memory of two arguments does, and one of them is
    written, there is an `AliasingWarning`, once per kernel.

    Args:
        threads: How many threads run in total: an int or a tuple of 1 to 3 ints. The last
            threadgroups may be partly filled. If it is missing, the number of elements of the first
            tensor.
        group_size: Threads per threadgroup, with as many dimensions as `threads`. If it is missing,
            as many as fit, filled along x first.
        threadgroups: Instead of `threads`: how many full threadgroups run; needs `group_size`.
        threadgroup_memory: Bytes for each ``[[threadgroup(n)]]`` argument, by index.
        deadline: Seconds after which the run is stopped with ``DispatchError``.
        check: False binds tensors of any dtype.
        arg_casts: As in torch.mps: "fp16", "int32", ... for all numbers, or a dictionary by index.

    Raises:
        Error: the call is refused before anything runs; the message names the argument.
        DispatchError: the kernel ran into its deadline, left its buffers or reported an error.
    """

    __slots__ = ("_device", "_function_constants", "_options")

    _device: str
    _options: CompileOptions
    _function_constants: tuple[FunctionConstant, ...]
    _convention = "metalwright"

    def __new__(
        cls,
        library: _native.Library,
        name: str,
        constants: Mapping[str, object] | None,
        device: str,
        options: CompileOptions,
    ) -> Kernel:
        """Specialises the library's kernel; use `Library.kernel` instead."""
        self = super().__new__(cls, library, name, constants, cls._convention)
        assert isinstance(self, Kernel)
        self._device = device
        self._options = options
        self._function_constants = tuple(library.function_constants)
        return self

    @property
    def device(self) -> str:
        """The device it was compiled for: "cpu", ..."""
        return self._device

    @property
    def options(self) -> CompileOptions:
        """The options of its compilation that bear on its speed."""
        return self._options

    @property
    def function_constants(self) -> tuple[FunctionConstant, ...]:
        """The function constants of its library."""
        return self._function_constants

    def time(self, *args: Any, repeats: int = 50, warmup: float = 0.1, **kwargs: Any) -> Timing:
        """Runs the kernel `repeats` times and reports the seconds on the device clock.

        See `metalwright.runtime.timing.time_kernel` for exactly what is measured.
        """
        from metalwright.runtime.timing import time_kernel

        return time_kernel(self, *args, repeats=repeats, warmup=warmup, **kwargs)

    def __repr__(self) -> str:
        arguments = ", ".join(describe_argument(argument) for argument in self.arguments)
        return f"<metalwright.Kernel {self.name}({arguments}) on {self.device}>"


class TorchKernel(Kernel):
    """A kernel that is called as those of ``torch.mps.compile_shader`` are.

    Positions are buffer indices; ints become int64 and floats float32 unless `arg_casts` says
    otherwise; dtypes are not compared; without `group_size` a grid of 2 or 3 dimensions has
    threadgroups of one thread.
    """

    __slots__ = ()
    _convention = "torch"

    @property
    def static_thread_group_memory_length(self) -> int:
        """Bytes of threadgroup memory that the kernel declares itself, by torch's name."""
        return self.static_threadgroup_memory


def describe_argument(argument: Argument) -> str:
    """The argument as it would be declared: ``device const float* x [[buffer(0)]]``."""
    space = argument.address_space
    if space == "device" and argument.access == "read":
        space = "device const"
    symbol = "&" if argument.is_reference else "*"
    attribute = "buffer" if argument.kind == "buffer" else "threadgroup"
    if argument.kind in ("texture", "sampler"):
        return f"{argument.type_name} {argument.name} [[{argument.kind}({argument.index})]]"
    return f"{space} {argument.type_name}{symbol} {argument.name} [[{attribute}({argument.index})]]"
