"""The stand-in for Apple's Metal framework itself: what it catches, fails and times.

The scenarios are small Objective-C++ programs against the Metal API, each in a process of its own;
the rest goes through the Python package that other tests use.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent / "metal_standin"
FOLDER = os.environ.get("METALWRIGHT_METAL_STANDIN")
PROGRAM = Path(FOLDER or "") / "metal_standin_scenarios"
REASON = (
    "METALWRIGHT_METAL_STANDIN does not name a folder with the stand-in (make test builds it; "
    "needs gobjc++ and libgnustep-base-dev)"
)

pytestmark = [
    pytest.mark.native,
    pytest.mark.skipif(not FOLDER, reason=REASON),
]


def scenarios() -> list[str]:
    """Names of the scenarios, as their sources register them."""
    text = "".join(path.read_text() for path in sorted((HERE / "scenarios").glob("*.mm")))
    return re.findall(r"^SCENARIO\((\w+)\)", text, re.M)


def test_the_program_has_the_scenarios_of_its_sources() -> None:
    listed = subprocess.run(
        [PROGRAM], capture_output=True, text=True, timeout=60, check=True
    ).stdout.split()
    assert sorted(listed) == sorted(scenarios())
    assert len(listed) > 60


@pytest.mark.parametrize("name", scenarios())
def test_scenario(name: str, tmp_path: Path) -> None:
    environment = {**os.environ, "SCENARIO_FOLDER": str(tmp_path)}
    done = subprocess.run(
        [PROGRAM, name], capture_output=True, text=True, timeout=60, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert "autorelease called without pool" not in done.stderr


def test_a_scenario_can_fail() -> None:
    done = subprocess.run([PROGRAM, "nonesuch"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    # Without its folder the scenario cannot do what it checks.
    environment = {key: value for key, value in os.environ.items() if key != "SCENARIO_FOLDER"}
    done = subprocess.run(
        [PROGRAM, "captures"], capture_output=True, text=True, timeout=60, env=environment
    )
    assert done.returncode == 1
    assert "not so: folder != nullptr" in done.stderr


def test_every_misuse_that_a_dispatch_can_meet_has_a_scenario() -> None:
    """Each code that the encoder, the command buffer or torch's stream stops for is provoked."""
    sources = [
        *(HERE / "implementation" / name for name in ("command_buffer.mm", "encoder_checks.mm")),
        HERE / "implementation" / "compute_encoder.mm",
        HERE / "implementation" / "buffer.mm",
        HERE / "torch" / "torch_stream.mm",
    ]
    codes = {
        code
        for source in sources
        for code in re.findall(r'\b(?:stop|note)\(\s*"([\w-]+)"', source.read_text())
    }
    assert len(codes) > 25
    provoked = "".join(path.read_text() for path in (HERE / "scenarios").glob("*.mm"))
    missing = {code for code in codes if f'"{code}"' not in provoked}
    assert missing == set()


# ---------------------------------------------------------------------- the Python package

SOURCE = """
#include <metal_stdlib>
using namespace metal;
kernel void add(device float* out, device const float* a, device const float* b,
                uint i [[thread_position_in_grid]]) { out[i] = a[i] + b[i]; }
"""


@pytest.fixture
def standin() -> Any:
    assert FOLDER is not None
    if FOLDER not in sys.path:
        sys.path.insert(0, FOLDER)
    import metalwright_standin

    return metalwright_standin


def test_a_mac_has_a_metal_device_for_as_long_as_it_is_played(standin: Any) -> None:
    import metalwright

    with standin.mac(device_name="Played"):
        names = {device.kind: device.name for device in metalwright.devices()}
        assert names["metal"] == "Played"
    assert "metal" not in {device.kind for device in metalwright.devices()}


def test_a_mac_may_have_no_device(standin: Any) -> None:
    import metalwright

    with standin.mac(device_count=0):
        assert "metal" not in {device.kind for device in metalwright.devices()}
    with standin.mac(has_default_device=False):
        assert "metal" in {device.kind for device in metalwright.devices()}


def test_misuse_fails_the_test_that_caused_it(standin: Any) -> None:
    from metalwright_standin import mps

    def misuse() -> None:
        refused = pytest.raises(RuntimeError, match="torch's dispatch queue")
        with standin.mac(), mps.pretend_torch(2, 15), refused:
            mps.commit_off_queue()

    with pytest.raises(standin.MisuseError, match="torch-off-queue"):
        misuse()
    with standin.mac():  # is forgotten by the next
        assert standin.misuses() == []


def test_unknown_settings_and_faults_are_refused(standin: Any) -> None:
    with standin.mac():
        with pytest.raises(TypeError, match="no setting 'colour'"):
            standin.configure(colour="blue")
        with pytest.raises(ValueError, match="no such fault"):
            standin.inject("bad-luck")


