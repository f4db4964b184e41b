"""Shops' exports over HTTP: sent to the API, or read from a URL."""

from __future__ import annotations

import functools
import http.server
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import generate
import pytest
from starlette.testclient import TestClient

from imgsearch.app.api.routes import create_api
from imgsearch.app.service import SearchService
from imgsearch.core.config import Settings
from imgsearch.core.errors import SourceError
from imgsearch.ingest.feeds import FeedOptions, open_feed
from imgsearch.store.item_table import Photo

EXPORTS: dict[Callable[[Path], Path], tuple[set[str], str, int]] = {
    generate.shopify_csv: ({"mug", "mug/2", "mug/3", "lamp"}, "price<50", 1),
    generate.woocommerce_csv: ({"00044", "00044/2", "LAMP", "LAMP/2", "47"}, "price>200", 1),
    generate.google_tsv: ({"007", "007/2", "007/3", "008"}, "price<50", 0),
    generate.google_xml: ({"007", "007/2", "007/3", "008"}, "price>1000", 0),
    generate.excel_workbook: ({"a1", "a2", "a3"}, "since>=2024-05-15", 0),
}
"""Of each format: the ids of its items, a filter that some of them match, and how many rows fail."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "export"
    generate.photos(folder)
    return folder


@pytest.fixture
def client(lite_catalog: Path) -> Iterator[TestClient]:
    """Return a client of the API on this machine, of a catalog of 48 photos."""
    settings = Settings.load({}, catalog=lite_catalog, local_only=True)
    with closing(SearchService.open(settings)) as service:
        service.engine.encoder.get()
        yield TestClient(
            create_api(lambda: service, settings), base_url="http://127.0.0.1", client=("127.0.0.1", 1)
        )


def ended(client: TestClient, answer: Any) -> dict[str, Any]:
    """Return the report of an import once it has ended."""
    assert answer.status_code == 202, answer.text
    until = time.monotonic() + 60
    while time.monotonic() < until:
        found: dict[str, Any] = client.get(answer.headers["Location"]).json()
        if found["status"] not in ("queued", "running"):
            assert found["status"] == "done", found
            report: dict[str, Any] = found["report"]
            return report
        time.sleep(0.02)
    raise AssertionError("the import does not end")


def test_every_format_that_is_sent_with_its_photos_gives_the_right_items(
    client: TestClient, folder: Path
) -> None:
    for generator, (ids, condition, failed) in EXPORTS.items():
        table = generator(folder)
        files = [("file", (path.name, path.read_bytes())) for path in (table, *(folder / "photos").iterdir())]
        preview = client.post("/api/v1/imports/preview", files=files).json()
        (feed,) = preview["feeds"]
        assert (feed["photos"], feed["failed"]) == (len(ids), failed), table.name
        # Only what the feed names: the other photos would be items of their own.
        named = {Path(sample["image"]).name for sample in feed["samples"]}
        files = [each for each in files if each[1][0] in {table.name, *named}]
        report = ended(client, client.post("/api/v1/imports", files=files))
        assert (report["added"] + report["changed"] + report["unchanged"]) >= len(ids), table.name
        assert report["failed"] == failed
        for item_id in ids:
            assert client.get(f"/api/v1/items/{item_id.replace('/', '%2F')}").status_code == 200, item_id
        found = client.get("/api/v1/items", params={"filter": condition, "limit": 100}).json()
        assert {item["item_id"] for item in found["items"]} & ids, (table.name, condition)


def test_a_table_that_cannot_be_read_is_one_sentence(client: TestClient) -> None:
    for name, data in (("t.csv", b""), ("t.xlsx", b"PK\3\4x"), ("t.xml", b"<a>"), ("t.json", b'{"a": 1}')):
        answer = client.post("/api/v1/imports/preview", files=[("file", (name, data))])
        assert answer.status_code == 400, name
        message = answer.json()["error"]["message"]
        assert message.endswith("."), message
        assert "\n" not in message


@pytest.fixture
def web(folder: Path) -> Iterator[str]:
    """Serve the folder and return its address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("generator", [generate.google_xml, generate.google_atom, generate.excel_workbook])
def test_a_feed_at_a_url_names_photos_relative_to_it(
    folder: Path, web: str, generator: Callable[[Path], Path]
) -> None:
    address = f"{web}/{generator(folder).name}"
    feed = open_feed(address, options=FeedOptions(private_hosts=True))
    photos = [entry for entry in feed.photos() if isinstance(entry, Photo)]
    assert feed.name == address
    assert photos[0].location == f"{web}/photos/mug.jpg"
    assert len(photos) == feed.preview().photos >= 2


def test_a_feed_at_a_url_names_no_files_of_the_server(folder: Path, web: str) -> None:
    mug = folder / "photos" / "mug.jpg"
    cells = (
        mug.as_uri(),
        f"zip:{folder}/a.zip!/mug.jpg",
        "s3://shop/mug.jpg",
        "stored:00.jpg",
        "x://[",
        "//[",
    )
    lines = [f"{number},{cell}" for number, cell in enumerate((*cells, "photos/mug.jpg"))]
    (folder / "feed.csv").write_text("\n".join(("id,image", *lines)))
    feed = open_feed(f"{web}/feed.csv", options=FeedOptions(private_hosts=True))
    photos = [entry.location for entry in feed.photos() if isinstance(entry, Photo)]
    assert all(location.startswith(("http://", "https://")) for location in photos)
    assert f"{web}/photos/mug.jpg" in photos
    assert feed.preview().failed >= len(cells) - 1


def test_a_feed_at_a_url_is_refused_in_a_sentence_with_its_address(folder: Path, web: str) -> None:
    with pytest.raises(SourceError, match="private network"):
        open_feed(f"{web}/feed.xml")
    for path, reason in (("/none.csv", "404"), ("/photos/mug.jpg", "binary data")):
        with pytest.raises(SourceError, match=reason) as refused:
            open_feed(f"{web}{path}", options=FeedOptions(private_hosts=True))
        assert web in str(refused.value)
        assert "/tmp" not in str(refused.value)
