"""The process that lays out a map, `python -m imgsearch.explore.worker FOLDER`, apart from the one that searches.

It owns the calls of umap-learn, and what goes in and out of its folder: `rows.npy` (n, dim) float32 and `job.json`
({"fit": how many rows are laid out by UMAP, or 0 to find groups, "seed": ...}) in; `progress` ("done total" in
hundredths), and `clusters.npz` or `plane.npy` (n, 2) and `solid.npy` (n, 3) out. It knows no catalog: whoever starts
it reads the files, and starts it anew with less where the system ended it for want of memory.

UMAP: McInnes, Healy and Melville, "UMAP: Uniform Manifold Approximation and Projection for Dimension Reduction"
(2018), begun at the principal axes (Kobak and Linderman, "Initialization is critical for preserving global data
structure", 2021).
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imgsearch.explore.clusters import cluster, loneliness
from imgsearch.explore.projection import nearest_places, place_by_neighbours, principal_axes

__all__ = ["NO_MEMORY", "has_umap", "main"]

Rows = NDArray[np.float32]

NO_MEMORY = 12
"""The exit status that says that memory ran short (as ENOMEM)."""
NEIGHBOURS = 15
NICENESS = 15
BLOCK = 512


def has_umap() -> bool:
    """Say whether umap-learn is installed."""
    return find_spec("umap") is not None


def main(folder: Path) -> int:
    """Do the job in the folder and return the exit status."""
    _step_back()
    try:
        _work(folder)
    except MemoryError:
        return NO_MEMORY
    return 0


def _work(folder: Path) -> None:
    rows: Rows = np.load(folder / "rows.npy")
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    if job["fit"]:
        _lay_out(folder, rows, job["fit"], job["seed"])
    else:
        _find_groups(folder, rows, job["seed"])


def _find_groups(folder: Path, rows: Rows, seed: int) -> None:
    _say(folder, 2)
    clustering = cluster(rows, seed=seed)
    _say(folder, 10)
    np.savez(
        folder / "clusters.npz",
        labels=clustering.labels,
        centres=clustering.centres,
        loneliness=loneliness(rows, seed=seed),
    )
    _say(folder, 15)


def _lay_out(folder: Path, rows: Rows, fit: int, seed: int) -> None:
    """Write the layouts; rows beyond the first `fit` drawn are placed among them by their neighbours."""
    _say(folder, 15)
    import umap

    _say(folder, 30)
    drawn = np.sort(np.random.default_rng(seed).permutation(len(rows))[:fit])
    others = np.setdiff1d(np.arange(len(rows)), drawn)
    laid_out, neighbours = rows[drawn], min(NEIGHBOURS, len(drawn) - 1)
    near = _neighbours(laid_out, neighbours)
    _say(folder, 35)
    for dimensions, name, done in ((2, "plane", 65), (3, "solid", 95)):
        layout = umap.UMAP(
            n_components=dimensions,
            n_neighbors=neighbours,
            min_dist=_least_distance(len(laid_out)),
            init=_start(laid_out, dimensions),
            precomputed_knn=(*near, None),
            random_state=seed,
            n_jobs=1,
        )
        places = np.zeros((len(rows), dimensions), np.float32)
        places[drawn] = layout.fit_transform(laid_out)
        if len(others):
            places[others] = place_by_neighbours(laid_out, places[drawn], rows[others])
        # Any turn of a layout is as good as another; the widest side belongs across the screen.
        np.save(folder / f"{name}.npy", principal_axes(places, dimensions)(places))
        _say(folder, done)


def _least_distance(photos: int) -> float:
    """Return UMAP's `min_dist`: few photos may stand apart, of many every group should stay together."""
    return 0.6 if photos < 2500 else 0.35 if photos < 10_000 else 0.15


def _neighbours(rows: Rows, k: int) -> tuple[NDArray[np.int64], Rows]:
    """Return the numbers and the distances of the nearest rows, (n, k) each; a row is its own first one.

    Exact, in blocks: for some ten thousand rows that is quicker than compiling UMAP's own approximate search.
    """
    parts = [nearest_places(rows, rows[start : start + BLOCK], k) for start in range(0, len(rows), BLOCK)]
    return np.concatenate([near for near, _ in parts]), np.concatenate([far for _, far in parts])


def _start(rows: Rows, dimensions: int) -> Rows:
    """Return the first places: the rows' principal axes, as wide as UMAP likes them, apart from each other."""
    first = np.zeros((len(rows), dimensions), np.float32)
    first[:, : rows.shape[1]] = rows[:, :dimensions]
    first *= 10.0 / max(float(np.abs(first).max()), 1e-9)
    return np.asarray(first + np.random.default_rng(0).normal(0, 1e-3, first.shape), np.float32)


def _step_back() -> None:
    """Let searches go first, and let the system end this process before any other where memory runs short."""
    with suppress(OSError, AttributeError):
        os.nice(NICENESS)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def _say(folder: Path, done: int) -> None:
    part = folder / "progress.part"
    part.write_text(f"{done} 100", encoding="ascii")
    part.replace(folder / "progress")  # whoever looks finds the whole of it


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
