"""Decoding of every supported image format, and refusal of other files; all are generated here."""

from __future__ import annotations

import io
import os
import random
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import ExifTags, Image, PngImagePlugin, features

from imgsearch.core.errors import ImageError, ImageTooLarge
from imgsearch.vision.images import (
    THUMBNAIL_SIZES,
    ImageLimits,
    decode_image,
    decode_picture,
    encode_thumbnail,
    nearest_thumbnail_size,
)

RED, GREEN, BLUE, WHITE = (220, 30, 30), (30, 200, 40), (30, 40, 220), (255, 255, 255)
TOLERANCE = 40  # of 255: tolerance for lossy codecs and CMYK conversion


def corners(width: int = 96, height: int = 64) -> Image.Image:
    """Return a picture whose corners, clockwise from the top left, are red, green, blue, white."""
    image = Image.new("RGB", (width, height))
    half_w, half_h = width // 2, height // 2
    image.paste(RED, (0, 0, half_w, half_h))
    image.paste(GREEN, (half_w, 0, width, half_h))
    image.paste(BLUE, (half_w, half_h, width, height))
    image.paste(WHITE, (0, half_h, half_w, height))
    return image


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def assert_corners(image: Image.Image) -> None:
    assert image.mode == "RGB"
    width, height = image.size
    x, y = width // 4, height // 4
    for at, color in [
        ((x, y), RED),
        ((width - x, y), GREEN),
        ((width - x, height - y), BLUE),
        ((x, height - y), WHITE),
    ]:
        found = image.getpixel(at)
        assert np.abs(np.subtract(found, color)).max() <= TOLERANCE, f"{found} at {at} instead of {color}"


