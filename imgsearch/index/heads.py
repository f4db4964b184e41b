"""Learned heads: small corrections of an encoder's space, as files, and which of them is in force.

It owns `<catalog>/heads/head-NNNN/` (`weights.npy` and `head.json` with its checksum, written beside and put in place
by renaming, never changed afterwards) and the append-only table `head_changes`, whose rows say which head was
published and rolled back when. It knows what a head does to a vector, but neither how one is learned nor how its
vectors are kept and indexed (`imgsearch.improve.adaptation`, `imgsearch.index.vector_space`).

A head is a residual of low rank, a correction of the kind of Hu et al., "LoRA: Low-Rank Adaptation of Large Language
Models" (ICLR 2022), put behind the frozen encoder instead of inside it:

    x  ->  unit(x + (x - mean) U V^T)          U, V: (dim, rank)
"""

from __future__ import annotations

import json
import logging
import re
import shutil
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.errors import AdaptationError, CatalogCorrupt
from imgsearch.core.files import flush_to_disk, sha256_of_file, write_durably
from imgsearch.store.catalog import CatalogStore

__all__ = [
    "Head",
    "HeadChange",
    "Projection",
    "get_head",
    "head_changes",
    "list_heads",
    "live_head",
    "live_head_id",
    "previous_head",
    "publish",
    "read_projection",
    "rollback",
    "save_head",
]

Rows = NDArray[np.float32]

_HEAD_ID = re.compile(r"head-\d{4,}")
_log = logging.getLogger(__name__)
_changing = threading.Lock()


@dataclass(frozen=True, eq=False)
class Projection:
    """The correction itself: `mean` (dim,), `u` and `v` (dim, rank), all float32."""

    mean: Rows
    u: Rows
    v: Rows

    def __call__(self, rows: Rows) -> Rows:
        """Return unit rows for (n, dim) float32 unit rows; a row without direction (damaged on disk) stays zero."""
        moved = rows + (rows - self.mean) @ self.u @ self.v.T
        lengths = np.linalg.norm(moved, axis=1, keepdims=True)
        sound = (np.abs(np.linalg.norm(rows, axis=1, keepdims=True) - 1.0) < 0.05) & (lengths > 1e-6)
        return np.asarray(np.where(sound, moved / np.where(sound, lengths, 1.0), 0.0), np.float32)


@dataclass(frozen=True, slots=True)
class Head:
    """A learned head as its header describes it; `report` says what it was learned from and how well it did."""

    id: str
    encoder_id: str
    dim: int
    rank: int
    sha256: str
    created_at: str
    report: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HeadChange:
    """One change of what is in force: `head` is "" for the encoder's own embeddings."""

    happened_at: datetime
    action: Literal["publish", "rollback"]
    head: str


def save_head(
    catalog: CatalogStore, projection: Projection, *, report: Mapping[str, Any] | None = None
) -> Head:
    """Keep a new head and return it; it is not in force before it is published.

    Raises ValueError for weights of the wrong shape or that are not finite.
    """
    dim, rank = projection.u.shape
    weights = np.concatenate([projection.mean[None, :], projection.u.T, projection.v.T]).astype(np.float32)
    if dim != catalog.dim or weights.shape != (2 * rank + 1, dim) or not np.isfinite(weights).all():
        raise ValueError(f"a head of shape {weights.shape} does not fit embeddings of {catalog.dim} numbers")
    folder = _folder(catalog)
    folder.mkdir(parents=True, exist_ok=True)
    with _changing:
        number = max((int(place.name[5:]) for place in _places(folder)), default=0) + 1
        place = folder / f"head-{number:04d}"
        part = folder / f".{place.name}.part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        np.save(part / "weights.npy", weights, allow_pickle=False)
        flush_to_disk(part / "weights.npy")
        head = Head(
            id=place.name,
            encoder_id=catalog.encoder_id,
            dim=dim,
            rank=rank,
            sha256=sha256_of_file(part / "weights.npy"),
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
            report=dict(report or {}),
        )
        write_durably(part / "head.json", json.dumps(asdict(head), indent=2))
        part.rename(place)
    return head


def list_heads(catalog: CatalogStore) -> list[Head]:
    """Return every head that was kept, oldest first; one whose header cannot be read is left out."""
    heads = []
    for place in sorted(_places(_folder(catalog)), key=lambda place: int(place.name[5:])):
        try:
            heads.append(_read(place))
        except (OSError, ValueError, TypeError):
            _log.warning("the header of %s cannot be read", place)
    return heads


