"""Prompt templates: what they say, that their examples are right, and how a user replaces them."""

import pytest
from tests.providers.scenario import PROBLEM, made_up_evaluation

from metalwright.errors import Error
from metalwright.evaluation.model import Verdict
from metalwright.generation.extraction import extract
from metalwright.generation.prompts import EXAMPLES, load_prompts
from metalwright.generation.static_look import look
from metalwright.problems import Problem
from metalwright.search.briefing import system_prompt, task_prompt
from metalwright.search.facts import DeviceFacts, ProblemFacts, fitting_examples, similarity

DEVICE = DeviceFacts(kind="metal", name="Apple M9", copy_bandwidth=1e11, fma_rate=1e13)
FACTS = ProblemFacts(
    inputs=("input[0] f32[4, 4]",),
    outputs=("output f32[4]",),
    operators=("sum(f32[4, 4], [1]) -> f32[4]",),
    signature={"sum": 1},
    bytes=2_000_000,
    flops=0,
)


def test_the_prompt_holds_everything_that_is_known():
    prompts = load_prompts()
    system = system_prompt(prompts, DEVICE, FACTS)
    for words in ("ModelNew", "Apple M9", "100.0 GB/s", "simd_sum", "row_mean", "threadgroup"):
        assert words in system
    assert "simdgroup_load(left" not in system, "no matrix example for a sum"
    task = task_prompt(
        prompts,
        Problem(name="my_sum", source=PROBLEM),
        FACTS,
        DEVICE,
        attempt=3,
        instruction="fix",
        context=[{"title": "A CUDA version", "text": "__global__ void f();"}],
        others=[{"title": "Last", "source": "x = 1\n", "feedback": "it failed"}],
    )
    assert task.startswith("Problem: my_sum\nAttempt: 3\n")
    for words in ("return x + 1", "f32[4, 4]", "__global__", "it failed", "2 MB", "20 us"):
        assert words in task
    assert "{{" not in system + task


def test_feedback_says_what_was_found():
    prompts = load_prompts()
    wrong = made_up_evaluation("p", Verdict.WRONG_VALUES, 1)
    assert "made up: wrong-values" in prompts.feedback(wrong)
    right = made_up_evaluation("p", Verdict.CORRECT, 1.5)
    text = prompts.feedback(right, ["kernel a: 1 ms"])
    for words in ("1.5", "times as fast", "kernel a: 1 ms", "device clock"):
        assert words in text


def test_a_set_of_templates_is_known_by_its_content(tmp_path):
    plain = load_prompts()
    assert load_prompts().hash == plain.hash
    (tmp_path / "instruction.md.j2").write_text("Only do {{ kind }}.\n")
    own = load_prompts(tmp_path)
    assert own.hash != plain.hash
    assert own.render("instruction", kind="first") == "Only do first.\n"
    assert own.render("repair", number=1, reason="x") == plain.render(
        "repair", number=1, reason="x"
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [("instrution.md.j2", "x"), ("instruction.md.j2", "{% if %}"), ("repair.md.j2", "{{ no }}")],
)
def test_a_template_that_is_wrong_is_a_user_error(tmp_path, name, text):
    (tmp_path / name).write_text(text)

    def use():
        prompts = load_prompts(tmp_path)
        prompts.render("instruction", kind="first")
        prompts.render("repair", number=1, reason="x")

    with pytest.raises(Error) as caught:
        use()
    assert caught.value.code == "bad-prompt"
    assert name in caught.value.message


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_are_candidates(name):
    source = load_prompts().example(name)
    assert extract(f"```python\n{source}```").source == source
    assert [remark for remark in look(source) if remark.refused] == []


@pytest.mark.native
@pytest.mark.torch
def test_examples_are_right():
    import torch

    def model(name):
        names = {}
        exec(compile(load_prompts().example(name), name, "exec"), names)
        return names["ModelNew"]

    x = torch.randn(37, 130)
    assert torch.equal(model("elementwise")(0.5)(x), 0.5 * torch.relu(x))
    torch.testing.assert_close(model("reduction")()(x), x.mean(-1))
    a, b = torch.randn(24, 40), torch.randn(40, 16)
    torch.testing.assert_close(model("matmul")()(a, b), a @ b)


def test_problems_are_alike_by_their_operators():
    softmax = {"_softmax": 1}
    assert similarity(softmax, {"_softmax": 3}) == pytest.approx(1)
    assert similarity(softmax, {"addmm": 1}) == 0
    near = similarity({"mul": 2, "sum": 1}, {"mul": 1, "sum": 1, "add": 1})
    assert 0.5 < near < 1
    assert fitting_examples({"_softmax": 1}) == ["elementwise", "reduction"]
    assert fitting_examples({"addmm": 1, "relu": 1}) == ["elementwise", "matmul"]
