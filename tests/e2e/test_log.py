"""What the hub's log tells the person who is woken."""

from __future__ import annotations

import re

from conftest import Demo
from harness.waiting import eventually


def test_the_log_tells_each_accounts_connection_states(demo: Demo) -> None:
    for account in ("ctp-main", "ctp-backup", "sopt-main"):
        for state in ("front connected", "logged in, trading day", "ready:"):
            line = re.compile(rf'{state}.*account="{account}"')
            eventually(lambda line=line: line.search(demo.hub.log()), 20, f"{state!r} of {account} in the log")


def test_the_log_tells_each_contracts_first_tick_once(demo: Demo) -> None:
    for symbol, accounts in {"rb2701": ("ctp-main", "ctp-backup"), "510050": ("sopt-main",)}.items():
        for account in accounts:
            line = re.compile(rf'first tick {symbol} .*account="{account}"')
            eventually(lambda line=line: line.search(demo.hub.log()), 20, f"the first tick of {symbol} from {account}")
            assert len(line.findall(demo.hub.log())) == 1
