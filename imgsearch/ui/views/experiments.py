"""The experiments page: what is tried out on visitors, what to do about it, and the figures behind that.

It owns the drawing, the forms and what its buttons ask for. Which visitor gets what is decided in
`imgsearch.improve.experiments.experiments`, the outcome in `imgsearch.improve.experiments.outcomes`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from html import escape

import altair
import pandas as pd
import streamlit as st

from imgsearch.app.service import SearchService, get_service
from imgsearch.core.errors import ImgSearchError
from imgsearch.improve.experiments.measures import MEASURES, Measure
from imgsearch.improve.experiments.outcomes import outcome_of
from imgsearch.improve.experiments.recommendation import MISMATCH_P
from imgsearch.improve.experiments.records import (
    GOALS,
    MAX_ARMS,
    Arm,
    ArmOutcome,
    Contrast,
    Experiment,
    Outcome,
    Point,
)
from imgsearch.search.systems import LIVE, System
from imgsearch.ui.components.messages import draw_message
from imgsearch.ui.markup import asset
from imgsearch.ui.state.callbacks import in_full

__all__ = ["draw"]

PROBLEM = "experiments_problem"
CHOSEN = "experiment"
COLOURS = ("#0f9b88", "#c2711b", "#7a68d8", "#c04a70", "#5f8a2b")
"""One for each arm but the control, readable on light and dark."""
MODES = {
    "split": "Split: each visitor sees one arm",
    "interleave": "Interleave: every list mixes the hits of two arms, and needs far fewer visitors",
}


def draw() -> None:
    """Draw the list of experiments, or the one that the address names."""
    service = get_service()
    st.html(f"<style>{asset('experiments.css')}</style>")
    problem = st.session_state.pop(PROBLEM, "")
    name = st.query_params.get(CHOSEN, "")
    try:
        if name:
            _draw_one(service, name, problem)
        else:
            _draw_all(service, problem)
    except ImgSearchError as error:
        draw_message(
            "That experiment cannot be shown",
            str(error),
            action="All experiments",
            on_click=_choose,
            args=("",),
        )


@in_full
def _choose(name: str) -> None:
    """Show one experiment, or with an empty name all of them."""
    if name:
        st.query_params[CHOSEN] = name
    else:
        st.query_params.pop(CHOSEN, None)


@in_full
def _try(act: Callable[[], object]) -> None:
    """Do what a button asks for; say what went wrong in the next run."""
    try:
        act()
    except ImgSearchError as error:
        st.session_state[PROBLEM] = str(error)


def _draw_problem(problem: str) -> None:
    if problem:
        st.html(f'<p class="problem" role="alert">{escape(problem)}</p>')


# --- all of them ----------------------------------------------------------------------------------------------------


def _draw_all(service: SearchService, problem: str) -> None:
    st.html(
        '<header class="page-head"><h1>Experiments</h1><p class="quiet">Try a system out on visitors, and see which '
        "one they click more. Look as often as you like: the intervals allow for it.</p></header>"
    )
    _draw_problem(problem)
    found = service.experiments.all()
    if not found:
        draw_message(
            "Nothing was tried out yet",
            "Define a system that differs from the live one, then an experiment between the two."
            if len(service.systems.all()) == 1
            else "Make an experiment below; nothing changes for visitors before you start it.",
        )
    for experiment in found:
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            st.html(
                f'<div class="experiment"><h3>{escape(experiment.name)} {_state(experiment)}</h3>'
                f"<p>{escape(_arms_in_words(experiment))}</p></div>"
            )
            st.button("Open", key=f"open {experiment.name}", on_click=_choose, args=(experiment.name,))
    systems = service.systems.all()
    with st.expander("New experiment", icon=":material/science:", expanded=len(systems) > 1 and not found):
        _draw_experiment_form(service, systems)
    with st.expander("Systems", icon=":material/tune:", expanded=len(systems) == 1):
        _draw_systems(service, systems)


def _draw_experiment_form(service: SearchService, systems: Sequence[System]) -> None:
    if len(systems) < 2:
        st.html('<p class="count">There is only the live system; define another one under Systems first.</p>')
        return
    with st.form("new_experiment", border=False):
        st.text_input("Name", key="experiment_name", max_chars=40, placeholder="spring-variety")
        st.multiselect(
            "Arms, the control first",
            [system.name for system in systems],
            default=[LIVE],
            max_selections=MAX_ARMS,
            key="experiment_arms",
        )
        st.radio("How", list(MODES), format_func=MODES.__getitem__, key="experiment_mode")
        left, right = st.columns(2)
        with left:
            st.selectbox(
                "Decided by (a split)",
                GOALS,
                format_func=lambda goal: f"{MEASURES[goal].title}: {MEASURES[goal].description}",
                key="experiment_goal",
            )
            st.slider("Visitors in it, shared equally (%)", 1, 100, 100, key="experiment_traffic")
        with right:
            st.number_input(
                "Smallest change worth knowing (%)", 0.1, 1000.0, 5.0, step=1.0, key="experiment_effect"
            )
            st.number_input(
                "Visitors expected by the decision",
                1,
                10**9,
                2000,
                step=500,
                key="experiment_visitors",
                help="The intervals are narrowest there.",
            )
        st.form_submit_button("Make it", type="primary", on_click=_create_experiment, args=(service,))


@in_full
def _create_experiment(service: SearchService) -> None:
    given = st.session_state
    names = list(given["experiment_arms"])
    share = given["experiment_traffic"] / 100 / max(len(names), 1)
    experiment = Experiment(
        name=given["experiment_name"].strip(),
        arms=tuple(Arm(name, share) for name in names),
        mode=given["experiment_mode"],
        goal=given["experiment_goal"],
        min_effect=given["experiment_effect"] / 100,
        planned_visitors=int(given["experiment_visitors"]),
    )

    def create() -> None:
        _choose(service.experiments.create(experiment).name)

    _try(create)


def _draw_systems(service: SearchService, systems: Sequence[System]) -> None:
    rows = "".join(
        f'<tr><th scope="row">{escape(system.name)}</th><td>{escape(system.describe())}</td></tr>'
        for system in systems
    )
    st.html(f'<table class="facts">{rows}</table><h2 class="panel-title">New system</h2>')
    with st.form("new_system", border=False):
        left, right = st.columns(2)
        with left:
            st.text_input("Name", key="system_name", max_chars=40, placeholder="varied")
            st.slider(
                "Diversity",
                0.0,
                1.0,
                0.0,
                step=0.05,
                key="system_diversity",
                help="How much variety counts against likeness.",
            )
            st.number_input("Most hits (empty: as asked for)", 1, 10_000, None, key="system_n")
        with right:
            st.text_input(
                "Head",
                LIVE,
                key="system_head",
                help="live is the published one, base the encoder's own embeddings; or a head's id.",
            )
            st.text_input(
                "Another catalog's folder (empty: this one)",
                key="system_catalog",
                help="The same photos indexed by another encoder.",
            )
            st.number_input("Search effort (empty: tuned)", 1, 10_000, None, key="system_expansion")
        st.form_submit_button("Define it", on_click=_create_system, args=(service,))


@in_full
def _create_system(service: SearchService) -> None:
    given = st.session_state
    system = System(
        name=given["system_name"].strip(),
        head=given["system_head"].strip() or LIVE,
        catalog=given["system_catalog"].strip(),
        expansion=given["system_expansion"],
        diversity=float(given["system_diversity"]),
        n=given["system_n"],
    )
    _try(lambda: service.systems.save(system))


# --- one of them ----------------------------------------------------------------------------------------------------


def _draw_one(service: SearchService, name: str, problem: str) -> None:
    experiment = service.experiments.get(name)
    outcome = outcome_of(service.catalog.database, experiment)
    st.button(
        "All experiments",
        key="back",
        icon=":material/arrow_back:",
        type="tertiary",
        on_click=_choose,
        args=("",),
    )
    st.html(
        f'<header class="page-head"><h1>{escape(experiment.name)}{_state(experiment)}</h1>'
        f'<p class="quiet">{escape(_arms_in_words(experiment))}</p></header>'
    )
    _draw_problem(problem)
    verdict = outcome.recommendation
    mismatch = outcome.sample_ratio_p is not None and outcome.sample_ratio_p < MISMATCH_P
    tone = "alarm" if mismatch else verdict.kind
    st.html(f'<div class="verdict {tone}" role="status"><p>{escape(verdict.sentence)}</p></div>')
    for warning in outcome.warnings:
        st.html(f'<p class="problem">{escape(warning[:1].upper() + warning[1:])}</p>')
    _draw_switch(service, experiment)
    if outcome.visitors:
        _draw_figures(outcome)
        _draw_chart(outcome)
        _draw_arms(outcome)


def _draw_switch(service: SearchService, experiment: Experiment) -> None:
    """Draw the button that starts the experiment, or the two that stop it: for good, so the second one asks."""
    if experiment.state == "draft":
        st.button(
            "Start",
            key="start",
            type="primary",
            icon=":material/play_arrow:",
            on_click=_try,
            args=(partial(service.experiments.start, experiment.name),),
        )
    elif experiment.state == "running":
        with st.popover("Stop", icon=":material/stop:"):
            st.write("Every visitor gets the live system again. It cannot be started a second time.")
            st.button(
                "Stop for good",
                key="stop",
                type="primary",
                on_click=_try,
                args=(partial(service.experiments.stop, experiment.name),),
            )


def _draw_figures(outcome: Outcome) -> None:
    goal = outcome.goal
    detectable = "–" if outcome.detectable is None else goal.format(outcome.detectable, change=True)
    with st.container(horizontal=True, gap="medium"):
        st.metric("Visitors", f"{outcome.visitors:,}", border=True)
        st.metric("Searches", f"{_searches(outcome):,}", border=True)
        st.metric(
            "Would show by now",
            detectable,
            border=True,
            help=f"The smallest true change of {goal.title} that so many visitors show with 80% chance.",
        )
        st.metric(
            "Visitors needed",
            f"{outcome.needed:,}" if outcome.needed else "–",
            border=True,
            help=f"In all, to see a change of {outcome.experiment.min_effect * 100:g}% with 80% chance.",
        )


def _searches(outcome: Outcome) -> int:
    counts = [arm.searches for arm in outcome.arms]
    return counts[0] if outcome.experiment.mode == "interleave" else sum(counts)


def _draw_chart(outcome: Outcome) -> None:
    goal, control = outcome.goal, outcome.arms[0].system
    scale = 100.0 if goal.unit == "share" else 1.0
    frame = pd.DataFrame(
        [
            {
                "when": point.moment,
                "visitors": point.visitors,
                "difference": point.difference * scale,
                "low": point.low * scale,
                "high": point.high * scale,
                "arm": system,
            }
            for system, points in outcome.series.items()
            for point in _shown(points)
        ]
    )
    if frame.empty:
        return
    unit = " (points)" if goal.unit == "share" else " (seconds)" if goal.unit == "seconds" else ""
    st.html(f'<h2 class="panel-title">{escape(goal.title)} against {escape(control)}{unit}</h2>')
    colour = altair.Color(
        "arm:N",
        title=None,
        scale=altair.Scale(range=list(COLOURS)),
        legend=None if len(outcome.series) == 1 else altair.Legend(orient="top"),
    )
    base = altair.Chart(frame).encode(x=altair.X("when:T", title=None))
    # The first intervals reach far: they would squeeze the rest into a line.
    reach = 1.3 * max(
        abs(edge)
        for points in map(_shown, outcome.series.values())
        for point in points[len(points) // 4 :]
        for edge in (point.low, point.high)
    )
    y = altair.Scale(domain=[-reach * scale, reach * scale], clamp=True)
    band = base.mark_area(opacity=0.22, clip=True).encode(
        y=altair.Y("low:Q", title=None, scale=y), y2="high:Q", color=colour
    )
    line = base.mark_line(strokeWidth=2.5, clip=True).encode(
        y=altair.Y("difference:Q", title=None, scale=y),
        color=colour,
        tooltip=[
            altair.Tooltip("when:T", title="until", format="%d %b %H:%M"),
            altair.Tooltip("visitors:Q", format=",.0f"),
            altair.Tooltip("difference:Q", format="+.2f"),
            altair.Tooltip("low:Q", title="at least", format="+.2f"),
            altair.Tooltip("high:Q", title="at most", format="+.2f"),
        ],
    )
    zero = altair.Chart(pd.DataFrame({"y": [0.0]})).mark_rule(strokeDash=[4, 4], opacity=0.6).encode(y="y:Q")
    st.altair_chart((band + line + zero).properties(height=260), width="stretch")
    st.html(
        '<p class="note-line">The band is the always-valid 95% interval of the difference as it was then: once it '
        "leaves the dashed line, the arms differ, however often you looked.</p>"
    )


def _shown(points: Sequence[Point]) -> list[Point]:
    """Return the points from enough visitors to be drawn."""
    return [point for point in points if point.enough]


def _draw_arms(outcome: Outcome) -> None:
    """Draw the table of measures, a column for each arm, and the differences from control below the values."""
    notes = ["control", *(f"{arm.share:.0%} of visitors" for arm in outcome.arms[1:])]
    heads = "".join(
        f'<th scope="col">{escape(arm.system)}<small>{note}</small></th>'
        for arm, note in zip(outcome.arms, notes, strict=True)
    )
    rows = [_row("Visitors", [f"{arm.visitors:,}" for arm in outcome.arms])]
    others = [measure for measure in MEASURES.values() if measure.name != outcome.goal.name]
    for measure in (outcome.goal, *others):
        if any(measure.name in arm.values for arm in outcome.arms):
            rows.append(_measure_row(outcome, measure))
    rows.append(_row("Median search", [_milliseconds(arm.p50_ms) for arm in outcome.arms]))
    rows.append(_row("95% of searches within", [_milliseconds(arm.p95_ms) for arm in outcome.arms]))
    rows.append(_row("Failed searches", [f"{arm.failures:,}" for arm in outcome.arms]))
    st.html(
        f'<h2 class="panel-title">By arm</h2><div class="wide"><table class="arms"><thead><tr><td></td>{heads}</tr>'
        f"</thead><tbody>{''.join(rows)}</tbody></table></div>"
    )
    if outcome.sample_ratio_p is not None:
        text = f"Visitors by arm fit the planned shares (chi-square {_p(outcome.sample_ratio_p)})."
        if outcome.sample_ratio_p < MISMATCH_P:
            text = (
                f"Visitors by arm do not fit the planned shares (chi-square {_p(outcome.sample_ratio_p)}): look "
                "for an arm that loses visitors or their events."
            )
        st.html(f'<p class="note-line">{escape(text)}</p>')
    elif outcome.sign_p is not None:
        second = outcome.arms[1].system
        st.html(
            f'<p class="note-line">{outcome.wins:,} visitors clicked more hits of {escape(second)}, '
            f"{outcome.losses:,} fewer (always-valid sign test {escape(_p(outcome.sign_p))}).</p>"
        )


def _measure_row(outcome: Outcome, measure: Measure) -> str:
    cells = []
    contrasts = {each.system: each for each in outcome.contrasts if each.measure == measure.name}
    for arm in outcome.arms:
        cells.append(_value_cell(arm, measure, contrasts.get(arm.system)))
    css = ' class="goal"' if measure.name == outcome.goal.name else ""
    head = f'<th scope="row">{escape(measure.title)}<small>{escape(measure.description)}</small></th>'
    return f"<tr{css}>{head}{''.join(cells)}</tr>"


def _value_cell(arm: ArmOutcome, measure: Measure, contrast: Contrast | None) -> str:
    value = arm.values.get(measure.name)
    if value is None:
        return "<td>–</td>"
    css = ""
    interval = f"{measure.format(value.low)} to {measure.format(value.high)}"
    if contrast is not None:
        sign = 1 if contrast.low > 0 else -1 if contrast.high < 0 else 0
        if sign and measure.better:
            css = ' class="better"' if sign == measure.better else ' class="worse"'
        sign_text = "+" if contrast.difference >= 0 else "−"
        change = measure.format(abs(contrast.difference), change=True)
        interval += f"<br>{sign_text}{change}, {escape(_p(contrast.p))}"
    return f"<td{css}>{measure.format(value.value)}<small>{interval}</small></td>"


def _row(title: str, cells: Sequence[str]) -> str:
    return f'<tr><th scope="row">{escape(title)}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.2g}"


def _milliseconds(value: float | None) -> str:
    return "–" if value is None else f"{value:,.1f} ms"


def _state(experiment: Experiment) -> str:
    return f'<span class="state {experiment.state}">{experiment.state}</span>'


def _arms_in_words(experiment: Experiment) -> str:
    arms = " against ".join(f"{arm.system} ({arm.share * 100:.3g}%)" for arm in reversed(experiment.arms))
    how = (
        "interleaved"
        if experiment.mode == "interleave"
        else f"split, decided by {MEASURES[experiment.goal].title}"
    )
    since = f", since {experiment.started:%d %b %Y %H:%M} UTC" if experiment.started else ""
    until = f" to {experiment.stopped:%d %b %Y %H:%M} UTC" if experiment.stopped else ""
    return f"{arms}; {how}{since}{until}"
