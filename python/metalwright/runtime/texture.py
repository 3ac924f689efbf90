"""Textures and samplers: what ``texture2d<float>`` and ``sampler`` arguments are bound to."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from metalwright import _native
from metalwright.errors import Error
from metalwright.runtime import errors as _errors  # noqa: F401  (hands the error types over)

_DIMENSIONS = {"buffer": 1, "1d": 1, "1d_array": 2, "2d": 2, "2d_array": 3, "3d": 3}
_FORMATS = {
    "float32": "32float",
    "float16": "16float",
    "uint8": "8uint",
    "uint16": "16uint",
    "uint32": "32uint",
    "int8": "8sint",
    "int16": "16sint",
    "int32": "32sint",
}
_CHANNELS = {1: "r", 2: "rg", 4: "rgba"}


def _as_array(values: object) -> np.ndarray[Any, Any]:
    if type(values).__module__.partition(".")[0] == "torch":
        tensor: Any = values
        values = tensor.detach().cpu().numpy()
    return np.asarray(values)


def _dtype_of(format: str) -> np.dtype[Any]:
    """The NumPy type of a channel in memory: what ``unorm`` stores is an unsigned integer."""
    digits = "".join(character for character in format.split("_")[0] if character.isdigit())
    bits = int(digits) if digits else 8
    if format.endswith("float"):
        return np.dtype(f"float{bits}")
    return np.dtype(f"{'int' if format.endswith(('sint', 'snorm')) else 'uint'}{bits}")


class Texture(_native.Texture):
    """Pixels with a format, for a kernel's ``texture1d`` to ``texture3d`` arguments.

    A texture has memory of its own: `values` is copied in, and `numpy` is a view of what kernels
    leave there. There is one mip level. The cpu device only: the metal device does not take
    textures yet.

    ``kind``, ``format``, ``width``, ``height``, ``depth``, ``layers``, ``channels`` and ``nbytes``
    describe it.
    """

    __slots__ = ()

    def __new__(cls, values: object, *, kind: str = "2d", format: str | None = None) -> Texture:
        """Makes a texture of an array.

        Args:
            values: An array or tensor: (width,) for "1d" and "buffer", (layers, width) for
                "1d_array", (height, width) for "2d", (layers, height, width) for "2d_array",
                (depth, height, width) for "3d", and one more dimension of 1, 2 or 4 for channels.
                For a format with ``unorm`` or ``snorm`` floats are scaled from 0 ... 1 or -1 ... 1;
                integers are what is stored.
            kind: As listed above.
            format: MTLPixelFormat's name in lower case: "rgba8unorm", "r32float", "rg16sint", ...;
                if it is missing, channels of the array's own type, such as "rgba32float".

        Raises:
            Error: ``bad-option``, ``bad-shape`` or ``wrong-dtype``.
        """
        return super().__new__(cls)

    def __init__(self, values: object, *, kind: str = "2d", format: str | None = None) -> None:
        array = _as_array(values)
        if kind not in _DIMENSIONS:
            raise Error("bad-option", f"kind={kind!r}: expected one of {', '.join(_DIMENSIONS)}")
        dimensions = _DIMENSIONS[kind]
        channels = array.shape[-1] if array.ndim == dimensions + 1 else 1
        if array.ndim not in (dimensions, dimensions + 1) or channels not in _CHANNELS:
            raise Error(
                "bad-shape",
                f"an array of shape {array.shape} is no texture of kind {kind!r}: it takes "
                f"{dimensions} dimensions, and one more of 1, 2 or 4 for the channels",
            )
        if format is None:
            if array.dtype.name not in _FORMATS:
                raise Error(
                    "wrong-dtype",
                    f"no pixel format has channels of {array.dtype}; convert the array",
                )
            format = _CHANNELS[channels] + _FORMATS[array.dtype.name]
        super().__init__(kind, format, list(array.shape[:dimensions]))
        if self.channels != channels:
            raise Error(
                "bad-shape",
                f"{format} has {self.channels} channels, and the array of shape {array.shape} "
                f"has {channels}",
            )
        self.numpy()[...] = self._stored(array).reshape(self.numpy().shape)

    def _stored(self, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        dtype = _dtype_of(self.format)
        if array.dtype.kind == "f" and dtype.kind in "iu":
            if not self.format.removesuffix("_srgb").endswith(("unorm", "snorm")):
                raise Error(
                    "wrong-dtype", f"{self.format} stores integers, and the array is {array.dtype}"
                )
            if self.format.endswith("_srgb"):
                raise Error(
                    "wrong-dtype",
                    f"{self.format} stores values on the sRGB curve: pass them as uint8",
                )
            lowest = 0.0 if dtype.kind == "u" else -1.0
            most = float(np.iinfo(dtype).max)
            array = np.rint(np.clip(np.nan_to_num(array), lowest, 1.0) * most)
            if self.format.startswith("bgra"):
                array = array[..., [2, 1, 0, 3]]
        return array.astype(dtype)

    @classmethod
    def empty(
        cls, size: tuple[int, ...], *, kind: str = "2d", format: str = "rgba32float"
    ) -> Texture:
        """A texture of zeros, for a kernel to write.

        Args:
            size: (width,), (layers, width), (height, width), (layers, height, width) or
                (depth, height, width), by `kind`.
            kind: As for `Texture`.
            format: As for `Texture`.

        Raises:
            Error: ``bad-option``, ``bad-shape``.
        """
        self = super().__new__(cls)
        _native.Texture.__init__(self, kind, format, [int(side) for side in size])
        return self

    def numpy(self) -> np.ndarray[Any, Any]:
        """The stored numbers: shape as in the constructor, always with a dimension for channels
        where there is more than one. A view: it keeps the texture alive.

        Channels of ``unorm`` and ``snorm`` formats are the integers that are stored.
        """
        sizes = {
            "buffer": (self.width,),
            "1d": (self.width,),
            "1d_array": (self.layers, self.width),
            "2d": (self.height, self.width),
            "2d_array": (self.layers, self.height, self.width),
            "3d": (self.depth, self.height, self.width),
        }[self.kind]
        shape = sizes if self.channels == 1 else (*sizes, self.channels)
        return np.frombuffer(memoryview(self), _dtype_of(self.format)).reshape(shape)

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a metalwright.Texture is memory of this process and cannot be pickled; "
            "send texture.numpy().copy()"
        )

    def __repr__(self) -> str:
        return f"<metalwright.Texture {self.kind} {self.format}{list(self.numpy().shape)}>"


_FILTERS = {"nearest": 0, "linear": 1}
_ADDRESSES = {
    "clamp_to_zero": 0,
    "clamp_to_border": 0,
    "clamp_to_edge": 1,
    "repeat": 2,
    "mirrored_repeat": 3,
}
_BORDERS = {"transparent_black": 0, "opaque_black": 1, "opaque_white": 2}


def _choice(keyword: str, value: str, choices: dict[str, int]) -> int:
    if value not in choices:
        raise Error("bad-option", f"{keyword}={value!r}: expected one of {', '.join(choices)}")
    return choices[value]


class Sampler(_native.Sampler):
    """How a kernel's ``sampler`` argument reads between and beyond the texels of a texture."""

    __slots__ = ()

    def __new__(
        cls,
        *,
        filter: str = "nearest",
        address: str | tuple[str, ...] = "clamp_to_edge",
        coordinates: str = "normalized",
        border: str = "transparent_black",
    ) -> Sampler:
        """Makes a sampler.

        Args:
            filter: "nearest" or "linear".
            address: What lies outside of the texture: "clamp_to_edge", "clamp_to_zero",
                "clamp_to_border", "repeat" or "mirrored_repeat"; or a tuple, one for each axis.
            coordinates: "normalized" (0 ... 1 along each axis) or "pixel".
            border: The colour for "clamp_to_border": "transparent_black", "opaque_black" or
                "opaque_white".

        Raises:
            Error: ``bad-option``.
        """
        return super().__new__(cls)

    def __init__(
        self,
        *,
        filter: str = "nearest",
        address: str | tuple[str, ...] = "clamp_to_edge",
        coordinates: str = "normalized",
        border: str = "transparent_black",
    ) -> None:
        modes = (address,) * 3 if isinstance(address, str) else address
        if not 1 <= len(modes) <= 3:
            raise Error("bad-option", "address= takes one mode, or one for each axis")
        state = 0x007BFF0000080000
        for axis in range(3):
            mode = modes[axis] if axis < len(modes) else "clamp_to_edge"
            state |= _choice("address", mode, _ADDRESSES) << (3 * axis)
        kind = _choice("filter", filter, _FILTERS)
        state |= kind << 9 | kind << 11
        state |= _choice("coordinates", coordinates, {"normalized": 0, "pixel": 1}) << 15
        state |= _choice("border", border, _BORDERS) << 56
        super().__init__(state)

    def __repr__(self) -> str:
        return f"<metalwright.Sampler {self.state:#018x}>"
