"""Loads the encoder that a spec or a recipe names. Torch and models are imported when one is loaded, not before."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from imgsearch.core.errors import EncoderMismatch, EncoderUnavailable
from imgsearch.encoders.backends import check_backend
from imgsearch.encoders.base import Encoder, EncoderRecipe
from imgsearch.encoders.spec import LITE, OPEN_CLIP_DEFAULT, EncoderSpec

HUB_TIMEOUT_S = 3.0  # the weights' server counts as unreachable after this


def load_encoder(
    spec: str,
    *,
    progress: Callable[[str], None] | None = None,
    device: str | None = None,
    allow_download: bool = True,
    backend: str = "torch",
) -> Encoder:
    """Load the encoder that `spec` names; `auto` is resolved first (see `resolve_auto`).

    `progress` receives a sentence before each slow step; downloads draw their own bars on stderr. `device` is a torch
    device such as `cpu` or `cuda`, by default the best one available. Without `allow_download`, only cached weights
    are used and there is no network access. `backend` is the library that computes the image side of `lite` on a CPU:
    `torch`, `onnx` (ONNX Runtime), or `auto`, the faster one by measurement; embeddings differ by rounding only.

    Raises `EncoderError` for an unknown spec or backend or unusable weights, and `EncoderUnavailable` where the
    weights are neither cached nor downloadable, or the spec is `external:NAME`.
    """
    report = progress or (lambda _message: None)
    check_backend(backend)
    parsed = EncoderSpec.parse(spec)
    if parsed.kind == "auto":
        chosen, reason = resolve_auto(allow_download=allow_download)
        report(f"Encoder {chosen}: {reason}.")
        parsed = EncoderSpec.parse(chosen)
    if parsed.kind == "external":
        raise _refusal(spec)
    if parsed.kind == "lite":
        from imgsearch.encoders.lite.encoder import LiteEncoder

        return LiteEncoder(device=device, backend=backend)
    from imgsearch.encoders.openclip import load_open_clip

    return load_open_clip(
        parsed, progress=report, device=device, allow_download=allow_download, timeout_s=HUB_TIMEOUT_S
    )


def load_recipe(recipe: EncoderRecipe) -> Encoder:
    """Load the encoder of a recipe, computing with one thread: for a process that does nothing else.

    Raises `EncoderMismatch` where this process gets another encoder, and what `load_encoder` raises.
    """
    from imgsearch.encoders.device import use_one_thread

    use_one_thread()
    encoder = load_encoder(recipe.spec, device="cpu", allow_download=False, backend=recipe.backend)
    if encoder.id != recipe.id:
        raise EncoderMismatch(
            f"The weights of {recipe.spec} have changed since this run started "
            f"({encoder.id} instead of {recipe.id}); start again."
        )
    return encoder


def resolve_auto(*, allow_download: bool = True, timeout_s: float = HUB_TIMEOUT_S) -> tuple[str, str]:
    """Return the spec that `auto` means here and now, and the reason as a clause without a full stop.

    It is `OPEN_CLIP_DEFAULT` where its weights are cached or their server answers within `timeout_s`, else `lite`.
    """
    from imgsearch.encoders.hub import download_obstacle, find_weights

    parsed = EncoderSpec.parse(OPEN_CLIP_DEFAULT)
    if find_weights(parsed) is not None:
        return OPEN_CLIP_DEFAULT, "its weights are in the local cache"
    missing = f"the weights of {OPEN_CLIP_DEFAULT} are not in the local cache"
    if not allow_download:
        return LITE, f"{missing} and downloads are switched off"
    obstacle = download_obstacle(parsed, timeout_s)
    if obstacle is None:
        return OPEN_CLIP_DEFAULT, "the server of its weights answers"
    return LITE, f"{missing} and {obstacle}"


class ExternalEncoder:
    """Stands for the model of imported embeddings: the catalog's own photos can be searched by, nothing encoded."""

    input_px = 224

    def __init__(self, spec: str, dim: int) -> None:
        self.spec = self.id = spec
        self.dim = dim

    def preprocess(self, *_arguments: object) -> NoReturn:
        """Raise `EncoderUnavailable`."""
        raise _refusal(self.spec)

    encode_arrays = encode_images = encode_texts = preprocess


def _refusal(spec: str) -> EncoderUnavailable:
    """Return the error for encoding with `external:NAME`."""
    return EncoderUnavailable(
        f"The embeddings were imported as {spec}, and the model that made them is not available: "
        "search by the catalog's own photos."
    )
