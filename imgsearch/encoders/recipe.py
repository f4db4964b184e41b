"""What another process of this machine needs to make the same encoder; all of it can be pickled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from numpy.typing import NDArray
from PIL import Image

__all__ = ["EncoderRecipe", "Preprocessor", "RunsInWorkers"]

Preprocessor = Callable[[Image.Image], NDArray[Any]]
"""Returns an encoder's input for one upright RGB image, as `Encoder.preprocess` does."""


@dataclass(frozen=True, slots=True)
class EncoderRecipe:
    """An encoder on the CPU: its spec, its id, and the library that computes it; see `loading.load_recipe`."""

    spec: str
    id: str
    backend: str = "torch"


@runtime_checkable
class RunsInWorkers(Protocol):
    """An encoder that worker processes can load, or whose preprocessing they can do."""

    @property
    def accelerated(self) -> bool:
        """Whether an accelerator computes, which leaves the processors free for preprocessing."""

    def recipe(self) -> EncoderRecipe | None:
        """Return how a worker loads it, or None where one process encodes faster."""

    def preprocessor(self) -> Preprocessor:
        """Return what `preprocess` does, as something that can be pickled and needs no weights."""
