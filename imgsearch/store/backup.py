"""Backups of a catalog, also while it serves: snapshots that share the chunks of their files.

<destination>/chunks/ab/abcd...   the bytes of a chunk under their SHA-256, written once
<destination>/snapshots/NAME.json a snapshot: its files, each as a list of chunks, and what it holds

A catalog's embeddings only grow, and DuckDB rewrites single blocks of its file, so a further snapshot only adds the
chunks that have changed. The index is derived data, and is not part of a backup.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from filelock import FileLock, Timeout

from imgsearch.core.background import Progress
from imgsearch.core.errors import BackupError
from imgsearch.core.files import flush_to_disk, write_durably
from imgsearch.core.text import error_line
from imgsearch.core.version import __version__
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.database import DATABASE_FILE

CHUNK_BYTES = 1 << 20
FORMAT = 1
MAX_SNAPSHOT_BYTES = 1 << 30
DERIVED = ("index", "explore")
"""Folders of a catalog that can be computed again."""
NOT_COPIED = ("writer.lock", "writer.json", "erase-wanted")
_NAME = re.compile(r"[0-9]{6,12}-[0-9]{8}T[0-9]{6}Z")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a snapshot: its path in the catalog's folder, its length, the SHA-256 of its chunks in order."""

    path: str
    size_bytes: int
    chunks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of a catalog at one moment. `added_bytes` are those that earlier snapshots did not have."""

    name: str
    created_at: str
    items: int
    version: str
    size_bytes: int
    added_bytes: int
    files: tuple[StoredFile, ...] = field(default=(), repr=False)

    def as_dict(self) -> dict[str, object]:
        """Return the snapshot without its files, as the JSON of `imgsearch backup --json`."""
        return {name: value for name, value in asdict(self).items() if name != "files"}


class BackupFolder:
    """A folder of snapshots. One process writes it at a time; a killed one leaves only unused chunks."""

    def __init__(self, folder: Path | str, *, create: bool = False) -> None:
        """Open the folder; with `create`, make it where it does not exist. Raises `BackupError`."""
        self.folder = Path(folder).expanduser().absolute()
        self._snapshots, self._chunks = self.folder / "snapshots", self.folder / "chunks"
        if self._snapshots.is_dir():
            return
        if not create:
            raise BackupError(
                f"There is no backup in {self.folder}; make one with `imgsearch backup {self.folder}`."
            )
        if self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
            raise BackupError(
                f"{self.folder} holds other files; pass an empty or a new folder for the backup."
            )
        try:
            self._snapshots.mkdir(parents=True)
            self._chunks.mkdir()
        except OSError as error:
            raise BackupError(f"The folder {self.folder} cannot be created: {error.strerror}.") from error

    # --- reading ----------------------------------------------------------------------------------------------

    def names(self) -> list[str]:
        """Return the names of the snapshots, oldest first."""
        return sorted(path.stem for path in self._snapshots.glob("*.json") if _NAME.fullmatch(path.stem))

    def snapshot(self, name: str = "") -> Snapshot:
        """Return a snapshot, by default the newest; raises `BackupError` where it is missing or damaged."""
        names = self.names()
        if not names:
            raise BackupError(f"The backup {self.folder} has no snapshot.")
        name = name or names[-1]
        if name not in names:
            raise BackupError(
                f"The backup {self.folder} has no snapshot {name[:80]!r}; it has {', '.join(names)}."
            )
        try:
            return _read_snapshot(self._snapshots / f"{name}.json")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BackupError(
                f"The snapshot {name} of {self.folder} is damaged ({error_line(error)})."
            ) from error

    def restore(self, snapshot: Snapshot, folder: Path, *, progress: Progress | None = None) -> None:
        """Write the files of a snapshot into a new folder, each chunk checked by its SHA-256.

        The folder appears when all of it is on disk. Raises `BackupError` for a folder that has files, and for a
        missing or damaged chunk.
        """
        folder = folder.expanduser().absolute()
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise BackupError(f"{folder} holds files already; pass a new folder with --catalog.")
        part = folder.with_name(f".{folder.name}.restoring")
        shutil.rmtree(part, ignore_errors=True)
        done = 0
        try:
            part.mkdir(parents=True)
            for stored in snapshot.files:
                path = part / PurePosixPath(stored.path)
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("wb") as file:
                    for chunk in stored.chunks:
                        _write_sparse(file, self._read_chunk(chunk))
                        done += CHUNK_BYTES
                        if progress is not None:
                            progress(min(done, snapshot.size_bytes), snapshot.size_bytes)
                    file.truncate(stored.size_bytes)
                flush_to_disk(path)
            if folder.exists():
                folder.rmdir()
            part.rename(folder)
        except OSError as error:
            raise BackupError(f"The snapshot cannot be restored to {folder}: {error_line(error)}") from error
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def _read_chunk(self, digest: str) -> bytes:
        path = self._chunk_path(digest)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise BackupError(f"The backup lacks the chunk {path}; use another snapshot.") from None
        if hashlib.sha256(data).hexdigest() != digest:
            raise BackupError(
                f"The chunk {path} of the backup is damaged; use another snapshot or another backup."
            )
        return data

    # --- writing ----------------------------------------------------------------------------------------------

    def back_up(self, catalog: CatalogStore, *, keep: int = 0, progress: Progress | None = None) -> Snapshot:
        """Add a snapshot of an open catalog and return it; changes wait only while the database file is copied.

        With `keep`, older snapshots are deleted until that many are left. Raises `BackupError`, also while another
        backup writes the same folder.
        """
        if self.folder.is_relative_to(catalog.folder):
            raise BackupError(
                f"{self.folder} is inside the catalog; pass a folder elsewhere, best on another disk."
            )
        try:
            with (
                FileLock(self.folder / "backup.lock", timeout=0),
                tempfile.TemporaryDirectory(dir=self.folder, prefix=".part-") as work,
            ):
                snapshot = self._add(catalog, Path(work), progress)
                if keep:
                    self._keep_newest(keep)
                return snapshot
        except Timeout:
            raise BackupError(f"Another process writes the backup {self.folder}; try again later.") from None
        except OSError as error:
            raise BackupError(f"The backup {self.folder} cannot be written: {error_line(error)}") from error

    def _add(self, catalog: CatalogStore, work: Path, progress: Progress | None) -> Snapshot:
        copied = catalog.copy_state(work)
        # Afterwards: rows that the copied database names are on disk before it names them.
        sources = [(path.name, path, path.stat().st_size) for path in sorted(work.iterdir())]
        sources += list(_catalog_files(catalog.folder, copied.file_bytes))
        total = sum(size for _, _, size in sources)
        files, added, done = [], 0, 0
        for name, path, size in sources:
            chunks = []
            # A cached picture may be deleted meanwhile.
            with suppress(FileNotFoundError):
                for data in _read_chunks(path, size):
                    digest, is_new = self._put_chunk(data)
                    chunks.append(digest)
                    added += len(data) if is_new else 0
                    done += len(data)
                    if progress is not None:
                        progress(min(done, total), total)
                files.append(StoredFile(name, size, tuple(chunks)))
        snapshot = Snapshot(
            name=self._new_name(),
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
            items=copied.items,
            version=__version__,
            size_bytes=sum(file.size_bytes for file in files),
            added_bytes=added,
            files=tuple(files),
        )
        text = json.dumps({"format": FORMAT, **asdict(snapshot)})
        write_durably(self._snapshots / f"{snapshot.name}.json", text)
        flush_to_disk(self._snapshots)
        return snapshot

    def _put_chunk(self, data: bytes) -> tuple[str, bool]:
        """Store a chunk; return its SHA-256, and whether it is new."""
        digest = hashlib.sha256(data).hexdigest()
        path = self._chunk_path(digest)
        if path.is_file() and path.stat().st_size == len(data):
            return digest, False
        path.parent.mkdir(exist_ok=True)
        write_durably(path, data)
        return digest, True

    def _keep_newest(self, keep: int) -> None:
        """Delete all snapshots but the newest, then the chunks that no snapshot has."""
        for name in self.names()[:-keep]:
            (self._snapshots / f"{name}.json").unlink()
        used = {
            chunk for name in self.names() for stored in self.snapshot(name).files for chunk in stored.chunks
        }
        for path in self._chunks.glob("*/*"):
            if path.name not in used:
                path.unlink(missing_ok=True)

    def _new_name(self) -> str:
        """Return a name with a growing number, which keeps the order where the clock is set back."""
        last = max((int(name.split("-")[0]) for name in self.names()), default=0)
        return f"{last + 1:06d}-{datetime.now(UTC).strftime('%Y%m%dT%H%M%SZ')}"

    def _chunk_path(self, digest: str) -> Path:
        return self._chunks / digest[:2] / digest


def _catalog_files(folder: Path, lengths: Mapping[str, int]) -> Iterator[tuple[str, Path, int]]:
    """Yield (path in the catalog, path, bytes to copy) of all files but the database and derived data.

    `lengths` says how much of a growing file belongs to the state.
    """
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        parts = PurePosixPath(name).parts
        if name.startswith(DATABASE_FILE) or name in NOT_COPIED or parts[0] in DERIVED:
            continue
        if (parts[0] == "heads" and "index" in parts) or path.name.startswith(".") or path.suffix == ".part":
            continue
        with suppress(FileNotFoundError):
            if path.is_file() and not path.is_symlink():
                size = path.stat().st_size
                yield name, path, min(size, lengths.get(name, size))


def _read_chunks(path: Path, size: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        while size > 0 and (data := file.read(min(CHUNK_BYTES, size))):
            size -= len(data)
            yield data


def _write_sparse(file: BinaryIO, data: bytes) -> None:
    """Write a chunk; one of zeros is skipped, so that it takes no disk space."""
    if data.count(0) == len(data):
        file.seek(len(data), 1)
    else:
        file.write(data)


def _read_snapshot(path: Path) -> Snapshot:
    if path.stat().st_size > MAX_SNAPSHOT_BYTES:
        raise ValueError("the file is too large")
    document = json.loads(path.read_text(encoding="utf-8"))
    if document.pop("format") != FORMAT:
        raise ValueError("a newer imgsearch has written it")
    files = tuple(_stored_file(**file) for file in document.pop("files"))
    return Snapshot(**document, files=files)


def _stored_file(path: str, size_bytes: int, chunks: list[str]) -> StoredFile:
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\0" in path or "\\" in path:
        raise ValueError("a path leads out of the folder")
    if not all(_SHA256.fullmatch(chunk) for chunk in chunks):
        raise ValueError("a chunk has no SHA-256")
    return StoredFile(path, int(size_bytes), tuple(chunks))
