"""imgsearch: visual product search that a shop can run. Importing it loads neither torch nor streamlit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imgsearch.core.version import __version__

if TYPE_CHECKING:
    from imgsearch.library import Catalog

__all__ = ["Catalog", "__version__"]


def __getattr__(name: str) -> Any:
    """Load `Catalog` at its first use: it needs numpy, pandas and the database, which many a program does not."""
    if name == "Catalog":
        from imgsearch.library import Catalog

        return Catalog
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
