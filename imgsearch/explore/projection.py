"""Fewer dimensions: principal axes of many vectors, and places on a map for those that were not laid out themselves.

It owns the arithmetic; it knows no catalog, and where vectors come from is a callable's to know.

Principal components: Hotelling, "Analysis of a complex of statistical variables into principal components" (1933).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

__all__ = ["Axes", "nearest_places", "place_by_neighbours", "principal_axes", "project"]

Keys = NDArray[np.uint64]
Rows = NDArray[np.float32]
Read = Callable[[Keys], Rows]

BLOCK = 8192
FEW = 512
"""So many rows are compared with all others at once: the matrix of their distances has to fit into memory."""


@dataclass(frozen=True, eq=False)
class Axes:
    """Principal axes: `mean` (dim,), `directions` (dim, axes) orthonormal, most spread first; both float32.

    `shares` (axes,) float32 says which share of all spread lies along each.
    """

    mean: Rows
    directions: Rows
    shares: Rows

    def __call__(self, rows: Rows) -> Rows:
        """Return the (n, axes) float32 places of (n, dim) rows."""
        return np.asarray((rows - self.mean) @ self.directions, np.float32)


def principal_axes(rows: Rows, axes: int) -> Axes:
    """Return the `axes` principal axes of (n, dim) rows, or as many as there are dimensions.

    Each points where its largest entry is positive, so that the same rows give the same axes everywhere.
    """
    mean = rows.mean(axis=0) if len(rows) else np.zeros(rows.shape[1], np.float32)
    centred = rows - mean
    dim = rows.shape[1]
    axes = min(axes, dim)
    covariance = (centred.T @ centred).astype(np.float64) / max(len(rows), 1)
    spread, vectors = scipy.linalg.eigh(covariance, subset_by_index=[dim - axes, dim - 1])
    spread, vectors = np.maximum(spread[::-1], 0.0), vectors[:, ::-1]
    largest = vectors[np.argmax(np.abs(vectors), axis=0), np.arange(axes)]
    total = float(np.trace(covariance)) or 1.0
    return Axes(
        np.asarray(mean, np.float32),
        np.asarray(vectors * np.where(largest < 0, -1.0, 1.0), np.float32),
        np.asarray(spread / total, np.float32),
    )


def project(keys: Keys, read: Read, axes: Axes) -> Rows:
    """Return the (n, axes) float32 places of the keys' vectors, read block by block."""
    found = np.zeros((len(keys), axes.directions.shape[1]), np.float32)
    for start in range(0, len(keys), BLOCK):
        found[start : start + BLOCK] = axes(read(keys[start : start + BLOCK]))
    return found


def place_by_neighbours(laid_out: Rows, places: Rows, others: Rows, neighbours: int = 5) -> Rows:
    """Return (m, d) places for `others` (m, dim) among `laid_out` (n, dim), which have the `places` (n, d).

    Each lies at the mean of its nearest ones' places weighted by one over the distance (Shepard, "A two-dimensional
    interpolation function for irregularly-spaced data", 1968). n must be at least 1.
    """
    found = np.zeros((len(others), places.shape[1]), np.float32)
    for start in range(0, len(others), FEW):
        part = others[start : start + FEW]
        near, distances = nearest_places(laid_out, part, neighbours)
        weights = 1.0 / np.maximum(distances, 1e-6)
        weights /= weights.sum(axis=1, keepdims=True)
        found[start : start + len(part)] = np.einsum("nk,nkd->nd", weights, places[near])
    return found


def nearest_places(rows: Rows, queries: Rows, k: int) -> tuple[NDArray[np.int64], Rows]:
    """Return the row numbers (m, k) and Euclidean distances (m, k) of the k rows nearest to each query, exactly.

    k falls to the number of rows. Nearest first; ties by row number.
    """
    k = min(k, len(rows))
    if rows.shape[1] <= 3:
        distances, near = scipy.spatial.cKDTree(rows).query(queries, k=list(range(1, k + 1)))
        return np.asarray(near, np.int64), np.asarray(distances, np.float32)
    squares = (queries**2).sum(axis=1)[:, None] + (rows**2).sum(axis=1)[None, :] - 2.0 * (queries @ rows.T)
    near = np.argpartition(squares, k - 1, axis=1)[:, :k]
    found = np.take_along_axis(squares, near, axis=1)
    order = np.lexsort((near, found), axis=1)
    near, found = np.take_along_axis(near, order, axis=1), np.take_along_axis(found, order, axis=1)
    return np.asarray(near, np.int64), np.asarray(np.sqrt(np.maximum(found, 0.0)), np.float32)
