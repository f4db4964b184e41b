"""Encoders: pictures and words in, unit vectors of one space out.

It owns the choice of an implementation by its spec, `auto` included. Importing it loads neither torch nor any
model: that happens in `load_encoder`.
"""

from __future__ import annotations

from collections.abc import Callable

from imgsearch.encoders.backends import known_backend
from imgsearch.encoders.base import Embeddings, Encoder
from imgsearch.encoders.spec import AUTO, LITE, OPEN_CLIP_DEFAULT, EncoderSpec

__all__ = [
    "AUTO",
    "LITE",
    "OPEN_CLIP_DEFAULT",
    "Embeddings",
    "Encoder",
    "EncoderSpec",
    "load_encoder",
    "resolve_auto",
]

HUB_ANSWER_S = 3.0
"""How long the weights' hub may take to answer before it counts as unreachable."""


def load_encoder(
    spec: str,
    *,
    progress: Callable[[str], None] | None = None,
    device: str | None = None,
    allow_download: bool = True,
    backend: str = "torch",
) -> Encoder:
    """Load the encoder that `spec` names; `auto` is resolved first (see `resolve_auto`).

    `progress` is told in sentences what takes long; downloads draw their own bars on stderr. `device` is a torch
    device such as `cpu` or `cuda`, by default the best there is. Without `allow_download` only cached weights
    are used, and the network is left alone. `backend` says which library computes the pictures of `lite` on a CPU:
    `torch`, `onnx` (ONNX Runtime), or `auto`, the faster one here by a measured trial; embeddings differ by
    rounding only. open_clip models are always computed by torch. `external:NAME` has no model and raises
    `EncoderUnavailable`.

    Raises `EncoderError` for an unknown spec or backend, or unusable weights, and `EncoderUnavailable` where the
    weights are neither cached nor to be had.
    """
    tell = progress or _silent
    known_backend(backend)
    parsed = EncoderSpec.parse(spec)
    if parsed.kind == "auto":
        chosen, reason = resolve_auto(allow_download=allow_download)
        tell(f"Encoder {chosen}: {reason}.")
        parsed = EncoderSpec.parse(chosen)
    if parsed.kind == "external":
        from imgsearch.encoders.external import refusal

        raise refusal(spec)
    if parsed.kind == "lite":
        from imgsearch.encoders.lite.encoder import LiteEncoder

        return LiteEncoder(device=device, backend=backend)
    from imgsearch.encoders.openclip import load_open_clip

    return load_open_clip(
        parsed, progress=tell, device=device, allow_download=allow_download, timeout_s=HUB_ANSWER_S
    )


def resolve_auto(*, allow_download: bool = True, timeout_s: float = HUB_ANSWER_S) -> tuple[str, str]:
    """Return the spec that `auto` means here and now, and the reason as a clause without a full stop.

    It is `OPEN_CLIP_DEFAULT` where its weights are cached or the hub answers within `timeout_s`, else `lite`.
    """
    from imgsearch.encoders.hub import find_weights, hub_refusal

    parsed = EncoderSpec.parse(OPEN_CLIP_DEFAULT)
    if find_weights(parsed) is not None:
        return OPEN_CLIP_DEFAULT, "its weights are in the local cache"
    missing = f"the weights of {OPEN_CLIP_DEFAULT} are not in the local cache"
    if not allow_download:
        return LITE, f"{missing} and downloads are switched off"
    refusal = hub_refusal(parsed, timeout_s)
    if refusal is None:
        return OPEN_CLIP_DEFAULT, "the hub that holds its weights answers"
    return LITE, f"{missing} and {refusal}"


def _silent(_message: str) -> None:
    """Drop a progress message."""
