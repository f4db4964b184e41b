"""Measure how much of an indexing run goes into decoding and encoding, and how much memory it takes.

    python scripts/bench_ingest.py FOLDER [--encoder lite] [--limit N] [--json]

Three things are timed in one process, on the same photos, with the model warm and the files in the page cache:

alone      decoding + encoding alone: the photos are read, decoded and preprocessed by as many threads as the run
           uses, beside the encoder in the main thread, in the same batches; nothing is hashed, stored or indexed.
           This is the least that any pipeline with this decoder and encoder can take, so that the ratio is strict.
run        the whole `index_sources` into a new catalog, from the listing to the saved index.
second run the same again, which must encode nothing.

looks      the same decoded photos are described (`looks.look`), in one thread: what the run does beyond `alone`.

`ratio` is run / alone by the clock; `cpu_ratio` the same by processor seconds of the process, which a busy machine
disturbs less. Processor milliseconds a photo are given for each. The peak of memory is that of the run, the
interpreter and the model included.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from imgsearch.catalog import Catalog
from imgsearch.config import cpu_count
from imgsearch.encoders import Encoder, load_encoder
from imgsearch.errors import ImgSearchError
from imgsearch.generations import LiveIndex
from imgsearch.images import decode_picture
from imgsearch.indexing import ENCODE_AT_ONCE, IndexingOptions, index_sources
from imgsearch.looks.look import describe
from imgsearch.reading.originals import file_of
from imgsearch.reading.sources import Photo, open_source


def main() -> None:
    options = _options()
    encoder = load_encoder(options.encoder, allow_download=False, backend=options.backend)
    paths = _photos(options.folder, options.limit)
    for path in paths:
        path.read_bytes()  # into the page cache, for both
    _alone(encoder, paths[: 4 * ENCODE_AT_ONCE], options.threads)  # warm up
    with tempfile.TemporaryDirectory() as scratch:
        source = options.folder
        if options.limit:
            source = Path(scratch) / "photos"
            source.mkdir()
            for number, path in enumerate(paths):
                (source / f"{number:06d}{path.suffix}").symlink_to(path)
        with Catalog.open(Path(scratch) / "catalog", create=True) as catalog:
            index = LiveIndex.open(catalog, threads=options.threads)
            settings = IndexingOptions(threads=options.threads)
            with _measured() as run:
                report = index_sources(catalog, index, encoder, [source], options=settings)
            peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            with _measured() as second:
                again = index_sources(catalog, index, encoder, [source], options=settings)
        with _measured() as alone:
            encoded = _alone(encoder, paths, options.threads)
    looks_ms = _looks_ms(encoder, paths)
    result = {
        "photos": report.added,
        "failed": len(report.failed),
        "encoder": encoder.id,
        "threads": options.threads,
        "load_average": round(os.getloadavg()[0], 1),
        "run_s": round(run["wall_s"], 2),
        "alone_s": round(alone["wall_s"], 2),
        "ratio": round(run["wall_s"] / alone["wall_s"], 3),
        "cpu_ratio": round(run["cpu_s"] / alone["cpu_s"], 3),
        "run_cpu_ms": round(run["cpu_s"] / max(report.added, 1) * 1000, 2),
        "alone_cpu_ms": round(alone["cpu_s"] / max(report.added, 1) * 1000, 2),
        "looks_cpu_ms": round(looks_ms, 2),
        "photos_per_s": round(report.added / run["wall_s"], 1),
        "peak_mib": round(peak_mib),
        "second_run_s": round(second["wall_s"], 2),
        "second_run_encoded": again.added + again.changed,
        "stages_s": {stage: round(seconds, 2) for stage, seconds in report.seconds.items()},
    }
    if encoded != report.added:
        sys.exit(f"bench_ingest: {encoded} photos were encoded alone, but {report.added} by the run.")
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
    parser.add_argument("--limit", type=int, default=0, help="only the first N photos")
    parser.add_argument("--threads", type=int, default=max(2, cpu_count()), help="threads that decode")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    return parser.parse_args()


def _photos(folder: Path, limit: int) -> list[Path]:
    found = [entry for entry in open_source(folder).photos() if isinstance(entry, Photo)]
    paths = [path for photo in found if (path := file_of(photo.location)) is not None]
    if not paths:
        sys.exit(f"bench_ingest: there are no photos in {folder}.")
    return paths[: limit or None]


def _alone(encoder: Encoder, paths: list[Path], threads: int) -> int:
    """Decode and encode the photos and do nothing else; return how many could be decoded."""

    def load(path: Path) -> Any:
        picture = decode_picture(path.read_bytes(), target_px=encoder.input_px)
        return encoder.preprocess(picture.image)

    encoded, batch = 0, []
    with ThreadPoolExecutor(threads) as pool:
        for future in _ahead(pool, load, paths, threads * 2 + ENCODE_AT_ONCE):
            try:
                batch.append(future.result())
            except ImgSearchError:
                continue
            if len(batch) == ENCODE_AT_ONCE:
                encoded += len(encoder.encode_arrays(batch))
                batch = []
    return encoded + len(encoder.encode_arrays(batch))


def _looks_ms(encoder: Encoder, paths: list[Path]) -> float:
    """Return the processor milliseconds that describing a decoded photo takes, over 300 of them at most."""
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


@contextmanager
def _measured() -> Iterator[dict[str, float]]:
    """Fill a dict with the seconds by the clock (`wall_s`) and of this process's processors (`cpu_s`)."""
    measured: dict[str, float] = {}
    wall, cpu = time.perf_counter(), time.process_time()
    yield measured
    measured["wall_s"] = time.perf_counter() - wall
    measured["cpu_s"] = time.process_time() - cpu


if __name__ == "__main__":
    main()
