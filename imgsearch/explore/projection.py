"""Principal axes of vectors (Hotelling, 1933), and positions on a map for rows that were not laid out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from imgsearch.core.key_arrays import Keys

__all__ = ["Axes", "interpolate_positions", "nearest_rows", "principal_axes", "project"]

Rows = NDArray[np.float32]

READ_BLOCK = 8192
COMPARE_BLOCK = 512
"""Rows that are compared with all others at once; the matrix of their distances must fit into memory."""


@dataclass(frozen=True, eq=False)
class Axes:
    """Principal axes: `mean` (dim,), `directions` (dim, axes) orthonormal, largest variance first; both float32.

    `shares` (axes,) float32 are their shares of the total variance.
    """

    mean: Rows
    directions: Rows
    shares: Rows

    def __call__(self, rows: Rows) -> Rows:
        """Return the (n, axes) float32 coordinates of (n, dim) rows."""
        return np.asarray((rows - self.mean) @ self.directions, np.float32)


def principal_axes(rows: Rows, axes: int) -> Axes:
    """Return the `axes` principal axes of (n, dim) rows, at most dim.

    The largest entry of each is positive, so that equal rows have equal axes on every machine.
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


def project(keys: Keys, read: Callable[[Keys], Rows], axes: Axes) -> Rows:
    """Return the (n, axes) float32 coordinates of the keys' vectors, read block by block."""
    found = np.zeros((len(keys), axes.directions.shape[1]), np.float32)
    for start in range(0, len(keys), READ_BLOCK):
        found[start : start + READ_BLOCK] = axes(read(keys[start : start + READ_BLOCK]))
    return found


def interpolate_positions(fitted: Rows, positions: Rows, others: Rows, neighbours: int = 5) -> Rows:
    """Return (m, d) positions for `others` (m, dim) among `fitted` (n, dim), n > 0, which have `positions` (n, d).

    Each is the mean of its nearest rows' positions, weighted by the inverse distance (Shepard, "A two-dimensional
    interpolation function for irregularly-spaced data", 1968).
    """
    found = np.zeros((len(others), positions.shape[1]), np.float32)
    for start in range(0, len(others), COMPARE_BLOCK):
        part = others[start : start + COMPARE_BLOCK]
        near, distances = nearest_rows(fitted, part, neighbours)
        weights = 1.0 / np.maximum(distances, 1e-6)
        weights /= weights.sum(axis=1, keepdims=True)
        found[start : start + len(part)] = np.einsum("nk,nkd->nd", weights, positions[near])
    return found


def nearest_rows(rows: Rows, queries: Rows, k: int) -> tuple[NDArray[np.int64], Rows]:
    """Return the numbers (m, k) and Euclidean distances (m, k) of the k rows nearest to each query, exactly.

    k is at most the number of rows. Nearest first; ties by row number.
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
