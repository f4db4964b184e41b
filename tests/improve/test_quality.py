"""Comparing, storing and exporting evaluations, robustness, sources of judgments, background jobs, and the page."""

from __future__ import annotations

import csv
import io
import json
import math
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from colour_encoder import ColourEncoder
from samples import clustered
from streamlit.testing.v1 import AppTest
from typer.testing import CliRunner

import imgsearch.ui.main
from imgsearch.app.service import SearchService
from imgsearch.cli.main import app as cli_app
from imgsearch.core.background import JobRunner, Progress
from imgsearch.core.errors import EvaluationError, JobRunning, SourceError, UnknownSystem
from imgsearch.core.query import Query
from imgsearch.core.query_address import query_key
from imgsearch.core.records import Item, Judgment
from imgsearch.improve.judging.judging import Judging
from imgsearch.improve.judging.qrels import count_votes, topics_from_qrels
from imgsearch.improve.judging.topics import Topic
from imgsearch.improve.quality.comparison import compare, randomisation_p_value
from imgsearch.improve.quality.evaluation import EvaluationReport, RatedHit, evaluate
from imgsearch.improve.quality.ground_truth import GroundTruth, judgment_sources, uploaded
from imgsearch.improve.quality.measures import MeasureResult, measure_run, parse_measures
from imgsearch.improve.quality.measuring import Quality
from imgsearch.improve.quality.rendering import ItemDisplay, report_csv, report_page, rows_of, standalone_html
from imgsearch.improve.quality.reports import Reports, check_comparable, judgments_digest, run_of
from imgsearch.improve.quality.robustness import (
    SELF_FIRST,
    TRANSFORMATIONS,
    RobustnessScore,
    check_robustness,
    wilson_interval,
)
from imgsearch.index.opening import open_live_index
from imgsearch.search.searcher import Searcher
from imgsearch.search.systems import System, Systems
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.feedback import FeedbackLog
from imgsearch.store.originals import Originals

NOON = datetime(2026, 5, 1, 12)
NO_PICTURES = ItemDisplay(title=lambda item_id: item_id, source=lambda item_id: "", link=lambda topic: "")


@pytest.fixture
def systems(catalog: CatalogStore, colours: ColourEncoder) -> Iterator[Systems]:
    opened = Systems(Searcher(catalog, open_live_index(catalog), lambda: colours))
    opened.save(System("diverse", diversity=0.7))
    yield opened
    opened.close()


@pytest.fixture
def quality(catalog: CatalogStore, systems: Systems) -> Iterator[Quality]:
    feedback, originals = FeedbackLog(catalog.database), Originals()
    made = Quality(
        catalog, systems, feedback, Judging(catalog, feedback), lambda item: originals.read(item.location)
    )
    yield made
    made.close()
    feedback.close()
    originals.close()


def by_colour(catalog: CatalogStore) -> GroundTruth:
    """Return judgments of twelve item queries; items of the query's colour are relevant."""
    items = list(catalog.iter_items())
    qrels = {
        query.item_id: {
            item.item_id: int(item.metadata["colour"] == query.metadata["colour"])
            for item in items
            if item is not query
        }
        for query in items[::4]
    }
    return GroundTruth("by colour", qrels, tuple(topics_from_qrels(qrels, catalog)))


def made_report(values: dict[str, float], *, measure: str = "nDCG@10", **changes: Any) -> EvaluationReport:
    """Return a report of one measure with these values by query."""
    mean = sum(values.values()) / len(values)
    report = EvaluationReport(
        measures=(MeasureResult(measure, mean, mean, mean, len(values)),),
        per_query={query_id: {measure: value} for query_id, value in values.items()},
        skipped={},
        unknown_items=0,
        warnings=(),
        encoder="test",
        items=3,
        seconds=0.5,
        topics={query_id: Topic(query_id, "text", query_id) for query_id in values},
        hits={query_id: (RatedHit("a.jpg", 1, 1), RatedHit("b.jpg", 2, None)) for query_id in values},
    )
    return replace(report, **changes)


# --- measures against ir-measures ---------------------------------------------------------------------------------


