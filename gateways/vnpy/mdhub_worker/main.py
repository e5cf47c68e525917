"""`mdhub-worker --account A --incarnation EPOCH.COUNTER --parent-pid P`: a worker of the hub, on descriptors 0 to 3."""

from __future__ import annotations

import argparse
import os
import re
import traceback
from pathlib import Path
from typing import NoReturn

from . import codes, commands, log, process, words
from .codes import Leave
from .frames import PROTOCOL_VERSION, BadFrame, Start
from .inbox import Inbox
from .reports import Reports

_FRONT = re.compile(r"tcp://[A-Za-z0-9._-]{1,253}:([0-9]{1,5})")


def main() -> NoReturn:
    """Runs the worker. The process ends here, without exit handlers: the vendor's threads still run, and what they would be
    told to release may never return."""
    parser = argparse.ArgumentParser(prog="mdhub-worker", description="A worker, started by mdhub; not by people.")
    parser.add_argument("--account", required=True)
    parser.add_argument("--incarnation", required=True, type=_incarnation)
    parser.add_argument("--parent-pid", required=True, type=int)
    args = parser.parse_args()
    inbox = Inbox()
    process.take_term(inbox)
    try:
        descriptors = process.take_descriptors(args.parent_pid)
    except process.NoWorker as why:
        log.error(f"this is no worker's environment: {why}")
        os._exit(codes.PIPE)
    out = Reports(descriptors.reports)
    try:
        _serve(args, inbox, out, descriptors)
    except Leave as why:
        leave = why
    except BaseException as why:  # its own fault, or a gateway that would end the process by itself
        log.error(traceback.format_exc().replace("\n", " | "))
        leave = Leave(codes.INTERNAL, f"mdhub's own code failed: {why!r}")
    log.info(f"leaves with exit code {leave.code}: {leave.reason}")
    out.bye(leave.code, leave.reason)
    os._exit(leave.code)


def _incarnation(text: str) -> tuple[int, int]:
    epoch, counter = text.split(".")
    return int(epoch), int(counter)


def _serve(args: argparse.Namespace, inbox: Inbox, out: Reports, descriptors: process.Descriptors) -> NoReturn:
    out.hello(args.account, args.incarnation, PROTOCOL_VERSION)
    commands.read_in_background(inbox)
    start = _wait_for_start(inbox)
    words.hide(start.password)
    _check(start)
    # What is imported from here on may be missing, or takes its time.
    from .fronts import Fronts  # noqa: PLC0415
    from .main_loop import MainLoop  # noqa: PLC0415
    from .sources import Way, make  # noqa: PLC0415
    from .ticks import TickPipe  # noqa: PLC0415

    ticks = TickPipe(
        descriptors.ticks_waiting, descriptors.ticks_direct, lambda why: inbox.tell("tick_pipe_broken", why)
    )
    way = Way(inbox, ticks)
    source = make(start, way)
    out.library_loaded(source.version, is_known=source.is_known)
    log.info(f"{start.gateway_class} made, {source.version}")
    if not source.is_known:
        log.warn(f"mdhub was not tested with {source.version}")
    fronts = Fronts(start.md_address, Path(start.flow_dir or "."))
    loop = MainLoop(start, source, way, out, fronts)
    log.info(f"front {fronts.chosen} registered, one of {len(start.md_address)}")
    try:
        source.connect(fronts.chosen)
    except Leave:
        raise
    except BaseException as why:  # whatever a gateway's connect raises
        raise Leave(codes.LIBRARY, f"{start.gateway_class}.connect failed: {why!r}") from None
    loop.run()


def _wait_for_start(inbox: Inbox) -> Start:
    while (news := inbox.take(60_000)) is None:
        pass
    if news[0] == "command" and news[1] == "Start":
        try:
            start = Start.of(news[2])
        except BadFrame as why:
            raise Leave(codes.PROTOCOL, f"commands: {why}") from None
        if start.protocol_version != PROTOCOL_VERSION:
            text = f"the hub speaks protocol {start.protocol_version}, this worker {PROTOCOL_VERSION}"
            raise Leave(codes.PROTOCOL, text)
        return start
    reasons = {
        "term": (codes.ASKED, "asked to leave by TERM"),
        "commands_ended": (codes.PIPE, "the hub closed the commands"),
    }
    if news[0] == "bad_command":
        raise Leave(codes.PROTOCOL, news[1])
    if news[:2] == ("command", "Stop"):
        raise Leave(codes.ASKED, "asked to stop")
    raise Leave(*reasons.get(news[0], (codes.START, f"the first command must be Start, not {news[1]}")))


def _check(start: Start) -> None:
    """Everything is checked before the gateway sees it: the vendor's library crashes on an address without tcp://."""
    if not start.md_address:
        raise Leave(codes.START, "md_address is empty: at least one tcp://HOST:PORT is needed")
    for address in start.md_address:
        found = _FRONT.fullmatch(address)
        if found is None or not 0 < int(found[1]) < 65_536:
            text = f"md_address {address!r} is not allowed: write tcp://HOST:PORT, for example tcp://180.168.146.187:10211"
            raise Leave(codes.START, text)
    for name, value, most in (
        ("broker_id", start.broker_id, 10),
        ("user_id", start.user_id, 15),
        ("password", start.password, 40),
    ):
        if len(value.encode()) > most or "\0" in value:
            text = f"{name} has {len(value.encode())} bytes: allowed are up to {most}, none of them zero"
            raise Leave(codes.START, text)

