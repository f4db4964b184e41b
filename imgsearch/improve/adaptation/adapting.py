"""Adaptation: a light head learned from feedback on the frozen embeddings, and whether it is worth publishing.

It owns what is learned from (clicks and judgments by `imgsearch.improve.adaptation.training_pairs`, catalog
texts, other
photos of the same product), the split of the queries, the choice among candidates, and the test on queries that
none of it has seen; and how a head is put in force: vectors and index first, then one row, so that a process killed
at any moment leaves the old or the new in force. It knows no pages and no visitors.

The measure is nDCG@10 (Järvelin and Kekäläinen, "Cumulated Gain-Based Evaluation of IR Techniques", TOIS 2002) with
the relevances estimated from feedback as gains, over the items of which something is known: unjudged ones are left
out of the ranking instead of counting as bad (condensed lists: Sakai, "Alternatives to Bpref", SIGIR 2007), since the
search in force chose what was shown, and what a new one brings up would be held against it. What condensed lists
cannot see, guards do: over the whole catalog, texts must still find their items, and photos those of their product.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.errors import AdaptationError, EncoderError, ImgSearchError, QueryError, UnknownItem
from imgsearch.core.query import Query
from imgsearch.core.records import Item
from imgsearch.encoders.base import Encoder
from imgsearch.improve.adaptation.learning import Lesson, learn, principal_basis
from imgsearch.improve.adaptation.training_pairs import relevance_table
from imgsearch.improve.judging.topics import Topic, topic_query
from imgsearch.index.exact_search import exact_top_k
from imgsearch.index.heads import Projection, get_head, previous_head, publish, rollback, save_head
from imgsearch.index.live_index import LiveIndex
from imgsearch.index.opening import open_live_index
from imgsearch.index.vector_space import VectorSpace, live_space
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.feedback import FeedbackLog

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "AdaptationReport",
    "Guard",
    "Sample",
    "adapt",
    "condensed_ndcg",
    "part_of",
    "publish_head",
    "roll_back_head",
]

Keys = NDArray[np.uint64]
Rows = NDArray[np.float32]
Places = NDArray[np.int64]
Part = Literal["train", "validation", "test"]
Progress = Callable[[int, int], None]

MEASURE = "nDCG@10"
CUTOFF = 10
FEWEST_QUERIES = 30
"""With fewer usable test queries an interval says too little to publish anything by it."""
MOST_QUERIES = 5_000
LONGEST_LIST = 48
SHARES: Mapping[Part, float] = {"train": 0.6, "validation": 0.2, "test": 0.2}
RANKS = (8, 32)
STRENGTHS = (0.25, 0.5, 0.75, 1.0)
STEPS = 300
BASIS_SIZE = 256
SAMPLED_ITEMS = 10_000
"""Items drawn for the principal axes, negatives, texts and products: more would not change what is learned."""
MOST_TEXTS = 1_500
MOST_PAIRS = 5_000
GUARD_QUERIES = 300
GUARD_ITEMS = 5_000
HALF_TRUST = 40.0
"""What is known from so many examined impressions is learned from at half its face value.

