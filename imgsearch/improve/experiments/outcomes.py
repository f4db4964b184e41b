"""The outcome of an experiment: what its visitors did, arm by arm, and what to do about it in one sentence.

It owns what the rows mean (a search with its further pages, its clicks, its verdicts), the measures, and the verdict;
the formulas are in `imgsearch.improve.experiments.statistics`. It only reads, and sums in SQL: a million
rows never leave
the database.

A search is a first page with the further pages that the visitor asked for after it. Several clicks on one photo count
once, and "less like this" is no click. A failed arm's searches stay with it, as its visitors met them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from imgsearch.improve.experiments.experiments import Experiment
from imgsearch.improve.experiments.statistics import (
    ALPHA,
    POWER,
    Comparison,
    Estimate,
    Moments,
    always_valid_p,
    compare,
    detectable_effect,
    estimate,
    interval_radius,
    needed_visitors,
    sample_ratio_p,
    sign_p,
)
from imgsearch.store.database import Database

__all__ = [
    "LEAST_VISITORS",
    "MEASURES",
    "ArmOutcome",
    "Contrast",
    "Measure",
    "Outcome",
    "Point",
    "Value",
    "Verdict",
    "in_words",
    "outcome_of",
]

LEAST_VISITORS = 100
"""Below this many visitors in an arm nothing is concluded: the intervals lean on the central limit theorem."""
MISMATCH_BELOW = 0.001
POINTS = 40
TOP = 10
LONGEST_LOOK_S = 1800.0
"""A visitor who does nothing for this long has left: the time is not counted."""
SLOWER = 1.2
SLOWER_MS = 20.0
"""An arm is too slow when its slow searches (95th percentile) take this many times as long and this much longer."""
FAILING = 0.01
Unit = Literal["share", "number", "seconds"]


@dataclass(frozen=True, slots=True)
class Measure:
    """A ratio of two sums over searches: SQL for both, which direction is better (0: neither), and its unit."""

    name: str
    title: str
    description: str
    x: str
    y: str
    better: Literal[-1, 0, 1]
    unit: Unit


_ALL = (
    Measure(
        "ctr",
        f"CTR@{TOP}",
        f"searches with a click among the first {TOP}",
        "(top > 0)::INT",
        "1",
        1,
        "share",
    ),
    Measure("clicks", "Clicks a search", "different photos clicked in a search", "clicks", "1", 1, "number"),
    Measure("abandoned", "No click", "searches without any click", "(clicks = 0)::INT", "1", -1, "share"),
    Measure(
        "first_rank",
        "First click at rank",
        "the rank of the first click, in searches with one",
        "coalesce(first_rank, 0)",
        "(first_rank IS NOT NULL)::INT",
        -1,
        "number",
    ),
    Measure(
        "first_click_s",
        "Time to first click",
        "from the search to its first click, in searches with one",
        "coalesce(first_click_s, 0)",
        "(first_click_s IS NOT NULL)::INT",
        -1,
        "seconds",
    ),
    Measure(
        "time_s",
        "Time on results",
        "from a search to its last click or the visitor's next search",
        "coalesce(time_s, 0)",
        "(time_s IS NOT NULL)::INT",
        0,
        "seconds",
    ),
    Measure(
        "good_rate",
        "Judged good",
        "verdicts that say good, of those that say good or bad",
        "good",
        "good + bad",
        1,
        "share",
    ),
)
MEASURES: Mapping[str, Measure] = {measure.name: measure for measure in _ALL}
"""The measures of a split, by name."""
WON = Measure(
    "won",
    "Searches won",
    "searches in which more of its hits were clicked than of the other's",
    "",
    "",
    1,
    "share",
)
CREDITED = Measure("clicks", "Clicks a search", "clicks on its hits in a search", "", "", 1, "number")


@dataclass(frozen=True, slots=True)
class Value:
    """A measure of one arm with its always-valid interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ArmOutcome:
    """What the visitors of one arm did; with interleaving, all visitors belong to both arms."""

    system: str
    share: float
    visitors: int
    searches: int
    failures: int
    p50_ms: float | None
    p95_ms: float | None
    values: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Contrast:
    """How an arm differs from control in one measure: the difference, its interval, and its p-value.

    `relative` is the difference over control's value (None where that is zero, and for interleaving).
    """

    system: str
    measure: str
    difference: float
    low: float
    high: float
    p: float
    relative: float | None


