"""Reading originals: every kind of location and every failure."""

from __future__ import annotations

import http.server
import io
import os
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from imgsearch.core.errors import ImageTooLarge, SourceError
from imgsearch.store.originals import Originals, archive_location, file_of, path_location

NAMES = [
    "plain.jpg",
    "with space.jpg",
    "quote'\".jpg",
    "🙂 é.jpg",
    "new\nline.jpg",
    "a!b#c?d%41.jpg",
    os.fsdecode(b"\xff\xfe.jpg"),
]


@pytest.fixture
def originals() -> Iterator[Originals]:
    reader = Originals(max_bytes=100_000)
    yield reader
    reader.close()


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_any_name_is_read_from_its_location(
    originals: Originals, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(name.encode("utf-8", "surrogateescape"))
    location = path_location(path)
    location.encode("utf-8")  # every location can be stored
    assert originals.read(location) == path.read_bytes()
    assert file_of(location) == path


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_member_of_any_name_is_read_from_an_archive_of_any_name(
    originals: Originals, tmp_path: Path, kind: str, name: str
) -> None:
    archive = tmp_path / f"my!photos {name}.{kind}"
    if kind == "zip":
        name = name.encode("utf-8", "replace").decode()  # a zip cannot hold other names
        with zipfile.ZipFile(archive, "w") as opened:
            opened.writestr(name, b"zipped")
    else:
        with tarfile.open(archive, "w") as opened_tar:
            info = tarfile.TarInfo(name)
            info.size = 6
            opened_tar.addfile(info, io.BytesIO(b"zipped"))
    location = archive_location(kind, archive, name)
    location.encode("ascii")
    assert originals.read(location) == b"zipped"
    assert file_of(location) == archive


def test_more_archives_than_the_open_file_limit_are_readable(originals: Originals, tmp_path: Path) -> None:
    locations = []
    for number in range(10):
        archive = tmp_path / f"{number}.zip"
        with zipfile.ZipFile(archive, "w") as opened:
            opened.writestr("a.jpg", str(number))
        locations.append(archive_location("zip", archive, "a.jpg"))
    for _ in range(2):
        assert [originals.read(location) for location in locations] == [
            str(number).encode() for number in range(10)
        ]


def test_many_threads_read_one_archive(originals: Originals, tmp_path: Path) -> None:
    archive = tmp_path / "a.tar.gz"
    with tarfile.open(archive, "w:gz") as opened:
        for number in range(50):
            info = tarfile.TarInfo(f"{number}.jpg")
            info.size = 1000
            opened.addfile(info, io.BytesIO(bytes([number]) * 1000))
    wrong: list[int] = []

    def read(offset: int) -> None:
        for number in range(50):
            number = (number + offset) % 50
            data = originals.read(archive_location("tar", archive, f"{number}.jpg"))
            if data != bytes([number]) * 1000:
                wrong.append(number)

    threads = [threading.Thread(target=read, args=(offset,)) for offset in (0, 1, 25)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# --- failures ---------------------------------------------------------------------------------------------------


def refused(originals: Originals, location: str) -> str:
    with pytest.raises(SourceError) as raised:
        originals.read(location)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_an_unreadable_original_reports_the_reason(originals: Originals, tmp_path: Path) -> None:
    assert "no longer there" in refused(originals, str(tmp_path / "none.jpg"))
    (tmp_path / "broken.jpg").symlink_to(tmp_path / "none.jpg")
    assert "link" in refused(originals, str(tmp_path / "broken.jpg"))
    assert "directory" in refused(originals, str(tmp_path))
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    refused(originals, str(tmp_path / "loop.jpg"))
    refused(originals, "x" * 5000)
    refused(originals, "a\x00b.jpg")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes in folders")
def test_a_pipe_is_refused_without_blocking(originals: Originals, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    assert "regular" in refused(originals, str(tmp_path / "pipe.jpg"))


def test_a_file_over_the_limit_is_too_large_at_every_kind_of_location(
    originals: Originals, tmp_path: Path
) -> None:
    data = bytes(100_001)
    (tmp_path / "a.jpg").write_bytes(data)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("a.jpg", data)
    for location in (str(tmp_path / "a.jpg"), archive_location("zip", tmp_path / "a.zip", "a.jpg")):
        with pytest.raises(ImageTooLarge):
            originals.read(location)


def test_a_damaged_archive_fails_per_photo(originals: Originals, tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("a.jpg", os.urandom(5000))
        opened.writestr("b.jpg", b"good")
    data = bytearray(archive.read_bytes())
    data[1000:1100] = bytes(100)
    archive.write_bytes(data)
    assert "damaged" in refused(originals, archive_location("zip", archive, "a.jpg"))
    assert originals.read(archive_location("zip", archive, "b.jpg")) == b"good"
    assert "no longer in" in refused(originals, archive_location("zip", archive, "c.jpg"))
    (tmp_path / "text.tar").write_text("no archive")
    assert "cannot be read" in refused(originals, archive_location("tar", tmp_path / "text.tar", "a.jpg"))
    assert "no longer there" in refused(originals, archive_location("zip", tmp_path / "none.zip", "a.jpg"))


def test_photos_before_the_damage_of_a_tar_are_readable(originals: Originals, tmp_path: Path) -> None:
    archive = tmp_path / "a.tar"
    with tarfile.open(archive, "w") as opened:
        for name in ("a.jpg", "b.jpg"):
            info = tarfile.TarInfo(name)
            info.size = 5000
            opened.addfile(info, io.BytesIO(bytes(5000)))
    archive.write_bytes(archive.read_bytes()[:7000])
    assert originals.read(archive_location("tar", archive, "a.jpg")) == bytes(5000)
    refused(originals, archive_location("tar", archive, "b.jpg"))


# --- URLs -------------------------------------------------------------------------------------------------------


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/a.jpg":
            self._answer(200, b"picture")
        elif self.path == "/long.jpg":
            self._answer(200, bytes(200_000))
        elif self.path == "/moved.jpg":
            self._answer(302, b"", Location="/a.jpg")
        elif self.path == "/circle.jpg":
            self._answer(302, b"", Location="/circle.jpg")
        elif self.path == "/nowhere.jpg":
            self._answer(302, b"")
        elif self.path == "/file.jpg":
            self._answer(302, b"", Location="file:///etc/passwd")
        else:
            self._answer(404, b"no")

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def serve() -> Iterator[Callable[[str], str]]:
    """Return a factory of URLs on a local web server."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield lambda path: f"http://127.0.0.1:{server.server_port}{path}"
    server.shutdown()
    server.server_close()


def test_urls_are_fetched_and_redirects_followed(serve: Callable[[str], str]) -> None:
    originals = Originals(max_bytes=100_000, private_hosts=True)
    assert originals.read(serve("/a.jpg")) == b"picture"
    assert originals.read(serve("/moved.jpg")) == b"picture"
    assert "404" in refused(originals, serve("/none.jpg"))
    assert "redirects" in refused(originals, serve("/circle.jpg"))
    refused(originals, serve("/nowhere.jpg"))
    assert "not an http" in refused(originals, serve("/file.jpg"))
    with pytest.raises(ImageTooLarge):
        originals.read(serve("/long.jpg"))
    originals.close()


def test_urls_into_the_local_network_are_refused_unless_allowed(
    originals: Originals, serve: Callable[[str], str]
) -> None:
    assert "--private-hosts" in refused(originals, serve("/a.jpg"))
    for host in (
        "localhost",
        "127.0.0.1",
        "[::1]",
        "10.1.2.3",
        "169.254.169.254",
        "0.0.0.0",
        "[::ffff:127.0.0.1]",
    ):
        assert "private network" in refused(originals, f"http://{host}/a.jpg")


@pytest.mark.parametrize(
    "url",
    ["http://", "http:///a.jpg", "http://[::1", "http://host:99999/a.jpg", "http://a b/c.jpg", "http://\x00/a.jpg",
     "http://" + "a" * 300 + "/x.jpg", "http://\ud800/a.jpg", "http://a..b/c.jpg", "https://user:pw@/x"],
)  # fmt: skip
@pytest.mark.parametrize("private_hosts", [False, True])
def test_malformed_urls_are_refused_in_one_sentence(url: str, private_hosts: bool) -> None:
    originals = Originals(private_hosts=private_hosts)
    refused(originals, url)
    originals.close()


def test_an_unreachable_server_is_reported_as_the_reason(serve: Callable[[str], str]) -> None:
    originals = Originals(private_hosts=True)
    assert "cannot be fetched" in refused(originals, "http://127.0.0.1:1/a.jpg")
    originals.close()
