"""The offline generator as a whole: problem in, candidate or clear refusal out."""

import ast
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from metalwright.errors import Error  # noqa: E402
from metalwright.generation import InductorGenerator  # noqa: E402
from metalwright.generation.inductor import SUPPORTED, check_version  # noqa: E402
from metalwright.problems import Problem  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.slow]

# The problems of `make demo`; what becomes of the others is in docs/example-problems.md.
DOZEN = (
    *("gelu", "masked_cumsum", "rms_norm", "softmax", "variance"),
    *("add_layer_norm", "focal_loss", "linear_scale_pool", "swiglu"),
    *("attention", "gelu_mlp", "small_conv_net"),
)
ALL_EXAMPLES = (Path(__file__).parent.parent / "examples" / "problems").glob("*/*.py")
EXAMPLES = sorted(path for path in ALL_EXAMPLES if path.stem in DOZEN)

if not torch.__version__.startswith(SUPPORTED):
    pytest.skip(f"torch {torch.__version__} is not one of {SUPPORTED}", allow_module_level=True)


@pytest.fixture(scope="session")
def candidates():
    """A candidate for each of the example problems."""
    problems = [Problem.from_file(path) for path in EXAMPLES]
    with ThreadPoolExecutor(2) as pool:
        made = pool.map(InductorGenerator().generate, problems)
        return dict(zip([problem.name for problem in problems], made, strict=True))


def generate(tmp_path, text, **options):
    path = tmp_path / "case.py"
    path.write_text(text)
    return InductorGenerator(**options).generate(Problem.from_file(path))


def problem(forward, inputs="torch.randn(4, 5)", prelude=""):
    return (
        f"import torch, os, time, collections\nfrom torch import nn\n{prelude}\n"
        "class Model(nn.Module):\n    def forward(self, x):\n"
        + "".join(f"        {line}\n" for line in forward.splitlines())
        + f"def get_inputs():\n    return [{inputs}]\n"
    )


# ------------------------------------------------------------------------------ candidates


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_gives_a_candidate_that_stands_alone(path, candidates):
    candidate = candidates[path.stem]
    tree = ast.parse(candidate.source)
    imported = {
        name
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in (
            [node.module]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
        )
    }
    standard = {"math", "base64", "functools", "zlib"}
    assert imported <= {"torch", "torch.nn.functional", "metalwright", *standard}
    assert candidate.kernels
    for name, text in candidate.kernels.items():
        assert f"kernel void {name}(" in text
        constants = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)]
        assert text in constants, "the file holds the kernel as it is reported"
    classes = [n for n in tree.body if isinstance(n, ast.ClassDef)]
    assert "ModelNew" in [c.name for c in classes]
    forwards = [
        f for c in classes for f in c.body if isinstance(f, ast.FunctionDef) and f.name == "forward"
    ]
    assert len(forwards) == 1, "no forward of the reference is left"
    assert candidate.origin.startswith("inductor")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_candidate_takes_the_reference_s_arguments_and_state(path, candidates):
    loaded = Problem.from_file(path).load()
    arguments = loaded.init_inputs(0)
    reference = loaded.build(arguments, 0)
    namespace = {"__name__": "candidate"}
    exec(compile(candidates[path.stem].source, "candidate.py", "exec"), namespace)
    made = namespace["ModelNew"](*arguments)
    made.load_state_dict(reference.state_dict())
    assert [tuple(p.shape) for p in made.parameters()] == [
        tuple(p.shape) for p in reference.parameters()
    ]


@pytest.mark.native
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_candidate_of_an_example_matches_the_reference(path, candidates):
    pytest.importorskip("metalwright.runtime", reason="needs the compiled extension")
    loaded = Problem.from_file(path).load()
    arguments = loaded.init_inputs(3)
    reference = loaded.build(arguments, 3)
    namespace = {"__name__": "candidate"}
    exec(compile(candidates[path.stem].source, "candidate.py", "exec"), namespace)
    made = namespace["ModelNew"](*arguments)
    made.load_state_dict(reference.state_dict())
    for seed in (4, 5):
        expected = loaded.call(reference, loaded.inputs(seed), seed)
        found = made(*loaded.inputs(seed))
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_an_override_changes_the_shapes(tmp_path):
    path = tmp_path / "sized.py"
    path.write_text(problem("return x + 1", "torch.randn(ROWS, 3)", prelude="ROWS = 4"))
    candidate = InductorGenerator().generate(Problem.from_file(path, {"ROWS": "7"}))
    assert "(7, 3)" in candidate.source


def test_a_module_without_a_file_gives_a_candidate():
    module = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.GELU()).eval()
    candidate = InductorGenerator().generate(Problem.from_module(module, torch.randn(3, 4)))
    namespace = {"__name__": "candidate"}
    exec(compile(candidate.source, "candidate.py", "exec"), namespace)
    namespace["ModelNew"]().load_state_dict(module.state_dict())
    assert len(candidate.kernels) == 1


