"""A table without photos, such as a list of prices: its rows change the metadata of items that the catalog has."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from imgsearch.core.errors import SourceError
from imgsearch.core.records import Failure, IndexingReport
from imgsearch.index.live_index import LiveIndex
from imgsearch.ingest.column_plan import ColumnPlan, plan_columns
from imgsearch.ingest.feeds import FeedOptions, MetadataFile
from imgsearch.ingest.feeds.opening import MAX_FEED_BYTES
from imgsearch.ingest.item_changes import ItemChange
from imgsearch.ingest.item_editor import ItemEditor
from imgsearch.ingest.run import Progress, ProgressCallback
from imgsearch.ingest.tables import is_table_name
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.originals import Originals, is_url

BATCH = 1000


@contextmanager
def table_file(place: str, *, private_hosts: bool = False) -> Iterator[Path]:
    """Yield the file of a table, which is read first where it is at a URL; raises `SourceError`."""
    if not is_url(place):
        yield Path(place).expanduser()
        return
    with closing(Originals(max_bytes=MAX_FEED_BYTES, private_hosts=private_hosts)) as originals:
        data = originals.read(place)
    name = PurePosixPath(urlsplit(place).path).name
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / (name if is_table_name(name) else "feed.txt")
        path.write_bytes(data)
        yield path


def open_rows(catalog: CatalogStore, table: Path, options: FeedOptions) -> MetadataFile:
    """Return the rows of a table, found by the ids of the catalog's items; raises `SourceError`."""
    rows = MetadataFile(table, options=options)
    if rows.needs_fit:
        rows.fit(item.item_id for item in catalog.iter_items())
    return rows


def count_matching(catalog: CatalogStore, rows: MetadataFile) -> int:
    """Return how many items of the catalog have a row."""
    return sum(bool(rows.row(item.item_id)) for item in catalog.iter_items())


def update_rows(
    catalog: CatalogStore,
    editor: ItemEditor,
    rows: MetadataFile,
    *,
    index: LiveIndex,
    actor: str,
    progress: ProgressCallback | None = None,
) -> IndexingReport:
    """Set the values of the rows in the items that they name; nothing is encoded, and the changes can be undone.

    Columns take the kinds of those of the table; `index` is brought up where one changes its kind.
    `progress` is called between batches and may raise to stop. Raises `SourceError` where no row names an item.
    """
    started = time.perf_counter()
    counts = {"updated": 0, "unchanged": 0}
    failures: list[Failure] = list(rows.failures)
    total = len(catalog)
    done = 0
    batch: list[ItemChange] = []
    plan: ColumnPlan | None = None

    def flush() -> None:
        nonlocal batch
        for outcome in editor.apply(batch, actor=actor):
            if outcome.status == "failed":
                failures.append(Failure(outcome.item_id, outcome.message))
            else:
                counts[outcome.status] += 1
        batch = []
        if progress is not None:
            progress(Progress(done, total, 0, len(failures)))

    for item in catalog.iter_items():
        done += 1
        if row := rows.row(item.item_id):
            if plan is None:
                plan = plan_columns(catalog, [rows.imported])
                index.refresh(catalog.keys() if plan.retyped else catalog.keys()[:0])
            batch.append(ItemChange("patch", item.item_id, metadata=dict(plan.row(row))))
        if len(batch) >= BATCH:
            flush()
    flush()
    if not sum(counts.values()) and not failures:
        raise SourceError("The table has no column of photos, and its rows name no item of the catalog.")
    return IndexingReport(
        added=0,
        changed=counts["updated"],
        unchanged=counts["unchanged"],
        removed=0,
        vanished=0,
        failed=tuple(failures),
        seconds={"total": time.perf_counter() - started},
        encoder=catalog.encoder_id,
        notes=(*rows.notes(), *(plan.notes() if plan is not None else ())),
    )
