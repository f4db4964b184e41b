"""Judging: pools, leases, the limit of raters, undo, stored verdicts, files, hostile input."""

from __future__ import annotations

import threading
import time
import uuid
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from colour_encoder import ColourEncoder

from imgsearch.core.errors import EvaluationError, ImgSearchError, JudgingError, UnknownSystem
from imgsearch.core.query import Query
from imgsearch.core.query_address import query_key
from imgsearch.core.records import Judgment
from imgsearch.improve.judging.assignment import PREFETCH_PAIRS
from imgsearch.improve.judging.calls import Act, JudgingCall, JudgingReply
from imgsearch.improve.judging.judging import Judging
from imgsearch.improve.judging.pools import Pool, make_pool, pool_of
from imgsearch.improve.judging.qrels import export_judgments, read_qrels
from imgsearch.improve.judging.query_sets import most_clicked, most_searched, parse_list, random_items
from imgsearch.improve.judging.records import JudgingSet, clean_name
from imgsearch.improve.judging.topics import Topic
from imgsearch.improve.judging.verdict_files import qrels_zip, read_verdicts, write_verdicts_csv
from imgsearch.index.opening import open_live_index
from imgsearch.search.searcher import Searcher
from imgsearch.search.systems import System, Systems
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.feedback import FeedbackLog

QUOTED = 'Ann "O\'Hara" <b>; DROP TABLE judgments;--'


@pytest.fixture
def feedback(catalog: CatalogStore) -> Iterator[FeedbackLog]:
    log = FeedbackLog(catalog.database)
    yield log
    log.close()


@pytest.fixture
def judging(catalog: CatalogStore, feedback: FeedbackLog) -> Judging:
    return Judging(catalog, feedback)


@pytest.fixture
def systems(catalog: CatalogStore, colours: ColourEncoder) -> Systems:
    found = Systems(Searcher(catalog, open_live_index(catalog), lambda: colours))
    found.save(System("varied", diversity=0.7))
    return found


@pytest.fixture
def small(judging: Judging, catalog: CatalogStore) -> Callable[..., JudgingSet]:
    """Return a factory of sets of `queries` x `items` pairs."""

    def make(name: str = "set", *, queries: int = 2, items: int = 4, raters: int = 1) -> JudgingSet:
        ids = [item.item_id for item in catalog.iter_items()]
        pairs = [
            (f"item={ids[number]}".replace("/", "%2F"), ids[number + 1 + place])
            for number in range(queries)
            for place in range(items)
        ]
        return judging.create(name, pool_of(pairs), source="the test", raters=raters)

    return make


class Labeler:
    """A labeler's browser tab; like the page's script, it resends unacknowledged acts."""

    def __init__(
        self, judging: Judging, judging_set: JudgingSet, name: str, client: str = "", **options: Any
    ) -> None:
        self.judging = judging
        self.options: dict[str, Any] = {
            "judging_set": judging_set.name,
            "labeler": name,
            "client": client or f"client-of-{abs(hash(name))}",
            **options,
        }

    def act(self, kind: str, pair: int, took_ms: int = 1000) -> Act:
        return Act(id=uuid.uuid4().hex, pair=pair, act=kind, took_ms=took_ms)  # type: ignore[arg-type]

    def sync(self, *acts: Act, **options: Any) -> JudgingReply:
        return self.judging.sync(JudgingCall(**{**self.options, **options, "acts": acts}))

    def say(self, kind: str, reply: JudgingReply | None = None) -> JudgingReply:
        """Send act `kind` for the first pair of the last response."""
        return self.sync(self.act(kind, first(reply or self.sync())))


def first(reply: JudgingReply) -> int:
    return reply.pairs[0].pair


def pairs_of(reply: JudgingReply) -> list[int]:
    return [pair.pair for pair in reply.pairs]


def rows(catalog: CatalogStore, sql: str) -> list[tuple[Any, ...]]:
    return catalog.database.cursor().execute(sql).fetchall()


