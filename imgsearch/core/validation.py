"""Pydantic's validation errors as one sentence for people."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import ErrorDetails

_TYPES = {
    "a text": ("string_type",),
    "a whole number": ("int_type", "int_parsing", "int_parsing_size", "int_from_float"),
    "a number": ("float_type", "float_parsing"),
    "a finite number": ("finite_number",),
    "true or false": ("bool_type", "bool_parsing"),
    "bytes": ("bytes_type",),
    "a list": ("list_type", "tuple_type"),
    "an object": ("dict_type", "model_type", "model_attributes_type", "dataclass_type"),
}
_KINDS = {error: words for words, errors in _TYPES.items() for error in errors}
_BOUNDS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("more than", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("less than", "lt"),
}
_UNION_TAGS = frozenset({"str", "bytes", "int", "float", "bool"})
_UNION_TAG = re.compile(r"^(constrained|function|list|tuple|dict|nullable)\b.*[-\[]")


def sentence(errors: Sequence[ErrorDetails], *, kind: str = "field", fields: Sequence[str] = ()) -> str:
    """Return what is wrong in the first of the errors, and what is allowed.

    `kind` is what a name is called; `fields` are the names of positional arguments.
    """
    # Of a union's branches, the one whose type fits says what is wrong.
    error = next((each for each in errors if not each["type"].endswith("_type")), errors[0])
    place = error["loc"]
    if place and isinstance(place[0], int) and place[0] < len(fields):
        place = (fields[place[0]], *place[1:])
    name = _name(place)
    context: Mapping[str, Any] = error.get("ctx", {})
    given = error["input"]
    match error["type"]:
        case "missing" | "missing_argument":
            return f"The {kind} {name} is missing."
        case "extra_forbidden" | "unexpected_keyword_argument":
            return f"There is no {kind} {name[:40]!r} here."
        case "json_invalid":
            return f"The body is not valid JSON: {context.get('error', 'it ends too early')}."
        case "string_too_long":
            most = context["max_length"]
            return f"{name} has {len(given):,} characters; shorten it to at most {most:,}."
        case "string_too_short":
            return f"{name} has {len(given)} characters, but needs at least {context['min_length']}."
        case "string_unicode":
            return f"{name} is not valid Unicode text: it contains a lone surrogate."
        case "too_long":
            return f"{name} has too many entries; at most {context['max_length']:,} are possible."
        case "too_short":
            return f"{name} needs at least {context['min_length']} entries."
        case "string_pattern_mismatch":
            return f"{name} is {_shown(given)}, but must match {context['pattern']}."
        case "literal_error":
            return f"{name} is {_shown(given)}, but must be {context['expected']}."
        case kind_of_error if kind_of_error in _BOUNDS:
            words, bound = _BOUNDS[kind_of_error]
            whole = "a whole number of " if isinstance(context[bound], int) else ""
            return f"{name} is {_shown(given)}, but must be {whole}{words} {_figure(context[bound])}."
        case kind_of_error if kind_of_error in _KINDS:
            return f"{name} is {_shown(given)}, but must be {_KINDS[kind_of_error]}."
    return f"{name}: {error['msg'].rstrip('.')}."


def _name(place: Sequence[int | str]) -> str:
    """Return the place of an error as a dotted name, without the branches of unions that were tried."""
    parts = [str(part) for part in place if part not in _UNION_TAGS and not _UNION_TAG.search(str(part))]
    return ".".join(parts) or "The value"


def _figure(bound: float) -> str:
    return f"{bound:,}" if isinstance(bound, int) else f"{bound:g}"


def _shown(value: object) -> str:
    if isinstance(value, Mapping | list | tuple):
        return "a list" if isinstance(value, list | tuple) else "an object"
    if isinstance(value, int) and abs(value) > 10**15:
        return "a very large number"
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:39]}…"
