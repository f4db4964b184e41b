"""Learned heads: stored completely, activated at once, rolled back, and searched exactly."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from samples import clustered, raw_items

from imgsearch.app.service import SearchService
from imgsearch.core.config import Settings
from imgsearch.core.errors import AdaptationError, CatalogCorrupt
from imgsearch.core.query import Query
from imgsearch.encoders import Encoder
from imgsearch.improve.adaptation.head_jobs import publish_head, roll_back_head
from imgsearch.index.heads import (
    Head,
    Projection,
    get_head,
    head_changes,
    list_heads,
    live_head,
    previous_head,
    publish,
    rollback,
    save_head,
)
from imgsearch.index.opening import open_live_index
from imgsearch.index.vector_space import VectorSpace, live_space
from imgsearch.ingest.verification import repair_catalog, verify_catalog
from imgsearch.search.searcher import Searcher
from imgsearch.search.systems import System, Systems
from imgsearch.store.catalog import CatalogStore

MakeCatalog = Callable[..., CatalogStore]


def projection(dim: int, *, rank: int = 4, seed: int = 0, strength: float = 1.0) -> Projection:
    rng = np.random.default_rng(seed)
    mean = 0.01 * rng.normal(size=dim)
    u = strength * rng.normal(size=(dim, rank))
    v = rng.normal(size=(dim, rank)) / dim**0.5
    return Projection(mean.astype(np.float32), u.astype(np.float32), v.astype(np.float32))


def no_encoder() -> Encoder:
    raise AssertionError("searching by items needs no encoder")


def nearest(catalog: CatalogStore, item_id: str, rows: np.ndarray, n: int = 10) -> list[str]:
    """Return the exact order by float64 arithmetic over the float16 rows in item order."""
    ids = [item.item_id for item in catalog.iter_items()]
    own = ids.index(item_id)
    scores = rows.astype(np.float16).astype(np.float64) @ rows[own].astype(np.float64)
    scores[own] = -9
    return [ids[place] for place in np.argsort(-scores)[:n]]


@pytest.fixture
def shop(make_catalog: MakeCatalog) -> CatalogStore:
    return make_catalog(clustered(400, 32))


def test_a_stored_head_is_loaded_bit_for_bit(shop: CatalogStore) -> None:
    made = projection(32)
    head = save_head(shop, made, report={"reason": "a test"})
    assert (head.id, head.rank, head.encoder_id) == ("head-0001", 4, shop.encoder_id)
    assert list_heads(shop) == [get_head(shop, "head-0001")] == [head]
    rows = shop.vectors(shop.keys())
    assert np.array_equal(VectorSpace(shop, head).project(rows), made(rows))
    assert save_head(shop, made).id == "head-0002"


def test_weights_that_do_not_fit_or_are_not_finite_are_refused(shop: CatalogStore) -> None:
    for wrong in (
        projection(16),
        Projection(np.full(32, np.nan, np.float32), *2 * [np.ones((32, 2), np.float32)]),
    ):
        with pytest.raises(ValueError, match="does not fit"):
            save_head(shop, wrong)
    assert list_heads(shop) == []


def test_published_heads_form_a_stack(shop: CatalogStore) -> None:
    first, second = save_head(shop, projection(32)), save_head(shop, projection(32, seed=1))
    assert live_head(shop) is None
    with pytest.raises(AdaptationError, match="nothing to roll back"):
        rollback(shop)
    publish(shop, first.id)
    publish(shop, second.id)
    assert live_head(shop) == second
    assert previous_head(shop) == first
    assert rollback(shop) == first == live_head(shop)
    assert rollback(shop) is None
    assert live_head(shop) is None
    assert [(change.action, change.head) for change in head_changes(shop)] == [
        ("publish", "head-0001"),
        ("publish", "head-0002"),
        ("rollback", "head-0001"),
        ("rollback", ""),
    ]


def test_an_unknown_head_raises_an_error_with_its_name_and_changes_nothing(shop: CatalogStore) -> None:
    save_head(shop, projection(32))
    with pytest.raises(AdaptationError, match=r"no head 'head-0009'; use one of head-0001"):
        publish_head(shop, "head-0009")
    assert head_changes(shop) == []


def test_a_head_whose_weights_are_damaged_is_never_used(shop: CatalogStore) -> None:
    head = save_head(shop, projection(32))
    weights = shop.folder / "heads" / head.id / "weights.npy"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(CatalogCorrupt, match="heads rollback"):
        publish_head(shop, head.id)
    assert head_changes(shop) == []


def test_searching_a_head_is_exact_search_of_the_projected_embeddings(shop: CatalogStore) -> None:
    head = save_head(shop, projection(32))
    index = publish_head(shop, head.id)
    searcher = Searcher(shop, index, no_encoder)
    projected = projection(32)(shop.vectors(shop.keys()))
    for item_id in ("00000.jpg", "00123.jpg", "00399.jpg"):
        result = searcher.search(Query.of(item=item_id, n=10))
        assert [hit.item_id for hit in result.hits] == nearest(shop, item_id, projected)
        assert result.encoder == f"{shop.encoder_id}+head-0001" == index.space.id
    assert index.header is not None
    assert index.header.encoder_id == index.space.id
    base = roll_back_head(shop)
    result = Searcher(shop, base, no_encoder).search(Query.of(item="00123.jpg", n=10))
    assert [hit.item_id for hit in result.hits] == nearest(shop, "00123.jpg", shop.vectors(shop.keys()))
    assert result.encoder == shop.encoder_id


def test_photos_added_while_a_head_is_published_are_projected_too(shop: CatalogStore) -> None:
    head = save_head(shop, projection(32))
    index = publish_head(shop, head.id)
    rows = clustered(30, 32, seed=5)
    keys, _ = shop.store(raw_items([f"new-{number}.jpg" for number in range(30)]), rows)
    index.add(keys, rows)
    index.remove(shop.remove(["00000.jpg"]))
    index.save()
    again = open_live_index(shop, space=live_space(shop))
    assert again.generation == index.generation
    assert verify_catalog(shop).clean
    projected = projection(32)(shop.vectors(shop.keys()))
    result = Searcher(shop, again, no_encoder).search(Query.of(item="new-3.jpg", n=10))
    assert [hit.item_id for hit in result.hits] == nearest(shop, "new-3.jpg", projected)


def test_the_projected_embeddings_are_a_cache(shop: CatalogStore) -> None:
    head = save_head(shop, projection(32))
    index = publish_head(shop, head.id)
    cache = shop.folder / "heads" / head.id / "vectors.f16"
    sound = cache.read_bytes()
    cache.unlink()
    assert np.array_equal(VectorSpace(shop, head).vectors(shop.keys()), index.space.vectors(shop.keys()))
    assert cache.read_bytes() == sound
    cache.write_bytes(sound[:1001])  # a run killed while writing a row
    VectorSpace(shop, head).vectors(shop.keys())
    assert cache.read_bytes() == sound


def test_verify_detects_and_repairs_damaged_projections_and_heads(shop: CatalogStore) -> None:
    head = save_head(shop, projection(32))
    publish_head(shop, head.id)
    cache = shop.folder / "heads" / head.id / "vectors.f16"
    data = bytearray(cache.read_bytes())
    data[640:704] = bytes(64)
    cache.write_bytes(data)
    assert verify_catalog(shop).problems == (
        f"1 projected embeddings of {shop.encoder_id}+head-0001 are damaged.",
    )
    assert repair_catalog(shop, no_encoder).clean
    (shop.folder / "heads" / head.id / "weights.npy").write_bytes(b"")
    assert "weights of head-0001" in verify_catalog(shop).problems[0]
    repaired = repair_catalog(shop, no_encoder)
    assert repaired.clean
    assert live_head(shop) is None


def test_generation_numbers_are_never_used_twice_by_any_space(shop: CatalogStore) -> None:
    base = open_live_index(shop)
    first = publish_head(shop, save_head(shop, projection(32)).id)
    second = publish_head(shop, save_head(shop, projection(32, seed=1)).id)
    assert [base.generation, first.generation, second.generation] == [1, 2, 3]
    assert roll_back_head(shop).generation == 2


def test_a_system_searches_with_its_own_head(shop: CatalogStore) -> None:
    head = save_head(shop, projection(32))
    systems = Systems(Searcher(shop, open_live_index(shop), no_encoder))
    systems.save(System("try", head=head.id))
    query = Query.of(item="00007.jpg", n=10)
    projected = projection(32)(shop.vectors(shop.keys()))
    assert [hit.item_id for hit in systems.search(query, "try").hits] == nearest(shop, "00007.jpg", projected)
    own = nearest(shop, "00007.jpg", shop.vectors(shop.keys()))
    assert [hit.item_id for hit in systems.search(query).hits] == own
    systems.close()


def test_the_service_swaps_the_head_during_searches(colour_catalog: Path) -> None:
    with CatalogStore.open(colour_catalog) as catalog:
        head = save_head(catalog, projection(catalog.dim, strength=3.0))
        items = [item.item_id for item in catalog.iter_items()]
        base_id = catalog.encoder_id
        rows = catalog.vectors(catalog.keys())
        expected = {
            space: {item_id: nearest(catalog, item_id, moved, 5) for item_id in items}
            for space, moved in (
                (base_id, rows),
                (f"{base_id}+{head.id}", VectorSpace(catalog, head).project(rows)),
            )
        }
    service = SearchService.open(Settings(catalog=colour_catalog, feedback=False))
    seen: set[str] = set()
    wrong: list[str] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            for item_id in items:
                result = service.search(Query.of(item=item_id, n=5))
                seen.add(result.encoder)
                if [hit.item_id for hit in result.hits] != expected[result.encoder][item_id]:
                    wrong.append(item_id)

    asker = threading.Thread(target=ask)
    asker.start()
    try:
        for _ in range(3):
            service.heads.publish(head.id)
            service.heads.roll_back()
        service.heads.publish(head.id)
    finally:
        stop.set()
        asker.join()
        service.close()
    assert wrong == []
    assert seen == set(expected)
    with CatalogStore.open(colour_catalog) as catalog:
        assert live_head(catalog) is not None


KILLED = """
import sys, json
from imgsearch.improve.adaptation.head_jobs import publish_head, roll_back_head
from imgsearch.store.catalog import CatalogStore
catalog = CatalogStore.open(sys.argv[1])
while True:
    publish_head(catalog, "head-0001")
    print("published", flush=True)
    roll_back_head(catalog)
