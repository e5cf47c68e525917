"""What a hub is given: the simulated vendor library's world, and a settings file that points to it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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


@dataclass(frozen=True)
class Front:
    """How one front delivers. `delay_ms` is market time in a replay; loss shares 0 and 1 never lose the same record."""

    delay_ms: float = 0.0
    loss_rate: float = 0.0
    loss_share: int = 0
    connect_ms: int = 20
    journal: Path | None = None

    def as_json(self) -> dict[str, Any]:
        """The front as the world file spells it."""
        fields = {name: getattr(self, name) for name in ("delay_ms", "loss_rate", "loss_share", "connect_ms")}
        return {**fields, "journal": str(self.journal) if self.journal else None}


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
        path.write_text(json.dumps({"seed": self.seed, "market": self.market, "fronts": fronts}, indent=2))
        return path


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
