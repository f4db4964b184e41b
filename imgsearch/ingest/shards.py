"""Embeddings in shards, files of a folder or URL that many workers write and an indexing run reads.

    plan-0001.parquet, .json     the listed photos, a row group for each shard; then the encoder and the shard numbers
    shard-000000.parquet         `id` and `embedding` of the readable photos; the failures of the others

The plan fixes the photos and batches of a shard, so that every worker writes the same bytes. A shard is complete or
absent. New and changed photos get a further plan; the newest embedding of an id counts.
"""

from __future__ import annotations

import functools
import io
import itertools
import json
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from cachetools import LRUCache
from numpy.typing import NDArray

from imgsearch.core.errors import EncoderMismatch, SourceError
from imgsearch.core.records import Failure
from imgsearch.core.text import error_line
from imgsearch.encoders.base import Embeddings, Encoder
from imgsearch.ingest.preparation import read_ahead, read_failure
from imgsearch.ingest.sources import Source
from imgsearch.store.item_table import Photo
from imgsearch.store.originals import Originals, is_url
from imgsearch.store.remote_files import (
    file_exists,
    is_remote,
    list_names,
    normalised_place,
    open_file,
    read_file,
    write_file,
)
from imgsearch.vision.images import ImageLimits, decode_picture

FORMAT = 1
SHARD_PHOTOS = 2048
BATCH_PHOTOS = 32
READ_THREADS = 4
OPEN_SHARDS = 8
FETCH_ATTEMPTS = 3
RETRY_PAUSE_S = 0.5

