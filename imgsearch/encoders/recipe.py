"""How another process of this machine makes the encoder that this one has.

It owns the recipe, which can be pickled, and how a process that does nothing but encode is set up. Who starts such
processes it does not know.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from numpy.typing import NDArray
from PIL import Image

from imgsearch.core.errors import EncoderMismatch
from imgsearch.encoders.base import Encoder

__all__ = ["EncoderRecipe", "Preparation", "Repeatable"]

Preparation = Callable[[Image.Image], NDArray[Any]]
"""Returns an encoder's input for one upright RGB picture, as `Encoder.preprocess` does."""


@dataclass(frozen=True, slots=True)
class EncoderRecipe:
    """What an encoder on the CPU is made of: its spec, its id, and the library that computes it."""

    spec: str
    id: str
    backend: str = "torch"

    def made(self) -> Encoder:
        """Return the encoder, computing with one thread; for a process that does nothing else.

        Raises `EncoderMismatch` where it is another one here, and what `load_encoder` raises.
        """
        from imgsearch.encoders import load_encoder
        from imgsearch.encoders.device import compute_alone

        compute_alone()
        encoder = load_encoder(self.spec, device="cpu", allow_download=False, backend=self.backend)
        if encoder.id != self.id:
            raise EncoderMismatch(
                f"{self.spec} is {encoder.id} in another process, but {self.id} was wanted: "
                "its weights changed meanwhile; start again."
            )
        return encoder


@runtime_checkable
class Repeatable(Protocol):
    """An encoder whose work, or whose preparation for it, other processes of this machine can do; not all can."""

    @property
    def accelerated(self) -> bool:
        """Whether an accelerator computes, so that the processors are free to make photos ready for it."""

    def recipe(self) -> EncoderRecipe | None:
        """Return how to make it there, or None where this process encodes better by itself."""

    def preparation(self) -> Preparation:
        """Return what `preprocess` does, as something that can be pickled and needs no weights."""