@dataclass(frozen=True, slots=True)
class Point:
    """The deciding difference of an arm as it was at a moment, from the visitors until then."""

    moment: datetime
    visitors: int
    difference: float
    low: float
    high: float
    enough: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do, in one sentence: `ship` an arm, `stop`, `wait` for more visitors, or `check` something first."""

    kind: Literal["ship", "stop", "wait", "check"]
    sentence: str
    system: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything that the page and the report show of an experiment.

    `sample_ratio_p` is None for interleaving, where nobody is split. `detectable` is the smallest change of the goal
    that would show by now with 80% chance, and `needed` how many visitors in all would show `min_effect`, both for
    the arm that needs most. `wins` and `losses` count visitors who clicked more of the second arm's hits, or fewer.
    """

    experiment: Experiment
    goal: Measure
    visitors: int
    arms: tuple[ArmOutcome, ...]
    contrasts: tuple[Contrast, ...]
    series: Mapping[str, tuple[Point, ...]]
    sample_ratio_p: float | None
    detectable: float | None
    needed: int | None
    wins: int
    losses: int
    sign_p: float | None
    warnings: tuple[str, ...]
    verdict: Verdict

    def as_dict(self) -> dict[str, Any]:
        """Return the outcome as the JSON of `imgsearch experiment report --json`."""
        experiment = self.experiment
        return {
            "experiment": {
                **{name: value for name, value in asdict(experiment).items() if name != "arms"},
                **{name: _iso(getattr(experiment, name)) for name in ("created", "started", "stopped")},
                "state": experiment.state,
            },
            "verdict": asdict(self.verdict),
            "visitors": self.visitors,
            "arms": [asdict(arm) for arm in self.arms],
            "contrasts": [asdict(contrast) for contrast in self.contrasts],
            "series": {
                system: [{**asdict(point), "moment": _iso(point.moment)} for point in points]
                for system, points in self.series.items()
            },
            "sample_ratio_p": self.sample_ratio_p,
            "detectable": self.detectable,
            "needed_visitors": self.needed,
            "wins": self.wins,
            "losses": self.losses,
            "sign_p": self.sign_p,
            "warnings": list(self.warnings),
        }


def outcome_of(database: Database, experiment: Experiment, *, now: datetime | None = None) -> Outcome:
    """Read an experiment's rows and return its outcome as of now (UTC)."""
    rows = _Rows(database, experiment, now or datetime.now(UTC).replace(tzinfo=None))
    try:
        return _interleaved(rows) if experiment.mode == "interleave" else _split(rows)
    finally:
        rows.close()


# --- reading the rows -----------------------------------------------------------------------------------------------

_SEARCHES = f"""
    WITH shown AS MATERIALIZED (
        SELECT search_id, happened_at, arm, visitor, query_key,
            sum((first_rank = 1)::INT) OVER (
                PARTITION BY visitor, query_key ORDER BY happened_at, first_rank ROWS UNBOUNDED PRECEDING
            ) AS number
        FROM exposures WHERE experiment = $experiment
    ),
    clicked AS MATERIALIZED (
        SELECT search_id, item_id, min(nullif(rank, 0)) AS rank, min(happened_at) AS moment
        FROM clicks SEMI JOIN shown USING (search_id) WHERE action <> 'less' GROUP BY search_id, item_id
    ),
    clicks_of AS (
        SELECT search_id, count(*) AS clicks, count(*) FILTER (rank <= {TOP}) AS top,
            arg_min(rank, moment) AS first_rank, min(moment) AS first_moment, max(moment) AS last_moment
        FROM clicked GROUP BY search_id
    ),
    verdicts_of AS (
        SELECT search_id, count(*) FILTER (verdict = 'good') AS good, count(*) FILTER (verdict = 'bad') AS bad
        FROM (
            SELECT search_id, arg_max(verdict, happened_at) AS verdict
            FROM judgments SEMI JOIN shown USING (search_id) GROUP BY search_id, item_id, labeler
        ) GROUP BY search_id
    ),
    searches AS (
        SELECT arm, visitor, min(happened_at) AS began,
            coalesce(sum(clicks), 0) AS clicks, coalesce(sum(top), 0) AS top,
            coalesce(sum(good), 0) AS good, coalesce(sum(bad), 0) AS bad,
            arg_min(first_rank, first_moment) AS first_rank,
            min(first_moment) AS first_moment, max(last_moment) AS last_moment
        FROM shown LEFT JOIN clicks_of USING (search_id) LEFT JOIN verdicts_of USING (search_id)
        GROUP BY arm, visitor, query_key, number
    ),
    looks AS (
        SELECT *,
            CASE WHEN epoch(first_moment - began) BETWEEN 0 AND {LONGEST_LOOK_S}
                THEN epoch(first_moment - began) END AS first_click_s,
            CASE WHEN epoch(left_at - began) BETWEEN 0 AND {LONGEST_LOOK_S}
                THEN epoch(left_at - began) END AS time_s
        FROM (
            SELECT *, greatest(
                last_moment,
                CASE WHEN next_began - began <= to_seconds({LONGEST_LOOK_S}) THEN next_began END
            ) AS left_at
            FROM (SELECT *, lead(began) OVER (PARTITION BY visitor ORDER BY began) AS next_began FROM searches)
        )
    )
"""

