"""vnpy's gateways as a hub's settings name them, on the simulated vendor library."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from harness.places import REPOSITORY, SIMULATED_LIBRARY

ENVIRONMENT = Path(os.environ.get("MDHUB_VNPY_VENV", REPOSITORY / "target" / "vnpy-venv"))
ABSENT = f"{ENVIRONMENT} is absent: run gateways/vnpy/install"
CLASSES = {"vnpy-ctp": "vnpy_ctp.CtpGateway", "vnpy-sopt": "vnpy_sopt.SoptGateway"}
VENDORS = ("libthostmduserapi_se.so", "libsoptthostmduserapi_se.so")


def is_made() -> bool:
    """Whether the environment of vnpy's gateways is there."""
    return (ENVIRONMENT / "done.txt").is_file()


def chosen(directory: Path) -> Path:
    """A directory for LD_LIBRARY_PATH, in which the simulated library has the vendors' names."""
    place = directory / "vendor"
    place.mkdir(parents=True, exist_ok=True)
    for name in VENDORS:
        if not (place / name).exists():
            (place / name).symlink_to(SIMULATED_LIBRARY)
    return place


def libraries(directory: Path) -> dict[str, Any]:
    """The section `libraries`: `sim` for mdhub's own workers, `vnpy-ctp` and `vnpy-sopt` for vnpy's."""
    world = {"SIMAPI_WORLD": str(directory / "world.json")}
    env = {**world, "LD_LIBRARY_PATH": str(chosen(directory))}
    vnpy = {name: {"path": str(ENVIRONMENT), "gateway_class": cls, "env": env} for name, cls in CLASSES.items()}
    return {"sim": {"path": str(SIMULATED_LIBRARY), "env": world}, **vnpy}
