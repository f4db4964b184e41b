"""Backends: which library computes a network on this machine, by a short measured trial.

It owns the names that a setting may give, the rule (another backend is taken only where its embeddings are the same
and it is clearly faster), and the file that remembers the outcome. It knows no network: it is handed the ways there
are to compute the same thing.

The identity of an encoder does not name its backend: backends differ by rounding only, and the rule keeps it so.
"""

from __future__ import annotations

import hashlib
import json
import logging
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path

import numpy as np

from imgsearch.core.config import user_cache_dir
from imgsearch.core.errors import EncoderError
from imgsearch.core.files import write_durably
from imgsearch.encoders.base import Embeddings

__all__ = ["AUTO", "BACKENDS", "ONNX", "TORCH", "Trial", "check_backend", "remembered", "tried"]

AUTO, TORCH, ONNX = "auto", "torch", "onnx"
BACKENDS = (AUTO, TORCH, ONNX)

LEAST_COSINE = 0.999
"""Embeddings of a backend whose cosine to torch's float32 is lower, for any of the trial's photos, are refused."""
LEAST_GAIN = 1.15
"""A backend that is not faster by this factor is not worth another library."""
TRIAL_S = 1.0
"""No round of the timing begins after so long."""
ROUNDS = 7

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Trial:
    """What a trial found: the `backend` to use, and of each its milliseconds and its least cosine to torch."""

    backend: str
    milliseconds: dict[str, float]
    cosine: dict[str, float]


def check_backend(name: str) -> str:
    """Return `name` if it is one of `BACKENDS`; raises `EncoderError` for another one."""
    if name not in BACKENDS:
        raise EncoderError(f"There is no backend {name!r}: use {', '.join(BACKENDS[:-1])} or {BACKENDS[-1]}.")
    return name


def tried(ways: Mapping[str, Callable[[], Embeddings]]) -> Trial:
    """Run every way to embed the same photos in turns, and return which one to use.

    `ways` has `torch` in float32, which the others are compared with; each gives (n, dim) float32 unit rows. The
    least time of a few rounds counts, for a busy machine only ever adds to it.
    """
    rows: dict[str, Embeddings] = {}
    fastest = dict.fromkeys(ways, float("inf"))
    begun = time.perf_counter()
    for _ in range(ROUNDS):
        for name, way in ways.items():
            started = time.perf_counter()
            rows[name] = way()
            fastest[name] = min(fastest[name], time.perf_counter() - started)
        if time.perf_counter() - begun > TRIAL_S:
            break
    cosine = {name: round(float(np.sum(rows[name] * rows[TORCH], axis=1).min()), 6) for name in ways}
    fit = [
        name
        for name in ways
        if name != TORCH and cosine[name] >= LEAST_COSINE and fastest[name] * LEAST_GAIN <= fastest[TORCH]
    ]
    best = min(fit, key=lambda name: fastest[name], default=TORCH)
    return Trial(best, {name: round(seconds * 1000, 2) for name, seconds in fastest.items()}, cosine)


def remembered(encoder_id: str, threads: int, libraries: Sequence[str], make: Callable[[], Trial]) -> Trial:
    """Return the trial that was made of this encoder on this machine, or make and remember it.

    It is made anew for other weights, another processor or number of threads, or another version of one of
    `libraries`. A folder that cannot be written only costs the next process its own trial.
    """
    file = user_cache_dir() / "backends" / f"{_key(encoder_id, threads, libraries)}.json"
    with suppress(OSError, ValueError, TypeError):
        found = Trial(**json.loads(file.read_text(encoding="utf-8")))
        if found.backend in BACKENDS:
            return found
    trial = make()
    _log.info("backends for %s: %s", encoder_id, trial)
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_durably(file, json.dumps(asdict(trial), indent=2) + "\n")
    return trial


def _key(encoder_id: str, threads: int, libraries: Sequence[str]) -> str:
    versions = [f"{name} {metadata.version(name)}" for name in sorted(libraries)]
    return hashlib.sha256(
        "\n".join([encoder_id, _processor(), str(threads), *versions]).encode()
    ).hexdigest()[:16]


@lru_cache(maxsize=1)
def _processor() -> str:
    """Return what tells this processor from others: its name, and on Linux what it can do."""
    lines = []
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    wanted = ("model name", "flags", "Features", "CPU part")
    told = {line.split(":")[0].strip(): line for line in lines if line.startswith(wanted)}
    return "\n".join([platform.machine(), platform.processor(), *told.values()])
