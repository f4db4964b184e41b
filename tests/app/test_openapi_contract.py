"""The OpenAPI description is correct: generated valid and invalid requests get only described responses.

`SCHEMATHESIS_EXAMPLES=200` sets the number of requests per operation.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from schemathesis import Case
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    negative_data_rejection,
    unsupported_method,
)

from imgsearch.app.access import local_token
from imgsearch.app.api.routes import create_api
from imgsearch.app.service import SearchService
from imgsearch.core.config import Settings

pytestmark = pytest.mark.slow

EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "8"))
CONFIG = {
    "generation": {"max-examples": EXAMPLES, "deterministic": EXAMPLES < 100, "database": "none"},
    "checks": {
        # 503 is described: no encoder yet, no layout of the map yet.
        "not_a_server_error": {"expected-statuses": ["2xx", "3xx", "4xx", "503"]},
        # The schema cannot describe a catalog's columns, items, sets and uploads, or valid image bytes, so a
        # request that follows the schema may be refused.
        "positive_data_acceptance": {
            "expected-statuses": ["2xx", "304", "400", "403", "404", "409", "412", "413", "415", "422", "503"]
        },
        # An invalid body may also be too large.
        "negative_data_rejection": {
            "expected-statuses": ["400", "403", "404", "405", "412", "413", "415", "422"]
        },
    },
}

SETTINGS = Settings(catalog=Path("unused"), max_upload_bytes=200_000)
OPENED: list[SearchService] = []
"""The service of the running tests: their names are needed before it can be opened."""

schema = schemathesis.openapi.from_asgi(
    "/api/openapi.json",
    create_api(lambda: OPENED[0], SETTINGS),
    config=SchemathesisConfig.from_dict(CONFIG),
)


@pytest.fixture(scope="module")
def shared_service_settings(shared_service_settings: Settings) -> Settings:
    return SETTINGS.model_copy(update={"catalog": shared_service_settings.catalog})


@pytest.fixture(scope="module", autouse=True)
def opened(shared_service: SearchService) -> Iterator[None]:
    OPENED.append(shared_service)
    yield
    OPENED.clear()


@schema.parametrize()
def test_every_response_matches_the_description(case: Case) -> None:
    # A form encodes numbers and objects as text, which is valid.
    # A line of a batch fails alone.
    lost = case.media_type in ("multipart/form-data", "application/x-ndjson")
    excluded = [negative_data_rejection] if lost else []
    # A path such as /items/{id}/similar is also that of an item whose id ends so, with the methods of an item.
    of_an_item = case.path.startswith(("/api/v1/items/{id}/", "/api/v1/items/batch", "/api/v1/items/restore"))
    excluded += [unsupported_method, allow_header_conformance] if of_an_item else []
    needs_token = "401" in case.operation.definition.raw["responses"]
    headers = {"Authorization": f"Bearer {local_token()}"} if needs_token else None
    case.call_and_validate(excluded_checks=excluded, headers=headers)


@schemathesis.serializer("application/x-ndjson")
def _lines(_: object, value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode() + b"\n"
