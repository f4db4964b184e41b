"""Imports: jobs of the service, over HTTP too; the history survives, and visitors are served meanwhile."""

from __future__ import annotations

import io
import json
import os
import random
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from photos import draw_photo
from starlette.testclient import TestClient

from imgsearch.app.api.routes import create_api
from imgsearch.app.service import SearchService
from imgsearch.core.config import Settings
from imgsearch.core.errors import ImportRefused, SourceError
from imgsearch.core.query import Query, Term
from imgsearch.ingest.import_spec import ImportSpec
from imgsearch.ingest.item_changes import ItemChange
from imgsearch.ingest.staged_files import StagedFiles
from imgsearch.store.import_log import LoggedImport


@pytest.fixture
def shop(lite_catalog: Path) -> Iterator[SearchService]:
    """Return a service of the 48 photos by `lite`."""
    with closing(SearchService.open(Settings.load({}, catalog=lite_catalog, local_only=True))) as opened:
        opened.engine.encoder.get()
        yield opened


@pytest.fixture
def client(shop: SearchService) -> TestClient:
    """Return a client of the API on this machine."""
    return TestClient(
        create_api(lambda: shop, shop.settings), base_url="http://127.0.0.1", client=("127.0.0.1", 1)
    )


def picture(colour: str, variant: int = 0) -> bytes:
    """Return the bytes of a photo."""
    data = io.BytesIO()
    draw_photo("ring", colour, variant).save(data, "PNG")
    return data.getvalue()


def table(rows: list[str], columns: str = "id,image,title,price") -> bytes:
    """Return a manifest."""
    return "\n".join([columns, *rows]).encode()


def ended(client: TestClient, answer: Any) -> dict[str, Any]:
    """Return an import once it has ended."""
    assert answer.status_code == 202, answer.text
    until = time.monotonic() + 30
    while time.monotonic() < until:
        found: dict[str, Any] = client.get(answer.headers["Location"]).json()
        if found["status"] not in ("queued", "running", "paused"):
            return found
        time.sleep(0.02)
    raise AssertionError(f"the import does not end: {found}")


def upload(files: dict[str, bytes], **options: Any) -> dict[str, Any]:
    """Return the arguments of a request that sends files."""
    return {"files": [("file", (name, data)) for name, data in files.items()], "data": options}


def hits(shop: SearchService, item_id: str, n: int = 60) -> set[str]:
    return {hit.item_id for hit in shop.search(Query((Term("item", item_id),), n=n)).hits}


def test_a_feed_and_its_photos_that_are_sent_become_items_that_stay(
    client: TestClient, shop: SearchService
) -> None:
    files = {
        "products.csv": table(["0042,ring.png,Blue ring,19.50", "0043,gone.png,No photo,1"]),
        "ring.png": picture("blue"),
        "loose.png": picture("red"),
    }
    preview = client.post("/api/v1/imports/preview", **upload(files)).json()
    assert (preview["feeds"][0]["rows"], preview["feeds"][0]["photos"], preview["photos"]) == (2, 1, 1)
    assert len(shop.catalog) == 48
    found = ended(client, client.post("/api/v1/imports", json={"upload": preview["upload"]}))
    assert (found["status"], found["report"]["added"], found["report"]["failed"]) == ("done", 2, 1)
    assert found["source"] == "upload:products.csv"
    item = shop.catalog.get("0042")
    assert (item.location[:7], item.metadata["price"]) == ("stored:", 19.5)
    assert shop.engine.originals.read(item.location) == files["ring.png"]
    assert not list((shop.catalog.folder / "imports").iterdir())
    assert "0042" in hits(shop, "loose.png")
    failures = client.get(f"/api/v1/imports/{found['id']}/failures").json()["failures"]
    assert [each["path"] for each in failures] == ["0043"]
    assert client.get(f"/api/v1/imports/{found['id']}/failures.csv").text.startswith("path,reason\r\n0043,")
    # The same files again change nothing, and a changed row is no photo to encode.
    again = ended(client, client.post("/api/v1/imports", **upload(files)))
    assert (again["report"]["added"], again["report"]["unchanged"]) == (0, 2)
    files["products.csv"] = table(["0042,ring.png,Blue ring,17"])
    changed = ended(client, client.post("/api/v1/imports", **upload(files)))
    assert (changed["report"]["changed"], shop.catalog.get("0042").metadata["price"]) == (1, 17)
    assert [each["id"] for each in client.get("/api/v1/imports").json()["imports"]] == [3, 2, 1]


