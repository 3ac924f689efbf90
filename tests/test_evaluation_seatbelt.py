"""The profile for macOS's sandbox-exec: what its text allows and denies, and how it is handed over.

Nothing here has run on a Mac. The text is read by an evaluator of the language's documented core
(rules in order, the last that matches counts), and a stand-in for the program shows what arrives.
"""

import json
import os
import re
import socket
import stat
import sys
from pathlib import Path

import pytest

from metalwright.evaluation import seatbelt
from metalwright.evaluation.launcher import FreshLauncher
from metalwright.evaluation.process import WorkerProcess
from metalwright.evaluation.worker import WorkerOptions

HOSTILE = [
    "plain",
    "with space",
    'quote"inside',
    'x") (allow file-write* (subpath "/',
    "back\\slash",
    "line\nbreak",
    "-p",
    "FOLDER=other",
    "ümläut-ß-漢",
    "$HOME`id`",
]


def parsed(text):
    """The expressions of a profile; fails on anything unbalanced."""
    text = re.sub(r"^;.*$", "", text, flags=re.MULTILINE)
    tokens = re.findall(r'\(|\)|"(?:\\.|[^"\\])*"|[^\s()"]+', text)
    stack = [[]]
    for token in tokens:
        if token == "(":
            stack.append([])
        elif token == ")":
            done = stack.pop()
            stack[-1].append(done)
        else:
            stack[-1].append(token)
    assert len(stack) == 1, "unbalanced"
    return stack[0]


def decide(text, operation, *, path="", target="others", parameters=None):
    """What a profile says of an operation: of the rules that match, the last."""
    answer = None

    def holds(condition):
        kind, *arguments = condition
        if kind == "target":
            return arguments == [target]
        value = arguments[0]
        value = parameters[value[1].strip('"')] if isinstance(value, list) else value.strip('"')
        if kind == "literal":
            return path == value
        assert kind == "subpath", condition
        return path == value or path.startswith(value + "/")

    for action, *rest in parsed(text):
        if action == "version":
            assert rest == ["1"]
            continue
        assert action in ("allow", "deny"), action
        name, *conditions = rest
        if name == "default":
            matches = not conditions
        elif name.endswith("*"):
            matches = operation.startswith(name[:-1])
        else:
            matches = operation == name
        if matches and (not conditions or any(map(holds, conditions))):
            answer = action
    return answer


FOLDER = {"FOLDER": "/private/var/folders/xy/metalwright-1/own"}


@pytest.mark.parametrize(
    ("operation", "path", "answer"),
    [
        ("file-write-create", FOLDER["FOLDER"] + "/scratch/x", "allow"),
        ("file-write-data", FOLDER["FOLDER"] + "/output", "allow"),
        ("file-write-unlink", FOLDER["FOLDER"] + "/output", "allow"),
        ("file-write-create", FOLDER["FOLDER"] + "-of-another/x", "deny"),
        ("file-write-create", "/private/var/folders/xy/metalwright-1/x", "deny"),
        ("file-write-data", "/Users/someone/.zshrc", "deny"),
        ("file-write-unlink", "/Users/someone/problem.py", "deny"),
        ("file-write-mode", "/dev/null", "deny"),
        ("file-write-data", "/dev/null", "allow"),
        ("file-write-data", "/dev/disk0", "deny"),
        ("file-read-data", "/System/Library/Frameworks/Metal.framework/Metal", "allow"),
        ("process-fork", "", "allow"),
        ("process-exec", "/usr/bin/true", "allow"),
        ("mach-lookup", "", "allow"),
        ("iokit-open", "", "allow"),
        ("appleevent-send", "", "deny"),
        ("lsopen", "", "deny"),
        ("job-creation", "", "deny"),
        ("network-outbound", "", "deny"),
        ("network-bind", "", "deny"),
    ],
)
def test_the_profile_allows_the_own_folder_and_denies_the_rest(operation, path, answer):
    text = seatbelt.profile(network=False)
    assert decide(text, operation, path=path, parameters=FOLDER) == answer


@pytest.mark.parametrize("operation", ["signal", "process-info-pidinfo", "mach-priv-task-port"])
def test_other_processes_are_out_of_reach_and_the_own_are_not(operation):
    text = seatbelt.profile(network=False)
    assert decide(text, operation, target="others", parameters=FOLDER) == "deny"
    assert decide(text, operation, target="same-sandbox", parameters=FOLDER) == "allow"


