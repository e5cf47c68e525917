"""The dashboard's files at the control port: where a path leads, and who is told in which way that it leads nowhere."""

from __future__ import annotations

import http.client
import json
import urllib.parse

from conftest import Hubs
from harness.world import FUTURES, live_world, settings

PROGRAMS = ("/api/nothing", "/health/nothing", "/ready/nothing", "/ws/nothing", "/metrics/nothing")


def test_a_redirect_keeps_its_query_and_programs_are_told_in_json_what_is_not_there(hubs: Hubs) -> None:
    pages = hubs.directory / "pages"
    pages.mkdir()
    for name in ("index", "accounts", "404"):
        (pages / f"{name}.html").write_text(f"<!doctype html><title>{name}</title>")
    file = settings(hubs.directory, live_world(), FUTURES)
    document = json.loads(file.read_text())
    document["http"]["dashboard"] = str(pages)
    file.write_text(json.dumps(document))
    hub = hubs.run(file)
    connection = http.client.HTTPConnection(urllib.parse.urlparse(hub.listening().http).netloc, timeout=20)

    def ask(path: str) -> tuple[int, str, str, str]:
        connection.request("GET", path)
        answer = connection.getresponse()
        kind = answer.headers.get("Content-Type", "").split(";")[0]
        return answer.status, kind, answer.headers.get("Location", ""), answer.read().decode()

    assert ask("/accounts?q=x")[:2] == (200, "text/html")
    for path, to in (("/accounts/", "/accounts"), ("/accounts/?q=x&p=%2F", "/accounts?q=x&p=%2F")):
        status, _, location, _ = ask(path)
        assert (status, location) == (308, to)
    status, kind, _, text = ask("/nothing")
    assert (status, kind) == (404, "text/html") and "<title>404" in text
    for path in PROGRAMS:
        status, kind, _, text = ask(path)
        # Behind a login nobody is told what is there.
        assert status in (401, 404) and kind == "application/problem+json", (path, status, kind, text)
        assert json.loads(text)["status"] == status
