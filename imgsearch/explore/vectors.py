"""Arithmetic on vectors: principal axes (Hotelling, 1933), interpolation, clusters, medoids and outlier scores.

k-means: Lloyd (1982), initialised by k-means++ (Arthur and Vassilvitskii, 2007). Number of clusters: the simplified
silhouette (Hruschka, de Castro and Campello, "Evolutionary algorithms for clustering gene-expression data", 2004).
Outliers: mean distance to the nearest rows (Ramaswamy, Rastogi and Shim, SIGMOD 2000).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from imgsearch.core.key_arrays import Keys

Rows = NDArray[np.float32]

READ_BLOCK = 8192
COMPARE_BLOCK = 512
"""Rows that are compared with all others at once; the matrix of their distances must fit into memory."""
CLUSTER_COUNTS = (2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 32, 40)
"""The numbers of clusters that are tried; a map of more is hard to read."""
MAX_SAMPLE = 20_000
SILHOUETTE_SAMPLE = 4000
NEIGHBOURS = 6
MIN_SPREAD = 1e-3
"""Rows that differ by less in every dimension are one cluster."""
SILHOUETTE_TOLERANCE = 0.97
"""The largest number of clusters with this share of the best silhouette wins: smaller clusters are easier to name."""


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
    near, distances = nearest_rows(fitted, others, neighbours)
    weights = 1.0 / np.maximum(distances, 1e-6)
    weights /= weights.sum(axis=1, keepdims=True)
    return np.asarray(np.einsum("nk,nkd->nd", weights, positions[near]), np.float32)


def nearest_rows(rows: Rows, queries: Rows, k: int) -> tuple[NDArray[np.int64], Rows]:
    """Return the numbers (m, k) and Euclidean distances (m, k) of the k rows nearest to each query, exactly.

    k is at most the number of rows. Nearest first; ties by row number.
    """
    k = min(k, len(rows))
    if rows.shape[1] <= 3:
        distances, near = scipy.spatial.cKDTree(rows).query(queries, k=list(range(1, k + 1)))
        return np.asarray(near, np.int64), np.asarray(distances, np.float32)
    near, squares = np.zeros((len(queries), k), np.int64), np.zeros((len(queries), k), np.float32)
    lengths = (rows**2).sum(axis=1)
    for start in range(0, len(queries), COMPARE_BLOCK):
        part = queries[start : start + COMPARE_BLOCK]
        block = (part**2).sum(axis=1)[:, None] + lengths[None, :] - 2.0 * (part @ rows.T)
        first = np.argpartition(block, k - 1, axis=1)[:, :k]
        order = np.lexsort((first, np.take_along_axis(block, first, axis=1)), axis=1)
        first = np.take_along_axis(first, order, axis=1)
        near[start : start + len(part)] = first
        squares[start : start + len(part)] = np.take_along_axis(block, first, axis=1)
    return near, np.sqrt(np.maximum(squares, 0.0))


@dataclass(frozen=True, eq=False)
class Clustering:
    """`labels` (n,) int32 from 0, the largest cluster first; `centres` (k, dim) float32."""

    labels: NDArray[np.int32]
    centres: Rows


def cluster(rows: Rows, *, seed: int = 0) -> Clustering:
    """Return the clusters of (n, dim) rows, their number chosen by the simplified silhouette.

    Centres are computed on at most 20,000 rows. Fewer than 8 rows are one cluster; no rows, none.
    """
    if len(rows) < 8:
        centres = rows.mean(axis=0, keepdims=True) if len(rows) else rows[:0]
        return Clustering(np.zeros(len(rows), np.int32), np.asarray(centres, np.float32))
    if np.ptp(rows, axis=0).max() < MIN_SPREAD:
        return Clustering(np.zeros(len(rows), np.int32), rows[:1])
    rng = np.random.default_rng(seed)
    sample = rows[np.sort(rng.permutation(len(rows))[:MAX_SAMPLE])]
    judged = sample[rng.permutation(len(sample))[:SILHOUETTE_SAMPLE]]
    tried = [_k_means(sample, k, seed) for k in CLUSTER_COUNTS if k <= max(2, int(np.sqrt(len(rows) / 2)))]
    scores = [_silhouette(judged, centres) for centres in tried]
    good = [number for number, score in enumerate(scores) if score >= SILHOUETTE_TOLERANCE * max(scores)]
    centres = tried[good[-1]]
    labels, _ = scipy.cluster.vq.vq(rows, centres)
    sizes = np.bincount(labels, minlength=len(centres))
    order = np.argsort(-sizes, kind="stable")
    order = order[sizes[order] > 0]
    rank = np.zeros(len(centres), np.int32)
    rank[order] = np.arange(len(order))
    return Clustering(rank[labels], centres[order])


def medoids(rows: Rows, clustering: Clustering) -> NDArray[np.int64]:
    """Return for each cluster the number of the row nearest to its centre, (k,) int64."""
    found = np.zeros(len(clustering.centres), np.int64)
    for number, centre in enumerate(clustering.centres):
        members = np.flatnonzero(clustering.labels == number)
        found[number] = members[np.argmin(((rows[members] - centre) ** 2).sum(axis=1))]
    return found


def outlier_scores(rows: Rows, *, seed: int = 0) -> Rows:
    """Return the mean distance of each of (n, dim) rows to its 5 nearest others, (n,) float32.

    Of more than 20,000 rows the neighbours are searched in a sample of that size.
    """
    if len(rows) < 2:
        return np.zeros(len(rows), np.float32)
    among = np.arange(len(rows))
    if len(rows) > MAX_SAMPLE:
        among = np.sort(np.random.default_rng(seed).permutation(len(rows))[:MAX_SAMPLE])
    near, distances = nearest_rows(rows[among], rows, NEIGHBOURS)
    distances[among[near] == np.arange(len(rows))[:, None]] = np.nan  # a row is no neighbour of its own
    return np.asarray(np.nanmean(distances, axis=1), np.float32)


def _k_means(rows: Rows, k: int, seed: int) -> Rows:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a cluster without rows is left out below
        centres, _ = scipy.cluster.vq.kmeans2(rows, k, iter=25, minit="++", rng=np.random.default_rng(seed))
    return np.asarray(centres[np.isfinite(centres).all(axis=1)], np.float32)


def _silhouette(rows: Rows, centres: Rows) -> float:
    if len(centres) < 2:
        return 0.0
    _, distances = nearest_rows(centres, rows, 2)
    own, following = distances[:, 0], distances[:, 1]
    return float(np.mean((following - own) / np.maximum(following, 1e-9)))
