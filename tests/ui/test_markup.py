"""Templates escape their values, and catalog texts reach Streamlit's Markdown without any markup."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError

from imgsearch.ui.markup import plain, render

SIGNS = r"\`*_{}[]()#+-.!:$<>~|&@^="


def test_a_template_escapes_its_values() -> None:
    assert render("section", title="<b>&", text='"x"') == (
        '<h2 class="panel-title">&lt;b&gt;&amp;</h2><p class="count quiet">&#34;x&#34;</p>'
    )


def test_a_template_without_one_of_its_values_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        render("section", title="x")


@given(st.text(alphabet=st.sampled_from(SIGNS + "ab w/\n"), max_size=40))
def test_every_markdown_character_is_escaped(text: str) -> None:
    safe = plain(text)
    letters = iter(safe)
    shown = ""
    for letter in letters:
        if letter == "\\":
            letter = next(letters)
        else:
            assert letter not in SIGNS
        shown += letter
    assert shown.replace("\u2060", "") == " ".join(text.split())


@pytest.mark.parametrize("address", ["http://a.example/x.png", "www.a.example", "ann@a.example"])
def test_a_bare_address_is_not_linked(address: str) -> None:
    assert address not in plain(address).replace("\\", "")
