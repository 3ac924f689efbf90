"""Verdicts: honest candidates, wrong ones, and ones that break, hang, grab or lie."""

import contextlib
import os
import sys
import time

import pytest

from metalwright.errors import Error
from metalwright.evaluation import Evaluation, Flag, Judge, Settings, Verdict, evaluate
from metalwright.evaluation.judge import problem_error
from metalwright.evaluation.launcher import (
    FreshLauncher,
    TemplateLauncher,
    make_launcher,
    session_processes,
)
from metalwright.evaluation.process import WorkerFailure, WorkerProcess
from metalwright.evaluation.worker import WorkerOptions
from metalwright.problems import Problem

pytestmark = pytest.mark.native

PROBLEM = """
import torch
from torch import nn

N = 1000


class Model(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor
        self.bias = nn.Parameter(torch.randn(N))

    def forward(self, x):
        return self.factor * x + self.bias


def get_inputs():
    return [torch.randn(4, N)]


def get_init_inputs():
    return [3.0]
"""

CANDIDATE = PROBLEM.replace("class Model(", "class ModelNew(")
RETURN = "return self.factor * x + self.bias"

METAL = '''
import metalwright
import torch
from torch import nn

SOURCE = """
#include <metal_stdlib>
kernel void scale_shift(device const float* x, device const float* bias, device float* y,
                        constant float& factor, constant uint& n,
                        uint i [[thread_position_in_grid]]) {
  y[i] = metal::fma(factor, x[i], bias[i % n]);
}
"""


class ModelNew(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor
        self.bias = nn.Parameter(torch.randn(1000))
        self.library = metalwright.compile(SOURCE)

    def forward(self, x):
        y = torch.empty_like(x)
        self.library.scale_shift(x, self.bias, y, self.factor, 1000, threads=x.numel())
        return y
'''

SETTINGS = Settings(seeds=2, deadline=20.0, memory_limit=2 << 30, timing_seconds=0.1)
UNTIMED = SETTINGS.model_copy(update={"timing": False})


def problem_of(tmp_path_factory, text, name="scale_shift"):
    path = tmp_path_factory.mktemp("problem") / f"{name}.py"
    path.write_text(text)
    return Problem.from_file(path)


@pytest.fixture(scope="module")
def launcher():
    with contextlib.closing(make_launcher()) as launcher:
        yield launcher


@pytest.fixture(scope="module")
def judged(launcher):
    """`evaluate`, without a launcher of its own."""

    def run(problem, source, settings):
        with Judge(settings, launcher) as judge:
            try:
                with judge.open(problem) as session:
                    return judge.evaluate(session, source)
            except Error as error:
                return problem_error(problem, error, settings, judge.device)

    return run


@pytest.fixture(scope="module")
def judge(launcher):
    with Judge(UNTIMED, launcher) as judge:
        yield judge


@pytest.fixture(scope="module")
def session(judge, tmp_path_factory):
    with judge.open(problem_of(tmp_path_factory, PROBLEM)) as session:
        yield session


@pytest.fixture
def verdict_of(judge, session):
    def run(body, source=CANDIDATE):
        return judge.evaluate(session, source.replace(RETURN, body))

    return run


# ---------------------------------------------------------------------------------- right


def test_a_metal_candidate_is_correct_timed_and_counted(tmp_path_factory):
    evaluation = evaluate(problem_of(tmp_path_factory, PROBLEM), METAL, SETTINGS)
    assert evaluation.verdict is Verdict.CORRECT, evaluation.summary
    timing = evaluation.timing
    assert timing.dispatches == 1
    assert timing.device_seconds > 0
    assert timing.ratio.low <= timing.ratio.median <= timing.ratio.high
    assert Flag.LIBRARY_ONLY not in evaluation.flags
    assert evaluation.weights.copied == 1
    assert evaluation.oracle == "float64"
    (output,) = evaluation.outputs
    assert output.tolerance == 1e-4
    assert 0 < output.reference_oracle < 1e-5
    assert output.tolerance_share <= 1
    # As text, since NaN is no equal of its own.
    text = evaluation.model_dump_json()
    assert Evaluation.model_validate_json(text).model_dump_json() == text


