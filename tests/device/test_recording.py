"""Watching dispatches, replacing them by nothing, threads, on every device."""

import threading

import pytest

metalwright = pytest.importorskip("metalwright.runtime")
torch = pytest.importorskip("torch")

pytestmark = [pytest.mark.native, pytest.mark.torch]

HEADER = "#include <metal_stdlib>\nusing namespace metal;\n"
COPY = (
    HEADER
    + "kernel void copy(device const float* x, device float* y, uint i [[thread_position_in_grid]])"
    + "{ y[i] = x[i]; }"
)


def test_kernels_run_from_several_threads_at_once():
    kernel = metalwright.compile(COPY).copy
    inputs = [torch.randn(10_000) for _ in range(4)]
    outputs = [torch.zeros(10_000) for _ in range(4)]

    def work(index):
        for _ in range(50):
            kernel(inputs[index], outputs[index])

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for x, y in zip(inputs, outputs, strict=True):
        assert torch.equal(x, y)


def test_every_dispatch_is_recorded_with_its_device_seconds():
    kernel = metalwright.compile(COPY).copy
    x, y = torch.randn(1000), torch.zeros(1000)
    with metalwright.record() as outer:
        kernel(x, y)
        with metalwright.record() as inner:
            kernel(x, y)
    kernel(x, y)
    assert (len(outer), len(inner)) == (2, 1)
    assert outer[0].kernel is kernel
    assert all(entry.seconds > 0 for entry in outer)
    assert outer.seconds == pytest.approx(sum(entry.seconds for entry in outer))


def test_a_recorded_dispatch_says_how_it_was_launched():
    kernel = metalwright.compile(
        HEADER
        + "kernel void f(device float* y, threadgroup float* t [[threadgroup(0)]],"
        + " uint2 i [[thread_position_in_grid]], uint2 n [[threads_per_grid]])"
        + "{ threadgroup float own[64]; own[i.x % 64] = 1; t[0] = own[i.x % 64];"
        + " y[i.y * n.x + i.x] = t[0]; }"
    ).f
    y = torch.zeros(5 * 70)
    with metalwright.record() as recording:
        kernel(y, threads=(70, 5), group_size=(32, 2), threadgroup_memory={0: 16})
        kernel(y, threadgroups=(2, 1), group_size=(32, 2), threadgroup_memory={0: 32})
    launches = [(entry.grid, entry.group_size, entry.threadgroups) for entry in recording]
    assert launches == [((70, 5, 1), (32, 2, 1), 9), ((64, 2, 1), (32, 2, 1), 2)]
    first, second = (entry.threadgroup_memory for entry in recording)
    assert first == recording[0].kernel.static_threadgroup_memory + 16
    assert second == first + 16


def test_skipped_kernels_are_checked_and_recorded_but_do_not_run():
    kernel = metalwright.compile(COPY).copy
    x, y = torch.ones(8), torch.zeros(8)
    with metalwright.skip_kernels(), metalwright.record() as recording:
        kernel(x, y)
        with pytest.raises(metalwright.Error):
            kernel(x, y.double())
    assert not y.any()
    assert [entry.seconds for entry in recording] == [0.0]
    kernel(x, y)
    assert y.all()


def test_a_function_is_benchmarked_on_the_device_clock_and_on_the_wall():
    kernel = metalwright.compile(COPY).copy
    x, y = torch.randn(1 << 16), torch.zeros(1 << 16)

    def twice():
        kernel(x, y)
        kernel(y, x)

    result = metalwright.benchmark(twice, warmup=0.01, repeats=5)
    assert result.dispatches == 2
    assert 0 < result.median <= result.wall_median
    nothing = metalwright.benchmark(lambda: None, warmup=0.001, repeats=3)
    assert nothing.median is None
    assert nothing.dispatches == 0
