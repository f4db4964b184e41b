"""Measure the effect of titles, spelling correction and suggested filters on text search.

    python scripts/measure_words.py [--photos DIR] [--json FILE]

On the Sample Store's text topics with `lite` embeddings: original titles, half of them blanked, half or all of them
assigned to other products; misspelt topics with and without correction; every suggested filter accepted. With
`--photos`, a folder of photos with `images.csv` (image, label), the label is the title of a random half, and the
queries are the labels and their synonyms; a hit is relevant if it has the label. Takes about three minutes, and two
more with 5,000 photos.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from imgsearch.core.query import Query
from imgsearch.core.records import SearchResult
from imgsearch.demo import ensure_demo_catalog, sample_store
from imgsearch.encoders import Encoder, load_encoder
from imgsearch.improve.judging.qrels import read_qrels
from imgsearch.improve.judging.topics import Topic, read_topics
from imgsearch.improve.quality.evaluation import evaluate
from imgsearch.index.opening import open_live_index
from imgsearch.ingest.indexing import IndexingOptions, index_sources
from imgsearch.search.searcher import Searcher
from imgsearch.search.words.titles import Titles
from imgsearch.search.words.word_help import WordHelp, with_text
from imgsearch.store.catalog import CatalogStore

OTHER_WORDS = {
    "T-Shirt": ("t-shirt", "tee"),
    "Longsleeve": ("long sleeve shirt", "jumper"),
    "Pants": ("pants", "trousers"),
    "Shoes": ("shoes", "sneakers"),
    "Shirt": ("shirt", "button-down blouse"),
    "Dress": ("dress", "summer gown"),
    "Outwear": ("outerwear", "jacket"),
    "Shorts": ("shorts", "bermudas"),
    "Hat": ("hat", "cap"),
    "Skirt": ("skirt", "pleated skirt"),
    "Polo": ("polo", "polo shirt"),
    "Undershirt": ("undershirt", "tank top"),
    "Blazer": ("blazer", "suit jacket"),
    "Hoodie": ("hoodie", "hooded sweatshirt"),
}
"""For each clothing label, a synonym and a different query."""

Search = Callable[[Query], SearchResult]
Row = dict[str, Any]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--photos", type=Path, help="a folder of labelled photos with images.csv")
    parser.add_argument("--json", type=Path, help="also write the results to this file")
    given = parser.parse_args()
    encoder = load_encoder("lite")
    with tempfile.TemporaryDirectory() as scratch:
        folder = ensure_demo_catalog(folder=Path(scratch) / "store")
        found = {
            "titles": list(titles(folder, encoder)),
            "spelling": list(spelling(folder, encoder)),
            "suggestions": list(suggestions(folder, encoder)),
        }
        if given.photos:
            found["labels as titles"] = list(labels(given.photos, Path(scratch) / "photos", encoder))
    for name, rows in found.items():
        print(f"\n{name}\n{pd.DataFrame(rows).to_string(index=False)}")
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


# --- titles -----------------------------------------------------------------------------------------------------


def titles(folder: Path, encoder: Encoder) -> Iterator[Row]:
    """Yield nDCG@10 from photos only and with titles, for correct, missing and misleading titles."""
    for name, catalog in changed_titles(folder):
        alone = text_ndcg(catalog, Searcher(catalog, open_live_index(catalog), lambda: encoder).search)
        titles = Titles(catalog, lambda: encoder)
        searcher = Searcher(catalog, open_live_index(catalog), lambda: encoder, titles=titles)
        fused = text_ndcg(catalog, searcher.search)
        trust = titles.state.trust
        yield {"titles": name, "photos alone": alone, "with titles": fused, "trust": round(trust or 0, 3)}


def changed_titles(folder: Path) -> Iterator[tuple[str, CatalogStore]]:
    """Yield a name for each way of changing titles, and an open copy of the catalog with them."""
    rng = np.random.default_rng(0)

    def blanked(names: list[str]) -> list[str]:
        return _some(names, rng, lambda some: [""] * len(some))

    def misled(names: list[str]) -> list[str]:
        return _some(names, rng, lambda some: rng.permutation(some).tolist())

    cases: dict[str, Callable[[list[str]], list[str]]] = {
        "as they are": lambda names: names,
        "half blanked": blanked,
        "half exchanged": misled,
        "all exchanged": lambda names: rng.permutation(names).tolist(),
    }
    for name, change in cases.items():
        with _changed(folder, change) as catalog:
            yield name, catalog


@contextmanager
def _changed(folder: Path, change: Callable[[list[str]], list[str]]) -> Iterator[CatalogStore]:
    """Open a copy of the catalog with changed titles; the photos of a product keep a common title."""
    copy = folder.with_name("changed")
    shutil.copytree(folder, copy)
    with CatalogStore.open(copy) as catalog:
        items = list(catalog.iter_items())
        names = {item.metadata["product_id"]: str(item.metadata["title"]) for item in items}
        other = dict(zip(names, change(list(names.values())), strict=True))
        photos = catalog.stored_photos([item.item_id for item in items])
        catalog.update_metadata(
            [
                replace(
                    photos[item.item_id],
                    row_digest="",
                    metadata={**item.metadata, "title": other[item.metadata["product_id"]]},
                )
                for item in items
            ]
        )
        yield catalog
    shutil.rmtree(copy)


def _some(names: list[str], rng: np.random.Generator, change: Callable[[list[str]], list[str]]) -> list[str]:
    """Return the names with a random half changed."""
    places = rng.permutation(len(names))[: len(names) // 2]
    result = list(names)
    for place, name in zip(places, change([names[place] for place in places]), strict=True):
        result[place] = name
    return result


def text_ndcg(catalog: CatalogStore, search: Search, change: Callable[[str], str] = str) -> float:
    """Return nDCG@10 over the Sample Store's text topics, each as `change` writes it."""
    store = sample_store()
    topics = [
        Topic(topic.query_id, topic.kind, change(topic.query))
        for topic in read_topics(store.topics)
        if topic.kind == "text"
    ]
    report = evaluate(
        lambda query: search(replace(query, n=10)),
        catalog,
        read_qrels(store.folder / "text.trec"),
        topics,
        "nDCG@10",
    )
    return round(next(each.mean for each in report.measures if each.measure == "nDCG@10"), 3)


