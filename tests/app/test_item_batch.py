"""Batches of changes as JSON lines: order, failures of single lines, limits, clients that leave or do not read."""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from api_server import served
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from imgsearch.app.api.failures import RequestError
from imgsearch.app.api.ndjson import AnswerSpool, LineSplitter
from imgsearch.app.api.routes import create_api
from imgsearch.app.service import SearchService
from imgsearch.core.config import Settings

ADDRESS = "/api/v1/items/batch"
KIND = {"Content-Type": "application/x-ndjson"}
ITEMS = [f"{shape}/{colour}-0.jpg" for shape in ("mug", "lamp") for colour in ("red", "blue", "green")]


@pytest.fixture(scope="module")
def shared_service_settings(shared_service_settings: Settings) -> Settings:
    limits = {"max_upload_bytes": 200_000, "local_only": True, "find_duplicates": False}
    return shared_service_settings.model_copy(update=limits)


@pytest.fixture(scope="module")
def client(shared_service: SearchService, shared_service_settings: Settings) -> Iterator[TestClient]:
    api = create_api(lambda: shared_service, shared_service_settings)
    with TestClient(api, base_url="http://localhost", client=("127.0.0.1", 5000)) as client:
        yield client


@pytest.fixture(scope="module")
def port(shared_service: SearchService, shared_service_settings: Settings) -> Iterator[int]:
    """Serve the API with a real server and return its port."""
    api = create_api(lambda: shared_service, shared_service_settings)
    with served(api) as port:
        yield port


def sent(client: TestClient, *lines: object, **options: Any) -> list[dict[str, Any]]:
    """Return the answers to lines: objects, or texts as they are."""
    body = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    response = client.post(ADDRESS, content=body.encode(), headers=KIND, **options)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in response.text.splitlines()]


def price(item_id: str, value: object) -> dict[str, Any]:
    return {"item_id": item_id, "metadata": {"price": value}}


def price_of(client: TestClient, item_id: str) -> Any:
    return client.get(f"/api/v1/items/{item_id}").json()["metadata"].get("price")


# --- lines and answers ------------------------------------------------------------------------------------------


def test_every_line_is_answered_in_order_and_a_bad_one_fails_alone(client: TestClient) -> None:
    lines = [
        price(ITEMS[0], 1.5),
        "not json",
        "",
        price("unknown", 2),
        price(ITEMS[1], "9" * 30_000),
        {"item_id": ITEMS[2], "metadata": {"price": 3}, "surprise": 1},
        {"item_id": ITEMS[2], "action": "delete", "metadata": {"price": 3}},
        {"item_id": ITEMS[2], "action": "put", "image_base64": "%%"},
        {"item_id": ITEMS[3], "metadata": {"price": 4}, "if_match": '"r999999999"'},
        {"item_id": "", "metadata": {}},
        "[" * 50_000,
        price(ITEMS[4], 5.5),
        price(ITEMS[4], 6.5),
    ]
    answers = sent(client, *lines)
    assert [each["line"] for each in answers] == [1, 2, *range(4, 14)]
    codes = [each.get("error", {}).get("code", each["status"]) for each in answers]
    assert codes == [
        "updated",
        "bad_query",
        "unknown_item",
        "bad_metadata",
        "bad_query",
        "bad_request",
        "bad_query",
        "etag_mismatch",
        "bad_query",
        "bad_query",
        "updated",
        "updated",
    ]
    assert [price_of(client, item) for item in (ITEMS[0], ITEMS[4])] == [1.5, 6.5]


def test_a_batch_creates_removes_and_restores(client: TestClient) -> None:
    picture = client.get(f"/thumbnails/{ITEMS[0]}").content
    encoded = base64.b64encode(picture).decode()
    made = {"item_id": "made", "action": "put", "image_base64": encoded, "metadata": {"price": 1}}
    answers = sent(
        client,
        made,
        {**made, "create_only": True},
        {"item_id": "made", "action": "delete"},
        {"item_id": "made", "action": "restore"},
        {"item_id": "made", "metadata": {"price": 2}},
    )
    assert [each["status"] for each in answers] == ["created", "failed", "deleted", "restored", "updated"]
    assert answers[1]["error"]["code"] == "item_exists"
    assert price_of(client, "made") == 2


def test_a_batch_sent_again_changes_nothing(client: TestClient) -> None:
    lines = [price(item, 7.25) for item in ITEMS]
    assert {each["status"] for each in sent(client, *lines)} <= {"updated"}
    assert [(each["status"], each["change_id"]) for each in sent(client, *lines)] == [("unchanged", 0)] * 6


def test_thousands_of_lines_are_applied_in_chunks(client: TestClient) -> None:
    lines = [price(ITEMS[number % 6], number) for number in range(4500)]
    answers = sent(client, *lines)
    assert [each["line"] for each in answers] == list(range(1, 4501))
    assert {each["status"] for each in answers} == {"updated"}
    assert [price_of(client, item) for item in ITEMS] == [*range(4494, 4500)]


def test_a_compressed_batch_of_several_members_is_read_whole(client: TestClient) -> None:
    body = "".join(json.dumps(price(item, 8.5)) + "\n" for item in ITEMS).encode()
    # Two members, as `cat a.gz b.gz` makes them.
    data = gzip.compress(body) + gzip.compress(body)
    response = client.post(ADDRESS, content=data, headers={**KIND, "Content-Encoding": "gzip"})
    answers = [json.loads(line) for line in response.text.splitlines()]
    assert [each["status"] for each in answers] == ["updated"] * 6 + ["unchanged"] * 6