def test_measures_of_a_random_run_equal_ir_measures() -> None:
    import ir_measures
    from ir_measures import AP, RR, Judged, P, R, Success, nDCG

    chance = random.Random(11)
    items = [f"d{number}" for number in range(80)]
    qrels = {
        f"q{n}": {item: chance.choice([0, 0, 1, 2]) for item in chance.sample(items, 40)} for n in range(50)
    }
    run = {query: chance.sample(items, 60) for query in qrels}
    ours = measure_run(qrels, run, parse_measures("nDCG@10 P@5 R@20 AP RR Success@3"))
    scored = {query: {item: 1.0 / rank for rank, item in enumerate(row, 1)} for query, row in run.items()}
    theirs = ir_measures.iter_calc(
        [nDCG @ 10, P @ 5, R @ 20, AP, RR, Success @ 3, Judged @ 10], qrels, scored
    )
    count = 0
    for metric in theirs:
        assert ours[metric.query_id][str(metric.measure)] == pytest.approx(metric.value, abs=1e-9)
        count += 1
    assert count == 50 * 7


def test_complete_judgments_change_no_measure_and_leave_no_hit_unjudged(
    catalog: CatalogStore, systems: Systems
) -> None:
    truth = by_colour(catalog)
    only_good = {
        query: {item: 1 for item, level in row.items() if level} for query, row in truth.qrels.items()
    }
    plain, complete = (
        evaluate(systems.search, catalog, only_good, truth.topics, "nDCG@10 AP P@3 Judged@20", complete=known)
        for known in (False, True)
    )
    by_name = {result.measure: result.mean for result in complete.measures}
    assert by_name["Judged@20"] == by_name["Judged@10"] == 1.0
    assert complete.warnings == ()
    assert all(hit.relevance is not None for hits in complete.hits.values() for hit in hits)
    for query, values in plain.per_query.items():
        for name in ("nDCG@10", "AP", "P@3"):
            assert complete.per_query[query][name] == values[name]


# --- comparing ----------------------------------------------------------------------------------------------------


def test_the_randomisation_test_counts_every_sign_flip_of_a_small_example() -> None:
    # Of the 8 sign patterns of (1, 2, 3), only +++ and --- have an absolute sum of 6.
    assert randomisation_p_value(np.array([1.0, 2.0, 3.0])) == pytest.approx(2 / 8)
    assert randomisation_p_value(np.array([1.0, 2.0, 3.0, 0.0, 0.0])) == pytest.approx(2 / 8)
    assert randomisation_p_value(np.zeros(5)) == 1.0
    assert randomisation_p_value(np.array([0.5])) == 1.0


@pytest.mark.parametrize("count", [9, 60, 400])
def test_the_randomisation_test_agrees_with_a_count_of_random_sign_flips(count: int) -> None:
    rng = np.random.default_rng(count)
    values = rng.normal(0.05, 0.3, count)
    flipped = rng.choice([-1.0, 1.0], (20_000, count)) @ values
    share = (np.abs(flipped) >= abs(values.sum())).mean()
    assert randomisation_p_value(values) == pytest.approx(share, abs=0.02)


def test_the_randomisation_test_is_deterministic_per_seed() -> None:
    values = np.random.default_rng(5).normal(0.02, 0.3, 80)
    assert randomisation_p_value(values, seed=3) == randomisation_p_value(values, seed=3)
    assert len({randomisation_p_value(values, seed=seed) for seed in range(5)}) > 1
    assert randomisation_p_value(np.full(80, 0.1)) == 0.0002, "the smallest p-value of 9,999 flips, two-sided"


def test_equal_systems_differ_significantly_no_more_often_than_the_level() -> None:
    rng = np.random.default_rng(3)
    false_alarms = sum(randomisation_p_value(rng.normal(0, 1, 30), seed=n) < 0.05 for n in range(200))
    assert false_alarms <= 20  # 10 are expected; 20 has a chance of one in 600


