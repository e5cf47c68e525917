"""A client of `/ws` that holds the hub to its word: every event has the next revision, or a whole snapshot comes first."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field
from typing import Any

import websocket
from harness import api
from harness.hub import Hub

Message = dict[str, Any]


@dataclass
class LiveClient:
    """One connection, and what the hub is at by what it was told."""

    socket: websocket.WebSocket
    revision: int = 0
    snapshots: int = 0
    gateways: dict[str, Message] = field(default_factory=dict)
    hub: Message = field(default_factory=dict)
    rates: Message = field(default_factory=dict)
    events: list[Message] = field(default_factory=list)
    lines: list[Message] = field(default_factory=list)
    dropped: int = 0
    counted: int = 0

    @classmethod
    def open(cls, hub: Hub, **options: Any) -> LiveClient:
        """Connects as the administrator."""
        url = hub.listening().http.replace("http://", "ws://") + "/ws"
        options = {"timeout": 30, "suppress_origin": True, "skip_utf8_validation": True, **options}
        socket = websocket.create_connection(url, header=[f"Authorization: {api.basic(hub)}"], **options)
        return cls(socket)

    def ask(self, **what: object) -> None:
        """Sends a message."""
        self.socket.send(json.dumps(what))

    def hear(self) -> Message:
        """The next message, taken to heart."""
        told: Message = json.loads(self.text())
        self.take(told)
        return told

    def text(self) -> str:
        """The next message as it came; raises when the hub has closed the connection."""
        text = self.socket.recv()
        if not text:
            raise websocket.WebSocketConnectionClosedException("closed by the hub")
        return str(text)

    def glance(self) -> None:
        """The next message, of which only revision and number of lines are looked at: many clients share a machine."""
        text = self.text()
        if '"type":"log"' in text[:64]:
            self.counted += text.count('"seq":')
            self.dropped += int(text[text.rindex('"dropped":') + 10 : -1])
            return
        found = re.search(r'"revision":(\d+)', text)
        assert found, text[:200]
        revision = int(found.group(1))
        if '"type":"snapshot"' in text:
            self.snapshots += 1
        else:
            assert revision == self.revision + 1, f"a hole behind {self.revision}: {text[:200]}"
        self.revision = revision

    def take(self, told: Message) -> None:
        """Goes by a message."""
        if told["type"] == "log":
            self.lines += told["items"]
            self.dropped += told["dropped"]
            return
        if told["type"] == "snapshot":
            assert told["revision"] >= self.revision
            self.snapshots += 1
            state = told["state"]
            self.gateways = {item["id"]: item for item in state["gateways"]}
            self.hub, self.rates, self.events = state["hub"], state["rates"], state["events"][::-1]
        else:
            assert told["revision"] == self.revision + 1, f"a hole behind {self.revision}: {told}"
            topic = told["topic"]
            if topic == "gateways":
                self.gateways |= {item["id"]: item for item in told["items"]}
            elif topic == "removed":
                self.gateways = {key: item for key, item in self.gateways.items() if key not in told["ids"]}
            elif topic == "event":
                self.events.append(told["event"])
            else:
                setattr(self, topic, told[topic])
        self.revision = told["revision"]

    def until(self, condition: Any, within_s: float, what: str) -> float:
        """Hears until `condition(self)` holds; gives the moment."""
        deadline = time.monotonic() + within_s
        while not condition(self):
            assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
            self.hear()
        return time.monotonic()

    def phase(self, account: str) -> str:
        """What an account is at."""
        return str(self.gateways.get(account, {}).get("phase"))

    def close(self) -> None:
        """Goes."""
        self.socket.close()
