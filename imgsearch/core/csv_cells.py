"""Cells for spreadsheets, which take some texts for formulas.

It owns which texts those are and how they are made harmless; it writes no file and knows no table.
"""

from __future__ import annotations

from typing import TypeVar

__all__ = ["harmless"]

T = TypeVar("T")

# A spreadsheet takes a cell that begins like this for a formula (OWASP, "CSV Injection").
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def harmless(cell: T) -> T | str:
    """Return a cell, with an apostrophe in front where it is a text that a spreadsheet would take for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
