"""Training data of an adaptation: queries with graded relevances, titles, products, each in one part of the split.

A query, title or product is in the part `train`, `validation` or `test` by a hash of its name and the seed.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from imgsearch.core.errors import AdaptationError, EncoderError, ImgSearchError, QueryError, UnknownItem
from imgsearch.core.key_arrays import Keys
from imgsearch.core.query import Query
from imgsearch.core.records import Item
from imgsearch.encoders.base import Encoder
from imgsearch.improve.adaptation.relevance import RelevanceTable, relevance_table
from imgsearch.improve.judging.topics import Topic, topic_query
from imgsearch.index.vector_space import Rows
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.feedback import FeedbackLog

Part = Literal["train", "validation", "test"]
Embed = Callable[[Query], Rows]

SPLIT: Mapping[Part, float] = {"train": 0.6, "validation": 0.2, "test": 0.2}
MIN_TEST_QUERIES = 30
"""With fewer test queries the confidence interval is too wide to publish anything."""
MAX_QUERIES = 5_000
MAX_ITEMS_PER_QUERY = 48
MAX_SAMPLED_ITEMS = 10_000
"""Items sampled for principal axes, negatives, titles and products; more would not change the result."""
SAMPLED_RUN = 50
MAX_TITLES = 1_500
MAX_TITLE_LENGTH = 300
ENCODE_BATCH = 64
PRODUCT_COLUMNS = ("product_id", "product", "sku", "style_id", "group_id", "parent_id")
UNKNOWN_PICTURE = "(image)"
"""The text of a query whose picture was not stored."""


@dataclass(frozen=True, eq=False)
class LabeledQuery:
    """A query's embedding, the keys of the items that it names, and its rated items with relevances and weights."""

    query_key: str
    part: Part
    vector: Rows
    own: Keys
    keys: Keys
    relevances: Rows
    weights: Rows


@dataclass(frozen=True, eq=False)
class ItemGroup:
    """Items of one title, whose embedding is `text`, or of one product."""

    part: Part
    keys: Keys
    text: Rows | None = None


@dataclass(frozen=True, eq=False)
class TrainingData:
    """All parts of the data; `sample` are keys of the catalog, `skipped` counts unusable queries by reason."""

    relevance: RelevanceTable
    queries: list[LabeledQuery]
    skipped: Mapping[str, int]
    sample: Keys
    titles: list[ItemGroup]
    products: list[ItemGroup]
    notes: tuple[str, ...]

    def queries_of(self, part: Part) -> list[LabeledQuery]:
        """Return the queries of one part, those with most feedback first."""
        return [query for query in self.queries if query.part == part]

    def sizes(self) -> dict[str, int]:
        """Return the number of queries in each part."""
        return {part: len(self.queries_of(part)) for part in SPLIT}


def read_training_data(
    catalog: CatalogStore,
    feedback: FeedbackLog,
    embed: Embed,
    encoder: Callable[[], Encoder],
    *,
    seed: int,
    eta: float | None = None,
    product_column: str | None = None,
) -> TrainingData:
    """Return the data of all feedback; the parameters are those of `adapt`.

    Raises `AdaptationError` for too few usable queries or an unknown product column.
    """
    column = _product_column(catalog, product_column)
    feedback.flush()
    table = relevance_table(catalog, feedback.latest_judgments(), eta=eta)
    queries, skipped = _labeled_queries(catalog, table.frame, embed, column, seed)
    parts = Counter(query.part for query in queries)
    if parts["test"] < MIN_TEST_QUERIES or parts["validation"] < MIN_TEST_QUERIES // 2:
        reasons = ", ".join(f"{count:,} {why}" for why, count in skipped.items())
        raise AdaptationError(
            f"{len(queries):,} queries have usable feedback{f' (left out: {reasons})' if reasons else ''}, but "
            f"about {MIN_TEST_QUERIES / SPLIT['test']:.0f} are needed to measure an improvement; collect more "
            "clicks or judgments."
        )
    items = _sampled_items(catalog, seed)
    titles, notes = _title_groups(items, encoder, seed)
    sample = np.array([item.key for item in items], np.uint64)
    products = _product_groups(items, column, seed)
    return TrainingData(table, queries, skipped, sample, titles, products, notes)


def part_of(name: str, seed: int) -> Part:
    """Return the part of a name; it depends on the name and the seed only."""
    place = int.from_bytes(hashlib.sha256(f"{seed} {name}".encode()).digest()[:8]) / 2.0**64
    for part, share in SPLIT.items():
        if place < share:
            return part
        place -= share
    return "test"


