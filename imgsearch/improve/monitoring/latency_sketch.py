"""Durations counted in buckets that grow geometrically, so that any quantile has a small relative error.

Bucket i counts durations in (g^(i-1), g^i] milliseconds with g = (1 + a) / (1 - a). Counts of several minutes add up.
DDSketch: Masson, Rim and Lee, "DDSketch: a fast and fully-mergeable quantile sketch with relative-error guarantees",
PVLDB 12(12), 2019.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

__all__ = ["RELATIVE_ERROR", "bucket_of_ms", "ms_of_bucket", "quantile_ms"]

RELATIVE_ERROR = 0.02
SHORTEST_MS = 0.01
"""Shorter durations count as this long."""

_GROWTH = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)


def bucket_of_ms(milliseconds: float) -> int:
    """Return the bucket of a duration."""
    return math.ceil(math.log(max(milliseconds, SHORTEST_MS), _GROWTH))


def ms_of_bucket(bucket: int) -> float:
    """Return the duration in milliseconds that is within `RELATIVE_ERROR` of every duration in the bucket."""
    return float(2 * _GROWTH**bucket / (_GROWTH + 1))


def quantile_ms(buckets: Mapping[int, int], q: float) -> float | None:
    """Return the q-quantile of a sketch {bucket: count} in milliseconds; None for an empty one."""
    total = sum(buckets.values())
    if total == 0:
        return None
    below = 0
    for bucket in sorted(buckets):
        below += buckets[bucket]
        if below > q * (total - 1):
            break
    return ms_of_bucket(bucket)
