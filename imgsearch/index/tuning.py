"""Choosing a catalog's index by measuring: which engine, which codes, which effort reach a recall at the least time.

It owns the trials (`measure`), on a sample of the catalog's own vectors with held-out ones as queries and exact
search as the truth, and the rule of the choice. Putting the choice in force is `LiveIndex.build_as`'s.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from imgsearch.core.errors import CatalogError, ConfigError
from imgsearch.index.base import Keys, Vectors
from imgsearch.index.engines import IVF_PQ, LocalEngine, is_installed, new_index
from imgsearch.index.exact_search import exact_top_k
from imgsearch.index.live_index import LiveIndex, Progress
from imgsearch.index.local_index import MAX_EXPANSION, LocalIndex
from imgsearch.index.vector_space import VectorSpace

__all__ = ["Trial", "Tuning", "best", "measure", "tune"]

LEAST_ITEMS = 1000
"""Fewer items are searched exactly anyway."""
SAMPLE = 50_000
QUERIES = 300
ROUNDS = 3
K = 10
EFFORTS = (16, 24, 32, 48, 64, 80, 96, 128, 192, 256, 384, 512, 768, MAX_EXPANSION)
WORTH = 1.2
"""A smaller index is preferred while it takes at most this much of the fastest one's time."""
CODES: tuple[Mapping[str, Any], ...] = (
    {"engine": "codes", "coding": "bytes", "width": 64},
    {"engine": "codes", "coding": "bytes", "width": 128},
    {"engine": "codes", "coding": "bytes", "width": 256},
    {"engine": "codes", "coding": "signs", "width": 512},
    {"engine": IVF_PQ},
)


@dataclass(frozen=True, slots=True)
class Trial:
    """What one choice of parameters came to: at `effort`, the lowest that reaches the recall, or the highest tried.

    `index_bytes` are those of the files on disk; `milliseconds` is the median of single searches in one thread.
    """

    parameters: Mapping[str, Any]
    build_s: float
    index_bytes: int
    effort: int
    ann_recall_at_10: float
    milliseconds: float
    reached: bool

    @property
    def name(self) -> str:
        """Return the choice in a few words: `usearch` or `codes, bytes 128`."""
        if "coding" not in self.parameters:
            return str(self.parameters["engine"])
        return f"{self.parameters['engine']}, {self.parameters['coding']} {self.parameters['width']}"


@dataclass(frozen=True, slots=True)
class Tuning:
    """The trials, in the order they were made, and the one that was chosen; `items` is the sample's size."""

    recall: float
    items: int
    queries: int
    trials: tuple[Trial, ...]
    chosen: Trial

    def as_dict(self) -> dict[str, Any]:
        """Return the outcome as the JSON of `imgsearch tune --json`."""
        return {
            "recall": self.recall,
            "items": self.items,
            "queries": self.queries,
            "trials": [{"name": trial.name, **asdict(trial)} for trial in self.trials],
            "chosen": self.chosen.name,
        }


def tune(
    index: LiveIndex, *, recall: float = 0.99, sample: int = SAMPLE, progress: Progress | None = None
) -> Tuning:
    """Measure the engines, rebuild the catalog's index with the best one, and save it as a new generation.

    Raises `CatalogError` for a catalog too small to measure, `ConfigError` for an index that is not in files here.
    """
    if not isinstance(index, LocalIndex):
        raise ConfigError(
            "This index chooses its own engine; use --index local to have one that can be tuned."
        )
    tuning = measure(
        index.space, index.keys(), recall=recall, sample=sample, threads=index.threads, progress=progress
    )
    parameters = {**tuning.chosen.parameters, "expansion_search": tuning.chosen.effort}
    index.build_as(parameters, recall, progress=progress)
    return tuning