"""


@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_the_old_or_the_new_head_complete(make_catalog: MakeCatalog) -> None:
    catalog = make_catalog(clustered(3000, 32))
    made = projection(32)
    save_head(catalog, made)
    expected = {
        None: nearest(catalog, "00005.jpg", catalog.vectors(catalog.keys())),
        "head-0001": nearest(catalog, "00005.jpg", made(catalog.vectors(catalog.keys()))),
    }
    folder = catalog.folder
    catalog.close()
    rng = np.random.default_rng(0)
    states: set[str | None] = set()
    for attempt in range(8):
        with subprocess.Popen(
            [sys.executable, "-c", KILLED, str(folder)], stdout=subprocess.PIPE, text=True
        ) as process:
            if attempt % 2:
                assert process.stdout is not None
                process.stdout.readline()
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(timeout=float(rng.uniform(0.05, 0.9 if attempt % 2 == 0 else 0.2)))
            process.send_signal(signal.SIGKILL)
        with CatalogStore.open(folder) as opened:
            head: Head | None = live_head(opened)
            states.add(head.id if head else None)
            index = open_live_index(opened, space=live_space(opened))
            assert index.header is not None
            assert index.header.encoder_id == index.space.id
            result = Searcher(opened, index, no_encoder).search(Query.of(item="00005.jpg", n=10))
            assert [hit.item_id for hit in result.hits] == expected[head.id if head else None]
            assert verify_catalog(opened).clean
    assert states


def test_a_header_is_plain_json_with_a_checksum(shop: CatalogStore) -> None:
    head = save_head(shop, projection(32), report={"before": 0.5})
    header = json.loads((shop.folder / "heads" / head.id / "head.json").read_text())
    assert (header["sha256"], header["report"]) == (head.sha256, {"before": 0.5})