_CREDITS = """
    WITH shown AS MATERIALIZED (
        SELECT search_id, happened_at, visitor FROM exposures WHERE experiment = $experiment
    ),
    clicked AS MATERIALIZED (
        SELECT DISTINCT search_id, item_id FROM clicks SEMI JOIN shown USING (search_id) WHERE action <> 'less'
    ),
    credits AS (
        SELECT search_id,
            count(*) FILTER (arm = $first) AS first_clicks, count(*) FILTER (arm = $second) AS second_clicks
        FROM clicked JOIN impressions USING (search_id, item_id) GROUP BY search_id
    ),
    looks AS (
        SELECT visitor, happened_at AS began, coalesce(first_clicks, 0) AS first_clicks,
            coalesce(second_clicks, 0) AS second_clicks,
            (coalesce(first_clicks, 0) + coalesce(second_clicks, 0) > 0)::INT AS any_click,
            (coalesce(first_clicks, 0) > coalesce(second_clicks, 0))::INT AS first_won,
            (coalesce(second_clicks, 0) > coalesce(first_clicks, 0))::INT AS second_won
        FROM shown LEFT JOIN credits USING (search_id)
    )
"""


class _Rows:
    """The sums over one experiment's rows."""

    def __init__(self, database: Database, experiment: Experiment, now: datetime) -> None:
        self._cursor = database.cursor()
        self.experiment = experiment
        self._values: dict[str, Any] = {"experiment": experiment.name}
        if experiment.mode == "interleave":
            first, second = experiment.arms
            self._values |= {"first": first.system, "second": second.system}
        # Asked for several sums: put together once, in a table that only this thread's cursor sees.
        looks = _CREDITS if experiment.mode == "interleave" else _SEARCHES
        self._cursor.execute(
            f"CREATE OR REPLACE TEMP TABLE looks AS {looks} SELECT * FROM looks", self._values
        )
        self._start = experiment.started or now
        end = max(experiment.stopped or now, self._start + timedelta(seconds=1))
        self._width_s = (end - self._start).total_seconds() / POINTS

    def close(self) -> None:
        """Forget what was put together."""
        self._cursor.execute("DROP TABLE IF EXISTS temp.looks")

    def by_arm(self) -> dict[str, tuple[int, int, int, float | None, float | None]]:
        """Return visitors, searches, failures, median and 95th percentile of the milliseconds, by arm."""
        rows = self._cursor.execute(
            "SELECT arm, count(DISTINCT visitor), count(*) FILTER (first_rank = 1), count(*) FILTER (failed), "
            "quantile_cont(total_ms, 0.5), quantile_cont(total_ms, 0.95) "
            "FROM exposures WHERE experiment = $experiment GROUP BY arm",
            {"experiment": self.experiment.name},
        ).fetchall()
        return {row[0]: row[1:] for row in rows}

    def moments(self, ratios: Sequence[tuple[str, str]], *, by: str) -> dict[str, list[Moments]]:
        """Return the moments over visitors of each (x, y) pair of SQL expressions, by the SQL expression `by`."""
        sums = ", ".join(
            f"sum({x})::DOUBLE AS x{place}, sum({y})::DOUBLE AS y{place}"
            for place, (x, y) in enumerate(ratios)
        )
        squares = ", ".join(
            f"sum(x{place}), sum(y{place}), sum(x{place} * x{place}), sum(x{place} * y{place}), "
            f"sum(y{place} * y{place})"
            for place in range(len(ratios))
        )
        rows = self._cursor.execute(
            f"WITH people AS (SELECT {by} AS arm, visitor, {sums} FROM temp.looks GROUP BY ALL) "
            f"SELECT arm, count(*), {squares} FROM people GROUP BY arm"
        ).fetchall()
        return {
            row[0]: [Moments(row[1], *row[2 + 5 * place : 7 + 5 * place]) for place in range(len(ratios))]
            for row in rows
        }

    def series(self, x: str, y: str, *, by: str) -> dict[str, dict[int, Moments]]:
        """Return the moments over visitors until the end of each bucket of time, by the SQL expression `by`.

        The squares grow by what each visitor's square grew by in a bucket, so one pass over the rows gives them all.
        """
        rows = self._cursor.execute(
            f"""WITH steps AS (
                SELECT {by} AS arm, visitor,
                    greatest(0, least({POINTS - 1}, floor(epoch(began - $start) / $width)))::INT AS bucket,
                    sum({x})::DOUBLE AS x, sum({y})::DOUBLE AS y
                FROM temp.looks GROUP BY ALL
            ),
            paths AS (
                SELECT arm, bucket, x, y, sum(x) OVER so_far AS xs, sum(y) OVER so_far AS ys,
                    (row_number() OVER so_far = 1)::INT AS is_new
                FROM steps
                WINDOW so_far AS (PARTITION BY arm, visitor ORDER BY bucket ROWS UNBOUNDED PRECEDING)
            )
            SELECT arm, bucket, sum(is_new), sum(x), sum(y), sum(xs * xs - (xs - x) * (xs - x)),
                sum(xs * ys - (xs - x) * (ys - y)), sum(ys * ys - (ys - y) * (ys - y))
            FROM paths GROUP BY arm, bucket ORDER BY arm, bucket""",
            {"start": self._start, "width": self._width_s},
        ).fetchall()
        found: dict[str, dict[int, Moments]] = {}
        totals: dict[str, list[float]] = {}
        for arm, bucket, *steps in rows:
            total = totals.setdefault(arm, [0.0] * 6)
            totals[arm] = [sum(pair) for pair in zip(total, steps, strict=True)]
            found.setdefault(arm, {})[bucket] = Moments(int(totals[arm][0]), *totals[arm][1:])
        return found

    def preferences(self) -> tuple[int, int]:
        """Return how many visitors clicked more of the second arm's hits, and how many more of the first's."""
        row = self._cursor.execute(
            "WITH people AS (SELECT sum(second_clicks) - sum(first_clicks) AS lead FROM temp.looks GROUP BY visitor) "
            "SELECT count(*) FILTER (lead > 0), count(*) FILTER (lead < 0) FROM people"
        ).fetchone()
        return (int(row[0]), int(row[1])) if row else (0, 0)

    def moment(self, bucket: int) -> datetime:
        """Return when a bucket of time ends."""
        return self._start + timedelta(seconds=self._width_s * (bucket + 1))


