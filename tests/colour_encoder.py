"""A small deterministic encoder for tests that are independent of the model.

It really encodes: a photo becomes the colours of its 8 x 8 blurred grid, a text the grid of a plain picture in the
colours that it names. It is an `Encoder` like any other, needs no torch, and is fast enough to index hundreds of
photos in a second.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from photos import COLOURS
from PIL import Image

from imgsearch.encoders.base import Embeddings, require_texts, unit_rows

GRID = 8


class ColourEncoder:
    """Colours on a grid; with `log`, every photo that is encoded appends one line with the hash of its pixels."""

    spec = "test:colours"
    input_px = 32
    dim = GRID * GRID * 3 + 1

    def __init__(self, *, version: int = 1, log: Path | None = None) -> None:
        self.id = f"test:colours@{version}"
        self._log = log

    def preprocess(self, image: Image.Image) -> NDArray[Any]:
        """Return the (3, 32, 32) colours of the picture."""
        pixels = np.asarray(image.resize((self.input_px, self.input_px), Image.Resampling.BOX), np.float32)
        return pixels.transpose(2, 0, 1)

    def encode_arrays(self, arrays: Sequence[NDArray[Any]]) -> Embeddings:
        """Return unit rows."""
        rows = [self._row(array) for array in arrays]
        if self._log is not None:
            with self._log.open("a", encoding="ascii") as file:
                file.writelines(hashlib.sha256(array.tobytes()).hexdigest()[:16] + "\n" for array in arrays)
        return unit_rows(np.stack(rows)) if rows else np.zeros((0, self.dim), np.float32)

    def encode_images(self, images: Sequence[Image.Image]) -> Embeddings:
        """Return unit rows."""
        return self.encode_arrays([self.preprocess(image) for image in images])

    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        """Return the rows of plain pictures in the mean of the colours named, grey where none is."""
        require_texts(texts)
        pictures = []
        for text in texts:
            named = [COLOURS[word] for word in text.lower().split() if word in COLOURS] or [(128, 128, 128)]
            mean = tuple(int(part) for part in np.mean(named, axis=0))
            pictures.append(Image.new("RGB", (self.input_px, self.input_px), mean))
        return self.encode_images(pictures)

    def _row(self, array: NDArray[Any]) -> NDArray[np.float32]:
        cell = self.input_px // GRID
        grid = array.reshape(3, GRID, cell, GRID, cell).mean(axis=(2, 4)).ravel() / 127.5 - 1
        # The constant keeps a plain mid-grey picture from being the zero vector.
        return np.append(grid, 0.1).astype(np.float32)
