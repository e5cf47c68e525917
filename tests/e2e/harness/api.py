"""The control port, as scripts use it: JSON over HTTP with the administrator's password."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from typing import Any

from harness.hub import Hub


def initial_password(hub: Hub) -> str:
    """The one that was made at the first start."""
    return (hub.data_dir / "initial-admin-password").read_text().strip()


def basic(hub: Hub) -> str:
    """What goes into the header Authorization."""
    return "Basic " + base64.b64encode(f"admin:{initial_password(hub)}".encode()).decode()


def get(hub: Hub, path: str) -> tuple[int, Any]:
    """Status and body of a GET."""
    request = urllib.request.Request(hub.listening().http + path, headers={"Authorization": basic(hub)})
    try:
        with urllib.request.urlopen(request, timeout=40) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as problem:
        return problem.code, json.load(problem)


def send(
    hub: Hub, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
) -> tuple[int, Any, dict[str, str]]:
    """Status, document (None where there is none, a list of documents where each has its line) and header of any request."""
    data = None if body is None else json.dumps(body).encode()
    asked = {"Authorization": basic(hub), "Content-Type": "application/json", **(headers or {})}
    request = urllib.request.Request(hub.listening().http + path, data=data, headers=asked, method=method)
    try:
        with urllib.request.urlopen(request, timeout=40) as answer:
            text, status, got = answer.read(), answer.status, dict(answer.headers)
    except urllib.error.HTTPError as problem:
        text, status, got = problem.read(), problem.code, dict(problem.headers)
    head = {name.lower(): value for name, value in got.items()}
    kind = head.get("content-type", "").split(";")[0]
    if kind == "text/plain":
        return status, text.decode(), head
    if kind == "application/x-ndjson":
        return status, [json.loads(line) for line in text.splitlines()], head
    return status, json.loads(text) if text else None, head


def logs(hub: Hub, query: str = "") -> list[dict[str, Any]]:
    """The lines of `GET /api/logs`, newest first."""
    status, page = get(hub, f"/api/logs?limit=1000&{query}")
    assert status == 200, page
    items: list[dict[str, Any]] = page["items"]
    return items
