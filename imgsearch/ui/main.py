"""The entry of the pages: title, style and navigation. `imgsearch.app.asgi` names this file to `st.App`.

The pages are in `views/`: Streamlit would register the files of a folder `pages/` by itself.
"""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from imgsearch.app.service import SearchService, get_service
from imgsearch.core.base_path import HEADER, forwarded_base_path, use_base_path
from imgsearch.core.errors import ImgSearchError
from imgsearch.ui.components import blocks as ui
from imgsearch.ui.markup import ASSETS, draw_style
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

READ_ONLY = frozenset({"", "explore", "catalog", "side-by-side"})
"""The addresses of the pages that a replica has: the other pages write to the catalog."""


def main() -> None:
    """Draw the page that the address names."""
    st.set_page_config(page_title="imgsearch", page_icon=str(ASSETS / "icon.svg"), layout="wide")
    st.logo(str(ASSETS / "logo.svg"), icon_image=str(ASSETS / "icon.svg"), size="large")
    draw_style("page.css")
    service, problem = _service()
    default = service.settings.base_path if service is not None else ""
    use_base_path(forwarded_base_path(st.context.headers.get(HEADER), default))
    pages = _pages()
    if service is not None and service.settings.replica_of:
        kept = {
            group: [page for page in found if page.url_path in READ_ONLY] for group, found in pages.items()
        }
        pages = {group: found for group, found in kept.items() if found}
    page = st.navigation(pages, position="top")
    if service is None:
        ui.no_service(problem)
        return
    st.set_page_config(page_title=service.settings.title)
    page.run()


def _pages() -> dict[str, list[StreamlitPage]]:
    first = st.Page(search.draw, title="Search", icon=":material/search:", default=True)
    return {
        "": [
            first,
            _page("Explore", explore.draw, "scatter_plot"),
            _page("Collections", collections.draw, "bookmarks"),
            _page("Catalog", catalog.draw, "grid_view"),
        ],
        "Merchandise": [
            _page("Duplicates", duplicates.draw, "difference"),
            _page("Rules", rules.draw, "rule"),
            side_by_side.page(),
        ],
        "Improve": [
            _page("Judge", judge.draw, "thumbs_up_down"),
            _page("Quality", quality.draw, "verified"),
            _page("Experiments", experiments.draw, "science"),
            _page("Adapt", adapt.draw, "model_training"),
            _page("Monitor", monitor.draw, "monitoring"),
        ],
    }


def _page(title: str, draw: Callable[[], None], icon: str) -> StreamlitPage:
    return st.Page(draw, title=title, icon=f":material/{icon}:", url_path=title.lower())


def _service() -> tuple[SearchService | None, str]:
    try:
        return get_service(), ""
    except ImgSearchError as error:
        return None, str(error)


main()