def test_the_network_is_open_only_by_request():
    assert decide(seatbelt.profile(True), "network-outbound", parameters=FOLDER) == "allow"
    assert decide(seatbelt.profile(False), "network-outbound", parameters=FOLDER) == "deny"


@pytest.mark.parametrize("name", HOSTILE)
def test_a_path_is_a_parameter_and_never_part_of_the_text(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    command = seatbelt.wrap(["python", "-c", "pass"], str(folder), False)
    assert command[:2] == [seatbelt.PROGRAM, "-D"]
    # The value begins after the first equals sign, whatever else is in it.
    assert command[2].partition("=")[::2] == ("FOLDER", os.path.realpath(folder))
    assert command[3:5] == ["-p", seatbelt.profile(False)]
    assert command[5:] == ["python", "-c", "pass"]
    assert str(folder) not in command[4]


def test_links_are_followed_before_the_kernel_does(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    command = seatbelt.wrap([], str(tmp_path / "link"), False)
    assert command[2] == f"FOLDER={os.path.realpath(tmp_path / 'real')}"


@pytest.mark.parametrize("folder", ["/", "nul\0byte"])
def test_what_is_no_folder_of_a_worker_is_refused(folder):
    with pytest.raises(ValueError, match=r"confined|null"):
        seatbelt.wrap([], folder, False)


# ------------------------------------------------------------------------------ handing over


def stand_in(tmp_path, body):
    """A program in place of sandbox-exec."""
    program = tmp_path / "sandbox-exec"
    program.write_text(f"#!{sys.executable}\nimport json, os, sys\n{body}\n", "utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return str(program)


RUN = "os.execvp(sys.argv[5], sys.argv[5:])"
IN_TURN = "metalwright.evaluation.peaks_service:PeaksService"


def started(tmp_path, program, network=False):
    """What a worker says that was started through a program."""
    folder = tmp_path / "room" / "own"
    (folder / "scratch").mkdir(parents=True)
    limit = 4 << 30
    options = WorkerOptions(IN_TURN, limit, str(folder / "scratch"), network, str(folder))
    with WorkerProcess(FreshLauncher(program), options) as worker:
        return worker.isolation, folder


@pytest.mark.native
def test_a_confined_worker_is_started_in_the_sandbox_with_its_folder(tmp_path):
    note = tmp_path / "note"
    program = stand_in(tmp_path, f"open({str(note)!r}, 'w').write(json.dumps(sys.argv))\n{RUN}")
    isolation, folder = started(tmp_path, program)
    arguments = json.loads(note.read_text())
    assert arguments[1:5] == ["-D", f"FOLDER={folder}", "-p", seatbelt.profile(False)]
    assert "metalwright.evaluation.worker" in " ".join(arguments[5:])
    # A program that confines nobody is found out, and nothing it left undone is called enforced.
    assert isolation["file-system"] == "not enforced: an attempt was successful"
    assert isolation["processes"] == "not enforced: an attempt was successful"
    assert isolation["network"].startswith("not enforced")
    assert not list(folder.parent.glob(".metalwright-*"))


@pytest.mark.native
def test_where_the_sandbox_is_refused_workers_start_without_and_say_so(tmp_path):
    refuse = "print('sandbox_apply: Operation not permitted', file=sys.stderr); sys.exit(71)"
    isolation, _ = started(tmp_path, stand_in(tmp_path, refuse))
    for measure in ("file-system", "processes", "network"):
        assert isolation[measure].startswith("refused: ")
        assert "sandbox_apply: Operation not permitted" in isolation[measure]


def test_a_system_without_the_program_says_so(tmp_path):
    assert seatbelt.missing(str(tmp_path / "nothing")) == f"there is no {tmp_path / 'nothing'}"


def test_what_was_denied_is_enforced(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "open", refuse)
    monkeypatch.setattr(os, "kill", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert set(seatbelt.verify(Path(tmp_path), False).values()) == {"enforced"}
    assert seatbelt.verify(Path(tmp_path), True)["network"] == "open by request"


def test_no_sandbox_is_asked_for_where_there_is_none():
    # On Linux workers have namespaces instead.
    assert FreshLauncher()._sandbox == (seatbelt.PROGRAM if sys.platform == "darwin" else None)
