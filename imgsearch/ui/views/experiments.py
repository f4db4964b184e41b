"""The Experiments page: all experiments and systems, or the one that `?experiment=` names with its outcome."""

from __future__ import annotations

from functools import partial

import streamlit as st

from imgsearch.app.service import SearchService, get_service
from imgsearch.core.errors import ImgSearchError
from imgsearch.improve.experiments.measures import MEASURES
from imgsearch.improve.experiments.outcomes import outcome_of
from imgsearch.improve.experiments.recommendation import MISMATCH_P
from imgsearch.improve.experiments.records import Experiment
from imgsearch.ui.components.blocks import draw_heading, draw_outcome, draw_problem
from imgsearch.ui.components.experiment_forms import draw_experiment_form, draw_systems
from imgsearch.ui.components.experiment_results import draw_results
from imgsearch.ui.components.messages import draw_message
from imgsearch.ui.markup import draw_html, draw_style
from imgsearch.ui.state.callbacks import attempt, go

__all__ = ["draw"]


def draw() -> None:
    """Draw the list of experiments, or the one that the address names."""
    service = get_service()
    draw_style("experiments.css")
    name = st.query_params.get("experiment", "")
    try:
        if name:
            _draw_one(service, name)
        else:
            _draw_all(service)
    except ImgSearchError as error:
        draw_message("This experiment cannot be shown", str(error), action="All experiments", on_click=go)


def _draw_all(service: SearchService) -> None:
    draw_heading(
        "Experiments",
        "Try a system on real visitors and see which one they click more. Look as often as you like: the confidence "
        "intervals stay valid.",
    )
    draw_outcome()
    found, systems = service.experiments.all(), service.systems.all()
    if not found:
        draw_message(
            "No experiments yet",
            "Add a system that differs from the live one, then compare the two in an experiment."
            if len(systems) == 1
            else "Create one below; nothing changes for visitors until you start it.",
        )
    for experiment in found:
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            draw_html("experiment", experiment=experiment, text=_describe(experiment))
            st.button(
                "Open", key=f"open {experiment.name}", on_click=go, kwargs={"experiment": experiment.name}
            )
    with st.expander("New experiment", icon=":material/science:", expanded=len(systems) > 1 and not found):
        draw_experiment_form(service, systems)
    with st.expander("Systems", icon=":material/tune:", expanded=len(systems) == 1):
        draw_systems(service, systems)


def _draw_one(service: SearchService, name: str) -> None:
    experiment = service.experiments.get(name)
    outcome = outcome_of(service.catalog.database, experiment)
    st.button("All experiments", key="back", icon=":material/arrow_back:", type="tertiary", on_click=go)
    draw_html("experiment_heading", experiment=experiment, text=_describe(experiment))
    draw_outcome()
    mismatch = outcome.sample_ratio_p is not None and outcome.sample_ratio_p < MISMATCH_P
    draw_html(
        "verdict",
        kind="alarm" if mismatch else outcome.recommendation.kind,
        text=outcome.recommendation.sentence,
    )
    for warning in outcome.warnings:
        draw_problem(warning[:1].upper() + warning[1:])
    _draw_switch(service, experiment)
    if outcome.visitors:
        draw_results(outcome)


def _draw_switch(service: SearchService, experiment: Experiment) -> None:
    """Draw the button that starts the experiment, or the two that stop it: it cannot be started again."""
    if experiment.state == "draft":
        st.button(
            "Start",
            key="start",
            type="primary",
            icon=":material/play_arrow:",
            on_click=attempt,
            args=(partial(service.experiments.start, experiment.name),),
        )
    elif experiment.state == "running":
        with st.popover("Stop", icon=":material/stop:"):
            st.write("All visitors return to the live system. The experiment cannot be started again.")
            st.button(
                "Stop for good",
                key="stop",
                type="primary",
                on_click=attempt,
                args=(partial(service.experiments.stop, experiment.name),),
            )


def _describe(experiment: Experiment) -> str:
    """Return an experiment's arms, kind and dates in words."""
    arms = " against ".join(f"{arm.system} ({arm.share * 100:.3g}%)" for arm in reversed(experiment.arms))
    how = "interleaved"
    if experiment.mode == "split":
        how = f"split, decided by {MEASURES[experiment.goal].title}"
    since = f", since {experiment.started:%d %b %Y %H:%M} UTC" if experiment.started else ""
    until = f" to {experiment.stopped:%d %b %Y %H:%M} UTC" if experiment.stopped else ""
    return f"{arms}; {how}{since}{until}"
