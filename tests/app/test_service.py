"""The service: one open catalog for pages and HTTP; search by item works before the model is loaded."""

from __future__ import annotations

import io
import threading
import time
from pathlib import Path

import pytest
from PIL import Image

from imgsearch.app.service import SearchService, close_service, get_service, set_service
from imgsearch.core.config import Settings
from imgsearch.core.errors import (
    CatalogLocked,
    CatalogNotFound,
    EncoderError,
    EncoderMismatch,
    EncoderUnavailable,
    ImageTooLarge,
    ImgSearchError,
    QueryError,
    UnknownItem,
)
from imgsearch.core.query import Filter, Query, Term
from imgsearch.core.query_address import query_key
from imgsearch.core.records import Judgment
from imgsearch.encoders import Encoder
from imgsearch.improve.monitoring.telemetry import render
from imgsearch.index.info import catalog_info


def settings_of(folder: Path, **given: object) -> Settings:
    return Settings.load({}, catalog=folder, **given)


@pytest.fixture
def service_settings(lite_catalog: Path) -> Settings:
    return settings_of(lite_catalog)


@pytest.fixture
def slow_encoder(monkeypatch: pytest.MonkeyPatch, lite: Encoder) -> threading.Event:
    """Block the encoder's loading until the event is set."""
    release = threading.Event()

    def load(*_: object, **__: object) -> Encoder:
        release.wait(30)
        return lite

    monkeypatch.setattr("imgsearch.search.encoder_provider.load_encoder", load)
    return release


def wait_until_loaded(service: SearchService) -> None:
    give_up = time.monotonic() + 120
    while service.engine.encoder.state.status == "loading" and time.monotonic() < give_up:
        time.sleep(0.05)


def rows(service: SearchService, sql: str) -> list[tuple[object, ...]]:
    service.feedback.flush()
    return service.catalog.database.cursor().execute(sql).fetchall()


def test_texts_pictures_uploads_and_items_are_searched_by_the_real_model(
    service: SearchService, shared_photos: Path
) -> None:
    data = (shared_photos / "mug/red-0.jpg").read_bytes()
    upload_id = service.engine.uploads.add(data)
    assert service.search(Query.of(image=data, n=1)).hits[0].item_id == "mug/red-0.jpg"
    assert service.search(Query((Term("upload", upload_id),), n=1)).hits[0].item_id == "mug/red-0.jpg"
    assert len(service.search(Query.of(text="red mug", n=5)).hits) == 5
    assert "mug/red-0.jpg" not in {hit.item_id for hit in service.search(Query.of(item="mug/red-0.jpg")).hits}
    assert service.engine.encoder.state.status == "ready"


def test_item_search_needs_no_model_and_text_search_waits_for_it(
    lite_catalog: Path, slow_encoder: threading.Event
) -> None:
    service = SearchService.open(settings_of(lite_catalog))
    assert service.engine.encoder.state.status == "loading"
    assert service.engine.encoder.state.spec == "lite"
    assert len(service.search(Query.of(item="mug/red-0.jpg")).hits) == 10
    threading.Timer(0.3, slow_encoder.set).start()
    assert len(service.search(Query.of(text="mug")).hits) == 10
    service.close()


