"""Which ticks a strategy is to see.

A newcomer's first tick is the last known one, flagged as a snapshot. Taken for news it would open a bar at a time long
gone, so it counts only while the section that it is of lasts. A strategy that asks for more gets more.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta
from enum import Enum
from zoneinfo import ZoneInfo

from mdhub_vnpy.sequence import FLAG_POST_CLOSE, FLAG_SNAPSHOT, Tick

SHANGHAI = ZoneInfo("Asia/Shanghai")

# In Beijing time, auctions included. Where some products of an exchange end (15:00, 23:00, 01:00), the section ends for
# all: those that go on lose a snapshot until their next tick, and the others see none of what is over.
_FINANCIAL = ((time(9, 10), time(11, 31)), (time(12, 55), time(15, 1)), (time(15, 1), time(15, 16)))
_COMMODITIES = (
    (time(8, 54), time(10, 16)),
    (time(10, 29), time(11, 31)),
    (time(13, 29), time(15, 1)),
    (time(20, 54), time(23, 1)),
    (time(23, 1), time(1, 1)),
    (time(1, 1), time(2, 31)),
)
_FINANCIAL_EXCHANGES = {"CFFEX", "SSE", "SZSE"}


class Snapshots(Enum):
    """Which snapshots a strategy sees: those of the section that lasts, all, none."""

    SECTION = "section"
    ALL = "all"
    NONE = "none"


def section_of(exchange: str, at: datetime) -> tuple[datetime, datetime] | None:
    """Begin and end of the section in which this moment is, Beijing time; None between sections. Weekends are not its
    business: no tick is of one."""
    local = at.astimezone(SHANGHAI)
    for opens, closes in _FINANCIAL if exchange in _FINANCIAL_EXCHANGES else _COMMODITIES:
        for days_ago in (0, 1) if closes < opens else (0,):
            date = local.date() - timedelta(days=days_ago)
            begin = datetime.combine(date, opens, SHANGHAI)
            end = datetime.combine(date + timedelta(days=closes < opens), closes, SHANGHAI)
            if begin <= local < end:
                return begin, end
    return None


def is_wanted(tick: Tick, now: datetime, snapshots: Snapshots, settlement: bool) -> bool:
    """Whether a strategy is to see this tick at this moment. `settlement`: it wants those after the close, too."""
    if tick["flags"] & FLAG_POST_CLOSE and not settlement:
        return False
    if not tick["flags"] & FLAG_SNAPSHOT or snapshots is Snapshots.ALL:
        return True
    section = section_of(tick["exchange"], now)
    is_current = section is not None and section == section_of(tick["exchange"], tick["datetime"])
    return snapshots is Snapshots.SECTION and is_current
