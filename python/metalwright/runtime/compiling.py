"""Compiling Metal source, and the cache in front of it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from metalwright import _native
from metalwright.errors import Error
from metalwright.runtime.cache import Cache, CacheInfo
from metalwright.runtime.checked_kernel import CheckedKernel, CheckedTorchKernel
from metalwright.runtime.conditions import CompileOptions
from metalwright.runtime.device import default_device, device_info
from metalwright.runtime.includes import fingerprint, scan, search_path
from metalwright.runtime.kernel import Kernel, TorchKernel
from metalwright.runtime.library import Compiled, Constants, Library
from metalwright.runtime.sanitizer import is_checking

# A library of one kernel takes some hundred kilobytes with its code; searches make thousands.
CACHE_LIMIT = 256

DEFAULT_LANGUAGE_VERSION = "3.2"

_cache: Cache[Compiled] = Cache(CACHE_LIMIT)

MacroValue = str | int | float | bool | None


def _version_number(language_version: str) -> int:
    """ "3.2" as Metal numbers it: (major << 16) + minor."""
    major, dot, minor = str(language_version).partition(".")
    if not (major.isdigit() and (minor.isdigit() if dot else not minor)):
        raise Error(
            "bad-option", f"language_version={language_version!r}: expected a text like '3.2'"
        )
    return (int(major) << 16) + int(minor or 0)


def _default_version(device: str) -> str:
    """MSL 3.2, or the newest that the device's system compiles if that is older."""
    newest = device_info(device).details.get("msl-version", DEFAULT_LANGUAGE_VERSION)
    return min(newest, DEFAULT_LANGUAGE_VERSION, key=_version_number)


def _macro_list(macros: Mapping[str, MacroValue] | None) -> tuple[tuple[str, str], ...]:
    def text(value: MacroValue) -> str:
        if value is None:
            return ""
        return str(int(value)) if isinstance(value, bool) else str(value)

    return tuple((name, text(value)) for name, value in (macros or {}).items())


def _compile(
    source: str,
    *,
    device: str | None,
    math_mode: str,
    math_functions: str | None,
    language_version: str | None,
    macros: Mapping[str, MacroValue] | None,
    include_paths: Sequence[str | os.PathLike[str]],
    file_name: str,
    constants: Constants | None,
    check: bool,
    kernel_type: type[Kernel],
) -> Library:
    if not isinstance(source, str):
        raise Error("bad-option", f"the source is a str, not {type(source).__name__}")
    check = check or is_checking()
    chosen = device or ("cpu" if check else default_device())
    if check:
        if chosen != "cpu":
            raise Error(
                "check-needs-cpu",
                f"the device {chosen} cannot check kernels",
                "Only the cpu device can: leave device= out, or name it.",
            )
        kernel_type = CheckedTorchKernel if kernel_type is TorchKernel else CheckedKernel
    if language_version is None:
        language_version = _default_version(chosen)
    version = _version_number(language_version)
    macro_list = _macro_list(macros)
    includes = scan(source)
    folders = search_path(includes, [os.path.abspath(os.fspath(path)) for path in include_paths])

    def make() -> Compiled:
        return Compiled(
            _native.compile(
                source,
                chosen,
                math_mode,
                math_functions,
                version,
                macro_list,
                folders,
                file_name,
                check,
            ),
            CompileOptions(
                math_mode,
                math_functions or ("precise" if math_mode == "safe" else "fast"),
                str(language_version),
            ),
            source,
            file_name,
        )

    files = fingerprint(includes, folders)
    if files is None:  # what it includes cannot be told from its text: never taken from the cache
        compiled = make()
    else:
        key = (
            source,
            chosen,
            _native.registry_generation(),  # another device may have taken the name since
            math_mode,
            math_functions,
            version,
            macro_list,
            folders,
            file_name,
            check,
            files,
        )
        compiled = _cache.get(key, make)
    return Library(
        compiled, source=source, device=chosen, constants=constants, kernel_type=kernel_type
    )


def compile(
    source: str,
    *,
    device: str | None = None,
    math_mode: str = "safe",
    math_functions: str | None = None,
    language_version: str | None = None,
    macros: Mapping[str, MacroValue] | None = None,
    constants: Constants | None = None,
    include_paths: Sequence[str | os.PathLike[str]] = (),
    file_name: str = "program_source",
    check: bool = False,
) -> Library:
    """Compiles Metal source. The same source with the same options is compiled once per process.

    Args:
        source: Metal Shading Language.
        device: "metal", "cpu", ...; "metal:1" is the second of its kind. If it is missing,
            METALWRIGHT_DEVICE, else the first of `devices()`: the Apple GPU where there is one, the
            CPU everywhere else. The kernel's arguments have to fit the device.
        math_mode: "safe" (IEEE), "relaxed" or "fast".
        math_functions: "precise" or "fast": which variant ``exp`` and its like are. If it is
            missing, precise for "safe" and fast otherwise.
        language_version: "2.4" to "4.0". If it is missing 3.2, or the newest that the device's
            system compiles if that is older (3.1 on macOS 14).
        macros: Preprocessor macros; True is 1, None is defined as nothing.
        constants: Values of function constants by index or name, for every kernel.
        include_paths: Folders searched by ``#include``. ``<c10/metal/...>`` is found in the
            installed torch without being named here.
        file_name: The name in diagnostics.
        check: For the sanitiser (docs/sanitizer.md): the kernels are slow, watch every access,
            raise `CheckError` and have ``findings``. The device is cpu.

    Raises:
        CompileError: with ``diagnostics``; it is a ``SyntaxError`` as well.
        Error: ``no-such-device``, ``bad-option``, ``check-needs-cpu``.
    """
    return _compile(
        source,
        device=device,
        math_mode=math_mode,
        math_functions=math_functions,
        language_version=language_version,
        macros=macros,
        include_paths=include_paths,
        file_name=file_name,
        constants=constants,
        check=check,
        kernel_type=Kernel,
    )


def compile_shader(source: str) -> Library:
    """What ``torch.mps.compile_shader`` gives, on every device: its kernels are called as torch's
    are.

    Compiled as torch does: safe math and precise functions. The kernels' keywords are ``threads``,
    ``group_size``, ``arg_casts`` and ``error_buf_idx``; positions are buffer indices, an int
    becomes int64 and a float float32. Dispatches are finished when the call returns.

    Raises:
        CompileError: a ``SyntaxError``, as torch raises.
    """
    return _compile(
        source,
        device=None,
        math_mode="safe",
        math_functions="precise",
        language_version=None,
        macros=None,
        include_paths=(),
        file_name="program_source",
        constants=None,
        check=False,
        kernel_type=TorchKernel,
    )


def clear_cache() -> None:
    """Forgets all compiled libraries."""
    _cache.clear()


def cache_info() -> CacheInfo:
    """Hits, misses, size and limit of the cache of compiled libraries."""
    return _cache.info()
