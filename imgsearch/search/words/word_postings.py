"""Which items have which words: sorted arrays that are searched in microseconds and stored as one file.

For a million items with eight words and a code each they take about 300 MB: a word is 33 bytes, an entry 4.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.files import write_atomically
from imgsearch.core.key_arrays import Keys, is_in
from imgsearch.search.words.tokens import MAX_WORD_CHARS

Rows = NDArray[np.uint32]
Words = NDArray[np.bytes_]

_TYPE = f"S{MAX_WORD_CHARS + 1}"
_ARRAYS = ("keys", "words", "starts", "rows")
FORMAT = 1


@dataclass(frozen=True, slots=True, eq=False)
class WordPostings:
    """Ascending `keys` of items; ascending `words`; of word w, `rows[starts[w]:starts[w + 1]]` are places of keys."""

    keys: Keys
    words: Words
    starts: NDArray[np.int64]
    rows: Rows

    @staticmethod
    def of(words: Iterable[Iterable[str]], keys: Sequence[int]) -> WordPostings:
        """Return the postings of items, by the words of each and their ascending keys (read after the words)."""
        numbers: dict[str, int] = {}
        codes: list[NDArray[np.uint32]] = []
        counts: list[int] = []
        for of_item in words:
            found = [numbers.setdefault(word, len(numbers)) for word in dict.fromkeys(of_item)]
            codes.append(np.array(found, np.uint32))
            counts.append(len(found))
        encoded = np.array([word.encode()[: MAX_WORD_CHARS + 1] for word in numbers], _TYPE)
        # Long words of other alphabets may be cut to the same bytes: they count as one word.
        known, places = np.unique(encoded, return_inverse=True)
        of_entry = places[np.concatenate(codes)] if codes and len(places) else np.zeros(0, np.int64)
        rows = np.repeat(np.arange(len(counts), dtype=np.uint32), counts)
        order = np.lexsort((rows, of_entry))
        starts = np.concatenate([[0], np.cumsum(np.bincount(of_entry, minlength=len(known)))])
        return WordPostings(np.array(keys, np.uint64), known, starts.astype(np.int64), rows[order])

    def having(self, word: str) -> Keys:
        """Return the ascending keys of the items that have a word."""
        place = self._place(word.encode())
        if place is None:
            return self.keys[:0]
        return self.keys[self.rows[self.starts[place] : self.starts[place + 1]]]

    def count(self, word: str) -> int:
        """Return how many items have a word."""
        place = self._place(word.encode())
        return 0 if place is None else int(self.starts[place + 1] - self.starts[place])

    def beginning_with(self, prefix: str, most: int) -> Keys:
        """Return the ascending keys of the items that have a word with this beginning; none where over `most` do."""
        start = prefix.encode()[: MAX_WORD_CHARS + 1]
        first = int(np.searchsorted(self.words, np.array(start, _TYPE)))
        last = int(np.searchsorted(self.words, np.array((start + b"\xff" * 33)[: MAX_WORD_CHARS + 1], _TYPE)))
        begin, end = int(self.starts[first]), int(self.starts[last])
        return np.unique(self.keys[self.rows[begin:end]]) if end - begin <= most else self.keys[:0]

    def _place(self, word: bytes) -> int | None:
        wanted = np.array(word[: MAX_WORD_CHARS + 1], _TYPE)
        place = int(np.searchsorted(self.words, wanted))
        return place if place < len(self.words) and self.words[place] == wanted else None

    def save(self, path: Path, state: dict[str, Any]) -> None:
        """Store the postings with what they were made of; raises `OSError`."""
        buffer = io.BytesIO()
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        np.savez(
            buffer, state=np.frombuffer(json.dumps({**state, "format": FORMAT}).encode(), np.uint8), **arrays
        )
        write_atomically(path, buffer.getvalue())

    @staticmethod
    def load(path: Path) -> tuple[WordPostings, dict[str, Any]] | None:
        """Return stored postings and what they were made of; None where there are none, or they are damaged."""
        try:
            with np.load(path, allow_pickle=False) as file:
                state = json.loads(file["state"].tobytes())
                postings = WordPostings(*(file[name] for name in _ARRAYS))
            sound = (
                state["format"] == FORMAT
                and postings.words.dtype == np.dtype(_TYPE)
                and len(postings.starts) == len(postings.words) + 1
                and int(postings.starts[-1]) == len(postings.rows)
                and (not len(postings.rows) or int(postings.rows.max()) < len(postings.keys))
            )
        except (OSError, ValueError, KeyError, TypeError, IndexError, EOFError, zipfile.BadZipFile):
            return None
        return (postings, state) if sound else None


class RecentWords:
    """The words of a few items, which may change; used under the caller's lock."""

    def __init__(self) -> None:
        self._keys: defaultdict[str, set[int]] = defaultdict(set)
        self._words: dict[int, list[str]] = {}

    def __len__(self) -> int:
        return len(self._words)

    def add(self, key: int, words: Iterable[str]) -> None:
        """Add an item that is not among them."""
        self._words[key] = list(dict.fromkeys(words))
        for word in self._words[key]:
            self._keys[word].add(key)

    def remove(self, key: int) -> None:
        """Remove an item, if it is among them."""
        for word in self._words.pop(key, ()):
            self._keys[word].discard(key)
            if not self._keys[word]:
                del self._keys[word]

    def having(self, word: str) -> Keys:
        """Return the ascending keys of the items that have a word."""
        return np.array(sorted(self._keys.get(word, ())), np.uint64)

    def count(self, word: str) -> int:
        """Return how many items have a word."""
        return len(self._keys.get(word, ()))

    def beginning_with(self, prefix: str, most: int) -> Keys:
        """Return the ascending keys of the items that have a word with this beginning; none where over `most` do."""
        found = {key for word, keys in self._keys.items() if word.startswith(prefix) for key in keys}
        return np.array(sorted(found) if len(found) <= most else (), np.uint64)


@dataclass(frozen=True, slots=True, eq=False)
class PatchedPostings:
    """Postings of a catalog's earlier state (`base`) with those of the items that changed since (`recent`).

    `stale` are the ascending keys of `base` that changed or are gone.
    """

    base: WordPostings
    recent: RecentWords
    stale: Keys

    @property
    def items(self) -> int:
        """How many items there are."""
        return len(self.base.keys) - len(self.stale) + len(self.recent)

    def having(self, word: str) -> Keys:
        """Return the ascending keys of the items that have a word."""
        return self._joined(self.base.having(word), self.recent.having(word))

    def count(self, word: str) -> int:
        """Return about how many items have a word: those of stale keys count too."""
        return self.base.count(word) + self.recent.count(word)

    def beginning_with(self, prefix: str, most: int) -> Keys:
        """Return the ascending keys of the items that have a word with this beginning; none where over `most` do."""
        return self._joined(self.base.beginning_with(prefix, most), self.recent.beginning_with(prefix, most))

    def _joined(self, old: Keys, new: Keys) -> Keys:
        if len(self.stale):
            old = old[~is_in(self.stale, old)]
        return np.union1d(old, new) if len(new) else old
