"""Titles: encoded once, fused with photos by rank, weighted by how well they describe photos."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from colour_encoder import ColourEncoder
from numpy.typing import NDArray
from samples import clustered, relabelled

from imgsearch.core.filter_grammar import parse_filters
from imgsearch.core.query import Query
from imgsearch.core.records import SearchResult
from imgsearch.encoders.base import unit_rows
from imgsearch.index.opening import open_live_index
from imgsearch.search.page import RERANK_CANDIDATES
from imgsearch.search.searcher import Searcher
from imgsearch.search.words import titles as titles_module
from imgsearch.search.words.titles import RRF_K, TitleIndex, Titles, rrf_scores, title_weight
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.vector_file import TitleStore

Vectors = NDArray[np.float32]
MakeCatalog = Callable[..., CatalogStore]


class CountingEncoder(ColourEncoder):
    """Records the encoded texts."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        self.texts += texts
        return super().encode_texts(texts)


class NamingEncoder(ColourEncoder):
    """Returns fixed vectors for some texts and random ones for all others."""

    def __init__(self, known: dict[str, Vectors], dim: int) -> None:
        super().__init__()
        self._known, self._width = known, dim

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        chance = np.random.default_rng(len(texts)).normal(size=self._width).astype(np.float32)
        return unit_rows(np.stack([self._known.get(text, chance) for text in texts]))


@pytest.fixture
def encoder() -> CountingEncoder:
    return CountingEncoder()


def use(catalog: CatalogStore, encoder: ColourEncoder) -> Titles:
    return Titles(catalog, lambda: encoder)


def search(
    catalog: CatalogStore, encoder: ColourEncoder, text: str, titles: Titles | None = None, **options: Any
) -> SearchResult:
    searcher = Searcher(catalog, open_live_index(catalog), lambda: encoder, titles=titles)
    return searcher.search(Query.of(text=text, **options))


def ids(result: SearchResult) -> list[str]:
    return [hit.item_id for hit in result.hits]


def retitle(catalog: CatalogStore, change: Callable[[int, str], str | None]) -> None:
    """Set every item's title to `change(number, title)`."""
    rows = []
    for number, item in enumerate(catalog.iter_items()):
        rows.append(relabelled(item.item_id, {**item.metadata, "title": change(number, item.title)}))
    catalog.update_metadata(rows)


# --- fusion and trust -------------------------------------------------------------------------------------------


def test_rankings_are_fused_by_the_sum_of_reciprocal_ranks() -> None:
    photos = np.array([0.9, 0.5, 0.7, 0.7], np.float32)
    names = np.array([0.1, 0.4, 0.3, 0.3], np.float32)
    expected = [1 / (RRF_K + 1) + 0.5 / (RRF_K + 4), 1 / (RRF_K + 4) + 0.5 / (RRF_K + 1)]
    expected += [1 / (RRF_K + 2) + 0.5 / (RRF_K + 2)] * 2
    assert rrf_scores(photos, names, 0.5) == pytest.approx(expected)


def test_an_item_without_a_title_uses_its_photo_rank_in_both_rankings() -> None:
    photos = np.array([0.9, 0.8, 0.7, 0.6], np.float32)
    names = np.array([np.nan, 0.2, np.nan, 0.9], np.float32)
    # The two titles have ranks 1 and 2 of 2, scaled to four items.
    expected = [
        2 / (RRF_K + 1),
        1 / (RRF_K + 2) + 1 / (RRF_K + 4),
        2 / (RRF_K + 3),
        1 / (RRF_K + 4) + 1 / (RRF_K + 2),
    ]
    assert rrf_scores(photos, names, 1.0) == pytest.approx(expected)
    assert rrf_scores(photos, np.full(4, np.nan, np.float32), 1.0) == pytest.approx(
        2 / (RRF_K + np.arange(1, 5))
    )


def test_titles_are_weighted_by_how_well_they_discriminate_photos() -> None:
    rows, codes = clustered(300, 32), np.arange(300)
    assert title_weight(rows, rows, codes) == (pytest.approx(1.0), pytest.approx(1.0))
    weight, trust = title_weight(np.roll(rows, 7, axis=0), rows, codes)
    assert weight == 0.0
    assert trust == pytest.approx(0.5, abs=0.06)
    half = np.concatenate([rows[:150], np.roll(rows[150:], 7, axis=0)])
    assert title_weight(half, rows, codes)[0] < 0.2  # every second title is wrong
    assert title_weight(rows, rows, np.zeros(300, int))[0] == 0.0  # a single common title has no information


# --- searching --------------------------------------------------------------------------------------------------


def test_titles_change_the_order_and_not_the_scores(catalog: CatalogStore, encoder: CountingEncoder) -> None:
    alone = search(catalog, encoder, "red mug", n=48)
    both = search(catalog, encoder, "red mug", use(catalog, encoder), n=48)
    assert sorted(ids(both)) == sorted(ids(alone))
    assert {hit.item_id: hit.score for hit in both.hits} == {hit.item_id: hit.score for hit in alone.hits}
    assert [hit.rank for hit in both.hits] == list(range(1, 49))
    assert both.confidence == alone.confidence