def test_a_candidate_that_leaves_all_work_to_torch_is_marked(judged, tmp_path_factory):
    evaluation = judged(problem_of(tmp_path_factory, PROBLEM), CANDIDATE, SETTINGS)
    assert evaluation.verdict is Verdict.CORRECT
    assert Flag.LIBRARY_ONLY in evaluation.flags
    assert evaluation.timing.dispatches == 0


def test_weights_are_equal_by_name_even_if_drawn_in_another_order(verdict_of):
    source = CANDIDATE.replace("torch.randn(N)", "torch.zeros(N)")
    evaluation = verdict_of(RETURN, source)
    assert evaluation.verdict is Verdict.CORRECT
    assert (evaluation.weights.missing, evaluation.weights.extra) == ((), ())


def test_weights_are_equal_by_construction_even_if_named_otherwise(verdict_of):
    evaluation = verdict_of("return self.factor * x + self.b", CANDIDATE.replace("bias", "b"))
    assert evaluation.verdict is Verdict.CORRECT
    assert evaluation.weights.missing == ("bias",)
    assert evaluation.weights.extra == ("b",)


def test_several_outputs_of_several_kinds_are_compared(judged, tmp_path_factory):
    text = PROBLEM.replace(RETURN, "return {'y': x, 'more': (x > 0, x.argmax(1), 3, None)}")
    problem = problem_of(tmp_path_factory, text)
    right = text.replace("class Model(", "class ModelNew(")
    evaluation = judged(problem, right, UNTIMED)
    assert evaluation.verdict is Verdict.CORRECT
    assert [output.dtype for output in evaluation.outputs] == ["float32", "bool", "int64"]
    wrong = right.replace("x > 0", "x >= 1e-3")
    evaluation = judged(problem, wrong, UNTIMED)
    assert evaluation.verdict is Verdict.WRONG_VALUES
    assert evaluation.evidence[0].output == "output['more'][0]"


def test_random_modules_draw_the_same_numbers_on_both_sides(judged, tmp_path_factory):
    text = PROBLEM.replace(RETURN, "return nn.functional.dropout(x, 0.5)")
    candidate = text.replace("class Model(", "class ModelNew(")
    evaluation = judged(problem_of(tmp_path_factory, text), candidate, UNTIMED)
    assert evaluation.verdict is Verdict.CORRECT


def test_running_statistics_do_not_leak_from_one_draw_into_the_next(judged, tmp_path_factory):
    text = PROBLEM.replace(RETURN, "return self.norm(x)").replace(
        "self.factor = factor", "self.norm = nn.BatchNorm1d(N)"
    )
    candidate = text.replace("class Model(", "class ModelNew(")
    evaluation = judged(problem_of(tmp_path_factory, text), candidate, SETTINGS)
    assert evaluation.verdict is Verdict.CORRECT


def test_a_problem_that_works_in_place_wants_the_same_of_its_candidate(judged, tmp_path_factory):
    text = PROBLEM.replace(RETURN, "return x.mul_(self.factor)")
    problem = problem_of(tmp_path_factory, text)
    in_place = text.replace("class Model(", "class ModelNew(")
    evaluation = judged(problem, in_place, SETTINGS)
    assert evaluation.verdict is Verdict.CORRECT, evaluation.summary
    pure = in_place.replace("x.mul_(self.factor)", "x * self.factor")
    evaluation = judged(problem, pure, UNTIMED)
    assert evaluation.verdict is Verdict.MUTATES_INPUTS
    assert "input[0] was not changed as the reference changes it" in evaluation.summary


# ---------------------------------------------------------------------------------- wrong


