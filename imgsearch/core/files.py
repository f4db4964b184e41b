"""Files that are whole or not there: written beside their place, flushed to the disk, and put in place by renaming.

It owns how that is done and how a file's checksum is taken; it knows no formats.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

__all__ = ["flush_to_disk", "sha256_of_file", "sha256_of_text", "write_durably"]


def sha256_of_text(text: str) -> str:
    """Return the SHA-256 of a text in UTF-8, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def sha256_of_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal; raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def flush_to_disk(path: Path) -> None:
    """Return when the file's bytes have reached the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_durably(path: Path, content: str | bytes) -> None:
    """Put a file, a text in UTF-8, in place of what is there: a killed process leaves the old one or the new."""
    part = path.with_name(path.name + ".part")
    part.write_bytes(content.encode() if isinstance(content, str) else content)
    flush_to_disk(part)
    part.replace(path)
