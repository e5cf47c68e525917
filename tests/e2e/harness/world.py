"""What a hub is given: the simulated vendor library's world, and a settings file that points to it.

The library looks at its world every 50 ms, so that a test changes what goes wrong while the hub runs:

    world = LiveWorld.beside(hub_settings)
    with world.playing(MAIN_FRONT, scenario("stall", exchanges=["DCE"])):
        ...

Every kind and parameter, and what it imitates: gateways/simapi/src/scenario.rs, the table at its top.
"""

from __future__ import annotations

import csv
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from harness.places import SIMULATED_LIBRARY

MAIN_FRONT = "tcp://127.0.0.1:41213"
BACKUP_FRONT = "tcp://127.0.0.1:41214"
OPTION_FRONT = "tcp://127.0.0.1:41215"

SYNTHETIC = {"kind": "synthetic", "interval_ms": 500, "levels": 1}
FUTURES = [
    "rb2701.SHFE",
    "au2612.SHFE",
    "sc2701.INE",
    "m2705.DCE",
    "MA701.CZCE",
    "IF2612.CFFEX",
    "si2701.GFEX",
    "SPD MA701&MA705.CZCE",
]
OPTIONS = ["10009123.SSE", "510050.SSE"]


Kind = Literal[
    "refused",
    "drop_storm",
    "junk_storm",
    "disconnect",
    "heartbeat_warning",
    "login_refused",
    "not_initialised",
    "login_silent",
    "ack_late",
    "ack_missing",
    "subscription_refused",
    "stall",
    "absent_values",
    "junk_time",
    "backwards_volume",
    "backwards_turnover",
    "jump",
    "crossed_book",
    "negative_price",
    "same_second",
    "stray_instrument",
    "closing_resend",
    "night_replay",
    "disagree",
    "wrong_action_day",
    "wrong_trading_day",
    "abort",
    "segfault",
    "endless",
    "ignore_term",
    "fork",
    "flood",
    "leak",
]

Scenario = dict[str, Any]


def scenario(  # noqa: PLR0913
    kind: Kind,
    *,
    name: str | None = None,
    since_ms: int | Literal["now"] | None = None,
    after_ms: int | None = None,
    after_ticks: int | None = None,
    for_ms: int | None = None,
    every_ms: int | None = None,
    times: int | None = None,
    exchanges: list[str] | None = None,
    instruments: list[str] | None = None,
    rate: float | None = None,
    instead: bool | None = None,
    **parameters: Any,
) -> Scenario:
    """One thing that goes wrong at a front; what is left out has the library's default.

    `since_ms` is what `after_ms` counts from (ms since the epoch): with "now" a worker that is started again goes on in
    the same scenario, and without it the scenario begins anew in each worker. `name` tells two that are otherwise alike
    apart: under a new name an event fires again. `parameters` are the kind's own, such as `error` of "login_refused".
    """
    common = {
        "name": name,
        "since_ms": time.time_ns() // 1_000_000 if since_ms == "now" else since_ms,
        "after_ms": after_ms,
        "after_ticks": after_ticks,
        "for_ms": for_ms,
        "every_ms": every_ms,
        "times": times,
        "exchanges": exchanges,
        "instruments": instruments,
        "rate": rate,
        "instead": instead,
    }
    return {"kind": kind, **{key: value for key, value in common.items() if value is not None}, **parameters}


@dataclass(frozen=True)
class Front:
    """How one front delivers. `delay_ms` is market time in a replay; loss shares 0 and 1 never lose the same record.

    The journal gets `index,mono_ns` for each true record, the tape a row for each record, true or dirty: see `TapeRow`.
    """

    delay_ms: float = 0.0
    loss_rate: float = 0.0
    loss_share: int = 0
    connect_ms: int = 20
    journal: Path | None = None
    tape: Path | None = None
    scenarios: tuple[Scenario, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The front as the world file spells it."""
        fields = {name: getattr(self, name) for name in ("delay_ms", "loss_rate", "loss_share", "connect_ms")}
        files = {"journal": self.journal, "tape": self.tape}
        named = {name: str(path) if path else None for name, path in files.items()}
        return {**fields, **named, "scenarios": list(self.scenarios)}


@dataclass(frozen=True)
class World:
    """A market and the fronts that carry it."""

    fronts: dict[str, Front]
    market: dict[str, Any] = field(default_factory=lambda: dict(SYNTHETIC))
    seed: int = 1

    def write(self, directory: Path) -> Path:
        """Writes `world.json`."""
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / "world.json"
        fronts = {address: front.as_json() for address, front in self.fronts.items()}
        _replace(path, {"seed": self.seed, "market": self.market, "fronts": fronts})
        return path


def _replace(path: Path, document: dict[str, Any]) -> None:
    """Puts a whole new file into the place of the old one: nobody ever sees half of it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(document, indent=2))
    draft.replace(path)


