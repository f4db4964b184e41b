"""Import on the Catalog page: files or a feed's address, what was understood, progress, and earlier imports."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import streamlit as st

from imgsearch.app.service import SearchService
from imgsearch.core.errors import ImgSearchError
from imgsearch.ingest.import_spec import ImportSpec
from imgsearch.ui.components import blocks as ui
from imgsearch.ui.components.import_jobs import draw_earlier_imports, draw_present_imports
from imgsearch.ui.components.import_preview import draw_import_preview, import_label
from imgsearch.ui.state.callbacks import in_full
from imgsearch.ui.wording import counted

MAX_FILE_MB = 512
WAYS = {"files": "Files", "folder": "A folder", "address": "An address"}
GONE = {"keep": "stay as they are", "hide": "are hidden from visitors", "remove": "are removed"}
STAGED, STARTED = "import_staged", "import_started"


def draw_import(service: SearchService, *, actor: str) -> None:
    """Draw what to import, its preview, and all imports."""
    started = st.session_state.get(STARTED)
    if not draw_present_imports(service, current=started, again=_begin_again):
        _draw_choice(service, actor)
    draw_earlier_imports(service, current=started)


def _draw_choice(service: SearchService, actor: str) -> None:
    ui.section(
        "Import products",
        "Photos, a table or feed with your products, or both together: rows find their photos by the table's image "
        "column. Nothing changes before you press Import.",
    )
    number = st.session_state.setdefault("import_number", 0)
    way = ui.choice("From", WAYS, "import_way", default="files", label_visibility="collapsed")
    if way == "address":
        place = st.text_input(
            "Address of a feed", key=f"import_url_{number}", placeholder="https://shop.example/feed.xml"
        )
        named = {"url": place.strip()} if place.strip() else {}
    else:
        with st.container(key="import_files"):
            files = st.file_uploader(
                "Drop photos and a table here: JPEG, PNG, WebP, HEIC …, CSV, TSV, Excel, JSON, XML, Parquet, ZIP",
                accept_multiple_files="directory" if way == "folder" else True,
                max_upload_size=MAX_FILE_MB,
                key=f"import_{way}_{number}",
            )
        named = {"upload": _staged(service, files)} if files else {}
    problem = st.session_state.pop("import_problem", "")
    ui.problem(problem)
    ui.outcome("import")
    if any(named.values()):
        _draw_understood(service, named, actor)


def _staged(service: SearchService, files: Sequence[Any]) -> str:
    """Return the id under which the files are kept for the import; stores them where they are new."""
    name = tuple(sorted(file.file_id for file in files))
    known = st.session_state.get(STAGED)
    if known is not None and known[0] == name:
        return str(known[1])
    try:
        with st.spinner(f"Reading {counted(len(files), 'file', 'files')} …"):
            upload = service.imports.stage((file.name, file) for file in files)
    except ImgSearchError as error:
        st.session_state["import_problem"] = str(error)
        return ""
    st.session_state[STAGED] = name, upload
    return upload


def _draw_understood(service: SearchService, named: dict[str, Any], actor: str) -> None:
    options = _draw_options()
    try:
        spec = ImportSpec(**named, **options)
        with st.spinner("Reading …"):
            preview = _preview(service, spec)
    except ImgSearchError as error:
        ui.problem(str(error))
        return
    label = import_label(preview)
    if not label:
        ui.problem("No photo was found to import: check the image column, and add the photos that it names.")
        draw_import_preview(preview)
        return
    ui.act(
        label,
        "import_start",
        partial(_start, service, spec, actor),
        place="import",
        type="primary",
        icon="upload",
    )
    draw_import_preview(preview)


def _preview(service: SearchService, spec: ImportSpec) -> dict[str, Any]:
    """Return the preview, read once for the same files and options."""
    name = repr(spec)
    known = st.session_state.get("import_preview")
    if known is None or known[0] != name:
        known = name, service.imports.preview(spec)
        st.session_state["import_preview"] = known
    return dict(known[1])


def _draw_options() -> dict[str, Any]:
    with st.expander("Options"):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            source = st.text_input(
                "Name of this source",
                key="import_source",
                help="Importing it again updates its items.",
                width=280,
            )
            gone = ui.select("Items of this source that are no longer listed", GONE, "import_gone", width=280)
        with st.container(horizontal=True, vertical_alignment="bottom"):
            id_column = st.text_input("Column of ids", key="import_id", placeholder="recognised", width=280)
            image = st.text_input("Column of photos", key="import_image", placeholder="recognised", width=280)
    given: dict[str, Any] = {"source": source.strip(), "id_column": id_column.strip(), "gone": gone}
    if image.strip():
        given["image_columns"] = (image.strip(),)
    return {name: value for name, value in given.items() if value}


def _start(service: SearchService, spec: ImportSpec, actor: str) -> None:
    st.session_state[STARTED] = service.imports.start(spec, actor)
    st.session_state.pop(STAGED, None)


@in_full
def _begin_again() -> None:
    """Forget the files of the last import."""
    st.session_state.pop(STARTED, None)
    st.session_state["import_number"] = st.session_state.get("import_number", 0) + 1
