"""The process that lays out a map: `python -m imgsearch.explore.worker FOLDER`.

In: `rows.npy` (n, dim) float32 and `job.json` ({"fit": rows to lay out by UMAP, or 0 to find clusters, "seed": ...}).
Out: `progress` ("done total"), and `clusters.npz` or `umap_2d.npy` and `umap_3d.npy`. UMAP: McInnes, Healy and
Melville (2018), initialised with the principal axes (Kobak and Linderman, "Initialization is critical for preserving
global data structure", 2021).
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from imgsearch.explore.vectors import (
    Rows,
    cluster,
    interpolate_positions,
    nearest_rows,
    outlier_scores,
    principal_axes,
)

NO_MEMORY = 12
"""The exit status where memory runs short (as ENOMEM)."""
NEIGHBOURS = 15
NICENESS = 15


def has_umap() -> bool:
    """Return whether umap-learn is installed."""
    return find_spec("umap") is not None


def main(folder: Path) -> int:
    """Do the job in the folder and return the exit status."""
    with suppress(OSError, AttributeError):
        os.nice(NICENESS)  # searches run first
    with suppress(OSError):  # the system kills this process before others where memory runs short
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    try:
        rows: Rows = np.load(folder / "rows.npy")
        job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
        if job["fit"]:
            _lay_out(folder, rows, job["fit"], job["seed"])
        else:
            _find_clusters(folder, rows, job["seed"])
    except MemoryError:
        return NO_MEMORY
    return 0


def _find_clusters(folder: Path, rows: Rows, seed: int) -> None:
    _report(folder, 2)
    found = cluster(rows, seed=seed)
    _report(folder, 10)
    scores = outlier_scores(rows, seed=seed)
    np.savez(folder / "clusters.npz", labels=found.labels, centres=found.centres, outlier_scores=scores)
    _report(folder, 15)


def _lay_out(folder: Path, rows: Rows, fit: int, seed: int) -> None:
    """Write the layouts; UMAP lays out `fit` rows drawn at random, the others are interpolated."""
    _report(folder, 15)
    import umap

    _report(folder, 30)
    drawn = np.sort(np.random.default_rng(seed).permutation(len(rows))[:fit])
    others = np.setdiff1d(np.arange(len(rows)), drawn)
    fitted, neighbours = rows[drawn], min(NEIGHBOURS, len(drawn) - 1)
    # Exact, because for some ten thousand rows that is faster than compiling UMAP's approximate search.
    nearest = nearest_rows(fitted, fitted, neighbours)
    _report(folder, 35)
    for dimensions, done in ((2, 65), (3, 95)):
        layout = umap.UMAP(
            n_components=dimensions,
            n_neighbors=neighbours,
            # Few photos may be far apart, of many each cluster should stay together.
            min_dist=0.6 if fit < 2500 else 0.35 if fit < 10_000 else 0.15,
            init=_initial_positions(fitted, dimensions),
            precomputed_knn=(*nearest, None),
            random_state=seed,
            n_jobs=1,
        )
        positions = np.zeros((len(rows), dimensions), np.float32)
        positions[drawn] = layout.fit_transform(fitted)
        if len(others):
            positions[others] = interpolate_positions(fitted, positions[drawn], rows[others])
        # The rotation of a layout has no meaning; the widest side goes across the screen.
        np.save(folder / f"umap_{dimensions}d.npy", principal_axes(positions, dimensions)(positions))
        _report(folder, done)


def _initial_positions(rows: Rows, dimensions: int) -> Rows:
    """Return the first principal axes, scaled to UMAP's usual range, with noise that separates equal rows."""
    first = np.zeros((len(rows), dimensions), np.float32)
    first[:, : rows.shape[1]] = rows[:, :dimensions]
    first *= 10.0 / max(float(np.abs(first).max()), 1e-9)
    return np.asarray(first + np.random.default_rng(0).normal(0, 1e-3, first.shape), np.float32)


def _report(folder: Path, done: int) -> None:
    part = folder / "progress.part"
    part.write_text(f"{done} 100", encoding="ascii")
    part.replace(folder / "progress")  # a reader never sees half of it


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