def _labeled_queries(
    catalog: CatalogStore, frame: pd.DataFrame, embed: Embed, column: str | None, seed: int
) -> tuple[list[LabeledQuery], dict[str, int]]:
    """Return the usable queries, those with most feedback first, and the number of others by reason."""
    skipped: Counter[str] = Counter()
    known = {item.item_id: item for item in catalog.get_many(list(frame["item_id"].unique()))}
    groups = frame[frame["item_id"].isin(known)].groupby("query_key")
    order = groups["weight"].sum().sort_values(ascending=False, kind="stable").index
    queries: list[LabeledQuery] = []
    for number, query_key in enumerate(map(str, order)):
        if len(queries) == MAX_QUERIES:
            skipped["beyond the maximum number"] = len(order) - number
            break
        rated = groups.get_group(query_key).nlargest(MAX_ITEMS_PER_QUERY, "weight")
        try:
            query = topic_query(Topic(query_key, "query", query_key))
            if any(term.value == UNKNOWN_PICTURE for term in query.terms):
                raise QueryError("The picture of this query was not stored.")
            own = [str(term.value) for term in query.terms if term.kind == "item"]
            rated = rated[~rated["item_id"].isin(own)]
            if len(rated) < 2 or rated["relevance"].max() - rated["relevance"].min() < 1e-3:
                skipped["whose feedback prefers no item"] += 1
                continue
            vector = embed(query)
        except UnknownItem:
            skipped["for items that were removed"] += 1
        except QueryError:
            skipped["for pictures that are no longer stored"] += 1
        except EncoderError:
            skipped["that need the model, which could not be loaded"] += 1
        except ImgSearchError:
            skipped["that cannot be read"] += 1
        else:
            part = part_of(_split_name(query, query_key, catalog, column), seed)
            own_keys = np.array([catalog.get(item_id).key for item_id in own], np.uint64)
            keys = np.array([known[item_id].key for item_id in rated["item_id"]], np.uint64)
            relevances, weights = (rated[name].to_numpy(np.float32) for name in ("relevance", "weight"))
            queries.append(LabeledQuery(query_key, part, vector, own_keys, keys, relevances, weights))
    return queries, dict(skipped)


def _split_name(query: Query, query_key: str, catalog: CatalogStore, column: str | None) -> str:
    """Return the name that the split hashes: queries by photos of one product share it."""
    (first, *others) = query.terms
    if column and not others and first.kind == "item":
        product = catalog.get(str(first.value)).metadata.get(column)
        if product is not None:
            return f"product {product}"
    return query_key


def _sampled_items(catalog: CatalogStore, seed: int) -> list[Item]:
    """Return all items, or of a large catalog random runs of neighbours, which include photos of one product."""
    keys = catalog.keys()
    if len(keys) > MAX_SAMPLED_ITEMS:
        runs = np.array_split(keys, len(keys) // SAMPLED_RUN)
        order = np.random.default_rng(seed).permutation(len(runs))
        keys = np.concatenate([runs[run] for run in np.sort(order[: MAX_SAMPLED_ITEMS // SAMPLED_RUN])])
    return catalog.by_keys(keys)


def _title_groups(
    items: Sequence[Item], encoder: Callable[[], Encoder], seed: int
) -> tuple[list[ItemGroup], tuple[str, ...]]:
    """Return items by title (or name, or category) with the title's embedding, and notes."""
    by_title: dict[str, list[int]] = {}
    for item in items:
        values = (item.metadata.get(column) for column in ("title", "name", "category"))
        title = next((value for value in values if isinstance(value, str) and value.strip()), None)
        if title is not None:
            by_title.setdefault(" ".join(title.split())[:MAX_TITLE_LENGTH], []).append(item.key)
    titles = sorted(by_title)
    order = np.random.default_rng(seed).permutation(len(titles))[:MAX_TITLES]
    titles = [titles[place] for place in order]
    if not titles:
        return [], ("The items have no title, name or category, so texts are neither trained nor guarded.",)
    try:
        model = encoder()
        batches = [titles[start : start + ENCODE_BATCH] for start in range(0, len(titles), ENCODE_BATCH)]
        rows = np.concatenate([model.encode_texts(batch) for batch in batches])
    except EncoderError as error:
        return [], (f"Texts are neither trained nor guarded: {error}",)
    groups = [
        ItemGroup(part_of(f"title {title}", seed), np.array(by_title[title], np.uint64), row)
        for title, row in zip(titles, rows, strict=True)
    ]
    return groups, ()


def _product_groups(items: Sequence[Item], column: str | None, seed: int) -> list[ItemGroup]:
    """Return the products with more than one photo."""
    by_product: dict[str, list[int]] = {}
    for item in items:
        if column and item.metadata.get(column) is not None:
            by_product.setdefault(str(item.metadata[column]), []).append(item.key)
    return [
        ItemGroup(part_of(f"product {product}", seed), np.array(keys, np.uint64))
        for product, keys in by_product.items()
        if len(keys) > 1
    ]


def _product_column(catalog: CatalogStore, name: str | None) -> str | None:
    """Return the column whose equal values mean one product; raises `AdaptationError` for an unknown one."""
    if name is not None and name not in catalog.metadata.columns:
        known = ", ".join(catalog.metadata.columns) or "none"
        raise AdaptationError(f"There is no column {name[:80]!r}; this catalog has: {known}.")
    by_name = {column.casefold(): column for column in catalog.metadata.columns}
    return name or next((by_name[column] for column in PRODUCT_COLUMNS if column in by_name), None)