def test_a_table_without_photos_describes_the_photos_that_come_with_it_or_items_of_the_catalog(
    client: TestClient, shop: SearchService
) -> None:
    rows = table(["0042,ring.png,Blue ring,19.50", "0043,cup.png,Cup,1"])
    sent = {"products.csv": rows, "ring.png": picture("blue"), "cup.png": picture("green", 3)}
    ended(client, client.post("/api/v1/imports", **upload(sent)))
    prices = table(["0042,3.25", "0043,4.5", "0044,1"], "id,price")
    preview = client.post("/api/v1/imports/preview", **upload({"prices.csv": prices})).json()
    assert (preview["rows"], preview["items"], preview["feeds"]) == (3, 2, [])
    vectors = shop.catalog.stored_vectors(shop.catalog.keys())
    found = ended(client, client.post("/api/v1/imports", json={"upload": preview["upload"]}))
    assert (found["status"], found["report"]["changed"], found["report"]["added"]) == ("done", 2, 0)
    item = shop.catalog.get("0042")
    assert (item.metadata["price"], item.metadata["title"]) == (3.25, "Blue ring")
    assert (shop.catalog.stored_vectors(shop.catalog.keys()) == vectors).all()
    again = ended(client, client.post("/api/v1/imports", **upload({"prices.csv": prices})))
    assert (again["report"]["changed"], again["report"]["unchanged"]) == (0, 2)
    words = table(['0042,"19,95 €"', '0043,"1.299,00 €"', "0044,on request"], "id,price")
    found = ended(client, client.post("/api/v1/imports", **upload({"words.csv": words})))
    assert found["report"]["changed"] == 2
    assert any("holds prices now" in note for note in found["report"]["notes"])
    row = shop.catalog.get("0043").metadata
    assert (shop.catalog.metadata.columns["price"], row["price"], row["price_currency"]) == (
        "price",
        1299.0,
        "EUR",
    )
    with_photos = {"rows.csv": table(["new,A new ring"], "id,title"), "new.png": picture("red", 7)}
    assert ended(client, client.post("/api/v1/imports", **upload(with_photos)))["report"]["added"] == 1
    assert shop.catalog.get("new.png").title == "A new ring"
    strange = ended(client, client.post("/api/v1/imports", **upload({"x.csv": table(["q,1"], "id,price")})))
    assert (strange["status"], "name no item" in strange["reason"]) == ("failed", True)


def test_prices_by_ids_that_look_like_names_of_photos_describe_the_items(
    client: TestClient, shop: SearchService, tmp_path: Path
) -> None:
    names = [item.item_id for item in shop.catalog.iter_items()][:3]
    prices = table([f"{name},{place + 1}.5" for place, name in enumerate(names)], "id,price")
    local = tmp_path / "prices.csv"
    local.write_bytes(prices)
    assert client.post("/api/v1/imports/preview", json={"path": str(local)}).json()["items"] == 3
    preview = client.post("/api/v1/imports/preview", **upload({"prices.csv": prices})).json()
    assert (preview["rows"], preview["items"], preview["feeds"]) == (3, 3, [])
    found = ended(client, client.post("/api/v1/imports", json={"upload": preview["upload"]}))
    assert (found["status"], found["report"]["changed"], found["report"]["failed"]) == ("done", 3, 0)
    assert shop.catalog.get(names[1]).metadata["price"] == 2.5
    assert "id" not in shop.catalog.metadata.columns
    # With a photo that exists, or an id that is no item, it is a table of photos.
    with_photo = {"prices.csv": prices, names[0]: picture("blue", 5)}
    assert client.post("/api/v1/imports/preview", **upload(with_photo)).json()["feeds"][0]["photos"] == 1
    strange = {"prices.csv": prices + b"\nnone.jpg,1"}
    assert client.post("/api/v1/imports/preview", **upload(strange)).json()["feeds"][0]["failed"] == 4