def items_of(pool: Pool) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key, item_id in pool.pairs:
        found.setdefault(key, []).append(item_id)
    return found


# --- pools --------------------------------------------------------------------------------------------------------


def test_a_pool_is_the_union_of_the_first_hits_of_every_system(
    systems: Systems, catalog: CatalogStore
) -> None:
    topics = random_items(catalog, 6, seed=3)
    pool = make_pool(topics, systems.search, systems=["live", "varied"], depth=5, seed=1)
    assert pool.skipped == {}
    by_key = {key: set(items) for key, items in items_of(pool).items()}
    for topic in topics:
        query = Query.of(item=topic.query, n=5)
        shown = {hit.item_id for name in ("live", "varied") for hit in systems.search(query, name).hits}
        assert by_key[query_key(query)] == shown
    assert any(len(items) > 5 for items in by_key.values()), "the systems differ"


def test_the_order_of_a_pool_follows_the_seed_and_not_the_systems(
    systems: Systems, catalog: CatalogStore
) -> None:
    topics = random_items(catalog, 8, seed=3)

    def order(names: list[str], seed: int) -> tuple[tuple[str, str], ...]:
        return make_pool(topics, systems.search, systems=names, depth=10, seed=seed).pairs

    assert order(["live", "varied"], 1) == order(["varied", "live"], 1)
    assert order(["live"], 1) != order(["live"], 2)
    ranked = {
        query_key(query): [hit.item_id for hit in systems.search(query).hits]
        for query in (Query.of(item=topic.query, n=10) for topic in topics)
    }
    pooled = items_of(make_pool(topics, systems.search, systems=["live"], depth=10, seed=1))
    assert all(sorted(ranked[key]) == sorted(pooled[key]) for key in pooled)
    assert all(ranked[key] != pooled[key] for key in pooled)


def test_queries_that_cannot_be_searched_are_skipped_with_a_reason(systems: Systems) -> None:
    topics = [Topic("1", "item", "gone.jpg"), Topic("2", "item", "mug/red-0.jpg"), Topic("3", "query", "???")]
    pool = make_pool(topics, systems.search, systems=["live"], depth=3, seed=0)
    assert list(pool.skipped) == ["1", "3"]
    assert len(pool.pairs) == 3
    with pytest.raises(JudgingError, match=r"gone\.jpg"):
        make_pool(topics[:1], systems.search, systems=["live"], depth=3, seed=0)
    with pytest.raises(UnknownSystem, match="nothing-like-it"):
        make_pool(topics, systems.search, systems=["nothing-like-it"], depth=3, seed=0)
    for depth, names, some in ((0, ["live"], topics), (3, [], topics), (3, ["live"], [])):
        with pytest.raises(JudgingError):
            make_pool(some, systems.search, systems=names, depth=depth, seed=0)


def test_query_sets_come_from_the_feedback_a_list_or_a_random_draw(
    systems: Systems, catalog: CatalogStore, feedback: FeedbackLog
) -> None:
    with pytest.raises(JudgingError, match="searched yet"):
        most_searched(catalog, 5)
    for item_id, times in (("mug/red-0.jpg", 3), ("lamp/blue-0.jpg", 1), ("ring/red-1.jpg", 2)):
        for _ in range(times):
            result = systems.search(Query.of(item=item_id, n=3))
            feedback.record_impressions(result, query_key(result.query))
            if item_id.startswith("lamp"):
                feedback.record_click(search_id=result.search_id, item_id="ring/red-1.jpg", rank=1)
    feedback.flush()
    assert [topic.query for topic in most_searched(catalog, 2)] == ["mug/red-0.jpg", "ring/red-1.jpg"]
    assert [topic.query for topic in most_clicked(catalog, 5)] == ["lamp/blue-0.jpg"]
    found = parse_list(
        catalog, "mug/red-0.jpg\n\n  a = b  \ntext=red+mug&less=mug/red-0.jpg\nred mug\nred mug\n"
    )
    assert [topic.kind for topic in found] == ["item", "text", "query", "text"]
    drawn = random_items(catalog, 10, seed=5)
    assert drawn == random_items(catalog, 10, seed=5) != random_items(catalog, 10, seed=6)
    for text in ("", "\n \n"):
        with pytest.raises(JudgingError):
            parse_list(catalog, text)


