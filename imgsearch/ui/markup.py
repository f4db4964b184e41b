"""HTML, CSS and JavaScript of the pages: Jinja2 templates, asset files, and text made safe for Markdown."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import streamlit as st
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from imgsearch.core.base_path import served_path
from imgsearch.core.query_address import thumbnail_url

ASSETS = Path(__file__).parent / "assets"
_MARKDOWN_SIGNS = frozenset(r"\`*_{}[]()#+-.!:$<>~|&@^=")
_WORD_JOINER = "\u2060"

_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=StrictUndefined,
)
_templates.globals |= {"thumbnail": thumbnail_url, "served_path": served_path}


def render(template: str, **values: Any) -> Markup:
    """Return a file of `templates` filled with values, which are escaped unless they are rendered themselves."""
    return Markup(_templates.get_template(f"{template}.html").render(values))  # noqa: S704 -- the template escapes


def draw_html(template: str, *, width: Literal["stretch", "content"] = "stretch", **values: Any) -> None:
    """Draw a file of `templates`."""
    st.html(render(template, **values), width=width)


def plain(text: str) -> str:
    """Return a text that Streamlit's Markdown shows letter by letter.

    Markdown links bare addresses even behind backslashes: an invisible word joiner (U+2060) prevents that.
    """
    for start in ("://", "www.", "@"):
        text = text.replace(start, f"{start[0]}{_WORD_JOINER}{start[1:]}")
    text = " ".join(text.split())
    return "".join(f"\\{letter}" if letter in _MARKDOWN_SIGNS else letter for letter in text)


def asset(name: str) -> str:
    """Return the text of a file of `assets`."""
    return (ASSETS / name).read_text(encoding="utf-8")


def draw_style(name: str) -> None:
    """Add a style sheet of `assets` to the page."""
    st.html(f"<style>{asset(name)}</style>")


def script(*names: str) -> str:
    """Return the code of a component: `elements.js` and then these files, which cannot import each other."""
    return "\n".join(asset(name) for name in ("elements.js", *names))