At 30 visits a query a single click far down the page would otherwise outweigh what dozens of people agree on
(`scripts/simulate_adaptation.py --kinds clicks --visits 30`).
"""
LARGEST_LOSS = 0.05
"""A guard may lose this share of what it was."""
BOOTSTRAP_SAMPLES = 10_000
BOUNDS = (0.5, 99.5)
"""Percentiles between which the mean change lies: wide, for `adapt` is run again and again, and each run may err."""
SHOWN_SAMPLES = 6
SHOWN_HITS = 6
PRODUCT_COLUMNS = ("product_id", "product", "sku", "style_id", "group_id", "parent_id")
UNKNOWN_PICTURE = "(image)"


@dataclass(frozen=True, slots=True)
class Guard:
    """One thing that must not get worse: the share of queries that find what they must, before and after."""

    name: str
    before: float
    after: float
    queries: int

    @property
    def holds(self) -> bool:
        """Whether no more than `LARGEST_LOSS` of it is lost."""
        return self.after >= self.before * (1.0 - LARGEST_LOSS)

    @property
    def holds_easily(self) -> bool:
        """Whether it loses no more than half of what it may."""
        return self.after >= self.before * (1 - LARGEST_LOSS / 2)


@dataclass(frozen=True, slots=True)
class Sample:
    """A test query, its change of the measure, and the ids of its first hits before and after, best first."""

    query_key: str
    change: float
    before: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AdaptationReport:
    """What was learned from, and what it is worth on the test queries.

    `before` is the search in force, `after` the best candidate; `low` and `high` bound the mean change (99%).
    `worth_publishing` says whether it wins, `reason` why or why not, in a sentence; `head` is the id of what is kept.
    `skipped` counts the queries that could not be used, by reason.
    """

    seed: int
    space: str
    impressions: int
    clicks: int
    judgments: int
    eta: float
    eta_source: str
    text_pairs: int
    product_pairs: int
    queries: Mapping[str, int]
    skipped: Mapping[str, int]
    notes: tuple[str, ...]
    worth_publishing: bool = False
    reason: str = ""
    rank: int = 0
    strength: float = 0.0
    before: float = 0.0
    after: float = 0.0
    low: float = 0.0
    high: float = 0.0
    guards: tuple[Guard, ...] = ()
    samples: tuple[Sample, ...] = ()
    head: str = ""
    seconds: float = 0.0

    @property
    def change(self) -> float:
        """The mean change of the measure."""
        return self.after - self.before

    def as_dict(self) -> dict[str, Any]:
        """Return the report as the JSON of `imgsearch adapt --json`."""
        guards = [{**asdict(guard), "holds": guard.holds} for guard in self.guards]
        return {**asdict(self), "measure": MEASURE, "change": self.change, "guards": guards}


@dataclass(frozen=True, eq=False)
class _List:
    """One query: its embedding, the keys of its own items, and of the items known for it keys and relevances."""

    query_key: str
    part: Part
    vector: Rows
    own: Keys
    keys: Keys
    relevances: Rows
    weights: Rows


@dataclass(frozen=True, eq=False)
class _Group:
    """Items that belong together: of one title, whose embedding is `text`, or of one product."""

    part: Part
    keys: Keys
    text: Rows | None = None


@dataclass(frozen=True, eq=False)
class _Check:
    """A guard's queries: each must find one of its `wanted` rows among the `rows` of items, itself left out."""

    name: str
    queries: Rows
    rows: Rows
    wanted: list[Places]
    own: Places


