"""Items over HTTP: PUT, PATCH, DELETE, history, undo, the list; conditions, retries, limits and hostile requests."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import socket
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jsonschema
import pytest
from api_server import served
from photos import draw_photo
from starlette.testclient import TestClient

from imgsearch.app.api.routes import create_api
from imgsearch.app.service import SearchService
from imgsearch.core.config import Settings

ITEM = "mug/red-0.jpg"
MAX_UPLOAD = 200_000


@pytest.fixture(scope="module")
def shared_service_settings(shared_service_settings: Settings) -> Settings:
    limits = {
        "max_upload_bytes": MAX_UPLOAD,
        "max_pixels": 1_000_000,
        "local_only": True,
        "find_duplicates": False,
    }
    return shared_service_settings.model_copy(update=limits)


def client_of(service: SearchService, settings: Settings, **options: Any) -> TestClient:
    api = create_api(lambda: service, settings)
    options = {"client": ("127.0.0.1", 5000), "base_url": "http://localhost", **options}
    return TestClient(api, raise_server_exceptions=False, **options)


@pytest.fixture(scope="module")
def client(shared_service: SearchService, shared_service_settings: Settings) -> Iterator[TestClient]:
    with client_of(shared_service, shared_service_settings) as client:
        yield client


@pytest.fixture(scope="module")
def description(client: TestClient) -> dict[str, Any]:
    return dict(client.get("/api/openapi.json").json())


def picture(colour: str = "blue", shape: str = "vase", variant: int = 7) -> bytes:
    buffer = io.BytesIO()
    draw_photo(shape, colour, variant=variant).save(buffer, "JPEG")
    return buffer.getvalue()


def put(client: TestClient, item_id: str, headers: dict[str, str] | None = None, **metadata: Any) -> Any:
    """Create or replace an item by form."""
    files = {"image": ("photo.jpg", picture(), "image/jpeg")}
    data = {"metadata": json.dumps(metadata)}
    return client.put(f"/api/v1/items/{quote(item_id)}", files=files, data=data, headers=headers)


def patch(client: TestClient, item_id: str, headers: dict[str, str] | None = None, **metadata: Any) -> Any:
    return client.patch(f"/api/v1/items/{quote(item_id)}", json={"metadata": metadata}, headers=headers)


def error_of(response: Any, status: int) -> str:
    """Return the error code of a response; fails unless it is a well-formed error of one sentence."""
    assert response.status_code == status, response.text
    body = response.json()
    assert set(body) == {"error"}
    assert "Traceback" not in body["error"]["message"]
    assert "\n" not in body["error"]["message"]
    return str(body["error"]["code"])


def found_by_text(client: TestClient, text: str) -> list[str]:
    hits = client.get("/api/v1/search", params={"text": text, "n": 60}).json()["hits"]
    return [hit["item_id"] for hit in hits]


# --- one item ---------------------------------------------------------------------------------------------------


def test_an_item_is_found_right_after_put_and_not_after_delete(client: TestClient) -> None:
    answer = put(client, "new/vase-1", title="Blue vase", price=19.5)
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == "/api/v1/items/new/vase-1"
    assert answer.json()["status"] == "created"
    assert "new/vase-1" in found_by_text(client, "blue vase")
    document = client.get("/api/v1/items/new/vase-1")
    assert document.json()["metadata"] == {"title": "Blue vase", "price": 19.5}
    assert (
        document.headers["etag"] == answer.headers["etag"] == answer.json()["etag"] == document.json()["etag"]
    )
    assert client.get(document.json()["thumbnail"]).status_code == 200

    gone = client.delete("/api/v1/items/new/vase-1")
    assert (gone.status_code, gone.json()["status"], gone.json()["etag"]) == (200, "deleted", "")
    assert "new/vase-1" not in found_by_text(client, "blue vase")
    assert error_of(client.get("/api/v1/items/new/vase-1"), 404) == "unknown_item"
    assert error_of(client.delete("/api/v1/items/new/vase-1"), 404) == "unknown_item"


def test_a_patch_changes_the_named_columns_only(client: TestClient) -> None:
    put(client, "patched", title="One", price=1, colour="red")
    answer = patch(client, "patched", price=2.5, colour=None)
    assert answer.json()["status"] == "updated"
    assert client.get("/api/v1/items/patched").json()["metadata"] == {"title": "One", "price": 2.5}
    again = patch(client, "patched", price=2.5)
    assert (again.json()["status"], again.json()["change_id"]) == ("unchanged", 0)
    assert again.headers["etag"] == answer.headers["etag"]
    hits = client.get("/api/v1/search", params={"item": ITEM, "filter": ["price=2.5"], "n": 5}).json()["hits"]
    assert [hit["item_id"] for hit in hits] == ["patched"]


def test_a_put_without_a_photo_keeps_it_and_replaces_the_row(client: TestClient) -> None:
    put(client, "kept", title="One", price=1)
    before = client.get("/api/v1/items/kept").json()
    answer = client.put("/api/v1/items/kept", json={"metadata": {"title": "Two"}})
    assert (answer.status_code, answer.json()["status"]) == (200, "replaced")
    after = client.get("/api/v1/items/kept").json()
    assert after["metadata"] == {"title": "Two"}
    assert after["image"] == before["image"]
    assert error_of(client.put("/api/v1/items/never", json={"metadata": {}}), 400) == "no_picture"


def test_a_photo_comes_as_base64_and_from_a_url(client: TestClient, web: str) -> None:
    encoded = base64.b64encode(picture("green")).decode()
    for body in ({"image_base64": encoded}, {"image_base64": f"data:image/jpeg;base64,{encoded}"}):
        answer = client.put("/api/v1/items/encoded", json={**body, "metadata": {"price": 3}})
        assert answer.status_code in (200, 201), answer.text
    refused = client.put("/api/v1/items/by-url", json={"image_url": f"{web}/mug/red-0.jpg"})
    # Addresses of this machine are refused, as in manifests.
    assert error_of(refused, 422)


def test_a_lost_update_is_refused(client: TestClient) -> None:
    put(client, "shared", price=1)
    etag = client.get("/api/v1/items/shared").headers["etag"]
    first = patch(client, "shared", {"If-Match": etag}, price=2)
    assert first.status_code == 200
    for second in (
        patch(client, "shared", {"If-Match": etag}, price=3),
        put(client, "shared", {"If-Match": etag}, price=3),
        client.delete("/api/v1/items/shared", headers={"If-Match": etag}),
        patch(client, "shared", {"If-Match": f'{etag}, "r1"'}, price=3),
    ):
        assert error_of(second, 412) == "etag_mismatch"
    assert client.get("/api/v1/items/shared").json()["metadata"] == {"price": 2}
    new = first.headers["etag"]
    assert patch(client, "shared", {"If-Match": f'"r1", W/{new}'}, price=4).status_code == 200
    assert patch(client, "shared", {"If-Match": "*"}, price=5).status_code == 200
    assert error_of(put(client, "absent", {"If-Match": "*"}), 412) == "etag_mismatch"


def test_create_only_refuses_an_item_that_exists(client: TestClient) -> None:
    assert put(client, "once", {"If-None-Match": "*"}, price=1).status_code == 201
    assert error_of(put(client, "once", {"If-None-Match": "*"}, price=2), 412) == "item_exists"
    assert client.get("/api/v1/items/once").json()["metadata"] == {"price": 1}


def test_a_client_that_has_the_item_gets_304(client: TestClient) -> None:
    etag = client.get(f"/api/v1/items/{ITEM}").headers["etag"]
    assert client.get(f"/api/v1/items/{ITEM}", headers={"If-None-Match": etag}).status_code == 304
    assert client.get(f"/api/v1/items/{ITEM}", headers={"If-None-Match": '"r0x"'}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"If-Match": "r17"},
        {"If-Match": '"r17'},
        {"If-Match": '"a"' * 2000},
        {"If-None-Match": '"r17"'},
        {"If-Match": "*", "If-None-Match": "*"},
        {"Idempotency-Key": ""},
        {"Idempotency-Key": "k" * 256},
        {"Idempotency-Key": "a key"},
    ],
)
def test_conditions_that_cannot_be_read_are_refused(client: TestClient, headers: dict[str, str]) -> None:
    assert error_of(put(client, "conditions", headers), 400) == "bad_request"


def test_values_of_every_kind_come_back_as_json(client: TestClient, description: dict[str, Any]) -> None:
    put(
        client,
        "kinds",
        **{"Sale price": "1.299,00 €", "tags": ["oak", "blue"], "on": True, "since": "2026-03-01"},
    )
    document = client.get("/api/v1/items/kinds").json()
    schema = {"$ref": "#/components/schemas/Item", "components": description["components"]}
    jsonschema.validate(document, schema, cls=jsonschema.Draft202012Validator)
    values = document["metadata"]
    assert (values["Sale price"], values["tags"], values["on"]) == (1299.0, ["oak", "blue"], True)
    assert patch(client, "kinds", **values).json()["status"] == "unchanged"


def test_an_item_with_an_odd_id_from_a_file_can_be_changed(
    client: TestClient, shared_service: SearchService
) -> None:
    put(client, "plain", price=1)
    with shared_service.catalog.changing() as (cursor, touched):
        cursor.execute("UPDATE items SET item_id = 'odd\nname' WHERE item_id = 'plain'")
        touched.item_ids = ["plain", "odd\nname"]
    assert patch(client, "odd\nname", price=2).status_code == 200
    assert put(client, "odd\nname", price=3).status_code == 200
    assert client.delete("/api/v1/items/odd%0Aname").status_code == 200


# --- retries ----------------------------------------------------------------------------------------------------


def test_a_repeated_request_gets_its_answer_and_is_not_done_again(client: TestClient) -> None:
    put(client, "counted", price=1)
    headers = {"Idempotency-Key": "first-patch"}
    first = patch(client, "counted", headers, price=2)
    patch(client, "counted", price=3)
    again = patch(client, "counted", headers, price=2)
    assert (again.status_code, again.json()) == (200, first.json())
    assert again.headers["etag"] == first.headers["etag"]
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert client.get("/api/v1/items/counted").json()["metadata"] == {"price": 3}


def test_a_repeated_form_with_another_boundary_is_the_same_request(client: TestClient) -> None:
    headers = {"Idempotency-Key": "a-form"}
    first, again = put(client, "formed", headers, price=1), put(client, "formed", headers, price=1)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["idempotency-replayed"] == "true"


def test_a_key_of_another_request_is_refused(client: TestClient) -> None:
    put(client, "keyed", {"Idempotency-Key": "taken"}, price=1)
    for other in (
        patch(client, "keyed", {"Idempotency-Key": "taken"}, price=2),
        put(client, "keyed", {"Idempotency-Key": "taken"}, price=2),
        put(client, "keyed-2", {"Idempotency-Key": "taken"}, price=1),
    ):
        assert error_of(other, 422) == "idempotency_mismatch"


def test_a_failed_request_may_be_sent_again_with_its_key(client: TestClient) -> None:
    headers = {"Idempotency-Key": "too-early"}
    assert error_of(patch(client, "later", headers, price=2), 404) == "unknown_item"
    put(client, "later", price=1)
    assert patch(client, "later", headers, price=2).status_code == 200


def test_a_retry_after_a_restart_gets_its_answer(lite_catalog: Path) -> None:
    settings = Settings.load({}, catalog=lite_catalog, local_only=True, find_duplicates=False)
    headers = {"Idempotency-Key": "before-the-restart"}
    with contextlib.closing(SearchService.open(settings)) as service, client_of(service, settings) as client:
        first = patch(client, ITEM, headers, price=77)
        assert first.status_code == 200
        # The server is killed after the change is committed and before its answer is stored.
        lost = patch(client, "mug/red-1.jpg", {"Idempotency-Key": "lost"}, price=78)
        with service.catalog.database.transaction() as cursor:
            cursor.execute("DELETE FROM idempotent_answers WHERE key = 'lost'")
    with contextlib.closing(SearchService.open(settings)) as service, client_of(service, settings) as client:
        again = patch(client, ITEM, headers, price=77)
        assert (again.json(), again.headers["idempotency-replayed"]) == (first.json(), "true")
        patch(client, "mug/red-1.jpg", price=79)
        found = patch(client, "mug/red-1.jpg", {"Idempotency-Key": "lost"}, price=78)
        assert (found.json(), found.headers["idempotency-replayed"]) == (lost.json(), "true")
        assert client.get("/api/v1/items/mug/red-1.jpg").json()["metadata"]["price"] == 79


# --- history ----------------------------------------------------------------------------------------------------


def test_the_history_names_every_change_and_outlives_the_item(client: TestClient) -> None:
    put(client, "told", price=1)
    patch(client, "told", price=2)
    client.delete("/api/v1/items/told")
    for answer in (
        client.get("/api/v1/items/told/history"),
        client.get("/api/v1/changes", params={"item": "told"}),
    ):
        changes = answer.json()["changes"]
        assert [change["kind"] for change in changes] == ["delete", "patch", "put"]
        assert changes[1]["before"] == {"price": 1}
        assert changes[1]["after"] == {"price": 2}
        assert all("HTTP API" in change["actor"] for change in changes)
    assert len(client.get("/api/v1/items/told/history?limit=1").json()["changes"]) == 1
    assert error_of(client.get("/api/v1/items/nothing-there/history"), 404) == "unknown_item"


def test_a_removed_item_comes_back_with_its_photo(client: TestClient) -> None:
    put(client, "back", title="Blue vase", price=1)
    client.delete("/api/v1/items/back")
    answer = client.post("/api/v1/items/back/restore")
    assert answer.json()["status"] == "restored"
    assert client.get("/api/v1/items/back").json()["metadata"] == {"title": "Blue vase", "price": 1}
    assert "back" in found_by_text(client, "blue vase")
    assert error_of(client.post("/api/v1/items/nothing-there/restore"), 404) == "unknown_item"


def test_changes_are_undone_together(client: TestClient) -> None:
    put(client, "undone", price=1)
    ids = [patch(client, "undone", price=2).json()["change_id"]]
    ids.append(client.delete("/api/v1/items/undone").json()["change_id"])
    outcomes = client.post("/api/v1/changes/undo", json={"changes": [*ids, 2**40]}).json()["outcomes"]
    assert [each["status"] for each in outcomes[:2]] == ["updated", "restored"]
    assert outcomes[2]["error"]["code"] == "unknown_change"
    assert client.get("/api/v1/items/undone").json()["metadata"] == {"price": 1}
    for body in ({"changes": []}, {"changes": ["x"]}, {"changes": [0]}, {"changes": [2**70]}, {}, []):
        assert error_of(client.post("/api/v1/changes/undo", json=body), 400) == "bad_query"


def test_an_item_whose_id_ends_in_history_is_still_one(client: TestClient) -> None:
    assert put(client, "art/history").headers["location"] == "/api/v1/items?id=art%2Fhistory"
    assert client.get("/api/v1/items/art/history").json()["item_id"] == "art/history"


# --- the list ---------------------------------------------------------------------------------------------------


def test_the_list_is_filtered_sorted_and_paged(client: TestClient) -> None:
    for number in range(5):
        put(client, f"listed/{number}", title=f"Listed thing {number}", shelf="top", price=number % 2)
    params: dict[str, Any] = {"filter": "shelf=top", "sort": "-price,-id", "limit": 2}
    pages: list[list[str]] = []
    cursor = ""
    while True:
        page = client.get("/api/v1/items", params={**params, "cursor": cursor}).json()
        assert page["total"] == 5 if not pages else True
        pages.append([item["item_id"] for item in page["items"]])
        cursor = page["cursor"]
        if len(pages) == 1:
            # What comes and goes meanwhile moves nothing else.
            client.delete(f"/api/v1/items/{pages[0][0]}")
        if not cursor:
            break
    assert [name for page in pages for name in page] == [f"listed/{n}" for n in (3, 1, 4, 2, 0)]
    skipped = client.get("/api/v1/items", params={**params, "offset": 2}).json()
    assert [item["item_id"] for item in skipped["items"]] == ["listed/2", "listed/0"]


def test_the_list_searches_words_and_answers_with_some_fields(client: TestClient) -> None:
    put(client, "worded/1", title="Unmistakable lamp", price=5, colour="red")
    page = client.get("/api/v1/items", params={"q": "UNMISTAKABLE", "fields": "price,colour"}).json()
    assert [item["metadata"] for item in page["items"]] == [{"price": 5, "colour": "red"}]
    assert {"etag", "revision", "updated_at"} <= set(page["items"][0])


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=x",
        "cursor=nonsense",
        "sort=nothing",
        "sort=%22price",
        "filter=nothing%3D1",
        "unknown=1",
        f"id={ITEM}&limit=3",
        "id=",
        "sort=" + ",".join(f"c{number}" for number in range(9)),
    ],
)
def test_a_list_that_cannot_be_made_is_refused(client: TestClient, query: str) -> None:
    assert error_of(client.get(f"/api/v1/items?{query}"), 400) in {"bad_query", "bad_filter"}


# --- hostile requests -------------------------------------------------------------------------------------------

ODD_IDS = [
    "<script>alert(1)</script>",
    "../../etc/passwd",
    "a//b",
    "/rooted",
    "C:\\x",
    "41?#&+",
    "é🙂",
    "'; DROP TABLE items; --",
]


@pytest.mark.parametrize("item_id", ODD_IDS)
def test_odd_ids_are_only_names(client: TestClient, item_id: str) -> None:
    files = {"image": ("photo.jpg", picture(), "image/jpeg")}
    address = "/api/v1/items"
    created = client.put(address, params={"id": item_id}, files=files, data={"metadata": '{"price": 1}'})
    assert created.status_code == 201, created.text
    assert client.get(created.headers["location"]).json()["item_id"] == item_id
    assert client.patch(address, params={"id": item_id}, json={"metadata": {"price": 2}}).status_code == 200
    assert client.get(address, params={"id": item_id}).json()["metadata"] == {"price": 2}
    assert client.delete(address, params={"id": item_id}).status_code == 200
    assert client.post(f"{address}/restore", params={"id": item_id}).json()["status"] == "restored"
    assert client.get("/api/v1/changes", params={"item": item_id}).json()["item_id"] == item_id


@pytest.mark.parametrize(
    "item_id", ["a\nb", "a\x00b", "\x1b[31m", "abc\u202egnp.exe", "\u2066x", " padded", "   ", "x" * 5000]
)
def test_ids_that_deceive_are_not_created(client: TestClient, item_id: str) -> None:
    files = {"image": ("photo.jpg", picture(), "image/jpeg")}
    refused = client.put("/api/v1/items", params={"id": item_id}, files=files)
    assert error_of(refused, 400) in {"bad_item_id", "bad_query"}


@pytest.mark.parametrize(
    "metadata",
    [
        '{"price": 1e999}',
        '{"price": ' + "9" * 400 + "}",
        '{"price": ' + "9" * 5000 + "}",
        '{"price": 9007199254740993}',
        '{"price": NaN}',
        '{"a": {"nested": 1}}',
        '{"a": [[1]]}',
        '{"a": [{"b": 1}]}',
        '{"' + "n" * 201 + '": 1}',
        '{"": 1}',
        '{" padded ": 1}',
        '{"a\\u0000b": 1}',
        '{"\\u202ename": 1}',
        '{"a": "NUL \\u0000"}',
        '{"a": "\\ud800"}',
        json.dumps({"a": "x" * 20_001}),
        json.dumps({"a": [1] * 1001}),
        json.dumps({f"c{number}": 1 for number in range(501)}),
        '{"a": ' + "[" * 100_000 + "]" * 100_000 + "}",
        "[]",
        "7",
        "not json",
    ],
)
def test_metadata_that_cannot_be_stored_is_refused(client: TestClient, metadata: str) -> None:
    before = client.get(f"/api/v1/items/{ITEM}").json()
    body = f'{{"metadata": {metadata}}}'.encode()
    address, kind = f"/api/v1/items/{ITEM}", {"Content-Type": "application/json"}
    for response in (
        client.patch(address, content=body, headers=kind),
        client.put(address, content=body, headers=kind),
        client.put(address, data={"metadata": metadata}, files={"image": ("x.jpg", picture(), "image/jpeg")}),
    ):
        assert error_of(response, 400) in {"bad_metadata", "bad_query"}
    assert client.get(f"/api/v1/items/{ITEM}").json() == before


def test_markup_and_text_of_any_kind_is_kept_as_text(client: TestClient) -> None:
    texts = {"title": "<b>x</b>", "note": "=1+1", "odd": "tab\t\u202eabc", "code": "007", "tags": ["a", "b"]}
    assert put(client, "texts", **texts).status_code == 201
    stored = client.get("/api/v1/items/texts").json()["metadata"]
    assert {name: stored[name] for name in ("title", "note", "odd", "code")} == {
        name: texts[name] for name in ("title", "note", "odd", "code")
    }


def test_bodies_over_the_limit_are_refused_while_they_come(client: TestClient) -> None:
    kind = {"Content-Type": "application/json"}
    big = b'{"metadata": {"a": "' + b"x" * 26_000_000 + b'"}}'
    assert error_of(client.put("/api/v1/items/big", content=big, headers=kind), 413) == "request_too_large"


def test_a_body_without_a_length_is_refused_while_it_comes(
    shared_service: SearchService, shared_service_settings: Settings
) -> None:
    with (
        served(create_api(lambda: shared_service, shared_service_settings)) as port,
        socket.create_connection(("127.0.0.1", port), timeout=30) as connection,
    ):
        head = "PATCH /api/v1/items/x HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        connection.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        for _ in range(10):
            connection.sendall(b"10000\r\n" + b" " * 65_536 + b"\r\n")
        # The request has not ended.
        assert b" 413 " in connection.recv(100)


def bomb(width: int, height: int) -> bytes:
    """Return a small PNG whose picture is enormous."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


