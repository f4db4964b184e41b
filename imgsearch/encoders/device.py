"""The torch device, its number of threads, and on Linux the memory that glibc keeps for a network's layers."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from imgsearch.core.errors import EncoderError

# glibc's parameters of mallopt
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -2, -3, -4
_TRIM_BYTES = 512 * 1024**2
_PAD_BYTES = 64 * 1024**2
_MMAP_BYTES = 32 * 1024**2  # the largest that glibc accepts


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
def torch_threads(count: int) -> Iterator[None]:
    """Let torch use `count` threads meanwhile: the last digits of its sums depend on it."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def use_one_thread() -> None:
    """Let torch use one thread and keep all freed memory: for a process that does nothing else.

    The largest layers of a batch exceed `_MMAP_BYTES`, which costs such a process a fifth of its time with `lite`.
    """
    torch.set_num_threads(1)
    _keep_freed_memory(any_size=True)


def _keep_freed_memory(*, any_size: bool = False) -> None:
    """Let glibc keep the memory that a network's layers free, instead of returning it to the kernel.

    Every layer of a batch allocates and frees some megabytes, and the kernel zeroes each new page: without this,
    indexing with `lite` on 2 cores does 114 photos a second instead of 180. Other C libraries are left unchanged.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _MMAP_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _TRIM_BYTES)
        mallopt(_M_TOP_PAD, _PAD_BYTES)
        if any_size:
            mallopt(_M_MMAP_MAX, 0)


def _best() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