def adapt(
    catalog: CatalogStore,
    feedback: FeedbackLog,
    embed: Callable[[Query], Rows],
    encoder: Callable[[], Encoder],
    *,
    seed: int = 0,
    eta: float | None = None,
    product_column: str | None = None,
    keep: bool = True,
    progress: Progress | None = None,
) -> AdaptationReport:
    """Learn a head from all feedback there is, test it on held-out queries, and return what came of it.

    `embed` gives a query's (dim,) embedding (`Searcher.embedding`); `encoder` is asked for texts, and where it is not
    to be had they are left out. `eta` (how fast attention falls with the rank) is estimated where it is None. A head
    that wins is kept, not published, where `keep` holds. Raises `AdaptationError` where there is too little feedback
    to tell anything, or no such product column.
    """
    started = time.monotonic()
    step = _Counter(progress, len(RANKS) * STEPS)
    column = _product_column(catalog, product_column)
    feedback.flush()
    table = relevance_table(catalog, feedback.latest_judgments(), eta=eta)
    lists, skipped = _lists(catalog, table.frame, embed, column, seed)
    parts = Counter(one.part for one in lists)
    if parts["test"] < FEWEST_QUERIES or parts["validation"] < FEWEST_QUERIES // 2:
        raise _too_little(len(lists), skipped)
    base, now = VectorSpace(catalog), live_space(catalog)
    items = _sampled_items(catalog, seed)
    titles, notes = _titles(items, encoder, seed)
    products = _products(items, column, seed)
    rows = base.vectors(np.array([item.key for item in items], np.uint64))
    basis = principal_basis(rows[np.linalg.norm(rows, axis=1) > 0.5], BASIS_SIZE)
    lesson, text_pairs, product_pairs = _lesson(base, lists, titles, products, items)
    report = AdaptationReport(
        seed=seed,
        space=now.id,
        impressions=table.impressions,
        clicks=table.clicks,
        judgments=table.judgments,
        eta=table.attention.eta,
        eta_source=table.attention.source,
        text_pairs=text_pairs,
        product_pairs=product_pairs,
        queries={part: parts[part] for part in SHARES},
        skipped=skipped,
        notes=notes,
    )
    validation = [one for one in lists if one.part == "validation"]
    checks = _checks(base, titles, products, items, "validation", seed)
    before = _ndcg(base, validation, now.project)
    best, best_gain, refused = None, 0.0, 0
    for rank in RANKS:
        u, v = learn(lesson, basis, rank=rank, steps=STEPS, seed=seed, progress=step)
        for strength in STRENGTHS:
            candidate = Projection(basis.mean, u, v * np.float32(strength))
            gain = float(np.mean(_ndcg(base, validation, candidate) - before))
            if gain <= best_gain:
                continue
            # With some room: what only just holds here is as likely as not to fail on the test queries.
            if not all(guard.holds_easily for guard in _guards(checks, now.project, candidate)):
                refused += 1
                continue
            best, best_gain = candidate, gain
            report = replace(report, rank=rank, strength=strength)
    if best is None:
        why = (
            f"What was learned makes {MEASURE} better only by making texts or photos of one product harder to find"
            if refused
            else f"Nothing that was learned makes {MEASURE} better on the validation queries"
        )
        return replace(report, reason=f"{why}; nothing to publish.", seconds=time.monotonic() - started)
    test = [one for one in lists if one.part == "test"]
    checks = _checks(base, titles, products, items, "test", seed)
    report = _tested(report, base, test, now.project, best, _guards(checks, now.project, best))
    if report.worth_publishing:
        samples = _samples(catalog, base, test, now, best)
        report = replace(report, samples=samples, seconds=time.monotonic() - started)
        if keep:
            report = replace(report, head=save_head(catalog, best, report=report.as_dict()).id)
    return replace(report, seconds=round(time.monotonic() - started, 2))


# --- putting a head in force --------------------------------------------------------------------------------------


def publish_head(
    catalog: CatalogStore, head_id: str, *, threads: int = 1, progress: Progress | None = None
) -> LiveIndex:
    """Put a head in force and return its index; no photo is decoded.

    Raises `AdaptationError` for an unknown head and `CatalogCorrupt` for a damaged one; nothing changes then.
    """
    space = VectorSpace(catalog, get_head(catalog, head_id))
    index = open_live_index(catalog, threads=threads, progress=progress, space=space)
    publish(catalog, head_id)
    return index


def roll_back_head(catalog: CatalogStore, *, threads: int = 1) -> LiveIndex:
    """Put in force again what was before the present head, and return its index.

    Raises `AdaptationError` where no head is in force.
    """
    space = VectorSpace(catalog, previous_head(catalog))
    index = open_live_index(catalog, threads=threads, space=space)
    rollback(catalog)
    return index


# --- measuring ----------------------------------------------------------------------------------------------------


