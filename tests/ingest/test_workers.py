"""Worker processes: they produce the results of threads, survive hostile photos, and end with the run."""

from __future__ import annotations

import logging
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from colour_encoder import ColourEncoder
from numpy.typing import NDArray
from PIL import Image
from samples import index_into

from imgsearch.core.records import IndexingReport
from imgsearch.encoders import Encoder
from imgsearch.index.opening import open_live_index
from imgsearch.ingest import workers
from imgsearch.ingest.indexing import IndexingOptions, index_sources
from imgsearch.ingest.preparation import Preparer
from imgsearch.ingest.run import COMMIT_BATCH, ENCODE_BATCH, Progress
from imgsearch.ingest.verification import verify_catalog
from imgsearch.ingest.workers import WorkerPool, WorkersUnavailable
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.originals import Originals
from imgsearch.store.thumbnails import ThumbnailCache

DEADLY = (255, 0, 255)


def prepared(image: Image.Image) -> NDArray[Any]:
    """Return the input of `ColourEncoder`, and exit the process on a photo of a single colour."""
    if image.getextrema() == tuple((level, level) for level in DEADLY):
        assert multiprocessing.parent_process() is not None, "the run's own process read the photo"
        os._exit(66)
    return ColourEncoder().preprocess(image)


class OnAnAccelerator(ColourEncoder):
    """A colour encoder that behaves like a GPU encoder: workers preprocess, the main process encodes."""

    accelerated = True

    def recipe(self) -> None:
        return None

    def preprocessor(self) -> Callable[[Image.Image], NDArray[Any]]:
        return prepared


class NotToBeSent(OnAnAccelerator):
    """An encoder whose preparation cannot be pickled."""

    def preprocessor(self) -> Callable[[Image.Image], NDArray[Any]]:
        return lambda image: prepared(image)


def with_workers(folder: Path, encoder: Encoder, *sources: Path, **options: Any) -> IndexingReport:
    return index_into(folder, encoder, sources, workers=2, worth_workers=3, **options)


def contents(folder: Path) -> tuple[dict[str, tuple[Any, ...]], NDArray[np.float32], NDArray[np.float32]]:
    """Return every stored item, and the embeddings and looks in the same order."""
    with CatalogStore.open(folder) as catalog:
        open_live_index(catalog)
        assert verify_catalog(catalog).problems == ()
        items = sorted(catalog.iter_items(), key=lambda item: item.item_id)
        stored = catalog.stored_photos([item.item_id for item in items])
        keys = np.array([item.key for item in items], np.uint64)
        rows = {
            item.item_id: (
                stored[item.item_id].digest, item.location, item.width_px, item.height_px, item.metadata
            )
            for item in items
        }  # fmt: skip
        return rows, catalog.vectors(keys), catalog.looks.rows(keys)


