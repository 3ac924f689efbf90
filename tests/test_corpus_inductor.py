"""Every kernel that TorchInductor renders for our modules compiles, runs and matches torch."""

import copy
import json

import pytest

pytest.importorskip("torch", reason="the corpus is rendered by torch")
runtime = pytest.importorskip("metalwright.runtime", reason="needs the compiled extension")

import torch  # noqa: E402

from corpora.inductor_modules import CASES  # noqa: E402
from corpora.running import render  # noqa: E402
from metalwright.generation.inductor import SUPPORTED  # noqa: E402

pytestmark = [pytest.mark.native, pytest.mark.torch, pytest.mark.slow]

if not torch.__version__.startswith(SUPPORTED):
    pytest.skip(f"torch {torch.__version__} is not one of {SUPPORTED}", allow_module_level=True)


@pytest.fixture(scope="session")
def rendered(tmp_path_factory):
    output = tmp_path_factory.mktemp("inductor") / "candidates.json"
    return json.loads(render("corpora.render_inductor", output).read_text("utf-8"))


def test_the_corpus_is_as_large_as_promised(rendered):
    assert len(CASES) >= 60
    failed = {name: entry["error"] for name, entry in rendered.items() if "error" in entry}
    assert not failed
    assert sum(len(entry["kernels"]) > 0 for entry in rendered.values()) >= 60
    assert len({text for e in rendered.values() for text in e["kernels"].values()}) >= 150


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_kernels_of_a_module_match_torch(case, rendered):
    entry = rendered[case.name]
    assert "error" not in entry, entry
    module, inputs = case.make()
    candidate = construct(entry["source"]).train(case.train)
    candidate.load_state_dict(module.state_dict())
    given = copy.deepcopy(inputs)
    found = candidate(*given)
    with torch.no_grad():
        expected = module(*inputs)
    if case.check is not None:
        case.check(found, inputs)
    else:
        compare(found, expected, case.rtol, case.atol)
    # Inputs are left alone, and running statistics and the like advance as the module's do.
    compare(given, inputs, 0, 0)
    compare(dict(candidate.state_dict()), dict(module.state_dict()), case.rtol, case.atol)


def construct(source):
    namespace = {"__name__": "candidate"}
    exec(compile(source, "candidate.py", "exec"), namespace)
    return namespace["ModelNew"]()


def compare(found, expected, rtol, atol):
    if isinstance(expected, torch.Tensor):
        assert found.shape == expected.shape
        assert found.dtype == expected.dtype
        torch.testing.assert_close(
            found, expected, rtol=rtol, atol=atol, equal_nan=True, check_stride=False
        )
    elif isinstance(expected, dict):
        assert list(found) == list(expected)
        for key, value in expected.items():
            compare(found[key], value, rtol, atol)
    elif isinstance(expected, (tuple, list)):
        assert type(found) is type(expected)
        assert len(found) == len(expected)
        for left, right in zip(found, expected, strict=True):
            compare(left, right, rtol, atol)
    else:
        assert found == expected
