"""Realistic vectors for index benchmarks: embeddings of real photos, and any number of samples around them.

    python scripts/realistic_vectors.py FOLDER... --cache DIR [--views 4] [--json]

Encodes the photos below the folders and the Sample Store's, several views of each (the whole photo, then crops of
half to all of its area, every second one mirrored), caches the rows in `DIR/real.npz`, and prints how similar the
real and the generated vectors are.

Where the vectors come from
---------------------------
real      The features that EfficientNet-Lite0 (the network inside `lite`) has of a view, 1,280 numbers, in their 512
          principal directions (SVD about the origin), with a fixed random rotation, so that all coordinates carry
          similar variance, as in an encoder's output; unit length.
made      A smoothed bootstrap (Silverman & Young, "The bootstrap: to smooth or not to smooth?", Biometrika 1987),
          its kernel shaped like the data around each point, as in the manifold Parzen windows of Vincent & Bengio
          (NIPS 2002): a real vector v drawn at random, plus SPREAD times a Gaussian whose covariance is that of the
          differences between v and its NEIGHBOURS nearest real vectors of other photos, plus a faint Gaussian of the
          whole set's covariance (FAINT); unit length. So made vectors have the distribution of real ones.
queries   Vectors of held-out photos: neither their views nor any vector sampled around them is indexed. Extended
          queries are sampled around held-out photos in the same way.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]

DIM = 512
HELD_OUT = 0.05
"""The share of photos held out as queries."""
NEIGHBOURS = 16
SPREAD = 0.4
FAINT = 0.05
FEATURES = 1280
BLOCK = 8192
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


@dataclass(frozen=True)
class RealVectors:
    """(n, dim) float32 unit rows of real photos, and the photo number of each row."""

    rows: Rows
    photos: NDArray[np.int64]

    def split(self) -> tuple[RealVectors, RealVectors]:
        """Return the vectors to index and those of the held-out photos; the split is fixed."""
        last = int(self.photos.max()) + 1
        drawn = np.random.default_rng(1).random(last) < HELD_OUT
        out = drawn[self.photos]
        return (
            RealVectors(self.rows[~out], self.photos[~out]),
            RealVectors(self.rows[out], self.photos[out]),
        )


def real_vectors(cache: Path, folders: Sequence[Path] = (), *, views: int = 4) -> RealVectors:
    """Return the real vectors in `cache`; if missing, encode the photos below the folders first."""
    file = cache / "real.npz"
    if not file.is_file():
        if not folders:
            sys.exit(f"{file} is missing: pass the folders of photos to encode.")
        cache.mkdir(parents=True, exist_ok=True)
        features, photos = _encode(_photos(folders), views)
        part = file.with_suffix(".part.npz")
        np.savez(part, rows=_in_main_directions(features).astype(np.float16), photos=photos)
        part.replace(file)
    with np.load(file) as kept:
        return RealVectors(_unit(kept["rows"].astype(np.float32)), kept["photos"].astype(np.int64))


class Maker:
    """Samples vectors around real ones; deterministic per seed."""

    def __init__(self, real: RealVectors, *, spread: float = SPREAD, faint: float = FAINT) -> None:
        """Find each real vector's nearest neighbours among the other photos."""
        self._rows = real.rows
        self._spread, self._faint = np.float32(spread), np.float32(faint)
        self._near = _neighbours_elsewhere(real)
        centred = real.rows - real.rows.mean(axis=0)
        self._whole = np.linalg.cholesky(
            centred.T @ centred / len(centred) + 1e-9 * np.eye(real.rows.shape[1], dtype=np.float32)
        ).astype(np.float32)

    def blocks(self, count: int, *, seed: int) -> Iterator[Rows]:
        """Yield (count, dim) float32 unit rows in blocks."""
        rng = np.random.default_rng(seed)
        for start in range(0, count, BLOCK):
            yield self._block(min(BLOCK, count - start), rng)

    def make(self, count: int, *, seed: int) -> Rows:
        """Return (count, dim) float32 unit rows."""
        return np.concatenate([self._rows[:0], *self.blocks(count, seed=seed)])

    def _block(self, count: int, rng: np.random.Generator) -> Rows:
        chosen = rng.integers(0, len(self._rows), count)
        made = np.empty((count, self._rows.shape[1]), np.float32)
        weights = rng.standard_normal((count, self._near.shape[1]), np.float32) / np.sqrt(
            np.float32(self._near.shape[1])
        )
        for start in range(0, count, 256):
            part = slice(start, start + 256)
            own = self._rows[chosen[part]]
            away = self._rows[self._near[chosen[part]]] - own[:, None, :]
            made[part] = own + self._spread * (weights[part, None, :] @ away)[:, 0]
        made += self._faint * rng.standard_normal(made.shape, np.float32) @ self._whole.T
        return _unit(made)


