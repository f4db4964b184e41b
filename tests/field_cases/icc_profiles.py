"""Small ICC profiles, computed here: RGB spaces by their primaries and gamma, and plain CMYK inks."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SPACES = {
    "Display P3": ([(0.680, 0.320), (0.265, 0.690), (0.150, 0.060)], (0.3127, 0.3290), 2.2),
    "Adobe RGB": ([(0.64, 0.33), (0.21, 0.71), (0.15, 0.06)], (0.3127, 0.3290), 2.2),
    "ProPhoto": ([(0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001)], (0.3457, 0.3585), 1.8),
}
"""Primaries and white as chromaticities, and gamma."""
_D50 = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_SRGB = ([(0.64, 0.33), (0.30, 0.60), (0.15, 0.06)], (0.3127, 0.3290))


def rgb_profile(name: str) -> bytes:
    """Return the profile of one of `SPACES`."""
    primaries, white, gamma = SPACES[name]
    matrix = _to_d50(primaries, white)
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    tags = {"wtpt": _xyz(_D50)}
    for channel, column in zip("rgb", matrix.T, strict=True):
        tags |= {f"{channel}XYZ": _xyz(column), f"{channel}TRC": curve}
    return _profile(name, b"RGB ", b"XYZ ", b"mntr", tags)


def in_space(name: str, srgb: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return a colour of sRGB by its values in one of `SPACES`."""
    primaries, white, gamma = SPACES[name]
    values = np.array(srgb) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    own = np.linalg.solve(_to_d50(primaries, white), _to_d50(*_SRGB) @ linear)
    red, green, blue = (round(255 * float(np.clip(one, 0, 1)) ** (1 / gamma)) for one in own)
    return red, green, blue


def cmyk_profile(inks: dict[tuple[int, int, int, int], tuple[int, int, int]]) -> bytes:
    """Return a profile that gives full inks (1) and none (0) these colours, in 8-bit Lab; others are grey."""
    grid = b""
    for corner in np.ndindex(2, 2, 2, 2):
        grid += bytes(inks.get((corner[0], corner[1], corner[2], corner[3]), (128, 128, 128)))
    identity = np.arange(256, dtype=np.uint8).tobytes()
    matrix = b"".join(struct.pack(">i", round(one * 65536)) for one in np.eye(3).ravel())
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + matrix + identity * 4 + grid + identity * 3
    return _profile("Inks", b"CMYK", b"Lab ", b"prtr", {"wtpt": _xyz(_D50), "A2B0": table, "A2B1": table})


def _to_d50(primaries: list[tuple[float, float]], white: tuple[float, float]) -> Floats:
    """Return the (3, 3) matrix from linear values to XYZ under D50."""
    columns = np.array([(x / y, 1.0, (1 - x - y) / y) for x, y in primaries]).T
    target = np.array([white[0] / white[1], 1.0, (1 - sum(white)) / white[1]])
    matrix = columns * np.linalg.solve(columns, target)
    scale = np.diag((_BRADFORD @ _D50) / (_BRADFORD @ target))
    return np.asarray(np.linalg.inv(_BRADFORD) @ scale @ _BRADFORD @ matrix)


def _xyz(values: Floats) -> bytes:
    return b"XYZ " + bytes(4) + b"".join(struct.pack(">i", round(float(one) * 65536)) for one in values)


def _profile(name: str, space: bytes, connection: bytes, kind: bytes, tags: dict[str, bytes]) -> bytes:
    text = name.encode("ascii") + b"\0"
    description = b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(78)
    tags = {"desc": description, "cprt": b"text" + bytes(4) + b"none\0", **tags}
    offset = 128 + 4 + 12 * len(tags)
    table, data = struct.pack(">I", len(tags)), b""
    for tag, content in tags.items():
        padded = content + bytes(-len(content) % 4)
        table += tag.encode("ascii") + struct.pack(">II", offset + len(data), len(content))
        data += padded
    size = offset + len(data)
    header = struct.pack(">I4sI4s4s4s", size, bytes(4), 0x02400000, kind, space, connection)
    header += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(24) + bytes(4)
    header += b"".join(struct.pack(">i", round(float(one) * 65536)) for one in _D50)
    return header.ljust(128, b"\0") + table + data
