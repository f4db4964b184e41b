"""Chooses the library that computes a network on this machine, by a short measured trial, and caches the result.

Another backend than torch is used only where its embeddings are the same up to rounding and it is clearly faster;
so an encoder's id does not depend on its backend.
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

AUTO, TORCH, ONNX = "auto", "torch", "onnx"
BACKENDS = (AUTO, TORCH, ONNX)

MIN_COSINE = 0.999
"""The least cosine to torch's float32 that a backend's embedding of every trial photo must have."""
MIN_SPEEDUP = 1.15
TRIAL_S = 1.0  # after this time, no further round begins
MAX_ROUNDS = 7

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BackendTrial:
    """The chosen `backend`, and the milliseconds and the least cosine to torch of each one."""

    backend: str
    milliseconds: dict[str, float]
    cosine: dict[str, float]


def check_backend(name: str) -> None:
    """Raise `EncoderError` unless `name` is one of `BACKENDS`."""
    if name not in BACKENDS:
        raise EncoderError(f"There is no backend {name!r}: use {', '.join(BACKENDS[:-1])} or {BACKENDS[-1]}.")


def compare_backends(encoders: Mapping[str, Callable[[], Embeddings]]) -> BackendTrial:
    """Run every function in turn, each of which embeds the same photos, and choose a backend.

    Each returns (n, dim) float32 unit rows; `torch` is the reference. The least time of a few rounds counts, because
    a busy machine only adds to it.
    """
    rows: dict[str, Embeddings] = {}
    fastest = dict.fromkeys(encoders, float("inf"))
    begun = time.perf_counter()
    for _ in range(MAX_ROUNDS):
        for name, encode in encoders.items():
            started = time.perf_counter()
            rows[name] = encode()
            fastest[name] = min(fastest[name], time.perf_counter() - started)
        if time.perf_counter() - begun > TRIAL_S:
            break
    cosine = {name: round(float(np.sum(rows[name] * rows[TORCH], axis=1).min()), 6) for name in encoders}
    better = [
        name
        for name in encoders
        if name != TORCH and cosine[name] >= MIN_COSINE and fastest[name] * MIN_SPEEDUP <= fastest[TORCH]
    ]
    best = min(better, key=lambda name: fastest[name], default=TORCH)
    return BackendTrial(best, {name: round(seconds * 1000, 2) for name, seconds in fastest.items()}, cosine)


def cached_trial(
    encoder_id: str, threads: int, libraries: Sequence[str], run: Callable[[], BackendTrial]
) -> BackendTrial:
    """Return the cached trial of this encoder on this machine, or `run` and cache it.

    Weights, processor, number of threads and versions of `libraries` are part of the cache key. Where the cache
    cannot be written, every process runs its own trial.
    """
    file = user_cache_dir() / "backends" / f"{_cache_key(encoder_id, threads, libraries)}.json"
    with suppress(OSError, ValueError, TypeError):
        cached = BackendTrial(**json.loads(file.read_text(encoding="utf-8")))
        if cached.backend in BACKENDS:
            return cached
    trial = run()
    _log.info("backends for %s: %s", encoder_id, trial)
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_durably(file, json.dumps(asdict(trial), indent=2) + "\n")
    return trial


def _cache_key(encoder_id: str, threads: int, libraries: Sequence[str]) -> str:
    versions = [f"{name} {metadata.version(name)}" for name in sorted(libraries)]
    text = "\n".join([encoder_id, _processor(), str(threads), *versions])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@lru_cache(maxsize=1)
def _processor() -> str:
    """Return the processor's name, and on Linux its features."""
    lines = []
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    fields = ("model name", "flags", "Features", "CPU part")
    found = {line.split(":")[0].strip(): line for line in lines if line.startswith(fields)}
    return "\n".join([platform.machine(), platform.processor(), *found.values()])
