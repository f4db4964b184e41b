"""Widgets whose value is a parameter of the page's address, so that a link reopens what was chosen.

Streamlit's own binding names the parameter after the widget's label and options, which change with every figure.
"""

from __future__ import annotations

from collections.abc import Container

import streamlit as st

from imgsearch.ui.state.callbacks import in_full

__all__ = ["from_address", "to_address"]


def from_address(name: str, options: Container[str]) -> None:
    """Start a widget with the value in the address, where that is one of its options."""
    value = st.query_params.get(name, "")
    if value in options:
        st.session_state.setdefault(name, value)


@in_full
def to_address(name: str) -> None:
    """Write a widget's value to the address."""
    st.query_params[name] = st.session_state[name]
