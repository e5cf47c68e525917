"""vnpy's gateways as a hub's settings name them, on the simulated vendor library."""

from __future__ import annotations

import os
import shutil
import subprocess
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


def desks_own(directory: Path) -> dict[str, Any]:
    """An entry for a gateway class of the desk's own, in an environment that has it beside what the made one has."""
    place, site = directory / "desk-venv", Path("lib", f"python{version()}", "site-packages")
    make = [str(ENVIRONMENT / "bin" / "python"), "-m", "venv", "--without-pip", str(place)]
    subprocess.run(make, check=True, timeout=60)
    (place / "locale").symlink_to(ENVIRONMENT / "locale")
    (place / "bin" / "mdhub-worker").symlink_to(ENVIRONMENT / "bin" / "mdhub-worker")
    (place / site / "made.pth").write_text(f"{ENVIRONMENT / site}\n")
    shutil.copy(Path(__file__).parents[1] / "vnpy_desk" / "desk_gateway.py", place / site)
    env = libraries(directory)["vnpy-ctp"]["env"]
    connect = {"每日": "无"}
    return {"path": str(place), "gateway_class": "desk_gateway.OurGateway", "serves": "ctp", "env": env, "connect": connect}


def version() -> str:
    """`3.12`, of the made environment."""
    asked = [str(ENVIRONMENT / "bin" / "python"), "-c", "import sys; print(*sys.version_info[:2], sep='.')"]
    return subprocess.run(asked, check=True, capture_output=True, text=True, timeout=60).stdout.strip()
