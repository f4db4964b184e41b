"""The forms of the Experiments page: a new experiment, and a new system to compare."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from imgsearch.app.service import SearchService
from imgsearch.improve.experiments.measures import MEASURES
from imgsearch.improve.experiments.records import GOALS, MAX_ARMS, Arm, Experiment
from imgsearch.search.systems import LIVE, System
from imgsearch.ui.components.blocks import draw_facts, draw_line, draw_section
from imgsearch.ui.state.callbacks import attempt, go

__all__ = ["draw_experiment_form", "draw_systems"]

MODES = {
    "split": "Split: each visitor sees one arm",
    "interleave": "Interleave: every result list mixes two arms; this needs far fewer visitors",
}


def draw_experiment_form(service: SearchService, systems: Sequence[System]) -> None:
    """Draw the form of a new experiment."""
    if len(systems) < 2:
        draw_line("There is only the live system. Add another one under Systems first.", "count")
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
            st.selectbox(
                "Goal of a split",
                GOALS,
                format_func=lambda goal: f"{MEASURES[goal].title}: {MEASURES[goal].description}",
                key="experiment_goal",
            )
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
        st.form_submit_button("Create", type="primary", on_click=attempt, args=(_create_experiment, service))


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


def draw_systems(service: SearchService, systems: Sequence[System]) -> None:
    """Draw all systems, and the form of a new one."""
    draw_facts([(system.name, system.describe()) for system in systems])
    draw_section("New system")
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
        st.form_submit_button("Add system", on_click=attempt, args=(_create_system, service))


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
