"""Finding the candidate in an answer, whatever surrounds it; and the look at its text."""

import ast
import difflib
import string

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from metalwright.generation.extraction import Unparsable, defines_model, extract
from metalwright.generation.patches import PatchError, apply_patch
from metalwright.generation.static_look import find_kernels, look

KERNEL = "kernel void add(device float* x, uint i [[thread_position_in_grid]]) { x[i] += 1; }"
FILE = f'''import metalwright
import torch
from torch import nn

SOURCE = """
{KERNEL}
"""


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.library = metalwright.compile(SOURCE)

    def forward(self, x):
        y = x.clone()
        self.library.add(y, threads=y.numel())
        return y
'''


def fenced(code, mark="```", info="python"):
    return f"{mark}{info}\n{code}{mark}\n"


def test_a_file_in_a_block_is_found_whole():
    found = extract(f"Here it is:\n\n{fenced(FILE)}\nIt is fast.")
    assert found.source == FILE
    assert found.rule == "block"


@pytest.mark.parametrize(
    "answer",
    [
        FILE,
        fenced(FILE, info=""),
        fenced(FILE, info="Python title=x.py"),
        fenced(FILE, mark="~~~~"),
        fenced(FILE).replace("\n", "\r\n"),
        "1. A list:\n" + "".join(f"   {line}\n" for line in fenced(FILE).splitlines()),
        "\ufeff" + FILE,
        f"Sure! Here is the code.\n\n{FILE}\nI hope that this helps, it's fast.\n",
        fenced(FILE).removesuffix("```\n"),
        f"<think>class ModelNew maybe</think>\n{fenced(FILE)}",
    ],
)
def test_the_same_file_is_found_however_it_is_wrapped(answer):
    assert extract(answer).source == FILE


def test_the_last_of_several_files_wins():
    first, second = FILE.replace("+= 1", "+= 2"), FILE.replace("+= 1", "+= 3")
    assert extract(fenced(first) + "Better:\n" + fenced(second)).source == second
    usage = fenced("model = ModelNew()\nprint(model(x))\n")
    assert extract(fenced(first) + usage).source == first
    assert extract(fenced(first) + fenced("class ModelNew(\n")).source == first


def test_blocks_that_need_each_other_are_put_together():
    cut = FILE.index("class ModelNew")
    answer = f"The kernel:\n{fenced(FILE[:cut])}\nThe module:\n{fenced(FILE[cut:])}"
    found = extract(answer)
    assert found.rule == "blocks put together"
    assert "SOURCE =" in found.source
    ast.parse(found.source)


def test_code_that_holds_fences_is_not_cut_at_them():
    source = FILE.replace(
        "class ModelNew(nn.Module):\n",
        'class ModelNew(nn.Module):\n    """Use:\n\n```\nModelNew()\n```\n    """\n\n',
    )
    assert defines_model(source)
    assert extract(fenced(source)).source == source


def test_changes_are_made_to_the_parent():
    wanted = FILE.replace("+= 1", "+= 5").replace("y = x.clone()", "y = x.contiguous().clone()")
    diff = "".join(
        difflib.unified_diff(
            FILE.splitlines(keepends=True), wanted.splitlines(keepends=True), "a.py", "b.py"
        )
    )
    found = extract(fenced(diff, info="diff"), FILE)
    assert found.source == wanted
    assert found.rule == "changes to the parent"
    wrong_numbers = diff.replace("@@ -", "@@ -9")
    assert extract(fenced(wrong_numbers, info="diff"), FILE).source == wanted
    search = "<<<<<<< SEARCH\n        y = x.clone()\n=======\n        y = 2 * x\n>>>>>>> REPLACE\n"
    assert "y = 2 * x" in extract(search, FILE).source
    with pytest.raises(Unparsable, match="no such place"):
        extract(fenced(search.replace("clone", "klone"), info=""), FILE)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("", "empty"),
        ("I am sorry, but I cannot do that.", "no code block"),
        (fenced("x = 1\n"), "no code block defines class ModelNew"),
        (fenced(FILE.replace("return y", "return (y")), "not valid Python: line"),
        (fenced(FILE[: FILE.index("y = x")]).removesuffix("```\n"), "cut off"),
    ],
)
def test_the_reason_says_what_is_wrong(answer, words):
    with pytest.raises(Unparsable, match=words):
        extract(answer)


