"""Tensors that claim to be on `mps`, over the stand-in's buffers, and torch's stream on the GPU.

A tensor here is a `torch.Tensor` whose device is `mps`. Views share its buffer; `.cpu()` and
`from_cpu()` copy. Other operations of torch are refused: there is no torch for mps on this machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from . import _standin

__all__ = [
    "MpsTensor",
    "commit_off_queue",
    "empty",
    "from_cpu",
    "multiply_add_",
    "pretend_torch",
    "synchronize",
    "synchronize_on_queue",
]


class _Storage:
    """What `untyped_storage()` gives: the address is that of the MTLBuffer object."""

    def __init__(self, nbytes: int, *, private: bool, round_to: int, device: int) -> None:
        self._nbytes = nbytes
        self.buffer = _standin.new_buffer(nbytes, private, round_to, device) if nbytes > 0 else 0

    def __del__(self) -> None:
        if getattr(self, "buffer", 0):
            _standin.release_buffer(self.buffer)

    def data_ptr(self) -> int:
        return self.buffer

    def nbytes(self) -> int:
        return self._nbytes

    def __len__(self) -> int:
        return self._nbytes

    @property
    def device(self) -> torch.device:
        return torch.device("mps", 0)


class _OnlyViews(TorchDispatchMode):
    """Refuses every operation that would compute, write or copy."""

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        computes = any(
            isinstance(returned.type, torch.TensorType)
            and (returned.alias_info is None or returned.alias_info.is_write)
            for returned in function._schema.returns
        )
        if computes or function._schema.is_mutable:
            raise NotImplementedError(f"the stand-in for mps tensors has no {function.name()}")
        return function(*args, **(kwargs or {}))


class MpsTensor(torch.Tensor):
    """A strided tensor over a buffer of the stand-in.

    Its geometry is that of a tensor on the meta device, which also answers what views of it are.
    """

    _geometry: torch.Tensor
    _buffer_storage: _Storage

    @staticmethod
    def wrap(geometry: torch.Tensor, storage: _Storage) -> MpsTensor:
        tensor = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            MpsTensor,
            geometry.shape,
            strides=geometry.stride(),
            storage_offset=geometry.storage_offset(),
            dtype=geometry.dtype,
            device="mps",
            requires_grad=False,
        )
        tensor._geometry = geometry
        tensor._buffer_storage = storage
        assert isinstance(tensor, MpsTensor)
        return tensor

    @classmethod
    def __torch_function__(
        cls, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        sources = [one for one in tree_leaves((args, kwargs)) if isinstance(one, MpsTensor)]
        args, kwargs = tree_map_only(MpsTensor, lambda one: one._geometry, (args, kwargs or {}))
        with torch._C.DisableTorchFunctionSubclass(), _OnlyViews():
            result = function(*args, **kwargs)

        def view(geometry: torch.Tensor) -> MpsTensor:
            for source in sources:
                if source._geometry.untyped_storage()._cdata == geometry.untyped_storage()._cdata:
                    return cls.wrap(geometry, source._buffer_storage)
            raise NotImplementedError(f"the stand-in for mps tensors has no {function.__name__}")

        return tree_map_only(torch.Tensor, view, result)

    @classmethod
    def __torch_dispatch__(
        cls, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        raise NotImplementedError(f"the stand-in for mps tensors has no {function.name()}")

    # What the geometry cannot answer.
    device = property(lambda self: torch.device("mps", 0))
    is_mps = property(lambda self: True)
    is_meta = property(lambda self: False)

    def untyped_storage(self) -> Any:
        return self._buffer_storage

    def data_ptr(self) -> int:
        if self._buffer_storage.buffer == 0:
            return 0
        return self._buffer_storage.buffer + self.storage_offset() * self.element_size()

    def cpu(self, *_: Any, **__: Any) -> torch.Tensor:
        """Waits for torch's stream, then copies to the host."""
        synchronize()
        return self.peek()

    def peek(self) -> torch.Tensor:
        """What the memory holds now, without waiting for anything."""
        storage = self._buffer_storage
        data = _standin.read_buffer(storage.buffer, 0, storage.nbytes()) if storage.buffer else b""
        flat = torch.frombuffer(bytearray(data), dtype=torch.uint8) if data else torch.empty(0)
        if not data:
            return torch.empty(self.shape, dtype=self.dtype)
        host = torch.empty(0, dtype=self.dtype).set_(flat.untyped_storage())
        return torch.as_strided(host, self.shape, self.stride(), self.storage_offset()).clone()

    def poke(self, values: torch.Tensor) -> None:
        """Writes the host's values at once, without waiting for anything."""
        storage = self._buffer_storage
        data = bytearray(_standin.read_buffer(storage.buffer, 0, storage.nbytes()))
        flat = torch.frombuffer(data, dtype=torch.uint8)
        host = torch.empty(0, dtype=self.dtype).set_(flat.untyped_storage())
        torch.as_strided(host, self.shape, self.stride(), self.storage_offset()).copy_(values)
        _standin.write_buffer(storage.buffer, 0, bytes(data))

    def __repr__(self, *_: Any, **__: Any) -> str:
        return f"MpsTensor(shape={tuple(self.shape)}, dtype={self.dtype})"

    @property
    def retain_count(self) -> int:
        """References to the MTLBuffer; torch's allocator takes more than one for work in flight."""
        return _standin.buffer_retain_count(self._buffer_storage.buffer)


def empty(
    *shape: int,
    dtype: torch.dtype = torch.float32,
    private: bool = False,
    round_to: int = 256,
    device: int = 0,
) -> MpsTensor:
    """A tensor over a new buffer whose length is a multiple of `round_to` bytes, as torch's are.

    `private`: the host cannot see it, as torch's could be up to 2.11. `device` 1: a buffer of the
    second device.
    """
    geometry = torch.empty(shape, dtype=dtype, device="meta")
    nbytes = geometry.numel() * geometry.element_size()
    storage = _Storage(nbytes, private=private, round_to=round_to, device=device)
    return MpsTensor.wrap(geometry, storage)


def from_cpu(values: torch.Tensor, **options: Any) -> MpsTensor:
    """A contiguous copy of a CPU tensor."""
    tensor = empty(*values.shape, dtype=values.dtype, **options)
    if values.numel() > 0:
        tensor.poke(values)
    return tensor


def multiply_add_(tensor: MpsTensor, factor: float, summand: float) -> None:
    """`tensor * factor + summand` in place, queued on torch's stream and not waited for.

    The tensor must be float32 and contiguous.
    """
    if tensor.dtype != torch.float32 or not tensor.is_contiguous():
        raise ValueError("a contiguous float32 tensor is needed")
    offset = tensor.storage_offset() * 4
    buffer = tensor._buffer_storage.buffer
    _standin.torch_multiply_add(buffer, offset, tensor.numel(), factor, summand)


synchronize = _standin.torch_synchronize
synchronize_on_queue = _standin.torch_synchronize_on_queue
commit_off_queue = _standin.torch_commit_off_queue


@contextmanager
def pretend_torch(major: int, minor: int) -> Iterator[None]:
    """Torch's functions are in the process and behave as in this version.

    They stay visible to the process afterwards, as those of an imported torch do.
    """
    _standin.torch_load()
    _standin.torch_set_version(major, minor)
    try:
        yield
    finally:
        _standin.torch_reset()
