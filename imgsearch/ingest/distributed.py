"""Encoding into shards by this process or by a Ray cluster: any number of workers writes the same bytes."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Literal

from imgsearch.core.background import Progress
from imgsearch.core.errors import ConfigError, EncoderMismatch
from imgsearch.core.records import Failure
from imgsearch.encoders import Encoder, load_encoder
from imgsearch.ingest.shards import (
    SHARD_PHOTOS,
    Plan,
    ShardReport,
    encode_shard,
    finished_shards,
    is_finished,
    plan_shards,
)
from imgsearch.ingest.sources import Source
from imgsearch.store.originals import Originals
from imgsearch.store.remote_files import normalised_place
from imgsearch.vision.images import ImageLimits

Engine = Literal["local", "ray"]


@dataclass(frozen=True, slots=True)
class FleetReport:
    """What a run did: all shards and those finished before, photos encoded and failed in the new ones."""

    shards: int
    finished_before: int
    encoded: int
    failed: tuple[Failure, ...]
    workers: int
    seconds: float


def encode_to_shards(
    place: str,
    sources: Sequence[Source],
    encoder: Encoder,
    *,
    engine: Engine = "local",
    workers: int = 0,
    device: str = "",
    shard_photos: int = SHARD_PHOTOS,
    threads: int = 1,
    limits: ImageLimits | None = None,
    private_hosts: bool = False,
    progress: Progress | None = None,
) -> FleetReport:
    """Encode the photos of the sources that `place` has no embedding of, and return what was done.

    `engine` is `local` (this process) or `ray`: the cluster at RAY_ADDRESS, else one on this machine, with `workers`
    processes (0: one for each GPU, or for each `threads` processors) of `threads` threads each. `progress` is called
    with (photos done, all photos). An interrupted run continues when it is started again. Raises `EncoderMismatch`,
    `SourceError` (see `plan_shards`), and `ConfigError` where Ray is not installed.
    """
    started = time.perf_counter()
    place = normalised_place(place)
    plans, failures = plan_shards(place, sources, encoder, shard_photos=shard_photos, threads=threads)
    before = finished_shards(place)
    missing = [(plan, number) for plan in plans for number in plan.numbers if number not in before]
    job = _Job(place, limits or ImageLimits(), device, private_hosts)
    reports: Iterator[ShardReport] = iter(())
    used = 0
    if missing and engine == "ray":
        reports, used = _by_ray(job, missing, workers)
    elif missing:
        reports, used = _by_this_process(job, missing, encoder), 1
    total = sum(plan.photos for plan in plans)
    done = total - sum(plan.photos_in(number) for plan, number in missing)
    encoded = 0
    for report in reports:
        encoded += report.encoded
        failures += report.failed
        done += report.encoded + len(report.failed)
        if progress is not None:
            progress(done, total)
    return FleetReport(
        shards=sum(plan.shards for plan in plans),
        finished_before=len(before),
        encoded=encoded,
        failed=tuple(failures),
        workers=used,
        seconds=time.perf_counter() - started,
    )


@dataclass(frozen=True, slots=True)
class _Job:
    """What every worker needs."""

    place: str
    limits: ImageLimits
    device: str
    private_hosts: bool

    def originals(self) -> Originals:
        return Originals(max_bytes=self.limits.max_bytes, private_hosts=self.private_hosts)


def _by_this_process(
    job: _Job, missing: Sequence[tuple[Plan, int]], encoder: Encoder
) -> Iterator[ShardReport]:
    from imgsearch.encoders.device import torch_threads

    with closing(job.originals()) as originals:
        for plan, number in missing:
            with torch_threads(plan.threads):
                yield encode_shard(job.place, plan, number, encoder, originals=originals, limits=job.limits)


# --- Ray --------------------------------------------------------------------------------------------------------


class _Worker:
    """A process of the cluster: one model, which encodes one shard after another."""

    def __init__(self, job: _Job, plans: dict[int, Plan], threads: int) -> None:
        from imgsearch.encoders.device import torch_threads

        self._job = job
        self._plans = plans
        self._threads = torch_threads(threads)
        self._threads.__enter__()
        plan = next(iter(plans.values()))
        self._encoder = load_encoder(plan.encoder_spec, device=job.device or None)
        if self._encoder.id != plan.encoder_id:
            raise EncoderMismatch(
                f"A worker's {plan.encoder_spec} is {self._encoder.id}, but the plan wants {plan.encoder_id}: "
                "install the same imgsearch and the same weights on every machine."
            )
        self._originals = job.originals()

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        number = int(row["shard"])
        # Ray repeats the task of a dead worker, which may have died after it wrote its shard.
        if is_finished(self._job.place, number):
            return {"shard": number, "encoded": 0, "paths": [], "reasons": []}
        plan = self._plans[int(row["plan"])]
        report = encode_shard(
            self._job.place, plan, number, self._encoder, originals=self._originals, limits=self._job.limits
        )
        return {
            "shard": number,
            "encoded": report.encoded,
            "paths": [failure.path for failure in report.failed],
            "reasons": [failure.reason for failure in report.failed],
        }


def _by_ray(
    job: _Job, missing: Sequence[tuple[Plan, int]], workers: int
) -> tuple[Iterator[ShardReport], int]:
    """Distribute the shards to Ray actors; Ray replaces a dead one and repeats its shard."""
    try:
        import ray
        import ray.data
    except ImportError:
        raise ConfigError("--engine ray needs Ray; install it with: pip install 'imgsearch[ray]'.") from None
    ours = not ray.is_initialized()
    if ours:
        # Ray would report its start to its makers over the network.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        ray.init(include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    threads = missing[0][0].threads
    resources = ray.cluster_resources()
    gpus = 1 if resources.get("GPU", 0) >= 1 and job.device in ("", "cuda") else 0
    fitting = resources.get("GPU", 0) if gpus else resources.get("CPU", 1) // threads
    count = max(1, min(workers or int(fitting), len(missing)))
    rows = [{"plan": plan.number, "shard": number} for plan, number in missing]
    made = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
        _Worker,
        fn_constructor_args=(job, {plan.number: plan for plan, _ in missing}, threads),
        compute=ray.data.ActorPoolStrategy(size=count, max_tasks_in_flight_per_actor=2),
        num_cpus=0 if gpus else min(threads, max(resources.get("CPU", 1) / count, 0.01)),
        num_gpus=gpus or None,
    )
    return _reports(made, ray.shutdown if ours else None), count


def _reports(made: Any, shutdown: Callable[[], None] | None) -> Iterator[ShardReport]:
    """Yield the report of each finished shard, then stop a cluster that was started for this run."""
    try:
        for row in made.iter_rows():
            failed = zip(row["paths"], row["reasons"], strict=True)
            failures = tuple(Failure(path, reason) for path, reason in failed)
            yield ShardReport(int(row["shard"]), int(row["encoded"]), failures)
    finally:
        if shutdown is not None:
            shutdown()
