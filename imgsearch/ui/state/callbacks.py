"""What widgets call, carried out to its end however fast one click follows another.

It owns what Streamlit leaves open there, and knows nothing of what the callbacks do. Two rules hold for all of them:

- What was typed or chosen is read from the session state when the click arrives, never from the arguments: those are
  of the last drawing, and a field that is left by the click itself was not drawn with its new text.
- What a click asks for is done in the callback, not in the run after it, which a newer click ends before its time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import streamlit as st
from streamlit.runtime.scriptrunner import RerunException

__all__ = ["in_full"]

P = ParamSpec("P")


def in_full(act: Callable[P, object]) -> Callable[P, None]:
    """Return a callback that does all of `act` before a newer click gets its turn.

    Streamlit breaks a callback off at its first call of Streamlit's where a newer click waits already, and does not
    come back to it. Here that newer click is taken first, and handed on once `act` is done.
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


def _waiting() -> RerunException | None:
    """Return the newer click that waits, and take it from the queue; None where there is none."""
    try:
        st.session_state.get("imgsearch")  # as any call of Streamlit's, it looks for a newer click
    except RerunException as newer:
        return newer
    return None
