"""The Rules page: what is hidden, pinned or boosted, what each rule hits, and every change ever made.

It owns the drawing and the form; what a rule means is decided in `imgsearch.rules`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Literal, cast

import streamlit as st

from imgsearch.errors import ImgSearchError
from imgsearch.filters import parse_filters
from imgsearch.links import thumbnail_url
from imgsearch.records import Item
from imgsearch.rules import MAX_BOOST, Rule, RuleAction
from imgsearch.service import SearchService, get_service
from imgsearch.ui.messages import draw_message, draw_no_items
from imgsearch.ui.session import current_session

__all__ = ["draw"]

PREVIEW_PHOTOS = 8
HISTORY = 100
PROBLEM = "rules_problem"
ACTIONS = {"hide": "Hide", "pin": "Pin to the top", "boost": "Boost or bury"}
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
    with st.expander("New rule", icon=":material/add:", expanded=not rules):
        _draw_form(service)
    if not rules:
        draw_message(
            "No rules yet", "Make one above: for example, hide all items of a brand, or pin one for a word."
        )
        return
    for rule in rules:
        _draw_rule(service, rule)
    _draw_history(service)


def _draw_form(service: SearchService) -> None:
    """Draw the fields of a new rule, with what it would hit."""
    version = st.session_state.setdefault("rule_form", 0)
    action = st.segmented_control(
        "What it does",
        list(ACTIONS),
        default="hide",
        required=True,
        format_func=lambda name: ACTIONS[name],
        key=f"rule_action_{version}",
    )
    by = st.segmented_control(
        "To which items",
        ["By filter", "By item id"],
        default="By filter",
        required=True,
        key=f"rule_by_{version}",
    )
    if by == "By filter":
        columns = ", ".join(list(service.catalog.columns)[:8]) or "none"
        text = st.text_input(
            "Filters, one after another with ;",
            placeholder="category=shoes; price<50",
            help=f"Columns: {columns}. Also a!=b, a in b|c, a~part, price=10..50.",
            key=f"rule_filters_{version}",
        )
    else:
        text = st.text_area("Item ids, one a line", key=f"rule_items_{version}", height=90)
    amount, when = 0.0, ""
    if action == "boost":
        amount = st.slider(
            "How far (in standard deviations of the scores)",
            -MAX_BOOST,
            MAX_BOOST,
            1.0,
            0.25,
            key=f"rule_amount_{version}",
        )
    if action != "hide":
        when = st.text_input("Only for searches with these words", key=f"rule_when_{version}")
    days = st.columns(2)
    starts = days[0].date_input("From (UTC)", value=None, key=f"rule_from_{version}")
    ends = days[1].date_input("Until (UTC)", value=None, key=f"rule_until_{version}")
    ready = False
    rule = Rule("hide")
    if text.strip():
        try:
            rule = Rule(
                cast(RuleAction, action),
                () if by == "By filter" else tuple(_parts(text, "\n")),
                parse_filters(_parts(text, ";")) if by == "By filter" else (),
                amount,
                when_text=when.strip(),
                starts_on=starts,
                ends_on=ends,
            )
            count, items = service.rules.matching(rule, limit=PREVIEW_PHOTOS)
            ready = count > 0
            _draw_hits(count, items)
        except ImgSearchError as error:
            st.html(f'<p class="problem" role="alert">{escape(str(error))}</p>')
    st.button(
        "Add the rule",
        key="add_rule",
        type="primary",
        disabled=not ready,
        on_click=_act,
        args=(lambda: _add(service, rule),),
    )


def _add(service: SearchService, rule: Rule) -> None:
    service.rules.save(rule, author=_author())
    st.session_state["rule_form"] += 1  # a fresh, empty form


def _draw_rule(service: SearchService, rule: Rule) -> None:
    with st.container(border=True, key=f"rule_{rule.rule_id}"):
        state = "" if rule.enabled else ' <span class="quiet">(off)</span>'
        css = "count" if rule.enabled else "count rule-off"
        st.html(f'<p class="{css}"><strong>{escape(rule.describe())}</strong>{state}</p>')
        try:
            _draw_hits(*service.rules.matching(rule, limit=PREVIEW_PHOTOS))
        except ImgSearchError as error:
            st.html(f'<p class="problem" role="alert">It hits less than it names: {escape(str(error))}</p>')
        with st.container(horizontal=True):
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
        f"<tr><td>{change.happened_at:%Y-%m-%d %H:%M} UTC</td><td>{escape(change.author)}</td>"
        f"<td>{words.get(change.act, escape(change.act))}</td><td>{escape(change.rule.describe())}</td></tr>"
        for change in service.rules.history(limit=HISTORY)
    )
    with st.expander("History", icon=":material/history:"):
        st.html(f'<table class="facts">{rows}</table>')


def _parts(text: str, separator: Literal[";", "\n"]) -> list[str]:
    return [part.strip() for part in text.split(separator) if part.strip()]


def _author() -> str:
    return f"visitor {current_session().visitor[:8]}"


def _act(action: Callable[[], object]) -> None:
    """Do what a button asks for; what goes wrong is told at the next drawing."""
    try:
        action()
    except ImgSearchError as error:
        st.session_state[PROBLEM] = str(error)