@pytest.mark.torch
def test_the_metal_device_computes_on_mps_tensors(standin: Any) -> None:
    import torch
    from metalwright_standin import mps

    import metalwright

    with standin.mac():
        kernel = metalwright.compile(SOURCE, device="metal").kernel("add")
        a, b = torch.randn(100), torch.randn(100)
        out = mps.empty(100)
        kernel(out, mps.from_cpu(a), mps.from_cpu(b), threads=100, group_size=32)
        assert torch.equal(out.cpu(), a + b)


@pytest.mark.torch
def test_mps_tensors_look_like_torchs(standin: Any) -> None:
    import torch
    from metalwright_standin import mps

    with standin.mac():
        values = torch.arange(24.0).reshape(4, 6)
        tensor = mps.from_cpu(values)
        assert isinstance(tensor, torch.Tensor)
        assert tensor.device == torch.device("mps:0")
        assert (tensor.is_mps, tensor.is_cpu, tensor.is_meta) == (True, False, False)
        assert tensor.dtype == torch.float32
        assert tensor.element_size() == 4
        assert tensor.numel() == 24
        assert tensor.nbytes == 96
        assert not tensor.is_conj()
        assert not tensor.is_neg()
        assert tensor.data_ptr() == tensor.untyped_storage().data_ptr() != 0
        assert tensor.untyped_storage().nbytes() == 96
        assert tensor.retain_count == 1

        view = tensor[1:3, 2:]
        assert view.storage_offset() == 8
        assert view.stride() == (6, 1)
        assert not view.is_contiguous()
        assert view.data_ptr() == tensor.data_ptr() + 32
        assert torch.equal(view.cpu(), values[1:3, 2:])
        assert torch.equal(tensor.t().cpu(), values.t())
        assert torch.equal(tensor.view(24)[5:].cpu(), values.view(24)[5:])
        assert mps.empty(0).untyped_storage().data_ptr() == 0


@pytest.mark.torch
@pytest.mark.parametrize(
    "operation",
    [lambda t: t + 1, lambda t: t.add_(1), lambda t: t.clone(), lambda t: t.fill_(0)],
    ids=["add", "add_", "clone", "fill_"],
)
def test_mps_tensors_compute_nothing_by_themselves(standin: Any, operation: Any) -> None:
    import torch
    from metalwright_standin import mps

    with standin.mac():
        tensor = mps.from_cpu(torch.ones(4))
        with pytest.raises(NotImplementedError, match="the stand-in for mps tensors has no"):
            operation(tensor)
        assert torch.equal(tensor.cpu(), torch.ones(4))


@pytest.mark.torch
def test_torchs_stream_runs_when_it_is_waited_for(standin: Any) -> None:
    import torch
    from metalwright_standin import mps

    with standin.mac(slow_seconds=0.05, slow_queue="torch"), mps.pretend_torch(2, 13):
        tensor = mps.from_cpu(torch.ones(8))
        mps.multiply_add_(tensor, 3.0, 1.0)
        assert torch.equal(tensor.peek(), torch.ones(8))
        begin = time.monotonic()
        assert torch.equal(tensor.cpu(), torch.full((8,), 4.0))
        assert time.monotonic() - begin >= 0.05


@pytest.mark.torch
def test_nothing_is_left_alive(standin: Any) -> None:
    import torch
    from metalwright_standin import mps

    import metalwright

    def once() -> None:
        with standin.mac(), mps.pretend_torch(2, 13):
            kernel = metalwright.compile(SOURCE, device="metal").kernel("add")
            a = mps.from_cpu(torch.ones(10))
            mps.multiply_add_(a, 2.0, 0.0)
            kernel(mps.empty(10), a, a, threads=10, group_size=10)

    once()
    before = settled(standin)
    for _ in range(3):
        once()
    assert settled(standin) == before


def settled(standin: Any) -> dict[str, int]:
    """Objects alive once the GPU threads have let go of the last command buffers."""
    live: dict[str, int] = {}
    for _ in range(100):
        now = standin.live_objects()
        if now == live and "StandinCommandBuffer" not in live:
            break
        live = now
        time.sleep(0.02)
    return live


@pytest.mark.torch
def test_a_command_buffer_that_never_completes_can_be_ended(standin: Any) -> None:
    import torch
    from metalwright_standin import mps

    with standin.mac(), mps.pretend_torch(2, 13):
        standin.inject("never-completes", queue="torch")
        tensor = mps.from_cpu(torch.ones(4))
        mps.multiply_add_(tensor, 2.0, 0.0)
        waiting = threading.Thread(target=mps.synchronize, daemon=True)
        waiting.start()
        assert standin.wait_until_stuck(30)
        assert waiting.is_alive()
        standin.clear_faults()
        waiting.join(10)
        assert not waiting.is_alive()
        assert torch.equal(tensor.peek(), torch.ones(4))  # it failed
