"""Dates and times as people write them: 2025-01-31, 31.12.2025, 12/31/2025, "Fri, 31 Jan 2025 12:00:00 +0100"."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

DayOrder = Literal["dmy", "mdy", ""]
"""Whether the day or the month comes first where both are numbers before the year; "" where it is not known."""

MAX_MOMENT_CHARS = 60

_NUMERIC = re.compile(r"([0-9]{1,4})([-./])([0-9]{1,2})([-./])([0-9]{1,4})\Z")
_NAMED = re.compile(r"(?:[A-Za-z]{3,9}, ?)?([0-9]{1,2})\.? ([A-Za-z]{3,9})\.?,? ([0-9]{4})\Z")
_NAMED_FIRST = re.compile(r"([A-Za-z]{3,9})\.? ([0-9]{1,2}),? ([0-9]{4})\Z")
_TIME = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]{1,9}))?)?(?: ?([AaPp])\.?[Mm]\.?)?\Z")
_OFFSET = re.compile(r" ?(Z|z|UTC|GMT|([+-])([0-9]{2}):?([0-9]{2})?)\Z")
_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            ("jan", "januar", "january"), ("feb", "februar", "february"), ("mar", "mär", "mrz", "march", "märz"),
            ("apr", "april"), ("may", "mai"), ("jun", "june", "juni"), ("jul", "july", "juli"),
            ("aug", "august"), ("sep", "sept", "september"), ("oct", "okt", "october", "oktober"),
            ("nov", "november"), ("dec", "dez", "december", "dezember"),
        ),
        start=1,
    )
    for name in names
}  # fmt: skip


def day_order(text: str) -> DayOrder:
    """Return the order that a date shows: a number above 12 is the day. "" where both may be."""
    found = _NUMERIC.match(text.strip().split(" ", 1)[0][:MAX_MOMENT_CHARS])
    if found is None or len(found[1]) > 2:
        return ""
    if int(found[1]) > 12:
        return "dmy"
    return "mdy" if int(found[3]) > 12 else ""


def is_numeric_date(text: str) -> bool:
    """Return whether the text begins with a date whose day and month both are numbers before the year."""
    found = _NUMERIC.match(text.strip().split(" ", 1)[0][:MAX_MOMENT_CHARS])
    return found is not None and len(found[1]) <= 2


def read_date(text: str, order: DayOrder = "") -> date | None:
    """Return the date that a text is; without an `order` 31/12/2025 is read, but not 01/02/2025."""
    text = text.strip()
    if len(text) > MAX_MOMENT_CHARS:
        return None
    numeric = _NUMERIC.match(text)
    if numeric is not None:
        return _numeric_date(numeric[1], numeric[3], numeric[5], numeric[2], numeric[4], order)
    text = text.replace("-", " ")  # 31-Jan-2025
    if (named := _NAMED.match(text)) is not None:
        return _date(int(named[3]), _MONTHS.get(named[2].lower(), 0), int(named[1]))
    if (first := _NAMED_FIRST.match(text)) is not None:
        return _date(int(first[3]), _MONTHS.get(first[1].lower(), 0), int(first[2]))
    return None


def _numeric_date(
    first: str, second: str, third: str, separator: str, other: str, order: DayOrder
) -> date | None:
    if separator != other:
        return None
    if len(first) == 4:
        return _date(int(first), int(second), int(third)) if len(third) <= 2 else None
    if len(first) > 2 or len(third) not in (2, 4) or (len(third) == 2 and separator == "-"):
        return None
    year = int(third) if len(third) == 4 else 2000 + int(third) - (100 if int(third) >= 70 else 0)
    if separator == "." and not order:
        order = "dmy"
    if not order:
        order = "dmy" if int(first) > 12 else "mdy" if int(second) > 12 else ""
    if not order:
        return None
    day, month = (int(first), int(second)) if order == "dmy" else (int(second), int(first))
    return _date(year, month, day)


def read_time(text: str) -> time | None:
    """Return the time of day that a text such as 09:30, 9:30 pm or 09:30:15.25 is."""
    found = _TIME.match(text.strip()[:MAX_MOMENT_CHARS])
    if found is None:
        return None
    hour, half = int(found[1]), (found[5] or "").lower()
    if half:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half == "p" else 0)
    try:
        return time(hour, int(found[2]), int(found[3] or 0), int((found[4] or "0").ljust(6, "0")[:6]))
    except ValueError:
        return None


def read_datetime(text: str, order: DayOrder = "") -> datetime | None:
    """Return date and time of a text, in UTC where an offset is given, without a time zone; also a date alone."""
    text = text.strip()
    if len(text) > MAX_MOMENT_CHARS:
        return None
    alone = read_date(text, order)
    if alone is not None:
        return datetime.combine(alone, time())
    offset = _OFFSET.search(text)
    shift = timedelta(0)
    if offset is not None:
        text = text[: offset.start()]
        if offset[2]:
            shift = timedelta(hours=int(offset[3]), minutes=int(offset[4] or 0)) * (
                1 if offset[2] == "+" else -1
            )
    colon = text.find(":")
    if colon < 0:
        return None
    start = colon
    while start and text[start - 1].isdigit():
        start -= 1
    day = read_date(text[:start].rstrip(" ").removesuffix("T").removesuffix("t").rstrip(" ,"), order)
    clock = read_time(text[start:])
    if day is None or clock is None or start == 0 or text[start - 1] not in " Tt":
        return None
    try:
        return datetime.combine(day, clock) - shift
    except OverflowError:
        return None


def without_zone(moment: datetime) -> datetime:
    """Return the moment in UTC without a time zone, as the catalog stores it."""
    if moment.tzinfo is None:
        return moment
    try:
        return moment.astimezone(UTC).replace(tzinfo=None)
    except OverflowError:
        return moment.replace(tzinfo=None)


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None
