"""Imports on the Catalog page: the progress of the one that runs, how each ended, and what it could not import."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

import streamlit as st

from imgsearch.app.service import SearchService
from imgsearch.core.csv_cells import escape_formula
from imgsearch.ui.components import blocks as ui
from imgsearch.ui.components.jobs import WATCH_EVERY_S
from imgsearch.ui.markup import draw_html
from imgsearch.ui.state.desk import moment
from imgsearch.ui.wording import counted

SHOWN_IMPORTS = 20
UNFINISHED = ("queued", "running", "paused")
STATES = {
    "queued": "waits for the import before it",
    "running": "runs",
    "paused": "is paused",
    "done": "done",
    "failed": "failed",
    "cancelled": "cancelled; what it had imported stays",
    "interrupted": "interrupted by a restart",
}
COUNTS = (
    ("added", "added"),
    ("changed", "changed"),
    ("unchanged", "unchanged"),
    ("removed", "removed"),
    ("hidden", "hidden"),
)


def draw_present_imports(service: SearchService, *, current: int | None, again: Callable[[], None]) -> bool:
    """Draw the imports that run, and the visitor's `current` one; return whether that is drawn.

    `again` is called by the button that chooses the next files.
    """
    imports = service.imports.latest(SHOWN_IMPORTS)
    running = [each["id"] for each in imports if each["status"] in UNFINISHED]
    for number in reversed(running):
        _follow(service, number)
    shown = next((each for each in imports if each["id"] == current), None)
    if shown is not None and shown["id"] not in running:
        _draw_end(service, shown)
        ui.button("Import more", "import_again", again, icon="add")
    return shown is not None


def draw_earlier_imports(service: SearchService, *, current: int | None) -> None:
    """Draw how the latest imports ended, but the visitor's `current` one."""
    imports = service.imports.latest(SHOWN_IMPORTS)
    earlier = [each for each in imports if each["status"] not in UNFINISHED and each["id"] != current]
    if earlier:
        with st.expander(f"Earlier imports ({len(earlier):,})"):
            for each in earlier:
                _draw_end(service, each)


@st.fragment(run_every=WATCH_EVERY_S)
def _follow(service: SearchService, number: int) -> None:
    job = service.imports.get(number)
    if job["status"] not in UNFINISHED:
        st.rerun()
    progress = job["progress"]
    done, total = progress["done"], progress["total"]
    text = f"Import of {short_source(job)} {STATES[job['status']]}"
    if total:
        text += f": {done:,} of {total:,} photos"
    elif done:
        text += f": {counted(done, 'photo', 'photos')}"
    if progress["failed"]:
        text += f", {progress['failed']:,} failed"
    with st.container(border=True, horizontal=True, vertical_alignment="center", gap="medium"):
        draw_html("progress", text=text, share=min(1.0, done / total) if total else 0.0)
        if job["status"] == "paused":
            ui.act("Resume", f"resume_{number}", service.imports.resume, number, icon="play_arrow")
        elif job["status"] == "running":
            ui.act("Pause", f"pause_{number}", service.imports.pause, number, icon="pause")
        ui.act("Cancel", f"cancel_{number}", service.imports.cancel, number, icon="close")


def _draw_end(service: SearchService, job: Mapping[str, Any]) -> None:
    number = job["id"]
    failed = (job["report"] or {}).get("failed", 0)
    with st.container(
        border=True,
        horizontal=True,
        horizontal_alignment="distribute",
        vertical_alignment="center",
        key=f"import_{number}",
    ):
        draw_html("import_end", **_ended(job, failed))
        with st.container(horizontal=True, width="content"):
            if failed:
                ui.download(
                    f"{counted(failed, 'failure', 'failures')} as CSV",
                    partial(failures_csv, service, number),
                    f"import-{number}-failures.csv",
                    "text/csv",
                    key=f"failures_{number}",
                )
            if job["status"] in ("failed", "cancelled", "interrupted"):
                ui.act("Try again", f"again_{number}", service.imports.resume, number, icon="refresh")


def _ended(job: Mapping[str, Any], failed: int) -> dict[str, Any]:
    report = job["report"] or {}
    parts = [f"{report[name]:,} {words}" for name, words in COUNTS if report.get(name)]
    if failed:
        parts.append(f"{failed:,} failed")
    ended = job["ended_at"] or job["created_at"]
    return {
        "source": short_source(job),
        "state": STATES[job["status"]],
        "counts": ", ".join(parts) or ("nothing had changed" if job["status"] == "done" else ""),
        "reason": job["reason"],
        "when": moment(datetime.fromisoformat(ended.removesuffix("Z"))) if ended else "",
        "who": job["actor"],
    }


def short_source(job: Mapping[str, Any]) -> str:
    """Return what an import was of, without the folders of this server."""
    source = str(job["source"]).removeprefix("upload:")
    if job["spec"].get("path"):
        return source.rstrip("/").rsplit("/", 1)[-1]
    return "photos" if source == job["spec"].get("upload") else source


def failures_csv(service: SearchService, number: int) -> str:
    """Return what an import could not import as a table, which a spreadsheet opens without running formulas."""
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(["what", "why"])
    for failure in service.imports.failures(number, limit=100_000):
        table.writerow([escape_formula(failure.path), escape_formula(failure.reason)])
    return text.getvalue()
