"""The columns of one table: the kind of each, recognised or stated, and its rows with typed cells."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from imgsearch.core.column_schema import ColumnRole, ColumnSchema
from imgsearch.core.column_types import Recognised, currency_column, kind_plural, recognise
from imgsearch.core.prices import Price

_NOTHING = ColumnSchema()


@dataclass(frozen=True, slots=True)
class TableColumns:
    """What each column of a table is, by name, in the table's order; `roles` as the schema states them."""

    columns: Mapping[str, Recognised] = field(default_factory=dict)
    roles: Mapping[str, ColumnRole] = field(default_factory=dict)

    @staticmethod
    def of(values: Mapping[str, Iterable[Any]], schema: ColumnSchema = _NOTHING) -> TableColumns:
        """Return the columns recognised over all their values, except for what the schema states."""
        columns, roles = {}, {}
        for name, cells in values.items():
            stated = schema.of(name)
            columns[name] = recognise(cells, name, kind=stated.kind, style=stated.style)
            if stated.role:
                roles[name] = stated.role
        return TableColumns(columns, roles)

    def row(self, cells: Mapping[str, Any]) -> dict[str, Any]:
        """Return a row with typed cells, without missing values and exceptions.

        The currency of a price is added as `<name>_currency`, unless the row has such a cell. A cell of a column that
        is not known stays as it is.
        """
        row: dict[str, Any] = {}
        currencies: dict[str, str] = {}
        for name, value in cells.items():
            known = self.columns.get(name)
            if value is None or known is None:
                found = value
            elif known.kind == "text" and isinstance(value, str):
                found = value if value.strip() else None
            else:
                found = known.parse(value)
            if isinstance(found, Price):
                if found.currency:
                    currencies[currency_column(name)] = found.currency
                found = found.amount
            if found is not None:
                row[name] = found
        return currencies | row if currencies else row

    def notes(self) -> Iterator[str]:
        """Yield a sentence for each column that has exceptions, or that a person should check."""
        for name, column in self.columns.items():
            if column.exceptions:
                reasons = ", ".join(f"{reason} ({count:,})" for reason, count in column.reasons.items())
                examples = ", ".join(repr(example) for example in column.examples[:3])
                yield (
                    f"The column {name!r} holds {kind_plural(column.kind)}; {column.exceptions:,} of "
                    f"{column.values:,} values are left out: {reasons}, such as {examples}."
                )
            yield from (f"The column {name!r}: {note}" for note in column.notes)
