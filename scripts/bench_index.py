"""Compare our indexes with hnswlib, faiss and annoy: build time, memory, latency and throughput at equal recall.

    python scripts/bench_index.py --cache DIR [FOLDER...] [--items 100000] [--engines lists,codes,hnswlib,faiss-hnsw]
    python scripts/bench_index.py --cache DIR [FOLDER...] --small

The vectors come from `realistic_vectors.py` (sampled around real ones, queries held out) and are cached in DIR;
FOLDERs of photos are needed if the cache is empty. With `--small` they are 40,504 unmodified real vectors.
The other engines need `pip install 'imgsearch[bench]'`; a missing one is reported and skipped.

Every engine builds and saves its index in a separate process with `--threads`. A fresh process loads it and reads
the memory growth from the kernel: `resident` is anonymous memory, `mapped` are pages of files (the vectors for our
re-ranking, annoy's whole index). For each recall@10 the script finds the lowest effort that reaches it. Engines then
alternate, one round each, so that other load affects all equally: single queries in one thread (p50, p95; medians of
the rounds), then all queries as one batch with `--threads`. Recall is relative to exact search; "-" means that no
effort reaches it.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from realistic_vectors import DIM, Maker, real_vectors

Rows = NDArray[np.float32]

TARGETS = (0.95, 0.99, 0.999)
EFFORTS = (10, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 256, 384, 512, 768, 1024)
QUERIES = 500
SMALL_ITEMS = 40_504
M, EF_CONSTRUCTION = 16, 128
"""HNSW parameters of all engines over floats; engines over codes have their own, smaller defaults."""


# --- engines ------------------------------------------------------------------------------------------------------


class Subject:
    """An index under test: built from blocks of rows, saved, loaded, searched with an effort (ef, nprobe)."""

    needs: str | None = None
    efforts: Sequence[int] = EFFORTS

    def __init__(self, work: Path, items: int, threads: int) -> None:
        self.work, self.items, self.threads = work, items, threads

    def build(self, blocks: Callable[[], Iterator[Rows]], path: Path) -> None:
        raise NotImplementedError

    def load(self, path: Path) -> None:
        raise NotImplementedError

    def search(self, query: Rows, effort: int) -> NDArray[Any]:
        """Return the row numbers of the 10 nearest."""
        raise NotImplementedError

    def search_all(self, queries: Rows, effort: int) -> NDArray[Any]:
        raise NotImplementedError


class Ours(Subject):
    """An engine of imgsearch, named by its parameters."""

    parameters: ClassVar[dict[str, Any]]

    def _new(self, sample: Callable[[int], Rows]) -> Any:
        from imgsearch.index.base import VectorSource
        from imgsearch.index.engines import new_index

        source = VectorSource(DIM, self.items, self._rows(), sample)
        return new_index(self.parameters, source, threads=self.threads)

    def _rows(self) -> Callable[..., Any]:
        from imgsearch.store.vector_file import EmbeddingFile

        return EmbeddingFile(self.work / "vectors.f16", DIM).stored

    def build(self, blocks: Callable[[], Iterator[Rows]], path: Path) -> None:
        stored, drawn = _vectors(self.work), np.random.default_rng(0).permutation(self.items)
        index = self._new(lambda count: stored[np.sort(drawn[:count])].astype(np.float32))
        start = 0
        for block in blocks():
            index.add(np.arange(start, start + len(block), dtype=np.uint64), block)
            start += len(block)
        index.save(path)
        path.with_suffix(".json").write_text(json.dumps(index.parameters))

    def load(self, path: Path) -> None:
        from imgsearch.index.engines import load_index

        parameters = json.loads(path.with_suffix(".json").read_text())
        self._index = load_index(path, DIM, self._rows(), parameters, threads=self.threads)

    def search(self, query: Rows, effort: int) -> NDArray[Any]:
        return self._index.search(query, 10, expansion=effort)[0]

    def search_all(self, queries: Rows, effort: int) -> NDArray[Any]:
        return np.stack([_ten(self._index.search(query, 10, expansion=effort)[0]) for query in queries])


class Usearch(Ours):
    parameters: ClassVar[dict[str, Any]] = {
        "engine": "usearch",
        "connectivity": M,
        "expansion_add": EF_CONSTRUCTION,
    }


class Codes(Ours):
    parameters: ClassVar[dict[str, Any]] = {"engine": "codes", "coding": "bytes", "width": 128}


class DenserCodes(Ours):
    """HNSW with more links and a larger construction effort: higher recall, slower build."""

    parameters: ClassVar[dict[str, Any]] = {**Codes.parameters, "connectivity": 16, "expansion_add": 128}


class SmallCodes(Ours):
    parameters: ClassVar[dict[str, Any]] = {
        "engine": "codes",
        "coding": "bytes",
        "width": 64,
        "connectivity": 10,
    }


class Lists(Ours):
    parameters: ClassVar[dict[str, Any]] = {"engine": "lists"}
    needs = "faiss"


class Signs(Ours):
    parameters: ClassVar[dict[str, Any]] = {"engine": "codes", "coding": "signs", "width": 512}


class Hnswlib(Subject):
    needs = "hnswlib"

    def _new(self) -> Any:
        import hnswlib

        return hnswlib.Index(space="ip", dim=DIM)

    def build(self, blocks: Callable[[], Iterator[Rows]], path: Path) -> None:
        index = self._new()
        index.init_index(max_elements=self.items, ef_construction=EF_CONSTRUCTION, M=M)
        for block in blocks():
            index.add_items(block, num_threads=self.threads)
        index.save_index(str(path))

    def load(self, path: Path) -> None:
        self._index = self._new()
        self._index.load_index(str(path))

    def search(self, query: Rows, effort: int) -> NDArray[Any]:
        self._index.set_ef(effort)
        return self._index.knn_query(query, 10, num_threads=1)[0][0]

    def search_all(self, queries: Rows, effort: int) -> NDArray[Any]:
        self._index.set_ef(effort)
        return self._index.knn_query(queries, 10, num_threads=self.threads)[0]


class Faiss(Subject):
    needs = "faiss"

    def _make(self, faiss: Any) -> Any:
        raise NotImplementedError

    def _set_effort(self, effort: int) -> None:
        raise NotImplementedError

    def build(self, blocks: Callable[[], Iterator[Rows]], path: Path) -> None:
        import faiss

        faiss.omp_set_num_threads(self.threads)
        index = self._make(faiss)
        if not index.is_trained:
            some = np.random.default_rng(0).permutation(self.items)[:50_000]
            index.train(_vectors(self.work)[np.sort(some)].astype(np.float32))
        for block in blocks():
            index.add(block)
        faiss.write_index(index, str(path))

    def load(self, path: Path) -> None:
        import faiss

        self._faiss, self._index = faiss, faiss.read_index(str(path))
        faiss.omp_set_num_threads(1)

    def search(self, query: Rows, effort: int) -> NDArray[Any]:
        self._set_effort(effort)
        return self._index.search(query[None], 10)[1][0]

    def search_all(self, queries: Rows, effort: int) -> NDArray[Any]:
        self._faiss.omp_set_num_threads(self.threads)
        self._set_effort(effort)
        found = self._index.search(queries, 10)[1]
        self._faiss.omp_set_num_threads(1)
        return found


class FaissHnsw(Faiss):
    def _make(self, faiss: Any) -> Any:
        index = faiss.IndexHNSWFlat(DIM, M, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = EF_CONSTRUCTION
        return index

    def _set_effort(self, effort: int) -> None:
        self._index.hnsw.efSearch = effort


class FaissIvfPq(Faiss):
    efforts = (1, 2, 4, 8, 16, 32, 64, 128, 256)

    def _make(self, faiss: Any) -> Any:
        return faiss.index_factory(DIM, f"IVF{int(4 * np.sqrt(self.items))},PQ64", faiss.METRIC_INNER_PRODUCT)

    def _set_effort(self, effort: int) -> None:
        self._index.nprobe = effort


class FaissPq16(Faiss):
    efforts = (1,)

    def _make(self, faiss: Any) -> Any:
        return faiss.index_factory(DIM, "PQ16", faiss.METRIC_INNER_PRODUCT)

    def _set_effort(self, effort: int) -> None:
        """No effect: the search scans every code."""


class Annoy(Subject):
    needs = "annoy"
    efforts = (1000, 3000, 10_000, 30_000, 100_000, 300_000)

    def build(self, blocks: Callable[[], Iterator[Rows]], path: Path) -> None:
        from annoy import AnnoyIndex

        index, number = AnnoyIndex(DIM, "angular"), 0
        for block in blocks():
            for row in block:
                index.add_item(number, row)
                number += 1
        index.build(50, n_jobs=self.threads)
        index.save(str(path))

    def load(self, path: Path) -> None:
        from annoy import AnnoyIndex

        self._index = AnnoyIndex(DIM, "angular")
        self._index.load(str(path))

    def search(self, query: Rows, effort: int) -> NDArray[Any]:
        return np.array(self._index.get_nns_by_vector(query, 10, search_k=effort))

    def search_all(self, queries: Rows, effort: int) -> NDArray[Any]:
        return np.stack([_ten(self.search(query, effort)) for query in queries])


SUBJECTS: dict[str, type[Subject]] = {
    "lists": Lists,
    "codes": Codes,
    "codes-denser": DenserCodes,
    "codes-64": SmallCodes,
    "signs": Signs,
    "usearch-f16": Usearch,
    "hnswlib": Hnswlib,
    "faiss-hnsw": FaissHnsw,
    "faiss-ivf-pq": FaissIvfPq,
    "faiss-pq16": FaissPq16,
    "annoy": Annoy,
}


# --- worker process ----------------------------------------------------------------------------------------


def build(name: str, work: Path, items: int, threads: int) -> None:
    """Build and save one index; print the build time and the size."""
    stored, path = _vectors(work), work / f"{name}.index"

    def blocks() -> Iterator[Rows]:
        for start in range(0, items, 10_000):
            yield stored[start : start + 10_000].astype(np.float32)

    for start in range(
        0, items, 10_000
    ):  # into the page cache, to exclude disk reads from every engine's time
        stored[start : start + 10_000].max()
    started = time.perf_counter()
    SUBJECTS[name](work, items, threads).build(blocks, path)
    took = time.perf_counter() - started
    size = sum(file.stat().st_size for file in work.glob(f"{name}.index*"))
    print(json.dumps({"build_s": round(took, 1), "disk_mb": round(size / 1e6, 1)}), flush=True)


def serve(name: str, work: Path, items: int, threads: int) -> None:
    """Load one index and answer "efforts" and "round" requests until stdin ends."""
    queries, truth = np.load(work / "queries.npy"), np.load(work / "truth.npy")
    subject = SUBJECTS[name](work, items, threads)
    _import(subject)
    before = _memory_mb()
    subject.load(work / f"{name}.index")
    for query in queries:
        subject.search(query, subject.efforts[len(subject.efforts) // 2])
    after = _memory_mb()
    efforts: dict[float, int] = {}
    for line in sys.stdin:
        if line.strip() == "efforts":
            recalls = {}
            for effort in subject.efforts:
                recalls[effort] = _recall(subject.search_all(queries, effort), truth)
                if recalls[effort] >= TARGETS[-1]:
                    break
            for target in TARGETS:
                reached = [effort for effort, recall in recalls.items() if recall >= target]
                if reached:
                    efforts[target] = reached[0]
            answer: dict[str, Any] = {
                "resident_mb": round(after["RssAnon"] - before["RssAnon"], 1),
                "mapped_mb": round(after["RssFile"] - before["RssFile"], 1),
                "recalls": recalls,
                "efforts": efforts,
            }
        else:
            answer = {str(target): _round(subject, queries, effort) for target, effort in efforts.items()}
        print(json.dumps(answer), flush=True)


def _round(subject: Subject, queries: Rows, effort: int) -> dict[str, float]:
    taken = []
    for query in queries:
        started = time.perf_counter()
        subject.search(query, effort)
        taken.append(time.perf_counter() - started)
    started = time.perf_counter()
    subject.search_all(queries, effort)
    every = time.perf_counter() - started
    return {
        "p50_ms": float(np.percentile(taken, 50)) * 1e3,
        "p95_ms": float(np.percentile(taken, 95)) * 1e3,
        "per_s": len(queries) / every,
    }


def _import(subject: Subject) -> None:
    """Import the libraries and allocate their buffers, so that their memory is not counted as the index's."""
    some = np.random.default_rng(0).standard_normal((256, DIM), np.float32)
    (some @ some.T).sum()
    if isinstance(subject, Ours):
        from imgsearch.index.base import VectorSource
        from imgsearch.index.engines import new_index

        source = VectorSource(DIM, 256, lambda keys: some[keys].astype(np.float16), lambda count: some)
        tiny = new_index(subject.parameters, source)
        tiny.add(np.arange(len(some), dtype=np.uint64), some)
        tiny.search(some[0], 10)
    with contextlib.suppress(ImportError):
        __import__(subject.needs or "imgsearch.index.engines")
    __import__("imgsearch.store.vector_file")