# --- judging ------------------------------------------------------------------------------------------------------


def test_a_labeler_never_sees_rank_score_or_system(
    judging: Judging, systems: Systems, catalog: CatalogStore
) -> None:
    pool = make_pool(random_items(catalog, 2, seed=0), systems.search, systems=["live"], depth=3, seed=0)
    made = judging.create("blind", pool, source="random photos", systems=["live"], depth=3)
    reply = Labeler(judging, made, "ann").sync(history=True)
    assert {name for pair in reply.model_dump()["pairs"] for name in pair} == {
        "pair",
        "query",
        "title",
        "image",
    }
    assert "live" not in str(reply.model_dump())


def test_verdicts_are_stored_in_the_feedback_and_the_next_pairs_are_prefetched(
    judging: Judging, small: Callable[..., JudgingSet], feedback: FeedbackLog
) -> None:
    ann = Labeler(judging, small(queries=2, items=6), "ann")
    reply = ann.sync()
    assert len(reply.pairs) == PREFETCH_PAIRS
    seen = []
    while reply.pairs:
        seen.append(first(reply))
        reply = ann.say("good", reply)
    assert len(seen) == len(set(seen)) == 12
    assert (reply.judged, reply.wanted, reply.mine, reply.waiting) == (12, 12, 12, False)
    assert reply.per_hour == 3600.0
    latest = feedback.latest_judgments()
    assert len(latest) == 12
    assert set(latest["labeler"]) == {"ann"}


def test_a_repeated_act_is_stored_once(
    judging: Judging, catalog: CatalogStore, small: Callable[..., JudgingSet]
) -> None:
    ann = Labeler(judging, small(), "ann")
    act = ann.act("good", first(ann.sync()))
    for _ in range(3):
        reply = ann.sync(act)
        assert act.event_id in reply.handled
        assert (reply.judged, reply.refused) == (1, {})
    assert rows(catalog, "SELECT count(*) FROM judgments") == [(1,)]


def test_undo_appends_an_act_and_returns_the_pair(
    judging: Judging, catalog: CatalogStore, small: Callable[..., JudgingSet], feedback: FeedbackLog
) -> None:
    ann = Labeler(judging, small(), "ann")
    pair = first(ann.sync())
    after = ann.sync(ann.act("good", pair))
    assert pair not in pairs_of(after)
    undone = ann.sync(ann.act("undo", pair))
    assert pairs_of(undone)[0] == pair
    assert undone.judged == 0
    assert ann.sync(ann.act("undo", pair)).refused, "there is nothing left to undo"
    again = ann.sync(ann.act("bad", pair))
    assert (again.judged, again.mine) == (1, 1)
    acts = rows(catalog, "SELECT act FROM judging_acts WHERE counted ORDER BY rowid")
    assert [act for (act,) in acts] == ["good", "undo", "bad"]
    assert list(feedback.latest_judgments()["verdict"]) == ["bad"]


def test_skipped_pairs_come_back_at_the_end(
    judging: Judging, catalog: CatalogStore, small: Callable[..., JudgingSet]
) -> None:
    ann = Labeler(judging, small(queries=1, items=3), "ann")
    before = pairs_of(ann.sync())
    reply = ann.sync(ann.act("skip", before[0]))
    assert pairs_of(reply) == [*before[1:], before[0]]
    assert reply.judged == 0
    assert not rows(catalog, "SELECT * FROM judgments")
    back = ann.sync(ann.act("undo", before[0]))
    assert sorted(pairs_of(back)) == sorted(before)


