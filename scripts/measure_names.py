"""Measure how well exact names and codes are found by typed words, without and with the literal comparison of names.

    python scripts/measure_names.py [--json FILE]

On the Sample Store with `lite` embeddings: 40 products get an invented model name at the end of their titles, and
every product a SKU such as "QX-4821". A search is right if its first hit is a photo of the product. Then nDCG@10 of
the text topics, for correct, missing and misleading titles. Takes about two minutes.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from measure_words import changed_titles, text_ndcg

from imgsearch.core.query import Query
from imgsearch.core.records import SearchResult
from imgsearch.demo import ensure_demo_catalog
from imgsearch.encoders import Encoder, load_encoder
from imgsearch.index.opening import open_live_index
from imgsearch.search.searcher import Searcher
from imgsearch.search.words.titles import Titles
from imgsearch.store.catalog import CatalogStore

NAMES = 40
SYLLABLES = ("zor", "quv", "blat", "nex", "vir", "tol", "kem", "dra", "fyn", "osk", "wub", "jel")
Row = dict[str, Any]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, help="also write the results to this file")
    given = parser.parse_args()
    encoder = load_encoder("lite")
    with tempfile.TemporaryDirectory() as scratch:
        folder = ensure_demo_catalog(folder=Path(scratch) / "store")
        found = {"first hits": list(first_hits(folder, encoder)), "nDCG@10": list(figures(folder, encoder))}
    for name, rows in found.items():
        print(f"\n{name}\n{pd.DataFrame(rows).to_string(index=False)}")
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def searchers(catalog: CatalogStore, encoder: Encoder) -> tuple[Searcher, Searcher]:
    """Return a searcher without names and one with them."""
    index, without, titles = open_live_index(catalog), *(Titles(catalog, lambda: encoder) for _ in range(2))
    without.names = None
    return tuple(Searcher(catalog, index, lambda: encoder, titles=each) for each in (without, titles))  # type: ignore[return-value]


def first_hits(folder: Path, encoder: Encoder) -> Iterator[Row]:
    """Yield in how many of 40 searches the product comes first, by what is typed."""
    rng = np.random.default_rng(4)
    copy = folder.with_name("named")
    shutil.copytree(folder, copy)
    with CatalogStore.open(copy) as catalog:
        items = list(catalog.iter_items())
        products = sorted({str(item.metadata["product_id"]) for item in items})
        names = {
            product: "".join(rng.choice(SYLLABLES, 3)).capitalize()
            for product in rng.permutation(products)[:NAMES]
        }
        skus = {
            product: f"{chr(65 + n % 26)}{chr(65 + n // 26 % 26)}-{n * 37 % 9000 + 1000}"
            for n, product in enumerate(products)
        }
        photos, rows = catalog.stored_photos([item.item_id for item in items]), []
        for item in items:
            product = str(item.metadata["product_id"])
            title = " ".join([str(item.metadata["title"]), *([names[product]] if product in names else [])])
            metadata = {**item.metadata, "title": title, "sku": skus[product]}
            rows.append(replace(photos[item.item_id], row_digest="", metadata=metadata))
        catalog.update_metadata(rows)
        titles = {str(item.metadata["product_id"]): str(item.metadata["title"]) for item in items}
        types = {str(item.metadata["product_id"]): str(item.metadata["type"]) for item in items}
        typed: dict[str, Callable[[str], str]] = {
            "name": lambda product: names[product],
            "name in capitals": lambda product: names[product].upper(),
            "type and name": lambda product: f"{types[product]} {names[product]}",
            "whole title": lambda product: f"{titles[product]} {names[product]}",
            "beginning of the name": lambda product: names[product][:-1],
            "SKU": lambda product: skus[product],
            "SKU in small letters": lambda product: skus[product].lower(),
            "SKU without hyphen": lambda product: skus[product].replace("-", ""),
            "SKU with a space": lambda product: skus[product].replace("-", " "),
            "type and SKU": lambda product: f"{types[product]} {skus[product]}",
        }
        before, after = searchers(catalog, encoder)
        for what, text in typed.items():
            row: Row = {"typed": what}
            for name, searcher in (("without", before), ("with names", after)):
                right, took = 0, []
                for product in names:
                    start = time.perf_counter()
                    result: SearchResult = searcher.search(Query.of(text=text(product), n=24))
                    took.append((time.perf_counter() - start) * 1000)
                    right += result.hits[0].metadata["product_id"] == product
                row[name], row[f"{name}, ms"] = f"{right} of {len(names)}", round(float(np.median(took)), 1)
            yield row


def figures(folder: Path, encoder: Encoder) -> Iterator[Row]:
    """Yield nDCG@10 without and with names, for correct, missing and misleading titles."""
    for name, catalog in changed_titles(folder):
        before, after = searchers(catalog, encoder)
        without, with_names = (text_ndcg(catalog, searcher.search) for searcher in (before, after))
        yield {"titles": name, "without": without, "with names": with_names}


if __name__ == "__main__":
    main()
