"""A shop's options over HTTP and on the command line: the same query, documents, and errors in a sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import run_in_process
from starlette.testclient import TestClient

from imgsearch.app.api.routes import create_api
from imgsearch.app.service import SearchService
from imgsearch.core.config import Settings
from imgsearch.library import Catalog

ITEM = "mug/red-0.jpg"


@pytest.fixture(scope="module")
def client(shared_service: SearchService, shared_service_settings: Settings) -> Iterator[TestClient]:
    api = create_api(lambda: shared_service, shared_service_settings)
    with TestClient(api, raise_server_exceptions=False) as client:
        yield client


def get(client: TestClient, **params: Any) -> dict[str, Any]:
    answer = client.get("/api/v1/search", params={"item": ITEM, **params})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_one_query_by_parameters_form_and_json_has_one_answer(client: TestClient) -> None:
    options = {"sort": "-price,title", "facets": "*", "fields": "price", "boost": "price:0.5", "n": "5"}
    by_get = get(client, **options)
    fields = {name: (None, value) for name, value in {"item": ITEM, **options}.items()}
    by_form = client.post("/api/v1/search", files=fields).json()
    body = {"items": ITEM, **options, "sort": ["-price", "title"], "n": 5}
    by_json = client.post("/api/v1/search", json=body).json()
    for other in (by_json, by_form):
        assert other["hits"] == by_get["hits"]
        assert other["query"] == by_get["query"]
        assert other["facets"] == by_get["facets"]
        assert other["total"] == by_get["total"]
    prices = [hit["metadata"].get("price", -1.0) for hit in by_get["hits"]]
    assert prices == sorted(prices, reverse=True)
    assert all(
        set(hit["metadata"]) <= {"price"} and set(hit["boosts"]) == {"price"} for hit in by_get["hits"]
    )
    assert by_get["query"]["sort"] == ["-price", "title"]


def test_a_plain_answer_has_no_options_and_hits_have_all_columns(client: TestClient) -> None:
    plain = get(client)
    assert plain["total"] is None
    assert plain["facets"] == []
    assert "sort" not in plain["query"]
    assert "boosts" not in plain["hits"][0]
    assert len(plain["hits"][0]["metadata"]) > 1
    assert get(client, fields="")["hits"][0]["metadata"] == {}
    assert (
        client.post("/api/v1/search", json={"items": ITEM, "fields": []}).json()["hits"][0]["metadata"] == {}
    )


def test_pages_by_cursor_list_every_item_once(client: TestClient) -> None:
    answer, shown = get(client, n=10), []
    while True:
        shown += [hit["item_id"] for hit in answer["hits"]]
        first = len(shown) - len(answer["hits"]) + 1
        assert [hit["rank"] for hit in answer["hits"]] == list(range(first, len(shown) + 1))
        if not answer["cursor"]:
            break
        answer = get(client, n=10, cursor=answer["cursor"])
    assert len(shown) == len(set(shown)) == 47


def test_only_items_in_stock_are_hits(client: TestClient) -> None:
    found = get(client, in_stock="true", n=20)
    assert len(found["hits"]) == 20
    assert all(hit["metadata"]["in_stock"] is True for hit in found["hits"])
    assert found["query"]["in_stock"] is True


def test_groups_say_what_they_are_of(client: TestClient) -> None:
    found = get(client, group_by="category", n=20)
    groups = [hit["group"] for hit in found["hits"]]
    assert len(groups) == len(set(groups))
    assert sum(hit["others"] + 1 for hit in found["hits"]) == found["matching"]


@pytest.mark.parametrize(
    "params",
    [
        {"sort": "nope"}, {"group_by": "nope"}, {"facets": "nope"}, {"fields": "nope"}, {"boost": "nope:1"},
        {"boost": "title:1"}, {"boost": "price"}, {"boost": "price:99"}, {"min_confidence": "best"},
        {"in_stock": "perhaps"}, {"cursor": "abc"}, {"cursor": "A" * 13_000},
        {"sort": '"price'}, {"sort": ",".join("abcdefghij")},
    ],
)  # fmt: skip
def test_what_is_not_understood_is_refused_in_a_sentence(client: TestClient, params: dict[str, str]) -> None:
    answer = client.get("/api/v1/search", params={"item": ITEM, **params})
    assert answer.status_code == 400
    message = answer.json()["error"]["message"]
    assert message.endswith(".")
    assert "\n" not in message


def test_the_command_line_and_the_library_take_the_same_options(colour_catalog: Path) -> None:
    options = [
        "--sort",
        "price",
        "--group-by",
        "category",
        "--facets",
        "category",
        "--fields",
        "price",
        "-n",
        "4",
    ]
    done = run_in_process(["search", "--item", ITEM, *options, "--catalog", str(colour_catalog), "--json"])
    document = json.loads(done.stdout)
    with Catalog.open(colour_catalog) as catalog:
        results = catalog.search(
            item=ITEM, sort="price", group_by="category", facets="category", fields="price", n=4
        )
        assert [hit["item_id"] for hit in document["hits"]] == [hit.item_id for hit in results]
        assert list(results.to_pandas().columns) == ["rank", "item_id", "title", "score", "price"]
        after = catalog.search(item=ITEM, sort="price", group_by="category", n=1)
        assert (
            catalog.search(item=ITEM, sort="price", group_by="category", n=1, cursor=after.result.cursor)[
                0
            ].rank
            == 2
        )
    assert [facet["column"] for facet in document["facets"]] == ["category"]
