"""A background job on a page: its progress with a Stop button, and how it ended."""

from __future__ import annotations

import streamlit as st

from imgsearch.core.background import Job, JobRunner
from imgsearch.ui.components import blocks as ui
from imgsearch.ui.markup import draw_html

WATCH_EVERY_S = 0.7


def draw_job(runner: JobRunner, *, after_stop: str, unit: str = "") -> None:
    """Follow the running job, or say why the last one ended early.

    `after_stop` says what stopping means; `unit` names what the job counts, otherwise percents are shown.
    """
    job = runner.job
    if job is not None and job.status == "running":
        _follow(runner, unit)
    elif job is not None:
        draw_job_end(job, after_stop)


def draw_job_end(job: Job, after_stop: str) -> None:
    """Say why a job ended early; nothing for a job that is done."""
    if job.status == "failed":
        ui.problem(f"{job.name} failed: {job.reason}")
    elif job.status == "stopped":
        ui.line(f"{job.name} was stopped; {after_stop}.", role="status")


@st.fragment(run_every=WATCH_EVERY_S)
def _follow(runner: JobRunner, unit: str) -> None:
    job = runner.job
    if job is None or job.status != "running":
        st.rerun()
    share = job.done / job.total if job.total else 0.0
    if not job.total:
        text = f"{job.name}: starting"
    else:
        text = f"{job.name}: " + (f"{job.done:,} of {job.total:,} {unit}" if unit else f"{share:.0%}")
    draw_progress(text, share, runner)


def draw_progress(text: str, share: float, runner: JobRunner) -> None:
    """Draw how far a job is, as words and a bar, with the button that stops it."""
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        draw_html("progress", text=text, share=share)
        ui.button("Stop", "stop_job", runner.stop, icon="stop")
