"""What the feed tells over HTTP: who subscribes, which ticks were rejected, and the last ones, to fill a gap."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from conftest import Hubs
from harness import desired, status
from harness.api import send
from harness.hub import Hub
from harness.subscriber import Subscriber
from harness.waiting import eventually
from harness.world import FUTURES, MAIN_FRONT, LiveWorld, live_world, scenario, settings

TOKEN = "a-token-of-a-desk"
CONTRACT = "rb2701.SHFE"


def _hub(hubs: Hubs) -> tuple[Hub, Path]:
    token = {"name": "desk", "sha256": hashlib.sha256(TOKEN.encode()).hexdigest()}
    publish = {"listen": "tcp://127.0.0.1:0", "tokens": [token], "anonymous": True}
    file = settings(hubs.directory, live_world(), FUTURES, publish=publish, canaries={"list": [CONTRACT]})
    hub = hubs.run(file)
    desired.add(hub.data_dir, "ctp-main", MAIN_FRONT)
    status.wait_for_condition(hub, "ctp-main", "Ready", "True")
    return hub, file


def test_subscribers_are_shown_with_what_they_got(hubs: Hubs) -> None:
    hub, _ = _hub(hubs)
    with Subscriber(hub.listening().zmq).connected() as subscriber:
        subscriber.wait_for_ticks(20, 20)
        code, shown, _ = send(hub, "GET", "/api/subscribers")
        assert code == 200
        (one,) = shown["items"]
        assert one["address"].startswith("127.0.0.1:") and one["token"] is None
        assert one["delivered"] >= 20 and one["dropped"] == 0
        assert (one["subscriptions"], one["topics"]) == (1, [""]), "everything"
    gone = lambda: send(hub, "GET", "/api/subscribers")[1]["items"] == []
    eventually(gone, 20, "nobody to be left")


def test_a_rejected_tick_is_shown_with_its_rule_and_as_the_vendor_wrote_it(hubs: Hubs) -> None:
    hub, file = _hub(hubs)
    with LiveWorld.beside(file).playing(MAIN_FRONT, scenario("junk_time", form="nines", instruments=["rb2701"], rate=0.5)):
        path = f"/api/quarantine?vt_symbol={CONTRACT}&source=ctp-main&rule=bad_time"
        found = eventually(lambda: page if (page := send(hub, "GET", path)[1])["items"] else None, 20, "a rejected tick")
    tick = found["items"][0]
    assert (tick["rule"], tick["source"], tick["vt_symbol"]) == ("bad_time", "ctp-main", CONTRACT)
    assert tick["raw"]["instrument"] == "rb2701" and tick["raw"]["update_time"] == "99:99:99"
    assert tick["last"]["volume"] >= 0 and tick["last"]["exchange_time_ms"] > 1_700_000_000_000, "what it was compared with"
    assert tick["reason"] and tick["read_at_ms"] > 1_700_000_000_000
    assert {"vt_symbol": CONTRACT, "count": found["by_contract"][0]["count"]} in found["by_contract"]
    assert send(hub, "GET", "/api/quarantine?rule=crossed_book")[1]["items"] == []
    for path, code in [("rule=nonsense", 400), ("limit=0", 400), ("source=nobody", 404), ("vt_symbol=rb2701", 400)]:
        assert send(hub, "GET", f"/api/quarantine?{path}")[0] == code, path


def test_a_gap_is_filled_with_a_publish_token_that_reads_nothing_else(hubs: Hubs) -> None:
    hub, _ = _hub(hubs)
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    with Subscriber(hub.listening().zmq, CONTRACT).connected() as subscriber:
        subscriber.wait_for_ticks(12, 30)
        seen = [tick.payload for tick in subscriber.ticks()]
        after, epoch = seen[3]["seq"], seen[3]["epoch"]
        code, filled, _ = send(hub, "GET", f"/api/ticks/{CONTRACT}?epoch={epoch}&after_seq={after}&limit=5", headers=bearer)
        assert code == 200, filled
    wanted = [(p["seq"], str(p["tid"]), p["last_price"]) for p in seen[4:9]]
    assert [(t["seq"], t["tid"], t["last_price"]) for t in filled["items"]] == wanted
    assert filled["items"][0]["datetime"].endswith("+08:00") and filled["items"][0]["epoch"] == str(epoch)

    assert filled["epoch"] == str(epoch)

    code, newest, _ = send(hub, "GET", f"/api/ticks/{CONTRACT}?limit=3", headers=bearer)
    assert code == 200 and [t["seq"] for t in newest["items"]] == list(range(newest["items"][0]["seq"], newest["items"][0]["seq"] + 3))
    assert newest["items"][0]["seq"] >= seen[-1]["seq"] - 2, "the newest, and not the first that there are"

    code, problem, _ = send(hub, "GET", f"/api/ticks/{CONTRACT}?epoch=1&after_seq=0", headers=bearer)
    assert (code, problem["epoch"]) == (410, str(epoch)) and problem["oldest_seq"] >= 1
    assert send(hub, "GET", f"/api/ticks/{CONTRACT}?limit=1")[0] == 200, "the administrator may as well"
    assert send(hub, "GET", "/api/ticks/zz9999.SHFE", headers=bearer)[0] == 404
    assert send(hub, "GET", "/api/ticks/nonsense", headers=bearer)[0] == 400
    wrong = {"Authorization": "Bearer not-a-token-of-ours"}
    assert {send(hub, "GET", f"/api/ticks/{CONTRACT}", headers=wrong)[0] for _ in range(20)} == {401}
    eventually(lambda: "wrong tokens at the control port" in hub.log(), 20, "the log to tell of it")
    assert hub.log().count("wrong tokens at the control port") == 1, "and of all of them once in a minute"
    assert "not-a-token-of-ours" not in hub.log()
    for path in ("/api/accounts", "/api/gateways", "/api/subscribers", "/api/events", "/api/logs"):
        assert send(hub, "GET", path, headers=bearer)[0] == 401, path
    assert TOKEN not in hub.log() and TOKEN not in json.dumps(filled)
