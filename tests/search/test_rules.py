"""Rules: hidden items never appear, pins and boosts move hits, every change is logged and can be undone."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from colour_encoder import ColourEncoder
from streamlit.testing.v1 import AppTest
from typer.testing import CliRunner

from imgsearch.app.service import SearchService
from imgsearch.cli.main import app as cli
from imgsearch.core.config import Settings
from imgsearch.core.errors import FilterError, QueryError, UnknownItem
from imgsearch.core.filter_grammar import parse_filters
from imgsearch.core.query import Filter, Query
from imgsearch.index.opening import open_live_index
from imgsearch.search.ranking.rules import Rule, Rules
from imgsearch.search.searcher import Searcher
from imgsearch.store.catalog import CatalogStore

MUG = "mug/red-0.jpg"
TODAY = datetime.now(UTC).date()


@pytest.fixture
def searcher(catalog: CatalogStore, colours: ColourEncoder) -> Searcher:
    return Searcher(catalog, open_live_index(catalog), lambda: colours)


def hits(searcher: Searcher, **parts: object) -> list[str]:
    return [hit.item_id for hit in searcher.search(Query.of(n=48, **parts)).hits]  # type: ignore[arg-type]


def test_hidden_items_never_appear_and_are_replaced_by_others(
    catalog: CatalogStore, searcher: Searcher
) -> None:
    before = hits(searcher, item=MUG)
    rules = searcher.rules
    by_id = rules.save(Rule("hide", (before[0],)), author="Ann")
    by_filter = rules.save(Rule("hide", filters=parse_filters(["category=lamp"])), author="Ann")
    hidden = {item.item_id for item in rules.matching(by_filter, limit=100)[1]} | {before[0]}
    assert len(hidden) > 1
    result = searcher.search(Query.of(item=MUG, n=48))
    assert [hit.item_id for hit in result.hits] == [one for one in before if one not in hidden]
    assert result.matching == len(before) - len(hidden - {MUG})
    rules.switch(by_id.rule_id, on=False, author="Ann")
    rules.switch(by_filter.rule_id, on=False, author="Ann")
    assert hits(searcher, item=MUG) == before


def test_a_pin_applies_to_its_words_only_and_never_to_hidden_items(
    catalog: CatalogStore, searcher: Searcher
) -> None:
    last = hits(searcher, text="red")[-1]
    rules = searcher.rules
    rules.save(Rule("pin", (last,), when_text="Red"), author="Ann")
    assert hits(searcher, text="a red thing")[0] == last
    assert hits(searcher, text="blue")[0] != last
    assert len(hits(searcher, text="red")) == len(set(hits(searcher, text="red"))) == 48
    rules.save(Rule("hide", (last,)), author="Ann")
    assert last not in hits(searcher, text="red")


def test_a_boost_moves_items_up_and_a_negative_one_down(catalog: CatalogStore, searcher: Searcher) -> None:
    rules = searcher.rules
    before = hits(searcher, item=MUG)
    target = before[24]
    rule = rules.save(Rule("boost", (target,), amount=2.0), author="Ann")
    assert hits(searcher, item=MUG).index(target) < 24
    rules.save(replace(rule, amount=-2.0), author="Ann")
    assert hits(searcher, item=MUG).index(target) > 24
    assert sorted(hits(searcher, item=MUG)) == sorted(before)


def test_a_rule_is_active_from_its_first_to_its_last_day(catalog: CatalogStore) -> None:
    rules, day = Rules(catalog), timedelta(days=1)
    for starts, ends, holds in (
        (TODAY, TODAY, True),
        (TODAY + day, None, False),
        (None, TODAY - day, False),
        (TODAY - day, None, True),
    ):
        rule = rules.save(Rule("hide", (MUG,), starts_on=starts, ends_on=ends), author="Ann")
        assert (len(rules.hidden_keys()) == 1) is holds
        rules.switch(rule.rule_id, on=False, author="Ann")


def test_every_change_is_logged_and_can_be_undone(colour_catalog: Path) -> None:
    with CatalogStore.open(colour_catalog) as catalog:
        rules = Rules(catalog)
        rule = rules.save(Rule("boost", (MUG,), amount=1.0), author="Ann")
        rules.save(replace(rule, amount=2.5), author="Bob")
        rules.undo(rule.rule_id, author="Ann")
    with CatalogStore.open(colour_catalog) as catalog:
        rules = Rules(catalog)
        assert rules.get(rule.rule_id) == rule
        assert [(one.act, one.author, one.rule.amount) for one in rules.history(rule.rule_id)] == [
            ("undo", "Ann", 1.0),
            ("change", "Bob", 2.5),
            ("add", "Ann", 1.0),
        ]
        other = rules.save(Rule("hide", (MUG,)), author="Ann")
        assert rules.undo(other.rule_id, author="Ann").enabled is False


@pytest.mark.parametrize(
    ("rule", "error"),
    [
        (Rule("hide"), QueryError),
        (Rule("hide", ("nosuch.jpg",)), UnknownItem),
        (Rule("hide", filters=parse_filters(["nosuch=1"])), FilterError),
        (Rule("hide", (MUG,), when_text="red"), QueryError),
        (Rule("boost", (MUG,)), QueryError),
        (Rule("boost", (MUG,), amount=float("nan")), QueryError),
        (Rule("pin", (MUG,), when_text="x" * 300), QueryError),
        (Rule("pin", (MUG,), starts_on=TODAY, ends_on=TODAY - timedelta(days=1)), QueryError),
        (Rule("hide", (MUG,), rule_id=99), QueryError),
    ],
)
def test_an_invalid_rule_changes_nothing(catalog: CatalogStore, rule: Rule, error: type[Exception]) -> None:
    with pytest.raises(error):
        Rules(catalog).save(rule, author="Ann")
    assert Rules(catalog).history() == []


# --- the service and the pages ------------------------------------------------------------------------------------


@pytest.fixture
def service_settings(colour_catalog: Path) -> Settings:
    return Settings.load({}, catalog=colour_catalog, find_duplicates=False)


def draw_rules() -> None:
    from imgsearch.ui.views import rules

    rules.draw()


def draw_duplicates() -> None:
    from imgsearch.ui.views import duplicates

    duplicates.draw()


def texts(app: AppTest) -> str:
    assert not app.exception
    return " ".join(str(block.proto.body) for block in app.get("html"))


def test_facet_counts_exclude_hidden_items_like_searches_do(
    service: SearchService,
) -> None:
    before = {facet.column: facet for facet in service.facets()}
    service.rules.save(Rule("hide", filters=parse_filters(["colour=red"])), author="me")
    service.rules.save(Rule("hide", item_ids=("mug/blue-0.jpg",)), author="me")
    facets = {facet.column: facet for facet in service.facets()}
    assert "red" not in {each.value for each in facets["colour"].values}
    assert "red" in {each.value for each in before["colour"].values}
    for column in ("colour", "category"):
        for each in facets[column].values:
            filters = (Filter(column, "=", each.value),)
            result = service.search(Query.of(item=MUG, n=1, filters=filters), record=False)
            assert result.matching == each.count == service.count(filters)
    red = parse_filters(["colour=red"])
    assert {facet.column: facet for facet in service.facets(red)}["category"].values == ()
    assert service.count(red) == 0
    assert service.count() == service.search(Query.of(item=MUG, n=1), record=False).matching


def test_hidden_items_are_not_among_the_samples(service: SearchService) -> None:
    service.rules.save(Rule("hide", filters=parse_filters(["category!=mug"])), author="Ann")
    assert {item.item_id.split("/")[0] for item in service.sample(48, seed=1)} == {"mug"}


def test_a_rule_created_on_the_page_is_active_and_can_be_undone_there(service: SearchService) -> None:
    app = AppTest.from_function(draw_rules, default_timeout=60).run()
    assert "No rules yet" in texts(app)
    app.button(key="add_rule").click().run()
    assert "The rule names no items" in texts(app)
    app.text_area(key="rule_filters_0").set_value("category=<b>").run()
    assert "Matches no item in this catalog" in texts(app)
    app.button(key="add_rule").click().run()
    assert service.rules.all() == ()
    app.text_area(key="rule_filters_0").set_value("category=mug")
    app.button(key="add_rule").click().run()  # one click, which also blurs the field
    assert "Hide category=mug" in texts(app)
    assert len(service.rules.hidden_keys()) > 0
    app.button(key="undo_1").click().run()
    assert len(service.rules.hidden_keys()) == 0
    assert "<b>" not in texts(app).replace("<b>b</b>", "")


def test_a_rule_is_edited_and_given_conditions_on_the_page(service: SearchService) -> None:
    first = service.rules.save(Rule("hide", filters=parse_filters(["category=mug"])), author="Ann")
    app = AppTest.from_function(draw_rules, default_timeout=60).run()
    app.button(key="edit_1").click().run()
    assert app.text_area(key="rule_filters_of_1").value == "category=mug"
    app.segmented_control(key="rule_action_of_1").set_value("boost").run()
    app.text_area(key="rule_filters_of_1").set_value("category=mug\nprice<40").run()
    app.text_area(key="rule_when_filters_of_1").set_value("nosuch=1").run()
    assert "There is no column" in texts(app)
    app.button(key="save_rule").click().run()
    assert "There is no column" in texts(app)
    assert service.rules.get(1) == first, "what makes no sense is not kept, and the form stays open"
    app.text_area(key="rule_when_filters_of_1").set_value("colour=red").run()
    app.text_input(key="rule_note_of_1").set_value("<i>for Ann</i>").run()
    app.button(key="save_rule").click().run()
    changed = service.rules.get(1)
    assert changed.action == "boost"
    assert changed.filters == parse_filters(["category=mug", "price<40"])
    assert changed.when_filters == parse_filters(["colour=red"])
    assert "<i>for Ann" not in texts(app)
    assert [one.act for one in service.rules.history(1)] == ["change", "add"]
    app.button(key="undo_1").click().run()
    assert service.rules.get(1) == first
    app.button(key="edit_1").click().run()
    app.button(key="cancel_rule").click().run()
    assert service.rules.get(1) == first


def test_a_rule_with_a_filter_condition_applies_to_searches_with_that_filter(
    catalog: CatalogStore, searcher: Searcher
) -> None:
    last = hits(searcher, item=MUG)[-1]
    colour = last.split("/")[1].split("-")[0]
    searcher.rules.save(Rule("pin", (last,), when_filters=parse_filters([f"colour={colour}"])), author="Ann")
    assert hits(searcher, item=MUG)[0] != last
    filtered = parse_filters([f"colour={colour}", "price>0"])
    assert hits(searcher, item=MUG, filters=parse_filters([f"colour={colour}"]))[0] == last
    assert hits(searcher, item="lamp/green-0.jpg", filters=filtered)[0] == last


def test_the_command_line_edits_rules_like_the_page(colour_catalog: Path) -> None:
    def run(*arguments: str) -> dict[str, object]:
        place = ["--catalog", str(colour_catalog), "--json"]
        done = CliRunner().invoke(cli, ["rules", *arguments, *place])
        assert done.exit_code == 0, done.output
        answer: dict[str, object] = json.loads(done.stdout)
        return answer

    preview = run("hide", "--filter", "category=mug", "--dry-run")
    assert preview["hits"] == 12
    assert run("list")["rules"] == []
    made = run("boost", "1.5", "--filter", "category=mug", "--when", "red", "--note", "for Ann")
    assert (made["rule"], made["when"], made["note"]) == (1, "red", "for Ann")
    changed = run("change", "1", "--always", "--amount", "2", "--until", "2031-01-31")
    assert (changed["when"], changed["amount"], changed["until"]) == ("", 2.0, "2031-01-31")
    assert changed["filters"] == ["category=mug"]
    assert run("off", "1")["on"] is False
    assert run("on", "1")["on"] is True
    assert run("undo", "1")["on"] is False
    with CatalogStore.open(colour_catalog) as catalog:
        assert [one.act for one in Rules(catalog).history(1)] == ["undo", "on", "off", "change", "add"]


def test_the_duplicates_page_explains_the_first_step(service: SearchService) -> None:
    app = AppTest.from_function(draw_duplicates, default_timeout=60).run()
    assert "No search for duplicates yet" in texts(app)
    app.button(key="find_duplicates").click().run()
    service.duplicate_search.close()
    assert service.duplicate_search.job is not None