@pytest.mark.parametrize(
    ("body", "verdict", "words"),
    [
        ("return self.factor * x", "wrong-values", "output: "),
        ("return x.new_full(x.shape, float('nan'))", "wrong-values", "are NaN"),
        ("return x[:2]", "wrong-metadata", "output has the shape (2, 1000), expected (4, 1000)"),
        ("return x.half()", "wrong-metadata", "dtype torch.float16, expected torch.float32"),
        ("return (x,)", "wrong-metadata", "output is a tuple, expected a Tensor"),
        ("return None", "wrong-metadata", "output is a NoneType"),
        ("return object()", "wrong-metadata", "no plain data"),
        ("return x.to_sparse()", "wrong-metadata", "layout"),
        ("y = 3.0 * x + self.bias; x.zero_(); return y", "mutates-inputs", "input[0] was changed"),
        ("return x.nope", "launch-error", "AttributeError while calling ModelNew"),
        ("raise SystemExit(0)", "launch-error", "SystemExit"),
        ("raise KeyboardInterrupt", "crash", "exit status 1"),
    ],
)
def test_a_wrong_candidate_gets_the_verdict_that_says_how(verdict_of, body, verdict, words):
    evaluation = verdict_of(body)
    assert evaluation.verdict.value == verdict
    assert words in evaluation.summary
    assert evaluation.evidence


def test_wrong_values_come_with_indices_and_both_values(verdict_of):
    evaluation = verdict_of(
        "y = self.factor * x + self.bias; y[2, 7] += 1.0; y[3, 9] += 5.0; return y"
    )
    (evidence,) = evaluation.evidence
    assert (evidence.check, evidence.seed_index, evidence.mismatches) == ("values", 0, 2)
    assert (evidence.first.index, evidence.worst.index) == ((2, 7), (3, 9))
    assert float(evidence.worst.actual) - float(evidence.worst.expected) == pytest.approx(5.0)
    assert evidence.worst.error == pytest.approx(5.0)


def test_right_on_the_first_inputs_only_is_wrong(verdict_of):
    evaluation = verdict_of(
        "self.count = getattr(self, 'count', 0) + 1; "
        "return self.factor * x + (self.bias if self.count == 1 else 0)"
    )
    assert evaluation.verdict is Verdict.WRONG_VALUES
    assert evaluation.evidence[0].seed_index == 1


def test_wrong_only_while_being_timed_is_wrong(judged, tmp_path_factory):
    source = CANDIDATE.replace(
        RETURN,
        "self.count = getattr(self, 'count', 0) + 1; "
        "return self.factor * x + (self.bias if self.count <= 20 else 0)",
    )
    evaluation = judged(problem_of(tmp_path_factory, PROBLEM), source, SETTINGS)
    assert evaluation.verdict is Verdict.WRONG_VALUES
    assert evaluation.evidence[0].check == "timed-values"


# ---------------------------------------------------------------------------------- does not run


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("class ModelNew(:\n", "not valid Python: line 1"),
        ("import torch\n", "defines no class ModelNew"),
        ("ModelNew = 3\n", "defines no class ModelNew"),
        ("import no_such_module\n", "ModuleNotFoundError while importing"),
    ],
)
def test_a_file_that_cannot_be_imported_is_a_compile_error(judge, session, source, words):
    evaluation = judge.evaluate(session, source)
    assert evaluation.verdict is Verdict.COMPILE_ERROR
    assert words in evaluation.summary


def test_a_metal_syntax_error_is_a_compile_error_with_line_and_column(judge, session):
    evaluation = judge.evaluate(session, METAL.replace("bias[i % n]);", "bias[i % m]);"))
    assert evaluation.verdict is Verdict.COMPILE_ERROR
    first = evaluation.evidence[0].diagnostics[0]
    assert (first.severity, first.line) == ("error", 6)
    assert "'m'" in first.message
    assert "bias[i % m]" in first.source_line
    assert "^" in first.caret
    assert "program_source:6:" in evaluation.summary


def test_a_missing_kernel_is_named(judge, session):
    evaluation = judge.evaluate(session, METAL.replace("library.scale_shift", "library.scale"))
    assert evaluation.verdict is Verdict.LAUNCH_ERROR
    assert "no kernel 'scale'" in evaluation.summary
    assert evaluation.evidence[0].raised.code == "no-such-kernel"
    assert "in forward: self.library.scale(" in evaluation.evidence[0].raised.traceback[-1]


