"""Validation in a fresh process: what goes in, what comes out. The layers' text is made up here."""

import os
import textwrap

import pytest

metalwright = pytest.importorskip("metalwright.runtime")
np = pytest.importorskip("numpy")

pytestmark = pytest.mark.native
DEVICES = ("metal",)

SOURCE = """
constant float bias [[function_constant(0)]];
kernel void k(device const float* x, device const half* h, device float* out, constant float2& f,
              uint i [[thread_position_in_grid]]) { out[i] = x[i] + h[i] + f.x + f.y + bias; }
kernel void first(device const float* x) { }
"""

# Runs at the start of the fresh process: a Mac with validation layers.
START = """
import os, sys
import metalwright_standin as standin
assert os.environ["MTL_DEBUG_LAYER"] == os.environ["MTL_SHADER_VALIDATION"] == "1"
assert os.environ["MTL_SHADER_VALIDATION_REPORT_TO_STDERR"] == "1"
standin.install()
said = os.environ.get("SAID_BY_THE_LAYERS", "")
sys.stderr.write(said)
sys.stderr.flush()
if os.environ.get("ENDED_BY_THE_LAYERS"):
    os.abort()
"""
BANNER = "2026-01-01 10:00:00.000 python3[1:2] Metal GPU Validation Enabled\n"


@pytest.fixture(autouse=True)
def layers(mac, tmp_path, monkeypatch):
    """Chooses what the layers say in the fresh process."""
    (tmp_path / "sitecustomize.py").write_text(textwrap.dedent(START))
    folders = [str(tmp_path), os.environ["METALWRIGHT_METAL_STANDIN"]]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(folders))

    def say(text: str, end: bool = False) -> None:
        monkeypatch.setenv("SAID_BY_THE_LAYERS", text)
        if end:
            monkeypatch.setenv("ENDED_BY_THE_LAYERS", "1")

    say(BANNER)
    return say


def arguments():
    torch = pytest.importorskip("torch")
    base = torch.arange(16.0).half()
    return np.arange(8, dtype=np.float32)[::2], base[4:8], np.zeros(4, np.float32), (0.5, 1)


def test_a_clean_run_is_clean():
    report = metalwright.validate(SOURCE, "k", *arguments(), constants={0: 1.0}, threads=4)
    assert report.is_clean
    assert (report.kernel, report.findings, report.error) == ("k", (), None)


def test_a_finding_is_reported_with_kernel_offset_and_access(layers):
    layers(
        BANNER + 'Invalid device store at offset 16, executing kernel function: "k"\n'
        "buffer: out, length:16, resident:Read Write\n"
    )
    report = metalwright.validate(SOURCE, "k", *arguments(), constants={0: 1.0})
    assert not report.is_clean
    (finding,) = report.findings
    assert (finding.access, finding.kernel, finding.offset, finding.length) == (
        "store",
        "k",
        16,
        16,
    )


def test_what_the_call_itself_does_wrong_is_in_the_report():
    report = metalwright.validate(SOURCE, "k", *arguments(), threads=4)
    assert report.error is not None
    assert report.error.startswith("missing-function-constant: ")
    report = metalwright.validate("nonsense", "k")
    assert report.error is not None
    assert report.error.startswith("compile-error: ")


def test_a_process_that_the_debug_layer_ends_is_told_from_one_that_ran(layers):
    layers(BANNER + "validate:77: failed assertion `offset is wrong'\n", end=True)
    report = metalwright.validate(SOURCE, "first", np.zeros(1, np.float32))
    assert [finding.kind for finding in report.findings] == ["assertion"]
    assert report.error == "process-ended: the process was ended by SIGABRT"


def test_silence_without_the_banner_is_not_taken_for_health(layers):
    layers("")
    with pytest.raises(metalwright.Error, match="nothing was validated") as caught:
        metalwright.validate(SOURCE, "first", np.zeros(1, np.float32))
    assert caught.value.code == "validation-unavailable"