# --- spelling ---------------------------------------------------------------------------------------------------


def spelling(folder: Path, encoder: Encoder) -> Iterator[Row]:
    """Yield the correction rate of misspelt words, its effect on nDCG@10, and the rate of false corrections."""
    rng = np.random.default_rng(1)
    with CatalogStore.open(folder) as catalog:
        titles = Titles(catalog, lambda: encoder)
        search = Searcher(catalog, open_live_index(catalog), lambda: encoder, titles=titles).search
        words = WordHelp(catalog, lambda: encoder)
        texts = [topic.query for topic in read_topics(sample_store().topics) if topic.kind == "text"]
        for steps in (1, 2):
            wrong = {text: _misspelt(text, rng, steps) for text in texts}

            def corrected(text: str) -> str:
                correction = words.correction(Query.of(text=text))
                return correction.text if correction else text

            right = np.mean([corrected(wrong[text]).casefold() == text.casefold() for text in texts])
            yield {
                "texts": f"{steps} typing error{'s' * (steps > 1)} in the longest word",
                "corrected texts": f"{right:.0%}",
                "nDCG@10 as typed": text_ndcg(catalog, search, wrong.__getitem__),
                "corrected": text_ndcg(catalog, search, lambda text: corrected(wrong[text])),
            }
        touched = np.mean([words.correction(Query.of(text=text)) is not None for text in texts])
        yield {
            "texts": "without errors",
            "corrected texts": f"{touched:.1%} changed",
            "nDCG@10 as typed": text_ndcg(catalog, search),
            "corrected": text_ndcg(catalog, search, corrected),
        }


