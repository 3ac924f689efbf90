"""A program that stands in for Apple's xctrace: same commands, same messages, same XML.

What it does is chosen by FAKE_XCTRACE: "ok", "none" (a table without rows of the process),
"no-start" (ends before it records), "bad-export", "silent" (never says how to stop it).
FAKE_XCTRACE_ROWS is how many encoders the process has.
"""

import os
import signal
import sys
from pathlib import Path

COLUMNS = (
    ("start", "Creation", "start-time"),
    ("duration", "Duration", "duration"),
    ("channel-name", "Channel Name", "gpu-channel-name"),
    ("frame-number", "Frame", "gpu-frame-number"),
    ("start-latency", "CPU to GPU Latency", "duration"),
    ("depth", "Depth", "metal-nesting-level"),
    ("event-label", "Label", "formatted-label"),
    ("state", "State", "gpu-state"),
    ("process", "Process", "process"),
    ("device-name", "GPU", "metal-device-name"),
    ("cmdbuffer-id", "Command Buffer Id", "metal-command-buffer-id"),
    ("encoder-id", "Encoder Id", "metal-command-buffer-id"),
)


def table(pid: str, rows: int) -> str:
    """The exported table: the first row spells values out, later ones refer to them."""
    schema = "".join(
        f"<col><mnemonic>{mnemonic}</mnemonic><name>{name}</name>"
        f"<engineering-type>{kind}</engineering-type></col>"
        for mnemonic, name, kind in COLUMNS
    )

    def row(start: int, encoder: int, owner: str, channel: str = "Compute", state: str = "Active"):
        return (
            f'<row><start-time id="s{start}" fmt="00:00.{start}">{start}</start-time>{owner[0]}'
            f"<gpu-channel-name>{channel}</gpu-channel-name>"
            "<gpu-frame-number>0</gpu-frame-number><duration>0</duration>"
            f"<metal-nesting-level>0</metal-nesting-level>{owner[1]}"
            f"<gpu-state>{state}</gpu-state>{owner[2]}<metal-device-name>M</metal-device-name>"
            f"<metal-command-buffer-id>{encoder + 500}</metal-command-buffer-id>"
            f"<metal-command-buffer-id>{encoder}</metal-command-buffer-id></row>"
        )

    def process(number: str, identifier: str) -> str:
        return (
            f'<process id="{identifier}" fmt="python3 ({number})">'
            f'<pid id="{identifier}p" fmt="{number}">{number}</pid></process>'
        )

    label = (
        '<formatted-label id="{0}" fmt="x"><string>Compute Command 0</string>{1}</formatted-label>'
    )
    first = (
        '<duration id="d" fmt="2 us">2000</duration>',
        label.format("l", process(pid, "me")),  # the process is first named inside of the label
        '<process ref="me"/>',
    )
    later = ('<duration ref="d"/>', '<formatted-label ref="l"/>', '<process ref="me"/>')
    other = (
        "<duration>9000</duration>",
        label.format("m", process("99", "them")),
        '<process ref="them"/>',
    )
    made = [row(1000, 1, other)]
    for number in range(rows):
        made.append(row(1_000_000 * (number + 1), 10 + number, later if number else first))
    if rows:
        # The first encoder was interrupted: a second row of it, and one where it did not run.
        made.append(row(1_003_000, 10, later))
        made.append(row(1_900_000, 10, later, state="Idle"))
        made.append(row(1_950_000, 77, later, channel="Vertex"))
    half = len(made) // 2
    nodes = ["".join(made[:half]), "".join(made[half:])]
    return (
        '<?xml version="1.0"?>\n<trace-query-result>\n'
        f"<node xpath='//trace-toc[1]/run[1]/data[1]/table[7]'>"
        f'<schema name="metal-gpu-intervals">{schema}</schema>{nodes[0]}</node>'
        f"<node xpath='//trace-toc[1]/run[1]/data[1]/table[8]'>{nodes[1]}</node>"
        "</trace-query-result>\n"
    )


def option(name: str) -> str:
    return sys.argv[sys.argv.index(name) + 1]


def main() -> int:
    mode = os.environ.get("FAKE_XCTRACE", "ok")
    if sys.argv[1] == "record":
        assert option("--template") == "Metal System Trace"
        pid = option("--attach")
        if mode == "no-start":
            print("Cannot attach to process", pid)
            return 2
        stopped = []
        signal.signal(signal.SIGINT, lambda *_: stopped.append(True))
        print(f"Starting recording with the Metal System Trace template. Attaching to: {pid}.")
        if mode != "silent":
            print("Ctrl-C to stop the recording")
        sys.stdout.flush()
        while not stopped:
            signal.pause()
        print("Stopping recording...")
        trace = Path(option("--output"))
        trace.mkdir()
        (trace / "pid").write_text(pid)
        print("Recording completed. Saving output file...")
        return 0
    assert sys.argv[1] == "export"
    if mode == "bad-export":
        print("Export failed: Document Missing Template Error", file=sys.stderr)
        return 1
    assert '@schema="metal-gpu-intervals"' in option("--xpath")
    pid = (Path(option("--input")) / "pid").read_text()
    rows = 0 if mode == "none" else int(os.environ.get("FAKE_XCTRACE_ROWS", "3"))
    Path(option("--output")).write_text(table(pid, rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
