"""The published description of the API is true: generated requests, valid and not, get only described answers.

`SCHEMATHESIS_EXAMPLES=200` makes that many requests of each operation instead of a few.
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
        # A description cannot say which columns, items, sets and uploads a catalog has, nor what a picture's bytes
        # are: a request of the described form may be refused for those.
        "positive_data_acceptance": {
            "expected-statuses": ["2xx", "304", "400", "403", "404", "413", "415", "503"]
        },
        # What is wrong may also be too large.
        "negative_data_rejection": {"expected-statuses": ["400", "403", "404", "405", "413", "415"]},
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
def test_every_answer_is_as_described(case: Case) -> None:
    # On its way a form's number or object becomes a text, which is a valid one.
    lost_on_the_way = [negative_data_rejection] if case.media_type == "multipart/form-data" else []
    case.call_and_validate(excluded_checks=lost_on_the_way)
