"""A run killed with SIGKILL at any moment: the next one resumes, without losses or duplicates."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from colour_encoder import ColourEncoder
from PIL import Image

from imgsearch.index.opening import open_live_index
from imgsearch.ingest.run import COMMIT_BATCH, ENCODE_BATCH
from imgsearch.ingest.verification import verify_catalog
from imgsearch.store.catalog import CatalogStore
from imgsearch.vision.images import decode_picture

PHOTOS = 2400
KILLS = 10

RUN = """
import sys, time
from pathlib import Path
from colour_encoder import ColourEncoder
from imgsearch.ingest import indexing, run
from imgsearch.store.catalog import CatalogStore
from imgsearch.index.opening import open_live_index

class Slow(ColourEncoder):
    left = int(sys.argv.pop())  # photos to encode before waiting for the kill, which may come late

    def encode_arrays(self, arrays):
        time.sleep(0.02)
        while self.left < len(arrays):
            time.sleep(1)
        self.left -= len(arrays)
        return super().encode_arrays(arrays)

run.SAVE_INDEX_EVERY = 1  # so that kills fall into the saving of the index too
folder, photos, log = map(Path, sys.argv[1:])
print("started", flush=True)
with CatalogStore.open(folder, create=True) as catalog:
    report = indexing.index_sources(catalog, open_live_index(catalog), Slow(log=log), [photos])
print(report.added, report.unchanged, len(report.failed), flush=True)
"""


def start(folder: Path, photos: Path, log: Path, *, at_most: int = PHOTOS) -> subprocess.Popen[str]:
    """Start a run that encodes `at_most` photos in a separate process; wait until its imports are done."""
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, str(folder), str(photos), str(log), str(at_most)],
        stdout=subprocess.PIPE, text=True, cwd=Path(__file__).resolve().parents[1],
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    return process


def lines(log: Path) -> list[str]:
    return log.read_text().splitlines() if log.exists() else []


def wait_for(log: Path, count: int) -> None:
    """Wait until the given number of photos is encoded."""
    give_up = time.monotonic() + 300
    while len(lines(log)) < count:
        assert time.monotonic() < give_up
        time.sleep(0.005)


def committed(folder: Path, scratch: Path) -> set[str]:
    """Return the ids in a copy of the catalog, to leave the catalog in its state after the kill."""
    shutil.rmtree(scratch, ignore_errors=True)
    if not (folder / "catalog.duckdb").exists():
        return set()
    shutil.copytree(folder, scratch)
    with CatalogStore.open(scratch) as catalog:
        return {item.item_id for item in catalog.iter_items()}


def contents(folder: Path) -> dict[str, tuple[str, bytes]]:
    """Verify the catalog and its index, and return every item's digest and embedding."""
    with CatalogStore.open(folder) as catalog:
        open_live_index(catalog)
        assert verify_catalog(catalog).problems == ()
        ids = [item.item_id for item in catalog.iter_items()]
        stored = catalog.stored_photos(ids)
        return {
            item_id: (stored[item_id].digest, catalog.vectors(np.array([stored[item_id].key]))[0].tobytes())
            for item_id in ids
        }


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1])
def test_ten_kills_at_random_moments_lose_at_most_the_batch_in_flight(tmp_path: Path, seed: int) -> None:
    photos, log = tmp_path / "photos", tmp_path / "encoded.log"
    photos.mkdir()
    rng = np.random.default_rng(0)
    by_hash = {}
    encoder = ColourEncoder(log=tmp_path / "hashes.log")
    for number in range(PHOTOS):
        path = photos / f"{number:04d}.png"
        Image.fromarray(rng.integers(0, 255, (6, 6, 3), dtype=np.uint8)).resize((40, 40)).save(path)
        encoder.encode_images([decode_picture(path, target_px=encoder.input_px).image])
    for number, line in enumerate(lines(tmp_path / "hashes.log")):
        by_hash[line] = f"{number:04d}.png"
    assert len(by_hash) == PHOTOS

    start(tmp_path / "unkilled", photos, tmp_path / "unkilled.log").communicate()
    assert len(lines(tmp_path / "unkilled.log")) == PHOTOS

    chance = random.Random(seed)
    folder = tmp_path / "killed"
    before: set[str] = set()
    while_working = 0
    for number in range(KILLS):
        seen = len(lines(log))
        at_most = PHOTOS - len(before) - COMMIT_BATCH  # so that no run ends before its kill
        process = start(folder, photos, log, at_most=at_most)
        if number >= 3:  # the first three are killed during the catalog's creation
            # The encoder may block with less than one batch of its allowance left.
            wait_for(log, seen + max(0, min(chance.randint(1, 360), at_most - ENCODE_BATCH)))
        time.sleep(chance.uniform(0.0, 0.3 if number < 3 else 0.15))
        while_working += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
        now = committed(folder, tmp_path / "scratch")
        encoded = {by_hash[line] for line in lines(log)[seen:]}
        assert encoded.isdisjoint(before), "a committed photo was encoded again"
        assert before <= now, "a committed photo was lost"
        assert len(encoded - now) <= COMMIT_BATCH, "more than the batch in flight was lost"
        before = now
    assert while_working == KILLS
    assert 0 < len(before) < PHOTOS

    seen = len(lines(log))
    output, _ = start(folder, photos, log).communicate(timeout=600)
    assert output.split() == [str(PHOTOS - len(before)), str(len(before)), "0"]
    assert {by_hash[line] for line in lines(log)[seen:]}.isdisjoint(before)
    assert contents(folder) == contents(tmp_path / "unkilled")
    output, _ = start(folder, photos, log).communicate(timeout=600)
    assert output.split() == ["0", str(PHOTOS), "0"]
    assert not list((folder / "index").glob(".*.part"))
