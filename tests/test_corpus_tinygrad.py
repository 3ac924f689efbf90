"""Every kernel that tinygrad renders for Metal compiles, runs and gives what tinygrad computes."""

import importlib.util
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

from corpora.running import TESTS, render

runtime = pytest.importorskip("metalwright.runtime", reason="needs the compiled extension")
if importlib.util.find_spec("tinygrad") is None:
    pytest.skip("the corpus is rendered by tinygrad, which is missing", allow_module_level=True)

pytestmark = [pytest.mark.native, pytest.mark.slow]

RTOL = {"float16": 2e-3, "bfloat16": 2e-2, "float32": 2e-5}


def case_names():
    """The names of the cases, from a process of its own: tinygrad reads the environment."""
    program = "from corpora.tinygrad_kernels import CASES; print(*CASES)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.split()


@pytest.fixture(scope="session")
def rendered(tmp_path_factory):
    output = tmp_path_factory.mktemp("tinygrad") / "kernels.pickle"
    return pickle.loads(render("corpora.render_tinygrad", output).read_bytes())


def test_the_corpus_is_as_large_as_promised(rendered):
    assert len({kernel["source"] for kernel in rendered}) >= 80
    assert sum("simdgroup_multiply_accumulate" in kernel["source"] for kernel in rendered) >= 5
    assert sum("threadgroup_barrier" in kernel["source"] for kernel in rendered) >= 5


@pytest.mark.parametrize("case", case_names())
def test_the_kernels_of_a_case_compute_what_tinygrad_does(case, rendered):
    kernels = [kernel for kernel in rendered if kernel["name"].rpartition("_")[0] == case]
    for kernel in kernels:
        library = runtime.compile(kernel["source"], file_name=kernel["name"])
        buffers = [
            np.frombuffer(bytearray(content), storage(dtype))
            for content, dtype in zip(kernel["buffers"], kernel["dtypes"], strict=True)
        ]
        library.kernel(kernel["function"])(
            *buffers,
            *kernel["scalars"],
            threadgroups=kernel["threadgroups"],
            group_size=kernel["group_size"],
            # NumPy has no bfloat16: such a buffer is bound as 16-bit integers.
            check="bfloat16" not in kernel["dtypes"],
        )
        for index, expected in kernel["expected"].items():
            dtype = kernel["dtypes"][index]
            np.testing.assert_allclose(
                decode(buffers[index].tobytes(), dtype),
                decode(expected, dtype),
                rtol=RTOL.get(dtype, 0),
                atol=RTOL.get(dtype, 0),
                equal_nan=True,
                err_msg=f"{kernel['name']}: buffer {index}",
            )


def storage(dtype):
    return np.dtype(np.uint16 if dtype == "bfloat16" else dtype)


def decode(content, dtype):
    """Bytes as numbers; bfloat16 widens to float32, which is exact."""
    if dtype == "bfloat16":
        return (np.frombuffer(content, np.uint16).astype(np.uint32) << 16).view(np.float32)
    return np.frombuffer(content, np.dtype(dtype))
