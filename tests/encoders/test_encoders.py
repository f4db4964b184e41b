"""Encoders: the specs, `auto`, and open_clip against open_clip called directly; for `lite` see test_lite."""

from __future__ import annotations

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

from imgsearch.core.errors import EncoderError, EncoderUnavailable
from imgsearch.encoders import OPEN_CLIP_DEFAULT, Encoder, EncoderSpec, hub, load_encoder, resolve_auto
from imgsearch.encoders.base import unit_rows

TEXTS = ["a red mug", "running shoes", "wooden chair with arms", "banana"]


def drawn(seed: int, size: tuple[int, int] = (200, 150)) -> Image.Image:
    """Return a distinct image: blurred shapes at random positions in random colours."""
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


def test_an_image_has_the_same_embedding_alone_and_in_a_large_batch(encoder: Encoder) -> None:
    many = [drawn(seed) for seed in range(37)]
    together = encoder.encode_images(many)
    alone = np.vstack([encoder.encode_images([picture]) for picture in many[::6]])
    assert np.sum(together[::6] * alone, axis=1).min() > 0.999


def test_arrays_are_small_and_encode_like_their_images(encoder: Encoder) -> None:
    arrays = [encoder.preprocess(picture) for picture in PICTURES]
    for array in arrays:
        assert array.shape == (3, encoder.input_px, encoder.input_px)
        assert array.dtype == np.uint8
        assert array.flags.c_contiguous
    np.testing.assert_allclose(encoder.encode_arrays(arrays), encoder.encode_images(PICTURES), atol=1e-6)


def test_an_empty_input_encodes_to_no_rows(encoder: Encoder) -> None:
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


def test_threads_get_the_results_of_a_single_thread(encoder: Encoder) -> None:
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


def test_a_zero_vector_is_refused() -> None:
    for bad in (np.zeros((1, 4)), np.array([[1.0, np.nan]]), np.array([[np.inf, 0.0]])):
        with pytest.raises(EncoderError, match="zero or non-finite"):
            unit_rows(bad)


@pytest.mark.parametrize("device", ["nonsense", "cuda:99"])
def test_a_missing_device_is_an_encoder_error(clip_folder: Path, device: str) -> None:
    for spec in ("lite", f"open_clip:local-dir:{clip_folder}"):
        with pytest.raises(EncoderError, match="cannot be used here"):
            load_encoder(spec, device=device)


# --- specs and auto -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spec",
    ["auto", "lite", OPEN_CLIP_DEFAULT, "open_clip:local-dir:/some/where", "open_clip:local-dir:a b/c:d"],
)
def test_a_spec_round_trips_through_parsing(spec: str) -> None:
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
    """Point the caches at an empty folder and the hub at an unreachable address."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(hub, "_URL_CACHE", str(tmp_path))
    # 192.0.2.0/24 is reserved for documentation: depending on the network it is refused or swallows everything.
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://192.0.2.1")
    monkeypatch.setattr(
        "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", "http://192.0.2.1/{repo_id}/{filename}"
    )


@pytest.mark.usefixtures("no_weights")
def test_without_cache_and_network_auto_selects_lite_within_seconds_with_a_reason() -> None:
    resolve_auto(allow_download=False)  # imports torch, which is excluded from the timing
    said: list[str] = []
    start = time.monotonic()
    spec, reason = resolve_auto()
    assert time.monotonic() - start < 60, "a network that answers nothing is given up by itself after minutes"
    assert spec == "lite"
    assert "not in the local cache and the hub" in reason
    assert load_encoder("auto", progress=said.append).spec == "lite"
    assert said == [f"Encoder lite: {reason}."] or "the hub" in said[0]


@pytest.mark.usefixtures("no_weights")
def test_without_network_an_explicit_model_is_unavailable_within_seconds_with_advice() -> None:
    start = time.monotonic()
    with pytest.raises(EncoderUnavailable, match="--encoder lite") as caught:
        load_encoder(OPEN_CLIP_DEFAULT)
    assert time.monotonic() - start < 60
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


def test_a_hanging_server_times_out() -> None:
    start = time.monotonic()
    reason = hub.failure_within(lambda: time.sleep(300), "the hub", 0.2)
    assert time.monotonic() - start < 60
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
        "import sys, imgsearch, imgsearch.encoders, imgsearch.vision.images; "
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
