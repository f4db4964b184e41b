"""The binary format of a map for a browser.

4 bytes (little-endian, length of the header), the header (JSON, padded to a multiple of 4 bytes), then `keys` (n)
uint32, `places` (n, 2 or 3) uint16 over the longest side, and `colors` (n) uint16: the number of the value in the
header's list, or for numbers the place between its `low` and `high`; 65535 is no value.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.key_arrays import Keys

__all__ = ["encode_map"]

Rows = NDArray[np.float32]

FORMAT = 1


def encode_map(
    keys: Keys, positions: Rows, codes: NDArray[np.uint16], legend: dict[str, Any], projection: str
) -> bytes:
    """Return the document of n points."""
    header = {
        "format": FORMAT,
        "count": len(keys),
        "dimensions": positions.shape[1],
        "projection": projection,
        "legend": legend,
    }
    text = json.dumps(header, ensure_ascii=False).encode("utf-8", errors="replace")
    text += b" " * (-len(text) % 4)
    arrays = (keys.astype("<u4"), _quantised(positions), codes.astype("<u2"))
    return b"".join([len(text).to_bytes(4, "little"), text, *(array.tobytes() for array in arrays)])


def _quantised(positions: Rows) -> NDArray[np.uint16]:
    """Return (n, d) positions as uint16 with one scale for all sides, so that distances keep their proportions."""
    if len(positions) == 0:
        return np.zeros(positions.shape, np.uint16)
    low, high = positions.min(axis=0), positions.max(axis=0)
    side = float((high - low).max()) or 1.0
    centred = (positions - (low + high) / 2) / side + 0.5
    return np.asarray(np.round(np.clip(centred, 0.0, 1.0) * 65535), np.dtype("<u2"))
