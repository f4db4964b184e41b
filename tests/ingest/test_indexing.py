"""Indexing: additions, changes, unchanged items and reports, from every kind of source."""

from __future__ import annotations

import io
import os
import shutil
import struct
import tarfile
import zipfile
import zlib
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from colour_encoder import ColourEncoder
from photos import draw_photo
from PIL import Image
from samples import index_into

from imgsearch.core.errors import EncoderMismatch, SourceError
from imgsearch.core.query import Query
from imgsearch.core.records import IndexingReport, Item
from imgsearch.encoders import Encoder
from imgsearch.index.opening import open_live_index
from imgsearch.ingest.indexing import IndexingOptions, index_sources
from imgsearch.ingest.pruning import NO_LIMIT
from imgsearch.ingest.run import Progress
from imgsearch.ingest.verification import verify_catalog
from imgsearch.search.searcher import Searcher
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.originals import Originals
from imgsearch.store.thumbnails import ThumbnailCache


class Shop:
    """A catalog folder, a counting encoder, and the last report."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "catalog"
        self.log = folder / "encoded.log"
        self.log.touch()

    def index(self, *sources: str | Path, **options: Any) -> IndexingReport:
        return index_into(self.folder, ColourEncoder(log=self.log), sources, **options)

    @property
    def encoded(self) -> int:
        return len(self.log.read_text().splitlines())

    def items(self) -> dict[str, Item]:
        with CatalogStore.open(self.folder) as catalog:
            assert verify_catalog(catalog).problems == ()
            return {item.item_id: item for item in catalog.iter_items()}


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    (tmp_path / "shop").mkdir()
    return Shop(tmp_path / "shop")


def counts(report: IndexingReport) -> tuple[int, int, int, int, int]:
    """Return (added, changed, unchanged, vanished, failed)."""
    return (report.added, report.changed, report.unchanged, report.vanished, len(report.failed))


def newer(path: Path) -> None:
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 10**9))


# --- the second run ---------------------------------------------------------------------------------------------


def test_a_second_run_changes_nothing_and_encodes_nothing(
    shop: Shop, photos: Path, metadata_csv: Path
) -> None:
    assert counts(shop.index(photos, metadata=metadata_csv)) == (48, 0, 0, 0, 0)
    before = shop.items()
    assert shop.encoded == 48
    for options in ({"metadata": metadata_csv}, {}, {"metadata": metadata_csv}):
        assert counts(shop.index(photos, **options)) == (0, 0, 48, 0, 0)
    assert shop.items() == before
    assert shop.encoded == 48


def test_a_changed_photo_is_encoded_again_and_keeps_its_metadata(
    shop: Shop, photos: Path, metadata_csv: Path
) -> None:
    shop.index(photos, metadata=metadata_csv)
    before = shop.items()["mug/red-0.jpg"]
    draw_photo("ring", "black", 7).save(photos / "mug/red-0.jpg")
    newer(photos / "mug/red-0.jpg")
    assert counts(shop.index(photos)) == (0, 1, 47, 0, 0)
    after = shop.items()["mug/red-0.jpg"]
    assert after.key != before.key
    assert after.metadata == before.metadata
    assert shop.encoded == 49
    assert counts(shop.index(photos, metadata=metadata_csv)) == (0, 0, 48, 0, 0)


def test_a_photo_with_only_a_new_mtime_is_not_encoded_again(shop: Shop, photos: Path) -> None:
    shop.index(photos)
    newer(photos / "mug/red-0.jpg")
    assert counts(shop.index(photos)) == (0, 0, 48, 0, 0)
    assert shop.encoded == 48


def test_a_vanished_photo_is_reported_and_removed_only_on_demand(shop: Shop, photos: Path) -> None:
    shop.index(photos)
    (photos / "mug/red-0.jpg").unlink()
    report = shop.index(photos)
    assert (counts(report), report.removed) == ((0, 0, 47, 1, 0), 0)
    assert "mug/red-0.jpg" in shop.items()
    report = shop.index(photos, prune=True)
    assert (counts(report), report.removed) == ((0, 0, 47, 1, 0), 1)
    assert "mug/red-0.jpg" not in shop.items()
    assert counts(shop.index(photos)) == (0, 0, 47, 0, 0)


def test_pruning_one_source_leaves_the_others_alone(shop: Shop, photos: Path, tmp_path: Path) -> None:
    shutil.move(photos / "mug", tmp_path / "mugs")
    shop.index(photos, tmp_path / "mugs")
    shutil.rmtree(photos / "lamp")
    assert shop.index(photos, prune=True, prune_limit=NO_LIMIT).removed == 12
    assert len(shop.items()) == 36


def test_new_metadata_is_stored_without_encoding(shop: Shop, photos: Path, metadata_csv: Path) -> None:
    shop.index(photos)
    report = shop.index(photos, metadata=metadata_csv)
    assert counts(report) == (0, 48, 0, 0, 0)
    assert shop.items()["mug/red-0.jpg"].metadata["title"] == "Red mug no. 0"
    text = metadata_csv.read_text().replace("Red mug no. 0", "Crimson mug")
    metadata_csv.write_text(text + "none.jpg,Ghost,mug,red,1,true\n")
    report = shop.index(photos, metadata=metadata_csv)
    assert counts(report) == (0, 1, 47, 0, 0)
    assert "1 of 49 rows" in report.notes[0]
    assert shop.items()["mug/red-0.jpg"].metadata["title"] == "Crimson mug"
    assert shop.encoded == 48


def test_a_moved_folder_is_recognised_without_encoding(shop: Shop, photos: Path, tmp_path: Path) -> None:
    shop.index(photos)
    before = shop.items()
    shutil.move(photos, tmp_path / "elsewhere")
    assert counts(shop.index(tmp_path / "elsewhere")) == (0, 0, 48, 0, 0)
    assert shop.encoded == 48
    after = shop.items()
    assert {item_id: item.key for item_id, item in after.items()} == {
        k: item.key for k, item in before.items()
    }
    assert after["mug/red-0.jpg"].location == str(tmp_path / "elsewhere/mug/red-0.jpg")


def test_an_id_of_another_source_is_a_failure_that_names_the_source(
    shop: Shop, photos: Path, tmp_path: Path
) -> None:
    shutil.copytree(photos / "mug", tmp_path / "other/mug")
    report = shop.index(photos, tmp_path / "other")
    assert counts(report) == (48, 0, 0, 0, 12)
    assert str(photos / "mug") in report.failed[0].reason
    draw_photo("ring", "blue", 9).save(tmp_path / "other/mug/red-0.jpg")
    report = shop.index(tmp_path / "other")
    assert counts(report) == (0, 0, 11, 0, 1)  # the copies are the same photos at another place
    assert str(photos / "mug") in report.failed[0].reason
    assert "--take-over" in report.failed[0].reason
    assert counts(shop.index(tmp_path / "other", take_over=True)) == (0, 1, 11, 0, 0)


def test_an_id_held_by_a_photo_in_an_archive_is_not_overwritten(
    shop: Shop, photos: Path, tmp_path: Path
) -> None:
    shutil.make_archive(str(tmp_path / "all"), "zip", photos)
    shop.index(tmp_path / "all.zip")
    draw_photo("ring", "blue", 9).save(photos / "mug/red-0.jpg")
    assert counts(shop.index(photos)) == (0, 0, 47, 0, 1)
    (tmp_path / "all.zip").unlink()
    assert counts(shop.index(photos)) == (0, 1, 47, 0, 0)
    assert shop.encoded == 49


def test_a_repeated_source_is_indexed_once(shop: Shop, photos: Path) -> None:
    assert counts(shop.index(photos, photos, str(photos) + "/")) == (48, 0, 0, 0, 0)


def test_another_encoder_is_refused_and_nothing_changes(shop: Shop, photos: Path) -> None:
    shop.index(photos)
    before = shop.items()
    with pytest.raises(EncoderMismatch, match="test:colours@2"):
        index_into(shop.folder, ColourEncoder(version=2), [photos])
    assert shop.items() == before


def test_an_unusable_source_changes_nothing(shop: Shop, photos: Path, tmp_path: Path) -> None:
    for sources, options in (
        ([photos, tmp_path / "none"], {}),
        ([], {}),
        ([photos], {"metadata": tmp_path / "none.csv"}),
        ([photos], {"embeddings": tmp_path / "none.npy"}),
    ):
        with pytest.raises(SourceError):
            shop.index(*sources, **options)
    assert shop.items() == {}


def test_an_empty_folder_creates_an_empty_catalog(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert counts(shop.index(tmp_path / "empty")) == (0, 0, 0, 0, 0)
    assert shop.items() == {}


def test_progress_counts_up_to_the_total(shop: Shop, photos: Path) -> None:
    (photos / "bad.jpg").write_bytes(b"")
    steps: list[Progress] = []
    with CatalogStore.open(shop.folder, create=True) as catalog:
        report = index_sources(
            catalog, open_live_index(catalog), ColourEncoder(), [photos], progress=steps.append
        )
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert steps[-1] == Progress(done=49, total=49, encoded=48, failed=1)
    assert {"scan", "decode", "encode", "store", "index", "total"} <= report.seconds.keys()
    assert report.as_dict()["failed"] == [{"path": "bad.jpg", "reason": report.failed[0].reason}]


# --- the dirty folder -------------------------------------------------------------------------------------------


def huge_png(path: Path, side: int) -> None:
    """Write a valid grey PNG of side x side pixels, small on disk."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(9)
    row = bytes(1 + side // 8)
    pixels = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


GOOD = {
    "plain.jpg": ("mug", "red"),
    "with space.png": ("mug", "blue"),
    "quote'\".jpg": ("lamp", "green"),
    "🙂 émile.webp": ("lamp", "yellow"),
    "new\nline.jpg": ("chair", "purple"),
    "-n --help.jpg": ("chair", "black"),
    "%2e%2e&?#.jpg": ("ring", "red"),
    "UPPER.JPEG": ("ring", "blue"),
    "deep/er/and deeper.gif": ("mug", "yellow"),
}


@pytest.fixture
def dirty(tmp_path: Path) -> Path:
    """Return a folder of good photos with unusual names and of files with every kind of defect."""
    folder = tmp_path / "dirty"
    (folder / "deep/er").mkdir(parents=True)
    for name, (shape, colour) in GOOD.items():
        draw_photo(shape, colour).save(folder / name)
    draw_photo("lamp", "purple").save(os.fsencode(folder) + b"/not \xff\xfe utf8.jpg", "JPEG")
    whole = (folder / "plain.jpg").read_bytes()
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.jpg").write_text("I am a text file")
    (folder / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "only header.jpg").write_bytes(whole[:20])
    huge_png(folder / "huge.png", 30_000)
    (folder / "broken.jpg").symlink_to(folder / "none")
    (folder / "circle.jpg").symlink_to(folder / "circle.jpg")
    os.mkfifo(folder / "pipe.jpg")
    (folder / "folder.jpg").mkdir()
    (folder / "notes.txt").write_text("no photo at all")
    if os.geteuid() != 0:  # root can read every file
        (folder / "unreadable.jpg").write_bytes(whole)
        (folder / "unreadable.jpg").chmod(0)
    return folder


BAD = {
    "empty.jpg": "empty",
    "text.jpg": "",
    "truncated.jpg": "",
    "only header.jpg": "",
    "huge.png": "pixels",
    "broken.jpg": "link",
    "circle.jpg": "",
    "pipe.jpg": "regular",
}


def check_dirty(folder: Path, dirty: Path, encoder: Encoder, report: IndexingReport) -> None:
    reasons = {failure.path: failure.reason for failure in report.failed}
    expected = dict(BAD) if os.geteuid() == 0 else {**BAD, "unreadable.jpg": "permission"}
    assert reasons.keys() == expected.keys()
    for name, word in expected.items():
        assert word in reasons[name]
        assert "\n" not in reasons[name]
        assert reasons[name].endswith(".")
    assert report.added == len(GOOD) + 1
    with CatalogStore.open(folder) as catalog:
        assert verify_catalog(catalog).problems == ()
        searcher = Searcher(catalog, open_live_index(catalog), lambda: encoder)
        originals = Originals()
        for item in catalog.iter_items():
            data = originals.read(item.location)
            hit = searcher.search(Query.of(image=data, n=1)).hits[0]
            assert (hit.item_id, hit.score > 0.999) == (item.item_id, True)
        assert {item.item_id for item in catalog.iter_items()} >= GOOD.keys()
        originals.close()


def test_in_a_dirty_folder_every_good_photo_is_found_and_each_bad_one_listed(shop: Shop, dirty: Path) -> None:
    report = shop.index(dirty)
    check_dirty(shop.folder, dirty, ColourEncoder(), report)
    again = shop.index(dirty)
    assert counts(again) == (0, 0, len(GOOD) + 1, 0, len(report.failed))
    assert shop.encoded == len(GOOD) + 1


def test_in_a_dirty_folder_the_real_lite_encoder_does_the_same(
    shop: Shop, dirty: Path, lite: Encoder
) -> None:
    report = index_into(shop.folder, lite, [dirty])
    check_dirty(shop.folder, dirty, lite, report)


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (2, 2), (5000, 40)])
def test_photos_of_extreme_shapes_are_indexed(shop: Shop, tmp_path: Path, size: tuple[int, int]) -> None:
    (tmp_path / "p").mkdir()
    Image.new("RGB", size, "red").save(tmp_path / "p" / "a.png")
    assert counts(shop.index(tmp_path / "p")) == (1, 0, 0, 0, 0)
    item = shop.items()["a.png"]
    assert (item.width_px, item.height_px) == size


