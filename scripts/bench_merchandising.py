"""Measure merchandising: accuracy of duplicate detection, and the cost of a pass and of collapsing.

python scripts/bench_merchandising.py copies     # copies of Sample Store photos, indexed among all of them
python scripts/bench_merchandising.py search     # 100,000 items: filters, composed query, collapse, diversity
python scripts/bench_merchandising.py serving    # searches alone, and during duplicate detection

Each prints a table; `--json FILE` also writes it.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFont, ImageOps

from imgsearch.app.service import SearchService
from imgsearch.core.config import Settings
from imgsearch.core.query import Filter, Query, Term
from imgsearch.encoders import load_encoder
from imgsearch.index.live_index import LiveIndex
from imgsearch.index.opening import open_live_index
from imgsearch.ingest.indexing import index_sources
from imgsearch.search.ranking.duplicates import Duplicates
from imgsearch.search.ranking.reranking import mmr_order
from imgsearch.search.ranking.rules import Rule
from imgsearch.search.searcher import Searcher
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.item_table import Photo

REPOSITORY = Path(__file__).resolve().parent.parent
STORE = REPOSITORY / "imgsearch" / "data" / "sample_store" / "images"
SHADES = (Filter("shade", "in", ("s0", "s1")),)


def clustered(count: int, dim: int, clusters: int) -> np.ndarray:
    """Return (count, dim) float32 unit rows around cluster centres, similar to a shop's embeddings."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(clusters, dim))[rng.integers(0, clusters, count)]
    rows = rows + 0.6 * rng.normal(size=(count, dim))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def raw_items(ids: list[str], rows: list[dict[str, str]]) -> list[Photo]:
    """Return items to store that have no photo file."""
    return [
        Photo(name, "/source", f"/source/{name}", 1, 1, name, "", 10, 10, row)
        for name, row in zip(ids, rows, strict=True)
    ]


# --- copies ---------------------------------------------------------------------------------------------------------


def recompressed(image: Image.Image) -> Image.Image:
    data = io.BytesIO()
    image.save(data, "JPEG", quality=40)
    return Image.open(data).convert("RGB")


def cropped(image: Image.Image, share: float) -> Image.Image:
    width, height = image.size
    left, top = 0.6 * share * width, 0.4 * share * height
    return image.crop((int(left), int(top), int(left + (1 - share) * width), int(top + (1 - share) * height)))