def _memory_mb() -> dict[str, float]:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return {line.split(":")[0]: int(line.split()[1]) / 1000 for line in lines if line.startswith("Rss")}


def _ten(found: NDArray[Any]) -> NDArray[np.int64]:
    ten = np.full(10, -1, np.int64)
    ten[: len(found)] = found[:10]
    return ten


def _recall(found: NDArray[Any], truth: NDArray[np.int64]) -> float:
    right = sum(len(np.intersect1d(row, best)) for row, best in zip(found, truth, strict=True))
    return round(right / truth.size, 4)


def _vectors(work: Path) -> NDArray[np.float16]:
    return np.memmap(work / "vectors.f16", np.float16, "r").reshape(-1, DIM)


# --- the whole run ------------------------------------------------------------------------------------------------


def main() -> None:
    options = _options()
    if options.step:
        {"build": build, "serve": serve}[options.step](
            options.engines, options.cache, options.items, options.threads
        )
        return
    work = _prepare(options)
    names = [name for name in options.engines.split(",") if _installed(name)]
    found: dict[str, dict[str, Any]] = {}
    for name in names:
        print(f"building {name} ...", file=sys.stderr, flush=True)
        found[name] = json.loads(_process(options, work, name, "build").communicate()[0])
    workers = {name: _process(options, work, name, "serve") for name in names}
    for name, worker in workers.items():
        found[name] |= _ask(worker, "efforts") | {"rounds": []}
    for number in range(options.rounds):
        print(f"round {number + 1} of {options.rounds} ...", file=sys.stderr, flush=True)
        for name, worker in workers.items():
            found[name]["rounds"].append(_ask(worker, "round"))
    for worker in workers.values():
        worker.communicate()
    for subject in found.values():
        subject["at"] = _medians(subject["rounds"])
    if not options.keep:
        for name in names:
            for file in work.glob(f"{name}.index*"):
                file.unlink()
    _report(options, found)


