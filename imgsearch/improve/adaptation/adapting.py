"""Adaptation: trains a head on feedback over the frozen embeddings, and tests it on queries that it has not seen."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.query import Query
from imgsearch.encoders.base import Encoder
from imgsearch.improve.adaptation.evaluation import (
    confidence_interval,
    guard_sets,
    hit_rate,
    measure_guards,
    ndcg,
    samples,
)
from imgsearch.improve.adaptation.report import AdaptationReport, no_candidate_reason, result_reason
from imgsearch.improve.adaptation.training import principal_basis, train_head
from imgsearch.improve.adaptation.training_data import TrainingData, read_training_data
from imgsearch.improve.adaptation.training_set import TrainingSet, training_set
from imgsearch.index.heads import Projection, save_head
from imgsearch.index.vector_space import VectorSpace, live_space
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.feedback import FeedbackLog

__all__ = ["adapt"]

Rows = NDArray[np.float32]
Progress = Callable[[int, int], None]

RANKS = (8, 32)
STRENGTHS = (0.25, 0.5, 0.75, 1.0)
STEPS = 300
BASIS_SIZE = 256


@dataclass(frozen=True, eq=False)
class _Candidate:
    projection: Projection
    rank: int
    strength: float


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
    report = _new_report(data, train, active.id, seed)
    candidate, guards_failed = _best_candidate(base, active, data, train, seed, progress)
    if candidate is None:
        report = replace(report, reason=no_candidate_reason(guards_failed))
    else:
        report = _tested(report, base, active, data, candidate)
        if report.worth_publishing:
            found = samples(catalog, base, data.queries_of("test"), active, candidate.projection)
            report = replace(report, samples=found, seconds=time.monotonic() - started)
            if keep:
                saved = save_head(catalog, candidate.projection, report=report.as_dict())
                report = replace(report, head=saved.id)
    return replace(report, seconds=round(time.monotonic() - started, 2))


def _new_report(data: TrainingData, train: TrainingSet, space_id: str, seed: int) -> AdaptationReport:
    table = data.relevance
    return AdaptationReport(
        seed=seed,
        space=space_id,
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


def _best_candidate(
    base: VectorSpace,
    active: VectorSpace,
    data: TrainingData,
    train: TrainingSet,
    seed: int,
    progress: Progress | None,
) -> tuple[_Candidate | None, bool]:
    """Return the best candidate on the validation queries, if any, and whether guards refused a better one."""
    rows = base.vectors(data.sample)
    basis = principal_basis(rows[np.linalg.norm(rows, axis=1) > 0.5], BASIS_SIZE)
    validation = data.queries_of("validation")
    guards = guard_sets(base, data, "validation", seed)
    rates = [hit_rate(guard, active.project) for guard in guards]
    before = ndcg(base, validation, active.project)
    best, best_gain, guards_failed = None, 0.0, False
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
            best, best_gain = _Candidate(projection, rank, strength), gain
    return best, guards_failed


def _tested(
    report: AdaptationReport,
    base: VectorSpace,
    active: VectorSpace,
    data: TrainingData,
    candidate: _Candidate,
) -> AdaptationReport:
    """Return the report with the candidate's result on the test queries."""
    test, projection = data.queries_of("test"), candidate.projection
    before, after = ndcg(base, test, active.project), ndcg(base, test, projection)
    low, high = confidence_interval(after - before, report.seed)
    sets = guard_sets(base, data, "test", report.seed)
    guards = measure_guards(sets, [hit_rate(guard, active.project) for guard in sets], projection)
    return replace(
        report,
        rank=candidate.rank,
        strength=candidate.strength,
        worth_publishing=low > 0 and all(guard.holds for guard in guards),
        reason=result_reason(len(test), float((after - before).mean()), low, high, guards),
        before=float(before.mean()),
        after=float(after.mean()),
        low=low,
        high=high,
        guards=guards,
    )
