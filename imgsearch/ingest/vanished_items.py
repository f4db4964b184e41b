"""Items that their source no longer lists, where they are hidden instead of removed.

A hidden item has true in the column `delisted`, and a rule hides these items from visitors. An item that its source
lists again loses the value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from imgsearch.core.query import Filter
from imgsearch.index.live_index import LiveIndex
from imgsearch.ingest.named_source import NamedSource
from imgsearch.ingest.pruning import PruneLimit, Vanished, refusal
from imgsearch.ingest.run import metadata_digest, source_row_digest
from imgsearch.search.ranking.rules import Rule, Rules
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.item_table import Photo

COLUMN = "delisted"
AUTHOR = "import"
NOTE = "Items that vanished from their source"
BATCH = 512


def hide_vanished(
    catalog: CatalogStore, index: LiveIndex, rules: Rules, sources: Sequence[NamedSource], limit: PruneLimit
) -> tuple[int, str]:
    """Hide the items that complete sources no longer list, within the limit; return (how many, why none is)."""
    hidden = hidden_ids(catalog)
    found = []
    for source in sources:
        if source.complete:
            known = catalog.ids_of_source(source.name)
            gone = known - source.ids - source.unreadable - hidden
            shown = known - hidden
            found.append(Vanished(source.name, tuple(sorted(gone)), len(shown), len(source.ids)))
    gone_ids = [item_id for one in found for item_id in one.item_ids]
    if not gone_ids:
        return 0, ""
    if why := refusal(found, limit):
        return 0, why.replace("Would remove", "Would hide", 1).replace("remove them", "hide them")
    _mark(catalog, index, gone_ids, hidden=True)
    hiding = Filter(COLUMN, "=", True)
    if not any(str(hiding) in map(str, rule.filters) for rule in rules.all()):
        rules.save(Rule("hide", filters=(hiding,), note=NOTE), author=AUTHOR)
    return len(gone_ids), ""


def show_listed(catalog: CatalogStore, index: LiveIndex, sources: Sequence[NamedSource]) -> int:
    """Show the hidden items again that their source lists, and return their number."""
    hidden = hidden_ids(catalog)
    listed = [item_id for source in sources for item_id in hidden & source.ids]
    _mark(catalog, index, listed, hidden=False)
    return len(listed)


def hidden_ids(catalog: CatalogStore) -> set[str]:
    """Return the ids of the items that are hidden because they vanished."""
    if catalog.metadata.columns.get(COLUMN) != "boolean":
        return set()
    keys = catalog.metadata.keys_matching([Filter(COLUMN, "=", True)])
    return {item.item_id for item in catalog.by_keys(keys)}


def _mark(catalog: CatalogStore, index: LiveIndex, item_ids: Sequence[str], *, hidden: bool) -> None:
    for start in range(0, len(item_ids), BATCH):
        changed: list[Photo] = []
        # One transaction, so that no change of these items by a person comes between and is lost.
        with catalog.database.transaction():
            stored = catalog.stored_photos(item_ids[start : start + BATCH])
            for item in catalog.get_many(list(stored)):
                metadata = {name: value for name, value in item.metadata.items() if name != COLUMN}
                metadata |= {COLUMN: True} if hidden else {}
                # The digest of the source's row stays: its unchanged row must not undo changes by hand.
                digest = f"{source_row_digest(stored[item.item_id])}+{metadata_digest(metadata)}"
                changed.append(replace(stored[item.item_id], metadata=metadata, row_digest=digest))
            catalog.update_metadata(changed)
        index.refresh(np.array(sorted(photo.key for photo in changed if photo.key is not None), np.uint64))
