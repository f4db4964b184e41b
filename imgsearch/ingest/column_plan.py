"""How the columns of an import and those of the catalog fit together: which kind each has, and rows in these kinds.

The kinds are decided once, over all tables of a run and all stored values, before the first row is stored. A value
that does not fit its column's kind is left out and counted; it never changes the column.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from imgsearch.core.column_names import holds_codes, holds_prices
from imgsearch.core.column_types import MIN_PRICE_SHARE, MIN_SHARE, Recognised, kind_plural, recognise
from imgsearch.core.column_values import ColumnKind, Style, plain_text
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.database import Cursor
from imgsearch.store.metadata_columns import ColumnState, add_column, common_kind, fitted
from imgsearch.store.metadata_table import read_states

MIN_SHARE_OF_REPLACED = 0.5
"""Of stored values that an import replaces, this share must fit the kind that the column takes."""
MAX_NOTES = 40


@dataclass(frozen=True, slots=True)
class ImportedColumn:
    """A column of the tables of an import; `stated` where a schema file gives its kind."""

    recognised: Recognised
    stated: bool = False
    role: str = ""


@dataclass(slots=True)
class ColumnPlan:
    """The kinds of the catalog's columns during an import, and how many of its values do not fit them.

    `retyped`: a column with stored values has another kind than before, so that an index of rows must be brought up.
    """

    kinds: Mapping[str, ColumnKind] = field(default_factory=dict)
    changes: list[str] = field(default_factory=list)
    retyped: bool = False
    _misfits: Counter[str] = field(default_factory=Counter)
    _examples: dict[str, str] = field(default_factory=dict)

    def row(self, metadata: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a row in the kinds of its columns, as JSON holds them, without what does not fit."""
        row: dict[str, Any] = {}
        for name, value in metadata.items():
            kind = self.kinds.get(name)
            if value is None:
                continue
            if kind is None or _is_plain(value, kind):
                row[name] = value
                continue
            cells = fitted(name, value, kind)
            if cells:
                row |= {key: cell for key, cell in cells.items() if key == name or key not in metadata}
            elif not (isinstance(value, str) and not value.strip()):
                self._misfits[name] += 1
                self._examples.setdefault(name, plain_text(value)[:60])
        return row

    def notes(self) -> Iterator[str]:
        """Yield a sentence for each column that changed its kind, and for each with values that do not fit."""
        left_out = [
            f"The column {name!r} holds {kind_plural(self.kinds[name])}; {count:,} values of this import, such as "
            f"{self._examples[name]!r}, do not fit and are left out."
            for name, count in self._misfits.items()
        ]
        notes = [*self.changes, *left_out]
        yield from notes[:MAX_NOTES]
        if len(notes) > MAX_NOTES:
            yield f"{len(notes) - MAX_NOTES:,} further columns changed their kind or have values that do not fit."


def _is_plain(value: Any, kind: ColumnKind) -> bool:
    """Return whether a value is stored as it is."""
    if isinstance(value, bool):
        return kind == "boolean"
    if isinstance(value, str):
        return kind == "text"
    return isinstance(value, int | float) and kind == "number"


def plan_columns(catalog: CatalogStore, tables: Sequence[Mapping[str, ImportedColumn]]) -> ColumnPlan:
    """Give the catalog's columns the kinds that an import's tables have, and return the plan for its rows.

    A text column takes the kind of its imported values where enough of the stored ones fit it; a typed column becomes
    text where too many imported values do not. What does not fit is kept and comes back with the kind text.
    """
    imported = _joined(tables)
    plan = ColumnPlan()
    states = {state.name: state for state in catalog.metadata.states}
    wanted = {}
    for name, column in imported.items():
        kind, notes = _decided(catalog, states.get(name), name, column)
        plan.changes += notes
        if kind is not None:
            wanted[name] = kind
    titles = [name for name, column in imported.items() if column.role == "title"]
    roles_differ = bool(titles) and titles[0] != catalog.metadata.stated_title
    changed = {name for name, kind in wanted.items() if name not in states or states[name].kind != kind}
    plan.retyped = any(name in states for name in changed)
    if changed or roles_differ:
        with catalog.writing() as cursor:
            for name in [name for name in wanted if name in changed]:
                plan.changes += _change(catalog, cursor, name, wanted[name], imported[name].recognised.style)
            if roles_differ:
                _set_title(cursor, titles[0])
    plan.kinds = catalog.metadata.columns
    return plan


