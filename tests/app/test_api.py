"""The HTTP API: every route, error and limit, and agreement with the OpenAPI description."""

from __future__ import annotations

import base64
import http.client
import io
import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import anyio
import httpx2
import jsonschema
import pytest
from fastapi.routing import APIRoute
from photos import draw_photo
from PIL import Image
from samples import index_into
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from imgsearch.app.api.routes import create_api
from imgsearch.app.service import SearchService
from imgsearch.core.config import Settings
from imgsearch.core.errors import CatalogNotFound
from imgsearch.core.query import Query
from imgsearch.core.query_address import query_key
from imgsearch.core.records import Judgment
from imgsearch.encoders import Encoder
from imgsearch.search.encoder_provider import EncoderProvider, EncoderState

MAX_UPLOAD = 200_000
ITEM = "mug/red-0.jpg"
ODD_IDS = [
    "we ird 'quoted' \"name\".jpg",
    "émoji 🙂.jpg",
    "new\nline.jpg",
    "100%41 sure?#&+;=.jpg",
    "a/b/similar",
    "../../etc/passwd",
    "/rooted//double.jpg",
    "dots/./in.jpg",
    "back\\..\\slash.jpg",
    "C:drive.jpg",
    "<script>alert(1)</script>.jpg",
]


@pytest.fixture(scope="module")
def shared_service_settings(shared_service_settings: Settings) -> Settings:
    limits = {"max_upload_bytes": MAX_UPLOAD, "max_pixels": 1_000_000, "max_results": 60}
    return shared_service_settings.model_copy(update=limits)


@pytest.fixture(scope="module")
def api(shared_service: SearchService, shared_service_settings: Settings) -> Starlette:
    return create_api(lambda: shared_service, shared_service_settings)


@pytest.fixture(scope="module")
def client(api: Starlette) -> Iterator[TestClient]:
    with TestClient(api, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="module")
def description(client: TestClient) -> dict[str, Any]:
    return dict(client.get("/api/openapi.json").json())


def photo_bytes(shape: str = "mug", colour: str = "red", format: str = "JPEG") -> bytes:
    buffer = io.BytesIO()
    draw_photo(shape, colour, variant=7).save(buffer, format)
    return buffer.getvalue()