def likeness(rows: Rows, queries: Rows) -> dict[str, float]:
    """Return measures of search difficulty, over the queries' 100 nearest rows.

    dimension       the intrinsic dimension by maximum likelihood from the 20 nearest (Levina & Bickel, "Maximum
                    Likelihood Estimation of Intrinsic Dimension", NIPS 2004, with MacKay & Ghahramani's average)
    contrast        the median distance to all rows over that to the nearest (He et al., "On the Difficulty of
                    Nearest Neighbor Search", ICML 2012)
    signs@100       the share of the true 10 nearest among the nearest 100 by the signs of the centred and
                    randomly rotated vectors
    cosine_1, _10   the median cosine to the nearest and to the tenth
    """
    scores = queries @ rows.T
    nearest = -np.sort(-np.partition(scores, -20, axis=1)[:, -20:], axis=1)
    away = np.sqrt(np.maximum(2 - 2 * nearest, 1e-12))
    logs = np.log(away[:, -1:] / away[:, :-1])
    centre = rows.mean(axis=0)
    turn = np.linalg.qr(np.random.default_rng(5).standard_normal((rows.shape[1],) * 2))[0].astype(np.float32)
    signs, asked = (
        np.where((part - centre) @ turn > 0, np.float32(1), np.float32(-1)) for part in (rows, queries)
    )
    found = 0
    for number, row in enumerate(asked):
        best = np.argpartition(-(signs @ row), 100)[:100]
        found += len(np.intersect1d(best, np.argpartition(-scores[number], 10)[:10]))
    return {
        "dimension": round(float(1 / (logs.mean() * 19 / 18)), 1),
        "contrast": round(float(np.median(np.sqrt(2 - 2 * np.median(scores, axis=1)) / away[:, 0])), 2),
        "signs@100": round(found / (10 * len(queries)), 4),
        "cosine_1": round(float(np.median(nearest[:, 0])), 3),
        "cosine_10": round(float(np.median(nearest[:, 9])), 3),
    }


# --- inside -------------------------------------------------------------------------------------------------------


def _unit(rows: NDArray[np.floating]) -> Rows:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32, copy=False)


def _photos(folders: Sequence[Path]) -> list[Path]:
    from imgsearch.demo import sample_store

    places = [*folders, sample_store().folder / "images"]
    return [path for place in places for path in sorted(place.rglob("*")) if path.suffix.lower() in SUFFIXES]


def _encode(paths: Sequence[Path], views: int) -> tuple[Rows, NDArray[np.int64]]:
    """Return the network's features of every view, (n, 1280), and the photo numbers, (n,)."""
    import torch

    from imgsearch.core.config import cpu_count
    from imgsearch.core.errors import ImageError
    from imgsearch.encoders.device import pick_device
    from imgsearch.encoders.lite.backbone import Backbone
    from imgsearch.encoders.lite.framing import pixels_of
    from imgsearch.vision.images import decode_image

    network = Backbone(pick_device("cpu"))

    def features_of(job: tuple[int, Path]) -> Rows:
        number, path = job
        rng = np.random.default_rng(number)
        try:
            image = decode_image(path, target_px=300)
        except ImageError:
            return np.zeros((0, FEATURES), np.float32)
        seen = []
        for view in range(views):
            part = image
            if view:
                side = float(np.sqrt(rng.uniform(0.5, 1.0)))
                width, height = round(image.width * side), round(image.height * side)
                left = int(rng.integers(0, image.width - width + 1))
                top = int(rng.integers(0, image.height - height + 1))
                part = image.crop((left, top, left + width, top + height))
            pixels = pixels_of(part)
            seen.append(pixels[:, :, ::-1] if view % 2 else pixels)
        with torch.inference_mode():
            return np.asarray(network(np.stack(seen)).last.mean(dim=(2, 3)), np.float32)

    features: list[Rows] = []
    started = time.perf_counter()
    torch.set_num_threads(1)
    with ThreadPoolExecutor(
        cpu_count()
    ) as pool:  # one photo per thread: threads inside the network block each other
        for number, found in enumerate(pool.map(features_of, enumerate(paths))):
            features.append(found)
            if number % 500 == 0:
                took = time.perf_counter() - started
                print(f"{number:,} of {len(paths):,} photos, {took:.0f} s", file=sys.stderr, flush=True)
    return np.concatenate(features), np.repeat(np.arange(len(features)), [len(found) for found in features])


def _in_main_directions(features: Rows) -> Rows:
    rows = _unit(features)
    _, directions = np.linalg.eigh(rows.T @ rows)
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((DIM, DIM)))[0]
    return _unit(rows @ (directions[:, -DIM:] @ turn).astype(np.float32))


def _neighbours_elsewhere(real: RealVectors) -> NDArray[np.int64]:
    """Return the row numbers of each row's nearest rows of other photos, (n, NEIGHBOURS)."""
    found = np.empty((len(real.rows), NEIGHBOURS), np.int64)
    for start in range(0, len(real.rows), 1024):
        scores = real.rows[start : start + 1024] @ real.rows.T
        scores[real.photos[start : start + 1024, None] == real.photos[None, :]] = -2
        found[start : start + 1024] = np.argpartition(-scores, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
    return found


def main() -> None:
    """Make the cache and compare generated with real vectors."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="*", help="folders of photos")
    parser.add_argument("--cache", type=Path, required=True, help="folder of the cached vectors")
    parser.add_argument("--views", type=int, default=4, help="views of each photo")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    indexed, asked = real_vectors(options.cache, options.folders, views=options.views).split()
    maker, asker = Maker(indexed), Maker(asked)
    queries = 500
    some = np.random.default_rng(0).permutation(len(asked.rows))[:queries]
    found = {
        "real": likeness(indexed.rows, asked.rows[some]),
        "made, as many": likeness(maker.make(len(indexed.rows), seed=0), asker.make(queries, seed=1)),
        "made, 100,000": likeness(maker.make(100_000, seed=0), asker.make(queries, seed=1)),
    }
    if options.json:
        print(json.dumps({"items": len(indexed.rows), "likeness": found}, indent=2))
        return
    print(f"{len(indexed.rows):,} vectors to index, {len(asked.rows):,} held out")
    names = list(found["real"])
    print(f"{'':16}" + "".join(f"{name:>12}" for name in names))
    for kind, values in found.items():
        print(f"{kind:16}" + "".join(f"{values[name]:12}" for name in names))


if __name__ == "__main__":
    main()
