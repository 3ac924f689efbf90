"""Libraries, wrong options, the cache. What holds on every device is in tests/device."""

import os
import threading

import pytest

metalwright = pytest.importorskip("metalwright.runtime")
np = pytest.importorskip("numpy")

pytestmark = pytest.mark.native

HEADER = "#include <metal_stdlib>\nusing namespace metal;\n"
TWO = (
    HEADER
    + """
kernel void first(device float* x, uint i [[thread_position_in_grid]]) { x[i] = 1; }
kernel void second(device float* x, uint i [[thread_position_in_grid]]) { x[i] = 2; }
"""
)


def value_of(kernel, **keywords) -> float:
    """What a kernel `void k(device float* out)` writes."""
    out = np.zeros(1, dtype=np.float32)
    kernel(out, threads=1, **keywords)
    return float(out[0])


# ------------------------------------------------------------------------------ libraries


def test_kernels_are_attributes():
    library = metalwright.compile(TWO)
    assert library.kernel_names == ("first", "second")
    assert {"first", "second"} <= set(dir(library))
    assert value_of(library.first) == 1
    assert value_of(library.kernel("second")) == 2
    assert library.first is library.first
    assert "2 kernels: first, second" in repr(library)
    assert library.device == "cpu"
    assert library.source == TWO


def test_a_missing_kernel_names_its_neighbours():
    library = metalwright.compile(TWO)
    with pytest.raises(AttributeError, match="Did you mean second") as caught:
        _ = library.secnd
    assert caught.value.code == "no-such-kernel"
    assert not hasattr(library, "third")
    with pytest.raises(metalwright.Error, match="Its kernels: first, second"):
        library.kernel("zzz")


def test_a_kernel_shows_its_code_and_how_it_runs():
    kernel = metalwright.compile(TWO).first
    assert "define" in kernel.code("llvm")
    assert "air.kernel" in kernel.code("air")
    assert kernel.code("asm").strip()
    assert kernel.explain().strip()
    with pytest.raises(metalwright.Error):
        kernel.code("poetry")


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"math_mode": "wild"}, "bad-option"),
        ({"math_functions": "wild"}, "bad-option"),
        ({"language_version": "three"}, "bad-option"),
        ({"device": "abacus"}, "no-such-device"),
    ],
)
def test_wrong_options_are_refused(options, code):
    with pytest.raises(metalwright.Error) as caught:
        metalwright.compile(TWO, **options)
    assert caught.value.code == code


# ------------------------------------------------------------------------------ options


# ------------------------------------------------------------------------------ the cache


@pytest.fixture
def empty_cache():
    metalwright.clear_cache()
    yield
    metalwright.clear_cache()


def misses(call) -> int:
    """How many libraries `call` compiles."""
    before = metalwright.cache_info().misses
    call()
    return metalwright.cache_info().misses - before


@pytest.mark.usefixtures("empty_cache")
def test_the_same_source_is_compiled_once():
    assert misses(lambda: metalwright.compile(TWO)) == 1
    assert misses(lambda: metalwright.compile(TWO)) == 0
    assert metalwright.compile(TWO).first is metalwright.compile(TWO).first


@pytest.mark.usefixtures("empty_cache")
@pytest.mark.parametrize(
    "options",
    [
        {"math_mode": "fast"},
        {"math_functions": "fast"},
        {"language_version": "3.1"},
        {"macros": {"A": 1}},
        {"file_name": "other"},
    ],
)
def test_every_option_belongs_to_the_key(options):
    metalwright.compile(TWO)
    assert misses(lambda: metalwright.compile(TWO, **options)) == 1


@pytest.mark.usefixtures("empty_cache")
def test_a_changed_header_is_compiled_again(tmp_path):
    (tmp_path / "outer.h").write_text('#include "inner.h"\n')
    inner = tmp_path / "inner.h"
    inner.write_text("constant float value = 1;\n")
    source = '#include "outer.h"\nkernel void k(device float* x) { x[0] = value; }'

    def compiled():
        return metalwright.compile(source, include_paths=[tmp_path]).k

    assert value_of(compiled()) == 1
    assert misses(compiled) == 0
    inner.write_text("constant float value = 2;\n")
    os.utime(inner, ns=(1, 1))
    assert value_of(compiled()) == 2


@pytest.mark.usefixtures("empty_cache")
def test_a_source_that_computes_its_includes_is_not_cached(tmp_path):
    (tmp_path / "a.h").write_text("constant float value = 1;\n")
    source = '#define F "a.h"\n#include F\nkernel void k(device float* x) { x[0] = value; }'
    for _ in range(2):
        assert value_of(metalwright.compile(source, include_paths=[tmp_path]).k) == 1
    assert metalwright.cache_info().size == 0


@pytest.mark.usefixtures("empty_cache")
def test_threads_share_one_compilation():
    results, ready = [], threading.Barrier(4)

    def work():
        ready.wait()
        results.append(metalwright.compile(TWO).first)

    threads = [threading.Thread(target=work) for _ in range(4)]

    def run():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert misses(run) == 1
    assert len(set(map(id, results))) == 1


def test_the_cache_is_bounded_and_a_failure_is_tried_again():
    from metalwright.runtime.cache import Cache

    cache = Cache(2)
    for key in "abc":
        cache.get(key, lambda: object())
    assert cache.info().size == 2
    with pytest.raises(ZeroDivisionError):
        cache.get("x", lambda: 1 / 0)
    assert cache.get("x", lambda: 5) == 5
