"""The device that a network runs on.

It owns the choice between CPU and accelerators; it knows no networks.
"""

from __future__ import annotations

import torch

from imgsearch.errors import EncoderError

__all__ = ["pick_device"]


def pick_device(name: str | None) -> torch.device:
    """Return the named torch device, by default the best one here; raise `EncoderError` where it cannot be used."""
    try:
        device = torch.device(name or _best())
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise EncoderError(f"The device {name!r} cannot be used here: use 'cpu' or leave it out.") from error
    return device


def _best() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