def test_wins_losses_ties_and_the_greatest_loss_first() -> None:
    first = {
        "a": {"AP": 0.5},
        "b": {"AP": 0.5},
        "c": {"AP": 0.2},
        "d": {"AP": 0.9},
        "only first": {"AP": 1.0},
    }
    second = {"a": {"AP": 0.7}, "b": {"AP": 0.5}, "c": {"AP": 0.1}, "d": {"AP": 0.4}}
    (found,) = compare(first, second)
    assert (found.wins, found.losses, found.ties, found.queries) == (1, 2, 1, 4)
    assert list(found.deltas) == ["d", "c", "b", "a"]
    assert found.difference == pytest.approx(-0.1)
    assert found.low <= found.difference <= found.high
    assert found.second - found.first == pytest.approx(found.difference)
    assert "No significant difference" in found.sentence("A", "B")


def test_a_clear_difference_is_reported_with_its_direction() -> None:
    rng = np.random.default_rng(0)
    first = {f"q{n}": {"AP": float(value)} for n, value in enumerate(rng.uniform(0, 0.5, 50))}
    second = {query: {"AP": values["AP"] + 0.1} for query, values in first.items()}
    (better,) = compare(first, second)
    (worse,) = compare(second, first)
    assert better.significant
    assert better.sentence("A", "B").startswith("B is better than A by 0.1000 in AP over 50 queries")
    assert worse.sentence("B", "A").startswith("A is worse than B")
    (equal,) = compare(first, first)
    assert equal.p_value == 1.0
    assert "equal" in equal.sentence("A", "A again")


def test_incomparable_systems_raise_a_one_sentence_error() -> None:
    with pytest.raises(EvaluationError, match="different queries"):
        compare({"a": {"AP": 1.0}}, {"b": {"AP": 1.0}})
    with pytest.raises(EvaluationError, match="any measure"):
        compare({"a": {"AP": 1.0}}, {"a": {"RR": 1.0}})
    with pytest.raises(EvaluationError, match="R@5"):
        compare({"a": {"AP": 1.0}}, {"a": {"AP": 1.0}}, ["R@5"])


# --- storage ------------------------------------------------------------------------------------------------------


def test_a_stored_report_is_the_same_after_a_restart(colour_catalog: Path) -> None:
    report = made_report(
        {"it's; DROP TABLE items --": 0.25, "é🙂": 1.0},
        skipped={"gone": "There is no item 'gone'.", "no topic": "It has judgments, but no topic."},
        topics={
            "it's; DROP TABLE items --": Topic("it's; DROP TABLE items --", "text", "x"),
            "é🙂": Topic("é🙂", "item", "a"),
            "gone": Topic("gone", "item", "gone"),
        },
        warnings=("Only 3% were judged.",),
        unknown_items=4,
        hits={"it's; DROP TABLE items --": (RatedHit("a", 1, -1), RatedHit("b", 2, None)), "é🙂": ()},
    )
    with CatalogStore.open(colour_catalog) as catalog:
        run = run_of(report, name=" my \n name ", system="live", judgments="j", digest="d")
        Reports(catalog.database).save(run, report)
    with CatalogStore.open(colour_catalog) as catalog:
        kept = Reports(catalog.database)
        assert kept.all() == [run]
        assert kept.get(run.run_id[:4]) == run
        assert kept.report(run) == report
        assert run.title == "my name"


def test_reports_stored_by_an_earlier_version_are_read(catalog: CatalogStore) -> None:
    change = {"change": "mirrored", "mean": 0.7, "low": 0.6, "high": 0.8, "photos": 2}
    checked = {
        "scores": [change],
        "score": 0.7,
        "neighbours": 10,
        "seed": 3,
        "encoder": "e",
        "lost": ["a.jpg"],
    }
    document = json.dumps(checked | {"unreadable": {"b.jpg": "Gone."}, "warnings": ["One."]})
    with catalog.database.transaction() as cursor:
        for table, *values in (
            ("evaluation_runs", "r1", NOON, "", "live", "by hand", "d", "e", 3, 1, 0.5, '["Few."]'),
            ("evaluation_measures", "r1", 0, "AP", 0.5, 0.4, 0.6, 1),
            ("evaluation_queries", "r1", 0, "q", "text", "red", ""),
            ("evaluation_queries", "r1", 1, "gone", "", "", "It has no topic."),
            ("evaluation_values", "r1", 0, 0, 0.5),
            ("evaluation_hits", "r1", 0, 1, "a.jpg", 1),
            ("evaluation_hits", "r1", 0, 2, "b.jpg", None),
            ("robustness_runs", "r2", NOON, "live", "e", document),
        ):
            cursor.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(values))})", values)
    kept = Reports(catalog.database)
    (run,) = kept.all()
    report = kept.report(run)
    assert (run.happened_at, run.warnings, run.measures) == (
        NOON,
        ("Few.",),
        (MeasureResult("AP", 0.5, 0.4, 0.6, 1),),
    )
    assert report.per_query == {"q": {"AP": 0.5}}
    assert report.skipped == {"gone": "It has no topic."}
    assert report.topics == {"q": Topic("q", "text", "red")}
    assert report.hits == {"q": (RatedHit("a.jpg", 1, 1), RatedHit("b.jpg", 2, None))}
    stored = kept.latest_robustness()
    assert stored is not None
    assert stored.report.scores == (
        RobustnessScore(change="mirrored", mean=0.7, low=0.6, high=0.8, photos=2),
    )
    assert (stored.report.lost, stored.report.warnings) == (("a.jpg",), ("One.",))


