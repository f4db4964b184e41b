"""The encoder spec: the string that identifies which encoder a catalog uses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from imgsearch.core.errors import EncoderError

AUTO = "auto"
LITE = "lite"
OPEN_CLIP_DEFAULT = "open_clip:ViT-B-32/laion2b_s34b_b79k"

_OPEN_CLIP = "open_clip:"
_LOCAL_DIR = "local-dir:"
_EXTERNAL = "external:"


@dataclass(frozen=True, slots=True)
class EncoderSpec:
    """A parsed spec; `str` returns the spec itself.

    `open_clip` has a `model` and a `tag` (of its pretrained weights), `local-dir` a `folder` with
    `open_clip_config.json` and weights, `external` (imported embeddings) a name as its `model`.
    """

    kind: Literal["auto", "lite", "open_clip", "local-dir", "external"]
    model: str = ""
    tag: str = ""
    folder: str = ""

    @classmethod
    def parse(cls, spec: str) -> EncoderSpec:
        """Return the parsed `spec`; raise `EncoderError` where it is invalid."""
        if spec == AUTO:
            return cls("auto")
        if spec == LITE:
            return cls("lite")
        if spec.startswith(_OPEN_CLIP):
            name = spec.removeprefix(_OPEN_CLIP)
            if name.startswith(_LOCAL_DIR) and (folder := name.removeprefix(_LOCAL_DIR)):
                return cls("local-dir", folder=folder)
            model, _, tag = name.partition("/")
            if model and tag and ":" not in model:
                return cls("open_clip", model=model, tag=tag)
        if spec.startswith(_EXTERNAL) and (name := spec.removeprefix(_EXTERNAL)):
            return cls("external", model=name)
        raise EncoderError(
            f"There is no encoder {spec!r}: use 'auto', 'lite', 'open_clip:MODEL/TAG' "
            f"(such as {OPEN_CLIP_DEFAULT!r}), 'open_clip:local-dir:FOLDER', or 'external:NAME' for imported ones."
        )

    def __str__(self) -> str:
        if self.kind == "open_clip":
            return f"{_OPEN_CLIP}{self.model}/{self.tag}"
        if self.kind == "local-dir":
            return f"{_OPEN_CLIP}{_LOCAL_DIR}{self.folder}"
        return f"{_EXTERNAL}{self.model}" if self.kind == "external" else self.kind