def error_of(response: Any, status: int) -> str:
    """Return the error code of a response; fails unless it is a well-formed error."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message"}
    message = body["error"]["message"]
    assert message
    assert "\n" not in message
    assert "Traceback" not in message
    return str(body["error"]["code"])


def conforms(description: dict[str, Any], schema: str, document: Any) -> None:
    """Validate a document against a schema of the description."""
    jsonschema.validate(
        document,
        {"$ref": f"#/components/schemas/{schema}", "components": description["components"]},
        cls=jsonschema.Draft202012Validator,
    )


# --- searching --------------------------------------------------------------------------------------------------


def test_a_text_query_finds_matching_items(client: TestClient, description: dict[str, Any]) -> None:
    body = client.get("/api/v1/search", params={"text": "red mug", "n": 5}).json()
    conforms(description, "SearchResult", body)
    assert [hit["rank"] for hit in body["hits"]] == [1, 2, 3, 4, 5]
    assert body["query"]["terms"] == [{"kind": "text", "value": "red mug", "weight": 1.0}]


def test_an_item_is_not_among_its_own_similar_items(client: TestClient, description: dict[str, Any]) -> None:
    by_search = client.get("/api/v1/search", params={"item": ITEM, "n": 47}).json()
    by_path = client.get(f"/api/v1/items/{ITEM}/similar", params={"n": 47}).json()
    conforms(description, "SearchResult", by_path)
    assert len(by_search["hits"]) == 47
    assert ITEM not in {hit["item_id"] for hit in by_search["hits"]}
    scores = [hit["score"] for hit in by_search["hits"]]
    assert scores == sorted(scores, reverse=True)
    assert by_path["hits"] == by_search["hits"]


def test_offset_continues_after_the_first_page(client: TestClient) -> None:
    def page(n: int, offset: int) -> list[dict[str, Any]]:
        params = {"item": ITEM, "n": n, "offset": offset}
        return list(client.get("/api/v1/search", params=params).json()["hits"])

    assert page(4, 0) + page(4, 4) == page(8, 0)


def test_every_hit_passes_the_filters(client: TestClient) -> None:
    params = {"text": "anything", "n": 50, "filter": ["category=lamp", "price<30"]}
    body = client.get("/api/v1/search", params=params).json()
    assert body["hits"]
    assert body["matching"] == len(body["hits"])
    assert all(
        hit["metadata"]["category"] == "lamp" and hit["metadata"]["price"] < 30 for hit in body["hits"]
    )


def test_a_photo_is_searched_by_form_and_by_json(client: TestClient, description: dict[str, Any]) -> None:
    picture = photo_bytes("lamp", "blue", "PNG")
    form = client.post("/api/v1/search", files={"image": ("x.png", picture)}, data={"n": "3"})
    conforms(description, "SearchResult", form.json())
    assert form.json()["hits"][0]["metadata"]["category"] == "lamp"
    coded = base64.b64encode(picture).decode()
    for image in (coded, f"data:image/png;base64,{coded}"):
        posted = client.post("/api/v1/search", json={"image": image, "n": 3})
        assert posted.json()["hits"] == form.json()["hits"]


def test_words_suggest_filters_that_the_client_may_send(
    client: TestClient, description: dict[str, Any]
) -> None:
    body = client.get("/api/v1/search", params={"text": "red mug under 30"}).json()
    conforms(description, "SearchResult", body)
    assert body["suggestions"] == [
        {"filters": ["colour=red"], "words": "red", "text": "mug under 30"},
        {"filters": ["category=mug"], "words": "mug", "text": "red under 30"},
        {"filters": ["price<30"], "words": "under 30", "text": "red mug"},
    ]
    taken = body["suggestions"][2]
    again = client.get("/api/v1/search", params={"text": taken["text"], "filter": taken["filters"]}).json()
    assert all(hit["metadata"]["price"] < 30 for hit in again["hits"])
    assert all(found["filters"] != taken["filters"] for found in again["suggestions"])
    by_item = client.get("/api/v1/search", params={"item": ITEM}).json()
    assert (by_item["suggestions"], by_item["spelling"]) == ([], None)


def test_a_misspelt_text_is_searched_unchanged_and_its_correction_offered(
    client: TestClient, description: dict[str, Any]
) -> None:
    body = client.get("/api/v1/search", params={"text": "mugg"}).json()
    conforms(description, "SearchResult", body)
    assert body["query"]["terms"][0]["value"] == "mugg"
    assert body["spelling"] == {"text": "mug", "certain": True}
    asked = client.post("/api/v1/search", json={"text": "red mugg"}).json()
    assert asked["spelling"] == {"text": "red mug", "certain": False}
    for kept in (
        client.get("/api/v1/search", params={"text": "mugg", "spelling": "keep"}),
        client.post("/api/v1/search", json={"text": "mugg", "spelling": "keep"}),
    ):
        assert kept.json()["spelling"] is None
    assert client.get("/api/v1/search", params={"text": "mugg", "spelling": "guess"}).status_code == 400


def test_suggested_boxes_of_a_photo_are_searchable(client: TestClient, description: dict[str, Any]) -> None:
    body = client.get("/api/v1/regions", params={"item": ITEM}).json()
    conforms(description, "Regions", body)
    part = body["regions"][0]["part"]
    assert part.endswith(f":{ITEM}")
    assert client.get("/api/v1/search", params={"part": part, "n": 1}).status_code == 200
    sent = client.post("/api/v1/search", files={"image": ("x.jpg", photo_bytes("ring", "green"))}).json()
    upload = sent["query"]["terms"][0]["value"]
    assert client.get("/api/v1/regions", params={"upload": upload}).json()["regions"]
    wrong: list[tuple[dict[str, Any], int]] = [
        ({}, 400),
        ({"item": ""}, 404),
        ({"item": [ITEM, ITEM]}, 400),
        ({"item": ITEM, "upload": upload}, 400),
        ({"item": ITEM, "size": "9"}, 400),
        ({"upload": "../x"}, 400),
        ({"upload": "0" * 32}, 404),
        ({"item": "gone.jpg"}, 404),
    ]
    for params, status in wrong:
        answer = client.get("/api/v1/regions", params=params)
        assert answer.status_code == status, params
        assert answer.json()["error"]["message"]


def test_an_uploaded_photo_is_stored_searchable_and_viewable(client: TestClient) -> None:
    posted = client.post("/api/v1/search", files={"image": ("x.jpg", photo_bytes("ring", "green"))}).json()
    upload = posted["query"]["terms"][0]
    assert upload["kind"] == "upload"
    again = client.get("/api/v1/search", params={"upload": upload["value"]}).json()
    assert again["hits"] == posted["hits"]
    shown = client.get(f"/uploads/{upload['value']}?size=96")
    assert shown.headers["content-type"] == "image/webp"
    assert "private" in shown.headers["cache-control"]
    assert max(Image.open(io.BytesIO(shown.content)).size) <= 96
    unchanged = client.get(
        f"/uploads/{upload['value']}?size=96", headers={"If-None-Match": shown.headers["etag"]}
    )
    assert unchanged.status_code == 304


def test_a_query_of_all_term_kinds_is_accepted(client: TestClient) -> None:
    body = {
        "text": ["mug", {"value": "red", "weight": 0.5}],
        "items": "lamp/red-0.jpg",
        "more": ["mug/red-1.jpg"],
        "less": [{"value": "ring/red-0.jpg", "weight": -1}],
        "image": base64.b64encode(photo_bytes()).decode(),
        "filter": "category in mug|lamp",
        "n": 4,
        "offset": 1,
        "visitor": "v1",
    }
    answer = client.post("/api/v1/search", json=body).json()
    assert [(term["kind"], term["weight"]) for term in answer["query"]["terms"]] == [
        ("text", 1.0),
        ("text", 0.5),
        ("item", 1.0),
        ("item", 0.6),
        ("item", -1.0),
        ("upload", 1.0),
    ]
    assert [hit["rank"] for hit in answer["hits"]] == [2, 3, 4, 5]
    assert {hit["metadata"]["category"] for hit in answer["hits"]} <= {"mug", "lamp"}


def test_form_and_address_share_one_grammar(client: TestClient) -> None:
    params = {"item": [ITEM], "less": ["ring/red-0.jpg"], "filter": ["category!=lamp"], "n": ["6"]}
    got = client.get("/api/v1/search", params=params).json()
    data = {name: values[0] for name, values in params.items()}
    # httpx sends a form as multipart only when there is a file; an empty part list would be urlencoded.
    boundary = "b0und4ry"
    parts = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in data.items()
    )
    posted = client.post(
        "/api/v1/search",
        content=f"{parts}--{boundary}--\r\n",
        headers={"content-type": f"multipart/form-data; boundary={boundary}"},
    ).json()
    assert posted["hits"] == got["hits"]


def test_filters_without_matches_return_no_hits_and_no_error(client: TestClient) -> None:
    body = client.get("/api/v1/search", params={"text": "mug", "filter": "price>1000000"}).json()
    assert body["hits"] == []
    assert body["matching"] == 0


def test_searches_are_recorded_with_their_visitor(client: TestClient, shared_service: SearchService) -> None:
    body = client.get("/api/v1/search", params={"item": ITEM, "n": 3, "visitor": "anna"}).json()
    shared_service.feedback.flush()
    rows = (
        shared_service.catalog.database.cursor()
        .execute(
            "SELECT visitor, query_key, item_id, rank FROM impressions WHERE search_id = ? ORDER BY rank",
            [body["search_id"]],
        )
        .fetchall()
    )
    assert rows == [
        ("anna", f"item={quote(ITEM, safe='')}", hit["item_id"], hit["rank"]) for hit in body["hits"]
    ]


# --- refused searches -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({}, "bad_query"),
        ({"text": "   "}, "bad_query"),
        ({"text": "x", "n": "0"}, "bad_query"),
        ({"text": "x", "n": "61"}, "bad_query"),
        ({"text": "x", "n": "ten"}, "bad_query"),
        ({"text": "x", "n": "-1"}, "bad_query"),
        ({"text": "x", "n": "9" * 5000}, "bad_query"),
        ({"text": "x", "n": "٣"}, "bad_query"),
        ({"text": "x", "offset": "-1"}, "bad_query"),
        ({"text": "x", "offset": "9" * 5000}, "bad_query"),
        ({"text": "x" * 2001}, "bad_query"),
        ({"text": ["x"] * 33}, "bad_query"),
        ({"text": "x", "filter": ["a=1"] * 40}, "bad_query"),
        ({"text": "x", "filter": "nonsense"}, "bad_filter"),
        ({"text": "x", "filter": "nosuch=1"}, "bad_filter"),
        ({"text": "x", "filter": "price<cheap"}, "bad_filter"),
        ({"text": "x", "filter": "in_stock=perhaps"}, "bad_filter"),
        ({"text": "x", "filter": '"; DROP TABLE items; --=1'}, "bad_filter"),
        ({"text": "x", "filter": "category\"=' OR 1=1 --"}, "bad_filter"),
        ({"upload": "../../etc/passwd"}, "bad_query"),
        ({"upload": "0" * 32}, "bad_query"),
        ({"item": "mug/red-0.jpg", "less": "mug/red-0.jpg", "text": "x", "nosuch": "1"}, "bad_query"),
        ({"text": "x", "visitor": "v" * 201}, "bad_query"),
    ],
)
def test_an_invalid_search_is_refused_with_a_reason(client: TestClient, params: Any, code: str) -> None:
    assert error_of(client.get("/api/v1/search", params=params), 400) == code


@pytest.mark.parametrize(
    "value", ["' OR 1=1 --", "'; DROP TABLE items; --", '"', "\\", "%", "_", "$1", "?", "\x00"]
)
def test_sql_in_a_filter_value_is_treated_as_text(
    client: TestClient, value: str, shared_service: SearchService
) -> None:
    before = len(shared_service.catalog)
    for condition in (f"category={value}", f"title~{value}", f"category in {value}|{value}"):
        response = client.get("/api/v1/search", params={"item": ITEM, "filter": condition})
        if response.status_code == 200:
            assert all(value.lower() in hit["title"].lower() for hit in response.json()["hits"])
        else:
            assert error_of(response, 400) == "bad_filter"
    assert len(shared_service.catalog) == before


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe\x00",
        b"[1]",
        b'"text"',
        b"null",
        b'{"text": NaN}',
        b'{"text": [{"value": "x", "weight": NaN}]}',
        b'{"text": [{"value": "x", "weight": Infinity}]}',
        b'{"text": [{"value": "x", "weight": 1e999}]}',
        b'{"text": [{"value": "x", "weight": 0}]}',
        b'{"text": [{"value": "x", "weight": "1"}]}',
        b'{"text": [{"value": "x", "weight": true}]}',
        b'{"text": [{"value": "x", "other": 1}]}',
        b'{"text": [{"weight": 1}]}',
        b'{"text": 5}',
        b'{"text": [["x"]]}',
        b'{"text": "x", "n": "5"}',
        b'{"text": "x", "n": 5.5}',
        b'{"text": "x", "n": true}',
        b'{"text": "x", "n": 1e400}',
        b'{"text": "x", "n": 99999999999999999999999999}',
        b'{"text": [{"value": "x", "weight": 1' + b"0" * 400 + b"}]}",
        b'{"text": "x", "n": 1' + b"0" * 400 + b"}",
        b'{"text": "x", "diversity": 1' + b"0" * 400 + b"}",
        b'{"text": "x", "emphasis": {"color": 1' + b"0" * 400 + b"}}",
        b'{"items": [{"value": "x", "region": [0, 0, 1, 1' + b"0" * 400 + b"]}]}",
        b'{"text": "x", "offset": -1}',
        b'{"text": "x", "filter": 5}',
        b'{"text": "x", "filter": [5]}',
        b'{"text": "x", "filter": {"a": 1}}',
        b'{"text": "x", "visitor": 5}',
        b'{"text": "x", "unknown": 5}',
        b'{"text": "\\ud800"}',
        b'{"items": "\\ud800"}',
        b'{"text": "x", "filter": "title~\\udfff"}',
        b'{"uploads": ["zz"]}',
        b'{"image": 5}',
        b'{"image": "not base64!"}',
        b'{"image": null}',
        b"[" * 100_000,
        b'{"a":' * 50_000,
    ],
)
def test_json_of_the_wrong_shape_is_refused(client: TestClient, body: bytes) -> None:
    response = client.post("/api/v1/search", content=body, headers={"content-type": "application/json"})
    assert error_of(response, 400) in {"bad_query", "bad_filter"}


def test_invalid_utf8_causes_no_server_error(client: TestClient) -> None:
    for path in ("/api/v1/search?text=%ff%fe", "/api/v1/search?text=x&filter=title~%ff"):
        assert client.get(path).status_code == 200
    assert error_of(client.get("/api/v1/items/%ff"), 404) == "unknown_item"


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"", 415, "bad_image"),
        (b"this is no picture", 415, "bad_image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", 415, "bad_image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "bad_image"),
        (photo_bytes()[:300], 415, "bad_image"),
    ],
)
def test_bytes_that_are_not_a_picture_are_refused(
    client: TestClient, content: bytes, status: int, code: str
) -> None:
    assert error_of(client.post("/api/v1/search", files={"image": ("x.jpg", content)}), status) == code
    coded = base64.b64encode(content).decode()
    assert error_of(client.post("/api/v1/search", json={"image": coded}), status) == code


def test_a_picture_of_too_many_pixels_is_refused(client: TestClient) -> None:
    buffer = io.BytesIO()
    Image.new("L", (1001, 1001)).save(buffer, "PNG")
    response = client.post("/api/v1/search", files={"image": ("x.png", buffer.getvalue())})
    assert error_of(response, 413) == "image_too_large"


@pytest.mark.parametrize("kind", [b"multipart/form-data; boundary=b", b"application/json"])
def test_a_body_over_the_limit_is_refused_while_it_streams_in(api: Starlette, kind: bytes) -> None:
    chunk = b'--b\r\nContent-Disposition: form-data; name="image"; filename="x"\r\n\r\n' + bytes(65_536)
    received = 0
    answer: list[Any] = []

    async def receive() -> dict[str, Any]:
        nonlocal received
        received += len(chunk)
        return {"type": "http.request", "body": chunk, "more_body": True}  # an endless body

    async def send(message: Any) -> None:
        answer.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/v1/search",
        "query_string": b"",
        "headers": [(b"content-type", kind), (b"transfer-encoding", b"chunked")],
    }
    anyio.run(api, scope, receive, send)
    assert answer[0]["status"] == 413
    assert json.loads(answer[1]["body"])["error"]["code"] == "request_too_large"
    assert received < 4 * MAX_UPLOAD


def test_a_declared_length_over_the_limit_is_refused_before_it_is_read(client: TestClient) -> None:
    response = client.post("/api/v1/search", files={"image": ("x.jpg", bytes(10 * MAX_UPLOAD))})
    assert error_of(response, 413) == "request_too_large"
    feedback = client.post("/api/v1/feedback", json={"kind": "click", "item_id": "x" * 70_000})
    assert error_of(feedback, 413) == "request_too_large"


def test_a_picture_just_over_the_limit_is_refused_though_the_form_may_pass(client: TestClient) -> None:
    content = photo_bytes() + bytes(MAX_UPLOAD)
    response = client.post("/api/v1/search", files={"image": ("x.jpg", content)})
    assert error_of(response, 413) == "image_too_large"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no form at all",
        b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n",
        b'--b\r\nContent-Disposition: form-data; name="image"\r\n\r\nx\r\n--b--\r\n',
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\nx\r\n--b--\r\n',
        b'--b\r\nContent-Disposition: form-data; name="text"\r\n\r\n\xff\xfe\r\n--b--\r\n',
        b'--b\r\nContent-Disposition: form-data; name="nosuch"\r\n\r\n1\r\n--b--\r\n',
        b'--b\r\nContent-Disposition: form-data; name="image"; filename="x"\r\n\r\nx\r\n' * 3 + b"--b--\r\n",
        b'--b\r\nContent-Disposition: form-data; name="text"\r\n\r\nx\r\n' * 500 + b"--b--\r\n",
    ],
)
def test_a_broken_form_is_refused(client: TestClient, body: bytes) -> None:
    kind = {"content-type": "multipart/form-data; boundary=b"}
    response = client.post("/api/v1/search", content=body, headers=kind)
    if b"\xff" in body:  # undecodable characters are replaced
        assert response.status_code == 200
    else:
        error_of(response, response.status_code)
        assert response.status_code in {400, 415}
    assert (
        client.post(
            "/api/v1/search", content=body, headers={"content-type": "multipart/form-data"}
        ).status_code
        == 400
    )


def test_other_content_types_are_refused(client: TestClient) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "image/jpeg", ""):
        for path in ("/api/v1/search", "/api/v1/feedback"):
            response = client.post(path, content=b"{}", headers={"content-type": kind})
            assert error_of(response, 415) == "bad_content_type"


# --- items and thumbnails ---------------------------------------------------------------------------------------


def test_an_item_is_returned_with_its_metadata(client: TestClient, description: dict[str, Any]) -> None:
    body = client.get(f"/api/v1/items/{ITEM}").json()
    conforms(description, "Item", body)
    assert body["title"] == "Red mug no. 0"
    assert (body["width_px"], body["height_px"]) == (240, 240)
    assert body["metadata"]["colour"] == "red"
    assert client.get("/api/v1/items", params={"id": ITEM}).json() == body


def test_unknown_items_are_404_everywhere(client: TestClient) -> None:
    for path in (
        "/api/v1/items/nosuch",
        "/api/v1/items/nosuch/similar",
        "/thumbnails/nosuch",
        "/api/v1/search?item=nosuch",
    ):
        assert error_of(client.get(path), 404) == "unknown_item"
    assert error_of(client.get("/uploads/" + "0" * 32), 404) == "unknown_upload"
    for path in (
        "/api/v1/items?id=",
        "/thumbnails",
        f"/thumbnails/{ITEM}?size=big",
        f"/thumbnails/{ITEM}?size=0",
    ):
        assert error_of(client.get(path), 400) == "bad_query"


def test_a_thumbnail_is_a_small_webp_with_immutable_caching(client: TestClient) -> None:
    hit = client.get("/api/v1/search", params={"text": "mug"}).json()["hits"][0]
    response = client.get(hit["thumbnail"])
    assert response.headers["content-type"] == "image/webp"
    assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert re.fullmatch(r"total;dur=\d+\.\d", response.headers["server-timing"])
    picture = Image.open(io.BytesIO(response.content))
    assert picture.format == "WEBP"
    assert max(picture.size) == 240  # never enlarged
    assert max(Image.open(io.BytesIO(client.get(f"/thumbnails/{ITEM}?size=96").content)).size) == 96


@pytest.mark.parametrize("version", ["", "?v=", "?v=999999", "?v=x"])
def test_a_thumbnail_url_without_the_current_version_is_cached_briefly(
    client: TestClient, version: str
) -> None:
    response = client.get(f"/thumbnails/{ITEM}{version}")
    assert response.status_code == 200
    assert response.headers["cache-control"] == "public, max-age=60"


def test_a_cached_thumbnail_is_answered_with_304(client: TestClient) -> None:
    first = client.get(f"/thumbnails/{ITEM}?size=192")
    etag = first.headers["etag"]
    assert re.fullmatch(r'"[^"]+"', etag)
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = client.get(f"/thumbnails/{ITEM}?size=192", headers={"If-None-Match": known})
        assert again.status_code == 304
        assert again.content == b""
        assert again.headers["etag"] == etag
        assert "cache-control" in again.headers
    assert client.get(f"/thumbnails/{ITEM}?size=384", headers={"If-None-Match": etag}).status_code == 200
    assert client.get(f"/thumbnails/{ITEM}?size=192", headers={"If-None-Match": '"other"'}).status_code == 200


def test_head_answers_without_a_body(client: TestClient) -> None:
    response = client.head(f"/thumbnails/{ITEM}")
    assert response.status_code == 200
    assert response.content == b""
    assert int(response.headers["content-length"]) > 0


@pytest.mark.parametrize(
    "path",
    [
        "/thumbnails/../../../etc/passwd",
        "/thumbnails/%2e%2e/%2e%2e/etc/passwd",
        "/thumbnails?id=../../etc/passwd",
        "/uploads/..%2f..%2fcatalog.duckdb",
        "/uploads/catalog.duckdb",
        "/thumbnails//etc/passwd",
    ],
)
def test_path_traversal_is_refused(client: TestClient, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 404
    assert b"root:" not in response.content


def test_a_missing_photo_is_a_specific_404(lite: Encoder, photos: Path, tmp_path: Path) -> None:
    index_into(tmp_path / "catalog", lite, [photos / "ring"])
    (photos / "ring" / "red-0.jpg").unlink()
    (photos / "ring" / "red-1.jpg").write_bytes(b"no longer a picture")
    with_service = SearchService.open(Settings(catalog=tmp_path / "catalog"))
    try:
        client = TestClient(create_api(lambda: with_service, with_service.settings))
        assert error_of(client.get("/thumbnails/red-0.jpg"), 404) == "photo_unavailable"
        assert error_of(client.get("/thumbnails/red-1.jpg"), 404) == "photo_unavailable"
        # Searches still find it; only its image is missing.
        assert client.get("/api/v1/items/red-0.jpg").status_code == 200
        with_service.engine.encoder.get()
    finally:
        with_service.close()


# --- collections ------------------------------------------------------------------------------------------------

ANNA = "0123456789abcdef" * 2


def test_a_collection_is_read_by_its_id_with_its_items_and_as_a_table(
    client: TestClient, shared_service: SearchService, description: dict[str, Any]
) -> None:
    made = shared_service.collections.create(
        "=Spring\n window", ANNA, [ITEM, "mug/blue-0.jpg"], ["text=red+mug"]
    )
    body = client.get(f"/api/v1/collections/{made.id}").json()
    conforms(description, "Collection", body)
    assert [item["item_id"] for item in body["items"]] == [ITEM, "mug/blue-0.jpg"]
    assert (body["name"], body["queries"], body["gone"]) == ("=Spring window", ["text=red+mug"], [])
    assert ANNA not in json.dumps(body)
    response = client.get(f"/api/v1/collections/{made.id}.csv")
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert response.headers["content-disposition"] == f'attachment; filename="collection-{made.id[:8]}.csv"'
    assert response.headers["x-content-type-options"] == "nosniff"
    rows = response.text.splitlines()
    assert rows[0].startswith("kind,id,title,")
    assert [row.split(",")[:2] for row in rows[1:]] == [
        ["item", ITEM],
        ["item", "mug/blue-0.jpg"],
        ["query", "text=red+mug"],
    ]


def test_only_the_visitor_with_the_secret_may_list_collections(
    client: TestClient, shared_service: SearchService, description: dict[str, Any]
) -> None:
    made = shared_service.collections.create("Mine alone", ANNA, [ITEM])
    body = client.get("/api/v1/collections", params={"visitor": ANNA}).json()
    conforms(description, "CollectionList", body)
    (mine,) = [each for each in body["collections"] if each["id"] == made.id]
    assert (mine["name"], mine["item_count"], mine["query_count"]) == ("Mine alone", 1, 0)
    assert client.get("/api/v1/collections", params={"visitor": "f" * 32}).json() == {"collections": []}
    shared_service.collections.create("Of the command line", "cli", [ITEM])
    for params in ({}, {"visitor": "cli"}, {"visitor": ANNA.upper()}, {"visitor": "%"}, {"nosuch": "1"}):
        assert error_of(client.get("/api/v1/collections", params=params), 400) == "bad_query"


@pytest.mark.parametrize(
    "name", ["nosuch", "nosuch.csv", "%27%20OR%201=1", "..%2F..%2Fetc", "x" * 150, "%ED%A0%80"]
)
def test_an_unknown_collection_is_a_404_without_details(client: TestClient, name: str) -> None:
    response = client.get(f"/api/v1/collections/{name}")
    assert response.status_code in (400, 404)
    assert error_of(response, response.status_code) in ("unknown_collection", "not_found", "bad_query")


def test_a_collection_lists_removed_items(client: TestClient, shared_service: SearchService) -> None:
    made = shared_service.collections.create("Short-lived", ANNA, [ITEM])
    with shared_service.catalog.database.transaction() as cursor:
        cursor.execute(
            "INSERT INTO collection_entries SELECT now()::TIMESTAMP, ?, ?, 'item', 'left.jpg', true",
            [ANNA, made.id],
        )
    body = client.get(f"/api/v1/collections/{made.id}").json()
    assert (len(body["items"]), body["gone"]) == (1, ["left.jpg"])
    shared_service.collections.remove(made.id, ANNA)
    for path in (f"/api/v1/collections/{made.id}", f"/api/v1/collections/{made.id}.csv"):
        assert error_of(client.get(path), 404) == "unknown_collection"


# --- feedback ---------------------------------------------------------------------------------------------------


def test_clicks_and_judgments_become_rows(
    client: TestClient, shared_service: SearchService, description: dict[str, Any]
) -> None:
    search = client.get("/api/v1/search", params={"text": "red mug", "filter": "price<90"}).json()
    hit = search["hits"][1]
    click = {
        "kind": "click",
        "search_id": search["search_id"],
        "item_id": hit["item_id"],
        "rank": 2,
        "visitor": "v",
    }
    judgment = {
        "kind": "judgment",
        "query": "text=red+mug&filter=price<90",
        "item_id": hit["item_id"],
        "verdict": "bad",
        "labeler": 'O\'Neil "the" labeler; --',
        "search_id": search["search_id"],
    }
    for body in (click, judgment):
        conforms(description, "Feedback", body)
        response = client.post("/api/v1/feedback", json=body)
        assert response.status_code == 201
        conforms(description, "FeedbackRecorded", response.json())
        assert response.json() == {"recorded": body["kind"]}
    shared_service.feedback.flush()
    cursor = shared_service.catalog.database.cursor()
    clicked = cursor.execute(
        "SELECT item_id, rank, visitor, action FROM clicks WHERE search_id = ?", [search["search_id"]]
    )
    assert clicked.fetchall() == [(hit["item_id"], 2, "v", "open")]
    judged = cursor.execute(
        "SELECT query_key, verdict, labeler FROM judgments WHERE search_id = ?", [search["search_id"]]
    )
    rows = judged.fetchall()
    assert [(row[1], row[2]) for row in rows] == [("bad", judgment["labeler"])]
    # The judgment and the impressions share the query key, so that they can be joined.
    shown = cursor.execute(
        "SELECT DISTINCT query_key FROM impressions WHERE search_id = ?", [search["search_id"]]
    )
    assert shown.fetchall() == [(rows[0][0],)]


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"kind": "purchase"}, 400, "bad_feedback"),
        ({"kind": None}, 400, "bad_feedback"),
        ({"kind": ["click"]}, 400, "bad_feedback"),
        ({"verdict": "excellent"}, 400, "bad_feedback"),
        ({"verdict": 1}, 400, "bad_feedback"),
        ({"labeler": ""}, 400, "bad_feedback"),
        ({"labeler": "x" * 1001}, 400, "bad_query"),
        ({"labeler": "\ud800"}, 400, "bad_query"),
        ({"query": "nothing here"}, 400, "bad_feedback"),
        ({"query": "text=x&filter=nonsense"}, 400, "bad_filter"),
        ({"item_id": "nosuch"}, 404, "unknown_item"),
        ({"rank": 1}, 400, "bad_query"),
    ],
)
def test_an_invalid_judgment_is_refused_and_nothing_written(
    client: TestClient, shared_service: SearchService, change: dict[str, Any], status: int, code: str
) -> None:
    before = shared_service.feedback.counts()["judgments"]
    body = {
        "kind": "judgment",
        "query": "text=x",
        "item_id": ITEM,
        "verdict": "good",
        "labeler": "l",
        **change,
    }
    response = client.post(
        "/api/v1/feedback", content=json.dumps(body), headers={"content-type": "application/json"}
    )
    assert error_of(response, status) == code
    assert shared_service.feedback.counts()["judgments"] == before


def test_a_verdict_on_a_long_query_is_stored_under_the_key_of_its_impressions(
    client: TestClient, shared_service: SearchService
) -> None:
    text = "red mug with a blue handle " * 55 + "🙂"  # 1,486 characters, over 1,500 in an address
    search = client.get("/api/v1/search", params={"text": text, "n": 2}).json()
    judgment = {
        "kind": "judgment",
        "query": urlencode({"text": text}),
        "item_id": search["hits"][0]["item_id"],
        "verdict": "good",
        "labeler": "anna",
        "search_id": search["search_id"],
    }
    assert client.post("/api/v1/feedback", json=judgment).status_code == 201
    key = query_key(Query.of(text=text))
    assert len(key) > 1500
    shared_service.record_judgment(Judgment(key, search["hits"][1]["item_id"], "bad", "anna"))
    shared_service.feedback.flush()
    cursor = shared_service.catalog.database.cursor()
    judged = cursor.execute("SELECT verdict FROM judgments WHERE query_key = ? ORDER BY verdict", [key])
    assert judged.fetchall() == [("bad",), ("good",)]
    shown = cursor.execute(
        "SELECT count(*) FROM impressions WHERE query_key = ? AND search_id = ?", [key, search["search_id"]]
    )
    assert shown.fetchone() == (2,)


@pytest.mark.parametrize("rank", [-1, 1.5, "1", True, None, 10**9])
def test_a_click_with_a_wrong_rank_is_refused(client: TestClient, rank: Any) -> None:
    response = client.post("/api/v1/feedback", json={"kind": "click", "item_id": ITEM, "rank": rank})
    assert error_of(response, 400) == "bad_feedback"


# --- health, metrics, errors ------------------------------------------------------------------------------------


def test_health_describes_the_served_catalog(client: TestClient, description: dict[str, Any]) -> None:
    response = client.get("/healthz")
    conforms(description, "Health", response.json())
    assert response.status_code == 200
    assert response.json()["status"] == "ready"
    assert response.json()["items"] == 48
    assert response.headers["cache-control"] == "no-store"


def test_without_a_catalog_health_is_503_with_a_reason(
    shared_service_settings: Settings, description: dict[str, Any]
) -> None:
    def none() -> SearchService:
        raise CatalogNotFound("There is no catalog in /nowhere.")

    client = TestClient(create_api(none, shared_service_settings))
    response = client.get("/healthz")
    assert response.status_code == 503
    conforms(description, "Failed", response.json())
    assert response.json()["error"]["message"] == "There is no catalog in /nowhere."
    refused = client.get("/api/v1/search?text=x")
    assert error_of(refused, 503) == "catalog_not_found"
    assert int(refused.headers["retry-after"]) > 0
    assert "imgsearch_up 0" in client.get("/metrics").text


def test_item_search_works_while_the_encoder_loads_and_after_it_fails(
    shared_service_settings: Settings,
    shared_service: SearchService,
    description: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = TestClient(create_api(lambda: shared_service, shared_service_settings))
    for state, status in (("loading", "loading"), ("failed", "degraded")):
        now = EncoderState(state, "No weights.", "lite")  # type: ignore[arg-type]
        monkeypatch.setattr(EncoderProvider, "state", now)
        health = client.get("/healthz")
        conforms(description, "Health", health.json())
        assert (health.status_code, health.json()["status"]) == (200, status)
        for refused in (
            client.get("/api/v1/search?text=x"),
            client.post("/api/v1/search", files={"image": ("x.jpg", photo_bytes())}),
        ):
            assert error_of(refused, 503) == "encoder_unavailable"
            assert refused.headers["retry-after"]
        assert client.get(f"/api/v1/search?item={ITEM}").status_code == 200
        assert "imgsearch_encoder_ready 0" in client.get("/metrics").text


def test_metrics_are_prometheus_text_and_count(client: TestClient) -> None:
    def value(name: str) -> float:
        found = re.search(rf"^{re.escape(name)} (\S+)$", client.get("/metrics").text, re.M)
        return float(found[1]) if found else 0.0

    searches, errors = 'imgsearch_searches_total{kind="item"}', 'imgsearch_errors_total{code="unknown_item"}'
    before = value(searches), value(errors)
    client.get(f"/api/v1/search?item={ITEM}")
    client.get("/api/v1/search?item=nosuch")
    assert (value(searches), value(errors)) == (before[0] + 1, before[1] + 1)
    assert value("imgsearch_items") == 48
    assert value("imgsearch_up") == 1
    assert value('imgsearch_search_seconds_bucket{le="+Inf",stage="total"}') == value(
        'imgsearch_search_seconds_count{stage="total"}'
    )
    line = re.compile(
        r'^([a-z_]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? [-+0-9.e]+|# (HELP|TYPE) [a-z_]+ .+)$'
    )
    lines = client.get("/metrics").text.splitlines()
    assert all(line.match(text) for text in lines)
    heads = [text for text in lines if text.startswith("# TYPE")]
    assert len(heads) == len(set(heads))


def test_unknown_paths_and_methods_are_json_too(client: TestClient) -> None:
    for path in ("/api", "/api/", "/api/v1", "/api/v1/nothing", "/healthz/x", "/uploads", "/metrics/x"):
        assert error_of(client.get(path), 404) == "not_found"
    for method, path in (
        ("DELETE", "/api/v1/search"),
        ("POST", f"/thumbnails/{ITEM}"),
        ("GET", "/api/v1/feedback"),
    ):
        response = client.request(method, path)
        assert error_of(response, 405) == "method_not_allowed"
        assert response.headers["allow"]
    assert client.delete("/api/v1/search").headers["allow"] == "GET, HEAD, POST"
    assert client.get("/api/v1/feedback").headers["allow"] == "POST"


def test_an_unexpected_failure_is_a_500_without_details(shared_service_settings: Settings) -> None:
    def broken() -> SearchService:
        raise RuntimeError("secret detail")

    client = TestClient(create_api(broken, shared_service_settings), raise_server_exceptions=False)
    response = client.get("/api/v1/search?text=x")
    assert error_of(response, 500) == "internal_error"
    assert "secret" not in response.text


def test_only_named_origins_are_allowed(
    shared_service: SearchService, shared_service_settings: Settings
) -> None:

    asking = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
    closed = TestClient(create_api(lambda: shared_service, shared_service_settings))
    assert "access-control-allow-origin" not in closed.get("/healthz", headers=asking).headers
    opened = TestClient(
        create_api(
            lambda: shared_service,
            shared_service_settings.model_copy(update={"cors_origins": "https://shop.example"}),
        )
    )
    assert (
        opened.get("/healthz", headers=asking).headers["access-control-allow-origin"]
        == "https://shop.example"
    )
    assert opened.options("/api/v1/search", headers=asking).status_code == 200
    other = opened.get("/healthz", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in other.headers


def test_concurrent_requests_each_get_their_own_response(
    client: TestClient, shared_service: SearchService
) -> None:
    ids = [item.item_id for item in shared_service.catalog.iter_items()]

    def ask(item_id: str) -> None:
        search = client.get("/api/v1/search", params={"item": item_id, "n": 5}).json()
        assert search["query"]["terms"][0]["value"] == item_id
        assert item_id not in {hit["item_id"] for hit in search["hits"]}
        assert client.get(f"/api/v1/items/{quote(item_id)}").json()["item_id"] == item_id
        assert client.get(f"/thumbnails/{quote(item_id)}?size=96").status_code == 200

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(ask, ids * 3))


def test_a_slow_search_does_not_block_health(
    shared_service_settings: Settings, shared_service: SearchService
) -> None:
    waiting, go_on = threading.Event(), threading.Event()

    class Slow:
        def __getattr__(self, name: str) -> Any:
            return getattr(shared_service, name)

        def search(self, *args: Any, **kwargs: Any) -> Any:
            waiting.set()
            assert go_on.wait(120)
            return shared_service.search(*args, **kwargs)

    with (
        TestClient(create_api(lambda: Slow(), shared_service_settings)) as client,
        ThreadPoolExecutor(1) as pool,
    ):  # type: ignore[arg-type, return-value]
        search = pool.submit(client.get, f"/api/v1/search?item={ITEM}")
        assert waiting.wait(60)
        assert client.get("/healthz").status_code == 200
        assert not search.done()
        go_on.set()
        assert search.result().status_code == 200


# --- the description --------------------------------------------------------------------------------------------


def test_every_route_is_described_and_every_description_has_a_route(
    api: Starlette, description: dict[str, Any]
) -> None:
    routes = {
        (re.sub(r":\w+}", "}", route.path), method.lower())
        for route in api.routes
        # The routes of the command line are not for others.
        if isinstance(route, Route | APIRoute) and route.include_in_schema
        for method in (route.methods or set()) - {"HEAD"}
    }
    described = {(path, method) for path, methods in description["paths"].items() for method in methods}
    assert routes == described


def test_the_openapi_description_is_valid(description: dict[str, Any]) -> None:
    assert description["openapi"].startswith("3.1")
    schemas = description["components"]["schemas"]
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)
        assert all(field.get("description") for field in schema.get("properties", {}).values())
    text = json.dumps(description)
    assert set(re.findall(r"#/components/schemas/(\w+)", text)) == set(schemas)
    for path, methods in description["paths"].items():
        for operation in methods.values():
            assert operation["summary"]
            in_path = {p["name"] for p in operation.get("parameters", []) if p["in"] == "path"}
            assert in_path == set(re.findall(r"{(\w+)}", path))


def test_errors_have_the_described_shape_and_status(client: TestClient, description: dict[str, Any]) -> None:
    for path, template in (
        ("/api/v1/search", "/api/v1/search"),
        ("/api/v1/items/nosuch", "/api/v1/items/{id}"),
        ("/thumbnails/nosuch", "/thumbnails/{id}"),
        ("/uploads/nosuch", "/uploads/{id}"),
    ):
        response = client.get(path)
        assert str(response.status_code) in description["paths"][template]["get"]["responses"]
        conforms(description, "Error", response.json())


def test_the_api_documentation_page_loads_no_external_resources(
    client: TestClient, description: dict[str, Any]
) -> None:
    response = client.get("/api/docs")
    assert response.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in response.headers["content-security-policy"]
    page = response.text
    assert not re.search(r'(src|href)="(https?:)?//', page)
    for path in description["paths"]:
        assert f"<code>{path}</code>" in page


# --- the whole application --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def odd_catalog(lite: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a catalog with ids that are problematic in paths and pages."""
    folder = tmp_path_factory.mktemp("odd")
    rows = []
    for number, _ in enumerate(ODD_IDS):
        draw_photo("mug", ("red", "green", "blue")[number % 3], number).save(folder / f"{number}.jpg")
        rows.append({"id": ODD_IDS[number], "image": f"{number}.jpg"})
    import pandas as pd

    pd.DataFrame(rows).to_csv(folder / "manifest.csv", index=False)
    report = index_into(folder / "catalog", lite, [folder / "manifest.csv"])
    assert not report.failed
    return folder / "catalog"


