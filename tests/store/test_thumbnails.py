"""Thumbnails: created once, cached, replaced when the photo changes, and limited in total size."""

from __future__ import annotations

import io
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from photos import draw_photo
from PIL import Image

from imgsearch.core.errors import ImageError, SourceError
from imgsearch.core.files import write_atomically
from imgsearch.core.records import Item
from imgsearch.store.originals import Originals
from imgsearch.store.thumbnails import ThumbnailCache, drop_oldest


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[ThumbnailCache]:
    originals = Originals()
    yield ThumbnailCache(tmp_path / "thumbnails", originals, max_bytes=10**8)
    originals.close()


@pytest.fixture
def item(tmp_path: Path) -> Item:
    draw_photo("mug", "red", size_px=900).crop((0, 0, 900, 450)).save(tmp_path / "a.jpg")
    return Item("a.jpg", 5, str(tmp_path / "a.jpg"))


def size_of(webp: bytes) -> tuple[int, int]:
    image = Image.open(io.BytesIO(webp))
    assert image.format == "WEBP"
    return image.size


@pytest.mark.parametrize(
    ("asked", "longest"), [(1, 96), (96, 96), (97, 192), (384, 384), (500, 768), (10_000, 768)]
)
def test_the_longest_side_is_the_nearest_size_offered(
    cache: ThumbnailCache, item: Item, asked: int, longest: int
) -> None:
    assert size_of(cache.get(item, asked).data) == (longest, longest // 2)


def test_a_small_photo_is_not_enlarged(cache: ThumbnailCache, tmp_path: Path) -> None:
    draw_photo("mug", "red", size_px=50).save(tmp_path / "small.png")
    assert size_of(cache.get(Item("s", 1, str(tmp_path / "small.png")), 384).data) == (50, 50)


def test_a_cached_thumbnail_needs_no_original_and_smaller_sizes_derive_from_larger_ones(
    cache: ThumbnailCache, item: Item
) -> None:
    first = cache.get(item, 384)
    Path(item.location).unlink()
    assert cache.get(item, 384) == first
    assert size_of(cache.get(item, 96).data) == (96, 48)
    with pytest.raises(SourceError):
        cache.get(item, 768)


def test_the_tag_changes_with_content_and_size_only(cache: ThumbnailCache, item: Item) -> None:
    changed = Item(item.item_id, 6, item.location)
    assert cache.get(item, 96).etag == cache.get(item, 90).etag
    assert len({cache.get(item, 96).etag, cache.get(item, 192).etag, cache.get(changed, 96).etag}) == 3


def test_a_changed_photo_gets_a_new_thumbnail(cache: ThumbnailCache, item: Item, tmp_path: Path) -> None:
    before = cache.get(item, 96).data
    draw_photo("ring", "blue").save(tmp_path / "a.jpg")
    assert cache.get(Item("a.jpg", 6, item.location), 96).data != before


def test_a_damaged_original_is_an_error_and_leaves_nothing_behind(
    cache: ThumbnailCache, tmp_path: Path
) -> None:
    (tmp_path / "bad.jpg").write_text("no picture")
    with pytest.raises(ImageError):
        cache.get(Item("bad", 1, str(tmp_path / "bad.jpg")), 96)
    assert not list((tmp_path / "thumbnails").rglob("*"))


def test_many_threads_ask_for_the_same_thumbnail(cache: ThumbnailCache, item: Item, tmp_path: Path) -> None:
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(cache.get(item, 192).data)) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 12
    assert len(set(found)) == 1
    assert not list((tmp_path / "thumbnails").rglob("*.part"))


def test_the_cache_stays_within_its_limit_and_drops_the_oldest(tmp_path: Path, item: Item) -> None:
    cache = ThumbnailCache(tmp_path / "t", Originals(), max_bytes=40_000)
    for key in range(60):
        cache.get(Item("a", key, item.location), 384)
        for path in (tmp_path / "t").rglob(f"{key:x}.webp"):
            os.utime(path, ns=(key, key))
    kept = {int(path.stem, 16) for path in (tmp_path / "t").rglob("*.webp")}
    assert 0 < sum(path.stat().st_size for path in (tmp_path / "t").rglob("*.webp")) <= 44_000
    assert 59 in kept
    assert 0 not in kept


def test_an_emptied_cache_is_refilled(cache: ThumbnailCache, item: Item, tmp_path: Path) -> None:
    cache.get(item, 96)
    shutil.rmtree(tmp_path / "thumbnails")
    assert size_of(cache.get(item, 96).data) == (96, 48)


def test_concurrent_eviction_tolerates_already_deleted_files(tmp_path: Path) -> None:
    for number in range(400):
        write_atomically(tmp_path / "f" / f"{number}", bytes(100))
    errors: list[BaseException] = []

    def drop() -> None:
        try:
            for limit in range(39_000, 0, -1000):
                drop_oldest(tmp_path / "f", limit)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=drop) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    drop_oldest(tmp_path / "f", 0)
    assert not list((tmp_path / "f").iterdir())


def test_writes_are_atomic(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "file"
    write_atomically(target, b"first")
    with pytest.raises(TypeError):
        write_atomically(target, "text is no bytes")  # type: ignore[arg-type]
    assert target.read_bytes() == b"first"
    assert [path.name for path in target.parent.iterdir()] == ["file"]