def processes_below(process_id: int) -> list[int]:
    """Return all descendant processes."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[0] != "Z":
                parents[int(folder.name)] = int(fields[1])
    found = [process_id]
    for known in found:
        found += [child for child, parent in parents.items() if parent == known]
    return found[1:]


def test_encoding_workers_produce_the_results_of_threads(
    lite: Encoder, photos: Path, metadata_csv: Path, tmp_path: Path
) -> None:
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    alone = index_into(tmp_path / "alone", lite, [photos], metadata=metadata_csv)
    report = with_workers(tmp_path / "workers", lite, photos, metadata=metadata_csv)
    assert "start" in report.seconds
    assert (report.added, report.failed) == (alone.added, alone.failed)
    assert len(report.failed) == 1
    rows, vectors, looks = contents(tmp_path / "workers")
    other_rows, other_vectors, other_looks = contents(tmp_path / "alone")
    assert rows == other_rows
    np.testing.assert_allclose(vectors, other_vectors, atol=1e-3)  # stored as float16
    np.testing.assert_allclose(looks, other_looks, atol=1e-3)


def test_preparing_workers_produce_the_results_of_threads(photos: Path, tmp_path: Path) -> None:
    alone = index_into(tmp_path / "alone", OnAnAccelerator(), [photos])
    report = with_workers(tmp_path / "workers", OnAnAccelerator(), photos)
    assert "start" in report.seconds
    assert report.added == alone.added > 3
    for one, other in zip(contents(tmp_path / "workers"), contents(tmp_path / "alone"), strict=True):
        np.testing.assert_equal(one, other)


def test_photos_with_only_a_new_mtime_are_not_encoded_again(photos: Path, tmp_path: Path) -> None:
    log = tmp_path / "encoded.log"
    with_workers(tmp_path / "catalog", OnAnAccelerator(log=log), photos)
    before = log.read_text()
    for path in photos.rglob("*.jpg"):
        os.utime(path, ns=(1, 1))
    report = with_workers(tmp_path / "catalog", OnAnAccelerator(log=log), photos)
    assert (report.added, report.changed) == (0, 0)
    assert report.unchanged > 3
    assert "start" in report.seconds
    assert log.read_text() == before


def test_a_photo_that_crashes_its_worker_is_a_failure_and_the_others_are_indexed(
    photos: Path, tmp_path: Path
) -> None:
    good = len(list(photos.rglob("*.jpg")))
    for name in ("a-deadly.png", "z-deadly.png"):
        Image.new("RGB", (40, 40), DEADLY).save(photos / name)
    report = with_workers(tmp_path / "catalog", OnAnAccelerator(), photos)
    assert report.added == good
    assert sorted(failure.path for failure in report.failed) == ["a-deadly.png", "z-deadly.png"]
    assert "crashed the worker process" in report.failed[0].reason
    assert len(contents(tmp_path / "catalog")[0]) == good


def test_the_main_module_is_not_run_again(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Streamlit replaces the main module with the current page."""
    page = ModuleType("__main__")
    page.__file__ = str(tmp_path / "page.py")
    (tmp_path / "page.py").write_text("raise RuntimeError('the page was run again')")
    monkeypatch.setitem(sys.modules, "__main__", page)
    report = with_workers(tmp_path / "catalog", OnAnAccelerator(), photos)
    assert "start" in report.seconds
    assert report.added > 3
    assert sys.modules["__main__"] is page


def test_few_photos_are_processed_without_workers(photos: Path, tmp_path: Path) -> None:
    report = index_into(tmp_path / "catalog", OnAnAccelerator(), [photos], workers=2, worth_workers=10_000)
    assert report.added > 3
    assert "start" not in report.seconds


