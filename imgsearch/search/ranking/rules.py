"""Merchandisers' rules: what is hidden, pinned to the top or boosted, for which queries, on which days."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from datetime import date
from typing import Any, Literal, get_args

from imgsearch.core.errors import QueryError
from imgsearch.core.filter_grammar import parse_filters
from imgsearch.core.query import Filter, Query

__all__ = ["MAX_BOOST", "MAX_TEXT", "Rule", "RuleAction"]

RuleAction = Literal["hide", "pin", "boost"]

MAX_ITEMS = 1000
MAX_FILTERS = 20
MAX_TEXT = 200
MAX_BOOST = 3.0


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