def _misspelt(text: str, rng: np.random.Generator, steps: int) -> str:
    """Return the text with its longest word misspelt: letters deleted, inserted, replaced or swapped."""
    word = max(text.split(), key=len)
    letters = list(word)
    for _ in range(steps):
        place = int(rng.integers(1, len(letters) - 1)) if len(letters) > 2 else 0
        letter = chr(97 + int(rng.integers(26)))
        match int(rng.integers(4)):
            case 0:
                del letters[place]
            case 1:
                letters.insert(place, letter)
            case 2:
                letters[place] = letter
            case _:
                letters[place : place + 2] = letters[place : place + 2][::-1]
    return text.replace(word, "".join(letters))


# --- suggestions ------------------------------------------------------------------------------------------------


def suggestions(folder: Path, encoder: Encoder) -> Iterator[Row]:
    """Yield nDCG@10 with every suggested filter accepted, and the time per suggestion."""
    with CatalogStore.open(folder) as catalog:
        titles = Titles(catalog, lambda: encoder)
        searcher = Searcher(catalog, open_live_index(catalog), lambda: encoder, titles=titles)
        words = WordHelp(catalog, lambda: encoder)

        def accepted(query: Query) -> SearchResult:
            text, taken = query, ()
            while left := [each for each in words.suggestions(text) if each.column not in taken]:
                text = with_text(replace(text, filters=text.filters + left[0].filters), left[0].text)
                taken = (*taken, left[0].column)
            return searcher.search(text)

        texts = [topic.query for topic in read_topics(sample_store().topics) if topic.kind == "text"]
        timed = []
        for text in texts:
            query = Query.of(text=f"{text} between 20 and 900")
            began = time.perf_counter()
            words.suggestions(query)
            timed.append((time.perf_counter() - began) * 1000)
        yield {
            "nDCG@10 as typed": text_ndcg(catalog, searcher.search),
            "all filters accepted": text_ndcg(catalog, accepted),
            "median ms": round(float(np.median(timed)), 3),
            "99% ms": round(float(np.quantile(timed, 0.99)), 3),
        }


# --- labels as titles -------------------------------------------------------------------------------------------


def labels(photos: Path, folder: Path, encoder: Encoder) -> Iterator[Row]:
    """Yield P@10 for labels and synonyms, with the label as the title of a random half of real photos."""
    with (photos / "images.csv").open(encoding="utf-8") as file:
        named = {row["image"]: row["label"] for row in csv.DictReader(file) if row["label"] in OTHER_WORDS}
    lying = {path.stem: path for path in sorted((photos / "images").iterdir()) if path.stem in named}
    rng = np.random.default_rng(2)
    titled = rng.random(len(lying)) < 0.5
    manifest = folder.with_suffix(".csv")
    with manifest.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "image", "title", "kind"])
        for (stem, path), has in zip(lying.items(), titled, strict=True):
            writer.writerow([stem, path, named[stem] if has else "", named[stem]])
    with CatalogStore.open(folder, create=True) as catalog:
        index_sources(
            catalog, open_live_index(catalog), encoder, [manifest], options=IndexingOptions(root=photos)
        )
        for name, place in (("the label", 0), ("other words", 1)):
            row: Row = {"queries": name}
            for how in ("photos alone", "with titles"):
                titles = Titles(catalog, (lambda: encoder) if how == "with titles" else None)
                searcher = Searcher(catalog, open_live_index(catalog), lambda: encoder, titles=titles)
                right, without = [], []
                for label, typed in OTHER_WORDS.items():
                    hits = searcher.search(Query.of(text=typed[place])).hits
                    right.append(np.mean([hit.metadata["kind"] == label for hit in hits]))
                    without.append(np.mean([not hit.metadata.get("title") for hit in hits]))
                row[how] = round(float(np.mean(right)), 3)
                row[f"untitled, {how}"] = f"{np.mean(without):.0%}"
            yield row | {"trust": round(titles.state.trust or 0, 3)}


if __name__ == "__main__":
    main()