def test_what_is_not_compressed_as_promised_ends_the_batch(client: TestClient) -> None:
    response = client.post(ADDRESS, content=b"{}\n", headers={**KIND, "Content-Encoding": "gzip"})
    (answer,) = [json.loads(line) for line in response.text.splitlines()]
    assert (answer["line"], answer["status"], answer["error"]["code"]) == (0, "failed", "bad_request")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "application/json"}, 415),
        ({"Content-Type": "text/plain"}, 415),
        ({**KIND, "Content-Encoding": "br"}, 415),
        ({**KIND, "Idempotency-Key": "x"}, 400),
    ],
)
def test_a_batch_of_another_kind_is_refused(client: TestClient, headers: dict[str, str], status: int) -> None:
    response = client.post(ADDRESS, content=b"{}\n", headers=headers)
    assert response.status_code == status
    assert response.json()["error"]["message"]


def test_an_empty_batch_has_an_empty_answer(client: TestClient) -> None:
    assert sent(client) == []


# --- a real server ----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        head = f"POST {ADDRESS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
        connection.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        yield connection


def send_lines(connection: socket.socket, *lines: object) -> None:
    data = "".join(json.dumps(line) + "\n" for line in lines).encode()
    connection.sendall(f"{len(data):x}\r\n".encode() + data + b"\r\n")


def test_lines_are_answered_while_more_are_sent(client: TestClient, port: int) -> None:
    with connected(port) as connection:
        for value in (11, 12):
            send_lines(connection, price(ITEMS[0], value))
            received = b""
            while b'"status"' not in received:
                received += connection.recv(4096)
            assert price_of(client, ITEMS[0]) == value


def test_a_client_that_leaves_stops_the_batch_between_chunks(client: TestClient, port: int) -> None:
    before = price_of(client, ITEMS[2])
    with connected(port) as connection:
        send_lines(connection, price(ITEMS[1], 21))
        while b'"status"' not in connection.recv(4096):
            pass
        # A line without its end belongs to a request that did not arrive whole.
        data = json.dumps(price(ITEMS[2], 22)).encode()
        connection.sendall(f"{len(data):x}\r\n".encode() + data + b"\r\n")
    time.sleep(0.3)
    assert (price_of(client, ITEMS[1]), price_of(client, ITEMS[2])) == (21, before)


def test_a_client_that_reads_only_at_the_end_is_not_stuck(port: int) -> None:
    lines = [{**price("x" * 900, number), "action": "delete"} for number in range(12_000)]
    with connected(port) as connection:
        for start in range(0, len(lines), 500):
            send_lines(connection, *lines[start : start + 500])
        connection.sendall(b"0\r\n\r\n")
        received = b""
        while not received.endswith(b"0\r\n\r\n"):
            received += connection.recv(65_536)
    assert received.count(b"bad_request") == 12_000


# --- the parts --------------------------------------------------------------------------------------------------


def split(pieces: list[bytes], *, compressed: bool = False, **limits: int) -> list[tuple[int, bytes | None]]:
    given = {"max_line_bytes": 100, "max_lines": 10_000, "max_bytes": 10**6, **limits}
    splitter = LineSplitter(compressed=compressed, **given)
    lines = []
    for place, piece in enumerate(pieces):
        splitter.push(piece)
        while taken := splitter.take(most=3, most_bytes=50, at_end=place == len(pieces) - 1):
            lines += taken
    return [(line.number, line.data) for line in lines]


@given(st.lists(st.binary(max_size=30), min_size=1), st.booleans())
def test_lines_are_the_same_however_they_arrive(pieces: list[bytes], compressed: bool) -> None:
    whole = b"".join(pieces)
    expected = [(n, line) for n, line in enumerate(whole.split(b"\n"), start=1) if line.strip()]
    if compressed:
        data = gzip.compress(whole)
        pieces = [data[start : start + 7] for start in range(0, len(data), 7)]
    assert split(pieces, compressed=compressed, max_line_bytes=10_000) == expected


def test_a_line_that_is_too_long_is_skipped_without_being_held() -> None:
    assert split([b"a\n" + b"x" * 60, b"x" * 60, b"x\nb\n", b"y" * 101]) == [
        (1, b"a"),
        (2, None),
        (3, b"b"),
        (4, None),
    ]


def test_what_came_before_a_limit_is_returned_first() -> None:
    with pytest.raises(RequestError, match="at most 2 lines"):
        split([b"a\nb\nc\n"], max_lines=2)
    splitter = LineSplitter(compressed=True, max_line_bytes=10**6, max_lines=10, max_bytes=1000)
    splitter.push(gzip.compress(b"a\n" + b"x" * 10**7))
    with pytest.raises(RequestError, match="at most 1,000 bytes"):
        splitter.take(most=10, most_bytes=10**6)


def test_a_spool_returns_what_was_written() -> None:
    spool = AnswerSpool()
    spool.write(b"one")
    spool.write(b"two")
    assert [spool.read(4), spool.read(4), spool.read(4)] == [b"onet", b"wo", b""]
    spool.write(b"x" * 5_000_000)
    assert sum(len(spool.read()) for _ in range(30)) == 5_000_000
    spool.close()
