"""What a user fills in for a gateway, as for vnpy's own: a map with Chinese keys, kept in `connect_*.json`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mdhub_vnpy.sections import Snapshots
from mdhub_vnpy.stream import Hub

TICKS = "行情中枢"
CONTROL = "补缺地址"
USER = "令牌名称"
# vnpy's window hides what is typed into a field with 密码 in its name.
TOKEN = "令牌密码"
SNAPSHOTS = "快照"
SETTLEMENT = "结算行情"
CONTRACTS = "合约"

_SNAPSHOTS = {"当前小节": Snapshots.SECTION, "全部": Snapshots.ALL, "不要": Snapshots.NONE}
_SETTLEMENT = {"否": False, "是": True}

# A list is a choice, its first element the default.
DEFAULTS: dict[str, Any] = {
    TICKS: "tcp://127.0.0.1:5555",
    CONTROL: "",
    USER: "",
    TOKEN: "",
    SNAPSHOTS: list(_SNAPSHOTS),
    SETTLEMENT: list(_SETTLEMENT),
}


@dataclass(frozen=True)
class Settings:
    """What was filled in."""

    hubs: list[Hub]
    snapshots: Snapshots
    settlement: bool


def read(setting: dict[str, Any]) -> Settings:
    """Reads a map like `DEFAULTS`; what is left out has the default.

    Raises ValueError that names the key, the value and what is allowed.
    """
    ticks = _list(setting.get(TICKS) or DEFAULTS[TICKS])
    controls = _list(setting.get(CONTROL, ""))
    for key, addresses, scheme in ((TICKS, ticks, "tcp://"), (CONTROL, controls, "http")):
        for address in addresses:
            if not address.startswith(scheme):
                raise ValueError(f"{key}: {address!r} is no address: {scheme}... is expected")
    if controls and len(controls) != len(ticks):
        raise ValueError(f"{CONTROL}: {len(controls)} addresses for {len(ticks)} hubs: as many are expected, or none")
    user, token = setting.get(USER, ""), (setting.get(TOKEN) or "").strip()
    if not (token.isascii() and token.isprintable()):
        raise ValueError(f"{TOKEN}: a control or other character that is not ASCII is not allowed")
    hubs = [
        Hub(address, control.rstrip("/"), user, token)
        for address, control in zip(ticks, controls or [""] * len(ticks), strict=True)
    ]
    return Settings(hubs, _choice(setting, SNAPSHOTS, _SNAPSHOTS), _choice(setting, SETTLEMENT, _SETTLEMENT))


def contracts(setting: dict[str, Any]) -> list[tuple[str, str, float, float]]:
    """Symbol, exchange, size and price tick of each of `rb2701.SHFE:10:1, m2705.DCE:10:1`.

    Raises ValueError that names the part that cannot be read.
    """
    found = []
    for text in _list(setting.get(CONTRACTS, "")):
        try:
            vt_symbol, size, pricetick = text.split(":")
            symbol, exchange = vt_symbol.rsplit(".", 1)
            found.append((symbol, exchange, float(size), float(pricetick)))
        except ValueError:
            raise ValueError(f"{CONTRACTS}: {text!r}: SYMBOL.EXCHANGE:SIZE:PRICETICK is expected") from None
    return found


def _list(text: str) -> list[str]:
    return [part.strip() for part in text.replace("，", ",").split(",") if part.strip()]


def _choice(setting: dict[str, Any], key: str, choices: dict[str, Any]) -> Any:
    """A window gives what was chosen, a file by hand may have left the list as it was."""
    value = setting.get(key) or next(iter(choices))
    value = value[0] if isinstance(value, list) else value
    if value not in choices:
        raise ValueError(f"{key}: {value!r} is not allowed: {', '.join(choices)}")
    return choices[value]
