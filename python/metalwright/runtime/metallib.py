"""Apple's compiled libraries (.metallib), run on any device that can."""

from __future__ import annotations

import os
from dataclasses import dataclass

from metalwright import _native
from metalwright._native import KernelDescription
from metalwright.errors import Error
from metalwright.runtime.conditions import CompileOptions
from metalwright.runtime.device import default_device
from metalwright.runtime.library import Compiled, Constants, Library

# What the file was compiled with is in its code and not in the container.
_UNKNOWN = CompileOptions("as compiled", "as compiled", "as compiled")


@dataclass(frozen=True)
class IntrinsicUse:
    """An ``air.*`` function that kernels of a library call.

    ``kernels`` of them do, ``example`` is the first; ``is_supported`` says whether the CPU device
    has a lowering for that name.
    """

    name: str
    kernels: int
    example: str
    is_supported: bool


class Metallib(Library):
    """The kernels of a .metallib file; each is compiled for the device when it is first used."""

    path: str

    def describe(self, name: str) -> KernelDescription:
        """The arguments and function constants of a kernel, without compiling it.

        Raises:
            UnknownKernelError: there is no such kernel.
            Error: ``invalid-air``: the file's code for it cannot be read.
        """
        if name not in self._compiled.names:
            raise self._unknown(name)
        return self._compiled.native.describe(name)

    def intrinsics(self) -> list[IntrinsicUse]:
        """The ``air.*`` functions that its kernels call, sorted by name.

        Raises:
            Error: ``invalid-air``: the code of a kernel cannot be read; ``not-supported``: this
                build has no CPU device.
        """
        if not hasattr(_native, "metallib_intrinsics"):
            raise Error("not-supported", "this build has no cpu device, which reads AIR")
        return [
            IntrinsicUse(use.name, use.kernels, use.example, use.is_supported)
            for use in _native.metallib_intrinsics(self.path)
        ]


def load_metallib(
    path: str | os.PathLike[str],
    *,
    device: str | None = None,
    constants: Constants | None = None,
) -> Metallib:
    """Opens a library that Apple's compiler made, `xcrun metallib` for one.

    A .metallib holds AIR, Apple's intermediate language. On the CPU device its kernels run with the
    same reflection and the same calls as kernels compiled from source. The container is checked
    in full when it is opened; the code of a kernel when that kernel is first used. LLVM's reader of
    bitcode is not hardened against files made to attack it: open files of strangers in a process
    that may be lost.

    Args:
        path: The file.
        device: As for `compile`.
        constants: Values of function constants by index or name, for every kernel.

    Raises:
        Error: ``no-such-file``, ``invalid-metallib``, ``not-supported`` by the device; when a
            kernel is used ``invalid-air``, ``unsupported-intrinsic`` with the intrinsic's name,
            ``missing-function-constant``.
    """
    chosen = device or default_device()
    text = os.fspath(path)
    if os.path.isdir(text):
        raise Error("no-such-file", f"{text} is a folder, not a .metallib file")
    path = os.path.abspath(text)
    compiled = Compiled(_native.load_metallib(path, chosen), _UNKNOWN)
    library = Metallib(compiled, source="", device=chosen, constants=constants)
    library.path = path
    return library