def _prepare(options: argparse.Namespace) -> Path:
    """Write the vectors, queries and ground truth if they are not cached; return their folder."""
    work = options.cache / (f"real-{SMALL_ITEMS}" if options.small else f"made-{options.items}")
    if (work / "truth.npy").is_file():
        return work
    indexed, queries_real = real_vectors(options.cache, options.folders).split()
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    print("generating vectors ...", file=sys.stderr, flush=True)
    with (work / "vectors.f16").open("wb") as file:
        if options.small:
            if len(indexed.rows) < SMALL_ITEMS:
                sys.exit(
                    f"{SMALL_ITEMS:,} real vectors are needed, {len(indexed.rows):,} are in {options.cache}."
                )
            drawn = np.sort(np.random.default_rng(0).permutation(len(indexed.rows))[:SMALL_ITEMS])
            file.write(indexed.rows[drawn].astype(np.float16).tobytes())
        else:
            for block in Maker(indexed).blocks(options.items, seed=0):
                file.write(block.astype(np.float16).tobytes())
    if options.small:
        queries = queries_real.rows[np.random.default_rng(2).permutation(len(queries_real.rows))[:QUERIES]]
    else:
        queries = Maker(queries_real).make(QUERIES, seed=1)
    np.save(work / "queries.npy", queries)
    np.save(work / "truth.npy", _truth(_vectors(work), queries))
    return work


