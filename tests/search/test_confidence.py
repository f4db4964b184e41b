"""Confidence: "weak" marks results for absent things, calibrated separately for photos and texts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from colour_encoder import ColourEncoder
from numpy.typing import NDArray

from imgsearch.core.query import Query, Region, Term
from imgsearch.core.records import Confidence
from imgsearch.index.opening import open_live_index
from imgsearch.search.query_encoder import Pictures
from imgsearch.search.ranking.confidence import (
    BEST_SCORES,
    Calibration,
    Kind,
    Levels,
    Nearest,
    photo_levels,
    word_levels,
    words_of,
)
from imgsearch.search.searcher import Searcher
from imgsearch.store.catalog import CatalogStore

Rows = NDArray[np.float32]


def clusters(centers: Rows, each: int, seed: int) -> Rows:
    """Return unit rows scattered around unit centers."""
    rng = np.random.default_rng(seed)
    strewn = np.repeat(centers, each, axis=0) + rng.normal(0, 0.05, (len(centers) * each, centers.shape[1]))
    return np.asarray(strewn / np.linalg.norm(strewn, axis=1, keepdims=True), np.float32)


def over(rows: Rows) -> Nearest:
    """Return an exact search over rows with row numbers as keys."""

    def nearest(row: Rows, k: int) -> tuple[NDArray[np.uint64], Rows]:
        scores = rows @ row
        order = np.argsort(-scores)[:k]
        return order.astype(np.uint64), scores[order]

    return nearest


@pytest.fixture
def rows() -> Rows:
    return clusters(np.eye(32, dtype=np.float32)[:8], 20, seed=0)


def test_photos_of_absent_things_are_weak_and_few_catalog_photos_are(rows: Rows) -> None:
    levels = photo_levels(over(rows), np.arange(len(rows), dtype=np.uint64), rows)
    assert levels is not None
    own = [levels.confidence(np.delete(rows @ row, i)) for i, row in enumerate(rows)]
    absent = clusters(np.eye(32, dtype=np.float32)[20:24], 10, seed=1)
    assert own.count("weak") <= 0.1 * len(own)
    assert own.count("strong") >= 0.4 * len(own)
    assert all(levels.confidence(rows @ row) == "weak" for row in absent)


def test_too_few_probes_or_scores_yield_no_confidence(rows: Rows) -> None:
    assert word_levels(over(rows), rows[:0]) is None
    assert word_levels(over(rows), rows[:19]) is None
    assert word_levels(over(rows[:4]), rows) is None
    levels = word_levels(over(rows), rows[:20])
    assert levels is not None
    assert levels.confidence(np.ones(BEST_SCORES - 1, np.float32)) is None
    assert levels.confidence(np.ones(BEST_SCORES, np.float32)) == "strong"


def test_words_that_all_occur_in_one_row_are_vague_but_not_weak(rows: Rows) -> None:
    levels = word_levels(over(rows), rows[:20], [words_of("Red chairs, of oak"), words_of("A lamp")])
    low = np.zeros(BEST_SCORES, np.float32)
    assert levels is not None
    assert levels.confidence(low, "the red chair") == "fair"
    assert levels.confidence(low, "red lamp") == "weak"
    assert levels.confidence(low, "of the") == "weak"
    assert levels.confidence(low, "") == "weak"


# --- in a catalog ------------------------------------------------------------------------------------------------


class Words(ColourEncoder):
    """Encodes a text `thing 3` as the third axis, near the photos of that thing."""

    dim = 32

    def encode_texts(self, texts: Any) -> Rows:
        return np.eye(32, dtype=np.float32)[[int(text.split()[-1]) for text in texts]]


@pytest.fixture
def things(make_catalog: Callable[..., CatalogStore], rows: Rows) -> CatalogStore:
    """Return a catalog of 20 photos each of 8 things, with 40 distinct titles."""
    titles = [{"title": f"{number % 5} thing {number // 20}"} for number in range(len(rows))]
    return make_catalog(rows, titles)


def confidence_of(searcher: Searcher, *terms: Term, **query: Any) -> Confidence | None:
    return searcher.search(Query(terms, **query)).confidence


def test_a_search_result_has_a_confidence(things: CatalogStore) -> None:
    encoder, index = Words(), open_live_index(things)
    calibration = Calibration(things, lambda: encoder, in_background=False)
    searcher = Searcher(things, index, lambda: encoder, levels=calibration.levels)
    item, here, absent = Term("item", "00000.jpg"), Term("text", "thing 3"), Term("text", "thing 30")
    assert confidence_of(searcher, item) in ("strong", "fair")
    assert confidence_of(searcher, here) in ("strong", "fair")
    assert confidence_of(searcher, absent) == "weak"
    assert confidence_of(searcher, absent, n=1) == "weak", (
        "also where fewer hits are requested than are averaged"
    )
    assert confidence_of(searcher, absent, offset=10) is None, "a further page belongs to the first"
    assert confidence_of(searcher, absent, here) is None, "what a mix should reach is not known"
    assert confidence_of(searcher, replace(here, weight=-1.0)) is None
    assert confidence_of(searcher, absent, diversity=0.9) == "weak", "the order does not matter"
    assert confidence_of(Searcher(things, index, lambda: encoder), absent) is None


def test_a_part_of_a_photo_is_not_compared_with_whole_ones(
    catalog: CatalogStore, colours: ColourEncoder
) -> None:
    calibration = Calibration(catalog, lambda: colours, in_background=False)
    searcher = Searcher(
        catalog,
        open_live_index(catalog),
        lambda: colours,
        levels=calibration.levels,
        pictures=Pictures(read_photo=lambda item: Path(item.location).read_bytes()),
    )
    item = next(catalog.iter_items()).item_id
    assert confidence_of(searcher, Term("item", item)) is not None
    assert confidence_of(searcher, Term("item", item, region=Region(0.2, 0.2, 0.8, 0.8))) is None


def test_levels_are_computed_in_the_background_without_blocking_searches(things: CatalogStore) -> None:
    index, encoder = open_live_index(things), Words()
    calibration = Calibration(things, lambda: encoder)
    kinds: tuple[Kind, Kind] = ("photo", "words")
    first = [calibration.levels(index, kind) for kind in kinds]
    assert calibration.wait(120)
    at_once = Calibration(things, lambda: encoder, in_background=False)
    found = [calibration.levels(index, kind) for kind in kinds]
    assert found == [at_once.levels(index, kind) for kind in kinds]
    assert all(isinstance(levels, Levels) for levels in found)
    assert first[1] in (None, found[1])
    calibration.close()


def test_a_catalog_of_twice_the_size_is_recalibrated(things: CatalogStore, rows: Rows) -> None:
    from samples import raw_items

    encoder, index = Words(), open_live_index(things)
    calibration = Calibration(things, lambda: encoder, in_background=False)
    before = calibration.levels(index, "photo")
    more = clusters(np.eye(32, dtype=np.float32)[8:24], 20, seed=2)
    keys, _ = things.store(raw_items([f"more-{number}.jpg" for number in range(len(more))], None), more)
    index.add(keys, more)
    assert calibration.levels(index, "photo") != before


def test_a_failed_or_stopped_calibration_yields_no_levels_and_breaks_no_search(
    things: CatalogStore,
) -> None:
    def broken() -> ColourEncoder:
        raise RuntimeError("no model")

    index = open_live_index(things)
    calibration = Calibration(things, broken, in_background=False)
    assert calibration.levels(index, "words") is None
    closed = Calibration(things, broken)
    closed.close()
    closed.close()
    assert closed.levels(index, "photo") is None


def no_encoder() -> Words:
    raise AssertionError("nothing is encoded again")


def test_stored_levels_are_used_by_the_first_search(things: CatalogStore) -> None:
    encoder, index = Words(), open_live_index(things)
    kinds: tuple[Kind, Kind] = ("photo", "words")
    found = [Calibration(things, lambda: encoder, in_background=False).levels(index, kind) for kind in kinds]
    again = Calibration(things, no_encoder, in_background=False)
    assert [again.levels(index, kind) for kind in kinds] == found
    served = Calibration(things, lambda: encoder)
    assert [served.levels(index, kind) for kind in kinds] == found, "at once, before they are computed again"
    served.close()


def test_levels_of_other_items_or_of_a_damaged_file_are_computed_again(things: CatalogStore) -> None:
    encoder, index = Words(), open_live_index(things)
    first = Calibration(things, lambda: encoder, in_background=False).levels(index, "words")
    path = things.folder / "confidence.json"
    whole = path.read_text(encoding="utf-8")
    for damaged in (
        "",
        "[]",
        "{",
        whole[: len(whole) // 2],
        whole.replace('"weak"', '"week"'),
        '{"version": 1}',
    ):
        path.write_text(damaged, encoding="utf-8")
        assert Calibration(things, lambda: encoder, in_background=False).levels(index, "words") == first
    things.remove(["00000.jpg"])
    calls = []
    Calibration(things, lambda: calls.append(1) or encoder, in_background=False).levels(index, "words")
    assert calls