@pytest.fixture(scope="module")
def app_url(odd_catalog: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run the whole application, with Streamlit, on the catalog of odd ids, outside the project's folder."""
    command = [sys.executable, "-m", "imgsearch", "serve", "--catalog", str(odd_catalog), "--port", "0"]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, cwd=tmp_path_factory.mktemp("elsewhere")
    ) as process:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if found := re.search(r"The app is at (http://\S+)", line):
                break
        else:
            pytest.fail(f"the server did not start: {''.join(said)}")
        # Drain the output: a full pipe would block the server.
        threading.Thread(target=process.stderr.read, daemon=True).start()
        url = found[1]
        _wait_for(f"{url}/healthz")
        yield url
        process.send_signal(signal.SIGINT)
        assert process.wait(120) == 0


def _wait_for(url: str) -> None:
    for _ in range(1200):
        try:
            if httpx2.get(url).status_code == 200:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.1)
    pytest.fail(f"{url} does not answer")


def test_every_id_is_reachable_through_the_whole_application(app_url: str) -> None:
    for item_id in ODD_IDS:
        found = httpx2.get(f"{app_url}/api/v1/items", params={"id": item_id})
        assert found.json()["item_id"] == item_id
        for address in (found.json()["thumbnail"], found.json()["image"]):
            picture = httpx2.get(app_url + address)
            assert picture.status_code == 200, address
            assert picture.headers["content-type"] == "image/webp"
            assert "immutable" in picture.headers["cache-control"]
        similar = httpx2.get(f"{app_url}/api/v1/search", params={"item": item_id, "n": 20}).json()
        assert {hit["item_id"] for hit in similar["hits"]} == set(ODD_IDS) - {item_id}