def test_runs_are_listed_newest_first_and_by_their_judgments(catalog: CatalogStore) -> None:
    kept = Reports(catalog.database)
    report = made_report({"a": 0.5})
    runs = [run_of(report, system="live", judgments="j", digest=digest) for digest in ("x", "y", "x")]
    for run in runs:
        kept.save(run, report)
    assert kept.all() == runs[::-1]
    assert kept.all(digest="x") == [runs[2], runs[0]]
    assert json.dumps([run.as_dict() for run in kept.all()])
    with pytest.raises(EvaluationError, match="different judgments"):
        check_comparable(runs[0], runs[1])
    for unknown in ("", "zzzz", "' OR 1=1"):
        with pytest.raises(EvaluationError, match="no stored report"):
            kept.get(unknown)


def test_the_same_judgments_have_the_same_digest_in_any_order() -> None:
    topics = [Topic("a", "text", "x"), Topic("b", "text", "y")]
    one = judgments_digest({"a": {"i": 1, "j": 0}, "b": {"i": 0}}, topics)
    assert judgments_digest({"b": {"i": 0}, "a": {"j": 0, "i": 1}}, topics[::-1]) == one
    assert judgments_digest({"a": {"i": 1, "j": 1}, "b": {"i": 0}}, topics) != one
    assert (
        judgments_digest({"a": {"i": 1, "j": 0}, "b": {"i": 0}}, [topics[0], Topic("b", "text", "z")]) != one
    )


def test_systems_are_measured_on_the_same_queries_and_stored_all_or_none(
    quality: Quality, catalog: CatalogStore
) -> None:
    truth = by_colour(catalog)
    seen: list[tuple[int, int]] = []
    live, diverse = quality.measure(
        truth, ["live", "diverse"], "nDCG@10", progress=lambda *at: seen.append(at)
    )
    assert seen[-1] == (24, 24)
    assert seen == sorted(seen)
    assert [run.system for run in quality.reports.all()] == ["diverse", "live"]
    (ndcg, _) = quality.compare(live, diverse)
    assert ndcg.queries == 12
    assert ndcg.difference == pytest.approx(diverse.measures[0].mean - live.measures[0].mean)
    assert ndcg.wins + ndcg.losses > 0
    with pytest.raises(UnknownSystem):
        quality.measure(truth, ["live", "nosuch"])
    assert len(quality.reports.all()) == 2


# --- files --------------------------------------------------------------------------------------------------------

HOSTILE = "<script>alert(1)</script>\"'&"


