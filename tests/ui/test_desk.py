"""The Catalog page's decisions: typed values, columns, events, bulks with undo, the preview in words."""

from __future__ import annotations

from contextlib import closing
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from imgsearch.app.bulk_edits import Targets
from imgsearch.app.service import SearchService, set_service
from imgsearch.core.column_values import ColumnKind
from imgsearch.core.config import Settings
from imgsearch.core.errors import QueryError
from imgsearch.core.query import Query
from imgsearch.store.change_groups import change_ids, latest_groups
from imgsearch.ui.components.import_preview import import_label, products_of, shown_feed
from imgsearch.ui.components.item_table import table_columns
from imgsearch.ui.state.desk import DeskSession, collect_finished, described_change, handle_desk_event
from imgsearch.ui.state.desk_events import DeskEvent
from imgsearch.ui.state.desk_values import typed_cells

MUG = "mug/red-0.jpg"


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("text", " 007 ", " 007 "),
        ("number", "12,5", 12.5),
        ("number", " -3 ", -3.0),
        ("boolean", "yes", True),
        ("boolean", "false", False),
        ("date", "2026-11-29", date(2026, 11, 29)),
        ("list", "red, green ,", ["red", "green"]),
    ],
)
def test_what_is_typed_becomes_a_value_of_the_columns_kind(kind: ColumnKind, text: str, value: Any) -> None:
    assert typed_cells("c", kind, text) == {"c": value}


def test_a_price_sets_its_currency_only_where_it_names_one() -> None:
    assert typed_cells("price", "price", "19,99 €") == {"price": Decimal("19.99"), "price_currency": "EUR"}
    assert typed_cells("price", "price", "5") == {"price": Decimal("5")}
    assert typed_cells("price", "price", " ") == {"price": None, "price_currency": None}


@pytest.mark.parametrize("kind", ["number", "price", "boolean", "date", "datetime", "time"])
def test_what_is_no_value_of_the_kind_is_refused_with_a_sentence(kind: ColumnKind) -> None:
    with pytest.raises(QueryError, match=r"“maybe later” is not .*"):
        typed_cells("c", kind, "maybe later")


def test_the_table_shows_prices_first_and_currencies_with_them() -> None:
    columns: dict[str, ColumnKind] = {
        "view": "number",
        "sku": "text",
        "name": "text",
        "colour": "text",
        "price": "price",
        "price_currency": "text",
    }
    shown = table_columns(columns, "name", may_edit=True)
    assert [column["name"] for column in shown] == [
        "name",
        "price",
        "sku",
        "colour",
        "view",
        "@item_id",
        "@updated_at",
    ]
    assert [column["name"] for column in shown if column["first"]] == ["price", "colour", "view"]
    assert shown[0]["title"]
    assert not any(column["editable"] for column in table_columns(columns, "name", may_edit=False))
    numbers = table_columns({"price": "number", "price_currency": "text"}, "", may_edit=True)
    assert [(column["name"], column["kind"]) for column in numbers[1:2]] == [("price", "price")]
    untitled = table_columns({"price": "number"}, "", may_edit=True)
    assert (untitled[0]["sort"], untitled[0]["editable"]) == ("title", False)


# --- events -------------------------------------------------------------------------------------------------------


def send(service: SearchService, desk: DeskSession, *, may_edit: bool = True, **event: Any) -> dict[str, Any]:
    """Send an event and return its outcome."""
    name = f"e{len(desk.handled)}"
    handle_desk_event(service, desk, {"id": name, **event}, actor="Mia", may_edit=may_edit)
    return next((outcome for outcome in desk.outcomes if outcome["event"] == name), {})


