"""Backups: snapshots of a catalog that is being changed, what they share, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import pytest
from samples import clustered, raw_items, relabelled

from imgsearch.core.errors import BackupError, CatalogError
from imgsearch.store import database
from imgsearch.store.backup import BackupFolder
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.health import row_problems, vector_problems

DIM = 32
TRIES = 20

State = dict[str, tuple[object, bytes]]


def state_of(catalog: CatalogStore) -> State:
    """Return the price and the embedding of every item."""
    items = list(catalog.iter_items())
    vectors = catalog.stored_vectors(np.array([item.key for item in items], np.uint64))
    return {
        item.item_id: (item.metadata.get("price"), row.tobytes())
        for item, row in zip(items, vectors, strict=True)
    }


def restored_state(backup: BackupFolder, folder: Path, name: str = "") -> State:
    """Restore a snapshot, check the catalog, and return its state."""
    backup.restore(backup.snapshot(name), folder)
    with CatalogStore.open(folder) as catalog:
        assert row_problems(catalog) == []
        assert vector_problems(catalog) == []
        return state_of(catalog)


class Load:
    """A thread that adds, changes and removes items, and keeps every state that it has made."""

    def __init__(self, catalog: CatalogStore) -> None:
        self.catalog = catalog
        self.states = [state_of(catalog)]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        rng = np.random.default_rng(1)
        while not self._stop.is_set():
            state, ids = dict(self.states[-1]), sorted(self.states[-1])
            name = ids[int(rng.integers(len(ids)))]
            kind = int(rng.integers(3))
            if kind == 0:
                name = f"new-{len(self.states)}"
                row = clustered(1, DIM, seed=len(self.states))
                state[name] = (float(len(self.states)), row.astype(np.float16)[0].tobytes())
                self.states.append(state)  # before: a backup may see it as soon as it is committed
                self.catalog.store(raw_items([name], [{"price": float(len(self.states) - 1)}]), row)
            elif kind == 1:
                price = float(len(self.states))
                state[name] = (price, state[name][1])
                self.states.append(state)
                self.catalog.update_metadata([relabelled(name, {"price": price})])
            else:
                del state[name]
                self.states.append(state)
                self.catalog.remove([name])


@pytest.fixture
def catalog(make_catalog: Callable[..., CatalogStore]) -> CatalogStore:
    """Return an open catalog of 300 items with a price."""
    return make_catalog(clustered(300, DIM), [{"price": float(number)} for number in range(300)])


def test_a_backup_under_load_restores_to_a_state_that_existed(catalog: CatalogStore, tmp_path: Path) -> None:
    backup = BackupFolder(tmp_path / "backup", create=True)
    with Load(catalog) as load:
        for number in range(TRIES):
            backup.back_up(catalog)
            state = restored_state(backup, tmp_path / f"restored-{number}")
            assert state in load.states
    assert len(load.states) > TRIES


def test_a_further_snapshot_adds_only_what_has_changed(catalog: CatalogStore, tmp_path: Path) -> None:
    catalog.store(raw_items([f"{number}" for number in range(100_000)]), clustered(100_000, DIM))
    backup = BackupFolder(tmp_path / "backup", create=True)
    first = backup.back_up(catalog)
    catalog.update_metadata([relabelled("7", {"price": 1.0})])
    second = backup.back_up(catalog)
    assert second.size_bytes > 6_000_000
    assert second.added_bytes < first.added_bytes / 3


def test_an_older_snapshot_restores_what_was_changed_later(catalog: CatalogStore, tmp_path: Path) -> None:
    before = state_of(catalog)
    backup = BackupFolder(tmp_path / "backup", create=True)
    first = backup.back_up(catalog)
    catalog.remove(["00001.jpg"])
    backup.back_up(catalog)
    assert restored_state(backup, tmp_path / "old", first.name) == before
    assert restored_state(backup, tmp_path / "new") == state_of(catalog)


def test_keep_deletes_old_snapshots_and_the_chunks_that_only_they_had(
    catalog: CatalogStore, tmp_path: Path
) -> None:
    backup = BackupFolder(tmp_path / "backup", create=True)
    for number in range(3):
        catalog.update_metadata([relabelled("00002.jpg", {"price": 1000.0 + number})])
        newest = backup.back_up(catalog, keep=1)
    assert backup.names() == [newest.name]
    used = {chunk for file in backup.snapshot().files for chunk in file.chunks}
    assert {path.name for path in (tmp_path / "backup" / "chunks").glob("*/*")} == used
    assert restored_state(backup, tmp_path / "restored") == state_of(catalog)


def test_pictures_are_backed_up_and_caches_that_can_be_computed_are_not(
    catalog: CatalogStore, tmp_path: Path
) -> None:
    for name in ("originals/a.jpg", "thumbnails/768/000000/1.webp", "index/000001/index.usearch"):
        path = catalog.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"picture")
    backup = BackupFolder(tmp_path / "backup", create=True)
    backup.back_up(catalog)
    backup.restore(backup.snapshot(), tmp_path / "restored")
    names = {
        path.relative_to(tmp_path / "restored").as_posix() for path in (tmp_path / "restored").rglob("*")
    }
    assert {"originals/a.jpg", "thumbnails/768/000000/1.webp", "catalog.duckdb"} <= names
    assert "index" not in names
    assert "writer.lock" not in names


def test_a_damaged_chunk_is_reported_and_nothing_is_restored(catalog: CatalogStore, tmp_path: Path) -> None:
    backup = BackupFolder(tmp_path / "backup", create=True)
    snapshot = backup.back_up(catalog)
    digest = snapshot.files[0].chunks[0]
    path = tmp_path / "backup" / "chunks" / digest[:2] / digest
    data = bytearray(path.read_bytes())
    data[5] ^= 1
    path.write_bytes(data)
    with pytest.raises(BackupError, match="damaged"):
        backup.restore(snapshot, tmp_path / "restored")
    assert not (tmp_path / "restored").exists()


@pytest.mark.parametrize("path", ["../escape", "/etc/passwd", "a/../../b", ""])
def test_a_snapshot_whose_paths_lead_out_of_the_folder_is_refused(
    catalog: CatalogStore, tmp_path: Path, path: str
) -> None:
    backup = BackupFolder(tmp_path / "backup", create=True)
    snapshot = backup.back_up(catalog)
    file = tmp_path / "backup" / "snapshots" / f"{snapshot.name}.json"
    document = json.loads(file.read_text())
    document["files"][0]["path"] = path
    file.write_text(json.dumps(document))
    with pytest.raises(BackupError, match="damaged"):
        backup.snapshot()


def test_folders_that_hold_other_files_are_refused(catalog: CatalogStore, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"")
    with pytest.raises(BackupError, match="holds other files"):
        BackupFolder(tmp_path / "photos", create=True)
    with pytest.raises(BackupError, match="no backup"):
        BackupFolder(tmp_path / "missing")
    inside = BackupFolder(catalog.folder / "backup", create=True)
    with pytest.raises(BackupError, match="inside the catalog"):
        inside.back_up(catalog)
    backup = BackupFolder(tmp_path / "backup", create=True)
    backup.back_up(catalog)
    with pytest.raises(BackupError, match="holds files already"):
        backup.restore(backup.snapshot(), tmp_path / "photos")


def test_a_backup_keeps_the_lock_of_the_database(catalog: CatalogStore, tmp_path: Path) -> None:
    BackupFolder(tmp_path / "backup", create=True).back_up(catalog)
    program = f"import duckdb; duckdb.connect({str(catalog.folder / 'catalog.duckdb')!r})"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "lock" in found.stderr


def test_an_upgrade_keeps_a_copy_of_the_database_as_it_was(
    catalog: CatalogStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, state, schema = catalog.folder, state_of(catalog), len(database.MIGRATIONS)
    catalog.close()
    monkeypatch.setattr(database, "MIGRATIONS", (*database.MIGRATIONS, "CREATE TABLE added (n INTEGER)"))
    with CatalogStore.open(folder) as upgraded:
        assert upgraded.database.value("SELECT count(*) FROM added") == 0
    monkeypatch.undo()
    with pytest.raises(CatalogError, match="newer imgsearch"):
        CatalogStore.open(folder)
    kept = folder / f"catalog.duckdb.schema{schema}.bak"
    with duckdb.connect(str(kept), read_only=True) as old:
        assert old.execute("SELECT count(*) FROM items").fetchall() == [(len(state),)]
    (folder / "catalog.duckdb.wal").unlink(missing_ok=True)
    kept.replace(folder / "catalog.duckdb")
    with CatalogStore.open(folder) as before:
        assert state_of(before) == state
