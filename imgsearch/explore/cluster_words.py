"""Words for clusters: values that their photos share, and words of a vocabulary that fit them by the encoder."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.key_arrays import Keys
from imgsearch.encoders.base import Encoder, KnowsWords
from imgsearch.explore.map_document import column_values
from imgsearch.explore.vectors import Rows
from imgsearch.store.catalog import CatalogStore

TITLES_SAMPLE = 5000
MAX_TITLE_WORDS = 100
MAX_CANDIDATES = 400
MAX_WORD_LENGTH = 30
MAX_SHARED = 3
MIN_SHARE = 0.5
"""A value names a cluster when at least this share of its photos has it, and ..."""
MIN_LIFT = 1.5
"""... this multiple of its share in the whole catalog."""
ENCODE_BATCH = 32
READ_BLOCK = 8192
MIN_NEAREST_WORDS = 8
MIN_OF_BEST = 0.55
"""A word's share of the best word's score below which it is left out."""
_WORD = re.compile(r"[^\W\d_]{3,}")
_STOP_WORDS = frozenset({"the", "and", "for", "with", "without", "from", "set", "new", "our", "your", "pack"})

VOCABULARY = Path(__file__).with_name("vocabulary.txt").read_text(encoding="utf-8").splitlines()
"""Products and their looks: words for catalogs that have none of their own."""


def candidate_words(catalog: CatalogStore) -> list[str]:
    """Return the words to try: values of the catalog's columns, frequent words of its titles, then the vocabulary."""
    values = [
        value.value for facet in catalog.metadata.facets() if facet.kind == "choice" for value in facet.values
    ]
    words = [*filter(_is_short, values), *_title_words(catalog), *VOCABULARY]
    return list({word.casefold(): word for word in reversed(words[:MAX_CANDIDATES])}.values())[::-1]


def shared_values(
    catalog: CatalogStore, keys: Keys, labels: NDArray[np.int32]
) -> tuple[tuple[str, ...], ...]:
    """Return the metadata values and title words that most photos of a cluster share and few others, best first.

    `labels` are the clusters of the photos `keys`. A value is ranked by F0.5 as a classifier of the cluster (van
    Rijsbergen, "Information Retrieval", 1979): the share of the cluster that has it is its precision, the share of
    its photos that are in the cluster its recall.
    """
    sizes = np.bincount(labels, minlength=int(labels.max(initial=-1)) + 1)
    found: list[dict[str, float]] = [{} for _ in sizes]
    for name, has in _named_masks(catalog, keys):
        within = np.bincount(labels[has], minlength=len(sizes))
        for number in np.flatnonzero((within > 0) & (within >= MIN_SHARE * sizes)):
            precision, recall = within[number] / sizes[number], within[number] / has.sum()
            if precision >= MIN_LIFT * has.mean():
                score = 1.25 * precision * recall / (0.25 * precision + recall)
                found[number][name] = max(score, found[number].get(name, 0.0))
    return tuple(tuple(sorted(shared, key=lambda name: -shared[name])[:MAX_SHARED]) for shared in found)


def cluster_words(
    catalog: CatalogStore, encoder: Encoder, keys: Keys, labels: NDArray[np.int32]
) -> tuple[tuple[str, ...], ...]:
    """Return the candidate words that fit each cluster of the photos `keys`; raises what encoding raises."""
    words = candidate_words(catalog)
    # Small batches let the searches of visitors in between.
    batches = [words[start : start + ENCODE_BATCH] for start in range(0, len(words), ENCODE_BATCH)]
    texts = np.concatenate([encoder.encode_texts(batch) for batch in batches])
    if isinstance(encoder, KnowsWords):
        known = np.array([encoder.understood(row) for row in texts], bool)
        words, texts = [word for word, good in zip(words, known, strict=True) if good], texts[known]
    centres = np.zeros((int(labels.max(initial=-1)) + 1, catalog.dim), np.float32)
    for start in range(0, len(keys), READ_BLOCK):
        part = slice(start, start + READ_BLOCK)
        np.add.at(centres, labels[part], catalog.vectors(keys[part]))
    return tuple(best_words(words, texts, _unit(centres), _unit(centres.sum(axis=0)[None, :])[0]))


