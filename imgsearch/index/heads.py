"""Learned heads: low-rank corrections of an encoder's embeddings, stored as files, and which of them is published.

A head is `<catalog>/heads/head-NNNN/` (`weights.npy`, and `head.json` with its checksum), never changed after it is
written; the append-only table `head_changes` has every publishing and rollback. A head is a residual after the frozen
encoder, as Hu et al., "LoRA" (ICLR 2022), put one inside: x -> unit(x + (x - mean) U V^T), U and V of (dim, rank).
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

from imgsearch.core.errors import AdaptationError, CatalogCorrupt
from imgsearch.core.files import flush_to_disk, sha256_of_file, write_durably
from imgsearch.index.base import Vectors, are_unit
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.database import utc_now

_HEAD_ID = re.compile(r"head-\d{4,}")
_log = logging.getLogger(__name__)
_changing = threading.Lock()


@dataclass(frozen=True, eq=False)
class Projection:
    """The weights of a head: `mean` (dim,), `u` and `v` (dim, rank), all float32."""

    mean: Vectors
    u: Vectors
    v: Vectors

    def __call__(self, rows: Vectors) -> Vectors:
        """Return unit rows for (n, dim) float32 unit rows; a row that is damaged on disk becomes zeros."""
        projected = rows + (rows - self.mean) @ self.u @ self.v.T
        lengths = np.linalg.norm(projected, axis=1, keepdims=True)
        sound = are_unit(rows)[:, None] & (lengths > 1e-6)
        return np.asarray(np.where(sound, projected / np.where(sound, lengths, 1.0), 0.0), np.float32)


@dataclass(frozen=True, slots=True)
class Head:
    """A head's header, the content of `head.json`; `report` has its training data and its measures."""

    id: str
    encoder_id: str
    dim: int
    rank: int
    sha256: str
    created_at: str
    report: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HeadChange:
    """A publishing or rollback; `head` is the head published afterwards, "" for the encoder's own embeddings."""

    happened_at: datetime
    action: Literal["publish", "rollback"]
    head: str


def save_head(
    catalog: CatalogStore, projection: Projection, *, report: Mapping[str, Any] | None = None
) -> Head:
    """Store a new head and return it; `publish` activates it.

    Raises ValueError for weights of the wrong shape or that are not finite.
    """
    dim, rank = projection.u.shape
    weights = np.concatenate([projection.mean[None, :], projection.u.T, projection.v.T]).astype(np.float32)
    if dim != catalog.dim or weights.shape != (2 * rank + 1, dim) or not np.isfinite(weights).all():
        raise ValueError(f"a head of shape {weights.shape} does not fit embeddings of {catalog.dim} numbers")
    folder = _folder(catalog)
    folder.mkdir(parents=True, exist_ok=True)
    with _changing:
        number = max((_number(stored) for stored in _head_folders(catalog)), default=0) + 1
        final = folder / f"head-{number:04d}"
        part = folder / f".{final.name}.part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        np.save(part / "weights.npy", weights, allow_pickle=False)
        flush_to_disk(part / "weights.npy")
        head = Head(
            id=final.name,
            encoder_id=catalog.encoder_id,
            dim=dim,
            rank=rank,
            sha256=sha256_of_file(part / "weights.npy"),
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
            report=dict(report or {}),
        )
        write_durably(part / "head.json", json.dumps(asdict(head), indent=2))
        part.rename(final)
    return head


def list_heads(catalog: CatalogStore) -> list[Head]:
    """Return the stored heads, oldest first, except those whose header cannot be read."""
    heads = []
    for folder in sorted(_head_folders(catalog), key=_number):
        try:
            heads.append(_read_header(folder))
        except (OSError, ValueError, TypeError):
            _log.warning("the header of %s cannot be read", folder)
    return heads


