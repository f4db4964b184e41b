"""The keys that pass filters follow single changes, and stay the same array where none matters."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
from samples import clustered, raw_items, relabelled

from imgsearch.core.query import Filter
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.recent_changes import MAX_REMEMBERED_KEYS, RecentChanges

MakeCatalog = Callable[..., CatalogStore]
CHEAP, RED = (Filter("price", "<", 50),), (Filter("colour", "=", "red"),)


def _row(rng: random.Random) -> dict[str, Any]:
    return {"price": float(rng.randrange(100)), "colour": rng.choice(["red", "blue"])}


def test_an_array_stays_while_no_item_begins_or_ends_to_pass(make_catalog: MakeCatalog) -> None:
    rows = [{"price": float(number), "colour": "red"} for number in range(100)]
    catalog = make_catalog(clustered(100, 8), rows)
    cheap = catalog.filtered.passing(CHEAP)
    catalog.update_metadata([relabelled("00003.jpg", {"price": 4.0, "colour": "blue"})])
    assert catalog.filtered.passing(CHEAP) is cheap
    catalog.update_metadata([relabelled("00003.jpg", {"price": 99.0, "colour": "blue"})])
    assert np.array_equal(catalog.filtered.passing(CHEAP), np.delete(cheap, 3))


def test_kept_keys_equal_a_full_comparison_after_any_changes(make_catalog: MakeCatalog) -> None:
    rng = random.Random(0)
    catalog = make_catalog(clustered(300, 8), [_row(rng) for _ in range(300)])
    ids = [item.item_id for item in catalog.iter_items()]
    for turn in range(30):
        match rng.randrange(3):
            case 0:
                new = [f"new-{turn}-{number}" for number in range(rng.randrange(1, 5))]
                catalog.store(raw_items(new, [_row(rng) for _ in new]), clustered(len(new), 8, seed=turn))
                ids += new
            case 1:
                catalog.remove([ids.pop(rng.randrange(len(ids))) for _ in range(3)])
            case 2:
                changed = rng.sample(ids, 4)
                catalog.update_metadata([relabelled(item_id, _row(rng)) for item_id in changed])
        for filters in (CHEAP, RED, (*CHEAP, *RED), ()):
            kept = catalog.filtered.passing(filters)
            assert np.array_equal(kept, catalog.metadata.keys_matching(filters))
        assert np.array_equal(catalog.keys(), np.sort(catalog.database.keys("SELECT key FROM items")))


def test_changes_too_long_ago_are_not_remembered() -> None:
    recent = RecentChanges()
    one = np.array([7], np.uint64)
    recent.note(1, one)
    assert recent.since(0) is not None
    many = np.arange(MAX_REMEMBERED_KEYS, dtype=np.uint64)
    recent.note(2, many)
    recent.note(3, one)
    assert recent.since(1) is None
    assert recent.since(2) is not None
    recent.note(4, None)
    assert recent.since(3) is None
    assert recent.since(4) is not None
