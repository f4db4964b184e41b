"""The Catalog page: what is indexed, with which model, and how fast searches are."""

from __future__ import annotations

from imgsearch.app.service import get_service
from imgsearch.index.info import catalog_info
from imgsearch.ui.components import blocks as ui

KINDS = {"text": "text", "number": "number", "boolean": "yes or no"}


def draw() -> None:
    """Draw the catalog's facts."""
    service = get_service()
    info, latency, encoder = (
        catalog_info(service.catalog, service.engine.index),
        service.latency_ms(),
        service.engine.encoder.state,
    )
    ui.heading("Catalog")
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
            "Folder": info.folder,
        },
        "Model and index",
    )
    if info.sources:
        ui.facts({source: f"{count:,} photos" for source, count in info.sources.items()}, "Sources")
    if info.columns:
        ui.facts({name: KINDS.get(kind, kind) for name, kind in info.columns.items()}, "Filter columns")


def _milliseconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f} ms"


def _size(size_bytes: int) -> str:
    size = float(size_bytes)
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit in {"B", "KB"} else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