def get_head(catalog: CatalogStore, head_id: str) -> Head:
    """Return the head of an id; raises `AdaptationError` if it does not exist or belongs to another encoder."""
    known = {head.id: head for head in list_heads(catalog)}
    if head_id not in known:
        choices = f"use one of {', '.join(known)}" if known else "learn one with `imgsearch adapt`"
        raise AdaptationError(f"There is no head {head_id[:80]!r}; {choices}.")
    head = known[head_id]
    if (head.encoder_id, head.dim) != (catalog.encoder_id, catalog.dim):
        raise AdaptationError(
            f"The head {head.id} was learned for {head.encoder_id}, not {catalog.encoder_id}."
        )
    return head


def read_projection(catalog: CatalogStore, head: Head) -> Projection:
    """Return a head's weights; raises `CatalogCorrupt` where the file is missing or its checksum does not match."""
    file = _folder(catalog) / head.id / "weights.npy"
    try:
        if sha256_of_file(file) != head.sha256:
            raise ValueError("the checksum does not match")
        weights = np.load(file, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise CatalogCorrupt(
            f"The weights of {head.id} are missing or damaged ({file}); go back to the state before it with "
            "`imgsearch heads rollback`."
        ) from error
    return Projection(
        mean=weights[0],
        u=np.ascontiguousarray(weights[1 : head.rank + 1].T),
        v=np.ascontiguousarray(weights[head.rank + 1 :].T),
    )


# --- publishing -------------------------------------------------------------------------------------------------


def head_changes(catalog: CatalogStore) -> list[HeadChange]:
    """Return every publishing and rollback, oldest first."""
    rows = catalog.database.cursor().execute(
        "SELECT happened_at, action, head FROM head_changes ORDER BY rowid"
    )
    return [HeadChange(*row) for row in rows.fetchall()]


def live_head(catalog: CatalogStore) -> Head | None:
    """Return the published head, or None for the encoder's own embeddings.

    Raises `CatalogCorrupt` where the published head is missing or cannot be read.
    """
    head_id = live_head_id(catalog)
    if not head_id:
        return None
    try:
        return get_head(catalog, head_id)
    except AdaptationError as error:
        raise CatalogCorrupt(
            f"The published head cannot be used: {error} Go back with `imgsearch heads rollback`."
        ) from error


def live_head_id(catalog: CatalogStore) -> str:
    """Return the id of the published head, whether or not it can be read, or "" where there is none."""
    return _published_stack(catalog)[-1]


def publish(catalog: CatalogStore, head_id: str) -> Head:
    """Record that a head is published, after checking it; raises `AdaptationError` for an unknown one.

    The caller has built its vectors and index before (`imgsearch.improve.adaptation.head_jobs.publish_head`).
    """
    head = get_head(catalog, head_id)
    read_projection(catalog, head)
    _append(catalog, "publish", head.id)
    return head


def previous_head(catalog: CatalogStore) -> Head | None:
    """Return the head that a rollback would publish, None for the encoder's own embeddings.

    Raises `AdaptationError` where no head is published.
    """
    before = _published_stack(catalog)[:-1]
    if not before:
        raise AdaptationError("No head is published, so there is nothing to roll back.")
    return get_head(catalog, before[-1]) if before[-1] else None


def rollback(catalog: CatalogStore) -> Head | None:
    """Record that the previous head is published again, and return it (None: no head).

    Two rollbacks undo two publishings. Raises `AdaptationError` where no head is published.
    """
    previous = previous_head(catalog)
    _append(catalog, "rollback", previous.id if previous else "")
    return previous


def _published_stack(catalog: CatalogStore) -> list[str]:
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
        now = utc_now()
        cursor.execute("INSERT INTO head_changes VALUES (?, ?, ?)", [now, action, head_id])


# --- files ------------------------------------------------------------------------------------------------------


def _folder(catalog: CatalogStore) -> Path:
    return catalog.folder / "heads"


def _head_folders(catalog: CatalogStore) -> list[Path]:
    return [folder for folder in _folder(catalog).glob("head-*") if _HEAD_ID.fullmatch(folder.name)]


def _number(folder: Path) -> int:
    return int(folder.name.removeprefix("head-"))


def _read_header(folder: Path) -> Head:
    head = Head(**json.loads((folder / "head.json").read_text(encoding="utf-8")))
    if head.id != folder.name:
        raise ValueError("the header belongs to another head")
    return head