def test_an_unpicklable_encoder_runs_in_threads(
    photos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        report = with_workers(tmp_path / "catalog", NotToBeSent(), photos)
    assert report.added > 3
    assert "this process reads all photos itself" in caplog.text


def test_low_memory_reduces_the_number_of_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    for free, fitting in ((None, 8), (0, 0), (workers.WORKER_BYTES * 3, 3), (workers.WORKER_BYTES * 30, 8)):
        monkeypatch.setattr(workers, "available_bytes", lambda free=free: free)
        assert workers.fitting_workers(8) == fitting


def test_memory_for_fewer_than_two_workers_selects_threads(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "available_bytes", lambda: 2 * workers.WORKER_BYTES - 1)
    report = with_workers(tmp_path / "catalog", OnAnAccelerator(), photos)
    assert report.added > 3
    assert "start" not in report.seconds


def test_workers_that_cannot_start_raise_workers_unavailable(lite: Encoder) -> None:
    recipe = lite.recipe()  # type: ignore[attr-defined]
    other = type(recipe)(recipe.spec, "lite@another", recipe.backend)
    with pytest.raises(WorkersUnavailable, match="IMGSEARCH_WORKERS=1"):
        WorkerPool(Preparer(prepared, 32, Originals()), other, 1)
    assert not any(is_worker(child) for child in processes_below(os.getpid()))


def test_a_run_stopped_by_its_progress_callback_leaves_no_process(photos: Path, tmp_path: Path) -> None:
    def stop(_: Progress) -> None:
        raise KeyboardInterrupt

    with CatalogStore.open(tmp_path / "catalog", create=True) as catalog, pytest.raises(KeyboardInterrupt):
        index_sources(
            catalog, open_live_index(catalog), OnAnAccelerator(), [photos], progress=stop,
            options=IndexingOptions(workers=2, worth_workers=3),
        )  # fmt: skip
    assert not [child for child in processes_below(os.getpid()) if is_worker(child)]


def test_photos_at_urls_are_fetched_by_workers_and_keep_a_thumbnail(
    photos: Path, web: str, tmp_path: Path
) -> None:
    names = sorted(path.relative_to(photos).as_posix() for path in photos.rglob("*.jpg"))[:12]
    path = tmp_path / "urls.csv"
    path.write_text(
        "id,image\n" + "".join(f"{n},{web}/{name}\n" for n, name in enumerate([*names, "none.jpg"]))
    )
    with CatalogStore.open(tmp_path / "catalog", create=True) as catalog:
        originals = Originals(private_hosts=True)
        thumbnails = ThumbnailCache(tmp_path / "thumbnails", originals, max_bytes=10**8)
        report = index_sources(
            catalog, open_live_index(catalog), OnAnAccelerator(), [path],
            options=IndexingOptions(workers=2, worth_workers=3), originals=originals, thumbnails=thumbnails,
        )  # fmt: skip
        assert (report.added, len(report.failed)) == (12, 1)
        assert "404" in report.failed[0].reason
        shutil.rmtree(photos)  # the originals are gone, the thumbnails remain
        assert all(len(thumbnails.get(item, 384).data) > 100 for item in catalog.iter_items())


# --- a run that is killed -------------------------------------------------------------------------------------------

RUN = """
import sys
from pathlib import Path
from imgsearch.ingest import indexing
from imgsearch.store.catalog import CatalogStore
from imgsearch.index.opening import open_live_index
from test_workers import OnAnAccelerator

folder, photos = map(Path, sys.argv[1:])
options = indexing.IndexingOptions(workers=2, worth_workers=3)

def tell(now):
    print(now.encoded, flush=True)

with CatalogStore.open(folder, create=True) as catalog:
    report = indexing.index_sources(
        catalog, open_live_index(catalog), OnAnAccelerator(), [photos], options=options, progress=tell
    )
"""
"""A script as people write it: all at its top, so that a process that ran it again would index too."""


def is_worker(process_id: int) -> bool:
    try:
        return "spawn_main" in Path(f"/proc/{process_id}/cmdline").read_text()
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are found in /proc")
def test_a_killed_run_leaves_no_process_and_the_next_one_continues(tmp_path: Path) -> None:
    photos, program = tmp_path / "photos", tmp_path / "run.py"
    photos.mkdir()
    rng = np.random.default_rng(0)
    for number in range(600):
        Image.fromarray(rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)).save(photos / f"{number:03d}.png")
    program.write_text(RUN)
    here = Path(__file__).resolve()
    run = subprocess.Popen(
        [sys.executable, str(program), str(tmp_path / "catalog"), str(photos)],
        stdout=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, (here.parent, here.parents[1], here.parents[2]))),
        },
    )
    assert run.stdout is not None
    while (line := run.stdout.readline()) and int(line) < 300:
        pass
    workers = [child for child in processes_below(run.pid) if is_worker(child)]
    assert workers
    run.send_signal(signal.SIGKILL)
    run.wait()
    give_up = time.monotonic() + 20
    while any(is_worker(child) for child in workers) and time.monotonic() < give_up:
        time.sleep(0.05)
    assert not any(is_worker(child) for child in workers)
    kept = len(contents(tmp_path / "catalog")[0])
    assert kept >= 300 - COMMIT_BATCH - ENCODE_BATCH
    report = with_workers(tmp_path / "catalog", OnAnAccelerator(), photos)
    assert (report.added, report.unchanged) == (600 - kept, kept)
    assert len(contents(tmp_path / "catalog")[0]) == 600
