"""The search engine: opened once, shared by all users of a catalog, and closed completely."""

from __future__ import annotations

import io
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from colour_encoder import ColourEncoder
from PIL import Image

from imgsearch.core.config import Settings
from imgsearch.core.errors import (
    CatalogCorrupt,
    CatalogNotFound,
    EncoderMismatch,
    EncoderUnavailable,
    QueryError,
)
from imgsearch.core.query import Emphasis, Query, Region, Term
from imgsearch.encoders import Encoder
from imgsearch.index.heads import Projection, publish, save_head
from imgsearch.search.encoder_provider import EncoderProvider
from imgsearch.search.engine import SearchEngine, open_catalog_index
from imgsearch.search.ranking.rules import Rule
from imgsearch.search.systems import System
from imgsearch.store.catalog import CatalogStore
from imgsearch.vision import images
from imgsearch.vision.images import Picture, decode_picture

MUG = "mug/red-0.jpg"
PROVIDER = "imgsearch.search.encoder_provider"


def settings_of(folder: Path, **given: object) -> Settings:
    return Settings.load({}, catalog=folder, **given)


def test_one_engine_searches_by_text_item_and_photo(colour_catalog: Path, colours: ColourEncoder) -> None:
    with SearchEngine(settings_of(colour_catalog), encoder=colours) as engine:
        by_item = engine.searcher.search(Query.of(item=MUG, n=5))
        photo = engine.read_photo(engine.catalog.get(MUG))
        assert engine.searcher.search(Query.of(image=photo, n=1)).hits[0].item_id == MUG
        assert len(engine.searcher.search(Query.of(text="red", n=5)).hits) == 5
        assert engine.systems.search(Query.of(item=MUG, n=5)).hits == by_item.hits


def test_a_rule_saved_in_the_engine_applies_to_all_its_systems(
    colour_catalog: Path, colours: ColourEncoder
) -> None:
    with SearchEngine(settings_of(colour_catalog), encoder=colours) as engine:
        engine.systems.save(System("wide", expansion=500))
        query = Query.of(item=MUG, n=5)
        first = engine.searcher.search(query).hits[0].item_id
        engine.rules.save(Rule("hide", (first,)), author="Ann")
        for system in ("live", "wide"):
            assert first not in {hit.item_id for hit in engine.systems.search(query, system).hits}


