"""Merchandisers' rules: what is hidden, pinned to the top or boosted, for which queries, on which days."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.errors import FilterError, QueryError
from imgsearch.core.filter_grammar import parse_filters
from imgsearch.core.key_arrays import Keys
from imgsearch.core.query import Filter, Query
from imgsearch.core.records import Item
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.database import utc_now

RuleAction = Literal["hide", "pin", "boost"]

MAX_ITEMS = 1000
MAX_FILTERS = 20
MAX_TEXT = 200
MAX_BOOST = 3.0
MAX_PINNED = 12
"""How many items rules pin to the top of one result."""
MAX_RULES = 500


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: what it does to the items it names, or to those that pass its filters.

    `amount` of a boost is from -3 to 3, in standard deviations of the candidates' scores. A rule with `when_text` or
    `when_filters` applies only to queries whose words contain those of `when_text`, and whose filters include
    `when_filters`; without, to every query. `starts_on` and `ends_on` are its first and last day, UTC.
    """

    action: RuleAction
    item_ids: tuple[str, ...] = ()
    filters: tuple[Filter, ...] = ()
    amount: float = 0.0
    when_text: str = ""
    when_filters: tuple[Filter, ...] = ()
    starts_on: date | None = None
    ends_on: date | None = None
    enabled: bool = True
    note: str = ""
    rule_id: int = 0

    def describe(self) -> str:
        """Return the rule in a few words."""
        what = ", ".join(map(str, self.filters))
        if self.item_ids:
            what = self.item_ids[0] if len(self.item_ids) == 1 else f"{len(self.item_ids):,} items"
        words = f"{self.action.capitalize()} {what}"
        words += f" by {self.amount:+g}" if self.action == "boost" else ""
        when = [f"“{self.when_text}”"] if self.when_text else []
        when += map(str, self.when_filters)
        dates = f" from {self.starts_on}" if self.starts_on else ""
        dates += f" until {self.ends_on}" if self.ends_on else ""
        return words + (f" for {' and '.join(when)}" if when else "") + dates

    def is_active(self, day: date) -> bool:
        """Return whether the rule is on and the day is within its dates."""
        return (
            self.enabled
            and (self.starts_on is None or self.starts_on <= day)
            and (self.ends_on is None or day <= self.ends_on)
        )

    def applies_to(self, query: Query) -> bool:
        """Return whether a query meets the rule's condition."""
        words = " ".join(str(term.value) for term in query.terms if term.kind == "text").casefold().split()
        if not set(self.when_text.casefold().split()) <= set(words):
            return False
        return set(map(str, self.when_filters)) <= set(map(str, query.filters))

    def check(self) -> None:
        """Raise `QueryError` where the rule contradicts itself or is over a limit."""
        if self.action not in get_args(RuleAction):
            raise QueryError(f"A rule can hide, pin or boost, not {str(self.action)[:20]!r}.")
        if bool(self.item_ids) == bool(self.filters):
            raise QueryError("A rule names items, or filters that choose them: one of the two.")
        if len(self.item_ids) > MAX_ITEMS or len(self.filters) + len(self.when_filters) > MAX_FILTERS:
            raise QueryError(f"A rule names at most {MAX_ITEMS:,} items and {MAX_FILTERS} filters.")
        if self.action == "boost" and not (0 < abs(self.amount) <= MAX_BOOST):
            raise QueryError(
                f"The boost is {self.amount:g}, but must be from -{MAX_BOOST:g} to {MAX_BOOST:g}, and not 0."
            )
        if self.action == "hide" and (self.when_text or self.when_filters):
            raise QueryError("Hidden items are hidden for every query; leave the condition out.")
        if max(len(self.when_text), len(self.note)) > MAX_TEXT:
            raise QueryError(f"The words of a rule have at most {MAX_TEXT} characters.")
        if self.starts_on and self.ends_on and self.ends_on < self.starts_on:
            raise QueryError(f"The rule would end on {self.ends_on}, before it starts on {self.starts_on}.")

    def to_json(self) -> str:
        """Return the rule without its number as the JSON that is stored."""
        state = {field.name: getattr(self, field.name) for field in fields(self)}
        del state["rule_id"]
        state["items"] = state.pop("item_ids")
        return json.dumps(state, default=str)  # filters and dates

    @staticmethod
    def from_json(text: str, rule_id: int) -> Rule:
        """Return the rule of `to_json` with its number."""
        state: dict[str, Any] = json.loads(text)
        state["item_ids"] = tuple(state.pop("items"))
        for name in ("filters", "when_filters"):
            state[name] = parse_filters(state[name])
        for name in ("starts_on", "ends_on"):
            state[name] = date.fromisoformat(state[name]) if state[name] else None
        return Rule(**state, rule_id=rule_id)


@dataclass(frozen=True, eq=False)
class ActiveRules:
    """Rules in the order of their numbers, and the keys of each by its number; a consistent, immutable state.

    Two states with the same `stamp` (version of the catalog, version of the rules, day) are equal.
    """

    stamp: tuple[int, int, date]
    rules: tuple[Rule, ...]
    keys: Mapping[int, Keys]

    @cached_property
    def hidden(self) -> Keys:
        """The keys that no visitor may see, ascending."""
        hidden = [self.keys[rule.rule_id] for rule in self.rules if rule.action == "hide"]
        return np.unique(np.concatenate(hidden or [np.zeros(0, np.uint64)]))

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


