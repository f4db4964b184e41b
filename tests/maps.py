"""Parse the maps that the server sends."""

from __future__ import annotations

import json
from typing import Any

import numpy as np


def unpacked(document: bytes) -> tuple[dict[str, Any], np.ndarray, np.ndarray, np.ndarray]:
    """Return the header, keys, positions and colours of a map, parsed by its documented format."""
    length = int.from_bytes(document[:4], "little")
    header = json.loads(document[4 : 4 + length])
    count, dimensions = header["count"], header["dimensions"]
    parts = np.split(
        np.frombuffer(document, np.uint8, offset=4 + length), [4 * count, (4 + 2 * dimensions) * count]
    )
    places = parts[1].view("<u2").reshape(count, dimensions)
    return header, parts[0].view("<u4"), places, parts[2].view("<u2")