def condensed_ndcg(gains: NDArray[np.floating[Any]], k: int = CUTOFF) -> float:
    """Return nDCG@k of the gains in the order ranked, the ideal being the same gains in falling order.

    Gains need not be whole; 0 where there are none. The same as that of trec_eval for whole gains.
    """
    discounts = 1.0 / np.log2(np.arange(2, min(k, len(gains)) + 2))
    ideal = float(np.sort(gains)[::-1][:k] @ discounts)
    return float(gains[:k] @ discounts) / ideal if ideal > 0 else 0.0


def _ndcg(base: VectorSpace, lists: Sequence[_List], project: Callable[[Rows], Rows]) -> NDArray[np.float64]:
    """Return the measure of each query, ties in the order of the keys."""
    values = []
    for start in range(0, len(lists), 100):
        part = lists[start : start + 100]
        keys = np.unique(np.concatenate([one.keys for one in part]))
        rows = project(base.vectors(keys))
        queries = project(np.stack([one.vector for one in part]))
        for one, query in zip(part, queries, strict=True):
            scores = rows[np.searchsorted(keys, one.keys)] @ query
            order = np.lexsort((one.keys, -np.round(scores, 6)))
            values.append(condensed_ndcg(one.relevances[order].astype(np.float64)))
    return np.array(values, np.float64)


def _tested(
    report: AdaptationReport,
    base: VectorSpace,
    test: Sequence[_List],
    now: Callable[[Rows], Rows],
    candidate: Projection,
    guards: tuple[Guard, ...],
) -> AdaptationReport:
    """Return the report with what the candidate does to queries on which nothing was learned or chosen."""
    before, after = _ndcg(base, test, now), _ndcg(base, test, candidate)
    changes = after - before
    rng = np.random.default_rng(report.seed)
    # Percentile bootstrap over queries: Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13.
    means = [changes[rng.integers(0, len(changes), len(changes))].mean() for _ in range(BOOTSTRAP_SAMPLES)]
    low, high = (float(bound) for bound in np.percentile(means, BOUNDS))
    broken = [guard for guard in guards if not guard.holds]
    change = float(changes.mean())
    told = f"{MEASURE} on {len(test):,} held-out queries changes by {change:+.4f} ({low:+.4f} to {high:+.4f})"
    if low <= 0:
        reason = f"{told}, which may be chance; nothing to publish."
    elif broken:
        lost = broken[0]
        reason = (
            f"{told}, but {lost.name} falls from {lost.before:.0%} to {lost.after:.0%}; nothing to publish."
        )
    else:
        reason = f"{told}: worth publishing."
    return replace(
        report,
        worth_publishing=low > 0 and not broken,
        reason=reason,
        before=float(before.mean()),
        after=float(after.mean()),
        low=low,
        high=high,
        guards=guards,
    )


def _samples(
    catalog: CatalogStore, base: VectorSpace, test: Sequence[_List], now: VectorSpace, candidate: Projection
) -> tuple[Sample, ...]:
    """Return the test queries that change most, two thirds of them for the better, with their hits."""
    changes = _ndcg(base, test, candidate) - _ndcg(base, test, now.project)
    order = np.argsort(-changes, kind="stable")
    losers = SHOWN_SAMPLES // 3
    chosen = [int(place) for place in dict.fromkeys([*order[: SHOWN_SAMPLES - losers], *order[-losers:]])]
    keys = catalog.keys()
    queries = np.stack([test[place].vector for place in chosen])
    most_own = max(len(test[place].own) for place in chosen)
    found = [
        exact_top_k(vectors, keys, project(queries), min(SHOWN_HITS + most_own, len(keys)))
        for vectors, project in ((now, now.project), (_Projected(base, candidate), candidate))
    ]

    def ids(hits: tuple[Keys, Rows], own: Keys) -> tuple[str, ...]:
        return tuple(item.item_id for item in catalog.by_keys(hits[0][~np.isin(hits[0], own)][:SHOWN_HITS]))

    return tuple(
        Sample(
            test[place].query_key,
            float(changes[place]),
            ids(first, test[place].own),
            ids(last, test[place].own),
        )
        for place, first, last in zip(chosen, *found, strict=True)
    )


