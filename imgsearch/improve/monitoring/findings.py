"""Sentences about the state of the service, the most urgent first, and about failing queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from imgsearch.improve.monitoring.drift import Drift
from imgsearch.improve.monitoring.health import Health
from imgsearch.improve.monitoring.overview import Overview, QueryFigures

__all__ = ["MIN_SEARCHES", "Finding", "failure_reasons", "findings"]

MAX_QUEUED = 20_000
SLOW_MS = 1000.0
MAX_SHARE = 0.05
"""A larger share of refused or empty searches is reported."""
REFUSALS = frozenset({"bad_query", "bad_filter", "unknown_item", "bad_image", "image_too_large"})
"""Error codes of searches that were rightly refused."""
QUERY_WORDS = {"words": "Words", "photo": "Visitors' photos", "item": "The photos that visitors click"}
MIN_SEARCHES = 3
"""A query searched less often without a click may be chance."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about the state of the service."""

    level: Literal["good", "note", "bad"]
    text: str


def findings(overview: Overview, health: Health, drifts: Sequence[Drift] = ()) -> tuple[Finding, ...]:
    """Return every problem, the most urgent first, or one good finding where there is none."""
    bad, notes = [], []
    if health.encoder_status == "failed":
        bad.append(f"Words and photos cannot be searched: {health.encoder_reason}")
    elif health.encoder_status == "loading":
        notes.append("The model is still loading; items can be searched already.")
    if health.feedback.lost:
        bad.append(f"{health.feedback.lost:,} feedback rows are lost: the database could not be written.")
    elif health.feedback.queued > MAX_QUEUED:
        bad.append(f"{health.feedback.queued:,} feedback rows wait: the database does not accept them.")
    broken = sum(amount for code, amount in overview.failures.items() if code not in REFUSALS)
    if broken:
        bad.append(f"{broken:,} searches failed on the server; its log contains the errors.")
    refused = overview.failed - broken
    if refused > MAX_SHARE * (overview.searches + overview.failed):
        notes.append(f"{refused:,} searches were refused as invalid; the reasons are listed below.")
    total = next((stage for stage in overview.stages if stage.stage == "total"), None)
    if total and total.p95_ms > SLOW_MS:
        notes.append(f"5% of the searches take longer than {total.p95_ms / 1000:.1f} s.")
    if overview.empty > MAX_SHARE * overview.searches:
        notes.append(f"{overview.empty:,} of {overview.searches:,} searches found nothing.")
    for drift in drifts:
        if drift.state == "drifted" and drift.mean_now is not None and drift.mean_then is not None:
            where = "further from" if drift.mean_now < drift.mean_then else "nearer to"
            notes.append(
                f"{QUERY_WORDS[drift.kind]} are {where} the catalog than in its first week "
                f"(mean cosine {drift.mean_now:.2f}, was {drift.mean_then:.2f})."
            )
    if not bad and not notes:
        return (Finding("good", f"All is well: {health.items:,} photos can be searched."),)
    return (*(Finding("bad", text) for text in bad), *(Finding("note", text) for text in notes))


def failure_reasons(figures: QueryFigures, *, weak: bool) -> tuple[str, ...]:
    """Return why a query counts as failing; `weak` means that its first hits score far below those of its kind."""
    reasons = []
    if figures.empty:
        reasons.append("found nothing" if figures.empty == 1 else f"found nothing {figures.empty:,} times")
    if figures.bad > figures.good:
        reasons.append(f"judged bad {figures.bad:,}, good {figures.good:,}")
    if figures.clicked == 0 and figures.searches - figures.empty >= MIN_SEARCHES:
        reasons.append("never clicked")
    if weak:
        reasons.append("weak look-alikes")
    return tuple(reasons)
