"""Words of a text as queries and catalog values are compared: lower case, without accents, in the singular."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

__all__ = ["Token", "folded", "singular", "tokenize"]

MAX_TOKENS = 48
"""How many words of a text are read."""

_TOKEN = re.compile(r"[€$£¥]|[<>]=?|[-–](?=\s*[€$£¥]?\s*\d)|\d+(?:[.,]\d+)*|[^\W\d_]+(?:['’][^\W\d_]+)*")
_SPELLINGS = {"gray": "grey", "aluminum": "aluminium", "jewelry": "jewellery"}


@dataclass(frozen=True, slots=True)
class Token:
    """A normalised word, number or sign, and its place in the text."""

    word: str
    start: int
    end: int


def tokenize(text: str) -> list[Token]:
    """Return the first `MAX_TOKENS` tokens of a text."""
    found = []
    for match in _TOKEN.finditer(text):
        word = singular(folded(match[0]))
        found.append(Token(_SPELLINGS.get(word, word), match.start(), match.end()))
        if len(found) == MAX_TOKENS:
            break
    return found


def folded(text: str) -> str:
    """Return a text in lower case without accents."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


def singular(word: str) -> str:
    """Return an English word without a plural's ending; any other word as it is."""
    if len(word) < 4 or not word.endswith("s") or word.endswith("ss"):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "shes", "ches", "xes", "zes")):
        return word[:-2]
    return word[:-1]
