"""Tensors in shared memory: how judge and worker hand each other values.

An exchange file lies in a memory file system. It holds the elements of each tensor from a page
boundary on, in the order of memory, native byte order. What is where is the *layout*, plain JSON
that travels over the control pipe:

    {"tree": NODE, "tensors": [{"dtype", "shape", "strides", "offset"}, ...], "size": BYTES}

A NODE is {"tensor": i}, {"list": [NODE...]}, {"tuple": [NODE...]}, {"dict": [[KEY, NODE]...]},
{"int" | "float" | "bool" | "str": VALUE}, {"none": null}, {"complex": [RE, IM]}, {"dtype": NAME}.
Strides count elements. A layout from a worker is foreign data: `check_layout` bounds everything
before a byte is looked at, and the judge copies files with reads instead of mapping them, because a
mapped file that is cut short by its writer kills the reader.
"""

from __future__ import annotations

import math
import mmap
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

_PAGE = 4096
_MAX_DEPTH = 32
_MAX_TENSORS = 4096
_MAX_DIMENSIONS = 64

DTYPES: dict[str, torch.dtype] = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        torch.bool,
        *(torch.uint8, torch.uint16, torch.uint32, torch.uint64),
        *(torch.int8, torch.int16, torch.int32, torch.int64),
        *(torch.float16, torch.bfloat16, torch.float32, torch.float64),
        *(torch.complex64, torch.complex128),
    )
}
_NAMES = {dtype: name for name, dtype in DTYPES.items()}

Layout = dict[str, Any]


class ExchangeError(ValueError):
    """A value that cannot be handed over, or a layout that makes no sense."""


def store(value: Any, path: Path) -> Layout:
    """Writes the tensors of `value` into `path` (created or emptied) and returns its layout.

    Raises:
        ExchangeError: a part of `value` is neither a plain tensor nor plain data.
    """
    tensors: list[torch.Tensor] = []
    tree = _encode(value, tensors, 0)
    entries = []
    offset = 0
    with open(path, "wb") as file:
        for tensor in tensors:
            dense = tensor.detach()
            if dense.is_conj() or dense.is_neg():
                dense = dense.resolve_conj().resolve_neg()
            dense = dense.cpu()
            if not _is_dense(dense):
                dense = dense.contiguous()
            file.seek(offset)
            if dense.numel():
                file.write(_bytes_of(dense))
            entries.append(
                {
                    "dtype": _NAMES[dense.dtype],
                    "shape": list(dense.shape),
                    "strides": list(dense.stride()),
                    "offset": offset,
                }
            )
            size = dense.numel() * dense.element_size()
            offset += -(-size // _PAGE) * _PAGE
        file.truncate(offset)
    return {"tree": tree, "tensors": entries, "size": offset}


def load_mapped(path: Path, layout: Layout) -> Any:
    """The value, its tensors aliasing the file: what is written to them is written to the file."""
    if layout["size"] == 0:
        return _decode(layout, lambda entry: _view(entry, None))
    with open(path, "r+b") as file:
        mapping = mmap.mmap(file.fileno(), layout["size"])
    return _decode(layout, lambda entry: _view(entry, mapping))


def load_row(path: Path, layout: Layout, row: int) -> Any:
    """The value in a file of several of one layout, one after the other; its tensors alias it."""
    size = layout["size"]
    if size == 0:
        return _decode(layout, lambda entry: _view(entry, None))
    with open(path, "rb") as file:
        mapping = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_COPY, offset=row * size)
    return _decode(layout, lambda entry: _view(entry, mapping))


def load_copied(path: Path, layout: Layout) -> Any:
    """The value, read into memory of its own. `layout` must have passed `check_layout`.

    Raises:
        ExchangeError: the file is shorter than the layout says.
    """
    return load_content(read_exactly(path, layout["size"]), layout)


def load_content(content: bytearray, layout: Layout) -> Any:
    """The value whose file's bytes are `content`; its tensors alias them."""
    return _decode(layout, lambda entry: _view(entry, content))


