"""The Rules page: items that are hidden, pinned or boosted, what each rule matches, and every change."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from imgsearch.app.service import SearchService, get_service
from imgsearch.core.errors import ImgSearchError
from imgsearch.search.ranking.rules import Rule
from imgsearch.ui.components.blocks import draw_heading, draw_outcome, draw_problem
from imgsearch.ui.components.messages import draw_message, draw_no_items
from imgsearch.ui.components.rule_form import draw_matches, draw_rule_form, edit_rule, edited_rule
from imgsearch.ui.markup import draw_html, draw_style
from imgsearch.ui.state.callbacks import attempt
from imgsearch.ui.state.session import author

__all__ = ["draw"]

HISTORY = 100
CHANGES = {"add": "added", "change": "changed", "on": "turned on", "off": "turned off", "undo": "undone"}


def draw() -> None:
    """Draw the page."""
    service = get_service()
    draw_style("merchandising.css")
    draw_heading(
        "Rules",
        "Hide items, pin them to the top, or move them up and down. A rule applies at once and for everyone; "
        "every change can be undone.",
    )
    if len(service.catalog) == 0:
        draw_no_items(service.settings.catalog)
        return
    draw_outcome()
    rules = service.rules.all()[::-1]
    if not edited_rule():
        # It stays open or closed as it began, so that it does not fold up between one new rule and the next.
        expanded = st.session_state.setdefault("rule_form_open", not rules)
        with st.expander("New rule", icon=":material/add:", expanded=expanded):
            draw_rule_form(service, Rule("hide"))
    if not rules:
        draw_message(
            "No rules yet", "Add one above: for example, hide a brand, or pin an item for one search word."
        )
        return
    for rule in rules:
        with st.container(border=True, key=f"rule_{rule.rule_id}"):
            if rule.rule_id == edited_rule():
                draw_rule_form(service, rule)
            else:
                _draw_rule(service, rule)
    _draw_history(service)


def _draw_rule(service: SearchService, rule: Rule) -> None:
    draw_html("rule", text=rule.describe(), state=_state(rule), note=rule.note)
    try:
        draw_matches(service, rule)
    except ImgSearchError as error:
        draw_problem(f"Some of its items are missing: {error}")
    with st.container(horizontal=True):
        st.button(
            "Change",
            key=f"edit_{rule.rule_id}",
            icon=":material/edit:",
            on_click=edit_rule,
            args=(rule.rule_id,),
        )
        st.button(
            "Turn off" if rule.enabled else "Turn on",
            key=f"switch_{rule.rule_id}",
            icon=":material/toggle_off:" if rule.enabled else ":material/toggle_on:",
            on_click=attempt,
            args=(lambda: service.rules.switch(rule.rule_id, on=not rule.enabled, author=author()),),
        )
        st.button(
            "Undo last change",
            key=f"undo_{rule.rule_id}",
            icon=":material/undo:",
            on_click=attempt,
            args=(lambda: service.rules.undo(rule.rule_id, author=author()),),
        )


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
