"""The code of our own components: files of `assets`, joined, for they cannot import each other.

It owns where these files lie; it draws nothing.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["ASSETS", "asset", "script"]

ASSETS = Path(__file__).parent / "assets"


def asset(name: str) -> str:
    """Return the text of a file of `assets`."""
    return (ASSETS / name).read_text(encoding="utf-8")


def script(*names: str) -> str:
    """Return the code of a component: what all of them share, then the files of `assets` in this order."""
    return "\n".join(asset(name) for name in ("elements.js", *names))
