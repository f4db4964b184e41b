"""Systems: saved once, opened on demand, and searching by their settings."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from colour_encoder import ColourEncoder
from samples import clustered, raw_items

from imgsearch.core.errors import CatalogError, CatalogNotFound, ExperimentError, UnknownSystem
from imgsearch.core.query import Query
from imgsearch.core.records import SearchResult
from imgsearch.encoders import Encoder
from imgsearch.index.heads import Projection, publish, save_head
from imgsearch.index.opening import open_live_index
from imgsearch.index.vector_space import live_space
from imgsearch.search.ranking.reranking import mmr_order
from imgsearch.search.ranking.rules import Rule
from imgsearch.search.searcher import Searcher
from imgsearch.search.systems import System, Systems
from imgsearch.store.catalog import CatalogStore

MUG = "mug/red-0.jpg"


def no_encoder() -> Encoder:
    raise AssertionError("this search needs no encoder")


def ids(result: SearchResult) -> list[str]:
    return [hit.item_id for hit in result.hits]


@pytest.fixture
def systems(catalog: CatalogStore) -> Iterator[Systems]:
    opened = Systems(Searcher(catalog, open_live_index(catalog), no_encoder))
    yield opened
    opened.close()


def test_the_live_system_always_exists_and_equals_the_searcher(
    systems: Systems, catalog: CatalogStore
) -> None:
    assert systems.all() == [System("live")]
    searcher = Searcher(catalog, open_live_index(catalog), no_encoder)
    query = Query.of(item=MUG, n=12)
    assert systems.search(query).hits == searcher.search(query).hits


def test_a_saved_system_persists_and_reserves_its_name(colour_catalog: Path) -> None:
    varied = System("varied", diversity=0.4, n=12, expansion=300)
    with CatalogStore.open(colour_catalog) as catalog:
        Systems(Searcher(catalog, open_live_index(catalog), no_encoder)).save(varied)
    with CatalogStore.open(colour_catalog) as catalog:
        systems = Systems(Searcher(catalog, open_live_index(catalog), no_encoder))
        assert systems.all() == [System("live"), varied]
        with pytest.raises(ExperimentError, match="already"):
            systems.save(System("varied", diversity=0.1))
        assert systems.get("varied") == varied


@pytest.mark.parametrize(
    ("system", "words"),
    [
        (System("", diversity=0.5), "name"),
        (System("a b", diversity=0.5), "name"),
        (System("<b>x</b>", diversity=0.5), "name"),
        (System("x" * 41, diversity=0.5), "name"),
        (System("live", diversity=0.5), "already"),
        (System("same"), "live system again"),
        (System("far", diversity=1.5), "diversity"),
        (System("nan", diversity=float("nan")), "diversity"),
        (System("lazy", expansion=0), "expansion"),
        (System("none", n=0), "at least 1"),
    ],
)
def test_an_invalid_system_is_refused_in_one_sentence_and_not_stored(
    systems: Systems, system: System, words: str
) -> None:
    with pytest.raises(ExperimentError, match=words):
        systems.save(system)
    assert systems.all() == [System("live")]


def test_an_unknown_head_is_refused(systems: Systems) -> None:
    with pytest.raises(UnknownSystem, match="head-0999"):
        systems.save(System("headless", head="head-0999"))
    assert systems.all() == [System("live")]


def test_a_learned_head_is_searchable_before_and_after_publication(
    catalog: CatalogStore, systems: Systems
) -> None:
    rng = np.random.default_rng(2)
    mean, u, v = (
        rng.normal(size=shape).astype(np.float32) for shape in [(catalog.dim,), *[(catalog.dim, 4)] * 2]
    )
    head = save_head(catalog, Projection(mean, u, v))
    systems.save(System("learned", head=head.id))
    systems.save(System("plain", head="base"))
    query = Query.of(item=MUG, n=20)
    live, learned = systems.search(query), systems.search(query, "learned")
    assert systems.search(query, "plain").hits == live.hits
    assert learned.encoder == f"{catalog.encoder_id}+{head.id}"
    assert ids(learned) != ids(live)
    publish(catalog, head.id)
    later = Systems(Searcher(catalog, open_live_index(catalog, space=live_space(catalog)), no_encoder))
    assert ids(later.search(query)) == ids(later.search(query, "learned")) == ids(learned)
    assert ids(later.search(query, "plain")) == ids(live)


def test_an_unknown_system_is_refused_by_name(systems: Systems) -> None:
    with pytest.raises(UnknownSystem, match=r"no system 'nope'; there are: live"):
        systems.search(Query.of(item=MUG), "nope")


def test_a_size_limits_all_pages_together_and_an_effort_changes_no_hit_of_a_small_catalog(
    systems: Systems,
) -> None:
    systems.save(System("short", n=5))
    systems.save(System("eager", expansion=1000))
    query = Query.of(item=MUG, n=10)
    live = systems.search(query)
    short = systems.search(query, "short")
    assert (ids(short), short.matching, short.query) == (ids(live)[:5], 5, query)
    second = systems.search(Query(query.terms, n=3, offset=3), "short")
    assert [(hit.rank, hit.item_id) for hit in second.hits] == [(4, ids(live)[3]), (5, ids(live)[4])]
    assert systems.search(Query(query.terms, n=3, offset=9), "short").hits == ()
    assert systems.search(query, "eager").hits == live.hits


def test_recall_grows_with_search_effort(make_catalog: Callable[..., CatalogStore]) -> None:
    catalog = make_catalog(clustered(6000, 48, clusters=6, spread=2.0))
    systems = Systems(Searcher(catalog, open_live_index(catalog), no_encoder))
    systems.save(System("lazy", expansion=1))
    systems.save(System("eager", expansion=1024))
    found = {"lazy": 0, "eager": 0}
    for number in range(0, 6000, 200):
        item = f"{number:05d}.jpg"
        key = catalog.get(item).key
        everything = catalog.keys()
        scores = catalog.vectors(everything) @ catalog.vectors(np.array([key], np.uint64))[0]
        best = set(everything[np.argsort(-scores)[1:11]].tolist())
        for name in found:
            result = systems.search(Query.of(item=item, n=10), name)
            found[name] += len(best & {hit.key for hit in result.hits})
    assert found["lazy"] < found["eager"]
    assert found["eager"] >= 0.99 * 300


def test_diversity_reorders_the_nearest_with_consistent_pages(systems: Systems) -> None:
    systems.save(System("varied", diversity=0.7))
    query = Query.of(item=MUG, n=47)
    live, varied = systems.search(query), systems.search(query, "varied")
    assert ids(varied) != ids(live)
    assert sorted(ids(varied)) == sorted(ids(live))
    assert ids(varied)[0] == ids(live)[0]
    assert [hit.rank for hit in varied.hits] == list(range(1, 48))
    pages = [systems.search(Query(query.terms, n=10, offset=start), "varied") for start in range(0, 47, 10)]
    assert [item for page in pages for item in ids(page)] == ids(varied)
    assert ids(varied) == ids(systems.search(replace(query, diversity=0.7)))
    more = replace(query, diversity=0.9)
    assert ids(systems.search(more, "varied")) == ids(systems.search(more)) != ids(varied)


def test_maximal_marginal_relevance_agrees_with_its_definition() -> None:
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(30, 8))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    scores = np.sort(rng.uniform(0, 1, 30).astype(np.float32))[::-1]
    assert mmr_order(rows, scores, 0.0) == list(range(30))
    order = mmr_order(rows, scores, 0.6)
    assert sorted(order) == list(range(30))
    for step in range(1, 30):
        chosen, rest = order[:step], order[step:]
        values = {
            place: 0.4 * float(scores[place])
            - 0.6 * max(float(rows[place] @ rows[other]) for other in chosen)
            for place in rest
        }
        assert values[order[step]] >= max(values.values()) - 2e-6


def test_diversity_separates_two_near_identical_photos() -> None:
    rows = np.eye(3, dtype=np.float32)[[0, 0, 1]]
    assert mmr_order(rows, np.array([0.9, 0.9, 0.5], np.float32), 0.5) == [0, 2, 1]
    assert mmr_order(np.zeros((0, 3), np.float32), np.zeros(0, np.float32), 0.5) == []


def test_a_search_in_another_catalog_returns_this_catalogs_photos_and_rows(
    catalog: CatalogStore, systems: Systems, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    names = [item.item_id for item in catalog.iter_items()]
    with CatalogStore.open(other, create=True) as made:
        made.bind_encoder("test:raw", "test:raw@16", 16)
        made.store(raw_items([*names[:40], "only/there.jpg"]), clustered(41, 16))
    systems.save(System("other", catalog=str(other)))
    result = systems.search(Query.of(item=MUG, n=48), "other")
    assert result.encoder == "test:raw@16"
    assert set(ids(result)) == set(names[:40]) - {MUG}
    assert [hit.rank for hit in result.hits] == list(range(1, 40))
    for hit in result.hits:
        assert (hit.key, hit.image) == (catalog.get(hit.item_id).key, catalog.get(hit.item_id).location)
    systems.live.rules.save(Rule("hide", item_ids=(result.hits[0].item_id,)), author="Ann")
    assert ids(systems.search(result.query, "other")) == ids(result)[1:]
    systems.close()
    CatalogStore.open(other).close()  # the lock is released


def test_another_catalog_must_exist_and_contain_the_same_items(
    catalog: CatalogStore, systems: Systems, tmp_path: Path, make_catalog: Callable[..., CatalogStore]
) -> None:
    with pytest.raises(CatalogNotFound):
        systems.save(System("gone", catalog=str(tmp_path / "gone")))
    with pytest.raises(ExperimentError, match="this one"):
        systems.save(System("self", catalog=str(catalog.folder)))
    stranger = make_catalog(clustered(10, 8)).folder
    shutil.copytree(stranger, tmp_path / "stranger")
    with pytest.raises(CatalogError, match="other item ids"):
        systems.save(System("stranger", catalog=str(tmp_path / "stranger")))
    assert systems.all() == [System("live")]


def test_a_catalog_of_the_same_encoder_shares_the_loaded_model(
    catalog: CatalogStore, colour_catalog: Path, tmp_path: Path
) -> None:
    catalog.close()
    shutil.copytree(colour_catalog, tmp_path / "copy")
    calls: list[int] = []

    def encoder() -> Encoder:
        calls.append(1)
        return ColourEncoder()

    with CatalogStore.open(colour_catalog) as opened:
        systems = Systems(Searcher(opened, open_live_index(opened), encoder))
        systems.save(System("copy", catalog=str(tmp_path / "copy")))
        query = Query.of(text="red", n=10)
        assert ids(systems.search(query, "copy")) == ids(systems.search(query))
        systems.warm("copy")
        assert calls
        systems.close()