# --- a split --------------------------------------------------------------------------------------------------------


def _split(rows: _Rows) -> Outcome:
    experiment = rows.experiment
    tuned_for, alpha = experiment.planned_visitors, ALPHA / (len(experiment.arms) - 1)
    by_arm = rows.by_arm()
    found = rows.moments([(measure.x, measure.y) for measure in MEASURES.values()], by="arm")
    estimates = {
        system: {
            name: made
            for name, moments in zip(MEASURES, all_moments, strict=True)
            if (made := estimate(moments)) is not None
        }
        for system, all_moments in found.items()
    }
    arms = tuple(
        ArmOutcome(
            arm.system,
            arm.share,
            *by_arm.get(arm.system, (0, 0, 0, None, None)),
            {name: _value(each, tuned_for) for name, each in estimates.get(arm.system, {}).items()},
        )
        for arm in experiment.arms
    )
    control = estimates.get(experiment.arms[0].system, {})
    compared = {
        (arm.system, name): compare(control[name], each, tuned_for=tuned_for, alpha=alpha)
        for arm in experiment.arms[1:]
        for name, each in estimates.get(arm.system, {}).items()
        if name in control
    }
    contrasts = tuple(
        Contrast(
            system,
            name,
            each.difference.value,
            each.low,
            each.high,
            each.p,
            each.difference.value / control[name].value if control[name].value else None,
        )
        for (system, name), each in compared.items()
    )
    goal = MEASURES[experiment.goal]
    effect = experiment.min_effect * control[goal.name].value if goal.name in control else 0.0
    differences = [each.difference for (_, name), each in compared.items() if name == goal.name]
    counts = [arm.visitors for arm in arms]
    ratio_p = sample_ratio_p(counts, [arm.share for arm in experiment.arms])
    series = _split_series(rows, goal, tuned_for, alpha)
    return _finished(
        experiment,
        goal=goal,
        visitors=sum(counts),
        arms=arms,
        contrasts=contrasts,
        series=series,
        sample_ratio_p=ratio_p,
        differences=differences,
        effect=effect,
        alpha=alpha,
    )