def _truth(stored: NDArray[np.float16], queries: Rows) -> NDArray[np.int64]:
    """Return the row numbers of each query's 10 nearest rows, (n, 10)."""
    scores = np.full((len(queries), 10), -2, np.float32)
    numbers = np.zeros((len(queries), 10), np.int64)
    for start in range(0, len(stored), 16_384):
        block = queries @ stored[start : start + 16_384].astype(np.float32).T
        best = (
            np.argpartition(-block, 10, axis=1)[:, :10] if block.shape[1] > 10 else np.argsort(-block, axis=1)
        )
        scores = np.hstack([scores, np.take_along_axis(block, best, axis=1)])
        numbers = np.hstack([numbers, best + start])
        kept = np.argsort(-scores, axis=1)[:, :10]
        scores, numbers = np.take_along_axis(scores, kept, axis=1), np.take_along_axis(numbers, kept, axis=1)
    return numbers


def _process(options: argparse.Namespace, work: Path, name: str, step: str) -> subprocess.Popen[str]:
    items = SMALL_ITEMS if options.small else options.items
    command = [sys.executable, __file__, "--cache", str(work), "--items", str(items), "--engines", name]
    threads = {"OMP_NUM_THREADS": str(options.threads), "OPENBLAS_NUM_THREADS": str(options.threads)}
    if step == "serve":
        threads = dict.fromkeys(threads, "1")
    return subprocess.Popen(
        [*command, "--threads", str(options.threads), "--step", step],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **threads},
    )