def test_an_edit_is_stored_once_told_and_can_be_undone(service: SearchService) -> None:
    desk = DeskSession()
    before = service.catalog.get(MUG).metadata["price"]
    event = {"id": "e0", "kind": "edit", "item_id": MUG, "column": "price", "value": "3,25"}
    for _ in range(2):
        handle_desk_event(service, desk, event, actor="Mia", may_edit=True)
    assert service.catalog.get(MUG).metadata["price"] == 3.25
    (outcome,) = desk.outcomes
    assert outcome["done"].startswith("Price of")
    assert len(service.items.history(MUG, limit=10)) == 2, "the import and one edit"
    assert send(service, desk, kind="undo", token=outcome["undo"])["done"] == "Undone: 1 item."
    assert service.catalog.get(MUG).metadata["price"] == before
    assert "nothing left to undo" in send(service, desk, kind="undo", token=outcome["undo"])["problem"]


def test_an_edit_of_an_item_that_someone_else_has_changed_is_refused(service: SearchService) -> None:
    desk = DeskSession()
    seen = f'"r{service.catalog.get(MUG).revision}"'
    edit = {"kind": "edit", "item_id": MUG, "column": "title"}
    assert not send(service, DeskSession(), **edit, value="Theirs")["problem"]
    assert "Someone else" in send(service, desk, **edit, value="Mine", etag=seen)["problem"]
    assert service.catalog.get(MUG).title == "Theirs"


def test_edits_in_a_row_of_one_person_are_no_conflict(service: SearchService) -> None:
    """The second and third leave the browser before it has loaded the item again."""
    desk = DeskSession()
    seen = f'"r{service.catalog.get(MUG).revision}"'
    edit = {"kind": "edit", "item_id": MUG, "column": "title", "etag": seen}
    for title in ("One", "Two", "Three"):
        assert not send(service, desk, **edit, value=title)["problem"]
        assert service.catalog.get(MUG).title == title
    assert not send(service, DeskSession(), kind="edit", item_id=MUG, column="title", value="Theirs")[
        "problem"
    ]
    assert "Someone else" in send(service, desk, **edit, value="Four")["problem"]
    assert service.catalog.get(MUG).title == "Theirs"


def test_deleted_items_leave_the_search_and_come_back_with_undo(service: SearchService) -> None:
    desk = DeskSession()
    mugs = service.listing.page(search="mug/", limit=100)
    told = send(service, desk, kind="delete", all=True, search="mug/", ids=[MUG])
    assert told["done"] == f"{mugs.total - 1} items deleted."
    assert told["cleared"]
    assert service.listing.page(search="mug/").total == 1
    assert not [
        hit for hit in service.search(Query.of(item=MUG, n=40)).hits if hit.item_id.startswith("mug/")
    ]
    send(service, desk, kind="undo", token=told["undo"])
    again = service.listing.page(search="mug/", limit=100)
    assert {item.item_id for item in again.items} == {item.item_id for item in mugs.items}


def test_a_column_of_the_selected_items_is_set_and_cleared(service: SearchService) -> None:
    desk = DeskSession()
    ids = [MUG, "ring/blue-1.jpg"]
    send(service, desk, kind="bulk_edit", ids=ids, column="colour", value="mint")
    assert [item.metadata["colour"] for item in service.catalog.get_many(ids)] == ["mint", "mint"]
    assert (
        "2 items changed" in send(service, desk, kind="bulk_edit", ids=ids, column="colour", value="")["done"]
    )
    assert ["colour" in item.metadata for item in service.catalog.get_many(ids)] == [False, False]
    assert send(service, desk, kind="bulk_edit", ids=ids, column="price", value="x")["problem"].startswith(
        "“x” is not"
    )


def test_a_page_that_may_not_edit_changes_nothing_but_shows_histories(service: SearchService) -> None:
    desk = DeskSession()
    for kind in ("edit", "bulk_edit", "delete", "reread", "undo"):
        event = {"kind": kind, "item_id": MUG, "ids": [MUG], "column": "title", "value": "x", "changes": [1]}
        assert "cannot be changed" in send(service, desk, may_edit=False, **event)["problem"]
    assert service.catalog.get(MUG).title != "x"
    send(service, desk, may_edit=False, kind="history", item_id=MUG)
    assert desk.history is not None
    assert desk.history["item_id"] == MUG
    assert len(desk.history["changes"]) == 1