def _split_series(rows: _Rows, goal: Measure, tuned_for: int, alpha: float) -> dict[str, tuple[Point, ...]]:
    moments = rows.series(goal.x, goal.y, by="arm")
    control, *others = (arm.system for arm in rows.experiment.arms)
    series: dict[str, tuple[Point, ...]] = {}
    for system in others:
        points = []
        ours = theirs = None
        for bucket in sorted({*moments.get(control, {}), *moments.get(system, {})}):
            ours = moments.get(control, {}).get(bucket, ours)
            theirs = moments.get(system, {}).get(bucket, theirs)
            first = estimate(ours) if ours else None
            second = estimate(theirs) if theirs else None
            if first and second:
                compared = compare(first, second, tuned_for=tuned_for, alpha=alpha)
                enough = min(first.visitors, second.visitors) >= LEAST_VISITORS
                points.append(_point(rows.moment(bucket), compared, enough))
        series[system] = tuple(points)
    return series


# --- interleaving ---------------------------------------------------------------------------------------------------


def _interleaved(rows: _Rows) -> Outcome:
    experiment = rows.experiment
    tuned_for = experiment.planned_visitors
    visitors, searches, failures, p50_ms, p95_ms = rows.by_arm().get("", (0, 0, 0, None, None))
    found = rows.moments(
        [
            ("first_won", "any_click"),
            ("second_won", "any_click"),
            ("first_clicks", "1"),
            ("second_clicks", "1"),
            ("second_won - first_won", "any_click"),
        ],
        by="''",
    ).get("")
    made = [estimate(each) for each in found] if found else [None] * 5
    arms = tuple(
        ArmOutcome(
            arm.system,
            arm.share,
            visitors,
            searches,
            failures,
            p50_ms,
            p95_ms,
            {
                measure.name: _value(each, tuned_for)
                for measure, each in ((WON, made[place]), (CREDITED, made[place + 2]))
                if each is not None
            },
        )
        for place, arm in enumerate(experiment.arms)
    )
    system = experiment.arms[1].system
    preference = made[4]
    contrasts: tuple[Contrast, ...] = ()
    if preference is not None:
        each = _against_zero(preference, tuned_for)
        contrasts = (Contrast(system, WON.name, preference.value, each.low, each.high, each.p, None),)
    points = tuple(
        _point(
            rows.moment(bucket),
            _against_zero(made_then, tuned_for),
            made_then.visitors >= LEAST_VISITORS,
        )
        for bucket, moments in rows.series("second_won - first_won", "any_click", by="''").get("", {}).items()
        if (made_then := estimate(moments)) is not None
    )
    wins, losses = rows.preferences()
    return _finished(
        experiment,
        goal=WON,
        visitors=visitors,
        arms=arms,
        contrasts=contrasts,
        series={system: points},
        sample_ratio_p=None,
        differences=[preference] if preference else [],
        effect=experiment.min_effect,
        alpha=ALPHA,
        wins=wins,
        losses=losses,
    )


def _against_zero(found: Estimate, tuned_for: int) -> Comparison:
    radius = interval_radius(found, tuned_for=tuned_for)
    return Comparison(
        found, found.value - radius, found.value + radius, always_valid_p(found, tuned_for=tuned_for)
    )


# --- the verdict ----------------------------------------------------------------------------------------------------


