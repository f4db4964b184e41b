"""Near-duplicates: copies are found and similar items are not, groups follow the catalog, verdicts persist."""

from __future__ import annotations

import io
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from colour_encoder import ColourEncoder
from PIL import Image, ImageEnhance, ImageOps
from samples import clustered, index_into
from typer.testing import CliRunner

from imgsearch.app.service import SearchService
from imgsearch.cli.main import app
from imgsearch.core.config import Settings
from imgsearch.core.errors import QueryError, SourceError, UnknownItem
from imgsearch.core.query import Filter, Query, Term
from imgsearch.core.records import Item
from imgsearch.index.live_index import LiveIndex
from imgsearch.index.opening import open_live_index
from imgsearch.search.ranking import duplicates as duplicates_module
from imgsearch.search.ranking.duplicate_pairs import (
    MAX_HASH_BITS,
    MIRRORED_BITS,
    is_one_photo,
    near_threshold,
)
from imgsearch.search.ranking.duplicates import Duplicates, Groups, connected_components
from imgsearch.search.searcher import Searcher
from imgsearch.store.catalog import CatalogStore
from imgsearch.vision.alignment import compare_pictures
from imgsearch.vision.looks import describe

STORE = Path(__file__).resolve().parents[2] / "imgsearch" / "data" / "sample_store" / "images"


def recompressed(image: Image.Image) -> Image.Image:
    data = io.BytesIO()
    image.save(data, "JPEG", quality=40)
    return Image.open(data).convert("RGB")