def test_no_answer_names_the_folder_of_files_that_were_sent(client: TestClient, shop: SearchService) -> None:
    files = {
        "products.csv": table(["1,ring.png,Ring,1", "2,gone.png,Gone,2", "3,/etc/x.png,Outside,3"]),
        "ring.png": picture("blue"),
    }
    preview = client.post("/api/v1/imports/preview", **upload(files))
    (feed,) = preview.json()["feeds"]
    assert (feed["name"], feed["samples"][0]["image"]) == ("products.csv", "ring.png")
    found = ended(client, client.post("/api/v1/imports", json={"upload": preview.json()["upload"]}))
    prices = table(["1,2", "none,3"], "id,price")
    ended(client, client.post("/api/v1/imports", **upload({"prices.csv": prices})))
    answers = [
        preview,
        client.get("/api/v1/imports"),
        client.get(f"/api/v1/imports/{found['id']}/failures"),
        client.post("/api/v1/imports/preview", **upload({"x.csv": table(["1"], "colour")})),
        client.post("/api/v1/imports/preview", **upload({"x.csv": b"\0\0\1\2"})),
    ]
    for answer in answers:
        assert str(shop.catalog.folder.parent) not in answer.text


def test_an_import_that_is_cancelled_as_it_begins_imports_nothing(
    shop: SearchService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw_photo("ring", "blue", 0).save(tmp_path / "new.jpg")
    log, read = shop.imports.log, shop.imports.log.get

    def read_while_cancelled(number: int) -> LoggedImport:
        found = read(number)
        monkeypatch.setattr(log, "get", read)
        cancelling = threading.Thread(target=shop.imports.cancel, args=(number,))
        cancelling.start()
        cancelling.join(0.3)
        return found

    monkeypatch.setattr(log, "get", read_while_cancelled)
    number = shop.imports.start(ImportSpec(path=str(tmp_path)), "a test")
    assert shop.imports.wait(30)
    assert (shop.imports.get(number)["status"], len(shop.catalog)) == ("cancelled", 48)


def test_files_of_an_upload_that_no_import_uses_are_deleted_after_a_day(shop: SearchService) -> None:
    left, used, fresh = (shop.imports.stage(iter([("a.png", io.BytesIO(b"x"))])) for _ in range(3))
    shop.imports.log.add(ImportSpec(upload=used).as_dict(), "a test")
    for upload_id in (left, used):
        os.utime(shop.imports.staged.folder(upload_id), (1, 1))
    shop.imports.stage(iter([("b.png", io.BytesIO(b"x"))]))
    assert shop.imports.staged.folder(used)
    assert shop.imports.staged.folder(fresh)
    with pytest.raises(SourceError):
        shop.imports.staged.folder(left)


def test_all_archives_of_an_upload_have_one_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imgsearch.ingest.staged_files.MAX_UNPACKED_BYTES", 1000)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.png", bytes(600))
    staged = StagedFiles(tmp_path / "imports")
    staged.add(iter([("1.zip", io.BytesIO(packed.getvalue()))]))
    with pytest.raises(SourceError, match="unpack to more"):
        staged.add((f"{number}.zip", io.BytesIO(packed.getvalue())) for number in range(2))


