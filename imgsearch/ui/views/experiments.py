"""The Experiments page: all experiments and systems, or the one that `?experiment=` names with its outcome."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import streamlit as st

from imgsearch.app.service import SearchService, get_service
from imgsearch.core.errors import ImgSearchError
from imgsearch.improve.experiments.measures import MEASURES
from imgsearch.improve.experiments.outcomes import outcome_of
from imgsearch.improve.experiments.recommendation import MISMATCH_P
from imgsearch.improve.experiments.records import GOALS, MAX_ARMS, Arm, Experiment
from imgsearch.search.systems import LIVE, System
from imgsearch.ui.components import blocks as ui
from imgsearch.ui.components.experiment_results import draw_results
from imgsearch.ui.markup import draw_html, draw_style
from imgsearch.ui.state.callbacks import go

MODES = {
    "split": "Split: each visitor sees one arm",
    "interleave": "Interleave: every result list mixes two arms; this needs far fewer visitors",
}


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
        ui.message("This experiment cannot be shown", str(error), "All experiments", go)


def _draw_all(service: SearchService) -> None:
    ui.heading(
        "Experiments",
        "Try a system on real visitors and see which one they click more. Look as often as you like: the confidence "
        "intervals stay valid.",
    )
    ui.outcome()
    found, systems = service.experiments.all(), service.systems.all()
    if not found:
        ui.message(
            "No experiments yet",
            "Add a system that differs from the live one, then compare the two in an experiment."
            if len(systems) == 1
            else "Create one below; nothing changes for visitors until you start it.",
        )
    for experiment in found:
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            draw_html("experiment", experiment=experiment, text=_describe(experiment))
            ui.button("Open", f"open {experiment.name}", go, kwargs={"experiment": experiment.name})
    with st.expander("New experiment", icon=":material/science:", expanded=len(systems) > 1 and not found):
        _draw_experiment_form(service, systems)
    with st.expander("Systems", icon=":material/tune:", expanded=len(systems) == 1):
        _draw_systems(service, systems)


def _draw_one(service: SearchService, name: str) -> None:
    experiment = service.experiments.get(name)
    outcome = outcome_of(service.catalog.database, experiment)
    ui.button("All experiments", "back", go, icon="arrow_back", type="tertiary")
    draw_html("experiment_heading", experiment=experiment, text=_describe(experiment))
    ui.outcome()
    mismatch = outcome.sample_ratio_p is not None and outcome.sample_ratio_p < MISMATCH_P
    draw_html(
        "verdict",
        kind="alarm" if mismatch else outcome.recommendation.kind,
        text=outcome.recommendation.sentence,
    )
    for warning in outcome.warnings:
        ui.problem(warning[:1].upper() + warning[1:])
    _draw_switch(service, experiment)
    if outcome.visitors:
        draw_results(outcome)


def _draw_switch(service: SearchService, experiment: Experiment) -> None:
    """Draw the button that starts the experiment, or the two that stop it: it cannot be started again."""
    if experiment.state == "draft":
        ui.act(
            "Start",
            "start",
            partial(service.experiments.start, experiment.name),
            type="primary",
            icon="play_arrow",
        )
    elif experiment.state == "running":
        with st.popover("Stop", icon=":material/stop:"):
            st.write("All visitors return to the live system. The experiment cannot be started again.")
            ui.act(
                "Stop for good", "stop", partial(service.experiments.stop, experiment.name), type="primary"
            )


def _describe(experiment: Experiment) -> str:
    arms = " against ".join(f"{arm.system} ({arm.share * 100:.3g}%)" for arm in reversed(experiment.arms))
    how = "interleaved"
    if experiment.mode == "split":
        how = f"split, decided by {MEASURES[experiment.goal].title}"
    since = f", since {experiment.started:%d %b %Y %H:%M} UTC" if experiment.started else ""
    until = f" to {experiment.stopped:%d %b %Y %H:%M} UTC" if experiment.stopped else ""
    return f"{arms}; {how}{since}{until}"


def _draw_experiment_form(service: SearchService, systems: Sequence[System]) -> None:
    if len(systems) < 2:
        ui.line("There is only the live system. Add another one under Systems first.", "count")
        return
    with st.form("new_experiment", border=False):
        st.text_input("Name", key="experiment_name", max_chars=40, placeholder="spring-variety")
        st.multiselect(
            "Arms, control first",
            [system.name for system in systems],
            default=[LIVE],
            max_selections=MAX_ARMS,
            key="experiment_arms",
        )
        st.radio("Method", list(MODES), format_func=MODES.__getitem__, key="experiment_mode")
        left, right = st.columns(2)
        with left:
            goals = {goal: f"{MEASURES[goal].title}: {MEASURES[goal].description}" for goal in GOALS}
            ui.select("Goal of a split", goals, "experiment_goal")
            st.slider(
                "Share of visitors, split equally between arms (%)", 1, 100, 100, key="experiment_traffic"
            )
        with right:
            st.number_input(
                "Smallest relevant change (%)", 0.1, 1000.0, 5.0, step=1.0, key="experiment_effect"
            )
            st.number_input(
                "Expected visitors",
                1,
                10**9,
                2000,
                step=500,
                key="experiment_visitors",
                help="The confidence intervals are narrowest at this number of visitors.",
            )
        ui.submit("Create", _create_experiment, service, type="primary")


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
    go(experiment=service.experiments.create(experiment).name)


def _draw_systems(service: SearchService, systems: Sequence[System]) -> None:
    ui.facts([(system.name, system.describe()) for system in systems])
    ui.section("New system")
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
                help="0 ranks by similarity alone; 1 by variety alone.",
            )
            st.number_input("Maximum results (empty: no limit)", 1, 10_000, None, key="system_n")
        with right:
            st.text_input(
                "Head",
                LIVE,
                key="system_head",
                help="live: the published head. base: the encoder's own embeddings. Or the ID of a head.",
            )
            st.text_input(
                "Folder of another catalog (empty: this one)",
                key="system_catalog",
                help="The same photos, indexed with another encoder.",
            )
            st.number_input("Search expansion (empty: tuned)", 1, 10_000, None, key="system_expansion")
        ui.submit("Add system", _create_system, service)


def _create_system(service: SearchService) -> None:
    given = st.session_state
    service.systems.save(
        System(
            name=given["system_name"].strip(),
            head=given["system_head"].strip() or LIVE,
            catalog=given["system_catalog"].strip(),
            expansion=given["system_expansion"],
            diversity=float(given["system_diversity"]),
            n=given["system_n"],
        )
    )
