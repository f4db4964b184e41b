"""Conformance tests of the `VectorIndex` interface, run on each engine."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from samples import clustered

from imgsearch.core.errors import IndexCorrupt
from imgsearch.core.key_arrays import Keys
from imgsearch.index.base import VectorIndex, Vectors, VectorSource
from imgsearch.index.engines import ENGINES as TABLE
from imgsearch.index.engines import Parameters, is_installed, load_index, new_index
from imgsearch.index.quantisation import Kind, Quantiser

DIM = 24


@dataclass(frozen=True)
class Engine:
    """An engine under test: it creates an empty index and loads a saved one."""

    make: Callable[[int], VectorIndex]
    load: Callable[[Path, int], VectorIndex]


class Stored:
    """An index whose vectors are stored before they are added, as in a catalog."""

    def __init__(self, index: Any, stored: dict[int, Any]) -> None:
        self._index, self._stored = index, stored

    def add(self, keys: Keys, vectors: Vectors) -> None:
        for key, row in zip(keys.tolist(), vectors, strict=False):
            self._stored.setdefault(key, row.astype(np.float16))
        self._index.add(keys, vectors)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._index, name)

    def __len__(self) -> int:
        return len(self._index)


def engine_with(parameters: Parameters) -> Engine:
    """Return an engine of the table with a dictionary as vector store."""
    stored: dict[int, Any] = {}
    kept: dict[str, Any] = {}

    def read(keys: Keys) -> Any:
        return np.stack([stored[key] for key in keys.tolist()])

    def make(dim: int) -> Any:
        stored.clear()
        sample = clustered(500, dim, seed=7)
        index = new_index(parameters, VectorSource(dim, 4000, read, lambda n: sample[:n]), threads=2)
        kept.update(index.parameters)
        return Stored(index, stored)

    return Engine(make, lambda path, dim: Stored(load_index(path, dim, read, kept), stored))


ENGINES = {
    name: engine_with(parameters)
    for name, parameters in {
        "usearch": {"engine": "usearch"},
        "bytes": {"engine": "codes", "coding": "bytes", "width": DIM},
        "signs": {"engine": "codes", "coding": "signs", "width": 512},
        "lists": {"engine": "lists"},
    }.items()
    if is_installed(parameters)
}


@pytest.fixture(params=list(ENGINES))
def engine(request: pytest.FixtureRequest) -> Engine:
    return ENGINES[request.param]


def filled(engine: Engine, count: int, *, seed: int = 0) -> tuple[VectorIndex, Any, Any]:
    vectors = clustered(count, DIM, seed=seed)
    keys = np.arange(count, dtype=np.uint64) * 3 + 5
    index = engine.make(DIM)
    index.add(keys, vectors)
    return index, keys, vectors


def test_an_empty_index_finds_nothing_and_can_be_saved(engine: Engine, tmp_path: Path) -> None:
    index = engine.make(DIM)
    keys, scores = index.search(clustered(1, DIM)[0], 5)
    assert (len(index), len(index.keys()), len(keys), len(scores)) == (0, 0, 0, 0)
    index.save(tmp_path / "empty")
    assert len(engine.load(tmp_path / "empty", DIM)) == 0


def test_search_returns_the_nearest_best_first_with_their_cosine(engine: Engine) -> None:
    index, keys, vectors = filled(engine, 500)
    for number in range(0, 500, 50):
        found, scores = index.search(vectors[number], 10)
        assert found.dtype == np.uint64
        assert found[0] == keys[number]
        assert np.all(np.diff(scores) <= 1e-6)
        exact = vectors[(found.astype(int) - 5) // 3] @ vectors[number]
        assert np.allclose(scores, exact, atol=5e-3)


def test_recall_is_at_least_99_percent_with_256_candidates(engine: Engine) -> None:
    index, keys, vectors = filled(engine, 4000)
    queries = clustered(100, DIM, seed=9)
    right = 0
    for query in queries:
        truth = set(keys[np.argsort(-(vectors @ query))[:10]].tolist())
        found, _ = index.search(query, 256)
        ranked = found[np.argsort(-(vectors[(found.astype(int) - 5) // 3] @ query))[:10]]
        right += len(truth & set(ranked.tolist()))
    assert right / 1000 >= 0.99


def test_k_over_the_number_of_items_returns_all_items(engine: Engine) -> None:
    index, keys, vectors = filled(engine, 40)
    found, _ = index.search(vectors[0], 1000)
    assert sorted(found.tolist()) == keys.tolist()


def test_removed_keys_are_neither_found_nor_listed_even_after_loading(engine: Engine, tmp_path: Path) -> None:
    index, keys, vectors = filled(engine, 300)
    index.remove(keys[:100])
    index.save(tmp_path / "index")
    for subject in (index, engine.load(tmp_path / "index", DIM)):
        assert len(subject) == 200
        assert subject.keys().tolist() == keys[100:].tolist()
        found, _ = subject.search(vectors[0], 50)
        assert len(found) == 50
        assert not set(found.tolist()) & set(keys[:100].tolist())


def test_removing_unknown_keys_or_none_changes_nothing(engine: Engine) -> None:
    index, keys, _ = filled(engine, 20)
    index.remove(np.array([1, 2, 10**15], np.uint64))
    index.remove(np.zeros(0, np.uint64))
    index.remove(keys[:1])
    index.remove(keys[:1])
    assert len(index) == 19


def test_a_duplicate_key_is_refused_and_the_stored_vector_is_unchanged(engine: Engine) -> None:
    index, keys, vectors = filled(engine, 10)
    with pytest.raises(ValueError, match="key"):
        index.add(keys[3:4], vectors[:1])
    assert len(index) == 10
    assert index.search(vectors[3], 1)[0].tolist() == [keys[3]]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_vectors_that_are_not_finite_are_refused(engine: Engine, value: float) -> None:
    index = engine.make(DIM)
    vectors = clustered(3, DIM)
    vectors[1, 5] = value
    with pytest.raises(ValueError, match="finite"):
        index.add(np.arange(3, dtype=np.uint64), vectors)
    assert len(index) == 0


def test_vectors_of_another_length_are_refused(engine: Engine) -> None:
    index = engine.make(DIM)
    with pytest.raises(ValueError, match=str(DIM)):
        index.add(np.arange(3, dtype=np.uint64), clustered(3, DIM + 1))
    with pytest.raises(ValueError, match=str(DIM)):
        index.add(np.arange(2, dtype=np.uint64), clustered(3, DIM))


def test_key_zero_is_a_valid_key(engine: Engine) -> None:
    vectors = clustered(3, DIM)
    index = engine.make(DIM)
    index.add(np.array([0, 2**63, 2**40], np.uint64), vectors)
    assert index.search(vectors[0], 3)[0][0] == 0
    assert index.search(vectors[1], 3)[0][0] == 2**63
    index.remove(np.array([0], np.uint64))
    assert 0 not in index.search(vectors[0], 3)[0]


def test_a_loaded_index_returns_the_saved_results_and_accepts_new_items(
    engine: Engine, tmp_path: Path
) -> None:
    index, _, vectors = filled(engine, 400)
    index.save(tmp_path / "index")
    loaded = engine.load(tmp_path / "index", DIM)
    assert loaded.parameters == index.parameters
    for query in vectors[:20]:
        assert loaded.search(query, 10)[0].tolist() == index.search(query, 10)[0].tolist()
    more = clustered(50, DIM, seed=5)
    loaded.add(np.arange(10_000, 10_050, dtype=np.uint64), more)
    assert loaded.search(more[7], 1)[0].tolist() == [10_007]
    assert len(loaded) == 450


def test_a_file_that_is_missing_or_of_another_dimension_is_corrupt(engine: Engine, tmp_path: Path) -> None:
    index, _, _ = filled(engine, 10)
    index.save(tmp_path / "index")
    with pytest.raises(IndexCorrupt):
        engine.load(tmp_path / "none", DIM)
    with pytest.raises(IndexCorrupt):
        engine.load(tmp_path / "index", DIM * 2)
    (tmp_path / "text").write_text("not an index")
    with pytest.raises(IndexCorrupt):
        engine.load(tmp_path / "text", DIM)


def test_concurrent_adds_and_removals_produce_no_wrong_score(engine: Engine) -> None:
    index, keys, vectors = filled(engine, 500)
    more = clustered(600, DIM, seed=3)
    by_key = {
        **dict(zip(keys.tolist(), vectors, strict=True)),
        **{10_000 + n: row for n, row in enumerate(more)},
    }
    stop = threading.Event()
    errors: list[BaseException] = []

    def search(seed: int) -> None:
        rng = np.random.default_rng(seed)
        try:
            while not stop.is_set():
                number = int(rng.integers(0, 500))
                found, scores = index.search(vectors[number], 10)
                assert found[0] == keys[number]
                exact = np.array([by_key[int(key)] @ vectors[number] for key in found])
                assert np.allclose(exact, scores, atol=5e-3)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=search, args=(seed,)) for seed in range(10)]
    for thread in threads:
        thread.start()
    for start in range(0, 600, 50):
        added = np.arange(10_000 + start, 10_050 + start, dtype=np.uint64)
        index.add(added, more[start : start + 50])
        index.remove(added[:20])
    stop.set()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(index) == 500 + 12 * 30


def test_every_engine_of_the_table_is_checked_here() -> None:
    checked = {engine.make(DIM).parameters["engine"] for engine in ENGINES.values()}
    assert checked == {name for name in TABLE if is_installed({"engine": name})}


def test_an_unknown_engine_is_neither_created_nor_loaded(tmp_path: Path) -> None:
    source = VectorSource(DIM, 10, lambda keys: np.zeros((len(keys), DIM)), lambda n: clustered(n, DIM))
    unknown = {"engine": "annoy", "coding": "bytes", "width": 8}
    assert not is_installed(unknown)
    with pytest.raises(
        IndexCorrupt, match=r"^There is no index engine 'annoy'; use one of usearch, codes, lists.$"
    ):
        new_index(unknown, source)
    with pytest.raises(IndexCorrupt, match="annoy"):
        load_index(tmp_path / "index", DIM, source.read_rows, unknown)


# --- quantisation -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "width"), [("bytes", 8), ("bytes", 24), ("signs", 64), ("signs", 1024)])
def test_a_saved_quantiser_returns_the_same_codes(kind: Kind, width: int, tmp_path: Path) -> None:
    rows = clustered(300, DIM)
    quantiser = Quantiser.train(kind, width, rows)
    codes = quantiser.encode(rows)
    assert codes.shape == ((300, width) if kind == "bytes" else (300, width // 8))
    data = quantiser.to_bytes()
    (tmp_path / "quantiser").write_bytes(data)
    again = Quantiser.read(tmp_path / "quantiser", hashlib.sha256(data).hexdigest(), DIM)
    assert np.array_equal(again.encode(rows), codes)
    assert again.to_bytes() == Quantiser.train(kind, width, rows).to_bytes() == data


def test_a_damaged_quantiser_or_one_of_another_dimension_is_refused(tmp_path: Path) -> None:
    data = Quantiser.train("bytes", 8, clustered(100, DIM)).to_bytes()
    digest = hashlib.sha256(data).hexdigest()
    (tmp_path / "quantiser").write_bytes(data[:-1] + b"x")
    with pytest.raises(IndexCorrupt, match="checksum"):
        Quantiser.read(tmp_path / "quantiser", digest, DIM)
    (tmp_path / "quantiser").write_bytes(data)
    with pytest.raises(IndexCorrupt, match="dimensions"):
        Quantiser.read(tmp_path / "quantiser", digest, DIM + 1)
    with pytest.raises(IndexCorrupt):
        Quantiser.read(tmp_path / "none", digest, DIM)


def test_byte_codes_of_all_components_preserve_distances() -> None:
    rows = clustered(200, DIM)
    quantiser = Quantiser.train("bytes", DIM, rows)
    codes = quantiser.encode(rows).astype(np.float32) * quantiser.step
    exact = np.linalg.norm(rows[:50, None] - rows[None, :50], axis=2)
    assert np.allclose(np.linalg.norm(codes[:50, None] - codes[None, :50], axis=2), exact, atol=0.05)
