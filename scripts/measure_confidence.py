"""Measure how often the "weak" label is correct: leave each type of the Sample Store out in turn and search for it.

    python scripts/measure_confidence.py

Uses the shipped `lite` embeddings: leaving a type out masks its rows in the search and in the calibration.
"""

from __future__ import annotations

import argparse
import csv

import numpy as np

from imgsearch.demo import sample_store
from imgsearch.encoders import load_encoder
from imgsearch.improve.judging.topics import read_topics
from imgsearch.search.ranking.confidence import (
    BEST_SCORES,
    PHOTO_PROBES,
    WORD_PROBES,
    Kind,
    Levels,
    photo_levels,
    word_levels,
    words_of,
)


def main() -> None:
    """Print the share of queries labelled weak, with and without their type in the catalog."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    store, encoder = sample_store(), load_encoder("lite")
    photos = np.load(store.embeddings).astype(np.float32)
    with store.manifest.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    kinds, titles = np.array([row["type"] for row in rows]), np.array([row["title"] for row in rows])
    types = sorted(set(kinds.tolist()))
    queries = [topic.query for topic in read_topics(store.topics) if topic.kind == "text"]
    asked = [max((kind for kind in types if query.endswith(kind)), key=len) for query in queries]
    words = sorted(set(titles.tolist()))
    title_rows = dict(zip(words, encoder.encode_texts(words), strict=True))
    query_rows, type_rows = encoder.encode_texts(queries), encoder.encode_texts(types)
    row_words = [
        words_of(" ".join(text for name, text in row.items() if name not in ("id", "image"))) for row in rows
    ]
    keys, rng = np.arange(len(photos), dtype=np.uint64), np.random.default_rng(0)

    def made(kept: np.ndarray) -> dict[Kind, Levels]:
        def nearest(row: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
            scores = photos[kept] @ row
            order = np.argsort(-scores, kind="stable")[:k]
            return keys[kept][order], scores[order]

        probes = rng.permutation(keys[kept])[:PHOTO_PROBES]
        described = rng.permutation(sorted(set(titles[kept].tolist())))[:WORD_PROBES]
        by_photo = photo_levels(nearest, probes, photos[probes.astype(np.int64)])
        written = {row_words[place] for place in np.flatnonzero(kept)}
        by_words = word_levels(nearest, np.stack([title_rows[title] for title in described]), written)
        assert by_photo is not None
        assert by_words is not None
        return {"photo": by_photo, "words": by_words}

    def weak(levels: dict[Kind, Levels], row: np.ndarray, kept: np.ndarray, how: str, text: str) -> bool:
        best = np.sort(photos[kept] @ row)[-BEST_SCORES:]
        return levels["photo" if how == "photos" else "words"].confidence(best, text) == "weak"

    everything = np.ones(len(photos), bool)
    whole = made(everything)
    found: dict[str, dict[str, list[tuple[str, bool]]]] = {}
    for kind in types:
        absent = kinds != kind
        without = made(absent)
        asks = [("photos", photos[i], i, "") for i in np.flatnonzero(~absent)]
        texts = zip(query_rows, queries, asked, strict=True)
        asks += [("texts", row, -1, text) for row, text, name in texts if name == kind]
        asks += [("type names", type_rows[types.index(kind)], -1, kind)]
        for how, row, itself, text in asks:
            others = everything.copy()
            if itself >= 0:
                others[itself] = False
            place = found.setdefault(how, {"there": [], "absent": []})
            place["there"].append((kind, weak(whole, row, others, how, text)))
            place["absent"].append((kind, weak(without, row, absent, how, text)))
    found["together"] = {
        case: [flag for how in list(found) for flag in found[how][case]] for case in ("there", "absent")
    }
    print(f"{'queries':12}{'called weak though there':>26}{'called weak when absent':>26}{'worst type':>26}")
    for how, cases in found.items():
        there, absent_flags = (np.mean([flag for _, flag in cases[case]]) for case in ("there", "absent"))
        shares = {k: np.mean([flag for name, flag in cases["absent"] if name == k]) for k in types}
        worst = min(shares, key=lambda k: shares[k])
        print(f"{how:12}{there:26.1%}{absent_flags:26.1%}{f'{worst} {shares[worst]:.0%}':>26}")


if __name__ == "__main__":
    main()
