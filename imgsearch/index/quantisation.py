"""Scalar quantisation of vectors to short codes, and PCA.

bytes   The first `width` principal components, one int8 each on a common scale: the Euclidean distance of codes
        approximates that of the vectors (Jégou et al., "Aggregating local descriptors into a compact image
        representation", CVPR 2010, section 4: reduce the dimension, then quantise).
signs   The sign bits of `width` components after centring and a random rotation, compared by Hamming distance
        (Charikar, "Similarity estimation techniques from rounding algorithms", STOC 2002).
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.errors import IndexCorrupt
from imgsearch.index.base import Vectors

Kind = Literal["bytes", "signs"]

INT8_MAX = 127
CLIPPED_SHARE = 1e-4  # the share of the components that are clipped to the ends of an int8


@dataclass(frozen=True, eq=False)
class Quantiser:
    """Encodes (n, dim) float32 rows: mean `centre` (dim,), `rotation` (dim, width), for bytes the `step` of one."""

    kind: Kind
    centre: Vectors
    rotation: Vectors
    step: float

    @classmethod
    def train(cls, kind: Kind, width: int, sample: Vectors) -> Quantiser:
        """Return a quantiser trained on a (n, dim) float32 sample of the vectors.

        `width` is the number of components of a code: up to dim for bytes, a multiple of 8 for signs.
        """
        if kind == "signs":
            return cls(kind, sample.mean(axis=0), _random_rotation(sample.shape[1], width), 1.0)
        centre, rotation = pca(sample, width)
        limit = (
            float(np.quantile(np.abs((sample - centre) @ rotation), 1 - CLIPPED_SHARE))
            if len(sample)
            else 1.0
        )
        return cls(kind, centre, rotation, max(limit, 1e-6) / INT8_MAX)

    @property
    def dim(self) -> int:
        """The length of a vector."""
        return len(self.centre)

    @property
    def width(self) -> int:
        """The number of components of a code."""
        return int(self.rotation.shape[1])

    def encode(self, rows: Vectors) -> NDArray[Any]:
        """Return the codes of (n, dim) rows: (n, width) int8 for bytes, (n, width / 8) uint8 for signs."""
        rotated = (rows - self.centre) @ self.rotation
        if self.kind == "signs":
            return np.packbits(rotated > 0, axis=1)
        rotated /= np.float32(self.step)
        return np.clip(np.rint(rotated, out=rotated), -INT8_MAX, INT8_MAX, out=rotated).astype(np.int8)

    def to_bytes(self) -> bytes:
        """Return the content of an .npz file, the same bytes for the same quantiser."""
        file = io.BytesIO()
        np.savez(file, kind=self.kind, centre=self.centre, turn=self.rotation, step=self.step)
        return file.getvalue()

    @classmethod
    def read(cls, path: Path, sha256: str, dim: int) -> Quantiser:
        """Return the quantiser saved at `path`; raises `IndexCorrupt` where checksum or dimension do not match."""
        try:
            data = path.read_bytes()
        except OSError as error:
            raise IndexCorrupt(f"{path} cannot be read: {error.strerror or error}.") from error
        if hashlib.sha256(data).hexdigest() != sha256:
            raise IndexCorrupt(f"{path} does not match its checksum.")
        with np.load(io.BytesIO(data)) as saved:
            quantiser = cls(str(saved["kind"]), saved["centre"], saved["turn"], float(saved["step"]))  # type: ignore[arg-type]
        if quantiser.dim != dim:
            raise IndexCorrupt(f"{path} encodes vectors of {quantiser.dim} dimensions, not {dim}.")
        return quantiser


def pca(sample: Vectors, width: int) -> tuple[Vectors, Vectors]:
    """Return the mean (dim,) of a (n, dim) sample and its first `width` principal directions, (dim, width)."""
    centre = sample.mean(axis=0)
    centred = sample - centre
    _, directions = np.linalg.eigh(centred.T @ centred)
    return centre, np.ascontiguousarray(directions[:, ::-1][:, :width], np.float32)


def _random_rotation(dim: int, width: int) -> Vectors:
    """Return (dim, width) directions, orthogonal to each other within each `dim` of them."""
    rng = np.random.default_rng(0)
    blocks = [np.linalg.qr(rng.standard_normal((dim, dim)))[0] for _ in range(-(-width // dim))]
    return np.ascontiguousarray(np.hstack(blocks)[:, :width], np.float32)
