"""Shards of embeddings: identical bytes from every worker, nothing encoded twice, bad photos listed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from colour_encoder import ColourEncoder
from samples import index_into

from imgsearch.core.errors import EncoderMismatch, SourceError
from imgsearch.encoders import Encoder
from imgsearch.ingest.distributed import FleetReport, encode_to_shards
from imgsearch.ingest.precomputed import embedding_dim
from imgsearch.ingest.shards import ShardedEmbeddings, finished_shards
from imgsearch.ingest.sources import open_source
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.remote_files import write_file

BAD = "The file is not a readable picture"


def encode(place: Path | str, photos: Path | str, *, shard_photos: int = 10, version: int = 1) -> FleetReport:
    return encode_to_shards(
        str(place), [open_source(str(photos))], ColourEncoder(version=version), shard_photos=shard_photos
    )


def shard_files(place: Path) -> dict[str, tuple[bytes, int]]:
    """Return every shard's bytes and modification time."""
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in sorted(place.glob("shard-*"))}


def test_every_photo_is_in_one_shard_and_bad_ones_are_listed_with_their_reasons(
    photos: Path, tmp_path: Path
) -> None:
    (photos / "broken.jpg").write_text("no picture")
    (photos / "gone.jpg").symlink_to("nowhere.jpg")
    said: list[tuple[int, int]] = []
    report = encode_to_shards(
        str(tmp_path / "out"),
        [open_source(photos)],
        ColourEncoder(),
        shard_photos=10,
        progress=lambda done, total: said.append((done, total)),
    )
    assert (report.shards, report.finished_before, report.encoded) == (5, 0, 48)
    assert sorted(failure.path for failure in report.failed) == ["broken.jpg", "gone.jpg"]
    assert said[-1] == (49, 49)
    shards = ShardedEmbeddings(str(tmp_path / "out"))
    assert (len(shards), shards.dim, shards.missing) == (48, ColourEncoder.dim, 0)
    with pytest.raises(SourceError, match=BAD):
        shards.find("broken.jpg")
    with pytest.raises(SourceError, match="no embedding"):
        shards.find("unknown.jpg")


def test_shards_equal_the_embeddings_of_indexing_and_load_into_a_catalog(
    photos: Path, tmp_path: Path
) -> None:
    (photos / "broken.jpg").write_text("no picture")
    out = tmp_path / "out"
    encode(out, photos)
    assert embedding_dim(out) == ColourEncoder.dim
    index_into(tmp_path / "direct", ColourEncoder(), [photos])
    report = index_into(tmp_path / "loaded", ColourEncoder(), [photos], embeddings=str(out))
    assert (report.added, len(report.failed)) == (48, 1)
    assert report.failed[0].reason.startswith(BAD)
    with CatalogStore.open(tmp_path / "direct") as direct, CatalogStore.open(tmp_path / "loaded") as loaded:
        for item in direct.iter_items():
            key = loaded.get(item.item_id).key
            theirs, ours = (
                c.vectors(np.array([k], np.uint64)) for c, k in ((direct, item.key), (loaded, key))
            )
            assert theirs.tobytes() == ours.tobytes()
    again = index_into(tmp_path / "loaded", ColourEncoder(), [photos], embeddings=str(out))
    assert (again.added, again.changed, again.unchanged) == (0, 0, 48)


