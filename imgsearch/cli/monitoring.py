"""`imgsearch monitor` and `imgsearch events`: usage in a period, and deletion of events."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from imgsearch.cli import terminal
from imgsearch.cli.session import session
from imgsearch.cli.terminal import CatalogOption, JsonOption, many, one_line, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imgsearch.improve.monitoring.drift import Drift
    from imgsearch.improve.monitoring.overview import Overview, QueryFigures
    from imgsearch.store.database import Database

PERIOD_NAMES = ("1h", "24h", "7d", "30d", "90d", "1y")
_AGE = re.compile(r"([1-9][0-9]{0,4})([hdw])")
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}

events = terminal.command_group(
    "events", "Impressions and clicks: delete old ones, or all data of one visitor."
)

app = typer.Typer()
app.add_typer(events)


@app.command()
def monitor(
    period: Annotated[
        str, typer.Option(metavar="PERIOD", help=f"How far back: {', '.join(PERIOD_NAMES)}.")
    ] = "24h",
    catalog: CatalogOption = None,
    as_json: JsonOption = False,
) -> None:
    """Report a period, by default the last day: searches, latency, clicks, failing queries, drift.

    While the app runs, its Monitor page shows the same.

    Example: `imgsearch monitor --period 7d --json`
    """
    if period not in PERIOD_NAMES:
        raise typer.BadParameter(f"{period!r} is not one of {', '.join(PERIOD_NAMES)}", param_hint="--period")
    from imgsearch.improve.monitoring.drift import read_drifts
    from imgsearch.improve.monitoring.overview import Period, read_overview

    with terminal.open_catalog(catalog) as opened:
        found, drifts = read_overview(opened.database, Period.last(period)), read_drifts(opened.database)
    document = {**found.as_dict(), "drift": [asdict(drift) for drift in drifts]}
    terminal.output(as_json, document, lambda: _print_overview(found, drifts))


@events.command()
def prune(
    older_than: Annotated[str, typer.Option("--older-than", metavar="AGE", help="Such as 180d, 26w or 12h.")],
    catalog: CatalogOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete impressions and clicks older than AGE; judgments and counts without names stay.

    Example: `imgsearch events prune --older-than 180d`
    """
    found = _AGE.fullmatch(older_than.strip())
    if found is None:
        raise typer.BadParameter(
            f"{older_than!r} is not an age; write a number and h, d or w, such as 180d",
            param_hint="--older-than",
        )
    from imgsearch.improve.monitoring.retention import prune_events
    from imgsearch.store.database import utc_now

    before = utc_now() - int(found[1]) * _UNITS[found[2]]
    with terminal.open_catalog(catalog) as opened:
        deleted = prune_events(opened.database, before)
    _warn_if_not_erased(opened.database)
    document = {"before": before.isoformat(timespec="seconds"), "deleted": deleted}
    terminal.output(as_json, document, lambda: print(f"Deleted {_in_words(deleted)}."))


@events.command("forget-visitor")
def forget_visitor(
    visitor: Annotated[str, typer.Argument(metavar="ID", help="The visitor as the website names them.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count the rows only, and delete nothing.")
    ] = False,
    catalog: CatalogOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete every row of a visitor, including verdicts given under that name, and the pictures that only they sent.

    Rules and texts that they wrote stay, without their name, and so do counts without names. When the command ends,
    the deleted bytes are no longer in the database's file.

    Example: `imgsearch events forget-visitor 3b241101e2bb4255a3a1`
    """
    from imgsearch.improve.monitoring.retention import forget_visitor as forget
    from imgsearch.improve.monitoring.retention import rows_of_visitor

    settings = terminal.load_settings(catalog=catalog)
    uploads: Sequence[str] = ()
    unsigned: Mapping[str, int] = {}
    with terminal.open_catalog(settings.catalog) as opened, terminal.open_feedback(opened):
        if dry_run:
            rows: Mapping[str, int] = rows_of_visitor(opened.database, visitor)
        else:
            forgotten = forget(opened.database, visitor)
            rows, uploads, unsigned = forgotten.rows, forgotten.uploads, forgotten.unsigned
            store = terminal.uploads_of(opened, settings)
            for upload_id in uploads:
                store.remove(upload_id)
    _warn_if_not_erased(opened.database)
    if as_json:
        counts = {"rows": dict(rows), "unsigned": dict(unsigned), "uploads": len(uploads)}
        terminal.print_json({"visitor": visitor, **counts, "dry_run": dry_run})
    elif dry_run:
        print(f"There are {_in_words(rows)} of {one_line(visitor)!r}; nothing was deleted.")
    else:
        print(f"Deleted {_in_words(rows)} of {one_line(visitor)!r} and {many(len(uploads), 'picture')}.")
        if unsigned:
            print(f"Removed the name from {_in_words(unsigned)}.")


def _warn_if_not_erased(closed: Database) -> None:
    if closed.erasing and session() is not None:
        say("The rows are deleted; their bytes are erased from the file when the server stops.")
    elif closed.erasing:
        say(
            "Warning: the rows are deleted, but the file could not be rewritten (is the disk full?): their bytes are "
            "still in it, and the next command on this catalog tries again."
        )


def _in_words(rows: Mapping[str, int]) -> str:
    parts = [f"{count:,} {table.replace('_', ' ')}" for table, count in rows.items() if count]
    return ", ".join(parts) or "no rows"


def _print_overview(found: Overview, drifts: Sequence[Drift]) -> None:
    rate = found.zero_click_rate
    hours = (found.period.end - found.period.start).total_seconds() / 3600
    span = f"{hours:.0f} hours" if hours <= 48 else f"{hours / 24:.0f} days"
    print(f"The {span} to {found.period.end:%Y-%m-%d %H:%M} UTC")
    print(f"{found.searches:,} searches ({found.searches_before:,} before), {found.visitors:,} visitors")
    print(f"{found.clicks:,} clicks; without a click: {'no searches' if rate is None else f'{rate:.1%}'}")
    print(f"{found.empty:,} found nothing, {found.failed:,} failed, {found.judgments:,} judgments")
    for code, amount in found.failures.items():
        print(f"  {amount:,} {one_line(code)}")
    for stage in found.stages:
        print(
            f"{stage.stage}: p50 {stage.p50_ms:.2f} ms, p95 {stage.p95_ms:.2f} ms, p99 {stage.p99_ms:.2f} ms"
        )
    for drift in drifts:
        index = "not enough queries yet" if drift.index is None else f"stability index {drift.index:.3f}"
        print(f"drift of {drift.kind}: {drift.state} ({index})")
    _print_queries("Most frequent", found.top)
    _print_queries("Failing", found.failing)


def _print_queries(title: str, found: Sequence[QueryFigures]) -> None:
    if not found:
        return
    rows = [(each.query_key[:200], each.searches, each.clicked, ", ".join(each.reasons)) for each in found]
    print()
    terminal.print_rows((title, "searches", "clicked", "why"), rows)