def _joined(tables: Sequence[Mapping[str, ImportedColumn]]) -> dict[str, ImportedColumn]:
    """Return the columns of all tables; one that several have gets the kind that holds the values of all."""
    joined: dict[str, ImportedColumn] = {}
    for table in tables:
        for name, column in table.items():
            before = joined.get(name)
            if before is None:
                joined[name] = column
                continue
            if before.stated or (before.recognised.values and column.recognised.undecided):
                continue
            kind = common_kind(before.recognised.kind, column.recognised.kind)
            if column.stated or before.recognised.undecided:
                kind = column.recognised.kind
            one = before.recognised if before.recognised.kind == kind else column.recognised
            values = before.recognised.values + column.recognised.values
            joined[name] = ImportedColumn(
                Recognised(kind, values, currency=one.currency, style=one.style),
                column.stated,
                before.role or column.role,
            )
    return joined


def _decided(
    catalog: CatalogStore, state: ColumnState | None, name: str, column: ImportedColumn
) -> tuple[ColumnKind | None, list[str]]:
    """Return the kind that a column takes (None: no column is needed), and a note where it stays what it is."""
    found = column.recognised
    if state is None:
        return (
            found.kind if (found.values and not found.undecided) or column.stated or column.role else None
        ), []
    if state.kind == found.kind or column.stated:
        return found.kind, []
    if found.kind == "text":
        keeps = not holds_codes(name) and _keeps_kind(catalog, state, found)
        return (state.kind if keeps else "text"), []
    if state.kind != "text":
        wider = common_kind(state.kind, found.kind)
        return wider, []
    stored = stored_texts(catalog, state)
    as_kind = recognise(stored, name, kind=found.kind, style=Style(currency=found.style.currency))
    if _takes_kind(found, as_kind):
        return found.kind, []
    return "text", [
        f"The column {name!r} stays text: its imported values are {kind_plural(found.kind)}, but "
        f"{as_kind.exceptions:,} of {as_kind.values:,} stored ones, such as {as_kind.examples[0]!r}, are not. State "
        "its kind in a schema file to change that."
    ]


def _keeps_kind(catalog: CatalogStore, state: ColumnState, found: Recognised) -> bool:
    """Return whether a typed column keeps its kind though a table's values are text: few of all values do not fit."""
    if not found.values or found.undecided:
        return True
    sql = f"SELECT count({state.sql}) FROM metadata"
    stored = int(catalog.database.value(sql))
    fits = found.shares.get(state.kind, 0.0) * found.values
    return stored + fits >= _min_share(state.kind, state.name) * (stored + found.values)


def _takes_kind(found: Recognised, stored: Recognised) -> bool:
    """Return whether a text column takes the kind of its imported values."""
    placeholders = stored.reasons.get("stands for no value", 0)
    bad, all_stored = stored.exceptions - placeholders, stored.values - placeholders
    imported = found.values - found.exceptions
    share = 1 - bad / max(1, all_stored + imported)
    replaced = found.values >= stored.values
    return share >= (MIN_SHARE_OF_REPLACED if replaced else _min_share(found.kind, ""))


def _min_share(kind: ColumnKind, name: str) -> float:
    return MIN_PRICE_SHARE if kind == "price" or (kind == "number" and holds_prices(name)) else MIN_SHARE


def stored_texts(catalog: CatalogStore, state: ColumnState) -> Counter[str]:
    """Return the distinct values of a text column, counted."""
    sql = f"SELECT {state.sql}, count(*) FROM metadata WHERE {state.sql} IS NOT NULL GROUP BY ALL"
    return Counter(dict(catalog.database.cursor().execute(sql).fetchall()))


def _change(catalog: CatalogStore, cursor: Cursor, name: str, kind: ColumnKind, style: Style) -> list[str]:
    """Add a column or give it another kind; return a note on what changed."""
    states = {state.name: state for state in read_states(cursor)}
    state = states.get(name)
    if state is None:
        add_column(cursor, name, kind, len(states))
        return []
    example = ""
    if state.kind == "text":
        texts = stored_texts(catalog, state)
        as_kind = recognise(texts, name, kind=kind, style=Style(currency=style.currency))
        style, example = as_kind.style, next(iter(as_kind.examples), "")
    misfits = catalog.metadata.retype(cursor, name, kind, style)
    note = f"The column {name!r} held {kind_plural(state.kind)} and holds {kind_plural(kind)} now"
    if not misfits:
        return [f"{note}."]
    such = f", such as {example!r}," if example else ""
    return [
        f"{note}; {misfits:,} stored values{such} do not fit: they are kept beside it and count as missing."
    ]


def _set_title(cursor: Cursor, name: str) -> None:
    cursor.execute("UPDATE metadata_columns SET role = '' WHERE role = 'title'")
    cursor.execute("UPDATE metadata_columns SET role = 'title' WHERE name = ?", [name])
