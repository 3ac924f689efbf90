"""Memory that host and device share: its views, how long it lives, who may bind it."""

import copy
import gc
import pickle

import pytest

metalwright = pytest.importorskip("metalwright.runtime")
np = pytest.importorskip("numpy")

pytestmark = pytest.mark.native

ADD_ONE = "kernel void k(device float* x, uint i [[thread_position_in_grid]]) { x[i] += 1; }"


def empty(*args, **keywords):
    return metalwright.empty(*args, device="cpu", **keywords)


def refused(code: str, call) -> str:
    with pytest.raises(metalwright.Error) as caught:
        call()
    assert caught.value.code == code
    return str(caught.value)


def resident_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


# ------------------------------------------------------------------------------ what it is


def test_it_has_exactly_the_length_of_its_elements():
    buffer = empty((3, 5), dtype="float16")
    assert (buffer.shape, buffer.dtype, buffer.nbytes) == ((3, 5), "float16", 30)
    assert (buffer.device, len(buffer)) == ("cpu", 3)
    assert buffer.address % 64 == 0
    assert repr(buffer) == "<metalwright.Buffer float16[3, 5] on cpu>"
    assert empty(7).shape == (7,)
    assert empty(()).nbytes == 4
    with pytest.raises(TypeError):
        len(empty(()))


def test_dtypes_are_named_as_text_and_by_numpy_and_torch():
    torch = pytest.importorskip("torch")
    assert empty(2, dtype=np.int64).dtype == "int64"
    assert empty(2, dtype=np.dtype("uint8")).dtype == "uint8"
    assert empty(2, dtype=torch.bfloat16).dtype == "bfloat16"
    assert empty(2, dtype=bool).dtype == "bool"
    refused("bad-option", lambda: empty(2, dtype="float31"))
    refused("bad-option", lambda: empty(2, dtype=torch.float8_e4m3fn))
    refused("bad-option", lambda: empty(2, dtype=np.dtype([("a", "i4")])))


def test_what_cannot_be_allocated_is_refused():
    for shape in ((2, 0), -1, (1 << 62, 4)):
        assert "dimension" in refused("bad-shape", lambda shape=shape: empty(shape))
    refused("bad-shape", lambda: empty("many"))
    refused("out-of-memory", lambda: empty(1 << 60, dtype="uint8"))
    refused("no-such-device", lambda: metalwright.empty(1, device="abacus"))


# ------------------------------------------------------------------------------ views


@pytest.mark.parametrize(
    "dtype",
    [
        *("float16", "float32", "float64", "bool", "complex64", "complex128"),
        *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    ],
)
def test_numpy_and_torch_see_the_same_memory(dtype):
    pytest.importorskip("torch")
    buffer = metalwright.zeros((2, 3), dtype=dtype, device="cpu")
    array, tensor = buffer.numpy(), buffer.torch()
    assert (array.dtype.name, str(tensor.dtype)) == (dtype, f"torch.{dtype}")
    assert array.shape == tuple(tensor.shape) == (2, 3)
    assert array.ctypes.data == tensor.data_ptr() == buffer.address
    array[1, 2] = 1
    assert tensor[1, 2] == 1
    assert not array[0].any()


def test_bfloat16_is_torchs_alone():
    torch = pytest.importorskip("torch")
    buffer = metalwright.from_array(torch.tensor([1.5, -2.0], dtype=torch.bfloat16), device="cpu")
    assert buffer.torch().tolist() == [1.5, -2.0]
    with pytest.raises(BufferError, match="bfloat16"):
        buffer.numpy()
    with pytest.raises(BufferError):
        memoryview(buffer)
    kernel = metalwright.compile("kernel void k(device bfloat* x) { x[0] = x[1]; }", device="cpu").k
    kernel(buffer, threads=1)
    assert buffer.torch().tolist() == [-2.0, -2.0]


def test_arrays_and_tensors_are_copied_into_buffers():
    torch = pytest.importorskip("torch")
    strided = np.arange(12, dtype=np.int32).reshape(3, 4).T
    buffer = metalwright.from_array(strided, device="cpu")
    np.testing.assert_array_equal(buffer.numpy(), strided)
    tensor = torch.arange(6.0, requires_grad=True).reshape(2, 3).T
    assert torch.equal(metalwright.from_array(tensor, device="cpu").torch(), tensor)
    assert metalwright.from_array([1, 2], device="cpu").dtype == "int64"


def test_a_view_keeps_the_memory_alive():
    pytest.importorskip("torch")
    size = 32 << 20
    before = resident_bytes()
    for view_of in (lambda b: b.numpy(), lambda b: b.torch(), memoryview, np.from_dlpack):
        view = view_of(metalwright.zeros(size, dtype="uint8", device="cpu"))
        gc.collect()
        assert resident_bytes() - before > size // 2
        assert not np.asarray(view).any()
        del view
        gc.collect()
        assert resident_bytes() - before < size // 2


def test_dlpack_is_given_in_the_old_and_in_the_versioned_form():
    buffer = metalwright.from_array(np.arange(4.0), device="cpu")
    assert buffer.__dlpack_device__() == (1, 0)
    assert '"dltensor"' in repr(buffer.__dlpack__())
    assert '"dltensor"' in repr(buffer.__dlpack__(max_version=(0, 8)))
    assert '"dltensor_versioned"' in repr(buffer.__dlpack__(max_version=(1, 1)))
    with pytest.raises(BufferError, match="stream"):
        buffer.__dlpack__(stream=1)
    with pytest.raises(BufferError, match="dl_device"):
        buffer.__dlpack__(dl_device=(2, 0))


def test_dlpack_can_be_asked_for_a_copy():
    buffer = metalwright.from_array(np.arange(4.0), device="cpu")
    view = np.from_dlpack(buffer, copy=False)
    other = np.from_dlpack(buffer, copy=True)
    buffer.numpy()[:] = 7
    assert view.tolist() == [7.0] * 4
    assert other.tolist() == [0.0, 1.0, 2.0, 3.0]


def test_an_unused_dlpack_capsule_frees_what_it_holds():
    before = resident_bytes()
    for _ in range(50):
        metalwright.zeros(8 << 20, dtype="uint8", device="cpu").__dlpack__(max_version=(1, 0))
    assert resident_bytes() - before < 64 << 20


def test_it_refuses_to_be_pickled_or_copied_by_pickling():
    buffer = empty(4)
    for call in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be pickled"):
            call(buffer)


# ------------------------------------------------------------------------------ binding


def test_a_kernel_binds_it_without_a_copy():
    kernel = metalwright.compile(ADD_ONE, device="cpu").k
    buffer = metalwright.zeros((2, 4), device="cpu")
    kernel(buffer)  # as many threads as it has elements
    kernel(buffer.torch()[1], threads=4)
    kernel(buffer.numpy()[1:], threads=4)
    assert buffer.numpy().tolist() == [[1.0] * 4, [3.0] * 4]
    assert kernel.time(buffer, repeats=3, warmup=0).copied_bytes == 0


def test_its_dtype_and_length_are_checked():
    kernel = metalwright.compile(ADD_ONE, device="cpu").k
    message = refused("wrong-dtype", lambda: kernel(empty(4, dtype="int32")))
    assert "got int32" in message
    both = metalwright.compile(
        "struct S { float x[4]; }; kernel void k(device S& s) { s.x[0] = 1; }", device="cpu"
    ).k
    refused("buffer-too-short", lambda: both(empty(3), threads=1))