def test_an_unexpected_error_in_one_photo_does_not_stop_the_run(
    shop: Shop, photos: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Picky(ColourEncoder):
        def preprocess(self, image: Image.Image) -> Any:
            if image.width == 17:
                raise ZeroDivisionError("seventeen")
            return super().preprocess(image)

    Image.new("RGB", (17, 17), "red").save(photos / "odd.jpg")
    report = index_into(shop.folder, Picky(), [photos])
    assert counts(report) == (48, 0, 0, 0, 1)
    assert "seventeen" in report.failed[0].reason


# --- archives and manifests -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["zip", "tar", "gztar"])
def test_archives_are_indexed_without_unpacking_and_skipped_when_unchanged(
    shop: Shop, photos: Path, tmp_path: Path, kind: str
) -> None:
    archive = Path(shutil.make_archive(str(tmp_path / "all"), kind, photos))
    before = sorted(tmp_path.rglob("*.jpg"))
    assert counts(shop.index(archive)) == (48, 0, 0, 0, 0)
    assert counts(shop.index(archive)) == (0, 0, 48, 0, 0)
    assert sorted(tmp_path.rglob("*.jpg")) == before
    assert shop.encoded == 48
    assert "mug/red-0.jpg" in shop.items()


def test_a_zip_with_hostile_names_duplicates_and_bad_members_yields_its_good_photos(
    shop: Shop, tmp_path: Path
) -> None:
    def jpeg(colour: str) -> bytes:
        buffer = io.BytesIO()
        draw_photo("mug", colour).save(buffer, "JPEG")
        return buffer.getvalue()

    with zipfile.ZipFile(tmp_path / "z.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("../../evil.jpg", "/abs.jpg", "new\nline.jpg", "twice.jpg"):
            archive.writestr(name, jpeg("red"))
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("twice.jpg", jpeg("blue"))
        archive.writestr("bomb.jpg", bytes(200_000_000))
        archive.writestr("text.jpg", b"text")
    report = shop.index(tmp_path / "z.zip")
    assert counts(report) == (4, 0, 0, 0, 3)
    assert shop.items().keys() == {"../../evil.jpg", "/abs.jpg", "new\nline.jpg", "twice.jpg"}
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".jpg"] == []


def test_photos_of_a_truncated_archive_do_not_count_as_vanished(
    shop: Shop, photos: Path, tmp_path: Path
) -> None:
    path = tmp_path / "all.tar"
    with tarfile.open(path, "w") as archive:
        archive.add(photos, ".")
    shop.index(path)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    report = shop.index(path, prune=True)
    assert (report.vanished, report.removed) == (0, 0)
    assert any("read to its end" in note for note in report.notes)
    assert len(shop.items()) == 48


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_a_manifest_with_ids_provides_photos_and_metadata(shop: Shop, photos: Path, suffix: str) -> None:
    frame = pd.read_csv(photos.parent / "metadata.csv")
    frame["image"] = "photos/" + frame["image"]
    frame.insert(0, "id", [f"sku-{number:03d}" for number in range(len(frame))])
    path = photos.parent / f"manifest.{suffix}"
    if suffix == "csv":
        frame.to_csv(path, index=False)
    elif suffix == "parquet":
        frame.to_parquet(path)
    else:
        frame.to_json(path, orient="records", lines=True)
    assert counts(shop.index(path)) == (48, 0, 0, 0, 0)
    assert counts(shop.index(path)) == (0, 0, 48, 0, 0)
    item = shop.items()["sku-000"]
    assert (item.metadata["colour"], item.metadata["price"]) == ("red", 5)
    assert "id" not in item.metadata
    assert "image" not in item.metadata


def test_a_photo_listed_twice_in_a_manifest_is_indexed_once_and_reported(shop: Shop, photos: Path) -> None:
    path = photos.parent / "m.csv"
    path.write_text("image,size\nphotos/mug/red-0.jpg,S\nphotos/mug/red-0.jpg,M\nphotos/mug/red-1.jpg,S\n")
    report = shop.index(path)
    assert counts(report) == (2, 0, 0, 0, 1)
    assert "already used" in report.failed[0].reason
    path.write_text("id,image\na,photos/mug/red-0.jpg\nb,photos/mug/red-0.jpg\n")
    assert counts(index_into(shop.folder.parent / "other", ColourEncoder(), [path])) == (2, 0, 0, 0, 0)


def test_paths_outside_a_manifests_folder_need_permission(shop: Shop, photos: Path) -> None:
    path = photos / "lists" / "m.csv"
    path.parent.mkdir()
    path.write_text("image\n../mug/red-0.jpg\n")
    report = shop.index(path)
    assert counts(report) == (0, 0, 0, 0, 1)
    assert "--root" in report.failed[0].reason
    assert counts(shop.index(path, root=photos)) == (1, 0, 0, 0, 0)


def test_photos_at_urls_are_fetched_once_and_keep_a_thumbnail(shop: Shop, photos: Path, web: str) -> None:
    path = photos.parent / "urls.csv"
    path.write_text(f"id,image\na,{web}/mug/red-0.jpg\nb,{web}/mug/none.jpg\nc,{web}/lamp/blue-0.jpg\n")
    with CatalogStore.open(shop.folder, create=True) as catalog:
        originals = Originals(private_hosts=True)
        thumbnails = ThumbnailCache(shop.folder / "thumbnails", originals, max_bytes=10**8)
        run = partial(
            index_sources,
            catalog, open_live_index(catalog), ColourEncoder(log=shop.log), [path],
            originals=originals, thumbnails=thumbnails,
        )  # fmt: skip
        report = run()
        assert counts(report) == (2, 0, 0, 0, 1)
        assert report.failed[0].path == f"{web}/mug/none.jpg"
        assert "404" in report.failed[0].reason
        assert counts(run())[:3] == (0, 0, 2)
        shutil.rmtree(photos)  # the originals are gone, the thumbnail remains
        for item in catalog.iter_items():
            assert len(thumbnails.get(item, 384).data) > 100
    assert shop.encoded == 2


def test_urls_in_the_local_network_are_refused_without_permission(shop: Shop, photos: Path, web: str) -> None:
    path = photos.parent / "urls.csv"
    path.write_text(f"id,image\na,{web}/mug/red-0.jpg\nb,http://[::1\nc,https://\n")
    report = shop.index(path)
    assert counts(report) == (0, 0, 0, 0, 3)
    assert "--private-hosts" in report.failed[0].reason


# --- embeddings made elsewhere ----------------------------------------------------------------------------------


@pytest.fixture
def precomputed(photos: Path) -> tuple[Path, np.ndarray[Any, Any]]:
    """Return a manifest of the photos and embeddings of its rows, not normalised."""
    frame = pd.read_csv(photos.parent / "metadata.csv")
    frame["image"] = "photos/" + frame["image"]
    path = photos.parent / "manifest.csv"
    frame.to_csv(path, index=False)
    vectors = np.random.default_rng(0).normal(size=(48, ColourEncoder.dim)).astype(np.float32)
    return path, vectors


def test_npy_embeddings_are_matched_by_row_and_skip_the_encoder(
    shop: Shop, precomputed: Any, tmp_path: Path
) -> None:
    manifest, vectors = precomputed
    np.save(tmp_path / "e.npy", vectors)
    assert counts(shop.index(manifest, embeddings=tmp_path / "e.npy")) == (48, 0, 0, 0, 0)
    assert counts(shop.index(manifest, embeddings=tmp_path / "e.npy")) == (0, 0, 48, 0, 0)
    assert shop.encoded == 0
    with CatalogStore.open(shop.folder) as catalog:
        stored = catalog.vectors(catalog.keys())
        assert np.allclose(stored, vectors / np.linalg.norm(vectors, axis=1, keepdims=True), atol=1e-3)
        assert catalog.get("photos/mug/red-0.jpg").metadata["colour"] == "red"
    vectors[3] *= -1
    np.save(tmp_path / "e.npy", vectors)
    assert counts(shop.index(manifest, embeddings=tmp_path / "e.npy")) == (0, 1, 47, 0, 0)


def test_parquet_embeddings_are_matched_by_id(
    shop: Shop, precomputed: Any, photos: Path, tmp_path: Path
) -> None:
    _, vectors = precomputed
    ids = [path.relative_to(photos).as_posix() for path in sorted(photos.rglob("*.jpg"))]
    frame = pd.DataFrame({"id": ids[:40], "embedding": list(vectors[:40])}).sample(frac=1, random_state=0)
    frame.to_parquet(tmp_path / "e.parquet")
    report = shop.index(photos, embeddings=tmp_path / "e.parquet")
    assert counts(report) == (40, 0, 0, 0, 8)
    assert "no embedding" in report.failed[0].reason
    with CatalogStore.open(shop.folder) as catalog:
        key = catalog.get(ids[5]).key
        expected = vectors[5] / np.linalg.norm(vectors[5])
        assert catalog.vectors(np.array([key], np.uint64))[0] @ expected > 0.9999


def test_zero_embeddings_are_failures(shop: Shop, precomputed: Any, tmp_path: Path) -> None:
    manifest, vectors = precomputed
    vectors[0], vectors[1], vectors[2, 5] = np.nan, 0, np.inf
    np.save(tmp_path / "e.npy", vectors)
    report = shop.index(manifest, embeddings=tmp_path / "e.npy")
    assert counts(report) == (45, 0, 0, 0, 3)
    assert {"finite" in failure.reason for failure in report.failed} == {True}


def test_embeddings_that_do_not_fit_are_refused_before_anything_changes(
    shop: Shop, precomputed: Any, photos: Path, tmp_path: Path
) -> None:
    manifest, vectors = precomputed
    np.save(tmp_path / "short.npy", vectors[:40])
    np.save(tmp_path / "flat.npy", vectors.ravel())
    np.save(tmp_path / "e.npy", vectors)
    np.save(tmp_path / "objects.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    (tmp_path / "text.npy").write_text("no array")
    pd.DataFrame({"id": ["a", "b"], "embedding": [[1.0, 2.0], [1.0]]}).to_parquet(tmp_path / "ragged.parquet")
    pd.DataFrame({"id": ["a"], "other": [1]}).to_parquet(tmp_path / "columns.parquet")
    for source, name in (
        (manifest, "short.npy"), (manifest, "flat.npy"), (photos, "e.npy"), (manifest, "objects.npy"),
        (manifest, "text.npy"), (photos, "ragged.parquet"), (photos, "columns.parquet"),
    ):  # fmt: skip
        with pytest.raises(SourceError, match=name):
            shop.index(source, embeddings=tmp_path / name)
    np.save(tmp_path / "wide.npy", np.ones((48, 10), np.float32))
    with pytest.raises(EncoderMismatch, match="10 dimensions"):
        shop.index(manifest, embeddings=tmp_path / "wide.npy")
    assert shop.items() == {}


# --- end to end with a real model -------------------------------------------------------------------------------


def test_the_real_lite_encoder_indexes_searches_and_skips_unchanged_photos(
    lite: Encoder, photos: Path, metadata_csv: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "catalog"
    report = index_into(folder, lite, [photos], metadata=metadata_csv)
    assert counts(report) == (48, 0, 0, 0, 0)
    assert report.encoder == lite.id
    assert counts(index_into(folder, lite, [photos], metadata=metadata_csv)) == (0, 0, 48, 0, 0)
    with CatalogStore.open(folder) as catalog:
        assert verify_catalog(catalog).problems == ()
        picture = Image.open(photos / "mug/red-0.jpg")
        direct = lite.encode_images([picture.convert("RGB")])[0]
        stored = catalog.vectors(np.array([catalog.get("mug/red-0.jpg").key], np.uint64))[0]
        assert direct @ stored > 0.999


def test_the_same_process_may_search_during_indexing(shop: Shop, photos: Path) -> None:
    shop.index(photos)
    with CatalogStore.open(shop.folder) as catalog:
        index = open_live_index(catalog)
        searcher = Searcher(catalog, index, ColourEncoder)
        for number, colour in enumerate(("red", "blue")):
            Image.new("RGB", (50, 50), colour).save(photos / f"plain {colour}.png")
            index_sources(catalog, index, ColourEncoder(), [photos], options=IndexingOptions(threads=1))
            assert searcher.search(Query.of(text=colour, n=1)).matching == 49 + number
            data = (photos / f"plain {colour}.png").read_bytes()
            assert searcher.search(Query.of(image=data, n=1)).hits[0].item_id == f"plain {colour}.png"
