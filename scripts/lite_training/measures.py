"""What `lite` is worth on pictures that it was not trained on.

It owns the tasks and their figures; it works on any encoder. The clothing photos are those of the senders that
`train_lite.py --hold-out` keeps back: an encoder trained without that option has seen them.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lite_training import sources
from lite_training.cutouts import on_white

__all__ = ["measure"]

QUERIES = {
    "T-Shirt": "t-shirt", "Longsleeve": "long sleeve", "Pants": "pants", "Shoes": "shoes", "Shirt": "shirt",
    "Dress": "dress", "Outwear": "outerwear", "Shorts": "shorts", "Hat": "hat", "Skirt": "skirt",
    "Polo": "polo shirt",
    "Undershirt": "undershirt", "Blazer": "blazer", "Hoodie": "hoodie", "Body": "baby bodysuit", "Top": "top",
    "Blouse": "blouse",
}  # fmt: skip


def measure(encoder: Any, data: Path, cutouts: Path, store: Path) -> dict[str, float]:
    """Return the figures of an encoder (shares and nDCG, 0 to 1) by their names."""
    return {
        **_clothing(encoder, data / "clothing", cutouts),
        **_grocery(encoder, data / "grocery"),
        **_store(encoder, store),
    }


def _clothing(encoder: Any, folder: Path, cutouts: Path) -> dict[str, float]:
    photos = [picture for picture in sources.clothing(folder, hold_out=True) if picture.held_out]
    labels = np.array([picture.concept.removeprefix("clothing ") for picture in photos])
    found = {}
    texts = encoder.encode_texts(list(QUERIES.values()))
    there = [(row, _cutout(cutouts, picture)) for row, picture in enumerate(photos)]
    on_ground = [(row, path) for row, path in there if path is not None]
    for name, rows, images in (
        ("photos", np.arange(len(photos)), (picture.read() for picture in photos)),
        ("on white", np.array([row for row, _ in on_ground]), (on_white(path) for _, path in on_ground)),
    ):
        vectors = _encode(encoder, images)
        own = labels[rows]
        right = [
            (own[np.argsort(-(vectors @ text))[:10]] == label).mean()
            for label, text in zip(QUERIES, texts, strict=True)
        ]
        found[f"clothing {name}: text P@10, 17 names"] = float(np.mean(right))
        found[f"clothing {name}: same label in the 5 nearest"] = _alike(vectors, own)
    return found


def _grocery(encoder: Any, folder: Path) -> dict[str, float]:
    classes = sources.grocery_classes(folder)
    coarse = np.array([int(row["Coarse Class ID (int)"]) for row in classes])
    names = [row["Class Name (str)"] for row in classes]
    photos = list(sources.grocery(folder, "test"))
    fine = np.array([names.index(picture.concept.removeprefix("grocery ")) for picture in photos])
    vectors = _encode(encoder, (picture.read() for picture in photos))
    clean = _encode(
        encoder,
        (Image.open(folder / row["Iconic Image Path (str)"].lstrip("/")).convert("RGB") for row in classes),
    )
    scores = [
        _ndcg((coarse[fine] == coarse[place]).astype(float), clean[place] @ vectors.T)
        for place in range(len(clean))
    ]
    return {
        "grocery test: clean picture to shop photos, coarse nDCG@10": float(np.mean(scores)),
        "grocery test: same class in the 5 nearest": _alike(vectors, fine),
    }


def _store(encoder: Any, folder: Path) -> dict[str, float]:
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    vectors = _encode(encoder, (Image.open(folder / row["image"]).convert("RGB") for row in rows))
    places = {row["id"]: place for place, row in enumerate(rows)}
    topics = [line.split("\t") for line in (folder / "topics.tsv").read_text(encoding="utf-8").splitlines()]
    spoken = {topic: query for topic, kind, query in topics if kind == "text"}
    texts = dict(zip(spoken, encoder.encode_texts(list(spoken.values())), strict=True))
    found = {}
    for name, label in (("instance", "R@10"), ("lookalike", "nDCG@10"), ("text", "nDCG@10")):
        judged: dict[str, dict[int, int]] = {}
        for line in (folder / f"{name}.trec").read_text(encoding="utf-8").splitlines():
            query, _, item, grade = line.split()
            judged.setdefault(query, {})[places[item]] = int(grade)
        values, first = [], []
        for query, grades in judged.items():
            scores = vectors @ (texts[query] if query in texts else vectors[places[query]])
            if query in places:
                scores[places[query]] = -9
            relevance = np.zeros(len(rows))
            relevance[list(grades)] = list(grades.values())
            top = np.argsort(-scores)[:10]
            values.append(
                relevance[top].sum() / relevance.sum() if label == "R@10" else _ndcg(relevance, scores)
            )
            first.append(relevance[top[0]])
        found[f"Sample Store: {name} {label}"] = float(np.mean(values))
        if name == "instance":
            found["Sample Store: another photo of the product at rank 1"] = float(np.mean(first))
    kinds = np.array([row["type"] for row in rows])
    found["Sample Store: same type in the 5 nearest"] = _alike(vectors, kinds)
    return found


def _encode(encoder: Any, images: Any) -> np.ndarray:
    parts, batch = [], []
    for image in images:
        batch.append(image)
        if len(batch) == 8:
            parts.append(encoder.encode_images(batch))
            batch = []
    if batch:
        parts.append(encoder.encode_images(batch))
    return np.concatenate(parts)


def _alike(vectors: np.ndarray, labels: np.ndarray, k: int = 5) -> float:
    """Return the share of the k nearest of each that have its label."""
    scores = vectors @ vectors.T
    np.fill_diagonal(scores, -9)
    near = np.argpartition(-scores, k, axis=1)[:, :k]
    return float((labels[near] == labels[:, None]).mean())


def _ndcg(relevance: np.ndarray, scores: np.ndarray, k: int = 10) -> float:
    """Return nDCG@k with the grades as gains (Järvelin and Kekäläinen 2002)."""
    discount = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.sort(relevance)[::-1][:k]
    return float(
        (relevance[np.argsort(-scores)[:k]] * discount).sum() / (ideal * discount[: len(ideal)]).sum()
    )


def _cutout(folder: Path, picture: sources.Picture) -> Path | None:
    path = folder / f"{picture.thing.removeprefix('photo ')}.png"
    return path if path.is_file() else None
