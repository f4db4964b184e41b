"""Words for groups of photos: values that their photos share, and words of a small vocabulary that fit them best.

It owns the vocabulary, which words are tried, and how much a shared value says; how near a word lies to a group is
`imgsearch.explore.clusters`' to know.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.records import TITLE_COLUMNS
from imgsearch.encoders.base import Encoder, KnowsWords
from imgsearch.explore.clusters import words_of_clusters
from imgsearch.store.catalog import CatalogStore

__all__ = ["candidate_words", "cluster_words", "shared_values"]

Keys = NDArray[np.uint64]
Rows = NDArray[np.float32]

TITLES = 5000
TITLE_WORDS = 100
MAX_WORDS = 400
LONGEST_WORD = 30
MOST_SHARED = 3
SHARED_BY = 0.5
"""A value names a group when at least this share of its photos has it, and ..."""
LIFT = 1.5
"""... so many times the share that it has in the whole catalog."""
BATCH = 32
BLOCK = 8192
_WORD = re.compile(r"[^\W\d_]{3,}")
_NOT_ALONE = frozenset({"the", "and", "for", "with", "without", "from", "set", "new", "our", "your", "pack"})

VOCABULARY: tuple[str, ...] = (
    "chair", "armchair", "sofa", "table", "desk", "bed", "lamp", "shelf", "cabinet", "mirror", "rug", "curtain",
    "cushion", "vase", "bowl", "plate", "cup", "mug", "bottle", "glass", "kettle", "pan", "pot", "knife", "clock",
    "watch", "ring", "necklace", "earrings", "bracelet", "sunglasses", "glasses", "handbag", "backpack", "suitcase",
    "wallet", "belt", "hat", "cap", "scarf", "gloves", "shirt", "t-shirt", "blouse", "sweater", "hoodie", "jacket",
    "coat", "dress", "skirt", "trousers", "jeans", "shorts", "underwear", "socks", "swimsuit", "shoe", "sneaker",
    "boot", "sandal", "high heels", "phone", "laptop", "tablet", "keyboard", "headphones", "loudspeaker", "camera",
    "television", "toy", "teddy bear", "doll", "ball", "bicycle", "car", "tool", "book", "painting", "poster",
    "plant", "flower", "food", "fruit", "cosmetics", "perfume", "person", "face", "animal", "building", "landscape",
    "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white", "grey", "gold", "silver",
    "wood", "metal", "leather", "fabric", "plastic", "ceramic", "stone", "wicker", "striped", "checked", "dotted",
    "floral", "plain", "round", "square", "tall", "modern", "vintage", "outdoor", "for children", "sport",
)  # fmt: skip
"""What shops sell, and how it looks: words for catalogs that have none of their own."""


def candidate_words(catalog: CatalogStore) -> list[str]:
    """Return the words to try: values of the catalog's columns, frequent words of its titles, then the vocabulary."""
    values = [
        str(value.value)
        for facet in catalog.metadata.facets()
        if facet.kind == "choice"
        for value in facet.values
        if isinstance(value.value, str)
    ]
    short = [value for value in values if _is_short(value)]
    words = [*short, *_title_words(catalog), *VOCABULARY]
    return list({word.casefold(): word for word in reversed(words[:MAX_WORDS])}.values())[::-1]


def shared_values(
    catalog: CatalogStore, keys: Keys, labels: NDArray[np.int32]
) -> tuple[tuple[str, ...], ...]:
    """Return what most photos of each group share, and few others: metadata values and title words, best first.

    The group of each of the photos `keys` is its number in `labels`. A value is ranked by how well it tells the
    group's photos from the rest: F0.5, which weighs the share of the group that has it above the share of those who
    have it that are in the group (van Rijsbergen, "Information Retrieval", 1979).
    """
    sizes = np.bincount(labels, minlength=int(labels.max(initial=-1)) + 1)
    found: list[dict[str, float]] = [{} for _ in sizes]
    for name, has in _having(catalog, keys):
        within = np.bincount(labels[has], minlength=len(sizes))
        for number in np.flatnonzero((within > 0) & (within >= SHARED_BY * sizes)):
            precision, recall = within[number] / sizes[number], within[number] / has.sum()
            if precision >= LIFT * has.mean():
                worth = 1.25 * precision * recall / (0.25 * precision + recall)
                found[number][name] = max(worth, found[number].get(name, 0.0))
    return tuple(tuple(sorted(shared, key=lambda name: -shared[name])[:MOST_SHARED]) for shared in found)