def test_an_archive_is_unpacked_within_its_folder(
    client: TestClient, shop: SearchService, tmp_path: Path
) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("../../escaped.png", picture("green"))
        archive.writestr("photos/a.png", picture("blue", 3))
        archive.writestr("notes.exe", b"x")
    found = ended(client, client.post("/api/v1/imports", **upload({"all.zip": packed.getvalue()})))
    assert found["report"]["added"] == 2
    assert {"escaped.png", "photos/a.png"} <= {item.item_id for item in shop.catalog.iter_items()}
    assert not list(shop.catalog.folder.parent.rglob("escaped.png"))
    taped = io.BytesIO()
    with tarfile.open(fileobj=taped, mode="w:xz") as tape:
        entry = tarfile.TarInfo("a.png")
        entry.size = 200_000
        tape.addfile(entry, io.BytesIO(bytes(random.Random(1).choices(range(9), k=entry.size))))
    damaged = bytearray(taped.getvalue())
    damaged[40_000:40_064] = b"\xff" * 64
    refused = client.post("/api/v1/imports", **upload({"all.tar.xz": bytes(damaged)}))
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "bad_source")
    broken = client.post("/api/v1/imports", **upload({"all.zip": b"PK no archive"}))
    assert (broken.status_code, broken.json()["error"]["code"]) == (400, "bad_source")


def test_what_vanished_is_hidden_or_removed_within_the_limit_and_comes_back(
    client: TestClient, shop: SearchService, photos: Path
) -> None:
    feed = photos / "feed.csv"
    names = sorted(path.relative_to(photos).as_posix() for path in photos.rglob("*.jpg"))[:20]

    def write(listed: list[str]) -> None:
        feed.write_bytes(table([f"f{name},{name},A title,1" for name in listed]))

    def run(**options: Any) -> dict[str, Any]:
        return ended(client, client.post("/api/v1/imports", json={"path": str(feed), **options}))

    write(names)
    assert run()["report"]["added"] == 20
    write(names[3:])
    assert run(gone="hide")["reason"] == ""
    first, last = f"f{names[0]}", f"f{names[-1]}"
    assert first not in hits(shop, last, 100)
    assert first in {item.item_id for item in shop.catalog.iter_items()}
    write(names[:2])
    refused = run(gone="remove")
    assert "Would remove" in refused["reason"]
    assert refused["status"] == "failed"
    assert len(shop.catalog) == 68
    assert first in hits(shop, f"f{names[1]}", 100) | {first}
    write(names)
    run(gone="hide")
    assert first in hits(shop, last, 100)
    assert [rule.describe() for rule in shop.rules.all()] == ["Hide delisted=true"]
    write(names[:2])
    assert run(gone="remove", accept_removal=True)["report"]["removed"] == 18
    assert last not in {item.item_id for item in shop.catalog.iter_items()}


def test_changes_by_hand_outlive_that_an_item_was_hidden(
    client: TestClient, shop: SearchService, photos: Path
) -> None:
    feed = photos / "feed.csv"
    names = sorted(path.relative_to(photos).as_posix() for path in photos.rglob("*.jpg"))[:8]

    def run(listed: list[str]) -> None:
        feed.write_bytes(table([f"f{name},{name},A title,1" for name in listed]))
        ended(client, client.post("/api/v1/imports", json={"path": str(feed), "gone": "hide"}))

    run(names)
    first = f"f{names[0]}"
    shop.items.apply([ItemChange("patch", first, {"title": "Changed by hand"})], actor="test")
    run(names[1:])
    assert shop.catalog.get(first).metadata["delisted"] is True
    run(names)
    assert shop.catalog.get(first).metadata["title"] == "Changed by hand"
    assert "delisted" not in shop.catalog.get(first).metadata


def test_a_long_name_in_another_script_is_shortened(client: TestClient) -> None:
    files = {f"{'товар' * 50}.png": picture("red"), f"{'商品' * 60}.png": picture("blue")}
    answer = client.post("/api/v1/imports", **upload(files))
    assert ended(client, answer)["report"]["added"] == 2


