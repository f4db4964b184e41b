"""Clusters of rows, their medoids, and outlier scores.

k-means: Lloyd (1982), initialised by k-means++ (Arthur and Vassilvitskii, 2007). Number of clusters: the simplified
silhouette of Hruschka, de Castro and Campello, "Evolutionary algorithms for clustering gene-expression data" (2004).
Outliers: mean distance to the nearest rows (Ramaswamy, Rastogi and Shim, "Efficient algorithms for mining outliers
from large data sets", 2000).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from imgsearch.explore.projection import nearest_rows

__all__ = ["Clustering", "cluster", "medoids", "outlier_scores"]

Rows = NDArray[np.float32]

CLUSTER_COUNTS = (2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 32, 40)
"""The numbers of clusters that are tried; a map of more is hard to read."""
MAX_SAMPLE = 20_000
SILHOUETTE_SAMPLE = 4000
BLOCK = 512
NEIGHBOURS = 6
MIN_SPREAD = 1e-3
"""Rows that differ by less in every dimension are one cluster."""
SILHOUETTE_TOLERANCE = 0.97
"""The largest number of clusters with this share of the best silhouette wins: smaller clusters are easier to name."""


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
    found = np.zeros(len(rows), np.float32)
    for start in range(0, len(rows), BLOCK):
        numbers = np.arange(start, min(start + BLOCK, len(rows)))
        near, distances = nearest_rows(rows[among], rows[numbers], NEIGHBOURS)
        distances[among[near] == numbers[:, None]] = np.nan  # a row is no neighbour of its own
        found[numbers] = np.nanmean(distances, axis=1)
    return found


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
