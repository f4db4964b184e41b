"""The form of a merchandising rule, new or changed, with a preview of the items that it matches."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import streamlit as st

from imgsearch.app.service import SearchService
from imgsearch.core.errors import ImgSearchError, QueryError
from imgsearch.core.filter_grammar import parse_filters
from imgsearch.search.ranking.rules import MAX_BOOST, MAX_TEXT, Rule, RuleAction
from imgsearch.ui.components.blocks import draw_choice, draw_line, draw_problem
from imgsearch.ui.markup import draw_html, plain
from imgsearch.ui.state.callbacks import attempt, in_full, take_outcome
from imgsearch.ui.state.session import author

__all__ = ["draw_matches", "draw_rule_form", "edit_rule", "edited_rule"]

PREVIEW_PHOTOS = 8
EDITED = "rule_edited"
NEW_FORM = "rule_form"
ACTIONS = {"hide": "Hide", "pin": "Pin to the top", "boost": "Boost or bury"}
BY_FILTER, BY_ID = "By filter", "By item ID"
DEFAULT_BOOST = 1.0


def edited_rule() -> int:
    """Return the number of the rule whose form is open, 0 for none: one form is open at a time."""
    return int(st.session_state.get(EDITED, 0))


@in_full
def edit_rule(rule_id: int) -> None:
    """Open the form of a rule; 0 closes it."""
    st.session_state[EDITED] = rule_id


def draw_rule_form(service: SearchService, before: Rule) -> None:
    """Draw the fields of a rule, filled as it was before, the buttons, and the items that it would match."""
    new = not before.rule_id
    name = str(st.session_state.setdefault(NEW_FORM, 0)) if new else f"of_{before.rule_id}"
    if not new:
        draw_line(f"Change rule {before.rule_id}", "count")
    columns = ", ".join(list(service.catalog.metadata.columns)[:8]) or "none"
    grammar = plain(f"Columns: {columns}.") + " Also `a!=b`, `a in b|c`, `a~part`, `price=10..50`."
    action = draw_choice("Action", ACTIONS, f"rule_action_{name}", default=before.action)
    _draw_items(before, grammar, name)
    _draw_searches(before, action, grammar, name)
    days = st.columns(2)
    days[0].date_input("First day (UTC)", before.starts_on, key=f"rule_from_{name}")
    days[1].date_input("Last day (UTC)", before.ends_on, key=f"rule_until_{name}")
    st.text_input("Note for colleagues", before.note, max_chars=MAX_TEXT, key=f"rule_note_{name}")
    with st.container(horizontal=True):
        st.button(
            "Add rule" if new else "Save changes",
            key="add_rule" if new else "save_rule",
            type="primary",
            on_click=attempt,
            args=(_save, service, before, name),
            kwargs={"place": "rule_form"},
        )
        if not new:
            st.button("Cancel", key="cancel_rule", on_click=edit_rule, args=(0,))
    # Below the buttons: the preview changes when a field loses the focus to a button, which must not move then.
    _draw_preview(service, before, name)


def _draw_items(before: Rule, grammar: str, name: str) -> None:
    """Draw which items a rule matches: those that pass filters, or those with these ids."""
    default = BY_ID if before.item_ids else BY_FILTER
    by = draw_choice("Items", {BY_FILTER: BY_FILTER, BY_ID: BY_ID}, f"rule_by_{name}", default=default)
    if by == BY_FILTER:
        st.text_area(
            "Filters, one per line; an item must pass all of them",
            "\n".join(map(str, before.filters)),
            height=90,
            placeholder="category=shoes\nprice<50",
            help=grammar,
            key=f"rule_filters_{name}",
        )
    else:
        st.text_area(
            "Item IDs, one per line", "\n".join(before.item_ids), height=90, key=f"rule_items_{name}"
        )


def _draw_searches(before: Rule, action: str, grammar: str, name: str) -> None:
    """Draw the strength of a boost and the searches that a rule applies to; a hidden item is hidden from all."""
    if action == "hide":
        return
    if action == "boost":
        st.slider(
            "Strength, in standard deviations of the scores; below 0 moves items down",
            -MAX_BOOST,
            MAX_BOOST,
            before.amount or DEFAULT_BOOST,
            0.25,
            key=f"rule_amount_{name}",
        )
    st.text_input(
        "Only for searches with these words", before.when_text, max_chars=MAX_TEXT, key=f"rule_when_{name}"
    )
    st.text_area(
        "Only for searches with these filters, one per line",
        "\n".join(map(str, before.when_filters)),
        height=68,
        placeholder="category=shoes",
        help=grammar,
        key=f"rule_when_filters_{name}",
    )


def _draw_preview(service: SearchService, before: Rule, name: str) -> None:
    """Draw the items that the rule in the fields would match, or why it cannot be saved."""
    problem = take_outcome("rule_form").problem
    try:
        rule = _read_form(before, name)
        if rule.item_ids or rule.filters:
            draw_matches(service, rule)
    except ImgSearchError as error:
        problem = str(error)
    draw_problem(problem)


def draw_matches(service: SearchService, rule: Rule) -> None:
    """Draw how many items a rule matches and the first photos; raises `ImgSearchError` for an unknown item."""
    count, items = service.rules.matching(rule, limit=PREVIEW_PHOTOS)
    draw_line(
        f"Matches {count:,} {'item' if count == 1 else 'items'}."
        if count
        else "Matches no item in this catalog."
    )
    draw_html("thumbnails", items=items)


def _read_form(before: Rule, name: str) -> Rule:
    """Return the rule in the fields; a field that is not drawn keeps its old value.

    Raises `FilterError` for a malformed filter.
    """

    def given(field: str, otherwise: Any) -> Any:
        return st.session_state.get(f"rule_{field}_{name}", otherwise)

    action = cast(RuleAction, given("action", before.action))
    by_filter = given("by", BY_ID if before.item_ids else BY_FILTER) == BY_FILTER
    searches = action != "hide"
    items = _lines(given("items", "\n".join(before.item_ids)))
    filters = _lines(given("filters", "\n".join(map(str, before.filters))))
    when_filters = _lines(given("when_filters", "\n".join(map(str, before.when_filters))))
    return replace(
        before,
        action=action,
        item_ids=() if by_filter else tuple(items),
        filters=parse_filters(filters) if by_filter else (),
        amount=given("amount", before.amount or DEFAULT_BOOST) if action == "boost" else 0.0,
        when_text=given("when", before.when_text).strip() if searches else "",
        when_filters=parse_filters(when_filters) if searches else (),
        starts_on=given("from", before.starts_on),
        ends_on=given("until", before.ends_on),
        note=given("note", before.note).strip(),
    )


def _save(service: SearchService, before: Rule, name: str) -> None:
    """Save the rule in the fields and close the form; raises `ImgSearchError` where it cannot be saved."""
    rule = _read_form(before, name)
    if not (rule.item_ids or rule.filters):
        raise QueryError("The rule names no items: enter filters or item IDs.")
    if service.rules.matching(rule, limit=0)[0] == 0:
        raise QueryError("The rule matches no item in this catalog: change its filters or item IDs.")
    if rule != before:
        service.rules.save(rule, author=author())
    if before.rule_id:
        st.session_state[EDITED] = 0
    else:
        st.session_state[NEW_FORM] += 1  # a new, empty form


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]
