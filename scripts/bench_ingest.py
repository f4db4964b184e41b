"""Measure the overhead of an indexing run over its encoder, with threads and with worker processes, and its memory.

    python scripts/bench_ingest.py FOLDER [--encoder lite] [--limit N] [--rounds 3] [--ways workers] [--json]

Each round times these alternately, in one process, on the same photos, with a warm model and the files in the page
cache; results are medians, and ratios within each round:

encoder    `encode_arrays` only, of photos already in memory (at most 2,000), with all threads.
alone      decoding + encoding: as many threads as the run uses read, decode and preprocess the photos, with the
           encoder in the main thread; no hashing, descriptors, storage or index.
threads    the whole `index_sources` into a new catalog, from the listing to the saved index, in this process.
workers    the same with worker processes, including their start; also the start time alone.

`of_encoder` is the throughput of `workers` relative to `encoder`, `of_alone` relative to `alone`. The second run
repeats the first and must encode nothing. A `--limit` over the number of photos repeats them. Memory is the peak of
this process (including the interpreter, the model and the photos in memory) and of the largest worker (Linux).
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import statistics
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from imgsearch.core.config import cpu_count
from imgsearch.core.errors import ImgSearchError
from imgsearch.core.records import IndexingReport
from imgsearch.encoders import Encoder, load_encoder
from imgsearch.index.opening import open_live_index
from imgsearch.ingest.indexing import IndexingOptions, index_sources
from imgsearch.ingest.run import ENCODE_BATCH
from imgsearch.ingest.sources import open_source
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.item_table import Photo
from imgsearch.store.originals import file_of
from imgsearch.vision.images import decode_picture
from imgsearch.vision.looks import describe

MOST_READY = 2_000
RUNS = ("threads", "workers")
WAYS = ("encoder", "alone", *RUNS)


def main() -> None:
    options = _options()
    encoder = load_encoder(options.encoder, allow_download=False, backend=options.backend)
    paths = _photos(options.folder, options.limit)
    for path in paths:
        path.read_bytes()  # into the page cache, for every measurement
    _alone(encoder, paths[: 4 * ENCODE_BATCH], options.threads)  # warm up
    ready = _arrays(encoder, paths[:MOST_READY]) if "encoder" in options.ways else []
    seconds: dict[str, list[float]] = {way: [] for way in options.ways}
    second_runs: list[float] = []
    reports: list[IndexingReport] = []
    with tempfile.TemporaryDirectory() as scratch, _PeakOfChildren() as children:
        source = _linked(paths, Path(scratch) / "photos")
        for number in range(options.rounds):
            for way in options.ways:
                if way == "encoder":
                    took = _timed(lambda: encoder.encode_arrays(ready)) / len(ready) * len(paths)
                elif way == "alone":
                    took = _timed(lambda: _alone(encoder, paths, options.threads))
                else:
                    workers = options.threads if way == "workers" else 1
                    run = IndexingOptions(threads=options.threads, workers=workers, worth_workers=1)
                    folder = Path(scratch) / f"catalog-{way}-{number}"
                    started = time.perf_counter()
                    reports.append(_run(folder, encoder, source, run))
                    took = time.perf_counter() - started
                    started = time.perf_counter()
                    reports.append(_run(folder, encoder, source, run))
                    second_runs.append(time.perf_counter() - started)
                seconds[way].append(took)
    per_photo = {way: statistics.median(took) / len(paths) * 1000 for way, took in seconds.items()}
    runs = reports[::2]
    result = {
        "photos": max((report.added for report in runs), default=len(paths)),
        "failed": max((len(report.failed) for report in runs), default=0),
        "encoder": encoder.id,
        "backend": getattr(encoder, "backend", "torch"),
        "threads": options.threads,
        "rounds": options.rounds,
        "load_average": round(os.getloadavg()[0], 1),
        **{f"{way}_ms": round(took, 2) for way, took in per_photo.items()},
        **{f"{way}_photos_per_s": round(1000 / per_photo[way], 1) for way in per_photo if way in RUNS},
        "workers_start_s": round(max((report.seconds.get("start", 0.0) for report in runs), default=0.0), 2),
        "threads_over_alone": _ratio(seconds, "threads", "alone"),
        "workers_over_threads": _ratio(seconds, "workers", "threads"),
        "of_alone": _ratio(seconds, "alone", "workers"),
        "of_encoder": _ratio(seconds, "encoder", "workers"),
        "looks_cpu_ms": round(_looks_ms(encoder, paths), 2),
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "worker_peak_mib": children.peak_mib,
        "second_run_s": round(statistics.median(second_runs), 2) if second_runs else None,
        "second_run_encoded": sum(report.added + report.changed for report in reports[1::2]),
        "rounds_s": {way: [round(one, 2) for one in took] for way, took in seconds.items()},
    }
    if options.json:
        print(json.dumps(result, indent=2))
    else:
        for name, value in result.items():
            print(f"{name:20} {value}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="a folder of photos")
    parser.add_argument("--encoder", default="lite", help="the encoder's spec (default: lite)")
    parser.add_argument("--backend", default="torch", help="torch, onnx or auto (default: torch)")
    parser.add_argument("--limit", type=int, default=0, help="use only the first N photos")
    parser.add_argument(
        "--threads",
        type=int,
        default=max(2, cpu_count()),
        help="number of decoding threads and of worker processes",
    )
    parser.add_argument(
        "--ways", type=lambda text: text.split(","), default=list(WAYS), help=f"of {','.join(WAYS)}"
    )
    parser.add_argument("--rounds", type=int, default=3, help="number of rounds (default: 3)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    return parser.parse_args()


def _photos(folder: Path, limit: int) -> list[Path]:
    found = [entry for entry in open_source(folder).photos() if isinstance(entry, Photo)]
    paths = [path for photo in found if (path := file_of(photo.location)) is not None]
    if not paths:
        sys.exit(f"bench_ingest: {folder} holds no photos.")
    return [paths[number % len(paths)] for number in range(limit or len(paths))]


def _linked(paths: list[Path], folder: Path) -> Path:
    folder.mkdir()
    for number, path in enumerate(paths):
        (folder / f"{number:06d}{path.suffix}").symlink_to(path)
    return folder


def _run(folder: Path, encoder: Encoder, source: Path, options: IndexingOptions) -> IndexingReport:
    with CatalogStore.open(folder, create=True) as catalog:
        index = open_live_index(catalog, threads=options.threads)
        return index_sources(catalog, index, encoder, [source], options=options)


def _alone(encoder: Encoder, paths: list[Path], threads: int) -> None:
    """Decode and encode the photos, without storing or indexing."""
    batch: list[Any] = []
    with ThreadPoolExecutor(threads) as pool:
        for future in _ahead(pool, lambda path: _array(encoder, path), paths, threads * 2 + ENCODE_BATCH):
            if (array := future.result()) is not None:
                batch.append(array)
            if len(batch) == ENCODE_BATCH:
                encoder.encode_arrays(batch)
                batch = []
    encoder.encode_arrays(batch)


def _array(encoder: Encoder, path: Path) -> Any:
    try:
        return encoder.preprocess(decode_picture(path.read_bytes(), target_px=encoder.input_px).image)
    except ImgSearchError:
        return None


def _arrays(encoder: Encoder, paths: list[Path]) -> list[Any]:
    return [array for path in paths if (array := _array(encoder, path)) is not None]


def _looks_ms(encoder: Encoder, paths: list[Path]) -> float:
    """Return the CPU milliseconds to compute the look of a decoded photo, the mean over at most 300."""
    images = []
    for path in paths[:: max(1, len(paths) // 300)]:
        try:
            images.append(decode_picture(path.read_bytes(), target_px=encoder.input_px).image)
        except ImgSearchError:
            continue
    describe(images[0])
    started = time.thread_time()
    for image in images:
        describe(image)
    return (time.thread_time() - started) / len(images) * 1000


def _ahead(pool: ThreadPoolExecutor, load: Any, paths: list[Path], window: int) -> Iterator[Future[Any]]:
    flying: deque[Future[Any]] = deque()
    for path in paths:
        flying.append(pool.submit(load, path))
        if len(flying) >= window:
            yield flying.popleft()
    yield from flying


def _timed(work: Any) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _ratio(seconds: dict[str, list[float]], ours: str, theirs: str) -> float | None:
    """Return the median over rounds of the ratio of two times; None if either was not measured."""
    if not {ours, theirs} <= seconds.keys():
        return None
    return round(statistics.median(a / b for a, b in zip(seconds[ours], seconds[theirs], strict=True)), 3)


class _PeakOfChildren:
    """Records the peak memory of the largest child process, in MiB; Linux only."""

    def __init__(self) -> None:
        self.peak_mib: int | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> _PeakOfChildren:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.5):
            for child in multiprocessing.active_children():
                try:
                    lines = Path(f"/proc/{child.pid}/status").read_text(encoding="ascii").splitlines()
                except OSError:
                    continue
                peak = next((int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM")), 0)
                self.peak_mib = max(self.peak_mib or 0, peak)


if __name__ == "__main__":
    main()
