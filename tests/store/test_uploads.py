"""Uploads: kept shrunk and upright without their metadata, under the hash of what was sent."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import pytest
from photos import draw_photo
from PIL import Image

from imgsearch.core.errors import ImageError, ImageTooLarge, QueryError
from imgsearch.store.uploads import UploadStore
from imgsearch.vision.images import ImageLimits


@pytest.fixture
def store(tmp_path: Path) -> UploadStore:
    return UploadStore(tmp_path / "uploads", max_bytes=10**7, limits=ImageLimits(10**6, 4_000_000))


def encoded(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def test_the_same_bytes_have_the_same_id_and_others_another(store: UploadStore, tmp_path: Path) -> None:
    red, blue = (encoded(draw_photo("mug", colour)) for colour in ("red", "blue"))
    assert store.add(red) == store.add(red) != store.add(blue)
    assert len(store.add(red)) == 32
    again = UploadStore(tmp_path / "uploads", max_bytes=10**7, limits=ImageLimits())
    assert again.read(store.add(red)) == store.read(store.add(red))


def test_what_is_kept_is_small_upright_and_without_metadata(store: UploadStore) -> None:
    photo = draw_photo("mug", "red", size_px=1600).crop((0, 0, 1600, 800))
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    exif[0x010F] = "Secret Camera"
    kept = store.read(store.add(encoded(photo, exif=exif)))
    image = Image.open(io.BytesIO(kept))
    assert image.size == (384, 768)
    assert not image.getexif()
    assert b"Secret" not in kept


def test_it_is_served_in_the_size_asked_for(store: UploadStore) -> None:
    upload_id = store.add(encoded(draw_photo("mug", "red", size_px=1000)))
    assert Image.open(io.BytesIO(store.webp(upload_id, 96))).size == (96, 96)
    assert Image.open(io.BytesIO(store.webp(upload_id, 5000))).size == (768, 768)


@pytest.mark.parametrize("data", [b"", b"text", encoded(draw_photo("mug", "red"))[:800]])
def test_what_is_no_picture_is_refused_and_not_kept(store: UploadStore, tmp_path: Path, data: bytes) -> None:
    with pytest.raises(ImageError):
        store.add(data)
    assert not list(tmp_path.rglob("*.webp"))


def test_what_is_too_large_is_refused(store: UploadStore) -> None:
    with pytest.raises(ImageTooLarge):
        store.add(bytes(10**6 + 1))
    with pytest.raises(ImageTooLarge):
        store.add(encoded(Image.new("RGB", (2001, 2000)), "PNG"))


@pytest.mark.parametrize(
    "upload_id", ["", "0" * 32, "../../../etc/passwd", "0" * 31 + "/", "0" * 32 + "\n", "A" * 32]
)
def test_an_unknown_id_is_refused(store: UploadStore, upload_id: str) -> None:
    with pytest.raises(QueryError):
        store.read(upload_id)


def test_the_oldest_go_when_there_are_too_many_and_the_new_one_stays(tmp_path: Path) -> None:
    store = UploadStore(tmp_path / "u", max_bytes=30_000, limits=ImageLimits())
    for number in range(20):
        upload_id = store.add(encoded(draw_photo("mug", "red", number)))
        assert store.read(upload_id)
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.webp")) <= 30_000


def test_many_threads_upload_at_once_into_a_full_store(tmp_path: Path) -> None:
    store = UploadStore(tmp_path / "u", max_bytes=20_000, limits=ImageLimits())
    pictures = [encoded(draw_photo("lamp", "blue", number)) for number in range(24)]
    errors: list[BaseException] = []

    def upload(offset: int) -> None:
        try:
            for number in range(24):
                store.add(pictures[(number + offset) % 24])
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=upload, args=(offset,)) for offset in range(0, 24, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
