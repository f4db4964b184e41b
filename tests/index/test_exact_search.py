"""Exact search of stored rows: it always finds the true nearest rows."""

from __future__ import annotations

import numpy as np
import pytest
from samples import clustered

from imgsearch.index import exact_search as exhaustive
from imgsearch.index.exact_search import exact_candidates, ranked

DIM = 48


@pytest.mark.parametrize("k", [1, 10, 300])
def test_exact_search_always_returns_the_true_nearest(k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exhaustive, "BLOCK_ROWS", 100)
    stored = clustered(1037, DIM).astype(np.float16)
    rows = stored.astype(np.float32)
    keys = np.arange(1037, dtype=np.uint64)[::-1].copy()
    for query in clustered(20, DIM, seed=9):
        near = exact_candidates(keys, lambda some: stored[some.astype(np.int64)], query, k)
        assert k <= len(near) < k + 20
        truth, _ = ranked(keys, rows[keys.astype(np.int64)], query, k)
        found, _ = ranked(near, rows[near.astype(np.int64)], query, k)
        assert found.tolist() == truth.tolist()


def test_tied_rows_are_all_candidates_and_damaged_rows_exclude_no_others() -> None:
    stored = clustered(60, DIM).astype(np.float16)
    stored[20:40] = stored[3]
    stored[50] = np.nan
    query = stored[3].astype(np.float32)
    near = exact_candidates(
        np.arange(60, dtype=np.uint64), lambda keys: stored[keys.astype(np.int64)], query, 5
    )
    assert set(range(20, 40)) | {3} <= set(near.tolist())
    assert 50 not in near


def test_up_to_k_keys_are_returned_without_reading_rows() -> None:
    keys = np.arange(4, dtype=np.uint64)

    def read(_: object) -> np.ndarray:
        raise AssertionError("nothing needs to be read")

    assert exact_candidates(keys, read, clustered(1, DIM)[0], 4) is keys
    assert len(exact_candidates(keys[:0], read, clustered(1, DIM)[0], 4)) == 0