def test_an_uninformative_photo_is_found_by_its_title(
    catalog: CatalogStore, encoder: CountingEncoder
) -> None:
    retitle(catalog, lambda number, title: "red mug" if number == 30 else title)
    odd = list(catalog.iter_items())[30].item_id
    alone = ids(search(catalog, encoder, "red", n=48)).index(odd)
    assert ids(search(catalog, encoder, "red", use(catalog, encoder), n=48)).index(odd) < alone


def test_titles_unrelated_to_the_photos_change_nothing(
    catalog: CatalogStore, encoder: CountingEncoder
) -> None:
    names = [item.title for item in catalog.iter_items()]
    shuffled = np.random.default_rng(0).permutation(names)
    retitle(catalog, lambda number, title: str(shuffled[number]))
    alone = search(catalog, encoder, "red", n=48)
    titles = use(catalog, encoder)
    assert ids(search(catalog, encoder, "red", titles, n=48)) == ids(alone)
    assert titles.ready() is None
    assert "do not tell the photos apart" in titles.state.sentence


@pytest.mark.parametrize(
    "query",
    [
        Query.of(item="mug/red-0.jpg", n=48),
        Query.of(text="red", item="mug/red-0.jpg", n=48),
    ],
)
def test_only_text_only_queries_use_titles(
    catalog: CatalogStore, encoder: CountingEncoder, query: Query
) -> None:
    searcher = Searcher(catalog, open_live_index(catalog), lambda: encoder)
    alone = searcher.search(query)
    titles = use(catalog, encoder)
    assert titles.ready() is not None
    with_titles = Searcher(catalog, open_live_index(catalog), lambda: encoder, titles=titles)
    assert ids(with_titles.search(query)) == ids(alone)


@pytest.fixture
def large(make_catalog: MakeCatalog) -> tuple[CatalogStore, NamingEncoder, Vectors]:
    """Return a catalog of more photos than are re-ranked, three per title; item 7's photo is another's."""
    vectors = unit_rows(
        np.repeat(clustered(RERANK_CANDIDATES, 24, clusters=200), 3, axis=0)
        + clustered(3 * RERANK_CANDIDATES, 24) / 8
    )
    names = {f"thing {number}": vectors[3 * number] for number in range(RERANK_CANDIDATES)}
    rows = [{"title": f"thing {place // 3}", "part": place % 5} for place in range(len(vectors))]
    vectors[7] = -vectors[6]
    return make_catalog(vectors, rows), NamingEncoder(names, 24), vectors


def test_a_title_is_found_even_if_its_photo_is_among_the_farthest(
    large: tuple[CatalogStore, NamingEncoder, Vectors],
) -> None:
    catalog, encoder, _ = large
    assert "00007.jpg" not in ids(search(catalog, encoder, "thing 2", n=500))
    found = ids(search(catalog, encoder, "thing 2", use(catalog, encoder), n=500))
    assert found[0] in ("00006.jpg", "00008.jpg")
    assert "00007.jpg" in found


def test_pages_of_a_fused_search_neither_overlap_nor_leave_gaps_also_under_filters(
    large: tuple[CatalogStore, NamingEncoder, Vectors],
) -> None:
    catalog, encoder, _ = large
    titles = use(catalog, encoder)
    searcher = Searcher(catalog, open_live_index(catalog), lambda: encoder, titles=titles)
    for texts in ([], ["part=3"], ["part in 1|2"]):
        filters = parse_filters(texts)
        query = Query.of(text="thing 100", n=120, filters=filters)
        whole = ids(searcher.search(query))
        pages = [
            ids(searcher.search(Query(query.terms, n=40, filters=filters, offset=offset)))
            for offset in (0, 40, 80)
        ]
        assert [item_id for page in pages for item_id in page] == whole
        assert len(set(whole)) == 120
        allowed = set(catalog.metadata.keys_matching(filters).tolist())
        assert all(catalog.get(item_id).key in allowed for item_id in whole)


def test_every_item_is_reached_when_all_are_requested(
    large: tuple[CatalogStore, NamingEncoder, Vectors],
) -> None:
    catalog, encoder, _ = large
    titles = use(catalog, encoder)
    assert len(set(ids(search(catalog, encoder, "thing 5", titles, n=10_000)))) == len(catalog)


def test_removed_items_are_gone_before_the_titles_are_read_again(
    large: tuple[CatalogStore, NamingEncoder, Vectors],
) -> None:
    catalog, encoder, _ = large
    titles = use(catalog, encoder)
    index: TitleIndex | None = titles.ready()
    assert index is not None
    catalog.remove(["00006.jpg"])
    found = ids(search(catalog, encoder, "thing 2", titles, n=50))
    assert "00006.jpg" not in found
    assert len(found) == 50


# --- encoding and keeping ---------------------------------------------------------------------------------------


