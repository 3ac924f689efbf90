"""The Model Context Protocol server, driven by the official SDK's client over standard input."""

import asyncio
import sys

import pytest
from mcp import ClientSession, StdioServerParameters, stdio_client

from metalwright.runs import RunStore
from metalwright.runs.journal import Journal

pytestmark = pytest.mark.native

PROBLEM = """
import torch
from torch import nn

N = 512


class Model(nn.Module):
    def forward(self, x):
        return torch.relu(x) * 2 + 1


def get_inputs():
    return [torch.randn(N, N)]
"""

KERNEL = """
#include <metal_stdlib>
using namespace metal;
kernel void work(device float* out, device const float* x, uint i [[thread_position_in_grid]]) {
  out[i] = max(x[i], 0.0f) * 2.0f + 1.0f;
}
"""

CANDIDATE = f'''
import metalwright
import torch
from torch import nn

SOURCE = """{KERNEL}"""


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.library = metalwright.compile(SOURCE)

    def forward(self, x):
        out = torch.empty_like(x)
        self.library.work(out, x, threads=x.numel())
        return out
'''


def test_a_client_compiles_evaluates_and_submits_a_kernel(tmp_path):
    (tmp_path / "shifted.py").write_text(PROBLEM)
    server = StdioServerParameters(
        command=sys.executable,
        args=[
            *("-m", "metalwright", "mcp", str(tmp_path / "shifted.py"), "--seeds", "2"),
            *("--timing-seconds", "0.2", "--output", str(tmp_path / "runs")),
        ],
        cwd=str(tmp_path),
    )

    async def main():
        async with stdio_client(server) as streams, ClientSession(*streams) as session:
            await session.initialize()
            listed = {tool.name for tool in (await session.list_tools()).tools}
            assert listed == {
                *("list_problems", "show_problem", "compile", "run", "evaluate", "profile"),
                *("read_notes", "submit"),
            }

            async def call(name, **arguments):
                result = await session.call_tool(name, arguments)
                return result.content[0].text, bool(result.is_error)

            assert await call("list_problems") == ("shifted", False)
            text, failed = await call("show_problem", problem="shifted")
            assert "torch.relu(x) * 2 + 1" in text
            assert "relu(f32[512, 512])" in text
            text, failed = await call("compile", source=KERNEL.replace("max(", "maximum("))
            assert failed
            assert "error: use of undeclared identifier 'maximum'" in text
            text, failed = await call("compile", source=KERNEL)
            assert not failed
            assert "kernel work(out: " in text
            wrong = CANDIDATE.replace("+ 1.0f", "+ 1.5f")
            text, failed = await call("run", problem="shifted", candidate=wrong)
            assert failed
            assert "wrong-values" in text
            text, failed = await call("evaluate", problem="shifted", candidate=CANDIDATE)
            assert not failed
            assert "times as fast" in text
            text, failed = await call("profile", problem="shifted", candidate=CANDIDATE)
            assert text.startswith("kernel work: ")
            text, failed = await call("submit", problem="shifted", candidate=CANDIDATE)
            assert not failed
            assert text.startswith("Attempt 1. Verdict: correct")
            text, failed = await call("submit", problem="nope", candidate=CANDIDATE)
            assert failed
            assert "bad-option" in text
            text, failed = await call("run", problem="shifted", candidate="import os")
            assert failed

    asyncio.run(asyncio.wait_for(main(), 240))
    (folder,) = (entry for entry in (tmp_path / "runs").iterdir() if entry.is_dir())
    (attempt,) = Journal.open(folder).attempts("shifted")
    assert attempt.evaluation.correct
    assert RunStore.open(folder).attempts("shifted")[0].candidate.source == CANDIDATE
