"""Make a catalog of a million items for measurements at that size.

    python scripts/make_million.py DIR [--items 1000000] [--copies 0.02] [--threads 2]

Vectors are sampled around the Sample Store's `lite` embeddings (`realistic_vectors.Maker`), so that texts and uploads
find relevant items. An item uses the Sample Store photo whose vector is nearest (thumbnails are created at the first
request) and that photo's metadata row with a random price; three items form one product. Two percent of the items
(--copies) are near-duplicates of the previous item: almost the same vector, hash and look.

An interrupted run resumes where it stopped. The index is built at the end.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from realistic_vectors import BLOCK, Maker, RealVectors

from imgsearch.core.config import cpu_count
from imgsearch.demo import sample_store
from imgsearch.encoders.lite.weights import lite_id
from imgsearch.index.opening import open_live_index
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.item_table import Photo
from imgsearch.vision.images import decode_image
from imgsearch.vision.looks import Look, describe

SOURCE = "made by scripts/make_million.py"
COPY_NOISE = 0.02
HASH_BITS_MOVED = (14, 30)
"""The typical Hamming distance between the 64-bit hashes of two similar products' photos."""


class Shop:
    """The Sample Store's rows, vectors and looks, the centres of the generated items."""

    def __init__(self) -> None:
        store = sample_store()
        found = store.embeddings_of(lite_id())
        if found is None:
            sys.exit(
                "make_million: the Sample Store's embeddings are of another `lite`; run embed_sample_store.py."
            )
        vectors = np.load(found).astype(np.float32)
        self.vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        with store.manifest.open(encoding="utf-8", newline="") as file:
            self.rows = list(csv.DictReader(file))
        self.photos = [store.folder / row["image"] for row in self.rows]
        self.sizes: list[tuple[int, int]] = []
        self.looks: list[Look] = []
        for path in self.photos:
            image = decode_image(path)
            self.sizes.append(image.size)
            self.looks.append(describe(image))
        products = {row["product_id"]: number for number, row in enumerate(self.rows)}
        self.products = np.array([products[row["product_id"]] for row in self.rows])
        self.maker = Maker(RealVectors(self.vectors, self.products))


def make_block(shop: Shop, number: int, count: int, copies: float) -> tuple[list[Photo], Any, list[Look]]:
    """Return the items of a block with their (count, dim) vectors and looks; deterministic per block number."""
    rng = np.random.default_rng([7, number])
    vectors = shop.maker.make(count, seed=1000 + number)
    shown = np.argmax(vectors @ shop.vectors.T, axis=1)
    order = np.argsort(shop.products[shown], kind="stable")
    vectors, shown = vectors[order], shown[order]
    copied = np.flatnonzero(rng.random(count) < copies)
    copied = copied[copied > 0]
    noise = rng.standard_normal((len(copied), vectors.shape[1]), np.float32)
    noise *= COPY_NOISE / np.linalg.norm(noise, axis=1, keepdims=True)
    vectors[copied] = vectors[copied - 1] + noise
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    shown[copied] = shown[copied - 1]
    is_copy = np.isin(np.arange(count), copied)
    first = number * BLOCK
    items: list[Photo] = []
    looks: list[Look] = []
    for place, photo in enumerate(shown.tolist()):
        row = shop.rows[photo]
        name = f"{first + place:07d}"
        metadata = {
            **{
                column: value
                for column, value in row.items()
                if column not in ("id", "image", "view", "price")
            },
            "product_id": f"{row['product_id']}-{(first + place) // 3}",
            "price": round(float(row["price"]) * float(rng.uniform(0.5, 2.0)), 2),
            "in_stock": bool(rng.random() < 0.8),
        }
        path = shop.photos[photo]
        width, height = shop.sizes[photo]
        items.append(
            Photo(f"{name}-{row['id']}", SOURCE, str(path), 1, 1, name * 4, "", width, height, metadata)
        )
        looks.append(looks[-1] if is_copy[place] else _changed(shop.looks[photo], rng))
    return items, vectors, looks


def _changed(look: Look, rng: np.random.Generator) -> Look:
    """Return a random variation of the look, for a similar product's photo."""
    bits = rng.choice(64, int(rng.integers(*HASH_BITS_MOVED)), replace=False)
    moved = int(np.bitwise_or.reduce(np.uint64(1) << bits.astype(np.uint64)))
    vector = look.vector * rng.uniform(0.9, 1.1, len(look.vector)).astype(np.float32)
    return Look(vector.astype(np.float32), look.phash ^ moved)


def _fill(catalog: CatalogStore, shop: Shop, options: argparse.Namespace) -> None:
    started = time.perf_counter()
    for number in range(-(-options.items // BLOCK)):
        count = min(BLOCK, options.items - number * BLOCK)
        keys: NDArray[np.uint64] = np.arange(number * BLOCK, number * BLOCK + count, dtype=np.uint64)
        stored = len(catalog) >= int(keys[-1]) + 1
        if stored and catalog.looks.has(keys).all():
            continue
        items, vectors, looks = make_block(shop, number, count, options.copies)
        if not stored:
            keys, _ = catalog.store(items, vectors)
        catalog.looks.store(keys, looks)
        if number % 8 == 0:
            took = time.perf_counter() - started
            print(f"{len(catalog):,} items, {took:.0f} s", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="the catalog's folder")
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--copies", type=float, default=0.02, help="the share of near-duplicates")
    parser.add_argument("--threads", type=int, default=cpu_count(), help="threads for building the index")
    options = parser.parse_args()
    shop = Shop()
    with CatalogStore.open(options.folder, create=True) as catalog:
        catalog.bind_encoder("lite", lite_id(), shop.vectors.shape[1], reason="made for measuring")
        _fill(catalog, shop, options)
        started = time.perf_counter()
        index = open_live_index(catalog, threads=options.threads)
        header = index.header
        print(f"index: {time.perf_counter() - started:.0f} s", file=sys.stderr)
        if header is not None:
            print(f"{header.items:,} items, recall@10 {header.ann_recall_at_10}, {header.parameters}")


if __name__ == "__main__":
    main()