def test_the_encoder_is_loaded_by_the_first_query_that_needs_it(
    colour_catalog: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[str] = []

    def load(spec: str, **_: object) -> Encoder:
        loads.append(spec)
        return ColourEncoder()

    monkeypatch.setattr(f"{PROVIDER}.load_encoder", load)
    with SearchEngine(settings_of(colour_catalog)) as engine:
        engine.searcher.search(Query.of(item=MUG, n=5))
        assert loads == []
        assert engine.encoder.loaded is None
        engine.searcher.search(Query.of(text="red", n=5))
        engine.searcher.search(Query.of(text="blue", n=5))
        assert loads == ["test:colours"]
        assert engine.encoder.state.status == "ready"


def test_a_started_encoder_is_awaited_and_then_the_callback_runs(
    colour_catalog: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, called = threading.Event(), threading.Event()

    def load(*_: object, **__: object) -> Encoder:
        release.wait(30)
        return ColourEncoder()

    monkeypatch.setattr(f"{PROVIDER}.load_encoder", load)
    with SearchEngine(settings_of(colour_catalog), serving=True) as engine:
        engine.start(called.set)
        assert engine.encoder.state.status == "loading"
        assert len(engine.searcher.search(Query.of(item=MUG, n=5)).hits) == 5
        threading.Timer(0.2, release.set).start()
        assert len(engine.searcher.search(Query.of(text="red", n=5)).hits) == 5
        assert called.wait(30)


def test_an_encoder_that_is_not_the_catalogs_is_refused_each_time(
    colour_catalog: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{PROVIDER}.load_encoder", lambda *_, **__: ColourEncoder(version=2))
    with SearchEngine(settings_of(colour_catalog)) as engine:
        for _ in range(2):
            with pytest.raises(EncoderMismatch):
                engine.searcher.search(Query.of(text="red"))


def test_an_empty_catalog_reports_a_missing_encoder(tmp_path: Path) -> None:
    with CatalogStore.open(tmp_path / "empty", create=True) as catalog:
        provider = EncoderProvider(catalog)
        provider.start()
        with pytest.raises(EncoderUnavailable, match="index photos first"):
            provider.get()
        assert provider.state.status == "failed"
        provider.close()


def test_closing_releases_the_catalog_and_is_idempotent(colour_catalog: Path) -> None:
    engine = SearchEngine(settings_of(colour_catalog))
    engine.close()
    engine.close()
    CatalogStore.open(colour_catalog).close()


def test_an_engine_that_cannot_open_leaves_nothing_open(colour_catalog: Path) -> None:
    with CatalogStore.open(colour_catalog) as catalog:
        width = catalog.dim
        narrow = np.ones((width, 4), np.float32)
        head = save_head(catalog, Projection(np.ones(width, np.float32), narrow, narrow))
        publish(catalog, head.id)
    for path in (colour_catalog / "heads" / head.id).iterdir():
        path.write_bytes(b"damaged")
    with pytest.raises(CatalogCorrupt):
        SearchEngine(settings_of(colour_catalog))
    CatalogStore.open(colour_catalog).close()  # the lock is released


def test_a_catalog_is_created_only_on_request(tmp_path: Path) -> None:
    with pytest.raises(CatalogNotFound):
        SearchEngine(settings_of(tmp_path / "new"))
    with SearchEngine(settings_of(tmp_path / "new"), create=True) as engine:
        assert len(engine.catalog) == 0


def test_a_command_gets_the_catalog_and_an_up_to_date_index(colour_catalog: Path) -> None:
    shutil.rmtree(colour_catalog / "index")
    with open_catalog_index(settings_of(colour_catalog)) as (catalog, index):
        assert len(index) == len(catalog) == 48
    CatalogStore.open(colour_catalog).close()


@pytest.mark.parametrize("emphasis", [Emphasis(), Emphasis(color=0.5)])
def test_an_upload_is_decoded_once_and_searched_by_its_original_pixels(
    lite_catalog: Path,
    lite: Encoder,
    shared_photos: Path,
    monkeypatch: pytest.MonkeyPatch,
    emphasis: Emphasis,
) -> None:
    data = (shared_photos / MUG).read_bytes()
    with SearchEngine(settings_of(lite_catalog), encoder=lite) as engine:
        decoded: list[int] = []

        def spy(source: bytes | Path, **options: Any) -> Picture:
            decoded.append(1)
            return decode_picture(source, **options)

        monkeypatch.setattr(images, "decode_picture", spy)
        upload = Term("upload", engine.uploads.add(data))
        first = engine.searcher.search(Query((upload,), n=3, emphasis=emphasis))
        assert len(decoded) == 1
        assert first.hits[0].item_id == MUG
        stored = engine.catalog.vectors(np.array([engine.catalog.get(MUG).key], np.uint64))[0]
        assert engine.searcher.embedding(Query((upload,))) == pytest.approx(stored, abs=1e-3)
        engine.searcher.search(Query((upload,), n=9, offset=3, emphasis=emphasis))
        assert len(decoded) == 1
    with SearchEngine(settings_of(lite_catalog), encoder=lite) as engine:
        again = engine.searcher.search(Query((upload,), n=3, emphasis=emphasis))
        assert [hit.item_id for hit in again.hits] == [hit.item_id for hit in first.hits]
        assert [hit.score for hit in again.hits] == pytest.approx([hit.score for hit in first.hits], abs=1e-5)


def test_a_region_of_an_upload_is_cropped_from_the_original_pixels(
    colour_catalog: Path, colours: ColourEncoder
) -> None:
    """A preview of 768 px has less than 10 pixels of the region."""
    image = Image.new("RGB", (4000, 400), "red")
    image.paste("blue", (0, 0, 40, 400))
    data = io.BytesIO()
    image.save(data, "PNG")
    with SearchEngine(settings_of(colour_catalog), encoder=colours) as engine:
        upload_id = engine.uploads.add(data.getvalue())
        part = engine.uploads.decode(upload_id, Region(0, 0, 0.01, 1), colours.input_px)
        assert part.size == (40, 400)
        term = Term("upload", upload_id, region=Region(0, 0, 0.01, 1))
        assert "blue" in engine.searcher.search(Query((term,), n=1)).hits[0].item_id


def test_a_deleted_upload_is_not_searched_from_the_cache(
    colour_catalog: Path, colours: ColourEncoder, shared_photos: Path
) -> None:
    with SearchEngine(settings_of(colour_catalog), encoder=colours) as engine:
        upload_id = engine.uploads.add((shared_photos / MUG).read_bytes())
        query = Query((Term("upload", upload_id),), n=1)
        engine.searcher.search(query)
        engine.uploads.remove(upload_id)
        with pytest.raises(QueryError, match="no longer stored"):
            engine.searcher.search(query)
