"""The brake on pruning: how many of a source's items one run may remove because their photos have vanished.

An unmounted disk, a moved folder and an empty export all look like photos that have vanished.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from imgsearch.core.errors import ConfigError

FEW = 5
MAX_CHARS = 20


@dataclass(frozen=True, slots=True)
class PruneLimit:
    """How many of a source's items one run may remove: the largest of three numbers.

    `share` is a share of the items that the source had before the run, `count` a number of items. A `few` may always
    be removed, but not more than half of the items: an empty mount point removes nothing.
    """

    share: float = 0.2
    count: int = 0
    few: int = FEW

    @classmethod
    def parse(cls, text: str) -> PruneLimit:
        """Return the limit in a text such as `60%` or `500` (items); raises `ConfigError`."""
        number = text.strip() if len(text) <= MAX_CHARS else ""
        percent = number.endswith("%")
        try:
            value = float(number.removesuffix("%"))
        except ValueError:
            value = -1.0
        if percent and 0 <= value <= 100:
            return cls(share=value / 100, few=0)
        if not percent and value >= 0 and value.is_integer():
            return cls(share=0.0, count=int(value), few=0)
        raise ConfigError(
            f"{text[:40]!r} is not a limit of removed items: give a share such as 60% or a number such as 500."
        )

    @classmethod
    def chosen(cls, given: str | None, setting: str) -> PruneLimit:
        """Return the limit that was given, else that of the setting, which allows a few items in any case."""
        return replace(cls.parse(setting), few=FEW) if given is None else cls.parse(given)

    def allows(self, removed: int, items: int) -> bool:
        """Return whether a run may remove `removed` of the `items` of a source."""
        return removed <= max(self.share * items, self.count, min(self.few, items // 2))


NO_LIMIT = PruneLimit(share=1.0)
"""Removes every vanished item."""


@dataclass(frozen=True, slots=True)
class Vanished:
    """What a source no longer lists, of the `items` that it had before the run; it lists `listed` photos now."""

    source: str
    item_ids: tuple[str, ...]
    items: int
    listed: int


def refusal(found: Sequence[Vanished], limit: PruneLimit) -> str:
    """Return why the vanished items must stay, in one sentence; "" where all of them may be removed.

    One source over the limit keeps the items of all sources of the run.
    """
    over = [one for one in found if one.item_ids and not limit.allows(len(one.item_ids), one.items)]
    if not over:
        return ""
    parts = []
    for one in over:
        why = (
            ""
            if one.listed
            else ", which holds no photo now (an empty folder, or a disk that is not mounted)"
        )
        share = f"{100 * len(one.item_ids) / one.items:.0f}%"
        parts.append(f"{len(one.item_ids):,} of {one.items:,} items ({share}) of {one.source}{why}")
    return f"Would remove {' and '.join(parts)}: not done; pass --yes to remove them."
