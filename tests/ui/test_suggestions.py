"""Suggestions on the page: chip labels, the query after acceptance, and searches of misspelt texts."""

from __future__ import annotations

from pathlib import Path

import pytest
from samples import relabelled

from imgsearch.core.query import Filter, Query, Term
from imgsearch.encoders import Encoder
from imgsearch.search.words.filter_suggestions import Suggestion
from imgsearch.search.words.word_help import WordHelp, text_of, with_text
from imgsearch.store.catalog import CatalogStore
from imgsearch.ui.components.suggestions import accepted, all_accepted, suggestion_label
from imgsearch.ui.state.links import PAGE_SIZE


@pytest.mark.parametrize(
    ("filters", "label"),
    [
        ([Filter("colour", "=", "red")], "Colour: red"),
        ([Filter("frame_colour", "in", ("red", "blue"))], "Frame colour: red or blue"),
        ([Filter("in_stock", "=", True)], "In stock"),
        ([Filter("price", "<", 50.0)], "Price under 50"),
        ([Filter("price", "<=", 49.5)], "Price up to 49.50"),
        ([Filter("price", ">", 1000.0)], "Price over 1,000"),
        ([Filter("price", ">=", 20.0)], "Price from 20"),
        ([Filter("price", ">=", 20.0), Filter("price", "<=", 40.0)], "Price 20 to 40"),
        ([Filter("size", "=", 42.0)], "Size: 42"),
    ],
)
def test_a_chip_describes_its_filter_in_words(filters: list[Filter], label: str) -> None:
    assert suggestion_label(Suggestion(tuple(filters), "", "")) == label


def test_an_accepted_suggestion_replaces_its_words_and_the_columns_filters() -> None:
    query = Query(
        (Term("item", "a.jpg"), Term("text", "red mug under 50")),
        n=96,
        filters=(Filter("Price", ">", "80"), Filter("colour", "=", "red")),
    )
    found = Suggestion((Filter("price", "<", 50.0),), "under 50", "red mug")
    result = accepted(query, found)
    assert result.terms == (Term("item", "a.jpg"), Term("text", "red mug"))
    assert list(map(str, result.filters)) == ["colour=red", "price<50"]
    assert result.n == PAGE_SIZE
    nothing_left = accepted(query, Suggestion(found.filters, "", ""))
    assert nothing_left.terms == (Term("item", "a.jpg"),)


def test_only_queries_with_one_positive_text_get_suggestions() -> None:
    assert text_of(Query((Term("text", "mug"), Term("text", "stripes", -0.5)))) == "mug"
    assert text_of(Query((Term("text", "mug"), Term("text", "cup")))) == ""
    assert text_of(Query.of(item="a.jpg")) == ""
    assert with_text(Query((Term("text", "mug", 0.5),)), "cup").terms == (Term("text", "cup", 0.5),)


@pytest.fixture
def words(catalog: CatalogStore, lite: Encoder) -> WordHelp:
    return WordHelp(catalog, lambda: lite)


def test_all_suggestions_are_accepted_at_once(words: WordHelp) -> None:
    result = all_accepted(Query.of(text="nice red mug between 10 and 30 in stock"), words.suggestions)
    assert text_of(result) == "nice"
    assert list(map(str, result.filters)) == [
        *("colour=red", "category=mug", "price>=10", "price<=30", "in_stock=true"),
    ]
    assert words.suggestions(result) == ()
    only_filters = all_accepted(Query.of(text="red mugs under 30"), words.suggestions)
    assert text_of(only_filters) in ("red", "mugs", "red mugs")


def test_an_unknown_text_is_searched_with_its_correction_unless_declined(
    words: WordHelp,
) -> None:
    assert text_of(words.searched(Query.of(text="mugg"))) == "mug"
    assert text_of(words.searched(Query.of(text="red mugg"))) == "red mugg"
    assert words.searched(Query.of(item="mug/red-0.jpg")) == Query.of(item="mug/red-0.jpg")
    insisted = Query((Term("text", "mugg"),), spelling="keep")
    assert words.searched(insisted) == insisted


def test_vocabulary_is_reloaded_when_the_catalog_changes(catalog: CatalogStore, words: WordHelp) -> None:
    query = Query.of(text="turquoise zorblaxer")
    assert words.suggestions(query) == ()
    assert words.correction(Query.of(text="zorblaxr")) is None
    item = catalog.get("mug/red-0.jpg")
    row = {**item.metadata, "colour": "turquoise", "title": "Zorblaxer"}
    catalog.update_metadata([relabelled(item.item_id, row)])
    assert [str(*found.filters) for found in words.suggestions(query)] == ["colour=turquoise"]
    correction = words.correction(Query.of(text="zorblaxr"))
    assert correction is not None
    assert correction.text == "zorblaxer"


def test_nothing_is_corrected_while_the_encoder_is_loading(catalog: CatalogStore) -> None:
    words = WordHelp(catalog, lambda: None)
    assert words.correction(Query.of(text="mugg")) is None
    assert words.suggestions(Query.of(text="red mugg"))


def test_the_catalog_page_shows_the_state_of_titles(lite_catalog: Path) -> None:
    from imgsearch.app.service import SearchService
    from imgsearch.core.config import Settings

    service = SearchService.open(Settings(catalog=lite_catalog))
    try:
        service.engine.encoder.get()
        assert service.engine.titles.wait(60)
        assert "titles" in service.engine.titles.state.sentence
    finally:
        service.close()
