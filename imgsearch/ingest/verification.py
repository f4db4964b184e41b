"""Checking a catalog and mending it.

It owns what counts as sound (rows agree with each other, embeddings are the bytes that were written, the index
holds exactly the live keys) and how each fault is mended: embeddings are made again from the photos, the index from
the embeddings. It draws no conclusions about photos that merely changed: that is indexing's work.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from imgsearch.core.errors import CatalogCorrupt, ImgSearchError, IndexCorrupt
from imgsearch.core.records import Failure
from imgsearch.encoders.base import Encoder
from imgsearch.index.heads import rollback
from imgsearch.index.opening import check_index, open_live_index
from imgsearch.index.vector_space import VectorSpace, live_space
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.health import drop_broken_rows, ids_of_batch, pad_vectors, row_problems, vector_problems
from imgsearch.store.originals import Originals, content_digest
from imgsearch.store.photo import Photo
from imgsearch.vision.images import decode_picture

__all__ = ["Verification", "repair_catalog", "verify_catalog"]


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found (`problems`, a sentence each) and, after a repair, what was done and what could not be."""

    items: int
    problems: tuple[str, ...]
    repaired: tuple[str, ...] = ()
    failed: tuple[Failure, ...] = ()

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong, or everything that was is mended."""
        return not self.problems

    def as_dict(self) -> dict[str, Any]:
        """Return the outcome as the JSON of `imgsearch verify --json`."""
        return {
            "clean": self.clean,
            "items": self.items,
            "problems": list(self.problems),
            "repaired": list(self.repaired),
            "failed": [{"path": failure.path, "reason": failure.reason} for failure in self.failed],
        }


def verify_catalog(catalog: CatalogStore) -> Verification:
    """Return every fault of the catalog's rows, embeddings and index; changes nothing."""
    problems = [f"The database has {problem}." for problem in row_problems(catalog)]
    for damage in vector_problems(catalog):
        problems.append(
            f"{damage.rows} embeddings from key {damage.first_key} on are damaged: {damage.reason}."
        )
    if len(damaged := catalog.looks.damaged()):
        problems.append(f"{len(damaged)} looks (colours, outlines, patterns) are damaged.")
    if catalog.dim:
        try:
            space = live_space(catalog)
        except CatalogCorrupt as error:
            return Verification(len(catalog), (*problems, str(error)))
        problems += _projection_problems(space)
        try:
            check_index(catalog, space)
        except IndexCorrupt as error:
            problems.append(f"The index must be rebuilt: {error}.")
    return Verification(len(catalog), tuple(problems))


def repair_catalog(
    catalog: CatalogStore,
    encoder: Callable[[], Encoder],
    *,
    threads: int = 1,
    originals: Originals | None = None,
) -> Verification:
    """Mend what `verify_catalog` finds and return what is left.

    `encoder` is called only when embeddings must be made again. Items whose photo cannot be read any more keep
    their row and are listed in `failed`: remove them, or bring the photos back and repair again.
    """
    found = verify_catalog(catalog)
    if found.clean:
        return found
    repaired: list[str] = []
    failed: list[Failure] = []
    removed_rows = drop_broken_rows(catalog)
    if removed_rows:
        repaired.append(f"{removed_rows} incomplete or duplicate rows were deleted; index again.")
    damaged = [
        item_id
        for damage in vector_problems(catalog)
        for item_id in ids_of_batch(catalog, damage.first_key, damage.rows)
    ]
    if damaged:
        pad_vectors(catalog)
        done, failed = _encode_again(catalog, encoder(), damaged, originals or Originals())
        repaired.append(f"{done} embeddings were made again from their photos.")
    lost = catalog.looks.damaged()
    if len(lost):
        catalog.looks.delete(lost)
        repaired.append(f"{len(lost)} looks were dropped; they are made again when the catalog is served.")
    space, note = _usable_space(catalog)
    repaired += note
    if space.count_damaged():
        space.clear_projected()
        repaired.append("The projected embeddings were made again from the embeddings.")
    index = open_live_index(catalog, threads=threads, rebuild=True, space=space)
    repaired.append(f"The index was rebuilt as generation {index.generation}.")
    return replace(verify_catalog(catalog), repaired=tuple(repaired), failed=tuple(failed))


def _projection_problems(space: VectorSpace) -> list[str]:
    """Return what is wrong with the vectors that the head in force made; where the embeddings are gone, nothing."""
    try:
        wrong = space.count_damaged()
    except CatalogCorrupt:
        return []  # told as damaged embeddings already
    return [f"{wrong} projected embeddings of {space.id} are damaged."] if wrong else []


def _usable_space(catalog: CatalogStore) -> tuple[VectorSpace, list[str]]:
    """Return the space in force; while its head is damaged, go back to the one before, and say so."""
    notes: list[str] = []
    while True:
        try:
            return live_space(catalog), notes
        except CatalogCorrupt:
            head = rollback(catalog)
            notes.append(
                f"The head in force was damaged; {head.id if head else 'the model without a head'} is in force again."
            )


def _encode_again(
    catalog: CatalogStore, encoder: Encoder, item_ids: list[str], originals: Originals
) -> tuple[int, list[Failure]]:
    done, failed = 0, []
    for start in range(0, len(item_ids), 32):
        part = item_ids[start : start + 32]
        stored = catalog.stored_photos(part)
        items, arrays = [], []
        for item in catalog.get_many(part):
            before = stored[item.item_id]
            try:
                data = originals.read(item.location)
                picture = decode_picture(data, target_px=encoder.input_px)
            except ImgSearchError as error:
                failed.append(Failure(item.item_id, str(error)))
                continue
            arrays.append(encoder.preprocess(picture.image))
            items.append(
                Photo(
                    item_id=item.item_id,
                    source=before.source,
                    location=before.location,
                    size_bytes=before.size_bytes,
                    modified_ns=before.modified_ns,
                    digest=content_digest(data),
                    row_digest=before.row_digest,
                    width_px=picture.width_px,
                    height_px=picture.height_px,
                    metadata=item.metadata,
                )
            )
        if items:
            catalog.store(items, np.asarray(encoder.encode_arrays(arrays), np.float32))
            done += len(items)
    return done, failed
