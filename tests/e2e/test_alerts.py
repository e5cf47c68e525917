"""People are told of errors: by real mail over STARTTLS with a login, and by posts. Once each, and never lost."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import Hubs
from harness import desired
from harness.alerts import PASSWORD, MailServer, Robots, signature
from harness.hub import Hub, mdhub
from harness.waiting import eventually
from harness.world import BACKUP_FRONT, FUTURES, MAIN_FRONT, live_world, settings

TO = "ops@desk.example"
RAISED = "ctp-main: ProcessExited"
OVER = "ctp-main: ProcessExited is over"
WITHIN_S = 10.0
# An incident that is over before it is told is one message; here it lasts until it is told.
HEALTH = {"backoff_min_ms": 3000, "backoff_max_ms": 3000}
SOON = {"gather_ms": 100}


@pytest.fixture
def mail(tmp_path: Path) -> MailServer:
    """A mail server that does not run yet."""
    return MailServer(tmp_path / "mail")


@pytest.fixture
def robots() -> Iterator[Robots]:
    """Receivers of posts."""
    listening = Robots()
    yield listening
    listening.close()


def hub_of(hubs: Hubs, alerts: dict[str, Any], **environment: str) -> Hub:
    """A hub with two futures sources, both running."""
    world = live_world(hubs.journals)
    file = settings(hubs.directory, world, FUTURES, health=HEALTH, alerts={**SOON, **alerts})
    hub = hubs.run(file, **environment)
    desired.add(hub.data_dir, "ctp-main", MAIN_FRONT)
    desired.add(hub.data_dir, "ctp-backup", BACKUP_FRONT, priority=2)
    for account in ("ctp-main", "ctp-backup"):
        hub.running(account)
    return hub


def kill(hub: Hub) -> float:
    """Kills the worker of ctp-main; when (monotonic seconds)."""
    worker = hub.running("ctp-main")
    at = time.monotonic()
    os.kill(worker.pid, signal.SIGKILL)
    eventually(lambda: hub.running("ctp-main").pid != worker.pid or None, 20, "a new process")
    return at


def alerts_of(hub: Hub) -> dict[str, Any]:
    """The counters of the alerts."""
    return dict(hub.vitals().get("alerts", {}))


def test_an_error_is_mailed_once_within_ten_seconds_and_its_end_follows(hubs: Hubs, mail: MailServer) -> None:
    with mail.running():
        hub = hub_of(hubs, {"mail_to": [TO]}, **mail.environment())
        killed_at = kill(hub)
        took_s = mail.wait_for(RAISED) - killed_at
        print(f"the mail came {took_s:.1f} s after the kill")
        assert took_s < WITHIN_S
        mail.wait_for(OVER)
        _, first, to = mail.received[0]
        assert (to, first["From"]) == ([TO], "desk@localhost")
        assert "signal 9" in first.get_content()
        assert mail.subjects() == [RAISED, OVER]
        assert PASSWORD not in hub.log()


def test_mail_waits_for_a_server_that_is_down_even_over_a_restart_of_the_hub(hubs: Hubs, mail: MailServer) -> None:
    hub = hub_of(hubs, {"mail_to": [TO]}, **mail.environment())
    kill(hub)
    eventually(lambda: alerts_of(hub).get("failed") or None, 30, "a try that fails")
    assert "an alert is not delivered" in hub.log()
    hub.process.kill()
    hub.process.wait()
    hub.clear_away()
    assert PASSWORD not in (hub.data_dir / "alerts.json").read_text()
    with mail.running():
        hubs.run(hubs.directory / "mdhub.yaml", **mail.environment())
        mail.wait_for(RAISED)


def test_many_errors_of_one_cause_are_few_mails(hubs: Hubs, mail: MailServer) -> None:
    with mail.running():
        hub = hub_of(hubs, {"mail_to": [TO], "gather_ms": 20_000}, **mail.environment())
        for _ in range(4):
            kill(hub)
        mail.wait_for(f"{RAISED} (over already)", within_s=60)
        assert "4 times" in mail.received[0][1].get_content()
        eventually(lambda: alerts_of(hub).get("open") == 0 or None, 30, "the incident's end")
        assert len([subject for subject in mail.subjects() if "ProcessExited" in subject]) == 1, mail.subjects()


def test_a_wrong_password_or_an_unknown_authority_is_said_without_the_password(hubs: Hubs, mail: MailServer) -> None:
    file = settings(hubs.directory, live_world(hubs.journals), FUTURES, alerts={"mail_to": [TO]})
    with mail.running():
        wrong = mdhub("alert", "test", "--config", str(file), **mail.environment("wrong-3b1c"))
        assert wrong.returncode == 1
        assert mail.refused_logins == 1
        assert "mail: " in wrong.stderr
        assert "wrong-3b1c" not in wrong.stderr + wrong.stdout
        strange = mdhub("alert", "test", "--config", str(file), MDHUB_SMTP_URL=mail.url())
        assert strange.returncode == 1
        assert "certificate" in strange.stderr
        right = mdhub("alert", "test", "--config", str(file), **mail.environment())
        assert (right.returncode, right.stdout) == (0, "mail: delivered\n")
        assert mail.subjects() == ["a test of the alerts"]


def test_without_anybody_to_tell_the_hub_says_so_and_runs(hubs: Hubs) -> None:
    file = settings(hubs.directory, live_world(hubs.journals), FUTURES, alerts={"mail_to": [TO]})
    hub = hubs.run(file)
    eventually(lambda: "AlertsDisabled" in hub.log() or None, 10, "AlertsDisabled")
    assert "MDHUB_SMTP_URL" in hub.log()
    eventually(lambda: alerts_of(hub).get("channels") == 0 or None, 10, "no channels in vitals.json")
    told = mdhub("alert", "test", "--config", str(file))
    assert told.returncode == 1
    assert "alerts.mail_to needs a mail server" in told.stderr


def test_robots_get_posts_in_their_own_form_and_signed(hubs: Hubs, robots: Robots) -> None:
    files = {}
    for name in ("wecom", "dingtalk", "feishu", "generic"):
        files[name] = hubs.directory / f"{name}.url"
        files[name].write_text(f"{robots.url}/{name}?token=t-51b2\n")
    (hubs.directory / "key").write_text("SEC-key\n")
    webhooks = [{"name": name, "kind": name, "url_file": file.name} for name, file in files.items()]
    for webhook in webhooks:
        if webhook["kind"] in ("dingtalk", "feishu"):
            webhook["secret_file"] = "key"
    hub = hub_of(hubs, {"webhooks": webhooks, "deadman_url": f"{robots.url}/alive"})
    killed_ms = time.time() * 1000
    kill(hub)
    for name in ("wecom", "dingtalk"):
        text = robots.wait_for(f"/{name}")[0].body
        assert text["msgtype"] == "text"
        assert text["text"]["content"].startswith(f"[mdhub] {RAISED}\n")
    dingtalk = robots.of("/dingtalk")[0]
    stamp = dingtalk.query("timestamp")
    assert abs(int(stamp) - killed_ms) < 60_000
    assert dingtalk.query("sign") == signature("SEC-key", f"{stamp}\nSEC-key")
    feishu = robots.wait_for("/feishu")[0].body
    assert feishu["content"]["text"].startswith("[mdhub]")
    assert feishu["sign"] == signature(f"{feishu['timestamp']}\nSEC-key", "")
    generic = robots.wait_for("/generic")[0].body["alert"]
    assert (generic["kind"], generic["account"], generic["cause"]) == ("raised", "ctp-main", "ProcessExited")
    eventually(lambda: "/alive" in robots.pings or None, 10, "the deadman's ping")
    assert "t-51b2" not in hub.log()


def test_a_robot_that_refuses_is_asked_again(hubs: Hubs, robots: Robots) -> None:
    (hubs.directory / "url").write_text(f"{robots.url}/wecom?key=k")
    robots.answer = {"errcode": 45009, "errmsg": "api freq out of limit"}
    hub = hub_of(hubs, {"webhooks": [{"name": "ops", "kind": "wecom", "url_file": "url"}]})
    kill(hub)
    robots.wait_for("/wecom", 2)
    assert "45009" in hub.log()
    robots.answer = {"errcode": 0}
    eventually(lambda: alerts_of(hub).get("delivered") or None, 60, "a delivery")
