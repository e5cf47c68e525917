"""gateways/vnpy/install: what is missing is named with what to run; what it made loads the vendor library that is chosen."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.places import REPOSITORY

INSTALL = REPOSITORY / "gateways" / "vnpy" / "install"
VENV = Path(os.environ.get("MDHUB_VNPY_VENV", REPOSITORY / "target" / "vnpy-venv"))
SIMAPI = REPOSITORY / "target" / "debug" / "libmdhub_simapi.so"
SHELL = ("bash", "cat", "dirname")

made = pytest.mark.skipif(not (VENV / "done.txt").is_file(), reason=f"{VENV} is absent: run gateways/vnpy/install")


def refused(tmp_path: Path, tools: tuple[str, ...], environment: dict[str, str]) -> str:
    """What it says where only these tools exist; it must fail, and make nothing."""
    tmp_path.joinpath("bin").mkdir()
    for tool in (*SHELL, *tools):
        where = next(p for d in os.environ["PATH"].split(":") if (p := Path(d, tool)).is_file())
        tmp_path.joinpath("bin", tool).symlink_to(where)
    target = tmp_path / "venv"
    ran = subprocess.run(
        ["bash", str(INSTALL), str(target)],
        env={"PATH": str(tmp_path / "bin"), "PYTHON": sys.executable, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 1, ran
    assert not target.exists()
    return ran.stderr


@pytest.mark.parametrize(
    ("tools", "environment", "said"),
    [
        ((), {"PYTHON": "/nowhere/python"}, "no /nowhere/python of 3.10 or later; on Debian: apt-get install python3"),
        ((), {}, "g++ is missing; on Debian: apt-get install g++"),
        (("g++",), {}, "localedef is missing; on Debian: apt-get install libc-bin"),
        (("g++", "localedef"), {"MDHUB_I18N": "/nowhere"}, "zh_CN is missing; on Debian: apt-get install locales"),
    ],
)
def test_what_is_missing_is_named_with_the_command_that_installs_it(
    tmp_path: Path, tools: tuple[str, ...], environment: dict[str, str], said: str
) -> None:
    assert said in refused(tmp_path, tools, environment)


@made
def test_the_pinned_gateways_load_the_vendor_library_that_is_chosen_and_know_its_language(tmp_path: Path) -> None:
    for name in ("libthostmduserapi_se.so", "libsoptthostmduserapi_se.so"):
        tmp_path.joinpath(name).symlink_to(SIMAPI)
    script = """
import importlib.metadata, locale
import vnpy_ctp, vnpy_sopt
print(*(f"{name}=={importlib.metadata.version(name)}" for name in ("vnpy", "vnpy_ctp", "vnpy_sopt")))
print(locale.setlocale(locale.LC_ALL, "zh_CN.GB18030"))
print(*sorted({line.split()[-1] for line in open("/proc/self/maps") if "mduserapi" in line or "simapi" in line}))
"""
    environment = {**os.environ, "LOCPATH": str(VENV / "locale"), "HOME": str(tmp_path)}
    loaded = {}
    for chosen in ("", str(tmp_path)):
        ran = subprocess.run(
            [str(VENV / "bin" / "python"), "-c", script],
            env={**environment, "LD_LIBRARY_PATH": chosen},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
            cwd=tmp_path,
        )
        versions, language, libraries = ran.stdout.splitlines()
        assert versions == "vnpy==4.1.0 vnpy_ctp==6.7.7.2 vnpy_sopt==3.7.1.0"
        assert language == "zh_CN.GB18030"
        loaded[chosen] = libraries.split()
    assert [Path(path).name for path in loaded[""]] == ["libthostmduserapi_se.so", "libsoptthostmduserapi_se.so"]
    assert loaded[str(tmp_path)] == [str(SIMAPI.resolve())]


def test_a_directory_that_it_has_not_made_is_left_alone(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    theirs.joinpath("thesis.txt").write_text("years")
    environment = {**os.environ, "PYTHON": sys.executable}
    ran = subprocess.run(
        ["bash", str(INSTALL), str(theirs)], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 1, ran
    assert f"{theirs} is there, and was not made by this script; nothing was touched" in ran.stderr
    assert [path.name for path in theirs.iterdir()] == ["thesis.txt"]
