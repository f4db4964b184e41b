"""Files by URLs: fsspec's in-memory and local stores represent cloud stores."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import fsspec
import pytest
from colour_encoder import ColourEncoder

from imgsearch.core.errors import ImageTooLarge, SourceError
from imgsearch.index.opening import open_live_index
from imgsearch.ingest.indexing import index_sources
from imgsearch.ingest.sources import open_source
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.originals import Originals, file_of
from imgsearch.store.remote_files import (
    is_remote,
    list_files,
    list_names,
    normalised_place,
    read_file,
    write_file,
)


@pytest.fixture
def bucket(shared_photos: Path) -> Iterator[str]:
    """Return the URL of an in-memory store with the 48 photos, a hidden file and a non-image."""
    store = fsspec.filesystem("memory")
    for path in shared_photos.rglob("*.jpg"):
        store.pipe_file(f"/shop/{path.relative_to(shared_photos).as_posix()}", path.read_bytes())
    store.pipe_file("/shop/.cache/hidden.jpg", b"x")
    store.pipe_file("/shop/readme.txt", b"x")
    store.pipe_file("/shop/broken.jpg", b"no picture")
    yield "memory://shop"
    store.rm("/shop", recursive=True)


@pytest.mark.parametrize("text", ["s3://bucket/photos", "gs://b/x", "memory://shop", "local:///data"])
def test_urls_of_stores_differ_from_paths_and_web_pages(text: str) -> None:
    assert is_remote(text)
    assert file_of(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "/data/s3",
        "https://shop.example/1.jpg",
        "file:///data",
        "zip:/a.zip!/b.jpg",
        "s3:/x",
        "simplecache::s3://b",
    ],
)
def test_other_texts_are_not_store_urls(text: str) -> None:
    assert not is_remote(text)


def test_the_photos_below_a_url_are_listed_by_their_relative_names(bucket: str, shared_photos: Path) -> None:
    source = open_source(f"{bucket}/")
    photos = list(source.photos())
    expected = sorted(path.relative_to(shared_photos).as_posix() for path in shared_photos.rglob("*.jpg"))
    assert [photo.item_id for photo in photos] == sorted(["broken.jpg", *expected])
    assert source.count() == 49
    assert source.name == bucket
    assert all(photo.size_bytes > 0 and photo.modified_ns > 0 for photo in photos)
    assert photos[1].location == f"{bucket}/{photos[1].item_id}"


def test_a_store_is_indexed_like_a_folder_and_twice_changes_nothing(bucket: str, tmp_path: Path) -> None:
    with CatalogStore.open(tmp_path / "catalog", create=True) as catalog:
        index = open_live_index(catalog)
        first = index_sources(catalog, index, ColourEncoder(), [bucket])
        assert (first.added, [failure.path for failure in first.failed]) == (48, ["broken.jpg"])
        again = index_sources(catalog, index, ColourEncoder(), [bucket])
        assert (again.added, again.unchanged) == (0, 48)
        fsspec.filesystem("memory").rm("/shop/broken.jpg")
        assert index_sources(catalog, index, ColourEncoder(), [bucket]).vanished == 0


def test_an_original_that_is_too_large_or_missing_raises(bucket: str) -> None:
    with pytest.raises(ImageTooLarge):
        Originals(max_bytes=100).read(next(file.url for file in list_files(bucket) if file.size_bytes > 100))
    with pytest.raises(SourceError, match=r"nothing at memory://shop/none\.jpg"):
        Originals().read(f"{bucket}/none.jpg")


def test_a_store_with_a_missing_package_names_the_package_to_install() -> None:
    if find_spec("s3fs") is not None:
        pytest.skip("s3fs is installed")
    with pytest.raises(SourceError, match="s3fs"):
        list(open_source("s3://bucket/photos").photos())


def test_an_unknown_scheme_and_an_empty_folder_are_refused() -> None:
    with pytest.raises(SourceError, match="nosuch"):
        list(open_source("nosuch://x/y").photos())
    with pytest.raises(SourceError, match="no file below"):
        list(open_source("memory://empty").photos())


@pytest.mark.parametrize("kind", ["folder", "memory://", "local://"])
def test_a_written_file_is_read_listed_and_replaced_completely(kind: str, tmp_path: Path) -> None:
    place = str(tmp_path / "out") if kind == "folder" else f"{kind}{tmp_path / 'out'}"
    assert list_names(place) == []
    write_file(f"{place}/b.bin", b"one")
    write_file(f"{place}/b.bin", b"three")
    write_file(f"{place}/a.bin", b"two")
    assert list_names(normalised_place(place)) == ["a.bin", "b.bin"]
    assert read_file(f"{place}/b.bin") == b"three"
    assert read_file(f"{place}/b.bin", at_most_bytes=2) == b"th"
