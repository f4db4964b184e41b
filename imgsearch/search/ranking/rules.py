"""Merchandisers' rules: what is hidden, what is pinned to the top, what is boosted.

It owns the table `rule_changes`, one row for every change ever made, and evaluates the latest state of each rule to
sets of keys, kept until the catalog or the rules change. It knows neither vectors nor pages: how a boost moves a hit
is for the searcher.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.errors import FilterError, QueryError
from imgsearch.core.filter_grammar import parse_filters
from imgsearch.core.query import Filter, Query
from imgsearch.core.records import Item
from imgsearch.store.catalog import CatalogStore

__all__ = ["Rule", "RuleAction", "RuleChange", "Rules"]

Keys = NDArray[np.uint64]
RuleAction = Literal["hide", "pin", "boost"]

MAX_RULES = 500
MAX_ITEMS = 1000
MAX_FILTERS = 20
MAX_TEXT = 200
MAX_PINNED = 12
"""How many items rules pin to the top of one list."""
MAX_BOOST = 3.0


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: what it does to the items it names, or to those that pass its filters.

    `amount` of a boost is from -3 to 3, in standard deviations of the candidates' scores. A rule with `when_text` or
    `when_filters` holds only for queries whose words contain those of `when_text`, and whose filters include
    `when_filters`; without, for every query. `starts_on` and `ends_on` are the first and the last day it holds, UTC.
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
        what = ", ".join(str(one) for one in self.filters)
        if self.item_ids:
            what = self.item_ids[0] if len(self.item_ids) == 1 else f"{len(self.item_ids):,} items"
        words = f"{self.action.capitalize()} {what}"
        words += f" by {self.amount:+g}" if self.action == "boost" else ""
        when = [f"“{self.when_text}”"] if self.when_text else []
        when += [str(one) for one in self.when_filters]
        dates = f" from {self.starts_on}" if self.starts_on else ""
        dates += f" until {self.ends_on}" if self.ends_on else ""
        return words + (f" for {' and '.join(when)}" if when else "") + dates

    def holds_on(self, day: date) -> bool:
        """Say whether the rule is on and the day lies within its dates."""
        return (
            self.enabled
            and (self.starts_on is None or self.starts_on <= day)
            and (self.ends_on is None or day <= self.ends_on)
        )

    def applies_to(self, query: Query) -> bool:
        """Say whether the rule's condition holds for a query."""
        words = " ".join(str(term.value) for term in query.terms if term.kind == "text").casefold().split()
        return set(self.when_text.casefold().split()) <= set(words) and set(
            map(str, self.when_filters)
        ) <= set(map(str, query.filters))