def _finished(
    experiment: Experiment,
    *,
    goal: Measure,
    visitors: int,
    arms: tuple[ArmOutcome, ...],
    contrasts: tuple[Contrast, ...],
    series: Mapping[str, tuple[Point, ...]],
    sample_ratio_p: float | None,
    differences: Sequence[Estimate],
    effect: float,
    alpha: float,
    wins: int = 0,
    losses: int = 0,
) -> Outcome:
    """Return the outcome with what can be said of its power, its warnings and its verdict."""
    tuned_for = experiment.planned_visitors
    detectable = max(
        (detectable_effect(each, tuned_for=tuned_for, alpha=alpha) for each in differences), default=None
    )
    needs = [needed_visitors(each, effect, tuned_for=tuned_for, alpha=alpha) for each in differences]
    # The spread of several arms' comparisons counts the visitors of two of them only.
    shares = [arm.share for arm in experiment.arms]
    scale = 1.0 if len(shares) == 2 else sum(shares) / (shares[0] + min(shares[1:]))
    known = [round(each * scale) for each in needs if each is not None]
    least = LEAST_VISITORS
    if experiment.mode == "split":
        least = math.ceil(LEAST_VISITORS * sum(shares) / min(shares))
    needed = max(*known, least) if known and len(known) == len(needs) else None
    warnings = _warnings(experiment, arms)
    return Outcome(
        experiment=experiment,
        goal=goal,
        visitors=visitors,
        arms=arms,
        contrasts=contrasts,
        series=series,
        sample_ratio_p=sample_ratio_p,
        detectable=detectable,
        needed=needed,
        wins=wins,
        losses=losses,
        sign_p=sign_p(wins, losses) if experiment.mode == "interleave" else None,
        warnings=warnings,
        verdict=_verdict(
            experiment, goal, visitors, arms, contrasts, sample_ratio_p, effect, needed, warnings
        ),
    )


def _warnings(experiment: Experiment, arms: Sequence[ArmOutcome]) -> tuple[str, ...]:
    """Return what is wrong with an arm whatever its clicks say: failures, and slow searches."""
    found = []
    mixed = experiment.mode == "interleave"
    for arm in arms[:1] if mixed else arms:
        if arm.searches and arm.failures > FAILING * arm.searches:
            who = "an arm" if mixed else arm.system
            found.append(
                f"{who} failed in {arm.failures / arm.searches:.1%} of its searches, which the live system "
                "answered; see the server's log."
            )
    control = arms[0].p95_ms
    for arm in () if mixed else arms[1:]:
        if control and arm.p95_ms and arm.p95_ms > max(SLOWER * control, control + SLOWER_MS):
            found.append(
                f"{arm.system} is slow: its slowest 5% of searches take over {arm.p95_ms:,.0f} ms, against "
                f"{control:,.0f} ms of {arms[0].system}."
            )
    return tuple(found)