def test_a_tensor_of_the_wrong_dtype_is_named(judge, session):
    evaluation = judge.evaluate(
        session, METAL.replace("(x, self.bias, y", "(x.int(), self.bias, y")
    )
    assert evaluation.verdict is Verdict.LAUNCH_ERROR
    assert "x" in evaluation.summary
    assert "int32" in evaluation.summary


# ---------------------------------------------------------------------------------- breaks


@pytest.mark.parametrize(
    ("body", "signal", "status"),
    [
        ("import os; os._exit(7)", None, 7),
        ("import os; os._exit(0)", None, 0),
        ("import os; os.abort()", "SIGABRT", None),
        ("import ctypes; ctypes.string_at(1)", "SIGSEGV", None),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL", None),
    ],
)
def test_a_process_that_dies_is_a_crash(verdict_of, body, signal, status):
    evaluation = verdict_of(body)
    assert evaluation.verdict is Verdict.CRASH
    (evidence,) = evaluation.evidence
    assert (evidence.signal, evidence.exit_status) == (signal, status)
    assert "while calling ModelNew" in evaluation.summary


def test_a_crash_takes_nothing_with_it(judge, session, verdict_of):
    verdict_of("import os; os._exit(7)")
    assert verdict_of(RETURN).verdict is Verdict.CORRECT


@pytest.mark.parametrize("where", ["forward", "import"])
def test_a_python_loop_without_end_is_a_timeout(judged, tmp_path_factory, where):
    settings = UNTIMED.model_copy(update={"deadline": 1.0})
    source = CANDIDATE.replace(RETURN, "while True: pass")
    if where == "import":
        source = "while True: pass"
    start = time.monotonic()
    evaluation = judged(problem_of(tmp_path_factory, PROBLEM), source, settings)
    assert evaluation.verdict is Verdict.TIMEOUT
    assert "over the deadline of 1 s while" in evaluation.summary
    assert time.monotonic() - start < 60


def test_a_kernel_without_end_is_a_timeout(judged, tmp_path_factory):
    settings = UNTIMED.model_copy(update={"deadline": 2.0})
    source = METAL.replace("  y[i] =", "  while (n > 0) { y[i] += 1.0f; }\n  y[i] =")
    evaluation = judged(problem_of(tmp_path_factory, PROBLEM), source, settings)
    assert evaluation.verdict is Verdict.TIMEOUT


@pytest.mark.parametrize(
    "body",
    [
        "a = []\n        while True: a.append(torch.ones(1 << 22))",
        "a = []\n        while True: a.append(bytearray(1 << 24))",
        # Shared memory, which the kernel's own limit does not count.
        "import mmap\n        a = []\n        while True:\n"
        "            a.append(mmap.mmap(-1, 1 << 26)); a[-1].write(b'x' * (1 << 26))",
        # A child's memory: each is below the limit of one process, both together are not.
        "import subprocess, sys\n        a = torch.ones(75_000_000)\n"
        "        code = 'a = b\"x\" * (400 << 20)\\nwhile True: pass'\n"
        "        subprocess.run([sys.executable, '-c', code])",
    ],
    ids=["tensors", "bytes", "shared", "child"],
)
def test_memory_beyond_the_limit_is_a_verdict(judged, tmp_path_factory, body):
    settings = UNTIMED.model_copy(update={"memory_limit": 700 << 20, "deadline": 30.0})
    source = CANDIDATE.replace(RETURN, body)
    evaluation = judged(problem_of(tmp_path_factory, PROBLEM), source, settings)
    assert evaluation.verdict is Verdict.MEMORY_LIMIT, evaluation.summary


def test_megabytes_of_output_are_kept_in_bounds(verdict_of):
    evaluation = verdict_of(
        "import os; os.write(1, b'begin'); print('x' * (20 << 20), end='end'); "
        "return self.factor * x + self.bias"
    )
    assert evaluation.verdict is Verdict.CORRECT
    printed = evaluation.printed
    assert printed.total_bytes > 2 * 20 << 20
    assert len(printed.text) < 20_000
    assert printed.text.startswith("begin")
    assert printed.text.endswith("end")
    assert "bytes left out" in printed.text


