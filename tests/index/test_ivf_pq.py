"""The engine with lists of codes: what it promises besides what every index does (`test_indexes`)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_indexes import ENGINES, filled

from imgsearch.index.base import Keys, Vectors

pytest.importorskip("faiss")


@pytest.fixture
def listed() -> tuple[Any, Keys, Vectors]:
    """Return an index of lists of 4,000 vectors in clusters, their keys, and the vectors."""
    return filled(ENGINES["lists"], 4000)


def test_lists_find_the_nearest_of_the_keys_that_they_are_to_search_among(listed: Any) -> None:
    index, keys, vectors = listed
    rng = np.random.default_rng(1)
    for share in (0.5, 0.1, 0.01):
        among = np.sort(rng.choice(keys, int(share * len(keys)), replace=False))
        right = []
        for number in range(0, 4000, 100):
            found, scores = index.search_subset(vectors[number], 10, among, expansion=200)
            assert len(found) == len(set(found.tolist())) == 10
            assert np.isin(found, among).all()
            assert np.all(np.diff(scores) <= 1e-6)
            exact = vectors[(among.astype(int) - 5) // 3] @ vectors[number]
            assert np.allclose(scores, vectors[(found.astype(int) - 5) // 3] @ vectors[number], atol=5e-3)
            right.append(np.isin(among[np.argsort(-exact)[:10]], found).mean())
        assert np.mean(right) >= 0.98, share


def test_lists_find_keys_that_all_lie_far_from_the_query(listed: Any) -> None:
    index, keys, vectors = listed
    far = np.sort(keys[np.argsort(vectors @ vectors[0])[:200]])
    found, _ = index.search_subset(vectors[0], 50, far, expansion=100)
    assert len(found) == 50
    assert np.isin(found, far).all()


def test_among_keys_lists_find_only_what_they_hold_now(listed: Any) -> None:
    index, keys, vectors = listed
    among = keys[:100].copy()
    assert len(index.search_subset(vectors[0], 100, among, expansion=128)[0]) == 100
    index.remove(keys[:50])
    assert (
        sorted(index.search_subset(vectors[0], 100, among, expansion=128)[0].tolist())
        == keys[50:100].tolist()
    )
    unknown = np.arange(10, dtype=np.uint64) * 3 + 10**6
    assert len(index.search_subset(vectors[0], 5, unknown, expansion=128)[0]) == 0
    index.add(unknown, vectors[:10])
    found, _ = index.search_subset(vectors[3], 3, unknown, expansion=128)
    assert found[0] == unknown[3], "they were chosen before they were there, and are found"
    for k, chosen in ((0, among), (-1, among), (5, among[:0])):
        assert len(index.search_subset(vectors[0], k, chosen, expansion=128)[0]) == 0


def test_lists_remember_few_selections_and_never_take_one_for_another(listed: Any) -> None:
    index, keys, vectors = listed
    kept = [keys[number : number + 40].copy() for number in range(60)]
    for chosen in kept:
        found, _ = index.search_subset(vectors[0], 40, chosen, expansion=128)
        assert sorted(found.tolist()) == chosen.tolist()
    assert len(index._selections) == 16
    del kept, chosen
    for number in range(60):  # arrays that end lend their identity to later ones
        chosen = keys[number : number + 40].copy()
        found, _ = index.search_subset(vectors[0], 40, chosen, expansion=128)
        assert sorted(found.tolist()) == chosen.tolist()
    assert len(index._selections) == 16


def test_searching_among_keys_pays_where_they_are_many_and_hits_are_few(listed: Any) -> None:
    index, _, _ = listed
    assert index.subset_search_pays(2000, 128)
    assert not index.subset_search_pays(100, 128)
    assert not index.subset_search_pays(2000, 1024)
    assert not index.subset_search_pays(0, 1)


def test_lists_get_on_with_usearch_in_a_process_with_nothing_else(tmp_path: Path) -> None:
    script = f"""
import usearch.index, numpy as np
from pathlib import Path
from imgsearch.index.ivf_pq import IvfPqIndex
rows = np.random.default_rng(0).standard_normal((2000, 32), np.float32)
rows /= np.linalg.norm(rows, axis=1, keepdims=True)
index = IvfPqIndex.train(rows, 2000, lambda keys: rows[keys].astype(np.float16))
index.add(np.arange(2000, dtype=np.uint64), rows)
path = Path({str(tmp_path / "index")!r})
index.save(path)
again = IvfPqIndex.load(path, 32, lambda keys: rows[keys].astype(np.float16), **index.parameters)
print(again.search(rows[7], 3)[0][0])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "7"), done.stderr