def read_exactly(path: Path, size: int) -> bytearray:
    """Reads the first `size` bytes of a file.

    Raises:
        ExchangeError: there are fewer, or it is no regular file.
    """
    content = bytearray(size)
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        raise ExchangeError(f"the exchange file cannot be opened: {error.strerror}") from None
    with open(descriptor, "rb", buffering=0) as file:
        done = 0
        while done < size:
            count = file.readinto(memoryview(content)[done:])
            if not count:
                raise ExchangeError(f"the exchange file ends at byte {done} of {size}")
            done += count
    return content


def check_layout(layout: object, limit: int) -> Layout:
    """Checks a layout that came from a worker; its tensors may need `limit` bytes in all.

    Raises:
        ExchangeError: it is malformed or asks for more than there can be.
    """
    if not isinstance(layout, dict) or set(layout) != {"tree", "tensors", "size"}:
        raise ExchangeError("the layout is not an object of tree, tensors and size")
    size, entries = layout["size"], layout["tensors"]
    if not _is_count(size) or size > limit:
        raise ExchangeError(f"the layout's size {size!r:.40} is not within {limit} bytes")
    if not isinstance(entries, list) or len(entries) > _MAX_TENSORS:
        raise ExchangeError("the layout's tensors are not a list of reasonable length")
    for entry in entries:
        _check_entry(entry, size)
    _check_node(layout["tree"], len(entries), 0)
    return layout