def cropped(image: Image.Image) -> Image.Image:
    width, height = image.size
    return image.crop((int(0.05 * width), int(0.03 * height), int(0.97 * width), int(0.95 * height)))


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "recompressed": recompressed,
    "smaller": lambda image: image.resize((image.width // 2, image.height // 2)),
    "cropped": cropped,
    "bordered": lambda image: ImageOps.expand(image, image.width // 20, "white"),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.85),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.2),
    "turned": lambda image: image.rotate(
        2, Image.Resampling.BICUBIC, fillcolor=image.resize((1, 1)).getpixel((0, 0))
    ),
}


def small(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB").resize((64, 64), reducing_gap=2.0), np.float32) / 255


def read(item: Item) -> bytes:
    return Path(item.location).read_bytes()


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_matches_its_original_in_either_order(name: str) -> None:
    photos = sorted(STORE.glob("*-001-1.jpg"))[:12]
    found = 0
    for photo in photos:
        original = Image.open(photo).convert("RGB")
        pair = small(original), small(COPIES[name](original))
        likeness, other = compare_pictures(*pair), compare_pictures(*pair[::-1])
        assert is_one_photo(likeness) == is_one_photo(other), photo.name
        found += is_one_photo(likeness)
    # A brighter copy of a white object loses its saturated details.
    assert found >= (len(photos) - 2 if name == "brighter" else len(photos))


def test_other_views_and_similar_products_do_not_match() -> None:
    photos = [small(Image.open(photo)) for photo in sorted(STORE.glob("armchair-00[1-4]-*.jpg"))]
    assert len(photos) > 6
    for place, photo in enumerate(photos):
        for other in photos[place + 1 :]:
            assert not is_one_photo(compare_pictures(photo, other))
    assert compare_pictures(photos[0], photos[0]).residual < 1e-3
    assert not is_one_photo(compare_pictures(np.zeros_like(photos[0]), photos[0]))
    assert is_one_photo(compare_pictures(np.ones_like(photos[0]), np.ones_like(photos[0])))


def test_another_colour_of_the_same_product_is_no_duplicate() -> None:
    for photo in sorted(STORE.glob("*-001-1.jpg"))[:12]:
        original = Image.open(photo).convert("RGB")
        hue, saturation, value = original.convert("HSV").split()
        turned = Image.merge("HSV", (hue.point(lambda level: (level + 85) % 256), saturation, value))
        colourful = np.asarray(saturation).mean() > 40
        other = turned.convert("RGB")
        assert not colourful or not is_one_photo(compare_pictures(small(original), small(other))), photo.name


def test_the_hash_of_a_mirrored_photo_is_computed_from_the_original_hash() -> None:
    for photo in sorted(STORE.glob("*-001-1.jpg"))[:12]:
        original = Image.open(photo).convert("RGB")
        mirrored = describe(ImageOps.mirror(original)).phash
        apart = (describe(original).phash ^ mirrored ^ int(MIRRORED_BITS)).bit_count()
        assert apart < MAX_HASH_BITS, photo.name


# --- in a catalog -------------------------------------------------------------------------------------------------


@pytest.fixture
def shop(colours: ColourEncoder, tmp_path: Path) -> Iterator[tuple[CatalogStore, LiveIndex]]:
    """Return a catalog of 16 real photos, two copies of one among them."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for photo in sorted(STORE.glob("*-001-1.jpg"))[:16]:
        shutil.copy(photo, folder)
    original = Image.open(folder / "armchair-001-1.jpg").convert("RGB")
    recompressed(original).save(folder / "copy-a.jpg", quality=70)
    COPIES["darker"](original).save(folder / "copy-b.jpg", quality=95)
    index_into(tmp_path / "shop", colours, [folder])
    with CatalogStore.open(tmp_path / "shop") as catalog:
        yield catalog, open_live_index(catalog)


def found(duplicates: Duplicates) -> list[set[str]]:
    return [{item.item_id for item in group.items} for group in duplicates.list_groups()[1]]


TRIPLE = {"copy-a.jpg", "copy-b.jpg", "armchair-001-1.jpg"}


def test_copies_form_a_group_that_follows_the_catalog(shop: tuple[CatalogStore, LiveIndex]) -> None:
    catalog, index = shop
    duplicates = Duplicates(catalog)
    assert duplicates.state().waiting == len(catalog)
    duplicates.find_new(index, read)
    assert found(duplicates) == [TRIPLE]
    assert duplicates.state().waiting == 0
    assert duplicates.find_new(index, read) == 0, "no photo is compared twice"
    index.remove(catalog.remove(["copy-a.jpg"]))
    assert found(duplicates) == [TRIPLE - {"copy-a.jpg"}]
    assert len(duplicates.groups()) == 2
    duplicates.find_new(index, read, again=True)
    assert found(duplicates) == [TRIPLE - {"copy-a.jpg"}]


def test_dissimilar_photos_are_compared_by_hash_only(shop: tuple[CatalogStore, LiveIndex]) -> None:
    catalog, index = shop
    photos_read: set[str] = set()

    def note(item: Item) -> bytes:
        photos_read.add(item.item_id)
        return read(item)

    Duplicates(catalog).find_new(index, note)
    assert photos_read >= TRIPLE
    assert len(photos_read) < len(catalog)


def test_a_mirrored_copy_is_found(colours: ColourEncoder, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for photo in sorted(STORE.glob("*-001-1.jpg"))[:6]:
        shutil.copy(photo, tmp_path / "photos")
    original = Image.open(tmp_path / "photos" / "armchair-001-1.jpg").convert("RGB")
    ImageOps.mirror(original).save(tmp_path / "photos" / "mirrored.jpg", quality=90)
    index_into(tmp_path / "shop", colours, [tmp_path / "photos"])
    with CatalogStore.open(tmp_path / "shop") as catalog:
        duplicates = Duplicates(catalog)
        duplicates.find_new(open_live_index(catalog), read)
        assert found(duplicates) == [{"armchair-001-1.jpg", "mirrored.jpg"}]


def test_group_computation_blocks_no_search(
    shop: tuple[CatalogStore, LiveIndex], monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog, index = shop
    duplicates = Duplicates(catalog)
    before = duplicates.groups()
    begun, go_on = threading.Event(), threading.Event()

    def slowly(*pairs: Any) -> Any:
        begun.set()
        assert go_on.wait(120)
        return connected_components(*pairs)

    monkeypatch.setattr(duplicates_module, "connected_components", slowly)
    looking = threading.Thread(target=duplicates.find_new, args=(index, read))
    looking.start()
    assert begun.wait(120)
    assert duplicates.groups() is before
    go_on.set()
    looking.join()
    assert len(duplicates.groups()) == 3


def test_a_catalog_change_blocks_no_search_over_many_photos(
    shop: tuple[CatalogStore, LiveIndex], monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog, index = shop
    duplicates = Duplicates(catalog)
    duplicates.find_new(index, read)
    before = duplicates.groups()
    monkeypatch.setattr("imgsearch.search.ranking.duplicates.BACKGROUND_GROUPS", 0)
    gone = catalog.by_keys([int(before.keys[before.labels == 0][0])])[0]
    catalog.remove([gone.item_id])
    assert duplicates.groups() is before
    give_up = time.monotonic() + 20
    while duplicates.groups() is before and time.monotonic() < give_up:
        time.sleep(0.01)
    assert duplicates.groups().of(np.array([gone.key], np.uint64)).tolist() == [-1]


def test_a_verdict_splits_a_group_and_persists_over_another_pass(
    shop: tuple[CatalogStore, LiveIndex],
) -> None:
    catalog, index = shop
    duplicates = Duplicates(catalog)
    duplicates.find_new(index, read)
    duplicates.reject(sorted(TRIPLE), author="Ann")
    assert found(duplicates) == []
    assert len(duplicates.groups()) == 0
    duplicates.find_new(index, read, again=True)
    assert found(duplicates) == []
    with pytest.raises(QueryError, match="at least two"):
        duplicates.reject(["armchair-001-1.jpg", "armchair-001-1.jpg"], author="Ann")
    with pytest.raises(UnknownItem):
        duplicates.reject(["armchair-001-1.jpg", "'; DROP TABLE items --"], author="Ann")


def test_a_stopped_pass_resumes(
    make_catalog: Callable[..., CatalogStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = clustered(60, 16)
    vectors[50] = vectors[3]
    catalog = make_catalog(vectors)
    index, duplicates = open_live_index(catalog), Duplicates(catalog)
    monkeypatch.setattr("imgsearch.search.ranking.duplicates.COMMIT_EVERY", 20)

    def unreadable(item: Item) -> bytes:
        raise SourceError(f"{item.location} is gone.")

    def stop(done: int, total: int) -> None:
        if done >= 40:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        duplicates.find_new(index, unreadable, progress=stop)
    assert duplicates.state().waiting == 40
    duplicates.find_new(index, unreadable, max_s=0)
    assert duplicates.state().waiting == 20, "out of time after the first of the blocks"
    duplicates.find_new(index, unreadable)
    assert found(duplicates) == [{"00003.jpg", "00050.jpg"}], "without a photo, the same embedding decides"


def test_the_threshold_is_derived_from_the_catalogs_neighbours(
    make_catalog: Callable[..., CatalogStore],
) -> None:
    thresholds = []
    for spread in (0.2, 0.6):
        catalog = make_catalog(clustered(400, 32, spread=spread))
        index = open_live_index(catalog)
        thresholds.append(near_threshold(index, catalog.keys()))
        vectors = catalog.vectors(catalog.keys())
        likeness = vectors @ vectors.T
        np.fill_diagonal(likeness, -1)
        assert thresholds[-1] == pytest.approx(np.median(np.sort(likeness, axis=1)[:, -3]), abs=0.01)
    assert thresholds[0] > thresholds[1]


# --- background ---------------------------------------------------------------------------------------------------


def test_a_service_detects_duplicates_automatically(shop: tuple[CatalogStore, LiveIndex]) -> None:
    folder = shop[0].folder
    shop[0].close()
    service = SearchService.open(Settings.load({}, catalog=folder))
    try:
        for _ in range(2400):
            if not service.duplicate_search.running:
                break
            threading.Event().wait(0.05)
        assert found(service.duplicates) == [TRIPLE]
        query = replace(Query.of(item="backpack-001-1.jpg", n=30), duplicates="collapse")
        hits = service.search(query, record=False).hits
        assert len({hit.item_id for hit in hits} & TRIPLE) == 1
        assert max(len(hit.also) for hit in hits) == 2
    finally:
        service.close()
    with CatalogStore.open(folder) as catalog:
        assert Duplicates(catalog).state().waiting == 0


def test_duplicate_detection_can_be_disabled(shop: tuple[CatalogStore, LiveIndex]) -> None:
    folder = shop[0].folder
    shop[0].close()
    service = SearchService.open(Settings.load({}, catalog=folder, find_duplicates=False))
    try:
        assert service.duplicate_search.job is None
    finally:
        service.close()


def test_indexing_detects_duplicates_of_new_photos(tmp_path: Path) -> None:
    names = ["armchair-001-1", "armchair-001-1-again", "mug-001-1", "mug-001-1-again"]
    for name in names:
        shutil.copy(STORE / f"{name.removesuffix('-again')}.jpg", tmp_path / f"{name}.jpg")
    (tmp_path / "shop.csv").write_text("id,image\n" + "".join(f"{name},{name}.jpg\n" for name in names))
    np.save(tmp_path / "shop.npy", np.eye(8, dtype=np.float32)[[0, 0, 1, 1]])
    place = ["--catalog", str(tmp_path / "shop"), "--json"]
    given = ["--embeddings", str(tmp_path / "shop.npy"), "--encoder", "external:test"]
    done = CliRunner().invoke(app, ["index", str(tmp_path / "shop.csv"), *given, *place])
    assert done.exit_code == 0, done.output
    assert "duplicates" in json.loads(done.stdout)["seconds"]
    listed = json.loads(CliRunner().invoke(app, ["duplicates", *place]).stdout)
    assert sorted(sorted(group["items"]) for group in listed["shown"]) == [names[:2], names[2:]]


# --- collapsing ---------------------------------------------------------------------------------------------------


def test_the_first_of_each_group_stays_and_the_others_collapse_into_it() -> None:
    groups = Groups(np.array([2, 4, 5, 9], np.uint64), np.array([7, 7, 1, 1], np.int64))
    keys = np.array([3, 4, 9, 2, 8, 5], np.uint64)
    kept, into = groups.collapse(keys)
    assert kept.tolist() == [0, 1, 2, 4]
    assert into.tolist() == [0, 1, 2, 1, 4, 2]
    assert groups.of(keys).tolist() == [-1, 7, 1, 7, -1, 1]
    nothing = Groups(np.zeros(0, np.uint64), np.zeros(0, np.int64))
    assert nothing.collapse(keys)[0].tolist() == list(range(6))
    assert groups.collapse(keys[:0])[0].tolist() == []


def test_filtered_composed_and_collapsed_queries_return_n_hits_if_n_exist(
    make_catalog: Callable[..., CatalogStore],
) -> None:
    """3,000 photos of 60 products: their 50 views are similar, so collapsing empties whole candidate lists."""
    vectors = clustered(60, 32, clusters=60, spread=0.3).repeat(50, axis=0)
    vectors = vectors + 0.02 * np.random.default_rng(1).normal(size=vectors.shape)
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    rows = [{"product_id": f"p{place // 50}", "even": place % 2 == 0} for place in range(3000)]
    catalog = make_catalog(vectors, rows)

    def no_encoder() -> ColourEncoder:
        raise AssertionError("items need no encoder")

    searcher = Searcher(catalog, open_live_index(catalog), no_encoder)
    query = Query.of(item="00000.jpg", n=60, filters=(Filter("even", "=", "true"),))
    composed = (*query.terms, Term("item", "01700.jpg", 0.6), Term("item", "02900.jpg", -0.4))
    for diversity in (0.0, 0.5):
        asked = replace(query, terms=composed, duplicates="collapse", diversity=diversity)
        result = searcher.search(asked)
        products = [hit.metadata["product_id"] for hit in result.hits]
        assert len(products) == 60 == len(set(products))
        assert all(hit.metadata["even"] for hit in result.hits)
    pages = [
        hit.item_id
        for offset in (0, 20, 40)
        for hit in searcher.search(replace(query, duplicates="collapse", n=20, offset=offset)).hits
    ]
    assert len(set(pages)) == 60, "pages neither overlap nor leave gaps"
