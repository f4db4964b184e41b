"""A value that is computed from changing data, without making those wait who use it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from imgsearch.core.background import BackgroundThread

ALLOWED_S, ALLOWED_SHARE = 0.5, 0.005
"""For how long callers may wait for new values at once, and the share of the time in which this is allowed again."""
BACKGROUND_RATIO = 200.0
"""In the background, a value is used at least this many times as long as it takes to compute: so it takes at most
half a percent of the time, however often the data change. At a tenth of the time, searches had a tail of 200 to
600 ms while 20 changes a second came to 100,000 items (`scripts/bench_live.py`)."""

T = TypeVar("T")


class Allowance:
    """The time that callers may wait for values of changed data; used under the caller's lock, or by one thread.

    Changes now and then are seen at once. When data change all the time, it is used up, and callers wait no more.
    """

    def __init__(self) -> None:
        self._left_s = ALLOWED_S
        self._at = time.monotonic()

    def permits(self) -> bool:
        """Return whether a caller may wait now."""
        now = time.monotonic()
        self._left_s = min(ALLOWED_S, self._left_s + ALLOWED_SHARE * (now - self._at))
        self._at = now
        return self._left_s > 0

    def spend(self, seconds: float) -> None:
        """Note that a caller waited."""
        self._left_s -= seconds


class Refreshed(Generic[T]):
    """A value and the state of the data that it was computed from; safe to use from any thread.

    After a change the next caller computes the value, within an `Allowance`. When changes come all the time, callers
    get the former value until a thread has computed the next one.
    """

    def __init__(self, name: str, compute: Callable[[], T], state: Callable[[], Hashable]) -> None:
        """`compute` returns the value of the present data, and `state` something that differs when these do."""
        self._compute = compute
        self._state = state
        self._computing = threading.Lock()
        self._kept: tuple[Hashable, T] | None = None
        self._allowance = Allowance()
        self._took_s = 0.0
        self._computed_at = 0.0
        self._background = BackgroundThread(name, self._refresh)

    def get(self) -> T:
        """Return the value, of the present data or of an earlier state of it; the first call waits for it."""
        kept, state = self._kept, self._state()
        if kept is None:
            return self._refresh()
        if kept[0] == state or self._computing.locked():
            return kept[1]
        if self._allowance.permits():
            value = self._refresh()
            self._allowance.spend(self._took_s)
            return value
        age_s = time.monotonic() - self._computed_at
        self._background.start(after_s=max(0.0, BACKGROUND_RATIO * self._took_s - age_s))
        return kept[1]

    def now(self) -> T:
        """Return the value of the present data; waits for it."""
        return self._refresh()

    def close(self) -> None:
        """Stop the background thread; the former value stays in use."""
        self._background.stop()

    def _refresh(self) -> T:
        with self._computing:
            kept, state = self._kept, self._state()
            if kept is not None and kept[0] == state:
                return kept[1]
            started = time.monotonic()
            value = self._compute()
            self._computed_at = time.monotonic()
            self._took_s = self._computed_at - started
            self._kept = state, value
            return value