def tensors_of(value: Any, name: str) -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors in a value, each with the expression that finds it, ``output[0]['mean']``."""
    if isinstance(value, torch.Tensor):
        yield name, value
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from tensors_of(item, f"{name}[{index}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from tensors_of(item, f"{name}[{key!r}]")


def _encode(value: Any, tensors: list[torch.Tensor], depth: int) -> dict[str, Any]:
    if depth > _MAX_DEPTH:
        raise ExchangeError("the value is nested too deeply")
    if isinstance(value, torch.Tensor):
        return _encode_tensor(value, tensors)
    if value is None:
        return {"none": None}
    if isinstance(value, bool):
        return {"bool": value}
    if isinstance(value, int):
        return {"int": int(value)}
    if isinstance(value, float):
        # repr, because JSON has neither NaN nor infinity.
        return {"float": repr(float(value))}
    if isinstance(value, complex):
        return {"complex": [repr(value.real), repr(value.imag)]}
    if isinstance(value, str):
        return {"str": str(value)}
    if isinstance(value, torch.dtype) and value in _NAMES:
        return {"dtype": _NAMES[value]}
    if isinstance(value, tuple):
        return {"tuple": [_encode(item, tensors, depth + 1) for item in value]}
    if isinstance(value, list):
        return {"list": [_encode(item, tensors, depth + 1) for item in value]}
    if isinstance(value, dict):
        pairs = []
        for key, item in value.items():
            if not isinstance(key, (str, int)) or isinstance(key, bool):
                raise ExchangeError(f"a dictionary key is a {type(key).__name__}")
            pairs.append([key, _encode(item, tensors, depth + 1)])
        return {"dict": pairs}
    raise ExchangeError(f"a {type(value).__module__}.{type(value).__qualname__} is no plain data")


def _encode_tensor(value: torch.Tensor, tensors: list[torch.Tensor]) -> dict[str, Any]:
    if type(value) not in (torch.Tensor, torch.nn.Parameter):
        raise ExchangeError(f"a {type(value).__qualname__} is a tensor subclass, not a tensor")
    if value.layout is not torch.strided:
        raise ExchangeError(f"a tensor has the layout {value.layout}, not torch.strided")
    if value.dtype not in _NAMES:
        raise ExchangeError(f"a tensor has the dtype {value.dtype}, which is not supported")
    if value.device.type == "meta":
        raise ExchangeError("a tensor is on the meta device and has no elements")
    tensors.append(value)
    return {"tensor": len(tensors) - 1}


def _decode(layout: Layout, view: Callable[[dict[str, Any]], torch.Tensor]) -> Any:
    tensors = [view(entry) for entry in layout["tensors"]]

    def build(node: dict[str, Any]) -> Any:
        ((kind, content),) = node.items()
        if kind == "tensor":
            return tensors[content]
        if kind == "list":
            return [build(item) for item in content]
        if kind == "tuple":
            return tuple(build(item) for item in content)
        if kind == "dict":
            return {key: build(item) for key, item in content}
        if kind == "float":
            return float(content)
        if kind == "complex":
            return complex(float(content[0]), float(content[1]))
        if kind == "dtype":
            return DTYPES[content]
        return content

    return build(layout["tree"])


def _view(entry: dict[str, Any], content: mmap.mmap | bytearray | None) -> torch.Tensor:
    dtype = DTYPES[entry["dtype"]]
    count = math.prod(entry["shape"])
    if count == 0 or content is None:
        return torch.empty(entry["shape"], dtype=dtype)
    flat = torch.frombuffer(content, dtype=dtype, count=count, offset=entry["offset"])
    return flat.as_strided(entry["shape"], entry["strides"])


def _is_dense(tensor: torch.Tensor) -> bool:
    """Whether the elements fill one block of memory: contiguous up to the order of dimensions."""
    expected = 1
    dimensions = zip(tensor.stride(), tensor.shape, strict=True)
    for stride, size in sorted(pair for pair in dimensions if pair[1] != 1):
        if stride != expected:
            return False
        expected *= size
    return True


def _bytes_of(tensor: torch.Tensor) -> memoryview:
    flat = tensor.as_strided((tensor.numel(),), (1,))
    array: Any = flat.view(torch.uint8).numpy()
    return memoryview(array)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**62


def _check_entry(entry: object, size: int) -> None:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "strides", "offset"}:
        raise ExchangeError("a tensor's layout lacks dtype, shape, strides or offset")
    shape, strides, offset = entry["shape"], entry["strides"], entry["offset"]
    if not isinstance(entry["dtype"], str) or entry["dtype"] not in DTYPES:
        raise ExchangeError(f"unknown dtype {entry['dtype']!r:.40}")
    if not (
        isinstance(shape, list)
        and isinstance(strides, list)
        and len(shape) == len(strides) <= _MAX_DIMENSIONS
        and all(map(_is_count, [*shape, *strides, offset]))
    ):
        raise ExchangeError("a tensor's shape, strides or offset are not counts")
    # Dense in some order of dimensions: no element outside the block and none shared.
    expected = 1
    if math.prod(shape):
        for stride, length in sorted(p for p in zip(strides, shape, strict=True) if p[1] != 1):
            if stride != expected:
                raise ExchangeError("a tensor's strides leave gaps or overlap")
            expected *= length
        if offset % _PAGE or offset + expected * DTYPES[entry["dtype"]].itemsize > size:
            raise ExchangeError("a tensor lies outside of its file")


def _check_node(node: object, tensors: int, depth: int) -> None:
    if depth > _MAX_DEPTH or not isinstance(node, dict) or len(node) != 1:
        raise ExchangeError("the layout's tree is malformed")
    ((kind, content),) = node.items()
    if kind in ("list", "tuple") and isinstance(content, list):
        for item in content:
            _check_node(item, tensors, depth + 1)
        return
    if kind == "dict" and isinstance(content, list):
        for pair in content:
            if not (isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], (str, int))):
                raise ExchangeError("the layout's tree is malformed")
            _check_node(pair[1], tensors, depth + 1)
        return
    if not isinstance(kind, str) or not _is_leaf(kind, content, tensors):
        raise ExchangeError("the layout's tree is malformed")


def _is_leaf(kind: str, content: object, tensors: int) -> bool:
    if kind == "tensor":
        return isinstance(content, int) and _is_count(content) and content < tensors
    if kind == "none":
        return content is None
    if kind == "complex":
        return isinstance(content, list) and len(content) == 2 and all(map(_is_float, content))
    if kind == "float":
        return _is_float(content)
    if kind == "dtype":
        return isinstance(content, str) and content in DTYPES
    types = {"bool": bool, "int": int, "str": str}
    return kind in types and type(content) is types[kind]


def _is_float(content: object) -> bool:
    if not isinstance(content, str) or len(content) > 40:
        return False
    try:
        float(content)
    except ValueError:
        return False
    return True
