"""Seeded simulation of adaptation on the Sample Store with visitors of known preferences.

    python scripts/simulate_adaptation.py                        clicks and judgments of a taste for colour
    python scripts/simulate_adaptation.py --random               the same people, clicking and judging at random

A preference such as "colour counts twice as much as type" differs from the encoder's similarity. Visitors click by a
position-bias model, a labeler judges the first hits; `adapt` trains and evaluates on these rows. The output shows its
own result and the true nDCG@10 of the preference over the whole catalog, for held-out products.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
from simulation import Labeler, Taste, Visitors

from imgsearch.core.query import Query
from imgsearch.core.query_address import query_key
from imgsearch.core.records import Item, SearchResult
from imgsearch.demo import ensure_demo_catalog
from imgsearch.encoders import Encoder, load_encoder
from imgsearch.improve.adaptation.adapting import adapt
from imgsearch.improve.adaptation.evaluation import condensed_ndcg
from imgsearch.improve.adaptation.training_data import part_of
from imgsearch.index.heads import get_head
from imgsearch.index.opening import open_live_index
from imgsearch.index.vector_space import VectorSpace
from imgsearch.search.searcher import Searcher
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.database import insert_frame
from imgsearch.store.feedback import FeedbackLog

SHOWN = 24


def main() -> None:
    """Simulate each kind of feedback with each seed, and print a line for each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--queries", type=int, default=600, help="number of query photos")
    parser.add_argument("--visits", type=int, default=10, help="visitors per query photo")
    parser.add_argument("--judged", type=int, default=300, help="queries that the labeler judges")
    parser.add_argument("--kinds", nargs="*", default=["clicks", "judgments"])
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument(
        "--taste", default="type=1,colour=2", help="the weight of each product column in the relevance"
    )
    parser.add_argument("--random", action="store_true", help="random clicks and verdicts")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    weights = [part.split("=") for part in args.taste.split(",")]
    args.taste = Taste({column: float(weight) for column, weight in weights})
    encoder = load_encoder("lite")
    rows = []
    with tempfile.TemporaryDirectory() as place:
        store = ensure_demo_catalog(folder=Path(place) / "store")
        for kind in args.kinds:
            for seed in args.seeds:
                folder = Path(place) / f"{kind}-{seed}"
                shutil.copytree(store, folder)
                row = simulate(
                    folder,
                    encoder,
                    kind=kind,
                    taste=args.taste,
                    seed=seed,
                    queries=args.queries,
                    visits=args.visits,
                    judged=args.judged,
                    random=args.random,
                )
                rows.append(row)
                print(row, file=sys.stderr, flush=True)
                shutil.rmtree(folder)
    print(json.dumps(rows, indent=2) if args.json else pd.DataFrame(rows).to_string(index=False))


def simulate(
    folder: Path,
    encoder: Encoder,
    *,
    kind: str,
    taste: Taste,
    seed: int,
    queries: int,
    visits: int = 0,
    judged: int = 0,
    random: bool = False,
) -> dict[str, object]:
    """Return the adaptation result of one simulation and its true effect; writes to the catalog.

    `visits` is for each query of "clicks", `judged` the number of queries of "judgments".
    """
    with CatalogStore.open(folder) as catalog:
        searcher = Searcher(catalog, open_live_index(catalog), lambda: encoder)
        feedback = FeedbackLog(catalog.database)
        items = list(catalog.iter_items())
        asked = [items[place] for place in np.random.default_rng(seed).permutation(len(items))[:queries]]
        results = [searcher.search(Query.of(item=item.item_id, n=SHOWN)) for item in asked]
        if kind == "clicks":
            visitors = Visitors(taste, seed, noise=0.5 if random else 0.05)
            write_visits(catalog, visitors, asked, results, visits)
        else:
            labeler = Labeler(taste, "ann", seed, error=0.5 if random else 0.05)
            write_judgments(catalog, labeler, asked[:judged], results[:judged])
        began = time.monotonic()
        report = adapt(catalog, feedback, searcher.embedding, lambda: encoder, seed=seed)
        seconds = time.monotonic() - began
        feedback.close()
        held_out = [
            item for item in items if part_of(f"product {item.metadata['product_id']}", seed) == "test"
        ]
        before = true_ndcg(taste, VectorSpace(catalog), items, held_out)
        after = before
        if report.head:
            learned = VectorSpace(catalog, get_head(catalog, report.head))
            after = true_ndcg(taste, learned, items, held_out)
        return {
            "feedback": ("random " if random else "") + kind,
            "seed": seed,
            "publishes": bool(report.head),
            "measured change": round(report.change, 3),
            "interval": f"{report.low:.3f} to {report.high:.3f}",
            "true nDCG@10 before": round(before, 3),
            "after": round(after, 3),
            "relative": f"{after / before - 1:+.1%}",
            "seconds": round(seconds, 1),
            "reason": report.reason,
        }


def write_visits(
    catalog: CatalogStore, visitors: Visitors, queries: list[Item], results: list[SearchResult], visits: int
) -> None:
    """Write the impressions and clicks of `visits` visits of every result, in two inserts."""
    when = datetime(2026, 1, 1)
    impressions, clicks = [], []
    for number, (query, result) in enumerate(zip(queries, results, strict=True)):
        relevances = visitors.taste.relevances(query, result.hits)
        clicked = np.concatenate([visitors.draw(relevances) for _ in range(visits)])
        names = np.repeat([f"{number}-{visit}" for visit in range(visits)], len(result.hits))
        items = np.tile([hit.item_id for hit in result.hits], visits)
        ranks = np.tile([hit.rank for hit in result.hits], visits)
        shown = {
            "search_id": names, "happened_at": when, "visitor": names, "query_key": query_key(result.query),
            "encoder": result.encoder, "generation": 1, "arm": "", "item_id": items, "rank": ranks,
            "score": np.tile([hit.score for hit in result.hits], visits), "total_ms": 1.0,
        }  # fmt: skip
        impressions.append(pd.DataFrame(shown))
        acted = impressions[-1][clicked]
        clicks.append(acted[["search_id", "happened_at", "visitor", "item_id", "rank"]].assign(action="open"))
    with catalog.database.transaction() as cursor:
        insert_frame(cursor, "impressions", pd.concat(impressions))
        insert_frame(cursor, "clicks", pd.concat(clicks))


def write_judgments(
    catalog: CatalogStore, labeler: Labeler, queries: list[Item], results: list[SearchResult]
) -> None:
    """Write the labeler's verdict on every hit, in one insert."""
    when = datetime(2026, 1, 1)
    judgments = [
        (when, query_key(result.query), hit.item_id, labeler.verdict(query, hit), labeler.name, None)
        for query, result in zip(queries, results, strict=True)
        for hit in result.hits
    ]
    with catalog.database.transaction() as cursor:
        insert_frame(cursor, "judgments", pd.DataFrame(judgments))


def true_ndcg(taste: Taste, space: VectorSpace, items: list[Item], queries: list[Item]) -> float:
    """Return the mean nDCG@10 of the taste over the whole catalog."""
    vectors = space.vectors(np.array([item.key for item in items], np.uint64))
    places = {item.item_id: place for place, item in enumerate(items)}
    grades = taste.qrels(queries, items)
    values = []
    for query in queries:
        scores = vectors @ vectors[places[query.item_id]]
        scores[places[query.item_id]] = -np.inf
        order = np.argsort(-scores)[:-1]
        values.append(
            condensed_ndcg(np.array([grades[query.item_id][items[k].item_id] for k in order], float))
        )
    return float(np.mean(values))


if __name__ == "__main__":
    main()