def _ask(worker: subprocess.Popen[str], what: str) -> dict[str, Any]:
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(what + "\n")
    worker.stdin.flush()
    answer = worker.stdout.readline()
    if not answer:
        sys.exit(f"bench_index: {worker.args} ended early.")
    return dict(json.loads(answer))


def _medians(rounds: Sequence[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    return {
        target: {
            name: round(float(np.median([one[target][name] for one in rounds])), 4)
            for name in rounds[0][target]
        }
        for target in rounds[0]
    }


def _report(options: argparse.Namespace, found: dict[str, dict[str, Any]]) -> None:
    items = SMALL_ITEMS if options.small else options.items
    document = {
        "items": items,
        "dim": DIM,
        "vectors": "real" if options.small else "made around real ones",
        "machine": platform.processor() or platform.machine(),
        "threads": options.threads,
        "load_average": round(os.getloadavg()[0], 1),
        "engines": found,
    }
    if options.json:
        options.json.write_text(json.dumps(document, indent=2), encoding="utf-8")
    print(f"{items:,} x {DIM}, {document['vectors']}; load average {document['load_average']}")
    print(
        f"{'':14}{'build s':>9}{'disk MB':>9}{'resident':>9}{'mapped':>8}{'best':>8}"
        + "".join(f"{f'p50 @{target}':>12}{'p95':>8}{'all/s':>8}" for target in TARGETS)
    )
    for name, one in found.items():
        line = f"{name:14}{one['build_s']:9.1f}{one['disk_mb']:9.1f}{one['resident_mb']:9.1f}{one['mapped_mb']:8.1f}"
        line += f"{max(one['recalls'].values()):8.4f}"
        for target in TARGETS:
            at = one["at"].get(str(target))
            line += (
                f"{at['p50_ms']:12.3f}{at['p95_ms']:8.3f}{at['per_s']:8.0f}"
                if at
                else f"{'-':>12}{'-':>8}{'-':>8}"
            )
        print(line)


def _installed(name: str) -> bool:
    if name not in SUBJECTS:
        sys.exit(f"Unknown engine {name!r}; choose from {', '.join(SUBJECTS)}.")
    needs = SUBJECTS[name].needs
    if needs and importlib.util.find_spec(needs) is None:
        print(f"{name} is skipped: {needs} is not installed.", file=sys.stderr)
        return False
    return True


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="*", help="photos to encode on the first run")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "imgsearch-bench-index")
    parser.add_argument("--items", type=int, default=100_000, help="number of vectors")
    parser.add_argument("--small", action="store_true", help=f"{SMALL_ITEMS:,} real vectors instead")
    parser.add_argument("--engines", help="engines, comma-separated (default: all that apply)")
    parser.add_argument("--threads", type=int, default=2, help="threads for building and for batch queries")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keep", action="store_true", help="keep the indexes in the cache")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the raw numbers")
    parser.add_argument("--step", choices=("build", "serve"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.engines is None:
        options.engines = (
            "lists,codes,codes-64,signs,usearch-f16,hnswlib,faiss-pq16"
            if options.small
            else ",".join(SUBJECTS)
        )
    return options


if __name__ == "__main__":
    main()
