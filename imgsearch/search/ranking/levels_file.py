"""`<catalog>/confidence.json`: the levels of confidence that the last process computed, for the next start."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from imgsearch.core.files import write_durably
from imgsearch.search.ranking.confidence import Kind, Levels

__all__ = ["LevelsFile"]

VERSION = 1

_log = logging.getLogger(__name__)


class LevelsFile:
    """Reads and writes the file; used under the caller's lock. It is a cache: a damaged file is ignored."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries: dict[tuple[str, str], dict[str, Any]] | None = None

    def get(self, space: str, kind: Kind) -> tuple[Levels | None, list[int]]:
        """Return the levels of a space, and what identifies the items they were computed for; (None, []) for none."""
        try:
            entry = self._read()[space, kind]
            described = frozenset(frozenset(map(str, words)) for words in entry["described"])
            return Levels(float(entry["weak"]), float(entry["strong"]), described), entry["items"]
        except (KeyError, TypeError, ValueError):
            return None, []

    def store(self, space: str, kind: Kind, levels: Levels, items: list[int]) -> None:
        """Store the levels of a space; logs a warning where the folder cannot be written."""
        words = sorted(sorted(row) for row in levels.described)
        entry = {"weak": levels.weak, "strong": levels.strong, "described": words, "items": items}
        entries = self._read()
        entries[space, kind] = {"space": space, "kind": kind, **entry}
        document = {"version": VERSION, "levels": list(entries.values())}
        try:
            write_durably(self._path, json.dumps(document, ensure_ascii=False))
        except OSError as error:
            _log.warning("the levels of confidence cannot be stored in %s: %s", self._path, error)

    def _read(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Return the entries by space and kind; none of a missing, damaged or other version of the file."""
        if self._entries is None:
            self._entries = {}
            try:
                document = json.loads(self._path.read_text(encoding="utf-8"))
                if document["version"] == VERSION:
                    self._entries = {(entry["space"], entry["kind"]): entry for entry in document["levels"]}
            except FileNotFoundError:
                pass
            except (OSError, ValueError, KeyError, TypeError):
                _log.warning("%s is damaged; the levels of confidence are computed again", self._path)
        return self._entries
