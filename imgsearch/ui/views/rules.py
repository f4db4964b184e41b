"""The Rules page: what is hidden, pinned or boosted, what each rule hits, and every change ever made.

It owns the drawing and the form, for a new rule and for one that is changed; what a rule means is decided in
`imgsearch.search.ranking.rules`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from html import escape
from typing import Any, cast

import streamlit as st

from imgsearch.app.service import SearchService, get_service
from imgsearch.core.errors import ImgSearchError, QueryError
from imgsearch.core.filter_grammar import format_filter, parse_filters
from imgsearch.core.query_address import thumbnail_url
from imgsearch.core.records import Item
from imgsearch.improve.monitoring.retention import author_name
from imgsearch.search.ranking.rules import MAX_BOOST, MAX_TEXT, Rule, RuleAction
from imgsearch.ui.components.messages import draw_message, draw_no_items
from imgsearch.ui.state.callbacks import in_full
from imgsearch.ui.state.session import current_session

__all__ = ["draw"]

PREVIEW_PHOTOS = 8
HISTORY = 100
PROBLEM = "rules_problem"
FORM_PROBLEM = "rule_form_problem"
EDITED = "rule_edited"
"""The number of the rule whose form is open; there is one form at a time."""
ACTIONS = {"hide": "Hide", "pin": "Pin to the top", "boost": "Boost or bury"}
BY_FILTER, BY_ID = "By filter", "By item id"
STYLE = """
.rule-photos { display: flex; flex-wrap: wrap; gap: 0.4rem; margin: 0.2rem 0 0; }
.rule-photos img { width: 64px; height: 64px; object-fit: contain; border-radius: 8px;
    background: color-mix(in srgb, currentColor 5%, transparent); }
