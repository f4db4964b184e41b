"""An upload that a form keeps in a temporary file, where there is no folder for it."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from imgsearch.app.api.routes import create_api
from imgsearch.app.service import SearchService


@pytest.fixture
def client(service: SearchService) -> Iterator[TestClient]:
    with TestClient(create_api(lambda: service, service.settings), raise_server_exceptions=False) as client:
        yield client


def test_a_large_upload_without_a_temporary_folder_is_refused_in_a_sentence(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1000, 1000, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "PNG")
    assert len(buffer.getvalue()) > 2_600_000
    monkeypatch.setattr(tempfile, "tempdir", "/nonexistent/folder")
    answer = client.post("/api/v1/search", files={"image": ("x.png", buffer.getvalue(), "image/png")})
    assert answer.status_code == 507, answer.text
    assert "TMPDIR" in answer.text
