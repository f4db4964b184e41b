"""Adaptation: trains a head on feedback over the frozen embeddings, and tests it on queries that it has not seen."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from imgsearch.core.background import Progress
from imgsearch.core.query import Query
from imgsearch.encoders.base import Encoder
from imgsearch.improve.adaptation.evaluation import (
    Guard,
    Sample,
    confidence_interval,
    guard_sets,
    hit_rate,
    measure_guards,
    ndcg,
    samples,
)
from imgsearch.improve.adaptation.training import TrainingSet, principal_basis, train_head, training_set
from imgsearch.improve.adaptation.training_data import TrainingData, read_training_data
from imgsearch.index.heads import Projection, save_head
from imgsearch.index.vector_space import Rows, VectorSpace, live_space
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.feedback import FeedbackLog

MEASURE = "nDCG@10"
RANKS = (8, 32)
STRENGTHS = (0.25, 0.5, 0.75, 1.0)
STEPS = 300
BASIS_SIZE = 256
NO_CANDIDATE = f"No candidate improves {MEASURE} on the validation queries; nothing to publish."
ALL_FAIL_GUARDS = (
    f"The candidates improve {MEASURE} only by making texts or photos of one product harder to find; "
    "nothing to publish."
)


@dataclass(frozen=True, slots=True)
class AdaptationReport:
    """The data of an adaptation and its result on the test queries.

    `before` is the published search, `after` the best candidate; `low` and `high` bound the mean change (99%).
    `reason` is a sentence that explains `worth_publishing`; `head` is the id of the saved head. `skipped` counts the
    unusable queries by reason.
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
        """The mean change of nDCG@10."""
        return self.after - self.before

    def as_dict(self) -> dict[str, Any]:
        """Return the report as the JSON of `imgsearch adapt --json`."""
        guards = [{**asdict(guard), "holds": guard.holds} for guard in self.guards]
        return {**asdict(self), "measure": MEASURE, "change": self.change, "guards": guards}


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
    """Train a head on all feedback, test it on held-out queries, and return the report.

    `embed` returns a query's (dim,) embedding (`Searcher.embedding`). Titles are left out where `encoder` raises
    `EncoderError`. `eta` is the exponent of the position bias, estimated where None. With `keep`, a head that wins is
    saved, but not published. Raises `AdaptationError` for too little feedback or an unknown product column.
    """
    started = time.monotonic()
    data = read_training_data(
        catalog, feedback, embed, encoder, seed=seed, eta=eta, product_column=product_column
    )
    base, active = VectorSpace(catalog), live_space(catalog)
    train = training_set(base, data)
    table = data.relevance
    report = AdaptationReport(
        seed=seed,
        space=active.id,
        impressions=table.impressions,
        clicks=table.clicks,
        judgments=table.judgments,
        eta=table.attention.eta,
        eta_source=table.attention.source,
        text_pairs=train.text_pairs,
        product_pairs=train.product_pairs,
        queries=data.sizes(),
        skipped=data.skipped,
        notes=data.notes,
    )
    candidate, strength, guards_failed = _best_candidate(base, active, data, train, seed, progress)
    if candidate is None:
        report = replace(report, reason=ALL_FAIL_GUARDS if guards_failed else NO_CANDIDATE)
    else:
        report = _tested(replace(report, strength=strength), base, active, data, candidate)
        if report.worth_publishing:
            found = samples(catalog, base, data.queries_of("test"), active, candidate)
            report = replace(report, samples=found, seconds=time.monotonic() - started)
            if keep:
                saved = save_head(catalog, candidate, report=report.as_dict())
                report = replace(report, head=saved.id)
    return replace(report, seconds=round(time.monotonic() - started, 2))


def _best_candidate(
    base: VectorSpace,
    active: VectorSpace,
    data: TrainingData,
    train: TrainingSet,
    seed: int,
    progress: Progress | None,
) -> tuple[Projection | None, float, bool]:
    """Return the best candidate on the validation queries, its strength, and whether guards refused a better one."""
    rows = base.vectors(data.sample)
    basis = principal_basis(rows[np.linalg.norm(rows, axis=1) > 0.5], BASIS_SIZE)
    validation = data.queries_of("validation")
    guards = guard_sets(base, data, "validation", seed)
    rates = [hit_rate(guard, active.project) for guard in guards]
    before = ndcg(base, validation, active.project)
    best, best_strength, best_gain, guards_failed = None, 0.0, 0.0, False
    for trained, rank in enumerate(RANKS):

        def step(done: int, total: int, offset: int = trained * STEPS) -> None:
            if progress:
                progress(offset + done, len(RANKS) * STEPS)

        u, v = train_head(train, basis, rank=rank, steps=STEPS, seed=seed, progress=step)
        for strength in STRENGTHS:
            projection = Projection(basis.mean, u, v * np.float32(strength))
            gain = float(np.mean(ndcg(base, validation, projection) - before))
            if gain <= best_gain:
                continue
            # A guard that only just holds here may fail on the test queries.
            if not all(guard.holds_easily for guard in measure_guards(guards, rates, projection)):
                guards_failed = True
                continue
            best, best_strength, best_gain = projection, strength, gain
    return best, best_strength, guards_failed


def _tested(
    report: AdaptationReport,
    base: VectorSpace,
    active: VectorSpace,
    data: TrainingData,
    candidate: Projection,
) -> AdaptationReport:
    """Return the report with the candidate's result on the test queries."""
    test = data.queries_of("test")
    before, after = ndcg(base, test, active.project), ndcg(base, test, candidate)
    low, high = confidence_interval(after - before, report.seed)
    sets = guard_sets(base, data, "test", report.seed)
    guards = measure_guards(sets, [hit_rate(guard, active.project) for guard in sets], candidate)
    return replace(
        report,
        rank=candidate.u.shape[1],
        worth_publishing=low > 0 and all(guard.holds for guard in guards),
        reason=_result_reason(len(test), float((after - before).mean()), low, high, guards),
        before=float(before.mean()),
        after=float(after.mean()),
        low=low,
        high=high,
        guards=guards,
    )


def _result_reason(queries: int, change: float, low: float, high: float, guards: Sequence[Guard]) -> str:
    """Return whether the candidate wins on the test queries, and why or why not."""
    result = f"{MEASURE} on {queries:,} held-out queries changes by {change:+.4f} ({low:+.4f} to {high:+.4f})"
    if low <= 0:
        return f"{result}, which may be chance; nothing to publish."
    for guard in guards:
        if not guard.holds:
            loss = f"{guard.name} falls from {guard.before:.0%} to {guard.after:.0%}"
            return f"{result}, but {loss}; nothing to publish."
    return f"{result}: worth publishing."
