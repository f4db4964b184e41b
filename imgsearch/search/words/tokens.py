"""Texts as words that are compared literally: of titles, brands and codes, and of what a visitor types.

A word is a run of letters, or a run of digits: "AB-1234", "ab1234" and "AB 1234" are `ab` and `1234`. Parts that are
written together or with signs between them are a word too (`ab1234`, `tshirt` of "T-Shirt"). Case, accents and an
English plural do not count. A whole code is a word that begins with "=": `=ab1234`; a word of a brand or another
chosen column also begins with "@": `@acme`.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from imgsearch.search.words.filter_suggestions import folded, singular

CODE, CHOSEN = "=", "@"
MAX_WORD_CHARS = 32
MAX_TEXT_CHARS = 400
MAX_WORDS = 64
"""Of one text."""
STOP_WORDS = frozenset(
    ("a", "an", "and", "at", "by", "for", "from", "in", "of", "on", "or", "the", "to", "with")
)
_RUN = re.compile(r"[^\W\d_]+|\d+")
_SIGNS = re.compile(r"[\W_]+")


def runs(text: str) -> list[str]:
    """Return the runs of letters and of digits of a text, in order."""
    return [singular(run)[:MAX_WORD_CHARS] for run in _RUN.findall(folded(text[:MAX_TEXT_CHARS]))][:MAX_WORDS]


def joined(chunk: str) -> str:
    """Return a text without spaces and signs, in small letters; "" where it is longer than a word."""
    plain = _SIGNS.sub("", folded(chunk[:MAX_TEXT_CHARS]))
    return plain if len(plain) <= MAX_WORD_CHARS else ""


def code_word(text: str) -> str:
    """Return the word of a whole code; "" for a text that is longer than one, or has no letter and no digit."""
    plain = joined(text)
    return f"{CODE}{plain}" if plain else ""


def text_words(text: str) -> Iterator[str]:
    """Yield the words by which a title is found; some may be repeated."""
    for chunk in text[:MAX_TEXT_CHARS].split()[:MAX_WORDS]:
        parts = runs(chunk)
        yield from parts
        if len(parts) > 1 and (whole := joined(chunk)):
            yield singular(whole)


def code_words(text: str) -> Iterator[str]:
    """Yield the words by which a code is found, also as a part of a longer text."""
    if whole := code_word(text):
        yield whole
        yield singular(whole[1:])
        yield from runs(text)


def spans(text: str) -> list[tuple[str, tuple[int, int]]]:
    """Return the words of a typed text with the run from which and before which each reaches.

    Beside the runs: chunks between spaces as a whole, and two neighbouring chunks that are written as one word.
    """
    found: list[tuple[str, tuple[int, int]]] = []
    chunks: list[tuple[str, int, int]] = []
    place = 0
    for chunk in text[:MAX_TEXT_CHARS].split()[:MAX_WORDS]:
        parts = runs(chunk)
        found += [(part, (place + n, place + n + 1)) for n, part in enumerate(parts)]
        if parts:
            chunks.append((chunk, place, place + len(parts)))
            if len(parts) > 1 and (whole := joined(chunk)):
                found.append((singular(whole), (place, place + len(parts))))
        place += len(parts)
    for (first, start, _), (second, _, end) in itertools.pairwise(chunks):
        if whole := joined(first + second):
            found.append((singular(whole), (start, end)))
    return found