@pytest.mark.native
def test_an_index_outside_its_tensor_is_reported(tmp_path):
    pytest.importorskip("metalwright.runtime", reason="needs the compiled extension")
    text = problem(
        "return T.to(x.device)[x] + 1", "torch.randint(0, 9, (5,))", "T = torch.randn(9)"
    )
    candidate = generate(tmp_path, text)
    namespace = {"__name__": "candidate"}
    exec(compile(candidate.source, "candidate.py", "exec"), namespace)
    made = namespace["ModelNew"]()
    made(torch.tensor([0, 8, -9, 3, 4]))
    with pytest.raises(IndexError, match="Index 9 out of range"):
        made(torch.tensor([0, 9, 2, 3, 4]))


def test_random_results_are_noted(tmp_path):
    candidate = generate(tmp_path, problem("return torch.dropout(x, 0.5, True)"))
    assert any("random" in note for note in candidate.notes)


def test_a_module_of_library_calls_alone_is_noted(tmp_path):
    candidate = generate(tmp_path, problem("return x @ x", "torch.randn(4, 4)"))
    assert not candidate.kernels
    assert any("library" in note for note in candidate.notes)


@pytest.mark.native
def test_a_batch_of_matrices_by_vectors_is_a_kernel(tmp_path):
    pytest.importorskip("metalwright.runtime", reason="needs the compiled extension")
    products = """half = x.half()
return (
    (x @ x[:, 0, :, None]).relu(),
    x[:, :1] @ x.transpose(1, 2) + 1,
    (half @ half[:, 0, :, None]) * 2,
    x[:, :, :1] @ x[:, :1],
)"""
    text = problem(products, "torch.randn(3, 40, 50)")
    candidate = generate(tmp_path, text)
    assert candidate.source.count("bmm(") == 1  # the last one, which is a matrix
    namespace = {"__name__": "candidate"}
    exec(compile(candidate.source, "candidate.py", "exec"), namespace)
    exec(compile(text, "problem.py", "exec"), namespace)
    x = torch.randn(3, 40, 50)
    for found, expected in zip(namespace["ModelNew"]()(x), namespace["Model"]()(x), strict=True):
        tolerance = 0.02 if expected.dtype == torch.float16 else 1e-4
        torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


# ------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("text", "code", "part"),
    [
        (problem("return x.double() * 2"), "unsupported-dtype", "float64"),
        (problem("return x", "torch.randn(3, dtype=torch.float64)"), "unsupported-dtype", "input"),
        (problem("return x + 1 if x.sum() > 0 else x"), "not-traceable", "Model.forward"),
        (problem("return torch.special.airy_ai(x)"), "unsupported-operator", "airy_ai"),
        (
            problem("return P(x, x)", prelude="P = collections.namedtuple('P', 'a b')"),
            "unsupported-result",
            "namedtuple",
        ),
        (problem("return 3"), "problem-output", "no tensor"),
        (problem("raise ValueError('boom')"), "problem-raised", "boom"),
        (problem("return x", prelude="os.abort()"), "problem-crashed", "SIGABRT"),
        (problem("return x", prelude="os._exit(3)"), "generator-failed", "3"),
    ],
    ids=lambda value: value if isinstance(value, str) and "\n" not in value else "",
)
def test_what_cannot_be_taken_is_refused_with_a_code(tmp_path, text, code, part):
    with pytest.raises(Error) as caught:
        generate(tmp_path, text)
    assert caught.value.code == code, caught.value
    assert part in str(caught.value)
    assert "Traceback" not in str(caught.value)


def test_a_problem_that_hangs_ends_at_the_deadline(tmp_path):
    with pytest.raises(Error) as caught:
        generate(tmp_path, problem("return x", prelude="time.sleep(600)"), deadline=6)
    assert caught.value.code == "problem-timeout"


def test_what_the_problem_started_ends_with_the_worker(tmp_path):
    marker = tmp_path / "pid"
    prelude = (
        "import subprocess\np = subprocess.Popen(['sleep', '600'])\n"
        f"open({str(marker)!r}, 'w').write(str(p.pid))"
    )
    generate(tmp_path, problem("return x + 1", prelude=prelude))
    end = time.monotonic() + 10
    while is_running(int(marker.read_text())):
        assert time.monotonic() < end
        time.sleep(0.05)


def is_running(pid):
    """Whether the process exists and is no zombie that nobody has waited for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_another_torch_version_is_refused(monkeypatch):
    monkeypatch.setattr(torch, "__version__", "2.99.0")
    with pytest.raises(Error) as caught:
        check_version()
    assert caught.value.code == "unsupported-torch"
    assert "2.99.0" in str(caught.value)
