"""Measure merchandising: how well copies of photos are told from look-alikes, and what collapsing costs a search.

python scripts/bench_merchandising.py copies     # copies of Sample Store photos, indexed among all of them
python scripts/bench_merchandising.py search     # 100,000 items: filters, composed query, collapse, diversity
"""

from __future__ import annotations

import argparse
import io
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from imgsearch.catalog import Catalog, NewItem
from imgsearch.diversity import mmr_order
from imgsearch.duplicates import duplicates_of
from imgsearch.encoders import load_encoder
from imgsearch.generations import LiveIndex
from imgsearch.indexing import index_sources
from imgsearch.records import Filter, Query, Term
from imgsearch.rules import Rule, rules_of
from imgsearch.search import Searcher

REPOSITORY = Path(__file__).resolve().parent.parent
STORE = REPOSITORY / "imgsearch" / "data" / "sample_store" / "images"


def clustered(count: int, dim: int, clusters: int) -> np.ndarray:
    """Return (count, dim) float32 unit rows around centres, as embeddings of a shop lie."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(clusters, dim))[rng.integers(0, clusters, count)]
    rows = rows + 0.6 * rng.normal(size=(count, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def raw_items(ids: list[str], rows: list[dict[str, str]]) -> list[NewItem]:
    """Return items to store that have no photo behind them."""
    return [
        NewItem(name, "/source", f"/source/{name}", 1, 1, name, "", 10, 10, row)
        for name, row in zip(ids, rows, strict=True)
    ]


def recompressed(image: Image.Image) -> Image.Image:
    data = io.BytesIO()
    image.save(data, "JPEG", quality=40)
    return Image.open(data).convert("RGB")


def cropped(image: Image.Image) -> Image.Image:
    width, height = image.size
    return image.crop((int(0.05 * width), int(0.03 * height), int(0.97 * width), int(0.95 * height)))


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "recompressed": recompressed,
    "half the size": lambda image: image.resize((image.width // 2, image.height // 2)),
    "cropped by 8%": cropped,
    "bordered by 5%": lambda image: ImageOps.expand(image, image.width // 20, "white"),
    "brighter by 15%": lambda image: ImageEnhance.Brightness(image).enhance(1.15),
    "darker by 15%": lambda image: ImageEnhance.Brightness(image).enhance(0.85),
}


def bench_copies(count: int) -> None:
    """Index the Sample Store with `count` photos copied in each way, and count the pairs that are found."""
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder) / "photos"
        shutil.copytree(STORE, photos)
        rng = np.random.default_rng(0)
        names = sorted(path.stem for path in STORE.glob("*.jpg"))
        for way, copy in COPIES.items():
            for name in rng.choice(names, count, replace=False):
                image = Image.open(STORE / f"{name}.jpg").convert("RGB")
                copy(image).save(photos / f"{name}__{way}.jpg", quality=88)
        encoder = load_encoder("lite")
        with Catalog.open(Path(folder) / "catalog", create=True) as catalog:
            index = LiveIndex.open(catalog)
            index_sources(catalog, index, encoder, [photos])
            duplicates = duplicates_of(catalog)
            started = time.perf_counter()
            duplicates.look(index, lambda item: Path(item.location).read_bytes())
            seconds = time.perf_counter() - started
            groups = [
                [Path(item.item_id).stem for item in group.items]
                for group in duplicates.list_groups(limit=10_000)[1]
            ]
            found = {
                frozenset((one, other))
                for group in groups
                for place, one in enumerate(group)
                for other in group[:place]
            }
            right = sum(len({name.split("__")[0] for name in pair}) == 1 for pair in found)
            print(
                f"{len(catalog):,} photos in {seconds:.1f} s, cosine from {duplicates.state().threshold:.3f}"
            )
            print(f"precision of pairs {right / len(found):.3f} ({len(found) - right} wrong of {len(found)})")
            for way in COPIES:
                made = [path.stem for path in photos.glob(f"*__{way}.jpg")]
                hits = sum(frozenset((name, name.split("__")[0])) in found for name in made)
                print(f"recall, {way}: {hits / len(made):.3f}")


def bench_search(items: int, dim: int) -> None:
    """Time composed, filtered and collapsed queries over `items` vectors, three photos a product."""
    with tempfile.TemporaryDirectory() as folder, Catalog.open(Path(folder) / "c", create=True) as catalog:
        catalog.bind_encoder("test:raw", f"test:raw@{dim}", dim)
        vectors = clustered(items, dim, 2000)
        for start in range(0, items, 10_000):
            part = range(start, min(start + 10_000, items))
            rows = [{"product_id": f"p{place // 3}", "shade": f"s{place % 4}"} for place in part]
            catalog.store(raw_items([f"{place:07d}.jpg" for place in part], rows), vectors[start : part.stop])
        index = LiveIndex.open(catalog, threads=2)

        def no_encoder() -> object:
            raise AssertionError("items need no encoder")

        searcher = Searcher(catalog, index, no_encoder)  # type: ignore[arg-type]
        rules_of(catalog).save(Rule("hide", ("0000001.jpg",)), author="bench")
        started = time.perf_counter()
        duplicates_of(catalog).groups()
        print(f"groups of {items:,} items: {time.perf_counter() - started:.2f} s, once a change")
        rng = np.random.default_rng(0)
        shapes = {
            "one photo": {},
            "collapsed": {"duplicates": "collapse"},
            "collapsed and filtered": {
                "duplicates": "collapse",
                "filters": (Filter("shade", "in", ("s0", "s1")),),
            },
            "collapsed, filtered, diverse": {
                "duplicates": "collapse",
                "filters": (Filter("shade", "in", ("s0", "s1")),),
                "diversity": 0.3,
            },
        }
        for name, parts in shapes.items():
            taken = []
            for round_ in range(120):
                first, second, third = (f"{number:07d}.jpg" for number in rng.integers(0, items, 3))
                terms = (Term("item", first), Term("item", second, 0.6), Term("item", third, -0.4))
                query = replace(Query(terms if parts else terms[:1], n=24), **parts)
                started = time.perf_counter()
                hits = searcher.search(query).hits
                if round_ >= 20:
                    taken.append((time.perf_counter() - started) * 1000)
                assert len(hits) == 24
            print(f"{name}: median {np.median(taken):.1f} ms, 95% within {np.percentile(taken, 95):.1f} ms")
        rows, scores = vectors[:256], np.sort(rng.random(256).astype(np.float32))[::-1]
        started = time.perf_counter()
        for _ in range(50):
            mmr_order(rows, scores, 0.5, 24)
        print(f"24 of 256 by maximal marginal relevance: {(time.perf_counter() - started) * 20:.2f} ms")


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["copies", "search"])
    parser.add_argument("--count", type=int, default=60, help="photos copied in each way")
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=256)
    given = parser.parse_args()
    if given.what == "copies":
        bench_copies(given.count)
    else:
        bench_search(given.items, given.dim)


if __name__ == "__main__":
    main()
