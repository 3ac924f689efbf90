"""A compiled Metal library: its kernels as attributes."""

from __future__ import annotations

import difflib
import threading
from collections.abc import Mapping, Sequence

from metalwright import _native
from metalwright._native import Diagnostic, FunctionConstant
from metalwright.errors import Error
from metalwright.runtime.checked_kernel import CheckedMixin
from metalwright.runtime.conditions import CompileOptions
from metalwright.runtime.errors import UnknownKernelError
from metalwright.runtime.kernel import Kernel, describe_argument

Number = bool | int | float
Constants = Mapping[int | str, Number | Sequence[Number]]


def _normalised(constants: Constants | None) -> dict[str, Number | tuple[Number, ...]]:
    """Keyed by text, values hashable. Equal dictionaries specialise equally."""
    return {
        str(key): tuple(value) if isinstance(value, (list, tuple)) else value  # type: ignore[misc]
        for key, value in (constants or {}).items()
    }


class Compiled:
    """What is cached: the native library and the kernels that were specialised from it."""

    def __init__(
        self,
        native: _native.Library,
        options: CompileOptions,
        source: str = "",
        file_name: str = "",
    ) -> None:
        self.native = native
        self.options = options
        self.source = source
        self.file_name = file_name
        self.names = tuple(native.kernel_names)
        self._kernels: dict[object, Kernel] = {}
        self._lock = threading.Lock()

    def kernel(
        self,
        name: str,
        constants: dict[str, Number | tuple[Number, ...]],
        device: str,
        kind: type[Kernel],
    ) -> Kernel:
        """The kernel with these constants; the same object for the same request."""
        # The types belong to the key: True == 1 == 1.0 in Python.
        key = (kind, name, tuple(sorted((k, repr(v)) for k, v in constants.items())))
        with self._lock:
            known = self._kernels.get(key)
        if known is not None:
            return known
        made = kind(self.native, name, constants, device, self.options)
        if isinstance(made, CheckedMixin):
            made.set_source(self.source, self.file_name)
        with self._lock:
            return self._kernels.setdefault(key, made)


class Library:
    """The kernels of one Metal source, compiled for one device.

    ``library.name`` is the kernel called ``name``; `kernel` finds those whose name is not an
    attribute of its own. ``dir(library)`` lists them.
    """

    def __init__(
        self,
        compiled: Compiled,
        *,
        source: str,
        device: str,
        constants: Constants | None = None,
        kernel_type: type[Kernel] = Kernel,
    ) -> None:
        """Wraps a compiled library; use `metalwright.compile` instead."""
        self._compiled = compiled
        self._constants = _normalised(constants)
        self._kernel_type = kernel_type
        self.source = source
        self.device = device

    @property
    def kernel_names(self) -> tuple[str, ...]:
        """The names of its kernels, in the order of the source."""
        return self._compiled.names

    @property
    def function_constants(self) -> tuple[FunctionConstant, ...]:
        """Its function constants, with index, name and type_name."""
        return tuple(self._compiled.native.function_constants)

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """What the compiler warned about."""
        return tuple(self._compiled.native.warnings)

    @property
    def is_checked(self) -> bool:
        """Whether it was compiled for the sanitiser."""
        return issubclass(self._kernel_type, CheckedMixin)

    def kernel(self, name: str, constants: Constants | None = None) -> Kernel:
        """The kernel called `name`, specialised.

        Args:
            name: As in the source, or as ``[[host_name("...")]]`` says.
            constants: Function constants by index or name; they win over those given to `compile`.

        Raises:
            UnknownKernelError: there is no such kernel; the message lists the nearest names.
            Error: ``missing-function-constant``, ``no-such-function-constant``, ...
        """
        if name not in self._compiled.names:
            raise self._unknown(name)
        values = {**self._constants, **_normalised(constants)} if constants else self._constants
        return self._compiled.kernel(name, values, self.device, self._kernel_type)

    def _unknown(self, name: str) -> Error:
        names = self.kernel_names
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        if near:
            hint = "Did you mean " + " or ".join(near) + "?"
        elif names:
            shown = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
            hint = f"Its kernels: {shown}"
        else:
            hint = "It has no kernels: an entry point is declared `kernel void name(...)`."
        return UnknownKernelError("no-such-kernel", f"the library has no kernel '{name}'", hint)

    def __getattr__(self, name: str) -> Kernel:
        if name.startswith("__") or "_compiled" not in self.__dict__:
            raise AttributeError(name)  # a protocol of Python's asks, or the object is half made
        kernel = self.kernel(name)
        self.__dict__[name] = kernel  # the next access is a plain dictionary look-up
        return kernel

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *(n for n in self.kernel_names if n.isidentifier())})

    def __repr__(self) -> str:
        count = len(self.kernel_names)
        shown = ", ".join(self.kernel_names[:6]) + (", ..." if count > 6 else "")
        return (
            f"<metalwright.Library on {self.device}: {count} kernel{'s' * (count != 1)}: {shown}>"
        )


__all__ = ["Compiled", "Constants", "Library", "describe_argument"]
