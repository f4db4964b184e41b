"""Embeddings that were made elsewhere: a .npy beside a manifest, a .parquet with ids, or shards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.errors import SourceError
from imgsearch.ingest.feeds import Feed
from imgsearch.ingest.preparation import Outcome, PreparedPhoto, read_failure
from imgsearch.ingest.shards import ShardedEmbeddings, unit_row
from imgsearch.ingest.sources import Source
from imgsearch.ingest.tables import read_table
from imgsearch.store.item_table import Photo
from imgsearch.store.originals import content_digest
from imgsearch.store.remote_files import is_remote

ID_NAMES = ("id", "item_id", "image", "path")
EMBEDDING_NAMES = ("embedding", "vector", "embeddings")


def open_embeddings(where: str | Path, sources: Sequence[Source]) -> ImportedEmbeddings | ShardedEmbeddings:
    """Open a file of embeddings, or a folder or URL of shards; raises `SourceError`."""
    if is_remote(str(where)) or Path(where).is_dir():
        return ShardedEmbeddings(str(where))
    return ImportedEmbeddings(Path(where), sources)


def embedding_dim(where: str | Path) -> int:
    """Return the length of the embeddings in a file or in shards; raises `SourceError` where there are none."""
    if is_remote(str(where)) or Path(where).is_dir():
        return ShardedEmbeddings(str(where)).dim
    return int(_read_vectors(Path(where))[1].shape[1])


class ImportedEmbeddings:
    """Embeddings by item id, read from a file."""

    def __init__(self, path: Path, sources: Sequence[Source]) -> None:
        """Read a .npy with a row for each of the manifest, or a .parquet with ids; raises `SourceError`."""
        ids, vectors = _read_vectors(path)
        if ids is None:
            manifests = [source for source in sources if isinstance(source, Feed)]
            if len(manifests) != 1 or len(sources) != 1:
                text = "is matched by row number, so the source must be one manifest with the same rows"
                raise SourceError(f"{path} {text}.")
            ids = manifests[0].ids
        if len(vectors) != len(ids):
            raise SourceError(f"{path} holds {len(vectors)} rows of numbers, but {len(ids)} are needed.")
        self._path, self._vectors, self.dim = path, vectors, vectors.shape[1]
        self._rows = {item_id: row for row, item_id in enumerate(ids)}

    def find(self, item_id: str) -> NDArray[np.float32]:
        """Return the item's embedding scaled to unit length; raises `SourceError` where there is no usable one."""
        row = self._rows.get(item_id)
        if row is None:
            raise SourceError(f"{self._path} holds no embedding for this id.")
        return unit_row(np.asarray(self._vectors[row], np.float32))


def imported_photo(embeddings: ImportedEmbeddings | ShardedEmbeddings, photo: Photo) -> Outcome:
    """Return the photo with its imported embedding, whose checksum is the digest; raises nothing."""
    try:
        vector = embeddings.find(photo.item_id)
    except Exception as error:  # one photo must not stop a run
        return read_failure(error, photo)
    return PreparedPhoto(content_digest(vector.tobytes()), vector=vector)


def _read_vectors(path: Path) -> tuple[Sequence[str] | None, NDArray[np.floating[Any]]]:
    """Return (the ids, None for a .npy; the (n, dim) vectors) of a file; raises `SourceError`."""
    ids: Sequence[str] | None = None
    vectors: NDArray[np.floating[Any]]
    if path.suffix.lower() == ".npy":
        try:
            vectors = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise SourceError(f"{path} cannot be read as .npy ({error}).") from error
    else:
        ids, vectors = _read_rows(path)
    if vectors.ndim != 2:
        raise SourceError(f"{path} holds an array {vectors.shape}, but rows of numbers are needed.")
    return ids, vectors


def _read_rows(path: Path) -> tuple[Sequence[str], NDArray[np.floating[Any]]]:
    table = read_table(path, vectors=True)
    names = {column.name.lower(): column for column in table.columns}
    key = next((names[name] for name in ID_NAMES if name in names), None)
    column = next((names[name] for name in EMBEDDING_NAMES if name in names), None)
    if key is None or column is None:
        raise SourceError(f"{path} needs the columns id and embedding; it has: {', '.join(table.names)}.")
    ids = [text or "" for text in key.texts()]
    try:
        return ids, np.stack([np.asarray(value, np.float32) for value in column.cells.to_numpy()])
    except (TypeError, ValueError) as error:
        raise SourceError(f"The embeddings in {path} are not all rows of one length.") from error
