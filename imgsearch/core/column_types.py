"""What kind of values a metadata column holds, recognised over the whole column.

At least `MIN_SHARE` of the values must fit a kind; the others are exceptions, which become null and are reported.
Placeholders such as "n/a" or "on request" never count against a kind. The text of a code is never changed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, time
from typing import Any

from imgsearch.core.column_names import (
    currency_in_name,
    holds_booleans,
    holds_codes,
    holds_lists,
    holds_prices,
    holds_prose,
    holds_titles,
)
from imgsearch.core.column_values import KINDS as KINDS
from imgsearch.core.column_values import MAX_SAFE_DIGITS, PLAIN, Separator, Style, plain_text
from imgsearch.core.column_values import ColumnKind as ColumnKind
from imgsearch.core.column_values import json_value as json_value
from imgsearch.core.column_values import kind_of as kind_of
from imgsearch.core.column_values import parse as parse
from imgsearch.core.moments import DayOrder, day_order, read_date, read_datetime, read_time
from imgsearch.core.prices import Mark, Price, WrittenPrice, read_number, read_price

MIN_SHARE = 0.95
"""Of the values of a column, at least this share must fit its kind."""
MIN_PRICE_SHARE = 0.75
"""The share where the column's name says that it holds prices, or most of its values name a currency."""
MAX_EXAMPLES = 5
SAMPLE_VALUES = 500

PLACEHOLDERS = frozenset(
    (
        *(
            "",
            "-",
            "--",
            "---",
            "–",
            "—",
            "?",
            "??",
            ".",
            "/",
            "n/a",
            "n.a.",
            "na",
            "#n/a",
            "nan",
            "null",
            "none",
        ),
        *("nil", "tbd", "tba", "unknown", "unbekannt", "k.a.", "k. a.", "keine angabe", "not available"),
        *(
            "not applicable",
            "on request",
            "price on request",
            "upon request",
            "on demand",
            "poa",
            "p.o.a.",
            "call",
        ),
        *("call for price", "call us", "ask", "ask us", "auf anfrage", "preis auf anfrage", "a. a.", "a.a."),
        *("sur demande", "prix sur demande", "su richiesta", "a consultar", "consultar", "bajo pedido"),
        *("op aanvraag", "na zapytanie", "sob consulta", "please inquire", "inquire", "contact us", "varies"),
        *("0000-00-00", "0000-00-00 00:00:00", "sold out", "ausverkauft", "out of stock", "coming soon"),
    )
)
"""What people write in a cell that has no value, in lower case."""

_CODE = re.compile(r"[-+]?0[0-9]|[-+]?[0-9]+[eE][0-9]+\Z")
"""A number with a leading zero, or 12e4 without a sign in the exponent: a code."""
_SEPARATORS: tuple[Separator, ...] = ("|", ";")
_MAX_ELEMENT_CHARS = 60

Reader = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Recognised:
    """A column's kind, and what does not fit it.

    `values` counts all values, `exceptions` those that become null, by `reasons`; `examples` shows some. `currency`
    is the most frequent one of its prices, "" where none is named. `notes` are sentences on what a person should
    check. `style` is how the column writes its values. `shares` of a text column are those of its values, apart from
    placeholders, that other kinds have; it is `undecided` where all its values are placeholders.
    """

    kind: ColumnKind
    values: int = 0
    exceptions: int = 0
    currency: str = ""
    reasons: Mapping[str, int] = field(default_factory=dict)
    examples: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    style: Style = PLAIN
    stated: bool = False
    undecided: bool = False
    shares: Mapping[ColumnKind, float] = field(default_factory=dict)

    def parse(self, value: Any) -> Any:
        """Return a value of the column as its kind, as `column_values.parse` does; None for an exception."""
        return parse(value, self.kind, self.style)

    def cells(self, name: str, value: Any) -> dict[str, Any]:
        """Return the cells of a row for a value of the column `name`: none for an exception, two for a price.

        The currency of a price is in the column `<name>_currency`.
        """
        found = self.parse(value)
        if found is None or (isinstance(found, str) and not found.strip()):
            return {}
        if isinstance(found, Price):
            currency = {currency_column(name): found.currency} if found.currency else {}
            return {name: found.amount, **currency}
        return {name: found}

    def as_dict(self) -> dict[str, Any]:
        """Return the column as JSON."""
        return {
            "kind": self.kind,
            "values": self.values,
            "exceptions": self.exceptions,
            "currency": self.currency,
            "reasons": dict(self.reasons),
            "examples": list(self.examples),
            "notes": list(self.notes),
        }