@dataclass(frozen=True)
class _Projected:
    """The vectors of a head that is not kept yet."""

    base: VectorSpace
    projection: Projection

    def vectors(self, keys: Keys) -> Rows:
        return self.projection(self.base.vectors(keys))


# --- guards -------------------------------------------------------------------------------------------------------


def _checks(
    base: VectorSpace,
    titles: list[_Group],
    products: list[_Group],
    items: Sequence[Item],
    part: Part,
    seed: int,
) -> list[_Check]:
    """Return what must not get worse, on texts and products of one part; those with too few queries are left out."""
    rng = np.random.default_rng(seed)
    checks = []
    every = np.array([item.key for item in items], np.uint64)
    for name, groups in (("text search", titles), ("other photos of the product", products)):
        mine = [group for group in groups if group.part == part]
        mine = [mine[place] for place in rng.permutation(len(mine))[:GUARD_QUERIES]]
        if len(mine) < FEWEST_QUERIES // 2:
            continue
        others = rng.permutation(every)[:GUARD_ITEMS]
        keys = np.unique(np.concatenate([others, *(group.keys for group in mine)]))
        rows = base.vectors(keys)
        wanted = [np.searchsorted(keys, group.keys) for group in mine]
        by_text = all(group.text is not None for group in mine)
        queries = np.stack(
            [
                group.text if group.text is not None else rows[w[0]]
                for group, w in zip(mine, wanted, strict=True)
            ]
        )
        own = np.array([-1 if by_text else w[0] for w in wanted], np.int64)
        checks.append(_Check(name, queries, rows, wanted, own))
    return checks


def _guards(
    checks: Sequence[_Check], before: Callable[[Rows], Rows], after: Callable[[Rows], Rows]
) -> tuple[Guard, ...]:
    return tuple(
        Guard(check.name, _found(check, before), _found(check, after), len(check.queries)) for check in checks
    )


def _found(check: _Check, project: Callable[[Rows], Rows]) -> float:
    """Return the share of a check's queries with a wanted row among the first 10."""
    scores = project(check.queries) @ project(check.rows).T
    found = 0
    for number, (wanted, own) in enumerate(zip(check.wanted, check.own, strict=True)):
        if own >= 0:
            scores[number, own] = -2.0
        rest = wanted[wanted != own]
        better = int(np.sum(scores[number] > scores[number, rest].max()))
        found += better < CUTOFF
    return found / len(check.queries)


# --- what is learned from -----------------------------------------------------------------------------------------


def _lists(
    catalog: CatalogStore, frame: pd.DataFrame, embed: Callable[[Query], Rows], column: str | None, seed: int
) -> tuple[list[_List], dict[str, int]]:
    """Return the queries that can be learned from, those with most feedback first, and why others cannot."""
    skipped: Counter[str] = Counter()
    known = {item.item_id: item for item in catalog.get_many(list(frame["item_id"].unique()))}
    frame = frame[frame["item_id"].isin(known)]
    weights = frame.groupby("query_key")["weight"].sum().sort_values(ascending=False, kind="stable")
    groups = frame.groupby("query_key")
    lists: list[_List] = []
    for query_key in weights.index:
        if len(lists) == MOST_QUERIES:
            skipped["beyond the number that is learned from"] = (
                len(weights) - len(lists) - sum(skipped.values())
            )
            break
        rows = groups.get_group(query_key).nlargest(LONGEST_LIST, "weight")
        try:
            query = _query(str(query_key))
            own = [str(term.value) for term in query.terms if term.kind == "item"]
            rows = rows[~rows["item_id"].isin(own)]
            if len(rows) < 2 or rows["relevance"].max() - rows["relevance"].min() < 1e-3:
                skipped["whose feedback prefers nothing"] += 1
                continue
            vector = embed(query)
        except UnknownItem:
            skipped["for items that are gone"] += 1
        except QueryError:
            skipped["for pictures that are no longer kept"] += 1
        except EncoderError:
            skipped["that need the model, which is not to be had"] += 1
        except ImgSearchError:
            skipped["that cannot be read"] += 1
        else:
            lists.append(
                _List(
                    query_key=str(query_key),
                    part=part_of(_split_by(query, query_key, catalog, column), seed),
                    vector=vector,
                    own=np.array([catalog.get(item_id).key for item_id in own], np.uint64),
                    keys=np.array([known[item_id].key for item_id in rows["item_id"]], np.uint64),
                    relevances=rows["relevance"].to_numpy(np.float32),
                    weights=rows["weight"].to_numpy(np.float32),
                )
            )
    return lists, dict(skipped)


