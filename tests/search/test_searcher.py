"""The `Searcher`: correct and complete hits in a stable order, under any filter, also while the catalog changes."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from colour_encoder import ColourEncoder
from PIL import Image
from samples import clustered, raw_items

from imgsearch.core.errors import FilterError, ImageError, QueryError, UnknownItem
from imgsearch.core.filter_grammar import parse_filters
from imgsearch.core.query import Filter, Query, Region, Term
from imgsearch.core.records import SearchResult
from imgsearch.encoders import Encoder
from imgsearch.index.local_index import LocalIndex
from imgsearch.index.opening import open_live_index
from imgsearch.search.candidates import MAX_EXACT_ITEMS
from imgsearch.search.query_encoder import SPREAD_SAMPLE, Pictures, composed
from imgsearch.search.searcher import Searcher
from imgsearch.store.catalog import CatalogStore

MakeCatalog = Callable[..., CatalogStore]


def no_encoder() -> Encoder:
    raise AssertionError("this search needs no encoder")


def searcher_of(catalog: CatalogStore, encoder: Callable[[], Encoder] = no_encoder) -> Searcher:
    return Searcher(catalog, open_live_index(catalog), encoder)


def ids(result: SearchResult) -> list[str]:
    return [hit.item_id for hit in result.hits]


def brute_force(
    catalog: CatalogStore, item_id: str, filters: tuple[Filter, ...] = ()
) -> list[tuple[float, int]]:
    """Return (-score, key) of every other passing item, best first, computed with numpy."""
    own = catalog.get(item_id).key
    keys = np.array([key for key in catalog.metadata.keys_matching(filters) if key != own], np.uint64)
    query = catalog.vectors(np.array([own], np.uint64))[0].astype(np.float64)
    query /= np.linalg.norm(query)
    scores = catalog.vectors(keys).astype(np.float64) @ query
    return sorted(zip((-scores).tolist(), keys.tolist(), strict=True))


def assert_consistent(result: SearchResult, offset: int = 0) -> None:
    assert [hit.rank for hit in result.hits] == list(range(offset + 1, offset + 1 + len(result.hits)))
    assert np.all(
        np.diff([hit.score for hit in result.hits]) <= 1.5e-6
    )  # scores within six decimals are ties
    assert len(set(ids(result))) == len(result.hits)


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return an open catalog of 6,000 clustered vectors with metadata of all selectivities, and its searcher."""
    count = 6000
    rng = np.random.default_rng(5)
    rows = [
        {"n": n, "half": bool(n % 2), "one": f"value {n}", "few": int(rng.integers(0, 400))}
        for n in range(count)
    ]
    with CatalogStore.open(tmp_path_factory.mktemp("big") / "catalog", create=True) as catalog:
        catalog.bind_encoder("test:raw", "test:raw@48", 48)
        catalog.store(raw_items([f"{n:05d}" for n in range(count)], rows), clustered(count, 48, clusters=60))
        yield catalog, searcher_of(catalog)


# --- correct hits -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "texts",
    [(), ("half=true",), ("n<3000", "half=false"), ("few=7",), ("n=100..160",), ("few in 1|2|3", "n>3000")],
)
def test_ann_recall_at_10_is_at_least_99_percent_filtered_or_not(big: Any, texts: tuple[str, ...]) -> None:
    catalog, searcher = big
    filters = parse_filters(texts)
    right = total = 0
    for item_id in [f"{n:05d}" for n in range(0, 6000, 60)]:
        truth = brute_force(catalog, item_id, filters)[:10]
        result = searcher.search(Query((Term("item", item_id),), n=10, filters=filters))
        assert_consistent(result)
        assert len(result.hits) == len(truth)
        worst = -truth[-1][0]
        right += sum(hit.score >= worst - 1e-6 for hit in result.hits)
        total += len(truth)
    assert right / total >= 0.99


