"""Training from feedback: extraction of examples from the rows, and publication of improvements only."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path

import ir_measures
import numpy as np
import pandas as pd
import pytest
from samples import clustered

from imgsearch.core.errors import AdaptationError, EncoderUnavailable
from imgsearch.core.query import Query
from imgsearch.core.query_address import query_key
from imgsearch.core.records import Item, Judgment
from imgsearch.encoders import Encoder
from imgsearch.improve.adaptation.adapting import AdaptationReport, adapt
from imgsearch.improve.adaptation.evaluation import Guard, condensed_ndcg
from imgsearch.improve.adaptation.head_jobs import publish_head
from imgsearch.improve.adaptation.relevance import estimate_attention, fit_eta, read_clicks, relevance_table
from imgsearch.index.heads import get_head, head_changes, list_heads
from imgsearch.index.opening import open_live_index
from imgsearch.index.vector_space import VectorSpace
from imgsearch.search.searcher import Searcher
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.database import insert_frame
from imgsearch.store.feedback import FeedbackLog

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
from simulation import Labeler, Taste, Visitors

MakeCatalog = Callable[..., CatalogStore]
WHEN = datetime(2026, 1, 1)
NO_JUDGMENTS = pd.DataFrame({"query_key": [], "item_id": [], "labeler": [], "verdict": []}, dtype=str)


def no_encoder() -> Encoder:
    raise EncoderUnavailable("The model is not here.")


def add_rows(
    catalog: CatalogStore,
    shown: list[tuple[str, str, str, str, int]],
    clicks: list[tuple[str, str, int, str]],
) -> None:
    """Add impressions (search, visitor, query, item, rank) and clicks (search, item, rank, action)."""
    with catalog.database.transaction() as cursor:
        frame = pd.DataFrame(
            [
                (s, WHEN, visitor, query, "e", 1, "", item, rank, 0.5, 1.0)
                for s, visitor, query, item, rank in shown
            ]
        )
        insert_frame(cursor, "impressions", frame)
        if clicks:
            frame = pd.DataFrame([(s, WHEN, "", item, rank, action) for s, item, rank, action in clicks])
            insert_frame(cursor, "clicks", frame)


# --- measure ----------------------------------------------------------------------------------------------------


def test_condensed_ndcg_equals_ir_measures_for_integer_gains() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        gains = rng.integers(0, 4, rng.integers(1, 30))
        qrels = [ir_measures.Qrel("q", f"d{place:03d}", int(gain)) for place, gain in enumerate(gains)]
        run = [ir_measures.ScoredDoc("q", f"d{place:03d}", float(100 - place)) for place in range(len(gains))]
        expected = ir_measures.calc_aggregate([ir_measures.nDCG @ 10], qrels, run)[ir_measures.nDCG @ 10]
        assert condensed_ndcg(gains.astype(float)) == pytest.approx(expected, abs=1e-9)


def test_condensed_ndcg_equals_a_hand_computed_example() -> None:
    ideal = 1.0 + 0.5 / math.log2(3)
    assert condensed_ndcg(np.array([0.5, 0.0, 1.0])) == pytest.approx((0.5 + 1.0 / 2.0) / ideal)
    assert condensed_ndcg(np.zeros(3)) == 0.0


# --- reading feedback -------------------------------------------------------------------------------------------


def simulated(eta: float, *, lists: int, noise: float = 0.05, move: bool = False) -> pd.DataFrame:
    """Return counts of clicks by rank: `lists` queries of 10 results each shown 200 times, optionally shuffled."""
    rng = np.random.default_rng(0)
    rows = []
    for query in range(lists):
        relevances = np.sort(rng.uniform(0, 1, 10))[::-1]
        for turn in range(2 if move else 1):
            order = rng.permutation(10) if turn else np.arange(10)
            visitors = Visitors(Taste({"x": 1}), seed=query * 2 + turn, eta=eta, noise=noise)
            clicks = rng.binomial(200, visitors.click_probabilities(relevances[order]))
            rows += [
                (f"q{query}", f"i{item}", place + 1, 200, clicks[place]) for place, item in enumerate(order)
            ]
    return pd.DataFrame(rows, columns=["query_key", "item_id", "rank", "shown", "clicks"])


@pytest.mark.parametrize("eta", [0.5, 1.0, 1.6])
def test_examination_decay_is_estimated_from_results_shown_at_several_ranks(eta: float) -> None:
    found = estimate_attention(simulated(eta, lists=60, move=True))
    assert found.eta == pytest.approx(eta, abs=0.1)
    assert "several ranks" in found.source


def test_the_position_correction_never_exceeds_the_observed_decay_of_clicks() -> None:
    assert estimate_attention(simulated(0.0, lists=60, noise=0.5)).eta < 0.1
    assert estimate_attention(simulated(2.0, lists=60)).eta == 1.0


def test_an_eta_without_data_has_an_infinite_error() -> None:
    nothing = np.zeros(0)
    assert fit_eta(nothing, nothing, nothing, np.zeros(0, np.int64))[1] == math.inf
    one = np.ones(1)
    assert fit_eta(one, one, one, np.zeros(1, np.int64))[1] == math.inf


def test_click_rates_are_normalised_by_expected_examinations(make_catalog: MakeCatalog) -> None:
    catalog = make_catalog(clustered(4, 8), ids=["a", "b", "c", "d"])
    shown = [
        (f"s{v}", f"v{v}", "item=d", item, rank) for v in range(100) for rank, item in enumerate("abc", 1)
    ]
    clicks = [(f"s{v}", "a", 1, "open") for v in range(60)] + [
        (f"s{v}", "c", 3, "similar") for v in range(20)
    ]
    add_rows(catalog, shown, clicks)
    frame = relevance_table(catalog, NO_JUDGMENTS, eta=1.0).frame.set_index("item_id")
    usual = 80 / (100 + 50 + 100 / 3)
    assert frame.loc["a", "relevance"] == pytest.approx((60 + 2 * usual) / 102)
    assert frame.loc["b", "relevance"] == pytest.approx(2 * usual / 52)
    assert frame.loc["c", "relevance"] == pytest.approx((20 + 2 * usual) / (100 / 3 + 2))


def test_repeated_clicks_of_a_visitor_on_a_pair_count_once(make_catalog: MakeCatalog) -> None:
    catalog = make_catalog(clustered(4, 8))
    shown = [(f"s{turn}", "mallory", "text=mug", "00001.jpg", 1) for turn in range(500)]
    shown += [(f"t{turn}", f"v{turn}", "text=mug", "00001.jpg", 1) for turn in range(4)]
    add_rows(catalog, shown, [(f"s{turn}", "00001.jpg", 1, "open") for turn in range(500)])
    counted = read_clicks(catalog)
    assert counted[["shown", "clicks"]].to_numpy().tolist() == [[5, 1]]


def test_less_like_it_counts_as_negative_and_judgments_outweigh_a_click(
    make_catalog: MakeCatalog,
) -> None:
    catalog = make_catalog(clustered(4, 8), ids=["a", "b", "c", "d"])
    add_rows(
        catalog,
        [("s", "v", "text=mug", item, rank) for rank, item in enumerate("abc", 1)],
        [("s", "a", 1, "less"), ("s", "b", 2, "open"), ("s", "c", 3, "open")],
    )
    with closing(FeedbackLog(catalog.database)) as feedback:
        feedback.record_judgment(Judgment("text=mug", "c", "bad", "ann"))
        feedback.record_judgment(Judgment("text=mug", "d", "good", "ann"))
        feedback.record_judgment(Judgment("text=mug", "a", "cant_tell", "ann"))
        table = relevance_table(catalog, feedback.latest_judgments(), eta=1.0)
    relevance = table.frame.set_index("item_id")["relevance"]
    assert relevance["a"] < relevance["b"]
    assert relevance["c"] < relevance["d"]
    assert (table.impressions, table.clicks, table.judgments) == (3, 2, 2)


# --- training ---------------------------------------------------------------------------------------------------


COLOURS, TYPES, OTHERS = 6, 8, 24
TASTE = Taste({"colour": 2, "type": 1})


@pytest.fixture
def bazaar(make_catalog: MakeCatalog) -> Iterator[tuple[CatalogStore, Searcher, FeedbackLog]]:
    """Yield a shop of 900 items whose embeddings encode the type strongly and the colour weakly."""
    rng = np.random.default_rng(0)
    # Three consecutive photos of each of 300 products.
    colours = np.repeat(rng.integers(0, COLOURS, 300), 3)
    types = np.repeat(rng.integers(0, TYPES, 300), 3)
    rows = np.concatenate(
        [0.35 * np.eye(COLOURS)[colours], 1.0 * np.eye(TYPES)[types], 0.15 * rng.normal(size=(900, OTHERS))],
        1,
    )
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    catalog = make_catalog(
        rows,
        [
            {"colour": f"c{colour}", "type": f"t{type_}", "product_id": f"p{number // 3}"}
            for number, (colour, type_) in enumerate(zip(colours, types, strict=True))
        ],
    )
    with closing(FeedbackLog(catalog.database)) as feedback:
        yield catalog, Searcher(catalog, open_live_index(catalog), no_encoder), feedback


def collect(
    bazaar: tuple[CatalogStore, Searcher, FeedbackLog], *, noise: float, seed: int = 0, visits: int = 12
) -> list[Item]:
    """Simulate visitors who click hits of 350 queries; return the items."""
    catalog, searcher, _ = bazaar
    items = list(catalog.iter_items())
    visitors = Visitors(TASTE, seed, noise=noise)
    shown, clicks = [], []
    for number in np.random.default_rng(seed).permutation(len(items))[:350]:
        query = Query.of(item=items[number].item_id, n=24)
        hits = searcher.search(query).hits
        relevances = TASTE.relevances(items[number], hits)
        for visit in range(visits):
            name = f"{number}-{visit}"
            shown += [(name, name, query_key(query), hit.item_id, hit.rank) for hit in hits]
            clicked = visitors.draw(relevances)
            clicks += [
                (name, hit.item_id, hit.rank, "open") for hit, one in zip(hits, clicked, strict=True) if one
            ]
    add_rows(catalog, shown, clicks)
    return items


def learned(bazaar: tuple[CatalogStore, Searcher, FeedbackLog], **options: object) -> AdaptationReport:
    catalog, searcher, feedback = bazaar
    return adapt(catalog, feedback, searcher.embedding, searcher.encoder, **options)  # type: ignore[arg-type]


def true_ndcg(catalog: CatalogStore, items: list[Item], rows: np.ndarray) -> float:
    """Return the mean true nDCG@10 of the taste over all queries and the whole catalog."""
    scores = rows @ rows.T
    np.fill_diagonal(scores, -9)
    values = []
    for number in range(0, len(items), 7):
        order = np.argsort(-scores[number])[:-1]
        values.append(condensed_ndcg(TASTE.relevances(items[number], [items[place] for place in order])))
    return float(np.mean(values))


@pytest.mark.slow
def test_training_on_clicks_improves_the_true_ndcg_by_at_least_a_tenth(
    bazaar: tuple[CatalogStore, Searcher, FeedbackLog],
) -> None:
    catalog = bazaar[0]
    items = collect(bazaar, noise=0.05)
    report = learned(bazaar)
    assert report.worth_publishing
    assert report.low > 0
    assert report.low <= report.change <= report.high
    assert list_heads(catalog) == [get_head(catalog, report.head)]
    assert head_changes(catalog) == []  # stored, not published
    keys = catalog.keys()
    before = true_ndcg(catalog, items, catalog.vectors(keys))
    after = true_ndcg(catalog, items, VectorSpace(catalog, get_head(catalog, report.head)).vectors(keys))
    assert after >= 1.1 * before
    assert "Texts are neither" in report.notes[0] or "no title" in report.notes[0]
    assert report.samples[0].change > 0
    publish_head(catalog, report.head)
    again = learned(bazaar, keep=False)
    assert again.space.endswith("+head-0001")  # the baseline is the active space
    assert again.change < report.change
    assert again.head == ""


@pytest.mark.slow
def test_training_on_random_clicks_or_judgments_publishes_nothing(
    bazaar: tuple[CatalogStore, Searcher, FeedbackLog],
) -> None:
    catalog, searcher, _ = bazaar
    items = collect(bazaar, noise=0.5)
    report = learned(bazaar)
    assert not report.worth_publishing
    assert report.reason.endswith("nothing to publish.")
    labeler = Labeler(TASTE, "ann", error=0.5)
    rows = []
    for item in items[:200]:
        hits = searcher.search(Query.of(item=item.item_id, n=20)).hits
        key = query_key(Query.of(item=item.item_id))
        rows += [(WHEN, key, hit.item_id, labeler.verdict(item, hit), "ann", None) for hit in hits]
    with catalog.database.transaction() as cursor:
        insert_frame(cursor, "judgments", pd.DataFrame(rows))
    assert not learned(bazaar, seed=1).worth_publishing
    assert list_heads(catalog) == []


def test_a_guard_passes_up_to_a_loss_of_one_twentieth() -> None:
    assert Guard("text search", 0.80, 0.77, 300).holds
    assert not Guard("text search", 0.80, 0.75, 300).holds


def test_too_little_feedback_is_reported_with_the_required_amount(
    bazaar: tuple[CatalogStore, Searcher, FeedbackLog],
) -> None:
    with pytest.raises(AdaptationError, match="about 150 are needed"):
        learned(bazaar)
    add_rows(
        bazaar[0],
        [("s", "v", "text=%28image%29", "00001.jpg", 1), ("s", "v", "text=%28image%29", "00002.jpg", 2)],
        [("s", "00001.jpg", 1, "open")],
    )
    with pytest.raises(AdaptationError, match="1 for pictures that are no longer stored"):
        learned(bazaar)
    with pytest.raises(AdaptationError, match="no column 'sku'; this catalog has: colour"):
        learned(bazaar, product_column="sku")
