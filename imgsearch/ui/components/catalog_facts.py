"""What the catalog is: how many photos, with which model they are compared, and how fast searches are."""

from __future__ import annotations

from imgsearch.app.service import SearchService
from imgsearch.index.info import catalog_info
from imgsearch.ui.components import blocks as ui

KINDS = {
    "text": "text",
    "number": "number",
    "price": "price",
    "boolean": "yes or no",
    "date": "date",
    "datetime": "date and time",
    "time": "time",
    "list": "list",
}


def draw_catalog_facts(service: SearchService, *, with_paths: bool) -> None:
    """Draw the catalog's facts; without `with_paths`, no folders of this server."""
    info, latency, encoder = (
        catalog_info(service.catalog, service.engine.index),
        service.latency_ms(),
        service.engine.encoder.state,
    )
    ui.metrics(
        ("Photos", f"{info.items:,}"),
        ("On disk", _size(info.bytes_on_disk)),
        ("Median search", _milliseconds(latency.get("p50"))),
        ("95% of searches within", _milliseconds(latency.get("p95"))),
    )
    recall = (info.index or {}).get("ann_recall@10")
    built = (info.built_at or "")[:16].replace("T", " ")
    ui.facts(
        {
            "Model": info.encoder_spec or "none yet",
            "State": encoder.reason if encoder.status == "failed" else encoder.status,
            "Why this model": info.encoder_reason,
            "Embedding": f"{info.dim:,} dimensions" if info.dim else "",
            "Index": f"generation {info.generation}, built {built} UTC" if built else "not built yet",
            "Index recall": ""
            if recall is None
            else f"{recall:.1%} of the exact 10 nearest photos (ann_recall@10)",
            "Titles": service.engine.titles.state.sentence,
            "Searches measured": f"{latency['searches']:,.0f} since the start" if latency else "none yet",
            "Folder": info.folder if with_paths else "",
        },
        "Model and index",
    )
    if info.sources:
        ui.facts(
            {
                source if with_paths else short_place(source): f"{count:,} photos"
                for source, count in info.sources.items()
            },
            "Sources",
        )
    if info.columns:
        ui.facts({name: KINDS.get(kind, kind) for name, kind in info.columns.items()}, "Filter columns")


def short_place(place: str) -> str:
    """Return the last part of a path of this server; an address of the web, or a name, as it is."""
    is_path = "/" in place and "://" not in place
    return place.rstrip("/").rsplit("/", 1)[-1] if is_path else place


def _milliseconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f} ms"


def _size(size_bytes: int) -> str:
    size = float(size_bytes)
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit in {"B", "KB"} else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