def test_a_filtered_search_returns_n_hits_if_n_items_match(big: Any) -> None:
    catalog, searcher = big
    for texts in (["one=value 17"], ["few=7"], ["few=7", "half=true"], ["n<0"], ["n>=5990"], ["half=true"]):
        filters = parse_filters(texts)
        matching = catalog.metadata.count(filters)
        for n in (1, 10, 50, 500):
            result = searcher.search(Query((Term("item", "03001"),), n=n, filters=filters))
            named = catalog.get("03001").key in catalog.metadata.keys_matching(filters)
            assert len(result.hits) == min(n, matching - named)
            assert result.matching == matching - named
            allowed = set(catalog.metadata.keys_matching(filters).tolist())
            assert all(hit.key in allowed for hit in result.hits)


def test_every_item_is_reached_when_all_are_requested(big: Any) -> None:
    _, searcher = big
    result = searcher.search(Query((Term("item", "00000"),), n=10_000))
    assert len(result.hits) == 5999
    assert_consistent(result)


def test_filters_over_the_exact_search_limit_use_the_index_and_return_correct_hits(
    big: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog, searcher = big
    monkeypatch.setattr("imgsearch.search.candidates.MAX_EXACT_ITEMS", 100)
    monkeypatch.setattr("imgsearch.search.candidates.EXACT_SEARCH_COST_RATIO", 4)
    assert MAX_EXACT_ITEMS > 1000
    for texts, n in (
        (["half=true"], 10),
        (["half=true"], 200),
        (["few<100"], 10),
        (["n<600"], 10),
        (["n<600"], 550),
    ):
        filters = parse_filters(texts)
        right = total = 0
        for item_id in [f"{n:05d}" for n in range(0, 6000, 300)]:
            truth = brute_force(catalog, item_id, filters)[:n]
            result = searcher.search(Query((Term("item", item_id),), n=n, filters=filters))
            assert len(result.hits) == len(truth)
            right += sum(hit.score >= -truth[-1][0] - 1e-6 for hit in result.hits)
            total += len(truth)
        assert right / total >= 0.99


@pytest.fixture
def on_lists(tmp_path: Path) -> Iterator[tuple[CatalogStore, LocalIndex]]:
    """Return a catalog of 6,000 clustered vectors with an index of lists, and that index."""
    pytest.importorskip("faiss")
    count = 6000
    with CatalogStore.open(tmp_path / "catalog", create=True) as catalog:
        catalog.bind_encoder("test:raw", "test:raw@48", 48)
        rows = [{"n": n, "half": bool(n % 2), "third": n % 3} for n in range(count)]
        catalog.store(raw_items([f"{n:05d}" for n in range(count)], rows), clustered(count, 48, clusters=60))
        index = LocalIndex.open(catalog)
        index.build_as({"engine": "lists"}, 0.99)
        yield catalog, index


def test_ivf_search_under_a_filter_finds_the_nearest_passing_items(
    on_lists: tuple[CatalogStore, LocalIndex], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imgsearch.search.candidates.MAX_EXACT_ITEMS", 100)
    monkeypatch.setattr("imgsearch.search.candidates.MIN_FILTERED_CANDIDATES", 256)
    catalog, index = on_lists
    among: list[int] = []

    def search_subset(vector: Any, k: int, keys: Any, **options: Any) -> Any:
        among.append(len(keys))
        return LocalIndex.search_subset(index, vector, k, keys, **options)

    monkeypatch.setattr(index, "search_subset", search_subset)
    monkeypatch.setattr(
        index, "search", lambda *_, **__: pytest.fail("the index was searched without the filter")
    )
    searcher = Searcher(catalog, index, no_encoder)
    right = total = 0
    for texts in (["half=true"], ["third=1"], ["n<3000"], ["n<3000", "half=true"]):
        filters = parse_filters(texts)
        for item_id in [f"{n:05d}" for n in range(0, 6000, 300)]:
            truth = brute_force(catalog, item_id, filters)[:24]
            result = searcher.search(Query((Term("item", item_id),), n=24, filters=filters))
            assert_consistent(result)
            assert len(result.hits) == 24
            assert {hit.key for hit in result.hits} <= set(catalog.metadata.keys_matching(filters).tolist())
            right += sum(hit.score >= -truth[-1][0] - 1e-6 for hit in result.hits)
            total += 24
    assert right / total >= 0.99
    assert len(among) == 4 * 20, "each search was made among the items that pass"


def test_a_filtered_ivf_search_finds_items_that_are_not_indexed_yet(
    on_lists: tuple[CatalogStore, LocalIndex], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imgsearch.search.candidates.MAX_EXACT_ITEMS", 10)
    catalog, index = on_lists
    monkeypatch.setattr(index.engine, "subset_search_pays", lambda items, expansion: True)
    late = [f"late {n:03d}" for n in range(300)]
    catalog.store(raw_items(late, [{"n": -1}] * 300), clustered(300, 48, seed=9))  # not yet in the index
    query = Query((Term("item", "00000"),), n=24, filters=parse_filters(["n=-1"]))
    result = Searcher(catalog, index, no_encoder).search(query)
    assert [-hit.score for hit in result.hits] == pytest.approx(
        [score for score, _ in brute_force(catalog, "00000", query.filters)[:24]], abs=2e-6
    )


def test_text_queries_compare_more_ivf_candidates(on_lists: tuple[CatalogStore, LocalIndex]) -> None:
    _, index = on_lists
    assert (
        index.candidates_for(24, cross_modal=True) > 4 * index.candidates_for(24, cross_modal=False) >= 4 * 24
    )


def test_the_query_item_is_excluded_and_its_duplicate_is_first(make_catalog: MakeCatalog) -> None:
    vectors = clustered(300, 16)
    vectors[200] = vectors[10]
    searcher = searcher_of(make_catalog(vectors))
    result = searcher.search(Query.of(item="00010.jpg"))
    assert ids(result)[0] == "00200.jpg"
    assert result.hits[0].score == pytest.approx(1, abs=2e-3)
    assert "00010.jpg" not in ids(result)


def test_scores_are_the_exact_cosine_of_the_stored_embeddings(big: Any) -> None:
    catalog, searcher = big
    result = searcher.search(Query((Term("item", "00042"),), n=50))
    exact = {key: -negative for negative, key in brute_force(catalog, "00042")}
    for hit in result.hits:
        assert hit.score == pytest.approx(exact[hit.key], abs=1e-5)


# --- one order --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("texts", [(), ("half=true",), ("few<9",)])
def test_pages_are_disjoint_consecutive_and_the_same_as_one_big_query(
    big: Any, texts: tuple[str, ...]
) -> None:
    _, searcher = big
    filters = parse_filters(texts)
    for item_id in ("00001", "01234", "05999"):
        terms = (Term("item", item_id),)
        whole = searcher.search(Query(terms, n=120, filters=filters))
        pages = [
            searcher.search(Query(terms, n=24, offset=start, filters=filters)) for start in range(0, 120, 24)
        ]
        for number, page in enumerate(pages):
            assert_consistent(page, offset=24 * number)
        assert [hit for page in pages for hit in page.hits] == list(whole.hits)


@pytest.mark.parametrize("doubles", [50, 700, 1500])
@pytest.mark.parametrize("filtered", [False, True])
def test_ties_are_broken_by_the_order_of_indexing_on_every_page(
    make_catalog: MakeCatalog, doubles: int, filtered: bool
) -> None:
    """Shops have hundreds of copies of one placeholder image, the hardest case for a graph index."""
    vectors = clustered(2000, 16)
    same = np.random.default_rng(1).permutation(2000)[:doubles]
    vectors[same] = vectors[same[0]]
    searcher = searcher_of(make_catalog(vectors, [{"a": 1}] * 2000))
    terms = (Term("item", f"{same[0]:05d}.jpg"),)
    filters = (Filter("a", "=", 1),) if filtered else ()
    expected = sorted(f"{number:05d}.jpg" for number in same[1:])
    pages = [searcher.search(Query(terms, n=20, offset=start, filters=filters)) for start in range(0, 60, 20)]
    found = [item_id for page in pages for item_id in ids(page)]
    assert len(set(found)) == 60
    assert found[: min(49, doubles - 1)] == expected[: min(49, doubles - 1)]


def test_the_same_query_gives_the_same_result_again_and_after_reopening(big: Any) -> None:
    catalog, searcher = big
    query = Query((Term("item", "00100"), Term("item", "00200", 0.5)), n=30)
    first = searcher.search(query)
    assert searcher.search(query).hits == first.hits
    assert searcher_of(catalog).search(query).hits == first.hits
    assert searcher.search(query).search_id != first.search_id


def test_an_offset_beyond_the_last_hit_returns_no_hits(big: Any) -> None:
    _, searcher = big
    result = searcher.search(Query((Term("item", "00001"),), n=10, offset=9000))
    assert result.hits == ()
    assert result.matching == 5999


# --- terms ------------------------------------------------------------------------------------------------------


@pytest.fixture
def shop(catalog: CatalogStore, colours: ColourEncoder) -> Searcher:
    return searcher_of(catalog, lambda: colours)


def test_a_photo_is_found_by_its_own_bytes(shop: Searcher, shared_photos: Path) -> None:
    for path in sorted(shared_photos.rglob("*.jpg")):
        hit = shop.search(Query.of(image=path.read_bytes(), n=1)).hits[0]
        assert hit.item_id == path.relative_to(shared_photos).as_posix()
        assert hit.score > 0.999


def test_a_text_query_ignores_white_space(shop: Searcher) -> None:
    assert shop.search(Query.of(text=" red \n")).hits == shop.search(Query.of(text="red")).hits
    assert shop.search(Query.of(text="red")).hits != shop.search(Query.of(text="blue")).hits


def test_a_composed_query_ranks_between_its_terms_and_a_negative_weight_demotes(shop: Searcher) -> None:
    mug, chair = Term("item", "mug/red-0.jpg"), Term("item", "chair/red-0.jpg")
    mixed = shop.search(Query((mug, chair), n=46))
    assert {"mug/red-0.jpg", "chair/red-0.jpg"}.isdisjoint(ids(mixed))
    plain = {hit.item_id: hit.score for hit in shop.search(Query((mug,), n=47)).hits}
    less = {
        hit.item_id: hit.score
        for hit in shop.search(Query((mug, Term("item", "mug/red-1.jpg", -0.4)), n=46)).hits
    }
    assert less["mug/purple-0.jpg"] < plain["mug/purple-0.jpg"]


def test_the_score_of_a_composed_query_is_the_cosine_to_the_combined_vector(big: Any) -> None:
    catalog, searcher = big
    result = searcher.search(Query((Term("item", "00005"), Term("item", "00900", -0.4)), n=5))
    pair = catalog.vectors(np.array([5, 900], np.uint64))
    keys = np.sort(np.random.default_rng(0).permutation(catalog.keys())[:SPREAD_SAMPLE])
    mean = composed(pair, np.array([1.0, -0.4]), catalog.vectors(keys))
    mean /= np.linalg.norm(mean)
    for hit in result.hits:
        assert hit.score == pytest.approx(
            float(catalog.vectors(np.array([hit.key], np.uint64))[0] @ mean), abs=1e-5
        )


def test_a_region_query_uses_only_the_region(
    catalog: CatalogStore,
) -> None:
    """A region of a two-colour photo finds items of the region's colour."""
    both = Image.new("RGB", (200, 100), "red")
    both.paste("blue", (100, 0, 200, 100))
    data = io.BytesIO()
    both.save(data, "PNG")
    photos = {"mug/red-0.jpg": data.getvalue()}
    encoder, index = ColourEncoder(), open_live_index(catalog)
    searcher = Searcher(
        catalog, index, lambda: encoder, pictures=Pictures(read_photo=lambda item: photos[item.item_id])
    )
    red, blue = Region(0, 0, 0.45, 1), Region(0.55, 0, 1, 1)

    def first(term: Term) -> str:
        return searcher.search(Query((term,), n=1)).hits[0].item_id

    assert "red" in first(Term("image", data.getvalue(), region=red))
    assert "blue" in first(Term("image", data.getvalue(), region=blue))
    assert "blue" in first(Term("item", "mug/red-0.jpg", region=blue))
    with pytest.raises(QueryError, match="service only"):
        Searcher(catalog, index, lambda: encoder).search(Query((Term("item", "mug/red-0.jpg", region=blue),)))


def test_texts_and_pictures_are_encoded_once(
    catalog: CatalogStore, shared_photos: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    encoder = ColourEncoder(log=log)
    searcher = searcher_of(catalog, lambda: encoder)
    data = (shared_photos / "mug/red-0.jpg").read_bytes()
    for _ in range(3):
        searcher.search(Query.of(text="red"))
        searcher.search(Query.of(image=data))
    assert len(log.read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: Query(()), QueryError),
        (lambda: Query.of(text="  "), QueryError),
        (lambda: Query.of(text="x" * 3000), QueryError),
        (lambda: Query.of(text="\ud800"), QueryError),
        (lambda: Query.of(item="none.jpg"), UnknownItem),
        (lambda: Query.of(item="\ud800"), QueryError),
        (lambda: Query.of(image=b""), ImageError),
        (lambda: Query.of(image=b"not a picture"), ImageError),
        (lambda: Query((Term("upload", "0" * 32),)), QueryError),
        (lambda: Query((Term("item", "mug/red-0.jpg"), Term("item", "mug/red-0.jpg", -1.0))), QueryError),
        (lambda: Query((Term("item", "mug/red-0.jpg", 0.0),)), QueryError),
        (lambda: Query((Term("item", "mug/red-0.jpg", float("nan")),)), QueryError),
        (lambda: Query((Term("item", "mug/red-0.jpg"),) * 40), QueryError),
        (lambda: Query.of(item="mug/red-0.jpg", n=0), QueryError),
        (lambda: Query((Term("item", "mug/red-0.jpg"),), offset=-1), QueryError),
        (lambda: Query.of(item="mug/red-0.jpg", filters=(Filter("none", "=", 1),)), FilterError),
    ],
)
def test_an_invalid_query_is_refused_in_one_sentence(
    shop: Searcher, make: Callable[[], Query], error: type[Exception]
) -> None:
    with pytest.raises(error) as refused:
        shop.search(make())
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 400


def test_an_empty_catalog_returns_no_hits(make_catalog: MakeCatalog) -> None:
    catalog = make_catalog(np.zeros((0, ColourEncoder.dim), np.float32))
    result = searcher_of(catalog, ColourEncoder).search(Query.of(text="red"))
    assert (result.hits, result.matching) == ((), 0)


def test_a_single_item_has_no_similar_items(make_catalog: MakeCatalog) -> None:
    result = searcher_of(make_catalog(clustered(1, 8))).search(Query.of(item="00000.jpg"))
    assert (result.hits, result.matching) == ((), 0)


def test_the_stages_are_timed_and_add_up(big: Any) -> None:
    _, searcher = big
    timing = searcher.search(Query((Term("item", "00001"),), filters=parse_filters(["half=true"]))).timing_ms
    stages = sum(value for stage, value in timing.items() if stage != "total")
    assert 0 < stages <= timing["total"] + 0.01


# --- while the catalog changes ----------------------------------------------------------------------------------


def test_an_item_that_was_just_removed_is_replaced_by_the_next_best(make_catalog: MakeCatalog) -> None:
    catalog = make_catalog(clustered(2000, 16))
    index = open_live_index(catalog)
    searcher = Searcher(catalog, index, no_encoder)
    before = ids(searcher.search(Query.of(item="00000.jpg", n=60)))
    catalog.remove(before[:30])  # not yet removed from the index
    result = searcher.search(Query.of(item="00000.jpg", n=30))
    assert ids(result) == before[30:]
    assert_consistent(result)


def test_an_item_that_was_just_added_is_found_at_once(make_catalog: MakeCatalog) -> None:
    catalog = make_catalog(clustered(2000, 16), [{"a": 1}] * 2000)
    index = open_live_index(catalog)
    searcher = Searcher(catalog, index, no_encoder)
    filters = parse_filters(["a=1"])
    searcher.search(Query.of(item="00000.jpg", filters=filters))
    keys, _ = catalog.store(raw_items(["new.jpg"], [{"a": 1}]), catalog.vectors(np.array([0], np.uint64)))
    index.add(keys, catalog.vectors(keys))
    for query in (Query.of(item="00000.jpg"), Query.of(item="00000.jpg", filters=filters)):
        assert ids(searcher.search(query))[0] == "new.jpg"


def test_ten_threads_search_correctly_while_another_adds_changes_and_removes(
    make_catalog: MakeCatalog,
) -> None:
    count, dim = 1500, 24
    base = clustered(count, dim)
    catalog = make_catalog(base, [{"part": n % 3} for n in range(count)])
    index = open_live_index(catalog)
    searcher = Searcher(catalog, index, no_encoder)
    # Every id has a set of possible vectors; a hit's score must match one of them exactly.
    rounds = 12
    extra = {f"x{r}-{n}": clustered(1, dim, seed=1000 * r + n)[0] for r in range(rounds) for n in range(40)}
    stop = threading.Event()
    errors: list[BaseException] = []
    searches = [0]

    def search(seed: int) -> None:
        rng = np.random.default_rng(seed)
        try:
            while not stop.is_set():
                number = int(rng.integers(0, count))
                filters = (Filter("part", "=", number % 3),) if number % 2 else ()
                result = searcher.search(Query.of(item=f"{number:05d}.jpg", n=10, filters=filters))
                assert_consistent(result)
                assert len(result.hits) == 10
                own = base[number].astype(np.float16).astype(np.float32)
                own /= np.linalg.norm(own)
                for hit in result.hits:
                    assert hit.item_id != f"{number:05d}.jpg"
                    if filters:
                        assert hit.metadata["part"] == number % 3
                    vector = extra.get(hit.item_id)
                    if vector is None:
                        vector = base[int(hit.item_id[:5])]
                    assert hit.score == pytest.approx(float(vector @ own), abs=4e-3)
                searches[0] += 1
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=search, args=(seed,)) for seed in range(10)]
    for thread in threads:
        thread.start()
    names = list(extra)
    for round_number in range(rounds):
        part = names[round_number * 40 : (round_number + 1) * 40]
        rows = [{"part": n % 3, f"new {round_number}": "x"} for n in range(40)]
        keys, replaced = catalog.store(raw_items(part, rows), np.stack([extra[name] for name in part]))
        index.add(keys, catalog.vectors(keys))
        index.remove(replaced)
        keys, replaced = catalog.store(
            raw_items(part[:10], rows[:10]), np.stack([extra[name] for name in part[:10]])
        )
        index.add(keys, catalog.vectors(keys))
        index.remove(replaced)
        if round_number:
            index.remove(catalog.remove(names[(round_number - 1) * 40 : round_number * 40]))
        if round_number % 4 == 3:
            index.save()
        if round_number == 7:
            index.rebuild()
    stop.set()
    for thread in threads:
        thread.join()
    assert errors == []
    assert searches[0] > 10
    assert len(index) == len(catalog) == count + 40


# --- with a real model ------------------------------------------------------------------------------------------


def test_the_real_lite_encoder_finds_photos_by_bytes_item_and_text(
    lite_catalog: Path, lite: Encoder, shared_photos: Path
) -> None:
    with CatalogStore.open(lite_catalog) as catalog:
        searcher = searcher_of(catalog, lambda: lite)
        for name in ("mug/red-0.jpg", "lamp/blue-1.jpg", "chair/green-0.jpg", "ring/black-1.jpg"):
            by_image = searcher.search(Query.of(image=(shared_photos / name).read_bytes(), n=1))
            assert by_image.hits[0].item_id == name
            assert by_image.hits[0].score > 0.999
            similar = searcher.search(Query.of(item=name, n=5))
            shape = name.split("/")[0]
            assert sum(hit.item_id.startswith(shape) for hit in similar.hits) >= 3
        assert len(searcher.search(Query.of(text="coffee mug", n=5)).hits) == 5