def test_what_is_no_photo_is_refused(client: TestClient) -> None:
    def sent(data: bytes) -> Any:
        return client.put("/api/v1/items/no-photo", files={"image": ("x.jpg", data, "image/jpeg")})

    assert error_of(sent(b"not a picture"), 415) == "bad_image"
    assert error_of(sent(b""), 415) == "bad_image"
    assert error_of(sent(picture()[:500]), 415) == "bad_image"
    assert error_of(sent(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), 415) == "bad_image"
    assert error_of(sent(bomb(60_000, 60_000)), 413) == "image_too_large"
    assert error_of(sent(b"x" * (MAX_UPLOAD + 1)), 413) == "image_too_large"
    for text in ("%%%", "YQ", "a" * 5):
        refused = client.put("/api/v1/items/no-photo", json={"image_base64": text})
        assert error_of(refused, 400) == "bad_query"
    both = client.put(
        "/api/v1/items/no-photo", json={"image_base64": "YQ==", "image_url": "https://x.example/1"}
    )
    assert error_of(both, 400)
    for url in ("file:///etc/passwd", "ftp://x.example/1.jpg", "javascript:alert(1)"):
        assert error_of(client.put("/api/v1/items/no-photo", json={"image_url": url}), 400) == "bad_query"
    for url in ("http://127.0.0.1/x.jpg", "http://169.254.169.254/latest/meta-data", "http://[::1]/x"):
        assert error_of(client.put("/api/v1/items/no-photo", json={"image_url": url}), 422)
    assert error_of(client.get("/api/v1/items/no-photo"), 404) == "unknown_item"