def test_an_import_counts_the_files_that_it_leaves_out(client: TestClient, tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    (folder / "a.png").write_bytes(picture("red"))
    (folder / "cut.mp4").write_bytes(b"no photo")
    report = ended(client, client.post("/api/v1/imports", json={"path": str(folder)}))["report"]
    assert report["left_out"] == [{"reason": "other files", "count": 1, "examples": [".mp4"]}]


def test_an_import_is_paused_resumed_and_cancelled_between_batches(
    client: TestClient, shop: SearchService, tmp_path: Path
) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(140):
        draw_photo("ring", "blue", number).save(folder / f"{number:03d}.jpg")
    answer = client.post("/api/v1/imports", json={"path": str(folder)})
    place = answer.headers["Location"]
    while client.get(place).json()["progress"]["done"] < 32:
        time.sleep(0.01)
    assert client.post(f"{place}/pause").json()["status"] == "paused"
    time.sleep(0.3)
    items = len(shop.catalog)
    time.sleep(0.3)
    assert len(shop.catalog) == items
    queued = client.post("/api/v1/imports", json={"path": str(folder)}).headers["Location"]
    assert client.post(f"{queued}/cancel").json()["status"] == "cancelled"
    assert client.post(f"{place}/resume").json()["status"] == "running"
    client.post(f"{place}/cancel")
    cancelled = ended(client, answer)
    assert cancelled["status"] == "cancelled"
    assert 48 <= len(shop.catalog) < 188
    assert client.post(f"{place}/pause").status_code == 409
    assert client.get("/api/v1/imports/77").status_code == 404
    client.post(f"{place}/resume")
    assert ended(client, answer)["report"]["added"] <= 140
    assert len(shop.catalog) == 188


def test_an_import_that_the_end_of_the_process_interrupted_is_resumed(
    lite_catalog: Path, tmp_path: Path
) -> None:
    settings = Settings.load({}, catalog=lite_catalog, find_duplicates=False)
    for number in range(140):
        draw_photo("ring", "blue", number).save(tmp_path / f"{number:03d}.jpg")
    with closing(SearchService.open(settings)) as first:
        number = first.imports.start(ImportSpec(path=str(tmp_path)), "a test")
        while first.imports.get(number)["progress"]["done"] < 32:
            time.sleep(0.01)
    with closing(SearchService.open(settings)) as second:
        left = second.imports.get(number)
        assert (left["status"], left["report"]) == ("interrupted", None)
        second.imports.resume(number)
        assert second.imports.wait(30)
        assert second.imports.get(number)["status"] == "done"
        assert len([item for item in second.catalog.iter_items() if "/" not in item.item_id]) == 140
        with pytest.raises(ImportRefused):
            second.imports.resume(number)


def test_places_of_the_servers_disk_are_only_for_its_machine(
    shop: SearchService, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMGSEARCH_WRITE_TOKEN", "s3cret")
    settings = shop.settings.model_copy(update={"local_only": False})
    far = TestClient(create_api(lambda: shop, settings), client=("192.0.2.7", 1))
    assert far.post("/api/v1/imports", json={"path": str(photos)}).status_code == 401
    near = TestClient(
        create_api(lambda: shop, shop.settings), base_url="http://127.0.0.1", client=("127.0.0.1", 1)
    )
    # A proxy on the server's machine passes requests of other machines on.
    forwarded = {"Authorization": "Bearer s3cret", "X-Forwarded-For": "192.0.2.7"}
    for asked in ({"path": str(photos)}, {"url": "http://127.0.0.1:9/x.csv", "private_hosts": True}):
        answer = near.post("/api/v1/imports/preview", json=asked, headers=forwarded)
        assert answer.status_code == 403
        assert "the server's machine" in answer.json()["error"]["message"]
    for body, code in (
        ({}, "bad_source"),
        ({"url": "ftp://x/feed"}, "bad_source"),
        ({"path": "/nosuch"}, ""),
        ({"nosuch": 1}, "bad_query"),
        ({"url": "http://127.0.0.1:9/feed.csv"}, ""),
    ):
        answer = near.post("/api/v1/imports/preview", json=body)
        assert answer.status_code == 400, body
        assert code in answer.json()["error"]["code"]
    assert near.post("/api/v1/imports", content="url=x").status_code == 415
    with pytest.raises(SourceError):
        ImportSpec(url="http://x", path="/y")
    assert json.loads(near.get("/api/v1/imports").text) == {"imports": []}