def test_what_a_candidate_starts_ends_with_it(judge, session):
    seconds = f"600.{os.getpid()}{time.time_ns() % 10**6}"
    body = (
        "import os, subprocess\n"
        "        own = {'start_new_session': True}\n"
        f"        subprocess.Popen(['sleep', '{seconds}'], **own)\n"
        f"        subprocess.Popen(['sleep', '{seconds}'])\n"
        "        return self.factor * x + self.bias"
    )
    evaluation = judge.evaluate(session, CANDIDATE.replace(RETURN, body))
    assert evaluation.verdict is Verdict.CORRECT
    deadline = time.monotonic() + 5
    while _running(seconds) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not _running(seconds)


def _running(argument):
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{entry}/cmdline", "rb") as file:
            if argument.encode() in file.read().split(b"\0"):
                found.append(entry)
    return found


# ---------------------------------------------------------------------------------- lies


FORGERY = """
        import json, os, sys
        reply = json.dumps({{"id": {number}, "ok": {ok}}}).encode() + b"\\n"
        print('{{"verdict": "correct"}}', file=sys.stderr)
        for fd in range(3, 64):
            try:
                os.write(fd, reply)
            except OSError:
                pass
        {then}
"""


@pytest.mark.parametrize("number", [2, 3, 4])
@pytest.mark.parametrize("then", ["os._exit(0)", "return x", "while True: pass"])
def test_a_forged_reply_is_no_verdict(judged, tmp_path_factory, number, then):
    settings = UNTIMED.model_copy(update={"deadline": 3.0})
    layout = {"tree": {"none": None}, "tensors": [], "size": 0}
    for ok in ({"verdict": "correct"}, {"layout": layout}):
        body = FORGERY.format(number=number, ok=repr(ok), then=then).strip()
        source = CANDIDATE.replace(RETURN, body)
        evaluation = judged(problem_of(tmp_path_factory, PROBLEM), source, settings)
        assert not evaluation.correct
        assert evaluation.verdict in (
            Verdict.CRASH,
            Verdict.TIMEOUT,
            Verdict.WRONG_METADATA,
            Verdict.WRONG_VALUES,
        )


def test_the_expected_outputs_are_in_no_file_that_a_candidate_could_read(verdict_of):
    body = (
        "import glob, os, torch\n"
        "        want = (self.factor * x + self.bias).numpy().tobytes()[:64]\n"
        "        files = glob.glob('/dev/shm/**', recursive=True)\n"
        "        files = [p for p in files if os.path.isfile(p)]\n"
        "        hits = [p for p in files if want in open(p, 'rb').read()]\n"
        "        print('found', hits, len(files) > 1)\n"
        "        return self.factor * x + self.bias"
    )
    evaluation = verdict_of(body)
    assert evaluation.verdict is Verdict.CORRECT
    lines = set(evaluation.printed.text.splitlines())
    assert lines == {"found [] True"}


def confined(isolation, *names):
    for name in names:
        if isolation.get(name) != "enforced":
            pytest.skip(f"{name}: {isolation.get(name)}")


def test_a_candidate_writes_nothing_outside_of_its_folder(verdict_of, tmp_path):
    confined(verdict_of(RETURN).isolation, "file-system")
    victim = tmp_path / "victim"
    victim.write_text("as it was")
    package = os.path.dirname(sys.modules[Judge.__module__].__file__)
    body = (
        "import os\n"
        f"        places = [{str(victim)!r}, {str(tmp_path / 'new')!r},"
        f" {package!r} + '/compare.py',"
        " '/proc/sys/vm/swappiness', '/dev/shm/mine']\n"
        "        for place in places:\n"
        "            try:\n"
        "                open(place, 'w').write('60')\n"
        "                print('wrote', place)\n"
        "            except OSError as error:\n"
        "                pass\n"
        "        open('scratch', 'w').write('allowed')\n"
        "        return self.factor * x + self.bias"
    )
    evaluation = verdict_of(body)
    assert evaluation.verdict is Verdict.CORRECT, evaluation.summary
    # Its own /dev/shm, which nobody else sees.
    assert set(evaluation.printed.text.splitlines()) == {"wrote /dev/shm/mine"}
    assert not os.path.exists("/dev/shm/mine")
    assert victim.read_text() == "as it was"
    assert not (tmp_path / "new").exists()


