"""Groups of photos that look alike, what stands in the middle of each, which photos stand alone, and fitting words.

It owns the arithmetic over arrays; it knows no catalog and no encoder.

k-means: Lloyd, "Least squares quantization in PCM" (1982), started by k-means++ (Arthur and Vassilvitskii, 2007). How
many groups: the simplified silhouette of Hruschka, de Castro and Campello, "Evolutionary algorithms for clustering
gene-expression data" (2004): how much nearer a photo lies to its own centre than to the next one. Standing alone: the
mean distance to the nearest photos (Ramaswamy, Rastogi and Shim, "Efficient algorithms for mining outliers", 2000).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from imgsearch.explore.projection import nearest_places

__all__ = ["Clustering", "cluster", "loneliness", "medoids", "words_of_clusters"]

Rows = NDArray[np.float32]
Numbers = NDArray[np.int32]

CHOICES = (2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 32, 40)
"""How many groups are tried; more than these nobody tells apart on a map."""
SAMPLE = 20_000
JUDGED = 4000
BLOCK = 512
NEIGHBOURS = 6
ALIKE = 1e-3
"""Rows that differ by less in every direction are one and the same."""
FEW_WORDS = 8
MUCH_LESS = 0.55
NEAR_THE_BEST = 0.97
"""The most groups whose silhouette comes this near to the best one are taken: finer groups are easier to name."""


@dataclass(frozen=True, eq=False)
class Clustering:
    """`labels` (n,) int32 from 0 on, largest group first; `centres` (k, dim) float32."""

    labels: Numbers
    centres: Rows


def cluster(rows: Rows, *, seed: int = 0) -> Clustering:
    """Return the (n, dim) rows in groups, their number chosen by the simplified silhouette.

    Centres are found on a sample of at most 20,000 rows. Fewer than 8 rows are one group; none at all, none.
    """
    if len(rows) < 8:
        centres = rows.mean(axis=0, keepdims=True) if len(rows) else rows[:0]
        return Clustering(np.zeros(len(rows), np.int32), np.asarray(centres, np.float32))
    if np.ptp(rows, axis=0).max() < ALIKE:
        return Clustering(np.zeros(len(rows), np.int32), rows[:1])
    rng = np.random.default_rng(seed)
    sample = rows[np.sort(rng.permutation(len(rows))[:SAMPLE])]
    judged = sample[rng.permutation(len(sample))[:JUDGED]]
    tried = [_k_means(sample, k, seed) for k in CHOICES if k <= max(2, int(np.sqrt(len(rows) / 2)))]
    scores = [_silhouette(judged, centres) for centres in tried]
    good = [number for number, score in enumerate(scores) if score >= NEAR_THE_BEST * max(scores)]
    centres = tried[good[-1]]
    labels, _ = _nearest_centre(rows, centres)
    sizes = np.bincount(labels, minlength=len(centres))
    order = np.argsort(-sizes, kind="stable")
    order = order[sizes[order] > 0]
    rank = np.zeros(len(centres), np.int32)
    rank[order] = np.arange(len(order))
    return Clustering(rank[labels], centres[order])


def medoids(rows: Rows, clustering: Clustering) -> NDArray[np.int64]:
    """Return for each group the number of the row that lies nearest to its centre, (k,) int64."""
    found = np.zeros(len(clustering.centres), np.int64)
    for number, centre in enumerate(clustering.centres):
        members = np.flatnonzero(clustering.labels == number)
        found[number] = members[np.argmin(((rows[members] - centre) ** 2).sum(axis=1))]
    return found


def loneliness(rows: Rows, *, seed: int = 0) -> Rows:
    """Return how far each of the (n, dim) rows lies from its nearest others, (n,) float32: the mean of 5 distances.

    Of more than 20,000 rows the neighbours are looked for in a sample of that size.
    """
    if len(rows) < 2:
        return np.zeros(len(rows), np.float32)
    among = np.arange(len(rows))
    if len(rows) > SAMPLE:
        among = np.sort(np.random.default_rng(seed).permutation(len(rows))[:SAMPLE])
    found = np.zeros(len(rows), np.float32)
    for start in range(0, len(rows), BLOCK):
        numbers = np.arange(start, min(start + BLOCK, len(rows)))
        near, distances = nearest_places(rows[among], rows[numbers], NEIGHBOURS)
        distances[among[near] == numbers[:, None]] = np.nan  # a row is no neighbour of its own
        found[numbers] = np.nanmean(distances, axis=1)
    return found


def words_of_clusters(
    words: Sequence[str], texts: Rows, centres: Rows, centre_of_all: Rows, *, most: int = 5
) -> list[tuple[str, ...]]:
    """Return the words of each cluster, best first; none where nothing fits.

    `texts` (words, dim) and `centres` (k, dim), `centre_of_all` (dim,) are unit rows of the encoder's own space. Only
    the few words nearest to the cluster are looked at, and ranked by how much nearer they lie to it than to the
    catalog as a whole: cos(word, cluster) - cos(word, all). What is worth much less than the best word here, or than
    in the cluster that the word fits best, is left out, and what repeats a better one.
    """
    if not words:
        return [() for _ in centres]
    near = texts @ centres.T
    worth = near - (texts @ centre_of_all)[:, None]
    few, usual = max(FEW_WORDS, len(words) // 20), near.mean(axis=0)
    found = []
    for number in range(len(centres)):
        here = worth[:, number]
        nearest = np.argsort(-near[:, number], kind="stable")[:few]
        fitting = nearest[(near[nearest, number] > usual[number]) & (here[nearest] > 0)]
        fitting = fitting[np.argsort(-here[fitting], kind="stable")]
        chosen: list[str] = []
        for place in fitting:
            best = max(here[fitting[0]], worth[place].max())
            if len(chosen) < most and here[place] >= MUCH_LESS * best and not _in(words[place], chosen):
                chosen.append(words[place])
        found.append(tuple(chosen))
    return found


def _in(word: str, chosen: Sequence[str]) -> bool:
    return any(_repeats(word, other) for other in chosen)


def _repeats(word: str, other: str) -> bool:
    first, second = word.casefold(), other.casefold()
    return first in second or second in first


def _k_means(rows: Rows, k: int, seed: int) -> Rows:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a group without photos is left out below
        centres, _ = scipy.cluster.vq.kmeans2(rows, k, iter=25, minit="++", rng=np.random.default_rng(seed))
    return np.asarray(centres[np.isfinite(centres).all(axis=1)], np.float32)


def _silhouette(rows: Rows, centres: Rows) -> float:
    if len(centres) < 2:
        return 0.0
    _, distances = nearest_places(centres, rows, 2)
    own, following = distances[:, 0], distances[:, 1]
    return float(np.mean((following - own) / np.maximum(following, 1e-9)))


def _nearest_centre(rows: Rows, centres: Rows) -> tuple[Numbers, Rows]:
    labels, distances = np.zeros(len(rows), np.int32), np.zeros(len(rows), np.float32)
    for start in range(0, len(rows), BLOCK):
        near, far = nearest_places(centres, rows[start : start + BLOCK], 1)
        labels[start : start + BLOCK], distances[start : start + BLOCK] = near[:, 0], far[:, 0]
    return labels, distances