def measure(
    space: VectorSpace,
    keys: Keys,
    *,
    recall: float = 0.99,
    sample: int = SAMPLE,
    threads: int = 1,
    progress: Progress | None = None,
) -> Tuning:
    """Return what every engine comes to on a random `sample` of the vectors of the keys, and the best of them.

    Up to 300 others are the queries. The best is the fastest that reaches `recall`, or a smaller one that takes at
    most 1.2 times as long; where none reaches it, the one that comes nearest. Raises `CatalogError` for fewer than
    1,000 keys.
    """
    if len(keys) < LEAST_ITEMS:
        raise CatalogError(
            f"The catalog holds {len(keys)} items; an index is tuned from {LEAST_ITEMS:,} on, for fewer are searched "
            "exactly."
        )
    drawn = np.random.default_rng(0).permutation(keys)
    held_out = min(QUERIES, len(keys) // 10)
    kept = np.sort(drawn[held_out : held_out + sample])
    queries = space.vectors(np.sort(drawn[:held_out]))
    truth = [found for found, _ in exact_top_k(space, kept, queries, K)]
    choices = [{"engine": "usearch"}, *(choice for choice in CODES if _fits(choice, space.dim))]
    trials = []
    for number, parameters in enumerate(choices):
        if progress:
            progress(number, len(choices))
        trials.append(_trial(space, parameters, kept, queries, truth, recall, threads))
    if progress:
        progress(len(choices), len(choices))
    return Tuning(recall, len(kept), len(queries), tuple(trials), best(trials))


def _fits(parameters: Mapping[str, Any], dim: int) -> bool:
    """Return whether the engine is installed and the vectors have components enough, or can be turned to."""
    if "coding" not in parameters:
        return is_installed(parameters)
    if parameters["coding"] == "bytes":
        return int(parameters["width"]) <= dim
    return int(parameters["width"]) <= 8 * dim


def _trial(
    space: VectorSpace,
    parameters: Mapping[str, Any],
    keys: Keys,
    queries: Vectors,
    truth: Sequence[Keys],
    recall: float,
    threads: int,
) -> Trial:
    started = time.perf_counter()
    index = new_index(
        parameters,
        space.dim,
        len(keys),
        space.stored_vectors,
        lambda count: space.vectors(keys[:count]),
        threads=threads,
    )
    for start in range(0, len(keys), 2048):
        part = keys[start : start + 2048]
        index.add(part, space.vectors(part))
    build_s = time.perf_counter() - started
    for effort in EFFORTS:
        found = [index.search(query, K, expansion=effort)[0] for query in queries]
        right = sum(len(np.intersect1d(row, best)) for row, best in zip(found, truth, strict=True))
        reached = right / (K * len(queries))
        if reached >= recall:
            break
    return Trial(
        parameters,
        round(build_s, 2),
        _bytes_on_disk(index),
        effort,
        round(reached, 4),
        round(_milliseconds(index, queries, effort), 4),
        reached >= recall,
    )


def _milliseconds(index: LocalEngine, queries: Vectors, effort: int) -> float:
    taken = []
    for _ in range(ROUNDS):
        for query in queries:
            started = time.perf_counter()
            index.search(query, K, expansion=effort)
            taken.append(time.perf_counter() - started)
    return float(np.median(taken)) * 1000


def _bytes_on_disk(index: LocalEngine) -> int:
    with tempfile.TemporaryDirectory() as folder:
        index.save(Path(folder) / "index")
        return sum(file.stat().st_size for file in Path(folder).iterdir())


def best(trials: Sequence[Trial]) -> Trial:
    """Return the fastest trial that reached the recall, or a smaller one nearly as fast; else the nearest one."""
    good = [trial for trial in trials if trial.reached]
    if not good:
        return max(trials, key=lambda trial: trial.ann_recall_at_10)
    fastest = min(trial.milliseconds for trial in good)
    return min(
        (trial for trial in good if trial.milliseconds <= WORTH * fastest),
        key=lambda trial: trial.index_bytes,
    )
