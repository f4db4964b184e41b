"""`imgsearch sync` in processes of its own: feeds by URL and file, watched folders, with and without a server."""

from __future__ import annotations

import functools
import http.server
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import run_in_process
from photos import draw_photo

ROOT = Path(__file__).resolve().parents[2]


def sync(*arguments: str | Path, code: int = 0) -> dict[str, Any]:
    """Run one round and return its document."""
    done = run_in_process(["sync", *map(str, arguments), "--json"])
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def known(catalog: Path) -> set[str]:
    """Return the ids that a search shows."""
    done = run_in_process(
        ["search", "--item", "mug/red-0.jpg", "-n", "200", "--catalog", str(catalog), "--json"]
    )
    return {hit["item_id"] for hit in json.loads(done.stdout)["hits"]}


class _Shop(http.server.SimpleHTTPRequestHandler):
    """A web server that sends an ETag with the feed, and counts how often it sends the feed."""

    sent = 0

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        file = Path(self.directory) / self.path.strip("/")
        data = file.read_bytes() if file.is_file() else b""
        tag = f'"{hash(data)}"'
        if self.headers.get("If-None-Match") == tag:
            self.send_response(304)
            self.end_headers()
            return
        type(self).sent += self.path.endswith(".csv")
        self.send_response(200 if data else 404)
        self.send_header("ETag", tag)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """Return a folder with ten photos and its address."""
    folder = tmp_path / "shop"
    folder.mkdir()
    for number in range(10):
        draw_photo("ring", "blue", number).save(folder / f"{number}.png")
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(_Shop, directory=str(folder))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_feed_by_url_is_read_only_when_it_changed_and_what_vanished_is_hidden(
    shop: tuple[Path, str], lite_catalog: Path
) -> None:
    folder, address = shop
    feed = folder / "feed.csv"

    def write(numbers: range) -> None:
        rows = [f"p{number},{address}/{number}.png,Ring {number},{number}.50" for number in numbers]
        feed.write_text("\n".join(["id,image_url,title,price", *rows]), encoding="utf-8")

    command = (f"{address}/feed.csv", "--private-hosts", "--catalog", lite_catalog)
    write(range(10))
    assert sync(*command)["report"]["added"] == 10
    before = _Shop.sent
    assert sync(*command) == {"status": "unchanged"}
    assert _Shop.sent == before
    write(range(1, 10))
    assert sync(*command)["report"]["unchanged"] == 9
    assert "p0" not in known(lite_catalog)
    assert "p1" in known(lite_catalog)
    write(range(8, 10))
    assert "Would hide" in sync(*command, code=1)["reason"]
    assert "p1" in known(lite_catalog)
    assert sync(*command, "--gone", "remove", "--max-removed", "90%")["report"]["removed"] == 8
    write(range(10))
    assert sync(*command)["report"]["added"] == 8
    assert "p0" in known(lite_catalog)
    feed.unlink()
    done = run_in_process(["sync", *map(str, command)])
    assert done.returncode == 1
    assert "cannot be read: The server answered 404" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("served", [False, True])
def test_a_watched_folder_is_followed_whether_the_catalog_is_served_or_not(
    shop: tuple[Path, str], lite_catalog: Path, served: bool
) -> None:
    folder, _ = shop

    def start(*arguments: str | Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "imgsearch", *map(str, arguments), "--catalog", str(lite_catalog)]
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environ
        )

    server = start("serve", "--port", "0", "--host", "127.0.0.1") if served else None
    until = time.monotonic() + 60
    note = lite_catalog / "writer.json"
    while served and not (note.exists() and "http" in note.read_text(encoding="utf-8")):
        assert time.monotonic() < until
        time.sleep(0.1)
    watching = start("sync", folder, "--watch")
    try:
        assert watching.stdout is not None
        assert "10 added" in watching.stdout.readline()
        draw_photo("ring", "red", 77).save(folder / "new.png")
        assert "1 added, 0 changed, 10 unchanged" in watching.stdout.readline()
        (folder / "3.png").unlink()
        shutil.copy(folder / "4.png", folder / "5.png")
        assert "0 added, 1 changed, 9 unchanged" in watching.stdout.readline()
        watching.send_signal(signal.SIGINT)
        watching.wait(30)
        assert watching.returncode == 130
    finally:
        watching.kill()
        if server is not None:
            server.send_signal(signal.SIGINT)
            server.wait(30)
    assert "new.png" in known(lite_catalog)
    assert "3.png" not in known(lite_catalog)


@pytest.mark.parametrize(
    "arguments",
    [["--every", "often"], ["--every", "0m"], ["--once", "--every", "5m"], ["--watch"], ["--gone", "x"]],
)
def test_wrong_usage_exits_with_2(arguments: list[str], tmp_path: Path) -> None:
    done = run_in_process(["sync", "https://shop.example/feed.csv", *arguments, "--catalog", str(tmp_path)])
    assert done.returncode == 2
