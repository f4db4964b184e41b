"""A refreshed value follows changes now and then at once; constant changes never make callers wait."""

from __future__ import annotations

import threading
import time

from imgsearch.core.refreshing import ALLOWED_S, Allowance, Refreshed


def test_a_value_is_computed_once_for_each_state() -> None:
    state, computed = [0], [0]

    def compute() -> int:
        computed[0] += 1
        return state[0]

    value = Refreshed("test", compute, lambda: state[0])
    assert [value.get(), value.get()] == [0, 0]
    state[0] = 5
    assert [value.get(), value.get()] == [5, 5]
    assert computed == [2]
    value.close()


def test_constant_changes_are_computed_in_the_background() -> None:
    state, slow_callers = [0], [0]
    caller = threading.current_thread()

    def compute() -> int:
        slow_callers[0] += threading.current_thread() is caller
        time.sleep(0.05)
        return state[0]

    value = Refreshed("test", compute, lambda: state[0])
    value.get()
    for number in range(1, 60):
        state[0] = number
        value.get()
        time.sleep(0.01)
    assert slow_callers[0] <= 2 + ALLOWED_S / 0.05
    deadline = time.monotonic() + 20
    while value.get() != 59 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert value.get() == 59
    value.close()


def test_an_allowance_is_used_up_and_comes_back() -> None:
    allowance = Allowance()
    assert allowance.permits()
    allowance.spend(ALLOWED_S + 0.001)
    assert not allowance.permits()
    time.sleep(0.3)
    assert allowance.permits()