@dataclass(frozen=True, slots=True)
class RuleChange:
    """One change of a rule: the state that it got, when and by whom."""

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
        self._kept: tuple[tuple[int, int, date], dict[int, Keys]] | None = None

    # --- reading ----------------------------------------------------------------------------------------------

    def all(self) -> tuple[Rule, ...]:
        """Return the latest state of every rule, by number."""
        with self._lock:
            if self._latest is None:
                latest = {change.rule.rule_id: change.rule for change in reversed(self.history(limit=None))}
                self._latest = tuple(latest[number] for number in sorted(latest))
            return self._latest

    def get(self, rule_id: int) -> Rule:
        """Return a rule; raises `QueryError` where there is none of that number."""
        for rule in self.all():
            if rule.rule_id == rule_id:
                return rule
        raise QueryError(f"There is no rule {rule_id}; `imgsearch rules list` shows those that there are.")

    def history(self, rule_id: int | None = None, *, limit: int | None = 100) -> list[RuleChange]:
        """Return the changes of a rule, or of all, the latest first."""
        where = "" if rule_id is None else "WHERE rule_id = ?"
        most = "" if limit is None else f"LIMIT {int(limit)}"
        rows = (
            self._catalog.database.cursor()
            .execute(
                "SELECT rule_id, happened_at, author, act, state FROM rule_changes "
                f"{where} ORDER BY change_id DESC {most}",
                [] if rule_id is None else [rule_id],
            )
            .fetchall()
        )
        return [RuleChange(_from_json(row[4], int(row[0])), row[3], row[2], row[1]) for row in rows]

    def matching(self, rule: Rule, *, limit: int = 12) -> tuple[int, list[Item]]:
        """Return (how many items a rule hits, some of them), before it is kept or after; changes nothing.

        Raises `QueryError` for a rule that makes no sense, `FilterError`, `UnknownItem`.
        """
        self._check(rule)
        keys = self._keys_of(rule)
        return len(keys), self._catalog.by_keys(keys[:limit])

    # --- what the searcher asks -------------------------------------------------------------------------------

    def hidden_keys(self) -> Keys:
        """Return the keys that no visitor may see, ascending."""
        return self._evaluated()[0]

    def has_boosts(self, query: Query) -> bool:
        """Say whether any rule boosts items for a query."""
        evaluated = self._evaluated()
        return any(
            rule.action == "boost" and rule.rule_id in evaluated and rule.applies_to(query)
            for rule in self.all()
        )

    def boosts(self, keys: Keys, query: Query) -> NDArray[np.float32]:
        """Return how far each key is boosted for a query, (n,) float32 in standard deviations; 0 mostly."""
        total = np.zeros(len(keys), np.float32)
        evaluated = self._evaluated()
        for rule in self.all():
            if rule.action == "boost" and rule.rule_id in evaluated and rule.applies_to(query):
                total[np.isin(keys, evaluated[rule.rule_id])] += np.float32(rule.amount)
        return total

    def pinned(self, query: Query) -> Keys:
        """Return the keys that belong at the top for a query, in the order of the rules; none that is hidden."""
        evaluated = self._evaluated()
        found = [
            evaluated[rule.rule_id]
            for rule in self.all()
            if rule.action == "pin" and rule.rule_id in evaluated and rule.applies_to(query)
        ]
        if not found:
            return np.zeros(0, np.uint64)
        keys = np.concatenate(found)
        keys = keys[np.sort(np.unique(keys, return_index=True)[1])]
        return keys[~np.isin(keys, self.hidden_keys())][:MAX_PINNED]

    # --- changing ---------------------------------------------------------------------------------------------

    def save(self, rule: Rule, *, author: str) -> Rule:
        """Keep a new rule (number 0) or a change of one, and return it with its number.

        Raises `QueryError` for a rule that makes no sense, `FilterError`, `UnknownItem`; nothing is kept then.
        """
        self._check(rule)
        self._keys_of(rule)
        with self._lock:
            known = {one.rule_id for one in self.all()}
            if rule.rule_id and rule.rule_id not in known:
                self.get(rule.rule_id)
            if not rule.rule_id and len(known) >= MAX_RULES:
                raise QueryError(f"There are {MAX_RULES} rules already; change one that is off instead.")
            act = "change" if rule.rule_id else "add"
            return self._append(replace(rule, rule_id=rule.rule_id or max(known, default=0) + 1), act, author)

    def switch(self, rule_id: int, *, on: bool, author: str) -> Rule:
        """Put a rule on or off; raises `QueryError` where there is none of that number."""
        with self._lock:
            return self._append(replace(self.get(rule_id), enabled=on), "on" if on else "off", author)

    def undo(self, rule_id: int, *, author: str) -> Rule:
        """Give a rule the state that it had before its latest change; a rule that was only added is put off."""
        with self._lock:
            changes = self.history(rule_id, limit=2)
            before = changes[1].rule if len(changes) > 1 else replace(self.get(rule_id), enabled=False)
            return self._append(before, "undo", author)

    def _append(self, rule: Rule, act: str, author: str) -> Rule:
        with self._catalog.database.transaction() as cursor:
            cursor.execute(
                "INSERT INTO rule_changes SELECT coalesce(max(change_id), 0) + 1, ?, ?, ?, ?, ? FROM rule_changes",
                [
                    rule.rule_id,
                    datetime.now(UTC).replace(tzinfo=None),
                    author[:MAX_TEXT],
                    act,
                    _to_json(rule),
                ],
            )
        self._latest = None
        self.version += 1
        return rule

    # --- inside -----------------------------------------------------------------------------------------------

    def _evaluated(self) -> dict[int, Keys]:
        """Return the keys of every rule that holds today, by its number, and under 0 the hidden ones."""
        stamp = (self._catalog.version, self.version, datetime.now(UTC).date())
        kept = self._kept
        if kept is not None and kept[0] == stamp:
            return kept[1]
        with self._lock:
            stamp = (self._catalog.version, self.version, stamp[2])
            found: dict[int, Keys] = {}
            for rule in self.all():
                if rule.holds_on(stamp[2]):
                    try:
                        found[rule.rule_id] = self._keys_of(rule, known_only=True)
                    except FilterError:  # its column is gone: it hits nothing, and the page says so
                        continue
            hidden = [
                found[rule.rule_id] for rule in self.all() if rule.action == "hide" and rule.rule_id in found
            ]
            found[0] = np.unique(np.concatenate(hidden)) if hidden else np.zeros(0, np.uint64)
            self._kept = stamp, found
            return found

    def _check(self, rule: Rule) -> None:
        _check(rule)
        for one in rule.when_filters:
            self._catalog.metadata.find_column(one.column)

    def _keys_of(self, rule: Rule, *, known_only: bool = False) -> Keys:
        """Return the keys that a rule hits: its items in their order, or those that pass its filters, ascending."""
        if rule.filters:
            keys: Keys = self._catalog.metadata.keys_matching(rule.filters)
            return keys
        if not known_only:
            for item_id in rule.item_ids:
                self._catalog.get(item_id)
        return np.array([item.key for item in self._catalog.get_many(rule.item_ids)], np.uint64)


