"""Uploads: stored with their original pixels, without metadata, under the hash of the sent bytes."""

from __future__ import annotations

import io
import os
import threading
from pathlib import Path

import numpy as np
import pytest
from photos import draw_photo
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from imgsearch.core.errors import ImageError, ImageTooLarge, QueryError
from imgsearch.store.originals import content_digest
from imgsearch.store.uploads import UploadStore
from imgsearch.vision.images import ImageLimits, decode_image, encode_thumbnail


@pytest.fixture
def store(tmp_path: Path) -> UploadStore:
    return UploadStore(tmp_path / "uploads", max_bytes=10**7, limits=ImageLimits(10**6, 4_000_000))


def encoded(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def test_upload_ids_are_equal_exactly_for_equal_bytes(store: UploadStore, tmp_path: Path) -> None:
    red, blue = (encoded(draw_photo("mug", colour)) for colour in ("red", "blue"))
    assert store.add(red) == store.add(red) != store.add(blue)
    assert len(store.add(red)) == 32
    again = UploadStore(tmp_path / "uploads", max_bytes=10**7, limits=ImageLimits())
    assert again.read(store.add(red)) == store.read(store.add(red))


def with_metadata(kind: str, orientation: int = 1) -> bytes:
    """Return an image of 800 x 400 px with a camera's name, a GPS position and a comment."""
    photo = draw_photo("mug", "red", size_px=800).crop((0, 0, 800, 400))
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "Secret Camera"
    exif.get_ifd(0x8825)[1] = "Secret North"
    options: dict[str, object] = {"exif": exif}
    if kind == "PNG":
        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_text("Comment", "Secret words")  # type: ignore[attr-defined]
    elif kind in ("JPEG", "WEBP"):
        options["xmp"] = b"<x>Secret place</x>"
    return encoded(photo, kind, **options)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_the_sent_pixels_are_stored_without_metadata(
    store: UploadStore, tmp_path: Path, kind: str, orientation: int
) -> None:
    sent = with_metadata(kind, orientation)
    upload_id = store.add(sent)
    stored = store.read(upload_id)
    assert b"Secret" in sent
    assert b"Secret" not in stored
    assert all(b"Secret" not in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    expected = np.asarray(decode_image(sent))
    assert np.array_equal(np.asarray(decode_image(stored)), expected)
    again = UploadStore(tmp_path / "uploads", max_bytes=10**7, limits=ImageLimits())
    assert np.array_equal(np.asarray(again.decode(upload_id, None, 5000)), expected)


def test_a_jpeg_keeps_its_colour_profile_and_ends_where_its_picture_ends(store: UploadStore) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    sent = encoded(draw_photo("mug", "red"), icc_profile=profile, progressive=True)
    stored = store.read(store.add(sent + b"Secret second picture"))
    assert stored == sent


def test_what_is_served_is_a_small_webp_without_metadata(store: UploadStore) -> None:
    served = store.webp(store.add(with_metadata("JPEG", orientation=6)), 768)
    image = Image.open(io.BytesIO(served))
    assert (image.format, image.size) == ("WEBP", (384, 768))
    assert not image.getexif()
    assert b"Secret" not in served


def test_an_upload_of_an_earlier_version_is_readable_and_replaced_on_resend(
    store: UploadStore, tmp_path: Path
) -> None:
    sent = encoded(draw_photo("mug", "red", size_px=1000))
    upload_id = content_digest(sent)
    path = tmp_path / "uploads" / upload_id[:2] / f"{upload_id}.webp"
    path.parent.mkdir(parents=True)
    path.write_bytes(encode_thumbnail(decode_image(sent), 768, quality=92))
    assert store.decode(upload_id, None, 224).size == (256, 256)
    assert store.read(upload_id) == path.read_bytes()
    assert store.count() == 1
    store.add(sent)
    assert decode_image(store.read(upload_id)).size == (1000, 1000)
    assert store.count() == 1
    store.remove(upload_id)
    assert store.count() == 0
    with pytest.raises(QueryError):
        store.require(upload_id)


def test_older_uploads_shrink_to_previews_before_any_is_deleted(tmp_path: Path) -> None:
    store = UploadStore(tmp_path / "u", max_bytes=500_000, limits=ImageLimits())
    noise = np.random.default_rng(0).integers(0, 255, (6, 300, 300, 3), np.uint8)
    ids = []
    for number, pixels in enumerate(noise):
        ids.append(store.add(encoded(Image.fromarray(pixels), quality=90)))
        path = tmp_path / "u" / ids[-1][:2] / f"{ids[-1]}.sent"
        os.utime(path, (number, number))
    assert store.wait(30)
    store.add(encoded(Image.new("RGB", (50, 50))))
    assert store.wait(30)
    kinds = [Image.open(io.BytesIO(store.read(upload_id))).format for upload_id in ids]
    assert kinds[0] == "WEBP"
    assert kinds[-1] == "JPEG"
    assert kinds == sorted(kinds, reverse=True)
    store.close()


def test_it_is_served_in_the_requested_size(store: UploadStore) -> None:
    upload_id = store.add(encoded(draw_photo("mug", "red", size_px=1000)))
    assert Image.open(io.BytesIO(store.webp(upload_id, 96))).size == (96, 96)
    assert Image.open(io.BytesIO(store.webp(upload_id, 5000))).size == (768, 768)


@pytest.mark.parametrize("data", [b"", b"text", encoded(draw_photo("mug", "red"))[:800]])
def test_a_non_image_is_refused_and_not_stored(store: UploadStore, tmp_path: Path, data: bytes) -> None:
    with pytest.raises(ImageError):
        store.add(data)
    assert store.count() == 0
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_an_upload_over_the_limit_is_refused_by_the_store(store: UploadStore) -> None:
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


def test_the_oldest_uploads_are_evicted_and_the_new_one_stays(tmp_path: Path) -> None:
    store = UploadStore(tmp_path / "u", max_bytes=30_000, limits=ImageLimits())
    for number in range(20):
        upload_id = store.add(encoded(draw_photo("mug", "red", number)))
        assert store.read(upload_id)
    assert store.wait(30)
    assert 0 < sum(path.stat().st_size for path in tmp_path.rglob("*.*")) <= 30_000
    store.close()


def test_concurrent_uploads_into_a_full_store_succeed(tmp_path: Path) -> None:
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
    assert store.wait(30)
    store.close()
    assert errors == []
