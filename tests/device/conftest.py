"""One suite for every device: cpu, and metal, which is a Mac's or the stand-in's.

The device is the default one while a test of this folder runs, so that the tests name none. The
stand-in for Apple's framework is used where METALWRIGHT_METAL_STANDIN names its folder (`make test`
does) and there is no real Metal device.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

DEVICES = ("cpu", "metal")


def standin() -> ModuleType | None:
    """The package that plays a Mac; None where it was not built."""
    folder = os.environ.get("METALWRIGHT_METAL_STANDIN")
    if not folder:
        return None
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return importlib.import_module("metalwright_standin")


def has_metal() -> bool:
    """Whether this machine has a Metal device of its own."""
    from metalwright.runtime import devices

    return any(info.kind == "metal" for info in devices())


@contextlib.contextmanager
def playing(kind: str, **settings: object) -> Iterator[None]:
    """The device `kind` is there and the default one."""
    before = os.environ.get("METALWRIGHT_DEVICE")
    with contextlib.ExitStack() as stack:
        if kind == "metal" and not has_metal():
            package = standin()
            if package is None:
                pytest.skip("no Metal device, and METALWRIGHT_METAL_STANDIN is not set")
            stack.enter_context(package.mac(**settings))
        os.environ["METALWRIGHT_DEVICE"] = kind
        try:
            yield
        finally:
            if before is None:
                del os.environ["METALWRIGHT_DEVICE"]
            else:
                os.environ["METALWRIGHT_DEVICE"] = before


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs every test of this folder once per device; a module's DEVICES can name fewer."""
    if "device" in metafunc.fixturenames:
        kinds = getattr(metafunc.module, "DEVICES", DEVICES)
        metafunc.parametrize("device", kinds, indirect=True, scope="module")


@pytest.fixture(scope="module", autouse=True)
def device(request: pytest.FixtureRequest) -> Iterator[str]:
    """The kind of the device that the tests of a module run on, one after the other."""
    with playing(request.param):
        yield request.param


@pytest.fixture(autouse=True)
def no_misuse(device: str) -> Iterator[None]:
    """Fails a test after which Metal's debug layer would have stopped the program."""
    yield
    package = sys.modules.get("metalwright_standin")
    if device == "metal" and package is not None:
        found = package.misuses()
        package.forget_misuse()
        assert found == []


@pytest.fixture(scope="module")
def mac(device: str) -> ModuleType:
    """The stand-in, for tests that need to set what a real Mac is not asked for."""
    if device != "metal":
        pytest.skip("for metal only")
    package = sys.modules.get("metalwright_standin")
    if package is None:
        pytest.skip("a real Metal device has no faults to inject")
    return package