def _verdict(
    experiment: Experiment,
    goal: Measure,
    visitors: int,
    arms: Sequence[ArmOutcome],
    contrasts: Sequence[Contrast],
    ratio_p: float | None,
    effect: float,
    needed: int | None,
    warnings: Sequence[str],
) -> Verdict:
    control = arms[0].system
    over = experiment.state == "stopped"
    if experiment.state == "draft":
        return Verdict("wait", "Start it: until then every visitor gets the live system.")
    if visitors == 0:
        sentence = (
            "It ended before any visitor searched." if over else "Keep running: nobody has searched yet."
        )
        return Verdict("wait", sentence)
    if ratio_p is not None and ratio_p < MISMATCH_BELOW:
        planned, total = sum(arm.share for arm in experiment.arms), sum(arm.visitors for arm in arms)
        split = " / ".join(f"{arm.visitors / total:.1%}" for arm in arms)
        wanted = " / ".join(f"{arm.share / planned:.1%}" for arm in arms)
        return Verdict(
            "stop",
            f"Stop: traffic is not split as planned ({split} instead of {wanted}), so no number here can be trusted.",
        )
    fewest = min(arm.visitors for arm in arms)
    if fewest < LEAST_VISITORS:
        if over:
            few = "1 visitor" if fewest == 1 else f"{fewest} visitors"
            return Verdict("wait", f"No verdict: it ended with {few} in an arm, too few to tell.")
        return Verdict(
            "wait", f"Keep running: each arm needs at least {LEAST_VISITORS} visitors, and one has {fewest}."
        )
    deciding = [each for each in contrasts if each.measure == goal.name]
    better = [each for each in deciding if _gain(each.low, each.high, goal)[0] > 0]
    worse = [each for each in deciding if _gain(each.low, each.high, goal)[1] < 0]
    if better:
        best = max(better, key=lambda each: each.difference * goal.better)
        said = _change(best, arms, goal, control)
        against = [each for each in warnings if each.startswith((f"{best.system} ", "an arm "))]
        if against:
            return Verdict(
                "check", f"Do not ship {best.system} yet: it {said}, but {against[0]}", best.system
            )
        return Verdict("ship", f"Ship {best.system}: it {said}.", best.system)
    if worse and len(worse) == len(deciding):
        worst = min(worse, key=lambda each: each.difference * goal.better)
        return Verdict(
            "stop", f"Stop and keep {control}: {worst.system} {_change(worst, arms, goal, control)}."
        )
    if deciding and all(-effect < each.low and each.high < effect for each in deciding):
        return Verdict(
            "stop",
            f"Stop: no arm changes {goal.title} by as much as {_effect(experiment, goal)}; take the simplest.",
        )
    if over:
        more = f"; about {needed:,} visitors would show {_effect(experiment, goal)}" if needed else ""
        return Verdict(
            "wait", f"No verdict: {visitors:,} visitors were too few to tell the arms apart{more}."
        )
    if needed is None:
        return Verdict("wait", f"Keep running: there is too little of {goal.title} yet to say how long.")
    if needed > visitors:
        return Verdict(
            "wait",
            f"Keep running: about {_rounded(needed - visitors)} more visitors are needed to see a change of "
            f"{_effect(experiment, goal)} in {goal.title} with {POWER:.0%} chance.",
        )
    return Verdict(
        "stop",
        f"Stop, unless small changes matter: one of {_effect(experiment, goal)} in {goal.title} would most likely "
        "have shown by now.",
    )


def _gain(low: float, high: float, goal: Measure) -> tuple[float, float]:
    """Return the interval in the direction that is better."""
    return (low, high) if goal.better >= 0 else (-high, -low)


def _change(contrast: Contrast, arms: Sequence[ArmOutcome], goal: Measure, control: str) -> str:
    """Return what an arm does to the goal, in words."""
    values = {arm.system: arm.values[goal.name].value for arm in arms}
    if goal is WON:
        verb = "wins" if contrast.difference > 0 else "loses"
        a, b = values[contrast.system], values[control]
        return f"{verb} against {control}: more of its hits are clicked in {a:.0%} of the searches, fewer in {b:.0%}"
    verb = "raises" if contrast.difference > 0 else "lowers"
    nearest = contrast.low if contrast.difference > 0 else contrast.high
    at_least = in_words(abs(nearest), goal.unit, change=True)
    return (
        f"{verb} {goal.title} from {in_words(values[control], goal.unit)} to "
        f"{in_words(values[contrast.system], goal.unit)}, and by at least {at_least} with {1 - ALPHA:.0%} confidence"
    )


def _effect(experiment: Experiment, goal: Measure) -> str:
    if goal is WON:
        return f"{experiment.min_effect * 100:g} points"
    return f"{experiment.min_effect * 100:g}%"


def in_words(value: float, unit: Unit, *, change: bool = False) -> str:
    """Return a measure's value, or a change of it, as a person reads it."""
    match unit:
        case "share":
            return f"{value * 100:.1f} points" if change else f"{value:.1%}"
        case "seconds":
            return f"{value:.1f} s"
        case "number":
            return f"{value:.2f}"


def _rounded(count: int) -> str:
    """Return a number to two digits: a guess should not look exact."""
    step = 10 ** max(len(str(count)) - 2, 0)
    return f"{-(-count // step) * step:,}"


def _value(found: Estimate, tuned_for: int) -> Value:
    radius = interval_radius(found, tuned_for=tuned_for)
    return Value(found.value, found.value - radius, found.value + radius)


def _point(moment: datetime, compared: Comparison, enough: bool) -> Point:
    difference = compared.difference
    return Point(moment, difference.visitors, difference.value, compared.low, compared.high, enough)


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds") + "Z" if moment else None