def test_each_distinct_title_is_encoded_once_also_after_changes(colour_catalog: Path) -> None:
    first, again, changed = CountingEncoder(), CountingEncoder(), CountingEncoder()
    with CatalogStore.open(colour_catalog) as catalog:
        retitle(catalog, lambda number, title: title.removesuffix(" no. 0").removesuffix(" no. 1"))
        assert use(catalog, first).ready() is not None
    assert len(first.texts) == len(set(first.texts)) == 24
    with CatalogStore.open(colour_catalog) as catalog:
        assert use(catalog, again).ready() is not None
        titles = use(catalog, changed)
        retitle(catalog, lambda number, title: "  New   red title " if number == 3 else title)
        assert titles.ready() is not None
        assert titles.state.titles == 25
    assert again.texts == []
    assert changed.texts == ["New red title"]


@pytest.mark.parametrize(
    "harm", ["torn line", "flipped byte", "cut rows", "no rows", "another encoder", "no json"]
)
def test_damaged_title_files_are_recomputed(colour_catalog: Path, harm: str) -> None:
    with CatalogStore.open(colour_catalog) as catalog:
        expected = use(catalog, CountingEncoder()).ready()
    rows, lines = colour_catalog / "embeddings" / "titles.f16", colour_catalog / "embeddings" / "titles.jsonl"
    data, text = rows.read_bytes(), lines.read_text(encoding="utf-8")
    match harm:
        case "torn line":
            lines.write_text(text[:-20], encoding="utf-8")
        case "flipped byte":
            rows.write_bytes(data[:50] + bytes([data[50] ^ 255]) + data[51:])
        case "cut rows":
            rows.write_bytes(data[: len(data) // 2])
        case "no rows":
            rows.unlink()
        case "another encoder":
            lines.write_text(text.replace("test:colours@1", "test:colours@0"), encoding="utf-8")
        case "no json":
            lines.write_text("[1, 2]\n" + text, encoding="utf-8")
    encoder = CountingEncoder()
    with CatalogStore.open(colour_catalog) as catalog:
        found = use(catalog, encoder).ready()
    assert expected is not None
    assert found is not None
    assert np.array_equal(found.rows, expected.rows)
    assert encoder.texts
    with CatalogStore.open(colour_catalog) as catalog:
        assert len(TitleStore(colour_catalog / "embeddings", catalog.encoder_id, catalog.dim)) == 48


def test_titles_over_the_limit_are_omitted_and_reported(
    catalog: CatalogStore, encoder: CountingEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(titles_module, "MAX_TITLES", 47)
    titles = use(catalog, encoder)
    assert titles.ready() is None
    assert encoder.texts == []
    assert titles.state.sentence == "48 titles differ, and at most 47 are compared with."


def test_a_catalog_without_titles_is_searched_by_photos_only(
    make_catalog: MakeCatalog, encoder: CountingEncoder
) -> None:
    assert use(make_catalog(clustered(50, 8)), encoder).ready() is None
    assert use(make_catalog(np.zeros((0, 8), np.float32)), encoder).ready() is None
    named = make_catalog(clustered(50, 8), [{"title": 5.0, "name": " ", "label": "one"} for _ in range(50)])
    keys, codes, titles = named.metadata.titles(9)
    assert (titles, codes.tolist(), keys.tolist()) == (["one"], [0] * 50, named.keys().tolist())
    assert use(named, encoder).ready() is None


def test_a_failing_encoder_disables_titles_but_not_search(
    catalog: CatalogStore, encoder: CountingEncoder
) -> None:
    def fail() -> ColourEncoder:
        raise RuntimeError("no model")

    titles = Titles(catalog, fail)
    assert titles.ready() is None
    assert "RuntimeError" in titles.state.sentence
    assert len(search(catalog, encoder, "red", titles, n=5).hits) == 5


def test_searches_work_without_titles_until_background_encoding_completes(colour_catalog: Path) -> None:
    may_go_on = threading.Event()

    def slow() -> ColourEncoder:
        may_go_on.wait(30)
        return ColourEncoder()

    with CatalogStore.open(colour_catalog) as catalog:
        titles = Titles(catalog, slow, in_background=True)
        assert titles.ready() is None
        may_go_on.set()
        assert titles.wait(30)
        assert titles.ready() is not None
        titles.close()
        titles.close()
        assert titles.ready() is None


def test_closing_stops_the_encoding_and_keeps_encoded_titles(tmp_path: Path, colour_catalog: Path) -> None:
    class ClosingEncoder(CountingEncoder):
        def encode_texts(self, texts: Sequence[str]) -> Vectors:
            titles.close()
            return super().encode_texts(texts)

    encoder: CountingEncoder = ClosingEncoder()
    with CatalogStore.open(colour_catalog) as catalog:
        titles = Titles(catalog, lambda: encoder, in_background=True)
        titles.ready()
        assert not titles.wait(60)
        assert titles.ready() is None
    assert len(encoder.texts) == titles_module.BATCH
    copy = Path(shutil.copytree(colour_catalog, tmp_path / "copy"))
    encoder = CountingEncoder()
    with CatalogStore.open(copy) as catalog:
        assert use(catalog, encoder).ready() is not None
    assert len(encoder.texts) == 48 - titles_module.BATCH
