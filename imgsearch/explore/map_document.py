"""The binary format of a map for a browser, and the colours of its points.

4 bytes (little-endian, length of the header), the header (JSON, padded to a multiple of 4 bytes), then `keys` (n)
uint32, `places` (n, 2 or 3) uint16 over the longest side, and `colors` (n) uint16: the number of the value in the
header's list, or for numbers the place between its `low` and `high`; 65535 is no value.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.key_arrays import Keys
from imgsearch.explore.vectors import Rows
from imgsearch.store.metadata_table import MetadataTable

Colors = tuple[NDArray[np.uint16], dict[str, Any]]

MAX_LEGEND = 20
"""The most frequent values of a column; the rest is "Other"."""
NO_VALUE = 65535
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


def column_values(metadata: MetadataTable, column: str, keys: Keys) -> tuple[NDArray[np.object_], str]:
    """Return the (n,) values of the ascending keys, None for removed photos, and the kind of the column."""
    known, found, kind = metadata.column(column, keys)
    values = np.full(len(keys), None, object)
    places = np.searchsorted(keys, known)
    if kind == "list":  # as tuples, which can be counted; numpy would take lists of one length for a table
        for place, value in zip(places.tolist(), found, strict=True):
            values[place] = None if value is None else tuple(value)
    else:
        values[places] = found
    return values, kind


def column_colors(metadata: MetadataTable, by: str, keys: Keys) -> Colors:
    """Return the colours of the ascending keys by `column:NAME`; raises `FilterError` for an unknown column.

    Values are numbered, most frequent first; those beyond the legend share one number, "Other".
    """
    values, kind = column_values(metadata, by.removeprefix("column:"), keys)
    if kind in ("number", "price"):
        return number_colors(values.astype(np.float64), by)
    label_of = {value: _label(value) for value in set(values.tolist())}
    labels = [label_of[value] for value in values.tolist()]
    counts = Counter(label for label in labels if label is not None)
    order = sorted(counts, key=lambda label: (-counts[label], label))
    listed, rest = order[:MAX_LEGEND], order[MAX_LEGEND:]
    numbers: dict[str | None, int] = {label: number for number, label in enumerate(listed)}
    numbers |= dict.fromkeys(rest, len(listed)) | {None: NO_VALUE}
    legend: list[dict[str, Any]] = [{"label": label, "count": counts[label]} for label in listed]
    if rest:
        legend.append({"label": "Other", "count": sum(counts[label] for label in rest), "other": True})
    codes = np.fromiter(map(numbers.__getitem__, labels), np.uint16, len(labels))
    return codes, choice_legend(by, legend, codes)


def number_colors(values: NDArray[np.float64], by: str) -> Colors:
    """Return each value's place between the 2nd and 98th percentile, so that extremes do not flatten the rest."""
    known = np.isfinite(values)
    low, high = map(float, np.percentile(values[known], (2, 98)) if known.any() else (0, 0))
    share = np.clip((np.where(known, values, low) - low) / max(high - low, 1e-12), 0.0, 1.0)
    codes = np.where(known, np.round(share * (NO_VALUE - 1)), NO_VALUE).astype(np.uint16)
    return codes, {"kind": "number", "by": by, "low": low, "high": high, "none": int((~known).sum())}


def choice_legend(by: str, values: list[dict[str, Any]], codes: NDArray[np.uint16]) -> dict[str, Any]:
    """Return the legend of codes that number the values."""
    return {"kind": "choice", "by": by, "values": values, "none": int((codes == NO_VALUE).sum())}


def _label(value: Any) -> str | None:
    if value is None or value != value:
        return None
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    return ", ".join(value) if isinstance(value, tuple) else str(value)
