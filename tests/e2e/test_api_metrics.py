"""What Prometheus is told, read with its own parser, beside what a subscriber sees and a kill does."""

from __future__ import annotations

import json
import os
import re
import signal
import urllib.request
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from conftest import Hubs
from harness.hub import Hub
from harness.places import REPOSITORY
from harness.subscriber import Subscriber
from harness.waiting import eventually

MONITORING = REPOSITORY / "examples" / "monitoring"
DOCUMENT = REPOSITORY / "docs" / "metrics.md"


def told(hub: Hub) -> str:
    """The text; whoever asks needs no password."""
    with urllib.request.urlopen(f"{hub.listening().http}/metrics", timeout=10) as answer:
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        text: str = answer.read().decode()
        return text


def samples(hub: Hub) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every number, by name and labels."""
    found = {}
    for family in text_string_to_metric_families(told(hub)):
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found, f"told twice: {key}"
            found[key] = sample.value
    return found


def value(hub: Hub, name: str, **labels: str) -> float:
    """One number."""
    return samples(hub).get((name, tuple(sorted(labels.items()))), float("nan"))


def test_counters_agree_with_what_a_subscriber_gets_and_a_kill_is_counted(hubs: Hubs) -> None:
    hub = hubs.live()
    with Subscriber(hub.listening().zmq).connected() as subscriber:
        eventually(lambda: value(hub, "mdhub_subscribers") == 1, 20, "a subscriber")
        before = value(hub, "mdhub_ticks_delivered_total")
        subscriber.wait_for_ticks(50, 20)
        eventually(lambda: value(hub, "mdhub_ticks_delivered_total") >= before + 50, 20, "ticks are counted")
    assert value(hub, "mdhub_gateway_condition", account="ctp-main", condition="Ready", status="True") == 1
    all_ = samples(hub)
    published = all_["mdhub_ticks_published_total", ()]
    latencies = all_["mdhub_tick_latency_seconds_count", ()]
    assert 0 < latencies <= published
    assert all_["mdhub_tick_latency_seconds_bucket", (("le", "+Inf"),)] == latencies
    assert 0 < all_["mdhub_tick_latency_seconds_sum", ()] / latencies < 1
    buckets = [v for (name, labels), v in all_.items() if name == "mdhub_tick_latency_seconds_bucket"]
    assert buckets == sorted(buckets), "a bucket has fewer than the one before"
    won = sum(v for (name, _), v in all_.items() if name == "mdhub_source_ticks_won_total")
    assert won == published or won >= published
    worker = hub.worker("ctp-main")
    assert worker is not None
    os.kill(worker.pid, signal.SIGKILL)
    eventually(lambda: value(hub, "mdhub_gateway_restarts_total", account="ctp-main") == 1, 20, "the restart is counted")
    eventually(lambda: value(hub, "mdhub_gateway_phase", account="ctp-main", kind="ctp", phase="Healthy") == 1, 30, "it is back")


def test_what_the_dashboard_and_the_rules_name_is_told_and_documented(hubs: Hubs) -> None:
    hub = hubs.live()
    families = {f.name if f.type != "counter" else f"{f.name}_total": f for f in text_string_to_metric_families(told(hub))}
    text = "".join(path.read_text() for path in MONITORING.iterdir())
    json.loads((MONITORING / "mdhub-grafana.json").read_text())
    named = {re.sub("_(bucket|sum|count)$", "", name) for name in re.findall(r"\bmdhub_\w+", text)}
    assert len(named) > 15 and named <= families.keys(), named - families.keys()
    rows = re.findall(r"^\| `(mdhub_\w+)` \| (\w+) \|", Path(DOCUMENT).read_text(), re.MULTILINE)
    assert dict(rows) == {name: family.type for name, family in families.items()}, "docs/metrics.md says otherwise"
    assert all(family.documentation for family in families.values())