class Tags(HTMLParser):
    """Collects the tags and addresses of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]


def test_an_exported_page_escapes_user_text_and_loads_no_resources() -> None:
    report = made_report({HOSTILE: 0.5}, skipped={HOSTILE + "2": HOSTILE}, warnings=(HOSTILE,))
    run = run_of(report, name=HOSTILE, system="live", judgments=HOSTILE, digest="d")
    pictures = ItemDisplay(title=lambda item_id: HOSTILE, source=lambda item_id: "", link=lambda topic: "")
    compared = compare(report.per_query, report.per_query)
    for page in (
        report_page(run, report, pictures),
        report_page(run, report, pictures, other=(run, report, compared)),
    ):
        assert "script" not in Tags(page).tags
        assert Tags(page).addresses == []
        assert "&lt;script&gt;" in page


def test_an_exported_page_contains_its_pictures(
    quality: Quality, catalog: CatalogStore, photos: Path
) -> None:
    (run,) = quality.measure(by_colour(catalog), ["live"], "P@3")
    report = quality.reports.report(run)

    def thumbnail(item: Item) -> bytes:
        if item.item_id.startswith("mug"):
            raise SourceError("The file is no longer there.")
        return b"picture of " + item.item_id.encode()

    found = Tags(standalone_html(run, report, catalog, thumbnail))
    assert found.addresses
    assert all(address.startswith("data:image/webp;base64,") for address in found.addresses)


def test_csv_has_one_row_per_query_and_no_formulas() -> None:
    report = made_report({"=1+1": 0.5, "b": 0.25}, skipped={"@c": "It has no judgments."})
    run = run_of(report, system="live", judgments="j", digest="d")
    rows = list(csv.reader(io.StringIO(report_csv(run, report, made_report({"b": 1.0})))))
    assert rows == [
        ["query_id", "kind", "query", "nDCG@10", "other nDCG@10", "left_out"],
        ["'=1+1", "text", "'=1+1", "0.5", "", ""],
        ["b", "text", "b", "0.25", "1.0", ""],
        ["'@c", "", "", "", "", "It has no judgments."],
    ]


def test_rows_are_sorted_worst_first_or_by_change() -> None:
    now, before = made_report({"a": 0.5, "b": 0.1, "c": 0.9}), made_report({"a": 0.1, "b": 0.2, "c": 0.9})

    def order(how: str) -> list[str]:
        return [row.topic.query_id for row in rows_of(now, "nDCG@10", other=before, order=how)]

    assert [order(how) for how in ("worst", "best", "lost", "gained")] == [
        ["b", "a", "c"],
        ["c", "a", "b"],
        ["b", "c", "a"],
        ["a", "c", "b"],
    ]


# --- sources of judgments ------------------------------------------------------------------------------------------


def test_recorded_judgments_are_a_source(quality: Quality, catalog: CatalogStore) -> None:
    assert quality.sources() == []
    feedback = FeedbackLog(catalog.database)
    for item_id, verdict in (("mug/red-1.jpg", "good"), ("mug/blue-1.jpg", "bad")):
        feedback.record_judgment(Judgment("item=mug%2Fred-0.jpg", item_id, verdict, 'o\'hara "x"'))  # type: ignore[arg-type]
    feedback.close()
    (source,) = quality.sources()
    truth = source.load()
    assert truth.qrels == {"item=mug%2Fred-0.jpg": {"mug/blue-1.jpg": 0, "mug/red-1.jpg": 1}}
    assert truth.topics == (Topic("item=mug%2Fred-0.jpg", "item", "mug/red-0.jpg"),)
    (run,) = quality.measure(truth, ["live"])
    assert run.measures[0].queries == 1


def test_a_source_without_good_or_bad_verdicts_is_refused_when_it_is_read(catalog: CatalogStore) -> None:
    feedback = FeedbackLog(catalog.database)
    feedback.record_judgment(Judgment("text=x", "mug/red-1.jpg", "cant_tell", "l"))
    (source,) = judgment_sources(catalog, feedback, Judging(catalog, feedback))
    with pytest.raises(EvaluationError, match="nothing was judged good or bad"):
        source.load()
    feedback.close()


def test_uploaded_files_are_parsed_and_their_errors_reported(catalog: CatalogStore) -> None:
    truth = uploaded(b"mug/red-0.jpg 0 mug/red-1.jpg 1\n", "a.trec", None, "", catalog)
    assert truth.topics == (Topic("mug/red-0.jpg", "item", "mug/red-0.jpg"),)
    with_topics = uploaded(b"1 0 mug/red-1.jpg 1", "a.trec", b"1\ttext\tred\r\n", "t.tsv", catalog)
    assert with_topics.topics == (Topic("1", "text", "red"),)
    for qrels, topics, fault in (
        (b"\xff\xfe", None, "a.trec is not UTF-8"),
        (b"1 0 a", None, "Line 1 of a.trec"),
        (b"301 0 a 1", None, "--topics"),
        (b"301 0 a 1", b"301 text red", "Line 1 of t.tsv"),
    ):
        with pytest.raises(EvaluationError, match=fault):
            uploaded(qrels, "a.trec", topics, "t.tsv", catalog)


def test_qrels_of_unknown_items_raise_a_one_sentence_error_and_store_nothing(quality: Quality) -> None:
    truth = GroundTruth("x", {"q": {"nosuch": 1}}, (Topic("q", "text", "red"),))
    with pytest.raises(EvaluationError, match="None of its relevant items is in the catalog"):
        quality.measure(truth, ["live"])
    assert quality.reports.all() == []


# --- robustness ---------------------------------------------------------------------------------------------------


def test_every_photo_finds_itself_and_changes_are_scored(quality: Quality, catalog: CatalogStore) -> None:
    stored = quality.check_robustness("live", n=12, seed=4)
    report = stored.report
    assert [score.change for score in report.scores] == [SELF_FIRST, *TRANSFORMATIONS]
    first, *changes = report.scores
    assert (first.mean, first.photos) == (1.0, 12)
    assert 0.7 < first.low < first.high == 1.0
    assert all(0 <= score.low <= score.mean <= score.high <= 1 for score in changes)
    assert report.score == pytest.approx(np.mean([score.mean for score in changes]))
    by_change = {score.change: score.mean for score in changes}
    assert by_change["half the size"] > 0.9, "the test's encoder looks at 8 x 8 colours"
    assert quality.check_robustness("live", n=12, seed=4).report == report
    assert quality.reports.latest_robustness().report == report  # type: ignore[union-attr]


def test_a_photo_changed_since_indexing_is_reported(
    quality: Quality, catalog: CatalogStore, systems: Systems
) -> None:
    originals = Originals()
    others = {item.item_id: item for item in catalog.iter_items()}

    def swapped(item: Item) -> bytes:
        if item.item_id == "mug/red-0.jpg":
            item = (
                others["ring/blue-1.jpg"]
                if "ring/blue-1.jpg" in others
                else next(other for other in others.values() if "blue" in other.item_id)
            )
        if item.item_id == "mug/red-1.jpg":
            raise SourceError("The file is no longer there.")
        return originals.read(item.location)

    report = check_robustness(systems.search, catalog, swapped, n=48)
    assert report.lost == ("mug/red-0.jpg",)
    assert set(report.unreadable) == {"mug/red-1.jpg"}
    assert any("mug/red-0.jpg" in warning for warning in report.warnings)
    originals.close()


def test_invalid_robustness_options_are_refused(
    systems: Systems, catalog: CatalogStore, make_catalog: Callable[..., CatalogStore]
) -> None:
    def gone(item: Item) -> bytes:
        raise SourceError("The file is no longer there.")

    with pytest.raises(EvaluationError, match="from 1 to"):
        check_robustness(systems.search, catalog, gone, n=0)
    with pytest.raises(EvaluationError, match=r"None of the 3 photos.*no longer there"):
        check_robustness(systems.search, catalog, gone, n=3)
    with pytest.raises(EvaluationError, match="at least two photos"):
        check_robustness(systems.search, make_catalog(clustered(1, 8)), gone)


def test_wilsons_interval_follows_its_formula() -> None:
    low, high = wilson_interval(10, 10)
    z = 1.959963984540054
    assert low == pytest.approx(10 / (10 + z * z))
    assert high == 1.0
    low, high = wilson_interval(5, 20)
    middle, half = (5 + z * z / 2) / (20 + z * z), z / (20 + z * z) * math.sqrt(5 * 15 / 20 + z * z / 4)
    assert (low, high) == pytest.approx((middle - half, middle + half))


# --- background jobs ------------------------------------------------------------------------------------------------


def wait(runner: JobRunner) -> None:
    assert runner.wait(120)


def test_one_job_runs_at_a_time_and_can_be_stopped() -> None:
    runner, going, go_on = JobRunner(), threading.Event(), threading.Event()

    def work(progress: Progress) -> str:
        progress(1, 3)
        going.set()
        go_on.wait(120)
        progress(2, 3)
        return "done"

    assert runner.job is None
    runner.start("Counting", work)
    going.wait(120)
    assert runner.job is not None
    assert (runner.job.status, runner.job.done, runner.job.total) == ("running", 1, 3)
    with pytest.raises(JobRunning, match="Counting is still running"):
        runner.start("Another", work)
    runner.stop()
    go_on.set()
    wait(runner)
    assert runner.job.status == "stopped"
    runner.start("Counting", work)
    wait(runner)
    assert (runner.job.status, runner.job.result) == ("done", "done")
    runner.close()


def test_a_failed_job_reports_its_error() -> None:
    runner = JobRunner()

    def refuse(progress: Progress) -> str:
        raise EvaluationError("There are no judgments.")

    def crash(progress: Progress) -> str:
        raise ZeroDivisionError("division by zero")

    for work, reason in ((refuse, "There are no judgments."), (crash, "ZeroDivisionError")):
        runner.start("It", work)
        wait(runner)
        assert runner.job is not None
        assert runner.job.status == "failed"
        assert reason in runner.job.reason


def test_a_measurement_in_the_background_is_stored(quality: Quality, catalog: CatalogStore) -> None:
    with pytest.raises(EvaluationError, match="MAPP"):
        quality.start_measuring(lambda: by_colour(catalog), ["live"], "MAPP")
    with pytest.raises(UnknownSystem):
        quality.start_measuring(lambda: by_colour(catalog), ["nosuch"])
    quality.start_measuring(lambda: by_colour(catalog), ["live"])
    wait(quality.jobs)
    (run,) = quality.reports.all()
    assert quality.jobs.job is not None
    assert quality.jobs.job.result == run.run_id
    quality.start_robustness("live", n=3)
    wait(quality.jobs)
    assert quality.reports.latest_robustness() is not None


# --- the commands ---------------------------------------------------------------------------------------------------


@pytest.fixture
def judged(colour_catalog: Path, tmp_path: Path) -> Path:
    """Return qrels of item queries over `colour_catalog`, which also has a system `diverse`."""
    with CatalogStore.open(colour_catalog) as catalog:
        systems = Systems(Searcher(catalog, open_live_index(catalog), ColourEncoder))
        systems.save(System("diverse", diversity=0.7))
        truth = by_colour(catalog)
        systems.close()
    path = tmp_path / "judged.trec"
    lines = [
        f"{query} 0 {item} {level}\n" for query, row in truth.qrels.items() for item, level in row.items()
    ]
    path.write_text("".join(lines), encoding="utf-8")
    return path


def run(*arguments: str | Path) -> str:
    """Run a command in this process and return its stdout; errors propagate."""
    done = CliRunner().invoke(cli_app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


def test_evaluations_are_stored_listed_shown_and_exported(
    colour_catalog: Path, judged: Path, tmp_path: Path
) -> None:
    catalog_option = ("--catalog", colour_catalog)
    first = json.loads(run("evaluate", "--qrels", judged, *catalog_option, "--name", "before", "--json"))
    assert len(first["per_query"]) == 12
    both = json.loads(
        run(
            "evaluate",
            "--qrels",
            judged,
            *catalog_option,
            "--system",
            "diverse",
            "--compare",
            "live",
            "--save",
            "--json",
        )
    )
    compared = both["comparison"]
    assert (compared["first"], compared["second"]) == ("live", "diverse")
    assert compared["measures"]["nDCG@10"]["first"] == first["measures"]["nDCG@10"]["mean"]
    listed = json.loads(run("reports", "list", *catalog_option, "--json"))["reports"]
    assert [(each["name"], each["system"]) for each in listed] == [
        ("", "live"),
        ("", "diverse"),
        ("before", "live"),
    ]
    assert len({each["judgments_digest"] for each in listed}) == 1
    assert "before" in run("reports", "list", *catalog_option)
    page, table = tmp_path / "out" / "r.html", tmp_path / "r.csv"
    shown = run(
        "reports",
        "show",
        both["run_id"][:6],
        "--compare",
        first["run_id"],
        "--html",
        page,
        "--csv",
        table,
        *catalog_option,
    )
    assert "before" in shown
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert len(table.read_text(encoding="utf-8").splitlines()) == 13


def test_a_failed_evaluation_stores_nothing(colour_catalog: Path, judged: Path, tmp_path: Path) -> None:
    catalog_option = ("--catalog", colour_catalog)
    for wrong in (["--system", "nosuch"], ["--compare", "no'such"]):
        with pytest.raises(UnknownSystem, match="There is no system"):
            run("evaluate", "--qrels", judged, *wrong, "--save", *catalog_option)
    (tmp_path / "file").touch()
    with pytest.raises(EvaluationError, match="no stored report"):
        run("reports", "show", "abcd", *catalog_option)
    with pytest.raises(EvaluationError, match="cannot be written"):
        run("evaluate", "--qrels", judged, "--csv", tmp_path / "file" / "x.csv", *catalog_option)
    assert json.loads(run("reports", "list", *catalog_option, "--json")) == {"reports": []}


# --- the page -------------------------------------------------------------------------------------------------------


def page(view: str = "results") -> AppTest:
    def draw() -> None:
        from imgsearch.ui.views import quality

        quality.draw()

    app = AppTest.from_function(draw, default_timeout=60)
    app.session_state["view"] = view
    return app.run()


def texts(app: AppTest) -> str:
    return " ".join(str(block.proto.body) for block in app.get("html"))


@pytest.mark.parametrize(
    ("view", "words"),
    [
        ("results", "No measurement yet"),
        ("compare", "Nothing to compare yet"),
        ("history", "No history yet"),
        ("robustness", "No robustness check yet"),
    ],
)
def test_every_empty_view_explains_the_first_step(service: SearchService, view: str, words: str) -> None:
    app = page(view)
    assert not app.exception
    assert words in texts(app)
    assert service.quality.reports.all() == [], "opening the page measures nothing"


def test_a_measurement_uses_the_form_values_at_the_click(service: SearchService) -> None:
    service.systems.save(System("diverse", diversity=0.7))
    ids = [item.item_id for item in service.catalog.iter_items()]
    for item_id in ids[:3]:
        key = query_key(Query.of(item=item_id))
        service.feedback.record_judgment(Judgment(key, ids[5], "good", "ann"))
    app = page()
    app.multiselect(key="systems").set_value([])
    app.button(key="measure").click().run()
    assert "Choose the systems" in texts(app)
    app.multiselect(key="systems").set_value(["live", "diverse"])
    app.button(key="measure").click().run()  # no rerun between the choice and the click
    assert not app.exception
    service.quality.jobs.wait(60)
    assert {run.system for run in service.quality.reports.all()} == {"live", "diverse"}
    assert "q-card" in texts(app.run())


def test_every_view_shows_the_stored_measurements(service: SearchService) -> None:
    service.systems.save(System("diverse", diversity=0.7))
    service.quality.measure(by_colour(service.catalog), ["live", "diverse"])
    results = page()
    assert not results.exception
    assert "q-rows" in texts(results)
    assert "12 queries" in texts(results)
    compared = page("compare")
    assert not compared.exception
    assert "diverse" in texts(compared)
    assert "q-only" in texts(compared)
    assert not page("history").exception


def test_hostile_names_are_rendered_as_text(service: SearchService) -> None:
    truth = replace(by_colour(service.catalog), label=HOSTILE)
    service.quality.measure(truth, ["live"], name=HOSTILE)
    app = page()
    assert not app.exception
    assert "<script>" not in texts(app)


def test_the_app_navigation_has_the_quality_page() -> None:
    assert "quality.draw" in Path(imgsearch.ui.main.__file__).read_text(encoding="utf-8")


def test_cant_tell_votes_are_counted_separately() -> None:
    import pandas as pd

    rows = [("text=x", "a", "l", "cant_tell"), ("text=x", "b", "l", "good")]
    judgments = pd.DataFrame(rows, columns=["query_key", "item_id", "labeler", "verdict"])
    assert count_votes(judgments) == ({"text=x": {"b": 1}}, 1)
