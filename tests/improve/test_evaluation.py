"""Offline evaluation: measures against hand computation, file formats, and reasons for skipped queries."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from colour_encoder import ColourEncoder
from samples import clustered

from imgsearch.core.errors import EvaluationError
from imgsearch.core.query import Query, Term
from imgsearch.core.query_address import query_from_params, query_key
from imgsearch.improve.judging.qrels import export_judgments, read_qrels, topics_from_qrels
from imgsearch.improve.judging.topics import Topic, default_topics_path, read_topics, topic_query
from imgsearch.improve.quality.evaluation import evaluate
from imgsearch.improve.quality.measures import JUDGED, measure_run, parse_measures
from imgsearch.index.opening import open_live_index
from imgsearch.search.searcher import Searcher
from imgsearch.store.catalog import CatalogStore


@pytest.fixture
def searcher(catalog: CatalogStore, colours: ColourEncoder) -> Searcher:
    return Searcher(catalog, open_live_index(catalog), lambda: colours)


def measured(
    qrels: dict[str, dict[str, int]], run: dict[str, list[str]], measures: str
) -> dict[str, dict[str, float]]:
    return measure_run(qrels, run, parse_measures(measures))


# --- measures ---------------------------------------------------------------------------------------------------


def test_measures_agree_with_a_trec_example_computed_by_hand() -> None:
    qrels = {"q": {"a": 2, "b": 0, "c": 1, "d": 1, "e": 0}}
    run = {"q": ["a", "b", "x", "c", "e"]}  # d is never found, x is unjudged
    values = measured(qrels, run, "nDCG@5 nDCG@2 P@2 P@5 R@5 R@1 AP RR Success@1 P(rel=2)@5 Rprec Judged@5")[
        "q"
    ]
    gain = 2 / math.log2(2) + 1 / math.log2(5)
    best = 2 / math.log2(2) + 1 / math.log2(3) + 1 / math.log2(4)
    assert values["nDCG@5"] == pytest.approx(gain / best, abs=1e-9)
    assert values["nDCG@2"] == pytest.approx(2 / (2 + 1 / math.log2(3)), abs=1e-9)
    assert values["P@2"] == 1 / 2
    assert values["P@5"] == pytest.approx(2 / 5, abs=1e-9)
    assert values["R@5"] == pytest.approx(2 / 3, abs=1e-9)
    assert values["R@1"] == pytest.approx(1 / 3, abs=1e-9)
    assert values["AP"] == pytest.approx((1 / 1 + 2 / 4) / 3, abs=1e-9)
    assert values["RR"] == 1
    assert values["Success@1"] == 1
    assert values["P(rel=2)@5"] == pytest.approx(1 / 5, abs=1e-9)
    assert values["Rprec"] == pytest.approx(1 / 3, abs=1e-9)
    assert values["Judged@5"] == pytest.approx(4 / 5, abs=1e-9)


def test_measures_agree_with_their_definitions_on_a_random_run() -> None:
    chance = random.Random(5)
    items = [f"d{number}" for number in range(60)]
    qrels = {
        f"q{n}": {item: chance.choice([0, 0, 1, 2, 3]) for item in chance.sample(items, 30)}
        for n in range(40)
    }
    run = {query: chance.sample(items, 50) for query in qrels}
    values = measured(qrels, run, "nDCG@10 P@10 R@10 AP")
    for query, levels in qrels.items():
        gains = [levels.get(item, 0) for item in run[query]]
        relevant = sum(level > 0 for level in levels.values())
        ideal = sorted(levels.values(), reverse=True)[:10]
        dcg, best = (
            sum(gain / math.log2(rank + 2) for rank, gain in enumerate(row)) for row in (gains[:10], ideal)
        )
        precision = [sum(gain > 0 for gain in gains[:k]) / k for k in range(1, 51)]
        ap = sum(precision[rank] for rank, gain in enumerate(gains) if gain > 0) / relevant
        assert values[query]["nDCG@10"] == pytest.approx(dcg / best, abs=1e-9)
        assert values[query]["P@10"] == pytest.approx(precision[9], abs=1e-9)
        assert values[query]["R@10"] == pytest.approx(precision[9] * 10 / relevant, abs=1e-9)
        assert values[query]["AP"] == pytest.approx(ap, abs=1e-9)


def test_the_run_order_decides_among_equal_scores() -> None:
    qrels = {"q": {"a": 1, "z": 0}}
    assert measured(qrels, {"q": ["a", "z"]}, "RR")["q"]["RR"] == 1
    assert measured(qrels, {"q": ["z", "a"]}, "RR")["q"]["RR"] == 0.5


def test_a_query_without_an_answer_counts_as_zero() -> None:
    values = measured({"q": {"a": 1}, "p": {"b": 1}}, {"q": ["a"]}, "nDCG@10 AP")
    assert values["p"] == {"nDCG@10": 0.0, "AP": 0.0, JUDGED: 0.0}
    assert values["q"]["AP"] == 1.0


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "No measure"),
        ("nDCG@0", "unknown"),
        ("ndcg@10", "unknown"),
        ("P", "needs a cut-off"),
        ("R", "needs a cut-off"),
        ("Rprec@5", "has no cut-off"),
        ("nDCG(rel=2)@5", "without rel="),
        ("__import__('os')", "unknown"),
        ("P(rel=2.5)@3", "unknown"),
    ],
)
def test_unknown_measures_are_refused_by_name(text: str, word: str) -> None:
    with pytest.raises(EvaluationError, match=word):
        parse_measures(text)


def test_judged_at_10_is_always_among_the_measures() -> None:
    assert list(parse_measures("P@5,AP")) == ["P@5", "AP", JUDGED]


# --- evaluating -------------------------------------------------------------------------------------------------


def test_item_and_text_queries_are_searched_and_measured(catalog: CatalogStore, searcher: Searcher) -> None:
    of_colour = {
        colour: {item.item_id: 1 for item in catalog.iter_items() if item.metadata["colour"] == colour}
        for colour in ("red", "blue")
    }
    qrels = {"mug/red-0.jpg": of_colour["red"], "t1": of_colour["blue"]}
    topics = [Topic("mug/red-0.jpg", "item", "mug/red-0.jpg"), Topic("t1", "text", "blue")]
    seen: list[tuple[int, int]] = []
    report = evaluate(
        searcher.search,
        catalog,
        qrels,
        topics,
        "P@7 R@48",
        progress=lambda done, total: seen.append((done, total)),
    )
    # The query item itself does not count; there are 7 other items of its colour.
    assert report.per_query["mug/red-0.jpg"]["R@48"] == 1.0
    assert report.per_query["t1"]["R@48"] == 1.0
    assert [result.measure for result in report.measures] == ["P@7", "R@48", JUDGED]
    assert all(result.queries == 2 for result in report.measures)
    assert seen == [(1, 2), (2, 2)]
    assert report.encoder == catalog.encoder_id
    assert report.as_dict()["measures"]["R@48"] == {"mean": 1.0, "low": 1.0, "high": 1.0, "queries": 2}


def test_perfect_and_worst_judgments_give_one_and_zero(catalog: CatalogStore, searcher: Searcher) -> None:
    hits = [hit.item_id for hit in searcher.search(Query.of(item="mug/red-0.jpg", n=47)).hits]
    topics = [Topic("q", "item", "mug/red-0.jpg")]
    best = evaluate(searcher.search, catalog, {"q": dict.fromkeys(hits[:10], 1)}, topics)
    assert {result.mean for result in best.measures} == {1.0}
    worst = evaluate(searcher.search, catalog, {"q": {hits[-1]: 1}}, topics, "nDCG@10 P@10")
    assert [result.mean for result in worst.measures] == [0.0, 0.0, 0.0]


def test_unusable_queries_are_skipped_with_a_reason(catalog: CatalogStore, searcher: Searcher) -> None:
    qrels = {
        "good": {"mug/red-1.jpg": 1, "gone.jpg": 1},
        "no topic": {"mug/red-1.jpg": 1},
        "gone item": {"mug/red-1.jpg": 1},
        "only gone": {"gone.jpg": 2},
        "only bad": {"mug/red-1.jpg": 0},
        "only itself": {"mug/red-0.jpg": 1},
        "bad filter": {"mug/red-1.jpg": 1},
    }
    topics = [
        Topic("good", "item", "mug/red-0.jpg"),
        Topic("gone item", "item", "nosuch.jpg"),
        Topic("only gone", "text", "red"),
        Topic("only bad", "text", "red"),
        Topic("only itself", "item", "mug/red-0.jpg"),
        Topic("bad filter", "query", "text=red&filter=nosuch=1"),
        Topic("unjudged", "text", "red"),
    ]
    report = evaluate(searcher.search, catalog, qrels, topics)
    assert set(report.per_query) == {"good"}
    assert set(report.skipped) == (set(qrels) | {"unjudged"}) - {"good"}
    assert "nosuch.jpg" in report.skipped["gone item"]
    assert "nosuch" in report.skipped["bad filter"]
    assert report.unknown_items == 1
    assert any("gone.jpg" in warning for warning in report.warnings)
    assert any("left out" in warning for warning in report.warnings)


def test_an_evaluation_without_usable_queries_raises_an_error_with_the_reason(
    catalog: CatalogStore, searcher: Searcher
) -> None:
    with pytest.raises(EvaluationError, match="no topic"):
        evaluate(searcher.search, catalog, {"q": {"a": 1}}, [Topic("other", "text", "red")])


def test_a_warning_appears_for_few_judgments_and_not_for_many(
    catalog: CatalogStore, searcher: Searcher
) -> None:
    topics = [Topic("q", "item", "mug/red-0.jpg")]
    few = evaluate(searcher.search, catalog, {"q": {"mug/red-1.jpg": 1}}, topics)
    assert any("were judged" in warning for warning in few.warnings)
    everything = {"q": {item.item_id: int("red" in item.item_id) for item in catalog.iter_items()}}
    assert evaluate(searcher.search, catalog, everything, topics).warnings == ()


def test_the_interval_contains_the_mean_and_narrows_with_more_queries(
    make_catalog: Callable[..., CatalogStore],
) -> None:
    vectors = clustered(300, 16, clusters=10, seed=3)
    catalog = make_catalog(vectors)
    ids = [item.item_id for item in catalog.iter_items()]
    cluster = np.argmax(vectors @ clustered(10, 16, clusters=10, seed=3).T, axis=1)
    qrels = {
        ids[n]: {ids[m]: int(cluster[m] == cluster[n]) for m in range(300) if m != n}
        for n in range(0, 200, 2)
    }
    searcher = Searcher(catalog, open_live_index(catalog), ColourEncoder)
    some = {query: qrels[query] for query in list(qrels)[:8]}
    widths = []
    for judged in (some, qrels):
        report = evaluate(searcher.search, catalog, judged, topics_from_qrels(judged, catalog), "P@10")
        result = report.measures[0]
        assert result.low <= result.mean <= result.high
        widths.append(result.high - result.low)
        again = evaluate(searcher.search, catalog, judged, topics_from_qrels(judged, catalog), "P@10")
        assert again.measures == report.measures
    assert widths[1] < widths[0]


# --- files ------------------------------------------------------------------------------------------------------


def test_qrels_are_read_with_odd_ids_and_spacing(tmp_path: Path) -> None:
    path = tmp_path / "a.trec"
    path.write_text(
        "\ufeffq1 0 a.jpg 1\nq1\t0\tb c/d e.jpg\t-1\n\n  q2 Q0 é🙂.jpg 3  \r\nq1 0 a.jpg 2\n",
        encoding="utf-8",
    )
    assert read_qrels(path) == {"q1": {"a.jpg": 2, "b c/d e.jpg": -1}, "q2": {"é🙂.jpg": 3}}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("q 0 a 1\nq 0 a\n", "Line 2 of .* is not"),
        ("q 0 a 1\n\nq 0 a good\n", "Line 3 of .* write a whole number"),
        ("q 0 a 1.5\n", "Line 1 of .* write a whole number"),
        ("", "no judgments"),
        ("\n \n", "no judgments"),
    ],
)
def test_malformed_qrels_name_their_line(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "a.trec"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(EvaluationError, match=reason):
        read_qrels(path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("q1\titem\ta.jpg\nq2 text red\n", "Line 2 of .* is not"),
        ("q1\titem\t\n", "Line 1 of .* is not"),
        ("q1\timage\ta.jpg\n", "Line 1 of .* kind 'image'"),
        ("q1\titem\ta\nq1\ttext\tb\n", "Line 2 of .* repeats"),
        ("", "no topics"),
    ],
)
def test_malformed_topics_name_their_line(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "a.tsv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(EvaluationError, match=reason):
        read_topics(path)


def test_unreadable_files_raise_a_one_sentence_error(tmp_path: Path) -> None:
    (tmp_path / "latin.trec").write_bytes(b"q 0 \xe9.jpg 1\n")
    for path in (tmp_path / "missing.trec", tmp_path, tmp_path / "latin.trec"):
        for read in (read_qrels, read_topics):
            with pytest.raises(EvaluationError, match=r"^The file .*\.$"):
                read(path)


def test_topics_are_read_in_order_and_become_queries(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text(
        "3\ttext\tred mug\n1\titem\ta b.jpg\n2\tquery\ttext=x&less=a.jpg&filter=price%3C5\n", encoding="utf-8"
    )
    topics = read_topics(path)
    assert [topic.query_id for topic in topics] == ["3", "1", "2"]
    text, item, mixed = (topic_query(topic) for topic in topics)
    assert text.terms == (Term("text", "red mug"),)
    assert item.terms == (Term("item", "a b.jpg"),)
    assert mixed == query_from_params({"text": ["x"], "less": ["a.jpg"], "filter": ["price<5"]})
    with pytest.raises(EvaluationError, match="cannot be parsed"):
        topic_query(Topic("q", "query", "nothing"))


def test_without_topics_a_query_id_is_an_item_or_a_query(catalog: CatalogStore) -> None:
    qrels: dict[str, dict[str, int]] = {"mug/red-0.jpg": {}, "mug%2Fred-1.jpg": {}, "text=red+mug": {}}
    assert topics_from_qrels(qrels, catalog) == [
        Topic("mug/red-0.jpg", "item", "mug/red-0.jpg"),
        Topic("mug%2Fred-1.jpg", "item", "mug/red-1.jpg"),
        Topic("text=red+mug", "query", "text=red+mug"),
    ]
    with pytest.raises(EvaluationError, match="--topics"):
        topics_from_qrels({"301": {}}, catalog)


# --- exporting --------------------------------------------------------------------------------------------------


def judgments(*rows: tuple[str, str, str, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["query_key", "item_id", "labeler", "verdict"])


def test_the_majority_of_the_labelers_decides(tmp_path: Path) -> None:
    table = judgments(
        ("text=x", "won", "a", "good"),
        ("text=x", "won", "b", "good"),
        ("text=x", "won", "c", "bad"),
        ("text=x", "lost", "a", "bad"),
        ("text=x", "split", "a", "good"),
        ("text=x", "split", "b", "bad"),
        ("text=x", "untold", "a", "cant_tell"),
        ("text=x", "alone", "a", "good"),
        ("text=x", "alone", "b", "cant_tell"),
    )
    report = export_judgments(table, tmp_path / "out.trec")
    assert read_qrels(tmp_path / "out.trec") == {"text=x": {"won": 1, "lost": 0, "split": 0, "alone": 1}}
    assert (report.queries, report.judgments, report.skipped) == (1, 4, 2)
    assert Path(report.topics) == default_topics_path(tmp_path / "out.trec")


def test_exported_judgments_reproduce_the_evaluation(
    catalog: CatalogStore,
    searcher: Searcher,
    tmp_path: Path,
    make_catalog: Callable[..., CatalogStore],
    colours: ColourEncoder,
) -> None:
    odd_ids = ["we ird.jpg", "100%41.jpg", "new\nline.jpg", "tab\tbed.jpg", "émoji 🙂.jpg", "plain.jpg"]
    odd = make_catalog(clustered(6, colours.dim), ids=odd_ids)
    odd_searcher = Searcher(odd, open_live_index(odd), lambda: colours)
    queries = [
        Query.of(text="red mug"),
        Query.of(text="100% wool & more; 'quoted'"),
        *(Query.of(item=item_id) for item_id in odd_ids),
        Query((Term("item", "plain.jpg"), Term("item", "we ird.jpg", -0.4), Term("text", "red"))),
    ]
    rows = [
        (query_key(query), item_id, "l", "good" if number % 2 else "bad")
        for query in queries
        for number, item_id in enumerate(odd_ids)
    ]
    export_judgments(judgments(*rows), tmp_path / "odd.trec")
    qrels = read_qrels(tmp_path / "odd.trec")
    topics = read_topics(default_topics_path(tmp_path / "odd.trec"))
    assert [query_key(topic_query(topic)) for topic in topics] == sorted(
        query_key(query) for query in queries
    )
    assert {topic.kind for topic in topics} == {"item", "text", "query"}
    report = evaluate(odd_searcher.search, odd, qrels, topics, "R@6")
    assert not report.skipped
    assert report.unknown_items == 0
    assert len(report.per_query) == len(queries)
    assert report.measures[0].mean == 1.0


@pytest.mark.parametrize("table", [judgments(), judgments(("text=x", "a", "l", "cant_tell"))])
def test_an_export_without_judgments_writes_no_file(tmp_path: Path, table: Any) -> None:
    with pytest.raises(EvaluationError, match="no good or bad judgments"):
        export_judgments(table, tmp_path / "out.trec")
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_path_raises_a_one_sentence_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(EvaluationError, match="cannot be written"):
        export_judgments(judgments(("text=x", "a", "l", "good")), tmp_path / "file" / "out.trec")
