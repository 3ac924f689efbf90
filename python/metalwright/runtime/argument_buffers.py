"""Argument buffers: structures of pointers and values, for ``constant Args& args``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from metalwright import _native
from metalwright.errors import Error
from metalwright.runtime.buffer import Buffer
from metalwright.runtime.checked_kernel import CheckedMixin
from metalwright.runtime.kernel import Kernel

_SCALARS = {
    "bool": "bool",
    "char": "int8",
    "uchar": "uint8",
    "short": "int16",
    "ushort": "uint16",
    "int": "int32",
    "uint": "uint32",
    "long": "int64",
    "ulong": "uint64",
    "half": "float16",
    "float": "float32",
}


class ArgumentBuffer(np.ndarray[Any, np.dtype[np.uint8]]):
    """The bytes of the structure, to be passed to the kernel. Keeps what it points to alive."""

    bound: tuple[object, ...] = ()


def argument_buffer(
    kernel: Kernel, argument: str | int, values: Mapping[str, object] | Sequence[object]
) -> ArgumentBuffer:
    """Encodes the structure behind an argument of a kernel.

    Args:
        kernel: Whose argument it is; of the cpu device.
        argument: The argument's name or buffer index.
        values: For each member, by name or in the order of declaration: a tensor, a NumPy array or
            a `metalwright.Buffer` for a pointer; a number, a sequence of numbers or bytes for a
            value. None is a null pointer.

    Returns:
        An array of bytes to pass for that argument, aligned to 16. Memory is bound as it is: the
        tensors must live in the host's memory and may not be moved.

    Raises:
        Error: ``not-supported`` on other devices and with ``check=True``,
            ``not-an-argument-buffer``, ``missing-member``, ``unknown-member``, ``wrong-dtype``,
            ``not-bindable``.
    """
    if kernel.device.partition(":")[0] != "cpu":
        raise Error(
            "not-supported", f"argument buffers are encoded for the cpu device, not {kernel.device}"
        )
    if isinstance(kernel, CheckedMixin):
        raise Error(
            "not-supported",
            "check=True knows the memory that is bound to arguments, not what a structure points "
            "to; compile without it, or bind the memory directly",
        )
    found = next(
        (
            candidate
            for candidate in kernel.arguments
            if candidate.kind == "buffer" and argument in (candidate.name, candidate.index)
        ),
        None,
    )
    place = f"kernel {kernel.name!r}, argument {argument!r}"
    if found is None or not found.members:
        raise Error(
            "not-an-argument-buffer",
            f"{place}: it is no structure with pointers or [[id(n)]] members",
        )
    members = {member.name: member for member in found.members}
    if isinstance(values, Mapping):
        given = dict(values)
    else:
        if len(values) > len(members):
            raise Error(
                "unknown-member", f"{place}: {len(values)} values for {len(members)} members"
            )
        given = dict(zip(members, values, strict=False))
    for name in given:
        if name not in members:
            raise Error(
                "unknown-member", f"{place}: it has no member {name!r}; it has {', '.join(members)}"
            )
    raw = np.zeros(found.size + 15, np.uint8)
    start = -raw.ctypes.data % 16
    encoded = raw[start : start + found.size].view(ArgumentBuffer)
    bound: list[object] = [raw]
    for name, member in members.items():
        if name not in given:
            raise Error("missing-member", f"{place}: nothing is given for member {name!r}")
        where = f"{place}, member {name!r}"
        if member.is_pointer:
            address = _address(where, member, given[name])
            data = np.array([address], np.uint64).tobytes()
            bound.append(given[name])
        else:
            data = _bytes(where, member, given[name])
        encoded[member.offset : member.offset + len(data)] = np.frombuffer(data, np.uint8)
    encoded.bound = tuple(bound)
    return encoded


def _address(where: str, member: _native.ArgumentMember, value: object) -> int:
    if value is None:
        return 0
    if type(value).__module__.partition(".")[0] == "torch":
        tensor: Any = value
        if tensor.device.type != "cpu":
            raise Error(
                "not-bindable", f"{where}: the tensor is on {tensor.device}, not on the CPU"
            )
        dtype, address = str(tensor.dtype).removeprefix("torch."), int(tensor.data_ptr())
    elif isinstance(value, Buffer):
        dtype, address = value.dtype, value.address
    elif isinstance(value, np.ndarray):
        if member.access != "read" and not value.flags.writeable:
            raise Error("read-only", f"{where}: the array is read-only and may be written")
        dtype, address = value.dtype.name, value.ctypes.data
    else:
        raise Error(
            "not-bindable",
            f"{where}: cannot point to an object of type {type(value).__name__!r}; pass a tensor, "
            "a NumPy array or a metalwright.Buffer",
        )
    scalar = member.type_name.rstrip("234") if member.type_name[-1:] in "234" else member.type_name
    expected = "bfloat16" if scalar == "bfloat" else _SCALARS.get(scalar)
    if expected is not None and dtype != expected:
        raise Error("wrong-dtype", f"{where}: expected {expected}, got {dtype}")
    return address


def _bytes(where: str, member: _native.ArgumentMember, value: object) -> bytes:
    if isinstance(value, (bytes, bytearray, memoryview)):
        data = bytes(value)
    else:
        name = member.type_name
        scalar = name.rstrip("234") if name[-1:] in "234" else name
        if scalar not in _SCALARS:
            raise Error("not-bindable", f"{where}: pass the {member.size} bytes of a {name}")
        try:
            array = np.asarray(value)
            converted = array.astype(_SCALARS[scalar])
        except (TypeError, ValueError, OverflowError):
            raise Error("wrong-dtype", f"{where}: {value!r} is no {name}") from None
        if converted.dtype.kind in "iu" and not np.array_equal(converted, array):
            raise Error("wrong-dtype", f"{where}: {value!r} does not fit {name}")
        data = converted.tobytes()
        count = int(name[-1]) if name[-1:] in "234" else 1
        if converted.size != count:
            raise Error("wrong-dtype", f"{where}: {name} takes {count} numbers")
    if len(data) > member.size:
        raise Error("wrong-dtype", f"{where}: {len(data)} bytes for {member.size}")
    return data
