"""Measures of a candidate head: nDCG of rated items, guards over the whole catalog, and a confidence interval.

nDCG@10 (Järvelin and Kekäläinen, TOIS 2002) has the estimated relevances as gains and ranks rated items only
(condensed lists: Sakai, "Alternatives to Bpref", SIGIR 2007): the published search chose what visitors saw, so
unrated items of another search must not count as bad. The guards cover what condensed lists cannot see.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.key_arrays import Keys
from imgsearch.improve.adaptation.training_data import LabeledQuery, Part, TrainingData
from imgsearch.index.exact_search import exact_top_k
from imgsearch.index.heads import Projection
from imgsearch.index.vector_space import Rows, VectorSpace
from imgsearch.store.catalog import CatalogStore

Places = NDArray[np.int64]
Project = Callable[[Rows], Rows]

CUTOFF = 10
MAX_GUARD_LOSS = 0.05
"""A guard may lose this share of its value."""
QUERY_BATCH = 100
MAX_GUARD_QUERIES = 300
MIN_GUARD_QUERIES = 15
MAX_GUARD_ITEMS = 5_000
BOOTSTRAP_SAMPLES = 10_000
INTERVAL = (0.5, 99.5)
"""Percentiles of the mean change; wide, because `adapt` runs repeatedly and each run may err."""
MAX_SAMPLES = 6
SAMPLE_HITS = 6


@dataclass(frozen=True, eq=False)
class GuardSet:
    """The queries of a guard: each must find one of its `correct` rows among `rows`, other than its `own` (or -1)."""

    name: str
    queries: Rows
    rows: Rows
    correct: list[Places]
    own: Places


@dataclass(frozen=True, slots=True)
class Guard:
    """A measure that must not get worse: the share of `queries` with a correct item in the first 10 hits."""

    name: str
    before: float
    after: float
    queries: int

    @property
    def holds(self) -> bool:
        """Whether it loses at most `MAX_GUARD_LOSS`."""
        return self.after >= self.before * (1.0 - MAX_GUARD_LOSS)

    @property
    def holds_easily(self) -> bool:
        """Whether it loses at most half of `MAX_GUARD_LOSS`."""
        return self.after >= self.before * (1 - MAX_GUARD_LOSS / 2)


@dataclass(frozen=True, slots=True)
class Sample:
    """A test query, the change of its nDCG, and the ids of its first hits before and after, best first."""

    query_key: str
    change: float
    before: tuple[str, ...]
    after: tuple[str, ...]


def condensed_ndcg(gains: NDArray[np.floating[Any]], k: int = CUTOFF) -> float:
    """Return nDCG@k of the gains in the order ranked, against the same gains sorted; 0 without any gain.

    Gains may be fractions. For whole gains it equals trec_eval's.
    """
    discounts = 1.0 / np.log2(np.arange(2, min(k, len(gains)) + 2))
    ideal = float(np.sort(gains)[::-1][:k] @ discounts)
    return float(gains[:k] @ discounts) / ideal if ideal > 0 else 0.0


def ndcg(base: VectorSpace, queries: Sequence[LabeledQuery], project: Project) -> NDArray[np.float64]:
    """Return nDCG@10 of each query in the projected space; ties by key."""
    values = []
    for start in range(0, len(queries), QUERY_BATCH):
        batch = queries[start : start + QUERY_BATCH]
        keys = np.unique(np.concatenate([query.keys for query in batch]))
        rows = project(base.vectors(keys))
        vectors = project(np.stack([query.vector for query in batch]))
        for query, vector in zip(batch, vectors, strict=True):
            scores = rows[np.searchsorted(keys, query.keys)] @ vector
            order = np.lexsort((query.keys, -np.round(scores, 6)))
            values.append(condensed_ndcg(query.relevances[order].astype(np.float64)))
    return np.array(values, np.float64)


def confidence_interval(changes: NDArray[np.float64], seed: int) -> tuple[float, float]:
    """Return the 99% interval of the mean change by the percentile bootstrap over queries.

    Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13.
    """
    rng = np.random.default_rng(seed)
    means = [changes[rng.integers(0, len(changes), len(changes))].mean() for _ in range(BOOTSTRAP_SAMPLES)]
    low, high = (float(bound) for bound in np.percentile(means, INTERVAL))
    return low, high


def guard_sets(base: VectorSpace, data: TrainingData, part: Part, seed: int) -> list[GuardSet]:
    """Return the guards on titles and products of one part; those with too few queries are left out."""
    rng = np.random.default_rng(seed)
    sets = []
    for name, groups in (("text search", data.titles), ("other photos of the product", data.products)):
        groups = [group for group in groups if group.part == part]
        groups = [groups[place] for place in rng.permutation(len(groups))[:MAX_GUARD_QUERIES]]
        if len(groups) < MIN_GUARD_QUERIES:
            continue
        others = rng.permutation(data.sample)[:MAX_GUARD_ITEMS]
        keys = np.unique(np.concatenate([others, *(group.keys for group in groups)]))
        rows = base.vectors(keys)
        correct = [np.searchsorted(keys, group.keys) for group in groups]
        texts = [group.text for group in groups if group.text is not None]
        first = np.array([places[0] for places in correct])
        queries, own = (np.stack(texts), np.full(len(texts), -1)) if texts else (rows[first], first)
        sets.append(GuardSet(name, queries, rows, correct, own))
    return sets


def measure_guards(sets: Sequence[GuardSet], before: Sequence[float], after: Project) -> tuple[Guard, ...]:
    """Return each guard in a space, against the hit rates `before`."""
    return tuple(
        Guard(guard.name, rate, hit_rate(guard, after), len(guard.queries))
        for guard, rate in zip(sets, before, strict=True)
    )


def samples(
    catalog: CatalogStore,
    base: VectorSpace,
    queries: Sequence[LabeledQuery],
    active: VectorSpace,
    candidate: Projection,
) -> tuple[Sample, ...]:
    """Return the queries that change most, two thirds of them improved ones, with their first hits."""
    changes = ndcg(base, queries, candidate) - ndcg(base, queries, active.project)
    order = np.argsort(-changes, kind="stable")
    worse = MAX_SAMPLES // 3
    chosen = [int(place) for place in dict.fromkeys([*order[: MAX_SAMPLES - worse], *order[-worse:]])]
    keys = catalog.keys()
    vectors = np.stack([queries[place].vector for place in chosen])
    n = min(SAMPLE_HITS + max(len(queries[place].own) for place in chosen), len(keys))
    before = exact_top_k(active, keys, active.project(vectors), n)
    after = exact_top_k(_ProjectedSpace(base, candidate), keys, candidate(vectors), n)

    def ids(hits: tuple[Keys, Rows], own: Keys) -> tuple[str, ...]:
        return tuple(item.item_id for item in catalog.by_keys(hits[0][~np.isin(hits[0], own)][:SAMPLE_HITS]))

    found = []
    for place, first, last in zip(chosen, before, after, strict=True):
        own = queries[place].own
        found.append(Sample(queries[place].query_key, float(changes[place]), ids(first, own), ids(last, own)))
    return tuple(found)


@dataclass(frozen=True)
class _ProjectedSpace:
    """The vectors of a head that is not saved yet."""

    base: VectorSpace
    projection: Projection

    def vectors(self, keys: Keys) -> Rows:
        return self.projection(self.base.vectors(keys))


def hit_rate(guard: GuardSet, project: Project) -> float:
    """Return the share of queries with a correct row among the first 10."""
    scores = project(guard.queries) @ project(guard.rows).T
    found = 0
    for row, correct, own in zip(scores, guard.correct, guard.own, strict=True):
        if own >= 0:
            row[own] = -2.0
        best = row[correct[correct != own]].max()
        found += int(np.sum(row > best)) < CUTOFF
    return found / len(guard.queries)