def currency_column(name: str) -> str:
    """Return the name of the column that holds the currency of the prices in column `name`."""
    return f"{name}_currency"


def currency_columns(name: str) -> tuple[str, ...]:
    """Return the columns that may hold the currency of the prices in column `name`, the preferred one first."""
    shared = ("currency", "currency_code") if holds_prices(name) else ()
    return (currency_column(name), *shared)


@dataclass(frozen=True, slots=True)
class _Reading:
    """The values of a column read as one kind: how many do not fit, and which."""

    kind: ColumnKind
    style: Style
    misfits: int
    currency: str = ""
    share: float = MIN_SHARE
    notes: tuple[str, ...] = ()


def recognise(
    values: Iterable[Any], name: str = "", *, kind: ColumnKind | None = None, style: Style = PLAIN
) -> Recognised:
    """Return what the values of a whole column are.

    Missing values are None or empty texts; a Counter has texts with their numbers. `name` is the column's: names of
    codes keep their texts. With a `kind` it is not guessed: all that does not fit is an exception. What `style`
    states holds; the rest is recognised.
    """
    texts, typed = _counted(values)
    if typed and not texts and kind is None:
        found = _typed_kind(typed, name)
        if found is not None:
            return _described(Recognised(found, style=style), Counter(), typed)
    written = texts + Counter(plain_text(value) for value in typed) if typed else texts
    if kind is not None:
        reading = _as_kind(kind, written, name, style)
        known = Recognised(
            kind, currency=reading.currency, notes=reading.notes, style=reading.style, stated=True
        )
        return _described(known, texts, typed)
    texts = written
    rest = Counter(
        {text: count for text, count in texts.items() if text.strip().casefold() not in PLACEHOLDERS}
    )
    total = rest.total()
    if not total or holds_codes(name) or holds_titles(name):
        return Recognised("text", values=texts.total(), style=style, undecided=not total)
    every = _readings(rest, name, style)
    readings = [each for each in every if each.misfits <= total * (1 - each.share) + 1e-9]
    if not readings:
        return Recognised(
            "text",
            values=texts.total(),
            notes=_near_misses(rest, every),
            style=style,
            shares={each.kind: 1 - each.misfits / total for each in every},
        )
    best = min(readings, key=lambda each: each.misfits)
    known = Recognised(best.kind, currency=best.currency, notes=best.notes, style=best.style)
    # Where all others fit, only placeholders are exceptions.
    return _described(known, texts, [], suspects=texts if best.misfits else texts - rest)


def _counted(values: Iterable[Any]) -> tuple[Counter[str], list[Any]]:
    """Return the texts, counted, and the typed values; missing ones are left out."""
    texts: Counter[str] = Counter()
    typed: list[Any] = []
    if isinstance(values, Counter):
        texts.update(values)
        values = ()
    for value in values:
        if isinstance(value, str):
            texts[value] += 1
        elif value is not None and value == value:
            typed.append(value)
    blank = [text for text in texts if not text.strip()]
    for text in blank:
        del texts[text]
    return texts, typed


def _typed_kind(values: list[Any], name: str) -> ColumnKind | None:
    """Return the kind of values of a typed file; None where they must be read as texts."""
    kinds = {kind_of(value, name) for value in values}
    if kinds <= {"number", "price"}:
        if holds_codes(name, typed=True) or holds_titles(name):
            return "text"
        return "price" if "price" in kinds else "number"
    if kinds == {"date", "datetime"}:
        return "datetime"
    if len(kinds) > 1:
        return None
    only = kinds.pop()
    if only == "datetime" and all(isinstance(each, datetime) and each.time() == time() for each in values):
        return "date"
    return only


def _described(
    known: Recognised, texts: Counter[str], typed: list[Any], suspects: Counter[str] | None = None
) -> Recognised:
    """Return the column with its counts, exceptions and examples; only `suspects` among the texts may not fit."""
    reasons: Counter[str] = Counter()
    examples: dict[str, None] = {}
    counted = [*(texts if suspects is None else suspects).items(), *((value, 1) for value in typed)]
    for value, count in counted:
        if known.parse(value) is None:
            reasons[_reason(value, known.kind)] += count
            if len(examples) < MAX_EXAMPLES:
                examples.setdefault(plain_text(value)[:60])
    return replace(
        known,
        values=texts.total() + len(typed),
        exceptions=reasons.total(),
        reasons=dict(reasons),
        examples=tuple(examples),
    )


