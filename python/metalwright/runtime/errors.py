"""The exceptions of compiling and dispatching; the native half raises them too."""

from __future__ import annotations

from collections.abc import Sequence

from metalwright import _native
from metalwright._native import Diagnostic
from metalwright.errors import Error


class CompileError(Error, SyntaxError):
    """Metal source did not compile.

    Also a ``SyntaxError``, which is what ``torch.mps.compile_shader`` raises. ``str()`` is what
    Apple's compiler would print; ``diagnostics`` are the same messages as objects with
    ``severity``, ``file``, ``line``, ``column``, ``message``, ``source_line`` and ``caret``.
    """

    def __init__(self, message: str, diagnostics: Sequence[Diagnostic] = ()) -> None:
        Error.__init__(self, "compile-error", message)
        self.diagnostics = tuple(diagnostics)

    def __str__(self) -> str:
        return self.message


class DispatchError(Error):
    """A kernel started and did not end well.

    Codes: ``deadline-exceeded``, ``interrupted``, ``invalid-memory-access``, ``divergent-barrier``,
    ``kernel-trap``, ``reported-by-kernel``; on Metal also those of a failed command buffer, such as
    ``device-lost``. ``diagnostic`` is the place in the source where it happened, with ``file``,
    ``line``, ``column``, ``message``, ``source_line`` and ``caret``, where it is known, else None.
    """

    def __init__(
        self, code: str, message: str, hint: str = "", diagnostic: Diagnostic | None = None
    ) -> None:
        super().__init__(code, message, hint)
        self.diagnostic = diagnostic


class UnknownKernelError(Error, AttributeError):
    """The library has no kernel of that name (code ``no-such-kernel``)."""


class AliasingWarning(UserWarning):
    """Overlapping memory is bound to two arguments of a kernel, one of which it writes through.

    Metal compiles kernels as if their buffers did not overlap. Issued once per kernel.
    """


_native.set_error_types(Error, CompileError, DispatchError, AliasingWarning)
