"""Metal kernels and torch's own work on the same GPU: isolated and in-stream."""

import contextlib

import pytest

metalwright = pytest.importorskip("metalwright.runtime")
torch = pytest.importorskip("torch")
np = pytest.importorskip("numpy")

pytestmark = [pytest.mark.native, pytest.mark.torch]
DEVICES = ("metal",)

SOURCE = """
kernel void add(device const float* x, device const float* y, device float* out,
                uint i [[thread_position_in_grid]]) { out[i] = x[i] + y[i]; }
kernel void scale(device float* x, constant float& f, uint i [[thread_position_in_grid]])
{ x[i] *= f; }
"""


@pytest.fixture
def torch_of(monkeypatch):
    """Makes the torch of this process one of that version with an mps device."""
    with contextlib.ExitStack() as stack:

        def enter(major: int, minor: int) -> None:
            if torch.backends.mps.is_available():
                if torch.__version__.split(".")[:2] != [str(major), str(minor)]:
                    pytest.skip(f"this torch is {torch.__version__}")
                return
            import metalwright_standin
            from metalwright_standin import mps

            metalwright_standin.install()  # a device that has not met torch yet
            stack.enter_context(mps.pretend_torch(major, minor))
            monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
            monkeypatch.setattr(torch, "__version__", f"{major}.{minor}.1")

        yield enter


def on_gpu(values):
    """An mps tensor."""
    from metalwright_standin import mps

    return mps.from_cpu(torch.as_tensor(values, dtype=torch.float32))


def queue_multiply_add(tensor, factor, summand):
    """Work of torch's own, queued and not waited for."""
    from metalwright_standin import mps

    mps.multiply_add_(tensor, factor, summand)


@pytest.fixture(autouse=True)
def _stand_in_only(mac):
    """These tests make torch do things that only the stand-in can be asked for."""


def test_an_isolated_dispatch_finds_torchs_work_done(torch_of):
    torch_of(2, 9)
    library = metalwright.compile(SOURCE)
    x, out = on_gpu([1.0, 2.0]), on_gpu([0.0, 0.0])
    queue_multiply_add(x, 10, 1)
    library.add(x, x, out)
    assert out.peek().tolist() == [22.0, 42.0]


@pytest.mark.parametrize("version", [(2, 9), (2, 12), (2, 15)])
def test_in_stream_keeps_the_order_of_the_program(torch_of, version):
    torch_of(*version)
    library = metalwright.compile(SOURCE)
    x = on_gpu([1.0, 2.0, 3.0])
    with metalwright.stream_order("in-stream"), metalwright.record() as recording:
        for _ in range(5):
            queue_multiply_add(x, 2, 1)
            library.scale(x, 3.0)
    assert (len(recording), recording.untimed) == (5, 5)
    expected = torch.tensor([1.0, 2.0, 3.0])
    for _ in range(5):
        expected = (expected * 2 + 1) * 3
    assert torch.equal(x.cpu(), expected)


def test_memory_of_the_device_goes_in_stream_and_other_host_memory_is_refused(torch_of):
    torch_of(2, 9)
    library = metalwright.compile(SOURCE)
    x, own = on_gpu([1.0, 2.0]), metalwright.zeros(2, device="metal")
    with metalwright.stream_order("in-stream"):
        library.add(x, x, own)
        with pytest.raises(metalwright.Error) as caught:
            library.add(x, x, np.zeros(2, np.float32))
    assert caught.value.code == "in-stream-host-memory"
    x.cpu()  # waits for torch's stream
    assert own.numpy().tolist() == [2.0, 4.0]


@pytest.mark.parametrize("version", [(2, 6), (2, 8)])
def test_in_stream_is_refused_where_torch_leaves_its_encoder_open(torch_of, version):
    torch_of(*version)
    library = metalwright.compile(SOURCE)
    x = on_gpu([1.0])
    test = metalwright.in_stream("metal")
    assert not test.usable
    assert "2.9" in test.reason
    with (
        metalwright.stream_order("in-stream"),
        pytest.raises(metalwright.Error, match=r"2\.9") as caught,
    ):
        library.scale(x, 2.0)
    assert caught.value.code == "no-torch-stream"
    library.scale(x, 2.0)  # isolated works
    assert x.cpu().item() == 2.0


def test_in_stream_without_torch_on_the_gpu_is_refused():
    with metalwright.stream_order("in-stream"), pytest.raises(metalwright.Error) as caught:
        metalwright.compile(SOURCE).scale(metalwright.zeros(2, device="metal"), 2.0)
    assert caught.value.code == "no-torch-stream"


def test_timing_is_isolated_whatever_the_order(torch_of):
    torch_of(2, 9)
    kernel = metalwright.compile(SOURCE).scale
    x = on_gpu([1.0])
    with metalwright.stream_order("in-stream"):
        assert kernel.time(x, 1.0, repeats=3, warmup=0).median > 0
        result = metalwright.benchmark(lambda: kernel(x, 1.0), warmup=0, repeats=2)
    assert result.dispatches >= 1
    assert result.median is None  # no time in the stream, and none is made up
    assert "no device time" in str(result)
    x.cpu()


def test_errors_that_a_kernel_reports_need_an_end_to_be_read_at(torch_of):
    torch_of(2, 9)
    library = metalwright.compile_shader(
        "#include <c10/metal/error.h>\n"
        "kernel void k(device float* x, device c10::metal::ErrorMessages* e) { x[0] = 1; }"
    )
    with metalwright.stream_order("in-stream"), pytest.raises(metalwright.Error) as caught:
        library.k(on_gpu([1.0]), error_buf_idx=1, threads=1)
    assert caught.value.code == "in-stream-error-report"


def test_an_mps_tensor_does_not_go_to_the_cpu_device():
    kernel = metalwright.compile(SOURCE, device="cpu").scale
    with pytest.raises(metalwright.Error, match='compile with device="metal"') as caught:
        kernel(on_gpu([1.0]), 2.0)
    assert caught.value.code == "wrong-device"


@pytest.mark.parametrize("options", [{"private": True}, {"round_to": 4096}])
def test_private_and_longer_buffers_of_torchs_are_bound(options):
    from metalwright_standin import mps

    x = mps.from_cpu(torch.ones(5), **options) if "round_to" in options else None
    if x is None:
        x = mps.empty(5, **options)
        x.poke(torch.ones(5))
    metalwright.compile(SOURCE).scale(x, 3.0)
    assert x.cpu().tolist() == [3.0] * 5


def test_a_buffer_of_another_device_is_refused(mac):
    from metalwright_standin import mps

    mac.configure(device_count=2)
    try:
        mac.install()
        kernel = metalwright.compile(SOURCE).scale
        other = mps.empty(4, device=1)
        with pytest.raises(metalwright.Error) as caught:
            kernel(other, 2.0)
        assert caught.value.code == "foreign-memory"
    finally:
        mac.configure(device_count=1)
        mac.install()


def test_tensors_without_memory_are_refused():
    kernel = metalwright.compile(SOURCE).scale
    with pytest.raises(metalwright.Error) as caught:
        kernel(on_gpu([]), 2.0, threads=1)
    assert caught.value.code == "empty-tensor"
    with pytest.raises(metalwright.Error) as caught:
        kernel(torch.zeros(4, device="meta"), 2.0)
    assert caught.value.code == "wrong-device"
