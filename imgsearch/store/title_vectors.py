"""The embeddings of titles on disk: each distinct title is encoded once, whatever is indexed later.

`embeddings/titles.f16` has float16 rows (`imgsearch.store.vector_file`), `embeddings/titles.jsonl` a line per batch:
the encoder's id, the titles and the rows' CRC-32. Rows are written and fsynced before the line that names them. Both
are a cache: after rows of another encoder, a torn line or damaged bytes, the rest is dropped and encoded again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imgsearch.store.vector_file import EmbeddingFile

__all__ = ["TitleStore"]

Rows = NDArray[np.float32]


class TitleStore:
    """The title embeddings of one catalog and encoder; used by one thread at a time."""

    def __init__(self, folder: Path, encoder_id: str, dim: int) -> None:
        """Read the usable rows in `folder`; no file is made before `add`."""
        self._file = EmbeddingFile(folder / "titles.f16", dim)
        self._list = folder / "titles.jsonl"
        self._encoder_id = encoder_id
        self._rows: dict[str, int] = {}
        self._read()

    def __contains__(self, title: str) -> bool:
        """Return whether a title has a row."""
        return title in self._rows

    def __len__(self) -> int:
        """Return the number of titles that have a row."""
        return len(self._rows)

    def rows(self, titles: Sequence[str]) -> Rows:
        """Return the (n, dim) float32 unit rows of stored titles, in their order."""
        return self._file.read(np.array([self._rows[title] for title in titles], np.uint64))

    def add(self, titles: Sequence[str], rows: Rows) -> None:
        """Store the (n, dim) unit rows of new titles durably."""
        first = len(self._rows)
        crc32 = self._file.append(first, rows)
        line = {"encoder": self._encoder_id, "crc32": crc32, "titles": list(titles)}
        with self._list.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._rows.update((title, first + place) for place, title in enumerate(titles))

    def _read(self) -> None:
        """Read the batches up to the first unusable one, and truncate the list there."""
        if not self._list.is_file():
            return
        usable = 0
        with self._list.open("rb") as file:
            for line in file:
                titles = self._batch(line)
                if titles is None:
                    break
                first = len(self._rows)
                self._rows.update((title, first + place) for place, title in enumerate(titles))
                usable += len(line)
        if usable < self._list.stat().st_size:
            os.truncate(self._list, usable)

    def _batch(self, line: bytes) -> list[str] | None:
        """Return the titles of a line whose rows follow those read before, undamaged; None for any other line."""
        try:
            batch = json.loads(line) if line.endswith(b"\n") else {}
            titles, encoder_id, crc32 = batch["titles"], batch["encoder"], batch["crc32"]
        except (ValueError, KeyError, TypeError):
            return None
        if encoder_id != self._encoder_id or self._rows.keys() & set(titles):
            return None
        return titles if self._file.crc32(len(self._rows), len(titles)) == crc32 else None
