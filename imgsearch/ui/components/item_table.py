"""The item table component: a window on all items of the catalog, to search, sort, select and edit.

It reads its rows from `GET /api/v1/items` itself; changes come as events (`imgsearch.ui.state.desk_events`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from imgsearch.core.base_path import served_path
from imgsearch.core.column_types import currency_column
from imgsearch.core.column_values import ColumnKind
from imgsearch.ui.components.gallery import PRICE_COLUMNS, pass_on, sent_by
from imgsearch.ui.markup import asset, script
from imgsearch.ui.state.desk import DeskSession
from imgsearch.ui.state.desk_values import shown_kind
from imgsearch.ui.wording import is_machine_column, label_of

FIRST_COLUMNS = 6
"""How many columns the table shows before a person chooses others."""

SCRIPTS = (
    "events.js",
    "table_pages.js",
    "table_scroll.js",
    "table_cells.js",
    "table_dialogs.js",
    "table_drop.js",
    "table_toasts.js",
    "table_selection.js",
    "table_rows.js",
    "item_table.js",
)

_component = st.components.v2.component(
    "imgsearch_item_table", css=asset("item_table.css"), js=script(*SCRIPTS)
)


def draw_item_table(
    columns: Mapping[str, ColumnKind],
    title: str,
    desk: DeskSession,
    *,
    version: int,
    may_edit: bool,
    on_event: Callable[[Any], None],
) -> None:
    """Draw the table of the catalog's items; `on_event` is called with every event that the browser sends.

    The titles are in the column `title`, "" where no column has them. A new `version` makes it load its rows again.
    """
    key = "item_table"
    _component(
        key=key,
        data={
            "endpoint": served_path("/api/v1/items"),
            "search_address": served_path("/"),
            "columns": table_columns(columns, title, may_edit=may_edit),
            "editable": may_edit,
            "version": version,
            "handled": list(desk.handled),
            "outcomes": desk.told(),
            "history": desk.history,
        },
        on_events_change=lambda: pass_on(sent_by(key), on_event),
    )


def table_columns(columns: Mapping[str, ColumnKind], title: str, *, may_edit: bool) -> list[dict[str, Any]]:
    """Return the table's columns: the title, the metadata, the id and the time of the last change.

    The currency of a price is shown and edited with the price.
    """
    currencies = {currency_column(name) for name in columns if shown_kind(columns, name) == "price"}
    hidden = currencies | {title}
    shown = {name: shown_kind(columns, name) for name in columns if name not in hidden}
    shown = dict(sorted(shown.items(), key=lambda column: _rank(*column)))
    first = [name for name in shown if not is_machine_column(name)][:FIRST_COLUMNS]
    named = _column(title, columns[title], editable=may_edit) if title else _own("title", "Title", "text")
    metadata = [
        _column(name, kind, editable=may_edit) | {"first": name in first} for name, kind in shown.items()
    ]
    return [
        named | {"title": True},
        *metadata,
        _own("item_id", "Item id", "text", "id"),
        _own("updated_at", "Updated", "datetime", "updated"),
    ]


def _rank(name: str, kind: ColumnKind) -> int:
    """Return a column's place among those of other ranks: prices first, numbers such as a photo's position last."""
    if kind == "price" or name.casefold() in PRICE_COLUMNS:
        return 0
    return 2 if kind == "number" else 1


def _column(name: str, kind: ColumnKind, *, editable: bool) -> dict[str, Any]:
    return {
        "name": name,
        "label": label_of(name),
        "kind": kind,
        "source": "metadata",
        "sort": name,
        "editable": editable,
        "title": False,
        "first": False,
    }


def _own(field: str, label: str, kind: ColumnKind, sort: str = "") -> dict[str, Any]:
    own = {"name": f"@{field}", "source": "own", "field": field, "sort": sort or field}
    return _column(field, kind, editable=False) | own | {"label": label}
