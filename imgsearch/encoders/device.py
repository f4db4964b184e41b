"""The device that a network runs on, made ready for it.

It owns the choice between CPU and accelerators, and how freed memory is kept on a CPU; it knows no networks.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from imgsearch.core.errors import EncoderError

__all__ = ["pick_device", "torch_threads", "use_one_thread"]

# glibc's names for mallopt, and how much freed memory stays with the process.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -2, -3, -4
_KEPT_BYTES = 512 * 1024**2
_PAD_BYTES = 64 * 1024**2
_MOST_MMAP_BYTES = 32 * 1024**2  # glibc refuses more


def pick_device(name: str | None) -> torch.device:
    """Return the named torch device, by default the best one here; raise `EncoderError` where it cannot be used."""
    try:
        device = torch.device(name or _best())
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise EncoderError(f"The device {name!r} cannot be used here: use 'cpu' or leave it out.") from error
    if device.type == "cpu":
        _keep_freed_memory()
    return device


@contextmanager
def torch_threads(threads: int) -> Iterator[None]:
    """Let networks on the CPU compute with so many threads: the last digits of their sums depend on how many."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def use_one_thread() -> None:
    """Let networks compute with one thread and keep all memory they free: for a process that does nothing else.

    The largest layers of a batch take more than glibc lets `_keep_freed_memory` keep: a fifth of the time of such a
    process with `lite`.
    """
    torch.set_num_threads(1)
    _keep_freed_memory(whatever_size=True)


def _keep_freed_memory(*, whatever_size: bool = False) -> None:
    """Let glibc keep the memory that a network's layers free, instead of giving it back and asking for it again.

    Every layer of a batch takes and frees some megabytes. By default each goes back to the kernel, which hands out
    zeroed pages the next time: that was a third of an indexing run with `lite` (114 photos a second before, 180
    after, on 2 cores). Other C libraries and systems are left as they are.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _MOST_MMAP_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_TOP_PAD, _PAD_BYTES)
        if whatever_size:
            mallopt(_M_MMAP_MAX, 0)


def _best() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