def cluster_words(
    catalog: CatalogStore, encoder: Encoder, keys: Keys, labels: NDArray[np.int32]
) -> tuple[tuple[str, ...], ...]:
    """Return words of a vocabulary that fit each group of the photos `keys`, whose groups are `labels`.

    Raises what encoding raises.
    """
    words = candidate_words(catalog)
    texts = _encoded(encoder, words)
    if isinstance(encoder, KnowsWords):
        known = np.array([encoder.understood(row) for row in texts], bool)
        words, texts = [word for word, good in zip(words, known, strict=True) if good], texts[known]
    centres = np.zeros((int(labels.max(initial=-1)) + 1, catalog.dim), np.float32)
    for start in range(0, len(keys), BLOCK):
        part = slice(start, start + BLOCK)
        np.add.at(centres, labels[part], catalog.vectors(keys[part]))
    return tuple(words_of_clusters(words, texts, _unit(centres), _unit(centres.sum(axis=0)[None, :])[0]))


def _having(catalog: CatalogStore, keys: Keys) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Yield every value that may name a group, with which of the keys have it."""
    column = _title_column(catalog)
    for facet in catalog.metadata.facets():
        if facet.kind == "choice" and facet.column != column:
            wanted = [
                each.value for each in facet.values if isinstance(each.value, str) and _is_short(each.value)
            ]
            yield from _holding(_values(catalog, facet.column, keys), wanted, lambda value: (value,))
    if column:
        yield from _holding(_values(catalog, column, keys), _title_words(catalog), _words_of)


def _holding(
    values: NDArray[np.object_], wanted: Sequence[str], parts: Callable[[Any], Iterable[str]]
) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Yield each of the wanted words with which of the values have it among their parts; equal ones are read once."""
    numbers: dict[Any, int] = {}
    codes = np.fromiter((numbers.setdefault(value, len(numbers)) for value in values.tolist()), np.int64)
    holding: dict[str, set[int]] = {word: set() for word in wanted}
    for value, number in numbers.items():
        for part in parts(value):
            if part in holding:
                holding[part].add(number)
    for word in wanted:
        has = np.zeros(len(numbers), bool)
        has[list(holding[word])] = True
        yield word, has[codes]


def _values(catalog: CatalogStore, column: str, keys: Keys) -> NDArray[np.object_]:
    """Return the values of a column, None for keys that are gone."""
    there, found, _ = catalog.metadata.column(column, keys)
    values = np.full(len(keys), None, object)
    values[np.searchsorted(keys, there)] = found
    return values


def _title_column(catalog: CatalogStore) -> str | None:
    return next((column for column in catalog.metadata.columns if column.casefold() in TITLE_COLUMNS), None)


def _words_of(title: object) -> list[str]:
    return [word.casefold() for word in _WORD.findall(title)] if isinstance(title, str) else []


def _is_short(value: str) -> bool:
    return bool(_WORD.search(value)) and len(value) <= LONGEST_WORD


def _title_words(catalog: CatalogStore) -> list[str]:
    """Return the words that stand in most titles."""
    column = _title_column(catalog)
    if column is None:
        return []
    keys = catalog.keys()
    _, titles, kind = catalog.metadata.column(column, keys[:: max(1, len(keys) // TITLES)])
    if kind != "text":
        return []
    counts = Counter(word for title in titles for word in set(_words_of(title)) - _NOT_ALONE)
    return [word for word, count in counts.most_common(TITLE_WORDS) if count > 1]


def _encoded(encoder: Encoder, words: Sequence[str]) -> Rows:
    """Return (words, dim) unit rows, a few at a time so that visitors' searches come in between."""
    parts = [encoder.encode_texts(words[start : start + BATCH]) for start in range(0, len(words), BATCH)]
    return np.concatenate(parts) if parts else np.zeros((0, encoder.dim), np.float32)


def _unit(rows: Rows) -> Rows:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9), np.float32)
