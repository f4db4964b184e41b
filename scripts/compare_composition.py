"""Compare methods of combining a query's terms, on the Sample Store's ground truth, with `lite`.

    python scripts/compare_composition.py [--queries 400] [--seed 0]

Each task defines queries of a few terms and their relevant items; the measure is mean P@10 over the queries that have
at least ten relevant items. The methods: the weighted mean of the terms (Rocchio, in Salton, "The SMART Retrieval
System", 1971); the same with each weight divided by the spread of its term's cosines (the product's method); and the
best-score rule: the highest cosine of a positive term minus the highest cosine of a negative one.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imgsearch.core.query_address import LESS_WEIGHT, MORE_WEIGHT
from imgsearch.demo import ensure_demo_catalog
from imgsearch.encoders import load_encoder
from imgsearch.search.query_encoder import composed
from imgsearch.store.catalog import CatalogStore

Vectors = NDArray[np.float32]
Case = tuple[Vectors, NDArray[np.float64], NDArray[np.bool_], list[int]]
"""The terms' vectors, their weights, the relevance mask, and the row numbers of the query items."""

Weights = NDArray[np.float64]
Scores = NDArray[np.float64]


def _by_composed(rows: Vectors, terms: Vectors, weights: Weights) -> Scores:
    return np.asarray(rows @ composed(terms, weights, rows), np.float64)


def _by_mean(rows: Vectors, terms: Vectors, weights: Weights) -> Scores:
    return np.asarray(rows @ (weights[:, None] * terms).sum(0), np.float64)


def _by_best_score(rows: Vectors, terms: Vectors, weights: Weights) -> Scores:
    """Return the highest weighted cosine of a positive term minus the highest of a negative one."""
    weighted = (rows @ terms.T) * weights
    nothing = np.zeros((len(rows), 1))
    liked = weighted[:, weights > 0].max(1) if (weights > 0).any() else nothing[:, 0]
    return np.asarray(liked + np.hstack([weighted[:, weights < 0], nothing]).min(1), np.float64)


STRATEGIES: dict[str, Callable[[Vectors, Vectors, Weights], Scores]] = {
    "standardised": _by_composed,
    "weighted mean": _by_mean,
    "best score": _by_best_score,
}
"""The (n,) scores of (n, dim) rows by each strategy; the first is the product's."""


class Tasks:
    """The catalog as arrays, and the queries of each task, seeded."""

    def __init__(
        self, table: pd.DataFrame, vectors: Vectors, texts: Callable[[str], Vectors], seed: int
    ) -> None:
        self.table, self.vectors, self.texts = table, vectors, texts
        self.rng = np.random.default_rng(seed)
        self.type, self.colour = table["type"].to_numpy(), table["colour"].to_numpy()

    def recoloured(self) -> Iterator[Case]:
        """Query an item "but in" another colour of its type."""
        for place in self._places():
            colour = self.rng.choice(np.unique(self.colour[self.type == self.type[place]]))
            if colour == self.colour[place]:
                continue
            terms = np.stack([self.vectors[place], self.texts(str(colour))])
            yield (
                terms,
                np.array([1.0, 1.0]),
                (self.type == self.type[place]) & (self.colour == colour),
                [place],
            )

    def between(self) -> Iterator[Case]:
        """Query two items of one type and different colours; relevant items have the type and either colour."""
        for place in self._places():
            others = np.flatnonzero((self.type == self.type[place]) & (self.colour != self.colour[place]))
            if len(others):
                other = int(self.rng.choice(others))
                right = (self.type == self.type[place]) & np.isin(self.colour, self.colour[[place, other]])
                yield self.vectors[[place, other]], np.ones(2), right, [place, other]

    def more(self) -> Iterator[Case]:
        """Query an item, plus "more like" another item of its type and colour."""
        for place in self._places():
            same = (self.type == self.type[place]) & (self.colour == self.colour[place])
            others = np.setdiff1d(np.flatnonzero(same), [place])
            if len(others):
                other = int(self.rng.choice(others))
                yield self.vectors[[place, other]], np.array([1.0, MORE_WEIGHT]), same, [place, other]

    def less(self) -> Iterator[Case]:
        """Query a type's name, less an item of one colour; relevant items have the type in another colour."""
        for place in self._places():
            terms = np.stack([self.texts(str(self.type[place])), self.vectors[place]])
            right = (self.type == self.type[place]) & (self.colour != self.colour[place])
            yield terms, np.array([1.0, LESS_WEIGHT]), right, [place]

    def words(self) -> Iterator[Case]:
        """Query two texts: a type and a colour."""
        for place in self._places():
            terms = np.stack([self.texts(str(self.type[place])), self.texts(str(self.colour[place]))])
            yield terms, np.ones(2), (self.type == self.type[place]) & (self.colour == self.colour[place]), []

    def _places(self) -> list[int]:
        return [int(place) for place in self.rng.permutation(len(self.table))]


def main() -> None:
    """Print P@10 by task and strategy."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--queries", type=int, default=400, help="queries per task")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    encoder = load_encoder("lite")
    kept: dict[str, Vectors] = {}

    def texts(text: str) -> Vectors:
        if text not in kept:
            kept[text] = encoder.encode_texts([text])[0]
        return kept[text]

    with (
        tempfile.TemporaryDirectory() as scratch,
        CatalogStore.open(ensure_demo_catalog(folder=Path(scratch))) as catalog,
    ):
        items = list(catalog.iter_items())
        vectors = catalog.vectors(np.array([item.key for item in items], np.uint64))
        table = pd.DataFrame([dict(item.metadata) for item in items])
    rows = []
    for name in ("recoloured", "between", "more", "less", "words"):
        tasks = Tasks(table, vectors, texts, given.seed)
        figures: dict[str, list[float]] = {strategy: [] for strategy in STRATEGIES}
        for terms, weights, right, asked in getattr(tasks, name)():
            right = right.copy()
            right[asked] = False
            if right.sum() < 10:
                continue
            for strategy, score in STRATEGIES.items():
                scores = score(vectors, terms, weights)
                scores[asked] = -np.inf
                figures[strategy].append(float(right[np.argsort(-scores, kind="stable")[:10]].mean()))
            if len(figures[strategy]) >= given.queries:
                break
        means = {strategy: round(float(np.mean(values)), 3) for strategy, values in figures.items() if values}
        rows.append({"task": name, "queries": len(next(iter(figures.values()))), **means})
    print(pd.DataFrame(rows).to_string(index=False))


if __name__ == "__main__":
    main()