def test_an_encoder_loading_timeout_raises_an_explicit_error(
    lite_catalog: Path, slow_encoder: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imgsearch.search.encoder_provider.ENCODER_LOAD_TIMEOUT_S", 0.05)
    service = SearchService.open(settings_of(lite_catalog))
    with pytest.raises(EncoderUnavailable, match="still loading"):
        service.search(Query.of(text="mug"))
    slow_encoder.set()
    service.close()


@pytest.mark.parametrize("error", [EncoderUnavailable("No weights."), RuntimeError("torch is broken")])
def test_a_failed_model_is_reported_and_other_functions_work(
    lite_catalog: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    def load(*_: object, **__: object) -> Encoder:
        raise error

    monkeypatch.setattr("imgsearch.search.encoder_provider.load_encoder", load)
    service = SearchService.open(settings_of(lite_catalog))
    wait_until_loaded(service)
    assert service.engine.encoder.state.status == "failed"
    assert str(error) in service.engine.encoder.state.reason
    with pytest.raises(EncoderError):
        service.search(Query.of(text="mug"))
    assert len(service.search(Query.of(item="mug/red-0.jpg")).hits) == 10
    service.close()


def test_a_model_other_than_the_catalogs_is_refused(
    colour_catalog: Path, lite: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imgsearch.search.encoder_provider.load_encoder", lambda *_, **__: lite)
    service = SearchService.open(settings_of(colour_catalog))
    wait_until_loaded(service)
    with pytest.raises(EncoderMismatch):
        service.search(Query.of(text="mug"))
    service.close()


def test_impressions_are_recorded_under_a_stable_key(service: SearchService) -> None:
    query = Query.of(item="mug/red-0.jpg", n=5, filters=(Filter("category", "=", "mug"),))
    result = service.search(query, visitor="v")
    service.search(query, record=False)
    found = rows(
        service, "SELECT search_id, query_key, visitor, item_id, rank FROM impressions ORDER BY rank"
    )
    assert [(row[0], row[2]) for row in found] == [(result.search_id, "v")] * 5
    assert {row[1] for row in found} == {query_key(query)}
    assert [row[3] for row in found] == [hit.item_id for hit in result.hits]


def test_feedback_can_be_switched_off(lite_catalog: Path) -> None:
    service = SearchService.open(settings_of(lite_catalog, feedback=False))
    result = service.search(Query.of(item="mug/red-0.jpg"))
    service.record_click(search_id=result.search_id, item_id="mug/red-1.jpg", rank=1)
    assert service.feedback.counts() == {"impressions": 0, "clicks": 0, "judgments": 0}
    service.close()


def test_clicks_and_judgments_require_existing_items(service: SearchService) -> None:
    service.record_click(search_id="s", item_id="mug/red-0.jpg", rank=1)
    service.record_judgment(Judgment("text=mug", "mug/red-0.jpg", "good", "l"))
    with pytest.raises(UnknownItem):
        service.record_click(search_id="s", item_id="none", rank=1)
    with pytest.raises(UnknownItem):
        service.record_judgment(Judgment("text=mug", "none", "good", "l"))
    assert service.feedback.counts() == {"impressions": 0, "clicks": 1, "judgments": 1}


def test_the_query_key_is_independent_of_n_and_offset() -> None:
    text, item = Term("text", "red mug"), Term("item", "a/b.jpg", -0.4)
    key = query_key(Query((text, item), n=10))
    assert key == query_key(Query((item, text), n=50, offset=20)) == "text=red+mug&less=a%2Fb.jpg"
    assert key != query_key(Query((text, item), filters=(Filter("a", "=", 1),)))
    assert (
        query_key(Query.of(image=b"abc"))
        == query_key(Query.of(image=b"xyz"))
        != query_key(Query.of(text="x"))
    )


def test_thumbnails_and_uploads_are_served_as_webp(service: SearchService, shared_photos: Path) -> None:
    thumbnail = service.engine.thumbnails.get(service.catalog.get("mug/red-0.jpg"), 96)
    assert Image.open(io.BytesIO(thumbnail.data)).size == (96, 96)
    upload_id = service.engine.uploads.add((shared_photos / "mug/red-0.jpg").read_bytes())
    assert Image.open(io.BytesIO(service.engine.uploads.webp(upload_id, 96))).size == (96, 96)
    with pytest.raises(QueryError):
        service.engine.uploads.webp("0" * 32, 96)
    with pytest.raises(UnknownItem):
        service.engine.thumbnails.get(service.catalog.get("none"), 96)


def test_an_upload_over_the_limits_is_refused(lite_catalog: Path) -> None:
    service = SearchService.open(settings_of(lite_catalog, max_upload_bytes=2000, max_pixels=10_000))
    buffer = io.BytesIO()
    Image.new("L", (101, 100)).save(buffer, "PNG")
    for data in (bytes(2001), buffer.getvalue()):
        with pytest.raises(ImageTooLarge):
            service.engine.uploads.add(data)
    service.close()


def test_the_statistics_describe_the_open_catalog(service: SearchService, lite: Encoder) -> None:
    info = catalog_info(service.catalog, service.engine.index)
    assert (info.items, info.encoder_id, info.dim, info.generation) == (48, lite.id, lite.dim, 1)
    assert info.index is not None
    assert info.index["ann_recall@10"] >= 0.99
    assert service.latency_ms() == {}
    service.search(Query.of(item="mug/red-0.jpg"))
    assert service.latency_ms()["p50"] > 0
    assert b"imgsearch_searches_total{" in render(service.metrics.registry)


def test_ten_threads_use_one_service(service: SearchService) -> None:
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for item in service.sample(4, seed=number):
                result = service.search(Query.of(item=item.item_id, n=5), visitor=str(number))
                assert len(result.hits) == 5
                service.record_click(search_id=result.search_id, item_id=result.hits[0].item_id, rank=1)
                assert service.engine.thumbnails.get(service.catalog.get(item.item_id), 96).data
                service.facets()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert service.feedback.counts() == {"impressions": 200, "clicks": 40, "judgments": 0}


# --- opening and closing ----------------------------------------------------------------------------------------


def test_opening_a_missing_or_locked_catalog_raises_an_explicit_error(
    service: SearchService, tmp_path: Path
) -> None:
    with pytest.raises(CatalogNotFound):
        SearchService.open(settings_of(tmp_path / "none"))
    with pytest.raises(CatalogLocked, match="process"):
        SearchService.open(settings_of(service.catalog.folder))


def test_closing_is_idempotent_and_releases_the_catalog(lite_catalog: Path) -> None:
    service = SearchService.open(settings_of(lite_catalog))
    service.search(Query.of(item="mug/red-0.jpg", n=7))
    service.close()
    service.close()
    again = SearchService.open(settings_of(lite_catalog))
    assert again.feedback.counts()["impressions"] == 7
    again.close()


def test_closing_waits_for_a_loading_model(lite_catalog: Path, slow_encoder: threading.Event) -> None:
    service = SearchService.open(settings_of(lite_catalog))
    threading.Timer(0.3, slow_encoder.set).start()
    service.close()
    assert slow_encoder.is_set()
    assert "load-encoder" not in {thread.name for thread in threading.enumerate()}
    assert service.engine.encoder.state.status == "failed"


def test_closing_waits_for_a_hanging_model_only_until_the_timeout(
    lite_catalog: Path, slow_encoder: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imgsearch.search.encoder_provider.ENCODER_CLOSE_TIMEOUT_S", 0.05)
    service = SearchService.open(settings_of(lite_catalog))
    service.close()
    assert not slow_encoder.is_set()
    SearchService.open(settings_of(lite_catalog)).close()
    slow_encoder.set()


def test_a_missing_index_is_rebuilt_at_opening(lite_catalog: Path) -> None:
    import shutil

    shutil.rmtree(lite_catalog / "index")
    service = SearchService.open(settings_of(lite_catalog))
    assert len(service.search(Query.of(item="mug/red-0.jpg")).hits) == 10
    service.close()


def test_concurrent_first_requests_share_one_service(lite_catalog: Path) -> None:
    settings = settings_of(lite_catalog)
    found: list[SearchService] = []
    threads = [threading.Thread(target=lambda: found.append(get_service(settings))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    try:
        assert len(found) == 8
        assert len({id(service) for service in found}) == 1
    finally:
        close_service()
    other = SearchService.open(settings)
    set_service(other)
    try:
        assert get_service() is other
    finally:
        set_service(None)
        other.close()


def test_an_empty_catalog_opens_and_refuses_searches_in_one_sentence(tmp_path: Path) -> None:
    from imgsearch.store.catalog import CatalogStore

    CatalogStore.open(tmp_path / "c", create=True).close()
    service = SearchService.open(settings_of(tmp_path / "c"))
    assert (
        service.sample(5, seed=0),
        service.facets(),
        catalog_info(service.catalog, service.engine.index).items,
    ) == ([], [], 0)
    for query in (Query.of(text="red"), Query.of(item="a")):
        with pytest.raises(ImgSearchError) as refused:
            service.search(query)
        assert "\n" not in str(refused.value)
    service.close()