def test_a_truncated_answer_is_called_that():
    with pytest.raises(Unparsable, match="cut off"):
        extract(fenced(FILE[:-80]).removesuffix("```\n"), truncated=True)


PROSE = st.text(
    st.characters(codec="utf-8", exclude_characters="`~\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"),
    max_size=200,
)


@settings(max_examples=150, deadline=None)
@given(PROSE, PROSE, st.sampled_from(["```", "````", "~~~"]), st.sampled_from(["python", "py", ""]))
def test_prose_around_a_block_changes_nothing(before, after, mark, info):
    answer = f"{before}\n{fenced(FILE, mark, info)}{after}"
    assert extract(answer).source == FILE


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from([*"`~\n ab:=()'#@+-<>", "class ModelNew", "```", "\n@@"])).map("".join)
)
def test_any_text_gives_a_file_or_a_reason(answer):
    try:
        source = extract(answer, FILE).source
    except Unparsable:
        return
    assert defines_model(source)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(FILE)))
def test_a_cut_answer_never_gives_half_a_class(length):
    answer = fenced(FILE)[:length]
    try:
        found = extract(answer, truncated=True)
    except Unparsable:
        return
    assert "return" in found.source


LINES = st.lists(
    st.text(alphabet=string.ascii_letters + " =", min_size=1, max_size=12), min_size=3, max_size=25
)


@settings(max_examples=150, deadline=None)
@given(LINES, LINES, st.integers(0, 24))
def test_a_diff_gives_what_it_was_made_from(old, new, at):
    at = min(at, len(old))
    wanted = [*old[:at], *new, *old[at:]]
    assume(len(set(old)) == len(old) and old[0].strip())
    diff = "\n".join(difflib.unified_diff(old, wanted, lineterm="", n=25))
    assume(diff)
    assume(not any(line.startswith(("--", "++")) for line in [*old, *new]))
    assert apply_patch("\n".join(old), diff) == "\n".join(wanted)


def test_a_change_that_fits_twice_is_refused():
    with pytest.raises(PatchError, match="2 places"):
        apply_patch("a\nb\na\nb", "@@\n-a\n+c\n")


# ---------------------------------------------------------------------------------- the look


def refusals(source):
    return [remark.message for remark in look(source) if remark.refused]


def test_an_ordinary_candidate_is_not_refused():
    assert refusals(FILE) == []
    assert list(find_kernels(FILE)) == ["add"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("import torch\n", "import torch, subprocess\n", "imports subprocess"),
        ("import torch\n", "import torch\nfrom os import path\n", "imports os"),
        ("import torch\n", "import torch\nfrom metalwright import evaluation\n", "not for cand"),
        ("import torch\n", "import torch\nimport metalwright._native\n", "not for cand"),
        ("y = x.clone()", "y = eval('x')", "calls eval"),
        ("y = x.clone()", "open('/tmp/x')", "calls open"),
        ("y = x.clone()", "torch.backends.mkldnn.enabled = 1", "torch.backends"),
        ("y = x.clone()", "y = torch.compile(f)(x)", "torch.compile"),
        ("y = x.clone()", "y = f.__globals__", "__globals__"),
        ("(nn.Module)", "(Model)", "inherits"),
        ("(nn.Module)", "", "no torch.nn.Module"),
        ("def forward", "def backward", "no forward"),
        ("metalwright.compile(SOURCE)", "None", "no kernel of yours"),
    ],
)
def test_what_cannot_work_is_refused_before_it_is_run(old, new, words):
    assert old in FILE
    assert any(words in message for message in refusals(FILE.replace(old, new)))


def test_a_fallback_is_remarked_on():
    source = FILE.replace(
        "        self.library = metalwright.compile(SOURCE)",
        "        try:\n            self.library = metalwright.compile(SOURCE)\n"
        "        except Exception:\n            self.library = None",
    )
    assert refusals(source) == []
    assert any("fallback" in remark.message for remark in look(source))