def test_a_candidate_sees_no_process_but_its_own_and_has_no_rights(verdict_of):
    confined(verdict_of(RETURN).isolation, "processes", "file-system", "privileges")
    body = (
        "import os\n"
        "        print(sorted(p for p in os.listdir('/proc') if p.isdigit()))\n"
        "        print([l for l in open('/proc/self/status') if l.startswith('CapEff')])\n"
        "        return self.factor * x + self.bias"
    )
    evaluation = verdict_of(body)
    assert evaluation.verdict is Verdict.CORRECT, evaluation.summary
    assert set(evaluation.printed.text.splitlines()) == {
        "['1', '2']",
        "['CapEff:\\t0000000000000000\\n']",
    }


def test_a_candidate_has_no_network(verdict_of):
    isolation = verdict_of(RETURN).isolation
    if isolation["network"] != "enforced":
        pytest.skip(f"network: {isolation['network']}")
    evaluation = verdict_of("import socket; socket.create_connection(('127.0.0.1', 9), 1)")
    assert evaluation.verdict is Verdict.LAUNCH_ERROR
    assert "unreachable" in evaluation.summary


def test_a_candidate_does_not_see_credentials(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("SOME_API_KEY", "secret")
    monkeypatch.setenv("SOME_SETTING", "7")
    source = CANDIDATE.replace(
        RETURN,
        "import os; assert os.environ['SOME_SETTING'] == '7' and 'SOME_API_KEY' not in os.environ; "
        + RETURN,
    )
    evaluation = evaluate(problem_of(tmp_path_factory, PROBLEM), source, UNTIMED)
    assert evaluation.verdict is Verdict.CORRECT, evaluation.summary


def test_no_process_and_no_folder_is_left_behind(tmp_path_factory):
    def folders():
        # Other programs may judge at the same time; the folders of this one have its number.
        mine = f"metalwright-{os.getpid()}-"
        return {name for name in os.listdir("/dev/shm") if name.startswith(mine)}

    before = folders()
    with contextlib.closing(TemplateLauncher()) as launcher, Judge(UNTIMED, launcher) as judge:
        with judge.open(problem_of(tmp_path_factory, PROBLEM)) as session:
            assert folders() > before
            judge.evaluate(session, CANDIDATE.replace(RETURN, "import os; os._exit(1)"))
        template = launcher._process.pid
        # Only a child of a single thread may use torch's team for kernels, as a user's process
        # does (csrc/cpu/openmp_team.h).
        assert len(os.listdir(f"/proc/{template}/task")) == 1
    assert folders() == before
    assert session_processes(template) == []


def test_a_candidate_cannot_kill_what_it_comes_from(judge, session, verdict_of):
    confined(verdict_of(RETURN).isolation, "processes")
    murder = (
        "import os, signal\n"
        f"        for pid in (os.getppid(), {os.getpid()}, -1):\n"
        "            try:\n"
        "                os.kill(pid, signal.SIGKILL)\n"
        "            except OSError:\n"
        "                pass\n"
        "        return self.factor * x"
    )
    evaluation = judge.evaluate(session, CANDIDATE.replace(RETURN, murder))
    assert evaluation.verdict in (Verdict.CRASH, Verdict.WRONG_VALUES)
    assert verdict_of(RETURN).verdict is Verdict.CORRECT


def test_a_worker_in_a_fresh_interpreter_gives_the_same_verdicts(tmp_path_factory):
    problem = problem_of(tmp_path_factory, PROBLEM)
    # Each worker imports torch anew: nothing more than it takes.
    quick = UNTIMED.model_copy(update={"adversarial": False, "held_out": False})
    with Judge(quick, FreshLauncher()) as judge, judge.open(problem) as session:
        assert judge.evaluate(session, METAL).verdict is Verdict.CORRECT
        crash = judge.evaluate(session, CANDIDATE.replace(RETURN, "import os; os._exit(5)"))
    assert crash.verdict is Verdict.CRASH
    assert crash.evidence[0].exit_status == 5


def test_a_worker_that_has_ended_repeats_how_and_touches_no_descriptor(launcher, tmp_path):
    service = "metalwright.evaluation.candidate_service:CandidateService"
    options = WorkerOptions(service, 2 << 30, str(tmp_path))
    (tmp_path / "candidate.py").write_text("import os; os._exit(4)")
    with WorkerProcess(launcher, options) as worker:
        load = {"path": str(tmp_path / "candidate.py"), "device": "cpu"}
        for _ in range(3):
            with pytest.raises(WorkerFailure, match="exit status 4 while loading"):
                worker.request("load", 20.0, "loading", **load)
            # Takes the numbers of the closed descriptors; nothing may arrive here.
            read, write = os.pipe()
            os.set_blocking(read, False)
            with pytest.raises(BlockingIOError):
                os.read(read, 1)
            os.close(write)
            os.close(read)


# ---------------------------------------------------------------------------------- bad problems


@pytest.mark.parametrize(
    ("old", "new", "code", "words"),
    [
        ("N = 1000", "N = 1 / 0", "problem-raised", "ZeroDivisionError"),
        ("torch.randn(N))", "torch.randn(-1))", "problem-raised", "Model is constructed"),
        (RETURN, "return x @ x", "problem-raised", "Model.forward runs"),
        (RETURN, "return None", "problem-output", "Model.forward returned None"),
        (RETURN, "return [1, 2]", "problem-output", "without a tensor"),
        (RETURN, "return [x, object()]", "problem-output", "no plain data"),
        ("[torch.randn(4, N)]", "[object()]", "problem-value", "get_inputs()"),
        ("[torch.randn(4, N)]", "7", "problem-value", "get_inputs() returned int"),
        ("[torch.randn(4, N)]", "exit(3)", "problem-raised", "SystemExit: 3"),
        ("return [3.0]", "return [3.0, 4.0]", "problem-raised", "takes 2 positional"),
        (RETURN, "import os; os._exit(3)", "problem-crashed", "exit status 3"),
        (RETURN, "import ctypes; ctypes.string_at(1)", "problem-crashed", "SIGSEGV"),
        (RETURN, "while True: pass", "problem-timeout", "2 s"),
        (RETURN, "return [x.new_ones(1 << 22) for _ in range(10**6)]", "problem-memory", "2 GiB"),
    ],
)
def test_a_problem_that_cannot_be_run_says_why_and_kills_nobody(
    judged, tmp_path_factory, old, new, code, words
):
    deadline = 20.0 if code == "problem-memory" else 2.0
    settings = UNTIMED.model_copy(update={"deadline": deadline})
    problem = problem_of(tmp_path_factory, PROBLEM.replace(old, new))
    evaluation = judged(problem, CANDIDATE, settings)
    assert evaluation.verdict is Verdict.PROBLEM_ERROR
    assert evaluation.evidence[0].check == code, evaluation.summary
    assert words in evaluation.summary
    assert problem.path in evaluation.summary


def test_a_problem_without_a_float64_form_says_so(judged, tmp_path_factory):
    text = PROBLEM.replace(RETURN, "return (x.view(torch.int32) & 7).float()")
    candidate = text.replace("class Model(", "class ModelNew(")
    evaluation = judged(problem_of(tmp_path_factory, text), candidate, UNTIMED)
    assert evaluation.verdict is Verdict.CORRECT
    assert evaluation.oracle == "the reference gives other shapes in float64"
    assert evaluation.outputs[0].reference_oracle is None