def _check(rule: Rule) -> None:
    if rule.action not in get_args(RuleAction):
        raise QueryError(f"A rule can hide, pin or boost, not {str(rule.action)[:20]!r}.")
    if bool(rule.item_ids) == bool(rule.filters):
        raise QueryError("A rule names items, or filters that choose them: one of the two.")
    if len(rule.item_ids) > MAX_ITEMS or len(rule.filters) + len(rule.when_filters) > MAX_FILTERS:
        raise QueryError(f"A rule names at most {MAX_ITEMS:,} items and {MAX_FILTERS} filters.")
    if rule.action == "boost" and not (0 < abs(rule.amount) <= MAX_BOOST):
        raise QueryError(
            f"The boost is {rule.amount:g}, but must be from -{MAX_BOOST:g} to {MAX_BOOST:g}, and not 0."
        )
    if rule.action == "hide" and (rule.when_text or rule.when_filters):
        raise QueryError("What is hidden is hidden for every query; leave the condition out.")
    if max(len(rule.when_text), len(rule.note)) > MAX_TEXT:
        raise QueryError(f"The words of a rule have at most {MAX_TEXT} characters.")
    if rule.starts_on and rule.ends_on and rule.ends_on < rule.starts_on:
        raise QueryError(f"The rule would end on {rule.ends_on}, before it starts on {rule.starts_on}.")


def _to_json(rule: Rule) -> str:
    return json.dumps(
        {
            "action": rule.action,
            "items": list(rule.item_ids),
            "filters": [str(one) for one in rule.filters],
            "amount": rule.amount,
            "when_text": rule.when_text,
            "when_filters": [str(one) for one in rule.when_filters],
            "starts_on": rule.starts_on.isoformat() if rule.starts_on else None,
            "ends_on": rule.ends_on.isoformat() if rule.ends_on else None,
            "enabled": rule.enabled,
            "note": rule.note,
        }
    )


def _from_json(text: str, rule_id: int) -> Rule:
    state = json.loads(text)
    return Rule(
        action=state["action"],
        item_ids=tuple(state["items"]),
        filters=_filters(state["filters"]),
        amount=float(state["amount"]),
        when_text=state["when_text"],
        when_filters=_filters(state["when_filters"]),
        starts_on=_day(state["starts_on"]),
        ends_on=_day(state["ends_on"]),
        enabled=bool(state["enabled"]),
        note=state["note"],
        rule_id=rule_id,
    )


def _filters(texts: Sequence[str]) -> tuple[Filter, ...]:
    return parse_filters(list(texts))


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