@dataclass(frozen=True, slots=True)
class RuleChange:
    """One change of a rule: its new state, when and by whom."""

    rule: Rule
    act: str
    author: str
    happened_at: datetime


class Rules:
    """The rules of one open catalog; safe to use from any thread."""

    def __init__(self, catalog: CatalogStore) -> None:
        self._catalog = catalog
        self._lock = threading.RLock()
        self.version = 0
        self._latest: tuple[Rule, ...] | None = None
        self._renames = catalog.renames
        self._active: ActiveRules | None = None

    def all(self) -> tuple[Rule, ...]:
        """Return the latest state of every rule, by number."""
        with self._lock:
            renames = self._catalog.renames
            if self._latest is None or self._renames != renames:
                self._renames = renames
                latest = {change.rule.rule_id: change.rule for change in reversed(self.history(limit=None))}
                self._latest = tuple(latest[number] for number in sorted(latest))
            return self._latest

    def get(self, rule_id: int) -> Rule:
        """Return a rule; raises `QueryError` where no rule has that number."""
        for rule in self.all():
            if rule.rule_id == rule_id:
                return rule
        raise QueryError(f"There is no rule {rule_id}; `imgsearch rules list` shows the rules.")

    def history(self, rule_id: int | None = None, *, limit: int | None = 100) -> list[RuleChange]:
        """Return the changes of a rule, or of all, the latest first."""
        cursor = self._catalog.database.cursor().execute(
            "SELECT state, rule_id, act, author, happened_at FROM rule_changes "
            "WHERE $1 IS NULL OR rule_id = $1 ORDER BY change_id DESC LIMIT $2",
            [rule_id, limit],
        )
        return [RuleChange(Rule.from_json(state, number), *row) for state, number, *row in cursor.fetchall()]

    def matching(self, rule: Rule, *, limit: int = 12) -> tuple[int, list[Item]]:
        """Return (how many items a rule selects, some of them); works for a rule that is not saved too.

        Raises `QueryError` for a rule that contradicts itself, `FilterError`, `UnknownItem`.
        """
        self._check(rule)
        keys = self._keys_of(rule)
        return len(keys), self._catalog.by_keys(keys[:limit])

    def active(self) -> ActiveRules:
        """Return the rules that apply today, kept until the catalog, the rules or the day change."""
        active = self._active
        if active is not None and active.stamp == self._stamp():
            return active
        with self._lock:
            stamp = self._stamp()
            keys: dict[int, Keys] = {}
            rules = []
            for rule in self.all():
                if rule.is_active(stamp[2]):
                    try:
                        keys[rule.rule_id] = self._keys_of(rule, known_only=True)
                    except FilterError:  # its column is gone: it selects nothing, and the rules page says so
                        continue
                    rules.append(rule)
            self._active = ActiveRules(stamp, tuple(rules), keys)
            return self._active

    def hidden_keys(self) -> Keys:
        """Return the keys that no visitor may see, ascending."""
        return self.active().hidden

    def save(self, rule: Rule, *, author: str) -> Rule:
        """Store a new rule (number 0) or a change of one, and return it with its number.

        Raises `QueryError` for a rule that contradicts itself, `FilterError`, `UnknownItem`; nothing is stored then.
        """
        self._check(rule)
        self._keys_of(rule)
        with self._lock:
            known = {one.rule_id for one in self.all()}
            if rule.rule_id and rule.rule_id not in known:
                self.get(rule.rule_id)
            if not rule.rule_id and len(known) >= MAX_RULES:
                raise QueryError(f"There are {MAX_RULES} rules, the limit; change one that is off instead.")
            act = "change" if rule.rule_id else "add"
            return self._append(replace(rule, rule_id=rule.rule_id or max(known, default=0) + 1), act, author)

    def switch(self, rule_id: int, *, on: bool, author: str) -> Rule:
        """Turn a rule on or off; raises `QueryError` where no rule has that number."""
        with self._lock:
            return self._append(replace(self.get(rule_id), enabled=on), "on" if on else "off", author)

    def undo(self, rule_id: int, *, author: str) -> Rule:
        """Restore a rule's state before its latest change; a rule that was only added is turned off."""
        with self._lock:
            changes = self.history(rule_id, limit=2)
            before = changes[1].rule if len(changes) > 1 else replace(self.get(rule_id), enabled=False)
            return self._append(before, "undo", author)

    def _append(self, rule: Rule, act: str, author: str) -> Rule:
        with self._catalog.database.transaction() as cursor:
            cursor.execute(
                "INSERT INTO rule_changes SELECT coalesce(max(change_id), 0) + 1, ?, ?, ?, ?, ? FROM rule_changes",
                [rule.rule_id, utc_now(), author[:MAX_TEXT], act, rule.to_json()],
            )
        self._latest = None
        self.version += 1
        return rule

    def _stamp(self) -> tuple[int, int, date]:
        return self._catalog.version, self.version, datetime.now(UTC).date()

    def _check(self, rule: Rule) -> None:
        rule.check()
        for one in rule.when_filters:
            self._catalog.metadata.find_column(one.column)

    def _keys_of(self, rule: Rule, *, known_only: bool = False) -> Keys:
        """Return the keys that a rule selects: its items in order, or those that pass its filters, ascending."""
        if rule.filters:
            return self._catalog.filtered.passing(tuple(rule.filters))
        if not known_only:
            for item_id in rule.item_ids:
                self._catalog.get(item_id)
        return np.array([item.key for item in self._catalog.get_many(rule.item_ids)], np.uint64)