_KIND_NAMES: dict[ColumnKind, str] = {
    "text": "text",
    "number": "a number",
    "price": "a price",
    "boolean": "true or false",
    "date": "a date",
    "datetime": "a date with a time",
    "time": "a time of day",
    "list": "a list",
}


def kind_name(kind: ColumnKind) -> str:
    """Return a kind in words, with its article: "a price"."""
    return _KIND_NAMES[kind]


def kind_plural(kind: ColumnKind) -> str:
    """Return a kind in words: "prices"."""
    words: dict[ColumnKind, str] = {
        "text": "text",
        "boolean": "true or false",
        "time": "times of day",
        "datetime": "dates with times",
    }
    return words.get(kind, f"{kind}s")


def _reason(value: Any, kind: ColumnKind) -> str:
    if isinstance(value, str) and value.strip().casefold() in PLACEHOLDERS:
        return "stands for no value"
    if kind == "price" and (not isinstance(value, str) or read_price(value) is not None):
        return "has more than 14 digits or 4 decimals"
    return f"is not {_KIND_NAMES[kind]}"


# --- readings: the column as each kind ---------------------------------------------------------------------


def _readings(texts: Counter[str], name: str, style: Style) -> list[_Reading]:
    """Return the column read as each kind that it may be, the preferred ones first.

    Of a long column, kinds that no value of a sample has are left out.
    """
    readers: dict[ColumnKind, Callable[[Counter[str]], _Reading | None]] = {
        "boolean": lambda values: _as_boolean(values, name, style),
        "number": lambda values: _as_number(values, name, style),
        "price": lambda values: _as_price(values, name, style),
        "date": lambda values: _as_moment("date", values, style),
        "datetime": lambda values: _as_moment("datetime", values, style),
        "time": lambda values: _as_moment("time", values, style),
        "list": lambda values: _as_list(values, name, style),
    }
    if len(texts) > 4 * SAMPLE_VALUES:
        sample = Counter(list(texts)[:: len(texts) // SAMPLE_VALUES])
        tried = {kind: read(sample) for kind, read in readers.items()}
        readers = {
            kind: readers[kind]
            for kind, reading in tried.items()
            if reading is not None and reading.misfits < sample.total()
        }
    found = {kind: read(texts) for kind, read in readers.items()}
    if found.get("number") is not None and _are_codes(texts):
        del found["number"]
    return [reading for reading in found.values() if reading is not None]


def _as_kind(kind: ColumnKind, texts: Counter[str], name: str, style: Style) -> _Reading:
    """Return the column read as a stated kind."""
    reading: _Reading | None = None
    match kind:
        case "number":
            evidence = style.mark or _mark(_numbers(texts))
            reading = _Reading(kind, replace(style, mark=evidence), 0)
        case "price":
            reading = _priced(texts, {text: read_price(text) for text in texts}, style)
        case "date" | "datetime":
            reading = _as_moment(kind, texts, style)
        case "list":
            reading = _Reading(kind, replace(style, separator=style.separator or _separator(texts, name)), 0)
    return reading or _Reading(kind, style, 0)


def _are_codes(texts: Counter[str]) -> bool:
    """Return whether numbers are codes: with a leading zero, more digits than a float, or decimals as in 90.750."""
    lengths = set()
    trailing = False
    for text in texts:
        text = text.strip()
        if _CODE.match(text) and not text.startswith(("0.", "-0.")):
            return True
        if sum(each.isdigit() for each in text[: MAX_SAFE_DIGITS * 2]) > MAX_SAFE_DIGITS and _is_digits(text):
            return True
        fraction = text.rpartition(".")[2] if "." in text else ""
        lengths.add(len(fraction))
        trailing = trailing or (len(fraction) >= 3 and fraction.endswith("0"))
    return trailing and len(lengths) > 1


def _is_digits(text: str) -> bool:
    return text.lstrip("-").replace(".", "", 1).isdigit() and "." not in text


def _misfits(texts: Counter[str], fits: Callable[[str], bool]) -> int:
    return sum(count for text, count in texts.items() if not fits(text))


def _as_boolean(texts: Counter[str], name: str, style: Style) -> _Reading | None:
    forms = {text.strip().lower() for text in list(texts)[:50]}
    if len(texts) > 50:
        return None
    if forms & {"1", "0"} and not holds_booleans(name):
        return None
    sure = forms & {"true", "false"} or holds_booleans(name)
    both = any(forms & {yes} and forms & {no} for yes, no in _PAIRS)
    if not sure and not both:
        return None
    return _Reading("boolean", style, _misfits(texts, lambda text: parse(text, "boolean") is not None))


_PAIRS = (
    ("yes", "no"),
    ("ja", "nein"),
    ("oui", "non"),
    ("si", "no"),
    ("sí", "no"),
    ("y", "n"),
    ("wahr", "falsch"),
)


def _numbers(texts: Counter[str]) -> Counter[Mark]:
    """Return how many numbers show each decimal mark, "" those that show none."""
    marks: Counter[Mark] = Counter()
    for text, count in texts.items():
        written = read_number(text.strip().removeprefix("-")) if len(text) <= 40 else None
        if written is not None:
            marks[written.evidence] += count
            marks[""] += 0
    return marks


def _mark(marks: Counter[Mark]) -> Mark:
    if marks["."] == marks[","]:
        return ""
    return "." if marks["."] > marks[","] else ","


def _as_number(texts: Counter[str], name: str, style: Style) -> _Reading | None:
    plain = _Reading("number", replace(style, mark="."), _misfits(texts, _is_plain_number))
    if style.mark == "." or holds_prices(name):
        priced = holds_prices(name) and _mark_of_thousands(texts) != ""
        return plain if not priced and style.mark != "," else None
    if not plain.misfits:
        return plain
    mark = style.mark or _mark(_numbers(texts))
    pointed = replace(style, mark=mark or ".")
    misfits = _misfits(texts, lambda text: parse(text, "number", pointed) is not None)
    if misfits >= plain.misfits:
        return plain
    unclear = next((text.strip() for text in texts if not _is_plain_number(text)), "") if not mark else ""
    read = plain_text(parse(unclear, "number", pointed))
    notes = (f"No value shows the decimal mark, so {unclear} is read as {read}.",) if unclear else ()
    return _Reading("number", pointed, misfits, notes=notes)


def _is_plain_number(text: str) -> bool:
    return (
        "," not in text and " " not in text.strip() and "'" not in text and parse(text, "number") is not None
    )


def _mark_of_thousands(texts: Counter[str]) -> Mark:
    """Return the separator of thousands of a column in which every separator is before three digits: 1.299, 899."""
    unclear: set[Mark] = set()
    for text in texts:
        written = read_price(text)
        if written is None:
            continue
        if written.number.evidence or written.number.mark:
            return ""
        if written.number.unclear:
            unclear.add(written.number.unclear)
    return unclear.pop() if len(unclear) == 1 else ""


def _as_price(texts: Counter[str], name: str, style: Style) -> _Reading | None:
    named = holds_prices(name)
    sure = 0
    prices = {text: read_price(text) for text in texts}
    for text, count in texts.items():
        written = prices[text]
        if written is not None and (written.certain or (named and written.currency)):
            sure += count
    if not named and not style.currency and sure < 0.5 * texts.total():
        return None
    of_name = replace(style, currency=style.currency or (currency_in_name(name) if named else ""))
    reading = _priced(texts, prices, of_name, only_certain=not named)
    if not sure and not style.currency and _are_plain(texts):
        return None
    strong = named or sure >= 0.5 * texts.total()
    return replace(reading, share=MIN_PRICE_SHARE) if strong else reading


def _are_plain(texts: Counter[str]) -> bool:
    return all(_is_plain_number(text) for text in texts) and not _mark_of_thousands(texts)


def _priced(
    texts: Counter[str],
    prices: Mapping[str, WrittenPrice | None],
    style: Style,
    *,
    only_certain: bool = False,
) -> _Reading:
    """Return the column read as prices, with the decimal mark that most of them show."""
    marks: Counter[Mark] = Counter()
    currencies: Counter[str] = Counter()
    unclear = ""
    misfits = 0
    for text, count in texts.items():
        written = prices[text]
        if written is None or (only_certain and written.for_prices_only):
            misfits += count
            continue
        marks[written.number.evidence] += count
        if written.number.unclear:
            unclear = unclear or text.strip()
        price = written.price("", style.currency)
        if price is None:
            misfits += count
        elif price.currency:
            currencies[price.currency] += count
    mark = style.mark or _mark(marks)
    notes: list[str] = []
    if unclear and not mark:
        read = parse(unclear, "price", replace(style, mark=mark))
        notes.append(f"No value shows the decimal mark, so {unclear} is read as {plain_text(read.amount)}.")
    elif unclear and marks["."] and marks[","]:
        notes.append(f"Points and commas both are decimal marks here; {unclear} is read with {mark!r}.")
    currency = currencies.most_common(1)[0][0] if currencies else style.currency
    return _Reading("price", replace(style, mark=mark), misfits, currency, notes=tuple(notes))


def _as_moment(kind: ColumnKind, texts: Counter[str], style: Style) -> _Reading | None:
    if kind == "time":
        return _Reading("time", style, _misfits(texts, lambda text: read_time(text) is not None))
    orders: Counter[DayOrder] = Counter()
    for text, count in texts.items():
        if len(text) <= 60:
            orders[day_order(text)] += count
    order: DayOrder = style.order
    if not order and orders["dmy"] != orders["mdy"]:
        order = "dmy" if orders["dmy"] > orders["mdy"] else "mdy"
    ordered = replace(style, order=order)
    if kind == "date":
        midnight = _misfits(texts, lambda text: parse(text, "date", ordered) is not None)
        return _Reading("date", ordered, midnight)
    return _Reading("datetime", ordered, _misfits(texts, lambda text: read_datetime(text, order) is not None))


def _separator(texts: Counter[str], name: str) -> Separator:
    """Return the separator of a column of lists: of at least half of the values, with short parts; "" for none."""
    total = texts.total()
    arrays = sum(count for text, count in texts.items() if text.strip().startswith("["))
    if arrays >= MIN_SHARE * total:
        return "json"
    for separator in (*_SEPARATORS, ",") if holds_lists(name) else _SEPARATORS:
        divided = sum(count for text, count in texts.items() if separator in text)
        if divided * 2 >= total:
            return separator
    return ""


def _as_list(texts: Counter[str], name: str, style: Style) -> _Reading | None:
    separator = style.separator or _separator(texts, name)
    if not separator or holds_prose(name):
        return None
    divided = replace(style, separator=separator)
    if separator == "json":
        return _Reading("list", divided, _misfits(texts, _is_array))
    parts: Counter[str] = Counter()
    longest = 0
    for text, count in texts.items():
        if "://" in text or len(text) > 2000:
            return None
        for part in text.split(separator):
            parts[part.strip()] += count
            longest = max(longest, len(part.strip()))
    repeated = sum(count for count in parts.values() if count > 1)
    usual = separator == "|" or holds_lists(name) or repeated * 2 >= parts.total()
    if not usual or longest > _MAX_ELEMENT_CHARS or "" in parts:
        return None
    return _Reading("list", divided, _misfits(texts, lambda text: parse(text, "list", divided) is not None))


def _is_array(text: str) -> bool:
    found = parse(text, "list", Style(separator="json"))
    return text.strip().startswith("[") and found is not None and found != [text.strip()]


def _near_misses(texts: Counter[str], readings: Sequence[_Reading]) -> tuple[str, ...]:
    """Return a sentence for the kind that most values of a text column have, so that a person may state it."""
    total = texts.total()
    for reading in sorted(readings, key=lambda each: each.misfits):
        if reading.misfits <= total * 0.5:
            other = next((text for text in texts if parse(text, reading.kind, reading.style) is None), "")
            return (
                f"{total - reading.misfits:,} of {total:,} values are {kind_plural(reading.kind)}; others, such as "
                f"{other[:40]!r}, keep the column text. State its kind in a schema file to change that.",
            )
    if any(_is_unclear_date(text) for text in list(texts)[:1000]):
        return (
            "The values are dates such as 01/02/2025 that do not show which number is the day; write 2025-02-01, or "
            "state the order dmy or mdy in a schema file.",
        )
    return ()


def _is_unclear_date(text: str) -> bool:
    return read_date(text, "dmy") is not None
