"""Judging sets of one catalog: create and import them, hand out pairs to labelers, and read what they decided.

Leases, the limit of raters and the verdict are decided inside one transaction. Verdicts are also appended to the
feedback's judgments. Labelers do not learn which system found an item, nor its rank or score.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

import pandas as pd
from cachetools import LRUCache, cached

from imgsearch.core.errors import ImgSearchError, JudgingError
from imgsearch.core.query import Term
from imgsearch.core.query_address import thumbnail_url, upload_url
from imgsearch.core.records import Judgment
from imgsearch.core.text import is_unicode
from imgsearch.improve.judging import assignment
from imgsearch.improve.judging.agreement import (
    Agreement,
    deciding_verdicts,
    find_disagreements,
    measure_agreement,
    ratings_of,
)
from imgsearch.improve.judging.calls import (
    Act,
    JudgingCall,
    JudgingPair,
    JudgingQuery,
    JudgingReply,
    PastAct,
    QueryPart,
)
from imgsearch.improve.judging.pools import Pool, pool_of
from imgsearch.improve.judging.records import (
    MAX_NAME,
    Disagreement,
    Guideline,
    JudgingProgress,
    JudgingSet,
    PairRow,
    clean_name,
)
from imgsearch.improve.judging.store import JudgingStore
from imgsearch.improve.judging.topics import topic_of, topic_query
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.database import utc_now
from imgsearch.store.feedback import FeedbackLog

MAX_RATERS = 20
MAX_PAIRS = 500_000
MAX_GUIDELINE = 10_000
CACHED_SETS = 64
DEFAULT_GUIDELINE = (
    "Good: a person who searches for this would be glad to see it.\n"
    "Bad: it does not match the search.\n"
    "Can't tell: the photo does not show enough to decide.\n"
    "Judge what you see, not the brand or the price."
)
PHOTO_PX = 768
UPLOAD_PX = 384


class Judging:
    """The judging sets of one catalog; safe to use from any thread."""

    def __init__(
        self, catalog: CatalogStore, feedback: FeedbackLog, *, lease_s: float = assignment.LEASE_S
    ) -> None:
        """Use an open catalog; verdicts also go to `feedback`, and a silent labeler keeps a pair for `lease_s`."""
        self._catalog = catalog
        self._database = catalog.database
        self._feedback = feedback
        self._store = JudgingStore(catalog.database, lease_s)
        # The pairs whose item has left the catalog are read once for each of its versions.
        self._gone = cached(
            LRUCache(CACHED_SETS), lambda set_id: (set_id, catalog.version), threading.Lock()
        )(self._store.pairs_without_item)

    def create(
        self,
        name: str,
        pool: Pool,
        *,
        source: str,
        systems: Sequence[str] = (),
        depth: int = 0,
        raters: int = 1,
        seed: int = 0,
    ) -> JudgingSet:
        """Store a new judging set. Raises `JudgingError` for a name that is taken or a number out of range."""
        name = clean_name(name, "The judging set's name")
        if not 1 <= raters <= MAX_RATERS:
            raise JudgingError(f"A pair needs 1 to {MAX_RATERS} raters, not {raters}.")
        if not 1 <= len(pool.pairs) <= MAX_PAIRS:
            raise JudgingError(
                f"A judging set has 1 to {MAX_PAIRS:,} pairs, not {len(pool.pairs):,}; change the number of queries."
            )
        sizes = len({query_key for query_key, _ in pool.pairs}), len(pool.pairs)
        made = JudgingSet(0, name, utc_now(), source, tuple(systems), depth, raters, seed, *sizes)
        with self._database.transaction():
            if any(each.name == name for each in self.all()):
                raise JudgingError(f"A judging set {name!r} exists already; choose another name.")
            self._store.add_set(made, pool.pairs)
        return self.get(name)

    def import_set(
        self, name: str, verdicts: Sequence[Judgment], *, source: str, raters: int = 0
    ) -> JudgingSet:
        """Store a new set made of verdicts from elsewhere, and return it; all of them or nothing.

        If `raters` is more than the verdicts of a pair, labelers can judge the set further. Raises `JudgingError` for
        items that are not in the catalog, a labeler who judged a pair twice, or what `create` refuses.
        """
        item_ids = list(dict.fromkeys(each.item_id for each in verdicts))
        unknown = set(item_ids) - {item.item_id for item in self._catalog.get_many(item_ids)}
        if unknown:
            raise JudgingError(
                f"{len(unknown):,} of the {len(item_ids):,} judged items are not in the catalog, such as "
                f"{min(unknown)[:80]!r}; nothing was imported."
            )
        counts = Counter((each.query_key, each.item_id, each.labeler) for each in verdicts)
        for (query_key, item_id, labeler), count in counts.items():
            if count > 1:
                raise JudgingError(
                    f"The labeler {labeler[:80]!r} judged {item_id[:80]!r} twice for the query {query_key[:80]!r}; "
                    "nothing was imported."
                )
        labelers = Counter((query_key, item_id) for query_key, item_id, _ in counts)
        raters = max(raters, 1, *labelers.values())
        with self._database.transaction():
            made = self.create(name, pool_of(labelers), source=source, raters=raters)
            self._store.add_imported(made.set_id, verdicts)
        return made

    def get(self, name: str) -> JudgingSet:
        """Return the set of that name; raises `JudgingError` where there is none."""
        for found in self.all():
            if found.name == name:
                return found
        raise JudgingError(
            f"There is no judging set {name[:MAX_NAME]!r}; create one on the Judge page or with "
            "`imgsearch judge-set create`."
        )

    def all(self) -> list[JudgingSet]:
        """Return every set, the newest first."""
        return self._store.sets()

    def guideline(self, judging_set: JudgingSet) -> Guideline:
        """Return the newest guideline of a set."""
        return self._store.guideline(judging_set.set_id) or Guideline(DEFAULT_GUIDELINE)

    def set_guideline(self, judging_set: JudgingSet, text: str, *, author: str) -> Guideline:
        """Store a new version of a set's guideline and return it; earlier versions are kept.

        The same text again makes no new version. Raises `JudgingError` for a text that is too long or a wrong name.
        """
        author = clean_name(author, "The labeler's name")
        text = text.replace("\r\n", "\n").strip()
        if len(text) > MAX_GUIDELINE or "\x00" in text or not is_unicode(text):
            raise JudgingError(
                f"The guideline must be plain text of at most {MAX_GUIDELINE:,} characters, not {len(text):,}."
            )
        with self._database.transaction():
            before = self.guideline(judging_set)
            if before.text != text:
                self._store.add_guideline(judging_set.set_id, before.version + 1, author, text)
            return self.guideline(judging_set)

    def sync(self, call: JudgingCall) -> JudgingReply:
        """Store what a labeler did, and return what comes next.

        An act that is stored already changes nothing. A verdict counts if the labeler holds the pair, or if the pair
        needs another rater; else the reply says that it came too late. Raises `JudgingError` for an unknown set.
        """
        judging_set = self.get(call.judging_set)
        set_id, gone = judging_set.set_id, self._gone(judging_set.set_id)
        with self._database.transaction():
            now = utc_now()
            reasons = {act.event_id: self._record(judging_set, call, act, now) for act in call.acts}
            pairs, waiting = self._next_pairs(judging_set, call, gone, now)
            history = self._store.recent_acts(set_id, call) if call.history else []
            judged, mine = self._store.verdict_counts(set_id, call, gone)
            per_hour = self._store.pace(set_id, call.labeler)
        wanted = (judging_set.pairs - len(gone)) * judging_set.raters
        if call.role == "referee":
            wanted = judged + self._store.undecided(set_id)
        query_keys = dict.fromkeys([pair.query_key for pair in pairs] + [row[1] for row in history])
        return JudgingReply(
            handled=tuple(act.event_id for act in call.acts),
            refused={event_id: reason for event_id, reason in reasons.items() if reason},
            pairs=tuple(_present_pair(self._catalog, *pair[:3]) for pair in pairs),
            queries={key: _present_query(self._catalog, key) for key in query_keys},
            history=tuple(
                PastAct(**dict(_present_pair(self._catalog, *row[:3])), act=row[3], took_ms=row[4])
                for row in history
            ),
            waiting=waiting,
            wanted=wanted,
            judged=judged,
            mine=mine,
            per_hour=per_hour,
        )

    def _record(self, judging_set: JudgingSet, call: JudgingCall, act: Act, now: datetime) -> str:
        """Store an act that is new, and return why it does not count, or "" where it counts."""
        counted = self._store.act_counted(act.event_id)
        if counted is not None:
            return "" if counted else "It did not count."
        pair = self._store.pair(judging_set.set_id, act.pair_id)
        if pair is None:
            return "This judging set has no such pair."
        latest = self._store.latest_acts(act.pair_id, call.role)
        holders = self._store.lease_holders(act.pair_id, call.role, now)
        limit = judging_set.raters if call.role == "rater" else 1
        reason = assignment.refusal(act.kind, call.labeler, latest, holders, limit)
        change, verdict = assignment.effect_of(act.kind, latest.get(call.labeler))
        change = 0 if reason else change
        self._store.add_act(judging_set.set_id, call, act, now, counted=not reason, change=change)
        self._store.release_pair(call, act.pair_id)
        if reason:
            return reason
        if act.kind == "undo":
            self._store.lease_pairs(judging_set.set_id, call, [pair], now)
        if verdict:
            self._feedback.record_judgment(Judgment(pair.query_key, pair.item_id, verdict, call.labeler))
        return ""

    def _next_pairs(
        self, judging_set: JudgingSet, call: JudgingCall, gone: Sequence[int], now: datetime
    ) -> tuple[list[PairRow], bool]:
        """Return the pairs that the client holds after leasing more, and whether others hold the last free ones."""
        self._store.expire_leases(now)
        held = assignment.first_query(self._store.leased_pairs(judging_set.set_id, call), call.layout)
        query_key = held[0].query_key if held and call.layout == "grid" else ""
        more = assignment.lease_count(len(held), call.layout)
        if more:
            free = self._store.free_pairs(judging_set, call, gone, more, query_key=query_key)
            self._store.lease_pairs(judging_set.set_id, call, assignment.first_query(free, call.layout), now)
            held = assignment.first_query(self._store.leased_pairs(judging_set.set_id, call), call.layout)
        self._store.renew_leases(call, now)
        waiting = not held and bool(self._store.free_pairs(judging_set, call, gone, 1, with_leased=True))
        return held[: assignment.page_size(call.layout)], waiting

    def progress(self, judging_set: JudgingSet) -> JudgingProgress:
        """Return how far the set is, and what each labeler has done, those with the most verdicts first."""
        gone = self._gone(judging_set.set_id)
        labelers = self._store.labelers(judging_set.set_id, gone)
        pairs = judging_set.pairs - len(gone)
        return JudgingProgress(
            pairs=pairs,
            pairs_done=self._store.pairs_done(judging_set.set_id, judging_set.raters, gone),
            wanted=pairs * judging_set.raters,
            judged=sum(each.judged for each in labelers),
            divided=self._store.undecided(judging_set.set_id),
            gone=len(gone),
            labelers=tuple(labelers),
        )

    def verdicts(self, judging_set: JudgingSet) -> pd.DataFrame:
        """Return every verdict that was not withdrawn; see `JudgingStore.verdicts`."""
        return self._store.verdicts(judging_set.set_id)

    def votes(self, judging_set: JudgingSet) -> pd.DataFrame:
        """Return the verdicts to export; see `deciding_verdicts`."""
        return deciding_verdicts(self.verdicts(judging_set))

    def agreement(self, judging_set: JudgingSet) -> Agreement:
        """Return how far the set's raters agree; "can't tell" counts as a missing value."""
        return measure_agreement(ratings_of(self.verdicts(judging_set)))

    def disagreements(self, judging_set: JudgingSet) -> list[Disagreement]:
        """Return the pairs on which raters differ (good against bad), the most evenly divided first."""
        return find_disagreements(self.verdicts(judging_set))


