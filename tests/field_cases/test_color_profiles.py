"""One colour is one colour, whatever profile its file has; odd kinds of files are read or named in one sentence."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from icc_profiles import SPACES, cmyk_profile, in_space, rgb_profile
from PIL import Image, ImageCms
from shop_folder import SmallShop

from imgsearch.core.errors import ImageError
from imgsearch.store.catalog import CatalogStore
from imgsearch.vision.images import decode_image, encode_thumbnail

RED = (200, 40, 50)
TOLERANCE = 4  # levels of 255: gamma 2.2 stands for the curve of sRGB


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def colour_of(image: Image.Image) -> tuple[int, ...]:
    assert image.mode == "RGB"
    return tuple(int(level) for level in np.asarray(image).reshape(-1, 3).mean(axis=0).round())


def assert_near(found: tuple[int, ...], wanted: tuple[int, ...], within: int = TOLERANCE) -> None:
    assert max(abs(one - other) for one, other in zip(found, wanted, strict=True)) <= within, (found, wanted)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
@pytest.mark.parametrize("space", list(SPACES))
def test_one_red_is_the_same_from_every_profile(space: str, kind: str) -> None:
    given = in_space(space, RED)
    assert given != RED
    options = {"quality": 95} if kind in ("JPEG", "WEBP") else {}
    image = Image.new("RGB", (64, 64), given)
    data = encoded(image, kind, icc_profile=rgb_profile(space), **options)
    assert_near(colour_of(decode_image(data)), RED, within=6)
    assert_near(colour_of(decode_image(data, target_px=16)), RED, within=6)
    thumbnail = encode_thumbnail(decode_image(data), 96)
    assert_near(colour_of(Image.open(io.BytesIO(thumbnail)).convert("RGB")), RED, within=8)


def test_transparency_and_palettes_with_a_profile_are_converted_too() -> None:
    profile, given = rgb_profile("ProPhoto"), in_space("ProPhoto", RED)
    half = Image.new("RGBA", (8, 8), (*given, 255))
    assert_near(colour_of(decode_image(encoded(half, "PNG", icc_profile=profile))), RED)
    clear = Image.new("RGBA", (8, 8), (*given, 0))
    assert_near(colour_of(decode_image(encoded(clear, "PNG", icc_profile=profile))), (255, 255, 255))
    palette = Image.new("RGB", (8, 8), given).quantize(4)
    assert_near(colour_of(decode_image(encoded(palette, "PNG", icc_profile=profile))), RED)


def test_an_srgb_profile_changes_nothing() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    with_profile = decode_image(encoded(noise, "PNG", icc_profile=profile))
    assert (np.asarray(with_profile) == np.asarray(noise)).all()


@pytest.mark.parametrize(
    "profile",
    [b"x", b"\0" * 200, rgb_profile("Adobe RGB")[:300], cmyk_profile({}), b"\xff" * 5000],
    ids=["short", "zeros", "cut off", "of another colour space", "noise"],
)
def test_a_damaged_profile_is_ignored(profile: bytes) -> None:
    data = encoded(Image.new("RGB", (8, 8), RED), "PNG", icc_profile=profile)
    assert colour_of(decode_image(data)) == RED


def test_inks_have_the_colours_of_their_profile() -> None:
    magenta_and_yellow = (0, 1, 1, 0)
    lab = (112, 128 + 58, 128 + 40)  # a warm red: L 44, a 58, b 40
    inks = {(0, 0, 0, 0): (255, 128, 128), (1, 1, 1, 1): (0, 128, 128), magenta_and_yellow: lab}
    image = Image.new("CMYK", (32, 32), (0, 255, 255, 0))
    plain = colour_of(decode_image(encoded(image, "TIFF")))
    found = colour_of(decode_image(encoded(image, "TIFF", icc_profile=cmyk_profile(inks))))
    assert plain == (255, 0, 0)
    assert_near(found, (184, 53, 44), within=12)
    assert_near(colour_of(decode_image(encoded(image, "JPEG", quality=95))), (255, 0, 0), within=12)


def test_a_lab_tiff_has_its_colours() -> None:
    profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    lab = ImageCms.profileToProfile(Image.new("RGB", (32, 32), RED), *profiles, outputMode="LAB")
    assert lab is not None
    assert_near(colour_of(decode_image(encoded(lab, "TIFF"))), RED)


def tiff(
    photometric: int, bits: tuple[int, ...], sample_format: int, data: bytes, extra: int | None = None
) -> bytes:
    """Return an uncompressed little-endian TIFF of 4 x 4 pixels."""
    samples = len(bits)
    entries = [(256, 3, 1, 4), (257, 3, 1, 4), (259, 3, 1, 1), (262, 3, 1, photometric), (277, 3, 1, samples)]
    entries += [(278, 3, 1, 4), (279, 4, 1, len(data))]
    count = len(entries) + 3 + (extra is not None)
    after = 8 + 2 + 12 * count + 4
    tables = struct.pack(f"<{samples}H", *bits) + struct.pack(f"<{samples}H", *[sample_format] * samples)
    alone = samples == 1  # then the value itself is in the directory
    entries += [
        (258, 3, samples, bits[0] if alone else after),
        (339, 3, samples, sample_format if alone else after + 2 * samples),
        (273, 4, 1, after + len(tables)),
    ]
    entries += [(338, 3, 1, extra)] if extra is not None else []
    directory = b"".join(
        struct.pack("<HHI", tag, kind, number)
        + struct.pack("<HH" if kind == 3 and number == 1 else "<I", *values)
        for tag, kind, number, value in sorted(entries)
        for values in [(value, 0) if kind == 3 and number == 1 else (value,)]
    )
    return b"II*\x00" + struct.pack("<IH", 8, count) + directory + bytes(4) + tables + data


def test_cmyk_with_alpha_is_read_without_its_alpha() -> None:
    data = tiff(5, (8,) * 5, 1, bytes([0, 255, 255, 0, 128]) * 16, extra=2)
    assert colour_of(decode_image(data)) == (255, 0, 0)


def test_16_bit_pictures_are_scaled() -> None:
    level = struct.pack("<3H", 200 * 257, 40 * 257, 50 * 257)
    assert_near(colour_of(decode_image(tiff(2, (16,) * 3, 1, level * 16))), RED, within=1)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (tiff(2, (32,) * 3, 3, bytes(12 * 16)), "32-bit float RGB"),
        (tiff(1, (16,), 3, bytes(2 * 16)), "16-bit float grey"),
        (tiff(2, (32,) * 4, 3, bytes(16 * 16), extra=2), "32-bit float RGB with alpha"),
        (tiff(5, (16,) * 5, 1, bytes(10 * 16), extra=2), "16-bit CMYK with alpha"),
    ],
)
def test_a_kind_of_tiff_that_cannot_be_read_is_named(data: bytes, kind: str) -> None:
    with pytest.raises(ImageError) as error:
        decode_image(data)
    assert str(error.value) == f"TIFF files of this kind cannot be read: {kind}. Save it as 8-bit RGB."


def test_photos_that_differ_only_in_their_profile_have_one_embedding(
    small_shop: SmallShop, tmp_path: Path
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.new("RGB", (64, 64), RED).save(folder / "srgb.png")
    for name in SPACES:
        image = Image.new("RGB", (64, 64), in_space(name, RED))
        image.save(folder / f"{name}.png", icc_profile=rgb_profile(name))
    small_shop.index(folder)
    with CatalogStore.open(small_shop.folder) as catalog:
        vectors = catalog.vectors(catalog.keys())
        colors = catalog.looks.rows(catalog.keys())
    assert len(vectors) == 4
    assert (vectors @ vectors.T).min() > 0.999
    assert (colors @ colors.T).min() > 0.97 * (colors @ colors.T).max()
