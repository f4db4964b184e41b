"""Cells of CSV files that people open in spreadsheets."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")

# A spreadsheet takes a cell that begins like this for a formula (OWASP, "CSV Injection").
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def escape_formula(cell: T) -> T | str:
    """Return a cell, with an apostrophe in front of a text that a spreadsheet would take for a formula.

    The texts of a list are divided by `|`, which is read as a list again.
    """
    if isinstance(cell, list | tuple):
        return escape_formula("|".join(map(str, cell)))
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
