"""Runs the map worker in a process of its own: searches continue, and only the worker may run out of memory."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.background import Progress
from imgsearch.core.errors import ExploreError
from imgsearch.explore.clusters import Clustering
from imgsearch.explore.map_size import MIN_FIT
from imgsearch.explore.worker import NO_MEMORY

__all__ = ["LayoutProcess"]

Rows = NDArray[np.float32]

POLL_S = 0.2
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
OUT_OF_MEMORY = (-9, NO_MEMORY)
"""The worker's exit statuses where memory runs short: the system kills it, or it notices itself."""


class LayoutProcess:
    """The worker's runs over one set of rows; a context manager, whose folder exists only within it."""

    def __init__(self, folder: Path, rows: Rows, *, seed: int, progress: Progress) -> None:
        """Use `folder` for the worker's files; a run stops where `progress` raises."""
        self._folder = folder
        self._rows = rows
        self._seed = seed
        self._progress = progress

    def __enter__(self) -> LayoutProcess:
        """Write the rows."""
        shutil.rmtree(self._folder, ignore_errors=True)  # left by a killed process
        self._folder.mkdir(parents=True)
        np.save(self._folder / "rows.npy", self._rows)
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the folder."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def clusters(self) -> tuple[Clustering, Rows]:
        """Return the clusters of the rows, and (n,) float32 outlier scores; raises `ExploreError`."""
        self._check(self._run(0))
        with np.load(self._folder / "clusters.npz") as made:
            return Clustering(made["labels"], made["centres"]), made["outlier_scores"]

    def umap(self, fit: int) -> tuple[int, Rows, Rows] | None:
        """Return how many rows UMAP laid out, and the positions (n, 2) and (n, 3); raises `ExploreError`.

        While memory runs short it tries half as many rows; None where it is too short for `MIN_FIT`.
        """
        while fit:
            status = self._run(fit)
            if status == 0:
                return fit, np.load(self._folder / "umap_2d.npy"), np.load(self._folder / "umap_3d.npy")
            if status not in OUT_OF_MEMORY:
                self._check(status)
            fit = fit // 2 if fit // 2 >= MIN_FIT else 0
        return None

    def _run(self, fit: int) -> int:
        """Run the worker to its end and return its exit status."""
        (self._folder / "job.json").write_text(json.dumps({"fit": fit, "seed": self._seed}), encoding="utf-8")
        command = [sys.executable, "-m", "imgsearch.explore.worker", str(self._folder)]
        environment = {**os.environ, **dict.fromkeys(THREADS, "1"), "PYTHONPATH": _python_path()}
        with (self._folder / "log").open("wb") as log:
            process = subprocess.Popen(command, cwd=self._folder, env=environment, stdout=log, stderr=log)  # noqa: S603
        try:
            while True:
                try:
                    return process.wait(POLL_S)
                except subprocess.TimeoutExpired:
                    self._progress(*self._progress_of_worker())
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()

    def _progress_of_worker(self) -> tuple[int, int]:
        with suppress(OSError, ValueError):
            done, total = (self._folder / "progress").read_text(encoding="ascii").split()
            return int(done), int(total)
        return 0, 100

    def _check(self, status: int) -> None:
        if status in OUT_OF_MEMORY:
            raise ExploreError("The map could not be laid out: memory ran short.")
        if status:
            log = (self._folder / "log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
            reason = log[-1][:300] if log else f"its process ended with status {status}."
            raise ExploreError(f"The map could not be laid out: {reason}")


def _python_path() -> str:
    """Return where the worker finds this package."""
    package = str(Path(__file__).resolve().parent.parent.parent)
    return os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH", ""))))
