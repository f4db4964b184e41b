"""The rules that apply on one day to one version of a catalog, evaluated to sets of keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.query import Query
from imgsearch.search.ranking.rules import Rule

__all__ = ["ActiveRules"]

Keys = NDArray[np.uint64]

MAX_PINNED = 12
"""How many items rules pin to the top of one result."""


@dataclass(frozen=True, eq=False)
class ActiveRules:
    """Rules in the order of their numbers, and the keys of each by its number; a consistent, immutable state.

    Two states with the same `stamp` (version of the catalog, version of the rules, day) are equal.
    """

    stamp: tuple[int, int, date]
    rules: tuple[Rule, ...]
    keys: Mapping[int, Keys]
    hidden: Keys = field(init=False)
    """The keys that no visitor may see, ascending."""

    def __post_init__(self) -> None:
        """Collect the hidden keys."""
        hidden = [self.keys[rule.rule_id] for rule in self.rules if rule.action == "hide"]
        object.__setattr__(self, "hidden", np.unique(np.concatenate(hidden or [np.zeros(0, np.uint64)])))

    def boosts(self, query: Query) -> list[Rule]:
        """Return the rules that boost items for a query."""
        return [rule for rule in self.rules if rule.action == "boost" and rule.applies_to(query)]

    def boost(self, keys: Keys, query: Query) -> NDArray[np.float32]:
        """Return how far each key is boosted for a query, (n,) float32 in standard deviations of the scores."""
        total = np.zeros(len(keys), np.float32)
        for rule in self.boosts(query):
            total[np.isin(keys, self.keys[rule.rule_id])] += np.float32(rule.amount)
        return total

    def pinned(self, query: Query) -> Keys:
        """Return the keys to show first for a query, in the order of the rules; none that is hidden."""
        found = [
            self.keys[rule.rule_id] for rule in self.rules if rule.action == "pin" and rule.applies_to(query)
        ]
        if not found:
            return np.zeros(0, np.uint64)
        keys = np.concatenate(found)
        keys = keys[np.sort(np.unique(keys, return_index=True)[1])]
        return keys[~np.isin(keys, self.hidden)][:MAX_PINNED]