def _present_pair(catalog: CatalogStore, pair_id: int, query_key: str, item_id: str) -> JudgingPair:
    """Return a pair with its item's title and photo."""
    title, image = _title_and_photo(catalog, item_id)
    return JudgingPair(pair=pair_id, query=query_key, title=title, image=image)


def _present_query(catalog: CatalogStore, query_key: str) -> JudgingQuery:
    """Return a query with the photos of its terms; one that cannot be parsed is shown as text."""
    try:
        query = topic_query(topic_of(query_key))
    except ImgSearchError:
        return JudgingQuery(parts=(QueryPart(kind="text", label=query_key),))
    return JudgingQuery(
        parts=tuple(_present_term(catalog, term) for term in query.terms),
        filters=tuple(str(condition) for condition in query.filters),
    )


def _present_term(catalog: CatalogStore, term: Term) -> QueryPart:
    label, image = str(term.value), ""
    if term.kind == "upload":
        label, image = "An uploaded photo", upload_url(label, UPLOAD_PX)
    elif term.kind == "item":
        label, image = _title_and_photo(catalog, label)
    return QueryPart(kind=term.kind, label=label, image=image, weight=term.weight)


def _title_and_photo(catalog: CatalogStore, item_id: str) -> tuple[str, str]:
    items = catalog.get_many([item_id])
    return (items[0].title, thumbnail_url(items[0], PHOTO_PX)) if items else (item_id, "")
