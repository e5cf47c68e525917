"""Commands from the hub, on descriptor 0. Its end tells the worker to leave."""

from __future__ import annotations

import os
import threading

from .frames import BadFrame, take_command
from .inbox import Inbox


def read_in_background(inbox: Inbox) -> None:
    """Reads commands on a thread of their own until they end or break."""
    threading.Thread(target=_read, args=(inbox,), name="commands", daemon=True).start()


def _read(inbox: Inbox) -> None:
    buffer = bytearray()
    try:
        while chunk := os.read(0, 64 * 1024):
            buffer += chunk
            while (command := take_command(buffer)) is not None:
                inbox.put("command", *command)
    except (BadFrame, OSError) as why:
        inbox.put("bad_command", f"commands: {why}")
        return
    inbox.put("commands_ended")
