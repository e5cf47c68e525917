"""Which subscriptions are wanted, asked and answered: a pure state. The library forgets all of them whenever its connection
goes, so every login asks for all anew. Times are milliseconds of one clock that only goes forward."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum, auto

# Most contracts in one batch. Fronts have been seen to leave contracts silent in larger ones.
BATCH_CONTRACTS = 200
# The next batch waits for the last one's answers, but no longer than this.
ANSWER_WAIT_MS = 100
# A call that was not sent is tried again after this; and an unanswered subscription is asked for again every so often.
RETRY_MS = 1_000
# An unanswered subscription is asked for so often again.
RETRIES_MAX = 3
# What late answers change is told no more often than this.
TELL_AGAIN_MS = 1_000
# Unanswered subscriptions that are named.
NAMED_MAX = 5


class State(Enum):
    """How far one subscription is."""

    DUE = auto()
    ASKED = auto()
    # Asked, and its time to be answered is up. An answer counts all the same.
    UNANSWERED = auto()
    ACCEPTED = auto()
    REFUSED = auto()


@dataclass(frozen=True)
class Settled:
    """What became of the subscriptions, once each was answered or had its time."""

    accepted: int
    refused: int
    unanswered: int
    first: list[str]


class Session:
    """The subscriptions of one worker, by symbol."""

    def __init__(self, symbols: list[str], answer_ms: int) -> None:
        """Wants these, not logged in yet. What is not answered `answer_ms` after the last was asked counts as unanswered."""
        self._wanted = dict.fromkeys(sorted(symbols), State.DUE)
        self._answer_ms = answer_ms
        self._is_logged_in = False
        self._forget()
        self._unwanted: list[str] = []
        self._announced_at = self._not_before = self._answers_by = 0
        self._deadline = self._retry_at = self._drop_at = 0

    def _forget(self) -> None:
        self._due: deque[str] = deque()
        self._retries: deque[tuple[str, int]] = deque()
        self._unwanted = []
        self._asked = self._unanswered = 0
        self._is_announced = self._has_late_answers = False

    def logged_in(self) -> None:
        """The front took the login: everything is to be asked."""
        self.disconnected()
        self._due = deque(self._wanted)
        self._is_logged_in = True
        self._not_before = 0

    def disconnected(self) -> None:
        """The connection is gone: nothing can be asked until the next login."""
        # A storm of failed attempts is told hundreds of times a second, and the contracts may be many.
        if not self._is_logged_in:
            return
        self._wanted = dict.fromkeys(self._wanted, State.DUE)
        self._forget()
        self._is_logged_in = False

    def add(self, symbols: list[str]) -> None:
        """Wants these too."""
        for symbol in symbols:
            if symbol in self._wanted:
                continue
            self._wanted[symbol] = State.DUE
            self._unwanted = [dropped for dropped in self._unwanted if dropped != symbol]
            if self._is_logged_in:
                self._due.append(symbol)
        self._is_announced = False

    def remove(self, symbols: list[str]) -> None:
        """Wants these no more. Those that the front was asked for come from `next_drop`."""
        for symbol in symbols:
            state = self._wanted.pop(symbol, State.DUE)
            if state is not State.DUE:
                self._asked -= state is State.ASKED
                self._unanswered -= state is State.UNANSWERED
                self._unwanted.append(symbol)
        self._due = deque(symbol for symbol in self._due if symbol in self._wanted)
        self._is_announced = False

    def next_batch(self, now: int) -> list[str]:
        """What to subscribe now: at most BATCH_CONTRACTS, and only once the last batch was answered or its time is up."""
        at = self._batch_at()
        if at is None or now < at:
            return []
        batch = [self._due.popleft() for _ in range(min(len(self._due), BATCH_CONTRACTS))]
        for symbol in batch:
            self._set(symbol, State.ASKED)
        self._asked += len(batch)
        self._answers_by = now + ANSWER_WAIT_MS
        self._deadline = now + self._answer_ms
        return batch

    def put_back(self, batch: list[str], now: int) -> None:
        """A batch, or its rest, that could not be sent: it is due again, later."""
        self._asked = max(0, self._asked - len(batch))
        for symbol in reversed(batch):
            self._set(symbol, State.DUE)
            self._due.appendleft(symbol)
        self._not_before = now + RETRY_MS

    def next_drop(self, now: int) -> list[str]:
        """What to drop now."""
        if not self._unwanted or now < self._drop_at:
            return []
        drop, self._unwanted = self._unwanted[:BATCH_CONTRACTS], self._unwanted[BATCH_CONTRACTS:]
        return drop

    def put_back_drop(self, drop: list[str], now: int) -> None:
        """A drop that could not be sent: it is due again, later."""
        self._unwanted += drop
        self._drop_at = now + RETRY_MS

    def next_retry(self, now: int) -> str | None:
        """An unanswered subscription to ask for again, alone: a list may have been what the front did not like."""
        if now < self._retry_at:
            return None
        while self._retries:
            symbol, tries = self._retries.popleft()
            if self._wanted.get(symbol) is State.UNANSWERED:
                self._retry_at = now + RETRY_MS
                if tries + 1 < RETRIES_MAX:
                    self._retries.append((symbol, tries + 1))
                return symbol
        return None

    def answered(self, symbol: str, *, is_accepted: bool) -> bool:
        """The front answered one; false when nobody asked for it."""
        state = self._wanted.get(symbol, State.DUE)
        if state is State.DUE:
            return False
        self._asked -= state is State.ASKED
        if state is State.UNANSWERED:
            self._unanswered -= 1
            self._has_late_answers = True
        self._wanted[symbol] = State.ACCEPTED if is_accepted else State.REFUSED
        return True

    def newly_settled(self, now: int) -> Settled | None:
        """What became of the subscriptions: once for each time that every one has come to be answered or had its time, and
        again when late answers have changed it."""
        if not self._is_logged_in or self._due or (self._asked > 0 and now < self._deadline):
            return None
        self._give_up_waiting(now)
        is_late = self._has_late_answers and now >= self._announced_at + TELL_AGAIN_MS
        if self._is_announced and not is_late:
            return None
        self._is_announced, self._has_late_answers, self._announced_at = True, False, now
        states = list(self._wanted.values())
        unanswered = [symbol for symbol, state in self._wanted.items() if state is State.UNANSWERED]
        return Settled(
            states.count(State.ACCEPTED), states.count(State.REFUSED), self._unanswered, unanswered[:NAMED_MAX]
        )

    def _give_up_waiting(self, now: int) -> None:
        """What is asked and has had its time counts as unanswered."""
        if self._asked == 0:
            return
        for symbol, state in self._wanted.items():
            if state is State.ASKED:
                self._wanted[symbol] = State.UNANSWERED
                self._retries.append((symbol, 0))
        self._unanswered, self._asked = self._unanswered + self._asked, 0
        self._retry_at = now + RETRY_MS
        self._is_announced = False

    def wake_at(self) -> int | None:
        """When there is something to do next."""
        times = [self._batch_at()]
        times.append(self._deadline if self._is_logged_in and not self._due and self._asked > 0 else None)
        times.append(self._retry_at if self._retries else None)
        times.append(self._drop_at if self._unwanted else None)
        times.append(self._announced_at + TELL_AGAIN_MS if self._has_late_answers else None)
        return min((at for at in times if at is not None), default=None)

    def _batch_at(self) -> int | None:
        """When the next batch may go, if one is due."""
        if not self._due:
            return None
        return max(self._answers_by if self._asked > 0 else 0, self._not_before)

    def _set(self, symbol: str, state: State) -> None:
        if symbol in self._wanted:
            self._wanted[symbol] = state
