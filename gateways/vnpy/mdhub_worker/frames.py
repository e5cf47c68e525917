"""The protocol between the hub and its workers: `u32 length | u8 kind | body`, little endian; `length` counts kind and body.
The body of a tick is a raw record (see `record`), every other body a MessagePack map. mdhub's `spec::frame` defines it."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

import msgpack

PROTOCOL_VERSION = 2
KIND_TICK, KIND_REPORT, KIND_COMMAND = 1, 2, 3
# Largest `length` of a frame. A larger one is a broken stream.
FRAME_LENGTH_MAX = 4 * 1024 * 1024
_HEADER = struct.Struct("<IB")

Report = dict[str, Any]


class BadFrame(Exception):
    """Why a byte stream is no stream of commands."""


def report_frame(report: Report) -> bytes:
    """A report as it goes out: an enum's variant by its name, with its fields by theirs."""
    body: bytes = msgpack.packb(report)
    return _HEADER.pack(len(body) + 1, KIND_REPORT) + body


def take_command(buffer: bytearray) -> tuple[str, Any] | None:
    """Takes the first whole command from the buffer: its name, and what it carries. None while it is incomplete."""
    if len(buffer) < _HEADER.size:
        return None
    length, kind = _HEADER.unpack_from(buffer)
    if not 1 <= length <= FRAME_LENGTH_MAX:
        raise BadFrame(f"frame length {length}: allowed are 1 to {FRAME_LENGTH_MAX}")
    if kind != KIND_COMMAND:
        raise BadFrame(f"frame kind {kind}: {KIND_COMMAND} is expected here")
    if len(buffer) < 4 + length:
        return None
    try:
        command = msgpack.unpackb(bytes(buffer[_HEADER.size : 4 + length]))
    except Exception as why:  # msgpack's exceptions have no common base but this one
        raise BadFrame(f"frame body: {why!r}") from None
    del buffer[: 4 + length]
    if isinstance(command, str):
        return command, None
    if isinstance(command, dict) and len(command) == 1:
        name, carried = next(iter(command.items()))
        return str(name), carried
    raise BadFrame("frame body: a command is a name, or a map with one")


@dataclass(frozen=True)
class Limits:
    """How long a worker puts up with what; see mdhub's `spec::frame::Limits`, whose defaults these are."""

    front_timeout_ms: int = 30_000
    disconnects_max: int = 20
    disconnects_window_ms: int = 30_000
    login_timeout_ms: int = 10_000
    subscribe_timeout_ms: int = 10_000
    silent_ms: int = 300_000
    overflow_beats_max: int = 10
    report_timeout_ms: int = 5_000


@dataclass
class Start:
    """All that a worker needs to know."""

    protocol_version: int
    user_id: str
    password: str = field(repr=False)
    broker_id: str
    md_address: list[str]
    library: str
    flow_dir: str
    contracts: list[str]
    limits: Limits
    session_open: bool
    gateway_class: str
    connect: dict[str, str]

    @classmethod
    def of(cls, carried: Any) -> Start:
        """Reads what the command carries; raises BadFrame."""
        try:
            known = {name: carried[name] for name in ("protocol_version", "user_id", "password", "broker_id")}
            known |= {name: carried[name] for name in ("md_address", "library", "flow_dir", "contracts")}
            for name in ("md_address", "contracts"):
                if not isinstance(known[name], list) or not all(isinstance(text, str) for text in known[name]):
                    raise TypeError(f"{name} is no list of texts")
            if bare := [contract for contract in known["contracts"] if "." not in contract]:
                raise ValueError(f"contracts has {bare[0]!r}, which is no vt_symbol")
            limits = {k: int(v) for k, v in carried.get("limits", {}).items() if k in Limits.__dataclass_fields__}
            return cls(
                **known,
                limits=Limits(**limits),
                session_open=bool(carried.get("session_open", False)),
                gateway_class=str(carried.get("gateway_class", "")),
                connect=dict(carried.get("connect", {})),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as why:
            raise BadFrame(f"Start: {why!r}") from None
