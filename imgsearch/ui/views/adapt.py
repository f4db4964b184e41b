"""The Adapt page: learn a head from feedback, compare it with the model, publish it or roll back.

Learning and publishing are background jobs of the service: they continue when the visitor leaves the page.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import streamlit as st

from imgsearch.app.service import SearchService, get_service
from imgsearch.core.errors import ImgSearchError
from imgsearch.improve.judging.topics import Topic, topic_query
from imgsearch.index.heads import Head, list_heads, live_head_id
from imgsearch.search.systems import System
from imgsearch.ui.components import blocks as ui
from imgsearch.ui.components.jobs import draw_job
from imgsearch.ui.markup import draw_html, draw_style, plain


def draw() -> None:
    """Draw the page."""
    service = get_service()
    draw_style("adapt.css")
    ui.heading(
        "Adapt",
        "Let the search learn from clicks and judgments. Only a model that wins on unseen queries can be published, "
        "and you can always roll back.",
    )
    if ui.no_items(service):
        return
    live = live_head_id(service.catalog)
    _draw_feedback(service, live)
    _draw_actions(service, live)
    ui.outcome()
    draw_job(service.heads.jobs, after_stop="nothing has changed")
    report = service.heads.report
    if report is not None and not report.head:
        ui.section("Last result")
        ui.line(report.reason, "count", role="status")
        if report.rank:
            _draw_measures(report.as_dict())
        _draw_sources(report.as_dict())
    heads = list_heads(service.catalog)[::-1]
    if not heads and report is None:
        ui.message(
            "Nothing learned yet",
            "A few hundred queries with clicks or judgments are enough. Search and click, judge on the Judge page, "
            "then press Learn from feedback.",
        )
        return
    for head in heads:
        _draw_head(service, head, is_live=head.id == live, is_open=head is heads[0])


def _draw_feedback(service: SearchService, live: str) -> None:
    counts = service.feedback.counts()
    shown = {"Results shown": "impressions", "Clicks": "clicks", "Judgments": "judgments"}
    figures = [(label, f"{counts[name]:,}") for label, name in shown.items()]
    ui.metrics(*figures, ("Active", live or "base model"))


def _draw_actions(service: SearchService, live: str) -> None:
    heads, act = service.heads, partial(ui.act, disabled=service.heads.jobs.running)
    with st.container(horizontal=True):
        act("Learn from feedback", "learn", heads.start_training, type="primary", icon="model_training")
        if live:
            help_text = "Activates the previous version again."
            act("Roll back", "roll_back", heads.roll_back, icon="undo", help=help_text)


def _draw_head(service: SearchService, head: Head, *, is_live: bool, is_open: bool) -> None:
    created = head.created_at[:16].replace("T", " ") + " UTC"
    state = ":material/check_circle: active" if is_live else plain(created)
    act = partial(ui.act, disabled=service.heads.jobs.running)
    with st.expander(f"**{plain(head.id)}** · {state}", expanded=is_open):
        ui.line(str(head.report.get("reason", "")), "count")
        _draw_measures(head.report)
        with st.container(horizontal=True):
            if not is_live:
                act(
                    "Publish",
                    f"publish_{head.id}",
                    service.heads.start_publishing,
                    head.id,
                    type="primary",
                    icon="publish",
                    help="Applies from the next search on; no photo is encoded again.",
                )
            if head.id not in {system.name for system in service.systems.all()}:
                act(
                    "Use in an experiment",
                    f"arm_{head.id}",
                    service.systems.save,
                    System(head.id, head=head.id),
                    icon="science",
                    done=f"You can now choose {head.id} in experiments and judging sets.",
                    help="Adds it as a system for experiments, judging sets and comparisons.",
                )
        _draw_samples(service, head.report.get("samples", ()))
        _draw_sources(head.report)


def _draw_measures(report: Mapping[str, Any]) -> None:
    relative = report["change"] / report["before"] if report["before"] else 0.0
    guards = [
        (f"Guard: {plain(each['name'])}", f"{each['after']:.0%}", f"{each['after'] - each['before']:+.1%}")
        for each in report["guards"]
    ]
    ui.metrics(
        ("nDCG@10 before", f"{report['before']:.3f}"),
        ("nDCG@10 after", f"{report['after']:.3f}", f"{relative:+.1%}"),
        ("Change, 99% confidence interval", f"{report['low']:+.3f} to {report['high']:+.3f}"),
        *guards,
    )


def _draw_samples(service: SearchService, samples: Any) -> None:
    if samples:
        ui.section("Held-out queries that change most")
        draw_html("adapted_queries", samples=[_sample(service, sample) for sample in samples])


def _sample(service: SearchService, sample: Mapping[str, Any]) -> dict[str, Any]:
    item, words = None, str(sample["query_key"])
    try:
        term = topic_query(Topic(words, "query", words)).terms[0]
        words = str(term.value)
        if term.kind == "item":
            item = service.catalog.get(words)
            words = item.title
    except ImgSearchError:
        pass  # an unreadable query is shown as stored
    lists = {
        name: service.catalog.get_many(list(sample[key]))
        for name, key in {"Before": "before", "After": "after"}.items()
    }
    return {"item": item, "words": words, "change": sample["change"], "lists": lists}


def _draw_sources(report: Mapping[str, Any]) -> None:
    queries = report["queries"]
    split = ", ".join(f"{count:,} for {part}" for part, count in queries.items())
    ui.facts(
        {
            "Feedback": f"{report['clicks']:,} clicks on {report['impressions']:,} results shown, "
            f"{report['judgments']:,} judgments",
            "Queries": f"{sum(queries.values()):,}: {split}",
            "Left out": ", ".join(f"{count:,} {why}" for why, count in report["skipped"].items()),
            "Position bias": f"attention falls as 1 / rank^{report['eta']:.2f} ({report['eta_source']})",
            "Catalog": f"{report['text_pairs']:,} pairs of a title and its photo, {report['product_pairs']:,} "
            "pairs of photos of the same product",
            "Notes": " ".join(report["notes"]),
        }
    )