def test_other_content_types_are_refused(client: TestClient) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        headers = {"Content-Type": kind}
        assert (
            error_of(client.put("/api/v1/items/x", content=b"{}", headers=headers), 415) == "bad_content_type"
        )
        assert (
            error_of(client.patch("/api/v1/items/x", content=b"{}", headers=headers), 415)
            == "bad_content_type"
        )


# --- who may write ----------------------------------------------------------------------------------------------

WRITES = [
    ("PUT", f"/api/v1/items/{ITEM}"),
    ("PATCH", f"/api/v1/items/{ITEM}"),
    ("DELETE", f"/api/v1/items/{ITEM}"),
    ("DELETE", f"/api/v1/items?id={ITEM}"),
    ("POST", f"/api/v1/items/{ITEM}/restore"),
    ("POST", "/api/v1/items/batch"),
    ("POST", "/api/v1/changes/undo"),
    ("GET", f"/api/v1/items/{ITEM}/history"),
    ("GET", f"/api/v1/changes?item={ITEM}"),
]


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_a_page_of_another_site_changes_nothing(client: TestClient, method: str, path: str) -> None:
    for headers in (
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": "evil.example"},
    ):
        assert error_of(client.request(method, path, headers=headers), 403) == "write_refused"
    assert (
        error_of(client.request(method, path, headers={"X-Forwarded-For": "192.0.2.1"}), 401)
        == "token_required"
    )
    assert client.get(f"/api/v1/items/{ITEM}").status_code == 200


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_a_public_server_needs_the_token(
    shared_service: SearchService,
    shared_service_settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    path: str,
) -> None:
    monkeypatch.setenv("IMGSEARCH_WRITE_TOKEN", "s3cret")
    settings = shared_service_settings.model_copy(update={"local_only": False})
    client = client_of(shared_service, settings)
    refused = client.request(method, path)
    assert error_of(refused, 401) == "token_required"
    assert refused.headers["www-authenticate"] == "Bearer"
    assert error_of(client.request(method, path, headers={"Authorization": "Bearer wrong"}), 401)


def test_the_token_opens_a_public_server(
    shared_service: SearchService, shared_service_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMGSEARCH_WRITE_TOKEN", "s3cret")
    settings = shared_service_settings.model_copy(update={"local_only": False})
    client = client_of(shared_service, settings, client=("192.0.2.7", 5000), base_url="http://shop.example")
    answer = patch(client, ITEM, {"Authorization": "Bearer s3cret"}, note="by token")
    assert answer.status_code == 200, answer.text
    history = client.get(f"/api/v1/items/{ITEM}/history", headers={"Authorization": "Bearer s3cret"})
    assert history.json()["changes"][0]["actor"] == "HTTP API (write token)"


def test_a_replica_names_its_writer(shared_service: SearchService, shared_service_settings: Settings) -> None:
    settings = shared_service_settings.model_copy(update={"replica_of": "http://writer:8501"})
    refused = patch(client_of(shared_service, settings), ITEM, price=1)
    assert error_of(refused, 403) == "not_a_writer"
    assert "http://writer:8501" in refused.json()["error"]["message"]
