"""A full disk, told apart from other failures of writing and named in one sentence."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from imgsearch.core.errors import DiskFull

LOW_BYTES = 4 * 1024**2
_NUMBERS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_TEXTS = ("no space left", "disk quota exceeded", "file too large", "out of disk space")
_UNNAMED = ("serialize", "could not write", "write failed", "error writing")
"""What libraries say of any failure to write: a full disk where there is little space left."""


def is_full_disk(error: BaseException, folder: Path) -> bool:
    """Return whether an error, or one that led to it, comes from a full disk, quota or limit of a file's size."""
    seen: BaseException | None = error
    while seen is not None:
        text = str(seen).lower()
        if isinstance(seen, DiskFull) or (isinstance(seen, OSError) and seen.errno in _NUMBERS):
            return True
        if any(part in text for part in _TEXTS) or (
            any(part in text for part in _UNNAMED) and _is_low(folder)
        ):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


@contextmanager
def naming_full_disk(folder: Path) -> Iterator[None]:
    """Raise `DiskFull` for an error in the block that comes from a full disk; leave other errors as they are."""
    try:
        yield
    except Exception as error:
        if isinstance(error, DiskFull) or not is_full_disk(error, folder):
            raise
        raise DiskFull(
            f"The disk of {folder} is full: nothing of this was stored. Free some space and try again; what was "
            "stored before is kept."
        ) from error


def _is_low(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < LOW_BYTES
    except OSError:
        return False
