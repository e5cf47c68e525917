"""The main thread: news in, decisions made, reports out."""

from __future__ import annotations

import time
from typing import Any, NoReturn

from . import codes, log, reports, words
from .codes import Leave
from .fronts import Fronts
from .frames import Start
from .pace import LoginPace
from .reports import Reports
from .session import Session
from .sources import Source, Way
from .watchdog import Watchdog, reason_words

# From one heartbeat to the next.
HEARTBEAT_MS = 1_000
# Lost connections without one in between are told so often.
DISCONNECTS_TOLD_MS = 1_000


def now_ms() -> int:
    """Milliseconds of CLOCK_MONOTONIC."""
    return time.monotonic_ns() // 1_000_000


def symbols(contracts: list[str]) -> dict[str, str]:
    """Symbols with their exchanges, from vt_symbols. Raises ValueError where one is none."""
    if bare := [contract for contract in contracts if "." not in contract]:
        raise ValueError(f"{bare[0]!r} is no vt_symbol")
    return {symbol: exchange for symbol, _, exchange in (contract.rpartition(".") for contract in contracts)}


class MainLoop:
    """Its methods without an underscore are the news that the inbox may bring."""

    def __init__(self, start: Start, source: Source, way: Way, out: Reports, fronts: Fronts) -> None:
        now = now_ms()
        self._source, self._out, self._fronts = source, out, fronts
        self._inbox, self._ticks = way.inbox, way.ticks
        self._exchanges = symbols(start.contracts)
        self._session = Session(list(self._exchanges), start.limits.subscribe_timeout_ms)
        self._watchdog = Watchdog(start.limits, session_open=start.session_open, now=now)
        self._pace = LoginPace()
        self._report_timeout_ms = start.limits.report_timeout_ms
        self._heartbeat_at = now
        self._answers_known = True
        self._has_unanswered = False
        self._untold_disconnects = 0
        self._disconnect_told_at: int | None = None

    def run(self) -> NoReturn:
        """Goes on until it leaves."""
        try:
            while True:
                self._turn()
        except Leave as leave:
            if leave.code == codes.ASKED and self._watchdog.is_well(self._ticks.received, now_ms()):
                self._fronts.keep()
            raise

    def _turn(self) -> None:
        now = now_ms()
        self._beat(now)
        self._out.look(self._report_timeout_ms, now)
        self._log_in_due(now)
        self._subscribe_due(now)
        self._tell_settled(now)
        self._watchdog.check(self._ticks.received, now)
        if news := self._inbox.take(self._wake_at(now) - now):
            getattr(self, news[0])(*news[1:])

    def _wake_at(self, now: int) -> int:
        look_at = now + reports.LOOK_MS if self._out.is_waiting else None
        due = [self._session.wake_at(), self._watchdog.wake_at(), self._pace.due_at(), look_at, self._heartbeat_at]
        return min(at for at in due if at is not None)

    def _beat(self, now: int) -> None:
        if now < self._heartbeat_at:
            return
        self._heartbeat_at = now + HEARTBEAT_MS
        if self._inbox.lost > 0:
            raise Leave(codes.INTERNAL, f"{self._inbox.lost} events of the library found the queue full")
        self._out.heartbeat(self._ticks.received, self._ticks.dropped)
        self._watchdog.beat(self._ticks.dropped)

    def _log_in_due(self, now: int) -> None:
        due_at = self._pace.due_at()
        if due_at is None or now < due_at:
            return
        code = self._source.login()
        self._pace.tried(is_sent=code == 0, now=now)
        if code != 0:
            log.warn(f"the login was not sent, code {code}; it is tried again")

    def _subscribe_due(self, now: int) -> None:
        drop = self._session.next_drop(now)
        unsent = [symbol for symbol in drop if self._source.unsubscribe(symbol) != 0]
        if drop:
            log.info(f"{len(drop) - len(unsent)} contracts dropped")
        if unsent:
            self._session.put_back_drop(unsent, now)
        batch = self._session.next_batch(now)
        unsent = [symbol for symbol in batch if self._source.subscribe(symbol, self._exchanges[symbol]) != 0]
        if unsent:
            log.warn(f"subscribing {len(unsent)} contracts was not sent; it is tried again")
            self._session.put_back(unsent, now)
        if symbol := self._session.next_retry(now):
            code = self._source.subscribe(symbol, self._exchanges[symbol])
            log.info(f"subscription of {symbol} asked for again, code {code}")

    def _tell_settled(self, now: int) -> None:
        settled = self._session.newly_settled(now)
        if settled is None:
            return
        self._watchdog.settled(settled, self._ticks.received, now)
        count = settled.unanswered
        log.info(f"ready: {settled.accepted} subscriptions accepted, {settled.refused} refused, {count} unanswered")
        self._out.ready(settled.accepted)
        if count > 0:
            log.warn(f"{count} subscriptions are unanswered: {words.shown(settled.first, count)}")
        if count > 0 or self._has_unanswered:
            self._out.unanswered(count, settled.first)
        self._has_unanswered = count > 0

    def command(self, name: str, carried: Any) -> None:
        """The hub says."""
        try:
            if name == "Subscribe":
                self._exchanges |= (new := symbols(carried))
                self._session.add(list(new))
            elif name == "Unsubscribe":
                self._session.remove(list(symbols(carried)))
            elif name == "Session":
                self._watchdog.session(is_open=bool(carried["open"]), now=now_ms())
            elif name == "Stop":
                raise Leave(codes.ASKED, "asked to stop")
            elif name == "Start":
                raise Leave(codes.START, "Start came a second time")
            else:
                raise Leave(codes.PROTOCOL, f"commands: {name!r} is not known")
        except (TypeError, KeyError, AttributeError, ValueError) as why:
            raise Leave(codes.PROTOCOL, f"commands: {name}: {why!r}") from None

    def commands_ended(self) -> None:
        """The hub closed the commands."""
        raise Leave(codes.PIPE, "the hub closed the commands")

    def bad_command(self, why: str) -> None:
        """What came was no command."""
        raise Leave(codes.PROTOCOL, why)

    def tick_pipe_broken(self, why: str) -> None:
        """The tick pipe broke."""
        raise Leave(codes.PIPE, f"tick pipe: {why}")

    def term(self) -> None:
        """TERM came."""
        raise Leave(codes.ASKED, "asked to leave by TERM")

    def stumbled(self, why: str) -> None:
        """A callback failed."""
        raise Leave(codes.INTERNAL, f"mdhub's own code failed in a callback: {why}")

    def front_connected(self) -> None:
        """The connection stands."""
        log.info("front connected")
        self._watchdog.connected(now_ms())
        self._pace.connected()
        self._disconnect_told_at = None
        self._out.front_connected()

    def front_disconnected(self, reason: int) -> None:
        """Attempts that fail one after another change nothing, so they are counted, and told once a second."""
        now = now_ms()
        self._session.disconnected()
        self._pace.disconnected()
        self._untold_disconnects += 1
        try:
            self._watchdog.disconnected(reason, now)
        except Leave:
            self._tell_disconnects(reason, now)
            raise
        told_at = self._disconnect_told_at
        if told_at is None or now >= told_at + DISCONNECTS_TOLD_MS:
            self._tell_disconnects(reason, now)

    def _tell_disconnects(self, reason: int, now: int) -> None:
        self._disconnect_told_at = now
        count, self._untold_disconnects = self._untold_disconnects, 0
        log.warn(f"front disconnected, {count} times since this was last said; {reason_words(reason)}")
        self._out.front_disconnected(reason)

    def heartbeat_warning(self, lapse_s: int) -> None:
        """The front has been silent for so long."""
        log.warn(f"the front has been silent for {lapse_s} s")

    def login(self, code: int, message: str, trading_day: str) -> None:
        """The login's answer."""
        if code != 0:
            self._out.login_refused(code, message)
            raise Leave(codes.LOGIN_REFUSED, f"the front refused the login, code {code}: {message}")
        log.info(f"logged in, trading day {trading_day}")
        self._watchdog.logged_in()
        self._session.logged_in()
        self._out.logged_in(trading_day)

    def front_error(self, code: int, message: str) -> None:
        """An error without a place."""
        log.warn(f"the front reports error {code}: {message}")

    def subscribed(self, symbol: str, code: int, message: str) -> None:
        """One subscription's answer."""
        if not self._session.answered(symbol, is_accepted=code == 0):
            if self._answers_known:
                self._answers_known = False
                log.warn(f"the front answers a subscription of {symbol!r} that nobody asked for")
            return
        if code != 0:
            log.warn(f"subscription of {symbol} refused, code {code}: {message}")
        self._out.subscribe_ack(symbol, (code, message) if code != 0 else None)