def best_words(
    words: Sequence[str], texts: Rows, centres: Rows, catalog_centre: Rows, *, n: int = 5
) -> list[tuple[str, ...]]:
    """Return at most n words of each cluster, best first; none where nothing fits.

    `texts` (words, dim), `centres` (k, dim) and `catalog_centre` (dim,) are unit rows of the encoder's own space. The
    words nearest to a cluster are ranked by cos(word, cluster) - cos(word, catalog). Words that score much less than
    the best word here, or than in the cluster that they fit best, are left out, and repetitions of better ones.
    """
    if not words:
        return [() for _ in centres]
    near = texts @ centres.T
    scores = near - (texts @ catalog_centre)[:, None]
    nearest_words, mean = max(MIN_NEAREST_WORDS, len(words) // 20), near.mean(axis=0)
    found = []
    for number in range(len(centres)):
        here = scores[:, number]
        nearest = np.argsort(-near[:, number], kind="stable")[:nearest_words]
        fitting = nearest[(near[nearest, number] > mean[number]) & (here[nearest] > 0)]
        fitting = fitting[np.argsort(-here[fitting], kind="stable")]
        chosen: list[str] = []
        for place in fitting:
            best = max(here[fitting[0]], scores[place].max())
            if len(chosen) < n and here[place] >= MIN_OF_BEST * best and not _repeats(words[place], chosen):
                chosen.append(words[place])
        found.append(tuple(chosen))
    return found


def _repeats(word: str, chosen: Sequence[str]) -> bool:
    folded = word.casefold()
    return any(folded in other.casefold() or other.casefold() in folded for other in chosen)


def _named_masks(catalog: CatalogStore, keys: Keys) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Yield every value that may name a cluster, and which of the keys have it."""
    column = _title_column(catalog)
    for facet in catalog.metadata.facets():
        if facet.kind == "choice" and facet.column != column:
            names = [value.value for value in facet.values if _is_short(value.value)]
            values, _ = column_values(catalog.metadata, facet.column, keys)
            yield from _masks(values, names, lambda value: value if isinstance(value, tuple) else (value,))
    if column:
        titles, _ = column_values(catalog.metadata, column, keys)
        yield from _masks(titles, _title_words(catalog), _words_of)


def _masks(
    values: NDArray[np.object_], names: Sequence[str], parts: Callable[[Any], Iterable[str]]
) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Yield each name and which values have it among their parts; equal values are split once."""
    numbers: dict[Any, int] = {}
    codes = np.fromiter((numbers.setdefault(value, len(numbers)) for value in values.tolist()), np.int64)
    having: dict[str, set[int]] = {name: set() for name in names}
    for value, number in numbers.items():
        for part in parts(value):
            if part in having:
                having[part].add(number)
    for name in names:
        has = np.zeros(len(numbers), bool)
        has[list(having[name])] = True
        yield name, has[codes]


def _title_column(catalog: CatalogStore) -> str | None:
    return next(iter(catalog.metadata.title_columns), None)


def _words_of(title: object) -> list[str]:
    return [word.casefold() for word in _WORD.findall(title)] if isinstance(title, str) else []


def _is_short(value: object) -> bool:
    return isinstance(value, str) and bool(_WORD.search(value)) and len(value) <= MAX_WORD_LENGTH


def _title_words(catalog: CatalogStore) -> list[str]:
    """Return the words that occur in most titles."""
    column = _title_column(catalog)
    if column is None:
        return []
    keys = catalog.keys()
    _, titles, kind = catalog.metadata.column(column, keys[:: max(1, len(keys) // TITLES_SAMPLE)])
    if kind != "text":
        return []
    counts = Counter(word for title in titles for word in set(_words_of(title)) - _STOP_WORDS)
    return [word for word, count in counts.most_common(MAX_TITLE_WORDS) if count > 1]


def _unit(rows: Rows) -> Rows:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9), np.float32)
