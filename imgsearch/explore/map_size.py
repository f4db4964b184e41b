"""How many photos a map shows, and how many of them UMAP lays out, within the available memory."""

from __future__ import annotations

from dataclasses import dataclass

from imgsearch.core.memory import available_bytes

__all__ = [
    "MAX_POINTS",
    "MIN_FIT",
    "NO_MEMORY_FOR_UMAP",
    "MapSize",
    "map_size",
    "memory_budget",
    "sample_note",
]

MAX_POINTS = 200_000
"""Larger catalogs are sampled: a browser draws this many points smoothly."""
MAX_FIT = 20_000
"""UMAP lays out at most this many photos; the others are interpolated."""
MIN_FIT = 500
MIN_PHOTOS = 8
"""With fewer photos UMAP does not run."""
UMAP_BYTES = 700 * 1024**2
FIT_ROW_BYTES = 24 * 1024
POINT_BYTES = 2 * 1024
DEFAULT_AVAILABLE_BYTES = 8 * 1024**3
NO_MEMORY_FOR_UMAP = "Memory is short, so UMAP did not run; PCA shows the catalog."


@dataclass(frozen=True, slots=True)
class MapSize:
    """`points` photos on the map, `fit` of them laid out by UMAP (0: no UMAP); `notes` are sentences on both."""

    points: int
    fit: int
    notes: tuple[str, ...] = ()


def map_size(items: int, budget_bytes: int, *, can_umap: bool = True) -> MapSize:
    """Return the size of a map of `items` photos within a memory budget."""
    notes: tuple[str, ...] = ()
    points = min(items, MAX_POINTS, max(1000, budget_bytes // POINT_BYTES))
    if points < items:
        notes = (f"The map shows {points:,} of {items:,} photos, drawn at random.",)
    if not can_umap or points < MIN_PHOTOS:
        return MapSize(points, 0, notes)
    affordable = (budget_bytes - UMAP_BYTES) // FIT_ROW_BYTES
    target = min(points, MAX_FIT)
    if affordable < min(target, MIN_FIT):
        return MapSize(points, 0, (*notes, NO_MEMORY_FOR_UMAP))
    fit = min(target, affordable)
    return MapSize(points, fit, (*notes, *sample_note(points, fit, memory_short=fit < target)))


def memory_budget(limit_bytes: int) -> int:
    """Return half of the available memory, at most `limit_bytes` where that is not 0."""
    available = available_bytes()
    half = (DEFAULT_AVAILABLE_BYTES if available is None else available) // 2
    return min(limit_bytes, half) if limit_bytes else half


def sample_note(points: int, fit: int, *, memory_short: bool) -> tuple[str, ...]:
    """Return a note that UMAP laid out `fit` of the points; none where it laid out all."""
    if fit >= points:
        return ()
    subject = "Memory is short, so UMAP" if memory_short else "UMAP"
    return (
        f"{subject} laid out {fit:,} photos; the other {points - fit:,} are placed by their nearest ones.",
    )
