"""Short codes of vectors: what a graph compares instead of the vectors themselves.

It owns `Quantiser`: how a centre and a turn are learned from some of the vectors, how rows become codes, and how a
coding is kept on disk. Rows that are added later are coded by the same centre and turn. It knows no graphs.

bytes   The first `width` principal components, a byte each, on one scale, so that the Euclidean distance of codes is
        that of the vectors but for what the other components and the rounding lose (Jégou et al., "Aggregating local
        descriptors into a compact image representation", CVPR 2010, section 4: reduce, then quantise).
signs   The signs of `width` components after a random turn, a bit each, compared by how many differ (Charikar,
        "Similarity estimation techniques from rounding algorithms", STOC 2002); centred first, for a sign that nearly
        all vectors share tells nothing.
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

__all__ = ["Kind", "Quantiser", "principal_components"]

Kind = Literal["bytes", "signs"]

LEVELS = 127
BEYOND = 1e-4
"""The share of a sample's components that are clipped to the ends of a byte."""


@dataclass(frozen=True, eq=False)
class Quantiser:
    """Turns (n, dim) float32 rows into codes: `centre` (dim,), `turn` (dim, width), for bytes the `step` of one."""

    kind: Kind
    centre: Vectors
    turn: Vectors
    step: float

    @classmethod
    def train(cls, kind: Kind, width: int, sample: Vectors) -> Quantiser:
        """Return the coding of that kind that suits a (n, dim) float32 sample of the vectors.

        `width` is how many components a code has: up to dim for bytes, a multiple of 8 for signs.
        """
        if kind == "signs":
            turn = _random_turn(sample.shape[1], width)
            return cls(kind, sample.mean(axis=0), turn, 1.0)
        centre, turn = principal_components(sample, width)
        reach = float(np.quantile(np.abs((sample - centre) @ turn), 1 - BEYOND)) if len(sample) else 1.0
        return cls(kind, centre, turn, max(reach, 1e-6) / LEVELS)

    @property
    def width(self) -> int:
        """How many components a code has."""
        return int(self.turn.shape[1])

    def codes(self, rows: Vectors) -> NDArray[Any]:
        """Return the codes of (n, dim) rows: (n, width) int8 for bytes, (n, width / 8) uint8 for signs."""
        turned = (rows - self.centre) @ self.turn
        if self.kind == "signs":
            return np.packbits(turned > 0, axis=1)
        turned /= np.float32(self.step)
        return np.clip(np.rint(turned, out=turned), -LEVELS, LEVELS, out=turned).astype(np.int8)

    def to_bytes(self) -> bytes:
        """Return the coding as the bytes of an .npz file, the same ones for the same coding."""
        file = io.BytesIO()
        np.savez(file, kind=self.kind, centre=self.centre, turn=self.turn, step=self.step)
        return file.getvalue()

    @classmethod
    def read(cls, path: Path, sha256: str, dim: int) -> Quantiser:
        """Return the coding kept at `path`; raises `IndexCorrupt` where its checksum or dimension is another."""
        try:
            data = path.read_bytes()
        except OSError as error:
            raise IndexCorrupt(f"{path} cannot be read: {error.strerror or error}.") from error
        if hashlib.sha256(data).hexdigest() != sha256:
            raise IndexCorrupt(f"{path} does not match its checksum.")
        with np.load(io.BytesIO(data)) as kept:
            coding = cls(str(kept["kind"]), kept["centre"], kept["turn"], float(kept["step"]))  # type: ignore[arg-type]
        if len(coding.centre) != dim:
            raise IndexCorrupt(f"{path} codes vectors of {len(coding.centre)} dimensions, not {dim}.")
        return coding


def principal_components(sample: Vectors, width: int) -> tuple[Vectors, Vectors]:
    """Return the mean (dim,) of a (n, dim) sample and its first `width` principal directions, (dim, width)."""
    centre = sample.mean(axis=0)
    moved = sample - centre
    _, directions = np.linalg.eigh(moved.T @ moved)
    return centre, np.ascontiguousarray(directions[:, ::-1][:, :width], np.float32)


def _random_turn(dim: int, width: int) -> Vectors:
    """Return (dim, width) directions, orthogonal to each other within each `dim` of them."""
    rng = np.random.default_rng(0)
    blocks = [np.linalg.qr(rng.standard_normal((dim, dim)))[0] for _ in range(-(-width // dim))]
    return np.ascontiguousarray(np.hstack(blocks)[:, :width], np.float32)
