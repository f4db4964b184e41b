"""Files that are written whole or not at all, and checksums."""

from __future__ import annotations

import ctypes
import hashlib
import os
import sys
import uuid
from pathlib import Path

_KEEP_SIZE, _PUNCH_HOLE = 1, 2  # flags of fallocate(2)


def sha256_of_text(text: str) -> str:
    """Return the SHA-256 of a text in UTF-8, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def sha256_of_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal; raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def flush_to_disk(path: Path) -> None:
    """Write the file's bytes to the disk, and return then."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def disk_bytes(path: Path) -> int:
    """Return how much disk space a file takes; a sparse file takes less than its length. 0 for a missing one."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return 0
    return getattr(status, "st_blocks", -(-status.st_size // 512)) * 512


def punch_hole(path: Path, offset: int, length: int) -> bool:
    """Free the disk space of a range of a file, which then reads as zeros; its length and mapped readers stay.

    Returns False where the system or the file system cannot do it. See fallocate(2).
    """
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    with path.open("r+b") as file:
        found = libc.fallocate(
            file.fileno(), _KEEP_SIZE | _PUNCH_HOLE, ctypes.c_int64(offset), ctypes.c_int64(length)
        )
        if found == 0:
            os.fsync(file.fileno())
    return bool(found == 0)


def write_durably(path: Path, content: str | bytes) -> None:
    """Replace a file; text is written in UTF-8. A process that is killed leaves the old file or the new one."""
    _replace(path, content.encode() if isinstance(content, str) else content, flush=True)


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file, and its folder where it is missing, so that a reader sees a whole file or none; for caches."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _replace(path, data, flush=False)


def _replace(path: Path, data: bytes, *, flush: bool) -> None:
    # Threads that write the same file each have a name of their own; the last one stays.
    part = path.with_name(f".{path.name[:80]}.{uuid.uuid4().hex}.part")
    try:
        with part.open("xb") as file:
            file.write(data)
            if flush:
                file.flush()
                os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
