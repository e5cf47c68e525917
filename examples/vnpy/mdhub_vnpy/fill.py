"""Ticks that were missed, from the hub's control port: `GET /api/ticks/{vt_symbol}?epoch=E&after_seq=N`."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from datetime import datetime
from http.client import HTTPException
from typing import Any

from mdhub_vnpy.sequence import Fill, Tick

_TIMES = ("datetime", "localtime")
_BODY_BYTES_MAX = 16 << 20

# What comes of an address that is another program's, or of an answer that is none of a hub's.
_NO_ANSWER = (OSError, ValueError, HTTPException, LookupError, TypeError, AttributeError)

# Straight to the hub: a proxy of the environment's is for the world outside.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Unfilled(Exception):
    """Why a gap cannot be filled."""


def fetch(control: str, token: str, fill: Fill, within_s: float) -> list[Tick]:
    """The ticks of a gap, oldest first; fewer where the oldest have left the hub's log.

    Raises `Unfilled` when there are none to be had.
    """
    try:
        return _ask(control, token, fill, fill.after_seq, within_s)
    except urllib.error.HTTPError as error:
        problem = _problem(error)
        oldest = problem.get("oldest_seq")
        is_epochs = problem.get("epoch") == str(fill.epoch)
        if error.code != 410 or not is_epochs or not isinstance(oldest, int) or oldest > fill.up_to_seq:
            raise Unfilled(f"{error.code}: {problem.get('detail', error.reason)}") from error
    except _NO_ANSWER as error:
        raise Unfilled(str(error) or type(error).__name__) from error
    try:
        return _ask(control, token, fill, max(oldest - 1, fill.after_seq), within_s)
    except _NO_ANSWER as error:
        raise Unfilled(str(error) or type(error).__name__) from error


def _ask(control: str, token: str, fill: Fill, after_seq: int, within_s: float) -> list[Tick]:
    path = f"/api/ticks/{urllib.parse.quote(fill.vt_symbol)}"
    limit = fill.up_to_seq - after_seq
    query = urllib.parse.urlencode({"epoch": fill.epoch, "after_seq": after_seq, "limit": limit})
    request = urllib.request.Request(f"{control}{path}?{query}", headers={"Authorization": f"Bearer {token}"})
    with _OPENER.open(request, timeout=within_s) as answer:
        page = json.loads(answer.read(_BODY_BYTES_MAX))
    ticks = [from_json(item) for item in page["items"]]
    return [tick for tick in ticks if all(isinstance(tick[name], int) for name in ("seq", "epoch", "tid", "flags"))]


def _problem(error: urllib.error.HTTPError) -> dict[str, Any]:
    try:
        problem = json.loads(error.read(_BODY_BYTES_MAX))
    except (OSError, ValueError, HTTPException):
        return {}
    return problem if isinstance(problem, dict) else {}


def from_json(item: dict[str, Any]) -> Tick:
    """A tick of the control port as the stream would have brought it: there, what JSON would round is text."""
    tick = dict(item)
    for name, value in item.items():
        if name in _TIMES:
            tick[name] = datetime.fromisoformat(value)
        elif name in ("tid", "epoch") or name.endswith("_ns"):
            tick[name] = int(value)
    return tick
