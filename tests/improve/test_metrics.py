"""`/metrics` in the Prometheus text format, read by a strict parser."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.testclient import TestClient

from imgsearch.app.api.routes import create_api
from imgsearch.app.service import SearchService
from imgsearch.improve.monitoring.telemetry import LATENCY_BUCKETS_S, render

NAME = re.compile(r"[a-z][a-z0-9_]*")
SAMPLE = re.compile(r'([a-z][a-z0-9_]*)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\[\\"n])*",?)*)\})? (\S+)')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)')

Labels = tuple[tuple[str, str], ...]


def parse(text: str) -> dict[str, dict[Labels, float]]:
    """Return the samples by name and labels; fails on violations of the format or the naming rules."""
    assert text.endswith("\n")
    kinds: dict[str, str] = {}
    helped: set[str] = set()
    samples: dict[str, dict[Labels, float]] = {}
    family = ""
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            family, words = line[7:].split(" ", 1)
            assert NAME.fullmatch(family)
            assert family not in helped, f"{family} is described twice"
            assert words.endswith(".")
            helped.add(family)
        elif line.startswith("# TYPE "):
            name, kind = line[7:].split(" ")
            assert name == family, "TYPE follows its HELP"
            assert kind in {"counter", "gauge", "histogram"}
            assert name.endswith("_total") == (kind == "counter"), f"{name} is a {kind}"
            kinds[name] = kind
        else:
            found = SAMPLE.fullmatch(line)
            assert found, line
            name, inner, number = found[1], found[2] or "", found[3]
            suffixes = ("_bucket", "_sum", "_count") if kinds.get(family) == "histogram" else ("",)
            assert name in {family + suffix for suffix in suffixes}, f"{name} stands under {family}"
            labels = tuple(LABEL.findall(inner))
            assert len({label for label, _ in labels}) == len(labels)
            of_name = samples.setdefault(name, {})
            assert labels not in of_name, f"{line} is there twice"
            of_name[labels] = float(number)
            assert not math.isnan(of_name[labels])
    assert set(kinds) == helped
    for name, kind in kinds.items():
        if kind == "histogram":
            check_histogram(name, samples)
    return samples


def check_histogram(name: str, samples: dict[str, dict[Labels, float]]) -> None:
    """Check that buckets are monotonic, end with +Inf, and match the count."""
    by_labels: dict[Labels, list[tuple[float, float]]] = {}
    for labels, value in samples.get(f"{name}_bucket", {}).items():
        rest = tuple(pair for pair in labels if pair[0] != "le")
        by_labels.setdefault(rest, []).append((float(dict(labels)["le"]), value))
    for rest, buckets in by_labels.items():
        assert buckets == sorted(buckets), "buckets in order, and none shrinks"
        assert buckets[-1] == (math.inf, samples[f"{name}_count"][rest])


@pytest.fixture
def client(shared_service: SearchService) -> Iterator[TestClient]:
    with TestClient(
        create_api(lambda: shared_service, shared_service.settings), raise_server_exceptions=False
    ) as client:
        yield client


def scrape(client: TestClient) -> dict[str, dict[Labels, float]]:
    response = client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    return parse(response.text)


def test_every_line_follows_the_format_before_and_after_searches_of_all_kinds(client: TestClient) -> None:
    scrape(client)
    client.get("/api/v1/search?text=red+mug")
    client.get("/api/v1/search?item=mug/red-0.jpg&filter=price<-1")
    client.get("/api/v1/search?item=nosuch")
    client.get("/api/v1/search?text=x&filter=nosuch=1")
    found = scrape(client)
    assert found["imgsearch_search_failures_total"][(("code", "unknown_item"),)] == 1
    assert found["imgsearch_empty_searches_total"][()] >= 1
    assert found["imgsearch_http_requests_total"][(("endpoint", "search"), ("status", "200"))] >= 2


def test_metrics_include_feedback_index_encoder_and_uploads(
    client: TestClient, shared_service: SearchService
) -> None:
    client.get("/api/v1/search?item=mug/red-0.jpg&n=5")
    deadline = time.monotonic() + 120
    while shared_service.feedback.state().queued and time.monotonic() < deadline:
        time.sleep(0.05)
    found = {name: values[()] for name, values in scrape(client).items() if () in values}
    assert found["imgsearch_feedback_written_rows_total"] >= 5
    assert found["imgsearch_feedback_queued_rows"] == found["imgsearch_feedback_lost_rows_total"] == 0
    assert found["imgsearch_items"] == 48
    assert found["imgsearch_index_generation"] >= 1
    assert found["imgsearch_index_age_seconds"] > 0
    assert (found["imgsearch_encoder_ready"], found["imgsearch_encoder_failed"]) == (1, 0)
    assert found["imgsearch_uploads"] == 0
    assert found["imgsearch_searches_in_progress"] == found["imgsearch_encode_queue"] == 0
    assert found["imgsearch_http_searches_waiting"] == 0
    assert found["imgsearch_up"] == 1


def test_label_values_are_escaped_and_registries_merge_into_one_document() -> None:
    first, second = CollectorRegistry(), CollectorRegistry()
    Counter("x_total", "Words.", ["code"], registry=first).labels('a"b\\c\nd').inc()
    Gauge("y", "Words.", registry=second).set(0.5)
    found = parse(render(first, second).decode())
    assert found == {"x_total": {(("code", 'a\\"b\\\\c\\nd'),): 1.0}, "y": {(): 0.5}}


def test_bucket_labels_match_existing_dashboards() -> None:
    registry = CollectorRegistry()
    seconds = Histogram("s_seconds", "Words.", buckets=LATENCY_BUCKETS_S, registry=registry)
    seconds.observe(0.3)
    buckets = parse(render(registry).decode())["s_seconds_bucket"]
    assert [labels[0][1] for labels in buckets] == [
        *("0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10"),
        "+Inf",
    ]
    assert buckets[(("le", "0.5"),)] == 1