_PHOTOS = pa.schema(
    [
        ("shard", pa.int32()),
        ("item_id", pa.string()),
        ("location", pa.string()),
        ("size_bytes", pa.int64()),
        ("modified_ns", pa.int64()),
    ]
)


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan: the encoder, and `shards` shards from number `first_shard` on.

    `threads` is part of it, since sums differ in the last digits with another number of threads.
    """

    number: int
    encoder_spec: str
    encoder_id: str
    dim: int
    first_shard: int
    shards: int
    photos: int
    shard_photos: int = SHARD_PHOTOS
    batch_photos: int = BATCH_PHOTOS
    threads: int = 1
    format: int = FORMAT

    @property
    def numbers(self) -> range:
        """The numbers of its shards."""
        return range(self.first_shard, self.first_shard + self.shards)

    def photos_in(self, number: int) -> int:
        """Return how many photos one of its shards has; the last one has fewer."""
        return min(self.shard_photos, self.photos - self.shard_photos * (number - self.first_shard))


@dataclass(frozen=True, slots=True)
class ShardReport:
    """The outcome of one shard: how many photos were encoded, and which failed."""

    number: int
    encoded: int
    failed: tuple[Failure, ...]


def plan_shards(
    place: str,
    sources: Iterable[Source],
    encoder: Encoder,
    *,
    shard_photos: int = SHARD_PHOTOS,
    batch_photos: int = BATCH_PHOTOS,
    threads: int = 1,
) -> tuple[list[Plan], list[Failure]]:
    """Return the plans of a folder or URL, one added for unplanned photos, and what could not be listed.

    Plans never change, so that an interrupted run continues. Raises `EncoderMismatch` where the place holds another
    encoder's shards, `SourceError` where it or a source cannot be read.
    """
    plans = read_plans(place)
    for plan in plans:
        if (plan.encoder_id, plan.dim) != (encoder.id, encoder.dim):
            raise EncoderMismatch(
                f"{place} holds embeddings of {plan.encoder_id}, which cannot be mixed with those of {encoder.id}; "
                "give another place with --shards."
            )
    known = _planned_photos(place, plans)
    listed: dict[str, Photo] = {}
    failures: list[Failure] = []
    for source in sources:
        for entry in source.photos():
            if isinstance(entry, Failure):
                failures.append(entry)
            elif entry.item_id in listed:
                failures.append(
                    Failure(entry.location, f"The id {entry.item_id} was already used in this run.")
                )
            else:
                listed[entry.item_id] = entry
    new = [photo for photo in listed.values() if known.get(photo.item_id) != _fingerprint(photo)]
    if new:
        plan = Plan(
            number=len(plans) + 1,
            encoder_spec=encoder.spec,
            encoder_id=encoder.id,
            dim=encoder.dim,
            first_shard=sum(plan.shards for plan in plans),
            shards=-(-len(new) // shard_photos),
            photos=len(new),
            shard_photos=shard_photos,
            batch_photos=batch_photos,
            threads=threads,
        )
        _write_plan(place, plan, new)
        plans.append(plan)
    return plans, failures


def read_plans(place: str) -> list[Plan]:
    """Return the plans of a folder or URL, oldest first; none where it does not exist."""
    found = [name for name in list_names(place) if name.startswith("plan-") and name.endswith(".json")]
    plans = []
    for name in sorted(found):
        try:
            plan = Plan(**json.loads(read_file(f"{place}/{name}")))
        except (ValueError, TypeError) as error:
            raise SourceError(f"{place}/{name} is not a plan of shards ({error_line(error)}).") from None
        if plan.format != FORMAT:
            raise SourceError(f"{place}/{name} was written by another version of imgsearch.")
        plans.append(plan)
    return plans


def finished_shards(place: str) -> set[int]:
    """Return the numbers of the complete shards."""
    names = [name.removesuffix(".parquet") for name in list_names(place) if name.startswith("shard-")]
    return {int(name.removeprefix("shard-")) for name in names if name.removeprefix("shard-").isdigit()}


def is_finished(place: str, number: int) -> bool:
    """Return whether a shard is complete."""
    return file_exists(_shard_file(place, number))


def encode_shard(
    place: str, plan: Plan, number: int, encoder: Encoder, *, originals: Originals, limits: ImageLimits
) -> ShardReport:
    """Encode the photos of one shard and write it; photos that cannot be read are listed in the report."""
    photos = _photos_of_shard(place, plan, number)
    ids: list[str] = []
    rows: list[Embeddings] = []
    failed: list[Failure] = []
    load = functools.partial(_load, encoder, originals, limits)
    with ThreadPoolExecutor(READ_THREADS, thread_name_prefix="decode") as pool:
        loading = read_ahead(photos, load, pool, ahead=2 * plan.batch_photos)
        while batch := list(itertools.islice(loading, plan.batch_photos)):
            arrays = []
            for photo, future in batch:
                loaded = future.result()
                if isinstance(loaded, Failure):
                    failed.append(loaded)
                else:
                    arrays.append(loaded)
                    ids.append(photo.item_id)
            if arrays:
                rows.append(encoder.encode_arrays(arrays))
    vectors = np.concatenate(rows) if rows else np.zeros((0, plan.dim), np.float32)
    write_file(_shard_file(place, number), _shard_bytes(plan, ids, vectors, failed))
    return ShardReport(number, len(ids), tuple(failed))


class ShardedEmbeddings:
    """The embeddings of all shards of a folder or URL, by item id; safe to use from any thread.

    Memory holds the ids and the most recently used shards: items are read roughly in the order of the shards.
    """

    def __init__(self, place: str) -> None:
        """Read the ids of all shards; raises `SourceError` where there are none."""
        self._place = normalised_place(place)
        plans = read_plans(self._place)
        if not plans:
            raise SourceError(f"There are no shards of embeddings in {place}.")
        self.dim = plans[0].dim
        self.encoder_spec = plans[0].encoder_spec
        self._rows: dict[str, tuple[int, int]] = {}
        self._failed: dict[str, str] = {}
        self._open: LRUCache[int, NDArray[np.float32]] = LRUCache(OPEN_SHARDS)
        self._lock = threading.Lock()
        done = finished_shards(self._place)
        self.missing = sum(number not in done for plan in plans for number in plan.numbers)
        for number in sorted(done):
            file = _read_shard(self._place, number)
            ids = file.read(columns=["id"])["id"].to_pylist()
            self._rows.update((item_id, (number, row)) for row, item_id in enumerate(ids))
            about = json.loads((file.schema_arrow.metadata or {}).get(b"imgsearch", b"{}"))
            for item_id, reason in about.get("failed", ()):  # an older shard's embedding is of a former photo
                self._rows.pop(item_id, None)
                self._failed[item_id] = reason

    def __len__(self) -> int:
        return len(self._rows)

    def find(self, item_id: str) -> NDArray[np.float32]:
        """Return the item's (dim,) unit row; raises `SourceError` with the reason where there is none."""
        place = self._rows.get(item_id)
        if place is None:
            if reason := self._failed.get(item_id):
                raise SourceError(reason)
            unfinished = f", of which {self.missing} shards are not finished" if self.missing else ""
            raise SourceError(f"{self._place} holds no embedding for this id{unfinished}.")
        number, row = place
        return unit_row(self._shard(number)[row])

    def _shard(self, number: int) -> NDArray[np.float32]:
        with self._lock:
            if number not in self._open:
                column = _read_shard(self._place, number).read(columns=["embedding"])["embedding"]
                numbers = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
                self._open[number] = numbers.reshape(-1, self.dim)
            return self._open[number]


