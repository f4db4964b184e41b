"""Checks and repairs of a catalog: embeddings are repaired from the photos, the index from the embeddings."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing, nullcontext, suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

from imgsearch.core.errors import CatalogCorrupt, IndexBehind, IndexCorrupt
from imgsearch.core.records import Failure
from imgsearch.encoders.base import Encoder
from imgsearch.index.heads import rollback
from imgsearch.index.live_index import LiveIndex
from imgsearch.index.opening import check_index, open_live_index
from imgsearch.index.vector_space import VectorSpace, live_space
from imgsearch.ingest.preparation import Preparer, encode_prepared
from imgsearch.ingest.run import ENCODE_BATCH, store_photos
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.health import (
    drop_broken_rows,
    ids_of_batch,
    missing_originals,
    pad_vectors,
    row_problems,
    vector_problems,
)
from imgsearch.store.originals import Originals

SERVED_TRIES, SERVED_PAUSE_S = 30, 0.1


RUN_AGAIN = "A run was interrupted: run imgsearch index again, which continues it."


@dataclass(frozen=True, slots=True)
class Verification:
    """The problems, a sentence each; after a repair the remaining ones, what was done, and what failed.

    `unfinished` says that nothing is damaged: the only problem is a run that was interrupted.
    """

    items: int
    problems: tuple[str, ...]
    repaired: tuple[str, ...] = ()
    failed: tuple[Failure, ...] = ()
    unfinished: bool = False

    @property
    def clean(self) -> bool:
        """Whether there is no problem (left)."""
        return not self.problems

    def as_dict(self) -> dict[str, Any]:
        """Return the outcome as the JSON of `imgsearch verify --json`."""
        return {"clean": self.clean, **asdict(self)}


def verify_catalog(catalog: CatalogStore, index: LiveIndex | None = None) -> Verification:
    """Return every problem of the catalog's rows, embeddings and index; changes nothing.

    `index` is that of a process that serves the catalog: its file on the disk may be older than the catalog.
    """
    problems = [f"The database has {problem}." for problem in row_problems(catalog)]
    for part in vector_problems(catalog):
        problems.append(f"{part.rows} embeddings from key {part.first_key} on are damaged: {part.reason}.")
    if len(damaged := catalog.looks.damaged()):
        problems.append(f"{len(damaged)} looks (colours, outlines, patterns) are damaged.")
    if lost := missing_originals(catalog):
        problems.append(
            f"{len(lost)} photos that were sent are missing in {catalog.folder / 'originals'}, such as that of "
            f"{lost[0]}; put these items again with their pictures."
        )
    if catalog.dim:
        try:
            space = live_space(catalog)
        except CatalogCorrupt as error:
            return Verification(len(catalog), (*problems, str(error)))
        with suppress(CatalogCorrupt):  # reported as damaged embeddings already
            if wrong := space.count_damaged():
                problems.append(f"{wrong} projected embeddings of {space.id} are damaged.")
        try:
            if index is None:
                check_index(catalog, space)
            else:
                _check_served(catalog, index)
        except IndexBehind as error:
            problems.append(f"The index is behind the catalog: {error}. {RUN_AGAIN}")
            return Verification(len(catalog), tuple(problems), unfinished=len(problems) == 1)
        except IndexCorrupt as error:
            problems.append(f"The index must be rebuilt: {error}.")
    return Verification(len(catalog), tuple(problems))


def _check_served(catalog: CatalogStore, index: LiveIndex) -> None:
    """Raise `IndexCorrupt` where an index that follows the catalog does not hold as many items.

    A change reaches the index shortly after the catalog, so only a difference that stays counts.
    """
    for _ in range(SERVED_TRIES):
        if (indexed := len(index)) == (items := len(catalog)):
            return
        time.sleep(SERVED_PAUSE_S)
    raise IndexCorrupt(f"it holds {indexed} items, and the catalog {items}")


def repair_catalog(
    catalog: CatalogStore,
    encoder: Callable[[], Encoder],
    *,
    threads: int = 1,
    originals: Originals | None = None,
) -> Verification:
    """Repair what `verify_catalog` finds and return what is left.

    `encoder` is called only when photos must be encoded again. Items whose photo cannot be read keep their row and
    are listed in `failed`: remove them, or restore the photos and repair again.
    """
    found = verify_catalog(catalog)
    if found.clean:
        return found
    repaired: list[str] = []
    failed: list[Failure] = []
    if removed_rows := drop_broken_rows(catalog):
        repaired.append(f"{removed_rows} incomplete or duplicate rows were deleted; index again.")
    batches = vector_problems(catalog)
    if damaged := [id for batch in batches for id in ids_of_batch(catalog, batch.first_key, batch.rows)]:
        pad_vectors(catalog)
        with (
            closing(Originals(catalog_folder=catalog.folder))
            if originals is None
            else nullcontext(originals) as reader
        ):
            done, failed = _encode_again(catalog, encoder(), damaged, reader)
        repaired.append(f"{done} embeddings were computed again from their photos.")
    if len(lost := catalog.looks.damaged()):
        catalog.looks.delete(lost)
        repaired.append(
            f"{len(lost)} looks were deleted; they are computed again when the catalog is served."
        )
    space, note = _usable_space(catalog)
    repaired += note
    if space.count_damaged():
        space.clear_projected()
        repaired.append("The projected embeddings were computed again from the embeddings.")
    index = open_live_index(catalog, threads=threads, rebuild=True, space=space)
    repaired.append(f"The index was rebuilt as generation {index.generation}.")
    return replace(verify_catalog(catalog), repaired=tuple(repaired), failed=tuple(failed))


def _usable_space(catalog: CatalogStore) -> tuple[VectorSpace, list[str]]:
    """Return the published head's space and notes; roll back heads that are damaged."""
    notes: list[str] = []
    while True:
        try:
            return live_space(catalog), notes
        except CatalogCorrupt:
            head = rollback(catalog)
            notes.append(
                f"The published head was damaged; {head.id if head else 'the model without a head'} is active again."
            )


def _encode_again(
    catalog: CatalogStore, encoder: Encoder, item_ids: list[str], originals: Originals
) -> tuple[int, list[Failure]]:
    """Store the photos again under new keys; return how many, and the photos that cannot be read."""
    prepare = Preparer(encoder.preprocess, encoder.input_px, originals)
    done, failed = 0, []
    for start in range(0, len(item_ids), ENCODE_BATCH):
        part = item_ids[start : start + ENCODE_BATCH]
        stored = catalog.stored_photos(part)
        batch = []
        for item in catalog.get_many(part):
            photo = replace(stored[item.item_id], digest="", metadata=item.metadata)
            outcome = prepare(photo)
            if isinstance(outcome, Failure):
                failed.append(Failure(item.item_id, outcome.reason))
            else:
                batch.append((photo, outcome))
        if batch:
            encode_prepared(encoder, [prepared for _, prepared in batch])
            store_photos(catalog, batch)
            done += len(batch)
    return done, failed
