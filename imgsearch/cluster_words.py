"""Words for groups of photos: which of the catalog's own values, and of a small vocabulary, fit each group best.

It owns the vocabulary and which words are tried; how a word's worth is measured is `imgsearch.clusters`' to know.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from imgsearch.catalog import Catalog
from imgsearch.clusters import words_of_clusters
from imgsearch.encoders.base import Encoder, KnowsWords

__all__ = ["candidate_words", "cluster_words"]

Keys = NDArray[np.uint64]
Rows = NDArray[np.float32]

TITLES = 5000
TITLE_WORDS = 100
MAX_WORDS = 400
LONGEST_WORD = 30
BATCH = 32
BLOCK = 8192
_WORD = re.compile(r"[^\W\d_]{3,}")
_NOT_ALONE = frozenset({"the", "and", "for", "with", "without", "from", "set", "new", "our", "your", "pack"})
_TITLE_COLUMNS = ("title", "name", "label")

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


def candidate_words(catalog: Catalog) -> list[str]:
    """Return the words to try: values of the catalog's columns, frequent words of its titles, then the vocabulary."""
    values = [
        str(value.value)
        for facet in catalog.facets()
        if facet.kind == "choice"
        for value in facet.values
        if isinstance(value.value, str)
    ]
    short = [value for value in values if _WORD.search(value) and len(value) <= LONGEST_WORD]
    words = [*short, *_title_words(catalog), *VOCABULARY]
    return list({word.casefold(): word for word in reversed(words[:MAX_WORDS])}.values())[::-1]


def cluster_words(
    catalog: Catalog, encoder: Encoder, keys: Keys, labels: NDArray[np.int32]
) -> tuple[tuple[str, ...], ...]:
    """Return the words of each group of the photos `keys`, whose groups are `labels`; raises what encoding raises."""
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


def _title_words(catalog: Catalog) -> list[str]:
    """Return the words that stand in most titles."""
    columns = [column for column in catalog.columns if column.casefold() in _TITLE_COLUMNS]
    if not columns:
        return []
    _, titles, kind = catalog.column(columns[0])
    if kind != "text":
        return []
    counts = Counter(
        word
        for title in titles[:: max(1, len(titles) // TITLES)]
        if isinstance(title, str)
        for word in {found.casefold() for found in _WORD.findall(title)} - _NOT_ALONE
    )
    return [word for word, count in counts.most_common(TITLE_WORDS) if count > 1]


def _encoded(encoder: Encoder, words: Sequence[str]) -> Rows:
    """Return (words, dim) unit rows, a few at a time so that visitors' searches come in between."""
    parts = [encoder.encode_texts(words[start : start + BATCH]) for start in range(0, len(words), BATCH)]
    return np.concatenate(parts) if parts else np.zeros((0, encoder.dim), np.float32)


def _unit(rows: Rows) -> Rows:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9), np.float32)