def unit_row(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the vector at unit length; raises `SourceError` for one that is zero or not finite."""
    length = float(np.linalg.norm(vector))
    if not np.isfinite(length) or length == 0:
        raise SourceError("The embedding is zero or has numbers that are not finite.")
    return vector / np.float32(length)


# --- plans ------------------------------------------------------------------------------------------------------


def _fingerprint(photo: Photo) -> tuple[str, int, int]:
    """Return what differs when a photo changes."""
    return photo.location, photo.size_bytes, photo.modified_ns


def _planned_photos(place: str, plans: Sequence[Plan]) -> dict[str, tuple[str, int, int]]:
    """Return the fingerprints of all planned photos by id; those of the newest plan count."""
    known: dict[str, tuple[str, int, int]] = {}
    for plan in plans:
        with open_file(_plan_file(place, plan.number)) as file:
            columns = pq.read_table(file).to_pydict()
        fingerprints = zip(columns["location"], columns["size_bytes"], columns["modified_ns"], strict=True)
        known.update(zip(columns["item_id"], fingerprints, strict=True))
    return known


def _write_plan(place: str, plan: Plan, photos: Sequence[Photo]) -> None:
    buffer = io.BytesIO()
    with pq.ParquetWriter(buffer, _PHOTOS) as writer:
        for position, number in enumerate(plan.numbers):
            part = photos[position * plan.shard_photos : (position + 1) * plan.shard_photos]
            columns = {name: [getattr(photo, name) for photo in part] for name in _PHOTOS.names[1:]}
            table = pa.table({"shard": [number] * len(part), **columns}, schema=_PHOTOS)
            writer.write_table(table, row_group_size=len(part))
    write_file(_plan_file(place, plan.number), buffer.getvalue())
    # Last: a plan without this file is incomplete, and is written again.
    write_file(f"{place}/plan-{plan.number:04d}.json", json.dumps(asdict(plan), indent=2).encode())


def _photos_of_shard(place: str, plan: Plan, number: int) -> list[Photo]:
    with open_file(_plan_file(place, plan.number)) as file:
        columns = pq.ParquetFile(file).read_row_group(number - plan.first_shard).to_pydict()
    rows = zip(*(columns[name] for name in _PHOTOS.names[1:]), strict=True)
    return [Photo(item_id, place, location, size, modified) for item_id, location, size, modified in rows]


def _plan_file(place: str, number: int) -> str:
    return f"{place}/plan-{number:04d}.parquet"


# --- shards -----------------------------------------------------------------------------------------------------


def _load(
    encoder: Encoder, originals: Originals, limits: ImageLimits, photo: Photo
) -> NDArray[Any] | Failure:
    """Return the encoder's input for a photo, or its failure."""
    try:
        data = _fetched(originals, photo.location)
        return encoder.preprocess(decode_picture(data, target_px=encoder.input_px, limits=limits).image)
    except Exception as error:  # one photo must not stop a run, whatever a decoder raises
        return Failure(photo.item_id, read_failure(error, photo).reason)


def _fetched(originals: Originals, location: str) -> bytes:
    """Return a photo's bytes; retry remote ones."""
    for attempt in range(1, FETCH_ATTEMPTS):
        try:
            return originals.read(location)
        except SourceError:
            if not (is_url(location) or is_remote(location)):
                raise
            time.sleep(RETRY_PAUSE_S * attempt)
    return originals.read(location)


def _shard_bytes(plan: Plan, ids: Sequence[str], vectors: Embeddings, failed: Sequence[Failure]) -> bytes:
    flat = pa.array(np.ascontiguousarray(vectors, np.float32).ravel())
    failures = [[failure.path, failure.reason] for failure in failed]
    columns = {
        "id": pa.array(ids, pa.string()),
        "embedding": pa.FixedSizeListArray.from_arrays(flat, plan.dim),
    }
    about = json.dumps({"encoder_id": plan.encoder_id, "failed": failures})
    table = pa.table(columns).replace_schema_metadata({"imgsearch": about})
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", use_dictionary=False, row_group_size=max(len(ids), 1))
    return buffer.getvalue()


def _read_shard(place: str, number: int) -> pq.ParquetFile:
    path = _shard_file(place, number)
    try:
        return pq.ParquetFile(io.BytesIO(read_file(path)))
    except (pa.ArrowInvalid, OSError) as error:
        raise SourceError(f"{path} is damaged ({error_line(error)}); delete it and run again.") from None


def _shard_file(place: str, number: int) -> str:
    return f"{place}/shard-{number:06d}.parquet"
