"""The catalog page: what is indexed, by which encoder, and how quick searching is.

It owns the drawing of these facts; every figure comes from the service.
"""

from __future__ import annotations

from html import escape

import streamlit as st

from imgsearch.app.service import get_service

__all__ = ["draw"]


def draw() -> None:
    """Draw the catalog's facts."""
    service = get_service()
    info, latency, encoder = service.info(), service.latency_ms(), service.encoder_state
    st.html('<header class="page-head"><h1>Catalog</h1></header>')
    with st.container(horizontal=True, gap="medium"):
        st.metric("Photos", f"{info.items:,}", border=True)
        st.metric("On disk", _size(info.bytes_on_disk), border=True)
        st.metric("Median search", _milliseconds(latency.get("p50")), border=True)
        st.metric("95% of searches within", _milliseconds(latency.get("p95")), border=True)
    index = info.index or {}
    recall = index.get("ann_recall@10")
    _table(
        "Model and index",
        {
            "Model": info.encoder_spec or "none yet",
            "State": {"ready": "ready", "loading": "loading", "failed": encoder.reason}[encoder.status],
            "Why this model": info.encoder_reason,
            "Embedding": f"{info.dim:,} numbers a photo" if info.dim else "",
            "Index": f"generation {info.generation}, built {_moment(info.built_at)}"
            if info.built_at
            else "not built yet",
            "Found by the index": f"{recall:.1%} of the true 10 nearest (ann_recall@10)"
            if recall is not None
            else "",
            "Titles": service.titles.state.sentence,
            "Searches measured": f"{latency['searches']:,.0f} since the start" if latency else "none yet",
            "Folder": info.folder,
        },
    )
    if info.sources:
        _table("Sources", {source: f"{count:,} photos" for source, count in info.sources.items()})
    if info.columns:
        kinds = {"text": "words", "number": "numbers", "boolean": "yes or no"}
        _table("Columns to filter by", {name: kinds.get(kind, kind) for name, kind in info.columns.items()})


def _table(title: str, rows: dict[str, str]) -> None:
    cells = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>'
        for name, value in rows.items()
        if value
    )
    st.html(f'<h2 class="panel-title">{escape(title)}</h2><table class="facts">{cells}</table>')


def _milliseconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f} ms"


def _moment(iso_text: str) -> str:
    return iso_text[:16].replace("T", " ") + " UTC"


def _size(size_bytes: int) -> str:
    size = float(size_bytes)
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit in {"B", "KB"} else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