def _query(query_key: str) -> Query:
    query = topic_query(Topic(query_key, "query", query_key))
    if any(term.value == UNKNOWN_PICTURE for term in query.terms):
        raise QueryError("The picture of this query was not kept.")
    return query


def _split_by(query: Query, query_key: str, catalog: CatalogStore, column: str | None) -> str:
    """Return what must not be split: all photos of one product are asked for in the same part."""
    (first, *others) = query.terms
    if column and not others and first.kind == "item":
        product = catalog.get(str(first.value)).metadata.get(column)
        if product is not None:
            return f"product {product}"
    return query_key


def part_of(name: str, seed: int) -> Part:
    """Return the part that a name falls into: always the same for one seed, whatever else there is."""
    place = int.from_bytes(hashlib.sha256(f"{seed} {name}".encode()).digest()[:8]) / 2.0**64
    for part, share in SHARES.items():
        if place < share:
            return part
        place -= share
    return "test"


def _sampled_items(catalog: CatalogStore, seed: int) -> list[Item]:
    """Return the items, of many a sample in runs of neighbours, among which are photos of the same product."""
    keys = catalog.keys()
    if len(keys) > SAMPLED_ITEMS:
        runs = np.array_split(keys, len(keys) // 50)
        rng = np.random.default_rng(seed)
        keys = np.concatenate(
            [runs[place] for place in np.sort(rng.permutation(len(runs))[: SAMPLED_ITEMS // 50])]
        )
    return catalog.by_keys(keys)


def _titles(
    items: Sequence[Item], encoder: Callable[[], Encoder], seed: int
) -> tuple[list[_Group], tuple[str, ...]]:
    """Return items by their title (their category where they have none) with the title's embedding, and notes."""
    by_words: dict[str, list[int]] = {}
    for item in items:
        for column in ("title", "name", "category"):
            words = item.metadata.get(column)
            if isinstance(words, str) and words.strip():
                by_words.setdefault(" ".join(words.split())[:300], []).append(item.key)
                break
    words = sorted(by_words)
    rng = np.random.default_rng(seed)
    words = [words[place] for place in rng.permutation(len(words))[:MOST_TEXTS]]
    if not words:
        return [], (
            "The items have no title, name or category, so texts were neither learned from nor guarded.",
        )
    try:
        model = encoder()
        rows = np.concatenate(
            [model.encode_texts(words[start : start + 64]) for start in range(0, len(words), 64)]
        )
    except EncoderError as error:
        return [], (f"Texts were neither learned from nor guarded: {error}",)
    groups = [
        _Group(part_of(f"title {title}", seed), np.array(by_words[title], np.uint64), row)
        for title, row in zip(words, rows, strict=True)
    ]
    return groups, ()


def _products(items: Sequence[Item], column: str | None, seed: int) -> list[_Group]:
    """Return the products with more than one photo."""
    by_product: dict[str, list[int]] = {}
    for item in items:
        if column and item.metadata.get(column) is not None:
            by_product.setdefault(str(item.metadata[column]), []).append(item.key)
    return [
        _Group(part_of(f"product {product}", seed), np.array(keys, np.uint64))
        for product, keys in by_product.items()
        if len(keys) > 1
    ]


def _lesson(
    base: VectorSpace,
    lists: Sequence[_List],
    titles: Sequence[_Group],
    products: Sequence[_Group],
    items: Sequence[Item],
) -> tuple[Lesson, int, int]:
    """Return what is learned from (training parts only), and how many pairs of texts and of products it has."""
    train = [one for one in lists if one.part == "train"]
    texts = [group for group in titles if group.part == "train" and group.text is not None]
    photos = [group for group in products if group.part == "train"]
    negatives = np.array([item.key for item in items], np.uint64)
    keys = np.unique(
        np.concatenate(
            [negatives, *(one.keys for one in train), *(group.keys for group in [*texts, *photos])]
        )
    )
    rows = base.vectors(keys)
    # Rows that are damaged on disk have no direction to learn from; they stand as if they were the first sound one.
    sound = np.linalg.norm(rows, axis=1) > 0.5
    rows[~sound] = rows[np.argmax(sound)]
    first_text = len(keys) + len(train)
    text_pairs = [
        (first_text + number, int(np.searchsorted(keys, key)))
        for number, group in enumerate(texts)
        for key in group.keys[:3]
    ]
    product_pairs = [
        (int(np.searchsorted(keys, left)), int(np.searchsorted(keys, right)))
        for group in photos
        for left, right in zip(group.keys, group.keys[1:], strict=False)
    ][:MOST_PAIRS]
    longest = max(len(one.keys) for one in train)
    places = np.full((len(train), longest), -1, np.int64)
    targets = np.zeros((len(train), longest), np.float32)
    for number, one in enumerate(train):
        places[number, : len(one.keys)] = np.searchsorted(keys, one.keys)
        # What is liked better than the query's other items: by how much, as far as that is known.
        above = np.clip(one.relevances - np.average(one.relevances, weights=one.weights), 0.0, None)
        above *= one.weights / (one.weights + HALF_TRUST)
        targets[number, : len(one.keys)] = above / max(float(above.sum()), 1e-6)
    lesson = Lesson(
        rows=np.concatenate(
            [
                rows,
                *(one.vector[None, :] for one in train),
                *(group.text[None, :] for group in texts if group.text is not None),
            ]
        ),
        queries=np.arange(len(keys), first_text),
        lists=places,
        targets=targets,
        pairs=np.array(text_pairs + product_pairs, np.int64).reshape(-1, 2),
        negatives=np.searchsorted(keys, negatives),
    )
    return lesson, len(text_pairs), len(product_pairs)


def _product_column(catalog: CatalogStore, wanted: str | None) -> str | None:
    """Return the column that says which photos show one product; raises `AdaptationError` for an unknown one."""
    if wanted is not None and wanted not in catalog.metadata.columns:
        known = ", ".join(catalog.metadata.columns) or "none"
        raise AdaptationError(f"There is no column {wanted[:80]!r}; this catalog has: {known}.")
    by_name = {name.casefold(): name for name in catalog.metadata.columns}
    return wanted or next((by_name[name] for name in PRODUCT_COLUMNS if name in by_name), None)


def _too_little(queries: int, skipped: Mapping[str, int]) -> AdaptationError:
    left_out = ", ".join(f"{count:,} {why}" for why, count in skipped.items())
    return AdaptationError(
        f"{queries:,} queries have feedback to learn from{f' (left out: {left_out})' if left_out else ''}, but about "
        f"{round(FEWEST_QUERIES / SHARES['test'])} are needed to tell whether anything learned is better; "
        "collect more clicks or judgments."
    )


class _Counter:
    """Counts the steps of several runs as one."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def __call__(self, done: int, total: int) -> None:
        self._done += 1
        if self._progress:
            self._progress(self._done, self._total)
