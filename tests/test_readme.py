"""The README's example runs as printed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("metalwright.runtime")
pytest.importorskip("torch")

pytestmark = [pytest.mark.native, pytest.mark.torch]

ROOT = Path(__file__).resolve().parent.parent


def test_the_example_runs_as_printed(tmp_path):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    script = tmp_path / "example.py"
    script.write_text(example, encoding="utf-8")
    result = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "tensor([0.0000, 2.5000, 5.0000, 7.5000]) cpu True"


def test_what_the_map_names_exists():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for path in re.findall(r"\]\(([^)#]+)\)", text):
        assert (ROOT / path).exists(), path
