"""Sources: every photo is listed once, in a stable order, and bad files do not stop the listing."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from imgsearch.core.errors import SourceError
from imgsearch.core.records import Failure
from imgsearch.ingest.feeds import open_feed
from imgsearch.ingest.sources import Source, open_source
from imgsearch.store.item_table import Photo
from imgsearch.store.originals import file_of


def listed(source: Source) -> tuple[list[Photo], list[Failure]]:
    entries = list(source.photos())
    return (
        [entry for entry in entries if isinstance(entry, Photo)],
        [entry for entry in entries if isinstance(entry, Failure)],
    )


def ids(source: Source) -> list[str]:
    return [photo.item_id for photo in listed(source)[0]]


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


# --- folders ----------------------------------------------------------------------------------------------------


def test_a_folder_lists_its_image_files_recursively_in_order(tmp_path: Path) -> None:
    for name in (
        "b/2.JPG",
        "b/1.png",
        "a.webp",
        "z.heic",
        "notes.txt",
        ".hidden.jpg",
        ".git/x.jpg",
        "b/.DS_Store",
    ):
        touch(tmp_path / name)
    source = open_source(tmp_path)
    assert ids(source) == ids(source)
    assert sorted(ids(source)) == ["a.webp", "b/1.png", "b/2.JPG", "z.heic"]
    assert source.count() == 4
    assert source.complete
    photo = listed(source)[0][0]
    assert photo.size_bytes == 1
    assert photo.modified_ns > 0


def test_any_file_name_becomes_a_text_id_that_resolves_to_the_file(tmp_path: Path) -> None:
    names = [
        "a b.jpg",
        "q'\"uote.jpg",
        "🙂.jpg",
        "new\nline.jpg",
        "%41&?#.jpg",
        "-rf.jpg",
        os.fsdecode(b"\xff\xfe.jpg"),
    ]
    for name in names:
        touch(tmp_path / name)
    photos, failures = listed(open_source(tmp_path))
    assert failures == []
    assert len({photo.item_id for photo in photos}) == len(names)
    assert {str(file_of(photo.location)) for photo in photos} == {str(tmp_path / name) for name in names}
    for photo in photos:
        photo.item_id.encode("utf-8")


def test_a_file_that_is_not_a_photo_is_a_failure_and_the_listing_continues(tmp_path: Path) -> None:
    touch(tmp_path / "good.jpg")
    (tmp_path / "broken.jpg").symlink_to(tmp_path / "none")
    (tmp_path / "circle.jpg").symlink_to(tmp_path / "circle.jpg")
    (tmp_path / "folder.jpg").mkdir()
    touch(tmp_path / "folder.jpg" / "inside.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    source = open_source(tmp_path)
    photos, failures = listed(source)
    assert [photo.item_id for photo in photos] == ["good.jpg", "folder.jpg/inside.jpg"]
    reasons = {failure.path: failure.reason for failure in failures}
    assert set(reasons) == {"broken.jpg", "circle.jpg", "pipe.jpg"}
    assert "link" in reasons["broken.jpg"]
    assert "regular" in reasons["pipe.jpg"]
    assert source.count() is not None


def test_links_to_photos_are_followed_and_links_to_folders_are_not(tmp_path: Path) -> None:
    touch(tmp_path / "shop" / "a.jpg")
    (tmp_path / "shop" / "again").symlink_to(tmp_path / "shop")
    (tmp_path / "shop" / "b.jpg").symlink_to(tmp_path / "shop" / "a.jpg")
    assert ids(open_source(tmp_path / "shop")) == ["a.jpg", "b.jpg"]


def test_an_existing_path_that_is_no_source_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no folder or file"):
        open_source(tmp_path / "none")
    with pytest.raises(SourceError, match="neither a folder"):
        open_source(touch(tmp_path / "notes.doc"))


# --- archives ---------------------------------------------------------------------------------------------------


HOSTILE = ["../../evil.jpg", "/abs.jpg", "a/../b.jpg", "new\nline.jpg", "🙂.jpg", "C:\\win.jpg"]


def test_a_zip_lists_its_photos_without_unpacking(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        for name in ["a.jpg", "b/c.PNG", "notes.txt", "__MACOSX/a.jpg", "b/._c.jpg", *HOSTILE]:
            archive.writestr(name, b"x")
        archive.mkdir("folder.jpg")
    source = open_source(tmp_path / "z.zip")
    photos, failures = listed(source)
    assert failures == []
    assert [photo.item_id for photo in photos][:2] == ["a.jpg", "b/c.PNG"]
    assert len(photos) == source.count() == 2 + len(HOSTILE)
    assert [path.name for path in tmp_path.iterdir()] == ["z.zip"]


@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "tgz", "tar.xz"])
def test_a_tar_lists_its_files_but_neither_links_nor_devices(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"t.{suffix}"
    modes = {"gz": "w:gz", "tgz": "w:gz", "xz": "w:xz"}
    with tarfile.open(path, modes.get(suffix.split(".")[-1], "w")) as archive:  # type: ignore[call-overload]
        for name in ["./a.jpg", *HOSTILE]:
            info = tarfile.TarInfo(name)
            info.size, info.mtime = 1, 12345
            archive.addfile(info, io.BytesIO(b"x"))
        for name, kind in (
            ("link.jpg", tarfile.SYMTYPE),
            ("pipe.jpg", tarfile.FIFOTYPE),
            ("dev.jpg", tarfile.CHRTYPE),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    photos, failures = listed(open_source(path))
    assert failures == []
    assert photos[0].item_id == "a.jpg"
    assert photos[0].modified_ns == 12345 * 10**9
    assert len(photos) == 1 + len(HOSTILE)


def test_a_non_archive_is_refused(tmp_path: Path) -> None:
    for name in ("a.zip", "a.tar", "a.tar.gz"):
        (tmp_path / name).write_bytes(b"not an archive at all")
        with pytest.raises(SourceError, match=name):
            list(open_source(tmp_path / name).photos())


def test_a_truncated_tar_lists_its_readable_part_and_reports_truncation(tmp_path: Path) -> None:
    path = tmp_path / "t.tar"
    with tarfile.open(path, "w") as archive:
        for number in range(5):
            info = tarfile.TarInfo(f"{number}.jpg")
            info.size = 4000
            archive.addfile(info, io.BytesIO(bytes(4000)))
    path.write_bytes(path.read_bytes()[:12_000])
    source = open_source(path)
    photos, failures = listed(source)
    assert [photo.item_id for photo in photos][:2] == ["0.jpg", "1.jpg"]
    assert len(failures) == 1
    assert not source.complete


def test_a_zip_with_impossible_dates_is_listed(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr(zipfile.ZipInfo("a.jpg", (1980, 0, 0, 0, 0, 0)), b"x")
        archive.writestr(zipfile.ZipInfo("b.jpg", (2107, 12, 31, 23, 59, 59)), b"x")
    assert ids(open_source(tmp_path / "z.zip")) == ["a.jpg", "b.jpg"]


# --- manifests --------------------------------------------------------------------------------------------------


def manifest(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_manifest_lists_photos_with_ids_and_metadata(tmp_path: Path) -> None:
    touch(tmp_path / "p" / "1.jpg")
    touch(tmp_path / "p" / "2.jpg")
    path = manifest(
        tmp_path / "m.csv",
        "id,Image,title,price\n007,p/1.jpg,Mug,5\n,./p/2.jpg,,\n9,https://shop.example/x.jpg,T,\n",
    )
    photos, failures = listed(open_source(path))
    assert failures == []
    assert [(photo.item_id, dict(photo.metadata)) for photo in photos] == [
        ("007", {"title": "Mug", "price": 5.0}),
        ("p/2.jpg", {}),
        ("9", {"title": "T"}),
    ]
    assert photos[2].location == "https://shop.example/x.jpg"
    assert open_source(path).count() == 3


def test_a_parquet_manifest_may_contain_embeddings(tmp_path: Path) -> None:
    touch(tmp_path / "1.jpg")
    frame = pd.DataFrame({"image": ["1.jpg"], "price": [5], "embedding": [[0.5] * 16]})
    frame.to_parquet(tmp_path / "m.parquet")
    ((photo,), failures) = listed(open_source(tmp_path / "m.parquet"))
    assert (dict(photo.metadata), failures) == ({"price": 5}, [])


def test_rows_with_missing_or_outside_paths_are_failures(tmp_path: Path) -> None:
    touch(tmp_path / "secret.jpg")
    touch(tmp_path / "m" / "good.jpg")
    (tmp_path / "m" / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    path = manifest(
        tmp_path / "m" / "m.csv",
        f"id,image\n1,good.jpg\n2,../secret.jpg\n3,{tmp_path}/secret.jpg\n4,link.jpg\n5,none.jpg\n6,\n7,a\x00b.jpg\n"
        "8,ftp://x/y.jpg\n9,file:///etc/passwd\n",
    )
    photos, failures = listed(open_source(path))
    assert [photo.item_id for photo in photos] == ["1"]
    assert [failure.path for failure in failures] == ["2", "3", "4", "5", "6", "7", "8", "9"]
    for failure in failures[:3]:
        assert "--root" in failure.reason
    assert all("\n" not in failure.reason for failure in failures)
    photos, _ = listed(open_source(path, root=tmp_path))
    assert [photo.item_id for photo in photos] == ["1", "2", "3", "4"]


def test_a_manifest_without_images_is_refused_with_a_list_of_its_columns(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="title, price"):
        open_feed(manifest(tmp_path / "m.csv", "title,price\na,1\n"))


def test_ids_are_in_row_order(tmp_path: Path) -> None:
    path = manifest(tmp_path / "m.csv", "id,image\na,1.jpg\n,2.jpg\n,\n")
    assert list(open_feed(path).ids) == ["a", "2.jpg", ""]
