"""Memory of exactly the asked length that a device and the host share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from metalwright import _native
from metalwright.errors import Error
from metalwright.runtime import errors as _errors  # noqa: F401  (hands the error types over)
from metalwright.runtime.device import default_device

if TYPE_CHECKING:
    import torch

Shape = int | Sequence[int]


def _dtype_name(dtype: object) -> str:
    """ "float32" from itself, from torch's dtype, or from whatever NumPy takes for a dtype."""
    text = str(dtype)
    if text.startswith("torch."):
        return text.removeprefix("torch.")
    if isinstance(dtype, str) and dtype == "bfloat16":
        return dtype  # NumPy has no such type
    try:
        return np.dtype(dtype).name  # type: ignore[call-overload,no-any-return]
    except TypeError:
        raise Error("bad-option", f"dtype={dtype!r}: expected a dtype or its name") from None


def _dimensions(shape: Shape) -> tuple[int, ...]:
    try:
        return tuple(int(size) for size in shape) if isinstance(shape, Sequence) else (int(shape),)
    except (TypeError, ValueError):
        raise Error("bad-shape", f"{shape!r}: a shape is an int or a tuple of ints") from None


class Buffer(_native.Buffer):
    """An array in memory that the host and its device share, contiguous, of exactly its length.

    A kernel of its device binds it without a copy, and so it does every NumPy array and torch
    tensor over the same memory: ``numpy.asarray(buffer)``, ``torch.from_dlpack(buffer)``, `numpy`
    and `torch` give views. A view keeps the memory alive, with or without the buffer. Its length is
    not rounded up, so an access behind its end is one that shader validation can see.

    ``shape``, ``dtype`` (a name such as "float32"), ``nbytes``, ``device`` and ``address`` describe
    it. It takes part in Python's buffer protocol (but for bfloat16, for which that has no format)
    and in DLPack, as memory of the host.
    """

    def numpy(self) -> np.ndarray[Any, Any]:
        """A NumPy array over the memory.

        Raises:
            BufferError: NumPy has no such dtype (bfloat16, complex32).
        """
        if self.dtype in ("bfloat16", "complex32"):
            raise BufferError(f"NumPy has no {self.dtype}; use .torch()")
        return np.asarray(memoryview(self))

    def torch(self) -> torch.Tensor:
        """A CPU tensor of torch over the memory."""
        from torch.utils.dlpack import from_dlpack

        return from_dlpack(self)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("a buffer of no dimensions has no length")
        return self.shape[0]

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a metalwright.Buffer is memory of this process and cannot be pickled; "
            "send buffer.numpy().copy()"
        )

    def __repr__(self) -> str:
        return f"<metalwright.Buffer {self.dtype}{list(self.shape)} on {self.device}>"


def empty(shape: Shape, *, dtype: object = "float32", device: str | None = None) -> Buffer:
    """A `Buffer` with unspecified contents.

    Args:
        shape: An int, or a sequence of ints of at least 1; () is one element.
        dtype: Its name, or a dtype of torch or NumPy.
        device: As for `metalwright.compile`.

    Raises:
        Error: ``bad-shape``, ``bad-option``, ``no-such-device``, ``out-of-memory``.
    """
    return Buffer(device or default_device(), _dimensions(shape), _dtype_name(dtype))


def zeros(shape: Shape, *, dtype: object = "float32", device: str | None = None) -> Buffer:
    """A `Buffer` full of zeros; see `empty`."""
    buffer = empty(shape, dtype=dtype, device=device)
    buffer.fill_with_byte(0)
    return buffer


def from_array(array: object, *, device: str | None = None) -> Buffer:
    """A `Buffer` with a copy of an array: NumPy's, a CPU tensor, or what ``numpy.asarray`` takes.

    Raises:
        Error: as for `empty`.
    """
    if type(array).__module__.partition(".")[0] == "torch":
        tensor: Any = array
        buffer = empty(tuple(tensor.shape), dtype=tensor.dtype, device=device)
        buffer.torch().copy_(tensor.detach())
        return buffer
    values = np.asarray(array)
    buffer = empty(values.shape, dtype=values.dtype, device=device)
    buffer.numpy()[...] = values
    return buffer
