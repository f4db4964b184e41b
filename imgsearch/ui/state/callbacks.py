"""Callbacks of widgets that run to their end however fast one click follows another.

Two rules hold for all of them. What was typed or chosen is read from the session state when the click arrives, never
from the arguments, which belong to the last drawing. And a click is carried out in the callback, not in the run after
it, because a newer click ends that run early.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec

import streamlit as st
from streamlit.runtime.scriptrunner import RerunException

from imgsearch.core.errors import ImgSearchError

P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class AttemptOutcome:
    """What came of a click: a problem, or what was done; both empty where there is nothing to report."""

    problem: str = ""
    done: str = ""


def in_full(act: Callable[P, object]) -> Callable[P, None]:
    """Return a callback that does all of `act` before a newer click is handled.

    Streamlit breaks a callback off at its first Streamlit call where a newer click waits, and does not resume it.
    This callback takes the newer click first, and raises it again once `act` is done.
    """

    @wraps(act)
    def carried_out(*args: P.args, **kwargs: P.kwargs) -> None:
        newer = _waiting()
        try:
            act(*args, **kwargs)
        except RerunException as again:
            raise newer or again from None
        if newer is not None:
            raise newer

    return carried_out


@in_full
def go(**params: str) -> None:
    """Replace the parameters of the page's address."""
    st.query_params.from_dict(params)


def from_address(name: str, options: Container[str]) -> None:
    """Start a widget with the value in the address, where that is one of its options.

    Streamlit's own binding names the parameter after the widget's label and options, which change with every figure.
    """
    value = st.query_params.get(name, "")
    if value in options:
        st.session_state.setdefault(name, value)


@in_full
def to_address(name: str) -> None:
    """Write a widget's value to the address, so that a link reopens it."""
    st.query_params[name] = st.session_state[name]


@in_full
def attempt(action: Callable[..., object], *args: Any, done: str = "", place: str = "page") -> None:
    """Do what a button requests; the next run draws an `ImgSearchError`, or `done`, at `place`.

    Where `action` returns an `AttemptOutcome`, that is drawn instead.
    """
    try:
        result = action(*args)
    except ImgSearchError as error:
        outcome = AttemptOutcome(problem=str(error))
    else:
        outcome = result if isinstance(result, AttemptOutcome) else AttemptOutcome(done=done)
    st.session_state[f"outcome:{place}"] = outcome


def take_outcome(place: str = "page") -> AttemptOutcome:
    """Return what the last attempt at `place` reported, once."""
    outcome: AttemptOutcome = st.session_state.pop(f"outcome:{place}", AttemptOutcome())
    return outcome


def _waiting() -> RerunException | None:
    """Return the newer click that waits, and take it from the queue; None where there is none."""
    try:
        st.session_state.get("imgsearch")  # as any Streamlit call, it looks for a newer click
    except RerunException as newer:
        return newer
    return None
