"""Finding the row of column names among the first rows of a table."""

from __future__ import annotations

from collections.abc import Sequence

from imgsearch.ingest.tables.names import KNOWN_NAMES, plain_name

SEARCHED_ROWS = 25


def header_position(rows: Sequence[Sequence[str]]) -> int:
    """Return which of the first rows has the column names: usually the first that is not empty.

    A later one counts where it names more known columns and the rows above it are shorter: a report's title and date.
    Returns -1 where all rows are empty.
    """
    first, best, best_known = -1, -1, 0
    for position, row in enumerate(rows[:SEARCHED_ROWS]):
        filled = [cell for cell in row if cell.strip()]
        if not filled:
            continue
        known = sum(plain_name(cell) in KNOWN_NAMES for cell in filled)
        if first < 0:
            first, best, best_known = position, position, known
            widest = len(filled)
        elif len(filled) > widest and (known > best_known or (known == best_known == 0 and widest == 1)):
            best, best_known = position, known
            widest = len(filled)
    return best