@dataclass(frozen=True)
class LiveWorld:
    """The world file of a hub that runs. A change is in force within 100 ms in every worker, and at once in a new one."""

    path: Path

    @classmethod
    def beside(cls, settings_file: Path) -> LiveWorld:
        """The world of the settings file that `settings` wrote."""
        return cls(settings_file.with_name("world.json"))

    def scenarios(self, front: str) -> list[Scenario]:
        """What goes wrong at a front."""
        return list(self._read()["fronts"].get(front, {}).get("scenarios", []))

    def play(self, front: str, *scenarios: Scenario) -> None:
        """From now on exactly these go wrong at a front; those that stay as they were go on, the others end."""
        self.change(front, scenarios=list(scenarios))

    def add(self, front: str, *scenarios: Scenario) -> None:
        """These go wrong too."""
        self.play(front, *self.scenarios(front), *scenarios)

    def end(self, front: str, *scenarios: Scenario) -> None:
        """These no longer go wrong; without any, nothing does."""
        self.play(front, *(s for s in self.scenarios(front) if scenarios and s not in scenarios))

    @contextmanager
    def playing(self, front: str, *scenarios: Scenario) -> Iterator[None]:
        """These go wrong too, for as long as the block lasts."""
        self.add(front, *scenarios)
        try:
            yield
        finally:
            self.end(front, *scenarios)

    def change(self, front: str, **fields: Any) -> None:
        """Sets fields of a front, by the world file's names: `delay_ms`, `loss_rate`, `tape` ..."""
        document = self._read()
        document["fronts"].setdefault(front, {}).update(fields)
        _replace(self.path, document)

    def remove(self, front: str) -> None:
        """Nothing listens at the front any more; `change` brings one back."""
        document = self._read()
        document["fronts"].pop(front, None)
        _replace(self.path, document)

    def _read(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.path.read_text())
        return document


@dataclass(frozen=True)
class TapeRow:
    """One record as a front handed it over. `index` is the true record's, or that of the one that a dirty record was made
    from; `kind` is "true" or the scenario's. `moment_ns` is CLOCK_MONOTONIC. An absent price is CTP's 1.7976...e308."""

    index: int
    moment_ns: int
    kind: str
    instrument: str
    trading_day: str
    action_day: str
    update_time: str
    update_ms: int
    volume: int
    turnover: float
    open_interest: float
    last: float
    bid_price: float
    bid_volume: int
    ask_price: float
    ask_volume: int

    @property
    def is_true(self) -> bool:
        """Whether the market said so."""
        return self.kind == "true"


def read_tape(path: Path) -> list[TapeRow]:
    """The whole rows of a tape that may still grow, in the order in which they were handed over."""
    whole = path.read_text().rpartition("\n")[0] if path.is_file() else ""
    rows = []
    for row in csv.reader(whole.splitlines()):
        head = (int(row[0]), int(row[1]), row[2], row[3], row[4], row[5], row[6], int(row[7]), int(row[8]))
        prices = [float(value) for value in row[9:12]]
        best = (float(row[12]), int(row[13]), float(row[14]), int(row[15]))
        rows.append(TapeRow(*head, *prices, *best))
    return rows


def live_world(journals: tuple[Path, Path] | None = None) -> World:
    """Three fronts on the synthetic market; two of them carry the same futures, and keep journals if asked to."""
    main, backup = journals or (None, None)
    return World({MAIN_FRONT: Front(journal=main), BACKUP_FRONT: Front(journal=backup), OPTION_FRONT: Front()})


def settings(directory: Path, world: World, contracts: list[str], **more: Any) -> Path:
    """Writes `mdhub.yaml` beside the world: free ports, library `sim`, and the sections in `more`. JSON is YAML too."""
    document: dict[str, Any] = {
        "apiVersion": "mdhub/v1",
        "kind": "Hub",
        "http": {"listen": "127.0.0.1:0"},
        "publish": {"listen": "tcp://127.0.0.1:0"},
        "contracts": {"list": contracts},
        "libraries": {
            "sim": {"path": str(SIMULATED_LIBRARY), "env": {"SIMAPI_WORLD": str(world.write(directory))}},
        },
        "calendar": {"always_open": True},
        **more,
    }
    path = directory / "mdhub.yaml"
    path.write_text(json.dumps(document, indent=2))
    return path
