"""The map's files, `<catalog>/explore/pca.npz` and `layout.npz`, each replaced as a whole."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.files import write_durably
from imgsearch.core.key_arrays import Keys
from imgsearch.explore.vectors import Rows

FORMAT = 1
_FIELDS = ("keys", "umap_2d", "umap_3d", "labels", "outlier_scores", "medoids")
_NAMES = ("keys", "plane", "solid", "labels", "loneliness", "middles")
"""The arrays of a layout in the file."""
_HEADER = ("words", "space", "generation", "made_at", "notes")


@dataclass(frozen=True, eq=False)
class Layout:
    """The clusters of photos by ascending key, and with UMAP their positions.

    `umap_2d` is (n, 2) and `umap_3d` (n, 3) float32, without rows where UMAP did not run. `labels` (n,) int32 are
    cluster numbers, `outlier_scores` (n,) float32 the mean distance to the nearest photos, `medoids` (k,) uint64 the
    key of each cluster's medoid, `words` the words that fit each cluster.
    """

    keys: Keys
    umap_2d: Rows
    umap_3d: Rows
    labels: NDArray[np.int32]
    outlier_scores: Rows
    medoids: Keys
    words: tuple[tuple[str, ...], ...]
    space: str
    generation: int
    made_at: str
    notes: tuple[str, ...] = ()

    @property
    def has_umap(self) -> bool:
        """Whether UMAP laid the photos out."""
        return len(self.umap_2d) == len(self.keys) > 0


class MapStore:
    """Reads and writes the files; a missing or damaged file counts as none. Safe to use from any thread."""

    def __init__(self, folder: Path) -> None:
        """Use the files in `folder`, which the first write creates."""
        self.folder = folder
        self._lock = threading.Lock()
        self._layout: Layout | None = None
        self._layout_read = False

    def layout(self) -> Layout | None:
        """Return the last layout, or None."""
        with self._lock:
            if not self._layout_read:
                self._layout, self._layout_read = self._read_layout(), True
            return self._layout

    def write_layout(self, layout: Layout) -> None:
        """Replace the layout."""
        arrays = {name: getattr(layout, field) for field, name in zip(_FIELDS, _NAMES, strict=True)}
        self._write("layout.npz", {name: getattr(layout, name) for name in _HEADER}, arrays)
        with self._lock:
            self._layout, self._layout_read = layout, True

    def read_pca(self, space: str, keys: Keys) -> Rows | None:
        """Return the (n, 3) positions of exactly these photos in this space, or None."""
        header, arrays = self._read("pca.npz")
        if header.get("space") != space or not np.array_equal(arrays.get("keys", ()), keys):
            return None
        return np.asarray(arrays["places"], np.float32)

    def write_pca(self, space: str, keys: Keys, positions: Rows) -> None:
        """Replace the positions along the principal axes."""
        self._write("pca.npz", {"space": space}, {"keys": keys, "places": positions})

    def _read_layout(self) -> Layout | None:
        header, arrays = self._read("layout.npz")
        try:
            values: dict[str, Any] = {name: header[name] for name in _HEADER}
            values |= {field: arrays[name] for field, name in zip(_FIELDS, _NAMES, strict=True)}
            values |= {"words": tuple(map(tuple, values["words"])), "notes": tuple(values["notes"])}
            return Layout(**values)
        except KeyError:
            return None

    def _read(self, name: str) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        try:
            with np.load(self.folder / name, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            header = json.loads(arrays.pop("header").tobytes())
        except (OSError, ValueError, KeyError, EOFError, BadZipFile):
            return {}, {}
        return (header, arrays) if header.get("format") == FORMAT else ({}, {})

    def _write(self, name: str, header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"format": FORMAT, **header}).encode()
        data = BytesIO()
        np.savez(data, header=np.frombuffer(text, np.uint8), **arrays)  # type: ignore[arg-type]
        write_durably(self.folder / name, data.getvalue())
