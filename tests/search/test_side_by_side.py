"""Side by side: sides as texts, rank agreement, results of both sides, the page, the command."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from colour_encoder import ColourEncoder
from streamlit.testing.v1 import AppTest
from typer.testing import CliRunner

from imgsearch.app.service import SearchService
from imgsearch.cli.main import app as cli
from imgsearch.core.errors import QueryError, UnknownItem, UnknownSystem
from imgsearch.core.query import Emphasis, Query, Term
from imgsearch.core.records import Hit, SearchResult
from imgsearch.index.heads import Projection, save_head
from imgsearch.index.opening import open_live_index
from imgsearch.search.ranking.rules import Rule
from imgsearch.search.searcher import Searcher
from imgsearch.search.side_by_side import (
    Mark,
    Side,
    SideAnswer,
    SideBySide,
    describe,
    parse_side,
    rank_biased_overlap,
    search_both,
    side_of,
    title_of,
)
from imgsearch.search.systems import System, Systems
from imgsearch.store.catalog import CatalogStore

MUG = "mug/red-0.jpg"


# --- sides ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "side",
    [
        Side(),
        Side("varied"),
        Side("head:head-0001", emphasis=Emphasis(shape=0.5, pattern=1.0)),
        Side("live", emphasis=Emphasis()),
        Side("live", same_color=True, duplicates="show", diversity=0.35),
        Side("a+b.c", same_color=False, duplicates="collapse", diversity=0.0),
    ],
)
def test_a_side_round_trips_as_text(side: Side) -> None:
    assert parse_side(str(side)) == side


@pytest.mark.parametrize(
    "text",
    [
        "",
        ",shape:1",
        "live,shape:2",
        "live,shape:nan",
        "live,shape:",
        "live,size:1",
        "live,same:red",
        "live,duplicates:all",
        "live," + "diversity:0.1," * 40,
    ],
)
def test_an_invalid_side_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(QueryError, match=r"^A side (is|has) "):
        parse_side(text)


def test_a_side_overrides_only_its_own_settings() -> None:
    query = Query.of(text="mug", n=7)
    assert Side().applied(query) == query
    changed = Side(emphasis=Emphasis(color=0.5), duplicates="collapse").applied(query)
    assert (changed.emphasis.color, changed.duplicates, changed.diversity, changed.n) == (
        0.5,
        "collapse",
        0.0,
        7,
    )
    assert side_of("live", changed, query) == Side(emphasis=Emphasis(color=0.5), duplicates="collapse")
    assert side_of("live", query, query) == Side()


# --- agreement ------------------------------------------------------------------------------------------------------


def endless_overlap(first: Sequence[str], second: Sequence[str], p: float) -> float:
    """Return rank-biased overlap by its truncated series: (1 - p) * sum of p^(d-1) times the agreement at d.

    Below the shorter list its share of hits is extrapolated, below both the agreement (Webber et al., section 4.3).
    """
    short, long = sorted((first, second), key=len)
    at_short = len(set(short) & set(long[: len(short)])) / len(short)
    at_long = len(set(short) & set(long))
    end = (at_long - at_short * len(short)) / len(long) + at_short
    total = 0.0
    for depth in range(1, 3000):
        if depth > len(long):
            agreement = end
        else:
            found = len(set(short[:depth]) & set(long[:depth]))
            agreement = (found + at_short * max(depth - len(short), 0)) / depth
        total += p ** (depth - 1) * agreement
    return (1 - p) * total


def test_rank_biased_overlap_equals_the_truncated_series_of_its_definition() -> None:
    rng = random.Random(4)
    names = [str(number) for number in range(30)]
    for first_length, second_length, p in itertools.product((1, 5, 12), (3, 12, 20), (0.5, 0.9, 0.98)):
        first, second = rng.sample(names, first_length), rng.sample(names, second_length)
        measured = rank_biased_overlap(first, second, p=p)
        assert measured == pytest.approx(endless_overlap(first, second, p), abs=1e-9)
        assert measured == pytest.approx(rank_biased_overlap(second, first, p=p), abs=1e-12)


def test_rank_biased_overlap_is_one_for_equal_lists_and_weights_the_top() -> None:
    names = list("abcdefgh")
    assert rank_biased_overlap(names, names) == pytest.approx(1.0)
    assert rank_biased_overlap(names, list("ABCDEFGH")) == 0.0
    assert (rank_biased_overlap([], []), rank_biased_overlap([], names)) == (1.0, 0.0)
    low = rank_biased_overlap(names, list("abcdefhg"))
    high = rank_biased_overlap(names, list("bacdefgh"))
    assert 1.0 > low > high > 0.5


def found(
    left: Sequence[str], right: Sequence[str], *, also: dict[str, tuple[str, ...]] | None = None
) -> SideBySide:
    """Return two results with the given hits; `also` lists items collapsed into them."""

    def answer(ids: Sequence[str], side: Side) -> SideAnswer:
        hits = tuple(
            Hit(item_id, rank, 1.0, rank, "", also=(also or {}).get(item_id, ()))
            for rank, item_id in enumerate(ids, start=1)
        )
        result = SearchResult(Query.of(text="x"), hits, "test", 1, 100, {"total": 1.0}, "s")
        return SideAnswer(side, result, 1.0, 5)

    shared = len(set(left) & set(right))
    return SideBySide(
        Query.of(text="x"),
        answer(left, Side()),
        answer(right, Side("varied")),
        shared,
        shared / max(len(left), len(right), 1),
        rank_biased_overlap(left, right),
    )


@pytest.mark.parametrize(
    ("left", "right", "words"),
    [
        ("", "", "Neither side finds anything."),
        ("", "ab", "The left side finds nothing, the right one 2 photos."),
        ("abc", "abc", "Both sides show the same 3 photos in the same order."),
        (
            "abcd",
            "bcda",
            "Both sides show the same 4 photos, 4 of them in another place: the farthest goes from 1 to 4.",
        ),
        ("abc", "xyz", "No photo is on both sides."),
        ("abcd", "abxy", "2 of 4 photos are on both sides. The first 2 places are the same."),
        ("abcd", "xyza", "1 of 4 photos is on both sides. The first place differs."),
        ("abc", "ab", "2 of 3 photos are on both sides. The first 2 places are the same."),
    ],
)
def test_a_difference_is_described_in_words(left: str, right: str, words: str) -> None:
    assert found(list(left), list(right)).sentence() == words


def test_every_hit_is_marked_by_its_rank_on_the_other_side() -> None:
    both = found(["a", "b", "c", "d"], ["a", "c", "x", "e"], also={"x": ("b", "q")})
    assert both.marks("left") == [
        Mark("same", 1, 1, "a"),
        Mark("folded", 2, 3, "x"),
        Mark("moved", 3, 2, "c"),
        Mark("only", 4),
    ]
    assert [mark.kind for mark in both.marks("right")] == ["same", "moved", "only", "only"]


# --- a real catalog -------------------------------------------------------------------------------------------------


@pytest.fixture
def systems(catalog: CatalogStore) -> Iterator[Systems]:
    opened = Systems(Searcher(catalog, open_live_index(catalog), lambda: ColourEncoder()))
    opened.save(System("varied", diversity=0.9))
    yield opened
    opened.close()


def test_each_side_returns_its_standalone_result(systems: Systems) -> None:
    query = Query.of(item=MUG, n=10)
    both = search_both(systems, query, Side(), Side("varied"))
    for answer, name in ((both.left, "live"), (both.right, "varied")):
        assert answer.item_ids == tuple(hit.item_id for hit in systems.search(query, name).hits)
        assert answer.median_ms > 0
    assert 0 < both.rbo < 1
    assert both.shared == len(set(both.left.item_ids) & set(both.right.item_ids))
    assert (
        search_both(systems, query, Side(), Side(), rounds=1)
        .sentence()
        .endswith("Both have the same settings.")
    )


def test_unsaved_settings_and_heads_are_valid_sides(systems: Systems, catalog: CatalogStore) -> None:
    rng = np.random.default_rng(0)
    u, v = (rng.standard_normal((2, catalog.dim, 4)) * 0.8).astype(np.float32)
    head = save_head(catalog, Projection(np.zeros(catalog.dim, np.float32), u, v))
    side = Side(f"head:{head.id}")
    both = search_both(systems, Query.of(item=MUG, n=12), Side("head:base"), side, rounds=1)
    assert both.left.item_ids == search_both(systems, both.query, Side(), Side(), rounds=1).left.item_ids
    assert both.right.item_ids != both.left.item_ids
    assert (title_of(side), describe(side, systems)) == (head.id, "a learned head")
    varied = search_both(systems, both.query, Side(), Side(diversity=0.9), rounds=1)
    assert varied.right.item_ids != varied.left.item_ids
    assert describe(varied.right.side, systems) == "variety 0.9"


def test_emphasis_on_a_text_only_query_is_reported_as_without_effect(systems: Systems) -> None:
    both = search_both(
        systems, Query.of(text="red", n=5), Side(), Side(emphasis=Emphasis(shape=1.0)), rounds=1
    )
    assert both.sentence().endswith("count only where the search has a photo or a colour.")


def test_unknown_names_are_refused_by_name(systems: Systems) -> None:
    query = Query.of(item=MUG)
    with pytest.raises(UnknownSystem, match="no system 'nosuch'"):
        search_both(systems, query, Side(), Side("nosuch"))
    with pytest.raises(UnknownSystem, match="head-9999"):
        search_both(systems, query, Side(), Side("head:head-9999"))
    with pytest.raises(UnknownItem):
        search_both(systems, Query.of(item="gone.jpg"), Side(), Side())


# --- the page -------------------------------------------------------------------------------------------------------


def page(**params: Any) -> AppTest:
    script = "from imgsearch.ui.views import side_by_side\nside_by_side.draw()"
    app = AppTest.from_string(script, default_timeout=60)
    for name, value in params.items():
        app.query_params[name] = value
    return app.run()


def param(app: AppTest, name: str) -> str:
    value = app.query_params[name]
    return value if isinstance(value, str) else str(value[-1])


def texts(app: AppTest) -> str:
    return " ".join(str(block.proto.body) for block in app.get("html"))


def test_the_page_shows_the_agreement_of_the_sides_and_records_nothing(service: SearchService) -> None:
    app = page(item=MUG, left="live", right="live,diversity:0.9", n="12")
    assert not app.exception
    assert "photos" in texts(app)
    assert "Rank-biased overlap" in texts(app)
    service.feedback.flush()
    rows = service.catalog.database.cursor().execute("SELECT count(*) FROM impressions").fetchone()
    assert rows == (0,)


def test_choosing_setting_and_swapping_sides_updates_the_address(service: SearchService) -> None:
    service.systems.save(System("varied", diversity=0.5))
    app = page(item=MUG)
    assert [box.value for box in app.selectbox] == ["live", "varied"]
    app.selectbox[0].set_value("head:base").run()
    assert (param(app, "left"), param(app, "right")) == ("head:base", "varied")
    next(toggle for toggle in app.toggle if toggle.key == "side_by_side:right:diversity").set_value(
        True
    ).run()
    assert param(app, "right") == "varied,diversity:0.4"
    next(button for button in app.button if button.label == "Swap sides").click().run()
    assert (param(app, "left"), param(app, "right")) == ("varied,diversity:0.4", "head:base")
    assert param(app, "item") == MUG


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"left": "nosuch"}, "no system"),
        ({"right": "live,shape:7"}, "from 0 to 1"),
        ({"item": "gone.jpg"}, "no item"),
        ({"n": "many"}, "whole number"),
        ({"left": "<script>alert(1)</script>"}, "&lt;script&gt;"),
    ],
)
def test_an_invalid_address_is_explained(service: SearchService, params: dict[str, str], words: str) -> None:
    app = page(**{"item": MUG, **params})
    assert not app.exception
    assert words in texts(app)
    assert "<script>" not in texts(app)


def test_a_hidden_item_is_on_neither_side_from_the_next_run_on(service: SearchService) -> None:
    both = search_both(service.systems, Query((Term("item", MUG),), n=10), Side(), Side(), rounds=1)
    gone = both.left.item_ids[0]
    app = page(item=MUG, n="10")
    service.rules.save(Rule("hide", item_ids=(gone,)), author="me")
    app.run()
    kept = app.session_state["side_by_side:answers"][1]
    assert gone not in (*kept.left.item_ids, *kept.right.item_ids)


# --- the command ----------------------------------------------------------------------------------------------------


def test_the_command_prints_both_results_and_their_agreement(colour_catalog: Path) -> None:
    arguments = ["compare", "--catalog", str(colour_catalog), "--item", MUG, "-n", "5"]
    done = CliRunner().invoke(cli, [*arguments, "--right", "live,diversity:0.9", "--json"])
    assert done.exit_code == 0
    document = json.loads(done.stdout)
    assert [hit["rank"] for hit in document["left"]["hits"]] == [1, 2, 3, 4, 5]
    assert document["right"]["side"] == "live,diversity:0.9"
    assert 0 < document["rank_biased_overlap"] < 1
    assert document["shared"] == sum(hit["beside"] != "only" for hit in document["left"]["hits"])
    table = CliRunner().invoke(cli, arguments).stdout
    assert "Both sides show the same 5 photos in the same order." in table
    assert document["left"]["hits"][4]["item_id"] in table
    assert CliRunner().invoke(cli, ["compare", "--catalog", str(colour_catalog)]).exit_code == 2
