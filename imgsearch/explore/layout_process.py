"""Runs the map worker in a process of its own: searches continue, and only the worker may run out of memory.

Also how many photos a map shows, and how many of them UMAP lays out, within the available memory.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from imgsearch.core.background import Progress
from imgsearch.core.errors import ExploreError
from imgsearch.core.memory import available_bytes
from imgsearch.explore.vectors import Clustering, Rows
from imgsearch.explore.worker import NO_MEMORY

MAX_POINTS = 200_000
"""Larger catalogs are sampled: a browser draws this many points smoothly."""
MAX_FIT = 20_000
"""UMAP lays out at most this many photos; the others are interpolated."""
MIN_FIT = 500
MIN_PHOTOS = 8
"""With fewer photos UMAP does not run."""
UMAP_BYTES = 700 * 1024**2
FIT_ROW_BYTES = 24 * 1024
POINT_BYTES = 2 * 1024
DEFAULT_AVAILABLE_BYTES = 8 * 1024**3
NO_MEMORY_FOR_UMAP = "Memory is short, so UMAP did not run; PCA shows the catalog."
POLL_S = 0.2
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
OUT_OF_MEMORY = (-9, NO_MEMORY)
"""The worker's exit statuses where memory runs short: the system kills it, or it notices itself."""


@dataclass(frozen=True, slots=True)
class MapSize:
    """`points` photos on the map, `fit` of them laid out by UMAP (0: no UMAP); `notes` are sentences on both."""

    points: int
    fit: int
    notes: tuple[str, ...] = ()


def map_size(items: int, budget_bytes: int, *, can_umap: bool = True) -> MapSize:
    """Return the size of a map of `items` photos within a memory budget."""
    notes: tuple[str, ...] = ()
    points = min(items, MAX_POINTS, max(1000, budget_bytes // POINT_BYTES))
    if points < items:
        notes = (f"The map shows {points:,} of {items:,} photos, drawn at random.",)
    if not can_umap or points < MIN_PHOTOS:
        return MapSize(points, 0, notes)
    affordable = (budget_bytes - UMAP_BYTES) // FIT_ROW_BYTES
    target = min(points, MAX_FIT)
    if affordable < min(target, MIN_FIT):
        return MapSize(points, 0, (*notes, NO_MEMORY_FOR_UMAP))
    fit = min(target, affordable)
    return MapSize(points, fit, (*notes, *sample_note(points, fit, memory_short=fit < target)))


def memory_budget(limit_bytes: int) -> int:
    """Return half of the available memory, at most `limit_bytes` where that is not 0."""
    available = available_bytes()
    half = (DEFAULT_AVAILABLE_BYTES if available is None else available) // 2
    return min(limit_bytes or half, half)


def sample_note(points: int, fit: int, *, memory_short: bool) -> tuple[str, ...]:
    """Return a note that UMAP laid out `fit` of the points; none where it laid out all."""
    if fit >= points:
        return ()
    subject = "Memory is short, so UMAP" if memory_short else "UMAP"
    return (
        f"{subject} laid out {fit:,} photos; the other {points - fit:,} are placed by their nearest ones.",
    )


@dataclass(frozen=True)
class LayoutProcess:
    """The worker's runs over one set of rows; a run stops where `progress` raises."""

    folder: Path
    seed: int
    progress: Progress

    @staticmethod
    @contextmanager
    def over(folder: Path, rows: Rows, *, seed: int, progress: Progress) -> Iterator[LayoutProcess]:
        """Use `folder` for the worker's files, and remove it at the end."""
        shutil.rmtree(folder, ignore_errors=True)  # left by a killed process
        folder.mkdir(parents=True)
        try:
            np.save(folder / "rows.npy", rows)
            yield LayoutProcess(folder, seed, progress)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def clusters(self) -> tuple[Clustering, Rows]:
        """Return the clusters of the rows, and (n,) float32 outlier scores; raises `ExploreError`."""
        self._check(self._run(0))
        with np.load(self.folder / "clusters.npz") as made:
            return Clustering(made["labels"], made["centres"]), made["outlier_scores"]

    def umap(self, fit: int) -> tuple[int, Rows, Rows] | None:
        """Return how many rows UMAP laid out, and the positions (n, 2) and (n, 3); raises `ExploreError`.

        While memory runs short it tries half as many rows; None where it is too short for `MIN_FIT`.
        """
        while fit:
            status = self._run(fit)
            if status == 0:
                return fit, np.load(self.folder / "umap_2d.npy"), np.load(self.folder / "umap_3d.npy")
            if status not in OUT_OF_MEMORY:
                self._check(status)
            fit = fit // 2 if fit // 2 >= MIN_FIT else 0
        return None

    def _run(self, fit: int) -> int:
        """Run the worker to its end and return its exit status."""
        (self.folder / "job.json").write_text(json.dumps({"fit": fit, "seed": self.seed}), encoding="utf-8")
        command = [sys.executable, "-m", "imgsearch.explore.worker", str(self.folder)]
        paths = (str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", ""))
        path = os.pathsep.join(filter(None, paths))
        environment = {**os.environ, **dict.fromkeys(THREADS, "1"), "PYTHONPATH": path}
        with (self.folder / "log").open("wb") as log:
            process = subprocess.Popen(command, cwd=self.folder, env=environment, stdout=log, stderr=log)  # noqa: S603
        done = 0
        try:
            while True:
                try:
                    return process.wait(POLL_S)
                except subprocess.TimeoutExpired:
                    with suppress(OSError, ValueError):  # nothing is reported yet
                        report = (self.folder / "progress").read_text(encoding="ascii")
                        done = int(report.split()[0])
                    self.progress(done, 100)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()

    def _check(self, status: int) -> None:
        if status in OUT_OF_MEMORY:
            raise ExploreError("The map could not be laid out: memory ran short.")
        if status:
            log = (self.folder / "log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
            reason = log[-1][:300] if log else f"its process ended with status {status}."
            raise ExploreError(f"The map could not be laid out: {reason}")
