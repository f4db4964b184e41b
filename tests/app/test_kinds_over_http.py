"""Prices, dates and lists over HTTP: set in words, refused in one sentence, filtered, counted, answered as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from samples import relabelled
from starlette.testclient import TestClient

from imgsearch.app.api.routes import create_api
from imgsearch.app.service import SearchService
from imgsearch.core.config import Settings

FIRST, SECOND, THIRD = "mug/red-0.jpg", "lamp/red-0.jpg", "chair/blue-0.jpg"
ROWS: dict[str, dict[str, Any]] = {
    FIRST: {
        "cost": Decimal("9.50"),
        "cost_currency": "EUR",
        "added": date(2025, 1, 31),
        "tags": ["oak", "round"],
    },
    SECOND: {
        "cost": Decimal("19.99"),
        "cost_currency": "USD",
        "added": date(2025, 2, 1),
        "tags": ["steel"],
    },
    THIRD: {"cost": Decimal("1299"), "cost_currency": "EUR", "added": date(2024, 2, 1)},
}


@pytest.fixture
def client(service: SearchService, service_settings: Settings) -> Iterator[TestClient]:
    ids = {item.item_id for item in service.catalog.iter_items()}
    assert set(ROWS) <= ids, sorted(ids)
    service.catalog.update_metadata([relabelled(item_id, row, "new") for item_id, row in ROWS.items()])
    settings = service_settings.model_copy(update={"local_only": True})
    options: dict[str, Any] = {"client": ("127.0.0.1", 5000), "base_url": "http://localhost"}
    with TestClient(
        create_api(lambda: service, settings), raise_server_exceptions=False, **options
    ) as client:
        yield client


def listed(client: TestClient, *filters: str) -> list[str]:
    answer = client.get("/api/v1/items", params={"filter": list(filters), "limit": 100})
    assert answer.status_code == 200, answer.text
    found = sorted(item["item_id"] for item in answer.json()["items"])
    hits = client.get("/api/v1/search", params={"item": FIRST, "n": 100, "filter": list(filters)}).json()[
        "hits"
    ]
    assert sorted({hit["item_id"] for hit in hits} | ({FIRST} & set(found))) == found
    return found


def test_prices_dates_and_lists_are_filtered_and_answered_as_json(client: TestClient) -> None:
    assert listed(client, "cost<50") == sorted([FIRST, SECOND])
    assert listed(client, "cost<50 EUR") == [FIRST]
    assert listed(client, "added>=2025-01-31") == sorted([FIRST, SECOND])
    assert listed(client, "added=2024-01-01..2024-12-31") == [THIRD]
    assert listed(client, "tags=OAK") == [FIRST]
    row = client.get(f"/api/v1/items/{FIRST}").json()["metadata"]
    assert {name: row[name] for name in ("cost", "cost_currency", "added", "tags")} == {
        "cost": 9.5,
        "cost_currency": "EUR",
        "added": "2025-01-31",
        "tags": ["oak", "round"],
    }
    answer = client.get("/api/v1/search", params={"item": FIRST, "facets": ["cost", "added", "tags"]}).json()
    facets = {facet["column"]: facet for facet in answer["facets"]}
    assert (facets["cost"]["kind"], facets["cost"]["low"], facets["cost"]["high"]) == (
        "range",
        9.5,
        1299.0,
    )
    assert (facets["added"]["first"], facets["added"]["last"]) == ("2024-02-01", "2025-02-01")
    assert [value["value"] for value in facets["tags"]["values"]] == ["oak", "round", "steel"]
    boosted = client.get("/api/v1/search", params={"item": FIRST, "boost": "added:0.5", "n": 1})
    assert boosted.status_code == 200, boosted.text


def test_values_in_words_take_the_kind_of_their_column(client: TestClient) -> None:
    changed = client.patch(
        f"/api/v1/items/{FIRST}",
        json={"metadata": {"cost": "1.299,50 €", "added": "31.12.2025", "tags": ["new", "oak"]}},
    )
    assert changed.status_code == 200, changed.text
    row = client.get(f"/api/v1/items/{FIRST}").json()["metadata"]
    assert (row["cost"], row["cost_currency"], row["added"]) == (1299.5, "EUR", "2025-12-31")
    assert row["tags"] == ["new", "oak"]
    assert client.patch(f"/api/v1/items/{FIRST}", json={"metadata": {"cost": 1299.5}}).status_code == 200
    assert listed(client, "cost>1000", "tags=new") == [FIRST]
    # A column of plain numbers that is named as one of prices takes prices too.
    changed = client.patch(f"/api/v1/items/{FIRST}", json={"metadata": {"price": "19,99 €"}})
    assert changed.status_code == 200, changed.text
    row = client.get(f"/api/v1/items/{FIRST}").json()["metadata"]
    assert (row["price"], row["price_currency"]) == (19.99, "EUR")


@pytest.mark.parametrize(
    "cell",
    [
        {"cost": "on request"},
        {"cost": True},
        {"cost": 1e300},
        {"added": "soon"},
        {"added": 5},
        {"cost": "1e999"},
    ],
)
def test_a_value_that_does_not_fit_is_refused_in_one_sentence(
    client: TestClient, cell: dict[str, Any]
) -> None:
    refused = client.patch(f"/api/v1/items/{FIRST}", json={"metadata": cell})
    assert refused.status_code == 400, refused.text
    error = refused.json()["error"]
    assert error["code"] == "bad_metadata"
    assert next(iter(cell)) in error["message"]
    assert listed(client, "cost<50") == sorted([FIRST, SECOND])


def test_an_ordering_filter_on_text_is_refused_in_one_sentence(client: TestClient) -> None:
    refused = client.get("/api/v1/search", params={"item": FIRST, "filter": "cost_currency<F"})
    assert refused.status_code == 400
    assert refused.json()["error"]["code"] == "bad_filter"
    assert "cost_currency" in refused.json()["error"]["message"]