def get_head(catalog: CatalogStore, head_id: str) -> Head:
    """Return the head; raises `AdaptationError` where there is none of that id for this catalog's encoder."""
    known = {head.id: head for head in list_heads(catalog)}
    if head_id not in known:
        there_are = (
            f"there are {', '.join(known)}" if known else "none was learned yet: run `imgsearch adapt`"
        )
        raise AdaptationError(f"There is no head {head_id[:80]!r}; {there_are}.")
    head = known[head_id]
    if (head.encoder_id, head.dim) != (catalog.encoder_id, catalog.dim):
        raise AdaptationError(
            f"The head {head.id} was learned for {head.encoder_id}, not {catalog.encoder_id}."
        )
    return head


def read_projection(catalog: CatalogStore, head: Head) -> Projection:
    """Return what the head does to vectors; raises `CatalogCorrupt` when its file is not what was written."""
    file = _folder(catalog) / head.id / "weights.npy"
    try:
        if sha256_of_file(file) != head.sha256:
            raise ValueError("the checksum does not match")
        weights = np.load(file, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise CatalogCorrupt(
            f"The weights of {head.id} are missing or damaged ({file}); go back to what was in force before with "
            "`imgsearch heads rollback`."
        ) from error
    return Projection(
        mean=weights[0],
        u=np.ascontiguousarray(weights[1 : head.rank + 1].T),
        v=np.ascontiguousarray(weights[head.rank + 1 :].T),
    )


# --- what is in force -------------------------------------------------------------------------------------------


def head_changes(catalog: CatalogStore) -> list[HeadChange]:
    """Return every publishing and rollback, oldest first."""
    rows = catalog.database.cursor().execute(
        "SELECT happened_at, action, head FROM head_changes ORDER BY rowid"
    )
    return [HeadChange(*row) for row in rows.fetchall()]


def live_head(catalog: CatalogStore) -> Head | None:
    """Return the head in force, or None where the encoder's own embeddings are.

    Raises `CatalogCorrupt` where the head in force is gone or cannot be read.
    """
    head_id = live_head_id(catalog)
    if not head_id:
        return None
    try:
        return get_head(catalog, head_id)
    except AdaptationError as error:
        raise CatalogCorrupt(
            f"The head in force cannot be used: {error} Go back with `imgsearch heads rollback`."
        ) from error


def live_head_id(catalog: CatalogStore) -> str:
    """Return the id of the head in force, whether or not it can be read, or "" where none is."""
    return _in_force(catalog)[-1]


def publish(catalog: CatalogStore, head_id: str) -> Head:
    """Note that a head is in force from now on, in one transaction; raises `AdaptationError` for an unknown one.

    Whoever calls it has its vectors and index ready (`imgsearch.improve.adaptation.publication.publish_head`).
    """
    head = get_head(catalog, head_id)
    read_projection(catalog, head)
    _append(catalog, "publish", head.id)
    return head


def previous_head(catalog: CatalogStore) -> Head | None:
    """Return what a rollback would put in force, None for the encoder's own embeddings.

    Raises `AdaptationError` where no head is in force.
    """
    before = _in_force(catalog)[:-1]
    if not before:
        raise AdaptationError("No head is in force, so there is nothing to roll back.")
    return get_head(catalog, before[-1]) if before[-1] else None


def rollback(catalog: CatalogStore) -> Head | None:
    """Note that what was in force before the present head is in force again, and return it (None: no head).

    Going back twice undoes two publishings. Raises `AdaptationError` where no head is in force.
    """
    previous = previous_head(catalog)
    _append(catalog, "rollback", previous.id if previous else "")
    return previous


def _in_force(catalog: CatalogStore) -> list[str]:
    """Return the ids that were published and not rolled back, oldest first; the first is always "" (no head)."""
    stack = [""]
    for change in head_changes(catalog):
        if change.action == "publish":
            stack.append(change.head)
        elif len(stack) > 1:
            stack.pop()
    return stack


def _append(catalog: CatalogStore, action: str, head_id: str) -> None:
    with catalog.database.transaction() as cursor:
        now = datetime.now(UTC).replace(tzinfo=None)
        cursor.execute("INSERT INTO head_changes VALUES (?, ?, ?)", [now, action, head_id])


# --- files ------------------------------------------------------------------------------------------------------


def _folder(catalog: CatalogStore) -> Path:
    return catalog.folder / "heads"


def _places(folder: Path) -> list[Path]:
    return [place for place in folder.glob("head-*") if _HEAD_ID.fullmatch(place.name)]


def _read(place: Path) -> Head:
    head = Head(**json.loads((place / "head.json").read_text(encoding="utf-8")))
    if head.id != place.name:
        raise ValueError("the header belongs to another head")
    return head
