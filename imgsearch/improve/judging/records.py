"""Records of judging: sets of pairs, guidelines, progress and disagreements."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple

from imgsearch.core.errors import JudgingError
from imgsearch.core.records import Verdict
from imgsearch.core.text import check_text

Role = Literal["rater", "referee"]
"""A rater is one of the `raters` labelers of a pair; a referee decides where raters differ."""

MAX_NAME = 100


@dataclass(frozen=True, slots=True)
class JudgingSet:
    """A set of pairs to judge; `source` describes where its queries came from."""

    set_id: int
    name: str
    created_at: datetime
    source: str
    systems: tuple[str, ...]
    depth: int
    raters: int
    seed: int
    queries: int
    pairs: int


class PairRow(NamedTuple):
    """A pair of a set; labelers receive pairs by ascending `place`."""

    pair_id: int
    query_key: str
    item_id: str
    place: int


@dataclass(frozen=True, slots=True)
class Guideline:
    """The instructions for the labelers of a set; `version` counts from 1, 0 is the default text."""

    text: str
    version: int = 0
    author: str = ""
    happened_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class LabelerProgress:
    """What one labeler has done in a set; `per_hour` is None before there are enough verdicts to estimate it."""

    labeler: str
    judged: int
    per_hour: float | None


@dataclass(frozen=True, slots=True)
class JudgingProgress:
    """How far a set is: `judged` of `wanted` verdicts; `pairs_done` of `pairs` have all verdicts that they need.

    `divided` counts the pairs that wait for a referee, `gone` those whose item has left the catalog.
    """

    pairs: int
    pairs_done: int
    wanted: int
    judged: int
    divided: int
    gone: int
    labelers: tuple[LabelerProgress, ...]


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A pair on which raters differ, with each rater's verdict and the referee's where there is one."""

    query_key: str
    item_id: str
    verdicts: Mapping[str, Verdict]
    referee: Verdict | None


def clean_name(name: Any, what: str) -> str:
    """Return a name in NFC with single spaces; raises `JudgingError` for one that cannot be stored."""
    clean = " ".join(unicodedata.normalize("NFC", name).split()) if isinstance(name, str) else name
    check_text(clean, what, max_chars=MAX_NAME, may_be_empty=False, error=JudgingError)
    if not clean.isprintable():
        raise JudgingError(f"{what} contains unprintable characters; remove them.")
    return str(clean)
