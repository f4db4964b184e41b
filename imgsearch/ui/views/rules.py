"""The Rules page: items that are hidden, pinned or boosted, what each rule matches, and every change."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import streamlit as st

from imgsearch.app.service import SearchService, get_service
from imgsearch.core.errors import ImgSearchError, QueryError
from imgsearch.core.filter_grammar import parse_filters
from imgsearch.search.ranking.rules import MAX_BOOST, MAX_TEXT, Rule, RuleAction
from imgsearch.ui.components import blocks as ui
from imgsearch.ui.markup import draw_html, draw_style, plain
from imgsearch.ui.state.callbacks import in_full, take_outcome
from imgsearch.ui.state.session import author

HISTORY = 100
CHANGES = {"add": "added", "change": "changed", "on": "turned on", "off": "turned off", "undo": "undone"}
PREVIEW_PHOTOS = 8
EDITED = "rule_edited"
NEW_FORM = "rule_form"
ACTIONS = {"hide": "Hide", "pin": "Pin to the top", "boost": "Boost or bury"}
BY_FILTER, BY_ID = "By filter", "By item ID"
DEFAULT_BOOST = 1.0


def draw() -> None:
    """Draw the page."""
    service = get_service()
    draw_style("merchandising.css")
    ui.heading(
        "Rules",
        "Hide items, pin them to the top, or move them up and down. A rule applies at once and for everyone; "
        "every change can be undone.",
    )
    if ui.no_items(service):
        return
    ui.outcome()
    rules = service.rules.all()[::-1]
    if not _edited():
        # It stays open or closed as it began, so that it does not fold up between one new rule and the next.
        expanded = st.session_state.setdefault("rule_form_open", not rules)
        with st.expander("New rule", icon=":material/add:", expanded=expanded):
            _draw_form(service, Rule("hide"))
    if not rules:
        ui.message(
            "No rules yet", "Add one above: for example, hide a brand, or pin an item for one search word."
        )
        return
    for rule in rules:
        with st.container(border=True, key=f"rule_{rule.rule_id}"):
            if rule.rule_id == _edited():
                _draw_form(service, rule)
            else:
                _draw_rule(service, rule)
    _draw_history(service)


def _draw_rule(service: SearchService, rule: Rule) -> None:
    rules, number = service.rules, rule.rule_id
    draw_html("rule", text=rule.describe(), state=_state(rule), note=rule.note)
    try:
        _draw_matches(service, rule)
    except ImgSearchError as error:
        ui.problem(f"Some of its items are missing: {error}")
    with st.container(horizontal=True):
        ui.button("Change", f"edit_{number}", _edit, number, icon="edit")
        label, icon = ("Turn off", "toggle_off") if rule.enabled else ("Turn on", "toggle_on")
        ui.act(
            label,
            f"switch_{number}",
            lambda: rules.switch(number, on=not rule.enabled, author=author()),
            icon=icon,
        )
        ui.act("Undo last change", f"undo_{number}", lambda: rules.undo(number, author=author()), icon="undo")


def _state(rule: Rule) -> str:
    """Return why a rule does nothing today, or ""."""
    today = datetime.now(UTC).date()
    if not rule.enabled:
        return "off"
    if rule.starts_on and today < rule.starts_on:
        return "not started"
    return "ended" if rule.ends_on and rule.ends_on < today else ""


def _draw_history(service: SearchService) -> None:
    rows = [
        (
            f"{change.happened_at:%Y-%m-%d %H:%M} UTC",
            change.author or "unknown",
            CHANGES.get(change.act, change.act),
            change.rule.describe(),
        )
        for change in service.rules.history(limit=HISTORY)
    ]
    with st.expander("History", icon=":material/history:"):
        draw_html("table", rows=rows)


def _edited() -> int:
    """Return the number of the rule whose form is open, 0 for none: one form is open at a time."""
    return int(st.session_state.get(EDITED, 0))


@in_full
def _edit(rule_id: int) -> None:
    st.session_state[EDITED] = rule_id


def _draw_form(service: SearchService, before: Rule) -> None:
    new = not before.rule_id
    name = str(st.session_state.setdefault(NEW_FORM, 0)) if new else f"of_{before.rule_id}"
    if not new:
        ui.line(f"Change rule {before.rule_id}", "count")
    columns = ", ".join(list(service.catalog.metadata.columns)[:8]) or "none"
    grammar = plain(f"Columns: {columns}.") + " Also `a!=b`, `a in b|c`, `a~part`, `price=10..50`."
    action = ui.choice("Action", ACTIONS, f"rule_action_{name}", default=before.action)
    _draw_items(before, grammar, name)
    _draw_searches(before, action, grammar, name)
    days = st.columns(2)
    days[0].date_input("First day (UTC)", before.starts_on, key=f"rule_from_{name}")
    days[1].date_input("Last day (UTC)", before.ends_on, key=f"rule_until_{name}")
    st.text_input("Note for colleagues", before.note, max_chars=MAX_TEXT, key=f"rule_note_{name}")
    with st.container(horizontal=True):
        ui.act(
            "Add rule" if new else "Save changes",
            "add_rule" if new else "save_rule",
            _save,
            service,
            before,
            name,
            type="primary",
            place="rule_form",
        )
        if not new:
            ui.button("Cancel", "cancel_rule", _edit, 0)
    # Below the buttons: the preview changes when a field loses the focus to a button, which must not move then.
    _draw_preview(service, before, name)


def _draw_items(before: Rule, grammar: str, name: str) -> None:
    default = BY_ID if before.item_ids else BY_FILTER
    by = ui.choice("Items", {BY_FILTER: BY_FILTER, BY_ID: BY_ID}, f"rule_by_{name}", default=default)
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
            _draw_matches(service, rule)
    except ImgSearchError as error:
        problem = str(error)
    ui.problem(problem)


def _draw_matches(service: SearchService, rule: Rule) -> None:
    """Draw how many items a rule matches and the first photos; raises `ImgSearchError` for an unknown item."""
    count, items = service.rules.matching(rule, limit=PREVIEW_PHOTOS)
    ui.line(
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
