"""The rules of one catalog: table `rule_changes`, one row for every change ever made, and the active ones."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.errors import FilterError, QueryError
from imgsearch.core.records import Item
from imgsearch.search.ranking.active_rules import ActiveRules
from imgsearch.search.ranking.rules import MAX_TEXT, Rule
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.database import utc_now

__all__ = ["RuleChange", "Rules"]

Keys = NDArray[np.uint64]

MAX_RULES = 500


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
        self._active: ActiveRules | None = None

    # --- reading ----------------------------------------------------------------------------------------------

    def all(self) -> tuple[Rule, ...]:
        """Return the latest state of every rule, by number."""
        with self._lock:
            if self._latest is None:
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
        rows = (
            self._catalog.database.cursor()
            .execute(
                "SELECT rule_id, happened_at, author, act, state FROM rule_changes "
                "WHERE $1 IS NULL OR rule_id = $1 ORDER BY change_id DESC LIMIT $2",
                [rule_id, limit],
            )
            .fetchall()
        )
        return [RuleChange(Rule.from_json(row[4], int(row[0])), row[3], row[2], row[1]) for row in rows]

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

    # --- changing ---------------------------------------------------------------------------------------------

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

    # --- evaluating -------------------------------------------------------------------------------------------

    def _stamp(self) -> tuple[int, int, date]:
        return self._catalog.version, self.version, datetime.now(UTC).date()

    def _check(self, rule: Rule) -> None:
        rule.check()
        for one in rule.when_filters:
            self._catalog.metadata.find_column(one.column)

    def _keys_of(self, rule: Rule, *, known_only: bool = False) -> Keys:
        """Return the keys that a rule selects: its items in order, or those that pass its filters, ascending."""
        if rule.filters:
            return self._catalog.metadata.keys_matching(rule.filters)
        if not known_only:
            for item_id in rule.item_ids:
                self._catalog.get(item_id)
        return np.array([item.key for item in self._catalog.get_many(rule.item_ids)], np.uint64)
