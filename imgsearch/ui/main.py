"""The entry of the pages: title, look and navigation. `imgsearch.asgi` names this file to `st.App`.

It owns nothing else; the pages are functions of the modules beside it (no `pages/` folder, which Streamlit would
discover by itself).
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from imgsearch.errors import ImgSearchError
from imgsearch.service import get_service
from imgsearch.ui import (
    adaptation_page,
    catalog_page,
    collections_page,
    duplicates_page,
    experiments_page,
    explore_page,
    judge_page,
    monitor_page,
    quality_page,
    rules_page,
    search_page,
)
from imgsearch.ui.messages import draw_no_service

ASSETS = Path(__file__).parent / "assets"


def main() -> None:
    """Draw the page that the address names."""
    st.set_page_config(page_title="imgsearch", page_icon=str(ASSETS / "icon.svg"), layout="wide")
    st.logo(str(ASSETS / "logo.svg"), icon_image=str(ASSETS / "icon.svg"), size="large")
    st.html(f"<style>{(ASSETS / 'page.css').read_text(encoding='utf-8')}</style>")
    pages = {
        "": [
            st.Page(search_page.draw, title="Search", icon=":material/search:", default=True),
            st.Page(explore_page.draw, title="Explore", icon=":material/scatter_plot:", url_path="explore"),
            st.Page(
                collections_page.draw,
                title="Collections",
                icon=":material/bookmarks:",
                url_path="collections",
            ),
            st.Page(catalog_page.draw, title="Catalog", icon=":material/grid_view:", url_path="catalog"),
        ],
        "Merchandise": [
            st.Page(
                duplicates_page.draw,
                title="Duplicates",
                icon=":material/difference:",
                url_path="duplicates",
            ),
            st.Page(rules_page.draw, title="Rules", icon=":material/rule:", url_path="rules"),
        ],
        "Improve": [
            st.Page(judge_page.draw, title="Judge", icon=":material/thumbs_up_down:", url_path="judge"),
            st.Page(quality_page.draw, title="Quality", icon=":material/verified:", url_path="quality"),
            st.Page(
                experiments_page.draw, title="Experiments", icon=":material/science:", url_path="experiments"
            ),
            st.Page(adaptation_page.draw, title="Adapt", icon=":material/model_training:", url_path="adapt"),
            st.Page(monitor_page.draw, title="Monitor", icon=":material/monitoring:", url_path="monitor"),
        ],
    }
    page = st.navigation(pages, position="top")
    try:
        service = get_service()
    except ImgSearchError as error:
        draw_no_service(str(error))
        return
    st.set_page_config(page_title=service.settings.title)
    page.run()


main()
