"""The OpenAPI description is correct: generated valid and invalid requests get only described responses.

`SCHEMATHESIS_EXAMPLES=200` sets the number of requests per operation.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from schemathesis import Case
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import negative_data_rejection

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
            "expected-statuses": ["2xx", "304", "400", "401", "403", "404", "409", "413", "415", "503"]
        },
        # An invalid body may also be too large, and comes without a token where one is needed.
        "negative_data_rejection": {"expected-statuses": ["400", "401", "403", "404", "405", "413", "415"]},
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
    lost_on_the_way = [negative_data_rejection] if case.media_type == "multipart/form-data" else []
    case.call_and_validate(excluded_checks=lost_on_the_way)
