"""open_clip models as encoders: any model and tag that open_clip has, or a local folder.

Number formats: on CUDA and MPS float32 weights under float16 autocast; on a CPU with AMX or AVX512-BF16 the whole
model in bfloat16 (autocast would convert the weights in every call), else float32. ViT-B-32 on 2 cores with
AVX512-BF16, float32 against bfloat16: 47 and 15 ms an image in batches of 32, 73 and 20 ms for one image, 45 and 14
ms for one text; the cosine between the two is above 0.9999.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image

from imgsearch.core.errors import EncoderError, EncoderUnavailable
from imgsearch.encoders.base import Embeddings, EncoderRecipe, Preprocessor, require_texts, unit_rows
from imgsearch.encoders.device import pick_device
from imgsearch.encoders.hub import download_weights, find_weights, tag_config
from imgsearch.encoders.spec import EncoderSpec

_BATCH = 32
_END_OF_WORD = "</w>"


def load_open_clip(
    spec: EncoderSpec,
    *,
    progress: Callable[[str], None],
    device: str | None,
    allow_download: bool,
    timeout_s: float,
) -> OpenClipEncoder:
    """Load what `spec`, of kind `open_clip` or `local-dir`, names; see `imgsearch.encoders.load_encoder`."""
    if spec.kind == "local-dir":
        name, options = _local_model(Path(spec.folder))
    else:
        name, options = _tagged_model(spec, progress, allow_download, timeout_s)
    try:
        model = open_clip.create_model(name, require_pretrained=True, **options)
        tokenizer = open_clip.get_tokenizer(name)
    except Exception as error:  # open_clip, torch, safetensors and transformers have no common error
        raise EncoderError(f"{spec} cannot be loaded: {' '.join(str(error).split())[:300]}") from error
    return OpenClipEncoder(str(spec), model, tokenizer, open_clip.get_model_config(name), device)


def _local_model(folder: Path) -> tuple[str, dict[str, Any]]:
    if not folder.is_dir():
        raise EncoderError(f"There is no folder {str(folder)!r} to load an open_clip model from.")
    if not (folder / "open_clip_config.json").is_file():
        raise EncoderError(f"The folder {str(folder)!r} has no open_clip_config.json.")
    return f"local-dir:{folder}", {}


def _tagged_model(
    spec: EncoderSpec, progress: Callable[[str], None], allow_download: bool, timeout_s: float
) -> tuple[str, dict[str, Any]]:
    config = tag_config(spec)
    _refuse_other_activation(spec, config)
    weights = find_weights(spec)
    if weights is None:
        if not allow_download:
            raise EncoderUnavailable(
                f"The weights of {spec} are not in the local cache and downloads are switched off: "
                "use '--encoder lite', which needs no download."
            )
        weights = download_weights(spec, progress, timeout_s)
    # Passed as a file instead of a tag, cached weights need no network, but the tag's preprocessing must be passed
    # too; without its size, which is the model's.
    preprocess = {key: value for key, value in config.items() if key != "size"}
    return spec.model, {"pretrained": str(weights), "force_preprocess_cfg": preprocess}


def _refuse_other_activation(spec: EncoderSpec, config: dict[str, Any]) -> None:
    """Raise `EncoderError` where weights and model have different activations, of which open_clip only warns."""
    model_has = bool(open_clip.get_model_config(spec.model).get("quick_gelu", False))
    weights_want = bool(config.get("quick_gelu", False))
    if model_has != weights_want:
        other = f"{spec.model}-quickgelu" if weights_want else spec.model.removesuffix("-quickgelu")
        raise EncoderError(
            f"QuickGELU mismatch: the weights {spec.tag!r} were trained {'with' if weights_want else 'without'} it "
            f"and the model {spec.model} computes {'with' if model_has else 'without'} it: "
            f"use 'open_clip:{other}/{spec.tag}'."
        )


class OpenClipEncoder:
    """A loaded open_clip model."""

    def __init__(
        self, spec: str, model: Any, tokenizer: Any, config: dict[str, Any], device: str | None = None
    ) -> None:
        preprocess = PreprocessCfg(**model.visual.preprocess_cfg)
        *steps, _to_tensor, normalize = image_transform_v2(preprocess, is_train=False).transforms
        self.spec = spec
        self.id = f"{spec}@{_weights_hash(model)}-{_short_hash(config, vars(preprocess))}"
        if spec.startswith("open_clip:local-dir:"):
            # Without the path: moving a folder does not change its embeddings.
            self.id = "open_clip:local-dir" + self.id.removeprefix(spec)
        self.dim = int(config["embed_dim"])
        self.input_px = int(np.max(preprocess.size))
        self._preprocessor = _Preprocessor(tuple(steps))
        self._device = pick_device(device)
        self.accelerated = self._device.type != "cpu"
        self._dtype = _weights_dtype(self._device)
        self._mean = torch.tensor(normalize.mean, device=self._device).view(1, 3, 1, 1)
        self._std = torch.tensor(normalize.std, device=self._device).view(1, 3, 1, 1)
        self._model = model.eval().to(self._device, self._dtype)
        self._tokenizer = tokenizer
        # Tokenizers of Hugging Face raise "Already borrowed" when two threads use them at once.
        self._tokenizer_lock = threading.Lock()

    def preprocess(self, image: Image.Image) -> NDArray[Any]:
        """Return open_clip's resized and cropped pixels, (3, height, width) uint8."""
        return self._preprocessor(image)

    def preprocessor(self) -> Preprocessor:
        """Return open_clip's own steps, which can be pickled."""
        return self._preprocessor

    def recipe(self) -> EncoderRecipe | None:
        """Return None: the weights take seconds to load, and one process uses all threads well."""
        return None

    def encode_arrays(self, arrays: Sequence[NDArray[Any]]) -> Embeddings:
        """Return the (n, dim) float32 unit rows of `preprocess`ed images, in their order; n may be 0."""
        return self._encode(arrays, self._image_features)

    def encode_images(self, images: Sequence[Image.Image]) -> Embeddings:
        """Return the (n, dim) float32 unit rows of upright RGB images, in their order; n may be 0."""
        return self.encode_arrays([self.preprocess(image) for image in images])

    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        """Return the (n, dim) float32 unit rows of texts, in their order; an empty text raises `EncoderError`."""
        require_texts(texts)
        return self._encode(texts, self._text_features)

    def vocabulary(self) -> Sequence[str]:
        """Return the words that are one token of open_clip's own tokenizer; none for another kind of tokenizer."""
        tokens = getattr(self._tokenizer, "encoder", {})
        words = [token.removesuffix(_END_OF_WORD) for token in tokens if token.endswith(_END_OF_WORD)]
        return [word for word in words if word.isascii() and word.isalpha() and word.islower()]

    def _encode(self, inputs: Sequence[Any], features: Callable[[Sequence[Any]], torch.Tensor]) -> Embeddings:
        rows = np.empty((len(inputs), self.dim), np.float32)
        for start in range(0, len(inputs), _BATCH):
            with torch.inference_mode(), self._autocast():
                batch = features(inputs[start : start + _BATCH])
            rows[start : start + _BATCH] = batch.float().cpu().numpy()
        return unit_rows(rows)

    def _image_features(self, arrays: Sequence[NDArray[Any]]) -> torch.Tensor:
        pixels = torch.from_numpy(np.stack(arrays)).to(self._device).float().div_(255)
        result: torch.Tensor = self._model.encode_image(((pixels - self._mean) / self._std).to(self._dtype))
        return result

    def _text_features(self, texts: Sequence[str]) -> torch.Tensor:
        with self._tokenizer_lock:
            tokens = self._tokenizer(list(texts))
        result: torch.Tensor = self._model.encode_text(tokens.to(self._device))
        return result

    def _autocast(self) -> AbstractContextManager[Any]:
        if self._device.type == "cpu":
            return nullcontext()
        return torch.autocast(self._device.type, dtype=torch.float16)


@dataclass(frozen=True, slots=True)
class _Preprocessor:
    """open_clip's steps from an image to the pixels of the model's input."""

    steps: tuple[Callable[[Any], Any], ...]

    def __call__(self, image: Image.Image) -> NDArray[Any]:
        """Return the resized and cropped pixels, (3, height, width) uint8."""
        for step in self.steps:
            image = step(image)
        return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))


def _weights_dtype(device: torch.device) -> torch.dtype:
    """Return the number format of the weights; the module's docstring has the figures."""
    if device.type != "cpu":
        return torch.float32
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    native = capabilities.get("amx_bf16") or capabilities.get("avx512_bf16")
    return torch.bfloat16 if native else torch.float32


def _weights_hash(model: torch.nn.Module) -> str:
    """Return 12 hex digits of the SHA-256 of all parameters and buffers as loaded, whatever their file format."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()[:12]


def _short_hash(*parts: dict[str, Any]) -> str:
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:8]