def bordered(image: Image.Image) -> Image.Image:
    return ImageOps.expand(image, image.width // 20, "white")


def brightened(image: Image.Image, factor: float) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(factor)


def rotated(image: Image.Image) -> Image.Image:
    return image.rotate(2, Image.Resampling.BICUBIC, fillcolor=image.getpixel((2, 2)))


def marked(image: Image.Image, place: tuple[float, float], share: float) -> Image.Image:
    """Return the photo with a half-transparent white text mark; `share` is text height over photo width."""
    layer = Image.new("RGBA", image.size, (0, 0, 0, 0))
    font = ImageFont.load_default(image.width * share)
    at = place[0] * image.width, place[1] * image.height
    ImageDraw.Draw(layer).text(at, "shop.test", font=font, fill=(255, 255, 255, 130), anchor="mm")
    return Image.alpha_composite(image.convert("RGBA"), layer).convert("RGB")


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "recompressed, quality 40": recompressed,
    "half the size": lambda image: image.resize((image.width // 2, image.height // 2)),
    "cropped by 4%": lambda image: cropped(image, 0.04),
    "cropped by 8%": lambda image: cropped(image, 0.08),
    "white border of 5%": bordered,
    "brighter by 15%": lambda image: brightened(image, 1.15),
    "brighter by 25%": lambda image: brightened(image, 1.25),
    "darker by 15%": lambda image: brightened(image, 0.85),
    "darker by 25%": lambda image: brightened(image, 0.75),
    "more contrast by 20%": lambda image: ImageEnhance.Contrast(image).enhance(1.2),
    "turned by 2 degrees": rotated,
    "mirrored": ImageOps.mirror,
    "words in a corner": lambda image: marked(image, (0.75, 0.93), 0.08),
    "words across": lambda image: marked(image, (0.5, 0.5), 0.16),
}


def bench_copies(count: int) -> dict[str, Any]:
    """Index the Sample Store alone, then with `count` copies per transformation, and count the pairs found."""
    encoder = load_encoder("lite")
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder) / "photos"
        shutil.copytree(STORE, photos)
        with CatalogStore.open(Path(folder) / "catalog", create=True) as catalog:
            index = open_live_index(catalog)
            index_sources(catalog, index, encoder, [photos])
            alone = {"photos": len(catalog), **timed_pass(catalog, index)}
            alone["wrong"] = len(found_pairs(catalog))
            make_copies(photos, count)
            index_sources(catalog, index, encoder, [photos])
            added = {"photos": len(catalog) - alone["photos"], **timed_pass(catalog, index)}
            found = found_pairs(catalog)
        right = sum(len({name.split("__")[0] for name in pair}) == 1 for pair in found)
        recall = {}
        for way in COPIES:
            made = [path.stem for path in photos.glob(f"*__{way}.jpg")]
            recall[way] = sum(frozenset((name, name.split("__")[0])) in found for name in made) / len(made)
    print(
        f"Sample Store: {alone['photos']:,} photos in {alone['seconds']:.1f} s ({alone['cpu_s']:.1f} s of a core)"
    )
    print(f"  wrong pairs among them: {alone['wrong']}")
    print(
        f"With {added['photos']:,} copies: {added['seconds']:.1f} s more ({added['cpu_s']:.1f} s of a core)"
    )
    print(f"  precision of pairs {right / len(found):.4f} ({len(found) - right} wrong of {len(found)})")
    for way, share in recall.items():
        print(f"  recall {share:.3f}  {way}")
    return {"alone": alone, "added": added, "precision": right / len(found), "recall": recall}


def make_copies(photos: Path, count: int) -> None:
    """Per transformation, write copies of `count` newly drawn Sample Store photos next to the originals."""
    rng = np.random.default_rng(1)
    names = sorted(path.stem for path in STORE.glob("*.jpg"))
    for way, copy in COPIES.items():
        for name in rng.choice(names, count, replace=False):
            image = Image.open(STORE / f"{name}.jpg").convert("RGB")
            copy(image).save(photos / f"{name}__{way}.jpg", quality=88)


def timed_pass(catalog: CatalogStore, index: LiveIndex) -> dict[str, float]:
    """Detect duplicates of the new photos; return wall-clock and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    Duplicates(catalog).find_new(index, lambda item: Path(item.location).read_bytes())
    return {"seconds": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}


def found_pairs(catalog: CatalogStore) -> set[frozenset[str]]:
    """Return every pair of names that share a group."""
    groups = Duplicates(catalog).list_groups(limit=100_000)[1]
    names = ([Path(item.item_id).stem for item in group.items] for group in groups)
    return {frozenset(pair) for group in names for pair in itertools.combinations(group, 2)}


# --- searching ------------------------------------------------------------------------------------------------------


def no_encoder() -> Any:
    raise AssertionError("items need no encoder")


def bench_search(items: int, dim: int) -> dict[str, Any]:
    """Time composed, filtered and collapsed queries over `items` vectors, three photos a product."""
    with (
        tempfile.TemporaryDirectory() as folder,
        CatalogStore.open(Path(folder) / "c", create=True) as catalog,
    ):
        catalog.bind_encoder("test:raw", f"test:raw@{dim}", dim)
        vectors = clustered(items, dim, 2000)
        for start in range(0, items, 10_000):
            part = range(start, min(start + 10_000, items))
            rows = [{"product_id": f"p{place // 3}", "shade": f"s{place % 4}"} for place in part]
            catalog.store(raw_items([f"{place:07d}.jpg" for place in part], rows), vectors[start : part.stop])
        index = open_live_index(catalog, threads=2)
        header = index.header
        assert header is not None
        print(f"{items:,} x {dim}, {header.parameters['engine']}, ann_recall@10 {header.ann_recall_at_10}")
        searcher = Searcher(catalog, index, no_encoder)
        searcher.rules.save(Rule("hide", ("0000001.jpg",)), author="bench")
        started = time.perf_counter()
        searcher.duplicates.groups()
        print(f"groups of {items:,} items: {time.perf_counter() - started:.2f} s, once per change")
        shapes: dict[str, dict[str, Any]] = {
            "one photo": {},
            "collapsed": {"duplicates": "collapse"},
            "collapsed and filtered": {"duplicates": "collapse", "filters": SHADES},
            "collapsed, filtered, diverse": {"duplicates": "collapse", "filters": SHADES, "diversity": 0.3},
        }
        print(f"{'p50 / p95 ms':30}{'total':>14}{'encode':>14}{'filter':>14}{'search':>14}")
        report = {name: timed_searches(searcher, items, parts) for name, parts in shapes.items()}
        for name, stages in report.items():
            told = (stages[stage] for stage in ("total", "encode", "filter", "search"))
            print(f"{name:30}" + "".join(f"{times['p50']:>7.1f}{times['p95']:>7.1f}" for times in told))
    rng = np.random.default_rng(0)
    scores = np.sort(rng.random(256).astype(np.float32))[::-1]
    started = time.perf_counter()
    for _ in range(50):
        mmr_order(vectors[:256], scores, 0.5, 24)
    print(f"24 of 256 by maximal marginal relevance: {(time.perf_counter() - started) * 20:.2f} ms")
    return {"items": items, "dim": dim, "index": header.parameters, "ms": report}


def timed_searches(searcher: Searcher, items: int, parts: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Return the median and 95th percentile of each stage, in milliseconds, over 100 queries for 24 hits."""
    rng = np.random.default_rng(0)
    taken: dict[str, list[float]] = {}
    for round_ in range(120):
        first, second, third = (f"{number:07d}.jpg" for number in rng.integers(0, items, 3))
        terms = (Term("item", first), Term("item", second, 0.6), Term("item", third, -0.4))
        result = searcher.search(replace(Query(terms if parts else terms[:1], n=24), **parts))
        assert len(result.hits) == 24
        if round_ >= 20:
            for stage, ms in result.timing_ms.items():
                taken.setdefault(stage, []).append(ms)
    return {stage: percentiles(times) for stage, times in taken.items()}


def percentiles(values: Iterable[float]) -> dict[str, float]:
    """Return the median, the 95th and the 99th percentile."""
    times = list(values)
    return {f"p{share}": round(float(np.percentile(times, share)), 3) for share in (50, 95, 99)}


# --- serving --------------------------------------------------------------------------------------------------------


def bench_serving(count: int) -> dict[str, Any]:
    """Time a service's searches alone, and during duplicate detection in the background."""
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder) / "photos"
        shutil.copytree(STORE, photos)
        make_copies(photos, count)
        place = Path(folder) / "catalog"
        with CatalogStore.open(place, create=True) as catalog:
            index_sources(catalog, open_live_index(catalog), load_encoder("lite"), [photos])
            names = [item.item_id for item in catalog.iter_items()]
        service = SearchService.open(Settings.load({}, catalog=place, find_duplicates=False))
        try:
            service.engine.encoder.get()
            rng = np.random.default_rng(0)

            def search() -> float:
                query = replace(Query.of(item=str(rng.choice(names)), n=24), duplicates="collapse")
                return float(service.search(query, record=False).timing_ms["total"])

            for _ in range(50):
                search()
            alone = percentiles([search() for _ in range(500)])
            started = time.perf_counter()
            service.start_duplicate_search()
            times = []
            while service.duplicate_search.running:
                times.append(search())
                time.sleep(0.01)
            seconds = time.perf_counter() - started
        finally:
            service.close()
    meanwhile = percentiles(times)
    print(f"{'ms':24}{'p50':>8}{'p95':>8}{'p99':>8}")
    for name, found in (("alone", alone), ("while looking", meanwhile)):
        print(f"{name:24}" + "".join(f"{value:>8.1f}" for value in found.values()))
    print(f"the pass over {len(names):,} photos took {seconds:.1f} s with {len(times):,} concurrent searches")
    return {"alone_ms": alone, "meanwhile_ms": meanwhile, "pass_s": seconds, "searches": len(times)}


def main() -> None:
    """Run the benchmark that the command line names."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["copies", "search", "serving"])
    parser.add_argument("--count", type=int, default=60, help="copies per transformation")
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results to this file")
    given = parser.parse_args()
    load = os.getloadavg()[0]
    if given.what == "copies":
        report = bench_copies(given.count)
    elif given.what == "serving":
        report = bench_serving(given.count)
    else:
        report = bench_search(given.items, given.dim)
    if given.json:
        text = json.dumps({"what": given.what, "load_average": round(load, 1), **report}, indent=2)
        given.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