def test_malformed_events_are_ignored(service: SearchService) -> None:
    desk = DeskSession()
    for raw in (
        None,
        [],
        {},
        {"id": "x", "kind": "drop"},
        {"id": "x", "kind": "edit"},
        {"id": "x", "kind": "delete", "ids": "a"},
    ):
        handle_desk_event(service, desk, raw, actor="Mia", may_edit=True)
    assert desk.handled == ()
    assert DeskEvent.parse({"id": "x", "kind": "delete", "ids": ["a"] * 100_001}) is None


def test_many_items_are_changed_by_a_job_whose_end_is_told(
    service: SearchService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imgsearch.app.bulk_edits.AT_ONCE", 10)
    desk = DeskSession()
    told = send(service, desk, kind="delete", all=True)
    assert (told["done"], told["cleared"]) == ("", True)
    assert service.bulk.jobs.wait(30)
    collect_finished(service, desk)
    assert desk.outcomes[-1]["done"] == "48 items deleted."
    assert (len(service.catalog), desk.watched) == (0, [])
    send(service, desk, kind="undo", token=desk.outcomes[-1]["undo"])
    assert service.bulk.jobs.wait(30)
    collect_finished(service, desk)
    assert desk.outcomes[-1]["done"] == "Undone: 48 items."
    assert len(service.catalog) == 48


def test_reading_an_unchanged_photo_again_changes_nothing(service: SearchService) -> None:
    before = service.catalog.get(MUG)
    assert send(service, DeskSession(), kind="reread", ids=[MUG])["done"] == "1 had no new photo."
    assert service.catalog.get(MUG) == before
    assert service.bulk.start("reread", Targets(), actor="Mia").items == 0


@pytest.mark.parametrize("local", [True, False])
def test_a_page_that_other_machines_reach_is_read_only_and_says_why(
    colour_catalog: Path, local: bool
) -> None:
    settings = Settings.load({}, catalog=colour_catalog, local_only=local)
    with closing(SearchService.open(settings)) as service:
        set_service(service)
        try:
            page = AppTest.from_string(
                "from imgsearch.ui.views import catalog\ncatalog.draw()\n", default_timeout=60
            )
            page.run()
        finally:
            set_service(None)
    assert not page.exception
    (views,) = page.button_group
    assert views.options == (["Items", "Import", "Changes", "About"] if local else ["Items", "About"])
    assert ("read-only" in "".join(html.proto.body for html in page.get("html"))) is not local


@pytest.mark.parametrize("local", [True, False])
def test_other_machines_see_no_folders_of_the_server(colour_catalog: Path, local: bool) -> None:
    settings = Settings.load({}, catalog=colour_catalog, local_only=local)
    with closing(SearchService.open(settings)) as service:
        set_service(service)
        try:
            page = AppTest.from_string(
                "from imgsearch.ui.views import catalog\ncatalog.draw()\n", default_timeout=60
            )
            page.query_params["view"] = "about"
            page.run()
        finally:
            set_service(None)
    shown = "".join(html.proto.body for html in page.get("html"))
    assert "Model and index" in shown
    assert (str(colour_catalog) in shown, str(colour_catalog.parent) in shown) == (local, local)


# --- history ------------------------------------------------------------------------------------------------------


def test_an_items_history_says_who_changed_what(service: SearchService) -> None:
    send(service, DeskSession(), kind="edit", item_id=MUG, column="price", value="3.25")
    shown = [described_change(change) for change in service.items.history(MUG, limit=10)]
    assert (shown[0]["kind"], shown[0]["who"]) == ("patch", "Mia")
    assert [(line["label"], line["after"]) for line in shown[0]["lines"]] == [("Price", "3.25")]
    assert shown[0]["when"].startswith("today ")


def test_changes_in_a_row_are_one_entry_that_can_be_undone(service: SearchService) -> None:
    desk = DeskSession()
    send(service, desk, kind="delete", ids=[MUG, "ring/blue-1.jpg"])
    send(service, desk, kind="edit", item_id="lamp/red-1.jpg", column="price", value="9")
    edited, deleted, imported = latest_groups(service.catalog.database)
    assert (edited.kind, edited.changes, edited.item_ids) == ("patch", 1, ("lamp/red-1.jpg",))
    assert (deleted.kind, deleted.changes, deleted.actor) == ("delete", 2, "Mia")
    assert (imported.kind, imported.changes) == ("add", 48)
    service.bulk.undo_changes(change_ids(service.catalog.database, deleted), actor="Mia")
    assert len(service.catalog) == 48


def test_the_list_of_changes_says_what_an_undo_has_done(colour_catalog: Path) -> None:
    """A change stays where its item has changed again since."""
    settings = Settings.load({}, catalog=colour_catalog, local_only=True)
    edit = {"kind": "edit", "item_id": MUG, "column": "title"}
    with closing(SearchService.open(settings)) as service:
        for person in ("Mia", "Noor"):
            event = {"id": person, **edit, "value": f"{person}'s"}
            handle_desk_event(service, DeskSession(), event, actor=person, may_edit=True)
        page = AppTest.from_string(
            "from imgsearch.ui.views import catalog\ncatalog.draw()\n", default_timeout=60
        )
        page.query_params["view"] = "changes"
        set_service(service)
        try:
            page.run()
            shown = _html(page)
            first, second = (page.button[place].key for place in (1, 0))
            page.button(first).click().run()
            refused = _html(page)
            page.button(second).click().run()
        finally:
            set_service(None)
        assert "48 items added" in shown
        assert "48 items: they leave the catalog." in shown
        assert "1 not:" in refused
        assert "Undone: 1 item." in _html(page)
        assert service.catalog.get(MUG).title == "Mia's"


def _html(page: AppTest) -> str:
    return "".join(html.proto.body for html in page.get("html")) + "".join(
        part.value for part in [*page.success, *page.error, *page.markdown]
    )


# --- import -------------------------------------------------------------------------------------------------------


def test_a_preview_is_shown_in_words_without_the_servers_folders() -> None:
    feed = {
        "name": "/srv/catalog/imports/0f/plates.csv",
        "format": "manifest",
        "file_format": "CSV with semicolons",
        "encoding": "windows-1252",
        "separator": ";",
        "columns": [
            {"name": "image", "kind": "text", "mapped_to": "photo", "exceptions": 0, "currency": "", "reasons": {}},
            {"name": "Preis", "kind": "price", "mapped_to": "price", "exceptions": 2, "currency": "EUR",
             "reasons": {"is not a price": 2}},
        ],
        "rows": 31,
        "products": 31,
        "photos": 30,
        "rows_without_photo": 1,
        "failed": 1,
        "failures": [{"path": "/srv/catalog/imports/0f/gone.jpg", "reason": "There is no such file."}],
        "samples": [{"id": "1", "image": "/srv/catalog/imports/0f/1.jpg", "metadata": {"price": 19.9}}],
        "notes": [],
    }  # fmt: skip
    shown = shown_feed(feed)
    assert "/srv" not in str(shown)
    assert (shown["name"], shown["words"]) == (
        "plates.csv",
        "A table of photos · CSV with semicolons · windows-1252",
    )
    assert shown["columns"][1] == {
        "name": "Preis",
        "kind": "price (EUR)",
        "exceptions": "2 values left out: 2 is not a price",
        "becomes": "price",
        "examples": "19.9",
    }
    assert [(value, label) for label, value, _ in shown["figures"]][2:4] == [
        ("30", "photos found"),
        ("1", "row without a photo"),
    ]
    assert products_of({"feeds": [feed], "photos": 2}) == 32
    assert import_label({"feeds": [feed], "photos": 2, "items": 0}) == "Import 32 photos"


def test_a_table_of_prices_alone_can_be_imported() -> None:
    assert import_label({"feeds": [], "photos": 0, "items": 2}) == "Change 2 items"
    assert import_label({"feeds": [], "photos": 0, "items": 0}) == ""
