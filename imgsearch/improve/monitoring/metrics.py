"""The Prometheus text format of this process's metrics, by prometheus-client."""

from __future__ import annotations

import re
from typing import Final

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, disable_created_metrics, generate_latest
from prometheus_client.registry import Collector

__all__ = ["CONTENT_TYPE", "LATENCY_BUCKETS_S", "render"]

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
LATENCY_BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

_WHOLE_BUCKET = re.compile(rb'([{,]le="\d+)\.0"')

# It would add a series for each counter that no scraper of this program reads.
disable_created_metrics()  # type: ignore[no-untyped-call]


def render(*collectors: Collector) -> bytes:
    """Return the metrics of registries and other collectors, in that order, as one document."""
    text = b"".join(generate_latest(collector) for collector in collectors)
    # The labels of whole buckets stay "1" and "5", as alerts and dashboards name them.
    return _WHOLE_BUCKET.sub(rb'\1"', text)
