"""The map over HTTP, its events, and the rendered Explore page, without a browser."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from maps import unpacked
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from imgsearch.app.api.routes import create_api
from imgsearch.app.service import SearchService, set_service
from imgsearch.core.config import Settings
from imgsearch.core.query import Filter
from imgsearch.core.records import Item
from imgsearch.explore.explorer import ClusterCard, MapState
from imgsearch.explore.worker import has_umap
from imgsearch.search.ranking.rules import Rule
from imgsearch.ui.components.explore_galleries import cluster_tiles, csv_of, json_of
from imgsearch.ui.state.events import MAX_SELECTED, MapEvent
from imgsearch.ui.views.explore import age

MIB = 1024**2


@pytest.fixture
def service_settings(colour_catalog: Path) -> Settings:
    """Limit the memory to disable UMAP, for speed."""
    return Settings.load({}, catalog=colour_catalog, map_memory_bytes=100 * MIB)


@pytest.fixture
def client(service: SearchService) -> Iterator[TestClient]:
    with TestClient(create_api(lambda: service, service.settings), raise_server_exceptions=False) as opened:
        yield opened


# --- HTTP -----------------------------------------------------------------------------------------------------------


def test_a_map_is_sent_once_and_then_only_confirmed(client: TestClient) -> None:
    first = client.get("/api/v1/map?projection=pca&dimensions=3&by=column:category")
    assert first.status_code == 200
    assert first.headers["content-type"] == "application/octet-stream"
    header, keys, places, _ = unpacked(first.content)
    assert header["count"] == len(keys) == 48
    assert places.shape == (48, 3)
    known = {"If-None-Match": first.headers["etag"]}
    assert (
        client.get("/api/v1/map?projection=pca&dimensions=3&by=column:category", headers=known).status_code
        == 304
    )
    assert client.get("/api/v1/map?by=column:colour", headers=known).status_code == 200


def test_a_hidden_photo_leaves_the_map_and_its_address_changes(
    client: TestClient, service: SearchService
) -> None:
    before = client.get("/api/v1/map")
    service.rules.save(Rule(action="hide", filters=(Filter("category", "=", "mug"),)), author="ann")
    after = client.get("/api/v1/map", headers={"If-None-Match": before.headers["etag"]})
    assert after.status_code == 200
    assert unpacked(after.content)[0]["count"] == 36
    keys = unpacked(before.content)[1].tolist()
    photos = client.get("/api/v1/map/photos", params={"key": keys}).json()["photos"]
    assert len(photos) == 36


def test_photos_are_described_and_their_pictures_are_there(
    client: TestClient, service: SearchService
) -> None:
    answer = client.get("/api/v1/map/photos?key=3&key=1&key=99999")
    assert [photo["key"] for photo in answer.json()["photos"]] == [3, 1]
    components = client.get("/api/openapi.json").json()["components"]
    jsonschema.validate(answer.json(), {"$ref": "#/components/schemas/MapPhotos", "components": components})
    assert client.get(answer.json()["photos"][0]["thumbnail"]).status_code == 200


@pytest.mark.parametrize(
    ("address", "status", "words"),
    [
        ("/api/v1/map?projection=tsne", 400, "'pca' or 'umap'"),
        ("/api/v1/map?dimensions=4", 400, "2 or 3"),
        ("/api/v1/map?by=column:nothing", 400, "no column"),
        ("/api/v1/map?by=<script>", 400, "cannot be coloured"),
        ("/api/v1/map?color=red", 400, "no parameter"),
        ("/api/v1/map?projection=umap", 503, "Explore page"),
        ("/api/v1/map?by=cluster", 503, "Explore page"),
        ("/api/v1/map/photos", 400, "missing"),
        ("/api/v1/map/photos?key=-1", 400, "whole number"),
        ("/api/v1/map/photos?" + "key=1&" * 101, 400, "at most 100"),
    ],
)
def test_a_wrong_request_gets_one_sentence(client: TestClient, address: str, status: int, words: str) -> None:
    answer = client.get(address)
    assert answer.status_code == status
    assert words in answer.json()["error"]["message"]


# --- events ---------------------------------------------------------------------------------------------------------


def test_events_are_parsed_and_truncated() -> None:
    one = MapEvent.parse({"id": "a", "action": "open", "keys": [7], "found": 1})
    assert one == MapEvent(id="a", action="open", keys=[7], found=1)
    many = MapEvent.parse(
        {"id": "b", "action": "lasso", "keys": list(range(MAX_SELECTED + 9)), "found": 9999}
    )
    assert many is not None
    assert (len(many.keys), many.found) == (MAX_SELECTED, 9999)


@pytest.mark.parametrize(
    "raw",
    [
        None,
        [],
        {},
        {"id": "a", "action": "delete", "keys": [1]},
        {"id": "", "action": "open", "keys": [1]},
        {"id": "a", "action": "open", "keys": []},
        {"id": "a", "action": "open", "keys": [1, 2]},
        {"id": "a", "action": "lasso", "keys": "1"},
        {"id": "a", "action": "lasso", "keys": [1.5]},
        {"id": "a", "action": "lasso", "keys": [True]},
        {"id": "a", "action": "lasso", "keys": [-1]},
        {"id": "a", "action": "lasso", "keys": [2**70]},
    ],
)
def test_a_malformed_event_is_none(raw: Any) -> None:
    assert MapEvent.parse(raw) is None


# --- what the page says ---------------------------------------------------------------------------------------------


def test_the_page_shows_the_age_of_the_map_and_changes() -> None:
    state = MapState("2026-01-01T10:00:00+00:00", 3, 2, 1, other_space=False, umap=True, can_umap=True)
    words = age(state)
    assert "generation 3" in words
    assert "2 new photos are not on it yet and 1 were removed" in words
    assert "no map with groups yet" in age(
        MapState("", 0, 0, 0, other_space=False, umap=False, can_umap=True)
    )
    assert "another model" in age(MapState("x", 1, 0, 0, other_space=True, umap=True, can_umap=True))


def test_a_group_s_tile_shows_its_middle_and_opens_the_group() -> None:
    item = Item("a.jpg", 7, "/a.jpg", {"title": "Blue mug"})
    tile = cluster_tiles([ClusterCard(4, 1200, item, ("mug", "cup", "blue"))])[0]
    assert (tile["id"], tile["title"], tile["lines"]) == ("4", "mug · cup", ["1,200 photos", "blue"])
    assert "1,200 photos" in tile["open_label"]
    assert cluster_tiles([ClusterCard(4, 1, item, ())])[0]["title"] == "Blue mug"


def test_a_set_is_exported_completely_and_without_formulas() -> None:
    items = [
        Item("=1+1.jpg", 1, "/1", {"title": "@evil", "price": 3.0}),
        Item('b,"c".jpg', 2, "/2", {"title": "Täss", "colour": "red"}),
    ]
    rows = list(csv.reader(io.StringIO(csv_of(items).decode("utf-8-sig"))))
    assert rows == [
        ["item_id", "title", "price", "colour"],
        ["'=1+1.jpg", "'@evil", "3.0", ""],
        ['b,"c".jpg', "Täss", "", "red"],
    ]
    assert json.loads(json_of(items))[1] == {"item_id": 'b,"c".jpg', "title": "Täss", "colour": "red"}


# --- the page -------------------------------------------------------------------------------------------------------


def drawn() -> AppTest:
    """Return the page alone: `AppTest` has no navigation."""

    def page() -> None:
        from imgsearch.ui.views import explore

        explore.draw()

    return AppTest.from_function(page, default_timeout=60)


def test_the_first_visit_computes_the_layout_and_a_later_one_shows_groups(service: SearchService) -> None:
    first = drawn().run()
    assert not first.exception
    assert service.explorer.jobs.job is not None
    service.explorer.jobs.wait(240)
    assert service.explorer.jobs.job.status == "done", service.explorer.jobs.job
    later = drawn().run()
    assert not later.exception
    texts = " ".join(element.proto.body for element in later.main if hasattr(element.proto, "body"))
    assert "Groups of similar photos" in texts
    assert "up to date" in texts
    if has_umap():
        assert "UMAP did not run" in texts, "short of memory, and says so"
    assert later.selectbox(key="color").value == "cluster"
    for choice in later.selectbox(key="color").options:
        assert not later.selectbox(key="color").select(choice).run().exception


def test_an_empty_catalog_explains_the_first_step(tmp_path: Path) -> None:
    from imgsearch.store.catalog import CatalogStore

    CatalogStore.open(tmp_path / "empty", create=True).close()
    opened = SearchService.open(Settings.load({}, catalog=tmp_path / "empty"))
    set_service(opened)
    try:
        page = drawn().run()
        assert not page.exception
        assert "imgsearch index PHOTOS" in page.code[0].value
    finally:
        set_service(None)
        opened.close()