def test_unusual_ids_are_also_accepted_in_the_path(app_url: str) -> None:
    for item_id in [*ODD_IDS[:4], "C:drive.jpg", "<script>alert(1)</script>.jpg"]:
        found = httpx2.get(f"{app_url}/api/v1/items/{quote(item_id, safe='')}")
        assert found.json()["item_id"] == item_id
        assert httpx2.get(f"{app_url}/api/v1/items/{quote(item_id)}/similar").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/thumbnails/%00",
        "/api/v1/items/../x",
        "/api/v1/items/%2e%2e/x",
        "/api/v1/items/a%5c..%5cb",
        "/uploads/..",
    ],
)
def test_an_invalid_path_returns_a_json_error(app_url: str, path: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(app_url).netloc)
    connection.request("GET", path)  # raw path: an HTTP library would resolve the dots
    response = connection.getresponse()
    assert (response.status, response.headers["content-type"]) == (404, "application/json")
    assert json.loads(response.read())["error"]["code"] in {"unknown_item", "unknown_upload"}


def test_the_application_serves_its_page_and_keeps_the_api_json(app_url: str) -> None:
    page = httpx2.get(app_url)
    assert page.status_code == 200
    assert "text/html" in page.headers["content-type"]
    unknown = httpx2.get(f"{app_url}/api/v1/nothing")
    assert error_of(unknown, 404) == "not_found"
    compressed = httpx2.get(f"{app_url}/api/openapi.json", headers={"Accept-Encoding": "gzip"})
    assert compressed.headers["content-encoding"] == "gzip"
    assert "set-cookie" not in compressed.headers


