"""Photos at URLs: changed ones are read again, unchanged ones are not, busy servers get another chance."""

from __future__ import annotations

import http.server
import io
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from colour_encoder import ColourEncoder
from photos import draw_photo
from shop_folder import SmallShop

from imgsearch.core.errors import SourceError
from imgsearch.core.records import IndexingReport
from imgsearch.index.opening import open_live_index
from imgsearch.ingest.indexing import IndexingOptions, index_sources
from imgsearch.store import web_files
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.originals import Originals

MONDAY_AND_TUESDAY = "Mon, 05 Jan 2026 10:00:00 GMT", "Tue, 06 Jan 2026 10:00:00 GMT"


def picture(variant: int, size_px: int = 64) -> bytes:
    buffer = io.BytesIO()
    draw_photo("mug", "red", variant, size_px=size_px).save(buffer, "JPEG")
    return buffer.getvalue()


@dataclass
class Web:
    """A server: pictures by path, headers and refusals by path, and a log of (method, path, status)."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    refusals: dict[str, list[tuple[int, dict[str, str]]]] = field(default_factory=dict)
    log: list[tuple[str, str, int]] = field(default_factory=list)

    @property
    def bodies(self) -> int:
        """How many pictures were sent in whole."""
        return sum((method, status) == ("GET", 200) for method, _, status in self.log)


@pytest.fixture
def web() -> Iterator[Web]:
    state = Web()

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self, body: bool) -> None:
            waiting = state.refusals.get(self.path)
            status, headers = waiting.pop(0) if waiting else (200, state.headers.get(self.path, {}))
            data = state.files.get(self.path, b"")
            if status == 200 and not data:
                status = 404
            same = any(
                name in headers and self.headers.get(condition) == headers[name]
                for name, condition in (("ETag", "If-None-Match"), ("Last-Modified", "If-Modified-Since"))
            )
            status = 304 if status == 200 and same else status
            state.log.append((self.command, self.path, status))
            if status == 0:
                self.connection.close()  # in the middle of an answer
                return
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if status == 200:
                self.send_header("Content-Length", str(len(data)))
            else:
                self.send_header("Content-Length", "0")
            self.end_headers()
            if body and status == 200:
                self.wfile.write(data)

        def do_GET(self) -> None:
            self.answer(True)

        def do_HEAD(self) -> None:
            self.answer(False)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield state
    server.shutdown()
    server.server_close()


@pytest.fixture
def shop_of_urls(small_shop: SmallShop, tmp_path: Path, web: Web) -> Any:
    """Return a function that indexes a table of three photos at URLs."""
    table = tmp_path / "urls.csv"
    table.write_text("id,image\n" + "".join(f"p{n},{web.address}/{n}.jpg\n" for n in range(3)))
    for number in range(3):
        web.files[f"/{number}.jpg"] = picture(number)

    def index(**options: Any) -> IndexingReport:
        with (
            CatalogStore.open(small_shop.folder, create=True) as catalog,
            closing(Originals(private_hosts=True)) as originals,
        ):
            return index_sources(
                catalog, open_live_index(catalog), ColourEncoder(), [table],
                options=IndexingOptions(**options), originals=originals,
            )  # fmt: skip

    return index


def counts(report: IndexingReport) -> tuple[int, int, int, int]:
    return report.added, report.changed, report.unchanged, len(report.failed)


@pytest.mark.parametrize("header", ["ETag", "Last-Modified"])
def test_a_replaced_photo_is_read_again_and_the_others_are_not(
    shop_of_urls: Any, web: Web, header: str
) -> None:
    old, new = ('"v1"', '"v2"') if header == "ETag" else MONDAY_AND_TUESDAY
    web.headers = {f"/{number}.jpg": {header: old} for number in range(3)}
    assert counts(shop_of_urls()) == (3, 0, 0, 0)
    assert counts(shop_of_urls()) == (0, 0, 3, 0)
    assert web.bodies == 3
    web.files["/1.jpg"], web.headers["/1.jpg"] = picture(7), {header: new}
    assert counts(shop_of_urls()) == (0, 1, 2, 0)
    assert web.bodies == 4
    report = shop_of_urls()
    assert (counts(report), report.notes) == ((0, 0, 3, 0), ())
    assert web.bodies == 4


def test_without_headers_the_size_decides(shop_of_urls: Any, web: Web) -> None:
    shop_of_urls()
    assert counts(shop_of_urls()) == (0, 0, 3, 0)
    assert web.bodies == 3
    web.files["/1.jpg"] = picture(7, size_px=96)
    assert counts(shop_of_urls()) == (0, 1, 2, 0)
    assert web.bodies == 4


def test_refresh_reads_all_and_no_refresh_none(shop_of_urls: Any, web: Web) -> None:
    shop_of_urls()
    before = len(web.log)
    assert counts(shop_of_urls(refresh=False)) == (0, 0, 3, 0)
    assert len(web.log) == before
    assert counts(shop_of_urls(refresh=True)) == (0, 0, 3, 0)
    assert web.bodies == 6


def test_a_photo_that_cannot_be_checked_stays_and_is_noted(shop_of_urls: Any, web: Web) -> None:
    shop_of_urls()
    del web.files["/1.jpg"]
    report = shop_of_urls(prune=True)
    assert (counts(report), report.removed) == ((0, 0, 3, 0), 0)
    assert "1 photos at URLs could not be checked and stay as they are" in report.notes[0]
    assert "404" in report.notes[0]


def test_busy_servers_and_broken_connections_get_another_chance(
    shop_of_urls: Any, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_files, "PAUSES_S", (0.01, 0.02, 0.03))
    web.refusals = {
        "/0.jpg": [(503, {}), (502, {})],
        "/1.jpg": [(429, {"Retry-After": "1"})],
        "/2.jpg": [(0, {}), (0, {})],
    }
    started = time.monotonic()
    assert counts(shop_of_urls()) == (3, 0, 0, 0)
    assert time.monotonic() - started >= 1.0
    tries = Counter(path for _, path, _ in web.log)
    assert tries == {"/0.jpg": 3, "/1.jpg": 2, "/2.jpg": 3}


def test_a_server_that_stays_busy_or_wants_too_long_a_pause_is_a_failure(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_files, "PAUSES_S", (0.01, 0.02, 0.03))
    web.refusals = {"/a.jpg": [(503, {})] * 9, "/b.jpg": [(429, {"Retry-After": "86400"})]}
    with closing(Originals(private_hosts=True)) as originals:
        for path, tries in (("/a.jpg", 4), ("/b.jpg", 1)):
            with pytest.raises(SourceError, match="busy"):
                originals.read(web.address + path)
            assert sum(seen == path for _, seen, _ in web.log) == tries


def test_a_dead_host_is_not_tried_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(web_files.time, "sleep", pauses.append)
    with closing(Originals(private_hosts=True)) as originals:
        for number in range(6):
            with pytest.raises(SourceError, match="cannot be fetched"):
                originals.read(f"http://127.0.0.1:1/{number}.jpg")
    assert len(pauses) == 3 * len(web_files.PAUSES_S)
