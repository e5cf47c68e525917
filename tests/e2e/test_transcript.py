"""The README's transcript on a real demo: the primary is killed under the eyes of `mdhub describe`, and a client
notices nothing.

Each `$ ` line is run by bash; below it stands what it must print, where a number stands for any number and `...` for
anything. Who types it looks again until that is there, and so does the test, for a while; but a `kill` is done once.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from chaos_oracle import judge
from chaos_stage import Source
from conftest import Hubs
from harness.hub import Hub, clean_environment
from harness.places import MDHUB, README
from harness.subscriber import Subscriber
from harness.waiting import eventually
from harness.world import LiveWorld

BACKUP, BACKUP_FRONT = "ctp-backup", "tcp://ctp-backup.sim:41213"
SHOWN_WITHIN_S = 30.0
EDGE_S = 1.0


def test_the_primary_is_killed_described_and_back_and_a_client_notices_nothing(hubs: Hubs, tmp_path: Path) -> None:
    hub, tape = hubs.demo(), tmp_path / "backup.tape"
    # The demo keeps no tapes; its world is a file like any other.
    LiveWorld(hub.data_dir / "world.json").change(BACKUP_FRONT, tape=str(tape))
    with Subscriber(hub.listening().zmq) as subscriber:
        eventually(lambda: tape.is_file() and len(tape.read_text().splitlines()) > 20, 30, "the backup's tape")
        begin_ns, printed = time.monotonic_ns(), type_in(_transcript(), hub)
        subscriber.wait_for_ticks(60, 30)
        time.sleep(EDGE_S)
        end_ns = time.monotonic_ns() - int(EDGE_S * 1e9)
        backup = Source(BACKUP, "ctp", BACKUP_FRONT, tape, healthy_ns=[(begin_ns, None)])
        ticks = [tick for tick in subscriber.ticks() if tick.payload["exchange"] not in ("SSE", "SZSE")]
        verdict = judge([backup], ticks, begin_ns, end_ns)
    print(printed)
    assert verdict.true_records > 50, "there was something to lose"
    assert (verdict.lost, verdict.gaps, verdict.twice) == ([], [], [])


def _transcript() -> str:
    blocks = re.findall(r"```console\n(.*?)```", README.read_text(), flags=re.DOTALL)
    found = [block for block in blocks if "mdhub describe" in block]
    assert len(found) == 1, f"README.md has {len(found)} transcripts with `mdhub describe`"
    return str(found[0])


def type_in(transcript: str, hub: Hub) -> str:
    """Runs the commands one after the other; gives what was printed. Raises AssertionError with the first that did not
    print what is written."""
    exports, printed = list[str](), list[str]()
    for command, expected in _steps(transcript):
        if command.startswith("export "):
            exports.append(command.replace("mdhub-demo", str(hub.data_dir)))
            continue
        for output in _tries("; ".join([*exports, command]), is_once=command.startswith("kill ")):
            if _shows(output, expected):
                break
        else:
            raise AssertionError(f"$ {command}\nprinted\n{output}\nnot\n{expected}")
        printed.append(f"$ {command}\n{output}")
    assert len(printed) >= 4, "the transcript kills, and looks before and after"
    return "\n".join(printed)


def _steps(transcript: str) -> list[tuple[str, str]]:
    parts = re.split(r"^\$ ", transcript.strip() + "\n", flags=re.MULTILINE)[1:]
    return [(command.strip(), expected) for command, _, expected in (part.partition("\n") for part in parts)]


def _tries(command: str, *, is_once: bool) -> Iterator[str]:
    environment = clean_environment(PATH=f"{MDHUB.parent}:{os.environ['PATH']}")
    deadline = time.monotonic() + SHOWN_WITHIN_S
    while True:
        done = subprocess.run(
            ["bash", "-c", command], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        yield done.stdout + done.stderr
        if is_once or time.monotonic() > deadline:
            return
        time.sleep(0.1)


def _shows(output: str, expected: str) -> bool:
    """Whether this was printed, whatever the numbers."""
    pattern = "".join(
        {"...": ".*"}.get(part, r"\d+" if part.isdigit() else re.escape(part))
        for part in re.split(r"(\.\.\.|\d+)", expected.strip())
    )
    return re.fullmatch(pattern, output.strip()) is not None


def test_a_transcript_that_shows_something_else_is_refused() -> None:
    shown = "  Phase       Healthy: 8 of 8 contracts accepted"
    assert _shows(f"{shown}\n", "  Phase       Healthy: 11 of 11 contracts accepted")
    assert _shows(f"{shown}\n", "  Phase       Healthy: ...")
    assert not _shows(f"{shown}\n", "  Phase       CoolingDown: ...")
    assert not _shows(f"{shown}\nmore", "  Phase       Healthy: ...")
    assert not _shows("", "  Phase       Healthy: ...")
