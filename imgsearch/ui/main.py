"""The entry of the pages: title, look and navigation. `imgsearch.app.asgi` names this file to `st.App`.

It owns nothing else; the pages are functions of the modules beside it (no `pages/` folder, which Streamlit would
discover by itself).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from imgsearch.app.service import SearchService, get_service
from imgsearch.core.errors import ImgSearchError
from imgsearch.ui.components.messages import draw_no_service
from imgsearch.ui.markup import ASSETS, asset
from imgsearch.ui.views import (
    adapt,
    catalog,
    collections,
    duplicates,
    experiments,
    explore,
    judge,
    monitor,
    quality,
    rules,
    search,
    side_by_side,
)

READING = frozenset({"", "explore", "catalog", "side-by-side"})
"""The addresses of pages that only read."""


def main() -> None:
    """Draw the page that the address names."""
    st.set_page_config(page_title="imgsearch", page_icon=str(ASSETS / "icon.svg"), layout="wide")
    st.logo(str(ASSETS / "logo.svg"), icon_image=str(ASSETS / "icon.svg"), size="large")
    st.html(f"<style>{asset('page.css')}</style>")
    pages = {
        "": [
            st.Page(search.draw, title="Search", icon=":material/search:", default=True),
            st.Page(explore.draw, title="Explore", icon=":material/scatter_plot:", url_path="explore"),
            st.Page(
                collections.draw, title="Collections", icon=":material/bookmarks:", url_path="collections"
            ),
            st.Page(catalog.draw, title="Catalog", icon=":material/grid_view:", url_path="catalog"),
        ],
        "Merchandise": [
            st.Page(duplicates.draw, title="Duplicates", icon=":material/difference:", url_path="duplicates"),
            st.Page(rules.draw, title="Rules", icon=":material/rule:", url_path="rules"),
            side_by_side.page(),
        ],
        "Improve": [
            st.Page(judge.draw, title="Judge", icon=":material/thumbs_up_down:", url_path="judge"),
            st.Page(quality.draw, title="Quality", icon=":material/verified:", url_path="quality"),
            st.Page(experiments.draw, title="Experiments", icon=":material/science:", url_path="experiments"),
            st.Page(adapt.draw, title="Adapt", icon=":material/model_training:", url_path="adapt"),
            st.Page(monitor.draw, title="Monitor", icon=":material/monitoring:", url_path="monitor"),
        ],
    }
    service, refusal = _service()
    if service is not None and service.settings.replica_of:
        pages = _without_writing(pages)
    page = st.navigation(pages, position="top")
    if service is None:
        draw_no_service(refusal)
        return
    st.set_page_config(page_title=service.settings.title)
    page.run()


def _without_writing(pages: Mapping[str, Sequence[StreamlitPage]]) -> dict[str, list[StreamlitPage]]:
    """Return the pages that a replica has: what the others change belongs into the writer's catalog."""
    kept = {group: [page for page in members if page.url_path in READING] for group, members in pages.items()}
    return {group: members for group, members in kept.items() if members}


def _service() -> tuple[SearchService | None, str]:
    """Return the service, or why there is none."""
    try:
        return get_service(), ""
    except ImgSearchError as error:
        return None, str(error)


main()