def test_a_finished_shard_is_never_recomputed_and_a_lost_one_is_reproduced_identically(
    photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    encode(out, photos)
    before = shard_files(out)
    (out / "shard-000002.parquet").unlink()
    report = encode(out, photos)
    assert (report.shards, report.finished_before, report.encoded) == (5, 4, 10)
    after = shard_files(out)
    assert {name: data for name, (data, _) in after.items()} == {
        name: data for name, (data, _) in before.items()
    }
    del before["shard-000002.parquet"]
    assert before.items() <= after.items()
    assert encode(out, photos).encoded == 0


def test_new_and_changed_photos_get_separate_shards(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    encode(out, photos)
    names = sorted(path.relative_to(photos).as_posix() for path in photos.rglob("*.jpg"))
    old = ShardedEmbeddings(str(out)).find(names[0])
    shutil.copy(photos / names[1], photos / "new.jpg")
    shutil.copy(photos / names[-1], photos / names[0])
    os.utime(photos / names[0], ns=(1, 1))
    (photos / names[2]).write_text("no picture any more")
    report = encode(out, photos)
    assert (report.shards, report.finished_before, report.encoded) == (6, 5, 2)
    shards = ShardedEmbeddings(str(out))
    assert shards.find("new.jpg").tobytes() == shards.find(names[1]).tobytes()
    assert shards.find(names[0]).tobytes() == shards.find(names[-1]).tobytes() != old.tobytes()
    with pytest.raises(SourceError, match=BAD):
        shards.find(names[2])


def test_shards_of_another_encoder_are_not_mixed_with(photos: Path, tmp_path: Path) -> None:
    encode(tmp_path / "out", photos)
    with pytest.raises(EncoderMismatch, match="--shards"):
        encode(tmp_path / "out", photos, version=2)


def test_shard_locations_may_be_urls(photos: Path, tmp_path: Path) -> None:
    encode(f"local://{tmp_path}/out", f"local://{photos}")
    encode(tmp_path / "direct", photos)
    ids = [path.relative_to(photos).as_posix() for path in photos.rglob("*.jpg")]
    by_url, direct = ShardedEmbeddings(f"local://{tmp_path}/out"), ShardedEmbeddings(str(tmp_path / "direct"))
    assert all(by_url.find(name).tobytes() == direct.find(name).tobytes() for name in ids)


def test_missing_and_damaged_shards_are_refused_with_advice(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="no shards"):
        ShardedEmbeddings(str(tmp_path / "empty"))
    encode(tmp_path / "out", photos)
    write_file(str(tmp_path / "out" / "shard-000001.parquet"), b"cut off")
    with pytest.raises(SourceError, match=r"shard-000001.*delete it"):
        ShardedEmbeddings(str(tmp_path / "out"))


def test_a_killed_run_continues_with_the_missing_shards(photos: Path, tmp_path: Path) -> None:
    run = """
import sys, time
from colour_encoder import ColourEncoder
from imgsearch.ingest.distributed import encode_to_shards
from imgsearch.ingest.sources import open_source

class Slow(ColourEncoder):
    def encode_arrays(self, arrays):
        time.sleep(0.1)
        return super().encode_arrays(arrays)

encode_to_shards(sys.argv[1], [open_source(sys.argv[2])], Slow(), shard_photos=4)
"""
    out = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-c", run, str(out), str(photos)], cwd=Path(__file__).resolve().parents[1]
    )
    give_up = time.monotonic() + 60
    while len(finished_shards(str(out))) < 2 and time.monotonic() < give_up:
        time.sleep(0.01)
    process.kill()
    process.wait()
    before = shard_files(out)
    assert 2 <= len(before) < 12
    report = encode(out, photos, shard_photos=4)
    assert report.finished_before == len(before)
    assert before.items() <= shard_files(out).items()
    encode(tmp_path / "unkilled", photos, shard_photos=4)
    assert {name: data for name, (data, _) in shard_files(out).items()} == {
        name: data for name, (data, _) in shard_files(tmp_path / "unkilled").items()
    }


# --- on Ray -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="needs the extra ray")
def test_two_workers_with_one_killed_produce_the_bytes_of_a_single_process(
    photos: Path, tmp_path: Path, lite: Encoder
) -> None:
    psutil = pytest.importorskip("psutil", reason="needs psutil to find the workers")
    (photos / "broken.jpg").write_text("no picture")
    for copy in range(4):
        shutil.copytree(photos / "mug", photos / f"mug-{copy}")
    killed: list[int] = []

    def is_worker(process: Any) -> bool:
        try:
            return "".join(process.cmdline()[:1]).startswith("ray::MapWorker")
        except psutil.Error:  # the process has ended
            return False

    def kill_one(done: int, total: int) -> None:
        workers = [process for process in psutil.Process().children(recursive=True) if is_worker(process)]
        if not killed and workers:
            killed.append(workers[0].pid)
            os.kill(workers[0].pid, signal.SIGKILL)

    source = open_source(photos)
    alone = encode_to_shards(str(tmp_path / "alone"), [source], lite, shard_photos=8)
    fleet = encode_to_shards(
        str(tmp_path / "fleet"), [source], lite, shard_photos=8, engine="ray", workers=2, progress=kill_one
    )
    assert len(killed) == 1
    assert fleet.workers == 2
    assert (fleet.encoded, fleet.failed) == (alone.encoded, alone.failed)
    made, expected = shard_files(tmp_path / "fleet"), shard_files(tmp_path / "alone")
    assert {name: data for name, (data, _) in made.items()} == {
        name: data for name, (data, _) in expected.items()
    }
    table = pq.read_table(tmp_path / "fleet" / "shard-000000.parquet")
    assert table.column_names == ["id", "embedding"]