def test_a_huge_upload_gets_its_413_through_a_real_socket(app_url: str) -> None:
    response = httpx2.post(
        f"{app_url}/api/v1/search", files={"image": ("x.jpg", bytes(30_000_000))}, timeout=60
    )
    assert error_of(response, 413) == "request_too_large"


def test_streamlit_run_finds_the_app_in_its_file() -> None:
    from streamlit.web.server.app_discovery import discover_asgi_app

    found = discover_asgi_app(Path(__file__).resolve().parents[2] / "app.py")
    assert found.import_string == "app:app"


def test_theme_and_limits_apply_in_any_working_directory(tmp_path: Path) -> None:
    code = """
from imgsearch.app.asgi import create_app
from imgsearch.core.config import Settings
from pathlib import Path
import streamlit.config
app = create_app(Settings(catalog=Path("none"), max_upload_bytes=7_000_000))
option = streamlit.config.get_option
assert option("server.maxUploadSize") == 7
assert option("browser.gatherUsageStats") is False
assert option("theme.light.primaryColor") and option("theme.dark.primaryColor")
assert option("client.toolbarMode") == "minimal", "what the user configured must stay"
"""
    (tmp_path / ".streamlit").mkdir()
    (tmp_path / ".streamlit" / "config.toml").write_text(
        '[client]\ntoolbarMode = "minimal"\n', encoding="utf-8"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)


