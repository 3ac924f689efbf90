"""`metalwright selftest` on every device, with children that play the same machine."""

import json
import os
import subprocess
import sys
import textwrap

import pytest

metalwright = pytest.importorskip("metalwright.runtime")

pytestmark = [pytest.mark.native, pytest.mark.slow]

# Every process of the test plays the Mac; one that validates the wrong kernel hears of it.
START = """
import os, sys
import metalwright_standin as standin
if os.environ.get("METALWRIGHT_DEVICE") == "metal":
    standin.install()
    if os.environ.get("MTL_SHADER_VALIDATION") == "1":
        said = "python3 Metal GPU Validation Enabled\\n"
        if b"beyond" in open(sys.orig_argv[-2], "rb").read():
            said += 'Invalid device store at offset 32, executing kernel function: "beyond"\\n'
        sys.stderr.write(said)
        sys.stderr.flush()
"""


@pytest.fixture
def report(device, tmp_path):
    """The self-test's Markdown, JSON and exit code."""
    environment = dict(os.environ)
    if "metalwright_standin" in sys.modules and device == "metal":
        (tmp_path / "sitecustomize.py").write_text(textwrap.dedent(START))
        folders = (str(tmp_path), os.environ["METALWRIGHT_METAL_STANDIN"])
        environment["PYTHONPATH"] = os.pathsep.join(folders)
    out = tmp_path / "out.json"
    done = subprocess.run(
        [sys.executable, "-m", "metalwright", "selftest", "--device", device, "--json", str(out)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert out.exists(), done.stderr
    return done.stdout, json.loads(out.read_text()), done.returncode


def test_the_report_says_what_was_checked_and_what_was_not(device, report):
    markdown, results, status = report
    by_name = {result["name"]: result for result in results["results"]}
    # How fast this machine is, is not what is tested here.
    failed = [r for r in results["results"] if r["status"] == "failed" and r["name"] != "times"]
    assert failed == []
    assert status == (1 if results["has_failed"] else 0)
    for name in ("compile", "reflection", "dispatch", "zero copy", "torch tensors"):
        assert by_name[name]["status"] in ("passed", "skipped")
        assert f"| {name} | " in markdown
    assert by_name["times"]["figures"]["device_slope_seconds"] > 0
    assert results["conditions"]["kind"] == device
    assert "--xctrace" in by_name["GPU intervals"]["detail"]
    metal_only = ("device self-test", "counter samples", "pipeline archive", "capture")
    for name in (*metal_only, "shader validation"):
        expected = "passed" if device == "metal" else "skipped"
        assert by_name[name]["status"] == expected, by_name[name]


def test_a_check_that_fails_is_reported_and_keeps_no_other_back(device, monkeypatch):
    from metalwright.runtime import selftest

    def wrong(device):
        raise selftest.Failed("two and two are five", {"sum": 5})

    def broken(device):
        raise metalwright.Error("some-code", "some reason")

    def fine(device):
        return selftest.Outcome("four")

    checks = (("a", wrong), ("b", broken), ("c", fine))
    monkeypatch.setattr(selftest, "CHECKS", checks)
    test = selftest.self_test_device(device)
    assert test.has_failed
    assert [(r.name, r.status) for r in test.results[:3]] == [
        ("a", "failed"),
        ("b", "failed"),
        ("c", "passed"),
    ]
    assert test.results[0].figures == {"sum": 5}
    assert "some-code" in test.results[1].detail
