"""Backends: an alternative computes the same embeddings, and is selected only if clearly faster."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from imgsearch.core.errors import EncoderError
from imgsearch.demo import sample_store
from imgsearch.encoders import Encoder, load_encoder
from imgsearch.encoders.backends import MIN_COSINE, BackendTrial, cached_trial, compare_backends
from imgsearch.encoders.lite.onnx import has_onnx
from imgsearch.vision.images import decode_image

needs_onnx = pytest.mark.skipif(not has_onnx(), reason="the extra imgsearch[onnx] is not installed")

Rows = NDArray[np.float32]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the trials out of the user's own cache."""
    monkeypatch.setattr("imgsearch.encoders.backends.user_cache_dir", lambda: tmp_path / "cache")
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def store_photos() -> list[Image.Image]:
    paths = sorted((sample_store().folder / "images").glob("*.jpg"))[::60]
    return [decode_image(path, target_px=224) for path in paths]


def backend(angle: float, work: int) -> Callable[[], Rows]:
    """Return a function that returns one unit row at an angle, after the given amount of work."""

    def run() -> Rows:
        for _ in range(work):
            np.linalg.svd(np.ones((60, 60)))
        return np.array([[np.cos(angle), np.sin(angle)]], np.float32)

    return run


def test_a_faster_backend_with_the_same_embeddings_is_chosen() -> None:
    trial = compare_backends({"torch": backend(0, 40), "onnx": backend(0.001, 2)})
    assert trial.backend == "onnx"
    assert trial.milliseconds["onnx"] < trial.milliseconds["torch"]


def test_a_faster_backend_with_other_embeddings_is_refused() -> None:
    trial = compare_backends({"torch": backend(0, 40), "onnx": backend(0.1, 2)})
    assert trial.backend == "torch"
    assert trial.cosine["onnx"] < MIN_COSINE


def test_a_backend_that_is_not_faster_is_not_chosen() -> None:
    assert compare_backends({"torch": backend(0, 2), "onnx": backend(0, 40)}).backend == "torch"


def test_a_trial_runs_once_for_an_encoder_its_libraries_and_its_threads(cache: Path) -> None:
    made: list[BackendTrial] = []

    def make() -> BackendTrial:
        made.append(BackendTrial("torch", {"torch": 1.0}, {"torch": 1.0}))
        return made[-1]

    for _ in range(2):
        assert cached_trial("lite@1", 2, ["numpy"], make) == made[0]
    assert len(made) == 1
    cached_trial("lite@2", 2, ["numpy"], make)
    cached_trial("lite@1", 4, ["numpy"], make)
    cached_trial("lite@1", 2, ["numpy", "pillow"], make)
    assert len(made) == 4
    for file in (cache / "backends").iterdir():
        file.write_text('{"backend": "another"', encoding="utf-8")
    cached_trial("lite@1", 2, ["numpy"], make)
    assert len(made) == 5
    assert {
        json.loads(file.read_text())["backend"]
        for file in (cache / "backends").glob("*")
        if "another" not in file.read_text()
    } == {"torch"}


def test_a_cache_that_cannot_be_written_is_no_error(cache: Path) -> None:
    cache.write_text("a file where the folder should be", encoding="utf-8")
    assert cached_trial("lite@1", 2, [], lambda: BackendTrial("torch", {}, {})).backend == "torch"


def test_an_unknown_backend_raises_one_sentence_with_the_known_ones() -> None:
    with pytest.raises(EncoderError, match="no backend 'cuda': use auto, torch or onnx"):
        load_encoder("lite", backend="cuda")


@pytest.mark.skipif(has_onnx(), reason="the extra imgsearch[onnx] is installed")
def test_a_missing_backend_is_reported_with_its_extra_and_auto_uses_torch() -> None:
    with pytest.raises(EncoderError, match=r"imgsearch\[onnx\]"):
        load_encoder("lite", backend="onnx")
    assert load_encoder("lite", backend="auto").backend == "torch"  # type: ignore[attr-defined]


@needs_onnx
def test_onnx_runtime_computes_the_embeddings_of_torch(
    lite: Encoder, store_photos: list[Image.Image]
) -> None:
    other = load_encoder("lite", backend="onnx")
    assert other.backend == "onnx"  # type: ignore[attr-defined]
    assert (other.id, other.spec, other.dim) == (lite.id, lite.spec, lite.dim)
    drawn = [Image.new("RGB", (300, 200), colour) for colour in ("white", "black", "teal")]
    photos = [*store_photos, *drawn, Image.effect_noise((224, 224), 80).convert("RGB")]
    cosine = np.sum(other.encode_images(photos) * lite.encode_images(photos), axis=1)
    assert cosine.min() > 0.99999
    assert other.encode_images([]).shape == (0, lite.dim)


@needs_onnx
def test_auto_uses_the_backend_of_its_trial_and_caches_it(cache: Path, lite: Encoder) -> None:
    chosen = load_encoder("lite", backend="auto")
    (file,) = (cache / "backends").iterdir()
    trial = BackendTrial(**json.loads(file.read_text()))
    assert chosen.backend == trial.backend  # type: ignore[attr-defined]
    assert trial.cosine["onnx"] >= MIN_COSINE
    assert chosen.id == lite.id
    file.write_text(file.read_text().replace(f'"backend": "{trial.backend}"', '"backend": "torch"'))
    assert load_encoder("lite", backend="auto").backend == "torch"  # type: ignore[attr-defined]


def test_onnx_runtime_loads_after_the_index_library() -> None:
    """The server opens the index before the encoder; some wheels of usearch make that crash the process."""
    pytest.importorskip("onnxruntime")
    done = subprocess.run([sys.executable, "-c", "import usearch.index, onnxruntime"], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