def test_the_history_survives_a_reload(judging: Judging, small: Callable[..., JudgingSet]) -> None:
    ann = Labeler(judging, small(), "ann")
    order = pairs_of(ann.sync())
    ann.sync(ann.act("good", order[0]), ann.act("bad", order[1]), ann.act("skip", order[2]))
    ann.sync(ann.act("undo", order[0]))
    history = ann.sync(history=True).history
    assert [(act.pair, act.act) for act in history] == [(order[1], "bad"), (order[2], "skip")]
    assert ann.sync().history == ()


def test_two_tabs_and_two_labelers_never_hold_the_same_pair(
    judging: Judging, small: Callable[..., JudgingSet]
) -> None:
    made = small(queries=4, items=10, raters=2)
    tabs = [
        Labeler(judging, made, "ann", "tab-one-of-ann"),
        Labeler(judging, made, "ann", "tab-two-of-ann"),
        Labeler(judging, made, "ben", "tab-one-of-ben"),
    ]
    given = [pair for tab in tabs for pair in pairs_of(tab.sync())]
    assert len(given) == len(set(given)) == 30


def test_concurrent_labelers_judge_every_pair_by_all_raters_and_never_hold_the_same_one(
    judging: Judging, catalog: CatalogStore, small: Callable[..., JudgingSet]
) -> None:
    made = small(queries=2, items=7, raters=2)
    in_hand: Counter[int] = Counter()
    guard = threading.Lock()
    problems: list[str] = []

    def work(name: str) -> None:
        tab = Labeler(judging, made, name)
        reply = tab.sync()
        while reply.pairs or reply.waiting:
            if not reply.pairs:
                time.sleep(0.05)
                reply = tab.sync()
                continue
            pair = first(reply)
            with guard:
                in_hand[pair] += 1
                if in_hand[pair] > 1:
                    problems.append(f"{name} has {pair} too")
            act = tab.act("good" if pair % 3 else "bad", pair)
            with guard:
                in_hand[pair] -= 1
            reply = tab.sync(act)
            if reply.refused:
                problems.append(str(reply.refused))

    threads = [threading.Thread(target=work, args=(f"labeler {number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(240)
    assert problems == []
    verdicts = judging.verdicts(made)
    assert set(verdicts.groupby(["query_key", "item_id"])["labeler"].nunique()) == {2}
    assert len(verdicts) == 28
    assert rows(catalog, "SELECT count(*) FROM judgments") == [(28,)]


def test_the_number_of_raters_is_never_exceeded(
    judging: Judging, catalog: CatalogStore, small: Callable[..., JudgingSet]
) -> None:
    made = small(queries=1, items=2, raters=1)
    ann, ben = Labeler(judging, made, "ann"), Labeler(judging, made, "ben")
    pair, other = pairs_of(ann.sync())
    early = ben.sync(ben.act("bad", pair))
    assert "too late" in next(iter(early.refused.values())), "the pair is in ann's hands"
    assert ann.sync(ann.act("good", pair)).judged == 1
    late = ben.sync(ben.act("bad", pair))
    assert list(late.refused) == list(late.handled)
    assert ben.sync(ben.act("bad", 10**9)).refused, "no such pair"
    assert ben.sync().waiting
    assert list(judging.verdicts(made)["labeler"]) == ["ann"]
    assert rows(catalog, "SELECT count(*) FROM judgments") == [(1,)]
    assert not ann.sync(ann.act("good", other)).pairs
    assert not ben.sync().waiting


def test_expired_leases_free_their_pairs_and_late_verdicts_count_below_the_limit(
    judging: Judging, catalog: CatalogStore, feedback: FeedbackLog, small: Callable[..., JudgingSet]
) -> None:
    forgetful = Judging(catalog, feedback, lease_s=0.05)
    made = small(queries=1, items=3, raters=1)
    order = pairs_of(Labeler(forgetful, made, "ann").sync())
    time.sleep(0.1)
    ann = Labeler(judging, made, "ann")
    assert ann.sync(ann.act("good", order[0])).judged == 1, "no one else had it in the meantime"
    assert ann.sync().pairs, "a call renews the leases that no one else took"
    made_too = small("other", queries=1, items=2, raters=1)
    first_pair = first(Labeler(forgetful, made_too, "ann").sync())
    time.sleep(0.1)
    gone, ben = Labeler(judging, made_too, "ann"), Labeler(judging, made_too, "ben")
    assert first(ben.sync()) == first_pair
    assert "too late" in next(iter(gone.sync(gone.act("good", first_pair)).refused.values()))
    assert ben.sync(ben.act("bad", first_pair)).refused == {}


def test_leases_and_verdicts_persist_across_processes(
    catalog: CatalogStore, judging: Judging, feedback: FeedbackLog, small: Callable[..., JudgingSet]
) -> None:
    made = small(raters=1)
    order = pairs_of(Labeler(judging, made, "ann").sync())
    restarted = Judging(catalog, feedback)
    ann = Labeler(restarted, made, "ann")
    assert pairs_of(ann.sync()) == order
    assert not set(pairs_of(Labeler(restarted, made, "ben").sync())) & set(order)


def test_a_grid_contains_one_query(judging: Judging, small: Callable[..., JudgingSet]) -> None:
    made = small(queries=3, items=6)
    ann = Labeler(judging, made, "ann", layout="grid")
    done = 0
    reply = ann.sync()
    while reply.pairs:
        assert len({pair.query for pair in reply.pairs}) == 1
        assert len(reply.pairs) == 6
        done += len(reply.pairs)
        reply = ann.sync(*(ann.act("good", pair) for pair in pairs_of(reply)))
    assert done == 18


def test_a_referee_decides_disagreements_and_only_their_verdict_is_exported(
    judging: Judging, small: Callable[..., JudgingSet], tmp_path: Path
) -> None:
    made = small(queries=1, items=3, raters=2)
    ann, ben = Labeler(judging, made, "ann"), Labeler(judging, made, "ben")
    order = pairs_of(ann.sync())
    ann.sync(*(ann.act("good", pair) for pair in order))
    ben.sync()
    ben.sync(ben.act("good", order[0]), ben.act("bad", order[1]), ben.act("cant_tell", order[2]))
    assert judging.progress(made).divided == 1
    (differ,) = judging.disagreements(made)
    assert (dict(differ.verdicts), differ.referee) == ({"ann": "good", "ben": "bad"}, None)
    agreement = judging.agreement(made)
    assert (agreement.units, agreement.share) == (2, 0.5), "can't tell is no answer"
    cy = Labeler(judging, made, "cy", role="referee")
    reply = cy.sync()
    assert pairs_of(reply) == [order[1]]
    assert (reply.judged, reply.wanted) == (0, 1)
    reply = cy.sync(cy.act("good", order[1]))
    assert (reply.judged, reply.wanted, reply.pairs) == (1, 1, ())
    dee = Labeler(judging, made, "dee", role="referee")
    assert dee.sync(dee.act("bad", order[1])).refused
    assert judging.disagreements(made)[0].referee == "good"
    export_judgments(judging.votes(made), tmp_path / "out.trec")
    ((_, levels),) = read_qrels(tmp_path / "out.trec").items()
    assert list(levels.values()) == [1, 1, 1]


def test_pairs_with_a_missing_photo_are_skipped(
    judging: Judging, catalog: CatalogStore, small: Callable[..., JudgingSet]
) -> None:
    made = small(queries=1, items=3)
    ann = Labeler(judging, made, "ann")
    ids = [item.item_id for item in catalog.iter_items()]
    catalog.remove([ids[2]])
    reply = ann.sync()
    assert len(reply.pairs) == 2
    assert reply.wanted == 2
    assert judging.progress(made).gone == 1
    while reply.pairs:
        reply = ann.say("good", reply)
    assert (reply.judged, reply.waiting) == (2, False)


def test_progress_counts_verdicts_that_were_not_withdrawn(
    judging: Judging, small: Callable[..., JudgingSet]
) -> None:
    made = small(queries=1, items=3, raters=2)
    ann = Labeler(judging, made, "ann")
    order = pairs_of(ann.sync())
    ann.sync(*(ann.act("good", pair, 500) for pair in order))
    ben = Labeler(judging, made, "ben")
    ben.sync()
    ben.sync(ben.act("bad", order[0]))
    found = judging.progress(made)
    assert (found.pairs, found.pairs_done, found.wanted, found.judged) == (3, 1, 6, 4)
    assert [(each.labeler, each.judged, each.per_hour) for each in found.labelers] == [
        ("ann", 3, 7200.0),
        ("ben", 1, None),
    ]


def test_every_version_of_a_guideline_is_stored(
    judging: Judging, catalog: CatalogStore, small: Callable[..., JudgingSet]
) -> None:
    made = small()
    assert judging.guideline(made).version == 0
    judging.set_guideline(made, "Be kind.\r\nBe quick.", author=QUOTED)
    judging.set_guideline(made, "Be kind.\nBe quick.", author="ben")
    again = judging.set_guideline(made, "Be kind.", author="ben")
    assert (again.version, again.text, again.author) == (2, "Be kind.", "ben")
    assert rows(catalog, "SELECT author FROM judging_guidelines ORDER BY version") == [(QUOTED,), ("ben",)]
    with pytest.raises(JudgingError, match="characters"):
        judging.set_guideline(made, "x" * 10_001, author="ben")


# --- files --------------------------------------------------------------------------------------------------------


def test_csv_and_qrels_round_trip_also_with_quotes_in_names(
    judging: Judging, catalog: CatalogStore, small: Callable[..., JudgingSet], tmp_path: Path
) -> None:
    made = small(queries=2, items=3, raters=2)
    for name in (QUOTED, "ben, the 2nd"):
        tab = Labeler(judging, made, name)
        reply = tab.sync()
        while reply.pairs:
            reply = tab.say("good" if first(reply) % 2 else "bad", reply)
    write_verdicts_csv(judging.verdicts(made), tmp_path / "all.csv")
    back = read_verdicts(tmp_path / "all.csv", catalog, labeler="unnamed")
    copy = judging.import_set("from csv", back, source="a file")
    columns = ["query_key", "item_id", "labeler", "verdict"]
    assert judging.verdicts(copy)[columns].equals(judging.verdicts(made)[columns])
    assert copy.raters == 2
    export_judgments(judging.votes(made), tmp_path / "all.trec")
    from_qrels = read_verdicts(tmp_path / "all.trec", catalog, labeler=QUOTED)
    copied = judging.import_set("from qrels", from_qrels, source="a file")
    assert judging.votes(copied)[["query_key", "item_id", "verdict"]].equals(
        judging.votes(made)[["query_key", "item_id", "verdict"]].drop_duplicates(ignore_index=True)
    )
    with zipfile.ZipFile(BytesIO(qrels_zip(judging.votes(made), "all"))) as archive:
        assert archive.namelist() == ["all.topics.tsv", "all.trec"]
        assert archive.read("all.trec") == (tmp_path / "all.trec").read_bytes()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.trec", "mug/red-0.jpg 0 gone.jpg 1\n", "not in the catalog, such as 'gone.jpg'"),
        ("a.trec", "who-knows 0 mug/red-1.jpg 1\n", "no item of the catalog"),
        ("a.trec", "mug/red-0.jpg 0 mug/red-1.jpg much\n", "Line 1"),
        ("a.csv", "query,item_id\nx,y\n", "no column 'verdict'"),
        ("a.csv", "query,item_id,verdict\nmug/red-0.jpg,mug/red-1.jpg,great\n", "Line 2"),
        ("a.csv", "query,item_id,verdict\nred mug,mug/red-1.jpg,good\n", "text=red\\+mug"),
        ("a.csv", "query,item_id,verdict\nmug/red-0.jpg,gone.jpg,good\n", "not in the catalog"),
        ("a.csv", "query,item_id,verdict\n" + "mug/red-0.jpg,mug/red-1.jpg,good\n" * 2, "twice"),
        (
            "a.csv",
            "query,item_id,verdict,labeler\nmug/red-0.jpg,mug/red-1.jpg,good,\x07\n",
            "unprintable",
        ),
        ("a.csv", "query,item_id,verdict\n", "no judgments"),
        ("a.csv", 'query,item_id,verdict\n"mug', "not CSV"),
    ],
)
def test_an_invalid_import_is_refused_in_one_sentence_and_changes_nothing(
    judging: Judging, catalog: CatalogStore, tmp_path: Path, name: str, content: str, reason: str
) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(ImgSearchError, match=reason) as refusal:
        judging.import_set("new", read_verdicts(tmp_path / name, catalog, labeler="ann"), source="a file")
    assert "\n" not in str(refusal.value)
    assert judging.all() == []
    assert rows(catalog, "SELECT count(*) FROM judgments") == [(0,)]


def test_an_import_with_an_existing_name_leaves_the_existing_set_unchanged(
    judging: Judging, small: Callable[..., JudgingSet]
) -> None:
    made = small("taken")
    with pytest.raises(JudgingError, match="already"):
        judging.import_set(" taken ", [Judgment("text=a", "mug/red-0.jpg", "good", "ann")], source="a file")
    assert judging.all() == [made]
    assert judging.progress(made).judged == 0


def test_a_set_without_verdicts_writes_no_file(
    judging: Judging, small: Callable[..., JudgingSet], tmp_path: Path
) -> None:
    with pytest.raises(EvaluationError, match="no judgments"):
        write_verdicts_csv(judging.verdicts(small()), tmp_path / "x.csv")


# --- bad input ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "a\x00b", "a\nb\x1bc", "\ud800", 5, None])
def test_invalid_names_are_refused(judging: Judging, name: Any) -> None:
    with pytest.raises(JudgingError):
        clean_name(name, "The name")
    with pytest.raises(JudgingError):
        judging.create(name, pool_of([("text=a", "mug/red-0.jpg")]), source="test")
    assert judging.all() == []


@pytest.mark.parametrize(
    "change",
    [
        {"set": ""},
        {"labeler": 5},
        {"client": "short"},
        {"client": "has space in it"},
        {"role": "boss"},
        {"layout": []},
        {"acts": {}},
        {"acts": [{"id": "a" * 12, "pair": 1}] * 400},
        {"acts": [{"id": "x", "pair": 1, "act": "good"}]},
        {"acts": [{"id": "a" * 12, "pair": True, "act": "good"}]},
        {"acts": [{"id": "a" * 12, "pair": 2**60, "act": "good"}]},
        {"acts": [{"id": "a" * 12, "pair": 1, "act": "great"}]},
        {"acts": [{"id": "a" * 12, "pair": 1, "act": "good", "took_ms": -1}]},
        {"acts": [{"id": "a" * 12, "pair": 1, "act": "good", "rank": 1}]},
        {"acts": ["good"]},
        {"history": "yes"},
        {"rank": 1},
    ],
)
def test_a_malformed_call_is_refused(change: Mapping[str, Any]) -> None:
    body = {"set": "a", "labeler": QUOTED, "client": "client-0001", "acts": []}
    assert JudgingCall.parse(body).labeler == QUOTED
    with pytest.raises(JudgingError):
        JudgingCall.parse({**body, **change})


def test_an_unknown_set_and_impossible_numbers_are_refused(judging: Judging) -> None:
    pool = pool_of([("text=a", "mug/red-0.jpg")])
    with pytest.raises(JudgingError, match="no judging set"):
        judging.sync(JudgingCall(set="nowhere", labeler="ann", client="client-0001"))
    for options, wrong in (({"raters": 0}, pool), ({"raters": 21}, pool), ({}, pool_of([]))):
        with pytest.raises(JudgingError):
            judging.create("new", wrong, source="test", **options)  # type: ignore[arg-type]
    assert judging.all() == []
