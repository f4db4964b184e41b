"""Measure the Explore page: map layout, search latency during layout, opening in Chromium, and frame time.

    python scripts/bench_explore.py [--items 20000] [--dim 512] [--frames 60] [--no-umap]

The catalog holds clustered random vectors and small plain images. Chromium renders WebGL in software if there is no
graphics card, so frame rates are a lower bound of what users see.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from running_app import chromium_flags, find_chromium, running_app

from imgsearch.core.errors import EncoderUnavailable
from imgsearch.core.query import Query
from imgsearch.encoders import Encoder
from imgsearch.explore.explorer import Explorer
from imgsearch.index.opening import open_live_index
from imgsearch.search.searcher import Searcher
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.item_table import Photo

BLOCK = 10_000
TYPES = 40
PICTURES = 200
SOFTWARE_WEBGL = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")


def main() -> None:
    options = _options()
    result: dict[str, Any] = {"items": options.items, "load_average": round(os.getloadavg()[0], 1)}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with CatalogStore.open(folder / "catalog", create=True) as catalog:
            _fill(catalog, folder / "pictures", options.items, options.dim)
            index = open_live_index(catalog, threads=2)
            memory_bytes = 600 * 1024**2 if options.no_umap else 0
            explorer = Explorer(catalog, lambda: index, _no_encoder, memory_bytes=memory_bytes)
            result["pca_s"] = _seconds(lambda: explorer.document("pca", 2, "column:type"))
            searcher = Searcher(catalog, index, _no_encoder)
            result["search_ms_alone"] = _search_ms(searcher, catalog, threading.Event(), at_most=300)
            done = threading.Event()
            found: list[dict[str, float]] = []
            watcher = threading.Thread(target=lambda: found.append(_search_ms(searcher, catalog, done)))
            watcher.start()
            result["layout_s"] = _seconds(explorer.lay_out)
            done.set()
            watcher.join()
            result["search_ms_meanwhile"] = found[0]
            result["notes"] = explorer.state().notes
            result["layout_peak_mib"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
            projection = "umap" if explorer.state().umap else "pca"
            result["document_s"] = _seconds(lambda: explorer.document(projection, 2, "cluster"))
            result["document_bytes"] = len(explorer.document(projection, 2, "cluster")[0])
            explorer.jobs.close()
        with running_app(folder / "catalog", log=folder / "app.log") as address:
            result["chromium"] = _browse(address, options.frames)
    print(json.dumps(result, indent=2))


def _browse(address: str, frames: int) -> dict[str, Any]:
    """Open the page twice (cold and warm server) and render frames while the map is dragged."""
    from playwright.sync_api import sync_playwright

    path = find_chromium()
    if path is None:
        return {"skipped": "no Chromium or Chrome is installed"}
    figures: dict[str, Any] = {}
    with sync_playwright() as driver:
        flags = [flag for flag in chromium_flags() if flag != "--disable-gpu"]
        browser = driver.chromium.launch(executable_path=path, args=[*flags, *SOFTWARE_WEBGL])
        for visit in ("first", "second"):
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            started = time.perf_counter()
            page.goto(f"{address}/explore")
            page.locator(".map[data-drawn]").wait_for(timeout=120_000)
            figures[f"opened_s_{visit}"] = round(time.perf_counter() - started, 2)
            if visit == "first":
                page.close()
        for dimensions in ("2", "3"):
            page.get_by_text(f"{dimensions}-D", exact=True).click()
            page.locator(f'.map[data-shown*=" {dimensions} "]').wait_for(timeout=60_000)
            figures[f"frame_ms_{dimensions}d"] = _frame_ms(page, frames)
            figures[f"share_drawn_{dimensions}d"] = _share(page)
            figures[f"hover_ms_{dimensions}d"] = _hover_ms(page)
        figures["painter"] = page.locator(".map").get_attribute("data-painter")
        browser.close()
    return figures


def _frame_ms(page: Any, frames: int) -> float:
    """Return the mean frame interval in ms while the camera pans, as in a drag."""
    return round(
        float(
            page.locator(".map").evaluate(
                """async (map, frames) => {
                    const view = map.getRootNode().view || map.parentNode.view;
                    const next = () => new Promise(requestAnimationFrame);
                    await next();
                    const started = performance.now();
                    for (let frame = 0; frame < frames; frame += 1) {
                        view.camera.pan(frame % 2 ? 3 : -3, 0);
                        view.moved();
                        await next();
                    }
                    return (performance.now() - started) / frames;
                }""",
                frames,
            )
        ),
        1,
    )


def _share(page: Any) -> float:
    """Return the share of points rendered in the last frame while the camera moves."""
    share = page.locator(".map").evaluate("map => (map.getRootNode().view || map.parentNode.view).share")
    return round(float(share), 2)


def _hover_ms(page: Any) -> float:
    """Return the milliseconds to find the point under the pointer."""
    return round(
        float(
            page.locator(".map").evaluate(
                """map => {
                    const view = map.getRootNode().view || map.parentNode.view;
                    const started = performance.now();
                    for (let time = 0; time < 50; time += 1) view.nearest(9 * time, 5 * time, 14);
                    return (performance.now() - started) / 50;
                }"""
            )
        ),
        2,
    )


def _search_ms(
    searcher: Searcher, catalog: CatalogStore, done: threading.Event, *, at_most: int = 10**9
) -> dict[str, float]:
    """Return latency percentiles of searches by item, at most 100 per second, until `done` or the limit."""
    ids = [item.item_id for item in catalog.by_keys(catalog.keys()[:500])]
    took: list[float] = []
    while not done.is_set() and len(took) < at_most:
        started = time.perf_counter()
        searcher.search(Query.of(item=ids[len(took) % len(ids)], n=24))
        took.append((time.perf_counter() - started) * 1000)
        time.sleep(0.01)
    p50, p95, p99 = np.percentile(took, (50, 95, 99)).round(2).tolist()
    return {"p50": p50, "p95": p95, "p99": p99, "searches": len(took)}


def _fill(catalog: CatalogStore, pictures: Path, items: int, dim: int) -> None:
    rng = np.random.default_rng(0)
    pictures.mkdir()
    for number in range(PICTURES):
        color = tuple(int(part) for part in rng.integers(40, 240, 3))
        Image.new("RGB", (96, 96), color).save(pictures / f"{number}.jpg")
    catalog.bind_encoder("test:bench", f"test:bench@{dim}", dim)
    types = rng.normal(size=(TYPES, dim))
    for start in range(0, items, BLOCK):
        size = min(BLOCK, items - start)
        kind = rng.integers(0, TYPES, size)
        rows = types[kind] + 0.8 * rng.normal(size=(size, dim))
        rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
        catalog.store([_item(pictures, start + n, int(kind[n])) for n in range(size)], rows)


def _item(pictures: Path, number: int, kind: int) -> Photo:
    metadata = {"type": f"t{kind}", "price": float(number % 97)}
    name = f"{number:07d}.jpg"
    path = pictures / f"{number % PICTURES}.jpg"
    return Photo(name, str(pictures), str(path), 1, 1, name, "", 96, 96, metadata)


def _seconds(work: Any) -> float:
    started = time.perf_counter()
    work()
    return round(time.perf_counter() - started, 2)


def _no_encoder() -> Encoder:
    raise EncoderUnavailable("this catalog has no model.")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--no-umap", action="store_true", help="only groups and PCA")
    return parser.parse_args()


if __name__ == "__main__":
    main()
