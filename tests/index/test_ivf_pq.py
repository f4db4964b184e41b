"""The IVF-PQ engine: subset search, and faiss and usearch in one process. See `test_indexes` for the interface."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_indexes import ENGINES, filled

from imgsearch.core.key_arrays import Keys
from imgsearch.index.base import Vectors

pytest.importorskip("faiss")


@pytest.fixture
def filled_index() -> tuple[Any, Keys, Vectors]:
    """Return an index of 4,000 vectors in clusters, their keys, and the vectors."""
    return filled(ENGINES["lists"], 4000)


def test_a_subset_search_finds_the_nearest_keys_of_the_subset(filled_index: Any) -> None:
    index, keys, vectors = filled_index
    rng = np.random.default_rng(1)
    for share in (0.5, 0.1, 0.01):
        subset = np.sort(rng.choice(keys, int(share * len(keys)), replace=False))
        right = []
        for number in range(0, 4000, 100):
            found, scores = index.search_subset(vectors[number], 10, subset, expansion=200)
            assert len(found) == len(set(found.tolist())) == 10
            assert np.isin(found, subset).all()
            assert np.all(np.diff(scores) <= 1e-6)
            exact = vectors[(subset.astype(int) - 5) // 3] @ vectors[number]
            assert np.allclose(scores, vectors[(found.astype(int) - 5) // 3] @ vectors[number], atol=5e-3)
            right.append(np.isin(subset[np.argsort(-exact)[:10]], found).mean())
        assert np.mean(right) >= 0.98, share


def test_a_subset_search_finds_keys_far_from_the_query(filled_index: Any) -> None:
    index, keys, vectors = filled_index
    far = np.sort(keys[np.argsort(vectors @ vectors[0])[:200]])
    found, _ = index.search_subset(vectors[0], 50, far, expansion=100)
    assert len(found) == 50
    assert np.isin(found, far).all()


def test_a_subset_search_returns_only_keys_that_are_in_the_index(filled_index: Any) -> None:
    index, keys, vectors = filled_index
    subset = keys[:100].copy()
    assert len(index.search_subset(vectors[0], 100, subset, expansion=128)[0]) == 100
    index.remove(keys[:50])
    assert (
        sorted(index.search_subset(vectors[0], 100, subset, expansion=128)[0].tolist())
        == keys[50:100].tolist()
    )
    unknown = np.arange(10, dtype=np.uint64) * 3 + 10**6
    assert len(index.search_subset(vectors[0], 5, unknown, expansion=128)[0]) == 0
    index.add(unknown, vectors[:10])
    found, _ = index.search_subset(vectors[3], 3, unknown, expansion=128)
    assert found[0] == unknown[3], "a subset may name keys before they are added"
    for k, chosen in ((0, subset), (-1, subset), (5, subset[:0])):
        assert len(index.search_subset(vectors[0], k, chosen, expansion=128)[0]) == 0


def test_the_selection_cache_is_bounded_and_never_returns_another_selection(filled_index: Any) -> None:
    index, keys, vectors = filled_index
    subsets = [keys[number : number + 40].copy() for number in range(60)]
    for chosen in subsets:
        found, _ = index.search_subset(vectors[0], 40, chosen, expansion=128)
        assert sorted(found.tolist()) == chosen.tolist()
    assert len(index.selection_cache) == 16
    del subsets, chosen
    for number in range(60):  # equal arrays, possibly at addresses of deleted ones
        chosen = keys[number : number + 40].copy()
        found, _ = index.search_subset(vectors[0], 40, chosen, expansion=128)
        assert sorted(found.tolist()) == chosen.tolist()
    assert len(index.selection_cache) == 16
    for other in (keys[[0, 1, 5, 8, 9]], keys[[0, 3, 5, 7, 9]], keys[[0, 1, 5, 8, 9]]):  # one cache key
        found, _ = index.search_subset(vectors[0], 5, other, expansion=128)
        assert sorted(found.tolist()) == other.tolist()


def test_subset_search_pays_for_large_subsets_and_few_candidates(filled_index: Any) -> None:
    index, _, _ = filled_index
    assert index.subset_search_pays(2000, 128)
    assert not index.subset_search_pays(100, 128)
    assert not index.subset_search_pays(2000, 1024)
    assert not index.subset_search_pays(0, 1)


def test_faiss_and_usearch_work_in_one_process(tmp_path: Path) -> None:
    script = f"""
import usearch.index, numpy as np
from pathlib import Path
from imgsearch.index.base import VectorSource
from imgsearch.index.ivf_pq import IvfPqIndex
rows = np.random.default_rng(0).standard_normal((2000, 32), np.float32)
rows /= np.linalg.norm(rows, axis=1, keepdims=True)
read_rows = lambda keys: rows[keys].astype(np.float16)
index = IvfPqIndex.create(VectorSource(32, 2000, read_rows, lambda n: rows[:n]))
index.add(np.arange(2000, dtype=np.uint64), rows)
path = Path({str(tmp_path / "index")!r})
index.save(path)
again = IvfPqIndex.load(path, 32, read_rows, **index.parameters)
print(again.search(rows[7], 3)[0][0])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "7"), done.stderr
