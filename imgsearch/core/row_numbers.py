"""Numbers from files and clocks within the bounds of the database's columns.

A wrong clock or a damaged archive gives any number; it must not end a run. What is out of bounds becomes the nearest
bound, so that the same file has the same number at the next run.
"""

from __future__ import annotations

import math

MIN_INT64, MAX_INT64 = -(2**63), 2**63 - 1
MAX_INT32 = 2**31 - 1


def int64(value: int) -> int:
    """Return a whole number within 64 bits."""
    return min(max(value, MIN_INT64), MAX_INT64)


def pixels(value: int) -> int:
    """Return a width or height within 0 and 31 bits."""
    return min(max(value, 0), MAX_INT32)


def nanoseconds(seconds: float) -> int:
    """Return a time stamp in nanoseconds within 64 bits, which end in the year 2262; 0 (unknown) for NaN."""
    if math.isnan(seconds):
        return 0
    if abs(seconds) >= MAX_INT64 / 1e9:
        return MAX_INT64 if seconds > 0 else MIN_INT64
    return int64(int(seconds * 1e9))
