"""Chooses a catalog's engine by measuring: recall, time and size on a sample of its own vectors.

Held-out vectors are the queries, and exact search is the truth.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from imgsearch.core.background import Progress
from imgsearch.core.errors import CatalogError, ConfigError
from imgsearch.core.key_arrays import Keys
from imgsearch.index.base import VectorIndex, Vectors, VectorSource
from imgsearch.index.engines import Parameters, new_index, parameters_to_try
from imgsearch.index.exact_search import exact_top_k
from imgsearch.index.live_index import LiveIndex
from imgsearch.index.local_index import MAX_EXPANSION, LocalIndex
from imgsearch.index.vector_space import VectorSpace

MIN_ITEMS = 1000
SAMPLE = 50_000
QUERIES = 300
TIMING_ROUNDS = 3
K = 10
EFFORTS = (16, 24, 32, 48, 64, 80, 96, 128, 192, 256, 384, 512, 768, MAX_EXPANSION)
ACCEPTED_SLOWDOWN = 1.2
"""A smaller index is preferred while it takes at most this much of the fastest one's time."""
_BLOCK_ROWS = 2048


@dataclass(frozen=True, slots=True)
class Trial:
    """The measures of one engine at `effort`, the lowest that reaches the recall, or the highest tried.

    `index_bytes` is the size on disk; `milliseconds` is the median of single searches in one thread.
    """

    parameters: Parameters
    build_s: float
    index_bytes: int
    effort: int
    ann_recall_at_10: float
    milliseconds: float
    reached: bool

    @property
    def name(self) -> str:
        """The engine in a few words: `usearch` or `codes, bytes 128`."""
        if "coding" not in self.parameters:
            return str(self.parameters["engine"])
        return f"{self.parameters['engine']}, {self.parameters['coding']} {self.parameters['width']}"


@dataclass(frozen=True, slots=True)
class Tuning:
    """The trials in their order, and the chosen one; `items` is the size of the sample."""

    recall: float
    items: int
    queries: int
    trials: tuple[Trial, ...]
    chosen: Trial

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON of `imgsearch tune --json`."""
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
    """Return a trial of every engine on a random `sample` of the keys' vectors, and the `best` one.

    Up to 300 other vectors are the queries. Raises `CatalogError` for fewer than 1,000 keys.
    """
    if len(keys) < MIN_ITEMS:
        raise CatalogError(
            f"The catalog has {len(keys)} items; tuning needs at least {MIN_ITEMS:,}, "
            "because fewer are searched exactly."
        )
    drawn = np.random.default_rng(0).permutation(keys)
    held_out = min(QUERIES, len(keys) // 10)
    indexed = np.sort(drawn[held_out : held_out + sample])
    queries = space.vectors(np.sort(drawn[:held_out]))
    truth = [found for found, _ in exact_top_k(space, indexed, queries, K)]
    engines = [parameters for parameters in parameters_to_try() if _suits(parameters, space.dim)]
    trials = []
    for number, parameters in enumerate(engines):
        if progress:
            progress(number, len(engines))
        trials.append(_trial(space, parameters, indexed, queries, truth, recall, threads))
    if progress:
        progress(len(engines), len(engines))
    return Tuning(recall, len(indexed), len(queries), tuple(trials), best(trials))


def best(trials: Sequence[Trial]) -> Trial:
    """Return the fastest trial that reached the recall, or a smaller one at most 1.2 times as slow.

    Where none reached it, return the one with the highest recall.
    """
    good = [trial for trial in trials if trial.reached]
    if not good:
        return max(trials, key=lambda trial: trial.ann_recall_at_10)
    limit = ACCEPTED_SLOWDOWN * min(trial.milliseconds for trial in good)
    return min((trial for trial in good if trial.milliseconds <= limit), key=lambda trial: trial.index_bytes)


def _suits(parameters: Parameters, dim: int) -> bool:
    """Return whether `dim` components suffice for the codes of an engine that has any."""
    if "coding" not in parameters:
        return True
    return int(parameters["width"]) <= (dim if parameters["coding"] == "bytes" else 8 * dim)


def _trial(
    space: VectorSpace,
    parameters: Parameters,
    keys: Keys,
    queries: Vectors,
    truth: Sequence[Keys],
    recall: float,
    threads: int,
) -> Trial:
    started = time.perf_counter()
    source = VectorSource(
        space.dim, len(keys), space.stored_vectors, lambda count: space.vectors(keys[:count])
    )
    index = new_index(parameters, source, threads=threads)
    for start in range(0, len(keys), _BLOCK_ROWS):
        block = keys[start : start + _BLOCK_ROWS]
        index.add(block, space.vectors(block))
    build_s = time.perf_counter() - started
    for effort in EFFORTS:
        found = [index.search(query, K, expansion=effort)[0] for query in queries]
        hits = sum(len(np.intersect1d(row, true)) for row, true in zip(found, truth, strict=True))
        reached = hits / (K * len(queries))
        if reached >= recall:
            break
    return Trial(
        parameters,
        round(build_s, 2),
        _bytes_on_disk(index),
        effort,
        round(reached, 4),
        round(_median_ms(index, queries, effort), 4),
        reached >= recall,
    )


def _median_ms(index: VectorIndex, queries: Vectors, effort: int) -> float:
    times = []
    for _ in range(TIMING_ROUNDS):
        for query in queries:
            started = time.perf_counter()
            index.search(query, K, expansion=effort)
            times.append(time.perf_counter() - started)
    return float(np.median(times)) * 1000


def _bytes_on_disk(index: VectorIndex) -> int:
    with tempfile.TemporaryDirectory() as folder:
        index.save(Path(folder) / "index")
        return sum(file.stat().st_size for file in Path(folder).iterdir())