def heif_bytes(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    pillow_heif.from_pillow(image).save(buffer, quality=90)
    return buffer.getvalue()


def all_formats(image: Image.Image) -> dict[str, bytes]:
    files = {
        "jpeg": encoded(image, "JPEG", quality=92),
        "progressive jpeg": encoded(image, "JPEG", quality=92, progressive=True),
        "png": encoded(image, "PNG"),
        "webp": encoded(image, "WEBP", quality=92),
        "lossless webp": encoded(image, "WEBP", lossless=True),
        "gif": encoded(image, "GIF"),
        "bmp": encoded(image, "BMP"),
        "tiff": encoded(image, "TIFF"),
        "lzw tiff": encoded(image, "TIFF", compression="tiff_lzw"),
        "jpeg tiff": encoded(image, "TIFF", compression="jpeg"),
        "heic": heif_bytes(image),
        "cmyk jpeg": encoded(image.convert("CMYK"), "JPEG", quality=95),
        "cmyk tiff": encoded(image.convert("CMYK"), "TIFF"),
        "palette png": encoded(image.quantize(16), "PNG"),
        "rgba png": encoded(image.convert("RGBA"), "PNG"),
        "rgba webp": encoded(image.convert("RGBA"), "WEBP", quality=92),
    }
    if features.check("avif"):
        files["avif"] = encoded(image, "AVIF", quality=90)
    return files


FILES = all_formats(corners())
NOISE = all_formats(Image.fromarray(np.random.default_rng(0).integers(0, 255, (120, 160, 3), dtype=np.uint8)))


@pytest.mark.parametrize("kind", FILES)
def test_every_format_and_colour_mode_decodes_to_the_same_upright_rgb(kind: str) -> None:
    picture = decode_picture(FILES[kind])
    assert picture.image.size == (picture.width_px, picture.height_px) == (96, 64)
    assert picture.image.info == {}
    assert_corners(picture.image)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(format: str, orientation: int) -> None:
    # A camera in this orientation stores the inverse of the correcting rotation.
    stored = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    image = corners() if stored is None else corners().transpose(stored)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    picture = decode_picture(encoded(image, format, exif=exif))
    assert (picture.width_px, picture.height_px) == picture.image.size == (96, 64)
    assert_corners(picture.image)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_a_damaged_exif_block_does_not_lose_a_good_picture() -> None:
    assert_corners(decode_image(encoded(corners(), "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\x7f")))


def gradient_16bit() -> np.ndarray:
    return np.tile(np.linspace(0, 65535, 256).astype(np.uint16), (32, 1))


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled_not_clipped(format: str) -> None:
    data = encoded(Image.fromarray(gradient_16bit()), format)
    grey = np.asarray(decode_image(data))[0, :, 0].astype(int)
    assert np.abs(grey - np.arange(256)).max() <= 1


def test_16_bit_colour_png_is_scaled() -> None:
    row = gradient_16bit()[0]
    line = b"\x00" + np.stack([row, row[::-1], np.full_like(row, 32768)], axis=1).astype(">u2").tobytes()
    data = raw_png(256, 4, zlib.compress(line * 4), depth=16)
    pixels = np.asarray(decode_image(data))[0].astype(int)
    assert np.abs(pixels[:, 0] - np.arange(256)).max() <= 1
    assert np.abs(pixels[:, 1] - np.arange(255, -1, -1)).max() <= 1


@pytest.mark.parametrize("white", [1.0, 255.0, 65535.0, 1e6])
def test_float_tiff_spans_black_to_white(white: float) -> None:
    ramp = np.tile(np.linspace(0, white, 256, dtype=np.float32), (8, 1))
    grey = np.asarray(decode_image(encoded(Image.fromarray(ramp), "TIFF")))[0, :, 0].astype(int)
    assert np.abs(grey - np.arange(256)).max() <= 1


# Pillow's GIF writer keeps the transparency of RGBA only.
@pytest.mark.parametrize(
    ("format", "mode"), [("GIF", "RGBA"), *((f, m) for f in ("PNG", "WEBP") for m in ("RGBA", "LA", "P"))]
)
def test_transparency_becomes_white(format: str, mode: str) -> None:
    clear = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    clear.paste((20, 20, 20, 255), (10, 10, 30, 30))
    image = clear.convert(mode) if mode != "P" else clear.quantize(4)
    pixels = np.asarray(decode_image(encoded(image, format)))
    assert pixels[2, 2].min() > 240
    assert pixels[20, 20].max() < 60


def test_a_palette_png_with_a_transparent_entry_is_put_on_white() -> None:
    image = Image.new("P", (20, 20), 1)
    image.putpalette([0, 0, 0, 200, 0, 0])
    image.paste(0, (0, 0, 10, 20))
    pixels = np.asarray(decode_image(encoded(image, "PNG", transparency=0)))
    assert tuple(pixels[5, 2]) == (255, 255, 255)
    assert tuple(pixels[5, 15]) == (200, 0, 0)


def test_half_transparent_pixels_are_mixed_with_white() -> None:
    pixels = np.asarray(decode_image(encoded(Image.new("RGBA", (4, 4), (0, 0, 0, 128)), "PNG")))
    assert abs(int(pixels[0, 0, 0]) - 127) <= 1


def test_one_bit_and_grey_pictures_become_rgb() -> None:
    for image in (Image.new("1", (8, 8), 1), Image.new("L", (8, 8), 255)):
        decoded = decode_image(encoded(image, "PNG"))
        assert decoded.mode == "RGB"
        assert decoded.getpixel((4, 4)) == (255, 255, 255)


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_an_animation_decodes_to_its_first_frame(format: str) -> None:
    frames = [Image.new("RGB", (30, 20), color) for color in (RED, GREEN, BLUE)]
    data = encoded(frames[0], format, save_all=True, append_images=frames[1:])
    assert np.abs(np.subtract(decode_image(data).getpixel((10, 10)), RED)).max() <= TOLERANCE


@pytest.mark.parametrize("kind", FILES)
def test_target_px_reduces_but_never_below_the_target(kind: str) -> None:
    big = corners(1200, 800)
    format = {"jpeg": "JPEG", "png": "PNG", "webp": "WEBP"}.get(kind)
    data = encoded(big, format) if format else FILES[kind]
    picture = decode_picture(data, target_px=100)
    assert (picture.width_px, picture.height_px) == ((1200, 800) if format else (96, 64))
    assert min(picture.image.size) >= min(100, picture.height_px)
    if format:
        assert min(picture.image.size) < 200
    assert_corners(picture.image)


def test_a_sideways_jpeg_decoded_small_keeps_its_original_upright_size() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    data = encoded(corners(1200, 800).transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif)
    picture = decode_picture(data, target_px=64)
    assert (picture.width_px, picture.height_px) == (1200, 800)
    assert picture.image.width > picture.image.height
    assert_corners(picture.image)


def test_a_path_is_read_like_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "mit Raum 'und' \"Quote\" 🧦\n.png"
    path.write_bytes(FILES["png"])
    assert_corners(decode_image(path))


# --- what is not a picture ------------------------------------------------------------


def sentence(source: bytes | Path, **options: object) -> str:
    """Return the message of the ImageError that `source` raises, checked to be one plain sentence."""
    with pytest.raises(ImageError) as caught:
        decode_image(source, **options)  # type: ignore[arg-type]
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    assert len(message) < 250
    return message


def raw_png(width: int, height: int, compressed: bytes, depth: int = 8, extra: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0)
    chunks = png_chunk(b"IHDR", header) + extra + png_chunk(b"IDAT", compressed) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def bomb_png() -> bytes:
    """Return a valid black 30,000 x 30,000 RGB PNG: 2.7 GB of zeros in under 3 MB."""
    side, rows = 30_000, 100
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    # A fully flushed block has no back-references, so one compressed block can be repeated.
    block = packer.compress(b"\x00" * (side * 3 + 1) * rows) + packer.flush(zlib.Z_FULL_FLUSH)
    # The Adler-32 sum of n zeros has a closed form.
    checksum = struct.pack(">HH", side * (side * 3 + 1) % 65521, 1)
    return raw_png(side, side, b"\x78\xda" + block * (side // rows) + b"\x03\x00" + checksum)


def test_an_empty_file_is_named_so(tmp_path: Path) -> None:
    assert "empty" in sentence(b"")
    (tmp_path / "empty.jpg").touch()
    assert "empty" in sentence(tmp_path / "empty.jpg")


def test_a_text_named_jpg_is_not_a_picture(tmp_path: Path) -> None:
    (tmp_path / "notes.jpg").write_text("milk, eggs")
    assert "not a readable picture" in sentence(tmp_path / "notes.jpg")


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("part", [0.3, 0.6, 0.9])
def test_a_truncated_file_is_an_error(kind: str, part: float) -> None:
    message = sentence(NOISE[kind][: int(len(NOISE[kind]) * part)])
    if "jpeg" in kind and "tiff" not in kind:
        assert "cut off" in message


def test_a_bomb_is_refused_from_its_header() -> None:
    with pytest.raises(ImageTooLarge, match="pixels"):
        decode_image(bomb_png())


def test_the_pixel_limit_is_checked_before_decoding() -> None:
    # The pixel data is missing, so only a check of the header can give this error.
    with pytest.raises(ImageTooLarge, match="more than 1,000 pixels"):
        decode_image(raw_png(100, 100, b""), limits=ImageLimits(max_pixels=1000))


def test_the_byte_limit_holds_for_bytes_and_files(tmp_path: Path) -> None:
    limits = ImageLimits(max_bytes=100)
    (tmp_path / "big.png").write_bytes(FILES["png"])
    for source in (FILES["png"], tmp_path / "big.png"):
        with pytest.raises(ImageTooLarge, match="more than 100 bytes"):
            decode_image(source, limits=limits)


def test_a_decompression_bomb_in_a_text_chunk_is_an_error() -> None:
    text = b"Comment\x00\x00" + zlib.compress(b"\x00" * (PngImagePlugin.MAX_TEXT_CHUNK * 3))
    sentence(raw_png(4, 4, zlib.compress(b"\x00" * (13 * 4)), extra=png_chunk(b"zTXt", text)))


def test_formats_that_are_not_product_photos_are_not_opened() -> None:
    for format in ("EPS", "PPM", "TGA", "ICO", "PCX", "PDF"):
        assert "not a readable picture" in sentence(encoded(corners(64, 64), format))


def test_a_broken_link_a_missing_file_and_a_folder_have_specific_errors(tmp_path: Path) -> None:
    (tmp_path / "link.jpg").symlink_to(tmp_path / "gone.jpg")
    assert "points to no file" in sentence(tmp_path / "link.jpg")
    assert "no such file" in sentence(tmp_path / "gone.jpg")
    assert "not a regular file" in sentence(tmp_path)
    assert "cannot be read" in sentence(Path("nul\x00.jpg"))


def test_a_pipe_is_refused_without_blocking(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    assert "not a regular file" in sentence(tmp_path / "pipe.jpg")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_an_unreadable_file_has_a_specific_error(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(FILES["png"])
    (tmp_path / "secret.png").chmod(0)
    assert "permission denied" in sentence(tmp_path / "secret.png")


@pytest.mark.filterwarnings("ignore")
def test_flipped_bytes_yield_an_image_or_an_image_error() -> None:
    generator = random.Random(7)
    limits = ImageLimits(max_pixels=2_000_000)
    for case in range(400):
        data = bytearray(generator.choice(list(FILES.values())))
        # Half of the cases modify the headers, which have the most parsing code.
        end = min(len(data), 200) if case % 2 else len(data)
        for _ in range(generator.choice([1, 3, 20])):
            data[generator.randrange(end)] = generator.randrange(256)
        if generator.random() < 0.2:
            del data[generator.randrange(len(data)) :]
        try:
            assert (
                decode_image(bytes(data), limits=limits, target_px=generator.choice([None, 16])).mode == "RGB"
            )
        except ImageError as error:
            assert str(error).endswith(".")  # noqa: PT017


def test_many_threads_decode_at_once() -> None:
    jobs = list(FILES.values()) * 8
    with ThreadPoolExecutor(8) as pool:
        for image in pool.map(decode_image, jobs):
            assert_corners(image)


# --- thumbnails ------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(1000, 500), (500, 1000), (100, 50)])
def test_a_thumbnail_is_a_webp_within_its_size_and_never_enlarged(size: tuple[int, int]) -> None:
    data = encode_thumbnail(corners(*size), 192)
    with Image.open(io.BytesIO(data)) as thumbnail:
        assert thumbnail.format == "WEBP"
        assert max(thumbnail.size) == min(192, max(size))
        assert abs(thumbnail.width / thumbnail.height - size[0] / size[1]) < 0.05
    assert_corners(decode_image(data))


def test_a_thumbnail_has_no_metadata_and_its_source_is_unchanged() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "a secret name"
    with Image.open(io.BytesIO(encoded(corners(), "JPEG", exif=exif))) as source:
        source.load()
        source.info["xmp"] = b"<x>a secret name</x>"
        source.info["icc_profile"] = b"a secret name"
        data = encode_thumbnail(source, 96)
        assert source.size == (96, 64)
    assert b"secret" not in data
    with Image.open(io.BytesIO(data)) as thumbnail:
        assert not thumbnail.getexif()
        assert not {"xmp", "icc_profile", "exif"} & set(thumbnail.info)


def test_the_nearest_thumbnail_size_is_the_smallest_that_suffices() -> None:
    assert [nearest_thumbnail_size(px) for px in (1, 96, 97, 300, 768, 5000)] == [96, 96, 192, 384, 768, 768]
    assert sorted(THUMBNAIL_SIZES) == list(THUMBNAIL_SIZES)