.rule-off { opacity: 0.6; }
"""


def draw() -> None:
    """Draw the page."""
    service = get_service()
    st.html(f"<style>{STYLE}</style>")
    st.html(
        '<header class="page-head"><h1>Rules</h1>'
        '<p class="quiet">Hide items, pin them to the top, or move them up and down. Rules hold at once, for '
        "everybody, and every change can be taken back.</p></header>"
    )
    if len(service.catalog) == 0:
        draw_no_items(service.settings.catalog)
        return
    problem = st.session_state.pop(PROBLEM, "")
    if problem:
        st.html(f'<p class="problem" role="alert">{escape(problem)}</p>')
    rules = service.rules.all()[::-1]
    edited = st.session_state.get(EDITED, 0)
    if not edited:
        # It stays as it was found: it must not fold up under a hand that makes one rule after the other.
        expanded = st.session_state.setdefault("rule_form_open", not rules)
        with st.expander("New rule", icon=":material/add:", expanded=expanded):
            _draw_form(service, Rule("hide"), str(st.session_state.setdefault("rule_form", 0)))
    if not rules:
        draw_message(
            "No rules yet", "Make one above: for example, hide all items of a brand, or pin one for a word."
        )
        return
    for rule in rules:
        with st.container(border=True, key=f"rule_{rule.rule_id}"):
            if rule.rule_id == edited:
                _draw_form(service, rule, f"of_{rule.rule_id}")
            else:
                _draw_rule(service, rule)
    _draw_history(service)


def _draw_form(service: SearchService, before: Rule, name: str) -> None:
    """Draw the fields of a rule, filled as it was before, and below the buttons what it would hit."""
    if before.rule_id:
        st.html(f'<p class="count"><strong>Change rule {before.rule_id}</strong></p>')
    columns = ", ".join(list(service.catalog.metadata.columns)[:8]) or "none"
    grammar = f"Columns: {columns}. Also a!=b, a in b|c, a~part, price=10..50."
    action = st.segmented_control(
        "What it does",
        list(ACTIONS),
        default=before.action,
        required=True,
        format_func=lambda one: ACTIONS[one],
        key=f"rule_action_{name}",
    )
    _draw_which(before, grammar, name)
    _draw_how(before, action, grammar, name)
    days = st.columns(2)
    days[0].date_input("From (UTC)", before.starts_on, key=f"rule_from_{name}")
    days[1].date_input("Until (UTC)", before.ends_on, key=f"rule_until_{name}")
    st.text_input("Note for colleagues", before.note, max_chars=MAX_TEXT, key=f"rule_note_{name}")
    with st.container(horizontal=True):
        st.button(
            "Save the change" if before.rule_id else "Add the rule",
            key="save_rule" if before.rule_id else "add_rule",
            type="primary",
            on_click=_save,
            args=(service, before, name),
        )
        if before.rule_id:
            st.button("Cancel", key="cancel_rule", on_click=_edit, args=(0,))
    # Below the buttons: it comes and goes when a field is left, perhaps for a button, which must not move then.
    _draw_preview(service, before, name)


def _draw_preview(service: SearchService, before: Rule, name: str) -> None:
    """Draw what the rule that the fields say would hit, or why it could not be saved."""
    problem = st.session_state.pop(FORM_PROBLEM, "")
    try:
        rule = _read_form(before, name)
        if rule.item_ids or rule.filters:
            _draw_hits(*service.rules.matching(rule, limit=PREVIEW_PHOTOS))
    except ImgSearchError as error:
        problem = str(error)
    if problem:
        st.html(f'<p class="problem" role="alert">{escape(problem)}</p>')


def _draw_which(before: Rule, grammar: str, name: str) -> None:
    """Draw which items a rule hits: those that pass filters, or those that are named."""
    by = st.segmented_control(
        "To which items",
        [BY_FILTER, BY_ID],
        default=BY_ID if before.item_ids else BY_FILTER,
        required=True,
        key=f"rule_by_{name}",
    )
    if by == BY_FILTER:
        st.text_area(
            "Filters, one a line: items that pass them all",
            _lines([format_filter(one) for one in before.filters]),
            height=90,
            placeholder="category=shoes\nprice<50",
            help=grammar,
            key=f"rule_filters_{name}",
        )
    else:
        st.text_area("Item ids, one a line", _lines(before.item_ids), height=90, key=f"rule_items_{name}")


def _draw_how(before: Rule, action: str, grammar: str, name: str) -> None:
    """Draw how far a boost goes and for which searches a rule holds."""
    if action == "hide":
        return
    if action == "boost":
        st.slider(
            "How far (in standard deviations of the scores)",
            -MAX_BOOST,
            MAX_BOOST,
            before.amount or 1.0,
            0.25,
            key=f"rule_amount_{name}",
        )
    st.text_input(
        "Only for searches with these words", before.when_text, max_chars=MAX_TEXT, key=f"rule_when_{name}"
    )
    st.text_area(
        "Only for searches with these filters, one a line",
        _lines([format_filter(one) for one in before.when_filters]),
        height=68,
        placeholder="category=shoes",
        help=grammar,
        key=f"rule_when_filters_{name}",
    )


def _read_form(before: Rule, name: str) -> Rule:
    """Return the rule that the fields say now; what is not asked for an action or not drawn yet is as it was.

    Raises `FilterError` for a filter that cannot be read.
    """

    def given(field: str, otherwise: Any) -> Any:
        return st.session_state.get(f"rule_{field}_{name}", otherwise)

    action = cast(RuleAction, given("action", before.action))
    by_filter = given("by", BY_ID if before.item_ids else BY_FILTER) == BY_FILTER
    filters, when_filters = (
        _lines(map(format_filter, some)) for some in (before.filters, before.when_filters)
    )
    searches = action != "hide"  # what is hidden is hidden from all
    return replace(
        before,
        action=action,
        item_ids=() if by_filter else tuple(_parts(given("items", _lines(before.item_ids)))),
        filters=parse_filters(_parts(given("filters", filters))) if by_filter else (),
        amount=given("amount", before.amount or 1.0) if action == "boost" else 0.0,
        when_text=given("when", before.when_text).strip() if searches else "",
        when_filters=parse_filters(_parts(given("when_filters", when_filters))) if searches else (),
        starts_on=given("from", before.starts_on),
        ends_on=given("until", before.ends_on),
        note=given("note", before.note).strip(),
    )


@in_full
def _save(service: SearchService, before: Rule, name: str) -> None:
    """Keep the rule that the fields say now, and close the form; or keep that open and say what is wrong."""
    try:
        rule = _read_form(before, name)
        if not (rule.item_ids or rule.filters):
            raise QueryError("Say which items: filters that they pass, or their ids.")
        if service.rules.matching(rule, limit=0)[0] == 0:
            raise QueryError(
                "It hits nothing here: name items or filters that some photo of the catalog passes."
            )
        if rule != before:
            service.rules.save(rule, author=_author())
    except ImgSearchError as error:
        st.session_state[FORM_PROBLEM] = str(error)
        return
    if before.rule_id:
        st.session_state[EDITED] = 0
    else:
        st.session_state["rule_form"] += 1  # a fresh, empty form


@in_full
def _edit(rule_id: int) -> None:
    st.session_state[EDITED] = rule_id


def _draw_rule(service: SearchService, rule: Rule) -> None:
    state = _state(rule)
    css = "count rule-off" if state else "count"
    after = f' <span class="quiet">({state})</span>' if state else ""
    note = f'<br><span class="quiet">{escape(rule.note)}</span>' if rule.note else ""
    st.html(f'<p class="{css}"><strong>{escape(rule.describe())}</strong>{after}{note}</p>')
    try:
        _draw_hits(*service.rules.matching(rule, limit=PREVIEW_PHOTOS))
    except ImgSearchError as error:
        st.html(f'<p class="problem" role="alert">It hits less than it names: {escape(str(error))}</p>')
    with st.container(horizontal=True):
        st.button(
            "Change", key=f"edit_{rule.rule_id}", icon=":material/edit:", on_click=_edit, args=(rule.rule_id,)
        )
        st.button(
            "Put off" if rule.enabled else "Put on",
            key=f"switch_{rule.rule_id}",
            icon=":material/toggle_off:" if rule.enabled else ":material/toggle_on:",
            on_click=_act,
            args=(lambda: service.rules.switch(rule.rule_id, on=not rule.enabled, author=_author()),),
        )
        st.button(
            "Undo the last change",
            key=f"undo_{rule.rule_id}",
            icon=":material/undo:",
            on_click=_act,
            args=(lambda: service.rules.undo(rule.rule_id, author=_author()),),
        )


def _state(rule: Rule) -> str:
    """Return why a rule does nothing today, or ""."""
    today = datetime.now(UTC).date()
    if not rule.enabled:
        return "off"
    if rule.starts_on and today < rule.starts_on:
        return "not yet"
    return "over" if rule.ends_on and rule.ends_on < today else ""


def _draw_hits(count: int, items: Sequence[Item]) -> None:
    photos = "".join(
        f'<img src="{escape(thumbnail_url(item, 192))}" alt="{escape(item.title)}" title="{escape(item.title)}" '
        'loading="lazy">'
        for item in items
    )
    words = (
        "It hits nothing here." if count == 0 else f"It hits {count:,} {'item' if count == 1 else 'items'}."
    )
    st.html(f'<p class="count quiet">{words}</p><div class="rule-photos">{photos}</div>')


def _draw_history(service: SearchService) -> None:
    words = {"add": "added", "change": "changed", "on": "put on", "off": "put off", "undo": "undone"}
    rows = "".join(
        f"<tr><td>{change.happened_at:%Y-%m-%d %H:%M} UTC</td><td>{escape(change.author) or 'somebody'}</td>"
        f"<td>{words.get(change.act, escape(change.act))}</td><td>{escape(change.rule.describe())}</td></tr>"
        for change in service.rules.history(limit=HISTORY)
    )
    with st.expander("History", icon=":material/history:"):
        st.html(f'<table class="facts">{rows}</table>')


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.splitlines() if part.strip()]


def _lines(parts: Iterable[str]) -> str:
    return "\n".join(parts)


def _author() -> str:
    return author_name(current_session().visitor)


@in_full
def _act(action: Callable[[], object]) -> None:
    """Do what a button asks for; what goes wrong is told at the next drawing."""
    try:
        action()
    except ImgSearchError as error:
        st.session_state[PROBLEM] = str(error)
