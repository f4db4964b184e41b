"""The Rules page: what is hidden, pinned or boosted, what each rule hits, and every change ever made.

It owns the drawing and the form, for a new rule and for one that is changed; what a rule means is decided in
`imgsearch.rules`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from html import escape
from typing import cast

import streamlit as st

from imgsearch.errors import ImgSearchError
from imgsearch.filters import format_filter, parse_filters
from imgsearch.links import thumbnail_url
from imgsearch.records import Item
from imgsearch.retention import author_name
from imgsearch.rules import MAX_BOOST, MAX_TEXT, Rule, RuleAction
from imgsearch.service import SearchService, get_service
from imgsearch.ui.messages import draw_message, draw_no_items
from imgsearch.ui.session import current_session

__all__ = ["draw"]

PREVIEW_PHOTOS = 8
HISTORY = 100
PROBLEM = "rules_problem"
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
        with st.expander("New rule", icon=":material/add:", expanded=not rules):
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
    """Draw the fields of a rule, filled as it was before, with what it would hit."""
    if before.rule_id:
        st.html(f'<p class="count"><strong>Change rule {before.rule_id}</strong></p>')
    columns = ", ".join(list(service.catalog.columns)[:8]) or "none"
    grammar = f"Columns: {columns}. Also a!=b, a in b|c, a~part, price=10..50."
    action = cast(
        RuleAction,
        st.segmented_control(
            "What it does",
            list(ACTIONS),
            default=before.action,
            required=True,
            format_func=lambda one: ACTIONS[one],
            key=f"rule_action_{name}",
        ),
    )
    by_filter, items = _draw_which(before, grammar, name)
    amount, words, searches = _draw_how(before, action, grammar, name)
    days = st.columns(2)
    starts = days[0].date_input("From (UTC)", before.starts_on, key=f"rule_from_{name}")
    ends = days[1].date_input("Until (UTC)", before.ends_on, key=f"rule_until_{name}")
    note = st.text_input("Note for colleagues", before.note, max_chars=MAX_TEXT, key=f"rule_note_{name}")
    ready, rule = False, before
    if items:
        try:
            rule = replace(
                before,
                action=action,
                item_ids=() if by_filter else tuple(items),
                filters=parse_filters(items) if by_filter else (),
                amount=amount,
                when_text=words,
                when_filters=parse_filters(searches),
                starts_on=starts,
                ends_on=ends,
                note=note.strip(),
            )
            count, photos = service.rules.matching(rule, limit=PREVIEW_PHOTOS)
            ready = count > 0 and rule != before
            _draw_hits(count, photos)
        except ImgSearchError as error:
            st.html(f'<p class="problem" role="alert">{escape(str(error))}</p>')
    with st.container(horizontal=True):
        st.button(
            "Save the change" if before.rule_id else "Add the rule",
            key="save_rule" if before.rule_id else "add_rule",
            type="primary",
            disabled=not ready,
            on_click=_act,
            args=(lambda: _save(service, rule),),
        )
        if before.rule_id:
            st.button("Cancel", key="cancel_rule", on_click=_edit, args=(0,))


def _draw_which(before: Rule, grammar: str, name: str) -> tuple[bool, list[str]]:
    """Draw which items a rule hits; return whether by filters, and the filters or ids."""
    by = st.segmented_control(
        "To which items",
        [BY_FILTER, BY_ID],
        default=BY_ID if before.item_ids else BY_FILTER,
        required=True,
        key=f"rule_by_{name}",
    )
    if by == BY_FILTER:
        text = st.text_area(
            "Filters, one a line: items that pass them all",
            _lines([format_filter(one) for one in before.filters]),
            height=90,
            placeholder="category=shoes\nprice<50",
            help=grammar,
            key=f"rule_filters_{name}",
        )
    else:
        text = st.text_area(
            "Item ids, one a line", _lines(before.item_ids), height=90, key=f"rule_items_{name}"
        )
    return by == BY_FILTER, _parts(text)


def _draw_how(before: Rule, action: RuleAction, grammar: str, name: str) -> tuple[float, str, list[str]]:
    """Draw how far a boost goes and for which searches a rule holds; return that, the words and the filters."""
    amount = 0.0
    if action == "hide":
        return amount, "", []
    if action == "boost":
        amount = st.slider(
            "How far (in standard deviations of the scores)",
            -MAX_BOOST,
            MAX_BOOST,
            before.amount or 1.0,
            0.25,
            key=f"rule_amount_{name}",
        )
    words = st.text_input(
        "Only for searches with these words", before.when_text, max_chars=MAX_TEXT, key=f"rule_when_{name}"
    )
    searches = st.text_area(
        "Only for searches with these filters, one a line",
        _lines([format_filter(one) for one in before.when_filters]),
        height=68,
        placeholder="category=shoes",
        help=grammar,
        key=f"rule_when_filters_{name}",
    )
    return amount, words.strip(), _parts(searches)


def _save(service: SearchService, rule: Rule) -> None:
    service.rules.save(rule, author=_author())
    st.session_state[EDITED] = 0
    if not rule.rule_id:
        st.session_state["rule_form"] += 1  # a fresh, empty form


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


def _lines(parts: Sequence[str]) -> str:
    return "\n".join(parts)


def _author() -> str:
    return author_name(current_session().visitor)


def _act(action: Callable[[], object]) -> None:
    """Do what a button asks for; what goes wrong is told at the next drawing."""
    try:
        action()
    except ImgSearchError as error:
        st.session_state[PROBLEM] = str(error)