def test_the_app_stores_data_frame_texts_in_system_memory() -> None:
    code = """
from pathlib import Path
import pandas as pd, pyarrow
from imgsearch.app.asgi import create_app
from imgsearch.core.config import Settings
create_app(Settings(catalog=Path("none")))
system = pyarrow.system_memory_pool()
texts = pd.Series([f"text {number}" for number in range(50_000)], dtype=pd.StringDtype("pyarrow")).str.upper()
assert system.bytes_allocated() > 50_000 * len("text 10000") / 2, "the texts are elsewhere"
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_regions_colours_and_looks_are_accepted_as_json_and_as_parameters(client: Any) -> None:
    item = client.get("/api/v1/search?text=red+mug&n=1").json()["hits"][0]["item_id"]
    body = {
        "items": [{"value": item, "weight": 0.5, "region": [0, 0, 1, 0.5]}],
        "colors": ["1e50c8"],
        "emphasis": {"color": 0.5},
        "duplicates": "collapse",
        "diversity": 0.25,
        "n": 3,
    }
    posted = client.post("/api/v1/search", json=body).json()
    params = {
        "part": f"0.5:item@0,0,1,0.5:{item}",
        "color": "1e50c8",
        "emphasis": "color:0.5",
        "duplicates": "collapse",
        "diversity": "0.25",
        "n": "3",
    }
    got = client.get("/api/v1/search", params=params).json()
    assert got["hits"] == posted["hits"]
    assert len(got["hits"]) == 3
    assert sorted(term["kind"] for term in posted["query"]["terms"]) == ["color", "item"]
    assert posted["query"]["emphasis"] == {"color": 0.5, "shape": 0.0, "pattern": 0.0}


@pytest.mark.parametrize(
    "extra",
    [
        {"emphasis": 1}, {"emphasis": {"taste": 1}}, {"same_color": "yes"}, {"duplicates": "no"}, {"diversity": "x"},
        {"colors": ["red"]}, {"items": [{"value": "a", "region": [0, 0, 1]}]},
        {"text": [{"value": "a", "region": [0, 0, 1, 1]}]},
    ],
)  # fmt: skip
def test_an_invalid_look_is_refused_with_one_sentence(client: Any, extra: dict[str, Any]) -> None:
    answer = client.post("/api/v1/search", json={"text": "mug", **extra})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].endswith(".")
