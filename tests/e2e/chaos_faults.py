"""The faults of chaos: how each is done to a source, whether the hub has to notice it, and what ends it."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chaos_stage import POLL_S, Source, Stage
from harness import desired, status
from harness.hub import mdhub
from harness.processes import Worker, exists
from harness.waiting import eventually
from harness.world import scenario

NOTICED_WITHIN_S = 40.0
CTP, ALL = frozenset({"ctp"}), frozenset({"ctp", "sopt"})


@dataclass
class Scene:
    """One fault that happens to one source."""

    stage: Stage
    source: Source
    old: Worker
    dice: random.Random

    @property
    def account(self) -> str:
        """Whom it befalls."""
        return self.source.account

    def play(self, *kinds: Any) -> None:
        """From now on exactly these go wrong at its front."""
        self.stage.play(self.source, *kinds)

    def signal(self, number: signal.Signals) -> None:
        """To its process, if it is still there."""
        try:
            os.kill(self.old.pid, number)
        except ProcessLookupError:
            pass

    def command(self, *words: str) -> None:
        """`mdhub account WORDS`."""
        desired.change(self.stage.hub.data_dir, *words)

    def sql(self, assignment: str, *values: object) -> None:
        """An edit by hand."""
        statement = f"UPDATE accounts SET {assignment} WHERE id = ?"
        assert desired.by_hand(self.stage.hub.data_dir, statement, *values, self.account) == 1

    def is_noticed(self) -> bool:
        """Whether status.json says that something is the matter, or that another process has come."""
        now = status.of_account(self.stage.hub, self.account)
        return bool(now) and (now.get("phase") != "Healthy" or now.get("incarnation") != self.old.incarnation)

    def until_noticed(self) -> None:
        """Waits for the hub's word."""
        self.until(self.is_noticed, "noticed")

    def until_gone(self) -> None:
        """Waits until its process is no more."""
        self.until(lambda: not exists(self.old.pid), "ended")

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Waits, not for ever."""
        eventually(condition, NOTICED_WITHIN_S, f"{self.account} to be {what}", POLL_S)


def nothing(_scene: Scene) -> None:
    """The fault is over by itself."""


@dataclass(frozen=True)
class Fault:
    """A kind of fault. `cure` runs once it is noticed; `is_noticed` is None where the hub may well sleep through it."""

    name: str
    inject: Callable[[Scene], None]
    cure: Callable[[Scene], None] = nothing
    is_noticed: Callable[[Scene], bool] | None = Scene.is_noticed
    kinds: frozenset[str] = ALL
    keeps_process: bool = False


def _pause(scene: Scene) -> None:
    scene.signal(signal.SIGSTOP)
    time.sleep(scene.dice.uniform(0.2, 1.5))
    scene.signal(signal.SIGCONT)


def _thaw(scene: Scene) -> None:
    scene.signal(signal.SIGCONT)


def _end(scene: Scene) -> None:
    scene.play()


def _end_now_or_when_gone(scene: Scene) -> None:
    if scene.dice.random() < 0.5:
        scene.until_gone()
    scene.play()


def _stall_one_exchange(scene: Scene) -> None:
    scene.play(scenario("stall", exchanges=["DCE"]))


def _storm(scene: Scene) -> None:
    scene.play(scenario(scene.dice.choice(["drop_storm", "junk_storm"])))  # type: ignore[arg-type]


def _relogin(kind: str) -> Callable[[Scene], None]:
    return lambda scene: scene.play(scenario(kind), scenario("disconnect", reconnect_ms=50))  # type: ignore[arg-type]


def _blocked(scene: Scene) -> bool:
    return bool(status.condition(scene.stage.hub, scene.account, "Blocked").get("status") == "True")


def _unblock(scene: Scene) -> None:
    scene.play()
    scene.sql("secrets = ?", json.dumps({"password": f"another-{scene.dice.random()}"}))


def _garbage(scene: Scene) -> None:
    # Beside each true record: two of three are rejected.
    scene.play(scenario("junk_time", form="nines"), scenario("junk_time", form="empty_time"))


def _off(scene: Scene) -> None:
    scene.command("disable", scene.account)
    scene.until_gone()


def _on(scene: Scene) -> None:
    scene.command("enable", scene.account)


def _held_down(scene: Scene) -> None:
    scene.command("stop", scene.account)
    scene.until_gone()


def _let_go(scene: Scene) -> None:
    scene.command("start", scene.account)


def _edit_by_command(scene: Scene) -> None:
    row = desired.listed(scene.stage.hub.data_dir)[scene.account]
    row["settings"]["user_id"] = f"user-{scene.dice.randrange(1_000_000)}"
    wanted = ("id", "gateway", "settings", "priority", "is_enabled", "suspended", "description")
    document = {"apiVersion": "mdhub/v1", "kind": "Account", **{key: row[key] for key in wanted}}
    done = mdhub("apply", "-f", "-", "--data-dir", str(scene.stage.hub.data_dir), stdin=json.dumps(document))
    assert done.returncode == 0, done.stderr


def _edit_by_sql(scene: Scene) -> None:
    scene.sql("settings = json_set(settings, '$.user_id', ?)", f"user-{scene.dice.randrange(1_000_000)}")


def _another_priority(scene: Scene) -> None:
    scene.sql("priority = ?", scene.dice.randrange(1, 9))


def _deaf(scene: Scene) -> None:
    scene.play(scenario("ignore_term"))
    # The library looks at its world every 50 ms.
    time.sleep(0.3)
    scene.command("restart", scene.account)


FAULTS = [
    Fault("kill -9", lambda s: s.signal(signal.SIGKILL)),
    Fault("SIGSTOP for good", lambda s: s.signal(signal.SIGSTOP)),
    Fault("SIGSTOP until noticed", lambda s: s.signal(signal.SIGSTOP), _thaw),
    Fault("SIGSTOP for a moment", _pause, is_noticed=None, keeps_process=True),
    Fault("stall", lambda s: s.play(scenario("stall")), _end_now_or_when_gone),
    Fault("one exchange silent", _stall_one_exchange, _end, kinds=CTP, keeps_process=True),
    Fault("reconnect storm", _storm, _end_now_or_when_gone),
    Fault("disconnect", lambda s: s.play(scenario("disconnect", reconnect_ms=1_200)), _end),
    Fault("login refused", _relogin("login_refused"), _unblock, _blocked),
    Fault("not initialised", _relogin("not_initialised"), _end),
    Fault("garbage ticks", _garbage, _end_now_or_when_gone),
    Fault("abort", lambda s: s.play(scenario("abort")), _end),
    Fault("segfault", lambda s: s.play(scenario("segfault")), _end),
    Fault("hang in a callback", lambda s: s.play(scenario("endless", at="callback")), _end),
    Fault("deaf to TERM, restarted", _deaf, _end),
    Fault("restart by command", lambda s: s.command("restart", s.account)),
    Fault("disable, enable", _off, _on),
    Fault("stop, start", _held_down, _let_go),
    Fault("edit by command", _edit_by_command),
    Fault("edit by SQL", _edit_by_sql),
    Fault("priority by SQL", _another_priority, is_noticed=None, keeps_process=True),
]


@dataclass(frozen=True)
class Dealt:
    """The `number`th fault of a run."""

    number: int
    fault: Fault
    account: str


def deal(seed: int, count: int, sources: dict[str, str]) -> list[Dealt]:
    """The sequence that a seed stands for, over accounts by kind: every fault comes equally often, nobody waits long
    for a turn."""
    dice, dealt = random.Random(seed), []
    # Of the sources of one kind, all but one may be ill at once.
    number_of = {kind: sum(k == kind for k in sources.values()) for kind in sources.values()}
    share = {account: 1 - 1 / number_of[kind] for account, kind in sources.items()}
    load = dict.fromkeys(sources, 0.0)
    bag: list[Fault] = []
    for number in range(count):
        if not bag:
            bag = dice.sample(FAULTS, len(FAULTS))
        fault = bag.pop()
        able = [account for account, kind in sources.items() if kind in fault.kinds]
        account = min(able, key=lambda a: (load[a], dice.random()))
        load[account] += 1 / share[account]
        dealt.append(Dealt(number, fault, account))
    return dealt
