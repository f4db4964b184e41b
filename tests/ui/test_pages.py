"""The pages' decisions, tested without a browser: events, chips, tiles, filters, and one real run of each page."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

import imgsearch.ui.main
from imgsearch.app.service import SearchService, set_service
from imgsearch.core.config import Settings
from imgsearch.core.errors import ImageError, QueryError, UnknownItem
from imgsearch.core.query import Filter, Query, Term
from imgsearch.core.query_address import LESS_WEIGHT, MORE_WEIGHT, query_from_params, query_to_params
from imgsearch.core.records import Facet, FacetValue, Hit, Item, SearchResult
from imgsearch.search.ranking.rules import Rule
from imgsearch.ui.components.filter_panel import chosen_values, filters_of_choice, filters_of_range
from imgsearch.ui.components.gallery import caption_lines, hit_tiles, item_tiles, pass_on, relative_score
from imgsearch.ui.components.query_bar import chips, query_label, words_of
from imgsearch.ui.state.actions import PageState, apply_bar_event, apply_event, merged, with_column_filters
from imgsearch.ui.state.events import BarEvent, GalleryEvent
from imgsearch.ui.state.links import (
    PAGE_SIZE,
    START,
    Step,
    extend_past,
    extend_trail,
    link_of,
)
from imgsearch.ui.state.session import Session
from imgsearch.ui.wording import readable

RED = Term("item", "mug/red.jpg")
CHEAP = Filter("price", "<=", 20.0)


def gallery(
    action: str, item_id: str = "a.jpg", *, event_id: str = "e1", search_id: str = "s1"
) -> GalleryEvent:
    event = GalleryEvent.parse(
        {"id": event_id, "action": action, "item_id": item_id, "rank": 3, "search_id": search_id}
    )
    assert event is not None
    return event


def bar(kind: str, value: str = "", *, index: int | None = None, event_id: str = "b1") -> BarEvent:
    event = BarEvent.parse({"id": event_id, "kind": kind, "value": value, "index": index})
    assert event is not None
    return event


def no_uploads(data: bytes) -> str:
    raise AssertionError("nothing was uploaded")


def find_item(item_id: str) -> Item:
    if item_id == "gone.jpg":
        raise UnknownItem("There is no item 'gone.jpg' in the catalog.")
    return Item(item_id, 7, f"/photos/{item_id}", {"title": f"Title of {item_id}"})


# --- the gallery's events -----------------------------------------------------------------------------------------


def test_opening_a_photo_searches_by_it_only_and_keeps_the_filters() -> None:
    state = PageState(Query((Term("text", "mug"), RED), n=72, filters=(CHEAP,)))
    outcome = apply_event(state, gallery("open"))
    assert outcome.state.query == Query((Term("item", "a.jpg"),), n=PAGE_SIZE, filters=(CHEAP,))
    assert outcome.click is not None
    assert (outcome.click.item_id, outcome.click.rank, outcome.click.action) == ("a.jpg", 3, "open")


def test_an_event_is_handled_once_over_several_reruns() -> None:
    once = apply_event(PageState(Query((RED,))), gallery("more"))
    again = apply_event(once.state, gallery("more"))
    assert again.state == once.state
    assert again.click is None


def test_more_and_less_add_terms_and_can_be_switched() -> None:
    liked = apply_event(PageState(Query((RED,))), gallery("more")).state
    assert liked.query.terms == (RED, Term("item", "a.jpg", MORE_WEIGHT))
    disliked = apply_event(liked, gallery("less", event_id="e2")).state
    assert disliked.query.terms == (RED, Term("item", "a.jpg", LESS_WEIGHT))


def test_a_repeated_verdict_is_withdrawn() -> None:
    first = apply_event(PageState(Query((RED,))), gallery("good"))
    second = apply_event(first.state, gallery("good", event_id="e2"))
    third = apply_event(second.state, gallery("bad", event_id="e3"))
    assert [outcome.judged for outcome in (first, second, third)] == [
        ("a.jpg", "good"),
        ("a.jpg", "cant_tell"),
        ("a.jpg", "bad"),
    ]
    assert first.state.query == Query((RED,)), "a verdict leaves the query alone"


def test_next_requests_the_next_page_and_keeps_the_verdicts() -> None:
    state = PageState(Query((RED,), n=48, filters=(CHEAP,)), judged={"a.jpg": "good"})
    outcome = apply_event(state, gallery("next", ""))
    assert outcome.state.query == Query((RED,), n=72, filters=(CHEAP,))
    assert outcome.state.judged == state.judged
    assert outcome.click is None


def test_saving_a_hit_records_one_click_and_keeps_the_search() -> None:
    state = PageState(Query((RED,), n=48, filters=(CHEAP,)))
    outcome = apply_event(state, gallery("save"))
    assert (outcome.state.query, outcome.state.saving) == (state.query, "a.jpg")
    assert outcome.click is not None
    assert outcome.click.action == "save"
    assert apply_event(outcome.state, gallery("good", event_id="e2")).state.saving is None


def test_a_photo_of_the_start_screen_is_no_click_on_a_hit() -> None:
    assert apply_event(PageState(Query(())), gallery("open", search_id="")).click is None


def test_components_pass_every_event_on_in_order() -> None:
    seen: list[Any] = []
    pass_on([{"id": "1"}, {"id": "2"}], seen.append)
    pass_on(None, seen.append)
    assert seen == [{"id": "1"}, {"id": "2"}]


@pytest.mark.parametrize(
    "raw",
    [
        None,
        "open",
        {},
        {"id": "1", "action": "delete", "item_id": "a"},
        {"id": "", "action": "open", "item_id": "a"},
        {"id": "1", "action": "open", "item_id": 5},
        {"id": "1", "action": "open", "item_id": "a", "rank": -1},
        {"id": "1", "action": "open", "item_id": "a", "rank": "first"},
    ],
)
def test_malformed_events_are_dropped(raw: Any) -> None:
    assert GalleryEvent.parse(raw) is None
    assert BarEvent.parse(raw) is None


# --- the query bar's events ---------------------------------------------------------------------------------------


def test_a_text_starts_a_new_search_and_refining_adds_to_it() -> None:
    state = PageState(Query((RED,), n=48, filters=(CHEAP,)))
    fresh = apply_bar_event(state, bar("text", "blue lamp"), keep_upload=no_uploads)
    assert fresh.query == Query((Term("text", "blue lamp"),), n=PAGE_SIZE, filters=(CHEAP,))
    refined = apply_bar_event(state, bar("refine", "but blue"), keep_upload=no_uploads)
    assert refined.query.terms == (RED, Term("text", "but blue"))


def test_an_uploaded_image_is_stored_and_searched_by_id() -> None:
    kept: list[bytes] = []

    def keep(data: bytes) -> str:
        kept.append(data)
        return "0" * 32

    event = bar("picture", base64.b64encode(b"picture").decode())
    state = apply_bar_event(PageState(Query((RED,))), event, keep_upload=keep)
    assert kept == [b"picture"]
    assert state.query.terms == (Term("upload", "0" * 32),)


@pytest.mark.parametrize("text", ["not base64!", ""])
def test_a_damaged_upload_is_refused(text: str) -> None:
    with pytest.raises(ImageError):
        apply_bar_event(PageState(Query(())), bar("picture", text), keep_upload=no_uploads)


def test_chips_are_removed_one_by_one_and_the_rest_is_a_valid_query() -> None:
    less = Term("item", "a.jpg", LESS_WEIGHT)
    state = PageState(Query((RED, less), filters=(CHEAP, Filter("colour", "=", "red"))))
    only_less = apply_bar_event(state, bar("remove", index=0), keep_upload=no_uploads)
    assert only_less.query.terms == (), "nothing but 'less like this' asks for nothing"
    without = apply_bar_event(state, bar("remove", "price<=20"), keep_upload=no_uploads)
    assert without.query.filters == (Filter("colour", "=", "red"),)
    assert apply_bar_event(state, bar("clear"), keep_upload=no_uploads).query == START


def test_the_trail_returns_to_a_search_by_its_address() -> None:
    query = Query((RED, Term("text", "blue")), n=PAGE_SIZE, filters=(CHEAP,))
    state = apply_bar_event(PageState(Query(())), bar("go", link_of(query)), keep_upload=no_uploads)
    assert link_of(state.query) == link_of(query)
    with pytest.raises(QueryError):
        apply_bar_event(PageState(Query(())), bar("go", "upload=nonsense"), keep_upload=no_uploads)


def test_undo_reverts_every_kind_of_change_one_by_one() -> None:
    session = Session("visitor", seed=0)
    red, both = Query((RED,), n=PAGE_SIZE), Query((RED, Term("text", "blue")), n=PAGE_SIZE, filters=(CHEAP,))
    for query in (
        START,
        red,
        red,
        both,
        START,
    ):  # a repeated rendering is no step; the last one is "Clear all"
        session.past = extend_past(session.past, link_of(query))
    asked = []
    for _ in range(4):
        session.undo("e")
        assert session.requested is not None
        asked.append(link_of(session.requested))
        session.past = extend_past(session.past, link_of(session.requested))
        session.requested = None if len(asked) < 3 else session.requested
    assert asked == [link_of(both), link_of(red), link_of(START), link_of(START)]


def test_undo_reverts_a_change_that_is_not_rendered_yet() -> None:
    session = Session("visitor", seed=0, past=("", link_of(Query((RED,), n=PAGE_SIZE))))
    session.request(Query((RED, Term("text", "blue")), n=PAGE_SIZE))
    session.undo("e")
    assert session.requested is not None
    assert session.requested.terms == (RED,)
    session.undo("e")
    assert session.requested.terms == ()


def test_a_repeated_event_searches_again_unless_a_newer_request_exists() -> None:
    session = Session("visitor", seed=0)
    first = gallery("open", event_id="first")
    session.handled = ("first",)
    session.request(Query((RED,)), "first")
    session.requested = None  # written to the address bar, possibly not yet received by the browser
    assert not session.accepts(first)
    assert session.requested == Query((RED,))
    session.request(START, "second")
    assert not session.accepts(first)
    assert session.requested == START


def test_a_change_from_an_older_rendering_keeps_newer_changes() -> None:
    drawn = replace(START, terms=(RED,), filters=(CHEAP,), n=48)
    latest = replace(drawn, filters=(CHEAP, Filter("colour", "=", "red")), diversity=0.4)
    lamps = Filter("category", "=", "lamp")
    found = merged(latest, drawn, with_column_filters(drawn, "category", (lamps,)))
    assert found == replace(latest, filters=(*latest.filters, lamps), n=PAGE_SIZE)
    assert merged(latest, drawn, replace(drawn, filters=())).filters == (Filter("colour", "=", "red"),)
    for name in ("color", "shape"):
        latest = merged(latest, drawn, replace(drawn, emphasis=replace(drawn.emphasis, **{name: 0.5})))
    assert tuple(latest.emphasis) == (0.5, 0.5, 0.0)
    assert merged(drawn, drawn, START) == START


def test_two_widget_changes_before_a_rerun_both_apply() -> None:
    session = Session("v", seed=1)
    session.shown = drawn = replace(START, terms=(RED,))
    session.revise(drawn, replace(drawn, same_color=True))
    session.revise(drawn, replace(drawn, diversity=0.4))
    assert session.requested == replace(drawn, same_color=True, diversity=0.4)
    session.written(session.requested)
    session.shown = replace(drawn, same_color=True, diversity=0.4)  # a rendering that was interrupted
    session.revise(drawn, replace(drawn, duplicates="show"))
    assert session.requested == replace(session.shown, duplicates="show")


def test_the_undo_history_is_bounded() -> None:
    past: tuple[str, ...] = ()
    for number in range(500):
        past = extend_past(past, str(number))
    assert len(past) == 50
    assert past[-1] == "499"


def test_the_trail_is_truncated_at_a_repeated_search() -> None:
    steps = [Step(name, name) for name in ("", "a", "b", "a", "c")]
    trail: tuple[Step, ...] = ()
    for step in steps:
        trail = extend_trail(trail, step)
    assert [step.to for step in trail] == ["", "a", "c"]
    for number in range(50):
        trail = extend_trail(trail, Step(str(number), ""))
    assert len(trail) == 12


# --- chips, tiles, captions ----------------------------------------------------------------------------------------


def test_every_term_and_filter_becomes_a_chip_also_a_missing_one() -> None:
    query = Query(
        (
            Term("text", "red <b>mug</b>"),
            Term("upload", "0" * 32),
            Term("item", "a.jpg", MORE_WEIGHT),
            Term("item", "gone.jpg", LESS_WEIGHT),
        ),
        filters=(CHEAP, Filter("colour", "in", ("red", "blue"))),
    )
    drawn = chips(query, find_item)
    assert [chip["kind"] for chip in drawn] == ["text", "upload", "item", "item", "filter", "filter"]
    assert [chip["label"] for chip in drawn[2:]] == [
        "Title of a.jpg",
        "gone.jpg",
        "price to 20",
        "colour: red, blue",
    ]
    assert [chip["index"] for chip in drawn[:4]] == [0, 1, 2, 3]


def test_searches_have_short_names_and_the_bar_shows_plain_words_only() -> None:
    assert query_label(Query(()), find_item) == "Start"
    assert query_label(Query((Term("item", "a.jpg"), RED)), find_item) == "Title of a.jpg +1"
    assert words_of(Query((Term("text", "mug"),))) == "mug"
    assert words_of(Query((Term("text", "mug"), RED))) == ""


def result(scores: list[float], offset: int = 0) -> SearchResult:
    hits = tuple(
        Hit(f"{offset + n}.jpg", offset + n + 1, score, n + 1, "", {}) for n, score in enumerate(scores)
    )
    return SearchResult(Query((RED,)), hits, "lite", 1, 100, {"total": 1.0}, f"search-{offset}")


def test_scores_are_drawn_relative_to_the_best_of_the_whole_list() -> None:
    tiles = hit_tiles([result([0.8, 0.4]), result([0.2, -0.1], offset=2)], {"1.jpg": "good"})
    assert [tile["share"] for tile in tiles] == [1.0, 0.5, 0.25, 0.0]
    assert [tile["rank"] for tile in tiles] == [1, 2, 3, 4]
    assert [tile["search_id"] for tile in tiles] == ["search-0", "search-0", "search-2", "search-2"]
    assert [tile["judged"] for tile in tiles] == ["", "good", "", ""]
    assert "0.400" in tiles[1]["score_text"]


def test_a_list_without_positive_scores_still_has_a_best_hit() -> None:
    assert relative_score(-0.1, -0.1) == 1.0
    assert relative_score(-0.3, -0.1) == 0.0


def test_captions_show_price_and_text_but_no_identifiers() -> None:
    metadata = {
        "title": "Red mug",
        "product_id": "A-17",
        "colour": "red",
        "url": "https://shop.example/1",
        "brand": "Oak & Sons",
        "price": 12.5,
        "sizes": None,
        "sku": "x9",
    }
    assert caption_lines(metadata, "Red mug") == ["12.50", "Oak & Sons"]
    assert caption_lines({}) == []
    assert [readable(value) for value in (None, float("nan"), True, 3.0, " a ")] == ["", "", "yes", "3", "a"]


def test_item_tiles_have_no_score() -> None:
    tile = item_tiles([find_item("a b.jpg")])[0]
    assert tile["share"] is None
    assert tile["thumb"].startswith("/thumbnails/a%20b.jpg?")


# --- filters --------------------------------------------------------------------------------------------------------


def test_widgets_and_the_address_bar_show_the_same_filters() -> None:
    query = with_column_filters(Query((RED,), n=72), "colour", filters_of_choice("colour", ["red", "blue"]))
    assert query.n == PAGE_SIZE
    again = query_from_params(query_to_params(query, default_n=PAGE_SIZE), default_n=PAGE_SIZE)
    assert chosen_values(again, "colour") == ["red", "blue"]
    one = with_column_filters(again, "Colour", filters_of_choice("colour", ["red"]))
    assert one.filters == (Filter("colour", "=", "red"),)
    assert with_column_filters(one, "colour", ()).filters == ()


def test_a_range_at_its_bounds_filters_nothing() -> None:
    assert filters_of_range("price", 0.0, 100.0, (0.0, 100.0)) == ()
    assert filters_of_range("price", 10.0, 100.0, (0.0, 100.0)) == (Filter("price", ">=", 10.0),)


# --- the pages over a real service ----------------------------------------------------------------------------------


def page(params: dict[str, Any] | None = None) -> AppTest:
    app = AppTest.from_file(imgsearch.ui.main.__file__, default_timeout=60)
    for name, value in (params or {}).items():
        app.query_params[name] = value
    return app.run()


def texts(app: AppTest) -> str:
    return " ".join(str(block.proto.body) for block in app.get("html"))


def test_the_start_screen_renders_without_an_error(service: SearchService) -> None:
    app = page()
    assert not app.exception
    assert "Find it by how it looks" in texts(app)
    assert {button.label for button in app.button} >= {"Shuffle"}


def test_a_link_to_a_search_records_its_impressions_once(service: SearchService) -> None:
    app = page({"item": "mug/red-0.jpg"})
    app.run()
    app.run()
    assert not app.exception
    service.feedback.flush()
    rows = service.catalog.database.cursor().execute("SELECT count(*) FROM impressions").fetchone()
    assert rows == (PAGE_SIZE,)


@pytest.mark.parametrize(
    "params",
    [
        {"item": "nothing.jpg"},
        {"upload": "x"},
        {"filter": "nowhere=1"},
        {"filter": "???"},
        {"n": "many", "item": "a"},
    ],
)
def test_an_unanswerable_link_is_explained(service: SearchService, params: dict[str, str]) -> None:
    app = page(params)
    assert not app.exception
    assert "That did not work" in texts(app)
    assert "Traceback" not in texts(app)


def test_the_next_hits_are_requested_from_the_end_of_the_list(service: SearchService) -> None:
    session = Session("v", seed=0)
    query = Query((Term("item", "mug/red-0.jpg"),), n=10)
    first = session.results(service, query)
    both = session.results(service, replace(query, n=25))
    assert both[0] is first[0]
    whole = service.search(replace(query, n=25), record=False)
    assert [hit for pages in both for hit in pages.hits] == list(whole.hits)
    everything = session.results(service, replace(query, n=500))
    assert sum(len(pages.hits) for pages in everything) == 47
    assert session.results(service, replace(query, n=500)) == everything


def test_another_way_of_showing_hits_and_another_rule_are_new_searches(service: SearchService) -> None:
    session = Session("visitor", seed=0)
    query = Query((Term("item", "mug/red-0.jpg"),), n=6, duplicates="collapse")

    def shown(query: Query) -> list[str]:
        return [hit.item_id for page in session.results(service, query) for hit in page.hits]

    usual = shown(query)
    assert shown(replace(query, diversity=0.9)) != usual
    service.rules.save(Rule("hide", item_ids=(usual[0],)), author="me")
    assert usual[0] not in shown(query)


def test_a_missing_catalog_is_explained_with_the_command_that_creates_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("IMGSEARCH_CATALOG", str(tmp_path / "none"))
    set_service(None)
    app = page()
    assert not app.exception
    assert "cannot be opened" in texts(app)
    assert "imgsearch index" in app.code[0].value


def test_an_empty_catalog_explains_the_first_step(tmp_path: Path) -> None:
    from imgsearch.store.catalog import CatalogStore

    CatalogStore.open(tmp_path / "empty", create=True).close()
    opened = SearchService.open(Settings.load({}, catalog=tmp_path / "empty"))
    set_service(opened)
    try:
        app = page()
        assert not app.exception
        assert "No photos yet" in texts(app)
    finally:
        set_service(None)
        opened.close()


def test_facets_of_one_value_offer_no_choice() -> None:
    from imgsearch.ui.components.filter_panel import is_useful

    assert not is_useful(Facet("colour", "choice", (FacetValue("red", 3),)))
    assert not is_useful(Facet("price", "range", low=3.0, high=3.0))
    assert not is_useful(Facet("price", "range"))
    assert is_useful(Facet("price", "range", low=1.0, high=3.0))
    assert not is_useful(Facet("product_id", "text"))
    assert is_useful(Facet("title", "text"))
